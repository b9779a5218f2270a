"""The activations, their tails and kinks, and their derivatives."""

import math

import numpy as np
import pytest

from funcgrad import grad, nn, vmap
from funcgrad.testing import check_grads

INF, NAN = np.inf, np.nan


def derivative(fun, x):
    return grad(lambda x: fun(x).sum())(np.array(x))


def test_relu_is_the_positive_part_and_keeps_nan():
    x = np.array([-INF, -2.0, -0.0, 0.0, 3.0, INF, NAN])
    np.testing.assert_array_equal(nn.relu(x), [0, 0, 0, 0, 3, INF, NAN])


def test_relu_has_derivative_zero_at_zero():
    x = [-INF, -2.0, 0.0, 3.0, INF]
    np.testing.assert_array_equal(derivative(nn.relu, x), [0, 0, 0, 1, 1])


def test_sigmoid_keeps_its_relative_precision_in_both_tails():
    x = np.array([-700.0, -40.0, -1.0, 0.0, 1.0])
    np.testing.assert_allclose(nn.sigmoid(x), np.exp(x) / (1 + np.exp(x)), rtol=1e-14)
    np.testing.assert_allclose(1 - nn.sigmoid(x[1:]), nn.sigmoid(-x[1:]), rtol=1e-14)


def test_sigmoid_has_its_derivative_everywhere():
    x = np.array([-700.0, -40.0, -1.0, -1e-300, 0.0, 1e-300, 1.0, 40.0, 700.0])
    expected = nn.sigmoid(x) * nn.sigmoid(-x)
    np.testing.assert_allclose(derivative(nn.sigmoid, x), expected, rtol=1e-13)
    assert derivative(nn.sigmoid, [0.0]) == 0.25


def test_sigmoid_at_infinity():
    x = [-INF, -1e4, 1e4, INF]
    np.testing.assert_array_equal(nn.sigmoid(np.array(x)), [0, 0, 1, 1])
    np.testing.assert_array_equal(derivative(nn.sigmoid, x), [0, 0, 0, 0])


def test_tanh_is_numpys():
    x = np.linspace(-3, 3, 7)
    np.testing.assert_array_equal(nn.tanh(x), np.tanh(x))


@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 1)])
def test_softmax_sums_to_one_and_is_the_exponential_of_log_softmax(rng, axis):
    x = rng.normal(size=(3, 4))
    p = nn.softmax(x, axis)
    np.testing.assert_allclose(p, np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True), rtol=1e-14)
    np.testing.assert_allclose(np.exp(nn.log_softmax(x, axis)), p, rtol=1e-14)


def test_softmax_does_not_overflow():
    x = np.array([[1e4, -1e4], [1e308, 1e308], [-1e308, -1e308], [-INF, 2.0]])
    np.testing.assert_array_equal(nn.softmax(x), [[1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1]])
    np.testing.assert_array_equal(nn.log_softmax(x)[0], [0, -2e4])


@pytest.mark.parametrize("row", [[INF, 0.0], [-INF, -INF]])
def test_softmax_without_a_limit_is_nan(row):
    with np.errstate(invalid="ignore"):
        assert np.isnan(nn.softmax(np.array(row))).all()


def test_softmax_has_the_jacobian_diag_p_minus_p_p(rng):
    x, ct = rng.normal(size=5), rng.normal(size=5)
    p = nn.softmax(x)
    expected = p * ct - p * (p @ ct)
    np.testing.assert_allclose(grad(lambda x: nn.softmax(x) @ ct)(x), expected, atol=1e-15)


def test_log_softmax_has_the_jacobian_one_minus_p(rng):
    x, ct = rng.normal(size=5), rng.normal(size=5)
    expected = ct - nn.softmax(x) * ct.sum()
    np.testing.assert_allclose(grad(lambda x: nn.log_softmax(x) @ ct)(x), expected, atol=1e-15)


EVERY = [
    nn.elu,
    nn.gelu,
    nn.hard_tanh,
    nn.leaky_relu,
    nn.log_sigmoid,
    nn.log_softmax,
    nn.mish,
    nn.relu,
    nn.sigmoid,
    nn.silu,
    nn.softmax,
    nn.softplus,
    nn.tanh,
]


@pytest.mark.parametrize("fun", EVERY)
@pytest.mark.parametrize("at", [-1e4, -40.0, 40.0, 1e4])
def test_tails_are_finite(fun, at):
    x = np.array([at, 0.0])
    assert np.isfinite(fun(x)).all()
    assert np.isfinite(derivative(fun, x)).all()


@pytest.mark.parametrize(
    ("fun", "at_zero"),
    [(nn.relu, 0), (nn.leaky_relu, 0.01), (nn.elu, 1), (nn.gelu, 0.5), (nn.silu, 0.5)],
)
def test_derivatives_at_zero(fun, at_zero):
    np.testing.assert_allclose(derivative(fun, [0.0]), at_zero)


def test_hard_tanh_is_flat_at_its_ends():
    x = [-2.0, -1.0, 0.5, 1.0, 2.0]
    np.testing.assert_array_equal(nn.hard_tanh(np.array(x)), [-1, -1, 0.5, 1, 1])
    np.testing.assert_array_equal(derivative(nn.hard_tanh, x), [0, 0, 1, 0, 0])


def test_gelu_is_close_to_the_normal_distribution_function():
    erf = np.vectorize(math.erf)
    x = np.linspace(-5, 5, 101)
    np.testing.assert_allclose(nn.gelu(x), x * (1 + erf(x / 2**0.5)) / 2, atol=5e-4)


@pytest.mark.parametrize("fun", EVERY)
def test_second_derivatives(fun, rng):
    weights = rng.normal(size=(2, 3))
    check_grads(lambda x: (weights * fun(x)).sum(), (rng.normal(size=(2, 3)),))


@pytest.mark.parametrize("fun", EVERY)
def test_vmap_maps_rows(fun, rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(vmap(fun)(x), [fun(row) for row in x], rtol=1e-14)


@pytest.mark.parametrize("fun", EVERY)
def test_float32_and_shape_are_kept(fun):
    for shape in [(), (3,), (2, 3), (0, 3)]:
        x = np.ones(shape, np.float32)
        if shape or fun not in (nn.softmax, nn.log_softmax):
            y, g = fun(x), grad(lambda x: fun(x).sum())(x)
            assert (y.shape, y.dtype) == (shape, np.float32)
            assert (g.shape, g.dtype) == (shape, np.float32)
