"""`root` over pytrees, with the Jacobian filled in and a solution that has derivatives."""

import importlib
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.implicit import Solution
from funcgrad.jacobians import jacfwd
from funcgrad.scipy.mirrors import any_traced
from funcgrad.scipy.optimize.minimization import check_solved, finish
from funcgrad.scipy.optimize.unknowns import (
    Function,
    Unknowns,
    as_start,
    as_tuple,
    plain,
    ravel,
    solution_like,
)

so: Any = importlib.import_module("scipy.optimize")


class Root(Solution):
    """The root of equations by their parameters, whatever the arrangement of what they return."""

    def residual(self, x: Any, *params: Any) -> Any:
        return solution_like(self.fun, x, *params)


def root(
    fun: Function,
    x0: Any,
    args: Any = (),
    method: str = "hybr",
    jac: Any = None,
    tol: Any = None,
    callback: Any = None,
    options: Any = None,
) -> Any:
    """Solve ``fun(x, *args) = 0`` for a pytree of arrays; see `scipy.optimize.root`.

    Parameters
    ----------
    fun : callable
        Returns as many numbers as `x` has, in an array, a list or a pytree.
    x0 : pytree of arrays
        Where to start. Numbers, and lists of numbers, become one array as in SciPy.
    args : tuple, optional
        If one of them is traced, the solution has derivatives by it.
    jac : optional
        None fills the Jacobian in for "hybr" and "lm", which use it; False has it estimated; a function
        of the pytree returns a matrix over all numbers, in order; True says that `fun` returns it, too.
    method, tol, callback, options
        As for SciPy.

    Returns
    -------
    OptimizeResult
        SciPy's, whose `x` and `fun` are pytrees like `x0`.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad
    >>> from funcgrad.scipy import optimize
    >>> def sqrt(a):
    ...     return optimize.root(lambda x, a: x**2 - a, 1.0, args=(a,)).x[0]
    >>> round(float(grad(sqrt)(4.0)), 6)
    0.25
    """
    start, args = as_start(x0), as_tuple(args)
    options = {"method": method, "tol": tol, "options": options}
    if not any_traced(start, args):
        return _run(fun, start, args, jac, callback, options)
    runs = []
    value = (lambda x, *args: fun(x, *args)[0]) if jac is True else fun

    def solve(equations: Function, start: Any) -> Any:
        runs.append(_run(equations, start, (), None, callback, options))
        check_solved("root", runs[-1])
        return runs[-1].x

    return finish(runs, x=Root(value, solve)(start, *args))


def _run(fun: Function, start: Any, args: Any, jac: Any, callback: Any, options: Any) -> Any:
    """Solve with plain arguments."""
    unknowns = Unknowns(start)
    unravel = unknowns.unravel
    equations = unknowns.of_vector(
        lambda x: tree.ravel(solution_like(lambda x: plain(fun, fun(x, *args)), x))[0]
    )
    more = {} if callback is None else {"callback": lambda x, f: callback(unravel(x), unravel(f))}
    given = jac
    if jac is True:
        equations = unknowns.of_vector(lambda x: _value_and_matrix(*fun(x, *args)))
    elif callable(jac):
        given = lambda v: _matrix(jac(unravel(v), *args))  # noqa: E731
    elif jac is None and options["method"] in ("hybr", "lm"):
        given = jacfwd(unknowns.of_vector(lambda x: ravel(fun(x, *args))))
    result = so.root(equations, unknowns.vector, jac=given, **options, **more)
    result.x, result.fun = unravel(result.x), unravel(np.reshape(result.fun, -1))
    return result


def _matrix(jacobian: Any) -> Any:
    return np.atleast_2d(np.asarray(jacobian, float))


def _value_and_matrix(out: Any, jacobian: Any) -> Any:
    return ravel(out), _matrix(jacobian)
