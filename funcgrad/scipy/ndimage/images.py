"""Images at other places than their pixels: of order 0 (nearest) and 1 (linear)."""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import as_array, unsupported
from funcgrad.scipy.interpolate.grids import blend, take_cells
from funcgrad.scipy.mirrors import mirror
from funcgrad.scipy.ndimage.filters import _image

sn: Any = importlib.import_module("scipy.ndimage")

MODES = (
    "constant",
    "grid-constant",
    "nearest",
    "mirror",
    "reflect",
    "grid-mirror",
    "grid-wrap",
)


def _folded(i: Any, n: int, mode: str) -> Any:
    """Return where an index beyond the edges leads."""
    if mode == "grid-wrap":
        return i % n
    if mode == "grid-constant":
        return np.clip(i + 1, 0, n + 1)
    if mode in ("reflect", "grid-mirror"):
        i = i % (2 * n)
        return np.minimum(i, 2 * n - 1 - i)
    if mode == "mirror" and n > 1:
        i = i % (2 * n - 2)
        return np.minimum(i, 2 * n - 2 - i)
    return np.clip(i, 0, n - 1)


@mirror(sn.map_coordinates)
def map_coordinates(
    input: Any,  # noqa: A002  # SciPy's name
    coordinates: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    """Return an image at places, whose first axis holds the coordinates; `order` 0 or 1.

    Beyond the edges the image is continued as `mode` says; at pixels, where the slope of order 1 jumps, the
    derivative is that of the cell behind.
    """
    image = _image("map_coordinates", input, output)
    if order not in (0, 1):
        unsupported(f"scipy.ndimage.map_coordinates with order={order}", "pass order=1")
    if mode == "wrap":
        unsupported("scipy.ndimage.map_coordinates with mode='wrap'", "use mode='grid-wrap'")
    if mode not in MODES:
        raise RuntimeError("boundary mode not supported")
    places = as_array(coordinates)
    if places.shape[0] != image.ndim:
        raise RuntimeError("invalid shape for coordinate array")
    flat = [places[i].reshape(-1) for i in range(image.ndim)]
    outside = False
    if mode == "constant":
        for x, n in zip(flat, image.shape):
            outside = outside | (x < 0) | (x > n - 1)
    elif mode == "nearest":
        flat = [np.clip(x, 0, n - 1) for x, n in zip(flat, image.shape)]
    cells = [np.floor(x + 0.5 if order == 0 else x) for x in flat]
    parts = [x - i for x, i in zip(flat, cells)]
    cells = [i.astype(int) for i in cells]
    out = _of_cells(image, cells, parts, order, mode, cval)
    if mode == "constant":
        out = np.where(outside, cval, out)
    return out.reshape(places.shape[1:]).astype(image.dtype)


def _of_cells(
    image: Any, cells: list[Any], parts: list[Any], order: int, mode: str, cval: float
) -> Any:
    """Return the values at the cells (order 0), or at parts of their widths."""
    shape = image.shape
    if mode == "grid-constant":  # a rim of pixels around, that all indices beyond lead to
        image = np.pad(image, 1, constant_values=cval)
    if order == 0:
        return take_cells(image, [_folded(i, n, mode) for i, n in zip(cells, shape)])
    corners = [(_folded(i, n, mode), _folded(i + 1, n, mode)) for i, n in zip(cells, shape)]
    return blend(image, corners, parts)


# --- transforms ----------------------------------------------------------------------------------


@mirror(sn.shift)
def shift(
    input: Any,  # noqa: A002  # SciPy's name
    shift: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    """Shift an image; `order` 0 or 1. Derivatives by the image and, with order 1, by the shift."""
    image, moved = as_array(input), as_array(shift)
    moved = np.broadcast_to(moved, (image.ndim,)).reshape((-1,) + (1,) * image.ndim)
    places = np.indices(image.shape) - moved
    return map_coordinates(image, places, output, order, mode, cval, prefilter)


@mirror(sn.affine_transform)
def affine_transform(
    input: Any,  # noqa: A002  # SciPy's name
    matrix: Any,
    offset: Any = 0.0,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    """Return an image at ``matrix @ pixel + offset`` for each pixel of the result; `order` 0 or 1."""
    image, matrix = as_array(input), as_array(matrix)
    n = image.ndim
    if matrix.ndim == 2 and matrix.shape[1] == n + 1:  # homogeneous
        matrix, offset = matrix[:n, :n], matrix[:n, n]
    if matrix.ndim == 1:
        matrix = matrix[:, None] * np.eye(n)
    pixels = np.indices(image.shape if output_shape is None else tuple(output_shape))
    offset = np.broadcast_to(as_array(offset), (n,))
    places = matrix @ pixels.reshape((n, -1)) + offset[:, None]
    places = places.reshape(pixels.shape)
    return map_coordinates(image, places, output, order, mode, cval, prefilter)
