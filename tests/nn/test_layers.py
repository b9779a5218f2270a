"""Layers: settings, pure init and apply, and their errors."""

import dataclasses
import pickle

import numpy as np
import pytest

from funcgrad import grad, nn, tree, vmap
from funcgrad.errors import ArgumentError, ShapeError

DISC = nn.Sequential(
    nn.Linear(2, 25),
    nn.ReLU(),
    nn.Linear(25, 25),
    nn.ReLU(),
    nn.Linear(25, 25),
    nn.ReLU(),
    nn.Linear(25, 2),
    nn.Softmax(axis=1),
)


def test_repr_reads_like_the_report():
    assert repr(DISC) == (
        "Sequential(\n"
        "  0: Linear(in_dim=2, out_dim=25)\n"
        "  1: ReLU()\n"
        "  2: Linear(in_dim=25, out_dim=25)\n"
        "  3: ReLU()\n"
        "  4: Linear(in_dim=25, out_dim=25)\n"
        "  5: ReLU()\n"
        "  6: Linear(in_dim=25, out_dim=2)\n"
        "  7: Softmax(axis=1)\n"
        ")"
    )


def test_repr_of_a_nested_network_is_indented():
    inner = nn.Sequential(nn.Sigmoid(), nn.Tanh())
    assert repr(nn.Sequential(inner, nn.Softmax())) == (
        "Sequential(\n"
        "  0: Sequential(\n"
        "    0: Sigmoid()\n"
        "    1: Tanh()\n"
        "  )\n"
        "  1: Softmax(axis=-1)\n"
        ")"
    )
    assert repr(nn.Sequential()) == "Sequential()"


def test_linear_is_an_affine_map(rng):
    w, b = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([10.0, 20.0])
    layer = nn.Linear(3, 2)
    np.testing.assert_array_equal(layer.apply((w, b), np.array([1.0, 0.0, 1.0])), [16, 28])
    x = rng.normal(size=(4, 5, 3))
    np.testing.assert_allclose(layer.apply((w, b), x), x @ w + b)


def test_linear_starts_from_xavier_weights_and_zero_biases():
    w, b = nn.Linear(3, 2).init(np.random.default_rng(0))
    np.testing.assert_array_equal(w, nn.xavier_normal(np.random.default_rng(0), (3, 2)))
    np.testing.assert_array_equal(b, [0, 0])


def test_linear_takes_initializers_and_a_dtype(rng):
    layer = nn.Linear(3, 2, weight_init=nn.zeros, bias_init=nn.normal(1.0), dtype=np.float32)
    w, b = layer.init(rng)
    assert (w == 0).all()
    assert (b != 0).all()
    assert (w.dtype, b.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.ReLU(), nn.relu),
        (nn.Sigmoid(), nn.sigmoid),
        (nn.Tanh(), nn.tanh),
        (nn.Softmax(), nn.softmax),
        (nn.Softmax(axis=0), lambda x: nn.softmax(x, axis=0)),
    ],
)
def test_an_activation_layer_is_its_function_without_parameters(layer, function, rng):
    x = rng.normal(size=(3, 4))
    assert layer.init(rng) == ()
    np.testing.assert_array_equal(layer.apply((), x), function(x))


def test_sequential_composes_and_has_an_entry_of_parameters_per_layer(rng):
    params = DISC.init(rng)
    assert [len(entry) for entry in params] == [2, 0, 2, 0, 2, 0, 2, 0]
    x = h = rng.normal(size=(10, 2))
    for w, b in params[:-2:2]:
        h = np.maximum(h @ w + b, 0)
    w, b = params[-2]
    np.testing.assert_allclose(DISC.apply(params, x), nn.softmax(h @ w + b), rtol=1e-14)
    assert nn.Sequential().apply((), x) is x


def test_one_seed_gives_one_network():
    a, b = DISC.init(np.random.default_rng(3)), DISC.init(np.random.default_rng(3))
    assert tree.structure(a) == tree.structure(b)
    for one, other in zip(tree.leaves(a), tree.leaves(b), strict=True):
        np.testing.assert_array_equal(one, other)


def test_apply_changes_neither_parameters_nor_input(rng):
    params, x = DISC.init(rng), rng.normal(size=(4, 2))
    for array in [*tree.leaves(params), x]:
        array.flags.writeable = False
    DISC.apply(params, x)
    grad(lambda params: DISC.apply(params, x)[:, 0].sum())(params)


def test_the_gradient_is_that_of_the_formulas(rng):
    layer, x, ct = nn.Linear(3, 2), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    dw, db = grad(lambda params: (ct * layer.apply(params, x)).sum())(layer.init(rng))
    np.testing.assert_allclose(dw, x.T @ ct)
    np.testing.assert_allclose(db, ct.sum(axis=0))


def test_a_float32_network_has_float32_gradients(rng):
    model = nn.Sequential(nn.Linear(2, 3, dtype=np.float32), nn.ReLU())
    x = rng.normal(size=(4, 2)).astype(np.float32)
    params = model.init(rng)
    assert model.apply(params, x).dtype == np.float32
    grads = grad(lambda params: model.apply(params, x).sum())(params)
    assert {g.dtype for g in tree.leaves(grads)} == {np.dtype(np.float32)}


def test_vmap_gives_the_gradients_of_each_sample(rng):
    params, x = DISC.init(rng), rng.normal(size=(5, 2))
    gradient = grad(lambda params, x: DISC.apply(params, x)[..., 0].sum())
    total = gradient(params, x)
    # A single sample has no axis 1 for the Softmax: give it one.
    each = vmap(gradient, in_axes=(None, 0))(params, x[:, None])
    for one, other in zip(tree.leaves(total), tree.leaves(each), strict=True):
        np.testing.assert_allclose(other.sum(axis=0), one, atol=1e-14)


def test_layers_are_values():
    again = pickle.loads(pickle.dumps(DISC))
    assert again == DISC
    assert hash(again) == hash(DISC)
    assert nn.Linear(2, 3) != nn.Linear(2, 4)
    assert nn.ReLU() != nn.Tanh()
    for layer in (nn.Linear(2, 3), nn.Softmax(), DISC):
        with pytest.raises(dataclasses.FrozenInstanceError):
            layer.axis = 0


def test_layers_are_pytrees_without_leaves():
    for layer in (*DISC.layers, DISC):
        leaves, treedef = tree.flatten(layer)
        assert leaves == []
        assert tree.unflatten(treedef, []) == layer


def test_any_object_with_init_and_apply_is_a_layer(rng):
    class Double:
        def init(self, rng):
            return None

        def apply(self, params, x):
            return 2 * x

    model = nn.Sequential(Double(), Double())
    np.testing.assert_array_equal(model.apply(model.init(rng), np.ones(2)), [4, 4])


# --- errors --------------------------------------------------------------------------------------


def test_a_wrong_width_names_the_layer_and_both_widths(rng):
    layer = nn.Linear(2, 25)
    with pytest.raises(ShapeError) as raised:
        layer.apply(layer.init(rng), np.ones((10, 3)))
    message = str(raised.value)
    assert "Linear(in_dim=2, out_dim=25) needs x of shape (..., 2)" in message
    assert "got x of shape (10, 3)" in message
    assert "test_layers.py" in message  # the user's line, not ours


def test_a_scalar_has_no_width(rng):
    layer = nn.Linear(2, 25)
    with pytest.raises(ShapeError, match=r"got x of shape \(\)"):
        layer.apply(layer.init(rng), np.float64(1))


def test_sequential_says_which_layer_it_was(rng):
    inner = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
    model = nn.Sequential(nn.Linear(2, 3), inner)
    with pytest.raises(ShapeError, match=r"^layer 1 of Sequential: layer 1 of Sequential: Linear"):
        model.apply(model.init(rng), np.ones((10, 2)))


def test_the_error_comes_through_grad(rng):
    params = DISC.init(rng)
    with pytest.raises(ShapeError, match=r"^layer 0 of Sequential: Linear"):
        grad(lambda params: DISC.apply(params, np.ones((10, 3))).sum())(params)


@pytest.mark.parametrize(
    ("params", "got"),
    [
        (([[1.0], [2.0]], np.zeros(1)), r"a list of length 2 and \(1,\)"),
        ((np.ones((2, 1)), 0.0), r"\(2, 1\) and a float"),
    ],
)
def test_parameters_are_arrays(params, got):
    with pytest.raises(
        ShapeError, match=r"needs w and b of shapes \(2, 1\) and \(1,\), but got " + got
    ):
        nn.Linear(2, 1).apply(params, np.ones((3, 2)))


@pytest.mark.parametrize("params", [(), (1, 2, 3), np.ones((2, 3)), None])
def test_parameters_of_the_wrong_kind_are_refused(params):
    with pytest.raises(ArgumentError, match=r"Linear\(.*needs the parameters \(w, b\), but got"):
        nn.Linear(2, 3).apply(params, np.ones((10, 2)))
    with pytest.raises(ArgumentError, match="a Sequential of 1 layers needs as many parameters"):
        nn.Sequential(nn.ReLU()).apply(params, np.ones((10, 2)))


def test_parameters_of_another_layer_are_refused(rng):
    with pytest.raises(
        ShapeError, match=r"shapes \(2, 3\) and \(3,\), but got \(3, 2\) and \(2,\)"
    ):
        nn.Linear(2, 3).apply(nn.Linear(3, 2).init(rng), np.ones((10, 2)))
    with pytest.raises(ArgumentError, match=r"ReLU\(\) has no parameters, but got a tuple of len"):
        nn.ReLU().apply(nn.Linear(3, 2).init(rng), np.ones((10, 2)))


@pytest.mark.parametrize("width", [0, -1, 2.5, "2", None])
def test_a_width_is_a_positive_integer(width):
    with pytest.raises(ArgumentError, match="in_dim"):
        nn.Linear(width, 2)
    with pytest.raises(ArgumentError, match="out_dim"):
        nn.Linear(2, width)


def test_sequential_refuses_what_is_no_layer():
    with pytest.raises(
        ArgumentError, match=r"entry 1 of Sequential is the class ReLU(.*\n)*.*ReLU\("
    ):
        nn.Sequential(nn.Linear(2, 3), nn.ReLU)
    with pytest.raises(ArgumentError, match="entry 0 of Sequential is <ufunc 'tanh'>"):
        nn.Sequential(np.tanh)


def test_a_seed_is_no_generator():
    with pytest.raises(ArgumentError, match="default_rng"):
        DISC.init(0)
