"""Operators and ufunc calls: what `t + x`, `t += x`, `np.add(t, x, out=y)` do with a tracer among them.

All end in a handler of the table. What an option asks for is done here, or refused. Read next: `tracers.py`.
"""

import functools
import importlib
import numbers
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import (
    HANDLERS,
    HOOKS,
    Handler,
    Primitive,
    Tracer,
    as_array,
    dotted_name,
    is_foreign,
    is_number,
    refuse_foreign,
    refuse_to_cut,
    unsupported,
)
from funcgrad.errors import AliasedUpdateError, fail
from funcgrad.handles import write


def operand(x: Any) -> Any:
    """Return a list, a Series or an array of objects as one array; anything else as it is."""
    kind = type(x)
    convert = isinstance(x, (list, tuple)) or (kind is np.ndarray and x.dtype.hasobject)
    return as_array(x) if convert or _is_container(kind) else x


NOT_GIVEN = np._NoValue  # how NumPy's functions say so to each other
_NUMBERS = (int, float, complex, np.generic)
PLAIN = {float, int, np.ndarray, np.float64}


def defers(x: Any, other: Any) -> bool:
    """Tell whether an operator leaves the operation to `other`; refuse numbers that NumPy does not know."""
    if isinstance(other, Tracer):
        return False
    if isinstance(other, (complex, np.complexfloating)):
        HOOKS["complex"](x)
    if isinstance(other, numbers.Number) and not isinstance(other, _NUMBERS):
        unsupported(f"an operation with a {type(other).__name__}", "convert it: float(x)")
    return getattr(type(other), "__array_ufunc__", True) is None or _is_wrapper(type(other))


def _is_wrapper(kind: type) -> bool:
    """Tell whether a type holds arrays of any kind and calculates with them itself: xarray's, pint's."""
    own = hasattr(kind, "__array_ufunc__") and not hasattr(kind, "__pandas_priority__")
    return own and not issubclass(kind, (np.ndarray, np.generic, Tracer))


def _is_container(kind: type) -> bool:
    """Tell whether a type stands for the plain array that NumPy makes of it: a Series, a DataFrame."""
    return hasattr(kind, "__array__") and not issubclass(kind, (np.ndarray, np.generic, Tracer))


def _is_sparse(kind: type) -> bool:
    """Tell whether a type is one of SciPy's sparse matrices."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and issubclass(kind, (sparse.spmatrix, sparse.sparray))


@functools.cache  # by type: 40 ns for each operand
def _is_unusual(kind: Any) -> bool:
    """Tell whether an operand must be converted, refused or asked before a primitive gets it."""
    return (
        issubclass(kind, (list, tuple))
        or _is_container(kind)
        or _is_sparse(kind)
        or (issubclass(kind, np.ndarray) and is_foreign(kind))
    )


def binary_operator(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """Make the method for `t + other`."""

    def method(self: Any, other: Any) -> Any:
        if type(other) not in PLAIN and defers(self, other):
            return NotImplemented
        return call_ufunc(ufunc, (self, other), {})

    return method


def equality_operator(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """Make the method for `t == other`; with a string or None it is what Python says."""
    compare = binary_operator(ufunc)

    def method(self: Any, other: Any) -> Any:
        if other is None or isinstance(other, str):  # as NumPy: no entry equals it
            return np.full(self.shape, ufunc is np.not_equal) if self.shape else NotImplemented
        result = compare(self, other)
        if type(result) is np.bool_ and type(other) is int and other == 0:
            found = bool(result) is (ufunc is np.equal)  # a coefficient that is zero, perhaps
            if found and is_of_polynomials(calling_frame()):
                refuse_to_cut("an operation of numpy.polynomial")
        return result

    return method


def calling_frame() -> types.FrameType:
    """Return the frame that called into this package."""
    frame: Any = sys._getframe(1)
    while str(frame.f_globals.get("__name__")).startswith("funcgrad."):
        frame = frame.f_back
    return frame  # type: ignore[no-any-return]


def is_of_polynomials(frame: types.FrameType) -> bool:
    """Tell whether a frame runs code of `numpy.polynomial`."""
    return str(frame.f_globals.get("__name__")).startswith("numpy.polynomial")


def reflected_operator(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """Make the method for `other + t`."""

    def method(self: Any, other: Any) -> Any:
        if type(other) not in PLAIN and defers(self, other):
            return NotImplemented
        return call_ufunc(ufunc, (other, self), {})

    return method


def unary_operator(ufunc: np.ufunc) -> Callable[[Any], Any]:
    """Make the method for `-t`."""

    def method(self: Any) -> Any:
        return HANDLERS[ufunc](self)

    return method


def inplace_operator(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """Make the method for `t += other`."""

    def method(self: Any, other: Any) -> Any:
        new = (
            HANDLERS["pow"](self, other)
            if ufunc is np.power
            else call_ufunc(ufunc, (self, other), {})
        )
        if is_number(self):
            return new
        return replace(self, new)

    return method


def replace(handle: Any, new: Any) -> Any:
    """Write a result of the same shape into a traced array, as in-place operators and out= do."""
    if new.shape != handle.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {handle.shape} doesn't match the "
            f"broadcast shape {new.shape}"
        )
    if is_number(handle):
        raise TypeError("return arrays must be of ArrayType")
    same = new.dtype == handle.dtype
    if not same and not np.can_cast(new.dtype, handle.dtype, "same_kind"):
        raise TypeError(
            f"Cannot cast array data from {new.dtype!r} to {handle.dtype!r} according to the rule "
            "'same_kind'"
        )
    if isinstance(new, Tracer) and new.shape:
        write(handle, new if same else new.astype(handle.dtype))
    else:  # a constant, or a number: no array to take over
        handle[...] = new
    return handle


def into_out(out: Any, handler: Handler, args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a handler whose result goes into the traced array `out`."""
    return replace(out, handler(*args, **{key: x for key, x in kwargs.items() if key != "out"}))


def call_ufunc(ufunc: np.ufunc, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a ufunc on tracers with any of the options of a ufunc call."""
    handler = HANDLERS.get(ufunc)
    if handler is None:
        handler = find_ufunc(ufunc)
    for x in inputs:
        kind: Any = type(x)
        if kind is np.ndarray:
            if x.dtype.hasobject:
                inputs = tuple([operand(x) for x in inputs])
        elif _is_unusual(kind):
            if _is_sparse(kind):
                return importlib.import_module("funcgrad.primitives.sparse").times_sparse(
                    ufunc, inputs
                )
            if is_foreign(kind):
                refuse_foreign(kind)
            if _is_wrapper(kind):
                return NotImplemented
            inputs = tuple([operand(x) for x in inputs])
    if not kwargs:
        return handler(*inputs)
    return _ufunc_with_options(ufunc, handler, inputs, dict(kwargs))


def find_ufunc(ufunc: np.ufunc) -> Handler:
    """Return the handler of a ufunc that NumPy does not define, or raise.

    The rules of SciPy's are loaded when the first one comes, so importing funcgrad needs no SciPy.
    """
    if "scipy.special" in sys.modules:
        importlib.import_module("funcgrad.primitives.special")
    if set("".join(ufunc.types)) == set("O->") and ufunc not in HANDLERS:
        return functools.partial(HOOKS["of objects"], ufunc)  # one that np.frompyfunc made
    if ufunc not in HANDLERS:
        unsupported(dotted_name(ufunc))
    return HANDLERS[ufunc]


# What `plain @= t` says of the axes.
_USUAL_AXES: Any = ([(-2, -1)] * 3, [(-1,), (-2, -1), (-1,)])


def _ufunc_with_options(ufunc: np.ufunc, handler: Handler, inputs: Any, options: Any) -> Any:
    out = options.pop("out", None)
    where = options.pop("where", True)
    dtype = options.pop("dtype", None)
    if options.pop("casting", "same_kind") != "same_kind" or options.pop("order", "K") != "K":
        unsupported(f"{dotted_name(ufunc)} with casting= or order=", "leave the option out")
    if ufunc.signature is not None and options.get("axes") in _USUAL_AXES:
        del options["axes"]
    own = {"axis": options.pop("axis")} if ufunc is np.vecdot and "axis" in options else {}
    if options.pop("subok", True) is not True or options:
        unsupported(f"{dotted_name(ufunc)} with the option {next(iter(options), 'subok')}=")
    traced_out = out is not None and len(out) == 1 and isinstance(out[0], Tracer)
    if where is not True and not traced_out:  # what stands elsewhere is not defined
        fix = "use np.where(condition, f(x), other)"
        fix += ", or a traced out=np.zeros_like(x)" if out is not None else ""
        unsupported(f"{dotted_name(ufunc)} with where=", fix)
    if out is not None and not traced_out:
        _check_rebinding(ufunc, inputs, out)
    if dtype is not None:
        inputs = _cast_inputs(ufunc, handler, inputs, np.dtype(dtype))
    result = handler(*inputs, **own)
    if traced_out:
        return _replace_where(out[0], result, where)
    return result if out is None else _rebound(ufunc, result, out[0])


def _rebound(ufunc: np.ufunc, result: Any, target: Any) -> Any:
    """Return a result as it would stand in the plain array that it takes the name of."""
    if result.shape != target.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {target.shape} doesn't match the "
            f"broadcast shape {result.shape}"
        )
    if result.dtype == target.dtype:
        return result
    if not np.can_cast(result.dtype, target.dtype, "same_kind"):
        raise TypeError(
            f"Cannot cast ufunc {ufunc.__name__!r} output from {result.dtype!r} to "
            f"{target.dtype!r} with casting rule 'same_kind'"
        )
    return result.astype(target.dtype)


def _replace_where(handle: Any, new: Any, where: Any) -> Any:
    """Write the result of a ufunc, which is broadcast, into a traced array."""
    if where is not True:
        new = np.where(where, new, handle)
    if new.shape != handle.shape == np.broadcast_shapes(new.shape, handle.shape):
        new = np.broadcast_to(new, handle.shape)
    return replace(handle, new)


def _cast_inputs(ufunc: np.ufunc, handler: Handler, inputs: Any, dtype: Any) -> Any:
    """Return the inputs as NumPy casts them for dtype=."""
    if (
        isinstance(handler, Primitive) and not handler.pulls
    ):  # a comparison, say: dtype is its result's
        if dtype != np.bool_ or ufunc.types[0][-1] != "?":
            unsupported(
                f"{dotted_name(ufunc)} with dtype={dtype}", "cast the arguments: x.astype(...)"
            )
        return inputs
    arrays = [as_array(x) for x in inputs]
    if ufunc is np.ldexp:
        unsupported("np.ldexp with dtype=", "cast the result: np.ldexp(x, i).astype(...)")
    for x in arrays:
        if x.dtype.kind == "c" and dtype.kind == "f":
            unsupported(
                f"{dotted_name(ufunc)} of a complex array with a real dtype=", "leave dtype out"
            )
        if not np.can_cast(x.dtype, dtype, "same_kind"):
            raise TypeError(
                f"Cannot cast ufunc {ufunc.__name__!r} input from {x.dtype!r} to {dtype!r} "
                "with casting rule 'same_kind'"
            )
    return tuple([x.astype(dtype) for x in arrays])


def _check_rebinding(ufunc: np.ufunc, inputs: tuple[Any, ...], out: tuple[Any, ...]) -> None:
    """Allow `plain += t`, which rebinds the name; refuse every other `out=`."""
    target = out[0]
    if len(out) != 1 or target is not inputs[0] or isinstance(target, Tracer):
        unsupported(
            f"{dotted_name(ufunc)} with out=",
            "use the returned value: y = np.add(a, b), or a traced out=np.zeros_like(x)",
        )
    references = sys.getrefcount(target)
    if isinstance(inputs[1], _Probe):
        raise _Counted(references)
    if _has_named_base(target) or references > _references_of_one_name():
        raise fail(
            AliasedUpdateError,
            "an in-place operator would give this name a traced value, and another name (or view) of "
            "the same memory would not see it.",
            "write total = total + t, or make the array traced: np.zeros(n, like=x)",
        )


def _has_named_base(x: Any) -> bool:
    """Tell whether something besides the view `x` refers to the array behind it."""
    base = x.base
    if base is None:
        return False
    return not isinstance(base, np.ndarray) or sys.getrefcount(base) > _references_of_no_name()


@functools.cache
def _references_of_no_name() -> int:
    """Return the reference count of the array behind a view when nothing else refers to it."""
    view = np.zeros(1)[:]
    base: Any = view.base
    return sys.getrefcount(base)


class _Counted(Exception):
    """Carries the reference count that a probe found."""


@functools.cache
def _references_of_one_name() -> int:
    """Return the reference count of `total` inside `total += t` when nothing else refers to it.

    It depends on the interpreter, so it is measured: for a local name and for an attribute.
    """
    counts = []
    holder = types.SimpleNamespace(total=np.zeros(1))
    total = np.zeros(1)
    try:
        total += _Probe()
    except _Counted as counted:
        counts.append(counted.args[0])
    try:
        holder.total += _Probe()
    except _Counted as counted:
        counts.append(counted.args[0])
    return int(max(counts))


class _Probe(Tracer):
    """Looks like a traced array to NumPy, to measure what an in-place operator looks like to us."""

    __slots__ = ()

    def __init__(self) -> None:
        self.value = np.zeros(1)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return call_ufunc(ufunc, inputs, kwargs)
