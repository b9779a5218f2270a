"""Large arrays, entry by entry, and the Rosenbrock function by slices.

Next file: matrices.py.
"""

from typing import Any

import numpy as np

from benchmarks.workloads.workload import Array, Workload

STEPS = 5


def chain(xp: Any, x: Any) -> Any:
    """Apply a handful of functions, five times."""
    for _ in range(STEPS):
        x = xp.tanh(xp.sin(x) * 1.1 + x * x * 0.1)
    return xp.sum(x)


def chain_by_hand(x: Array) -> tuple[Any, Array]:
    """Multiply the derivatives of the steps, last to first, into one buffer."""
    kept = [x]
    for _ in range(STEPS):
        kept.append(np.tanh(np.sin(x) * 1.1 + x * x * 0.1))
        x = kept[-1]
    value = np.sum(x)
    d = np.ones_like(x)
    for y, x in zip(kept[:0:-1], kept[-2::-1], strict=True):
        d *= 1 - y * y
        d *= np.cos(x) * 1.1 + x * 0.2
    return value, d


def rosenbrock(xp: Any, x: Any) -> Any:
    """Return the sum of the Rosenbrock function over neighbours (Rosenbrock 1960)."""
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_by_hand(x: Array) -> tuple[Any, Array]:
    """Differentiate both squares of each term."""
    first = x[:-1]
    valley, wall = x[1:] - first * first, 1 - first
    gradient = np.zeros_like(x)
    gradient[1:] = 200 * valley
    gradient[:-1] -= 400 * first * valley + 2 * wall
    return np.sum(100 * valley * valley + wall * wall), gradient


WORKLOADS = (
    Workload(
        "elementwise chain",
        chain,
        chain_by_hand,
        data=lambda rng, size: (rng.normal(size=size),),
        sizes=(1_000, 1_000_000),
        quick=100,
    ),
    Workload(
        "Rosenbrock, slices",
        rosenbrock,
        rosenbrock_by_hand,
        data=lambda rng, size: (rng.normal(size=size),),
        sizes=(2, 100, 10_000),
        quick=10,
    ),
)
