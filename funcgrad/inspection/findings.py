"""What `explain` finds, and what it knows when it looks: findings and evidence.

The questions that are put to the evidence stand in files of their own: `nonfinite.py`, `zeros.py`,
`growth.py`, `sizes.py` and `points.py`. None runs anything: all numbers are in the logs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from funcgrad.errors import message
from funcgrad.inspection.backward import BackwardLog
from funcgrad.inspection.calls import Position
from funcgrad.inspection.forward import ForwardLog
from funcgrad.inspection.operations import Operation
from funcgrad.inspection.ranges import Range
from funcgrad.inspection.recorder import Recorder

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that a user should know.

    Attributes
    ----------
    kind : str
        "nan", "infinity", "zero gradient", "exploding", "vanishing", "dtype", "broadcast", "kink",
        "step", "singularity".
    severity : str
        "error" where a gradient or the value is not finite, "warning" where it may not be what you
        want, "note" where it is right and good to know.
    message : str
    operation : Operation or None
        The one to blame.
    fix : str
    """

    kind: str
    severity: str
    message: str
    operation: Operation | None = None
    fix: str = ""

    @property
    def where(self) -> Position | None:
        """The line of the user's code."""
        return None if self.operation is None else self.operation.where

    def __str__(self) -> str:
        where = self.where
        return message(self.message, self.fix or None, where.describe() if where else None)


@dataclass(frozen=True)
class Evidence:
    """All that is known of one run: forward, backward, and backward with zeros kept zero if needed."""

    tape: Recorder
    names: Sequence[str]
    forward: ForwardLog
    backward: BackwardLog
    repaired: BackwardLog | None
    gradients: Sequence[Range]

    @property
    def last(self) -> BackwardLog:
        """The backward pass whose result holds."""
        return self.repaired or self.backward

    @property
    def sound(self) -> bool:
        """Whether all gradients are finite."""
        return all([found.finite for found in self.gradients])

    def value_of(self, node: int) -> Range | None:
        """Return the range of a value; None for one of several outputs of an operation."""
        place = self.tape.owners[node]
        if place < 0:
            return self.forward.inputs[node]
        return self.forward.ranges[place] if self.tape.first_nodes[place] == node else None

    def reaches_output(self, kind: str) -> bool:
        """Tell whether an output has a "nan" or an "infinity"."""
        return any([node in self.forward.nodes[kind] for node, _ in self.backward.seeds])
