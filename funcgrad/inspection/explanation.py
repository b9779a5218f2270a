"""`explain`: one run forward and backward, with the reasons for what is wrong with it.

Read next: `profiling.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from funcgrad.arguments import name_of
from funcgrad.inspection.backward import gradients_of, run_backward
from funcgrad.inspection.findings import SEVERITIES, Evidence, Finding
from funcgrad.inspection.forward import ForwardLog
from funcgrad.inspection.growth import growth
from funcgrad.inspection.nonfinite import nonfinite_cotangents, nonfinite_inputs, nonfinite_values
from funcgrad.inspection.operations import Operation
from funcgrad.inspection.points import awkward_points
from funcgrad.inspection.ranges import Range, measure
from funcgrad.inspection.recording import Inspection, Recording
from funcgrad.inspection.sizes import broadcasts, widenings
from funcgrad.inspection.tables import Table, abridged, paint, preformatted, wants_color
from funcgrad.inspection.zeros import partly_zero_gradients, zero_gradients
from funcgrad.tracebacks import boundary

QUESTIONS = (
    nonfinite_inputs,
    nonfinite_values,
    nonfinite_cotangents,
    zero_gradients,
    partly_zero_gradients,
    growth,
    widenings,
    broadcasts,
    awkward_points,
)
_MOST = 30  # rows of a table that print() shows
_COLORS = {"error": "red", "warning": "yellow", "note": "cyan"}


@dataclass(frozen=True)
class Explained:
    """An operation with the range of its result and of its cotangent (None: none came)."""

    operation: Operation
    values: Range
    cotangents: Range | None


@dataclass(frozen=True)
class Gradient:
    """An input leaf with the range of its gradient."""

    name: str
    type: str
    values: Range
    gradient: Range


class Explanation:
    """What one run of a function showed; see `explain`.

    Attributes
    ----------
    name : str
        Of the function.
    findings : tuple of Finding
        The gravest first; each has a kind, a message, the operation to blame and its line.
    operations : tuple of Explained
        In the order of the program, with ranges.
    gradients : tuple of Gradient
        By input leaf.
    seed : str
        What the backward pass began with.
    """

    def __init__(self, recording: Recording, forward: ForwardLog) -> None:
        self.name = name_of(recording.fun)
        tape = recording.tape
        first, second = run_backward(recording)
        last = second or first
        results = [measure(g) for g in gradients_of(recording, last.gradients)]
        evidence = Evidence(tape, recording.names, forward, first, second, results)
        self.seed = _seed(recording)
        found = [finding for question in QUESTIONS for finding in question(evidence)]
        found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
        self.findings: tuple[Finding, ...] = tuple(found)
        self.operations: tuple[Explained, ...] = tuple(
            [
                Explained(operation, values, last.arrived.get(place))
                for place, (operation, values) in enumerate(zip(tape.operations, forward.ranges))
            ]
        )
        self.gradients: tuple[Gradient, ...] = tuple(
            [
                Gradient(x.name, x.type, measure(value), gradient)
                for x, value, gradient in zip(tape.variables, recording.inputs.values, results)
            ]
        )

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text(color=wants_color())

    def _repr_html_(self) -> str:
        findings = [f"{finding.severity}: {finding}" for finding in self.findings]
        head = "".join([preformatted(text) for text in (self._head(), *findings)])
        return f"<div>{head}{''.join([table.html() for table in self._tables(_MOST)])}</div>"

    def text(self, most: int | None = _MOST, color: bool = False) -> str:
        """Return findings and tables, of at most `most` rows each (None: all)."""
        lines = [paint(self._head(), "bold", color)]
        for finding in self.findings:
            mark = paint(f"{finding.severity}:", _COLORS[finding.severity], color)
            lines.append(f"{mark} {finding}")
        if not self.findings:
            lines.append("nothing to report: all values and gradients are finite, none is zero.")
        return "\n".join([*lines, *[table.text(color) for table in self._tables(most)]])

    def _head(self) -> str:
        n = len(self.operations)
        return f"{self.name}: {n:,} operation{'s' * (n != 1)}; {self.seed}"

    def _tables(self, most: int | None) -> list[Table]:
        gradients = [(x.name, x.type, str(x.values), str(x.gradient)) for x in self.gradients]
        rows = [
            (
                str(x.operation),
                x.operation.output.type,
                str(x.values),
                _shown(x.cotangents),
                _line(x),
            )
            for x in self.operations
        ]
        header = ("operation", "result", "values", "cotangents", "line")
        return [
            Table("gradients", ("input", "", "values", "gradient"), abridged(gradients, most)),
            Table("operations", header, abridged(rows, most)),
        ]


def _shown(cotangents: Range | None) -> str:
    return "none" if cotangents is None else str(cotangents)


def _line(x: Explained) -> str:
    return str(x.operation.where or "")


def _seed(recording: Recording) -> str:
    """Say what the backward pass begins with."""
    reached = recording.reached()
    if not reached:
        return "no output depends on an input, so every gradient is zero"
    if len(reached) == 1 and not reached[0][1].shape:
        return "the gradient of the value"
    shapes = ", ".join([str(x.shape) for _, x in reached])
    return f"the output is no scalar ({shapes}): the gradient of the sum of all its entries"


class Explain(Inspection):
    """See `explain`."""

    verb = "explain"

    def __call__(self, *args: Any, **kwargs: Any) -> Explanation:
        forward = ForwardLog()
        with np.errstate(all="ignore"):  # what NumPy would warn of is in the report
            recording = self.record(args, kwargs, forward)
        return Explanation(recording, forward)


@boundary
def explain(
    fun: Callable[..., Any],
    argnums: int | tuple[int, ...] | None = None,
    *,
    argnames: str | tuple[str, ...] | None = None,
) -> Callable[..., Explanation]:
    """Return a function that runs `fun` forward and backward once and says what is wrong, and where.

    Parameters
    ----------
    fun, argnums, argnames
        As for `make_tape`. Of an output that is no scalar the sum of all entries is differentiated,
        and the report says so.

    Returns
    -------
    callable
        Takes the arguments of `fun`; returns an `Explanation`. Printed, it tells, each with the
        operation and the line of your code:

        * the first NaN or infinity, of the forward or the backward pass;
        * gradients that are exactly zero, and where they died;
        * cotangents that explode or vanish;
        * dtypes that were widened, and by what; large broadcasts;
        * kinks and singular points that are hit exactly, or nearly;

        then a table of gradients, and one of operations with the range of values and cotangents.

    Raises
    ------
    ArgumentError
        If no argument can be differentiated, or `argnums` or `argnames` do not fit the call.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import explain
    >>> def loss(w, x):
    ...     return np.sum(np.maximum(x @ w - 9, 0))
    >>> report = explain(loss, argnums=0)(np.zeros(2), np.ones((3, 2)))
    >>> print(report.findings[0])
    the gradient of w is exactly zero: it died in `maximum`, where 0 is larger than %2 in every entry: ...
      at <doctest ...>:2 in loss: return np.sum(np.maximum(x @ w - 9, 0))
      Fix: ...
    """
    return Explain(fun, argnums, argnames)
