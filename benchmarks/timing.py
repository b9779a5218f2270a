"""What every benchmark shares: fair timing in rounds, tables, JSON and the command line.

It knows no library and no workload. Next file: workloads/__init__.py.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import benchmarks

PACKAGES = ("numpy", "autograd", "mygrad", "torch", "jax")
DTYPES = ("float64", "float32")
LIMIT = 3.0  # seconds for all rounds of one comparison; three rounds are always made


@dataclass(frozen=True)
class Options:
    """The command line: how long to measure, what, and where to write it."""

    rounds: int
    seconds: float
    quick: bool
    libraries: tuple[str, ...]
    json: Path | None
    only: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = DTYPES
    page: Path | None = None


def parser(description: str, libraries: Sequence[str], rounds: int) -> argparse.ArgumentParser:
    """Return the command line that all benchmarks share; `rounds` is the default."""
    if benchmarks.NUMPY_CAME_FIRST:
        sys.exit("NumPy was imported before its thread count was set: run as python -m benchmarks")
    found = argparse.ArgumentParser(description=description)
    flag = found.add_argument
    flag("--rounds", type=int, help=f"rounds over all libraries (default {rounds}, quick 3)")
    flag("--quick", action="store_true", help="a smoke run: few sizes, little time")
    flag(
        "--libraries",
        nargs="+",
        choices=libraries,
        default=libraries,
        metavar="NAME",
        help="only these",
    )
    flag("--json", type=Path, metavar="FILE", help="also write the figures here")
    found.set_defaults(usual_rounds=rounds)
    return found


def parse(command_line: argparse.ArgumentParser) -> Options:
    """Read the command line."""
    given = vars(command_line.parse_args())
    usual = given.pop("usual_rounds")
    if given["rounds"] is None:
        given["rounds"] = 3 if given["quick"] else usual
    if given["rounds"] < 1:
        command_line.error("--rounds must be at least 1")
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Options(seconds=0.001 if given["quick"] else 0.01, **{**given, **lists})


def options(description: str, libraries: Iterable[str], rounds: int) -> Options:
    """Parse the command line that all benchmarks share; `rounds` is the default."""
    return parse(parser(description, tuple(libraries), rounds))


def interleaved(
    programs: Mapping[Any, Callable[[], object]],
    rounds: int,
    seconds: float,
    limit: float = float("inf"),
) -> dict[Any, list[float]]:
    """Time each program once per round, so that a slow moment of the machine hits all of them.

    Parameters
    ----------
    programs : mapping of name to function
        What to time; called without arguments.
    rounds : int
        How many times to go over all programs.
    seconds : float
        How long to repeat one program within a round. The garbage collector stays on.
    limit : float
        No further round after this many seconds, once there are three.

    Returns
    -------
    dict
        The seconds per call of each program, one number per round.
    """
    # What earlier programs left alive must not be searched at the expense of these: it made small
    # operations five times slower at the end of a long run.
    gc.collect()
    gc.freeze()
    counts = {name: _repetitions(program, seconds) for name, program in programs.items()}
    times: dict[Any, list[float]] = {name: [] for name in programs}
    start = perf_counter()
    for done in range(rounds):
        if done >= 3 and perf_counter() - start > limit:
            break
        for name, program in programs.items():
            times[name].append(_seconds_per_call(program, counts[name]))
    return times


def _repetitions(program: Callable[[], object], seconds: float) -> int:
    """Warm the program up and return how many calls fill the given time."""
    count = 1
    while (spent := _seconds_per_call(program, count) * count) < seconds / 2:
        count *= 2
    return max(1, round(count * seconds / spent))


def _seconds_per_call(program: Callable[[], object], count: int) -> float:
    start = perf_counter()
    for _ in repeat(None, count):
        program()
    return (perf_counter() - start) / count


def ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """Return the median over rounds of the ratio of two programs timed side by side."""
    return statistics.median(a / b for a, b in zip(times, others, strict=True))


def ratios(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return funcgrad's time over that of each other program, medians over the rounds."""
    if "funcgrad" not in times:
        return {}
    mine = times["funcgrad"]
    return {name: ratio(mine, found) for name, found in times.items() if name != "funcgrad"}


def figure(value: float | None) -> str:
    """Write a ratio: two digits, or a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the power of the size with which the values grow: the slope of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def available(
    builders: Mapping[str, Callable[..., Any]], names: Sequence[str]
) -> dict[str, Callable[..., Any]]:
    """Call the named builders, which import their library; say which is not installed."""
    found = {}
    for name in names:
        try:
            found[name] = builders[name]()
        except ModuleNotFoundError as error:
            print(f"{name}: skipped, {error.name} is not installed")
    return found


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of text under a header, the first column to the left, the others to the right."""
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))


def threads() -> int:
    """Return how many threads each library may use."""
    return int(os.environ["OMP_NUM_THREADS"])


def conditions() -> dict[str, str]:
    """Return what the figures depend on: machine, threads, versions."""
    facts = {"threads": str(threads()), "python": platform.python_version()}
    facts["machine"] = platform.machine()
    for package in PACKAGES:
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return facts


def progress(what: str) -> None:
    """Tell on the error stream what is being measured now, and leave the tables alone."""
    print(f"measuring {what}", file=sys.stderr, flush=True)


def conditions_line() -> str:
    """Return what the figures depend on, in one line."""
    return ", ".join([f"{name} {value}" for name, value in conditions().items()])


def print_conditions() -> None:
    """Print what the figures depend on."""
    print(conditions_line())


def write_json(path: Path | None, name: str, rows: Any) -> None:
    """Write the figures with the conditions they were measured under, if a path was asked for."""
    if path is None:
        return
    record = {"benchmark": name, "conditions": conditions(), "rows": rows}
    path.write_text(json.dumps(record, indent=1) + "\n")


def script(
    name: str,
    description: str | None,
    libraries: Iterable[str],
    rounds: int,
    run: Callable[[Options], Any],
) -> None:
    """Run one benchmark by itself: its command line, its tables, its file of figures."""
    given = options((description or "").split("\n")[0], libraries, rounds)
    print_conditions()
    write_json(given.json, name, run(given))
