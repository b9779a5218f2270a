"""Cubic interpolants, by their slopes at the data: C. de Boor, A Practical Guide to Splines, 1978, chapter IV.

The monotone slopes are those of F. Fritsch and J. Butland, SIAM J. Sci. Comput. 5, 1984.
"""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import as_array, concrete
from funcgrad.primitives.axes import normalize_axis
from funcgrad.scipy.interpolate.piecewise import Piecewise, TakesTracers
from funcgrad.scipy.linalg import solve_banded
from funcgrad.scipy.mirrors import any_traced

si: Any = importlib.import_module("scipy.interpolate")


def _data(x: Any, y: Any, axis: int) -> tuple[Any, Any, Any]:
    """Return the places, the values with the interpolated axis in front, and that axis counted from the front."""
    x, y = as_array(x), as_array(y)
    axis = normalize_axis(axis, y.ndim)
    y = np.moveaxis(y, axis, 0)
    if x.ndim != 1 or x.shape[0] < 2 or x.shape[0] != y.shape[0]:
        raise ValueError(f"`x` must have at least 2 entries, as many as `y` has along axis {axis}.")
    if np.any(np.diff(concrete(x)) <= 0):
        raise ValueError("`x` must be strictly increasing sequence.")
    return x, y, axis


def _hermite(x: Any, y: Any, slopes: Any, extrapolate: Any, axis: int) -> Piecewise:
    """Return the cubic pieces through values `y` with these slopes."""
    h = np.diff(x).reshape((-1,) + (1,) * (y.ndim - 1))
    chord = np.diff(y, axis=0) / h
    bend = (slopes[:-1] + slopes[1:] - 2 * chord) / h
    c = np.stack([bend / h, (chord - slopes[:-1]) / h - bend, slopes[:-1], y[:-1]])
    return Piecewise(c, x, True if extrapolate is None else extrapolate, axis)


# --- cubic splines -------------------------------------------------------------------------------


def _conditions(bc_type: Any, y: Any) -> list[Any]:
    """Return the condition at either end: "not-a-knot", "periodic" or (order, value)."""
    both = [bc_type, bc_type] if isinstance(bc_type, str) else list(bc_type)
    names = {"clamped": (1, np.zeros(y.shape[1:])), "natural": (2, np.zeros(y.shape[1:]))}
    found = []
    for bc in both:
        if isinstance(bc, str) and bc not in ("not-a-knot", "periodic", *names):
            raise ValueError(f"bc_type={bc} is not allowed.")
        bc = names.get(bc, bc) if isinstance(bc, str) else bc
        if not isinstance(bc, str) and bc[0] not in (1, 2):
            raise ValueError("The specified derivative order must be 1 or 2.")
        found.append(bc)
    return found


def _end(bc: Any, h: Any, chord: Any, sign: int) -> tuple[Any, Any, Any]:
    """Return the diagonal, the entry beside it and the right side of the row of an end.

    `h` and `chord` are the widths and the slopes of the chords, from that end.
    """
    if isinstance(bc, str):  # the third derivative is that of the next piece
        two = h[0] + h[1]
        right = ((h[0] + 2 * two) * h[1] * chord[0] + h[0] ** 2 * chord[1]) / two
        return h[1], two, right
    order, value = bc
    if order == 1:
        return 1 + 0 * h[0], 0 * h[0], as_array(value) + 0 * chord[0]
    return 2 * h[0], h[0], 3 * h[0] * chord[0] - sign * as_array(value) * h[0] ** 2 / 2


def _spline_slopes(x: Any, y: Any, bc: list[Any]) -> Any:
    """Return the slopes for which second derivatives are continuous; `y` has shape (n, q)."""
    h = np.diff(x)
    chord = np.diff(y, axis=0) / h[:, None]
    n = x.shape[0]
    if n == 2:
        bc = [(1, chord[0]) if isinstance(b, str) else b for b in bc]
    if n == 3 and bc[0] == bc[1] == "not-a-knot":  # the parabola
        bend = (chord[1] - chord[0]) / (h[0] + h[1])
        return np.stack([chord[0] - h[0] * bend, chord[0] + h[0] * bend, chord[1] + h[1] * bend])
    middle = 3 * (h[1:, None] * chord[:-1] + h[:-1, None] * chord[1:])
    inner = 2 * (h[:-1] + h[1:])
    if isinstance(bc[0], str) and bc[0] == "periodic":
        return _periodic_slopes(h, chord, inner, middle)
    first, beside_first, left = _end(bc[0], h, chord, 1)
    last, beside_last, right = _end(bc[1], h[::-1], chord[::-1], -1)
    zero = 0 * h[:1]
    upper = np.concatenate([zero, beside_first[None], h[:-1]])
    lower = np.concatenate([h[1:], beside_last[None], zero])
    diagonal = np.concatenate([first[None], inner, last[None]])
    sums = np.concatenate([left[None], middle, right[None]])
    return solve_banded((1, 1), np.stack([upper, diagonal, lower]), sums)


def _periodic_slopes(h: Any, chord: Any, inner: Any, middle: Any) -> Any:
    """Return slopes of which the last is the first, by a dense system."""
    diagonal = np.concatenate([2 * (h[-1:] + h[:1]), inner])
    sums = 3 * (h[:1, None] * chord[-1:] + h[-1:, None] * chord[:1])
    n = h.shape[0]
    below, above = [np.roll(np.eye(n), shift, 1) for shift in (-1, 1)]
    # row i: h_i s_(i-1) + 2 (h_(i-1) + h_i) s_i + h_(i-1) s_(i+1)
    matrix = np.diag(diagonal) + h[:, None] * below + np.roll(h, 1)[:, None] * above
    slopes = np.linalg.solve(matrix, np.concatenate([sums, middle]))
    return np.concatenate([slopes, slopes[:1]])


class CubicSpline(TakesTracers, si.CubicSpline):  # type: ignore[misc]
    """SciPy's cubic spline; of traced data a `Piecewise`, with derivatives by `x` and `y` (linear in `y`).

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad
    >>> from funcgrad.scipy import interpolate
    >>> x = np.arange(5.0)
    >>> grad(lambda y: interpolate.CubicSpline(x, y)(2.5))(x**2)
    array([ 0.015625, -0.125   ,  0.65625 ,  0.5     , -0.046875])
    """

    def __new__(
        cls,
        x: Any,
        y: Any,
        axis: int = 0,
        bc_type: Any = "not-a-knot",
        extrapolate: Any = None,
    ) -> Any:
        if not any_traced(x, y, bc_type):
            return super().__new__(cls)
        x, y, axis = _data(x, y, axis)
        bc = _conditions(bc_type, y)
        periodic = isinstance(bc[0], str) and bc[0] == "periodic"
        if periodic and not np.allclose(concrete(y[0]), concrete(y[-1]), rtol=1e-15, atol=1e-15):
            raise ValueError(
                "The first and last `y` point must be identical when bc_type='periodic'."
            )
        flat = y.reshape((y.shape[0], -1))
        bc = [b if isinstance(b, str) else (b[0], as_array(b[1]).reshape(-1)) for b in bc]
        slopes = _spline_slopes(x, flat, bc).reshape(y.shape)
        default = "periodic" if periodic else True
        return _hermite(x, y, slopes, default if extrapolate is None else extrapolate, axis)


class CubicHermiteSpline(TakesTracers, si.CubicHermiteSpline):  # type: ignore[misc]
    """SciPy's interpolant of values and slopes; of traced data a `Piecewise`."""

    def __new__(cls, x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None) -> Any:
        if not any_traced(x, y, dydx):
            return super().__new__(cls)
        places, values, place = _data(x, y, axis)
        return _hermite(places, values, _data(x, dydx, axis)[1], extrapolate, place)


# --- monotone ------------------------------------------------------------------------------------


def _monotone_end(h: Any, chord: Any) -> Any:
    """Return the slope at an end: of the parabola, unless it would overshoot."""
    slope = ((2 * h[0] + h[1]) * chord[0] - h[0] * chord[1]) / (h[0] + h[1])
    slope = np.where(np.sign(slope) != np.sign(chord[0]), 0, slope)
    far = (np.sign(chord[0]) != np.sign(chord[1])) & (np.abs(slope) > 3 * np.abs(chord[0]))
    return np.where(far, 3 * chord[0], slope)


def _monotone_slopes(x: Any, y: Any) -> Any:
    """Return the weighted harmonic means of neighbouring chords, 0 where these turn."""
    h = np.diff(x).reshape((-1,) + (1,) * (y.ndim - 1))
    chord = np.diff(y, axis=0) / h
    if x.shape[0] == 2:
        return np.concatenate([chord, chord])
    before, after = chord[:-1], chord[1:]
    turns = (np.sign(before) != np.sign(after)) | (before == 0) | (after == 0)
    left, right = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    weighted = left / np.where(turns, 1, before) + right / np.where(turns, 1, after)
    inner = np.where(turns, 0, (left + right) / np.where(turns, 1, weighted))
    ends = _monotone_end(h, chord), _monotone_end(h[::-1], chord[::-1])
    return np.concatenate([ends[0][None], inner, ends[1][None]])


class PchipInterpolator(TakesTracers, si.PchipInterpolator):  # type: ignore[misc]
    """SciPy's monotone cubic interpolant; of traced data a `Piecewise`. Where the data turn the slope is 0."""

    def __new__(cls, x: Any, y: Any, axis: int = 0, extrapolate: Any = None) -> Any:
        if not any_traced(x, y):
            return super().__new__(cls)
        places, values, place = _data(x, y, axis)
        slopes = _monotone_slopes(places, values)
        return _hermite(places, values, slopes, extrapolate, place)
