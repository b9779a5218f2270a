"""The integrals that the derivatives of Carlson's symmetric elliptic integrals are made of.

I(b; z) = int_0^inf prod (t + z_i)^(-b_i) dt is a multiple of Carlson's R(b; z) (19.16.9), and its
derivative by z_i is -b_i I(b + e_i; z): a family closed under differentiation, and smooth where
arguments are equal, where the usual formulas divide by their difference.
"""

import functools
from typing import Any

import numpy as np

from funcgrad.primitives.special.rules import NAMES, declared, naming

BLOCK = 512  # entries at a time
NODES = np.linspace(0.0, 1.0, 480)
SMALL = 75.0  # exp(-75 / 2) is a rounding error


@functools.cache
def carlson(*halves: int) -> Any:
    """Return I(b; z) as a function of the z_i; `halves` are 2 b_i."""
    return declared(
        f"carlson{halves}",
        functools.partial(_integral, halves),
        *[naming(NAMES[: len(halves)], _slope(halves, i)) for i in range(len(halves))],
    )


def _slope(halves: tuple[int, ...], i: int) -> Any:
    raised = (*halves[:i], halves[i] + 2, *halves[i + 1 :])
    return lambda ct, *z: ct * (-halves[i] / 2 * carlson(*raised)(*z))


def _integral(halves: tuple[int, ...], *z: Any) -> Any:
    """Sum along log t by the trapezoidal rule, of all digits for a function that decays on both sides.

    Infinite where z_i = 0 and b_i >= 1; NaN for a negative argument.
    """
    columns = np.broadcast_arrays(*z)
    dtype = np.result_type(np.float32, *z)
    wide = np.result_type(np.float64, dtype)
    with np.errstate(all="ignore"):
        flat = np.stack([c.ravel() for c in columns], -1).astype(wide)
        pieces = [
            _trapezoid(np.array(halves) / 2, flat[i : i + BLOCK])
            for i in range(0, len(flat), BLOCK)
        ]
    out = np.concatenate(pieces) if pieces else np.zeros(0)
    return out.reshape(columns[0].shape).astype(dtype)[()]


def _trapezoid(b: Any, z: Any) -> Any:
    size = np.abs(z)
    low = np.min(np.where(size > 0, size, np.inf), -1)
    start = np.log(low) - SMALL
    end = np.log(np.max(size, -1)) + SMALL / min(np.sum(b) - 1, 1)
    step = (end - start) / (len(NODES) - 1)
    u = start[:, None] + NODES * (end - start)[:, None]
    t = np.exp(u)
    power = sum([-b_i * np.log(t + z_i[:, None]) for b_i, z_i in zip(b, z.T, strict=True)])
    total = step * np.sum(np.exp(power + u), -1)
    infinite = np.any((size == 0) & (b >= 1), -1)
    undefined = (
        np.any((z.real < 0) & (z.imag == 0), -1) if z.dtype.kind == "c" else np.any(z < 0, -1)
    )
    return np.where(undefined, np.nan, np.where(infinite, np.inf, total))
