"""`scipy.optimize` over pytrees, with the derivatives filled in, and with solutions that have derivatives.

The solvers are SciPy's. Of traced `args` the solution is differentiated by the implicit function theorem
(`funcgrad.implicit`), in every mode and order.
"""

import importlib

from funcgrad.scipy.mirrors import fallback
from funcgrad.scipy.optimize.fitting import curve_fit, least_squares
from funcgrad.scipy.optimize.minimization import minimize
from funcgrad.scipy.optimize.roots import root
from funcgrad.scipy.optimize.scalars import (
    bisect,
    brenth,
    brentq,
    fixed_point,
    minimize_scalar,
    newton,
    ridder,
    root_scalar,
    toms748,
)

__getattr__ = fallback(importlib.import_module("scipy.optimize"))

__all__ = [
    "bisect",
    "brenth",
    "brentq",
    "curve_fit",
    "fixed_point",
    "least_squares",
    "minimize",
    "minimize_scalar",
    "newton",
    "ridder",
    "root",
    "root_scalar",
    "toms748",
]
