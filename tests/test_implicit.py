"""Implicit differentiation: the derivative of a solution, whatever found it."""

import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest

from funcgrad import (
    checkpoint,
    grad,
    hessian,
    hvp,
    implicit,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    tree,
    value_and_grad,
    vjp,
    vmap,
)
from funcgrad.errors import ArgumentError, FuncgradError, ShapeError, StructureError


def newton(g, x):
    for _ in range(50):
        step = np.linalg.solve(np.atleast_2d(jacfwd(g)(x)), np.atleast_1d(g(x)))
        x = x - step.reshape(np.shape(x))
    return x


def bisection(g, x):
    """Find the root of a rising function between 0 and 10; decides by values."""
    low, high = 0.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if g(middle) > 0 else (middle, high)
    return low


def iterate(g, x):
    for _ in range(200):
        x = g(x)
    return x


def square_minus(x, a):
    return x * x - a


each_solver = pytest.mark.parametrize("solver", [newton, bisection])


# --- one equation --------------------------------------------------------------------------------


@each_solver
def test_square_root_and_its_derivatives(solver):
    sqrt = implicit.root(square_minus, solver)
    assert np.isclose(sqrt(1.0, 2.0), np.sqrt(2))
    assert np.isclose(grad(sqrt, 1)(1.0, 2.0), 0.5 / np.sqrt(2))
    assert np.isclose(grad(grad(sqrt, 1), 1)(1.0, 2.0), -0.25 * 2**-1.5)
    assert np.isclose(grad(grad(grad(sqrt, 1), 1), 1)(1.0, 2.0), 0.375 * 2**-2.5)


@pytest.mark.parametrize(
    "d",
    [
        grad,
        lambda f: lambda a: value_and_grad(f)(a)[1],
        lambda f: lambda a: vjp(f, a)[1](1.0)[0],
        lambda f: lambda a: jvp(f, (a,), (1.0,))[1],
        lambda f: lambda a: linearize(f, a)[1](1.0),
        jacrev,
        jacfwd,
        lambda f: lambda a: vmap(grad(f))(np.stack([a, 2 * a]))[0],
        lambda f: lambda a: grad(lambda v: np.sum(vmap(f)(v)))(np.stack([a, a]))[0],
        lambda f: grad(checkpoint(f)),
    ],
)
def test_first_and_second_derivative_under_each_transform(d):
    sqrt = implicit.root(square_minus, bisection)
    assert np.isclose(d(lambda a: sqrt(1.0, a))(2.0), 0.5 / np.sqrt(2))
    assert np.isclose(d(grad(lambda a: sqrt(1.0, a)))(2.0), -0.25 * 2**-1.5)
    assert np.isclose(grad(d(lambda a: sqrt(1.0, a)))(2.0), -0.25 * 2**-1.5)


def test_hessian_and_hvp():
    sqrt = implicit.root(square_minus, bisection)

    def f(v):
        return sqrt(1.0, v[0] * v[1])

    v = np.array([2.0, 2.0])
    assert np.allclose(hessian(f)(v), [[-0.125, 0.125], [0.125, -0.125]])
    assert np.allclose(hvp(f, (v,), (np.array([1.0, 0.0]),)), [-0.125, 0.125])


def test_vmap_runs_the_solver_example_by_example():
    starts = []

    def solver(g, x):
        starts.append(type(x))
        return bisection(g, x)

    sqrt = implicit.root(square_minus, solver)
    a = np.array([1.0, 4.0, 9.0])
    assert np.allclose(vmap(lambda a: sqrt(1.0, a))(a), [1, 2, 3])
    assert len(starts) == 3
    assert np.allclose(vmap(grad(lambda a: sqrt(1.0, a)))(a), [1 / 2, 1 / 4, 1 / 6])
    assert np.allclose(vmap(sqrt, in_axes=(0, None))(np.ones(2), 4.0), [2, 2])
    assert np.allclose(vmap(vmap(lambda a: sqrt(1.0, a)))(a[None]), [[1, 2, 3]])


def test_solver_runs_once_and_is_not_differentiated():
    runs = []

    def solver(g, x):
        runs.append(x)
        assert type(x) is np.float64
        assert type(g(x)) is np.float64
        return bisection(g, x)

    sqrt = implicit.root(square_minus, solver)
    _, pullback = vjp(lambda a: sqrt(1.0, a), 2.0)
    pullback(1.0)
    assert len(runs) == 1


def test_derivative_by_the_start_is_zero():
    sqrt = implicit.root(square_minus, newton)
    assert grad(sqrt, 0)(1.0, 2.0) == 0
    assert np.isclose(grad(lambda a: sqrt(a, a))(2.0), 0.5 / np.sqrt(2))


def test_parameters_without_a_derivative():
    power = implicit.root(lambda x, a, n, scale: scale["s"] * (x**n - a), bisection)
    got = grad(power, 1)(1.0, 8.0, 3, {"s": 2, "name": "a"})
    assert np.isclose(got, 1 / 12)
    got = vmap(grad(power, 1), in_axes=(None, 0, 0, None))(
        1.0, np.array([8.0, 4.0]), np.array([3, 2]), {"s": 2}
    )
    assert np.allclose(got, [1 / 12, 1 / 4])


def test_keyword_arguments():
    sqrt = implicit.root(square_minus, bisection)
    assert np.isclose(sqrt(1.0, a=2.0), np.sqrt(2))
    assert np.isclose(grad(sqrt, argnames="a")(1.0, a=2.0), 0.5 / np.sqrt(2))


@pytest.mark.parametrize("start", [1, np.array(1), True])
def test_integer_start_does_not_cut_the_solution(start):
    sqrt = implicit.root(square_minus, bisection)
    try:
        got = sqrt(start, 2.0)
    except FuncgradError:
        return  # refusing is right too; a solution cut to a whole number is not
    assert np.isclose(got, np.sqrt(2))
    assert np.isclose(grad(sqrt, 1)(start, 2.0), 0.5 / np.sqrt(2))


def test_float32_stays_float32():
    sqrt = implicit.root(square_minus, newton)
    a = np.float32(2)
    assert sqrt(np.float32(1), a).dtype == np.float32
    assert grad(sqrt, 1)(np.float32(1), a).dtype == np.float32


# --- several equations -----------------------------------------------------------------------------


def test_system_of_linear_equations(rng):
    a, b = rng.normal(size=(3, 3)) + 3 * np.eye(3), rng.normal(size=3)
    solve = implicit.root(lambda x, a, b: a @ x - b, lambda g, x: np.linalg.solve(a, b))
    ct = rng.normal(size=3)
    _, pullback = vjp(lambda a, b: solve(np.zeros(3), a, b), a, b)
    _, reference = vjp(np.linalg.solve, a, b)
    for got, expected in zip(pullback(ct), reference(ct), strict=True):
        assert np.allclose(got, expected)


def test_newton_on_a_system_agrees_with_central_differences(rng):
    def f(x, p):
        return np.stack([x[0] ** 2 + x[1] - p[0], np.sin(x[0]) - x[1] * p[1]])

    solve = implicit.root(f, newton)
    p, h = np.array([2.0, 0.7]), 1e-6
    start = np.array([1.0, 1.0])
    got = jacrev(lambda p: solve(start, p))(p)
    columns = [(solve(start, p + h * e) - solve(start, p - h * e)) / (2 * h) for e in np.eye(2)]
    assert np.allclose(got, np.stack(columns, axis=1), atol=1e-8)
    assert np.allclose(jacfwd(lambda p: solve(start, p))(p), got)


class State(NamedTuple):
    u: Any
    v: Any


def test_pytrees_of_unknowns_and_parameters():
    # u = a v**2 and v = b: so u = a b**2.
    def f(x, p):
        return State(u=x.u - p["a"] * x.v**2, v=x.v - p["b"][0])

    def solver(g, x):
        # Newton on the flat unknowns.
        flat, unravel = tree.ravel(x)
        return unravel(newton(lambda y: tree.ravel(g(unravel(y)))[0], flat))

    solve = implicit.root(f, solver)
    start, p = State(0.1, np.ones(2)), {"a": np.array(2.0), "b": [np.array([3.0, 3.0])]}
    f_scalar = lambda x, p: State(  # noqa: E731
        u=x.u - np.sum(p["a"] * x.v**2), v=x.v - p["b"][0]
    )
    solve = implicit.root(f_scalar, solver)
    x = solve(start, p)
    assert type(x) is State
    assert np.isclose(x.u, 36)
    assert np.allclose(x.v, 3)
    g = grad(lambda p: solve(start, p).u)(p)
    assert np.isclose(g["a"], 18)
    assert np.allclose(g["b"][0], 12)
    _, tangent = jvp(lambda p: solve(start, p), (p,), ({"a": 1.0, "b": [np.array([1.0, 0.0])]},))
    assert np.isclose(tangent.u, 30)
    assert np.allclose(tangent.v, [1, 0])
    assert f(x, p).v.shape == (2,)


def test_matrix_unknown():
    # X X = A for a symmetric positive A: the derivative solves X dX + dX X = dA.
    a = np.array([[2.0, 0.5], [0.5, 1.0]])

    def solver(g, x):
        w, v = np.linalg.eigh(a)
        return (v * np.sqrt(w)) @ v.T

    root = implicit.root(lambda x, a: x @ x - a, solver)
    da = np.array([[1.0, 2.0], [2.0, -1.0]])
    x, dx = jvp(lambda a: root(np.eye(2), a), (a,), (da,))
    assert np.allclose(x @ x, a)
    assert np.allclose(x @ dx + dx @ x, da)


def test_agrees_with_scipy_as_the_solver():
    optimize = pytest.importorskip("scipy.optimize")

    def f(x, p):
        return np.stack(
            [x[0] + 0.5 * (x[0] - x[1]) ** 3 - p[0], 0.5 * (x[1] - x[0]) ** 3 + x[1] - p[1]]
        )

    solve = implicit.root(f, lambda g, x: optimize.root(g, x, tol=1e-12).x)
    start, p = np.zeros(2), np.array([1.0, 0.3])
    x = solve(start, p)
    assert np.allclose(f(x, p), 0)
    d = 1.5 * (x[0] - x[1]) ** 2
    expected = np.linalg.inv([[1 + d, -d], [-d, 1 + d]])
    assert np.allclose(jacrev(lambda p: solve(start, p))(p), expected)
    assert np.allclose(jacfwd(lambda p: solve(start, p))(p), expected)
    rows = vmap(grad(lambda p: solve(start, p)[0]))(np.stack([p, p]))
    assert np.allclose(rows, expected[0])
    assert np.allclose(
        hessian(lambda p: np.sum(solve(start, p)))(p), np.zeros((2, 2)), atol=1e-7
    )  # the sum of the unknowns is the sum of the parameters


def test_minimum_by_scipy_is_the_root_of_the_gradient():
    optimize = pytest.importorskip("scipy.optimize")

    def loss(x, p):
        return np.sum((x - p) ** 2) + 0.1 * np.sum(x**4)

    solve = implicit.root(grad(loss), lambda g, x: optimize.root(g, x, tol=1e-12).x)
    p = np.array([1.0, -2.0])
    x = solve(np.zeros(2), p)
    expected = np.diag(2 / (2 + 1.2 * x**2))
    assert np.allclose(jacrev(lambda p: solve(np.zeros(2), p))(p), expected)


# --- fixed points ----------------------------------------------------------------------------------


def test_fixed_point_of_a_cosine():
    solve = implicit.fixed_point(lambda x, a: a * np.cos(x), iterate)
    x = solve(0.5, 0.9)
    assert np.isclose(x, 0.9 * np.cos(x))
    expected = np.cos(x) / (1 + 0.9 * np.sin(x))
    assert np.isclose(grad(solve, 1)(0.5, 0.9), expected)
    assert np.isclose(jvp(lambda a: solve(0.5, a), (0.9,), (1.0,))[1], expected)
    h = 1e-5
    second = (grad(solve, 1)(0.5, 0.9 + h) - grad(solve, 1)(0.5, 0.9 - h)) / (2 * h)
    assert np.isclose(grad(grad(solve, 1), 1)(0.5, 0.9), second)


def test_fixed_point_of_a_pytree():
    def f(x, a):
        return {"v": a * np.sin(x["u"]), "u": 0.5 * np.cos(x["v"])}

    solve = implicit.fixed_point(f, iterate)
    start = {"u": np.full(2, 0.1), "v": np.full(2, 0.2)}

    def value(a):
        return np.sum(solve(start, a)["v"])

    h = 1e-6
    assert np.isclose(grad(value)(0.5), (value(0.5 + h) - value(0.5 - h)) / (2 * h))
    assert np.allclose(vmap(grad(value))(np.array([0.5, 0.5])), grad(value)(0.5))


def test_fixed_point_agrees_with_the_derivative_through_the_iteration():
    def f(x, w):
        return np.tanh(w @ x + 1)

    w = np.array([[0.2, -0.3], [0.1, 0.4]])
    solve = implicit.fixed_point(f, iterate)
    got = grad(lambda w: np.sum(solve(np.zeros(2), w) ** 2))(w)
    expected = grad(lambda w: np.sum(iterate(lambda x: f(x, w), np.zeros(2)) ** 2))(w)
    assert np.allclose(got, expected)


# --- complex ---------------------------------------------------------------------------------------


def test_complex_root_of_a_holomorphic_equation():
    root = implicit.root(square_minus, lambda g, z: 1j * np.sqrt(np.real(-g(0 * z)) * -1 + 0))
    root = implicit.root(square_minus, lambda g, z: np.sqrt(-g(0 * z)))
    a = -1 + 0.5j
    assert np.isclose(root(1j, a) ** 2, a)
    expected = 0.5 / np.sqrt(a)
    assert np.isclose(grad(root, 1, holomorphic=True)(1j, a), expected)
    _, tangent = jvp(lambda a: root(1j, a), (a,), (1 + 0j,))
    assert np.isclose(tangent, expected)
    _, tangent = jvp(lambda t: root(1j, -1 + 0.5j * t), (1.0,), (1.0,))
    assert np.isclose(tangent, 0.5j * expected)


# --- what does not fit -----------------------------------------------------------------------------


@pytest.mark.parametrize("found", [np.ones(2), np.ones((1, 1))])
def test_solver_that_returns_another_shape_raises(found):
    solve = implicit.root(square_minus, lambda g, x: found)
    with pytest.raises(ShapeError, match=r"solver of root\(square_minus\)") as caught:
        solve(1.0, 2.0)
    assert str(found.shape) in str(caught.value)


@pytest.mark.parametrize("found", [(1.0, 2.0), [1.0], {"x": 1.0}, None])
def test_solver_that_returns_another_structure_raises(found):
    solve = implicit.root(square_minus, lambda g, x: found)
    with pytest.raises(StructureError, match="solver of root"):
        solve(1.0, 2.0)


def test_function_that_returns_another_structure_raises():
    solve = implicit.root(lambda x, a: (x * x - a, x), lambda g, x: 1.0)
    with pytest.raises(StructureError):
        grad(solve, 1)(1.0, 1.0)


def test_function_with_more_equations_than_unknowns_raises():
    solve = implicit.root(lambda x, a: np.stack([x * x - a, x - a]), lambda g, x: 1.0)
    with pytest.raises(ShapeError):
        grad(solve, 1)(1.0, 1.0)


def test_singular_solution_raises():
    solve = implicit.root(square_minus, bisection)
    with pytest.raises(np.linalg.LinAlgError):
        grad(solve, 1)(1.0, 0.0)


@pytest.mark.parametrize(
    "derivative",
    [
        lambda solve_at: grad(lambda a: solve_at(lambda x: x * x - a)(1.0))(2.0),
        lambda solve_at: grad(lambda a: solve_at(lambda x, b: x * x - a * b)(1.0, a))(2.0),
        lambda solve_at: grad(
            lambda a: grad(lambda b: solve_at(lambda x, a: x * x - a * b)(1.0, a))(2.0)
        )(2.0),
        lambda solve_at: grad(
            lambda b: grad(lambda a: solve_at(lambda x, a: x * x - a * b)(1.0, a))(2.0)
        )(2.0),
        lambda solve_at: jvp(lambda a: solve_at(lambda x: x * x - a)(1.0), (2.0,), (1.0,)),
        lambda solve_at: vmap(lambda a: solve_at(lambda x: x * x - a)(1.0))(np.ones(2)),
    ],
)
def test_traced_value_that_is_no_parameter_raises(derivative):
    with pytest.raises((ArgumentError, FuncgradError), match=r"argument|parameter|fallback"):
        derivative(lambda f: implicit.root(f, bisection))


def test_no_examples():
    sqrt = implicit.root(square_minus, bisection)
    assert vmap(lambda a: sqrt(1.0, a))(np.zeros(0)).shape == (0,)


# --- the object ------------------------------------------------------------------------------------


def test_looks_like_its_function_and_pickles():
    solve = implicit.root(square_minus, bisection)
    assert repr(solve) == "root(square_minus)"
    assert repr(implicit.fixed_point(square_minus, iterate)) == "fixed_point(square_minus)"
    again = pickle.loads(pickle.dumps(solve))
    assert np.isclose(again(1.0, 2.0), np.sqrt(2))


def test_not_a_function_raises():
    with pytest.raises(ArgumentError, match="takes a function"):
        implicit.root(3, bisection)
