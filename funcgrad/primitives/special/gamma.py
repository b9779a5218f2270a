"""The gamma function (https://dlmf.nist.gov: 5.2, 5.15)."""

import functools
import math
from typing import Any

import numpy as np

from funcgrad.core import Primitive
from funcgrad.primitives.special.rules import PI, declared, rule, sc

# B_2, B_4, ..., over 2!, 4!, ...
BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510]
FAR = 16  # from this real part on the asymptotic series has 16 digits


@functools.cache
def _complex_zeta(s: int) -> Primitive:
    """Return the Hurwitz zeta function of whole order s, of a complex argument."""
    return declared(
        f"zeta of order {s}",
        functools.partial(_euler_maclaurin, s),
        lambda x: -s * _complex_zeta(s + 1)(x),
    )


def _euler_maclaurin(s: int, x: Any) -> Any:
    """Sum (x + n)^-s up to a real part of FAR, and the rest by the Euler-Maclaurin formula (25.11.28)."""
    z = np.asarray(x, np.complex128)
    steps = int(max(0, FAR + s - np.min(z.real, initial=FAR)))
    total = np.zeros_like(z)
    for n in range(steps):
        total += (z + n) ** -s
    z = z + steps
    term = s * z ** (-s - 1)
    total += z ** (1 - s) / (s - 1) + z**-s / 2
    for j, b in enumerate(BERNOULLI, start=1):
        total += b * term / math.factorial(2 * j)
        term *= (s + 2 * j - 1) * (s + 2 * j) / (z * z)
    return total.astype(np.result_type(x))[()]


def _trigamma(x: Any) -> Any:
    return _complex_zeta(2)(x) if np.result_type(x).kind == "c" else sc.zeta(2, x)


def _rgamma(ans: Any, x: Any) -> Any:
    """Return -psi / gamma; at the zeros 0, -1, ... of 1 / gamma its limit."""
    zero = (ans == 0) & (np.real(x) <= 0)
    limit = np.cos(PI * x) * sc.gamma(1 - np.where(zero, x, 0))
    return np.where(zero, limit, -ans * sc.psi(np.where(zero, 1, x)))


rule("gamma", lambda ans, x: ans * sc.psi(x))
rule("gammaln loggamma", lambda x: sc.psi(x))
rule("rgamma", lambda ans, x: _rgamma(ans, x))
rule("psi", lambda x: _trigamma(x))
rule(
    "beta",
    lambda ans, x, y: ans * (sc.psi(x) - sc.psi(x + y)),
    lambda ans, x, y: ans * (sc.psi(y) - sc.psi(x + y)),
)
rule(
    "betaln",
    lambda x, y: sc.psi(x) - sc.psi(x + y),
    lambda x, y: sc.psi(y) - sc.psi(x + y),
)
rule(
    "poch",
    lambda ans, x, y: ans * (sc.psi(x + y) - sc.psi(x)),
    lambda ans, x, y: ans * sc.psi(x + y),
)
rule(
    "binom",
    lambda ans, x, y: ans * (sc.psi(x + 1) - sc.psi(x - y + 1)),
    lambda ans, x, y: ans * (sc.psi(x - y + 1) - sc.psi(y + 1)),
)
