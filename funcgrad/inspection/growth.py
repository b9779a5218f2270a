"""Cotangents that explode or vanish, and the line that multiplies them."""

import math
from collections.abc import Iterator

from funcgrad.inspection.backward import Handed
from funcgrad.inspection.findings import Evidence, Finding

EXPLODING = 1e8  # a cotangent so many times the seed's
VANISHING = 1e-9  # or so small a part of it


def growth(evidence: Evidence) -> Iterator[Finding]:
    """Say where cotangents explode, or vanish, on the way from the output to the inputs."""
    log = evidence.last
    sizes = [r.magnitude for r in evidence.gradients]
    finite = [h for h in log.handed if h.given.finite and h.got.finite]
    if not finite or not sizes:
        return
    worst = max(finite, key=lambda handed: handed.given.magnitude)
    if worst.given.magnitude > EXPLODING:
        yield _growth(evidence, worst, "exploding")
    positive = [(x, node) for node, x in enumerate(sizes) if x > 0]
    smallest, node = min(positive, default=(1.0, -1))
    if smallest < VANISHING:
        weakest = max(
            [h for h in finite if h.parent == node], key=lambda h: h.given.magnitude, default=None
        )
        if weakest is not None and not _in_one_step(path_to(evidence, weakest)):
            yield _growth(evidence, weakest, "vanishing")


Step = tuple[float, int]  # the logarithm of the factor, the place of the operation


def path_to(evidence: Evidence, end: Handed) -> list[Step]:
    """Return the steps from `end` back to the output, by the largest cotangent at each."""
    best: dict[int, Handed] = {}
    for handed in evidence.last.handed:
        known = best.get(handed.parent)
        if known is None or handed.given.magnitude > known.given.magnitude:
            best[handed.parent] = handed
    steps = []
    step: Handed | None = end
    while step is not None:
        gain = math.log(step.given.magnitude or 1e-300) - math.log(step.got.magnitude or 1e-300)
        steps.append((gain, step.place))
        step = best.get(evidence.tape.first_nodes[step.place])
    return steps


def _in_one_step(steps: list[Step]) -> bool:
    """Tell whether one factor makes most of it: a loss at its minimum, say, not a chain."""
    return 2 * min(steps)[0] < _sum(steps)


def _growth(evidence: Evidence, end: Handed, kind: str) -> Finding:
    """Blame the line that multiplies cotangents most, on the way from the output to `end`."""
    path = path_to(evidence, end)
    groups: dict[tuple[str, str], list[Step]] = {}
    for gain, place in path:
        operation = evidence.tape.operations[place]
        groups.setdefault((operation.name, str(operation.where)), []).append((gain, place))
    sign = 1 if kind == "exploding" else -1
    repeated = {k: v for k, v in groups.items() if len(v) > 1 and _sum(v) / _sum(path) > _LOOP}
    (name, _), steps = max((repeated or groups).items(), key=lambda item: sign * _sum(item[1]))
    total, operation = _sum(steps), evidence.tape.operations[steps[0][1]]
    times = f"{len(steps)} times, " if len(steps) > 1 else ""
    what = (
        f"cotangents are {kind}: from 1 at the output to {end.given.magnitude:.3g} at "
        f"{evidence.tape.variables[end.parent]}. Most of it comes from `{name}` (passed {times}"
        f"a factor of {_power(total)} in all)."
    )
    fix = (
        "scale the weights down or the loss, clip gradients, or shorten the chain (normalisation, gates)."
        if kind == "exploding"
        else "scale the weights up, use a function that does not saturate, or shorten the chain."
    )
    return Finding(kind, "warning", what, operation, fix)


_LOOP = 0.25  # what a loop must have of the growth to be blamed for all of it


def _sum(steps: list[Step]) -> float:
    return sum([gain for gain, _ in steps])


def _power(log: float) -> str:
    return f"{math.exp(log):.3g}" if abs(log) < 600 else f"1e{log / math.log(10):.0f}"
