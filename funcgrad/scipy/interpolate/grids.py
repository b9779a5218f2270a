"""Interpolation between neighbours: along a line, and on regular grids in any number of dimensions."""

import importlib
from itertools import product
from typing import Any

import numpy as np

from funcgrad.core import as_array, concrete, unsupported
from funcgrad.primitives.axes import normalize_axis
from funcgrad.scipy.interpolate.piecewise import Piecewise
from funcgrad.scipy.interpolate.splines import CubicSpline
from funcgrad.scipy.mirrors import any_traced, entries, mirror

si: Any = importlib.import_module("scipy.interpolate")

# --- one dimension -------------------------------------------------------------------------------


def _neighbour(kind: str, places: Any, x: Any) -> Any:
    """Return the index of the sample whose value stands at each place."""
    if kind in ("nearest", "nearest-up"):
        middles = (places[1:] + places[:-1]) / 2
        index = np.searchsorted(middles, x, "left" if kind == "nearest" else "right")
    elif kind == "next":
        index = np.searchsorted(places, x, "left")
    else:  # previous, zero
        index = np.searchsorted(places, x, "right") - 1
    return np.clip(index, 0, places.shape[0] - 1)


class interp1d:  # SciPy's name
    """SciPy's interpolant along a line; kinds "linear", "cubic" and those that take a neighbour's value."""

    def __init__(
        self,
        x: Any,
        y: Any,
        kind: Any = "linear",
        axis: int = -1,
        copy: bool = True,
        bounds_error: bool | None = None,
        fill_value: Any = np.nan,
        assume_sorted: bool = False,
    ) -> None:
        self.plain: Any = None
        if not any_traced(x, y, fill_value):
            self.plain = si.interp1d(
                x, y, kind, axis, copy, bounds_error, fill_value, assume_sorted
            )
        x, y = as_array(x), as_array(y)
        self.axis = normalize_axis(axis, y.ndim)
        self.kind = {1: "linear", 3: "cubic"}.get(kind, kind)
        y = np.moveaxis(y, self.axis, 0)
        order = np.argsort(x, kind="stable")
        self.x, self.y = (x, y) if assume_sorted else (entries(x, order), entries(y, order))
        self.extrapolate = isinstance(fill_value, str) and fill_value == "extrapolate"
        self.fill = fill_value if isinstance(fill_value, tuple) else (fill_value, fill_value)
        if bounds_error is None:  # as SciPy: unless a value for outside is given
            bounds_error = isinstance(fill_value, float) and bool(np.isnan(fill_value))
        self.bounds_error = bounds_error

    def __call__(self, x: Any) -> Any:
        """Return the values at `x`."""
        if self.plain is not None and not any_traced(x):
            return self.plain(x)
        x = as_array(x)
        below, above = x < self.x[0], x > self.x[-1]
        if self.bounds_error and not self.extrapolate and np.any(concrete(below | above)):
            raise ValueError("A value in x_new is outside the interpolation range.")
        out = self._inside(x)
        shape = x.shape + (1,) * (self.y.ndim - 1)
        for outside, value in zip((below, above), self._values_outside()):
            if value is not None:
                out = np.where(outside.reshape(shape), as_array(value), out)
        places = tuple(range(x.ndim))
        return np.moveaxis(out, places, [i + self.axis for i in places])

    def _values_outside(self) -> Any:
        """Return what stands below and above all places; None where the interpolant goes on."""
        if not self.extrapolate:
            return self.fill
        return {"previous": (np.nan, None), "next": (None, np.nan)}.get(self.kind, (None, None))

    def _inside(self, x: Any) -> Any:
        if self.kind in ("linear", "slinear"):
            h = np.diff(self.x).reshape((-1,) + (1,) * (self.y.ndim - 1))
            return Piecewise(np.stack([np.diff(self.y, axis=0) / h, self.y[:-1]]), self.x)(x)
        if self.kind == "cubic":
            return CubicSpline(self.x, self.y)(x)
        if self.kind not in ("nearest", "nearest-up", "previous", "next", "zero"):
            unsupported(f"scipy.interpolate.interp1d with kind={self.kind!r}", 'use kind="cubic"')
        return entries(self.y, _neighbour(self.kind, self.x, x))


# --- regular grids -------------------------------------------------------------------------------


class RegularGridInterpolator:
    """SciPy's interpolant on a grid; traced with methods "linear" and "nearest" alone."""

    def __init__(
        self,
        points: Any,
        values: Any,
        method: str = "linear",
        bounds_error: bool = True,
        fill_value: Any = np.nan,
        *,
        solver: Any = None,
        solver_args: Any = None,
    ) -> None:
        self.plain = None
        if not any_traced(points, values, fill_value):
            self.plain = si.RegularGridInterpolator(
                points,
                values,
                method,
                bounds_error,
                fill_value,
                solver=solver,
                solver_args=solver_args,
            )
        self.grid, self.values = [as_array(p) for p in points], as_array(values)
        self.method, self.bounds_error, self.fill_value = method, bounds_error, fill_value
        for i, p in enumerate(self.grid):
            if np.any(np.diff(concrete(p)) <= 0):
                raise ValueError(f"The points in dimension {i} must be strictly ascending.")
            if p.shape[0] != self.values.shape[i]:
                raise ValueError(
                    f"There are {p.shape[0]} points and {self.values.shape[i]} values on dimension {i}"
                )

    def __call__(self, xi: Any, method: str | None = None, *, nu: Any = None) -> Any:
        """Return the values at `xi`, whose last axis holds the coordinates."""
        if self.plain is not None and not any_traced(xi):
            return self.plain(xi, method, nu=nu)
        method = method or self.method
        if method not in ("linear", "nearest") or nu is not None:
            unsupported(
                f"scipy.interpolate.RegularGridInterpolator with method={method!r} or nu=",
                'use method="linear"',
            )
        if isinstance(xi, tuple):
            xi = np.stack(np.broadcast_arrays(*[as_array(x) for x in xi]), -1)
        xi, d = as_array(xi), len(self.grid)
        if xi.shape[-1] != d:
            raise ValueError(
                f"The requested sample points xi have dimension {xi.shape[-1]} but this "
                f"RegularGridInterpolator has dimension {d}"
            )
        flat = [xi[..., i].reshape(-1) for i in range(d)]
        outside = self._outside(flat)
        out = self._at(flat, method)
        if self.fill_value is not None:
            shape = (-1,) + (1,) * (out.ndim - 1)
            out = np.where(outside.reshape(shape), as_array(self.fill_value), out)
        return out.reshape(xi.shape[:-1] + self.values.shape[d:])

    def _outside(self, xi: list[Any]) -> Any:
        outside = False
        for i, (x, p) in enumerate(zip(xi, self.grid)):
            beyond = (x < p[0]) | (x > p[-1])
            if self.bounds_error and np.any(concrete(beyond)):
                raise ValueError(f"One of the requested xi is out of bounds in dimension {i}")
            outside = outside | beyond
        return outside

    def _at(self, xi: list[Any], method: str) -> Any:
        """Return the sum of the values at the corners of each cell, weighted by the opposite volumes."""
        cells = [
            np.clip(np.searchsorted(p, x, "right") - 1, 0, max(p.shape[0] - 2, 0))
            for x, p in zip(xi, self.grid)
        ]
        parts = []
        for x, p, i in zip(xi, self.grid, cells):
            start = entries(p, i)
            parts.append((x - start) / (entries(p, np.minimum(i + 1, p.shape[0] - 1)) - start))
        if method == "nearest":
            return take_cells(self.values, [i + (part > 0.5) for i, part in zip(cells, parts)])
        return blend(self.values, [(i, i + 1) for i in cells], parts)


def take_cells(values: Any, index: list[Any]) -> Any:
    """Return the entries at an index per leading dimension, plain or traced."""
    lengths = values.shape[: len(index)]
    flat: Any = 0
    for i, n in zip(index, lengths):
        flat = flat * n + i
    return entries(values.reshape((-1, *values.shape[len(index) :])), flat)


def blend(values: Any, corners: list[tuple[Any, Any]], parts: list[Any]) -> Any:
    """Return the multilinear interpolation between two indices per dimension, at parts of the way."""
    shape = (-1,) + (1,) * (values.ndim - len(corners))
    total: Any = 0
    for corner in product((0, 1), repeat=len(corners)):
        weight: Any = 1
        for far, part in zip(corner, parts):
            weight = weight * (part if far else 1 - part)
        value = take_cells(values, [pair[far] for far, pair in zip(corner, corners)])
        total = total + weight.reshape(shape) * value
    return total


@mirror(si.interpn)
def interpn(
    points: Any,
    values: Any,
    xi: Any,
    method: str = "linear",
    bounds_error: bool = True,
    fill_value: Any = np.nan,
) -> Any:
    """Interpolate on a regular grid; see `RegularGridInterpolator`."""
    return RegularGridInterpolator(points, values, method, bounds_error, fill_value)(xi)
