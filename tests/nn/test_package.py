"""What funcgrad.nn exports, and what it may import."""

import ast
import sys
from pathlib import Path

import pytest

from funcgrad import nn

ALLOWED = {"numpy", "funcgrad.tree", "funcgrad.errors", "funcgrad.nn"}
FILES = sorted(Path(nn.__file__).parent.glob("*.py"))


def imported(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            separate = node.module == "funcgrad"
            yield from [f"funcgrad.{a.name}" for a in node.names] if separate else [node.module]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_is_plain_numpy_over_pytrees(file):
    for name in imported(file):
        top = name.partition(".")[0]
        parents = {name, name.rpartition(".")[0], top}
        allowed = parents & ALLOWED or top in sys.stdlib_module_names
        assert allowed, f"{file.name} imports {name}"


def test_everything_public_is_documented_and_comes_with_an_example():
    for name in nn.__all__:
        assert ">>>" in getattr(nn, name).__doc__, name
