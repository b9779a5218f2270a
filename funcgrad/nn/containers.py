"""Layers made of layers: Sequential and Residual.

They hand `train`, `rng` and `state` on to the layers that take them; the state of a container has an
entry per layer. Must not know any layer by name. Read next: `activation_layers.py`.
"""

import functools
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

import numpy as np

from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.nn.activations import Array
from funcgrad.nn.fused import in_a_row
from funcgrad.nn.protocol import (
    STATIC,
    Layer,
    Params,
    State,
    apply_layer,
    check_layer,
    describe,
    has_step,
    init_state,
    prepend,
)

__all__ = ["Residual", "Sequential"]


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
    >>> from funcgrad import nn
    >>> model = Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
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

    layers: tuple[Layer, ...] = field(metadata=STATIC)

    def __init__(self, *layers: Layer) -> None:
        for i, layer in enumerate(layers):
            check_layer(f"entry {i} of Sequential", layer)
        object.__setattr__(self, "layers", layers)

    def init(self, rng: np.random.Generator) -> tuple[Params, ...]:
        """Draw the parameters of every layer, in order: a tuple with an entry per layer."""
        return tuple([layer.init(rng) for layer in self.layers])

    def init_state(self) -> tuple[State, ...]:
        """Return the state before the first call: a tuple with an entry per layer, () for none."""
        return tuple([init_state(layer) for layer in self.layers])

    def apply(
        self,
        params: Params,
        x: Array,
        *,
        state: State = None,
        train: bool = False,
        rng: np.random.Generator | None = None,
    ) -> Any:
        """Apply the layers in order; return y, or ``(y, state)`` if a state is given.

        Parameters
        ----------
        params : tuple
            An entry per layer.
        x : array
        state : tuple, optional
            An entry per layer, from `init_state` or from the last call.
        train : bool, default False
            Handed to the layers that take it.
        rng : numpy.random.Generator, optional
            Likewise; the layers draw from it in order.
        """
        count = len(self.layers)
        _check_count(self, count, params, state)
        states: Any = [None] * count if state is None else state
        new: list[State] = []
        for start, stop in self._runs:
            if stop - start > 1:
                y = self._in_a_row(params, x, start, stop)
                if y is not NotImplemented:
                    x = y
                    new += states[start:stop]
                    continue
            for i in range(start, stop):
                layer = self.layers[i]
                try:
                    x, layer_state = apply_layer(
                        layer, params[i], x, state=states[i], train=train, rng=rng
                    )
                except (ShapeError, ArgumentError) as error:
                    prepend(f"layer {i} of Sequential: ", error)
                    raise
                new.append(layer_state)
        return x if state is None else (x, tuple(new))

    def _in_a_row(self, params: Params, x: Array, start: int, stop: int) -> Array:
        """Apply layers as one function, or return NotImplemented: one by one they say what is wrong."""
        layers: Any = self.layers[start:stop]
        try:
            return in_a_row(x, [layer.as_step(own) for layer, own in zip(layers, params[start:])])
        except Exception:
            return NotImplemented

    @functools.cached_property
    def _runs(self) -> list[tuple[int, int]]:
        """Neighbours that can be one node, and all others alone, as `(start, stop)`."""
        runs: list[tuple[int, int]] = []
        for i, layer in enumerate(self.layers):
            joins = i and has_step(type(layer)) and has_step(type(self.layers[i - 1]))
            runs[-1:] = [(runs[-1][0], i + 1)] if joins else [*runs[-1:], (i, i + 1)]
        return runs

    def __repr__(self) -> str:
        lines = "".join([f"{i}: {layer!r}\n" for i, layer in enumerate(self.layers)])
        return f"Sequential(\n{indent(lines, '  ')})" if lines else "Sequential()"


def _within(
    place: str, layer: Layer, params: Params, x: Array, **given: Any
) -> tuple[Array, State]:
    """Apply a layer of a Residual, and say in which one an error arose."""
    try:
        return apply_layer(layer, params, x, **given)
    except (ShapeError, ArgumentError) as error:
        prepend(f"{place} of Residual: ", error)
        raise


def _check_count(container: Any, count: int, params: Any, state: Any) -> None:
    """Raise unless there are parameters, and states if any, for each layer of a container."""
    sources = [("parameters", params, "init(rng)"), ("states", state, "init_state()")]
    for name, entries, source in sources[: 1 if state is None else 2]:
        if not isinstance(entries, (tuple, list)) or len(entries) != count:
            kind = type(container).__name__
            what = f"a {kind} of {count} layers needs as many {name}, but got {describe(entries)}."
            raise fail(ArgumentError, what, f"pass what {source} of the same network returned.")


@dataclass(frozen=True, init=False, repr=False)
class Residual:
    """A layer with a way around it: ``y = x + layer(x)``, or ``shortcut(x) + layer(x)``.

    Parameters
    ----------
    layer : layer
        From the shape of x to the same shape.
    shortcut : layer, optional
        Where the shapes differ: a projection of `x`, such as a `Linear` or a `Conv2d` of kernel 1.

    Raises
    ------
    ArgumentError
        If an argument is no layer.
    ShapeError
        By `apply`, if the two ways give different shapes: they are never broadcast.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, Deep residual learning for image recognition, CVPR 2016.

    Examples
    --------
    >>> from funcgrad import nn
    >>> block = Residual(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    >>> params = block.init(np.random.default_rng(0))
    >>> block.apply(params, np.ones((10, 4))).shape
    (10, 4)
    """

    layer: Layer = field(metadata=STATIC)
    shortcut: Layer | None = field(metadata=STATIC)

    def __init__(self, layer: Layer, shortcut: Layer | None = None) -> None:
        check_layer("the layer of Residual", layer)
        if shortcut is not None:
            check_layer("the shortcut of Residual", shortcut)
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "shortcut", shortcut)

    def init(self, rng: np.random.Generator) -> tuple[Params, Params]:
        """Draw the parameters of layer and shortcut, () for none."""
        return self.layer.init(rng), () if self.shortcut is None else self.shortcut.init(rng)

    def init_state(self) -> tuple[State, State]:
        """Return the states of layer and shortcut before the first call."""
        return init_state(self.layer), () if self.shortcut is None else init_state(self.shortcut)

    def apply(
        self,
        params: Params,
        x: Array,
        *,
        state: State = None,
        train: bool = False,
        rng: np.random.Generator | None = None,
    ) -> Any:
        """Add the two ways; return y, or ``(y, state)`` if a state is given."""
        _check_count(self, 2, params, state)
        states = (None, None) if state is None else state
        given = {"train": train, "rng": rng}
        y, first = _within("layer", self.layer, params[0], x, state=states[0], **given)
        second = states[1]
        if self.shortcut is not None:
            x, second = _within("shortcut", self.shortcut, params[1], x, state=second, **given)
        if x.shape != y.shape:
            what = f"Residual adds arrays of one shape, but got {x.shape} around the layer and {y.shape} through it."
            raise fail(ShapeError, what, "give it a shortcut: nn.Residual(layer, nn.Linear(4, 8)).")
        return x + y if state is None else (x + y, (first, second))

    def __repr__(self) -> str:
        ways = [repr(layer) for layer in (self.layer, self.shortcut) if layer is not None]
        return "Residual(\n" + indent(",\n".join(ways), "  ") + "\n)"
