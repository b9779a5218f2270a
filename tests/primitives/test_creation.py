"""Arrays made for traced ones, and whatever would make a traced array plain without a word."""

import copy
import math
import pickle

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, jvp, vjp, vmap
from funcgrad.errors import AliasedUpdateError, NonDifferentiableError, TracerConversionError

X = np.array([1.0, 2.0, 3.0])


def test_arange_differentiates_its_ends():
    assert grad(lambda x: np.sum(np.arange(x[0], 3, 0.5, like=x)))(X / 2)[0] == 5
    assert grad(lambda x: np.sum(np.arange(3) * x[0]))(X)[0] == 3


def test_an_iterator_that_ends_early_raises_numpys_error():
    with pytest.raises(ValueError, match="iterator too short"):
        grad(lambda x: np.sum(np.fromiter(iter([1.0]), float, 2, like=x)))(X)


# --- what raises ---------------------------------------------------------------------------------


def in_reverse(fun, x):
    return vjp(fun, x)


def in_forward(fun, x):
    return jvp(fun, (x,), (x,))


def mapped(fun, x):
    return vmap(fun)(np.stack([x, x]))


def write(x):
    plain = np.zeros(3)
    plain[0] = x[0]
    return plain


def write_all(x):
    plain = np.zeros(3)
    plain[:] = x
    return plain


@pytest.mark.parametrize("under", [in_reverse, in_forward, mapped])
@pytest.mark.parametrize(
    "fun",
    [
        write,
        write_all,
        lambda x: np.zeros(3).fill(x[0]),
        lambda x: float(x[0]),
        lambda x: complex(x[0]),
        lambda x: math.sin(x[0]),
        np.asarray,
        np.array,
        np.ascontiguousarray,
        lambda x: np.asarray(x, dtype=float),
        lambda x: np.array([x, x]),
        lambda x: np.array([x[0], 1.0], float),
        lambda x: np.sum([x, x]),
        lambda x: np.float64(x[0]),
        lambda x: np.full(3, x[0], float),
        lambda x: np.full_like(np.ones(3), x[0]),
        lambda x: np.nan_to_num(np.array([np.nan]), nan=x[0]),
        lambda x: np.arange(5)[x],
        lambda x: np.copyto(np.zeros(3), x),
        lambda x: np.add(np.ones(3), x, out=np.zeros(3)),
        np.vectorize(math.sin),
        lambda x: np.random.default_rng(0).normal(x),
        lambda x: np.ma.masked_array(x, [True, False, True]),
        pickle.dumps,
        lambda x: x.tobytes(),
        lambda x: x.view(np.int64),
        lambda x: np.ones(3).dot(x),
        memoryview,
    ],
)
def test_what_would_lose_the_gradient_raises(fun, under):
    with pytest.raises(TypeError) as raised:
        under(fun, X)
    assert isinstance(raised.value, FuncgradError) or fun is memoryview


def test_the_error_names_the_line_and_the_way_out():
    def loss(x):
        return math.sin(x)

    with pytest.raises(
        TracerConversionError, match=r"in loss: return math\.sin\(x\)(.|\n)*np\.sin"
    ):
        grad(loss)(1.0)


@pytest.mark.parametrize("x", [np.array([1, 2]), np.array([True]), 3, True, "a", np.array(["a"])])
def test_only_floating_point_arguments_have_derivatives(x):
    with pytest.raises(NonDifferentiableError):
        grad(lambda x: 1.0)(x)


# --- what works ----------------------------------------------------------------------------------


def test_plain_zeros_collect_traced_terms():
    def loss(x):
        total = np.zeros(3)
        for k in range(1, 4):
            total += k * x
        return np.sum(total * total)

    assert grad(loss)(X).tolist() == [72, 144, 216]


@pytest.mark.parametrize("start", [0.0, 0, np.float64(0)])
def test_a_number_collects_traced_terms(start):
    def loss(x):
        total = start
        for y in x:
            total += y * y
        return total

    assert grad(loss)(X).tolist() == [2, 4, 6]


def test_every_in_place_operator_of_a_plain_array_rebinds():
    def loss(x):
        y = np.full(3, 2.0)
        y *= x
        y -= 1
        y /= x
        y **= 2
        return np.sum(y)

    # ((2 x - 1) / x) ** 2 = (2 - 1 / x) ** 2
    np.testing.assert_allclose(grad(loss)(X), 2 * (2 - 1 / X) / X**2)


def test_a_view_of_a_plain_array_cannot_take_traced_terms():
    def loss(x):
        table = np.zeros((2, 3))
        row = table[0]
        row += x
        return np.sum(table)

    with pytest.raises(AliasedUpdateError):
        grad(loss)(X)


def test_a_plain_array_with_a_second_name_cannot_take_traced_terms():
    def loss(x):
        total = np.zeros(3)
        history = [total]
        total += x
        return np.sum(history[0])

    with pytest.raises(AliasedUpdateError):
        grad(loss)(X)


def test_an_entry_of_a_plain_array_cannot_take_traced_terms():
    def loss(x):
        table = np.zeros((2, 3))
        table[0] += x
        return np.sum(table)

    with pytest.raises(FuncgradError):
        grad(loss)(X)


def test_collecting_follows_numpys_casting():
    def collect(start):
        def fun(x):
            total = start.copy()
            total += x
            return total

        return fun

    with pytest.raises(TypeError, match="same_kind"):
        vjp(collect(np.zeros(3, int)), X)
    with pytest.raises(ValueError, match="broadcast"):
        vjp(collect(np.zeros(1)), X)
    out, pull = vjp(collect(np.zeros(3, np.float32)), X)
    assert out.dtype == np.float32
    assert pull(np.ones(3, np.float32))[0].dtype == np.float64
    out, pull = vjp(collect(np.zeros((2, 3))), X)
    assert out.shape == (2, 3)
    assert pull(np.ones((2, 3)))[0].tolist() == [2, 2, 2]


def test_lists_of_traced_values_become_one_array():
    def loss(x):
        a, b, c = x
        return np.sum(
            np.array([[a, b * c], [1.0, a * a]], like=x) * np.array([[1.0, 2.0], [3.0, 4.0]])
        )

    assert grad(loss)(X).tolist() == [1 + 8, 6, 4]


def test_a_list_of_traced_values_takes_part_in_an_operation():
    assert grad(lambda x: np.sum(x * [x[0], 1.0, x[2]]))(X).tolist() == [2, 1, 6]


def test_the_fill_of_a_traced_array_may_be_traced():
    assert grad(lambda x: np.sum(np.full_like(x, x[1]) * x))(X).tolist() == [2, 2 + 6, 2]
    assert grad(lambda x: np.sum(np.full((2, 2), x, like=x)))(1.0) == 4


def test_zeros_like_a_traced_array_are_constant():
    for fun in (np.zeros_like, np.ones_like, lambda x: np.full_like(x, 7.0)):
        assert grad(lambda x, fun=fun: np.sum(fun(x)))(X).tolist() == [0, 0, 0]
        assert grad(lambda x, fun=fun: np.sum(x * fun(x)))(X).tolist() == fun(X).tolist()


def test_what_is_made_like_a_traced_array_has_its_shape_and_dtype():
    def check(x):
        assert np.zeros_like(x).dtype == np.float32
        assert np.zeros_like(x, shape=(2, 2)).shape == (2, 2)
        assert np.ones_like(x, dtype=np.float64).dtype == np.float64
        assert np.full_like(x, 2, dtype=complex).dtype == complex
        assert np.array([1, 2], like=x).dtype == np.int64
        assert np.array([x[0], x[1]], like=x).dtype == np.float32
        assert np.array([x[0], 1.5], like=x).dtype == np.array([np.float32(0), 1.5]).dtype
        assert np.zeros((2, 1), np.float16, like=x).dtype == np.float16
        return np.sum(x)

    vjp(check, X.astype(np.float32))


def test_a_narrowing_cast_keeps_the_dtype_of_the_gradient():
    out, pull = vjp(lambda x: x.astype(np.float32), X)
    assert out.dtype == np.float32
    (g,) = pull(np.ones(3, np.float32))
    assert g.dtype == np.float64
    assert g.tolist() == [1, 1, 1]


def test_a_cast_to_whole_numbers_is_a_plain_constant():
    def loss(x):
        assert type(x.astype(int)) is np.ndarray
        assert type(x.astype(bool)) is np.ndarray
        return np.sum(x.astype(int) * x)

    assert grad(loss)(np.array([1.5, 2.5])).tolist() == [1, 2]


def test_the_casting_of_astype_is_honoured():
    with pytest.raises(TypeError):
        X.astype(int, casting="safe")
    with pytest.raises(TypeError):
        vjp(lambda x: x.astype(int, casting="safe"), X)


def test_a_cast_from_complex_to_real_has_the_derivative_of_the_real_part():
    z = np.array([1 + 2j, 3 - 1j])
    _, pull = vjp(lambda z: z.real.astype(np.float64), z)
    assert pull(np.ones(2))[0].tolist() == [1, 1]


def test_copies_hand_on_the_derivative():
    for copier in (copy.copy, copy.deepcopy, np.copy, lambda x: x.copy(), lambda x: x[...]):
        assert grad(lambda x, copier=copier: np.sum(copier(x) ** 2))(X).tolist() == [2, 4, 6]


def test_items_hand_on_the_derivative():
    assert grad(lambda x: x[0].item() * x.item(1) + x.sum().item())(X).tolist() == [3, 2, 1]
    assert grad(lambda x: x.reshape(3, 1).item(2, 0))(X).tolist() == [0, 0, 1]
    assert grad(lambda x: sum(x.tolist()))(X).tolist() == [1, 1, 1]


def test_a_traced_array_prints_as_its_value():
    def loss(x):
        assert str(x) == "[1. 2. 3.]"
        assert f"{x[0]:.2f}" == "1.00"
        assert "1., 2., 3." in repr(x)
        return np.sum(x)

    grad(loss)(X)


def test_membership_and_truth_are_plain():
    def loss(x):
        assert 2.0 in x
        assert 5.0 not in x
        assert x[0]
        assert bool(x[0] > 0) is True
        return np.sum(x)

    grad(loss)(X)
    with pytest.raises(ValueError, match="ambiguous"):
        grad(lambda x: x if x else -x)(X)
