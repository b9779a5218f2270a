"""All first-order optimizers: the numbers of their peers, and what each of them promises."""

import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from funcgrad import grad, jvp, nn, tree, vmap
from funcgrad.errors import ArgumentError, ShapeError, StructureError
from tests.nn import optimizer_figures

FIGURES = json.loads(Path(optimizer_figures.__file__).with_suffix(".json").read_text())


def matrices(params):
    return tree.map(lambda p: np.ndim(p) > 1, params)


OURS = {
    "sgd": nn.SGD(0.05),
    "momentum": nn.SGD(0.05, 0.9, weight_decay=0.1),
    "nesterov": nn.SGD(0.05, 0.9, nesterov=True),
    "adam": nn.Adam(0.05, 0.8, 0.9, 1e-3, weight_decay=0.1),
    "adamw": nn.AdamW(0.05, weight_decay=0.1),
    "rmsprop": nn.RMSprop(0.05, 0.9, weight_decay=0.1),
    "rmsprop, all": nn.RMSprop(0.01, 0.9, momentum=0.5, centered=True),
    "adagrad": nn.Adagrad(0.5, weight_decay=0.1),
    "lion": nn.Lion(0.05, weight_decay=0.1),
    "adamw, masked": nn.AdamW(0.05, weight_decay=0.3, mask=matrices),
    "adam, cosine": nn.Adam(nn.CosineDecay(0.1, 8)),
    "clipped by norm": nn.chain(nn.ClipByGlobalNorm(1.0), nn.Adam(0.1)),
    "clipped by value": nn.chain(nn.ClipByValue(0.5), nn.SGD(0.1, 0.9, nesterov=True)),
}
SCHEDULES = {
    "constant": nn.ConstantRate(0.1),
    "step": nn.StepDecay(0.1, 4, 0.5),
    "exponential": nn.ExponentialDecay(0.1, 4, 0.5),
    "cosine": nn.CosineDecay(0.1, 8, end=0.01),
    "warm-up": nn.WarmUp(nn.CosineDecay(0.1, 7), 3, start=0.01),
    "one cycle": nn.OneCycle(0.1, 10),
    "joined": nn.JoinedSchedules((0.1, nn.ExponentialDecay(0.2, 4, 0.5)), (5,)),
}
EVERY = pytest.mark.parametrize("opt", OURS.values(), ids=OURS)


def run(opt):
    state = None

    def update(grads, params):
        nonlocal state
        params, state = opt.update(grads, opt.init(params) if state is None else state, params)
        return params

    return optimizer_figures.run(update)


def assert_same(one, other):
    for name, value in other.items():
        np.testing.assert_allclose(one[name], value, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", OURS)
def test_the_numbers_are_those_of_pytorch_and_optax(name):
    (figures,) = [peer[name] for peer in FIGURES.values() if name in peer]
    assert_same(run(OURS[name]), figures)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_schedules_are_those_of_optax(name):
    ours = [SCHEDULES[name](step) for step in range(optimizer_figures.STEPS)]
    np.testing.assert_allclose(ours, FIGURES["optax"]["rates"][name], rtol=1e-12)
    steps = np.arange(optimizer_figures.STEPS)
    np.testing.assert_allclose(SCHEDULES[name](steps), ours, rtol=1e-14)


@pytest.mark.parametrize("peer", FIGURES)
def test_the_stored_figures_are_what_the_installed_peers_give(peer):
    if importlib.util.find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed")
    root = Path(optimizer_figures.__file__).parents[2]
    command = [sys.executable, "-m", "tests.nn.optimizer_figures", peer]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    live = json.loads(done.stdout)[peer]
    for name, stored in FIGURES[peer].items():
        for key, value in stored.items():
            np.testing.assert_allclose(live[name][key], value, rtol=1e-11, atol=1e-12)


# --- what each of them promises ------------------------------------------------------------------


def problem(dtype=np.float64):
    rng = np.random.default_rng(3)
    params = {"w": rng.normal(size=(2, 3)), "b": [rng.normal(size=2), None], "s": np.array(0.5)}
    params = tree.map(lambda p: p.astype(dtype), params)
    return params, tree.map(lambda p: (p * 0.7 + 0.1).astype(dtype), params)


@EVERY
def test_inputs_are_never_written_and_a_state_serves_twice(opt):
    params, grads = problem()
    state = opt.init(params)
    for _ in range(2):
        inputs = tree.leaves((params, grads, state))
        for array in inputs:
            np.asarray(array).flags.writeable = False
        first, second = (opt.update(grads, state, params) for _ in range(2))
        for a, b in zip(tree.leaves(first), tree.leaves(second), strict=True):
            np.testing.assert_array_equal(a, b)
        new = tree.leaves(first)
        assert not any(np.shares_memory(a, b) for a in new for b in inputs)
        assert not any(np.shares_memory(a, b) for i, a in enumerate(new) for b in new[:i])
        params, state = first


@EVERY
@pytest.mark.parametrize("grad_dtype", [np.float32, np.float64])
def test_float32_stays_float32(opt, grad_dtype):
    params, grads = problem(np.float32)[0], problem(grad_dtype)[1]
    state = opt.init(params)
    for _ in range(2):
        params, state = opt.update(grads, state, params)
    for leaf in tree.leaves((params, state)):
        assert getattr(leaf, "dtype", np.float32) == np.float32


@EVERY
def test_complex_parameters_go_downhill(opt):
    goal = np.array([1 + 2j, -1 + 0.5j])

    def loss(p):
        return np.sum(np.abs(p - goal) ** 2)

    p = np.zeros(2, complex)
    state = opt.init(p)
    for _ in range(3):
        before = loss(p)
        p, state = opt.update(grad(loss)(p), state, p)
        assert p.dtype == complex
        assert loss(p) < before


@EVERY
def test_a_complex_parameter_with_a_real_gradient_moves_as_a_real_one(opt):
    _, grads = problem()
    params = problem()[0]
    as_complex = tree.map(lambda p: p.astype(complex), params)
    new, _ = opt.update(tree.map(np.asarray, grads), opt.init(params), params)
    other, _ = opt.update(grads, opt.init(as_complex), as_complex)
    if "Lion" not in repr(opt):
        for a, b in zip(tree.leaves(new), tree.leaves(other), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12)


@EVERY
@pytest.mark.parametrize("params", [(), {}, None, [None, {"a": ()}], np.zeros((0, 3))])
def test_there_may_be_nothing_to_learn(opt, params):
    state = opt.init(params)
    for _ in range(2):
        new, state = opt.update(params, state, params)
        assert tree.structure(new) == tree.structure(params)


@EVERY
def test_python_numbers_are_leaves(opt):
    params, state = (1.0, [2.0]), opt.init((1.0, [2.0]))
    for _ in range(2):
        params, state = opt.update((0.5, [0.5]), state, params)
    assert tree.structure(params) == tree.structure((0, [0]))
    assert params[0] < 1
    assert params[1][0] < 2


@EVERY
def test_steps_can_be_differentiated(opt):
    params = {"w": np.array([[1.0, -2.0]]), "b": np.array([0.3])}

    def inner(p, a):
        return np.sum(np.sin(a * p["w"]) ** 2) + a**2 * np.sum(p["b"] ** 2)

    def after(a):
        p, state = params, opt.init(params)
        for _ in range(3):
            p, state = opt.update(grad(inner)(p, a), state, p)
        return inner(p, 1.0)

    e = 1e-6
    slope = (after(1.3 + e) - after(1.3 - e)) / (2 * e)
    assert grad(after)(1.3) == pytest.approx(slope, rel=1e-6, abs=1e-8)
    assert jvp(after, (1.3,), (1.0,))[1] == pytest.approx(slope, rel=1e-6, abs=1e-8)
    rates = np.array([0.7, 1.3])
    np.testing.assert_allclose(vmap(after)(rates), [after(a) for a in rates], rtol=1e-12)


@EVERY
def test_vmap_trains_an_ensemble(opt):
    starts = np.array([[1.0, 2.0], [-0.5, 0.1], [3.0, -1.0]])

    def train(p):
        state = opt.init(p)
        return opt.update(np.sin(p), *opt.update(np.cos(p), state, p)[::-1])[0]

    np.testing.assert_allclose(vmap(train)(starts), [train(p) for p in starts], rtol=1e-12)
    states = vmap(opt.init)(starts)
    new, states = vmap(opt.update)(np.cos(starts), states, starts)
    new, _ = vmap(opt.update)(np.sin(starts), states, new)
    np.testing.assert_allclose(new, [train(p) for p in starts], rtol=1e-12)


def test_settings_can_be_differentiated():
    p, g = np.array([1.0, 2.0]), np.array([0.5, -1.0])

    def after(settings):
        opt = nn.AdamW(settings["lr"], settings["b1"], weight_decay=settings["decay"])
        new, state = opt.update(g, opt.init(p), p)
        return np.sum(opt.update(np.sin(new), state, new)[0])

    start = {"lr": 0.1, "b1": 0.8, "decay": 0.2}
    for name, slope in grad(after)(start).items():
        low, high = ({**start, name: start[name] + e} for e in (-1e-6, 1e-6))
        assert slope == pytest.approx((after(high) - after(low)) / 2e-6, rel=1e-6)


@EVERY
def test_they_are_values(opt):
    assert tree.leaves(opt) == []
    if "mask" not in str(vars(opt)) or getattr(opt, "mask", None) is None:
        assert pickle.loads(pickle.dumps(opt)) == opt


def test_any_function_of_the_step_is_a_schedule():
    opt, p, g = nn.SGD(lambda step: 1.0 if step == 0 else 0.25), np.array(4.0), np.array(1.0)
    state, seen = opt.init(p), []
    for _ in range(3):
        p, state = opt.update(g, state, p)
        seen.append(float(p))
    assert seen == [3.0, 2.75, 2.5]


def test_a_mask_may_be_a_prefix():
    params = {"body": [np.ones(2), np.ones(2)], "head": np.ones(2)}
    opt = nn.AdamW(0.1, weight_decay=1.0, mask={"body": True, "head": False})
    new, _ = opt.update(tree.map(np.zeros_like, params), opt.init(params), params)
    np.testing.assert_allclose(new["body"], 0.9)
    np.testing.assert_array_equal(new["head"], 1)


def test_the_centred_variance_of_a_constant_gradient_is_never_negative():
    opt, p = nn.RMSprop(0.01, 0.5, centered=True), np.array([1.0])
    state = opt.init(p)
    for _ in range(200):
        p, state = opt.update(np.array([0.1]), state, p)
    assert np.isfinite(p).all()


# --- clipping ------------------------------------------------------------------------------------


def test_small_gradients_pass_the_clip_untouched():
    grads = {"w": np.array([0.3, 0.4]), "b": None}
    np.testing.assert_array_equal(nn.clip_by_global_norm(grads, 0.6)["w"], grads["w"])
    assert nn.global_norm(nn.clip_by_global_norm(grads, 0.25)) == pytest.approx(0.25)
    zero = nn.clip_by_global_norm({"w": np.zeros(2)}, 1.0)
    np.testing.assert_array_equal(zero["w"], 0)
    assert nn.clip_by_global_norm((), 1.0) == ()


def test_clipping_keeps_dtypes_and_cuts_complex_parts():
    grads = [np.full(3, 10, np.float32), np.array([3 + 0.5j]), np.array(-4.0)]
    by_value, by_norm = nn.clip_by_value(grads, np.float64(1)), nn.clip_by_global_norm(grads, 1)
    for clipped in (by_value, by_norm):
        assert [g.dtype for g in clipped] == [np.float32, np.complex128, np.float64]
    assert by_value[1] == 1 + 0.5j
    assert nn.global_norm(by_norm) == pytest.approx(1)


def test_clipping_can_be_differentiated():
    def clipped(g):
        return nn.clip_by_global_norm([g, 2 * g], 1.0)[0][0]

    # 1 / sqrt(5) times g0 / |g|
    g = np.array([3.0, 4.0])
    np.testing.assert_allclose(grad(clipped)(g), np.array([16, -12]) / 125 / np.sqrt(5))
    np.testing.assert_array_equal(grad(lambda g: nn.clip_by_value(g, 3.5)[0])(g), [1, 0])


# --- errors --------------------------------------------------------------------------------------


@EVERY
def test_mismatches_are_named(opt):
    params, grads = problem()
    state = opt.init(params)
    with pytest.raises(StructureError, match=r"does not match"):
        opt.update({"w": grads["w"]}, state, params)
    with pytest.raises(StructureError, match="state does not match"):
        opt.update(grads, None, params)
    with pytest.raises(ShapeError, match=r"shape \(2, 3\) has a gradient of shape \(2,\)"):
        opt.update({**grads, "w": np.ones(2)}, state, params)
    with pytest.raises(ArgumentError, match="floating-point parameters, but got int64"):
        opt.update(np.ones(2), opt.init(np.ones(2, int)), np.ones(2, int))


def test_the_state_of_another_optimizer_is_refused():
    p = np.ones(2)
    with pytest.raises(StructureError, match=r"Adam keeps a dict of \['mean', 'square', 'step'\]"):
        nn.Adam().update(p, nn.SGD(0.1, 0.9).init(p), p)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Adam(-1.0), "Adam needs lr >= 0, but got -1.0"),
        (lambda: nn.Adam(b1=1.0), "Adam needs b1 >= 0 and b1 < 1, but got 1.0"),
        (lambda: nn.AdamW(weight_decay=-1), "AdamW needs weight_decay >= 0"),
        (lambda: nn.SGD(0.1, nesterov=True), "nesterov=True without momentum"),
        (lambda: nn.RMSprop(decay=np.nan), "RMSprop needs decay >= 0"),
        (lambda: nn.Lion(b2=-0.1), "Lion needs b2 >= 0"),
        (lambda: nn.Adagrad(eps=-1), "Adagrad needs eps >= 0"),
        (nn.chain, "chain got no link"),
        (lambda: nn.chain(nn.Adam), "needs init and update"),
        (lambda: nn.chain(nn.ClipByValue(1.0), nn.LBFGS()), "LBFGS needs the function"),
        (lambda: nn.ClipByGlobalNorm(0), "max_norm > 0"),
        (lambda: nn.CosineDecay(0.1, steps=0), "CosineDecay needs steps >= 1"),
        (lambda: nn.OneCycle(0.1, 10, climb=1), "climb > 0 and climb < 1"),
        (lambda: nn.JoinedSchedules((0.1, 0.2), ()), "one fewer than the 2 schedules"),
        (lambda: nn.JoinedSchedules((0.1, 0.2, 0.3), (5, 5)), "increasing"),
        (lambda: nn.LBFGS(memory=0), "memory of LBFGS is a positive integer"),
    ],
)
def test_settings_are_checked(build, message):
    with pytest.raises(ArgumentError, match=message):
        build()
