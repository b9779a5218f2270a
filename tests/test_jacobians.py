"""jacrev, jacfwd, hessian and hvp: blocks as JAX arranges them, and what has none."""

import pickle
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest

from funcgrad import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    stop_gradient,
    tree,
    vmap,
)
from funcgrad.errors import (
    ArgumentError,
    FuncgradError,
    NonDifferentiableError,
    NonScalarOutputError,
    ShapeError,
)

X = np.array([0.5, 1.0, 2.0])
Y = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])

each_jacobian = pytest.mark.parametrize("jac", [jacrev, jacfwd])
each_hessian = pytest.mark.parametrize(
    "hess",
    [hessian]
    + [lambda f, *a, o=o, i=i: o(i(f, *a), *a) for o in (jacrev, jacfwd) for i in (jacrev, jacfwd)],
    ids=["hessian", "rev-rev", "rev-fwd", "fwd-rev", "fwd-fwd"],
)


class Pair(NamedTuple):
    first: Any
    second: Any


def assert_same_tree(got, expected):
    assert tree.structure(got) == tree.structure(expected)
    for a, b in zip(tree.leaves(got), tree.leaves(expected), strict=True):
        assert np.shape(a) == np.shape(b)
        assert np.allclose(a, b, rtol=1e-12, atol=1e-12)


# --- one array in, one out -----------------------------------------------------------------------


@each_jacobian
def test_jacobian_of_a_matrix_product_is_the_matrix(jac):
    assert np.array_equal(jac(lambda x: Y.T @ x)(X), Y.T)


@each_jacobian
def test_jacobian_of_an_elementwise_function_is_diagonal(jac):
    assert np.allclose(jac(np.sin)(X), np.diag(np.cos(X)))


@each_jacobian
def test_shape_is_that_of_the_output_and_then_that_of_the_input(jac):
    got = jac(lambda y: np.einsum("ij,k->kij", y, X)[:, :, :1])(Y)
    assert got.shape == (3, 3, 1, 3, 2)
    expected = np.zeros((3, 3, 1, 3, 2))
    for i in range(3):
        expected[:, i, 0, i, 0] = X
    assert np.array_equal(got, expected)


@each_jacobian
def test_scalar_function_gives_the_gradient(jac):
    assert np.allclose(jac(lambda x: np.sum(x**3))(X), 3 * X**2)


@each_jacobian
def test_function_of_a_number(jac):
    got = jac(np.sin)(0.5)
    assert np.shape(got) == ()
    assert isinstance(got, np.float64)
    assert np.isclose(got, np.cos(0.5))
    assert np.allclose(jac(lambda t: t**2 * X)(3.0), 6 * X)


@each_jacobian
def test_agrees_with_central_differences(jac, rng):
    x, h = rng.normal(size=(2, 3)), 1e-6

    def f(x):
        return np.tanh(x @ x.T) * np.sum(x**2) + np.prod(x, axis=1)

    expected = np.zeros((2, 2, 2, 3))
    for index in np.ndindex(2, 3):
        e = np.zeros((2, 3))
        e[index] = h
        expected[(..., *index)] = (f(x + e) - f(x - e)) / (2 * h)
    assert np.allclose(jac(f)(x), expected, rtol=1e-6, atol=1e-7)


def test_jacobian_is_jacrev():
    assert jacobian is jacrev


@each_jacobian
def test_identity_constant_and_unused_argument(jac):
    assert np.array_equal(jac(lambda x: x)(X), np.eye(3))
    assert np.array_equal(jac(lambda x: np.ones(2))(X), np.zeros((2, 3)))
    assert np.array_equal(jac(lambda x: 1.0)(X), np.zeros(3))
    assert np.array_equal(jac(lambda x, y: y, 0)(X, np.ones(2)), np.zeros((2, 3)))
    assert np.array_equal(jac(stop_gradient)(X), np.zeros((3, 3)))


@each_jacobian
def test_empty_arrays(jac):
    assert jac(lambda x: x[:0])(X).shape == (0, 3)
    assert jac(lambda x: np.sum(x) * X)(np.zeros(0)).shape == (3, 0)
    assert jac(lambda x: np.outer(x, X))(np.zeros(0)).shape == (0, 3, 0)
    assert jac(np.sum)(np.zeros((2, 0))).shape == (2, 0)


@each_jacobian
def test_a_branch_on_a_value_works_as_in_plain_python(jac):
    got = jac(lambda x: x**2 if np.sum(x) > 0 else -x)(X)
    assert np.allclose(got, np.diag(2 * X))


@each_jacobian
def test_function_runs_a_fixed_number_of_times(jac):
    def runs_on(n):
        runs = []
        jac(lambda x: runs.append(1) or np.sin(x))(np.ones(n))
        return len(runs)

    assert runs_on(1) == runs_on(50)


# --- pytrees -------------------------------------------------------------------------------------


@each_jacobian
def test_blocks_have_the_structure_of_the_output_and_then_of_the_argument(jac):
    def f(p):
        return {"u": p["x"] * p["s"], "v": (np.sum(p["x"]), [p["s"] ** 2, None])}

    got = jac(f)({"x": X, "s": 3.0})
    expected = {
        "u": {"x": 3 * np.eye(3), "s": X},
        "v": ({"x": np.ones(3), "s": 0.0}, [{"x": np.zeros(3), "s": 6.0}, None]),
    }
    assert_same_tree(got, expected)


@each_jacobian
def test_tuple_of_argnums_gives_a_tuple_in_the_place_of_each_output(jac):
    got = jac(lambda x, t: {"a": x * t}, argnums=(0, 1))(X, 2.0)
    assert_same_tree(got, {"a": (2 * np.eye(3), X)})
    got = jac(lambda x, t: x * t, argnums=(1, 0))(X, 2.0)
    assert_same_tree(got, (X, 2 * np.eye(3)))
    assert_same_tree(jac(lambda x, t: x * t, argnums=(1,))(X, 2.0), (X,))
    assert_same_tree(jac(lambda x, t: x * t, argnums=-1)(X, 2.0), X)


@each_jacobian
def test_argnames(jac):
    def f(x, t=1.0):
        return x * t

    assert_same_tree(jac(f, argnames="t")(X, t=2.0), X)
    assert_same_tree(jac(f, argnames="t")(X, 2.0), X)
    assert_same_tree(jac(f, argnames=("t", "x"))(X, t=2.0), (X, 2 * np.eye(3)))
    assert_same_tree(jac(f, argnums=0, argnames="t")(X, t=2.0), (2 * np.eye(3), X))


@each_jacobian
def test_keyword_arguments_that_are_not_differentiated(jac):
    assert_same_tree(jac(lambda x, *, n, f: f(x) ** n)(X, n=1, f=np.sin), np.diag(np.cos(X)))


@each_jacobian
def test_namedtuples_and_ordered_dicts_are_kept(jac):
    got = jac(lambda p: OrderedDict(a=p.first * p.second))(Pair(X, 2.0))
    assert type(got) is OrderedDict
    assert type(got["a"]) is Pair
    assert np.array_equal(got["a"].second, X)


@each_jacobian
def test_empty_pytrees(jac):
    assert jac(lambda x: None)(X) is None
    assert jac(lambda x: {"a": []})(X) == {"a": []}
    assert jac(lambda p: X)({}) == {}
    assert jac(lambda p: (X, None))([None]) == ([None], None)


# --- has_aux -------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [jacrev, jacfwd, hessian])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_aux_is_returned_as_plain_values(transform, chunk_size):
    def f(x):
        return np.sum(x**3), {"x": 2 * x, "name": "a", "positive": x > 0, "n": 3}

    derivative, aux = transform(f, has_aux=True, chunk_size=chunk_size)(X)
    expected = np.diag(6 * X) if transform is hessian else 3 * X**2
    assert np.allclose(derivative, expected)
    assert type(aux["x"]) is np.ndarray
    assert np.array_equal(aux["x"], 2 * X)
    assert (aux["name"], aux["n"]) == ("a", 3)
    assert np.array_equal(aux["positive"], [True] * 3)


@pytest.mark.parametrize("transform", [jacrev, jacfwd, hessian])
def test_has_aux_without_a_pair_raises(transform):
    with pytest.raises(ArgumentError, match="must return a pair"):
        transform(np.sum, has_aux=True)(X)


# --- chunks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [jacrev, jacfwd, hessian])
@pytest.mark.parametrize("size", [1, 2, 5, 6, 100])
def test_chunks_give_the_same_blocks(transform, size):
    def f(p):
        return {"a": np.sin(p["y"]).T @ p["x"], "b": np.sum(p["x"]) * p["y"]}

    whole = transform(f)({"x": X, "y": Y})
    assert_same_tree(transform(f, chunk_size=size)({"x": X, "y": Y}), whole)


@pytest.mark.parametrize("transform", [jacrev, jacfwd, hessian])
@pytest.mark.parametrize("size", [0, -1, "all", 1.5])
def test_chunk_size_that_is_no_positive_integer_raises(transform, size):
    with pytest.raises(ArgumentError, match="chunk_size"):
        transform(lambda x: np.sum(np.sin(x)), chunk_size=size)(X)


# --- dtypes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [jacrev, jacfwd, hessian])
def test_float32_stays_float32(transform):
    got = transform(lambda x: 2.0 * np.sin(x) + 1)(X.astype(np.float32))
    assert got.dtype == np.float32


@pytest.mark.parametrize(("jac", "dtype"), [(jacrev, np.float32), (jacfwd, np.float64)])
def test_a_block_has_the_precision_of_its_cotangent_or_tangent(jac, dtype):
    a, b = jac(lambda x, y: np.sum(x) * np.sum(y), (0, 1))(X.astype(np.float32), X)
    assert (a.dtype, b.dtype) == (dtype, np.float64)


@each_jacobian
def test_integer_and_boolean_outputs_have_a_zero_jacobian_in_floats(jac):
    for f in (np.argmax, lambda x: x > 1, lambda x: x.astype(int), lambda x: 3):
        got = jac(f)(X)
        assert got.shape == (*np.shape(f(X)), 3)
        assert got.dtype == np.float64
        assert not np.any(got)


@pytest.mark.parametrize("transform", [jacrev, jacfwd, hessian])
@pytest.mark.parametrize("x", [3, np.arange(3), np.array([True]), "a", {"w": [np.arange(3)]}])
def test_inputs_without_a_derivative_raise(transform, x):
    with pytest.raises(NonDifferentiableError, match="weights"):
        transform(lambda weights: 1.0)(x)


@each_jacobian
@pytest.mark.parametrize("result", ["a", np.array(["a"]), object(), lambda x: x])
def test_outputs_that_are_no_arrays_raise(jac, result):
    with pytest.raises(FuncgradError):
        jac(lambda x: result)(X)


# --- complex -------------------------------------------------------------------------------------

Z = np.array([1 + 2j, -0.5j, 0.7])


@each_jacobian
def test_holomorphic_jacobian(jac):
    got = jac(lambda z: np.exp(z) * z[0], holomorphic=True)(Z)
    expected = np.diag(np.exp(Z)) * Z[0]
    expected[:, 0] += np.exp(Z)
    assert np.allclose(got, expected)
    assert got.dtype == np.complex128
    assert jac(lambda z: z**2, holomorphic=True)(Z.astype(np.complex64)).dtype == np.complex64


@each_jacobian
def test_holomorphic_second_derivative(jac):
    got = jac(jac(lambda z: z**3, holomorphic=True), holomorphic=True)(1 + 2j)
    assert np.isclose(got, 6 * (1 + 2j))


@each_jacobian
def test_holomorphic_needs_complex_inputs_and_outputs(jac):
    with pytest.raises(NonDifferentiableError, match="complex"):
        jac(lambda x: x**2, holomorphic=True)(X)
    with pytest.raises(FuncgradError, match="complex"):
        jac(lambda z: np.abs(z) ** 2, holomorphic=True)(Z)


def test_real_functions_of_complex_arguments_in_reverse_mode():
    # df/dx - i df/dy of |z|**2 is 2 conj(z).
    assert np.allclose(jacrev(lambda z: np.abs(z) ** 2)(Z), np.diag(2 * np.conj(Z)))
    assert np.allclose(jacrev(lambda z: np.sum(np.imag(z**2)))(Z), -2j * Z)


def test_complex_functions_of_real_arguments_in_forward_mode():
    assert np.allclose(jacfwd(lambda x: np.exp(1j * x))(X), np.diag(1j * np.exp(1j * X)))


def test_complex_outputs_in_reverse_mode_point_to_holomorphic():
    for x in (X, Z):
        with pytest.raises(NonDifferentiableError, match="holomorphic=True"):
            jacrev(lambda x: x * 1j)(x)


def test_complex_inputs_in_forward_mode_point_to_holomorphic():
    with pytest.raises(NonDifferentiableError, match="holomorphic=True"):
        jacfwd(np.abs)(Z)


def test_holomorphic_hessian():
    got = hessian(lambda z: np.sum(z**3), holomorphic=True)(Z)
    assert np.allclose(got, np.diag(6 * Z))


# --- hessian -------------------------------------------------------------------------------------


@each_hessian
def test_hessian_of_a_quadratic_form_is_the_symmetric_matrix(hess):
    a = Y @ np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]])
    assert np.allclose(hess(lambda x: x @ a @ x)(X), a + a.T)


@each_hessian
def test_hessian_of_the_rosenbrock_function(hess):
    def rosen(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    a, b, c = X
    expected = np.array(
        [
            [1200 * a**2 - 400 * b + 2, -400 * a, 0],
            [-400 * a, 200 + 1200 * b**2 - 400 * c + 2, -400 * b],
            [0, -400 * b, 200],
        ]
    )
    assert np.allclose(hess(rosen)(X), expected)


@each_hessian
def test_hessian_of_a_vector_function_has_the_output_in_front(hess):
    got = hess(lambda x: x**3)(X)
    expected = np.zeros((3, 3, 3))
    expected[range(3), range(3), range(3)] = 6 * X
    assert np.allclose(got, expected)


@each_hessian
def test_hessian_of_a_matrix_argument(hess):
    got = hess(lambda y: np.sum(y**3))(Y)
    assert got.shape == (3, 2, 3, 2)
    assert np.allclose(got.reshape(6, 6), np.diag(6 * Y.ravel()))


@each_hessian
def test_hessian_blocks_of_a_pytree(hess):
    got = hess(lambda p: np.sum(p["x"] ** 2) * p["s"] ** 3)({"x": X, "s": 2.0})
    expected = {
        "x": {"x": 16 * np.eye(3), "s": 24 * X},
        "s": {"x": 24 * X, "s": 12.0 * np.sum(X**2)},
    }
    assert_same_tree(got, expected)


@each_hessian
def test_hessian_blocks_of_several_arguments(hess):
    got = hess(lambda x, s: np.sum(x**2) * s**3, (0, 1))(X, 2.0)
    expected = ((16 * np.eye(3), 24 * X), (24 * X, 12.0 * np.sum(X**2)))
    assert_same_tree(got, expected)


def test_hessian_by_argnames():
    assert_same_tree(hessian(lambda x, s: np.sum(x) * s**3, argnames="s")(X, s=2.0), 12 * np.sum(X))


@each_hessian
def test_hessian_of_a_linear_function_is_zero(hess):
    assert np.array_equal(hess(lambda x: Y.T @ x)(X), np.zeros((2, 3, 3)))
    assert np.array_equal(hess(lambda x: 1.0)(X), np.zeros((3, 3)))


@each_hessian
@pytest.mark.parametrize("wrap", [checkpoint, lambda f: lambda x: vmap(f)(np.stack([x, x]))[1]])
def test_hessian_through_other_transforms(hess, wrap):
    def f(x):
        return np.sum(np.sin(x)) ** 2

    s, c = np.sum(np.sin(X)), np.cos(X)
    assert np.allclose(hess(wrap(f))(X), 2 * np.outer(c, c) - 2 * s * np.diag(np.sin(X)))


@each_hessian
def test_hessian_through_custom_rules(hess):
    square = custom_vjp(lambda x: x**2)
    square.defvjp(lambda x: (x**2, x), lambda x, ct: (2 * x * ct,))
    cube = custom_jvp(lambda x: x**3)
    cube.defjvp(lambda p, t: (cube(*p), 3 * square(p[0]) * t[0]))
    assert np.allclose(hess(lambda x: np.sum(cube(square(x))))(X), np.diag(30 * X**4))


def test_vmap_of_hessian():
    rows = np.stack([X, 2 * X])
    got = vmap(hessian(lambda x: np.sum(x**4)))(rows)
    assert np.allclose(got, [np.diag(12 * row**2) for row in rows])


def test_gradient_of_the_trace_of_the_inverse_hessian():
    def trace(x):
        inverse = np.linalg.inv(hessian(lambda x: np.sum(x**4))(x))
        return np.sum(inverse * np.eye(3))  # sum of 1 / (12 x**2)

    assert np.allclose(grad(trace)(X), -1 / (6 * X**3))


# --- hvp -----------------------------------------------------------------------------------------


def test_hvp_is_the_hessian_times_the_vector():
    def f(x):
        return np.sum(np.sin(x)) ** 3

    v = np.array([1.0, -1.0, 0.5])
    assert np.allclose(hvp(f, (X,), (v,)), hessian(f)(X) @ v)
    assert isinstance(hvp(np.sin, (0.5,), (1.0,)), np.float64)


def test_hvp_of_several_arguments_and_pytrees():
    def f(p, s):
        return np.sum(p["x"] ** 2) * s**3

    gx, gs = hvp(f, ({"x": X}, 2.0), ({"x": np.ones(3)}, 1.0))
    assert np.allclose(gx["x"], 16 + 24 * X)
    assert np.isclose(gs, np.sum(24 * X) + 12 * np.sum(X**2))


def test_hvp_of_float32_stays_float32():
    x = X.astype(np.float32)
    assert hvp(lambda x: np.sum(x**3), (x,), (x,)).dtype == np.float32


@pytest.mark.parametrize(
    ("f", "tangents", "error"),
    [
        (lambda x: x**2, (X,), NonScalarOutputError),
        (np.sum, (np.ones(2),), ShapeError),
        (np.sum, (X, X), ArgumentError),
        (np.sum, X, ArgumentError),
    ],
)
def test_hvp_of_what_does_not_fit_raises(f, tangents, error):
    with pytest.raises(error):
        hvp(f, (X,), tangents)


# --- results and functions ------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [jacrev, jacfwd, hessian])
def test_results_are_plain_and_writeable(transform):
    x = X.copy()
    for f in (lambda x: x, lambda x: x * 2, lambda x: x + np.zeros((2, 3)), lambda x: np.sum(x**2)):
        got = transform(f)(x)
        assert type(got) is np.ndarray
        got += 1
    assert np.array_equal(x, X)


@pytest.mark.parametrize(
    ("transform", "shown"),
    [
        (jacrev(np.sin), "jacrev(sin, argnums=0)"),
        (jacfwd(np.sin, (0, 1), holomorphic=True), "jacfwd(sin, argnums=(0, 1), holomorphic=True)"),
        (hessian(np.sin, argnames="x", chunk_size=2), "hessian(sin, argnames='x', chunk_size=2)"),
    ],
)
def test_shows_and_pickles(transform, shown):
    assert repr(transform) == shown
    assert repr(pickle.loads(pickle.dumps(transform))) == shown


# --- against JAX ---------------------------------------------------------------------------------


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax


def program(p, x, s):
    y = (p["w"] @ x) * s
    return {"y": y, "n": (y * p["b"], [p["b"][0] * s])}


ARGUMENTS = ({"b": np.array([0.3, -1.0]), "w": Y.T}, X, 0.7)


@pytest.mark.parametrize("name", ["jacrev", "jacfwd", "hessian"])
@pytest.mark.parametrize("argnums", [0, (1,), (2, 0)])
def test_blocks_are_arranged_as_in_jax(jax, name, argnums):
    ours, theirs = (
        {"jacrev": jacrev, "jacfwd": jacfwd, "hessian": hessian}[name],
        getattr(jax, name),
    )
    got = ours(program, argnums)(*ARGUMENTS)
    expected = theirs(program, argnums)(*ARGUMENTS)
    leaves, structure = jax.tree_util.tree_flatten(got)
    expected_leaves, expected_structure = jax.tree_util.tree_flatten(expected)
    assert structure == expected_structure
    for a, b in zip(leaves, expected_leaves, strict=True):
        assert a.shape == b.shape
        assert np.allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "f", "x"),
    [
        ("jacrev", lambda np_, z: np_.abs(z) ** 2 * np_.real(z), Z),
        ("jacrev", lambda np_, z: np_.sum(np_.imag(z**3)), Z),
        ("jacfwd", lambda np_, x: np_.exp(1j * x) * x[0], X),
    ],
)
def test_complex_jacobians_are_those_of_jax(jax, name, f, x):
    ours, theirs = {"jacrev": jacrev, "jacfwd": jacfwd}[name], getattr(jax, name)
    got, expected = ours(lambda z: f(np, z))(x), theirs(lambda z: f(jax.numpy, z))(x)
    assert got.dtype == expected.dtype
    assert np.allclose(got, expected)


@each_jacobian
def test_holomorphic_jacobians_are_those_of_jax(jax, jac):
    theirs = getattr(jax, jac.__name__)
    got = jac(lambda z: np.sin(z) * z[1], holomorphic=True)(Z)
    expected = theirs(lambda z: jax.numpy.sin(z) * z[1], holomorphic=True)(Z)
    assert np.allclose(got, expected)


def test_second_derivative_of_jvp_of_jacobian():
    # d/dt of the Jacobian of x**3 along v: diag(6 x v).
    v = np.array([1.0, 2.0, 3.0])
    for jac in (jacrev, jacfwd):
        _, got = jvp(jac(lambda x: x**3), (X,), (v,))
        assert np.allclose(got, np.diag(6 * X * v))
