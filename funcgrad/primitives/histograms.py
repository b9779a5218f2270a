"""Histograms and counts."""

import functools
import operator
from typing import Any

import numpy as np

from funcgrad.core import HANDLERS, Primitive, as_array, handle
from funcgrad.primitives.axes import in_dtype
from funcgrad.primitives.families import linear, primitive
from funcgrad.primitives.nan_reductions import extreme_shares
from funcgrad.primitives.plain import settled


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
    return tuple([extreme_shares(x, extreme, (0,), None) for extreme in (x.min(), x.max())])


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
