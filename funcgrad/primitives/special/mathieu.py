"""Mathieu functions (28.2.1, 28.20.1): the order is a constant, and so is q of the functions.

SciPy takes the angle in degrees.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import as_array
from funcgrad.primitives.special.rules import DEGREE, outputs, refused, rule, sc

# A trapezoidal rule over a period has all digits of a trigonometric polynomial of lower degree.
ANGLES = np.arange(0.0, 360.0, 2.5)


def _by_q(name: str, x: Any, y: Any) -> Any:
    """Return the derivative of the characteristic value by q.

    The equation w'' + (a - 2 q cos 2t) w = 0 makes it the mean of 2 cos 2t under w^2
    (Hellmann and Feynman), and the mean of w^2 is 1/2.
    """
    w, _ = getattr(sc, name)(as_array(x)[..., None], as_array(y)[..., None], ANGLES)
    return np.mean(4 * np.cos(2 * DEGREE * ANGLES) * w * w, -1)


rule("mathieu_a", refused, lambda x, y: _by_q("mathieu_cem", x, y))
rule("mathieu_b", refused, lambda x, y: _by_q("mathieu_sem", x, y))


def _declare(name: str, characteristic: str, second: Callable[..., Any], unit: float) -> None:
    """Declare a function, and its derivative by an angle in `unit`, which solves an equation."""

    def slope(x: Any, y: Any, z: Any) -> Any:
        return unit * getattr(sc, name)(x, y, z)[1]

    def curvature(x: Any, y: Any, z: Any) -> Any:
        value = getattr(sc, name)(x, y, z)[0]
        return unit * second(getattr(sc, characteristic)(x, y), y, z) * value

    outputs(name, (refused, refused, slope), (refused, refused, curvature))


def _of_angle(a: Any, q: Any, degrees: Any) -> Any:
    return 2 * q * np.cos(2 * DEGREE * degrees) - a


def _modified(a: Any, q: Any, z: Any) -> Any:
    return a - 2 * q * np.cosh(2 * z)


_declare("mathieu_cem", "mathieu_a", _of_angle, DEGREE)
_declare("mathieu_sem", "mathieu_b", _of_angle, DEGREE)
for _kind in (1, 2):
    _declare(f"mathieu_modcem{_kind}", "mathieu_a", _modified, 1.0)
    _declare(f"mathieu_modsem{_kind}", "mathieu_b", _modified, 1.0)
