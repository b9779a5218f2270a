"""Tracebacks without this package's own frames: an exception that leaves a transform shows the user's code.

Owns the boundary that each transform has, and the two ways to see everything: the environment variable
``FUNCGRAD_TRACEBACKS=full`` and `full_tracebacks`. Must not know what a transform does. Next: ``nodes.py``.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType, TracebackType
from typing import ParamSpec, TypeVar

from funcgrad.errors import is_own

P = ParamSpec("P")
T = TypeVar("T")

_full: ContextVar[bool] = ContextVar("funcgrad_full_tracebacks", default=False)


@contextmanager
def full_tracebacks() -> Iterator[None]:
    """Show funcgrad's own frames in the tracebacks of exceptions, while the block runs.

    By default an exception that passes through a transform comes out without them, so that the
    traceback ends in the user's code, where a debugger then starts. To see them in a whole program
    set the environment variable ``FUNCGRAD_TRACEBACKS=full``.

    Notes
    -----
    Holds for the thread (or asynchronous task) that runs the block. Frames of NumPy and of other
    packages are never hidden.

    Examples
    --------
    >>> import traceback
    >>> from funcgrad import full_tracebacks, grad
    >>> def frames():
    ...     try:
    ...         grad(lambda x: x.missing)(1.0)
    ...     except AttributeError as error:
    ...         return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    >>> frames()
    ['frames', '<lambda>']
    >>> with full_tracebacks():
    ...     len(frames()) > 2
    True
    """
    token = _full.set(True)
    try:
        yield
    finally:
        _full.reset(token)


def boundary(fun: Callable[P, T]) -> Callable[P, T]:
    """Let the exceptions that leave `fun` leave without this package's frames."""
    hide = hide_own_frames

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return fun(*args, **kwargs)
        except BaseException as error:
            hide(error)
            raise  # without an argument: that adds no frame to the traceback just set

    # With the globals of `fun`, by which doctest finds the functions of a module.
    inner: FunctionType = call  # type: ignore[assignment]
    made = FunctionType(inner.__code__, fun.__globals__, closure=inner.__closure__)
    return functools.wraps(fun)(made)


def hide_own_frames(error: BaseException) -> None:
    """Take this package's frames out of the traceback of an exception, and of those it came from."""
    if _full.get() or os.environ.get("FUNCGRAD_TRACEBACKS") == "full":
        return
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:  # chains may be circular
            continue
        seen.add(id(one))
        one.__traceback__ = without_own_frames(one.__traceback__)
        pending += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions


def without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without this package's frames: a new one, for others may hold the old.

    Examples
    --------
    >>> without_own_frames(None)
    """
    links = []
    link = traceback
    while link is not None:
        links.append(link)
        link = link.tb_next
    kept = [link for link in links if not is_own(link.tb_frame)]
    if len(kept) == len(links):
        return traceback
    rebuilt = None
    for link in reversed(kept):
        rebuilt = TracebackType(rebuilt, link.tb_frame, link.tb_lasti, link.tb_lineno)
    return rebuilt
