"""Constants that a rule keeps: right, or an error, when the program changes them afterwards.

    buf = np.arange(3.0); y = x * buf; buf[:] = 0; return y.sum()

The pullback of the product needs `buf` as it was. Arrays up to `COPY_BYTES` are copied when
recorded; of larger ones a checksum over all bytes is taken then, and compared when the pullback
runs.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import Tracer
from funcgrad.errors import MutatedConstantError, location_of, message, user_frame
from funcgrad.handles import snapshot

COPY_BYTES = 131072  # a copy of 128 kB takes 2 us, two checksums of it 10
# A constant may be kept in each step of a loop, an argument is copied once: 1 MB takes 17 us, checksums 36.
ARGUMENT_COPY_BYTES = 2**20
# Words of 8 bytes. Primes, so that the rows of few arrays are a multiple of one; those have the next.
_WIDTHS = (1021, 1019, 1013)

Check = tuple[np.ndarray[Any, Any], Any, Any]  # the array, its checksum, where it was used


def protect(x: Any, checks: list[Check], copy_bytes: int = COPY_BYTES) -> Any:
    """Return what to keep of `x`: a copy of a small writeable array, else `x` itself, checked."""
    if type(x) is np.ndarray and x.nbytes <= copy_bytes and x.flags.writeable:
        return x.copy("K")  # the usual case
    if type(x) is slice or type(x) is int:  # of an index
        return x
    if isinstance(x, Tracer):
        return snapshot(x)
    if isinstance(x, tuple):
        return tuple([protect(y, checks) for y in x])
    if isinstance(x, list):
        x = np.asarray(x)
    if not isinstance(x, np.ndarray) or is_frozen(x):
        return x
    if x.nbytes <= copy_bytes or x.dtype.hasobject:
        return x.copy("K")
    checks.append((x, checksum(x), _position()))
    return x


def is_frozen(x: np.ndarray[Any, Any]) -> bool:
    """Tell whether nobody can write to an array: neither to it nor to what it is a view of."""
    base: Any = x
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return base is None or isinstance(base, bytes)


def verify(checks: list[Check]) -> None:
    """Raise if an array is not as it was."""
    for array, before, where in checks:
        if checksum(array) != before:
            raise MutatedConstantError(_changed(array, where))


def checksum(x: np.ndarray[Any, Any]) -> tuple[bytes, bytes]:
    """Return sums, modulo 2 ** 64, of every 1021st 8-byte word of `x`, and the bytes left over.

    A changed entry changes one; so do entries that change places, rows among them, unless they move by a
    multiple of 1021 words. It takes as long as one reading of the memory.
    """
    x = x.T if x.flags.f_contiguous else x
    width = _width(x)
    data = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
    size = data.size - data.size % (8 * width)
    table = data[:size].view(np.uint64).reshape(-1, width)
    return np.add.reduce(table, axis=0).tobytes(), data[size:].tobytes()


def _width(x: np.ndarray[Any, Any]) -> int:
    """Return a number of words that no row of `x`, of any number of axes, is a multiple of."""
    row, rows = x.itemsize, []
    for n in x.shape[:0:-1]:
        row *= n
        rows.append(row)
    return next((w for w in _WIDTHS if all([row % (8 * w) for row in rows])), _WIDTHS[0])


def checked(pull: Callable[..., Any], checks: list[Check]) -> Callable[..., Any]:
    """Return `pull` with a check before it that the arrays it keeps are as they were."""

    def checking(*args: Any) -> Any:
        verify(checks)
        return pull(*args)

    checking.__dict__.update(getattr(pull, "__dict__", {}))
    if getattr(pull, "summed", None) is not None:  # which the walk calls in its place
        checking.summed = checked(pull.summed, checks)  # type: ignore[attr-defined]
    checking.__wrapped__ = pull  # type: ignore[attr-defined]  # what inspect.unwrap looks for
    return checking


def _changed(array: np.ndarray[Any, Any], where: Any) -> str:
    return message(
        f"an array of shape {array.shape}, {array.dtype}, that the derivative needs was changed in "
        "place after it was used in an operation.",
        fix="write into a new array, or use array.copy() in the operation",
        where=where and location_of(*where),
    )


def _position() -> Any:
    frame = user_frame(sys._getframe(1))
    return frame and (frame.f_code, frame.f_lasti)
