"""The page in the documentation: its tables are rewritten in place, the words around them stay.

A table stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. Next file: __main__.py.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import growth, memory, overhead, plot, suite, timing
from benchmarks.workloads import WORKLOADS

SECTIONS = ("suite", "resident", "growth", "overhead")  # what the page shows

Rows = Sequence[Mapping[str, Any]]


def markdown(table: tuple[Sequence[str], Sequence[Sequence[str]]]) -> str:
    """Return a table in Markdown: the first column to the left, the others to the right."""
    header, cells = table
    rule = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join([f"| {' | '.join(row)} |" for row in (header, rule, *cells)])


def absent() -> str:
    """Return why a library lacks a workload, a line for each reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for workload in WORKLOADS:
        for library, reason in workload.lacking.items():
            reasons.setdefault((library, reason), []).append(workload.name)
    return "\n".join(
        [
            f"* {library}: {reason} ({'; '.join(names)})."
            for (library, reason), names in reasons.items()
        ]
    )


def blocks(figures: Mapping[str, Rows]) -> dict[str, str]:
    """Return what stands between each pair of markers."""
    found = {
        dtype: markdown(suite.table([row for row in figures["suite"] if row["dtype"] == dtype]))
        for dtype in timing.DTYPES
    }
    first = [row for row in figures["suite"] if row["dtype"] == timing.DTYPES[0]]
    return {
        **found,
        "conditions": f"`{timing.conditions_line()}`",
        "absent": absent(),
        "means": markdown(suite.means_table(figures["suite"])),
        "overhead": markdown(overhead.table(figures["overhead"])),
        "peak": markdown(memory.table(first, "peak")),
        "resident": markdown(memory.table(figures["resident"], "resident")),
        "growth": markdown(growth.table(figures["growth"])),
    }


def fill(text: str, contents: Mapping[str, str]) -> str:
    """Return the page with its blocks replaced; a block without a marker is an error."""
    for name, content in contents.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        replacement = f"{begin}\n\n{content}\n\n{end}"
        text, count = pattern.subn(lambda _, new=replacement: new, text)
        if count != 1:
            raise ValueError(f"the page needs one pair of markers for {name}, and has {count}")
    return text


def write(path: Path, figures: Mapping[str, Rows]) -> None:
    """Rewrite the tables of a page and the picture beside it."""
    path.write_text(fill(path.read_text(), blocks(figures)))
    first = [row for row in figures["suite"] if row["dtype"] == timing.DTYPES[0]]
    plot.draw(first, path.with_suffix(".svg"))
