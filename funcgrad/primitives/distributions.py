"""Distribution functions of `scipy.special`: incomplete gamma and beta functions, their kin and their inverses.

The derivatives by the argument are densities; those by a shape parameter are integrals of the density times
its score, by quadrature. An inverse takes its derivatives from the function that it inverts:

    F(a, x) = p   gives   dx/dp = 1 / F_x   and   dx/da = -F_a / F_x
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import concrete
from funcgrad.primitives.special import PI, ROOT_2PI, refused, rule, sc

# --- quadrature: the integral over s > 0, decaying from s = 0 on ---------------------------------

# The exp-sinh rule (Takahasi & Mori, Double exponential formulas for numerical integration, 1974).
_STEP = 1 / 32
_PLACES = np.arange(-4.0, 3.0, _STEP)
_S = np.exp(PI / 2 * np.sinh(_PLACES))
_WEIGHTS = _S * PI / 2 * np.cosh(_PLACES) * _STEP
_SHRINK = np.exp(-_S)
_TINY = float(np.finfo(float).tiny)


def _column(x: Any) -> Any:
    return np.expand_dims(x, -1)


def _gamma_slope(a: Any, x: Any) -> Any:
    """Return the derivative of gammainc by its shape: from the side of x that the mode is not on.

    The integrand is the density times log(t) - psi(a), with t = x e^-s below x and t = x + s above.
    """
    a, x, mean = _column(a), np.maximum(_column(x), _TINY), sc.psi(_column(a))
    log, t = np.log(x) - _S, x * _SHRINK
    below = (log - mean) * np.exp(a * log - t - sc.gammaln(a)) @ _WEIGHTS
    t = x + _S
    log = np.log(t)
    above = (log - mean) * np.exp((a - 1) * log - t - sc.gammaln(a)) @ _WEIGHTS
    return np.where(x[..., 0] < a[..., 0], below, -above)


def _beta_scores(a: Any, b: Any, x: Any) -> Any:
    """Return the derivatives of betainc by both shapes, for x below the mean; t = x e^-s."""
    log, rest = np.log(x) - _S, np.log1p(-x * _SHRINK)
    weights = np.exp(a * log + (b - 1) * rest - sc.betaln(a, b)) * _WEIGHTS
    both = sc.psi(a + b)
    return (
        np.sum((log - sc.psi(a) + both) * weights, axis=-1),
        np.sum((rest - sc.psi(b) + both) * weights, axis=-1),
    )


def _beta_slopes(a: Any, b: Any, x: Any) -> Any:
    """Return the derivatives of betainc by both shapes; above the mean, of 1 - betainc(b, a, 1 - x)."""
    a, b, x = _column(a), _column(b), np.minimum(np.maximum(_column(x), _TINY), 1 - 1e-16)
    low = (x < a / (a + b))[..., 0]
    (a_below, b_below), (b_above, a_above) = _beta_scores(a, b, x), _beta_scores(b, a, 1 - x)
    return np.where(low, a_below, -a_above), np.where(low, b_below, -b_above)


# --- a distribution, its complement and its inverses ---------------------------------------------


def _named(partial: Callable[..., Any], n: int) -> Any:
    """Give `partial(ct, ans, *args)` the parameters that the tape reads."""
    return (
        lambda ct, ans, x, y: partial(ct, ans, x, y),
        lambda ct, ans, x, y, z: partial(ct, ans, x, y, z),
        lambda ct, ans, x, y, z, w: partial(ct, ans, x, y, z, w),
    )[n - 2]


def _slope(slope: Any, sign: int, n: int) -> Any:
    if slope is None or slope is STEP:
        return refused if slope is None else None
    return _named(lambda ct, ans, *args: sign * ct * slope(*args), n)


def distribution(name: str, complement: str, *slopes: Any) -> None:
    """Declare F and 1 - F; each slope is the derivative of F by an argument, or None, or STEP."""
    n = len(slopes)
    rule(name, *[_slope(slope, 1, n) for slope in slopes])
    rule(complement, *[_slope(slope, -1, n) for slope in slopes])


def inverse(name: str, unknown: int, *slopes: Any, sign: int = 1) -> None:
    """Declare the inverse of F (of 1 - F with sign -1) by its argument `unknown`, in whose place stands p."""
    rule(name, *[_implicit(slopes, unknown, j, sign) for j in range(len(slopes))])


def _implicit(slopes: Any, unknown: int, j: int, sign: int) -> Any:
    down, up = slopes[unknown], slopes[j]
    if down is None or up is None:
        return refused
    if up is STEP:
        return None

    def partial(ct: Any, ans: Any, *args: Any) -> Any:
        known = (*args[:unknown], ans, *args[unknown + 1 :])
        return ct / (sign * down(*known)) if j == unknown else -ct * up(*known) / down(*known)

    return _named(partial, len(slopes))


STEP = object()  # the distribution is constant between whole numbers of this argument

# --- gamma, chi-square and Poisson (8.8) ---------------------------------------------------------


def _gamma_density(a: Any, x: Any) -> Any:
    return np.exp(sc.xlogy(a - 1, x) - x - sc.gammaln(a))


GAMMA = (_gamma_slope, _gamma_density)
CHI2 = (
    lambda v, x: _gamma_slope(v / 2, x / 2) / 2,
    lambda v, x: _gamma_density(v / 2, x / 2) / 2,
)
SCALED = (
    lambda a, b, x: x * _gamma_density(b, a * x),
    lambda a, b, x: _gamma_slope(b, a * x),
    lambda a, b, x: a * _gamma_density(b, a * x),
)
POISSON = (lambda k, m: -_gamma_slope(k + 1, m), lambda k, m: -_gamma_density(k + 1, m))

distribution("gammainc", "gammaincc", *GAMMA)
inverse("gammaincinv", 1, *GAMMA)
inverse("gammainccinv", 1, *GAMMA, sign=-1)
distribution("chdtr", "chdtrc", *CHI2)
inverse("chdtri", 1, *CHI2, sign=-1)
inverse("chdtriv", 0, *CHI2)
distribution("gdtr", "gdtrc", *SCALED)
inverse("gdtria", 0, *SCALED)
inverse("gdtrib", 1, *SCALED)
inverse("gdtrix", 2, *SCALED)
# The counts of events are whole numbers: the functions round them down; pdtrik and the like do not.
_POISSON = (STEP, lambda k, m: POISSON[1](np.floor(k), m))
distribution("pdtr", "pdtrc", *_POISSON)
inverse("pdtri", 1, *_POISSON)
inverse("pdtrik", 0, *POISSON)

# --- beta, Student's t, F, binomial (8.17) -------------------------------------------------------


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    return np.exp(sc.xlogy(a - 1, x) + sc.xlog1py(b - 1, -x) - sc.betaln(a, b))


BETA = (
    lambda a, b, x: _beta_slopes(a, b, x)[0],
    lambda a, b, x: _beta_slopes(a, b, x)[1],
    _beta_density,
)


# F is half of betainc(df / 2, 1 / 2, df / (df + t^2)) for t < 0, and 1 less that for t > 0.
def _t_slope(df: Any, t: Any) -> Any:
    square = np.where(t == 0, 1, t * t)  # at 0 the sign is 0
    at = df / (df + square)
    slope = BETA[0](df / 2, 0.5, at) / 2
    slope = slope + _beta_density(df / 2, 0.5, at) * square / (df + square) ** 2
    return -np.sign(t) * slope / 2


def _t_density(df: Any, t: Any) -> Any:
    return np.exp(-(df + 1) / 2 * np.log1p(t * t / df) - sc.betaln(0.5, df / 2)) / np.sqrt(df)


STUDENT = (_t_slope, _t_density)


# F is betainc(m / 2, n / 2, m x / (m x + n)).
def _f_slope(i: int) -> Callable[..., Any]:
    def slope(m: Any, n: Any, x: Any) -> Any:
        whole = m * x + n
        at = m * x / whole
        moved = (x * n, -m * x, m * n)[i] / whole**2
        slope = _beta_density(m / 2, n / 2, at) * moved
        return slope if i == 2 else slope + BETA[i](m / 2, n / 2, at) / 2

    return slope


FISHER = tuple([_f_slope(i) for i in range(3)])


# F is betainc(n - k, k + 1, 1 - p).
def _binomial_slopes(k: Any, n: Any, p: Any) -> Any:
    by_a, by_b = _beta_slopes(n - k, k + 1, 1 - p)
    return by_b - by_a, by_a


BINOMIAL = (
    lambda k, n, p: _binomial_slopes(k, n, p)[0],
    lambda k, n, p: _binomial_slopes(k, n, p)[1],
    lambda k, n, p: -_beta_density(n - k, k + 1, 1 - p),
)
NEGATIVE_BINOMIAL = (  # F is betainc(n, k + 1, p)
    lambda k, n, p: _beta_slopes(n, k + 1, p)[1],
    lambda k, n, p: _beta_slopes(n, k + 1, p)[0],
    lambda k, n, p: _beta_density(n, k + 1, p),
)

distribution("betainc", "betaincc", *BETA)
inverse("betaincinv", 2, *BETA)
inverse("betainccinv", 2, *BETA, sign=-1)
inverse("btdtria", 0, *BETA)
inverse("btdtrib", 1, *BETA)
distribution("stdtr", "", *STUDENT)
inverse("stdtrit", 1, *STUDENT)
inverse("stdtridf", 0, *STUDENT)
distribution("fdtr", "fdtrc", *FISHER)
inverse("fdtri", 2, *FISHER)
inverse("fdtridfd", 1, *FISHER)
_BINOMIAL = (STEP, None, lambda k, n, p: BINOMIAL[2](np.floor(k), n, p))
distribution("bdtr", "bdtrc", *_BINOMIAL)
inverse("bdtri", 2, *_BINOMIAL)
inverse("bdtrik", 0, *BINOMIAL)
inverse("bdtrin", 1, *BINOMIAL)
_NEGATIVE = (None, None, NEGATIVE_BINOMIAL[2])
distribution("nbdtr", "nbdtrc", *_NEGATIVE)
inverse("nbdtri", 2, *_NEGATIVE)
inverse("nbdtrik", 0, *NEGATIVE_BINOMIAL)
inverse("nbdtrin", 1, *NEGATIVE_BINOMIAL)

# --- the normal distribution and Tukey's lambda --------------------------------------------------

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
rule("tklmbda", lambda ct, ans, y: ct / (ans ** (y - 1) + (1 - ans) ** (y - 1)), refused)


# --- noncentral distributions: the shapes have no closed form ------------------------------------


def _noncentral_density(x: Any, df: Any, nc: Any) -> Any:
    bell = np.exp(-((np.sqrt(x) - np.sqrt(nc)) ** 2) / 2)
    return bell * (x / nc) ** ((df - 2) / 4) * sc.ive(df / 2 - 1, np.sqrt(x * nc)) / 2


NONCENTRAL_CHI2 = (
    _noncentral_density,
    None,
    lambda x, df, nc: (sc.chndtr(x, df + 2, nc) - sc.chndtr(x, df, nc)) / 2,
)


# With V of a chi-square distribution of df degrees, F = E[Phi(t sqrt(V / df) - nc)], so the slopes are
# means of phi(t sqrt(V / df) - nc) V^(k - df/2), which are 1F1 functions (13.4.4).
def _gaussian_mean(k: Any, df: Any, nc: Any, t: Any) -> Any:
    half = df / 2
    scale = (1 + t * t / df) / 2
    p = nc * t / np.sqrt(df)
    z = p * p / (4 * scale)
    even = np.exp(sc.gammaln(k) - sc.gammaln(half)) * sc.hyp1f1(k, 0.5, z)
    odd = np.exp(sc.gammaln(k + 0.5) - sc.gammaln(half)) * sc.hyp1f1(k + 0.5, 1.5, z)
    mean = scale**-k * (even + p / np.sqrt(scale) * odd)
    return mean * np.exp(-nc * nc / 2 - half * np.log(2.0)) / ROOT_2PI


NONCENTRAL_T = (
    None,
    lambda df, nc, t: -_gaussian_mean(df / 2, df, nc, t),
    lambda df, nc, t: _gaussian_mean((df + 1) / 2, df, nc, t) / np.sqrt(df),
)


# F is a Poisson mixture of betainc(m / 2 + j, n / 2, m f / (m f + n)); raising m / 2 by k at the same place
# gives the mixture of betainc(m / 2 + j + k, ...), and a I(a) less a I(a + 1) is x (1 - x) times the density.
def _raised(k: int, m: Any, n: Any, nc: Any, f: Any) -> Any:
    return sc.ncfdtr(m + 2 * k, n, nc, f * m / (m + 2 * k))


def _noncentral_f_density(m: Any, n: Any, nc: Any, f: Any) -> Any:
    zero, one, two = [_raised(k, m, n, nc, f) for k in range(3)]
    return (m / 2 * (zero - one) + nc / 2 * (one - two)) / f


NONCENTRAL_F = (
    None,
    None,
    lambda m, n, nc, f: (_raised(1, m, n, nc, f) - _raised(0, m, n, nc, f)) / 2,
    _noncentral_f_density,
)

distribution("chndtr", "", *NONCENTRAL_CHI2)
inverse("chndtrix", 0, *NONCENTRAL_CHI2)
inverse("chndtrinc", 2, *NONCENTRAL_CHI2)
distribution("nctdtr", "", *NONCENTRAL_T)
inverse("nctdtrit", 2, *NONCENTRAL_T)
inverse("nctdtrinc", 1, *NONCENTRAL_T)
distribution("ncfdtr", "", *NONCENTRAL_F)
inverse("ncfdtri", 3, *NONCENTRAL_F)

# --- the Kolmogorov-Smirnov statistic ------------------------------------------------------------

_K = np.arange(1.0, 9.0)


def _kolmogorov_slope(x: Any) -> Any:
    """Differentiate the two series of the distribution (Marsaglia, Tsang & Wang, 2003) term by term."""
    small = x < 1
    y = _column(np.where(small, np.maximum(x, 0.04), 1))
    c = (2 * _K - 1) ** 2 * PI**2 / 8
    near = ROOT_2PI * np.sum(np.exp(-c / y**2) * (1 / y**2 - 2 * c / y**4), axis=-1)
    z = _column(np.where(small, 1, x))
    far = np.sum(-((-1) ** (_K - 1)) * _K**2 * np.exp(-2 * (_K * z) ** 2), axis=-1) * z[..., 0]
    return np.where(x < 0.04, 0, np.where(small, near, 8 * far))


def _smirnov_slope(n: Any, d: Any) -> Any:
    """Differentiate d sum_j C(n, j) (d + j/n)^(j - 1) (1 - d - j/n)^(n - j) over 1 - d - j/n > 0."""
    j = np.arange(np.max(concrete(n), initial=0) + 1.0)
    n, d = _column(n * 1.0), _column(d)
    up, down = d + j / n, 1 - d - j / n
    inside = (down > 0) & (j <= n)
    up, down = np.where(inside, up, 1), np.where(inside, down, 1)
    last = np.where(j == n - 1, 1, down)  # to the power of 0
    slope = (j - 1) * d / up + 1
    terms = up ** (j - 1) * (
        slope * down ** np.maximum(n - j, 0) - (n - j) * d * last ** (n - j - 1)
    )
    return np.sum(np.where(inside, sc.binom(n, j) * terms, 0), axis=-1)


rule("kolmogorov", lambda x: _kolmogorov_slope(x))
rule("kolmogi", lambda ct, ans: ct / _kolmogorov_slope(ans))
rule("smirnov", None, lambda x, y: _smirnov_slope(x, y))
rule("smirnovi", None, lambda ct, ans, x: ct / _smirnov_slope(x, ans))
