"""Factorisations, eigenvalues and singular values."""

from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, handle, is_traced, unsupported
from funcgrad.primitives.axes import in_rows
from funcgrad.primitives.families import primitive
from funcgrad.primitives.matrices import (
    adjoint,
    batched,
    diagonal_matrix,
    diagonal_of,
    hermitian_part,
    identity,
    over_gap,
    over_gaps,
)
from funcgrad.primitives.plain import is_mapped, settled
from funcgrad.primitives.ufuncs import conj

QRResult = type(np.linalg.qr(np.eye(1)))


SVDResult = type(np.linalg.svd(np.eye(1)))


# --- factorisations ------------------------------------------------------------------------------


def _half_lower(x: Any) -> Any:
    """Return the lower triangle with half the diagonal."""
    n = x.shape[-1]
    return x * np.tri(n, k=-1, dtype=bool) + x * identity(n) / 2


def _inverse_of_lower(x: Any) -> Any:
    """Invert a lower triangular matrix block by block: a sixth of the time of np.linalg.inv."""
    n = x.shape[-1]
    if n <= 64 or type(x) is not np.ndarray:  # traced: one operation is easier to differentiate
        return np.linalg.inv(x)
    half = n // 2
    inverse = np.zeros_like(x)
    first = inverse[..., :half, :half] = _inverse_of_lower(x[..., :half, :half])
    second = inverse[..., half:, half:] = _inverse_of_lower(x[..., half:, half:])
    inverse[..., half:, :half] = -second @ (x[..., half:, :half] @ first)
    return inverse


# dL = L Phi(L^-1 dA L^-H), Phi = _half_lower (I. Murray, arXiv:1602.07527)
def _cholesky_push(t: Any, ans: Any) -> Any:
    inverse = _inverse_of_lower(ans)
    return ans @ _half_lower(inverse @ hermitian_part(t) @ adjoint(inverse))


def _cholesky_pull(ct: Any, ans: Any) -> Any:
    inverse = _inverse_of_lower(ans)
    return hermitian_part(inverse.mT @ _half_lower(ans.mT @ ct) @ conj(inverse))


_cholesky: Primitive = primitive(
    "cholesky",
    np.linalg.cholesky,
    vjp=(_cholesky_pull,),
    jvp=(_cholesky_push,),
    parameters=("a",),
    batch=lambda *batch: batched(_cholesky)(*batch),
)


@handle(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Return the Cholesky factor of Hermitian matrices; the derivative is symmetrised."""
    a = as_array(a)
    return in_rows(adjoint(_cholesky(adjoint(a)))) if upper else _cholesky(a)


# With C = Q^H dA R^-1 and the upper triangular K = dR R^-1, whose diagonal is real as LAPACK's R is:
# K = triu(C, 1) + tril(C, -1)^H + Re diag(C), dQ = dA R^-1 - Q K (Walter & Lehmann).
def _qr_pull(ct: Any, ans: Any) -> Any:
    ct_q, ct_r = ct
    q, r = ans
    upper = _half_lower((ct_r @ r.mT - q.mT @ ct_q).mT).mT
    return np.linalg.solve(r, (ct_q + conj(q) @ (upper + adjoint(upper))).mT).mT


_qr: Primitive = primitive(
    "qr",
    np.linalg.qr,
    vjp=(_qr_pull,),
    parameters=("a",),
    multiple=True,
    batch=lambda *batch: batched(_qr)(*batch),
)


@handle(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """Return the QR factors. There is no derivative where the leading columns are linearly dependent.

    It raises LinAlgError there, or is huge if R is singular only up to rounding.
    The columns that mode="complete" adds to q of a tall matrix are arbitrary: that is refused.
    """
    if mode not in ("reduced", "complete", "r"):
        unsupported(f"np.linalg.qr with mode={mode!r}", 'use mode="reduced"')
    a = as_array(a)
    m, n = a.shape[-2:]
    if mode == "complete" and m > n:
        unsupported('np.linalg.qr with mode="complete" of a tall matrix', 'use mode="reduced"')
    q, r = _qr(a[..., :m])
    if m < n:
        r = np.concatenate([r, adjoint(q) @ a[..., m:]], axis=-1)
    return r if mode == "r" else QRResult(q, r)


# --- eigenvalues ---------------------------------------------------------------------------------


# dw = Re diag(M), dV = V (M_ij / (w_j - w_i)), M = V^H dA V (Giles). The phase of a complex vector is
# LAPACK's choice; here v^H dv = 0, which is right for all functions that do not depend on it.
def _eigh_pull(ct: Any, ans: Any) -> Any:
    ct_w, ct_v = ct
    w, v = ans
    core = over_gaps(v.mT @ ct_v, w) + diagonal_matrix(ct_w)
    return hermitian_part(conj(v) @ core @ v.mT)


def _eigh_push(t: Any, ans: Any) -> Any:
    w, v = ans
    change = adjoint(v) @ hermitian_part(t) @ v
    return np.real(diagonal_of(change)), v @ over_gaps(change, w)


_eigh: Primitive = primitive(
    "eigh",
    np.linalg.eigh,
    vjp=(_eigh_pull,),
    jvp=(_eigh_push,),
    parameters=("a",),
    multiple=True,
    batch=lambda *batch: batched(_eigh)(*batch),
)


@handle(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Return eigenvalues and eigenvectors of Hermitian matrices; the derivative is symmetrised."""
    return _eigh(as_array(a), UPLO=UPLO)


@handle(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Return eigenvalues of Hermitian matrices."""
    return eigh(a, UPLO)[0]


# dw = diag(M), dV = V Z - V diag(c), M = V^-1 dA V, Z_ij = M_ij / (w_j - w_i) (Boeddeker et al.).
# c keeps each vector as LAPACK returns it: of length one, and its largest entry real.
def _eig_pull(ct: Any, ans: Any) -> Any:
    ct_w, ct_v = ct
    w, v = ans
    along = (ct_v * v).sum(-2)[..., None, :]
    g = ct_v - np.real(along) * conj(v)
    if v.dtype.kind == "c":
        largest = np.argmax(np.absolute(v), -2)[..., None, :] == np.arange(v.shape[-1])[:, None]
        g = g - 1j * np.imag(along) * largest / (largest * v).sum(-2)[..., None, :]
    core = over_gaps(v.mT @ g, w) + diagonal_matrix(ct_w)
    return np.linalg.solve(v.mT, core @ v.mT)


_eig: Primitive = primitive(
    "eig",
    np.linalg.eig,
    vjp=(_eig_pull,),
    parameters=("a",),
    multiple=True,
    batch=lambda *batch: batched(_eig)(*batch),
)


@handle(np.linalg.eig)
def eig(a: Any) -> Any:
    """Return eigenvalues and eigenvectors; differentiating a matrix without n independent ones raises."""
    return _eig(as_array(a))


@handle(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Return eigenvalues."""
    return eig(a)[0]


# --- singular values -----------------------------------------------------------------------------


# With P = U^H dA V: dS = Re diag(P), U^H dU = (P S + S P^H)_ij / (s_j^2 - s_i^2), V^H dV = (S P + P^H S)_ij / (..)
# and, outside the k leading vectors, dU = (1 - U U^H) dA V / S (Townsend). U and V share the phase
# i Im(P_ii) / s_i evenly. The vectors that full_matrices adds turn only against the leading ones.
def _svd_pull(ct: Any, ans: Any) -> Any:
    ct_u, ct_s, ct_vh = ct
    u, s, vh = ans
    k = s.shape[-1]
    outside_u = _outside(ct_u, u, k)
    outside_v = _outside(ct_vh.mT, vh.mT, k).mT
    ct_u, u, ct_vh, vh = ct_u[..., :k], u[..., :k], ct_vh[..., :k, :], vh[..., :k, :]
    rows, columns = s[..., :, None], s[..., None, :]
    turn_u, turn_v = u.mT @ ct_u, ct_vh @ vh.mT
    free_u, free_v = over_gaps(turn_u, s * s), over_gaps(turn_v, s * s)
    core = (free_u + adjoint(free_u)) * columns - rows * (free_v + adjoint(free_v))
    core = core + diagonal_matrix(ct_s)
    if u.dtype.kind == "c":
        core = core + 1j * over_gap(np.imag(turn_u + turn_v) * identity(k), 2 * columns)
    inside = conj(u) @ core @ conj(vh)
    return inside + over_gap(outside_u, columns) @ conj(vh) + conj(u) @ over_gap(outside_v, rows)


def _outside(ct: Any, u: Any, k: int) -> Any:
    """Return the part of the cotangent of the k leading columns of `u` that leads out of their span."""
    if u.shape[-2] == k:
        return ct * 0
    head, tail = u[..., :k], u[..., k:]
    out = ct[..., :k] - conj(head) @ (head.mT @ ct[..., :k])
    return out - conj(tail) @ adjoint(head.mT @ ct[..., k:])


_svd: Primitive = primitive(
    "svd",
    np.linalg.svd,
    vjp=(_svd_pull,),
    parameters=("a",),
    multiple=True,
    batch=lambda *batch: batched(_svd)(*batch),
)


@handle(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Return the singular value decomposition, or the singular values alone."""
    a = as_array(a)
    if not hermitian:
        result = _svd(a, full_matrices=bool(full_matrices and compute_uv))
        return result if compute_uv else result[1]
    w, u = eigh(a)
    s, sign = np.absolute(w), np.copysign(1.0, w)
    order = np.flip(np.argsort(s), -1)
    s = np.take_along_axis(s, order, -1)
    if not compute_uv:
        return s
    u = np.take_along_axis(u, order[..., None, :], -1)
    return SVDResult(u, s, adjoint(u * np.take_along_axis(sign, order, -1)[..., None, :]))


@handle(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    """Return the singular values; their derivative is finite where some are equal."""
    return svd(x, compute_uv=False)


@handle(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Return the rank, a constant."""
    if rtol is not None and tol is not None:
        raise ValueError("`tol` and `rtol` can't be both set.")
    A = as_array(A)
    if A.ndim < 2:
        nonzero = np.any(A != 0)
        return nonzero.astype(int) if is_traced(nonzero) else int(nonzero)
    if not any([is_mapped(x) for x in (A, tol, rtol)]):
        tol, rtol = [None if x is None else settled(x) for x in (tol, rtol)]
        return np.linalg.matrix_rank(settled(A), tol, hermitian, rtol=rtol)
    s = svd(A, compute_uv=False, hermitian=hermitian)
    if tol is None:
        rtol = (
            max(A.shape[-2:]) * np.finfo(s.dtype).eps if rtol is None else as_array(rtol)[..., None]
        )
        tol = s.max(axis=-1, keepdims=True, initial=0) * rtol
    else:
        tol = as_array(tol)[..., None]
    return np.count_nonzero(s > tol, axis=-1)
