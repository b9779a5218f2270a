"""The methods of ufuncs: outer, accumulate, reduceat, reduce; `at` is in `updates.py`."""

from typing import Any

import numpy as np

from funcgrad.core import METHOD_HANDLERS, Primitive, as_array, unsupported
from funcgrad.primitives.axes import normalize_axis
from funcgrad.primitives.families import constant
from funcgrad.primitives.statistics import no_out

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
        return np.stack(found, axis)

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
        return np.take_along_axis(a, _place(a, axis=axis, ufunc=ufunc), axis)

    return accumulate


# --- reduce and reduceat -------------------------------------------------------------------------


def _reduce(ufunc: np.ufunc) -> Any:
    """Join the entries along one axis, from the first to the last."""

    def reduce(
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        if where is not True:
            unsupported(f"np.{ufunc.__name__}.reduce with where=", "use np.where before it")
        if isinstance(axis, tuple) and len(axis) == 1:
            axis = axis[0]
        if axis is None and as_array(a).ndim == 1:
            axis = 0
        if axis is None or isinstance(axis, tuple):
            unsupported(f"np.{ufunc.__name__}.reduce over several axes", "reduce axis by axis")
        a, axis = _front(a, axis, dtype, f"np.{ufunc.__name__}.reduce", out)
        parts = [*a] if initial is None else [initial, *a]
        if not len(a):
            start = ufunc.reduce(np.zeros(0, a.dtype)) if initial is None else initial
            parts = [np.full(a.shape[1:], start, a.dtype)]
        result = parts[0]
        for x in parts[1:]:
            result = ufunc(result, x)
        return np.expand_dims(result, axis) if keepdims else result

    return reduce


def _reduceat(ufunc: np.ufunc) -> Any:
    def reduceat(a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        a, axis = _front(a, axis, dtype, f"np.{ufunc.__name__}.reduceat", out)
        starts = [int(i) for i in indices]
        if any(not 0 <= i < len(a) for i in starts):
            raise IndexError(f"index out-of-bounds in {ufunc.__name__}.reduceat [0, {len(a)})")
        ends = [*starts[1:], len(a)]
        parts = [ufunc.reduce(a[i:j], axis=0) if i < j else a[i] for i, j in zip(starts, ends)]
        return np.stack(parts, axis)

    return reduceat


for _ufunc in (*SMOOTH, *STEPWISE):
    METHOD_HANDLERS[_ufunc, "outer"] = _outer(_ufunc)
for _ufunc in SMOOTH:
    METHOD_HANDLERS[_ufunc, "accumulate"] = _accumulate(_ufunc)
    # NumPy 2.4 itself gives a ** d for np.power.reduce([a, b, c, d]) on machines with AVX-512.
    if _ufunc not in (np.power, np.float_power, np.arctan2):
        METHOD_HANDLERS[_ufunc, "reduceat"] = _reduceat(_ufunc)
        METHOD_HANDLERS.setdefault((_ufunc, "reduce"), _reduce(_ufunc))
METHOD_HANDLERS[np.add, "accumulate"] = _accumulate_by(np.cumsum)
METHOD_HANDLERS[np.multiply, "accumulate"] = _accumulate_by(np.cumprod)
for _ufunc in (np.maximum, np.minimum):
    METHOD_HANDLERS[_ufunc, "accumulate"] = _running_extreme(_ufunc)
