"""debug_nans: raise where the first NaN is made, in the forward computation or in a rule.

Owns what is looked for, and the error. What looks are the traces of the next file, ``watched.py``.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.core import concrete
from funcgrad.errors import NonFiniteError, fail, location_of
from funcgrad.origins import place_of


@dataclass(frozen=True)
class Watch:
    """What is looked for, and whether a rule is running whose inside is not looked into."""

    infinities: bool
    in_rule: bool = False


_watch: ContextVar[Watch | None] = ContextVar("funcgrad_debug_nans", default=None)


@contextmanager
def debug_nans(infinities: bool = False) -> Iterator[None]:
    """Raise at the first NaN that a transform makes, while the block runs.

    Looks at each operation on traced values in grad, vjp, jvp, vmap, Jacobians and whatever they are
    nested in: at its result, at its tangent, and at the cotangents that its pullback hands on. The
    error names the operation and the line of the program, for a NaN of the backward pass the line of
    the forward pass that it belongs to.

    Parameters
    ----------
    infinities : bool, optional
        If true, raise at the first infinity too.

    Returns
    -------
    context manager
        For a ``with`` block.

    Raises
    ------
    NonFiniteError
        Inside the block, if an operation has a NaN in its result and none in its arguments. A
        `FloatingPointError`.

    Notes
    -----
    A NaN in the arguments of a function is not made by it, and does not raise. Nor does one that is
    gone before a rule hands on its result, such as 0 * inf in the derivative of ``np.sqrt(x**2)`` at
    0. The dead branch of ``np.where(x > 0, np.log(x), 0)`` is computed, so a NaN in it raises.

    Blocks nest, the innermost holds; each thread or asynchronous task has its own. It is the call of
    the transform (or of the pullback) that must stand in the block. Functions with custom rules are
    looked at as one operation.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import debug_nans, grad
    >>> def loss(x):
    ...     y = np.log(x)
    ...     return np.sum(y)
    >>> with debug_nans():
    ...     grad(loss)(np.array([1.0, -1.0]))
    Traceback (most recent call last):
    ...
    funcgrad.errors.NonFiniteError: `log` made a NaN, in entry [1] of its result of shape (2,).
      at <doctest funcgrad.nans.debug_nans[2]>:2 in loss: y = np.log(x)
      Fix: keep the argument where the function is defined: ...
    """
    token = _watch.set(Watch(infinities))
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def inside_rule() -> Iterator[None]:
    """Look at nothing while a rule runs: zero stays zero, so what is undefined inside may be zero outside."""
    watch = _watch.get()
    token = _watch.set(None if watch is None else replace(watch, in_rule=True))
    try:
        yield
    finally:
        _watch.reset(token)


def is_watching() -> bool:
    """Tell whether a block is running."""
    return _watch.get() is not None


def without_warnings() -> np.errstate:
    """Silence NumPy where an error comes in the place of its warning."""
    watch = _watch.get()
    if watch is None or not watch.infinities:
        return np.errstate(invalid="ignore")
    return np.errstate(invalid="ignore", divide="ignore", over="ignore")


def check_made(what: str, before: Any, after: Any, fix: str = "") -> None:
    """Raise if there is a NaN in `after` and none in `before`.

    Parameters
    ----------
    what : str
        What was computed, for the message.
    before, after : pytree
        Its arguments and its results. What is no array is passed over.
    """
    watch = _watch.get()
    if watch is None or watch.in_rule:
        return
    for name, is_bad in (("a NaN", np.isnan), ("an infinity", np.isinf)):
        if is_bad is np.isinf and not watch.infinities:
            return
        found = _first(after, is_bad)
        unmade = np.isnan if is_bad is np.isnan else lambda x: ~np.isfinite(x)
        if found is not None and _first(before, unmade) is None:
            where = place_of(sys._getframe(1))
            raise fail(
                NonFiniteError,
                f"{what} made {name}, in {found}.",
                fix or _FIX,
                where and location_of(*where),
            )


_FIX = (
    "keep the argument where the function is defined: np.log(np.where(x > 0, x, 1.0)), "
    "np.maximum(x, eps), a smaller step"
)
FIX_RULE = (
    "the derivative is not finite there: move away from the singular point (np.maximum(x, eps)), "
    "or replace the argument first (np.where(x > 0, x, 1.0))"
)


def _first(values: Any, is_bad: Callable[[Any], Any]) -> str | None:
    """Describe the first entry that is bad, None if none is."""
    for x in tree.leaves(values):
        x = concrete(x)
        if not isinstance(x, (np.ndarray, float, complex, np.inexact)):
            continue
        x = np.asarray(x)
        if x.dtype.kind not in "fc":
            continue
        bad = is_bad(x)
        if bad.any():
            index = np.unravel_index(int(bad.argmax()), bad.shape)
            entry = ", ".join([str(int(i)) for i in index])
            return f"entry [{entry}] of its result of shape {x.shape}" if index else "its result"
    return None
