"""Recursive filters: a_0 y_n = sum_k b_k x_(n-k) - sum_(k>0) a_k y_(n-k).

The feed-forward part is bilinear. The recursive part A y = v is a triangular Toeplitz system: its transpose
is the same filter run backwards, and A dy = dv - dA y.
"""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, unsupported
from funcgrad.primitives.families import primitive
from funcgrad.scipy.linalg.structured import companion
from funcgrad.scipy.mirrors import mirror

ss: Any = importlib.import_module("scipy.signal")


def _one(*arrays: Any) -> Any:
    return np.ones(1, np.result_type(*[x.dtype for x in arrays]))


def _backwards(fun: Any, taps: Any, x: Any) -> Any:
    return fun(taps, x[..., ::-1])[..., ::-1]


def _lagged(ct: Any, x: Any, taps: int) -> Any:
    """Return sum_n ct_n x_(n-k), over all signals, for each lag k."""
    n = x.shape[-1]
    return np.stack([(ct[..., k:] * x[..., : max(n - k, 0)]).sum() for k in range(taps)])


_feed: Primitive = primitive(
    "feed_forward",
    lambda x, y: ss.lfilter(x, _one(x, y), y),
    vjp=(
        lambda ct, y, x_shape: _lagged(ct, y, x_shape[0]),
        lambda ct, x: _backwards(_feed, x, ct),
    ),
    jvp=(
        lambda t, y: _feed(t, y),  # noqa: PLW0108  # the names say what is kept
        lambda t, x: _feed(x, t),
    ),
    parameters=("x", "y"),
)

_recur: Primitive = primitive(
    "recur",
    lambda a, v: ss.lfilter(_one(a, v), a, v),
    vjp=(
        lambda ct, ans, a, a_shape: -_lagged(_backwards(_recur, a, ct), ans, a_shape[0]),
        lambda ct, a: _backwards(_recur, a, ct),
    ),
    jvp=(lambda t, ans, a: -_recur(a, _feed(t, ans)), lambda t, a: _recur(a, t)),
    parameters=("a", "v"),
)


@mirror(ss.lfilter)
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter along an axis; with the state `zi` to start from, return the last state, too."""
    b, a, x = np.atleast_1d(as_array(b)), np.atleast_1d(as_array(a)), as_array(x)
    if b.ndim != 1 or a.ndim != 1:
        raise ValueError("object of too small depth for desired array")
    x = np.moveaxis(x, axis, -1)
    if zi is None:
        return np.moveaxis(_recur(a, _feed(b, x)), -1, axis)
    y, zf = _with_state(b / a[0], a / a[0], x, np.moveaxis(as_array(zi), axis, -1))
    return np.moveaxis(y, -1, axis), np.moveaxis(zf, -1, axis)


def _with_state(b: Any, a: Any, x: Any, zi: Any) -> Any:
    """Filter along the last axis. The state is what the inputs and outputs so far add to later sums."""
    n, k = x.shape[-1], max(len(a), len(b)) - 1
    if zi.shape[-1] != k:
        raise ValueError(f"The length of zi must be {k} along the axis, not {zi.shape[-1]}.")
    zi = np.broadcast_to(zi, (*x.shape[:-1], k))
    sums = _feed(b, _longer(x, k)) + _longer(zi, n)
    y = _recur(a, sums[..., :n])
    past = _feed(np.concatenate([0 * a[:1], a[1:]]), _longer(y, k))
    return y, (sums - past)[..., n:]


def _longer(x: Any, n: int) -> Any:
    """Return signals with `n` zeros behind."""
    return np.concatenate([x, np.zeros((*x.shape[:-1], n), x.dtype)], -1)


@mirror(ss.lfilter_zi)
def lfilter_zi(b: Any, a: Any) -> Any:
    """Return the state of a filter after infinitely many ones."""
    b, a = np.atleast_1d(as_array(b)), np.atleast_1d(as_array(a))
    b, a = b / a[0], a / a[0]
    n = max(len(a), len(b))
    b, a = _longer(b, n - len(b)), _longer(a, n - len(a))
    return np.linalg.solve(np.eye(n - 1) - companion(a).T, b[1:] - a[1:] * b[0])


@mirror(ss.sosfilt)
def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter by second-order sections, a row ``b0 b1 b2 1 a1 a2`` each, one after the other."""
    sos, x = as_array(sos), as_array(x)
    if sos.ndim != 2 or sos.shape[1] != 6:
        raise ValueError("sos array must be shape (n_sections, 6)")
    if zi is None:
        for section in sos:
            x = lfilter(section[:3], section[3:], x, axis)
        return x
    states = []
    for section, state in zip(sos, as_array(zi)):
        x, last = lfilter(section[:3], section[3:], x, axis, state)
        states.append(last)
    return x, np.stack(states)


@mirror(ss.filtfilt)
def filtfilt(
    b: Any,
    a: Any,
    x: Any,
    axis: int = -1,
    padtype: str | None = "odd",
    padlen: int | None = None,
    method: str = "pad",
    irlen: Any = None,
) -> Any:
    """Filter forwards and backwards, without a shift of phase."""
    if method != "pad":
        unsupported(f"scipy.signal.filtfilt with method={method!r}", 'use method="pad"')
    b, a = np.atleast_1d(as_array(b)), np.atleast_1d(as_array(a))
    x = np.moveaxis(as_array(x), axis, -1)
    n = 0 if padtype is None else 3 * max(len(a), len(b)) if padlen is None else padlen
    if x.shape[-1] <= n:
        raise ValueError(
            f"The length of the input vector x must be greater than padlen, which is {n}."
        )
    zi, x = lfilter_zi(b, a), _extended(x, padtype, n)
    for _ in range(2):
        x = lfilter(b, a, x, zi=zi * x[..., :1])[0][..., ::-1]
    return np.moveaxis(x[..., n : x.shape[-1] - n], -1, axis)


def _extended(x: Any, padtype: str | None, n: int) -> Any:
    """Continue signals by `n` entries on both sides."""
    if not n:
        return x
    first, last = x[..., :1], x[..., -1:]
    left, right = x[..., n:0:-1], x[..., -2 : -n - 2 : -1]
    if padtype == "odd":
        left, right = 2 * first - left, 2 * last - right
    elif padtype == "constant":
        left, right = first + 0 * left, last + 0 * right
    elif padtype != "even":
        raise ValueError(
            f"Unknown value '{padtype}' given to padtype: even, odd, constant, or None."
        )
    return np.concatenate([left, x, right], -1)
