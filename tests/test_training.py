"""`fit`: the loop one would write, with validation, early stopping and history."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from funcgrad import nn, training, tree, value_and_grad
from funcgrad.errors import ArgumentError, ShapeError

MODEL = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))


@pytest.fixture
def data(rng):
    x = rng.normal(size=(50, 2))
    return x, np.sin(x[:, :1]) + x[:, 1:] ** 2


def mean_absolute(outputs, targets):
    return np.abs(outputs - targets).mean()


def test_it_is_the_loop_one_would_write(data):
    opt = nn.Adam(0.01)
    fitted, _, history = nn.fit(MODEL, nn.mean_squared_error, data, opt, 3, batch_size=16, seed=5)

    rng = np.random.default_rng(5)
    params = MODEL.init(rng)
    state = opt.init(params)
    step = value_and_grad(lambda p, x, y: nn.mean_squared_error(MODEL.apply(p, x), y))
    losses = []
    for _ in range(3):
        total = 0
        for x, y in training.batches(data, 16, rng):
            value, grads = step(params, x, y)
            params, state = opt.update(grads, state, params)
            total += len(x) * value
        losses.append(total / 50)
    for a, b in zip(tree.leaves(fitted), tree.leaves(params), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(history["loss"], losses)
    assert set(history) == {"loss", "seconds"}


def test_batches_meet_each_example_once(rng):
    data = {"x": np.arange(10.0), "y": [np.arange(10)]}
    seen = list(training.batches(data, 4, rng))
    assert [len(batch["x"]) for batch in seen] == [4, 4, 2]
    order = np.concatenate([batch["x"] for batch in seen])
    np.testing.assert_array_equal(np.sort(order), data["x"])
    np.testing.assert_array_equal(order, np.concatenate([batch["y"][0] for batch in seen]))
    assert not np.array_equal(order, data["x"])
    assert [batch["x"].size for batch in training.batches(data, None)] == [10]
    assert list(training.batches((np.zeros((0, 2)), np.zeros(0)), 4, rng)) == []


def test_the_history_has_a_number_per_epoch(data):
    _, _, history = nn.fit(
        MODEL, nn.mean_squared_error, data, nn.SGD(0.05), 4, metric=mean_absolute, validation=data
    )
    names = {"loss", "metric", "validation_loss", "validation_metric", "seconds"}
    assert set(history) == names
    assert all(len(curve) == 4 for curve in history.values())
    assert all(type(value) is float for curve in history.values() for value in curve)


def test_the_best_parameters_by_validation_come_back(data):
    kept = []
    params, _, history = nn.fit(
        MODEL,
        nn.mean_squared_error,
        data,
        nn.SGD(lambda step: 0.05 if step < 10 else 5.0),  # from then on it diverges
        10,
        validation=data,
        patience=3,
        callbacks=[lambda epoch, params, history: kept.append(params)],
    )
    best = int(np.argmin(history["validation_loss"]))
    assert len(kept) == best + 4 < 10
    assert params is kept[best]


def test_validation_in_parts_is_the_mean_over_all_examples(data, monkeypatch):
    histories = []
    for at_once in (1000, 7):
        monkeypatch.setattr(training, "_AT_ONCE", at_once)
        fitted = nn.fit(
            MODEL,
            nn.mean_squared_error,
            data,
            nn.SGD(0.05),
            2,
            validation=data,
            metric=mean_absolute,
        )
        histories.append([fitted.history[f"validation_{name}"] for name in ("loss", "metric")])
    np.testing.assert_allclose(*histories)


def test_patience_runs_out_on_nan_too(data):
    with np.errstate(all="ignore"):
        params, _, history = nn.fit(
            MODEL, nn.mean_squared_error, data, nn.SGD(1e200), 9, validation=data, patience=2
        )
    assert len(history["loss"]) <= 4
    assert tree.structure(params) == tree.structure(MODEL.init(np.random.default_rng(0)))


def test_a_callback_ends_the_training(data):
    _, _, history = nn.fit(
        MODEL, nn.mean_squared_error, data, nn.SGD(0.1), 9, callbacks=[lambda e, p, h: e == 2]
    )
    assert len(history["loss"]) == 3


@pytest.mark.parametrize("validate", [False, True])
def test_ctrl_c_keeps_what_there_is(data, validate):
    seen = []

    def interrupt(epoch, params, history):
        seen.append(params)
        if epoch == 2:
            raise KeyboardInterrupt

    params, _, history = nn.fit(
        MODEL,
        nn.mean_squared_error,
        data,
        nn.Adam(0.01),
        9,
        validation=data if validate else None,
        callbacks=[interrupt],
    )
    assert len(history["loss"]) == 3
    assert params is seen[-1]


def test_training_goes_on_from_given_parameters(data):
    start = MODEL.init(np.random.default_rng(9))
    params, _, history = nn.fit(MODEL, nn.mean_squared_error, data, nn.SGD(0.1), 0, params=start)
    assert params is start
    assert history == {}


def test_lbfgs_gets_the_function(data):
    _, _, history = nn.fit(MODEL, nn.mean_squared_error, data, nn.LBFGS(), 60, batch_size=None)
    assert history["loss"][-1] < 0.01
    assert history["loss"] == sorted(history["loss"], reverse=True)


def test_inputs_and_targets_may_be_pytrees(rng):
    class Sum:
        def init(self, rng):
            return {"w": np.ones(2)}

        def apply(self, params, x):
            return {"z": x["a"] @ params["w"] + x["b"]}

    x = {"a": rng.normal(size=(20, 2)), "b": rng.normal(size=20)}
    y = {"z": x["a"] @ np.array([2.0, -1.0]) + x["b"]}
    params, _, _ = nn.fit(
        Sum(),
        lambda out, t: np.mean((out["z"] - t["z"]) ** 2),
        (x, y),
        nn.SGD(0.1),
        40,
        batch_size=5,
    )
    np.testing.assert_allclose(params["w"], [2, -1], atol=1e-3)


def test_dropout_draws_and_batch_normalisation_remembers(data):
    x, y = data
    model = nn.Sequential(
        nn.BatchNorm(2), nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1)
    )
    fits = [
        nn.fit(model, nn.mean_squared_error, (3 * x + 1, y), nn.Adam(0.05), 60, seed=seed)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_equal(fits[0].params, fits[1].params)
    assert fits[0].history["loss"] != fits[2].history["loss"]
    np.testing.assert_allclose(fits[0].state[0]["mean"], (3 * x + 1).mean(axis=0), atol=0.5)
    outputs, _ = nn.apply_layer(model, fits[0].params, 3 * x + 1, state=fits[0].state)
    assert nn.mean_squared_error(outputs, y) < 0.5 * y.var()


def test_a_bar_is_shown_if_tqdm_is_there(data, capsys, monkeypatch):
    args = (MODEL, nn.mean_squared_error, data, nn.SGD(0.1), 2)
    nn.fit(*args, progress=True, metric=mean_absolute)
    err = capsys.readouterr().err
    if importlib.util.find_spec("tqdm"):
        assert "training: 100%" in err
        assert "loss=" in err
        assert "metric=" in err
    monkeypatch.setattr(training, "find_spec", lambda name: None)
    nn.fit(*args, progress=True)
    assert capsys.readouterr().err == ""


def test_the_learning_curves_are_drawn(data, tmp_path):
    pytest.importorskip("matplotlib")
    _, _, history = nn.fit(
        MODEL, nn.mean_squared_error, data, nn.SGD(0.1), 2, metric=mean_absolute, validation=data
    )
    figure = training.plot_history(history, tmp_path / "curves.png")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "metric"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size >= 1, but got 0"),
        ({"epochs": -1}, "epochs >= 0"),
        ({"patience": 0}, "patience >= 1"),
        ({"patience": 3}, "patience= without validation="),
    ],
)
def test_options_are_checked(data, options, message):
    options = {"epochs": 1, **options}
    with pytest.raises(ArgumentError, match=message):
        nn.fit(MODEL, nn.mean_squared_error, data, nn.SGD(0.1), **options)


def test_inputs_and_targets_have_one_length():
    data = np.ones((5, 2)), np.ones((4, 1))
    with pytest.raises(ShapeError, match=r"\[0\]: \(5, 2\), \[1\]: \(4, 1\)"):
        nn.fit(MODEL, nn.mean_squared_error, data, nn.SGD(0.1), 1)
    with pytest.raises(ShapeError, match="one length"):
        nn.fit(MODEL, nn.mean_squared_error, (np.float64(1), np.ones(1)), nn.SGD(0.1), 1)


def test_networks_load_without_the_training_loop():
    program = (
        "import sys; from funcgrad import nn; assert 'funcgrad.training' not in sys.modules; nn.fit"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="no attribute 'fit_all'"):
        nn.fit_all  # noqa: B018


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": nn.Linear}, "the model of fit is the class Linear"),
        ({"loss": "mse"}, "the loss of fit is a function"),
        ({"metric": "accuracy"}, "the metric of fit is a function"),
        ({"optimizer": nn.Adam}, "fit needs an optimizer, but got <class"),
        ({"optimizer": "adam"}, "fit needs an optimizer, but got 'adam'"),
        ({"epochs": 2.5}, "fit needs an integer epochs >= 0, but got 2.5"),
        ({"epochs": None}, "fit needs a number of epochs"),
        ({"batch_size": "a"}, "fit needs an integer batch_size >= 1, but got 'a'"),
        ({"callbacks": None}, "callbacks of fit are functions"),
        ({"data": np.zeros((3, 2))}, r"pair \(inputs, targets\) as data, but got a ndarray"),
        ({"data": np.zeros((3, 2, 1)).tolist()}, "as data, but got 3 entries"),
        ({"data": (np.zeros((0, 1)), np.zeros((0, 1)))}, "fit got no example in data"),
        ({"validation": 0.1}, r"pair \(inputs, targets\) as validation, but got a float"),
        ({"validation": np.zeros((2, 0, 1))}, "as validation, but got a ndarray"),
    ],
)
def test_what_fit_cannot_use_is_refused_before_the_training(data, given, message):
    arguments = {
        "model": MODEL,
        "loss": nn.mean_squared_error,
        "data": data,
        "optimizer": nn.SGD(0.1),
        "epochs": 1,
    }
    with pytest.raises((ArgumentError, ShapeError), match=message):
        nn.fit(**(arguments | given))


def test_batches_checks_its_size_and_its_generator():
    x = np.zeros((5, 2))
    for size in (0, -3, 2.5, "a"):
        with pytest.raises(ArgumentError, match="batches needs an integer batch_size >= 1"):
            list(training.batches(x, size))
    with pytest.raises(ArgumentError, match="Generator, but got 0"):
        list(training.batches(x, 2, 0))


def test_an_error_about_lists_stays_short(data):
    with pytest.raises(ShapeError, match=r", \.\.\.\.\n(.*\n)*.*np.asarray") as caught:
        list(training.batches(np.zeros((500, 2)).tolist(), 2))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "callbacks",
    [
        [lambda epoch, params, history: np.all(np.equal(epoch, 2))],  # np.True_, not True
        iter([lambda epoch, params, history: epoch == 2]),
        lambda epoch, params, history: epoch == 2,
    ],
    ids=["numpy's True", "an iterator", "one function"],
)
def test_callbacks_serve_every_epoch(data, callbacks):
    fitted = nn.fit(MODEL, nn.mean_squared_error, data, nn.SGD(0.1), 9, callbacks=callbacks)
    assert len(fitted.history["loss"]) == 3
