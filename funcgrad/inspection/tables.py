"""Tables and colours of what the inspections print: text for terminals and files, HTML for notebooks."""

import html
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_STYLES = {"bold": "1", "dim": "2", "red": "31", "yellow": "33", "cyan": "36"}
_UNITS = ("B", "kB", "MB", "GB", "TB")


def wants_color() -> bool:
    """Tell whether what is printed is read at a terminal that shows colours (see no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(text: str, style: str, color: bool) -> str:
    """Return text in a style, if colours are wanted."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if color and style else text


def size_of(n: int) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> size_of(512), size_of(1_500_000)
    ('512 B', '1.5 MB')
    """
    x, unit = float(n), 0
    while x >= 999.5 and unit < len(_UNITS) - 1:
        x, unit = x / 1000, unit + 1
    return f"{x:.3g} {_UNITS[unit]}"


def duration_of(seconds: float) -> str:
    """Return a time for people.

    Examples
    --------
    >>> duration_of(0.0000123), duration_of(2.5)
    ('12.3 us', '2.5 s')
    """
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 0.9995:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us" if seconds else "0"


@dataclass
class Table:
    """Rows of text under a header; a column is set to the right if `right` has its place."""

    title: str
    header: Sequence[str]
    rows: list[Sequence[str]]
    right: frozenset[int] = field(default_factory=frozenset)

    def text(self, color: bool = False) -> str:
        """Return the table in columns."""
        table = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [paint(self.title, "bold", color)] if self.title else []
        for i, row in enumerate(table):
            line = "  ".join(
                [
                    cell.rjust(width) if k in self.right else cell.ljust(width)
                    for k, (cell, width) in enumerate(zip(row, widths, strict=True))
                ]
            ).rstrip()
            lines.append("  " + (paint(line, "dim", color) if i == 0 else line))
        return "\n".join(lines)

    def html(self) -> str:
        """Return the table in HTML."""
        head = "".join([f"<th>{html.escape(cell)}</th>" for cell in self.header])
        body = "".join([f"<tr>{self._cells(row)}</tr>" for row in self.rows])
        title = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _cells(self, row: Sequence[str]) -> str:
        cells = []
        for k, cell in enumerate(row):
            align = "right" if k in self.right else "left"
            cells.append(f'<td style="text-align: {align}">{html.escape(cell)}</td>')
        return "".join(cells)


def preformatted(text: str) -> str:
    """Return text as HTML that keeps its lines."""
    return f"<pre>{html.escape(text)}</pre>"


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Return rows of text in columns."""
    rows = list(rows)
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        indent + "  ".join([cell.ljust(width) for cell, width in zip(row, widths)]).rstrip()
        for row in rows
    ]


def abridged(rows: Sequence[Sequence[str]], most: int | None) -> list[Sequence[str]]:
    """Return all rows if they are few, else the first and the last with a row that counts the others."""
    if most is None or len(rows) <= most:
        return list(rows)
    tail = most // 4
    head = most - tail
    left_out = (f"... {len(rows) - most:,} more", *[""] * (len(rows[0]) - 1))
    return [*rows[:head], left_out, *rows[len(rows) - tail :]]
