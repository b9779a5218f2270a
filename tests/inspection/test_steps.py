"""What check_grads says of kinks and singular points on the way of its central differences."""

import warnings

import numpy as np
import pytest

from funcgrad import nn
from funcgrad.errors import CheckError, KinkWarning
from funcgrad.testing import check_grads


@pytest.mark.parametrize(
    ("fun", "x", "told"),
    [
        (
            lambda x: np.sum(np.abs(x)),
            [0.0, 1.0],
            "`absolute` meets a kink exactly, the argument is 0",
        ),
        (lambda x: np.sum(np.maximum(x, 0)), [0.0, 1.0], "`maximum` meets a kink exactly"),
        (lambda x: np.max(x), [1.0, 1.0, 0.0], "several entries are the extreme one"),  # noqa: PLW0108
        (lambda x: np.sum(np.abs(x)), [1e-9, 1.0], "a kink between the two ends of the step"),
    ],
)
def test_a_check_at_a_kink_warns(fun, x, told):
    with pytest.warns(KinkWarning, match=told) as record:
        check_grads(fun, (np.array(x),), order=1, rtol=1, atol=2)
    assert record[0].filename == __file__
    assert "at test_steps.py:" in str(record[0].message)


def test_a_step_too_near_a_singular_point_warns():
    with pytest.warns(KinkWarning, match="`log` meets a singular point at a distance of 0.0001"):
        check_grads(lambda x: np.sum(np.log(x)), (np.array([1e-4, 1.0]),), order=1, atol=1)


def test_a_failed_check_says_what_was_in_the_way():
    with pytest.raises(CheckError) as error:
        check_grads(nn.relu, (np.array([0.0, 1.0]),), order=1)
    assert "`less_equal` meets a step exactly, the two sides are equal." in error.value.__notes__[0]


@pytest.mark.parametrize(
    ("fun", "x"),
    [
        (np.tanh, [0.0, 1.0]),
        (nn.sigmoid, [0.0, 1.0]),  # compares with 0, and is smooth there
        (nn.softmax, [0.0, 1.0, 1.0]),  # subtracts the largest entry, a constant
        (lambda x: np.maximum(x, x), [0.0, 1.0]),
        (lambda x: np.log(x) + 1 / x, [1.0, 2.0]),
        (lambda x: x**2, [0.0, 1.0]),
        (lambda x: np.where(x > 0, x**2, 0.0), [1.0, -1.0]),
    ],
)
def test_a_check_away_from_kinks_says_nothing(fun, x):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_grads(fun, (np.array(x),), order=1)


def test_a_program_that_differs_at_the_ends_of_the_step():
    def f(x):
        return np.sin(x) if x > 1 else np.sin(x) * np.cos(x)

    with pytest.raises(CheckError) as error:
        check_grads(f, (1.0,), order=1)
    assert "other operations at the two ends" in error.value.__notes__[0]
