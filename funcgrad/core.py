"""Traces, tracers, primitives and levels: how NumPy calls become records of a transform.

NumPy hands every call that meets a `Tracer` to us (NEP 13 and NEP 18). The table `HANDLERS` maps
the NumPy callable to a `Primitive`, or to a plain function written over primitives. A primitive
finds the innermost transform among its arguments and lets it `process` the call; that transform
computes the value by calling the primitive again, one level further out, until only plain arrays
are left.

Levels come from one counter that only grows, so "the highest level wins" is all there is to
nesting. This file knows nothing of NumPy's protocols (`operators.py` and `tracers.py` do) nor of what a
transform records (`reverse.py`). Read next: `operators.py`.
"""

import itertools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from funcgrad.errors import (
    LeakedTracerError,
    UnsupportedError,
    fail,
)

Handler = Callable[..., Any]

HANDLERS: dict[Any, Handler] = {}  # NumPy function or ufunc -> what a tracer does with it
METHOD_HANDLERS: dict[tuple[Any, str], Handler] = {}  # (ufunc, "reduce") -> likewise
HOOKS: dict[str, Handler] = {}  # what the modules above do for the tracer itself
CREATORS: dict[Any, Handler] = {}  # np.zeros and so on; called with the tracer given as like= first
_levels = itertools.count(1)


class Trace:
    """One running transform; its level is higher than that of every transform entered before."""

    __slots__ = ("has_entries", "level", "refused_index")

    has_entries: bool  # a traced number was put into an array of objects
    # The instruction that last asked a traced value to be an index: set when one does.
    refused_index: Any

    def __init__(self) -> None:
        self.level = next(_levels)
        self.has_entries = False

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


class Tracer:
    """Stands for an array while a transform runs; `tracers.py` says what it is to NumPy and to the user.

    `value` is the array of the next level out (a plain array at the outermost), `_trace` the
    transform.
    """

    __slots__ = ("__weakref__", "_scale", "_trace", "_view", "_views", "node", "value")

    value: Any
    _trace: Any
    node: Any  # what the transform knows of the value: its place on the tape, its tangent, ...
    _scale: Any  # of forward mode alone: the factor that its tangent still owes
    _view: Any  # what it is a view of: (base, primitive, settings); see handles.py
    _views: Any  # weak references to its views

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Have the attributes of an array."""

        def __getitem__(self, index: Any) -> Any:
            """Have entries."""

        def __setitem__(self, index: Any, value: Any) -> None:
            """Take entries."""


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
        "sums_products",
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
        self.sums_products = False  # each entry: of entries of x with entries of y, no pair twice

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


def refuse_objects() -> NoReturn:
    """Raise for an array of Python objects, which has no derivative."""
    unsupported("an operation with an array of objects", "give it a numeric dtype: x.astype(float)")


def refuse_to_cut(name: str) -> NoReturn:
    """Raise where NumPy would cut a traced coefficient off because it is zero, and its derivative with it."""
    unsupported(
        f"{name} with a traced leading coefficient that is zero, which NumPy cuts off,",
        "np.polyval and np.convolve, which keep it",
    )


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


def leaked(*_: Any) -> NoReturn:
    """Stand in for the recorder of a transform that has ended."""
    raise fail(
        LeakedTracerError,
        "a traced value was used after the transform that made it had ended.",
        "return the value from the function (has_aux=True for extras), "
        "or store stop_gradient(x) instead of x",
    )
