"""The steps of recurrent layers through time: plain NumPy loops, and the LSTM's passes by hand.

``z`` of shape (T, B, gates * H) holds what the gates get from the input, computed for all steps by one
matrix product; a step adds ``h @ u``. Must not know layers. Read next: `recurrent.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.nn.activations import Array, sigmoid
from funcgrad.nn.fused import Fused, Needs

__all__ = ["gru_step", "lstm_states", "lstm_step", "run"]


def gru_step(z: Array, a: Array, h: Array, b_n: Array) -> Array:
    """Return the new h; z comes from the input, a = h @ u, both (B, 3 H) for the gates r, z, n."""
    n = h.shape[-1]
    r = sigmoid(z[..., :n] + a[..., :n])
    kept = sigmoid(z[..., n : 2 * n] + a[..., n : 2 * n])
    new = np.tanh(z[..., 2 * n :] + r * (a[..., 2 * n :] + b_n))
    return new + kept * (h - new)


def lstm_step(z: Array, c: Array) -> tuple[Array, Array]:
    """Return the new (h, c); z of shape (B, 4 H) is what the gates i, f, g, o get in all."""
    n = c.shape[-1]
    i, f, g, o = [z[..., k * n : k * n + n] for k in range(4)]
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def run(step: Callable[[Array, Array], Array], z: Array, h: Array) -> Array:
    """Return h after each step, (T, B, H)."""
    states = []
    for row in z:
        h = step(row, h)
        states.append(h)
    return np.stack(states)


# --- the LSTM ------------------------------------------------------------------------------------


def _lstm_plain(z: Array, u: Array, h: Array, c: Array) -> Array:
    states = []
    for row in z:
        h, c = lstm_step(row + h @ u, c)
        states.append(np.concatenate([h, c], axis=-1))
    return np.stack(states)


def _lstm_forward(needs: Needs, z: Array, u: Array, h: Array, c: Array) -> Any:
    # sigmoid(x) = (1 + tanh(x / 2)) / 2: one tanh serves all gates, exact to the rounding of 1.
    steps, batch, width = z.shape
    n = width // 4
    z = z.astype(np.result_type(z, u, h, c), copy=False)
    half = np.full(width, 0.5, z.dtype)
    half[2 * n : 3 * n] = 1
    shift = 1 - half
    gates = z * half
    halved = u * half
    states = np.empty((steps, batch, 2 * n), z.dtype)
    tanhs = np.empty((steps, batch, n), z.dtype)
    start = h, c
    work = np.empty((batch, n), z.dtype)
    for t in range(steps):
        a = gates[t]
        a += h @ halved
        np.tanh(a, out=a)
        a *= half
        a += shift
        new, cell = states[t, :, :n], states[t, :, n:]
        np.multiply(a[:, n : 2 * n], c, out=cell)
        np.multiply(a[:, :n], a[:, 2 * n : 3 * n], out=work)
        cell += work
        np.tanh(cell, out=tanhs[t])
        np.multiply(a[:, 3 * n :], tanhs[t], out=new)
        h, c = new, cell
    return states, (needs, u, start, gates, states, tanhs)


def _lstm_backward(ct: Array, residuals: Any) -> Any:
    needs, u, (h0, c0), gates, states, tanhs = residuals
    steps, batch, width = gates.shape
    n = width // 4
    i, f, g, o = [gates[..., k * n : k * n + n] for k in range(4)]
    before = np.empty_like(states)  # h and c before each step
    before[0, :, :n], before[0, :, n:] = h0, c0
    before[1:] = states[:-1]
    # What does not wait for later steps, for all steps at once: d(gate input) is `partial` times
    # the cotangent of c for the gates i, f, g, and of h for the gate o.
    partial = gates * (1 - gates)
    np.subtract(1, g * g, out=partial[..., 2 * n : 3 * n])
    partial[..., :n] *= g
    partial[..., n : 2 * n] *= before[..., n:]
    partial[..., 2 * n : 3 * n] *= i
    partial[..., 3 * n :] *= tanhs
    through = o * (1 - tanhs * tanhs)  # from h to c
    back = np.ascontiguousarray(u.T)
    dz = partial
    dh = np.zeros((batch, n), gates.dtype)
    dc = np.zeros((batch, n), gates.dtype)
    work = np.empty((batch, n), gates.dtype)
    for t in range(steps - 1, -1, -1):
        dh += ct[t, :, :n]
        dc += ct[t, :, n:]
        np.multiply(dh, through[t], out=work)
        dc += work
        row = dz[t]
        by_cell = row[:, : 3 * n].reshape(batch, 3, n)  # a view
        by_cell *= dc[:, None]
        row[:, 3 * n :] *= dh
        dc *= f[t]
        dh = row @ back
    du = None
    if needs[1]:
        du = before[..., :n].reshape(-1, n).T @ dz.reshape(-1, width)
    return dz, du, dh, dc


lstm_states = Fused(_lstm_plain, _lstm_forward, _lstm_backward)  # (T, B, 2 H): h and c side by side
