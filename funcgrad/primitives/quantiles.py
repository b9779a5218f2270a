"""Medians, quantiles and their kin."""

from typing import Any

import numpy as np

from funcgrad.core import Primitive, Tracer, as_array, concrete, handle
from funcgrad.primitives.axes import count, kept_shape, listed_axes, outside
from funcgrad.primitives.families import primitive
from funcgrad.primitives.plain import is_mapped, no_out
from funcgrad.primitives.statistics import aligned_weights

# --- order statistics ----------------------------------------------------------------------------


def _shares(x: Any, ans: Any) -> Any:
    """Return, for each order statistic, the weights of the entries that are equal to it: even ones."""
    same = x[..., None, :] == ans[..., :, None]
    return same.astype(x.dtype) / np.maximum(np.sum(same, axis=-1, keepdims=True), 1).astype(
        x.dtype
    )


def _rank(x: Any, k: Any) -> Any:
    """Return the entries `x[..., k]`, the same places for all slices or, where k has more axes, their own."""
    if k.ndim < 2 and not isinstance(k, Tracer):
        return x[..., k]
    return np.take_along_axis(x, np.broadcast_to(k, x.shape[:-1] + k.shape[-1:]), -1)


def _order(ndim: int, axes: Any) -> tuple[int, ...]:
    """Return all axes, `axes` last."""
    return (*[i for i in range(ndim) if i not in axes], *axes)


def _rows(x: Any, axes: Any) -> Any:
    """Return `x` with `axes` as one, the last."""
    ndim = x.ndim
    if axes == (ndim - 1,):
        return x
    order = _order(ndim, axes)
    if order != tuple(range(ndim)):
        x = x.transpose(order)
    lead = ndim - len(axes)
    return x.reshape((*x.shape[:lead], count(x.shape, tuple(range(lead, ndim)))))


def _short(axes: Any, ndim: int) -> Any:
    """Return axes as NumPy is quickest with them: it moves those of a tuple."""
    if len(axes) == ndim:
        return None
    return axes[0] if len(axes) == 1 else axes


def _rows_back(g: Any, shape: Any, axes: Any) -> Any:
    """Return what was laid out by `_rows` in the shape it came from."""
    order = _order(len(shape), axes)
    back = sorted(range(len(shape)), key=lambda i: order[i])
    return g.reshape(tuple([shape[i] for i in order])).transpose(back)


def _middle_shares(x: Any, skip: bool) -> Any:
    """Return the derivative of the median along the last axis by each entry."""
    if skip:
        n = np.sum(~np.isnan(x), axis=-1, keepdims=True)
        ranked = np.sort(x, axis=-1)  # NaN comes last
        lower, middle = _rank(ranked, np.maximum(n - 1, 0) // 2), _rank(ranked, n // 2)
        return (_shares(x, lower) + _shares(x, middle))[..., 0, :] / 2
    n = x.shape[-1]
    middle = np.partition(x, n // 2, -1)[..., n // 2]
    if n % 2:
        return _shares(x, middle[..., None])[..., 0, :]
    lower = np.partition(x, n // 2 - 1, -1)[..., n // 2 - 1]
    return (_shares(x, lower[..., None]) + _shares(x, middle[..., None]))[..., 0, :] / 2


def _median_pull(ct: Any, x: Any, axes: Any, skip: bool) -> Any:
    shares = _middle_shares(_rows(x, axes), skip)
    return _rows_back(ct.reshape((*shares.shape[:-1], 1)) * shares, x.shape, axes)


def _median_push(t: Any, ans: Any, x: Any, axes: Any, skip: bool) -> Any:
    return (_rows(t, axes) * _middle_shares(_rows(x, axes), skip)).sum(-1).reshape(ans.shape)


_median: Primitive = primitive(
    "median",
    lambda x, axes, keepdims, skip: (np.nanmedian if skip else np.median)(
        x, _short(axes, x.ndim), keepdims=keepdims
    ),
    vjp=(_median_pull,),
    jvp=(_median_push,),
    batch=lambda *batch: _batch_median(*batch),
)


def _batch_median(args: Any, mapped: Any, settings: Any) -> Any:
    (x,), settings = args, {**settings, "axes": outside(settings["axes"])}
    return _median(x, **settings) if len(x) else _median(_one_example(x), **settings)[:0]


def _one_example(x: Any) -> Any:
    """Return a batch of one in place of an empty one, which NumPy gives a result of another shape."""
    return np.zeros((1, *x.shape[1:]), x.dtype)


def _median_function(fun: Any, skip: bool) -> None:
    """Declare np.median or np.nanmedian: the middle entry or the mean of the two; ties share evenly."""

    @handle(fun)
    def median(
        a: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        keepdims: Any = False,
    ) -> Any:
        no_out(f"np.{fun.__name__}", out)
        a = as_array(a)
        axes = listed_axes(axis, a.ndim)
        if not count(a.shape, axes):
            return np.mean(a, axes, keepdims=bool(keepdims))
        return _median(a, axes=axes, keepdims=bool(keepdims), skip=skip)


_median_function(np.median, False)
_median_function(np.nanmedian, True)


# --- quantiles -----------------------------------------------------------------------------------


def _hyndman_fan(alpha: float, beta: float) -> Any:
    return lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


def _rounded_down(n: Any, q: Any) -> Any:
    """Return the index of method inverted_cdf."""
    index = n * q - 1
    whole = np.floor(index)
    return np.where(index == whole, whole, whole + 1)


def _closest(n: Any, q: Any) -> Any:
    """Return the index of method closest_observation: halves go to the even observation."""
    index = n * q - 1 - 0.5
    whole = np.floor(index)
    return np.where((index == whole) & (whole % 2 == 1), whole, whole + 1)


# The place of the quantile among the sorted entries, counted from 0: see Hyndman & Fan, Sample
# quantiles in statistical packages, 1996.
_PLACES = {
    "inverted_cdf": _rounded_down,
    "averaged_inverted_cdf": lambda n, q: n * q - 1,
    "closest_observation": _closest,
    "interpolated_inverted_cdf": _hyndman_fan(0, 1),
    "hazen": _hyndman_fan(0.5, 0.5),
    "weibull": _hyndman_fan(0, 0),
    "linear": lambda n, q: (n - 1) * q,
    "median_unbiased": _hyndman_fan(1 / 3.0, 1 / 3.0),
    "normal_unbiased": _hyndman_fan(3 / 8.0, 3 / 8.0),
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
    "nearest": lambda n, q: np.rint((n - 1) * q),
}
_STEPWISE = (  # q moves nothing but from step to step
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation"),
    *("lower", "higher", "midpoint", "nearest"),
)
_WHOLE = ("inverted_cdf", "closest_observation", "lower", "higher", "nearest")


def _weight(method: str, place: Any, low: Any) -> Any:
    """Return the weight of the upper neighbour."""
    if method == "averaged_inverted_cdf":
        return np.where(place == low, 0.5, 1.0).astype(place.dtype)
    if method == "midpoint":
        return np.where(place % 1 == 0, 0.0, 0.5).astype(place.dtype)
    return place - low


def _number(x: Any, q: Any, skip: bool) -> Any:
    """Return how many numbers there are along the last axis: one count, or one per slice if some are NaN."""
    if not skip:
        return x.shape[-1]
    # in the dtype that a Python integer would leave
    return np.sum(~np.isnan(x), axis=-1, keepdims=True).astype(np.result_type(q.dtype, np.float16))


def _neighbours(x: Any, q: Any, method: str, skip: bool) -> tuple[Any, Any, Any]:
    """Return the entries below and above each quantile, and the weight of the one above; q has one axis."""
    n = _number(x, q, skip)
    place = _PLACES[method](n, q)
    low = np.floor(place)
    last = np.maximum(n - 1, 0)
    first, second = [np.clip(k, 0, last).astype(np.intp) for k in (low, low + 1)]
    weight = 0 * place if method in _WHOLE else _weight(method, place, low)
    ranked = np.sort(x, axis=-1)
    return _rank(ranked, first), _rank(ranked, second), np.where(place < 0, 0, weight)


def _quantile_shares(x: Any, q: Any, method: str, skip: bool) -> Any:
    """Return the derivative of each quantile by each entry of the last axis of x: shape (..., q, n)."""
    low, high, weight = _neighbours(x, q, method, skip)
    weight = weight[..., None].astype(x.dtype)
    return (1 - weight) * _shares(x, low) + weight * _shares(x, high)


def _quantile_slope(x: Any, q: Any, method: str, skip: bool) -> Any:
    """Return the derivative of each quantile by q: what one step adds, times the steps per unit of q."""
    n = _number(x, q, skip)
    if method in _STEPWISE:
        return np.zeros((*x.shape[:-1], len(q)), x.dtype)
    place = _PLACES[method](n, q)
    low, high, _ = _neighbours(x, q, method, skip)
    rate = _PLACES[method](n, 1.0) - _PLACES[method](n, 0.0)
    return np.where((place < 0) | (place >= n - 1), 0, high - low) * rate


def _interpolated(a: Any, b: Any, t: Any) -> Any:
    """Interpolate as NumPy does, exact at both ends."""
    difference = b - a
    return np.where(t >= 0.5, b - difference * (1 - t), a + difference * t)


def _quantile_value(x: Any, q: Any, axes: Any, method: str, keepdims: bool, skip: bool) -> Any:
    if not skip or len(axes) == x.ndim or method in _WHOLE:
        fun: Any = np.nanquantile if skip else np.quantile
        if not q.ndim and q.dtype == x.dtype:
            q = q.item()  # 2 us quicker than a NumPy scalar
        return fun(x, q, _short(axes, x.ndim), method=method, keepdims=keepdims)
    # NumPy takes one slice after the other, at 20 us each.
    low, high, weight = _neighbours(_rows(x, axes), q.reshape(-1), method, skip)
    shape = kept_shape(x.shape, axes) if keepdims else low.shape[:-1]
    result = np.moveaxis(_interpolated(low, high, weight), -1, 0)
    return result.reshape(q.shape + shape)


def _quantiles_last(ct: Any, q: Any, lead: Any) -> Any:
    """Return what stands in NumPy's place, the axes of q first, with them as one and last."""
    return _to_the_end(ct.reshape((q.size, *lead)))


def _quantiles_first(x: Any, ans: Any) -> Any:
    return np.moveaxis(x, -1, 0).reshape(ans.shape)


def _quantile_pull(ct: Any, x: Any, q: Any, axes: Any, method: str, skip: bool) -> Any:
    rows = _rows(x, axes)
    ct = _quantiles_last(ct, q, rows.shape[:-1])
    shares = _quantile_shares(rows, q.reshape(-1), method, skip)
    return _rows_back(np.sum(ct[..., None] * shares, axis=-2), x.shape, axes)


def _quantile_pull_q(ct: Any, x: Any, q: Any, axes: Any, method: str, skip: bool) -> Any:
    rows = _rows(x, axes)
    ct = _quantiles_last(ct, q, rows.shape[:-1])
    change = ct * _quantile_slope(rows, q.reshape(-1), method, skip)
    return np.sum(change, axis=tuple(range(change.ndim - 1))).reshape(q.shape)


def _quantile_push(t: Any, ans: Any, x: Any, q: Any, axes: Any, method: str, skip: bool) -> Any:
    shares = _quantile_shares(_rows(x, axes), q.reshape(-1), method, skip)
    return _quantiles_first(np.sum(_rows(t, axes)[..., None, :] * shares, axis=-1), ans)


def _quantile_push_q(t: Any, ans: Any, x: Any, q: Any, axes: Any, method: str, skip: bool) -> Any:
    slope = _quantile_slope(_rows(x, axes), q.reshape(-1), method, skip)
    return _quantiles_first(t.reshape(-1) * slope, ans)


def _batch_quantile(args: Any, mapped: Any, settings: Any) -> Any:
    """Apply to each example; where each has quantiles of its own they go one by one."""
    x, q = args
    n = len(args[mapped.index(True)])
    if not n:
        args = [_one_example(x) if m else x for x, m in zip(args, mapped)]
        return _batch_quantile(args, mapped, settings)[:0]
    if not mapped[1]:
        found = _quantile(x, q, **{**settings, "axes": outside(settings["axes"])})
        return np.moveaxis(found, q.ndim, 0) if q.ndim else found
    rows = [_quantile(x[k] if mapped[0] else x, q[k], **settings) for k in range(n)]
    return np.stack(rows)


_quantile: Primitive = primitive(
    "quantile",
    _quantile_value,
    vjp=(_quantile_pull, _quantile_pull_q),
    jvp=(_quantile_push, _quantile_push_q),
    parameters=("x", "q"),
    batch=_batch_quantile,
)


def _to_the_end(x: Any) -> Any:
    """Return an array with its first axis last (np.moveaxis takes 6 us)."""
    return x if x.ndim == 1 else x.transpose((*range(1, x.ndim), 0))


def _batch_weighted(args: Any, mapped: Any, settings: Any) -> Any:
    """Apply to the last axis of each example; quantiles of their own for each go one by one."""
    n = len(args[mapped.index(True)])
    args = [x if m or i == 1 else np.broadcast_to(x, (n, *x.shape))
            for i, (x, m) in enumerate(zip(args, mapped))]  # fmt: skip
    x, q, w = args
    if not n:
        return np.zeros((0, *x.shape[1:-1], q.shape[-1]), x.dtype)
    if not mapped[1]:
        return _weighted_quantile(x, q, w, **settings)
    return np.stack([_weighted_quantile(x[k], q[k], w[k], **settings) for k in range(n)])


# Each is one of the entries, which one depends on q and the weights stepwise.
_weighted_quantile: Primitive = primitive(
    "weighted_quantile",
    lambda x, q, w, skip: _to_the_end(
        (np.nanquantile if skip else np.quantile)(x, q, -1, weights=w, method="inverted_cdf")
    ),
    vjp=(lambda ct, ans, x: np.sum(ct[..., None] * _shares(x, ans), axis=-2), None, None),
    jvp=(lambda t, ans, x: np.sum(t[..., None, :] * _shares(x, ans), axis=-1), None, None),
    parameters=("x", "q", "w"),
    batch=_batch_weighted,
)


def _check_quantiles(name: str, a: Any, q: Any, method: str) -> None:
    if method not in _PLACES:
        raise ValueError(f"{method!r} is not a valid method. Use one of: {_PLACES.keys()}")
    if a.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    values = concrete(q)
    inside = 0 <= values.item() <= 1 if not values.ndim else ((values >= 0) & (values <= 1)).all()
    if not inside and not is_mapped(q):
        raise ValueError(f"{name}s must be in the range [0, {1 if name == 'Quantile' else 100}]")


def _weighted(a: Any, q: Any, axes: Any, keepdims: Any, skip: bool, weights: Any) -> Any:
    result = _weighted_quantile(_rows(a, axes), q.reshape(-1), _rows(weights, axes), skip=skip)
    rest = kept_shape(a.shape, axes) if keepdims else result.shape[:-1]
    return np.moveaxis(result, -1, 0).reshape(q.shape + rest)


def _fraction(a: Any, q: Any, scale: int) -> Any:
    """Return q as a fraction, in the dtype that NumPy gives it; and `a` as an array."""
    a = as_array(a)
    weak = isinstance(q, (int, float)) and a.dtype.kind == "f"
    q = np.asarray(q, a.dtype) if weak else as_array(q)
    if scale != 1:
        q = q / (a.dtype.type(scale) if a.dtype.kind == "f" else scale)
    return a, q


def _quantile_function(fun: Any, name: str, scale: Any, skip: bool) -> None:
    """Declare one of NumPy's four; the derivative by q is the slope between the neighbours."""

    @handle(fun)
    def quantile(
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: Any = False,
        *,
        weights: Any = None,
    ) -> Any:
        no_out(f"np.{fun.__name__}", out)
        a, q = _fraction(a, q, scale)
        _check_quantiles(name, a, q, method)
        axes = listed_axes(axis, a.ndim)
        a = a if a.dtype.kind == "f" else a.astype(np.float64)
        if weights is None:
            return _quantile(a, q, axes=axes, method=method, keepdims=bool(keepdims), skip=skip)
        if method != "inverted_cdf":
            raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
        weights = np.broadcast_to(aligned_weights(a, as_array(weights), axis), a.shape)
        return _weighted(a, q, axes, keepdims, skip, weights)


_quantile_function(np.quantile, "Quantile", 1, False)
_quantile_function(np.nanquantile, "Quantile", 1, True)
_quantile_function(np.percentile, "Percentile", 100, False)
_quantile_function(np.nanpercentile, "Percentile", 100, True)
