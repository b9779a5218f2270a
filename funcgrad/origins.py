"""Which line of the user's made a node of a tape: asked when its pullback fails, and not before.

An ordinary tape notes no lines. When a pullback raises, the function runs once more on a tape that does, and
the error gets a note with the line of the node in the same place. If the second run is not like the first
(a function that is not pure), nothing is said. Next file: ``nans.py``.
"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from funcgrad.backward import backward, each_edge, walk
from funcgrad.errors import MutatedConstantError, NonFiniteError, is_internal, location_of
from funcgrad.reverse import Tape, TapeTracer

Place = tuple[CodeType, int]  # what `location_of` takes
_NOTE = "  in the backward pass of "


@dataclass(frozen=True)
class NotedEdge:
    """An edge of a tape, with the name of the primitive that made it and its place."""

    pull: Any
    kept: Any
    fix: Any
    name: str
    place: Place | None


def place_of(frame: FrameType | None) -> Place | None:
    """Return the user's line that is being executed, or that of the node whose pullback is.

    A function that runs the pullback of a `NotedEdge` calls it `noted`.
    """
    while frame is not None and is_internal(frame):
        if "noted" in frame.f_code.co_varnames:  # f_locals is a copy of all: asked only here
            noted = frame.f_locals.get("noted")
            if isinstance(noted, NotedEdge):
                return noted.place
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lasti)


class _NotedEdges(list[Any]):
    """A list of edges that notes, by node, the user's line that added to it."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[int, Place | None] = {}

    def __iadd__(self, edges: Any) -> Any:  # type: ignore[misc]  # as += of a list takes any iterable
        self.places[edges[0]] = place_of(sys._getframe(1))
        return super().__iadd__(edges)


class NotedTape(Tape):
    """A tape that notes the user's line of each node."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.sink = self.edges = _NotedEdges()

    @property
    def places(self) -> dict[int, Place | None]:
        return self.edges.places  # type: ignore[attr-defined,no-any-return]


def name_forward_line(
    error: Exception, tape: Tape, values: list[Any], run: Callable[[list[TapeTracer]], Any]
) -> None:
    """Add to an error of the backward pass the line that recorded the operation, if it can be told.

    Parameters
    ----------
    error : Exception
        What `backward` of `tape` raised, with its traceback.
    values : list of arrays
        The values of the inputs of `tape`.
    run : callable
        Records the function on tracers of them, as on `tape`.
    """
    if isinstance(error, (MutatedConstantError, NonFiniteError)):
        return  # they name the line themselves
    if any([note.startswith(_NOTE) for note in getattr(error, "__notes__", ())]):
        return  # a transform further in knew it
    node = _failed_node(error, tape)
    place = None if node is None else _place_of(tape, node, values, run)
    if place is not None:
        error.add_note(_NOTE + location_of(*place))


def _failed_node(error: Exception, tape: Tape) -> int | None:
    """Return which node's cotangent was being handed on; the frames in the traceback still know."""
    link = error.__traceback__
    while link is not None:
        if link.tb_frame.f_code is backward.__code__ and link.tb_frame.f_locals["tape"] is tape:
            walking = link.tb_next
            inside = walking is not None and walking.tb_frame.f_code is walk.__code__
            return walking.tb_frame.f_locals.get("node") if inside and walking else None
        link = link.tb_next
    return None


def _place_of(tape: Tape, node: int, values: list[Any], run: Any) -> Place | None:
    again = NotedTape()
    try:
        run([again.input(x) for x in values])
    except Exception:
        return None
    finally:
        again.close()
    if again.nodes != tape.nodes or len(again.edges) != len(tape.edges):
        return None
    pairs = zip(each_edge(again.edges), each_edge(tape.edges), strict=True)
    return again.places[node] if all([_alike(a, b) for a, b in pairs]) else None


def _alike(a: Any, b: Any) -> bool:
    """Tell whether two edges do the same with the cotangents of the same values."""
    (node, parent, pull, _, _), (other_node, other_parent, other_pull, _, _) = a, b
    same = node == other_node and parent == other_parent
    return same and inspect.unwrap(pull) is inspect.unwrap(other_pull)
