"""`scipy.ndimage`: linear filters, and interpolation of images by their nearest neighbours or linearly."""

import importlib

from funcgrad.scipy.mirrors import fallback
from funcgrad.scipy.ndimage.blurs import (
    gaussian_filter,
    gaussian_filter1d,
    laplace,
    prewitt,
    sobel,
    uniform_filter,
    uniform_filter1d,
)
from funcgrad.scipy.ndimage.filters import convolve, convolve1d, correlate, correlate1d
from funcgrad.scipy.ndimage.images import affine_transform, map_coordinates, shift

__getattr__ = fallback(importlib.import_module("scipy.ndimage"))

__all__ = [
    "affine_transform",
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "laplace",
    "map_coordinates",
    "prewitt",
    "shift",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
]
