"""Gradients that are exactly zero, and where they died."""

from collections.abc import Iterator, Sequence
from typing import Any

from funcgrad.backward import grouped
from funcgrad.inspection.backward import Handed
from funcgrad.inspection.findings import Evidence, Finding
from funcgrad.inspection.operations import Constant, Operation

MANY = 3  # names, or findings of one sort, that are told one by one
_UNDERFLOW = 1e-290


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
        if not handed.given.all_zero or (
            not handed.got.all_zero and not _cancels(found.get(handed.parent))
        ):
            found[handed.parent] = handed
    edges = grouped(tape.edges, tape.nodes)
    for node in range(tape.nodes - 1, -1, -1):  # a death reaches all that lies before it
        place = tape.owners[node]
        arrived = log.arrived.get(place)
        if place < 0 or node not in found or (arrived is not None and not arrived.all_zero):
            continue
        death = found[node]
        if arrived is None and _cancels(death):
            death = tape.operations[place]  # a write in place, whose cotangents nobody measured
        for parent, *_ in edges[node]:
            if not isinstance(found.get(parent), Handed):
                found[parent] = death
    return found


def _cancels(death: Operation | Handed | None) -> bool:
    """Tell whether a pullback handed on something; if the sum is zero, another one cancelled it."""
    return isinstance(death, Handed) and not death.given.all_zero


def _cut_reason(operation: Operation) -> tuple[str, str]:
    """Say why no cotangent passes an operation whose result is a constant."""
    if operation.name == "stop_gradient":
        return "which makes it a constant", "leave stop_gradient out, if that was not meant."
    if operation.name == "put":
        return "which writes over it", "write to other places, or into another array."
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
    if _cancels(handed):
        return (
            f"whose cotangent for {argument} cancels others",
            "it may be right: see what is subtracted.",
        )
    if name == "put":
        return f"which writes over {argument}", "write to other places, or into another array."
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
    other = _zero_argument(evidence, operation, handed)
    if other is not None:
        return f"whose other argument {other} is zero", "look at where that comes from."
    value = evidence.value_of(handed.parent)
    inside = f" (its argument is {value})" if value else ""
    return f"whose derivative is zero in every entry{inside}", "look at the argument's range."


def _zero_argument(evidence: Evidence, operation: Operation, handed: Handed) -> Any:
    """Return another argument that is known to be zero in every entry."""
    for node in evidence.tape.parents_of(handed.place):
        value = evidence.value_of(node)
        if node != handed.parent and value is not None and value.all_zero:
            return evidence.tape.variables[node]
    zeros = [x for x in operation.arguments if isinstance(x, Constant) and x.text in ("0", "0.0")]
    return zeros[0] if zeros else None


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
