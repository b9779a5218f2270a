"""L-BFGS: few evaluations, the Wolfe conditions, and what its parameters may be."""

import numpy as np
import pytest

from funcgrad import grad, nn, value_and_grad


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_lbfgs_needs_few_evaluations_of_rosenbrock():
    evaluations = 0

    def counted(x):
        nonlocal evaluations
        evaluations += 1
        return rosenbrock(x)

    start = np.tile([-1.2, 1.0], 5)
    x, info = nn.LBFGS().minimize(value_and_grad(counted), start, tol=1e-8)
    np.testing.assert_allclose(x, 1, atol=1e-8)
    assert info["converged"]
    assert evaluations < 130  # SciPy's L-BFGS-B: 96


def test_lbfgs_is_exact_on_a_quadratic(rng):
    a = rng.normal(size=(6, 6))
    a, b = a @ a.T + np.eye(6), rng.normal(size=6)
    opt = nn.LBFGS()
    x, info = opt.minimize(value_and_grad(lambda x: x @ a @ x / 2 - b @ x), np.zeros(6), tol=1e-9)
    np.testing.assert_allclose(x, np.linalg.solve(a, b), atol=1e-8)
    assert info["steps"] < 40


def test_every_step_of_lbfgs_satisfies_the_strong_wolfe_conditions():
    opt, x, fun = nn.LBFGS(), np.array([-1.2, 1.0]), value_and_grad(rosenbrock)
    state = opt.init(x)
    for _ in range(25):
        new, state = opt.update(fun, state, x)
        (f0, g0), (f1, g1) = fun(x), fun(new)
        slope = g0 @ (new - x)
        assert f1 <= f0 + 1e-4 * slope
        assert abs(g1 @ (new - x)) <= 0.9 * abs(slope) + 1e-12
        x = new


def test_lbfgs_over_pytrees_with_complex_and_single_leaves():
    goal = np.array([1 + 2j, 3 - 1j])

    def loss(p):
        return np.sum(np.abs(p["z"] - goal) ** 2) + np.sum((p["w"] - 1) ** 4 + (p["w"] - 1) ** 2)

    start = {"z": np.zeros(2, complex), "w": np.full(3, 2, np.float32), "none": None}
    params, info = nn.LBFGS().minimize(value_and_grad(loss), start)
    np.testing.assert_allclose(params["z"], goal, atol=1e-5)
    np.testing.assert_allclose(params["w"], 1, atol=1e-5)
    assert params["w"].dtype == np.float32
    assert params["none"] is None
    assert info["converged"]
    np.testing.assert_array_equal(start["z"], 0)


def test_lbfgs_keeps_off_where_the_function_is_not_defined():
    def barrier(x):
        return np.sum(x - np.log(x))

    with np.errstate(invalid="ignore"):
        x, info = nn.LBFGS().minimize(value_and_grad(barrier), np.array([1e-3, 30.0]))
    np.testing.assert_allclose(x, 1, atol=1e-6)
    assert info["converged"]


def test_lbfgs_at_a_minimum_or_without_parameters_has_nothing_to_do():
    fun = value_and_grad(lambda x: np.sum(x**2))
    x, info = nn.LBFGS().minimize(fun, np.zeros(2))
    assert info == {"value": 0.0, "steps": 0, "converged": True}
    x, _ = nn.LBFGS().update(fun, nn.LBFGS().init(x), x)
    np.testing.assert_array_equal(x, 0)
    assert nn.LBFGS().minimize(value_and_grad(np.sum), np.zeros(0))[1]["converged"]


def test_lbfgs_stops_where_nothing_leads_down():
    x, info = nn.LBFGS().minimize(value_and_grad(lambda x: np.sum(np.abs(x))), np.array([1.0, -3]))
    assert info["steps"] < 100
    assert np.abs(x).max() < 1e-6


def test_lbfgs_stops_at_the_limit_of_single_precision(rng):
    a, b = rng.normal(size=(50, 30)).astype(np.float32), rng.normal(size=50).astype(np.float32)

    def loss(x):
        return 1000 * np.sum((a @ x - b) ** 2)

    x, info = nn.LBFGS().minimize(value_and_grad(loss), np.zeros(30, np.float32), tol=1e-9)
    np.testing.assert_allclose(x, np.linalg.lstsq(a, b)[0], atol=1e-4)
    assert not info["converged"]
    assert info["steps"] < 150


def test_lbfgs_goes_nowhere_from_nan():
    fun = value_and_grad(lambda x: np.nan * np.sum(x))
    x, info = nn.LBFGS().minimize(fun, np.ones(2))
    np.testing.assert_array_equal(x, 1)
    assert not info["converged"]


def test_a_step_of_lbfgs_can_be_differentiated():
    opt = nn.LBFGS()

    def after(a):
        x = np.array([-1.2, 1.0]) * a
        state = opt.init(x)
        for _ in range(4):
            x, state = opt.update(value_and_grad(rosenbrock), state, x)
        return np.sum(x)

    slope = (after(1 + 1e-6) - after(1 - 1e-6)) / 2e-6
    assert grad(after)(1.0) == pytest.approx(slope, rel=1e-5)


def test_lbfgs_keeps_the_precision_of_its_parameters():
    x = np.full(3, 2, np.float32)
    opt = nn.LBFGS(memory=3)
    state = opt.init(x)
    for _ in range(5):
        x, state = opt.update(value_and_grad(lambda x: np.sum((x - 3) ** 2)), state, x)
    np.testing.assert_allclose(x, 3, rtol=1e-5)
    assert x.dtype == state["changes"].dtype == state["grad_changes"].dtype == np.float32
