"""Layers: frozen dataclasses of settings, with two pure methods.

``init(rng) -> params`` draws a pytree of arrays, ``apply(params, x) -> y`` is plain NumPy. A layer
holds no arrays and never changes; any object with these two methods can stand in a `Sequential`.
Must not know losses or optimizers. Read next: `losses.py`.
"""

from dataclasses import dataclass, field
from operator import index
from textwrap import indent
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from funcgrad.errors import ArgumentError, FuncgradError, ShapeError, fail
from funcgrad.nn import activations
from funcgrad.nn.activations import Array, Axis
from funcgrad.nn.initializers import Initializer, xavier_normal, zeros

__all__ = ["Layer", "Linear", "ReLU", "Sequential", "Sigmoid", "Softmax", "Tanh"]

Params: TypeAlias = Any  # a pytree of arrays

_STATIC = {"static": True}  # a setting: no leaf when a layer is an argument of a transform


class Layer(Protocol):
    """What a `Sequential` needs of its layers."""

    def init(self, rng: np.random.Generator) -> Params:
        """Draw the parameters: a pytree of arrays."""

    def apply(self, params: Params, x: Array) -> Array:
        """Compute the output; neither `params` nor `x` is changed."""


@dataclass(frozen=True)
class Linear:
    """The affine map ``y = x @ w + b``.

    Parameters
    ----------
    in_dim, out_dim : int
        The widths of input and output.
    weight_init, bias_init : callable, default `xavier_normal` and `zeros`
        ``init(rng, shape, dtype) -> array``.
    dtype : dtype, default float64
        Of the parameters.

    Raises
    ------
    ArgumentError
        If a width is no positive integer.

    Examples
    --------
    >>> layer = Linear(2, 3)
    >>> layer
    Linear(in_dim=2, out_dim=3)
    >>> w, b = layer.init(np.random.default_rng(0))
    >>> w.shape, b.shape
    ((2, 3), (3,))
    >>> layer.apply((w, b), np.ones((10, 2))).shape
    (10, 3)
    """

    in_dim: int = field(metadata=_STATIC)
    out_dim: int = field(metadata=_STATIC)
    weight_init: Initializer = field(default=xavier_normal, repr=False, metadata=_STATIC)
    bias_init: Initializer = field(default=zeros, repr=False, metadata=_STATIC)
    dtype: DTypeLike = field(default=np.float64, kw_only=True, repr=False, metadata=_STATIC)

    def __post_init__(self) -> None:
        _check_width("in_dim", self.in_dim)
        _check_width("out_dim", self.out_dim)

    def init(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw ``(w, b)`` of shapes (in_dim, out_dim) and (out_dim,)."""
        w = self.weight_init(rng, (self.in_dim, self.out_dim), self.dtype)
        b = self.bias_init(rng, (self.out_dim,), self.dtype)
        return w, b

    def apply(self, params: Params, x: Array) -> Array:
        """Map x of shape (..., in_dim) to (..., out_dim)."""
        w, b = self._unpack(params)
        shape = getattr(x, "shape", ())
        if not shape or shape[-1] != self.in_dim:
            what = f"{self} needs x of shape (..., {self.in_dim}), but got x of shape {shape}."
            raise fail(ShapeError, what, f"make the last axis of x {self.in_dim} long.")
        return x @ w + b

    def _unpack(self, params: Params) -> tuple[Array, Array]:
        if not isinstance(params, (tuple, list)) or len(params) != 2:
            what = f"{self} needs the parameters (w, b), but got {_describe(params)}."
            raise fail(ArgumentError, what, "pass what init(rng) of the same layer returned.")
        w, b = params
        expected = (self.in_dim, self.out_dim), (self.out_dim,)
        if w.shape != expected[0] or b.shape != expected[1]:
            what = (
                f"{self} needs w and b of shapes {expected[0]} and {expected[1]}, "
                f"but got {w.shape} and {b.shape}."
            )
            raise fail(ShapeError, what, "pass what init(rng) of the same layer returned.")
        return w, b


class _Activation:
    """A layer without parameters; a subclass says what `_function` it applies."""

    def init(self, rng: np.random.Generator) -> tuple[()]:
        """Return the empty tuple: there is nothing to learn."""
        return ()

    def apply(self, params: Params, x: Array) -> Array:
        """Apply the activation to `x`; `params` is the empty tuple."""
        if not isinstance(params, (tuple, list)) or params:
            what = f"{self} has no parameters, but got {_describe(params)}."
            raise fail(ArgumentError, what, "pass what init(rng) of the same layer returned.")
        return self._function(x)

    def _function(self, x: Array) -> Array:
        raise NotImplementedError


@dataclass(frozen=True)
class ReLU(_Activation):
    """The positive part, max(x, 0), with derivative 0 at 0. See `funcgrad.nn.relu`.

    Examples
    --------
    >>> ReLU().apply((), np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def _function(self, x: Array) -> Array:
        return activations.relu(x)


@dataclass(frozen=True)
class Sigmoid(_Activation):
    """The logistic function. See `funcgrad.nn.sigmoid`.

    Examples
    --------
    >>> Sigmoid().apply((), np.zeros(2))
    array([0.5, 0.5])
    """

    def _function(self, x: Array) -> Array:
        return activations.sigmoid(x)


@dataclass(frozen=True)
class Tanh(_Activation):
    """The hyperbolic tangent. See `funcgrad.nn.tanh`.

    Examples
    --------
    >>> Tanh().apply((), np.zeros(2))
    array([0., 0.])
    """

    def _function(self, x: Array) -> Array:
        return activations.tanh(x)


@dataclass(frozen=True)
class Softmax(_Activation):
    """Probabilities along an axis. See `funcgrad.nn.softmax`.

    For training with a cross-entropy loss, leave it out and use `softmax_cross_entropy`, which is
    more precise.

    Parameters
    ----------
    axis : int or tuple of int, default -1
        The axis that sums to one.

    Examples
    --------
    >>> Softmax()
    Softmax(axis=-1)
    >>> Softmax().apply((), np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    axis: Axis = field(default=-1, metadata=_STATIC)

    def _function(self, x: Array) -> Array:
        return activations.softmax(x, self.axis)


@dataclass(frozen=True, init=False, repr=False)
class Sequential:
    """Layers applied one after the other.

    Parameters
    ----------
    *layers : layer
        Anything with ``init(rng)`` and ``apply(params, x)``, another Sequential included.

    Attributes
    ----------
    layers : tuple

    Raises
    ------
    ArgumentError
        If an entry is no layer.

    Examples
    --------
    >>> model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
    >>> model
    Sequential(
      0: Linear(in_dim=2, out_dim=3)
      1: ReLU()
      2: Linear(in_dim=3, out_dim=1)
    )
    >>> params = model.init(np.random.default_rng(0))
    >>> len(params), params[1]
    (3, ())
    >>> model.apply(params, np.ones((10, 2))).shape
    (10, 1)
    """

    layers: tuple[Layer, ...] = field(metadata=_STATIC)

    def __init__(self, *layers: Layer) -> None:
        for i, layer in enumerate(layers):
            _check_layer(i, layer)
        object.__setattr__(self, "layers", layers)

    def init(self, rng: np.random.Generator) -> tuple[Params, ...]:
        """Draw the parameters of every layer, in order: a tuple with an entry per layer."""
        return tuple([layer.init(rng) for layer in self.layers])

    def apply(self, params: Params, x: Array) -> Array:
        """Apply the layers in order; `params` has an entry per layer."""
        if not isinstance(params, (tuple, list)) or len(params) != len(self.layers):
            count = len(self.layers)
            what = f"a Sequential of {count} layers needs as many parameters, but got "
            fix = "pass what init(rng) of the same network returned."
            raise fail(ArgumentError, what + f"{_describe(params)}.", fix)
        for i, (layer, layer_params) in enumerate(zip(self.layers, params)):
            try:
                x = layer.apply(layer_params, x)
            except (ShapeError, ArgumentError) as error:
                _prepend(f"layer {i} of Sequential: ", error)
                raise
        return x

    def __repr__(self) -> str:
        lines = "".join([f"{i}: {layer!r}\n" for i, layer in enumerate(self.layers)])
        return f"Sequential(\n{indent(lines, '  ')})" if lines else "Sequential()"


def _check_width(name: str, width: Any) -> None:
    try:
        positive = index(width) > 0
    except TypeError:
        positive = False
    if not positive:
        what = f"{name} of Linear is a positive integer, but got {width!r}."
        raise fail(ArgumentError, what, "write nn.Linear(2, 25).")


def _check_layer(i: int, layer: Any) -> None:
    if isinstance(layer, type):
        what = f"entry {i} of Sequential is the class {layer.__name__}, not a layer."
        raise fail(ArgumentError, what, f"write {layer.__name__}(...).")
    if not callable(getattr(layer, "init", None)) or not callable(getattr(layer, "apply", None)):
        what = f"entry {i} of Sequential is {layer!r}, which has no init and apply."
        raise fail(ArgumentError, what, "pass layers, such as nn.Linear(2, 25) and nn.ReLU().")


def _describe(params: Params) -> str:
    if isinstance(params, (tuple, list)):
        return f"a {type(params).__name__} of length {len(params)}"
    if hasattr(params, "shape"):
        return f"an array of shape {params.shape}"
    return f"a {type(params).__name__}"


def _prepend(place: str, error: FuncgradError) -> None:
    error.args = (f"{place}{error}",)
