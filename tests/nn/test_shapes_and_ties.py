"""Convolutions, pools, recurrent layers, attention, embeddings: special points, shapes, errors."""

import numpy as np
import pytest

from funcgrad import grad, nn, tree, vmap
from funcgrad.errors import ArgumentError, ShapeError
from funcgrad.testing import check_grads

# --- convolutions --------------------------------------------------------------------------------


def test_a_convolution_is_a_sum_over_windows(rng):
    layer = nn.Conv2d(2, 3, (2, 3), stride=(2, 1), dilation=(1, 2))
    w, b = layer.init(rng)
    x = rng.normal(size=(1, 6, 7, 2))
    y = layer.apply((w, b), x)
    assert y.shape == (1, 3, 3, 3)
    for i, j in np.ndindex(3, 3):
        window = x[0, 2 * i : 2 * i + 2, j : j + 5 : 2]
        np.testing.assert_allclose(y[0, i, j], np.einsum("hwc,hwco->o", window, w) + b)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [5, 6])
def test_same_padding_gives_a_window_per_stride(stride, kernel, length, rng):
    layer = nn.Conv1d(1, 1, kernel, stride=stride, padding="same")
    y = layer.apply(layer.init(rng), np.zeros((1, length, 1)))
    assert y.shape == (1, -(-length // stride), 1)


def test_a_transposed_convolution_is_the_transpose(rng):
    settings = {"kernel_size": (3, 2), "stride": 2, "padding": 1, "dilation": (1, 2), "groups": 2}
    forth, back = nn.Conv2d(4, 6, **settings), nn.ConvTranspose2d(6, 4, **settings)
    w = rng.normal(size=(3, 2, 2, 6))
    split = w.reshape(3, 2, 2, 2, 3)  # (*kernel, in / groups, groups, out / groups)
    w_back = split.transpose(0, 1, 4, 3, 2).reshape(3, 2, 3, 4)
    x, y = rng.normal(size=(1, 7, 9, 4)), rng.normal(size=(1, 4, 5, 6))
    zeros = np.zeros(6), np.zeros(4)
    there = (forth.apply((w, zeros[0]), x) * y).sum()
    assert there == pytest.approx((x * back.apply((w_back, zeros[1]), y)).sum())


def test_sizes_of_kernels_are_those_of_the_fans(rng):
    w, _ = nn.Conv2d(50, 40, 5, weight_init=nn.he_normal).init(rng)
    assert w.std() == pytest.approx((2 / (25 * 50)) ** 0.5, rel=0.02)


def test_convolutions_say_what_they_need(rng):
    layer = nn.Conv2d(3, 4, 3)
    params = layer.init(rng)
    with pytest.raises(
        ShapeError, match=r"\(N, height, width, 3\), but got x of shape \(2, 8, 8\)"
    ):
        layer.apply(params, np.zeros((2, 8, 8)))
    with pytest.raises(
        ShapeError, match=r"Fix: the channels are the last axis here: np.moveaxis\(x, -3"
    ):
        layer.apply(params, np.zeros((2, 3, 8, 8)))
    with pytest.raises(
        ShapeError, match=r"reach over \(3, 3\) entries, but the axes of x are \(2, 8\)"
    ):
        layer.apply(params, np.zeros((2, 2, 8, 3)))
    with pytest.raises(ShapeError, match="needs w and b of shapes"):
        layer.apply(nn.Conv2d(3, 5, 3).init(rng), np.zeros((2, 8, 8, 3)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": 0}, "kernel_size of Conv2d is an integer or a tuple of 2, from 1 up"),
        ({"kernel_size": (3,)}, "kernel_size"),
        ({"kernel_size": 2.5}, "kernel_size"),
        ({"stride": 0}, "stride"),
        ({"dilation": "2"}, "dilation"),
        ({"padding": -1}, "padding of Conv2d"),
        ({"padding": "full"}, "padding of Conv2d"),
        ({"padding": (1, 2, 3)}, "padding of Conv2d"),
        ({"padding": ((1, 2, 3), 1)}, "padding of Conv2d"),
        ({"groups": 3}, "groups must divide"),
        ({"in_channels": 0}, "in_channels of Conv2d is a positive integer"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ArgumentError, match=message):
        nn.Conv2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, **settings})


def test_transposed_convolutions_take_numbers_for_padding():
    with pytest.raises(ArgumentError, match="takes its padding as numbers, but got 'same'"):
        nn.ConvTranspose2d(1, 1, 3, padding="same")
    with pytest.raises(ArgumentError, match="output_padding"):
        nn.ConvTranspose1d(1, 1, 3, output_padding=-1)


def test_repr_shows_what_differs_from_the_default():
    assert repr(nn.Conv2d(1, 8, 3)) == "Conv2d(1, 8, kernel_size=3)"
    assert (
        repr(nn.Conv1d(1, 8, 3, 2, bias=False))
        == "Conv1d(1, 8, kernel_size=3, stride=2, bias=False)"
    )
    assert "output_padding=1" in repr(nn.ConvTranspose1d(1, 8, 3, output_padding=1))


# --- pools ---------------------------------------------------------------------------------------


def test_entries_that_tie_share_the_derivative_of_a_max_pool():
    x = np.array([[[1.0], [1.0], [1.0], [0.0], [2.0], [2.0]]])
    g = grad(lambda x: nn.MaxPool1d(3).apply((), x).sum())(x)[0, :, 0]
    np.testing.assert_allclose(g, [1 / 3, 1 / 3, 1 / 3, 0, 0.5, 0.5])


def test_overlapping_windows_add_their_derivatives():
    x = np.array([[[0.0], [3.0], [1.0]]])
    g = grad(lambda x: nn.MaxPool1d(2, 1).apply((), x).sum())(x)[0, :, 0]
    np.testing.assert_array_equal(g, [0, 2, 0])


def test_padding_is_never_the_largest_and_counts_as_zero_in_a_mean():
    x = -np.ones((1, 2, 1))
    np.testing.assert_array_equal(nn.MaxPool1d(2, padding=1).apply((), x)[0, :, 0], [-1, -1])
    np.testing.assert_array_equal(nn.AvgPool1d(2, padding=1).apply((), x)[0, :, 0], [-0.5, -0.5])


def test_pools_say_what_they_need():
    with pytest.raises(ShapeError, match=r"needs x of shape \(N, height, width, channels\)"):
        nn.MaxPool2d(2).apply((), np.zeros((4, 4)))
    with pytest.raises(ShapeError, match="windows that reach over"):
        nn.AvgPool2d(5).apply((), np.zeros((1, 4, 4, 1)))
    with pytest.raises(ArgumentError, match="window of MaxPool1d"):
        nn.MaxPool1d((2, 2))
    with pytest.raises(ArgumentError, match="out_size of AdaptiveAvgPool2d"):
        nn.AdaptiveAvgPool2d(0)


# --- recurrent layers ----------------------------------------------------------------------------

RECURRENT = pytest.mark.parametrize(
    ("layer", "cell"),
    [
        (nn.RNN(3, 4), nn.RNNCell(3, 4)),
        (nn.RNN(3, 4, activation="relu"), nn.RNNCell(3, 4, activation="relu")),
        (nn.GRU(3, 4), nn.GRUCell(3, 4)),
        (nn.LSTM(3, 4), nn.LSTMCell(3, 4)),
    ],
)


@RECURRENT
def test_a_layer_is_its_cell_step_by_step(layer, cell, rng):
    params, x = layer.init(rng), rng.normal(size=(2, 5, 3))
    assert [p.shape for p in cell.init(rng)] == [p.shape for p in params]
    y, last = layer.scan(params, x)
    carry = None
    for t in range(5):
        carry = cell.apply(params, x[:, t], carry)
        h = carry[0] if isinstance(carry, tuple) else carry
        np.testing.assert_allclose(y[:, t], h, rtol=1e-12, atol=1e-14)
    for mine, other in zip(tree.leaves(last), tree.leaves(carry), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-14)


@RECURRENT
def test_a_sequence_may_be_cut_in_two(layer, cell, rng):
    params, x = layer.init(rng), rng.normal(size=(2, 5, 3))
    y, last = layer.scan(params, x)
    first, carry = layer.scan(params, x[:, :2])
    second, end = layer.scan(params, x[:, 2:], carry)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), y)
    for mine, other in zip(tree.leaves(last), tree.leaves(end), strict=True):
        np.testing.assert_allclose(mine, other)


@RECURRENT
def test_cells_and_carries_have_derivatives(layer, cell, rng):
    params, x = layer.init(rng), rng.normal(size=(2, 4, 3))
    if getattr(cell, "activation", "tanh") == "relu":
        return  # has kinks
    carry = tree.map(lambda c: rng.normal(size=c.shape), cell.init_carry((2,), x.dtype))
    check_grads(cell.apply, (params, x[:, 0], carry))
    check_grads(layer.scan, (params, x, carry))


@RECURRENT
def test_a_sequence_needs_a_step_and_features(layer, cell, rng):
    params = layer.init(rng)
    for shape in ((2, 0, 3), (3,)):
        with pytest.raises(ShapeError, match=r"needs x of shape \(..., time, 3\)"):
            layer.apply(params, np.zeros(shape))
    with pytest.raises(ShapeError, match=r"needs x of shape \(..., 3\)"):
        layer.apply(params, np.zeros((2, 5, 4)))
    with pytest.raises(ShapeError, match=r"needs x of shape \(..., 3\)"):
        cell.apply(params, np.zeros((2, 4)))


def test_an_lstm_starts_by_remembering(rng):
    _, _, b = nn.LSTM(3, 4).init(rng)
    np.testing.assert_array_equal(b, np.repeat([0, 1, 0, 0], 4))
    _, u, _ = nn.LSTM(3, 4).init(rng)
    for k in range(4):
        gate = u[:, 4 * k : 4 * k + 4]
        np.testing.assert_allclose(gate.T @ gate, np.eye(4), atol=1e-12)


def test_gates_that_saturate_do_not_overflow(rng):
    layer = nn.LSTM(1, 2)
    params = tree.map(lambda p: 1e4 * np.ones(p.shape), layer.init(rng))
    x = np.full((1, 3, 1), -1.0)
    y, pullback = layer.apply(params, x), grad(lambda x: layer.apply(params, x).sum())
    assert np.isfinite(y).all()
    assert np.isfinite(pullback(x)).all()


def test_the_rnn_knows_two_activations():
    with pytest.raises(ArgumentError, match="activation of RNN is 'tanh' or 'relu'"):
        nn.RNN(2, 3, activation="elu")


# --- attention -----------------------------------------------------------------------------------


def test_a_causal_layer_does_not_see_what_comes_later(rng):
    layer = nn.MultiHeadAttention(4, 2, causal=True)
    params, x = layer.init(rng), rng.normal(size=(1, 5, 4))
    by_input = grad(lambda x: (layer.apply(params, x)[0, 2] ** 2).sum())(x)[0]
    assert (by_input[:3] != 0).all()
    assert (by_input[3:] == 0).all()


def test_a_mask_hides_positions(rng):
    q, k, v = rng.normal(size=(3, 4, 2))
    mask = np.array([True, False, True, True])
    shown = nn.attention(q, k[mask], v[mask])
    np.testing.assert_allclose(nn.attention(q, k, v, mask=mask), shown, rtol=1e-12)
    both = nn.attention(q, k, v, mask=mask, causal=True)
    np.testing.assert_allclose(both[1], v[0])


def test_a_position_that_may_look_nowhere_gets_zero(rng):
    q, k, v = rng.normal(size=(3, 4, 2))
    mask = np.ones((4, 4), bool)
    mask[1] = False
    y, gradient = (
        nn.attention(q, k, v, mask=mask),
        grad(lambda q: nn.attention(q, k, v, mask=mask).sum()),
    )
    assert (y[1] == 0).all()
    assert (gradient(q)[1] == 0).all()
    assert np.isfinite(gradient(q)).all()


def test_a_mask_of_a_layer_has_an_entry_per_sample(rng):
    layer = nn.MultiHeadAttention(4, 2)
    params, x = layer.init(rng), rng.normal(size=(2, 3, 4))
    mask = np.ones((2, 3, 3), bool)
    mask[1, :, 2] = False
    y = layer.apply(params, x, mask=mask)
    np.testing.assert_allclose(y[0], layer.apply(params, x[0]))
    np.testing.assert_allclose(y[1], layer.apply(params, x[1], x[1, :2]))


def test_attention_says_what_it_needs(rng):
    with pytest.raises(ArgumentError, match="cannot split 5 features into 2 heads"):
        nn.MultiHeadAttention(5, 2)
    x = rng.normal(size=(3, 4))
    with pytest.raises(ArgumentError, match="mask of attention is boolean, but got float64"):
        nn.attention(x, x, x, mask=np.zeros((3, 3)))
    with pytest.raises(ShapeError, match="attention needs query"):
        nn.attention(x, x[:, :3], x)
    with pytest.raises(ShapeError, match="a key for each query"):
        nn.attention(x, x[:2], x[:2], causal=True)


# --- embeddings and others -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (0,)])
def test_the_gradient_of_an_embedding_counts_its_uses(shape, rng):
    layer, x = nn.Embedding(4, 2), rng.integers(3, size=shape)
    params = layer.init(rng)
    (g,) = grad(lambda p: layer.apply(p, x).sum())(params)
    counts = np.bincount(x.reshape(-1), minlength=4)
    np.testing.assert_array_equal(g, np.repeat(counts[:, None], 2, axis=1))


def test_an_embedding_has_derivatives_to_second_order(rng):
    layer, x = nn.Embedding(4, 2), np.array([[0, 2, 2], [3, 0, 2]])
    check_grads(lambda p: np.sin(layer.apply(p, x)), (layer.init(rng),))


def test_classes_are_mapped_over_a_shared_table(rng):
    layer, x = nn.Embedding(4, 2), np.array([[0, 2, 2], [3, 0, 2]])
    params = layer.init(rng)
    assert np.array_equal(vmap(layer.apply, (None, 0))(params, x), layer.apply(params, x))


@pytest.mark.parametrize("bad", [-1, 4])
def test_mapped_classes_out_of_range_raise(bad, rng):
    layer = nn.Embedding(4, 2)
    params = layer.init(rng)
    for f in (layer.apply, grad(lambda params, x: np.sum(layer.apply(params, x)))):
        with pytest.raises(IndexError, match="out of bounds"):
            vmap(f, (None, 0))(params, np.array([0, bad]))


def test_attention_needs_an_axis_of_positions(rng):
    layer = nn.MultiHeadAttention(4, 2)
    for args in ((np.ones(4),), (np.ones((3, 4)), np.ones(4))):
        with pytest.raises(ShapeError, match=r"needs x of shape \(\.\.\., positions, 4\)"):
            layer.apply(layer.init(rng), *args)


def test_an_embedding_takes_classes(rng):
    layer = nn.Embedding(4, 2)
    params = layer.init(rng)
    with pytest.raises(ArgumentError, match="classes of an integer dtype, but got float64"):
        layer.apply(params, np.zeros(3))
    for wrong in ([0, 4], [-1, 0]):
        with pytest.raises(ArgumentError, match="classes from 0 to 3, but got"):
            layer.apply(params, np.array(wrong))


def test_group_norm_of_one_group_is_layer_norm(rng):
    x = rng.normal(size=(3, 6))
    params = nn.LayerNorm(6).init(rng)
    expected = nn.LayerNorm(6).apply(params, x)
    np.testing.assert_allclose(nn.GroupNorm(1, 6).apply(params, x), expected)
    with pytest.raises(ArgumentError, match="cannot split 6 features into 4 groups"):
        nn.GroupNorm(4, 6)
    with pytest.raises(ShapeError, match=r"\(N, ..., 6\)"):
        nn.GroupNorm(1, 6).apply(params, x[0])


def test_equal_features_are_normalised_to_zero(rng):
    params = nn.LayerNorm(3).init(rng)
    y, g = (
        f(np.ones((1, 3)))
        for f in (
            lambda x: nn.LayerNorm(3).apply(params, x),
            grad(lambda x: nn.LayerNorm(3).apply(params, x)[0, 0]),
        )
    )
    np.testing.assert_array_equal(y, 0)
    assert np.isfinite(g).all()


def test_flatten_and_lambda_say_what_they_need():
    with pytest.raises(ShapeError, match=r"needs x of shape \(N, ...\)"):
        nn.Flatten().apply((), np.float64(1))
    with pytest.raises(ArgumentError, match="Lambda needs a function"):
        nn.Lambda(3)
