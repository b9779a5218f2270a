"""Reductions at ties, zeros and constants, and the dtypes they keep."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, hessian, jacfwd, jvp, vjp, vmap

INF = np.inf
SINGLE = np.array([[0.5, 2.0, -1.0], [3.0, 0.25, 1.0]], np.float32)


def gradient(fun, x):
    """Return the gradient, on which both modes must agree."""
    reverse, forward = grad(fun)(x), jacfwd(fun)(x)
    np.testing.assert_allclose(forward, reverse, rtol=1e-14, atol=1e-15)
    return reverse


# --- extremes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fun", [np.max, np.min, np.amax, np.amin])
@pytest.mark.parametrize("value", [0.0, 2.5, INF, -INF])
def test_ties_share_the_derivative_evenly(fun, value):
    assert gradient(fun, np.full(4, value)).tolist() == [0.25] * 4


def test_only_the_largest_entries_share():
    assert gradient(np.max, np.array([1.0, 3.0, 3.0, 2.0])).tolist() == [0, 0.5, 0.5, 0]
    assert gradient(np.min, np.array([1.0, 3.0, 1.0, 1.0])).tolist() == [1 / 3, 0, 1 / 3, 1 / 3]


def test_ties_are_shared_along_the_reduced_axes_only():
    x = np.array([[1.0, 1.0], [1.0, 0.0]])
    assert gradient(lambda x: np.sum(np.max(x, axis=0)), x).tolist() == [[0.5, 1], [0.5, 0]]
    assert gradient(lambda x: np.max(x, axis=(0, 1)), x).tolist() == [[1 / 3, 1 / 3], [1 / 3, 0]]


@pytest.mark.parametrize("fun", [np.max, np.min])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(6,), (2, 3), (3, 1, 2)])
def test_the_only_extreme_entry_takes_it_all(fun, keepdims, shape):
    x = np.array([0.5, 2.0, -1.0, 3.0, -4.0, 1.0]).reshape(shape)
    found = gradient(lambda x: np.sum(fun(x, keepdims=keepdims) ** 2), x)
    np.testing.assert_array_equal(found, np.where(x == fun(x), 2 * x, 0))
    second = hessian(lambda x: np.sum(fun(x, keepdims=keepdims) ** 2))(x).reshape(6, 6)
    np.testing.assert_array_equal(second, np.diag(2.0 * (x == fun(x)).reshape(-1)))


def test_zeros_of_both_signs_are_a_tie():
    assert gradient(np.max, np.array([-0.0, 0.0, -1.0])).tolist() == [0.5, 0.5, 0]


def test_an_extreme_that_is_nan_has_gradient_nan():
    assert np.all(np.isnan(grad(np.max)(np.array([1.0, np.nan, 2.0]))))


def test_the_largest_entry_gets_what_other_uses_of_the_array_do_not_see():
    x = np.linspace(-1.0, 1.0, 20_000)  # so long that cotangents may change owner
    largest = np.arange(x.size) == x.size - 1

    def loss(x):
        y = np.sin(x)
        return np.sum(y) + 2 * np.max(y) + np.sum(-y[:5]) + np.sum(y - np.max(y))

    first = np.arange(x.size) < 5
    expected = (2.0 - first + (2.0 - x.size) * largest) * np.cos(x)
    np.testing.assert_allclose(grad(loss)(x), expected, rtol=1e-12, atol=1e-12)


def test_an_extreme_shares_with_its_initial_value():
    assert gradient(lambda x: np.max(x, initial=3.0), np.array([1.0, 3.0])).tolist() == [0, 0.5]
    assert gradient(lambda x: np.max(x, initial=9.0), np.array([1.0, 3.0])).tolist() == [0, 0]


def test_an_extreme_of_an_initial_value_that_is_traced():
    found = grad(lambda x, top: np.max(x, initial=top), (0, 1))(np.array([1.0, 3.0]), 9.0)
    assert found[0].tolist() == [0, 0]
    assert found[1] == 1


def test_an_extreme_with_a_mask_needs_an_initial_value():
    with pytest.raises(ValueError, match="initial"):
        grad(lambda x: np.max(x, where=np.array([True, False])))(np.ones(2))


@pytest.mark.parametrize("fun", [np.max, np.min, np.argmax])
def test_an_extreme_of_nothing_is_an_error(fun):
    with pytest.raises(ValueError, match=r"empty|zero-size"):
        grad(lambda x: np.sum(fun(x) * 1.0))(np.zeros(0))


# --- products ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([2.0, 5.0, 3.0], [15, 6, 10]),
        ([2.0, 0.0, 3.0], [0, 6, 0]),
        ([0.0, 0.0, 3.0], [0, 0, 0]),
        ([0.0, 0.0, 0.0], [0, 0, 0]),
        ([7.0], [1]),
        ([0.0], [1]),
        ([], []),
    ],
)
def test_the_gradient_of_a_product_with_zeros(x, expected):
    assert gradient(np.prod, np.array(x)).tolist() == expected


@pytest.mark.parametrize("x", [[2.0, 5.0, 3.0], [2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
def test_the_hessian_of_a_product_with_zeros(x):
    a, b, c = x
    expected = [[0, c, b], [c, 0, a], [b, a, 0]]
    assert hessian(np.prod)(np.array(x)).tolist() == expected
    assert jacfwd(jacfwd(np.prod))(np.array(x)).tolist() == expected


def test_the_third_derivative_of_a_product_of_zeros():
    third = jacfwd(hessian(np.prod))(np.zeros(3))
    expected = np.zeros((3, 3, 3))
    for i, j, k in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        expected[i, j, k] = 1
    np.testing.assert_array_equal(third, expected)


def test_a_long_product_with_one_zero():
    x = np.ones(1001)
    x[500] = 0
    expected = np.zeros(1001)
    expected[500] = 1
    np.testing.assert_array_equal(gradient(np.prod, x), expected)


def test_a_product_over_several_axes_with_zeros():
    x = np.array([[[0.0, 2.0], [3.0, 4.0]]])
    expected = [[[24, 0], [0, 0]]]
    assert gradient(lambda x: np.sum(np.prod(x, axis=(2, 1))), x).tolist() == expected


def test_a_masked_product_ignores_a_zero_behind_the_mask():
    x, mask = np.array([2.0, 0.0, 3.0]), np.array([True, False, True])
    assert gradient(lambda x: np.prod(x, where=mask), x).tolist() == [3, 0, 2]


# --- spreads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1e10])
def test_the_standard_deviation_of_equal_entries_has_gradient_zero(value):
    x = np.full(4, value)
    assert gradient(np.std, x).tolist() == [0] * 4
    assert gradient(lambda x: np.std(x, ddof=1), x).tolist() == [0] * 4


def test_one_row_of_equal_entries_does_not_disturb_the_others():
    x = np.array([[1.0, 1.0], [1.0, 3.0]])
    assert gradient(lambda x: np.sum(np.std(x, axis=1)), x).tolist() == [[0, 0], [-0.5, 0.5]]


def test_a_masked_deviation_ignores_nan_behind_the_mask():
    x, mask = np.array([1.0, 3.0, np.nan]), np.array([True, True, False])
    assert gradient(lambda x: np.std(x, where=mask), x).tolist() == [-0.5, 0.5, 0]
    assert gradient(lambda x: np.mean(x, where=mask), x).tolist() == [0.5, 0.5, 0]
    assert gradient(lambda x: np.sum(x, where=mask), x).tolist() == [1, 1, 0]


def test_the_option_mean_of_var_is_honoured():
    x = np.array([1.0, 4.0])
    # Around a fixed point c the variance is mean((x - c) ** 2).
    assert gradient(lambda x: np.var(x, mean=np.array(1.0)), x).tolist() == [0, 3]


def test_ddof_and_correction_exclude_each_other():
    with pytest.raises(ValueError, match="correction"):
        grad(lambda x: np.var(x, ddof=1, correction=1))(np.ones(3))


# --- dtypes and options --------------------------------------------------------------------------


@pytest.mark.parametrize("fun", [np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min])
@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"axis": 0, "keepdims": True}])
def test_single_and_half_precision_stay(fun, options):
    for dtype in (np.float32, np.float16):
        x = SINGLE.astype(dtype)
        out, pull = vjp(lambda x: fun(x, **options), x)
        assert out.dtype == fun(x, **options).dtype == dtype
        assert pull(np.ones_like(out))[0].dtype == dtype
        assert jacfwd(lambda x: fun(x, **options))(x).dtype == dtype


def test_half_precision_averages_as_numpy_does():
    x = np.full(3000, 60000, np.float16)  # the sum overflows half precision, the mean does not
    out, pull = vjp(np.mean, x)
    assert out == 60000
    assert (pull(np.float16(1))[0] == np.float16(1 / 3000)).all()


@pytest.mark.parametrize(
    "fun", [np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.argmax]
)
def test_out_is_refused(fun):
    with pytest.raises(FuncgradError):
        grad(lambda x: np.sum(fun(x, axis=0, out=np.zeros(3))))(np.ones((2, 3)))


@pytest.mark.parametrize("fun", [np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min])
@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, 5)])
def test_a_wrong_axis_is_numpys_error(fun, axis):
    with pytest.raises(ValueError, match="axis"):
        grad(lambda x: np.sum(fun(x, axis=axis)))(np.ones((2, 3)))


@pytest.mark.parametrize("axis", [0, -1])
def test_a_number_may_be_reduced_over_axis_0_where_numpy_lets_it(axis):
    number = np.array(0.7)
    for fun in (np.sum, np.prod, np.max, np.nansum, np.nanmean, np.hypot.reduce, np.cumsum):
        run = lambda x, fun=fun: np.sum(fun(x, axis=axis) ** 2)  # noqa: E731
        assert run(number) == jvp(run, (number,), (1.0,))[0]
        assert grad(run)(number) == pytest.approx(1.4)
        assert vmap(run)(np.full(2, 0.7)).tolist() == [run(number)] * 2
    assert vmap(lambda x: np.any(x, axis=axis))(np.arange(2.0)).tolist() == [False, True]
    for fun in (np.mean, np.var, np.median):
        with pytest.raises(np.exceptions.AxisError):
            grad(lambda x, fun=fun: fun(x, axis=axis))(number)


def test_an_unknown_option_is_an_error():
    with pytest.raises(TypeError):
        grad(lambda x: np.sum(x, wher=True))(np.ones(3))


@pytest.mark.parametrize("fun", [np.sum, np.prod, np.max, np.min])
def test_an_initial_value_does_not_widen(fun):
    expected = fun(SINGLE, initial=np.float64(1))
    out, pull = vjp(lambda x: fun(x, initial=np.float64(1)), SINGLE)
    assert out.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    assert pull(np.float32(1))[0].dtype == np.float32


@pytest.mark.parametrize("fun", [np.sum, np.prod, np.mean, np.var, np.std])
def test_a_mask_of_numbers_is_refused_as_numpy_refuses_it(fun):
    mask = np.array([2, 0, 1])
    with pytest.raises(TypeError):
        fun(np.ones(3), where=mask)
    with pytest.raises(TypeError):
        vjp(lambda x: fun(x, where=mask), np.ones(3))


def test_an_integer_dtype_gives_a_constant():
    out, pull = vjp(lambda x: np.sum(x, dtype=int), np.array([1.5, 2.5]))
    assert out == 3
    assert pull(0)[0].tolist() == [0, 0]


def test_the_axis_none_of_a_method_of_a_ufunc_is_not_the_default():
    x = np.ones((2, 3))
    assert vjp(np.add.reduce, x)[0].tolist() == [2, 2, 2]
    assert vjp(lambda x: np.add.reduce(x, None), x)[0] == 6


def test_a_changed_mask_counts_as_it_was():
    def loss(x):
        mask = np.array([True, False, True])
        y = np.sum(x * x, where=mask) + np.max(x, where=mask, initial=0.0)
        mask[:] = False
        return y

    assert grad(loss)(np.array([1.0, 2.0, 3.0])).tolist() == [2, 0, 7]


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (1, 2), (0, 2), None])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_tangent_of_a_large_sum_is_the_sum_of_the_tangent(axis, keepdims, dtype):
    x = np.arange(50 * 6 * 8, dtype=dtype).reshape(50, 6, 8)
    t = x[::-1, :, ::-1]  # whole numbers: every order of summation gives the same
    _, pushed = jvp(lambda x: np.sum(x, axis=axis, keepdims=keepdims), (x,), (t,))
    np.testing.assert_array_equal(pushed, np.sum(t, axis=axis, keepdims=keepdims))
    assert pushed.dtype == dtype


def test_an_infinite_tangent_stays_in_its_row():
    t = np.ones((200, 8))
    t[3, 2] = np.inf
    pushed = jvp(lambda x: np.sum(x, axis=1), (np.ones((200, 8)),), (t,))[1]
    np.testing.assert_array_equal(np.flatnonzero(np.isinf(pushed)), [3])


@pytest.mark.parametrize("fun", [np.sum, np.mean, np.max, np.min])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_reduction_is_the_same_with_and_without_further_options(fun, axis, keepdims):
    x = np.array([[0.5, 2.0, -1.0], [3.0, 0.25, 1.0]])
    runs = [
        lambda x: np.sum(fun(x, axis=axis, keepdims=keepdims) ** 3),
        lambda x: np.sum(fun(x, axis, keepdims=keepdims) ** 3),
        lambda x: np.sum(fun(x, axis=axis, keepdims=keepdims, out=None) ** 3),
        lambda x: np.sum(getattr(x, fun.__name__)(axis=axis, keepdims=keepdims) ** 3),
    ]
    for run in runs:
        np.testing.assert_allclose(grad(run)(x), grad(runs[0])(x), rtol=1e-15)
        assert vjp(run, x)[0] == run(x)


@pytest.mark.parametrize("fun", [np.sum, np.mean, np.max, np.min, np.prod])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("columns", [1, 2, 7, 8, 9, 12, 15, 16, 17])
def test_short_rows_are_reduced_as_numpy_reduces_them(fun, dtype, columns):
    x = np.random.default_rng(columns).normal(size=(300, 4, columns)).astype(dtype)
    for y in (x, np.asfortranarray(x), x[::-1], x.transpose(1, 0, 2)):
        for keepdims in (False, True):
            run = lambda x, keepdims=keepdims: fun(x, axis=-1, keepdims=keepdims)  # noqa: E731
            np.testing.assert_array_equal(vjp(run, y)[0], run(y))
