"""Functions with a quicker gradient: NumPy code, and beside it a forward and a backward pass by hand.

A layer written in NumPy costs a node per operation. Where that is what a training step waits for,
the function gets the two passes of reverse mode by hand as well, for plain arrays: one node, and
work in place. Whatever is asked beyond (forward mode, vmap, a second derivative) takes the NumPy
code, so that the passes by hand need to know nothing of transforms. `in_a_row` joins several of them to
one. Must not know layers.
"""

from collections.abc import Callable, Sequence
from typing import Any

from funcgrad.errors import StructureError, fail

__all__ = ["Fused", "Step", "in_a_row"]

Needs = Sequence[bool]


class Fused:
    """A NumPy function of arrays with a forward and a backward pass of its own.

    Calling it runs `plain`. But if an argument is traced by an array type with a method
    ``__fused__(function, args, settings)``, that method is asked: a tape runs `forward` now and
    `backward` later, if all arrays under its tracers are plain.

    Parameters
    ----------
    plain : callable
        ``plain(*arrays, **settings) -> array``: differentiable NumPy code. It defines the function.
    forward : callable
        ``forward(needs, *arrays, **settings) -> (array, residuals)`` on plain arrays; ``needs[i]``
        tells whether the cotangent of argument i will be asked for. The result is a new array.
    backward : callable
        ``backward(ct, residuals) -> cotangents``, one per argument and None where none was asked
        for. It is called again when a pullback is reused: it changes neither of its arguments.

    Raises
    ------
    StructureError
        In the backward pass, if `backward` does not return as many cotangents as there are arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad
    >>> def times(x, y):
    ...     return x * y
    >>> product = Fused(
    ...     times, lambda needs, x, y: (x * y, (x, y)), lambda ct, xy: (ct * xy[1], ct * xy[0])
    ... )
    >>> grad(product)(3.0, 4.0)
    np.float64(4.0)
    """

    __slots__ = ("backward", "forward", "is_row", "plain")

    def __init__(
        self,
        plain: Callable[..., Any],
        forward: Callable[..., tuple[Any, Any]],
        backward: Callable[[Any, Any], Any],
    ) -> None:
        self.plain = plain
        self.forward = forward
        self.backward = backward
        self.is_row = False  # whether `plain` calls functions like this in turn

    def __call__(self, *args: Any, **settings: Any) -> Any:
        for x in args:
            record = getattr(x, "__fused__", None)
            if record is not None:
                return record(self, args, settings)
        return self.plain(*args, **settings)

    def pull(self, ct: Any, residuals: Any, count: int) -> Any:
        """Run `backward`, which must return a cotangent, or None, for each of `count` arguments."""
        cotangents = self.backward(ct, residuals)
        if len(cotangents) != count:
            what = f"the backward pass of {self!r} returned {len(cotangents)} cotangents for {count} arguments."
            raise fail(
                StructureError, what, "return one for each argument, None where none is needed."
            )
        return cotangents

    def __repr__(self) -> str:
        return f"<fused {self.plain.__name__}>"


# --- one after the other -------------------------------------------------------------------------

# A function of an array and more: `function(x, *arrays, **settings)`.
Step = tuple[Fused, tuple[Any, ...], dict[str, Any]]


def in_a_row(x: Any, steps: Sequence[Step]) -> Any:
    """Send `x` through functions, the result of one into the next: one node in all.

    A node costs as long as a pass over a thousand numbers, which is what small layers work on.

    Parameters
    ----------
    x : array
    steps : sequence of (Fused, arrays, settings)

    Returns
    -------
    array, or NotImplemented
        The latter for what is no array, and where a tracer wants to see the functions one by one.
    """
    if not hasattr(x, "shape"):
        return NotImplemented
    arrays, row, start = [x], [], 0
    for function, own, settings in steps:
        arrays += own
        row.append((function, start, len(arrays), settings))
        start = len(arrays) - 1
    return _row(*arrays, row=row)


# Each function has its array in the place before its own arrays: that of the last one before, used by then.


def _row_plain(*arrays: Any, row: Any) -> Any:
    values = list(arrays)
    for function, start, stop, settings in row:
        values[stop - 1] = function.plain(*values[start:stop], **settings)
    return values[-1]


def _row_forward(needs: Needs, *arrays: Any, row: Any) -> Any:
    values, needed, kept = list(arrays), list(needs), []
    for function, start, stop, settings in row:
        own = needed[start:stop]
        values[stop - 1], residuals = function.forward(own, *values[start:stop], **settings)
        needed[stop - 1] = True in own
        kept.append((function, start, stop, residuals))
    return values[-1], kept


def _row_backward(ct: Any, kept: Any) -> Any:
    cotangents = [None] * kept[-1][2]
    for function, start, stop, residuals in reversed(kept):
        cotangents[start:stop] = function.pull(ct, residuals, stop - start)
        ct = cotangents[start]
        if ct is None:
            break
    return cotangents


_row = Fused(_row_plain, _row_forward, _row_backward)
_row.is_row = True
