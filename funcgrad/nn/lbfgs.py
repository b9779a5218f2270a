"""L-BFGS: curvature from the last few steps, and a line search for the strong Wolfe conditions.

The line search looks at the function itself, so ``update`` takes it in place of gradients. All is
done on one real vector, the parameters laid end to end. Must not know the other optimizers.
Read next: `saving.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from funcgrad import tree
from funcgrad.errors import ArgumentError, StructureError, fail
from funcgrad.nn.optimizers import STATIC, PyTree
from funcgrad.nn.settings import check_positive

__all__ = ["LBFGS"]

ValueAndGrad: TypeAlias = Callable[[PyTree], tuple[Any, PyTree]]

SUFFICIENT, CURVATURE = 1e-4, 0.9  # c1 and c2 of the Wolfe conditions
_ROUNDING = 64  # of the function's value, in units of its last place
_TRIALS = 25  # evaluations in one line search
_PATIENCE = 4  # steps that lower neither value nor gradient


class _Point(NamedTuple):
    """A point of a line search: how far along, f there, its slope, the place and the gradient."""

    along: Any
    value: Any
    slope: Any
    x: Any
    grad: Any


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS with a line search that satisfies the strong Wolfe conditions.

    For smooth functions without noise: full batches. It needs no learning rate.

    Parameters
    ----------
    memory : int, default 10
        How many steps the estimate of the curvature remembers.

    Raises
    ------
    ArgumentError
        If `memory` is no positive integer.

    References
    ----------
    J. Nocedal and S. Wright, Numerical Optimization, 2nd edition, 2006: algorithms 7.4, 7.5 (the
    steps), 3.5 and 3.6 (the line search).

    Examples
    --------
    >>> from funcgrad import value_and_grad
    >>> def rosenbrock(x):
    ...     return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    >>> x, info = LBFGS().minimize(value_and_grad(rosenbrock), np.array([-1.2, 1.0]))
    >>> x, info["converged"]
    (array([1., 1.]), True)

    Or step by step, as with the other optimizers, the function in place of the gradients:

    >>> opt, x = LBFGS(), np.array([-1.2, 1.0])
    >>> state = opt.init(x)
    >>> for _ in range(60):
    ...     x, state = opt.update(value_and_grad(rosenbrock), state, x)
    >>> x
    array([1., 1.])
    """

    memory: int = field(default=10, metadata=STATIC)
    needs_function: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive(self, memory=self.memory)

    def init(self, params: PyTree) -> dict[str, Any]:
        """Return the state before the first step: no changes of parameters and gradient seen."""
        x, _ = _real_vector(params)
        empty = np.zeros((self.memory, x.size), x.dtype)
        return {"step": 0, "changes": empty, "grad_changes": empty}

    def update(self, fun: ValueAndGrad, state: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """Take one step along a line; return the new parameters and the new state.

        Parameters
        ----------
        fun : callable
            ``fun(params) -> (value, grads)``: what `funcgrad.value_and_grad` makes of the loss.
        state, params : pytrees
        """
        if not isinstance(state, dict) or state.keys() != {"step", "changes", "grad_changes"}:
            what = "state does not match: LBFGS keeps a dict of step, changes and grad_changes."
            raise fail(StructureError, what, "start from init(params) of the same optimizer.")
        x, at, unravel = self._start(fun, params)
        start = _Point(0.0, *_evaluate(at, x))
        end, state = self._iterate(at, state, start)
        return unravel(end.x), state

    def minimize(
        self, fun: ValueAndGrad, params: PyTree, steps: int = 200, tol: float = 1e-6
    ) -> tuple[PyTree, dict[str, Any]]:
        """Take steps until no entry of the gradient exceeds `tol`, or no step leads further.

        Parameters
        ----------
        fun : callable
            ``fun(params) -> (value, grads)``.
        params : pytree
            Where to start.
        steps : int, default 200
            At most.
        tol : float, default 1e-6

        Returns
        -------
        params : pytree
        info : dict
            ``value``, ``steps`` and ``converged``: whether the gradient has become so small.
        """
        x, at, unravel = self._start(fun, params)
        state, point = self.init(params), _Point(0.0, *_evaluate(at, x))
        lowest, smallest, idle = point.value, _size(point.grad), 0
        while _size(point.grad) > tol and state["step"] < steps and idle < _PATIENCE:
            point, state = self._iterate(at, state, point)
            better = point.value < lowest or _size(point.grad) < smallest
            idle = 0 if better else idle + 1
            lowest, smallest = min(lowest, point.value), min(smallest, _size(point.grad))
        converged = _size(point.grad) <= tol
        info = {"value": point.value, "steps": state["step"], "converged": bool(converged)}
        return unravel(point.x), info

    def _start(self, fun: ValueAndGrad, params: PyTree) -> tuple[Any, Any, Any]:
        if not callable(fun):
            what = (
                f"LBFGS needs the function in place of gradients, but got a {type(fun).__name__}."
            )
            raise fail(ArgumentError, what, "pass value_and_grad(loss).")
        x, unravel = _real_vector(params)
        treedef = tree.structure(params)

        def at(x: Any) -> tuple[Any, Any]:
            value, grads = _value_and_grads(fun, unravel(x))
            grads = tree.unflatten(treedef, tree.flatten_like(treedef, grads, "grads"))
            # The way up is the conjugate of a complex gradient.
            return value, _real_vector(tree.map(np.conj, grads), x)[0]

        return x, at, unravel

    def _iterate(self, at: Any, state: PyTree, start: _Point) -> tuple[_Point, PyTree]:
        changes, grad_changes = state["changes"], state["grad_changes"]
        direction = _direction(start.grad, changes, grad_changes)
        slope = start.grad @ direction
        # Without any curvature, a step of length 1 at most in each direction.
        first = 1.0 if changes.any() else 1 / np.maximum(np.abs(start.grad).sum(), 1)
        if slope < 0:
            start = start._replace(along=0.0, slope=slope)
            end = _line_search(at, start, direction, first)
        else:
            end = start
        s, y = end.x - start.x, end.grad - start.grad
        if not np.any(end.x != start.x):  # the curvature misled us: forget it
            changes, grad_changes = np.zeros_like(changes), np.zeros_like(changes)
        elif s @ y > 0:
            changes = np.concatenate([changes[1:], s[None]])
            grad_changes = np.concatenate([grad_changes[1:], y[None]])
        new = {"step": state["step"] + 1, "changes": changes, "grad_changes": grad_changes}
        return end, new


def _value_and_grads(fun: ValueAndGrad, params: PyTree) -> tuple[Any, PyTree]:
    both: Any = fun(params)
    if not isinstance(both, tuple) or len(both) != 2:
        what = (
            f"LBFGS needs a function that returns (value, grads), but got a {type(both).__name__}."
        )
        raise fail(ArgumentError, what, "pass value_and_grad(loss).")
    return both


def _real_vector(params: PyTree, like: Any = None) -> tuple[Any, Callable[[Any], PyTree]]:
    """Lay the parameters end to end; of complex ones first the real parts, then the imaginary."""
    flat, unravel = tree.ravel(params)
    if like is not None and flat.dtype.kind == "f":
        flat = flat.astype(like.dtype)
    if flat.dtype.kind != "c":
        return flat, unravel
    n = flat.size
    return (
        np.concatenate([flat.real, flat.imag]),
        lambda x: unravel(x[:n] + 1j * x[n:]),
    )


def _evaluate(at: Any, x: Any) -> tuple[Any, Any, Any, Any]:
    value, grad = at(x)
    return value, 0.0, x, grad


def _size(grad: Any) -> Any:
    return np.abs(grad).max() if grad.size else 0.0


def _direction(grad: Any, changes: Any, grad_changes: Any) -> Any:
    """Multiply minus the gradient by the estimated inverse Hessian: the two-loop recursion."""
    pairs = [(s, y, s @ y) for s, y in zip(changes, grad_changes)]
    pairs = [(s, y, sy) for s, y, sy in pairs if sy > 0]  # rows not yet filled are zero
    q, seen = -grad, []
    for s, y, sy in reversed(pairs):
        seen.append((s @ q) / sy)
        q = q - seen[-1] * y
    if pairs:
        s, y, sy = pairs[-1]
        q = q * (sy / (y @ y))
    for (s, y, sy), a in zip(pairs, reversed(seen)):
        q = q + s * (a - (y @ q) / sy)
    return q


def _line_search(at: Any, start: _Point, direction: Any, along: Any) -> _Point:
    """Find a point that satisfies the strong Wolfe conditions: first brackets, then zooms in."""

    def point(along: Any) -> _Point:
        x = start.x + along * direction
        value, grad = at(x)
        return _Point(along, value, grad @ direction, x, grad)

    # The last steps before a minimum change f by less than its rounding: the slopes decide there,
    # as in Hager and Zhang, A new conjugate gradient method, SIAM J. Optim. 16, 2005.
    slack = _ROUNDING * np.finfo(start.x.dtype).eps * np.abs(start.value)

    def is_low(p: _Point) -> bool:  # False for NaN
        return bool(p.value <= start.value + SUFFICIENT * p.along * start.slope + slack)

    def is_flat(p: _Point) -> bool:
        return bool(np.abs(p.slope) <= -CURVATURE * start.slope)

    low, high, trials = start, None, 0
    while trials < _TRIALS:
        p, trials = point(along), trials + 1
        if not is_low(p) or (trials > 1 and not p.value < low.value + slack):
            high = p
        elif is_flat(p):
            return p
        elif high is None and p.slope < 0:
            low = p
        else:
            if high is None or p.slope * (high.along - low.along) >= 0:
                high = low
            low = p
        along = 2 * along if high is None else _between(low, high)
    return low


def _between(low: _Point, high: _Point) -> Any:
    """Return where the cubic through two points has its minimum, kept off the ends.

    Nocedal and Wright, equation 3.59; where it has none, the middle.
    """
    width = high.along - low.along
    if not np.isfinite(high.value + high.slope):
        return low.along + 0.5 * width
    d1 = low.slope + high.slope - 3 * (high.value - low.value) / width
    square = d1 * d1 - low.slope * high.slope
    share: Any = 0.5
    if square >= 0:  # False for NaN
        d2 = np.sign(width) * np.sqrt(square)
        bottom = high.slope - low.slope + 2 * d2
        if bottom != 0:
            share = 1 - (high.slope + d2 - d1) / bottom
    return low.along + np.minimum(np.maximum(share, 0.1), 0.9) * width
