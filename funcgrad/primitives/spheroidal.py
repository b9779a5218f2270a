"""Spheroidal wave functions of `scipy.special`: each comes with its slope, whose own follows from the equation.

With lambda the characteristic value, S of prolate coordinates satisfies (https://dlmf.nist.gov/30.2.E1)

    (1 - x^2) S'' - 2 x S' + (lambda - c^2 x^2 - m^2 / (1 - x^2)) S = 0;

oblate coordinates have -c^2 for c^2 there, and i x for x in the radial functions. The arguments are the order m, the
degree n and c (constants), for the functions in _cv then lambda, and x.
"""

from typing import Any

from funcgrad.primitives.special import outputs, refused, sc


def _angular(value: Any, slope: Any, m: Any, square: Any, cv: Any, x: Any) -> Any:
    rest = 1 - x * x
    return (2 * x * slope - (cv - square * x * x - m * m / rest) * value) / rest


def _oblate_radial(value: Any, slope: Any, m: Any, square: Any, cv: Any, x: Any) -> Any:
    rest = 1 + x * x
    return ((cv - square * x * x - m * m / rest) * value - 2 * x * slope) / rest


def _declare(name: str, characteristic: Any, curvature: Any, sign: int) -> None:
    fun, with_cv = getattr(sc, name), getattr(sc, f"{name}_cv")

    def second(m: Any, n: Any, c: Any, x: Any) -> Any:
        return curvature(*fun(m, n, c, x), m, sign * c * c, characteristic(m, n, c), x)

    def second_cv(m: Any, n: Any, c: Any, cv: Any, x: Any) -> Any:
        return curvature(*with_cv(m, n, c, cv, x), m, sign * c * c, cv, x)

    three, four = (refused,) * 3, (refused,) * 4
    outputs(
        name,
        (*three, lambda ct, x, y, z, w: ct * fun(x, y, z, w)[1]),
        (*three, lambda ct, x, y, z, w: ct * second(x, y, z, w)),
    )
    outputs(
        f"{name}_cv",
        (*four, lambda ct, x, y, z, w, v: ct * with_cv(x, y, z, w, v)[1]),
        (*four, lambda ct, x, y, z, w, v: ct * second_cv(x, y, z, w, v)),
    )


for _name in ("ang1", "rad1", "rad2"):
    if sc is not None:
        _declare(f"pro_{_name}", sc.pro_cv, _angular, 1)
        _radial = _name != "ang1"
        _declare(
            f"obl_{_name}",
            sc.obl_cv,
            _oblate_radial if _radial else _angular,
            1 if _radial else -1,
        )
