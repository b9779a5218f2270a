"""Linear algebra over the last two axes. Rules from M. Giles, Collected matrix derivative results, 2008."""

from typing import Any

import numpy as np

from funcgrad.broadcasting import unbroadcast
from funcgrad.core import Primitive, as_array, handle
from funcgrad.primitives.families import primitive

# d(inv A) = -inv(A) dA inv(A)
_inv: Primitive = primitive(
    "inv",
    np.linalg.inv,
    vjp=(lambda ct, ans: -(ans.mT @ ct @ ans.mT),),
    jvp=(lambda t, ans: -(ans @ t @ ans),),
    batch=lambda args, mapped, settings: _inv(*args),
)


@handle(np.linalg.inv)
def inv(a: Any) -> Any:
    """Return the inverse of matrices."""
    return _inv(as_array(a))


# d(A^-1 B) = A^-1 (dB - dA A^-1 B)
def _solve_a(ct: Any, ans: Any, a: Any) -> Any:
    return unbroadcast(-(np.linalg.solve(a.mT, ct) @ ans.mT), a.shape)


def _solve_b(ct: Any, a: Any, b_shape: Any) -> Any:
    return unbroadcast(np.linalg.solve(a.mT, ct), b_shape)


_solve: Primitive = primitive(
    "solve",
    np.linalg.solve,
    vjp=(_solve_a, _solve_b),
    jvp=(lambda t, ans, a: -np.linalg.solve(a, t @ ans), lambda t, a: np.linalg.solve(a, t)),
    parameters=("a", "b"),
    batch=lambda args, mapped, settings: _solve(*_aligned_matrices(args, mapped)),
)


def _aligned_matrices(args: Any, mapped: Any) -> Any:
    ndim = max([x.ndim - m for x, m in zip(args, mapped, strict=True)])
    return [
        x.reshape(x.shape[:1] + (1,) * (ndim + 1 - x.ndim) + x.shape[1:]) if m else x
        for x, m in zip(args, mapped, strict=True)
    ]


@handle(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """Solve linear systems; a vector b is one right-hand side."""
    a, b = as_array(a), as_array(b)
    return _solve(a, b[:, None])[..., 0] if b.ndim == 1 else _solve(a, b)
