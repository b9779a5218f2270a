"""Linear algebra over the last two axes, batched over the leading ones.

Rules are written for the pairing Re(sum(ct * dx)), without conjugation. Where the real-valued sources
transpose, complex matrices need a transpose in some places and a conjugate transpose in others.

Functions that read one triangle of a Hermitian matrix (cholesky, eigh, hermitian=True) have the
derivative of the function of (A + A^H) / 2, so that gradients are Hermitian. The vectors of equal
eigenvalues or singular values have no derivative: it comes out infinite or NaN. That of the values alone
is finite, since zero stays zero: a zero cotangent (or change) is not divided by the gap. The price is that
of np.sqrt(x) ** 2 at 0: recomposing U S V^H loses the derivative in the null space of A, where S is zero.
What NumPy refuses raises `numpy.linalg.LinAlgError`, in rules too.

References
----------
M. Giles, An extended collection of matrix derivative results, Oxford, 2008.
S. Walter and L. Lehmann, Algorithmic differentiation of linear algebra functions, 2010.
J. Townsend, Differentiating the singular value decomposition, 2016.
C. Boeddeker et al., On the computation of complex-valued gradients, arXiv:1701.00392, 2017.
G. Golub and V. Pereyra, The differentiation of pseudo-inverses, SIAM J. Numer. Anal. 10, 1973.
"""

import math
import operator
import warnings
from typing import Any

import numpy as np

from funcgrad.broadcasting import unbroadcast
from funcgrad.core import (
    HANDLERS,
    Primitive,
    Tracer,
    as_array,
    concrete,
    handle,
    is_traced,
    unsupported,
)
from funcgrad.primitives.axes import (
    as_number,
    count,
    in_rows,
    kept_shape,
    normalize_axes,
    normalize_axis,
    outside,
    read_only,
)
from funcgrad.primitives.families import bilinear, elementwise, linear, primitive
from funcgrad.primitives.indexing import scatter
from funcgrad.primitives.reductions import products_of_others, reduce_sum
from funcgrad.primitives.statistics import is_mapped, settled
from funcgrad.primitives.ufuncs import conj, root

_EPS = float(np.finfo(float).eps)
SlogdetResult = type(np.linalg.slogdet(np.eye(1)))
QRResult = type(np.linalg.qr(np.eye(1)))
SVDResult = type(np.linalg.svd(np.eye(1)))

# --- helpers -------------------------------------------------------------------------------------


def _h(x: Any) -> Any:
    """Return the conjugate transpose."""
    return x.mT.conj() if x.dtype.kind == "c" else x.mT


def _eye(n: int) -> Any:
    """Return the identity as a mask: a product with it keeps single precision."""
    return np.eye(n, dtype=bool)


def _diagonal_matrix(x: Any) -> Any:
    return x[..., None] * _eye(x.shape[-1])


def _diagonal_of(x: Any) -> Any:
    return (x * _eye(x.shape[-1])).sum(-1)


def _hermitian(x: Any) -> Any:
    """Return the Hermitian part, which is its own transpose in the pairing too."""
    return (x + _h(x)) / 2


def _over(x: Any, gap: Any) -> Any:
    """Return x / gap, and 0 wherever x = 0."""
    zero = x == 0
    return np.where(zero, 0, x / np.where(zero, 1, gap))


# What is zero stays zero over a gap of zero: values without vectors differentiate at equal values.
over_gap: Primitive = elementwise(
    _over,
    lambda ct, y: over_gap(ct, y),
    lambda ct, ans, y: -over_gap(ct * ans, y),
    name="over_gap",
)


def _over_gaps(x: Any, values: Any) -> Any:
    """Return x_ij / (v_j - v_i), and 0 on the diagonal."""
    same = _eye(values.shape[-1])
    return over_gap(x * ~same, values[..., None, :] - values[..., :, None] + same)


def _apply(primitive: Primitive) -> Any:
    """Return the batching of a function of one array whose leading axes are batch axes already."""
    return lambda args, mapped, settings: primitive(*args, **settings)


# --- inverses and linear systems -----------------------------------------------------------------

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


@handle(np.linalg.tensorinv)
def tensorinv(a: Any, ind: Any = 2) -> Any:
    """Return the inverse of an array as a linear map between tensors."""
    a = as_array(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    n = math.prod(a.shape[ind:])
    return _inv(a.reshape((n, a.size // max(n, 1)))).reshape(a.shape[ind:] + a.shape[:ind])


@handle(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Solve tensordot(a, x, x.ndim) = b."""
    a, b = as_array(a), as_array(b)
    if axes is not None:
        order = list(range(a.ndim))
        for k in axes:
            order.remove(k)
            order.insert(a.ndim, k)
        a = a.transpose(order)
    shape = a.shape[-(a.ndim - b.ndim) :]
    n = math.prod(shape)
    if a.size != n**2:
        raise np.linalg.LinAlgError(
            "Input arrays must satisfy the requirement "
            "prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return _solve(a.reshape((n, n)), b.reshape((n, 1))).reshape(shape)


# dP = -P dA P + P P^H dA^H (1 - A P) + (1 - P A) dA^H P^H P, at constant rank (Golub & Pereyra)
def _pinv_push(t: Any, ans: Any, a: Any, hermitian: Any) -> Any:
    t = _hermitian(t) if hermitian else t
    th, p, ph = _h(t), ans, _h(ans)
    left = p @ ph @ (th - th @ a @ p)
    right = (th - p @ a @ th) @ ph @ p
    return left + right - p @ t @ p


def _pinv_pull(ct: Any, ans: Any, a: Any, hermitian: Any) -> Any:
    cth, pt, pc = _h(ct), ans.mT, conj(ans)
    left = (cth - conj(a) @ pc @ cth) @ pc @ pt
    right = pt @ pc @ (cth - cth @ pc @ conj(a))
    g = left + right - pt @ ct @ pt
    return _hermitian(g) if hermitian else g


def _pinv_value(a: Any, rcond: Any, hermitian: bool) -> Any:
    return np.linalg.pinv(a, rcond=rcond, hermitian=hermitian)


_pinv: Primitive = primitive(
    "pinv",
    _pinv_value,
    vjp=(_pinv_pull,),
    jvp=(_pinv_push,),
    parameters=("a",),
    batch=lambda *batch: _apply(_pinv)(*batch),
)


@handle(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    """Return the pseudo-inverse; its derivative holds the rank constant."""
    a = as_array(a)
    if rtol is not np._NoValue:
        if rcond is not None:
            raise ValueError("`rtol` and `rcond` can't be both set.")
        rcond = max(a.shape[-2:]) * np.finfo(a.dtype).eps if rtol is None else rtol
    return _pinv(a, rcond=1e-15 if rcond is None else rcond, hermitian=hermitian)


# x = P b, and at full rank the residual r = b - A x is orthogonal to the range of A, so that
# d|r|^2 = 2 Re(conj(r) (db - dA x)); ds = Re(u^H dA v) for singular values.
def _lstsq_pull_a(ct: Any, ans: Any, a: Any, b: Any, rcond: Any) -> Any:
    ct_x, ct_rest, _, ct_s = ct
    columns = (-1, 1) if b.ndim == 1 else (-1, b.shape[1])
    x, ct_x, b = ans[0].reshape(columns), ct_x.reshape(columns), b.reshape(columns)
    g = _pinv_pull(ct_x @ b.T, _pinv(a, rcond=rcond, hermitian=False), a, False)
    if len(ct_rest):
        g = g - 2 * (ct_rest * conj(b - a @ x)) @ x.T
    if type(ct_s) is np.ndarray and not ct_s.any():
        return (
            g  # a constant zero: without it second derivatives are finite at equal singular values
        )
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return g + (conj(u) * ct_s) @ conj(vh)


def _lstsq_pull_b(ct: Any, ans: Any, a: Any, b: Any, rcond: Any) -> Any:
    g = np.linalg.lstsq(a.T, ct[0], rcond)[0]  # pinv(A)^T = pinv(A^T)
    return g + 2 * ct[1] * conj(b - a @ ans[0]) if len(ct[1]) else g


_lstsq: Primitive = primitive(
    "lstsq",
    np.linalg.lstsq,
    vjp=(_lstsq_pull_a, _lstsq_pull_b),
    parameters=("a", "b"),
    multiple=True,
)


@handle(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Return the least-squares solution, the residuals, the rank and the singular values.

    The residuals are empty unless the rank is full; under vmap their shape is that of full rank.
    """
    a, b = as_array(a), as_array(b)
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise np.linalg.LinAlgError("Incompatible dimensions")
    kind = np.result_type(a, b)
    a, b = a.astype(kind, copy=False), b.astype(kind, copy=False)
    m, n = a.shape
    if rcond is None or rcond < 0:
        rcond = _EPS * (max(m, n) if rcond is None else 1)
    if a.size and not is_mapped(a) and not is_mapped(b):
        return _lstsq(a, b, rcond=rcond)
    s = np.linalg.svdvals(a)
    rank = np.count_nonzero(s > rcond * s.max(initial=0), axis=-1).astype(np.intc)
    x = pinv(a, rcond) @ b
    if m <= n or not (is_traced(rank) or rank == n):
        return x, np.zeros(0, s.dtype), rank, s
    rest = (b - a @ x).reshape(m, -1)
    return x, _squares(rest).sum(0), rank, s


# --- determinants --------------------------------------------------------------------------------


def _others(s: Any) -> Any:
    """Return, for each entry along the last axis, the product of all others."""
    return np.moveaxis(products_of_others(np.moveaxis(s, -1, 0)), 0, -1)


def _inverse_if_regular(a: Any) -> Any:
    """Return the inverses of plain matrices, or None if one of them is nearly singular."""
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return None
    axes = (-2, -1)
    condition = np.linalg.norm(a, axis=axes) * np.linalg.norm(inverse, axis=axes)
    return None if (condition > 1e5).any() else inverse


def _cofactor_value(a: Any) -> Any:
    """Return det(A) A^-T; near singular matrices by singular values, which takes five times as long."""
    inverse = _inverse_if_regular(a)
    if inverse is None:
        return _cofactor_by_svd(a)
    return np.linalg.det(a)[..., None, None] * inverse.mT


def _cofactor_by_svd(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a)
    phase = np.linalg.det(u) * np.linalg.det(vh)
    return (conj(u) * (phase[..., None] * _others(s))[..., None, :]) @ conj(vh)


# adj(S + E) of a diagonal S changes by sum_j P_ij E_jj on the diagonal and by -P_ij E_ij off it, where P_ij
# is the product of all but the i-th and the j-th entry of S: right for singular matrices too.
def _cofactor_pull(ct: Any, a: Any) -> Any:
    if isinstance(
        a, Tracer
    ):  # to be differentiated again, which singular values that are equal do not allow
        return _cofactor_change(ct, a)
    u, s, vh = np.linalg.svd(a)
    phase = np.linalg.det(u) * np.linalg.det(vh)
    same = _eye(s.shape[-1])
    pairs = _others(np.where(same, 1, s[..., None, :])) * ~same
    e = phase[..., None, None] * (_h(u) @ ct @ _h(vh)).mT
    core = _diagonal_matrix((pairs @ _diagonal_of(e)[..., None])[..., 0]) - pairs * e
    return conj(u) @ core @ conj(vh)


# The second derivative of det is symmetric, so its product with ct is the change of the cofactors for dA = ct:
# of det(A) A^-T, or, where A is nearly singular, of the polynomial in A by Faddeev and LeVerrier,
# adj(A) = (-1)^(n - 1) M_n with M_1 = 1 and M_(k + 1) = A M_k - tr(A M_k) / k.
def _cofactor_change(t: Any, a: Any) -> Any:
    n = a.shape[-1]
    if n and _inverse_if_regular(concrete(a)) is not None:
        inverse = np.linalg.inv(a)
        turned = inverse @ t
        change = np.trace(turned, axis1=-2, axis2=-1)[..., None, None] * inverse - turned @ inverse
        return np.linalg.det(a)[..., None, None] * change.mT
    one = np.eye(n, dtype=a.dtype)
    m, dm = one, a * 0
    for k in range(1, n):
        product, change = a @ m, t @ m + a @ dm
        m = product - one * (np.trace(product, axis1=-2, axis2=-1) / k)[..., None, None]
        dm = change - one * (np.trace(change, axis1=-2, axis2=-1) / k)[..., None, None]
    return dm.mT if n % 2 else -dm.mT


cofactor: Primitive = primitive(
    "cofactor",
    _cofactor_value,
    vjp=(_cofactor_pull,),
    parameters=("a",),
    batch=lambda *batch: _apply(cofactor)(*batch),
)

# d det(A) = sum(cofactor(A) * dA) (Jacobi)
_det: Primitive = primitive(
    "det",
    np.linalg.det,
    vjp=(lambda ct, a: ct[..., None, None] * cofactor(a),),
    jvp=(lambda t, a: (t * cofactor(a)).sum((-2, -1)),),
    parameters=("a",),
    batch=lambda *batch: _apply(_det)(*batch),
)


@handle(np.linalg.det)
def det(a: Any) -> Any:
    """Return determinants; the derivative is right for singular matrices too."""
    return _det(as_array(a))


# d log det A = tr(A^-1 dA): its real part belongs to log |det|, its imaginary part to the phase (Giles)
def _slogdet_pull(ct: Any, ans: Any, a: Any) -> Any:
    ct_sign, ct_log = ct
    if a.dtype.kind == "c":
        ct_log = ct_log + 1j * np.imag(ct_sign * ans[0])
    return ct_log[..., None, None] * np.linalg.inv(a).mT


def _slogdet_push(t: Any, ans: Any, a: Any) -> Any:
    change = _diagonal_of(np.linalg.solve(a, t)).sum(-1)
    if a.dtype.kind == "c":
        return 1j * ans[0] * np.imag(change), np.real(change)
    return ans[0] * 0, change


_slogdet: Primitive = primitive(
    "slogdet",
    np.linalg.slogdet,
    vjp=(_slogdet_pull,),
    jvp=(_slogdet_push,),
    parameters=("a",),
    multiple=True,
    batch=lambda *batch: _apply(_slogdet)(*batch),
)


@handle(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """Return the sign (a phase for complex matrices) and the logarithm of |det|.

    At a singular matrix the logarithm is -inf and differentiating raises LinAlgError.
    """
    return _slogdet(as_array(a))


# --- factorisations ------------------------------------------------------------------------------


def _half_lower(x: Any) -> Any:
    """Return the lower triangle with half the diagonal."""
    n = x.shape[-1]
    return x * np.tri(n, k=-1, dtype=bool) + x * _eye(n) / 2


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
    return ans @ _half_lower(inverse @ _hermitian(t) @ _h(inverse))


def _cholesky_pull(ct: Any, ans: Any) -> Any:
    inverse = _inverse_of_lower(ans)
    return _hermitian(inverse.mT @ _half_lower(ans.mT @ ct) @ conj(inverse))


_cholesky: Primitive = primitive(
    "cholesky",
    np.linalg.cholesky,
    vjp=(_cholesky_pull,),
    jvp=(_cholesky_push,),
    parameters=("a",),
    batch=lambda *batch: _apply(_cholesky)(*batch),
)


@handle(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Return the Cholesky factor of Hermitian matrices; the derivative is symmetrised."""
    a = as_array(a)
    return in_rows(_h(_cholesky(_h(a)))) if upper else _cholesky(a)


# With C = Q^H dA R^-1 and the upper triangular K = dR R^-1, whose diagonal is real as LAPACK's R is:
# K = triu(C, 1) + tril(C, -1)^H + Re diag(C), dQ = dA R^-1 - Q K (Walter & Lehmann).
def _qr_pull(ct: Any, ans: Any) -> Any:
    ct_q, ct_r = ct
    q, r = ans
    upper = _half_lower((ct_r @ r.mT - q.mT @ ct_q).mT).mT
    return np.linalg.solve(r, (ct_q + conj(q) @ (upper + _h(upper))).mT).mT


_qr: Primitive = primitive(
    "qr",
    np.linalg.qr,
    vjp=(_qr_pull,),
    parameters=("a",),
    multiple=True,
    batch=lambda *batch: _apply(_qr)(*batch),
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
        r = np.concatenate([r, _h(q) @ a[..., m:]], axis=-1)
    return r if mode == "r" else QRResult(q, r)


# --- eigenvalues ---------------------------------------------------------------------------------


# dw = Re diag(M), dV = V (M_ij / (w_j - w_i)), M = V^H dA V (Giles). The phase of a complex vector is
# LAPACK's choice; here v^H dv = 0, which is right for all functions that do not depend on it.
def _eigh_pull(ct: Any, ans: Any) -> Any:
    ct_w, ct_v = ct
    w, v = ans
    core = _over_gaps(v.mT @ ct_v, w) + _diagonal_matrix(ct_w)
    return _hermitian(conj(v) @ core @ v.mT)


def _eigh_push(t: Any, ans: Any) -> Any:
    w, v = ans
    change = _h(v) @ _hermitian(t) @ v
    return np.real(_diagonal_of(change)), v @ _over_gaps(change, w)


_eigh: Primitive = primitive(
    "eigh",
    np.linalg.eigh,
    vjp=(_eigh_pull,),
    jvp=(_eigh_push,),
    parameters=("a",),
    multiple=True,
    batch=lambda *batch: _apply(_eigh)(*batch),
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
    core = _over_gaps(v.mT @ g, w) + _diagonal_matrix(ct_w)
    return np.linalg.solve(v.mT, core @ v.mT)


_eig: Primitive = primitive(
    "eig",
    np.linalg.eig,
    vjp=(_eig_pull,),
    parameters=("a",),
    multiple=True,
    batch=lambda *batch: _apply(_eig)(*batch),
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
    free_u, free_v = _over_gaps(turn_u, s * s), _over_gaps(turn_v, s * s)
    core = (free_u + _h(free_u)) * columns - rows * (free_v + _h(free_v))
    core = core + _diagonal_matrix(ct_s)
    if u.dtype.kind == "c":
        core = core + 1j * over_gap(np.imag(turn_u + turn_v) * _eye(k), 2 * columns)
    inside = conj(u) @ core @ conj(vh)
    return inside + over_gap(outside_u, columns) @ conj(vh) + conj(u) @ over_gap(outside_v, rows)


def _outside(ct: Any, u: Any, k: int) -> Any:
    """Return the part of the cotangent of the k leading columns of `u` that leads out of their span."""
    if u.shape[-2] == k:
        return ct * 0
    head, tail = u[..., :k], u[..., k:]
    out = ct[..., :k] - conj(head) @ (head.mT @ ct[..., :k])
    return out - conj(tail) @ _h(head.mT @ ct[..., k:])


_svd: Primitive = primitive(
    "svd",
    np.linalg.svd,
    vjp=(_svd_pull,),
    parameters=("a",),
    multiple=True,
    batch=lambda *batch: _apply(_svd)(*batch),
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
    return SVDResult(u, s, _h(u * np.take_along_axis(sign, order, -1)[..., None, :]))


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


# --- norms ---------------------------------------------------------------------------------------


def _squares(x: Any) -> Any:
    """Return |x|^2."""
    if x.dtype.kind == "c":
        return np.square(np.real(x)) + np.square(np.imag(x))
    return np.square(x)


def _largest(x: Any, axis: int) -> Any:
    """Return the largest of numbers that are not negative, 0 if there are none."""
    return x.max(axis) if x.shape[axis] else x.sum(axis)


def _to_last(x: Any, axes: Any) -> Any:
    """Return `x` with two axes moved to the end."""
    return x if axes == (x.ndim - 2, x.ndim - 1) else np.moveaxis(x, axes, (-2, -1))


def _euclidean(x: Any, axes: Any) -> Any:
    return root(reduce_sum(_squares(x), axes=axes, keepdims=False))


def _vector_norm(x: Any, order: Any, axis: int) -> Any:
    """Return the norm of vectors along an axis; its derivative is 0 at 0."""
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order '{order}' for vectors")
    if order is None or order == 2:
        return _euclidean(x, (axis,))
    if order == 0:
        return np.sum(x != 0, axis=axis).astype(x.real.dtype)
    sizes = np.absolute(x)
    if order == np.inf:
        return _largest(sizes, axis)
    if order == -np.inf:
        return sizes.min(axis)
    if order == 1:
        return sizes.sum(axis)
    total = (sizes**order).sum(axis)
    zero = total == 0
    return np.where(zero, 0, np.where(zero, 1, total) ** (1 / order))[()]


def _matrix_norm(x: Any, order: Any) -> Any:
    """Return the norm of matrices in the last two axes; a singular value of 0 has derivative 0."""
    if order in (None, "fro", "f"):
        return _euclidean(x, (x.ndim - 2, x.ndim - 1))
    if order in (1, -1, np.inf, -np.inf):
        sums = np.absolute(x).sum(-2 if abs(order) == 1 else -1)
        return _largest(sums, -1) if order > 0 else sums.min(-1)
    if order not in (2, -2, "nuc"):
        raise ValueError("Invalid norm order for matrices.")
    s = svdvals(x)
    s = np.where(s == 0, 0, s)
    if order == "nuc":
        return s.sum(-1)
    return _largest(s, -1) if order == 2 else s.min(-1)


def _inexact(x: Any) -> Any:
    x = as_array(x)
    return x if x.dtype.kind in "fc" else x.astype(float)


@handle(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return the norm of vectors or matrices; its derivative is 0 at 0, the subgradient of least norm."""
    x = _inexact(x)
    axes = normalize_axes(axis, x.ndim)
    if axis is None and ord is None:
        result = _euclidean(x, axes)
    elif len(axes) == 1:
        result = _vector_norm(x, ord, axes[0])
    elif len(axes) == 2:
        result = _matrix_norm(_to_last(x, axes), ord)
    else:
        raise ValueError("Improper number of dimensions to norm.")
    return result.reshape(kept_shape(x.shape, axes)) if keepdims else result


@handle(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Return the norm of matrices."""
    return norm(x, ord, (-2, -1), keepdims)


@handle(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Return the norm of the entries along any number of axes."""
    x = _inexact(x)
    axes = normalize_axes(axis, x.ndim)
    if ord == 2:
        result = _euclidean(x, axes)
    else:
        rest = tuple([i for i in range(x.ndim) if i not in axes])
        shape = (*[x.shape[i] for i in rest], count(x.shape, axes))
        result = _vector_norm(x.transpose((*rest, *axes)).reshape(shape), ord, len(rest))
    return result.reshape(kept_shape(x.shape, axes)) if keepdims else result


# s = Re u^H X v for a singular value and its vectors, so ds = Re u^H dX v
def _cond_slope(x: Any, p: Any) -> Any:
    """Return the derivative of the ratio of the extreme singular values; 0 where it is infinite."""
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    first, last = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
    i, j = (-1, 0) if p == -2 else (0, -1)
    finite = last != 0
    last = np.where(finite, last, 1)[..., None, None]
    up, down = [u[..., :, k, None].conj() * vh[..., k, None, :].conj() for k in (i, j)]
    return np.where(finite[..., None, None], up / last - first[..., None, None] / last**2 * down, 0)


_cond: Primitive = primitive(
    "cond",
    lambda x, p: np.linalg.cond(x, p),
    vjp=(lambda ct, x, p: ct[..., None, None] * _cond_slope(x, p),),
    jvp=(lambda t, x, p: (t * _cond_slope(x, p)).sum((-2, -1)).real,),
    batch=lambda args, mapped, settings: _cond(*args, **settings),
)


@handle(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Return condition numbers; of a singular matrix infinity, with derivative 0."""
    x = _inexact(x)
    if x.size == 0 and 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if p not in (None, 2, -2):
        singular = (np.linalg.det(x) == 0)[..., None, None]
        regular = np.where(singular, np.eye(x.shape[-1], dtype=x.dtype), x)
        result = norm(x, p, (-2, -1)) * norm(np.linalg.inv(regular), p, (-2, -1))
        return as_number(np.where(singular[..., 0, 0], np.inf, result).astype(result.dtype))
    return _cond(x, p=p)


# --- products ------------------------------------------------------------------------------------


@handle(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Any:
    """Return a whole power of square matrices, by repeated squaring."""
    a = as_array(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    try:
        n = operator.index(n)
    except TypeError as error:
        raise TypeError("exponent must be an integer") from error
    if n == 0:
        return np.zeros_like(a) + _eye(a.shape[-1])
    power = np.linalg.inv(a) if n < 0 else a
    n, result = abs(n), None
    while n:
        n, bit = divmod(n, 2)
        if bit:
            result = power if result is None else result @ power
        power = power @ power if n else power
    return result


def _cheapest_order(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Return where to split each chain of matrices so that it costs the fewest products."""
    n = len(sizes) - 1
    if n == 3:  # the usual case
        k, m, p, q = sizes
        last = k * m * p + k * p * q < m * p * q + k * m * q
        return {(0, 2): int(last), (0, 1): 0, (1, 2): 1}
    cost, split = {(i, i): 0 for i in range(n)}, {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            costs = [
                cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            ]
            cost[i, j] = min(costs)
            split[i, j] = i + costs.index(cost[i, j])
    return split


@handle(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """Return the product of two or more matrices, in the cheapest order."""
    if out is not None:
        unsupported("np.linalg.multi_dot with out=", "use the returned value")
    xs = [as_array(x) for x in arrays]
    if len(xs) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(xs) == 2:
        return HANDLERS[np.dot](xs[0], xs[1])
    row, column = xs[0].ndim == 1, xs[-1].ndim == 1
    xs[0] = xs[0][None, :] if row else xs[0]
    xs[-1] = xs[-1][:, None] if column else xs[-1]
    if any([x.ndim != 2 for x in xs]):
        raise np.linalg.LinAlgError("multi_dot takes matrices, and vectors at the ends")
    split = _cheapest_order([xs[0].shape[0], *[x.shape[1] for x in xs]])

    def product(i: int, j: int) -> Any:
        return xs[i] if i == j else product(i, split[i, j]) @ product(split[i, j] + 1, j)

    result = product(0, len(xs) - 1)
    result = result[0] if row else result
    return as_number(result[..., 0]) if column else result


def _between(shape: Any, ndim: int, first: bool) -> Any:
    """Return a shape of twice `ndim` axes: ones stand after (`first`) or before each length."""
    full = (1,) * (ndim - len(shape)) + tuple(shape)
    return tuple([n for m in full for n in ((m, 1) if first else (1, m))])


def _kron_value(x: Any, y: Any) -> Any:
    ndim = max(x.ndim, y.ndim)
    wide = x.reshape(_between(x.shape, ndim, True)) * y.reshape(_between(y.shape, ndim, False))
    return wide.reshape(
        tuple([m * n for m, n in zip(wide.shape[::2], wide.shape[1::2], strict=True)])
    )


def _kron_pull(ct: Any, other: Any, shape: Any, first: bool) -> Any:
    ndim = max(other.ndim, len(shape))
    mine, others = _between(shape, ndim, first), _between(other.shape, ndim, not first)
    pairs = tuple([m * n for m, n in zip(mine, others, strict=True)])
    axes = tuple(range(1, 2 * ndim, 2) if first else range(0, 2 * ndim, 2))
    return (ct.reshape(pairs) * other.reshape(others)).sum(axes).reshape(shape)


def _batch_kron(args: Any, mapped: Any, settings: Any) -> Any:
    ndim = max([x.ndim - m for x, m in zip(args, mapped, strict=True)])
    shapes = [x.shape[m:] for x, m in zip(args, mapped, strict=True)]
    wide = [
        x.reshape(x.shape[:m] + _between(shape, ndim, i == 0))
        for i, (x, m, shape) in enumerate(zip(args, mapped, shapes, strict=True))
    ]
    product = wide[0] * wide[1]
    pairs = zip(product.shape[1::2], product.shape[2::2], strict=True)
    return product.reshape((len(product), *[m * n for m, n in pairs]))


_kron: Primitive = bilinear(
    "kron",
    _kron_value,
    vjp=(
        lambda ct, y, x_shape: _kron_pull(ct, y, x_shape, True),
        lambda ct, x, y_shape: _kron_pull(ct, x, y_shape, False),
    ),
    batch=_batch_kron,
)


@handle(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Return the Kronecker product."""
    return _kron(as_array(a), as_array(b))


# ct . (x x y) = x . (y x ct) = y . (ct x x)
_cross: Primitive = bilinear(
    "cross",
    np.cross,
    vjp=(
        lambda ct, y, x_shape: unbroadcast(_cross(y, ct), x_shape),
        lambda ct, x, y_shape: unbroadcast(_cross(ct, x), y_shape),
    ),
    batch=lambda args, mapped, settings: _cross(*_aligned_matrices(args, mapped)),
)


def _with_third(x: Any) -> Any:
    return x if x.shape[-1] == 3 else np.concatenate([x, np.zeros_like(x[..., :1])], -1)


_CROSS_NEEDS_THREE = np.lib.NumpyVersion(np.__version__) >= "2.5.0"


@handle(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Return the cross product of vectors; before NumPy 2.5 a missing third component is 0."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_array(a), as_array(b)
    if a.ndim < 1 or b.ndim < 1:
        raise ValueError("At least one array has zero dimension")
    a = a if axisa == -1 else np.moveaxis(a, axisa, -1)
    b = b if axisb == -1 else np.moveaxis(b, axisb, -1)
    sizes = (a.shape[-1], b.shape[-1])
    if sizes != (3, 3) and _CROSS_NEEDS_THREE:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, "
            f"but they are {sizes[0]} and {sizes[1]} dimensional instead."
        )
    if not {*sizes} <= {2, 3}:
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    if 2 in sizes:
        warnings.warn(
            "Arrays of 2-dimensional vectors are deprecated. Use arrays of 3-dimensional vectors instead.",
            DeprecationWarning,
            stacklevel=2,
        )
    result = _cross(_with_third(a), _with_third(b))
    if sizes == (2, 2):
        return result[..., 2]
    return result if axisc == -1 else np.moveaxis(result, -1, axisc)


@handle(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: int | None = -1) -> Any:
    """Return the cross product of vectors with three components."""
    x1, x2 = as_array(x1), as_array(x2)
    axis = -1 if axis is None else axis  # from NumPy 2.5 on
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, "
            f"but they are {x1.shape[axis]} and {x2.shape[axis]} dimensional instead."
        )
    return cross(x1, x2, axis=axis)


# --- diagonals -----------------------------------------------------------------------------------


def _places(shape: Any, offset: int) -> Any:
    """Return the index of a diagonal of matrices."""
    n = max(min(shape[-2] + min(offset, 0), shape[-1] - max(offset, 0)), 0)
    along = np.arange(n)
    return (..., along + max(-offset, 0), along + max(offset, 0))


def _without(shape: Any, axes: Any) -> Any:
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def _from_last(x: Any, axes: Any) -> Any:
    """Return `x` with its last two axes moved to `axes`."""
    return x if axes == (x.ndim - 2, x.ndim - 1) else np.moveaxis(x, (-2, -1), axes)


def _diagonal_back(ct: Any, x_shape: Any, offset: int, axes: Any) -> Any:
    shape = (*_without(x_shape, axes), *[x_shape[i] for i in axes])
    return _from_last(scatter(ct, index=_places(shape, offset), shape=shape), axes)


def _trace_back(ct: Any, x_shape: Any, offset: int, axes: Any) -> Any:
    n = len(_places([x_shape[i] for i in axes], offset)[1])
    return _diagonal_back(np.broadcast_to(ct[..., None], (*ct.shape, n)), x_shape, offset, axes)


_diagonal: Primitive = linear(
    "diagonal",
    lambda x, offset, axes: x.diagonal(offset, *axes),
    transpose=_diagonal_back,
    batch=lambda x, offset, axes: _diagonal(x, offset=offset, axes=outside(axes)),
)
_trace: Primitive = linear(
    "trace",
    lambda x, offset, axes: x.trace(offset, *axes),
    transpose=_trace_back,
    batch=lambda x, offset, axes: _trace(x, offset=offset, axes=outside(axes)),
)
_diagonal.unview = lambda base, new, settings: read_only()


@handle(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the diagonal over two axes, a read-only view."""
    a = as_array(a)
    return _diagonal(a, offset=operator.index(offset), axes=_two_axes(a.ndim, axis1, axis2))


def _two_axes(ndim: int, axis1: int, axis2: int) -> tuple[int, int]:
    if ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    axes = normalize_axis(axis1, ndim), normalize_axis(axis2, ndim)
    if axes[0] == axes[1]:
        raise ValueError("axis1 and axis2 cannot be the same")
    return axes


@handle(np.trace)
def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    """Sum the diagonal over two axes."""
    if out is not None:
        unsupported("np.trace with out=", "use the returned value")
    if dtype is not None:
        return diagonal(a, offset, axis1, axis2).sum(-1, dtype=dtype)
    a = as_array(a)
    return _trace(a, offset=operator.index(offset), axes=_two_axes(a.ndim, axis1, axis2))


@handle(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Return the diagonal of matrices."""
    return diagonal(x, offset, -2, -1)


@handle(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Return the trace of matrices."""
    return trace(x, offset, -2, -1, dtype)
