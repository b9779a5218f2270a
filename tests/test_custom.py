"""custom_vjp, custom_jvp, checkpoint and stop_gradient: rules told, and computations repeated."""

import pickle
import tracemalloc
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from funcgrad import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    hvp,
    implicit,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stop_gradient,
    tree,
    value_and_grad,
    vjp,
    vmap,
)
from funcgrad.errors import (
    ArgumentError,
    FuncgradError,
    MutatedConstantError,
    ShapeError,
    StructureError,
)
from funcgrad.primitives import primitive

X = np.array([0.5, 1.0, 2.0])


def by_vjp(fun, fwd, bwd, **options):
    g = custom_vjp(fun, **options)
    g.defvjp(fwd, bwd)
    return g


def by_jvp(fun, rule, **options):
    g = custom_jvp(fun, **options)
    g.defjvp(rule)
    return g


def sine_with_three_cosines():
    """The rule says 3 cos, which shows that it is used."""
    return by_vjp(np.sin, lambda x: (np.sin(x), np.cos(x)), lambda c, ct: (3 * ct * c,))


def sine_with_three_cosines_forward():
    return by_jvp(np.sin, lambda p, t: (np.sin(p[0]), 3 * np.cos(p[0]) * t[0]))


each_rule = pytest.mark.parametrize(
    "make", [sine_with_three_cosines, sine_with_three_cosines_forward], ids=["vjp", "jvp"]
)

FIRST_DERIVATIVES = {
    "grad": lambda f: grad(lambda x: np.sum(f(x))),
    "vjp": lambda f: lambda x: vjp(f, x)[1](np.ones(3))[0],
    "jvp": lambda f: lambda x: jvp(f, (x,), (np.ones(3),))[1],
    "linearize": lambda f: lambda x: linearize(f, x)[1](np.ones(3)),
    "jacrev": lambda f: lambda x: np.sum(jacrev(f)(x), axis=1),
    "jacfwd": lambda f: lambda x: np.sum(jacfwd(f)(x), axis=1),
    "vmap of grad": lambda f: vmap(grad(f)),
    "grad of vmap": lambda f: grad(lambda x: np.sum(vmap(f)(x))),
    "vmap of jvp": lambda f: vmap(lambda x: jvp(f, (x,), (1.0,))[1]),
    "jvp of vmap": lambda f: lambda x: jvp(vmap(f), (x,), (np.ones(3),))[1],
    "checkpoint": lambda f: grad(lambda x: np.sum(checkpoint(f)(x))),
}
each_derivative = pytest.mark.parametrize(
    "d", FIRST_DERIVATIVES.values(), ids=list(FIRST_DERIVATIVES)
)


# --- the rule is used, under every transform ---------------------------------------------------------


@each_rule
def test_value_is_that_of_the_function(make):
    f = make()
    assert np.allclose(f(X), np.sin(X))
    assert np.allclose(vmap(f)(X), np.sin(X))
    assert f(0.5) == np.sin(0.5)


@each_rule
@each_derivative
def test_derivative_is_that_of_the_rule(make, d):
    assert np.allclose(d(make())(X), 3 * np.cos(X))


@each_rule
@each_derivative
@pytest.mark.parametrize("outer", ["jvp", "grad", "linearize", "vmap of grad"])
def test_second_derivative_differentiates_the_rule(make, d, outer):
    if outer == "vmap of grad":
        got = vmap(grad(lambda x: np.sum(d(make())(x * np.ones(3)))))(X)
        assert np.allclose(got, -9 * np.sin(X))
    else:
        assert np.allclose(FIRST_DERIVATIVES[outer](d(make()))(X), -3 * np.sin(X))


@each_rule
def test_in_a_larger_function(make):
    f = make()

    def g(x):
        return np.sum(np.exp(f(x**2)))

    expected = np.exp(np.sin(X**2)) * 3 * np.cos(X**2) * 2 * X
    assert np.allclose(grad(g)(X), expected)
    assert np.isclose(jvp(g, (X,), (X,))[1], expected @ X)


@each_rule
def test_hessian_and_hvp(make):
    assert np.isclose(hessian(make())(0.7), -3 * np.sin(0.7))
    assert np.isclose(hvp(make(), (0.7,), (2.0,)), -6 * np.sin(0.7))


@each_rule
def test_value_in_a_first_derivative_is_differentiated_as_the_rule_computes_it(make):
    # The first derivative of exp(f) is exp(v) 3 cos, where v = np.sin(x) comes out of the rule.
    f, s, c = make(), np.sin(0.7), np.cos(0.7)
    for d in (grad(grad(lambda x: np.exp(f(x)))), hessian(lambda x: np.exp(f(x)))):
        assert np.isclose(d(0.7), np.exp(s) * (3 * c * c - 3 * s))


@each_rule
def test_float32_stays_float32(make):
    x = X.astype(np.float32)
    assert grad(lambda x: np.sum(make()(x)))(x).dtype == np.float32
    assert jvp(make(), (x,), (x,))[1].dtype == np.float32
    assert vmap(grad(make()))(x).dtype == np.float32


def test_cotangent_of_another_precision_takes_that_of_the_argument():
    f = by_vjp(np.sin, lambda x: (np.sin(x), None), lambda _, ct: (np.ones(3),))
    assert grad(lambda x: np.sum(f(x)))(X.astype(np.float32)).dtype == np.float32
    g = by_vjp(np.sin, lambda x: (np.sin(x), None), lambda _, ct: (np.ones(3, int),))
    assert grad(lambda x: np.sum(g(x)))(X).dtype == np.float64


@each_rule
def test_function_that_returns_its_argument(make):
    f = by_vjp(lambda x: x, lambda x: (x, None), lambda _, ct: (7 * ct,))
    g = by_jvp(lambda x: x, lambda p, t: (p[0], 7 * t[0]))
    for h in (f, g):
        assert grad(h)(2.0) == 7
        assert jvp(h, (2.0,), (1.0,)) == (2, 7)
        assert np.array_equal(vmap(grad(h))(X), [7, 7, 7])


def test_function_whose_result_is_a_constant():
    f = by_vjp(lambda x: 3.0, lambda x: (3.0, x), lambda x, ct: (x * ct,))
    for h in (f, by_jvp(lambda x: 3.0, lambda p, t: (3.0, p[0] * t[0]))):
        assert grad(h)(2.0) == 2
        assert jvp(h, (2.0,), (1.0,)) == (3, 2)
        assert np.array_equal(vmap(h)(X), [3, 3, 3])
        assert np.array_equal(vmap(grad(h))(X), X)
        assert np.isclose(grad(lambda x, h=h: x * h(x))(2.0), 3 + 4)


@each_rule
def test_only_the_cotangent_or_only_the_tangent_is_mapped(make):
    expected = 3 * np.cos(2.0) * X
    assert np.allclose(vmap(lambda ct: vjp(make(), 2.0)[1](ct)[0])(X), expected)
    assert np.allclose(vmap(lambda t: jvp(make(), (2.0,), (t,))[1])(X), expected)
    assert np.allclose(vmap(linearize(make(), 2.0)[1])(X), expected)
    assert np.allclose(vmap(lambda x: jvp(make(), (x,), (1.0,))[1])(X), 3 * np.cos(X))


# --- custom_vjp: pytrees and arguments ----------------------------------------------------------------


@dataclass
class Params:
    w: Any
    b: Any
    act: str = field(default="tanh", metadata={"static": True})


def affine():
    def fwd(params, x):
        return {"y": params.w * x + params.b, "n": (x,)}, (params, x)

    def bwd(residuals, ct):
        params, x = residuals
        gy, gn = ct["y"], ct["n"][0]
        return Params(np.sum(gy * x), gy), 10 * params.w * gy + gn

    return by_vjp(lambda params, x: fwd(params, x)[0], fwd, bwd)


def test_pytrees_of_arguments_residuals_outputs_and_cotangents():
    f = affine()
    out, pullback = vjp(f, Params(2.0, X), 3 * X)
    assert np.allclose(out["y"], 7 * X)
    params, gx = pullback({"y": np.ones(3), "n": (np.zeros(3),)})
    assert np.isclose(params.w, np.sum(3 * X))
    assert np.allclose(params.b, 1)
    assert np.allclose(gx, 20)
    _, tangent = jvp(f, (Params(2.0, X), X), (Params(1.0, X), X))
    assert np.allclose(tangent["y"], X + X + 20 * X)
    assert np.allclose(tangent["n"][0], X)


def test_pytrees_under_vmap():
    f, rows = affine(), np.stack([X, 2 * X])
    loss = lambda params, x: np.sum(f(params, x)["y"] ** 2)  # noqa: E731
    got = vmap(grad(loss, (0, 1)), in_axes=(Params(None, 0), 0))(Params(2.0, rows), rows)
    for k, row in enumerate(rows):
        params, gx = grad(loss, (0, 1))(Params(2.0, row), row)
        assert np.isclose(got[0].w[k], params.w)
        assert np.allclose(got[0].b[k], params.b)
        assert np.allclose(got[1][k], gx)


def test_shared_argument_of_a_mapped_call_collects_the_cotangents_of_all_examples():
    f = by_vjp(
        lambda w, x: w * x,
        lambda w, x: (w * x, (w, x)),
        lambda r, ct: (2 * ct * r[1], 5 * ct * r[0]),
    )
    got = grad(lambda w, x: np.sum(vmap(f, in_axes=(None, 0))(w, x)), (0, 1))(3.0, X)
    assert np.isclose(got[0], 2 * np.sum(X))
    assert np.allclose(got[1], 15)


def test_unused_outputs_have_cotangent_zero():
    f = by_vjp(
        lambda x: (2 * x, 100 * x),
        lambda x: ((2 * x, 100 * x), None),
        lambda _, ct: (2 * ct[0] + 100 * ct[1],),
    )
    assert grad(lambda x: f(x)[0])(1.0) == 2
    assert grad(lambda x: f(x)[1] + f(x)[0])(1.0) == 102


def test_none_stands_for_a_zero_cotangent():
    f = by_vjp(lambda x, y: x * y, lambda x, y: (x * y, y), lambda y, ct: (ct * y, None))
    assert grad(f, (0, 1))(2.0, 3.0) == (3, 0)
    assert jvp(f, (2.0, 3.0), (1.0, 1.0))[1] == 3
    assert np.array_equal(vmap(grad(f, 1))(X, X), np.zeros(3))


def test_none_stands_for_a_zero_part_of_a_pytree():
    f = by_vjp(
        lambda p: p["a"] * p["b"][0],
        lambda p: (p["a"] * p["b"][0], p),
        lambda p, ct: ({"b": None, "a": ct * p["b"][0]},),
    )
    got = grad(f)({"a": 2.0, "b": [3.0, X]})
    assert got["a"] == 3
    assert got["b"][0] == 0
    assert np.array_equal(got["b"][1], np.zeros(3))


def test_integer_boolean_and_other_arguments_need_none():
    def fwd(x, n, flag, name):
        return x**n, (x, n)

    def bwd(residuals, ct):
        x, n = residuals
        return ct * n * x ** (n - 1), None, None, None

    f = by_vjp(lambda x, n, flag, name: x**n, fwd, bwd)
    assert grad(f)(2.0, 3, True, "cube") == 12
    assert jvp(lambda x: f(x, 3, True, "cube"), (2.0,), (1.0,))[1] == 12
    n = np.arange(3)
    assert np.allclose(grad(lambda x: np.sum(f(x, n, True, None)))(X), n * X ** (n - 1.0))
    got = vmap(grad(f), in_axes=(0, 0, None, None))(X, n, True, "powers")
    assert np.allclose(got, n * X ** (n - 1.0))


def test_integer_arguments_have_tangent_zero():
    f = custom_jvp(lambda x, n: x * n)
    f.defjvp(lambda primals, ts: (primals[0] * primals[1], ts[0] * primals[1] + primals[0] * ts[1]))
    for n in (3, True, np.int64(3), np.arange(3)):
        assert np.array_equal(grad(lambda x, n=n: np.sum(f(x, n)))(X), n * np.ones(3))
        assert np.array_equal(jvp(lambda x, n=n: f(x, n), (X,), (X,))[1], n * X)
        assert np.array_equal(
            vmap(grad(f), in_axes=(0, None if np.ndim(n) == 0 else 0))(X, n), n * np.ones(3)
        )


def test_integer_and_other_outputs():
    f = by_vjp(
        lambda x: (2 * x, np.argmax(x), "name", None, 3),
        lambda x: ((2 * x, np.argmax(x), "name", None, 3), None),
        lambda _, ct: (2 * ct[0],),
    )
    assert np.allclose(grad(lambda x: np.sum(f(x)[0]))(X), 2)
    out = f(X)
    assert out[1:] == (2, "name", None, 3)


def test_nondiff_argnums():
    def scaled(x, factor, function):
        return factor * function(x)

    def fwd(x, factor, function):
        return scaled(x, factor, function), x

    # bwd gets the residuals and the cotangent alone, and returns nothing for those arguments.
    def bwd(x, ct):
        return (ct * 100,)

    f = by_vjp(scaled, fwd, bwd, nondiff_argnums=(1, -1))
    assert grad(f)(2.0, 3, np.sin) == 100
    assert jvp(lambda x: f(x, 3, np.sin), (2.0,), (1.0,))[1] == 100
    assert np.array_equal(vmap(grad(lambda x: f(x, 3, np.sin)))(X), [100] * 3)
    single = by_vjp(lambda x, n: x**n, lambda x, n: (x**n, x), bwd, nondiff_argnums=1)
    assert grad(single)(2.0, 3) == 100


def test_nondiff_arguments_may_be_mapped_where_the_call_is():
    f = by_vjp(
        lambda x, n: x**n,
        lambda x, n: (x**n, (x, n)),
        lambda r, ct: (ct * r[1] * r[0] ** (r[1] - 1.0),),
        nondiff_argnums=1,
    )
    n = np.arange(3)
    try:
        got = vmap(grad(f))(X, n)
    except FuncgradError:
        return  # refusing is right too; a wrong number is not
    assert np.allclose(got, n * X ** (n - 1.0))


def test_nondiff_argument_that_is_differentiated_with_the_others_raises():
    f = by_vjp(
        lambda x, n: x * n, lambda x, n: (x * n, n), lambda n, ct: (ct * n,), nondiff_argnums=1
    )
    with pytest.raises(ArgumentError, match=r"not among its arguments|nondiff"):
        grad(lambda x: f(x, x))(3.0)


def test_keyword_arguments_and_defaults():
    def power(x, n=2.0):
        return x**n

    f = by_vjp(
        power, lambda x, n: (x**n, (x, n)), lambda r, ct: (ct * r[1] * r[0] ** (r[1] - 1), None)
    )
    assert grad(f)(3.0) == 6
    assert grad(lambda x: f(x=x))(3.0) == 6
    assert grad(lambda x: f(n=3.0, x=x))(2.0) == 12
    assert np.array_equal(vmap(f)(X, n=np.full(3, 2.0)), X**2)
    g = by_jvp(power, lambda p, t: (power(*p), p[1] * p[0] ** (p[1] - 1) * t[0]))
    assert grad(g)(3.0) == 6
    assert grad(lambda x: g(n=3.0, x=x))(2.0) == 12


def test_any_number_of_arguments():
    f = by_vjp(
        lambda *xs: sum(xs), lambda *xs: (sum(xs), len(xs)), lambda n, ct: tuple([ct * 5] * n)
    )
    assert grad(lambda x: f(x, 2 * x, 1.0))(3.0) == 15


def test_keyword_only_argument_raises():
    f = by_vjp(lambda x, *, n: x * n, lambda x: (x, None), lambda _, ct: (ct,))
    with pytest.raises(ArgumentError, match="keyword-only"):
        f(1.0, n=2.0)


def test_methods():
    class Model:
        def __init__(self, factor):
            self.factor = factor

        @partial(custom_vjp, nondiff_argnums=0)
        def scaled(self, x):
            return self.factor * x

        scaled.defvjp(
            lambda self, x: (self.factor * x, self.factor), lambda factor, ct: (ct * factor * 10,)
        )

    assert Model(3.0).scaled(2.0) == 6
    assert grad(Model(3.0).scaled)(2.0) == 30


def test_rules_may_use_transforms():
    f = by_vjp(np.sin, lambda x: (np.sin(x), x), lambda x, ct: (ct * grad(np.sin)(x),))
    g = by_jvp(np.sin, lambda p, t: (np.sin(p[0]), t[0] * jvp(np.sin, p, (1.0,))[1]))
    for h in (f, g):
        assert np.isclose(grad(grad(grad(h)))(0.7), -np.cos(0.7))


def test_rule_may_call_its_own_function():
    f = by_jvp(np.exp, lambda p, t: (f(p[0]), f(p[0]) * t[0]))
    assert np.isclose(grad(grad(grad(f)))(0.7), np.exp(0.7))


def test_gradient_clipping():
    clip = by_vjp(lambda x: x, lambda x: (x, None), lambda _, ct: (np.clip(ct, -1, 1),))
    assert grad(lambda x: 5 * clip(x))(2.0) == 1
    assert np.array_equal(vmap(grad(lambda x: x**2 * clip(x)))(X), 2 * X * X + np.minimum(X**2, 1))


def test_straight_through_rounding():
    rounded = by_vjp(
        lambda x: np.round(1.0 * x), lambda x: (np.round(x), None), lambda _, ct: (ct,)
    )
    assert np.array_equal(grad(lambda x: np.sum(rounded(x) ** 2))(X), 2 * np.round(X))


def test_numerically_stable_rule():
    softplus = by_jvp(
        lambda x: np.logaddexp(0, x), lambda p, t: (softplus(p[0]), t[0] / (1 + np.exp(-p[0])))
    )
    assert np.isclose(grad(softplus)(0.0), 0.5)
    assert np.isclose(grad(grad(softplus))(0.0), 0.25)


def test_forward_mode_of_a_rule_at_a_singular_point():
    # The cotangent rule divides by the square root; where the tangent is zero so is the result.
    f = by_vjp(np.sqrt, lambda x: (np.sqrt(x), np.sqrt(x)), lambda y, ct: (ct / (2 * y),))
    for push in (lambda x, t: jvp(f, (x,), (t,))[1], lambda x, t: linearize(f, x)[1](t)):
        with np.errstate(divide="ignore"):
            assert np.array_equal(push(np.array([0.0, 4.0]), np.array([0.0, 1.0])), [0, 0.25])


def test_forward_mode_of_a_rule_that_branches_on_zero_cotangents():
    f = by_vjp(np.sin, lambda x: (np.sin(x), None), lambda _, ct: (np.where(ct != 0, 3 * ct, 0),))
    assert np.isclose(jvp(f, (1.0,), (2.0,))[1], 6)


# --- wrong rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [custom_vjp, custom_jvp])
def test_missing_rule_raises_on_the_first_call(make):
    def loss(x):
        return x

    with pytest.raises(ArgumentError, match=r"no derivative rule.*\n.*\n.*loss\.def.*jvp|vjp"):
        make(loss)(1.0)
    with pytest.raises(ArgumentError, match="no derivative rule"):
        grad(make(loss))(1.0)


@pytest.mark.parametrize("make", [custom_vjp, custom_jvp, checkpoint])
def test_not_a_function_raises(make):
    with pytest.raises(ArgumentError, match="takes a function"):
        make(3)


def product_with(bwd, fwd=lambda x, y: (x * y, None)):
    def product(x, y):
        return x * y

    return by_vjp(product, fwd, bwd)


@pytest.mark.parametrize("transform", [grad, lambda f: lambda x, y: jvp(f, (x, y), (x, y))])
@pytest.mark.parametrize(
    "bwd",
    [
        lambda _, ct: (ct,),
        lambda _, ct: (ct, ct, ct),
        lambda _, ct: ct,
        lambda _, ct: None,
        lambda _, ct: {"x": ct, "y": ct},
        lambda _, ct: (),
    ],
)
def test_bwd_that_returns_another_number_raises(transform, bwd):
    with pytest.raises(
        StructureError, match=r"bwd of custom_vjp\(product\).*tuple of 2 cotangents"
    ):
        transform(product_with(bwd))(2.0, 3.0)


@pytest.mark.parametrize("cotangent", [np.ones(2), np.ones((1, 3)), 1.0, np.ones((3, 3))])
def test_bwd_that_returns_another_shape_raises(cotangent):
    f = product_with(lambda _, ct: (cotangent, None))
    with pytest.raises(ShapeError, match=r"bwd of custom_vjp\(product\).*\(3,\)") as caught:
        grad(lambda x: np.sum(f(x, 2.0)))(X)
    assert str(np.shape(cotangent)) in str(caught.value)


def test_bwd_that_forgets_to_sum_over_broadcast_axes_raises():
    f = product_with(lambda r, ct: (ct * r[1], ct * r[0]), lambda x, y: (x * y, (x, y)))
    with pytest.raises(ShapeError, match="broadcasting"):
        grad(lambda x, y: np.sum(f(x, y)), 1)(X, 2.0)


def test_bwd_that_returns_another_structure_raises():
    f = by_vjp(lambda p: p["a"], lambda p: (p["a"], None), lambda _, ct: ({"b": ct},))
    with pytest.raises(StructureError, match="bwd of"):
        grad(f)({"a": 1.0})


def test_bwd_that_returns_a_complex_cotangent_of_a_real_argument_raises():
    f = product_with(lambda _, ct: (ct * 1j, None))
    with pytest.raises(FuncgradError, match="complex"):
        grad(f)(2.0, 3.0)


@pytest.mark.parametrize("cotangent", ["a", object()])
def test_bwd_that_returns_no_array_raises(cotangent):
    f = product_with(lambda _, ct: (cotangent, None))
    with pytest.raises(FuncgradError, match="bwd of"):
        grad(f)(2.0, 3.0)


@pytest.mark.parametrize("result", [1.0, None, (1.0,), (1.0, 2.0, 3.0), np.ones(2)])
def test_fwd_without_a_pair_raises(result):
    f = product_with(lambda _, ct: (ct, ct), lambda x, y: result)
    with pytest.raises(
        StructureError, match=r"fwd of custom_vjp\(product\).*\(output, residuals\)"
    ):
        grad(f)(2.0, 3.0)


@pytest.mark.parametrize("transform", [grad, lambda f: lambda x, y: jvp(f, (x, y), (x, y))])
@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (lambda p, t: p[0], StructureError),
        (lambda p, t: None, StructureError),
        (lambda p, t: (p[0], t[0], t[1]), StructureError),
        (lambda p, t: (p[0], (t[0],)), StructureError),
        (lambda p, t: (p[0], None), StructureError),
        (lambda p, t: (p[0], np.ones(2) * t[0]), ShapeError),
        (lambda p, t: (p[0], t[0] * 1j), ShapeError),
    ],
)
def test_rule_for_tangents_that_returns_something_else_raises(transform, rule, error):
    f = by_jvp(lambda x, y: x * y, rule)
    with pytest.raises(error, match="rule of custom_jvp"):
        transform(f)(2.0, 3.0)


def test_too_few_arguments_raise_as_in_python():
    with pytest.raises(TypeError, match="y"):
        product_with(None)(1.0)


@pytest.mark.parametrize("by", ["custom_vjp", "primitive"])
def test_a_derivative_that_cancels_to_rounding_counts_as_linear(by):
    def slope(ct, ans):  # the softmax does not change along (1, 1, ...)
        return ans * (ct - np.sum(ct * ans))

    def softmax(x):
        return np.exp(x) / np.sum(np.exp(x))

    if by == "custom_vjp":
        f = custom_vjp(softmax)
        f.defvjp(lambda x: (softmax(x), softmax(x)), lambda ans, ct: (slope(ct, ans),))
    else:
        f = primitive("softmax", softmax, vjp=(slope,))
    for x in np.random.default_rng(0).normal(size=(20, 7)):
        assert np.allclose(jvp(f, (x,), (np.ones(7),))[1], 0.0, atol=1e-15)


@pytest.mark.parametrize(
    "rule",
    [lambda p, t: (p[0], t[0] ** 2), lambda p, t: (p[0], t[0] + 1), lambda p, t: (p[0], 1.0)],
)
def test_rule_that_is_not_linear_in_the_tangents_raises_in_reverse_mode(rule):
    with pytest.raises(FuncgradError, match="linear"):
        grad(by_jvp(lambda x: x, rule))(2.0)


def test_argument_changed_after_the_call_gives_the_right_gradient_or_an_error():
    f = product_with(lambda r, ct: (ct * r[1], None), lambda x, y: (x * y, (x, y)))

    def loss(call, x):
        y = np.full(3, 5.0)
        out = call(x, y)
        y[:] = 0
        return np.sum(out)

    for call in (f, checkpoint(lambda x, y: x * y), checkpoint(f)):
        try:
            got = grad(partial(loss, call))(X)
        except MutatedConstantError:
            continue
        assert np.array_equal(got, [5, 5, 5])


def test_large_argument_changed_after_the_call_gives_the_right_gradient_or_an_error():
    x = np.ones(50_000)

    def loss(call, x):
        y = np.full(50_000, 5.0)
        out = call(x, y)
        y[:] = 0
        return np.sum(out)

    f = product_with(lambda r, ct: (ct * r[1], None), lambda x, y: (x * y, (x, y)))
    for call in (f, checkpoint(lambda x, y: x * y)):
        try:
            got = grad(partial(loss, call))(x)
        except MutatedConstantError:
            continue
        assert np.all(got == 5)


# --- what they look like ------------------------------------------------------------------------------


def square(x):
    """Square a number."""
    return x**2


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (custom_vjp(square), "custom_vjp(square)"),
        (custom_jvp(square, nondiff_argnums=(1,)), "custom_jvp(square, nondiff_argnums=(1,))"),
        (checkpoint(square), "checkpoint(square)"),
    ],
)
def test_looks_like_its_function(made, shown):
    assert repr(made) == shown
    assert made.__name__ == "square"
    assert made.__doc__ == "Square a number."


def test_checkpoint_pickles():
    assert pickle.loads(pickle.dumps(grad(checkpoint(square))))(3.0) == 6


def test_defjvp_is_a_decorator():
    f = custom_jvp(np.sin)

    @f.defjvp
    def rule(primals, tangents):
        return np.sin(primals[0]), 2 * tangents[0]

    assert callable(rule)
    assert grad(f)(0.0) == 2


# --- checkpoint ----------------------------------------------------------------------------------------


def counted(fun):
    """Return fun and the list to which each run adds an item."""
    runs = []
    return lambda *args, **kwargs: runs.append(1) or fun(*args, **kwargs), runs


@each_derivative
def test_checkpoint_has_the_same_derivative(d):
    assert np.allclose(d(checkpoint(np.sin))(X), np.cos(X))
    second = FIRST_DERIVATIVES["grad"](d(checkpoint(np.sin)))
    assert np.allclose(second(X), -np.sin(X))


def test_checkpointed_function_runs_again_in_the_backward_pass():
    f, runs = counted(lambda x: np.sin(x) * x)
    out, pullback = vjp(checkpoint(f), 2.0)
    assert len(runs) == 1
    pullback(1.0)
    assert len(runs) == 2
    pullback(1.0)
    assert len(runs) == 3
    assert out == np.sin(2.0) * 2


def test_checkpointed_function_does_not_run_again_where_nothing_depends_on_it():
    f, runs = counted(np.sin)
    checkpoint(f)(2.0)
    grad(lambda x: x + 0 * checkpoint(f)(3.0))(1.0)
    assert len(runs) == 2
    grad(lambda x: (checkpoint(f)(x), x)[1])(1.0)
    assert len(runs) == 3


def test_checkpointed_function_runs_once_in_forward_mode():
    f, runs = counted(lambda x: np.sin(x) * x)
    jvp(checkpoint(f), (2.0,), (1.0,))
    assert len(runs) == 1
    hvp(checkpoint(f), (2.0,), (1.0,))
    assert len(runs) == 3


def test_nested_checkpoints():
    f, runs = counted(np.sin)
    segment = checkpoint(lambda x: checkpoint(f)(checkpoint(f)(x)))
    expected = np.cos(np.sin(0.7)) * np.cos(0.7)
    assert np.isclose(grad(segment)(0.7), expected)
    assert len(runs) <= 7
    assert np.isclose(grad(grad(segment))(0.7), grad(grad(lambda x: np.sin(np.sin(x))))(0.7))


def test_checkpoint_of_pytrees_and_keyword_arguments():
    def f(params, x, *, power=2, mode):
        assert mode == "fast"
        return {"a": params["w"] * x**power, "i": np.argmax(x), "n": None}

    loss = lambda p, x: np.sum(checkpoint(f)(p, x, power=3, mode="fast")["a"])  # noqa: E731
    gp, gx = grad(loss, (0, 1))({"w": 2.0, "unused": X}, X)
    assert np.isclose(gp["w"], np.sum(X**3))
    assert np.array_equal(gp["unused"], np.zeros(3))
    assert np.allclose(gx, 6 * X**2)


def test_checkpoint_with_integer_and_other_arguments():
    f = checkpoint(lambda x, i, name, g: g(x)[i])
    assert np.allclose(
        grad(lambda x: np.sum(f(x, [0, 0, 1], "a", np.sin)))(X), [2, 1, 0] * np.cos(X)
    )
    got = vmap(grad(checkpoint(lambda x, i: x[i] ** 2)))(np.stack([X, X]), np.array([1, 2]))
    assert np.allclose(got, [[0, 2, 0], [0, 0, 4]])


def test_checkpoint_takes_the_same_branch_again():
    f = checkpoint(lambda x: x**2 if x > 0 else -x)
    assert grad(f)(3.0) == 6
    assert grad(f)(-3.0) == -1


def test_checkpoint_reads_closures():
    w = np.array(2.0)
    assert grad(checkpoint(lambda x: w * x))(3.0) == 2
    assert grad(lambda w: checkpoint(lambda x: w * x)(3.0))(2.0) == 3
    assert grad(lambda w: checkpoint(lambda x: w * x)(w))(2.0) == 4


@pytest.mark.parametrize(
    "inside",
    [
        lambda y, x: y * np.floor(x * 3),
        lambda y, x: y[np.argmax(x)],
        lambda y, x: y * (x > 1),
        lambda y, x: y * np.sign(np.stack([x, x])[0]),
        lambda y, x: jvp(lambda z: y * z, (x,), (y,))[1],
        lambda y, x: jacfwd(lambda z: y * z)(x) @ y,
        lambda y, x: jacrev(lambda z: y * 2)(x) @ y + y,
        lambda y, x: grad(lambda z: np.sum(y * z))(x) * y,
    ],
)
def test_checkpoint_reads_closures_stepwise_or_in_an_inner_transform(inside):
    """The second run comes when the outer transform has ended, so such a function is not run again."""

    def loss(x, around=lambda f: f):
        return np.sum(around(lambda y: inside(y, x))(np.sin(x)))

    def checked(x):
        return loss(x, checkpoint)

    rows = np.stack([X, X * 0.7])
    expected = [grad(loss)(row) for row in rows]
    assert np.allclose(grad(checked)(X), expected[0])
    assert np.allclose(vmap(grad(checked))(rows), expected)
    assert np.allclose(grad(lambda rows: np.sum(vmap(checked)(rows)))(rows), expected)
    assert np.allclose(hessian(checked)(X), hessian(loss)(X))


def test_checkpoint_reads_an_outer_value_in_a_branch():
    assert grad(lambda x: checkpoint(lambda y: y**2 if x > 0 else -y)(x))(3.0) == 6


@pytest.mark.parametrize("argument", [lambda w: X, lambda w: w], ids=["plain", "traced"])
@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_checkpoint_with_a_closure_draws_as_often_as_the_function(make, argument):
    def drawn(around, rng):
        value, _ = vjp(lambda w: around(lambda x, r: noisy(x, r) * w[0])(argument(w), rng), X)
        return value, rng.random(2) if make is np.random.default_rng else rng.random_sample(2)

    (value, after), (plain, plain_after) = drawn(checkpoint, make(0)), drawn(lambda f: f, make(0))
    assert value == plain
    assert np.array_equal(after, plain_after)


def noisy(x, rng):
    return np.sum(x * rng.random(len(x)))


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_checkpoint_draws_the_same_random_numbers_again(make):
    expected = make(0).random(3) if make is np.random.default_rng else make(0).random_sample(3)
    rng = make(0)
    assert np.array_equal(grad(checkpoint(noisy))(X, rng), expected)
    after = make(0)
    noisy(X, after)
    assert np.array_equal(rng.random(2), after.random(2))
    _, pullback = vjp(lambda x: checkpoint(noisy)(x, make(0)), X)
    assert np.array_equal(pullback(1.0)[0], expected)
    assert np.array_equal(pullback(2.0)[0], 2 * expected)
    assert np.array_equal(
        vmap(grad(checkpoint(noisy)), (0, None))(np.stack([X, X]), make(0))[1], expected
    )


def test_checkpoint_raises_where_the_second_run_differs(rng):
    scale, first = np.ones(3), [True]

    def changed(x):
        y = checkpoint(lambda x: x * scale)(x)
        scale[0] += 1.0
        return np.sum(y)

    drawn = checkpoint(lambda x: noisy(x, rng))
    shorter = checkpoint(lambda x: x[: 3 if first and first.pop() else 2])
    for f in (
        changed,
        drawn,
        lambda x: np.sum(vmap(drawn)(np.stack([x, x]))),
        lambda x: np.sum(shorter(x)),
    ):
        with pytest.raises(ArgumentError, match="gave another result when checkpoint ran it again"):
            grad(f)(X)


def test_checkpoint_of_what_is_not_finite_or_empty_is_no_other_result():
    def f(x):
        return x**2, x * np.inf, np.zeros((0, 2)) * x[0], np.float16(3) * x

    assert np.array_equal(grad(lambda x: np.sum(checkpoint(f)(x)[0]))(X), 2 * X)


def test_checkpoint_of_a_method():
    class Model:
        factor = 3.0

        @checkpoint
        def squared(self, x):
            return self.factor * x**2

    assert grad(Model().squared)(2.0) == 12


def test_checkpoint_of_a_constant_and_of_the_identity():
    assert grad(lambda x: x * checkpoint(lambda x: 3.0)(x))(2.0) == 3
    assert grad(lambda x: x * checkpoint(lambda x: x)(x))(2.0) == 4
    assert np.array_equal(vmap(grad(lambda x: x * checkpoint(lambda x: 3.0)(x)))(X), [3, 3, 3])


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_zero_stays_zero_through_checkpoint():
    f = checkpoint(np.log)
    got = grad(lambda x: np.sum(np.where(x > 0, f(x), 0)))(np.array([0.0, 4.0]))
    assert np.array_equal(got, [0, 0.25])


def peak_of(fun, *args):
    """Return the most bytes that a call holds at once."""
    tracemalloc.start()
    try:
        fun(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def chain(x, steps):
    for _ in range(steps):
        x = np.sin(x)
    return x


def test_checkpoint_keeps_the_arguments_alone():
    x, steps = np.linspace(0, 1, 10_000), 64
    whole = peak_of(grad(lambda x: np.sum(chain(x, steps))), x)
    segment = checkpoint(partial(chain, steps=8))
    cut = peak_of(grad(lambda x: np.sum(repeat(segment, x, 8))), x)
    assert whole > steps * x.nbytes
    assert cut < 0.4 * whole


def repeat(fun, x, times):
    for _ in range(times):
        x = fun(x)
    return x


def test_tape_keeps_what_the_rule_keeps_and_nothing_else():
    x = np.linspace(0, 1, 10_000)
    exp = by_vjp(
        lambda x: np.sum(np.exp(np.sin(np.cos(x)))),
        lambda x: (np.sum(x), None),
        lambda _, ct: (ct * x,),
    )
    assert peak_of(grad(lambda x: sum(exp(x) for _ in range(20))), x) < 8 * x.nbytes


# --- stop_gradient ------------------------------------------------------------------------------------


@each_derivative
def test_stop_gradient_is_a_constant_of_every_transform(d):
    assert np.allclose(d(lambda x: np.sin(x) * stop_gradient(x))(X), np.cos(X) * X)


@each_derivative
def test_stop_gradient_of_everything_is_zero(d):
    assert np.array_equal(d(lambda x: stop_gradient(np.sin(x)) + 0 * x)(X), np.zeros(3))


def test_stop_gradient_returns_plain_values():
    seen = []

    def f(x):
        seen.append(stop_gradient({"x": x, "n": 3, "name": "a"}))
        return np.sum(x)

    grad(f)(X)
    grad(lambda y: grad(f)(y * X)[0])(1.0)
    jvp(f, (X,), (X,))
    for constant in seen:
        assert type(constant["x"]) is np.ndarray
        assert (constant["n"], constant["name"]) == (3, "a")


def test_stop_gradient_returns_a_copy():
    x = X.copy()
    stop_gradient(x)[:] = 0
    assert np.array_equal(x, X)
    grad(lambda y: stop_gradient(y).fill(0) or np.sum(y**2))(x)
    assert np.array_equal(x, X)


def test_stop_gradient_inside_a_rule_and_a_checkpoint():
    f = checkpoint(lambda x: x * stop_gradient(x))
    assert grad(f)(3.0) == 3
    g = by_jvp(lambda x: x**2, lambda p, t: (p[0] ** 2, stop_gradient(p[0]) * t[0]))
    assert grad(g)(3.0) == 3
    assert grad(grad(g))(3.0) == 0


def test_value_of_everything_is_kept():
    f = checkpoint(lambda x: stop_gradient(x) + np.sin(x))
    value, _ = value_and_grad(lambda x: np.sum(f(x)))(X)
    assert np.isclose(value, np.sum(X + np.sin(X)))


def test_all_of_them_together():
    f = checkpoint(sine_with_three_cosines())
    root = implicit.root(lambda y, x: y**3 - x, lambda g, y: np.cbrt(-g(0.0 * y)))
    loss = lambda x: root(1.0, f(x)) * stop_gradient(x)  # noqa: E731
    s = np.sin(0.7)
    expected = s ** (-2 / 3) / 3 * 3 * np.cos(0.7) * 0.7
    assert np.isclose(grad(loss)(0.7), expected)
    assert np.isclose(jvp(loss, (0.7,), (1.0,))[1], expected)
    assert np.allclose(vmap(grad(loss))(np.full(3, 0.7)), expected)
    assert tree.leaves(grad(loss)(0.7)) == [grad(loss)(0.7)]


def test_a_gradient_is_no_array_that_the_rule_keeps():
    slopes = np.array([1.0, 2.0, 3.0])

    @custom_vjp
    def weighted(x):
        return slopes @ x

    weighted.defvjp(lambda x: (slopes @ x, slopes), lambda residuals, ct: (residuals,))
    pullback = vjp(weighted, np.ones(3))[1]
    (gradient,) = pullback(1.0)
    gradient *= 5.0
    np.testing.assert_array_equal(pullback(1.0)[0], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(slopes, [1.0, 2.0, 3.0])
