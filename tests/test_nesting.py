"""Transforms inside transforms: every pair and triple in every order, closures, threads, exceptions.

The expected numbers are closed forms. A transform here is an operator on functions of one real
number; `Known` is the same operator on their derivatives, written down on paper.
"""

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product
from math import comb, factorial
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from funcgrad import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)
from funcgrad.core import Tracer
from funcgrad.errors import ArgumentError, FuncgradError, LeakedTracerError

X = 0.7
RTOL = 1e-10


# --- an algebra of operators ---------------------------------------------------------------------


def f(x):
    return x**3 * np.sin(x)


def derivative_of_f(n, x):
    """Return the n-th derivative of x**3 sin(x), by Leibniz' rule."""
    total = 0.0
    for j in range(min(n, 3) + 1):
        cubic = factorial(3) / factorial(3 - j) * x ** (3 - j)
        total += comb(n, j) * cubic * np.sin(x + (n - j) * np.pi / 2)
    return total


@dataclass(frozen=True)
class Known:
    """A function whose n-th derivative is `derivative(n, x)`."""

    derivative: Callable[[int, float], float]

    def __call__(self, x):
        return self.derivative(0, x)

    def differentiated(self, order=1):
        return Known(lambda n, x: self.derivative(n + order, x))

    def summed_over(self, scales):
        """Return x -> sum of g(c x)."""
        return Known(lambda n, x: sum(c**n * self.derivative(n, c * x) for c in scales))

    def with_rule(self, factor):
        """Return a function with the same values, but a rule for the derivative: factor * g'."""
        return Known(lambda n, x: (factor if n else 1) * self.derivative(n, x))


SCALES = np.array([1.0, 0.5])


def by_jvp(g):
    return lambda x: jvp(g, (x,), (1.0,))[1]


def by_linearize(g):
    return lambda x: linearize(g, x)[1](1.0)


def by_vjp(g):
    return lambda x: vjp(g, x)[1](1.0)[0]


def by_vmap(g):
    return lambda x: np.sum(vmap(g)(x * SCALES))


def of_each(g):
    """Return g as a function of vectors of two."""
    return lambda v: np.stack([g(v[0]), g(v[1])])


def by_jacobian(jacobian):
    """The entries off the diagonal are zero, so that the sum is that of the derivatives."""
    return lambda g: lambda x: np.sum(jacobian(of_each(g))(x * SCALES))


def by_hessian(g):
    return lambda x: np.sum(hessian(lambda v: np.sum(of_each(g)(v)))(x * SCALES))


def by_hvp(g):
    return lambda x: hvp(g, (x,), (1.0,))


def by_custom_vjp(g):
    """The rule claims twice the derivative, which shows that it, and not g, is differentiated."""
    h = custom_vjp(g)
    h.defvjp(lambda x: (g(x), x), lambda x, ct: (2 * ct * jvp(g, (x,), (1.0,))[1],))
    return h


def by_custom_jvp(g):
    h = custom_jvp(g)
    h.defjvp(lambda primals, tangents: (g(*primals), 3 * tangents[0] * by_vjp(g)(*primals)))
    return h


@dataclass(frozen=True)
class Operator:
    """A transform as an operator on functions, and on known functions."""

    apply: Callable[[Any], Any]
    known: Callable[[Known], Known]


def of_order(order):
    return lambda known: known.differentiated(order)


def summed_of_order(order):
    return lambda known: known.differentiated(order).summed_over(SCALES)


OPERATORS = {
    "grad": Operator(grad, of_order(1)),
    "jvp": Operator(by_jvp, of_order(1)),
    "vmap": Operator(by_vmap, summed_of_order(0)),
    "jacrev": Operator(by_jacobian(jacrev), summed_of_order(1)),
    "jacfwd": Operator(by_jacobian(jacfwd), summed_of_order(1)),
    "hessian": Operator(by_hessian, summed_of_order(2)),
    "linearize": Operator(by_linearize, of_order(1)),
    "checkpoint": Operator(checkpoint, of_order(0)),
    "custom_vjp": Operator(by_custom_vjp, lambda known: known.with_rule(2)),
    "custom_jvp": Operator(by_custom_jvp, lambda known: known.with_rule(3)),
}
DERIVATIVES = {
    "grad": grad,
    "value_and_grad": lambda g: lambda x: value_and_grad(g)(x)[1],
    "vjp": by_vjp,
    "jvp": by_jvp,
    "linearize": by_linearize,
    "jacrev": jacrev,
    "jacfwd": jacfwd,
    "vmap of grad": lambda g: lambda x: vmap(grad(g))(np.stack([x, 2 * x]))[0],
    "vmap of jvp": lambda g: lambda x: vmap(by_jvp(g))(np.stack([x, 2 * x]))[0],
}


PAIRS = list(product(OPERATORS, repeat=2))


def nested(names):
    """Return the nest of transforms, the first name outermost, of f, and what it should be."""
    fun, known = f, Known(derivative_of_f)
    for name in reversed(names):
        fun, known = OPERATORS[name].apply(fun), OPERATORS[name].known(known)
    return fun, known


def assert_nest_is_known(names):
    fun, known = nested(names)
    got, expected = fun(X), known(X)
    assert np.shape(got) == ()
    assert not isinstance(got, Tracer)
    assert np.isclose(got, expected, rtol=RTOL, atol=1e-12), f"{names}: {got} != {expected}"


each_derivative = pytest.mark.parametrize("d", DERIVATIVES.values(), ids=DERIVATIVES)
each_outer = pytest.mark.parametrize("outer", DERIVATIVES.values(), ids=DERIVATIVES)
each_inner = pytest.mark.parametrize("inner", DERIVATIVES.values(), ids=DERIVATIVES)


def test_known_derivatives_are_those_of_central_differences():
    step = 1e-4
    for n in range(9):
        difference = derivative_of_f(n, X + step) - derivative_of_f(n, X - step)
        assert np.isclose(derivative_of_f(n + 1, X), difference / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("first", OPERATORS)
def test_single_transform(first):
    assert_nest_is_known((first,))


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_pair_of_transforms(names):
    assert_nest_is_known(names)


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_triple_of_transforms(names):
    for third in OPERATORS:
        assert_nest_is_known((*names, third))


@given(st.lists(st.sampled_from(list(OPERATORS)), min_size=4, max_size=5))
@settings(max_examples=25)
def test_four_or_five_transforms(names):
    quick = [name if k < 2 or name != "hessian" else "jvp" for k, name in enumerate(names)]
    assert_nest_is_known(tuple(quick))


@each_derivative
def test_order_five(d):
    fun = d(d(d(d(d(f)))))
    assert np.isclose(fun(X), derivative_of_f(5, X), rtol=1e-9)


@pytest.mark.parametrize(
    "names", list(permutations(["grad", "jvp", "linearize", "jacfwd", "jacrev"]))[::7], ids="-".join
)
def test_order_five_in_mixed_modes(names):
    fun = f
    for name in names:
        fun = DERIVATIVES[name](fun)
    assert np.isclose(fun(X), derivative_of_f(5, X), rtol=1e-9)


def test_order_eight_of_exp_is_exp():
    fun = np.exp
    for k in range(8):
        fun = grad(fun) if k % 2 else by_jvp(fun)
    assert np.isclose(fun(0.3), np.exp(0.3))


def test_long_chains_and_deep_nests_do_not_recurse():
    def chain(step, count):
        def run(x):
            for _ in range(count):
                x = step(x)
            return x

        return run

    expected = jvp(chain(np.cos, 2000), (0.5,), (1.0,))[1]
    for step in (np.cos, checkpoint(np.cos)):
        assert np.isclose(grad(chain(step, 2000))(0.5), expected)
        assert np.isclose(linearize(chain(step, 2000), 0.5)[1](1.0), expected)
    deep = np.sin
    for _ in range(50):
        deep = checkpoint(partial(lambda g, x: g(x), deep))
    assert np.isclose(grad(deep)(0.5), np.cos(0.5))


def test_transforms_of_one_function_are_reusable_objects():
    d = grad(f)
    assert d(X) == d(X)
    assert np.isclose(jvp(d, (X,), (1.0,))[1], derivative_of_f(2, X))
    assert np.isclose(d(X), derivative_of_f(1, X))


# --- perturbation confusion ----------------------------------------------------------------------


@each_outer
@each_inner
def test_siskind_pearlmutter_2005_constant_of_the_outer_derivative(outer, inner):
    # "Perturbation confusion and referential transparency": D (lambda x. x D (lambda y. x + y) 1) 1
    # is 1; with one perturbation for both derivatives it comes out as 2.
    assert np.isclose(outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0), 1)


@each_outer
@each_inner
def test_siskind_pearlmutter_2005_product(outer, inner):
    # D (lambda x. x D (lambda y. x y) 2) 1: the inner derivative is x, so the outer one is 2 x.
    assert np.isclose(outer(lambda x: x * inner(lambda y: x * y)(2.0))(1.0), 2)


@each_outer
@each_inner
def test_derivative_at_a_point_that_is_traced_itself(outer, inner):
    # d/dx of (d/dy of x y**2 at y = x) = d/dx of 2 x**2.
    assert np.isclose(outer(lambda x: inner(lambda y: x * y**2)(x))(3.0), 12)


@each_outer
@each_inner
def test_closure_over_the_variable_of_the_outer_derivative(outer, inner):
    def g(x):
        return x * inner(lambda y: np.sin(x * y))(0.4)  # x**2 cos(0.4 x)

    expected = 2 * X * np.cos(0.4 * X) - 0.4 * X**2 * np.sin(0.4 * X)
    assert np.isclose(outer(g)(X), expected)


@pytest.mark.parametrize(
    "names", list(product(["grad", "jvp", "linearize", "vmap of grad"], repeat=3)), ids="-".join
)
def test_closure_over_the_variables_of_two_outer_derivatives(names):
    d1, d2, d3 = [DERIVATIVES[name] for name in names]

    def of_x(x):
        def of_y(y):
            return x * y * d3(lambda z: x**2 * y * z**3)(0.5)  # 0.75 x**3 y**2

        return x * d2(of_y)(2.0)  # 3 x**4

    assert np.isclose(d1(of_x)(1.5), 12 * 1.5**3)


@each_outer
@each_inner
def test_inner_derivative_of_a_function_that_ignores_its_argument_is_zero(outer, inner):
    assert outer(lambda x: x + inner(lambda y: x**2)(1.0))(3.0) == 1


@each_outer
@each_inner
def test_stop_gradient_stops_every_level(outer, inner):
    # stop_gradient(x y) is a constant of both derivatives: d/dx (x**2 y) = 2 x y at y = x = 3.
    got = outer(lambda x: x * inner(lambda y: y * stop_gradient(x * y))(x))(3.0)
    assert np.isclose(got, 9)


@each_derivative
def test_manzyuk_et_al_2019_derivative_of_a_curried_function(d):
    # "Perturbation confusion in forward automatic differentiation of higher-order functions":
    # s u f = lambda x. f(x + u), and D s 0 maps a function to its derivative. One tag for both
    # uses of the operator gives 0 where the second derivative is due.
    def shift(u):
        return lambda g: lambda x: g(x + u)

    def operator(g):
        return lambda x: d(lambda u: shift(u)(g)(x))(0.0)

    assert np.isclose(operator(np.exp)(1.0), np.e)
    assert np.isclose(operator(operator(np.exp))(1.0), np.e)
    assert np.isclose(operator(operator(f))(X), derivative_of_f(2, X))


def test_manzyuk_et_al_2019_a_closure_that_escapes_its_derivative_raises():
    escaped = []
    jvp(lambda u: escaped.append(lambda g: lambda x: g(x + u)) or u, (0.0,), (1.0,))
    with pytest.raises(LeakedTracerError):
        escaped[0](np.exp)(1.0)


@pytest.mark.parametrize(
    "transform",
    [by_jvp, grad, by_vjp, by_linearize, jacfwd, jacrev, lambda g: lambda x: vmap(g)(np.ones(3))],
)
def test_a_function_as_the_result_raises(transform):
    with pytest.raises(FuncgradError):
        transform(lambda u: lambda x: x + u)(1.0)


@each_derivative
def test_church_pair_of_the_derivative_of_a_product(d):
    # Manzyuk et al. encode pairs as functions; both components are traced at their own level.
    def pair(a, b):
        return lambda select: select(a, b)

    def g(x):
        p = pair(x**2, d(lambda y: x * y**3)(1.0))  # 3 x
        return p(lambda a, b: a * b)

    assert np.isclose(d(g)(2.0), 36)


# --- closures over tracers of each level ---------------------------------------------------------


@each_outer
@each_inner
def test_checkpoint_reads_a_closure_of_the_outer_level(outer, inner):
    got = outer(lambda x: inner(checkpoint(lambda a: a**2 * x))(2.0))(3.0)
    assert np.isclose(got, 4)


@each_outer
@each_inner
def test_checkpoint_reads_a_closure_of_the_inner_level(outer, inner):
    got = outer(lambda x: inner(lambda y: checkpoint(lambda a: a**2 * y)(x))(2.0))(3.0)
    assert np.isclose(got, 6)


@each_derivative
def test_checkpoint_reads_a_closure_of_its_own_level(d):
    assert np.isclose(d(lambda x: checkpoint(lambda a: a**2 * x)(x))(3.0), 27)


@each_derivative
def test_checkpoint_reads_a_closure_of_vmap(d):
    def g(x):
        return np.sum(vmap(lambda y: checkpoint(lambda a: a**2 * y)(x))(np.arange(4.0)))

    assert np.isclose(d(g)(3.0), 36)


def test_vmap_of_a_checkpointed_closure_of_grad():
    got = vmap(lambda x: grad(lambda y: checkpoint(lambda a: a**2 * y)(x))(2.0))(np.arange(3.0))
    assert np.array_equal(got, [0, 1, 4])


def vjp_of_a_closure(y):
    g = custom_vjp(lambda a: a**2 * y)
    g.defvjp(lambda a: (a**2 * y, a), lambda a, ct: (2 * ct * a * y,))
    return g


def jvp_of_a_closure(y):
    g = custom_jvp(lambda a: a**2 * y)
    g.defjvp(lambda p, t: (p[0] ** 2 * y, 2 * p[0] * y * t[0]))
    return g


each_rule = pytest.mark.parametrize("rule", [vjp_of_a_closure, jvp_of_a_closure])


@each_rule
@each_outer
@each_inner
def test_custom_rule_reads_a_closure_of_the_outer_level(rule, outer, inner):
    assert np.isclose(outer(lambda x: inner(rule(x))(2.0))(3.0), 4)


@each_rule
@each_outer
@each_inner
def test_custom_rule_that_reads_a_closure_of_the_inner_level_raises(rule, outer, inner):
    with pytest.raises(ArgumentError, match="not among its arguments"):
        outer(lambda x: inner(lambda y: rule(y)(x))(2.0))(3.0)


@each_rule
@each_derivative
def test_custom_rule_that_reads_a_closure_of_its_own_level_raises(rule, d):
    with pytest.raises(ArgumentError, match="not among its arguments"):
        d(lambda x: rule(x)(x))(3.0)


@each_rule
def test_custom_rule_that_reads_a_mapped_closure_raises(rule):
    with pytest.raises(ArgumentError, match="not among its arguments"):
        grad(lambda x: np.sum(vmap(lambda y: rule(y)(x))(np.arange(3.0))))(2.0)


@each_rule
@each_derivative
def test_custom_rule_of_a_plain_argument_that_reads_a_closure_raises(rule, d):
    with pytest.raises(ArgumentError, match="not among its arguments"):
        d(lambda y: rule(y)(3.0))(2.0)


def test_bwd_that_reads_a_closure_of_its_own_level_raises():
    def g(x):
        h = custom_vjp(lambda a: 1.0 * a)
        h.defvjp(lambda a: (1.0 * a, None), lambda _, ct: (ct * x,))
        return h(x)

    with pytest.raises(FuncgradError):
        grad(g)(2.0)


def test_pullback_of_an_outer_level_called_at_an_inner_one():
    def g(x):
        _, pullback = vjp(lambda y: x * y**2, x)  # ct -> 2 x**2 ct
        return grad(lambda ct: pullback(ct**3)[0])(x)  # 6 x**4

    assert np.isclose(grad(g)(2.0), 24 * 8)
    assert np.isclose(by_jvp(g)(2.0), 24 * 8)


def test_pushforward_of_an_outer_level_called_at_an_inner_one():
    def g(x):
        _, pushforward = linearize(lambda y: x * y**2, x)
        return grad(lambda t: pushforward(t**3))(x)

    assert np.isclose(grad(g)(2.0), 24 * 8)
    assert np.isclose(by_jvp(g)(2.0), 24 * 8)


def test_derivative_through_a_pullback_made_outside():
    _, pullback = vjp(np.sin, 0.3)
    assert np.isclose(grad(lambda ct: pullback(ct**2)[0])(2.0), 4 * np.cos(0.3))
    assert np.allclose(vmap(lambda ct: pullback(ct)[0])(np.arange(3.0)), np.arange(3) * np.cos(0.3))


def test_pullback_that_escapes_an_outer_level_raises_when_used():
    escaped = []

    def g(x):
        out, pullback = vjp(lambda y: x * y**2, 3.0)
        escaped.append(pullback)
        return out

    grad(g)(2.0)
    with pytest.raises(LeakedTracerError):
        escaped[0](1.0)


def test_hessian_by_every_pair_of_jacobians_of_a_function_of_two_arguments():
    def g(x, y):
        return np.sum(np.sin(x) * y**2) + x[0] * y[1]

    x, y = np.array([0.3, 0.8]), np.array([1.2, -0.7])
    blocks = (
        (np.diag(-np.sin(x) * y**2), np.array([[2 * y[0] * np.cos(x[0]), 1], [0, 0]])),
        (np.array([[0, 0], [1, 0]]), np.diag(2 * np.sin(x))),
    )
    blocks[0][1][1, 1] = 2 * y[1] * np.cos(x[1])
    expected = (blocks[0], (blocks[0][1].T, blocks[1][1]))
    for outer, inner in product([jacrev, jacfwd], repeat=2):
        got = outer(inner(g, (0, 1)), (0, 1))(x, y)
        for i, j in product(range(2), repeat=2):
            assert np.allclose(got[i][j], expected[i][j])


def test_nested_vmaps_over_a_matrix_of_pairs():
    x, y = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0])
    table = vmap(vmap(grad(lambda a, b: np.sin(a * b)), in_axes=(None, 0)), in_axes=(0, None))
    assert np.allclose(table(x, y), y * np.cos(np.outer(x, y)))


def test_vmap_of_grad_of_vmap_of_jvp():
    x = np.arange(6.0).reshape(2, 3)
    got = vmap(grad(lambda row: np.sum(vmap(by_jvp(f))(row))))(x)
    assert np.allclose(got, np.vectorize(lambda a: derivative_of_f(2, a))(x))


# --- writes in place, across levels -----------------------------------------------------------------

V = np.array([1.0, 2.0, 3.0])


def running_products(x):
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = np.sin(x[i]) * (y[i - 1] if i else 1.0)
    return y


def running_products_without_writes(x):
    a, b, c = np.sin(x[0]), np.sin(x[1]), np.sin(x[2])
    return np.stack([a, a * b, a * b * c])


@pytest.mark.parametrize("wrap", [lambda f: f, checkpoint], ids=["plain", "checkpoint"])
def test_array_filled_in_place_under_each_transform(wrap):
    f, g = wrap(running_products), running_products_without_writes
    for jac in (jacrev, jacfwd):
        assert np.allclose(jac(f)(V), jac(g)(V))
        assert np.allclose(vmap(jac(f))(np.stack([V, 2 * V]))[1], jac(g)(2 * V))
    for outer, inner in product([jacrev, jacfwd], repeat=2):
        assert np.allclose(outer(inner(f))(V), hessian(g)(V))
    assert np.allclose(linearize(f, V)[1](V), jvp(g, (V,), (V,))[1])


def test_inner_value_written_into_an_array_of_the_outer_level():
    def f(x):
        def inner(y):
            z = np.zeros_like(x)
            z[0] = y * x[1]
            z[1] = x[0]
            return np.sum(z * z)

        return grad(inner)(2.0)  # 4 x[1]**2

    assert np.allclose(grad(f)(V), [0, 16, 0])
    assert jvp(f, (V,), (np.ones(3),)) == (16, 16)


def test_inner_value_left_in_an_array_of_the_outer_level_raises():
    def f(x):
        z = np.zeros_like(x)

        def inner(y):
            z[0] = y
            return y

        return grad(inner)(2.0) * np.sum(z)

    with pytest.raises(LeakedTracerError):
        grad(f)(V)


def pulled(f, x):
    return vjp(f, x)[1](np.ones(3))[0]


INNER = {
    "grad": lambda f, x: grad(lambda a: np.sum(f(a)))(x),
    "vjp": pulled,
    "jvp": lambda f, x: jvp(f, (x,), (np.ones(3),))[1],
    "linearize": lambda f, x: linearize(f, x)[1](np.ones(3)),
    "jacrev": lambda f, x: np.sum(jacrev(f)(x), axis=0),
    "jacfwd": lambda f, x: np.sum(jacfwd(f)(x), axis=0),
    "vmap of grad": lambda f, x: vmap(grad(lambda a: np.sum(f(a))))(np.stack([x, x]))[0],
}
SEGMENTS = {
    "plain": lambda a, y: a * y,
    "checkpoint": checkpoint(lambda a, y: a * y),
}


@pytest.mark.parametrize("segment", SEGMENTS.values(), ids=list(SEGMENTS))
@pytest.mark.parametrize("inner", INNER.values(), ids=list(INNER))
def test_write_after_an_inner_level_has_read_is_not_seen_by_its_derivative(inner, segment):
    def f(x):
        y = x * 1.0

        def product_then_write(a):
            z = segment(a, y)
            y[:2] = 0.0
            return z

        return np.sum(inner(product_then_write, V) ** 2)  # sum of x**2

    try:
        assert np.allclose(f(V), V @ V)
        got = [grad(f)(V), jacfwd(f)(V), vmap(grad(f))(V[None])[0]]
    except FuncgradError:
        assert segment is not SEGMENTS["plain"]  # refusing is right too, a wrong number is not
        return
    assert np.allclose(got, 2 * V)


def test_write_between_a_derivative_and_its_pullback_or_pushforward_is_not_seen():
    def by_pullback(x):
        y = x * 1.0
        _, pullback = vjp(lambda a: a * y, x)
        y[:] = 0.0
        return np.sum(pullback(np.ones(3))[0])

    def by_pushforward(x):
        y = x * 1.0
        _, pushforward = linearize(lambda a: a * y, x)
        y[:] = 0.0
        return np.sum(pushforward(np.ones(3)))

    for f in (by_pullback, by_pushforward):
        assert f(V) == 6
        assert np.array_equal(grad(f)(V), np.ones(3))
        assert jvp(f, (V,), (V,)) == (6, 6)


@pytest.mark.parametrize(
    "result",
    [
        lambda y: vjp(lambda z: z, y)[0],
        lambda y: jvp(lambda z: z, (y,), (y,))[0],
        lambda y: jvp(lambda z: z, (y,), (y,))[1],
        lambda y: linearize(lambda z: z, y)[0],
        lambda y: linearize(lambda z: z, y)[1](y),
        lambda y: vjp(lambda z: z, y)[1](y)[0],
        vmap(lambda z: z),
        lambda y: value_and_grad(lambda z: (np.sum(z), z), has_aux=True)(y)[0][1],
        stop_gradient,
    ],
)
def test_write_into_an_argument_is_not_seen_by_a_result(result):
    def f(x):
        y = x * 1.0
        out = result(y)
        y[0] = 100.0
        return out[0] * x[0]

    assert f(V) == 1
    expected = [1, 0, 0] if result is stop_gradient else [2, 0, 0]
    assert np.array_equal(grad(f)(V), expected)
    assert jvp(f, (V,), (V,))[1] == expected[0]
    assert np.array_equal(vmap(f)(np.stack([V, V])), [1, 1])


def test_write_into_a_result_is_not_seen_by_its_pullback():
    def f(x):
        out, pullback = vjp(lambda z: z**2, x * 1.0)
        out[0] = 50.0
        return np.sum(out) + np.sum(pullback(np.ones(3))[0])  # 50 + x1**2 + x2**2 + 2 sum(x)

    assert f(V) == 50 + 4 + 9 + 12
    assert np.array_equal(grad(f)(V), [2, 6, 8])


def test_checkpoint_of_a_function_that_writes_into_its_argument():
    def f(x):
        x += 1
        return np.sum(x**2)

    x = V.copy()
    try:
        got = grad(checkpoint(f))(x)
    except (FuncgradError, ValueError):
        got = 2 * (V + 1)  # refusing is right too
    assert np.array_equal(got, 2 * (V + 1))
    assert np.array_equal(x, V)


def with_rule(f):
    g = custom_vjp(f)
    g.defvjp(lambda y, x: (f(y, x), None), lambda _, ct: (None, ct))
    return g


def with_rule_for_tangents(f):
    g = custom_jvp(f)
    g.defjvp(lambda p, t: (f(*p), t[1]))
    return g


@pytest.mark.parametrize("wrap", [checkpoint, with_rule, with_rule_for_tangents])
def test_write_into_an_argument_inside_a_segment_is_seen_outside_or_refused(wrap):
    def fill(y, x):
        y[0] = x[0]
        return x * 1.0

    def f(x):
        y = np.zeros_like(x)
        z = wrap(fill)(y, x)
        return np.sum(y) + np.sum(z)

    for d in (grad, jacfwd):
        try:
            got = d(f)(V)
        except (FuncgradError, ValueError):
            continue
        assert np.array_equal(got, [2, 1, 1])


# --- threads -------------------------------------------------------------------------------------


def test_threads_differentiate_at_once():
    names = list(
        product(["grad", "jvp", "vmap", "linearize", "checkpoint", "custom_jvp"], repeat=2)
    )
    start = threading.Barrier(8)

    def work(k):
        start.wait()
        for pair in names[k::8] * 3:
            assert_nest_is_known((*pair, "grad"))
        return k

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == list(range(8))


def test_threads_share_one_transform_pullback_and_pushforward():
    derivative = grad(checkpoint(by_custom_vjp(f)))
    _, pullback = vjp(f, X)
    _, pushforward = linearize(f, X)

    def work(k):
        return [derivative(X), 2 * pullback(1.0)[0], 2 * pushforward(1.0)]

    with ThreadPoolExecutor(8) as pool:
        results = np.array(list(pool.map(work, range(40))))
    assert np.allclose(results, 2 * derivative_of_f(1, X))


def test_thread_started_inside_a_differentiated_function():
    def g(x):
        with ThreadPoolExecutor(2) as pool:
            return sum(pool.map(grad(lambda y: x * y**2), [1.0, 2.0]))  # 2 x + 4 x

    assert np.isclose(grad(g)(5.0), 6)


# --- exceptions ----------------------------------------------------------------------------------


class Boom(Exception):
    pass


def boom(x):
    raise Boom


@each_outer
@each_inner
def test_exception_inside_leaves_the_outer_derivative_intact(outer, inner):
    def g(x):
        with suppress(Boom):
            inner(lambda y: boom(x * y))(x)
        return x * inner(lambda y: x * y)(1.0)

    assert np.isclose(outer(g)(3.0), 6)


def tracers_alive():
    gc.collect()
    return sum(issubclass(type(x), Tracer) for x in gc.get_objects())


@each_derivative
def test_exception_leaves_nothing_behind(d):
    before = tracers_alive()
    with pytest.raises(Boom):
        d(lambda x: d(lambda y: boom(x * y))(x))(2.0)
    assert tracers_alive() == before
    assert np.isclose(d(f)(X), derivative_of_f(1, X))


@each_derivative
def test_nothing_traced_outlives_a_derivative(d):
    before = tracers_alive()
    d(d(f))(X)
    assert tracers_alive() == before


@each_derivative
def test_exception_in_bwd_leaves_nothing_behind(d):
    g = custom_vjp(f)
    g.defvjp(lambda x: (f(x), None), lambda _, ct: boom(ct))
    before = tracers_alive()
    with pytest.raises(Boom):
        d(g)(2.0)
    assert tracers_alive() == before


@each_derivative
def test_exception_in_a_rule_for_tangents_leaves_nothing_behind(d):
    g = custom_jvp(f)
    g.defjvp(lambda primals, tangents: boom(tangents))
    before = tracers_alive()
    with pytest.raises(Boom):
        d(g)(2.0)
    assert tracers_alive() == before


def test_tracers_of_an_inner_level_raise_when_they_escape():
    for transform in DERIVATIVES.values():
        kept = []

        def g(y, kept=kept):
            kept.append(y)
            return y**2

        transform(g)(3.0)
        with pytest.raises(LeakedTracerError):
            kept[0] + 1


def test_tracers_that_escaped_raise_in_later_transforms():
    kept = []
    grad(lambda y: kept.append(y) or y**2)(3.0)
    for use in (
        lambda: grad(lambda x: x * kept[0])(1.0),
        lambda: vmap(lambda x: x * kept[0])(np.ones(2)),
        lambda: grad(np.sin)(kept[0]),
        lambda: jvp(np.sin, (kept[0],), (1.0,)),
        lambda: checkpoint(np.sin)(kept[0]),
        lambda: by_custom_vjp(np.sin)(kept[0]),
    ):
        with pytest.raises(LeakedTracerError):
            use()
    assert repr(kept[0])


def test_tracer_of_an_inner_level_that_escapes_into_the_outer_one_raises():
    def g(x):
        kept = []
        grad(lambda y: kept.append(y) or x * y)(1.0)
        return kept[0] * x

    with pytest.raises(LeakedTracerError):
        grad(g)(2.0)


def test_generator_that_is_abandoned_halfway_disturbs_nobody():
    def running():
        for k in range(3):
            yield grad(lambda x, k=k: x**k)(2.0)

    generator = running()
    next(generator), next(generator)
    assert np.isclose(grad(f)(X), derivative_of_f(1, X))
    assert next(generator) == 4


# --- random programs -----------------------------------------------------------------------------


def written(x):
    y = np.zeros_like(x)
    y[1:] = np.sin(x[:-1])
    y[0] = x[2] * y[1]
    y += x / 2
    return y


# Smooth everywhere, with derivatives of order one, so that central differences are sharp.
UNARY = {
    "sin": np.sin,
    "tanh": np.tanh,
    "arctan": np.arctan,
    "gauss": lambda x: np.exp(-(x**2)),
    "rational": lambda x: 1 / (1 + x**2),
    "root": lambda x: np.sqrt(1 + x * x),
    "softplus": lambda x: np.logaddexp(0, x),
    "flip": np.flip,
    "roll": lambda x: np.roll(x, 1),
    "cumsum-like": lambda x: x @ np.triu(np.ones((3, 3))) / 3,
    "index": lambda x: x[[2, 0, 0]],
    "slice": lambda x: np.concatenate([x[1:], x[:1]]),
    "outer": lambda x: np.mean(np.outer(x, np.cos(x)), axis=0),
    "centre": lambda x: x - np.mean(x),
    "where": lambda x: np.where(np.arange(3) > 0, x**2 / 4, np.sin(x)),
    "stack": lambda x: np.stack([x, 2 * x], axis=1).sum(axis=1) / 3,
    "written": written,
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": lambda x, y: np.sin(x) * y,
    "divide": lambda x, y: x / (2 + np.cos(y)),
    "arctan2": lambda x, y: np.arctan2(x, 2 + np.sin(y)),
    "hypot": lambda x, y: np.hypot(x, 1 + y * y) / 3,
    "einsum": lambda x, y: np.einsum("i,j->j", x, y) / 3,
}


def custom(fun):
    """The right rule, told."""
    g = custom_vjp(fun)
    g.defvjp(lambda x: (fun(x), x), lambda x, ct: (vjp(fun, x)[1](ct)[0],))
    return g


def custom_forward(fun):
    g = custom_jvp(fun)
    g.defjvp(lambda p, t: jvp(fun, p, t))
    return g


# Each makes a smooth function of vectors of three into another one.
WRAPPERS = {
    "plain": lambda fun: fun,
    "checkpoint": checkpoint,
    "custom_vjp": custom,
    "custom_jvp": custom_forward,
    "vmap": lambda fun: (
        lambda x: np.mean(vmap(fun, in_axes=1, out_axes=1)(np.outer(x, [1, 0.5])), axis=1)
    ),
    "jvp": lambda fun: lambda x: jvp(fun, (x,), (np.cos(x),))[1],
    "vjp": lambda fun: lambda x: vjp(fun, x)[1](np.cos(x))[0],
    "linearize": lambda fun: lambda x: linearize(fun, x)[1](np.cos(x)),
    "grad": lambda fun: grad(lambda x: np.sum(np.sin(fun(x)))),
    "jacfwd": lambda fun: lambda x: np.cos(x) @ jacfwd(fun)(x),
    "jacrev": lambda fun: lambda x: jacrev(fun)(x) @ np.cos(x),
    "stop_gradient of zero": lambda fun: lambda x: fun(x) + 0 * stop_gradient(x),
}


def steps(depth):
    """Programs: lists of steps, each a function of an earlier value or of two."""
    unary = st.tuples(st.sampled_from(sorted(UNARY)), st.integers(0, 5))
    binary = st.tuples(st.sampled_from(sorted(BINARY)), st.integers(0, 5), st.integers(0, 5))
    choices = unary | binary
    if depth:
        wrapped = st.tuples(
            st.sampled_from(sorted(WRAPPERS)),
            st.deferred(lambda: steps(depth - 1)),
            st.integers(0, 5),
        )
        choices = choices | wrapped
    return st.lists(choices, min_size=1, max_size=4)


def run(program, x):
    values = [x]
    for name, *rest in program:
        if name in UNARY:
            values.append(UNARY[name](values[rest[0] % len(values)]))
        elif name in BINARY:
            values.append(BINARY[name](*[values[i % len(values)] for i in rest]))
        else:
            inner, i = rest
            segment = WRAPPERS[name](partial(run, inner))
            values.append(segment(values[i % len(values)]))
    return sum(values[1:]) / len(values)


def central_difference(fun, x, v, step=1e-4):
    """Return the derivative along v, to fourth order in the step."""
    near = fun(x + step * v) - fun(x - step * v)
    far = fun(x + 2 * step * v) - fun(x - 2 * step * v)
    return (8 * near - far) / (12 * step)


POINT, DIRECTION = np.array([0.3, -0.8, 1.1]), np.array([0.5, 1.0, -0.7])


@given(steps(depth=2))
def test_random_program_against_central_differences(program):
    def fun(x):
        return run(program, x)

    expected = central_difference(fun, POINT, DIRECTION)
    scale = 1 + np.max(np.abs(expected))
    close = {"rtol": 0, "atol": 1e-6 * scale}
    out, tangent = jvp(fun, (POINT,), (DIRECTION,))
    assert np.allclose(out, fun(POINT))
    assert np.allclose(tangent, expected, **close)
    assert np.allclose(linearize(fun, POINT)[1](DIRECTION), tangent, rtol=0, atol=1e-10 * scale)
    assert np.allclose(jacfwd(fun)(POINT) @ DIRECTION, tangent, rtol=0, atol=1e-10 * scale)
    assert np.allclose(jacrev(fun)(POINT) @ DIRECTION, tangent, rtol=0, atol=1e-10 * scale)


@given(steps(depth=1))
def test_random_program_vmapped_is_a_loop(program):
    batch = np.stack([POINT, DIRECTION, POINT[::-1]])

    def fun(x):
        return run(program, x)

    def loss(x):
        return np.sum(np.sin(fun(x)))

    assert np.allclose(vmap(fun)(batch), [fun(x) for x in batch], atol=1e-10)
    assert np.allclose(vmap(grad(loss))(batch), [grad(loss)(x) for x in batch], atol=1e-10)
    total = grad(lambda xs: np.sum(vmap(loss)(xs)))(batch)
    assert np.allclose(total, [grad(loss)(x) for x in batch], atol=1e-10)


@given(steps(depth=1))
def test_random_program_has_the_same_hessian_in_every_order_of_modes(program):
    def loss(x):
        return np.sum(np.sin(run(program, x)))

    expected = central_difference(grad(loss), POINT, DIRECTION)
    scale = 1 + np.max(np.abs(expected))
    product_ = hvp(loss, (POINT,), (DIRECTION,))
    assert np.allclose(product_, expected, rtol=0, atol=1e-6 * scale)
    for outer, inner in product([jacrev, jacfwd], [grad, jacfwd]):
        got = outer(inner(loss))(POINT) @ DIRECTION
        assert np.allclose(got, product_, rtol=0, atol=1e-9 * scale)
    assert np.allclose(hessian(loss)(POINT) @ DIRECTION, product_, rtol=0, atol=1e-9 * scale)
