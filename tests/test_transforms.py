"""grad, value_and_grad, vjp, jvp, linearize: arguments, pytrees, results, what they look like."""

import copy
import functools
import inspect
import operator
import pickle
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from funcgrad import (
    FuncgradError,
    grad,
    jvp,
    linearize,
    stop_gradient,
    tree,
    value_and_grad,
    vjp,
    vmap,
)
from funcgrad.core import Tracer
from tests.strategies import Layer, Pair, Point, arrays, pytrees

X = np.array([1.0, 2.0, 3.0])
INEXACT = [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128]


def product(a, b=3.0, *, c=1.0):
    """Multiply."""
    return a * b * c


def cube(x: float) -> float:
    """Raise to the third power."""
    return x * x * x


@grad
def slope_of_square(x):
    """Square."""
    return x * x


class Model:
    """A callable with methods, some of them transforms."""

    scale = 2.0

    def __repr__(self):
        return "Model()"

    def __call__(self, x):
        return self.scale * x * x

    def loss(self, x, y=1.0):
        """Weigh."""
        return self.scale * x * x * y

    slope = grad(loss, argnums=1)
    value_and_slope = value_and_grad(loss, argnames="x")

    @classmethod
    def square(cls, x):
        return x * x

    @staticmethod
    def fourth(x):
        return x**4


def same(got, expected):
    """Compare pytrees: structure, types of leaves, shapes, dtypes, values."""
    assert tree.structure(got) == tree.structure(expected)
    for a, b in zip(tree.leaves(got), tree.leaves(expected)):
        assert type(a) is type(b)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
        assert a.shape == b.shape
    return True


# --- choosing arguments --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "args", "kwargs", "expected"),
    [
        ({}, (2.0, 5.0), {}, 5.0),
        ({"argnums": 0}, (2.0, 5.0), {}, 5.0),
        ({"argnums": 1}, (2.0, 5.0), {}, 2.0),
        ({"argnums": -1}, (2.0, 5.0), {}, 2.0),
        ({"argnums": -2}, (2.0, 5.0), {}, 5.0),
        ({"argnums": (0,)}, (2.0, 5.0), {}, (5.0,)),
        ({"argnums": (0, 1)}, (2.0, 5.0), {}, (5.0, 2.0)),
        ({"argnums": (1, 0)}, (2.0, 5.0), {}, (2.0, 5.0)),
        ({"argnums": [1, 0]}, (2.0, 5.0), {}, (2.0, 5.0)),
        ({"argnums": (-1, 0)}, (2.0, 5.0), {}, (2.0, 5.0)),
        ({"argnums": ()}, (2.0, 5.0), {}, ()),
        ({"argnums": np.int64(1)}, (2.0, 5.0), {}, 2.0),
        ({}, (2.0,), {"b": 5.0}, 5.0),
        ({}, (), {"a": 2.0, "b": 5.0}, 5.0),
        ({"argnums": 1}, (2.0,), {"b": 5.0}, 2.0),
        ({"argnums": (1, 0)}, (), {"b": 5.0, "a": 2.0}, (2.0, 5.0)),
        ({"argnames": "b"}, (2.0, 5.0), {}, 2.0),
        ({"argnames": "b"}, (2.0,), {"b": 5.0}, 2.0),
        ({"argnames": "c"}, (2.0, 5.0), {"c": 1.0}, 10.0),
        ({"argnames": ("c", "a")}, (2.0, 5.0), {"c": 3.0}, (10.0, 15.0)),
        ({"argnames": ["c"]}, (2.0, 5.0), {"c": 3.0}, (10.0,)),
        ({"argnames": ()}, (2.0, 5.0), {}, ()),
        ({"argnums": 0, "argnames": "b"}, (2.0, 5.0), {}, (5.0, 2.0)),
        ({"argnums": (0,), "argnames": ("b", "c")}, (2.0, 5.0), {"c": 1.0}, (5.0, 2.0, 10.0)),
        ({}, (2.0,), {}, 3.0),
        ({}, (2.0,), {"c": 4.0}, 12.0),
    ],
)
def test_arguments_are_chosen_by_position_and_by_name(options, args, kwargs, expected):
    expected = tree.map(np.float64, expected)
    assert same(grad(product, **options)(*args, **kwargs), expected)
    value, grads = value_and_grad(product, **options)(*args, **kwargs)
    assert same(grads, expected)
    assert value == product(*args, **kwargs)


def test_arguments_may_be_collected_by_the_function():
    assert grad(lambda *xs: xs[0] * xs[1], argnums=1)(2.0, 3.0) == 2
    assert grad(lambda *xs: xs[0] * xs[1], argnums=-1)(2.0, 3.0) == 2
    assert grad(lambda a, **kw: a * kw["b"], argnames="b")(2.0, b=3.0) == 2
    assert grad(lambda **kw: kw["a"] * kw["b"], argnames=("b", "a"))(a=2.0, b=3.0) == (2, 3)


def test_arguments_not_chosen_are_passed_on_as_they_are():
    class Settings:
        exponent = 3

    def fun(x, settings, how, data, *, flag):
        assert type(settings) is Settings
        assert how == "power"
        assert type(data) is np.ndarray
        assert flag is None
        return np.sum(x**settings.exponent * data)

    x = grad(fun)(2.0, Settings(), "power", np.arange(3), flag=None)
    assert x == 3 * 2.0**2 * 3


def test_an_argument_that_is_not_chosen_is_the_callers_own_object():
    data = {"seen": []}
    grad(lambda x, d: (d["seen"].append(1), x * x)[1])(2.0, data)
    assert data == {"seen": [1]}


# --- what comes back -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INEXACT)
@pytest.mark.parametrize(
    "make",
    [lambda dtype: dtype(2), lambda dtype: np.array(2, dtype), lambda dtype: np.ones(3, dtype)],
)
@pytest.mark.parametrize(
    "fun",
    [
        lambda x: np.sum(x * x).real,
        lambda x: np.sum(np.abs(x) ** 2.0 * np.float64(3)),
        lambda x: np.sum((x * np.ones((2, 1))).real),
        lambda x: np.sum(np.abs(np.stack([x, x]) + 1)),
        lambda x: np.float32(1.0),  # does not depend on x
        lambda x: 1,
    ],
)
def test_a_gradient_has_the_type_shape_and_dtype_of_its_argument(fun, make, dtype):
    x = make(dtype)
    gradient = grad(fun)(x)
    assert type(gradient) is type(x)
    assert gradient.dtype == x.dtype
    assert gradient.shape == x.shape


@pytest.mark.parametrize(("x", "kind"), [(2.0, np.float64), (2.0 + 1j, np.complex128)])
def test_the_gradient_of_a_python_number_is_a_numpy_scalar(x, kind):
    assert type(grad(lambda t: np.abs(t) ** 2)(x)) is kind
    assert type(grad(lambda t: 1.0)(x)) is kind
    assert type(vjp(lambda t: t * 2, x)[1](x)[0]) is kind


def test_a_python_number_is_traced_as_a_numpy_scalar():
    def fun(x):
        assert x.shape == ()
        assert x.dtype == np.float64
        return x.sum() * x

    assert grad(fun)(3.0) == 6
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert grad(lambda x: 1 / x)(0.0) == -np.inf  # and no ZeroDivisionError


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_python_numbers_do_not_widen(dtype):
    value, gradient = value_and_grad(lambda x: np.mean(2.0 * x**2 + 1) / 3)(np.ones(3, dtype))
    assert value.dtype == dtype
    assert gradient.dtype == dtype


@pytest.mark.parametrize("fun", [np.sum, lambda x: np.sum(x * x), np.mean, lambda x: x[0], np.max])
def test_the_value_is_what_the_function_returns_on_plain_arrays(fun):
    for x in (X, X.astype(np.float32), np.array([2.0])):
        value, _ = value_and_grad(fun)(x)
        assert type(value) is type(fun(x))
        assert value.dtype == fun(x).dtype
        assert value == fun(x)


def test_an_unused_argument_has_gradient_zero():
    grads = grad(lambda a, b: a * 1.0, (0, 1))(2.0, {"w": np.ones((2, 1), np.float32), "n": None})
    assert same(grads, (np.float64(1), {"w": np.zeros((2, 1), np.float32), "n": None}))


@pytest.mark.parametrize(
    "fun", [lambda x: 3.0, lambda x: 3, lambda x: x[0] > 1, np.argmax, np.floor]
)
def test_a_function_that_is_constant_has_gradient_zero(fun):
    assert same(grad(lambda x: np.sum(fun(x)))(X), np.zeros(3))
    value, pullback = vjp(fun, X)
    assert same(pullback(np.ones_like(value, dtype=float)), (np.zeros(3),))


def test_results_that_have_no_derivative_are_plain_under_grad():
    def fun(x):
        for plain in (x > 1, np.argmax(x), np.floor(x), np.isnan(x), np.sign(x), x.astype(int)):
            assert not isinstance(plain, Tracer)
        return x[1] if x[0] > 0 else x[2]

    assert grad(fun)(X).tolist() == [0, 1, 0]
    assert grad(fun)(-X).tolist() == [0, 0, 1]


def test_an_empty_array_has_an_empty_gradient():
    x = np.zeros((0, 3), np.float32)
    assert same(grad(np.sum)(x), x)
    assert same(vjp(np.sin, x)[1](x), (x,))


# --- results own their memory --------------------------------------------------------------------


def memory_of(*results):
    return [x for x in tree.leaves(results) if isinstance(x, np.ndarray)]


def assert_separate(results, others):
    """Check that results share no memory with each other or with others, and can be written."""
    results = memory_of(*results)
    for i, x in enumerate(results):
        assert type(x) is np.ndarray
        assert x.flags.writeable
        for y in [*results[:i], *memory_of(*others)]:
            assert x is not y
            assert not np.shares_memory(x, y)


HANDING_ON = {
    "the argument": lambda a: a,
    "twice the argument": lambda a: (a, a),
    "a view": lambda a: a.T,
    "views": lambda a: (a[:1], a.reshape(-1), a[::-1], a[None]),
    "a sum": lambda a: (a + a, a + 0.0),
    "a broadcast": lambda a: np.broadcast_to(a, (2, *a.shape)),
    "a sum to a scalar": lambda a: a.sum(),
    "a split": lambda a: np.split(a, 2),
    "a container": lambda a: {"a": a, "b": [a, None]},
    "an entry": lambda a: a[0, 0],
    "constants": lambda a: (a, np.ones(2)),
}


@pytest.mark.parametrize("fun", HANDING_ON.values(), ids=HANDING_ON)
def test_nothing_that_vjp_returns_shares_memory(fun):
    x = np.arange(1.0, 5.0).reshape(2, 2)
    out, pullback, aux = vjp(lambda a: (fun(a), fun(a)), x, has_aux=True)
    ct = tree.map(np.ones_like, out)
    broadcasts = fun is HANDING_ON["a broadcast"]  # NumPy's own result is a read-only view
    first, second = pullback(ct), pullback(ct)
    assert_separate([first, second] if broadcasts else [out, aux, first, second], [x, ct])
    assert not np.shares_memory(memory_of(out)[0] if memory_of(out) else np.ones(1), x)


@pytest.mark.parametrize("fun", HANDING_ON.values(), ids=HANDING_ON)
def test_nothing_that_jvp_and_linearize_return_shares_memory(fun):
    x, v = np.arange(1.0, 5.0).reshape(2, 2), np.ones((2, 2))
    out, pushed = jvp(fun, (x,), (v,))
    linear_out, pushforward = linearize(fun, x)
    first, second = pushforward(v), pushforward(v)
    if fun is HANDING_ON["a broadcast"]:
        assert not np.shares_memory(out, x)
        assert not np.shares_memory(pushed, v)
    else:
        assert_separate([out, pushed, linear_out, first, second], [x, v])


def test_gradients_share_no_memory_with_arguments_or_each_other():
    x, y = np.ones((2, 2)), np.ones((2, 2))
    for fun in (
        lambda a, b: np.sum(a + b),
        lambda a, b: np.sum(a * b),
        lambda a, b: np.sum(a @ b),
        lambda a, b: np.sum(np.concatenate([a, b])),
        lambda a, b: 0.0,
        np.vdot,
        lambda a, b: a[0, 0],
    ):
        assert_separate([grad(fun, (0, 1))(x, y), grad(fun, (0, 1))(x, x)], [x, y])


def test_the_same_array_in_two_leaves_is_two_arguments():
    grads = grad(lambda p: np.sum(p[0] * 2 + p[1] * 3))([X, X])
    assert same(grads, [np.full(3, 2.0), np.full(3, 3.0)])
    assert_separate([grads], [X])


def test_value_and_aux_share_no_memory_with_the_arguments():
    x = np.array(2.0)
    value, gradient = value_and_grad(lambda a: a)(x)
    assert value is not x
    assert gradient is not x
    x = np.ones((2, 2))
    gradient, aux = grad(lambda a: (a.sum(), {"a": a, "T": a.T, "b": a + 1}), has_aux=True)(x)
    assert_separate([gradient, aux], [x])


def test_gradients_do_not_share_memory_with_constants():
    for size in (3, 100_000):
        c = np.ones(size)
        for fun in (lambda a: np.sum(a * c), lambda a: a @ c, lambda a: np.sum(a + c)):  # noqa: B023
            assert_separate([grad(fun)(np.ones(size))], [c])


def test_writing_into_results_does_not_change_later_ones():
    _, pullback = vjp(lambda a: (a.sum(), a * a), X)
    ct = (1.0, np.ones(3))
    first = pullback(ct)[0]
    expected = first.copy()
    first[:] = 7.0
    assert same(pullback(ct)[0], expected)


@pytest.mark.parametrize(
    "fun", [lambda x: x * x, np.exp, lambda x: x[::-1] * x, lambda x: x, lambda x: np.tanh(x[:2])]
)
def test_what_the_caller_does_to_inputs_and_outputs_does_not_reach_the_pullback(fun):
    x = X.copy()
    out, pullback = vjp(fun, x)
    ct = np.ones_like(out)
    expected = vjp(fun, X)[1](np.ones_like(out))
    x[:] = 0.0
    out[:] = 100.0
    assert same(pullback(ct), expected)
    ct[:] = 5.0
    assert same(pullback(np.ones_like(out)), expected)


@pytest.mark.parametrize("fun", [lambda x: x * x, np.exp, lambda x: x[::-1] * x, lambda x: x])
def test_what_the_caller_does_to_inputs_and_outputs_does_not_reach_the_pushforward(fun):
    x, v = X.copy(), np.ones(3)
    expected = linearize(fun, X)[1](v)
    out, pushforward = linearize(fun, x)
    x[:] = 0.0
    out[:] = 100.0
    assert same(pushforward(v), expected)


def test_an_argument_is_never_written():
    x = X.copy()
    x.flags.writeable = False
    params = {"w": x, "b": x}
    grads = grad(lambda p: np.sum(p["w"] * p["b"] + p["w"]))(params)
    assert same(grads, {"w": X + 1, "b": X})
    assert x.tolist() == X.tolist()
    assert_separate([grads], [x])


@pytest.mark.parametrize("size", [1, 3, 100_000])
def test_an_argument_changed_by_the_function_itself_is_no_silent_error(size):
    x = np.full(size, 3.0)

    def fun(t):
        y = t * t
        x[:] = 0.0
        return np.sum(y)

    try:
        gradient = grad(fun)(x)
    except FuncgradError:
        return
    assert same(gradient, np.full(size, 6.0))


def test_a_container_that_the_function_changes_is_its_own():
    def fun(p):
        p["w"] = p["w"] * 2
        p["extra"] = p["b"]
        return p["w"] * p["extra"]

    params = {"w": 2.0, "b": 3.0}
    assert grad(fun)(params) == {"w": 6, "b": 4}
    assert params == {"w": 2.0, "b": 3.0}
    steps = [2.0]
    assert grad(lambda p: (p.append(p[0] * 3), p[-1])[1])(steps) == [3]
    assert steps == [2.0]


# --- has_aux -------------------------------------------------------------------------------------


def test_aux_comes_back_without_tracers():
    def fun(x):
        return np.sum(x * x), {"y": x * 2, "n": 3, "s": "text", "none": None, "plain": X > 1}

    gradient, aux = grad(fun, has_aux=True)(X)
    (value, again), same_gradient = value_and_grad(fun, has_aux=True)(X)
    assert same(gradient, 2 * X)
    assert same(same_gradient, 2 * X)
    assert value == 14
    for got in (aux, again):
        assert same(got["y"], 2 * X)
        assert got["n"] == 3
        assert got["s"] == "text"
        assert got["none"] is None
        assert got["plain"].tolist() == [False, True, True]


def test_aux_of_vjp_and_jvp():
    out, pullback, aux = vjp(lambda x: (x * x, [x]), X, has_aux=True)
    assert same((out, aux), (X * X, [X]))
    assert same(pullback(np.ones(3)), (2 * X,))
    out, tangent, aux = jvp(lambda x: (x * x, [x]), (X,), (X,), has_aux=True)
    assert same((out, tangent, aux), (X * X, 2 * X * X, [X]))


def test_aux_is_traced_by_the_outer_transform():
    def outer(t):
        gradient, aux = grad(lambda u: (u * u * t, u * t), has_aux=True)(3.0)
        return gradient * aux  # 2 * 3 t * 3 t

    assert grad(outer)(2.0) == 36 * 2


def test_the_pair_may_be_a_list():
    assert grad(lambda x: [x * x, 1], has_aux=True)(2.0) == (4, 1)


# --- pytrees -------------------------------------------------------------------------------------


@dataclass
class Network:
    w: Any
    b: Any
    activation: str = field(default="tanh", metadata={"static": True})


Weights = namedtuple("Weights", "w b")


@pytest.mark.parametrize(
    "params",
    [
        (2.0, 3.0),
        [2.0, 3.0],
        Weights(2.0, 3.0),
        Point(2.0, 3.0),
        Pair(2.0, 3.0),
        Layer(2.0, 3.0, "relu"),
        Network(2.0, 3.0, "relu"),
        {"w": 2.0, "b": 3.0},
        {"b": 3.0, "w": 2.0},
        {1: 2.0, (0, "x"): 3.0},
        OrderedDict(w=2.0, b=3.0),
        defaultdict(list, w=2.0, b=3.0),
        [None, {"a": (2.0,), "none": None}, [], 3.0],
    ],
    ids=lambda params: type(params).__name__,
)
def test_a_gradient_is_a_pytree_like_its_argument(params):
    def fun(p):
        assert type(p) is type(params)
        first, second = tree.leaves(p)
        return first**2 * second

    first, second = (float(x) for x in tree.leaves(params))
    expected = tree.unflatten(tree.structure(params), [2 * first * second, first**2])
    gradient = grad(fun)(params)
    assert same(gradient, tree.map(np.float64, expected))
    assert type(gradient) is type(params)
    if isinstance(params, dict):
        assert list(gradient) == list(params)


def test_settings_of_a_dataclass_reach_the_function_and_come_back():
    def fun(net):
        return np.sum(getattr(np, net.activation)(X * net.w + net.b))

    gradient = grad(fun)(Network(0.0, 0.0, "sin"))
    assert same(gradient, Network(np.float64(6), np.float64(3), "sin"))


@given(pytrees(arrays(dtype=np.float64)))
def test_the_gradient_of_half_the_sum_of_squares_is_the_argument(params):
    def fun(p):
        return sum([0.5 * np.sum(x * x) for x in tree.leaves(p)], 0.0)

    assert same(grad(fun)(params), params)


@given(pytrees(arrays(dtype=np.float64)), pytrees(arrays(dtype=np.float64)))
def test_the_pullback_of_handing_on_hands_back(a, b):
    out, pullback = vjp(lambda x, y: {"y": y, "both": (x, y)}, a, b)
    ct = {"both": (tree.map(np.ones_like, a), tree.map(np.ones_like, b)), "y": b}
    assert same(out, {"y": b, "both": (a, b)})
    got_a, got_b = pullback(ct)
    assert same(got_a, tree.map(np.ones_like, a))
    assert same(got_b, tree.map(lambda x: np.asarray(x + 1), b))


def test_cotangents_match_dicts_by_key():
    _, pullback = vjp(lambda a: {"u": a, "v": 2 * a}, 1.0)
    assert pullback({"u": 10.0, "v": 1.0}) == pullback({"v": 1.0, "u": 10.0}) == (12,)


def test_tangents_match_dicts_by_key():
    params, direction = {"u": 2.0, "v": 3.0}, {"v": 10.0, "u": 1.0}
    assert jvp(lambda p: p["u"] * p["v"], (params,), (direction,)) == (6, 1 * 3 + 2 * 10)


def test_outputs_without_leaves_and_with_constants():
    assert vjp(lambda a: None, X)[0] is None
    assert same(vjp(lambda a: None, X)[1](None), (np.zeros(3),))
    assert same(vjp(lambda a: [], X)[1]([]), (np.zeros(3),))
    out, pullback = vjp(lambda a: (np.arange(3), 5.0, a), X)
    assert out[1] == 5
    assert same(pullback((np.ones(3), 1.0, X)), (X,))


def test_a_function_of_no_arguments_and_an_argument_without_leaves():
    assert vjp(lambda: 3.0)[1](1.0) == ()
    assert grad(lambda p: 3.0)({}) == {}
    assert grad(lambda p: 3.0)(None) is None
    assert jvp(lambda: 3.0, (), ()) == (3, 0)


# --- vjp, jvp, linearize -------------------------------------------------------------------------


def outputs(a, b):
    return {"product": a * b, "total": np.sum(np.tanh(a)) * b}


@given(arrays((3,)), arrays((3,)), arrays((3,)), arrays((), low=-2, high=2))
def test_a_pullback_is_linear_and_may_be_called_again(a, u, v, b):
    _, pullback = vjp(outputs, a, b)
    first = pullback({"product": u, "total": 1.0})
    second = pullback({"product": v, "total": 2.0})
    both = pullback({"product": u + 2 * v, "total": 5.0})
    for x, y, z in zip(first, second, both):
        np.testing.assert_allclose(x + 2 * y, z, rtol=1e-12, atol=1e-12)
    assert same(pullback({"product": u, "total": 1.0}), first)


@given(arrays((3,)), arrays((3,)), arrays((3,)), arrays((), low=-2, high=2))
def test_pullback_and_pushforward_are_transposes(a, u, v, b):
    ct = {"product": u, "total": np.float64(0.5)}
    out, pullback = vjp(outputs, a, b)
    linear_out, pushforward = linearize(outputs, a, b)
    jvp_out, pushed = jvp(outputs, (a, b), (v, np.float64(1.5)))
    assert same(out, linear_out)
    assert same(out, jvp_out)
    linear_pushed = pushforward(v, np.float64(1.5))
    left = sum(np.sum(ct[name] * pushed[name]) for name in ct)
    grad_a, grad_b = pullback(ct)
    scale = 1 + np.sum(np.abs(u * v * b)) + np.sum(np.abs(u * a)) + np.sum(np.abs(v))
    assert abs(left - np.sum(grad_a * v) - grad_b * 1.5) <= 1e-11 * scale
    for name in ct:
        np.testing.assert_allclose(linear_pushed[name], pushed[name], rtol=1e-12, atol=1e-11)


def test_pullbacks_take_integers_and_narrower_floats_as_cotangents():
    _, pullback = vjp(lambda x: (x * 2, x.sum()), X)
    for ct in ((np.ones(3, int), 1), (np.ones(3, bool), True), (np.ones(3, np.float32), 1.0)):
        assert same(pullback(ct), (np.full(3, 3.0),))


def test_a_pullback_ignores_the_cotangents_of_outputs_without_derivative():
    out, pullback = vjp(lambda x: (x > 1, x.astype(int), x * 2), X)
    assert [x.dtype.kind for x in out] == ["b", "i", "f"]
    assert same(pullback((np.ones(3), np.ones(3), np.ones(3))), (np.full(3, 2.0),))
    assert same(pullback((np.zeros(3, bool), np.zeros(3, int), np.ones(3))), (np.full(3, 2.0),))


def test_a_pullback_keeps_a_nan_that_the_cotangent_brings():
    _, pullback = vjp(lambda x: x * 2, X)
    got = pullback(np.array([np.nan, 1.0, np.inf]))[0]
    np.testing.assert_array_equal(got, [np.nan, 2, np.inf])


def test_pullbacks_and_pushforwards_are_differentiable_and_vectorisable():
    _, pullback = vjp(lambda x: x**3, 2.0)
    _, pushforward = linearize(lambda x: x**3, 2.0)
    for linear in (lambda c: pullback(c)[0], pushforward):
        assert grad(linear)(5.0) == 12
        assert jvp(linear, (5.0,), (1.0,)) == (60, 12)
        assert vmap(linear)(X).tolist() == [12, 24, 36]


def test_a_pullback_inside_a_differentiated_function():
    assert grad(lambda t: vjp(lambda u: u * u * t, t)[1](t)[0])(3.0) == 54  # 2 t^3


def test_a_pullback_of_an_ended_outer_transform_raises():
    kept = []
    grad(lambda t: (kept.append(vjp(lambda u: u * t, t)[1]), t * 1.0)[1])(3.0)
    with pytest.raises(FuncgradError):
        kept[0](1.0)


def test_linearize_runs_the_function_once():
    calls = []
    _, pushforward = linearize(lambda x: (calls.append(1), np.sin(x))[1], X)
    pushforward(X)
    pushforward(2 * X)
    assert calls == [1]


def test_a_transform_runs_the_function_once_per_call():
    for transform in (grad, value_and_grad, lambda f: lambda x: vjp(f, x)):
        calls = []
        transform(lambda x: (calls.append(1), x * x)[1])(2.0)  # noqa: B023
        assert calls == [1]


# --- complex numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_the_gradient_of_a_real_function_of_a_complex_argument_is_jaxs(dtype):
    z = np.array([1 + 2j, -3j], dtype)
    assert same(grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * z.conj())
    assert same(grad(lambda z: np.sum(z.real))(z), np.ones(2, dtype))
    assert same(grad(lambda z: np.sum(z.imag))(z), np.full(2, -1j, dtype))


def test_a_holomorphic_function_has_a_complex_derivative():
    z = 1 + 2j
    assert grad(lambda z: z**3, holomorphic=True)(z) == pytest.approx(3 * z**2)
    assert grad(grad(np.exp, holomorphic=True), holomorphic=True)(z) == pytest.approx(np.exp(z))
    value, slope = value_and_grad(np.sin, holomorphic=True)(z)
    assert value == np.sin(z)
    assert slope == pytest.approx(np.cos(z))


def test_holomorphic_needs_complex_inputs():
    with pytest.raises(TypeError, match="holomorphic=True needs complex inputs"):
        grad(lambda z: z**3, holomorphic=True)(2.0)


def test_a_real_argument_has_a_real_gradient_through_complex_arithmetic():
    gradient = grad(lambda x: np.sum(np.abs(x * (1 + 1j)) ** 2))(X)
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, 4 * X)


# --- nesting -------------------------------------------------------------------------------------


def derivative(fun, n):
    return fun if n == 0 else grad(derivative(fun, n - 1))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_derivatives_nest_to_any_order(order):
    x = 0.3
    assert derivative(lambda t: np.exp(2 * t), order)(x) == pytest.approx(2**order * np.exp(2 * x))
    powers = [5, 20, 60, 120, 120]
    assert derivative(lambda t: t**5, order)(x) == pytest.approx(
        powers[order - 1] * x ** (5 - order)
    )
    cycle = [np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t), np.sin, np.cos]
    assert derivative(np.sin, order)(x) == pytest.approx(cycle[order - 1](x))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_mixed_derivatives_nest_to_any_order(order):
    def fun(a, b):
        return np.exp(2 * a + 3 * b)

    mixed = fun
    for k in range(order):
        mixed = grad(mixed, argnums=k % 2)
    factor = 2 ** ((order + 1) // 2) * 3 ** (order // 2)
    assert mixed(0.1, 0.2) == pytest.approx(factor * np.exp(0.8))


def test_value_and_grad_nests():
    def fun(x):
        value, slope = value_and_grad(cube)(x)
        return value * slope  # 3 x^5

    assert value_and_grad(fun)(2.0) == (96, 240)


def test_perturbations_of_nested_transforms_are_not_confused():
    # d/dx (x d/dy (x + y)) = 1, and not 2
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(3.0) == 1
    assert grad(lambda x: x * jvp(lambda y: x + y, (1.0,), (1.0,))[1])(3.0) == 1
    assert jvp(lambda x: x * grad(lambda y: x + y)(1.0), (3.0,), (1.0,))[1] == 1
    assert jvp(lambda x: x * jvp(lambda y: x + y, (1.0,), (1.0,))[1], (3.0,), (1.0,))[1] == 1


def test_closures_are_differentiated_at_their_own_level():
    assert grad(lambda t: grad(lambda u: u * t * t)(t))(3.0) == 6
    assert grad(lambda t: grad(lambda u: t * t)(t))(3.0) == 0
    assert grad(lambda t: value_and_grad(lambda u: t * t)(t)[0])(3.0) == 6
    assert grad(lambda t: vjp(lambda u: (u, t * u), t)[0][1])(3.0) == 6

    def outer(a):
        def middle(b):
            return grad(lambda c: a * b * c * c)(b)  # 2 a b^2

        return grad(middle)(a)  # 4 a^2

    assert grad(outer)(3.0) == 8 * 3.0


def test_an_inner_result_that_is_constant_is_plain_zero():
    assert grad(lambda t: np.sum(grad(lambda u: 3.0)(t)))(2.0) == 0
    assert grad(lambda t: t * grad(lambda u: 3.0)(t))(2.0) == 0


def test_stop_gradient_stops_each_transform():
    assert grad(lambda t: t * stop_gradient(t))(3.0) == 3
    assert grad(grad(lambda t: t * stop_gradient(t * t)))(3.0) == 0
    assert jvp(lambda t: t * stop_gradient(t), (3.0,), (1.0,)) == (9, 3)


# --- callables of every kind ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fun", "x", "expected"),
    [
        (np.sin, 0.0, 1.0),
        (np.exp, 0.0, 1.0),
        (abs, -3.0, -1.0),
        (Model(), 3.0, 12.0),
        (Model().loss, 3.0, 12.0),
        (Model.square, 3.0, 6.0),
        (Model.fourth, 1.0, 4.0),
        (functools.partial(operator.mul, 2.0), 3.0, 2.0),
        (functools.partial(product, b=5.0), 3.0, 5.0),
        (functools.partial(Model()), 3.0, 12.0),
        (functools.partial(grad(cube)), 3.0, 18.0),
        (grad(cube), 3.0, 18.0),
        (operator.neg, 3.0, -1.0),
        (functools.lru_cache(maxsize=None), None, None),
    ],
)
def test_any_callable_may_be_differentiated(fun, x, expected):
    if x is None:  # a decorator: its cache cannot hold traced arrays, which are not hashable
        with pytest.raises(TypeError, match="unhashable"):
            grad(fun(cube))(3.0)
        return
    assert grad(fun)(x) == expected
    assert value_and_grad(fun)(x)[1] == expected
    assert vjp(fun, x)[1](1.0) == (expected,)


@pytest.mark.parametrize(
    ("fun", "expected"), [(np.sum, [1, 1, 1]), (sum, [1, 1, 1]), (max, [0, 0, 1]), (min, [1, 0, 0])]
)
def test_reductions_are_callables_too(fun, expected):
    assert grad(fun)(X).tolist() == expected


def test_functions_that_recurse_loop_branch_and_yield():
    def power(x, n):
        return 1.0 if n == 0 else x * power(x, n - 1)

    def terms(x):
        term = x
        while abs(term) > 1e-12:
            yield term
            term = term * x / 2

    assert grad(power)(2.0, 5) == 80
    assert grad(lambda x: sum(terms(x)))(0.5) == pytest.approx(1 / (1 - 0.25) ** 2)
    assert grad(lambda x: x * x if x > 0 else -x)(-2.0) == -1


# --- what a transform looks like -----------------------------------------------------------------


def test_a_transform_looks_like_the_function():
    for transform in (grad(cube), value_and_grad(cube)):
        assert transform.__name__ == "cube"
        assert transform.__qualname__ == "cube"
        assert transform.__doc__ == cube.__doc__
        assert transform.__module__ == cube.__module__
        assert transform.__wrapped__ is cube
        assert inspect.signature(transform) == inspect.signature(cube)
    assert inspect.signature(grad(product, argnames="c")) == inspect.signature(product)


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (grad(cube), "grad(cube, argnums=0)"),
        (grad(product, argnums=(0, 1)), "grad(product, argnums=(0, 1))"),
        (grad(product, argnames="c"), "grad(product, argnames='c')"),
        (grad(product, 1, argnames="c"), "grad(product, argnums=1, argnames='c')"),
        (grad(cube, has_aux=True), "grad(cube, argnums=0, has_aux=True)"),
        (grad(cube, holomorphic=True), "grad(cube, argnums=0, holomorphic=True)"),
        (value_and_grad(cube), "value_and_grad(cube, argnums=0)"),
        (grad(grad(cube)), "grad(grad(cube, argnums=0), argnums=0)"),
        (grad(lambda x: x), "grad(<lambda>, argnums=0)"),
        (grad(functools.partial(product, b=2.0)), "grad(partial(product), argnums=0)"),
        (grad(np.sin), "grad(sin, argnums=0)"),
        (grad(Model().loss), "grad(loss, argnums=0)"),
        (grad(Model()), "grad(Model(...), argnums=0)"),
        (vjp(cube, 2.0)[1], "<pullback of cube>"),
        (linearize(cube, 2.0)[1], "<pushforward of cube>"),
    ],
)
def test_the_repr_reads_as_it_was_written(transform, expected):
    assert repr(transform) == expected


@pytest.mark.parametrize(
    "transform",
    [
        grad(product, argnums=(0, 1)),
        value_and_grad(product, argnames="c"),
        grad(grad(cube)),
        vmap(grad(cube)),
        grad(functools.partial(product, b=2.0)),
        grad(np.sin),
        grad(Model()),
        grad(Model().loss),
    ],
    ids=repr,
)
def test_a_transform_pickles_and_copies_when_its_function_does(transform):
    args = (X,) if "vmap" in repr(transform) else (2.0,)
    kwargs = {"b": 5.0, "c": 2.0} if transform.__wrapped__ is product else {}
    expected = transform(*args, **kwargs)
    for again in (
        pickle.loads(pickle.dumps(transform)),
        copy.copy(transform),
        copy.deepcopy(transform),
    ):
        assert type(again) is type(transform)
        np.testing.assert_equal(again(*args, **kwargs), expected)


def test_a_decorated_function_pickles_by_its_name():
    assert slope_of_square(3.0) == 6
    assert pickle.loads(pickle.dumps(slope_of_square))(3.0) == 6


def test_a_function_that_does_not_pickle_says_so_itself():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(grad(lambda x: x))


def test_results_pickle():
    value, grads = value_and_grad(lambda p: np.sum(p["w"] ** 2))({"w": X, "b": None})
    again = pickle.loads(pickle.dumps((value, grads)))
    assert same(again[1], grads)


def test_a_transform_may_decorate_a_method():
    model = Model()
    assert model.slope(3.0) == 12
    assert model.slope(3.0, y=2.0) == 24
    assert model.value_and_slope(3.0) == (18, 12)
    assert Model.slope(model, 3.0) == 12
    assert inspect.signature(Model.slope) == inspect.signature(Model.loss)

    class Other(Model):
        scale = 5.0

    assert Other().slope(3.0) == 30


def test_a_transform_may_decorate_with_options():
    @functools.partial(grad, argnums=(0, 1))
    def slopes(a, b):
        return a * b * b

    assert slopes(2.0, 3.0) == (9, 12)


def test_a_transform_keeps_no_state_between_calls():
    gradient = grad(lambda x: np.sum(x**2))
    before = dict(vars(gradient))
    gradient(X)
    with pytest.raises(TypeError):
        gradient("text")
    assert vars(gradient) == before
    assert same(gradient(X), 2 * X)


@given(st.integers(0, 2), arrays((3,)))
def test_a_gradient_agrees_with_the_matching_entry_of_the_jacobian(i, x):
    gradient = grad(lambda t: (np.sin(t) * t[0])[i])(x)
    expected = np.zeros(3)
    expected[i] = np.cos(x[i]) * x[0]
    expected[0] += np.sin(x[i])
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-12)
