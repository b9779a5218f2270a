"""What is in an array, in a few numbers: its range, its NaNs, infinities and zeros."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from funcgrad.core import concrete


@dataclass(frozen=True, slots=True)
class Range:
    """A summary of the entries of an array (of their absolute values, for a complex one).

    Attributes
    ----------
    size : int
    low, high : float
        The least and the greatest finite entry; 0 if there is none.
    nans, infinities, zeros : int
        How many entries are NaN, infinite, exactly zero.
    negative : int
        How many of the infinities are negative.
    """

    size: int
    low: float
    high: float
    nans: int = 0
    infinities: int = 0
    zeros: int = 0
    negative: int = 0

    @property
    def finite(self) -> bool:
        """Whether no entry is NaN or infinite."""
        return not self.nans and not self.infinities

    @property
    def magnitude(self) -> float:
        """The greatest absolute value; infinity if an entry is not finite."""
        return max(abs(self.low), abs(self.high)) if self.finite else float("inf")

    @property
    def all_zero(self) -> bool:
        """Whether every entry is exactly zero."""
        return self.zeros == self.size

    def __str__(self) -> str:
        if not self.size:
            return "empty"
        found = self.size - self.nans - self.infinities
        parts = []
        if found:
            low, high = f"{self.low:.3g}", f"{self.high:.3g}"
            parts.append(low if low == high else f"{low} to {high}")
        sign = "" if not self.negative else "-" if self.negative == self.infinities else "+-"
        for count, name in ((self.infinities, f"{sign}inf"), (self.nans, "nan")):
            if count:
                parts.append(name if count == self.size else f"{name} ({count} of {self.size})")
        return ", ".join(parts)


def measure(x: Any) -> Range:
    """Return the summary of an array, or of several together."""
    if isinstance(x, (list, tuple)):
        return measure(x[0]) if len(x) == 1 else joined([measure(y) for y in x if y is not None])
    if type(x) is np.float64 and np.isfinite(x):
        return Range(
            1, float(x), float(x), zeros=int(x == 0)
        )  # long chains of scalars: 1 us, not 7
    plain = np.asarray(concrete(x))
    if plain.dtype.kind == "c":
        with np.errstate(all="ignore"):
            plain = np.abs(plain)
    if not plain.size:
        return Range(0, 0.0, 0.0)
    low, high = float(plain.min()), float(plain.max())
    zeros = plain.size - int(np.count_nonzero(plain))
    if np.isfinite(low) and np.isfinite(high):
        return Range(plain.size, low, high, 0, 0, zeros)
    nans = int(np.count_nonzero(np.isnan(plain)))
    finite = plain[np.isfinite(plain)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    infinities = plain.size - finite.size - nans
    negative = int(np.count_nonzero(np.isneginf(plain)))
    return Range(plain.size, low, high, nans, infinities, zeros, negative)


def joined(ranges: list[Range]) -> Range:
    """Return the summary of several arrays together."""
    ranges = [r for r in ranges if r.size]
    if not ranges:
        return Range(0, 0.0, 0.0)
    return Range(
        sum([r.size for r in ranges]),
        min([r.low for r in ranges]),
        max([r.high for r in ranges]),
        sum([r.nans for r in ranges]),
        sum([r.infinities for r in ranges]),
        sum([r.zeros for r in ranges]),
        sum([r.negative for r in ranges]),
    )
