"""What a layer is, and how one layer calls another.

A layer is any object with ``init(rng) -> params`` and ``apply(params, x) -> y``. What else `apply`
takes, it says in its signature, and only then it is given it:

=========  ========================================================================================
`train`    whether the network is being trained: `Dropout`, `BatchNorm`
`rng`      a `numpy.random.Generator` to draw from: `Dropout`
`state`    what the layer remembers from call to call, a pytree: `BatchNorm`. Such a layer has
           ``init_state() -> state`` and returns ``(y, state)``
=========  ========================================================================================

`apply_layer` and `init_state` do so for a layer of any kind; containers are written with them. A layer
that is nothing but a function with passes by hand may say so: ``as_step(params)`` returns a
`funcgrad.nn.fused.Step`, and neighbours in a `Sequential` become one node of a tape. Must not know any
layer. Read next: `layers.py`.
"""

import functools
import inspect
from typing import Any, Protocol, TypeAlias

import numpy as np

from funcgrad.errors import ArgumentError, FuncgradError, ShapeError, fail
from funcgrad.nn.activations import Array

__all__ = ["Layer", "apply_layer", "init_state"]

Params: TypeAlias = Any  # a pytree of arrays
State: TypeAlias = Any  # likewise; () for none

STATIC = {"static": True}  # a setting: no leaf when a layer is an argument of a transform
SAME_LAYER = "pass what init(rng) of the same layer returned."


class Layer(Protocol):
    """What a `Sequential` needs of its layers; `apply` may also take train, rng and state."""

    def init(self, rng: np.random.Generator) -> Params:
        """Draw the parameters: a pytree of arrays."""

    def apply(self, params: Params, x: Array) -> Array:
        """Compute the output; neither `params` nor `x` is changed."""


def init_state(layer: Layer) -> State:
    """Return the state of a layer before the first call.

    Parameters
    ----------
    layer : layer

    Returns
    -------
    pytree
        What ``layer.init_state()`` gives, or () if the layer keeps no state.

    Examples
    --------
    >>> from funcgrad import nn
    >>> init_state(nn.Linear(2, 3)), init_state(nn.BatchNorm(2))
    ((), {'mean': array([0., 0.]), 'var': array([1., 1.])})
    """
    start: Any = getattr(layer, "init_state", None)
    return () if start is None else start()


def apply_layer(
    layer: Layer,
    params: Params,
    x: Array,
    *,
    state: State = None,
    train: bool = False,
    rng: np.random.Generator | None = None,
) -> tuple[Array, State]:
    """Apply a layer of any kind: hand it those of `state`, `train` and `rng` that its apply takes.

    Parameters
    ----------
    layer : layer
    params : pytree
        Of this layer.
    x : array
    state : pytree, optional
        Of this layer, from `init_state` or from the last call.
    train : bool, default False
    rng : numpy.random.Generator, optional

    Returns
    -------
    y : array
    state : pytree
        The new state; `state` itself for a layer without one.

    Examples
    --------
    >>> from funcgrad import nn
    >>> model = nn.Sequential(nn.BatchNorm(1), nn.Dropout(0.5))
    >>> params, state, rng = model.init(None), init_state(model), np.random.default_rng(0)
    >>> x = np.array([[1.0], [3.0]])
    >>> y, state = apply_layer(model, params, x, state=state, train=True, rng=rng)
    >>> state[0]  # a tenth of the way from mean 0 and variance 1 to those of the batch, 2 and 2
    {'mean': array([0.2]), 'var': array([1.1])}
    """
    given: dict[str, Any] = {}
    for name in takes(type(layer)):
        given[name] = state if name == "state" else train if name == "train" else rng
    if not given:
        return layer.apply(params, x), state
    y = layer.apply(params, x, **given)
    return y if state is not None and "state" in given else (y, state)


@functools.cache  # one entry per class of layers
def takes(cls: type) -> tuple[str, ...]:
    """Return which of state, train and rng the `apply` of a class takes."""
    parameters = inspect.signature(cls.apply).parameters  # type: ignore[attr-defined]
    return tuple([name for name in ("state", "train", "rng") if name in parameters])


@functools.cache
def has_step(cls: type) -> bool:
    """Tell whether a class has an `as_step` that says what its `apply` does."""
    for base in cls.__mro__:  # a subclass that changes what it computes has none
        defined = vars(base)
        if "as_step" in defined or "apply" in defined or "function" in defined:
            return "as_step" in defined
    return False


# --- checks that layers share --------------------------------------------------------------------


def check_layer(place: str, layer: Any) -> None:
    """Raise unless an object has the two methods of a layer."""
    if isinstance(layer, type):
        what = f"{place} is the class {layer.__name__}, not a layer."
        raise fail(ArgumentError, what, f"write {layer.__name__}(...).")
    if not callable(getattr(layer, "init", None)) or not callable(getattr(layer, "apply", None)):
        what = f"{place} is {layer!r}, which has no init and apply."
        fix = "pass layers, such as nn.Linear(2, 25) and nn.ReLU(), or nn.Lambda(function)."
        raise fail(ArgumentError, what, fix)


def shape_of(layer: object, x: Any) -> tuple[int, ...]:
    """Return the shape of an array; raise for a list and what else has none."""
    shape: tuple[int, ...] | None = getattr(x, "shape", None)
    if shape is None:
        what = f"{layer} needs an array, but got a {type(x).__name__}."
        raise fail(ShapeError, what, "write np.asarray(x).")
    return shape


def check_last_axis(layer: object, x: Array, length: int, ndim: int | None = None) -> None:
    """Raise unless x has the shape (..., length), or `ndim` axes of which the last has this length."""
    shape = shape_of(layer, x)
    if shape and shape[-1] == length and (ndim is None or len(shape) == ndim):
        return
    axes = "..." if ndim is None else ", ".join(_AXES[ndim])
    what = f"{layer} needs x of shape ({axes}, {length}), but got x of shape {shape}."
    fix = f"make the last axis of x {length} long."
    if len(shape) > 2 and len(shape) == ndim and shape[1] == length:
        fix = "channels and features are the last axis here: np.moveaxis(x, 1, -1)."
    raise fail(ShapeError, what, fix)


_AXES = {
    2: ("N",),
    3: ("batch", "time"),
    4: ("batch", "height", "width"),
}


def check_params(layer: object, params: Params, **shapes: tuple[int, ...]) -> tuple[Array, ...]:
    """Return the parameters if they are a tuple of arrays of these shapes; raise otherwise."""
    names = ", ".join(shapes)
    if not isinstance(params, (tuple, list)) or len(params) != len(shapes):
        needs = f"needs the parameters ({names})" if shapes else "has no parameters"
        what = f"{layer} {needs}, but got {describe(params)}."
        raise fail(ArgumentError, what, SAME_LAYER)
    for p, shape in zip(params, shapes.values()):
        if getattr(p, "shape", None) != shape:
            expected = list(shapes.values())
            found = [p.shape if hasattr(p, "shape") else describe(p) for p in params]
            what = (
                f"{layer} needs {_listed(shapes)} of shape{'s' * (len(shapes) > 1)} "
                f"{_listed(expected)}, but got {_listed(found)}."
            )
            raise fail(ShapeError, what, SAME_LAYER)
    return tuple(params)


def _listed(items: Any) -> str:
    *first, last = [str(item) for item in items]
    return f"{', '.join(first)} and {last}" if first else last


def describe(params: Params) -> str:
    """Say what came in the place of parameters."""
    if isinstance(params, (tuple, list)):
        return f"a {type(params).__name__} of length {len(params)}"
    if hasattr(params, "shape"):
        return f"an array of shape {params.shape}"
    return f"a {type(params).__name__}"


def prepend(place: str, error: FuncgradError) -> None:
    """Say in which layer of a container an error arose."""
    error.args = (f"{place}{error}",)
