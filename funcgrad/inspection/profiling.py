"""`profile`: what each operation and each source line costs, forward and backward.

Read next: `traces.py`.
"""

import statistics
import tracemalloc
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from funcgrad.arguments import name_of
from funcgrad.errors import ArgumentError, fail
from funcgrad.inspection.backward import seeds_of
from funcgrad.inspection.calls import Position
from funcgrad.inspection.recorder import Inspection, Operation, Recording, run_plainly
from funcgrad.inspection.tables import Table, duration_of, paint, size_of, wants_color
from funcgrad.inspection.traces import Span, write_chrome_trace, write_speedscope
from funcgrad.reverse import ACCUMULATES, walk
from funcgrad.tracebacks import boundary

_MOST = 20  # rows of a table that print() shows


@dataclass(frozen=True)
class Timed:
    """An operation with the seconds it takes, forward and backward, and the bytes of its result."""

    operation: Operation
    forward: float
    backward: float
    size: int


@dataclass(frozen=True)
class Cost:
    """What several operations cost together: those of a line, or those of one kind in a line.

    Attributes
    ----------
    name : str
        Of the operation, or the source text of the line.
    where : Position or None
    calls : int
        How many operations.
    forward, backward : float
        Seconds.
    kept, size : int
        The bytes that the tape keeps, and those of all results.
    """

    name: str
    where: Position | None
    calls: int
    forward: float
    backward: float
    kept: int
    size: int

    @property
    def seconds(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward


class Measured:
    """What profiling showed; see `profile`.

    Attributes
    ----------
    name : str
        Of the function.
    seconds : float
        The median time of one run forward and backward, as `grad` runs it: without looking.
    peak : int
        The bytes that such a run needs at its peak, beyond what was there before.
    repeats : int
    operations : tuple of Timed
        In the order of the program; times are medians.
    """

    def __init__(
        self, name: str, seconds: float, peak: int, repeats: int, operations: Sequence[Timed]
    ) -> None:
        self.name, self.seconds, self.peak, self.repeats = name, seconds, peak, repeats
        self.operations: tuple[Timed, ...] = tuple(operations)

    @property
    def kept(self) -> int:
        """The bytes that the tape keeps."""
        return sum([timed.operation.kept for timed in self.operations])

    def by_line(self) -> list[Cost]:
        """Return the cost of each source line, the dearest first."""
        return self._costs(lambda operation: operation.where, _source)

    def by_operation(self) -> list[Cost]:
        """Return the cost of each kind of operation in each source line, the dearest first."""
        return self._costs(lambda operation: (operation.name, operation.where), _name)

    def _costs(
        self, key: Callable[[Operation], Hashable], name: Callable[[Operation], str]
    ) -> list[Cost]:
        groups: dict[Hashable, list[Timed]] = {}
        for timed in self.operations:
            groups.setdefault(key(timed.operation), []).append(timed)
        costs = [_cost(name(members[0].operation), members) for members in groups.values()]
        return sorted(costs, key=lambda cost: -cost.seconds)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text(color=wants_color())

    def _repr_html_(self) -> str:
        head = f"<p>{self._head()}</p>"
        return f"<div>{head}{''.join([table.html() for table in self._tables(_MOST)])}</div>"

    def text(self, most: int | None = _MOST, color: bool = False) -> str:
        """Return the tables, of at most `most` rows each (None: all)."""
        head = paint(self._head(), "bold", color)
        return "\n".join([head, *[table.text(color) for table in self._tables(most)]])

    def _head(self) -> str:
        n = len(self.operations)
        return (
            f"{self.name}: {duration_of(self.seconds)} forward and backward (median of {self.repeats}), "
            f"{n:,} operation{'s' * (n != 1)}, {size_of(self.kept)} kept, peak {size_of(self.peak)}"
        )

    def _tables(self, most: int | None) -> list[Table]:
        return [
            self._table("by line", "source", self.by_line(), most),
            self._table("by operation", "operation", self.by_operation(), most),
        ]

    def _table(self, title: str, what: str, costs: list[Cost], most: int | None) -> Table:
        total = sum([cost.seconds for cost in costs]) or 1.0
        header = ("line", what, "calls", "forward", "backward", "share", "kept", "results")
        rows: list[Sequence[str]] = [
            (
                str(cost.where or ""),
                cost.name,
                str(cost.calls),
                duration_of(cost.forward),
                duration_of(cost.backward),
                f"{cost.seconds / total:.0%}",
                size_of(cost.kept) if cost.kept else "",
                size_of(cost.size) if cost.size else "",
            )
            for cost in costs[:most]
        ]
        if len(costs) > len(rows):
            rows.append((f"... {len(costs) - len(rows):,} more", *[""] * (len(header) - 1)))
        return Table(title, header, rows, frozenset(range(2, len(header))))

    def to_chrome_trace(self, path: str | Path) -> None:
        """Write a JSON file for chrome://tracing and https://ui.perfetto.dev."""
        write_chrome_trace(path, self.name, *self._spans())

    def to_speedscope(self, path: str | Path) -> None:
        """Write a JSON file for https://www.speedscope.app."""
        write_speedscope(path, self.name, *self._spans())

    def _spans(self) -> tuple[list[Span], list[Span]]:
        """Return the operations forward, and backward in the order of the backward pass."""
        forward = [Span(t.operation, t.forward) for t in self.operations]
        backward = [Span(t.operation, t.backward) for t in self.operations if t.backward]
        return forward, backward[::-1]


def _source(operation: Operation) -> str:
    return operation.where.source if operation.where else ""


def _name(operation: Operation) -> str:
    return operation.name


def _cost(name: str, members: Sequence[Timed]) -> Cost:
    return Cost(
        name,
        members[0].operation.where,
        len(members),
        sum([timed.forward for timed in members]),
        sum([timed.backward for timed in members]),
        sum([timed.operation.kept for timed in members]),
        sum([timed.size for timed in members]),
    )


# --- measuring -----------------------------------------------------------------------------------


class Clock:
    """The times of one run, by operation."""

    def __init__(self, recording: Recording) -> None:
        self.operations = recording.tape.operations
        self.forward = recording.tape.seconds
        self.backward = [0.0] * len(self.forward)
        self.marks: list[tuple[int, float]] = []  # when the records of an operation's turn came
        tape = recording.tape
        records = [self._marked(owner, record) for owner, record in zip(tape.owners, tape.records)]
        with np.errstate(all="ignore"):
            walk(records, seeds_of(recording), list(range(len(recording.names))), False)
        self.marks.append((-1, perf_counter()))
        for (place, start), (_, end) in zip(self.marks, self.marks[1:]):
            self.backward[place] += end - start

    def _marked(self, place: int, record: Any) -> Any:
        """Let the first edge of a record say that its turn has come."""
        if not record:
            return record
        (parent, pull, kept, fix), *others = record
        if fix is ACCUMULATES:

            def accumulating(*args: Any) -> None:
                self.marks.append((place, perf_counter()))
                pull(*args)

            return (parent, accumulating, kept, fix), *others

        def marked(ct: Any, kept: Any) -> Any:
            self.marks.append((place, perf_counter()))
            return ct if pull is None else pull(ct, kept)

        return (parent, marked, kept, fix), *others


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
            raise fail(ArgumentError, f"{self!r}: repeats must be at least 1, not {repeats!r}.")
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
) -> Any:
    """Return a function that measures what `fun` and its gradient cost, by operation and by source line.

    Parameters
    ----------
    fun : callable
        Pytrees of arrays in and out; it should do the same at each call.
    argnums : int or tuple of int, optional
        The positional arguments to differentiate; by default all whose leaves are floating-point.
        To measure what `grad(fun)` costs, say ``argnums=0``.
    argnames : str or tuple of str, optional
        The arguments to differentiate, by name; alone or in addition to `argnums`.
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
