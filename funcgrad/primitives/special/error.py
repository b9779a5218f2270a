"""The error function and its kin (https://dlmf.nist.gov: 7.2, 7.10)."""

from typing import Any

import numpy as np

from funcgrad.primitives.special.rules import PI, ROOT_2PI, ROOT_PI, rule, sc

FAR = 10.0
# (2 k + 1)!!, from the highest
FACTORIALS = [654729075, 34459425, 2027025, 135135, 10395, 945, 105, 15, 3, 1]


def _slope(near: Any, x: Any, far: Any, factor: complex, sign: int) -> Any:
    """Return a derivative, where `far` by its asymptotic series (7.12.1): there `near` cancels.

    The series is factor / x^2 times the sum of (2 k + 1)!! (sign / (2 x^2))^k.
    """
    square = 1 / np.where(far, x, 2 * FAR) ** 2
    total: Any = 0.0
    for coefficient in FACTORIALS:
        total = total * (sign * square / 2) + coefficient
    return np.where(far, factor * square * total, near)


def _far_on_the_axis(x: Any) -> Any:
    return (np.abs(np.real(x)) > FAR) & (np.imag(x) == 0)


def _wofz_slope(ans: Any, x: Any) -> Any:
    far = (np.abs(x) > FAR) & (np.imag(x) >= 0)
    return _slope(2j / ROOT_PI - 2 * x * ans, x, far, -1j / ROOT_PI, 1)


rule("erf", lambda x: 2 / ROOT_PI * np.exp(-x * x))
rule("erfc", lambda x: -2 / ROOT_PI * np.exp(-x * x))
rule("erfi", lambda x: 2 / ROOT_PI * np.exp(x * x))
rule(
    "erfcx", lambda ans, x: _slope(2 * x * ans - 2 / ROOT_PI, x, np.real(x) > FAR, -1 / ROOT_PI, -1)
)
rule("dawsn", lambda ans, x: _slope(1 - 2 * x * ans, x, _far_on_the_axis(x), -0.5, 1))
rule("wofz", lambda ans, x: _wofz_slope(ans, x))
rule("erfinv", lambda ans: ROOT_PI / 2 * np.exp(ans * ans))
rule("erfcinv", lambda ans: -ROOT_PI / 2 * np.exp(ans * ans))
rule("ndtr", lambda x: np.exp(-x * x / 2) / ROOT_2PI)
rule("ndtri", lambda ans: ROOT_2PI * np.exp(ans * ans / 2))
# The density over the distribution, finite far into the left tail.
rule("log_ndtr", lambda ct, x: ct * ((2 / PI) ** 0.5 / sc.erfcx(-x / 2**0.5)))
rule("ndtri_exp", lambda ans: (PI / 2) ** 0.5 * sc.erfcx(-ans / 2**0.5))
rule(
    "owens_t",
    lambda x, y: -np.exp(-x * x / 2) * sc.erf(x * y / 2**0.5) / (2 * ROOT_2PI),
    lambda x, y: np.exp(-x * x * (1 + y * y) / 2) / (2 * PI * (1 + y * y)),
)


def _voigt(x: Any, y: Any, z: Any) -> Any:
    """Return the argument of w and w' there, for the Voigt profile Re w / (y sqrt(2 pi))."""
    at = (x + 1j * z) / (y * 2**0.5)
    return at, _wofz_slope(sc.wofz(at), at)


rule(
    "voigt_profile",
    lambda x, y, z: np.real(_voigt(x, y, z)[1]) / (2 * ROOT_PI * y * y),
    lambda ans, x, y, z: -ans / y - np.real(np.multiply(*_voigt(x, y, z))) / (ROOT_2PI * y * y),
    lambda x, y, z: -np.imag(_voigt(x, y, z)[1]) / (2 * ROOT_PI * y * y),
)
