"""Statistics: reductions that skip NaN, order statistics, weighted averages, covariances, histograms."""

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
from funcgrad.primitives.axes import as_number, count, kept_shape, normalize_axes
from funcgrad.primitives.families import primitive


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


def _filled(a: Any, fill: float) -> Any:
    """Return `a` with `fill` in place of NaN."""
    a = as_array(a)
    return a if a.dtype.kind not in "fc" else np.where(np.isnan(a), fill, a)


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


def _extreme(fun: Any, fill: float) -> None:
    """Declare np.nanmax and np.nanmin; a slice of NaN alone gives NaN."""

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
        result = HANDLERS[fun](_filled(a, fill), axis, None, keepdims, initial, where)
        if initial is not None or a.dtype.kind not in "fc":
            return result
        empty = np.all(np.isnan(a), axis, keepdims=bool(keepdims))
        return as_number(np.where(empty, np.nan, result))


_extreme(np.max, -np.inf)
_extreme(np.min, np.inf)


def _numbers(a: Any, where: Any) -> Any:
    """Return which entries count: those that are numbers and not masked out."""
    found = ~np.isnan(a)
    return found if where is True else found & where


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
    return HANDLERS[np.mean](a, axis, dtype, None, keepdims, where=_numbers(a, where))


def _spread(fun: Any) -> None:
    """Declare np.nanvar and np.nanstd; where nothing remains after ddof the result is NaN."""

    @handle(getattr(np, f"nan{fun.__name__}"))
    def reduce(
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
        no_out(f"np.nan{fun.__name__}", out)
        a = as_array(a)
        found = _numbers(a, where)
        result = HANDLERS[fun](
            a, axis, dtype, None, ddof, keepdims, where=found, mean=mean, correction=correction
        )
        number = np.sum(found, axis=axis, keepdims=bool(keepdims))
        enough = number > (ddof if correction is None else correction)
        return as_number(np.where(enough, result, np.nan))


_spread(np.var)
_spread(np.std)


def _position(fun: Any, fill: float) -> None:
    """Declare np.nanargmax and np.nanargmin, constants."""

    @handle(getattr(np, f"nan{fun.__name__}"))
    def position(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        no_out(f"np.nan{fun.__name__}", out)
        empty = np.all(np.isnan(a), axis)
        if not isinstance(empty, Tracer) and np.any(empty):
            raise ValueError("All-NaN slice encountered")
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


def _batch_ranked(args: Any, mapped: Any, settings: Any) -> Any:
    n = len(args[mapped.index(True)])
    return _ranked(*[x if m else np.broadcast_to(x, (n, *x.shape)) for x, m in zip(args, mapped)])


# Reads x[..., k]; entries that are equal share the derivative evenly, as in max and min.
_ranked: Primitive = primitive(
    "ranked",
    lambda x, k: np.take_along_axis(x, k, -1),
    vjp=(lambda ct, ans, x: np.sum(ct[..., None] * _shares(x, ans), axis=-2), None),
    jvp=(lambda t, ans, x: np.sum(t[..., None, :] * _shares(x, ans), axis=-1), None),
    parameters=("x", "k"),
    batch=_batch_ranked,
)


def _rank(x: Any, k: Any) -> Any:
    """Return `x[..., k]` of sorted `x`; without ties reading the entries is all there is to it."""
    values = concrete(x)
    if np.any(values[..., 1:] == values[..., :-1]) and x.dtype.kind in "fc":
        return _ranked(x, np.broadcast_to(k, x.shape[:-1] + k.shape[-1:]))
    if isinstance(k, Tracer) or k.ndim > 1:
        return np.take_along_axis(x, np.broadcast_to(k, x.shape[:-1] + k.shape[-1:]), -1)
    return x[..., k]


def _flat_axes(a: Any, axis: Any) -> tuple[Any, Any]:
    """Return `a` with the reduced axes as one, the last; and the axes."""
    axes = normalize_axes(axis, a.ndim)
    if axes == (a.ndim - 1,):
        return a, axes
    kept = tuple([i for i in range(a.ndim) if i not in axes])
    if not kept:
        return a.reshape(-1), axes
    lead = tuple([a.shape[i] for i in kept])
    return np.transpose(a, kept + axes).reshape((*lead, count(a.shape, axes))), axes


def _middle_shares(x: Any) -> Any:
    """Return the derivative of the median along the last axis by each entry."""
    n = x.shape[-1]
    middle = np.partition(x, n // 2, -1)[..., n // 2]
    if n % 2:
        return _shares(x, middle[..., None])[..., 0, :]
    lower = np.partition(x, n // 2 - 1, -1)[..., n // 2 - 1]
    return (_shares(x, lower[..., None]) + _shares(x, middle[..., None]))[..., 0, :] / 2


_median: Primitive = primitive(
    "median",
    lambda x: np.median(x, -1),
    vjp=(lambda ct, x: ct[..., None] * _middle_shares(x),),
    jvp=(lambda t, x: np.sum(t * _middle_shares(x), axis=-1),),
    batch=lambda args, mapped, settings: _median(*args),
)


@handle(np.median)
def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    """Return the middle entry, or the mean of the two; ties share the derivative evenly."""
    no_out("np.median", out)
    a = as_array(a)
    x, axes = _flat_axes(a, axis)
    if not x.shape[-1]:
        return np.mean(a, axes, keepdims=bool(keepdims))
    result = _median(x)
    return result.reshape(kept_shape(a.shape, axes)) if keepdims else result


@handle(np.nanmedian)
def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    """Return the median of the entries that are numbers."""
    no_out("np.nanmedian", out)
    a = as_array(a)
    x, axes = _flat_axes(a, axis)
    if not x.shape[-1]:
        return np.mean(a, axes, keepdims=bool(keepdims))
    n = np.sum(~np.isnan(x), axis=-1, keepdims=True)
    x = np.sort(x, axis=-1)
    low, high = _rank(x, np.maximum(n - 1, 0) // 2), _rank(x, n // 2)
    result = np.where(n % 2 == 1, low, (low + high) / 2)[..., 0]
    return result.reshape(kept_shape(a.shape, axes)) if keepdims else as_number(result)


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


def _between(a: Any, b: Any, t: Any) -> Any:
    """Interpolate as NumPy does, exact at both ends."""
    difference = b - a
    return np.where(t >= 0.5, b - difference * (1 - t), a + difference * t)


def _sorted_quantiles(x: Any, q: Any, n: Any, method: str) -> Any:
    """Return the quantiles of the first `n` of the sorted entries along the last axis."""
    place = _PLACES[method](n, q)
    last = np.maximum(n - 1, 0)
    low = np.floor(place)
    first = np.clip(low, 0, last).astype(np.intp)
    if method in _WHOLE:
        return _rank(x, first)
    second = np.clip(low + 1, 0, last).astype(np.intp)
    outside = (place < 0) | (place >= last)
    weight = _weight(method, place, low)
    a, b = _rank(x, first), _rank(x, second)
    return np.where(outside, np.where(place < 0, a, b), _between(a, b, weight))


def _neighbours(x: Any, q: Any, method: str) -> tuple[Any, Any, Any]:
    """Return the entries below and above each quantile, and the weight of the one above; q has one axis."""
    n = x.shape[-1]
    place = _PLACES[method](n, q)
    low = np.floor(place)
    first, second = [np.clip(k, 0, n - 1).astype(np.intp) for k in (low, low + 1)]
    weight = 0 * place if method in _WHOLE else _weight(method, place, low)
    ranked = np.sort(x, axis=-1)
    return _rank(ranked, first), _rank(ranked, second), np.where(place < 0, 0, weight)


def _quantile_shares(x: Any, q: Any, method: str) -> Any:
    """Return the derivative of each quantile by each entry of the last axis of x: shape (..., q, n)."""
    low, high, weight = _neighbours(x, q, method)
    weight = weight[..., None].astype(x.dtype)
    return (1 - weight) * _shares(x, low) + weight * _shares(x, high)


def _quantile_slope(x: Any, q: Any, method: str) -> Any:
    """Return the derivative of each quantile by q: what one step adds, times the steps per unit of q."""
    n = x.shape[-1]
    if method in _STEPWISE:
        return np.zeros((*x.shape[:-1], len(q)), x.dtype)
    place = _PLACES[method](n, q)
    low, high, _ = _neighbours(x, q, method)
    rate = _PLACES[method](n, 1.0) - _PLACES[method](n, 0.0)
    return np.where((place < 0) | (place >= n - 1), 0, high - low) * rate


# The quantiles q (of one axis) of the last axis of x, which takes their place.
_quantile: Primitive = primitive(
    "quantile",
    lambda x, q, method: _to_the_end(np.quantile(x, q, axis=-1, method=method)),
    vjp=(
        lambda ct, x, q, method: np.sum(ct[..., None] * _quantile_shares(x, q, method), axis=-2),
        lambda ct, x, q, method: _to_q(ct * _quantile_slope(x, q, method)),
    ),
    jvp=(
        lambda t, x, q, method: np.sum(t[..., None, :] * _quantile_shares(x, q, method), axis=-1),
        lambda t, x, q, method: t * _quantile_slope(x, q, method),
    ),
    parameters=("x", "q"),
    batch=lambda *batch: _batch_quantile(_quantile, *batch),
)


def _to_the_end(x: Any) -> Any:
    """Return an array with its first axis last (np.moveaxis takes 6 us)."""
    return x if x.ndim == 1 else x.transpose((*range(1, x.ndim), 0))


def _to_q(ct: Any) -> Any:
    return np.sum(ct, axis=tuple(range(ct.ndim - 1)))


def _batch_quantile(new: Any, args: Any, mapped: Any, settings: Any) -> Any:
    """Apply to the last axis of each example; quantiles of their own for each go one by one."""
    n = len(args[mapped.index(True)])
    args = [x if m or i == 1 else np.broadcast_to(x, (n, *x.shape))
            for i, (x, m) in enumerate(zip(args, mapped))]  # fmt: skip
    x, q, *weights = args
    if not n:
        return np.zeros((0, *x.shape[1:-1], q.shape[-1]), x.dtype)
    if not mapped[1]:
        return new(x, q, *weights, **settings)
    return np.stack([new(x[k], q[k], *[w[k] for w in weights], **settings) for k in range(n)])


# Each is one of the entries, which one depends on q and the weights stepwise.
_weighted_quantile: Primitive = primitive(
    "weighted_quantile",
    lambda x, q, w, skip: _to_the_end(
        (np.nanquantile if skip else np.quantile)(x, q, -1, weights=w, method="inverted_cdf")
    ),
    vjp=(lambda ct, ans, x: np.sum(ct[..., None] * _shares(x, ans), axis=-2), None, None),
    jvp=(lambda t, ans, x: np.sum(t[..., None, :] * _shares(x, ans), axis=-1), None, None),
    parameters=("x", "q", "w"),
    batch=lambda *batch: _batch_quantile(_weighted_quantile, *batch),
)


def _check_quantiles(name: str, a: Any, q: Any, method: str) -> None:
    if method not in _PLACES:
        raise ValueError(f"{method!r} is not a valid method. Use one of: {_PLACES.keys()}")
    if a.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if not is_mapped(q) and not np.all((concrete(q) >= 0) & (concrete(q) <= 1)):
        raise ValueError(f"{name}s must be in the range [0, {1 if name == 'Quantile' else 100}]")


def _quantiles(
    a: Any, q: Any, axis: Any, method: str, keepdims: Any, skip: bool, weights: Any
) -> Any:
    if a.dtype.kind != "f":
        a = a.astype(np.float64)
    x, axes = _flat_axes(a, axis)
    if weights is not None:
        result = _weighted_quantile(x, q.reshape(-1), _flat_axes(weights, axis)[0], skip=skip)
    elif skip:
        result = _skipping_quantiles(np.sort(x, axis=-1), q.reshape(-1), method)
    else:
        result = _quantile(x, q.reshape(-1), method=method)
    rest = kept_shape(a.shape, axes) if keepdims else result.shape[:-1]
    if not q.ndim:
        return as_number(result[..., 0]) if not keepdims else result.reshape(rest)
    return np.moveaxis(result, -1, 0).reshape(q.shape + rest)


def _skipping_quantiles(x: Any, q: Any, method: str) -> Any:
    """Return the quantiles of the numbers in slices that end with NaN."""
    # a count per slice, in the dtype that a Python integer would leave
    n = np.sum(~np.isnan(x), axis=-1, keepdims=True).astype(np.result_type(q.dtype, np.float16))
    return _sorted_quantiles(x, q, n, method)


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
        if weights is not None:
            if method != "inverted_cdf":
                raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
            weights = np.broadcast_to(_aligned_weights(a, as_array(weights), axis), a.shape)
        return _quantiles(a, q, axis, method, keepdims, skip, weights)


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
    matrix = np.atleast_2d(x).astype(dtype)
    return matrix if rowvar or (matrix.shape[0] == 1 if always else x.ndim == 1) else matrix.T


def _cov_weights(fweights: Any, aweights: Any) -> Any:
    if fweights is None or aweights is None:
        return aweights if fweights is None else fweights
    return fweights * aweights


def _freedom(w: Any, fweights: Any, aweights: Any, ddof: Any, n: int) -> Any:
    """Return the degrees of freedom by which the products are divided."""
    if w is None:
        return n - ddof
    total = np.sum(w)
    if aweights is None or ddof == 0:
        return total - ddof
    return total - ddof * np.sum(w * aweights) / total


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
    arrays = [as_array(x) for x in (m, y) if x is not None]
    dtype = np.result_type(*[x.dtype for x in arrays], np.float64) if dtype is None else dtype
    x = _variables(arrays[0], dtype, rowvar, False)
    if y is not None:
        x = np.concatenate([x, _variables(arrays[1], dtype, rowvar, True)])
    fweights, aweights = [
        None if w is None else as_array(w).astype(float) for w in (fweights, aweights)
    ]
    w = _cov_weights(fweights, aweights)
    ddof = int(not bias) if ddof is None else ddof
    x = x - np.average(x, axis=1, weights=w)[:, None]
    freedom = _freedom(w, fweights, aweights, ddof, x.shape[1])
    freedom = np.maximum(freedom, 0)  # no degrees of freedom: infinite or NaN, as NumPy gives it
    products = np.dot(x, (x if w is None else x * w).T.conj()) / freedom
    return products.astype(dtype).squeeze()


@handle(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Return the correlations of the variables, limited to [-1, 1]."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    places = np.arange(len(c))
    deviation = np.sqrt(np.real(c[places, places]))
    c = c / deviation[:, None] / deviation[None, :]
    if c.dtype.kind == "c":
        return _limited(c.real) + 1j * _limited(c.imag)
    return _limited(c)


def _limited(c: Any) -> Any:
    """Limit what rounding took out of [-1, 1]; inside, and at a correlation of 1, nothing changes."""
    return np.where(c > 1, 1.0, np.where(c < -1, -1.0, c))


# --- histograms ----------------------------------------------------------------------------------


@handle(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Count each whole number, or add the weights that belong to it."""
    plain = settled(x)
    if weights is None:
        return np.bincount(plain, None, minlength)
    weights = as_array(weights).astype(np.float64)
    if plain.shape != weights.shape:
        raise ValueError("The weights and list don't have the same length.")
    return _added(plain, weights, np.bincount(plain, None, minlength).size)


def _added(places: Any, weights: Any, n: int) -> Any:
    """Add each weight to its place."""
    return HANDLERS["scatter"](weights, index=(places,), shape=(n,))


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
    return _edges(as_array(a).reshape(-1), bins, range, weights)


def _bins_of(x: Any, edges: Any) -> Any:
    """Return the bin of each entry, -1 for none; the last bin includes its upper edge."""
    x, edges = settled(x), settled(edges)
    places = np.searchsorted(edges, x, "right") - 1
    places[x == edges[-1]] = len(edges) - 2
    places[(x > edges[-1]) | (x < edges[0]) | np.isnan(x)] = -1
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
    edges = _edges(a.reshape(-1), bins, range, weights)
    flat = None if weights is None else [weights.reshape(-1)]
    counts = _counts([a.reshape(-1)], [edges], flat)
    if not density:
        return counts, edges
    return counts / np.diff(edges) / np.sum(counts), edges


def _counts(columns: Any, edges: Any, weights: Any) -> Any:
    """Count (or add up) what falls into each cell of a grid."""
    places = [_bins_of(x, e) for x, e in zip(columns, edges)]
    inside = np.all([p >= 0 for p in places], axis=0)
    index = tuple([p[inside] for p in places])
    shape = tuple([len(e) - 1 for e in edges])
    if weights is None:
        counts = np.zeros(shape, np.intp)
        np.add.at(counts, index, 1)
        return counts
    return HANDLERS["scatter"](weights[0][inside], index=index, shape=shape)


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
    weights = None if weights is None else [as_array(weights).astype(float)]
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
