"""What `explain` concludes from the logs of the two passes: findings, each with the guilty line.

Each function below answers one question. None runs anything: all numbers are in the logs. Read next:
`explanation.py`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from funcgrad.errors import message
from funcgrad.inspection.backward import BackwardLog, Handed
from funcgrad.inspection.calls import Position
from funcgrad.inspection.forward import ForwardLog, Hit
from funcgrad.inspection.kinks import meaning
from funcgrad.inspection.ranges import Range
from funcgrad.inspection.recorder import Constant, Operation, Recorder, Variable
from funcgrad.inspection.tables import size_of

EXPLODING = 1e6  # a cotangent so many times the seed's
VANISHING = 1e-9  # or so small a part of it
BROADCAST = 1 << 20  # bytes of a result
STRETCH = 8  # and so many times the largest argument
MANY = 3  # findings of one sort that are told one by one

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


def all_findings(evidence: Evidence) -> list[Finding]:
    """Return the findings, the gravest first."""
    questions = (
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
    found = [finding for question in questions for finding in question(evidence)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


# --- NaN and infinity ----------------------------------------------------------------------------


def nonfinite_inputs(evidence: Evidence) -> Iterator[Finding]:
    """Say which inputs are not finite to begin with."""
    harmful = not all([r.finite for r in evidence.gradients])
    for kind, nodes in evidence.forward.nodes.items():
        harmful = harmful or _output_is_bad(evidence, kind)
        for node in sorted(nodes):
            if node < len(evidence.names):
                what = f"the input {evidence.names[node]} has {_article(kind)} before anything is computed."
                severity = "error" if harmful else "note"
                yield Finding(kind, severity, what, fix="look at where it comes from.")


def _article(kind: str) -> str:
    return "a NaN" if kind == "nan" else "an infinity"


def nonfinite_values(evidence: Evidence) -> Iterator[Finding]:
    """Name the operation that made the first NaN, and the first infinity, of the forward pass."""
    places = evidence.forward.made
    for kind, place in sorted(places.items(), key=lambda item: item[1]):
        operation = evidence.tape.operations[place]
        harmful = not all([r.finite for r in evidence.gradients]) or _output_is_bad(evidence, kind)
        found = evidence.forward.ranges[place]
        count = found.nans if kind == "nan" else found.infinities
        entries = f" in {count} of {found.size} entries" if found.size > 1 else ""
        what = (
            f"the forward pass made the first {kind.replace('nan', 'NaN')} in `{operation.name}`{entries}: "
            f"{operation} = {found}{_from(evidence, place)}."
        )
        if not harmful:
            what += " It reaches neither the value nor a gradient."
        fix = (
            f"keep the argument where `{operation.name}` is finite: np.where before it, "
            "np.maximum(x, tiny), a smaller step, or a form that does not overflow."
        )
        yield Finding(kind, "error" if harmful else "note", what, operation, fix)


def _from(evidence: Evidence, place: int) -> str:
    """Return the ranges of the results that an operation worked on."""
    parents = {parent for parent, *_ in evidence.tape.records[evidence.tape.nodes[place]] or ()}
    values = [(evidence.tape.variables[i], _value_of(evidence, i)) for i in sorted(parents)]
    parts = [f"{variable} = {value}" for variable, value in values if variable and value]
    return f", from {', '.join(parts)}" if parts else ""


def _output_is_bad(evidence: Evidence, kind: str) -> bool:
    return any([node in evidence.forward.nodes[kind] for node, _ in evidence.backward.seeds])


def nonfinite_cotangents(evidence: Evidence) -> Iterator[Finding]:
    """Name the operation whose pullback made the first NaN, and the first infinity."""
    harmful = not all([r.finite for r in evidence.gradients])
    log = evidence.last if harmful else evidence.backward
    for kind in ("infinity", "nan"):
        handed = next((h for h in log.handed if _made(h, kind)), None)
        if handed is not None:
            yield _nonfinite_cotangent(evidence, handed, kind, harmful)


def _made(handed: Handed, kind: str) -> bool:
    if kind == "nan":
        return handed.given.nans > 0 and handed.got.nans == 0
    return handed.given.infinities > 0 and handed.got.finite


def _nonfinite_cotangent(evidence: Evidence, handed: Handed, kind: str, harmful: bool) -> Finding:
    operation = evidence.tape.operations[handed.place]
    argument = evidence.tape.variables[handed.parent]
    what = (
        f"the backward pass made the first {kind.replace('nan', 'NaN')} in the derivative of "
        f"`{operation.name}` by {argument}: {operation}, whose cotangent is {handed.got}."
    )
    if not harmful:
        what += (
            " It meets an exact zero, and zero stays zero: the gradient is finite."
            if evidence.repaired is not None
            else " No gradient has it."
        )
    value = _value_of(evidence, handed.parent)
    fix = f"{argument} is {value}: " if value else ""
    fix += "keep it away from the point where the derivative is not finite (a small constant inside a root)."
    severity = "error" if harmful else "note" if evidence.repaired is None else "warning"
    return Finding(kind, severity, what, operation, fix)


def _value_of(evidence: Evidence, node: int) -> str:
    place = evidence.tape.owners[node]
    return str(evidence.forward.ranges[place]) if place >= 0 else ""


# --- zeros ---------------------------------------------------------------------------------------


def zero_gradients(evidence: Evidence) -> Iterator[Finding]:
    """Say for each gradient that is exactly zero where it died."""
    zeros = [i for i, r in enumerate(evidence.gradients) if r.size and r.all_zero]
    if not zeros:
        return
    deaths = _deaths(evidence)
    groups: dict[int, list[int]] = {}
    for i in zeros:
        groups.setdefault(id(deaths.get(i)), []).append(i)
    for members in groups.values():
        death, who = deaths.get(members[0]), _listed([evidence.names[i] for i in members])
        if death is None:
            what = f"the gradient of {who} is exactly zero: nothing that is returned depends on it."
            yield Finding(
                "zero gradient", "warning", what, fix="use it, or leave it out of argnums."
            )
            continue
        if isinstance(death, Operation):
            operation, (reason, fix) = death, _cut_reason(death)
        else:
            operation = evidence.tape.operations[death.place]
            reason, fix = _zero_reason(evidence, operation, death)
        what = f"the gradient of {who} is exactly zero: it died in `{operation.name}`, {reason}."
        yield Finding("zero gradient", "warning", what, operation, fix)


def _listed(names: Sequence[str]) -> str:
    if len(names) <= MANY:
        return ", ".join(names)
    return f"{', '.join(names[:MANY])} and {len(names) - MANY} more"


def _deaths(evidence: Evidence) -> dict[int, Operation | Handed]:
    """Return for each node whose cotangent is zero what made it so: a cut, or a pullback."""
    tape, log = evidence.tape, evidence.last
    found: dict[int, Operation | Handed] = {}
    for nodes, operation in tape.cuts:
        for node in nodes:
            found.setdefault(node, operation)
    for handed in log.handed:
        if handed.given.all_zero and not handed.got.all_zero:
            found[handed.parent] = handed
    for node in range(len(tape.records) - 1, -1, -1):  # a death reaches all that lies before it
        place = tape.owners[node]
        arrived = log.arrived.get(place)
        if place < 0 or node not in found or (arrived is not None and not arrived.all_zero):
            continue
        for parent, *_ in tape.records[node] or ():
            if not isinstance(found.get(parent), Handed):
                found[parent] = found[node]
    return found


def _cut_reason(operation: Operation) -> tuple[str, str]:
    """Say why no cotangent passes an operation whose result is a constant."""
    if operation.name == "stop_gradient":
        return "which makes it a constant", "leave stop_gradient out, if that was not meant."
    if operation.name == "astype":
        dtype = operation.output.dtype
        return f"a cast to {dtype}", "keep it floating-point where a gradient is wanted."
    return (
        "which is piecewise constant, so that its derivative is zero",
        "use a smooth function in its place, or none.",
    )


def _zero_reason(evidence: Evidence, operation: Operation, handed: Handed) -> tuple[str, str]:
    """Say why a derivative is zero in every entry."""
    argument = evidence.tape.variables[handed.parent]
    name = operation.name
    if name == "where":
        branch = "second" if _position(operation, argument) == 1 else "third"
        return (
            f"which never takes its {branch} argument {argument}: a dead branch, or a saturated ReLU",
            "look at the condition; for a ReLU a smaller step, another initial value or a leaky one.",
        )
    if name in ("maximum", "minimum", "fmax", "fmin"):
        other = next((x for x in operation.arguments if x != argument), argument)
        than = "larger" if name in ("maximum", "fmax") else "smaller"
        return (
            f"where {other} is {than} than {argument} in every entry: a saturated ReLU, or a bound",
            "look at the argument's range; for a ReLU a smaller step, another initial value or a leaky one.",
        )
    if not handed.got.finite:
        return (
            "whose derivative is zero where its cotangent is infinite: zero stays zero",
            "look at where the infinity comes from.",
        )
    if handed.got.magnitude < _UNDERFLOW:
        return f"where it underflows (the cotangent is {handed.got})", "see why it vanishes."
    others = [x for x in operation.arguments if x != argument and _is_zero(evidence, x)]
    if others:
        return f"whose other argument {others[0]} is zero", "look at where that comes from."
    value = _value_of(evidence, handed.parent)
    inside = f" (its argument is {value})" if value else ""
    return f"whose derivative is zero in every entry{inside}", "look at the argument's range."


_UNDERFLOW = 1e-290


def _is_zero(evidence: Evidence, x: Variable | Constant) -> bool:
    """Tell whether an argument is known to be zero in every entry."""
    if isinstance(x, Constant):
        return x.text in ("0", "0.0")
    place = next((k for k, o in enumerate(evidence.tape.operations) if x in o.outputs), None)
    return place is not None and evidence.forward.ranges[place].all_zero


def _position(operation: Operation, argument: Any) -> int:
    return operation.arguments.index(argument) if argument in operation.arguments else 0


def partly_zero_gradients(evidence: Evidence) -> Iterator[Finding]:
    """Name operations that make most of the entries of a cotangent zero: units that are dead."""
    told: set[tuple[str, str]] = set()
    for handed in evidence.last.handed:
        operation = evidence.tape.operations[handed.place]
        if handed.columns is None or not handed.columns[0] or operation.name in _SPREADERS:
            continue
        key = operation.name, str(operation.where)
        dead, all_columns = handed.columns
        if key in told or len(told) >= MANY or 2 * dead < all_columns:
            continue
        told.add(key)
        what = (
            f"`{operation.name}` is flat for {dead} of {all_columns} columns of "
            f"{evidence.tape.variables[handed.parent]}, in every row: these units get no gradient."
        )
        yield Finding(
            "zero gradient", "note", what, operation, "dead units of a ReLU: see its inputs."
        )


# Their pullbacks put cotangents among zeros: nothing died there.
_SPREADERS = ("put", "getitem", "concatenate", "max", "min", "diagonal", "scatter", "ranked")


# --- growth --------------------------------------------------------------------------------------


def growth(evidence: Evidence) -> Iterator[Finding]:
    """Say where cotangents explode, or vanish, on the way from the output to the inputs."""
    log = evidence.last
    sizes = [r.magnitude for r in evidence.gradients if r.size]
    finite = [h for h in log.handed if h.given.finite and h.got.finite]
    if not finite or not sizes:
        return
    worst = max(finite, key=lambda handed: handed.given.magnitude)
    if worst.given.magnitude > EXPLODING:
        yield _growth(evidence, worst, "exploding")
    smallest = min([x for x in sizes if x > 0], default=1.0)
    if smallest < VANISHING:
        weakest = [h for h in finite if h.given.magnitude == smallest]
        if weakest:
            yield _growth(evidence, weakest[0], "vanishing")


def _growth(evidence: Evidence, end: Handed, kind: str) -> Finding:
    """Blame the line that multiplies cotangents most, on the way from the output to `end`."""
    best: dict[int, Handed] = {}
    for handed in evidence.last.handed:
        known = best.get(handed.parent)
        if known is None or handed.given.magnitude > known.given.magnitude:
            best[handed.parent] = handed
    gains: dict[tuple[str, str], list[tuple[float, int]]] = {}
    step: Handed | None = end
    while step is not None:
        operation = evidence.tape.operations[step.place]
        gain = math.log(step.given.magnitude or 1e-300) - math.log(step.got.magnitude or 1e-300)
        gains.setdefault((operation.name, str(operation.where)), []).append((gain, step.place))
        step = best.get(evidence.tape.nodes[step.place])
    sign = 1 if kind == "exploding" else -1
    total = sum([g for steps in gains.values() for g, _ in steps])
    repeated = {k: v for k, v in gains.items() if len(v) > 1 and _sum(v) / total > _LOOP}
    (name, _), steps = max((repeated or gains).items(), key=lambda item: sign * _sum(item[1]))
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


def _sum(steps: list[tuple[float, int]]) -> float:
    return sum([gain for gain, _ in steps])


def _power(log: float) -> str:
    return f"{math.exp(log):.3g}" if abs(log) < 600 else f"1e{log / math.log(10):.0f}"


# --- dtypes and shapes ---------------------------------------------------------------------------


def widenings(evidence: Evidence) -> Iterator[Finding]:
    """Name the constant, or the input, that made a result of a wider dtype than its arguments."""
    told: dict[tuple[str, str], int] = {}
    for operation in evidence.tape.operations:
        guilty = _widened_by(operation)
        key = operation.name, str(operation.where)
        if guilty is None or key in told:
            continue
        told[key] = 1
        narrow = _narrowest(operation)
        what = f"`{operation.name}` widens {narrow} to {operation.output.dtype}: "
        if guilty is operation:
            what += "its dtype says so."
            yield Finding("dtype", "note", what, operation, "leave the cast out to stay narrow.")
            continue
        kind = "the constant" if isinstance(guilty, Constant) else "the traced value"
        what += (
            f"{kind} {guilty} is {guilty.type}."
            if str(guilty) != guilty.type
            else f"{kind} is {guilty}."
        )
        fix = f"make it narrow where it is made: np.asarray(..., dtype=np.{narrow}), or .astype(x.dtype)."
        yield Finding("dtype", "warning", what, operation, fix)


def _bits(dtype: Any) -> int:
    return np.finfo(dtype).bits if dtype.kind in "fc" else 0


def _narrowest(operation: Operation) -> Any:
    dtypes = [x.dtype for x in operation.arguments if isinstance(x, Variable)]
    return min(dtypes, key=_bits)


def _widened_by(operation: Operation) -> Any:
    """Return the argument that widened the result, the operation if it is a cast, None if none did."""
    traced = [x for x in operation.arguments if isinstance(x, Variable)]
    out = operation.output.dtype
    if not traced or out.kind not in "fc" or not isinstance(operation.output, Variable):
        return None
    narrow = _narrowest(operation)
    if _bits(out) <= _bits(narrow) or operation.name == "put":
        return None
    for x in operation.arguments:
        if isinstance(x, Constant) and x.weak:
            continue
        if x.dtype.kind in "iufc" and _bits(np.result_type(x.dtype, narrow)) > _bits(narrow):
            return x
    return operation


def broadcasts(evidence: Evidence) -> Iterator[Finding]:
    """Name operations whose result is much larger than all of their arguments."""
    told: set[tuple[str, str]] = set()
    for operation in evidence.tape.operations:
        out = operation.output
        size = math.prod(out.shape)
        largest = max([math.prod(x.shape) for x in operation.arguments], default=size)
        key = operation.name, str(operation.where)
        small = size * out.dtype.itemsize < BROADCAST or size < STRETCH * max(largest, 1)
        if small or operation.name in ("matmul", "einsum", "constant") or key in told:
            continue
        told.add(key)
        shapes = " and ".join([str(x.shape) for x in operation.arguments])
        what = (
            f"`{operation.name}` broadcasts {shapes} to {out.shape}, "
            f"{size_of(size * out.dtype.itemsize)}."
        )
        fix = "if that was not meant, look at the shapes ((n, 1) with (n,) gives (n, n)); else use matmul or einsum."
        yield Finding("broadcast", "note", what, operation, fix)


_CONSEQUENCES = {
    "kink": " One of several derivatives is taken.",
    "step": " Which side counts is a tie.",
}


def _blamed(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Return the operations, and their lines, that were found to make a NaN or an infinity."""
    for question in (nonfinite_values, nonfinite_cotangents):
        for finding in question(evidence):
            if finding.operation is not None:
                yield finding.operation.name, str(finding.where)


# --- kinks ---------------------------------------------------------------------------------------


def awkward_points(evidence: Evidence) -> Iterator[Finding]:
    """Tell of kinks and singular points that are hit exactly, or nearly."""
    groups: dict[tuple[str, str, str, bool], list[Hit]] = {}
    arrived = evidence.last.arrived
    for hit in evidence.forward.hits:
        operation = hit.operation
        if hit.place is not None and (hit.place not in arrived or arrived[hit.place].all_zero):
            continue  # no derivative is taken there
        key = hit.kind, operation.name, str(operation.where), hit.distance > 0
        groups.setdefault(key, []).append(hit)
    blamed = {*_blamed(evidence)}
    for (kind, name, line, near), hits in groups.items():
        if kind == "singularity" and (name, line) in blamed:
            continue
        entries = sum([hit.entries for hit in hits])
        many = f" in {entries} entries" if entries > 1 else ""
        at = f"`{name}` is evaluated exactly at a {kind}{many}: {meaning(name)}."
        if near:
            distance = min([hit.distance for hit in hits])
            at = (
                f"`{name}` is evaluated {distance:.2g} from a singularity{many} ({meaning(name)} there): "
                "its derivative is huge, and a finite difference would step over it."
            )
        what = at + _CONSEQUENCES.get(kind, "")
        severity = "note" if near or kind == "step" else "warning"
        yield Finding(
            kind, severity, what, hits[0].operation, "see docs/kinks.md for the value taken."
        )
