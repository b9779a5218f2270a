"""What is wrong in a primitive that a user declares is said, when it is declared or when it runs."""

import numpy as np
import pytest

from funcgrad import explain, grad, hessian, jvp, make_tape, stop_gradient, vjp, vmap
from funcgrad.core import HANDLERS
from funcgrad.errors import ArgumentError, ShapeError, StructureError
from funcgrad.primitives import REGISTRY, bilinear, constant, elementwise, linear, primitive
from funcgrad.testing import check_grads

X = np.array([1.0, 2.0, 3.0])
M = np.arange(6.0).reshape(2, 3)


def total(x):
    return x.sum()


def use(**options):
    """Return a declaration of the sum with something else in it."""
    return primitive(
        "total", **{"fun": total, "vjp": (lambda ct, x_shape: ct * np.ones(x_shape),)} | options
    )


@pytest.mark.parametrize(
    ("declare", "what"),
    [
        (lambda: use(fun=3), "'total' needs a function"),
        (lambda: use(vjp=()), "a tuple of rules"),
        (lambda: use(vjp=lambda ct: ct), "a tuple of rules"),
        (lambda: use(vjp=(3,)), "must be a function or None"),
        (lambda: use(vjp=(lambda: 1.0,)), "takes no argument"),
        (lambda: use(jvp=(3,)), "must be a function or None"),
        (lambda: use(vjp=(lambda ct, q: ct,)), "names 'q'"),
        (lambda: elementwise(np.sinc), "a tuple of rules"),
        (lambda: elementwise(total, lambda q: q), "names 'q'"),
        (lambda: elementwise(total, "x"), "must be a function or None"),
        (lambda: linear("l", total, transpose=3, batch=None), "must be a function or None"),
        (lambda: bilinear("b", total, vjp=3, batch=None), "a tuple of rules"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(declare, what):
    with pytest.raises(ArgumentError, match=what) as info:
        declare()
    assert "\n  at test_guards.py:" in str(info.value)
    assert "\n  Fix: " in str(info.value)


@pytest.mark.parametrize(
    "returned", [np.ones(2), np.ones((1, 3)), 1.0, None, "abc", [1.0, 1.0, 1.0]]
)
def test_a_vjp_rule_that_returns_another_shape_raises(returned):
    wrong = use(vjp=(lambda ct: returned,))

    def loss(x):
        y = wrong(x)
        return y * 2.0

    for call in (grad(loss), lambda x: vjp(loss, x)[1](1.0), lambda x: jvp(loss, (x,), (x,))):
        with pytest.raises(ShapeError, match="the vjp rule for x of the primitive 'total'") as info:
            call(X)
    with pytest.raises(ShapeError) as info:
        grad(loss)(X)
    assert "in loss: y = wrong(x)" in info.value.__notes__[0]


def test_a_jvp_rule_that_returns_another_shape_raises():
    wrong = use(jvp=(lambda t: t,))
    with pytest.raises(ShapeError, match="a jvp rule of the primitive 'total'"):
        jvp(wrong, (X,), (X,))
    assert grad(wrong)(X).tolist() == [1, 1, 1]


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "rule",
    [
        lambda ct, x: stop_gradient(ct) * np.cos(x),
        lambda ct, x: stop_gradient(ct) * np.cos(x) + 0.1 * ct,
        lambda ct, x: ct + 1.0,
    ],
)
def test_a_vjp_rule_that_is_not_linear_in_the_cotangent_has_no_jvp(rule, size):
    f = primitive("sine", np.sin, vjp=(rule,), parameters=("x",))
    x, t = np.linspace(0, 1, size), np.linspace(1, 2, size)
    with pytest.raises(StructureError, match="vjp of sine by its argument 0 is not linear"):
        jvp(f, (x,), (t,))


def test_a_batch_rule_that_loses_the_examples_raises():
    wrong = use(batch=lambda args, mapped, settings: args[0].sum())
    with pytest.raises(ShapeError, match="the batch rule of the primitive 'total'"):
        vmap(wrong)(M)
    right = use(batch=lambda args, mapped, settings: args[0].sum(axis=1))
    assert vmap(right)(M).tolist() == [3, 12]


def test_a_python_number_is_an_array_and_not_a_constant():
    number = use(fun=lambda x: float(np.sum(x)))
    assert grad(number)(X).tolist() == [1, 1, 1]
    check_grads(number, (X,))


@pytest.mark.parametrize("returned", [None, "abc", [1.0], (1.0, 2.0)])
def test_a_function_that_returns_no_array_raises(returned):
    with pytest.raises(ArgumentError, match="the function of the primitive 'total' returned"):
        grad(use(fun=lambda x: returned))(X)


def test_more_arguments_than_rules_raise():
    scaled = primitive("scaled", lambda x, k: x * k, vjp=(lambda ct, k: ct * k,))
    for call in (lambda x: scaled(x, 2.0), lambda x: scaled(2.0, x), lambda x: scaled(x, x)):
        with pytest.raises(ArgumentError, match="got 2 arguments, but has rules for 1"):
            grad(call)(3.0)
    assert grad(lambda x: scaled(x, k=2.0))(3.0) == 2
    with pytest.raises(ArgumentError, match="a traced value as its setting k"):
        grad(lambda x: scaled(x, k=x))(3.0)


def test_a_setting_that_is_left_out_has_its_default_in_the_rules():
    def fun(x, scale=3.0):
        return scale * np.sum(x)

    f = primitive(
        "scaled",
        fun,
        vjp=(lambda ct, x_shape, scale: ct * scale * np.ones(x_shape),),
        jvp=(lambda t, scale: scale * np.sum(t),),
    )
    assert np.array_equal(grad(f)(X), [3.0, 3.0, 3.0])
    assert np.array_equal(grad(lambda x: f(x, scale=2.0))(X), [2.0, 2.0, 2.0])
    assert jvp(f, (X,), (X,))[1] == 18.0


def test_a_partial_names_settings_and_shapes():
    power = elementwise(
        lambda x, p=2: x**p, lambda x, p, x_ndim: p * x ** (p - 1) + 0 * x_ndim, name="power"
    )
    check_grads(power, (X,))
    check_grads(lambda x: power(x, p=3) * x, (X,))
    assert np.array_equal(vmap(grad(lambda x: power(x, p=3)))(X), 3 * X**2)


@pytest.mark.parametrize("name", ["power", "divide", "max", "maximum", "hypot", "put", "getitem"])
def test_a_primitive_may_have_the_name_of_one_of_ours(name):
    square = primitive(name, lambda x: x * x, vjp=(lambda ct, x: 2 * ct * x,), parameters=("x",))
    check_grads(square, (X,))
    assert not explain(lambda x: np.sum(square(x)))(X).findings
    assert make_tape(square)(X)[0].name == f"primitive({name})"
    assert np.array_equal(vmap(square)(X), X**2)


def test_a_constant_function_sees_one_example_at_a_time():
    above = constant(lambda x: x > np.mean(x), name="above")
    examples = np.array([[1.0, 2.0, 3.0], [10.0, 30.0, 20.0]])
    assert np.array_equal(vmap(above)(examples), [[False, False, True], [False, True, False]])
    assert np.array_equal(grad(lambda x: np.sum(x * above(x)))(X), [0.0, 0.0, 1.0])


@pytest.mark.parametrize("size", [3, 20_000])
def test_a_function_that_writes_into_its_argument_raises(size):
    def fun(x, y):
        y *= 2
        return x * y

    f = primitive("product", fun, vjp=(lambda ct, y: 2 * ct * y, lambda ct, x: 2 * ct * x))
    x = np.linspace(1, 2, size)
    for call in (f, vjp):
        args = (x, x + 1) if call is f else (f, x, x + 1)
        with pytest.raises(ArgumentError, match="'product' wrote into its argument 1"):
            call(*args)


def test_several_results_are_a_tuple():
    pair = primitive(
        "pair",
        lambda x: (float(x), 2 * x),
        vjp=(lambda ct: ct[0] + 2 * ct[1],),
        multiple=True,
    )
    assert grad(lambda x: pair(x)[0] * pair(x)[1])(3.0) == 12
    listed = primitive("listed", lambda x: [x, x], vjp=(lambda ct: ct[0],), multiple=True)
    with pytest.raises(ArgumentError, match="write multiple=True and return a tuple"):
        grad(lambda x: listed(x)[0])(3.0)


@pytest.mark.filterwarnings("ignore::funcgrad.errors.PerformanceWarning")
@pytest.mark.parametrize(
    "slopes",
    [
        lambda ct, ans, x: np.full(x.shape, ct) * np.exp(x - np.full(x.shape, ans)),
        lambda ct, ans, x: np.array([ct * np.exp(v - ans) for v in x]),
    ],
)
def test_a_rule_that_lists_traced_numbers_has_forward_mode_and_second_derivatives(slopes):
    fun = primitive("log_total", lambda x: np.log(np.sum(np.exp(x))), vjp=(slopes,))
    softmax = np.exp(X) / np.sum(np.exp(X))
    np.testing.assert_allclose(jvp(fun, (X,), (np.ones(3),))[1], 1.0, rtol=1e-14)
    np.testing.assert_allclose(
        hessian(fun)(X), np.diag(softmax) - np.outer(softmax, softmax), rtol=1e-12, atol=1e-15
    )
    given = primitive(
        "log_total",
        lambda x: np.log(np.sum(np.exp(x))),
        vjp=(slopes,),
        jvp=(lambda t, ans, x: sum(np.array([a * np.exp(v - ans) for a, v in zip(t, x)])),),
    )
    check_grads(given, (X,), order=3)


@pytest.mark.filterwarnings("ignore::funcgrad.errors.PerformanceWarning")
def test_a_partial_that_lists_traced_numbers_is_one_array():
    fun = elementwise(np.asarray, lambda x: np.array([np.exp(v) for v in x]), name="listed")
    slope = grad(lambda x: np.sum(fun(x)))
    np.testing.assert_allclose(jvp(slope, (X,), (X,))[1], X * np.exp(X), rtol=1e-14)
    np.testing.assert_allclose(grad(lambda x: np.sum(slope(x)))(X), np.exp(X), rtol=1e-14)


def test_the_librarys_own_are_not_checked():
    for name, own in REGISTRY.items():
        rules = [own.fun, own.batch, *own.pulls, *own.keeps]
        modules = [getattr(rule, "__module__", "") for rule in rules]
        assert "funcgrad.primitives.guards" not in modules, name
    special = pytest.importorskip("scipy.special")
    grad(special.gammaln)(2.0)
    assert HANDLERS[special.gammaln].fun is special.gammaln
