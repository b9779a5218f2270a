"""Settings out of range, or of the wrong kind, are refused when a layer, optimizer or schedule is made."""

import numpy as np
import pytest

from funcgrad import grad, nn, vmap
from funcgrad.errors import ArgumentError, ShapeError, StructureError

REFUSED = {
    "SGD needs lr >= 0": [
        lambda: nn.SGD("a"),
        lambda: nn.SGD(None),
        lambda: nn.SGD([0.1]),
        lambda: nn.SGD(True),
        lambda: nn.SGD(nn.CosineDecay),
        lambda: nn.SGD(np.array(-1.0)),
        lambda: nn.SGD(np.inf),
    ],
    "SGD needs momentum >= 0 and momentum < 1": [
        lambda: nn.SGD(0.1, momentum=2),
        lambda: nn.SGD(0.1, momentum=None),
    ],
    "nesterov of SGD is True or False": [lambda: nn.SGD(0.1, 0.9, nesterov="no")],
    "Adam needs b1 >= 0 and b1 < 1": [lambda: nn.Adam(b1="a"), lambda: nn.Adam(b1=np.array(2.0))],
    "AdamW needs weight_decay >= 0": [lambda: nn.AdamW(weight_decay=None)],
    "RMSprop needs momentum >= 0 and momentum < 1": [lambda: nn.RMSprop(momentum=3)],
    "memory of LBFGS is a positive integer": [
        lambda: nn.LBFGS(memory=2.5),
        lambda: nn.LBFGS(memory="a"),
    ],
    "ConstantRate needs lr >= 0": [lambda: nn.ConstantRate("a"), lambda: nn.ConstantRate(-1)],
    "StepDecay needs every >= 1": [lambda: nn.StepDecay(0.1, "a")],
    "StepDecay needs factor > 0": [lambda: nn.StepDecay(0.1, 3, factor=0)],
    "CosineDecay needs end >= 0": [lambda: nn.CosineDecay(0.1, 3, end="a")],
    "WarmUp needs then >= 0": [lambda: nn.WarmUp("a", 3)],
    "OneCycle needs climb > 0 and climb < 1": [lambda: nn.OneCycle(0.1, 10, climb="a")],
    "OneCycle needs start_factor > 0": [lambda: nn.OneCycle(0.1, 10, start_factor=0)],
    "JoinedSchedules needs schedules >= 0": [lambda: nn.JoinedSchedules((0.1, "a"), (3,))],
    "boundaries.0. of JoinedSchedules": [lambda: nn.JoinedSchedules((0.1, 0.2), ("a",))],
    "one fewer than the 1 schedules": [lambda: nn.JoinedSchedules(0.1, 3)],
    "ClipByGlobalNorm needs max_norm > 0": [lambda: nn.ClipByGlobalNorm("a")],
    "ClipByValue needs limit > 0": [lambda: nn.ClipByValue(None)],
    "clip_by_value needs limit > 0": [lambda: nn.clip_by_value(np.ones(3), -1)],
    "clip_by_global_norm needs max_norm > 0": [
        lambda: nn.clip_by_global_norm(np.ones(3), -1),
        lambda: nn.clip_by_global_norm(np.ones(3), 0),
        lambda: nn.clip_by_global_norm(np.ones(3), np.inf),
    ],
    "put the optimizer last": [lambda: nn.chain(nn.Adam(), nn.SGD(0.1))],
    "put an optimizer last": [lambda: nn.chain(nn.ClipByValue(1.0))],
    "axis of Softmax is an integer or a tuple": [lambda: nn.Softmax("a"), lambda: nn.Softmax(1.5)],
    "axis of LogSoftmax is an integer or a tuple": [lambda: nn.LogSoftmax(None)],
    "LeakyReLU needs a number as slope": [lambda: nn.LeakyReLU("a")],
    "ELU needs a number as alpha": [lambda: nn.ELU(None)],
    "LayerNorm needs eps >= 0": [lambda: nn.LayerNorm(3, eps=-1)],
    "BatchNorm needs momentum >= 0 and momentum <": [lambda: nn.BatchNorm(3, momentum=2)],
    "dtype of Linear is floating or complex": [
        lambda: nn.Linear(2, 3, dtype=int),
        lambda: nn.Linear(2, 3, dtype="foo"),
    ],
    "weight_init of Linear is a function": [lambda: nn.Linear(2, 3, 0.1)],
    "recurrent_init of LSTM is a function": [lambda: nn.LSTM(2, 3, recurrent_init="zeros")],
    "bias of Linear is True or False": [lambda: nn.Linear(2, 3, bias="no")],
    "in_dim of Linear is a positive integer": [lambda: nn.Linear(True, 3)],
    "return_sequence of LSTM is True or False": [lambda: nn.LSTM(3, 4, "no")],
    "LSTM needs a number as forget_bias": [lambda: nn.LSTM(3, 4, forget_bias="a")],
    "causal of MultiHeadAttention is True or False": [lambda: nn.MultiHeadAttention(4, 2, "a")],
    "windows that hold nothing but padding": [lambda: nn.MaxPool2d(2, padding=2)],
    "nn.normal needs stddev >= 0": [lambda: nn.normal(-1), lambda: nn.normal("a")],
    "nn.uniform needs high >= 1": [lambda: nn.uniform(1, 0)],
    "huber needs delta > 0": [lambda: nn.huber(np.ones(2), np.ones(2), delta="a")],
    "triplet needs a number as margin": [lambda: nn.triplet(*np.ones((3, 2)), margin="a")],
    "needs probabilities as targets": [lambda: nn.kl_divergence(np.ones((2, 3)), -np.eye(2, 3))],
}
CASES = [(message, build) for message, builds in REFUSED.items() for build in builds]


@pytest.mark.parametrize(("message", "build"), CASES)
def test_a_setting_out_of_range_is_refused(message, build):
    with pytest.raises(ArgumentError, match=message):
        build()


def test_the_message_names_the_line_that_made_the_layer():
    for build in (lambda: nn.Conv2d(1, 2, (3,)), lambda: nn.MaxPool2d(2, stride=0)):
        with pytest.raises(ArgumentError, match=r"at test_settings.py:\d+ in"):
            build()


@pytest.mark.parametrize("lr", [0.1, np.float32(0.1), np.array(0.1), 1, nn.CosineDecay(0.1, 5)])
def test_numbers_of_numpy_and_schedules_are_learning_rates(lr):
    w, _ = nn.SGD(lr).update(np.ones(2), nn.SGD(lr).init(np.ones(2)), np.ones(2))
    assert w.dtype == np.float64


def test_settings_can_be_traced():
    def after_a_step(lr):
        opt = nn.chain(nn.ClipByGlobalNorm(lr), nn.SGD(nn.WarmUp(lr, 1, start=lr), momentum=lr))
        w = np.array([3.0, 4.0])
        return opt.update(w, opt.init(w), w)[0][0]

    # the gradient (3, 4) is cut to the length lr, then scaled by lr: 3 - 3/5 lr^2
    assert grad(after_a_step)(0.5) == pytest.approx(-0.6)
    np.testing.assert_allclose(vmap(after_a_step)(np.array([0.5, 1.0 / 3])), [2.85, 3 - 0.6 / 9])


def test_integers_of_numpy_are_paddings():
    x = np.ones((2, 5, 1))
    layer = nn.Conv1d(1, 2, 3, padding=np.int64(1))
    assert layer.apply(layer.init(np.random.default_rng(0)), x).shape == (2, 5, 2)


def test_one_schedule_alone_can_be_joined():
    assert nn.JoinedSchedules((0.1,), ())(3) == 0.1


def test_pools_of_integers_are_right():
    x = np.array([[[1], [2], [6]]])
    np.testing.assert_array_equal(nn.MaxPool1d(2, 1, 1).apply((), -x)[0, :, 0], [-1, -1, -2, -6])
    np.testing.assert_array_equal(nn.AdaptiveAvgPool1d(2).apply((), x)[0, :, 0], [1.5, 4])


def test_dropout_refuses_integers():
    with pytest.raises(ArgumentError, match="floating or complex dtype, but got int64"):
        nn.Dropout().apply((), np.ones(3, int), train=True, rng=np.random.default_rng(0))


def test_attention_takes_lists_and_refuses_masks_of_other_shapes():
    x = np.eye(2)
    y = nn.attention(x, x, x, mask=[[True, False], [True, True]])
    np.testing.assert_array_equal(y[0], [1, 0])
    with pytest.raises(ShapeError, match=r"of shape \(3, 3\), does not broadcast to \(2, 2\)"):
        nn.attention(x, x, x, mask=np.ones((3, 3), bool))


def test_attention_over_nothing_is_empty():
    layer = nn.MultiHeadAttention(4, 2)
    params = layer.init(np.random.default_rng(0))
    assert layer.apply(params, np.ones((3, 0, 4))).shape == (3, 0, 4)


def test_a_state_of_another_layer_is_refused():
    x = np.ones((2, 3))
    layer = nn.BatchNorm(3)
    params = layer.init(None)
    for other in (1, 4):
        for train in (False, True):
            with pytest.raises(ShapeError, match=r"needs state\['mean'\] of shape \(3,\), but got"):
                layer.apply(params, x, state=nn.BatchNorm(other).init_state(), train=train)
    block = nn.Residual(layer)
    with pytest.raises(ArgumentError, match="a Residual of 2 layers needs as many states"):
        block.apply(block.init(None), x, state=(), train=True)


def test_an_error_names_its_place_in_a_residual():
    block = nn.Residual(nn.Linear(3, 4), nn.Linear(2, 4))
    params = block.init(np.random.default_rng(0))
    with pytest.raises(ShapeError, match=r"^shortcut of Residual: Linear"):
        block.apply(params, np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"^layer of Residual: Linear"):
        block.apply(params, np.ones((2, 2)))


@pytest.mark.parametrize("layer", [nn.RNN(3, 4), nn.GRU(3, 4), nn.LSTM(3, 4)], ids=repr)
def test_a_carry_of_another_shape_is_refused(layer):
    params = layer.init(np.random.default_rng(0))
    x = np.ones((5, 6, 3))
    _, carry = layer.scan(params, x)
    turned = tuple(part.T for part in carry) if isinstance(carry, tuple) else carry.T
    for other in (turned, (carry, carry), np.zeros((1, 4))):
        with pytest.raises(ShapeError, match="needs a carry of shape"):
            layer.scan(params, x, other)


def test_a_carry_of_a_cell_is_never_broadcast():
    cell = nn.GRUCell(3, 4)
    with pytest.raises(ShapeError, match=r"carry of shape \(5, 4\), but got \(1, 4\)"):
        cell.apply(cell.init(np.random.default_rng(0)), np.ones((5, 3)), np.ones((1, 4)))


@pytest.mark.parametrize("mask", ["w", {"w": np.array([True, False])}, {"w": 1.0}])
def test_a_mask_is_made_of_true_and_false(mask):
    params = {"w": np.ones(2)}
    opt = nn.AdamW(mask=mask)
    with pytest.raises(ArgumentError, match="mask of AdamW is made of True and False"):
        opt.update(params, opt.init(params), params)


def test_lbfgs_asks_for_the_function():
    opt, x = nn.LBFGS(), np.ones(2)
    with pytest.raises(
        ArgumentError, match="the function in place of gradients, but got a ndarray"
    ):
        opt.update(x, opt.init(x), x)
    with pytest.raises(ArgumentError, match=r"returns \(value, grads\), but got a float64"):
        opt.minimize(np.sum, x)
    with pytest.raises(
        StructureError, match="LBFGS keeps a dict of step, changes and grad_changes"
    ):
        opt.update(lambda x: (x.sum(), x), nn.Adam().init(x), x)


def test_a_class_is_no_model():
    with pytest.raises(ArgumentError, match="the model of summary is the class Linear"):
        nn.summary(nn.Linear, (1, 2))
