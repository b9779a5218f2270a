"""Statistics: reductions that skip NaN, order statistics, weighted averages, covariances, histograms."""

import functools
import operator
from typing import Any

import numpy as np

from funcgrad.batch import BatchTracer
from funcgrad.core import (
    HANDLERS,
    Primitive,
    Tracer,
    as_array,
    concrete,
    handle,
    plain_array,
    unsupported,
)
from funcgrad.primitives.axes import (
    as_number,
    count,
    in_dtype,
    kept_shape,
    normalize_axes,
    outside,
    reduced_axes,
)
from funcgrad.primitives.families import linear, primitive
from funcgrad.primitives.ufuncs import conj, root


def no_out(name: str, out: Any) -> None:
    """Refuse an array to write the result into."""
    if out is not None:
        unsupported(f"{name} with out=", "use the returned value")


def settled(x: Any) -> Any:
    """Return the plain array under a tracer, from which a shape may be computed; raise under vmap."""
    while isinstance(x, Tracer) and not isinstance(x, BatchTracer):
        x._trace.check_running(x)
        x = x.value
    return plain_array(x)


def is_mapped(x: Any) -> bool:
    """Tell whether `x` differs from example to example under some vmap."""
    while isinstance(x, Tracer):
        if isinstance(x, BatchTracer):
            return True
        x = x.value
    return False


# --- reductions that skip NaN --------------------------------------------------------------------


_fill: Primitive = primitive(
    "nan_filled",
    lambda x, fill: np.where(np.isnan(x), fill, x),
    vjp=(lambda ct, x: np.where(np.isnan(x), 0, ct),),
    jvp=(lambda t, x: np.where(np.isnan(x), 0, t),),
    batch=lambda args, mapped, settings: _fill(*args, **settings),
)


def _filled(a: Any, fill: float) -> Any:
    """Return `a` with `fill` in place of NaN."""
    a = as_array(a)
    return a if a.dtype.kind not in "fc" else _fill(a, fill=fill)


def _neutral(fun: Any, fill: float) -> None:
    """Declare np.nansum and np.nanprod: NaN counts as the neutral entry."""

    @handle(getattr(np, f"nan{fun.__name__}"))
    def reduce(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        no_out(f"np.nan{fun.__name__}", out)
        return HANDLERS[fun](_filled(a, fill), axis, dtype, None, keepdims, initial, where)


_neutral(np.sum, 0)
_neutral(np.prod, 1)


def _reduction(name: str, fun: Any, shares: Any) -> Primitive:
    """Declare a reduction that skips NaN; `shares(x, ans, axes, ddof)` are its derivatives by the entries.

    A slice without enough numbers gives NaN, with derivative zero.
    """

    def push(t: Any, ans: Any, x: Any, axes: Any, ddof: Any, keepdims: bool) -> Any:
        return (t * shares(x, ans, axes, ddof)).sum(axes, keepdims=keepdims)

    def value(x: Any, axes: Any, ddof: Any, keepdims: bool) -> Any:
        options = {} if ddof is None else {"ddof": ddof}
        return fun(x, axis=axes, keepdims=keepdims, **options)

    new: Primitive = primitive(
        name,
        value,
        vjp=(
            lambda ct, ans, x, axes, ddof: (
                ct.reshape(kept_shape(x.shape, axes)) * shares(x, ans, axes, ddof)
            ),
        ),
        jvp=(push,),
        batch=lambda args, mapped, settings: new(
            *args, **{**settings, "axes": outside(settings["axes"])}
        ),
    )
    return new


def _extreme_shares(x: Any, ans: Any, axes: Any, ddof: Any) -> Any:
    """Return the weights of the largest (or smallest) entries: even ones."""
    same = x == ans.reshape(kept_shape(x.shape, axes))
    return same.astype(x.dtype) / np.maximum(same.sum(axes, keepdims=True), 1).astype(x.dtype)


def _mean_shares(x: Any, ans: Any, axes: Any, ddof: Any) -> Any:
    found = ~np.isnan(x)
    number = np.maximum(found.sum(axes, keepdims=True), 1)
    return found.astype(x.real.dtype) / number.astype(x.real.dtype)


def _spread_shares(x: Any, ans: Any, axes: Any, ddof: Any) -> Any:
    number = (~np.isnan(x)).sum(axes, keepdims=True)
    numbers = _filled(x, 0)
    center = numbers.sum(axes, keepdims=True) / np.maximum(number, 1).astype(x.dtype)
    factor = np.where(number > ddof, 2 / np.where(number > ddof, number - ddof, 1), 0)
    return np.where(np.isnan(x), 0, x - center) * factor.astype(x.dtype)


def _extreme(fun: Any, join: np.ufunc, fill: float) -> None:
    """Declare np.nanmax and np.nanmin; a slice of NaN alone gives NaN."""
    new = _reduction(f"nan{fun.__name__}", join.reduce, _extreme_shares)

    @handle(getattr(np, f"nan{fun.__name__}"))
    def reduce(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        no_out(f"np.nan{fun.__name__}", out)
        a = as_array(a)
        if initial is not None or where is not True or a.dtype.kind != "f":
            return HANDLERS[fun](_filled(a, fill), axis, None, keepdims, initial, where)
        return new(a, axes=reduced_axes(axis, a.ndim), ddof=None, keepdims=bool(keepdims))


_extreme(np.max, np.fmax, -np.inf)
_extreme(np.min, np.fmin, np.inf)


def _numbers(a: Any, where: Any) -> Any:
    """Return which entries count: those that are numbers and not masked out."""
    found = ~np.isnan(a)
    return found if where is True else found & where


_mean = _reduction("nanmean", np.nanmean, _mean_shares)


@handle(np.nanmean)
def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    """Average over the entries that are numbers."""
    no_out("np.nanmean", out)
    a = as_array(a)
    if dtype is None and where is True and a.dtype.kind in "fc":
        axes = reduced_axes(axis, a.ndim)
        return _mean(a, axes=axes, ddof=None, keepdims=bool(keepdims))
    return HANDLERS[np.mean](a, axis, dtype, None, keepdims, where=_numbers(a, where))


_variance = _reduction("nanvar", np.nanvar, _spread_shares)


@handle(np.nanvar)
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Return the variance of the numbers; where nothing remains after ddof it is NaN."""
    no_out("np.nanvar", out)
    a = as_array(a)
    usual = dtype is None and where is True and mean is None and correction is None
    if usual and a.dtype.kind == "f":
        axes = normalize_axes(axis, a.ndim)
        return _variance(a, axes=axes, ddof=ddof, keepdims=bool(keepdims))
    found = _numbers(a, where)
    result = HANDLERS[np.var](
        a, axis, dtype, None, ddof, keepdims, where=found, mean=mean, correction=correction
    )
    number = np.sum(found, axis=axis, keepdims=bool(keepdims))
    enough = number > (ddof if correction is None else correction)
    return as_number(np.where(enough, result, np.nan))


@handle(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, *args: Any, **options: Any) -> Any:
    """Return the root of np.nanvar; its derivative where all numbers are equal is zero."""
    result = root(nanvar(a, axis, dtype, *args, **options))
    return result if dtype is None else in_dtype(result, np.dtype(dtype))


def _position(fun: Any, fill: float) -> None:
    """Declare np.nanargmax and np.nanargmin, constants."""

    @handle(getattr(np, f"nan{fun.__name__}"))
    def position(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        no_out(f"np.nan{fun.__name__}", out)
        if not is_mapped(a):
            return getattr(np, f"nan{fun.__name__}")(settled(a), axis, keepdims=bool(keepdims))
        return HANDLERS[fun](_filled(a, fill), axis, keepdims=bool(keepdims))


_position(np.argmax, -np.inf)
_position(np.argmin, np.inf)


@handle(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    """Return the range: maximum less minimum."""
    no_out("np.ptp", out)
    a = as_array(a)
    return np.max(a, axis, keepdims=bool(keepdims)) - np.min(a, axis, keepdims=bool(keepdims))


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
        axes = normalize_axes(axis, a.ndim)
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
        axes = normalize_axes(axis, a.ndim)
        a = a if a.dtype.kind == "f" else a.astype(np.float64)
        if weights is None:
            return _quantile(a, q, axes=axes, method=method, keepdims=bool(keepdims), skip=skip)
        if method != "inverted_cdf":
            raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
        weights = np.broadcast_to(_aligned_weights(a, as_array(weights), axis), a.shape)
        return _weighted(a, q, axes, keepdims, skip, weights)


_quantile_function(np.quantile, "Quantile", 1, False)
_quantile_function(np.nanquantile, "Quantile", 1, True)
_quantile_function(np.percentile, "Percentile", 100, False)
_quantile_function(np.nanpercentile, "Percentile", 100, True)

# --- averages and covariances --------------------------------------------------------------------


def _aligned_weights(a: Any, weights: Any, axis: Any) -> Any:
    """Return weights that broadcast against `a`."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = normalize_axes(axis, a.ndim)
    if weights.shape != tuple([a.shape[i] for i in axes]):
        raise ValueError(
            "Shape of weights must be consistent with shape of a along specified axis."
        )
    weights = np.transpose(weights, np.argsort(axes))
    return weights.reshape(tuple([n if i in axes else 1 for i, n in enumerate(a.shape)]))


@handle(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    """Average with weights; their sum too if `returned`."""
    a = as_array(a)
    if weights is None:
        result = np.mean(a, axis, keepdims=bool(keepdims))
        total: Any = as_number(np.full(result.shape, a.size / max(result.size, 1), result.dtype))
        return (result, total) if returned else result
    weights = _aligned_weights(a, as_array(weights), axis)
    total = np.sum(weights, axis, keepdims=bool(keepdims))
    if weights.ndim and weights.shape != a.shape:
        total = np.sum(weights, normalize_axes(axis, a.ndim), keepdims=bool(keepdims))
    if not isinstance(total == 0, Tracer) and np.any(total == 0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    result = np.sum(a * weights, axis, keepdims=bool(keepdims)) / total
    if not returned:
        return result
    return result, as_number(np.broadcast_to(total, result.shape).astype(result.dtype))


def _variables(x: Any, dtype: Any, rowvar: bool, always: bool) -> Any:
    """Return a matrix with a variable per row."""
    if x.ndim > 2:
        raise ValueError("the variables have more than 2 dimensions")
    matrix = in_dtype(x if x.ndim == 2 else np.atleast_2d(x), dtype)
    return matrix if rowvar or (matrix.shape[0] == 1 if always else x.ndim == 1) else matrix.T


def _cov_weights(fweights: Any, aweights: Any) -> Any:
    if fweights is None or aweights is None:
        return aweights if fweights is None else fweights
    return fweights * aweights


def _freedom(w: Any, fweights: Any, aweights: Any, ddof: Any) -> Any:
    """Return the degrees of freedom by which the products are divided."""
    total = np.sum(w)
    if aweights is None or ddof == 0:
        return total - ddof
    return total - ddof * np.sum(w * aweights) / total


def _joint(x: Any) -> Any:
    """Return the sum of a square matrix and its conjugate transpose."""
    return x + conj(x.mT)


def _centered(x: Any) -> Any:
    return x - x.mean(-1, keepdims=True)


def _covariances(x: Any, freedom: Any) -> Any:
    x = _centered(x)
    return x @ conj(x.mT) / freedom


# With the means gone, C = X X^H / f: the cotangent of X is (ct + ct^H) conj(X) / f. Its rows sum to zero,
# as those of X do, so that nothing more reaches the means.
_cov: Primitive = primitive(
    "cov",
    _covariances,
    vjp=(lambda ct, x, freedom: _joint(ct) @ conj(_centered(x)) / freedom,),
    jvp=(lambda t, x, freedom: _joint(t @ conj(_centered(x).mT)) / freedom,),
    batch=lambda args, mapped, settings: _cov(*args, **settings),
)


def _correlations(x: Any, freedom: Any) -> Any:
    """Return the correlations of rows, with what rounding took out of [-1, 1] limited."""
    c = _covariances(x, freedom)
    deviation = np.sqrt(np.diagonal(c, 0, -2, -1).real)
    c = c / deviation[..., :, None] / deviation[..., None, :]
    if c.dtype.kind == "c":
        return np.clip(c.real, -1, 1) + 1j * np.clip(c.imag, -1, 1)
    return np.clip(c, -1, 1)


def _unit_rows(x: Any) -> tuple[Any, Any]:
    """Return the centered rows divided by their lengths, and the lengths."""
    x = _centered(x)
    length = np.sqrt((x * conj(x)).real.sum(-1, keepdims=True))
    return x / length, length


# C = Z Z^H for rows Z of length one; d(x / |x|) = dx / |x| - Z Re(sum(conj(Z) dx)) / |x|
def _corr_pull(ct: Any, x: Any) -> Any:
    z, length = _unit_rows(x)
    g = _joint(ct) @ conj(z)
    return (g - conj(z) * (g * z).real.sum(-1, keepdims=True)) / length


def _corr_push(t: Any, x: Any) -> Any:
    z, length = _unit_rows(x)
    change = (t - z * (conj(z) * t).real.sum(-1, keepdims=True)) / length
    return _joint(change @ conj(z.mT))


_corr: Primitive = primitive(
    "corrcoef",
    _correlations,
    vjp=(_corr_pull,),
    jvp=(_corr_push,),
    batch=lambda args, mapped, settings: _corr(*args, **settings),
)


def _table(m: Any, y: Any, rowvar: bool, dtype: Any) -> Any:
    """Return a matrix with the variables of both arrays as rows."""
    arrays = [as_array(x) for x in (m, y) if x is not None]
    dtype = np.result_type(*[x.dtype for x in arrays], np.float64) if dtype is None else dtype
    x = _variables(arrays[0], np.dtype(dtype), rowvar, False)
    if y is None:
        return x
    return np.concatenate([x, _variables(arrays[1], np.dtype(dtype), rowvar, True)])


@handle(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Return the covariances of the variables, one per row (or column)."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    x = _table(m, y, rowvar, dtype)
    ddof = int(not bias) if ddof is None else ddof
    if fweights is None and aweights is None:
        # no degrees of freedom: infinite or NaN, as NumPy gives it
        products = _cov(x, freedom=float(max(x.shape[1] - ddof, 0)))
    else:
        products = _weighted_products(x, fweights, aweights, ddof)
    return products.reshape(()) if len(x) == 1 else products


def _weighted_products(x: Any, fweights: Any, aweights: Any, ddof: int) -> Any:
    fweights, aweights = [
        None if w is None else as_array(w).astype(float) for w in (fweights, aweights)
    ]
    w = _cov_weights(fweights, aweights)
    centered = x - np.average(x, axis=1, weights=w)[:, None]
    freedom = np.maximum(_freedom(w, fweights, aweights, ddof), 0)
    products = np.dot(centered, (centered * w).T.conj()) / freedom
    return products if products.dtype == x.dtype else products.astype(x.dtype)


@handle(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Return the correlations of the variables, limited to [-1, 1]."""
    x = _table(x, y, rowvar, dtype)
    freedom = float(max(x.shape[1] - 1, 0))
    if len(x) == 1:
        c = _cov(x, freedom=freedom).reshape(())
        return c / c
    return _corr(x, freedom=freedom)


# --- histograms ----------------------------------------------------------------------------------


@handle(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Count each whole number, or add the weights that belong to it."""
    plain = settled(x)
    if weights is None:
        return np.bincount(plain, None, minlength)
    weights = in_dtype(as_array(weights), np.dtype(np.float64))
    if plain.shape != weights.shape:
        raise ValueError("The weights and list don't have the same length.")
    return _bincount(weights, places=np.array(plain), minlength=minlength)


def _batch_bincount(weights: Any, places: Any, minlength: int) -> Any:
    shape = (len(weights), np.bincount(places, None, minlength).size)
    return HANDLERS["scatter"](weights, index=(slice(None), places), shape=shape)


_bincount: Primitive = linear(
    "bincount",
    lambda x, places, minlength: np.bincount(places, x, minlength),
    transpose=lambda ct, places: ct[places],
    batch=_batch_bincount,
)


def _extremes(x: Any) -> tuple[Any, Any]:
    """Return the derivatives of the least and of the greatest entry; equal ones share."""
    return tuple([_extreme_shares(x, extreme, (0,), None) for extreme in (x.min(), x.max())])


def _way(bins: int, dtype: Any) -> Any:
    """Return how far each edge is on the way from the least to the greatest entry."""
    return (np.arange(bins + 1) / bins).astype(dtype)


def _edges_pull(ct: Any, x: Any, bins: int) -> Any:
    (low, high), way = _extremes(x), _way(bins, ct.dtype)
    return (ct * (1 - way)).sum() * low + (ct * way).sum() * high


def _edges_push(t: Any, x: Any, bins: int) -> Any:
    (low, high), way = _extremes(x), _way(bins, t.dtype)
    return (t * low).sum() * (1 - way) + (t * high).sum() * way


def _even_edges_value(x: Any, bins: int) -> Any:
    """Return what np.histogram_bin_edges does in 11 us, which has many options to look at."""
    low, high = x.min(), x.max()
    if not low < high or not np.isfinite(high - low):
        return np.histogram_bin_edges(x, bins)
    return np.linspace(low, high, bins + 1, dtype=x.dtype)


_even_edges: Primitive = primitive(
    "even_edges",
    _even_edges_value,
    vjp=(_edges_pull,),
    jvp=(_edges_push,),
)


def _edges(x: Any, bins: Any, range: Any, weights: Any) -> Any:
    """Return the edges of the bins: traced where they follow from traced data or edges."""
    if isinstance(bins, str):
        bins = len(np.histogram_bin_edges(settled(x), bins, range)) - 1
    elif np.ndim(bins):
        if np.any(settled(bins)[1:] < settled(bins)[:-1]):
            raise ValueError("`bins` must increase monotonically, when an array")
        return as_array(bins)
    bins = operator.index(bins)
    if bins < 1:
        raise ValueError("`bins` must be positive, when an integer")
    if range is None and x.size and x.dtype.kind == "f":
        return _even_edges(x, bins=bins)
    low, high = _limits(x, range)
    dtype = np.result_type(low, high, x.dtype)
    return np.linspace(
        low, high, bins + 1, dtype=np.result_type(dtype, float) if dtype.kind in "iub" else dtype
    )


def _limits(x: Any, range: Any) -> Any:
    if range is None and not x.size:
        return 0.0, 1.0
    low, high = (np.min(x), np.max(x)) if range is None else range
    if settled(low) > settled(high):
        raise ValueError("max must be larger than min in range parameter.")
    return (low - 0.5, high + 0.5) if settled(low) == settled(high) else (low, high)


@handle(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """Return the edges of a histogram's bins; equally spaced ones follow the extremes of the data."""
    a = as_array(a)
    return _edges(a if a.ndim == 1 else a.reshape(-1), bins, range, weights)


def _bins_of(x: Any, edges: Any) -> Any:
    """Return the bin of each entry, one too low or too high for none; the last includes its upper edge."""
    x, edges = settled(x), settled(edges)
    places = edges.searchsorted(x, "right") - 1  # NaN comes last
    places[x == edges[-1]] = len(edges) - 2
    return places


@handle(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """Count the data in bins (a constant), or add their weights."""
    weights = None if weights is None else as_array(weights)
    a = as_array(a)
    if weights is not None and weights.shape != a.shape:
        raise ValueError("weights should have the same shape as a.")
    if a.ndim != 1:
        a, weights = a.reshape(-1), None if weights is None else weights.reshape(-1)
    edges = _edges(a, bins, range, weights)
    counts = _counts([a], [edges], None if weights is None else [weights])
    if not density:
        return counts, edges
    return counts / np.diff(edges) / np.sum(counts), edges


def _counts(columns: Any, edges: Any, weights: Any) -> Any:
    """Count (or add up) what falls into each cell of a grid."""
    places = [_bins_of(x, e) for x, e in zip(columns, edges)]
    inside = functools.reduce(
        operator.and_, [(p >= 0) & (p < len(e) - 1) for p, e in zip(places, edges)]
    )
    complete = inside.all()
    index = tuple(places if complete else [p[inside] for p in places])
    shape = tuple([len(e) - 1 for e in edges])
    if weights is None:
        counts = np.zeros(shape, np.intp)
        np.add.at(counts, index, 1)
        return counts
    chosen = weights[0] if complete else weights[0][inside]
    return HANDLERS["scatter"](chosen, index=index, shape=shape)


@handle(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """Count points in the cells of a grid (a constant), or add their weights."""
    columns = [as_array(x) for x in (sample.T if hasattr(sample, "shape") else sample)]
    ndim = len(columns)
    bins = bins if isinstance(bins, (list, tuple)) or np.ndim(bins) else [bins] * ndim
    if len(bins) != ndim:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    ranges = [None] * ndim if range is None else range
    edges = [_edges(x, b, r, weights) for x, b, r in zip(columns, bins, ranges)]
    weights = None if weights is None else [in_dtype(as_array(weights), np.dtype(float))]
    counts = _counts(columns, edges, weights)
    counts = counts.astype(float) if weights is None else counts
    if density:
        for i, e in enumerate(edges):
            shape = [1] * ndim
            shape[i] = -1
            counts = counts / np.diff(e).reshape(shape)
        counts = counts / np.sum(_counts(columns, edges, weights))
    return counts, edges


@handle(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """Count points in the cells of a grid (a constant), or add their weights."""
    if hasattr(bins, "__len__") and not isinstance(bins, str) and len(bins) not in (1, 2):
        bins = [bins, bins]
    counts, edges = histogramdd([x, y], bins, range, density, weights)
    return counts, edges[0], edges[1]
