"""One training step of the disc experiment: a 2-25-25-25-2 network, 1000 points, full batch.

ReLU, softmax, `sum((y - t)^2) / 2N`, the gradient of all weights and one step of gradient descent,
as one writes it in each library. All start from the same weights; losses and gradients must agree
before anything is timed. Run `python -m benchmarks.seed_training --help`.
"""

import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from benchmarks import timing
from funcgrad import nn, tree, value_and_grad

SAMPLES, WIDTHS, RATE = 1000, (2, 25, 25, 25, 2), 0.1
CHECKED_STEPS = 20

Array = np.ndarray[Any, Any]
Params = list[tuple[Any, Any]]


class Trainer(Protocol):
    """The training of one library, holding its own weights."""

    def gradients(self) -> tuple[float, list[Array]]:
        """Return the loss and the gradient of each weight and bias, in order, without a step."""

    def step(self) -> Any:
        """Take one step of gradient descent and return the loss."""


def data(dtype: str) -> tuple[Params, Array, Array]:
    """Return weights (Xavier), standardised inputs (N, 2) and one-hot targets (N, 2)."""
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(SAMPLES, 2))
    inside = np.sum((points - 0.5) ** 2, axis=1) < 0.5 / np.pi
    x = (points - points.mean(axis=0)) / points.std(axis=0)
    params = [
        (rng.normal(0, np.sqrt(2 / (a + b)), (a, b)).astype(dtype), np.zeros(b, dtype))
        for a, b in pairwise(WIDTHS)
    ]
    return params, x.astype(dtype), np.eye(2, dtype=dtype)[inside.astype(int)]


def loss(params: Params, x: Any, t: Any, xp: Any = np) -> Any:
    """Return the loss in the functions of `xp`: the program that NumPy, autograd and JAX share."""
    for w, b in params[:-1]:
        x = xp.maximum(x @ w + b, 0)
    w, b = params[-1]
    logits = x @ w + b
    e = xp.exp(logits - xp.max(logits, axis=1, keepdims=True))
    y = e / xp.sum(e, axis=1, keepdims=True)
    return xp.sum((y - t) ** 2) / (2 * len(t))


def flat(params: Any) -> list[Array]:
    """Return weights and biases in one list of arrays."""
    return [np.asarray(array) for layer in params for array in layer]


def loss_and_gradients_by_hand(params: Params, x: Array, t: Array) -> tuple[Any, Params]:
    """Return the loss and its gradients derived with pen and paper."""
    inputs = [x]
    for w, b in params[:-1]:
        inputs.append(np.maximum(inputs[-1] @ w + b, 0))
    w, b = params[-1]
    logits = inputs[-1] @ w + b
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    y = e / np.sum(e, axis=1, keepdims=True)
    error = y - t
    value = np.sum(error * error) / (2 * len(t))

    dy = error / len(t)
    d = y * (dy - np.sum(dy * y, axis=1, keepdims=True))
    grads = []
    for h, (w, _) in zip(inputs[:0:-1], params[:0:-1], strict=True):
        grads.append((h.T @ d, np.sum(d, axis=0)))
        d = (d @ w.T) * (h > 0)
    grads.append((x.T @ d, np.sum(d, axis=0)))
    return value, grads[::-1]


class ByValueAndGrad:
    """A trainer over `fun(params, x, t) -> (loss, grads)` and plain gradient descent."""

    def __init__(self, fun: Callable[..., Any], params: Params, x: Any, t: Any) -> None:
        self.fun, self.params, self.x, self.t = fun, params, x, t

    def gradients(self) -> tuple[float, list[Array]]:
        """Return the loss and the gradients."""
        value, grads = self.fun(self.params, self.x, self.t)
        return float(value), flat(grads)

    def step(self) -> Any:
        """Take one step."""
        value, grads = self.fun(self.params, self.x, self.t)
        self.params = [
            (w - RATE * dw, b - RATE * db)
            for (w, b), (dw, db) in zip(self.params, grads, strict=True)
        ]
        return value


def _by_hand() -> Callable[..., Trainer]:
    return lambda params, x, t: ByValueAndGrad(loss_and_gradients_by_hand, params, x, t)


def _funcgrad() -> Callable[..., Trainer]:
    return lambda params, x, t: ByValueAndGrad(value_and_grad(loss), params, x, t)


def _autograd() -> Callable[..., Trainer]:
    import autograd
    import autograd.numpy

    fun = autograd.value_and_grad(lambda params, x, t: loss(params, x, t, autograd.numpy))
    return lambda params, x, t: ByValueAndGrad(fun, params, x, t)


def _funcgrad_nn() -> Callable[..., Trainer]:
    return NetworkTrainer


class NetworkTrainer:
    """The network, loss and optimiser of funcgrad.nn."""

    def __init__(self, params: Params, x: Array, t: Array) -> None:
        model = nn.Sequential(
            nn.Linear(2, 25),
            nn.ReLU(),
            nn.Linear(25, 25),
            nn.ReLU(),
            nn.Linear(25, 25),
            nn.ReLU(),
            nn.Linear(25, 2),
            nn.Softmax(axis=-1),
        )
        fresh = model.init(np.random.default_rng(0))
        self.params = tree.unflatten(tree.structure(fresh), flat(params))
        self.fun = value_and_grad(lambda params: nn.half_squared_error(model.apply(params, x), t))

    def gradients(self) -> tuple[float, list[Array]]:
        """Return the loss and the gradients."""
        value, grads = self.fun(self.params)
        return float(value), tree.leaves(grads)

    def step(self) -> Any:
        """Take one step."""
        value, grads = self.fun(self.params)
        self.params = nn.sgd(self.params, grads, RATE)
        return value


def _jax_jit() -> Callable[..., Trainer]:
    """JAX, the whole step compiled."""
    import jax

    jax.config.update("jax_enable_x64", True)
    fun = jax.value_and_grad(lambda params, x, t: loss(params, x, t, jax.numpy))

    @jax.jit
    def step(params: Params, x: Any, t: Any) -> tuple[Any, Params]:
        value, grads = fun(params, x, t)
        return value, jax.tree.map(lambda p, g: p - RATE * g, params, grads)

    class JaxTrainer:
        def __init__(self, params: Params, x: Array, t: Array) -> None:
            self.params, self.x, self.t = jax.tree.map(jax.numpy.asarray, (params, x, t))

        def gradients(self) -> tuple[float, list[Array]]:
            value, grads = fun(self.params, self.x, self.t)
            return float(value), flat(grads)

        def step(self) -> Any:
            value, self.params = step(self.params, self.x, self.t)
            return jax.block_until_ready(value)

    return JaxTrainer


def _torch() -> Callable[..., Trainer]:
    """PyTorch eager, with its own layers and optimiser."""
    import torch

    torch.set_num_threads(timing.threads())

    class TorchTrainer:
        def __init__(self, params: Params, x: Array, t: Array) -> None:
            layers: list[Any] = []
            for w, b in params:
                linear = torch.nn.Linear(*w.shape)
                linear.weight = torch.nn.Parameter(torch.tensor(w.T.copy()))
                linear.bias = torch.nn.Parameter(torch.tensor(b))
                layers += [linear, torch.nn.ReLU()]
            self.model = torch.nn.Sequential(*layers[:-1], torch.nn.Softmax(dim=-1))
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE)
            self.x, self.t = torch.tensor(x), torch.tensor(t)

        def backward(self) -> Any:
            self.optimizer.zero_grad()
            value = ((self.model(self.x) - self.t) ** 2).sum() / (2 * len(self.t))
            value.backward()
            return value

        def gradients(self) -> tuple[float, list[Array]]:
            value = self.backward()
            return value.item(), [p.grad.numpy().T.copy() for p in self.model.parameters()]

        def step(self) -> Any:
            value = self.backward()
            self.optimizer.step()
            return value.detach()

    return TorchTrainer


LIBRARIES: dict[str, Callable[[], Callable[..., Trainer]]] = {
    "by hand": _by_hand,
    "funcgrad": _funcgrad,
    "funcgrad.nn": _funcgrad_nn,
    "torch": _torch,
    "jax jit": _jax_jit,
    "autograd": _autograd,
}


def check(trainers: dict[str, Trainer], dtype: str) -> None:
    """Raise unless all trainers agree on loss and gradients, and on the loss some steps later."""
    tolerance = {"float64": 1e-9, "float32": 1e-3}[dtype]
    expected: tuple[float, list[Array]] | None = None
    final = None
    for name, trainer in trainers.items():
        value, grads = trainer.gradients()
        expected = expected or (value, grads)
        np.testing.assert_allclose(value, expected[0], rtol=tolerance, err_msg=name)
        for grad, reference in zip(grads, expected[1], strict=True):
            assert grad.dtype == dtype, (name, grad.dtype)
            scale = np.max(np.abs(reference))
            np.testing.assert_allclose(grad, reference, atol=tolerance * scale, err_msg=name)
        losses = [float(trainer.step()) for _ in range(CHECKED_STEPS)]
        final = final or losses[-1]
        np.testing.assert_allclose(losses[-1], final, rtol=tolerance, err_msg=name)


def measure(
    makers: dict[str, Callable[..., Trainer]], dtype: str, options: timing.Options
) -> list[dict[str, Any]]:
    """Return a row per library: seconds per step, ratios to hand-written NumPy and PyTorch."""
    trainers = {name: make(*data(dtype)) for name, make in makers.items()}
    check(trainers, dtype)
    steps = {name: trainer.step for name, trainer in trainers.items()}
    times = timing.interleaved(steps, options.rounds, options.seconds)
    return [
        {
            "dtype": dtype,
            "library": name,
            "seconds": statistics.median(times[name]),
            "ratios": {
                other: timing.ratio(times[name], times[other])
                for other in ("by hand", "torch")
                if other in times
            },
        }
        for name in trainers
    ]


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    others = list(rows[0]["ratios"])
    header = ["us per step", "dtype", "median", *(f"/ {other}" for other in others)]
    cells = [
        [row["library"], row["dtype"], f"{row['seconds'] * 1e6:.0f}"]
        + [f"{row['ratios'][other]:.3f}" for other in others]
        for row in rows
    ]
    timing.print_table(header, cells)


def run(options: timing.Options) -> list[dict[str, Any]]:
    """Measure, print the table and return the rows."""
    makers = timing.available(LIBRARIES, options.libraries)
    rows = [row for dtype in options.dtypes for row in measure(makers, dtype, options)]
    report(rows)
    return rows


if __name__ == "__main__":
    timing.script("seed_training", __doc__, LIBRARIES, 60, run)
