"""`scipy.fft`: Fourier transforms by NumPy's rules; cosine and sine transforms along one axis or several.

The unnormalised cosine and sine transforms have matrices that are symmetric up to scales: those of types 2
and 3 are each other's transpose, those of types 1 and 4 their own (https://docs.scipy.org/doc/scipy/reference/fft.html).
Norms and orthogonalisation are factors around them.
"""

import importlib
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array
from funcgrad.primitives.axes import normalize_axis
from funcgrad.primitives.families import linear
from funcgrad.primitives.fft import _resized
from funcgrad.scipy.mirrors import fallback, mirror, refuse

sf: Any = importlib.import_module("scipy.fft")
__getattr__ = fallback(sf)

Function = Callable[..., Any]

# --- Fourier transforms --------------------------------------------------------------------------


def _along_axis(original: Function, fun: Function) -> Function:
    """Return SciPy's transform along one axis, over NumPy's."""

    @mirror(original)
    def transform(
        x: Any,
        n: Any = None,
        axis: int = -1,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        refuse(f"scipy.fft.{original.__name__}", plan=plan)
        return fun(as_array(x), n, axis, norm)

    return _named(transform, original)


def _along_axes(original: Function, fun: Function, default: Any) -> Function:
    """Return SciPy's transform along several axes, over NumPy's."""

    @mirror(original)
    def transform(
        x: Any,
        s: Any = None,
        axes: Any = default,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        refuse(f"scipy.fft.{original.__name__}", plan=plan)
        if s is not None and axes is None:  # NumPy deprecates it
            axes = range(-len(s), 0)
        return fun(as_array(x), s, axes, norm)

    return _named(transform, original)


def _named(fun: Function, original: Function) -> Function:
    name = original.__name__
    fun.__name__ = fun.__qualname__ = name
    fun.__doc__ = f"Return what `scipy.fft.{name}` returns, with derivatives."
    return fun


fft = _along_axis(sf.fft, np.fft.fft)
ifft = _along_axis(sf.ifft, np.fft.ifft)
rfft = _along_axis(sf.rfft, np.fft.rfft)
irfft = _along_axis(sf.irfft, np.fft.irfft)
hfft = _along_axis(sf.hfft, np.fft.hfft)
ihfft = _along_axis(sf.ihfft, np.fft.ihfft)
fft2 = _along_axes(sf.fft2, np.fft.fft2, (-2, -1))
ifft2 = _along_axes(sf.ifft2, np.fft.ifft2, (-2, -1))
rfft2 = _along_axes(sf.rfft2, np.fft.rfft2, (-2, -1))
irfft2 = _along_axes(sf.irfft2, np.fft.irfft2, (-2, -1))
fftn = _along_axes(sf.fftn, np.fft.fftn, None)
ifftn = _along_axes(sf.ifftn, np.fft.ifftn, None)
rfftn = _along_axes(sf.rfftn, np.fft.rfftn, None)
irfftn = _along_axes(sf.irfftn, np.fft.irfftn, None)


@mirror(sf.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    """Move the zero frequency to the middle."""
    return np.fft.fftshift(x, axes)


@mirror(sf.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """Move the zero frequency back to the front."""
    return np.fft.ifftshift(x, axes)


# --- cosine and sine transforms ------------------------------------------------------------------


def _scaled(x: Any, entries: dict[int, float], axis: int) -> Any:
    """Multiply some entries along an axis that counts from the back."""
    scales = np.ones(x.shape[axis], np.finfo(x.dtype).dtype)
    for i, scale in entries.items():
        scales[i] *= scale
    return x * scales.reshape((-1,) + (1,) * (-axis - 1))


# Type: (type of the transpose, scales before it, scales behind it).
_TRANSPOSES: dict[str, dict[int, tuple[int, dict[int, float], dict[int, float]]]] = {
    "dct": {
        1: (1, {0: 2, -1: 2}, {0: 0.5, -1: 0.5}),
        2: (3, {0: 2}, {}),
        3: (2, {}, {0: 0.5}),
        4: (4, {}, {}),
    },
    "dst": {1: (1, {}, {}), 2: (3, {-1: 2}, {}), 3: (2, {}, {-1: 0.5}), 4: (4, {}, {})},
}


def _transpose(kind: str, ct: Any, number: int, axis: int) -> Any:
    transposed, before, behind = _TRANSPOSES[kind][number]
    y = _RAW[kind](_scaled(ct, before, axis), number=transposed, axis=axis)
    return _scaled(y, behind, axis)


def _raw(kind: str, fun: Function) -> Primitive:
    """Declare the unnormalised transform of type `number` along an axis that counts from the back."""
    new: Primitive = linear(
        kind,
        lambda x, number, axis: fun(x, number, axis=axis),
        transpose=lambda ct, number, axis: _transpose(kind, ct, number, axis),
        batch=lambda x, number, axis: new(x, number=number, axis=axis),
    )
    return new


_RAW = {"dct": _raw("dct", sf.dct), "dst": _raw("dst", sf.dst)}
_INVERSES = {1: 1, 2: 3, 3: 2, 4: 4}
_LONGER = {("dct", 1): -1, ("dst", 1): 1}  # the period of type 1 is 2 (n - 1) or 2 (n + 1)
_ROOT = 2**0.5
# Where orthogonalising scales: before, behind.
_ORTHOGONAL: dict[tuple[str, int], tuple[dict[int, float], dict[int, float]]] = {
    ("dct", 1): ({0: _ROOT, -1: _ROOT}, {0: 1 / _ROOT, -1: 1 / _ROOT}),
    ("dct", 2): ({}, {0: 1 / _ROOT}),
    ("dct", 3): ({0: _ROOT}, {}),
    ("dst", 2): ({}, {-1: 1 / _ROOT}),
    ("dst", 3): ({-1: _ROOT}, {}),
}


def _real_transform(
    kind: str,
    x: Any,
    number: Any,
    n: Any,
    axis: int,
    norm: Any,
    orthogonalize: Any,
    inverse: bool,
) -> Any:
    """Apply a cosine or sine transform, or its inverse, along one axis."""
    x = as_array(x)
    axis = normalize_axis(axis, x.ndim) - x.ndim
    x = x if n is None else _resized(x, operator.index(n), axis)
    if number not in _INVERSES:
        raise ValueError(f"Invalid type ({number}); must be 1, 2, 3 or 4")
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f'Invalid norm value {norm!r}, should be "backward", "ortho" or "forward"')
    number = _INVERSES[number] if inverse else number
    orthogonal = (norm == "ortho") if orthogonalize is None else orthogonalize
    before, behind = _ORTHOGONAL.get((kind, number), ({}, {})) if orthogonal else ({}, {})
    y = _scaled(_RAW[kind](_scaled(x, before, axis), number=number, axis=axis), behind, axis)
    period = 2 * (x.shape[axis] + _LONGER.get((kind, number), 0))
    power = 0.5 if norm == "ortho" else float((norm == "forward") != inverse)
    return y / period**power if power else y


def _cosine_or_sine(original: Function) -> Function:
    """Return SciPy's cosine or sine transform along one axis."""
    inverse, kind = original.__name__[0] == "i", original.__name__[-3:]

    @mirror(original)
    def transform(
        x: Any,
        type: int = 2,  # noqa: A002  # SciPy's name
        n: Any = None,
        axis: int = -1,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        orthogonalize: Any = None,
    ) -> Any:
        return _real_transform(kind, x, type, n, axis, norm, orthogonalize, inverse)

    return _named(transform, original)


def _cosines_or_sines(original: Function) -> Function:
    """Return SciPy's cosine or sine transform along several axes."""
    inverse, kind = original.__name__[0] == "i", original.__name__[-4:-1]

    @mirror(original)
    def transform(
        x: Any,
        type: int = 2,  # noqa: A002  # SciPy's name
        s: Any = None,
        axes: Any = None,
        norm: Any = None,
        overwrite_x: bool = False,
        workers: Any = None,
        orthogonalize: Any = None,
    ) -> Any:
        x = as_array(x)
        s = None if s is None else np.atleast_1d(s)
        if axes is None:
            axes = range(-(x.ndim if s is None else len(s)), 0)
        axes = np.atleast_1d(axes)
        lengths = [None] * len(axes) if s is None else s
        if len(lengths) != len(axes):
            raise ValueError("when given, axes and shape arguments have to be of the same length")
        for n, axis in zip(lengths, axes):
            x = _real_transform(kind, x, type, n, axis, norm, orthogonalize, inverse)
        return x

    return _named(transform, original)


dct, idct = _cosine_or_sine(sf.dct), _cosine_or_sine(sf.idct)
dst, idst = _cosine_or_sine(sf.dst), _cosine_or_sine(sf.idst)
dctn, idctn = _cosines_or_sines(sf.dctn), _cosines_or_sines(sf.idctn)
dstn, idstn = _cosines_or_sines(sf.dstn), _cosines_or_sines(sf.idstn)
