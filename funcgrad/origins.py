"""Which line of the user's made a record of a tape: asked when its pullback fails, and not before.

An ordinary tape notes no lines. When a pullback raises, the function runs once more on a tape that does, and
the error gets a note with the line of the record in the same place. If the second run is not like the first
(a function that is not pure), nothing is said. Next file: ``nans.py``.
"""

import inspect
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from funcgrad.errors import MutatedConstantError, NonFiniteError, location_of, user_frame
from funcgrad.reverse import Record, Tape, TapeTracer, backward

Place = tuple[CodeType, int]  # what `location_of` takes
_NOTE = "  in the backward pass of "


class NotedTape(Tape):
    """A tape that notes the user's line of each record."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place | None] = []
        self.append = self._note

    def _note(self, record: Record) -> None:
        self.places.append(self.place(sys._getframe(1)))
        self.records.append(record)

    def place(self, frame: FrameType) -> Place | None:
        """Return the user's line that is being executed."""
        found = user_frame(frame)
        return None if found is None else (found.f_code, found.f_lasti)


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
    index = _failed_record(error, tape)
    place = None if index is None else _place_of(tape, index, values, run)
    if place is not None:
        error.add_note(_NOTE + location_of(*place))


def _failed_record(error: Exception, tape: Tape) -> int | None:
    """Return which record was being walked; the frames in the traceback still know."""
    link = error.__traceback__
    while link is not None:
        if link.tb_frame.f_code is backward.__code__ and link.tb_frame.f_locals["tape"] is tape:
            walk = link.tb_next
            return None if walk is None else walk.tb_frame.f_locals.get("index")
        link = link.tb_next
    return None


def _place_of(tape: Tape, index: int, values: list[Any], run: Any) -> Place | None:
    again = NotedTape()
    try:
        run([again.input(x) for x in values])
    except Exception:
        return None
    finally:
        again.close()
    if len(again.records) != len(tape.records):
        return None
    same = [_alike(a, b) for a, b in zip(again.records, tape.records, strict=True)]
    return again.places[index] if all(same) else None


def _alike(a: Record, b: Record) -> bool:
    """Tell whether two records do the same with the cotangents of the same values."""
    if a is None or b is None or len(a) != len(b):
        return a is b
    for (parent, pull, _, _), (other_parent, other_pull, _, _) in zip(a, b, strict=True):
        if parent != other_parent or inspect.unwrap(pull) is not inspect.unwrap(other_pull):
            return False
    return True
