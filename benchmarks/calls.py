"""What a traced call of each NumPy function costs over the plain call, on small arrays.

The calls are the samples of the test suite, arrays of up to 24 entries. Recording the call is timed, in reverse
mode, without the backward pass. The bounds are 5 us for ufuncs and 10 us for other functions.
Run `python -m benchmarks.calls --help`. Next file: seed_training.py.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks import timing
from funcgrad.reverse import Tape
from tests.every_call import base_calls
from tests.primitives.test_rules import is_differentiable
from tests.samples import name_of

UFUNC, OTHER = 5e-6, 10e-6


@dataclass(frozen=True)
class Call:
    """A call of a function: on plain arrays, on the same arrays traced, and the tracing without the call."""

    name: str
    bound: float
    plain: Callable[[], Any]
    traced: Callable[[], Any]
    inputs: Callable[[], Any]


def calls() -> Iterator[Call]:
    """Yield a call of each function that is differentiated."""
    for fun, call, args, settings in base_calls():

        def inputs(args: Any = args) -> Any:
            tape = Tape()
            return tape, [tape.input(x) if is_differentiable(x) else x for x in args]

        def traced(call: Any = call, inputs: Any = inputs, settings: Any = settings) -> Any:
            tape, xs = inputs()
            call(*xs, **settings)
            return tape.edges

        try:
            edges = traced()
        except Exception:  # what is refused costs nothing
            continue
        if edges:
            bound = UFUNC if isinstance(fun, np.ufunc) else OTHER
            yield Call(name_of(fun), bound, partial(call, *args, **settings), traced, inputs)


def measured(call: Call, options: timing.Options) -> dict[str, Any]:
    """Return the times in microseconds: the least of many short rounds, as others' work only adds to them."""
    programs = {"plain": call.plain, "traced": call.traced, "inputs": call.inputs}
    times = timing.interleaved(programs, options.rounds, options.seconds / 20)
    plain, traced, inputs = [1e6 * min(times[name]) for name in programs]
    over = traced - inputs - plain
    row = {"function": call.name, "plain": plain, "traced": traced - inputs, "over": over}
    return {**row, "bound": 1e6 * call.bound}


LIBRARIES = ("funcgrad",)


def run(options: timing.Options) -> list[dict[str, Any]]:
    """Print the calls that cost most over their bound, and how many keep it; return all rows."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(calls())
        rows = [measured(call, options) for call in (found[::20] if options.quick else found)]
    rows.sort(key=lambda row: row["over"] / row["bound"], reverse=True)
    kept = sum([row["over"] <= row["bound"] for row in rows])
    timing.print_table(
        ("us", "plain", "traced", "over", "bound"),
        [
            (
                row["function"],
                *[f"{row[name]:.1f}" for name in ("plain", "traced", "over", "bound")],
            )
            for row in rows[:60]
        ],
    )
    print(f"{kept} of {len(rows)} functions keep their bound")
    return rows


if __name__ == "__main__":
    timing.script("calls", __doc__, LIBRARIES, 20, run)
