"""`draw_graph`: the recorded program as a picture.

Read next: `ranges.py`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from funcgrad.inspection.dot import Cluster, Node, body, digraph
from funcgrad.inspection.operations import Constant, Operation, Variable, show_setting
from funcgrad.inspection.program import Program
from funcgrad.inspection.recording import Inspection
from funcgrad.tracebacks import boundary

MOST = 100  # nodes; of a larger program, operations are drawn together
_MOST_INPUTS = 40
_LONGEST = 44

Group = tuple[Any, ...]  # what the operations of one node have in common


def _alone(place: int, operation: Operation) -> Group:
    return (place,)


def _by_line(place: int, operation: Operation) -> Group:
    return (*_names(operation), operation.where)


def _by_call(place: int, operation: Operation) -> Group:
    return _names(operation)


def _by_function(place: int, operation: Operation) -> Group:
    return _names(operation)[-1:]


_FINER_TO_COARSER = (_alone, _by_line, _by_call, _by_function)


def _names(operation: Operation) -> tuple[str, ...]:
    """Return the functions and layers an operation stands in, the outermost first."""
    return () if operation.call is None else tuple([call.name for call in operation.call.path()])


class Graph:
    """The nodes, edges and clusters of a program's picture."""

    def __init__(self, program: Program, most: int) -> None:
        self.program = program
        self.root = Cluster()
        self.edges: dict[tuple[str, str], None] = {}  # in order, each once
        self.makers: dict[str, str] = {}  # the name of a value -> its node
        self.made: dict[str, Operation] = {}  # and the operation it comes from
        inputs = self._groups_of_inputs()
        room = max(most - len(inputs) - len(program.outputs), 1)
        for level in _FINER_TO_COARSER:
            self.groups = self._grouped(level)
            if len(self.groups) <= room:
                break
        self.alone = level is _alone
        calls = {operation.call.path()[0] for operation in program if operation.call}
        self.outermost = calls.pop() if len(calls) == 1 else None  # the function itself
        for name, leaves in inputs.items():
            self._add_input(name, leaves)
        for number, members in enumerate(self.groups.values()):
            self._add_operations(f"op{number}", members)
        for number, members in enumerate(self.groups.values()):  # once all makers are known
            for operation in members:
                for x in operation.arguments:
                    if isinstance(x, Variable):
                        self._connect(x, f"op{number}", operation)
        for number, (path, x) in enumerate(program.outputs):
            self._add_output(f"out{number}", path, x)

    def _grouped(self, level: Callable[[int, Operation], Group]) -> dict[Group, list[Operation]]:
        groups: dict[Group, list[Operation]] = {}
        for place, operation in enumerate(self.program):
            groups.setdefault(level(place, operation), []).append(operation)
        return groups

    def _groups_of_inputs(self) -> dict[str, list[Variable]]:
        """Return the leaves by name; by argument, if there are many."""
        groups: dict[str, list[Variable]] = {}
        for x in self.program.inputs:
            many = len(self.program.inputs) > _MOST_INPUTS
            groups.setdefault(_argument_of(x.name) if many else x.name, []).append(x)
        return groups

    def _add_input(self, name: str, leaves: Sequence[Variable]) -> None:
        key = f"in{len(self.root.nodes)}"
        what = leaves[0].type if len(leaves) == 1 else f"{len(leaves)} arrays"
        self.root.nodes.append(Node(key, "input", (name, what)))
        self.makers.update({x.name: key for x in leaves})

    def _add_operations(self, key: str, members: Sequence[Operation]) -> None:
        node = _single(key, members[0]) if self.alone else _several(key, members)
        self._cluster_of(members[0]).nodes.append(node)
        for operation in members:
            results = [x.name for x in operation.outputs if isinstance(x, Variable)]
            self.makers.update(dict.fromkeys(results, key))
            self.made.update(dict.fromkeys(results, operation))

    def _connect(self, x: Variable, key: str, operation: Operation) -> None:
        """Draw an edge; within a node only where a loop comes back to an earlier instruction."""
        tail = self.makers[x.name]
        if tail == key:
            here, there = operation.where, self.made[x.name].where
            if here is None or there is None or here.offset > there.offset:
                return
        self.edges[tail, key] = None

    def _cluster_of(self, operation: Operation) -> Cluster:
        """Return the frame an operation stands in, made if it is new; the function itself has none."""
        cluster = self.root
        for call in operation.call.path() if operation.call else ():
            if call is self.outermost:
                continue
            key = call if self.alone else call.name
            cluster = cluster.clusters.setdefault(key, Cluster(call.name))
        return cluster

    def _add_output(self, key: str, path: str, x: Variable | Constant) -> None:
        name = f"{self.program.name}{path}"
        kind = x.type if isinstance(x, Variable) else f"{x.type}, constant"
        self.root.nodes.append(Node(key, "output", (_cut(name), kind)))
        if isinstance(x, Variable):
            self.edges[self.makers[x.name], key] = None


def _argument_of(name: str) -> str:
    """Return `params` of `params[0]['w']`."""
    return name.partition("[")[0].partition(".")[0]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _single(key: str, operation: Operation) -> Node:
    """Return the node of one operation: its name, with what is not drawn as an edge, and its type."""
    settings = {k: v for k, v in operation.settings.items() if k != "keepdims" or v}
    traced = [isinstance(x, Variable) for x in operation.arguments]
    label = operation.name
    if settings or not all(traced):
        inside = ["\N{MIDDLE DOT}" if t else str(x) for x, t in zip(operation.arguments, traced)]
        inside += [f"{name}={show_setting(name, x)}" for name, x in settings.items()]
        label += f"({', '.join(inside)})"
    types = ", ".join([x.type for x in operation.outputs])
    tip = operation.where.describe() if operation.where else ""
    return Node(key, "operation", (_cut(label), types), tip)


def _several(key: str, members: Sequence[Operation]) -> Node:
    """Return the node of several operations: where they stand, and how many there are of each sort."""
    counts: dict[str, int] = {}
    for operation in members:
        counts[operation.name] = counts.get(operation.name, 0) + 1
    sorts = [f"{name} x{n}" if n > 1 else name for name, n in counts.items()]
    places = {operation.where for operation in members}
    name = members[0].call.name if members[0].call else members[0].name
    lines = [name]
    where = members[0].where
    if len(places) == 1 and where is not None:
        lines = [str(where), *([_cut(where.source)] if where.source else [])]
    lines += [", ".join(sorts[i : i + 4]) for i in range(0, min(len(sorts), 12), 4)]
    tip = where.describe() if where else ""
    return Node(key, "group" if len(members) > 1 else "operation", tuple(lines), tip)


class DrawGraph(Inspection):
    """See `draw_graph`."""

    verb = "draw_graph"

    def __init__(self, fun: Callable[..., Any], argnums: Any, argnames: Any, most: int) -> None:
        super().__init__(fun, argnums, argnames)
        self.most = most

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        program = Program(self.record(args, kwargs))
        graph = Graph(program, self.most)
        name = "tape_of_" + re.sub(r"\W", "_", program.name)
        return digraph(name, body(graph.root, list(graph.edges)))


@boundary
def draw_graph(
    fun: Callable[..., Any],
    argnums: int | tuple[int, ...] | None = None,
    *,
    argnames: str | tuple[str, ...] | None = None,
    most: int = MOST,
) -> Callable[..., Any]:
    """Return a function that draws the graph of the operations whose gradient is taken.

    Parameters
    ----------
    fun, argnums, argnames
        As for `make_tape`.
    most : int, optional
        The number of nodes that are drawn one by one. In a larger graph the operations of one source
        line are drawn as one node, and if these are too many, those of one function.

    Returns
    -------
    callable
        Takes the arguments of `fun`; returns a `graphviz.Digraph`, which notebooks show and
        ``.render()`` writes to a file, or, where that package is not installed, an object with
        the same DOT text in `source`. Inputs are named by argument and path; operations have the
        dtype and shape of their result; frames are functions, and layers of a network.

    Raises
    ------
    ArgumentError
        If no argument can be differentiated, or `argnums` or `argnames` do not fit the call.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import draw_graph
    >>> graph = draw_graph(lambda x: np.sum((x.T - np.exp(x)) ** 2))(np.eye(3))
    >>> "in0 -> op0" in graph.source
    True
    """
    return DrawGraph(fun, argnums, argnames, most)
