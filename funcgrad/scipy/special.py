"""`scipy.special`: what is no ufunc there, over primitives; every other name is SciPy's own.

Orders, degrees and whole numbers of things are constants.

>>> import numpy as np
>>> from funcgrad import grad
>>> from funcgrad.scipy import special
>>> grad(lambda x: special.polygamma(0, x))(1.0)  # pi^2 / 6
np.float64(1.644934066848)
"""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, concrete, is_traced, plain_array, unsupported
from funcgrad.custom import stop_gradient
from funcgrad.primitives.axes import outside, reduced_axes
from funcgrad.primitives.families import elementwise, primitive
from funcgrad.primitives.reductions import smooth_reduction
from funcgrad.primitives.special.rules import declared, refused
from funcgrad.scipy.legendre import assoc_legendre_p, legendre_p, sph_harm_y, sph_legendre_p

sc: Any = importlib.import_module("scipy.special")

__all__ = ["assoc_legendre_p", "legendre_p", "sph_harm_y", "sph_legendre_p"]

LARGE = 1e30
LOG_PI = float(np.log(np.pi))


def __getattr__(name: str) -> Any:
    """Return SciPy's own function: ufuncs take traced arrays."""
    return getattr(sc, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *sc.__all__})


def _shift(a: Any, axis: Any) -> Any:
    """Return the maximum along `axis`, as a constant; 0 where it is infinite."""
    top = np.max(np.real(stop_gradient(a)), axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(top), top, 0).astype(top.dtype)


def _below_top(x: Any, axes: Any) -> tuple[Any, Any]:
    """Return x less its maximum over `axes`, and that; where it is infinite, 0 takes its place."""
    top = x.max(axes, keepdims=True)  # methods, not functions: 1 us each
    top = np.where(np.isfinite(top), top, 0)
    return x - top, top


def _logsumexp_arrays(x: Any, axes: Any, keepdims: bool) -> Any:
    below, top = _below_top(x, axes)
    with np.errstate(divide="ignore"):  # the logarithm of no weight at all is -inf
        out = np.log(np.exp(below).sum(axes, keepdims=True)) + top
    return out if keepdims else out.squeeze(axes)[()]


def _softmax_of(x: Any, ans: Any, axes: Any) -> Any:
    """Return exp(x - ans), the derivative; 0 where all entries are -inf."""
    return np.exp(x - np.where(ans == -np.inf, 0, ans))


# Not the composition of its steps: on a few entries it takes a third of their time, in each step of a hidden
# Markov model, say.
_logsumexp = smooth_reduction("logsumexp", _logsumexp_arrays, _softmax_of)


def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """Return log(sum(b * exp(a))) along `axis`, without overflow; with `return_sign` of the absolute value.

    The derivative is the softmax; it is 0 where all entries are -inf.
    """
    a = as_array(a)
    if b is None and not return_sign and a.dtype.kind == "f" and a.size:
        return _logsumexp(a, axes=reduced_axes(axis, a.ndim), keepdims=keepdims)
    top = _shift(a if b is None else np.where(as_array(b) == 0, -np.inf, a), axis)
    weights = np.exp(a - top)
    if b is not None:  # a weight of 0 takes part in no maximum, so it may meet an infinite factor
        b = as_array(b)
        weights = np.where((b == 0) & (weights > LARGE), LARGE, weights)
    total = np.sum(weights if b is None else b * weights, axis=axis, keepdims=True)
    sign = np.sign(total)
    out = _log(np.abs(total) if return_sign else total) + top
    if not keepdims:
        out, sign = np.squeeze(out, axis), np.squeeze(sign, axis)
    return (out, sign) if return_sign else out


def _log(total: Any) -> Any:
    """Return the logarithm; at 0 it is -inf, with derivative 0."""
    zero = total == 0
    return np.where(zero, -np.inf, np.log(np.where(zero, 1, total)))


def _softmax_arrays(x: Any, axes: Any) -> Any:
    weights = np.exp(_below_top(x, axes)[0])
    return weights / weights.sum(axes, keepdims=True)


def _log_softmax_arrays(x: Any, axes: Any) -> Any:
    below, _ = _below_top(x, axes)
    return below - np.log(np.exp(below).sum(axes, keepdims=True))


def _times_softmax(t: Any, ans: Any, axes: Any) -> Any:
    """Return y (t - sum(y t)): the Jacobian diag(y) - y y^T is symmetric, so both modes have this rule."""
    return ans * (t - (ans * t).sum(axes, keepdims=True))


def _along_axes(name: str, fun: Any, vjp: Any, jvp: Any) -> Primitive:
    """Declare a function that keeps the shape and has a setting `axes`."""
    new: Primitive = primitive(
        name,
        fun,
        vjp=(vjp,),
        jvp=(jvp,),
        batch=lambda args, mapped, settings: new(args[0], axes=outside(settings["axes"])),
    )
    return new


_softmax = _along_axes("softmax", _softmax_arrays, _times_softmax, _times_softmax)
_log_softmax = _along_axes(
    "log_softmax",
    _log_softmax_arrays,
    lambda ct, ans, axes: ct - np.exp(ans) * ct.sum(axes, keepdims=True),
    lambda t, ans, axes: t - (np.exp(ans) * t).sum(axes, keepdims=True),
)


def softmax(x: Any, axis: Any = None) -> Any:
    """Return exp(x) / sum(exp(x)) along `axis`."""
    x = as_array(x)
    if x.dtype.kind == "f" and x.size:
        return _softmax(x, axes=reduced_axes(axis, x.ndim))
    weights = np.exp(x - _shift(x, axis))
    return weights / np.sum(weights, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """Return log(softmax(x)) along `axis`, exact where the softmax itself rounds to 0."""
    x = as_array(x)
    if x.dtype.kind == "f" and x.size:
        return _log_softmax(x, axes=reduced_axes(axis, x.ndim))
    below = x - _shift(x, axis)
    return below - np.log(np.sum(np.exp(below), axis=axis, keepdims=True))


def polygamma(n: Any, x: Any) -> Any:
    """Return the derivative of order `n` (whole, a constant) of the digamma function at `x`."""
    n, x = plain_array(n), as_array(x)
    # https://dlmf.nist.gov/5.15: (-1)^(n + 1) n! zeta(n + 1, x)
    factor = np.where(n % 2 == 0, -1.0, 1.0) * sc.gamma(n + 1.0)
    return np.where(n == 0, sc.psi(x), factor * sc.zeta(n + 1.0, x))


def multigammaln(a: Any, d: int) -> Any:
    """Return the logarithm of the multivariate gamma function of dimension `d`, for a > (d - 1) / 2."""
    a = as_array(a)
    if np.any(concrete(a) <= (d - 1) / 2):
        raise ValueError(f"condition a ({concrete(a)}) > 0.5 * (d-1) ({(d - 1) / 2}) not met")
    return d * (d - 1) / 4 * LOG_PI + sum([sc.gammaln(a - j / 2) for j in range(d)])


# --- combinatorics -------------------------------------------------------------------------------


def _exactly(name: str, *args: Any, **options: Any) -> Any:
    """Return SciPy's whole number; there is none of a traced argument."""
    if any([is_traced(x) for x in args]):
        unsupported(f"scipy.special.{name} with exact=True", "leave exact= out")
    return getattr(sc, name)(*args, exact=True, **options)


def factorial(n: Any, exact: bool = False) -> Any:
    """Return gamma(n + 1), and 0 for negative `n`."""
    if exact:
        return _exactly("factorial", n)
    n = as_array(n)
    return np.where(n < 0, 0, sc.gamma(np.where(n < 0, 0, n) + 1))


def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    """Return the number of combinations of `N` things taken `k` at a time; 0 outside 0 <= k <= N."""
    if exact:
        return _exactly("comb", N, k, repetition=repetition)
    N, k = as_array(N), as_array(k)
    if repetition:
        return comb(N + k - 1, k)
    return np.where((k <= N) & (N >= 0) & (k >= 0), sc.binom(N, k), 0)


def perm(N: Any, k: Any, exact: bool = False) -> Any:
    """Return the number of sequences of `k` of `N` things; 0 outside 0 <= k <= N."""
    if exact:
        return _exactly("perm", N, k)
    N, k = as_array(N), as_array(k)
    return np.where((k <= N) & (N >= 0) & (k >= 0), sc.poch(N - k + 1, k), 0)


# --- Bessel functions ----------------------------------------------------------------------------


def _derivatives(name: str, fun: Any, sign: int, first: int) -> Any:
    """Make the n-th derivative of a Bessel function (https://dlmf.nist.gov/10.6.7 and 10.29.5)."""

    def derivative(v: Any, z: Any, n: int = 1) -> Any:
        z = as_array(z)
        terms = [sign**k * sc.comb(n, k) * fun(v - n + 2 * k, z) for k in range(n + 1)]
        return first**n * sum(terms[1:], terms[0]) / 2**n

    derivative.__name__ = derivative.__qualname__ = name
    derivative.__doc__ = f"Return the n-th derivative of scipy.special.{fun.__name__} at `z`."
    return derivative


jvp = _derivatives("jvp", sc.jv, -1, 1)
yvp = _derivatives("yvp", sc.yv, -1, 1)
ivp = _derivatives("ivp", sc.iv, 1, 1)
kvp = _derivatives("kvp", sc.kv, 1, -1)
h1vp = _derivatives("h1vp", sc.hankel1, -1, 1)
h2vp = _derivatives("h2vp", sc.hankel2, -1, 1)


def _spherical(name: str, lower: float, upper: float) -> Any:
    """Make a spherical Bessel function: (2n + 1) f_n' = lower n f_(n-1) + upper (n + 1) f_(n+1).

    (https://dlmf.nist.gov/10.51.1 and 10.51.4; the order is a constant.)
    """
    fun = getattr(sc, name)

    def slope(x: Any, y: Any) -> Any:
        below, above = bessel(np.maximum(x - 1, 0), y), bessel(x + 1, y)
        return (lower * x * below + upper * (x + 1) * above) / (2 * x + 1)

    def spherical(n: Any, z: Any, derivative: bool = False) -> Any:
        n, z = plain_array(n), as_array(z)
        return slope(n, z) if derivative else bessel(n, z)

    bessel = elementwise(fun, None, slope, name=name)
    spherical.__name__ = spherical.__qualname__ = name
    spherical.__doc__ = (
        f"Return scipy.special.{name}, or its derivative, of constant order `n` at `z`."
    )
    return spherical


spherical_jn = _spherical("spherical_jn", 1, -1)
spherical_yn = _spherical("spherical_yn", 1, -1)
spherical_in = _spherical("spherical_in", 1, 1)
spherical_kn = _spherical("spherical_kn", -1, -1)


def diric(x: Any, n: Any) -> Any:
    """Return the periodic sinc function sin(n x / 2) / (n sin(x / 2)), for whole `n`."""
    return _diric(as_array(x), n)


def _diric_dx(ans: Any, x: Any, y: Any) -> Any:
    """Return the derivative of U_(y - 1)(cos(x / 2)) / y (https://dlmf.nist.gov/18.9.21)."""
    y = np.where(np.isnan(ans), np.nan, y)
    slope = sc.eval_gegenbauer(np.maximum(y - 2, 0), 2, np.cos(x / 2)) * (y > 1)
    return -np.sin(x / 2) * slope / y


_diric = declared("diric", sc.diric, _diric_dx, refused)
