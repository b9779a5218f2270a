"""The distributions that weights are drawn from."""

import functools
import pickle

import numpy as np
import pytest

from funcgrad import nn
from funcgrad.errors import ArgumentError, ShapeError

SHAPE = (200, 300)
FANS = [
    nn.xavier_normal,
    nn.xavier_uniform,
    nn.he_normal,
    nn.he_uniform,
    nn.lecun_normal,
    nn.lecun_uniform,
    nn.orthogonal,
]
MADE = [nn.constant(2.0), nn.normal(0.1), nn.truncated_normal(0.1), nn.uniform(-1.0, 2.0)]
ALL = [nn.zeros, nn.ones, *MADE, *FANS]


@pytest.mark.parametrize(
    ("init", "variance"),
    [
        (nn.normal(0.1), 0.01),
        (nn.xavier_normal, 2 / 500),
        (nn.xavier_uniform, 2 / 500),
        (nn.he_normal, 2 / 200),
        (nn.he_uniform, 2 / 200),
        (nn.lecun_normal, 1 / 200),
        (nn.lecun_uniform, 1 / 200),
        (nn.uniform(-1.0, 1.0), 1 / 3),
        (nn.truncated_normal(0.1), 0.01 * 0.7737),  # 1 - 4 phi(2) / (2 Phi(2) - 1)
        (functools.partial(nn.xavier_normal, gain=3.0), 18 / 500),
        (functools.partial(nn.xavier_uniform, gain=3.0), 18 / 500),
    ],
)
def test_mean_and_variance(init, variance, rng):
    w = init(rng, SHAPE)
    # Six standard deviations of the estimates from 60,000 draws (excess kurtosis at most 0).
    assert abs(w.mean()) < 6 * np.sqrt(variance / w.size)
    assert abs(w.var() / variance - 1) < 6 * np.sqrt(2 / w.size)


@pytest.mark.parametrize(
    ("init", "limit"), [(nn.xavier_uniform, (6 / 500) ** 0.5), (nn.he_uniform, (6 / 200) ** 0.5)]
)
def test_uniform_draws_fill_their_interval(init, limit, rng):
    w = init(rng, SHAPE)
    assert 0.999 * limit < np.abs(w).max() <= limit


def test_leading_axes_count_as_taps_of_a_convolution(rng):
    w = nn.he_normal(rng, (5, 5, 20, 300))
    assert abs(w.var() / (2 / (25 * 20)) - 1) < 0.02


@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (3, 3, 2, 5), (2, 2, 1, 40), (0, 3)])
def test_orthogonal_draws_have_orthonormal_rows_or_columns(shape, rng):
    w = nn.orthogonal(rng, shape, gain=2.0).reshape(-1, shape[-1]) / 2
    assert nn.orthogonal(rng, shape).shape == shape
    product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_orthogonal_draws_favour_no_sign(rng):
    first = [nn.orthogonal(rng, (2, 2))[0, 0] for _ in range(1000)]
    assert abs(np.mean(first)) < 6 * (0.5 / 1000) ** 0.5


def test_truncated_draws_stay_within_two_deviations(rng):
    draws = nn.truncated_normal(0.1)(rng, (10_000,))
    assert 0.199 < np.abs(draws).max() <= 0.2


def test_ones_and_constants_fill(rng):
    np.testing.assert_array_equal(nn.ones(rng, (2,)), [1, 1])
    np.testing.assert_array_equal(nn.constant(-0.5)(rng, (2,)), [-0.5, -0.5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.constant("1"), "value of nn.constant is a number, but got '1'"),
        (lambda: nn.truncated_normal(-1.0), "stddev of nn.truncated_normal is a number >= 0"),
        (lambda: nn.uniform(1.0, 0.0), "upper bound of nn.uniform is a number from `low`"),
        (lambda: nn.uniform("0", 1.0), "lower bound of nn.uniform"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize("init", ALL)
def test_one_seed_gives_one_draw_in_every_dtype(init):
    double = init(np.random.default_rng(7), (3, 4))
    single = init(np.random.default_rng(7), (3, 4), np.float32)
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(double.astype(np.float32), single)


@pytest.mark.parametrize("init", ALL)
def test_initializers_pickle(init):
    again = pickle.loads(pickle.dumps(init))
    assert again == init
    assert again(np.random.default_rng(0), (2, 2)).shape == (2, 2)


def test_glorot_is_the_same_person():
    assert nn.glorot_normal is nn.xavier_normal
    assert nn.glorot_uniform is nn.xavier_uniform


@pytest.mark.parametrize("init", FANS)
def test_a_vector_has_no_fans(init, rng):
    with pytest.raises(ShapeError, match=r"n_in, n_out.*\(3,\)"):
        init(rng, (3,))


@pytest.mark.parametrize("init", [*MADE[1:], *FANS])
def test_a_seed_is_no_generator(init):
    with pytest.raises(ArgumentError, match=r"but got 0.\n(.*\n)*.*default_rng"):
        init(0, (2, 2))


@pytest.mark.parametrize("stddev", [-1.0, np.nan, "0.1", np.random.default_rng(0)])
def test_a_wrong_stddev_is_refused(stddev):
    with pytest.raises(ArgumentError, match="stddev"):
        nn.normal(stddev)
