"""Traps: NumPy code that makes other libraries lose a derivative without a word, or change a dtype.

Each is right here, or raises. What has a file of its own is tested there: lists and arrays of objects
(primitives/test_objects.py), writes (primitives/test_updates.py, test_handles.py), constants that change after
use (test_constants.py), plain arrays that are updated (primitives/test_creation.py), special points
(primitives/test_reductions.py, primitives/test_linalg.py and so on).
"""

import numpy as np
import pytest

from funcgrad import grad, jacrev, jvp, value_and_grad, vjp, vmap
from funcgrad.errors import FuncgradError
from funcgrad.testing import check_grads

X = np.array([0.5, 1.3, 2.1])
DTYPES = [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128]


def slopes_of(fun, x):
    step = 1e-6
    return [(fun(x + step * e) - fun(x - step * e)) / (2 * step) for e in np.eye(x.size)]


# --- derivatives that are quietly zero elsewhere -------------------------------------------------


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: np.sum(np.unique(x) ** 2),
        lambda x: np.sum(np.intersect1d(x, x[::-1]) ** 2),
        lambda x: np.sum(np.union1d(x, [9.0]) ** 2),
        lambda x: np.sum(np.setdiff1d(x, [9.0]) ** 2),
        lambda x: np.sum(np.arange(x[0], 3.0) ** 2),
        lambda x: np.sum(np.linspace(x[0], x[1], 4) ** 2),
        lambda x: np.sum(np.geomspace(x[0], x[1], 4)),
        lambda x: x[0].item() ** 2,
        lambda x: x[1:2].item() ** 2,
        lambda x: sum([y**2 for y in x.tolist()]),
        lambda x: np.sum(x.copy() ** 2),
        lambda x: np.sum(x.astype(np.longdouble) ** 2).astype(float),
        lambda x: np.sum(np.copy(x).flatten() ** 2),
        lambda x: np.mean([x[0], x[1] ** 2]),
        lambda x: np.sum(np.array(x) ** 2),
        lambda x: np.sum(np.array(x, like=x) ** 2),
        lambda x: float(x[0]) ** 2,
        lambda x: np.sum(np.float64(x[0]) ** 2),
        lambda x: np.sum(np.ones(3).dot(x)),
        lambda x: np.polynomial.polynomial.polyval(x[0], [1.0, 2.0, 3.0]),
        lambda x: np.polynomial.Polynomial([1.0, 2.0, 3.0])(x[1]),
        lambda x: np.polyval(np.poly1d([1.0, 2.0]).coeffs, x[0]),
        lambda x: np.vectorize(lambda y: y**2)(x).sum(),
        lambda x: np.random.default_rng(0).normal(x[0], x[1]),
        lambda x: np.random.default_rng(0).normal(size=3) @ x,
        lambda x: np.sum(np.ma.masked_array(x, [False, True, False])),
        lambda x: np.frombuffer(x).sum(),
        lambda x: np.fromiter(x, float).sum(),
        lambda x: np.require(x).sum(),
        lambda x: np.apply_along_axis(lambda row: row @ row, 0, x),
        lambda x: np.piecewise(x, [x < 1, x >= 1], [lambda y: y**2, lambda y: 3 * y]).sum(),
        lambda x: np.select([x < 1, x >= 1], [x**2, 3 * x]).sum(),
        lambda x: np.nditer(x)[0] ** 2,
        lambda x: sum([y**2 for y in x.flat]),
        lambda x: max(x) ** 2 + sorted(x)[0],
    ],
)
@pytest.mark.filterwarnings("ignore::funcgrad.errors.PerformanceWarning")
@pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")
def test_a_derivative_is_right_or_raises(fun):
    try:
        gradient = grad(fun)(X)
        tangent = jvp(fun, (X,), (np.ones(3),))[1]
    except (FuncgradError, TypeError):  # a TypeError where NumPy wants a buffer
        return
    np.testing.assert_allclose(gradient, slopes_of(fun, X), rtol=1e-6)
    np.testing.assert_allclose(tangent, np.sum(gradient), rtol=1e-12)


def test_sparse_matrices_are_right_or_raise():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    for fun in (
        lambda x: np.sum(matrix @ x),
        lambda x: np.sum(matrix.dot(x)),
        lambda x: np.sum(x @ matrix.T),
    ):  # right (tests/scipy/test_sparse.py)
        np.testing.assert_allclose(grad(fun)(X), matrix.sum(axis=0))
    for fun in (lambda x: np.sum(np.dot(matrix, x)), lambda x: (matrix * x).sum()):
        with pytest.raises((FuncgradError, TypeError, ValueError)):
            grad(fun)(X)


# --- options that a rule may ignore --------------------------------------------------------------

MASK = np.array([True, False, True])


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: np.sum(x**2, where=MASK),
        lambda x: np.sum(x**2, initial=2.0, keepdims=True)[0],
        lambda x: np.mean(x**2, where=MASK),
        lambda x: np.var(x, correction=1),
        lambda x: np.std(x, ddof=1, where=[True, True, True]),
        lambda x: np.var(x, mean=np.mean(x, keepdims=True) ** 2),
        lambda x: np.max(x**2, initial=1.0, where=MASK),
        lambda x: np.prod(x, where=MASK, initial=3.0),
        lambda x: np.add.reduce(x**2, initial=1.0, where=MASK),
        lambda x: np.average(x**2, weights=x),
        lambda x: np.sum(a=x**2, axis=None, dtype=np.float64),
        lambda x: np.median(x**2, overwrite_input=True),
        lambda x: np.quantile(x, 0.3, method="weibull"),
        lambda x: np.sum(np.cumsum(x, dtype=np.float64)),
        lambda x: np.sum(np.gradient(x**2, X, edge_order=2)),
        lambda x: np.sum(np.multiply(x, x, dtype=np.float64, casting="same_kind")),
    ],
)
def test_an_option_is_honoured(fun):
    np.testing.assert_allclose(grad(fun)(X), slopes_of(fun, X), rtol=1e-6, atol=1e-9)


# --- dtypes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "fun",
    [
        *[np.mean, np.var, np.std, np.sum, np.prod, np.linalg.norm],
        lambda x: np.max(x.real),
        lambda x: np.sum(np.where(MASK, x, 0.0)),
        lambda x: np.sum(2 * x + 1.0),
        lambda x: x[0] * x[1],
    ],
)
def test_a_dtype_is_kept(fun, dtype):
    if fun is np.linalg.norm and dtype in (np.float16, np.longdouble):
        pytest.skip("NumPy's norm widens or refuses it")
    x = X.astype(dtype)

    def real(x):
        return np.real(fun(x))

    value, gradient = value_and_grad(real)(x)
    assert np.result_type(value) == np.result_type(real(x))
    assert gradient.dtype == dtype
    assert jvp(real, (x,), (np.ones_like(x),))[1].dtype == np.result_type(real(x))
    assert vmap(real)(x[None]).dtype == np.result_type(real(x))
    expected = grad(real)(x.astype(np.complex128 if x.dtype.kind == "c" else np.float64))
    rtol = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(gradient, expected, rtol=max(rtol, 1e-12), atol=rtol)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.complex64])
def test_a_wider_constant_widens_the_value_but_not_the_gradient(dtype):
    x = X.astype(dtype)
    value, gradient = value_and_grad(lambda x: np.real(np.sum(x * X)))(x)
    assert value.dtype == np.float64
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, X, rtol=1e-3)


def test_a_python_float_that_is_differentiated_counts_as_double_precision():
    x = X.astype(np.float32)
    value, (slope, gradient) = value_and_grad(lambda a, x: np.sum(a * x), (0, 1))(2.0, x)
    assert (value.dtype, slope.dtype, gradient.dtype) == (np.float64, np.float64, np.float32)
    value = value_and_grad(lambda a, x: np.sum(a * x))(np.float32(2), x)[0]
    assert value.dtype == np.float32


def test_gradients_of_arguments_of_several_dtypes_have_their_own():
    args = (X.astype(np.float32), X, X.astype(np.float16), X.astype(np.complex64))
    gradients = grad(lambda a, b, c, d: np.real(np.sum(a * b * c * d)), (0, 1, 2, 3))(*args)
    assert [g.dtype for g in gradients] == [x.dtype for x in args]


@pytest.mark.parametrize("constant", [np.array([1, 2, 3]), MASK, np.array([1, 2, 3], np.uint8)])
def test_integer_and_boolean_constants(constant):
    np.testing.assert_allclose(grad(lambda x: np.sum(constant * x**2))(X), 2 * constant * X)
    x = X.astype(np.float32)
    for fun in (lambda x: np.sum(constant * x), lambda x: np.sum(x - constant)):
        assert grad(fun)(x).dtype == np.float32


# --- shapes and layouts --------------------------------------------------------------------------

TABLE = np.linspace(0.1, 1.2, 12).reshape(3, 4)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    "x",
    [
        TABLE.T,
        np.asfortranarray(TABLE),
        TABLE[::2, ::-1],
        TABLE[:, 1],
        read_only(TABLE),
        np.broadcast_to(TABLE[0], (3, 4)),
        np.zeros((0, 4)),
        np.zeros((3, 0)),
        np.array(0.7),
        np.lib.stride_tricks.sliding_window_view(np.linspace(0, 1, 5), 3),
        TABLE.astype(">f8"),
    ],
    ids=[
        *["transposed", "fortran", "strided", "column", "read-only", "broadcast", "no rows"],
        *["no columns", "0-d", "windows", "big-endian"],
    ],
)
def test_any_layout_of_an_argument(x):
    def fun(x):
        y = np.tanh(x) * x.T.T + np.sum(x)
        y += x
        return np.sum(y.reshape(-1) ** 2)

    before = x.copy()
    value, gradient = value_and_grad(fun)(x)
    assert value == pytest.approx(fun(x.astype(float)))
    assert gradient.shape == x.shape
    np.testing.assert_allclose(gradient, grad(fun)(x.astype(float, order="C")), rtol=1e-13)
    np.testing.assert_array_equal(x, before)
    assert not np.may_share_memory(x, gradient)
    if x.dtype == np.float64:
        check_grads(fun, (x,))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("kind", [np.matrix, np.ma.masked_array])
def test_matrices_and_masked_arrays_are_refused_as_argument_and_as_operand(kind):
    other = kind([1.0, 2.0, 3.0])
    for fun in (
        lambda: grad(np.sum)(other),
        lambda: vjp(lambda x: x + other, X),
        lambda: grad(lambda x: np.sum(other * x))(X),
        lambda: grad(lambda x: np.sum(np.concatenate([x[None], np.atleast_2d(other)])))(X),
    ):
        with pytest.raises(FuncgradError):
            fun()


def test_the_copy_of_a_number_is_a_number_and_has_no_views():
    def f(x):
        y = x.copy()
        y.reshape(-1)[0] = 9.0
        return y * x

    assert f(np.float64(3.0)) == 9.0
    assert grad(f)(3.0) == 6.0
    assert vmap(grad(f))(np.array([3.0, 5.0])).tolist() == [6.0, 10.0]
    assert jvp(f, (3.0,), (1.0,)) == (9.0, 6.0)


def test_the_stand_in_for_a_default_may_come_by_position():
    left = np._NoValue  # as NumPy's own functions hand it on
    check_grads(lambda x: np.diff(x, 1, -1, left, left) ** 2, (np.array([1.0, 3.0, 2.0]),))


def test_the_method_of_a_plain_array_limits_by_traced_bounds():
    def limited(lower, upper):
        return np.array([0.5, 1.5, 2.5]).clip(lower, upper)

    by_lower, by_upper = jacrev(limited, argnums=(0, 1))(1.0, 2.0)
    assert by_lower.tolist() == [1, 0, 0]
    assert by_upper.tolist() == [0, 0, 1]


def test_an_attribute_that_python_missed_is_found():
    """SciPy's brentq calls a function again after it raised; a lookup in the type may fail then."""
    assert (
        vjp(lambda x: x.__getattr__("sum")() * x.__getattr__("size"), X)[1](1.0)[0].tolist()
        == [3] * 3
    )
