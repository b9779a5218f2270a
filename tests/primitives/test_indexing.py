"""Reading entries: repeated, masked and mixed indices; np.where with a dead branch; clipping."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, hessian, jacfwd, vjp, vmap
from funcgrad.constants import COPY_BYTES
from funcgrad.errors import MutatedConstantError, TracerConversionError

X = np.arange(1.0, 13.0).reshape(3, 4)


def gradient(fun, x):
    """Return the gradient, on which both modes must agree."""
    reverse, forward = grad(fun)(x), jacfwd(fun)(x)
    np.testing.assert_array_equal(forward, reverse)
    return reverse


def reads(index, shape=(3, 4)):
    """Return how often each entry is read: the gradient of the sum of x[index]."""
    return gradient(lambda x: np.sum(x[index]), np.ones(shape)).tolist()


# --- indices -------------------------------------------------------------------------------------


def test_a_repeated_index_collects_every_cotangent():
    assert reads([0, 2, 2, 2, -1], 3) == [1, 0, 4]
    assert reads((np.array([0, 0, 2]), np.array([1, 1, 3])))[0] == [0, 2, 0, 0]


def test_repeated_indices_weigh_each_cotangent():
    x = gradient(lambda x: x[[1, 1, 0]] @ np.array([1.0, 10.0, 100.0]), np.ones(2))
    assert x.tolist() == [100, 11]


def test_a_mask_reads_what_it_covers():
    assert reads(np.array([True, False, True]), 3) == [1, 0, 1]
    assert reads(X > 10) == (X > 10).astype(float).tolist()
    assert reads(np.zeros((3, 4), bool)) == np.zeros((3, 4)).tolist()


def test_a_mask_of_the_traced_array_itself():
    x = np.array([-1.0, 2.0, 3.0])
    assert gradient(lambda x: np.sum(x[x > 0] ** 2), x).tolist() == [0, 4, 6]


def test_newaxis_and_ellipsis_read_all():
    for index in (None, ..., (..., None), (None, ..., None), ()):
        assert reads(index) == np.ones((3, 4)).tolist()


def test_index_arrays_that_stand_apart_read_as_in_numpy():
    index = (np.array([0, 1]), slice(None), np.array([1, 1]))
    x = np.arange(24.0).reshape(2, 3, 4)
    out, pull = vjp(lambda x: x[index], x)
    assert out.shape == (2, 3)
    np.testing.assert_array_equal(out, x[index])
    expected = np.zeros((2, 3, 4))
    expected[index] = [[1, 2, 3], [4, 5, 6]]
    np.testing.assert_array_equal(pull(np.arange(1.0, 7).reshape(2, 3))[0], expected)


def test_python_booleans_are_masks_not_numbers():
    assert reads(True) == np.ones((3, 4)).tolist()
    assert reads(False) == np.zeros((3, 4)).tolist()


def test_an_entry_read_in_a_loop_collects_every_cotangent():
    def loss(x):
        total = 0.0
        for i in range(3):
            for j in range(4):
                total = total + x[i, j] * x[i][j] + x[i, j]
        return total

    np.testing.assert_array_equal(gradient(loss, X), 2 * X + 1)


def test_reading_and_using_the_whole_adds_up():
    x = np.array([1.0, 2.0, 3.0])
    assert gradient(lambda x: np.sum(x) * x[0] + np.sum(x[1:]), x).tolist() == [7, 2, 2]
    assert gradient(lambda x: np.sum(x[1:]) + np.sum(x) * x[0], x).tolist() == [7, 2, 2]


def test_second_derivatives_through_repeated_indices():
    found = hessian(lambda x: np.sum(x[[0, 0, 1]] ** 3))(np.array([1.0, 2.0]))
    assert found.tolist() == [[12, 0], [0, 12]]


@pytest.mark.parametrize("index", [3, -4, (0, 9), (0, 0, 0), [0, 7], 1.0, "a", np.ones(7, bool)])
def test_a_wrong_index_is_an_index_error(index):
    with pytest.raises(IndexError):
        np.ones((3, 4))[index]
    with pytest.raises(IndexError):
        grad(lambda x: np.sum(x[index]))(np.ones((3, 4)))


def test_a_traced_number_is_no_index():
    for fun in (lambda x: np.arange(5.0)[x] * x, lambda x: X[x, 0] * x, range):
        with pytest.raises((FuncgradError, IndexError)):
            grad(fun)(1.0)


def test_a_mapped_index_of_a_plain_array_raises_and_names_the_way_out():
    with pytest.raises(TracerConversionError, match=r"np\.array\(x, like=i\)\[i\]"):
        vmap(lambda i: X[i])(np.array([0, 2]))
    found = vmap(lambda i: np.array(X, like=i)[i])(np.array([0, 2]))
    np.testing.assert_array_equal(found, X[[0, 2]])


def test_a_whole_number_computed_from_a_traced_one_is_an_index():
    assert grad(lambda x: x * np.arange(5.0)[int(x)])(3.0) == 3
    assert grad(lambda x: x[np.argmax(x)])(np.array([1.0, 3.0, 2.0])).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("index", "change"),
    [
        (np.array([0, 1]), lambda i: i.fill(2)),
        ([0, 1], lambda i: i.reverse() or i.append(2)),
        (np.array([True, True, False]), lambda i: i.fill(False)),
        ((np.array([0, 1]),), lambda i: i[0].fill(2)),
    ],
)
def test_an_index_changed_after_its_use_counts_as_it_was(index, change):
    def loss(x):
        y = x[index]
        change(index)
        return np.sum(y)

    assert grad(loss)(np.ones(3)).tolist() == [1, 1, 0]


def test_indices_of_take_changed_after_their_use_count_as_they_were():
    def loss(x):
        i, j, n = np.array([0, 1]), np.array([1, 1]), np.array([2, 0, 1])
        y = np.sum(np.take(x, i)) + np.sum(np.take_along_axis(x, j, 0)) + np.sum(np.repeat(x, n))
        i[:], j[:], n[:] = 2, 2, 1
        return y

    assert grad(loss)(np.ones(3)).tolist() == [3, 3, 1]


def test_a_large_index_changed_after_its_use_raises():
    def loss(x):
        i = np.zeros(COPY_BYTES, int)
        y = np.sum(x[i])
        i[:] = 1
        return y

    with pytest.raises(MutatedConstantError):
        grad(loss)(np.ones(3))


# --- where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fun", "points", "expected"),
    [
        (lambda x: np.where(x > 0, np.log(np.abs(x)), 0), [0.0, 2.0], [0, 0.5]),
        (lambda x: np.where(x != 0, 1 / x, 0), [0.0, 2.0], [0, -0.25]),
        (lambda x: np.where(x != 0, x / x, 1), [0.0, 2.0], [0, 0]),
        (lambda x: np.where(x > 0, x**0.5, 0), [0.0, 4.0], [0, 0.25]),
        (lambda x: np.where(x > 0, x**-1.0, 0), [0.0, 2.0], [0, -0.25]),
        (lambda x: np.where(x > 0, np.sqrt(x), 0), [0.0, 4.0], [0, 0.25]),
        (lambda x: np.where(x > 0, np.log(x), 0), [0.0, 2.0], [0, 0.5]),
        (lambda x: np.where(x > 0, np.log(x), 0), [-1.0, 2.0], [0, 0.5]),
        (lambda x: np.where(x > 0, np.sqrt(x), 0), [-1.0, 4.0], [0, 0.25]),
        (lambda x: np.where(x > 0, x**0.5, x), [-1.0, 4.0], [1, 0.25]),
        (lambda x: np.where(x > 0, x, np.exp(1000 * x)), [1.0, -1.0], [1, 0]),
        (lambda x: np.where(np.abs(x) < 1, np.arcsin(x), 0), [1.0, 0.0], [0, 1]),
        (lambda x: np.where(x > 0, np.log(np.sqrt(x)), 0), [0.0, 2.0], [0, 0.25]),
        (lambda x: np.where(x == 0, 1, np.sin(x) / x), [0.0], [0]),
    ],
)
def test_a_dead_branch_leaves_no_trace(fun, points, expected):
    x = np.array(points)
    with np.errstate(all="ignore"):
        found = gradient(lambda x: np.sum(fun(x)), x)
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_a_dead_branch_leaves_no_trace_in_second_derivatives():
    x = np.array([0.0, 2.0])
    with np.errstate(all="ignore"):
        found = hessian(lambda x: np.sum(np.where(x > 0, np.log(x), 0)))(x)
    assert found.tolist() == [[0, 0], [0, -0.25]]


def test_a_live_infinite_slope_is_seen():
    with np.errstate(all="ignore"):
        assert grad(lambda x: np.where(x >= 0, np.sqrt(x), 0))(0.0) == np.inf


def test_a_live_nan_is_seen():
    assert np.isnan(grad(lambda x: x * np.nan)(1.0))


def test_differentiating_warns_of_nothing():
    with np.errstate(all="ignore"):
        _, pull = vjp(lambda x: np.where(x > 0, np.log(x), 0), np.array([0.0, 1.0]))
    assert pull(np.ones(2))[0].tolist() == [0, 1]


def test_a_traced_condition_is_compared_with_zero():
    x = np.array([0.0, 2.0])
    assert gradient(lambda x: np.sum(np.where(x, x * x, 5 * x)), x).tolist() == [5, 4]


def test_a_condition_of_numbers_is_compared_with_zero():
    for condition in (np.array([0, 2]), np.array([0.0, -0.5]), [0, 1]):
        found = gradient(lambda x, c=condition: np.sum(np.where(c, x, 5 * x)), np.ones(2))
        assert found.tolist() == [5, 1]


def test_where_without_branches_gives_plain_positions():
    def loss(x):
        (positions,) = np.where(x > 1)
        assert type(positions) is np.ndarray
        return np.sum(x[positions])

    assert gradient(loss, np.array([0.0, 2.0, 3.0])).tolist() == [0, 1, 1]


def test_a_condition_changed_after_its_use_counts_as_it_was():
    def loss(x):
        condition = np.array([True, False, True])
        y = np.where(condition, x, 2 * x)
        condition[:] = False
        return np.sum(y)

    assert grad(loss)(np.ones(3)).tolist() == [1, 2, 1]


def test_a_large_condition_changed_after_its_use_raises():
    def loss(x):
        condition = np.ones(COPY_BYTES + 1, bool)
        y = np.where(condition, x, 0)
        condition[:] = False
        return np.sum(y)

    with pytest.raises(MutatedConstantError):
        grad(loss)(1.0)


def test_where_keeps_single_precision():
    x = np.ones(3, np.float32)
    out, pull = vjp(lambda x: np.where(x > 0, x, 0.0), x)
    assert out.dtype == pull(x)[0].dtype == np.float32


# --- clip, take, sort ----------------------------------------------------------------------------


def test_clip_shares_the_derivative_at_its_bounds():
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert gradient(lambda x: np.sum(np.clip(x, 0, 1)), x).tolist() == [0, 0.5, 1, 0.5, 0]


def test_clip_differentiates_its_bounds():
    x = np.array([-1.0, 0.5, 2.0, 3.0])
    low, high = grad(lambda low, high: np.sum(np.clip(x, low, high)), (0, 1))(0.0, 1.0)
    assert (low, high) == (1, 2)


def test_sort_hands_equal_entries_on_by_position():
    x = np.array([2.0, 1.0, 2.0])
    assert gradient(lambda x: np.sort(x) @ np.array([1.0, 10.0, 100.0]), x).tolist() == [10, 1, 100]


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: np.clip(x, 0, 1, out=np.zeros(3)),
        lambda x: np.take(x, [0], out=np.zeros(1)),
        lambda x: np.clip(x, 0, 1, where=np.array([True, False, True])),
    ],
)
def test_an_option_without_a_rule_is_refused(fun):
    with pytest.raises(TypeError):
        grad(lambda x: np.sum(fun(x)))(np.ones(3))


def test_take_reads_booleans_as_numpy_does():
    x, mask = np.array([1.0, 2.0, 3.0]), np.array([True, False, True])
    out, pull = vjp(lambda x: np.take(x, mask), x)
    np.testing.assert_array_equal(out, np.take(x, mask))
    assert pull(np.ones(3))[0].tolist() == [1, 2, 0]


def test_take_refuses_an_index_out_of_bounds_as_numpy_does():
    with pytest.raises(IndexError):
        grad(lambda x: np.sum(np.take(x, [3])))(np.ones(3))
    assert grad(lambda x: np.sum(np.take(x, [3], mode="wrap")))(np.ones(3)).tolist() == [1, 0, 0]
    assert grad(lambda x: np.sum(np.take(x, [3], mode="clip")))(np.ones(3)).tolist() == [0, 0, 1]
    assert grad(lambda x: np.sum(np.take(x, [-1], mode="clip")))(np.ones(3)).tolist() == [1, 0, 0]


def places(n, *shape):
    """Return indices from -n to n - 1, in some disorder."""
    return (np.arange(np.prod(shape)) * 37 % (2 * n) - n).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "index"),
    [
        ((50, 16), places(50, 300)),
        ((50, 4, 4), places(50, 30, 10)),
        ((20, 30), (places(20, 400), places(30, 400))),
        ((20, 30, 3), (places(20, 40, 1), places(30, 1, 40))),
        (
            (5, 6),
            (abs(places(4, 400)).astype(np.uint8), places(6, 400).astype(np.int8)),
        ),
    ],
)
def test_reading_many_rows_adds_up_their_cotangents(shape, index):
    x = np.zeros(shape)
    ct = np.cos(np.arange(x[index].size)).reshape(x[index].shape)
    expected = np.zeros(shape)
    np.add.at(expected, index, ct)
    for layout in (np.ascontiguousarray, np.asfortranarray):
        (gradient,) = vjp(lambda x: x[index], layout(x))[1](ct)
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-12)
    (twice,) = vjp(lambda x: x[index] + x[index], x)[1](ct)
    np.testing.assert_allclose(twice, 2 * expected, rtol=1e-12, atol=1e-12)
