"""Ordinary differential equations, by the continuous adjoint.

The solution y(t_0), ..., y(t_m) of dy/dt = f(t, y, p) has the variational equation dv/dt = f_y v + f_p dp,
which forward mode solves, and the adjoint equation da/dt = -f_y^T a, which reverse mode solves backwards from
time to time, together with y and with the integral of f_p^T a, the gradient by p (Pontryagin; Chen et al.,
Neural ordinary differential equations, 2018). Both are differential equations in turn, solved by the same
method to the same tolerances, so they have derivatives of any order.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.implicit import LoopedCall
from funcgrad.scipy.integrate.parameters import Leaves, of_floats, plain, ravel, spread, unravel
from funcgrad.transforms import jvp, vjp

Function = Callable[..., Any]


class Flow(LoopedCall):
    """The solution of dy/dt = f(t, y, leaves) at times ts from y0 at ts[0], as a call of (y0, ts, *leaves).

    `solve(g, y0, ts)` integrates dy/dt = g(t, y) for plain arrays, and returns a row per time.
    """

    def __init__(self, name: str, f: Function, solve: Function, again: Function) -> None:
        super().__init__(name, self.integrate)
        self.f, self.solve, self.again = f, solve, again

    def __call__(self, *leaves: Any) -> Leaves:
        y0, ts = leaves[:2]
        self.like = [((ts.shape[0], y0.shape[0]), np.result_type(y0.dtype, np.float64))]
        return super().__call__(*leaves)

    def derived(self, f: Function) -> "Flow":
        """Return the flow of another equation, solved likewise."""
        return Flow(self.name, f, self.again, self.again)

    def integrate(self, y0: Any, ts: Any, *leaves: Any) -> Leaves:
        return [self.solve(lambda t, y: plain(self.f, self.f(t, y, list(leaves))), y0, ts)]

    def fwd(self, *leaves: Any) -> tuple[Leaves, Any]:
        (ys,) = self(*leaves)
        return [ys], [ys, *leaves[1:]]

    def bwd(self, residuals: Any, cts: Leaves) -> Leaves:
        (ys, ts, *leaves), (ct,) = residuals, cts
        n, real = ys.shape[1], ys.dtype.kind != "c"
        _, floats = of_floats(len, leaves)

        def equation(t: Any, state: Any, own: Leaves) -> Any:
            both = state[: 2 * n].real if real else state[: 2 * n]
            return self.adjoint(t, both[:n], both[n:], own)

        adjoint, by_time = self.derived(equation), []
        a, total = 0 * ct[0], ravel([np.zeros(x.shape, x.dtype) for x in floats])
        for i in range(ys.shape[0] - 1, 0, -1):
            a = a + ct[i]
            by_time.append(np.sum(np.real(ct[i] * self.f(ts[i], ys[i], leaves))))
            state = np.concatenate([ys[i], a, total])
            (states,) = adjoint(state, np.stack([ts[i], ts[i - 1]]), *leaves)
            a, total = states[-1, n : 2 * n], states[-1, 2 * n :]
            a = a.real if real else a
        by_time.append(-np.sum(np.real(a * self.f(ts[0], ys[0], leaves))))
        by_leaves = spread(unravel(total, floats), leaves)
        return [a + ct[0], np.stack(by_time[::-1]), *by_leaves]

    def adjoint(self, t: Any, y: Any, a: Any, leaves: Leaves) -> Any:
        """Return the derivatives of y, of its cotangent, and of the integral of that of the leaves."""
        merge, floats = of_floats(list, leaves)
        out, pullback = vjp(lambda y, *some: self.f(t, y, merge(*some)), y, *floats)
        by_y, *by_leaves = pullback(a)
        return np.concatenate([out, -by_y, -ravel(by_leaves)])

    def push(self, primals: Leaves, tangents: Leaves) -> tuple[Leaves, Leaves]:
        (_, ts, *leaves), (v, t_ts, *t_leaves) = primals, tangents
        (ys,) = self(*primals)
        n, k = ys.shape[1], len(leaves)
        moved = [i for i, t in enumerate(t_leaves) if t is not None]
        v = np.zeros(n, ys.dtype) if v is None else v
        if t_ts is not None:
            speeds = np.stack([self.f(t, y, leaves) for t, y in zip(ts, ys)])
            v = v - t_ts[0] * speeds[0]

        def variation(t: Any, state: Any, own: Leaves) -> Any:
            def of_some(y: Any, *some: Any) -> Any:
                full = list(own[:k])
                for i, x in zip(moved, some, strict=True):
                    full[i] = x
                return self.f(t, y, full)

            some = [own[i] for i in moved]
            return np.concatenate(jvp(of_some, [state[:n], *some], [state[n:], *own[k:]]))

        both = self.derived(variation)(
            np.concatenate([ys[0], v]), ts, *leaves, *[t_leaves[i] for i in moved]
        )
        vs = both[0][:, n:]
        return [ys], [vs if t_ts is None else vs + t_ts[:, None] * speeds]
