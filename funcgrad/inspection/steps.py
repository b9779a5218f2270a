"""What a central difference meets on its way: kinks, steps and singular points.

A function is recorded at a point and at the two ends of a step; operation by operation, the gaps (see
`kinks.py`) at the ends tell whether the step crosses a point without a derivative, or comes so near to
one that the difference cannot be precise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.core import Tracer
from funcgrad.errors import message
from funcgrad.inspection.backward import BackwardLog
from funcgrad.inspection.kinks import gaps_of, meaning, ties
from funcgrad.inspection.operations import Operation
from funcgrad.inspection.recorder import Recorder, Watch
from funcgrad.inspection.recording import Inspection, Recording


@dataclass(frozen=True)
class Trouble:
    """Why a central difference may be wrong, or right by chance.

    `certain` says that a derivative is taken there; at a comparison nobody knows, since the branches may
    have the same one.
    """

    certain: bool
    text: str

    def __str__(self) -> str:
        return self.text


class _Gaps(Watch):
    """The watch of a recorder that keeps gaps."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int | None, Operation, Any]] = []
        self.tied: dict[int | None, int] = {}  # how many entries, by the place of a max or min

    def see(
        self, tape: Recorder, place: int | None, args: Any, settings: Any, results: Any
    ) -> None:
        operation = tape.cuts[-1][1] if place is None else tape.operations[place]
        mine = lambda x: isinstance(x, Tracer) and x._trace is tape  # noqa: E731
        for kind, gap in gaps_of(operation.name, args, mine):
            self.found.append((kind, place, operation, np.array(gap)))
        tied = ties(operation.name, args, settings, results[0])
        if tied:
            self.tied[place] = tied


def troubles(
    fun: Callable[..., Any], args: Any, direction: Any, eps: float, rtol: float
) -> list[Trouble]:
    """Return what stands in the way of a central difference at `args` along `direction`."""
    if not tree.leaves(args):
        return []
    transform = Inspection(fun, None, None)
    logs = (_Gaps(), _Gaps(), _Gaps())
    with np.errstate(all="ignore"):
        runs = [
            transform.record(_moved(args, direction, step * eps), {}, log)
            for step, log in zip((-1.0, 0.0, 1.0), logs)
        ]
    before, here, after = [log.found for log in logs]
    if len({tuple([operation.name for operation in run.tape.operations]) for run in runs}) > 1:
        return [Trouble(False, "the function does other operations at the two ends of the step.")]
    if not len(before) == len(here) == len(after):
        return []
    passes = _passes(runs[1])
    found = []
    for place, tied in logs[1].tied.items():
        if passes(place) and tied > min([log.tied.get(place, 0) for log in logs]):
            operation = runs[1].tape.operations[place or 0]
            found.append((True, _tell(operation, "a kink", f"exactly, {meaning(operation.name)}")))
    for (kind, place, operation, gap), (*_, low), (*_, high) in zip(here, before, after):
        what = _met(kind, gap, low, high, rtol, operation.name)
        if what is not None and (kind == "step" or passes(place)):
            found.append((kind != "step", _tell(operation, *what)))
    return [Trouble(certain, text) for certain, text in dict.fromkeys(found) if text]


def _moved(args: Any, direction: Any, step: float) -> Any:
    return tree.map(lambda x, v: np.asarray(x + step * v, x.dtype)[()], args, direction)


def _passes(recording: Recording) -> Callable[[int | None], bool]:
    """Return a function that tells whether a cotangent comes to an operation."""
    arrived = BackwardLog(recording, zero_stays_zero=True).arrived
    return lambda place: place in arrived and not arrived[place].all_zero


def _met(kind: str, gap: Any, low: Any, high: Any, rtol: float, name: str) -> Any:
    """Say what a step meets, in two parts of a sentence; None if nothing."""
    if not gap.shape == low.shape == high.shape or not gap.size:
        return None
    point = {"kink": "a kink", "step": "a step", "singularity": "a singular point"}[kind]
    if np.any((gap == 0) & ((low != 0) | (high != 0))):  # not np.maximum(x, x), which has no kink
        return point, f"exactly, {meaning(name)}"
    if gap.dtype.kind == "c":
        return None
    if np.any(np.sign(low) * np.sign(high) < 0):
        return point, f"between the two ends of the step, {meaning(name)} there"
    # The error of a central difference of log x is (step / x)^2 / 3 of its value, others are alike.
    if kind == "singularity" and np.any(np.square((high - low) / (2 * gap)) > rtol):
        return point, f"at a distance of {np.min(np.abs(gap)):.2g}, too near for the step"
    return None


def _tell(operation: Operation, point: str, how: str) -> str:
    where = operation.where
    what = f"`{operation.name}` meets {point} {how}."
    return message(what, None, where.describe() if where else None)
