"""`scipy.stats`: densities, distribution functions and quantiles, called as SciPy's are.

`norm.logpdf(x, loc, scale)`, `t.cdf(x, df)`, `poisson.logpmf(k, mu)`: shape parameters by position or
by name, then loc and scale; all of them are differentiated by.
"""

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import as_array, unsupported

sc: Any = importlib.import_module("scipy.special")

LOG_2, LOG_PI = float(np.log(2.0)), float(np.log(np.pi))
HALF_LOG_2PI = (LOG_2 + LOG_PI) / 2
INF = float("inf")

Function = Callable[..., Any]


class Distribution:
    """A distribution of one variable; its functions take `(x, *shapes, loc, scale)`."""

    def __init__(self, name: str, shapes: tuple[str, ...]) -> None:
        self.name = name
        self.shapes = shapes

    def __repr__(self) -> str:
        return f"<distribution {self.name}>"

    def _parameters(self, args: Any, kwargs: Any, last: tuple[str, ...]) -> tuple[Any, list[Any]]:
        """Return the shape parameters and the last ones, which have the defaults 0 and 1."""
        names = (*self.shapes, *last)
        if len(args) > len(names) or set(kwargs) - set(names[len(args) :]):
            raise TypeError(f"{self.name} takes {', '.join(names)}; got {len(args)} and {kwargs}")
        given = {**dict(zip(names, args)), **kwargs}
        missing = [n for n in self.shapes if n not in given]
        if missing:
            raise TypeError(f"{self.name} needs {', '.join(missing)}")
        defaults = {"loc": 0.0, "scale": 1.0}
        return (
            [given[n] for n in self.shapes],
            [given.get(n, defaults[n]) for n in last],
        )


def _positive(scale: Any) -> Any:
    """Return a scale, and NaN in place of one that is not positive."""
    if isinstance(scale, (int, float)):
        return scale if scale > 0 else float("nan")
    return np.where(scale > 0, scale, np.nan)


def _log(scale: Any) -> Any:
    return math.log(scale) if isinstance(scale, (int, float)) else np.log(scale)


class Continuous(Distribution):
    """A continuous distribution, from the functions of its standard form."""

    def __init__(
        self,
        name: str,
        shapes: tuple[str, ...],
        *,
        logpdf: Function,
        cdf: Function,
        sf: Function,
        ppf: Function,
        isf: Function | None = None,
        logcdf: Function | None = None,
        logsf: Function | None = None,
        support: tuple[float, float] = (-INF, INF),
    ) -> None:
        super().__init__(name, shapes)
        self._logpdf, self._cdf, self._sf, self._ppf = logpdf, cdf, sf, ppf
        self._isf = isf or (lambda q, *shapes: ppf(1 - q, *shapes))
        self._logcdf = logcdf or (lambda z, *shapes: np.log(cdf(z, *shapes)))
        self._logsf = logsf or (lambda z, *shapes: np.log(sf(z, *shapes)))
        self.support = support

    def _standard(self, x: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        """Return (x - loc) / scale, the shape parameters and the scale."""
        shapes, (loc, scale) = self._parameters(args, kwargs, ("loc", "scale"))
        scale = _positive(scale)
        z = (as_array(x) - loc) / scale
        # a number takes the precision of the array, as in NumPy's own arithmetic
        return z, [z.dtype.type(a) if isinstance(a, (int, float)) else a for a in shapes], scale

    def _inside(self, fun: Function, z: Any, shapes: Any, below: float, above: float) -> Any:
        """Return `fun` on the support, constants outside of it."""
        low, high = self.support
        outside = (z < low) | (z > high)
        middle = 0.5 if high == 1 else 1.0
        value = fun(np.where(outside, middle, z) if (low, high) != (-INF, INF) else z, *shapes)
        return np.where(z < low, below, np.where(z > high, above, value))

    def logpdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the density at `x`; -inf outside the support."""
        z, shapes, scale = self._standard(x, args, kwargs)
        return self._inside(self._logpdf, z, shapes, -INF, -INF) - _log(scale)

    def pdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the density at `x`."""
        z, shapes, scale = self._standard(x, args, kwargs)
        return self._inside(lambda *a: np.exp(self._logpdf(*a)), z, shapes, 0, 0) / scale

    def cdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of at most `x`."""
        z, shapes, _ = self._standard(x, args, kwargs)
        return self._inside(self._cdf, z, shapes, 0, 1)

    def sf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of more than `x`."""
        z, shapes, _ = self._standard(x, args, kwargs)
        return self._inside(self._sf, z, shapes, 1, 0)

    def logcdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of `cdf`."""
        z, shapes, _ = self._standard(x, args, kwargs)
        return self._inside(self._logcdf, z, shapes, -INF, 0)

    def logsf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of `sf`."""
        z, shapes, _ = self._standard(x, args, kwargs)
        return self._inside(self._logsf, z, shapes, 0, -INF)

    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the quantile: where `cdf` is `q`."""
        shapes, (loc, scale) = self._parameters(args, kwargs, ("loc", "scale"))
        return self._ppf(as_array(q), *shapes) * _positive(scale) + loc

    def isf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Return where `sf` is `q`."""
        shapes, (loc, scale) = self._parameters(args, kwargs, ("loc", "scale"))
        return self._isf(as_array(q), *shapes) * _positive(scale) + loc


class Discrete(Distribution):
    """A distribution on the whole numbers from 0 up to `top(*shapes)`."""

    def __init__(
        self,
        name: str,
        shapes: tuple[str, ...],
        *,
        logpmf: Function,
        cdf: Function | None = None,
        sf: Function | None = None,
        top: Function = lambda *shapes: INF,
    ) -> None:
        super().__init__(name, shapes)
        self._logpmf, self._cdf, self._sf, self._top = logpmf, cdf, sf, top

    def _shifted(self, k: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        shapes, (loc,) = self._parameters(args, kwargs, ("loc",))
        return as_array(k) - loc, shapes

    def logpmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the probability of `k`; -inf off the support."""
        k, shapes = self._shifted(k, args, kwargs)
        possible = (k >= 0) & (k <= self._top(*shapes)) & (np.floor(k) == k)
        return np.where(possible, self._logpmf(np.where(possible, k, 0), *shapes), -INF)

    def pmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of `k`."""
        return np.exp(self.logpmf(k, *args, **kwargs))

    def cdf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of at most `k`."""
        return self._tail(self._cdf, "cdf", k, args, kwargs, (0, 1))

    def sf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of more than `k`."""
        return self._tail(self._sf, "sf", k, args, kwargs, (1, 0))

    def _tail(self, fun: Any, name: str, k: Any, args: Any, kwargs: Any, ends: Any) -> Any:
        if fun is None:
            unsupported(f"scipy.stats.{self.name}.{name}", "sum pmf")
        k, shapes = self._shifted(k, args, kwargs)
        k = np.floor(k)
        below, above = k < 0, k >= self._top(*shapes)
        value = fun(np.where(below | above, 0, k), *shapes)
        return np.where(below, ends[0], np.where(above, ends[1], value))


# --- continuous distributions --------------------------------------------------------------------

norm = Continuous(
    "norm",
    (),
    logpdf=lambda z: -z * z / 2 - HALF_LOG_2PI,
    cdf=sc.ndtr,
    sf=lambda z: sc.ndtr(-z),
    logcdf=sc.log_ndtr,
    logsf=lambda z: sc.log_ndtr(-z),
    ppf=sc.ndtri,
    isf=lambda q: -sc.ndtri(q),
)
t = Continuous(
    "t",
    ("df",),
    logpdf=lambda z, df: (
        -(df + 1) / 2 * np.log1p(z * z / df)
        - sc.betaln(np.ones_like(df) / 2, df / 2)
        - np.log(df) / 2
    ),
    cdf=lambda z, df: sc.stdtr(df, z),
    sf=lambda z, df: sc.stdtr(df, -z),
    ppf=lambda q, df: sc.stdtrit(df, q),
    isf=lambda q, df: -sc.stdtrit(df, q),
)
gamma = Continuous(
    "gamma",
    ("a",),
    logpdf=lambda z, a: sc.xlogy(a - 1, z) - z - sc.gammaln(a),
    cdf=lambda z, a: sc.gammainc(a, z),
    sf=lambda z, a: sc.gammaincc(a, z),
    ppf=lambda q, a: sc.gammaincinv(a, q),
    isf=lambda q, a: sc.gammainccinv(a, q),
    support=(0, INF),
)
chi2 = Continuous(
    "chi2",
    ("df",),
    logpdf=lambda z, df: sc.xlogy(df / 2 - 1, z) - z / 2 - sc.gammaln(df / 2) - df / 2 * LOG_2,
    cdf=lambda z, df: sc.chdtr(df, z),
    sf=lambda z, df: sc.chdtrc(df, z),
    ppf=lambda q, df: 2 * sc.gammaincinv(df / 2, q),
    isf=lambda q, df: sc.chdtri(df, q),
    support=(0, INF),
)
beta = Continuous(
    "beta",
    ("a", "b"),
    logpdf=lambda z, a, b: sc.xlogy(a - 1, z) + sc.xlog1py(b - 1, -z) - sc.betaln(a, b),
    cdf=lambda z, a, b: sc.betainc(a, b, z),
    sf=lambda z, a, b: sc.betaincc(a, b, z),
    ppf=lambda q, a, b: sc.betaincinv(a, b, q),
    isf=lambda q, a, b: sc.betainccinv(a, b, q),
    support=(0, 1),
)
expon = Continuous(
    "expon",
    (),
    logpdf=lambda z: -z,
    cdf=lambda z: -np.expm1(-z),
    sf=lambda z: np.exp(-z),
    logsf=lambda z: -z,
    ppf=lambda q: -np.log1p(-q),
    isf=lambda q: -np.log(q),
    support=(0, INF),
)
uniform = Continuous(
    "uniform",
    (),
    logpdf=lambda z: 0 * z,
    cdf=lambda z: z,
    sf=lambda z: 1 - z,
    ppf=lambda q: q,
    support=(0, 1),
)
laplace = Continuous(
    "laplace",
    (),
    logpdf=lambda z: -np.abs(z) - LOG_2,
    cdf=lambda z: np.where(z > 0, 1 - np.exp(-np.abs(z)) / 2, np.exp(-np.abs(z)) / 2),
    sf=lambda z: np.where(z > 0, np.exp(-np.abs(z)) / 2, 1 - np.exp(-np.abs(z)) / 2),
    ppf=lambda q: np.where(q > 0.5, -np.log(2 * (1 - q)), np.log(2 * q)),
    isf=lambda q: np.where(q > 0.5, np.log(2 * (1 - q)), -np.log(2 * q)),
)
logistic = Continuous(
    "logistic",
    (),
    logpdf=lambda z: sc.log_expit(z) + sc.log_expit(-z),
    cdf=sc.expit,
    sf=lambda z: sc.expit(-z),
    logcdf=sc.log_expit,
    logsf=lambda z: sc.log_expit(-z),
    ppf=sc.logit,
    isf=lambda q: -sc.logit(q),
)
cauchy = Continuous(
    "cauchy",
    (),
    logpdf=lambda z: -np.log1p(z * z) - LOG_PI,
    cdf=lambda z: np.arctan2(1, -z) / np.pi,
    sf=lambda z: np.arctan2(1, z) / np.pi,
    ppf=lambda q: -1 / np.tan(np.pi * q),
    isf=lambda q: 1 / np.tan(np.pi * q),
)
lognorm = Continuous(
    "lognorm",
    ("s",),
    logpdf=lambda z, s: -np.log(z) * np.log(z) / (2 * s * s) - np.log(s * z) - HALF_LOG_2PI,
    cdf=lambda z, s: sc.ndtr(np.log(z) / s),
    sf=lambda z, s: sc.ndtr(-np.log(z) / s),
    logcdf=lambda z, s: sc.log_ndtr(np.log(z) / s),
    logsf=lambda z, s: sc.log_ndtr(-np.log(z) / s),
    ppf=lambda q, s: np.exp(s * sc.ndtri(q)),
    isf=lambda q, s: np.exp(-s * sc.ndtri(q)),
    support=(0, INF),
)

# --- discrete distributions ----------------------------------------------------------------------


def _log_binom(n: Any, k: Any) -> Any:
    return sc.gammaln(n + 1.0) - sc.gammaln(k + 1.0) - sc.gammaln(n - k + 1.0)


poisson = Discrete(
    "poisson",
    ("mu",),
    logpmf=lambda k, mu: sc.xlogy(k, mu) - sc.gammaln(k + 1.0) - mu,
    cdf=sc.pdtr,
    sf=sc.pdtrc,
)
bernoulli = Discrete(
    "bernoulli",
    ("p",),
    logpmf=lambda k, p: sc.xlogy(k, p) + sc.xlog1py(1 - k, -p),
    cdf=lambda k, p: np.where(k < 1, 1 - p, 1.0),
    sf=lambda k, p: np.where(k < 1, p, 0.0),
    top=lambda p: 1,
)
binom = Discrete(
    "binom",
    ("n", "p"),
    logpmf=lambda k, n, p: _log_binom(n, k) + sc.xlogy(k, p) + sc.xlog1py(n - k, -p),
    cdf=sc.bdtr,
    sf=sc.bdtrc,
    top=lambda n, p: n,
)
nbinom = Discrete(
    "nbinom",
    ("n", "p"),
    logpmf=lambda k, n, p: (
        sc.gammaln(n + k) - sc.gammaln(k + 1.0) - sc.gammaln(n) + n * np.log(p) + sc.xlog1py(k, -p)
    ),
    cdf=lambda k, n, p: sc.betainc(n, k + 1.0, p),
    sf=lambda k, n, p: sc.betaincc(n, k + 1.0, p),
)

# --- several variables ---------------------------------------------------------------------------


class MultivariateNormal:
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


class Dirichlet:
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


multivariate_normal = MultivariateNormal()
dirichlet = Dirichlet()
