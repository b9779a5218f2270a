"""`scipy.signal`: convolution and correlation, in any number of dimensions."""

import importlib
from typing import Any

from funcgrad.core import Primitive, as_array, unsupported
from funcgrad.primitives.families import primitive

ss: Any = importlib.import_module("scipy.signal")


def _reversed(x: Any) -> Any:
    return x[(slice(None, None, -1),) * x.ndim]


# z_k = sum_i x_i y_(k - i): x_i takes sum_k ct_k y_(k - i)
def _adjoint_x(ct: Any, y: Any, x_shape: Any, method: str) -> Any:
    full = _convolve(ct, _reversed(y), method=method)
    return full[tuple([slice(m - 1, m - 1 + n) for m, n in zip(y.shape, x_shape)])]


def _adjoint_y(ct: Any, x: Any, y_shape: Any, method: str) -> Any:
    return _adjoint_x(ct, x, y_shape, method)


def _convolve_full(x: Any, y: Any, *, method: str) -> Any:
    return ss.convolve(x, y, "full", method)


_convolve: Primitive = primitive(
    "signal_convolve",
    _convolve_full,
    vjp=(_adjoint_x, _adjoint_y),
    jvp=(
        lambda t, y, method: _convolve(t, y, method=method),
        lambda t, x, method: _convolve(x, t, method=method),
    ),
)


def _cut(full: Any, x: Any, y: Any, mode: str) -> Any:
    """Return the part of a full convolution that a mode asks for."""
    if mode == "full":
        return full
    if mode == "same":
        parts = [slice((m - 1) // 2, (m - 1) // 2 + n) for n, m in zip(x.shape, y.shape)]
    elif mode == "valid":
        if any(n < m for n, m in zip(x.shape, y.shape)):
            x, y = y, x
        if any(n < m for n, m in zip(x.shape, y.shape)):
            raise ValueError(
                "For 'valid' mode, one must be at least as large as the other in every dimension"
            )
        parts = [slice(m - 1, n) for n, m in zip(x.shape, y.shape)]
    else:
        raise ValueError("acceptable mode flags are 'valid', 'same', or 'full'")
    return full[tuple(parts)]


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Return the convolution of two arrays with as many axes; see `scipy.signal.convolve`."""
    x, y = as_array(in1), as_array(in2)
    if x.ndim != y.ndim:
        raise ValueError("volume and kernel should have the same dimensionality")
    if not x.ndim:
        return x * y
    return _cut(_convolve(x, y, method=method), x, y, mode)


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Return the cross-correlation sum_i in1_(i + k) conj(in2_i); see `scipy.signal.correlate`."""
    y = as_array(in2)
    return convolve(in1, _reversed(y).conj(), mode, method)


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """Return the convolution along all axes, by the fast Fourier transform."""
    if axes is not None:
        unsupported("scipy.signal.fftconvolve with axes=", "use vmap over the other axes")
    return convolve(in1, in2, mode, "fft")
