"""Running sums and products."""

import math
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, existing, handle
from funcgrad.primitives.axes import along, normalize_axis
from funcgrad.primitives.families import linear, primitive
from funcgrad.primitives.nan_reductions import filled
from funcgrad.primitives.plain import no_out


def _accumulated(ufunc: np.ufunc) -> Any:
    """Return what accumulates along an axis, or over the flat array if that is None."""

    def accumulate(x: Any, axis: Any) -> Any:
        return ufunc.accumulate(x.reshape(-1), 0) if axis is None else ufunc.accumulate(x, axis)

    return accumulate


def _batch_running(x: Any, run: Any, axis: Any) -> Any:
    if axis is None:
        return run(x.reshape((len(x), math.prod(x.shape[1:]))), axis=1)
    return run(x, axis=axis + 1)


def _from_the_end(ct: Any, x_shape: Any, axis: Any) -> Any:
    k = 0 if axis is None else axis
    backwards = (slice(None),) * k + (slice(None, None, -1),)  # np.flip takes 3 us
    return _cumsum(ct[backwards], axis=k)[backwards].reshape(x_shape)


_cumsum: Primitive = linear(
    "cumsum",
    _accumulated(np.add),
    transpose=_from_the_end,
    batch=lambda x, axis: _batch_running(x, _cumsum, axis),
)


def recurrence(a: Any, b: Any) -> Any:
    """Return s with s[j] = a[j] s[j - 1] + b[j] along axis 0, and s[0] = b[0].

    Each round joins neighbouring maps s -> a s + b, so there are log2(n) of them and no division.
    """
    step = 1
    while step < len(b):
        b = np.concatenate([b[:step], a[step:] * b[:-step] + b[step:]])
        a = np.concatenate([a[:step], a[step:] * a[:-step]])
        step *= 2
    return b


def _before(x: Any) -> Any:
    """Return the product of the entries before each along axis 0."""
    return np.concatenate([np.ones_like(x[:1]), np.cumprod(x, 0)[:-1]])


# With P[j] the product before x[j], d(cumprod)[j] = x[j] d(cumprod)[j - 1] + P[j] dx[j]; its
# transpose runs backwards. No division, so it is right at zeros.
def _cumprod_vjp(ct: Any, x: Any, axis: Any) -> Any:
    if axis is None:
        return _cumprod_vjp(ct, x.reshape(-1), 0).reshape(x.shape)
    x, ct = np.moveaxis(x, axis, 0), np.moveaxis(ct, axis, 0)
    factors = np.concatenate([x[1:], np.ones_like(x[:1])])
    after = np.flip(recurrence(np.flip(factors, 0), np.flip(ct, 0)), 0)
    return np.moveaxis(_before(x) * after, 0, axis)


def _cumprod_jvp(t: Any, x: Any, axis: Any) -> Any:
    if axis is None:
        return _cumprod_jvp(t.reshape(-1), x.reshape(-1), 0)
    x, t = np.moveaxis(x, axis, 0), np.moveaxis(t, axis, 0)
    return np.moveaxis(recurrence(x, _before(x) * t), 0, axis)


_cumprod: Primitive = primitive(
    "cumprod",
    _accumulated(np.multiply),
    vjp=(_cumprod_vjp,),
    jvp=(_cumprod_jvp,),
    batch=lambda args, mapped, settings: _batch_running(args[0], _cumprod, settings["axis"]),
)


def _wide(fun: Any, x: Any, dtype: Any) -> Any:
    """Cast to the dtype in which NumPy adds or multiplies."""
    if dtype is None:
        dtype = x.dtype if x.dtype.kind in "fc" else fun(np.zeros(1, x.dtype)).dtype
    return x if x.dtype == dtype else x.astype(dtype)


def _running(fun: Any, run: Any, fill: float | None = None) -> None:
    """Declare np.cumsum and the like; `fill` takes the place of NaN."""

    @handle(fun)
    def accumulate(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        no_out(f"np.{fun.__name__}", out)
        a = _wide(fun, as_array(a) if fill is None else filled(a, fill), dtype)
        if axis is not None:
            a, axis = along(a, axis)
        return run(a, axis=axis)


def _cumulative(fun: Any, run: Any, initial: int) -> None:
    """Declare np.cumulative_sum and np.cumulative_prod."""

    @handle(fun)
    def accumulate(
        x: Any,
        /,
        *,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        no_out(f"np.{fun.__name__}", out)
        x = np.atleast_1d(x)
        if axis is None and x.ndim > 1:
            raise ValueError(
                "For arrays which have more than one dimension ``axis`` argument is required."
            )
        axis = normalize_axis(0 if axis is None else axis, x.ndim)
        result = run(_wide(fun, x, dtype), axis=axis)
        if not include_initial:
            return result
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        return np.concatenate([np.full(shape, initial, result.dtype), result], axis)


_running(np.cumsum, _cumsum)
_running(np.cumprod, _cumprod)
_running(np.nancumsum, _cumsum, 0)
_running(np.nancumprod, _cumprod, 1)
for _fun in existing("cumulative_sum"):
    _cumulative(_fun, _cumsum, 0)
for _fun in existing("cumulative_prod"):
    _cumulative(_fun, _cumprod, 1)
