"""Distributions of vectors."""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import as_array, unsupported
from funcgrad.scipy.stats.continuous import HALF_LOG_2PI
from funcgrad.scipy.stats.families import Freezable

sc: Any = importlib.import_module("scipy.special")


class MultivariateNormal(Freezable):
    """The normal distribution of vectors, along the last axis of `x`."""

    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """Return the log-density; `cov` is a matrix, a vector (a diagonal) or a number."""
        if allow_singular:
            unsupported("multivariate_normal with allow_singular=True", "leave it out")
        x, cov = as_array(x), as_array(cov)
        mean = as_array(0.0 if mean is None else mean)
        n = cov.shape[-1] if cov.ndim else mean.size
        if x.ndim < 1 or (x.ndim == 1 and n == 1):
            x = x[..., None]
        if cov.ndim < 2:
            cov = cov * np.eye(n)
        root = np.linalg.cholesky(cov)
        d = np.broadcast_to(x - mean, (*x.shape[:-1], n))
        z = np.linalg.solve(root, d.reshape((-1, n)).T).T.reshape(d.shape)
        log_root = np.sum(np.log(np.diagonal(root)))
        return -np.sum(z * z, -1) / 2 - log_root - n * HALF_LOG_2PI

    def pdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """Return the density."""
        return np.exp(self.logpdf(x, mean, cov, allow_singular))

    def entropy(self, mean: Any = None, cov: Any = 1) -> Any:
        """Return the differential entropy; `mean` tells the dimension where `cov` is a number."""
        cov = as_array(cov)
        if cov.ndim < 2:
            cov = cov * np.eye(cov.size if mean is None or cov.ndim else np.size(mean))
        return np.linalg.slogdet(cov)[1] / 2 + cov.shape[-1] * (HALF_LOG_2PI + 0.5)


class Dirichlet(Freezable):
    """The Dirichlet distribution of vectors of positive numbers with sum 1, along axis 0 of `x`."""

    def logpdf(self, x: Any, alpha: Any) -> Any:
        """Return the log-density; `x` may leave out the last number of each vector."""
        x, alpha = as_array(x), as_array(alpha)
        if x.shape[0] == alpha.shape[0] - 1:
            x = np.concatenate([x, (1 - np.sum(x, 0))[None]])
        alpha = alpha.reshape((-1,) + (1,) * (x.ndim - 1))
        log_beta = np.sum(sc.gammaln(alpha)) - sc.gammaln(np.sum(alpha))
        return np.sum(sc.xlogy(alpha - 1, x), 0) - log_beta

    def pdf(self, x: Any, alpha: Any) -> Any:
        """Return the density."""
        return np.exp(self.logpdf(x, alpha))


class Multinomial(Freezable):
    """The multinomial distribution of vectors of counts, along the last axis of `x`."""

    def logpmf(self, x: Any, n: Any, p: Any) -> Any:
        """Return the log-probability of `x`; -inf unless its entries are counts with sum `n`.

        As in SciPy, the last probability is what the others leave.
        """
        x, n, p = as_array(x), as_array(n), as_array(p)
        p = np.concatenate([p[..., :-1], 1 - np.sum(p[..., :-1], -1, keepdims=True)], -1)
        possible = (np.sum(x, -1) == n) & np.all((x >= 0) & (np.floor(x) == x), -1)
        terms = sc.xlogy(x, p) - sc.gammaln(np.maximum(x, 0) + 1.0)
        value = sc.gammaln(n + 1.0) + np.sum(terms, -1)
        return np.where(possible, value, -np.inf)

    def pmf(self, x: Any, n: Any, p: Any) -> Any:
        """Return the probability."""
        return np.exp(self.logpmf(x, n, p))


multivariate_normal = MultivariateNormal()
multinomial = Multinomial()
dirichlet = Dirichlet()
