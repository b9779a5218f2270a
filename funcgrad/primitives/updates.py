"""NumPy's functions that write into an array they are given: copyto, put, place, fill_diagonal, ufunc.at ...

Into a traced array they write as `y[index] = v` does, which `writing.py` owns; a traced value
cannot go into a plain one.
"""

import math
from typing import Any, NoReturn

import numpy as np

from funcgrad.backward import is_basic
from funcgrad.core import (
    HANDLERS,
    HOOKS,
    Tracer,
    as_array,
    dotted_name,
    handle,
    is_number,
    unsupported,
)
from funcgrad.operators import replace
from funcgrad.primitives.axes import in_dtype, normalize_axis
from funcgrad.primitives.indexing import (
    SMALL,
    along_axis,
    entries,
    mark_mapped,
    places_of,
    plain_index,
    scatter,
)
from funcgrad.primitives.plain import settled


def _refuse_plain(name: str) -> NoReturn:
    """Refuse to write into a plain array (np.full_like and np.nan_to_num come here too, through np.copyto)."""
    unsupported(
        f"writing a traced value into a plain array ({name}, np.full_like(plain, x) and the like)",
        "make the array traced: np.zeros_like(x), np.zeros(n, like=x) or np.full_like(x, ...) of a traced x; "
        "or use np.where or np.stack",
    )


def _check_casting(value: Any, target: Any, casting: Any = "same_kind") -> None:
    if value.dtype != target.dtype and not np.can_cast(value.dtype, target.dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {value.dtype!r} to {target.dtype!r} according to the rule "
            f"{casting!r}"
        )


def _cycled(values: Any, size: int) -> Any:
    """Return the first `size` of the values, which start again when they are used up."""
    if values.size == 1 or (values.size == size and values.ndim == 1):
        return values if values.ndim < 2 else values.reshape(-1)
    return entries(values, places=np.arange(size) % values.size)


def _rewrite(a: Any, values: Any, write: Any) -> bool:
    """Let `write` put the places of the values among those of a small array; tell whether that was done.

    One node reads the entries from there, in place of two or three.
    """
    if a.size > SMALL or values.size > SMALL or is_number(a) or values.dtype.kind == "O":
        return False
    places, new = places_of(a, values)
    write(places, new)
    replace(a, entries(a, in_dtype(values, a.dtype), places=places))
    return True


# --- at places of the flat array -----------------------------------------------------------------


def _index_of(places: Any, shape: Any) -> Any:
    """Return the index of places of the flat array."""
    if len(shape) == 1:
        return places
    return np.unravel_index(places, shape) if shape else ...


def write_flat(y: Any, index: Any, values: Any) -> None:
    """Write into `y.flat[index]`; values that run out start again."""
    values = as_array(values)
    if not isinstance(index, Tracer):
        places = np.arange(y.size)[index].reshape(-1)
        if places.size and values.size:
            y[_index_of(places, y.shape)] = _cycled(values, places.size)
    elif index.size and values.size:
        flat = HANDLERS[np.copy](y.reshape(-1))
        values = np.broadcast_to(_cycled(values, index.size), index.size)
        flat[index] = values.reshape(index.shape)
        y[...] = flat.reshape(y.shape)


HOOKS["write_flat"] = write_flat


@handle(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Write at places of the flat array."""
    if not isinstance(a, Tracer):
        _refuse_plain("np.put")
    ind, v = as_array(ind), as_array(v)
    _check_casting(v, a)
    plain = ind.size and not isinstance(ind, Tracer)
    if plain and _rewrite(a, v, lambda x, new: x.put(ind, new, mode)):
        return
    ind = ind.reshape(-1)
    if mode == "wrap":
        ind = ind % a.size
    elif mode == "clip":
        ind = np.clip(ind, 0, a.size - 1)
    if ind.size:
        write_flat(a, ind, v)


@handle(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Write the main diagonal."""
    if not isinstance(a, Tracer):
        _refuse_plain("np.fill_diagonal")
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    val = as_array(val)
    _check_casting(val, a)
    if _rewrite(a, val, lambda x, new: np.fill_diagonal(x, new, wrap)):
        return
    step = 1 + sum([math.prod(a.shape[k:]) for k in range(1, a.ndim)])
    end = a.shape[1] * a.shape[1] if a.ndim == 2 and not wrap else None
    write_flat(a, slice(None, end, step), val)


@handle(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """Write at the places that np.take_along_axis reads."""
    if not isinstance(arr, Tracer):
        _refuse_plain("np.put_along_axis")
    if axis is None:
        write_flat(arr, as_array(indices), values)
        return
    axis = normalize_axis(axis, arr.ndim)
    arr[along_axis(arr.shape, indices, axis)] = values


# --- where a mask is true ------------------------------------------------------------------------


@handle(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Write all entries, or those where a mask is true."""
    if not isinstance(dst, Tracer):
        _refuse_plain("np.copyto")
    if isinstance(src, (bool, int, float)):
        src = dst.dtype.type(src)  # a Python number takes the dtype of the array
    src = as_array(src)
    _check_casting(src, dst, casting)
    if where is True:
        dst[...] = src
        return
    new = np.where(where, in_dtype(src, dst.dtype), dst)
    if dst.shape and new.shape == dst.shape:
        replace(dst, new)
    else:
        dst[...] = new


@handle(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Write entry k of the (repeated) values at place k of the flat array, where the mask is true."""
    if not isinstance(a, Tracer):
        _refuse_plain("np.putmask")
    mask, values = as_array(mask), as_array(values)
    if mask.size != a.size:
        raise ValueError("putmask: mask and data must be the same size")
    _check_casting(values, a)
    if not a.size or not values.size:
        return
    plain = not isinstance(mask, Tracer)
    if plain and _rewrite(a, values, lambda x, new: np.putmask(x, mask, new)):
        return
    if values.size > 1 and values.shape != a.shape:
        places = (np.arange(a.size) % values.size).reshape(a.shape)
        values = entries(values, places=places)
    mask = mask if mask.shape == a.shape else mask.reshape(a.shape)
    copyto(a, values if values.size > 1 else values.reshape(()), where=mask != 0)


@handle(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """Write the k-th of the (repeated) values at the k-th place where the mask is true."""
    if not isinstance(arr, Tracer):
        _refuse_plain("np.place")
    mask, vals = as_array(mask), as_array(vals)
    if mask.size != arr.size:
        raise ValueError("place: mask and data must be the same size")
    if not vals.size:
        if np.any(settled(mask)):
            raise ValueError("Cannot insert from an empty array!")
        return
    plain = not isinstance(mask, Tracer)
    if plain and _rewrite(arr, vals, lambda x, new: np.place(x, mask, new)):
        return
    chosen = mask.reshape(-1) != 0
    vals = vals if vals.ndim == 1 else vals.reshape(-1)
    rank = np.maximum(np.cumsum(chosen) - 1, 0) % vals.size
    copyto(arr, np.take(vals, rank).reshape(arr.shape), "unsafe", chosen.reshape(arr.shape))


# --- ufunc.at ------------------------------------------------------------------------------------


def apply_at(ufunc: np.ufunc, a: Any, indices: Any, *operands: Any) -> None:
    """Apply a ufunc to the entries at `indices`, to repeated ones repeatedly."""
    if not isinstance(a, Tracer):
        unsupported(
            f"{dotted_name(ufunc)}.at into a plain array with traced values",
            "make the array traced: np.zeros(n, like=x) or np.zeros_like(x); or add up with "
            "np.bincount(indices, weights)",
        )
    index = plain_index(indices)
    operands = tuple([as_array(x) for x in operands])
    if is_basic(index) or getattr(index, "dtype", None) == np.bool_:
        a[index] = _of_kind(a, ufunc(a[index], *operands))
    elif ufunc is np.add or ufunc is np.subtract:
        index, arrays = mark_mapped(index)
        values = np.broadcast_to(operands[0], np.shape(HANDLERS["getitem"](a, indices)))
        replace(a, ufunc(a, scatter(values, *arrays, index=index, shape=a.shape)))
    else:
        _apply_by_rounds(ufunc, a, index, operands)


def _of_kind(a: Any, result: Any) -> Any:
    _check_casting(result, a)
    return result


def _apply_by_rounds(ufunc: np.ufunc, a: Any, index: Any, operands: Any) -> None:
    """Apply a ufunc to each place for the first time, then to those that come a second time, and so on."""
    index = tuple([settled(i) if isinstance(i, Tracer) else i for i in _items(index)])
    if ufunc is np.maximum or ufunc is np.minimum:
        _apply_to_segments(ufunc, a, index, operands[0])
        return
    places = np.arange(a.size).reshape(a.shape)[index]
    flat = [np.broadcast_to(x, places.shape).reshape(-1) for x in operands]
    places = places.reshape(-1)
    turn = _occurrence(places)
    for k in range(turn.max(initial=-1) + 1):
        now = np.flatnonzero(turn == k)
        at = np.unravel_index(places[now], a.shape)
        a[at] = _of_kind(a, ufunc(a[at], *[x[now] for x in flat]))


def _apply_to_segments(ufunc: np.ufunc, a: Any, index: Any, values: Any) -> None:
    """Join each place to all the values that go there, which are brought next to each other."""
    arrays = all([type(i) is np.ndarray and i.dtype.kind in "iu" for i in index])
    ahead = a.shape[: len(index)] if arrays else a.shape  # whole rows go together, if they can
    behind = a.shape[len(ahead) :]
    places = np.arange(math.prod(ahead)).reshape(ahead)[index]
    values = np.broadcast_to(values, (*places.shape, *behind)).reshape(places.size, *behind)
    touched, which, counts = np.unique(places, return_inverse=True, return_counts=True)
    if not touched.size:
        return
    at = np.unravel_index(touched, ahead)
    rows = np.concatenate([np.arange(touched.size), which.reshape(-1)])
    starts = np.cumsum(counts + 1) - counts - 1
    joined = np.concatenate([a[at], values])[np.argsort(rows, kind="stable")]
    a[at] = _of_kind(a, ufunc.reduceat(joined, starts))


def _items(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _occurrence(places: Any) -> Any:
    """Return for each entry how many equal ones come before it.

    Examples
    --------
    >>> import numpy as np
    >>> _occurrence(np.array([2, 0, 2, 2, 0]))
    array([0, 0, 1, 2, 1])
    """
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    count = np.empty(places.size, np.intp)
    count[order] = np.arange(places.size) - np.searchsorted(ordered, ordered)
    return count


HANDLERS["at"] = apply_at
