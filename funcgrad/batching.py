"""Data in batches: pytrees of arrays with the examples along the first axis.

Must not know models or optimizers. Read next: `training.py`.
"""

from collections.abc import Iterator
from operator import index
from typing import Any, TypeAlias

import numpy as np

from funcgrad import tree
from funcgrad.errors import ArgumentError, ShapeError, fail

__all__ = ["batches", "check_counts", "check_pair", "count_examples"]

PyTree: TypeAlias = Any
_MOST = 6  # arrays that a message lists


def batches(
    data: PyTree, batch_size: int | None, rng: np.random.Generator | None = None
) -> Iterator[PyTree]:
    """Go through the data once; the last batch may be smaller.

    Parameters
    ----------
    data : pytree of arrays of shape (N, ...)
        The examples are along the first axis.
    batch_size : int or None
        None is all the data in one batch.
    rng : numpy.random.Generator, optional
        Draws a random order; by default the order is that of the data.

    Yields
    ------
    pytree
        Like `data`, with up to `batch_size` examples.

    Raises
    ------
    ArgumentError
        If `batch_size` is no positive integer, or `rng` no generator.
    ShapeError
        If the arrays have not one length.

    Examples
    --------
    >>> [y.tolist() for x, y in batches((np.zeros((5, 2)), np.arange(5)), 2)]
    [[0, 1], [2, 3], [4]]
    """
    check_counts("batches", 1, batch_size=batch_size)
    if rng is not None and not isinstance(rng, np.random.Generator):
        what = f"batches draws the order from a numpy.random.Generator, but got {rng!r}."
        raise fail(ArgumentError, what, "pass np.random.default_rng(0).")
    count = count_examples(data)
    size = count if batch_size is None else batch_size
    if rng is None and size >= count:
        yield data
        return
    order = np.arange(count) if rng is None else rng.permutation(count)
    flat, treedef = tree.flatten(data)
    for start in range(0, count, max(size, 1)):
        chosen = order[start : start + size]
        yield tree.unflatten(treedef, [array[chosen] for array in flat])


def count_examples(data: PyTree) -> int:
    """Return the number of examples, which every array must have."""
    counts = [np.shape(leaf)[0] if np.ndim(leaf) else None for leaf in tree.leaves(data)]
    if not counts or None in counts or len(set(counts)) > 1:
        shapes = [
            f"{p or 'the root'}: {np.shape(x)}" for p, x in zip(tree.paths(data), tree.leaves(data))
        ]
        found = ", ".join(shapes[:_MOST]) + (", ..." if len(shapes) > _MOST else "")
        what = f"the data needs arrays of one length, the number of examples, but has {found}."
        fix = "give arrays, not lists, with the examples along the first axis: np.asarray(x)."
        raise fail(ShapeError, what, fix)
    return int(counts[0])  # type: ignore[arg-type]


def check_pair(name: str, data: Any) -> None:
    """Raise unless data is a pair with at least one example."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        what = f"fit needs a pair (inputs, targets) as {name}, but got a {type(data).__name__}."
        if isinstance(data, (tuple, list)):
            what = f"fit needs a pair (inputs, targets) as {name}, but got {len(data)} entries."
        raise fail(ArgumentError, what, "inputs may be a tuple or dict of arrays: ((x1, x2), y).")
    if count_examples(data) == 0:
        raise fail(
            ShapeError, f"fit got no example in {name}.", "look at the shapes of its arrays."
        )


def check_counts(who: str, least: int, **counts: Any) -> None:
    """Raise unless the counts are integers from `least` up, or None."""
    for name, count in counts.items():
        if count is None:
            continue
        try:
            enough = index(count) >= least
        except TypeError:
            enough = False
        if not enough:
            what = f"{who} needs an integer {name} >= {least}, but got {count!r}."
            raise fail(ArgumentError, what, f"for instance {name}=10.")
