"""The discrete distributions: the parameters are differentiated, the counts are constants."""

import importlib
from typing import Any

import numpy as np

from funcgrad.scipy.stats.families import Discrete

sc: Any = importlib.import_module("scipy.special")


def _log_binom(n: Any, k: Any) -> Any:
    return sc.gammaln(n + 1.0) - sc.gammaln(k + 1.0) - sc.gammaln(n - k + 1.0)


def _is_probability(p: Any) -> Any:
    return (p >= 0) & (p <= 1)


poisson = Discrete(
    "poisson",
    ("mu",),
    logpmf=lambda k, mu: sc.xlogy(k, mu) - sc.gammaln(k + 1.0) - mu,
    valid=lambda mu: mu >= 0,
    cdf=sc.pdtr,
    sf=sc.pdtrc,
)
bernoulli = Discrete(
    "bernoulli",
    ("p",),
    logpmf=lambda k, p: sc.xlogy(k, p) + sc.xlog1py(1 - k, -p),
    cdf=lambda k, p: np.where(k < 1, 1 - p, 1.0),
    sf=lambda k, p: np.where(k < 1, p, 0.0),
    valid=_is_probability,
    top=lambda p: 1,
)
binom = Discrete(
    "binom",
    ("n", "p"),
    logpmf=lambda k, n, p: _log_binom(n, k) + sc.xlogy(k, p) + sc.xlog1py(n - k, -p),
    cdf=sc.bdtr,
    sf=sc.bdtrc,
    valid=lambda n, p: (n >= 0) & _is_probability(p),
    top=lambda n, p: n,
)
nbinom = Discrete(
    "nbinom",
    ("n", "p"),
    logpmf=lambda k, n, p: (
        sc.gammaln(n + k) - sc.gammaln(k + 1.0) - sc.gammaln(n) + n * np.log(p) + sc.xlog1py(k, -p)
    ),
    valid=lambda n, p: (n > 0) & (p > 0) & (p <= 1),
    cdf=lambda k, n, p: sc.betainc(n, k + 1.0, p),
    sf=lambda k, n, p: sc.betaincc(n, k + 1.0, p),
)
geom = Discrete(
    "geom",
    ("p",),
    logpmf=lambda k, p: np.log(p) + sc.xlog1py(k - 1.0, -p),
    valid=lambda p: (p > 0) & (p <= 1),
    cdf=lambda k, p: -np.expm1(sc.xlog1py(k, -p)),
    sf=lambda k, p: np.exp(sc.xlog1py(k, -p)),
    low=1,
)
betabinom = Discrete(
    "betabinom",
    ("n", "a", "b"),
    logpmf=lambda k, n, a, b: _log_binom(n, k) + sc.betaln(k + a, n - k + b) - sc.betaln(a, b),
    valid=lambda n, a, b: (n >= 0) & (a > 0) & (b > 0),
    top=lambda n, a, b: n,
)
