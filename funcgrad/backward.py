"""The backward pass: cotangents walk the edges of a tape in reverse, once.

It knows nothing of how a tape was recorded: edges are a flat list of `node, parent, pull, kept, fix`, those
of a node together, nodes in the order of the program. Read next: `reverse.py`, which records them.
"""

import math
import sys
from collections.abc import Iterator
from types import EllipsisType
from typing import Any

import numpy as np

from funcgrad.broadcasting import restore, sum_of_product
from funcgrad.core import HANDLERS, Tracer
from funcgrad.floating import hush, unhush
from funcgrad.handles import snapshot

ndarray = np.ndarray
LARGE = 32768  # bytes from which on it pays to look whether an array's memory can be used again

# In the place of a tracer's node: its value is large, and a look at what it was made of showed no NaN.
FREE_OF_NAN = object()

# Marks, in the place of `fix`, an edge whose pull adds to the parent's cotangent itself.
ACCUMULATES = (None, None)


def backward(tape: Any, seeds: list[tuple[int, Any]], inputs: list[int]) -> list[Any]:
    """Return the cotangent of each input node, `None` for zero.

    A NaN may come from a product of an exact zero with something infinite or undefined (the dead
    branch of np.where, the root of a sum of squares at 0). Only then is the tape walked again, with
    zeros kept zero: finding out costs one dot product per input, where looking at each step would
    cost more.
    """
    quiet = hush()
    edges = tape.backward_edges()
    try:
        cts = walk(edges, tape.nodes, seeds, inputs)
        if any([has_nan(ct) for ct in cts]):
            cts = walk(_careful(edges), tape.nodes, seeds, inputs)
    finally:
        unhush(quiet)
    return cts


def times(ct: Any, kept: Any) -> Any:
    """Pull back through a product with what is kept."""
    return ct * kept


times.elementwise = True  # type: ignore[attr-defined]
times.summed = sum_of_product  # type: ignore[attr-defined]


def walk(edges: list[Any], nodes: int, seeds: Any, inputs: list[int]) -> list[Any]:
    """Walk edges backwards, from the seeds to the inputs."""
    cts: list[Any] = [None] * nodes
    owned = bytearray(nodes)  # 1 where the cotangent is a buffer that nobody else can see
    for node, ct in seeds:
        cts[node] = ct if cts[node] is None else cts[node] + ct
    rest, current, ct = reversed(edges), -1, None
    for fix, kept, pull, parent, node in zip(rest, rest, rest, rest, rest):
        if node != current:
            current, ct = node, cts[node]
            cts[node] = None  # the memory of a cotangent is free as soon as it has been handed on
        if ct is None:
            continue
        if fix is ACCUMULATES:
            g = None  # what it adds to may be free to be written to
            pull(cts, owned, parent, ct, kept)
            continue
        # Products are half of the edges of arithmetic; written out, each saves 50 ns.
        if fix is None:
            g = ct * kept if pull is times else ct if pull is None else pull(ct, kept)
        else:
            g = _restored(ct, pull, kept, *fix)
        total = cts[parent]
        if total is None:
            cts[parent] = g
        elif owned[parent] and type(g) is ndarray:
            np.add(total, g, out=total)
        else:
            cts[parent] = total = _sum(total, g)
            owned[parent] = type(total) is ndarray
    ct = g = total = None  # so that what is left refers to the results alone
    return [_own(cts[i], owned[i]) for i in inputs]


def _restored(ct: Any, pull: Any, kept: Any, shape: Any, dtype: Any) -> Any:
    """Pull back to an argument of another shape or dtype; `pull.summed` sums on the way, or gives None."""
    summed = getattr(pull, "summed", None)
    g = None if summed is None else summed(ct, kept, shape)
    if g is None:
        g = ct if pull is None else pull(ct, kept)
    return restore(g, shape, dtype)


def _sum(total: Any, g: Any) -> Any:
    """Add a cotangent to another one, in its own memory if that is large and nobody else's."""
    if type(g) is ndarray and g.nbytes > LARGE and type(total) is ndarray:
        same = g.dtype is total.dtype and g.shape == total.shape
        if same and is_free(g, NAMED):  # the walk has a name for it
            return np.add(total, g, out=g)
    return total + g


def is_free(x: Any, usual: int) -> bool:
    """Tell whether the caller may write into its argument `x`: no more than the `usual` names see it."""
    return x.base is None and sys.getrefcount(x) <= usual and bool(x.flags.writeable)


def _usual_references() -> tuple[int, int]:
    """Return what `is_free` counts for a temporary, and for what the caller of the caller has a name for.

    It depends on the interpreter, so it is measured: from Python 3.14 on a call borrows its arguments.
    """

    def count(x: Any, usual: int) -> int:  # in the place of `is_free`
        return sys.getrefcount(x)

    def product(ct: Any, x: Any) -> int:  # in the place of `_sum` and `product`
        return count(x, 0)

    named = np.empty(0)
    return product(None, np.empty(0)), product(None, named)


TEMPORARY, NAMED = _usual_references()


def grouped(edges: list[Any], nodes: int) -> list[list[Any]]:
    """Return for each node its edges as tuples `(parent, pull, kept, fix)`: to look at, not to walk."""
    groups: list[list[Any]] = [[] for _ in range(nodes)]
    for node, *edge in each_edge(edges):
        groups[node].append(tuple(edge))
    return groups


def each_edge(edges: list[Any]) -> Iterator[tuple[int, int, Any, Any, Any]]:
    """Yield `node, parent, pull, kept, fix` of each edge, in the order of the program."""
    rest = iter(edges)
    return zip(rest, rest, rest, rest, rest)


def _own(ct: Any, owned: int) -> Any:
    """Return a cotangent that shares no memory with anything the tape or the caller keeps."""
    if type(ct) is ndarray and not owned and not is_free(ct, TEMPORARY + 1):  # the list of them
        return ct.copy()
    return ct


# --- zero stays zero -----------------------------------------------------------------------------


def has_nan(ct: Any) -> bool:
    """Tell whether an entry is NaN (or so large that its square overflows, which does no harm)."""
    if ct is None:
        return False
    while isinstance(ct, Tracer):
        if ct.node is FREE_OF_NAN:
            return False
        ct = ct.value
    if not isinstance(ct, ndarray):
        return bool(ct != ct)
    norm = squared_norm(ct)  # NaN if an entry is
    return bool(norm != norm)


def squared_norm(x: Any) -> Any:
    """Return the sum of squares of an array's entries."""
    flat = x.reshape(-1)
    return flat.dot(flat)


def _careful(edges: list[Any]) -> list[Any]:
    """Return edges whose pulls keep zeros zero; one that adds by itself says what does so in its place."""
    careful: list[Any] = []
    for node, parent, pull, kept, fix in each_edge(edges):
        if fix is ACCUMULATES:
            careful += (node, parent, getattr(pull, "careful", pull), kept, fix)
        elif pull is None:
            careful += (node, parent, pull, kept, fix)
        else:
            careful += (node, parent, _pull_carefully, (pull, kept), fix)
    return careful


def _pull_carefully(ct: Any, kept: Any) -> Any:
    pull, kept = kept
    return keep_zero(pull, kept, ct, pull(ct, kept))


def keep_zero(pull: Any, kept: Any, ct: Any, g: Any) -> Any:
    """Let a product with an exact zero be zero, whatever the other factor is.

    Elementwise, `g` is `ct` times a partial derivative: both may be the zero. Of other pullbacks we
    see only the cotangent.
    """
    zero: Any
    if getattr(pull, "elementwise", False):
        zero = (ct == 0) | (pull(np.ones_like(ct), kept) == 0)
    else:
        zero = True
        for part in ct if isinstance(ct, list) else [ct]:
            zero = zero & np.all(part == 0)
    # Elsewhere the product is as it should be, and so is its derivative, which the constant 0 would cut.
    return np.where(zero & np.isnan(g), 0, g)


# --- pulls that add to the cotangent of the parent themselves ------------------------------------


def is_basic(index: Any) -> bool:
    """Tell whether indexing with it gives a view: each entry of the result comes from its own place."""
    kind = type(index)
    if kind is int or kind is slice:
        return True
    for i in index if kind is tuple else (index,):
        if not isinstance(i, (int, slice, EllipsisType, type(None), np.integer)) or isinstance(
            i, bool
        ):
            return False
    return True


def add_at(buffer: Any, index: Any, values: Any) -> None:
    """Add to the entries at `index`, to repeated ones repeatedly."""
    if is_basic(index) or getattr(index, "dtype", None) == np.bool_:
        buffer[index] += values
    elif buffer.ndim > 1 and np.size(values) > _MANY and _are_places(buffer, index):
        _add_at_places(buffer, index if isinstance(index, tuple) else (index,), values)
    else:
        np.add.at(buffer, index, values)


_MANY = 256  # values from which it pays to work out places in the flat buffer, where np.add.at is five times quicker


def _are_places(buffer: Any, index: Any) -> bool:
    """Tell whether an index consists of integer arrays, for the first axes of a buffer that lies in order."""
    items = index if isinstance(index, tuple) else (index,)
    integers = all([type(i) is np.ndarray and i.dtype.kind in "iu" for i in items])
    return integers and bool(buffer.flags.c_contiguous)


def _add_at_places(buffer: Any, items: tuple[Any, ...], values: Any) -> None:
    ahead, behind = buffer.shape[: len(items)], buffer.shape[len(items) :]
    rows = np.ravel_multi_index(
        np.broadcast_arrays(*items), ahead, mode="wrap"
    )  # counts from the end, too
    width = math.prod(behind)
    places = rows if not behind else rows[..., None] * width + np.arange(width)
    values = np.broadcast_to(values, (*rows.shape, *behind))
    np.add.at(buffer.reshape(-1), places.reshape(-1), values.reshape(-1))


def accumulate(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: Any) -> None:
    """Add the cotangent of `x[index]` to that of `x`.

    A plain buffer is written in place, so that n reads of x[i] cost O(n) in all and not O(n^2).
    """
    index, shape, dtype, *arrays = kept
    buffer = cts[parent]
    if arrays or isinstance(ct, Tracer) or isinstance(buffer, Tracer):
        if isinstance(buffer, Tracer) and not arrays and shape and is_basic(index):
            if not owned[parent]:
                cts[parent] = buffer = snapshot(buffer)
            buffer[index] = buffer[index] + ct  # the handle writes in place, if it can
        else:
            ct = HANDLERS["scatter"](ct, *arrays, index=index, shape=shape)
            cts[parent] = ct if buffer is None else buffer + ct
        owned[parent] = bool(shape)
        return
    if not owned[parent]:
        free = type(buffer) is ndarray and is_free(buffer, TEMPORARY + 1)  # the list has it too
        if not free:
            buffer = np.zeros(shape, dtype) if buffer is None else np.array(buffer)
        cts[parent] = buffer
        owned[parent] = 1
    add_at(buffer, index, ct)
