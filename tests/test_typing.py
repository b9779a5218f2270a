"""What is public can be imported, is documented, and type-checks for a caller."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import funcgrad
from funcgrad import nn
from tests import typing_samples

HERE = Path(__file__).parent
SAMPLES = HERE / "typing_samples.py"


def used_names():
    """Return every name and attribute in the samples."""
    nodes = list(ast.walk(ast.parse(SAMPLES.read_text())))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def test_mypy_accepts_the_samples_in_strict_mode(tmp_path):
    pytest.importorskip("mypy")
    done = subprocess.run(
        [
            *[sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull],
            *["--follow-imports=silent", f"--cache-dir={tmp_path}", str(SAMPLES)],
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=HERE.parent,
        env=os.environ | {"MYPYPATH": str(HERE.parent)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_samples_use_every_public_name():
    assert set(funcgrad.__all__) <= used_names()


@pytest.mark.parametrize(
    "section", ["transforms", "rules", "pytrees", "trouble", "networks", "inspections"]
)
def test_the_samples_run(section, capsys):
    getattr(typing_samples, section)()


@pytest.mark.parametrize(
    "name", [name for name in funcgrad.__all__ if inspect.isfunction(getattr(funcgrad, name))]
)
def test_functions_are_documented_with_arguments_results_errors_and_an_example(name):
    doc = inspect.getdoc(getattr(funcgrad, name))
    assert "Examples\n--------" in doc
    parameters = inspect.signature(getattr(funcgrad, name)).parameters
    if parameters:
        assert "Parameters" in doc
        assert "Returns\n-------" in doc or "those of" in doc
        assert (
            "Raises\n------" in doc or "those of" in doc or name in ("stop_gradient", "checkpoint")
        )


def test_what_is_public_in_networks_is_documented():
    for name in nn.__all__:
        assert getattr(nn, name).__doc__
