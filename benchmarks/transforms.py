"""What the transforms buy: vmap over loops, jvp over the plain function, checkpoint over memory.

Each row compares two programs, which must agree before anything is timed, with the bound that the
project sets itself. Run `python -m benchmarks.transforms --help`. Next file: seed_training.py.
"""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks import suite, timing
from funcgrad import checkpoint, grad, hessian, hvp, jvp, nn, tree, vmap

BATCH, PARAMETERS, ELEMENTS = 256, 100, 10_000
CHAINS = (16, 64, 256, 1024)

Array = np.ndarray[Any, Any]
Program = Callable[[], Any]


@dataclass(frozen=True)
class Comparison:
    """Two programs with the same result; `slow / fast` must be at least (or at most) `bound`."""

    name: str
    fast: tuple[str, Program]
    slow: tuple[str, Program]
    bound: float
    at_least: bool = True


def per_example_gradients_by_hand(params: Any, images: Array, digits: Array) -> Any:
    """Return the gradients of the digits network for each image, the least that any vmap has to compute."""
    (w1, b1), _, (w2, b2) = params
    hidden = images @ w1 + b1
    active = np.maximum(hidden, 0)
    scores = active @ w2 + b2
    scores -= scores.max(axis=1, keepdims=True)
    dz = np.exp(scores)
    dz /= dz.sum(axis=1, keepdims=True)
    dz[np.arange(len(digits)), digits] -= 1
    dh = (dz @ w2.T) * (hidden > 0)
    outer = partial(np.einsum, "bi,bj->bij")  # a quarter less time than a broadcast product
    return [(outer(images, dh), dh), (), (outer(active, dz), dz)]


def per_example_gradients() -> Iterator[Comparison]:
    """Differentiate the digits network 64-128-10 for each of 256 images."""
    rng = np.random.default_rng(0)
    network = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    params = network.init(rng)
    images, digits = rng.uniform(size=(BATCH, 64)), rng.integers(10, size=BATCH)

    def loss(params: Any, image: Any, digit: Any) -> Any:
        return nn.softmax_cross_entropy(network.apply(params, image), digit)

    def loop() -> Any:
        rows = [grad(loss)(params, *example) for example in zip(images, digits, strict=True)]
        return tree.map(lambda *gradients: np.stack(gradients), *rows)

    mapped = vmap(grad(loss), in_axes=(None, 0, 0))
    vectorised = ("vmap(grad)", lambda: mapped(params, images, digits))
    by_hand = ("by hand", lambda: per_example_gradients_by_hand(params, images, digits))
    name = f"gradients of {BATCH} examples, digits network"
    yield Comparison(name, vectorised, ("loop of grad", loop), bound=20)
    yield Comparison(name, by_hand, vectorised, bound=2.5, at_least=False)


def rosenbrock(x: Any) -> Any:
    """Return the sum of the Rosenbrock function over neighbours."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def regression(x: Any) -> Any:
    """Return the mean loss of a logistic regression on 200 fixed samples."""
    samples = np.random.default_rng(1).normal(size=(200, PARAMETERS))
    return np.mean(np.logaddexp(0, samples @ x)) + 0.01 * np.sum(x * x)


def hessians(name: str, loss: Callable[[Any], Any]) -> Comparison:
    """Compute the 100 columns of a Hessian at once, or one by one."""
    x = np.random.default_rng(2).normal(size=PARAMETERS)

    def loop() -> Array:
        columns = [hvp(loss, (x,), (e,)) for e in np.eye(PARAMETERS)]
        return np.stack(columns, axis=1)

    return Comparison(
        f"hessian, {PARAMETERS} parameters, {name}",
        ("hessian", lambda: hessian(loss)(x)),
        ("loop of hvp", loop),
        bound=10,
    )


def arithmetic(x: Any) -> Any:
    """Apply cheap operations, where the price of a tangent shows most."""
    for _ in range(10):
        x = x * x * 0.5 + x / 3
    return x


def arithmetic_by_hand(x: Any, t: Any) -> Any:
    """Return the values and the tangents of `arithmetic`, the least that any jvp has to compute."""
    for _ in range(10):
        x, t = x * x * 0.5 + x / 3, (t * x + x * t) * 0.5 + t / 3
    return x, t


def functions(x: Any) -> Any:
    """Apply transcendental functions."""
    for _ in range(10):
        x = np.tanh(np.sin(x) + np.exp(-x))
    return x


def layers(x: Any) -> Any:
    """Multiply by matrices of 100 x 100."""
    w = np.eye(100) * 0.9 + 0.001
    x = x.reshape(100, 100)
    for _ in range(5):
        x = np.maximum(x @ w, 0)
    return x


def forward_mode(fun: Callable[[Any], Any]) -> Comparison:
    """Push one tangent through a function of 10,000 elements."""
    x = np.random.default_rng(3).uniform(0.1, 0.9, ELEMENTS)
    v = np.ones(ELEMENTS)
    return Comparison(
        f"jvp, {ELEMENTS} elements, {fun.__name__}",
        ("plain function", lambda: fun(x)),
        ("jvp", lambda: jvp(fun, (x,), (v,))[0]),
        bound=2.5,
        at_least=False,
    )


def forward_mode_by_hand() -> Comparison:
    """Compare the jvp of cheap operations with the same tangents in plain NumPy."""
    x, v = np.random.default_rng(3).uniform(0.1, 0.9, ELEMENTS), np.ones(ELEMENTS)
    return Comparison(
        f"jvp, {ELEMENTS} elements, arithmetic",
        ("by hand", lambda: arithmetic_by_hand(x, v)),
        ("jvp", lambda: jvp(arithmetic, (x,), (v,))),
        bound=1.5,
        at_least=False,
    )


def comparisons() -> Iterator[Comparison]:
    """Yield what is compared."""
    yield from per_example_gradients()
    yield hessians("Rosenbrock", rosenbrock)
    yield hessians("logistic regression", regression)
    for fun in (arithmetic, functions, layers):
        yield forward_mode(fun)
    yield forward_mode_by_hand()


def measure(comparison: Comparison, options: timing.Options) -> dict[str, Any]:
    """Check that both programs agree, and time them side by side."""
    (fast_name, fast), (slow_name, slow) = comparison.fast, comparison.slow
    for a, b in zip(tree.leaves(fast()), tree.leaves(slow()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    times = timing.interleaved({"fast": fast, "slow": slow}, options.rounds, options.seconds)
    ratio = timing.ratio(times["slow"], times["fast"])
    met = ratio >= comparison.bound if comparison.at_least else ratio <= comparison.bound
    return {
        "comparison": comparison.name,
        "seconds": {
            fast_name: statistics.median(times["fast"]),
            slow_name: statistics.median(times["slow"]),
        },
        "ratio": ratio,
        "bound": f"{'>=' if comparison.at_least else '<='} {comparison.bound}",
        "met": bool(met),
    }


# --- memory --------------------------------------------------------------------------------------


def chain(x: Any, steps: int) -> Any:
    """Apply a function many times: each step keeps one array."""
    for _ in range(steps):
        x = np.sin(x)
    return x


def in_segments(x: Any, steps: int) -> Any:
    """Cut the chain into about sqrt(steps) segments, each recomputed in the backward pass."""
    size = round(steps**0.5)
    for start in range(0, steps, size):
        x = checkpoint(partial(chain, steps=min(size, steps - start)))(x)
    return x


def nested(x: Any, steps: int) -> Any:
    """Halve the chain again and again: memory O(log steps), log2(steps) forward passes more."""
    if steps <= 4:
        return chain(x, steps)
    for half in (steps // 2, steps - steps // 2):
        x = checkpoint(partial(nested, steps=half))(x)
    return x


STRATEGIES = {"stored": chain, "segments": in_segments, "nested": nested}


def memory(steps: int, options: timing.Options) -> list[dict[str, Any]]:
    """Return a row per strategy: the peak of memory and the time of one gradient."""
    x = np.random.default_rng(4).uniform(0.1, 0.9, ELEMENTS)
    programs = {
        name: partial(grad(lambda x, strategy=strategy: np.sum(strategy(x, steps))), x)
        for name, strategy in STRATEGIES.items()
    }
    expected = programs["stored"]()
    for program in programs.values():
        np.testing.assert_allclose(program(), expected, rtol=1e-12)
    times = timing.interleaved(programs, options.rounds, options.seconds)
    return [
        {
            "steps": steps,
            "strategy": name,
            "arrays": suite.peak(program) / x.nbytes,
            "seconds": statistics.median(times[name]),
            "ratio": timing.ratio(times[name], times["stored"]),
        }
        for name, program in programs.items()
    ]


def growth(rows: list[dict[str, Any]], strategy: str) -> float:
    """Return the power of the length with which the memory of a strategy grows."""
    found = [(row["steps"], row["arrays"]) for row in rows if row["strategy"] == strategy]
    return timing.exponent(*zip(*(found[0], found[-1]), strict=True))


# --- the report ----------------------------------------------------------------------------------


def report(rows: list[dict[str, Any]]) -> None:
    """Print the comparisons."""
    cells = []
    for row in rows:
        (fast, fast_time), (slow, slow_time) = row["seconds"].items()
        cells.append(
            [
                row["comparison"],
                f"{fast} {fast_time * 1e3:.3f} ms",
                f"{slow} {slow_time * 1e3:.3f} ms",
                f"{row['ratio']:.2f}",
                row["bound"],
                "" if row["met"] else "MISSED",
            ]
        )
    timing.print_table(["", "", "", "ratio", "bound", ""], cells)


def report_memory(rows: list[dict[str, Any]]) -> None:
    """Print peak memory and time of each strategy, and how the memory grows."""
    header = ["one gradient of a chain", "steps", "peak, in arrays", "ms", "/ stored"]
    cells = [
        [
            row["strategy"],
            str(row["steps"]),
            f"{row['arrays']:.1f}",
            f"{row['seconds'] * 1e3:.2f}",
            f"{row['ratio']:.2f}",
        ]
        for row in rows
    ]
    timing.print_table(header, cells)
    if len({row["steps"] for row in rows}) > 1:
        powers = [f"{name} n^{growth(rows, name):.2f}" for name in STRATEGIES]
        print(f"memory grows with the length n of the chain: {', '.join(powers)}")


LIBRARIES = ("funcgrad",)


def run(options: timing.Options) -> list[dict[str, Any]]:
    """Measure, print the tables and return the rows."""
    rows = [measure(comparison, options) for comparison in comparisons()]
    report(rows)
    print()
    lengths = CHAINS[:2] if options.quick else CHAINS
    memories = [row for steps in lengths for row in memory(steps, options)]
    report_memory(memories)
    return [*rows, *memories]


if __name__ == "__main__":
    timing.script("transforms", __doc__, LIBRARIES, 11, run)
