"""Functions of NumPy that are no ufuncs: sinc, i0 and their kin."""

import math
from typing import Any

import numpy as np

from funcgrad.core import Primitive, Tracer, as_array, handle, is_number
from funcgrad.operators import replace
from funcgrad.primitives.families import primitive
from funcgrad.primitives.plain import settled
from funcgrad.primitives.sequences import are_numbers


def _sinc_derivative(x: Any, order: int) -> Any:
    """Return a derivative of sin(pi x) / (pi x): near 0 by its series, elsewhere by recursion."""
    if order == 0:
        return np.sinc(x)
    y = np.pi * x
    near = np.abs(y) < 3 + order / 2
    small, large = np.where(near, y, 0), np.where(near, 1, y)
    series = sum(
        (-1) ** m * small ** (2 * m - order) / ((2 * m + 1) * math.factorial(2 * m - order))
        for m in range((order + 1) // 2, (order + 1) // 2 + 24)
    )
    far = np.sin(large) / large
    for k in range(1, order + 1):  # y f^(k) = sin^(k)(y) - k f^(k - 1)
        far = (_sine(large, k) - k * far) / large
    return np.where(near, series, far).astype(x.dtype) * x.dtype.type(np.pi**order)


def _sine(y: Any, order: int) -> Any:
    """Return a derivative of the sine."""
    return (np.sin(y), np.cos(y), -np.sin(y), -np.cos(y))[order % 4]


_NODES = np.cos((np.arange(128) + 0.5) * np.pi / 128)


def _i0_derivative(x: Any, order: int) -> Any:
    """Return a derivative of I0(x), the mean of exp(x cos(t)) over t, by the midpoint rule.

    The rule converges geometrically for periodic functions: 128 points are enough for every x
    whose I0(x) is a float.
    """
    if order == 0:
        return np.i0(x)
    total = np.exp(x[..., None] * _NODES) @ _NODES**order / len(_NODES)
    return np.asarray(total).astype(x.dtype)


def _with_derivatives(name: str, fun: Any) -> Primitive:
    """Declare a function that computes its own derivatives of every order."""
    new: Primitive = primitive(
        name,
        fun,
        vjp=(lambda ct, x, order: ct * new(x, order=order + 1),),
        jvp=(lambda t, x, order: t * new(x, order=order + 1),),
        batch=lambda args, mapped, settings: new(*args, **settings),
    )
    return new


_sinc = _with_derivatives("sinc", _sinc_derivative)
_i0 = _with_derivatives("i0", _i0_derivative)


@handle(np.sinc)
def sinc(x: Any) -> Any:
    """Return sin(pi x) / (pi x), smooth at 0."""
    return _sinc(x, order=0)


@handle(np.i0)
def i0(x: Any) -> Any:
    """Return the modified Bessel function of the first kind and order 0."""
    if x.dtype.kind == "c":
        raise TypeError("i0 not supported for complex values")
    return _i0(x, order=0)


_nan_to_num: Primitive = primitive(
    "nan_to_num",
    lambda x, **numbers: np.nan_to_num(x, **numbers),
    vjp=(lambda ct, x: np.where(np.isfinite(x), ct, 0),),
    jvp=(lambda t, x: np.where(np.isfinite(x), t, 0),),
    batch=lambda args, mapped, settings: _nan_to_num(*args, **settings),
)


@handle(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Replace NaN and infinities by numbers, whose derivative is zero."""
    if not copy and isinstance(x, Tracer) and not is_number(x):
        return replace(x, nan_to_num(x, True, nan, posinf, neginf))
    x = as_array(x)
    if x.dtype.kind == "c":
        return nan_to_num(x.real, True, nan, posinf, neginf) + 1j * nan_to_num(
            x.imag, True, nan, posinf, neginf
        )
    if x.dtype.kind != "f":
        return x
    if are_numbers(nan, posinf, neginf):
        return _nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)
    limits = np.finfo(x.dtype)
    posinf = limits.max if posinf is None else posinf
    neginf = limits.min if neginf is None else neginf
    x = np.where(np.isnan(x), nan, x)
    return np.where(x == np.inf, posinf, np.where(x == -np.inf, neginf, x))


@handle(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """Return the real part if all imaginary parts are close to zero."""
    if a.dtype.kind != "c":
        return a
    limit = tol * np.finfo(a.dtype).eps if tol > 1 else tol
    return a.real if np.all(np.abs(settled(a).imag) < limit) else a
