"""Blurs, means and differences of images, by filters along one axis after the other."""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import concrete, unsupported
from funcgrad.primitives.axes import normalize_axes, normalize_axis
from funcgrad.scipy.mirrors import is_mapped, mirror
from funcgrad.scipy.ndimage.filters import _image, _sequence, correlate1d

sn: Any = importlib.import_module("scipy.ndimage")


def _gauss(sigma: Any, order: int, radius: int) -> Any:
    """Return the weights of a Gaussian or, by Hermite polynomials, of its derivative (reversed)."""
    x = np.arange(-radius, radius + 1)
    bell = np.exp(-0.5 * x**2 / sigma**2)
    bell = bell / np.sum(bell)
    before, polynomial = 0, 1
    for k in range(order):  # He_(k + 1)(u) = u He_k(u) - k He_(k - 1)(u), u = x / sigma
        before, polynomial = polynomial, x / sigma * polynomial - k * before
    return bell * polynomial / sigma**order


@mirror(sn.gaussian_filter1d)
def gaussian_filter1d(
    input: Any,  # noqa: A002  # SciPy's name
    sigma: Any,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
) -> Any:
    """Blur an image along an axis, or take a derivative of the blurred one; derivatives by `sigma`, too.

    How far the weights reach is a constant, as if `radius` were given.
    """
    if radius is None:
        if is_mapped(sigma):
            unsupported("scipy.ndimage.gaussian_filter1d with a mapped sigma", "pass radius")
        radius = int(truncate * float(concrete(sigma)) + 0.5)
    return correlate1d(input, _gauss(sigma, order, radius), axis, output, mode, cval)


@mirror(sn.gaussian_filter)
def gaussian_filter(
    input: Any,  # noqa: A002  # SciPy's name
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> Any:
    """Blur an image along all axes, or those given."""
    image = _image("gaussian_filter", input, output)
    chosen = normalize_axes(None if axes is None else tuple(np.atleast_1d(axes)), image.ndim)
    settings = [_sequence(x, len(chosen)) for x in (sigma, order, mode, radius)]
    for axis, width, derivative, how, reach in zip(chosen, *settings):
        if not np.all(concrete(width) <= 1e-15):
            image = gaussian_filter1d(
                image, width, axis, derivative, None, how, cval, truncate, radius=reach
            )
    return image


@mirror(sn.uniform_filter1d)
def uniform_filter1d(
    input: Any,  # noqa: A002  # SciPy's name
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """Return the mean of `size` neighbours along an axis."""
    return correlate1d(input, np.full(size, 1 / size), axis, output, mode, cval, origin)


@mirror(sn.uniform_filter)
def uniform_filter(
    input: Any,  # noqa: A002  # SciPy's name
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Return the mean of a box of neighbours."""
    image = _image("uniform_filter", input, output)
    chosen = normalize_axes(None if axes is None else tuple(np.atleast_1d(axes)), image.ndim)
    settings = [_sequence(x, len(chosen)) for x in (size, mode, origin)]
    for axis, n, how, shifted in zip(chosen, *settings):
        image = uniform_filter1d(image, n, axis, None, how, cval, shifted)
    return image


# --- differences ---------------------------------------------------------------------------------


def _edges(image: Any, axis: int, smooth: list[float], mode: Any, cval: float) -> Any:
    """Return differences along an axis, smoothed along the others."""
    axis = normalize_axis(axis, image.ndim)
    modes = _sequence(mode, image.ndim)
    out = correlate1d(image, [-1.0, 0, 1], axis, None, modes[axis], cval)
    for other in range(image.ndim):
        if other != axis:
            out = correlate1d(out, smooth, other, None, modes[other], cval)
    return out


@mirror(sn.sobel)
def sobel(
    input: Any,  # noqa: A002  # SciPy's name
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
) -> Any:
    """Return Sobel's differences along an axis."""
    return _edges(_image("sobel", input, output), axis, [1.0, 2, 1], mode, cval)


@mirror(sn.prewitt)
def prewitt(
    input: Any,  # noqa: A002  # SciPy's name
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
) -> Any:
    """Return Prewitt's differences along an axis."""
    return _edges(_image("prewitt", input, output), axis, [1.0, 1, 1], mode, cval)


@mirror(sn.laplace)
def laplace(
    input: Any,  # noqa: A002  # SciPy's name
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    *,
    axes: Any = None,
) -> Any:
    """Return the sum of second differences along all axes, or those given."""
    image = _image("laplace", input, output)
    chosen = normalize_axes(None if axes is None else tuple(np.atleast_1d(axes)), image.ndim)
    modes = _sequence(mode, len(chosen))
    parts = [correlate1d(image, [1.0, -2, 1], i, None, how, cval) for i, how in zip(chosen, modes)]
    return sum(parts[1:], parts[0]) if parts else 0 * image
