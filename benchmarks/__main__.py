"""Run the benchmarks: every workload in every library, memory, growth and the older scripts.

`--only` takes parts of workloads' names, or the sections by name. Results must agree before anything is
timed, and the programs take turns.
"""

import importlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks import (
    growth,
    libraries,
    memory,
    page,
    suite,
    timing,
)
from benchmarks.workloads import WORKLOADS, Workload

SCRIPTS = ("overhead", "seed_training", "networks", "optimizers", "transforms", "calls")
SECTIONS = ("suite", "resident", "growth", *SCRIPTS)


def options() -> timing.Options:
    """Read the command line."""
    line = timing.parser(__doc__.split("\n")[0], tuple(libraries.LIBRARIES), rounds=15)
    flag = line.add_argument
    names = "; ".join([*SECTIONS, *[workload.name for workload in WORKLOADS]])
    flag("--only", nargs="+", default=[], metavar="NAME", help=f"parts of the names in: {names}")
    flag("--dtype", nargs="+", choices=timing.DTYPES, dest="dtypes", help="only these")
    flag("--page", type=page.Path, metavar="FILE", help="rewrite the tables and the plot of a page")
    given = timing.parse(line)
    part = given.only or given.quick or given.dtypes
    if given.page and (part or len(given.libraries) < len(libraries.LIBRARIES)):
        line.error("--page needs the whole run: no --only, --quick, --dtype or --libraries")
    if given.quick and len(given.libraries) == len(libraries.LIBRARIES):
        # Compiling takes JAX most of a minute, without jit too.
        fast = tuple([name for name in given.libraries if not name.startswith("jax")])
        given = replace(given, libraries=fast)
    if not given.dtypes:
        given = replace(given, dtypes=timing.DTYPES[:1] if given.quick else timing.DTYPES)
    return given


def chosen(only: tuple[str, ...]) -> tuple[tuple[Workload, ...], tuple[str, ...]]:
    """Return the workloads and the sections that `--only` names, all by default."""
    if not only:
        return WORKLOADS, SECTIONS
    words = [word.lower() for word in only]
    workloads = tuple([w for w in WORKLOADS if any([word in w.name.lower() for word in words])])
    sections = tuple([name for name in SECTIONS if name in words])
    if not workloads and not sections:
        sys.exit(f"--only: no workload or section is named {', '.join(only)}")
    if workloads and "suite" not in sections:
        sections = ("suite", *sections)
    return workloads or WORKLOADS, sections


def run(given: timing.Options) -> dict[str, Any]:
    """Run what was chosen, print its tables and return the figures by section."""
    workloads, sections = chosen(page.SECTIONS if given.page else given.only)
    found = timing.available(libraries.LIBRARIES, given.libraries)
    figures: dict[str, Any] = {}
    measured: dict[str, Callable[[], Any]] = {
        "suite": partial(suite.run, workloads, found, given),
        "resident": partial(memory.run, workloads, found, given),
        "growth": partial(growth.run, found, given),
    }
    for name in sections:
        print(f"\n== {name}", flush=True)
        figures[name] = measured[name]() if name in measured else run_script(name, given)
    return figures


def run_script(name: str, given: timing.Options) -> Any:
    """Run one of the older scripts in the libraries that were chosen, and its own variants."""
    script = importlib.import_module(f"benchmarks.{name}")
    known = [
        library
        for library in script.LIBRARIES
        if library in given.libraries or library not in libraries.LIBRARIES
    ]
    return script.run(replace(given, libraries=tuple(known)))


def main() -> None:
    """Run the benchmarks."""
    given = options()
    warnings.filterwarnings("ignore", module=r"(autograd|mygrad)\.")  # their use of older NumPy
    timing.print_conditions()
    figures = run(given)
    timing.write_json(given.json, "all", figures)
    if given.page:
        page.write(given.page, figures)


if __name__ == "__main__":
    main()
