"""The zeta functions of Riemann and Hurwitz (25.11), by their order too."""

import math
from typing import Any

import numpy as np

from funcgrad.core import as_array
from funcgrad.primitives.special.gamma import BERNOULLI
from funcgrad.primitives.special.rules import PI, real, rule, sc

TERMS = np.arange(20)
LEAST = -2.0  # further left the sums cancel
LOG_2PI = float(np.log(2 * PI))


def _by_order(s: Any, q: Any) -> Any:
    """Differentiate the Euler-Maclaurin formula (25.11.7) for the Hurwitz zeta function by s.

    NaN for an order below -2, or q <= 0.
    """
    s, q = as_array(real(s, "zeta, differentiated by its order,")), as_array(q)
    known = (s >= LEAST) & (q > 0)
    s, q = np.where(known, s, 2), np.where(known, q, 1)
    near = q[..., None] + TERMS
    end = q + len(TERMS)
    log, power = np.log(end), end**-s
    total = -np.sum(np.log(near) * near ** -s[..., None], -1)
    total = total - power * (end / (s - 1) * (log + 1 / (s - 1)) + log / 2)
    rising, slope = s, 1.0  # s (s + 1) .., and its derivative
    for j, b in enumerate(BERNOULLI, start=1):
        scale = b / math.factorial(2 * j) * end ** (1.0 - 2 * j)
        total = total + scale * power * (slope - log * rising)
        factor = (s + 2 * j - 1) * (s + 2 * j)
        rising, slope = rising * factor, slope * factor + rising * (2 * s + 4 * j - 1)
    return np.where(known, total, np.nan)


# d zeta(s, q) / d q = -s zeta(s + 1, q) (25.11.17)
rule("_zeta", lambda x, y: _by_order(x, y), lambda x, y: -x * sc.zeta(x + 1, y))
rule("_riemann_zeta zetac", lambda x: _riemann(x))


def _riemann(s: Any) -> Any:
    """Return zeta'(s), left of 0 by reflection (25.4.1)."""
    s = real(s, "zeta, differentiated by its order,")
    left = s < 0
    at = np.where(left, 1 - s, s)
    gamma = np.where(left, at, 1)
    slope, value = _by_order(at, 1.0), sc.zetac(at) + 1
    power = np.exp(s * LOG_2PI) / PI * sc.gamma(gamma)
    sine, cosine = np.sin(PI / 2 * s), np.cos(PI / 2 * s)
    turned = (sine * (LOG_2PI - sc.psi(gamma)) + PI / 2 * cosine) * value - sine * slope
    return np.where(left, power * turned, slope)
