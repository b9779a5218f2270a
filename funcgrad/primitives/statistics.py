"""Averages, covariances and correlations."""

from typing import Any

import numpy as np

from funcgrad.core import Primitive, Tracer, as_array, handle
from funcgrad.primitives.axes import as_number, in_dtype, normalize_axes
from funcgrad.primitives.families import primitive
from funcgrad.primitives.ufuncs import conj


def aligned_weights(a: Any, weights: Any, axis: Any) -> Any:
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
    weights = aligned_weights(a, as_array(weights), axis)
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
