"""Arrays made from arrays, or for them: zeros_like, full_like, copy, astype, np.array(..., like=x)."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import (
    CREATORS,
    HANDLERS,
    Handler,
    Tracer,
    as_array,
    existing,
    find_trace,
    handle,
    is_traced,
    unsupported,
)
from funcgrad.primitives.axes import example, in_rows, laid_out
from funcgrad.primitives.families import elementwise
from funcgrad.primitives.plain import settled


def constant_like(tracer: Tracer, value: Any) -> Any:
    """Return `value` as a traced array with derivative zero, so that it can take part in writes."""
    return as_0d_array(tracer._trace.constant(value))


def as_0d_array(x: Any) -> Any:
    """Mark a new traced array without axes, which vmap would take for a number: it can be written to."""
    if not x.shape and isinstance(x, Tracer):
        x._views = []
    return x


def _cast(x: Any, dtype: Any) -> Any:
    return x.astype(dtype)


_astype = elementwise(_cast, 1, name="astype")
_copy = elementwise(np.copy, 1, name="copy")


@handle(*existing("astype"))
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Cast; between inexact types the derivative is the cast, to any other type it is zero."""
    return cast(x, np.dtype(dtype), copy=copy)


def cast(x: Any, dtype: Any, casting: Any = "unsafe", order: str = "K", copy: bool = True) -> Any:
    """Cast as the method astype does: to another array, unless that is one like it and no copy is asked for."""
    if not copy and x.dtype == dtype and _has_order(x, order):
        return x
    if not np.can_cast(x.dtype, dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {x.dtype!r} to {dtype!r} according to the rule {casting!r}"
        )
    result = _astype(x, dtype=dtype)
    return result if order == "K" else laid_out(np.copy(result, order="C"), x, order)


def _has_order(x: Any, order: str) -> bool:
    """Tell whether an array lies in memory as asked for ("A" and "K" take any order)."""
    flags = example(x).flags
    return bool(flags.f_contiguous if order == "F" else order != "C" or flags.c_contiguous)


HANDLERS["astype"] = cast


@handle(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """Return a copy."""
    return as_0d_array(_copy(a) if order == "K" else laid_out(_copy(a, order="C"), a, order))


def _like(fill: Any, a: Any, dtype: Any, shape: Any, order: str) -> Any:
    shape = a.shape if shape is None else shape
    value = np.full(shape, fill, a.dtype if dtype is None else dtype)
    value = constant_like(a, value) if value.dtype.kind in "fc" else value
    return laid_out(value, a, order)


@handle(np.zeros_like, np.empty_like)
def zeros_like(
    a: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: Any = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Return traced zeros."""
    return _like(0, a, dtype, shape, order)


@handle(np.ones_like)
def ones_like(
    a: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: Any = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Return traced ones."""
    return _like(1, a, dtype, shape, order)


@handle(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: Any = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Return a traced array filled with `fill_value`, traced or not."""
    if not is_traced(fill_value):
        return _like(fill_value, a, dtype, shape, order)
    filled = np.broadcast_to(as_array(fill_value), a.shape if shape is None else shape)
    filled = _copy(filled, order="C").astype(a.dtype if dtype is None else dtype)
    return laid_out(filled, a, order)


# --- creation with like= -------------------------------------------------------------------------


def _creator(*funs: Any) -> Callable[[Handler], Handler]:
    def register(creator: Handler) -> Handler:
        for fun in funs:
            CREATORS[fun] = creator
        return creator

    return register


@_creator(np.array)
def array(like: Tracer, a: Any, dtype: Any = None, *, copy: Any = True, **options: Any) -> Any:
    """Return the (nested list of) values as one traced array, a new one."""
    order = options.pop("order", None) or "K"
    result = asarray(like, a, dtype, **options)
    if copy and isinstance(a, Tracer):
        return HANDLERS[np.copy](result, order)
    return _in_order(result, order)


@_creator(np.asarray, np.asanyarray)
def asarray(like: Tracer, a: Any, dtype: Any = None, **options: Any) -> Any:
    """Return the (nested list of) values as one traced array."""
    copy = options.pop("copy", None)
    order, ndmin = options.pop("order", None) or "K", options.pop("ndmin", 0)
    if options.pop("subok", False) or options:
        unsupported(f"np.array with like= and {next(iter(options), 'subok')}=")
    result = as_array(a) if is_traced(a) else constant_like(like, np.array(a, dtype))
    if dtype is not None and result.dtype != np.dtype(dtype):
        result = result.astype(dtype)
    if result is a and copy:
        return HANDLERS[np.copy](a, order)
    result = _in_order(result if isinstance(a, Tracer) else in_rows(result), order)
    missing = ndmin - result.ndim
    return result.reshape((1,) * missing + result.shape) if missing > 0 else result


def _in_order(x: Any, order: str) -> Any:
    """Return an array, or a copy of it that lies in memory as asked for."""
    return x if _has_order(x, order) else HANDLERS[np.copy](x, order)


@_creator(np.ascontiguousarray)
def ascontiguousarray(like: Tracer, a: Any, dtype: Any = None) -> Any:
    """Return the values as one traced array that lies row by row in memory."""
    return asarray(like, a, dtype, order="C", ndmin=1)


@_creator(np.asfortranarray)
def asfortranarray(like: Tracer, a: Any, dtype: Any = None) -> Any:
    """Return the values as one traced array that lies column by column in memory."""
    return asarray(like, a, dtype, order="F")


@_creator(np.require)
def require(like: Tracer, a: Any, dtype: Any = None, requirements: Any = None) -> Any:
    """Return the values as one traced array, in the order that is required."""
    wanted = {str(r)[0].upper() for r in requirements or ()}
    order = next((o for o in "CF" if o in wanted), "K")
    return asarray(like, a, dtype, order=order)


@_creator(np.fromiter)
def fromiter(like: Tracer, iter: Any, dtype: Any, count: int = -1) -> Any:
    """Return the values of an iterator, all or the first `count`, as one traced array."""
    values = list(iter if count < 0 else itertools.islice(iter, count))
    if len(values) < count:
        raise ValueError("iterator too short")
    return asarray(like, values, dtype)


@_creator(np.fromfunction)
def fromfunction(like: Tracer, function: Any, shape: Any, *, dtype: Any = float, **kw: Any) -> Any:
    """Return the function of the (constant) indices of an array."""
    return function(*np.indices(shape, dtype=dtype), **kw)


@_creator(np.arange)
def arange(like: Tracer, *args: Any, **kwargs: Any) -> Any:
    """Return numbers with a constant step; how many there are is a constant."""
    if find_trace([*args, *kwargs.values()]) is None:
        return _constant_array(like, np.arange(*args, **kwargs))
    return _range(*args, **kwargs)


def _range(
    start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, *, device: Any = None
) -> Any:
    start, stop = (0, start) if stop is None else (start, stop)
    number = len(np.arange(*[settled(x) for x in (start, stop, step)]))
    result = start + np.arange(number) * step
    return result if dtype is None else result.astype(dtype)


def _constant_array(like: Tracer, value: Any) -> Any:
    return constant_like(like, value) if value.dtype.kind in "fc" else value


def _plain_creator(fun: Any) -> Any:
    def creator(like: Tracer, *args: Any, **kwargs: Any) -> Any:
        if find_trace([*args, *kwargs.values()]) is not None:
            unsupported(f"np.{fun.__name__} of a traced value", "pass plain numbers")
        order = kwargs.pop("order", "C")
        filled = _constant_array(like, fun(*args, **kwargs))
        return laid_out(filled, filled, order)

    return creator


for _fun in (np.zeros, np.ones, np.empty, np.eye, np.identity, np.tri):
    CREATORS[_fun] = _plain_creator(_fun)


@_creator(np.full)
def full(
    like: Tracer,
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "C",
    *,
    device: Any = None,
) -> Any:
    """Return a traced array filled with `fill_value`, traced or not."""
    if not is_traced(fill_value):
        filled = constant_like(like, np.full(shape, fill_value, dtype))
    else:
        filled = _copy(np.broadcast_to(as_array(fill_value), shape), order="C")
        filled = filled if dtype is None else filled.astype(dtype)
    return laid_out(filled, filled, order)
