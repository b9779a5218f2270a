"""The distributions of Kolmogorov and Smirnov, by their argument.

Kolmogorov (1933) gives the distribution as two series, for small and for large x; they are
transforms of each other. Birnbaum and Tingey (1951) give that of a finite sample.
"""

from typing import Any

import numpy as np

from funcgrad.core import as_array, concrete
from funcgrad.primitives.special.rules import PI, ROOT_2PI, inverse, refused, rule, sc

TERMS = np.arange(1, 9)
ODD = (2 * TERMS - 1) ** 2 * (PI * PI / 8)
TINY, HUGE = 0.04, 40.0  # outside of these the density is below 1e-300


def _kolmogorov_density(x: Any) -> Any:
    """Return the derivative of 1 - 2 sum (-1)^(k - 1) exp(-2 k^2 x^2)."""
    low, high = np.clip(x, TINY, 1)[..., None], np.clip(x, 1, HUGE)[..., None]
    # sqrt(2 pi) / x sum exp(-(2 k - 1)^2 pi^2 / (8 x^2))
    below = np.exp(-ODD / (low * low)) * (2 * ODD / (low * low) - 1) / (low * low)
    above = -((-1.0) ** TERMS) * 8 * TERMS**2 * high * np.exp(-2 * TERMS**2 * high * high)
    return np.where(x < 1, ROOT_2PI * np.sum(below, -1), np.sum(above, -1)) * (x > TINY)


rule("kolmogorov", lambda x: -_kolmogorov_density(x))
rule("kolmogi", lambda ct, ans: ct / -_kolmogorov_density(ans))


def _smirnov_dx(n: Any, d: Any) -> Any:
    """Return the derivative by d of sum_j C(n, j) d (d + j / n)^(j - 1) (1 - d - j / n)^(n - j).

    The sum goes over the j with j / n < 1 - d. The term of j = 0 is (1 - d)^n.
    """
    n, d = np.floor(as_array(n) * 1.0)[..., None], as_array(d)[..., None]
    j = np.arange(1, max(2, np.max(concrete(n), initial=1)))
    u = d + j / n
    counts = u < 1
    u = np.where(counts, u, 0.5)
    size = sc.gammaln(n + 1) - sc.gammaln(j + 1) - sc.gammaln(np.maximum(n - j, 0) + 1)
    power = np.exp(size + (j - 2) * np.log(u) + (n - j - 1) * np.log1p(-u))
    slope = u * (1 - u) + d * ((j - 1) * (1 - u) - (n - j) * u)
    first = -n * (1 - d) ** (n - 1)
    return np.sum(np.where(counts, power * slope, 0), -1) + first[..., 0]


SMIRNOV = (refused, _smirnov_dx)
rule("smirnov", refused, lambda x, y: _smirnov_dx(x, y))
inverse("smirnovi", SMIRNOV, (0, "p"))
