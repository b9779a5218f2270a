"""`minimize` over pytrees: gradients, Hessians and their products filled in as each method needs them."""

import functools
import importlib
from typing import Any

import numpy as np

from funcgrad.arguments import check_scalar
from funcgrad.implicit import Solution
from funcgrad.jacobians import hessian, hvp, jacrev
from funcgrad.scipy.mirrors import any_traced, refuse, unsolved
from funcgrad.scipy.optimize.unknowns import (
    Function,
    Unknowns,
    as_start,
    as_tuple,
    plain,
    ravel,
)
from funcgrad.transforms import grad, value_and_grad

so: Any = importlib.import_module("scipy.optimize")

WITHOUT_GRADIENT = {"nelder-mead", "powell", "cobyla", "cobyqa"}
WITH_HESSIAN = {"dogleg", "trust-exact"}
WITH_PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}


class Minimum(Solution):
    """The minimum of a function by its parameters: where the gradient is zero."""

    verb = "minimize"

    def residual(self, x: Any, *params: Any) -> Any:
        return grad(self.fun)(x, *params)


def minimize(
    fun: Function,
    x0: Any,
    args: Any = (),
    method: Any = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: Any = None,
    callback: Any = None,
    options: Any = None,
) -> Any:
    """Minimise a scalar function of a pytree of arrays; see `scipy.optimize.minimize`.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns a real scalar. Written in plain NumPy.
    x0 : pytree of arrays
        Where to start. Numbers, and lists of numbers, become one array as in SciPy.
    args : tuple, optional
        If one of them is traced, the solution has derivatives by it; without bounds and constraints alone.
    method, tol, options
        As for SciPy.
    jac, hess, hessp : optional
        Filled in by the transforms when they are None and the method can use them; functions of the
        pytree (``jac`` returns one like it, ``hess`` a matrix over its numbers, in order) or SciPy's names
        of finite differences take their place.
    bounds : optional
        As for SciPy, for one-dimensional arrays. For other pytrees a pair (lower, upper), each a number
        or a prefix of the pytree, with None for no bound.
    constraints : optional
        As for SciPy; their functions take the pytree, and their Jacobians are filled in, too.
    callback : callable, optional
        As for SciPy; gets the pytree.

    Returns
    -------
    OptimizeResult
        SciPy's, whose `x` and `jac` are pytrees like `x0`; other fields are about the vector of all numbers.

    Raises
    ------
    NonScalarOutputError
        If `fun` does not return a real scalar.
    SolverError
        If no solution is found, and one of `args` is traced.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad.scipy import optimize
    >>> def loss(params):
    ...     return np.sum((params["w"] - 3) ** 2) + (params["b"] + 1) ** 4
    >>> result = optimize.minimize(loss, {"w": np.zeros(2), "b": np.array(0.0)}, method="Newton-CG")
    >>> np.round(result.x["w"], 6)
    array([3., 3.])
    """
    start, args = as_start(x0), as_tuple(args)
    if not any_traced(start, args):
        problem = _Problem(fun, start, args, method, (jac, hess, hessp))
        return problem.run(bounds, constraints, tol, callback, options)
    refuse("optimize.minimize of traced args", bounds=bounds, constraints=constraints or None)
    runs = []
    value: Function = (lambda x, *args: fun(x, *args)[0]) if jac is True else fun

    def solve(objective: Function, start: Any) -> Any:
        functools.update_wrapper(objective, fun)  # errors name it
        problem = _Problem(objective, start, (), method, (None, None, None))
        runs.append(problem.run(None, (), tol, callback, options))
        # status 2 of the methods with a gradient: no better value can be told from rounding
        if runs[-1].status != 2 or str(method).lower() in WITHOUT_GRADIENT:
            check_solved("minimize", runs[-1])
        return runs[-1].x

    x = Minimum(value, solve)(start, *args)
    return finish(runs, x=x, fun=value(x, *args))


def check_solved(name: str, run: Any) -> None:
    """Raise if a solver found no solution, which alone has derivatives."""
    if not run.success:
        raise unsolved(f"{name} found no solution: {run.message}")


def finish(runs: list[Any], **fields: Any) -> Any:
    """Return a result with traced fields; what else SciPy says of the run, if it was one run."""
    result = (
        runs[0] if len(runs) == 1 else so.OptimizeResult(success=all([r.success for r in runs]))
    )
    result.update(fields)
    return result


class _Problem:
    """One minimisation with plain arguments."""

    def __init__(self, fun: Function, start: Any, args: Any, method: Any, given: Any) -> None:
        self.fun, self.args, self.method = fun, args, method
        self.unknowns = Unknowns(start)
        self.objective = self.unknowns.of_vector(fun, *args)
        self.jac, self.hess, self.hessp = given

    def run(self, bounds: Any, constraints: Any, tol: Any, callback: Any, options: Any) -> Any:
        bounds = self.unknowns.bounds(bounds)
        constraints = self.constraints(constraints)
        chosen = self.method or (
            "SLSQP" if constraints else "BFGS" if bounds is None else "L-BFGS-B"
        )
        name = chosen.lower() if isinstance(chosen, str) else ""
        fun, jac = self.value_and_gradient(name)
        result = so.minimize(
            fun,
            self.unknowns.vector,
            method=chosen,
            jac=jac,
            **self.second_derivatives(name),
            bounds=bounds,
            constraints=constraints,
            tol=tol,
            callback=self.unknowns.callback(callback, self.finished),
            options=options,
        )
        return self.finished(result)

    def value_and_gradient(self, method: str) -> tuple[Function, Any]:
        """Return the function for SciPy, and what it is told about its gradient."""
        unravel, jac = self.unknowns.unravel, self.jac
        if jac is None and method not in WITHOUT_GRADIENT:
            return lambda v: plain(self.fun, value_and_grad(self.objective)(v)), True
        if jac is True:
            return lambda v: _flat_gradient(*self.objective(v)), True
        if callable(jac):
            gradient = lambda v: ravel(jac(unravel(v), *self.args))  # noqa: E731
            return self.scalar, gradient
        return self.scalar, jac

    def scalar(self, vector: Any) -> Any:
        """Return the value, which must be a real scalar."""
        out = plain(self.fun, self.objective(vector))
        check_scalar("minimize", self.fun, out, False)
        return np.asarray(out, np.float64)[()]

    def second_derivatives(self, method: str) -> dict[str, Any]:
        """Return `hess` or `hessp`, as the method takes them."""
        unravel, n = self.unknowns.unravel, self.unknowns.vector.size
        objective = (lambda v: self.objective(v)[0]) if self.jac is True else self.objective
        if callable(self.hess):
            return {"hess": lambda v: np.reshape(self.hess(unravel(v), *self.args), (n, n))}
        if callable(self.hessp):
            return {"hessp": lambda v, p: ravel(self.hessp(unravel(v), unravel(p), *self.args))}
        if self.hess is not None:
            return {"hess": self.hess}
        if method in WITH_HESSIAN:
            return {"hess": hessian(objective)}
        if method in WITH_PRODUCTS and self.jac in (None, True):
            return {"hessp": lambda v, p: hvp(objective, (v,), (p,))}
        return {}

    def constraints(self, constraints: Any) -> Any:
        """Return constraints over vectors, with Jacobians."""
        if isinstance(constraints, (list, tuple)):
            return [self.constraint(c) for c in constraints]
        return self.constraint(constraints)

    def constraint(self, constraint: Any) -> Any:
        unravel = self.unknowns.unravel
        if isinstance(constraint, dict):
            args = as_tuple(constraint.get("args", ()))
            fun, jac = self.with_jacobian(constraint["fun"], constraint.get("jac"), args)
            return {"type": constraint["type"], "fun": fun, "jac": jac}
        if not isinstance(constraint, so.NonlinearConstraint):
            return constraint
        fun, jac = self.with_jacobian(constraint.fun, constraint.jac, ())
        hess = constraint.hess
        if callable(hess):
            user = hess
            hess = lambda v, weights: user(unravel(v), weights)  # noqa: E731
        return so.NonlinearConstraint(
            fun, constraint.lb, constraint.ub, jac, hess, constraint.keep_feasible
        )

    def with_jacobian(self, fun: Function, jac: Any, args: Any) -> tuple[Function, Any]:
        """Return a constraint's function of the vector and its Jacobian, a matrix."""
        value = self.unknowns.of_vector(lambda x, *more: ravel(fun(x, *more)), *args)
        if callable(jac):
            return value, lambda v: jac(self.unknowns.unravel(v), *args)
        return value, jacrev(value)

    def finished(self, result: Any) -> Any:
        """Return SciPy's result with pytrees in it."""
        result = so.OptimizeResult(result)
        gradient = "grad" if "grad" in result else "jac"  # trust-constr keeps constraints' in jac
        for name in ("x", gradient):
            if np.shape(result.get(name)) == self.unknowns.vector.shape:
                result[name] = self.unknowns.unravel(result[name])
        return result


def _flat_gradient(out: Any, gradient: Any) -> Any:
    return out, ravel(gradient)
