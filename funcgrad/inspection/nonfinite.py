"""Which operation made the first NaN, or the first infinity, forward or backward."""

from collections.abc import Iterator

from funcgrad.inspection.backward import Handed
from funcgrad.inspection.findings import Evidence, Finding

_NAMES = {"nan": "NaN", "infinity": "infinity"}


def nonfinite_inputs(evidence: Evidence) -> Iterator[Finding]:
    """Say which inputs are not finite to begin with."""
    for kind, nodes in evidence.forward.nodes.items():
        harmful = not evidence.sound or evidence.reaches_output(kind)
        article = "a" if kind == "nan" else "an"
        for node in sorted(nodes):
            if node < len(evidence.names):
                what = f"the input {evidence.names[node]} has {article} {_NAMES[kind]} before anything is computed."
                severity = "error" if harmful else "note"
                yield Finding(kind, severity, what, fix="look at where it comes from.")


def nonfinite_values(evidence: Evidence) -> Iterator[Finding]:
    """Name the operation that made the first NaN, and the first infinity, of the forward pass."""
    places = evidence.forward.made
    for kind, place in sorted(places.items(), key=lambda item: item[1]):
        operation = evidence.tape.operations[place]
        harmful = not evidence.sound or evidence.reaches_output(kind)
        found = evidence.forward.ranges[place]
        count = found.nans if kind == "nan" else found.infinities
        entries = f" in {count} of {found.size} entries" if found.size > 1 else ""
        what = (
            f"the forward pass made the first {_NAMES[kind]} in `{operation.name}`{entries}: "
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
    parents = sorted(set(evidence.tape.parents_of(place)))
    values = [(evidence.tape.variables[i], evidence.value_of(i)) for i in parents]
    parts = [f"{variable} = {value}" for variable, value in values if variable and value]
    return f", from {', '.join(parts)}" if parts else ""


def nonfinite_cotangents(evidence: Evidence) -> Iterator[Finding]:
    """Name the operation whose pullback made the first NaN, and the first infinity."""
    if any([evidence.reaches_output(kind) for kind in evidence.forward.made]):
        return  # the backward pass can but hand it on
    harmful = not evidence.sound
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
        f"the backward pass made the first {_NAMES[kind]} in the derivative of "
        f"`{operation.name}` by {argument}: {operation}, whose cotangent is {handed.got}."
    )
    if not harmful:
        what += (
            " It meets an exact zero, and zero stays zero: the gradient is finite."
            if evidence.repaired is not None
            else " No gradient has it."
        )
    value = evidence.value_of(handed.parent)
    fix = f"{argument} is {value}: " if value else ""
    fix += "keep it away from the point where the derivative is not finite (a small constant inside a root)."
    severity = "error" if harmful else "note" if evidence.repaired is None else "warning"
    return Finding(kind, severity, what, operation, fix)
