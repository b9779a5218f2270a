"""What the backward pass shows: the cotangent of each operation, and what each pullback made of it.

The edges of a tape are walked as ever, with pullbacks that look at what they get and give. Read
next: `findings.py`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from funcgrad.arguments import finish
from funcgrad.backward import ACCUMULATES, each_edge, has_nan, keep_zero, walk
from funcgrad.calls import pull_call
from funcgrad.core import concrete
from funcgrad.inspection.ranges import Range, measure
from funcgrad.inspection.recorder import Recorder
from funcgrad.inspection.recording import Recording


@dataclass(frozen=True, slots=True)
class Handed:
    """What a pullback made of a cotangent for one argument.

    `columns` tells, where most entries became zero, for how many entries of the last axis all the others
    are zero, and how many there are.
    """

    place: int
    parent: int
    given: Range
    got: Range
    columns: tuple[int, int] | None


class BackwardLog:
    """A watched backward pass.

    Attributes
    ----------
    arrived : dict
        The cotangent of each operation that got one, by its place.
    handed : list of Handed
        In the order of the walk: the last operation's first.
    seeds : list of (int, array)
        What the pass begins with, by node.
    gradients : list
        The cotangent of each input, None for zero.
    """

    def __init__(self, recording: Recording, zero_stays_zero: bool) -> None:
        self.tape: Recorder = recording.tape
        self.zero_stays_zero = zero_stays_zero
        self.arrived: dict[int, Range] = {}
        self.handed: list[Handed] = []
        edges: list[Any] = []
        for node, *edge in each_edge(self.tape.edges):
            edges += (node, *self._edge(self.tape.owners[node], *edge))
        self.seeds = seeds_of(recording)
        inputs = list(range(len(recording.names)))
        with np.errstate(all="ignore"):
            self.gradients = walk(edges, self.tape.nodes, self.seeds, inputs)

    def _edge(self, place: int, parent: int, pull: Any, kept: Any, fix: Any) -> Any:
        in_place = self.tape.operations[place].name == "put"  # whose cotangent is the whole array's
        if fix is not ACCUMULATES:

            def watched(ct: Any, kept: Any) -> Any:
                g = ct if pull is None else pull(ct, kept)
                if self.zero_stays_zero and pull is not None:
                    g = keep_zero(pull, kept, ct, g)
                self.hand(place, parent, g if in_place else ct, g)
                return g

            return parent, watched, kept, fix
        if pull is pull_call:
            return parent, pull, self._watched_call(place, kept), fix
        if self.tape.owners[parent] == place or in_place:  # an output, or a write
            return parent, pull, kept, fix

        def accumulating(cts: Any, owned: Any, parent: int, ct: Any, kept: Any) -> None:
            self.arrive(place, ct)
            pull(cts, owned, parent, ct, kept)

        return parent, accumulating, kept, fix

    def _watched_call(self, place: int, kept: Any) -> Any:
        bwd, residuals, parents, checks = kept

        def watched(residuals: Any, cts: Any) -> Any:
            grads = bwd(residuals, cts)
            for g, parent in zip(grads, parents):
                if g is not None and parent is not None:
                    self.hand(place, parent[0], cts, g)
            return grads

        return watched, residuals, parents, checks

    def arrive(self, place: int, ct: Any) -> Range:
        """Note the cotangent of an operation."""
        if place not in self.arrived:
            self.arrived[place] = measure(ct)
        return self.arrived[place]

    def hand(self, place: int, parent: int, ct: Any, g: Any) -> None:
        """Note what a pullback made of a cotangent."""
        got, given = self.arrive(place, ct), measure(g)
        columns = None
        most = given.size == got.size and 2 * (given.zeros - got.zeros) > given.size
        if most and not given.all_zero and g.ndim > 1:
            plain = np.asarray(concrete(g))
            dead = np.all(plain == 0, axis=tuple(range(plain.ndim - 1)))
            columns = int(np.count_nonzero(dead)), dead.size
        self.handed.append(Handed(place, parent, given, got, columns))


def seeds_of(recording: Recording) -> list[tuple[int, Any]]:
    """Return ones for every output: the loss, or the sum of all entries."""
    return [(x.node, np.ones(x.shape, x.dtype)[()]) for _, x in recording.reached()]


def run_backward(recording: Recording) -> tuple[BackwardLog, BackwardLog | None]:
    """Walk the tape as `grad` does; a second time, with zeros kept zero, if there is a NaN."""
    log = BackwardLog(recording, zero_stays_zero=False)
    if any([has_nan(ct) for ct in log.gradients]):
        return log, BackwardLog(recording, zero_stays_zero=True)
    return log, None


def gradients_of(recording: Recording, cts: list[Any]) -> list[Any]:
    """Return a gradient per input leaf, zeros for None."""
    return finish(recording.inputs.values, cts, recording.inputs.leaves)
