"""Layers that remember and layers that draw: what containers hand on; summary."""

import numpy as np
import pytest

from funcgrad import grad, nn, tree, value_and_grad
from funcgrad.errors import ArgumentError, ShapeError

MODEL = nn.Sequential(
    nn.Linear(3, 4),
    nn.BatchNorm(4),
    nn.Residual(nn.Sequential(nn.BatchNorm(4), nn.Dropout(0.5)), nn.Linear(4, 4)),
    nn.ReLU(),
)


@pytest.fixture
def params(rng):
    return MODEL.init(rng)


def test_a_state_has_an_entry_per_layer_and_none_where_nothing_is_kept():
    state = nn.init_state(MODEL)
    assert [len(tree.leaves(entry)) for entry in state] == [0, 2, 2, 0]
    assert nn.init_state(nn.Linear(2, 3)) == ()
    assert nn.init_state(nn.Sequential(nn.ReLU(), nn.Residual(nn.ReLU()))) == ((), ((), ()))


def test_a_network_without_state_is_called_as_ever(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    params, x = model.init(rng), rng.normal(size=(5, 3))
    y, state = model.apply(params, x, state=nn.init_state(model), train=True)
    np.testing.assert_array_equal(y, model.apply(params, x))
    assert state == ((), ())


def test_training_moves_the_state_and_evaluation_does_not(params, rng):
    state, x = nn.init_state(MODEL), rng.normal(size=(50, 3))
    _, new = MODEL.apply(params, x, state=state, train=True, rng=rng)
    _, same = MODEL.apply(params, x, state=new)
    h = MODEL.layers[0].apply(params[0], x)
    np.testing.assert_allclose(new[1]["mean"], 0.1 * h.mean(axis=0))
    np.testing.assert_allclose(new[1]["var"], 0.9 + 0.1 * h.var(axis=0, ddof=1))
    assert all(a is b for a, b in zip(tree.leaves(same), tree.leaves(new), strict=True))
    np.testing.assert_array_equal(state[1]["mean"], 0)


def test_the_state_comes_out_of_a_gradient_as_plain_arrays(params, rng):
    x = rng.normal(size=(50, 3))

    def loss(params, state):
        y, state = MODEL.apply(params, x, state=state, train=True, rng=np.random.default_rng(1))
        return (y * y).mean(), state

    (_, state), grads = value_and_grad(loss, has_aux=True)(params, nn.init_state(MODEL))
    assert all(type(leaf) is np.ndarray for leaf in tree.leaves(state))
    assert tree.structure(grads) == tree.structure(params)
    (_, _), again = value_and_grad(loss, has_aux=True)(params, state)  # the state does not matter
    for a, b in zip(tree.leaves(grads), tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_float32_state_stays_float32(rng):
    layer = nn.BatchNorm(2, dtype=np.float32)
    _, state = layer.apply(
        layer.init(rng), rng.normal(size=(5, 2)), state=layer.init_state(), train=True
    )
    assert {leaf.dtype for leaf in tree.leaves(state)} == {np.dtype(np.float32)}


def test_batch_norm_forgets_its_start_at_the_rate_of_the_momentum(rng):
    layer, x = nn.BatchNorm(1, momentum=0.5), rng.normal(3, 2, size=(1000, 1))
    params, state = layer.init(rng), layer.init_state()
    for _ in range(50):
        _, state = layer.apply(params, x, state=state, train=True)
    np.testing.assert_allclose(state["mean"], x.mean(axis=0))
    np.testing.assert_allclose(state["var"], x.var(axis=0, ddof=1))
    y, _ = layer.apply(params, x, state=state)
    np.testing.assert_allclose(y.mean(), 0, atol=1e-12)


def test_batch_norm_without_a_state_says_how_to_get_one(params, rng):
    with pytest.raises(
        ArgumentError, match=r"^layer 1 of Sequential: BatchNorm.*\n.*\n.*init_state"
    ):
        MODEL.apply(params, rng.normal(size=(5, 3)), train=True, rng=rng)
    with pytest.raises(ArgumentError, match="needs as many states, but got a tuple of length 0"):
        MODEL.apply(params, rng.normal(size=(5, 3)), state=())


def test_one_value_per_feature_has_no_variance(rng):
    layer = nn.BatchNorm(3)
    with pytest.raises(ShapeError, match="more than one value per feature"):
        layer.apply(layer.init(rng), np.ones((1, 3)), state=layer.init_state(), train=True)


# --- draws ---------------------------------------------------------------------------------------


def test_dropout_keeps_the_mean_and_drops_at_its_rate(rng):
    y = nn.Dropout(0.3).apply((), np.ones(100_000), train=True, rng=rng)
    assert abs((y == 0).mean() - 0.3) < 6 * (0.21 / 100_000) ** 0.5
    np.testing.assert_allclose(y[y != 0], 1 / 0.7)


def test_dropout_masks_the_gradient_as_the_value(rng):
    def f(x):
        return nn.Dropout(0.5).apply((), x, train=True, rng=np.random.default_rng(0))

    np.testing.assert_array_equal(grad(lambda x: f(x).sum())(np.ones(20)), f(np.ones(20)))


def test_one_seed_gives_one_mask_and_the_next_draw_another():
    layer, x = nn.Dropout(0.5), np.ones(100)
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    first = layer.apply((), x, train=True, rng=one)
    np.testing.assert_array_equal(first, layer.apply((), x, train=True, rng=other))
    assert (first != layer.apply((), x, train=True, rng=one)).any()


def test_dropout_is_the_identity_outside_training_and_at_rate_zero(rng):
    x = rng.normal(size=5)
    assert nn.Dropout(0.5).apply((), x) is x
    assert nn.Dropout(0.0).apply((), x, train=True) is x


def test_training_without_a_generator_raises(rng):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    for wrong in (None, 0):
        with pytest.raises(
            ArgumentError, match=r"^layer 1 of Sequential: Dropout.*draws at random"
        ):
            model.apply(model.init(rng), np.ones((3, 2)), train=True, rng=wrong)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, np.nan, "0.5", None])
def test_a_rate_is_a_probability_below_one(rate):
    with pytest.raises(ArgumentError, match="Dropout needs rate >= 0 and rate < 1"):
        nn.Dropout(rate)


# --- layers of one's own -------------------------------------------------------------------------


class Noise:
    """Takes train and rng, but no state."""

    def init(self, rng):
        return np.ones(())

    def apply(self, params, x, *, train=False, rng=None):
        return x + params * rng.normal(size=x.shape) if train else x


class Counter:
    """Takes a state."""

    def init(self, rng):
        return ()

    def init_state(self):
        return np.zeros((), int)

    def apply(self, params, x, *, state=None):
        return x, state + 1


def test_ones_own_layers_get_what_they_ask_for(rng):
    model = nn.Sequential(Noise(), nn.Residual(Counter()))
    params, state = model.init(rng), nn.init_state(model)
    y, state = model.apply(params, np.zeros(3), state=state)
    y, state = model.apply(params, np.zeros(3), state=state, train=True, rng=rng)
    assert (y != 0).all()
    assert state == ((), (2, ()))


# --- containers ----------------------------------------------------------------------------------


def test_residual_adds_the_two_ways(rng):
    inner, shortcut = nn.Linear(3, 2), nn.Linear(3, 2)
    block, x = nn.Residual(inner, shortcut), rng.normal(size=(5, 3))
    params = block.init(rng)
    expected = inner.apply(params[0], x) + shortcut.apply(params[1], x)
    np.testing.assert_array_equal(block.apply(params, x), expected)
    plain = nn.Residual(nn.Lambda(np.sin))
    np.testing.assert_array_equal(plain.apply(plain.init(rng), x), x + np.sin(x))


def test_residual_never_broadcasts(rng):
    block = nn.Residual(nn.Linear(3, 1))
    with pytest.raises(ShapeError, match=r"\(5, 3\) around the layer and \(5, 1\) through it"):
        block.apply(block.init(rng), np.ones((5, 3)))


def test_residual_refuses_what_is_no_layer(rng):
    with pytest.raises(ArgumentError, match="the layer of Residual is <ufunc 'sin'>"):
        nn.Residual(np.sin)
    with pytest.raises(ArgumentError, match="the shortcut of Residual is the class ReLU"):
        nn.Residual(nn.ReLU(), nn.ReLU)
    with pytest.raises(ArgumentError, match="a Residual of 2 layers needs as many parameters"):
        nn.Residual(nn.ReLU()).apply((), np.ones(3))


def test_repr_of_a_residual_shows_both_ways():
    block = nn.Residual(nn.Linear(3, 4), nn.Linear(3, 4))
    assert repr(block) == (
        "Residual(\n  Linear(in_dim=3, out_dim=4),\n  Linear(in_dim=3, out_dim=4)\n)"
    )


# --- summary -------------------------------------------------------------------------------------


def test_the_summary_counts_every_parameter_once():
    model = nn.Sequential(
        nn.Embedding(10, 4), nn.LSTM(4, 8, return_sequence=False), nn.Residual(nn.Linear(8, 8))
    )
    table = nn.summary(model, (2, 5), dtype=int)
    sizes = [10 * 4, 4 * 32 + 8 * 32 + 32, 8 * 8 + 8]
    assert table.parameters == sum(sizes)
    assert table.nbytes == 8 * sum(sizes)
    assert [(shape, count) for _, shape, count in table.rows] == [
        ((2, 5, 4), sizes[0]),
        ((2, 8), sizes[1]),
        ((2, 8), sizes[2]),
        ((2, 8), sizes[2]),  # the layer inside
    ]
    assert f"{sum(sizes)} parameters" in repr(table)


def test_the_summary_of_a_single_layer_and_of_one_that_does_not_fit():
    assert nn.summary(nn.Linear(2, 3), (1, 2)).parameters == 9
    with pytest.raises(ShapeError, match="layer 1 of Sequential"):
        nn.summary(nn.Sequential(nn.ReLU(), nn.Linear(3, 4)), (1, 2))
