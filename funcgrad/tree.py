"""Pytrees: nested containers whose leaves are the values that a transform works on.

Owns their flattening and rebuilding, and how two pytrees are matched; what a node is, `nodes.py` says. Must
not know tracers: whatever is no container is a leaf. Read next: ``core.py``.

A container is described by a *spec*, the nested tuple ``(kind, keys, settings, children)``, and a
leaf by None. Keys match nodes by name and print paths; settings are what is not a child.
"""

# The walks are loops: a comprehension that recurses takes two frames per level in CPython 3.11,
# and a pytree 500 levels deep would meet the recursion limit.
# ruff: noqa: PERF401, SIM110

import functools
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from types import NoneType
from typing import Any, TypeAlias

import numpy as np

from funcgrad.errors import (
    ArgumentError,
    NonDifferentiableError,
    ShapeError,
    StructureError,
    fail,
)
from funcgrad.nodes import KINDS, Keys, Kind, register_node, unregister_node

__all__ = [
    "TreeDef",
    "broadcast_prefix",
    "flatten",
    "flatten_like",
    "flatten_up_to",
    "leaves",
    "map",
    "paths",
    "ravel",
    "reduce",
    "register_node",
    "structure",
    "transpose",
    "unflatten",
    "unregister_node",
]

PyTree: TypeAlias = Any
IsLeaf: TypeAlias = Callable[[Any], bool]
Inner: TypeAlias = "tuple[Kind, Keys, Any, list[Spec]]"
Spec: TypeAlias = "Inner | None"

_MISSING: Any = object()
_NUMBERS = "biufc"


class TreeDef:
    """The structure of a pytree: everything but its leaves.

    Two are equal when their containers and settings are; dicts compare by key, in any order. It
    is hashable when the settings are, and pickles.

    Attributes
    ----------
    num_leaves : int

    Examples
    --------
    >>> structure([1.0, (2.0, None)])
    TreeDef([*, (*, None)], 2 leaves)
    >>> structure({"a": 1.0, "b": 2.0}) == structure({"b": 3.0, "a": 4.0})
    True
    """

    __slots__ = ("_spec", "num_leaves")

    def __init__(self, spec: Spec, num_leaves: int) -> None:
        self._spec = spec
        self.num_leaves = num_leaves

    def __eq__(self, other: object) -> bool:
        return _same(self._spec, other._spec) if isinstance(other, TreeDef) else NotImplemented

    def __hash__(self) -> int:
        return _hash(self._spec)

    def __repr__(self) -> str:
        plural = "leaf" if self.num_leaves == 1 else "leaves"
        return f"TreeDef({_show(self._spec)}, {self.num_leaves} {plural})"


_LEAF = TreeDef(None, 1)


def flatten(tree: PyTree, is_leaf: IsLeaf | None = None) -> tuple[list[Any], TreeDef]:
    """Split a pytree into its leaves and its structure.

    Nodes are tuples, lists, dicts, OrderedDicts, defaultdicts, namedtuples, dataclass instances,
    None (an empty node), and registered classes. Everything else is a leaf, unregistered
    subclasses of list and dict included.

    Parameters
    ----------
    tree : pytree
    is_leaf : callable, optional
        ``is_leaf(node) -> bool``: True stops there, and takes the node for a leaf.

    Returns
    -------
    leaves : list
        In the order of the containers; dicts keep their insertion order.
    treedef : TreeDef

    See Also
    --------
    flatten_like : the leaves in the order of another structure, dicts paired by key.

    Examples
    --------
    >>> flatten({"w": [1.0, 2.0], "b": None})
    ([1.0, 2.0], TreeDef({'w': [*, *], 'b': None}, 2 leaves))
    """
    out: list[Any] = []
    if is_leaf is not None:
        return out, TreeDef(_open_until(is_leaf, tree, out), len(out))
    kind = KINDS[type(tree)]
    if kind is None:
        return [tree], _LEAF
    return out, TreeDef(_open_all(kind, tree, out), len(out))


def unflatten(treedef: TreeDef, leaves: Iterable[Any]) -> PyTree:
    """Build a pytree from its structure and its leaves: the inverse of `flatten`.

    Parameters
    ----------
    treedef : TreeDef
    leaves : iterable
        As many as ``treedef.num_leaves``. They may be anything.

    Raises
    ------
    StructureError
        If the number of leaves is wrong.

    Examples
    --------
    >>> unflatten(structure((1.0, [2.0])), ["a", "b"])
    ('a', ['b'])
    """
    if not isinstance(treedef, TreeDef):
        what = f"tree.unflatten needs a TreeDef, but got {treedef!r}."
        raise fail(ArgumentError, what, "pass tree.structure(x), and then the leaves.")
    flat = leaves if type(leaves) is list else list(leaves)
    if len(flat) != treedef.num_leaves:
        what = f"tree.unflatten got {len(flat)} leaves for {treedef!r}."
        raise fail(StructureError, what, "give one leaf for each * of the treedef.")
    spec = treedef._spec
    return flat[0] if spec is None else _build(spec, iter(flat).__next__)


def leaves(tree: PyTree, is_leaf: IsLeaf | None = None) -> list[Any]:
    """List the leaves of a pytree, in the order of `flatten`.

    Examples
    --------
    >>> leaves({"w": [1.0, 2.0], "b": None})
    [1.0, 2.0]
    """
    return flatten(tree, is_leaf)[0]


def structure(tree: PyTree, is_leaf: IsLeaf | None = None) -> TreeDef:
    """Give the structure of a pytree: everything but its leaves.

    Examples
    --------
    >>> structure({"w": [1.0, 2.0], "b": None})
    TreeDef({'w': [*, *], 'b': None}, 2 leaves)
    """
    return flatten(tree, is_leaf)[1]


def map(
    fun: Callable[..., Any], tree: PyTree, *rest: PyTree, is_leaf: IsLeaf | None = None
) -> PyTree:
    """Apply a function to each leaf, or to the corresponding leaves of several pytrees.

    Parameters
    ----------
    fun : callable
        Called with one leaf of each pytree.
    tree : pytree
        Gives the result its structure and its order.
    *rest : pytree
        Each has the structure of `tree`, dicts matched by key; it may go on below a leaf of
        `tree`, and `fun` then gets that whole subtree.
    is_leaf : callable, optional
        As in `flatten`, for `tree`.

    Returns
    -------
    pytree

    Raises
    ------
    StructureError
        If the pytrees do not match; it names the place.

    Examples
    --------
    >>> map(lambda p, g: p - 0.5 * g, {"w": 1.0, "b": 2.0}, {"b": 2.0, "w": 4.0})
    {'w': -1.0, 'b': 1.0}
    """
    flat, treedef = flatten(tree, is_leaf)
    others = [
        flatten_up_to(treedef, other, f"pytree {number} of tree.map")
        for number, other in enumerate(rest, 2)
    ]
    return unflatten(treedef, [fun(*args) for args in zip(flat, *others)])


def reduce(
    fun: Callable[[Any, Any], Any],
    tree: PyTree,
    initializer: Any = _MISSING,
    is_leaf: IsLeaf | None = None,
) -> Any:
    """Combine the leaves of a pytree from left to right.

    Parameters
    ----------
    fun : callable
        ``fun(so_far, leaf)``.
    tree : pytree
    initializer : optional
        Where to start; by default the first leaf.

    Raises
    ------
    ArgumentError
        If there is neither a leaf nor an initializer.

    Examples
    --------
    >>> reduce(lambda total, leaf: total + leaf**2, [1.0, (2.0, 3.0)], 0.0)
    14.0
    """
    flat = leaves(tree, is_leaf)
    if initializer is not _MISSING:
        return functools.reduce(fun, flat, initializer)
    if not flat:
        what = "tree.reduce got a pytree without leaves, and nothing to start from."
        raise fail(ArgumentError, what, "pass initializer=, for instance 0.0.")
    return functools.reduce(fun, flat)


def paths(tree: PyTree) -> list[str]:
    """Name the place of each leaf, as one would write it after the name of the pytree.

    Parameters
    ----------
    tree : pytree or TreeDef

    Returns
    -------
    list of str
        One per leaf; the path of a lone leaf is the empty string.

    Examples
    --------
    >>> paths([{"w": 1.0, "b": 2.0}, (3.0, None)])
    ["[0]['w']", "[0]['b']", '[1][0]']
    """
    out: list[str] = []
    _name_leaves(_treedef_of(tree)._spec, "", out)
    return out


def _open_all(kind: Kind, node: Any, out: list[Any]) -> Inner:
    children, keys, settings = kind.open(node)
    specs: list[Spec] = []
    for child in children:
        child_kind = KINDS[type(child)]
        if child_kind is None:
            out.append(child)
            specs.append(None)
        else:
            specs.append(_open_all(child_kind, child, out))
    return kind, keys, settings, specs


def _open_until(is_leaf: IsLeaf, node: Any, out: list[Any]) -> Spec:
    kind = None if is_leaf(node) else KINDS[type(node)]
    if kind is None:
        out.append(node)
        return None
    children, keys, settings = kind.open(node)
    specs: list[Spec] = []
    for child in children:
        specs.append(_open_until(is_leaf, child, out))
    return kind, keys, settings, specs


def _build(spec: Inner, take: Callable[[], Any]) -> Any:
    kind, keys, settings, specs = spec
    children = []
    for child in specs:
        children.append(take() if child is None else _build(child, take))
    return kind.build(children, keys, settings)


def _treedef_of(tree: PyTree) -> TreeDef:
    return tree if isinstance(tree, TreeDef) else structure(tree)


def _count(spec: Spec) -> int:
    if spec is None:
        return 1
    total = 0
    for child in spec[3]:
        total += _count(child)
    return total


def _same(a: Spec, b: Spec) -> bool:
    if a is None or b is None:
        return a is b
    kind, keys, settings, specs = a
    children = b[3] if keys == b[1] else _in_order(keys, b[1], b[3])
    if kind is not b[0] or children is None or len(children) != len(specs):
        return False
    if settings is not b[2] and not _equal(settings, b[2]):
        return False
    for one, other in zip(specs, children):
        if not _same(one, other):
            return False
    return True


def _hash(spec: Spec) -> int:
    if spec is None:
        return 0
    kind, keys, settings, specs = spec
    hashes = []
    for child in specs:
        hashes.append(_hash(child))
    # Dicts in any order are equal, and equal structures need equal hashes.
    contents = tuple(hashes) if keys is None else frozenset(zip(keys, hashes))
    return hash((kind.cls, contents, settings))


def _show(spec: Spec) -> str:
    if spec is None:
        return "*"
    kind, keys, settings, specs = spec
    parts = []
    for child in specs:
        parts.append(_show(child))
    return kind.show(keys, settings, parts)


def _name_leaves(spec: Spec, path: str, out: list[str]) -> None:
    if spec is None:
        out.append(path)
        return
    for index, child in enumerate(spec[3]):
        _name_leaves(child, path + _label(spec, index), out)


def _label(spec: Inner, index: int) -> str:
    kind, keys = spec[:2]
    return kind.label.format(index if keys is None else keys[index])


def _equal(a: Any, b: Any) -> bool:
    """Compare settings, which may hold arrays."""
    if a is b:
        return True
    if type(a) is type(b) and isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return bool(a == b)


def flatten_up_to(treedef: TreeDef, tree: PyTree, name: str = "the pytree") -> list[Any]:
    """Open a pytree as far as a structure goes: one subtree for each leaf of the structure.

    Parameters
    ----------
    treedef : TreeDef
    tree : pytree
        Has the containers of `treedef`, dicts matched by key, and whatever it likes below.
    name : str, optional
        What the error message calls `tree`.

    Returns
    -------
    list
        In the order of `treedef`.

    Raises
    ------
    StructureError
        If a container does not match; it names the place and both kinds.

    Examples
    --------
    >>> flatten_up_to(structure({"a": 0, "b": 0}), {"b": (1.0, 2.0), "a": 3.0})
    [3.0, (1.0, 2.0)]
    """
    spec = treedef._spec
    if spec is None:
        return [tree]
    out: list[Any] = []
    try:
        _match(spec, tree, out)
    except _Mismatch as mismatch:
        raise mismatch.error(name) from None
    return out


def flatten_like(treedef: TreeDef, tree: PyTree, name: str = "the pytree") -> list[Any]:
    """List the leaves of a pytree in the order of a structure that it must have.

    Comparing ``flatten(tree)[1] == treedef`` is not enough to pair leaves: dicts of equal keys are
    equal in any order, and the leaves would then be paired wrongly.

    Parameters
    ----------
    treedef : TreeDef
    tree : pytree
    name : str, optional
        What the error message calls `tree`.

    Returns
    -------
    list
        One leaf for each leaf of `treedef`.

    Raises
    ------
    StructureError
        If the structures differ; it names the place and both kinds.

    Examples
    --------
    >>> flatten_like(structure({"a": 0, "b": 0}), {"b": 1.0, "a": 2.0})
    [2.0, 1.0]
    """
    flat = flatten_up_to(treedef, tree, name)
    for index, leaf in enumerate(flat):
        if KINDS[type(leaf)] is not None:
            mismatch = _Mismatch(f"a leaf against {_describe(leaf)}", paths(treedef)[index])
            raise mismatch.error(name)
    return flat


def broadcast_prefix(prefix: PyTree, tree: PyTree, name: str = "the prefix") -> list[Any]:
    """Spread a prefix over a pytree: one leaf of the prefix for each leaf of the pytree.

    A leaf of the prefix stands for the whole subtree at its place. None counts as a leaf, as
    `in_axes` needs it ("not mapped").

    Parameters
    ----------
    prefix : pytree
        Has the containers of `tree` down to its own leaves, dicts matched by key.
    tree : pytree or TreeDef
    name : str, optional
        What the error message calls `prefix`.

    Returns
    -------
    list
        In the order of the leaves of `tree`.

    Raises
    ------
    StructureError
        If a container does not match; it names the place and both kinds.

    Examples
    --------
    >>> broadcast_prefix((0, None), ([1.0, 2.0], {"w": 3.0}))
    [0, 0, None]
    """
    out: list[Any] = []
    try:
        _spread(_treedef_of(tree)._spec, prefix, out)
    except _Mismatch as mismatch:
        fix = "give one value for the whole subtree, or the container that the pytree has there."
        raise mismatch.error(name, fix) from None
    return out


def transpose(outer: TreeDef, inner: TreeDef, tree: PyTree) -> PyTree:
    """Turn a pytree of pytrees inside out.

    Parameters
    ----------
    outer, inner : TreeDef
        `tree` has the structure `outer`, with one `inner` at each of its leaves.
    tree : pytree

    Returns
    -------
    pytree
        The structure `inner`, with one `outer` at each of its leaves.

    Examples
    --------
    >>> grads = [{"w": 1.0, "b": 2.0}, {"w": 3.0, "b": 4.0}]
    >>> transpose(structure([0, 0]), structure({"w": 0, "b": 0}), grads)
    {'w': [1.0, 3.0], 'b': [2.0, 4.0]}
    """
    rows = [flatten_up_to(inner, subtree) for subtree in flatten_up_to(outer, tree)]
    columns = [[row[i] for row in rows] for i in range(inner.num_leaves)]
    return unflatten(inner, [unflatten(outer, column) for column in columns])


class _Mismatch(Exception):
    """Two nodes differ. Each level on the way out puts its label before the path."""

    def __init__(self, detail: str, path: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.path = path

    def error(self, name: str, fix: str = "give both the same containers.") -> StructureError:
        place = self.path or "the root"
        return fail(StructureError, f"{name} does not match at {place}: {self.detail}.", fix)


def _match(spec: Inner, node: Any, out: list[Any]) -> None:
    children = _children_like(spec, node)
    for index, (child_spec, child) in enumerate(zip(spec[3], children)):
        if child_spec is None:
            out.append(child)
            continue
        try:
            _match(child_spec, child, out)
        except _Mismatch as mismatch:
            mismatch.path = _label(spec, index) + mismatch.path
            raise


def _spread(spec: Spec, prefix: PyTree, out: list[Any]) -> None:
    if prefix is None or KINDS[type(prefix)] is None:
        out.extend([prefix] * _count(spec))
        return
    if spec is None:
        raise _Mismatch(f"a leaf against {_describe(prefix)}")
    children = _children_like(spec, prefix)
    for index, (child_spec, child) in enumerate(zip(spec[3], children)):
        try:
            _spread(child_spec, child, out)
        except _Mismatch as mismatch:
            mismatch.path = _label(spec, index) + mismatch.path
            raise


def _children_like(spec: Inner, node: Any) -> Collection[Any]:
    """Open a node that must be of the kind of a spec; the children come in the spec's order."""
    kind, keys, settings, specs = spec
    if type(node) is not kind.cls:
        raise _Mismatch(f"{_describe_node(kind, len(specs))} against {_describe(node)}")
    children, node_keys, node_settings = kind.open(node)
    ordered = children if keys == node_keys else _in_order(keys, node_keys, children)
    if ordered is None or len(ordered) != len(specs):
        detail = f"{_describe_node(kind, len(specs))} against {_describe(node)}"
        raise _Mismatch(detail + _describe_keys(keys, node_keys))
    if settings is not node_settings and not _equal(settings, node_settings):
        detail = f"the settings of {kind.cls.__name__}, {settings!r} against {node_settings!r}"
        raise _Mismatch(detail)
    return ordered


def _in_order(keys: Keys, other: Keys, children: Collection[Any]) -> Collection[Any] | None:
    """Put children that have the keys `other` in the order of `keys`; None if the keys differ."""
    if keys is None or other is None:
        return None
    by_key = dict(zip(other, children))
    return [by_key[key] for key in keys] if by_key.keys() == set(keys) else None


def _describe(node: Any) -> str:
    kind = KINDS[type(node)]
    if kind is not None:
        return _describe_node(kind, len(kind.open(node)[0]))
    if hasattr(node, "shape") and hasattr(node, "dtype"):
        return f"an array of shape {node.shape}, {node.dtype}"
    return f"a leaf of type {type(node).__name__}"


def _describe_node(kind: Kind, length: int) -> str:
    return "None" if kind.cls is NoneType else f"{kind.cls.__name__} of length {length}"


def _describe_keys(keys: Keys, other: Keys) -> str:
    missing = [repr(key) for key in keys or () if key not in (other or ())]
    extra = [repr(key) for key in other or () if key not in (keys or ())]
    parts = [f"missing {', '.join(missing)}"] if missing else []
    if extra:
        parts.append(f"extra {', '.join(extra)}")
    return f" ({'; '.join(parts)})" if parts else ""


def ravel(tree: PyTree) -> tuple[Any, "_Unravel"]:
    """Lay the numbers of a pytree end to end in one vector, for optimisers that want a vector.

    Parameters
    ----------
    tree : pytree
        Of arrays and numbers.

    Returns
    -------
    flat : array of shape (n,)
        Its dtype is the one to which NumPy promotes all the leaves (a Python float is a float64);
        ``zeros(0)`` for a pytree without leaves.
    unravel : callable
        From a vector of shape (n,) to the pytree, each leaf with its own shape and dtype, in
        memory of its own; numbers come back as NumPy scalars. It pickles.

    Raises
    ------
    NonDifferentiableError
        If a leaf is no number, boolean, or array of those.
    ShapeError
        From ``unravel``, for a vector of another shape, or a complex one for real leaves.

    Notes
    -----
    ``unravel`` cuts the fraction off where the leaf is an integer, and the imaginary part where
    one leaf is real and another complex.

    Examples
    --------
    >>> flat, unravel = ravel({"w": np.ones((2, 2)), "b": 0.5})
    >>> flat
    array([1. , 1. , 1. , 1. , 0.5])
    >>> unravel(2 * flat)
    {'w': array([[2., 2.],
           [2., 2.]]), 'b': np.float64(1.0)}
    """
    flat, treedef = flatten(tree)
    arrays = [_one_array(leaf) for leaf in flat]
    for index, array in enumerate(arrays):
        if array.dtype.kind not in _NUMBERS:
            place = paths(treedef)[index] or "the root"
            what = f"tree.ravel needs numbers, but the leaf at {place} is {flat[index]!r}."
            raise fail(NonDifferentiableError, what, "leave it out, or make it a static field.")
    scalar = [isinstance(leaf, (np.generic, int, float, complex)) for leaf in flat]
    unravel = _Unravel(treedef, [a.shape for a in arrays], [a.dtype for a in arrays], scalar)
    parts = [np.reshape(array, -1) for array in arrays]
    return np.concatenate(parts) if parts else np.zeros(0), unravel


def _one_array(leaf: Any) -> Any:
    """Return a leaf as an array; one of objects that speak NumPy's protocols becomes one of their kind."""
    array = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    if array.dtype.kind == "O" and any([hasattr(x, "__array_function__") for x in array.ravel()]):
        return np.stack([*array.ravel()]).reshape(array.shape)
    return array


@dataclass(frozen=True, slots=True)
class _Unravel:
    """The way back from the vector that `ravel` made: a class, so that it pickles."""

    treedef: TreeDef
    shapes: list[tuple[int, ...]]
    dtypes: list[np.dtype[Any]]
    scalar: list[bool]

    def __call__(self, flat: Any) -> PyTree:
        vector = flat if hasattr(flat, "dtype") else np.asarray(flat)
        self._check(vector)
        stop = 0
        out = []
        for shape, dtype, scalar in zip(self.shapes, self.dtypes, self.scalar):
            start, stop = stop, stop + math.prod(shape)
            part = vector[start:stop]
            if dtype.kind != "c" and vector.dtype.kind == "c":
                part = np.real(part)
            # astype copies, so that an optimiser that reuses its vector does not change the leaf.
            leaf = np.reshape(part.astype(dtype), shape)
            out.append(leaf[()] if scalar else leaf)
        return unflatten(self.treedef, out)

    def _check(self, vector: Any) -> None:
        size = sum(math.prod(shape) for shape in self.shapes)
        if vector.shape != (size,):
            what = f"unravel needs a vector of shape ({size},), but got shape {vector.shape}."
            raise fail(ShapeError, what, "pass a vector as long as the one that ravel gave.")
        if vector.dtype.kind == "c" and all(dtype.kind != "c" for dtype in self.dtypes):
            what = f"unravel got a {vector.dtype} vector for leaves that are all real."
            raise fail(ShapeError, what, "take its real part, or ravel complex leaves.")
