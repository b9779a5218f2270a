"""Programs of thousands of operations on single numbers.

Next file: particles.py.
"""

from typing import Any

import numpy as np

from benchmarks.workloads.workload import Array, Arrays, Workload

STEP = 0.01

COMPILED = "the unrolled loop takes more than a minute to compile"
DISPATCHED = "seconds per call: each operation is dispatched on its own"


# --- Rosenbrock, one entry at a time ----------------------------------------------------------


def rosenbrock(xp: Any, x: Any) -> Any:
    """Return the Rosenbrock function, summed up in a loop over `x[i]`."""
    total = 0.0
    for i in range(len(x) - 1):
        total = total + 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


def rosenbrock_by_hand(x: Array) -> tuple[Any, Array]:
    """Run the same loop, adding each term's derivatives to the gradient."""
    total, gradient = 0.0, np.zeros_like(x)
    for i in range(len(x) - 1):
        a, b = x[i], x[i + 1]
        valley, wall = b - a * a, 1 - a
        total = total + 100 * valley * valley + wall * wall
        gradient[i] -= 400 * a * valley + 2 * wall
        gradient[i + 1] += 200 * valley
    return total, gradient


# --- a differential equation ------------------------------------------------------------------


def field(y: Any) -> tuple[Any, ...]:
    """Return the motion of a star in a galaxy (Henon and Heiles 1964): two places, two momenta."""
    q, r, p, s = y
    return p, s, -q - 2 * q * r, r * r - r - q * q


def field_transposed(y: Any, ct: Any) -> tuple[Any, ...]:
    """Return the transpose of the field's Jacobian, times a vector."""
    (q, r, _, _), (a, b, c, d) = y, ct
    return -(1 + 2 * r) * c - 2 * q * d, -2 * q * c + (2 * r - 1) * d, a, b


def moved(y: Any, v: Any, h: float) -> tuple[Any, ...]:
    """Return y + h v for tuples of numbers."""
    return tuple([a + h * b for a, b in zip(y, v, strict=True)])


def step_forward(y: Any) -> tuple[Any, ...]:
    """Take one step of the classical Runge-Kutta method."""
    a = field(y)
    b = field(moved(y, a, STEP / 2))
    c = field(moved(y, b, STEP / 2))
    d = field(moved(y, c, STEP))
    return tuple(
        [
            u + STEP / 6 * (k + 2 * m + 2 * n + o)
            for u, k, m, n, o in zip(y, a, b, c, d, strict=True)
        ]
    )


def runge_kutta(xp: Any, start: Any, times: Any) -> Any:
    """Return the squared distance from the origin, a step of four numbers per entry of `times`."""
    y = tuple([start[i] for i in range(4)])
    for _ in range(len(times)):
        y = step_forward(y)
    return y[0] * y[0] + y[1] * y[1]


def runge_kutta_by_hand(start: Array, times: Array) -> tuple[Any, Array]:
    """Keep the states, and take each step's stages back, last to first."""
    states = [tuple(start)]
    for _ in range(len(times)):
        states.append(step_forward(states[-1]))
    q, r, _, _ = states.pop()
    ct: tuple[Any, ...] = (2 * q, 2 * r, 0.0, 0.0)
    while states:
        ct = _step_backward(states.pop(), ct)
    return q * q + r * r, np.array(ct, start.dtype)


def _step_backward(y: Any, ct: Any) -> tuple[Any, ...]:
    """Return the cotangent before a step from the one after it."""
    at_b = moved(y, field(y), STEP / 2)
    at_c = moved(y, field(at_b), STEP / 2)
    at_d = moved(y, field(at_c), STEP)
    w = [STEP / 6 * k for k in ct]
    d = field_transposed(at_d, w)
    c = field_transposed(at_c, [2 * k + STEP * m for k, m in zip(w, d, strict=True)])
    b = field_transposed(at_b, [2 * k + STEP / 2 * m for k, m in zip(w, c, strict=True)])
    a = field_transposed(y, [k + STEP / 2 * m for k, m in zip(w, b, strict=True)])
    return tuple([sum(terms) for terms in zip(ct, a, b, c, d, strict=True)])


def _runge_kutta_jit(jnp: Any, start: Any, times: Any) -> Any:
    """Write the loop as a scan, which compiles one step."""
    from jax.lax import scan

    y, _ = scan(lambda y, _: (step_forward(y), None), tuple(start), times)
    return y[0] * y[0] + y[1] * y[1]


# --- a determinant ----------------------------------------------------------------------------

Rows = list[list[Any]]


def without(rows: Rows, j: int) -> Rows:
    """Strike out the first row and column j."""
    return [row[:j] + row[j + 1 :] for row in rows[1:]]


def expand(rows: Rows) -> Any:
    """Return the determinant, expanded along the first row."""
    if len(rows) == 1:
        return rows[0][0]
    total = rows[0][0] * expand(without(rows, 0))
    for j in range(1, len(rows)):
        term = rows[0][j] * expand(without(rows, j))
        total = total - term if j % 2 else total + term
    return total


def determinant(xp: Any, m: Any) -> Any:
    """Return the determinant of a matrix by minors."""
    n = len(m)
    return expand([[m[i, j] for j in range(n)] for i in range(n)])


def determinant_by_hand(m: Array) -> tuple[Any, Array]:
    """Return the determinant and its gradient, the recursion differentiated."""
    value, gradient = _expand_by_hand([list(row) for row in m])
    return value, np.array(gradient, m.dtype)


def _expand_by_hand(rows: Rows) -> tuple[Any, Rows]:
    if len(rows) == 1:
        return rows[0][0], [[1.0]]
    total, gradient = 0.0, [[0.0] * len(rows) for _ in rows]
    for j, factor in enumerate(rows[0]):
        minor, inner = _expand_by_hand(without(rows, j))
        if j % 2:
            minor, factor = -minor, -factor
        total = total + rows[0][j] * minor
        gradient[0][j] = minor
        for row, found in zip(gradient[1:], inner, strict=True):
            for k, entry in enumerate(found):
                row[k + (k >= j)] += factor * entry
    return total, gradient


def _vector(rng: np.random.Generator, size: int) -> Arrays:
    return (rng.normal(size=size),)


def _start(rng: np.random.Generator, size: int) -> Arrays:
    return 0.2 * rng.normal(size=4), np.arange(size) * STEP


def _matrix(rng: np.random.Generator, size: int) -> Arrays:
    return (rng.normal(size=(size, size)),)


WORKLOADS = (
    Workload(
        "Rosenbrock, x[i] loop, 1,000",
        rosenbrock,
        rosenbrock_by_hand,
        data=_vector,
        sizes=(1_000,),
        quick=5,
        lacking={"jax jit": COMPILED, "jax eager": DISPATCHED},
    ),
    Workload(
        "ODE, 1,000 steps of 4 numbers",
        runge_kutta,
        runge_kutta_by_hand,
        data=_start,
        sizes=(1_000,),
        quick=5,
        written={"jax jit": _runge_kutta_jit},
        lacking={"jax eager": DISPATCHED},
    ),
    Workload(
        "determinant 6 x 6 by minors",
        determinant,
        determinant_by_hand,
        data=_matrix,
        sizes=(6,),
        quick=3,
        lacking={"jax eager": DISPATCHED},
    ),
)
