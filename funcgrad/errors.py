"""The exception classes, the layout of their messages, and the finder of the user's line.

Owns what an error says and where it points. Must not know tracers, tapes or pytrees: it imports
nothing of this package. Read next: ``nodes.py``.
"""

import linecache
import os
import sys
from itertools import islice
from types import CodeType, FrameType, TracebackType
from typing import TypeVar

import numpy as np

__all__ = [
    "AliasedUpdateError",
    "ArgumentError",
    "CheckError",
    "FuncgradError",
    "KinkWarning",
    "LeakedTracerError",
    "MutatedConstantError",
    "NonDifferentiableError",
    "NonFiniteError",
    "NonScalarOutputError",
    "PerformanceWarning",
    "ShapeError",
    "SolverError",
    "StructureError",
    "TracerConversionError",
    "UnsupportedAttributeError",
    "UnsupportedError",
    "fail",
    "is_internal",
    "is_own",
    "line_of_traceback",
    "location_of",
    "message",
    "source_of",
    "user_frame",
    "user_line",
]


class FuncgradError(Exception):
    """The base of every error that this package raises."""


class NonScalarOutputError(FuncgradError, TypeError):
    """A gradient was asked of a function whose output is not one number."""


class NonDifferentiableError(FuncgradError, TypeError):
    """A derivative was asked with respect to a leaf that has none: int, bool, str, object."""


class UnsupportedError(FuncgradError, NotImplementedError, TypeError):
    """A NumPy function without a rule, or an option that its rule does not honour."""


class UnsupportedAttributeError(UnsupportedError, AttributeError):
    """An attribute of a traced array that it does not have, though an ndarray may."""


class TracerConversionError(FuncgradError, TypeError):
    """A conversion that would cut the gradient: ``float(t)``, ``np.asarray(t)``, ``a[i] = t``."""


class LeakedTracerError(FuncgradError, RuntimeError):
    """A tracer was used after the transform that made it had ended."""


class MutatedConstantError(FuncgradError, RuntimeError):
    """An array that the backward pass needs was changed after the tape kept it."""


class AliasedUpdateError(FuncgradError, RuntimeError):
    """An in-place update would leave another traced view of the same memory stale."""


class ArgumentError(FuncgradError, ValueError, TypeError):
    """An argument of a transform is wrong: ``argnums``, ``argnames``, ``in_axes`` ..."""


class StructureError(FuncgradError, ValueError, TypeError):
    """Two pytrees that must match do not."""


class ShapeError(FuncgradError, ValueError):
    """A cotangent, a tangent or a batch axis has the wrong shape or dtype."""


class NonFiniteError(FuncgradError, FloatingPointError):
    """An operation made a NaN (or an infinity) inside ``with debug_nans():``."""


class SolverError(FuncgradError, RuntimeError):
    """A solver did not reach its end, so that its result has no derivative."""


class CheckError(FuncgradError, AssertionError):
    """A derivative does not agree with its numerical estimate."""


class PerformanceWarning(UserWarning):
    """The result is right, but a faster way exists."""


class KinkWarning(UserWarning):
    """A derivative is checked at, or within a step of, a point where there is none."""


Error = TypeVar("Error", bound=FuncgradError)

_LONGEST_SOURCE = 100
_OWN, _NUMPY = (file.rpartition(os.sep)[0] + os.sep for file in (__file__, np.__file__))


def fail(cls: type[Error], what: str, fix: str | None = None, where: str | None = None) -> Error:
    """Build an error that names the user's line; the caller raises it.

    Parameters
    ----------
    cls : type
        A subclass of `FuncgradError`.
    what : str
        What happened, in one sentence.
    fix : str, optional
        What to write in its place.
    where : str, optional
        A location saved earlier (see `location_of`); by default the innermost line of the
        user's that is being executed.

    Returns
    -------
    FuncgradError
        Returned, so that ``raise fail(...)`` shows where the control flow ends.

    Examples
    --------
    >>> raise fail(ShapeError, "the cotangent has shape (3,), not (2,).", where="train.py:3 in f")
    Traceback (most recent call last):
    ...
    funcgrad.errors.ShapeError: the cotangent has shape (3,), not (2,).
      at train.py:3 in f
    """
    return cls(message(what, fix, where or user_line()))


def message(what: str, fix: str | None = None, where: str | None = None) -> str:
    """Lay out what happened, where in the user's code, and how to fix it.

    Examples
    --------
    >>> print(message("b is 0.", "use np.where.", "train.py:8 in loss: return a / b"))
    b is 0.
      at train.py:8 in loss: return a / b
      Fix: use np.where.
    """
    lines = [what]
    if where:
        lines.append(f"  at {where}")
    if fix:
        lines.append("  Fix: " + fix.replace("\n", "\n       "))
    return "\n".join(lines)


def user_frame(frame: FrameType | None = None) -> FrameType | None:
    """Walk outwards to the first frame that is not this package's, NumPy's or SciPy's.

    Parameters
    ----------
    frame : frame, optional
        Where to start; by default the caller's frame.

    Returns
    -------
    frame or None
        None when every frame is internal.

    Examples
    --------
    >>> def loss():
    ...     return user_frame().f_code.co_name
    >>> loss()
    'loss'
    """
    if frame is None:
        frame = sys._getframe(1)
    while frame is not None and is_internal(frame):
        frame = frame.f_back
    return frame


def user_line(frame: FrameType | None = None) -> str | None:
    """Describe the user's line as ``file.py:8 in loss: source``; None if there is none.

    Examples
    --------
    >>> def loss():
    ...     return user_line()
    >>> print(loss())
    <doctest funcgrad.errors.user_line[0]>:2 in loss: return user_line()
    """
    found = user_frame(frame or sys._getframe(1))
    return None if found is None else location_of(found.f_code, found.f_lasti)


def location_of(code: CodeType, lasti: int) -> str:
    """Describe one instruction as ``file.py:8 in loss: source``.

    Parameters
    ----------
    code, lasti : code, int
        ``frame.f_code`` and ``frame.f_lasti``: cheap to keep, and neither keeps the frame alive.

    Examples
    --------
    >>> location_of(compile("x = 1", "train.py", "exec"), 0)
    'train.py:1 in <module>'
    """
    first, last = _lines_of(code, lasti)
    where = f"{code.co_filename.rpartition(os.sep)[2]}:{first} in {code.co_name}"
    source = source_of(code.co_filename, first, last)
    return f"{where}: {source}" if source else where


def line_of_traceback(traceback: TracebackType | None) -> str | None:
    """Describe the innermost user's line of a traceback; None if there is none.

    Examples
    --------
    >>> def loss(x):
    ...     return x.missing
    >>> try:
    ...     loss(1)
    ... except AttributeError as error:
    ...     print(line_of_traceback(error.__traceback__))
    <doctest funcgrad.errors.line_of_traceback[0]>:2 in loss: return x.missing
    """
    found = None
    while traceback is not None:
        if not is_internal(traceback.tb_frame):
            found = traceback
        traceback = traceback.tb_next
    return None if found is None else location_of(found.tb_frame.f_code, found.tb_lasti)


def is_own(frame: FrameType) -> bool:
    """Tell whether a frame is this package's.

    Examples
    --------
    >>> is_own(sys._getframe())
    False
    """
    return _is_of(frame, "funcgrad", _OWN)


def is_internal(frame: FrameType) -> bool:
    """Tell whether a frame is this package's, NumPy's, SciPy's, or that of a property's cache."""
    known = is_own(frame) or _is_of(frame, "numpy", _NUMPY)
    return known or _package(frame) in ("scipy", "functools")


def _is_of(frame: FrameType, package: str, folder: str) -> bool:
    file = frame.f_code.co_filename
    # Methods that dataclasses and namedtuples generate carry no file, only their module's globals.
    return file.startswith(folder) or (file == "<string>" and _package(frame) == package)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _lines_of(code: CodeType, lasti: int) -> tuple[int, int]:
    """Give the first and the last line of the expression that an instruction belongs to."""
    # Instructions are two bytes each; a frame that has not started has lasti = -1.
    positions = islice(code.co_positions(), max(lasti, 0) // 2, None)
    first, last, *_ = next(positions, (None, None))
    first = first or code.co_firstlineno
    return first, max(last or first, first)


def source_of(file: str, first: int, last: int) -> str:
    """Join the lines of one expression, cut to a length that a message can carry."""
    lines = [linecache.getline(file, line).strip() for line in range(first, last + 1)]
    source = " ".join(lines).strip()
    if len(source) > _LONGEST_SOURCE:
        return source[: _LONGEST_SOURCE - 4] + " ..."
    return source
