"""Unknowns: a pytree to the user's functions, one vector of float64 to SciPy."""

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.arguments import describe, name_of
from funcgrad.core import Tracer, as_array
from funcgrad.errors import ArgumentError, NonDifferentiableError, ShapeError, fail
from funcgrad.scipy.mirrors import refuse_closure

so: Any = importlib.import_module("scipy.optimize")

Function = Callable[..., Any]


def as_tuple(args: Any) -> tuple[Any, ...]:
    """Return extra arguments as a tuple; one that is not in a tuple stands for itself, as in SciPy."""
    return args if isinstance(args, tuple) else (args,)


def _is_list_of_numbers(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and all(
        [isinstance(y, (int, float, np.number)) or _is_list_of_numbers(y) for y in x]
    )


def as_start(x0: Any) -> Any:
    """Return a start: an array of numbers if SciPy would take it for one, else a pytree of arrays."""
    if isinstance(x0, (int, float, np.number)) or (_is_list_of_numbers(x0) and len(x0)):
        x0 = np.atleast_1d(np.asarray(x0))
    return tree.map(_as_float, x0)


def _as_float(x: Any) -> Any:
    x = x if isinstance(x, Tracer) else np.asarray(x)
    if x.dtype.kind in "biu":
        return x.astype(np.float64)
    if x.dtype.kind != "f":
        raise fail(
            NonDifferentiableError,
            f"the start of a solver has a leaf that is not real: {describe(x)}.",
            "solve for real and imaginary parts, or leave what is no number to args=",
        )
    return x


class Unknowns:
    """The way between the pytree `start` and vectors."""

    def __init__(self, start: Any) -> None:
        vector, self.unravel = tree.ravel(start)
        self.vector = vector.astype(np.float64)
        self.treedef = tree.structure(start)
        self.like = tree.leaves(start)
        self.is_array = isinstance(start, np.ndarray)

    def of_vector(self, fun: Function, *args: Any) -> Function:
        """Return ``fun(x, *args)`` as a function of a vector."""

        @functools.wraps(fun)
        def call(vector: Any) -> Any:
            return fun(self.unravel(vector), *args)

        return call

    def callback(self, callback: Any, finished: Function) -> Any:
        """Return a callback that unpacks the vector; SciPy looks at the name of its argument."""
        if callback is None:
            return None
        if set(inspect.signature(callback).parameters) == {"intermediate_result"}:

            def of_result(intermediate_result: Any) -> Any:
                return callback(intermediate_result=finished(intermediate_result.copy()))

            return of_result
        return lambda xk, *rest: callback(self.unravel(xk), *rest)

    def bounds(self, bounds: Any) -> Any:
        """Return bounds as SciPy takes them: its own forms for an array, a pair of pytrees otherwise.

        In the pair a number or array stands for all leaves below its place, None for no bound.
        """
        if bounds is None or (self.is_array and self.like[0].ndim == 1):
            return bounds
        if isinstance(bounds, so.Bounds):
            low, high = bounds.lb, bounds.ub
        elif isinstance(bounds, (tuple, list)) and len(bounds) == 2:
            low, high = bounds
        else:
            raise fail(
                ArgumentError,
                "bounds for a pytree must be a pair of pytrees, or of numbers.",
                'write bounds=(lower, upper), for instance ({"w": None, "scale": 0}, None)',
            )
        return so.Bounds(self._spread(low, -np.inf), self._spread(high, np.inf))

    def _spread(self, prefix: Any, missing: float) -> Any:
        if (
            isinstance(prefix, (list, np.ndarray)) and np.size(prefix) == 1
        ):  # as so.Bounds keeps numbers
            prefix = np.reshape(prefix, ())
        parts = tree.broadcast_prefix(prefix, self.treedef, "one of the bounds")
        full = [
            np.broadcast_to(missing if part is None else part, x.shape)
            for part, x in zip(parts, self.like, strict=True)
        ]
        return tree.ravel(full)[0]


def ravel(out: Any) -> Any:
    """Return a function's output, an array, numbers or a pytree, as one vector."""
    if isinstance(out, (list, tuple)) and not any([np.ndim(x) for x in tree.leaves(out)]):
        out = as_array(out)
    return tree.ravel(out)[0]


def plain(fun: Function, out: Any) -> Any:
    """Return a plain output, or raise if the function read a traced value beside its arguments."""
    traced = any([isinstance(x, Tracer) for x in tree.leaves(out)])
    return refuse_closure(fun) if traced else out


def solution_like(fun: Function, x: Any, *args: Any) -> Any:
    """Return as many numbers as there are unknowns, arranged as these."""
    vector, unravel = tree.ravel(x)
    out = ravel(fun(x, *args))
    if out.shape != vector.shape:
        raise fail(
            ShapeError,
            f"`{name_of(fun)}` returned {out.shape[0]} numbers for {vector.shape[0]} unknowns.",
            "give as many equations as unknowns",
        )
    return unravel(out)
