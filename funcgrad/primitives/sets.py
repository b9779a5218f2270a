"""Sets."""

import functools
from typing import Any

import numpy as np

from funcgrad.core import as_array, existing, handle
from funcgrad.primitives.axes import normalize_axis
from funcgrad.primitives.indexing import entries
from funcgrad.primitives.plain import settled
from funcgrad.primitives.selection import flat_entries, take_along


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
    found = (
        flat_entries(ar, index) if flat else take_along(ar, index, normalize_axis(axis, ar.ndim))
    )
    results = (found, *([index] if return_index else []), *rest)
    return results if len(results) > 1 else found


@functools.cache
def _type_of_result(fun: Any) -> Any:
    """Return the type of what NumPy's function returns: asked at the first call, since NumPy then imports `np.ma`."""
    return type(fun(np.zeros(1)))


def _unique_tuple(fun: Any) -> None:
    """Declare one of the array API's four."""
    numpy_unique: Any = np.unique

    @handle(fun)
    def unique_tuple(x: Any, /) -> Any:
        plain = settled(x)
        kind = _type_of_result(fun)
        fields = getattr(kind, "_fields", ())
        more = ["inverse_indices" in fields, "counts" in fields]
        values, index, *rest = numpy_unique(plain, True, *more, equal_nan=False)
        if not fields:
            index = index[np.searchsorted(values, fun(plain))]  # NumPy 2.3 does not sort them
            return flat_entries(x, index)
        indices = [index] if "indices" in fields else []
        return kind(flat_entries(x, index), *indices, *rest)


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
    found = flat_entries(as_array(ar1), first)
    return (found, first, second) if return_indices else found


@handle(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Return the entries of the first array that are not in the second."""
    ar1 = as_array(ar1)
    first = settled(ar1).reshape(-1)
    index = np.arange(first.size) if assume_unique else np.unique(first, return_index=True)[1]
    return flat_entries(ar1, index[np.isin(first[index], settled(ar2), invert=True)])


@handle(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Return the entries that are in one array alone."""
    return _of_both(np.setxor1d, ar1, ar2, assume_unique)
