"""Integrals of functions: the derivative of an integral is the integral of the derivative.

By the limits it is the value of the function there (Leibniz). The integrals that derivatives need are
vectors, and computed by `scipy.integrate.quad_vec` to the same tolerances; they have derivatives in turn.
"""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import as_array, concrete
from funcgrad.implicit import LoopedCall
from funcgrad.scipy.integrate.parameters import (
    Leaves,
    Parameters,
    as_floats,
    of_floats,
    plain,
    ravel,
    spread,
    unravel,
)
from funcgrad.scipy.mirrors import mirror, refuse
from funcgrad.transforms import jvp, vjp

si: Any = importlib.import_module("scipy.integrate")

Function = Callable[..., Any]


class Integral(LoopedCall):
    """The integral of `fun(x, leaves)` over x from a to b, and its error, as a call of (a, b, *leaves).

    `solve(g, a, b)` integrates a function of x alone. The error is a constant.
    """

    def __init__(self, name: str, fun: Function, solve: Function, again: Function) -> None:
        super().__init__(name, self.integrate)
        self.integrand, self.solve, self.again = fun, solve, again

    def __call__(self, *leaves: Any) -> Leaves:
        self.like = [((), np.float64)] * 2  # a batch of no examples says no more
        return super().__call__(*leaves)

    def integrate(self, a: Any, b: Any, *leaves: Any) -> Leaves:
        value, error, *_ = self.solve(
            lambda x: plain(self.integrand, self.integrand(x, list(leaves))), a, b
        )
        return [np.asarray(value)[()], np.asarray(error)[()]]

    def fwd(self, *leaves: Any) -> tuple[Leaves, Any]:
        return self(*leaves), list(leaves)

    def bwd(self, residuals: Any, cts: Leaves) -> Leaves:
        (a, b, *leaves), ct = residuals, cts[0]
        ends = [
            None
            if np.isinf(concrete(x))
            else np.sum(np.real(sign * ct * self.integrand(x, leaves)))
            for x, sign in ((a, -1), (b, 1))
        ]
        _, floats = of_floats(len, leaves)
        if not floats:
            return [*ends, *[None] * len(leaves)]
        n = len(leaves)

        def pulled(x: Any, both: Leaves) -> Any:
            of_some, inputs = of_floats(lambda own: self.integrand(x, own), both[:n])
            return ravel([*vjp(of_some, *inputs)[1](both[n])])

        flat, _ = Integral(self.name, pulled, self.again, self.again)(a, b, *leaves, ct)
        return [*ends, *spread(unravel(flat, floats), leaves)]

    def push(self, primals: Leaves, tangents: Leaves) -> tuple[Leaves, Leaves]:
        (a, b, *leaves), (t_a, t_b, *ts) = primals, tangents
        outputs = self(*primals)
        moved = [i for i, t in enumerate(ts) if t is not None]
        n = len(leaves)

        def pushed(x: Any, both: Leaves) -> Any:
            def of_some(*some: Any) -> Any:
                own = list(both[:n])
                for i, y in zip(moved, some, strict=True):
                    own[i] = y
                return self.integrand(x, own)

            return jvp(of_some, [both[i] for i in moved], both[n:])[1]

        tangent = outputs[0] * 0
        if moved:
            inner = Integral(self.name, pushed, self.again, self.again)
            tangent = inner(a, b, *leaves, *[ts[i] for i in moved])[0]
        for x, t, sign in ((a, t_a, -1), (b, t_b, 1)):
            if t is not None and not np.isinf(concrete(x)):
                tangent = tangent + sign * t * self.integrand(x, leaves)
        return outputs, [tangent, outputs[1] * 0]


def _integral(
    name: str, func: Function, a: Any, b: Any, args: Any, solve: Function, again: Function
) -> Any:
    args = args if isinstance(args, tuple) else (args,)
    parameters = Parameters(args)

    def integrand(x: Any, leaves: Leaves) -> Any:
        return as_floats(func(x, *parameters.build(leaves)))

    integrand.__name__ = getattr(func, "__name__", "func")
    call = Integral(name, integrand, solve, again)
    a, b = [as_array(x)[()] for x in (a, b)]
    return tuple(call(a, b, *parameters.leaves))


@mirror(si.quad)
def quad(
    func: Function,
    a: Any,
    b: Any,
    args: Any = (),
    full_output: int = 0,
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
    limit: int = 50,
    points: Any = None,
    weight: Any = None,
    wvar: Any = None,
    wopts: Any = None,
    maxp1: int = 50,
    limlst: int = 50,
    complex_func: bool = False,
) -> Any:
    """Integrate a function from `a` to `b`, which may be infinite; derivatives by `a`, `b` and `args`.

    Returns
    -------
    integral : float
    abserr : float
        An estimate of the error, a constant.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad
    >>> from funcgrad.scipy import integrate
    >>> grad(lambda k: integrate.quad(lambda x, k: np.exp(-k * x), 0, np.inf, args=(k,))[0])(2.0)
    np.float64(-0.25)
    """
    refuse(
        "scipy.integrate.quad",
        full_output=full_output or None,
        weight=weight,
        complex_func=complex_func,
    )

    def solve(g: Function, low: Any, high: Any) -> Any:
        return si.quad(
            g, low, high, epsabs=epsabs, epsrel=epsrel, limit=limit, points=points, limlst=limlst
        )

    def again(g: Function, low: Any, high: Any) -> Any:
        more = {"points": points, "full_output": True}
        value, error, info = si.quad_vec(g, low, high, epsabs, epsrel, **more)
        if not info.success:
            what = f"The integral of a derivative: {info.message}"
            warnings.warn(what, si.IntegrationWarning, stacklevel=2)
        return value, error

    return _integral("quad", func, a, b, args, solve, again)


@mirror(si.quad_vec)
def quad_vec(
    f: Function,
    a: Any,
    b: Any,
    epsabs: float = 1e-200,
    epsrel: float = 1e-8,
    norm: str = "2",
    cache_size: float = 100e6,
    limit: float = 10000,
    workers: Any = 1,
    points: Any = None,
    quadrature: str | None = None,
    full_output: bool = False,
    *,
    args: Any = (),
) -> Any:
    """Integrate an array-valued function from `a` to `b`; derivatives by `a`, `b` and `args`."""
    refuse("scipy.integrate.quad_vec", full_output=full_output)

    def solve(g: Function, low: Any, high: Any) -> Any:
        return si.quad_vec(
            g, low, high, epsabs, epsrel, norm, cache_size, limit, workers, points, quadrature
        )

    return _integral("quad_vec", f, a, b, args, solve, solve)


@mirror(si.fixed_quad)
def fixed_quad(func: Function, a: Any, b: Any, args: Any = (), n: int = 5) -> Any:
    """Integrate a function of arrays from `a` to `b` by Gauss-Legendre quadrature of order `n`."""
    a, b = as_array(a), as_array(b)
    if np.any(np.isinf(concrete(a))) or np.any(np.isinf(concrete(b))):
        raise ValueError("Gaussian quadrature is only available for finite limits.")
    nodes, weights = np.polynomial.legendre.leggauss(n)
    x = (b - a) * (nodes + 1) / 2 + a
    return (b - a) / 2 * np.sum(weights * func(x, *args), axis=-1), None
