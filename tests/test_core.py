"""Tracers behave as the arrays they stand for: operators, attributes, methods, Python's own functions."""

import bisect
import copy
import functools
import heapq
import itertools
import math
import operator
import random
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, jvp, value_and_grad, vjp, vmap
from funcgrad.core import (
    HANDLERS,
    Primitive,
    Trace,
    Tracer,
    concrete,
    dotted_name,
    find_trace,
    is_foreign,
    is_traced,
)
from funcgrad.errors import AliasedUpdateError
from funcgrad.testing import check_grads

X = np.array([0.7, 1.4, 2.3])
C = np.array([1.5, 0.5, 2.0])
M = np.array([[1.0, 2.0, 0.5], [0.3, -1.0, 2.0]])


def assert_traced_right(fun, *args, order=2):
    """Check value, type and dtype against plain NumPy, and derivatives against differences."""
    plain = fun(*args)
    out, _ = vjp(fun, *args)
    assert type(out) is type(plain)
    assert np.asarray(out).dtype == np.asarray(plain).dtype
    np.testing.assert_array_equal(out, plain)
    check_grads(fun, args, order=order)


# --- operators -----------------------------------------------------------------------------------

BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.mod,
    operator.floordiv,
    lambda a, b: divmod(a, b)[1],
]
OPERANDS = [
    2,
    2.5,
    True,
    np.float64(1.5),
    np.float32(1.5),
    np.int8(3),
    C,
    C.astype(np.float32),
    np.array(1.5),
    np.array([[1.5], [0.5]]),
    np.array([1, 2, 3]),
    [1.5, 0.5, 2.0],
    (1.5, 0.5, 2.0),
    [[1.5], [0.5]],
]


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("other", OPERANDS, ids=repr)
def test_binary_operators_with_a_constant_on_either_side(op, other):
    sequence = isinstance(other, (list, tuple))  # which NumPy's scalars do not take on either side
    for x in (X, X[:1]) if sequence else (X, X[:1], X[0]):
        assert_traced_right(lambda t: op(t, other), x)
        assert_traced_right(lambda t: op(other, t), x)


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("y", [C, C[0], C[:, None], C[None, :1]], ids=["C", "0-d", "column", "one"])
def test_binary_operators_between_traced_arrays(op, y):
    assert_traced_right(op, X, y)
    assert_traced_right(op, y, X)
    assert_traced_right(lambda t: op(t, t * 1.5), X)


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv])
@pytest.mark.parametrize("other", [1 + 2j, np.complex64(1 - 1j), C * 1j])
def test_binary_operators_with_complex_constants(op, other):
    assert_traced_right(lambda t: op(t, other), X)
    assert_traced_right(lambda t: op(other, t), X)


def binary_ufuncs():
    """Return NumPy's ufuncs of two arguments that have a derivative in each."""
    ufuncs = {u for u in vars(np).values() if isinstance(u, np.ufunc) and u in HANDLERS}
    ufuncs = [u for u in ufuncs if u.nin == 2 and u.nout == 1 and u.signature is None]
    skipped = {np.ldexp}  # takes integers only
    return sorted([u for u in ufuncs if HANDLERS[u].pulls and u not in skipped], key=str)


@pytest.mark.parametrize("ufunc", binary_ufuncs(), ids=lambda u: u.__name__)
@pytest.mark.parametrize(
    "dtype", [np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int64, np.uint64, np.float32]
)
def test_a_constant_of_a_narrower_dtype_counts_as_the_number_it_is(ufunc, dtype):
    for number in (1, 3, 20, 100):
        for make in (dtype, lambda n: np.array([n, n], dtype)):
            constant = make(number)
            same = np.asarray(constant, float)[()]
            x = np.array([1.7, 2.3]) if same.shape else np.float64(1.7)
            for fun in (lambda t, c: np.sum(ufunc(t, c)), lambda t, c: np.sum(ufunc(c, t))):
                for transform in (
                    grad,
                    lambda f: lambda t, c: jvp(lambda u: f(u, c), (t,), (t,))[1],
                ):
                    got, expected = transform(fun)(x, constant), transform(fun)(x, same)
                    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("op", [operator.neg, operator.pos, operator.abs])
def test_unary_operators(op):
    assert_traced_right(op, X)
    assert_traced_right(op, -X[0])


def test_matrix_products():
    assert_traced_right(lambda t: M @ t, X)
    assert_traced_right(lambda t: t @ C, X)
    assert_traced_right(lambda t: [1.0, 2.0, 3.0] @ t, X)
    assert_traced_right(lambda t: t @ [1.0, 2.0, 3.0], X)
    assert_traced_right(operator.matmul, M, X)
    assert_traced_right(operator.matmul, X, C)


@pytest.mark.parametrize(
    "op", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
)
@pytest.mark.parametrize("other", [1.4, 1, np.float64(1.4), X, C, [1.4, 1.4, 1.4], np.float32(1)])
def test_comparisons_are_plain_results(op, other):
    def fun(t):
        for a, b, x, y in ((t, other, X, other), (other, t, other, X), (t, t, X, X)):
            result = op(a, b)
            assert type(result) is np.ndarray
            assert result.dtype == bool
            np.testing.assert_array_equal(result, op(np.asarray(x), np.asarray(y)))
        scalar = op(t[1], 1.4)
        assert isinstance(scalar, np.bool_)
        return t.sum()

    assert grad(fun)(X).tolist() == [1, 1, 1]
    assert jvp(fun, (X,), (C,))[1] == C.sum()


def test_comparing_with_a_string_or_none_is_as_in_numpy():
    def fun(t):
        assert t[0] != "auto"
        assert (t[0] == "auto") is not True
        assert t[0] != None  # noqa: E711
        assert (t != None).all()  # noqa: E711
        return t[0]

    assert fun(X) == X[0]
    assert grad(fun)(X).tolist() == [1, 0, 0]


def test_integer_operators_raise_as_for_floats():
    for op in (operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift):
        for call in (lambda t, op=op: op(t, 1), lambda t, op=op: op(1, t)):
            with pytest.raises(TypeError):
                call(X)
            with pytest.raises(TypeError):
                grad(lambda t: np.sum(call(t)))(X)  # noqa: B023


@pytest.mark.parametrize("number", [Fraction(1, 2), Fraction(3)])
def test_numbers_of_other_types_are_right_or_refused(number):
    for fun in (
        lambda t: number * t,
        lambda t: t * number,
        lambda t: t + number,
        lambda t: number - t,
        lambda t: t / number,
        lambda t: number / t,
        lambda t: t**number,
    ):
        try:
            gradient = grad(fun)(2.5)
        except (FuncgradError, TypeError):
            continue
        step = 1e-6
        expected = (fun(2.5 + step) - fun(2.5 - step)) / (2 * step)
        assert gradient == pytest.approx(expected, rel=1e-6)


def test_decimals_are_refused_as_for_floats():
    with pytest.raises(TypeError):
        grad(lambda t: t * Decimal(2))(2.5)


def test_a_class_that_takes_over_the_operators_is_asked():
    class Unit:
        __array_ufunc__ = None

        def __rmul__(self, other):
            return "a quantity", other

        def __mul__(self, other):
            return "a quantity", other

        def __rsub__(self, other):
            return other - 1

    def fun(t):
        assert (t * Unit())[0] == "a quantity"
        assert (Unit() * t)[0] == "a quantity"
        return (t * Unit())[1] * 2 + (t - Unit())

    assert grad(fun)(3.0) == 3


class Column:
    """Takes part in operators and ufuncs as pandas' Series does."""

    __pandas_priority__ = 3000

    def __init__(self, values):
        self.values = np.asarray(values, dtype=float)

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if any(getattr(x, "__pandas_priority__", 0) > 3000 for x in inputs):
            return NotImplemented
        return Column(ufunc(*[np.asarray(x) for x in inputs]))

    def __mul__(self, other):
        return np.multiply(self, other)

    def __rmul__(self, other):
        return np.multiply(other, self)


OF_A_COLUMN = {
    "left": lambda t, column: t * column,
    "right": lambda t, column: column * t,
    "one number": lambda t, column: t[0] * column + column * t[1],
    "ufuncs": lambda t, column: np.exp(np.add(column, t)) + np.subtract(t, column),
    "power": lambda t, column: t**column,
    "comparison": lambda t, column: np.where(t > column, t, 0.0),
    "matrix product": lambda t, column: t @ column,
    "function": lambda t, column: np.dot(column, t),
    "in place": lambda t, column: np.multiply(t, column, out=np.zeros_like(t)),
}


@pytest.mark.parametrize("name", OF_A_COLUMN)
def test_a_series_counts_as_the_array_of_its_values(name):
    fun = OF_A_COLUMN[name]
    for transform in (vjp, lambda f, x: jvp(f, (x,), (x,))):
        column, _ = transform(lambda t: fun(t, Column(C)), X)
        array, _ = transform(lambda t: fun(t, C), X)
        np.testing.assert_array_equal(column, array)
    assert_traced_right(lambda t: fun(t, Column(C)) if isinstance(t, Tracer) else fun(t, C), X)


def test_pandas_columns_are_constants_like_arrays():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": C, "b": X})

    def loss(w):
        residual = table["b"] - (w[0] + w[1] * table["a"])
        return np.mean(residual**2) + np.sum(np.exp(table["a"] * w[0])) + np.sum(table * w)

    def of_arrays(w):
        residual = X - (w[0] + w[1] * C)
        return np.mean(residual**2) + np.sum(np.exp(C * w[0])) + np.sum(np.stack([C, X], 1) * w)

    np.testing.assert_allclose(grad(loss)(X[:2]), grad(of_arrays)(X[:2]), rtol=1e-12)


@pytest.mark.parametrize(
    "convert", [lambda t: np.array(t, int), np.int64, lambda t: np.asarray(t, dtype=np.uint8)]
)
def test_a_conversion_to_integers_names_the_spelling_that_works(convert):
    with pytest.raises(FuncgradError, match=r"x\.astype\(int\)"):
        grad(lambda t: t[convert(t)][0])(X)
    assert grad(lambda t: t[t.astype(int)][0])(X).tolist() == [1, 0, 0]


def test_a_conversion_of_one_array_names_the_array_itself():
    for convert in (np.asarray, np.array):
        with pytest.raises(FuncgradError, match=r"x or x\.copy\(\) in place of np\.asarray\(x\)"):
            grad(lambda t: np.sum(convert(t)))(X)  # noqa: B023


def test_a_series_as_the_argument_is_refused_with_the_way_out():
    with pytest.raises(FuncgradError, match=r"pass a plain array: np\.asarray\(x\)"):
        grad(lambda t: np.sum(t**2))(Column(X))


def test_a_class_that_holds_arrays_of_any_kind_calculates_itself():
    class Labelled:  # as xarray's DataArray
        def __init__(self, data):
            self.data = data

        def __array__(self, dtype=None, copy=None):
            return np.asarray(self.data)

        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            return Labelled(ufunc(*[getattr(x, "data", x) for x in inputs]))

        def __mul__(self, other):
            return Labelled(self.data * other)

        __rmul__ = __mul__

    for product in (lambda t: t * Labelled(C), lambda t: Labelled(C) * t):
        assert type(product(X)) is Labelled
        assert grad(lambda t: np.sum(product(t).data))(X).tolist() == C.tolist()  # noqa: B023
    assert grad(lambda t: np.sum(np.sin(Labelled(t)).data))(X).tolist() == np.cos(X).tolist()
    assert grad(lambda t: np.sum(np.multiply(t, Labelled(t)).data))(X).tolist() == (2 * X).tolist()


# --- attributes and methods ----------------------------------------------------------------------


def test_attributes_of_an_array():
    def fun(t):
        for name in ("shape", "ndim", "size", "dtype", "itemsize", "nbytes"):
            assert getattr(t, name) == getattr(M, name)
        assert len(t) == len(M)
        assert np.shape(t) == M.shape
        assert np.ndim(t) == 2
        assert np.size(t) == 6
        assert np.size(t, 0) == 2
        assert np.iterable(t)
        assert not np.isscalar(t)
        assert np.result_type(t) == np.float64
        assert np.result_type(t, np.float32) == np.float64
        assert np.can_cast(t.dtype, np.float64)
        assert np.issubdtype(t.dtype, np.floating)
        assert not np.iscomplexobj(t)
        assert np.isrealobj(t)
        assert np.broadcast_shapes(t.shape, (4, 1, 3)) == (4, 2, 3)
        assert np.finfo(t.dtype).eps == np.finfo(float).eps
        assert hasattr(t, "shape")
        assert not hasattr(t, "columns")
        return t.sum()

    assert grad(fun)(M).tolist() == np.ones((2, 3)).tolist()


@pytest.mark.parametrize(
    "fun",
    [
        lambda t: t.T,
        lambda t: t.mT,
        lambda t: t.real,
        lambda t: t.flat[2],
        lambda t: t.transpose(),
        lambda t: t.transpose(1, 0),
        lambda t: t.transpose((1, 0)),
        lambda t: t.transpose(None),
        lambda t: t.reshape(3, 2),
        lambda t: t.reshape((3, 2)),
        lambda t: t.reshape(-1),
        lambda t: t.reshape(3, 2, order="F"),
        lambda t: t.ravel(),
        lambda t: t.flatten(),
        lambda t: t.swapaxes(0, 1),
        lambda t: t[None].squeeze(),
        lambda t: t[None].squeeze(axis=0),
        lambda t: t.sum(),
        lambda t: t.sum(0),
        lambda t: t.sum(axis=1, keepdims=True),
        lambda t: t.mean(axis=-1),
        lambda t: t.var(axis=0),
        lambda t: t.std(1, ddof=1),
        lambda t: t.prod(),
        lambda t: t.max(axis=0),
        lambda t: t.min(),
        lambda t: t.dot(C),
        lambda t: t.clip(-0.5, 1.5),
        lambda t: t.take([0, 2], axis=1),
        lambda t: t.repeat(2, axis=0),
        lambda t: t.copy(),
        lambda t: t.conj(),
        lambda t: t.astype(np.float64),
        lambda t: t.item(1, 2),
        lambda t: t.item((0, 1)),
        lambda t: t[:1, :1].item(),
        lambda t: t.round(1) * t,
    ],
)
def test_methods_of_an_array(fun):
    plain = fun(M)
    out, _ = vjp(fun, M)
    np.testing.assert_array_equal(out, plain)
    assert np.asarray(out).dtype == np.asarray(plain).dtype
    check_grads(fun, (M,))


@pytest.mark.parametrize(
    "fun",
    [
        lambda t: t.argmax(),
        lambda t: t.argmin(axis=0),
        lambda t: t.argsort(),
        lambda t: t.any(),
        lambda t: t.all(axis=1),
        lambda t: t.nonzero()[1],
        lambda t: t.round(),
        lambda t: t.astype(int),
        lambda t: t > t.mean(),
        np.sign,
        lambda t: t // 1,
    ],
)
def test_methods_without_derivative_give_plain_results(fun):
    seen = []

    def loss(t):
        seen.append(fun(t))
        return np.sum(t)

    assert grad(loss)(M).tolist() == np.ones((2, 3)).tolist()
    assert not isinstance(seen[0], Tracer)
    np.testing.assert_array_equal(seen[0], fun(M))


def test_a_list_made_of_a_traced_array_holds_traced_scalars():
    def fun(t):
        rows = t.tolist()
        assert type(rows) is list
        return rows[0][1] * rows[1][2]

    assert grad(fun)(M).tolist() == [[0, 2, 0], [0, 0, 2]]


# --- Python's own functions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fun", "expected"),
    [
        (sum, [1, 1, 1]),
        (lambda t: sum([t[0], t[1] * 2, 3.0]), [1, 2, 0]),
        (lambda t: sum(a * b for a, b in zip(t, t)), [1.4, 2.8, 4.6]),
        (lambda t: sum(i * a for i, a in enumerate(t)), [0, 1, 2]),
        (lambda t: sum(i * a for i, a in enumerate(reversed(t))), [2, 1, 0]),
        (max, [0, 0, 1]),
        (lambda t: min(t[2], t[1], 7.0), [0, 1, 0]),
        (lambda t: max(t[0], 5.0), [0, 0, 0]),
        (lambda t: sorted(-t)[0], [0, 0, -1]),
        (lambda t: sorted(t, key=lambda a: (a - 1.4) ** 2)[0], [0, 1, 0]),
        (lambda t: abs(-t[1]), [0, 1, 0]),
        (lambda t: pow(t[0], 2), [1.4, 0, 0]),
        (lambda t: divmod(t[2], 2)[1], [0, 0, 1]),
        (lambda t: math.prod([t[0], t[1]]), [1.4, 0.7, 0]),
        (lambda t: functools.reduce(operator.add, t), [1, 1, 1]),
        (lambda t: list(itertools.accumulate(t))[-1], [1, 1, 1]),
        (lambda t: sum(map(np.square, t)), [1.4, 2.8, 4.6]),
        (lambda t: sum(filter(lambda a: a > 1, t)), [0, 1, 1]),
        (lambda t: operator.sub(*t[:2]), [1, -1, 0]),
        (lambda t: sum([*t[1:], *t]), [1, 2, 2]),
        (lambda t: heapq.nsmallest(1, [t[1], t[0]])[0], [1, 0, 0]),
        (lambda t: t[bisect.bisect([1.0, 2.0], t[1])], [0, 1, 0]),
        (lambda t: random.Random(0).gauss(t[0], 0.0), [1, 0, 0]),
        (lambda t: t[0] if t[0] in [0.7, 1.0] else t[1], [1, 0, 0]),
        (lambda t: t[0] * [0.7, 1.0].index(t[0]) + t[1], [0, 1, 0]),
        (lambda t: t[0] if 1.4 in t else t[1], [1, 0, 0]),
        (lambda t: t[0] if 9.0 in t else t[1], [0, 1, 0]),
        (lambda t: t[0] if t[2] in t else t[1], [1, 0, 0]),
        (lambda t: t[0] if t[0] else t[1], [1, 0, 0]),
        (lambda t: t[1] if not t[0] else t[0], [1, 0, 0]),
        (lambda t: t[0] and t[1], [0, 1, 0]),
        (lambda t: t[0] or t[1], [1, 0, 0]),
        (lambda t: t[0] * 3 if 0 < t[0] < 1 else t[0], [3, 0, 0]),
        (lambda t: t[0] * int(t[2]), [2, 0, 0]),
        (lambda t: sum(t[0] for _ in range(int(t[2]))), [2, 0, 0]),
        (lambda t: sum(t[0] for _ in range(math.floor(t[2]))), [2, 0, 0]),
        (lambda t: sum(t[0] for _ in range(math.ceil(t[2]))), [3, 0, 0]),
        (lambda t: sum(t[0] for _ in range(math.trunc(t[2]))), [2, 0, 0]),
        (lambda t: t[round(t[1])], [0, 1, 0]),
        (lambda t: round(t[2], 1) * t[0], [2.3, 0, 0]),
        (lambda t: t[np.argmax(t)], [0, 0, 1]),
        (lambda t: t[t > 1].sum(), [0, 1, 1]),
        (lambda t: X[t > 1].sum() * t[0], [3.7, 0, 0]),
        (lambda t: X[t.astype(int)].sum() * t[0], [0.7 + 1.4 + 2.3, 0, 0]),
        (lambda t: t[[0, 0, 2]].sum(), [2, 0, 1]),
        (lambda t: copy.copy(t)[0], [1, 0, 0]),
        (lambda t: copy.deepcopy([t, {"a": t}])[1]["a"][0] * t[1], [1.4, 0.7, 0]),
        (lambda t: len(t) * t[0], [3, 0, 0]),
        (lambda t: t[0] * (type(int(t[1])) is int), [1, 0, 0]),
    ],
)
def test_pythons_own_functions_and_statements(fun, expected):
    assert np.isclose(fun(X), value_and_grad(fun)(X)[0])
    np.testing.assert_allclose(grad(fun)(X), expected)
    np.testing.assert_allclose(jvp(fun, (X,), (C,))[1], np.dot(expected, C))
    np.testing.assert_allclose(grad(lambda t: grad(fun)(t).sum())(X).shape, (3,))


@pytest.mark.parametrize("fun", [math.floor, math.ceil, math.trunc, round, int])
@pytest.mark.parametrize("x", [2.5, -2.5, 3.0, 0.1])
def test_rounding_to_an_integer_gives_the_python_integer(fun, x):
    seen = []
    grad(lambda t: (seen.append(fun(t)), t)[1])(x)
    assert type(seen[0]) is int
    assert seen[0] == fun(np.float64(x))


def test_numbers_are_shown_as_their_values():
    def fun(t):
        assert f"{t[0]:.3f}" == "0.700"
        assert f"{t[0]:>8.2e}" == "7.00e-01"
        assert f"{t[0]}" == "0.7"
        assert str(t) == "[0.7 1.4 2.3]"
        assert f"{t}" == "[0.7 1.4 2.3]"
        assert "%s" % t[0] == "0.7"  # noqa: UP031
        assert "0.7" in repr(t[0])
        assert "1.4" in repr([t])
        return t.sum()

    assert grad(fun)(X).tolist() == [1, 1, 1]
    assert grad(lambda t: f"{t:.1f}" == "2.0" and t)(2.0) == 1
    assert grad(grad(lambda t: (f"{t:.1f}" == "2.0") * t * t))(2.0) == 2


def test_printing_inside_a_loss(capsys):
    grad(lambda t: (print("loss", t, t[0]), t.sum())[1])(X)
    assert capsys.readouterr().out == "loss [0.7 1.4 2.3] 0.7\n"


def test_a_traced_array_is_iterated_row_by_row():
    def fun(t):
        rows = list(t)
        assert [r.shape for r in rows] == [(3,), (3,)]
        (a, b, c), last = t
        return a * b + c * last[0]

    expected = np.zeros((2, 3))
    expected[0] = M[0, 1], M[0, 0], M[1, 0]
    expected[1, 0] = M[0, 2]
    np.testing.assert_allclose(grad(fun)(M), expected)


# --- in-place statements -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("total += t", [1, 1, 1]),
        ("total -= t", [-1, -1, -1]),
        ("total *= t", [1, 1, 1]),
        ("total /= 1 / t", [1, 1, 1]),
        ("total += t * 2; total += t", [3, 3, 3]),
        ("total += t[0]", [3, 0, 0]),
        ("total += 1; total *= t", [2, 2, 2]),
        ("total *= 2; total *= t; total += 5", [2, 2, 2]),
        ("box = [total]; del total; box[0] += t; total = box[0]", [1, 1, 1]),
        ("box = {'a': total}; del total; box['a'] += t; total = box['a']", [1, 1, 1]),
    ],
)
def test_an_in_place_operator_rebinds_a_plain_array_to_a_traced_result(statement, expected):
    def run(t):
        scope = {"t": t, "np": np}
        start = "zeros" if statement.startswith(("total +=", "total -=", "box")) else "ones"
        source = f"def body(t):\n    total = np.{start}(3)\n"
        if statement.startswith("total += 1"):
            source = "def body(t):\n    total = np.ones(3)\n"
        source += "".join([f"    {line.strip()}\n" for line in statement.split(";")])
        exec(source + "    return total.sum()\n", scope)
        return scope["body"](t)

    assert np.isclose(run(X.copy()), value_and_grad(run)(X)[0])
    np.testing.assert_allclose(grad(run)(X), expected)


def test_a_narrower_plain_array_keeps_its_dtype_under_an_in_place_operator():
    def fun(t):
        total = np.zeros(3, np.float32)
        total += t
        assert total.dtype == np.float32
        return total.sum()

    value, gradient = value_and_grad(fun)(X)
    assert value.dtype == np.float32
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, [1, 1, 1])


def test_in_place_operators_that_numpy_refuses_raise_likewise():
    def into_integers(t):
        total = np.zeros(3, int)
        total += t
        return total.sum()

    def broadcast_outwards(t):
        total = np.zeros(3)
        total += t[None] * np.ones((2, 1))
        return total.sum()

    for fun in (into_integers, broadcast_outwards):
        with pytest.raises((TypeError, ValueError)) as plain:
            fun(X)
        with pytest.raises(TypeError if plain.errisinstance(TypeError) else ValueError):
            grad(fun)(X)


def alias_by_name(t):
    total = np.zeros(3)
    other = total
    total += t
    return other.sum()


def alias_by_view(t):
    total = np.zeros(3)
    row = total[:2]
    total += t
    return row.sum()


def alias_in_a_list(t):
    total = np.zeros(3)
    totals = [total]
    total += t
    return totals[0].sum()


def alias_in_the_caller(t):
    def add(into):
        into += t

    total = np.zeros(3)
    add(total)
    return total.sum()


def alias_in_an_attribute(t):
    class Box:
        total = np.zeros(3)

    total = Box.total
    total += t
    return Box.total.sum()


def alias_in_a_loop(t):
    totals = [np.zeros(3), np.zeros(3)]
    for total in totals:
        total += t
    return sum(totals).sum()


def a_view_of_a_plain_array(t):
    total = np.zeros((2, 3))
    row = total[0]
    row += t
    return total.sum()


@pytest.mark.parametrize(
    "fun",
    [
        alias_by_name,
        alias_by_view,
        alias_in_a_list,
        alias_in_the_caller,
        alias_in_an_attribute,
        alias_in_a_loop,
        a_view_of_a_plain_array,
    ],
)
def test_an_in_place_operator_on_an_array_with_another_name_raises(fun):
    for transform in (value_and_grad, lambda f: lambda x: vjp(f, x)):
        with pytest.raises(AliasedUpdateError) as info:
            transform(fun)(X)
        assert "+= t" in str(info.value)


def test_in_place_operators_on_traced_scalars_rebind():
    def fun(t):
        first, total = t, t
        total += 1
        total *= t
        return total * first

    assert grad(fun)(2.0) == 3 * 4 + 2 * 2  # t^3 + t^2


@pytest.mark.parametrize(
    "fun",
    [
        *[
            getattr(np, f"nan{name}")
            for name in ("max", "min", "var", "std", "median", "mean", "sum")
        ],
        lambda t: np.nanvar(t, dtype=np.float64, ddof=1),
        *[lambda t, f=f: f(t, 0.3) for f in (np.quantile, np.nanquantile)],
        *[lambda t, f=f: f(t, 30) for f in (np.percentile, np.nanpercentile)],
        lambda t: np.average(t, returned=True)[1] * t[0],
        lambda t: np.average(t, weights=t, returned=True)[1],
        lambda t: np.linalg.multi_dot([t, np.eye(3), t]),
        lambda t: np.linalg.cond(np.outer(t, t) + np.eye(3), "fro"),
        lambda t: np.logaddexp.reduce(t, where=[True, False, True], initial=-np.inf),
        lambda t: np.vecdot(t, t),
        lambda t: np.modf(t.reshape(3)[0] * np.array(1.0))[0],
        *[lambda t, f=f: f(t) for f in (np.sum, np.max, np.prod, np.var, np.median, np.ptp)],
        lambda t: np.squeeze(t[:1]),  # a view, so an array
        lambda t: t[0, ...],
        lambda t: np.where(t[0] > 0, t[0], 0.0),
    ],
)
def test_a_result_without_axes_is_a_number_where_numpys_is(fun):
    expected = fun(X)
    for value in (vjp(fun, X)[0], jvp(fun, (X,), (X,))[0]):
        assert type(value) is type(expected)
        assert value == pytest.approx(expected)


# --- lists of traced values ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fun",
    [
        lambda t: np.stack([t[0], t[1], 1.0]),
        lambda t: np.stack([t, C]),
        lambda t: np.hstack([t[0], t[1]]),
        lambda t: np.concatenate([t, C]),
        lambda t: np.array([t[0], 1.0, t[1] * t[2]], like=t),
        lambda t: np.array([[t[0], 1.0], [2.0, t[1]]], like=t),
        lambda t: np.array([t, C], like=t),
        lambda t: t * [t[1], 2.0, t[0]],
        lambda t: [t[1], 2.0, t[0]] * t,
        lambda t: t @ [t[1], 2.0, t[0]],
        lambda t: np.add(t, [t[1], 2.0, t[0]]),
        lambda t: np.where(X > 1, [t[1], 2.0, t[0]], t),
    ],
)
def test_lists_of_traced_values_become_one_traced_array(fun):
    check_grads(fun, (X,))


# --- how a call is dispatched --------------------------------------------------------------------


def test_arguments_by_position_and_by_keyword():
    assert grad(lambda t: np.sum(a=t))(X).tolist() == [1, 1, 1]
    assert grad(lambda t: np.sum(t, 0))(X).tolist() == [1, 1, 1]
    assert grad(lambda t: np.sum(t, axis=0, dtype=np.float32).astype(float))(X).tolist() == [
        1,
        1,
        1,
    ]
    assert grad(lambda t: np.sum(t, initial=t[0], where=X > 1))(X).tolist() == [1, 1, 1]


def test_unknown_keywords_raise():
    for fun in (lambda t: np.sum(t, foo=1), lambda t: np.add(t, 1, foo=1), lambda t: t.sum(foo=1)):
        with pytest.raises(TypeError):
            fun(X)
        with pytest.raises(TypeError):
            grad(fun)(X)


def test_ufuncs_take_dtype():
    value, gradient = value_and_grad(lambda t: np.sum(np.exp(t, dtype=np.float32)))(X)
    assert value.dtype == np.float32
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, np.exp(X), rtol=1e-6)


def test_the_levels_of_nested_transforms_grow_inwards():
    levels = []

    def outer(t):
        def inner(u):
            levels.append((t._trace.level, u._trace.level))
            product = t * u
            assert product._trace is u._trace
            assert product.value._trace is t._trace
            return product

        return grad(inner)(1.0)

    grad(outer)(2.0)
    grad(outer)(2.0)
    (a, b), (c, d) = levels
    assert a < b < c < d


def test_the_innermost_of_several_transforms_is_found():
    found = []

    def outer(t):
        def inner(u):
            found.append(find_trace([t, 1.0, u, X]) is find_trace([u, t]) is u._trace)
            return u * t

        found.append(find_trace([X, t]) is t._trace)
        return grad(inner)(1.0)

    grad(outer)(2.0)
    assert found == [True, True]
    assert find_trace([1.0, X, None]) is None
    assert find_trace([]) is None


def test_traced_values_are_found_inside_lists():
    seen = []
    grad(lambda t: (seen.append((is_traced(t), is_traced([1.0, (t,)]), is_traced([1.0]))), t)[1])(
        1.0
    )
    assert seen == [(True, True, False)]


def test_the_plain_array_under_all_levels():
    def outer(t):
        return grad(lambda u: u * t * (concrete(u * t) == 6.0))(3.0)

    assert grad(outer)(2.0) == 1
    assert concrete(X) is X


def test_mixed_levels_with_plain_arrays_and_vmap():
    def fun(a, b):
        return grad(lambda u: np.sum(u * a + u * u * C) * b)(X).sum()

    batch = np.arange(6.0).reshape(2, 3)
    got = vmap(fun, in_axes=(0, None))(batch, 2.0)
    np.testing.assert_allclose(got, [fun(a, 2.0) for a in batch])
    got = grad(lambda b: vmap(lambda a: fun(a, b))(batch).sum())(2.0)
    np.testing.assert_allclose(got, sum(fun(a, 1.0) for a in batch))


def test_every_handler_is_callable_and_every_primitive_has_a_name():
    for key, handler in HANDLERS.items():
        assert callable(handler), key
        if isinstance(handler, Primitive):
            assert handler.name in repr(handler)


def test_a_trace_must_say_how_to_process():
    for call in (lambda: Trace().process(HANDLERS[np.sin], (), {}), lambda: Trace().constant(1.0)):
        with pytest.raises(NotImplementedError):
            call()
    assert Trace().level < Trace().level


@pytest.mark.parametrize(
    ("fun", "name"),
    [
        (np.sin, "np.sin"),
        (np.linalg.inv, "np.linalg.inv"),
        (np.fft.fft, "np.fft.fft"),
        (np.sum, "np.sum"),
    ],
)
def test_functions_are_named_as_a_user_writes_them(fun, name):
    assert dotted_name(fun) == name


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_matrices_and_masked_arrays_are_refused():
    for kind in (lambda: np.matrix(M), lambda: np.ma.masked_array(M, M > 1)):
        assert is_foreign(type(kind()))
        for fun in (
            lambda t: np.sum(kind() * t),  # noqa: B023
            lambda t: np.sum(t * kind()),  # noqa: B023
            lambda t: np.sum(t @ kind().T),  # noqa: B023
            lambda t: np.sum(np.dot(kind(), t)),  # noqa: B023
            lambda t: np.sum(np.concatenate([kind(), t[None]])),  # noqa: B023
        ):
            with pytest.raises(FuncgradError):
                grad(fun)(X)


def test_array_subclasses_that_behave_as_arrays_are_taken():
    class Sub(np.ndarray):
        pass

    constant = C.view(Sub)
    assert grad(lambda t: np.sum(t * constant))(X).tolist() == C.tolist()
    assert grad(lambda t: np.sum(constant * t))(X).tolist() == C.tolist()
    gradient = grad(lambda t: np.sum(t * t))(X.view(Sub))
    assert type(gradient) is np.ndarray
    np.testing.assert_allclose(gradient, 2 * X)
