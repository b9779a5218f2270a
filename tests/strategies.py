"""Hypothesis strategies, the only place for composite ones: shapes, arrays, pytrees, in_axes.

Every array is finite. A test that needs another domain passes `low` and `high`.
"""

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
from hypothesis.extra import numpy as hnp
from hypothesis.strategies import DrawFn, SearchStrategy

from funcgrad import tree

Shape = tuple[int, ...]

MAX_DIMS = 3
MAX_SIDE = 4


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass
class Pair:
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class Layer:
    w: Any
    b: Any
    act: str = field(default="relu", metadata={"static": True})


def shapes(min_dims: int = 0, max_dims: int = MAX_DIMS, min_side: int = 1) -> SearchStrategy[Shape]:
    """Shapes of small arrays; `min_side=0` brings in the empty ones."""
    return hnp.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=MAX_SIDE
    )


def floats(low: float = -10.0, high: float = 10.0, width: int = 64) -> SearchStrategy[float]:
    """Finite floats without subnormals, which rounding errors would dominate."""
    return st.floats(low, high, allow_nan=False, allow_subnormal=False, width=width)


def arrays(
    shape: Shape | SearchStrategy[Shape] | None = None,
    dtype: Any = np.float64,
    low: float = -10.0,
    high: float = 10.0,
) -> SearchStrategy[np.ndarray]:
    """Finite real or complex arrays; of any small shape unless `shape` is given."""
    dtype = np.dtype(dtype)
    width = 8 * dtype.itemsize // (2 if dtype.kind == "c" else 1)
    elements: SearchStrategy[Any] = floats(low, high, width)
    if dtype.kind == "c":
        elements = st.builds(complex, elements, elements)
    return hnp.arrays(dtype, shapes() if shape is None else shape, elements=elements)


@st.composite
def broadcastable(
    draw: DrawFn, number: int, dtype: Any = np.float64, low: float = -10.0, high: float = 10.0
) -> tuple[np.ndarray, ...]:
    """As many arrays whose shapes broadcast against each other."""
    drawn = draw(
        hnp.mutually_broadcastable_shapes(
            num_shapes=number, max_dims=MAX_DIMS, min_side=1, max_side=MAX_SIDE
        )
    )
    return tuple(draw(arrays(shape, dtype, low, high)) for shape in drawn.input_shapes)


def broadcastable_pairs(
    dtype: Any = np.float64, low: float = -10.0, high: float = 10.0
) -> SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Two arrays whose shapes broadcast against each other."""
    return broadcastable(2, dtype, low, high)


def pytrees(leaves: SearchStrategy[Any] | None = None, max_leaves: int = 8) -> SearchStrategy[Any]:
    """Pytrees of every kind of node, None and empty containers included."""
    leaves = arrays() if leaves is None else leaves
    return st.recursive(leaves | st.none(), _nodes, max_leaves=max_leaves)


def _nodes(children: SearchStrategy[Any]) -> SearchStrategy[Any]:
    # Keys of several types, which cannot be sorted.
    keys = st.sampled_from(["w", "b", "scale", 0, 1, None, (0, "w")])
    dicts = st.dictionaries(keys, children, max_size=3)
    return st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        dicts,
        dicts.map(OrderedDict),
        dicts.map(lambda d: defaultdict(list, d)),
        st.builds(Point, children, children),
        st.builds(Pair, children, children),
        st.builds(Layer, children, children, st.sampled_from(["relu", "tanh"])),
    )


@st.composite
def prefixes(draw: DrawFn, of: Any, leaves: SearchStrategy[Any] | None = None) -> Any:
    """A prefix of a pytree, such as `in_axes`: its containers cut off at any level."""
    leaves = st.sampled_from([None, 0]) if leaves is None else leaves
    children, treedef = tree.flatten(of, is_leaf=lambda node: node is not of)
    if tree.structure(of) == tree.structure(0) or draw(st.booleans()):
        return draw(leaves)
    return tree.unflatten(treedef, [draw(prefixes(child, leaves)) for child in children])


@st.composite
def in_axes(draw: DrawFn, array: np.ndarray) -> int | None:
    """An axis to map an array over, counted from either end, or None."""
    return draw(st.none() | st.sampled_from(range(-array.ndim, array.ndim))) if array.ndim else None
