"""Spheroidal wave functions (30.2.1): by x, for constant orders m, n and parameter c.

Prolate functions solve ((1 - x^2) S')' + (v - c^2 x^2 - m^2 / (1 - x^2)) S = 0 with the
characteristic value v. In the oblate equation c^2 has the other sign, and in the oblate radial one
x becomes i x.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import as_array
from funcgrad.primitives.special.rules import outputs, refused, rule, sc

NODES, WEIGHTS = np.polynomial.legendre.leggauss(80)


def _angular(sign: int) -> Callable[..., Any]:
    """Return S'' from m, c, v, x, S and S'; `sign` is that of c^2 in the prolate equation."""

    def second(m: Any, c: Any, v: Any, x: Any, value: Any, slope: Any) -> Any:
        rest = 1 - x * x
        return (2 * x * slope - (v - sign * c * c * x * x - m * m / rest) * value) / rest

    return second


def _oblate_radial(m: Any, c: Any, v: Any, x: Any, value: Any, slope: Any) -> Any:
    rest = 1 + x * x
    return ((v - c * c * x * x - m * m / rest) * value - 2 * x * slope) / rest


def _declare(name: str, characteristic: str, second: Callable[..., Any]) -> None:
    """Declare a function of (m, n, c, x), and the one of (m, n, c, v, x)."""

    def slope(ct: Any, x: Any, y: Any, z: Any, w: Any) -> Any:
        return ct * getattr(sc, name)(x, y, z, w)[1]

    def curvature(ct: Any, x: Any, y: Any, z: Any, w: Any) -> Any:
        v = getattr(sc, characteristic)(x, y, z)
        return ct * second(x, z, v, w, *getattr(sc, name)(x, y, z, w))

    def slope_cv(ct: Any, x: Any, y: Any, z: Any, w: Any, v: Any) -> Any:
        return ct * getattr(sc, f"{name}_cv")(x, y, z, w, v)[1]

    def curvature_cv(ct: Any, x: Any, y: Any, z: Any, w: Any, v: Any) -> Any:
        return ct * second(x, z, w, v, *getattr(sc, f"{name}_cv")(x, y, z, w, v))

    constants = (refused,) * 3
    outputs(name, (*constants, slope), (*constants, curvature))
    outputs(f"{name}_cv", (*constants, refused, slope_cv), (*constants, refused, curvature_cv))


def _value_by_c(name: str, sign: int) -> Callable[..., Any]:
    """Return d v / d c: the mean of 2 c x^2 under S^2, by the theorem of Hellmann and Feynman."""

    def by_c(x: Any, y: Any, z: Any) -> Any:
        s, _ = getattr(sc, name)(*[as_array(a)[..., None] for a in (x, y, z)], NODES)
        weights = WEIGHTS * s * s
        mean = np.sum(weights * NODES * NODES, -1) / np.sum(weights, -1)
        return sign * 2 * z * mean

    return by_c


for _family, _sign, _radial in (("pro", 1, _angular(1)), ("obl", -1, _oblate_radial)):
    rule(f"{_family}_cv", refused, refused, _value_by_c(f"{_family}_ang1", _sign))
    _declare(f"{_family}_ang1", f"{_family}_cv", _angular(_sign))
    for _kind in (1, 2):
        _declare(f"{_family}_rad{_kind}", f"{_family}_cv", _radial)
