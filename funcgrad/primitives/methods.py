"""The methods of ufuncs: outer, accumulate, reduceat, reduce; `at` is in `updates.py`."""

import itertools
from typing import Any, NoReturn

import numpy as np

from funcgrad.core import METHOD_HANDLERS, Primitive, as_array, unsupported
from funcgrad.primitives.axes import (
    as_number,
    count,
    in_rows,
    kept_shape,
    laid_out,
    normalize_axis,
    reduced_axes,
)
from funcgrad.primitives.families import constant, linear, primitive
from funcgrad.primitives.plain import no_out
from funcgrad.primitives.reductions import smooth_reduction
from funcgrad.primitives.ufuncs import over_length

SMOOTH = (
    *[np.add, np.subtract, np.multiply, np.divide, np.power, np.float_power, np.remainder, np.fmod],
    *[np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2, np.hypot, np.arctan2],
    np.copysign,
)
STEPWISE = (
    *[np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal],
    *[np.logical_and, np.logical_or, np.logical_xor, np.floor_divide],
)


def _front(a: Any, axis: Any, dtype: Any, name: str, out: Any) -> tuple[Any, int]:
    """Return `a` with the axis in front, and the axis."""
    no_out(name, out)
    a = as_array(a) if dtype is None else as_array(a).astype(dtype)
    axis = normalize_axis(axis, a.ndim)
    return np.moveaxis(a, axis, 0), axis


# --- outer ---------------------------------------------------------------------------------------


def _outer(ufunc: np.ufunc) -> Any:
    def outer(a: Any, b: Any, /, **options: Any) -> Any:
        a, b = as_array(a), as_array(b)
        return ufunc(a.reshape(a.shape + (1,) * b.ndim), b, **options)

    return outer


# --- accumulate ----------------------------------------------------------------------------------


def _accumulate(ufunc: np.ufunc) -> Any:
    """Join one entry after the other."""

    def accumulate(a: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        a, axis = _front(a, axis, dtype, f"np.{ufunc.__name__}.accumulate", out)
        if not len(a):
            return np.moveaxis(a, 0, axis)
        found = [a[0]]
        for x in a[1:]:
            found.append(ufunc(found[-1], x))
        return laid_out(in_rows(np.stack(found, axis)), np.moveaxis(a, 0, axis), "K")

    return accumulate


def _accumulate_by(fun: Any) -> Any:
    def accumulate(a: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        return fun(a, axis, dtype, out)

    return accumulate


def _place_of_record(x: Any, axis: int, ufunc: Any) -> Any:
    """Return where the running extreme was first reached."""
    x = np.moveaxis(x, axis, 0)
    running = ufunc.accumulate(x, 0)
    new = (x[1:] != running[:-1]) & ((x[1:] == running[1:]) | np.isnan(x[1:]))
    new &= ~np.isnan(running[:-1])
    places = np.zeros(x.shape, np.intp)
    places[1:] = np.where(new, np.arange(1, len(x)).reshape((-1,) + (1,) * (x.ndim - 1)), 0)
    return np.moveaxis(np.maximum.accumulate(places, 0), 0, axis)


_place: Primitive = constant(
    _place_of_record,
    name="place_of_record",
    batch=lambda args, mapped, settings: _place(
        args[0], **{**settings, "axis": settings["axis"] + 1}
    ),
)


def _running_extreme(ufunc: np.ufunc) -> Any:
    """Read the entries that set the records; of equal entries the first takes the derivative."""

    def accumulate(a: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        no_out(f"np.{ufunc.__name__}.accumulate", out)
        a = as_array(a) if dtype is None else as_array(a).astype(dtype)
        axis = normalize_axis(axis, a.ndim)
        found = np.take_along_axis(a, _place(a, axis=axis, ufunc=ufunc), axis)
        return laid_out(in_rows(found), a, "K")

    return accumulate


# --- reduce and reduceat -------------------------------------------------------------------------


def _softmax(exp: Any) -> Any:
    """Return the shares of the entries in the sum of their exponentials; infinite ones share evenly."""

    def shares(x: Any, ans: Any, axes: Any) -> Any:
        same = np.isinf(ans) & (x == ans)  # their difference is NaN
        e = exp(np.where(same, 0, x - ans))
        return e / np.sum(e, axes, keepdims=True)

    return shares


def _whole(ufunc: np.ufunc, partial: Any) -> Primitive:
    def reduce(x: Any, axes: Any, keepdims: bool) -> Any:
        return ufunc.reduce(x, axis=axes, keepdims=keepdims)

    return smooth_reduction(f"{ufunc.__name__}_reduce", reduce, partial)


# Reductions that need no step per entry: of 10,000 they take 0.4 ms in place of 120.
_WHOLE = {
    np.logaddexp: _whole(np.logaddexp, _softmax(np.exp)),
    np.logaddexp2: _whole(np.logaddexp2, _softmax(np.exp2)),
    np.hypot: _whole(np.hypot, lambda x, ans, axes: over_length(x, ans)),
}


def _reduce(ufunc: np.ufunc) -> Any:
    """Join the entries one after the other, from the first to the last of the axes."""

    def reduce(
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        no_out(f"np.{ufunc.__name__}.reduce", out)
        a = as_array(a) if dtype is None else as_array(a).astype(dtype)
        axes = reduced_axes(axis, a.ndim)
        start = _start(ufunc, a, axis, initial, where)
        if start is None and where is True and ufunc in _WHOLE and a.dtype.kind == "f":
            return _WHOLE[ufunc](a, axes=axes, keepdims=bool(keepdims))
        lead = count(a.shape, axes)
        rest = tuple([n for i, n in enumerate(a.shape) if i not in axes])
        where = True if where is True else _in_front(np.broadcast_to(where, a.shape), axes, lead)
        result: Any = None if start is None else np.full(rest, start, a.dtype)
        for i, x in enumerate(_in_front(a, axes, lead)):
            joined = x if result is None else ufunc(result, x)
            result = joined if where is True else np.where(where[i], joined, result)
        return result.reshape(kept_shape(a.shape, axes)) if keepdims else as_number(result)

    return reduce


def _in_front(a: Any, axes: Any, lead: int) -> Any:
    """Return an array with the axes as one, the first."""
    kept = tuple([i for i in range(a.ndim) if i not in axes])
    return np.transpose(a, axes + kept).reshape((lead, *[a.shape[i] for i in kept]))


def _start(ufunc: np.ufunc, a: Any, axis: Any, initial: Any, where: Any) -> Any:
    """Return what the first entry is joined to, or None; raise what NumPy raises for such axes."""
    if initial is None or isinstance(initial, (int, float)):
        masked = where if where is True else np.ones(a.shape, bool)
        given: dict[str, Any] = {} if initial is None else {"initial": initial}
        ufunc.reduce(np.ones(a.shape, a.dtype), axis=axis, where=masked, **given)
    if initial is not None or (where is True and a.size):
        return initial
    return ufunc.identity


def _spread(x: Any, starts: Any, n: int) -> Any:
    """Return each row of `x` as often as its segment has entries; zeros before the first segment."""
    spread = np.repeat(x, np.diff(starts, append=n), axis=0)
    before = np.zeros((starts[0], *x.shape[1:]), x.dtype)
    return spread if not starts[0] else np.concatenate([before, spread])


_segment_sum: Primitive = linear(
    "segment_sum",
    lambda x, starts: np.add.reduceat(x, starts),
    transpose=lambda ct, x_shape, starts: _spread(ct, starts, x_shape[0]),
    batch=lambda x, starts: np.moveaxis(_segment_sum(np.moveaxis(x, 1, 0), starts=starts), 0, 1),
)


def _segment_extreme(name: str, ufunc: np.ufunc) -> Primitive:
    """Declare the largest or smallest entry of each segment: ties share the derivative evenly."""

    def vjp(ct: Any, ans: Any, x: Any, starts: Any) -> Any:
        chosen = (x == _spread(ans, starts, len(x))).astype(ct.dtype)
        ties = np.maximum(_segment_sum(chosen, starts=starts), 1)  # a NaN equals nothing
        return _spread(ct / ties, starts, len(x)) * chosen

    def jvp(t: Any, ans: Any, x: Any, starts: Any) -> Any:
        chosen = (x == _spread(ans, starts, len(x))).astype(t.dtype)
        ties = np.maximum(_segment_sum(chosen, starts=starts), 1)
        return _segment_sum(t * chosen, starts=starts) / ties

    def batch(args: Any, mapped: Any, settings: Any) -> Any:
        return np.moveaxis(extreme(np.moveaxis(args[0], 1, 0), **settings), 0, 1)

    extreme = primitive(
        name,
        lambda x, starts: ufunc.reduceat(x, starts),
        vjp=(vjp,),
        jvp=(jvp,),
        batch=batch,
    )
    return extreme


# Segments that do not overlap and are not empty, all at once.
_SEGMENTS = {
    np.add: _segment_sum,
    np.maximum: _segment_extreme("segment_max", np.maximum),
    np.minimum: _segment_extreme("segment_min", np.minimum),
}


def _reduceat(ufunc: np.ufunc) -> Any:
    def reduceat(a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        a, axis = _front(a, axis, dtype, f"np.{ufunc.__name__}.reduceat", out)
        starts = [int(i) for i in indices]
        if any(not 0 <= i < len(a) for i in starts):
            raise IndexError(f"index out-of-bounds in {ufunc.__name__}.reduceat [0, {len(a)})")
        if not starts:
            return np.moveaxis(a[:0], 0, axis)
        if ufunc in _SEGMENTS and all([i < j for i, j in itertools.pairwise(starts)]):
            return np.moveaxis(_SEGMENTS[ufunc](a, starts=np.array(starts)), 0, axis)
        ends = [*starts[1:], len(a)]
        parts = [ufunc.reduce(a[i:j], axis=0) if i < j else a[i] for i, j in zip(starts, ends)]
        return np.stack(parts, axis)

    return reduceat


def _refused(ufunc: np.ufunc) -> Any:
    """Refuse what NumPy 2.4 gets wrong on machines with AVX-512: a ** d for np.power.reduce([a, b, c, d])."""

    def refuse(*args: Any, **options: Any) -> NoReturn:
        unsupported(
            f"np.{ufunc.__name__}.reduce or reduceat",
            f"functools.reduce(np.{ufunc.__name__}, x)",
        )

    return refuse


for _ufunc in (*SMOOTH, *STEPWISE):
    METHOD_HANDLERS[_ufunc, "outer"] = _outer(_ufunc)
for _ufunc in SMOOTH:
    METHOD_HANDLERS[_ufunc, "accumulate"] = _accumulate(_ufunc)
    known = _ufunc not in (np.power, np.arctan2)
    METHOD_HANDLERS[_ufunc, "reduceat"] = (_reduceat if known else _refused)(_ufunc)
    METHOD_HANDLERS.setdefault((_ufunc, "reduce"), (_reduce if known else _refused)(_ufunc))
METHOD_HANDLERS[np.add, "accumulate"] = _accumulate_by(np.cumsum)
METHOD_HANDLERS[np.multiply, "accumulate"] = _accumulate_by(np.cumprod)
for _ufunc in (np.maximum, np.minimum):
    METHOD_HANDLERS[_ufunc, "accumulate"] = _running_extreme(_ufunc)
