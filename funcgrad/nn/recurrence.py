"""The steps of recurrent layers through time: plain NumPy loops, and beside each its passes by hand.

What the gates get from the input is computed for all steps by one matrix product; a step adds
``h @ u``. By hand, the forward pass keeps for each step what its cotangents are multiples of, so
that the way back is a few products per step, and one for each weight at its end. Must not know
layers. Read next: `recurrent.py`.

Shapes: T steps, B sequences, H entries of h, G gates side by side in the columns of w and u.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from funcgrad.nn.activations import Array, relu, sigmoid, tanh
from funcgrad.nn.fused import Fused, Needs

__all__ = ["FUNCTIONS", "gru_states", "gru_step", "lstm_states", "lstm_step", "rnn_states"]

FUNCTIONS = {"tanh": tanh, "relu": relu}  # the activations of the plain recurrence


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


# --- what the passes by hand share ---------------------------------------------------------------
#
# Views by zip(), and out= everywhere: at this size a view or a new array costs as much as a sum.


def _rows_of(x: Array, dtype: Any) -> Array:
    """Return x as rows (T * B, F + 1), time first, with a 1 behind that meets the bias."""
    batch, steps, width = x.shape
    rows = np.ones((steps, batch, width + 1), dtype)
    rows[..., :width] = np.swapaxes(x, 0, 1)
    return rows.reshape(-1, width + 1)


def _by_gate(z: Array, n: int) -> Array:
    """View (..., B, G H) as (..., G, B, H): a gate is then one block, which NumPy goes through quickest."""
    return np.swapaxes(z.reshape(*z.shape[:-1], z.shape[-1] // n, n), -3, -2)


def _started(start: Array, steps: int, dtype: Any) -> Array:
    """Make room for a state before the first step and after each: (T + 1, B, H)."""
    states = np.empty((steps + 1, *start.shape), dtype)
    states[0] = start
    return states


def _returned(hs: Array, every: bool) -> Array:
    """Return h after every step, or after the last one only, in new memory."""
    return np.array(hs[1:] if every else hs[-1:])


def _sigmoid_or_tanh(halves: Iterable[float], batch: int, n: int, dtype: Any) -> Any:
    """Return factors with which one tanh serves all gates: sigmoid(z) = (1 + tanh(z / 2)) / 2.

    The columns of the weights times the first, then tanh, times the second, plus the third. A gate
    with 1/2 is a sigmoid, exact to the rounding of 1; one with 1 is the tanh itself.
    """
    halves = np.array(halves, dtype)
    half = np.empty((len(halves), batch, n), dtype)  # whole: broadcasting would take twice as long
    half[:] = halves[:, None, None]
    return np.repeat(halves, n), half, 1 - half


def _input_cotangents(needs: Needs, rows: Array, dz: Array, w: Array) -> Any:
    """Return the cotangents of x, w and b from those of ``x @ w + b``, (T, B, G H)."""
    steps, batch, width = dz.shape
    dz = dz.reshape(-1, width)
    dx = dw = db = None
    if needs[0]:
        dx = np.ascontiguousarray((dz @ w.T).reshape(steps, batch, len(w)).swapaxes(0, 1))
    if needs[1] or needs[2]:
        both = _product_over_rows(rows, dz)
        dw, db = both[:-1], both[-1]
    return dx, dw, db


def _product_over_rows(rows: Array, dz: Array) -> Array:
    """Return ``rows.T @ dz``; with the wide table first OpenBLAS takes 0.9 x the time."""
    return np.ascontiguousarray((dz.T @ rows).T)


def _recurrent_cotangent(needed: bool, hs: Array, da: Array) -> Array | None:
    """Return the cotangent of u from those of ``h @ u``, (T, B, G H)."""
    if not needed:
        return None
    n = hs.shape[-1]
    return _product_over_rows(hs[:-1].reshape(-1, n), da.reshape(-1, da.shape[-1]))


def _back(ct: Array, partial: Array, kept: Any, u: Array, dz: Array, da: Array) -> Array:
    """Go back through the steps of a layer with the one state h; return the cotangent of its start.

    Writes the cotangents of the gates into dz (T, B, K H): `partial` (T, K, B, H) times that of h.
    The columns da of dz belong to ``h @ u``; `kept` (T, B, H) is how much of h stays as it is, or
    None.
    """
    n = partial.shape[-1]
    u_back = np.ascontiguousarray(u.T)
    dh = np.array(ct[-1])
    before, stays = np.empty_like(dh), np.empty_like(dh)
    for t, (p, d, d_u) in enumerate(reversed(list(zip(partial, _by_gate(dz, n), da))), 1):
        np.multiply(p, dh, d)
        np.matmul(d_u, u_back, before)
        if kept is not None:
            np.multiply(kept[-t], dh, stays)
            np.add(before, stays, before)
        if t < len(ct):
            np.add(before, ct[-t - 1], before)
        dh, before = before, dh
    return dh


# --- the plain recurrence ------------------------------------------------------------------------


def _rnn_plain(
    x: Array, w: Array, b: Array, u: Array, h: Array, *, activation: str, every: bool
) -> Array:
    states = []
    for row in np.swapaxes(x @ w + b, 0, 1):
        h = FUNCTIONS[activation](row + h @ u)
        states.append(h)
    return np.stack(states if every else [h])


def _rnn_forward(
    needs: Needs, x: Array, w: Array, b: Array, u: Array, h: Array, *, activation: str, every: bool
) -> Any:
    (batch, steps, _), n = x.shape, len(u)
    dtype = np.result_type(x, w, b, u, h)
    rows = _rows_of(x, dtype)
    z = (rows @ np.vstack([w, b])).reshape(steps, batch, n)
    hs, zeros = _started(h, steps, dtype), np.zeros((batch, n), dtype)
    for row, h, new in zip(z, hs, hs[1:]):
        np.matmul(h, u, new)
        np.add(new, row, new)
        if activation == "tanh":
            np.tanh(new, new)
        else:
            np.maximum(new, zeros, out=new)
    return _returned(hs, every), (needs, rows, w, u, hs, activation)


def _rnn_backward(ct: Array, residuals: Any) -> Any:
    needs, rows, w, u, hs, activation = residuals
    new = hs[1:]
    partial = 1 - new * new if activation == "tanh" else (new > 0).astype(new.dtype)
    dz = np.empty_like(partial)
    dh = _back(ct, partial[:, None], None, u, dz, dz)
    du = _recurrent_cotangent(needs[3], hs, dz)
    return *_input_cotangents(needs, rows, dz, w), du, dh


# x (B, T, F) to h after every step, or after the last one only: (T, B, H) or (1, B, H).
rnn_states = Fused(_rnn_plain, _rnn_forward, _rnn_backward)


# --- the GRU -------------------------------------------------------------------------------------


def _gru_plain(
    x: Array, w: Array, b: Array, u: Array, b_n: Array, h: Array, *, every: bool
) -> Array:
    states = []
    for row in np.swapaxes(x @ w + b, 0, 1):
        h = gru_step(row, h @ u, h, b_n)
        states.append(h)
    return np.stack(states if every else [h])


def _gru_forward(
    needs: Needs, x: Array, w: Array, b: Array, u: Array, b_n: Array, h: Array, *, every: bool
) -> Any:
    (batch, steps, _), n = x.shape, len(u)
    dtype = np.result_type(x, w, b, u, b_n, h)
    columns, half, shift = _sigmoid_or_tanh((0.5, 0.5, 1), batch, n, dtype)
    half, shift = half[:2], shift[:2]
    rows, u_halved = _rows_of(x, dtype), u * columns
    z = (rows @ (np.vstack([w, b]) * columns)).reshape(steps, batch, 3 * n)
    partial = np.empty((steps, 4, batch, n), dtype)  # of n, r, z, and of h @ u_n + b_n
    kepts = np.empty((steps, batch, n), dtype)
    hs = _started(h, steps, dtype)
    total, gates = np.empty((batch, 3 * n), dtype), np.empty((2, batch, n), dtype)
    total_by_gate, (r, kept) = _by_gate(total, n), gates
    inner, new, work = np.empty((3, batch, n), dtype)
    for row, p, (p_n, p_r, p_z, p_a), kept_now, h, new_h in zip(
        _by_gate(z, n), partial, partial, kepts, hs, hs[1:]
    ):
        np.matmul(h, u_halved, total)
        np.add(total_by_gate[:2], row[:2], gates)
        np.tanh(gates, gates)
        np.multiply(gates, half, gates)
        np.add(gates, shift, gates)
        np.add(total_by_gate[2], b_n, inner)
        np.multiply(r, inner, new)
        np.add(new, row[2], new)
        np.tanh(new, new)
        np.subtract(h, new, work)
        np.multiply(kept, work, new_h)
        np.add(new, new_h, new_h)
        # The cotangents of all gates are multiples of that of the new h.
        np.multiply(gates, gates, p[1:3])
        np.subtract(gates, p[1:3], p[1:3])
        np.multiply(p_z, work, p_z)  # (h - n) z (1 - z)
        np.multiply(new, new, p_n)
        np.subtract(1, p_n, p_n)
        np.subtract(1, kept, work)
        np.multiply(p_n, work, p_n)  # (1 - z) (1 - n^2)
        np.multiply(p_n, r, p_a)  # through r * (h @ u_n + b_n)
        np.multiply(p_r, inner, p_r)
        np.multiply(p_r, p_n, p_r)
        np.copyto(kept_now, kept)
    return _returned(hs, every), (needs, rows, w, u, hs, partial, kepts)


def _gru_backward(ct: Array, residuals: Any) -> Any:
    needs, rows, w, u, hs, partial, kepts = residuals
    steps, _, batch, n = partial.shape
    both = np.empty((steps, batch, 4 * n), partial.dtype)  # n, r, z of x @ w, and r, z, n of h @ u
    da = both[..., n:]
    dh = _back(ct, partial, kepts, u, both, da)
    du = _recurrent_cotangent(needs[3], hs, da)
    db_n = da[..., 2 * n :].sum(axis=(0, 1)) if needs[4] else None
    in_order = np.concatenate([both[..., n : 3 * n], both[..., :n]], axis=-1)
    return *_input_cotangents(needs, rows, in_order, w), du, db_n, dh


# x (B, T, F) to h after every step, or after the last one only: (T, B, H) or (1, B, H).
gru_states = Fused(_gru_plain, _gru_forward, _gru_backward)


# --- the LSTM ------------------------------------------------------------------------------------


def _lstm_plain(
    x: Array, w: Array, b: Array, u: Array, h: Array, c: Array, *, every: bool
) -> Array:
    states = []
    for row in np.swapaxes(x @ w + b, 0, 1):
        h, c = lstm_step(row + h @ u, c)
        states.append(h)
    return np.stack([*(states if every else [h]), c])


def _lstm_forward(
    needs: Needs, x: Array, w: Array, b: Array, u: Array, h: Array, c: Array, *, every: bool
) -> Any:
    (batch, steps, _), n = x.shape, len(u)
    dtype = np.result_type(x, w, b, u, h, c)
    columns, half, shift = _sigmoid_or_tanh((0.5, 0.5, 1, 0.5), batch, n, dtype)
    rows, u_halved = _rows_of(x, dtype), u * columns
    z = (rows @ (np.vstack([w, b]) * columns)).reshape(steps, batch, 4 * n)
    partial = np.empty((steps, 4, batch, n), dtype)
    forgets, throughs = np.empty((2, steps, batch, n), dtype)
    hs, c = _started(h, steps, dtype), np.array(c, dtype)
    total, gates = np.empty((batch, 4 * n), dtype), np.empty((4, batch, n), dtype)
    total_by_gate, (i, f, g, o) = _by_gate(total, n), gates
    tanh, work = np.empty((2, batch, n), dtype)
    for row, p, (p_i, p_f, p_g, p_o), forget, through, h, new_h in zip(
        z, partial, partial, forgets, throughs, hs, hs[1:]
    ):
        np.matmul(h, u_halved, total)
        np.add(total, row, total)
        np.tanh(total_by_gate, gates)
        np.multiply(gates, half, gates)
        np.add(gates, shift, gates)
        # The cotangents of i, f and g are multiples of that of the new c, that of o of the new h's.
        np.multiply(gates, gates, p)
        np.subtract(gates[:2], p[:2], p[:2])
        np.subtract(1, p_g, p_g)
        np.subtract(o, p_o, p_o)
        np.multiply(p_i, g, p_i)
        np.multiply(p_f, c, p_f)
        np.multiply(p_g, i, p_g)
        np.multiply(f, c, c)
        np.multiply(i, g, work)
        np.add(c, work, c)
        np.tanh(c, tanh)
        np.multiply(o, tanh, new_h)
        np.multiply(p_o, tanh, p_o)
        np.multiply(new_h, tanh, through)
        np.subtract(o, through, through)  # from h to c: o (1 - tanh(c)^2)
        np.copyto(forget, f)
    ans = np.concatenate([hs[1:] if every else hs[-1:], c[None]])
    return ans, (needs, rows, w, u, hs, partial, forgets, throughs)


def _lstm_backward(ct: Array, residuals: Any) -> Any:
    needs, rows, w, u, hs, partial, forgets, throughs = residuals
    steps, _, batch, n = partial.shape
    ct, dc = ct[:-1], np.array(ct[-1])
    u_back = np.ascontiguousarray(u.T)
    dz = np.empty((steps, batch, 4 * n), partial.dtype)
    dh, work = np.array(ct[-1]), np.empty_like(dc)
    by_gate = _by_gate(dz, n)
    views = zip(dz, by_gate[:, :3], by_gate[:, 3], partial[:, :3], partial[:, 3], throughs, forgets)
    for t, (d, d_cell, d_o, p_cell, p_o, through, f) in enumerate(reversed(list(views)), 1):
        np.multiply(dh, through, work)
        np.add(dc, work, dc)
        np.multiply(p_cell, dc, d_cell)
        np.multiply(p_o, dh, d_o)
        np.multiply(dc, f, dc)
        np.matmul(d, u_back, dh)
        if t < len(ct):
            np.add(dh, ct[-t - 1], dh)
    du = _recurrent_cotangent(needs[3], hs, dz)
    return *_input_cotangents(needs, rows, dz, w), du, dh, dc


# x (B, T, F) to h after every step, or after the last one only, and behind it c after the last one.
lstm_states = Fused(_lstm_plain, _lstm_forward, _lstm_backward)
