"""debug_nans: raise where the first NaN is made, in the forward computation or in a rule.

While the block runs, transforms make the traces below in place of the plain ones. They do the same and look
at what comes out. A plain trace knows nothing of them, so nothing is paid when they are not wanted: one look
at a context variable per transform. A rule itself is not looked into, only what it hands on: zero stays zero
(see `keep_zero`), so what is undefined inside a rule may be zero outside.
"""

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.batch import Batch
from funcgrad.broadcasting import restore
from funcgrad.core import Primitive, Tracer, concrete
from funcgrad.errors import NonFiniteError, fail, is_internal, location_of
from funcgrad.forward import Forward
from funcgrad.origins import NotedTape, Place
from funcgrad.reverse import ACCUMULATES, Record, Tape, TapeTracer, keep_zero


@dataclass(frozen=True)
class Watch:
    """What is looked for, and whether a rule is running whose inside is not looked into."""

    infinities: bool
    in_rule: bool = False


_watch: ContextVar[Watch | None] = ContextVar("funcgrad_debug_nans", default=None)


@contextmanager
def debug_nans(infinities: bool = False) -> Iterator[None]:
    """Raise at the first NaN that a transform makes, while the block runs.

    Looks at each operation on traced values in grad, vjp, jvp, vmap, Jacobians and whatever they are
    nested in: at its result, at its tangent, and at the cotangents that its pullback hands on. The
    error names the operation and the line of the program, for a NaN of the backward pass the line of
    the forward pass that it belongs to.

    Parameters
    ----------
    infinities : bool, optional
        If true, raise at the first infinity too.

    Raises
    ------
    NonFiniteError
        Inside the block, if an operation has a NaN in its result and none in its arguments. A
        `FloatingPointError`.

    Notes
    -----
    A NaN in the arguments of a function is not made by it, and does not raise. Nor does one that is
    gone before a rule hands on its result, such as 0 * inf in the derivative of ``np.sqrt(x**2)`` at
    0. The dead branch of ``np.where(x > 0, np.log(x), 0)`` is computed, so a NaN in it raises.

    Blocks nest, the innermost holds; each thread or asynchronous task has its own. It is the call of
    the transform (or of the pullback) that must stand in the block. Functions with custom rules are
    looked at as one operation.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import debug_nans, grad
    >>> def loss(x):
    ...     y = np.log(x)
    ...     return np.sum(y)
    >>> with debug_nans():
    ...     grad(loss)(np.array([1.0, -1.0]))
    Traceback (most recent call last):
    ...
    funcgrad.errors.NonFiniteError: `log` made a NaN, in entry [1] of its result of shape (2,).
      at <doctest funcgrad.nans.debug_nans[2]>:2 in loss: y = np.log(x)
      Fix: keep the argument where the function is defined: ...
    """
    token = _watch.set(Watch(infinities))
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def _inside_rule() -> Iterator[None]:
    watch = _watch.get()
    token = _watch.set(None if watch is None else replace(watch, in_rule=True))
    try:
        yield
    finally:
        _watch.reset(token)


def _without_warnings() -> np.errstate:
    """Silence NumPy where an error comes in the place of its warning."""
    watch = _watch.get()
    if watch is None or not watch.infinities:
        return np.errstate(invalid="ignore")
    return np.errstate(invalid="ignore", divide="ignore", over="ignore")


# --- what transforms ask for ---------------------------------------------------------------------


def new_tape() -> Tape:
    """Make the tape of a transform."""
    return Tape() if _watch.get() is None else WatchedTape()


def new_forward(zero_stays_zero: bool) -> Forward:
    """Make the trace of a transform in forward mode."""
    return Forward(zero_stays_zero) if _watch.get() is None else WatchedForward()


def new_batch(size: int) -> Batch:
    """Make the trace of vmap."""
    return Batch(size) if _watch.get() is None else WatchedBatch(size)


def check_made(what: str, before: Any, after: Any, fix: str = "") -> None:
    """Raise if there is a NaN in `after` and none in `before`.

    Parameters
    ----------
    what : str
        What was computed, for the message.
    before, after : pytree
        Its arguments and its results. What is no array is passed over.
    """
    watch = _watch.get()
    if watch is None or watch.in_rule:
        return
    for name, is_bad in (("a NaN", np.isnan), ("an infinity", np.isinf)):
        if is_bad is np.isinf and not watch.infinities:
            return
        found = _first(after, is_bad)
        unmade = np.isnan if is_bad is np.isnan else lambda x: ~np.isfinite(x)
        if found is not None and _first(before, unmade) is None:
            raise fail(NonFiniteError, f"{what} made {name}, in {found}.", fix or _FIX, _where())


_FIX = (
    "keep the argument where the function is defined: np.log(np.where(x > 0, x, 1.0)), "
    "np.maximum(x, eps), a smaller step"
)
_FIX_RULE = (
    "the derivative is not finite there: move away from the singular point (np.maximum(x, eps)), "
    "or replace the argument first (np.where(x > 0, x, 1.0))"
)


def _first(values: Any, is_bad: Callable[[Any], Any]) -> str | None:
    """Describe the first entry that is bad, None if none is."""
    for x in tree.leaves(values):
        x = concrete(x)
        if not isinstance(x, (np.ndarray, float, complex, np.inexact)):
            continue
        x = np.asarray(x)
        if x.dtype.kind not in "fc":
            continue
        bad = is_bad(x)
        if bad.any():
            index = np.unravel_index(int(bad.argmax()), bad.shape)
            entry = ", ".join([str(int(i)) for i in index])
            return f"entry [{entry}] of its result of shape {x.shape}" if index else "its result"
    return None


def _where() -> str | None:
    place = _place(sys._getframe(1))
    return None if place is None else location_of(*place)


def _place(frame: FrameType | None) -> Place | None:
    """Return the user's line that is being executed, or the line of the record whose rule is."""
    while frame is not None:
        if frame.f_code is _pull.__code__:
            place: Place | None = frame.f_locals["kept"].place
            return place
        if not is_internal(frame):
            return frame.f_code, frame.f_lasti
        frame = frame.f_back
    return None


# --- the traces ----------------------------------------------------------------------------------


class WatchedTracer(TapeTracer):
    """A value on a watched tape: its operators all go through `WatchedTape.process`."""

    __slots__ = ()


for _name in vars(TapeTracer).keys() & vars(Tracer).keys():  # the quick recorders
    if callable(getattr(Tracer, _name)):
        setattr(WatchedTracer, _name, getattr(Tracer, _name))


@dataclass(frozen=True)
class _Edge:
    """What the pullback of one edge needs, and where it comes from."""

    pull: Any
    kept: Any
    fix: Any
    name: str
    place: Place | None


class WatchedTape(NotedTape):
    """A tape that looks at the result of each operation, and of each pullback."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[int, str] = {}

    def place(self, frame: FrameType) -> Place | None:
        return _place(frame)

    def input(self, value: Any) -> TapeTracer:
        tracer: TapeTracer = _watched(super().input(value))
        return tracer

    def split(self, outputs: Any, index: int) -> list[Any]:
        return [_watched(x) for x in super().split(outputs, index)]

    def process(self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        index = len(self.records)
        with _without_warnings():
            out = super().process(primitive, args, settings)
        self.names[index] = primitive.name
        check_made(f"`{primitive.name}`", args, out)
        return out if primitive.multiple else _watched(out)

    def edges(self) -> list[Record]:
        if _watch.get() is None:
            return self.records
        return [self._watched_record(i, record) for i, record in enumerate(self.records)]

    def _watched_record(self, index: int, record: Record) -> Record:
        if record is None:
            return None
        name = self.names.get(index, "the operation")
        place = self.places[index]
        return tuple(
            [
                (parent, _pull, _Edge(pull, kept, fix, name, place), ACCUMULATES)
                for parent, pull, kept, fix in record
            ]
        )


def _watched(x: Any) -> Any:
    if type(x) is TapeTracer:
        x.__class__ = WatchedTracer
    return x


def _pull(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: _Edge) -> None:
    """Do what the walk does with an edge, zeros kept zero, and look at what is handed on."""
    before = cts[parent]
    if kept.fix is ACCUMULATES:  # adds by itself: a read, or a custom rule, which looks at its own
        before = copy.copy(before) if isinstance(before, (np.ndarray, list)) else before
        kept.pull(cts, owned, parent, ct, kept.kept)
        check_made(f"the backward pass of `{kept.name}`", (ct, before), cts[parent], _FIX_RULE)
        return
    g = ct
    if kept.pull is not None:
        with _inside_rule():
            g = keep_zero(kept.pull, kept.kept, ct, kept.pull(ct, kept.kept))
    if kept.fix is not None:
        g = restore(g, *kept.fix)
    check_made(f"the backward pass of `{kept.name}`", (ct, kept.kept), g, _FIX_RULE)
    total = g if before is None else before + g
    check_made(f"the sum of cotangents, `{kept.name}`'s being the last,", (before, g), total)
    cts[parent] = total
    owned[parent] = 0


class WatchedForward(Forward):
    """Forward mode that looks at values and tangents."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(zero_stays_zero=True)  # which also keeps the quick operators away

    def process(self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        with _without_warnings():
            out = super().process(primitive, args, settings)
        check_made(f"`{primitive.name}`", args, out)
        tangents = [x.tangent for x in args if isinstance(x, Tracer) and x._trace is self]
        pushed = [
            x.tangent
            for x in (out if primitive.multiple else (out,))
            if isinstance(x, Tracer) and x._trace is self
        ]
        check_made(f"the derivative of `{primitive.name}`", (args, tangents), pushed, _FIX_RULE)
        return out

    def _push(
        self, primitive: Primitive, i: int, t: Any, ans: Any, primals: Any, settings: Any
    ) -> Any:
        with _inside_rule():
            return super()._push(primitive, i, t, ans, primals, settings)


class WatchedBatch(Batch):
    """vmap that looks at the results for all examples."""

    __slots__ = ()

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.careful = True  # the quick operators would pass by

    def process(self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        with _without_warnings():
            out = super().process(primitive, args, settings)
        check_made(f"`{primitive.name}`", args, out)
        return out
