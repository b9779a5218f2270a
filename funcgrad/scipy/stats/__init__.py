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
from funcgrad.scipy.stats.samples import (
    entropy,
    gaussian_kde,
    gmean,
    hmean,
    kurtosis,
    moment,
    pmean,
    rankdata,
    sem,
    skew,
    variation,
    zscore,
)

__all__ = [
    "bernoulli",
    "beta",
    "betabinom",
    "binom",
    "cauchy",
    "chi2",
    "dirichlet",
    "entropy",
    "expon",
    "f",
    "gamma",
    "gaussian_kde",
    "gennorm",
    "geom",
    "gmean",
    "gumbel_l",
    "gumbel_r",
    "halfnorm",
    "hmean",
    "invgamma",
    "kurtosis",
    "laplace",
    "logistic",
    "lognorm",
    "moment",
    "multinomial",
    "multivariate_normal",
    "nbinom",
    "norm",
    "pareto",
    "pmean",
    "poisson",
    "rankdata",
    "sem",
    "skew",
    "t",
    "truncnorm",
    "uniform",
    "variation",
    "vonmises",
    "weibull_min",
    "wrapcauchy",
    "zscore",
]


def __getattr__(name: str) -> Any:
    """Return SciPy's own function, which takes plain arrays."""
    return getattr(importlib.import_module("scipy.stats"), name)
