"""vmap: which axes of which arguments are mapped, and where the results have theirs."""

import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from funcgrad import grad, hessian, jacfwd, jvp, tree, value_and_grad, vmap
from funcgrad.errors import ArgumentError, FuncgradError, ShapeError, StructureError
from tests import strategies

X = np.arange(6.0).reshape(2, 3)
Y = np.array([10.0, 20.0])


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass
class Params:
    w: Any
    b: Any
    act: str = field(default="tanh", metadata={"static": True})


# --- in_axes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_every_axis_from_either_end(axis):
    x = np.arange(24.0).reshape(2, 3, 4)
    got = vmap(lambda x: x.sum(axis=0) * 2, in_axes=axis)(x)
    moved = np.moveaxis(x, axis, 0)
    assert np.array_equal(got, [2 * row.sum(axis=0) for row in moved])


def test_each_argument_has_its_own_axis():
    got = vmap(np.dot, in_axes=(0, 1))(X, X.T)
    assert np.array_equal(got, np.sum(X * X, axis=1))


def test_a_list_of_axes_is_like_a_tuple():
    assert np.array_equal(vmap(np.dot, in_axes=[0, None])(X, np.ones(3)), X.sum(axis=1))


def test_none_passes_an_argument_whole():
    seen = []

    def f(x, whole):
        seen.append(whole)
        return x @ whole

    matrix = np.ones((3, 2))
    assert np.array_equal(vmap(f, in_axes=(0, None))(X, matrix), X @ matrix)
    assert seen[0] is matrix


def test_unmapped_arguments_may_be_anything():
    def f(x, name, function, nothing):
        assert (name, nothing) == ("sin", None)
        return function(x)

    assert np.array_equal(vmap(f, in_axes=(0, None, None, None))(Y, "sin", np.sin, None), np.sin(Y))


def test_pytree_arguments_are_mapped_leaf_by_leaf():
    params = {"w": X, "b": [Y, (Y, None)]}
    got = vmap(lambda p: p["w"].sum() + p["b"][0] * p["b"][1][0])(params)
    assert np.array_equal(got, X.sum(axis=1) + Y * Y)


@pytest.mark.parametrize(
    ("argument", "axes"),
    [
        ({"w": X, "b": 2.0}, {"w": 0, "b": None}),
        ({"w": X.T, "b": 2.0}, {"b": None, "w": 1}),
        (OrderedDict(w=X, b=2.0), OrderedDict(b=None, w=0)),
        ((X, 2.0), (0, None)),
        ([X.T, 2.0], [-1, None]),
        (Pair(X, 2.0), Pair(0, None)),
        (Params(X, 2.0), Params(0, None)),
    ],
    ids=[
        "dict",
        "dict in another order",
        "OrderedDict",
        "tuple",
        "list",
        "namedtuple",
        "dataclass",
    ],
)
def test_axes_in_a_pytree_like_the_argument(argument, axes):
    def f(argument):
        leaves = tree.leaves(argument)
        return leaves[0].sum() * leaves[1]

    assert np.array_equal(vmap(f, in_axes=(axes,))(argument), 2 * X.sum(axis=1))


def test_axes_in_the_upper_part_of_a_pytree():
    p = {"a": (X, [X, X]), "b": {"c": 2.0, "d": (3.0,)}, "e": None}
    axes = {"a": (0, [0, 0]), "b": None, "e": None}
    got = vmap(lambda p: p["a"][1][1].sum() * p["b"]["d"][0], in_axes=(axes,))(p)
    assert np.array_equal(got, 3 * X.sum(axis=1))
    got = vmap(lambda p: p["a"][1][1] * p["b"]["c"], in_axes=({"a": 1, "b": None, "e": 7},))(p)
    assert np.array_equal(got, 2 * X.T)


@given(st.data())
def test_any_prefix_of_any_pytree(data):
    """Leaves under None come as they are, the others as rows."""
    batch = strategies.arrays(shape=(2, 3))
    argument = data.draw(strategies.pytrees(batch))
    axes = data.draw(strategies.prefixes(argument))
    spread = tree.broadcast_prefix(axes, argument)
    if not any(axis is not None for axis in spread):
        return
    seen = []
    vmap(lambda p: seen.append([np.shape(x) for x in tree.leaves(p)]), in_axes=(axes,))(argument)
    assert seen == [[(2, 3) if axis is None else (3,) for axis in spread]]


@given(st.data())
def test_any_axis_of_any_array(data):
    x = data.draw(strategies.arrays(strategies.shapes(min_dims=1)))
    axis = data.draw(strategies.in_axes(x).filter(lambda axis: axis is not None))
    out_axis = data.draw(st.sampled_from(range(-x.ndim, x.ndim)))
    got = vmap(lambda x: 2 * x, in_axes=axis, out_axes=out_axis)(x)
    assert np.array_equal(got, 2 * np.moveaxis(x, axis, out_axis))


# --- keyword arguments ---------------------------------------------------------------------------


def test_keyword_arguments_are_mapped_over_their_first_axis():
    got = vmap(lambda x, scale: x * scale, in_axes=1)(X.T, scale=Y)
    assert np.array_equal(got, X * Y[:, None])


def test_axes_by_name():
    def f(x, scale=1.0, *, shift):
        return x * scale + shift

    axes = {"x": 1, "shift": None}
    got = vmap(f, in_axes=axes)(X.T, scale=Y, shift=np.ones(3))
    assert np.array_equal(got, X * Y[:, None] + 1)
    got = vmap(f, in_axes={"scale": None, "shift": None})(X, 2.0, shift=1.0)
    assert np.array_equal(got, X * 2 + 1)


def test_axes_by_name_of_a_pytree():
    got = vmap(lambda p, x: p["w"] * x, in_axes={"p": {"w": None}, "x": 0})({"w": 3.0}, Y)
    assert np.array_equal(got, 3 * Y)


def test_axes_by_name_may_name_a_parameter_that_keeps_its_default():
    def f(x, scale=2.0):
        return x * scale

    assert np.array_equal(vmap(f, in_axes={"x": 0, "scale": None})(Y), 2 * Y)


def test_unknown_name_raises_with_the_names_there_are():
    with pytest.raises(ArgumentError, match=r"'weight'.*x, scale"):
        vmap(lambda x, scale: x * scale, in_axes={"weight": None})(Y, Y)


def test_function_of_any_arguments():
    def f(*args, **kwargs):
        return sum(args) + sum(kwargs.values())

    assert np.array_equal(vmap(f)(Y, Y, a=Y, b=Y), 4 * Y)


# --- out_axes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_results_have_their_axis_where_asked(axis):
    x = np.arange(24.0).reshape(2, 3, 4)
    got = vmap(lambda x: x + 1, out_axes=axis)(x)
    assert np.array_equal(got, np.moveaxis(x + 1, 0, axis))


def test_out_axes_in_a_pytree():
    got = vmap(lambda x: {"a": x, "b": (x, x.sum())}, out_axes={"b": (-1, 0), "a": 1})(X)
    assert np.array_equal(got["a"], X.T)
    assert np.array_equal(got["b"][0], X.T)
    assert np.array_equal(got["b"][1], X.sum(axis=1))


def test_out_axes_of_the_upper_part():
    got = vmap(lambda x: {"a": x, "b": (x, [x])}, out_axes={"a": 0, "b": 1})(X)
    assert [x.shape for x in tree.leaves(got)] == [(2, 3), (3, 2), (3, 2)]


def test_out_axes_none_returns_what_does_not_depend_on_the_example():
    got = vmap(lambda x: (x, 3.0, np.ones(2)), out_axes=(0, None, None))(X)
    assert np.array_equal(got[0], X)
    assert got[1] == 3
    assert got[2].shape == (2,)


def test_out_axes_none_of_a_mapped_result_raises():
    with pytest.raises(ArgumentError, match=r"None for the output\['b'\].*depends on a mapped"):
        vmap(lambda x: {"a": 1.0, "b": x}, out_axes={"a": None, "b": None})(X)


def test_results_that_do_not_depend_on_the_example_are_repeated():
    constant = np.arange(2.0)
    number, array, matrix = vmap(lambda x: (3.0, constant, x * 0 + 1), out_axes=(0, 1, 0))(X)
    assert np.array_equal(number, [3, 3])
    assert np.array_equal(array, [[0, 0], [1, 1]])
    assert matrix.shape == (2, 3)
    array[:] = 7
    assert np.array_equal(constant, [0, 1])


def test_python_results_become_arrays():
    got = vmap(lambda x: (1, 2.5, True, 1j))(Y)
    assert [x.dtype.kind for x in got] == ["i", "f", "b", "c"]
    assert all(x.shape == (2,) for x in got)


def test_none_as_a_result():
    assert vmap(lambda x: None)(Y) is None
    assert vmap(lambda x: {"a": None, "b": x})(Y)["a"] is None


# --- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [lambda x: x, lambda x: x[:2], lambda x: x.T, lambda x: x + 0])
@pytest.mark.parametrize("options", [{}, {"out_axes": -1}, {"in_axes": 1}, {"chunk_size": 1}])
def test_results_share_no_memory_with_the_arguments(f, options):
    x = X.copy()
    got = vmap(f, **options)(x)
    got[:] = 99
    assert np.array_equal(x, X)


def test_two_results_share_no_memory():
    a, b = vmap(lambda x: (x, x))(X)
    a[:] = 99
    assert np.array_equal(b, X)


# --- nested --------------------------------------------------------------------------------------


def test_nested_vmaps_over_each_pair_of_axes():
    x = np.arange(24.0).reshape(2, 3, 4)
    for outer in range(3):
        for inner in range(2):
            got = vmap(vmap(np.sum, in_axes=inner), in_axes=outer)(x)
            rest = np.moveaxis(np.moveaxis(x, outer, 0), inner + 1, 1)
            assert np.array_equal(got, rest.sum(axis=2))


def test_nested_out_axes():
    x = np.arange(24.0).reshape(2, 3, 4)
    got = vmap(vmap(lambda x: x, out_axes=1), out_axes=2)(x)
    assert np.array_equal(got, x.transpose(2, 1, 0))


def test_outer_product_by_two_vmaps():
    a, b = np.arange(3.0), np.arange(4.0)
    got = vmap(vmap(np.multiply, in_axes=(None, 0)), in_axes=(0, None))(a, b)
    assert np.array_equal(got, np.outer(a, b))


def test_inner_vmap_over_a_constant_of_the_outer_one():
    got = vmap(lambda x: vmap(lambda y: x * y)(Y))(np.arange(3.0))
    assert np.array_equal(got, np.outer(np.arange(3.0), Y))


def test_inner_vmap_of_what_does_not_depend_on_the_outer_example():
    got = vmap(lambda x: vmap(np.sin)(Y))(np.arange(3.0))
    assert np.array_equal(got, [np.sin(Y)] * 3)


def test_three_levels():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.allclose(vmap(vmap(vmap(np.sin)))(x), np.sin(x))
    assert np.allclose(vmap(vmap(vmap(grad(np.sin))))(x), np.cos(x))


def test_pairwise_distances():
    points = np.random.default_rng(0).normal(size=(5, 3))

    def distance(p, q):
        return np.sqrt(np.sum((p - q) ** 2))

    table = vmap(vmap(distance, (None, 0)), (0, None))(points, points)
    expected = np.sqrt(np.sum((points[:, None] - points) ** 2, axis=2))
    assert np.allclose(table, expected)


# --- with other transforms -----------------------------------------------------------------------


def test_per_example_gradients_are_those_of_a_loop(rng):
    w, x, y = rng.normal(size=(3, 2)), rng.normal(size=(7, 3)), rng.normal(size=(7, 2))

    def loss(w, x, y):
        return np.sum((np.tanh(x @ w) - y) ** 2)

    values, grads = vmap(value_and_grad(loss), in_axes=(None, 0, 0))(w, x, y)
    for k in range(7):
        value, g = value_and_grad(loss)(w, x[k], y[k])
        assert np.isclose(values[k], value)
        assert np.allclose(grads[k], g)
    assert np.allclose(
        np.sum(grads, axis=0), grad(lambda w: sum(loss(w, *xy) for xy in zip(x, y, strict=True)))(w)
    )


def test_per_example_gradients_of_pytrees():
    params = {"w": X, "b": Y}
    got = vmap(grad(lambda p: np.sum(p["w"] ** 2) * p["b"]))(params)
    assert np.allclose(got["w"], 2 * X * Y[:, None])
    assert np.allclose(got["b"], np.sum(X**2, axis=1))


def test_grad_jvp_and_hessian_of_a_vmapped_function():
    def f(x):
        return np.sum(vmap(lambda row: np.sum(np.sin(row)) ** 2)(x))

    s = np.sum(np.sin(X), axis=1, keepdims=True)
    expected = 2 * s * np.cos(X)
    assert np.allclose(grad(f)(X), expected)
    assert np.isclose(jvp(f, (X,), (X,))[1], np.sum(expected * X))
    assert np.allclose(hessian(f)(X), jacfwd(grad(f))(X))


def test_argnums_and_argnames_of_a_mapped_gradient():
    def f(x, y):
        return np.sum(x) * y

    gx, gy = vmap(grad(f, (0, 1)))(X, Y)
    assert np.array_equal(gx, np.repeat(Y[:, None], 3, axis=1))
    assert np.array_equal(gy, X.sum(axis=1))
    assert np.array_equal(vmap(grad(f, argnames="y"))(X, y=Y), X.sum(axis=1))


# --- chunks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
def test_chunks_give_the_same_result(size):
    x = np.arange(15.0).reshape(3, 5)

    def f(x, y):
        return {"a": np.outer(x, y), "b": (x > 6, 1.0)}

    options = {"in_axes": (1, None), "out_axes": {"a": -1, "b": 0}}
    whole = vmap(f, **options)(x, Y)
    chunked = vmap(f, chunk_size=size, **options)(x, Y)
    for a, b in zip(tree.leaves(whole), tree.leaves(chunked), strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)


def test_chunks_bound_the_number_of_examples():
    runs = []

    def f(x):
        runs.append(x.value.shape[0])
        return x

    vmap(f, chunk_size=4)(np.ones((10, 3)))
    assert runs == [4, 4, 2]


def test_chunks_of_no_examples():
    assert vmap(np.sin, chunk_size=2)(np.ones((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("options", [{"chunk_size": 2}, {"fallback": "loop"}])
def test_out_axes_none_in_chunks_and_in_the_loop(options):
    got = vmap(lambda x: (x, np.ones(2)), out_axes=(0, None), **options)(np.arange(5.0))
    assert np.array_equal(got[0], np.arange(5.0))
    assert np.array_equal(got[1], np.ones(2))


def test_gradient_through_chunks():
    got = grad(lambda x: np.sum(vmap(lambda x: x**3, chunk_size=2)(x)))(np.arange(5.0))
    assert np.array_equal(got, 3 * np.arange(5.0) ** 2)


@pytest.mark.parametrize("size", [0, -1, 1.5, "all", True])
def test_chunk_size_that_is_no_positive_integer_raises(size):
    with pytest.raises(ArgumentError, match="chunk_size"):
        vmap(np.sin, chunk_size=size)(np.ones(3))


# --- the loop ------------------------------------------------------------------------------------


def test_loop_gives_the_same_result():
    def f(x, scale):
        return {"a": x * scale, "b": (np.argmax(x), 1.5)}

    options = {"in_axes": (1, None), "out_axes": {"a": 1, "b": 0}}
    whole, looped = [vmap(f, **options, **o)(X.T, 3.0) for o in ({}, {"fallback": "loop"})]
    for a, b in zip(tree.leaves(whole), tree.leaves(looped), strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)


def test_loop_passes_plain_examples():
    kinds = []
    vmap(lambda x: kinds.append(type(x)) or x, fallback="loop")(X)
    assert kinds == [np.ndarray, np.ndarray]


def test_loop_inside_vmap_and_vmap_inside_the_loop():
    x = np.arange(6.0).reshape(2, 3)
    assert np.allclose(vmap(vmap(np.sin, fallback="loop"))(x), np.sin(x))
    assert np.allclose(vmap(vmap(np.sin), fallback="loop")(x), np.sin(x))


def test_loop_whose_examples_have_different_results_raises():
    with pytest.raises((FuncgradError, ValueError), match=r"shape|structure|different"):
        vmap(lambda x: x[x > 1], fallback="loop")(X)
    with pytest.raises((FuncgradError, ValueError)):
        vmap(lambda x: (x, x) if x > 10 else x, fallback="loop")(Y)


def test_unknown_fallback_raises():
    with pytest.raises(ArgumentError, match="loop"):
        vmap(np.sin, fallback="python")


# --- what does not fit ---------------------------------------------------------------------------


def test_different_sizes_are_listed_by_argument_axis_and_size():
    def f(images, params, labels):
        return images

    with pytest.raises(ShapeError) as caught:
        vmap(f, in_axes=(1, 0))(X, {"w": np.ones(4), "b": [np.ones(3)]}, labels=np.ones(5))
    text = str(caught.value)
    for expected in [
        "images has size 3 along axis 1",
        "params['w'] has size 4 along axis 0",
        "params['b'][0] has size 3 along axis 0",
        "labels has size 5 along axis 0",
        "in_axes None",
    ]:
        assert expected in text
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("axes", [None, (None, None), {"x": None, "y": None}])
def test_no_mapped_argument_raises(axes):
    with pytest.raises(ArgumentError, match="no mapped argument"):
        vmap(lambda x, y: x, in_axes=axes)(X, Y)


def test_no_argument_at_all_raises():
    with pytest.raises(ArgumentError, match="no mapped argument"):
        vmap(lambda: 1.0)()
    with pytest.raises(ArgumentError, match="no mapped argument"):
        vmap(lambda x: 1.0)({"a": None})


@pytest.mark.parametrize("axes", [(0,), (0, 0, 0), [0], ()])
def test_in_axes_of_another_length_raises(axes):
    with pytest.raises(StructureError, match=rf"{len(axes)} entries, but 2 positional"):
        vmap(lambda x, y: x, in_axes=axes)(X, Y)


@pytest.mark.parametrize(
    "axes", [{"w": 0, "c": 0}, {"w": 0}, [0, 0], (0, 0), {"w": (0, 0), "b": 0}], ids=str
)
def test_in_axes_of_another_structure_names_the_argument(axes):
    with pytest.raises(StructureError, match="for params"):
        vmap(lambda params, x: x, in_axes=(axes, 0))({"w": X, "b": Y}, Y)


@pytest.mark.parametrize("axis", [2, -3, 100])
def test_axis_that_an_argument_lacks_raises(axis):
    with pytest.raises(ShapeError, match=rf"x.*{axis}.*\(2, 3\)"):
        vmap(lambda x: x, in_axes=axis)(X)


@pytest.mark.parametrize("axis", [2, -3, 100])
def test_out_axis_that_a_result_lacks_raises(axis):
    with pytest.raises(ShapeError, match=rf"out_axes.*{axis}"):
        vmap(lambda x: x, out_axes=axis)(X)


@pytest.mark.parametrize("argument", [1.0, 3, "abc", np.float64(1), np.array(2.0)])
def test_mapped_argument_without_axes_raises(argument):
    with pytest.raises(ShapeError, match=r"y is mapped over axis 0.*has no axis"):
        vmap(lambda x, y: x)(Y, argument)


@pytest.mark.parametrize("axes", ["0", 0.0, True, "x", object()])
def test_in_axes_that_is_no_axis_raises(axes):
    for given_ in (axes, (axes,)):
        with pytest.raises(ArgumentError, match="in_axes"):
            vmap(lambda x: x, in_axes=given_)(X)


@pytest.mark.parametrize("axes", ["0", 0.0, True, object()])
def test_out_axes_that_is_no_axis_raises(axes):
    with pytest.raises(ArgumentError, match="out_axes"):
        vmap(lambda x: x, out_axes=axes)(X)


@pytest.mark.parametrize("axes", [(0, 0), {"a": 0}, [0]])
def test_out_axes_of_another_structure_raises(axes):
    with pytest.raises(StructureError, match="out_axes"):
        vmap(lambda x: (x, {"b": x}, x), out_axes=axes)(X)


@pytest.mark.parametrize("result", ["a", lambda y: y, object()])
def test_result_that_is_no_array_raises(result):
    for options in ({}, {"chunk_size": 1}, {"fallback": "loop"}):
        with pytest.raises(FuncgradError):
            vmap(lambda x: (x, result), **options)(Y)


def test_too_many_arguments_raise_as_in_python():
    with pytest.raises(TypeError):
        vmap(lambda x: x)(X, X)


# --- the function --------------------------------------------------------------------------------


def square(x):
    """Square a number."""
    return x**2


def test_looks_like_its_function():
    mapped = vmap(square, in_axes=(1,))
    assert repr(mapped) == "vmap(square, in_axes=(1,), out_axes=0)"
    assert mapped.__name__ == "square"
    assert mapped.__doc__ == "Square a number."
    assert repr(vmap(grad(square), chunk_size=2)).startswith("vmap(grad(square, argnums=0)")


def test_pickles():
    mapped = pickle.loads(pickle.dumps(vmap(grad(square), in_axes=-1, chunk_size=2)))
    assert np.array_equal(mapped(Y), 2 * Y)


def test_methods_and_partials():
    class Model:
        factor = 3.0

        @vmap
        def ignored(self):
            return self

        def scale(self, x):
            return self.factor * x

    assert np.array_equal(vmap(Model().scale)(Y), 3 * Y)
    assert np.array_equal(vmap(partial(np.power, 2.0))(Y), 2**Y)


def test_used_as_a_decorator_with_options():
    @partial(vmap, in_axes=(0, None))
    def scaled(x, factor):
        return x * factor

    assert np.array_equal(scaled(Y, 2.0), 2 * Y)


def test_not_a_function_raises():
    with pytest.raises(ArgumentError, match="takes a function"):
        vmap(X)


# --- against JAX ---------------------------------------------------------------------------------


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax


@pytest.mark.parametrize(
    ("in_axes", "out_axes"),
    [
        (0, 0),
        ((0, 0), (1, 0)),
        ((-2, None), (-1, 0)),
        (({"w": -1, "b": None}, 0), (2, -1)),
    ],
    ids=str,
)
def test_agrees_with_jax(jax, in_axes, out_axes):
    p = {"w": np.arange(27.0).reshape(3, 3, 3), "b": np.arange(3.0).reshape(3, 1)}
    x = np.arange(9.0).reshape(3, 3)

    def f(p, x):
        return p["w"] * p["b"].sum(), (x.sum(keepdims=True) * p["b"].sum()).reshape(1, 1)

    if in_axes == 0:
        x = x[:, None]
    got = vmap(f, in_axes=in_axes, out_axes=out_axes)(p, x)
    expected = jax.vmap(f, in_axes=in_axes, out_axes=out_axes)(p, x)
    for a, b in zip(got, expected, strict=True):
        assert np.allclose(a, b)
        assert a.shape == b.shape
