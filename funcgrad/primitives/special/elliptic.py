"""Elliptic integrals (19.4, 19.16, 19.18, 19.25) and functions (22.13)."""

from typing import Any

import numpy as np

from funcgrad.primitives.special.carlson import carlson
from funcgrad.primitives.special.rules import PI, outputs, rule, sc

# --- symmetric integrals -------------------------------------------------------------------------

# R_F, R_C: half of I(1/2, 1/2, 1/2), of I(1/2, 1); R_D, R_J: 3/2 of I(1/2, 1/2, 3/2), of
# I(1/2, 1/2, 1/2, 1)
rule(
    "elliprf",
    lambda x, y, z: -sc.elliprd(y, z, x) / 6,
    lambda x, y, z: -sc.elliprd(x, z, y) / 6,
    lambda x, y, z: -sc.elliprd(x, y, z) / 6,
)
# 2 dR_G / dx = R_F / 2 - x R_D(y, z, x) / 6
rule(
    "elliprg",
    lambda x, y, z: _elliprg_dx(x, y, z),
    lambda x, y, z: _elliprg_dx(y, x, z),
    lambda x, y, z: _elliprg_dx(z, x, y),
)


def _elliprg_dx(x: Any, y: Any, z: Any) -> Any:
    zero = x == 0  # where x R_D(y, z, x) vanishes, R_D being infinite
    product = np.where(zero, 0, x * sc.elliprd(y, z, np.where(zero, 1, x)))
    return sc.elliprf(x, y, z) / 4 - product / 12


rule(
    "elliprd",
    lambda x, y, z: -0.75 * carlson(3, 1, 3)(x, y, z),
    lambda x, y, z: -0.75 * carlson(1, 3, 3)(x, y, z),
    lambda x, y, z: -2.25 * carlson(1, 1, 5)(x, y, z),
)
rule(
    "elliprc",
    lambda x, y: -0.25 * carlson(3, 2)(x, y),
    lambda x, y: -0.5 * carlson(1, 4)(x, y),
)
rule(
    "elliprj",
    lambda ct, x, y, z, w: -0.75 * ct * carlson(3, 1, 1, 2)(x, y, z, w),
    lambda ct, x, y, z, w: -0.75 * ct * carlson(1, 3, 1, 2)(x, y, z, w),
    lambda ct, x, y, z, w: -0.75 * ct * carlson(1, 1, 3, 2)(x, y, z, w),
    lambda ct, x, y, z, w: -1.5 * ct * carlson(1, 1, 1, 4)(x, y, z, w),
)
# agm(x, y) = pi / (2 RF(0, x^2, y^2))
rule("agm", lambda ans, x, y: _agm_dx(ans, x, y), lambda ans, x, y: _agm_dx(ans, y, x))


def _agm_dx(ans: Any, x: Any, y: Any) -> Any:
    return 2 / (3 * PI) * ans * ans * x * sc.elliprd(0, y * y, x * x)


# --- Legendre's integrals ------------------------------------------------------------------------

# K = pi / 2 2F1(1/2, 1/2; 1; m) and E = pi / 2 2F1(-1/2, 1/2; 1; m), smooth at m = 0
rule("ellipk", lambda x: PI / 8 * sc.hyp2f1(1.5, 1.5, 2, x))
rule("ellipkm1", lambda ans, x: _ellipkm1_dx(ans, x))
rule("ellipe", lambda x: -PI / 8 * sc.hyp2f1(0.5, 1.5, 2, x))


def _ellipkm1_dx(ans: Any, x: Any) -> Any:
    """Return -K'(1 - x), by Carlson's integral where 1 - x loses digits."""
    near = -(ans - sc.elliprd(0, x, 1) / 3) / (2 * x)
    return np.where(x < 0.5, near, -PI / 8 * sc.hyp2f1(1.5, 1.5, 2, 1 - x))


def _delta(x: Any, y: Any) -> Any:
    return np.sqrt(1 - y * np.sin(x) ** 2)


def _turns(x: Any) -> Any:
    """Return how many times pi fits into the angle x, to the nearest whole number."""
    return np.round(x / PI)


def _if_turned(x: Any, y: Any) -> Any:
    """Return m, and 0 where no complete integral is added: it may be infinite."""
    return np.where(_turns(x) == 0, 0, y)


# For an angle between -pi / 2 and pi / 2 (19.25.5, 19.25.9), with s and c its sine and cosine:
# F = s RF(c^2, 1 - m s^2, 1) and (E - F) / m = -s^3 / 3 RD(c^2, 1 - m s^2, 1)
def _ellipkinc_dm(x: Any, y: Any) -> Any:
    s, c = np.sin(x), np.cos(x)
    odd = np.where(_turns(x) % 2 == 0, 1, -1) * s**3  # the sine of what is left of the angle
    part = odd * sc.elliprd(c * c, 1, 1 - y * s * s) / 6
    return part + 2 * _turns(x) * (PI / 8 * sc.hyp2f1(1.5, 1.5, 2, _if_turned(x, y)))


def _ellipeinc_dm(x: Any, y: Any) -> Any:
    s, c = np.sin(x), np.cos(x)
    odd = np.where(_turns(x) % 2 == 0, 1, -1) * s**3
    part = odd * sc.elliprd(c * c, 1 - y * s * s, 1) / 6
    return -part - 2 * _turns(x) * (PI / 8 * sc.hyp2f1(0.5, 1.5, 2, _if_turned(x, y)))


rule("ellipkinc", lambda x, y: 1 / _delta(x, y), _ellipkinc_dm)
rule("ellipeinc", lambda x, y: _delta(x, y), _ellipeinc_dm)

# --- Jacobi's functions --------------------------------------------------------------------------


def _amplitude_dm(x: Any, y: Any) -> Any:
    """Return the derivative by m of the amplitude, at which ellipkinc is x."""
    _, _, dn, amplitude = sc.ellipj(x, y)
    return -dn * _ellipkinc_dm(amplitude, y)


def _dn_dm(ans: Any, x: Any, y: Any) -> Any:
    sn, cn, _, _ = sc.ellipj(x, y)
    return -(sn * sn / 2 + y * sn * cn * _amplitude_dm(x, y)) / ans


outputs(
    "ellipj",
    (
        lambda x, y: np.multiply(*sc.ellipj(x, y)[1:3]),
        lambda x, y: sc.ellipj(x, y)[1] * _amplitude_dm(x, y),
    ),
    (
        lambda x, y: -np.multiply(*sc.ellipj(x, y)[0:3:2]),
        lambda x, y: -sc.ellipj(x, y)[0] * _amplitude_dm(x, y),
    ),
    (
        lambda x, y: -y * np.multiply(*sc.ellipj(x, y)[0:2]),
        _dn_dm,
    ),
    (lambda x, y: sc.ellipj(x, y)[2], _amplitude_dm),
)
