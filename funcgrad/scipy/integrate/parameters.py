"""What functions given by the user, to be integrated, share: their parameters and what they return."""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.core import Tracer, as_array
from funcgrad.scipy.mirrors import refuse_closure

Leaves = list[Any]


class Parameters:
    """The extra arguments of a function: a list of leaves, of which the floating-point ones are differentiated."""

    def __init__(self, args: Any) -> None:
        leaves, self.treedef = tree.flatten(args)
        self.leaves = [np.asarray(x)[()] if type(x) in (float, complex) else x for x in leaves]

    def build(self, leaves: Leaves) -> Any:
        """Return the arguments with these leaves."""
        return tree.unflatten(self.treedef, leaves)


def is_differentiable(x: Any) -> bool:
    """Tell whether a leaf is a floating-point array."""
    return isinstance(x, (np.ndarray, np.generic, Tracer)) and x.dtype.kind in "fc"


def of_floats(fun: Callable[..., Any], leaves: Leaves) -> tuple[Callable[..., Any], Leaves]:
    """Return `fun(leaves)` as a function of the floating-point leaves alone, and these."""
    chosen = [is_differentiable(x) for x in leaves]

    def of_some(*floats: Any) -> Any:
        rest = iter(floats)
        return fun([next(rest) if c else x for x, c in zip(leaves, chosen, strict=True)])

    return of_some, [x for x, c in zip(leaves, chosen, strict=True) if c]


def spread(parts: Leaves, leaves: Leaves) -> Leaves:
    """Return cotangents per leaf: the parts for the floating-point ones, None for others."""
    rest = iter(parts)
    return [next(rest) if is_differentiable(x) else None for x in leaves]


def ravel(parts: Leaves) -> Any:
    """Return arrays in a row."""
    return np.concatenate([np.zeros(0), *[x.reshape(-1) for x in parts]])


def unravel(flat: Any, like: Leaves) -> Leaves:
    """Cut a row into arrays of the shapes of `like`, real where those are."""
    parts, start = [], 0
    for x in like:
        part = flat[start : start + x.size].reshape(x.shape)
        parts.append(part if x.dtype.kind == "c" else part.real)
        start += x.size
    return parts


def as_floats(out: Any) -> Any:
    """Return what a user's function returned as a floating-point array or tracer."""
    out = as_array(out)
    return out.astype(np.float64) if out.dtype.kind in "biu" else out


def plain(fun: Any, out: Any) -> Any:
    """Return what a function of plain arguments returned, or raise if it read a traced value."""
    out = as_floats(out)
    return refuse_closure(fun) if isinstance(out, Tracer) else out
