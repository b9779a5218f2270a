"""Tracers, primitives and levels: how NumPy calls become records of a transform.

NumPy hands every call that meets a `Tracer` to us (NEP 13 and NEP 18). The table `HANDLERS` maps
the NumPy callable to a `Primitive`, or to a plain function written over primitives. A primitive
finds the innermost transform among its arguments and lets it `process` the call; that transform
computes the value by calling the primitive again, one level further out, until only plain arrays
are left.

Levels come from one counter that only grows, so "the highest level wins" is all there is to
nesting. This file knows nothing of what a transform records: read `reverse.py` next.
"""

import functools
import importlib
import itertools
import numbers
import operator
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from funcgrad.errors import (
    AliasedUpdateError,
    LeakedTracerError,
    TracerConversionError,
    UnsupportedAttributeError,
    UnsupportedError,
    fail,
)
from funcgrad.handles import write
from funcgrad.mirrors import mirror_in_use

Handler = Callable[..., Any]

HANDLERS: dict[Any, Handler] = {}  # NumPy function or ufunc -> what a tracer does with it
METHOD_HANDLERS: dict[tuple[Any, str], Handler] = {}  # (ufunc, "reduce") -> likewise
HOOKS: dict[str, Handler] = {}  # what the modules above do for the tracer itself
CREATORS: dict[Any, Handler] = {}  # np.zeros and so on; called with the tracer given as like= first
_levels = itertools.count(1)


class Trace:
    """One running transform; its level is higher than that of every transform entered before."""

    __slots__ = ("has_entries", "level", "refused_index")

    # Set when they happen, not at the start: most transforms need neither.
    has_entries: bool  # a traced number was put into an array of objects
    refused_index: Any  # the instruction that last asked a traced value to be an index

    def __init__(self) -> None:
        self.level = next(_levels)

    def process(
        self, primitive: "Primitive", args: tuple[Any, ...], settings: dict[str, Any]
    ) -> Any:
        """Evaluate `primitive` on tracers of this trace (and whatever else) and record it."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        """Whether the transform's call is over."""
        raise NotImplementedError

    def check_running(self, x: Any) -> None:
        """Raise if a tracer of this trace outlived the transform's call."""
        if self.ended:
            leaked()

    def constant(self, value: Any) -> "Tracer":
        """Make a tracer of this trace for a value with derivative zero."""
        raise NotImplementedError

    def hear(self, name: str, args: Any, cuts: bool = False) -> None:
        """Be told of a call that `process` does not see; for a trace that keeps a log."""


class Primitive:
    """A function with derivative rules: arrays are positional, settings are keywords.

    `fun` evaluates on anything that is not a tracer of the current transform. `parameters` names
    the positional arguments ("*xs" for any number). The families in `funcgrad.primitives.families`
    build primitives; see there for the form of the rules.
    """

    __slots__ = (
        "accumulates",
        "batch",
        "condense",
        "elementwise",
        "fun",
        "jvps",
        "keeps",
        "multiple",
        "name",
        "parameters",
        "promotes",
        "pulls",
        "slots",
        "unview",
    )

    def __init__(self, name: str, fun: Handler, parameters: tuple[str, ...]) -> None:
        self.name = name
        self.fun = fun
        self.parameters = parameters
        self.pulls: tuple[Any, ...] = ()  # per argument: (ct, kept) -> cotangent of that argument
        self.keeps: tuple[Any, ...] = ()  # per argument: (ans, args, settings) -> kept
        self.slots: tuple[
            Any, ...
        ] = ()  # elementwise only: what is kept, as places in (ans, *args)
        self.jvps: tuple[Any, ...] = ()  # per argument: (tangent, ans, args, settings) -> tangent
        self.batch: Handler | None = None
        self.elementwise = False
        self.condense: Handler | None = (
            None  # (x, constant, kept) -> less to keep, for large arrays
        )
        self.promotes = False  # arguments are brought to one dtype before the function acts
        self.accumulates = False  # its pulls add to the cotangent of the argument themselves
        self.unview: Handler | None = (
            None  # (base, new view, settings) -> new base, if it makes views
        )
        self.multiple = False  # returns a tuple of arrays

    def __call__(self, *args: Any, **settings: Any) -> Any:
        trace = find_trace(args)
        if trace is None:
            for name, x in settings.items():
                if isinstance(x, Tracer):
                    unsupported(
                        f"{self.name} of a traced {name}=",
                        f"pass {name} by position, if it is an array",
                    )
            return self.fun(*args, **settings)
        return trace.process(self, args, settings)

    def pull(self, i: int, args: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return the pullback of argument `i` and the function that says what it keeps."""
        return self.pulls[i], self.keeps[i]

    def push(self, i: int) -> Any:
        """Return the pushforward of argument `i`, or `None` if it follows from the pullback."""
        return self.jvps[i]

    push_all: Any = (
        None  # (tangents, ans, args, settings) -> tangent, where that is cheaper than a sum
    )

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def zero(ct: Any, kept: Any) -> Any:
    """Stand for the pullback of an argument on which the result depends only stepwise."""
    raise AssertionError("never called: no edge is recorded")


def find_trace(args: Any) -> Trace | None:
    """Return the innermost transform that any of `args` is traced by."""
    found: Trace | None = None
    for x in args:
        if isinstance(x, Tracer) and (found is None or x._trace.level > found.level):
            found = x._trace
    return found


def is_traced(x: Any) -> bool:
    """Tell whether `x` is a tracer, or a (nested) list or tuple with a tracer in it."""
    if isinstance(x, Tracer):
        return True
    if isinstance(x, (list, tuple)):
        for y in x:  # a loop, not any(): half the time
            if type(y) is not int and type(y) is not float and is_traced(y):
                return True
    return False


def concrete(x: Any) -> Any:
    """Return the plain array under all tracers of `x`; a batch axis stays in front."""
    while isinstance(x, Tracer):
        x = x.value
    return x


def is_number(x: Any) -> bool:
    """Tell whether a tracer stands for a NumPy scalar, which is never written to, and not for an array."""
    plain = concrete(x)
    if isinstance(plain, np.generic):
        return True
    # Under vmap both are one example of an array; the array is a view, or is marked as one that may have views.
    return plain.ndim > 0 and not x.shape and x._view is None and x._views is None


def handle(*callables: Any) -> Callable[[Handler], Handler]:
    """Register a function over primitives as what tracers do for NumPy's `callables`."""

    def register(handler: Handler) -> Handler:
        for numpy_callable in callables:
            HANDLERS[numpy_callable] = handler
        return handler

    return register


def existing(*names: str) -> list[Any]:
    """Return the NumPy functions of these names that the installed release has."""
    return [getattr(np, name) for name in names if hasattr(np, name)]


def dotted_name(fun: Any) -> str:
    """Name a NumPy callable as a user writes it: `np.linalg.inv`."""
    module = getattr(fun, "__module__", None) or "numpy"
    name = getattr(fun, "__name__", repr(fun))
    if isinstance(fun, np.ufunc) and getattr(np, name, None) is not fun:
        return name
    return f"{module}.{name}".replace("numpy.", "np.", 1) if module.startswith("numpy") else name


def unsupported(name: str, fix: str | None = None) -> NoReturn:
    """Raise for a call that no rule covers; it never falls through to an untraced result."""
    default = "declare a rule for it (see 'How to add a primitive'), or pass stop_gradient(x)"
    raise fail(UnsupportedError, f"{name} has no derivative rule.", fix or default)


# --- operators -----------------------------------------------------------------------------------


def _operand(x: Any) -> Any:
    """Return a list, a Series or an array of objects as one array; anything else as it is."""
    kind = type(x)
    convert = isinstance(x, (list, tuple)) or (kind is np.ndarray and x.dtype.hasobject)
    return as_array(x) if convert or _is_container(kind) else x


_NOT_GIVEN = np._NoValue  # how NumPy's functions say so to each other
_NUMBERS = (int, float, complex, np.generic)
_PLAIN = {float, int, np.ndarray, np.float64}


def _defers(x: Any, other: Any) -> bool:
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
        if type(other) not in _PLAIN and _defers(self, other):
            return NotImplemented
        return call_ufunc(ufunc, (self, other), {})

    return method


def equality_operator(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """Make the method for `t == other`; with a string or None it is what Python says."""
    compare = binary_operator(ufunc)

    def method(self: Any, other: Any) -> Any:
        if other is None or isinstance(other, str):  # as NumPy: no entry equals it
            return np.full(self.shape, ufunc is np.not_equal) if self.shape else NotImplemented
        return compare(self, other)

    return method


def reflected_operator(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """Make the method for `other + t`."""

    def method(self: Any, other: Any) -> Any:
        if type(other) not in _PLAIN and _defers(self, other):
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
                inputs = tuple([_operand(x) for x in inputs])
        elif _is_unusual(kind):
            if _is_sparse(kind):
                return importlib.import_module("funcgrad.primitives.sparse").times_sparse(
                    ufunc, inputs
                )
            if is_foreign(kind):
                refuse_foreign(kind)
            if _is_wrapper(kind):
                return NotImplemented
            inputs = tuple([_operand(x) for x in inputs])
    if not kwargs:
        return handler(*inputs)
    return _ufunc_with_options(ufunc, handler, inputs, dict(kwargs))


def find_ufunc(ufunc: np.ufunc) -> Handler:
    """Return the handler of a ufunc that NumPy does not define, or raise.

    The rules of SciPy's are loaded when the first one comes, so importing funcgrad needs no SciPy.
    """
    if "scipy.special" in sys.modules:
        importlib.import_module("funcgrad.primitives.special")
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
    return not isinstance(base, np.ndarray) or sys.getrefcount(base) > 3  # x, `base`, the argument


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


def as_array(x: Any) -> Any:
    """Return `x` as an array or tracer; a list with tracers in it becomes one traced array."""
    if isinstance(x, Tracer):
        return x
    if isinstance(x, (list, tuple)) and is_traced(x):
        return HANDLERS[np.stack]([as_array(y) for y in x])
    array = np.asarray(x)
    return HOOKS["join"](array) if array.dtype.hasobject else array


def plain_array(x: Any) -> Any:
    """Return what must be known when the program runs (a count, a width) as a plain array."""
    if isinstance(x, Tracer):
        x._refuse_array()
    array = np.asarray(x)
    if array.dtype.hasobject:
        refuse_objects()
    return array


def _without_objects(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of a function, arrays of objects as traced arrays."""
    for x in args:
        if type(x) is np.ndarray and x.dtype.hasobject:
            return tuple([_operand(x) for x in args])
    return args


def refuse_objects() -> NoReturn:
    """Raise for an array of Python objects, which has no derivative."""
    unsupported("an operation with an array of objects", "give it a numeric dtype: x.astype(float)")


def is_foreign(kind: type) -> bool:
    """Tell whether the operators of an array type mean something else: matrices, masked arrays."""
    if kind is np.ndarray:
        return False
    masked = sys.modules.get("numpy.ma")  # not imported: 10 ms, and then nobody has a masked array
    return issubclass(kind, np.matrix) or (
        masked is not None and issubclass(kind, masked.MaskedArray)
    )


def refuse_foreign(kind: type) -> NoReturn:
    """Raise for an operation with an array type that NumPy's rules do not hold for."""
    unsupported(
        f"a {kind.__name__} together with a traced array",
        "pass a plain array: np.asarray(x), and np.where for the masked entries",
    )


# --- the tracer ----------------------------------------------------------------------------------


class Tracer:
    """Stands for an array while a transform runs: has NumPy's operators, attributes and methods.

    `value` is the array of the next level out (a plain array at the outermost), `_trace` the
    transform.
    """

    __slots__ = ("__weakref__", "_trace", "_view", "_views", "node", "value")
    __array_priority__ = 1000.0
    __pandas_priority__ = 5000  # above a DataFrame's: `series * t` is left to us
    __hash__ = None  # type: ignore[assignment]  # == is elementwise, as for arrays

    value: Any
    _trace: Any
    node: Any  # what the transform knows of the value: its place on the tape, or its tangent
    _view: Any  # what it is a view of: (base, primitive, settings); see handles.py
    _views: Any  # weak references to its views

    # How NumPy reaches us.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__":
            return call_ufunc(ufunc, inputs, kwargs)
        if method == "at":
            return HANDLERS["at"](ufunc, *inputs)
        handler = METHOD_HANDLERS.get((ufunc, method))
        if handler is None:
            unsupported(f"{dotted_name(ufunc)}.{method}")
        out = kwargs.get("out", (None,))[0]
        if isinstance(out, Tracer):
            return into_out(out, handler, inputs, kwargs)
        return handler(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        handler = HANDLERS.get(func)
        if handler is None:
            creator = CREATORS.get(func)
            if creator is None:
                unsupported(dotted_name(func))
            return creator(self, *args, **kwargs)
        for kind in types:
            if kind is np.ndarray:
                args = _without_objects(args)
            elif kind is not type(self) and is_foreign(kind):
                refuse_foreign(kind)
        if not kwargs:
            return handler(*args)
        for value in kwargs.values():
            if value is _NOT_GIVEN:
                kwargs = {name: x for name, x in kwargs.items() if x is not _NOT_GIVEN}
                break
        if isinstance(kwargs.get("out"), Tracer):
            return into_out(kwargs["out"], handler, args, kwargs)
        return handler(*args, **kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return HOOKS["namespace"](self)

    # What would cut the gradient without a word.

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        stand_in = HOOKS["stand in"](self, dtype, sys._getframe(1))
        if stand_in is not None:
            return stand_in
        # NumPy asks in the same way for an entry of a list and for the whole of np.asarray(t).
        caller = sys._getframe(1)
        module = str(caller.f_globals.get("__name__"))
        if module.startswith("numpy.testing"):
            return self._compared()
        if module.startswith("scipy.sparse") and caller.f_code.co_name == "_matmul_dispatch":
            return np.array(None)  # no array, says that: a sparse matrix leaves A @ t to us
        objects = dtype is None or np.dtype(dtype).hasobject
        if not objects and np.dtype(dtype).kind in "iu" and self.dtype.kind == "f":
            refuse_if_mirrored()
            self._refuse_integers()
        if not objects or self.shape or self.dtype.kind != "f":
            self._refuse_array()
        refuse_if_mirrored()
        if getattr(self._trace, "refused_index", None) == _instruction(caller):
            self._refuse_index()  # plain[t]: NumPy forgets what __index__ raised, and asks here
        return HOOKS["entry"](self, dtype is not None)

    def _compared(self) -> Any:
        """Return the plain values for an assertion of np.testing: like any comparison it has no derivative."""
        self._trace.check_running(self)
        return self.value._compared() if isinstance(self.value, Tracer) else np.asarray(self.value)

    def _refuse_array(self) -> NoReturn:
        refuse_if_mirrored()
        raise fail(
            TracerConversionError,
            f"a traced array ({self.shape}, {self.dtype}) would become a plain one here, "
            "and its gradient would be lost.",
            "np.stack([...]) (or np.array([...], like=t) with a traced t) for a list of traced values, "
            "x or x.copy() in place of np.asarray(x) or np.array(x), np.zeros_like(x) in place of np.zeros, "
            "an np. function in place of one that converts; stop_gradient(x) if it is meant as a constant",
        )

    def _refuse_integers(self) -> NoReturn:
        raise fail(
            TracerConversionError,
            f"a traced array ({self.shape}, {self.dtype}) would become one of integers here.",
            "x.astype(int), or np.floor and the like, whose derivative is zero, in place of np.array(x, int)",
        )

    def __dlpack__(self, **_: Any) -> NoReturn:
        self._refuse_array()

    __dlpack_device__ = __dlpack__

    def __float__(self) -> NoReturn:
        _refuse_scalar("float", self)

    def __complex__(self) -> NoReturn:
        _refuse_scalar("complex", self)

    def __index__(self) -> int:
        self._trace.refused_index = _instruction(sys._getframe(1))
        return int(self._refuse_index())

    def _refuse_index(self) -> NoReturn:
        raise fail(
            TracerConversionError,
            f"a traced value of dtype {self.dtype} cannot be an index or a count.",
            "convert it: int(x) has derivative zero",
        )

    # What has no derivative: the plain result.

    def __bool__(self) -> bool:
        self._trace.check_running(self)
        return bool(self.value)

    def __int__(self) -> int:
        self._trace.check_running(self)
        return int(self.value)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return int(self.shape[0])

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    def __reduce__(self) -> NoReturn:
        raise fail(
            TracerConversionError,
            "a traced value cannot be pickled.",
            "return it from the differentiated function, or pickle stop_gradient(x)",
        )

    def __copy__(self) -> Any:
        return self.copy("K")

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy("K")

    def __iter__(self) -> Any:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))  # one by one: a write may come in between

    def __contains__(self, x: Any) -> bool:
        return bool(np.any(self == x))

    def __getitem__(self, index: Any) -> Any:
        return HANDLERS["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        HANDLERS["setitem"](self, index, value)

    # Operators.

    __add__ = binary_operator(np.add)
    __radd__ = reflected_operator(np.add)
    __sub__ = binary_operator(np.subtract)
    __rsub__ = reflected_operator(np.subtract)
    __mul__ = binary_operator(np.multiply)
    __rmul__ = reflected_operator(np.multiply)
    __truediv__ = binary_operator(np.divide)
    __rtruediv__ = reflected_operator(np.divide)
    __and__ = binary_operator(np.bitwise_and)
    __rand__ = reflected_operator(np.bitwise_and)
    __or__ = binary_operator(np.bitwise_or)
    __ror__ = reflected_operator(np.bitwise_or)
    __xor__ = binary_operator(np.bitwise_xor)
    __rxor__ = reflected_operator(np.bitwise_xor)
    __lshift__ = binary_operator(np.left_shift)
    __rlshift__ = reflected_operator(np.left_shift)
    __rshift__ = binary_operator(np.right_shift)
    __rrshift__ = reflected_operator(np.right_shift)
    __invert__ = unary_operator(np.invert)
    __matmul__ = binary_operator(np.matmul)
    __rmatmul__ = reflected_operator(np.matmul)
    __mod__ = binary_operator(np.remainder)
    __rmod__ = reflected_operator(np.remainder)
    __floordiv__ = binary_operator(np.floor_divide)
    __rfloordiv__ = reflected_operator(np.floor_divide)
    __divmod__ = binary_operator(np.divmod)
    __rdivmod__ = reflected_operator(np.divmod)
    __lt__ = binary_operator(np.less)
    __le__ = binary_operator(np.less_equal)
    __gt__ = binary_operator(np.greater)
    __ge__ = binary_operator(np.greater_equal)
    __eq__ = equality_operator(np.equal)
    __ne__ = equality_operator(np.not_equal)
    __neg__ = unary_operator(np.negative)
    __pos__ = unary_operator(np.positive)
    __abs__ = unary_operator(np.absolute)

    def __floor__(self) -> int:
        return int(np.floor(self))

    def __ceil__(self) -> int:
        return int(np.ceil(self))

    def __trunc__(self) -> int:
        return int(self)

    def __pow__(self, other: Any) -> Any:
        if type(other) not in _PLAIN and _defers(self, other):
            return NotImplemented
        return HANDLERS["pow"](
            self, _operand(other)
        )  # squares and roots as NumPy's operator has them

    def __rpow__(self, other: Any) -> Any:
        if type(other) not in _PLAIN and _defers(self, other):
            return NotImplemented
        return HANDLERS["pow"](_operand(other), self)

    def __round__(self, ndigits: int | None = None) -> Any:
        if ndigits is None and not self.shape:
            return int(np.rint(self))
        return HANDLERS[np.round](self, ndigits or 0)

    # In-place operators: an array changes for all its names, a scalar is rebound.

    __iadd__ = inplace_operator(np.add)
    __isub__ = inplace_operator(np.subtract)
    __imul__ = inplace_operator(np.multiply)
    __itruediv__ = inplace_operator(np.divide)
    __ipow__ = inplace_operator(np.power)
    __imatmul__ = inplace_operator(np.matmul)
    __imod__ = inplace_operator(np.remainder)
    __ifloordiv__ = inplace_operator(np.floor_divide)

    # Attributes of an array.

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return self.value.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        return self.value.size  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def T(self) -> Any:
        return HANDLERS[np.transpose](self)

    @property
    def mT(self) -> Any:
        return HANDLERS[np.matrix_transpose](self)

    @property
    def real(self) -> Any:
        return HANDLERS[np.real](self)

    @real.setter
    def real(self, values: Any) -> None:
        HANDLERS[np.real](self)[...] = values

    @property
    def imag(self) -> Any:
        return HANDLERS[np.imag](self)

    @imag.setter
    def imag(self, values: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        HANDLERS[np.imag](self)[...] = values

    @property
    def flat(self) -> Any:
        return Flat(self)

    @flat.setter
    def flat(self, values: Any) -> None:
        HOOKS["write_flat"](self, slice(None), values)

    # Methods of an array that are not just a function with the same arguments.

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> Any:
        shape = shape[0] if len(shape) == 1 else shape
        return HANDLERS[np.reshape](self, shape, order=order, copy=copy)

    def transpose(self, *axes: Any) -> Any:
        if not axes or axes == (None,):
            return HANDLERS[np.transpose](self)
        return HANDLERS[np.transpose](self, axes[0] if len(axes) == 1 else axes)

    def astype(
        self,
        dtype: Any,
        order: Any = "K",
        casting: Any = "unsafe",
        subok: Any = True,
        copy: Any = True,
    ) -> Any:
        if subok is not True:
            unsupported("ndarray.astype with subok=", "leave the option out")
        return HANDLERS["astype"](self, np.dtype(dtype), casting, order, copy)

    def item(self, *args: Any) -> Any:
        if len(args) == 1 and not isinstance(args[0], tuple):
            return self.reshape(-1)[operator.index(args[0])]
        if args:
            return self[args if len(args) > 1 else args[0]]
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.reshape(())

    def tolist(self) -> Any:
        return [x.tolist() for x in self] if self.shape else self

    def copy(self, order: str = "C") -> Any:
        if is_number(self):  # np.copy makes an array of a number; its method does not
            return HANDLERS[np.positive](self)
        return HANDLERS[np.copy](self, order)

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(
        self, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
    ) -> None:
        replace(self, HANDLERS[np.sort](self, axis, kind, order, stable=stable))

    def partition(
        self, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
    ) -> None:
        replace(self, HANDLERS[np.partition](self, kth, axis, kind, order))

    def view(self, dtype: Any = None, type: Any = None) -> Any:  # noqa: A002  # NumPy's name
        if type not in (None, np.ndarray) or dtype not in (None, np.ndarray, self.dtype):
            unsupported(
                "ndarray.view with another dtype or type", "convert the values: x.astype(dtype)"
            )
        return self[...]

    def getfield(self, dtype: Any, offset: int = 0) -> Any:
        if offset != 0 or dtype != self.dtype:
            unsupported(
                "ndarray.getfield of a part of the bits", "use x.real, x.imag or x.astype(dtype)"
            )
        return self[...]

    def resize(self, *shape: Any, refcheck: bool = True) -> NoReturn:
        unsupported(
            "ndarray.resize in place",
            "np.resize(x, shape) gives a new array; to make room, write into np.zeros(shape, like=x)",
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # a protocol that NumPy, copy or pickle looks for
            raise AttributeError(name)
        known = hasattr(np.ndarray, name)
        ufunc = None if self.shape else getattr(np, name, None)
        if isinstance(ufunc, np.ufunc):  # np.sin of an array of objects calls the sin of each
            return functools.partial(ufunc, self)
        raise fail(
            UnsupportedAttributeError,
            f"a traced array has no attribute {name!r}" + (" (an ndarray has)." if known else "."),
            f"use the function in place of the method: np.{name}(x)"
            if hasattr(np, name)
            else "use an np. function, or stop_gradient(x) for the plain array",
        )


def refuse_if_mirrored() -> None:
    """Raise if it is a function of SciPy's that converts, one that funcgrad.scipy has a mirror of."""
    mirror = mirror_in_use()
    if mirror is not None:
        raise fail(
            TracerConversionError,
            "a function of SciPy's would make a traced array a plain one, and its gradient would be lost.",
            f"call {mirror}, which takes the same arguments",
        )


def _instruction(frame: types.FrameType) -> tuple[types.CodeType, int]:
    return frame.f_code, frame.f_lasti


def _refuse_scalar(kind: str, tracer: Tracer) -> NoReturn:
    refuse_if_mirrored()
    raise fail(
        TracerConversionError,
        f"{kind}() of a traced value ({tracer.shape}, {tracer.dtype}) would lose its gradient.",
        "use np.sin in place of math.sin and the like, write into np.zeros_like(x) or use np.stack "
        "in place of plain[i] = t, f'{x:.3f}' in place of '%.3f' % x, or stop_gradient(x) if it is meant "
        "as a constant",
    )


class Flat:
    """What `t.flat` is: the entries in a row, to read and to write."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.index = 0  # of the next entry

    def __len__(self) -> int:
        return self.tracer.size

    def __getitem__(self, index: Any) -> Any:
        entries = self.tracer.reshape(-1)[index]
        return HANDLERS[np.copy](entries) if entries.shape else entries  # no view, for NumPy too

    def __next__(self) -> Any:
        if self.index == self.tracer.size:
            raise StopIteration
        self.index += 1
        return self.tracer.reshape(-1)[self.index - 1]

    def __setitem__(self, index: Any, value: Any) -> None:
        HOOKS["write_flat"](self.tracer, index, value)

    def __iter__(self) -> "Flat":
        return self


class _Probe(Tracer):
    """Looks like a traced array to NumPy, to measure what an in-place operator looks like to us."""

    __slots__ = ()

    def __init__(self) -> None:
        self.value = np.zeros(1)


def leaked(*_: Any) -> NoReturn:
    """Stand in for the recorder of a transform that has ended."""
    raise fail(
        LeakedTracerError,
        "a traced value was used after the transform that made it had ended.",
        "return the value from the function (has_aux=True for extras), "
        "or store stop_gradient(x) instead of x",
    )


def _method(name: str) -> Callable[..., Any]:
    """Make the ndarray method that calls the np. function of the same name."""
    fun = getattr(np, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        handler = HANDLERS.get(fun)
        if handler is None:
            unsupported(f"ndarray.{name}")
        if isinstance(kwargs.get("out"), Tracer):
            return into_out(kwargs["out"], handler, (self, *args), kwargs)
        return handler(self, *args, **kwargs)

    method.__name__ = name
    return method


for _name in [
    *["all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "clip"],
    *["cumprod", "cumsum", "diagonal", "dot", "max", "mean", "min"],
    *["nonzero", "prod", "put", "ravel", "repeat", "round", "searchsorted", "squeeze", "std"],
    *["sum", "swapaxes", "take", "trace", "var"],
]:
    setattr(Tracer, _name, _method(_name))


def _compress(self: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
    return HANDLERS[np.compress](condition, self, axis, out)  # the method's array comes first


Tracer.compress = _compress  # type: ignore[attr-defined]


def _conjugate(self: Any, out: Any = None) -> Any:
    if out is None and self.dtype.kind != "c":
        return self  # the array itself, which the function copies
    return call_ufunc(np.conjugate, (self,), {} if out is None else {"out": (out,)})


Tracer.conj = Tracer.conjugate = _conjugate  # type: ignore[attr-defined]


def _flatten(self: Any, order: str = "C") -> Any:
    return HANDLERS[np.copy](HANDLERS[np.ravel](self, order))


Tracer.flatten = _flatten  # type: ignore[attr-defined]
