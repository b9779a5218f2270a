"""Noncentral distributions: mixtures of central ones by the weights of a Poisson distribution.

With the weights w_j of mean nc / 2, the noncentral chi-square distribution is the sum of w_j times
the central one with df + 2 j degrees of freedom, and the noncentral F distribution that of
I(m / 2 + j, n / 2) (Johnson, Kotz and Balakrishnan 1995, chapters 29 and 30). Moving the mean of the
weights moves half a degree of freedom: dF / d nc = (F(df + 2) - F(df)) / 2.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import as_array, concrete
from funcgrad.primitives.special.incomplete import TINY
from funcgrad.primitives.special.moments import (
    beta_by_a,
    beta_by_b,
    gamma_by_a,
    gamma_density,
    logit_density,
)
from funcgrad.primitives.special.rules import ROOT_2PI, declare, declared, inverse, refused, sc

Array = Any


def _weight(k: Array, m: Array) -> Array:
    inside = np.maximum(k, -0.5)
    return np.where(k <= -1, 0, np.exp(sc.xlogy(inside, m) - m - sc.gammaln(inside + 1)))


# exp(-m) m^k / gamma(k + 1), whole or half k; 0 for negative whole k
_poisson: Any = declared(
    "poisson weight", _weight, None, lambda x, y: _poisson(x - 1, y) - _poisson(x, y)
)


def _mixture(term: Callable[[Array], Array], nc: Array, half: bool = False) -> Array:
    """Return the sum of w_j term(j), along a last axis that the arguments of `term` have too.

    With `half` the weights are those of j + 1/2.
    """
    mean = as_array(nc / 2)[..., None]
    known = np.isfinite(mean)
    mean = np.where(known, mean, 0.0)
    # nine standard deviations to both sides of the mean, from 0 on
    most = np.max(np.abs(concrete(mean)), initial=0.0)
    reach = int(9 * np.sqrt(most) + 25)
    j = np.maximum(np.floor(mean) - reach, 0) + np.arange(reach + min(reach, int(most) + 1))
    total = np.sum(_poisson(j + half / 2, mean) * term(j), -1)
    return np.where(known[..., 0], total, np.nan)


def _columns(*args: Array) -> list[Array]:
    return [as_array(x)[..., None] for x in args]


# --- chi-square ----------------------------------------------------------------------------------


def _chi_square(central: Any, x: Array, df: Array, nc: Array) -> Array:
    x, df = _columns(x, df)
    return _mixture(lambda j: central(df / 2 + j, x / 2) / 2, nc)


CHI_SQUARE = (
    functools.partial(_chi_square, gamma_density),
    functools.partial(_chi_square, gamma_by_a),
    lambda x, df, nc: (sc.chndtr(x, df + 2, nc) - sc.chndtr(x, df, nc)) / 2,
)
declare("chndtr", CHI_SQUARE)
inverse("chndtrix", CHI_SQUARE, ("p", 1, 2))
inverse("chndtridf", CHI_SQUARE, (0, "p", 2))
inverse("chndtrinc", CHI_SQUARE, (0, 1, "p"))

# --- F: at the logit log(m x / n) ----------------------------------------------------------------


def _f(central: Any, m: Array, n: Array, nc: Array, x: Array) -> Array:
    m, n, x = _columns(m, n, x)
    at = np.log(np.maximum(m * x, TINY) / n)
    return _mixture(lambda j: central(m / 2 + j, n / 2, at), nc)


def _f_by_nc(m: Array, n: Array, nc: Array, x: Array) -> Array:
    return (sc.ncfdtr(m + 2, n, nc, x * m / (m + 2)) - sc.ncfdtr(m, n, nc, x)) / 2


F = (
    lambda m, n, nc, x: _f(beta_by_a, m, n, nc, x) / 2 + _f(logit_density, m, n, nc, x) / m,
    lambda m, n, nc, x: _f(beta_by_b, m, n, nc, x) / 2 - _f(logit_density, m, n, nc, x) / n,
    _f_by_nc,
    lambda m, n, nc, x: _f(logit_density, m, n, nc, x) / x,
)
declare("ncfdtr", F)
inverse("ncfdtri", F, (0, 1, 2, "p"))
inverse("ncfdtridfn", F, ("p", 1, 2, 3))
inverse("ncfdtridfd", F, (0, "p", 2, 3))
inverse("ncfdtrinc", F, (0, 1, "p", 3))

# --- t -------------------------------------------------------------------------------------------

STEPS = np.arange(-6.0, 6.0, 0.08)


@functools.cache
def _bell(m: int) -> Any:
    """Return G_m(df, nc, t), the mean of w^m phi(t w - nc), with w^2 chi-square over df.

    The distribution is the mean of Phi(t w - nc), so its derivatives are G_1 by t and -G_0 by nc.
    """
    return declared(
        f"nctdtr (moment {m})",
        functools.partial(_bell_mean, m),
        refused,
        lambda x, y, z: z * _bell(m + 1)(x, y, z) - y * _bell(m)(x, y, z),
        lambda x, y, z: y * _bell(m + 1)(x, y, z) - z * _bell(m + 2)(x, y, z),
    )


def _bell_mean(m: int, df: Array, nc: Array, t: Array) -> Array:
    """Integrate over u = log w, in which the integrand is log-concave, around its mode."""
    df, nc, t = np.broadcast_arrays(df, nc, t)
    dtype = np.result_type(df, nc, t)
    df, nc, t = (np.asarray(x, np.float64)[..., None] for x in (df, nc, t))
    # the exponent is rate u - curve w^2 / 2 + slope w
    rate, curve, slope = df + m, df + t * t, t * nc
    mode = 2 * rate / (np.sqrt(slope * slope + 4 * rate * curve) - slope)
    width = 1 / np.sqrt(rate + curve * mode * mode)
    u = width * np.sinh(STEPS)
    grown = mode * np.expm1(u)
    top = rate * np.log(mode) - curve * mode * mode / 2 + slope * mode - nc * nc / 2
    total = rate * u - curve * grown * (mode + grown / 2) + slope * grown
    scale = df / 2 * np.log(df / 2) - sc.gammaln(df / 2) + np.log(2)
    values = np.exp(total + top + scale) * width * np.cosh(STEPS)
    return (np.sum(values, -1) * (STEPS[1] - STEPS[0]) / ROOT_2PI).astype(dtype)[()]


def _t_by_df(df: Array, nc: Array, t: Array) -> Array:
    """Differentiate the series of the distribution in I(j + 1/2, df / 2) and I(j + 1, df / 2).

    For t > 0 it is half the sum of the first with the weights of j and of the second with those of
    j + 1/2, which have the sign of nc; F(-t, -nc) = 1 - F(t, nc) (Lenth 1989, algorithm AS 243).
    """
    way = np.sign(t)
    b, at = _columns(df / 2, np.log(np.maximum(t * t, TINY) / df))

    def term(a: Array) -> Array:
        return beta_by_b(a, b, at) / 2 - logit_density(a, b, at) / (2 * b)

    even = _mixture(lambda j: term(j + 0.5), nc * nc)
    odd = np.sign(nc) * _mixture(lambda j: term(j + 1.0), nc * nc, half=True)
    return (way * even + way * way * odd) / 2


T = (
    _t_by_df,
    lambda df, nc, t: -_bell(0)(df, nc, t),
    lambda df, nc, t: _bell(1)(df, nc, t),
)
declare("nctdtr", T)
inverse("nctdtrit", T, (0, 1, "p"))
inverse("nctdtrinc", T, (0, "p", 2))
inverse("nctdtridf", T, ("p", 1, 2))
