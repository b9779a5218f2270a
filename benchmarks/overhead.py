"""Time per small operation, forward and backward: the slope between chains of 50 and 250.

The slope leaves out what a call costs once (pytrees, the tape, the final sum), so it shows the
price of recording an operation and of its pullback. Run `python -m benchmarks.overhead --help`.
Next file: seed_training.py.
"""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import timing
from funcgrad import value_and_grad

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

    def program(self, xp: ModuleType, length: int) -> Program:
        """Return the chain of about `length` operations as a scalar function of its arrays."""
        steps = length // self.operations
        return lambda *args: xp.sum(self.body(xp, steps, *args))

    def arguments(self, shape: tuple[int, ...]) -> Arrays:
        """Return float64 arguments near one, where no chain overflows or dies out."""
        rng = np.random.default_rng(0)
        return tuple(rng.uniform(0.99, 1.01, size)[()] for size in self.shapes(shape))


def operators(xp: ModuleType, steps: int, x: Any) -> Any:
    """Apply operators with a constant: `x * c + x`."""
    for _ in range(steps):
        x = x * 0.001 + x
    return x


def functions(xp: ModuleType, steps: int, x: Any) -> Any:
    """Apply functions of the namespace: `tanh(sin(x))`."""
    for _ in range(steps):
        x = xp.tanh(xp.sin(x))
    return x


def products(xp: ModuleType, steps: int, x: Any, y: Any) -> Any:
    """Multiply two values that are both differentiated: `x * y`."""
    for _ in range(steps):
        x = x * y
    return x


def indexing(xp: ModuleType, steps: int, x: Any) -> Any:
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

Runner = Callable[[Kind, int, Arrays], Callable[[], Any]]


def _numpy() -> Runner:
    """Plain NumPy, the forward pass alone."""

    def runner(kind: Kind, length: int, args: Arrays) -> Callable[[], Any]:
        fun = kind.program(np, length)
        return lambda: fun(*args)

    return runner


def _funcgrad() -> Runner:
    def runner(kind: Kind, length: int, args: Arrays) -> Callable[[], Any]:
        fun = value_and_grad(kind.program(np, length), tuple(range(len(args))))
        return lambda: fun(*args)[1]

    return runner


def _autograd() -> Runner:
    import autograd
    import autograd.numpy

    def runner(kind: Kind, length: int, args: Arrays) -> Callable[[], Any]:
        program = kind.program(autograd.numpy, length)
        fun = autograd.value_and_grad(program, tuple(range(len(args))))
        return lambda: fun(*args)[1]

    return runner


def _mygrad() -> Runner:
    import mygrad

    def runner(kind: Kind, length: int, args: Arrays) -> Callable[[], Any]:
        fun = kind.program(mygrad, length)
        tensors = [mygrad.tensor(arg) for arg in args]

        def run() -> list[Any]:
            fun(*tensors).backward()
            return [tensor.grad for tensor in tensors]

        return run

    return runner


def _torch() -> Runner:
    import torch

    torch.set_num_threads(timing.threads())

    def runner(kind: Kind, length: int, args: Arrays) -> Callable[[], Any]:
        fun = kind.program(torch, length)
        leaves = [torch.tensor(arg, requires_grad=True) for arg in args]
        return lambda: torch.autograd.grad(fun(*leaves), leaves)

    return runner


def _jax() -> Runner:
    """JAX without jit: each operation dispatched on its own, as NumPy code runs."""
    import jax

    jax.config.update("jax_enable_x64", True)

    def runner(kind: Kind, length: int, args: Arrays) -> Callable[[], Any]:
        program = kind.program(jax.numpy, length)
        fun = jax.value_and_grad(program, tuple(range(len(args))))
        arrays = [jax.numpy.asarray(arg) for arg in args]
        return lambda: jax.block_until_ready(fun(*arrays)[1])

    return runner


LIBRARIES: dict[str, Callable[[], Runner]] = {
    "numpy forward": _numpy,
    "funcgrad": _funcgrad,
    "autograd": _autograd,
    "mygrad": _mygrad,
    "torch": _torch,
    "jax eager": _jax,
}
PEERS = ("autograd", "mygrad", "torch", "jax eager")


def slopes(
    kind: Kind, args: Arrays, runners: dict[str, Runner], options: timing.Options
) -> dict[str, list[float]]:
    """Return the seconds per operation of each library, one number per round."""
    programs = {
        (name, length): runner(kind, length, args)
        for name, runner in runners.items()
        for length in (SHORT, LONG)
    }
    times = timing.interleaved(programs, options.rounds, options.seconds)
    return {
        name: [
            (long - short) / (LONG - SHORT)
            for short, long in zip(times[name, SHORT], times[name, LONG], strict=True)
        ]
        for name in runners
    }


def check(kind: Kind, args: Arrays, runners: dict[str, Runner]) -> None:
    """Raise unless all libraries agree on the gradients."""
    found = {
        name: run(kind, SHORT, args)() for name, run in runners.items() if name != "numpy forward"
    }
    expected = next(iter(found.values()), None)
    for gradients in found.values():
        for gradient, reference in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(gradient, reference, rtol=1e-10)


def measure(runners: dict[str, Runner], options: timing.Options) -> Iterator[dict[str, Any]]:
    """Yield a row per kind of chain and size: seconds per operation and funcgrad's ratios."""
    for kind_name, kind in KINDS.items():
        for size, shape in SHAPES.items():
            if options.quick and size not in ("scalar", "100"):
                continue
            args = kind.arguments(shape)
            check(kind, args, runners)
            per_operation = slopes(kind, args, runners, options)
            row = {"chain": kind_name, "size": size}
            row["seconds"] = {n: statistics.median(t) for n, t in per_operation.items()}
            row["ratios"] = ratios(per_operation)
            yield row


def ratios(times: dict[str, list[float]]) -> dict[str, float]:
    """Return funcgrad's time over each peer's, medians over the rounds."""
    if "funcgrad" not in times:
        return {}
    return {peer: timing.ratio(times["funcgrad"], times[peer]) for peer in PEERS if peer in times}


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table and, over the small sizes, funcgrad's ratio to each peer."""
    names, peers = list(rows[0]["seconds"]), list(rows[0]["ratios"])
    header = ["us per operation", "size", *names, *(f"/ {peer}" for peer in peers)]
    cells = [
        [row["chain"], row["size"]]
        + [f"{row['seconds'][name] * 1e6:.2f}" for name in names]
        + [f"{row['ratios'][peer]:.3f}" for peer in peers]
        for row in rows
    ]
    timing.print_table(header, cells)
    for peer in peers:
        small = [row["ratios"][peer] for row in rows if row["size"] in SMALL]
        middle, worst = statistics.median(small), max(small)
        print(f"scalars to 100 elements, funcgrad / {peer}: median {middle:.3f}, worst {worst:.3f}")


def main() -> None:
    """Run the benchmark."""
    options = timing.options(__doc__.split("\n")[0], LIBRARIES, rounds=21)
    timing.print_conditions()
    runners = timing.available(LIBRARIES, options.libraries)
    rows = list(measure(runners, options))
    report(rows)
    timing.write_json(options.json, "overhead", rows)


if __name__ == "__main__":
    main()
