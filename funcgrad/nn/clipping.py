"""Gradients made smaller before the step, and the chain of such links with an optimizer.

A link has the optimizer's two methods, but what its ``update`` returns first is gradients. Must not
know the optimizers' rules. Read next: `schedules.py`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.errors import ArgumentError, StructureError, fail
from funcgrad.nn.optimizers import STATIC, Optimizer, PyTree, in_dtype_of, weak
from funcgrad.nn.settings import check_number

__all__ = [
    "ClipByGlobalNorm",
    "ClipByValue",
    "chain",
    "clip_by_global_norm",
    "clip_by_value",
    "global_norm",
]


def global_norm(pytree: PyTree) -> Any:
    """Return the Euclidean norm of all the numbers of a pytree together.

    Parameters
    ----------
    pytree : pytree of arrays

    Returns
    -------
    scalar
        0.0 for a pytree without leaves.

    Examples
    --------
    >>> global_norm({"w": np.array([3.0, 0.0]), "b": np.array(4.0)})
    np.float64(5.0)
    """
    return np.sqrt(sum([np.square(np.abs(leaf)).sum() for leaf in tree.leaves(pytree)], 0.0))


def clip_by_global_norm(grads: PyTree, max_norm: float) -> PyTree:
    """Scale the gradients, all alike, to a global norm of at most `max_norm`.

    Parameters
    ----------
    grads : pytree of arrays
    max_norm : float, positive

    Returns
    -------
    pytree
        The same values where the norm is small enough.

    Raises
    ------
    ArgumentError
        If `max_norm` is not positive.

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent neural networks,
    ICML 2013.

    Examples
    --------
    >>> clip_by_global_norm({"w": np.array([3.0, 0.0]), "b": np.array([4.0])}, max_norm=1.0)
    {'w': array([0.6, 0. ]), 'b': array([0.8])}
    """
    check_number("clip_by_global_norm", "max_norm", max_norm, 1.0, above=0)
    scale = weak(max_norm / np.maximum(global_norm(grads), max_norm))
    return tree.map(lambda g: in_dtype_of(g, g * scale), grads)


def clip_by_value(grads: PyTree, limit: float) -> PyTree:
    """Cut each entry of the gradients to between ``-limit`` and ``limit``.

    Parameters
    ----------
    grads : pytree of arrays
        Of a complex entry the real and the imaginary part are cut.
    limit : float, positive

    Returns
    -------
    pytree

    Raises
    ------
    ArgumentError
        If `limit` is not positive.

    Examples
    --------
    >>> clip_by_value([np.array([3.0, -0.5, -2.0])], limit=1.0)
    [array([ 1. , -0.5, -1. ])]
    """

    def cut(g: Any) -> Any:
        if np.iscomplexobj(g):
            return np.clip(g.real, -limit, limit) + 1j * np.clip(g.imag, -limit, limit)
        return in_dtype_of(g, np.clip(g, -limit, limit))

    check_number("clip_by_value", "limit", limit, 1.0, above=0)
    limit = weak(limit)
    return tree.map(cut, grads)


@dataclass(frozen=True)
class ClipByGlobalNorm:
    """The link of a `chain` that applies `clip_by_global_norm`.

    Parameters
    ----------
    max_norm : float, positive

    Examples
    --------
    >>> from funcgrad import nn
    >>> nn.chain(ClipByGlobalNorm(1.0), nn.SGD(0.1))
    chain(ClipByGlobalNorm(max_norm=1.0), SGD(lr=0.1, ...))
    """

    max_norm: float = field(metadata=STATIC)

    def __post_init__(self) -> None:
        check_number(self, "max_norm", self.max_norm, 1.0, above=0)

    def init(self, params: PyTree) -> tuple[()]:
        """Return the empty tuple: there is nothing to remember."""
        return ()

    def update(self, grads: PyTree, state: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """Return the gradients, clipped, and the state."""
        return clip_by_global_norm(grads, self.max_norm), state


@dataclass(frozen=True)
class ClipByValue:
    """The link of a `chain` that applies `clip_by_value`.

    Parameters
    ----------
    limit : float, positive

    Examples
    --------
    >>> from funcgrad import nn
    >>> opt = nn.chain(ClipByValue(1.0), nn.SGD(0.1))
    >>> params = np.zeros(2)
    >>> opt.update(np.array([5.0, -0.5]), opt.init(params), params)[0]
    array([-0.1 ,  0.05])
    """

    limit: float = field(metadata=STATIC)

    def __post_init__(self) -> None:
        check_number(self, "limit", self.limit, 1.0, above=0)

    def init(self, params: PyTree) -> tuple[()]:
        """Return the empty tuple: there is nothing to remember."""
        return ()

    def update(self, grads: PyTree, state: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """Return the gradients, clipped, and the state."""
        return clip_by_value(grads, self.limit), state


def chain(*links: Any) -> "Chain":
    """Put links before an optimizer: each passes its gradients on to the next.

    Parameters
    ----------
    *links
        Each has ``init(params) -> state`` and ``update(first, state, params) -> (first, state)``,
        where ``first`` is the gradients. The last link is an optimizer, which returns parameters.

    Returns
    -------
    Chain
        An optimizer; its state is a tuple with an entry per link.

    Raises
    ------
    ArgumentError
        If there is no link, or one that has not these methods, or needs the function itself; if an
        optimizer is followed by another link, or the last link clips.

    Examples
    --------
    >>> from funcgrad import nn
    >>> opt = chain(nn.ClipByGlobalNorm(1.0), nn.SGD(lr=0.1))
    >>> params = np.zeros(2)
    >>> params, state = opt.update(np.array([30.0, 40.0]), opt.init(params), params)
    >>> params
    array([-0.06, -0.08])
    """
    if not links:
        what = "chain got no link."
        raise fail(ArgumentError, what, "write nn.chain(nn.ClipByGlobalNorm(1.0), nn.Adam()).")
    for link in links:
        _check_link(link)
    for link in links[:-1]:
        if isinstance(link, (Optimizer, Chain)):
            what = f"{link!r} returns parameters, which the next link of chain would take for gradients."
            raise fail(ArgumentError, what, "put the optimizer last.")
    if isinstance(links[-1], (ClipByGlobalNorm, ClipByValue)):
        what = f"the last link of chain takes the step, but {links[-1]!r} returns gradients."
        raise fail(ArgumentError, what, "put an optimizer last, such as nn.Adam().")
    return Chain(links)


def _check_link(link: Any) -> None:
    methods = [getattr(link, name, None) for name in ("init", "update")]
    if isinstance(link, type) or not all([callable(method) for method in methods]):
        what = f"a link of chain needs init and update, but got {link!r}."
        raise fail(ArgumentError, what, "pass an instance, such as nn.ClipByValue(1.0).")
    if getattr(link, "needs_function", False):
        what = f"{type(link).__name__} needs the function, not gradients passed along a chain."
        raise fail(ArgumentError, what, "use it alone.")


@dataclass(frozen=True, repr=False)
class Chain:
    """See `chain`."""

    links: tuple[Any, ...] = field(metadata=STATIC)

    def init(self, params: PyTree) -> tuple[PyTree, ...]:
        """Return the states of the links before the first step."""
        return tuple([link.init(params) for link in self.links])

    def update(self, grads: PyTree, state: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """Take one step; return the new parameters and the new state."""
        if not isinstance(state, (tuple, list)) or len(state) != len(self.links):
            what = f"state does not match: a chain of {len(self.links)} links keeps as many states."
            raise fail(StructureError, what, "start from init(params) of the same chain.")
        new = []
        for link, link_state in zip(self.links, state):
            grads, link_state = link.update(grads, link_state, params)
            new.append(link_state)
        return grads, tuple(new)

    def __repr__(self) -> str:
        return f"chain({', '.join([repr(link) for link in self.links])})"
