"""Shapes: the orders of memory, the errors of NumPy, and dtypes when joining."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, jacrev, jvp, make_tape, vjp, vmap
from funcgrad.primitives import shaping
from funcgrad.testing import check_grads

X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("order", ["C", "F", "A", "K"])
@pytest.mark.parametrize("x", [X, np.asfortranarray(X), X[::-1, ::2]], ids=["C", "F", "strided"])
def test_ravel_reads_in_numpys_order_or_refuses(order, x):
    try:
        out, pull = vjp(lambda x: np.ravel(x, order=order), x)
    except FuncgradError:
        assert order in "AK"
        return
    np.testing.assert_array_equal(out, np.ravel(x, order=order))
    np.testing.assert_array_equal(pull(out)[0], x)


@pytest.mark.parametrize("order", ["C", "F", "A"])
@pytest.mark.parametrize("x", [X, np.asfortranarray(X)], ids=["C", "F"])
def test_reshape_reads_in_numpys_order_or_refuses(order, x):
    try:
        out, pull = vjp(lambda x: np.reshape(x, (3, 2), order=order), x)
    except FuncgradError:
        assert order == "A"
        return
    np.testing.assert_array_equal(out, np.reshape(x, (3, 2), order=order))
    np.testing.assert_array_equal(pull(out)[0], x)


def test_a_cotangent_of_a_view_does_not_share_memory_with_the_gradient():
    _, pull = vjp(lambda x: x.T.reshape(-1), X)
    ct = np.ones(6)
    (g,) = pull(ct)
    ct[:] = 5
    assert (g == 1).all()


def test_reshape_of_a_mapped_array_counts_one_example():
    assert vmap(lambda x: x.reshape(-1, 1))(X).shape == (2, 3, 1)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: x.reshape(4, 2),
        lambda x: x.reshape(-1, -1),
        lambda x: x.reshape(-1, 4),
        lambda x: np.reshape(x, (3, 2), order="K"),
        lambda x: np.transpose(x, (0, 0)),
        lambda x: np.transpose(x, (0,)),
        lambda x: np.swapaxes(x, 0, 2),
        lambda x: np.moveaxis(x, (0, 1), (0,)),
        lambda x: np.squeeze(x, 0),
        lambda x: np.expand_dims(x, (0, 0)),
        lambda x: np.matrix_transpose(x[0]),
        lambda x: np.broadcast_to(x, (3, 3)),
        lambda x: np.broadcast_to(x, (3,)),
        lambda x: np.stack([x, x[0]]),
        lambda x: np.concatenate([x, x[:, :2]]),
        lambda x: np.concatenate([x, x[0]]),
        lambda x: np.concatenate([x[0, 0], x[0, 1]]),
        lambda x: np.concatenate([x, x], axis=2),
        lambda x: np.concatenate([]),
        lambda x: np.append(x, x[0], axis=0),
        lambda x: np.split(x, 4, axis=1),
        lambda x: np.array_split(x, 0),
        lambda x: np.flip(x, 2),
        lambda x: np.roll(x, 1, 2),
        lambda x: np.repeat(x, [1, 2], axis=1),
        lambda x: np.repeat(x, -1),
    ],
)
def test_a_wrong_shape_is_a_value_error_as_in_numpy(fun):
    with pytest.raises(ValueError):  # noqa: PT011  # NumPy's text differs between its versions
        fun(X)
    with pytest.raises(ValueError):  # noqa: PT011
        vjp(fun, X)


def test_out_is_refused():
    for join in (np.concatenate, np.stack):
        with pytest.raises(FuncgradError):
            vjp(lambda x, join=join: join([x, x], axis=0, out=np.zeros((4, 3))), X)


def test_the_casting_of_a_join_is_honoured_or_refused():
    with pytest.raises(TypeError):
        np.concatenate([X, X], dtype=np.float32, casting="safe")
    with pytest.raises(TypeError):
        vjp(lambda x: np.concatenate([x, x], dtype=np.float32, casting="safe"), X)


def test_joining_different_precisions_keeps_that_of_each_gradient():
    single, double = np.ones(2, np.float32), np.ones(3)
    out, pull = vjp(lambda x, y: np.concatenate([x, y]), single, double)
    assert out.dtype == np.float64
    assert [g.dtype for g in pull(np.ones(5))] == [np.float32, np.float64]


def test_joining_with_integers_and_numbers():
    out, pull = vjp(lambda x: np.stack([x, 2, np.int64(3)]), np.float32(1.0))
    assert out.dtype == np.stack([np.float32(1.0), 2, np.int64(3)]).dtype
    assert pull(np.ones(3, out.dtype))[0] == 1


JOINS = {
    "stack": lambda parts: np.stack(parts, axis=-1),
    "concatenate": lambda parts: np.concatenate([np.atleast_1d(x) for x in parts]),
}


@pytest.mark.parametrize("name", JOINS)
def test_tangents_of_many_parts_are_joined_at_once(name, monkeypatch):
    primitive = getattr(shaping, f"_{name}")
    calls = []
    fun = primitive.fun
    monkeypatch.setattr(primitive, "fun", lambda *xs, **k: calls.append(len(xs)) or fun(*xs, **k))
    x, v = np.arange(1.0, 51.0), np.cos(np.arange(50.0))

    def squares(x):
        return JOINS[name]([1.0, *[y * y for y in x], np.float32(2)])

    _, tangent = jvp(squares, (x,), (v,))
    np.testing.assert_array_equal(tangent, np.concatenate([[0.0], 2 * x * v, [0.0]]))
    assert calls == [52, 52]  # the values, the tangents


def test_parts_of_many_sizes_take_back_their_slices():
    def fun(x, y):
        return np.concatenate([x, 2 * y, np.ones((2, 2)), x * y[:, :1], y[:, :0]], axis=1)

    x, y = np.arange(4.0).reshape(2, 2), np.arange(6.0).reshape(2, 3)
    check_grads(fun, (x, y))
    check_grads(lambda x, y: vmap(fun)(x[None], y[None]), (x, y))


def test_a_drawn_join_shows_the_axis_alone():
    tape = make_tape(lambda x: np.concatenate([x, x], axis=1))(np.ones((2, 2)))
    assert "axis=1" in str(tape)
    assert "ends" not in str(tape)


def test_an_array_joined_with_itself_gets_both_cotangents():
    assert grad(lambda x: np.concatenate([x, x]) @ np.arange(4.0))(np.ones(2)).tolist() == [2, 4]


def test_an_array_broadcast_to_nothing_has_gradient_zero():
    assert grad(lambda x: np.sum(np.broadcast_to(x, (0, 3))))(np.ones((1, 3))).tolist() == [[0] * 3]


def test_unpacking_and_iteration_hand_on_the_derivative():
    def loss(x):
        (a, b, c), second = x
        return a * b + sum([c * y for y in second])

    assert grad(loss)(X).tolist() == [[1, 0, 12], [2, 2, 2]]


def test_a_scalar_cannot_be_iterated_nor_measured():
    with pytest.raises(TypeError, match="0-d"):
        grad(sum)(1.0)
    with pytest.raises(TypeError, match="unsized"):
        grad(lambda x: x * len(x))(1.0)


def test_the_shape_of_a_traced_array_is_plain():
    def loss(x):
        assert (x.shape, x.ndim, x.size, len(x), x.nbytes) == ((2, 3), 2, 6, 2, 48)
        assert x.dtype == np.float64
        assert np.shape(x) == (2, 3)
        assert np.ndim(x) == 2
        assert np.size(x, 1) == 3
        return np.sum(x) / np.size(x)

    assert grad(loss)(X).tolist() == [[1 / 6] * 3] * 2


def test_an_empty_array_has_an_empty_jacobian():
    assert jacrev(lambda x: x.reshape(3, 0))(np.zeros((0, 3))).shape == (3, 0, 0, 3)


@pytest.mark.parametrize("axes", [(0, 1), [0, 1], range(2), np.array([0, 1])])
def test_axes_may_be_any_iterable_where_numpy_takes_one(axes):
    x = np.arange(24.0).reshape(2, 3, 4) ** 2 % 23
    back = list(axes)[::-1]
    for fun in (
        lambda x: np.moveaxis(x, axes, back),
        lambda x: np.flip(x, axes),
        lambda x: np.median(x, axes),
        lambda x: np.quantile(x, 0.3, axes),
        lambda x: np.gradient(x, axis=axes)[1],
        lambda x: np.tensordot(x, x, (axes, axes)),
    ):
        value, pullback = vjp(fun, x)
        np.testing.assert_array_equal(value, fun(x))
        _, tangent = jvp(fun, (x,), (x,))
        assert np.sum(pullback(value)[0] * x) == pytest.approx(np.sum(value * tangent))
