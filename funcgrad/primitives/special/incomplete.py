"""Incomplete gamma and beta functions (https://dlmf.nist.gov: 8.8, 8.17), and the distributions they give.

The derivatives by a parameter are moments of the distribution: `moments.py`. Those of an inverse
follow from the function it inverts: `rules.inverse`.
"""

from typing import Any

import numpy as np

from funcgrad.primitives.special.elementary import boxcox_by_exponent
from funcgrad.primitives.special.moments import (
    beta_by_a,
    beta_by_b,
    beta_slope,
    gamma_by_a,
    gamma_density,
    logit_density,
)
from funcgrad.primitives.special.rules import (
    ROOT_2PI,
    declare,
    declared,
    inverse,
    refused,
    rule,
    sc,
)

Slopes = tuple[Any, ...]
TINY = 1e-37  # in place of 0 under a logarithm, in single precision too


def upper(slopes: Slopes) -> Slopes:
    """Return the partial derivatives of 1 - F from those of F."""
    return tuple([_negative(slope) for slope in slopes])


def _negative(slope: Any) -> Any:
    return slope if slope is refused else lambda *args: -slope(*args)


def stopping(slopes: Slopes) -> Slopes:
    """Return the partial derivatives for an inverse by the first argument, a count.

    SciPy returns the count 0 for every probability below that of 0: its derivatives are 0.
    """
    first = slopes[0]
    return (lambda k, *args: np.where(k == 0, np.inf, first(k, *args)), *slopes[1:])


def both(name: str, complement: str, slopes: Slopes) -> None:
    """Declare a distribution function and its complement."""
    declare(name, slopes)
    declare(complement, upper(slopes))


# --- gamma ---------------------------------------------------------------------------------------

GAMMA: Slopes = (gamma_by_a, gamma_density)
both("gammainc", "gammaincc", GAMMA)
inverse("gammaincinv", GAMMA, (0, "p"))
inverse("gammainccinv", GAMMA, (0, "p"), sign=-1)

CHI_SQUARE: Slopes = (
    lambda df, x: gamma_by_a(df / 2, x / 2) / 2,
    lambda df, x: gamma_density(df / 2, x / 2) / 2,
)
both("chdtr", "chdtrc", CHI_SQUARE)
inverse("chdtri", CHI_SQUARE, (0, "p"), sign=-1)
inverse("chdtriv", CHI_SQUARE, ("p", 1))

# With a rate a and a shape b: P(b, a x)
RATE: Slopes = (
    lambda a, b, x: x * gamma_density(b, a * x),
    lambda a, b, x: gamma_by_a(b, a * x),
    lambda a, b, x: a * gamma_density(b, a * x),
)
both("gdtr", "gdtrc", RATE)
inverse("gdtria", RATE, ("p", 1, 2))
inverse("gdtrib", RATE, (0, "p", 2))
inverse("gdtrix", RATE, (0, 1, "p"))

# The Poisson distribution: 1 - P(k + 1, m). SciPy rounds the count down, except where it solves for it.
rule("pdtr", None, lambda x, y: -gamma_density(np.floor(x) + 1, y))
rule("pdtrc", None, lambda x, y: gamma_density(np.floor(x) + 1, y))
rule("pdtri", None, lambda x, ans: -1 / gamma_density(np.floor(x) + 1, ans))
POISSON: Slopes = (
    lambda k, m: -gamma_by_a(k + 1, m),
    lambda k, m: -gamma_density(k + 1, m),
)
inverse("pdtrik", stopping(POISSON), ("p", 1))

# --- beta ----------------------------------------------------------------------------------------


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """Return the density of the beta distribution, the derivative of betainc by x."""
    return np.exp(sc.xlogy(a - 1, x) + sc.xlog1py(b - 1, -x) - sc.betaln(a, b))


BETA: Slopes = (
    lambda a, b, x: beta_by_a(a, b, sc.logit(x)),
    lambda a, b, x: beta_by_b(a, b, sc.logit(x)),
    beta_density,
)
both("betainc", "betaincc", BETA)
inverse("betaincinv", BETA, (0, 1, "p"))
inverse("betainccinv", BETA, (0, 1, "p"), sign=-1)
inverse("btdtria", BETA, ("p", 1, 2))
inverse("btdtrib", BETA, (0, "p", 2))


def _f_logit(m: Any, n: Any, x: Any) -> Any:
    return np.log(np.maximum(m * x, TINY) / n)


def _f_density(m: Any, n: Any, x: Any) -> Any:
    finite = x < np.inf
    x = np.where(finite, x, 1)
    at = m * x / (m * x + n)
    return np.where(finite, beta_density(m / 2, n / 2, at) * m * n / (m * x + n) ** 2, 0)


def _at_logit(moment: Any, m: Any, n: Any, x: Any) -> Any:
    return moment(m / 2, n / 2, _f_logit(m, n, x))


F: Slopes = (
    lambda m, n, x: _at_logit(beta_by_a, m, n, x) / 2 + _at_logit(logit_density, m, n, x) / m,
    lambda m, n, x: _at_logit(beta_by_b, m, n, x) / 2 - _at_logit(logit_density, m, n, x) / n,
    _f_density,
)
both("fdtr", "fdtrc", F)
inverse("fdtri", F, (0, 1, "p"))
inverse("fdtridfd", F, (0, "p", 2))


def _t_density(df: Any, t: Any) -> Any:
    half = np.multiply(df, 0) + 0.5  # in the precision of df
    return np.exp(-(df + 1) / 2 * np.log1p(t * t / df) - sc.betaln(half, df / 2)) / np.sqrt(df)


def _t_logit(df: Any, t: Any) -> Any:
    return np.log(np.maximum(t * t, TINY) / df)


def _t_by_df(df: Any, t: Any) -> Any:
    """Return the derivative of 1/2 + sign(t) I(1/2, df / 2) / 2 at the logit log(t^2 / df)."""
    moved = beta_by_b(0.5, df / 2, _t_logit(df, t))
    return np.sign(t) * moved / 4 - t * _t_density(df, t) / (2 * df)


def _t_by_df_df(df: Any, t: Any) -> Any:
    at = (0.5, df / 2, _t_logit(df, t))
    moved = beta_slope(1, 0, 1, 1, *at) / 2 - beta_slope(2, 0, 1, 1, *at) / df
    density = _t_density(df, t) / df - _t_density_by_df(df, t)
    return np.sign(t) * moved / 4 + t * density / (2 * df)


def _t_density_by_df(df: Any, t: Any) -> Any:
    ratio = t * t / df
    centre = sc.psi((df + 1) / 2) - sc.psi(df / 2)
    return _t_density(df, t) * (centre - np.log1p(ratio) + (ratio - 1 / df) / (1 + ratio)) / 2


# A primitive of its own: the logit has no derivative at t = 0, where this one has.
t_by_df = declared(
    "stdtr by df",
    _t_by_df,
    lambda x, y: _t_by_df_df(x, y),
    lambda x, y: _t_density_by_df(x, y),
)

T: Slopes = (t_by_df, _t_density)
declare("stdtr", T)
inverse("stdtrit", T, (0, "p"))
inverse("stdtridf", T, ("p", 1))

# The binomial distributions: I(n - k, k + 1) at 1 - p, and I(n, k + 1) at p; SciPy takes whole parts
rule("bdtr", None, refused, lambda x, y, z: -_binomial(x, y, z))
rule("bdtrc", None, refused, lambda x, y, z: _binomial(x, y, z))
rule("bdtri", None, refused, lambda x, y, ans: -1 / _binomial(x, y, ans))
rule("nbdtr", refused, refused, lambda x, y, z: _negative_binomial(x, y, z))
rule("nbdtrc", refused, refused, lambda x, y, z: -_negative_binomial(x, y, z))
rule("nbdtri", refused, refused, lambda x, y, ans: 1 / _negative_binomial(x, y, ans))


def _binomial(k: Any, n: Any, p: Any) -> Any:
    k = np.floor(k)
    return beta_density(k + 1, np.trunc(n) - k, p)


def _negative_binomial(k: Any, n: Any, p: Any) -> Any:
    return beta_density(np.trunc(n), np.trunc(k) + 1, p)


BINOMIAL: Slopes = (
    lambda k, n, p: beta_by_b(n - k, k + 1, -sc.logit(p)) - beta_by_a(n - k, k + 1, -sc.logit(p)),
    lambda k, n, p: beta_by_a(n - k, k + 1, -sc.logit(p)),
    lambda k, n, p: -beta_density(k + 1, n - k, p),
)
inverse("bdtrik", stopping(BINOMIAL), ("p", 1, 2))
inverse("bdtrin", BINOMIAL, (0, "p", 2))

NEGATIVE_BINOMIAL: Slopes = (
    lambda k, n, p: beta_by_b(n, k + 1, sc.logit(p)),
    lambda k, n, p: beta_by_a(n, k + 1, sc.logit(p)),
    lambda k, n, p: beta_density(n, k + 1, p),
)
inverse("nbdtrik", stopping(NEGATIVE_BINOMIAL), ("p", 1, 2))
inverse("nbdtrin", NEGATIVE_BINOMIAL, (0, "p", 2))

# --- normal and Tukey ----------------------------------------------------------------------------

rule(
    "nrdtrimn",
    lambda x, y: -ROOT_2PI * y * np.exp(sc.ndtri(x) ** 2 / 2),
    lambda x: -sc.ndtri(x),
    1,
)
rule(
    "nrdtrisd",
    lambda ct, y: -ct / sc.ndtri(y),
    lambda ans, y: -ans * ROOT_2PI * np.exp(sc.ndtri(y) ** 2 / 2) / sc.ndtri(y),
    lambda ct, y: ct / sc.ndtri(y),
)

# The quantile of p is (p^lambda - (1 - p)^lambda) / lambda: a difference of two boxcox.
rule(
    "tklmbda",
    lambda ct, ans, y: ct * _tukey_density(ans, y),
    lambda ct, ans, y: ct * _tukey_density(ans, y) * _tukey_shift(ans, y),
)


def _inside(p: Any) -> Any:
    """Return a probability, and 1/2 in place of 0 and 1, which are those outside the support."""
    return np.where((p > 0) & (p < 1), p, 0.5)


def _tukey_density(p: Any, y: Any) -> Any:
    q = _inside(p)
    return np.where(p == q, 1 / (q ** (y - 1) + (1 - q) ** (y - 1)), 0)


def _tukey_shift(p: Any, y: Any) -> Any:
    q = _inside(p)
    return boxcox_by_exponent(np.log1p(-q), y) - boxcox_by_exponent(np.log(q), y)
