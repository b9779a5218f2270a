"""Distribution functions of `scipy.special`: derivatives by shapes, at values known from mathematics."""

import numpy as np
import pytest

from funcgrad import grad

sc = pytest.importorskip("scipy.special")

POINTS = [1e-6, 0.03, 0.4, 0.8, 0.999]
SHAPES = [0.05, 0.7, 3.0, 40.0, 900.0]


@pytest.mark.parametrize("a", SHAPES)
@pytest.mark.parametrize("x", POINTS)
def test_the_beta_distribution_with_one_shape_1_is_a_power(a, x):
    # I_x(a, 1) = x^a and I_x(1, b) = 1 - (1 - x)^b
    by_a = grad(lambda a: sc.betainc(a, 1.0, x))(a)
    np.testing.assert_allclose(by_a, x**a * np.log(x), rtol=1e-10, atol=1e-300)
    by_b = grad(lambda b: sc.betainc(1.0, b, x))(a)
    np.testing.assert_allclose(by_b, -((1 - x) ** a) * np.log1p(-x), rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("a", SHAPES)
@pytest.mark.parametrize("ratio", [0.01, 0.5, 0.99, 1.01, 1.5, 4.0])
def test_the_recurrence_of_the_gamma_distribution_holds_for_its_slope(a, ratio):
    # P(a + 1, x) = P(a, x) - x^a e^-x / gamma(a + 1), differentiated by a
    x = a * ratio
    last = np.exp(a * np.log(x) - x - sc.gammaln(a + 1)) * (np.log(x) - sc.psi(a + 1))
    slope = grad(lambda a: sc.gammainc(a, x))
    np.testing.assert_allclose(slope(a) - slope(a + 1), last, rtol=1e-9, atol=1e-13)


def test_no_mass_below_zero_moves_with_the_shape():
    assert grad(lambda a: sc.gammainc(a, 0.0))(2.0) == 0
    assert grad(lambda a: sc.betainc(a, 0.5, 0.0))(2.0) == 0
    assert abs(grad(lambda a: sc.betainc(a, 2.0, 1.0))(2.0)) < 1e-12


def test_an_inverse_undoes_the_shape():
    # F(a, F^-1(a, p)) = p whatever a is
    assert abs(grad(lambda a: sc.gammainc(a, sc.gammaincinv(a, 0.3)))(2.5)) < 1e-12
    assert abs(grad(lambda v: sc.stdtr(v, sc.stdtrit(v, 0.3)))(2.5)) < 1e-12


def test_student_with_one_degree_of_freedom_is_the_cauchy_distribution():
    # F = 1/2 + arctan(t) / pi, and by symmetry the median stays at 0
    np.testing.assert_allclose(grad(lambda t: sc.stdtr(1.0, t))(0.7), 1 / (np.pi * 1.49))
    assert grad(lambda v: sc.stdtr(v, 0.0))(3.0) == 0


def test_the_noncentral_t_density_is_smooth_at_zero():
    # at t = 0: gamma((v + 1)/2) / (sqrt(pi v) gamma(v/2)) exp(-nc^2 / 2)
    v, nc = 3.0, 0.8
    expected = sc.gamma(2) / (np.sqrt(np.pi * v) * sc.gamma(1.5)) * np.exp(-nc * nc / 2)
    np.testing.assert_allclose(grad(lambda t: sc.nctdtr(v, nc, t))(0.0), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.0, -np.log(2 * np.pi) / 2),
        (-2.0, -1.20205690315959428540 / (4 * np.pi**2)),  # -zeta(3) / (4 pi^2)
        (2.0, -0.93754825431584375370),
        (0.5, -3.92264613920915172747),
    ],
)
def test_the_slope_of_the_zeta_function(x, expected):
    np.testing.assert_allclose(grad(sc.zetac)(x), expected, rtol=1e-13)


def test_the_two_series_of_the_kolmogorov_distribution_agree_where_they_meet():
    slope = grad(sc.kolmogorov)
    assert np.isclose(slope(1 - 1e-13), slope(1 + 1e-13), rtol=1e-11)
    assert slope(0.0) == slope(-1.0) == slope(1e-3) == 0
