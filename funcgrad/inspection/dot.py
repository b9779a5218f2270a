"""DOT, the language of graphviz: nodes, edges and nested clusters as text.

Knows nothing of programs; needs no package. Read next: `graph.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_STYLES = {
    "input": 'shape=box style="rounded,filled" fillcolor="#cfe3f5" color="#4a7ba6"',
    "operation": 'shape=box style="filled" fillcolor="#f4f4f4" color="#888888"',
    "group": 'shape=box style="filled" peripheries=2 fillcolor="#f4f4f4" color="#888888"',
    "output": 'shape=box style="rounded,filled,bold" fillcolor="#d6edd2" color="#4e8a45"',
}
_HEAD = (
    'graph [rankdir=TB fontname="Courier" fontsize=9 labeljust=l color="#b9b9b9" style="rounded"]',
    'node [fontname="Courier" fontsize=11 height=0.3 margin="0.12,0.06"]',
    'edge [color="#666666" arrowsize=0.6]',
)


@dataclass(frozen=True)
class Node:
    """A box: `kind` is input, operation, group or output; `tip` shows when the mouse is on it."""

    key: str
    kind: str
    lines: tuple[str, ...]
    tip: str = ""


@dataclass
class Cluster:
    """Nodes with a frame around them, and clusters inside it."""

    label: str = ""
    nodes: list[Node] = field(default_factory=list)
    clusters: dict[Any, "Cluster"] = field(default_factory=dict)


def quoted(text: str) -> str:
    """Return text as a DOT string.

    Examples
    --------
    >>> quoted("x")
    '"x"'
    """
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def body(root: Cluster, edges: Sequence[tuple[str, str]]) -> list[str]:
    """Return the lines between the braces of a digraph."""
    lines = [f"\t{line}\n" for line in _HEAD]
    lines += _inside(root, "\t", iter(range(1 << 30)))
    lines += [f"\t{tail} -> {head}\n" for tail, head in edges]
    return lines


def _inside(cluster: Cluster, indent: str, numbers: Iterator[int]) -> list[str]:
    lines = [indent + _node(node) for node in cluster.nodes]
    for inner in cluster.clusters.values():
        lines.append(f"{indent}subgraph cluster_{next(numbers)} {{\n")
        lines.append(f"{indent}\tlabel={quoted(inner.label)}\n")
        lines += _inside(inner, indent + "\t", numbers)
        lines.append(f"{indent}}}\n")
    return lines


def _node(node: Node) -> str:
    label = "\\n".join([quoted(line)[1:-1] for line in node.lines])
    tip = f" tooltip={quoted(node.tip)}" if node.tip else ""
    return f'{node.key} [label="{label}" {_STYLES[node.kind]}{tip}]\n'


class Dot:
    """A graph as DOT text, where the `graphviz` package is not installed.

    Attributes
    ----------
    source : str
        Any tool that reads DOT draws it: ``dot -Tsvg``, and pages on the web.
    """

    def __init__(self, name: str, lines: Sequence[str]) -> None:
        self.name = name
        self.source = f"digraph {name} {{\n{''.join(lines)}}}\n"

    def save(self, filename: str | Path) -> str:
        """Write the text to a file and return its name."""
        Path(filename).write_text(self.source, encoding="utf-8")
        return str(filename)

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        lines = self.source.count("\n")
        return f"<{self.name}: {lines} lines of DOT in .source; to see it, pip install graphviz>"


def digraph(name: str, lines: Sequence[str]) -> Any:
    """Return a `graphviz.Digraph`, or a `Dot` with the same text if the package is missing."""
    try:
        import graphviz
    except ModuleNotFoundError:
        return Dot(name, lines)
    return graphviz.Digraph(name, body=lines)
