"""The workloads, timed: derivative and primal in every library, checked against each other first.

Next file: memory.py.
"""

import math
import statistics
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks import timing
from benchmarks.libraries import Library, Run
from benchmarks.workloads import Workload

IN_NUMPY = ("by hand", "funcgrad", "autograd", "mygrad")  # tracemalloc sees their arrays
TOLERANCES = {"float64": 1e-8, "float32": 2e-3}

Row = dict[str, Any]


def program(name: str, library: Library, workload: Workload) -> Any:
    """Return the program as one writes it in a library, a function of its arrays."""
    written = workload.written
    fun = written.get(name) or written.get(library.family) or workload.program
    return partial(fun, library.xp)


def supports(name: str, library: Library, workload: Workload) -> bool:
    """Return whether the library has a figure for the workload."""
    can = name == "by hand" or hasattr(library, workload.kind)
    return can and name not in workload.lacking


def derivative(name: str, library: Library, workload: Workload, args: Sequence[Any]) -> Run:
    """Return the derivative that the workload asks for."""
    if name == "by hand":
        return lambda: list(workload.by_hand(*args))
    run: Run = getattr(library, workload.kind)(
        program(name, library, workload), args, workload.differentiated
    )
    return run


def check(runs: Mapping[str, Run], libraries: Mapping[str, Library], dtype: str) -> None:
    """Raise unless all libraries agree, each array up to a share of its largest entry."""
    expected: list[Any] = []
    for name, run in runs.items():
        found = [libraries[name].plain(result) for result in run()]
        expected = expected or found
        for result, reference in zip(found, expected, strict=True):
            limit = TOLERANCES[dtype] * np.max(np.abs(reference))
            np.testing.assert_allclose(result, reference, rtol=0, atol=limit, err_msg=name)


def peak(program: Callable[[], Any]) -> int:
    """Return the most bytes of NumPy and Python that a call holds at once."""
    tracemalloc.start()
    try:
        program()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def measure(
    workload: Workload,
    size: int,
    dtype: str,
    libraries: Mapping[str, Library],
    options: timing.Options,
) -> Row:
    """Return seconds of the derivatives and of the primals, and funcgrad's ratios to the others."""
    args = workload.arguments(size, dtype)
    runs = {
        name: derivative(name, library, workload, args)
        for name, library in libraries.items()
        if supports(name, library, workload)
    }
    check(runs, libraries, dtype)
    primals = {
        name: libraries[name].primal(program(name, libraries[name], workload), args)
        for name in runs
        if name != "by hand"
    }
    programs = {("derivative", name): run for name, run in runs.items()}
    programs.update({("primal", name): run for name, run in primals.items()})
    times = timing.interleaved(programs, options.rounds, options.seconds, timing.LIMIT)
    spent = {name: times["derivative", name] for name in runs}
    return {
        "workload": workload.label(size),
        "dtype": dtype,
        "seconds": {name: statistics.median(found) for name, found in spent.items()},
        "ratios": timing.ratios(spent),
        "over primal": {name: timing.ratio(spent[name], times["primal", name]) for name in primals},
        "peak": {name: peak(run) for name, run in runs.items() if name in IN_NUMPY},
    }


def rows(
    workloads: Sequence[Workload], libraries: Mapping[str, Library], options: timing.Options
) -> Iterator[Row]:
    """Yield a row for each workload, size and precision."""
    for dtype in options.dtypes:
        for workload in workloads:
            for size in (workload.quick,) if options.quick else workload.sizes:
                timing.progress(f"{workload.label(size)}, {dtype}")
                yield measure(workload, size, dtype, libraries, options)


def over_primal(found: Sequence[Row]) -> Row:
    """Return the geometric means of derivative over primal, with the number of workloads in each."""
    shares: dict[str, list[float]] = {}
    for row in found:
        for name, share in row["over primal"].items():
            shares.setdefault(name, []).append(share)
    return {
        name: {"mean": math.exp(statistics.fmean(map(math.log, values))), "count": len(values)}
        for name, values in shares.items()
    }


def table(found: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return header and cells: microseconds, funcgrad over each library, derivative over primal."""
    names = list(dict.fromkeys([name for row in found for name in row["seconds"]]))
    others = [name for name in names if name != "funcgrad"]
    shown = [name for name in ("by hand", "funcgrad") if name in names]
    header = [
        "microseconds",
        *shown,
        *[f"/ {name}" for name in others],
        "/ primal",
    ]
    cells = [
        [
            row["workload"],
            *[f"{row['seconds'][name] * 1e6:,.0f}" for name in shown],
            *[timing.figure(row["ratios"].get(name)) for name in others],
            timing.figure(row["over primal"].get("funcgrad")),
        ]
        for row in found
    ]
    return header, cells


def means_table(found: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return header and cells of the geometric means."""
    means = over_primal(found)
    cells = [
        [name, timing.figure(mean["mean"]), str(mean["count"])] for name, mean in means.items()
    ]
    return ["derivative / primal, geometric mean", "", "workloads"], cells


def run(
    workloads: Sequence[Workload], libraries: Mapping[str, Library], options: timing.Options
) -> list[Row]:
    """Measure, print a table for each precision and the geometric means, and return the rows."""
    found = list(rows(workloads, libraries, options))
    for dtype in dict.fromkeys([row["dtype"] for row in found]):
        print(
            f"\n{dtype}: the time of the derivatives, funcgrad / other libraries, / its own primal"
        )
        timing.print_table(*table([row for row in found if row["dtype"] == dtype]))
    print()
    timing.print_table(*means_table(found))
    return found
