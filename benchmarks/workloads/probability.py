"""Losses of statistics: log-sum-exp, softmax, logistic regression, a mixture of Gaussians.

Next file: networks.py.
"""

import importlib
import importlib.util
from functools import cache
from typing import Any

import numpy as np

from benchmarks.workloads.workload import Array, Arrays, Workload


def logsumexp(xp: Any, x: Any, axis: int = 0) -> Any:
    """Return log(sum(exp(x))) along an axis, without overflow."""
    top = xp.max(x, axis=axis, keepdims=True)
    return xp.log(xp.sum(xp.exp(x - top), axis=axis)) + xp.sum(top, axis=axis)


def logsumexp_by_hand(x: Array) -> tuple[Any, Array]:
    """Return the value and the gradient, which is the softmax."""
    top = np.max(x)
    e = np.exp(x - top)
    total = np.sum(e)
    return np.log(total) + top, e / total


def softmax(xp: Any, x: Any, t: Any) -> Any:
    """Return the entries of the softmax, weighted and summed."""
    e = xp.exp(x - xp.max(x, axis=0))
    return xp.sum(e / xp.sum(e, axis=0) * t)


def softmax_by_hand(x: Array, t: Array) -> tuple[Any, Array]:
    """Use the Jacobian diag(y) - y y^T."""
    y = np.exp(x - np.max(x))
    y /= np.sum(y)
    value = y @ t
    return value, y * (t - value)


@cache
def _own(module: str, name: str) -> Any:
    """Return a library's own function, imported when the library runs."""
    return getattr(importlib.import_module(module), name)


def _torch_logsumexp(torch: Any, x: Any) -> Any:
    return torch.logsumexp(x, 0)


def _torch_softmax(torch: Any, x: Any, t: Any) -> Any:
    return (torch.softmax(x, 0) * t).sum()


def _weighted(module: str) -> Any:
    """Return the program with the softmax of a module."""
    return lambda xp, x, t: xp.sum(_own(module, "softmax")(x, 0) * t)


def logistic(xp: Any, w: Any, x: Any, t: Any) -> Any:
    """Return the mean loss log(1 + exp(-t x w)), t being 1 or -1."""
    return xp.mean(xp.logaddexp(0, -t * (x @ w)))


def logistic_by_hand(w: Array, x: Array, t: Array) -> tuple[Any, Array]:
    """Differentiate the logarithm: -t / (1 + exp(t x w)) for each sample."""
    margins = t * (x @ w)
    losses = np.logaddexp(0, -margins)
    return np.mean(losses), (-t * np.exp(-margins - losses)) @ x / len(t)


def _logistic_torch(torch: Any, w: Any, x: Any, t: Any) -> Any:
    return torch.nn.functional.softplus(-t * (x @ w)).mean()


def mixture(xp: Any, weights: Any, means: Any, scales: Any, x: Any) -> Any:
    """Return the negative log likelihood of a mixture of axis-aligned Gaussians, less a constant.

    Component k has the unnormalised log weight `weights[k]`, the mean `means[k]` and the logarithms
    `scales[k]` of its standard deviations.
    """
    z = (x[:, None, :] - means) * xp.exp(-scales)
    logs = weights - xp.sum(scales, axis=1) - 0.5 * xp.sum(z * z, axis=2)
    return len(x) * logsumexp(xp, weights) - xp.sum(logsumexp(xp, logs, 1))


def mixture_by_hand(
    weights: Array, means: Array, scales: Array, x: Array
) -> tuple[Any, Array, Array, Array]:
    """Weigh the derivatives of the components by their responsibilities."""
    precise = np.exp(-scales)
    z = (x[:, None, :] - means) * precise
    logs = weights - np.sum(scales, axis=1) - 0.5 * np.sum(z * z, axis=2)
    top = np.max(logs, axis=1, keepdims=True)
    shares = np.exp(logs - top)
    total = np.sum(shares, axis=1, keepdims=True)
    shares /= total
    prior, by_weights = logsumexp_by_hand(weights)
    value = len(x) * prior - np.sum(np.log(total)) - np.sum(top)
    counts = np.sum(shares, axis=0)
    weighted = shares[:, :, None] * z
    by_means = -precise * np.sum(weighted, axis=0)
    by_scales = counts[:, None] - np.sum(weighted * z, axis=0)
    return value, len(x) * by_weights - counts, by_means, by_scales


def _vector(rng: np.random.Generator, size: int) -> Arrays:
    return (rng.normal(size=size),)


def _regression(rng: np.random.Generator, size: int) -> Arrays:
    x = rng.normal(size=(size, 50))
    return 0.1 * rng.normal(size=50), x, np.sign(rng.normal(size=size))


def _mixture(rng: np.random.Generator, size: int) -> Arrays:
    weights, means, scales = rng.normal(size=10), rng.normal(size=(10, 8)), rng.normal(size=(10, 8))
    return weights, means, 0.1 * scales, rng.normal(size=(size, 8))


LENGTHS = (100, 10_000, 1_000_000)
WITHOUT_SCIPY = {} if importlib.util.find_spec("scipy") else {"funcgrad": "SciPy is missing"}

WORKLOADS = (
    Workload(
        "log-sum-exp, spelled out",
        logsumexp,
        logsumexp_by_hand,
        data=_vector,
        sizes=LENGTHS,
        quick=10,
        written={"torch": _torch_logsumexp},
    ),
    Workload(
        "log-sum-exp, one call",
        logsumexp,
        logsumexp_by_hand,
        data=_vector,
        sizes=LENGTHS,
        quick=10,
        written={
            "funcgrad": lambda xp, x: _own("funcgrad.scipy.special", "logsumexp")(x, 0),
            "autograd": lambda xp, x: _own("autograd.scipy.special", "logsumexp")(x, 0),
            "jax": lambda xp, x: _own("jax.scipy.special", "logsumexp")(x, 0),
            "torch": _torch_logsumexp,
        },
        lacking=WITHOUT_SCIPY,
    ),
    Workload(
        "softmax, spelled out",
        softmax,
        softmax_by_hand,
        data=lambda rng, size: (*_vector(rng, size), *_vector(rng, size)),
        sizes=LENGTHS,
        quick=10,
        written={"torch": _torch_softmax},
    ),
    Workload(
        "softmax, one call",
        softmax,
        softmax_by_hand,
        data=lambda rng, size: (*_vector(rng, size), *_vector(rng, size)),
        sizes=LENGTHS,
        quick=10,
        written={
            "funcgrad": _weighted("funcgrad.scipy.special"),
            "jax": _weighted("jax.nn"),
            "torch": _torch_softmax,
        },
        lacking=WITHOUT_SCIPY,
    ),
    Workload(
        "logistic regression, 100,000 x 50",
        logistic,
        logistic_by_hand,
        data=_regression,
        sizes=(100_000,),
        quick=100,
        written={"torch": _logistic_torch},
    ),
    Workload(
        "Gaussian mixture, 1,000 x 8, 10 components",
        mixture,
        mixture_by_hand,
        data=_mixture,
        sizes=(1_000,),
        quick=20,
        differentiated=3,
    ),
)
