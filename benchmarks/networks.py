"""A training step of small networks: an MLP and a CNN on digits, and recurrent layers on sequences.

Softmax cross-entropy, the gradient of all weights and one step of gradient descent, with the layers and
the optimiser of each library. All start from the same weights; losses and gradients must agree before
anything is timed. Run `python -m benchmarks.networks --help`.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import timing
from benchmarks.seed_training import Trainer, check
from funcgrad import nn, tree, value_and_grad

RATE = 0.01

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Task:
    """A network and the shape of its data."""

    name: str
    kind: str
    shape: tuple[int, ...]
    classes: int = 10

    def model(self, dtype: str) -> nn.Sequential:
        """Build the network in funcgrad."""
        options: Any = {"dtype": dtype}
        if self.kind == "mlp":
            return nn.Sequential(
                nn.Linear(64, 128, **options), nn.ReLU(), nn.Linear(128, 10, **options)
            )
        if self.kind == "cnn":
            return nn.Sequential(
                nn.Conv2d(1, 16, 3, padding="same", **options),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(16, 32, 3, padding="same", **options),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Flatten(),
                nn.Linear(128, 10, **options),
            )
        recurrent = getattr(nn, self.kind)(16, 64, return_sequence=False, **options)
        return nn.Sequential(recurrent, nn.Linear(64, 10, **options))

    def data(self, dtype: str) -> tuple[Any, Array, Array]:
        """Return weights, inputs and classes."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=self.shape).astype(dtype)
        return self.model(dtype).init(rng), x, rng.integers(self.classes, size=self.shape[0])


TASKS = (
    Task("MLP 64-128-10, batch 32", "mlp", (32, 64)),
    Task("MLP 64-128-10, batch 256", "mlp", (256, 64)),
    Task("CNN 8 x 8, batch 64", "cnn", (64, 8, 8, 1)),
    Task("LSTM 64, 50 steps, batch 32", "LSTM", (32, 50, 16)),
    Task("GRU 64, 50 steps, batch 32", "GRU", (32, 50, 16)),
    Task("RNN 64, 50 steps, batch 32", "RNN", (32, 50, 16)),
)


class FuncgradTrainer:
    """The layers, loss and optimiser of funcgrad.nn."""

    def __init__(self, task: Task, dtype: str) -> None:
        self.params, x, y = task.data(dtype)
        model = task.model(dtype)
        self.fun = value_and_grad(
            lambda params: nn.softmax_cross_entropy(model.apply(params, x), y)
        )

    def gradients(self) -> tuple[float, list[Array]]:
        """Return the loss and the gradients."""
        value, grads = self.fun(self.params)
        return float(value), tree.leaves(grads)

    def step(self) -> Any:
        """Take one step."""
        value, grads = self.fun(self.params)
        self.params = nn.sgd(self.params, grads, RATE)
        return value


def _torch_network(torch: Any, kind: str) -> Any:
    """Build the network in PyTorch."""
    from torch.nn import Conv2d, Linear, MaxPool2d, Module, ReLU, Sequential

    class ToRows(Module):
        """Flatten with the channels last, so that the weights behind have funcgrad's order."""

        def forward(self, x: Any) -> Any:
            return x.permute(0, 2, 3, 1).flatten(1)

    class Last(Module):
        """A recurrent layer that returns h after the last step."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = getattr(torch.nn, kind)(16, 64, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.layer(x)[0][:, -1]

    if kind == "mlp":
        return Sequential(Linear(64, 128), ReLU(), Linear(128, 10))
    if kind in ("LSTM", "GRU", "RNN"):
        return Sequential(Last(), Linear(64, 10))
    first = [Conv2d(1, 16, 3, padding=1), ReLU(), MaxPool2d(2)]
    second = [Conv2d(16, 32, 3, padding=1), ReLU(), MaxPool2d(2)]
    return Sequential(*first, *second, ToRows(), Linear(128, 10))


def _torch() -> Callable[..., Trainer]:
    """PyTorch eager, with its own layers and optimiser."""
    import torch

    torch.set_num_threads(timing.threads())

    class TorchTrainer:
        def __init__(self, task: Task, dtype: str) -> None:
            params, x, y = task.data(dtype)
            self.model = _torch_network(torch, task.kind).to(getattr(torch, dtype))
            named = list(self.model.named_parameters())
            # PyTorch has two biases where one does, but for the last gate of a GRU: `second` entries
            # at the end of the other one are trained.
            second = {"GRU": 64}.get(task.kind, 0)
            self.kept = [p for name, p in named if "bias_hh" not in name or second]
            self.lengths = [len(array) for array in tree.leaves(params)]
            with torch.no_grad():
                for name, p in named:
                    if "bias_hh" in name:
                        p.zero_()
                    if "bias_hh" in name and second:
                        trained = torch.arange(len(p)) >= len(p) - second
                        p.register_hook(lambda g, trained=trained: g * trained)
                for p, array in zip(self.kept, tree.leaves(params), strict=True):
                    w = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
                    p[-len(w) :].copy_(torch.tensor(w.copy()))
            self.optimizer = torch.optim.SGD(self.kept, lr=RATE)
            x = x.transpose(0, 3, 1, 2) if task.kind == "cnn" else x
            self.x, self.y = torch.tensor(x.copy()), torch.tensor(y)

        def backward(self) -> Any:
            self.optimizer.zero_grad()
            value = torch.nn.functional.cross_entropy(self.model(self.x), self.y)
            value.backward()
            return value

        def gradients(self) -> tuple[float, list[Array]]:
            value = self.backward()
            grads = [p.grad.numpy().copy() for p in self.kept]
            grads = [g.transpose(2, 3, 1, 0) if g.ndim == 4 else g.T for g in grads]
            return value.item(), [g[-n:] for g, n in zip(grads, self.lengths, strict=True)]

        def step(self) -> Any:
            value = self.backward()
            self.optimizer.step()
            return value.detach()

    return TorchTrainer


def _jax_network(jax: Any, kind: str) -> Callable[[list[Any], Any], Any]:
    """Write the network in jax.numpy and jax.lax: a function of the weights and x."""
    jnp = jax.numpy

    def convolved(x: Any, w: Any, b: Any) -> Any:
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=layout)
        x = jnp.maximum(x + b, 0)
        n, height, width, channels = x.shape
        return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))

    def tanh_step(h: Any, z: Any, u: Any) -> Any:
        h = jnp.tanh(z + h @ u)
        return h, h

    def gru_step(h: Any, z: Any, u: Any, b_n: Any) -> Any:
        (r, k, n), (r_h, k_h, n_h) = [jnp.split(part, 3, axis=-1) for part in (z, h @ u)]
        k = jax.nn.sigmoid(k + k_h)
        h = (1 - k) * jnp.tanh(n + jax.nn.sigmoid(r + r_h) * (n_h + b_n)) + k * h
        return h, h

    def lstm_step(carry: Any, z: Any, u: Any) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(z + h @ u, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def last(step: Any, states: int, x: Any, w: Any, u: Any, b: Any, *more: Any) -> Any:
        h = jnp.zeros((len(x), u.shape[0]), x.dtype)
        carry = h if states == 1 else (h, h)
        inputs = (x @ w + b).swapaxes(0, 1)
        return jax.lax.scan(lambda carry, z: step(carry, z, u, *more), carry, inputs)[1][-1]

    hidden = {
        "mlp": lambda arrays, x: jnp.maximum(x @ arrays[0] + arrays[1], 0),
        "cnn": lambda arrays, x: convolved(convolved(x, *arrays[:2]), *arrays[2:4]),
        "LSTM": lambda arrays, x: last(lstm_step, 2, x, *arrays[:3]),
        "GRU": lambda arrays, x: last(gru_step, 1, x, *arrays[:4]),
        "RNN": lambda arrays, x: last(tanh_step, 1, x, *arrays[:3]),
    }[kind]
    return lambda arrays, x: hidden(arrays, x).reshape(len(x), -1) @ arrays[-2] + arrays[-1]


def _jax_jit() -> Callable[..., Trainer]:
    """JAX, the whole step compiled."""
    import jax

    jax.config.update("jax_enable_x64", True)

    class JaxTrainer:
        def __init__(self, task: Task, dtype: str) -> None:
            params, x, y = task.data(dtype)
            self.params = [jax.numpy.asarray(array) for array in tree.leaves(params)]
            self.x, self.y = jax.numpy.asarray(x), jax.numpy.asarray(y)
            network = _jax_network(jax, task.kind)

            def loss(arrays: Any, x: Any, y: Any) -> Any:
                logs = jax.nn.log_softmax(network(arrays, x))
                return -logs[jax.numpy.arange(len(y)), y].mean()

            self.fun = jax.value_and_grad(loss)

            def step(arrays: Any, x: Any, y: Any) -> Any:
                value, grads = self.fun(arrays, x, y)
                return value, [p - RATE * g for p, g in zip(arrays, grads, strict=True)]

            self.compiled = jax.jit(step)

        def gradients(self) -> tuple[float, list[Array]]:
            value, grads = self.fun(self.params, self.x, self.y)
            return float(value), [np.asarray(g) for g in grads]

        def step(self) -> Any:
            value, self.params = self.compiled(self.params, self.x, self.y)
            return jax.block_until_ready(value)

    return JaxTrainer


LIBRARIES: dict[str, Callable[[], Callable[..., Trainer]]] = {
    "funcgrad": lambda: FuncgradTrainer,
    "torch": _torch,
    "jax jit": _jax_jit,
}


def measure(
    makers: dict[str, Callable[..., Trainer]], task: Task, dtype: str, options: timing.Options
) -> list[dict[str, Any]]:
    """Return a row per library: seconds per step, ratios to PyTorch and JAX."""
    trainers = {name: make(task, dtype) for name, make in makers.items()}
    check(trainers, dtype)
    steps = {name: trainer.step for name, trainer in trainers.items()}
    times = timing.interleaved(steps, options.rounds, options.seconds)
    return [
        {
            "task": task.name,
            "dtype": dtype,
            "library": name,
            "seconds": statistics.median(times[name]),
            "ratios": {
                other: timing.ratio(times[name], times[other])
                for other in ("torch", "jax jit")
                if other in times
            },
        }
        for name in trainers
    ]


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    others = list(rows[0]["ratios"])
    header = ["us per step", "dtype", "library", "median", *(f"/ {other}" for other in others)]
    cells = [
        [row["task"], row["dtype"], row["library"], f"{row['seconds'] * 1e6:.0f}"]
        + [f"{row['ratios'][other]:.3f}" for other in others]
        for row in rows
    ]
    timing.print_table(header, cells)


def run(options: timing.Options) -> list[dict[str, Any]]:
    """Measure, print the table and return the rows."""
    makers = timing.available(LIBRARIES, options.libraries)
    rows = [
        row
        for task in TASKS
        for dtype in options.dtypes
        for row in measure(makers, task, dtype, options)
    ]
    report(rows)
    return rows


if __name__ == "__main__":
    timing.script("networks", __doc__, LIBRARIES, 40, run)
