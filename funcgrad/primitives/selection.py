"""Choosing, inserting, padding and arranging entries; sets; comparisons of whole arrays."""

import functools
import math
import operator
from typing import Any

import numpy as np

from funcgrad.core import (
    HANDLERS,
    Primitive,
    Tracer,
    as_array,
    existing,
    handle,
    is_traced,
    plain_array,
    unsupported,
)
from funcgrad.primitives.axes import (
    in_dtype,
    in_rows,
    laid_out,
    normalize_axes,
    normalize_axis,
    outside,
    read_only,
)
from funcgrad.primitives.families import constant, linear
from funcgrad.primitives.indexing import SMALL, entries, places_of, scatter
from funcgrad.primitives.statistics import is_mapped, no_out, settled


def _take(x: Any, indices: Any, axis: int) -> Any:
    """Return entries along an axis; `indices` are plain."""
    return in_rows(x[(slice(None),) * axis + (indices,)])


def _flat_entries(x: Any, places: Any) -> Any:
    """Return entries of the flat array; the caller may hand on the places and change them."""
    return HANDLERS["getitem"](x, places) if x.ndim == 1 else entries(x, places=places.copy())


# --- choosing ------------------------------------------------------------------------------------


def _of_one_kind(xs: Any) -> list[Any]:
    """Return arrays of the common dtype, in which Python numbers are weak."""
    xs = [as_array(x) if isinstance(x, (list, tuple)) else x for x in xs]
    kind = np.result_type(*xs)
    return [in_dtype(as_array(x), kind) for x in xs]


@handle(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """Return, entry by entry, the value of the choice whose number stands in `a`."""
    no_out("np.choose", out)
    options, a = _of_one_kind(choices), as_array(a)
    if not isinstance(a, Tracer) and a.size <= SMALL:
        numpy_choose: Any = np.choose
        return entries(*options, places=numpy_choose(a, places_of(*options), mode=mode))
    options, n = list(np.broadcast_arrays(*options)), len(options)
    if a.dtype.kind not in "iub":
        raise TypeError(f"Cannot cast array data from {a.dtype!r} to dtype('int64')")
    if mode == "raise" and not isinstance(a, Tracer) and np.any((a < 0) | (a >= n)):
        raise ValueError("invalid entry in choice array")
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    a = a % n if mode == "wrap" else np.clip(a, 0, n - 1)
    result = options[0]
    for i, x in enumerate(options):
        result = np.where(a == i, x, result)
    return result


@handle(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    """Return the slices along an axis for which the condition holds."""
    no_out("np.compress", out)
    mask, a = settled(condition), as_array(a)
    if mask.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    if axis is None:
        return _flat_entries(a, np.flatnonzero(mask))
    return _take(a, np.flatnonzero(mask), normalize_axis(axis, a.ndim))


@handle(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """Return the entries for which the condition holds."""
    return _flat_entries(as_array(arr), np.flatnonzero(settled(condition)))


@handle(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Return, entry by entry, the choice whose condition is the first to hold."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not len(condlist):
        raise ValueError("select with an empty condition list is not possible")
    conditions = [as_array(c) for c in condlist]
    if any(c.dtype != np.bool_ for c in conditions):
        raise TypeError("invalid entry in condlist: should be boolean ndarray")
    *choices, result = _of_one_kind([*choicelist, default])
    for condition, x in zip(conditions[::-1], choices[::-1]):
        result = HANDLERS[np.where](condition, x, result)
    return in_rows(result)


@handle(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Return, entry by entry, the function whose condition holds (the last of them), or 0.

    As NumPy does it, each function sees the entries it is for alone; under vmap, where their number
    differs from example to example, it sees them all.
    """
    x = as_array(x)
    funs = list(funclist)
    if isinstance(condlist, (bool, np.bool_)) or (
        not isinstance(condlist, (list, tuple)) and as_array(condlist).ndim == x.ndim
    ):
        condlist = [condlist]
    elif isinstance(condlist, (list, tuple)) and not is_traced(condlist):
        condlist = condlist if np.ndim(condlist[0]) or not x.ndim else [condlist]
    masks = [in_dtype(as_array(c), np.dtype(bool)) for c in condlist]
    complete = len(funs) == len(masks) + 1
    if len(funs) == len(masks) + 1:
        masks.append(~functools.reduce(operator.or_, masks))
    elif len(funs) != len(masks):
        raise ValueError(
            f"with {len(masks)} condition(s), either {len(masks)} or {len(masks) + 1} functions are expected"
        )
    if any([isinstance(mask, Tracer) for mask in masks]):
        return _blended(x, masks, funs, args, kw)
    parts, where, start = [], np.zeros(x.size, np.intp), 0
    if not complete:  # elsewhere it is zero
        parts, start = [HANDLERS[np.zeros_like](x, shape=(1,))], 1
    for mask, fun in zip(masks, funs):
        mask = mask if mask.shape == x.shape else np.broadcast_to(mask, x.shape)
        (places,) = mask.reshape(-1).nonzero()
        if len(places):
            values = fun(_flat_entries(x, places), *args, **kw) if callable(fun) else fun
            parts.append(in_dtype(as_array(values), x.dtype))
            n = parts[-1].size
            where[places] = start if n == 1 else np.arange(start, start + n)
            start += n
    if complete and not is_traced(parts):  # so that the result can be written into
        parts.append(np.zeros_like(x, shape=(1,)))
    return laid_out(entries(*parts, places=where.reshape(x.shape)), x, "K")


def _blended(x: Any, masks: Any, funs: Any, args: Any, kw: Any) -> Any:
    """Return the pieces for masks that differ from example to example."""
    result = np.zeros_like(x)
    for mask, fun in zip(masks, funs):
        values = fun(x, *args, **kw) if callable(fun) else fun
        result = in_dtype(np.where(mask, values, result), x.dtype)
    return laid_out(in_rows(result), x, "K")


# --- deleting and inserting ----------------------------------------------------------------------


@handle(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """Return the array without the slices named."""
    arr = as_array(arr)
    (places,) = places_of(arr)
    places = np.delete(laid_out(places, arr, "A"), _plain_index(obj), axis)
    return laid_out(entries(arr, places=places), places, "K")


def _plain_index(obj: Any) -> Any:
    return obj if isinstance(obj, slice) else _places(obj)


def _places(obj: Any) -> Any:
    """Return what names places as a plain array; an empty list has no dtype of its own."""
    places = settled(obj)
    return places if places.size or isinstance(obj, np.ndarray) else places.astype(np.intp)


@handle(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """Insert slices before the places named."""
    arr = as_array(arr)
    values = in_dtype(as_array(values), arr.dtype)
    places, new = places_of(arr, values)
    places = np.insert(laid_out(places, arr, "A"), _plain_index(obj), new, axis)
    return laid_out(entries(arr, values, places=places), places, "K")


@handle(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """Repeat the flat array until it fills a shape."""
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    a = as_array(a)
    if any([n < 0 for n in shape]):
        raise ValueError("all elements of `new_shape` must be non-negative")
    size = math.prod(shape)
    if not a.size or not size:
        return np.zeros_like(a, shape=shape)
    return entries(a, places=(np.arange(size) % a.size).reshape(shape))


@handle(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Drop leading and trailing zeros (of each axis)."""
    filt, trim = as_array(filt), trim.lower()
    if trim not in ("fb", "bf", "f", "b"):
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    found = np.argwhere(settled(filt))
    index = [slice(None)] * filt.ndim
    for i in normalize_axes(axis if axis is None or np.ndim(axis) == 0 else tuple(axis), filt.ndim):
        start = found[:, i].min() if len(found) else filt.shape[i]
        stop = found[:, i].max() + 1 if len(found) else 0
        index[i] = slice(start if "f" in trim else None, stop if "b" in trim else None)
    return filt[tuple(index)]


# --- padding -------------------------------------------------------------------------------------


def _pairs(x: Any, ndim: int) -> list[Any]:
    """Return (before, after) for each axis, from NumPy's short forms or traced numbers."""
    x = as_array(x)
    pairs = np.broadcast_to(x, (ndim, 2))
    return [(pairs[i, 0], pairs[i, 1]) for i in range(ndim)]


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        given = {normalize_axis(axis, ndim): width for axis, width in pad_width.items()}
        pad_width = [np.broadcast_to(given.get(i, 0), 2).tolist() for i in range(ndim)]
    widths = np.broadcast_to(plain_array(pad_width), (ndim, 2))
    if widths.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    if np.any(widths < 0):
        raise ValueError("index can't contain negative values")
    return [(int(a), int(b)) for a, b in widths]


def _constant_ends(x: Any, axis: int, before: int, after: int, values: Any) -> Any:
    ends = []
    for n, value in zip((before, after), values):
        shape = (*x.shape[:axis], n, *x.shape[axis + 1 :])
        ends.append(np.broadcast_to(as_array(value).astype(x.dtype), shape))
    return np.concatenate([ends[0], x, ends[1]], axis)


def _ramp(x: Any, axis: int, before: int, after: int, values: Any) -> Any:
    """Pad with straight lines from the edges to the values."""
    first, last = _take(x, [0], axis), _take(x, [-1], axis)
    ends = []
    for n, edge, value in ((before, first, values[0]), (after, last, values[1])):
        value = np.broadcast_to(as_array(value).astype(x.dtype), edge.shape)
        start, stop = [np.squeeze(y, axis) for y in (value, edge)]
        ends.append(np.linspace(start, stop, n, endpoint=False, dtype=x.dtype, axis=axis))
    return np.concatenate([ends[0], x, np.flip(ends[1], axis)], axis)


_STATISTICS: dict[str, Any] = {
    "maximum": np.max,
    "minimum": np.min,
    "mean": np.mean,
    "median": np.median,
}


def _statistic(x: Any, axis: int, before: int, after: int, mode: str, lengths: Any) -> Any:
    """Pad with a statistic of the entries next to the edge."""
    n, ends = x.shape[axis], []
    for places, length in zip((slice(None, None), slice(None, None, -1)), lengths):
        chosen = np.arange(n)[places][: n if length is None else int(length)]
        part = _take(x, np.sort(chosen), axis)
        value = _STATISTICS[mode](part, axis=axis, keepdims=True)
        ends.append(np.round(value) if x.dtype.kind in "iu" else value)
    widths = [(*x.shape[:axis], k, *x.shape[axis + 1 :]) for k in (before, after)]
    filled = [np.broadcast_to(e, w).astype(x.dtype) for e, w in zip(ends, widths)]
    return np.concatenate([filled[0], x, filled[1]], axis)


def _odd(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    """Pad with the mirror image turned about the edge value, in steps of at most the array's length."""
    skip = int(mode == "reflect")
    if x.shape[axis] == 1:
        return _by_place(x, axis, before, after, "edge")
    while before or after:
        n = x.shape[axis]
        head, tail = min(before, n - skip), min(after, n - skip)
        left = 2 * _take(x, [0], axis) - _take(x, np.arange(head)[::-1] + skip, axis)
        right = 2 * _take(x, [-1], axis) - _take(x, n - 1 - skip - np.arange(tail), axis)
        x = np.concatenate([left, x, right], axis)
        before, after = before - head, after - tail
    return x


def _by_place(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    """Pad with entries of the array: which ones is a matter of places alone."""
    return _take(x, np.pad(np.arange(x.shape[axis]), (before, after), mode), axis)  # type: ignore[call-overload]


def _inside(x_shape: Any, widths: Any) -> Any:
    return tuple([slice(before, before + n) for n, (before, _) in zip(x_shape, widths)])


def _with_zeros(x: Any, widths: Any) -> Any:
    out = np.zeros([a + n + b for n, (a, b) in zip(x.shape, widths)], x.dtype)
    out[_inside(x.shape, widths)] = x
    return out


_zero_pad: Primitive = linear(
    "pad",
    _with_zeros,
    transpose=lambda ct, x_shape, widths: ct[_inside(x_shape, widths)],
    batch=lambda x, widths: _zero_pad(x, widths=((0, 0), *widths)),
)

_OPTIONS: dict[str, dict[str, Any]] = {
    "constant": {"constant_values": 0},
    "linear_ramp": {"end_values": 0},
    "reflect": {"reflect_type": "even"},
    "symmetric": {"reflect_type": "even"},
    **{name: {"stat_length": None} for name in _STATISTICS},
    **{name: {} for name in ("edge", "wrap", "empty")},
}


@handle(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Pad by any of NumPy's modes, axis by axis."""
    array = as_array(array)
    return laid_out(in_rows(_pad(array, pad_width, mode, kwargs)), array, "A")


def _pad(array: Any, pad_width: Any, mode: Any, kwargs: dict[str, Any]) -> Any:
    if callable(mode):
        return _padded_by(array, _widths(pad_width, array.ndim), mode, kwargs)
    if mode not in _OPTIONS:
        raise ValueError(f"mode '{mode}' is not supported")
    unknown = set(kwargs) - set(_OPTIONS[mode])
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    options = {**_OPTIONS[mode], **kwargs}
    widths = _widths(pad_width, array.ndim)
    if mode == "constant" and isinstance(options["constant_values"], int | float):
        if options["constant_values"] == 0:
            return _zero_pad(array, widths=tuple(widths))
    for axis, (before, after) in enumerate(widths):
        if before or after:
            array = _padded(array, axis, before, after, mode, options)
    return array


def _padded_by(x: Any, widths: Any, fill: Any, kwargs: Any) -> Any:
    """Pad with zeros, which `fill` overwrites: it is given each row along each axis."""
    x = _zero_pad(x, widths=tuple(widths))
    for axis in range(x.ndim):
        rows = np.moveaxis(x, axis, -1)
        for i in np.ndindex(*rows.shape[:-1]):
            fill(rows[i], widths[axis], axis, kwargs)
    return x


def _padded(x: Any, axis: int, before: int, after: int, mode: str, options: Any) -> Any:
    if mode in ("constant", "empty"):
        values = _pairs(options.get("constant_values", 0), x.ndim)[axis]
        return _constant_ends(x, axis, before, after, values)
    if not x.shape[axis]:
        raise ValueError(
            f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'"
        )
    if mode == "linear_ramp":
        return _ramp(x, axis, before, after, _pairs(options["end_values"], x.ndim)[axis])
    if mode in _STATISTICS:
        lengths = options["stat_length"]
        lengths = (None, None) if lengths is None else _pairs(lengths, x.ndim)[axis]
        return _statistic(x, axis, before, after, mode, lengths)
    if options.get("reflect_type") == "odd":
        return _odd(x, axis, before, after, mode)
    return _by_place(x, axis, before, after, mode)


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


# --- sets ----------------------------------------------------------------------------------------


@handle(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    **options: Any,
) -> Any:
    """Return the sorted different entries; the first of equal ones takes the derivative."""
    ar = as_array(ar)
    numpy_unique: Any = np.unique
    _, index, *rest = numpy_unique(
        settled(ar), True, return_inverse, return_counts, axis, **options
    )
    flat = axis is None
    found = _flat_entries(ar, index) if flat else _take(ar, index, normalize_axis(axis, ar.ndim))
    results = (found, *([index] if return_index else []), *rest)
    return results if len(results) > 1 else found


def _unique_tuple(fun: Any) -> None:
    """Declare one of the array API's four."""
    kind = type(fun(np.zeros(1)))
    fields = getattr(kind, "_fields", ())
    numpy_unique: Any = np.unique
    more = ["inverse_indices" in fields, "counts" in fields]

    @handle(fun)
    def unique_tuple(x: Any, /) -> Any:
        plain = settled(x)
        values, index, *rest = numpy_unique(plain, True, *more, equal_nan=False)
        if not fields:
            index = index[np.searchsorted(values, fun(plain))]  # NumPy 2.3 does not sort them
            return _flat_entries(x, index)
        indices = [index] if "indices" in fields else []
        return kind(_flat_entries(x, index), *indices, *rest)


for _fun in existing("unique_all", "unique_counts", "unique_inverse", "unique_values"):
    _unique_tuple(_fun)


@handle(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """Return the entries that are in either array."""
    arrays, _, joined = _joined_entries(ar1, ar2)
    return entries(*arrays, places=np.unique(joined, return_index=True)[1])


def _joined_entries(*xs: Any) -> tuple[list[Any], list[Any], Any]:
    """Return the arrays; the plain and flat ones under them; these joined."""
    arrays = [as_array(x) for x in xs]
    plain = [settled(x).reshape(-1) for x in arrays]
    return arrays, plain, np.concatenate(plain)


def _of_both(fun: Any, ar1: Any, ar2: Any, *options: Any) -> Any:
    """Return the entries of two arrays that `fun` finds; the first of equal ones takes the derivative."""
    arrays, plain, joined = _joined_entries(ar1, ar2)
    order = joined.argsort(kind="stable")
    return entries(*arrays, places=order[joined.searchsorted(fun(*plain, *options), sorter=order)])


@handle(np.intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    """Return the entries that are in both arrays; those of the first take the derivative."""
    _, first, second = np.intersect1d(settled(ar1), settled(ar2), assume_unique, True)
    found = _flat_entries(as_array(ar1), first)
    return (found, first, second) if return_indices else found


@handle(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Return the entries of the first array that are not in the second."""
    ar1 = as_array(ar1)
    first = settled(ar1).reshape(-1)
    index = np.arange(first.size) if assume_unique else np.unique(first, return_index=True)[1]
    return _flat_entries(ar1, index[np.isin(first[index], settled(ar2), invert=True)])


@handle(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Return the entries that are in one array alone."""
    return _of_both(np.setxor1d, ar1, ar2, assume_unique)


# --- comparisons: constants ----------------------------------------------------------------------


def _truth(x: Any) -> Any:
    """Return a Python bool, or under vmap one for each example."""
    return x if isinstance(x, Tracer) else bool(x)


_isclose = constant(np.isclose)


@handle(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Tell which entries are equal within a tolerance."""
    return _isclose(*[as_array(x) for x in (a, b, rtol, atol)], equal_nan=bool(equal_nan))


@handle(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Tell whether all entries are equal within a tolerance."""
    return _truth(np.all(isclose(a, b, rtol, atol, equal_nan)))


@handle(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Tell whether two arrays have one shape and equal entries."""
    a1, a2 = as_array(a1), as_array(a2)
    if a1.shape != a2.shape:
        return False
    same = a1 == a2
    return _truth(np.all(same | (np.isnan(a1) & np.isnan(a2)) if equal_nan else same))


@handle(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    """Tell whether two arrays are equal after broadcasting."""
    a1, a2 = as_array(a1), as_array(a2)
    try:
        np.broadcast_shapes(a1.shape, a2.shape)
    except ValueError:
        return False
    return _truth(np.all(a1 == a2))


@handle(np.isin)
def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    """Tell which entries are among the others."""
    element, others = as_array(element), as_array(test_elements).reshape(-1)
    found = np.any(element[..., None] == others, axis=-1)
    return ~found if invert else found


@handle(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    """Return the places of the entries of the flat array that are not zero."""
    return np.nonzero(as_array(a).reshape(-1))[0]


@handle(np.argwhere)
def argwhere(a: Any) -> Any:
    """Return the places of the entries that are not zero, one per row."""
    return np.argwhere(settled(a))


@handle(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """Return the indices that sort by several keys, the last first."""
    keys = [as_array(k) for k in keys]
    if not any([is_mapped(k) for k in keys]):
        return np.lexsort([settled(k) for k in keys], axis)
    axis = normalize_axis(axis, keys[0].ndim)
    order = np.argsort(keys[0], axis=axis, kind="stable")
    for key in keys[1:]:
        key = HANDLERS[np.take_along_axis](key, order, axis)
        then = np.argsort(key, axis=axis, kind="stable")
        order = HANDLERS[np.take_along_axis](order, then, axis)
    return order


@handle(np.ix_)
def ix_(*args: Any) -> Any:
    """Return index arrays for the grid of all combinations of places."""
    arrays = [as_array(x) for x in args]
    arrays = [np.nonzero(x)[0] if x.dtype == np.bool_ else x for x in arrays]
    n = len(arrays)
    return tuple([x.reshape((1,) * i + x.shape + (1,) * (n - i - 1)) for i, x in enumerate(arrays)])


def _steps(fun: Any, body: Any) -> None:
    """Declare a constant that may write into an array."""

    @handle(fun)
    def steps(x: Any, out: Any = None) -> Any:
        no_out(f"np.{fun.__name__}", out)
        return body(as_array(x))


_steps(np.fix, lambda x: np.trunc(x))
_steps(np.isposinf, lambda x: np.isinf(x) & (x > 0))
_steps(np.isneginf, lambda x: np.isinf(x) & (x < 0))
handle(np.isreal)(lambda x: np.imag(as_array(x)) == 0)
handle(np.iscomplex)(lambda x: np.imag(as_array(x)) != 0)
handle(np.tril_indices_from)(lambda arr, k=0: np.tril_indices(arr.shape[0], k, arr.shape[1]))
handle(np.triu_indices_from)(lambda arr, k=0: np.triu_indices(arr.shape[0], k, arr.shape[1]))
handle(np.diag_indices_from)(lambda arr: np.diag_indices_from(np.empty(arr.shape, bool)))
handle(np.common_type)(lambda *arrays: np.common_type(*[np.empty(0, x.dtype) for x in arrays]))
