"""Choosing, deleting and inserting entries, and comparisons."""

import functools
import math
import operator
from typing import Any

import numpy as np

from funcgrad.core import HANDLERS, Tracer, as_array, handle, is_traced, refuse_to_cut
from funcgrad.operators import calling_frame
from funcgrad.primitives.axes import in_dtype, in_rows, laid_out, listed_axes, normalize_axis
from funcgrad.primitives.families import constant
from funcgrad.primitives.indexing import SMALL, entries, places_of
from funcgrad.primitives.plain import is_mapped, no_out, settled


def take_along(x: Any, indices: Any, axis: int) -> Any:
    """Return entries along an axis; `indices` are plain."""
    return in_rows(x[(slice(None),) * axis + (indices,)])


def flat_entries(x: Any, places: Any) -> Any:
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
        return flat_entries(a, np.flatnonzero(mask))
    return take_along(a, np.flatnonzero(mask), normalize_axis(axis, a.ndim))


@handle(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """Return the entries for which the condition holds."""
    return flat_entries(as_array(arr), np.flatnonzero(settled(condition)))


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
            values = fun(flat_entries(x, places), *args, **kw) if callable(fun) else fun
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
    leading = len(found) > 0 and not found[0].any()
    if not leading and calling_frame().f_code.co_qualname == "poly1d.__init__":
        refuse_to_cut("np.poly1d")
    index = [slice(None)] * filt.ndim
    for i in listed_axes(axis, filt.ndim):
        start = found[:, i].min() if len(found) else filt.shape[i]
        stop = found[:, i].max() + 1 if len(found) else 0
        index[i] = slice(start if "f" in trim else None, stop if "b" in trim else None)
    return filt[tuple(index)]


# --- comparisons: constants ----------------------------------------------------------------------


def _truth(x: Any) -> Any:
    """Return a Python bool, or under vmap one for each example."""
    return x if isinstance(x, Tracer) else bool(x)


_isclose = constant(np.isclose, elementwise=True)


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
