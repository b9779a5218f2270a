"""Imports run downwards only, and NumPy is all that importing the package needs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import funcgrad

PACKAGE = Path(funcgrad.__file__).parent
OPTIONAL = {"graphviz", "matplotlib", "scipy", "sklearn", "tqdm"}

SUBCLASSES = {"sklearn"}  # of an optional package: it needs that at its top, and nothing imports it

# Each module may import those before it; a star stands for all modules of a folder.
ORDER = [
    "errors",
    "tracebacks",
    "memory",
    "floating",
    "nodes",
    "tree",
    "handles",
    "mirrors",
    "core",
    "operators",
    "tracers",
    "constants",
    "broadcasting",
    "backward",
    "reverse",
    "origins",
    "forward",
    "batch",
    "nans",
    "watched",
    "primitives.*",
    "arguments",
    "transforms",
    "mapping",
    "jacobians",
    "calls",
    "custom",
    "checkpoints",
    "implicit",
    "inspection.*",
    "testing",
    "nn.*",
    "batching",
    "training",
    "sklearn",
    "scipy.*",
]
FOLDERS = {"inspection", "nn", "primitives", "scipy"}

MODULES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts): file
    for file in sorted(PACKAGE.rglob("*.py"))
}
CORE = sorted(name for name in MODULES if not name.startswith("nn.") and name != "__init__")
NETWORKS = sorted(name for name in MODULES if name.startswith("nn."))


def imports(file):
    """Yield the dotted name of each module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}:{node.lineno}: a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if is_module(name) else node.module


def is_module(name):
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.joinpath("__init__.py").exists()


def own_imports(file):
    """Yield the modules of this package, without `funcgrad.`, that a file imports."""
    for name in imports(file):
        if name.partition(".")[0] == "funcgrad":
            yield name.removeprefix("funcgrad").removeprefix(".")


def layer(module):
    """Return the height of a module."""
    folder = module.partition(".")[0]
    name = f"{folder}.*" if folder in FOLDERS else module
    assert name in ORDER, f"{module} has no place in ORDER: say what it may import"
    return ORDER.index(name)


@pytest.mark.parametrize("module", CORE)
def test_modules_import_downwards_only(module):
    for imported in own_imports(MODULES[module]):
        assert imported, f"{module} imports the package itself"
        folder = module.partition(".")[0]
        inside = folder in FOLDERS and folder == imported.partition(".")[0]
        assert inside or layer(imported) < layer(module), f"{module} imports {imported}"


def test_the_order_names_no_module_that_does_not_exist():
    assert {name.removesuffix(".*") for name in ORDER} <= {*CORE, *FOLDERS}


def test_primitives_do_not_import_each_other_in_a_circle():
    graph = {
        module: {name for name in own_imports(MODULES[module]) if name.startswith("primitives.")}
        for module in CORE
        if module.startswith("primitives.")
    }
    while graph:
        free = [module for module, needs in graph.items() if not needs & set(graph)]
        assert free, f"a circle among {sorted(graph)}"
        for module in free:
            del graph[module]


@pytest.mark.parametrize("module", NETWORKS)
def test_networks_need_nothing_but_numpy_and_pytrees(module):
    for name in imports(MODULES[module]):
        top = name.partition(".")[0]
        if top == "funcgrad":
            assert name in ("funcgrad.tree", "funcgrad.errors") or name.startswith("funcgrad.nn")
        else:
            assert top == "numpy" or top in sys.stdlib_module_names, f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_modules_need_nothing_but_numpy_and_the_standard_library(module):
    for name in imports(MODULES[module]):
        top = name.partition(".")[0]
        known = {"numpy", "funcgrad", *OPTIONAL}
        assert top in known or top in sys.stdlib_module_names, f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_only_optional_packages_are_imported_inside_functions(module):
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for inner in ast.walk(node):
                if isinstance(inner, (ast.Import, ast.ImportFrom)):
                    name = getattr(inner, "module", None) or inner.names[0].name
                    assert name.partition(".")[0] in OPTIONAL, f"{module}:{inner.lineno}"


@pytest.mark.parametrize("module", sorted(set(MODULES) - SUBCLASSES))
def test_optional_packages_are_imported_inside_functions_only(module):
    for node in ast.parse(MODULES[module].read_text()).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            name = getattr(node, "module", None) or node.names[0].name
            assert name.partition(".")[0] not in OPTIONAL, f"{module}:{node.lineno}"


def loaded_by(statement):
    """Return the top-level modules that a statement loads in a fresh interpreter."""
    program = f"""
import numpy, numpy.random, sys
before = set(sys.modules)
{statement}
print(*[name.partition(".")[0] for name in set(sys.modules) - before], *set(sys.modules) & {{"numpy.ma"}})
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import funcgrad", "from funcgrad import nn"])
def test_importing_the_package_loads_no_other_package(statement):
    loaded = loaded_by(statement)
    assert "numpy.ma" not in loaded  # a fifth of NumPy's own time
    assert "funcgrad" in loaded
    assert loaded - sys.stdlib_module_names <= {"funcgrad", "numpy"}


def test_every_public_name_exists_and_is_documented():
    assert len(set(funcgrad.__all__)) == len(funcgrad.__all__)
    for name in funcgrad.__all__:
        assert getattr(funcgrad, name).__doc__, name


def test_the_modules_say_what_they_own():
    for name, file in MODULES.items():
        assert ast.get_docstring(ast.parse(file.read_text())), name
