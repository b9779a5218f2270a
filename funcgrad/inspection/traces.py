"""Files of profiles for the viewers in a browser: Chrome's trace events, and speedscope.

Formats: "Trace Event Format" (Google, 2016), read by chrome://tracing and ui.perfetto.dev; and
https://www.speedscope.app/file-format-schema.json.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from funcgrad.inspection.calls import Call
from funcgrad.inspection.operations import Operation


class Span(NamedTuple):
    """An operation and the seconds it took."""

    operation: Operation
    seconds: float


class Event(NamedTuple):
    """A frame opens or closes, at a time in microseconds."""

    opens: bool
    frame: dict[str, Any]
    at: float


def _frame_of_call(call: Call) -> dict[str, Any]:
    return {"name": call.name}


def _frame_of(operation: Operation) -> dict[str, Any]:
    where = operation.where
    if where is None:
        return {"name": operation.name}
    return {"name": f"{operation.name} ({where})", "file": where.file, "line": where.line}


def events(spans: Sequence[Span], start: float = 0.0) -> Iterator[Event]:
    """Lay operations end to end, each inside the calls of the functions it stands in."""
    at, stack = start, list[Call]()
    for operation, seconds in spans:
        path = operation.call.path() if operation.call else []
        common = 0
        while common < min(len(stack), len(path)) and stack[common] is path[common]:
            common += 1
        while len(stack) > common:
            yield Event(False, _frame_of_call(stack.pop()), at)
        for call in path[common:]:
            stack.append(call)
            yield Event(True, _frame_of_call(call), at)
        frame = _frame_of(operation)
        yield Event(True, frame, at)
        at += seconds * 1e6
        yield Event(False, frame, at)
    while stack:
        yield Event(False, _frame_of_call(stack.pop()), at)


def _duration(spans: Sequence[Span]) -> float:
    return sum([span.seconds for span in spans]) * 1e6


def write_chrome_trace(
    path: str | Path, name: str, forward: Sequence[Span], backward: Sequence[Span]
) -> None:
    """Write trace events: a row for the two passes, a counter of the bytes kept."""
    same = {"pid": 1, "tid": 1}
    found: list[dict[str, Any]] = [
        {"name": "process_name", "ph": "M", **same, "args": {"name": name}},
        {"name": "thread_name", "ph": "M", **same, "args": {"name": "forward, then backward"}},
    ]
    start = 0.0
    for phase, spans in (("forward", forward), ("backward", backward)):
        end = start + _duration(spans)
        found.append({"name": phase, "cat": phase, "ph": "B", "ts": start, **same})
        for event in events(spans, start):
            frame = dict(event.frame)
            shown = {"name": frame.pop("name"), "cat": phase, "ph": "B" if event.opens else "E"}
            found.append({**shown, "ts": event.at, **same, "args": frame})
        found.append({"name": phase, "cat": phase, "ph": "E", "ts": end, **same})
        start = end
    found += _counters(forward, backward)
    trace = {"traceEvents": found, "displayTimeUnit": "ms", "otherData": {"exporter": "funcgrad"}}
    Path(path).write_text(json.dumps(trace), encoding="utf-8")


def _counters(forward: Sequence[Span], backward: Sequence[Span]) -> Iterator[dict[str, Any]]:
    """Count the bytes that the tape keeps: they grow forward and shrink backward."""
    at, kept = 0.0, 0
    for sign, spans in ((1, forward), (-1, backward)):
        for operation, seconds in spans:
            at += seconds * 1e6
            kept += sign * operation.kept
            if operation.kept:
                yield {"name": "bytes kept", "ph": "C", "ts": at, "pid": 1, "args": {"bytes": kept}}


def write_speedscope(
    path: str | Path, name: str, forward: Sequence[Span], backward: Sequence[Span]
) -> None:
    """Write three profiles: the time forward, the time backward, the bytes kept."""
    frames: dict[str, int] = {}

    def number(frame: dict[str, Any]) -> int:
        return frames.setdefault(json.dumps(frame), len(frames))

    profiles = []
    for phase, spans in (("forward", forward), ("backward", backward)):
        opened = [
            {"type": "O" if e.opens else "C", "frame": number(e.frame), "at": e.at}
            for e in events(spans)
        ]
        profiles.append(
            {
                "type": "evented",
                "name": phase,
                "unit": "microseconds",
                "startValue": 0,
                "endValue": opened[-1]["at"] if opened else 0,
                "events": opened,
            }
        )
    kept = [span.operation for span in forward if span.operation.kept]
    samples = [[number(f) for f in (*map(_frame_of_call, _path(o)), _frame_of(o))] for o in kept]
    profiles.append(
        {
            "type": "sampled",
            "name": "bytes kept",
            "unit": "bytes",
            "startValue": 0,
            "endValue": sum([o.kept for o in kept]),
            "samples": samples,
            "weights": [o.kept for o in kept],
        }
    )
    file = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": name,
        "exporter": "funcgrad",
        "activeProfileIndex": 0,
        "shared": {"frames": [json.loads(frame) for frame in frames]},
        "profiles": profiles,
    }
    Path(path).write_text(json.dumps(file), encoding="utf-8")


def _path(operation: Operation) -> list[Call]:
    return operation.call.path() if operation.call else []
