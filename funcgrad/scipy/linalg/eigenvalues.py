"""Eigenvalues and eigenvectors; SciPy returns a list for a stack of matrices, a primitive needs a tuple."""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, unsupported
from funcgrad.primitives.families import primitive
from funcgrad.primitives.matrices import (
    adjoint,
    diagonal_matrix,
    diagonal_of,
    hermitian_part,
    over_gaps,
)
from funcgrad.primitives.ufuncs import conj
from funcgrad.scipy.mirrors import mirror, refuse

sl: Any = importlib.import_module("scipy.linalg")


# A v = w B v, V^H B V = 1: with M = V^H (dA - dB W) V, dw = Re diag(M) and
# dV = V (M_ij / (w_j - w_i) - diag(V^H dB V) / 2) (Boeddeker et al.). B = 1 unless it is given.
def _eigh_core(ct: Any, ans: Any) -> Any:
    ct_w, ct_v = ct
    w, v = ans
    return over_gaps(v.mT @ ct_v, w) + diagonal_matrix(ct_w)


def _eigh_pull(ct: Any, ans: Any) -> Any:
    v = ans[1]
    return hermitian_part(conj(v) @ _eigh_core(ct, ans) @ v.mT)


def _eigh_pull_b(ct: Any, ans: Any) -> Any:
    w, v = ans
    along = diagonal_matrix(diagonal_of(v.mT @ ct[1]) / 2)
    core = _eigh_core(ct, ans) * w[..., None, :] + along
    return -hermitian_part(conj(v) @ core @ v.mT)


def _eigh_push(t: Any, ans: Any) -> Any:
    w, v = ans
    change = adjoint(v) @ hermitian_part(t) @ v
    return np.real(diagonal_of(change)), v @ over_gaps(change, w)


def _eigh_push_b(t: Any, ans: Any) -> Any:
    w, v = ans
    metric = adjoint(v) @ hermitian_part(t) @ v
    change = metric * w[..., None, :]
    along = diagonal_matrix(diagonal_of(metric) / 2)
    return -np.real(diagonal_of(change)), -(v @ (over_gaps(change, w) + along))


_eigh: Primitive = primitive(
    "scipy_eigh",
    lambda a, lower, driver: tuple(sl.eigh(a, lower=lower, driver=driver)),
    vjp=(_eigh_pull,),
    jvp=(_eigh_push,),
    parameters=("a",),
    multiple=True,
)

_eigh_of_pair: Primitive = primitive(
    "eigh_of_pair",
    lambda a, b, lower, driver: tuple(sl.eigh(a, b, lower=lower, driver=driver)),
    vjp=(_eigh_pull, _eigh_pull_b),
    jvp=(_eigh_push, _eigh_push_b),
    parameters=("a", "b"),
    multiple=True,
)


@mirror(sl.eigh)
def eigh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,  # noqa: A002  # SciPy's name
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: str | None = None,
) -> Any:
    """Return eigenvalues and eigenvectors of Hermitian matrices, or of pairs: a v = w b v."""
    refuse("scipy.linalg.eigh", type=None if type == 1 else type, subset_by_value=subset_by_value)
    a, options = as_array(a), {"lower": bool(lower), "driver": driver}
    if b is None:
        w, v = _eigh(a, **options)
    else:
        w, v = _eigh_of_pair(*_same_batch(a, as_array(b)), **options)
    if subset_by_index is not None:
        first, last = subset_by_index
        w, v = w[..., first : last + 1], v[..., first : last + 1]
    return w if eigvals_only else (w, v)


def _same_batch(a: Any, b: Any) -> Any:
    return (a, b) if a.shape == b.shape else np.broadcast_arrays(a, b)


@mirror(sl.eigvalsh)
def eigvalsh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,  # noqa: A002  # SciPy's name
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: str | None = None,
) -> Any:
    """Return eigenvalues of Hermitian matrices, or of pairs."""
    return eigh(
        a,
        b,
        lower=lower,
        eigvals_only=True,
        type=type,
        subset_by_index=subset_by_index,
        subset_by_value=subset_by_value,
        driver=driver,
    )


@mirror(sl.eig)
def eig(
    a: Any,
    b: Any = None,
    left: bool = False,
    right: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """Return eigenvalues, complex as SciPy's, and right eigenvectors."""
    refuse("scipy.linalg.eig", b=b, left=left, homogeneous_eigvals=homogeneous_eigvals)
    w, v = np.linalg.eig(as_array(a))
    w = w.astype(np.result_type(w.dtype, np.complex64))
    return (w, v) if right else w


@mirror(sl.eigvals)
def eigvals(
    a: Any,
    b: Any = None,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """Return eigenvalues, complex as SciPy's."""
    return eig(a, b, right=False, homogeneous_eigvals=homogeneous_eigvals)


@mirror(sl.eigvalsh_tridiagonal)
def eigvalsh_tridiagonal(
    d: Any,
    e: Any,
    select: Any = "a",
    select_range: Any = None,
    check_finite: bool = True,
    tol: float = 0.0,
    lapack_driver: str = "auto",
) -> Any:
    """Return eigenvalues of a symmetric matrix with the diagonal `d` and `e` beside it: all, or those of a range."""
    d, e = as_array(d), as_array(e)
    if select not in ("a", "all", 0, "i", "index", 2):
        refuse("scipy.linalg.eigvalsh_tridiagonal", select=select)
    if d.ndim != 1 or d.shape[0] != e.shape[0] + 1:
        raise ValueError("d (of one axis) must have one more element than e")
    values = np.linalg.eigvalsh(np.diag(d) + np.diag(e, 1) + np.diag(e, -1))
    if select in ("a", "all", 0):
        return values
    first, last = select_range
    return values[first : last + 1]


@mirror(sl.eigh_tridiagonal)
def eigh_tridiagonal(
    d: Any,
    e: Any,
    eigvals_only: bool = False,
    select: Any = "a",
    select_range: Any = None,
    check_finite: bool = True,
    tol: float = 0.0,
    lapack_driver: str = "auto",
) -> Any:
    """Return eigenvalues of a symmetric tridiagonal matrix; for the vectors call `eigh` of the matrix."""
    if not eigvals_only:
        unsupported(
            "scipy.linalg.eigh_tridiagonal with eigvals_only=False",
            "pass eigvals_only=True, or call eigh(np.diag(d) + np.diag(e, 1) + np.diag(e, -1))",
        )
    return eigvalsh_tridiagonal(d, e, select, select_range)
