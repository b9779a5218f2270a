"""Derivatives of the incomplete gamma and beta functions by their parameters, of any order.

With the density p of the gamma distribution, P(a, x) = int_0^x p(t) dt has the derivative
int_0^x (log t - psi(a)) p(t) dt by a: d p / d a is p times the centred logarithm. So the moments

    M_k = int_0^x (log t - psi(a))^k p(t) dt

hold all derivatives: d M_k / d a = M_(k + 1) - k psi'(a) M_(k - 1). The same holds for the beta
distribution, with the centred logarithms of t and of 1 - t. The integrals are taken over the side
of x on which the centred logarithm has one sign, so that nothing cancels: over (0, x), or minus
the one over (x, inf), which differs by a constant of the recurrence. Along the logarithm of t
(for beta, the logit) the integrand is log-concave, and what is left of it after a fall by
exp(-40) is less than a rounding error.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.primitives.special.rules import declared, sc

FALL = 40.0  # exp(-40) is a rounding error of what stands at the start of an integral
BLOCK = 1024  # entries at a time: a node per entry would not fit into memory
# The integrand changes its rate within a few units of the start and of one more place, where panels
# are finer.
START = np.array([1.0, 3.0, 7.0, 20.0])
AROUND = np.array([-64.0, -20.0, -7.0, -3.0, -1.0, 1.0, 3.0, 7.0, 20.0])
PARTS = np.array([0.0, 0.03, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0])
NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)

Array = Any


def _panels(length: Array, turn: Array) -> tuple[Array, Array]:
    """Return nodes and weights of Gauss-Legendre panels on (0, length), finer around `turn`."""
    length, turn = length[:, None], turn[:, None]
    start = np.broadcast_to(START, (len(length), len(START)))
    edges = np.concatenate(
        [length * PARTS, np.clip(np.hstack([start, turn + AROUND]), 0, length)], -1
    )
    edges.sort(-1)
    half = np.diff(edges)[..., None] / 2
    nodes = edges[:, :-1, None] + half * (1 + NODES)
    return nodes.reshape(len(length), -1), (half * WEIGHTS).reshape(len(length), -1)


def _in_blocks(fun: Callable[..., Array], valid: Array, args: tuple[Array, ...]) -> Array:
    """Apply `fun` to the valid entries of broadcast arguments, a block at a time; NaN elsewhere."""
    dtype = np.result_type(np.float32, *args)
    columns = [x[valid].astype(np.float64) for x in args]
    out = np.full(valid.shape, np.nan)
    pieces = [fun(*[c[i : i + BLOCK] for c in columns]) for i in range(0, columns[0].size, BLOCK)]
    out[valid] = np.concatenate(pieces) if pieces else 0.0
    return out.astype(dtype)[()]


# --- gamma ---------------------------------------------------------------------------------------


def gamma_density(a: Array, x: Array) -> Array:
    """Return the density of the gamma distribution, the derivative of gammainc by x; 0 at infinity."""
    finite = x < np.inf
    x = np.where(finite, x, 1)
    return np.where(finite, np.exp(sc.xlogy(a - 1, x) - x - sc.gammaln(a)), 0)


def _gamma_length(a: Array, x: Array, lower: Array) -> Array:
    """Return how far, in log t, the integrand falls by FALL: a bound from its slope and curvature."""
    slope = np.where(lower, a - x, np.maximum(x - a, 0))
    curve = np.where(lower, 2 / 3, 1) * np.maximum(x, np.where(lower, x, a))
    near = 2 * FALL / (slope + np.sqrt(slope * slope + 2 * FALL * curve))
    below = np.where(near <= 1, near, (FALL + x) / a)
    above = near + np.log(np.maximum(a / x, 1))  # the mode may lie between
    return np.where(lower, below, np.minimum(above, np.log1p((FALL + a * above) / x)))


def _gamma_moment(k: int, a: Array, x: Array) -> Array:
    start = np.log(x) - sc.psi(a)
    lower = start < 0
    s, weights = _panels(_gamma_length(a, x, lower), np.abs(np.log(x)))
    way = np.where(lower, -1.0, 1.0)
    a_, x_, start_, way_ = (c[:, None] for c in (a, x, start, way))
    fall = np.exp(way_ * a_ * s - x_ * np.expm1(way_ * s))
    total = np.sum(weights * fall * (start_ + way_ * s) ** k, -1)
    return -way * total * x * gamma_density(a, x)


def _gamma_moments(k: int, a: Array, x: Array) -> Array:
    """Return M_k; 0 at both ends of the support, and for infinite a."""
    a, x = np.broadcast_arrays(a, x)
    with np.errstate(all="ignore"):
        known = (a > 0) & (x >= 0)
        inside = known & np.isfinite(a) & (x > 0) & np.isfinite(x)
        values = _in_blocks(functools.partial(_gamma_moment, k), inside, (a, x))
        return np.where(known & ~inside, 0, values).astype(values.dtype)[()]


@functools.cache
def gamma_moment(k: int) -> Any:
    """Return the function M_k(a, x) with its derivatives."""
    if k == 0:
        return _gamma_mass
    return declared(
        f"gammainc (moment {k})",
        functools.partial(_gamma_moments, k),
        lambda x, y: gamma_moment(k + 1)(x, y) - k * sc.zeta(2.0, x) * gamma_moment(k - 1)(x, y),
        lambda x, y: (np.log(y) - sc.psi(x)) ** k * gamma_density(x, y),
    )


def _gamma_mass(a: Array, x: Array) -> Array:
    """Return M_0 on the side that `_gamma_moment` takes."""
    return np.where(np.log(x) < sc.psi(a), sc.gammainc(a, x), -sc.gammaincc(a, x))


# --- beta, at the logit of x ---------------------------------------------------------------------


def logit_density(a: Array, b: Array, z: Array) -> Array:
    """Return the density of the logit of a beta variable: x^a (1 - x)^b / B(a, b), x = expit(z)."""
    return np.exp(a * sc.log_expit(z) + b * sc.log_expit(-z) - sc.betaln(a, b))


def _centred(a: Array, b: Array, z: Array) -> tuple[Array, Array]:
    """Return log x - E log t and log(1 - x) - E log(1 - t)."""
    both = sc.psi(a + b)
    return sc.log_expit(z) - sc.psi(a) + both, sc.log_expit(-z) - sc.psi(b) + both


def _beta_length(a: Array, b: Array, z: Array) -> Array:
    """Return how far below z the integrand falls by FALL, from its slope and curvature."""
    mode = np.log(a / b)
    x = sc.expit(np.minimum(z, mode))
    slope = np.maximum(a - (a + b) * x, 0)
    curve = (a + b) * x * sc.expit(-np.minimum(z, mode)) / np.e
    near = 2 * FALL / (slope + np.sqrt(slope * slope + 2 * FALL * curve))
    far = (FALL - (a + b) * np.log1p(-x)) / a
    return np.maximum(z - mode, 0) + np.where(near <= 1, near, far)


def _below(j: int, k: int, a: Array, b: Array, z: Array) -> Array:
    """Return the integral below z, in units of the density at z."""
    s, weights = _panels(_beta_length(a, b, z), z - np.log(np.maximum(a, 1)))
    first, second = _centred(a, b, z)
    a, b, x, y, first, second = (
        c[:, None] for c in (a, b, sc.expit(z), sc.expit(-z), first, second)
    )
    grown = np.log(y + x * np.exp(-s))  # log of (1 - t) / (1 - x)
    fall = np.exp(-a * s - (a + b) * grown)
    return np.sum(weights * fall * (first - s - grown) ** j * (second - grown) ** k, -1)


def _lower(by: int, a: Array, b: Array, z: Array) -> Array:
    """Tell which side to take: where the centred logarithm of t (or, for `by` = 1, of 1 - t) keeps its sign."""
    first, second = _centred(a, b, z)
    return second > 0 if by else first < 0


def _beta_moment(j: int, k: int, by: int, a: Array, b: Array, z: Array) -> Array:
    below, above = _below(j, k, a, b, z), _below(k, j, b, a, -z)
    return np.where(_lower(by, a, b, z), below, -above) * logit_density(a, b, z)


def _beta_moments(j: int, k: int, by: int, a: Array, b: Array, z: Array) -> Array:
    """Return M_jk; 0 at both ends of the support, and for an infinite parameter."""
    a, b, z = np.broadcast_arrays(a, b, z)
    with np.errstate(all="ignore"):
        known = (a > 0) & (b > 0) & ~np.isnan(z)
        inside = known & np.isfinite(a) & np.isfinite(b) & np.isfinite(z)
        values = _in_blocks(functools.partial(_beta_moment, j, k, by), inside, (a, b, z))
        return np.where(known & ~inside, 0, values).astype(values.dtype)[()]


@functools.cache
def beta_moment(j: int, k: int, by: int) -> Any:
    """Return the moment M_jk(a, b, z) of log t and log(1 - t) below logit z, with its derivatives.

    `by` is the one of the two whose sign chooses the side: moments of one recurrence share it.
    """
    if j < 0 or k < 0:
        return lambda a, b, z: 0.0
    if j == k == 0:
        return functools.partial(_beta_mass, by)
    return declared(
        f"betainc (moment {j}, {k}, {by})",
        functools.partial(_beta_moments, j, k, by),
        lambda x, y, z: beta_slope(0, j, k, by, x, y, z),
        lambda x, y, z: beta_slope(1, j, k, by, x, y, z),
        lambda x, y, z: beta_slope(2, j, k, by, x, y, z),
    )


def _beta_mass(by: int, a: Array, b: Array, z: Array) -> Array:
    """Return M_00 on the side that `_beta_moment` takes."""
    x = sc.expit(z)
    return np.where(_lower(by, a, b, z), sc.betainc(a, b, x), -sc.betaincc(a, b, x))


def beta_slope(i: int, j: int, k: int, by: int, a: Array, b: Array, z: Array) -> Array:
    """Return the derivative of M_jk by its argument i: by a, by b, by z."""
    if i == 2:
        first, second = _centred(a, b, z)
        return first**j * second**k * logit_density(a, b, z)
    both = sc.zeta(2.0, a + b)
    change = [both, both]
    change[i] = both - sc.zeta(2.0, (a, b)[i])
    return (
        beta_moment(j + (i == 0), k + (i == 1), by)(a, b, z)
        + j * change[0] * beta_moment(j - 1, k, by)(a, b, z)
        + k * change[1] * beta_moment(j, k - 1, by)(a, b, z)
    )


# The derivatives of gammainc by a, and of betainc (at the logit of x) by a and by b
gamma_by_a = gamma_moment(1)
beta_by_a, beta_by_b = beta_moment(1, 0, 0), beta_moment(0, 1, 1)
