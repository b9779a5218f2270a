"""Norms of vectors and matrices."""

from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, handle
from funcgrad.primitives.axes import as_number, count, kept_shape, normalize_axes
from funcgrad.primitives.decompositions import svdvals
from funcgrad.primitives.families import primitive
from funcgrad.primitives.matrices import squares
from funcgrad.primitives.reductions import reduce_sum
from funcgrad.primitives.ufuncs import root


def _largest(x: Any, axis: int) -> Any:
    """Return the largest of numbers that are not negative, 0 if there are none."""
    return x.max(axis) if x.shape[axis] else x.sum(axis)


def _to_last(x: Any, axes: Any) -> Any:
    """Return `x` with two axes moved to the end."""
    return x if axes == (x.ndim - 2, x.ndim - 1) else np.moveaxis(x, axes, (-2, -1))


def _euclidean(x: Any, axes: Any) -> Any:
    return root(reduce_sum(squares(x), axes=axes, keepdims=False))


def _vector_norm(x: Any, order: Any, axis: int) -> Any:
    """Return the norm of vectors along an axis; its derivative is 0 at 0."""
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order '{order}' for vectors")
    if order is None or order == 2:
        return _euclidean(x, (axis,))
    if order == 0:
        return np.sum(x != 0, axis=axis).astype(x.real.dtype)
    sizes = np.absolute(x)
    if order == np.inf:
        return _largest(sizes, axis)
    if order == -np.inf:
        return sizes.min(axis)
    if order == 1:
        return sizes.sum(axis)
    total = (sizes**order).sum(axis)
    zero = total == 0
    return np.where(zero, 0, np.where(zero, 1, total) ** (1 / order))[()]


def _matrix_norm(x: Any, order: Any) -> Any:
    """Return the norm of matrices in the last two axes; a singular value of 0 has derivative 0."""
    if order in (None, "fro", "f"):
        return _euclidean(x, (x.ndim - 2, x.ndim - 1))
    if order in (1, -1, np.inf, -np.inf):
        sums = np.absolute(x).sum(-2 if abs(order) == 1 else -1)
        return _largest(sums, -1) if order > 0 else sums.min(-1)
    if order not in (2, -2, "nuc"):
        raise ValueError("Invalid norm order for matrices.")
    s = svdvals(x)
    s = np.where(s == 0, 0, s)
    if order == "nuc":
        return s.sum(-1)
    return _largest(s, -1) if order == 2 else s.min(-1)


def _inexact(x: Any) -> Any:
    x = as_array(x)
    return x if x.dtype.kind in "fc" else x.astype(float)


@handle(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the norm of vectors or matrices; its derivative is 0 at 0, the subgradient of least norm."""
    x = _inexact(x)
    axes = normalize_axes(axis, x.ndim)
    if axis is None and ord is None:
        result = _euclidean(x, axes)
    elif len(axes) == 1:
        result = _vector_norm(x, ord, axes[0])
    elif len(axes) == 2:
        result = _matrix_norm(_to_last(x, axes), ord)
    else:
        raise ValueError("Improper number of dimensions to norm.")
    return result.reshape(kept_shape(x.shape, axes)) if keepdims else result


@handle(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Return the norm of matrices."""
    return norm(x, ord, (-2, -1), keepdims)


@handle(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Return the norm of the entries along any number of axes."""
    x = _inexact(x)
    axes = normalize_axes(axis, x.ndim)
    if ord == 2:
        result = _euclidean(x, axes)
    else:
        rest = tuple([i for i in range(x.ndim) if i not in axes])
        shape = (*[x.shape[i] for i in rest], count(x.shape, axes))
        result = _vector_norm(x.transpose((*rest, *axes)).reshape(shape), ord, len(rest))
    return result.reshape(kept_shape(x.shape, axes)) if keepdims else result


# s = Re u^H X v for a singular value and its vectors, so ds = Re u^H dX v
def _cond_slope(x: Any, p: Any) -> Any:
    """Return the derivative of the ratio of the extreme singular values; 0 where it is infinite."""
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    first, last = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
    i, j = (-1, 0) if p == -2 else (0, -1)
    finite = last != 0
    last = np.where(finite, last, 1)[..., None, None]
    up, down = [u[..., :, k, None].conj() * vh[..., k, None, :].conj() for k in (i, j)]
    return np.where(finite[..., None, None], up / last - first[..., None, None] / last**2 * down, 0)


_cond: Primitive = primitive(
    "cond",
    lambda x, p: np.linalg.cond(x, p),
    vjp=(lambda ct, x, p: ct[..., None, None] * _cond_slope(x, p),),
    jvp=(lambda t, x, p: (t * _cond_slope(x, p)).sum((-2, -1)).real,),
    batch=lambda args, mapped, settings: _cond(*args, **settings),
)


@handle(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Return condition numbers; of a singular matrix infinity, with derivative 0."""
    x = _inexact(x)
    if x.size == 0 and 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if p not in (None, 2, -2):
        singular = (np.linalg.det(x) == 0)[..., None, None]
        regular = np.where(singular, np.eye(x.shape[-1], dtype=x.dtype), x)
        result = norm(x, p, (-2, -1)) * norm(np.linalg.inv(regular), p, (-2, -1))
        return as_number(np.where(singular[..., 0, 0], np.inf, result).astype(result.dtype))
    return _cond(x, p=p)
