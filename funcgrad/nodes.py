"""Nodes of pytrees: which containers are nodes, and how each is opened and built again.

Tuples, lists, dicts and None, namedtuples and dataclasses, and the classes that a user registers. Must not
know pytrees as a whole. Read next: ``tree.py``.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType
from typing import Any, TypeAlias, TypeVar

from funcgrad.errors import ArgumentError, StructureError, fail

__all__ = ["KINDS", "Keys", "Kind", "Opened", "register_node", "unregister_node"]

Keys: TypeAlias = tuple[Any, ...] | None
Opened: TypeAlias = tuple[Collection[Any], Keys, Any]
Node = TypeVar("Node")


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A type of node; ``open`` gives (children, keys, settings), and ``build`` takes them back."""

    cls: type
    open: Callable[[Any], Opened]
    build: Callable[[list[Any], Any, Any], Any]
    show: Callable[[Any, Any, list[str]], str]
    label: str = "[{!r}]"

    def __reduce__(self) -> tuple[Callable[[type], "Kind"], tuple[type]]:
        return _kind_of, (self.cls,)


class _Kinds(dict[type, Kind | None]):
    """The kind of each type that was met; None for the type of a leaf."""

    def __missing__(self, cls: type) -> Kind | None:
        kind = self[cls] = _find_kind(cls)
        return kind


def _find_kind(cls: type) -> Kind | None:
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _namedtuple_kind(cls)
    if is_dataclass(cls) and not issubclass(cls, (tuple, list, dict)):
        return _dataclass_kind(cls)
    return None


def _kind_of(cls: type) -> Kind:
    """Find the kind of a class again, for a treedef that comes out of a pickle."""
    kind = KINDS[cls]
    if kind is None:
        what = f"a treedef has a node of type {cls.__name__}, which is no registered node here."
        raise fail(StructureError, what, "call tree.register_node where the class is defined.")
    return kind


def _namedtuple_kind(cls: Any) -> Kind:
    names = cls._fields

    def show(keys: Any, settings: Any, parts: list[str]) -> str:
        return _show_fields(cls, keys, (), parts)

    return Kind(
        cls,
        lambda node: (node, names, None),
        lambda children, keys, settings: cls._make(children),
        show,
        ".{}",
    )


def _dataclass_kind(cls: Any) -> Kind:
    static = tuple(f.name for f in fields(cls) if f.metadata.get("static", False))
    names = tuple(f.name for f in fields(cls) if f.name not in static)

    def open_node(node: Any) -> Opened:
        children = [getattr(node, name) for name in names]
        settings = tuple([(name, getattr(node, name)) for name in static]) if static else ()
        return children, names, settings

    def build(children: list[Any], keys: Any, settings: Any) -> Any:
        # Neither __init__ nor a frozen class's own __setattr__: a leaf may be anything here.
        node = object.__new__(cls)
        for name, child in zip(names, children):
            object.__setattr__(node, name, child)
        for name, value in settings:
            object.__setattr__(node, name, value)
        return node

    def show(keys: Any, settings: Any, parts: list[str]) -> str:
        return _show_fields(cls, keys, settings, parts)

    return Kind(cls, open_node, build, show, ".{}")


def _show_dict(keys: Any, settings: Any, parts: list[str]) -> str:
    return f"{{{', '.join([f'{k!r}: {p}' for k, p in zip(keys, parts)])}}}"


def _show_defaultdict(keys: Any, settings: Any, parts: list[str]) -> str:
    factory = getattr(settings, "__name__", repr(settings))
    return f"defaultdict({factory}, {_show_dict(keys, settings, parts)})"


def _show_fields(cls: type, keys: Any, settings: Any, parts: list[str]) -> str:
    children = [f"{key}={part}" for key, part in zip(keys, parts)]
    statics = [f"{name}={value!r}" for name, value in settings]
    return f"{cls.__name__}({', '.join(children + statics)})"


KINDS = _Kinds()
for _kind in (
    Kind(
        list,
        lambda node: (node, None, None),
        lambda children, keys, settings: children,
        lambda keys, settings, parts: f"[{', '.join(parts)}]",
    ),
    Kind(
        tuple,
        lambda node: (node, None, None),
        lambda children, keys, settings: tuple(children),
        lambda keys, settings, parts: f"({', '.join(parts)}{',' * (len(parts) == 1)})",
    ),
    Kind(
        dict,
        lambda node: (node.values(), tuple(node), None),
        lambda children, keys, settings: dict(zip(keys, children)),
        _show_dict,
    ),
    Kind(
        OrderedDict,
        lambda node: (node.values(), tuple(node), None),
        lambda children, keys, settings: OrderedDict(zip(keys, children)),
        lambda keys, settings, parts: f"OrderedDict({_show_dict(keys, settings, parts)})",
    ),
    Kind(
        defaultdict,
        lambda node: (node.values(), tuple(node), node.default_factory),
        lambda children, keys, settings: defaultdict(settings, zip(keys, children)),
        _show_defaultdict,
    ),
    Kind(
        NoneType,
        lambda node: ((), None, None),
        lambda children, keys, settings: None,
        lambda keys, settings, parts: "None",
    ),
):
    KINDS[_kind.cls] = _kind
_BUILT_IN = frozenset(KINDS)
_REGISTERED: set[type] = set()


def register_node(
    cls: type[Node],
    flatten: Callable[[Node], tuple[Iterable[Any], Any]],
    unflatten: Callable[[Any, tuple[Any, ...]], Node],
) -> None:
    """Make the instances of a class nodes, whose children are leaves or nodes in turn.

    Parameters
    ----------
    cls : type
        The class itself; subclasses are registered on their own.
    flatten : callable
        ``flatten(obj) -> (children, aux)``. What is in ``aux`` is compared with ``==`` when
        structures are, and belongs to the treedef.
    unflatten : callable
        ``unflatten(aux, children) -> obj``. The children may be anything, not only arrays: it
        should neither check nor convert them.

    Raises
    ------
    ArgumentError
        If `cls` is no class, or is a node already.

    Examples
    --------
    >>> from funcgrad import tree
    >>> class Interval:
    ...     def __init__(self, low, high):
    ...         self.low, self.high = low, high
    >>> register_node(Interval, lambda i: ((i.low, i.high), None), lambda aux, c: Interval(*c))
    >>> tree.leaves([Interval(1.0, 2.0), 3.0])
    [1.0, 2.0, 3.0]
    >>> unregister_node(Interval)
    """
    if not isinstance(cls, type):
        what = f"tree.register_node needs a class, but got {cls!r}."
        raise fail(ArgumentError, what, "write register_node(MyClass, flatten, unflatten).")
    if cls in _BUILT_IN or cls in _REGISTERED:
        what = f"{cls.__name__} is a registered node already."
        raise fail(ArgumentError, what, "register a class once, where it is defined.")

    def open_node(node: Node) -> Opened:
        children, aux = flatten(node)
        return tuple(children), None, aux

    def show(keys: Any, settings: Any, parts: list[str]) -> str:
        aux = "" if settings is None else f"[{settings!r}]"
        return f"{cls.__name__}{aux}({', '.join(parts)})"

    KINDS[cls] = Kind(cls, open_node, lambda children, _, aux: unflatten(aux, (*children,)), show)
    _REGISTERED.add(cls)


def unregister_node(cls: type) -> None:
    """Undo `register_node`.

    Parameters
    ----------
    cls : type
        A class that was registered.

    Raises
    ------
    ArgumentError
        If `cls` was not registered.

    Examples
    --------
    >>> from funcgrad import tree
    >>> class Box:
    ...     pass
    >>> register_node(Box, lambda box: ((), None), lambda aux, children: Box())
    >>> unregister_node(Box)
    >>> tree.structure(Box())
    TreeDef(*, 1 leaf)
    """
    if cls not in _REGISTERED:
        what = f"{cls!r} is no class that tree.register_node has registered."
        raise fail(ArgumentError, what, "pass the class that was registered.")
    _REGISTERED.remove(cls)
    del KINDS[cls]
