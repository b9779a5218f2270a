"""`profile`: what each operation and each source line costs, forward and backward.

The last file of this folder.
"""

import statistics
import tracemalloc
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from funcgrad.arguments import name_of
from funcgrad.backward import ACCUMULATES, each_edge, walk
from funcgrad.errors import ArgumentError, fail
from funcgrad.inspection.backward import seeds_of
from funcgrad.inspection.costs import Measured, Timed
from funcgrad.inspection.operations import Operation
from funcgrad.inspection.recording import Inspection, Recording, run_plainly
from funcgrad.tracebacks import boundary


class Clock:
    """The times of one run, by operation."""

    def __init__(self, recording: Recording) -> None:
        self.operations = recording.tape.operations
        self.forward = recording.tape.seconds
        self.backward = [0.0] * len(self.forward)
        self.marks: list[tuple[int, float]] = []  # when the turn of an operation's nodes came
        tape = recording.tape
        edges: list[Any] = []
        for node, *edge in each_edge(tape.edges):
            edges += (node, *self._marked(tape.owners[node], *edge))
        with np.errstate(all="ignore"):
            walk(edges, tape.nodes, seeds_of(recording), list(range(len(recording.names))))
        self.marks.append((-1, perf_counter()))
        for (place, start), (_, end) in zip(self.marks, self.marks[1:]):
            self.backward[place] += end - start

    def _marked(self, place: int, parent: int, pull: Any, kept: Any, fix: Any) -> Any:
        """Let an edge say that its turn has come."""
        if fix is ACCUMULATES:

            def accumulating(*args: Any) -> None:
                self.marks.append((place, perf_counter()))
                pull(*args)

            return parent, accumulating, kept, fix

        def marked(ct: Any, kept: Any) -> Any:
            self.marks.append((place, perf_counter()))
            return ct if pull is None else pull(ct, kept)

        return parent, marked, kept, fix


def _merged(clocks: Sequence[Clock]) -> list[Timed]:
    """Return the medians over runs; of a program that differs from run to run, the last run."""
    last = clocks[-1]
    names = [operation.name for operation in last.operations]
    same = [c for c in clocks if [operation.name for operation in c.operations] == names]
    forward = np.median([c.forward for c in same], axis=0)
    backward = np.median([c.backward for c in same], axis=0)
    return [
        Timed(operation, float(f), float(b), _size(operation))
        for operation, f, b in zip(last.operations, forward, backward)
    ]


def _size(operation: Operation) -> int:
    """Return the bytes of the results; a view has none of its own."""
    if operation.view:
        return 0
    return sum([x.dtype.itemsize * int(np.prod(x.shape)) for x in operation.outputs])


def _seconds(run: Callable[[], None]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


def _peak(run: Callable[[], None]) -> int:
    """Return the memory that a run needs at its peak."""
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not running:
            tracemalloc.stop()


class Profile(Inspection):
    """See `profile`."""

    verb = "profile"

    def __init__(self, fun: Callable[..., Any], argnums: Any, argnames: Any, repeats: int) -> None:
        super().__init__(fun, argnums, argnames)
        if repeats < 1:
            raise fail(
                ArgumentError,
                f"{self!r}: repeats must be at least 1, not {repeats!r}.",
                "leave it out for 5 repetitions",
            )
        self.repeats = repeats

    def __call__(self, *args: Any, **kwargs: Any) -> Measured:
        def run() -> None:
            run_plainly(self, args, kwargs)

        run()  # warm: caches, and memory that the process keeps
        seconds = statistics.median([_seconds(run) for _ in range(self.repeats)])
        peak = _peak(run)
        clocks = [Clock(self.record(args, kwargs)) for _ in range(self.repeats)]
        return Measured(name_of(self.fun), seconds, peak, self.repeats, _merged(clocks))


@boundary
def profile(
    fun: Callable[..., Any],
    argnums: int | tuple[int, ...] | None = None,
    *,
    argnames: str | tuple[str, ...] | None = None,
    repeats: int = 5,
) -> Callable[..., Measured]:
    """Return a function that measures what `fun` and its gradient cost, by operation and by source line.

    Parameters
    ----------
    fun, argnums, argnames
        As for `make_tape`; `fun` should do the same at each call. To measure what ``grad(fun)`` costs,
        say ``argnums=0``.
    repeats : int, optional
        How often each of the two measurements runs, after a first run that does not count.

    Returns
    -------
    callable
        Takes the arguments of `fun`; returns a `Measured`. Printed, it has a table by source line and
        one by operation: times forward and backward, bytes that the tape keeps, bytes of the
        results. ``to_chrome_trace(path)`` and ``to_speedscope(path)`` write files for the viewers
        in a browser.

    Raises
    ------
    ArgumentError
        If no argument can be differentiated, `argnums` or `argnames` do not fit the call, or
        `repeats` is less than 1.

    Notes
    -----
    The time of the whole is that of ordinary runs. The times of operations come from runs that are
    looked at; each holds a few microseconds that recording takes, and the time of a backward step
    holds that of adding its result to what came before.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import profile
    >>> costs = profile(lambda w, x: np.sum(np.tanh(x @ w)), argnums=0)(
    ...     np.ones(20), np.ones((50, 20))
    ... )
    >>> sorted([cost.name for cost in costs.by_operation()])
    ['matmul', 'sum', 'tanh']
    >>> costs.kept == 50 * 20 * 8 + 50 * 8
    True
    """
    return Profile(fun, argnums, argnames, repeats)
