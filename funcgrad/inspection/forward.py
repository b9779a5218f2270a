"""What the forward computation shows: the range of each result, and the points where trouble begins.

Looks at the arrays while a program is recorded, and keeps numbers. Read next: `backward.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from funcgrad.core import Tracer
from funcgrad.inspection.kinks import gaps_of, ties
from funcgrad.inspection.operations import Operation
from funcgrad.inspection.ranges import Range, measure
from funcgrad.inspection.recorder import Recorder, Watch

# A central difference of the usual step, the cube root of the precision, would reach a point so near.
_NEAR = 1 / 3


@dataclass(frozen=True)
class Hit:
    """Entries at which an operation is at, or very near, a point without a derivative.

    `kind` is "kink", "step" or "singularity"; `place` is that of the operation, None if no cotangent
    passes it; `distance` is 0 for a hit.
    """

    kind: str
    operation: Operation
    place: int | None
    entries: int
    distance: float


class ForwardLog(Watch):
    """The watch of a recorder; see `explain`.

    Attributes
    ----------
    inputs : list of Range
        Of the inputs.
    ranges : list of Range
        Of the results, by operation.
    made : dict
        For "nan" and "infinity", the first operation with one in its result and none in its arguments.
    hits : list of Hit
    """

    def __init__(self) -> None:
        self.inputs: list[Range] = []
        self.ranges: list[Range] = []
        self.made: dict[str, int] = {}
        self.hits: list[Hit] = []
        self.nodes: dict[str, set[int]] = {"nan": set(), "infinity": set()}

    def see(
        self, tape: Recorder, place: int | None, args: Any, settings: Any, results: Any
    ) -> None:
        with np.errstate(all="ignore"):
            self.look_for_kinks(tape, place, args, settings, results)
            if place is None:
                return
            found = measure(list(results))
            self.ranges.append(found)
            if not found.finite or self.nodes["nan"] or self.nodes["infinity"]:
                self.note_nonfinite(tape, place, found, args)

    def start(self, values: list[Any]) -> None:
        for node, x in enumerate(values):
            found = measure(x)
            self.inputs.append(found)
            for kind, count in (("nan", found.nans), ("infinity", found.infinities)):
                if count:
                    self.nodes[kind].add(node)

    def note_nonfinite(self, tape: Recorder, place: int, found: Range, args: Any) -> None:
        """Note NaNs and infinities in a result, and whether they came in with an argument."""
        outputs = range(len(tape.owners) - 1, -1, -1)
        nodes = []
        for node in outputs:
            if tape.owners[node] != place:
                break
            nodes.append(node)
        for kind, count in (("nan", found.nans), ("infinity", found.infinities)):
            came = any([self.has(tape, x, kind) for x in args])
            if count and not came and not (kind == "infinity" and self.any(tape, args, "nan")):
                self.made.setdefault(kind, place)
            if count or (came and tape.operations[place].name == "put"):
                self.nodes[kind].update(nodes)

    def any(self, tape: Recorder, args: Any, kind: str) -> bool:
        """Tell whether an argument has such an entry."""
        return any([self.has(tape, x, kind) for x in args])

    def has(self, tape: Recorder, x: Any, kind: str) -> bool:
        """Tell whether a value has an entry that is NaN, or infinite."""
        if isinstance(x, Tracer) and x._trace is tape:
            return x.node in self.nodes[kind]
        dtype = getattr(x, "dtype", None)
        if (dtype is None and not isinstance(x, (float, complex))) or (
            dtype is not None and dtype.kind not in "fc"
        ):
            return False
        found = measure(x)
        return (found.nans if kind == "nan" else found.infinities) > 0

    def look_for_kinks(
        self, tape: Recorder, place: int | None, args: Any, settings: Any, results: Any
    ) -> None:
        """Note entries at a kink, at a step, at a singular point, or next to one."""
        operation = tape.cuts[-1][1] if place is None else tape.operations[place]
        if len(args) == 2 and args[0] is args[1]:
            return  # np.maximum(x, x) has no kink
        for kind, gap in gaps_of(operation.name, args, _owned_by(tape)):
            zeros = gap.size - int(np.count_nonzero(gap))
            if zeros:
                self.hits.append(Hit(kind, operation, place, zeros, 0.0))
            if kind == "singularity" and zeros < gap.size:
                self.look_around(operation, place, np.abs(gap[gap != 0]))
        tied = ties(operation.name, args, settings, results[0])
        if tied:
            self.hits.append(Hit("kink", operation, place, tied, 0.0))

    def look_around(self, operation: Operation, place: int | None, distances: Any) -> None:
        """Note entries that a finite difference would carry to the singular point."""
        near = np.finfo(operation.output.dtype).eps ** _NEAR
        if distances.min() < near:
            count = int(np.count_nonzero(distances < near))
            self.hits.append(Hit("singularity", operation, place, count, float(distances.min())))


def _owned_by(tape: Recorder) -> Callable[[Any], bool]:
    return lambda x: isinstance(x, Tracer) and x._trace is tape
