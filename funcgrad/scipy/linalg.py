"""`scipy.linalg`: functions of matrices, triangular and Sylvester equations, structured matrices.

Rules: N. Higham, Functions of Matrices, 2008 (chapter 3); M. Giles, Collected matrix derivative
results, 2008.
"""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, unsupported
from funcgrad.primitives.families import primitive

sl: Any = importlib.import_module("scipy.linalg")

# --- functions of a matrix -----------------------------------------------------------------------


def _frechet(a: Any, e: Any) -> Any:
    """Return the derivative of expm at `a` along `e`: a block of expm [[a, e], [0, a]] (Higham 3.16)."""
    n = a.shape[-1]
    upper = np.concatenate([a, e], -1)
    lower = np.concatenate([np.zeros_like(a), a], -1)
    return _expm(np.concatenate([upper, lower], -2))[..., :n, n:]


_expm: Primitive = primitive(
    "expm",
    sl.expm,
    vjp=(lambda ct, a: _frechet(a.mT, ct),),
    jvp=(lambda t, a: _frechet(a, t),),
    parameters=("a",),
    batch=lambda args, mapped, settings: _expm(*args),
)


def expm(A: Any) -> Any:
    """Return the exponential of matrices, over the last two axes."""
    return _expm(as_array(A))


# X X = A: X dX + dX X = dA
_sqrtm: Primitive = primitive(
    "sqrtm",
    sl.sqrtm,
    vjp=(lambda ct, ans: solve_sylvester(ans.T, ans.T, ct),),
    jvp=(lambda t, ans: solve_sylvester(ans, ans, t),),
    parameters=("a",),
)


def sqrtm(A: Any) -> Any:
    """Return the principal square root of a matrix (two axes)."""
    return _sqrtm(_matrix(A, "sqrtm"))


def _matrix(a: Any, name: str) -> Any:
    a = as_array(a)
    if a.ndim != 2:
        unsupported(
            f"scipy.linalg.{name} of an array with {a.ndim} axes", "use vmap over the others"
        )
    return a


# --- equations -----------------------------------------------------------------------------------


def _sylvester_adjoint(ct: Any, a: Any, b: Any) -> Any:
    return _sylvester(a.T, b.T, ct)


# A X + X B = Q: A dX + dX B = dQ - dA X - X dB
_sylvester: Primitive = primitive(
    "solve_sylvester",
    sl.solve_sylvester,
    vjp=(
        lambda ct, ans, a, b: -(_sylvester_adjoint(ct, a, b) @ ans.T),
        lambda ct, ans, a, b: -(ans.T @ _sylvester_adjoint(ct, a, b)),
        _sylvester_adjoint,
    ),
    jvp=(
        lambda t, ans, a, b: -_sylvester(a, b, t @ ans),
        lambda t, ans, a, b: -_sylvester(a, b, ans @ t),
        lambda t, a, b: _sylvester(a, b, t),
    ),
    parameters=("a", "b", "q"),
)


def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """Solve a x + x b = q for the matrix x."""
    return _sylvester(*[_matrix(x, "solve_sylvester") for x in (a, b, q)])


def _triangle(a: Any, lower: bool, unit_diagonal: bool) -> Any:
    """Return 1 where a triangular solver reads the matrix."""
    n = a.shape[-1]
    mask = np.tri(n, k=-1 if unit_diagonal else 0, dtype=np.finfo(a.dtype).dtype)
    return mask if lower else mask.T


def _solve_transposed(ct: Any, a: Any, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    """Solve op(a)^T x = ct."""
    if trans == 2:  # op(a)^T = conj(a)
        a, trans = a.conj(), 1
    return _triangular(a, ct, trans=1 - trans, lower=lower, unit_diagonal=unit_diagonal)


# op(A) X = B: op(A) dX = dB - op(dA) X
def _triangular_da(ct: Any, ans: Any, a: Any, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    g = -(_solve_transposed(ct, a, trans, lower, unit_diagonal) @ ans.T)
    g = g if trans == 0 else g.T if trans == 1 else g.T.conj()
    return g * _triangle(a, lower, unit_diagonal)


def _triangular_push(t: Any, ans: Any, a: Any, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    t = t * _triangle(a, lower, unit_diagonal)
    t = t if trans == 0 else t.T if trans == 1 else t.T.conj()
    return _triangular(a, -(t @ ans), trans=trans, lower=lower, unit_diagonal=unit_diagonal)


def _triangular_push_b(t: Any, a: Any, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    return _triangular(a, t, trans=trans, lower=lower, unit_diagonal=unit_diagonal)


def _solve_triangular(a: Any, b: Any, *, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    return sl.solve_triangular(a, b, trans, lower, unit_diagonal)


_triangular: Primitive = primitive(
    "solve_triangular",
    _solve_triangular,
    vjp=(_triangular_da, _solve_transposed),
    jvp=(_triangular_push, _triangular_push_b),
    parameters=("a", "b"),
)


def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """Solve op(a) x = b for triangular `a` (two axes); `b` is a vector or a matrix.

    op(a) is a, its transpose ("T" or 1) or its conjugate transpose ("C" or 2).
    """
    a, b = _matrix(a, "solve_triangular"), as_array(b)
    code = {"N": 0, "T": 1, "C": 2}.get(trans, trans) if isinstance(trans, str) else trans
    options = {"trans": code, "lower": bool(lower), "unit_diagonal": bool(unit_diagonal)}
    if b.ndim == 1:
        return _triangular(a, b[:, None], **options)[:, 0]
    return _triangular(a, b, **options)


def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """Return the Cholesky factor: upper U with U^H U = a, or lower L with L L^H = a."""
    a = as_array(a)
    return np.linalg.cholesky(a) if lower else np.linalg.cholesky(a.mT.conj()).mT.conj()


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, bool]:
    """Return the Cholesky factor and `lower`, for `cho_solve`; the other triangle is 0."""
    return cholesky(a, lower), bool(lower)


def cho_solve(
    c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """Solve a x = b, given what `cho_factor(a)` returned."""
    c, lower = c_and_lower
    first, second = (0, 2) if lower else (2, 0)
    return solve_triangular(c, solve_triangular(c, b, first, lower), second, lower)


def solve(a: Any, b: Any, *, assume_a: str | None = None, transposed: bool = False) -> Any:
    """Solve a x = b, or a^T x = b if `transposed`, for a general matrix."""
    if assume_a not in (None, "gen", "general"):  # SciPy would read one triangle of it alone
        unsupported(
            f"scipy.linalg.solve with assume_a={assume_a!r}", "pass the whole matrix, without it"
        )
    a = as_array(a)
    return np.linalg.solve(a.mT if transposed else a, b)


def inv(a: Any) -> Any:
    """Return the inverse of matrices."""
    return np.linalg.inv(as_array(a))


def det(a: Any) -> Any:
    """Return the determinant of matrices."""
    return np.linalg.det(as_array(a))


# --- structured matrices -------------------------------------------------------------------------


def block_diag(*arrs: Any) -> Any:
    """Return the matrix with the given matrices (vectors are rows) along its diagonal."""
    blocks = [np.atleast_2d(as_array(x)) for x in arrs or ([],)]
    width = sum([x.shape[1] for x in blocks])
    rows, start = [], 0
    for x in blocks:
        height, n = x.shape
        left, right = np.zeros((height, start)), np.zeros((height, width - start - n))
        rows.append(np.concatenate([left.astype(x.dtype), x, right.astype(x.dtype)], 1))
        start += n
    return np.concatenate(rows, 0)


def toeplitz(c: Any, r: Any = None) -> Any:
    """Return the matrix with first column `c` and first row `r` (conj(c) if None), constant along diagonals."""
    c = as_array(c)
    r = c.conj() if r is None else as_array(r)
    if c.ndim != 1 or r.ndim != 1:
        unsupported("scipy.linalg.toeplitz of arrays that are no vectors", "use vmap")
    i, j = np.indices((len(c), len(r)))
    return np.concatenate([c[::-1], r[1:]])[len(c) - 1 - i + j]
