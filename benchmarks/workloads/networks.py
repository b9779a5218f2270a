"""Networks without layers of a library: perceptrons, an LSTM, a convolution.

Next file: scalars.py.
"""

from typing import Any

import numpy as np

from benchmarks import seed_training
from benchmarks.workloads.workload import Array, Arrays, Workload


def disc(xp: Any, *args: Any) -> Any:
    """Return the loss of the disc experiment, from weights and biases in one list."""
    *arrays, x, t = args
    return seed_training.loss(list(zip(arrays[::2], arrays[1::2], strict=True)), x, t, xp)


def disc_by_hand(*args: Array) -> tuple[Any, ...]:
    """Return the loss and its gradients."""
    *arrays, x, t = args
    params = list(zip(arrays[::2], arrays[1::2], strict=True))
    value, gradients = seed_training.loss_and_gradients_by_hand(params, x, t)
    return value, *seed_training.flat(gradients)


def perceptron(xp: Any, w: Any, b: Any, v: Any, c: Any, x: Any, t: Any) -> Any:
    """Return the cross-entropy of a network with one hidden layer; `t` is one-hot."""
    logits = xp.maximum(x @ w + b, 0) @ v + c
    logits = logits - xp.max(logits, axis=1, keepdims=True)
    logs = logits - xp.log(xp.sum(xp.exp(logits), axis=1, keepdims=True))
    return -xp.sum(t * logs) / len(t)


def perceptron_by_hand(
    w: Array, b: Array, v: Array, c: Array, x: Array, t: Array
) -> tuple[Any, ...]:
    """Return the loss and its gradients: softmax minus target, sent back through the layers."""
    hidden = np.maximum(x @ w + b, 0)
    logits = hidden @ v + c
    logits -= np.max(logits, axis=1, keepdims=True)
    e = np.exp(logits)
    total = np.sum(e, axis=1, keepdims=True)
    value = -np.sum(t * (logits - np.log(total))) / len(t)
    d = (e / total - t) / len(t)
    inner = (d @ v.T) * (hidden > 0)
    return value, x.T @ inner, np.sum(inner, axis=0), hidden.T @ d, np.sum(d, axis=0)


def _perceptron_torch(torch: Any, w: Any, b: Any, v: Any, c: Any, x: Any, t: Any) -> Any:
    hidden = torch.relu(torch.addmm(b, x, w))
    return torch.nn.functional.cross_entropy(torch.addmm(c, hidden, v), t)


def lstm(xp: Any, w: Any, u: Any, b: Any, x: Any) -> Any:
    """Return the squared last state of an LSTM over `x` of shape (steps, batch, inputs)."""
    size = u.shape[0]
    h = c = xp.zeros_like(x[0] @ w[:, :size])
    for step in range(len(x)):
        z = x[step] @ w + h @ u + b
        i, f, o = [1 / (1 + xp.exp(-z[:, k * size : (k + 1) * size])) for k in range(3)]
        c = f * c + i * xp.tanh(z[:, 3 * size :])
        h = o * xp.tanh(c)
    return xp.sum(h * h)


def lstm_by_hand(w: Array, u: Array, b: Array, x: Array) -> tuple[Any, Array, Array, Array]:
    """Send the cotangents of h and c back through time (Hochreiter and Schmidhuber 1997)."""
    steps, batch, _ = x.shape
    size = u.shape[0]
    inputs = x @ w + b
    h = c = np.zeros((batch, size), x.dtype)
    kept = []
    for step in range(steps):
        z = inputs[step] + h @ u
        gates = 1 / (1 + np.exp(-z[:, : 3 * size]))
        i, f, o = gates[:, :size], gates[:, size : 2 * size], gates[:, 2 * size :]
        g = np.tanh(z[:, 3 * size :])
        before, c = c, f * c + i * g
        t = np.tanh(c)
        kept.append((h, before, gates, i, f, o, g, t))
        h = o * t
    value = np.sum(h * h)
    dh, dc, dz = 2 * h, np.zeros_like(c), np.empty((steps, batch, 4 * size), x.dtype)
    du = np.zeros_like(u)
    for step in reversed(range(steps)):
        h, before, gates, i, f, o, g, t = kept[step]
        dc = dc + dh * o * (1 - t * t)
        d = dz[step]
        d[:, :size], d[:, size : 2 * size], d[:, 2 * size : 3 * size] = dc * g, dc * before, dh * t
        d[:, : 3 * size] *= gates * (1 - gates)
        d[:, 3 * size :] = dc * i * (1 - g * g)
        du += h.T @ d
        dh, dc = d @ u.T, dc * f
    flat = dz.reshape(-1, 4 * size)
    return value, x.reshape(-1, x.shape[2]).T @ flat, du, np.sum(flat, axis=0)


def convolution(xp: Any, w: Any, b: Any, x: Any) -> Any:
    """Convolve images (batch, height, width, channels), take the positive part, sum the squares."""
    rows, columns = w.shape[:2]
    height, width = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    y = b
    for i in range(rows):
        for j in range(columns):
            y = y + x[:, i : i + height, j : j + width] @ w[i, j]
    y = xp.maximum(y, 0)
    return xp.sum(y * y)


def convolution_by_hand(w: Array, b: Array, x: Array) -> tuple[Any, Array, Array, Array]:
    """Return the loss and its gradients, offset by offset."""
    rows, columns, inputs, outputs = w.shape
    height, width = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    offsets = [(i, j) for i in range(rows) for j in range(columns)]
    patches = {(i, j): x[:, i : i + height, j : j + width] for i, j in offsets}
    y = sum([patches[offset] @ w[offset] for offset in offsets]) + b
    y = np.maximum(y, 0)
    value = np.vdot(y, y)
    d = 2 * y
    flat = d.reshape(-1, outputs)
    dw, dx = np.empty_like(w), np.zeros_like(x)
    for i, j in offsets:
        dw[i, j] = patches[i, j].reshape(-1, inputs).T @ flat
        dx[:, i : i + height, j : j + width] += d @ w[i, j].T
    return value, dw, np.sum(flat, axis=0), dx


def _convolution_torch(torch: Any, w: Any, b: Any, x: Any) -> Any:
    y = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b)
    return torch.relu(y).square().sum()


def _convolution_jax(jnp: Any, w: Any, b: Any, x: Any) -> Any:
    from jax.lax import conv_general_dilated

    layout = ("NHWC", "HWIO", "NHWC")
    y = conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=layout) + b
    return jnp.sum(jnp.maximum(y, 0) ** 2)


def _disc(_: np.random.Generator, size: int) -> Arrays:
    params, x, t = seed_training.data("float64")
    return *seed_training.flat(params), x[:size], t[:size]


def _perceptron(rng: np.random.Generator, size: int) -> Arrays:
    w, v = 0.1 * rng.normal(size=(64, 128)), 0.1 * rng.normal(size=(128, 10))
    targets = np.eye(10)[rng.integers(10, size=size)]
    return w, np.zeros(128), v, np.zeros(10), rng.uniform(size=(size, 64)), targets


def _lstm(rng: np.random.Generator, size: int) -> Arrays:
    w, u, b = [0.1 * rng.normal(size=shape) for shape in ((8, 128), (32, 128), (128,))]
    return w, u, b, rng.normal(size=(size, 16, 8))


def _convolution(rng: np.random.Generator, size: int) -> Arrays:
    w = 0.1 * rng.normal(size=(3, 3, 8, 16))
    return w, rng.normal(size=16), rng.normal(size=(size, 16, 16, 8))


WORKLOADS = (
    Workload(
        "disc, 2-25-25-25-2, 1,000 points",
        disc,
        disc_by_hand,
        data=_disc,
        sizes=(1_000,),
        quick=20,
        differentiated=8,
    ),
    Workload(
        "MLP 64-128-10, batch",
        perceptron,
        perceptron_by_hand,
        data=_perceptron,
        sizes=(32, 256),
        quick=8,
        differentiated=4,
        written={"torch": _perceptron_torch},
    ),
    Workload(
        "LSTM 8-32, batch 16, 30 steps",
        lstm,
        lstm_by_hand,
        data=_lstm,
        sizes=(30,),
        quick=3,
        differentiated=3,
    ),
    Workload(
        "convolution 3 x 3, 8 to 16 channels, 32 images 16 x 16",
        convolution,
        convolution_by_hand,
        data=_convolution,
        sizes=(32,),
        quick=2,
        differentiated=3,
        written={"torch": _convolution_torch, "jax": _convolution_jax},
    ),
)
