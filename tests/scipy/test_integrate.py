"""`funcgrad.scipy.integrate`: values of SciPy, derivatives by closed forms, fixed steps and differences."""

import numpy as np
import pytest

from funcgrad import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from funcgrad.errors import ArgumentError, ShapeError, SolverError, UnsupportedError
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.integrate")

from funcgrad.scipy import integrate, linalg  # noqa: E402  # needs SciPy
from tests.scipy.claims import check_mirror, signatures_differ  # noqa: E402

X = np.array([0.0, 0.3, 1.1, 1.4, 2.2, 2.9, 3.1, 4.0])
Y = np.stack([np.cos(X), X**2, np.exp(-X)])

# --- samples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize(
    "name", ["trapezoid", "cumulative_trapezoid", "simpson", "cumulative_simpson"]
)
def test_samples(name, n):
    fun, original = getattr(integrate, name), getattr(reference, name)
    check_mirror(lambda y, x: fun(y, x=x), lambda y, x: original(y, x=x), (Y[:, :n], X[:n]))
    check_mirror(fun, original, (Y[:, :n],), {"dx": 0.7})
    check_mirror(fun, original, (Y[:, :n].T,), {"axis": 0})


def test_sums_start_where_they_are_told():
    check_mirror(
        integrate.cumulative_trapezoid, reference.cumulative_trapezoid, (Y,), {"initial": 0}
    )
    check_mirror(integrate.cumulative_simpson, reference.cumulative_simpson, (Y,), {"initial": 1.5})


def test_repeated_places_have_finite_derivatives():
    x = np.array([0.0, 0.0, 1.0, 2.0, 2.0, 2.0])
    y = np.arange(6.0) ** 2
    value, pullback = vjp(lambda y: integrate.simpson(y, x=x), y)
    assert np.isclose(value, reference.simpson(y, x=x), rtol=1e-14)
    assert np.all(np.isfinite(pullback(1.0)[0]))


# --- quadrature ----------------------------------------------------------------------------------


def wave(x, k, phase):
    return np.exp(-k[0] * x) * np.sin(k[1] * x + phase)


K = np.array([0.5, 2.0])


def test_an_integral_by_its_limits_and_parameters():
    def call(a, b, k, phase):
        return integrate.quad(wave, a, b, args=(k, phase))

    args = (np.float64(0.1), np.float64(2.0), K, np.float64(0.3))
    check_mirror(call, lambda a, b, *rest: reference.quad(wave, a, b, rest), args)


def test_an_integral_to_infinity_has_the_closed_form():
    def moment(k):  # n! / k^(n + 1)
        return integrate.quad(lambda x, k: x**2 * np.exp(-k * x), 0, np.inf, args=(k,))[0]

    assert np.isclose(grad(moment)(2.0), -6 / 2.0**4, rtol=1e-7)
    assert np.isclose(grad(grad(moment))(2.0), 24 / 2.0**5, rtol=1e-7)
    assert np.isclose(jacfwd(jacfwd(jacrev(moment)))(2.0), -120 / 2.0**6, rtol=1e-7)


def test_the_derivative_by_a_limit_is_the_function_there():
    value = grad(lambda b: integrate.quad(np.cos, 0.0, b)[0])(1.2)
    assert value == np.cos(1.2)
    assert grad(lambda a: integrate.quad(np.cos, a, 1.0)[0])(0.3) == -np.cos(0.3)


def test_parameters_of_an_integral_may_be_pytrees():
    def call(params):
        fun = lambda x, p: p["a"] * x + p["b"][0]  # noqa: E731
        return integrate.quad(fun, 0.0, 2.0, args=(params,))[0]

    gradient = grad(call)({"a": 1.5, "b": [np.float64(0.3)]})
    assert np.isclose(gradient["a"], 2)
    assert np.isclose(gradient["b"][0], 2)


def test_integrals_of_arrays():
    def fun(x, k):
        return np.stack([np.sin(k * x), np.cos(k * x) * x])

    def call(a, b, k):
        return integrate.quad_vec(fun, a, b, args=(k,))[0]

    args = (np.float64(0.1), np.float64(2.0), np.array([0.5, 2.0, 1.0]))
    np.testing.assert_allclose(
        vjp(call, *args)[0], reference.quad_vec(lambda x: fun(x, args[2]), *args[:2])[0], rtol=1e-12
    )
    check_grads(call, args, order=2)


def test_gaussian_quadrature():
    def call(a, b, k):
        return integrate.fixed_quad(lambda x, k: np.exp(-k * x), a, b, (k,), n=4)[0]

    args = (np.float64(0.1), np.float64(2.0), np.float64(0.7))
    expected = reference.fixed_quad(lambda x: np.exp(-0.7 * x), 0.1, 2.0, n=4)[0]
    assert np.isclose(vjp(call, *args)[0], expected, rtol=1e-14)
    check_grads(call, args, order=2)


# --- differential equations ----------------------------------------------------------------------

T = np.array([0.0, 0.4, 0.9, 1.5])
START = np.array([1.0, 0.4])
MATRIX = np.array([[-0.3, 1.0], [-1.2, -0.2]])
TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def pendulum(t, y, p):
    return [y[1], -p["stiffness"] * np.sin(y[0]) - p["friction"] * y[1] + 0.3 * np.cos(t)]


P = {"stiffness": np.float64(2.0), "friction": np.float64(0.3)}


def by_odeint(f, y0, t, args, **options):
    return integrate.odeint(f, y0, t, args, tfirst=True, **TIGHT, **options)


def by_ivp(f, y0, t, args, **options):
    span, quick = (t[0], t[-1]), {"method": "DOP853", **TIGHT}
    return integrate.solve_ivp(f, span, y0, t_eval=t, args=args, **quick, **options).y.T


def by_runge_kutta(f, y0, t, args, steps=60):
    """Solve with fixed steps of the classical method, in NumPy."""
    y, rows = y0, [y0]
    for i in range(len(t) - 1):
        h = (t[i + 1] - t[i]) / steps
        for j in range(steps):
            s = t[i] + j * h
            k1 = np.stack(f(s, y, *args))
            k2 = np.stack(f(s + h / 2, y + h / 2 * k1, *args))
            k3 = np.stack(f(s + h / 2, y + h / 2 * k2, *args))
            k4 = np.stack(f(s + h, y + h * k3, *args))
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        rows.append(y)
    return np.stack(rows)


SOLVERS = pytest.mark.parametrize("solver", [by_odeint, by_ivp], ids=["odeint", "solve_ivp"])


def loss(solver, y0, t, p):
    return np.sum(np.sin(1 + np.arange(8.0).reshape(4, 2)) * solver(pendulum, y0, t, (p,)))


@SOLVERS
def test_gradients_agree_with_differentiating_a_fixed_step_method(solver):
    got = grad(loss, argnums=(1, 2, 3))(solver, START, T, P)
    expected = grad(loss, argnums=(1, 2, 3))(by_runge_kutta, START, T, P)
    for g, e in zip(got[:2], expected[:2], strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-6, atol=1e-7)
    for name in P:
        assert np.isclose(got[2][name], expected[2][name], rtol=1e-6)


@SOLVERS
def test_a_linear_system_is_the_exponential_of_its_matrix(solver):
    def call(y0, t, a):
        return solver(lambda t, y, a: a @ y, y0, t, (a,))

    def exact(y0, t, a):
        return np.stack([linalg.expm((s - t[0]) * a) @ y0 for s in t])

    args = (START, T + 0.2, MATRIX)
    np.testing.assert_allclose(vjp(call, *args)[0], exact(*args), atol=1e-8)
    for jacobian in (jacrev, jacfwd):
        got, expected = [jacobian(f, argnums=(0, 1, 2))(*args) for f in (call, exact)]
        for g, e in zip(got, expected, strict=True):
            np.testing.assert_allclose(g, e, atol=1e-7)


@SOLVERS
def test_second_derivatives(solver):
    check_grads(lambda *args: solver(pendulum, *args[:2], args[2:]), (START, T[:2], P), order=2)


@SOLVERS
def test_examples_are_solved_one_by_one(solver):
    starts = np.stack([START, 2 * START, -START])
    mapped = vmap(lambda y0, k: solver(pendulum, y0, T, ({**P, "stiffness": k},)))
    stiffness = np.array([1.0, 2.0, 3.0])
    looped = [
        solver(pendulum, y0, T, ({**P, "stiffness": k},))
        for y0, k in zip(starts, stiffness, strict=True)
    ]
    np.testing.assert_allclose(mapped(starts, stiffness), looped, atol=1e-8)
    gradients = vmap(grad(loss, argnums=1), in_axes=(None, 0, None, None))(solver, starts, T, P)
    looped = [grad(loss, argnums=1)(solver, y0, T, P) for y0 in starts]
    np.testing.assert_allclose(gradients, looped, atol=1e-7)


@SOLVERS
def test_times_may_run_backwards(solver):
    t = T[::-1].copy()
    check_grads(lambda y0, t: solver(pendulum, y0, t, (P,)), (START, t), order=1)


def test_values_of_odeint_are_scipys():
    def f(y, t, p):
        return pendulum(t, y, p)

    def jac(y, t, p):
        return [[0, 1], [-p["stiffness"] * np.cos(y[0]), -p["friction"]]]

    for options in (
        {},
        {"rtol": 1e-5, "atol": np.array([1e-6, 1e-7])},
        {"Dfun": jac},
        {"hmax": 0.1},
    ):
        got = vjp(lambda y0, o=options: integrate.odeint(f, y0, T, (P,), **o), START)[0]
        np.testing.assert_allclose(got, reference.odeint(f, START, T, (P,), **options), rtol=1e-6)
    number, _ = vjp(lambda y0: integrate.odeint(lambda y, t: -y, y0, [0, 1]), 2.0)
    np.testing.assert_allclose(number, 2 * np.exp([[0], [-1.0]]), rtol=1e-7)


@pytest.mark.parametrize("method", ["RK45", "DOP853", "Radau", "LSODA", reference.BDF])
def test_values_of_solve_ivp_are_scipys(method):
    def jac(t, y, p):
        return [[0, 1], [-p["stiffness"] * np.cos(y[0]), -p["friction"]]]

    options = {"method": method, "args": (P,), "rtol": 1e-7, "atol": np.array([1e-7, 1e-8])}
    if method == "Radau":
        options["jac"] = jac

    def call(y0, more):
        result = integrate.solve_ivp(pendulum, (0, 1.5), y0, **options, **more)
        return result.y, result

    for more in ({}, {"t_eval": T[1:3]}):
        expected = reference.solve_ivp(pendulum, (0, 1.5), START, **options, **more)
        value, pullback, result = vjp(lambda y0, m=more: call(y0, m), START, has_aux=True)
        np.testing.assert_array_equal(value, expected.y)
        np.testing.assert_array_equal(result.t, expected.t)
        assert (result.nfev, result.message) == (expected.nfev, expected.message)
        assert np.all(np.isfinite(pullback(np.ones_like(value))[0]))


def test_the_ends_of_a_span():
    def last(t0, t1):
        return integrate.solve_ivp(lambda t, y: -2 * y, (t0, t1), [1.0], **TIGHT).y[0, -1]

    by_start, by_end = grad(last, argnums=(0, 1))(0.5, 1.25)
    assert np.isclose(by_end, -2 * np.exp(-1.5), rtol=1e-7)
    assert np.isclose(by_start, 2 * np.exp(-1.5), rtol=1e-7)


def test_complex_unknowns():
    # y = exp(i w t) y0, so that dy/dw = i t y
    def call(w):
        y0 = np.array([1.0 + 0.5j])
        y = integrate.solve_ivp(lambda t, y, w: 1j * w * y, (0, 2), y0, args=(w,), **TIGHT).y[0, -1]
        return np.stack([np.real(y), np.imag(y)])

    y = np.exp(2j * 1.3) * (1 + 0.5j)
    expected = [np.real(2j * y), np.imag(2j * y)]
    np.testing.assert_allclose(jacrev(call)(1.3), expected, atol=1e-7)
    np.testing.assert_allclose(jacfwd(call)(1.3), expected, atol=1e-7)


def test_hessian_of_a_fit():
    # sum (a e^(-k t) - d)^2 has the closed form
    data = np.exp(-T) + 0.1 * np.sin(7 * T)

    def misfit(p):
        y = integrate.odeint(lambda y, t, k: -k * y, p[:1], T, (p[1],), **TIGHT)[:, 0]
        return np.sum((y - data) ** 2)

    def exact(p):
        return np.sum((p[0] * np.exp(-p[1] * T) - data) ** 2)

    at = np.array([1.1, 0.8])
    np.testing.assert_allclose(hessian(misfit)(at), hessian(exact)(at), atol=1e-6)


def test_single_precision_gradients():
    start = START.astype(np.float32)
    gradient = grad(lambda y0: np.sum(integrate.odeint(lambda y, t: -y, y0, T)))(start)
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, np.sum(np.exp(-T)), rtol=1e-5)


def test_one_time_is_the_start():
    np.testing.assert_array_equal(
        jacrev(lambda y0: integrate.odeint(lambda y, t: -y, y0, [0.0])[0])(START), np.eye(2)
    )


def test_a_batch_of_no_examples():
    mapped = vmap(lambda y0: integrate.odeint(lambda y, t: -y, y0, T))
    assert mapped(np.zeros((0, 2))).shape == (0, 4, 2)


# --- errors --------------------------------------------------------------------------------------


def test_a_closure_over_a_traced_value_is_refused():
    calls = [
        lambda k: integrate.odeint(lambda y, t, a: -k * y, START, T, (k,))[0, 0],
        lambda k: integrate.solve_ivp(lambda t, y, a: -k * y, (0, 1), START, args=(k,)).y[0, 0],
        lambda k: integrate.quad(lambda x, a: k * x, 0, 1, args=(k,))[0],
    ]
    calls += [
        lambda k: integrate.quad(lambda x: k * x, 0, 1)[0],
        lambda k: integrate.odeint(lambda y, t: -k * y, START, T)[0, 0],
        lambda k: integrate.solve_ivp(lambda t, y: -k * y, (0, 1), START).y[0, 0],
        lambda k: integrate.solve_ivp(lambda t, y: [y[1], -k * y[0]], (0, 1), START).y[0, 0],
    ]
    for call in calls:
        with pytest.raises(ArgumentError, match="traced value that is not among its arguments"):
            grad(call)(1.0)


REFUSED = {
    "output": (lambda k: integrate.odeint(lambda y, t: -y, k, T, full_output=1), "full_output"),
    "events": (
        lambda k: integrate.solve_ivp(lambda t, y: -y, (0, 1), k, events=np.sum),
        "scipy.integrate.solve_ivp with events",
    ),
    "dense": (
        lambda k: integrate.solve_ivp(lambda t, y: -y, (0, 1), k, dense_output=True),
        "dense_output=True",
    ),
    "weight": (
        lambda k: integrate.quad(np.sin, 0, k[0], weight="cos", wvar=1.0),
        "weight='cos'",
    ),
    "vmap": (
        lambda k: vmap(lambda y: integrate.solve_ivp(lambda t, y: -y, (0, 1), y).y)(
            np.stack([k, k])
        ),
        "t_eval",
    ),
    "name": (integrate.romb, "romb"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_options_are_named(call, message):
    with pytest.raises(UnsupportedError, match=message):
        jvp(call, (START,), (START,))


@pytest.mark.filterwarnings("ignore::scipy.integrate.ODEintWarning")  # SciPy's word on it
def test_odeint_that_fails_raises():
    with pytest.raises(SolverError, match="odeint did not reach the end: Excess work"):
        grad(lambda y0: np.sum(integrate.odeint(lambda y, t: y**2, y0, [0, 5])))(START)


def test_a_solver_that_fails_raises():
    with pytest.raises(SolverError, match="did not reach the end"):
        grad(
            lambda k: integrate.solve_ivp(lambda t, y, k: k * y**2, (0, 5), [1.0], args=(k,)).y[
                0, -1
            ]
        )(1.0)


def test_the_wrong_number_of_derivatives_is_refused():
    with pytest.raises(ShapeError, match="3 derivatives for 2 unknowns"):
        grad(lambda y0: np.sum(integrate.odeint(lambda y, t: np.ones(3), y0, T)))(START)


def test_the_names_and_signatures_are_scipys():
    assert signatures_differ(integrate, reference) == []
    assert integrate.RK45 is reference.RK45
