"""Sequences and curves: running sums, differences, convolutions, interpolation, order, ranges."""

import math
import operator
from typing import Any

import numpy as np

from funcgrad.core import (
    HANDLERS,
    Primitive,
    Tracer,
    as_array,
    existing,
    handle,
    is_number,
    is_traced,
    unsupported,
)
from funcgrad.operators import replace
from funcgrad.primitives.axes import (
    along,
    in_dtype,
    in_rows,
    laid_out,
    normalize_axes,
    normalize_axis,
)
from funcgrad.primitives.families import bilinear, constant, linear, primitive
from funcgrad.primitives.indexing import _by_example, in_order
from funcgrad.primitives.statistics import _filled, is_mapped, no_out, settled

# --- running sums and products -------------------------------------------------------------------


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
    return np.flip(_cumsum(np.flip(ct, k), axis=k), k).reshape(x_shape)


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
        a = _wide(fun, as_array(a) if fill is None else _filled(a, fill), dtype)
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

# --- differences ---------------------------------------------------------------------------------


def _between(x: Any, start: Any, stop: Any, axis: int) -> Any:
    """Return x[start:stop] along an axis."""
    return x[(slice(None),) * axis + (slice(start, stop),)]


def _end(x: Any, shape: tuple[int, ...], axis: int) -> Any:
    x = as_array(x)
    return x if x.ndim else np.broadcast_to(x, (*shape[:axis], 1, *shape[axis + 1 :]))


def _steps(x: Any, axis: int) -> Any:
    return _between(x, 1, None, axis) - _between(x, None, -1, axis)


def _steps_transposed(ct: Any, x_shape: Any, axis: int) -> Any:
    """Return -ct[0], ct[0] - ct[1], ..., ct[-1] along the axis."""
    if not ct.shape[axis]:
        return np.zeros_like(ct, shape=x_shape)
    ends = _between(ct, None, 1, axis), _between(ct, -1, None, axis)
    return np.concatenate([-ends[0], -_steps(ct, axis), ends[1]], axis)


_diff: Primitive = linear(
    "diff",
    _steps,
    transpose=_steps_transposed,
    batch=lambda x, axis: _diff(x, axis=axis + 1),
)


@handle(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Return the differences of neighbours, n times over."""
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    a = as_array(a)
    if not a.ndim:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = normalize_axis(axis, a.ndim)
    parts = [a if x is a else _end(x, a.shape, axis) for x in (prepend, a, append) if x is not None]
    a = np.concatenate(parts, axis) if len(parts) > 1 else a
    for _ in range(n):
        a = _diff(a, axis=axis)
    return a


@handle(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Return the differences of neighbours in the flat array, with more numbers at either end."""
    ary = as_array(ary)
    steps = _diff(ary if ary.ndim == 1 else ary.reshape(-1), axis=0)
    if to_begin is None and to_end is None:
        return steps
    ends = [
        () if x is None else (_fitting(x, name, ary.dtype),)
        for x, name in ((to_begin, "to_begin"), (to_end, "to_end"))
    ]
    return np.concatenate([*ends[0], steps, *ends[1]])


def _fitting(x: Any, name: str, dtype: Any) -> Any:
    x = as_array(x).reshape(-1)
    if not np.can_cast(x.dtype, dtype, "same_kind"):
        raise TypeError(
            f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule."
        )
    return x.astype(dtype)


def _spacings(f: Any, varargs: Any, axes: Any) -> list[Any]:
    """Return, per axis, the distance of neighbours: a number or one for each pair."""
    if not varargs:
        return [1.0] * len(axes)
    if len(varargs) == 1 and np.ndim(varargs[0]) == 0:
        return list(varargs) * len(axes)
    if len(varargs) != len(axes):
        raise TypeError("invalid number of arguments")
    return [_spacing(x, f.shape[axis]) for x, axis in zip(varargs, axes)]


def _spacing(places: Any, n: int) -> Any:
    if np.ndim(places) == 0:
        return places
    places = as_array(places)
    if places.ndim != 1:
        raise ValueError("distances must be either scalars or 1d")
    if len(places) != n:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    steps = np.diff(places.astype(np.float64) if places.dtype.kind in "iu" else places)
    return steps if is_traced(steps) or np.any(steps != steps[0]) else steps[0]


def _check_length(n: int, edge_order: int) -> None:
    if n < edge_order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, "
            "at least (edge_order + 1) elements are required."
        )


def _slopes(f: Any, d: Any, edge_order: int) -> Any:
    """Return the derivative along axis 0, as np.gradient: central inside, one-sided at the ends."""
    _check_length(len(f), edge_order)
    if np.ndim(d) == 0:
        inside = (f[2:] - f[:-2]) / (2.0 * d)
        first, last = d, d
    else:
        e, g = [x.reshape((-1,) + (1,) * (f.ndim - 1)) for x in (d[:-1], d[1:])]
        inside = -g / (e * (e + g)) * f[:-2] + (g - e) / (e * g) * f[1:-1]
        inside = inside + e / (g * (e + g)) * f[2:]
        first, last = d[0], d[-1]
    if edge_order == 1:
        left, right = (f[1] - f[0]) / first, (f[-1] - f[-2]) / last
    else:
        second, before = (first, last) if np.ndim(d) == 0 else (d[1], d[-2])
        left = _edge(first, second, f[0], f[1], f[2])
        right = -_edge(last, before, f[-1], f[-2], f[-3])
    return np.concatenate([left[None], inside, right[None]])


def _edge(d: Any, e: Any, f0: Any, f1: Any, f2: Any) -> Any:
    """Return the derivative at the end of the parabola through three points, d and e apart."""
    return -(2.0 * d + e) / (d * (d + e)) * f0 + (d + e) / (d * e) * f1 - d / (e * (d + e)) * f2


_EDGES = {1: (-1.0, 1.0), 2: (-1.5, 2.0, -0.5)}  # the weights of the slope at the first entry


def _gradient_transposed(ct: Any, d: Any, axis: int, edge_order: int) -> Any:
    """Return the sums of the cotangents of the slopes that each entry takes part in."""
    ct = np.moveaxis(ct, axis, 0) / d
    weights = np.array(_EDGES[edge_order], ct.real.dtype).reshape((-1,) + (1,) * (ct.ndim - 1))
    inside = ct[1:-1] / 2
    two = np.zeros_like(ct[:2])
    g = np.concatenate([two, inside]) - np.concatenate([inside, two])
    rest = np.zeros_like(ct[edge_order + 1 :])
    g = g + np.concatenate([weights * ct[:1], rest])
    g = g - np.concatenate([rest, weights[::-1] * ct[-1:]])
    return np.moveaxis(g, 0, axis)


def _gradient_value(x: Any, d: Any, axis: int, edge_order: int) -> Any:
    """Return what np.gradient does along one axis, in half the time on small arrays."""
    out = np.empty(x.shape, x.dtype)
    x, slopes = x.swapaxes(0, axis), out.swapaxes(0, axis)
    _check_length(len(x), edge_order)
    slopes[1:-1] = (x[2:] - x[:-2]) / (2.0 * d)
    if edge_order == 1:
        slopes[0], slopes[-1] = (x[1] - x[0]) / d, (x[-1] - x[-2]) / d
    else:
        slopes[0] = -1.5 / d * x[0] + 2.0 / d * x[1] - 0.5 / d * x[2]
        slopes[-1] = 0.5 / d * x[-3] - 2.0 / d * x[-2] + 1.5 / d * x[-1]
    return out


_gradient: Primitive = linear(
    "gradient",
    _gradient_value,
    transpose=_gradient_transposed,
    batch=lambda x, d, axis, edge_order: _gradient(x, d=d, axis=axis + 1, edge_order=edge_order),
)


def _slopes_along(f: Any, axis: int, d: Any, edge_order: int) -> Any:
    if isinstance(d, (int, float)) and f.dtype.char != "e":
        return _gradient(f, d=d, axis=axis, edge_order=edge_order)
    slopes = in_rows(np.moveaxis(_slopes(np.moveaxis(f, axis, 0), d, edge_order), 0, axis))
    return in_dtype(slopes, f.dtype)


@handle(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Return the slopes along each axis by differences of neighbours."""
    f = as_array(f)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    if f.dtype.kind not in "fc":
        f = f.astype(np.float64)
    axes = normalize_axes(axis if axis is None or np.ndim(axis) == 0 else tuple(axis), f.ndim)
    spacings = zip(axes, _spacings(f, varargs, axes))
    slopes = [laid_out(in_rows(_slopes_along(f, i, d, edge_order)), f, "K") for i, d in spacings]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _trapezoid_weights(n: int, dx: Any) -> Any:
    weights = np.full(n, dx)
    weights[:1] /= 2
    weights[-1:] /= 2
    return weights if n > 1 else weights * 0


def _trapezoid_transposed(ct: Any, x_shape: Any, dx: Any, axis: int) -> Any:
    weights = _trapezoid_weights(x_shape[axis], dx).astype(ct.real.dtype)
    return np.expand_dims(ct, axis) * weights.reshape((-1,) + (1,) * (ct.ndim - axis))


_trapezoid: Primitive = linear(
    "trapezoid",
    lambda x, dx, axis: np.trapezoid(x, None, dx, axis),
    transpose=_trapezoid_transposed,
    batch=lambda x, dx, axis: _trapezoid(x, dx=dx, axis=axis + 1),
)


@handle(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrate by the trapezoidal rule."""
    y = as_array(y)
    along = normalize_axis(axis, y.ndim)
    if x is None and isinstance(dx, (int, float)) and y.dtype.kind in "fc":
        return _trapezoid(y, dx=float(dx), axis=along)
    width = dx
    if x is not None:
        x = as_array(x)
        width = np.diff(x, axis=-1 if x.ndim == 1 else axis)
        if x.ndim == 1:
            width = width.reshape((-1,) + (1,) * (y.ndim - along - 1))
    pairs = _between(y, 1, None, along) + _between(y, None, -1, along)
    return (width * pairs / 2.0).sum(axis)  # as given: x may have more axes than y


_unwrap: Primitive = primitive(
    "unwrap",
    lambda x, discont, axis, period: np.unwrap(x, discont, axis, period=period),
    vjp=(lambda ct: ct,),
    jvp=(lambda t: t,),
    batch=lambda args, mapped, settings: _unwrap(
        *args, **{**settings, "axis": settings["axis"] + 1}
    ),
)


@handle(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """Take jumps of more than half a period out; what is added is constant."""
    p = as_array(p)
    axis = normalize_axis(axis, p.ndim)
    if p.dtype.kind == "f" and _are_numbers(period, discont):
        return _unwrap(p, discont=discont, axis=axis, period=period)
    steps = np.diff(p, axis=axis)
    half = period / 2
    wrapped = np.mod(steps + half, period) - half
    wrapped = np.where((wrapped == -half) & (steps > 0), half, wrapped)
    change = np.where(np.abs(steps) < (half if discont is None else discont), 0, wrapped - steps)
    rest = _between(p, 1, None, axis) + np.cumsum(change, axis)
    return np.concatenate([_between(p, None, 1, axis).astype(rest.dtype), rest], axis)


def _are_numbers(*xs: Any) -> bool:
    """Tell whether all are Python numbers or None: settings."""
    return all([x is None or isinstance(x, (int, float)) for x in xs])


# --- convolution ---------------------------------------------------------------------------------


def _windows(x: Any, m: int) -> Any:
    """Return the `m` entries up to each place of the full convolution, latest first."""
    n = x.shape[-1]
    ends = np.zeros((*x.shape[:-1], m - 1), x.dtype)
    padded = np.concatenate([ends, x, ends], -1)
    return padded[..., np.arange(n + m - 1)[:, None] + np.arange(m)[::-1]]


def _batch_convolve(args: Any, mapped: Any, settings: Any) -> Any:
    x, y = args
    return (_windows(x, y.shape[-1]) @ y[..., None])[..., 0]


# (x * y)[k] = sum_i x[i] y[k - i], so the cotangent of x is ct against y reversed, where they overlap
_convolve: Primitive = bilinear(
    "convolve",
    np.convolve,
    vjp=(
        lambda ct, y, x_shape: _overlapping(ct, y[::-1], x_shape[0]),
        lambda ct, x, y_shape: _overlapping(ct, x[::-1], y_shape[0]),
    ),
    batch=_batch_convolve,
)


def _overlapping(x: Any, y: Any, n: int) -> Any:
    """Return the n entries of the convolution at which all of y overlaps x."""
    if type(x) is np.ndarray and type(y) is np.ndarray:
        return np.convolve(x, y, "valid")
    return _convolve(x, y)[len(y) - 1 : len(y) - 1 + n]


def _sequence(x: Any, name: str) -> Any:
    x = as_array(x)
    x = x if x.ndim else x.reshape(1)
    if x.ndim != 1:
        raise ValueError("object too deep for desired array")
    if not len(x):
        raise ValueError(f"{name} cannot be empty")
    return x


def _part(full: Any, n: int, m: int, mode: Any, reverse: bool) -> Any:
    """Return what `mode` takes of the full convolution of n and m entries."""
    short, long = (m, n) if n >= m else (n, m)
    if mode in ("full", 2):
        return full
    if mode in ("valid", 0):
        return full[short - 1 : long]
    if mode not in ("same", 1):
        raise ValueError(f"mode must be one of 'valid', 'same' or 'full' (got {mode!r})")
    start = (short - 1) // 2
    start = len(full) - start - long if reverse else start
    return full[start : start + long]


@handle(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """Convolve two sequences."""
    a, v = _sequence(a, "a"), _sequence(v, "v")
    return _part(_convolve(a, v), len(a), len(v), mode, False)


@handle(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """Correlate two sequences; the second is conjugated."""
    a, v = _sequence(a, "first array argument"), _sequence(v, "second array argument")
    full = _convolve(a, (v.conj() if v.dtype.kind == "c" else v)[::-1])
    return _part(full, len(a), len(v), mode, len(a) < len(v))


# --- interpolation -------------------------------------------------------------------------------


def _batch_places(new: Any) -> Any:
    def batch(args: Any, mapped: Any, settings: Any) -> Any:
        if not mapped[0]:  # a table for all examples: each value is looked up by itself
            return new(*args, **settings)
        return _by_example(new, args, mapped, settings)

    return batch


_searchsorted: Primitive = constant(
    np.searchsorted, batch=lambda *batch: _batch_places(_searchsorted)(*batch)
)


@handle(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Return the places where the values belong among sorted ones, constants."""
    a = as_array(a)
    a = a if sorter is None else a[as_array(sorter)]
    return _searchsorted(a, as_array(v), side=side)


_digitize: Primitive = constant(
    lambda bins, x, right: np.digitize(x, bins, right),
    name="digitize",
    batch=lambda *batch: _batch_places(_digitize)(*batch),
)


@handle(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Return the bin of each value, a constant."""
    return _digitize(as_array(bins), as_array(x), right=right)


def _periodic(x: Any, xp: Any, fp: Any, period: Any) -> Any:
    """Return the points in one period, in order, with one more at either end."""
    if settled(period) == 0:
        raise ValueError("period must be a non-zero value")
    period = abs(period)
    x, xp = x % period, xp % period
    order = np.argsort(xp)
    xp, fp = [HANDLERS["getitem"](table, order) for table in (xp, fp)]
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, np.concatenate([fp[-1:], fp, fp[:1]])


def _intervals(x: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return the interval of each x, the weight of its upper end, and whether x is in the table at all."""
    j = np.clip(np.searchsorted(xp, x, "right") - 1, 0, len(xp) - 2)
    low, high = xp[j], xp[j + 1]
    run = np.where(high == low, 1, high - low)  # of two points at one place the latter counts
    return j, (x - low) / run, (x >= xp[0]) & (x <= xp[-1])


def _interp_slope(x: Any, xp: Any, fp: Any) -> Any:
    """Return the slope of the interval that x is in, 0 outside of the table."""
    j, _, inside = _intervals(x, xp)
    run = xp[j + 1] - xp[j]
    return np.where(inside, (fp[j + 1] - fp[j]) / np.where(run == 0, 1, run), 0)


def _to_both_ends(lower: Any, upper: Any, j: Any, n: int) -> Any:
    """Add what belongs to either end of the intervals up over the table."""
    values = np.concatenate([lower.reshape(-1), upper.reshape(-1)])
    places = np.concatenate([j.reshape(-1), j.reshape(-1) + 1])
    return HANDLERS["scatter"](values, index=(places,), shape=(n,))


def _interp_vjp_xp(ct: Any, x: Any, xp: Any, fp: Any) -> Any:
    j, weight, _ = _intervals(x, xp)
    ct = -ct * _interp_slope(x, xp, fp)
    return _to_both_ends(ct * (1 - weight), ct * weight, j, len(xp))


def _interp_jvp_xp(t: Any, x: Any, xp: Any, fp: Any) -> Any:
    j, weight, _ = _intervals(x, xp)
    return -_interp_slope(x, xp, fp) * (t[j] * (1 - weight) + t[j + 1] * weight)


def _interp_weights(x: Any, xp: Any, left: Any, right: Any) -> tuple[Any, Any, Any]:
    """Return the interval of each x and the derivatives by the values at both ends."""
    j, weight, _ = _intervals(x, xp)
    low, high = x < xp[0], x > xp[-1]
    below = np.where(low, left is None, np.where(high, 0, 1 - weight))
    return j, below, np.where(high, right is None, np.where(low, 0, weight))


def _interp_vjp_fp(ct: Any, x: Any, xp: Any, left: Any, right: Any) -> Any:
    j, below, above = _interp_weights(x, xp, left, right)
    return _to_both_ends(ct * below, ct * above, j, len(xp))


def _interp_jvp_fp(t: Any, x: Any, xp: Any, left: Any, right: Any) -> Any:
    j, below, above = _interp_weights(x, xp, left, right)
    return t[j] * below + t[j + 1] * above


_interp: Primitive = primitive(
    "interp",
    lambda x, xp, fp, left, right: np.interp(x, xp, fp, left, right),
    vjp=(lambda ct, x, xp, fp: ct * _interp_slope(x, xp, fp), _interp_vjp_xp, _interp_vjp_fp),
    jvp=(lambda t, x, xp, fp: t * _interp_slope(x, xp, fp), _interp_jvp_xp, _interp_jvp_fp),
    parameters=("x", "xp", "fp"),
)


@handle(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Interpolate linearly; at a point of the table the slope is that of the interval above it."""
    double = np.dtype(np.float64)
    x, xp, fp = in_dtype(as_array(x), double), in_dtype(as_array(xp), double), as_array(fp)
    fp = in_dtype(fp, np.dtype(np.complex128) if fp.dtype.kind == "c" else double)
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences")
    if len(xp) != len(fp):
        raise ValueError("fp and xp are not of the same length.")
    if not len(xp):
        raise ValueError("array of sample points is empty")
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, period)
        left = right = None
    if len(xp) > 1 and not any([is_mapped(a) for a in (x, xp, fp)] + [is_traced((left, right))]):
        return _interp(x, xp, fp, left=left, right=right)
    return _interpolated(
        x, xp, fp, fp[0] if left is None else left, fp[-1] if right is None else right
    )


def _interpolated(x: Any, xp: Any, fp: Any, left: Any, right: Any) -> Any:
    if len(xp) == 1:
        inside = np.broadcast_to(fp[0], x.shape)
    else:
        j = np.clip(np.searchsorted(xp, x, "right") - 1, 0, len(xp) - 2)
        rise, run = fp[1:] - fp[:-1], xp[1:] - xp[:-1]
        slope = rise / np.where(run == 0, 1, run)  # of two points at one place the latter counts
        slope, below, value = [HANDLERS["getitem"](table, j) for table in (slope, xp, fp)]
        inside = slope * (x - below) + value
        inside = np.where(np.isnan(x), x, inside)
    return np.where(x < xp[0], left, np.where(x > xp[-1], right, inside))


# --- special functions ---------------------------------------------------------------------------


def _sinc_derivative(x: Any, order: int) -> Any:
    """Return a derivative of sin(pi x) / (pi x): near 0 by its series, elsewhere by recursion."""
    if order == 0:
        return np.sinc(x)
    y = np.pi * x
    near = np.abs(y) < 3 + order / 2
    small, large = np.where(near, y, 0), np.where(near, 1, y)
    series = sum(
        (-1) ** m * small ** (2 * m - order) / ((2 * m + 1) * math.factorial(2 * m - order))
        for m in range((order + 1) // 2, (order + 1) // 2 + 24)
    )
    far = np.sin(large) / large
    for k in range(1, order + 1):  # y f^(k) = sin^(k)(y) - k f^(k - 1)
        far = (_sine(large, k) - k * far) / large
    return np.where(near, series, far).astype(x.dtype) * x.dtype.type(np.pi**order)


def _sine(y: Any, order: int) -> Any:
    """Return a derivative of the sine."""
    return (np.sin(y), np.cos(y), -np.sin(y), -np.cos(y))[order % 4]


_NODES = np.cos((np.arange(128) + 0.5) * np.pi / 128)


def _i0_derivative(x: Any, order: int) -> Any:
    """Return a derivative of I0(x), the mean of exp(x cos(t)) over t, by the midpoint rule.

    The rule converges geometrically for periodic functions: 128 points are enough for every x
    whose I0(x) is a float.
    """
    if order == 0:
        return np.i0(x)
    total = np.exp(x[..., None] * _NODES) @ _NODES**order / len(_NODES)
    return np.asarray(total).astype(x.dtype)


def _with_derivatives(name: str, fun: Any) -> Primitive:
    """Declare a function that computes its own derivatives of every order."""
    new: Primitive = primitive(
        name,
        fun,
        vjp=(lambda ct, x, order: ct * new(x, order=order + 1),),
        jvp=(lambda t, x, order: t * new(x, order=order + 1),),
        batch=lambda args, mapped, settings: new(*args, **settings),
    )
    return new


_sinc = _with_derivatives("sinc", _sinc_derivative)
_i0 = _with_derivatives("i0", _i0_derivative)


@handle(np.sinc)
def sinc(x: Any) -> Any:
    """Return sin(pi x) / (pi x), smooth at 0."""
    return _sinc(x, order=0)


@handle(np.i0)
def i0(x: Any) -> Any:
    """Return the modified Bessel function of the first kind and order 0."""
    if x.dtype.kind == "c":
        raise TypeError("i0 not supported for complex values")
    return _i0(x, order=0)


_nan_to_num: Primitive = primitive(
    "nan_to_num",
    lambda x, **numbers: np.nan_to_num(x, **numbers),
    vjp=(lambda ct, x: np.where(np.isfinite(x), ct, 0),),
    jvp=(lambda t, x: np.where(np.isfinite(x), t, 0),),
    batch=lambda args, mapped, settings: _nan_to_num(*args, **settings),
)


@handle(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Replace NaN and infinities by numbers, whose derivative is zero."""
    if not copy and isinstance(x, Tracer) and not is_number(x):
        return replace(x, nan_to_num(x, True, nan, posinf, neginf))
    x = as_array(x)
    if x.dtype.kind == "c":
        return nan_to_num(x.real, True, nan, posinf, neginf) + 1j * nan_to_num(
            x.imag, True, nan, posinf, neginf
        )
    if x.dtype.kind != "f":
        return x
    if _are_numbers(nan, posinf, neginf):
        return _nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)
    limits = np.finfo(x.dtype)
    posinf = limits.max if posinf is None else posinf
    neginf = limits.min if neginf is None else neginf
    x = np.where(np.isnan(x), nan, x)
    return np.where(x == np.inf, posinf, np.where(x == -np.inf, neginf, x))


@handle(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """Return the real part if all imaginary parts are close to zero."""
    if a.dtype.kind != "c":
        return a
    limit = tol * np.finfo(a.dtype).eps if tol > 1 else tol
    return a.real if np.all(np.abs(settled(a).imag) < limit) else a


# --- order ---------------------------------------------------------------------------------------


@handle(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """Sort, and return complex numbers."""
    a = np.sort(a)
    if a.dtype.kind == "c":
        return a
    return a.astype({"b": "F", "h": "F", "B": "F", "H": "F", "g": "G"}.get(a.dtype.char, "D"))


_argpartition: Primitive = constant(
    np.argpartition,
    batch=lambda args, mapped, settings: _argpartition(
        args[0], **{**settings, "axis": settings["axis"] + 1}
    ),
)


@handle(np.argpartition)
def argpartition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    """Return the indices that would partition along an axis, a constant."""
    if order is not None:
        unsupported("np.argpartition with order=")
    a = as_array(a)
    a, axis = along(a, axis)
    return _argpartition(a, kth=kth, axis=axis, kind=kind)


@handle(np.partition)
def partition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    """Partition along an axis; equal entries take their derivatives by position."""
    a = as_array(a)
    if axis is None:
        a, axis = a.reshape(-1), 0
    return laid_out(in_rows(in_order(a, argpartition(a, kth, axis, kind, order), axis)), a, "K")


# --- ranges --------------------------------------------------------------------------------------


def _fractions(num: int, endpoint: bool, ndim: int, dtype: Any) -> Any:
    """Return how far each of the numbers is on the way from the first limit to the second."""
    parts = num - 1 if endpoint else num
    return (np.arange(num, dtype=dtype) / max(parts, 1)).reshape((num,) + (1,) * (ndim - 1))


def _to_start(ct: Any, num: int, endpoint: bool) -> Any:
    return (ct * (1 - _fractions(num, endpoint, ct.ndim, ct.real.dtype))).sum(0)


def _to_stop(ct: Any, num: int, endpoint: bool) -> Any:
    return (ct * _fractions(num, endpoint, ct.ndim, ct.real.dtype)).sum(0)


_linspace: Primitive = primitive(
    "linspace",
    lambda x, y, num, endpoint: np.linspace(x, y, num, endpoint, dtype=np.result_type(x, y)),
    vjp=(_to_start, _to_stop),
    jvp=(
        lambda t, num, endpoint: t * (1 - _fractions(num, endpoint, t.ndim + 1, t.real.dtype)),
        lambda t, num, endpoint: t * _fractions(num, endpoint, t.ndim + 1, t.real.dtype),
    ),
    batch=lambda args, mapped, settings: np.moveaxis(_linspace(*args, **settings), 0, 1),
)


@handle(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """Return evenly spaced numbers between two (arrays of) limits."""
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    start, stop = [as_array(x) if isinstance(x, (list, tuple)) else x for x in (start, stop)]
    kind = HANDLERS[np.result_type](start, stop, float(num))
    start, stop = [in_dtype(as_array(x), kind) for x in (start, stop)]
    if start.shape != stop.shape:
        start, stop = np.broadcast_arrays(start, stop)
    y = _linspace(start, stop, num=num, endpoint=endpoint)
    y = np.moveaxis(y, 0, axis) if axis else y
    if dtype is not None:
        y = in_dtype(np.floor(y) if np.dtype(dtype).kind in "iu" else y, np.dtype(dtype))
    if not retstep:
        return y
    parts = num - 1 if endpoint else num
    return y, (stop - start) / parts if parts > 0 else np.nan


@handle(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return numbers evenly spaced on a logarithmic scale."""
    if np.ndim(base):
        arrays = [as_array(x) for x in (start, stop, base)]
        ndim = max([x.ndim for x in arrays])
        start, stop, base = [x.reshape((1,) * (ndim - x.ndim) + x.shape) for x in arrays]
        base = np.expand_dims(base, axis)
    y = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else y.astype(dtype)


@handle(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Return numbers of which each is the same multiple of the one before."""
    start, stop = as_array(start), as_array(stop)
    for x in (start, stop):
        if not isinstance(x == 0, Tracer) and np.any(x == 0):
            raise ValueError("Geometric sequence cannot include zero")
    kind = np.result_type(start, stop, float(num), np.zeros((), dtype))
    start, stop = start.astype(kind), stop.astype(kind)
    sign = np.sign(start)
    start, stop = start / sign, stop / sign
    y = logspace(np.log10(start), np.log10(stop), num, endpoint)
    if num > 0:
        first = np.broadcast_to(start, y.shape[1:])[None]
        last = [np.broadcast_to(stop, y.shape[1:])[None]] if endpoint and num > 1 else []
        y = np.concatenate([first, y[1 : num - len(last)], *last])
    y = y * sign
    y = np.moveaxis(y, 0, axis) if axis else y
    return y.astype(kind if dtype is None else dtype)
