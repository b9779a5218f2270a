"""jvp and linearize: pytrees, aux, dtypes, zero tangents, what does not match."""

from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from funcgrad import grad, hvp, jvp, linearize, stop_gradient, vjp, vmap
from funcgrad.errors import (
    ArgumentError,
    FuncgradError,
    LeakedTracerError,
    NonDifferentiableError,
    ShapeError,
    StructureError,
)

X = np.array([0.5, 1.0, 2.0])
V = np.array([1.0, -1.0, 3.0])


@dataclass
class Params:
    w: Any
    b: Any
    act: str = field(default="tanh", metadata={"static": True})


def by_linearize(f, primals, tangents):
    out, pushforward = linearize(f, *primals)
    return out, pushforward(*tangents)


both = pytest.mark.parametrize("push", [jvp, by_linearize])


# --- values and tangents -------------------------------------------------------------------------


@both
def test_output_and_tangent_of_a_product(push):
    out, tangent = push(np.multiply, (2.0, 3.0), (10.0, 100.0))
    assert out == 6
    assert tangent == 230


@both
def test_tangent_of_an_array_function_is_the_jacobian_times_the_direction(push):
    matrix = np.arange(6.0).reshape(2, 3)
    out, tangent = push(lambda x: np.sin(matrix @ x), (X,), (V,))
    assert np.allclose(out, np.sin(matrix @ X))
    assert np.allclose(tangent, np.cos(matrix @ X) * (matrix @ V))


@both
def test_pytrees_in_and_out(push):
    def f(params, inputs):
        u, v = inputs["u"], inputs["v"]
        return {"y": params.w * u + params.b, "z": [u * v, (v, None)]}

    primals = (Params(2.0, X), {"v": 5.0, "u": X})
    tangents = (Params(1.0, np.zeros(3)), {"u": V, "v": 0.5})
    out, tangent = push(f, primals, tangents)
    assert list(tangent) == ["y", "z"]
    assert np.allclose(out["y"], 3 * X)
    assert np.allclose(tangent["y"], X + 2 * V)
    assert np.allclose(tangent["z"][0], 5 * V + 0.5 * X)
    assert tangent["z"][1] == (0.5, None)


@both
def test_dicts_match_by_key_in_any_order(push):
    _, tangent = push(
        lambda p: p["a"] * 10 + p["b"], ({"a": 1.0, "b": 2.0},), ({"b": 5.0, "a": 1.0},)
    )
    assert tangent == 15


@both
def test_tangent_is_linear_in_the_direction(push):
    def f(x):
        return np.tanh(x) * np.sum(x**2)

    _, a = push(f, (X,), (V,))
    _, b = push(f, (X,), (X,))
    _, both_ = push(f, (X,), (2 * V - 3 * X,))
    assert np.allclose(both_, 2 * a - 3 * b)


@both
def test_agrees_with_vjp(push, rng):
    def f(x, y):
        return np.einsum("i,ij->j", np.exp(x), y) / np.sum(y)

    x, y, u, v, ct = [rng.uniform(1, 2, s) for s in [3, (3, 2), 3, (3, 2), 2]]
    _, tangent = push(f, (x, y), (u, v))
    gx, gy = vjp(f, x, y)[1](ct)
    assert np.isclose(ct @ tangent, gx @ u + np.sum(gy * v))


@both
def test_function_without_arguments(push):
    out, tangent = push(lambda: 3.0, (), ())
    assert (out, tangent) == (3, 0)


@both
def test_empty_arrays(push):
    out, tangent = push(lambda x: (np.sum(x), x * 2), (np.zeros(0),), (np.zeros(0),))
    assert tangent[0] == 0
    assert out[1].shape == tangent[1].shape == (0,)


@both
def test_zero_dimensional_arrays(push):
    _, tangent = push(np.sin, (np.array(0.0),), (np.array(2.0),))
    assert tangent == 2
    assert np.shape(tangent) == ()


# --- outputs without a tangent -------------------------------------------------------------------


@both
def test_constant_outputs_have_tangent_zero(push):
    _, tangent = push(lambda x: (3.0, np.ones((2, 2)), x), (X,), (V,))
    assert tangent[0] == 0
    assert np.array_equal(tangent[1], np.zeros((2, 2)))
    assert np.array_equal(tangent[2], V)


@both
def test_integer_and_boolean_outputs_are_plain_with_tangent_zero(push):
    out, tangent = push(lambda x: (np.argmax(x), x > 0.7, x.astype(int)), (X,), (V,))
    assert out[0] == 2
    assert np.array_equal(out[1], [False, True, True])
    for t, y in zip(tangent, out, strict=True):
        assert np.shape(t) == np.shape(y)
        assert not np.any(t)


@both
def test_a_branch_on_a_comparison_works_as_in_plain_python(push):
    def f(x):
        return x**2 if x > 0 else -x

    assert push(f, (3.0,), (1.0,))[1] == 6
    assert push(f, (-3.0,), (1.0,))[1] == -1


@both
def test_zero_tangent_gives_zero(push):
    _, tangent = push(lambda x: np.exp(x) @ x, (X,), (np.zeros(3),))
    assert tangent == 0


@both
def test_zero_tangent_stays_zero_at_a_singular_point(push):
    _, tangent = push(np.sqrt, (np.array([0.0, 4.0]),), (np.array([0.0, 1.0]),))
    assert np.array_equal(tangent, [0, 0.25])


@both
def test_infinite_tangent_at_a_singular_point(push):
    _, tangent = push(np.sqrt, (np.array([0.0, 4.0]),), (np.ones(2),))
    assert np.array_equal(tangent, [np.inf, 0.25])


@both
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_dead_branch_of_where_has_no_nan(push):
    point = np.array([-1.0, 0.0, 4.0])
    _, tangent = push(lambda x: np.where(x > 0, np.log(x), 0), (point,), (np.ones(3),))
    assert np.array_equal(tangent, [0, 0, 0.25])


@both
def test_norm_written_out_at_zero_in_one_of_several_rows(push):
    rows = np.array([[0.0, 0.0], [3.0, 4.0]])
    _, tangent = push(lambda x: np.sqrt(np.sum(x * x, axis=1)), (rows,), (rows,))
    assert np.array_equal(tangent, [0, 5])


def test_nan_in_the_primal_is_not_hidden():
    _, tangent = jvp(lambda x: x * np.nan, (X,), (V,))
    assert np.all(np.isnan(tangent))


# --- dtypes --------------------------------------------------------------------------------------


@both
def test_float32_stays_float32(push):
    x = X.astype(np.float32)
    out, tangent = push(lambda x: np.sin(2.0 * x) + 1, (x,), (x,))
    assert out.dtype == tangent.dtype == np.float32


@both
def test_tangent_takes_the_dtype_of_its_primal(push):
    _, tangent = push(np.sin, (X.astype(np.float32),), (V,))
    assert tangent.dtype == np.float32
    _, tangent = push(np.sin, (X,), (np.array([1, -1, 3]),))
    assert np.allclose(tangent, np.cos(X) * V)


@both
def test_python_numbers_are_tangents_of_python_floats(push):
    _, tangent = push(np.sin, (0.0,), (1,))
    assert tangent == 1
    assert isinstance(tangent, np.float64)


@both
def test_float32_and_float64_promote_as_in_numpy(push):
    x = X.astype(np.float32)
    out, tangent = push(np.multiply, (x, X), (x, X))
    assert out.dtype == tangent.dtype == np.float64


@both
def test_complex_tangent_of_a_holomorphic_function(push):
    z, t = np.array([1 + 2j, -0.5j]), np.array([1j, 2 - 1j])
    out, tangent = push(lambda z: z**2 + np.exp(z), (z,), (t,))
    assert np.allclose(tangent, (2 * z + np.exp(z)) * t)
    assert out.dtype == tangent.dtype == np.complex128


@both
def test_real_output_of_a_complex_input_has_a_real_tangent(push):
    z, t = np.array([1 + 2j, -0.5j]), np.array([1j, 2 - 1j])
    _, tangent = push(lambda z: np.real(z * np.conj(z)), (z,), (t,))
    assert tangent.dtype == np.float64
    assert np.allclose(tangent, 2 * np.real(z * np.conj(t)))


@both
def test_complex_output_of_a_real_input(push):
    _, tangent = push(lambda x: np.exp(1j * x), (X,), (V,))
    assert np.allclose(tangent, 1j * np.exp(1j * X) * V)


@both
def test_real_and_complex_arguments_together(push):
    z, t = 2 - 1j, 1 + 1j
    _, tangent = push(lambda x, z: x * np.abs(z) ** 2 * z, (3.0, z), (1.0, t))
    expected = 5 * z + 3 * (2 * np.real(np.conj(z) * t) * z + 5 * t)
    assert np.isclose(tangent, expected)


# --- arithmetic with numbers, where a tangent may owe a factor -----------------------------------

STEPS = [
    *[
        "x * 0.5",
        "2 * x",
        "x / 3",
        "1 - x",
        "x - 2",
        "x + 1",
        "-x",
        "2 / x",
        "x**2",
        "x**3",
        "x**0.5",
    ],
    *[
        "x * x",
        "x * y",
        "x + y",
        "y - x",
        "x / y",
        "y / x",
        "np.sin(x)",
        "np.multiply(3, x)",
        "x * w",
    ],
    *[
        "x + x",
        "w - x",
        "np.maximum(x, y)",
        "np.arctan2(y, x)",
        "x**y",
        "np.subtract(x, 0.5)",
        "x @ x + x",
    ],
    *["x * 1e-20 * 1e20", "x / 1e30 / 1e-30", "x * 2000 * 0.0005", "np.abs(x)", "np.cumsum(x)"],
]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.booleans()), max_size=12), st.booleans())
def test_random_arithmetic_has_the_tangents_of_reverse_mode(steps, single):
    lines = [f"{'x' if into_x else 'y'} = 0.3 + np.abs({step}) / 4" for step, into_x in steps]
    body = "\n    ".join([*lines, "return x * 0.5 + y, y"])
    scope = {"np": np, "w": np.array([2.0, 3.0, 0.5])}
    exec(f"def program(x, y):\n    {body}\n", scope)
    program = scope["program"]
    primals = (X, X[::-1].copy())
    tangents = (V, np.array([0.5, 0.0, 2.0]))
    if single:
        primals, tangents = [
            tuple([t.astype(np.float32) for t in ts]) for ts in (primals, tangents)
        ]
        scope["w"] = scope["w"].astype(np.float32)
    out, pushed = jvp(program, primals, tangents)
    values, pullback = vjp(program, *primals)
    tolerance = 1e-3 if single else 1e-9
    for i in range(2):
        assert np.array_equal(out[i], values[i])
        assert pushed[i].dtype == out[i].dtype
        ct = [np.zeros(3, out[0].dtype), np.zeros(3, out[0].dtype)]
        for k in range(3):
            ct[i][k] = 1
            slope = sum([g @ t for g, t in zip(pullback(tuple(ct)), tangents, strict=True)])
            assert abs(pushed[i][k] - slope) <= tolerance * (1 + abs(slope))
            ct[i][k] = 0


SHAPES = [(), (1,), (3,), (2, 3), (2, 1), (1, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("other", SHAPES)
@pytest.mark.parametrize("op", [*"+-*/", "**"])
def test_operators_broadcast_tangents_as_values(op, shape, other, rng):
    primals = rng.uniform(1, 2, shape), rng.uniform(1, 2, other)
    tangents = rng.normal(size=shape), rng.normal(size=other)
    for scales in ("", "0.5 * "):
        f = eval(f"lambda x, y: ({scales}x) {op} y")
        out, whole = jvp(f, primals, tangents)
        parts = [
            jvp(lambda x, f=f: f(x, primals[1]), primals[:1], tangents[:1]),
            jvp(lambda y, f=f: f(primals[0], y), primals[1:], tangents[1:]),
        ]
        step = 1e-6
        ahead, behind = [
            f(*[x + h * t for x, t in zip(primals, tangents, strict=True)]) for h in (step, -step)
        ]
        assert whole.shape == out.shape == f(*primals).shape
        assert np.allclose(whole, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)
        assert np.allclose(whole, parts[0][1] + parts[1][1])
        assert all(
            [part[1].shape == out.shape and part[1].flags.writeable for part in parts if out.shape]
        )


@pytest.mark.parametrize("c", [0.0, -0.0, np.inf, np.nan, 1e-320, 1e300, -1e-3, 1000.0, 10**30])
@pytest.mark.parametrize("x", [X, np.float64(0.5), X.astype(np.float32)[:, None]], ids=repr)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the values themselves
def test_a_factor_of_any_size(c, x):
    for f in (
        *[lambda x: x * c, lambda x: c * x, lambda x: x * 0.5 * c, lambda x: x * c * 2.0],
        *[lambda x: x / c, lambda x: x / c / 2.0, lambda x: x / 0.25 / c, lambda x: -(x * c)],
    ):
        try:
            expected = f(x)  # f is linear
        except ZeroDivisionError:
            continue
        got = jvp(f, (x,), (x,))[1]
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_a_long_double_keeps_its_precision():
    third = np.longdouble(1) / 3
    x = np.array([third])
    _, tangent = jvp(lambda x: x * 0.1 * 3.0 / 7.0, (x,), (x,))
    assert tangent[0] == x[0] * 0.1 * 3.0 / 7.0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the dead branches
def test_dead_branches_of_arithmetic_have_no_nan():
    x, v = np.array([-1.0, 0.0, 2.0]), np.ones(3)
    for branch in (
        *[lambda x: 3 / (2 * x), lambda x: (x + 1) / x, lambda x: x / x, lambda x: 0.5 * x**-1],
        *[lambda x: np.sqrt(2 * x) / 2, lambda x: np.log(x / 3) * (x * 0.5), lambda x: x * np.inf],
    ):
        f = lambda x: np.where(x > 0, branch(x), 0.0)  # noqa: B023, E731
        _, tangent = jvp(f, (x,), (v,))
        assert np.array_equal(tangent[:2], [0, 0])
        assert np.isclose(tangent[2], vjp(f, x)[1](v)[0][2])


def test_a_write_into_a_multiple_leaves_the_tangent_of_the_argument():
    def f(x):
        y = 2 * x
        z = -y
        y[0] = x[1] * 3
        z += x
        return x * 1.0, y, z

    _, (x, y, z) = jvp(f, (X,), (V,))
    assert np.array_equal(x, V)
    assert np.array_equal(y, [3 * V[1], 2 * V[1], 2 * V[2]])
    assert np.array_equal(z, -V)


def test_multiples_under_other_transforms():
    def f(x):
        return 0.5 * np.sum((2 * x - x / 4) ** 2 * x * 3)

    expected = 3 * 1.75**2 * 3 * X * V  # second derivative of 1.5 (1.75 x)^2 x
    assert np.allclose(jvp(grad(f), (X,), (V,))[1], expected)
    assert np.allclose(grad(lambda x: jvp(f, (x,), (V,))[1])(X), expected)
    rows = np.stack([V, X])
    assert np.allclose(vmap(lambda v: jvp(grad(f), (X,), (v,))[1])(rows)[0], expected)
    assert np.allclose(jvp(lambda x: jvp(f, (x,), (V,))[1], (X,), (V,))[1], expected @ V)


# --- memory --------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x,
        lambda x: x + 0,
        lambda x: x[:],
        lambda x: x.reshape(3, 1),
        lambda x: x + np.zeros((2, 3)),
        lambda x: np.broadcast_to(x, (2, 3)),
        lambda x: x.T,
    ],
)
def test_results_share_no_memory_with_the_arguments(push, f):
    x, v = X.copy(), V.copy()
    out, tangent = push(f, (x,), (v,))
    before = np.array(out), np.array(tangent)
    x[:], v[:] = 77, 88
    assert np.array_equal(out, before[0])
    assert np.array_equal(tangent, before[1])
    tangent += 1
    assert np.all(v == 88)


def test_two_outputs_do_not_share_their_tangent():
    _, (a, b) = jvp(lambda x: (x + 0, x), (X,), (V,))
    a[:] = 99
    assert np.array_equal(b, V)


@both
def test_no_two_results_share_memory_nor_with_what_the_function_kept(push):
    kept = []

    def f(x):
        y = np.sin(x)
        kept.append(stop_gradient(y))
        return x, x, y, y, y.reshape(3, 1), x + 1.0, y * 2.0, -y, y.T

    out, tangents = push(f, (X,), (V,))
    arrays = [*out, *tangents, *kept, X, V]
    for i, a in enumerate(arrays):
        assert not any([np.shares_memory(a, b) for b in arrays[:i]])


@both
def test_inputs_are_not_modified(push):
    x, v = X.copy(), V.copy()
    push(lambda x: np.sin(x) * x[0], (x,), (v,))
    assert np.array_equal(x, X)
    assert np.array_equal(v, V)


# --- has_aux -------------------------------------------------------------------------------------


def test_aux_is_returned_as_plain_values():
    out, tangent, aux = jvp(
        lambda x: (np.sum(x**2), {"x": x, "positive": x > 0, "name": "a", "n": 3}),
        (X,),
        (V,),
        has_aux=True,
    )
    assert out == X @ X
    assert tangent == 2 * X @ V
    assert type(aux["x"]) is np.ndarray
    assert np.array_equal(aux["x"], X)
    assert (aux["name"], aux["n"], aux["positive"].all()) == ("a", 3, True)


@pytest.mark.parametrize("f", [lambda x: x, lambda x: (x, x, x), lambda x: {"a": x, "b": x}])
def test_has_aux_without_a_pair_raises(f):
    with pytest.raises(ArgumentError, match="must return a pair"):
        jvp(f, (np.ones(2),), (np.ones(2),), has_aux=True)


# --- what does not match -------------------------------------------------------------------------


@both
@pytest.mark.parametrize("tangent", [np.ones(2), np.ones((1, 3)), 1.0])
def test_tangent_of_another_shape_names_the_argument_and_both_shapes(push, tangent):
    with pytest.raises(ShapeError, match=r"tangent of weights.*\(3,\)") as caught:
        push(lambda weights: weights * 2, (X,), (tangent,))
    assert isinstance(caught.value, ValueError)
    assert str(np.shape(tangent)) in str(caught.value)


@both
def test_tangent_of_a_leaf_is_named_by_its_path(push):
    with pytest.raises(ShapeError, match=r"params\['w'\]\[1\]"):
        push(lambda params: params["w"][0], ({"w": [1.0, X]},), ({"w": [1.0, np.ones(2)]},))


@both
def test_complex_tangent_of_a_real_primal_raises(push):
    with pytest.raises(ShapeError, match=r"complex128.*real"):
        push(np.sin, (X,), (V * 1j,))


@both
@pytest.mark.parametrize("tangent", ["a", "abc", object()])
def test_tangent_that_is_no_number_raises(push, tangent):
    with pytest.raises(FuncgradError, match="not an array"):
        push(np.sin, (1.0,), (tangent,))


@both
@pytest.mark.parametrize("tangent", [{"b": 1.0}, [1.0], 1.0, None, {"a": 1.0, "b": 1.0}])
def test_tangent_of_another_structure_raises(push, tangent):
    with pytest.raises(StructureError) as caught:
        push(lambda p: p["a"] * 2, ({"a": 1.0},), (tangent,))
    assert isinstance(caught.value, (ValueError, TypeError))


@pytest.mark.parametrize(("primals", "tangents"), [(X, (V,)), ((X,), V), ({"x": X}, (V,))])
def test_primals_and_tangents_must_be_tuples(primals, tangents):
    with pytest.raises(ArgumentError, match=r"jvp\(f, \(x,\), \(v,\)\)"):
        jvp(np.sin, primals, tangents)


def test_one_tangent_per_primal():
    with pytest.raises(ArgumentError, match="1 primals and 2 tangents"):
        jvp(np.sin, (X,), (V, V))


def test_one_tangent_per_primal_of_a_pushforward():
    _, pushforward = linearize(np.sin, X)
    for tangents in [(), (V, V)]:
        with pytest.raises(ArgumentError, match=rf"1 tangents, but {len(tangents)}"):
            pushforward(*tangents)


@both
@pytest.mark.parametrize("primal", [1, True, np.arange(3), np.array(["a"]), "a", object()])
def test_primal_without_a_derivative_raises(push, primal):
    with pytest.raises(NonDifferentiableError) as caught:
        push(lambda count: count, (primal,), (primal,))
    assert "count" in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_output_that_is_no_array_raises():
    with pytest.raises(FuncgradError):
        jvp(lambda x: lambda y: x * y, (1.0,), (1.0,))


@both
def test_not_a_function(push):
    with pytest.raises((FuncgradError, TypeError)):
        push(3, (1.0,), (1.0,))


# --- linearize -----------------------------------------------------------------------------------


def test_linearize_with_aux():
    out, pushforward, aux = linearize(lambda x: (x**2, {"twice": 2 * x}), 3.0, has_aux=True)
    assert (out, pushforward(1.0), aux) == (9, 6, {"twice": 6})
    assert type(aux["twice"]) is np.float64


def test_linearize_runs_the_function_once():
    runs = []

    def f(x):
        runs.append(1)
        return np.sin(x) * x

    _, pushforward = linearize(f, X)
    for k in range(3):
        expected = (np.sin(X) + X * np.cos(X)) * V * k
        assert np.allclose(pushforward(k * V), expected)
    assert len(runs) == 1


def test_pushforward_is_of_the_point_where_it_was_made():
    x = X.copy()
    out, pushforward = linearize(lambda x: x * x, x)
    x[:] = 100
    out[:] = -1
    assert np.allclose(pushforward(V), 2 * X * V)


def test_results_of_a_pushforward_are_independent():
    _, pushforward = linearize(lambda x: (x, 2 * x), X)
    a, _ = pushforward(V)
    a[:] = 50
    assert np.array_equal(pushforward(V)[0], V)


def test_pushforward_shows_its_function():
    assert repr(linearize(np.sin, 1.0)[1]) == "<pushforward of sin>"


def test_vmap_of_a_pushforward_is_the_jacobian():
    _, pushforward = linearize(lambda x: x**2 * x[0], X)
    expected = np.diag(2 * X * X[0])
    expected[:, 0] += X**2
    assert np.allclose(vmap(pushforward, out_axes=-1)(np.eye(3)), expected)


def test_pushforward_of_a_pushforward():
    _, pushforward = linearize(np.sin, 0.3)
    out, again = linearize(pushforward, 2.0)
    assert np.isclose(out, 2 * np.cos(0.3))
    assert np.isclose(again(5.0), 5 * np.cos(0.3))


def test_grad_of_a_pushforward():
    _, pushforward = linearize(lambda x: np.sum(np.sin(x)), X)
    assert np.allclose(grad(lambda v: pushforward(v) ** 2)(V), 2 * (np.cos(X) @ V) * np.cos(X))


@both
def test_tracer_that_escapes_raises(push):
    kept = []
    push(lambda x: kept.append(x) or x * 2, (X,), (V,))
    with pytest.raises(LeakedTracerError):
        kept[0] + 1


def test_jvp_takes_primals_and_tangents_by_name():
    assert jvp(np.sin, primals=(0.0,), tangents=(2.0,)) == (0.0, 2.0)


def test_jvp_of_a_bound_method_and_of_a_callable_object():
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x):
            return self.factor * x

        def squared(self, x):
            return self.factor * x**2

    assert jvp(Scale(3.0), (2.0,), (1.0,))[1] == 3
    assert jvp(Scale(3.0).squared, (2.0,), (1.0,))[1] == 12


def test_hvp_speaks_of_itself():
    with pytest.raises(ArgumentError, match="hvp"):
        hvp(lambda x: np.sum(x**2), X, V)
    with pytest.raises(ArgumentError, match="hvp"):
        hvp(lambda x: np.sum(x**2), (X,), (V, V))


# --- against JAX ---------------------------------------------------------------------------------


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax


def test_agrees_with_jax(jax):
    def f(numpy, p, x):
        return {"y": numpy.tanh(p["w"] @ x + p["b"]), "n": numpy.sum(x**2), "i": numpy.argmax(x)}

    primals = {"w": np.outer(V, X), "b": V}, X
    tangents = {"w": np.outer(X, V), "b": X}, V
    out, tangent = jvp(lambda p, x: f(np, p, x), primals, tangents)
    expected = jax.jvp(lambda p, x: f(jax.numpy, p, x), primals, tangents)
    for key in ("y", "n"):
        assert np.allclose(out[key], expected[0][key])
        assert np.allclose(tangent[key], expected[1][key])
    assert out["i"] == expected[0]["i"]
