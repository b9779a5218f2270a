"""Structured matrices, products and norms: composites of gathers, batched where SciPy's are."""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import as_array, unsupported
from funcgrad.scipy.mirrors import mirror

sl: Any = importlib.import_module("scipy.linalg")


@mirror(sl.block_diag)
def block_diag(*arrs: Any) -> Any:
    """Return the matrix with the given matrices (vectors are rows) along its diagonal."""
    blocks = [np.atleast_2d(as_array(x)) for x in arrs]
    lead = np.broadcast_shapes(*[x.shape[:-2] for x in blocks])
    width = sum([x.shape[-1] for x in blocks])
    rows, start = [], 0
    for x in blocks:
        height, n = x.shape[-2:]
        left, right = [np.zeros((*lead, height, k), x.dtype) for k in (start, width - start - n)]
        rows.append(np.concatenate([left, np.broadcast_to(x, (*lead, height, n)), right], -1))
        start += n
    return np.concatenate(rows, -2)


def _last_axes(*arrays: Any) -> Any:
    """Broadcast all but the last axes of two arrays."""
    lead = np.broadcast_shapes(*[x.shape[:-1] for x in arrays])
    return [np.broadcast_to(x, (*lead, x.shape[-1])) for x in arrays]


@mirror(sl.toeplitz)
def toeplitz(c: Any, r: Any = None) -> Any:
    """Return the matrix with first column `c` and first row `r` (conj(c) if None), constant along diagonals."""
    c = np.atleast_1d(as_array(c))
    c, r = _last_axes(c, c.conj() if r is None else np.atleast_1d(as_array(r)))
    m, n = c.shape[-1], r.shape[-1]
    i, j = np.indices((m, n))
    return np.concatenate([c[..., ::-1], r[..., 1:]], -1)[..., m - 1 - i + j]


@mirror(sl.hankel)
def hankel(c: Any, r: Any = None) -> Any:
    """Return the matrix with first column `c` and last row `r` (0 if None), constant along anti-diagonals."""
    c = as_array(c).reshape(-1)
    r = np.zeros_like(c) if r is None else as_array(r).reshape(-1)
    i, j = np.indices((len(c), len(r)))
    return np.concatenate([c, r[1:]])[i + j]


@mirror(sl.circulant)
def circulant(c: Any) -> Any:
    """Return the matrix with first column `c`, each column the one before rotated by one."""
    c = np.atleast_1d(as_array(c))
    n = c.shape[-1]
    i, j = np.indices((n, n))
    return c[..., (i - j) % n]


@mirror(sl.companion)
def companion(a: Any) -> Any:
    """Return the companion matrix of a polynomial, whose eigenvalues are its roots."""
    a = as_array(a)
    n = a.shape[-1] - 1
    if n < 1:
        raise ValueError("The length of `a` along the last axis must be at least 2.")
    row = -a[..., None, 1:] / a[..., None, :1]
    below = np.broadcast_to(np.eye(n - 1, n, dtype=row.dtype), (*a.shape[:-1], n - 1, n))
    return np.concatenate([row, below], -2)


@mirror(sl.leslie)
def leslie(f: Any, s: Any) -> Any:
    """Return the Leslie matrix of fecundities `f` (its first row) and survival rates `s` (below its diagonal)."""
    f, s = np.atleast_1d(as_array(f)), np.atleast_1d(as_array(s))
    if f.shape[-1] != s.shape[-1] + 1:
        raise ValueError("the length of `f` must be one more than that of `s`")
    if f.shape[-1] < 2:
        raise ValueError("`s` must not be empty")
    f, s = _last_axes(f, s)
    below = s[..., None] * np.eye(s.shape[-1], f.shape[-1])
    return np.concatenate([f[..., None, :].astype(below.dtype), below], -2)


@mirror(sl.fiedler)
def fiedler(a: Any) -> Any:
    """Return the matrix of the distances of all pairs of numbers."""
    a = np.atleast_1d(as_array(a))
    return np.abs(a[..., :, None] - a[..., None, :])


@mirror(sl.convolution_matrix)
def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """Return the matrix whose product with a vector of length `n` is its convolution with `a`."""
    a = as_array(a)
    m = a.shape[-1]
    i, j = np.indices((m + n - 1, n))
    inside = (i >= j) & (i - j < m)
    whole = a[..., np.where(inside, i - j, 0)] * inside
    if mode not in ("full", "same", "valid"):
        raise ValueError("'mode' argument must be one of ('full', 'valid', 'same')")
    trim = {"full": 0, "same": min(n, m) - 1, "valid": 2 * (min(n, m) - 1)}[mode]
    return whole[..., trim // 2 : m + n - 1 - (trim + 1) // 2, :]


@mirror(sl.khatri_rao)
def khatri_rao(a: Any, b: Any) -> Any:
    """Return the matrix whose columns are the Kronecker products of the columns of `a` and `b`."""
    a, b = as_array(a), as_array(b)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError("The number of columns for both arrays should be equal.")
    product = a[..., :, None, :] * b[..., None, :, :]
    return product.reshape((*product.shape[:-3], -1, a.shape[-1]))


@mirror(sl.norm)
def norm(
    a: Any,
    ord: Any = None,  # noqa: A002  # SciPy's name
    axis: Any = None,
    keepdims: bool = False,
    check_finite: bool = True,
) -> Any:
    """Return the norm of vectors or matrices; see `np.linalg.norm`."""
    if ord is not None and axis is None and as_array(a).ndim > 2:
        unsupported("scipy.linalg.norm with ord= of several axes", "say which: axis=(-2, -1)")
    return np.linalg.norm(as_array(a), ord, axis, keepdims)
