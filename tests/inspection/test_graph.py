"""draw_graph: nodes, edges and frames, the same text with and without the graphviz package."""

import builtins
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from examples import graphs
from funcgrad import draw_graph, grad, nn

X = np.arange(9.0).reshape(3, 3)


def expression(x):
    return np.sum((x.T - np.exp(x)) ** 2)


def labels(graph, kind=None):
    """Return the text of the nodes, all or those whose key begins with `kind`."""
    found = re.findall(r'^\t+(\w+) \[label="(.*?)" shape', graph.source, re.MULTILINE)
    return [label for key, label in found if kind is None or key.startswith(kind)]


def edges(graph):
    return re.findall(r"^\t(\w+) -> (\w+)$", graph.source, re.MULTILINE)


def frames(graph):
    return re.findall(r'^\t+label="(.*)"$', graph.source, re.MULTILINE)


def test_the_expression_of_the_seed():
    graph = draw_graph(expression)(X)
    assert labels(graph, "in") == [r"x\nfloat64[3,3]"]
    assert labels(graph, "op") == [
        r"transpose(·, axes=(1, 0))\nfloat64[3,3]",
        r"exp\nfloat64[3,3]",
        r"subtract\nfloat64[3,3]",
        r"pow(·, 2)\nfloat64[3,3]",
        r"sum(·, axes=(0, 1))\nfloat64",
    ]
    assert labels(graph, "out") == [r"expression\nfloat64"]
    assert edges(graph) == [
        *[("in0", "op0"), ("in0", "op1"), ("op0", "op2"), ("op1", "op2")],
        *[("op2", "op3"), ("op3", "op4"), ("op4", "out0")],
    ]
    assert "tooltip=" in graph.source


def network():
    layers = [nn.Linear(2, 25), nn.ReLU(), nn.Linear(25, 2), nn.Softmax(axis=1)]
    return nn.Sequential(*layers)


def test_layers_have_frames_and_parameters_have_names():
    model = network()

    def loss(params, x, labels):
        return np.mean((model.apply(params, x) - labels) ** 2)

    rng = np.random.default_rng(0)
    graph = draw_graph(loss, argnums=0)(model.init(rng), np.ones((5, 2)), np.ones((5, 2)))
    assert frames(graph) == [
        "0: Linear(in_dim=2, out_dim=25)",
        "1: ReLU()",
        "2: Linear(in_dim=25, out_dim=2)",
        "3: Softmax(axis=1)",
    ]
    assert labels(graph, "in")[:2] == [r"params[0][0]\nfloat64[2,25]", r"params[0][1]\nfloat64[25]"]
    assert r"affine(x, ·, ·)\nfloat64[5,25]" in labels(graph)
    assert r"subtract(·, labels)\nfloat64[5,2]" in labels(graph)


def test_a_network_itself_has_frames():
    model = network()
    graph = draw_graph(model.apply, argnums=0)(
        model.init(np.random.default_rng(0)), np.ones((5, 2))
    )
    assert frames(graph)[:2] == ["0: Linear(in_dim=2, out_dim=25)", "1: ReLU()"]


def cell(h, w):
    return np.tanh(h @ w)


def rnn(w, xs):
    h = np.zeros(2)
    for x in xs:
        h = cell(h, w) + x
    return np.sum(h)


def test_each_call_of_a_function_has_a_frame():
    assert frames(draw_graph(rnn, argnums=0)(np.eye(2), np.ones((3, 2)))) == ["cell"] * 3


def test_a_large_graph_is_grouped_by_source_line():
    graph = draw_graph(rnn, argnums=0)(np.eye(2), np.ones((200, 2)))
    assert frames(graph) == ["cell"]
    groups = labels(graph, "op")
    assert len(groups) == 3
    assert any([g.endswith(r"return np.tanh(h @ w)\nmatmul x200, tanh x200") for g in groups])
    # what one step makes goes through `h = cell(h, w) + x` into the next one
    assert edges(graph) == [
        ("in0", "op0"),
        ("op1", "op0"),
        ("op0", "op1"),
        ("op1", "op2"),
        ("op2", "out0"),
    ]


def test_a_loop_in_one_line_is_an_edge_back_to_itself():
    def power(x):
        for _ in range(300):
            x = np.sin(x)
        return x

    graph = draw_graph(power)(1.0)
    assert edges(graph) == [("in0", "op0"), ("op0", "op0"), ("op0", "out0")]


def test_the_number_of_nodes_is_a_choice():
    graph = draw_graph(rnn, argnums=0, most=1000)(np.eye(2), np.ones((200, 2)))
    assert len(labels(graph, "op")) == 601
    assert len(labels(draw_graph(expression, most=3)(X), "op")) == 1


def test_many_lines_are_grouped_by_function():
    source = "def f(x):\n" + "    x = np.sin(x)\n" * 300 + "    return x\n"
    space = {"np": np, "__name__": "elsewhere"}
    exec(compile(source, "long.py", "exec"), space)
    graph = draw_graph(space["f"])(1.0)
    assert labels(graph, "op") == [r"f\nsin x300"]


def test_many_inputs_are_grouped_by_argument():
    params = [np.ones(2) for _ in range(60)]
    graph = draw_graph(lambda params, x: sum(params) * x)(params, 2.0)
    assert labels(graph, "in") == [r"params\n60 arrays", r"x\nfloat64"]


def test_outputs_that_are_constants_stand_alone():
    graph = draw_graph(lambda x: {"a": x * 2, "n": 3.0})(1.0)
    assert labels(graph, "out") == [r"<lambda>['a']\nfloat64", r"<lambda>['n']\nfloat64, constant"]
    assert ("op0", "out0") in edges(graph)


def test_gradients_of_gradients_and_empty_programs_have_graphs():
    assert len(labels(draw_graph(grad(np.sin))(1.0), "op")) == 3
    assert edges(draw_graph(lambda x: 3.0)(1.0)) == []


def test_names_are_escaped():
    graph = draw_graph(lambda p: p['say "x"'] * 2)({'say "x"': 1.0})
    assert r"p['say \"x\"']\nfloat64" in labels(graph)


def test_no_package_is_needed(monkeypatch, tmp_path):
    def absent(name, *args, **kwargs):
        if name == "graphviz":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", absent)
    graph = draw_graph(expression)(X)
    monkeypatch.undo()
    assert type(graph).__name__ == "Dot"
    assert str(graph) == graph.source
    assert "pip install graphviz" in repr(graph)
    assert graph.save(tmp_path / "a.dot") == str(tmp_path / "a.dot")
    assert (tmp_path / "a.dot").read_text() == graph.source


def test_with_the_package_it_is_a_digraph_with_the_same_text(monkeypatch):
    graphviz = pytest.importorskip("graphviz")
    graph = draw_graph(expression)(X)
    assert isinstance(graph, graphviz.Digraph)
    monkeypatch.setitem(__import__("sys").modules, "graphviz", None)
    plain = draw_graph(expression)(X)
    assert plain.source == graph.source


# --- the pictures in the documentation -----------------------------------------------------------

IMAGES = Path(graphs.__file__).parents[1] / "docs" / "images"
SVG = "{http://www.w3.org/2000/svg}"


def texts(element):
    """Return the lines of text in a part of a picture; an SVG keeps spaces as no-break spaces."""
    return [text.text.replace("\N{NO-BREAK SPACE}", " ") for text in element.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", ["expression", "network", "recurrent"])
def test_the_pictures_show_the_graphs(name):
    """They are made by examples/graphs.py, with graphviz; without it we still see whether they are old."""
    graph = graphs.graphs()[name]
    drawn: dict[str, list[ET.Element]] = {}
    for part in ET.parse(IMAGES / f"{name}.svg").getroot().iter(f"{SVG}g"):
        drawn.setdefault(part.get("class"), []).append(part)
    shown = sorted(["\\n".join(texts(part)) for part in drawn["node"]])
    assert shown == sorted([label.replace('\\"', '"') for label in labels(graph)])
    assert sorted(["".join(texts(part)) for part in drawn.get("cluster", [])]) == sorted(
        frames(graph)
    )
    arrows = [part.find(f"{SVG}title").text.split("->") for part in drawn["edge"]]
    assert sorted(map(tuple, arrows)) == sorted(edges(graph))


def test_the_example_writes_the_texts(tmp_path, capsys):
    graphs.main(["--output", str(tmp_path)])
    assert {path.stem for path in tmp_path.glob("*.dot")} == {"expression", "network", "recurrent"}
    assert "expression.dot" in capsys.readouterr().out
