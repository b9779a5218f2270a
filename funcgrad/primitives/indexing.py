"""Reading entries: indexing of every kind, where, clip, and the writes that are their transposes."""

import functools
import math
from types import EllipsisType
from typing import Any

import numpy as np

from funcgrad.backward import accumulate, add_at, is_basic
from funcgrad.batch import lift
from funcgrad.core import (
    HANDLERS,
    HOOKS,
    Primitive,
    Tracer,
    as_array,
    concrete,
    handle,
    unsupported,
    zero,
)
from funcgrad.errors import TracerConversionError, fail
from funcgrad.handles import register_view
from funcgrad.primitives.axes import along, in_rows, joined_rows, laid_out, normalize_axis
from funcgrad.primitives.families import constant, elementwise, primitive, register

Index = Any


class Mapped:
    """Stands in an index for an integer array that differs from example to example (under vmap)."""

    def __repr__(self) -> str:
        return "<mapped>"


MAPPED = Mapped()


def _items(index: Index) -> tuple[Any, ...]:
    return index if type(index) is tuple else (index,)


def _filled(index: Index, arrays: Any) -> Index:
    """Return the index with `arrays` in the places that are marked as mapped."""
    if not arrays:
        return index
    rest = iter(arrays)
    return tuple([next(rest) if i is MAPPED else i for i in _items(index)])


# --- the primitives: read x[index], and its transpose --------------------------------------------


def _scatter(x: Any, *arrays: Any, index: Index, shape: Any) -> Any:
    buffer = np.zeros(shape, x.dtype)
    add_at(buffer, _filled(index, arrays), x)
    return buffer


class _GetItem(Primitive):
    """Read x[index]; the arguments after x are the integer arrays that the index marks as mapped."""

    __slots__ = ()

    def pull(self, i: int, args: Any) -> tuple[Any, Any]:
        return (zero if i else accumulate), _keep_index

    def push(self, i: int) -> Any:
        return lambda t, ans, args, settings: self(t, *args[1:], **settings)


def _keep_index(ans: Any, args: Any, settings: Any) -> Any:
    return settings["index"], args[0].shape, args[0].dtype, *args[1:]


_keep_index.args, _keep_index.settings = (), ("index",)  # type: ignore[attr-defined]


class _Scatter(Primitive):
    """Add x to zeros at an index: the transpose of reading."""

    __slots__ = ()

    def pull(self, i: int, args: Any) -> tuple[Any, Any]:
        return (zero if i else _read_back), _keep_scattered

    def push(self, i: int) -> Any:
        return lambda t, ans, args, settings: self(t, *args[1:], **settings)


def _keep_scattered(ans: Any, args: Any, settings: Any) -> Any:
    return settings["index"], *args[1:]


_keep_scattered.args, _keep_scattered.settings = (), ("index",)  # type: ignore[attr-defined]


def _read_back(ct: Any, kept: Any) -> Any:
    index, *arrays = kept
    return getitem(ct, *arrays, index=index)


getitem = register(_GetItem("getitem", lambda x, *a, index: x[_filled(index, a)], ("x", "*arrays")))
scatter = register(_Scatter("scatter", _scatter, ("x", "*arrays")))
getitem.pulls, scatter.pulls = (accumulate,), (_read_back,)
getitem.accumulates = True

# --- under vmap ----------------------------------------------------------------------------------


def batched_index(index: Index) -> Any:
    """Return the index that does to each slice along axis 0 what `index` does to one."""
    return (slice(None), *_items(index))


def splits_arrays(index: Index) -> bool:
    """Tell whether index arrays stand apart, so that NumPy moves their axes to the front."""
    places = [k for k, i in enumerate(_items(index)) if _is_array(i)]
    return len(places) > 0 and not is_basic(index) and places[-1] - places[0] >= len(places)


def _is_array(i: Any) -> bool:
    return i is MAPPED or isinstance(i, (int, np.integer, np.ndarray))


def _leads(index: Index) -> bool:
    """Tell whether integer arrays come first, and only slices after them."""
    kinds = [_is_array(i) for i in _items(index)]
    masks = [i for i in _items(index) if getattr(i, "dtype", None) == np.bool_]
    slices = [isinstance(i, slice) for i in _items(index)[sum(kinds) :]]
    return all(kinds[: sum(kinds)]) and all(slices) and not masks


def _with_examples(index: Index, arrays: Any, mapped: Any) -> Any:
    """Return index and arrays for a batch: an array that counts the examples in front."""
    n = len(arrays[mapped.index(True)])
    ndim = max([np.ndim(a) - m for a, m in zip(arrays, mapped, strict=True)])
    ndim = max([ndim, *[np.ndim(i) for i in _items(index) if isinstance(i, np.ndarray)]])
    arrays = [lift(a, ndim + 1) if m else a for a, m in zip(arrays, mapped, strict=True)]
    examples = np.arange(n).reshape((n,) + (1,) * ndim)
    return (examples, *_items(index)), arrays


def _by_example(primitive: Any, args: Any, mapped: Any, settings: Any) -> Any:
    n = len(args[mapped.index(True)])
    if not n:
        args = [
            np.zeros((1, *x.shape[1:]), x.dtype) if m else x
            for x, m in zip(args, mapped, strict=True)
        ]
    rows = [[x[k] if m else x for x, m in zip(args, mapped, strict=True)] for k in range(n or 1)]
    return np.stack([primitive(*row, **settings) for row in rows])[:n]


def _apart(x: Any) -> Any:
    """Return a batch with one example after the other in memory, each laid out as it is: NumPy puts indices first."""
    strides = concrete(x).strides[-x.ndim :]
    if not x.size or strides[0] == max(strides):
        return x
    axes = [0, *sorted(range(1, x.ndim), key=lambda i: -strides[i])]
    back = sorted(range(x.ndim), key=lambda i: axes[i])
    return np.transpose(np.copy(np.transpose(x, axes), order="C"), back)


def _batch_getitem(args: Any, mapped: Any, settings: Any) -> Any:
    (x, *arrays), index = args, settings["index"]
    if not any(mapped[1:]):
        if splits_arrays(index):
            return _by_example(getitem, args, mapped, settings)
        if is_basic(index):
            return getitem(x, *arrays, index=batched_index(index))
        if type(x) is type(index) is np.ndarray and index.dtype.kind in "iu":
            return x.take(index, 1)  # in order, and quicker than x[:, index]
        return _apart(getitem(x, *arrays, index=batched_index(index)))
    if not _leads(index):
        return _by_example(getitem, args, mapped, settings)
    batched, arrays = _with_examples(index, arrays, mapped[1:])
    if mapped[0]:
        return getitem(x, *arrays, index=batched)
    return getitem(x, *arrays, index=index if any(i is MAPPED for i in _items(index)) else batched)


def _batch_scatter(args: Any, mapped: Any, settings: Any) -> Any:
    (x, *arrays), index, shape = args, settings["index"], settings["shape"]
    n = len(args[mapped.index(True)])
    if not any(mapped[1:]) and not splits_arrays(index):
        return scatter(x, *arrays, index=batched_index(index), shape=(n, *shape))
    if not any(mapped[1:]) or not _leads(index):
        return _by_example(scatter, args, mapped, settings)
    batched, arrays = _with_examples(index, arrays, mapped[1:])
    x = x if mapped[0] else np.broadcast_to(x, (n, *x.shape))
    return scatter(x, *arrays, index=batched, shape=(n, *shape))


getitem.batch, scatter.batch = _batch_getitem, _batch_scatter

# --- entries of several arrays, by their places --------------------------------------------------


class _Entries(Primitive):
    """Read entries of arrays by their places in all of them, flat and joined.

    Where a function only moves entries, NumPy's own function moves their places: that gives the second
    argument of one node in place of several.
    """

    __slots__ = ()

    def pull(self, i: int, args: Any) -> tuple[Any, Any]:
        return _to_places, _keep_places(i)

    def push(self, i: int) -> Any:
        def push(t: Any, ans: Any, args: Any, settings: Any) -> Any:
            parts = [t if j == i else np.zeros(x.shape, t.dtype) for j, x in enumerate(args)]
            return self(*parts, **settings)

        return push


@functools.cache
def _keep_places(i: int) -> Any:
    def keep(ans: Any, args: Any, settings: Any) -> Any:
        start = 0
        for x in args[:i]:
            start += x.size
        return settings["places"], start, args[i].shape

    keep.args, keep.settings = (), ()  # type: ignore[attr-defined]  # nobody else has the places
    return keep


def _to_places(ct: Any, kept: Any) -> Any:
    places, start, shape = kept
    size = math.prod(shape)
    mine = (places >= start) & (places < start + size)
    return scatter(ct[mine], index=(places[mine] - start,), shape=(size,)).reshape(shape)


def _read_places(*xs: Any, places: Any) -> Any:
    flat = [x.reshape(-1) for x in xs]
    return (flat[0] if len(xs) == 1 else np.concatenate(flat))[places]


def _batch_entries(args: Any, mapped: Any, settings: Any) -> Any:
    return np.take(joined_rows(args, mapped), settings["places"], axis=1)


entries = register(_Entries("entries", _read_places, ("*xs",)))
entries.pulls, entries.batch = (_to_places,), _batch_entries


SMALL = 500  # entries: a list of their places costs less than another node


def places_of(*xs: Any) -> Any:
    """Return for each array the places of its entries among those of all, in its shape."""
    found, start = [], 0
    for x in xs:
        places = np.arange(start, start + x.size)
        found.append(places if x.ndim == 1 else places.reshape(x.shape))
        start += x.size
    return found


# --- what x[index] of a tracer calls -------------------------------------------------------------


def read(x: Any, index: Index) -> Any:
    """Return `x[index]`."""
    for i in _items(index):
        if type(i) not in _USUAL:
            return _read_any(x, index)
    return getitem(x, index=index)


_USUAL = {int, slice, np.ndarray, EllipsisType, type(None)}


def _read_any(x: Any, index: Index) -> Any:
    """Likewise, for an index with lists or mapped arrays in it."""
    index = plain_index(index)
    marked, arrays = mark_mapped(index)
    for i in arrays:
        _check_index(i)
    return getitem(x, *arrays, index=marked)


def entries_in_place(x: Any, index: Index) -> Any:
    """Return `x[index]` as a view, whatever the index: what strides alone can do in NumPy."""
    entries = getitem(x, index=index)
    if isinstance(entries, Tracer):
        register_view(x, entries, getitem, {"index": index})
    return entries


def mark_mapped(index: Index) -> tuple[Index, list[Any]]:
    """Return the index with marks in the place of mapped arrays, and those arrays."""
    arrays = [i for i in _items(index) if isinstance(i, Tracer)]
    if not arrays:
        return index, arrays
    return tuple([MAPPED if isinstance(i, Tracer) else i for i in _items(index)]), arrays


HANDLERS["getitem"] = read
HOOKS["entries in place"] = entries_in_place
HANDLERS["scatter"] = scatter


def _check_index(i: Tracer) -> None:
    if i.dtype.kind in "iu":
        return
    if i.dtype.kind == "b":
        raise fail(
            TracerConversionError,
            "selecting entries by a mapped mask: their number differs from example to example under vmap.",
            'choose entry by entry with np.where(mask, x, 0), or use vmap(f, fallback="loop")',
        )
    raise fail(
        TracerConversionError,
        f"a traced array of dtype {i.dtype} cannot be an index.",
        "convert it: i.astype(int) has derivative zero",
    )


def plain_index(index: Index) -> Index:
    """Return the index with lists as arrays."""
    if type(index) is tuple:
        return tuple([plain_index(i) for i in index])
    if isinstance(index, list):
        return as_array(index) if index else np.zeros(0, np.intp)
    return index


# --- choosing ------------------------------------------------------------------------------------


def masked(mask: Any, x: Any) -> Any:
    """Return np.where(mask, x, 0) of a float array, by bits: 17 us for 25,000 entries, np.where 31."""
    bits = mask.astype(f"i{x.itemsize}")
    np.negative(bits, out=bits)  # all ones where true
    bits &= x.view(bits.dtype)
    return bits.view(x.dtype)


def _choose(condition: Any, x: Any, y: Any) -> Any:
    """Evaluate np.where; with a zero on one side of large arrays, by bits."""
    if type(condition) is np.ndarray and condition.size > 1000:
        if type(y) is int and y == 0 and _suits(condition, x):
            return masked(condition, x)
        if type(x) is int and x == 0 and _suits(condition, y):
            return masked(~condition, y)
    return np.where(condition, x, y)


def _suits(condition: Any, x: Any) -> bool:
    if type(x) is not np.ndarray or x.shape != condition.shape or condition.dtype != np.bool_:
        return False
    return x.dtype.char in "fd" and x.flags.c_contiguous and condition.flags.c_contiguous


# A product with the mask takes 13 us for 25,000 entries, np.where 60.
_where = elementwise(
    _choose,
    None,
    lambda ct, x: ct * x.astype(ct.dtype),
    lambda ct, x: ct * (~x).astype(ct.dtype),
    name="where",
)


@handle(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Choose entries of x where the condition holds, of y elsewhere."""
    if x is None and y is None:
        return np.nonzero(condition)
    if type(condition) is not np.ndarray:
        condition = as_array(condition)
    if condition.dtype.kind != "b":
        condition = condition != 0
    return _where(condition, _operand(x), _operand(y))


def _operand(x: Any) -> Any:
    """Return `x` as an array, but leave a Python scalar weak."""
    return x if type(x) in (int, float, complex, bool) else as_array(x)


@handle(np.nonzero)
def nonzero(a: Any) -> Any:
    """Return the indices of the entries that are not zero, a constant."""
    mask = a != 0
    if isinstance(mask, Tracer):
        _check_index(mask)
    return np.nonzero(mask)


@handle(np.clip)
def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    dtype: Any = None,
    **options: Any,
) -> Any:
    """Limit to an interval; at a bound the derivative is shared, as by np.minimum and np.maximum."""
    if out is not None:
        unsupported("np.clip with out=", "use the returned value")
    if options:
        unsupported(f"np.clip with {next(iter(options))}=", "leave the option out, or use np.where")
    lower = min if a_min is None else a_min
    upper = max if a_max is None else a_max
    if dtype is not None:
        a, lower, upper = [x if x is None else as_array(x).astype(dtype) for x in (a, lower, upper)]
    a = as_array(a)
    if lower is None and upper is None:
        return np.positive(a)
    if lower is not None:
        a = np.maximum(a, _operand(lower))
    return a if upper is None else np.minimum(a, _operand(upper))


# The method of a plain array, plain.clip(t, 1.0), calls a ufunc that is not public.
handle(np._core.umath.clip)(lambda a, lower, upper: clip(a, lower, upper))  # type: ignore[attr-defined]


@handle(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    """Return entries along an axis."""
    if out is not None:
        unsupported("np.take with out=", "use the returned value")
    a = as_array(a)
    a, axis = along(a, axis)
    n = a.shape[axis]
    indices = as_array(indices)
    if indices.dtype.kind == "b":
        indices = indices.astype(np.intp)
    if mode == "wrap":
        indices = indices % n
    elif mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    return in_rows(read(a, (slice(None),) * axis + (indices,)))


@handle(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """Match 1-d slices of indices and values along an axis."""
    arr = as_array(arr)
    if axis is None:
        arr, axis, indices = arr.reshape(-1), 0, np.reshape(indices, -1)
    return read(arr, along_axis(arr.shape, indices, normalize_axis(axis, arr.ndim)))


def along_axis(shape: tuple[int, ...], indices: Any, axis: int) -> tuple[Any, ...]:
    """Return the index of the entries that `indices` choose along an axis, slice by slice."""
    grid: list[Any] = []
    for i, n in enumerate(shape):
        ones = [1] * len(shape)
        ones[i] = -1
        grid.append(indices if i == axis else np.arange(n).reshape(ones))
    return tuple(grid)


# --- order ---------------------------------------------------------------------------------------

_argsort: Primitive = constant(
    np.argsort,
    batch=lambda args, mapped, settings: _argsort(
        args[0], **{**settings, "axis": settings["axis"] + 1}
    ),
)


@handle(np.argsort)
def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    """Return the indices that would sort along an axis, a constant."""
    if order is not None:
        unsupported("np.argsort with order=")
    a = as_array(a)
    a, axis = along(a, axis)
    return _argsort(a, axis=axis, kind=kind, stable=stable)


def _sort_pull(ct: Any, x: Any, axis: int) -> Any:
    """Return each cotangent where its entry came from; of equal entries the first comes first."""
    order = np.argsort(x, axis, kind="stable")
    if type(ct) is np.ndarray and type(order) is np.ndarray:
        g = np.empty_like(ct)
        np.put_along_axis(g, order, ct, axis)
        return g
    return np.take_along_axis(ct, np.argsort(order, axis), axis)


_sort: Primitive = primitive(
    "sort",
    lambda x, axis, kind, stable: np.sort(x, axis, kind, stable=stable),
    vjp=(_sort_pull,),
    jvp=(lambda t, x, axis: np.take_along_axis(t, np.argsort(x, axis, kind="stable"), axis),),
    batch=lambda args, mapped, settings: _sort(*args, **{**settings, "axis": settings["axis"] + 1}),
)


@handle(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Sort along an axis; equal entries take their derivatives by position."""
    if order is not None:
        unsupported("np.sort with order=")
    a = as_array(a)
    if axis is None:
        a, axis = a.reshape(-1), 0
    return laid_out(_sort(a, axis=normalize_axis(axis, a.ndim), kind=kind, stable=stable), a, "K")


def in_order(a: Any, order: Any, axis: int) -> Any:
    """Return `a` with the entries along an axis in the order that np.argsort gives for it."""
    if isinstance(order, Tracer) or not a.ndim:
        return take_along_axis(a, order, axis)
    if a.ndim > 1:
        axis = normalize_axis(axis, a.ndim)
        places = np.arange(a.size).reshape(a.shape)
        first = places[(slice(None),) * axis + (slice(0, 1),)]
        order = first + order * math.prod(a.shape[axis + 1 :])
    return entries(a, places=order)
