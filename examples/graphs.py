"""Draw graphs of operations: the expression and the network of the report "Autogradlib", and a long loop.

Writes the text of each graph, and a picture where graphviz (its program `dot`) is installed. The
pictures are those of docs/inspection.md.

    python examples/graphs.py
    python examples/graphs.py --output /tmp/graphs
"""

import argparse
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from funcgrad import draw_graph, nn

Array = np.ndarray[Any, Any]

MODEL = nn.Sequential(
    nn.Linear(2, 25),
    nn.ReLU(),
    nn.Linear(25, 25),
    nn.ReLU(),
    nn.Linear(25, 25),
    nn.ReLU(),
    nn.Linear(25, 2),
    nn.Softmax(axis=1),
)


def expression(x: Array) -> Any:
    """Return the report's expression, (x.t() - x.exp()).pow(2).sum() there."""
    return np.sum((x.T - np.exp(x)) ** 2)


def network(params: Any, x: Array, labels: Array) -> Any:
    """Return the loss of the report's network."""
    return np.mean((MODEL.apply(params, x) - labels) ** 2)


def cell(params: Any, h: Array, x: Array) -> Any:
    """Return the next state of a recurrent network."""
    return np.tanh(h @ params["w"] + x @ params["u"] + params["b"])


def recurrent(params: Any, xs: Array) -> Any:
    """Return a loss of the last state, after a step for each row of `xs`."""
    h = np.zeros(4)
    for x in xs:
        h = cell(params, h, x)
    return np.sum(h**2)


def graphs() -> dict[str, Any]:
    """Return the graphs by name."""
    rng = np.random.default_rng(0)
    weights = {"w": np.eye(4), "u": np.ones((3, 4)), "b": np.zeros(4)}
    data = rng.normal(size=(1000, 2)), np.eye(2)[rng.integers(2, size=1000)]
    return {
        "expression": draw_graph(expression)(rng.normal(size=(3, 3))),
        "network": draw_graph(network, argnums=0)(MODEL.init(rng), *data),
        "recurrent": draw_graph(recurrent, argnums=0)(weights, np.ones((100, 3))),
    }


def main(argv: list[str] | None = None) -> None:
    """Write the graphs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder (output)")
    output = parser.parse_args(argv).output
    output.mkdir(parents=True, exist_ok=True)
    dot = shutil.which("dot")
    for name, graph in graphs().items():
        text = output / f"{name}.dot"
        text.write_text(graph.source, encoding="utf-8")
        print(text)
        if dot is not None:
            picture = text.with_suffix(".svg")
            subprocess.run([dot, "-Tsvg", str(text), "-o", str(picture)], check=True)
            print(picture)
    if dot is None:
        print("Not installed: graphviz, whose program `dot` makes pictures of these.")


if __name__ == "__main__":
    main()
