"""Derivatives of solutions by the implicit function theorem: the solver itself is not differentiated.

If f(x, theta) = 0 defines x(theta), then dx = -(df/dx)^-1 (df/dtheta) dtheta: one linear system at
the solution, however long the solver took (Krantz & Parks, The Implicit Function Theorem, 2013;
Blondel et al., Efficient and Modular Implicit Differentiation, 2022).
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.arguments import Transform, check_callable, describe, name_of
from funcgrad.batch import BatchTracer
from funcgrad.calls import Call, VjpCall
from funcgrad.core import Tracer
from funcgrad.errors import ArgumentError, ShapeError, StructureError, fail
from funcgrad.jacobians import jacrev
from funcgrad.tracebacks import boundary
from funcgrad.transforms import vjp


class LoopedCall(Call):
    """A call of code that takes plain arrays only: under vmap it runs example by example."""

    kind = "implicit"
    like: list[Any]  # shape and dtype of each output

    def on_batch(self, trace: Any, leaves: Any, mapped: list[bool], values: list[Any]) -> Any:
        if not trace.size:
            return [BatchTracer(np.zeros((0, *shape), dtype), trace) for shape, dtype in self.like]
        rows = [
            self(*[x[k] if m else x for x, m in zip(values, mapped, strict=True)])
            for k in range(trace.size)
        ]
        return [BatchTracer(np.stack(ys), trace) for ys in zip(*rows, strict=True)]


class _SolverCall(LoopedCall, VjpCall):
    """A call of a solver."""


class Solution(Transform):
    """See `root` and `fixed_point`."""

    verb = "root"

    def __init__(self, f: Callable[..., Any], solver: Callable[..., Any]) -> None:
        super().__init__(f)
        check_callable(f"the solver of {self!r}", solver, f"{self.verb}(f, solver)")
        self.solver = solver

    def _start(self, x: Any) -> Any:
        if getattr(_as_array(x), "dtype", np.dtype(object)).kind not in "biufc":
            raise fail(
                ArgumentError,
                f"the start of {self!r} has a leaf that is no number: {describe(x)}.",
                "pass an array (or a pytree of arrays) in the shape of the solution",
            )
        return _as_float(x)

    def residual(self, x: Any, *params: Any) -> Any:
        """Return what is zero at the solution."""
        return self.fun(x, *params)

    def __call__(self, x0: Any, *params: Any, **kwargs: Any) -> Any:
        if kwargs:
            params = self._positional(x0, params, kwargs)
        x0 = tree.map(self._start, x0)
        x0_leaves, structure = tree.flatten(x0)
        leaves, treedef = tree.flatten(params)
        n = len(x0_leaves)

        def residual(flat: Any, *rest: Any) -> Any:
            x = tree.unflatten(structure, _unravel(flat, x0_leaves))
            out = self.residual(x, *tree.unflatten(treedef, rest))
            what = f"what `{name_of(self.fun)}` returned"
            flat_out = tree.ravel([*tree.flatten_like(structure, out, what)])[0]
            if flat_out.shape != flat.shape:
                raise fail(
                    ShapeError,
                    f"{what} has {flat_out.size} entries for {flat.size} unknowns.",
                    "give as many equations as unknowns",
                )
            return flat_out

        def solve(*all_leaves: Any) -> list[Any]:
            fixed = tree.unflatten(treedef, all_leaves[n:])
            start = tree.unflatten(structure, all_leaves[:n])
            found = self._checked(
                self.solver(lambda x: self.fun(x, *fixed), start), structure, x0_leaves
            )
            at_solution = self.fun(tree.unflatten(structure, found), *fixed)
            if any([isinstance(y, Tracer) for y in tree.leaves(at_solution)]):
                raise fail(
                    ArgumentError,
                    f"`{name_of(self.fun)}` depends on a traced value that is not among its arguments.",
                    "pass it as a parameter: f(x, a) and solve(x0, a)",
                )
            return found

        def fwd(*all_leaves: Any) -> Any:
            solution = call(*all_leaves)
            return solution, (solution, list(all_leaves[n:]))

        def bwd(residuals: Any, cts: list[Any]) -> list[Any]:
            solution, rest = residuals
            flat = tree.ravel(solution)[0]
            matrix = jacrev(residual, holomorphic=flat.dtype.kind == "c")(flat, *rest)
            u = np.linalg.solve(matrix.T, tree.ravel(cts)[0])
            chosen = [
                isinstance(x, (np.ndarray, np.generic, Tracer)) and x.dtype.kind in "fc"
                for x in rest
            ]

            def of_params(*floats: Any) -> Any:
                given = iter(floats)
                return residual(
                    flat, *[next(given) if c else x for x, c in zip(rest, chosen, strict=True)]
                )

            _, pullback = vjp(of_params, *[x for x, c in zip(rest, chosen, strict=True) if c])
            grads = iter(pullback(-u))
            return [None] * n + [next(grads) if c else None for c in chosen]

        call: Any = _SolverCall(f"{self.verb} of {name_of(self.fun)}", solve, fwd, bwd)
        call.like = [(np.shape(x), np.result_type(x)) for x in x0_leaves]
        arrays = [_as_float(x) if type(x) is float else x for x in [*x0_leaves, *leaves]]
        return tree.unflatten(structure, call(*arrays))

    def _positional(self, x0: Any, params: Any, kwargs: Any) -> tuple[Any, ...]:
        signature = inspect.signature(self.fun)
        try:
            return signature.bind(x0, *params, **kwargs).args[1:]
        except TypeError as error:
            name = name_of(self.fun)
            raise fail(
                ArgumentError,
                f"`{name}`: {error}.",
                f"pass a start and then the parameters of {name}{signature}",
            ) from None

    def _checked(self, found: Any, structure: Any, like: list[Any]) -> list[Any]:
        """Return the leaves of what the solver found, or raise if they do not match the start."""
        try:
            leaves = tree.flatten_like(structure, found, f"what the solver of {self!r} returned")
        except StructureError as error:
            error.add_note(
                "  The solver takes (g, x0) and returns x with g(x) = 0, a pytree like x0."
            )
            raise
        for x, start in zip(leaves, like, strict=True):
            if np.shape(x) != np.shape(start):
                raise fail(
                    ShapeError,
                    f"the solver of {self!r} returned an array of shape {np.shape(x)} for a start of shape "
                    f"{np.shape(start)}.",
                    "return the solution alone, in the shape of the start",
                )
        return [np.asarray(x, np.result_type(s))[()] for x, s in zip(leaves, like, strict=True)]


class FixedPoint(Solution):
    """See `fixed_point`."""

    verb = "fixed_point"

    def residual(self, x: Any, *params: Any) -> Any:
        return tree.map(np.subtract, self.fun(x, *params), x)


def _as_float(x: Any) -> Any:
    """Return a start as floating-point numbers: a solution need not be whole."""
    x = _as_array(x)
    return x.astype(np.float64) if x.dtype.kind in "biu" else x


def _as_array(x: Any) -> Any:
    number = isinstance(x, (int, float, complex)) and not isinstance(x, np.generic)
    return np.asarray(x)[()] if number else x


def _unravel(flat: Any, like: list[Any]) -> list[Any]:
    """Cut a flat array into leaves of the shapes of `like`."""
    leaves, start = [], 0
    for x in like:
        size = int(np.prod(np.shape(x), dtype=int))
        leaves.append(flat[start : start + size].reshape(np.shape(x)))
        start += size
    return leaves


@boundary
def root(f: Callable[..., Any], solver: Callable[..., Any]) -> Callable[..., Any]:
    """Return a differentiable function that solves f(x, *params) = 0 for x.

    Parameters
    ----------
    f : callable
        ``f(x, *params)`` returns a pytree like x, zero at the solution. Written in plain NumPy.
    solver : callable
        ``solver(g, x0)`` returns x with ``g(x) = 0``, where ``g(x) = f(x, *params)``. Any code: it
        gets plain arrays and is not differentiated.

    Returns
    -------
    callable
        ``solve(x0, *params)``: the solution, a pytree like the start x0. Its derivative by the
        parameters comes from the implicit function theorem, in every mode and order; by x0 it is
        zero. Under vmap the solver runs example by example.

    Raises
    ------
    StructureError, ShapeError
        If what the solver or `f` returns does not match x0.
    numpy.linalg.LinAlgError
        If df/dx is singular at the solution, where the theorem says nothing.

    Notes
    -----
    With n unknowns the derivative costs a dense n x n system.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad, implicit, jacfwd
    >>> def newton(g, x):
    ...     for _ in range(20):
    ...         x = x - g(x) / jacfwd(g)(x)
    ...     return x
    >>> sqrt = implicit.root(lambda x, a: x * x - a, newton)
    >>> round(float(grad(sqrt, argnums=1)(1.0, 4.0)), 6)
    0.25
    """
    return Solution(f, solver)


@boundary
def fixed_point(f: Callable[..., Any], solver: Callable[..., Any]) -> Callable[..., Any]:
    """Return a differentiable function that solves x = f(x, *params) for x.

    Parameters
    ----------
    f : callable
        ``f(x, *params)`` returns a pytree like x.
    solver : callable
        ``solver(g, x0)`` returns x with ``x = g(x)``, where ``g(x) = f(x, *params)``.

    Returns
    -------
    callable
        As for `root`.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad, implicit
    >>> def iterate(g, x):
    ...     for _ in range(100):
    ...         x = g(x)
    ...     return x
    >>> solve = implicit.fixed_point(lambda x, a: np.cos(x) * a, iterate)
    >>> x = solve(0.5, 0.9)
    >>> bool(np.isclose(grad(solve, 1)(0.5, 0.9), np.cos(x) / (1 + 0.9 * np.sin(x))))
    True
    """
    return FixedPoint(f, solver)
