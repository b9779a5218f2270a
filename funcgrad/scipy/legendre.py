"""Legendre functions and spherical harmonics of `scipy.special`: degree and order are constants."""

import functools
import importlib
from typing import Any

import numpy as np

from funcgrad.core import as_array, unsupported
from funcgrad.primitives.special.rules import declared, naming, refused

sc: Any = importlib.import_module("scipy.special")

HIGHEST = 2  # the derivatives that SciPy has: further ones follow from the equation


@functools.cache
def _legendre(name: str, order: int, settings: tuple[tuple[str, Any], ...]) -> Any:
    """Return the derivative of this order by the last argument."""
    fun, options = getattr(sc, name), dict(settings)
    degrees = 1 + (name != "legendre_p")
    third = _third_in_angle if name == "sph_legendre_p" else _third

    def slope(ct: Any, *args: Any) -> Any:
        if order < HIGHEST:
            return ct * _legendre(name, order + 1, settings)(*args)
        n, m, z = args if degrees == 2 else (args[0], 0, args[1])
        known = [_legendre(name, k, settings)(*args) for k in range(HIGHEST + 1)]
        return ct * third(n, m, z, *known)

    return declared(
        name if order == 0 else f"{name}, derivative {order}",
        lambda *args: fun(*args, diff_n=order, **options)[order],
        *[refused] * degrees,
        naming("xyz"[: degrees + 1], slope),
    )


def _third(n: Any, m: Any, z: Any, value: Any, slope: Any, second: Any) -> Any:
    """Return the third derivative, from that of Legendre's equation (https://dlmf.nist.gov/14.2.2)."""
    rest = 1 - z * z
    square = m * m / rest
    by_slope = (n * (n + 1) - 2 - square) * slope
    return (4 * z * second - by_slope + 2 * square * z / rest * value) / rest


def _third_in_angle(n: Any, m: Any, z: Any, value: Any, slope: Any, second: Any) -> Any:
    sine, cotangent = np.sin(z), 1 / np.tan(z)
    square = m * m / (sine * sine)
    by_slope = (1 / (sine * sine) - n * (n + 1) + square) * slope
    return by_slope - cotangent * (second + 2 * square * value)


def _stacked(name: str, args: tuple[Any, ...], diff_n: int, **settings: Any) -> Any:
    if diff_n not in range(HIGHEST + 1):
        raise ValueError(f"diff_n is 0, 1 or 2, got {diff_n}")
    options = tuple(settings.items())
    return np.stack([_legendre(name, order, options)(*args) for order in range(diff_n + 1)])


def legendre_p(n: Any, z: Any, *, diff_n: int = 0) -> Any:
    """Return the Legendre polynomial of degree `n` at `z`, and `diff_n` derivatives, along axis 0."""
    return _stacked("legendre_p", (n, as_array(z)), diff_n)


def assoc_legendre_p(
    n: Any, m: Any, z: Any, *, branch_cut: Any = 2, norm: bool = False, diff_n: int = 0
) -> Any:
    """Return the associated Legendre function at `z`, and `diff_n` derivatives, along axis 0."""
    args = (n, m, as_array(z))
    return _stacked("assoc_legendre_p", args, diff_n, branch_cut=branch_cut, norm=norm)


def sph_legendre_p(n: Any, m: Any, theta: Any, *, diff_n: int = 0) -> Any:
    """Return the spherical Legendre function at `theta`, and `diff_n` derivatives, along axis 0."""
    return _stacked("sph_legendre_p", (n, m, as_array(theta)), diff_n)


def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, *, diff_n: int = 0) -> Any:
    """Return the spherical harmonic at the polar angle `theta` and the azimuth `phi`."""
    if diff_n:
        unsupported(
            "scipy.special.sph_harm_y with diff_n=", "differentiate: jvp(f, (theta,), (1.0,))"
        )
    return sph_legendre_p(n, m, theta)[0] * np.exp(1j * (as_array(m) * phi))
