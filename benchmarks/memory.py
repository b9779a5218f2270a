"""The memory that a derivative needs at its peak: what NumPy and Python hold, or what the system lends.

`tracemalloc` sees arrays of NumPy and objects of Python. PyTorch and JAX have allocators of their own, so
a process for each run looks at its resident set: `python -m benchmarks.memory LIBRARY WORKLOAD SIZE DTYPE`
prints the bytes. Next file: growth.py.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import suite, timing
from benchmarks.libraries import LIBRARIES, Library
from benchmarks.workloads import WORKLOADS, Workload

LARGE = 4_000_000  # below, what an allocator keeps in hand drowns the figure
PROCESS = Path("/proc/self")


def resident(program: Callable[[], Any]) -> int:
    """Return by how many bytes a call raises the resident set of this process at its peak (Linux)."""
    (PROCESS / "clear_refs").write_text("5")  # the high-water mark starts anew
    before = _status("VmRSS")
    program()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = (PROCESS / "status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(field)]
    return 1024 * int(line.split()[1])


def in_a_process(name: str, workload: Workload, size: int, dtype: str) -> int:
    """Return the resident bytes of one derivative in a new process."""
    command = [sys.executable, "-m", "benchmarks.memory", name, workload.name, str(size), dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


def rows(
    workloads: Sequence[Workload], libraries: Mapping[str, Library], options: timing.Options
) -> Iterator[dict[str, Any]]:
    """Yield the resident bytes of each library, for workloads with large arrays."""
    if not (PROCESS / "clear_refs").exists():
        return
    dtype = options.dtypes[0]
    for workload in workloads:
        size = max(workload.sizes)
        args = workload.arguments(size, dtype)
        if options.quick or suite.peak(lambda: workload.by_hand(*args)) < LARGE:  # noqa: B023
            continue
        timing.progress(f"{workload.label(size)}, resident set")
        found = {
            name: in_a_process(name, workload, size, dtype)
            for name, library in libraries.items()
            if suite.supports(name, library, workload)
        }
        yield {"workload": workload.label(size), "dtype": dtype, "resident": found}


def table(found: Sequence[Mapping[str, Any]], key: str) -> tuple[list[str], list[list[str]]]:
    """Return header and cells in megabytes, from the rows' `key`."""
    names = list(dict.fromkeys([name for row in found for name in row[key]]))
    cells = [
        [row["workload"], *[_megabytes(row[key].get(name)) for name in names]] for row in found
    ]
    return ["MB", *names], cells


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:,.2f}" if size < 1e7 else f"{size / 1e6:,.0f}"


def run(
    workloads: Sequence[Workload], libraries: Mapping[str, Library], options: timing.Options
) -> list[dict[str, Any]]:
    """Measure, print the table and return the rows."""
    found = list(rows(workloads, libraries, options))
    timing.print_table(*table(found, "resident"))
    return found


def main() -> None:
    """Print the resident bytes of one derivative; a small one first brings the library's code in."""
    name, wanted, size, dtype = sys.argv[1:]
    library = LIBRARIES[name]()
    (workload,) = [workload for workload in WORKLOADS if workload.name == wanted]
    for count in (workload.quick, int(size)):
        run = suite.derivative(name, library, workload, workload.arguments(count, dtype))
        assert run
        used = resident(run)
    print(used)


if __name__ == "__main__":
    main()
