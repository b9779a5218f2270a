"""`funcgrad.scipy.stats`: values of SciPy, derivatives by central differences."""

import numpy as np
import pytest

from funcgrad import grad, jacrev, vmap
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.stats")

from funcgrad.scipy import stats  # noqa: E402  # needs SciPy

X = np.array([0.31, 0.72, 0.55, 0.14])
K = np.array([0, 1, 3, 2])
LOC, SCALE = np.array(-0.3), np.array([1.3, 1.7, 2.1, 1.9])

CONTINUOUS = {
    "norm": (),
    "t": (3.5,),
    "gamma": (2.3,),
    "chi2": (3.1,),
    "beta": (1.7, 2.4),
    "expon": (),
    "uniform": (),
    "laplace": (),
    "logistic": (),
    "cauchy": (),
    "lognorm": (0.8,),
}
DISCRETE = {
    "poisson": (np.array([1.3, 0.4, 2.2, 1.0]),),
    "bernoulli": (X,),
    "binom": (np.int64(5), X),
    "nbinom": (2.5, X),
}
OF_VALUES = ["logpdf", "pdf", "cdf", "sf", "logcdf", "logsf"]


@pytest.mark.parametrize("kind", OF_VALUES)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_functions_of_a_value(name, kind):
    shapes = CONTINUOUS[name]

    def call(x, loc, scale):
        return getattr(getattr(stats, name), kind)(x, *shapes, loc, scale)

    args = (X, LOC, SCALE)
    expected = getattr(getattr(reference, name), kind)(X, *shapes, LOC, SCALE)
    np.testing.assert_allclose(call(*args), expected, rtol=1e-11, atol=1e-14)
    check_grads(call, args, order=2)
    mapped = vmap(call, in_axes=(0, None, 0))(X, LOC, SCALE)
    np.testing.assert_allclose(mapped, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_density_by_shape(name):
    shapes = [np.array(a) for a in CONTINUOUS[name]]
    check_grads(lambda *a: getattr(stats, name).logpdf(X, *a), shapes, order=2)


@pytest.mark.parametrize("kind", ["ppf", "isf"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_quantiles(name, kind):
    shapes = CONTINUOUS[name]

    def call(q, loc, scale):
        return getattr(getattr(stats, name), kind)(q, *shapes, loc=loc, scale=scale)

    expected = getattr(getattr(reference, name), kind)(X, *shapes, LOC, SCALE)
    np.testing.assert_allclose(call(X, LOC, SCALE), expected, rtol=1e-10)
    check_grads(call, (X, LOC, SCALE), order=2)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_outside_the_support(name):
    low, high = getattr(stats, name).support
    for x in (low - 1.0, high + 1.0):
        if np.isfinite(x):
            for kind in OF_VALUES:
                fun = getattr(getattr(stats, name), kind)
                expected = getattr(getattr(reference, name), kind)(x, *CONTINUOUS[name])
                assert fun(x, *CONTINUOUS[name]) == expected
            assert grad(getattr(stats, name).logpdf)(x, *CONTINUOUS[name]) == 0


@pytest.mark.parametrize("kind", ["logpmf", "pmf", "cdf", "sf"])
@pytest.mark.parametrize("name", DISCRETE)
def test_functions_of_a_count(name, kind):
    args = DISCRETE[name]
    fun = getattr(getattr(stats, name), kind)
    for k in (K, K - 2, K + 4, K + 0.5):
        expected = getattr(getattr(reference, name), kind)(k, *args)
        np.testing.assert_allclose(fun(k, *args), expected, rtol=1e-11, atol=1e-15)
    possible = K if name != "bernoulli" else K % 2
    check_grads(lambda p: fun(possible, *args[:-1], p), args[-1:], order=2)
    np.testing.assert_allclose(vmap(fun)(possible, *_full(args)), fun(possible, *args), rtol=1e-12)


def _full(args):
    return [np.broadcast_to(x, K.shape).copy() for x in args]


COVARIANCE = np.array([[1.2, 0.3, 0.1], [0.3, 0.9, -0.2], [0.1, -0.2, 1.5]])
MEAN = np.array([0.2, -0.1, 0.5])
POINTS = np.cos(np.arange(12.0)).reshape(4, 3)


@pytest.mark.parametrize("kind", ["logpdf", "pdf"])
@pytest.mark.parametrize(
    ("x", "mean", "cov"),
    [
        (POINTS, MEAN, COVARIANCE),
        (POINTS[0], MEAN, COVARIANCE),
        (POINTS, MEAN, 1.0),
        (POINTS, MEAN, np.array([0.5, 1.0, 2.0])),
        (POINTS[:, 0], None, np.array(1.7)),
    ],
)
def test_the_multivariate_normal(kind, x, mean, cov):
    fun = getattr(stats.multivariate_normal, kind)
    expected = getattr(reference.multivariate_normal, kind)(x, mean, cov)
    np.testing.assert_allclose(fun(x, mean, cov), expected, rtol=1e-12)
    check_grads(lambda x: fun(x, mean, cov), (x,), order=2)
    if np.ndim(cov) == 2:
        check_grads(lambda m, c: fun(x, m, c @ c.T), (mean, cov), order=2)


@pytest.mark.parametrize("kind", ["logpdf", "pdf"])
def test_the_dirichlet_distribution(kind):
    alpha = np.array([1.3, 2.2, 0.7])
    x = np.array([[0.2, 0.5], [0.3, 0.1], [0.5, 0.4]])
    fun, expected = getattr(stats.dirichlet, kind), getattr(reference.dirichlet, kind)
    for points in (x, x[:, 0], x[:2]):
        np.testing.assert_allclose(fun(points, alpha), expected(points, alpha), rtol=1e-12)
        check_grads(fun, (points, alpha), order=2)


def test_a_distribution_is_differentiated_by_its_shape():
    # the beta distribution function with b = 1 is x^a
    assert np.isclose(grad(lambda a: stats.beta.cdf(0.5, a, 1.0))(2.0), 0.25 * np.log(0.5))


def test_parameters_are_named_as_in_scipy():
    by_name = stats.t.logpdf(0.3, df=3.0, loc=0.1, scale=2.0)
    np.testing.assert_allclose(by_name, reference.t.logpdf(0.3, df=3.0, loc=0.1, scale=2.0))
    with pytest.raises(TypeError, match="needs df"):
        stats.t.logpdf(0.3)
    with pytest.raises(TypeError, match="takes df, loc, scale"):
        stats.t.logpdf(0.3, nu=3.0)


def test_the_log_distribution_is_differentiable_far_into_the_tail():
    assert grad(stats.norm.logcdf)(-40.0) == pytest.approx(40.02496882, rel=1e-9)


def test_the_score_has_mean_zero():
    x = np.linspace(-12, 12, 4001)
    scores = jacrev(lambda m: stats.norm.logpdf(x, m, 1.0))(0.3)
    assert abs(np.sum(scores * stats.norm.pdf(x, 0.3, 1.0))) < 1e-10


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_scale_that_is_not_positive_gives_nan(name):
    for scale in (-1.0, np.array(-1.0)):
        for kind in (*OF_VALUES, "ppf", "isf"):
            fun = getattr(getattr(stats, name), kind)
            assert np.isnan(fun(0.5, *CONTINUOUS[name], scale=scale))


@pytest.mark.parametrize("name", ["norm", "logistic", "laplace", "expon"])
def test_infinity_has_density_zero(name):
    assert getattr(stats, name).pdf(np.inf) == 0
    assert getattr(stats, name).cdf(np.inf) == 1


def test_single_precision_stays():
    x = X.astype(np.float32)
    for name, shapes in CONTINUOUS.items():
        for kind in OF_VALUES:
            fun = getattr(getattr(stats, name), kind)
            assert fun(x, *shapes).dtype == np.float32, (name, kind)
