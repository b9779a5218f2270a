"""The steps of recurrent layers through time: plain NumPy loops, and the LSTM's passes by hand.

What the gates get from the input is computed for all steps by one matrix product; a step adds
``h @ u``. Must not know layers. Read next: `recurrent.py`.
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


def _lstm_plain(
    x: Array, w: Array, b: Array, u: Array, h: Array, c: Array, *, every: bool
) -> Array:
    states = []
    for row in np.swapaxes(x @ w + b, 0, 1):
        h, c = lstm_step(row + h @ u, c)
        states.append(h)
    return np.stack([*(states if every else [h]), c])


def _by_gate(z: Array, n: int) -> Array:
    """View (B, 4 H) as (4, B, H): a gate is then one block, which NumPy goes through quickest."""
    return z.reshape(len(z), 4, n).transpose(1, 0, 2)


def _lstm_forward(
    needs: Needs, x: Array, w: Array, b: Array, u: Array, h: Array, c: Array, *, every: bool
) -> Any:
    # sigmoid(z) = (1 + tanh(z / 2)) / 2: one tanh serves all gates, exact to the rounding of 1.
    (batch, steps, width), n = x.shape, len(u)
    dtype = np.result_type(x, w, b, u, h, c)
    halves = np.array([0.5, 0.5, 1, 0.5], dtype)
    half = np.empty((4, batch, n), dtype)  # whole: broadcasting would take twice as long
    half[:] = halves[:, None, None]
    shift = 1 - half
    halves = np.repeat(halves, n)
    rows = np.ones((steps, batch, width + 1), dtype)  # time first, and a 1 for the bias
    rows[..., :width] = np.swapaxes(x, 0, 1)
    rows = rows.reshape(-1, width + 1)
    z = (rows @ (np.vstack([w, b]) * halves)).reshape(steps, batch, 4 * n)
    u_halved = u * halves
    gates = np.empty((steps, 4, batch, n), dtype)
    tanhs = np.empty((steps, batch, n), dtype)
    hs, cs = np.empty((2, steps + 1, batch, n), dtype)  # the start first
    hs[0], cs[0] = h, c
    total, work = np.empty((batch, 4 * n), dtype), np.empty((batch, n), dtype)
    total_by_gate = _by_gate(total, n)
    # Views by zip(), and out= everywhere: at this size a view or a new array costs as much as a sum.
    for row, a, (i, f, g, o), tanh, h, c, new_h, new_c in zip(
        z, gates, gates, tanhs, hs, cs, hs[1:], cs[1:]
    ):
        np.matmul(h, u_halved, total)
        np.add(total, row, total)
        np.tanh(total_by_gate, a)
        np.multiply(a, half, a)
        np.add(a, shift, a)
        np.multiply(f, c, new_c)
        np.multiply(i, g, work)
        np.add(new_c, work, new_c)
        np.tanh(new_c, tanh)
        np.multiply(o, tanh, new_h)
    ans = np.concatenate([hs[1:] if every else hs[-1:], cs[-1:]])
    return ans, (needs, every, rows, w, u, hs, cs, gates, tanhs)


def _lstm_backward(ct: Array, residuals: Any) -> Any:
    needs, every, rows, w, u, hs, cs, gates, tanhs = residuals
    steps, _, batch, n = gates.shape
    partial = _lstm_partials(gates, cs[:-1], tanhs)
    through = gates[:, 3] * (1 - tanhs * tanhs)  # from h to c
    u_back = np.ascontiguousarray(u.T)
    dz = np.empty((steps, batch, 4 * n), gates.dtype)
    dh, dc = np.array(ct[-2]), np.array(ct[-1])
    work = np.empty_like(dh)
    by_gate = dz.reshape(steps, batch, 4, n).transpose(0, 2, 1, 3)
    views = zip(dz, by_gate[:, :3], by_gate[:, 3], partial[:, :3], partial[:, 3], through, gates)
    for t, (d, d_cell, d_o, p_cell, p_o, to_c, (_, f, _, _)) in enumerate(reversed(list(views)), 2):
        np.multiply(dh, to_c, work)
        np.add(dc, work, dc)
        np.multiply(p_cell, dc, d_cell)
        np.multiply(p_o, dh, d_o)
        np.multiply(dc, f, dc)
        np.matmul(d, u_back, dh)
        if every and t <= steps:
            np.add(dh, ct[-t - 1], dh)
    dz = dz.reshape(-1, 4 * n)
    dx = None
    if needs[0]:
        dx = np.ascontiguousarray((dz @ w.T).reshape(steps, batch, len(w)).swapaxes(0, 1))
    both = rows.T @ dz if needs[1] or needs[2] else None
    dw, db = (None, None) if both is None else (both[:-1], both[-1])
    du = hs[:-1].reshape(-1, n).T @ dz if needs[3] else None
    return dx, dw, db, du, dh, dc


def _lstm_partials(gates: Array, before: Array, tanhs: Array) -> Array:
    """Return what does not wait for later steps, for all at once.

    The cotangent of a gate's input is this times the cotangent of c for i, f and g, of h for o.
    """
    i, g = gates[:, 0], gates[:, 2]
    partial = gates * gates
    np.subtract(gates, partial, out=partial)
    np.subtract(1, g * g, out=partial[:, 2])
    for k, factor in enumerate((g, before, i, tanhs)):
        partial[:, k] *= factor
    return partial


# x (B, T, F) to h after every step, or after the last one only, and behind it c after the last one.
lstm_states = Fused(_lstm_plain, _lstm_forward, _lstm_backward)
