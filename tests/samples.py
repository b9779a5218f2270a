"""The samples: at least one call of every NumPy function that has a rule.

`tests/primitives/test_rules.py` checks each row with every transform, and fails for a function
without a row. A new primitive needs one row here: the call as a user writes it, at arguments inside
its smooth domain, away from ties and kinks. Float arrays are differentiated, all arrays are mapped.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from funcgrad.core import dotted_name
from funcgrad.primitives import REGISTRY
from tests import (
    samples_fft,
    samples_linalg,
    samples_numpy,
    samples_special,
    samples_updates,
)

GOLDEN = (5**0.5 - 1) / 2
NUMPY = tuple(int(n) for n in np.__version__.split(".")[:2])


@dataclass(frozen=True, eq=False)
class Sample:
    """One call, `fun(*args, **settings)`, and what to expect of it."""

    fun: Callable[..., Any]
    args: tuple[Any, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    of: Any = None  # the key in the registry, where it is not `fun` itself
    complex: bool = False  # holds for complex arguments too
    exact: bool = True  # equal to NumPy's result bit by bit, not just to rounding
    constant: bool = False  # piecewise constant: a plain result
    raises: bool = False  # refused for traced arguments
    once: bool = False  # has first derivatives only
    vmap: bool = True  # the shape of the result does not depend on the data
    since: tuple[int, int] = (2, 0)  # the first NumPy that takes these arguments

    def __call__(self, *args: Any) -> Any:
        return self.fun(*args, **self.settings)

    @property
    def key(self) -> Any:
        return self.fun if self.of is None else self.of

    @property
    def name(self) -> str:
        """Return a readable test id: np.sum(axis=0)."""
        shown = ", ".join([f"{name}={_shown(value)}" for name, value in self.settings.items()])
        return f"{name_of(self.key)}({shown})" if shown else name_of(self.key)


def name_of(key: Any) -> str:
    """Name an entry of the registry."""
    if isinstance(key, str):
        return key
    if isinstance(key, tuple):
        return f"{name_of(key[0])}.{key[1]}"
    return dotted_name(key)


def _shown(value: Any) -> str:
    if isinstance(value, type):
        return value.__name__
    return f"array{value.shape}" if isinstance(value, np.ndarray) else repr(value)


# --- arguments -----------------------------------------------------------------------------------


def spread(shape: tuple[int, ...], low: float, high: float, start: int = 1) -> np.ndarray:
    """Return distinct numbers, evenly spread over an interval in no particular order."""
    n = int(np.prod(shape))
    return low + (high - low) * (np.arange(start, start + n) * GOLDEN % 1).reshape(shape)


def reals(*shape: int, start: int = 1) -> np.ndarray:
    return spread(shape, -1.93, 1.97, start)


def positive(*shape: int, start: int = 1) -> np.ndarray:
    return spread(shape, 0.42, 2.13, start)


def unit(*shape: int, start: int = 1) -> np.ndarray:
    """Return numbers in (-0.85, 0.83)."""
    return spread(shape, -0.85, 0.83, start)


R, S = reals(3, 4), reals(3, 4, start=40)
P = positive(3, 4)
U = unit(3, 4)
ABOVE_ONE = 1 + P
VECTOR, OTHER = reals(4), reals(4, start=30)
LONG = reals(7)
CUBE, CUBE_2 = reals(2, 3, 4), reals(2, 3, 4, start=50)
SCALAR, SCALAR_2 = np.array(0.7), np.array(-1.3)
EMPTY, NO_ROWS, NO_COLUMNS = np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0))
ONES_AROUND = reals(1, 3, 1)

MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
ROW_MASK = np.array([True, False, True])
COLUMN_MASK = np.array([False, True, True, False])
BITS, BITS_2 = np.array([5, 3, 12, 7]), np.array([1, 0, 2, 3])
ROWS, COLUMNS = np.array([0, 2, 2]), np.array([3, 1, 1])
TABLE = np.array([[0, 2], [1, 1]])

# --- elementwise functions -----------------------------------------------------------------------

UFUNCS = [
    *[
        Sample(fun, (R,), complex=True)
        for fun in (np.negative, np.positive, np.square, np.absolute, np.conjugate)
    ],
    *[Sample(fun, (R,), complex=True) for fun in (np.exp, np.exp2, np.expm1, np.sin, np.cos)],
    *[Sample(fun, (R,), complex=True) for fun in (np.sinh, np.cosh, np.tanh, np.arcsinh)],
    *[Sample(fun, (P,), complex=True) for fun in (np.log, np.log2, np.log10, np.log1p, np.sqrt)],
    *[Sample(fun, (U,), complex=True) for fun in (np.tan, np.arcsin, np.arccos, np.arctan)],
    Sample(np.arctanh, (U,), complex=True),
    Sample(np.arccosh, (ABOVE_ONE,), complex=True),
    Sample(np.reciprocal, (P,), complex=True),
    *[Sample(fun, (R,)) for fun in (np.cbrt, np.fabs, np.degrees, np.rad2deg)],
    *[Sample(fun, (R,)) for fun in (np.radians, np.deg2rad, np.frexp, np.modf)],
    *[Sample(fun, (R, S), complex=True) for fun in (np.add, np.subtract, np.multiply)],
    Sample(np.divide, (R, P), complex=True),
    *[Sample(fun, (P, R), complex=True) for fun in (np.power, np.float_power)],
    *[Sample(fun, (R, S), complex=True) for fun in (np.maximum, np.minimum, np.fmax, np.fmin)],
    *[Sample(fun, (R, S)) for fun in (np.logaddexp, np.logaddexp2, np.arctan2, np.hypot)],
    *[Sample(fun, (R, S)) for fun in (np.copysign, np.nextafter)],
    *[Sample(fun, (R, P)) for fun in (np.remainder, np.fmod, np.divmod)],
    Sample(np.ldexp, (R, np.array([1, -2, 0, 3]))),
    # A negative base with whole exponents; Python scalars on either side.
    Sample(np.power, (R, 3)),
    Sample(np.power, (R, -2.0), complex=True),
    Sample(np.power, (R, np.array([2, 1, 3, 0]))),
    Sample(np.power, (2.5, R), complex=True),
    Sample(lambda x: x**3, (R,), of="pow", complex=True),
    Sample(lambda x: x**-1, (P,), of="pow", complex=True),
    Sample(lambda x: 1.0 * x**0, (R,), of="pow", complex=True),
    Sample(np.square, (P,), {"dtype": np.float64}),
    # The operators.
    Sample(lambda x, y: x + y, (R, S), of=np.add, complex=True),
    Sample(lambda x, y: x - y, (R, S), of=np.subtract, complex=True),
    Sample(lambda x, y: x * y, (R, S), of=np.multiply, complex=True),
    Sample(lambda x, y: x / y, (R, P), of=np.divide, complex=True),
    Sample(lambda x, y: x**y, (P, R), of="pow", complex=True),
    Sample(lambda x, y: x % y, (R, P), of=np.remainder),
    Sample(divmod, (R, P), of=np.divmod),
    Sample(lambda x: 2 + x, (R,), of=np.add, complex=True),
    Sample(lambda x: 2 - x, (R,), of=np.subtract, complex=True),
    Sample(lambda x: 2 * x, (R,), of=np.multiply, complex=True),
    Sample(lambda x: 2 / x, (P,), of=np.divide, complex=True),
    Sample(lambda x: 2.0**x, (R,), of="pow", complex=True),
    Sample(lambda x: x**2, (R,), of="pow", complex=True),
    Sample(lambda x: x**0.5, (P,), of="pow", complex=True),
    Sample(lambda x: abs(-x), (R,), of=np.absolute, complex=True),
    Sample(lambda x: +x, (R,), of=np.positive, complex=True),
    # Constants.
    *[Sample(fun, (R,), constant=True) for fun in (np.floor, np.ceil, np.trunc, np.rint, np.sign)],
    *[Sample(fun, (R,), constant=True) for fun in (np.isnan, np.isinf, np.isfinite, np.signbit)],
    *[Sample(fun, (R,), constant=True) for fun in (np.spacing, np.logical_not)],
    *[Sample(fun, (R, S), constant=True) for fun in (np.less, np.less_equal, np.greater)],
    *[Sample(fun, (R, S), constant=True) for fun in (np.greater_equal, np.equal, np.not_equal)],
    *[Sample(fun, (R, S), constant=True) for fun in (np.logical_and, np.logical_or)],
    Sample(np.logical_xor, (R, S), constant=True),
    Sample(np.heaviside, (R, S), constant=True),
    Sample(np.floor_divide, (R, P), constant=True),
    Sample(lambda x, y: (x < y) & (x > 0), (R, S), of=np.less, constant=True),
    Sample(lambda x: x // 0.3, (R,), of=np.floor_divide, constant=True),
    Sample(np.isnat, (np.array(["2024-01-01", "NaT"], "datetime64[D]"),), constant=True),
    *[Sample(fun, (BITS,), constant=True) for fun in (np.invert, np.bitwise_count)],
    *[Sample(fun, (BITS, BITS_2), constant=True) for fun in (np.bitwise_and, np.bitwise_or)],
    *[Sample(fun, (BITS, BITS_2), constant=True) for fun in (np.bitwise_xor, np.gcd, np.lcm)],
    *[Sample(fun, (BITS, BITS_2), constant=True) for fun in (np.left_shift, np.right_shift)],
    *[Sample(fun, (R,), constant=True) for fun in (np.round, np.around)],
    Sample(np.round, (R,), {"decimals": 1}, constant=True),
    Sample(lambda x: x.round(2), (R,), of=np.round, constant=True),
]

# --- reductions ----------------------------------------------------------------------------------

EVERY_AXIS = [
    {},
    {"axis": 0},
    {"axis": -1},
    {"axis": (0, 2)},
    {"axis": (-1, 0), "keepdims": True},
    {"axis": None, "keepdims": True},
    {"axis": ()},
]

REDUCTIONS = [
    *[Sample(np.sum, (CUBE,), axis, complex=True, exact=False) for axis in EVERY_AXIS],
    *[Sample(np.prod, (CUBE,), axis, complex=True, exact=False) for axis in EVERY_AXIS],
    *[Sample(np.mean, (CUBE,), axis, complex=True, exact=False) for axis in EVERY_AXIS],
    *[Sample(fun, (CUBE,), axis) for fun in (np.max, np.min) for axis in EVERY_AXIS],
    *[
        Sample(fun, (CUBE,), axis, complex=True, exact=False)
        for fun in (np.var, np.std)
        for axis in EVERY_AXIS[:-1]
    ],
    *[Sample(fun, (R,), axis) for fun in (np.amax, np.amin) for axis in EVERY_AXIS[:3]],
    # Every option.
    *[
        Sample(fun, (CUBE,), {"where": MASK, **axis}, complex=True, exact=False)
        for fun in (np.sum, np.prod, np.mean, np.var, np.std)
        for axis in ({}, {"axis": -1}, {"axis": (1, 2), "keepdims": True})
    ],
    *[
        Sample(fun, (R,), {"initial": 1.5, **options}, exact=False)
        for fun in (np.sum, np.prod)
        for options in ({}, {"axis": 0}, {"where": MASK, "axis": 1, "keepdims": True})
    ],
    *[
        Sample(fun, (R,), {"initial": initial, **options})
        for fun, initial in ((np.max, 0.01), (np.min, 0.02))
        for options in ({}, {"axis": 0}, {"where": MASK, "axis": 1, "keepdims": True})
    ],
    *[
        Sample(fun, (R,), {"dtype": dtype, "axis": 0}, exact=False)
        for fun in (np.sum, np.prod, np.mean)
        for dtype in (np.float64, np.complex128)
    ],
    *[Sample(fun, (R,), {"dtype": np.float64}, exact=False) for fun in (np.var, np.std)],
    *[
        Sample(fun, (R,), {"axis": 1, **options}, complex=True, exact=False)
        for fun in (np.var, np.std)
        for options in ({"ddof": 1}, {"correction": 1.5}, {"ddof": 1, "where": MASK})
    ],
    *[
        Sample(
            lambda x, fun=fun: fun(x, 1, mean=np.mean(x, 1, keepdims=True)),
            (R,),
            of=fun,
            exact=False,
        )
        for fun in (np.var, np.std)
    ],
    *[
        Sample(lambda x, m, fun=fun: fun(x, 1, mean=m), (R, reals(3, 1)), of=fun, exact=False)
        for fun in (np.var, np.std)
    ],
    # A mask of its own for each example.
    *[
        Sample(lambda x, m, fun=fun: fun(x, axis=0, where=m), (R, MASK), of=fun, exact=False)
        for fun in (np.sum, np.prod, np.mean, np.var, np.std)
    ],
    *[
        Sample(lambda x, m, fun=fun: fun(x, axis=0, where=m, initial=0.1), (R, MASK), of=fun)
        for fun in (np.max, np.min)
    ],
    *[
        Sample(lambda x, m, fun=fun: fun(x, 1, where=m), (R, MASK), of=fun, constant=True)
        for fun in (np.any, np.all)
    ],
    Sample(lambda x: np.mean(x, where=x > 0), (R,), of=np.mean, exact=False),
    Sample(lambda x: np.sum(x, initial=x[0, 0]), (R,), of=np.sum, exact=False),
    Sample(lambda x: np.prod(x, axis=1, initial=x[0, 0]), (R,), of=np.prod, exact=False),
    Sample(lambda x: np.max(x, axis=0, initial=0.3 * x[0, 0]), (R,), of=np.max),
    # Scalars, empty arrays, the methods and the names of the arguments.
    *[
        Sample(fun, (SCALAR,), exact=False)
        for fun in (np.sum, np.prod, np.mean, np.max, np.min, np.var)
    ],
    *[Sample(fun, (x,)) for fun in (np.sum, np.prod) for x in (EMPTY, NO_ROWS, NO_COLUMNS)],
    *[
        Sample(fun, (NO_ROWS,), {"axis": axis})
        for fun in (np.sum, np.prod)
        for axis in (0, 1, (0, 1))
    ],
    *[Sample(fun, (NO_COLUMNS,), {"axis": 0}) for fun in (np.max, np.min, np.mean, np.var)],
    *[Sample(fun, (NO_ROWS,), {"axis": 0, "initial": 2.0}) for fun in (np.max, np.min)],
    *[
        Sample(
            lambda x, name=name: getattr(x, name)(axis=0), (R,), of=getattr(np, name), exact=False
        )
        for name in ("sum", "prod", "mean", "max", "min", "var", "std")
    ],
    Sample(lambda x: np.sum(a=x, axis=1), (R,), of=np.sum, exact=False),
    *[
        Sample(
            lambda x, ufunc=ufunc, options=options: ufunc.reduce(x, **options),
            (CUBE,),
            of=(ufunc, "reduce"),
            exact=False,
        )
        for ufunc in (np.add, np.multiply, np.maximum, np.minimum)
        for options in ({}, {"axis": (0, 1)}, {"axis": None}, {"axis": -1, "keepdims": True})
    ],
    Sample(
        lambda x: np.add.reduce(x, axis=0, initial=2.0, where=MASK),
        (R,),
        of=(np.add, "reduce"),
        exact=False,
    ),
    *[Sample(fun, (R, 0, None, True), constant=True) for fun in (np.any, np.all)],
    *[Sample(fun, (R, 0, None, True)) for fun in (np.max, np.min)],
    Sample(np.sum, (R, 0, np.float64, None, True, 2.0), exact=False),
    # Positions and truth values.
    *[
        Sample(fun, (CUBE,), options, constant=True)
        for fun in (np.argmax, np.argmin)
        for options in ({}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"keepdims": True})
    ],
    *[
        Sample(fun, (np.where(CUBE > 1.5, 0, CUBE),), options, constant=True)
        for fun in (np.any, np.all, np.count_nonzero)
        for options in EVERY_AXIS[:-1]
    ],
    *[Sample(fun, (R,), {"where": MASK, "axis": 0}, constant=True) for fun in (np.any, np.all)],
    *[
        Sample(
            lambda x, ufunc=ufunc: ufunc.reduce(x, axis=0),
            (R,),
            of=(ufunc, "reduce"),
            constant=True,
        )
        for ufunc in (np.logical_or, np.logical_and)
    ],
    # The root inside np.std and the like, with derivative 0 at 0.
    Sample(REGISTRY["root"], (P,), of="root"),
]

# --- shapes --------------------------------------------------------------------------------------

SHAPING = [
    *[
        Sample(np.reshape, (CUBE, shape), complex=True)
        for shape in ((4, 6), (6, -1), -1, (2, 1, 12))
    ],
    Sample(np.reshape, (SCALAR, (1, 1))),
    Sample(np.reshape, (NO_ROWS, (3, 0))),
    Sample(np.reshape, (NO_ROWS, (-1, 3))),
    Sample(np.reshape, (CUBE, (4, 6)), {"order": "F"}),
    Sample(np.reshape, (CUBE,), {"shape": (6, 4), "copy": True}, since=(2, 1)),
    Sample(lambda x: x.reshape(4, -1, order="F"), (CUBE,), of=np.reshape),
    Sample(lambda x: x.reshape((6, 4)), (CUBE,), of=np.reshape),
    *[Sample(np.ravel, (CUBE,), {"order": order}) for order in "CF"],
    Sample(lambda x: x.ravel("F"), (R,), of=np.ravel),
    Sample(lambda x: x.flatten(), (R,), of=np.ravel),
    Sample(lambda x: x.flatten("F"), (R,), of=np.ravel),
    Sample(np.transpose, (CUBE,), complex=True),
    Sample(np.transpose, (CUBE, (1, 2, 0))),
    Sample(np.transpose, (CUBE,), {"axes": (-1, 0, -2)}),
    Sample(np.transpose, (SCALAR,)),
    Sample(lambda x: x.T, (CUBE,), of=np.transpose),
    Sample(lambda x: x.transpose(2, 0, 1), (CUBE,), of=np.transpose),
    Sample(lambda x: x.transpose((2, 0, 1)), (CUBE,), of=np.transpose),
    Sample(np.matrix_transpose, (CUBE,)),
    Sample(np.linalg.matrix_transpose, (R,)),
    Sample(lambda x: x.mT, (CUBE,), of=np.matrix_transpose),
    Sample(np.swapaxes, (CUBE, 0, -1)),
    Sample(np.swapaxes, (CUBE,), {"axis1": 1, "axis2": 1}),
    Sample(lambda x: x.swapaxes(0, 1), (CUBE,), of=np.swapaxes),
    Sample(np.moveaxis, (CUBE, 0, -1)),
    Sample(np.moveaxis, (CUBE, (0, 2), (1, 0))),
    Sample(np.moveaxis, (CUBE,), {"source": [2], "destination": [0]}),
    *[
        Sample(np.rollaxis, (CUBE, axis, start))
        for axis, start in ((2, 0), (0, 3), (1, -1), (1, 1))
    ],
    *[Sample(np.expand_dims, (R, axis)) for axis in (0, -1, (0, 3), [1])],
    Sample(np.expand_dims, (SCALAR, 0)),
    *[Sample(np.squeeze, (ONES_AROUND,), {"axis": axis}) for axis in (None, 0, -1, (0, 2))],
    Sample(lambda x: x.squeeze(0), (ONES_AROUND,), of=np.squeeze),
    *[
        Sample(fun, (x,))
        for fun in (np.atleast_1d, np.atleast_2d, np.atleast_3d)
        for x in (SCALAR, VECTOR, R, CUBE)
    ],
    *[Sample(fun, (SCALAR, VECTOR)) for fun in (np.atleast_1d, np.atleast_2d, np.atleast_3d)],
    # Repeating.
    *[Sample(np.broadcast_to, (R, shape), complex=True) for shape in ((3, 4), (2, 3, 4))],
    Sample(np.broadcast_to, (ONES_AROUND, (2, 2, 3, 4))),
    Sample(np.broadcast_to, (SCALAR, 3)),
    Sample(np.broadcast_to, (np.ones((1, 3)), (0, 3))),
    Sample(np.broadcast_arrays, (reals(3, 1), VECTOR, SCALAR)),
    *[Sample(np.repeat, (R, 2), {"axis": axis}) for axis in (None, 0, -1)],
    Sample(np.repeat, (R, [1, 0, 3]), {"axis": 0}),
    Sample(np.repeat, (R,), {"repeats": np.array([2]), "axis": 1}),
    Sample(np.repeat, (SCALAR, 3)),
    Sample(np.repeat, (VECTOR, 0)),
    Sample(np.repeat, (VECTOR, [1, 0, 2, 1])),
    Sample(lambda x: x.repeat(2, axis=1), (R,), of=np.repeat),
    *[Sample(np.tile, (R, reps)) for reps in (2, (2, 1), (2, 1, 3), (1, 0))],
    Sample(np.tile, (CUBE, (2,))),
    Sample(np.tile, (SCALAR, 3)),
    *[Sample(np.flip, (CUBE,), {"axis": axis}) for axis in (None, 0, -1, (0, 2))],
    *[Sample(fun, (CUBE,)) for fun in (np.flipud, np.fliplr)],
    *[
        Sample(np.roll, (CUBE, shift), {"axis": axis})
        for shift, axis in ((2, None), (-1, 1), (5, -1))
    ],
    Sample(np.roll, (CUBE, (1, -2)), {"axis": (0, 2)}),
    Sample(np.roll, (CUBE, 1), {"axis": (0, 1)}),
    Sample(np.roll, (CUBE, (1, 2)), {"axis": 2}),
    Sample(np.roll, (R, (1, 2)), {"axis": (1, 1)}),
    # Joining.
    *[
        Sample(
            lambda x, y, axis=axis: np.concatenate([x, y], axis),
            (R, S),
            of=np.concatenate,
            complex=True,
        )
        for axis in (0, 1, -1, None)
    ],
    Sample(
        lambda x, y: np.concatenate((x, np.ones((1, 4)), y)), (R, reals(2, 4)), of=np.concatenate
    ),
    Sample(lambda x, y: np.concatenate([x, y, x]), (NO_ROWS, reals(2, 3)), of=np.concatenate),
    Sample(lambda x: np.concatenate([x, x], dtype=np.complex128), (R,), of=np.concatenate),
    Sample(np.concatenate, (CUBE,), {"axis": 1}),
    *[
        Sample(lambda x, y, axis=axis: np.stack([x, y], axis), (R, S), of=np.stack, complex=True)
        for axis in (0, 1, -1)
    ],
    Sample(lambda x, y: np.stack([x, y, 1.5 * x]), (SCALAR, SCALAR_2), of=np.stack),
    Sample(lambda x: np.stack((x, np.ones(4)), axis=1, dtype=np.float64), (VECTOR,), of=np.stack),
    *[
        Sample(lambda x, y, fun=fun: fun([x, y]), args, of=fun)
        for fun in (np.vstack, np.hstack, np.dstack)
        for args in ((VECTOR, OTHER), (R, S), (SCALAR, SCALAR_2), (CUBE, CUBE_2))
    ],
    *[
        Sample(lambda x, y: np.column_stack([x, y]), args, of=np.column_stack)
        for args in ((VECTOR, OTHER), (reals(4, 2), OTHER), (R, S))
    ],
    Sample(np.append, (R, S)),
    Sample(np.append, (R, reals(3, 1)), {"axis": 1}),
    Sample(np.append, (VECTOR, SCALAR)),
    Sample(np.append, (VECTOR, [1.0, 2.0])),
    # Splitting.
    *[Sample(np.array_split, (LONG, parts)) for parts in (3, [2, 5], 9)],
    Sample(np.array_split, (R, 3), {"axis": -1}),
    *[Sample(np.split, (R, parts), {"axis": 1}) for parts in (2, [1, 3], (1, 1))],
    Sample(np.split, (R, 3)),
    Sample(np.split, (LONG, [2, -1])),
    Sample(np.vsplit, (R, 3)),
    Sample(np.hsplit, (R, 2)),
    Sample(np.hsplit, (VECTOR, 2)),
    Sample(np.dsplit, (CUBE, [1, 3])),
    Sample(getattr(np, "unstack", None), (CUBE,)),
    Sample(getattr(np, "unstack", None), (CUBE,), {"axis": -1}),
    # The shape itself.
    Sample(np.shape, (CUBE,), constant=True),
    Sample(np.ndim, (CUBE,), constant=True),
    *[Sample(np.size, (CUBE,), {"axis": axis}, constant=True) for axis in (None, -2)],
    Sample(np.size, (CUBE,), {"axis": (0, -1)}, constant=True, since=(2, 4)),
    *[Sample(fun, (R,), constant=True) for fun in (np.iscomplexobj, np.isrealobj)],
    Sample(np.result_type, (R, 1), constant=True, vmap=False),
    Sample(np.result_type, (R, np.complex64), constant=True, vmap=False),
]

# --- reading and choosing ------------------------------------------------------------------------


def read(*index: Any, of: np.ndarray = CUBE) -> Sample:
    """Return the sample of x[index]."""
    item = index[0] if len(index) == 1 else index
    return Sample(lambda x: x[item], (of,), of="getitem", complex=True)


INDEXING = [
    *[read(i) for i in (1, -1, np.int64(1), slice(None, None, -1), ..., None, ())],
    read(1, 2, 3),
    read(1, 2, 3, ...),
    read(slice(None), slice(2, None, -2), slice(1, 3)),
    read(..., 0),
    read(None, 0, ..., None, slice(1, None)),
    read(slice(1, 1)),
    read([0, 1, 1, 0]),
    read([]),
    read(TABLE % 2),
    read(ROWS % 2, ROWS, COLUMNS),
    read([-1], [0]),
    read(slice(None), ROWS),
    read(slice(None), ROWS, COLUMNS),
    read(..., COLUMNS),
    read(0, slice(None), COLUMNS),
    read([0, 1], slice(None), [1, 2]),
    read(ROWS % 2, None, 2),
    read(TABLE % 2, slice(None), TABLE),
    read(slice(None), None, [0, 2], [1, 1]),
    read(1, slice(None), [[0], [1]]),
    read(np.array([True, False])),
    read(slice(None), ROW_MASK),
    read(slice(None), MASK),
    read(slice(None), ROW_MASK, 1),
    read(..., COLUMN_MASK),
    read([1], ROW_MASK),
    read(np.ones((2, 3, 4), bool)),
    read(True),
    read(False),
    read(np.ix_([1, 0], [2, 0, 0])),
    read(MASK, of=R),
    read((), of=SCALAR),
    read(None, of=SCALAR),
    read(slice(0, 2), of=NO_ROWS),
    Sample(lambda x, i: x[i], (R, ROWS), of="getitem"),
    Sample(lambda x, i: x[:, i], (R, TABLE), of="getitem"),
    Sample(lambda x, i, j: x[i, j], (R, ROWS, COLUMNS), of="getitem"),
    Sample(lambda x, i: x[..., i], (CUBE, COLUMNS), of="getitem"),
    Sample(lambda x, i: x[i, None, 1:3], (R, ROWS), of="getitem"),
    Sample(lambda x, i, j: x[i, :, j], (CUBE, ROWS % 2, COLUMNS), of="getitem"),
    Sample(lambda x, i: x[0, :, i], (CUBE, COLUMNS), of="getitem"),
    Sample(lambda x, i: x[i], (R, np.array(2)), of="getitem"),
    Sample(lambda x, i: x[:, i], (R, np.array(2)), of="getitem"),
    Sample(lambda x, i: x[i, 1], (R, np.array(-1)), of="getitem"),
    Sample(lambda x: x[x > 0], (R,), of="getitem", vmap=False),
    Sample(lambda x: [row * row[0] for row in x], (R,), of="getitem"),
    Sample(lambda x: x[0] * x[1] + x[1:2].sum(), (VECTOR,), of="getitem", exact=False),
    *[
        Sample(
            lambda x, index=index: REGISTRY["scatter"](x, index=index, shape=(3, 4)),
            (x,),
            of="scatter",
        )
        for index, x in (
            ((0, slice(1, 4)), reals(3)),
            ((ROWS, COLUMNS), reals(3)),
            ((slice(None), TABLE), reals(3, 2, 2)),
            (MASK, reals(8)),
            (ROW_MASK, reals(2, 4)),
            (1, VECTOR),
        )
    ],
    # Choosing.
    Sample(np.where, (MASK, R, S), complex=True),
    Sample(np.where, (COLUMN_MASK, R, SCALAR)),
    Sample(np.where, (MASK, R, 0.5)),
    Sample(np.where, (MASK, 0, S)),
    Sample(np.where, (MASK.astype(int), R, S)),
    Sample(np.where, (MASK, VECTOR, reals(3, 1))),
    Sample(np.where, (True, VECTOR, OTHER)),
    Sample(np.where, (ROW_MASK, NO_ROWS, 1.0)),
    Sample(lambda x: np.where(x > 0, x * x, -x), (R,), of=np.where),
    Sample(np.nonzero, (R,), constant=True, vmap=False),
    Sample(np.clip, (R, -0.5, 0.6)),
    Sample(np.clip, (R, None, 0.6)),
    Sample(np.clip, (R, -0.5, None)),
    Sample(np.clip, (R,), {"min": -0.5, "max": 0.6}, since=(2, 1)),
    Sample(np.clip, (R, reals(4) - 1, reals(3, 1) + 1)),
    Sample(lambda x: x.clip(-0.5, 0.6), (R,), of=np.clip),
    Sample(R.clip, (-0.5, 0.6), of=np._core.umath.clip),
    *[Sample(np.take, (R, [2, 0, 0]), {"axis": axis}) for axis in (None, 0, -1)],
    Sample(np.take, (R, TABLE), {"axis": 1}),
    Sample(np.take, (R, ROWS), {"axis": 0}),
    Sample(np.take, (R, 1), {"axis": 0}),
    Sample(np.take, (R, [5, -4]), {"axis": 1, "mode": "wrap"}),
    Sample(np.take, (R, [5, -4]), {"axis": 1, "mode": "clip"}),
    Sample(lambda x: x.take([0, 3], 1), (R,), of=np.take),
    Sample(np.take_along_axis, (R, np.argsort(S, 1)), {"axis": 1}),
    Sample(np.take_along_axis, (R, np.array([[2, 0, 0, 1]])), {"axis": 0}),
    Sample(np.take_along_axis, (R, np.array([5, 0, 0])), {"axis": None}),
    # Order.
    *[Sample(np.sort, (CUBE,), options) for options in ({}, {"axis": 0}, {"axis": None})],
    Sample(np.sort, (R,), {"kind": "stable"}),
    Sample(np.sort, (NO_ROWS,), {"axis": 0}),
    *[
        Sample(np.argsort, (CUBE,), options, constant=True)
        for options in ({}, {"axis": 0}, {"axis": None}, {"kind": "stable"}, {"stable": True})
    ],
]

# --- products ------------------------------------------------------------------------------------

MATRIX_SHAPES = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 3)),
    ((3, 4), (4, 2)),
    ((2, 3, 4), (4, 2)),
    ((2, 0, 4), (4, 2)),
    ((3, 4), (2, 4, 2)),
    ((2, 3, 4), (2, 4, 2)),
    ((2, 1, 3, 4), (2, 4, 2)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((4,), (2, 3, 4, 2)),
    ((2, 2, 3, 4), (4,)),
    ((0, 4), (4, 2)),
    ((3, 0), (0, 2)),
    ((3, 4), (4, 0)),
    ((0,), (0,)),
]

DOT_SHAPES = [*MATRIX_SHAPES[:9], ((), (3,)), ((2, 3), ()), ((), ()), ((4,), (2, 4, 3))]

INNER_SHAPES = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (2, 4)),
    ((3, 4), (2, 4)),
    ((), (3,)),
    ((2, 2, 4), (3, 4)),
]

VECTOR_SHAPES = [
    ((4,), (4,)),
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((2, 1, 4), (3, 4)),
    ((3, 0), (0,)),
]

TENSOR_AXES = [
    ((2, 3, 4), (3, 4, 2), 2),
    ((2, 3, 4), (4, 2), 1),
    ((3,), (4,), 0),
    ((2, 3, 4), (4, 3, 5), ([1, 2], [1, 0])),
    ((2, 3, 4), (2, 5), (0, 0)),
    ((2, 3, 4), (4, 2), ((-1, 0), (0, 1))),
    ((3, 4), (3, 4), 2),
    ((0, 3), (3, 2), 1),
]

EINSUMS = [
    ("i,i", (4,), (4,)),
    ("i,i->i", (4,), (4,)),
    ("i,j->ij", (3,), (4,)),
    ("i,j->ji", (3,), (4,)),
    ("ij,jk->ik", (3, 4), (4, 2)),
    ("ij,jk", (3, 4), (4, 2)),
    ("ba,cb", (3, 4), (2, 3)),
    ("ij,jk->", (3, 4), (4, 2)),
    ("ij,kj->k", (3, 4), (2, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("...ij,jk->...ik", (2, 3, 4), (4, 2)),
    ("...ij,...jk", (2, 3, 4), (4, 2)),
    ("i...,i...->...", (3, 2), (3, 4, 2)),
    ("ij,ij->ij", (3, 4), (1, 4)),
    ("ij,jk->ik", (3, 1), (4, 2)),
    ("ij->ji", (3, 4)),
    ("ij->", (3, 4)),
    ("ij->j", (3, 4)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij->ij", (3, 3, 4)),
    ("ij,i,j->", (3, 4), (3,), (4,)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("ii,ij->j", (3, 3), (3, 4)),
    ("iii->i", (3, 3, 3)),
    (",i->i", (), (3,)),
    ("i ,j -> i j", (3,), (4,)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 2)),
]


def factors(*shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Return an array per shape."""
    return tuple(reals(*shape, start=1 + 30 * i) for i, shape in enumerate(shapes))


PRODUCTS = [
    *[
        Sample(np.matmul, factors(*shapes), complex=True, exact=False)
        for shapes in [*MATRIX_SHAPES, ((2, 1, 3, 4), (5, 4, 2))]
    ],
    *[
        Sample(lambda x, y: x @ y, factors(*shapes), of="matmul", complex=True, exact=False)
        for shapes in MATRIX_SHAPES
    ],
    Sample(np.linalg.matmul, factors((3, 4), (4, 2)), exact=False),
    *[Sample(np.dot, factors(*shapes), complex=True, exact=False) for shapes in DOT_SHAPES],
    Sample(np.dot, factors((2, 3, 4), (5, 4, 2)), exact=False),
    Sample(lambda x: x.dot(VECTOR), (R,), of=np.dot, exact=False),
    *[Sample(np.inner, factors(*shapes), complex=True, exact=False) for shapes in INNER_SHAPES],
    *[
        Sample(np.vdot, factors(*shapes), complex=True, exact=False)
        for shapes in (((4,), (4,)), ((3, 4), (3, 4)), ((), ()), ((3, 4), (2, 6)))
    ],
    *[
        Sample(fun, factors(*shapes), complex=True, exact=False)
        for fun in (np.vecdot, np.linalg.vecdot)
        for shapes in VECTOR_SHAPES
    ],
    Sample(np.vecdot, factors((4, 3), (4, 3)), {"axis": 0}, complex=True, exact=False),
    Sample(np.linalg.vecdot, factors((2, 4, 3), (4, 3)), {"axis": -2}, exact=False),
    *[
        Sample(getattr(np, "matvec", None), factors(*shapes), complex=True, exact=False)
        for shapes in (((3, 4), (4,)), ((2, 3, 4), (4,)), ((3, 4), (2, 4)), ((2, 3, 4), (2, 4)))
    ],
    *[
        Sample(getattr(np, "vecmat", None), factors(*shapes), complex=True, exact=False)
        for shapes in (((3,), (3, 4)), ((2, 3), (3, 4)), ((3,), (2, 3, 4)), ((2, 3), (2, 3, 4)))
    ],
    # Their primitives, on a NumPy without these functions too.
    Sample(REGISTRY["matvec"], factors((3, 4), (4,)), of="matvec", complex=True, exact=False),
    Sample(REGISTRY["vecmat"], factors((3,), (3, 4)), of="vecmat", complex=True, exact=False),
    *[
        Sample(np.outer, factors(*shapes), complex=True)
        for shapes in (((3,), (4,)), ((2, 3), (2, 2)), ((), (3,)), ((0,), (3,)))
    ],
    Sample(np.linalg.outer, factors((3,), (4,)), complex=True),
    *[
        Sample(np.tensordot, (*factors(*shapes), axes), complex=True, exact=False)
        for *shapes, axes in TENSOR_AXES
    ],
    Sample(np.tensordot, factors((2, 3, 4), (3, 4, 2)), exact=False),
    Sample(np.linalg.tensordot, factors((3, 4), (4, 2)), {"axes": 1}, exact=False),
    *[
        Sample(np.einsum, (subscripts, *factors(*shapes)), complex=True, exact=False)
        for subscripts, *shapes in EINSUMS
    ],
    Sample(np.einsum, ("ij,jk->ik", *factors((3, 4), (4, 2))), {"optimize": True}, exact=False),
    Sample(
        lambda x, y: np.einsum(x, [0, 1], y, [1, 2]),
        factors((3, 4), (4, 2)),
        of=np.einsum,
        exact=False,
    ),
    Sample(
        lambda x, y: np.einsum(x, [..., 0, 1], y, [1, 2], [..., 2, 0]),
        factors((2, 3, 4), (4, 2)),
        of=np.einsum,
        exact=False,
    ),
    Sample(lambda x: np.einsum("ij,ij->i", x, x), (R,), of=np.einsum, exact=False),
]

# --- creation ------------------------------------------------------------------------------------

CREATION = [
    Sample(getattr(np, "astype", None), (R, np.float64)),
    Sample(getattr(np, "astype", None), (R, np.complex128), complex=True),
    Sample(lambda x: x.astype(np.float64), (R,), of="astype"),
    Sample(lambda x: x.astype(int), (R,), of="astype", constant=True),
    Sample(lambda x: x.astype("float64", copy=False), (R,), of="astype"),
    Sample(np.copy, (R,), complex=True),
    Sample(lambda x: x.copy(), (R,), of=np.copy),
    Sample(np.copy, (SCALAR,)),
    *[Sample(fun, (R,), complex=True) for fun in (np.zeros_like, np.ones_like)],
    *[
        Sample(fun, (R,), options)
        for fun in (np.zeros_like, np.ones_like)
        for options in ({"shape": (2, 5)}, {"dtype": np.complex128})
    ],
    Sample(lambda x: np.zeros_like(x, dtype=int), (R,), of=np.zeros_like, constant=True),
    Sample(lambda x: np.empty_like(x).shape, (R,), of=np.empty_like, constant=True),
    Sample(np.full_like, (R, 2.5)),
    *[
        Sample(
            lambda x, options=options: np.full_like(x, x[0, 1], **options), (R,), of=np.full_like
        )
        for options in ({}, {"shape": (2,)}, {"dtype": np.complex128})
    ],
    Sample(lambda x: np.full_like(x, x[0]), (R,), of=np.full_like, complex=True),
    *[
        Sample(
            lambda x, fun=fun: fun([[x[0], x[2]], [1.0, x[0] * x[1]]], like=x), (VECTOR,), of=fun
        )
        for fun in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray)
    ],
    Sample(lambda x: np.array(x, like=x), (R,), of=np.array),
    Sample(lambda x: np.array([x, x], dtype=np.complex128, ndmin=4, like=x), (R,), of=np.array),
    Sample(lambda x: x * np.array([1.0, 2.0, 3.0, 4.0], like=x), (VECTOR,), of=np.array),
    *[
        Sample(lambda x, fun=fun: x[:3] * fun(3, like=x), (VECTOR,), of=fun)
        for fun in (np.zeros, np.ones, np.arange)
    ],
    *[
        Sample(lambda x, fun=fun: x[:3] @ fun(3, like=x), (VECTOR,), of=fun, exact=False)
        for fun in (np.eye, np.identity, np.tri)
    ],
    Sample(lambda x: np.empty((2, 3), like=x).shape, (VECTOR,), of=np.empty, constant=True),
    Sample(lambda x: np.full((2, 3), x, like=x), (reals(3),), of=np.full, complex=True),
    Sample(lambda x: np.full((2, 3), x, np.complex128, like=x), (reals(3),), of=np.full),
    Sample(lambda x: x * np.full(4, 1.5, like=x), (VECTOR,), of=np.full),
    Sample(lambda x: np.require(x, np.float64, "C", like=x), (R,), of=np.require),
    Sample(lambda x: np.fromiter([x[0], 2.0, x[2]], float, like=x), (VECTOR,), of=np.fromiter),
    Sample(
        lambda x: np.fromfunction(lambda i, j: x[0] * i + j * x[1], (2, 3), like=x),
        (VECTOR,),
        of=np.fromfunction,
    ),
    Sample(lambda x: np.arange(x[0], 3.0, 0.5, like=x), (P[0],), of=np.arange, vmap=False),
    Sample(
        lambda x: np.arange(0, stop=3.1, step=x[0], like=x), (P[0] + 0.1,), of=np.arange, vmap=False
    ),
]

# --- parts of complex numbers --------------------------------------------------------------------


def _filled(x: Any) -> Any:
    y = x * 1.0
    y[1] = x[0] * x[2]
    y[:, 1:] += x[:, :-1] ** 2
    return y


def _written(x: Any) -> Any:
    y, rows = x * 1.0, np.array([0, 2, 0])
    y[rows] = x[[1, 2, 2]] ** 2  # the last write to a row wins
    y[np.array([True, False, True]), 1] = x[0, 0] * 2
    return y


def _seen_through_views(x: Any) -> Any:
    y = x * 1.0
    row, turned = y[1], y.T
    row *= x[2]
    turned[0] = x[:, 1] * 3
    return y * row


def _after(write: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """Return what a write makes of a traced array."""

    def fun(x: Any) -> Any:
        y = x * 1.0
        write(y, x[::-1] ** 2)
        return y

    return fun


WRITING = [
    *[
        Sample(_after(write), (R,), of=fun, complex=True)
        for fun, write in [
            (np.copyto, np.copyto),
            (np.copyto, lambda y, v: np.copyto(y, v, where=np.abs(R) > 1)),
            (np.put, lambda y, v: np.put(y, [0, -1, 3, 0], v)),
            (np.put, lambda y, v: np.put(y, [0, -1, 99], v[0], mode="clip")),
            (np.put, lambda y, v: np.put(y, [0, 77], v[0, :2], mode="wrap")),
            (np.putmask, lambda y, v: np.putmask(y, np.abs(R) > 1, v[0])),
            (np.place, lambda y, v: np.place(y, np.abs(R) > 1, v[1, :3])),
            (np.fill_diagonal, lambda y, v: np.fill_diagonal(y, v[0, :2])),
            (np.fill_diagonal, lambda y, v: np.fill_diagonal(y.T, v[0, 0], wrap=True)),
            (
                np.put_along_axis,
                lambda y, v: np.put_along_axis(y, np.array([[2, 0, 1, 0]]), v[:1], axis=0),
            ),
            (np.put_along_axis, lambda y, v: np.put_along_axis(y, np.arange(2), v[0, :2], None)),
        ]
    ],
    Sample(_filled, (R,), of="setitem", complex=True),
    Sample(_written, (R,), of="put", complex=True),
    Sample(_seen_through_views, (R,), of="read", complex=True),
]

COMPLEX_PARTS = [
    *[Sample(fun, (R,), complex=True) for fun in (np.real, np.imag)],
    Sample(lambda x: x.real * x.imag, (R,), of=np.real, complex=True),
    Sample(np.angle, (P,), complex=True),
    Sample(np.angle, (P,), {"deg": True}, complex=True, exact=False),
]

SAMPLES = [
    sample
    for rows in (
        UFUNCS,
        REDUCTIONS,
        SHAPING,
        INDEXING,
        PRODUCTS,
        CREATION,
        COMPLEX_PARTS,
        WRITING,
        samples_fft.rows(Sample, reals),
        samples_updates.rows(Sample, reals, positive),
        samples_linalg.rows(Sample),
        samples_numpy.rows(Sample),
        samples_special.rows(Sample, spread),
    )
    for sample in rows
    if sample.key is not None and sample.since <= NUMPY
]
