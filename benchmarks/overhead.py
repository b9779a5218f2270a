"""Time per small operation, forward and backward: the slope between chains of 50 and 250.

The slope leaves out what a call costs once (pytrees, the tape, the final sum), so it shows the
price of recording an operation and of its pullback. Run `python -m benchmarks.overhead --help`.
Next file: seed_training.py.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import libraries, suite, timing
from benchmarks.libraries import Library, Run

SHORT, LONG = 50, 250
ROWS = 8  # the indexed array's: small, so that no library pays for the size of its zero arrays
SHAPES: dict[str, tuple[int, ...]] = {"scalar": (), "1": (1,), "100": (100,), "10000": (10_000,)}
SMALL = ("scalar", "1", "100")

Arrays = tuple[Any, ...]
Program = Callable[..., Any]


@dataclass(frozen=True)
class Kind:
    """A family of chains: `body(xp, steps, *args)` does `operations` operations per step."""

    body: Program
    operations: int
    shapes: Callable[[tuple[int, ...]], tuple[tuple[int, ...], ...]]

    def program(self, xp: Any, length: int) -> Program:
        """Return the chain of about `length` operations as a scalar function of its arrays."""
        steps = length // self.operations
        return lambda *args: xp.sum(self.body(xp, steps, *args))

    def arguments(self, shape: tuple[int, ...]) -> Arrays:
        """Return float64 arguments near one, where no chain overflows or dies out."""
        rng = np.random.default_rng(0)
        return tuple(rng.uniform(0.99, 1.01, size)[()] for size in self.shapes(shape))


def operators(xp: Any, steps: int, x: Any) -> Any:
    """Apply operators with a constant: `x * c + x`."""
    for _ in range(steps):
        x = x * 0.001 + x
    return x


def functions(xp: Any, steps: int, x: Any) -> Any:
    """Apply functions of the namespace: `tanh(sin(x))`."""
    for _ in range(steps):
        x = xp.tanh(xp.sin(x))
    return x


def products(xp: Any, steps: int, x: Any, y: Any) -> Any:
    """Multiply two values that are both differentiated: `x * y`."""
    for _ in range(steps):
        x = x * y
    return x


def indexing(xp: Any, steps: int, x: Any) -> Any:
    """Read a row and add it up: `total + x[i]`."""
    total = x[0]
    for i in range(steps):
        total = total + x[i % ROWS]
    return total


KINDS = {
    "x * c + x": Kind(operators, 2, lambda shape: (shape,)),
    "tanh(sin(x))": Kind(functions, 2, lambda shape: (shape,)),
    "x * y": Kind(products, 1, lambda shape: (shape, shape)),
    "total + x[i]": Kind(indexing, 2, lambda shape: ((ROWS, *shape),)),
}

LIBRARIES = {
    name: libraries.LIBRARIES[name]
    for name in ("by hand", "funcgrad", "autograd", "mygrad", "torch", "jax eager")
}


def gradient(name: str, library: Library, kind: Kind, length: int, args: Arrays) -> Run:
    """Return the gradient of a chain; by hand stands for plain NumPy, the forward pass alone."""
    fun = kind.program(library.xp, length)
    if name == "by hand":
        return library.primal(fun, args)
    return library.gradient(fun, args, len(args))


def slopes(
    kind: Kind, args: Arrays, found: Mapping[str, Library], options: timing.Options
) -> dict[str, list[float]]:
    """Return the seconds per operation of each library, one number per round."""
    programs = {
        (name, length): gradient(name, library, kind, length, args)
        for name, library in found.items()
        for length in (SHORT, LONG)
    }
    times = timing.interleaved(programs, options.rounds, options.seconds)
    return {
        name: [
            (long - short) / (LONG - SHORT)
            for short, long in zip(times[name, SHORT], times[name, LONG], strict=True)
        ]
        for name in found
    }


def measure(found: Mapping[str, Library], options: timing.Options) -> Iterator[dict[str, Any]]:
    """Yield a row per kind of chain and size: seconds per operation and funcgrad's ratios."""
    for kind_name, kind in KINDS.items():
        for size, shape in SHAPES.items():
            if options.quick and size not in ("scalar", "100"):
                continue
            args = kind.arguments(shape)
            peers = [name for name in found if name != "by hand"]
            runs = {name: gradient(name, found[name], kind, SHORT, args) for name in peers}
            suite.check(runs, found, "float64")
            per_operation = slopes(kind, args, found, options)
            yield {
                "chain": kind_name,
                "size": size,
                "seconds": {n: statistics.median(t) for n, t in per_operation.items()},
                "ratios": timing.ratios(per_operation),
            }


def table(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return header and cells: microseconds per operation, and funcgrad over the others."""
    names, peers = list(rows[0]["seconds"]), list(rows[0]["ratios"])
    shown = ["NumPy, forward" if name == "by hand" else name for name in (*names, *peers)]
    header = ["us per operation", "size", *shown[: len(names)]]
    header += [f"/ {name}" for name in shown[len(names) :]]
    cells = [
        [row["chain"], row["size"]]
        + [f"{row['seconds'][name] * 1e6:.2f}" for name in names]
        + [f"{row['ratios'][peer]:.3f}" for peer in peers]
        for row in rows
    ]
    return header, cells


def run(options: timing.Options) -> list[dict[str, Any]]:
    """Measure, print the table and, over the small sizes, funcgrad's ratio to each peer."""
    rows = list(measure(timing.available(LIBRARIES, options.libraries), options))
    timing.print_table(*table(rows))
    for peer in [name for name in rows[0]["ratios"] if name != "by hand"]:
        small = [row["ratios"][peer] for row in rows if row["size"] in SMALL]
        middle, worst = statistics.median(small), max(small)
        print(f"scalars to 100 elements, funcgrad / {peer}: median {middle:.3f}, worst {worst:.3f}")
    return rows


if __name__ == "__main__":
    timing.script("overhead", __doc__, LIBRARIES, 21, run)
