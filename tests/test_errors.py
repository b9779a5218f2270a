"""Bad input: the class a caller would catch, what happened, the user's line, a way out, and no trace left."""

import gc
import inspect
import json
import math
import re
import sys
import weakref
from collections import Counter, deque
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from funcgrad import FuncgradError, errors, grad, jvp, nn, stop_gradient, value_and_grad, vjp, vmap
from funcgrad.errors import (
    AliasedUpdateError,
    ArgumentError,
    LeakedTracerError,
    MutatedConstantError,
    NonDifferentiableError,
    NonScalarOutputError,
    ShapeError,
    StructureError,
    TracerConversionError,
    UnsupportedAttributeError,
    UnsupportedError,
    fail,
    line_of_traceback,
    message,
    user_line,
)
from funcgrad.testing import check_grads

X = np.array([1.0, 2.0, 3.0])


class UserError(Exception):
    """Not ours."""


def caught(call, *args, **kwargs):
    """Return what a call raises."""
    with pytest.raises(BaseException) as info:  # noqa: PT011 - the caller looks at what it is
        call(*args, **kwargs)
    return info.value


def assert_explains(error, cls, builtin, what, source):
    """Check the class, and the three parts of the message."""
    assert type(error) is cls
    assert issubclass(cls, FuncgradError)
    assert issubclass(cls, builtin)
    first, *rest = str(error).splitlines()
    assert re.search(what, first), first
    where = [line for line in rest if line.startswith("  at ")]
    assert len(where) == 1, str(error)
    assert re.match(r"  at test_errors\.py:\d+ in ", where[0]), where
    assert source in where[0]
    number = int(re.search(r":(\d+) in", where[0])[1])
    assert source in inspect.getsource(inspect.getmodule(caught)).splitlines()[number - 1]
    fix = [line for line in rest if line.startswith("  Fix: ")]
    assert len(fix) == 1, str(error)
    assert len(fix[0]) > len("  Fix: ") + 8


# --- what the user's function does ---------------------------------------------------------------


def float_of(t):
    return float(t[0])


def complex_of(t):
    return abs(complex(t[0]))


def math_sin(t):
    return math.sin(t[0])


def percent_format(t):
    return "%f" % t[0] and t[0]  # noqa: UP031


def asarray_float(t):
    return np.asarray(t, float).sum()


def asarray(t):
    return np.asarray(t).sum()


def array_of_array(t):
    return np.array(t).sum()


def float32_of(t):
    return np.float32(t[0])


def item_assignment(t):
    out = np.zeros(3)
    out[0] = t[0]
    return out.sum()


def slice_assignment(t):
    out = np.zeros(3)
    out[:] = t
    return out.sum()


def item_increment(t):
    out = np.zeros(3)
    out[1] += t[1]
    return out.sum()


def mask_increment(t):
    out = np.zeros(3)
    out[X > 1] += t[1]
    return out.sum()


def fill(t):
    out = np.zeros(3)
    out.fill(t[0])
    return out.sum()


def copyto(t):
    out = np.zeros(3)
    np.copyto(out, t)
    return out.sum()


def full_like_plain(t):
    return np.full_like(np.zeros(3), t[0]).sum()


def nan_to_num_plain(t):
    return np.nan_to_num(np.array([np.nan, 1.0]), nan=t[0]).sum()


def add_at(t):
    out = np.zeros(3)
    np.add.at(out, [0, 1, 1], t)
    return out.sum()


def put(t):
    out = np.zeros(3)
    np.put(out, [0, 1, 2], t)
    return out.sum()


def unregistered(t):
    return np.busday_offset(t, 1)  # of dates: there will never be a rule


def unregistered_ufunc(t):
    return np.strings.isalpha(t).sum()  # of strings: there will never be a rule


def vectorized(t):
    return np.vectorize(lambda a: a * a, otypes=[float])(t).sum()


def plain_dot(t):
    return np.ones(3).dot(t)


def random_normal(t):
    return np.random.default_rng(0).normal(t[0])


def ufunc_out(t):
    return np.add(t, 1.0, out=np.zeros(3)).sum()


def ufunc_where(t):
    return np.add(t, 1.0, where=X > 1).sum()


def ufunc_casting(t):
    return np.add(t, 1.0, casting="unsafe").sum()


def sum_out(t):
    return np.sum(t, out=np.zeros(()))


def masked_array(t):
    return (np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]) * t).sum()


def float_index(t):
    return X[t[0]]


def float_list_index(t):
    return [1.0, 2.0, 3.0][t[0]] * t[0]


def traced_float_index(t):
    return t[t].sum()


def count_of_float(t):
    return sum(t[0] for _ in range(t[1]))


def unknown_attribute(t):
    return t.foo


def unsupported_method(t):
    return t.byteswap().sum()


def view_of_another_dtype(t):
    return t.view(np.int64).sum()


def view_increment(t):
    total = np.zeros(3)
    total[:2] += t[:2]
    return total.sum()


def parts_of_list(t):
    return np.asarray(list(t), float).sum()


IN_THE_FUNCTION = [
    (float_of, TracerConversionError, TypeError, r"float\(\)", "float(t[0])"),
    (complex_of, TracerConversionError, TypeError, r"complex\(\)", "complex(t[0])"),
    (math_sin, TracerConversionError, TypeError, r"float\(\)", "math.sin(t[0])"),
    (percent_format, TracerConversionError, TypeError, r"float\(\)", '"%f" % t[0]'),
    (asarray_float, TracerConversionError, TypeError, r"\(3,\), float64", "np.asarray(t, float)"),
    (asarray, TracerConversionError, TypeError, r"\(3,\), float64", "np.asarray(t)"),
    (array_of_array, TracerConversionError, TypeError, r"\(3,\), float64", "np.array(t)"),
    (float32_of, TracerConversionError, TypeError, "gradient", "np.float32(t[0])"),
    (item_assignment, TracerConversionError, TypeError, "gradient", "out[0] = t[0]"),
    (slice_assignment, TracerConversionError, TypeError, "gradient", "out[:] = t"),
    (item_increment, TracerConversionError, TypeError, "gradient", "out[1] += t[1]"),
    (mask_increment, TracerConversionError, TypeError, "gradient", "out[X > 1] += t[1]"),
    (fill, TracerConversionError, TypeError, "gradient", "out.fill(t[0])"),
    (copyto, UnsupportedError, NotImplementedError, "plain array", "np.copyto(out, t)"),
    (full_like_plain, UnsupportedError, TypeError, "np.full_like", "np.full_like(np.zeros(3)"),
    (nan_to_num_plain, UnsupportedError, TypeError, "plain array", "np.nan_to_num("),
    (add_at, UnsupportedError, TypeError, r"np\.add\.at", "np.add.at(out"),
    (put, UnsupportedError, TypeError, r"np\.put", "np.put(out"),
    (
        unregistered,
        UnsupportedError,
        NotImplementedError,
        r"np\.busday_offset",
        "np.busday_offset(",
    ),
    (unregistered_ufunc, UnsupportedError, TypeError, "no derivative rule", "np.strings.isalpha("),
    (vectorized, TracerConversionError, TypeError, "gradient", "np.vectorize("),
    (plain_dot, TracerConversionError, TypeError, "gradient", "np.ones(3).dot(t)"),
    (random_normal, TracerConversionError, TypeError, "gradient", "normal(t[0])"),
    (ufunc_out, UnsupportedError, TypeError, r"np\.add with out=", "np.add(t, 1.0, out="),
    (ufunc_where, UnsupportedError, TypeError, r"np\.add with where=", "np.add(t, 1.0, where="),
    (ufunc_casting, UnsupportedError, TypeError, r"np\.add with casting=", "casting="),
    (sum_out, UnsupportedError, TypeError, r"np\.sum with out=", "np.sum(t, out="),
    (masked_array, TracerConversionError, TypeError, "gradient", "np.ma.masked_array"),
    (float_index, TracerConversionError, TypeError, "index", "X[t[0]]"),
    (float_list_index, TracerConversionError, TypeError, "index", "[1.0, 2.0, 3.0][t[0]]"),
    (traced_float_index, TracerConversionError, TypeError, "index", "t[t]"),
    (count_of_float, TracerConversionError, TypeError, "count", "range(t[1])"),
    (unknown_attribute, UnsupportedAttributeError, AttributeError, "'foo'", "t.foo"),
    (unsupported_method, UnsupportedAttributeError, TypeError, "'byteswap'", "t.byteswap()"),
    (view_of_another_dtype, UnsupportedError, TypeError, "view", "t.view(np.int64)"),
    (view_increment, AliasedUpdateError, RuntimeError, "view", "total[:2] += t[:2]"),
    (parts_of_list, TracerConversionError, TypeError, "gradient", "np.asarray(list(t), float)"),
]


@pytest.mark.parametrize("case", IN_THE_FUNCTION, ids=lambda case: case[0].__name__)
def test_what_would_cut_the_gradient_raises_at_the_users_line(case):
    fun, cls, builtin, what, source = case
    error = caught(grad(fun), X)
    assert_explains(error, cls, builtin, what, source)


@pytest.mark.parametrize("case", IN_THE_FUNCTION, ids=lambda case: case[0].__name__)
def test_it_raises_under_every_transform_and_when_nested(case):
    fun, cls, _, _, source = case
    for call in (
        lambda: value_and_grad(fun)(X),
        lambda: vjp(fun, X),
        lambda: jvp(fun, (X,), (X,)),
        lambda: grad(lambda t: grad(fun)(t).sum())(X),
        lambda: grad(lambda t: t * grad(lambda u: fun(u * t))(X)[0])(2.0),
    ):
        error = caught(call)
        assert isinstance(error, cls)
        assert source in str(error)


def test_an_unsupported_attribute_is_an_attribute_error_so_that_hasattr_works():
    assert grad(lambda t: t.sum() if hasattr(t, "foo") else 2 * t.sum())(X).tolist() == [2, 2, 2]
    assert grad(lambda t: getattr(t, "foo", t).sum())(X).tolist() == [1, 1, 1]
    assert isinstance(caught(grad(unknown_attribute), X), AttributeError)


@pytest.mark.parametrize(
    ("fun", "builtin"),
    [
        (lambda t: {t[0]: 1}[t[0]] * t[0], TypeError),  # unhashable, as arrays are
        (lambda t: len({t[0], t[1]}) * t[0], TypeError),
        (lambda t: json.dumps(t[0]) and t[0], TypeError),
        (lambda t: memoryview(t) and t[0], TypeError),
        (lambda t: Fraction(t[0]) * t[0], TypeError),
        (lambda t: pow(t[0], 2, 5), TypeError),
        (lambda t: len(t[0]) * t[0], TypeError),
        (lambda t: sum(t[0]), TypeError),
        (lambda t: t[0] + None, TypeError),
        (lambda t: t[0] + "a", TypeError),
        (lambda t: ~t[0], TypeError),
        (lambda t: t[0] & 1, TypeError),
        (lambda t: t[0] if t else t[1], ValueError),  # the truth value of an array
        (lambda t: t[10], IndexError),
        (lambda t: t["a"], IndexError),
        (lambda t: t.item(), ValueError),
    ],
)
def test_where_plain_numpy_raises_a_traced_array_raises_likewise(fun, builtin):
    assert isinstance(caught(grad(fun), X), builtin)
    assert isinstance(caught(grad(lambda t: grad(fun)(t)[0]), X), builtin)


# --- NumPy's own errors in the user's function ---------------------------------------------------


def unequal_lengths(t):
    return np.sum(t + np.ones(2))


def reflected_unequal_lengths(t):
    return np.sum(np.ones(2) - t)


def two_traced(t):
    return np.sum(t[:2] * t)


def inner_dimensions(t):
    return np.sum(np.ones((3, 2)) @ t)


def traced_inner_dimensions(t):
    return np.sum(t[:2] @ t)


def bad_reshape(t):
    return t.reshape(2, 2).sum()


def bad_concatenate(t):
    return np.concatenate([t, t[None]]).sum()


def bad_stack(t):
    return np.stack([t, t[:2]]).sum()


def bad_axis(t):
    return t.sum(axis=3)


def bad_index(t):
    return t[5]


def bad_broadcast(t):
    return np.broadcast_to(t, (3, 2)).sum()


MISMATCHES = [
    unequal_lengths,
    reflected_unequal_lengths,
    two_traced,
    inner_dimensions,
    traced_inner_dimensions,
    bad_reshape,
    bad_concatenate,
    bad_stack,
    bad_axis,
    bad_index,
    bad_broadcast,
]


@pytest.mark.parametrize("fun", MISMATCHES, ids=lambda fun: fun.__name__)
def test_mismatched_shapes_raise_numpys_own_error_with_a_note_of_the_users_line(fun):
    plain = caught(fun, X)
    error = caught(grad(fun), X)
    assert type(error) is type(plain)
    assert not isinstance(error, FuncgradError)
    (note,) = error.__notes__
    source = inspect.getsource(fun).splitlines()[1].strip()
    line = fun.__code__.co_firstlineno + 1
    assert note == f"  at test_errors.py:{line} in {fun.__name__}: {source}"


@pytest.mark.parametrize("fun", MISMATCHES, ids=lambda fun: fun.__name__)
def test_under_nested_transforms_the_note_comes_once(fun):
    nested = grad(lambda t: np.sum(grad(fun)(t)))
    assert len(caught(nested, X).__notes__) == 1
    assert len(caught(jvp, grad(fun), (X,), (X,)).__notes__) == 1


@pytest.mark.parametrize("fun", [unequal_lengths, reflected_unequal_lengths, two_traced, bad_axis])
def test_numpys_message_is_the_plain_one(fun):
    assert str(caught(grad(fun), X)) == str(caught(fun, X))


def test_an_error_of_the_users_own_comes_through_as_it_is():
    error = UserError("mine")

    def loss(t):
        raise error

    assert caught(grad(loss), X) is error
    assert "in loss: raise error" in error.__notes__[0]


def test_an_error_that_the_user_raises_from_one_of_ours_stays_the_users():
    def loss(t):
        try:
            return float(t)
        except TypeError as cause:
            raise UserError("mine") from cause

    error = caught(grad(loss), 1.0)
    assert type(error) is UserError
    assert type(error.__cause__) is TracerConversionError


def test_an_error_that_the_user_catches_is_over():
    def loss(t):
        try:
            return float(t)
        except TypeError:
            return t * t

    def loss_with_inner_grad(t):
        try:
            return grad(lambda u: u * X)(t)
        except NonScalarOutputError:
            return t * t

    assert grad(loss)(3.0) == 6
    assert grad(grad(loss))(3.0) == 2
    assert grad(loss_with_inner_grad)(3.0) == 6


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration])
def test_exceptions_that_are_no_errors_pass(exception):
    def loss(t):
        raise exception

    assert type(caught(grad(loss), 1.0)) is exception


# --- what is differentiated ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "what"),
    [
        (2, r"grad of w, int 2\."),
        (True, "grad of w, bool True"),
        (np.arange(3), r"grad of w, an array of shape \(3,\), int64"),
        (np.array([True, False]), r"grad of w, an array of shape \(2,\), bool"),
        (np.int32(3), "grad of w, a NumPy scalar, int32"),
        ("relu", "grad of w, str 'relu'"),
        ([1.0, "relu"], r"grad of w\[1\], str 'relu'"),
        ({"w": 1.0, "steps": 3}, r"grad of w\['steps'\], int 3"),
        ([{"b": [1.0, None, 2]}], r"grad of w\[0\]\['b'\]\[2\], int 2"),
        (np.array([1.0, 2.0], object), r"grad of w, an array of shape \(2,\), object"),
        (
            np.array(["2020-01-01"], "M8[D]"),
            r"grad of w, an array of shape \(1,\), datetime64\[D\]",
        ),
        (np.ma.masked_array([1.0, 2.0], [0, 1]), r"grad of w, "),
        ({1.0, 2.0}, r"grad of w, set"),
        (Fraction(1, 2), r"grad of w, Fraction"),
        (object(), r"grad of w, object"),
    ],
)
def test_a_leaf_that_has_no_derivative_is_named(argument, what):
    error = caught(grad(lambda w: 0.0), argument)
    assert_explains(error, NonDifferentiableError, TypeError, what, "call(*args, **kwargs)")
    other = caught(grad(lambda x, w: 0.0, argnums=(0, 1)), 1.0, argument)
    assert re.search(what, str(other))
    named = caught(grad(lambda x, *, w: 0.0, argnames="w"), 1.0, w=argument)
    assert re.search(what, str(named))


def test_a_container_that_is_no_node_can_be_made_one():
    for argument in (deque([1.0]), Counter(a=1.0), MappingProxyType({"a": 1.0})):
        error = caught(grad(lambda w: 0.0), argument)
        assert f"make {type(argument).__name__} a node: tree.register_node" in str(error)


@pytest.mark.parametrize("argument", [2, "relu", np.arange(3)])
def test_vjp_and_jvp_say_so_too(argument):
    error = caught(vjp, lambda w: 0.0, argument)
    assert_explains(error, NonDifferentiableError, TypeError, "vjp of w", "call(")
    error = caught(jvp, lambda w: 0.0, (argument,), (argument,))
    assert_explains(error, NonDifferentiableError, TypeError, "jvp of w", "call(")


@pytest.mark.parametrize("argument", [2, "relu", np.arange(3)])
def test_the_fix_is_one_that_the_transform_has(argument):
    for call in (vjp, lambda f, n: jvp(f, (n,), (n,)), lambda f, n: check_grads(f, (n,))):
        error = caught(call, lambda w: 0.0, argument)
        assert "close over it" in str(error)
        assert "argnum" not in str(error)
    assert "argnums" in str(caught(grad(lambda w: 0.0), argument))
    assert "has_aux" not in str(caught(vmap(lambda x: "text"), np.ones(2)))
    assert "has_aux" in str(caught(vjp, lambda x: "text", 1.0))
    written = caught(vmap(lambda x: np.zeros(2).__setitem__(0, x)), np.ones(2))
    assert "write into np.zeros_like(x)" in str(written)


def test_a_name_with_a_default_that_is_not_passed_is_asked_for():
    error = caught(grad(lambda x, scale=2.0: x * scale, argnames="scale"), 1.0)
    assert "pass it, scale=..., even where it has a default" in str(error)


def test_integers_and_strings_may_stand_in_other_arguments():
    def power(x, n, how):
        return x**n if how == "power" else x

    assert grad(power)(2.0, 3, "power") == 12
    assert grad(power)(2.0, n=3, how="power") == 12


@pytest.mark.parametrize(
    ("output", "what"),
    [
        (lambda t: t, r"`<lambda>` returned an array of shape \(3,\), float64"),
        (lambda t: t[:1], r"shape \(1,\)"),
        (lambda t: t.astype(np.float32)[None], r"shape \(1, 3\), float32"),
        (lambda t: X, r"shape \(3,\)"),
        (lambda t: None, "returned NoneType None"),
        (lambda t: "a", "returned str 'a'"),
        (lambda t: (t[0], t[1]), "returned tuple"),
        (lambda t: [t[0]], "returned list"),
        (lambda t: {"loss": t[0]}, "returned dict"),
        (lambda t: (a for a in t), "returned generator"),
        (lambda t: t[0] * 1j, "returned a complex number, complex128"),
        (lambda t: np.array(None), "object|NoneType"),
        (lambda t: np.array("a"), "a"),
    ],
)
def test_a_loss_that_is_no_real_number_is_refused(output, what):
    for transform in (grad, value_and_grad):
        error = caught(transform(output), X)
        assert_explains(error, NonScalarOutputError, TypeError, what, "call(*args, **kwargs)")


def test_a_non_scalar_loss_is_refused_under_an_outer_transform_too():
    error = caught(grad(lambda t: grad(lambda u: u * X)(t * 1.0)), 2.0)
    what = r"grad needs a scalar loss, but `<lambda>` returned an array of shape \(3,\), float64"
    assert_explains(error, NonScalarOutputError, TypeError, what, "grad(lambda u: u * X)(t * 1.0)")


def test_the_output_with_has_aux_must_be_a_pair():
    for output in (lambda t: t, lambda t: (t, t, t), lambda t: None):
        error = caught(grad(output, has_aux=True), 1.0)
        assert_explains(error, ArgumentError, ValueError, "pair", "call(*args, **kwargs)")


# --- how a transform is called -------------------------------------------------------------------


def product(a, b):
    return a * b


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"argnums": 2}, "argnums=2 .* 3 positional arguments, but 2 came"),
        ({"argnums": -3}, "argnums=-3 .* 3 positional arguments, but 2 came"),
        ({"argnums": (0, 5)}, r"argnums=\(0, 5\)"),
        ({"argnums": (0, 0)}, "twice"),
        ({"argnums": (0, -2)}, "twice"),
        ({"argnums": (1, -1)}, "twice"),
        ({"argnums": 0, "argnames": "a"}, "twice"),
        ({"argnames": ("a", "a")}, "twice"),
        ({"argnames": "c"}, "'c'"),
    ],
)
def test_arguments_that_do_not_fit_the_call(options, what):
    for transform in (grad, value_and_grad):
        error = caught(transform(product, **options), 2.0, 3.0)
        assert_explains(error, ArgumentError, ValueError, what, "call(*args, **kwargs)")
        assert isinstance(error, TypeError)


@pytest.mark.parametrize(
    "options",
    [
        {"argnums": "b"},
        {"argnums": 1.0},
        {"argnums": (0, "b")},
        {"argnames": 1},
        {"argnames": (0,)},
    ],
)
def test_arguments_of_the_wrong_type_are_refused_when_the_transform_is_made(options):
    error = caught(grad, product, **options)
    name = next(iter(options))
    assert_explains(error, ArgumentError, TypeError, f"{name} of grad\\(product", "call(")


@pytest.mark.parametrize("fun", [3.0, None, "f", X])
def test_what_is_no_function_is_refused(fun):
    for transform in (grad, value_and_grad):
        error = caught(transform, fun)
        assert_explains(
            error, ArgumentError, TypeError, "takes a function", "call(*args, **kwargs)"
        )


def test_an_argument_that_the_function_lacks_raises_pythons_own_error():
    assert type(caught(grad(product), 2.0)) is TypeError
    assert type(caught(grad(product), 2.0, 3.0, c=1.0)) is TypeError


# --- pullbacks -----------------------------------------------------------------------------------


@pytest.fixture
def pullback():
    return vjp(lambda a, b: (a * b, {"total": a.sum()}), X, 2.0)[1]


@pytest.mark.parametrize(
    ("ct", "what"),
    [
        (
            (np.ones(2), {"total": 1.0}),
            r"at \[0\] has shape \(2,\), but the output has shape \(3,\)",
        ),
        ((1.0, {"total": 1.0}), r"at \[0\] has shape \(\), but the output has shape \(3,\)"),
        ((np.ones((1, 3)), {"total": 1.0}), r"at \[0\] has shape \(1, 3\)"),
        ((X, {"total": np.ones(1)}), r"at \[1\]\['total'\] has shape \(1,\), .* shape \(\)"),
        ((X * 1j, {"total": 1.0}), r"at \[0\] is complex128, but the output is real"),
        (("abc", {"total": 1.0}), r"at \[0\] is str 'abc'"),
        ((np.array(["a", "b", "c"]), {"total": 1.0}), r"at \[0\]"),
    ],
)
def test_a_cotangent_of_the_wrong_shape_or_dtype(pullback, ct, what):
    error = caught(pullback, ct)
    assert_explains(error, ShapeError, ValueError, what, "call(*args, **kwargs)")


@pytest.mark.parametrize(
    "ct",
    [
        (X,),
        (X, {"total": 1.0}, X),
        [X, {"total": 1.0}],
        (X, {"sum": 1.0}),
        (X, {"total": 1.0, "mean": 1.0}),
        (X, 1.0),
        ([1.0, 1.0, 1.0], {"total": 1.0}),
        None,
        X,
        "ab",
    ],
)
def test_a_cotangent_of_the_wrong_structure(pullback, ct):
    error = caught(pullback, ct)
    assert_explains(error, StructureError, ValueError, "cotangent of `<lambda>`", "call(")


@pytest.mark.parametrize("tangent", [np.ones(2), 1.0, np.ones((3, 1)), X * 1j, "abc"])
def test_a_tangent_of_the_wrong_shape_or_dtype(tangent):
    error = caught(jvp, lambda x: x**2, (X,), (tangent,))
    assert_explains(error, ShapeError, ValueError, "tangent of x", "call(*args, **kwargs)")


@pytest.mark.parametrize(
    ("primals", "tangents"), [(X, (X,)), ((X,), X), ((X,), (X, X)), ((), (X,))]
)
def test_primals_and_tangents_are_tuples_of_one_length(primals, tangents):
    error = caught(jvp, np.sin, primals, tangents)
    assert_explains(error, ArgumentError, ValueError, "jvp of `sin`", "call(*args, **kwargs)")


def test_a_pullback_serves_on_after_a_wrong_cotangent(pullback):
    caught(pullback, (np.ones(2), {"total": 1.0}))
    caught(pullback, None)
    grad_a, grad_b = pullback((np.ones(3), {"total": 1.0}))
    assert grad_a.tolist() == [3, 3, 3]
    assert grad_b == 6


# --- tracers that outlive their transform --------------------------------------------------------


def leak(transform=grad):
    """Return a tracer of a call that has ended."""
    kept = []
    transform(lambda t: (kept.append(t * 1.0), t.sum())[1])(X)
    return kept[0]


USES = {
    "add": lambda t: t + 1,
    "reflected add": lambda t: 1 + t,
    "add a float64": lambda t: np.float64(1) + t,
    "add an array": lambda t: np.ones(3) + t,
    "add itself": lambda t: t + t,
    "negate": lambda t: -t,
    "power": lambda t: t**2,
    "matmul": lambda t: t @ t,
    "compare": lambda t: t > 1,
    "compare with an array": lambda t: t > np.ones(3),
    "compare with itself": lambda t: t == t,
    "sin": np.sin,
    "floor": np.floor,
    "isnan": np.isnan,
    "sum": np.sum,
    "method": lambda t: t.mean(),
    "index": lambda t: t[0],
    "slice": lambda t: t[:2],
    "mask": lambda t: t[np.array([True, False, True])],
    "iterate": list,
    "transpose": lambda t: t.T,
    "reshape": lambda t: t.reshape(3, 1),
    "astype": lambda t: t.astype(np.float32),
    "astype int": lambda t: t.astype(int),
    "copy": lambda t: t.copy(),
    "zeros_like": np.zeros_like,
    "like=": lambda t: np.zeros(3, like=t),
    "argmax": np.argmax,
    "where": lambda t: np.where(t > 0, t, 0),
    "stack": lambda t: np.stack([t, t]),
    "float": lambda t: float(t[0]),
    "asarray": np.asarray,
    "closed over": lambda t: grad(lambda u: (u * t).sum())(X),
    "closed over in jvp": lambda t: jvp(lambda u: u * t, (X,), (X,)),
    "differentiated": grad(lambda u: (u * u).sum()),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_tracer_that_outlives_its_transform_raises_when_used(use):
    tracer = leak()
    error = caught(use, tracer)
    assert isinstance(error, (LeakedTracerError, TracerConversionError))
    assert isinstance(error, (RuntimeError, TypeError))
    assert "  Fix: " in str(error)


def test_the_message_of_a_leak_says_how_to_return_the_value():
    tracer = leak()
    error = caught(lambda: tracer * 2.0)
    assert_explains(error, LeakedTracerError, RuntimeError, "ended", "tracer * 2.0")
    assert "has_aux" in str(error)


def test_a_leaked_tracer_returned_as_a_result_raises():
    kept = []
    grad(lambda t: (kept.append(t * 1.0), t)[1])(2.0)
    tracer = kept[0]
    for call in (
        lambda: grad(lambda u: tracer)(2.0),
        lambda: value_and_grad(lambda u: tracer)(2.0),
        lambda: vjp(lambda u: tracer, 2.0),
        lambda: vjp(lambda u: u, tracer),
        lambda: grad(lambda u: u)(tracer),
    ):
        assert isinstance(caught(call), LeakedTracerError)


def test_a_leaked_tracer_may_be_printed():
    tracer = leak()
    assert str(tracer) == "[1. 2. 3.]"
    assert "1., 2., 3." in repr(tracer)
    assert f"{tracer}" == "[1. 2. 3.]"
    assert tracer.shape == (3,)


def test_tracers_of_a_function_that_raised_are_leaked_too():
    kept = []

    def loss(t):
        kept.append(t * 2.0)
        raise UserError

    for transform in (grad, value_and_grad, lambda f: lambda x: vjp(f, x)):
        caught(transform(loss), 1.0)
        assert isinstance(caught(lambda: kept[-1] + 1.0), LeakedTracerError)
    caught(jvp, loss, (1.0,), (1.0,))
    assert isinstance(caught(lambda: kept[-1] + 1.0), LeakedTracerError)


def test_a_generator_that_outlives_the_transform_raises_when_resumed():
    running = []

    def loss(t):
        def values():
            yield t
            yield t * t

        running.append(values())
        return next(running[-1])

    assert grad(loss)(3.0) == 1
    assert isinstance(caught(next, running[0]), LeakedTracerError)


# --- constants that change -----------------------------------------------------------------------


def test_a_large_constant_changed_after_use_names_the_line_of_use():
    buffer = np.ones((200, 200))

    def loss(t):
        y = buffer * t
        buffer[0, 0] = 5.0
        return y.sum()

    error = caught(grad(loss), 2.0)
    what = r"array of shape \(200, 200\), float64"
    assert_explains(error, MutatedConstantError, RuntimeError, what, "y = buffer * t")


# --- networks ------------------------------------------------------------------------------------


def test_a_linear_layer_of_another_width():
    layer = nn.Linear(2, 5)
    params = layer.init(np.random.default_rng(0))
    for call in (
        lambda: layer.apply(params, np.ones((4, 3))),
        lambda: grad(lambda p: layer.apply(p, np.ones((4, 3))).sum())(params),
    ):
        error = caught(call)
        assert_explains(error, ShapeError, ValueError, r"\(4, 3\)", "layer.apply(p")


@pytest.mark.parametrize("labels", [[0, 1, 3], [-1, 0, 1]])
def test_labels_out_of_range(labels):
    labels = np.array(labels)
    for loss in (nn.softmax_cross_entropy, nn.multiclass_hinge):
        for call in (
            lambda loss=loss: loss(np.zeros((3, 3)), labels),
            lambda loss=loss: grad(lambda z: loss(z, labels))(np.zeros((3, 3))),
        ):
            error = caught(call)
            what = f"labels from 0 to 2, but got {labels.min()} to {labels.max()}"
            assert_explains(error, ArgumentError, ValueError, what, ", labels)")


# --- nothing left behind -------------------------------------------------------------------------


def bad_calls():
    """Yield a call for each way to go wrong."""
    for fun, *_ in IN_THE_FUNCTION:
        yield lambda fun=fun: grad(fun)(X)
    for fun in MISMATCHES:
        yield lambda fun=fun: grad(lambda t: np.sum(grad(fun)(t)))(X)
    yield lambda: grad(lambda t: t)(X)
    yield lambda: grad(lambda t: t)(2)
    yield lambda: vjp(np.sin, X)[1](np.ones(2))
    yield lambda: jvp(np.sin, (X,), (np.ones(2),))
    yield lambda: grad(product, argnums=7)(1.0, 2.0)
    yield lambda: leak() + 1


def test_an_error_leaves_nothing_behind():
    state = np.geterr(), np.get_printoptions(), dict(errors.__dict__).keys()
    for call in bad_calls():
        caught(call)
        assert grad(lambda t: t * grad(lambda u: t * u * u)(t))(2.0) == 24
        assert jvp(lambda t: t**3, (2.0,), (1.0,)) == (8, 12)
    assert state == (np.geterr(), np.get_printoptions(), dict(errors.__dict__).keys())


def test_an_error_keeps_no_memory_alive():
    held = []

    def loss(t):
        weights = np.ones(1000)
        held.append(weakref.ref(weights))
        y = np.tanh(weights * t)
        return y.foo

    gc.disable()  # the memory must go without the help of the cycle collector
    try:
        for transform in (grad, value_and_grad, lambda f: lambda x: vjp(f, x)):
            with pytest.raises(UnsupportedError):
                transform(loss)(2.0)
    finally:
        gc.enable()
    gc.collect()
    assert [ref() for ref in held] == [None] * 3


def test_inputs_and_plain_arrays_are_as_before_after_an_error():
    x, buffer = X.copy(), np.zeros(3)

    def loss(t):
        y = t * 2
        buffer[0] = y[0]
        return y.sum()

    caught(grad(loss), x)
    assert x.tolist() == X.tolist()
    assert buffer.tolist() == [0, 0, 0]


# --- the builder of messages ---------------------------------------------------------------------


def test_every_error_of_ours_derives_from_the_base_and_from_a_built_in():
    classes = [
        cls
        for name in errors.__all__
        if isinstance(cls := getattr(errors, name), type) and issubclass(cls, FuncgradError)
    ]
    assert len(classes) > 10
    for cls in classes:
        built_in = [base for base in cls.__mro__ if base.__module__ == "builtins"]
        assert cls is FuncgradError or len(built_in) > len(FuncgradError.__mro__) - 1, cls
        assert cls.__doc__


def test_every_class_has_its_program_in_the_documentation():
    """The programs and messages themselves run as the doctest of the page."""
    page = Path(__file__).parents[1].joinpath("docs", "errors.md").read_text()
    for name in errors.__all__:
        cls = getattr(errors, name)
        if not isinstance(cls, type) or cls is FuncgradError:
            continue
        assert f"`{name}`" in page
        if issubclass(cls, FuncgradError):
            assert f"\n## {name}\n" in page
            assert f"\nfuncgrad.errors.{name}: " in page


def test_a_message_without_a_place_or_a_fix_is_just_the_message():
    assert message("b is 0.") == "b is 0."
    assert message("b is 0.", where="here") == "b is 0.\n  at here"
    assert message("b is 0.", fix="use np.where.") == "b is 0.\n  Fix: use np.where."
    assert message("b is 0.", fix="two\nlines") == "b is 0.\n  Fix: two\n       lines"


def test_the_place_is_the_innermost_line_of_the_users():
    def inner():
        return user_line()

    def outer():
        return inner()

    line = inner.__code__.co_firstlineno + 1
    assert outer() == f"test_errors.py:{line} in inner: return user_line()"
    assert outer() in str(fail(ShapeError, "b is 0.", where=outer()))


def test_a_long_line_is_cut_and_a_broken_one_joined():
    def long():
        return user_line(
            sys._getframe(),
            *["arguments that make this expression longer than the message carries"][1:],
        )

    def broken():
        return user_line(
            None,
        )

    assert long().endswith(" ...")
    assert len(long().partition(": ")[2]) <= 100
    assert broken().endswith("in broken: return user_line( None, )")


def test_the_place_of_code_without_a_file_is_its_line():
    namespace = {"user_line": user_line}
    exec("def loss():\n    return user_line()", namespace)
    assert namespace["loss"]() == "<string>:2 in loss"


def test_the_line_of_a_traceback_is_the_innermost_of_the_users():
    error = caught(grad(two_traced), X)
    line = two_traced.__code__.co_firstlineno + 1
    assert f"test_errors.py:{line} in two_traced" in line_of_traceback(error.__traceback__)
    assert line_of_traceback(None) is None


def test_errors_survive_pickling_by_their_message():
    error = caught(grad(float_of), X)
    assert str(type(error)(*error.args)) == str(error)


def test_stop_gradient_is_the_way_out_that_the_messages_name():
    assert grad(lambda t: t * math.sin(stop_gradient(t)))(1.0) == math.sin(1.0)
    holder = SimpleNamespace()

    def loss(t):
        holder.value = stop_gradient(t * 2)
        return t.sum()

    grad(loss)(X)
    assert (holder.value + 1).tolist() == [3, 5, 7]


# --- SciPy that fails on what it made of a traced value -----------------------------------------------


@pytest.mark.parametrize(
    ("call", "mirror"),
    [
        (lambda so, t: so.minimize(lambda s: (s[0] - t) ** 2, [0.0]).x[0], "optimize.minimize"),
        (lambda so, t: so.brentq(lambda s: s - t, 0, 5), "optimize.brentq"),
    ],
)
def test_a_solver_that_closes_over_a_traced_value_names_the_mirror(call, mirror):
    so = pytest.importorskip("scipy.optimize")
    with pytest.raises(Exception) as caught:  # noqa: PT011  # SciPy's own, whichever
        grad(lambda t: call(so, t))(2.0)
    notes = getattr(caught.value, "__notes__", [])
    assert f"call funcgrad.scipy.{mirror}" in "".join([str(caught.value), *notes])
    assert not isinstance(caught.value, SystemError)


def test_a_class_of_scipys_names_the_class_that_takes_its_place():
    interpolate = pytest.importorskip("scipy.interpolate")
    with pytest.raises(
        TracerConversionError, match=r"call funcgrad\.scipy\.\w+\.CubicSpline, which"
    ):
        grad(lambda t: interpolate.CubicSpline(np.arange(3.0), t)(0.5))(X)


def test_an_error_of_scipy_about_plain_values_is_left_as_it_is():
    so = pytest.importorskip("scipy.optimize")

    def fails(s):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        grad(lambda t: t * so.brentq(fails, 0, 5))(2.0)
    assert "Fix" not in "".join(caught.value.__notes__)


# --- assertions inside a traced function ----------------------------------------------------------


def test_assertions_of_numpy_compare_the_values():
    def loss(t):
        np.testing.assert_allclose(t * 2, t + t)
        np.testing.assert_array_less(0, t)
        np.testing.assert_array_equal(t, t.copy())
        np.testing.assert_allclose(np.sum(t), 3.0)
        return np.sum(t**2)

    t = np.array([0.5, 1.0, 1.5])
    assert grad(loss)(t).tolist() == (2 * t).tolist()
    assert jvp(grad(loss), (t,), (t,))[1].tolist() == (2 * t).tolist()
    with pytest.raises(AssertionError, match="Mismatched elements: 3 / 3"):
        grad(lambda t: np.testing.assert_allclose(t * 2, t))(t)
    with pytest.raises(TracerConversionError, match="an assertion of a mapped value"):
        vmap(loss)(np.stack([t, t]))


def test_formatting_with_a_percent_sign_names_the_f_string():
    with pytest.raises(TracerConversionError, match=r"f'\{x:\.3f\}' in place of '%\.3f' % x"):
        grad(lambda t: print("%.3f" % t))(1.0)  # noqa: UP031  # the mistake
