"""NumPy's real-valued ufuncs: a partial derivative per argument (x, y in order).

Values at kinks stand beside the rule. A product of a zero cotangent with an infinite partial
derivative is zero; the backward pass sees to that, no rule needs to.
"""

import math
import operator
from typing import Any

import numpy as np

from funcgrad.broadcasting import sum_of_product
from funcgrad.core import HANDLERS, Primitive, handle, unsupported
from funcgrad.primitives.axes import as_number
from funcgrad.primitives.families import constant, elementwise, product

LOG2, LOG10 = float(np.log(2.0)), float(np.log(10.0))
DEGREES = 180.0 / float(np.pi)

# --- arithmetic ----------------------------------------------------------------------------------


def _by_divisor(ct: Any, ans: Any, y: Any) -> Any:
    return -(ct * ans / y)


def _by_broadcast_divisor(ct: Any, kept: Any, shape: Any) -> Any:
    """Sum first: the divisor is the same in all terms."""
    ans, y = kept
    total = sum_of_product(ct, ans, shape)
    return None if total is None else total / -y


_by_divisor.summed = _by_broadcast_divisor  # type: ignore[attr-defined]

elementwise(np.add, 1, 1)
elementwise(np.subtract, 1, -1)
elementwise(np.multiply, lambda y: y, lambda x: x)
elementwise(np.divide, lambda ct, y: ct / y, _by_divisor)
elementwise(np.negative, -1)
elementwise(np.positive, 1)
elementwise(np.reciprocal, lambda ans: -ans * ans)
elementwise(np.square, lambda x: 2 * x)
elementwise(np.remainder, 1, lambda x, y: -np.floor_divide(x, y))
elementwise(np.fmod, 1, lambda x, y: -np.trunc(x / y))


def _power_dx(x: Any, y: Any) -> Any:
    """Return y x ** (y - 1), and 0 where y = 0 (so that x ** 0 is constant at x = 0 too)."""
    if isinstance(y, (int, float)):
        return y * x if y == 2 else y * x ** (y - 1) if y else x * 0
    zero = (x == 0) & (y == 0)  # not wherever y = 0: the derivative by y in turn is 1 / x there
    return np.where(zero, 0, y * x ** np.where(zero, 1, y - 1))


def _power_dy(ans: Any, x: Any) -> Any:
    """Return x ** y log x, and 0 where x = 0, its limit for y > 0."""
    zero = x == 0
    return np.where(zero, 0, ans * np.log(np.where(zero, 1, x)))


elementwise(np.power, _power_dx, _power_dy)
_pow = elementwise(operator.pow, _power_dx, _power_dy, name="pow")
_pow.promotes = True
handle("pow")(_pow)
elementwise(np.float_power, _power_dx, _power_dy)

# --- exponentials and logarithms -----------------------------------------------------------------

elementwise(np.exp, lambda ans: ans)
elementwise(np.exp2, lambda ans: ans * LOG2)
elementwise(np.expm1, lambda ans: ans + 1)
elementwise(np.log, lambda ct, x: ct / x)
elementwise(np.log2, lambda ct, x: ct / (x * LOG2))
elementwise(np.log10, lambda ct, x: ct / (x * LOG10))
elementwise(np.log1p, lambda ct, x: ct / (1 + x))
elementwise(np.sqrt, lambda ct, ans: ct / (2 * ans))
elementwise(np.cbrt, lambda ct, ans: ct / (3 * ans * ans))

# The root with derivative 0 at 0, inside norms and standard deviations: the subgradient of least norm.
root = elementwise(
    np.sqrt.__call__,
    lambda ct, ans: np.where(ans == 0, 0, ct / np.where(ans == 0, 1, 2 * ans)),
    name="root",
)


def _share(x: Any, y: Any) -> Any:
    """Return e^x / (e^x + e^y); 1/2 for equal infinite arguments, whose difference is NaN."""
    same = (x == y) & np.isinf(x)
    return np.where(same, 0.5, 1 / (1 + np.exp(np.where(same, 0, y - x))))


elementwise(np.logaddexp, lambda x, y: _share(x, y), lambda x, y: _share(y, x))
elementwise(
    np.logaddexp2,
    lambda x, y: _share(x * LOG2, y * LOG2),
    lambda x, y: _share(y * LOG2, x * LOG2),
)

# --- trigonometry --------------------------------------------------------------------------------

elementwise(np.sin, lambda x: np.cos(x))
elementwise(np.cos, lambda x: -np.sin(x))
elementwise(np.tan, lambda ans: 1 + ans * ans)
# sqrt(1 - x) sqrt(1 + x) is right on the branch cuts of complex x too, sqrt(1 - x x) is not
elementwise(np.arcsin, lambda ct, x: ct / (np.sqrt(1 - x) * np.sqrt(1 + x)))
elementwise(np.arccos, lambda ct, x: -ct / (np.sqrt(1 - x) * np.sqrt(1 + x)))
elementwise(np.arctan, lambda ct, x: ct / (1 + x * x))
elementwise(np.sinh, lambda x: np.cosh(x))
elementwise(np.cosh, lambda x: np.sinh(x))
elementwise(np.tanh, lambda ct, ans: ct - ct * (ans * ans))  # quicker than with 1 - ans * ans
elementwise(np.arcsinh, lambda ct, x: ct / np.sqrt(1 + x * x))
elementwise(np.arccosh, lambda ct, x: ct / (np.sqrt(x - 1) * np.sqrt(x + 1)))
elementwise(np.arctanh, lambda ct, x: ct / (1 - x * x))
for _degrees in (np.degrees, np.rad2deg):
    elementwise(_degrees, DEGREES)
for _radians in (np.radians, np.deg2rad):
    elementwise(_radians, 1 / DEGREES)


def _over_square(numerator: Any, x: Any, y: Any) -> Any:
    """Return numerator / (x^2 + y^2), and 0 at the origin."""
    square = x * x + y * y
    return np.where(square == 0, 0, numerator / np.where(square == 0, 1, square))


elementwise(np.arctan2, lambda x, y: _over_square(y, x, y), lambda x, y: _over_square(-x, x, y))


def over_length(x: Any, ans: Any) -> Any:
    """Return x / ans, and 0 where ans = 0 (the subgradient of least norm)."""
    return np.where(ans == 0, 0, x / np.where(ans == 0, 1, ans))


elementwise(np.hypot, lambda x, ans: over_length(x, ans), lambda y, ans: over_length(y, ans))


def conj(x: Any) -> Any:
    """Return the conjugate; a real array itself."""
    return x.conj() if x.dtype.kind == "c" else x


# --- absolute values, signs, extremes ------------------------------------------------------------

# For complex x the partial derivative is conj(x) / |x|: the pairing is Re(ct dx). 0 at 0.
elementwise(np.absolute, lambda x: np.sign(x).conj())
elementwise(np.fabs, lambda x: np.sign(x))
elementwise(np.conjugate, lambda ct: ct.conj())
elementwise(np.copysign, lambda x, y: np.sign(x) * np.copysign(1, y), None)


def _larger(ct: Any, x: Any, y: Any) -> Any:
    """Hand `ct` to the larger argument; equal arguments share it evenly."""
    weights = (x > y).astype(ct.dtype)
    ties = np.equal(x, y)  # == of a number and a Python complex gives a Python bool
    if type(ties) is not np.ndarray or ties.size < 1000 or ties.any():  # a look saves two passes
        weights = weights + ties.astype(ct.dtype) / 2
    return ct * weights


def _larger_number(ct: Any, x: Any, y: Any) -> Any:
    """Likewise, but a number is larger than NaN."""
    return np.where(np.isnan(y) & ~np.isnan(x), ct, _larger(ct, x, y))


_maximum = elementwise(np.maximum, _larger, lambda ct, x, y: _larger(ct, y, x))
_minimum = elementwise(np.minimum, lambda ct, x, y: _larger(ct, y, x), _larger)


def _with_zero(ufunc: np.ufunc) -> Any:
    """Compare a large array with the number 0 as with an array of zeros: NumPy takes half the time or less."""

    def compare(x: Any, y: Any) -> Any:
        zero = (type(y) is int or type(y) is float) and y == 0 and math.copysign(1, y) > 0
        if zero and type(x) is np.ndarray and x.size > 1000 and x.dtype.char in "fd":
            if x.flags.forc:
                zeros = np.zeros(x.shape, x.dtype, "F" if x.flags.fnc else "C")
                return ufunc(x, zeros, out=zeros)
        return ufunc(x, y)

    return compare


_maximum.fun, _minimum.fun = _with_zero(np.maximum), _with_zero(np.minimum)


def _condense(primitive: Primitive, wins: Any) -> None:
    """Let a comparison with a scalar keep who won, a byte per entry, unless there are ties."""

    def condense(x: Any, scalar: Any, kept: Any) -> Any:
        return kept if np.any(x == scalar) else wins(x, scalar)

    def by_mask(pull: Any) -> Any:
        def condensed(ct: Any, kept: Any) -> Any:
            return pull(ct, kept) if type(kept) is tuple else product(ct, kept.astype(ct.dtype))

        condensed.elementwise = True  # type: ignore[attr-defined]
        return condensed

    primitive.condense = condense
    primitive.pulls = tuple([by_mask(pull) for pull in primitive.pulls])


_condense(_maximum, np.greater)
_condense(_minimum, np.less)
elementwise(np.fmax, _larger_number, lambda ct, x, y: _larger_number(ct, y, x))
elementwise(
    np.fmin,
    lambda ct, x, y: _larger_number(ct, -x, -y),
    lambda ct, x, y: _larger_number(ct, -y, -x),
)

# --- the representation of a number --------------------------------------------------------------

elementwise(np.ldexp, lambda ct, y: np.ldexp(ct, y), None)
elementwise(np.nextafter, 1, None)
_exponent = constant(lambda x: np.frexp(x)[1], name="frexp_exponent", elementwise=True)
_mantissa = elementwise(
    lambda x: np.frexp(x)[0],
    lambda ct, x: np.ldexp(ct, -np.frexp(x)[1]),
    name="frexp_mantissa",
)
_fraction = elementwise(lambda x: np.modf(x)[0], 1, name="modf_fraction")


@handle(np.frexp)
def frexp(x: Any) -> Any:
    """Return the mantissa x 2 ** -exponent and the exponent, a constant."""
    return _mantissa(x), _exponent(x)


@handle(np.modf)
def modf(x: Any) -> Any:
    """Return the fractional part, with derivative one, and the integral part, a constant."""
    return _fraction(x), HANDLERS[np.trunc](x)


@handle(np.divmod)
def divmod(x: Any, y: Any) -> Any:
    """Return the floored quotient, a constant, and the remainder."""
    return HANDLERS[np.floor_divide](x, y), HANDLERS[np.remainder](x, y)


# --- piecewise constant --------------------------------------------------------------------------

for _fun in (
    *[np.floor, np.ceil, np.trunc, np.rint, np.spacing, np.heaviside, np.floor_divide],
    *[np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal],
    *[np.isnan, np.isinf, np.isfinite, np.isnat, np.signbit],
    *[np.logical_and, np.logical_or, np.logical_xor, np.logical_not],
    *[np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift],
    *[np.gcd, np.lcm, np.bitwise_count],
):
    constant(_fun)

_round = constant(np.round, batch=lambda args, mapped, settings: np.round(*args, **settings))


@handle(np.round, np.around)
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Round to a number of decimals."""
    if out is not None:
        unsupported("np.round with out=", "use the returned value")
    return _round(a, decimals=decimals)


_sign = constant(np.sign)


@handle(np.sign)
def sign(x: Any) -> Any:
    """Return the sign, a constant; of a complex number x / abs(x), which is none."""
    if x.dtype.kind != "c":
        return _sign(x)
    length = np.absolute(x)
    return as_number(np.where(length == 0, 0, x / np.where(length == 0, 1, length)))
