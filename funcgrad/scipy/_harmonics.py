"""Legendre functions and spherical harmonics of `scipy.special`: degree and order are constants.

Each function has its slope from SciPy; the slope's own follows from Legendre's equation
(https://dlmf.nist.gov/14.2.E2), for the spherical ones in the angle (https://dlmf.nist.gov/14.30.E9).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import as_array, plain_array, unsupported
from funcgrad.primitives.families import primitive
from funcgrad.primitives.special import sc


def _in_z(n: Any, m: Any, z: Any, value: Any, slope: Any) -> Any:
    rest = 1 - z * z
    return (2 * z * slope - (n * (n + 1) - m * m / rest) * value) / rest


def _in_angle(n: Any, m: Any, z: Any, value: Any, slope: Any) -> Any:
    sine = np.sin(z)
    return -np.cos(z) / sine * slope - (n * (n + 1) - m * m / (sine * sine)) * value


def _with_slope(name: str, evaluate: Callable[..., Any], curvature: Callable[..., Any]) -> Any:
    """Declare a function (order 0) and its slope (order 1); `evaluate` returns both and is SciPy's."""

    def derivative(ct: Any, x: Any, y: Any, z: Any, order: int, norm: bool) -> Any:
        slope = new(x, y, z, order=1, norm=norm)
        if order == 0:
            return ct * slope
        return ct * curvature(x, y, z, new(x, y, z, order=0, norm=norm), slope)

    new: Any = primitive(
        name,
        lambda x, y, z, order, norm: evaluate(x, y, z, norm)[order],
        vjp=(None, None, derivative),
        jvp=(None, None, derivative),
    )
    new.elementwise = True
    return new


_assoc = _with_slope(
    "assoc_legendre_p",
    lambda n, m, z, norm: sc.assoc_legendre_p(n, m, z, norm=norm, diff_n=1),
    _in_z,
)
_sph = _with_slope(
    "sph_legendre_p", lambda n, m, z, norm: sc.sph_legendre_p(n, m, z, diff_n=1), _in_angle
)


def _stacked(new: Any, curvature: Any, n: Any, m: Any, z: Any, norm: bool, diff_n: int) -> Any:
    """Return the function and its derivatives up to `diff_n`, as SciPy does."""
    if diff_n not in (0, 1, 2):
        raise ValueError(
            f"diff_n is currently only implemented for orders 0, 1, and 2, received: {diff_n}."
        )
    n, m, z = plain_array(n), plain_array(m), as_array(z)
    found = [new(n, m, z, order=k, norm=norm) for k in range(min(diff_n, 1) + 1)]
    if diff_n == 2:
        found.append(curvature(n, m, z, *found))
    return np.stack(found)


def legendre_p(n: Any, z: Any, *, diff_n: int = 0) -> Any:
    """Return the Legendre polynomial of constant degree `n` at `z`, and its derivatives up to `diff_n`."""
    return assoc_legendre_p(n, 0, z, diff_n=diff_n)


def assoc_legendre_p(
    n: Any, m: Any, z: Any, *, branch_cut: int = 2, norm: bool = False, diff_n: int = 0
) -> Any:
    """Return the associated Legendre function at real `z`, and its derivatives up to `diff_n`."""
    if branch_cut != 2 or as_array(z).dtype.kind == "c":
        unsupported(
            "assoc_legendre_p of a complex argument or with branch_cut=3", "pass real z in (-1, 1)"
        )
    return _stacked(_assoc, _in_z, n, m, z, norm, diff_n)


def sph_legendre_p(n: Any, m: Any, theta: Any, *, diff_n: int = 0) -> Any:
    """Return the spherical Legendre function of the polar angle, and its derivatives up to `diff_n`."""
    return _stacked(_sph, _in_angle, n, m, theta, False, diff_n)


def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, *, diff_n: int = 0) -> Any:
    """Return the spherical harmonic of the polar angle `theta` and the azimuth `phi`."""
    if diff_n:
        unsupported("sph_harm_y with diff_n=", "use jacfwd or jacrev")
    m = plain_array(m)
    return sph_legendre_p(n, m, theta)[0] * np.exp(1j * m * as_array(phi))
