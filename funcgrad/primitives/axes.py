"""Axes: the bookkeeping that reductions and shaping share."""

import math
import operator
from typing import Any, NoReturn

import numpy as np

from funcgrad.core import concrete

Axes = tuple[int, ...]


def normalize_axis(axis: Any, ndim: int) -> int:
    """Return `axis` counted from the front."""
    index = axis if type(axis) is int else operator.index(axis)
    if 0 <= index < ndim:
        return index
    if not -ndim <= index < 0:
        raise np.exceptions.AxisError(index, ndim)
    return index + ndim


def normalize_axes(axis: Any, ndim: int) -> Axes:
    """Return a tuple of axes counted from the front; None means all."""
    if axis is None:
        return tuple(range(ndim))
    if not isinstance(axis, tuple):
        return (normalize_axis(axis, ndim),)
    axes = tuple([normalize_axis(i, ndim) for i in axis])
    if len(axes) > 1 and len(set(axes)) != len(axes):
        raise ValueError("duplicate value in 'axis'")
    return axes


def listed_axes(axis: Any, ndim: int) -> Axes:
    """Do the same where NumPy takes any iterable of axes; in reductions by a ufunc it takes a tuple alone."""
    return normalize_axes(tuple(axis) if np.iterable(axis) else axis, ndim)


def reduced_axes(axis: Any, ndim: int) -> Axes:
    """Return the axes of a reduction by a ufunc: axis 0 or -1 of an array of no dimensions is none, as in NumPy."""
    if not ndim and axis in (0, -1):
        return ()
    return normalize_axes(axis, ndim)


def along(a: Any, axis: Any) -> tuple[Any, int]:
    """Return an array and an axis of it; flat if the axis is None, or the array has no dimensions."""
    ndim = a.ndim
    if not ndim or (axis is None and ndim > 1):
        a, ndim = a.reshape(-1), 1
    return a, 0 if axis is None else normalize_axis(axis, ndim)


def kept_shape(shape: Axes, axes: Axes) -> Axes:
    """Return `shape` with the reduced axes of length one, as keepdims=True gives it."""
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


def count(shape: Axes, axes: Axes) -> int:
    """Return how many entries a reduction over `axes` joins."""
    n = 1
    for i in axes:
        n *= shape[i]
    return n


def spread(ct: Any, x_shape: Axes, axes: Axes) -> Any:
    """Repeat the cotangent (or result) of a reduction over `axes` along them: the transpose of a sum."""
    if 0 < ct.ndim < len(x_shape):  # a number needs no axes to be repeated along: 0.5 us
        ct = ct.reshape(kept_shape(x_shape, axes))
    if not isinstance(ct, (np.ndarray, np.generic)):
        return np.broadcast_to(ct, x_shape)
    out = np.empty(x_shape, ct.dtype)  # 0.7 us; np.broadcast_to takes 6 and gives a read-only view
    out[...] = ct
    return out


def outside(axes: Axes) -> Axes:
    """Return `axes` of a slice as axes of the batch, whose axis 0 counts the slices."""
    return tuple([i + 1 for i in axes])


def read_only() -> NoReturn:
    """Raise what NumPy does for a write to a view that it makes read-only."""
    raise ValueError("assignment destination is read-only")


def example(x: Any) -> Any:
    """Return the plain array under all tracers; under vmap one example of it, whose layout all of them have."""
    plain = concrete(x)
    lead = plain.ndim - x.ndim
    return plain[(0,) * lead] if lead and plain.size else plain


def in_rows(x: Any) -> Any:
    """Return `x` with its entries row by row in memory, as most functions of NumPy return an array.

    The layout decides which reshapes are views, and with them what a later write changes.
    """
    return x if concrete(x).flags.c_contiguous else np.copy(x, order="C")


def laid_out(x: Any, like: Any, order: str) -> Any:
    """Return `x`, which lies row by row in memory, in an order that is said as NumPy says it, of an array `like`."""
    if x.ndim < 2 or order == "C" or (order in ("A", "K") and example(like).flags.c_contiguous):
        return x
    if order == "A":
        return laid_out(x, like, "F") if example(like).flags.f_contiguous else x
    if order not in ("F", "K"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
    strides = example(like).strides if order == "K" and like.ndim == x.ndim else None
    key = (lambda i: -i) if order == "F" else (lambda i: -abs(strides[i]) if strides else i)
    axes = sorted(range(x.ndim), key=key)
    if axes == [*range(x.ndim)]:
        return x
    back = sorted(range(x.ndim), key=lambda i: axes[i])
    return np.transpose(np.copy(np.transpose(x, axes), order="C"), back)


def as_number(x: Any) -> Any:
    """Return a result without axes as a number, as most functions of NumPy return it."""
    return x if x.shape else x[()]


def in_dtype(x: Any, dtype: Any) -> Any:
    """Return `x` in a dtype, itself if it has it: a cast to the same one is a node too."""
    return x if x.dtype is dtype or x.dtype == dtype else x.astype(dtype)


def joined_rows(args: Any, mapped: Any) -> Any:
    """Return, for each example of a batch, the entries of all arguments in a row."""
    n = len(args[mapped.index(True)])
    rows = [
        x.reshape((n, math.prod(x.shape[1:]))) if m else np.broadcast_to(x.reshape(-1), (n, x.size))
        for x, m in zip(args, mapped, strict=True)
    ]
    return np.concatenate(rows, 1)
