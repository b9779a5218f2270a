"""Inverses, linear systems and determinants."""

import math
from typing import Any

import numpy as np

from funcgrad.broadcasting import unbroadcast
from funcgrad.core import Primitive, Tracer, as_array, concrete, handle, is_traced
from funcgrad.primitives.axes import in_dtype
from funcgrad.primitives.families import primitive
from funcgrad.primitives.matrices import (
    adjoint,
    batched,
    diagonal_matrix,
    diagonal_of,
    hermitian_part,
    identity,
    squares,
)
from funcgrad.primitives.plain import is_mapped
from funcgrad.primitives.reductions import products_of_others
from funcgrad.primitives.ufuncs import conj

_EPS = float(np.finfo(float).eps)


SlogdetResult = type(np.linalg.slogdet(np.eye(1)))


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
    batch=lambda args, mapped, settings: _solve(*aligned_matrices(args, mapped)),
)


def aligned_matrices(args: Any, mapped: Any) -> Any:
    """Insert axes of length one behind the batch axis, so that stacks of matrices broadcast."""
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
    t = hermitian_part(t) if hermitian else t
    th, p, ph = adjoint(t), ans, adjoint(ans)
    left = p @ ph @ (th - th @ a @ p)
    right = (th - p @ a @ th) @ ph @ p
    return left + right - p @ t @ p


def _pinv_pull(ct: Any, ans: Any, a: Any, hermitian: Any) -> Any:
    cth, pt, pc = adjoint(ct), ans.mT, conj(ans)
    left = (cth - conj(a) @ pc @ cth) @ pc @ pt
    right = pt @ pc @ (cth - cth @ pc @ conj(a))
    g = left + right - pt @ ct @ pt
    return hermitian_part(g) if hermitian else g


def _pinv_value(a: Any, rcond: Any, hermitian: bool) -> Any:
    return np.linalg.pinv(a, rcond=rcond, hermitian=hermitian)


_pinv: Primitive = primitive(
    "pinv",
    _pinv_value,
    vjp=(_pinv_pull,),
    jvp=(_pinv_push,),
    parameters=("a",),
    batch=lambda *batch: batched(_pinv)(*batch),
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
    if a.dtype != b.dtype:
        kind = np.result_type(a.dtype, b.dtype)
        a, b = in_dtype(a, kind), in_dtype(b, kind)
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
    return x, squares(rest).sum(0), rank, s


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
    same = identity(s.shape[-1])
    pairs = _others(np.where(same, 1, s[..., None, :])) * ~same
    e = phase[..., None, None] * (adjoint(u) @ ct @ adjoint(vh)).mT
    core = diagonal_matrix((pairs @ diagonal_of(e)[..., None])[..., 0]) - pairs * e
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
    batch=lambda *batch: batched(cofactor)(*batch),
)

# d det(A) = sum(cofactor(A) * dA) (Jacobi)
_det: Primitive = primitive(
    "det",
    np.linalg.det,
    vjp=(lambda ct, a: ct[..., None, None] * cofactor(a),),
    jvp=(lambda t, a: (t * cofactor(a)).sum((-2, -1)),),
    parameters=("a",),
    batch=lambda *batch: batched(_det)(*batch),
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
    change = diagonal_of(np.linalg.solve(a, t)).sum(-1)
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
    batch=lambda *batch: batched(_slogdet)(*batch),
)


@handle(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """Return the sign (a phase for complex matrices) and the logarithm of |det|.

    At a singular matrix the logarithm is -inf and differentiating raises LinAlgError.
    """
    return _slogdet(as_array(a))
