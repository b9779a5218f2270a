"""Ufuncs at kinks and singular points, their options, and constants that the program changes."""

from fractions import Fraction

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, hessian, jacfwd, jvp, vjp
from funcgrad.constants import COPY_BYTES
from funcgrad.errors import MutatedConstantError, UnsupportedError

INF, NAN = np.inf, np.nan


def slope(fun, x):
    """Return the derivative at a number, on which both modes must agree."""
    reverse, forward = grad(fun)(x), jacfwd(fun)(x)
    np.testing.assert_array_equal(forward, reverse)
    return reverse


def gradient(fun, *args):
    """Return the derivative by each argument, on which both modes must agree."""
    argnums = tuple(range(len(args)))
    reverse, forward = grad(fun, argnums)(*args), jacfwd(fun, argnums)(*args)
    np.testing.assert_array_equal(forward, reverse)
    return reverse


# --- kinks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fun", [np.abs, np.fabs, abs, lambda x: np.sqrt(x * x)])
def test_an_absolute_value_has_derivative_zero_at_zero(fun):
    assert slope(fun, 0.0) == 0
    assert slope(fun, -0.0) == 0


@pytest.mark.parametrize("fun", [np.maximum, np.minimum, np.fmax, np.fmin])
@pytest.mark.parametrize("value", [0.0, -1.5, INF, -INF])
def test_ties_are_shared_evenly(fun, value):
    assert gradient(fun, value, value) == (0.5, 0.5)
    assert slope(lambda x: fun(x, value), value) == 0.5
    assert slope(lambda x: fun(x, x), value) == 1


def test_extremes_of_a_number_and_a_complex_one():
    for fun, expected in ((np.maximum, 0), (np.minimum, 1), (np.fmax, 0), (np.fmin, 1)):
        for x in (0.5, np.full(2, 0.5)):
            assert np.all(grad(lambda x, fun=fun: np.sum(fun(x, 0.5 + 0.3j).real))(x) == expected)


def test_a_rectifier_written_with_maximum_has_derivative_one_half_at_zero():
    assert slope(lambda x: np.maximum(x, 0), 0.0) == 0.5


def test_a_tie_of_maximum_leaves_no_second_derivative():
    assert (hessian(lambda x: np.maximum(x[0], x[1]))(np.ones(2)) == 0).all()


@pytest.mark.parametrize("fun", [np.fmax, np.fmin])
def test_a_number_beats_nan(fun):
    assert gradient(fun, 2.0, NAN) == (1, 0)
    assert gradient(fun, NAN, 2.0) == (0, 1)


@pytest.mark.parametrize("fun", [np.hypot, np.arctan2])
def test_the_gradient_at_the_origin_is_zero(fun):
    assert gradient(fun, 0.0, 0.0) == (0, 0)
    assert gradient(fun, -0.0, 0.0) == (0, 0)


def test_arctan2_has_the_gradient_of_the_angle_on_the_axes():
    assert gradient(np.arctan2, 0.0, 2.0) == (0.5, 0)
    assert gradient(np.arctan2, 2.0, 0.0) == (0, -0.5)


def test_a_norm_written_out_has_gradient_zero_at_the_origin():
    assert (gradient(lambda x: np.sqrt(np.sum(x * x)), np.zeros(3))[0] == 0).all()
    assert (gradient(lambda x: np.sum(x**2) ** 0.5, np.zeros(3))[0] == 0).all()


@pytest.mark.parametrize("fun", [np.sqrt, np.cbrt, lambda x: x**0.5])
def test_the_slope_of_a_root_at_zero_is_infinite(fun):
    assert slope(fun, 0.0) == INF


def test_copysign_follows_the_sign_of_zero():
    assert slope(lambda x: np.copysign(x, 0.0), -2.0) == -1
    assert slope(lambda x: np.copysign(x, -0.0), -2.0) == 1


# --- powers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("zero", [0, 0.0, np.float64(0), np.array(0.0), np.array(0)])
@pytest.mark.parametrize("base", [0.0, 2.0, -2.0])
def test_x_to_the_zero_is_constant(zero, base):
    assert slope(lambda x: x**zero, base) == 0
    assert slope(lambda x: np.power(x, zero), base) == 0
    assert slope(lambda x: np.float_power(x, zero), base) == 0


@pytest.mark.parametrize("kind", [int, float, np.float64, np.array])
@pytest.mark.parametrize("n", range(5))
def test_all_derivatives_of_a_power_at_zero(kind, n):
    factorial = [1, 1, 2, 6, 24][n]
    derivative = lambda x: x ** kind(n)  # noqa: E731
    for order in range(1, 5):
        derivative = grad(derivative)
        assert derivative(0.0) == (factorial if order == n else 0)


def test_zero_to_the_y_has_slope_zero():
    assert slope(lambda y: 0.0**y, 2.0) == 0
    assert slope(lambda y: np.power(0, y), 2.0) == 0
    assert gradient(np.power, 0.0, 2.0) == (0, 0)
    assert gradient(np.power, 0.0, 1.0) == (1, 0)


def test_a_negative_base_has_the_derivative_by_the_base():
    assert slope(lambda x: x**3, -2.0) == 12
    assert slope(lambda x: x**-1, -2.0) == -0.25
    assert slope(lambda x: x ** np.array(2.0), -3.0) == -6


# --- logarithms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fun", [np.logaddexp, np.logaddexp2])
def test_logaddexp_of_equal_arguments_shares_evenly(fun):
    for x in (-INF, INF, 0.0, 1000.0, -1000.0):
        assert gradient(fun, x, x) == (0.5, 0.5)


@pytest.mark.parametrize("fun", [np.logaddexp, np.logaddexp2])
def test_logaddexp_of_far_apart_arguments_follows_the_larger(fun):
    assert gradient(fun, -INF, 1.0) == (0, 1)
    assert gradient(fun, INF, 1.0) == (1, 0)
    assert gradient(fun, 1000.0, -1000.0) == (1, 0)


def test_logaddexp_of_minus_infinities_has_finite_second_derivatives():
    assert np.isfinite(hessian(lambda x: np.logaddexp(x[0], x[1]))(np.full(2, -INF))).all()


def test_saturated_functions_have_slope_zero():
    with np.errstate(over="ignore"):
        for x in (-800.0, 800.0):
            assert slope(np.tanh, x) == 0
            assert slope(lambda x: 1 / (1 + np.exp(-x)), x) == 0


# --- pieces of numbers ---------------------------------------------------------------------------


def test_remainder_and_floor_divide_split_the_derivative():
    assert gradient(np.remainder, 7.5, 2.0) == (1, -3)
    assert gradient(np.remainder, -7.5, 2.0) == (1, 4)
    assert gradient(np.fmod, -7.5, 2.0) == (1, 3)
    assert gradient(lambda x, y: divmod(x, y)[1], 7.5, 2.0) == (1, -3)
    assert gradient(lambda x, y: x // y * x, 7.5, 2.0) == (3, 0)


def test_frexp_and_modf_hand_on_the_derivative():
    assert slope(lambda x: np.frexp(x)[0], 12.0) == 1 / 16
    assert slope(lambda x: np.modf(x)[0], -2.5) == 1
    assert slope(lambda x: np.modf(x)[1] * x, -2.5) == -2


def test_a_condition_works_as_in_plain_python():
    def fun(x):
        if x > 0 and np.isfinite(x) and x != 3:
            return x * x
        return -x

    assert slope(fun, 2.0) == 4
    assert slope(fun, -2.0) == slope(fun, 3.0) == -1


# --- dtypes --------------------------------------------------------------------------------------


SINGLE = np.array([0.5, 2.0], np.float32)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: 2.0 * x + 1,
        lambda x: (x - 0.5) / 3.0,
        lambda x: 1.0 / x,
        lambda x: x**2,
        lambda x: x**0.5,
        lambda x: 2.0**x,
        lambda x: np.maximum(x, 0),
        lambda x: np.power(x, 1.5),
        lambda x: np.multiply(3.0, x),
        lambda x: np.arctan2(x, 1.0),
        lambda x: np.where(x > 1, x, 0.0),
        lambda x: np.clip(x, 0.0, 1.0),
        lambda x: x * x[0],
    ],
)
def test_python_scalars_keep_single_precision(fun):
    out, pull = vjp(fun, SINGLE)
    assert out.dtype == np.float32
    assert pull(np.ones(2, np.float32))[0].dtype == np.float32
    assert jacfwd(fun)(SINGLE).dtype == np.float32
    assert hessian(lambda x: fun(x).sum())(SINGLE).dtype == np.float32


def test_a_double_precision_constant_widens_the_value_but_not_the_gradient():
    out, pull = vjp(lambda x: x * np.array([1.0, 2.0]), SINGLE)
    assert out.dtype == np.float64
    (g,) = pull(np.ones(2))
    assert g.dtype == np.float32
    assert g.tolist() == [1, 2]


def test_half_precision_stays():
    x = np.array([0.5, 2.0], np.float16)
    out, pull = vjp(lambda x: np.exp(x) * 2.0, x)
    assert out.dtype == np.float16
    assert pull(np.ones(2, np.float16))[0].dtype == np.float16


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: np.exp(x, where=np.array([True, False, True])),
        lambda x: np.add(x, x, out=np.zeros(3)),
        lambda x: np.exp(x, out=np.zeros(3)),
        lambda x: np.exp(x, np.zeros(3)),
        lambda x: np.exp(x, order="F"),
        lambda x: np.add(x, x, casting="unsafe"),
        lambda x: np.add(x, x, subok=False),
        lambda x: np.add(x, x, signature="dd->d"),
        lambda x: np.multiply.accumulate(x, out=np.zeros(3)),
        lambda x: np.add.at(np.zeros(3), [0, 1, 1], x),
        lambda x: np.subtract.reduce(x, where=np.array([True, False, True])),
    ],
)
def test_an_option_without_a_rule_is_refused(fun):
    with pytest.raises((FuncgradError, ValueError)):
        grad(lambda x: np.sum(fun(x)))(np.ones(3))


def test_the_option_dtype_is_honoured():
    out, pull = vjp(lambda x: np.exp(x, dtype=np.float64), SINGLE)
    assert out.dtype == np.float64
    assert pull(np.ones(2))[0].dtype == np.float32


def test_an_integer_dtype_is_refused_as_numpy_refuses_it():
    with pytest.raises(TypeError):
        np.add(np.ones(3), 1, dtype=int)
    with pytest.raises(TypeError):
        grad(lambda x: np.sum(np.add(x, 1, dtype=int)))(np.ones(3))


def test_a_comparison_with_a_dtype_compares_numbers():
    def fun(x):
        return np.sum(x * np.less(x, 1.0, dtype=bool))

    try:
        found = grad(fun)(np.array([0.5, 2.0]))
    except FuncgradError:
        return
    assert found.tolist() == [1, 0]


cube_of = np.frompyfunc(lambda x: x**3, 1, 1)


def test_a_ufunc_without_a_rule_is_refused():
    with pytest.raises(UnsupportedError, match="no derivative rule"):
        grad(lambda x: np.sum(cube_of(x)))(np.ones(3))


def test_a_method_without_a_rule_is_refused():
    with pytest.raises(UnsupportedError, match=r"np\.arctan2\.reduce"):
        grad(np.arctan2.reduce)(np.ones(3))


def test_a_function_without_a_rule_is_refused():
    with pytest.raises(UnsupportedError, match=r"np\.packbits"):
        grad(lambda x: np.sum(np.packbits(x)))(np.ones((2, 3)))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("kind", [np.matrix, np.ma.masked_array])
def test_matrices_and_masked_arrays_are_refused(kind):
    other = kind([1.0, 2.0, 3.0])
    for fun in (lambda x: x * other, lambda x: other * x, lambda x: np.add(x, other)):
        with pytest.raises(FuncgradError):
            grad(lambda x, fun=fun: np.sum(fun(x)))(np.ones(3))
    with pytest.raises(FuncgradError):
        grad(np.sum)(np.asanyarray(other))


def test_an_array_of_objects_is_refused_unless_they_are_numbers():
    for fun in (np.multiply, np.dot, lambda x, y: x * y, lambda x, y: y + x):
        for odd in (None, "3", 3j, Fraction(3)):
            objects = np.array([1, 2, odd], object)
            with pytest.raises(FuncgradError):
                grad(lambda x, fun=fun, y=objects: np.sum(fun(x, y)))(np.ones(3))
        gradients = [
            grad(lambda x, fun=fun, y=y: np.sum(fun(x, y)))(np.ones(3))
            for y in (np.array([1, 2.0, 3], object), np.array([1, 2.0, 3]))
        ]
        np.testing.assert_array_equal(*gradients)


# --- constants that change -----------------------------------------------------------------------

LARGE = COPY_BYTES // 8 + 1  # of float64: more than is copied


@pytest.mark.parametrize(
    ("fun", "expected"),
    [
        (lambda x, buf: x * buf, [1, 2, 3]),
        (lambda x, buf: np.multiply(buf, x), [1, 2, 3]),
        (lambda x, buf: x * buf[:3], [1, 2, 3]),
        (lambda x, buf: x / buf, [1, 1 / 2, 1 / 3]),
        (lambda x, buf: np.maximum(x, buf - 1.5) * buf, [1, 2, 0]),
        (lambda x, buf: np.where(buf > 1, x, 0) * buf, [0, 2, 3]),
    ],
)
def test_a_constant_changed_after_its_use_counts_as_it_was(fun, expected):
    def loss(x):
        buf = np.arange(3.0) + 1
        y = fun(x, buf)
        buf[:] = 0
        return y.sum()

    np.testing.assert_array_equal(grad(loss)(np.ones(3)), expected)


def test_a_constant_changed_before_a_power_is_differentiated_counts_as_it_was():
    def loss(x):
        exponents = np.array([1.0, 2.0, 3.0])
        y = x**exponents
        exponents += 1
        return y.sum()

    np.testing.assert_array_equal(grad(loss)(np.full(3, 2.0)), [1, 4, 12])


def test_a_workspace_used_again_in_a_loop_counts_as_it_was():
    def loss(x):
        work, total = np.empty(3), 0.0
        for k in range(1, 4):
            np.multiply(np.arange(3.0), k, out=work)
            total = total + np.sum(x * work)
        return total

    np.testing.assert_array_equal(grad(loss)(np.ones(3)), [0, 6, 12])


def test_a_large_constant_changed_after_its_use_raises_and_names_the_line():
    def loss(x):
        buf = np.ones(LARGE)
        y = x * buf
        buf[17] = 0
        return y.sum()

    with pytest.raises(MutatedConstantError, match=r"in loss: (y = )?x \* buf"):
        grad(loss)(np.ones(LARGE))


def test_a_large_workspace_used_again_raises():
    def loss(x):
        work, total = np.empty(LARGE), 0.0
        for k in range(1, 3):
            work[:] = k
            total = total + np.sum(x * work)
        return total

    with pytest.raises(MutatedConstantError):
        grad(loss)(np.ones(LARGE))


def test_a_large_constant_changed_and_restored_is_fine():
    def loss(x):
        buf = np.ones(LARGE)
        y = x * buf
        buf[:] = 0
        buf[:] = 1
        return y.sum()

    assert (grad(loss)(np.ones(LARGE)) == 1).all()


def test_a_changed_constant_that_no_rule_needs_is_fine():
    def loss(x):
        buf = np.ones(LARGE)
        y = x + buf
        buf[:] = 0
        return y.sum()

    assert (grad(loss)(np.ones(LARGE)) == 1).all()


def test_a_pullback_notices_a_change_between_two_calls():
    buf = np.ones(LARGE)
    _, pull = vjp(lambda x: x * buf, np.ones(LARGE))
    pull(np.ones(LARGE))
    buf[0] = 5
    with pytest.raises(MutatedConstantError):
        pull(np.ones(LARGE))


def test_second_derivative_of_logaddexp_of_equal_arguments():
    # log(e^x + e^y): second derivative s (1 - s), with s = 1/2 where x = y
    assert grad(grad(np.logaddexp))(0.7, 0.7) == 0.25
    assert grad(grad(lambda x: np.logaddexp(0, x)))(0.0) == 0.25
    assert np.isclose(grad(grad(np.logaddexp2))(0.7, 0.7), 0.25 * np.log(2))


def test_mixed_derivative_of_a_power_with_exponent_zero():
    # d/dy d/dx x^y = x^(y - 1) (1 + y log x)
    assert grad(grad(np.power, 0), 1)(2.0, 0.0) == 0.5
    assert grad(grad(np.power, 1), 0)(2.0, 0.0) == 0.5
    assert grad(grad(lambda x, y: x**y, 0), 1)(2.0, 0.0) == 0.5


@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum])
@pytest.mark.parametrize("number", [0, 0.0, -0.0, 1.5, NAN])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_array_beside_a_number_gives_numpys_values_and_layout(ufunc, number, dtype):
    x = np.resize(np.array([1, -1, 0.5, NAN, INF, -INF], dtype), (60, 70))  # of two zeros, either
    for view in (x, x.T, x[::-1], x[:, ::2], x.reshape(6, 10, 70).transpose(1, 0, 2)):
        expected = ufunc(view, number)
        for call in (lambda t: ufunc(t, number), lambda t: ufunc(number, t)):
            for value in (vjp(call, view)[0], jvp(call, (view,), (view,))[0]):
                assert value.tobytes("A") == expected.tobytes("A")
                assert value.strides == expected.strides
                assert value.dtype == dtype
