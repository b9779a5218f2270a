"""A table of a network's layers, the shapes they give and the numbers of their parameters."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from funcgrad import tree
from funcgrad.nn.containers import Residual, Sequential
from funcgrad.nn.protocol import Layer, apply_layer, check_layer, init_state

__all__ = ["Summary", "summary"]

_HEADER = ("layer", "output shape", "parameters")


@dataclass(frozen=True)
class Summary:
    """What `summary` returns; its `repr` is the table.

    Attributes
    ----------
    rows : tuple of (name, shape, count)
        An entry per layer: its place and settings, the shape of its output, its parameters.
    parameters : int
        The number of all parameters.
    nbytes : int
        The memory that they take.
    """

    rows: tuple[tuple[str, tuple[int, ...], int], ...]
    parameters: int
    nbytes: int

    def __repr__(self) -> str:
        table = [_HEADER, *[(name, str(shape), f"{count:,}") for name, shape, count in self.rows]]
        left, middle, right = [max(map(len, column)) for column in zip(*table)]
        lines = [f"{a:{left}}  {b:{middle}}  {c:>{right}}".rstrip() for a, b, c in table]
        rule = "-" * (left + middle + right + 4)
        total = f"{self.parameters:,} parameters, {_memory(self.nbytes)}"
        return "\n".join([lines[0], rule, *lines[1:], rule, total])


def summary(
    model: Layer, input_shape: tuple[int, ...], *, dtype: DTypeLike = np.float64
) -> Summary:
    """Return a table of the layers of a network: print it, or look at its rows.

    The network is initialised and applied once to zeros.

    Parameters
    ----------
    model : layer
        The layers of `Sequential` and `Residual` have a row each.
    input_shape : tuple of int
        The shape of x, with the batch axis: (1, 28, 28, 1) for grey images.
    dtype : dtype, default float64
        Of x; ``int`` for a network that starts with an `Embedding`.

    Returns
    -------
    Summary

    Raises
    ------
    ArgumentError
        If the model is no layer.
    ShapeError
        If the network does not take an input of this shape.

    Examples
    --------
    >>> from funcgrad import nn
    >>> summary(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), (1, 64))
    layer                             output shape  parameters
    ----------------------------------------------------------
    0: Linear(in_dim=64, out_dim=32)  (1, 32)            2,080
    1: ReLU()                         (1, 32)                0
    2: Linear(in_dim=32, out_dim=10)  (1, 10)              330
    ----------------------------------------------------------
    2,410 parameters, 18.8 KiB
    """
    check_layer("the model of summary", model)
    params = model.init(np.random.default_rng(0))
    x = np.zeros(input_shape, dtype)
    rows, _ = _rows(model, params, init_state(model), x, "", "")
    leaves = tree.leaves(params)
    return Summary(tuple(rows), _count(params), sum([p.nbytes for p in leaves]))


def _rows(layer: Any, params: Any, state: Any, x: Any, name: str, margin: str) -> Any:
    """Return the rows of a layer and of those in it, and its output."""
    y, _ = apply_layer(layer, params, x, state=state)
    inside = margin + "  " if name else margin
    rows = []
    if isinstance(layer, Sequential):
        for i, child in enumerate(layer.layers):
            child_rows, x = _rows(child, params[i], state[i], x, f"{i}: ", inside)
            rows += child_rows
    elif isinstance(layer, Residual):
        for i, place in enumerate(("layer", "shortcut")):
            way = getattr(layer, place)
            if way is not None:
                rows += _rows(way, params[i], state[i], x, f"{place}: ", inside)[0]
    else:
        return [(f"{margin}{name}{layer!r}", y.shape, _count(params))], y
    if name:
        rows = [(f"{margin}{name}{type(layer).__name__}", y.shape, _count(params)), *rows]
    return rows, y


def _count(params: Any) -> int:
    return sum([p.size for p in tree.leaves(params)])


def _memory(nbytes: int) -> str:
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if nbytes >= size:
            return f"{nbytes / size:.1f} {unit}"
    return f"{nbytes} bytes"
