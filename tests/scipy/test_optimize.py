"""`funcgrad.scipy.optimize`: SciPy's solutions, over pytrees, with derivatives."""

import numpy as np
import pytest

from funcgrad import errors, grad, hessian, jacfwd, jacrev, jvp, vmap
from funcgrad.errors import (
    ArgumentError,
    NonDifferentiableError,
    NonScalarOutputError,
    ShapeError,
    SolverError,
    StructureError,
    UnsupportedError,
)
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.optimize")

from funcgrad.scipy import optimize  # noqa: E402  # needs SciPy
from tests.scipy.claims import signatures_differ  # noqa: E402

START = {"w": np.zeros((2, 2)), "b": np.array(0.5)}
TARGET = np.array([[0.0, 1.0], [2.0, 3.0]])


def bowl(p, c=1.0):
    """Return a convex loss whose minimum is at w = TARGET and b = c."""
    d = p["w"] - TARGET
    return np.sum(d**2 + d**4 / 4) + (p["b"] - c) ** 2 + np.sum(d) ** 2


ROSENBROCK = np.array([-0.7, 1.3, 0.4])

METHODS = [
    "Nelder-Mead",
    "Powell",
    "CG",
    "BFGS",
    "Newton-CG",
    "L-BFGS-B",
    "TNC",
    "COBYLA",
    "COBYQA",
]
METHODS += ["SLSQP", "trust-constr", "dogleg", "trust-ncg", "trust-exact", "trust-krylov", None]


# --- minimize ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_a_pytree(method):
    options = {"maxiter": 3000} if method == "Nelder-Mead" else None
    result = optimize.minimize(bowl, START, method=method, tol=1e-9, options=options)
    assert set(result.x) == {"w", "b"}
    assert result.x["w"].shape == (2, 2)
    np.testing.assert_allclose(result.x["w"], TARGET, atol=2e-3)
    np.testing.assert_allclose(result.x["b"], 1, atol=2e-3)
    if method in ("BFGS", None):
        assert result.success
        assert result.jac["w"].shape == (2, 2)


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "Newton-CG", "trust-exact", "trust-constr"])
def test_the_steps_are_scipys_with_exact_derivatives(method):
    rosen, jac, hess = reference.rosen, reference.rosen_der, reference.rosen_hess
    options = {"method": method, "tol": 1e-8}

    def fun(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    needs = {"hess": hess} if method in ("Newton-CG", "trust-exact", "trust-constr") else {}
    expected = reference.minimize(rosen, ROSENBROCK, jac=jac, **needs, **options)
    got = optimize.minimize(fun, ROSENBROCK, **options)
    np.testing.assert_allclose(got.x, expected.x, atol=1e-6)
    assert abs(got.nit - expected.nit) <= 2


def test_numbers_become_an_array_as_in_scipy():
    assert optimize.minimize(lambda x: (x[0] - 3) ** 2, 1).x.shape == (1,)
    result = optimize.minimize(lambda x: np.sum((x - 2) ** 2), [1, 0.5])
    np.testing.assert_allclose(result.x, [2, 2], atol=1e-6)


def test_arguments_and_dtypes_are_kept():
    start = {"w": np.zeros(2, np.float32), "scale": (np.zeros((1, 2)),)}

    def loss(p, a, b):
        return np.sum((p["w"] - a) ** 2) + np.sum((p["scale"][0] - b["c"]) ** 2)

    result = optimize.minimize(loss, start, args=(2.0, {"c": 3.0}), method="L-BFGS-B")
    assert result.x["w"].dtype == np.float32
    np.testing.assert_allclose(result.x["w"], 2, atol=1e-3)
    np.testing.assert_allclose(result.x["scale"][0], [[3, 3]], atol=1e-3)
    assert optimize.minimize(lambda x, a: np.sum((x - a) ** 2), [0.0], args=2.0).x.shape == (1,)


def test_derivatives_that_are_given_are_used():
    calls = []

    def note(name, out):
        calls.append(name)
        return out

    gradient, curvature = grad(bowl), np.asarray(hessian(lambda v: np.sum(v**2))(np.zeros(5)))
    optimize.minimize(bowl, START, jac=lambda p: note("jac", gradient(p)))
    optimize.minimize(lambda p: (bowl(p), note("both", gradient(p))), START, jac=True)
    optimize.minimize(bowl, START, method="dogleg", hess=lambda p: note("hess", curvature))
    optimize.minimize(bowl, START, method="Newton-CG", hessp=lambda p, v: note("hessp", v))
    assert set(calls) == {"jac", "both", "hess", "hessp"}
    numerical = optimize.minimize(bowl, START, jac="2-point")
    assert numerical.nfev > 2 * optimize.minimize(bowl, START).nfev
    np.testing.assert_allclose(numerical.x["w"], TARGET, atol=1e-4)


def test_bounds():
    lower = {"w": 0.5, "b": None}
    for bounds in ((lower, None), (lower, {"w": np.full((2, 2), 9.0), "b": 5}), (lower, np.inf)):
        result = optimize.minimize(bowl, START, bounds=bounds)
        assert result.x["w"].min() == 0.5
        assert np.isclose(result.x["b"], 1, atol=1e-5)
    flat = optimize.minimize(
        lambda x: np.sum((x - 2) ** 2), [0.0, 0.0], bounds=[(0, 1), (None, None)]
    )
    np.testing.assert_allclose(flat.x, [1, 2], atol=1e-6)
    table = optimize.minimize(
        lambda x: np.sum((x - TARGET) ** 2), np.ones((2, 2)), bounds=reference.Bounds(0.5, 2.5)
    )
    np.testing.assert_allclose(table.x, np.clip(TARGET, 0.5, 2.5), atol=1e-6)
    with pytest.raises(ArgumentError, match="pair of pytrees"):
        optimize.minimize(bowl, START, bounds=[(0, 1)] * 5)
    with pytest.raises(StructureError, match="bounds"):
        optimize.minimize(bowl, START, bounds=({"v": 0, "b": 1}, None))


@pytest.mark.filterwarnings(
    "ignore:delta_grad == 0.0", "ignore:Equality and inequality"
)  # SciPy's advice
@pytest.mark.parametrize("method", ["SLSQP", "trust-constr"])
def test_constraints_take_the_pytree(method):
    # min |w|^2 + b^2 with b = 1 and w_00 + w_01 >= 2 is at b = 1, w_0 = (1, 1)
    constraints = [
        {"type": "eq", "fun": lambda p: p["b"] - 1},
        {"type": "ineq", "fun": lambda p, s: [p["w"][0, 0] + p["w"][0, 1] - s], "args": (2.0,)},
    ]

    def loss(p):
        return np.sum(p["w"] ** 2) + p["b"] ** 2

    for given in (
        constraints,
        reference.NonlinearConstraint(
            lambda p: np.stack([p["b"], p["w"][0].sum()]), [1, 2], [1, np.inf]
        ),
        reference.LinearConstraint(
            np.array([[0, 0, 0, 0, 1], [1, 1, 0, 0, 0]]), [1, 2], [1, np.inf]
        ),
    ):
        result = optimize.minimize(loss, START, method=method, constraints=given)
        np.testing.assert_allclose(result.x["w"], [[1, 1], [0, 0]], atol=1e-3)
        np.testing.assert_allclose(result.x["b"], 1, atol=1e-3)
    assert np.isclose(optimize.minimize(loss, START, constraints=constraints).x["b"], 1)


def test_callbacks_get_the_pytree():
    seen = []
    optimize.minimize(bowl, START, callback=lambda xk: seen.append(xk["w"].shape))

    def stop(intermediate_result):
        seen.append(intermediate_result.x["b"].shape)
        raise StopIteration

    result = optimize.minimize(bowl, START, callback=stop)
    assert (2, 2) in seen
    assert seen[-1] == ()
    assert result.nit == 1


def test_a_solution_is_differentiable():
    # the minimum of sum (x - a)^2 + c x^2 is a / (1 + c)
    def solution(a, c):
        return optimize.minimize(
            lambda x, a, c: np.sum((x - a) ** 2) + c * np.sum(x**2), np.zeros(2), (a, c)
        ).x

    a, c = np.array([1.0, 2.0]), 0.5
    by_a, by_c = jacrev(solution, argnums=(0, 1))(a, c)
    np.testing.assert_allclose(by_a, np.eye(2) / 1.5, atol=1e-6)
    np.testing.assert_allclose(by_c, -a / 1.5**2, atol=1e-6)
    np.testing.assert_allclose(jacfwd(solution, argnums=1)(a, c), by_c, atol=1e-10)
    second = jacfwd(jacrev(solution, argnums=1), argnums=1)(a, c)
    np.testing.assert_allclose(second, 2 * a / 1.5**3, atol=1e-5)
    batch = np.stack([a, 2 * a])
    np.testing.assert_allclose(vmap(solution, (0, None))(batch, c), batch / 1.5, atol=1e-6)


def test_a_solution_over_a_pytree_is_differentiable():
    def solution(c):
        result = optimize.minimize(bowl, START, args=(c,), tol=1e-10)
        return result.x, result.fun

    x, value = jvp(solution, (2.0,), (1.0,))[1]
    np.testing.assert_allclose(x["b"], 1, rtol=1e-8)
    np.testing.assert_allclose(x["w"], 0, atol=1e-7)
    np.testing.assert_allclose(value, 0, atol=1e-7)


def test_errors_name_the_loss():
    def squares(x):
        return x**2

    with pytest.raises(NonScalarOutputError, match="squares"):
        optimize.minimize(squares, np.ones(2))
    with pytest.raises(NonScalarOutputError, match="minimize needs"):
        optimize.minimize(lambda x: x**2, np.ones(2), method="Powell")
    with pytest.raises(NonDifferentiableError, match="not real"):
        optimize.minimize(bowl, {"w": np.zeros(2, complex)})
    with pytest.raises(NonDifferentiableError, match="not real"):
        optimize.minimize(bowl, {"w": "text"})
    closures = [
        lambda a: optimize.root(lambda x: x - a, 1.0).x[0],
        lambda a: optimize.least_squares(lambda x: x - a, [1.0]).x[0],
        lambda a: optimize.brentq(lambda x: x - a, 0.0, 2.0),
        lambda a: optimize.brentq(lambda x, b: x - a, 0.0, 2.0, args=(a,)),
        lambda a: optimize.curve_fit(lambda x, b: a * b * x, TIMES, DATA)[0][0],
    ]
    for call in closures:
        with pytest.raises(ArgumentError, match="traced value that is not among"):
            grad(call)(1.0)
    for method in ("BFGS", "Powell"):
        with pytest.raises(ArgumentError, match="traced value that is not among"):
            grad(
                lambda a, m=method: optimize.minimize(
                    lambda x: np.sum((x - a) ** 2), [1.0], method=m
                ).x[0]
            )(1.0)


def test_bounds_and_constraints_of_a_traced_problem_are_refused():
    def call(**options):
        grad(
            lambda a: optimize.minimize(
                lambda x, a: np.sum((x - a) ** 2), [1.0], (a,), **options
            ).x[0]
        )(1.0)

    with pytest.raises(UnsupportedError, match="bounds"):
        call(bounds=[(0, 1)])
    with pytest.raises(UnsupportedError, match="constraints"):
        call(constraints={"type": "eq", "fun": np.sum})


# --- root ----------------------------------------------------------------------------------------


def equations(x, a):
    return [x[0] + 0.5 * (x[0] - x[1]) ** 3 - a, 0.5 * (x[1] - x[0]) ** 3 + x[1]]


@pytest.mark.parametrize("method", ["hybr", "lm", "broyden1", "krylov", "df-sane"])
def test_roots_are_scipys(method):
    expected = reference.root(equations, [0.5, 0.5], args=(1.0,), method=method, tol=1e-8)
    got = optimize.root(equations, [0.5, 0.5], args=(1.0,), method=method, tol=1e-8)
    np.testing.assert_allclose(got.x, expected.x, atol=1e-6)
    assert np.shape(got.fun) == (2,)
    if method == "hybr":
        assert got.njev >= 1


def test_roots_over_pytrees():
    def pair(p, a):
        return {"u": p["u"] ** 2 - a, "v": p["v"] + np.sum(p["u"])}

    start = {"u": np.ones(2), "v": np.array(0.0)}
    result = optimize.root(pair, start, args=(np.array([4.0, 9.0]),))
    np.testing.assert_allclose(result.x["u"], [2, 3], rtol=1e-8)
    np.testing.assert_allclose(result.x["v"], -5, rtol=1e-8)
    np.testing.assert_allclose(result.fun["u"], 0, atol=1e-8)
    by_a = jacrev(lambda a: optimize.root(pair, start, args=(a,)).x)(np.array([4.0, 9.0]))
    np.testing.assert_allclose(by_a["u"], np.diag([1 / 4, 1 / 6]), rtol=1e-7)
    np.testing.assert_allclose(by_a["v"], [-1 / 4, -1 / 6], rtol=1e-7)


def test_jacobians_that_are_given_are_used():
    calls = []

    def jac(x):
        calls.append(1)
        return np.diag(2 * x)

    for options in ({"jac": jac}, {"jac": False}):
        result = optimize.root(lambda x: x**2 - 4, np.ones(2), **options)
        np.testing.assert_allclose(result.x, 2, rtol=1e-8)
    both = optimize.root(lambda x: (x**2 - 4, np.diag(2 * x)), np.ones(2), jac=True)
    np.testing.assert_allclose(both.x, 2, rtol=1e-8)
    assert calls


def test_derivatives_of_a_root():
    def solution(a):
        return optimize.root(equations, [0.5, 0.5], args=(a,), tol=1e-12).x

    check_grads(solution, (np.float64(1.0),), order=2)
    values = np.array([0.5, 1.0, 1.5])
    np.testing.assert_allclose(vmap(solution)(values), [solution(a) for a in values], rtol=1e-8)


def test_as_many_equations_as_unknowns():
    with pytest.raises(ShapeError, match="3 numbers for 2 unknowns"):
        optimize.root(lambda x: np.ones(3), np.ones(2))
    seen = []
    optimize.root(
        lambda x: x**2 - 1, [2.0], method="broyden1", callback=lambda x, f: seen.append(f)
    )
    assert seen[0].shape == (1,)


# --- least squares -------------------------------------------------------------------------------

TIMES = np.linspace(0, 2, 9)
DATA = 2.5 * np.exp(-0.7 * TIMES) + 0.05 * np.sin(5 * TIMES)


def decay(p, data=DATA):
    return p["a"] * np.exp(-p["k"] * TIMES) - data


GUESS = {"a": np.array(1.0), "k": np.array(1.0)}


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_least_squares_over_pytrees(method):
    expected = reference.least_squares(
        lambda v: decay({"a": v[0], "k": v[1]}), [1.0, 1.0], method=method
    )
    got = optimize.least_squares(decay, GUESS, method=method)
    np.testing.assert_allclose([got.x["a"], got.x["k"]], expected.x, rtol=1e-5)
    np.testing.assert_allclose(got.cost, expected.cost, rtol=1e-6)
    assert got.jac.shape == (9, 2)
    assert set(got.grad) == {"a", "k"}


def test_least_squares_of_lists_with_bounds_and_callbacks():
    result = optimize.least_squares(lambda x: [10 * (x[1] - x[0] ** 2), 1 - x[0]], [2.0, 2.0])
    np.testing.assert_allclose(result.x, 1, rtol=1e-6)
    wide = optimize.least_squares(
        lambda x: np.sum(x) - 1, np.zeros(3)
    )  # fewer residuals than unknowns
    np.testing.assert_allclose(np.sum(wide.x), 1, rtol=1e-6)
    bounded = optimize.least_squares(
        decay, GUESS, bounds=({"a": 0, "k": None}, {"a": 2, "k": np.inf})
    )
    np.testing.assert_allclose(bounded.x["a"], 2, atol=1e-6)
    given = optimize.least_squares(
        lambda x, c: x - c, np.zeros(2), jac=lambda x, c: np.eye(2), args=(3.0,)
    )
    np.testing.assert_allclose(given.x, 3)
    shifted = optimize.least_squares(
        lambda x, *, c: x - c, np.zeros(2), kwargs={"c": 4.0}, loss="soft_l1"
    )
    np.testing.assert_allclose(shifted.x, 4, atol=1e-6)


def test_a_fit_is_differentiable_by_its_data():
    def fit(data):
        return optimize.least_squares(
            decay, GUESS, args=(data,), gtol=1e-13, xtol=1e-13, ftol=1e-13
        ).x["k"]

    check_grads(fit, (DATA,), order=1)
    gradient = grad(fit)(DATA)
    np.testing.assert_allclose(jacfwd(fit)(DATA), gradient, atol=1e-9)
    for options in ({"bounds": (0, 9)}, {"loss": "huber"}):
        with pytest.raises(UnsupportedError, match=next(iter(options))):
            grad(lambda d, o=options: optimize.least_squares(decay, GUESS, args=(d,), **o).x["k"])(
                DATA
            )


def test_curves_are_fitted_with_the_exact_jacobian():
    def model(x, a, k):
        return a * np.exp(-k * x)

    for options in ({}, {"p0": [1.0, 1.0], "sigma": 1 + TIMES}, {"bounds": (0, 9)}):
        expected = reference.curve_fit(model, TIMES, DATA, **options)
        got = optimize.curve_fit(model, TIMES, DATA, **options)
        np.testing.assert_allclose(got[0], expected[0], rtol=1e-5)
        np.testing.assert_allclose(got[1], expected[1], rtol=1e-4)
    with pytest.raises(UnsupportedError, match="ydata"):
        grad(lambda d: optimize.curve_fit(model, TIMES, d)[0][0])(DATA)


# --- functions of one number ---------------------------------------------------------------------


def cubic(x, a):
    return x**3 + x - a


def slope_of_root(x):  # x^3 + x = a
    return 1 / (3 * x**2 + 1)


@pytest.mark.parametrize("name", ["brentq", "brenth", "bisect", "ridder", "toms748"])
def test_roots_in_a_bracket(name):
    fun, original = getattr(optimize, name), getattr(reference, name)

    def call(a):
        return fun(cubic, 0.0, 5.0, args=(a,), xtol=1e-13)

    x = original(cubic, 0.0, 5.0, args=(10.0,), xtol=1e-13)
    assert call(10.0) == x
    assert np.isclose(x, 2)
    assert np.isclose(grad(call)(10.0), slope_of_root(2), rtol=1e-10)
    assert np.isclose(jvp(call, (10.0,), (1.0,))[1], slope_of_root(2), rtol=1e-10)
    assert np.isclose(grad(grad(call))(10.0), -6 * 2 / 13**3, rtol=1e-9)
    np.testing.assert_allclose(vmap(call)(np.array([10.0, 2.0])), [2, 1], rtol=1e-10)
    with pytest.raises(UnsupportedError, match="full_output"):
        grad(lambda a: fun(cubic, 0.0, 5.0, args=(a,), full_output=True)[0])(10.0)


def test_newton_and_root_scalar():
    assert np.isclose(
        grad(lambda a: optimize.newton(cubic, 1.0, args=(a,)))(10.0), slope_of_root(2)
    )
    for method in ("newton", "halley", "secant", "brentq"):
        more = {"bracket": (0, 5)} if method == "brentq" else {"x0": 1.5}
        call = lambda a, m=method, o=more: optimize.root_scalar(cubic, (a,), m, **o)  # noqa: E731
        assert np.isclose(call(10.0).root, 2)
        assert np.isclose(grad(lambda a, c=call: c(a).root)(10.0), slope_of_root(2))
    found = optimize.newton(cubic, np.ones(2), args=(np.array([2.0, 10.0]),))
    np.testing.assert_allclose(found, [1, 2], rtol=1e-8)
    by_a = jacrev(lambda a: optimize.newton(cubic, np.ones(2), args=(a,)))(np.array([2.0, 10.0]))
    np.testing.assert_allclose(by_a, np.diag([1 / 4, 1 / 13]), rtol=1e-8)


def test_fixed_points_and_minima():
    def point(a):  # x = a cos x: dx/da = cos x / (1 + a sin x)
        return optimize.fixed_point(lambda x, a: a * np.cos(x), 0.5, args=(a,), xtol=1e-12)

    x = reference.fixed_point(lambda x: 0.9 * np.cos(x), 0.5, xtol=1e-12)
    assert np.isclose(point(0.9), x, rtol=1e-12)
    assert np.isclose(grad(point)(0.9), np.cos(x) / (1 + 0.9 * np.sin(x)), rtol=1e-9)

    def minimum(a):
        result = optimize.minimize_scalar(lambda x, a: (x - a**2) ** 2 + a * x, args=(a,))
        return np.stack([result.x, result.fun])

    # at x = a^2 - a / 2 with value a^3 - a^2 / 4
    np.testing.assert_allclose(jacrev(minimum)(0.9), [1.8 - 0.5, 3 * 0.81 - 0.45], rtol=1e-6)
    with pytest.raises(UnsupportedError, match="bounds"):
        grad(
            lambda a: (
                optimize.minimize_scalar(lambda x, a: (x - a) ** 2, args=(a,), bounds=(0, 2)).x
            )
        )(1.0)


def test_what_is_no_solution_has_no_derivative():
    def square(x, a):
        return x**2 + a

    calls = [
        lambda a: optimize.root(square, 1.0, args=(a,)).x[0],
        lambda a: optimize.least_squares(square, 1.0, args=(a,), max_nfev=1).x[0],
        lambda a: optimize.minimize(bowl, START, args=(a,), options={"maxiter": 1}).x["b"],
        lambda a: optimize.minimize(bowl, START, (a,), "Powell", options={"maxiter": 1}).x["b"],
        lambda a: optimize.root_scalar(square, (a,), "secant", x0=1.0, x1=2.0, maxiter=2).root,
    ]
    for call in calls:
        with pytest.raises(SolverError, match="found no solution"):
            grad(call)(2.0)


def test_a_start_has_derivative_zero():
    assert grad(lambda b: optimize.brentq(cubic, 0.0, b, args=(10.0,)))(5.0) == 0
    assert grad(lambda x: optimize.root(equations, np.stack([x, x]), args=(1.0,)).x[0])(0.5) == 0
    with pytest.raises(UnsupportedError, match="mapped start"):
        vmap(lambda b: optimize.brentq(cubic, 0.0, b, args=(10.0,)))(np.array([5.0, 6.0]))


def test_the_names_and_signatures_are_scipys():
    assert signatures_differ(optimize, reference) == []
    assert optimize.linprog([1.0], bounds=[(2, 3)]).x == 2
    with pytest.raises(errors.UnsupportedError, match="fmin_bfgs"):
        grad(lambda x: optimize.fmin_bfgs(np.sum, x))(np.ones(2))
