"""`scipy.interpolate`: piecewise polynomials, splines, and linear interpolation on grids.

An interpolant of plain data is SciPy's own object, which here takes traced places, too. One of traced data
has the methods to evaluate, differentiate and integrate it. Which piece holds a place is a constant.
"""

import importlib

from funcgrad.scipy.interpolate.grids import RegularGridInterpolator, interp1d, interpn
from funcgrad.scipy.interpolate.piecewise import Piecewise, PPoly
from funcgrad.scipy.interpolate.splines import CubicHermiteSpline, CubicSpline, PchipInterpolator
from funcgrad.scipy.mirrors import fallback

__getattr__ = fallback(importlib.import_module("scipy.interpolate"))

__all__ = [
    "CubicHermiteSpline",
    "CubicSpline",
    "PPoly",
    "PchipInterpolator",
    "Piecewise",
    "RegularGridInterpolator",
    "interp1d",
    "interpn",
]
