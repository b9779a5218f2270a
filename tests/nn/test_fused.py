"""Functions with passes by hand: when a tape takes them, and when the NumPy code."""

import numpy as np
import pytest

from funcgrad import (
    custom_vjp,
    debug_nans,
    grad,
    hessian,
    jvp,
    make_tape,
    nn,
    tree,
    value_and_grad,
    vjp,
    vmap,
)
from funcgrad.errors import (
    ArgumentError,
    MutatedConstantError,
    NonFiniteError,
    ShapeError,
    StructureError,
)
from funcgrad.nn import activations
from funcgrad.nn.fused import Fused, in_a_row
from funcgrad.nn.layers import affine
from funcgrad.nn.losses import squares
from funcgrad.nn.normalization import layer_norm
from funcgrad.nn.recurrence import gru_states, lstm_states, rnn_states
from funcgrad.testing import check_grads

CALLS = []


def plain(x, w):
    CALLS.append("plain")
    return np.sqrt(x) * w


def forward(needs, x, w):
    CALLS.append(tuple(needs))
    return np.sqrt(x) * w, (needs, x, w)


def backward(ct, residuals):
    CALLS.append("backward")
    (x_needed, w_needed), x, w = residuals
    dx = ct * w / (2 * np.sqrt(x)) if x_needed else None
    return dx, ct * np.sqrt(x) if w_needed else None


root_times = Fused(plain, forward, backward)


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


def test_on_plain_arrays_it_is_the_numpy_code():
    assert root_times(np.float64(4.0), 3.0) == 6
    assert CALLS == ["plain"]
    assert repr(root_times) == "<fused plain>"


def test_a_tape_takes_the_passes_by_hand_and_says_what_it_needs():
    x, w = np.array([4.0, 9.0]), np.array([1.0, 2.0])
    dx, dw = grad(lambda x, w: root_times(x, w).sum(), argnums=(0, 1))(x, w)
    np.testing.assert_allclose(dx, w / (2 * np.sqrt(x)))
    np.testing.assert_allclose(dw, np.sqrt(x))
    np.testing.assert_allclose(grad(lambda x: root_times(x, w).sum())(x), dx)
    assert CALLS == [(True, True), "backward", (True, False), "backward"]


def test_what_goes_beyond_takes_the_numpy_code():
    x, w = np.array([4.0, 9.0]), np.array([1.0, 2.0])
    _, tangent = jvp(root_times, (x, w), (np.ones(2), np.zeros(2)))
    np.testing.assert_allclose(tangent, w / (2 * np.sqrt(x)))
    second = hessian(lambda x: root_times(x, w).sum())(x)
    np.testing.assert_allclose(second, np.diag(-w / 4 * x**-1.5))
    np.testing.assert_allclose(vmap(grad(root_times), in_axes=(0, None))(x, 2.0), 1 / np.sqrt(x))
    twice = grad(lambda x: grad(lambda y: root_times(y, x))(x))(4.0)
    assert twice == pytest.approx(1 / 8)  # d/dx of x / (2 sqrt x), at the same point
    assert "backward" not in CALLS


def test_a_traced_cotangent_takes_the_numpy_code():
    x, w = np.array([4.0, 9.0]), np.array([1.0, 2.0])
    _, pullback = vjp(root_times, x, w)
    rows = vmap(lambda ct: pullback(ct)[0])(np.eye(2))
    np.testing.assert_allclose(rows, np.diag(w / (2 * np.sqrt(x))))
    assert "backward" not in CALLS
    through = grad(lambda s: (pullback(s * np.ones(2))[1]).sum())(1.0)
    assert through == pytest.approx(5)


def test_zero_stays_zero():
    x = np.array([0.0, 4.0])
    g = grad(lambda x: np.where(x > 0, root_times(x, 2.0), 0).sum())(x)
    np.testing.assert_allclose(g, [0, 0.5])


def test_cotangents_of_several_uses_add_up():
    w = np.array([1.0, 2.0])
    g = grad(lambda w: (root_times(np.array([4.0, 4.0]), w) + root_times(w, w) + w).sum())(w)
    np.testing.assert_allclose(g, 2 + 1.5 * np.sqrt(w) + 1)


def test_a_constant_changed_after_its_use_gives_the_right_gradient_or_an_error():
    small, large = np.full(3, 4.0), np.full(20_000, 4.0)

    def loss(w, x):
        y = root_times(x, w)
        x[:] = 9
        return y.sum()

    np.testing.assert_allclose(grad(loss)(np.ones(3), small), 2)
    with pytest.raises(MutatedConstantError, match="changed in place"):
        grad(loss)(np.ones(20_000), large)


def test_debug_nans_looks_inside():
    layer = nn.Linear(2, 1)
    params, x = (np.array([[1.0], [-1.0]]), np.zeros(1)), np.full((1, 2), np.inf)
    with debug_nans(), pytest.raises(NonFiniteError, match=r"`matmul`(.*\n)*.*test_fused.py"):
        grad(lambda params: layer.apply(params, x).sum())(params)


def test_results_can_be_written_to():
    def loss(w):
        y = root_times(np.full(3, 4.0), w)
        y[0] = 0
        return (y * y).sum()

    np.testing.assert_allclose(grad(loss)(np.ones(3)), [0, 8, 8])


def test_it_composes_with_custom_rules():
    @custom_vjp
    def double(x):
        return root_times(x, 2.0)

    double.defvjp(lambda x: (root_times(x, 2.0), x), lambda x, ct: (ct * 100.0,))
    assert grad(lambda x: double(x) + root_times(x, 2.0))(4.0) == pytest.approx(100.5)


@pytest.mark.parametrize("samples", [4, 64])  # few rows, and many short ones
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_passes_of_the_cross_entropy_are_those_of_its_code(reduction, smoothing, samples, rng):
    labels = rng.integers(3, size=samples)
    z = rng.normal(size=(samples, 3)) * 50

    def loss(z):
        losses = nn.softmax_cross_entropy(z, labels, label_smoothing=smoothing, reduction=reduction)
        return (losses * losses).sum()

    value, g = value_and_grad(loss)(z)
    assert value == pytest.approx(loss(z), rel=1e-14)
    tangents = [jvp(loss, (z,), (t.reshape(z.shape),))[1] for t in np.eye(z.size)]
    largest = np.abs(tangents).max()  # p - 1 rounds, and is multiplied by it
    atol = 1e-13 if samples == 4 else 4e-16 * largest
    np.testing.assert_allclose(g.reshape(-1), tangents, rtol=1e-11, atol=atol)


def many(*shape):
    """Return numbers of either sign, some of them large."""
    return np.random.default_rng(3).normal(size=shape) * 4


FUNCTIONS = {
    "affine": (affine, [many(5, 3), many(3, 4), many(4)], {}),
    "affine of one sample": (affine, [many(3), many(3, 4), many(4)], {}),
    "affine of many sequences": (affine, [many(7, 9, 3), many(3, 4), many(4)], {}),
    "affine of no sample": (affine, [many(0, 3), many(3, 4), many(4)], {}),
    "linear": (affine, [many(5, 3), many(3, 4)], {}),
    "relu": (activations.fused_relu, [many(5, 3)], {}),
    "relu of a number": (activations.fused_relu, [np.array(2.0)], {}),
    "sigmoid": (activations.fused_sigmoid, [many(5, 3)], {}),
    "sigmoid in the tails": (activations.fused_sigmoid, [np.array([-800.0, -40, 0, 40, 800])], {}),
    "sigmoid of a number": (activations.fused_sigmoid, [np.array(-2.0)], {}),
    "tanh": (activations.fused_tanh, [many(5, 3)], {}),
    "tanh of a number": (activations.fused_tanh, [np.array(0.5)], {}),
    "softmax of few rows": (activations.fused_softmax, [many(5, 3)], {"axis": -1}),
    "softmax of many rows": (activations.fused_softmax, [many(20, 10, 3)], {"axis": 2}),
    "softmax of columns": (activations.fused_softmax, [many(80, 3)], {"axis": 0}),
    "softmax of all": (activations.fused_softmax, [many(80, 3)], {"axis": (0, 1)}),
    "softmax of nothing": (activations.fused_softmax, [many(0, 3)], {"axis": -1}),
    "log-softmax of few rows": (activations.fused_log_softmax, [many(5, 3)], {"axis": -1}),
    "log-softmax of many rows": (activations.fused_log_softmax, [many(200, 3)], {"axis": -1}),
    "log-softmax of columns": (activations.fused_log_softmax, [many(80, 3)], {"axis": 0}),
    "layer norm of few rows": (layer_norm, [many(5, 6), many(6), many(6)], {"eps": 1e-5}),
    "layer norm of many rows": (layer_norm, [many(7, 20, 6), many(6), many(6)], {"eps": 0.1}),
    "layer norm of one row": (layer_norm, [many(6), many(6), many(6)], {"eps": 1e-5}),
    "layer norm of no row": (layer_norm, [many(0, 6), many(6), many(6)], {"eps": 1e-5}),
    "mean of squares": (squares, [many(5, 3), many(5, 3)[::-1]], {"count": 15}),
    "half of squares": (squares, [many(5, 3), many(5, 3)[::-1]], {"count": 10}),
    "one square": (squares, [np.array(2.0), np.array(0.5)], {"count": 1}),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_passes_of_a_function_are_those_of_its_code(name, dtype, rng):
    function, arrays, settings = FUNCTIONS[name]
    arrays = [array.astype(dtype) for array in arrays]

    def by_hand(*arrays):
        return function(*arrays, **settings)

    def by_code(*arrays):
        return function.plain(*arrays, **settings)

    value, pullback = vjp(by_hand, *arrays)
    expected, other = vjp(by_code, *arrays)
    rtol, atol = (1e-11, 1e-13) if dtype == "float64" else (2e-4, 2e-5)
    np.testing.assert_allclose(value, expected, rtol=rtol, atol=atol)
    assert value.dtype == dtype
    ct = np.asarray(rng.normal(size=value.shape), dtype)[()]
    all_at_once = pullback(ct)
    for i, (mine, theirs) in enumerate(zip(all_at_once, other(ct), strict=True)):
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=atol)
        alone = grad(lambda *xs: (by_hand(*xs) * ct).sum(), argnums=i)(*arrays)
        np.testing.assert_array_equal(alone, mine)
        np.testing.assert_array_equal(pullback(ct)[i], mine)  # nothing of it was changed


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "affine", "layer norm of few rows"])
def test_the_passes_of_a_function_of_complex_numbers(name, rng):
    function, arrays, settings = FUNCTIONS[name]
    arrays = [array + 1j * rng.normal(size=array.shape) for array in arrays]
    value, pullback = vjp(lambda *xs: function(*xs, **settings), *arrays)
    expected, other = vjp(lambda *xs: function.plain(*xs, **settings), *arrays)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    ct = rng.normal(size=value.shape) + 1j * rng.normal(size=value.shape)
    for mine, theirs in zip(pullback(ct), other(ct), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10)


@pytest.mark.parametrize("cotangents", [(), (1.0,), (1.0, 2.0, 3.0)])
def test_a_backward_pass_that_returns_too_few_or_too_many_raises(cotangents):
    bad = Fused(plain, forward, lambda ct, residuals: cotangents)
    message = rf"<fused plain> returned {len(cotangents)} cotangents for 2 arguments"
    with pytest.raises(StructureError, match=message):
        grad(bad)(4.0, 3.0)
    steps = [(root_times, (3.0,), {}), (bad, (2.0,), {})]
    with pytest.raises(StructureError, match=message):
        grad(lambda x: in_a_row(x, steps))(4.0)


def test_half_precision_holds_the_mean_of_squares_that_it_cannot_add_up():
    y = np.full((100, 100), 20, np.float16)
    value, slope = value_and_grad(nn.mean_squared_error)(y, 0 * y)
    assert (value, value.dtype, slope.dtype) == (400, np.float16, np.float16)
    np.testing.assert_allclose(slope, 2 * 20 / 1e4, rtol=1e-3)


LAYERS = (nn.Linear(3, 4), nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 5, bias=False), nn.Softmax())


def one_by_one(params, x):
    for layer, own in zip(LAYERS, params, strict=True):
        x = layer.apply(own, x)
    return x


def test_layers_in_a_row_are_one_node_and_give_what_they_give_one_by_one(rng):
    model = nn.Sequential(*LAYERS)
    params, x, ct = model.init(rng), rng.normal(size=(6, 3)), rng.normal(size=(6, 5))
    tape = make_tape(model.apply, argnums=(0, 1))(params, x)
    assert len(tape) == len(LAYERS)  # who looks sees each of them
    value, pullback = vjp(model.apply, params, x)
    expected, other = vjp(one_by_one, params, x)
    np.testing.assert_array_equal(value, expected)
    for mine, theirs in zip(tree.leaves(pullback(ct)), tree.leaves(other(ct)), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with Counted(LAYERS) as calls:
        grad(lambda params: (model.apply(params, x) * ct).sum())(params)
    assert calls == []


@pytest.mark.parametrize("trained", [[0], [2, 3], [3], []])
def test_layers_in_a_row_of_which_some_are_constant(trained, rng):
    model = nn.Sequential(*LAYERS)
    params, x, ct = model.init(rng), rng.normal(size=(6, 3)), rng.normal(size=(6, 5))

    def loss(apply):
        def fun(some, x):
            given = dict(zip(trained, some, strict=True))
            return (apply([given.get(i, own) for i, own in enumerate(params)], x) * ct).sum()

        return fun

    some = [params[i] for i in trained]
    for argnums in (0, 1) if trained else (1,):
        mine = tree.leaves(grad(loss(model.apply), argnums)(some, x))
        for g, expected in zip(mine, tree.leaves(grad(loss(one_by_one), argnums)(some, x))):
            np.testing.assert_allclose(g, expected, rtol=1e-12, atol=1e-13)


def test_layers_in_a_row_under_the_other_transforms(rng):
    model = nn.Sequential(*LAYERS)
    params, x = model.init(rng), rng.normal(size=(6, 3))

    def loss(params, x):
        return (model.apply(params, x) ** 2).sum()

    check_grads(loss, (params, x), order=2)
    each = vmap(grad(loss), in_axes=(None, 0))(params, x)
    for i in range(len(x)):
        for rows, row in zip(tree.leaves(each), tree.leaves(grad(loss)(params, x[i]))):
            np.testing.assert_allclose(rows[i], row, rtol=1e-9, atol=1e-12)


def test_a_layer_that_computes_something_else_than_its_class_is_asked(rng):
    class Doubled(nn.ReLU):
        def function(self, x):
            return 2 * super().function(x)

    class Shifted(nn.Linear):
        def apply(self, params, x):
            return super().apply(params, x) + 1

    x = np.array([[1.0, -2.0]])
    model = nn.Sequential(Doubled(), Doubled(), Shifted(2, 2), nn.ReLU(), nn.ReLU())
    params = ((), (), (np.eye(2), np.zeros(2)), (), ())
    value, g = value_and_grad(lambda x: model.apply(params, x).sum())(x)
    assert value == 6
    np.testing.assert_array_equal(g, [[4, 0]])


def test_a_mistake_in_a_row_names_its_layer(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 2))
    params = model.init(rng)
    with pytest.raises(ShapeError, match=r"layer 2 of Sequential: Linear\(in_dim=5, out_dim=2\)"):
        grad(lambda params: model.apply(params, np.ones((6, 3))).sum())(params)
    with pytest.raises(ArgumentError, match=r"layer 1 of Sequential: ReLU\(\) has no parameters"):
        model.apply((params[0], params[0], params[2]), np.ones((6, 3)))
    with pytest.raises(
        ShapeError, match=r"layer 0 of Sequential: .* needs an array, but got a list"
    ):
        model.apply(params, [1.0, 2.0, 3.0])


def test_a_row_does_not_broadcast_a_single_feature(rng):
    model = nn.Sequential(nn.Tanh(), nn.LayerNorm(3))
    params, x = model.init(rng), np.ones((6, 1))
    wrong = r"layer 1 of Sequential: LayerNorm.* needs x of shape \(\.\.\., 3\)"
    with pytest.raises(ShapeError, match=wrong):
        model.apply(params, x)
    with pytest.raises(ShapeError, match=wrong):
        grad(lambda params: model.apply(params, x).sum())(params)


def test_a_row_keeps_zeros_zero():
    model = nn.Sequential(nn.Linear(1, 1), nn.LayerNorm(1, eps=0))
    params = ((np.ones((1, 1)), np.zeros(1)), (np.ones(1), np.zeros(1)))

    def loss(params, x):
        y = model.apply(params, x)  # 0 / 0
        return np.where(x > 5, y, params[0][0]).sum()

    with np.errstate(invalid="ignore"):
        g = grad(loss)(params, np.ones((1, 1)))
    np.testing.assert_array_equal(g[0][0], [[1.0]])


class Counted:
    """Collect the calls of `apply` of some layers."""

    def __init__(self, layers):
        self.classes = {type(layer) for layer in layers}

    def __enter__(self):
        self.patches = pytest.MonkeyPatch()
        calls = []
        for cls in self.classes:
            self.patches.setattr(cls, "apply", lambda *args, cls=cls: calls.append(cls))
        return calls

    def __exit__(self, *error):
        self.patches.undo()


RECURRENCES = {
    "rnn": (rnn_states, 1, 1, {"activation": "tanh"}),
    "relu": (rnn_states, 1, 1, {"activation": "relu"}),
    "gru": (gru_states, 3, 2, {}),  # the bias b_n, then h
    "lstm": (lstm_states, 4, 2, {}),  # h and c
}


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("name", RECURRENCES)
def test_the_passes_of_the_recurrences_are_those_of_their_code(name, every, rng):
    states, gates, more, settings = RECURRENCES[name]
    starts = [(4,), (2, 4)] if name == "gru" else [(2, 4)] * more
    shapes = [(2, 5, 3), (3, 4 * gates), (4 * gates,), (4, 4 * gates), *starts]
    arrays = [rng.normal(size=shape) for shape in shapes]

    def by_hand(*arrays):
        return states(*arrays, every=every, **settings)

    def by_code(*arrays):
        return states.plain(*arrays, every=every, **settings)

    value, pullback = vjp(by_hand, *arrays)
    expected, other = vjp(by_code, *arrays)
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-14)
    ct = rng.normal(size=value.shape)
    all_at_once = pullback(ct)
    for i, (mine, theirs) in enumerate(zip(all_at_once, other(ct), strict=True)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
        alone = grad(lambda *xs: (by_hand(*xs) * ct).sum(), argnums=i)(*arrays)
        np.testing.assert_array_equal(alone, mine)


CONVOLUTIONS = {
    "same": (nn.Conv2d(3, 4, 3, padding="same"), (6, 5, 3)),
    "grey": (nn.Conv2d(1, 4, (2, 3), padding=1), (6, 5, 1)),
    "strided": (nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=((1, 0), (0, 2))), (5, 6, 3)),
    "dilated": (nn.Conv2d(2, 4, 2, dilation=(2, 3), stride=2), (7, 8, 2)),
    "groups": (nn.Conv2d(4, 6, 3, groups=2), (5, 5, 4)),
    "depthwise": (nn.Conv2d(3, 6, 3, groups=3), (4, 5, 3)),
    "line": (nn.Conv1d(3, 4, 5, stride=2, dilation=2, padding=3), (13, 3)),
    "grey line": (nn.Conv1d(1, 2, 3), (9, 1)),
    "transposed": (nn.ConvTranspose2d(2, 3, 3, stride=2), (4, 3, 2)),
}


@pytest.mark.parametrize("samples", [1, 40])  # few windows of a line, and many
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_passes_of_the_convolution_are_those_of_its_code(name, samples, rng):
    layer, shape = CONVOLUTIONS[name]
    params, x = layer.init(rng), rng.normal(size=(samples, *shape))
    y, pullback = vjp(layer.apply, params, x)
    np.testing.assert_allclose(y, layer.apply(params, x), rtol=1e-12, atol=1e-12)
    ct, tangents = (
        rng.normal(size=y.shape),
        tree.map(lambda p: rng.normal(size=p.shape), (params, x)),
    )
    pairs = zip(tree.leaves(pullback(ct)), tree.leaves(tangents), strict=True)
    # Each of the cotangents by itself: an error of one must not be made up for by another.
    for i, (g, t) in enumerate(pairs):
        alone = tree.unflatten(
            tree.structure(tangents),
            [v if i == j else 0 * v for j, v in enumerate(tree.leaves(tangents))],
        )
        pushed = jvp(layer.apply, (params, x), alone)[1]
        assert (g * t).sum() == pytest.approx((ct * pushed).sum(), rel=1e-9)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.MaxPool2d(2), (6, 6, 3)),
        (nn.MaxPool2d(3, stride=2, padding=1), (7, 6, 2)),
        (nn.MaxPool2d(2, stride=3), (7, 8, 2)),
        (nn.MaxPool1d(20), (40, 2)),
        (nn.MaxPool2d(20), (20, 20, 1)),  # more entries than 8 bits count
    ],
    ids=repr,
)
def test_the_passes_of_the_pooling_share_ties_as_its_code_does(layer, shape, rng):
    x = rng.integers(3, size=(2, *shape)).astype(float)
    y, pullback = vjp(lambda x: layer.apply((), x), x)
    ct, t = rng.normal(size=y.shape), rng.normal(size=x.shape)
    _, pushed = jvp(lambda x: layer.apply((), x), (x,), (t,))
    np.testing.assert_array_equal(y, layer.apply((), x))
    assert (pullback(ct)[0] * t).sum() == pytest.approx((ct * pushed).sum(), rel=1e-11)
