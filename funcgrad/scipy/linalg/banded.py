"""Triangular and banded systems."""

import importlib
from typing import Any

import numpy as np

from funcgrad.broadcasting import unbroadcast
from funcgrad.core import Primitive, as_array, unsupported
from funcgrad.primitives.families import primitive
from funcgrad.primitives.matrices import adjoint
from funcgrad.scipy.mirrors import mirror

sl: Any = importlib.import_module("scipy.linalg")

# --- triangular systems --------------------------------------------------------------------------


def _triangle(a: Any, lower: bool, unit_diagonal: bool) -> Any:
    """Return True where a triangular solver reads the matrix."""
    mask = np.tri(a.shape[-1], k=-1 if unit_diagonal else 0, dtype=bool)
    return mask if lower else mask.T


def _op(a: Any, trans: int) -> Any:
    """Return a, its transpose or its conjugate transpose."""
    return (a, a.mT, adjoint(a))[trans]


def _solve_transposed(ct: Any, a: Any, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    """Solve op(a)^T x = ct."""
    if trans == 2:  # op(a)^T = conj(a)
        a, trans = a.conj(), 1
    return _triangular(a, ct, trans=1 - trans, lower=lower, unit_diagonal=unit_diagonal)


# op(A) X = B: op(A) dX = dB - op(dA) X
def _triangular_pull(
    ct: Any, ans: Any, a: Any, trans: int, lower: bool, unit_diagonal: bool
) -> Any:
    g = -(_solve_transposed(ct, a, trans, lower, unit_diagonal) @ ans.mT)
    return unbroadcast(_op(g, trans) * _triangle(a, lower, unit_diagonal), a.shape)


def _triangular_pull_b(
    ct: Any, a: Any, b_shape: Any, trans: int, lower: bool, unit_diagonal: bool
) -> Any:
    return unbroadcast(_solve_transposed(ct, a, trans, lower, unit_diagonal), b_shape)


def _triangular_push(t: Any, ans: Any, a: Any, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    right = -(_op(t * _triangle(a, lower, unit_diagonal), trans) @ ans)
    return _triangular(a, right, trans=trans, lower=lower, unit_diagonal=unit_diagonal)


def _triangular_push_b(t: Any, a: Any, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    return _triangular(a, t, trans=trans, lower=lower, unit_diagonal=unit_diagonal)


def _solve_triangular(a: Any, b: Any, *, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    return sl.solve_triangular(a, b, trans, lower, unit_diagonal)


_triangular: Primitive = primitive(
    "solve_triangular",
    _solve_triangular,
    vjp=(_triangular_pull, _triangular_pull_b),
    jvp=(_triangular_push, _triangular_push_b),
    parameters=("a", "b"),
)


@mirror(sl.solve_triangular)
def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """Solve op(a) x = b for triangular `a`; a vector `b` is one right-hand side.

    op(a) is a, its transpose ("T" or 1) or its conjugate transpose ("C" or 2).
    """
    a, b = as_array(a), as_array(b)
    code = {"N": 0, "T": 1, "C": 2}.get(trans, trans) if isinstance(trans, str) else trans
    options = {"trans": code, "lower": bool(lower), "unit_diagonal": bool(unit_diagonal)}
    if b.ndim == 1:
        return _triangular(a, b[:, None], **options)[..., 0]
    return _triangular(a, b, **options)


# --- banded systems: row u + i - j of `ab` holds a_ij of column j --------------------------------


def _band_transposed(ab: Any, lower: int, upper: int) -> Any:
    """Return the transposed matrix in banded form: row l + k holds a_(i, i + k) of its column i."""
    n = ab.shape[-1]
    wide = np.pad(ab, ((0, 0), (lower, upper)))
    rows = [wide[upper - k, lower + k : lower + k + n] for k in range(-lower, upper + 1)]
    return np.stack(rows)


def _band_outer(left: Any, right: Any, lower: int, upper: int) -> Any:
    """Return the entries sum_k left_ik right_jk within the band, in banded form."""
    n = len(right)
    wide = np.pad(left, ((upper, lower), (0, 0)))
    rows = [(wide[upper + d : upper + d + n] * right).sum(-1) for d in range(-upper, lower + 1)]
    return np.stack(rows)


def _band_times(ab: Any, x: Any, lower: int, upper: int) -> Any:
    """Return the product of a matrix in banded form with a dense one."""
    n = len(x)
    transposed = _band_transposed(ab, lower, upper)  # row l + k holds what multiplies x_(i + k)
    wide = np.pad(x, ((lower, upper), (0, 0)))
    return sum(
        [
            transposed[lower + k][:, None] * wide[lower + k : lower + k + n]
            for k in range(-lower, upper + 1)
        ]
    )


def _banded_pull_b(ct: Any, ab: Any, lower: int, upper: int) -> Any:
    return _banded(_band_transposed(ab, lower, upper), ct, lower=upper, upper=lower)


_banded: Primitive = primitive(
    "solve_banded",
    lambda ab, b, lower, upper: sl.solve_banded((lower, upper), ab, b),
    vjp=(
        lambda ct, ans, ab, lower, upper: _band_outer(
            -_banded_pull_b(ct, ab, lower, upper), ans, lower, upper
        ),
        _banded_pull_b,
    ),
    jvp=(
        lambda t, ans, ab, lower, upper: (
            -_banded(ab, _band_times(t, ans, lower, upper), lower=lower, upper=upper)
        ),
        lambda t, ab, lower, upper: _banded(ab, t, lower=lower, upper=upper),
    ),
    parameters=("ab", "b"),
)


@mirror(sl.solve_banded)
def solve_banded(
    l_and_u: Any,
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """Solve a x = b for a matrix with l lower and u upper diagonals: ``ab[u + i - j, j] == a[i, j]``."""
    ab, b = as_array(ab), as_array(b)
    if ab.ndim != 2 or b.ndim > 2:
        unsupported("scipy.linalg.solve_banded of stacks of matrices", "use vmap")
    lower, upper = [int(k) for k in l_and_u]
    if lower + upper + 1 != len(ab):
        raise ValueError(
            f"invalid values for the number of lower and upper diagonals: l+u+1 "
            f"({lower + upper + 1}) does not equal ab.shape[-2] ({len(ab)})"
        )
    if b.ndim == 1:
        return _banded(ab, b[:, None], lower=lower, upper=upper)[:, 0]
    return _banded(ab, b, lower=lower, upper=upper)


@mirror(sl.solveh_banded)
def solveh_banded(
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    lower: bool = False,
    check_finite: bool = True,
) -> Any:
    """Solve a x = b for a Hermitian positive definite matrix, given one half of its diagonals."""
    ab = as_array(ab)
    if ab.ndim != 2:
        unsupported("scipy.linalg.solveh_banded of stacks of matrices", "use vmap")
    k = len(ab) - 1
    diagonal = np.real(ab[:1] if lower else ab[k:])
    if lower:
        half = _band_transposed(ab, k, 0)[:k].conj()
        whole = np.concatenate([half, diagonal, ab[1:]])
    else:
        half = _band_transposed(ab, 0, k)[1:].conj()
        whole = np.concatenate([ab[:k], diagonal, half])
    return solve_banded((k, k), whole, b)
