"""Gradient descent, with and without momentum."""

import pickle

import numpy as np
import pytest

from funcgrad import grad, nn, tree, vmap
from funcgrad.errors import ArgumentError, ShapeError, StructureError


def quadratic(params):
    return 0.5 * (params["w"] ** 2).sum() + (params["b"] ** 2).sum()


@pytest.fixture
def params():
    return {"w": np.array([[1.0, -2.0]]), "b": np.array(3.0)}


def test_sgd_steps_down_the_gradient(params):
    new = nn.sgd(params, grad(quadratic)(params), lr=0.5)
    np.testing.assert_array_equal(new["w"], [[0.5, -1.0]])
    assert new["b"] == 0


def test_nothing_is_changed_in_place(params):
    opt = nn.SGD(0.1, momentum=0.9)
    grads, state = grad(quadratic)(params), opt.init(params)
    arrays = tree.leaves((params, grads, state))
    for array in arrays:
        np.asarray(array).flags.writeable = False
    new, _ = opt.update(grads, state, params)
    nn.sgd(params, grads, 0.1)
    assert not any(np.shares_memory(a, b) for a in tree.leaves(new) for b in arrays)


def test_momentum_follows_the_recurrence_of_pytorch():
    # p = 1, constant gradient 1: v = 1, 1 + m, 1 + m + m^2, and p falls by lr * v.
    opt = nn.SGD(lr=0.1, momentum=0.5)
    p, g = np.array([1.0]), np.array([1.0])
    state = opt.init(p)
    np.testing.assert_array_equal(state["velocity"], [0.0])
    seen = []
    for _ in range(3):
        p, state = opt.update(g, state, p)
        seen.append((p[0], state["velocity"][0]))
    np.testing.assert_allclose(seen, [(0.9, 1.0), (0.75, 1.5), (0.575, 1.75)])


def test_without_momentum_it_is_sgd_and_keeps_no_velocity(params):
    opt, grads = nn.SGD(lr=0.5), grad(quadratic)(params)
    assert opt.init(params) == {"step": 0}
    new, state = opt.update(grads, opt.init(params), params)
    assert state == {"step": 1}
    np.testing.assert_array_equal(new["w"], nn.sgd(params, grads, 0.5)["w"])


def test_momentum_reaches_the_minimum_of_a_narrow_valley(rng):
    scales, p = np.array([1.0, 100.0]), rng.normal(size=2)
    opt = nn.SGD(lr=0.03, momentum=0.8)
    state = opt.init(p)
    for _ in range(200):
        p, state = opt.update(scales * p, state, p)
    np.testing.assert_allclose(p, 0, atol=1e-8)


@pytest.mark.parametrize("lr", [0.1, np.float64(0.1), np.array(0.1)])
@pytest.mark.parametrize("grad_dtype", [np.float32, np.float64])
def test_float32_parameters_stay_float32(lr, grad_dtype):
    p, g = np.ones(3, np.float32), np.ones(3, grad_dtype)
    opt = nn.SGD(lr, momentum=0.9)
    new, state = opt.update(g, opt.init(p), p)
    assert (new.dtype, state["velocity"].dtype) == (np.float32, np.float32)
    assert nn.sgd(p, g, lr).dtype == np.float32


def test_python_numbers_are_leaves_too():
    assert nn.sgd((1.0, None), (0.5, None), lr=2) == (0.0, None)


def test_containers_are_paired_by_key():
    new = nn.sgd({"a": np.ones(2), "b": np.ones(3)}, {"b": np.ones(3), "a": np.zeros(2)}, lr=1)
    np.testing.assert_array_equal(new["a"], [1, 1])
    np.testing.assert_array_equal(new["b"], [0, 0, 0])


def test_a_step_differentiates_with_respect_to_the_learning_rate(params):
    grads = grad(quadratic)(params)

    def after(lr):
        return quadratic(nn.sgd(params, grads, lr))

    # d/dlr of (1 - lr)^2 5/2 + (1 - 2 lr)^2 9
    assert grad(after)(0.25) == pytest.approx(-0.75 * 5 - 4 * 0.5 * 9)


def test_vmap_sweeps_learning_rates(params):
    def after(lr):
        opt = nn.SGD(lr, momentum=0.9)
        new, state = params, opt.init(params)
        for _ in range(3):
            new, state = opt.update(grad(quadratic)(new), state, new)
        return quadratic(new)

    rates = np.array([0.01, 0.1, 0.2])
    np.testing.assert_allclose(vmap(after)(rates), [after(lr) for lr in rates])


def test_optimizers_are_values():
    opt = nn.SGD(lr=0.1)
    assert repr(opt) == "SGD(lr=0.1, momentum=0, nesterov=False, weight_decay=0)"
    assert pickle.loads(pickle.dumps(opt)) == opt
    assert tree.leaves(opt) == []


# --- errors --------------------------------------------------------------------------------------


def test_gradients_of_another_structure_are_refused(params):
    opt = nn.SGD(0.1, momentum=0.9)
    for grads in ({"w": params["w"]}, [params["w"], params["b"]], {**params, "b": (1.0, 2.0)}):
        with pytest.raises(StructureError, match="grads does not match"):
            nn.sgd(params, grads, 0.1)
        with pytest.raises(StructureError, match="grads does not match"):
            opt.update(grads, opt.init(params), params)
    with pytest.raises(StructureError, match="state does not match"):
        opt.update(params, (), params)


def test_gradients_are_never_broadcast():
    with pytest.raises(ShapeError, match=r"shape \(3,\) has a gradient of shape \(1,\)"):
        nn.sgd([np.ones(3)], [np.ones(1)], 0.1)


def test_integer_parameters_are_refused():
    with pytest.raises(ArgumentError, match="floating-point parameters, but got int64"):
        nn.sgd(np.ones(3, np.int64), np.ones(3), 0.1)


@pytest.mark.parametrize("value", [-0.1, np.nan])
def test_rates_are_not_negative(value):
    with pytest.raises(ArgumentError, match="lr >= 0"):
        nn.SGD(value)
    with pytest.raises(ArgumentError, match="momentum >= 0"):
        nn.SGD(0.1, momentum=value)
