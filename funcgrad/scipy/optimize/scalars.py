"""Roots, fixed points and minima of functions of one number, with derivatives by `args`."""

import functools
import importlib
import inspect
from typing import Any

import numpy as np

from funcgrad.core import Tracer, as_array, concrete, unsupported
from funcgrad.implicit import FixedPoint, Solution
from funcgrad.scipy.mirrors import any_traced, call_plain, is_mapped, refuse, unsolved
from funcgrad.scipy.optimize.minimization import Minimum, finish
from funcgrad.scipy.optimize.unknowns import Function, as_tuple, plain
from funcgrad.transforms import jvp

so: Any = importlib.import_module("scipy.optimize")


def _slope(f: Function) -> Function:
    """Return the derivative of a function of numbers, entry by entry."""

    def slope(x: Any, *args: Any) -> Any:
        x = as_array(x) * 1.0
        return jvp(lambda x: f(x, *args), (x,), (np.ones_like(x),))[1]

    return slope


def _solver(original: Function, kind: Any, start: str, refused: tuple[str, ...] = ()) -> Function:
    """Return SciPy's solver, differentiated by `args` where one is traced; `kind` says what it solves."""
    signature = inspect.signature(original)
    first = next(iter(signature.parameters))

    @functools.wraps(original)
    def call(*given: Any, **options: Any) -> Any:
        arguments = dict(signature.bind(*given, **options).arguments)
        fun, args = arguments[first], as_tuple(arguments.get("args", ()))
        if not any_traced(arguments):
            return call_plain(original, (), _with_slopes(original.__name__, arguments, fun))
        name = f"optimize.{original.__name__} of traced args"
        refuse(name, **{option: arguments.get(option) for option in refused})
        del arguments[first]
        arguments.pop("args", None)
        if any([is_mapped(x) for x in arguments.values()]):
            unsupported(f"{name} with a mapped start", 'vmap(f, fallback="loop")')
        arguments = {option: _plain(x) for option, x in arguments.items()}
        runs: list[Any] = []

        def solve(equation: Function, x: Any) -> Any:
            slopes = _with_slopes(original.__name__, arguments, equation)
            runs.append(original(lambda x: plain(fun, equation(x)), **slopes))
            if isinstance(runs[-1], so.OptimizeResult) and not _succeeded(runs[-1]):
                raise unsolved(f"{original.__name__} found no solution.")
            return _number(runs[-1])

        x0 = arguments.get(start)
        x0 = x0[0] if isinstance(x0, (tuple, list)) else 0.0 if x0 is None else x0
        x = kind(fun, solve)(np.asarray(x0, float)[()], *args)
        return _finished(runs, fun, x, args)

    return call


def _plain(x: Any) -> Any:
    if isinstance(x, (tuple, list)):
        return type(x)([_plain(y) for y in x])
    return concrete(x) if isinstance(x, Tracer) else x


def _with_slopes(name: str, arguments: dict[str, Any], fun: Function) -> dict[str, Any]:
    """Return the arguments of a solver with the derivatives that its method takes."""
    method = arguments.get("method")
    if name != "root_scalar" or method not in ("newton", "halley") or arguments.get("fprime"):
        return arguments
    first = _slope(fun)
    return {**arguments, "fprime": first} | (
        {"fprime2": _slope(first)} if method == "halley" else {}
    )


def _succeeded(run: Any) -> bool:
    return bool(run.converged if isinstance(run, so.RootResults) else run.success)


def _number(run: Any) -> Any:
    """Return the solution in what a solver returned."""
    if isinstance(run, so.RootResults):
        return run.root
    return run.x if isinstance(run, so.OptimizeResult) else run


def _finished(runs: list[Any], fun: Function, x: Any, args: Any) -> Any:
    """Return what the solver would, with the solution traced."""
    if not runs or not isinstance(runs[0], so.OptimizeResult):
        return x
    if not isinstance(runs[0], so.RootResults):
        return finish(runs, x=x, fun=fun(x, *args))
    runs[0].root = x
    return runs[0]


bisect = _solver(so.bisect, Solution, "a", ("full_output",))
brentq = _solver(so.brentq, Solution, "a", ("full_output",))
brenth = _solver(so.brenth, Solution, "a", ("full_output",))
ridder = _solver(so.ridder, Solution, "a", ("full_output",))
toms748 = _solver(so.toms748, Solution, "a", ("full_output",))
newton = _solver(so.newton, Solution, "x0", ("full_output", "fprime", "fprime2"))
root_scalar = _solver(so.root_scalar, Solution, "x0", ("fprime", "fprime2"))
fixed_point = _solver(so.fixed_point, FixedPoint, "x0")
minimize_scalar = _solver(so.minimize_scalar, Minimum, "bracket", ("bounds",))
