"""Kinks, steps and singular points that are hit exactly, or nearly."""

from collections.abc import Iterator

from funcgrad.inspection.findings import Evidence, Finding
from funcgrad.inspection.forward import Hit
from funcgrad.inspection.kinks import meaning
from funcgrad.inspection.nonfinite import nonfinite_cotangents, nonfinite_values

_CONSEQUENCES = {
    "kink": " One of several derivatives is taken.",
    "step": " Which side counts is a tie.",
}


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


def _blamed(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Return the operations, and their lines, that were found to make a NaN or an infinity."""
    for question in (nonfinite_values, nonfinite_cotangents):
        for finding in question(evidence):
            if finding.operation is not None:
                yield finding.operation.name, str(finding.where)
