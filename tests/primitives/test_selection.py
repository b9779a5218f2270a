"""Selections that depend on the data, sets with ties, comparisons, and np.emath at its branch cuts."""

import numpy as np
import pytest

from funcgrad import errors, grad, jacrev, vjp, vmap


def jacobian_of_sum(fun, x):
    return grad(lambda x: np.sum(fun(x)))(x).tolist()


# --- choosing ------------------------------------------------------------------------------------


def test_a_function_of_piecewise_sees_its_own_entries():
    seen = []

    def root(v):
        seen.append(v.shape)
        return np.sqrt(v)

    x = np.array([-1.0, 4.0, 0.25])
    assert jacobian_of_sum(lambda x: np.piecewise(x, [x > 0], [root, 3.0]), x) == [0, 0.25, 1]
    assert seen == [(2,)]


@pytest.mark.parametrize("pieces", [[1.0, 2.0], [lambda v: v * v, 2.0], [3.0]])
def test_the_result_of_piecewise_can_be_written_into(pieces):
    def fun(x):
        y = np.piecewise(x, [x > 0], pieces)
        y[0] = x[1] ** 3
        return np.sum(y[:2])

    assert grad(fun)(np.array([-1.0, -2.0])).tolist() == [0, 12]


def test_coordinates_of_a_grid_can_be_written_into():
    def fun(x):
        y, _ = np.meshgrid(x, x)
        y[0, 1] = x[0] ** 2
        return np.sum(y)

    assert grad(fun)(np.array([3.0, 4.0])).tolist() == [8, 1]


def test_a_block_alone_is_a_copy():
    def fun(x):
        y = x * 1.0
        z = np.block([[y]])
        y[0] = 0
        return np.sum(z)

    assert grad(fun)(np.array([3.0, 4.0])).tolist() == [1, 1]


@pytest.mark.parametrize("small", [0, 500])
@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_choosing_from_small_and_from_large_arrays_is_the_same(monkeypatch, small, mode):
    monkeypatch.setattr("funcgrad.primitives.selection.SMALL", small)
    which = np.array([[0, 1], [2, 0]]) + 2 * (mode != "raise")
    fun = lambda x: np.choose(which, (x, x[0] ** 2, 3.0), mode=mode)  # noqa: E731
    x = np.array([2.0, 5.0])
    np.testing.assert_array_equal(vjp(fun, x)[0], fun(x))
    found = jacrev(fun)(x)
    expected = {"raise": [[[1, 0], [4, 0]], [[0, 0], [0, 1]]], "clip": [[[0, 0]] * 2] * 2}
    expected["wrap"] = [[[0, 0], [0, 1]], [[4, 0], [0, 0]]]
    assert found.tolist() == expected[mode]


@pytest.mark.parametrize("small", [0, 500])
def test_a_number_outside_the_choices_is_an_error(monkeypatch, small):
    monkeypatch.setattr("funcgrad.primitives.selection.SMALL", small)
    with pytest.raises(ValueError, match="choice"):
        grad(lambda x: np.sum(np.choose(np.array([0, 2]), (x, x))))(np.ones(2))


def test_no_condition_to_select_by_is_an_error():
    with pytest.raises(ValueError, match="not possible"):
        grad(lambda x: np.sum(np.select([], [], x)))(np.ones(2))
    with pytest.raises(ValueError, match="same length"):
        grad(lambda x: np.sum(np.select([x > 0], [x, x])))(np.ones(2))


@pytest.mark.parametrize(
    "fun",
    [
        np.unique,
        np.trim_zeros,
        np.flatnonzero,
        np.argwhere,
        lambda x: np.extract(x > 0, x),
        lambda x: np.compress(x > 0, x),
        lambda x: np.union1d(x, x),
        lambda x: np.bincount(x.astype(int)),
    ],
)
def test_a_shape_that_depends_on_mapped_data_is_an_error(fun):
    with pytest.raises(errors.TracerConversionError):
        vmap(fun)(np.ones((2, 3)))


# --- padding -------------------------------------------------------------------------------------


def test_a_padding_by_reflection_adds_up():
    assert jacobian_of_sum(lambda x: np.pad(x, 2, "reflect"), np.arange(3.0)) == [2, 3, 2]


def test_ties_share_the_padding_with_the_maximum():
    assert jacobian_of_sum(lambda x: np.pad(x, 1, "maximum"), np.array([1.0, 1.0])) == [2, 2]


@pytest.mark.parametrize("mode", ["edge", "mean", "linear_ramp"])
def test_nothing_can_be_padded_by_zeros_alone(mode):
    with pytest.raises(ValueError, match="empty axis"):
        grad(lambda x: np.sum(np.pad(x, 1, mode)))(np.zeros(0))


def test_a_padding_by_a_function_may_read_the_array():
    def double_the_ends(row, width, axis, options):
        row[0], row[-1] = 2 * row[1], 3 * row[-2]

    assert grad(lambda x: np.sum(np.pad(x, 1, double_the_ends)))(np.ones(3)).tolist() == [3, 1, 4]


def test_an_option_of_another_mode_is_an_error():
    with pytest.raises(ValueError, match="unsupported keyword"):
        grad(lambda x: np.sum(np.pad(x, 1, "edge", constant_values=1)))(np.ones(2))


# --- triangles -----------------------------------------------------------------------------------


def test_infinities_outside_a_triangle_do_not_matter():
    x = np.array([[1.0, np.inf], [2.0, 3.0]])
    assert jacobian_of_sum(np.tril, x) == [[1, 0], [1, 1]]


@pytest.mark.parametrize("k", [-4, 3])
def test_a_diagonal_outside_the_matrix_is_empty(k):
    assert jacobian_of_sum(lambda x: np.diag(x, k), np.ones((2, 3))) == [[0, 0, 0], [0, 0, 0]]


# --- sets ----------------------------------------------------------------------------------------


def test_the_first_of_equal_entries_takes_the_derivative_of_unique():
    assert jacobian_of_sum(np.unique, np.array([2.0, 1.0, 2.0, 1.0])) == [1, 1, 0, 0]


def test_the_first_array_takes_the_derivative_of_an_intersection():
    x = np.array([1.0, 2.0])
    found = grad(lambda x, y: np.sum(np.intersect1d(x, y)), (0, 1))(x, x[::-1].copy())
    assert [g.tolist() for g in found] == [[1, 1], [0, 0]]


# --- comparisons ---------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [0.0, 1.0, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("b", [0.0, 1.0 + 1e-9, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("equal_nan", [False, True])
def test_isclose_of_infinities_and_nan(a, b, equal_nan):
    x, y = np.array([a]), np.array([b])
    seen = []
    vjp(lambda x: seen.append(np.isclose(x, y, equal_nan=equal_nan)) or x, x)
    assert seen[0].tolist() == np.isclose(x, y, equal_nan=equal_nan).tolist()


def test_a_comparison_of_whole_arrays_is_a_bool():
    seen = []
    vjp(lambda x: seen.extend([np.allclose(x, x), np.array_equal(x, x[:1])]) or x, np.ones(2))
    assert seen == [True, False]
    assert [type(x) for x in seen] == [bool, bool]


def test_a_comparison_of_whole_arrays_under_vmap():
    x = np.array([[1.0, 1.0], [1.0, 2.0]])
    assert vmap(lambda x: np.allclose(x, 1.0))(x).tolist() == [True, False]


# --- np.emath ------------------------------------------------------------------------------------


def test_the_root_of_a_negative_number_is_complex():
    value, pull = vjp(np.emath.sqrt, np.array([-4.0]))
    assert value.tolist() == [2j]
    np.testing.assert_allclose(pull(np.array([1j]))[0], [0.25])


@pytest.mark.parametrize("x", [1.5, -1.5])
def test_the_arcsine_beyond_one_keeps_to_its_branch(x):
    found = jacrev(lambda x: np.emath.arcsin(x).imag)(x)
    step = 1e-6
    expected = (np.emath.arcsin(x + step) - np.emath.arcsin(x - step)).imag / (2 * step)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(4,), (2, 2)])
def test_the_indices_that_a_set_function_returns_may_be_changed(shape):
    def fun(x):
        found, index = np.unique(x, return_index=True)
        common, first, _ = np.intersect1d(x, x[..., :1], return_indices=True)
        index[:] = first[:] = 0
        return np.sum(found * [1, 2, 3, 4]) + np.sum(common)

    x = np.array([3.0, 1.0, 4.0, 2.0]).reshape(shape)
    expected = np.array([4.0, 1.0, 4.0, 2.0]) if x.ndim == 1 else np.array([[4.0, 1.0], [5.0, 2.0]])
    assert grad(fun)(x).tolist() == expected.tolist()
