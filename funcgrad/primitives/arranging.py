"""Triangles, diagonals and arrangements of entries."""

import math
import operator
from typing import Any

import numpy as np

from funcgrad.core import HANDLERS, Primitive, as_array, handle, unsupported
from funcgrad.primitives.axes import normalize_axis, outside, read_only
from funcgrad.primitives.families import linear
from funcgrad.primitives.indexing import scatter

# --- triangles and diagonals ---------------------------------------------------------------------


@handle(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Rotate in the plane of two axes."""
    m = as_array(m)
    i, j = [normalize_axis(axis, m.ndim) for axis in axes]
    if i == j:
        raise ValueError("Axes must be different.")
    k = k % 4
    if k == 0:
        return m[:]
    if k == 2:
        return np.flip(m, (i, j))
    return np.swapaxes(np.flip(m, j), i, j) if k == 1 else np.flip(np.swapaxes(m, i, j), j)


def _triangle(m: Any, k: int, lower: bool) -> Any:
    m = as_array(m)
    m = np.broadcast_to(m, (*m.shape, *m.shape)) if m.ndim == 1 else m
    mask = np.tri(m.shape[-2], m.shape[-1], k if lower else k - 1, dtype=bool)
    return np.where(mask if lower else ~mask, m, 0)


@handle(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """Return the lower triangle."""
    return _triangle(m, k, True)


@handle(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """Return the upper triangle."""
    return _triangle(m, k, False)


@handle(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """Return a diagonal, or the matrix with that diagonal."""
    v = as_array(v)
    if v.ndim not in (1, 2):
        raise ValueError("Input must be 1- or 2-d.")
    rows, columns = max(-k, 0), max(k, 0)
    if v.ndim == 1:
        n = len(v) + abs(k)
        places = np.arange(len(v))
        return HANDLERS["scatter"](v, index=(places + rows, places + columns), shape=(n, n))
    return np.diagonal(v, k)


@handle(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """Return the matrix with the flat array on a diagonal."""
    return diag(as_array(v).reshape(-1), k)


# --- arranging -----------------------------------------------------------------------------------


def _depth(x: Any) -> int:
    return 1 + _depth(x[0]) if isinstance(x, list) else 0


def _joined(x: Any, axis: int, ndim: int) -> Any:
    if not isinstance(x, list):
        x = as_array(x)
        return x if x.ndim == ndim else x.reshape((1,) * (ndim - x.ndim) + x.shape)
    if not x:
        raise ValueError("List at arrays cannot be empty")
    parts = [_joined(y, axis + 1, ndim) for y in x]
    fresh = len(parts) == 1 and isinstance(x[0], list)  # joined already
    return parts[0] if fresh else HANDLERS[np.concatenate](parts, axis)


def _widest(x: Any) -> int:
    return max([_widest(y) for y in x]) if isinstance(x, list) else np.ndim(x)


@handle(np.block)
def block(arrays: Any) -> Any:
    """Join nested lists of blocks."""
    depth = _depth(arrays)
    if not depth:
        return np.copy(as_array(arrays), order="C")
    ndim = max(depth, _widest(arrays))
    return _joined(arrays, ndim - depth, ndim)


def _off_grid(ct: Any, x_shape: Any, lengths: Any) -> Any:
    return ct.sum(tuple([i for i, n in enumerate(lengths) if n == 1])).reshape(x_shape)


# A coordinate at all points of a grid: the axes of length one are repeated.
_over_grid: Primitive = linear(
    "over_grid",
    lambda x, lengths, shape: np.array(np.broadcast_to(x.reshape(lengths), shape), order="C"),
    transpose=_off_grid,
    batch=lambda x, lengths, shape: _over_grid(
        x, lengths=(len(x), *lengths), shape=(len(x), *shape)
    ),
)


@handle(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """Return the coordinates of the points of a grid."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    arrays = [as_array(x) for x in xi]
    axes = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        axes[:2] = [1, 0]
    shape, found = [1] * len(arrays), []
    for x, axis in zip(arrays, axes):
        lengths = [1] * len(arrays)
        lengths[axis] = shape[axis] = x.size
        found.append(tuple(lengths))
    if sparse:
        grids = [x.reshape(lengths) for x, lengths in zip(arrays, found)]
        return tuple([np.copy(x) for x in grids] if copy else grids)
    full = tuple(shape)
    if not copy:
        return tuple([np.broadcast_to(x.reshape(n), full) for x, n in zip(arrays, found)])
    return tuple([_over_grid(x, lengths=n, shape=full) for x, n in zip(arrays, found)])


@handle(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """Apply a function to the 1-d slices along an axis, one by one."""
    arr = as_array(arr)
    axis = normalize_axis(axis, arr.ndim)
    moved = arr if axis == arr.ndim - 1 else np.moveaxis(arr, axis, -1)
    lead = moved.shape[:-1]
    if 0 in lead:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [as_array(func1d(moved[i], *args, **kwargs)) for i in np.ndindex(*lead)]
    inner = results[0].shape
    if len(lead) == 1:  # the usual case, a table
        return HANDLERS[np.stack](results, 0 if axis else len(inner))
    joined = np.stack(results).reshape((*lead, *inner))
    ends = tuple(range(len(lead), len(lead) + len(inner)))
    return np.moveaxis(joined, ends, tuple(range(axis, axis + len(inner))))


@handle(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """Apply a reduction over one axis after the other, keeping the axes."""
    a = as_array(a)
    for axis in [axes] if np.ndim(axes) == 0 else list(axes):
        axis = normalize_axis(axis, a.ndim)
        result = func(a, axis)
        a = result if result.ndim == a.ndim else np.expand_dims(result, axis)
    return a


def _windows_of(x: Any, shape: Any, axes: Any) -> Any:
    return np.lib.stride_tricks.sliding_window_view(x, shape, axes)


def _windows_summed(ct: Any, x_shape: Any, shape: Any, axes: Any) -> Any:
    n = math.prod(x_shape)
    places = _windows_of(np.arange(n).reshape(x_shape), shape, axes).reshape(-1)
    return scatter(ct.reshape(-1), index=(places,), shape=(n,)).reshape(x_shape)


_windows: Primitive = linear(
    "windows",
    _windows_of,
    transpose=_windows_summed,
    batch=lambda x, shape, axes: _windows(x, shape=shape, axes=outside(axes)),
)


_windows.unview = lambda base, new, settings: read_only()


@handle(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """Return the windows of an array, which see what is written into it later."""
    x = as_array(x)
    shape = tuple(window_shape) if np.iterable(window_shape) else (operator.index(window_shape),)
    given = range(x.ndim) if axis is None else axis if np.iterable(axis) else (axis,)
    axes = tuple([normalize_axis(i, x.ndim) for i in given])  # an axis may come twice
    if writeable:  # an entry that stands in several windows would have to be written once
        unsupported("sliding_window_view with writeable=True", "write into the array itself")
    return _windows(x, shape=shape, axes=axes)
