"""`scipy.integrate`: sums over samples, integrals of functions, ordinary differential equations."""

import importlib

from funcgrad.scipy.integrate.equations import odeint, solve_ivp
from funcgrad.scipy.integrate.quadrature import fixed_quad, quad, quad_vec
from funcgrad.scipy.integrate.samples import (
    cumulative_simpson,
    cumulative_trapezoid,
    simpson,
    trapezoid,
)
from funcgrad.scipy.mirrors import fallback

__getattr__ = fallback(importlib.import_module("scipy.integrate"))

__all__ = [
    "cumulative_simpson",
    "cumulative_trapezoid",
    "fixed_quad",
    "odeint",
    "quad",
    "quad_vec",
    "simpson",
    "solve_ivp",
    "trapezoid",
]
