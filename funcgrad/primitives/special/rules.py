"""How a rule of a `scipy.special` ufunc is declared.

The arguments of a function are called x, y, z, w, v in order. An argument without a closed-form
derivative is `refused`: differentiating by it raises.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from funcgrad.core import HANDLERS, Primitive, handle, unsupported, zero
from funcgrad.primitives.families import elementwise, primitive

sc: Any
try:
    sc = importlib.import_module("scipy.special")
except ImportError:  # nothing to give rules to
    sc = None

PI = float(np.pi)
ROOT_PI = PI**0.5
ROOT_2PI = (2 * PI) ** 0.5
DEGREE = PI / 180
NAMES = ("x", "y", "z", "w", "v")


def refused(ct: Any) -> NoReturn:
    """Stand for a partial derivative that has no closed form: taking it raises."""
    raise AssertionError("never called: keeping what it needs raises")


def find(name: str) -> Any:
    """Return a ufunc of `scipy.special`, a private one too, or None if this release has none."""
    for module in (sc, getattr(sc, "_ufuncs", None)):
        ufunc = getattr(module, name, None)
        if isinstance(ufunc, np.ufunc):
            return None if ufunc in HANDLERS else ufunc
    return None


def rule(names: str, *partials: Any) -> None:
    """Declare the functions of these names, which have the same partial derivatives."""
    for name in names.split():
        ufunc = find(name)
        if ufunc is not None:
            HANDLERS[ufunc] = declared(name, ufunc, *partials)


def outputs(name: str, *partials: Any) -> None:
    """Declare a function with several outputs; each has a tuple of partial derivatives."""
    ufunc = find(name)
    if ufunc is not None:
        each = [
            declared(f"{name}[{i}]", _output(ufunc, i), *rules) for i, rules in enumerate(partials)
        ]
        handle(ufunc)(lambda *args: tuple([output(*args) for output in each]))


def _output(ufunc: Any, i: int) -> Callable[..., Any]:
    return lambda *args: ufunc(*args)[i]


def declared(name: str, fun: Any, *partials: Any) -> Primitive:
    """Declare an elementwise function of any number of arguments, some of them refused."""
    if len(partials) > 3:
        new = primitive(name, fun, vjp=partials, jvp=partials, parameters=NAMES)
        new.elementwise = True
    else:
        new = elementwise(fun, *partials, name=name)
    narrow(new)
    for i, partial in enumerate(partials):
        if partial is refused:
            _refuse(new, i)
    if len(partials) > 2:
        new.slots = ()  # the quick recorders take one argument or two
    return new


def narrow(new: Primitive) -> Primitive:
    """Let the rules keep single precision, which some of SciPy's functions widen."""
    new.pulls = tuple([pull if pull in (None, zero) else _in_dtype(pull) for pull in new.pulls])
    return new


def _in_dtype(pull: Any) -> Any:
    def in_dtype(ct: Any, kept: Any) -> Any:
        g = pull(ct, kept)
        return g if g.dtype == ct.dtype or g.dtype.kind != ct.dtype.kind else g.astype(ct.dtype)

    in_dtype.elementwise = True  # type: ignore[attr-defined]
    return in_dtype


def _refuse(new: Primitive, i: int) -> None:
    """Let the recording of argument `i` raise."""

    def keep(ans: Any, args: Any, settings: Any) -> NoReturn:
        unsupported(
            f"scipy.special.{new.name} with respect to its argument {i}",
            "pass it as a constant: stop_gradient(x) or a plain number",
        )

    keep.args, keep.settings = (), ()  # type: ignore[attr-defined]
    new.keeps = (*new.keeps[:i], keep, *new.keeps[i + 1 :])
    new.jvps = (*new.jvps[:i], lambda t, *known: keep(*known), *new.jvps[i + 1 :])
    new.slots = ()  # the quick recorders do not ask `keeps`


def real(x: Any, name: str) -> Any:
    """Return `x`, which a rule takes to be real."""
    if np.result_type(x).kind == "c":
        unsupported(f"scipy.special.{name} of a complex argument", "split it into real functions")
    return x


def declare(name: str, slopes: tuple[Any, ...]) -> None:
    """Declare a function by its partial derivatives, each a function of all arguments, or `refused`."""

    def partial(slope: Any) -> Any:
        if slope is refused:
            return refused
        return naming(NAMES[: len(slopes)], lambda ct, *args: ct * slope(*args))

    rule(name, *[partial(slope) for slope in slopes])


def naming(names: Any, pull: Any) -> Any:
    """Let `pull(ct, *known)` have the names of what it takes, for those who inspect it."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("ct", *names)]
    named: Any = functools.partial(pull)
    named.__signature__ = inspect.Signature(parameters)
    return named


def inverse(name: str, slopes: tuple[Any, ...], given: tuple[Any, ...], sign: int = 1) -> None:
    """Declare the inverse of a distribution function F by one of its arguments.

    Parameters
    ----------
    name : str
        The ufunc of SciPy.
    slopes : tuple
        The partial derivatives of F, each a function of all its arguments, or `refused`.
    given : tuple
        What the arguments of the inverse are: "p" is the probability, a number the place of an
        argument of F. The place that is missing is the result's.
    sign : int
        -1 if the probability is the one above: 1 - F.

    Notes
    -----
    The implicit function theorem: F(.., ans, ..) = p gives d ans / d p = 1 / F_ans, and
    d ans / d y = -F_y / F_ans.
    """
    (solved,) = set(range(len(slopes))) - set(given)
    places = [given.index(i) if i in given else -1 for i in range(len(slopes))]
    names = ["ans" if i < 0 else NAMES[i] for i in places]

    def partial(by: Any) -> Any:
        top = slopes[by] if by != "p" else None
        if refused in (slopes[solved], top):
            return refused

        def implicit(ct: Any, *known: Any) -> Any:
            if top is None:
                return ct * (sign / slopes[solved](*known))
            return -ct * (top(*known) / slopes[solved](*known))

        return naming(names, implicit)

    rule(name, *[partial(by) for by in given])
