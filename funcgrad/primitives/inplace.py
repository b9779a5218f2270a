"""NumPy's functions and methods that write into their argument: np.copyto, np.put, np.add.at, y.sort().

A traced argument changes, for all its names and views, as in `writing.py`. Into a plain array a traced value
cannot be written: NumPy would cut its derivative, so that raises.
"""

import math
from typing import Any, NoReturn

import numpy as np

from funcgrad.core import HANDLERS, METHOD_HANDLERS, Tracer, as_array, handle, unsupported
from funcgrad.primitives.axes import normalize_axis
from funcgrad.primitives.methods import SMOOTH
from funcgrad.primitives.statistics import settled


def _refuse(what: str) -> NoReturn:
    unsupported(
        f"writing a traced value into a plain array ({what})",
        "make the array traced: np.zeros_like(x), np.full_like(x, ...) or np.zeros(n, like=x) of a traced x; "
        "or use np.where or np.stack",
    )


def _check(destination: Any, what: str) -> None:
    if not isinstance(destination, Tracer):
        _refuse(what)


# --- functions -----------------------------------------------------------------------------------


@handle(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Copy values into an array, where a mask says so (np.full_like(plain, x) comes here too)."""
    _check(dst, "np.copyto, or np.full_like and np.nan_to_num of a plain array")
    src = as_array(src)
    if not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {src.dtype!r} to {dst.dtype!r} according to the rule {casting!r}"
        )
    dst[...] = src if where is True else np.where(where, src, dst)


def _fill_flat(y: Any, places: Any, values: Any) -> None:
    """Write values, repeated as often as needed, to places of the flat array."""
    values = as_array(values).reshape(-1)
    if places.size and values.size:
        y.flat[places] = values[np.arange(places.size) % values.size]


@handle(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Write to places of the flat array."""
    _check(a, "np.put")
    places = settled(ind).reshape(-1)
    if mode != "raise":
        places = places % a.size if mode == "wrap" else np.clip(places, 0, a.size - 1)
    _fill_flat(a, places, v)


@handle(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Write where a mask holds, from the same place of the (repeated) values."""
    _check(a, "np.putmask")
    a[...] = np.where(mask, HANDLERS[np.resize](as_array(values), a.shape).astype(a.dtype), a)


@handle(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """Write one value after the other where a mask holds."""
    _check(arr, "np.place")
    places = np.flatnonzero(settled(mask))
    if places.size and not as_array(vals).size:
        raise ValueError("Cannot insert from an empty array!")
    _fill_flat(arr, places, vals)


@handle(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any = -1) -> None:
    """Write what np.take_along_axis would read."""
    _check(arr, "np.put_along_axis")
    indices = settled(indices)
    if axis is None:
        arr.flat[indices] = values
        return
    axis = normalize_axis(axis, arr.ndim)
    index = list(np.ix_(*[np.arange(n) for n in indices.shape]))
    index = [np.arange(arr.shape[i]).reshape(x.shape) if x.size != arr.shape[i] and i != axis else x
             for i, x in enumerate(index)]  # fmt: skip
    index[axis] = indices
    arr[tuple(index)] = values


@handle(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Write to the diagonal; with `wrap` the diagonal of a tall matrix begins anew below."""
    _check(a, "np.fill_diagonal")
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    step = 1 + sum([math.prod(a.shape[i + 1 :]) for i in range(a.ndim - 1)])
    end = None if wrap or a.ndim > 2 else a.shape[1] ** 2
    _fill_flat(a, np.arange(a.size)[:end:step], val)


# --- ufunc.at ------------------------------------------------------------------------------------


def _turns(places: Any) -> Any:
    """Return, for each entry, how often its place was named before it."""
    order = np.argsort(places, kind="stable")
    first = np.searchsorted(places[order], places[order])
    turns = np.empty(places.size, np.intp)
    turns[order] = np.arange(places.size) - first
    return turns


def _at(ufunc: np.ufunc) -> Any:
    """Apply the function entry by entry: a place that is named twice is changed twice."""

    def at(a: Any, indices: Any, *operands: Any) -> None:
        _check(a, f"np.{ufunc.__name__}.at")
        places = np.arange(a.size).reshape(a.shape)[indices]
        values = [np.broadcast_to(as_array(v), places.shape).reshape(-1) for v in operands]
        places = places.reshape(-1)
        if ufunc in (np.add, np.subtract):  # the sum of what goes to a place, at once
            total = HANDLERS["scatter"](values[0], index=(places,), shape=(a.size,))
            a[...] = ufunc(a, total.reshape(a.shape)).astype(a.dtype)
            return
        flat, turns = a.reshape(-1) + 0, _turns(places)
        for turn in range(turns.max(initial=-1) + 1):
            now = np.flatnonzero(turns == turn)
            flat[places[now]] = ufunc(flat[places[now]], *[v[now] for v in values])
        a[...] = flat.reshape(a.shape)

    return at


for _ufunc in (*SMOOTH, np.negative, np.square, np.sqrt, np.exp, np.log, np.reciprocal, np.abs):
    METHOD_HANDLERS[_ufunc, "at"] = _at(_ufunc)

# --- methods -------------------------------------------------------------------------------------


def _sort(
    self: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> None:
    """Sort in place."""
    self[...] = HANDLERS[np.sort](self, axis, kind, order, stable=stable)


def _partition(
    self: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> None:
    """Partition in place."""
    self[...] = HANDLERS[np.partition](self, kth, axis, kind, order)


def _view(self: Any, dtype: Any = None, type: Any = None) -> Any:
    """Return a view of the same dtype; the bits of a traced array have no other."""
    if type is not None or dtype not in (None, self.dtype):
        unsupported(
            "ndarray.view with another dtype or type", "convert the values: x.astype(dtype)"
        )
    return self[...]


def _getfield(self: Any, dtype: Any, offset: int = 0) -> Any:
    """Return the whole of each entry; the bits of a traced array have no parts."""
    if offset != 0 or dtype != self.dtype:
        unsupported(
            "ndarray.getfield of a part of the bits", "use x.real, x.imag or x.astype(dtype)"
        )
    return self[...]


def _resize(self: Any, *shape: Any, refcheck: bool = True) -> NoReturn:
    """Refuse to change the shape of an array in place."""
    unsupported("ndarray.resize in place", "use the returned array: np.resize(x, shape), or np.pad")


for _name, _method in (
    *[("sort", _sort), ("partition", _partition), ("put", put)],
    *[("view", _view), ("getfield", _getfield), ("resize", _resize)],
):
    setattr(Tracer, _name, _method)
