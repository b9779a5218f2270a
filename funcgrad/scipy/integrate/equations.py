"""`odeint` and `solve_ivp`, whose solutions have derivatives: see `Flow`."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.arguments import name_of
from funcgrad.core import as_array, concrete, unsupported
from funcgrad.errors import ShapeError, fail
from funcgrad.scipy.integrate.flow import Flow
from funcgrad.scipy.integrate.parameters import (
    Leaves,
    Parameters,
    as_floats,
    plain,
)
from funcgrad.scipy.mirrors import is_mapped, mirror, refuse, unsolved

si: Any = importlib.import_module("scipy.integrate")
so: Any = importlib.import_module("scipy.optimize")

Function = Callable[..., Any]


def _right_side(func: Function, parameters: Parameters, n: int) -> Function:
    """Return f(t, y, leaves), an array of n numbers, of a user's ``func(t, y, *args)``."""

    def f(t: Any, y: Any, leaves: Leaves) -> Any:
        out = as_floats(func(t, y, *parameters.build(leaves))).reshape(-1)
        if out.shape[0] != n:
            raise fail(
                ShapeError,
                f"`{name_of(func)}` returned {out.shape[0]} derivatives for {n} unknowns.",
                "return one per entry of y0",
            )
        return out

    f.__name__ = getattr(func, "__name__", "func")
    return f


def _floats(x: Any) -> Any:
    x = as_array(x)
    return x.astype(np.float64) if x.dtype.kind in "biu" else x


def _smallest(tolerance: Any) -> Any:
    """Return one tolerance for all unknowns of a derived equation."""
    return None if tolerance is None else float(np.min(tolerance))


# --- odeint --------------------------------------------------------------------------------------


@mirror(si.odeint)
def odeint(
    func: Function,
    y0: Any,
    t: Any,
    args: Any = (),
    Dfun: Any = None,
    col_deriv: int = 0,
    full_output: int = 0,
    ml: Any = None,
    mu: Any = None,
    rtol: Any = None,
    atol: Any = None,
    tcrit: Any = None,
    h0: float = 0.0,
    hmax: float = 0.0,
    hmin: float = 0.0,
    ixpr: int = 0,
    mxstep: int = 0,
    mxhnil: int = 0,
    mxordn: int = 12,
    mxords: int = 5,
    printmessg: int = 0,
    tfirst: bool = False,
) -> Any:
    """Solve ``dy/dt = func(y, t, *args)`` from `y0` at ``t[0]``; derivatives by `y0`, `t` and `args`.

    Tolerances hold for the adjoint and the variational equation, too (the smallest of them, if they differ
    from unknown to unknown). Under vmap the examples are solved one by one.

    Returns
    -------
    array, shape (len(t), len(y0))

    Raises
    ------
    SolverError
        If the solver does not reach the end.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad
    >>> from funcgrad.scipy import integrate
    >>> t = np.array([0.0, 1.0])
    >>> decay = lambda k: integrate.odeint(lambda y, t, k: -k * y, 1.0, t, args=(k,))[-1, 0]
    >>> round(float(grad(decay)(2.0)), 6)  # -exp(-2)
    -0.135335
    """
    refuse("scipy.integrate.odeint", full_output=full_output or None)
    args = args if isinstance(args, tuple) else (args,)
    y0, ts, parameters = np.atleast_1d(_floats(y0)), _floats(t), Parameters(args)
    if y0.ndim > 1:
        raise ValueError("Initial condition y0 must be one-dimensional.")
    right = func if tfirst else functools.wraps(func)(lambda t, y, *args: func(y, t, *args))
    common = {
        "tcrit": tcrit,
        "hmax": hmax,
        "hmin": hmin,
        "mxstep": mxstep,
        "mxordn": mxordn,
        "mxords": mxords,
    }

    def run(g: Function, y0: Any, ts: Any, **options: Any) -> Any:
        ys, info = si.odeint(g, y0, ts, tfirst=True, full_output=1, **common, **options)
        if not info["message"].startswith(("Integration successful", "Nothing was done")):
            raise unsolved(f"odeint did not reach the end: {info['message']}")
        return ys

    def solve(g: Function, y0: Any, ts: Any) -> Any:
        return run(g, y0, ts, rtol=rtol, atol=atol, h0=h0)

    def again(g: Function, y0: Any, ts: Any) -> Any:
        return run(g, y0, ts, rtol=_smallest(rtol), atol=_smallest(atol))

    f = _right_side(right, parameters, y0.shape[0])
    return Flow("odeint", f, solve, again)(y0, ts, *parameters.leaves)[0]


# --- solve_ivp -----------------------------------------------------------------------------------


KEPT = ("rtol", "atol", "max_step", "min_step")  # options that derived equations share


@mirror(si.solve_ivp)
def solve_ivp(
    fun: Function,
    t_span: Any,
    y0: Any,
    method: Any = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = None,
    **options: Any,
) -> Any:
    """Solve ``dy/dt = fun(t, y, *args)``; derivatives of ``.y`` by `y0`, `args`, `t_span` and `t_eval`.

    Without `t_eval` the times between the ends are those that the solver chose, as constants. `rtol`, `atol`,
    `max_step` and the method hold for the adjoint and the variational equation, too. Under vmap the
    examples are solved one by one, and `t_eval` must be given.

    Raises
    ------
    SolverError
        If the solver does not reach the end.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad
    >>> from funcgrad.scipy import integrate
    >>> def end(k):
    ...     return integrate.solve_ivp(
    ...         lambda t, y, k: -k * y, (0, 1), [1.0], args=(k,), rtol=1e-8
    ...     ).y[0, -1]
    >>> round(float(grad(end)(2.0)), 5)  # -exp(-2)
    -0.13534
    """
    refuse(
        "scipy.integrate.solve_ivp",
        dense_output=dense_output,
        events=events,
        vectorized=vectorized,
    )
    parameters = Parameters(() if args is None else tuple(args))
    y0, start, end = [_floats(x) for x in (y0, *t_span)]
    times = None if t_eval is None else _floats(t_eval)
    f = _right_side(fun, parameters, y0.shape[0])
    kept = {
        k: _smallest(x) if k in ("rtol", "atol") else x for k, x in options.items() if k in KEPT
    }

    def again(g: Function, y0: Any, ts: Any) -> Any:
        if ts[0] == ts[-1]:  # SciPy would return no rows
            return np.stack([y0] * len(ts))
        return np.concatenate([y0[None], _run(g, (ts[0], ts[-1]), y0, method, ts[1:], kept).y.T])

    if any([is_mapped(x) for x in (y0, start, end, times, *parameters.leaves)]):
        if times is None:
            unsupported("scipy.integrate.solve_ivp under vmap without t_eval=", "pass t_eval")
        result, solve = so.OptimizeResult(t=t_eval, success=True, status=0), again
    else:
        result = _plain_run(f, parameters, (y0, (start, end), times), method, options)
        rows = result.y.T if times is None else np.concatenate([concrete(y0)[None], result.y.T])
        solve = lambda g, y0, ts: rows  # noqa: E731  # solved already, at these very arguments
    later = [times] if times is not None else [result.t[1:-1], end[None]]
    ts = np.concatenate([start[None], *later])
    (ys,) = Flow("solve_ivp", f, solve, again)(y0, ts, *parameters.leaves)
    result.t, result.y = (ts, ys.T) if times is None else (times, ys[1:].T)
    return result


def _run(g: Function, t_span: Any, y0: Any, method: Any, t_eval: Any, options: Any) -> Any:
    """Call SciPy, and raise if it does not reach the end."""
    result = si.solve_ivp(g, t_span, y0, method, t_eval, **options)
    if not result.success:
        raise unsolved(f"solve_ivp did not reach the end: {result.message}")
    return result


def _plain_run(f: Function, parameters: Parameters, given: Any, method: Any, options: Any) -> Any:
    """Solve with the plain values of all arguments."""
    y0, ts, times = tree.map(concrete, given)
    leaves = [concrete(x) for x in parameters.leaves]
    jac = options.get("jac")
    if callable(jac):
        options = {**options, "jac": lambda t, y: jac(t, y, *parameters.build(leaves))}
    return _run(lambda t, y: plain(f, f(t, y, leaves)), ts, y0, method, times, options)
