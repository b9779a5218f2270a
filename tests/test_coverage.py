"""The coverage page is true, and every public function of NumPy and `scipy.special` is classified."""

from pathlib import Path

import pytest

from funcgrad import __file__ as package

pytest.importorskip("scipy")

from tools.coverage.page import page, versions
from tools.coverage.probes import SPELLED, samples
from tools.coverage.states import named, states

PAGE = Path(package).parents[1] / "docs" / "coverage.md"


@pytest.fixture(scope="module")
def text():
    return PAGE.read_text(encoding="utf-8")


def test_every_public_function_is_classified():
    unknown = [name for name, (state, _) in states().items() if state == "unclassified"]
    assert not unknown, (
        f"give {unknown} a rule and a sample, or a reason in tools/coverage/states.py"
    )


def test_no_reason_is_given_for_a_function_with_a_rule():
    found = states()
    stale = [name for name, given in named().items() if found.get(name, given) != given]
    assert not stale


def test_every_row_has_a_sample():
    missing = [name for name, sample in samples().items() if sample is None]
    assert not missing
    assert set(SPELLED) <= set(samples())


def test_the_page_is_what_the_command_writes(text):
    numpy, scipy = versions()
    if f"NumPy {numpy} and SciPy {scipy}" not in text:
        pytest.skip("the page is of another NumPy or SciPy")
    assert page() == text, "run python -m tools.coverage --write"


def test_nearly_all_rows_work(text):
    shares = [
        float(line.split("|")[3].strip(" %"))
        for line in text.splitlines()
        if " of " in line and "%" in line
    ]
    assert len(shares) == 4
    assert min(shares) >= 98
