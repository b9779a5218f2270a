"""How time and memory grow with the size of an array and with the depth of a program.

A curve is measured at a handful of sizes; its exponent is the slope of the logarithms, 1 for a cost in
proportion. Next file: page.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import suite, timing
from benchmarks.libraries import Library
from benchmarks.workloads import WORKLOADS, Workload
from benchmarks.workloads.scalars import COMPILED, DISPATCHED
from benchmarks.workloads.workload import Array


def deep(xp: Any, x: Any, steps: Any) -> Any:
    """Apply a function as many times as `steps` has entries."""
    for _ in range(len(steps)):
        x = xp.sin(x) * 1.1
    return xp.sum(x)


def deep_by_hand(x: Array, steps: Array) -> tuple[Any, Array]:
    """Keep the derivative of each step, and multiply."""
    kept = []
    for _ in range(len(steps)):
        kept.append(np.cos(x))
        x = np.sin(x) * 1.1
    d = np.full_like(x, 1.1 ** len(kept))
    for factor in reversed(kept):
        d *= factor
    return np.sum(x), d


DEEP = Workload(
    "depth: a chain of 100 entries, by steps",
    deep,
    deep_by_hand,
    data=lambda rng, size: (rng.normal(size=100), np.zeros(size)),
    sizes=(30, 100, 300, 1_000, 3_000),
    quick=10,
    lacking={"jax jit": COMPILED, "jax eager": DISPATCHED},
)


def curves() -> tuple[Workload, ...]:
    """Return the programs, each with the sizes of its curve."""
    found = {workload.name: workload for workload in WORKLOADS}
    loop, chain = found["Rosenbrock, x[i] loop, 1,000"], found["elementwise chain"]
    return (
        replace(loop, name="x[i] loop, by entries", sizes=(100, 300, 1_000, 3_000, 10_000)),
        DEEP,
        replace(
            chain, name="elementwise chain, by entries", sizes=(30_000, 100_000, 300_000, 1_000_000)
        ),
    )


def rows(libraries: Mapping[str, Library], options: timing.Options) -> Iterator[dict[str, Any]]:
    """Yield seconds, bytes and exponents for each curve and library."""
    options = replace(options, rounds=3)
    for curve in curves():
        timing.progress(curve.name)
        sizes = (curve.quick, 2 * curve.quick) if options.quick else curve.sizes
        points = [
            suite.measure(curve, size, options.dtypes[0], libraries, options) for size in sizes
        ]
        for name in points[0]["seconds"]:
            seconds = [point["seconds"][name] for point in points]
            peaks = [point["peak"].get(name) for point in points]
            yield {
                "curve": curve.name,
                "library": name,
                "sizes": sizes,
                "seconds": seconds,
                "peak": peaks,
                "exponent": timing.exponent(sizes, seconds),
                "memory exponent": None if None in peaks else timing.exponent(sizes, peaks),
            }


def run(libraries: Mapping[str, Library], options: timing.Options) -> list[dict[str, Any]]:
    """Measure, print the table and return the rows."""
    found = list(rows(libraries, options))
    timing.print_table(*table(found))
    return found


def table(found: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return header and cells: the exponents, and the figures of the largest size."""
    header = [
        "growth",
        "library",
        "from",
        "to",
        "ms at the end",
        "time ~ n^",
        "MB at the end",
        "memory ~ n^",
    ]
    cells = [
        [
            row["curve"],
            row["library"],
            f"{row['sizes'][0]:,}",
            f"{row['sizes'][-1]:,}",
            f"{row['seconds'][-1] * 1e3:,.2f}",
            f"{row['exponent']:.2f}",
            "-" if row["peak"][-1] is None else f"{row['peak'][-1] / 1e6:,.2f}",
            timing.figure(row["memory exponent"]),
        ]
        for row in found
    ]
    return header, cells
