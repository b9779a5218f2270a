"""profile: times and bytes by operation and by line, and files for the viewers."""

import json

import numpy as np
import pytest

from funcgrad import checkpoint, nn, profile, vmap
from funcgrad.errors import ArgumentError
from funcgrad.inspection.tables import duration_of, size_of


def loss(w, x):
    h = np.tanh(x @ w)
    return np.sum(h**2)


W, X = np.ones((20, 5)), np.ones((50, 20))


@pytest.fixture(scope="module")
def measured():
    return profile(loss, argnums=0, repeats=2)(W, X)


def test_every_operation_has_times_and_bytes(measured):
    assert [timed.operation.name for timed in measured.operations] == [
        "matmul",
        "tanh",
        "pow",
        "sum",
    ]
    assert all([timed.forward > 0 and timed.backward > 0 for timed in measured.operations])
    assert [timed.size for timed in measured.operations] == [2000, 2000, 2000, 8]
    assert measured.kept == 8000 + 2000
    assert measured.seconds > 0
    assert measured.peak > 8000


def test_costs_by_line_are_sums_over_its_operations(measured):
    lines = {cost.name: cost for cost in measured.by_line()}
    assert set(lines) == {"h = np.tanh(x @ w)", "return np.sum(h**2)"}
    cost = lines["h = np.tanh(x @ w)"]
    first, second = measured.operations[:2]
    assert (cost.calls, cost.kept, cost.size) == (2, 10_000, 4000)
    assert cost.seconds == pytest.approx(
        first.forward + second.forward + first.backward + second.backward
    )


def test_costs_are_sorted(measured):
    seconds = [cost.seconds for cost in measured.by_operation()]
    assert seconds == sorted(seconds, reverse=True)


def test_operations_of_one_line_are_counted_together():
    def chain(x):
        for _ in range(30):
            x = np.sin(x)
        return x

    (cost,) = profile(chain, repeats=1)(1.0).by_operation()
    assert (cost.name, cost.calls) == ("sin", 30)


def test_the_text_has_both_tables(measured):
    text = repr(measured)
    assert text.startswith("loss: ")
    assert "4 operations, 10 kB kept, peak" in text
    assert "by line" in text
    assert "by operation" in text
    assert measured._repr_html_().count("<table>") == 2


def test_a_long_table_is_abridged():
    source = "def f(x):\n" + "    x = np.sin(x)\n" * 30 + "    return x\n"
    space = {"np": np, "__name__": "elsewhere"}
    exec(compile(source, "long.py", "exec"), space)
    measured = profile(space["f"], repeats=1)(1.0)
    assert "... 10 more" in repr(measured)
    assert "... " not in measured.text(None)


@pytest.mark.parametrize(
    ("fun", "x"),
    [
        (vmap(np.tanh), np.ones((3, 2))),
        (checkpoint(np.sin), 0.5),
        (lambda x: np.abs(x), np.ones(2) * 1j),  # noqa: PLW0108
        (np.sum, np.ones((0, 3))),
        (lambda x: 3.0, 1.0),
        (lambda x: np.linalg.qr(x)[0], np.eye(3)),
    ],
)
def test_what_may_come(fun, x):
    assert len(repr(profile(fun, repeats=1)(x))) > 0


def test_a_program_that_differs_from_run_to_run():
    rng = np.random.default_rng(0)

    def noisy(x):
        for _ in range(rng.integers(1, 20)):
            x = np.sin(x)
        return x

    assert len(profile(noisy, repeats=4)(1.0).operations) > 0


def test_repeats_must_be_positive():
    with pytest.raises(ArgumentError, match="repeats must be at least 1"):
        profile(loss, repeats=0)


def test_units():
    assert [size_of(n) for n in (0, 999, 1000, 25_300, 4_000_000_000)] == [
        *["0 B", "999 B", "1 kB", "25.3 kB", "4 GB"]
    ]
    assert [duration_of(t) for t in (0.0, 3e-9, 1.5e-5, 0.012, 3.0)] == [
        *["0", "0.003 us", "15 us", "12 ms", "3 s"]
    ]


# --- files ---------------------------------------------------------------------------------------


def network():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    params = model.init(np.random.default_rng(0))

    def total(params, x):
        return np.sum(model.apply(params, x))

    return profile(total, argnums=0, repeats=1)(params, np.ones((5, 3)))


def check_nesting(opened):
    """Check that frames close in the order in which they opened, and time does not go back."""
    stack, before = [], 0.0
    for opens, name, at in opened:
        assert at >= before
        before = at
        if opens:
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []


def test_a_chrome_trace_has_balanced_events(tmp_path):
    network().to_chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert trace["displayTimeUnit"] in ("ms", "ns")
    kinds = {event["ph"] for event in trace["traceEvents"]}
    assert kinds == {"B", "E", "M", "C"}
    for event in trace["traceEvents"]:
        assert {"name", "ph", "pid"} <= set(event)
        assert event["ph"] == "M" or event["ts"] >= 0
    timed = [event for event in trace["traceEvents"] if event["ph"] in "BE"]
    check_nesting([(event["ph"] == "B", event["name"], event["ts"]) for event in timed])
    names = [event["name"] for event in timed if event["ph"] == "B"]
    assert names[:4] == [
        *["forward", "total", "0: Linear(in_dim=3, out_dim=4)"],
        next(name for name in names if name.startswith("affine (test_profiling.py:")),
    ]
    counter = [event["args"]["bytes"] for event in trace["traceEvents"] if event["ph"] == "C"]
    assert max(counter) > 0
    assert counter[-1] == 0


def test_a_speedscope_file_follows_the_schema(tmp_path):
    """https://www.speedscope.app/file-format-schema.json, which other tools validated it against."""
    network().to_speedscope(tmp_path / "profile.json")
    file = json.loads((tmp_path / "profile.json").read_text())
    assert file["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = file["shared"]["frames"]
    assert all([set(frame) <= {"name", "file", "line", "col"} for frame in frames])
    forward, backward, kept = file["profiles"]
    for profiled in (forward, backward):
        assert profiled["type"] == "evented"
        assert profiled["unit"] == "microseconds"
        check_nesting([(e["type"] == "O", e["frame"], e["at"]) for e in profiled["events"]])
        assert profiled["endValue"] == profiled["events"][-1]["at"]
    assert (kept["type"], kept["unit"]) == ("sampled", "bytes")
    assert len(kept["samples"]) == len(kept["weights"])
    assert sum(kept["weights"]) == kept["endValue"]
    used = {i for sample in kept["samples"] for i in sample}
    assert max(used) < len(frames)
    stack = [frames[i]["name"] for i in kept["samples"][0]]
    assert stack[:2] == ["total", "0: Linear(in_dim=3, out_dim=4)"]
