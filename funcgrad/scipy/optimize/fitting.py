"""Least squares over pytrees, and fits of curves, with the Jacobian filled in."""

import functools
import importlib
from typing import Any

import numpy as np

from funcgrad.core import as_array, unsupported
from funcgrad.implicit import Solution
from funcgrad.jacobians import jacfwd, jacrev
from funcgrad.scipy.mirrors import any_traced, refuse
from funcgrad.scipy.optimize.minimization import check_solved, finish
from funcgrad.scipy.optimize.unknowns import Function, Unknowns, as_start, as_tuple, plain, ravel
from funcgrad.transforms import grad

so: Any = importlib.import_module("scipy.optimize")


def _cost(residuals: Any) -> Any:
    return np.sum(residuals * residuals) / 2


class LeastSquares(Solution):
    """The minimum of half a sum of squares by the parameters; the solver gets the residuals."""

    verb = "least_squares"

    def residual(self, x: Any, *params: Any) -> Any:
        return grad(lambda x: _cost(ravel(self.fun(x, *params))))(x)


def least_squares(
    fun: Function,
    x0: Any,
    jac: Any = None,
    bounds: Any = (-np.inf, np.inf),
    method: str = "trf",
    ftol: Any = 1e-8,
    xtol: Any = 1e-8,
    gtol: Any = 1e-8,
    x_scale: Any = None,
    loss: Any = "linear",
    f_scale: Any = 1.0,
    diff_step: Any = None,
    tr_solver: Any = None,
    tr_options: Any = None,
    jac_sparsity: Any = None,
    max_nfev: Any = None,
    verbose: int = 0,
    args: Any = (),
    kwargs: Any = None,
    callback: Any = None,
    workers: Any = None,
) -> Any:
    """Minimise half the sum of squares of ``fun(x, *args)`` over a pytree; see `scipy.optimize.least_squares`.

    Parameters
    ----------
    fun : callable
        Returns the residuals: an array, a list of numbers, or a pytree.
    x0 : pytree of arrays
        Where to start. Numbers, and lists of numbers, become one array as in SciPy.
    jac : optional
        None fills the Jacobian in; SciPy's names of finite differences, and functions of the pytree that
        return a matrix, take its place.
    bounds : pair, optional
        Of numbers, arrays or prefixes of the pytree, with None for no bound.
    args : tuple, optional
        If one of them is traced, the solution has derivatives by it; without bounds, and with
        ``loss="linear"`` alone.

    Returns
    -------
    OptimizeResult
        SciPy's, whose `x` and `grad` are pytrees like `x0`; `jac` is a matrix over all numbers, in order.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad.scipy import optimize
    >>> t = np.linspace(0, 1, 5)
    >>> fit = optimize.least_squares(
    ...     lambda p: p["a"] * np.exp(p["k"] * t) - np.exp(2 * t), {"a": 0.5, "k": 1.0}
    ... )
    >>> round(float(fit.x["k"]), 6)
    2.0
    """
    start, args, kwargs = as_start(x0), as_tuple(args), kwargs or {}
    call: Function = (lambda x, *args: fun(x, *args, **kwargs)) if kwargs else fun
    options = {
        "method": method,
        "ftol": ftol,
        "xtol": xtol,
        "gtol": gtol,
        "loss": loss,
        "f_scale": f_scale,
        "diff_step": diff_step,
        "tr_solver": tr_solver,
        "tr_options": tr_options,
        "jac_sparsity": jac_sparsity,
        "max_nfev": max_nfev,
        "verbose": verbose,
        "workers": workers,
    }
    options = {name: x for name, x in options.items() if x is not None}
    options |= {} if x_scale is None else {"x_scale": x_scale}
    if not any_traced(start, args, kwargs):
        return _run(call, start, args, jac, bounds, callback, options)
    unbounded = isinstance(bounds, tuple) and bounds == (-np.inf, np.inf)
    name = "optimize.least_squares of traced args"
    refuse(name, bounds=None if unbounded else bounds, loss=None if loss == "linear" else loss)
    refuse(name, kwargs=kwargs or None)
    runs = []

    def solve(residuals: Function, start: Any) -> Any:
        runs.append(_run(residuals, start, (), None, bounds, callback, options))
        check_solved("least_squares", runs[-1])
        return runs[-1].x

    x = LeastSquares(call, solve)(start, *args)
    value = ravel(call(x, *args))
    return finish(runs, x=x, fun=value, cost=_cost(value))


def _run(
    fun: Function, start: Any, args: Any, jac: Any, bounds: Any, callback: Any, options: Any
) -> Any:
    """Fit with plain arguments."""
    unknowns = Unknowns(start)
    unravel = unknowns.unravel

    def finished(result: Any) -> Any:
        more = {name: unravel(result[name]) for name in ("x", "grad") if name in result}
        return so.OptimizeResult({**result, **more})

    residuals = unknowns.of_vector(lambda x: ravel(fun(x, *args)))
    if jac is None:
        rows = plain(fun, residuals(unknowns.vector)).size
        jac = (jacrev if rows < unknowns.vector.size else jacfwd)(residuals)
    elif callable(jac):
        user = jac
        jac = lambda v: user(unravel(v), *args)  # noqa: E731
    if callback is not None:
        options = {**options, "callback": unknowns.callback(callback, finished)}
    result = so.least_squares(residuals, unknowns.vector, jac, unknowns.bounds(bounds), **options)
    return finished(result)


def curve_fit(
    f: Function,
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    check_finite: Any = None,
    bounds: Any = (-np.inf, np.inf),
    method: Any = None,
    jac: Any = None,
    *,
    full_output: bool = False,
    nan_policy: Any = None,
    **kwargs: Any,
) -> Any:
    """Fit the parameters of ``f(x, *params)``, with the Jacobian filled in; see `scipy.optimize.curve_fit`.

    For derivatives of the fitted parameters by the data use `least_squares`.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad.scipy import optimize
    >>> x = np.linspace(0, 1, 5)
    >>> params, covariance = optimize.curve_fit(
    ...     lambda x, a, k: a * np.exp(k * x), x, 3 * np.exp(-x)
    ... )
    >>> np.round(params, 6)
    array([ 3., -1.])
    """
    for name, x in (("xdata", xdata), ("ydata", ydata), ("sigma", sigma), ("p0", p0)):
        if any_traced(x):
            unsupported(
                f"scipy.optimize.curve_fit with a traced {name}",
                "fit by optimize.least_squares, the data in args",
            )

    def jacobian(x: Any, *params: Any) -> Any:
        return jacfwd(lambda p: as_array(f(x, *p)).reshape(-1))(np.array(params))

    return so.curve_fit(
        functools.wraps(f)(
            lambda x, *params: plain(f, f(x, *params))
        ),  # whose signature SciPy reads
        xdata,
        ydata,
        p0,
        sigma,
        absolute_sigma,
        check_finite,
        bounds,
        method,
        jacobian if jac is None else jac,
        full_output=full_output,
        nan_policy=nan_policy,
        **kwargs,
    )
