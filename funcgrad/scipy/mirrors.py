"""What the mirrors of SciPy share: plain arguments go to SciPy itself, traced ones to ours.

A module of mirrors calls `mirror` on each function it has, and has `fallback` for all other names.
"""

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from funcgrad import tree
from funcgrad.arguments import name_of
from funcgrad.batch import BatchTracer
from funcgrad.core import Tracer, unsupported
from funcgrad.errors import ArgumentError, SolverError, TracerConversionError, fail
from funcgrad.primitives.objects import holds_tracers

Function = Callable[..., Any]


def any_traced(*args: Any) -> bool:
    """Tell whether an argument is a tracer, or a pytree or an array of objects with one in it."""
    return any([isinstance(x, Tracer) or holds_tracers(x) for x in tree.leaves(args)])


def is_mapped(x: Any) -> bool:
    """Tell whether a vmap, at any level, maps over `x`."""
    while isinstance(x, Tracer):
        if isinstance(x, BatchTracer):
            return True
        x = x.value
    return False


def entries(x: Any, index: Any, axis: int = 0) -> Any:
    """Return np.take along an axis; NumPy does not look whether the index is mapped."""
    if isinstance(index, Tracer) and not isinstance(x, Tracer):
        x = np.array(x, like=index)
    return np.take(x, index, axis=axis)


def refuse_closure(fun: Any) -> NoReturn:
    """Raise for a function that depends on a traced value that is not among its arguments."""
    raise fail(
        ArgumentError,
        f"`{name_of(fun)}` depends on a traced value that is not among its arguments.",
        "pass it through args=(...), and take it as an argument",
    )


def call_plain(original: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call SciPy with plain arguments; if the function among them returns traced values, say so."""
    try:
        return original(*args, **kwargs)
    except (TracerConversionError, ValueError, SystemError) as error:
        # NumPy makes a ValueError of what an entry of a list raises, callbacks of C a SystemError
        known = isinstance(error, TracerConversionError) or isinstance(
            error.__cause__ or error.__context__, TracerConversionError
        )
        functions = [x for x in (*args, *kwargs.values()) if callable(x)]
        if not (known and functions):
            raise
        refuse_closure(functions[0])


def mirror(original: Function) -> Callable[[Function], Function]:
    """Give SciPy's function derivatives: the decorated one stands in for it where an argument is traced.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import integrate
    >>> from funcgrad import grad
    >>> from funcgrad.scipy.mirrors import mirror
    >>> @mirror(integrate.trapezoid)
    ... def trapezoid(y, x=None, dx=1.0, axis=-1):
    ...     return np.trapezoid(y, x, dx, axis)
    >>> grad(trapezoid)(np.ones(3))
    array([0.5, 1. , 0.5])
    """

    def decorate(fun: Function) -> Function:
        @functools.wraps(fun)
        def call(*args: Any, **kwargs: Any) -> Any:
            traced = any_traced(*args, *kwargs.values())
            return fun(*args, **kwargs) if traced else call_plain(original, args, kwargs)

        return call

    return decorate


def refuse(function: str, **options: Any) -> None:
    """Raise if an option that no rule covers is given (neither None nor False)."""
    for name, value in options.items():
        if value is not None and value is not False:
            shown = "" if isinstance(value, Tracer) else repr(value)
            unsupported(f"{function} with {name}={shown}", f"leave {name} out")


def unsolved(what: str) -> SolverError:
    """Build the error of a solver that stopped short of a solution: what it has found has no derivative."""
    return fail(
        SolverError, what, "look at the plain result, without grad, for where it stops and why"
    )


def fallback(module: Any, called: str = "") -> Function:
    """Return the `__getattr__` of a mirror: SciPy's own names; a traced argument is refused by name.

    A mirror of something else than a module says what it is `called`.
    """

    def find(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(module, name)
        if not callable(found) or isinstance(found, type):
            return found
        return mirror(found)(_refusal(found, f"{called or module.__name__}.{name}"))

    return functools.cache(find)


def _refusal(original: Function, name: str) -> Function:
    @functools.wraps(original)
    def refusal(*args: Any, **kwargs: Any) -> Any:
        unsupported(name, "pass stop_gradient(x), or give the function a rule: see custom_vjp")

    return refusal
