"""check_grads: passes right rules, and catches wrong ones in each mode and names the worst entry."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from funcgrad import custom_jvp, custom_vjp, grad, stop_gradient
from funcgrad.errors import ArgumentError, CheckError, NonDifferentiableError
from funcgrad.primitives import families
from funcgrad.testing import check_grads

X = np.array([0.3, -0.7, 1.1])
MODES = ["fwd", "rev"]


@dataclass
class Weights:
    w: Any
    b: Any


def wrong_vjp(factor):
    """Return a sine whose slope is wrong by a factor."""

    @custom_vjp
    def sine(x):
        return np.sin(x)

    sine.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (ct * np.cos(x) * factor,))
    return sine


def fails(fun, args, **options):
    with pytest.raises(CheckError) as info:
        check_grads(fun, args, **options)
    return str(info.value)


# --- what is right passes ------------------------------------------------------------------------


RIGHT = {
    "of one array": (lambda x: np.tanh(x) ** 2, (X,)),
    "scalar valued": (lambda x: np.sum(x**3) * x[0], (X,)),
    "of Python numbers": (lambda a, b: a * np.exp(b), (0.5, -1.0)),
    "of 0-d arrays": (lambda a: a**2, (np.array(0.5),)),
    "linear": (lambda x, w: x @ w, (X, np.ones((3, 2)))),
    "constant": (lambda x: np.ones(2), (X,)),
    "of no leaves": (lambda p: 3.0, ({},)),
    "of empty arrays": (np.sin, (np.zeros((0, 3)),)),
    "of several outputs": (lambda x: {"a": np.sin(x), "b": (x[0], None)}, (X,)),
    "of a dict": (lambda p: np.sin(p["w"]) * p["b"], ({"w": X, "b": 2.0},)),
    "of a dataclass": (lambda p: np.sin(p.w) * p.b, (Weights(X, [2.0, np.ones(3)][1]),)),
    "of nested containers": (lambda p: p[0][1] * p[1]["w"], (([None, X], {"w": 2.0}),)),
    "with an integer output": (lambda x: (np.argmax(x), x * 2), (X,)),
    "complex to real": (lambda z: np.abs(z) ** 2, (X + 1j,)),
    "complex to complex": (lambda z: z**2 * np.conj(z), (X + 1j,)),
    "real to complex": (lambda x: np.exp(1j * x), (X,)),
    "of a gradient": (grad(lambda x: np.sum(np.sin(x) * x[0])), (X,)),
    "steep": (lambda x: 1e6 * np.sin(x), (X,)),
    "flat": (lambda x: 1e-6 * np.sin(x), (X,)),
    "large arguments": (lambda x: x**2, (1e3 * X,)),
}


@pytest.mark.parametrize(("fun", "args"), RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("modes", [("fwd", "rev"), ("fwd",), ("rev",), "rev", ["rev", "fwd"]])
def test_right_derivatives_pass(fun, args, modes):
    check_grads(fun, args, modes=modes)


@pytest.mark.parametrize("fun", [np.sin, lambda x: x**3 * np.exp(x), lambda x: np.tanh(x) @ x])
def test_right_derivatives_of_third_order_pass(fun):
    check_grads(fun, (X,), order=3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.complex64])
@pytest.mark.parametrize("fun", [np.sin, lambda x: x * x[0], lambda x: np.sum(x**2)])
def test_right_derivatives_of_each_dtype_pass(fun, dtype):
    check_grads(fun, (X.astype(dtype),))


def test_arguments_are_not_changed():
    x = X.copy()
    x.flags.writeable = False
    check_grads(np.sin, (x,))
    assert x.tolist() == X.tolist()


@pytest.mark.parametrize("order", "CFKA")
def test_arguments_keep_their_memory_order(order):
    for x in (np.arange(6.0).reshape(2, 3).T, np.ones((2, 1, 3)).transpose(2, 0, 1)):
        check_grads(lambda x: np.ravel(x, order=order) ** 2, (x,))


def test_a_list_of_arguments_will_do():
    check_grads(lambda a, b: a * b, [X, X])


# --- what is wrong is caught ---------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0, 1.001])
@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_rule_is_caught_in_each_mode(factor, mode):
    sine = wrong_vjp(factor)
    said = fails(lambda x: sine(x) * 2, (X,), modes=(mode,))
    assert ("jvp" if mode == "fwd" else "vjp") in said
    assert "central differences" in said
    assert "  Fix: " in said


@pytest.mark.parametrize("mode", MODES)
def test_a_rule_wrong_in_one_mode_passes_in_the_other(mode):
    rules = {"vjp": lambda ct, x: ct * np.cos(x), "jvp": lambda t, x: t * np.cos(x)}
    wrong = {"fwd": "jvp", "rev": "vjp"}[mode]
    rules[wrong] = lambda t, x: 2 * t * np.cos(x)
    sine = families.primitive("wrong sine", np.sin, vjp=(rules["vjp"],), jvp=(rules["jvp"],))
    said = fails(sine, (X,), modes=(mode,), order=1)
    assert re.match(f"the {wrong} of", said)
    (other,) = set(MODES) - {mode}
    check_grads(sine, (X,), modes=(other,), order=1)
    fails(sine, (X,), order=1)


@pytest.mark.parametrize("mode", MODES)
def test_a_missing_dependence_is_caught(mode):
    said = fails(lambda x: x * stop_gradient(x), (X,), modes=(mode,))
    assert "wrong" in said


def test_a_rule_of_custom_jvp_is_caught():
    @custom_jvp
    def sine(x):
        return np.sin(x)

    sine.defjvp(lambda primals, tangents: (np.sin(primals[0]), -np.cos(primals[0]) * tangents[0]))
    for mode in MODES:
        fails(sine, (X,), modes=(mode,))


def test_the_worst_entry_is_named_in_reverse_mode():
    @custom_vjp
    def scaled(x):
        return x * 3.0

    wrong = np.array([[3.0, 3.0], [3.1, 4.0]])
    scaled.defvjp(lambda x: (x * 3.0, None), lambda _, ct: (ct * wrong,))
    said = fails(lambda p: scaled(p["w"]), ({"b": 1.0, "w": np.ones((2, 2))},), modes=("rev",))
    assert "'w'" in said
    assert "[1, 1]" in said
    assert "[1, 0]" not in said


def test_the_worst_entry_is_named_in_forward_mode():
    @custom_jvp
    def scaled(x):
        return x * 3.0

    wrong = np.array([[3.0, 3.0], [3.1, 9.0]])
    scaled.defjvp(lambda primals, tangents: (primals[0] * 3.0, tangents[0] * wrong))
    said = fails(lambda x: {"y": scaled(x), "z": x}, (np.ones((2, 2)),), modes=("fwd",))
    assert "'y'" in said
    assert "[1, 1]" in said


def test_the_entry_of_a_scalar_is_named_too():
    @custom_vjp
    def double(x):
        return 2 * x

    double.defvjp(lambda x: (2 * x, None), lambda _, ct: (5 * ct,))
    said = fails(double, (0.5,), modes=("rev",), order=1)
    got, expected = re.search(
        "is wrong at entry .*: (.*), but central differences give (.*)", said
    ).groups()
    assert float(got) / float(expected.rstrip(".")) == pytest.approx(2.5)


def test_a_wrong_second_derivative_is_caught():
    @custom_vjp
    def square(x):
        return x * x

    # The first derivative is right, but the rule hides that it depends on x.
    square.defvjp(lambda x: (x * x, x), lambda x, ct: (ct * 2 * stop_gradient(x),))
    check_grads(square, (X,), order=1)
    for modes in (("fwd",), ("rev",), ("fwd", "rev")):
        said = fails(square, (X,), order=2, modes=modes)
        assert "of the" in said or "jvp" in said


def test_a_wrong_third_derivative_is_caught():
    """The cube below is right in its first and second derivatives."""

    @custom_vjp
    def slope(x):
        return 6 * x

    slope.defvjp(lambda x: (6 * x, None), lambda _, ct: (0 * ct,))

    @custom_vjp
    def square(x):
        return 3 * x**2

    square.defvjp(lambda x: (3 * x**2, x), lambda x, ct: (ct * slope(x),))

    @custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, ct: (ct * square(x),))
    check_grads(cube, (X,), order=2)
    fails(cube, (X,), order=3)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.complex64])
@pytest.mark.parametrize("mode", MODES)
def test_wrong_rules_are_caught_in_each_dtype(dtype, mode):
    sine = wrong_vjp(1.5)
    fails(sine, (X.astype(dtype),), modes=(mode,))


@pytest.mark.parametrize("mode", MODES)
def test_a_rule_with_the_other_convention_for_complex_numbers_is_caught(mode):
    @custom_vjp
    def modulus(z):
        return np.abs(z) ** 2

    modulus.defvjp(lambda z: (np.abs(z) ** 2, z), lambda z, ct: (2 * ct * z,))  # 2 conj(z) is right
    fails(modulus, (X + 1j,), modes=(mode,))


def test_a_rule_wrong_for_one_argument_of_several_is_caught():
    @custom_vjp
    def product(a, b):
        return a * b

    product.defvjp(lambda a, b: (a * b, (a, b)), lambda kept, ct: (ct * kept[1], ct))
    for mode in MODES:
        fails(product, (X, X), modes=(mode,))
    said = fails(product, (X, X), modes=("rev",), order=1)
    assert re.search(r"\[1\]\[\d\]", said)  # the second argument


def test_a_nan_is_caught():
    @custom_vjp
    def identity(x):
        return x * 1.0

    identity.defvjp(lambda x: (x * 1.0, None), lambda _, ct: (ct * np.nan,))
    for mode in MODES:
        fails(identity, (X,), modes=(mode,))


def test_a_kink_is_reported_with_the_advice_to_move():
    said = fails(np.abs, (np.array([0.0, 1e-9, 1.0]),), order=1)
    assert "kink" in said


# --- its options ---------------------------------------------------------------------------------


def test_tolerances_and_step_may_be_set():
    sine = wrong_vjp(1.001)
    check_grads(sine, (X,), atol=1e-2, rtol=1e-2)
    fails(sine, (X,), atol=1e-6, rtol=1e-6)
    fails(np.sin, (X,), eps=0.5, order=1)  # too coarse


def test_an_assertion_error_is_what_a_test_expects():
    with pytest.raises(AssertionError, match=r"the vjp of custom_vjp\(sine\)"):
        check_grads(wrong_vjp(2.0), (X,), modes="rev")


@pytest.mark.parametrize(
    "options", [{"modes": "forward"}, {"modes": ()}, {"order": 0}, {"modes": "r"}]
)
def test_options_that_do_not_exist_are_refused(options):
    with pytest.raises(ArgumentError, match="check_grads"):
        check_grads(np.sin, (X,), **options)


@pytest.mark.parametrize("argument", [2, np.arange(3), "text"])
def test_arguments_without_derivative_are_refused(argument):
    with pytest.raises(NonDifferentiableError, match="check_grads"):
        check_grads(np.sin, (argument,))


def test_the_same_directions_are_drawn_each_time():
    sine = wrong_vjp(1.5)
    assert fails(sine, (X,)).splitlines()[0] == fails(sine, (X,)).splitlines()[0]
    state = np.random.default_rng(0).standard_normal()
    check_grads(np.sin, (X,))
    assert np.random.default_rng(0).standard_normal() == state


def test_an_error_of_the_function_comes_through():
    with pytest.raises(ZeroDivisionError):
        check_grads(lambda x: x * (1 // 0), (X,))
