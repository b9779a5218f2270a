"""`funcgrad.scipy.stats`: values of SciPy, derivatives by central differences."""

import numpy as np
import pytest

from funcgrad import grad, jvp, vjp, vmap
from funcgrad.errors import UnsupportedError
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.stats")
special = pytest.importorskip("scipy.special")

from funcgrad.scipy import stats  # noqa: E402  # needs SciPy
from tests.scipy.claims import check_mirror  # noqa: E402

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
    "halfnorm": (),
    "f": (2.3, 3.7),
    "invgamma": (2.3,),
    "weibull_min": (1.4,),
    "gumbel_r": (),
    "gumbel_l": (),
    "gennorm": (1.7,),
    "truncnorm": (-0.4, 1.9),
    "wrapcauchy": (0.4,),
    "pareto": (2.3,),
}
# X stands for probabilities, and for values inside most supports
LOCATIONS = {"pareto": np.array(-2.3)}
DISCRETE = {
    "poisson": (np.array([1.3, 0.4, 2.2, 1.0]),),
    "bernoulli": (X,),
    "binom": (np.int64(5), X),
    "nbinom": (2.5, X),
    "geom": (X,),
    "betabinom": (np.int64(5), 1.7, X),
}
OF_VALUES = ["logpdf", "pdf", "cdf", "sf", "logcdf", "logsf"]


@pytest.mark.parametrize("kind", OF_VALUES)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_functions_of_a_value(name, kind):
    shapes = CONTINUOUS[name]

    def call(x, loc, scale):
        return getattr(getattr(stats, name), kind)(x, *shapes, loc, scale)

    args = (X, LOCATIONS.get(name, LOC), SCALE)
    expected = getattr(getattr(reference, name), kind)(X, *shapes, *args[1:])
    np.testing.assert_allclose(call(*args), expected, rtol=1e-11, atol=1e-14)
    check_grads(call, args, order=2)
    mapped = vmap(call, in_axes=(0, None, 0))(*args)
    np.testing.assert_allclose(mapped, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("kind", [*OF_VALUES, "ppf", "isf"])
@pytest.mark.parametrize("name", [name for name in CONTINUOUS if CONTINUOUS[name]])
def test_functions_by_shape(name, kind):
    shapes = [np.array(a) for a in CONTINUOUS[name]]
    fun = getattr(getattr(stats, name), kind)
    x = X + 1.2 if name == "pareto" and kind in OF_VALUES else X
    check_grads(lambda *a: fun(x, *a), shapes, order=2)


@pytest.mark.parametrize("kind", ["pdf", "logpdf"])
def test_the_von_mises_distribution(kind):
    args = (3 * X, np.array(1.4), LOC, SCALE)
    fun, expected = getattr(stats.vonmises, kind), getattr(reference.vonmises, kind)
    np.testing.assert_allclose(fun(*args), expected(*args), rtol=1e-12)
    check_grads(fun, args, order=2)
    with pytest.raises(UnsupportedError, match=r"vonmises\.cdf"):
        grad(stats.vonmises.cdf)(0.3, 1.0)


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
    low, high = getattr(reference, name).support(*CONTINUOUS[name])
    for x in (low - 1.0, high + 1.0):
        if np.isfinite(x):
            for kind in OF_VALUES:
                fun = getattr(getattr(stats, name), kind)
                expected = getattr(getattr(reference, name), kind)(x, *CONTINUOUS[name])
                assert fun(x, *CONTINUOUS[name]) == expected
            assert grad(getattr(stats, name).logpdf)(x, *CONTINUOUS[name]) == 0


@pytest.mark.parametrize("kind", ["logpmf", "pmf", "cdf", "sf", "logcdf", "logsf"])
@pytest.mark.parametrize("name", DISCRETE)
def test_functions_of_a_count(name, kind):
    args = DISCRETE[name]
    if name == "betabinom" and "pmf" not in kind:
        with pytest.raises(UnsupportedError, match="betabinom"):
            grad(getattr(stats.betabinom, kind), argnums=3)(1, *[np.ravel(a)[0] for a in args])
        return
    fun = getattr(getattr(stats, name), kind)
    for k in (K, K - 2, K + 4, K + 0.5):
        expected = getattr(getattr(reference, name), kind)(k, *args)
        np.testing.assert_allclose(fun(k, *args), expected, rtol=1e-10, atol=1e-15)
    possible = {"bernoulli": K % 2, "geom": K + 1}.get(name, K)
    if name == "bernoulli" and kind in ("logsf", "logcdf"):
        possible = 0 * K
    check_grads(lambda p: fun(possible, *args[:-1], p), args[-1:], order=2)
    np.testing.assert_allclose(vmap(fun)(possible, *_full(args)), fun(possible, *args), rtol=1e-12)


@pytest.mark.parametrize("kind", ["ppf", "isf"])
@pytest.mark.parametrize("name", DISCRETE)
def test_quantiles_of_counts_are_constants(name, kind):
    args = DISCRETE[name]
    fun, expected = (getattr(getattr(m, name), kind) for m in (stats, reference))
    np.testing.assert_array_equal(fun(X, *args), expected(X, *args))
    assert grad(lambda q: fun(q, *[np.ravel(a)[0] for a in args]) + q)(0.4) == 1
    np.testing.assert_array_equal(vmap(fun)(X, *_full(args)), expected(X, *args))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("poisson", (-1.0,)),
        ("bernoulli", (1.5,)),
        ("binom", (5, -0.1)),
        ("nbinom", (-2.0, 0.5)),
        ("geom", (1.5,)),
        ("betabinom", (5, -1.0, 2.0)),
    ],
)
def test_parameters_without_a_distribution_give_nan(name, args):
    with np.errstate(invalid="ignore"):
        assert np.isnan(getattr(stats, name).logpmf(1, *args))
    assert np.isnan(getattr(reference, name).logpmf(1, *args))


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


def test_the_multinomial_distribution():
    x, p = np.array([[1, 2, 0], [3, 0, 0], [1, 1, 2]]), np.array([0.2, 0.5, 0.3])
    np.testing.assert_allclose(
        stats.multinomial.logpmf(x, 3, p), reference.multinomial.logpmf(x, 3, p), rtol=1e-13
    )
    check_grads(lambda p: stats.multinomial.pmf(x, 3, p), (p,), order=2)


def test_the_entropy_of_the_multivariate_normal():
    expected = reference.multivariate_normal.entropy(MEAN, COVARIANCE)
    fun = stats.multivariate_normal.entropy
    np.testing.assert_allclose(fun(MEAN, COVARIANCE), expected, rtol=1e-13)
    np.testing.assert_allclose(
        grad(lambda c: fun(MEAN, c))(COVARIANCE), np.linalg.inv(COVARIANCE) / 2, rtol=1e-12
    )


def test_a_distribution_is_called_with_its_parameters():
    def loss(mu, sigma):
        return np.sum(stats.norm(mu, scale=sigma).logpdf(X))

    expected = grad(lambda mu: np.sum(stats.norm.logpdf(X, mu, 1.3)))(0.4)
    assert grad(loss)(0.4, 1.3) == expected
    frozen = stats.multivariate_normal(MEAN, COVARIANCE)
    expected = stats.multivariate_normal.logpdf(POINTS, MEAN, COVARIANCE)
    np.testing.assert_array_equal(frozen.logpdf(POINTS), expected)


def test_the_distribution_of_gamma_by_its_shape():
    # d Q(a, x) / d a = exp(-x) (log x + euler_gamma) + E_1(x) at a = 1
    slope = grad(lambda a: stats.gamma.sf(0.5, a))(1.0)
    expected = np.exp(-0.5) * (np.log(0.5) + np.euler_gamma) + special.exp1(0.5)
    assert slope == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [name for name in CONTINUOUS if CONTINUOUS[name]])
def test_shapes_that_have_no_distribution_give_nan(name):
    shapes = (1.0, -1.0) if name == "truncnorm" else [-1.0] * len(CONTINUOUS[name])
    for kind in (*OF_VALUES, "ppf"):
        with np.errstate(invalid="ignore"):
            assert np.isnan(getattr(getattr(stats, name), kind)(0.5, *shapes)), kind
        assert np.isnan(getattr(getattr(reference, name), kind)(0.5, *shapes)), kind


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_probability_outside_0_and_1_has_no_quantile(name):
    for q in (-0.1, 1.1):
        assert np.isnan(getattr(stats, name).ppf(q, *CONTINUOUS[name]))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_ends_of_the_support(name):
    # values as SciPy's, where it has one: its density at infinity is NaN at times, ours 0
    for x in getattr(reference, name).support(*CONTINUOUS[name]):
        for kind in ("pdf", "cdf", "sf"):
            with np.errstate(invalid="ignore"):
                expected = getattr(getattr(reference, name), kind)(x, *CONTINUOUS[name])
            value = getattr(getattr(stats, name), kind)(x, *CONTINUOUS[name])
            np.testing.assert_allclose(value, np.nan_to_num(expected, posinf=np.inf), atol=1e-15)
    for q in (0.0, 1.0):
        with np.errstate(divide="ignore"):
            value = getattr(stats, name).ppf(q, *CONTINUOUS[name])
        np.testing.assert_allclose(value, getattr(reference, name).ppf(q, *CONTINUOUS[name]))


def test_the_truncated_normal_far_into_a_tail():
    for a, b in ((8.0, 9.0), (-40.0, -38.0), (30.0, np.inf)):
        x = a + 0.3
        for kind in ("logpdf", "logcdf", "logsf"):
            expected = getattr(reference.truncnorm, kind)(x, a, b)
            assert getattr(stats.truncnorm, kind)(x, a, b) == pytest.approx(expected, rel=1e-9)


def test_other_names_are_scipys():
    assert stats.ttest_ind is reference.ttest_ind


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
    scores = jvp(lambda m: stats.norm.logpdf(x, m, 1.0), (0.3,), (1.0,))[1]
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


def test_what_has_no_rule_is_scipys_own_method_for_plain_arguments():
    assert stats.dirichlet.mean(np.ones(4)).tolist() == [0.25] * 4
    assert stats.norm.rvs(size=3, random_state=0).tolist() == [
        *reference.norm.rvs(size=3, random_state=0)
    ]
    assert stats.norm(1.0, 2.0).mean() == 1.0
    with pytest.raises(UnsupportedError, match=r"scipy\.stats\.norm\.moment"):
        grad(lambda loc: stats.norm.moment(2, loc=loc))(1.0)
    with pytest.raises(AttributeError):
        _ = stats.norm.no_such_method


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_singular_covariance_counts_the_space_it_spans(rank):
    rng = np.random.default_rng(rank)
    factor, mean = rng.normal(size=(3, rank)), rng.normal(size=3)
    z = rng.normal(size=(4, rank))

    def logpdf(z, mean, factor):
        x = mean + z @ factor.T
        return stats.multivariate_normal.logpdf(x, mean, factor @ factor.T, allow_singular=True)

    expected = reference.multivariate_normal.logpdf(
        mean + z @ factor.T, mean, factor @ factor.T, allow_singular=True
    )
    np.testing.assert_allclose(logpdf(z, mean, factor), expected, rtol=1e-9)
    check_grads(logpdf, (z, mean, factor), order=1)
    outside = stats.multivariate_normal.logpdf(
        np.eye(3)[0], np.zeros(3), np.diag([0.0, 1.0, 2.0]), allow_singular=True
    )
    assert outside == -np.inf


def test_a_missing_function_is_scipys_and_refuses_traced_arguments():
    assert stats.vonmises.cdf(0.3, 1.0, 0.1, 2.0) == reference.vonmises.cdf(0.3, 1.0, 0.1, 2.0)
    assert stats.betabinom.cdf(2, 5, 1.5, 2.0) == reference.betabinom.cdf(2, 5, 1.5, 2.0)
    for name, fun in (
        ("vonmises.cdf", lambda x: stats.vonmises.cdf(x, 1.0)),
        ("betabinom.sf", lambda a: stats.betabinom.sf(2, 5, a, 2.0)),
    ):
        with pytest.raises(UnsupportedError, match=f"scipy.stats.{name} has no derivative rule"):
            grad(fun)(1.0)


# --- statistics of samples -----------------------------------------------------------------------

SAMPLE = np.random.default_rng(0).uniform(0.5, 2, (4, 3))
WEIGHTS = np.random.default_rng(1).uniform(0.5, 2, (4, 3))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gmean", {}),
        ("gmean", {"axis": None, "weights": WEIGHTS}),
        ("hmean", {"axis": 1, "keepdims": True, "weights": WEIGHTS}),
        ("hmean", {}),
        *[("pmean", {"p": p, "axis": 1}) for p in (2.5, 0, -1)],
        ("moment", {"order": 3, "axis": 1}),
        ("moment", {"order": 2, "center": 0.3, "keepdims": True}),
        ("skew", {}),
        ("skew", {"axis": None, "bias": False}),
        ("kurtosis", {"fisher": False, "axis": 1}),
        ("kurtosis", {"bias": False, "axis": None, "keepdims": True}),
        ("sem", {}),
        ("sem", {"axis": None, "ddof": 0}),
        ("variation", {"ddof": 1, "axis": 1}),
        ("zscore", {}),
        ("zscore", {"axis": None, "ddof": 1}),
        ("entropy", {"axis": 0, "keepdims": True}),
        ("entropy", {"qk": WEIGHTS, "base": 2, "axis": 1}),
    ],
)
def test_statistics_of_samples(name, options):
    fun, original = getattr(stats, name), getattr(reference, name)
    check_mirror(fun, original, (SAMPLE,), options)
    single = SAMPLE.astype(np.float32)
    options = {key: x for key, x in options.items() if x is not WEIGHTS}
    assert vjp(lambda a: fun(a, **options), single)[0].dtype == original(single, **options).dtype


@pytest.mark.parametrize("method", ["average", "min", "max", "ordinal"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_ranks_are_constants(method, axis):
    x = np.round(SAMPLE, 1)

    def ranks(x):
        return stats.rankdata(x, method, axis=axis).reshape(x.shape) * x

    expected = reference.rankdata(x, method, axis=axis).reshape(x.shape)
    np.testing.assert_array_equal(vjp(ranks, x)[0], expected * x)
    np.testing.assert_array_equal(grad(lambda x: np.sum(ranks(x)))(x), expected)
    np.testing.assert_allclose(vmap(ranks)(np.stack([x, -x])), [ranks(x), ranks(-x)])


def test_an_option_of_a_statistic_without_a_rule_is_refused():
    for call in (
        lambda a: stats.gmean(a, nan_policy="omit"),
        lambda a: stats.moment(a, [1, 2]),
        lambda a: stats.rankdata(a, "dense"),
        lambda a: stats.gaussian_kde(a.reshape(-1)).integrate_box_1d(0, 1),
    ):
        with pytest.raises(UnsupportedError):
            vjp(call, SAMPLE)


@pytest.mark.parametrize(
    "bandwidth", [None, "silverman", 0.4, lambda kde: kde.scotts_factor() * 0.7]
)
@pytest.mark.parametrize("weights", [None, np.arange(1.0, 8.0)])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_kernel_densities(dimensions, weights, bandwidth):
    rng = np.random.default_rng(2)
    data, points = rng.normal(size=(dimensions, 7)), rng.normal(size=(dimensions, 3))
    data, points = (data[0], points[0]) if dimensions == 1 else (data, points)
    original = reference.gaussian_kde(data, bandwidth, weights)
    density = stats.gaussian_kde(data, bandwidth, weights)
    for name in ("evaluate", "pdf", "logpdf", "__call__"):
        np.testing.assert_allclose(getattr(density, name)(points), getattr(original, name)(points))
    check_grads(lambda d, x: stats.gaussian_kde(d, bandwidth, weights).logpdf(x), (data, points))
    check_grads(lambda w: stats.gaussian_kde(data, bandwidth, w)(points), (np.arange(1.0, 8.0),))
    rows = np.stack([data, data * 1.1])
    looped = [stats.gaussian_kde(row, bandwidth, weights)(points) for row in rows]
    mapped = vmap(lambda d: stats.gaussian_kde(d, bandwidth, weights)(points))(rows)
    np.testing.assert_allclose(mapped, looped)
    if dimensions == 1:
        assert density.integrate_box_1d(-1, 1) == pytest.approx(original.integrate_box_1d(-1, 1))
    with pytest.raises(ValueError, match="dimension"):
        density(np.zeros((3, 2)))


def test_a_bandwidth_rule_that_does_not_exist_is_refused_as_by_scipy():
    with pytest.raises(ValueError, match="bw_method"):
        stats.gaussian_kde(np.arange(4.0), "silver")
