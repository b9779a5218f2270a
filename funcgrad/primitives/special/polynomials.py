"""Orthogonal polynomials (https://dlmf.nist.gov: 18.9): the degree and the parameters are constants."""

from typing import Any

import numpy as np

from funcgrad.primitives.special.rules import refused, rule, sc


def _lower(n: Any) -> Any:
    """Return n - 1, and 0 for 0, where the factor n makes the derivative 0."""
    return np.where(n == 0, 0, n - 1)


def _chebyu_dx(n: Any, x: Any) -> Any:
    return np.where(n == 0, 0, 2 * sc.eval_gegenbauer(_lower(n), 2, x))


def _jacobi_dx(n: Any, a: Any, b: Any, x: Any) -> Any:
    slope = (n + a + b + 1) / 2 * sc.eval_jacobi(_lower(n), a + 1, b + 1, x)
    return np.where(n == 0, 0, slope)


def _genlaguerre_dx(n: Any, a: Any, x: Any) -> Any:
    return np.where(n == 0, 0, -sc.eval_genlaguerre(_lower(n), a + 1, x))


rule("eval_legendre", refused, lambda x, y: _jacobi_dx(x, 0, 0, y))
rule("eval_sh_legendre", refused, lambda x, y: 2 * _jacobi_dx(x, 0, 0, 2 * y - 1))
rule("eval_chebyt", refused, lambda x, y: x * sc.eval_chebyu(_lower(x), y))
rule("eval_sh_chebyt", refused, lambda x, y: 2 * x * sc.eval_chebyu(_lower(x), 2 * y - 1))
rule("eval_chebyc", refused, lambda x, y: x * sc.eval_chebyu(_lower(x), y / 2))
rule("eval_chebyu", refused, lambda x, y: _chebyu_dx(x, y))
rule("eval_sh_chebyu", refused, lambda x, y: 2 * _chebyu_dx(x, 2 * y - 1))
rule("eval_chebys", refused, lambda x, y: _chebyu_dx(x, y / 2) / 2)
rule("eval_laguerre", refused, lambda x, y: _genlaguerre_dx(x, 0, y))
rule("eval_hermite", refused, lambda x, y: 2 * x * sc.eval_hermite(_lower(x), y))
rule("eval_hermitenorm", refused, lambda x, y: x * sc.eval_hermitenorm(_lower(x), y))
rule("eval_genlaguerre", refused, refused, lambda x, y, z: _genlaguerre_dx(x, y, z))
rule(
    "eval_gegenbauer",
    refused,
    refused,
    lambda x, y, z: np.where(x == 0, 0, 2 * y * sc.eval_gegenbauer(_lower(x), y + 1, z)),
)
rule(
    "eval_jacobi",
    refused,
    refused,
    refused,
    lambda ct, x, y, z, w: ct * _jacobi_dx(x, y, z, w),
)
# The leading coefficient is 1, so the derivative is n times the next family's.
rule(
    "eval_sh_jacobi",
    refused,
    refused,
    refused,
    lambda ct, x, y, z, w: ct * (x * sc.eval_sh_jacobi(_lower(x), y + 2, z + 1, w)),
)
# Associated Legendre functions (14.10.5)
rule(
    "lpmv",
    refused,
    refused,
    lambda ans, x, y, z: (y * z * ans - (x + y) * sc.lpmv(x, y - 1, z)) / (z * z - 1),
)
