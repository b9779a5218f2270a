"""Attention: each position takes a weighted mean of values, the weights by products with keys.

Read next: `summary.py`.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.nn.activations import Array, softmax
from funcgrad.nn.initializers import Initializer, xavier_uniform, zeros
from funcgrad.nn.layers import affine
from funcgrad.nn.protocol import STATIC, Params, check_last_axis, check_params
from funcgrad.nn.settings import check_positive, check_start, check_switch
from funcgrad.nn.targets import as_array

__all__ = ["MultiHeadAttention", "attention"]


def attention(
    query: Array, key: Array, value: Array, *, mask: Any = None, causal: bool = False
) -> Array:
    """Return ``softmax(query @ key.T / sqrt(d)) @ value``.

    Parameters
    ----------
    query : array of shape (..., T, d)
    key : array of shape (..., S, d)
    value : array of shape (..., S, e)
    mask : boolean array that broadcasts to (..., T, S), optional
        True where a position may look. The output of one that may look nowhere is 0.
    causal : bool, default False
        Position t looks at positions up to t only; needs T <= S, and the last rows line up.

    Returns
    -------
    array of shape (..., T, e)

    Raises
    ------
    ArgumentError
        If `mask` is not boolean.
    ShapeError
        If the shapes do not fit.

    References
    ----------
    A. Vaswani et al., Attention is all you need, NeurIPS 2017, equation 1.

    Examples
    --------
    >>> x = np.eye(3)
    >>> attention(x, x, x, causal=True)[0]
    array([1., 0., 0.])
    """
    query, key, value = as_array(query), as_array(key), as_array(value)
    if query.shape[-1:] != key.shape[-1:] or key.shape[-2:-1] != value.shape[-2:-1]:
        what = (
            "attention needs query (..., T, d), key (..., S, d) and value (..., S, e), but got "
            f"{query.shape}, {key.shape} and {value.shape}."
        )
        raise fail(ShapeError, what, "positions are the last axis but one.")
    scores = query @ key.mT * (1 / math.sqrt(query.shape[-1]))
    mask = _joined_mask(mask, causal, scores.shape)
    if mask is None:
        return softmax(scores) @ value
    # A large negative number, not -inf: a row without any True would be NaN.
    weights = softmax(np.where(mask, scores, np.finfo(scores.dtype).min))
    return np.where(mask, weights, 0) @ value


def _joined_mask(mask: Any, causal: bool, shape: tuple[int, ...]) -> Any:
    """Return the mask of scores of shape (..., T, S); None lets each position look everywhere."""
    if mask is not None:
        mask = as_array(mask)
        _check_mask(mask, shape)
    if not causal:
        return mask
    queries, keys = shape[-2:]
    if queries > keys:
        what = f"causal attention needs a key for each query, but got {queries} and {keys}."
        raise fail(ShapeError, what, "leave causal out when query and key are different sequences.")
    earlier = np.tri(queries, keys, keys - queries, dtype=bool)
    return earlier if mask is None else mask & earlier


def _check_mask(mask: Array, shape: tuple[int, ...]) -> None:
    if mask.dtype != np.bool_:
        what = f"the mask of attention is boolean, but got {mask.dtype}."
        raise fail(ArgumentError, what, "True marks where a position may look: mask != 0.")
    fits = [m in (1, n) for m, n in zip(reversed(mask.shape), reversed(shape))]
    if not all(fits):
        what = f"the mask of attention, of shape {mask.shape}, does not broadcast to {shape}."
        raise fail(
            ShapeError, what, "a row per position of the query, a column per one of the key."
        )


@dataclass(frozen=True)
class MultiHeadAttention:
    """Attention in several heads, each on its own projection of the features.

    ``apply(params, x)`` is self-attention; ``apply(params, x, memory)`` lets x look at another
    sequence.

    Parameters
    ----------
    features : int
        The width of input and output.
    heads : int
        Must divide `features`.
    causal : bool, default False
        Each position looks at itself and earlier ones only.
    weight_init, bias_init : callable, default `xavier_uniform` and `zeros`
    dtype : dtype, default float64

    Raises
    ------
    ArgumentError
        If `heads` does not divide `features`.
    ShapeError
        By `apply`, if `x` has other features.

    Notes
    -----
    The parameters are ``(w_in, b_in, w_out, b_out)``; ``w_in`` has the weights of queries, keys and
    values side by side, as PyTorch's transposed ``in_proj_weight``.

    References
    ----------
    A. Vaswani et al., Attention is all you need, NeurIPS 2017, section 3.2.2.

    Examples
    --------
    >>> layer = MultiHeadAttention(8, heads=2, causal=True)
    >>> params = layer.init(np.random.default_rng(0))
    >>> layer.apply(params, np.zeros((10, 5, 8))).shape
    (10, 5, 8)
    """

    features: int = field(metadata=STATIC)
    heads: int = field(metadata=STATIC)
    causal: bool = field(default=False, metadata=STATIC)
    weight_init: Initializer = field(
        default=xavier_uniform, kw_only=True, repr=False, metadata=STATIC
    )
    bias_init: Initializer = field(default=zeros, kw_only=True, repr=False, metadata=STATIC)
    dtype: DTypeLike = field(default=np.float64, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        check_positive(self, features=self.features, heads=self.heads)
        if self.features % self.heads:
            what = (
                f"MultiHeadAttention cannot split {self.features} features into {self.heads} heads."
            )
            raise fail(ArgumentError, what, "heads must divide features.")
        check_switch(self, "causal")
        check_start(self)

    def init(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Draw ``(w_in, b_in, w_out, b_out)``."""
        n = self.features
        return (
            self.weight_init(rng, (n, 3 * n), self.dtype),
            self.bias_init(rng, (3 * n,), self.dtype),
            self.weight_init(rng, (n, n), self.dtype),
            self.bias_init(rng, (n,), self.dtype),
        )

    def apply(
        self, params: Params, x: Array, memory: Array | None = None, *, mask: Any = None
    ) -> Array:
        """Map x of shape (..., T, features) to the same shape.

        `memory`, of shape (..., S, features), gives keys and values, by default `x` itself; `mask`,
        which broadcasts to (..., T, S), is True where a position may look.
        """
        n = self.features
        w_in, b_in, w_out, b_out = check_params(
            self, params, w_in=(n, 3 * n), b_in=(3 * n,), w_out=(n, n), b_out=(n,)
        )
        for sequence in (x,) if memory is None else (x, memory):
            check_last_axis(self, sequence, n)
            if len(sequence.shape) < 2:
                what = f"{self} needs x of shape (..., positions, {n}), but got {sequence.shape}."
                raise fail(ShapeError, what, "x[None] is a sequence of one position.")
        if memory is None:
            joined = affine(x, w_in, b_in)
            query, key, value = [joined[..., i * n : i * n + n] for i in range(3)]
        else:
            query = affine(x, w_in[:, :n], b_in[:n])
            joined = affine(memory, w_in[:, n:], b_in[n:])
            key, value = joined[..., :n], joined[..., n:]
        if mask is not None and np.ndim(mask) > 2:
            mask = as_array(mask)[..., None, :, :]
        heads = [self._split(part) for part in (query, key, value)]
        y = attention(*heads, mask=mask, causal=self.causal)
        y = np.swapaxes(y, -2, -3)
        return affine(y.reshape((*y.shape[:-2], n)), w_out, b_out)

    def _split(self, x: Array) -> Array:
        """Return (..., T, features) as (..., heads, T, features / heads)."""
        split = x.reshape((*x.shape[:-1], self.heads, self.features // self.heads))
        return np.swapaxes(split, -2, -3)
