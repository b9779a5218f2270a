"""Integrals of elementary functions (https://dlmf.nist.gov: 6.2, 7.2, 8.19, 25.12)."""

from typing import Any

import numpy as np

from funcgrad.primitives.special.rules import PI, ROOT_PI, outputs, refused, rule, sc

# sin(x) / x = 0F1(3/2, -x^2 / 4), smooth at 0 (10.16.9)
outputs("sici", (lambda x: sc.hyp0f1(1.5, -x * x / 4),), (lambda x: np.cos(x) / x,))
outputs("shichi", (lambda x: sc.hyp0f1(1.5, x * x / 4),), (lambda x: np.cosh(x) / x,))
outputs(
    "fresnel",
    (lambda x: np.sin(PI / 2 * x * x),),
    (lambda x: np.cos(PI / 2 * x * x),),
)
outputs(
    "modfresnelp",
    (lambda x: -np.exp(1j * x * x),),
    (lambda ans, x: -complex(np.exp(-0.25j * PI)) / ROOT_PI - 2j * x * ans,),
)
outputs(
    "modfresnelm",
    (lambda x: -np.exp(-1j * x * x),),
    (lambda ans, x: -complex(np.exp(0.25j * PI)) / ROOT_PI + 2j * x * ans,),
)
rule("exp1", lambda x: -np.exp(-x) / x)
rule("expi", lambda x: np.exp(x) / x)
# E0 = e^-x / x has no E_-1 in SciPy, which takes the order to be its whole part
rule("expn", refused, lambda x, y: _expn_dx(np.trunc(x), y))


def _expn_dx(n: Any, x: Any) -> Any:
    return np.where(n == 0, -(1 + 1 / x) * np.exp(-x) / x, -sc.expn(np.where(n == 0, 1, n) - 1, x))


# log(z) / (1 - z) = -2F1(1, 1; 2; 1 - z), smooth at 1
def _spence_dx(x: Any) -> Any:
    near = np.abs(x - 1) < 0.5
    far = np.where(near, 2, x)
    series = -sc.hyp2f1(1, 1, 2, 1 - np.where(near, x, 1))
    return np.where(near, series, np.log(far) / (1 - far))


rule("spence", _spence_dx)
