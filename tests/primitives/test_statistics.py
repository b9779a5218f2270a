"""Statistics at ties, NaN, empty slices and bounds."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, jacfwd, jacrev, vjp, vmap

NAN = np.nan


def gradient(fun, x):
    """Return the gradient, on which both modes must agree."""
    reverse, forward = grad(fun)(x), jacfwd(fun)(x)
    np.testing.assert_allclose(forward, reverse, rtol=1e-14, atol=1e-15)
    return reverse


# --- NaN -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fun", "expected"),
    [
        (np.nansum, [1, 0, 1]),
        (np.nanprod, [3, 0, 2]),
        (np.nanmean, [0.5, 0, 0.5]),
        (np.nanmax, [0, 0, 1]),
        (np.nanmin, [1, 0, 0]),
        (np.nanmedian, [0.5, 0, 0.5]),
        (np.nanvar, [-0.5, 0, 0.5]),
        (np.nanstd, [-0.5, 0, 0.5]),
        (lambda x: np.nanquantile(x, 0.25), [0.75, 0, 0.25]),
    ],
)
def test_nan_has_derivative_zero(fun, expected):
    np.testing.assert_allclose(gradient(fun, np.array([2.0, NAN, 3.0])), expected, atol=1e-15)


def test_a_slice_of_nan_alone_has_no_extreme():
    x = np.array([[NAN, NAN], [1.0, 2.0]])
    assert gradient(lambda x: np.nansum(np.nanmax(x, axis=1)), x).tolist() == [[0, 0], [0, 1]]
    with pytest.raises(ValueError, match="All-NaN"):
        grad(lambda x: x[np.nanargmax(x)])(np.array([NAN, NAN]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, of slices without numbers
@pytest.mark.parametrize("fun", [np.nanmean, np.nanvar, np.nanmedian, np.nanmax, np.nanmin])
def test_a_slice_of_nan_alone_gives_nan_and_takes_no_derivative(fun):
    x = np.array([[NAN, NAN, NAN], [1.0, 2.5, NAN]])
    assert np.isnan(fun(x, axis=1)).tolist() == [True, False]
    assert np.isfinite(gradient(lambda x: np.nansum(fun(x, axis=1)), x)).all()


@pytest.mark.parametrize("method", ["linear", "lower", "midpoint", "hazen", "inverted_cdf"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_quantiles_of_slices_with_different_counts_are_numpys(method, keepdims):
    x = np.array(
        [[3.0, NAN, 1.0, 2.0], [NAN, 5.0, NAN, 4.5], [0.3, 0.1, 0.7, 0.2], [NAN, NAN, 8.0, NAN]]
    )

    def fun(x):
        return np.nanquantile(x, [0.1, 0.5, 0.9], axis=1, method=method, keepdims=keepdims)

    np.testing.assert_allclose(vjp(fun, x)[0], fun(x), rtol=1e-14)
    rows = [jacrev(lambda r: np.nanquantile(r, [0.1, 0.5, 0.9], method=method))(r) for r in x]
    found = jacrev(fun)(x).reshape(3, 4, 4, 4)
    np.testing.assert_allclose([found[:, i, i] for i in range(4)], rows, atol=1e-14)
    assert jacrev(fun)(x).sum() == pytest.approx(12)


def test_a_quantile_of_nan_is_nan():
    jacobian = jacrev(lambda x: np.stack([np.median(x), np.quantile(x, 0.3)]))
    assert jacobian(np.array([1.0, NAN])).shape == (2, 2)


# --- order statistics ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([1.0, 2.0, 3.0], [0, 1, 0]),
        ([1.0, 4.0, 3.0, 2.0], [0, 0, 0.5, 0.5]),
        ([2.0, 2.0, 2.0], [1 / 3] * 3),
        ([2.0, 1.0, 2.0, 2.0], [1 / 3, 0, 1 / 3, 1 / 3]),
        ([1.0, 2.0, 2.0, 3.0], [0, 0.5, 0.5, 0]),
        ([1.0, 1.0, 2.0, 3.0], [0.25, 0.25, 0.5, 0]),
        ([5.0], [1]),
    ],
)
@pytest.mark.parametrize(
    "fun", [np.median, np.nanmedian, lambda x: np.quantile(x, 0.5), lambda x: np.percentile(x, 50)]
)
def test_ties_share_the_derivative_of_the_median_evenly(fun, x, expected):
    np.testing.assert_allclose(gradient(fun, np.array(x)), expected, rtol=1e-15)


def test_ties_share_under_vmap_too():
    x = np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    np.testing.assert_allclose(vmap(grad(np.median))(x), [[1 / 3] * 3, [0, 1, 0]])


def test_the_slope_of_a_quantile_is_that_between_its_neighbours():
    x = np.array([1.0, 2.0, 4.0])
    assert grad(lambda q: np.quantile(x + 0 * q, q))(0.75) == 4
    assert grad(lambda q: np.percentile(x + 0 * q, q))(25.0) == pytest.approx(0.02)


@pytest.mark.parametrize("q", [0.0, 1.0])
def test_the_quantiles_at_the_ends_are_the_extremes(q):
    expected = [1, 0, 0] if q == 0 else [0, 0, 1]
    assert gradient(lambda x: np.quantile(x, q), np.array([1.0, 2.0, 3.0])).tolist() == expected


def test_ties_share_the_range():
    assert gradient(np.ptp, np.array([1.0, 1.0, 3.0])).tolist() == [-0.5, -0.5, 1]


@pytest.mark.parametrize("q", [-0.1, 1.1])
def test_a_quantile_outside_is_an_error(q):
    with pytest.raises(ValueError, match="range"):
        grad(lambda x: np.quantile(x, q))(np.ones(3))


def test_a_weighted_quantile_is_one_of_the_entries():
    def quantile(x, w):
        return np.quantile(x, 0.5, method="inverted_cdf", weights=w)

    x, w = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 5.0])
    assert grad(quantile)(x, w).tolist() == [0, 0, 1]
    assert grad(quantile, argnums=1)(x, w).tolist() == [0, 0, 0]
    assert np.allclose(grad(quantile)(np.ones(3), w), 1 / 3)  # ties share evenly


def test_weights_of_quantiles_need_the_method_that_numpy_has_them_for():
    with pytest.raises(ValueError, match="inverted_cdf"):
        grad(lambda x: np.quantile(x, 0.5, weights=np.ones(3)))(np.ones(3))


@pytest.mark.parametrize("fun", [np.ptp, np.median, np.nanmean, np.nansum])
def test_out_is_refused(fun):
    with pytest.raises(FuncgradError, match="out="):
        grad(lambda x: fun(x, out=np.zeros(())))(np.ones(3))


# --- averages, covariances, histograms -----------------------------------------------------------


def test_an_average_with_weights_that_cancel_is_an_error():
    with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
        grad(lambda x: np.average(x, weights=np.array([1.0, -1.0])))(np.ones(2))


def test_a_perfect_correlation_has_derivative_zero():
    y = np.array([1.0, 2.0, 4.0])
    found = gradient(lambda x: np.corrcoef(x, y)[0, 1], 2 * y + 1)
    np.testing.assert_allclose(found, 0, atol=1e-15)


def test_the_covariances_of_no_variables_are_none():
    assert vjp(np.cov, np.zeros((0, 3)))[0].shape == (0, 0)


def test_the_derivative_of_a_covariance_by_a_weight():
    x = np.array([1.0, 3.0, 8.0])
    found = gradient(lambda w: np.cov(x + 0 * w, aweights=w, ddof=0), np.ones(3))
    distance = x - 4
    np.testing.assert_allclose(found, (distance**2 - np.mean(distance**2)) / 3)


def test_counts_are_constants_and_weights_are_not():
    x, edges = np.array([0.1, 0.2, 0.7]), np.array([0.0, 0.5, 1.0])
    counts = []

    def loss(w):
        counts.append(np.histogram(x * w, edges)[0])
        return np.histogram(x, edges, weights=w)[0][0]

    assert gradient(loss, np.ones(3)).tolist() == [1, 1, 0]
    assert counts[0].tolist() == [2, 1]
    assert type(counts[0]) is np.ndarray


def test_the_last_bin_includes_its_upper_edge():
    found = gradient(
        lambda w: np.histogram([0.0, 1.0, 1.5], [0.0, 0.5, 1.0], weights=w)[0][1], np.ones(3)
    )
    assert found.tolist() == [0, 1, 0]


def test_data_cannot_be_counted_under_vmap():
    with pytest.raises(FuncgradError, match="mapped"):
        vmap(lambda x: np.histogram(x, 3)[0])(np.ones((2, 3)))


def test_bins_of_two_kinds():
    x, bins = np.array([3.0, 1.0, 2.0]), [np.array([0.0, 2.0, 4.0]), 2]
    found = gradient(lambda w: np.histogram2d(x, x, bins, weights=w)[0][0, 0], np.ones(3))
    assert found.tolist() == [0, 1, 0]
