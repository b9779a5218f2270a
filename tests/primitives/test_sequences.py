"""Running products at zeros, series at 0, interpolation at its points, methods of ufuncs."""

import functools
import warnings

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from funcgrad.errors import UnsupportedError
from funcgrad.testing import check_grads

INF = np.inf


def jacobian(fun, x):
    """Return the Jacobian, on which both modes must agree."""
    reverse, forward = jacrev(fun)(x), jacfwd(fun)(x)
    np.testing.assert_allclose(forward, reverse, rtol=1e-13, atol=1e-14)
    return reverse


# --- running sums and products -------------------------------------------------------------------


@pytest.mark.parametrize("x", [[2.0, 0.0, 3.0, 5.0], [0.0, 0.0, 3.0, 1.0], [0.0] * 4, [7.0], []])
def test_the_derivative_of_a_running_product_is_right_at_zeros(x):
    x = np.array(x)
    n = len(x)
    expected = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            expected[i, j] = np.prod(np.delete(x[: i + 1], j))
    np.testing.assert_array_equal(jacobian(np.cumprod, x), expected)


def test_the_second_derivative_of_a_running_product_at_zeros():
    found = hessian(lambda x: np.cumprod(x)[2])(np.array([0.0, 0.0, 3.0]))
    assert found.tolist() == [[0, 3, 0], [3, 0, 0], [0, 0, 0]]


def test_a_long_running_product_needs_no_division():
    x = np.linspace(0.9, 1.1, 1000)
    found = grad(lambda x: np.cumprod(x)[-1])(x)
    np.testing.assert_allclose(found, np.prod(x) / x)


def test_a_running_maximum_takes_the_first_of_equal_entries():
    x = np.array([1.0, 3.0, 3.0, 2.0, 4.0])
    found = jacobian(np.maximum.accumulate, x)
    assert found.argmax(1).tolist() == [0, 1, 1, 1, 4]
    assert found.sum() == 5


def test_a_running_maximum_stays_nan():
    value = vjp(np.maximum.accumulate, np.array([1.0, np.nan, 3.0]))[0]
    np.testing.assert_array_equal(value, [1, np.nan, np.nan])


# --- series --------------------------------------------------------------------------------------


def test_derivatives_of_sinc_at_zero():
    d1 = grad(np.sinc)
    d2 = grad(d1)
    d4 = grad(grad(d2))
    assert (np.sinc(0.0), d1(0.0)) == (1, 0)
    assert d2(0.0) == pytest.approx(-(np.pi**2) / 3)
    assert d4(0.0) == pytest.approx(np.pi**4 / 5)


@pytest.mark.parametrize("x", [1e-9, 0.3, 0.95, 0.96, 2.0, 20.0])
def test_derivatives_of_sinc_near_zero_and_far(x):
    y = np.pi * x
    first = np.pi * (y * np.cos(y) - np.sin(y)) / y**2 if x > 1e-6 else -(np.pi**2) * x / 3
    assert grad(np.sinc)(x) == pytest.approx(first, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("x", "i1"), [(0.0, 0.0), (1.0, 0.5651591039924850), (10.0, 2670.988303701255)]
)
def test_the_derivative_of_i0_is_i1(x, i1):
    assert grad(np.i0)(x) == pytest.approx(i1, rel=1e-13)


def test_the_derivative_of_i0_of_a_large_argument():
    x = 600.0  # I1 / I0 = 1 - 1 / 2x - 1 / 8x^2 - 1 / 8x^3 - ...
    expected = 1 - 1 / (2 * x) - 1 / (8 * x**2) - 1 / (8 * x**3)
    assert grad(np.i0)(x) / np.i0(x) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("value", [np.nan, INF, -INF])
def test_replaced_numbers_have_derivative_zero(value):
    found = grad(lambda x: np.sum(np.nan_to_num(x)))(np.array([1.0, value]))
    assert found.tolist() == [1, 0]


def test_nan_to_num_in_place_changes_the_array():
    def fun(x):
        y = x * np.array([1.0, np.inf])
        tail = y[1:]
        z = np.nan_to_num(y, copy=False, posinf=5.0)
        return z @ np.array([3.0, 1.0]) + tail[0]

    assert fun(np.ones(2)) == 13
    assert grad(fun)(np.ones(2)).tolist() == [3, 0]


# --- interpolation -------------------------------------------------------------------------------

XP, FP = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("x", "value", "slope"),
    [(-1.0, 0, 0), (0.0, 0, 2), (1.0, 2, 0.5), (2.0, 2.5, 0.5), (3.0, 3, 0.5), (4.0, 3, 0)],
)
def test_the_slope_of_an_interpolation_at_its_points_is_the_upper_one(x, value, slope):
    found, pull = vjp(lambda x: np.interp(x, XP, FP), x)
    assert (found, pull(1.0)[0]) == (value, slope)


def test_an_interpolation_with_one_point_is_constant():
    assert grad(lambda x: np.interp(x, np.array([1.0]), np.array([5.0])))(1.0) == 0


def test_an_interpolation_at_a_jump():
    found, pull = vjp(lambda x: np.interp(x, np.array([0.0, 1.0, 1.0, 2.0]), np.arange(4.0)), 1.0)
    assert (found, pull(1.0)[0]) == (2, 1)


# --- convolutions and polynomials ----------------------------------------------------------------


def test_what_a_convolution_of_nothing_raises():
    with pytest.raises(ValueError, match="empty"):
        grad(lambda x: np.sum(np.convolve(x, np.zeros(0))))(np.ones(2))


def test_the_derivative_of_a_root_by_the_coefficients():
    found = jacobian(lambda p: np.sort(np.roots(p)), np.array([1.0, -3.0, 2.0]))
    np.testing.assert_allclose(found, [[1, 1, 1], [-4, -2, -1]], atol=1e-12)


def test_roots_at_zero_are_constant():
    found = jacobian(np.roots, np.array([2.0, -6.0, 0.0]))
    np.testing.assert_allclose(found, [[-1.5, -0.5, 0], [0, 0, 0]], atol=1e-14)


def test_roots_under_vmap_are_a_loop():
    p = np.array([[1.0, -3.0, 2.0], [2.0, -10.0, 12.0]])
    np.testing.assert_allclose(vmap(lambda p: np.sort(np.roots(p)))(p), [[1, 2], [2, 3]])


def test_a_fit_through_all_points_interpolates():
    x = np.array([0.0, 1.0, 2.0])
    found = jacobian(lambda y: np.polyfit(x, y, 2), np.array([1.0, 0.0, 5.0]))
    np.testing.assert_allclose(found, np.linalg.inv(np.vander(x)), atol=1e-13)


def test_a_fit_with_too_few_places_is_differentiated_as_it_is_defined():
    """The places 0 and 1 alone do not tell a parabola from a line: its least one is taken."""

    def fit(x, y):
        table = np.vander(x, 3)
        scale = np.sqrt(np.sum(table * table, axis=0))
        c, *_ = np.linalg.lstsq(table / scale, y, 1e-9)
        return c / scale

    x, y = np.array([0.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.3, 0.5, 2.0])
    with warnings.catch_warnings(action="ignore"):  # NumPy's own, of the rank
        found = jacrev(lambda x, y: np.polyfit(x, y, 2, 1e-9), (0, 1))(x, y)
        expected = jacrev(fit, (0, 1))(x, y)
    for g, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(g, e, atol=1e-12)


def test_a_division_of_polynomials_is_differentiated_in_both():
    v, q, r = np.array([2.0, 1.0, -3.0]), np.array([1.0, -2.0, 0.5]), np.array([0.7, -0.2])
    u = np.polyadd(np.polymul(v, q), r)
    check_grads(np.polydiv, (u, v), order=2)


def test_a_traced_leading_coefficient_that_is_zero_is_not_cut_off():
    """NumPy's polynomial of one degree less has the same values, but no derivative by that coefficient."""
    p = np.array([0.0, 1.0, 3.0])
    assert grad(lambda p: np.polyval(np.convolve(p, [1.0, 2.0]), 2.0))(p).tolist() == [16, 8, 4]
    for fun in (lambda p: np.polymul(p, [1.0, 2.0]), lambda p: np.poly1d(p)(2.0)):
        for at in (p, np.zeros(3)):
            with pytest.raises(UnsupportedError, match=r"np\.convolve"):
                grad(lambda p, fun=fun: np.sum(fun(p)))(at)
    # a constant may be cut off
    assert grad(lambda q: np.polyval(np.polymul(p, q), 2.0))(np.ones(2)).tolist() == [10, 5]
    assert grad(lambda p: np.poly1d(p)(2.0))(np.ones(3)).tolist() == [4, 2, 1]


def test_a_poly1d_is_evaluated_where_a_traced_number_is():
    assert grad(lambda x: np.polyval(np.poly1d([1.0, 2.0, 3.0]), x))(2.0) == 6


# --- methods of ufuncs ---------------------------------------------------------------------------


def test_a_running_logaddexp_of_minus_infinities():
    found = jacobian(np.logaddexp.accumulate, np.array([-INF, -INF, 0.0]))
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(found[2], [0, 0, 1])


def test_reduce_over_several_axes_is_one_reduction():
    # the derivative of log(sum(exp(x))) is the softmax
    assert np.allclose(grad(lambda x: np.logaddexp.reduce(x, axis=None))(np.ones((2, 2))), 0.25)


WHOLE_REDUCTIONS = [np.logaddexp, np.logaddexp2, np.hypot]


@pytest.mark.parametrize("ufunc", WHOLE_REDUCTIONS)
@pytest.mark.parametrize("axis", [0, -1, None, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_by_ufuncs_without_a_step_per_entry(ufunc, axis, keepdims, rng):
    x = rng.normal(size=(3, 4, 2)) * 3

    def reduced(x):
        return ufunc.reduce(x, axis=axis, keepdims=keepdims)

    def step_by_step(x):
        axes = tuple(range(3)) if axis is None else np.atleast_1d(axis) % 3
        rows = np.moveaxis(x, axes, range(len(axes)))
        rows = rows.reshape(-1, *rows.shape[len(axes) :])
        return functools.reduce(ufunc, list(rows)).reshape(np.shape(reduced(np.ones(x.shape))))

    check_grads(reduced, (x,), order=2)
    ct = rng.normal(size=np.shape(reduced(x)))
    mine = grad(lambda x: np.sum(reduced(x) * ct))(x)
    np.testing.assert_allclose(mine, grad(lambda x: np.sum(step_by_step(x) * ct))(x), rtol=1e-11)
    each = vmap(grad(lambda x: np.sum(reduced(x) * ct)))(np.stack([x, 2 * x]))
    np.testing.assert_allclose(each[0], mine, rtol=1e-12)
    assert grad(lambda x: np.sum(reduced(x)))(x.astype(np.float32)).dtype == np.float32


@pytest.mark.filterwarnings("ignore:invalid value")  # NumPy's own, for two infinities
def test_infinite_entries_of_logaddexp_reduce_share_evenly():
    for ufunc in (np.logaddexp, np.logaddexp2):
        for x, expected in (
            ([-np.inf, -np.inf, -np.inf, -np.inf], [0.25] * 4),
            ([np.inf, 1.0, np.inf, -np.inf], [0.5, 0, 0.5, 0]),
            ([-np.inf, 0.0, -np.inf, -np.inf], [0, 1, 0, 0]),
            ([2.0], [1]),
        ):
            assert grad(ufunc.reduce)(np.array(x)).tolist() == expected
            tangents = [jvp(ufunc.reduce, (np.array(x),), (t,))[1] for t in np.eye(len(x))]
            assert tangents == expected
        assert np.isnan(grad(ufunc.reduce)(np.array([np.nan, 1.0]))).all()
    assert grad(np.hypot.reduce)(np.zeros(3)).tolist() == [0, 0, 0]


def test_reductions_by_ufuncs_with_options_go_step_by_step():
    x, mask = np.array([0.5, 2.0, -1.0]), np.array([True, False, True])
    g = grad(lambda x: np.logaddexp.reduce(x, where=mask, initial=0.0))(x)
    e = np.exp(x) * mask
    np.testing.assert_allclose(g, e / (1 + e.sum()))
    assert grad(lambda x: np.sum(np.logaddexp.reduce(x, axis=0)))(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("ufunc", [np.power, np.arctan2])
def test_a_reduction_that_numpy_gets_wrong_is_refused(ufunc):
    for run in (ufunc.reduce, lambda x: ufunc.reduceat(x, [0, 2])):
        with pytest.raises(FuncgradError, match="functools"):
            grad(lambda x, run=run: np.sum(run(x)))(np.ones(4))


def test_at_into_a_plain_array_says_what_to_do():
    def scatter(x):
        total = np.zeros(3)
        np.add.at(total, [0, 0, 1], x)
        return np.sum(total)

    with pytest.raises(FuncgradError, match="zeros_like"):
        grad(scatter)(np.ones(3))


def test_a_trapezoid_rule_over_points_with_more_axes_than_the_values():
    y, x = np.array([1.0, 3.0]), np.array([[0.0, 2.0], [1.0, 1.5], [0.0, 0.5]])
    value, pullback = vjp(np.trapezoid, y, x)
    gradients = pullback(np.ones(3))
    np.testing.assert_array_equal(value, [4.0, 1.0, 1.0])
    np.testing.assert_array_equal(gradients[0], [1.5, 1.5])
    np.testing.assert_array_equal(gradients[1], [[-2.0, 2.0]] * 3)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum])
def test_reduceat_of_no_segments_is_empty(ufunc):
    value, pullback = vjp(lambda x: ufunc.reduceat(x, [], axis=1), np.ones((2, 3)))
    assert value.shape == (2, 0)
    np.testing.assert_array_equal(pullback(value)[0], np.zeros((2, 3)))
