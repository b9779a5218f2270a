"""Functions with a quicker gradient: NumPy code, and beside it a forward and a backward pass by hand.

A layer written in NumPy costs a node per operation. Where that is what a training step waits for,
the function gets the two passes of reverse mode by hand as well, for plain arrays: one node, and
work in place. Whatever is asked beyond (forward mode, vmap, a second derivative) takes the NumPy
code, so that the passes by hand need to know nothing of transforms. Must not know layers.
"""

from collections.abc import Callable
from typing import Any

__all__ = ["Fused"]

Needs = tuple[bool, ...]


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

    __slots__ = ("backward", "forward", "plain")

    def __init__(
        self,
        plain: Callable[..., Any],
        forward: Callable[..., tuple[Any, Any]],
        backward: Callable[[Any, Any], Any],
    ) -> None:
        self.plain = plain
        self.forward = forward
        self.backward = backward

    def __call__(self, *args: Any, **settings: Any) -> Any:
        for x in args:
            record = getattr(x, "__fused__", None)
            if record is not None:
                return record(self, args, settings)
        return self.plain(*args, **settings)

    def __repr__(self) -> str:
        return f"<fused {self.plain.__name__}>"
