"""The continuous distributions, each from the functions of its standard form."""

import importlib
from typing import Any

import numpy as np

from funcgrad.scipy.stats.families import INF, Continuous, log

sc: Any = importlib.import_module("scipy.special")

LOG_2, LOG_PI = float(np.log(2.0)), float(np.log(np.pi))
HALF_LOG_2PI = (LOG_2 + LOG_PI) / 2
ROOT_2 = 2**0.5

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


def _t_ppf(q: Any, df: Any) -> Any:
    zero = q == 0  # where stdtrit has the wrong sign
    return np.where(zero, -INF, sc.stdtrit(df, np.where(zero, 0.5, q)))


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
    ppf=_t_ppf,
    isf=lambda q, df: -_t_ppf(q, df),
)
gamma = Continuous(
    "gamma",
    ("a",),
    logpdf=lambda z, a: sc.xlogy(a - 1, z) - z - sc.gammaln(a),
    cdf=lambda z, a: sc.gammainc(a, z),
    sf=lambda z, a: sc.gammaincc(a, z),
    ppf=lambda q, a: sc.gammaincinv(a, q),
    isf=lambda q, a: sc.gammainccinv(a, q),
    support=(0.0, INF),
)
chi2 = Continuous(
    "chi2",
    ("df",),
    logpdf=lambda z, df: sc.xlogy(df / 2 - 1, z) - z / 2 - sc.gammaln(df / 2) - df / 2 * LOG_2,
    cdf=lambda z, df: sc.chdtr(df, z),
    sf=lambda z, df: sc.chdtrc(df, z),
    ppf=lambda q, df: 2 * sc.gammaincinv(df / 2, q),
    isf=lambda q, df: sc.chdtri(df, q),
    support=(0.0, INF),
)
beta = Continuous(
    "beta",
    ("a", "b"),
    logpdf=lambda z, a, b: sc.xlogy(a - 1, z) + sc.xlog1py(b - 1, -z) - sc.betaln(a, b),
    cdf=lambda z, a, b: sc.betainc(a, b, z),
    sf=lambda z, a, b: sc.betaincc(a, b, z),
    ppf=lambda q, a, b: sc.betaincinv(a, b, q),
    isf=lambda q, a, b: sc.betainccinv(a, b, q),
    support=(0.0, 1.0),
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
    support=(0.0, INF),
)
uniform = Continuous(
    "uniform",
    (),
    logpdf=lambda z: 0 * z,
    cdf=lambda z: z,
    sf=lambda z: 1 - z,
    ppf=lambda q: q,
    support=(0.0, 1.0),
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
    ppf=lambda q: np.where(q < 0.5, -1 / np.tan(np.pi * q), 1 / np.tan(np.pi * (1 - q))),
    isf=lambda q: np.where(q < 0.5, 1 / np.tan(np.pi * q), -1 / np.tan(np.pi * (1 - q))),
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
    support=(0.0, INF),
    open=True,
)
halfnorm = Continuous(
    "halfnorm",
    (),
    logpdf=lambda z: -z * z / 2 + (LOG_2 - LOG_PI) / 2,
    cdf=lambda z: sc.erf(z / ROOT_2),
    sf=lambda z: sc.erfc(z / ROOT_2),
    ppf=lambda q: ROOT_2 * sc.erfinv(q),
    isf=lambda q: ROOT_2 * sc.erfcinv(q),
    support=(0.0, INF),
)
f = Continuous(
    "f",
    ("dfn", "dfd"),
    logpdf=lambda z, m, n: (
        sc.xlogy(m / 2, m / n)
        + sc.xlogy(m / 2 - 1, z)
        - (m + n) / 2 * np.log1p(m * z / n)
        - sc.betaln(m / 2, n / 2)
    ),
    cdf=lambda z, m, n: sc.fdtr(m, n, z),
    sf=lambda z, m, n: sc.fdtrc(m, n, z),
    ppf=lambda q, m, n: sc.fdtri(m, n, q),
    support=(0.0, INF),
)
invgamma = Continuous(
    "invgamma",
    ("a",),
    logpdf=lambda z, a: -(a + 1) * np.log(z) - 1 / z - sc.gammaln(a),
    cdf=lambda z, a: sc.gammaincc(a, 1 / z),
    sf=lambda z, a: sc.gammainc(a, 1 / z),
    ppf=lambda q, a: 1 / sc.gammainccinv(a, q),
    isf=lambda q, a: 1 / sc.gammaincinv(a, q),
    support=(0.0, INF),
    open=True,
)
pareto = Continuous(
    "pareto",
    ("b",),
    logpdf=lambda z, b: np.log(b) - (b + 1) * np.log(z),
    cdf=lambda z, b: -np.expm1(-b * np.log(z)),
    sf=lambda z, b: np.exp(-b * np.log(z)),
    logsf=lambda z, b: -b * np.log(z),
    ppf=lambda q, b: np.exp(-np.log1p(-q) / b),
    isf=lambda q, b: np.exp(-np.log(q) / b),
    support=(1.0, INF),
)
weibull_min = Continuous(
    "weibull_min",
    ("c",),
    logpdf=lambda z, c: np.log(c) + sc.xlogy(c - 1, z) - z**c,
    cdf=lambda z, c: -np.expm1(-(z**c)),
    sf=lambda z, c: np.exp(-(z**c)),
    logsf=lambda z, c: -(z**c),
    ppf=lambda q, c: (-np.log1p(-q)) ** (1 / c),
    isf=lambda q, c: (-np.log(q)) ** (1 / c),
    support=(0.0, INF),
)
gumbel_r = Continuous(
    "gumbel_r",
    (),
    logpdf=lambda z: -z - np.exp(-z),
    cdf=lambda z: np.exp(-np.exp(-z)),
    sf=lambda z: -np.expm1(-np.exp(-z)),
    logcdf=lambda z: -np.exp(-z),
    ppf=lambda q: -np.log(-np.log(q)),
    isf=lambda q: -np.log(-np.log1p(-q)),
    open=True,
)
gumbel_l = Continuous(
    "gumbel_l",
    (),
    logpdf=lambda z: z - np.exp(z),
    cdf=lambda z: -np.expm1(-np.exp(z)),
    sf=lambda z: np.exp(-np.exp(z)),
    logsf=lambda z: -np.exp(z),
    ppf=lambda q: np.log(-np.log1p(-q)),
    isf=lambda q: np.log(-np.log(q)),
    open=True,
)


def _gennorm_cdf(z: Any, b: Any) -> Any:
    tail = sc.gammaincc(1 / b, np.abs(z) ** b) / 2
    return np.where(z > 0, 1 - tail, tail)


gennorm = Continuous(
    "gennorm",
    ("beta",),
    logpdf=lambda z, b: np.log(b / 2) - sc.gammaln(1 / b) - np.abs(z) ** b,
    cdf=_gennorm_cdf,
    sf=lambda z, b: _gennorm_cdf(-z, b),
    ppf=lambda q, b: np.sign(q - 0.5) * sc.gammainccinv(1 / b, 1 - np.abs(2 * q - 1)) ** (1 / b),
    isf=lambda q, b: np.sign(0.5 - q) * sc.gammainccinv(1 / b, 1 - np.abs(2 * q - 1)) ** (1 / b),
)


vonmises = Continuous(
    "vonmises",
    ("kappa",),
    logpdf=lambda z, k: k * sc.cosm1(z) - np.log(sc.i0e(k)) - LOG_2 - LOG_PI,
)


def _wrapped(z: Any, c: Any) -> Any:
    """Return the distribution function of `wrapcauchy` on (0, pi)."""
    return np.arctan((1 + c) / (1 - c) * np.tan(z / 2)) / np.pi


def _unwrapped(q: Any, c: Any) -> Any:
    return 2 * np.arctan((1 - c) / (1 + c) * np.tan(np.pi * q))


wrapcauchy = Continuous(
    "wrapcauchy",
    ("c",),
    logpdf=lambda z, c: np.log1p(-c * c) - LOG_2 - LOG_PI - np.log(1 + c * c - 2 * c * np.cos(z)),
    cdf=lambda z, c: np.where(z < np.pi, _wrapped(z, c), 1 - _wrapped(2 * np.pi - z, c)),
    sf=lambda z, c: np.where(z < np.pi, 1 - _wrapped(z, c), _wrapped(2 * np.pi - z, c)),
    ppf=lambda q, c: np.where(q < 0.5, _unwrapped(q, c), 2 * np.pi - _unwrapped(1 - q, c)),
    support=(0.0, float(2 * np.pi)),
)

# --- the truncated normal distribution -----------------------------------------------------------


def _log_mass(a: Any, b: Any) -> Any:
    """Return log(ndtr(b) - ndtr(a)), taken left of 0 if both are right of it: no digits are lost."""
    right = a > 0
    low, high = sc.log_ndtr(np.where(right, -b, a)), sc.log_ndtr(np.where(right, -a, b))
    return high + log(-np.expm1(low - high))


def _truncnorm_ppf(q: Any, a: Any, b: Any) -> Any:
    mass = _log_mass(a, b)
    from_left = sc.ndtri_exp(np.logaddexp(sc.log_ndtr(a), np.log(q) + mass))
    from_right = -sc.ndtri_exp(np.logaddexp(sc.log_ndtr(-b), np.log1p(-q) + mass))
    return np.where(a < 0, from_left, from_right)


truncnorm = Continuous(
    "truncnorm",
    ("a", "b"),
    logpdf=lambda z, a, b: -z * z / 2 - HALF_LOG_2PI - _log_mass(a, b),
    cdf=lambda z, a, b: np.exp(_log_mass(a, z) - _log_mass(a, b)),
    sf=lambda z, a, b: np.exp(_log_mass(z, b) - _log_mass(a, b)),
    logcdf=lambda z, a, b: _log_mass(a, z) - _log_mass(a, b),
    logsf=lambda z, a, b: _log_mass(z, b) - _log_mass(a, b),
    ppf=_truncnorm_ppf,
    support=lambda a, b: (a, b),
    valid=lambda a, b: a < b,
)
