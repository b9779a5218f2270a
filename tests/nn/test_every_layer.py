"""What every layer does: right derivatives of first and second order, float32, vmap, jvp."""

import numpy as np
import pytest

from funcgrad import grad, hvp, jacrev, jvp, nn, tree, vjp, vmap
from funcgrad.errors import ShapeError
from funcgrad.nn import activation_layers
from funcgrad.testing import check_grads
from tests.nn.cases import SMOOTH, drawn

EVERY = pytest.mark.parametrize("name", SMOOTH)
ACROSS = {"batch norm", "network"}  # layers that look at the whole batch
ACTIVATIONS = tuple(getattr(nn, name) for name in activation_layers.__all__)
LEADING = {"group norm", "flatten", "global pool", "network"}  # the first axis is the samples'


def test_no_layer_is_left_out():
    def inside(layer):
        yield type(layer).__name__
        for child in (*getattr(layer, "layers", ()), *vars(layer).values()):
            if hasattr(child, "apply"):
                yield from inside(child)

    covered = {kind for layer, _ in SMOOTH.values() for kind in inside(layer)}
    layers = {name for name in nn.__all__ if hasattr(getattr(nn, name), "apply")}
    assert layers - covered == {"Embedding", "GRUCell", "LSTMCell", "RNNCell"}


@EVERY
def test_derivatives_to_second_order(name):
    f, params, x = drawn(name)
    check_grads(f, (params, x))


@EVERY
def test_float32_is_kept(name):
    f, params, x = drawn(name, np.float32)
    y, pullback = vjp(f, params, x)
    assert y.dtype == np.float32
    grads = tree.leaves(pullback(np.ones_like(y)))
    assert {g.dtype for g in grads} == {np.dtype(np.float32)}
    f64, *args = drawn(name)
    np.testing.assert_allclose(y, f64(*args), rtol=1e-4, atol=1e-4)


@EVERY
def test_vmap_over_parameters_and_inputs_is_a_loop(name):
    f, params, x = drawn(name)
    rng = np.random.default_rng(1)
    many = tree.map(lambda p: p + 0.1 * rng.normal(size=(3, *p.shape)), params)
    xs = x + 0.1 * rng.normal(size=(3, *x.shape))
    for fun in (f, grad(lambda p, x: (f(p, x) ** 2).sum(), argnums=1)):
        rows = [fun(tree.map(lambda p, k=k: p[k], many), xs[k]) for k in range(3)]
        np.testing.assert_allclose(vmap(fun)(many, xs), rows, rtol=1e-9, atol=1e-11)


@EVERY
def test_forward_mode_and_reverse_mode_agree(name):
    f, params, x = drawn(name)
    rng = np.random.default_rng(1)
    tangents = tree.map(lambda p: rng.normal(size=p.shape), (params, x))
    y, pushed = jvp(f, (params, x), tangents)
    ct = rng.normal(size=y.shape)
    again, pullback = vjp(f, params, x)
    np.testing.assert_allclose(again, y, rtol=1e-13, atol=1e-13)
    pairs = zip(tree.leaves(pullback(ct)), tree.leaves(tangents), strict=True)
    pulled = sum(float((g * t).sum()) for g, t in pairs)
    assert pulled == pytest.approx(float((ct * pushed).sum()), rel=1e-9)


@EVERY
def test_a_pullback_can_be_used_again_and_on_traced_cotangents(name):
    f, params, x = drawn(name)
    y, pullback = vjp(f, params, x)
    once, again = (tree.leaves(pullback(np.ones_like(y))) for _ in range(2))
    mapped = tree.leaves(vmap(pullback)(np.ones((2, *y.shape))))
    for a, b, c in zip(once, again, mapped, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(c[1], a, rtol=1e-10, atol=1e-12)


@EVERY
def test_neither_parameters_nor_input_are_changed(name):
    f, params, x = drawn(name)
    for array in (*tree.leaves(params), x):
        array.flags.writeable = False
    grad(lambda params, x: f(params, x).sum(), argnums=(0, 1))(params, x)


@EVERY
def test_an_input_alone_or_parameters_alone_may_be_differentiated(name):
    f, params, x = drawn(name)
    both = grad(lambda p, x: (f(p, x) ** 2).sum(), argnums=(0, 1))(params, x)
    by_x = grad(lambda x: (f(params, x) ** 2).sum())(x)
    by_params = grad(lambda p: (f(p, x) ** 2).sum())(params)
    for one, other in zip(tree.leaves(both), tree.leaves((by_params, by_x)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", [name for name in SMOOTH if name not in ACROSS | LEADING])
def test_leading_axes_are_samples(name):
    f, params, x = drawn(name)
    if name == "dropout":
        return  # draws a mask per entry
    stacked = np.stack([x, 2 * x])
    rows = [f(params, x), f(params, 2 * x)]
    np.testing.assert_allclose(f(params, stacked), rows, rtol=1e-12, atol=1e-12)


@EVERY
def test_an_empty_batch_is_no_special_case(name):
    if name in ACROSS:
        return
    f, params, x = drawn(name)
    y, pullback = vjp(f, params, x[:0])
    assert y.shape[0] == 0
    assert all((g == 0).all() for g in tree.leaves(pullback(y)[0]))


@EVERY
def test_a_wrong_last_axis_raises_a_clear_error(name):
    layer, _ = SMOOTH[name]
    if not layer.init(np.random.default_rng(0)):
        return
    f, params, x = drawn(name)
    wrong = np.concatenate([x, x], axis=-1)
    with pytest.raises(ShapeError, match=r"needs x of shape .* but got x of shape"):
        f(params, wrong)


@EVERY
def test_a_list_is_no_array(name):
    layer, _ = SMOOTH[name]
    if name in ("lambda", "residual", "projected residual") or isinstance(layer, ACTIVATIONS):
        return  # NumPy's own functions say what they take
    f, params, _ = drawn(name)
    with pytest.raises(ShapeError, match="needs an array, but got a list"):
        f(params, [1.0, 2.0])


def test_hessian_vector_products_go_through_fused_layers():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    rng = np.random.default_rng(0)
    params, x, y = model.init(rng), rng.normal(size=(5, 3)), rng.integers(2, size=5)

    def loss(params):
        return nn.softmax_cross_entropy(model.apply(params, x), y)

    v = tree.map(lambda p: rng.normal(size=p.shape), params)
    product = hvp(loss, (params,), (v,))
    eps = 1e-5
    ahead, behind = (
        grad(loss)(tree.map(lambda p, t, s=s: p + s * eps * t, params, v)) for s in (1, -1)
    )
    for h, a, b in zip(*map(tree.leaves, (product, ahead, behind)), strict=True):
        np.testing.assert_allclose(h, (a - b) / (2 * eps), atol=1e-7)


def test_jacobians_go_through_fused_layers():
    layer = nn.Linear(3, 2)
    w, b = layer.init(np.random.default_rng(0))
    np.testing.assert_allclose(jacrev(lambda x: layer.apply((w, b), x))(np.ones(3)), w.T)
