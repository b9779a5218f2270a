"""Recurrent cells and layers: RNN, GRU and LSTM, with PyTorch's gates and formulas.

A sequence is (batch, time, features). A cell makes one step, ``apply(params, x, carry) -> carry``; a
layer makes all of them, with the same parameters. Read next: `attention.py`.
"""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.nn.activations import Array
from funcgrad.nn.initializers import Initializer, orthogonal, xavier_uniform, zeros
from funcgrad.nn.layers import affine
from funcgrad.nn.protocol import STATIC, Params, check_last_axis, check_params
from funcgrad.nn.recurrence import (
    FUNCTIONS,
    gru_states,
    gru_step,
    lstm_states,
    lstm_step,
    rnn_states,
)
from funcgrad.nn.settings import check_number, check_positive, check_start, check_switch

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

Carry: TypeAlias = Any  # what a step hands to the next: h, or (h, c)


@dataclass(frozen=True)
class _Recurrent:
    """The settings and parameters of cells and layers."""

    in_dim: int = field(metadata=STATIC)
    hidden_dim: int = field(metadata=STATIC)
    weight_init: Initializer = field(
        default=xavier_uniform, kw_only=True, repr=False, metadata=STATIC
    )
    recurrent_init: Initializer = field(
        default=orthogonal, kw_only=True, repr=False, metadata=STATIC
    )
    bias_init: Initializer = field(default=zeros, kw_only=True, repr=False, metadata=STATIC)
    dtype: DTypeLike = field(default=np.float64, kw_only=True, repr=False, metadata=STATIC)

    GATES: ClassVar[int]

    def __post_init__(self) -> None:
        check_positive(self, in_dim=self.in_dim, hidden_dim=self.hidden_dim)
        check_start(self)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        n, width = self.hidden_dim, self.GATES * self.hidden_dim
        return {"w": (self.in_dim, width), "u": (n, width), "b": (width,)}

    def init(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Draw ``(w, u, b)``: (in_dim, gates * H), (H, gates * H), (gates * H,); each gate by itself."""
        n, gates = self.hidden_dim, range(self.GATES)
        w = [self.weight_init(rng, (self.in_dim, n), self.dtype) for _ in gates]
        u = [self.recurrent_init(rng, (n, n), self.dtype) for _ in gates]
        b = [self.bias_init(rng, (n,), self.dtype) for _ in gates]
        return np.concatenate(w, axis=1), np.concatenate(u, axis=1), np.concatenate(b)

    def init_carry(self, batch: tuple[int, ...], dtype: DTypeLike) -> Carry:
        """Return what the first step starts from: zeros of shape (*batch, H)."""
        return np.zeros((*batch, self.hidden_dim), dtype)

    def _carry(self, carry: Carry, batch: tuple[int, ...], dtype: DTypeLike) -> Carry:
        """Return the carry to start from; raise for one of another form, which might still broadcast."""
        start = self.init_carry(batch, dtype)
        if carry is None:
            return start
        if _shapes_of(carry) != _shapes_of(start):
            what = (
                f"{self} needs a carry of shape {_shapes_of(start)}, but got {_shapes_of(carry)}."
            )
            raise fail(ShapeError, what, "pass what the last call returned, or None to start.")
        return carry

    def _step(self, params: Params, z: Array, carry: Carry) -> Carry:
        """Return the next carry; z is what the input gives to the gates."""
        raise NotImplementedError

    def _output(self, carry: Carry) -> Array:
        """Return h."""
        return carry


def _shapes_of(carry: Carry) -> Any:
    """Return the shape of h, or a tuple of the shapes of h and c."""
    if isinstance(carry, (tuple, list)):
        return tuple([np.shape(part) for part in carry])
    return np.shape(carry)


class _Cell(_Recurrent):
    def apply(self, params: Params, x: Array, carry: Carry = None) -> Carry:
        """Make a step with x of shape (..., in_dim); return the new carry, of shape (..., H).

        Without `carry` the step starts from zeros.
        """
        params = check_params(self, params, **self._shapes())
        check_last_axis(self, x, self.in_dim)
        carry = self._carry(carry, x.shape[:-1], x.dtype)
        return self._step(params, affine(x, params[0], params[2]), carry)


class _Layer(_Recurrent):
    return_sequence: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        check_switch(self, "return_sequence")

    def apply(self, params: Params, x: Array) -> Array:
        """Map x of shape (..., time, in_dim) to (..., time, H), or the last step's (..., H)."""
        return self.scan(params, x)[0]

    def scan(self, params: Params, x: Array, carry: Carry = None) -> tuple[Array, Carry]:
        """Return the output and the last carry; `carry` is what the first step starts from."""
        params = check_params(self, params, **self._shapes())
        check_last_axis(self, x, self.in_dim)
        if len(x.shape) < 2 or not x.shape[-2]:
            what = f"{self} needs x of shape (..., time, {self.in_dim}), but got {x.shape}."
            raise fail(ShapeError, what, "a sequence has at least one step.")
        *lead, steps, width = x.shape
        batch = math.prod(lead)
        carry = self._carry(carry, tuple(lead), x.dtype)
        x = x if len(lead) == 1 else x.reshape(batch, steps, width)
        states, carry = self._scan(params, x, carry, tuple(lead))
        if not self.return_sequence:
            return self._output(carry), carry
        return np.swapaxes(states, 0, 1).reshape((*lead, steps, self.hidden_dim)), carry

    def _scan(self, params: Params, x: Array, carry: Carry, lead: tuple[int, ...]) -> Any:
        """Return h after each step (T, B, H), or after the last one, and the last carry, (*lead, H)."""
        states = self._states(params, x, carry.reshape(len(x), self.hidden_dim))
        return states, states[-1].reshape((*lead, self.hidden_dim))

    def _states(self, params: Params, x: Array, h: Array) -> Array:
        """Return h after each step, (T, B, H), or after the last one; x is (B, T, F)."""
        raise NotImplementedError


# --- the plain recurrence ------------------------------------------------------------------------


@dataclass(frozen=True)
class _RNN(_Recurrent):
    activation: str = field(default="tanh", kw_only=True, metadata=STATIC)

    GATES: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in FUNCTIONS:
            what = f"the activation of {type(self).__name__} is 'tanh' or 'relu', but got {self.activation!r}."
            raise fail(ArgumentError, what, 'write activation="relu", or leave it out for tanh.')

    def _step(self, params: Params, z: Array, carry: Carry) -> Carry:
        return FUNCTIONS[self.activation](z + carry @ params[1])


@dataclass(frozen=True)
class RNNCell(_RNN, _Cell):
    """A step of the plain recurrence: ``h' = tanh(x @ w + h @ u + b)``.

    Parameters
    ----------
    in_dim, hidden_dim : int
        The widths of x and h.
    activation : {"tanh", "relu"}
    weight_init, recurrent_init, bias_init : callable, default `xavier_uniform`, `orthogonal`, `zeros`
    dtype : dtype, default float64

    References
    ----------
    J. Elman, Finding structure in time, Cognitive Science 14, 1990.

    Examples
    --------
    >>> cell = RNNCell(3, 5)
    >>> params = cell.init(np.random.default_rng(0))
    >>> h = cell.apply(params, np.zeros((10, 3)))
    >>> cell.apply(params, np.zeros((10, 3)), h).shape
    (10, 5)
    """


@dataclass(frozen=True)
class RNN(_RNN, _Layer):
    """The plain recurrence over a sequence: ``h' = tanh(x @ w + h @ u + b)`` for each step.

    Parameters
    ----------
    in_dim, hidden_dim : int
        The widths of x and h.
    return_sequence : bool, default True
        Whether the output holds h after each step, or after the last one only.
    activation : {"tanh", "relu"}
    weight_init, recurrent_init, bias_init : callable, default `xavier_uniform`, `orthogonal`, `zeros`
    dtype : dtype, default float64

    References
    ----------
    J. Elman, Finding structure in time, Cognitive Science 14, 1990.

    Examples
    --------
    >>> layer = RNN(3, 5)
    >>> params = layer.init(np.random.default_rng(0))
    >>> layer.apply(params, np.zeros((10, 7, 3))).shape
    (10, 7, 5)
    """

    return_sequence: bool = field(default=True, metadata=STATIC)

    def _states(self, params: Params, x: Array, h: Array) -> Array:
        w, u, b = params
        states: Array = rnn_states(
            x, w, b, u, h, activation=self.activation, every=self.return_sequence
        )
        return states


# --- GRU -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _GRU(_Recurrent):
    GATES: ClassVar[int] = 3

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {**super()._shapes(), "b_n": (self.hidden_dim,)}

    def init(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Draw ``(w, u, b, b_n)``, of shapes (in_dim, 3 H), (H, 3 H), (3 H,) and (H,)."""
        return *super().init(rng), self.bias_init(rng, (self.hidden_dim,), self.dtype)

    def _step(self, params: Params, z: Array, carry: Carry) -> Carry:
        _, u, _, b_n = params
        return gru_step(z, carry @ u, carry, b_n)


@dataclass(frozen=True)
class GRUCell(_GRU, _Cell):
    """A step of the gated recurrent unit, in PyTorch's form.

    With the gates r, z, n side by side in ``w``, ``u`` and ``b``::

        r = sigmoid(x @ w_r + h @ u_r + b_r)
        z = sigmoid(x @ w_z + h @ u_z + b_z)
        n = tanh(x @ w_n + b + r * (h @ u_n + b_n))
        h' = (1 - z) * n + z * h

    Parameters
    ----------
    in_dim, hidden_dim : int
        The widths of x and h.
    weight_init, recurrent_init, bias_init : callable, default `xavier_uniform`, `orthogonal`, `zeros`
    dtype : dtype, default float64

    References
    ----------
    K. Cho et al., Learning phrase representations using RNN encoder-decoder for statistical machine
    translation, EMNLP 2014.

    Examples
    --------
    >>> cell = GRUCell(3, 5)
    >>> params = cell.init(np.random.default_rng(0))
    >>> h = cell.apply(params, np.zeros((10, 3)))
    >>> cell.apply(params, np.zeros((10, 3)), h).shape
    (10, 5)
    """


@dataclass(frozen=True)
class GRU(_GRU, _Layer):
    """The gated recurrent unit over a sequence; see `GRUCell` for the formulas.

    Parameters
    ----------
    in_dim, hidden_dim : int
        The widths of x and h.
    return_sequence : bool, default True
        Whether the output holds h after each step, or after the last one only.
    weight_init, recurrent_init, bias_init : callable, default `xavier_uniform`, `orthogonal`, `zeros`
    dtype : dtype, default float64

    Examples
    --------
    >>> layer = GRU(3, 5, return_sequence=False)
    >>> params = layer.init(np.random.default_rng(0))
    >>> layer.apply(params, np.zeros((10, 7, 3))).shape
    (10, 5)
    """

    return_sequence: bool = field(default=True, metadata=STATIC)

    def _states(self, params: Params, x: Array, h: Array) -> Array:
        w, u, b, b_n = params
        states: Array = gru_states(x, w, b, u, b_n, h, every=self.return_sequence)
        return states


# --- LSTM ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _LSTM(_Recurrent):
    forget_bias: float = field(default=1.0, kw_only=True, repr=False, metadata=STATIC)

    GATES: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "forget_bias", self.forget_bias, 1.0)

    def init(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Draw ``(w, u, b)``, of shapes (in_dim, 4 H), (H, 4 H) and (4 H,)."""
        w, u, b = super().init(rng)
        forget = slice(self.hidden_dim, 2 * self.hidden_dim)
        b[forget] += self.forget_bias
        return w, u, b

    def init_carry(self, batch: tuple[int, ...], dtype: DTypeLike) -> Carry:
        """Return what the first step starts from: (h, c), zeros of shape (*batch, H)."""
        return super().init_carry(batch, dtype), super().init_carry(batch, dtype)

    def _step(self, params: Params, z: Array, carry: Carry) -> Carry:
        h, c = carry
        return lstm_step(z + h @ params[1], c)

    def _output(self, carry: Carry) -> Array:
        return carry[0]


@dataclass(frozen=True)
class LSTMCell(_LSTM, _Cell):
    """A step of the long short-term memory; the carry is (h, c).

    With the gates i, f, g, o side by side in ``w``, ``u`` and ``b``, as in PyTorch::

        i, f, o = sigmoid(x @ w + h @ u + b) of each
        g = tanh(x @ w_g + h @ u_g + b_g)
        c' = f * c + i * g
        h' = o * tanh(c')

    Parameters
    ----------
    in_dim, hidden_dim : int
        The widths of x and h.
    weight_init, recurrent_init, bias_init : callable, default `xavier_uniform`, `orthogonal`, `zeros`
    forget_bias : float, default 1.0
        Added to the first bias of the gate f, so that the cell starts by remembering.
    dtype : dtype, default float64

    References
    ----------
    S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9, 1997. The forget
    gate: F. Gers, J. Schmidhuber and F. Cummins, 2000; its bias: R. Jozefowicz, W. Zaremba and
    I. Sutskever, An empirical exploration of recurrent network architectures, ICML 2015.

    Examples
    --------
    >>> cell = LSTMCell(3, 5)
    >>> params = cell.init(np.random.default_rng(0))
    >>> carry = cell.apply(params, np.zeros((10, 3)))
    >>> h, c = cell.apply(params, np.zeros((10, 3)), carry)
    >>> h.shape, c.shape
    ((10, 5), (10, 5))
    """


@dataclass(frozen=True)
class LSTM(_LSTM, _Layer):
    """The long short-term memory over a sequence; see `LSTMCell` for the formulas.

    Parameters
    ----------
    in_dim, hidden_dim : int
        The widths of x and h.
    return_sequence : bool, default True
        Whether the output holds h after each step, or after the last one only.
    weight_init, recurrent_init, bias_init : callable, default `xavier_uniform`, `orthogonal`, `zeros`
    forget_bias : float, default 1.0
    dtype : dtype, default float64

    Examples
    --------
    >>> layer = LSTM(3, 5)
    >>> params = layer.init(np.random.default_rng(0))
    >>> layer.apply(params, np.zeros((10, 7, 3))).shape
    (10, 7, 5)
    >>> y, (h, c) = layer.scan(params, np.zeros((10, 7, 3)))
    >>> bool((y[:, -1] == h).all())
    True
    """

    return_sequence: bool = field(default=True, metadata=STATIC)

    def _scan(self, params: Params, x: Array, carry: Carry, lead: tuple[int, ...]) -> Any:
        n, (w, u, b) = self.hidden_dim, params
        h, c = [part.reshape(len(x), n) for part in carry]
        states = lstm_states(x, w, b, u, h, c, every=self.return_sequence)
        carry = states[-2].reshape((*lead, n)), states[-1].reshape((*lead, n))
        return states[:-1], carry
