"""NumPy's functions that write: into traced arrays as NumPy does, into plain ones an error with the way out."""

import numpy as np
import pytest

from funcgrad import grad, jacfwd, jacrev, jvp, value_and_grad, vjp, vmap
from funcgrad.errors import FuncgradError, UnsupportedError
from funcgrad.testing import check_grads

X = np.array([0.5, 1.3, 2.1])
M = np.array([[0.3, 1.1, 0.7], [0.9, 0.2, 1.6]])
PLACES = np.array([2, 0, 2, 1])
V = np.array([0.4, 1.5, -0.6, 0.8])


def check(fun, x):
    """Check values, both modes, and vmap of both against NumPy and central differences."""
    step = 1e-6
    units = np.eye(x.size).reshape(-1, *x.shape)
    slopes = np.stack([(fun(x + step * e) - fun(x - step * e)) / (2 * step) for e in units], -1)
    for jacobian in (jacrev(fun), jacfwd(fun)):
        np.testing.assert_allclose(jacobian(x).reshape(slopes.shape), slopes, rtol=1e-6, atol=1e-8)
        batch = np.stack([x + 0.05, x])
        np.testing.assert_allclose(vmap(jacobian)(batch)[1], jacobian(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(vmap(fun)(batch), np.stack([fun(batch[0]), fun(x)]), rtol=1e-13)


# --- ufunc.at ------------------------------------------------------------------------------------

UFUNCS = [
    *[np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.arctan2, np.hypot],
    *[np.logaddexp, np.fmax, np.copysign],
]


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "index",
    [PLACES, [2, 0, 2, 1], np.array([True, False, True]), slice(0, 2), 1, -1, np.array([], int)],
    ids=["array", "list", "mask", "slice", "int", "negative", "empty"],
)
def test_ufunc_at_acts_on_repeated_entries_repeatedly(ufunc, index):
    n = np.arange(3)[index].size

    def fun(x):
        y, v = x * 1.0, (np.concatenate([x, x[:1]]) * V)[:n]
        view = y[::-1]
        ufunc.at(y, index, v if n > 1 else 0.7)
        return view * y

    check(fun, X)


@pytest.mark.parametrize("ufunc", [np.negative, np.sin, np.square], ids=lambda f: f.__name__)
def test_ufunc_at_of_one_argument(ufunc):
    def fun(x):
        y = x * 1.0
        ufunc.at(y, PLACES)
        return y * x

    check(fun, X)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply], ids=lambda f: f.__name__)
def test_ufunc_at_of_a_table(ufunc):
    def fun(m):
        y = m * 1.0
        ufunc.at(y.T, ([0, 2, 0], [1, 0, 1]), m[0])
        ufunc.at(y, (slice(None), [0, 0]), m[:, :1])
        return y

    check(fun, M)


def test_add_at_a_mapped_index_is_a_loop():
    def fun(x, i):
        y = x * 1.0
        np.add.at(y, i, x[:2] ** 2)
        return y

    indices = np.array([[0, 0], [2, 1]])
    batch = np.stack([X, 2 * X])
    np.testing.assert_allclose(
        vmap(fun)(batch, indices), [fun(*row) for row in zip(batch, indices)]
    )


def test_multiply_at_a_mapped_index_raises():
    def fun(x, i):
        y = x * 1.0
        np.multiply.at(y, i, x[:2])
        return y

    with pytest.raises(FuncgradError, match="fallback"):
        vmap(fun)(np.stack([X, X]), np.array([[0, 0], [2, 1]]))


@pytest.mark.parametrize(
    "ufunc",
    [
        f
        for f in vars(np).values()
        if isinstance(f, np.ufunc) and (f.nin, f.nout, f.signature) == (2, 1, None)
    ],
)
def test_ufunc_at_of_a_plain_array_raises(ufunc):
    plain = np.zeros(3)
    with pytest.raises(UnsupportedError, match="plain array"):
        grad(lambda x: ufunc.at(plain, [0, 1, 1], x))(X)
    assert not plain.any()


# --- functions and methods that write ------------------------------------------------------------

FUNCTIONS = {
    "copyto": lambda y, x: np.copyto(y, x[::-1] ** 2),
    "copyto of a number": lambda y, x: np.copyto(y, x[0]),
    "copyto of a Python number": lambda y, x: np.copyto(y, 2, casting="no"),
    "copyto where": lambda y, x: np.copyto(y, x[::-1] ** 2, where=[True, False, True]),
    "copyto where traced": lambda y, x: np.copyto(y, 0.0, where=x > 1),
    "put": lambda y, x: np.put(y, [0, -1], x[:2] ** 2),
    "put few": lambda y, x: np.put(y, [0, 1, 2], x[:2] ** 2),
    "put repeated": lambda y, x: y.put([1, 1], x[:2] ** 2),
    "put clip": lambda y, x: y.put([-5, 77], x[:2] ** 2, mode="clip"),
    "put wrap": lambda y, x: y.put([-5, 77], x[:2] ** 2, mode="wrap"),
    "put nothing": lambda y, x: y.put([], []),
    "putmask": lambda y, x: np.putmask(y, x > 1, x[:2] ** 2),
    "place": lambda y, x: np.place(y, x > 1, x[:2] ** 2),
    "put_along_axis": lambda y, x: np.put_along_axis(y, np.argsort(-x)[:1], x[1:2] ** 2, 0),
    "fill": lambda y, x: y.fill(x[0] ** 2),
    "sort": lambda y, x: y[::-1].sort(),
    "partition": lambda y, x: y[::-1].partition(1),
    "flat": lambda y, x: y.flat.__setitem__(slice(None, None, 2), x[0] ** 2),
    "ufunc out": lambda y, x: np.multiply(x, x, out=y),
    "ufunc out of a constant": lambda y, x: np.add([1.0, 2.0, 3.0], 1.0, out=y),
    "ufunc out where": lambda y, x: np.exp(x, out=y, where=x > 1),
    "matmul out": lambda y, x: np.matmul(np.outer(x, x), x, out=y),
    "sum out": lambda y, x: np.sum(np.outer(x, x), 0, out=y),
    "mean out": lambda y, x: np.outer(x, x).mean(0, out=y),
    "clip out": lambda y, x: np.clip(x**2, 0.4, 3.0, out=y),
    "clip method out": lambda y, x: (x**2).clip(0.4, 3.0, out=y),
    "cumsum out": lambda y, x: np.cumsum(x**2, out=y),
    "take out": lambda y, x: np.take(x**2, [2, 0, 0], out=y),
    "reduce out": lambda y, x: np.maximum.reduce(np.outer(x, X), axis=0, out=y),
    "accumulate out": lambda y, x: np.multiply.accumulate(x, out=y),
    "concatenate out": lambda y, x: np.concatenate([x[1:] ** 2, x[:1]], out=y),
    "nan_to_num": lambda y, x: np.nan_to_num(y, copy=False),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_numpy_writes_is_seen_through_views(name):
    def fun(x):
        y = x * 1.5
        view = y[1:]
        FUNCTIONS[name](y, x)
        y += x
        return np.concatenate([view * y[0], y])

    check(fun, X)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_numpy_writes_into_a_view_is_seen_by_its_base(name):
    def fun(x):
        base = np.outer(X, x)
        FUNCTIONS[name](base.T[1], x)
        return base * x

    check(fun, X)


def test_the_diagonal_is_filled_as_numpy_does():
    for shape, wrap in (((2, 3), False), ((5, 2), False), ((5, 2), True), ((2, 2, 2), False)):

        def fun(x, shape=shape, wrap=wrap):
            y = np.resize(x, shape) * 2.0
            np.fill_diagonal(y, x[:2] ** 2, wrap)
            return y

        check(fun, X)


def test_results_go_into_an_array_of_no_dimensions():
    def fun(x):
        y = np.zeros((), like=x)
        other = y
        np.sum(x**2, out=y)
        y += x[0]
        y *= x[1]
        return other * 1.0

    value, gradient = value_and_grad(fun)(X)
    total = np.sum(X**2) + X[0]
    assert value == pytest.approx(total * X[1])
    np.testing.assert_allclose(gradient, 2 * X * X[1] + [X[1], total, 0])
    np.testing.assert_allclose(jvp(fun, (X,), (np.ones(3),))[1], gradient.sum())


def test_what_stood_in_the_array_does_not_matter():
    def fun(x):
        y = np.full_like(x, np.nan)
        np.add([1.0, 2.0, 3.0], 1.0, out=y)
        return np.sum(y * x)

    assert grad(fun)(X).tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (lambda y: np.copyto(y, 1j), TypeError),
        (lambda y: np.copyto(y, np.ones(4)), ValueError),
        (lambda y: np.copyto(y, np.ones(3, int), casting="no"), TypeError),
        (lambda y: np.add(y, 1j, out=y), TypeError),
        (lambda y: np.add(y, np.ones((2, 3)), out=y), ValueError),
        (lambda y: np.sum(y, out=y), ValueError),
        (lambda y: np.put(y, [3], 1.0), IndexError),
        (lambda y: np.place(y, [True] * 3, []), ValueError),
        (lambda y: np.fill_diagonal(np.zeros((1, 2, 2), like=y), 1.0), ValueError),
        (lambda y: np.putmask(y, [True], 1.0), ValueError),
        (lambda y: np.fill_diagonal(y, 1.0), ValueError),
        (lambda y: np.fill_diagonal(np.zeros((2, 2, 3), like=y), 1.0), ValueError),
        (lambda y: np.add.at(y, [0, 1], [1.0, 2.0, 3.0]), ValueError),
        (lambda y: np.add.at(y, [7], 1.0), IndexError),
    ],
)
def test_what_numpy_refuses_raises_the_same_error(write, error):
    with pytest.raises(error):
        write(X.copy())
    for run in (
        grad(lambda x: write(x * 1.0)),
        lambda x: jvp(lambda t: write(t * 1.0), (x,), (x,)),
    ):
        with pytest.raises(error):
            run(X)


@pytest.mark.parametrize(
    ("use", "way_out"),
    [
        (lambda y: y.view(np.int64), r"astype"),
        (lambda y: y.view(type=np.matrix), r"astype"),
        (lambda y: y.getfield(np.float32), r"astype"),
        (lambda y: np.square(y, where=[True, False, True]), r"np\.where"),
        (lambda y: y.resize(5), r"np\.resize"),
        (lambda y: np.sum(y, None, None, y), "returned value"),
        (lambda y: np.sum(y, out=np.zeros(())), "returned value"),
        (lambda y: np.copyto(np.zeros(3), y), "zeros_like"),
        (lambda y: np.put(np.zeros(3), [0, 1, 2], y), "zeros_like"),
        (lambda y: np.place(np.zeros(3), y > 0, y), "zeros_like"),
        (lambda y: np.putmask(np.zeros(3), y > 0, y), "zeros_like"),
        (lambda y: np.add.at(y, [0], 1j), "complex"),
        (lambda y: np.multiply.at(y, [0, 0], 1j), "complex"),
        (lambda y: np.fill_diagonal(np.zeros((3, 3)), y), "zeros_like"),
        (lambda y: np.put_along_axis(np.zeros(3), np.arange(3), y, 0), "zeros_like"),
        (lambda y: np.full_like(np.zeros(3), y), "full_like"),
        (lambda y: np.nan_to_num(np.zeros(3), nan=y[0]), "way|zeros_like"),
    ],
)
def test_what_cannot_be_written_raises_with_the_way_out(use, way_out):
    with pytest.raises(TypeError, match=way_out):
        grad(lambda x: np.sum(use(x * 1.0)))(X)


WRITES = {
    "copyto": np.copyto,
    "put": lambda y, v: np.put(y, [0, 1, 2, 3], v),
    "putmask": lambda y, v: np.putmask(y, MASK, v),
    "place": lambda y, v: np.place(y, MASK, v),
    "put_along_axis": lambda y, v: np.put_along_axis(y, np.arange(4), v, 0),
    "fill_diagonal": lambda y, v: np.fill_diagonal(y.reshape(2, 2), v),
    "add.at": lambda y, v: np.add.at(y, [0, 1, 1, 3], v),
    "maximum.at": lambda y, v: np.maximum.at(y, [0, 1, 1, 3], v),
}
MASK = np.array([True, False, True, False])
Z = np.array([0.5, -1.2, 2.0, 0.3])


@pytest.mark.parametrize("name", WRITES)
def test_a_traced_array_takes_plain_values(name):
    def fun(x):
        y = x * 1.0
        WRITES[name](y, np.arange(1.0, 5.0))
        return y

    np.testing.assert_array_equal(jvp(fun, (Z,), (Z,))[0], fun(Z))


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_seen_under_all_names_of_an_array(name):
    def fun(x):
        y = np.zeros_like(x)
        other, tail = y, y[1:]
        WRITES[name](y, x)
        return np.sum(other * [1, 2, 3, 4]) - np.sum(tail * [2, 3, 4]) - y[0]

    assert fun(Z) == 0
    assert grad(fun)(Z).tolist() == [0, 0, 0, 0]


def test_a_place_named_twice_is_changed_twice():
    # y[1] = x1 * x1 * x2: the derivative by x1 at the place is 2 x1 x2
    def fun(x):
        y = x * 1.0
        np.multiply.at(y, [1, 1], x[1:3])
        return y[1]

    assert np.allclose(grad(fun)(Z), [0, 2 * Z[1] * Z[2], Z[1] ** 2, 0])


def test_many_values_are_added_to_one_place_at_once():
    x = np.ones(10_000)

    def fun(x):
        y = np.zeros(2, like=x)
        np.add.at(y, np.zeros(len(x), int), x)
        return y[0]

    assert fun(x) == 10_000
    assert np.all(grad(fun)(x) == 1)


def test_sort_in_place_takes_the_derivative_along():
    def fun(x):
        y = x * 1.0
        y.sort()
        return y @ np.array([1.0, 10.0, 100.0, 1000.0])

    assert grad(fun)(Z).tolist() == [100, 1, 1000, 10]
    assert vmap(fun)(np.stack([Z, -Z])).tolist() == [fun(Z), fun(-Z)]


def test_an_out_array_keeps_what_the_mask_leaves_out():
    def fun(x):
        y = x * 3.0
        np.square(x, out=y, where=MASK)
        return np.sum(y)

    assert grad(fun)(Z).tolist() == [2 * Z[0], 3, 2 * Z[2], 3]


def test_nothing_is_placed_where_no_mask_is_true():
    def fun(x):
        y = x * 2.0
        np.place(y, np.zeros(4, bool), [])
        return np.sum(y)

    assert grad(fun)(Z).tolist() == [2, 2, 2, 2]


def test_a_view_of_the_same_dtype_shares_the_entries():
    def fun(x):
        y = x * 1.0
        for view in (y.view(), y.view(np.float64), y.view(np.ndarray), y.getfield(np.float64)):
            view *= x
        return np.sum(y)

    np.testing.assert_allclose(grad(fun)(Z), 5 * Z**4)


# --- small and large arrays ----------------------------------------------------------------------

BY_PLACE = {
    "put": lambda y, x: np.put(y, [3, -1, 0, 3], x[:2] * 2),
    "put clipped": lambda y, x: np.put(y, [9, 1], x[0], mode="clip"),
    "put wrapped": lambda y, x: np.put(y, [7, 1], np.outer(x, x), mode="wrap"),
    "fill_diagonal": lambda y, x: np.fill_diagonal(y, x[1:]),
    "fill_diagonal with a number": lambda y, x: np.fill_diagonal(y, x[1]),
    "place": lambda y, x: np.place(y, np.arange(6).reshape(2, 3) % 3 > 0, x[:3]),
    "place one": lambda y, x: np.place(y, np.arange(6) > 2, x[0]),
    "putmask": lambda y, x: np.putmask(y, np.arange(6).reshape(2, 3) % 3 > 0, x[1:]),
    "putmask of all": lambda y, x: np.putmask(y, np.arange(6) > 2, np.outer(x[:2], x)),
    "putmask with a number": lambda y, x: np.putmask(y, np.arange(6).reshape(2, 3) > 2, x[1]),
}


@pytest.mark.parametrize("write", BY_PLACE.values(), ids=BY_PLACE.keys())
@pytest.mark.parametrize("small", [0, 500])
def test_writes_into_small_and_into_large_arrays_are_the_same(monkeypatch, write, small):
    monkeypatch.setattr("funcgrad.primitives.updates.SMALL", small)

    def fun(x):
        y = np.outer(x[:2], x)
        row, y = y[0], y.T.T
        write(y, x)
        return y * row[1]

    check(fun, X)


def test_a_complex_value_is_not_written_into_a_real_array():
    def fun(x):
        y = x * 1.0
        np.put(y, [0], x * 1j)
        return y[0]

    with pytest.raises(TypeError, match="cast"):
        grad(fun)(X)


# --- many entries in few places --------------------------------------------------------------------


@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum])
def test_the_extreme_of_many_entries_in_few_places(ufunc):
    places = np.array([[3, 0, 3], [1, 3, 0]])

    def joined(z, values):
        z = z * 1.0
        ufunc.at(z, places, values)
        return z

    z, values = np.array([0.3, -0.2, 0.9, 0.1]), np.array([[0.5, 0.7, -1.0], [-0.4, 0.2, 0.4]])
    expected = z.copy()
    ufunc.at(expected, places, values)
    np.testing.assert_array_equal(vjp(joined, z, values)[0], expected)
    check_grads(joined, (z, values))
    np.testing.assert_array_equal(
        vmap(joined)(np.stack([z, -z]), np.stack([values, -values]))[0], expected
    )


@pytest.mark.parametrize(
    "index",
    [
        np.array([2, 0, 2, -1, 0]),
        (np.array([2, 0, 2, -1, 0]), np.array([1, 0, 1, -1, 0])),
        (slice(None), np.array([1, 0, 1])),
        (np.array([[0], [2]]), np.array([[1, 1, 0]])),
        np.array([], int),
    ],
)
def test_the_extreme_of_rows_and_at_any_index(index):
    z = np.cos(np.arange(12.0)).reshape(3, 2, 2)
    values = np.sin(1 + np.arange(z[index].size)).reshape(z[index].shape)

    def joined(z, values):
        z = z + 0.0
        np.maximum.at(z, index, values)
        return z

    expected = joined(z, values)
    np.testing.assert_array_equal(vjp(joined, z, values)[0], expected)
    check_grads(joined, (z, values))


def test_equal_entries_in_one_place_share_the_derivative_evenly():
    def largest(z, values):
        z = z.copy()
        np.maximum.at(z, [0, 0, 0, 1], values)
        return np.sum(z)

    of_z, of_values = grad(largest, argnums=(0, 1))(np.array([2.0, 5.0]), np.array([2.0, 1, 2, 3]))
    np.testing.assert_allclose(of_z, [1 / 3, 1], rtol=1e-15)
    np.testing.assert_allclose(of_values, [1 / 3, 0, 1 / 3, 0], rtol=1e-15)


def test_equal_entries_of_a_segment_share_the_derivative_evenly():
    x = np.array([9.0, 2.0, 1.0, 2.0, 4.0])
    for transform in (grad, jacfwd):
        g = transform(lambda x: np.sum(np.maximum.reduceat(x, [1, 4])))(x)
        assert g.tolist() == [0, 0.5, 0, 0.5, 1]
        assert transform(lambda x: np.sum(np.add.reduceat(x, [1, 4])))(x).tolist() == [
            0,
            1,
            1,
            1,
            1,
        ]
