"""Piecewise polynomials: SciPy's for plain coefficients, our own for traced ones."""

import importlib
import math
from typing import Any

import numpy as np

from funcgrad.core import as_array, unsupported
from funcgrad.scipy.mirrors import any_traced, entries

si: Any = importlib.import_module("scipy.interpolate")


class Piecewise:
    """Sum_j c[j, i] (x - breaks[i])^(k - 1 - j) between breaks[i] and breaks[i + 1], as `scipy.interpolate.PPoly`.

    Parameters
    ----------
    c : array, shape (k, m, ...)
    breaks : array, shape (m + 1,)
        Increasing.
    extrapolate : bool or "periodic"
    axis : int
        Where the interpolated axis stands in what calls return.
    """

    def __init__(self, c: Any, breaks: Any, extrapolate: Any = True, axis: int = 0) -> None:
        self.c, self.x = as_array(c), as_array(breaks)
        self.extrapolate, self.axis = extrapolate, axis

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """Return the value, or the derivative of order `nu`, at `x`."""
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        x, breaks, (k, m) = as_array(x), self.x, self.c.shape[:2]
        flat = x.reshape(-1)
        if isinstance(extrapolate, str):  # periodic
            flat = breaks[0] + (flat - breaks[0]) % (breaks[-1] - breaks[0])
        piece = np.clip(np.searchsorted(breaks, flat, "right") - 1, 0, m - 1)
        trailing = (1,) * (self.c.ndim - 2)
        step = (flat - entries(breaks, piece)).reshape((-1, *trailing))
        c = entries(self.c, piece, axis=1)
        out = 0 * c[0]
        for j in range(k - nu):
            out = out * step + math.perm(k - 1 - j, nu) * c[j]
        if extrapolate is False:
            outside = ((flat < breaks[0]) | (flat > breaks[-1])).reshape((-1, *trailing))
            out = np.where(outside, np.nan, out)
        out = out.reshape(x.shape + self.c.shape[2:])
        places = tuple(range(x.ndim))
        return np.moveaxis(out, places, [i + self.axis for i in places]) if self.axis else out

    def derivative(self, nu: int = 1) -> "Piecewise":
        """Return the derivative of order `nu`."""
        if nu < 0:
            return self.antiderivative(-nu)
        k = self.c.shape[0]
        parts = [math.perm(k - 1 - j, nu) * self.c[j] for j in range(k - nu)]
        c = np.stack(parts) if parts else 0 * self.c[:1]
        return Piecewise(c, self.x, self.extrapolate, self.axis)

    def antiderivative(self, nu: int = 1) -> "Piecewise":
        """Return the integral from the first break, `nu` times over."""
        if nu <= 0:
            return self.derivative(-nu) if nu else self
        k = self.c.shape[0]
        powers = np.arange(k, 0, -1).reshape((-1,) + (1,) * (self.c.ndim - 1))
        c = self.c / powers
        width = np.diff(self.x).reshape((-1,) + (1,) * (self.c.ndim - 2))
        total = 0 * c[0]
        for part in c:
            total = (total + part) * width
        starts = np.concatenate([0 * total[:1], np.cumsum(total, axis=0)[:-1]])
        extrapolate = False if isinstance(self.extrapolate, str) else self.extrapolate
        once = Piecewise(np.concatenate([c, starts[None]]), self.x, extrapolate, self.axis)
        return once.antiderivative(nu - 1)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        """Return the integral from `a` to `b`."""
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        if isinstance(extrapolate, str):
            unsupported("the integral of a periodic interpolant", "split it at the period")
        whole = self.antiderivative()
        return whole(b, extrapolate=extrapolate) - whole(a, extrapolate=extrapolate)


class TakesTracers:
    """Lets an interpolant of SciPy's, of plain data, be evaluated at traced places."""

    def __call__(self: Any, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        if any_traced(x):
            return _twin(self)(x, nu, extrapolate)
        return super().__call__(x, nu, extrapolate)  # type: ignore[misc]

    def integrate(self: Any, a: Any, b: Any, extrapolate: Any = None) -> Any:
        if any_traced(a, b):
            return _twin(self).integrate(a, b, extrapolate)
        return super().integrate(a, b, extrapolate)  # type: ignore[misc]


def _twin(interpolant: Any) -> Piecewise:
    return Piecewise(interpolant.c, interpolant.x, interpolant.extrapolate, interpolant.axis)


class PPoly(TakesTracers, si.PPoly):  # type: ignore[misc]
    """SciPy's piecewise polynomial; one with traced coefficients or breaks is a `Piecewise`."""

    def __new__(cls, c: Any, x: Any, extrapolate: Any = None, axis: int = 0) -> Any:
        if not any_traced(c, x):
            return super().__new__(cls)
        extrapolate = True if extrapolate is None else extrapolate
        return Piecewise(np.moveaxis(as_array(c), (axis, axis + 1), (0, 1)), x, extrapolate, axis)
