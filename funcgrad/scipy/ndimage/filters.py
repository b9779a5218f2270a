"""Filters: the image continued beyond its edges, and correlated with weights."""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import as_array, unsupported
from funcgrad.primitives.axes import normalize_axes
from funcgrad.scipy.mirrors import mirror, refuse
from funcgrad.scipy.signal.convolution import convolve as full_convolve

sn: Any = importlib.import_module("scipy.ndimage")

# How NumPy calls SciPy's ways to continue an image.
_PADDING = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}


def _image(function: str, image: Any, output: Any) -> Any:
    """Return the image as a floating-point array; the result has its dtype, as in SciPy."""
    refuse(f"scipy.ndimage.{function}", output=output)
    image = as_array(image)
    if image.dtype.kind != "f":
        unsupported(
            f"scipy.ndimage.{function} of an image of dtype {image.dtype}",
            "convert it: x.astype(float), real and imaginary parts one by one",
        )
    return image


def _sequence(x: Any, n: int) -> list[Any]:
    """Return a setting per axis."""
    values = list(x) if isinstance(x, (list, tuple)) or np.ndim(x) else [x] * n
    if len(values) != n:
        raise RuntimeError("sequence argument must have length equal to input rank")
    return values


def _correlate(image: Any, weights: Any, modes: list[str], cval: float, origins: list[int]) -> Any:
    """Return sum_j weights_j image_(i + j - centre), a mode and an origin for each axis."""
    wide = image
    for axis, (mode, n, origin) in enumerate(zip(modes, weights.shape, origins)):
        if mode not in _PADDING:
            raise RuntimeError("boundary mode not supported")
        left = n // 2 + origin
        if not 0 <= left < max(n, 1):
            raise ValueError(
                "Invalid origin; origin must satisfy -(weights.shape[k] // 2) <= origin"
            )
        width = [(0, 0)] * image.ndim
        width[axis] = (left, n - 1 - left)
        more = {"constant_values": cval} if _PADDING[mode] == "constant" else {}
        wide = np.pad(wide, width, _PADDING[mode], **more)  # type: ignore[call-overload]
    flipped = weights[(slice(None, None, -1),) * weights.ndim].astype(image.dtype)
    return full_convolve(wide, flipped, "valid", "direct")


def _weights(weights: Any) -> Any:
    weights = as_array(weights)
    if weights.dtype.kind == "c":
        unsupported("a filter of complex weights", "filter with real and imaginary parts")
    return weights


def _all_axes(image: Any, weights: Any, axes: Any) -> tuple[Any, tuple[int, ...]]:
    """Return weights with as many axes as the image, and the axes they act on."""
    chosen = normalize_axes(None if axes is None else tuple(np.atleast_1d(axes)), image.ndim)
    if weights.ndim != len(chosen):
        raise RuntimeError("weights.ndim must match len(axes) (input.ndim by default)")
    shape = [1] * image.ndim
    for axis, n in zip(sorted(chosen), weights.shape):  # in this order, as SciPy has it
        shape[axis] = n
    return weights.reshape(shape), chosen


@mirror(sn.correlate)
def correlate(
    input: Any,  # noqa: A002  # SciPy's name
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Correlate an image with weights."""
    image = _image("correlate", input, output)
    full, chosen = _all_axes(image, _weights(weights), axes)
    origins = [0] * image.ndim
    for axis, shifted in zip(chosen, _sequence(origin, len(chosen))):
        origins[axis] = shifted
    return _correlate(image, full, [mode] * image.ndim, cval, origins)


@mirror(sn.convolve)
def convolve(
    input: Any,  # noqa: A002  # SciPy's name
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Convolve an image with weights."""
    weights = _weights(weights)
    origins = [
        -shifted - (n % 2 == 0)
        for shifted, n in zip(_sequence(origin, weights.ndim), weights.shape)
    ]
    flipped = weights[(slice(None, None, -1),) * weights.ndim]
    return correlate(input, flipped, output, mode, cval, origins, axes=axes)


@mirror(sn.correlate1d)
def correlate1d(
    input: Any,  # noqa: A002  # SciPy's name
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """Correlate an image with weights along an axis."""
    return correlate(input, weights, output, mode, cval, origin, axes=axis)


@mirror(sn.convolve1d)
def convolve1d(
    input: Any,  # noqa: A002  # SciPy's name
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """Convolve an image with weights along an axis."""
    return convolve(input, weights, output, mode, cval, origin, axes=axis)
