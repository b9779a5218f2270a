"""Polynomials as arrays of coefficients, highest power first."""

from typing import Any

import numpy as np

from funcgrad.core import Primitive, Tracer, as_array, handle, unsupported
from funcgrad.primitives.families import primitive
from funcgrad.primitives.statistics import settled


def _coefficients(p: Any) -> Any:
    if isinstance(p, np.poly1d):
        unsupported("an operation with a poly1d", "pass its coefficients: p.coeffs")
    return as_array(p)


@handle(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Evaluate a polynomial, highest power first."""
    p, x = _coefficients(p), _coefficients(x)
    y = np.zeros_like(x)
    for c in p:
        y = y * x + c
    return y


def _aligned(a1: Any, a2: Any) -> Any:
    """Return coefficients of the same number, with zeros in front."""
    a1, a2 = np.atleast_1d(_coefficients(a1)), np.atleast_1d(_coefficients(a2))
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
    a1, a2 = [_trimmed(np.atleast_1d(_coefficients(a))) for a in (a1, a2)]
    return np.convolve(a1, a2)


def _trimmed(p: Any) -> Any:
    """Drop leading coefficients that are zero; under vmap they stay."""
    if isinstance(p != 0, Tracer):
        return p
    found = np.flatnonzero(settled(p))
    return p[found[0] :] if len(found) else p[:1] * 0


@handle(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    """Divide two polynomials: quotient and remainder."""
    u, v = np.atleast_1d(_coefficients(u)) + 0.0, np.atleast_1d(_coefficients(v)) + 0.0
    dtype = np.result_type(u.dtype, v.dtype)
    scale, rest, m, quotient = 1.0 / v[0], u.astype(dtype), len(v), []
    for k in range(len(u) - m + 1):
        factor = scale * rest[k]
        quotient.append(factor)
        rest = np.concatenate([rest[:k], rest[k : k + m] - factor * v, rest[k + m :]])
    plain = settled(rest)
    while np.allclose(plain[0], 0, rtol=1e-14) and len(plain) > 1:
        plain, rest = plain[1:], rest[1:]
    return np.stack(quotient) if quotient else np.zeros(1, dtype), rest


@handle(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """Differentiate a polynomial m times."""
    if int(m) < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    p = _coefficients(p)
    for _ in range(int(m)):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@handle(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Integrate a polynomial m times, with the given constants."""
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    p = _coefficients(p)
    k = np.atleast_1d(np.zeros(m) if k is None else as_array(k))
    if len(k) == 1 and m > 1:
        k = k[0] * np.ones(m)
    if len(k) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        p = np.concatenate([p / np.arange(len(p), 0, -1), k[i : i + 1]])
    return p


@handle(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """Return the coefficients of the polynomial with the given roots (or eigenvalues)."""
    roots = np.atleast_1d(as_array(seq_of_zeros))
    if roots.ndim == 2:
        roots = np.linalg.eigvals(roots)
    if roots.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    p = np.ones(1, roots.dtype)
    zero = np.zeros(1, roots.dtype)
    for root in roots:
        p = np.concatenate([p, zero]) - root * np.concatenate([zero, p])
    if roots.dtype.kind == "c":
        plain = settled(roots)
        if np.all(np.sort(plain) == np.sort(plain.conj())):
            return p.real
    return p


# p(r) = 0, so dr = -sum_k dp[k] r^(n - 1 - k) / p'(r)
def _root_weights(ans: Any, p: Any) -> Any:
    n = len(p)
    powers = ans[:, None] ** np.arange(n - 1, -1, -1)
    return -powers / np.polyval(p[:-1] * np.arange(n - 1, 0, -1), ans)[:, None]


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
    p = np.atleast_1d(_coefficients(p))
    found = np.flatnonzero(settled(p)) if not isinstance(p != 0, Tracer) else [0, len(p) - 1]
    if not len(found):
        return np.zeros(0)
    n = len(p) - 1 - found[-1]
    p = p[found[0] : found[-1] + 1]
    found = _roots(p if p.dtype.kind in "fc" else p.astype(float))
    return np.concatenate([found, np.zeros(n, found.dtype)]) if n else found


@handle(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Return the powers of x as columns."""
    x = as_array(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = len(x) if N is None else N
    x = x.astype(np.promote_types(x.dtype, int))
    if not n:
        return np.zeros((len(x), 0), x.dtype)
    columns = [np.ones_like(x)]
    for _ in range(n - 1):
        columns.append(columns[-1] * x)
    return np.stack(columns if increasing else columns[::-1], axis=1)


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
    x, y, order = as_array(x) + 0.0, as_array(y) + 0.0, int(deg) + 1
    if x.ndim != 1 or y.ndim not in (1, 2) or not x.size or len(x) != len(y) or order < 1:
        raise TypeError("expected a non-empty vector x and as many values y, and deg >= 0")
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
