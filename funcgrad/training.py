"""The usual training loop, of public pieces: mini-batches, validation, early stopping, history.

Read `fit` as an example: when your loop differs, write it yourself in the same few lines. Also
reached as ``nn.fit``; it is not part of `funcgrad.nn`, which knows no transforms.
"""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from funcgrad.batching import PyTree, batches, check_counts, check_pair, count_examples
from funcgrad.errors import ArgumentError, fail
from funcgrad.nn import apply_layer, init_state
from funcgrad.nn.protocol import check_layer
from funcgrad.transforms import value_and_grad

__all__ = ["Fitted", "batches", "fit", "plot_history"]

_AT_ONCE = 1000  # examples of the validation data, lest convolutions need memory for all

History: TypeAlias = dict[str, list[float]]
Callback: TypeAlias = Callable[[int, PyTree, History], Any]


class Fitted(NamedTuple):
    """What `fit` returns: parameters, the state of the network's layers, and the history."""

    params: PyTree
    state: PyTree
    history: History


def fit(
    model: Any,
    loss: Callable[[Any, Any], Any],
    data: tuple[PyTree, PyTree],
    optimizer: Any,
    epochs: int,
    *,
    batch_size: int | None = 32,
    params: PyTree = None,
    seed: int | np.random.Generator = 0,
    validation: tuple[PyTree, PyTree] | None = None,
    metric: Callable[[Any, Any], Any] | None = None,
    patience: int | None = None,
    callbacks: Iterable[Callback] = (),
    progress: bool = False,
) -> Fitted:
    """Train a model on mini-batches.

    Parameters
    ----------
    model : layer
        Has ``init(rng) -> params`` and ``apply(params, inputs) -> outputs``. Layers such as
        `Dropout` and `BatchNorm` are told that they are trained, and get a generator and a state.
    loss : callable
        ``loss(outputs, targets) -> scalar``, the mean over the examples.
    data : tuple
        ``(inputs, targets)``, each an array or a pytree of arrays, with the examples along the
        first axis.
    optimizer : optimizer
        Such as ``nn.Adam(1e-3)``. `LBFGS` is for ``batch_size=None``.
    epochs : int
        How often to go through the data.
    batch_size : int or None, default 32
        None is all the data in each step.
    params : pytree, optional
        Where to start; by default ``model.init(rng)``.
    seed : int or numpy.random.Generator, default 0
        For the initial parameters and the order of the examples.
    validation : tuple, optional
        ``(inputs, targets)`` on which loss and metric are measured after each epoch.
    metric : callable, optional
        ``metric(outputs, targets) -> number``, such as an accuracy, the mean over the examples.
    patience : int, optional
        Stop after so many epochs without a lower validation loss.
    callbacks : iterable of callables, optional
        ``callback(epoch, params, history)`` is called after each epoch; one that returns True
        ends the training.
    progress : bool, default False
        Show a bar with loss and metric, where tqdm is installed.

    Returns
    -------
    params : pytree
        With validation data those of the epoch with the lowest validation loss, otherwise the
        last ones. Ctrl-C ends the training and returns what there is by then.
    state : pytree
        What layers such as `BatchNorm` remember, of the same time; () for a model without such.
    history : dict of str to list of float
        One number per complete epoch: ``loss``, ``seconds``, and where asked for ``metric``,
        ``validation_loss``, ``validation_metric``. Loss and metric of the training data are means
        over the batches as they were met.

    Raises
    ------
    ArgumentError
        If an option is out of its range, or `patience` comes without `validation`.
    ShapeError
        If the arrays of the data have not one length, or hold no example.

    Examples
    --------
    >>> from funcgrad import nn
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    >>> params, state, history = fit(
    ...     model, nn.mean_squared_error, (x, x**2), nn.Adam(0.03), epochs=100
    ... )
    >>> history["loss"][-1] < 0.01
    True
    """
    _check_parts(model, loss, optimizer, metric)
    _check_options(epochs, batch_size, patience, validation)
    check_pair("data", data)
    rng, callbacks = np.random.default_rng(seed), _as_callbacks(callbacks)
    params = model.init(rng) if params is None else params
    state, opt_state = init_state(model), optimizer.init(params)
    step = _step(model, loss, optimizer, rng)
    history: History = {}
    best = _Best(patience)
    with _bar(epochs, progress) as bar:
        try:
            for epoch in bar:
                started, measured = perf_counter(), _Mean()
                for inputs, targets in batches(data, batch_size, rng):
                    params, state, opt_state, value, outputs = step(
                        params, state, opt_state, inputs, targets
                    )
                    measured.add(
                        _measures(value, metric, outputs, targets), count_examples(targets)
                    )
                row = measured.mean()
                if validation is not None:
                    held_out = _evaluate(model, loss, metric, params, state, validation)
                    row |= {f"validation_{name}": value for name, value in held_out.items()}
                    best.see(held_out["loss"], (params, state))
                _record(history, row | {"seconds": perf_counter() - started})
                bar.set_postfix({name: f"{value:.4g}" for name, value in row.items()})
                if any([_is_true(call(epoch, params, history)) for call in callbacks]) or best.over:
                    break
        except KeyboardInterrupt:
            pass  # whoever interrupts has seen enough, and gets what there is
    return Fitted(*(best.kept or (params, state)), history)


def plot_history(history: History, path: Any = None) -> Any:
    """Draw the learning curves of `fit`: the loss, and beside it the metric, if there is one.

    Parameters
    ----------
    history : dict
    path : str or path, optional
        Where to save the picture; its ending says the format.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> history = {"loss": [0.5, 0.25], "validation_loss": [0.6, 0.5], "seconds": [0.1, 0.1]}
    >>> figure = plot_history(history)  # needs matplotlib
    >>> [axes.get_title() for axes in figure.axes]
    ['loss']
    """
    from matplotlib.figure import Figure

    names = [name for name in ("loss", "metric") if name in history]
    if not names:
        what = f"plot_history needs the history of an epoch or more, but got {history!r}."
        raise fail(ArgumentError, what, "pass fit(...).history.")
    figure = Figure(figsize=(4.5 * len(names), 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
        for curve, label in ((name, "training"), (f"validation_{name}", "validation")):
            if curve in history:
                axes.plot(range(1, len(history[curve]) + 1), history[curve], label=label)
        axes.set(title=name, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _step(
    model: Any, loss: Callable[..., Any], optimizer: Any, rng: np.random.Generator
) -> Callable[..., Any]:
    """Build the step: it takes and returns parameters, layer state and optimizer state."""

    def objective(params: PyTree, state: PyTree, inputs: Any, targets: Any) -> tuple[Any, Any]:
        outputs, state = apply_layer(model, params, inputs, state=state, train=True, rng=rng)
        return loss(outputs, targets), (state, outputs)

    value_and_grads = value_and_grad(objective, has_aux=True)

    def step(params: PyTree, state: PyTree, opt_state: PyTree, inputs: Any, targets: Any) -> Any:
        met: list[Any] = []  # the first evaluation, which is that at params

        def at(params: PyTree) -> tuple[Any, PyTree]:
            (value, aux), grads = value_and_grads(params, state, inputs, targets)
            met.append((value, aux))
            return value, grads

        # L-BFGS evaluates the function where it likes, the others take the gradients.
        first = at if getattr(optimizer, "needs_function", False) else at(params)[1]
        params, opt_state = optimizer.update(first, opt_state, params)
        value, (new_state, outputs) = met[0]
        return params, new_state, opt_state, value, outputs

    return step


class _Best:
    """What was kept when the validation loss was lowest; over when that is `patience` epochs ago."""

    def __init__(self, patience: int | None) -> None:
        self.patience = np.inf if patience is None else patience
        self.kept: tuple[PyTree, PyTree] | None = None
        self.lowest, self.waited = np.inf, 0

    def see(self, loss: float, current: tuple[PyTree, PyTree]) -> None:
        self.waited += 1
        if loss < self.lowest:
            self.kept, self.lowest, self.waited = current, loss, 0

    @property
    def over(self) -> bool:
        return self.waited >= self.patience


class _Mean:
    """The mean of named numbers, weighted by the number of examples behind them."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self.count = 0

    def add(self, values: dict[str, float], count: int) -> None:
        self.count += count
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + count * value

    def mean(self) -> dict[str, float]:
        return {name: total / self.count for name, total in self.totals.items()}


def _evaluate(
    model: Any, loss: Any, metric: Any, params: PyTree, state: PyTree, data: PyTree
) -> dict[str, float]:
    measured = _Mean()
    for inputs, targets in batches(data, _AT_ONCE):
        outputs, _ = apply_layer(model, params, inputs, state=state)
        measured.add(
            _measures(loss(outputs, targets), metric, outputs, targets), count_examples(targets)
        )
    return measured.mean()


def _measures(value: Any, metric: Any, outputs: Any, targets: Any) -> dict[str, float]:
    row = {"loss": float(value)}
    return row if metric is None else row | {"metric": float(metric(outputs, targets))}


def _record(history: History, row: dict[str, float]) -> None:
    for name, value in row.items():
        history.setdefault(name, []).append(value)


def _check_parts(model: Any, loss: Any, optimizer: Any, metric: Any) -> None:
    check_layer("the model of fit", model)
    if isinstance(optimizer, type) or not hasattr(optimizer, "update"):
        what = f"fit needs an optimizer, but got {optimizer!r}."
        raise fail(ArgumentError, what, "pass an instance, such as nn.Adam(0.001).")
    if not callable(loss):
        what = f"the loss of fit is a function (outputs, targets) -> number, but got {loss!r}."
        raise fail(ArgumentError, what, "for instance nn.mean_squared_error.")
    if metric is not None and not callable(metric):
        what = f"the metric of fit is a function (outputs, targets) -> number, but got {metric!r}."
        raise fail(ArgumentError, what, "leave it out to measure the loss alone.")


def _check_options(epochs: Any, batch_size: Any, patience: Any, validation: Any) -> None:
    if epochs is None:
        what = "fit needs a number of epochs, but got None."
        raise fail(ArgumentError, what, "for instance epochs=10.")
    check_counts("fit", 0, epochs=epochs)
    check_counts("fit", 1, batch_size=batch_size, patience=patience)
    if validation is not None:
        check_pair("validation", validation)
    elif patience is not None:
        what = "fit got patience= without validation=, so nothing tells when to stop."
        raise fail(ArgumentError, what, "pass validation=(inputs, targets).")


def _as_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Return callbacks as a tuple: an iterator would serve the first epoch only."""
    calls = tuple(callbacks) if isinstance(callbacks, Iterable) else (callbacks,)
    for call in calls:
        if not callable(call):
            what = f"callbacks of fit are functions (epoch, params, history), but got {call!r}."
            raise fail(ArgumentError, what, "pass a list of functions.")
    return calls


def _is_true(answer: Any) -> bool:
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


class _Silent(list[int]):
    """The epochs without a bar: what `fit` uses of tqdm, doing nothing."""

    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *args: object) -> None:
        return None

    def set_postfix(self, values: dict[str, str]) -> None:
        return None


def _bar(epochs: int, progress: bool) -> Any:
    if not progress or find_spec("tqdm") is None:
        return _Silent(range(epochs))
    from tqdm import tqdm  # type: ignore[import-untyped,import-not-found,unused-ignore]

    return tqdm(range(epochs), desc="training", unit="epoch")
