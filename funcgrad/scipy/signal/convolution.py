"""Convolution and correlation, in any number of dimensions."""

import functools
import importlib
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array
from funcgrad.primitives.axes import normalize_axes
from funcgrad.primitives.families import primitive
from funcgrad.scipy.mirrors import mirror

ss: Any = importlib.import_module("scipy.signal")


def _reversed(x: Any) -> Any:
    return x[(slice(None, None, -1),) * x.ndim]


def _over_taps(x: Any, y: Any) -> Any:
    """Return the full convolution, one multiple of the larger array for each entry of the smaller."""
    if y.size > x.size:
        x, y = y, x
    shape = [n + m - 1 for n, m in zip(x.shape, y.shape)]
    full = np.zeros(shape, np.result_type(x, y))
    for start in np.ndindex(y.shape):
        full[tuple([slice(i, i + n) for i, n in zip(start, x.shape)])] += y[start] * x
    return full


def _over_places(x: Any, y: Any) -> Any:
    """Return sum_j x_(i + j) y_j, one sum for each place i or one multiple for each j: the fewer."""
    shape = [n - m + 1 for n, m in zip(x.shape, y.shape)]
    found = np.zeros(shape, np.result_type(x, y))
    if found.size < y.size:
        for start in np.ndindex(found.shape):
            part = x[tuple([slice(i, i + m) for i, m in zip(start, y.shape)])]
            found[start] = np.sum(part * y)
        return found
    for start in np.ndindex(y.shape):
        found += y[start] * x[tuple([slice(i, i + n) for i, n in zip(start, shape)])]
    return found


# SciPy's direct sum in several dimensions takes 20 ns for a product; its own for matrices, and NumPy, take 1.
_LARGE = 500  # entries in the larger array from which a call of NumPy for each in the smaller pays


def _full(x: Any, y: Any, method: str) -> Any:
    """Return z_k = sum_i x_i y_(k - i)."""
    if method == "direct" and x.size and y.size:
        if x.ndim == 1:
            return np.convolve(x, y)
        if x.ndim == 2:
            return ss.convolve2d(x, y)
        if x.ndim > 2 and max(x.size, y.size) > _LARGE:
            return _over_taps(x, y)
    return ss.convolve(x, y, "full", method)


def _inside(x: Any, y: Any, method: str) -> Any:
    """Return z_i = sum_j x_(i + j) y_j, for an x that is the larger along each axis."""
    if method == "direct" and y.size:
        if x.ndim == 1:
            return np.convolve(x, _reversed(y), "valid")
        if x.ndim == 2:
            return ss.convolve2d(x, _reversed(y), "valid")
        if x.ndim > 2 and x.size > _LARGE:
            return _over_places(x, y)
    return ss.convolve(x, _reversed(y), "valid", method)


# The derivative of each by one factor is the other, of the cotangent and the other factor: what is
# asked for is summed, and no more. (The full sum over an image twice, for the nine entries of a
# kernel, would take the square of the pixels.)
_convolve: Primitive = primitive(
    "signal_convolve",
    _full,
    vjp=(
        lambda ct, y, method: _correlate(ct, y, method=method),
        lambda ct, x, method: _correlate(ct, x, method=method),
    ),
    jvp=(
        lambda t, y, method: _convolve(t, y, method=method),
        lambda t, x, method: _convolve(x, t, method=method),
    ),
)
_correlate: Primitive = primitive(
    "signal_correlate",
    _inside,
    vjp=(
        lambda ct, y, method: _convolve(ct, y, method=method),
        lambda ct, x, method: _correlate(x, ct, method=method),
    ),
    jvp=(
        lambda t, y, method: _correlate(t, y, method=method),
        lambda t, x, method: _correlate(x, t, method=method),
    ),
)


def _cut(full: Any, x_shape: Any, y_shape: Any, mode: str, axes: Any) -> Any:
    """Return the part of a full convolution along `axes` that a mode asks for."""
    sizes = [(x_shape[i], y_shape[i]) for i in axes]
    if mode == "full":
        return full
    if mode == "same":
        parts = [slice((m - 1) // 2, (m - 1) // 2 + n) for n, m in sizes]
    elif mode == "valid":
        if any(n < m for n, m in sizes):
            sizes = [(m, n) for n, m in sizes]
        if any(n < m for n, m in sizes):
            raise ValueError(
                "For 'valid' mode, one must be at least as large as the other in every dimension"
            )
        parts = [slice(m - 1, n) for n, m in sizes]
    else:
        raise ValueError("acceptable mode flags are 'valid', 'same', or 'full'")
    index = [slice(None)] * full.ndim
    for i, part in zip(axes, parts):
        index[i] = part
    return full[tuple(index)]


def _pair(in1: Any, in2: Any) -> Any:
    x, y = as_array(in1), as_array(in2)
    if x.ndim != y.ndim:
        raise ValueError("in1 and in2 should have the same dimensionality")
    return x, y


@functools.lru_cache(maxsize=256)
def _quicker(*arrays: Any) -> str:
    """Return the method that SciPy takes for the faster one for arrays of these shapes and dtypes."""
    method: str = ss.choose_conv_method(*[np.zeros(shape, dtype) for shape, dtype in arrays])
    return method


@mirror(ss.convolve)
def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Return the convolution of two arrays with as many axes; see `scipy.signal.convolve`."""
    x, y = _pair(in1, in2)
    if not x.ndim:
        return x * y
    if method == "auto" and x.dtype.kind in "fc" and y.dtype.kind in "fc":  # not by the values
        method = _quicker((x.shape, x.dtype), (y.shape, y.dtype))
    full = _convolve(x, y, method=method)
    return _cut(full, x.shape, y.shape, mode, range(x.ndim))


@mirror(ss.correlate)
def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Return the cross-correlation sum_i in1_(i + k) conj(in2_i); see `scipy.signal.correlate`."""
    return convolve(in1, _reversed(as_array(in2)).conj(), mode, method)


@mirror(ss.fftconvolve)
def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """Return the convolution along `axes` (all by default), by the fast Fourier transform."""
    if axes is None:
        return convolve(in1, in2, mode, "fft")
    x, y = _pair(in1, in2)
    axes = normalize_axes(tuple(axes) if np.ndim(axes) else axes, x.ndim)
    shape = [x.shape[i] + y.shape[i] - 1 for i in axes]
    real = x.dtype.kind != "c" and y.dtype.kind != "c"
    forth, back = (np.fft.rfftn, np.fft.irfftn) if real else (np.fft.fftn, np.fft.ifftn)
    full = back(forth(x, shape, axes) * forth(y, shape, axes), shape, axes)
    return _cut(full, x.shape, y.shape, mode, axes)


@mirror(ss.oaconvolve)
def oaconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """Return the convolution along `axes`; the same as `fftconvolve` to rounding."""
    return fftconvolve(in1, in2, mode, axes)


# --- two axes, with a boundary -------------------------------------------------------------------

_PADDING = {"wrap": "wrap", "circular": "wrap", "symm": "symmetric", "symmetric": "symmetric"}


@mirror(ss.convolve2d)
def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0
) -> Any:
    """Return the convolution of two matrices, the first continued as `boundary` says."""
    x, y = _pair(in1, in2)
    if x.ndim != 2:
        raise ValueError("convolve2d inputs must both be 2-D arrays")
    if mode == "valid":
        return convolve(x, y, mode, "direct")
    width = [(m - 1, m - 1) for m in y.shape]
    if boundary in ("fill", "pad"):
        wide = np.pad(x, width, constant_values=fillvalue)
    elif boundary in _PADDING:
        wide = np.pad(x, width, _PADDING[boundary])  # type: ignore[call-overload]
    else:
        raise ValueError(
            "Acceptable boundary flags are 'fill', 'circular' (or 'wrap'), 'symmetric'"
        )
    full = convolve(wide, y, "full", "direct")[
        tuple([slice(m - 1, 1 - m or None) for m in y.shape])
    ]
    full = full[tuple([slice(0, n + m - 1) for n, m in zip(x.shape, y.shape)])]
    return _cut(full, x.shape, y.shape, mode, (0, 1))


@mirror(ss.correlate2d)
def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0
) -> Any:
    """Return the cross-correlation of two matrices, the first continued as `boundary` says."""
    x, y = _pair(in1, in2)
    flipped = _reversed(y).conj()
    if mode != "same":
        return convolve2d(x, flipped, mode, boundary, fillvalue)
    full = convolve2d(x, flipped, "full", boundary, fillvalue)  # in the middle, but rounded up
    return full[tuple([slice(m // 2, m // 2 + n) for n, m in zip(x.shape, y.shape)])]
