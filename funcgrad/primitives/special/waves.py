"""Struve, Kelvin, Airy, parabolic cylinder functions."""

from typing import Any

import numpy as np

from funcgrad.primitives.special.rules import ROOT_PI, outputs, real, refused, rule, sc

# (11.4.26, 11.4.28): no division by y, which may be 0
rule("struve", refused, lambda x, y: (sc.struve(x - 1, y) - sc.struve(x + 1, y) + _power(x, y)) / 2)
rule(
    "modstruve",
    refused,
    lambda x, y: (sc.modstruve(x - 1, y) + sc.modstruve(x + 1, y) + _power(x, y)) / 2,
)


def _power(x: Any, y: Any) -> Any:
    return (y / 2) ** x * sc.rgamma(x + 1.5) / ROOT_PI


rule("itstruve0", lambda x: sc.struve(0, x))
rule("it2struve0", lambda x: -sc.struve(0, x) / x)
rule("itmodstruve0", lambda x: sc.modstruve(0, x))
outputs("itj0y0", (lambda x: sc.j0(x),), (lambda x: sc.y0(x),))
outputs("iti0k0", (lambda x: sc.i0(x),), (lambda x: sc.k0(x),))
# (1 - J_0(x)) / x = int_0^1 J_1(x t) dt
outputs("it2j0y0", (lambda x: sc.besselpoly(x / 2, 0, 1),), (lambda x: -sc.y0(x) / x,))
outputs("it2i0k0", (lambda x: (sc.i0(x) - 1) / x,), (lambda x: -sc.k0(x) / x,))

# Kelvin functions (10.61.3): w = ber + i bei solves w'' = i w - w' / x, and so does ker + i kei.
rule("ber", lambda x: sc.berp(x))
rule("bei", lambda x: sc.beip(x))
rule("ker", lambda x: sc.kerp(x))
rule("kei", lambda x: sc.keip(x))
rule("berp", lambda ans, x: -sc.bei(x) - _over(ans, x, 0))
rule("beip", lambda ans, x: sc.ber(x) - _over(ans, x, 0.5))
rule("kerp", lambda ans, x: -sc.kei(x) - ans / x)
rule("keip", lambda ans, x: sc.ker(x) - _over(ans, x, 0))
outputs(
    "kelvin",
    (lambda x: sc.kelvin(x)[2],),
    (lambda x: sc.kelvin(x)[3],),
    (lambda ans, x: 1j * sc.kelvin(x)[0] - _over(ans, x, 0.5j),),
    (lambda ans, x: 1j * sc.kelvin(x)[1] - ans / x,),
)


def _over(ans: Any, x: Any, limit: complex) -> Any:
    """Return ans / x, and its limit at 0."""
    zero = x == 0
    return np.where(zero, limit, ans / np.where(zero, 1, x))


# Airy functions (9.2.1); the scaled ones for real arguments, the exponent being 0 left of 0.
outputs(
    "airy",
    (lambda x: sc.airy(x)[1],),
    (lambda x: x * sc.airy(x)[0],),
    (lambda x: sc.airy(x)[3],),
    (lambda x: x * sc.airy(x)[2],),
)


def _root(x: Any) -> Any:
    return np.sqrt(np.maximum(real(x, "airye"), 0))


outputs(
    "airye",
    (lambda ans, x: sc.airye(x)[1] + _root(x) * ans,),
    (lambda ans, x: x * sc.airye(x)[0] + _root(x) * ans,),
    (lambda ans, x: sc.airye(x)[3] - _root(x) * ans,),
    (lambda ans, x: x * sc.airye(x)[2] - _root(x) * ans,),
)
outputs(
    "itairy",
    (lambda x: sc.airy(x)[0],),
    (lambda x: sc.airy(x)[2],),
    (lambda x: sc.airy(-x)[0],),
    (lambda x: sc.airy(-x)[2],),
)

# Parabolic cylinder functions (12.2.2, 12.2.3, 12.14.1): values and derivatives
outputs(
    "pbdv",
    (refused, lambda x, y: sc.pbdv(x, y)[1]),
    (refused, lambda x, y: (y * y / 4 - x - 0.5) * sc.pbdv(x, y)[0]),
)
outputs(
    "pbvv",
    (refused, lambda x, y: sc.pbvv(x, y)[1]),
    (refused, lambda x, y: (y * y / 4 - x - 0.5) * sc.pbvv(x, y)[0]),
)
outputs(
    "pbwa",
    (refused, lambda x, y: sc.pbwa(x, y)[1]),
    (refused, lambda x, y: (x - y * y / 4) * sc.pbwa(x, y)[0]),
)
