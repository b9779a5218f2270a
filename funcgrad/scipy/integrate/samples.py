"""Integrals of sampled functions: the rules of trapezia and of Simpson, linear in the samples.

K. Cartwright, Simpson's rule cumulative integration with MS Excel and irregularly-spaced data, 2017.
"""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import as_array, concrete
from funcgrad.scipy.mirrors import mirror

si: Any = importlib.import_module("scipy.integrate")


def _samples(y: Any, x: Any, dx: Any, axis: int) -> tuple[Any, Any]:
    """Return the samples and the widths between them, along the last axis."""
    y = as_array(y)
    y = y.astype(np.float64) if y.dtype.kind in "biu" else y
    if x is None:
        widths = as_array(dx)
        widths = np.moveaxis(widths, axis, -1) if widths.ndim else widths
        y = np.moveaxis(y, axis, -1)
        return y, np.broadcast_to(widths, (*y.shape[:-1], max(y.shape[-1] - 1, 0)))
    x = as_array(x)
    if x.ndim not in (1, y.ndim):
        raise ValueError("If given, shape of x must be 1-D or the same as y.")
    x = x if x.ndim == 1 else np.moveaxis(x, axis, -1)
    y = np.moveaxis(y, axis, -1)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError("If given, length of x along axis must be the same as y.")
    return y, np.diff(x, axis=-1)


@mirror(si.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrate samples along an axis by the rule of trapezia."""
    return np.trapezoid(y, x, dx, axis)


@mirror(si.cumulative_trapezoid)
def cumulative_trapezoid(
    y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None
) -> Any:
    """Integrate samples up to each of them by the rule of trapezia; `initial` is 0 or None."""
    if initial is not None and initial != 0:
        raise ValueError("`initial` must be `None` or `0`.")
    y, widths = _samples(y, x, dx, axis)
    sums = np.cumsum(widths * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)
    if initial is not None:
        sums = np.concatenate([np.zeros_like(sums[..., :1]), sums], -1)
    return np.moveaxis(sums, -1, axis)


def _over(x: Any, y: Any) -> Any:
    """Return x / y, and 0 where y = 0, as SciPy has it for repeated places."""
    return np.where(y == 0, 0, x / np.where(y == 0, 1, y))


def _parabolas(y: Any, h: Any) -> Any:
    """Integrate an odd number of samples by parabolas through three at a time."""
    first, second = h[..., :-1:2], h[..., 1::2]
    both, ratio = first + second, _over(first, second)
    left = y[..., :-2:2] * (2 - _over(1, ratio))
    middle = y[..., 1:-1:2] * both * _over(both, first * second)
    right = y[..., 2::2] * (2 - ratio)
    return np.sum(both / 6 * (left + middle + right), axis=-1)


@mirror(si.simpson)
def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrate samples along an axis by Simpson's rule; an even number of them by Cartwright's correction."""
    y, h = _samples(y, x, dx, axis)
    n = y.shape[-1]
    if n % 2:
        return _parabolas(y, h)
    if n == 2:
        return np.sum(h * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)
    f, g = h[..., -2], h[..., -1]
    last = y[..., -1] * _over(2 * g**2 + 3 * f * g, 6 * (f + g))
    last = last + y[..., -2] * _over(g**2 + 3 * f * g, 6 * f)
    last = last - y[..., -3] * _over(g**3, 6 * f * (f + g))
    return _parabolas(y[..., :-1], h[..., :-1]) + last


def _first_halves(y: Any, h: Any) -> Any:
    """Integrate the first interval of each three samples by the parabola through them."""
    left, both = h[..., :-1], h[..., :-1] + h[..., 1:]
    part, product = left / both, left * left / (both * h[..., 1:])
    terms = (3 - part) * y[..., :-2] + (3 + product + part) * y[..., 1:-1] - product * y[..., 2:]
    return left / 6 * terms


@mirror(si.cumulative_simpson)
def cumulative_simpson(
    y: Any, *, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None
) -> Any:
    """Integrate samples up to each of them by Simpson's rule."""
    y, h = _samples(y, x, dx, axis)
    if x is not None and np.any(concrete(h) <= 0):
        raise ValueError("Input x must be strictly increasing.")
    h = np.broadcast_to(h, (*y.shape[:-1], h.shape[-1]))
    n = y.shape[-1]
    if n < 3:
        parts = h * (y[..., 1:] + y[..., :-1]) / 2
    else:
        firsts = _first_halves(y, h)
        seconds = _first_halves(y[..., ::-1], h[..., ::-1])[..., ::-1]
        i = np.arange(n - 1)
        parts = np.where(
            (i % 2 == 0) & (i < n - 2),
            np.concatenate([firsts, seconds[..., -1:]], -1),
            np.concatenate([firsts[..., :1], seconds], -1),
        )
    sums = np.cumsum(parts, axis=-1)
    if initial is not None:
        start = as_array(initial)
        start = np.moveaxis(start, axis, -1) if start.ndim else start
        start = np.broadcast_to(start, (*y.shape[:-1], 1))
        sums = np.concatenate([start, sums + start], -1)
    return np.moveaxis(sums, -1, axis)
