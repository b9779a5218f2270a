"""`scipy.spatial.distance`: distances between points, one by one and between all rows of tables.

A metric is a function of two points; its rule is one of two arrays of points (..., n), which gives the
distances (...), and serves the tables as well.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import as_array, unsupported
from funcgrad.scipy.mirrors import fallback, is_mapped, mirror

sd: Any = importlib.import_module("scipy.spatial.distance")
special: Any = importlib.import_module("scipy.special")

Metric = Callable[..., Any]

__getattr__ = fallback(sd)

__all__ = [
    "braycurtis",
    "canberra",
    "cdist",
    "chebyshev",
    "cityblock",
    "correlation",
    "cosine",
    "euclidean",
    "jensenshannon",
    "mahalanobis",
    "minkowski",
    "pdist",
    "seuclidean",
    "sqeuclidean",
    "squareform",
]


def _weights(w: Any) -> Any:
    """Return weights as an array; raise if one is negative, unless vmap hides them."""
    w = as_array(w)
    if not is_mapped(w) and np.any(w < 0):
        raise ValueError("Input weights should be all non-negative")
    return w


def _sum(x: Any, w: Any) -> Any:
    """Return sums over the last axis, weighted if there are weights."""
    return np.sum(x if w is None else x * _weights(w), axis=-1)


def _length(difference: Any, w: Any) -> Any:
    if w is not None:
        difference = difference * np.sqrt(_weights(w))
    return np.linalg.norm(difference, axis=-1)


def _cosine(u: Any, v: Any, w: Any) -> Any:
    if u.shape[-1] != v.shape[-1]:
        raise ValueError(f"points of {u.shape[-1]} and {v.shape[-1]} coordinates have no angle")
    return 1 - _sum(u * v, w) / np.sqrt(_sum(u * u, w) * _sum(v * v, w))


# --- metrics -------------------------------------------------------------------------------------

_METRICS: dict[str, Metric] = {}


def _metric_of(original: Metric) -> Callable[[Metric], Metric]:
    """Let a function of arrays of points serve tables, and two points as SciPy's function does."""

    def decorate(fun: Metric) -> Metric:
        @functools.wraps(fun)
        def of_two_points(u: Any, v: Any, *args: Any, **kwargs: Any) -> Any:
            u, v = as_array(u), as_array(v)
            if u.ndim != 1 or v.ndim != 1:
                raise ValueError("Input vector should be 1-D.")
            return fun(u, v, *args, **kwargs)

        _METRICS[fun.__name__] = fun
        return mirror(original)(of_two_points)

    return decorate


@_metric_of(sd.sqeuclidean)
def sqeuclidean(u: Any, v: Any, w: Any = None) -> Any:
    """Return the squared distance."""
    return _sum((u - v) ** 2, w)


@_metric_of(sd.euclidean)
def euclidean(u: Any, v: Any, w: Any = None) -> Any:
    """Return the length of u - v; between equal points its derivative is 0."""
    return _length(u - v, w)


@_metric_of(sd.seuclidean)
def seuclidean(u: Any, v: Any, V: Any) -> Any:
    """Return the length of u - v in units of the standard deviations; V are the variances."""
    return _length(u - v, 1 / as_array(V))


@_metric_of(sd.cityblock)
def cityblock(u: Any, v: Any, w: Any = None) -> Any:
    """Return the sum of the absolute differences."""
    return _sum(np.abs(u - v), w)


@_metric_of(sd.chebyshev)
def chebyshev(u: Any, v: Any, w: Any = None) -> Any:
    """Return the greatest absolute difference, of those with a weight; equal ones share the derivative."""
    size = np.abs(u - v)
    return np.max(size if w is None else np.where(_weights(w) > 0, size, 0), axis=-1)


@_metric_of(sd.minkowski)
def minkowski(u: Any, v: Any, p: Any = 2, w: Any = None) -> Any:
    """Return the p-norm of u - v; between equal points its derivative is 0."""
    if not is_mapped(p) and p <= 0:
        raise ValueError("p must be greater than 0")
    size = np.abs(u - v)
    if w is not None:
        w = _weights(w)
        size = size * (w != 0 if p == np.inf else w ** (1 / p))
    return np.linalg.norm(size, p, axis=-1)


@_metric_of(sd.cosine)
def cosine(u: Any, v: Any, w: Any = None) -> Any:
    """Return 1 - cos of the angle between u and v."""
    return _cosine(u, v, w)


@_metric_of(sd.correlation)
def correlation(u: Any, v: Any, w: Any = None, centered: bool = True) -> Any:
    """Return 1 - the correlation of the entries of u and v."""
    if centered:
        total = u.shape[-1] if w is None else np.sum(w)
        u, v = [x - _sum(x, w)[..., None] / total for x in (u, v)]
    return _cosine(u, v, w)


@_metric_of(sd.canberra)
def canberra(u: Any, v: Any, w: Any = None) -> Any:
    """Return the sum of |u_i - v_i| / (|u_i| + |v_i|), in which 0 / 0 counts as 0."""
    size = np.abs(u) + np.abs(v)
    return _sum(np.where(size == 0, 0, np.abs(u - v) / np.where(size == 0, 1, size)), w)


@_metric_of(sd.braycurtis)
def braycurtis(u: Any, v: Any, w: Any = None) -> Any:
    """Return the sum of |u_i - v_i| over that of |u_i + v_i|."""
    return _sum(np.abs(u - v), w) / _sum(np.abs(u + v), w)


@_metric_of(sd.mahalanobis)
def mahalanobis(u: Any, v: Any, VI: Any) -> Any:
    """Return sqrt((u - v) VI (u - v)); VI is the inverse of a covariance."""
    difference = u - v
    return np.sqrt(np.sum(difference @ as_array(VI) * difference, axis=-1))


@mirror(sd.jensenshannon)
def jensenshannon(
    p: Any, q: Any, base: Any = None, *, axis: int = 0, keepdims: bool = False
) -> Any:
    """Return the root of the Jensen-Shannon divergence of two distributions."""
    p, q = [x / np.sum(x, axis=axis, keepdims=True) for x in (as_array(p), as_array(q))]
    middle = (p + q) / 2
    entropy = special.rel_entr(p, middle) + special.rel_entr(q, middle)
    divergence = np.sum(entropy, axis=axis, keepdims=keepdims)
    return np.sqrt(divergence / 2 if base is None else divergence / 2 / np.log(base))


# --- tables --------------------------------------------------------------------------------------


def _of_rows(p: Any, q: Any, base: Any = None) -> Any:
    return jensenshannon(p, q, base, axis=-1)


_METRICS["jensenshannon"] = _of_rows


def _metric(function: str, metric: Any, tables: list[Any], options: dict[str, Any]) -> Metric:
    """Return the function of two arrays of points that a name or a function of two points means."""
    if callable(metric):
        name = getattr(metric, "__name__", "")
        if name in _METRICS and metric in (globals()[name], getattr(sd, name)):
            metric = name
    if callable(metric):
        unsupported(f"{function} with a function as metric", "call vmap(vmap(metric)) of the rows")
    if metric not in _METRICS:
        unsupported(f"{function} with metric={metric!r}", f"use one of {', '.join(_METRICS)}")
    if metric == "seuclidean" and options.get("V") is None:
        options["V"] = np.var(np.concatenate(tables), axis=0, ddof=1)
    if metric == "mahalanobis" and options.get("VI") is None:
        rows = np.concatenate(tables)
        if len(rows) <= rows.shape[1]:
            raise ValueError(f"the covariance matrix of {len(rows)} points is singular; pass VI=")
        options["VI"] = np.linalg.inv(np.atleast_2d(np.cov(rows.T))).T
    return _METRICS[metric]


@mirror(sd.cdist)
def cdist(XA: Any, XB: Any, metric: Any = "euclidean", *, out: Any = None, **kwargs: Any) -> Any:
    """Return the distance of each row of XA (a, n) and each row of XB (b, n): an array (a, b).

    `metric` is the name of a metric of this module; its settings are derived from the data where SciPy does so,
    and that is differentiated, too.
    """
    if out is not None:
        unsupported("scipy.spatial.distance.cdist with out=", "use the returned value")
    XA, XB = as_array(XA), as_array(XB)
    if XA.ndim != 2 or XB.ndim != 2 or XA.shape[1] != XB.shape[1]:
        raise ValueError(f"XA and XB are tables of one width, but got {XA.shape} and {XB.shape}")
    measure = _metric("scipy.spatial.distance.cdist", metric, [XA, XB], kwargs)
    return measure(XA[:, None], XB[None], **kwargs)


@mirror(sd.pdist)
def pdist(X: Any, metric: Any = "euclidean", *, out: Any = None, **kwargs: Any) -> Any:
    """Return the distances of all pairs of rows of X (m, n), as a vector of m (m - 1) / 2."""
    if out is not None:
        unsupported("scipy.spatial.distance.pdist with out=", "use the returned value")
    X = as_array(X)
    if X.ndim != 2:
        raise ValueError(f"A 2-dimensional array must be passed. (Shape was {X.shape}).")
    measure = _metric("scipy.spatial.distance.pdist", metric, [X], kwargs)
    rows, columns = np.triu_indices(len(X), 1)
    return measure(X[rows], X[columns], **kwargs)


@mirror(sd.squareform)
def squareform(X: Any, force: str = "no", checks: bool = True) -> Any:
    """Return the symmetric table of a vector of distances, or the vector of a table."""
    X = as_array(X)
    if force.lower() not in ("no", "tomatrix", "tovector"):
        raise ValueError(f"force is {force!r}, not 'no', 'tomatrix' or 'tovector'")
    if (X.ndim, force.lower()) in ((1, "tovector"), (2, "tomatrix")) or X.ndim not in (1, 2):
        raise ValueError(f"an array of shape {X.shape} cannot be forced {force!r}")
    if X.ndim == 2:
        if X.shape[0] != X.shape[1]:
            raise ValueError("The matrix argument must be square.")
        rows, columns = np.triu_indices(len(X), 1)
        if checks and not is_mapped(X):
            if np.any(X != X.T):
                raise ValueError("Distance matrix 'X' must be symmetric.")
            if np.any(np.diagonal(X) != 0):
                raise ValueError("Distance matrix 'X' diagonal must be zero.")
        return X[rows, columns]
    n = int(np.ceil(np.sqrt(2 * len(X)))) if len(X) else 1
    if n * (n - 1) != 2 * len(X):
        raise ValueError("Incompatible vector size. It must be a binomial coefficient n choose 2.")
    places = np.zeros((n, n), np.intp)
    places[np.triu_indices(n, 1)] = np.arange(1, len(X) + 1)
    return np.concatenate([np.zeros(1, X.dtype), X])[places + places.T]
