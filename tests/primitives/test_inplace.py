"""What writes into its argument: traced arrays change as NumPy's do, plain ones refuse traced values."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, jvp, vmap
from funcgrad.errors import UnsupportedError

X = np.array([0.5, -1.2, 2.0, 0.3])
MASK = np.array([True, False, True, False])
WRITES = [
    np.copyto,
    lambda y, v: np.put(y, [0, 1, 2, 3], v),
    lambda y, v: np.putmask(y, MASK, v),
    lambda y, v: np.place(y, MASK, v),
    lambda y, v: np.put_along_axis(y, np.arange(4), v, 0),
    lambda y, v: np.fill_diagonal(y.reshape(2, 2), v),
    lambda y, v: np.add.at(y, [0, 1, 1, 3], v),
    lambda y, v: np.maximum.at(y, [0, 1, 1, 3], v),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_plain_array_refuses_traced_values(write):
    with pytest.raises(FuncgradError, match="plain"):
        grad(lambda x: write(np.ones(4), x) or np.sum(x))(X)


@pytest.mark.parametrize("write", WRITES)
def test_a_traced_array_takes_plain_values(write):
    expected = X.copy()
    write(expected, np.arange(1.0, 5.0))

    def f(x):
        y = x * 1.0
        write(y, np.arange(1.0, 5.0))
        return y

    np.testing.assert_array_equal(jvp(f, (X,), (X,))[0], expected)


@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_seen_through_views_and_other_names(write):
    def f(x):
        y = np.zeros_like(x)
        other, tail = y, y[1:]
        write(y, x)
        return np.sum(other * [1, 2, 3, 4]) - np.sum(tail * [2, 3, 4]) - y[0]

    assert f(X) == 0
    assert grad(f)(X).tolist() == [0, 0, 0, 0]


def test_a_place_named_twice_is_changed_twice():
    # y[1] = x1 * x1 * x2: the derivative by x1 at the place is 2 x1 x2
    def f(x):
        y = x * 1.0
        np.multiply.at(y, [1, 1], x[1:3])
        return y[1]

    assert np.allclose(grad(f)(X), [0, 2 * X[1] * X[2], X[1] ** 2, 0])


def test_many_values_are_added_to_one_place_at_once():
    x = np.ones(10_000)

    def f(x):
        y = np.zeros(2, like=x)
        np.add.at(y, np.zeros(len(x), int), x)
        return y[0]

    assert f(x) == 10_000
    assert np.all(grad(f)(x) == 1)


def test_sort_in_place_takes_the_derivative_along():
    def f(x):
        y = x * 1.0
        y.sort()
        return y @ np.array([1.0, 10.0, 100.0, 1000.0])

    assert grad(f)(X).tolist() == [100, 1, 1000, 10]
    assert vmap(f)(np.stack([X, -X])).tolist() == [f(X), f(-X)]


def test_an_out_array_keeps_what_the_mask_leaves_out():
    def f(x):
        y = x * 3.0
        np.square(x, out=y, where=MASK)
        return np.sum(y)

    assert grad(f)(X).tolist() == [2 * X[0], 3, 2 * X[2], 3]


def test_a_mask_of_a_ufunc_needs_an_array_for_the_rest():
    with pytest.raises(UnsupportedError, match=r"np\.where"):
        grad(lambda x: np.sum(np.square(x, where=MASK)))(X)


def test_a_view_has_the_same_dtype_or_is_refused():
    assert grad(lambda x: np.sum(x.view() ** 2))(X).tolist() == (2 * X).tolist()
    with pytest.raises(UnsupportedError, match="astype"):
        grad(lambda x: np.sum(x.view(np.int64)))(X)


def test_a_shape_cannot_change_in_place():
    with pytest.raises(UnsupportedError, match=r"np\.resize"):
        grad(lambda x: x.resize(2, 4))(X)


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (lambda y: np.copyto(y, 1j), TypeError),
        (lambda y: np.place(y, MASK, []), ValueError),
        (lambda y: np.put(y, [9], 1.0), IndexError),
        (lambda y: np.fill_diagonal(y, 1.0), ValueError),
        (lambda y: np.fill_diagonal(y.reshape(1, 2, 2), 1.0), ValueError),
    ],
)
def test_what_numpy_refuses_raises_its_error(write, error):
    with pytest.raises(error):
        write(X.copy())
    with pytest.raises(error):
        grad(lambda x: write(x * 1.0))(X)


def test_arange_differentiates_its_ends():
    assert grad(lambda x: np.sum(np.arange(x[0], 3, 0.5, like=x)))(X)[0] == 5
    assert grad(lambda x: np.sum(np.arange(3) * x[0]))(X)[0] == 3


def test_an_iterator_that_ends_early_raises_numpys_error():
    with pytest.raises(ValueError, match="iterator too short"):
        grad(lambda x: np.sum(np.fromiter(iter([1.0]), float, 2, like=x)))(X)
