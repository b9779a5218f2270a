"""Polynomials as arrays of coefficients, highest power first."""

from typing import Any

import numpy as np

from funcgrad.core import Primitive, Tracer, as_array, handle, refuse_to_cut, unsupported
from funcgrad.primitives.axes import in_dtype
from funcgrad.primitives.families import primitive
from funcgrad.primitives.linalg import _pinv_pull
from funcgrad.primitives.plain import is_mapped, settled


def _coefficients(p: Any) -> Any:
    if isinstance(p, np.poly1d):
        unsupported("an operation with a poly1d", "pass its coefficients: p.coeffs")
    return as_array(p)


def _slope(p: Any) -> Any:
    """Return the coefficients of the derivative."""
    return p[:-1] * np.arange(len(p) - 1, 0, -1)


def _powers(ct: Any, x: Any, n: int) -> Any:
    """Return the sums of ct x^k over all entries, k from n - 1 down to 0."""
    sums = [ct.sum()]
    for _ in range(n - 1):
        ct = ct * x
        sums.append(ct.sum())
    return np.stack(sums[::-1])


def _batch_polyval(args: Any, mapped: Any, settings: Any) -> Any:
    p, x = args
    if not mapped[0]:
        return _polyval(p, x)
    y = np.zeros_like(x if mapped[1] else np.broadcast_to(x, (len(p), *np.shape(x))))
    for k in range(p.shape[1]):
        y = y * x + p[:, k].reshape((-1,) + (1,) * (y.ndim - 1))
    return y


_polyval: Primitive = primitive(
    "polyval",
    np.polyval,
    vjp=(
        lambda ct, x, p_shape: _powers(ct, x, p_shape[0]),
        lambda ct, p, x: ct * np.polyval(_slope(p), x),
    ),
    jvp=(lambda t, x: np.polyval(t, x), lambda t, p, x: t * np.polyval(_slope(p), x)),
    parameters=("p", "x"),
    batch=_batch_polyval,
)


@handle(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Evaluate a polynomial, highest power first."""
    p = as_array(p.coeffs if isinstance(p, np.poly1d) else p)
    x = _coefficients(x)
    if p.ndim == 1 and p.size:
        return _polyval(p, x)
    y = np.zeros_like(x)
    for c in p:
        y = y * x + c
    return y


def _row(p: Any) -> Any:
    """Return coefficients as an array of at least one axis."""
    p = _coefficients(p)
    return p if p.ndim else p.reshape(1)


def _aligned(a1: Any, a2: Any) -> Any:
    """Return coefficients of the same number, with zeros in front."""
    a1, a2 = _row(a1), _row(a2)
    n = max(len(a1), len(a2))
    return [
        np.concatenate([np.zeros(n - len(a), a.dtype), a]) if len(a) < n else a for a in (a1, a2)
    ]


@handle(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """Add two polynomials."""
    return np.add(*_aligned(a1, a2))


@handle(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """Subtract two polynomials."""
    return np.subtract(*_aligned(a1, a2))


@handle(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """Multiply two polynomials."""
    a1, a2 = [_trimmed(_row(a)) for a in (a1, a2)]
    return np.convolve(a1, a2)


def _trimmed(p: Any) -> Any:
    """Drop leading coefficients that are zero, but no traced ones; under vmap they stay."""
    if isinstance(p != 0, Tracer):
        return p
    found = np.flatnonzero(settled(p))
    if len(found) and not found[0]:
        return p
    if isinstance(p, Tracer):
        refuse_to_cut("np.polymul")
    return p[found[0] :] if len(found) else p[:1]


# u = q v + r. With the products of v and x^j as columns of a matrix, whose upper part is triangular, the
# head of u gives q, the tail r. So dq = H^-1 (du - dV q), dr = the rest of du - dV q - V dq.
def _product_columns(v: Any, n: int, k: int) -> Any:
    """Return the matrix of n rows and k columns that multiplies by v."""
    power = np.arange(n)[:, None] - np.arange(k)
    inside = (power >= 0) & (power < len(v))
    return np.where(inside, v[np.where(inside, power, 0)], 0)


def _polydiv_pull_u(ct: Any, u_shape: Any, v: Any) -> Any:
    ct_q, ct_r = ct
    n, k = u_shape[0], u_shape[0] - len(v) + 1
    ct_r = np.concatenate([np.zeros(n - len(ct_r), ct_r.dtype), ct_r])
    if k <= 0:
        return ct_r
    table = _product_columns(v, n, k)
    head = np.linalg.solve(table[:k].T, ct_q - table[k:].T @ ct_r[k:])
    return np.concatenate([head, ct_r[k:]])


def _polydiv_pull_v(ct: Any, ans: Any, u_shape: Any, v: Any) -> Any:
    g = _polydiv_pull_u(ct, u_shape, v)
    if u_shape[0] < len(v):
        return np.zeros_like(v)
    return -np.convolve(g, ans[0][::-1], "valid")


_polydiv: Primitive = primitive(
    "polydiv",
    np.polydiv,
    vjp=(_polydiv_pull_u, _polydiv_pull_v),
    parameters=("u", "v"),
    multiple=True,
)


@handle(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    """Divide two polynomials: quotient and remainder."""
    u, v = _row(u), _row(v)
    for x in (u, v):  # how long the remainder is depends on the data
        settled(x)
    return _polydiv(u, v)


@handle(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """Differentiate a polynomial m times."""
    if int(m) < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = _coefficients(p)
    for _ in range(int(m)):
        p = _slope(p)
    return p


@handle(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Integrate a polynomial m times, with the given constants."""
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    p = _coefficients(p)
    k = np.zeros(m) if k is None else _row(k)
    if len(k) == 1 and m > 1:
        k = k[0] * np.ones(m)
    if len(k) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        p = np.concatenate([p / np.arange(len(p), 0, -1), k[i : i + 1]])
    return p


def _expanded(roots: Any) -> Any:
    """Return the coefficients of the polynomials with the roots in the last axis."""
    p = np.ones((*roots.shape[:-1], 1), roots.dtype)
    zero = np.zeros_like(p)
    for k in range(roots.shape[-1]):
        p = np.concatenate([p, zero], -1) - roots[..., k, None] * np.concatenate([zero, p], -1)
    return p


# dp = -sum_i dr_i times the product of all other factors
def _other_products(roots: Any) -> Any:
    """Return for each root the coefficients of the polynomial without it, a row each."""
    n = len(roots)
    others = np.arange(n - 1) + (np.arange(n - 1) >= np.arange(n)[:, None])
    return _expanded(roots[others])


_poly: Primitive = primitive(
    "poly",
    _expanded,
    vjp=(lambda ct, x: -(_other_products(x) @ ct[1:]),),
    jvp=(lambda t, ans, x: np.concatenate([ans[:1] * 0, -(t @ _other_products(x))]),),
    batch=lambda args, mapped, settings: _expanded(*args),
)


@handle(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """Return the coefficients of the polynomial with the given roots (or eigenvalues)."""
    roots = _row(seq_of_zeros)
    if roots.ndim == 2:
        roots = np.linalg.eigvals(roots)
    if roots.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    p = _poly(roots) if len(roots) else np.ones(1)
    if roots.dtype.kind == "c":
        plain = settled(roots)
        if np.all(np.sort(plain) == np.sort(plain.conj())):
            return p.real
    return p


# p(r) = 0, so dr = -sum_k dp[k] r^(n - 1 - k) / p'(r)
def _root_weights(ans: Any, p: Any) -> Any:
    n = len(p)
    powers = ans[:, None] ** np.arange(n - 1, -1, -1)
    return -powers / np.polyval(_slope(p), ans)[:, None]


_roots: Primitive = primitive(
    "roots",
    np.roots,
    vjp=(lambda ct, ans, p: ct @ _root_weights(ans, p),),
    jvp=(lambda t, ans, p: _root_weights(ans, p) @ t,),
    parameters=("p",),
)


@handle(np.roots)
def roots(p: Any) -> Any:
    """Return the roots of a polynomial; the derivative of a multiple root does not exist."""
    p = _row(p)
    found = np.flatnonzero(settled(p)) if not isinstance(p != 0, Tracer) else [0, len(p) - 1]
    if not len(found):
        return np.zeros(0)
    n = len(p) - 1 - found[-1]
    if found[0] or n:
        p = p[found[0] : found[-1] + 1]
    found = _roots(p if p.dtype.kind in "fc" else p.astype(float))
    return np.concatenate([found, np.zeros(n, found.dtype)]) if n else found


def _vander_change(x: Any, n: int) -> Any:
    """Return the derivatives of the powers n - 1 to 1 of x as columns."""
    return np.vander(x, n - 1) * np.arange(n - 1, 0, -1)


def _vander_pull(ct: Any, x: Any, n: int) -> Any:
    """Return the sums of ct_k k x^(k - 1) over the columns, by Horner's scheme."""
    g = np.zeros_like(x)
    for j in range(n - 1):
        g = g * x + ct[:, j] * (n - 1 - j)
    return g


def _vander_push(t: Any, x: Any, n: int) -> Any:
    return np.concatenate([t[:, None] * _vander_change(x, n), np.zeros_like(t)[:, None]], 1)


def _vander_value(x: Any, n: int) -> Any:
    """Return np.vander(x, n), column by column: a quarter of the time for many rows."""
    table = np.empty((len(x), n), x.dtype)
    table[:, n - 1] = 1
    for k in range(n - 2, -1, -1):
        np.multiply(table[:, k + 1], x, out=table[:, k])
    return table


# The powers n - 1, ..., 1, 0 along a new last axis.
_vander: Primitive = primitive(
    "vander",
    _vander_value,
    vjp=(_vander_pull,),
    jvp=(_vander_push,),
    batch=lambda args, mapped, settings: _batch_vander(*args, **settings),
)


def _batch_vander(x: Any, n: int) -> Any:
    return _vander(x.reshape(-1), n=n).reshape((*x.shape, n))


@handle(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Return the powers of x as columns."""
    x = as_array(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = len(x) if N is None else N
    x = in_dtype(x, np.promote_types(x.dtype, int))
    if not n:
        return np.zeros((len(x), 0), x.dtype)
    table = _vander(x, n=n)
    return table[:, ::-1] if increasing else table


# c = D^-1 B^+ y for the table B = T D^-1, whose columns have length one, D = diag(s). The cut of small
# singular values depends on D, so it takes part: ds_j = sum_i B_ij dT_ij.
def _scaled_table(x: Any, order: int) -> tuple[Any, Any]:
    table = _vander(x, n=order)
    scale = np.sqrt((table * table).sum(0))
    return table / scale, scale


def _polyfit_pull_x(ct: Any, ans: Any, x: Any, y: Any, order: int, rcond: Any) -> Any:
    table, scale = _scaled_table(x, order)
    inverse = np.linalg.pinv(table, rcond)
    ct = ct.reshape((order, -1)) / scale[:, None]
    g = _pinv_pull(ct @ y.reshape((len(y), -1)).T, inverse, table, False) / scale
    g_scale = -(g * table).sum(0) - (ct * ans.reshape((order, -1))).sum(1)
    return _vander_pull(g + g_scale * table, x, order)


def _polyfit_pull_y(ct: Any, x: Any, y_shape: Any, order: int, rcond: Any) -> Any:
    table, scale = _scaled_table(x, order)
    ct = ct.reshape((order, -1)) / scale[:, None]
    return (np.linalg.pinv(table, rcond).T @ ct).reshape(y_shape)


_polyfit: Primitive = primitive(
    "polyfit",
    lambda x, y, order, rcond: np.polyfit(x, y, order - 1, rcond),
    vjp=(_polyfit_pull_x, _polyfit_pull_y),
)


@handle(np.polyfit)
def polyfit(
    x: Any,
    y: Any,
    deg: Any,
    rcond: Any = None,
    full: bool = False,
    w: Any = None,
    cov: Any = False,
) -> Any:
    """Fit a polynomial by least squares, as np.polyfit scales the problem."""
    x, y, order = as_array(x), as_array(y), int(deg) + 1
    x, y = [a if a.dtype.kind in "fc" else a + 0.0 for a in (x, y)]
    if x.ndim != 1 or y.ndim not in (1, 2) or not x.size or len(x) != len(y) or order < 1:
        raise TypeError("expected a non-empty vector x and as many values y, and deg >= 0")
    usual = not full and not cov and w is None
    if usual and x.dtype.kind == y.dtype.kind == "f" and not is_mapped(x) and not is_mapped(y):
        rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
        return _polyfit(x, y, order=order, rcond=rcond)
    table, values = vander(x, order), y
    if w is not None:
        w = as_array(w) + 0.0
        table, values = table * w[:, None], values * (w[:, None] if y.ndim == 2 else w)
    scale = np.sqrt(np.sum(table * table, axis=0))
    rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
    table = table / scale
    c, *rest = np.linalg.lstsq(table, values, rcond)
    c = (c.T / scale).T
    if full:
        return c, *rest, rcond
    return (c, _fit_covariance(table, scale, rest[0], len(x), y.ndim, cov)) if cov else c


def _fit_covariance(table: Any, scale: Any, squares: Any, n: int, ndim: int, cov: Any) -> Any:
    """Return the covariance of the coefficients, in units of the residuals' variance."""
    order = table.shape[1]
    base = np.linalg.inv(table.T @ table) / (scale[:, None] * scale)
    if cov != "unscaled":
        if n <= order:
            raise ValueError(
                "the number of data points must exceed order to scale the covariance matrix"
            )
        squares = squares / (n - order)
    else:
        squares = 1
    return base * squares if ndim == 1 else base[:, :, None] * squares
