"""Trends, analytic signals and resampling: linear maps of the signal."""

import importlib
from itertools import pairwise
from typing import Any

import numpy as np

from funcgrad.core import as_array
from funcgrad.primitives.axes import normalize_axis
from funcgrad.scipy.mirrors import mirror, refuse

ss: Any = importlib.import_module("scipy.signal")


@mirror(ss.detrend)
def detrend(
    data: Any,
    axis: int = -1,
    type: str = "linear",  # noqa: A002  # SciPy's name
    bp: Any = 0,
    overwrite_data: bool = False,
) -> Any:
    """Subtract the mean, or the straight line that fits best between breakpoints."""
    x = np.moveaxis(as_array(data), axis, -1)
    if type in ("constant", "c"):
        return np.moveaxis(x - x.mean(-1, keepdims=True), -1, axis)
    if type not in ("linear", "l"):
        raise ValueError("Trend type must be 'linear' or 'constant'.")
    ends = np.unique(np.concatenate([[0], np.atleast_1d(bp), [x.shape[-1]]])).astype(int)
    if ends[-1] > x.shape[-1]:
        raise ValueError("Breakpoints must be less than length of data along given axis.")
    parts = []
    for start, stop in pairwise(ends):
        n = int(stop - start)
        line = np.stack([np.ones(n), np.arange(1, n + 1) / n]).astype(x.dtype)
        part = x[..., start:stop]
        parts.append(part - (part @ np.linalg.pinv(line)) @ line)
    return np.moveaxis(np.concatenate(parts, -1), -1, axis)


@mirror(ss.hilbert)
def hilbert(x: Any, N: Any = None, axis: int = -1) -> Any:
    """Return the analytic signal of a real one: without negative frequencies."""
    x = as_array(x)
    if x.dtype.kind == "c":
        raise ValueError("x must be real.")
    axis = normalize_axis(axis, x.ndim) - x.ndim
    n = x.shape[axis] if N is None else N
    if n <= 0:
        raise ValueError("N must be positive.")
    weights = np.zeros(n, x.dtype)
    weights[1 : (n + 1) // 2] = 2
    weights[[0, n // 2] if n % 2 == 0 else 0] = 1
    spectrum = np.fft.fft(x, n, axis) * weights.reshape((-1,) + (1,) * (-axis - 1))
    return np.fft.ifft(spectrum, n, axis)


@mirror(ss.resample)
def resample(
    x: Any, num: int, t: Any = None, axis: int = 0, window: Any = None, domain: str = "time"
) -> Any:
    """Return `num` samples of a periodic signal, by its Fourier series."""
    refuse("scipy.signal.resample", t=t, window=window, domain=None if domain == "time" else domain)
    x = np.moveaxis(as_array(x), axis, -1)
    n, kept = x.shape[-1], min(num, x.shape[-1])
    spectrum = np.fft.fft(x)
    half = kept // 2
    low, high = spectrum[..., : (kept + 1) // 2], spectrum[..., n - (kept - 1) // 2 :]
    zeros = np.zeros((*x.shape[:-1], num - kept), spectrum.dtype)
    if kept % 2:
        middle = [zeros]
    elif num < n:  # the two frequencies that fall together
        middle = [spectrum[..., half, None] + spectrum[..., n - half, None]]
    elif num > n:  # the one that is shared
        shared = spectrum[..., half, None] / 2
        middle = [shared, zeros[..., 1:], shared]
    else:
        middle = [spectrum[..., half, None]]
    y = np.fft.ifft(np.concatenate([low, *middle, high], -1)) * (num / n)
    return np.moveaxis(y if x.dtype.kind == "c" else np.real(y), -1, axis)
