"""Normalisation: subtract a mean, divide by a standard deviation, then learn scale and shift.

`LayerNorm`, `RMSNorm` and `GroupNorm` look at one sample; `BatchNorm` looks at the batch and keeps a
running state. Read next: `recurrent.py`.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.nn.activations import Array
from funcgrad.nn.bias import bias_cotangent
from funcgrad.nn.fused import Fused, Needs, Step
from funcgrad.nn.protocol import (
    STATIC,
    Params,
    State,
    check_last_axis,
    check_params,
    describe,
)
from funcgrad.nn.rows import total
from funcgrad.nn.settings import check_number, check_positive, check_start

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm", "RMSNorm"]


def _standardised(x: Array, axis: Any, eps: float) -> Array:
    centred = x - x.mean(axis=axis, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axis=axis, keepdims=True) + eps)


def _check_settings(layer: Any) -> None:
    check_positive(layer, features=layer.features)
    check_number(layer, "eps", layer.eps, 1e-5, least=0)
    check_start(layer)


@dataclass(frozen=True)
class _Norm:
    """What the layers with a scale and a shift per feature share."""

    features: int = field(metadata=STATIC)
    eps: float = field(default=1e-5, metadata=STATIC)
    dtype: DTypeLike = field(default=np.float64, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        _check_settings(self)

    def init(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Return ``(scale, shift)``, ones and zeros of shape (features,)."""
        return np.ones(self.features, self.dtype), np.zeros(self.features, self.dtype)

    def _check(self, params: Params, x: Array) -> tuple[Array, ...]:
        check_last_axis(self, x, self.features)
        shape = (self.features,)
        return check_params(self, params, scale=shape, shift=shape)


@dataclass(frozen=True)
class LayerNorm(_Norm):
    """Normalise each sample over its last axis: ``(x - mean) / sqrt(var + eps) * scale + shift``.

    Parameters
    ----------
    features : int
        The length of the last axis.
    eps : float, default 1e-5
        Keeps the division finite where all features are equal.
    dtype : dtype, default float64

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, Layer normalization, arXiv:1607.06450, 2016.

    Examples
    --------
    >>> layer = LayerNorm(2)
    >>> layer.apply(layer.init(np.random.default_rng(0)), np.array([[1.0, 3.0]]))
    array([[-0.999995,  0.999995]])
    """

    def apply(self, params: Params, x: Array) -> Array:
        """Normalise x of shape (..., features)."""
        scale, shift = self._check(params, x)
        return layer_norm(x, scale, shift, eps=self.eps)

    def as_step(self, params: Params) -> Step:
        """Say the same as a function with passes of its own."""
        shape = (self.features,)
        return layer_norm, check_params(self, params, scale=shape, shift=shape), {"eps": self.eps}


def _layer_norm_plain(x: Array, scale: Array, shift: Array, *, eps: float) -> Array:
    _check_features(x, scale)
    return _standardised(x, -1, eps) * scale + shift


def _layer_norm_forward(needs: Needs, x: Array, scale: Array, shift: Array, *, eps: float) -> Any:
    features = _check_features(x, scale)
    centred = x - total(x, -1) / features
    deviation = np.sqrt(total(centred * centred, -1) / features + eps)
    centred /= deviation
    return centred * scale + shift, (needs, centred, deviation, scale)


def _check_features(x: Array, scale: Array) -> int:
    """Return how many features there are; raise rather than broadcast a single one.

    In a row of layers `x` comes from the layer before, and nobody else looks at its shape.
    """
    if x.shape[-1:] != scale.shape:
        what = f"layer normalisation over {len(scale)} features got x of shape {x.shape}."
        raise fail(ShapeError, what, f"make the last axis of x {len(scale)} long.")
    return len(scale)


def _layer_norm_backward(ct: Array, residuals: Any) -> Any:
    """Take from the cotangent what mean and variance make of it: section 3 of the paper, transposed."""
    needs, z, deviation, scale = residuals
    dx = dscale = None
    if needs[0]:
        dx = ct * scale
        away = total(dx * z, -1) / len(scale)
        dx -= total(dx, -1) / len(scale)
        dx -= z * away
        dx /= deviation
    if needs[1]:
        dscale = bias_cotangent((ct * z).reshape(-1, len(scale)))
    return dx, dscale, bias_cotangent(ct.reshape(-1, len(scale))) if needs[2] else None


layer_norm = Fused(_layer_norm_plain, _layer_norm_forward, _layer_norm_backward)


@dataclass(frozen=True)
class RMSNorm(_Norm):
    """Divide each sample by its root mean square: ``x / sqrt(mean(x^2) + eps) * scale``.

    Parameters
    ----------
    features : int
        The length of the last axis.
    eps : float, default 1e-5
    dtype : dtype, default float64

    References
    ----------
    B. Zhang and R. Sennrich, Root mean square layer normalization, NeurIPS 2019.

    Examples
    --------
    >>> layer = RMSNorm(2)
    >>> layer.apply(layer.init(np.random.default_rng(0)), np.array([[1.0, 7.0]]))
    array([[0.2, 1.4]])
    """

    def init(self, rng: np.random.Generator) -> tuple[Array]:
        """Return ``(scale,)``, ones of shape (features,)."""
        return (np.ones(self.features, self.dtype),)

    def apply(self, params: Params, x: Array) -> Array:
        """Normalise x of shape (..., features)."""
        check_last_axis(self, x, self.features)
        (scale,) = check_params(self, params, scale=(self.features,))
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps) * scale


@dataclass(frozen=True)
class GroupNorm:
    """Normalise each sample over the spatial axes and over groups of channels.

    Parameters
    ----------
    groups : int
        Into how many groups the channels are split; 1 normalises over all of them.
    features : int
        The number of channels, the length of the last axis.
    eps : float, default 1e-5
    dtype : dtype, default float64

    Raises
    ------
    ArgumentError
        If `groups` does not divide `features`.

    References
    ----------
    Y. Wu and K. He, Group normalization, ECCV 2018.

    Examples
    --------
    >>> layer = GroupNorm(2, 8)
    >>> params = layer.init(np.random.default_rng(0))
    >>> layer.apply(params, np.ones((10, 4, 4, 8))).shape
    (10, 4, 4, 8)
    """

    groups: int = field(metadata=STATIC)
    features: int = field(metadata=STATIC)
    eps: float = field(default=1e-5, metadata=STATIC)
    dtype: DTypeLike = field(default=np.float64, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        check_positive(self, groups=self.groups)
        _check_settings(self)
        if self.features % self.groups:
            what = f"GroupNorm cannot split {self.features} features into {self.groups} groups."
            raise fail(ArgumentError, what, "groups must divide features.")

    def init(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return ``(scale, shift)``, ones and zeros of shape (features,)."""
        return np.ones(self.features, self.dtype), np.zeros(self.features, self.dtype)

    def apply(self, params: Params, x: Array) -> Array:
        """Normalise x of shape (N, ..., features)."""
        shape = (self.features,)
        scale, shift = check_params(self, params, scale=shape, shift=shape)
        check_last_axis(self, x, self.features)
        if len(x.shape) < 2:
            what = f"{self} needs x of shape (N, ..., {self.features}), but got {x.shape}."
            raise fail(ShapeError, what, "x[None] is a batch of one sample.")
        split = (x.shape[0], math.prod(x.shape[1:-1]), self.groups, self.features // self.groups)
        return _standardised(x.reshape(split), (1, 3), self.eps).reshape(x.shape) * scale + shift


@dataclass(frozen=True)
class BatchNorm:
    """Normalise each feature over the batch: ``(x - mean) / sqrt(var + eps) * scale + shift``.

    While training, mean and variance are those of the batch, over all axes but the last, and the
    state moves towards them; otherwise they are those of the state. So it serves rows of features and
    images alike.

    Parameters
    ----------
    features : int
        The length of the last axis.
    momentum : float, default 0.1
        How far the state moves: ``(1 - momentum) * old + momentum * new``, as in PyTorch.
    eps : float, default 1e-5
    dtype : dtype, default float64

    Raises
    ------
    ArgumentError
        If a setting is out of range; by `apply`, if no state is given.
    ShapeError
        By `apply`, if the state is that of other features, or the batch has one value per feature.

    Notes
    -----
    The state is ``{"mean": ..., "var": ...}``, both of shape (features,); it holds the variance with
    the divisor N - 1, while the batch is normalised by that with N, as in PyTorch and the paper.

    References
    ----------
    S. Ioffe and C. Szegedy, Batch normalization, ICML 2015.

    Examples
    --------
    >>> layer = BatchNorm(1)
    >>> params, state = layer.init(np.random.default_rng(0)), layer.init_state()
    >>> x = np.array([[1.0], [3.0]])
    >>> y, state = layer.apply(params, x, state=state, train=True)
    >>> y[:, 0], state["mean"], state["var"]
    (array([-0.999995,  0.999995]), array([0.2]), array([1.1]))
    """

    features: int = field(metadata=STATIC)
    momentum: float = field(default=0.1, metadata=STATIC)
    eps: float = field(default=1e-5, metadata=STATIC)
    dtype: DTypeLike = field(default=np.float64, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        _check_settings(self)
        check_number(self, "momentum", self.momentum, 0.1, least=0, below=np.nextafter(1, 2))

    def init(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return ``(scale, shift)``, ones and zeros of shape (features,)."""
        return np.ones(self.features, self.dtype), np.zeros(self.features, self.dtype)

    def init_state(self) -> State:
        """Return mean 0 and variance 1."""
        return {
            "mean": np.zeros(self.features, self.dtype),
            "var": np.ones(self.features, self.dtype),
        }

    def apply(
        self, params: Params, x: Array, *, state: State = None, train: bool = False
    ) -> tuple[Array, State]:
        """Normalise x of shape (..., features); return y and the new state."""
        shape = (self.features,)
        scale, shift = check_params(self, params, scale=shape, shift=shape)
        check_last_axis(self, x, self.features)
        self._check_state(state)
        if not train:
            centred = x - state["mean"]
            return centred * (scale / np.sqrt(state["var"] + self.eps)) + shift, state
        mean, var, count = self._statistics(x)
        y = (x - mean) * (scale / np.sqrt(var + self.eps)) + shift
        return y, {
            "mean": self._moved(state["mean"], mean),
            "var": self._moved(state["var"], var * (count / (count - 1))),
        }

    def _check_state(self, state: State) -> None:
        fix = (
            "state = model.init_state() once, then "
            "y, state = model.apply(params, x, state=state, train=True)."
        )
        if not isinstance(state, dict) or set(state) != {"mean", "var"}:
            what = f"{self} needs its running state, but got {describe(state)}."
            raise fail(ArgumentError, what, fix)
        for name, array in state.items():
            if array.shape != (self.features,):
                what = f"{self} needs state[{name!r}] of shape ({self.features},), but got {array.shape}."
                raise fail(ShapeError, what, fix)

    def _statistics(self, x: Array) -> tuple[Array, Array, int]:
        axes = tuple(range(x.ndim - 1))
        count = math.prod(x.shape[:-1])
        if count < 2:
            what = (
                f"{self} needs more than one value per feature to train, but x has shape {x.shape}."
            )
            raise fail(ShapeError, what, "take larger batches, the last one too, or nn.LayerNorm.")
        mean = x.mean(axis=axes)
        centred = x - mean
        return mean, (centred * centred).mean(axis=axes), count

    def _moved(self, old: Array, new: Array) -> Array:
        return ((1 - self.momentum) * old + self.momentum * new).astype(old.dtype)
