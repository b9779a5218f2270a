"""Factorisations: Cholesky, LU, QR, singular values, polar."""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, unsupported
from funcgrad.primitives.families import constant, primitive
from funcgrad.primitives.matrices import adjoint
from funcgrad.primitives.ufuncs import conj
from funcgrad.scipy.linalg.banded import solve_triangular
from funcgrad.scipy.linalg.sylvester import solve_sylvester
from funcgrad.scipy.mirrors import mirror, refuse

sl: Any = importlib.import_module("scipy.linalg")

# --- Cholesky ------------------------------------------------------------------------------------


@mirror(sl.cholesky)
def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """Return the Cholesky factor: upper U with U^H U = a, or lower L with L L^H = a."""
    return np.linalg.cholesky(as_array(a), upper=not lower)


@mirror(sl.cho_factor)
def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, bool]:
    """Return the Cholesky factor and `lower`, for `cho_solve`; the other triangle is 0."""
    return cholesky(a, lower), bool(lower)


@mirror(sl.cho_solve)
def cho_solve(
    c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """Solve a x = b, given what `cho_factor(a)` returned."""
    c, lower = c_and_lower
    lower = bool(np.all(lower))  # an array, if SciPy factored a stack of matrices
    first, second = (0, 2) if lower else (2, 0)
    return solve_triangular(c, solve_triangular(c, b, first, lower), second, lower)


# --- LU ------------------------------------------------------------------------------------------


def _unpacked(packed: Any) -> tuple[Any, Any]:
    """Return L, whose diagonal is 1, and U."""
    m, n = packed.shape[-2:]
    k = min(m, n)
    below = np.tri(m, n, -1, dtype=bool)
    low = packed[..., :k] * below[:, :k] + np.eye(m, k, dtype=bool)
    return low, packed[..., :k, :] * ~below[:k]


def _permutation(piv: Any, m: int) -> Any:
    """Return the order of rows that LAPACK's exchanges lead to."""
    order = np.broadcast_to(np.arange(m), (*piv.shape[:-1], m)).copy()
    for i in range(piv.shape[-1]):
        j = piv[..., i, None].astype(order.dtype)
        first, second = order[..., i, None].copy(), np.take_along_axis(order, j, -1)
        np.put_along_axis(order, j, first, -1)
        order[..., i, None] = second
    return order


_order: Primitive = constant(
    _permutation, name="row_order", batch=lambda args, mapped, settings: _order(*args, **settings)
)


def _rows(x: Any, order: Any) -> Any:
    """Return the rows of matrices in another order."""
    return np.take_along_axis(x, order[..., :, None], -2)


def _lu_value(a: Any) -> Any:
    packed, piv = sl.lu_factor(a)
    return packed, piv, _permutation(piv, a.shape[-2])


# With A[order] = L U of order k, F = L^-1 dA[order] U^-1: dL = L tril(F, -1), dU = triu(F) U. Rows of L
# below the k-th are dA U^-1 - L dU U^-1, columns of U behind it likewise.
def _lu_pull(ct: Any, ans: Any) -> Any:
    (ct, *_), (packed, _, order) = ct, ans
    m, n = packed.shape[-2:]
    k = min(m, n)
    below = np.tri(m, n, -1, dtype=bool)
    low, up = _unpacked(packed)
    g_low, g_up = (ct * below)[..., :k], (ct * ~below)[..., :k, :]
    top, left = low[..., :k, :], up[..., :k]
    rows = _right_solve(g_low[..., k:, :], left.mT)
    columns = np.linalg.solve(top.mT, g_up[..., k:])
    g_low = g_low[..., :k, :] - columns @ up[..., k:].mT
    g_up = g_up[..., :k] - low[..., k:, :].mT @ rows
    inner = (top.mT @ g_low) * below[:k, :k] + (g_up @ left.mT) * ~below[:k, :k]
    core = np.linalg.solve(top.mT, _right_solve(inner, left.mT))
    tall = m > n
    whole = np.concatenate([core, rows if tall else columns], -2 if tall else -1)
    return _rows(whole, np.argsort(order, -1))


def _right_solve(x: Any, a: Any) -> Any:
    """Return x a^-1."""
    return np.linalg.solve(a.mT, x.mT).mT


_lu: Primitive = primitive(
    "lu_factor",
    _lu_value,
    vjp=(_lu_pull,),
    parameters=("a",),
    multiple=True,
)


@mirror(sl.lu_factor)
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Return L and U in one matrix, and the exchanges of rows, for `lu_solve`."""
    return _lu(as_array(a))[:2]


@mirror(sl.lu)
def lu(
    a: Any,
    permute_l: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = True,
    p_indices: bool = False,
) -> Any:
    """Return P, L, U with a = P L U; the permutation is a constant."""
    a = as_array(a)
    packed, _, order = _lu(a)
    low, up = _unpacked(packed)
    back = np.argsort(order, -1)
    if permute_l:
        return _rows(low, back), up
    if p_indices:
        return back, low, up
    return (back[..., :, None] == np.arange(a.shape[-2])).astype(low.real.dtype), low, up


@mirror(sl.lu_solve)
def lu_solve(
    lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """Solve op(a) x = b, given what `lu_factor(a)` returned; op is as in `solve_triangular`."""
    packed, piv = lu_and_piv
    packed, b = as_array(packed), as_array(b)
    order = _order(as_array(piv), m=packed.shape[-2])
    x = b[:, None] if b.ndim == 1 else b
    low = {"lower": True, "unit_diagonal": True}
    if trans == 0:
        x = solve_triangular(packed, solve_triangular(packed, _rows(x, order), **low))
    else:
        x = solve_triangular(packed, solve_triangular(packed, x, trans), trans, **low)
        x = _rows(x, np.argsort(order, -1))
    return x[..., 0] if b.ndim == 1 else x


# --- QR and singular values ----------------------------------------------------------------------


@mirror(sl.qr)
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """Return the QR factors; see `np.linalg.qr` of funcgrad for where there is a derivative."""
    refuse("scipy.linalg.qr", pivoting=pivoting, mode=mode if mode == "raw" else None)
    a = as_array(a)
    m, n = a.shape[-2:]
    if mode != "r":
        return tuple(np.linalg.qr(a, "complete" if mode == "full" else "reduced"))
    r: Any = np.linalg.qr(a, "r")
    missing = np.zeros((*a.shape[:-2], max(m - n, 0), n), r.dtype)
    return (np.concatenate([r, missing], -2),)


@mirror(sl.svd)
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """Return the singular value decomposition, or the singular values alone."""
    refuse("scipy.linalg.svd", lapack_driver=lapack_driver if lapack_driver != "gesdd" else None)
    a = as_array(a)
    return tuple(np.linalg.svd(a, full_matrices)) if compute_uv else np.linalg.svdvals(a)


@mirror(sl.svdvals)
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Return the singular values; their derivative is finite where some are equal."""
    return np.linalg.svdvals(as_array(a))


# A = U P, C = U^H dA: dP = C - W P and dU = U W + (1 - U U^H) dA P^-1, where P W + W P = C - C^H
# (Higham, Functions of Matrices, section 8).
def _polar_pull(ct: Any, ans: Any) -> Any:
    (ct_u, ct_p), (u, p) = ct, ans
    turn = solve_sylvester(p.mT, p.mT, u.mT @ ct_u - ct_p @ p.mT)
    outside = np.linalg.solve(p, (ct_u - conj(u) @ (u.mT @ ct_u)).mT).mT
    return outside + conj(u) @ (turn - adjoint(turn) + ct_p)


_polar: Primitive = primitive(
    "polar", lambda a: tuple(sl.polar(a)), vjp=(_polar_pull,), parameters=("a",), multiple=True
)


@mirror(sl.polar)
def polar(a: Any, side: str = "right") -> Any:
    """Return the polar factors u, p of a matrix of full rank: a = u p, or a = p u on the left."""
    a = as_array(a)
    if side not in ("right", "left"):
        raise ValueError("`side` must be either 'right' or 'left'")
    m, n = a.shape[-2:]
    if m < n if side == "right" else m > n:
        unsupported(
            f"scipy.linalg.polar of shape {(m, n)} on the {side}",
            "take the other side: p is singular",
        )
    u, p = _polar(a if side == "right" else adjoint(a))
    return (u, p) if side == "right" else (adjoint(u), p)


@mirror(sl.orthogonal_procrustes)
def orthogonal_procrustes(A: Any, B: Any, check_finite: bool = True) -> Any:
    """Return the orthogonal matrix that takes `A` nearest to `B`, and the scale."""
    A, B = as_array(A), as_array(B)
    if A.ndim != 2 or A.shape != B.shape:
        raise ValueError(
            f"the shapes of A and B differ ({A.shape} vs {B.shape}), or are no matrices'"
        )
    u, p = _polar(A.mT.conj() @ B)
    return u, np.real(np.trace(p))
