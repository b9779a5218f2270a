"""The values and gradients of layers and losses are PyTorch's, where that is installed."""

import numpy as np
import pytest

from funcgrad import grad, nn, tree

torch = pytest.importorskip("torch")
F = torch.nn.functional

pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same.")  # PyTorch on its own speed


def tensor(x):
    return torch.tensor(np.array(x), requires_grad=np.asarray(x).dtype.kind == "f")


def channels_first(x):
    return np.moveaxis(x, -1, 1)


def torch_weight(w):
    """Turn (*kernel, in, out) into (out, in, *kernel)."""
    return np.moveaxis(w, (-1, -2), (0, 1))


def same(f, g, *arrays):
    """Check values, and gradients of a sum of squares by every array."""
    tensors = [tensor(a) for a in arrays]
    ours, theirs = f(*arrays), g(*tensors)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
    (theirs * theirs).sum().backward()
    floats = tuple(i for i, a in enumerate(arrays) if a.dtype.kind == "f")
    grads = grad(lambda *xs: (f(*xs) ** 2).sum(), argnums=floats)(*arrays)
    for i, mine in zip(floats, grads, strict=True):
        np.testing.assert_allclose(mine, tensors[i].grad.numpy(), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (nn.relu, F.relu),
        (nn.leaky_relu, F.leaky_relu),
        (nn.elu, F.elu),
        (nn.gelu, lambda x: F.gelu(x, approximate="tanh")),
        (nn.silu, F.silu),
        (nn.softplus, F.softplus),
        (nn.mish, F.mish),
        (nn.hard_tanh, F.hardtanh),
        (nn.tanh, torch.tanh),
        (nn.sigmoid, torch.sigmoid),
        (nn.log_sigmoid, F.logsigmoid),
        (nn.softmax, lambda x: F.softmax(x, -1)),
        (nn.log_softmax, lambda x: F.log_softmax(x, -1)),
    ],
)
def test_activations(ours, theirs, rng):
    same(ours, theirs, 3 * rng.normal(size=(4, 5)))


@pytest.mark.parametrize("fun", ["leaky_relu", "elu", "relu"])
def test_derivatives_at_the_kink(fun):
    same(getattr(nn, fun), getattr(F, fun), np.zeros(3))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stride": 2},
        {"padding": 1},
        {"padding": "same"},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2), "groups": 2},
    ],
)
def test_convolutions_of_images(settings, rng):
    layer = nn.Conv2d(4, 6, (3, 2), **settings)
    x = rng.normal(size=(2, 7, 8, 4))
    w, b = layer.init(rng)

    def theirs(x, w, b):
        y = F.conv2d(x.movedim(-1, 1), w.movedim((-1, -2), (0, 1)), b, **settings)
        return y.movedim(1, -1)

    same(lambda x, w, b: layer.apply((w, b), x), theirs, x, w, b + 1)


@pytest.mark.parametrize(
    "settings", [{}, {"stride": 3, "padding": 1}, {"dilation": 2, "groups": 2}]
)
def test_convolutions_of_sequences(settings, rng):
    layer = nn.Conv1d(4, 6, 3, **settings)
    w, b = layer.init(rng)

    def theirs(x, w, b):
        y = F.conv1d(x.movedim(-1, 1), w.movedim((-1, -2), (0, 1)), b, **settings)
        return y.movedim(1, -1)

    same(lambda x, w, b: layer.apply((w, b), x), theirs, rng.normal(size=(2, 9, 4)), w, b)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stride": 2},
        {"stride": 3, "padding": 2, "output_padding": 1},
        {"padding": 3, "dilation": 2},
        {"stride": (2, 1), "groups": 2},
    ],
)
def test_transposed_convolutions(settings, rng):
    layer = nn.ConvTranspose2d(4, 6, 3, **settings)
    w, b = layer.init(rng)
    groups = settings.get("groups", 1)

    def theirs(x, w, b):
        # PyTorch: (in, out / groups, *kernel), the groups one after the other along `in`
        parts = w.movedim((-2, -1), (0, 1)).chunk(groups, 1)
        return F.conv_transpose2d(x.movedim(-1, 1), torch.cat(parts), b, **settings).movedim(1, -1)

    same(lambda x, w, b: layer.apply((w, b), x), theirs, rng.normal(size=(2, 5, 4, 4)), w, b)


@pytest.mark.parametrize(
    ("layer", "theirs"),
    [
        (nn.MaxPool2d(2), lambda x: F.max_pool2d(x, 2)),
        (nn.MaxPool2d(3, 2, 1), lambda x: F.max_pool2d(x, 3, 2, 1)),
        (nn.AvgPool2d((2, 3), 2, 1), lambda x: F.avg_pool2d(x, (2, 3), 2, 1)),
        (nn.AdaptiveAvgPool2d((3, 2)), lambda x: F.adaptive_avg_pool2d(x, (3, 2))),
        (nn.AdaptiveAvgPool2d(9), lambda x: F.adaptive_avg_pool2d(x, 9)),
    ],
)
def test_pools(layer, theirs, rng):
    x = rng.normal(size=(2, 7, 8, 3))
    same(lambda x: layer.apply((), x), lambda x: theirs(x.movedim(-1, 1)).movedim(1, -1), x)


def test_normalisations(rng):
    x, scale, shift = rng.normal(size=(3, 5, 6)), rng.normal(size=6), rng.normal(size=6)
    same(
        lambda x, s, b: nn.LayerNorm(6).apply((s, b), x),
        lambda x, s, b: F.layer_norm(x, (6,), s, b),
        x,
        scale,
        shift,
    )
    same(
        lambda x, s: nn.RMSNorm(6).apply((s,), x),
        lambda x, s: F.rms_norm(x, (6,), s, 1e-5),
        x,
        scale,
    )
    same(
        lambda x, s, b: nn.GroupNorm(3, 6).apply((s, b), x),
        lambda x, s, b: F.group_norm(x.movedim(-1, 1), 3, s, b).movedim(1, -1),
        x,
        scale,
        shift,
    )


def test_batch_norm_and_its_state(rng):
    layer, theirs = nn.BatchNorm(3), torch.nn.BatchNorm2d(3, dtype=torch.float64)
    params, state = layer.init(rng), layer.init_state()
    for _ in range(3):
        x = rng.normal(2, 3, size=(4, 5, 6, 3))
        y, state = layer.apply(params, x, state=state, train=True)
        expected = theirs(tensor(channels_first(x))).detach().numpy()
        np.testing.assert_allclose(channels_first(y), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(state["mean"], theirs.running_mean.numpy())
    np.testing.assert_allclose(state["var"], theirs.running_var.numpy())
    theirs.eval()
    y, unchanged = layer.apply(params, x, state=state)
    np.testing.assert_allclose(
        channels_first(y), theirs(tensor(channels_first(x))).detach().numpy()
    )
    assert unchanged is state


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_recurrent_layers(kind, rng):
    layer = getattr(nn, kind)(3, 4)
    theirs = getattr(torch.nn, kind)(3, 4, batch_first=True, dtype=torch.float64)
    params = tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape), layer.init(rng))
    w, u, b, *b_n = params
    hidden_bias = np.zeros_like(b)
    if b_n:
        hidden_bias[8:] = b_n[0]
    with torch.no_grad():
        for p, array in zip(theirs.parameters(), (w.T, u.T, b, hidden_bias), strict=True):
            p.copy_(torch.tensor(np.array(array)))
    x = rng.normal(size=(2, 5, 3))
    ours, carry = layer.scan(params, x)
    xs = tensor(x)
    expected, last = theirs(xs)
    np.testing.assert_allclose(ours, expected.detach().numpy(), rtol=1e-12)
    for mine, other in zip(tree.leaves(carry), last if kind == "LSTM" else [last], strict=True):
        np.testing.assert_allclose(mine, other[0].detach().numpy(), rtol=1e-12)
    (expected**2).sum().backward()
    grads, dx = grad(lambda p, x: (layer.apply(p, x) ** 2).sum(), argnums=(0, 1))(params, x)
    np.testing.assert_allclose(dx, xs.grad.numpy(), rtol=1e-9)
    for mine, p in zip(grads, theirs.parameters(), strict=False):
        np.testing.assert_allclose(
            mine if mine.shape == (4,) else mine.T, _grad_of(p, mine), rtol=1e-9
        )


def _grad_of(p, mine):
    g = p.grad.numpy()
    return g[8:] if mine.shape == (4,) and len(g) == 12 else g


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal, rng):
    layer = nn.MultiHeadAttention(6, 2, causal=causal)
    theirs = torch.nn.MultiheadAttention(6, 2, batch_first=True, dtype=torch.float64)
    params = tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape), layer.init(rng))
    w_in, b_in, w_out, b_out = params
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.tensor(w_in.T.copy()))
        theirs.in_proj_bias.copy_(torch.tensor(b_in))
        theirs.out_proj.weight.copy_(torch.tensor(w_out.T.copy()))
        theirs.out_proj.bias.copy_(torch.tensor(b_out))
    x, memory = rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 7, 6))
    hidden = torch.tensor(~np.tri(5, dtype=bool)) if causal else None
    same(lambda x: layer.apply(params, x), lambda x: theirs(x, x, x, attn_mask=hidden)[0], x)
    if not causal:
        same(lambda x, m: layer.apply(params, x, m), lambda x, m: theirs(x, m, m)[0], x, memory)


def test_embedding(rng):
    layer = nn.Embedding(5, 3)
    x = rng.integers(5, size=(4, 6))
    same(
        lambda t: layer.apply((t,), x),
        lambda t: F.embedding(torch.tensor(x), t),
        rng.normal(size=(5, 3)),
    )


REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


@REDUCTIONS
def test_losses_of_differences(reduction, rng):
    y, t = 2 * rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    for ours, theirs in [
        (nn.mean_squared_error, F.mse_loss),
        (nn.mean_absolute_error, F.l1_loss),
        (nn.huber, F.huber_loss),
    ]:
        same(
            lambda y, t, f=ours: f(y, t, reduction=reduction),
            lambda y, t, f=theirs: f(y, t, reduction=reduction),
            y,
            t,
        )


@REDUCTIONS
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_losses_of_classes(reduction, smoothing, rng):
    z, labels = 3 * rng.normal(size=(5, 4)), rng.integers(4, size=5)
    p = nn.softmax(rng.normal(size=(5, 4)))
    for targets in (labels, p):
        same(
            lambda z, t=targets: nn.softmax_cross_entropy(
                z, t, label_smoothing=smoothing, reduction=reduction
            ),
            lambda z, t=targets: F.cross_entropy(
                z, torch.tensor(t), label_smoothing=smoothing, reduction=reduction
            ),
            z,
        )


@REDUCTIONS
def test_other_losses(reduction, rng):
    z, t = 3 * rng.normal(size=(5, 4)), rng.uniform(size=(5, 4))
    same(
        lambda z, t: nn.sigmoid_cross_entropy(z, t, reduction=reduction),
        lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction=reduction),
        z,
        t,
    )
    p, q = nn.softmax(z), nn.softmax(rng.normal(size=(5, 4)))
    batchwise = {"mean": "batchmean"}.get(reduction, reduction)

    def kl(log_y, t):
        losses = F.kl_div(log_y, t, reduction=batchwise)
        return losses.sum(-1) if reduction == "none" else losses

    same(lambda y, t: nn.kl_divergence(y, t, reduction=reduction), kl, np.log(p), q)
    x, y, n = rng.normal(size=(3, 5, 4))
    same(
        lambda x, y: nn.cosine_distance(x, y, reduction=reduction),
        lambda x, y: F.cosine_embedding_loss(x, y, torch.ones(5), reduction=reduction),
        x,
        y,
    )
    same(
        lambda x, y, n: nn.triplet(x, y, n, reduction=reduction),
        lambda x, y, n: F.triplet_margin_loss(x, y, n, eps=0.0, reduction=reduction),
        x,
        y,
        n,
    )


@REDUCTIONS
def test_hinges(reduction, rng):
    z, labels = 2 * rng.normal(size=(5, 4)), rng.integers(4, size=5)
    same(
        lambda z: nn.multiclass_hinge(z, labels, reduction=reduction) / 4,  # PyTorch divides by K
        lambda z: F.multi_margin_loss(z, torch.tensor(labels), reduction=reduction),
        z,
    )
    mine = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    listed = [[*np.flatnonzero(row), -1, -1, -1, -1][:4] for row in mine]
    same(
        lambda z: nn.multilabel_hinge(z, mine, reduction=reduction),
        lambda z: F.multilabel_margin_loss(z, torch.tensor(listed), reduction=reduction),
        z,
    )
