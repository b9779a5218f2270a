"""Particles that attract each other, with all pairs in arrays and with loops over numbers.

Next file: derivatives.py.
"""

from typing import Any

import numpy as np

from benchmarks.workloads.scalars import COMPILED, DISPATCHED
from benchmarks.workloads.workload import Array, Arrays, Workload

STEPS, STEP, SOFT = 5, 0.01, 0.1


def simulate(xp: Any, x: Any, v: Any) -> Any:
    """Return the squared distances from the origin after five steps (semi-implicit Euler)."""
    for _ in range(STEPS):
        d = x[:, None, :] - x[None, :, :]
        r = xp.sum(d * d, axis=2, keepdims=True) + SOFT
        v = v - STEP * xp.sum(d / (r * xp.sqrt(r)), axis=1)
        x = x + STEP * v
    return xp.sum(x * x)


def simulate_by_hand(x: Array, v: Array) -> tuple[Any, Array, Array]:
    """Take the steps back; the derivative of the forces, a Hessian, is its own transpose."""
    kept = []
    for _ in range(STEPS):
        d = x[:, None, :] - x[None, :, :]
        r = np.sum(d * d, axis=2, keepdims=True) + SOFT
        w = 1 / (r * np.sqrt(r))
        kept.append((d, r, w))
        v = v - STEP * np.sum(d * w, axis=1)
        x = x + STEP * v
    dx, dv = 2 * x, np.zeros_like(v)
    for d, r, w in reversed(kept):
        dv = dv + STEP * dx
        c = dv[:, None, :] - dv[None, :, :]
        along = 3 * np.sum(d * c, axis=2, keepdims=True) / r
        dx = dx - STEP * np.sum(w * (c - along * d), axis=1)
    return np.sum(x * x), dx, dv


def simulate_numbers(xp: Any, x: Any, v: Any) -> Any:
    """Return the same in the plane, with a loop over the pairs."""
    x, v = [[[array[i, 0], array[i, 1]] for i in range(len(array))] for array in (x, v)]
    for _ in range(STEPS):
        for i in range(len(x)):
            for j in range(i):
                a, b = x[i][0] - x[j][0], x[i][1] - x[j][1]
                w = STEP * (a * a + b * b + SOFT) ** -1.5
                v[i] = [v[i][0] - w * a, v[i][1] - w * b]
                v[j] = [v[j][0] + w * a, v[j][1] + w * b]
        x = [[p + STEP * q for p, q in zip(*row, strict=True)] for row in zip(x, v, strict=True)]
    return sum([a * a + b * b for a, b in x])


def simulate_numbers_by_hand(x: Array, v: Array) -> tuple[Any, Array, Array]:
    """Take the steps back pair by pair."""
    (n, _), dtype = x.shape, x.dtype
    pairs = [(i, j) for i in range(n) for j in range(i)]
    x, v = [list(row) for row in x], [list(row) for row in v]
    kept = []
    for _ in range(STEPS):
        found = []
        for i, j in pairs:
            a, b = x[i][0] - x[j][0], x[i][1] - x[j][1]
            r = a * a + b * b + SOFT
            w = STEP * r**-1.5
            v[i][0], v[i][1] = v[i][0] - w * a, v[i][1] - w * b
            v[j][0], v[j][1] = v[j][0] + w * a, v[j][1] + w * b
            found.append((a, b, r, w))
        kept.append(found)
        x = [[p + STEP * q for p, q in zip(*row, strict=True)] for row in zip(x, v, strict=True)]
    value = sum([a * a + b * b for a, b in x])
    dx, dv = [[2 * a, 2 * b] for a, b in x], [[0.0, 0.0] for _ in x]
    for found in reversed(kept):
        dv = [[q + STEP * p for p, q in zip(*row, strict=True)] for row in zip(dx, dv, strict=True)]
        for (i, j), (a, b, r, w) in zip(pairs, found, strict=True):
            c, d = dv[i][0] - dv[j][0], dv[i][1] - dv[j][1]
            along = 3 * (a * c + b * d) / r
            c, d = w * (c - along * a), w * (d - along * b)
            dx[i][0], dx[i][1] = dx[i][0] - c, dx[i][1] - d
            dx[j][0], dx[j][1] = dx[j][0] + c, dx[j][1] + d
    return value, np.array(dx, dtype), np.array(dv, dtype)


def _places(dimensions: int) -> Any:
    def data(rng: np.random.Generator, size: int) -> Arrays:
        return rng.normal(size=(size, dimensions)), rng.normal(size=(size, dimensions))

    return data


WORKLOADS = (
    Workload(
        "particles, arrays, 100",
        simulate,
        simulate_by_hand,
        data=_places(3),
        sizes=(100,),
        quick=5,
        differentiated=2,
    ),
    Workload(
        "particles, loops, 10",
        simulate_numbers,
        simulate_numbers_by_hand,
        data=_places(2),
        sizes=(10,),
        quick=3,
        differentiated=2,
        lacking={"jax jit": COMPILED, "jax eager": DISPATCHED},
    ),
)
