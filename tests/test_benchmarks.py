"""The benchmarks measure what they say: derivatives by hand are right, pages are filled, exponents fitted."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import growth, libraries, page, suite, timing
from benchmarks.workloads import WORKLOADS

ALL = [*WORKLOADS, growth.DEEP]
BOTH = {name: libraries.LIBRARIES[name]() for name in ("by hand", "funcgrad")}


@pytest.mark.parametrize("dtype", timing.DTYPES)
@pytest.mark.parametrize("workload", ALL, ids=lambda workload: workload.name)
def test_derivative_by_hand_is_that_of_the_program(workload, dtype):
    args = workload.arguments(workload.quick, dtype)
    runs = {name: suite.derivative(name, BOTH[name], workload, args) for name in BOTH}
    suite.check(runs, BOTH, dtype)
    assert {np.asarray(result).dtype for run in runs.values() for result in run()} == {
        np.dtype(dtype)
    }


@pytest.mark.parametrize("workload", ALL, ids=lambda workload: workload.name)
def test_program_leaves_its_arguments_as_they_are(workload):
    args = workload.arguments(workload.quick, "float64")
    before = [arg.copy() for arg in args]
    workload.by_hand(*args)
    workload.program(np, *args)
    for arg, old in zip(args, before, strict=True):
        np.testing.assert_array_equal(arg, old)


def test_check_refuses_results_that_differ():
    runs = {"by hand": lambda: [np.ones(3)], "funcgrad": lambda: [np.array([1.0, 1.0, 1.1])]}
    with pytest.raises(AssertionError, match="funcgrad"):
        suite.check(runs, BOTH, "float64")


def test_names_of_workloads_are_different():
    names = [workload.name for workload in ALL]
    assert len(set(names)) == len(names)


def test_a_row_has_times_ratios_and_memory():
    options = timing.Options(3, 1e-5, True, tuple(BOTH), None)
    row = suite.measure(WORKLOADS[0], 10, "float64", BOTH, options)
    assert set(row["seconds"]) == set(row["peak"]) == {"by hand", "funcgrad"}
    assert set(row["ratios"]) == {"by hand"}
    assert set(row["over primal"]) == {"funcgrad"}


def test_geometric_mean_over_workloads():
    rows = [{"over primal": {"funcgrad": 2.0}}, {"over primal": {"funcgrad": 8.0, "torch": 3.0}}]
    means = suite.over_primal(rows)
    assert means["funcgrad"] == {"mean": pytest.approx(4.0), "count": 2}
    assert means["torch"] == {"mean": pytest.approx(3.0), "count": 1}


def test_exponent_of_a_power_is_its_power():
    assert timing.exponent([10, 100, 1000], [3e-3, 3e-1, 3e1]) == pytest.approx(2.0)


def test_rounds_stop_at_the_limit_but_not_before_the_third():
    times = timing.interleaved({"nothing": lambda: None}, 10, 1e-5, limit=0.0)
    assert len(times["nothing"]) == 3


def test_peak_counts_the_bytes_of_an_array():
    assert 8_000_000 <= suite.peak(lambda: np.zeros(1_000_000)) < 8_100_000


def test_filling_a_page_keeps_the_words_around_the_blocks():
    text = "before\n<!-- begin a -->\nold\n<!-- end a -->\nafter"
    filled = page.fill(text, {"a": r"| \1 |"})
    assert filled == "before\n<!-- begin a -->\n\n| \\1 |\n\n<!-- end a -->\nafter"
    assert page.fill(filled, {"a": r"| \1 |"}) == filled


def test_a_page_without_the_markers_is_refused():
    with pytest.raises(ValueError, match="markers for a"):
        page.fill("nothing here", {"a": ""})


def test_the_page_in_the_docs_has_a_place_for_every_block():
    text = Path(__file__).parents[1].joinpath("docs", "benchmarks.md").read_text()
    rows = [
        {
            "workload": "w",
            "dtype": dtype,
            "seconds": {"funcgrad": 1.0},
            "ratios": {},
            "over primal": {"funcgrad": 3.0},
            "peak": {"funcgrad": 1},
        }
        for dtype in timing.DTYPES
    ]
    figures = {
        "suite": rows,
        "overhead": [{"chain": "c", "size": "1", "seconds": {"funcgrad": 1.0}, "ratios": {}}],
        "resident": [{"workload": "w", "resident": {"torch": 1}}],
        "growth": [],
    }
    contents = page.blocks(figures)
    assert page.fill(text, contents)
    assert set(re.findall("<!-- begin (.*?) -->", text)) == set(contents)
