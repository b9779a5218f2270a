"""Discrete Fourier transforms: four linear primitives along one axis, composites over several.

Cotangents pair with tangents without conjugation, so the transposed transform has the same sign in
the exponent: the matrix of `fft` is symmetric.
"""

import operator
from typing import Any

import numpy as np

from funcgrad.core import as_array, handle, unsupported
from funcgrad.primitives.axes import normalize_axis
from funcgrad.primitives.families import linear

# What a scale becomes in the transform of the other direction.
_SWAPPED: dict[Any, Any] = {
    None: "forward",
    "backward": "forward",
    "ortho": "ortho",
    "forward": "backward",
}


def _resized(x: Any, n: int, axis: int) -> Any:
    """Crop or pad with zeros to length `n` along `axis`, which counts from the back."""
    length = x.shape[axis]
    if n <= length:
        return x if n == length else x[(..., slice(n), *[slice(None)] * (-axis - 1))]
    shape = list(x.shape)
    shape[axis] = n - length
    return np.concatenate([x, np.zeros(shape, x.dtype)], axis)


def _weights(like: Any, n: int, axis: int, inner: float) -> Any:
    """Return how often a real signal of length `n` uses each entry of its half spectrum.

    All but the first (and, for even `n`, the last) stand for two entries of the full spectrum.
    """
    weights = np.full(n // 2 + 1, inner, np.finfo(like.dtype).dtype)  # the real one
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights.reshape((-1,) + (1,) * (-axis - 1))


def _transpose_fft(ct: Any, x_shape: Any, n: int, axis: int, norm: Any) -> Any:
    return _resized(np.fft.fft(ct, n, axis, norm), x_shape[axis], axis)


def _transpose_ifft(ct: Any, x_shape: Any, n: int, axis: int, norm: Any) -> Any:
    return _resized(np.fft.ifft(ct, n, axis, norm), x_shape[axis], axis)


# rfft: y_k = sum_j x_j e^(-i j k), for half of the k: x_j takes Re sum_k ct_k e^(-i j k)
def _transpose_rfft(ct: Any, x_shape: Any, n: int, axis: int, norm: Any) -> Any:
    half = ct.conj() * _weights(ct, n, axis, 0.5)
    return _resized(np.fft.irfft(half, n, axis, _SWAPPED[norm]), x_shape[axis], axis)


# irfft: y_j = sum_k w_k Re(z_k e^(i j k)): z_k takes w_k sum_j ct_j e^(i j k)
def _transpose_irfft(ct: Any, x_shape: Any, n: int, axis: int, norm: Any) -> Any:
    half = np.fft.rfft(ct, n, axis, _SWAPPED[norm]).conj() * _weights(ct, n, axis, 2)
    return _resized(half, x_shape[axis], axis)


# The axis counts from the back, so a batch axis in front changes nothing.
_fft = linear("fft", np.fft.fft, transpose=_transpose_fft, batch=np.fft.fft)
_ifft = linear("ifft", np.fft.ifft, transpose=_transpose_ifft, batch=np.fft.ifft)
_rfft = linear("rfft", np.fft.rfft, transpose=_transpose_rfft, batch=np.fft.rfft)
_irfft = linear("irfft", np.fft.irfft, transpose=_transpose_irfft, batch=np.fft.irfft)


def _one_axis(primitive: Any, a: Any, n: Any, axis: Any, norm: Any, out: Any) -> Any:
    """Apply a primitive with all its settings made explicit."""
    if out is not None:
        unsupported(f"np.fft.{primitive.name} with out=", "use the returned value")
    a = as_array(a)
    axis = normalize_axis(axis, a.ndim) - a.ndim
    if n is None:
        n = (a.shape[axis] - 1) * 2 if primitive is _irfft else a.shape[axis]
    return primitive(a, n=operator.index(n), axis=axis, norm=norm)


# --- one axis ------------------------------------------------------------------------------------


@handle(np.fft.fft)
def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Transform along an axis."""
    return _one_axis(_fft, a, n, axis, norm, out)


@handle(np.fft.ifft)
def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Transform back along an axis."""
    return _one_axis(_ifft, a, n, axis, norm, out)


@handle(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Return the half spectrum of a real signal."""
    return _one_axis(_rfft, a, n, axis, norm, out)


@handle(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Return the real signal of a half spectrum."""
    return _one_axis(_irfft, a, n, axis, norm, out)


@handle(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Return the real spectrum of half a Hermitian signal."""
    return _one_axis(_irfft, np.conjugate(as_array(a)), n, axis, _swapped(norm), out)


@handle(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Return half the Hermitian signal of a real spectrum."""
    return np.conjugate(_one_axis(_rfft, a, n, axis, _swapped(norm), out))


def _swapped(norm: Any) -> Any:
    if norm not in _SWAPPED:
        raise ValueError(f'Invalid norm value {norm}; should be "backward","ortho" or "forward".')
    return _SWAPPED[norm]


# --- several axes, in NumPy's order --------------------------------------------------------------


def _lengths_and_axes(a: Any, s: Any, axes: Any, inverse_real: bool = False) -> Any:
    """Return the transformed length of each axis, and the axes."""
    if axes is None:
        axes = range(-(a.ndim if s is None else len(s)), 0)
    axes = [operator.index(i) for i in axes]
    if s is None:
        s = [a.shape[i] for i in axes]
        if inverse_real:
            s[-1] = 2 * (s[-1] - 1)
    if len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    return [a.shape[i] if n == -1 else n for n, i in zip(s, axes)], axes


@handle(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """Transform along several axes."""
    a = as_array(a)
    for n, axis in reversed([*zip(*_lengths_and_axes(a, s, axes))]):
        a = fft(a, n, axis, norm, out)
    return a


@handle(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """Transform back along several axes."""
    a = as_array(a)
    for n, axis in reversed([*zip(*_lengths_and_axes(a, s, axes))]):
        a = ifft(a, n, axis, norm, out)
    return a


@handle(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """Return the half spectrum of a real array, halved along the last axis."""
    a = as_array(a)
    s, axes = _lengths_and_axes(a, s, axes)
    a = rfft(a, s[-1], axes[-1], norm, out)
    return fftn(a, s[:-1], axes[:-1], norm, out)


@handle(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """Return the real array of a half spectrum."""
    a = as_array(a)
    s, axes = _lengths_and_axes(a, s, axes, inverse_real=True)
    for n, axis in zip(s[:-1], axes[:-1]):
        a = ifft(a, n, axis, norm, out)
    return irfft(a, s[-1], axes[-1], norm, out)


@handle(np.fft.fft2)
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """Transform along two axes."""
    return fftn(a, s, axes, norm, out)


@handle(np.fft.ifft2)
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """Transform back along two axes."""
    return ifftn(a, s, axes, norm, out)


@handle(np.fft.rfft2)
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """Return the half spectrum of a real array along two axes."""
    return rfftn(a, s, axes, norm, out)


@handle(np.fft.irfft2)
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """Return the real array of a half spectrum along two axes."""
    return irfftn(a, s, axes, norm, out)


# --- shifts --------------------------------------------------------------------------------------


def _shifted(x: Any, axes: Any, sign: int) -> Any:
    """Roll by half the length of each axis, rounded down."""
    x = as_array(x)
    axes = range(x.ndim) if axes is None else (axes,) if np.ndim(axes) == 0 else axes
    return np.roll(x, [sign * (x.shape[i] // 2) for i in axes], tuple(axes))


@handle(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    """Move the zero frequency to the middle."""
    return _shifted(x, axes, 1)


@handle(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """Move the zero frequency back to the front."""
    return _shifted(x, axes, -1)
