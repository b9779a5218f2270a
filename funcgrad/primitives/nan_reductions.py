"""Reductions that skip NaN."""

from typing import Any

import numpy as np

from funcgrad.core import HANDLERS, Primitive, as_array, handle
from funcgrad.primitives.axes import (
    as_number,
    in_dtype,
    kept_shape,
    normalize_axes,
    outside,
    reduced_axes,
)
from funcgrad.primitives.families import primitive
from funcgrad.primitives.plain import is_mapped, no_out, settled
from funcgrad.primitives.ufuncs import root

_fill: Primitive = primitive(
    "nan_filled",
    lambda x, fill: np.where(np.isnan(x), fill, x),
    vjp=(lambda ct, x: np.where(np.isnan(x), 0, ct),),
    jvp=(lambda t, x: np.where(np.isnan(x), 0, t),),
    batch=lambda args, mapped, settings: _fill(*args, **settings),
)


def filled(a: Any, fill: float) -> Any:
    """Return `a` with `fill` in place of NaN."""
    a = as_array(a)
    return a if a.dtype.kind not in "fc" else _fill(a, fill=fill)


def _neutral(fun: Any, fill: float) -> None:
    """Declare np.nansum and np.nanprod: NaN counts as the neutral entry."""

    @handle(getattr(np, f"nan{fun.__name__}"))
    def reduce(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        no_out(f"np.nan{fun.__name__}", out)
        return HANDLERS[fun](filled(a, fill), axis, dtype, None, keepdims, initial, where)


_neutral(np.sum, 0)
_neutral(np.prod, 1)


def _reduction(name: str, fun: Any, shares: Any) -> Primitive:
    """Declare a reduction that skips NaN; `shares(x, ans, axes, ddof)` are its derivatives by the entries.

    A slice without enough numbers gives NaN, with derivative zero.
    """

    def push(t: Any, ans: Any, x: Any, axes: Any, ddof: Any, keepdims: bool) -> Any:
        return (t * shares(x, ans, axes, ddof)).sum(axes, keepdims=keepdims)

    def value(x: Any, axes: Any, ddof: Any, keepdims: bool) -> Any:
        options = {} if ddof is None else {"ddof": ddof}
        return fun(x, axis=axes, keepdims=keepdims, **options)

    new: Primitive = primitive(
        name,
        value,
        vjp=(
            lambda ct, ans, x, axes, ddof: (
                ct.reshape(kept_shape(x.shape, axes)) * shares(x, ans, axes, ddof)
            ),
        ),
        jvp=(push,),
        batch=lambda args, mapped, settings: new(
            *args, **{**settings, "axes": outside(settings["axes"])}
        ),
    )
    return new


def extreme_shares(x: Any, ans: Any, axes: Any, ddof: Any) -> Any:
    """Return the weights of the largest (or smallest) entries: even ones."""
    same = x == ans.reshape(kept_shape(x.shape, axes))
    return same.astype(x.dtype) / np.maximum(same.sum(axes, keepdims=True), 1).astype(x.dtype)


def _mean_shares(x: Any, ans: Any, axes: Any, ddof: Any) -> Any:
    found = ~np.isnan(x)
    number = np.maximum(found.sum(axes, keepdims=True), 1)
    return found.astype(x.real.dtype) / number.astype(x.real.dtype)


def _spread_shares(x: Any, ans: Any, axes: Any, ddof: Any) -> Any:
    number = (~np.isnan(x)).sum(axes, keepdims=True)
    numbers = filled(x, 0)
    center = numbers.sum(axes, keepdims=True) / np.maximum(number, 1).astype(x.dtype)
    factor = np.where(number > ddof, 2 / np.where(number > ddof, number - ddof, 1), 0)
    return np.where(np.isnan(x), 0, x - center) * factor.astype(x.dtype)


def _extreme(fun: Any, join: np.ufunc, fill: float) -> None:
    """Declare np.nanmax and np.nanmin; a slice of NaN alone gives NaN."""
    new = _reduction(f"nan{fun.__name__}", join.reduce, extreme_shares)

    @handle(getattr(np, f"nan{fun.__name__}"))
    def reduce(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        no_out(f"np.nan{fun.__name__}", out)
        a = as_array(a)
        if initial is not None or where is not True or a.dtype.kind != "f":
            return HANDLERS[fun](filled(a, fill), axis, None, keepdims, initial, where)
        return new(a, axes=reduced_axes(axis, a.ndim), ddof=None, keepdims=bool(keepdims))


_extreme(np.max, np.fmax, -np.inf)
_extreme(np.min, np.fmin, np.inf)


def _numbers(a: Any, where: Any) -> Any:
    """Return which entries count: those that are numbers and not masked out."""
    found = ~np.isnan(a)
    return found if where is True else found & where


_mean = _reduction("nanmean", np.nanmean, _mean_shares)


@handle(np.nanmean)
def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    """Average over the entries that are numbers."""
    no_out("np.nanmean", out)
    a = as_array(a)
    if dtype is None and where is True and a.dtype.kind in "fc":
        axes = reduced_axes(axis, a.ndim)
        return _mean(a, axes=axes, ddof=None, keepdims=bool(keepdims))
    return HANDLERS[np.mean](a, axis, dtype, None, keepdims, where=_numbers(a, where))


_variance = _reduction("nanvar", np.nanvar, _spread_shares)


@handle(np.nanvar)
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Return the variance of the numbers; where nothing remains after ddof it is NaN."""
    no_out("np.nanvar", out)
    a = as_array(a)
    usual = dtype is None and where is True and mean is None and correction is None
    if usual and a.dtype.kind == "f":
        axes = normalize_axes(axis, a.ndim)
        return _variance(a, axes=axes, ddof=ddof, keepdims=bool(keepdims))
    found = _numbers(a, where)
    result = HANDLERS[np.var](
        a, axis, dtype, None, ddof, keepdims, where=found, mean=mean, correction=correction
    )
    number = np.sum(found, axis=axis, keepdims=bool(keepdims))
    enough = number > (ddof if correction is None else correction)
    return as_number(np.where(enough, result, np.nan))


@handle(np.nanstd)
def nanstd(a: Any, axis: Any = None, dtype: Any = None, *args: Any, **options: Any) -> Any:
    """Return the root of np.nanvar; its derivative where all numbers are equal is zero."""
    result = root(nanvar(a, axis, dtype, *args, **options))
    return result if dtype is None else in_dtype(result, np.dtype(dtype))


def _position(fun: Any, fill: float) -> None:
    """Declare np.nanargmax and np.nanargmin, constants."""

    @handle(getattr(np, f"nan{fun.__name__}"))
    def position(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        no_out(f"np.nan{fun.__name__}", out)
        if not is_mapped(a):
            return getattr(np, f"nan{fun.__name__}")(settled(a), axis, keepdims=bool(keepdims))
        return HANDLERS[fun](filled(a, fill), axis, keepdims=bool(keepdims))


_position(np.argmax, -np.inf)
_position(np.argmin, np.inf)


@handle(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    """Return the range: maximum less minimum."""
    no_out("np.ptp", out)
    a = as_array(a)
    return np.max(a, axis, keepdims=bool(keepdims)) - np.min(a, axis, keepdims=bool(keepdims))
