"""Linear systems of one matrix, general or of a structure.

Of a symmetric or Hermitian matrix SciPy reads one triangle; the derivative is that of the function of
(A + A^H) / 2, so that gradients are Hermitian, as for `np.linalg.cholesky`.
"""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, unsupported
from funcgrad.primitives.families import primitive
from funcgrad.primitives.matrices import adjoint
from funcgrad.scipy.linalg.structured import toeplitz
from funcgrad.scipy.mirrors import mirror, refuse

sl: Any = importlib.import_module("scipy.linalg")

# --- structure -----------------------------------------------------------------------------------


def _symmetric_part(ct: Any, conjugate: bool) -> Any:
    """Return the symmetric or Hermitian part, which is its own transpose in the pairing."""
    return (ct + (adjoint(ct) if conjugate else ct.mT)) / 2


def _mirror_triangle(x: Any, lower: bool, conjugate: bool) -> Any:
    """Return the symmetric or Hermitian matrix of which one triangle is given."""
    triangle = np.tril(x, -1) if lower else np.triu(x, 1)
    diagonal = np.where(np.eye(x.shape[-1], dtype=bool), x.real if conjugate else x, 0)
    return triangle + diagonal + (adjoint(triangle) if conjugate else triangle.mT)


_symmetric: Primitive = primitive(
    "mirror_triangle",
    _mirror_triangle,
    vjp=(_symmetric_part,),
    jvp=(_symmetric_part,),
    parameters=("x",),
    batch=lambda args, mapped, settings: _symmetric(*args, **settings),
)

_SYMMETRIC = {"sym": False, "symmetric": False, "her": True, "hermitian": True}
_SYMMETRIC |= {"pos": True, "positive definite": True}


def _of_structure(a: Any, assume_a: Any, lower: bool) -> Any:
    """Return the matrix that SciPy reads of `a`."""
    if assume_a in (None, "gen", "general", "banded"):
        return a
    if assume_a in _SYMMETRIC:
        return _symmetric(a, lower=bool(lower), conjugate=_SYMMETRIC[assume_a])
    places = np.subtract.outer(np.arange(a.shape[-2]), np.arange(a.shape[-1]))
    read = {
        "diagonal": places == 0,
        "tridiagonal": abs(places) <= 1,
        "upper triangular": places <= 0,
        "lower triangular": places >= 0,
    }
    if assume_a not in read:
        raise ValueError(f"{assume_a} is not a recognized matrix structure")
    return np.where(read[assume_a], a, 0)


# --- general systems -----------------------------------------------------------------------------


@mirror(sl.solve)
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: str | None = None,
    transposed: bool = False,
) -> Any:
    """Solve a x = b, or a^T x = b if `transposed`; `assume_a` and `lower` say what is read of `a`."""
    a, b = as_array(a), as_array(b)
    if transposed and a.dtype.kind == "c":
        unsupported("scipy.linalg.solve of a complex matrix, transposed", "write solve(a.mT, b)")
    a = _of_structure(a, assume_a, lower)
    return np.linalg.solve(a.mT if transposed else a, b)


@mirror(sl.inv)
def inv(
    a: Any,
    overwrite_a: bool = False,
    check_finite: bool = True,
    *,
    assume_a: str | None = None,
    lower: bool = False,
) -> Any:
    """Return the inverse of matrices; `assume_a` and `lower` say what is read of them."""
    return np.linalg.inv(_of_structure(as_array(a), assume_a, lower))


@mirror(sl.det)
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Return the determinant of matrices."""
    return np.linalg.det(as_array(a))


def _pseudo_inverse(
    name: str, a: Any, atol: Any, rtol: Any, return_rank: bool, hermitian: bool
) -> Any:
    if atol is not None and atol != 0:
        unsupported(f"scipy.linalg.{name} with atol=", "pass rtol")
    if rtol is None:
        rtol = max(a.shape[-2:]) * np.finfo(a.dtype).eps
    inverse = np.linalg.pinv(a, rtol=rtol, hermitian=hermitian)
    if not return_rank:
        return inverse
    return inverse, np.linalg.matrix_rank(a, rtol=rtol, hermitian=hermitian)


@mirror(sl.pinv)
def pinv(
    a: Any,
    *,
    atol: Any = None,
    rtol: Any = None,
    return_rank: bool = False,
    check_finite: bool = True,
) -> Any:
    """Return the pseudo-inverse; its derivative holds the rank constant."""
    return _pseudo_inverse("pinv", as_array(a), atol, rtol, return_rank, False)


@mirror(sl.pinvh)
def pinvh(
    a: Any,
    atol: Any = None,
    rtol: Any = None,
    lower: bool = True,
    return_rank: bool = False,
    check_finite: bool = True,
) -> Any:
    """Return the pseudo-inverse of Hermitian matrices; its derivative holds the rank constant."""
    a = _symmetric(as_array(a), lower=bool(lower), conjugate=True)
    return _pseudo_inverse("pinvh", a, atol, rtol, return_rank, True)


@mirror(sl.lstsq)
def lstsq(
    a: Any,
    b: Any,
    cond: Any = None,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    lapack_driver: str | None = None,
) -> Any:
    """Return the least-squares solution, the residues, the rank and the singular values."""
    refuse("scipy.linalg.lstsq", lapack_driver=lapack_driver if lapack_driver != "gelsd" else None)
    a, b = as_array(a), as_array(b)
    if a.ndim != 2 or b.ndim > 2:
        unsupported("scipy.linalg.lstsq of stacks of matrices", "use vmap")
    eps = np.finfo(np.result_type(a.dtype, b.dtype)).eps
    x, residues, rank, s = np.linalg.lstsq(a, b, eps if cond is None else cond)
    return x, residues[0] if b.ndim == 1 and residues.size else residues, rank, s


@mirror(sl.solve_toeplitz)
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    """Solve t x = b for the Toeplitz matrix of a first column, or of a column and a row (O(n^3))."""
    column, row = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    return np.linalg.solve(toeplitz(column, row), as_array(b))
