"""Linear algebra: products of matrices, and the likelihood of a Gaussian process.

Next file: probability.py.
"""

from typing import Any

import numpy as np

from benchmarks.workloads.workload import Array, Arrays, Workload

FACTORS = 3


def product(xp: Any, x: Any) -> Any:
    """Return the sum of the entries of a power of a matrix."""
    y = x
    for _ in range(FACTORS - 1):
        y = y @ x
    return xp.sum(y)


def product_by_hand(x: Array) -> tuple[Any, Array]:
    """Take the factors off one by one: d(Y X) = dY X + Y dX."""
    left = [x]
    for _ in range(FACTORS - 2):
        left.append(left[-1] @ x)
    value = np.sum(left[-1] @ x)
    d, gradient = np.ones_like(x), np.zeros_like(x)
    for y in reversed(left):
        gradient += y.T @ d
        d = d @ x.T
    return value, gradient + d


def marginal_likelihood(xp: Any, theta: Any, x: Any, y: Any, eye: Any) -> Any:
    """Return the negative log marginal likelihood, less a constant (Rasmussen and Williams 2006, 2.30).

    `theta` holds the logarithms of signal variance, inverse squared length and noise variance.
    """
    d = x[:, None] - x[None, :]
    signal, scale, noise = xp.exp(theta[0]), xp.exp(theta[1]), xp.exp(theta[2])
    factor = xp.linalg.cholesky(signal * xp.exp(-d * d * scale) + noise * eye)
    z = xp.linalg.solve(factor, y)
    return 0.5 * xp.sum(z * z) + xp.sum(xp.log(xp.diagonal(factor)))


def marginal_likelihood_by_hand(theta: Array, x: Array, y: Array, eye: Array) -> tuple[Any, Array]:
    """Use d/dt = tr((K^-1 - a a^T) dK/dt) / 2 with a = K^-1 y (Rasmussen and Williams 2006, 5.9)."""
    squares = (x[:, None] - x[None, :]) ** 2
    signal, scale, noise = np.exp(theta)
    covariance = signal * np.exp(-squares * scale)
    full = covariance + noise * eye
    factor, inverse = np.linalg.cholesky(full), np.linalg.inv(full)
    a = inverse @ y
    value = 0.5 * (y @ a) + np.sum(np.log(np.diagonal(factor)))
    weights = inverse - np.outer(a, a)
    by_signal = np.vdot(weights, covariance)
    by_scale = -scale * np.vdot(weights, covariance * squares)
    return value, 0.5 * np.array([by_signal, by_scale, noise * np.trace(weights)], theta.dtype)


def _points(rng: np.random.Generator, size: int) -> Arrays:
    x = np.sort(rng.uniform(0, 10, size))
    y = np.sin(x) + 0.1 * rng.normal(size=size)
    return np.array([0.0, 0.0, -1.0]), x, y, np.eye(size)


WORKLOADS = (
    Workload(
        "matrix chain",
        product,
        product_by_hand,
        data=lambda rng, size: (rng.normal(size=(size, size)) / size**0.5,),
        sizes=(512, 1024, 2048),
        quick=16,
    ),
    Workload(
        "Gaussian process, 500",
        marginal_likelihood,
        marginal_likelihood_by_hand,
        data=_points,
        sizes=(500,),
        quick=20,
        lacking={"mygrad": "no Cholesky factor"},
    ),
)
