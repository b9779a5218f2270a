"""The tape and the backward pass: what is recorded, how cotangents add up, what stays zero."""

import warnings

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from funcgrad import grad, jacfwd, jacrev, jvp, value_and_grad, vjp
from funcgrad.backward import (
    ACCUMULATES,
    NAMED,
    TEMPORARY,
    backward,
    grouped,
    is_basic,
    is_free,
)
from funcgrad.errors import MutatedConstantError
from funcgrad.primitives.families import elementwise, primitive
from funcgrad.reverse import Tape, TapeTracer
from funcgrad.testing import check_grads
from tests.strategies import arrays

X = np.array([1.0, 2.0, 3.0])
M = np.arange(6.0).reshape(2, 3) + 1


def edges_of(fun, *args):
    tape = vjp(fun, *args)[1].tape
    return grouped(tape.edges, tape.nodes)


# --- what is recorded ----------------------------------------------------------------------------


def test_a_node_names_the_parents_and_what_their_rules_keep():
    none, also_none, product, sine = edges_of(lambda a, b: np.sin(a * b), 2.0, 3.0)
    assert none == also_none == []  # the inputs
    assert [(parent, kept) for parent, _, kept, _ in product] == [(0, 3.0), (1, 2.0)]
    assert [(parent, kept) for parent, _, kept, _ in sine] == [(2, 6.0)]


def test_a_constant_has_no_edge():
    (_, edges) = edges_of(lambda a: a * 5.0, 2.0)
    assert [parent for parent, *_ in edges] == [0]
    (_, edges) = edges_of(lambda a: M @ a, X)
    assert [parent for parent, *_ in edges] == [0]


def test_a_value_without_derivative_has_no_node():
    assert len(edges_of(lambda a: a > 1, X)) == 1
    assert len(edges_of(lambda a: np.argmax(a), X)) == 1  # noqa: PLW0108
    assert len(edges_of(lambda a: a.astype(int), X)) == 1


def test_what_to_restore_is_decided_when_recording():
    fixes = [edge[3] for edge in edges_of(lambda a, b: a + b, X, 1.0)[2]]
    assert fixes == [None, ((), np.float64)]
    fixes = [edge[3] for edge in edges_of(lambda a, b: a * b, X, X.astype(np.float32))[2]]
    assert fixes == [None, ((3,), np.float32)]
    fixes = [edge[3] for edge in edges_of(lambda a, b: a * b, M, X[:, None][:1])[2]]
    assert fixes == [None, ((1, 1), np.float64)]
    assert edges_of(lambda a: a[0], X)[1][0][3] is ACCUMULATES


def test_nodes_are_numbered_in_the_order_of_the_program():
    nodes = edges_of(lambda a, b: np.tanh(a + b) * a, X, 2.0)
    for index, node in enumerate(nodes):
        assert all(edge[0] < index for edge in node)


def test_the_same_rules_are_recorded_by_each_spelling():
    for quick, general in (
        (lambda t: t + X, lambda t: np.add(t, X, dtype=float)),
        (lambda t: X - t, lambda t: np.subtract(X, t, dtype=float)),
        (lambda t: t * t, lambda t: np.multiply(t, t, dtype=float)),
        (lambda t: 2.0 / t, lambda t: np.divide(2.0, t, dtype=float)),
        (lambda t: -t, lambda t: np.negative(t, dtype=float)),
        (np.exp, lambda t: np.exp(t, dtype=float)),
        (lambda t: t[1:], lambda t: t[(slice(1, None),)]),
        (lambda t: t[1], lambda t: t[(1,)]),
        (lambda t: t @ X, lambda t: np.matmul(t, list(X))),
        (lambda t: t @ t, lambda t: np.einsum("i,i->", t, t)),
    ):
        ct = np.ones_like(quick(X))
        np.testing.assert_array_equal(vjp(quick, X)[1](ct)[0], vjp(general, X)[1](ct)[0])
        np.testing.assert_array_equal(vjp(quick, X)[0], vjp(general, X)[0])


# --- how cotangents add up -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fun", "expected"),
    [
        (lambda t: t + t, [2, 2, 2]),
        (lambda t: t + t + t, [3, 3, 3]),
        (lambda t: t - t, [0, 0, 0]),
        (lambda t: t * t * t, [3, 12, 27]),
        (lambda t: t[::-1] + t, [2, 2, 2]),
        (lambda t: t + t[0], [4, 1, 1]),
        (lambda t: t[0] + t, [4, 1, 1]),
        (lambda t: t[0] + t + t[0], [7, 1, 1]),
        (lambda t: t[0] + t[0] + t[0], [3, 0, 0]),
        (lambda t: t[:2] + t[1:], [1, 2, 1]),
        (lambda t: t[[0, 0, 1]], [2, 1, 0]),
        (lambda t: t[[0, 0, 1]] + t, [3, 2, 1]),
        (lambda t: t[t > 1.5] * 2, [0, 2, 2]),
        (lambda t: t[[[0, 1], [1, 0]]], [2, 2, 0]),
        (lambda t: t[None] + t[:, None], [6, 6, 6]),
        (lambda t: t.sum() + t, [4, 4, 4]),
        (lambda t: t.sum() * t.sum(), [12, 12, 12]),
        (lambda t: np.stack([t, t, t]), [3, 3, 3]),
        (lambda t: np.concatenate([t[1:], t, t[:1]]), [2, 2, 2]),
        (lambda t: sum(np.split(t, 3)), [1, 1, 1]),
        (lambda t: np.split(t, 3)[1], [0, 1, 0]),
        (lambda t: np.broadcast_to(t, (4, 3)), [4, 4, 4]),
        (lambda t: np.where(X > 1, t, t), [1, 1, 1]),
        (lambda t: np.maximum(t, t), [1, 1, 1]),
        (lambda t: t.reshape(3, 1) @ t.reshape(1, 3), [12, 12, 12]),
        (lambda t: t, [1, 1, 1]),
        (lambda t: t.copy() + t, [2, 2, 2]),
        (lambda t: t[...] + t[:], [2, 2, 2]),
        (lambda t: t[0:0], [0, 0, 0]),
        (lambda t: X, [0, 0, 0]),
    ],
)
def test_the_cotangents_of_all_uses_add_up(fun, expected):
    assert grad(lambda t: np.sum(fun(t)))(X).tolist() == expected
    assert vjp(fun, X)[1](np.ones_like(fun(X)))[0].tolist() == expected
    check_grads(fun, (X + np.array([0.0, 0.1, 0.3]),), order=2)


def test_a_buffer_that_reads_filled_is_shared_by_nobody():
    def fun(t):
        head = t[0] + t[1]  # fills a buffer for t
        return head + (t + 0.0).sum() + (t * 1.0)[0] + t[2]

    assert grad(fun)(X).tolist() == [3, 2, 2]


def test_a_cotangent_handed_to_two_parents_is_not_changed_by_one_of_them():
    def fun(a, b):
        y = a + b  # hands one and the same cotangent to both
        return (y * 2).sum() + a[0] + (a * b).sum()

    grads = grad(fun, (0, 1))(X, X)
    assert grads[0].tolist() == [4, 4, 5]
    assert grads[1].tolist() == [3, 4, 5]


def test_the_callers_cotangent_is_not_changed():
    for fun in (
        lambda a: a + a[0],
        lambda a: a,
        lambda a: (a + a) + a[::-1],
        lambda a: a.reshape(3, 1)[:, 0],
        lambda a: a + (a + a),
    ):
        ct = np.array([1.0, 10.0, 100.0])
        vjp(fun, X)[1](ct)
        assert ct.tolist() == [1, 10, 100]


def test_an_output_used_as_an_output_twice_adds_up():
    _, pullback = vjp(lambda a: (a, a, [a * 2]), X)
    assert pullback((np.ones(3), 10 * np.ones(3), [np.ones(3)]))[0].tolist() == [13, 13, 13]


def test_an_output_that_others_are_computed_from_adds_up():
    def fun(a):
        y = a * 2
        return y, y * y

    _, pullback = vjp(fun, X)
    assert pullback((np.ones(3), np.ones(3)))[0].tolist() == [2 + 8, 2 + 16, 2 + 24]


@pytest.mark.parametrize(
    ("shapes", "dtypes"),
    [
        (((3,), (1,)), ("d", "d")),
        (((2, 1), (3,)), ("d", "f")),
        (((), (2, 3)), ("f", "d")),
        (((1, 1, 1), (2, 1)), ("f", "f")),
        (((0, 3), (3,)), ("d", "d")),
        (((2, 3), (2, 3)), ("F", "d")),
        (((3,), (2, 3)), ("d", "D")),
        (((3,), ()), ("e", "f")),
    ],
)
@pytest.mark.parametrize("op", [np.add, np.subtract, np.multiply, np.divide, np.power])
def test_broadcasting_and_promotion_are_undone(op, shapes, dtypes):
    a, b = [np.full(shape, 1.5, dtype) for shape, dtype in zip(shapes, dtypes)]
    out, pullback = vjp(op, a, b)
    for ct in (np.ones_like(out), np.ones(out.shape, "f")):
        for x, g in zip((a, b), pullback(ct)):
            assert g.shape == x.shape
            assert g.dtype == x.dtype


def test_a_broadcast_cotangent_is_summed_exactly_where_it_was_stretched():
    grads = grad(lambda a, b: np.sum(a * b), (0, 1))(np.ones((2, 1)), M)
    assert grads[0].tolist() == [[6], [15]]
    grads = grad(lambda a, b: np.sum(a * b * X), (0, 1))(np.ones(1), M)
    assert grads[0].tolist() == [np.sum(M * X)]
    np.testing.assert_array_equal(grads[1], np.ones((2, 1)) * X)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (40, 1), (1, 30), (30,)])
@pytest.mark.parametrize(
    "op", [np.multiply, np.divide, np.subtract, lambda a, b: np.divide(b, a) * 1.0]
)
def test_a_broadcast_argument_gets_the_sum_over_its_copies(op, shape, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 2, (40, 30)).astype(dtype), rng.uniform(1, 2, shape).astype(dtype)

    def loss(a, b):
        return np.sum(np.sin(op(a, b)))

    found, summed = grad(loss, 1)(a, b), grad(loss, 1)(a, np.broadcast_to(b, a.shape))
    axes = tuple(range(2 - b.ndim)) + tuple(
        [i for i in range(2) if i >= 2 - b.ndim and b.shape[i - 2 + b.ndim] == 1]
    )
    expected = np.sum(summed.astype(float), axes).reshape(shape)
    tolerance = 1e-11 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert found.dtype == dtype
    assert np.shape(found) == shape


def test_a_broadcast_factor_of_a_dead_branch_stays_finite():
    x, s = np.array([0.0, 1.0, 2.0]), 3.0

    def loss(x, s):
        return np.sum(np.where(x > 0, np.log(x) * s, 0) + np.where(x > 0, s / x, 0))

    with np.errstate(divide="ignore", invalid="ignore"):
        found = grad(loss, (0, 1))(x, s)
    assert found[0].tolist() == [0, 0, 1.5 - 0.75]
    assert found[1] == pytest.approx(np.log(2) + 1.5)  # at 1 and 2: log x + 1 / x


def test_a_large_constant_times_a_number_that_changes_raises():
    constant = np.ones(200_000)

    def loss(s):
        y = constant * s
        constant[0] = 0
        return np.sum(y)

    with pytest.raises(MutatedConstantError):
        grad(loss)(2.0)


def test_reading_adds_to_no_cotangent_that_someone_else_has():
    cts = LONG[:2].copy(), np.float64(1.0)
    pulled = vjp(lambda x: (x, x[0]), np.ones(2))[1]
    for _ in range(2):
        assert pulled(cts)[0].tolist() == [LONG[0] + 1, LONG[1]]
    assert cts[0].tolist() == LONG[:2].tolist()


# --- random programs -----------------------------------------------------------------------------

STEPS = [
    lambda a, b: a + b,
    lambda a, b: a - b * 0.5,
    lambda a, b: a * b,
    lambda a, b: a / (2 + b * b),
    lambda a, b: np.tanh(a) + b,
    lambda a, b: np.sin(a * 0.5),
    lambda a, b: np.exp(-a * a) * b,
    lambda a, b: a[..., ::-1] + b if np.ndim(a) else a + b,
    lambda a, b: a[..., :1] * b if np.ndim(a) else a * b,
    lambda a, b: a[..., [0, 0, -1]] + b if np.ndim(a) else a - b,
    lambda a, b: np.mean(a) - b,
    lambda a, b: np.sum(a * b, axis=-1, keepdims=True) if np.ndim(a * b) else a,
    lambda a, b: np.where(X > 1.5, a, b),
    lambda a, b: np.stack([np.sum(a), np.sum(b), np.mean(a)]),
    lambda a, b: np.broadcast_to(np.mean(a), (2, 3)) * b,
    lambda a, b: (np.sqrt(1 + a * a) * np.ones(3) @ np.ones((3, 1))) * 0.1 + b,
    lambda a, b: np.outer(a, np.ones(3))[0] + b,
    lambda a, b: 1.5 - a,
    lambda a, b: (a.T if np.ndim(a) == 1 else a) + 0.1 * b,
]
programs = st.lists(
    st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
    max_size=10,
)


def run(program, *inputs):
    """Apply steps to values picked among all computed so far; return the sum of the last two."""
    values = list(inputs)
    for step, i, j in program:
        values.append(STEPS[step](values[i % len(values)], values[j % len(values)]))
    return np.sum(values[-1]) + np.mean(values[-2] * 0.5)


@given(programs, arrays((3,), low=-1, high=1), arrays((), low=-1, high=1))
def test_random_programs_agree_with_forward_mode_and_with_differences(program, x, s):
    def fun(x, s):
        return run(program, x, s)

    value, grads = value_and_grad(fun, (0, 1))(x, s)
    assert value == fun(x, s)
    direction = np.array([0.3, -1.0, 0.7]), np.array(0.5)
    pulled = np.sum(grads[0] * direction[0]) + grads[1] * direction[1]
    scale = 1 + np.sum(np.abs(grads[0])) + abs(grads[1])
    assert abs(pulled - jvp(fun, (x, s), direction)[1]) <= 1e-12 * scale
    step = 1e-5
    ahead = fun(x + step * direction[0], s + step * direction[1])
    behind = fun(x - step * direction[0], s - step * direction[1])
    assert abs(pulled - (ahead - behind) / (2 * step)) <= 1e-5 * scale


@given(programs, arrays((3,), low=-1, high=1), arrays((), low=-1, high=1))
def test_second_derivatives_of_random_programs_are_symmetric(program, x, s):
    def fun(x, s):
        return run(program, x, s)

    u, v = np.array([0.3, -1.0, 0.7]), np.array([1.0, 0.2, -0.4])
    rows = grad(lambda t: np.sum(grad(fun)(t, s) * u))(x)
    columns = grad(lambda t: np.sum(grad(fun)(t, s) * v))(x)
    forward = jvp(lambda t: grad(fun)(t, s), (x,), (v,))[1]
    scale = 1 + np.sum(np.abs(rows)) + np.sum(np.abs(columns))
    assert abs(rows @ v - columns @ u) <= 1e-11 * scale
    assert np.max(np.abs(forward - columns)) <= 1e-11 * scale


# --- zero stays zero -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the program itself
@pytest.mark.parametrize(
    ("fun", "x", "expected"),
    [
        (lambda t: np.where(t > 0, np.log(t), 0.0), [0.0, 1.0, -1.0], [0, 1, 0]),
        (lambda t: np.where(t > 0, np.sqrt(t), 0.0), [0.0, 4.0, -1.0], [0, 0.25, 0]),
        (lambda t: np.where(t != 0, 1 / t, 0.0), [0.0, 2.0], [0, -0.25]),
        (lambda t: np.where(t != 0, np.sin(t) / t, 1.0), [0.0], [0]),
        (lambda t: np.where(t < 5, np.exp(t * 1000), 0.0) * 0.0, [9.0], [0]),
        (lambda t: np.where(t > 1, t, t**0.5), [0.25, 4.0], [1, 1]),
        (lambda t: np.where(np.isnan(t), 0.0, t * t), [np.nan, 3.0], [0, 6]),
        (lambda t: np.sum(np.sqrt(t * t)) * 0.0, [0.0, 1.0], [0, 0]),
        (lambda t: np.sqrt(t[0]) * 0 + t[1], [0.0, 1.0], [0, 1]),
        (lambda t: np.log(t)[1], [0.0, 2.0], [0, 0.5]),
        (lambda t: np.sqrt(t)[1:], [0.0, 4.0], [0, 0.25]),
        (lambda t: np.arcsin(t)[1], [1.0, 0.0], [0, 1]),
        (lambda t: np.maximum(np.log(t), -1.0), [0.0, 1.0], [0, 1]),
    ],
)
def test_a_dead_branch_contributes_zero(fun, x, expected):
    x = np.array(x)
    np.testing.assert_array_equal(grad(lambda t: np.sum(fun(t)))(x), expected)
    pushed = jvp(lambda t: np.sum(fun(t)), (x,), (np.ones_like(x),))[1]
    np.testing.assert_allclose(pushed, np.sum(expected))
    out, pullback = vjp(fun, x)
    np.testing.assert_array_equal(pullback(np.ones_like(out))[0], expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_dead_branch_contributes_zero_to_second_derivatives():
    def fun(t):
        return np.sum(np.where(t > 0, t * np.log(t), 0.0))

    x = np.array([0.0, 2.0])
    np.testing.assert_array_equal(grad(fun)(x), [0, 1 + np.log(2)])
    np.testing.assert_array_equal(grad(lambda t: np.sum(grad(fun)(t)))(x), [0, 0.5])
    np.testing.assert_array_equal(jvp(grad(fun), (x,), (np.ones(2),))[1], [0, 0.5])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("outer", [jacrev, jacfwd])
@pytest.mark.parametrize("inner", [jacrev, jacfwd])
def test_a_dead_branch_leaves_the_second_derivative_of_a_zero_factor_alone(outer, inner):
    def fun(t):  # the first derivative of the square is zero at 1, its second is 2
        return np.sum((1 - t) ** 2 + np.where(t > 0, 0.0, np.sqrt(t - 1.0)))

    assert outer(inner(fun))(np.array([1.0, 2.0])).tolist() == [[2, 0], [0, 2]]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_infinite_or_undefined_is_not_hidden():
    assert grad(np.sqrt)(0.0) == np.inf
    assert grad(np.log)(0.0) == np.inf
    assert grad(lambda t: 1 / t)(0.0) == -np.inf
    assert np.isnan(grad(lambda t: t * np.nan)(1.0))
    assert np.isnan(grad(lambda t: t * t)(np.nan))
    np.testing.assert_array_equal(grad(lambda t: np.sum(t * t))(np.array([np.nan, 1])), [np.nan, 2])
    both = grad(lambda t: np.sum(np.where(t > 0, np.log(t), 0.0)) + t[2] * np.nan)
    np.testing.assert_array_equal(both(np.array([0.0, 1.0, -1.0])), [0, 1, np.nan])


def test_the_backward_pass_gives_no_warnings_and_leaves_the_settings_of_numpy():
    before = np.geterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grad(np.sqrt)(0.0)
        vjp(lambda t: np.sqrt(t) * 0, X * 0)[1](X)
    assert np.geterr() == before
    with np.errstate(all="raise"):
        assert grad(np.sqrt)(0.0) == np.inf
        assert grad(lambda t: np.where(t > 0, np.sqrt(t), t))(0.0) == 1
        assert set(np.geterr().values()) == {"raise"}


def test_warnings_of_the_users_own_program_come_through():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        grad(lambda t: 1 / t)(0.0)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        grad(lambda t: 1 / t)(0.0)
    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        grad(lambda t: 1 / t)(0.0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_large_numbers_are_not_taken_for_nan(dtype):
    large = dtype(np.finfo(dtype).max / 4)
    gradient = grad(lambda t: np.sum(np.real(t * large)))(np.ones(3, dtype))
    np.testing.assert_array_equal(gradient, np.full(3, large, dtype))


# --- the parts -----------------------------------------------------------------------------------


def test_a_tape_may_be_walked_by_hand_and_more_than_once():
    tape = Tape()
    a, b = tape.input(np.float64(2.0)), tape.input(np.float64(3.0))
    y = a * b + a
    tape.close()
    assert isinstance(y, TapeTracer)
    last = tape.nodes - 1
    for _ in range(2):
        assert backward(tape, [(last, 1.0)], [0, 1]) == [4, 2]
    assert backward(tape, [(last, 1.0), (0, 10.0)], [0, 1]) == [14, 2]
    assert backward(tape, [], [0, 1]) == [None, None]
    assert backward(tape, [(0, 5.0)], [1, 0]) == [None, 5]


def test_only_the_nodes_an_output_depends_on_are_visited():
    visited = []

    def fun(t):
        y = np.sin(t)  # used for nothing
        np.cos(y)
        return t * 2

    out, pullback = vjp(fun, X)
    edges = pullback.tape.edges
    assert edges[:10:5] == [1, 2]  # the sine, and the cosine of it
    edges[2:10:5] = [lambda ct, kept: visited.append(1)] * 2
    assert pullback(np.ones(3))[0].tolist() == [2, 2, 2]
    assert visited == []
    assert out.tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, True),
        (-1, True),
        (np.int64(1), True),
        (slice(None), True),
        (Ellipsis, True),
        (None, True),
        ((0, slice(1), None, Ellipsis), True),
        ((), True),
        (True, False),
        ((0, True), False),
        ([0, 1], False),
        (np.array([0, 1]), False),
        (np.array(0), False),
        ((slice(None), np.array([0])), False),
        (np.array([True, False]), False),
    ],
)
def test_an_index_that_gives_a_view_is_told_from_one_that_does_not(index, expected):
    assert is_basic(index) is expected


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        np.int64(1),
        slice(None, None, -1),
        slice(1, 1),
        Ellipsis,
        None,
        (),
        (0, 1),
        (slice(None), 1),
        (1, slice(None, None, 2)),
        (Ellipsis, 0),
        (None, 0, Ellipsis, None),
        [0, 1],
        [0, 0, 0],
        [],
        [1, -1],
        [True, False],
        True,
        False,
        (0, True),
        np.array(0),
        np.array([[0, 1], [1, 1]]),
        (np.array([0, 1]), np.array([2, 2])),
        (slice(None), np.array([0, 0, 2])),
        (np.array([[0], [1]]), np.array([0, 2])),
        ([0, 1], slice(None), None),
        (np.array([0, 0]), None, np.array([1, 1])),
        (0, np.array([1, 1])),
        M > 2,
        (M > 2) & (M < 5),
        (np.array([True, False]), slice(1, None)),
        (np.array([False, True]), np.array([0, 0])),
        (slice(None), np.array([True, False, True])),
        np.ix_([0, 1, 0], [2, 2]),
        np.zeros((0,), int),
        np.array([True, True]),
    ],
    ids=repr,
)
def test_reading_with_any_index_is_transposed_by_adding_with_it(index):
    assert np.array_equal(vjp(lambda t: t[index], M)[0], M[index])
    ct = np.random.default_rng(0).standard_normal(np.shape(M[index]))
    expected = np.zeros_like(M)
    np.add.at(expected, index, ct)
    np.testing.assert_allclose(vjp(lambda t: t[index], M)[1](ct)[0], expected)
    twice = vjp(lambda t: (t[index], t * 1.0, t[index] * 2), M)[1]((ct, M, ct))[0]
    np.testing.assert_allclose(twice, 3 * expected + M)
    check_grads(lambda t: t[index] * t.sum(), (M,))


def frozen(x):
    x.flags.writeable = False
    return x


LONG = np.linspace(0.1, 1.0, 20_000)


def test_partial_derivative_that_is_read_only_is_left_alone():
    cube = elementwise(lambda x: x**3, lambda x: frozen(3 * x * x), name="cube")
    np.testing.assert_allclose(grad(lambda x: np.sum(3 * cube(x)))(LONG), 9 * LONG**2)


def test_cotangent_that_a_rule_also_keeps_is_not_written_into():
    kept = LONG.copy()
    passed = primitive("passed", lambda x: x * 1.0, vjp=(lambda ct: kept,))
    gradient = grad(lambda x: np.sum(passed(x) + np.sin(x) + passed(x)))(LONG)
    np.testing.assert_allclose(gradient, 2 * LONG + np.cos(LONG))
    np.testing.assert_array_equal(kept, LONG)


def test_memory_counts_as_free_only_without_another_name():
    def may_write(x, usual):
        return is_free(x, usual)

    x = np.zeros(3)
    # lists, since `assert` has names of its own for what it calls with
    assert [may_write(np.zeros(3), TEMPORARY), may_write(x, NAMED)] == [True, True]
    holder = [x]
    assert [may_write(x, NAMED), may_write(x[:], NAMED), len(holder)] == [False, False, 1]
