"""Convolution and correlation of sequences."""

from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, handle
from funcgrad.primitives.families import bilinear


def _windows(x: Any, m: int) -> Any:
    """Return the `m` entries up to each place of the full convolution, latest first."""
    n = x.shape[-1]
    ends = np.zeros((*x.shape[:-1], m - 1), x.dtype)
    padded = np.concatenate([ends, x, ends], -1)
    return padded[..., np.arange(n + m - 1)[:, None] + np.arange(m)[::-1]]


def _batch_convolve(args: Any, mapped: Any, settings: Any) -> Any:
    x, y = args
    return (_windows(x, y.shape[-1]) @ y[..., None])[..., 0]


# (x * y)[k] = sum_i x[i] y[k - i], so the cotangent of x is ct against y reversed, where they overlap
_convolve: Primitive = bilinear(
    "convolve",
    np.convolve,
    vjp=(
        lambda ct, y, x_shape: _overlapping(ct, y[::-1], x_shape[0]),
        lambda ct, x, y_shape: _overlapping(ct, x[::-1], y_shape[0]),
    ),
    batch=_batch_convolve,
)


def _overlapping(x: Any, y: Any, n: int) -> Any:
    """Return the n entries of the convolution at which all of y overlaps x."""
    if type(x) is np.ndarray and type(y) is np.ndarray:
        return np.convolve(x, y, "valid")
    return _convolve(x, y)[len(y) - 1 : len(y) - 1 + n]


def _sequence(x: Any, name: str) -> Any:
    x = as_array(x)
    x = x if x.ndim else x.reshape(1)
    if x.ndim != 1:
        raise ValueError("object too deep for desired array")
    if not len(x):
        raise ValueError(f"{name} cannot be empty")
    return x


def _part(full: Any, n: int, m: int, mode: Any, reverse: bool) -> Any:
    """Return what `mode` takes of the full convolution of n and m entries."""
    short, long = (m, n) if n >= m else (n, m)
    if mode in ("full", 2):
        return full
    if mode in ("valid", 0):
        return full[short - 1 : long]
    if mode not in ("same", 1):
        raise ValueError(f"mode must be one of 'valid', 'same' or 'full' (got {mode!r})")
    start = (short - 1) // 2
    start = len(full) - start - long if reverse else start
    return full[start : start + long]


@handle(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """Convolve two sequences."""
    a, v = _sequence(a, "a"), _sequence(v, "v")
    return _part(_convolve(a, v), len(a), len(v), mode, False)


@handle(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """Correlate two sequences; the second is conjugated."""
    a, v = _sequence(a, "first array argument"), _sequence(v, "second array argument")
    full = _convolve(a, (v.conj() if v.dtype.kind == "c" else v)[::-1])
    return _part(full, len(a), len(v), mode, len(a) < len(v))
