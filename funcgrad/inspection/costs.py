"""What a profile holds and how it reads: costs by operation and by source line.

Read next: `traces.py`.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from funcgrad.inspection.calls import Position
from funcgrad.inspection.operations import Operation
from funcgrad.inspection.tables import Table, duration_of, paint, preformatted, size_of, wants_color
from funcgrad.inspection.traces import Span, write_chrome_trace, write_speedscope

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
        head = preformatted(self._head())
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
