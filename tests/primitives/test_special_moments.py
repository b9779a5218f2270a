"""The derivatives of the incomplete gamma and beta functions by their parameters."""

import numpy as np
import pytest

from funcgrad import grad, jvp, vmap

sc = pytest.importorskip("scipy.special")


def slopes(fun, x):
    """Return the derivative of an elementwise function at each entry."""
    return jvp(fun, (x,), (np.ones_like(x),))[1]


@pytest.mark.parametrize("a", np.logspace(-4, 5, 10))
def test_betainc_with_one_parameter_equal_to_1(a):
    # I_x(a, 1) = x^a and I_x(1, b) = 1 - (1 - x)^b
    x = np.concatenate([np.logspace(-12, -0.4, 9), 1 - np.logspace(-9, -0.4, 9)])
    by_a = slopes(lambda a: sc.betainc(a, 1.0, x), np.full(x.shape, a))
    np.testing.assert_allclose(by_a, x**a * np.log(x), rtol=1e-9, atol=1e-300)
    by_b = slopes(lambda b: sc.betainc(1.0, b, x), np.full(x.shape, a))
    np.testing.assert_allclose(by_b, -((1 - x) ** a) * np.log1p(-x), rtol=1e-9, atol=1e-300)


def test_gammainc_at_one():
    # d Gamma(a, x) / d a = exp(-x) log x + E_1(x) at a = 1 (8.8, 6.2 of the DLMF)
    x = np.logspace(-3, 2.5, 40)
    by_a = slopes(lambda a: sc.gammaincc(a, x), np.ones_like(x))
    tail = np.exp(-x) * (np.log(x) + np.euler_gamma) + sc.exp1(x)
    np.testing.assert_allclose(by_a, tail, rtol=1e-11, atol=1e-300)


def test_the_recurrences_of_gammainc():
    # P(a + 1, x) = P(a, x) - x^a exp(-x) / Gamma(a + 1), differentiated by a
    a, x = np.meshgrid(np.logspace(-3, 4, 15), np.logspace(-6, 4, 21))
    density = np.exp(sc.xlogy(a, x) - x - sc.gammaln(a + 1))
    step = density * (np.log(x) - sc.psi(a + 1))
    first = slopes(lambda a: sc.gammainc(a, x), a)
    following = slopes(lambda a: sc.gammainc(a + 1, x), a)
    size = np.abs(first) + np.abs(following) + np.abs(step)
    assert np.max(np.abs(following - first + step) / (size + 1e-290)) < 1e-9


def test_the_recurrences_of_betainc():
    # I_x(a + 1, b) = I_x(a, b) - x^a (1 - x)^b / (a B(a, b)), differentiated by a and by b
    rng = np.random.default_rng(0)
    a, b = 10 ** rng.uniform(-2.5, 3.5, (2, 300))
    x = sc.betaincinv(a, b, rng.uniform(0.001, 0.999, 300))
    inside = (x > 1e-200) & (x < 1 - 1e-9)
    a, b, x = a[inside], b[inside], x[inside]
    part = np.exp(a * np.log(x) + b * np.log1p(-x) - sc.betaln(a, b)) / a
    steps = [
        part * (np.log(x) - sc.psi(a) + sc.psi(a + b) - 1 / a),
        part * (np.log1p(-x) - sc.psi(b) + sc.psi(a + b)),
    ]
    for i, step in enumerate(steps):
        args = [a, b]

        def value(p, i=i, up=0, args=args):
            full = [*args[:i], p, *args[i + 1 :]]
            return sc.betainc(full[0] + up, full[1], x)

        first = slopes(value, args[i])
        following = slopes(lambda p, value=value: value(p, up=1), args[i])
        size = np.abs(first) + np.abs(following) + np.abs(step)
        assert np.max(np.abs(following - first + step) / (size + 1e-290)) < 1e-9


def test_higher_derivatives_of_gammainc_at_one_half():
    # By differences of the derivative below, to fourth order in the step
    h = 1e-3
    fun = lambda a: sc.gammainc(a, 0.8)  # noqa: E731
    for _ in range(3):
        slope = grad(fun)
        near = 8 * (fun(0.5 + h) - fun(0.5 - h)) - (fun(0.5 + 2 * h) - fun(0.5 - 2 * h))
        assert slope(0.5) == pytest.approx(near / (12 * h), rel=1e-8)
        fun = slope


@pytest.mark.parametrize("at", [-0.5, 0.5])
def test_both_sides_of_the_turning_point_agree(at):
    # The integral is taken over (0, x) left of exp(psi(a)), over (x, inf) right of it.
    a = 2.3
    turn = np.exp(sc.psi(a))
    at = turn * (1 + 1e-9 * at)
    values = [at]
    fun = lambda a: sc.gammainc(a, at)  # noqa: E731
    for _ in range(3):
        fun = grad(fun)
        values.append(fun(a))
    left = [turn * (1 - 1e-9)]
    fun = lambda a: sc.gammainc(a, left[0])  # noqa: E731
    for _ in range(3):
        fun = grad(fun)
        left.append(fun(a))
    np.testing.assert_allclose(values, left, rtol=1e-7)


@pytest.mark.parametrize(
    ("fun", "args"),
    [(sc.gammainc, (-1.0, 0.5)), (sc.gammainc, (np.nan, 0.5)), (sc.betainc, (2.0, -1.0, 0.5))],
)
def test_outside_the_domain_the_derivative_is_nan(fun, args):
    assert np.isnan(grad(fun)(*args))


def test_shapes_and_dtypes():
    x = np.array([[0.3, 0.7]], np.float32)
    for a in (np.ones((3, 1), np.float32), np.ones((0, 1), np.float32), np.float32(2)):
        g = grad(lambda a: np.sum(sc.gammainc(a, x)))(a)
        assert (g.shape, g.dtype) == (a.shape, np.float32)
    mapped = vmap(grad(lambda a: sc.gammainc(a, 0.3)))(np.array([1, 2, 3.0]))
    assert mapped.shape == (3,)
