"""`scipy.stats`: densities, distribution functions and quantiles, called as SciPy's are.

`norm.logpdf(x, loc, scale)`, `t.cdf(x, df)`, `poisson.logpmf(k, mu)`: shape parameters by position or
by name, then loc and scale; or `norm(loc, scale).logpdf(x)`. Each function has a derivative by each
argument that is not a count. Every other name is SciPy's own.

>>> import numpy as np
>>> from funcgrad import grad
>>> from funcgrad.scipy import stats
>>> grad(lambda mu: stats.norm.logpdf(0.3, mu, 2.0))(0.7)  # (x - mu) / sigma^2
np.float64(-0.1)
>>> grad(lambda a: stats.gamma.cdf(1.0, a))(2.0)
np.float64(-0.276196)
"""

import importlib
from typing import Any

from funcgrad.scipy.stats.continuous import (
    beta,
    cauchy,
    chi2,
    expon,
    f,
    gamma,
    gennorm,
    gumbel_l,
    gumbel_r,
    halfnorm,
    invgamma,
    laplace,
    logistic,
    lognorm,
    norm,
    pareto,
    t,
    truncnorm,
    uniform,
    vonmises,
    weibull_min,
    wrapcauchy,
)
from funcgrad.scipy.stats.discrete import (
    bernoulli,
    betabinom,
    binom,
    geom,
    nbinom,
    poisson,
)
from funcgrad.scipy.stats.multivariate import (
    dirichlet,
    multinomial,
    multivariate_normal,
)

__all__ = [
    "bernoulli",
    "beta",
    "betabinom",
    "binom",
    "cauchy",
    "chi2",
    "dirichlet",
    "expon",
    "f",
    "gamma",
    "gennorm",
    "geom",
    "gumbel_l",
    "gumbel_r",
    "halfnorm",
    "invgamma",
    "laplace",
    "logistic",
    "lognorm",
    "multinomial",
    "multivariate_normal",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "t",
    "truncnorm",
    "uniform",
    "vonmises",
    "weibull_min",
    "wrapcauchy",
]


def __getattr__(name: str) -> Any:
    """Return SciPy's own function, which takes plain arrays."""
    return getattr(importlib.import_module("scipy.stats"), name)
