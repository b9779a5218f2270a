"""The traces that transforms make inside ``with debug_nans():``: they do the same, and look at what comes out.

A plain trace knows nothing of them, so nothing is paid when they are not wanted: one look at a context variable
per transform.
"""

import copy
from typing import Any

import numpy as np

from funcgrad.backward import ACCUMULATES, each_edge, keep_zero
from funcgrad.batch import Batch
from funcgrad.broadcasting import restore
from funcgrad.core import Primitive, Tracer
from funcgrad.forward import Forward
from funcgrad.handles import snapshot
from funcgrad.nans import FIX_RULE, check_made, inside_rule, is_watching, without_warnings
from funcgrad.origins import NotedEdge, NotedTape
from funcgrad.reverse import Tape, TapeTracer
from funcgrad.tracers import ArrayTracer


def new_tape() -> Tape:
    """Make the tape of a transform."""
    return WatchedTape() if is_watching() else Tape()


def new_forward(zero_stays_zero: bool) -> Forward:
    """Make the trace of a transform in forward mode."""
    return WatchedForward() if is_watching() else Forward(zero_stays_zero)


def new_batch(size: int) -> Batch:
    """Make the trace of vmap."""
    return WatchedBatch(size) if is_watching() else Batch(size)


class WatchedTracer(TapeTracer):
    """A value on a watched tape: its operators all go through `WatchedTape.process`."""

    __slots__ = ()

    def __fused__(self, fused: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        """Take the function's NumPy code, to look at each of its operations."""
        return fused.plain(*args, **settings)


for _name in vars(TapeTracer).keys() & vars(ArrayTracer).keys():  # the quick recorders
    if callable(getattr(ArrayTracer, _name)):
        setattr(WatchedTracer, _name, getattr(ArrayTracer, _name))


class WatchedTape(NotedTape):
    """A tape that looks at the result of each operation, and of each pullback."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[int, str] = {}

    def input(self, value: Any) -> Any:
        return _watched(super().input(value))

    def node(self, value: Any, edges: Any) -> Any:
        return _watched(super().node(value, edges))

    def process(self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        node = self.nodes
        with without_warnings():
            out = super().process(primitive, args, settings)
        if self.nodes > node:
            self.names[node] = primitive.name
        check_made(f"`{primitive.name}`", args, out)
        return _watched(out)

    def backward_edges(self) -> list[Any]:
        if not is_watching():
            return self.edges
        watched: list[Any] = []
        for node, parent, pull, kept, fix in each_edge(self.edges):
            name = self.names.get(node, "the operation")
            noted = NotedEdge(pull, kept, fix, name, self.places[node])
            watched += (node, parent, _pull, noted, ACCUMULATES)
        return watched


def _watched(x: Any) -> Any:
    if type(x) is TapeTracer:
        x.__class__ = WatchedTracer
    return x


def _pull(cts: list[Any], owned: bytearray, parent: int, ct: Any, noted: NotedEdge) -> None:
    """Do what the walk does with an edge, zeros kept zero, and look at what is handed on."""
    before = cts[parent]
    if noted.fix is ACCUMULATES:  # adds by itself: a read, or a custom rule, which looks at its own
        if isinstance(before, Tracer):
            before = snapshot(before)
        elif isinstance(before, (np.ndarray, list)):
            before = copy.copy(before)
        noted.pull(cts, owned, parent, ct, noted.kept)
        check_made(f"the backward pass of `{noted.name}`", (ct, before), cts[parent], FIX_RULE)
        return
    g = ct
    if noted.pull is not None:
        with inside_rule():
            g = keep_zero(noted.pull, noted.kept, ct, noted.pull(ct, noted.kept))
    if noted.fix is not None:
        g = restore(g, *noted.fix)
    check_made(f"the backward pass of `{noted.name}`", (ct, noted.kept), g, FIX_RULE)
    total = g if before is None else before + g
    check_made(
        f"the sum of cotangents, `{noted.name}`'s being the last,", (before, g), total, FIX_RULE
    )
    cts[parent] = total
    owned[parent] = 0


class WatchedForward(Forward):
    """Forward mode that looks at values and tangents."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(zero_stays_zero=True)  # which also keeps the quick operators away

    def process(self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        with without_warnings():
            out = super().process(primitive, args, settings)
        check_made(f"`{primitive.name}`", args, out)
        tangents = [x.tangent for x in args if isinstance(x, Tracer) and x._trace is self]
        pushed = [
            x.tangent
            for x in (out if primitive.multiple else (out,))
            if isinstance(x, Tracer) and x._trace is self
        ]
        check_made(f"the derivative of `{primitive.name}`", (args, tangents), pushed, FIX_RULE)
        return out

    def _push(
        self, primitive: Primitive, i: int, t: Any, ans: Any, primals: Any, settings: Any
    ) -> Any:
        with inside_rule():
            return super()._push(primitive, i, t, ans, primals, settings)


class WatchedBatch(Batch):
    """vmap that looks at the results for all examples."""

    __slots__ = ()

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.careful = True  # the quick operators would pass by

    def process(self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        with without_warnings():
            out = super().process(primitive, args, settings)
        check_made(f"`{primitive.name}`", args, out)
        return out
