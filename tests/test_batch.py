"""What a function sees under vmap: one example, whatever it does with it.

The axes and arguments of vmap itself are in `test_mapping.py`; each NumPy function against a loop is
in `primitives/test_rules.py`.
"""

import math
from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from funcgrad import custom_vjp, grad, hessian, jvp, stop_gradient, tree, vjp, vmap
from funcgrad.errors import LeakedTracerError, TracerConversionError, UnsupportedError
from funcgrad.primitives import families
from tests import strategies

ROWS = np.array([[3.0, 1.0, 2.0], [1.0, 3.0, 2.0], [-1.0, 0.0, -2.0]])
COLUMN = np.array([0.5, -1.0, 2.0])


def looped(f, *args):
    """Apply f to each example and stack the results."""
    rows = [f(*row) for row in zip(*args, strict=True)]
    return tree.map(lambda *xs: np.stack(xs), *rows)


def assert_is_a_loop(f, *args):
    got, expected = vmap(f)(*args), looped(f, *args)
    for a, b in zip(tree.leaves(got), tree.leaves(expected), strict=True):
        assert type(a) is np.ndarray
        assert a.dtype == b.dtype
        assert np.array_equal(a, b) or np.allclose(a, b, rtol=1e-12, atol=1e-13)


# --- one example ---------------------------------------------------------------------------------


def test_the_function_sees_the_shape_of_one_example():
    seen = []

    def f(x):
        seen.append((x.shape, x.ndim, x.size, len(x), x.dtype, x.nbytes, np.shape(x), np.ndim(x)))
        return x

    vmap(f)(np.ones((5, 3, 2), np.float32))
    assert seen == [((3, 2), 2, 6, 3, np.dtype("f4"), 24, (3, 2), 2)]


def test_an_example_of_a_vector_is_a_number():
    def f(x):
        assert x.shape == ()
        with pytest.raises(TypeError, match="unsized"):
            len(x)
        with pytest.raises(TypeError, match="0-d"):
            iter(x)
        return x * 2

    assert np.array_equal(vmap(f)(COLUMN), 2 * COLUMN)


def test_the_function_runs_once():
    runs = []
    vmap(lambda x: runs.append(1) or np.sin(x))(np.ones(100))
    assert len(runs) == 1


def test_examples_broadcast_among_themselves_not_with_the_batch():
    # Batch and example axes have equal lengths, so that a wrong alignment would not raise.
    x, y = np.arange(3.0), ROWS
    assert_is_a_loop(lambda x, y: x + y, x, y)
    assert_is_a_loop(lambda x, y: x * y * np.ones((3, 3)), x, y)
    assert_is_a_loop(lambda x, y: np.arange(3.0) * x - y[:, None], x, y)
    assert_is_a_loop(lambda y: y @ ROWS @ y, y)


@given(strategies.broadcastable(3))
def test_broadcasting_within_examples_is_that_of_numpy(arrays):
    batched = [np.stack([x, x + 1, 2 * x]) for x in arrays]
    for which in product([False, True], repeat=3):
        if not any(which):
            continue
        mapped = [b if m else x for b, m, x in zip(batched, which, arrays, strict=True)]
        axes = tuple(0 if m else None for m in which)
        got = vmap(lambda x, y, z: x * y - z, in_axes=axes)(*mapped)
        for k in range(3):
            x, y, z = [a[k] if m else a for a, m in zip(mapped, which, strict=True)]
            assert np.allclose(got[k], x * y - z)


NUMBERS_AND_SHARED = [
    *[2, 2.5, np.float64(2.5), np.float32(2.5), np.array(2.5), np.arange(1.0, 4.0)],
    *[np.arange(1, 4), np.ones((2, 3)), np.ones((2, 1)), np.ones((3, 2)), True],
]


@pytest.mark.parametrize("other", NUMBERS_AND_SHARED, ids=repr)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("op", [*"+-*/@", "**", "<", "<=", ">", ">=", "=="])
def test_operators_with_what_all_examples_share_are_a_loop(op, dtype, other):
    rows = np.arange(1, 7).reshape(2, 3).astype(dtype)
    for xs in (rows, rows[:, 0], rows[:, None, :] * np.ones((2, 1), dtype)):
        for code in (f"x {op} y", f"y {op} x"):
            f = eval(f"lambda x, y: {code}")
            try:
                expected = [f(x, other) for x in xs]
            except (TypeError, ValueError):
                continue
            got = vmap(lambda x, f=f: f(x, other))(xs)
            assert got.dtype == np.stack(expected).dtype
            assert np.allclose(got, np.stack(expected))


@pytest.mark.parametrize("op", [*"+-*/", "<", ">="])
def test_operators_among_examples_of_different_rank_are_a_loop(op):
    f = eval(f"lambda x, y: (x {op} y, y {op} x)")
    matrices = np.arange(1.0, 13).reshape(2, 3, 2)
    for other in (COLUMN[:2], matrices[:, 0], matrices[:, :, :1], matrices):
        assert_is_a_loop(f, matrices, other)


def test_python_numbers_are_weak():
    x = np.ones((2, 3), np.float32)
    assert vmap(lambda x: 2.0 * x + 1)(x).dtype == np.float32
    assert vmap(lambda x: np.sin(x[0]) ** 2)(x).dtype == np.float32
    assert vmap(lambda x: x * np.float64(2))(x).dtype == np.float64


def test_iteration_unpacking_and_len_go_over_the_example():
    def f(x):
        a, b, c = x
        total = 0.0
        for entry in x:
            total = total + entry
        return np.stack([a * b, c, total])

    assert_is_a_loop(f, ROWS)


def test_format_and_print_do_not_fail(capsys):
    def f(x):
        print(x, f"{x} {x:.3f}", repr(x))
        return x

    vmap(f)(COLUMN)
    assert capsys.readouterr().out


# --- results that have no derivative stay mapped ----------------------------------------------------


def test_comparisons_stay_mapped():
    assert_is_a_loop(lambda x: (x > 1, x == 2, x >= 1, x != x[0], x < x[::-1]), ROWS)


def test_boolean_algebra_stays_mapped():
    assert_is_a_loop(lambda x: ((x > 1) & (x < 3) | ~(x == 2)) ^ (x > 0), ROWS)
    assert_is_a_loop(lambda x: (np.any(x > 2), np.all(x > 0), np.logical_not(x > 1)), ROWS)


def test_argmax_argsort_and_sort_stay_mapped():
    assert_is_a_loop(lambda x: (np.argmax(x), x.argmin(), np.argsort(x), np.sort(x)), ROWS)


def test_integer_results_stay_mapped():
    assert_is_a_loop(lambda x: (x.astype(int), np.sum(x > 1), np.sign(x).astype(int) * 2), ROWS)
    assert_is_a_loop(lambda n: (n // 2, n % 2, n << 1, n & 1, -n), np.arange(5))


def test_piecewise_constant_functions_stay_mapped():
    assert_is_a_loop(lambda x: (np.floor(x / 2), np.round(x), np.sign(x), np.isnan(x)), ROWS)


def test_result_of_a_comparison_selects():
    assert_is_a_loop(lambda x: np.where(x > np.mean(x), x, -x), ROWS)
    assert_is_a_loop(lambda x: x * (x > 0), ROWS)


def test_counts_stay_mapped():
    assert_is_a_loop(lambda x: np.count_nonzero(x > 0), ROWS)


# --- mapped indices -------------------------------------------------------------------------------

INDICES = np.array([2, 0, 1])


def test_indexing_by_a_mapped_number():
    assert_is_a_loop(lambda x, i: x[i], ROWS, INDICES)
    assert_is_a_loop(lambda x, i: x[i - 1], ROWS, INDICES)


def test_indexing_by_mapped_numbers_in_several_places():
    cube = np.arange(81.0).reshape(3, 3, 3, 3)
    assert_is_a_loop(lambda x, i: x[i, i], cube, INDICES)
    assert_is_a_loop(lambda x, i: x[:, i], cube, INDICES)
    assert_is_a_loop(lambda x, i: x[i, :, i], cube, INDICES)
    assert_is_a_loop(lambda x, i: x[..., i], cube, INDICES)
    assert_is_a_loop(lambda x, i: x[1:, None, i, 0], cube, INDICES)
    assert_is_a_loop(lambda x, i: x[i, [0, 1]], cube, INDICES)


def test_indexing_by_a_mapped_array():
    index = np.array([[0, 0], [1, 2], [2, -1]])
    assert_is_a_loop(lambda x, i: x[i], ROWS, index)
    assert_is_a_loop(lambda x, i: x[i, i[::-1]], np.stack([ROWS] * 3), index)


def test_indexing_by_what_the_example_itself_says():
    assert_is_a_loop(lambda x: x[np.argmax(x)], ROWS)
    assert_is_a_loop(lambda x: x[np.argsort(x)], ROWS)
    assert_is_a_loop(lambda x: x[np.argsort(x)[::-1][:2]], ROWS)


@pytest.mark.parametrize("read", [lambda x, i: x[i], np.take, lambda x, i: x.take(i)])
def test_plain_array_with_a_mapped_index_says_how_to_write_it(read):
    # NumPy asks the array alone, never the index.
    with pytest.raises(TracerConversionError, match=r"np\.array\(x, like=i\)\[i\]"):
        vmap(lambda i: read(COLUMN, i))(INDICES)
    got = vmap(lambda i: np.array(COLUMN, like=i)[i])(INDICES)
    assert np.array_equal(got, COLUMN[INDICES])


def test_only_the_index_of_take_along_axis_is_mapped():
    got = vmap(lambda i: np.take_along_axis(COLUMN, i, 0))(INDICES[:, None])
    assert np.array_equal(got, COLUMN[INDICES][:, None])


def test_take_and_take_along_axis_with_mapped_indices():
    index = np.array([[0, 0], [1, 2], [2, -1]])
    assert_is_a_loop(np.take, ROWS, index)
    assert_is_a_loop(lambda x, i: x.take(i), ROWS, INDICES)
    assert_is_a_loop(lambda x, i: np.take(x, i, axis=1), np.stack([ROWS] * 3), index)
    assert_is_a_loop(lambda x, i: np.take_along_axis(x, i, 0), ROWS, index)
    assert_is_a_loop(lambda x: np.take_along_axis(x, np.argsort(x), axis=-1), ROWS)


def test_gradient_with_respect_to_an_array_read_at_mapped_indices():
    # Repeated indices add up.
    def total(w):
        return np.sum(vmap(lambda i: w[i] ** 2)(np.array([0, 0, 2])))

    assert np.array_equal(grad(total)(COLUMN), [4 * 0.5, 0, 2 * 2.0])


def test_per_example_gradient_of_a_gather():
    got = vmap(grad(lambda x, i: x[i] ** 2))(ROWS, INDICES)
    expected = np.zeros((3, 3))
    expected[np.arange(3), INDICES] = 2 * ROWS[np.arange(3), INDICES]
    assert np.array_equal(got, expected)


def test_per_example_cross_entropy_with_mapped_labels():
    def loss(logits, label):
        return np.log(np.sum(np.exp(logits))) - logits[label]

    softmax = np.exp(ROWS) / np.sum(np.exp(ROWS), axis=1, keepdims=True)
    assert np.allclose(vmap(grad(loss))(ROWS, INDICES), softmax - np.eye(3)[INDICES])
    assert np.allclose(
        vmap(hessian(loss))(ROWS, INDICES)[1],
        np.diag(softmax[1]) - np.outer(softmax[1], softmax[1]),
    )


# --- derivatives and constants --------------------------------------------------------------------


def test_stop_gradient_keeps_mapped_values_mapped():
    assert np.array_equal(vmap(lambda x: stop_gradient(x) * 2)(COLUMN), 2 * COLUMN)
    assert np.array_equal(vmap(lambda x: stop_gradient({"x": x}))(COLUMN)["x"], COLUMN)


def test_stop_gradient_stops_inside_and_around_vmap():
    def f(x):
        return x * stop_gradient(x)

    assert np.array_equal(vmap(grad(f))(COLUMN), COLUMN)
    assert np.array_equal(grad(lambda x: np.sum(vmap(f)(x)))(COLUMN), COLUMN)
    assert np.array_equal(vmap(lambda x: jvp(f, (x,), (1.0 + 0 * x,))[1])(COLUMN), COLUMN)


def test_zero_stays_zero_for_each_example_on_its_own():
    rows = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 2.0]])

    def norm(x):
        return np.sqrt(np.sum(x * x))

    assert np.allclose(vmap(grad(norm))(rows), [[0, 0], [0.6, 0.8], [0, 1]])
    tangents = vmap(lambda x: jvp(norm, (x,), (x,))[1])(rows)
    assert np.allclose(tangents, [0, 5, 2])


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_dead_branches_of_some_examples_have_no_nan():
    def f(x):
        return np.where(x > 0, np.log(x), 0)

    x = np.array([-1.0, 0.0, 2.0])
    assert np.array_equal(vmap(grad(f))(x), [0, 0, 0.5])
    assert np.array_equal(vmap(lambda x: jvp(f, (x,), (1.0,))[1])(x), [0, 0, 0.5])


def test_dead_branch_over_a_function_of_matrices_is_like_a_loop():
    def f(c, a):
        # The middle example's product is dead, and infinite.
        return np.where(c > 0, np.sum((a @ a)[0] / c), 0)

    c, a = np.array([1.0, -1.0, 2.0]), np.stack([ROWS, np.full((3, 3), np.inf), ROWS])
    with np.errstate(invalid="ignore"):
        got = vmap(grad(f, (0, 1)))(c, a)
        rows = [grad(f, (0, 1))(c[k], a[k]) for k in range(3)]
    for k in range(3):
        assert np.allclose(got[0][k], rows[k][0], equal_nan=True)
        assert np.allclose(got[1][k], rows[k][1], equal_nan=True)


def outer_by_row(w, x, dead):
    """Return a loss whose gradient is an outer product: of x with zeros if the example is dead."""
    return np.sum(np.where(dead, 0.0, np.tanh(x @ w)) * np.arange(1.0, 41.0))


def outer_by_column(w, x, dead):
    return outer_by_row(w.T, x, dead)


def outer_by_matvec(w, x, dead):
    return np.sum(np.where(dead, 0.0, np.tanh(w.T @ x)) * np.arange(1.0, 41.0))


SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, 1e-300]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", [outer_by_row, outer_by_column, outer_by_matvec])
@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the loss itself: inf - inf
def test_large_gradients_of_examples_are_those_of_a_loop_at_special_points(
    loss, special, dtype, rng
):
    w = 0.1 * rng.normal(size=(40, 32) if loss is outer_by_column else (32, 40)).astype(dtype)
    x = rng.normal(size=(16, 32)).astype(dtype)
    x[3, 5] = x[4, 5] = special
    dead = np.arange(16) % 2 == 0  # example 4, not 3
    got = vmap(grad(loss), in_axes=(None, 0, 0))(w, x, dead)
    expected = np.stack([grad(loss)(w, *row) for row in zip(x, dead, strict=True)])
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=1e-12 if dtype is np.float64 else 1e-5)
    assert not got[4].any()
    assert np.isfinite(got[5]).all()


def test_large_outer_products_of_examples_are_those_of_numpy(rng):
    for m, n in [(40, 30), (1, 300), (300, 1), (3, 3)]:
        x, y = rng.normal(size=(2, 16, m)), rng.normal(size=(16, n))
        assert np.array_equal(vmap(np.outer)(x[0], y), x[0][:, :, None] * y[:, None, :])
        mixed = vmap(np.outer)(x[0].astype(np.float32), y)
        assert np.array_equal(mixed, x[0].astype(np.float32)[:, :, None] * y[:, None, :])


def test_a_large_product_that_is_written_into_is_searched_for_nan_again(rng):
    @custom_vjp
    def scaled(w, x):
        return np.sum(w * x[:, None])

    def backward(residuals, ct):
        g = np.outer(residuals * ct, np.ones(40))
        g[0, 0] = np.sum(residuals * 0 / 0)
        return g, None

    scaled.defvjp(lambda w, x: (scaled(w, x), x), backward)
    w, x = rng.normal(size=(32, 40)), rng.normal(size=(16, 32))
    with np.errstate(invalid="ignore"):
        got = vmap(grad(scaled), in_axes=(None, 0))(w, x)
    assert np.isnan(got[:, 0, 0]).all()
    assert np.isfinite(got[:, 1:]).all()


def test_vjp_of_a_vmapped_function_adds_up_what_is_shared():
    _, pullback = vjp(vmap(np.dot, in_axes=(None, 0)), COLUMN, ROWS)
    gw, gx = pullback(np.array([1.0, 2.0, 3.0]))
    assert np.allclose(gw, np.array([1.0, 2.0, 3.0]) @ ROWS)
    assert np.allclose(gx, np.outer([1.0, 2.0, 3.0], COLUMN))


def test_dtypes_of_the_examples_are_kept():
    for dtype in (np.float32, np.complex64, np.int8, bool):
        assert vmap(lambda x: x[::-1])(np.ones((2, 3), dtype)).dtype == dtype


# --- what depends on the data raises ----------------------------------------------------------------

DATA_DEPENDENT = {
    "if": lambda x: x if x[0] > 0 else -x,
    "and": lambda x: x[0] > 0 and x[1],
    "while": lambda x: halved(x[0]),
    "max of Python": lambda x: max(x[0], x[1]),
    "sorted of Python": sorted,
    "in": lambda x: 1.0 in x,
    "assert": lambda x: bool(x[0] == x[0]),
    "int()": lambda x: int(x[0]),
    "float()": lambda x: float(x[0]),
    "complex()": lambda x: complex(x[0]),
    "math": lambda x: math.sin(x[0]),
    "range": lambda x: list(range(np.argmax(x))),
    "list index": lambda x: [1, 2, 3][np.argmax(x)],
    "slice": lambda x: x[: np.argmax(x)],
    "boolean mask": lambda x: x[x > 0],
    "nonzero": np.nonzero,
    "where of one argument": lambda x: np.where(x > 0),
    "reshape": lambda x: x.reshape(np.argmax(x), -1),
}


def halved(x):
    while x > 1:
        x = x / 2
    return x


@pytest.mark.parametrize("f", DATA_DEPENDENT.values(), ids=DATA_DEPENDENT)
def test_a_decision_by_a_mapped_value_points_to_where_and_to_the_loop(f):
    with pytest.raises(TracerConversionError) as caught:
        vmap(f)(ROWS)
    assert 'fallback="loop"' in str(caught.value)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("name", ["if", "while", "boolean mask", "int()"])
def test_the_message_names_the_way_to_write_it_entry_by_entry(name):
    with pytest.raises(TracerConversionError, match=r"np\.where"):
        vmap(DATA_DEPENDENT[name])(ROWS)


def test_the_message_names_the_line_of_the_user():
    def relu(x):
        return x if x > 0 else 0.0  # decided here

    with pytest.raises(TracerConversionError, match=r"test_batch\.py:\d+ in relu"):
        vmap(relu)(COLUMN)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[0] if x[0] > 0 else -x[1],
        lambda x: halved(np.sum(np.abs(x))),
        lambda x: x[int(np.argmax(x))],
        lambda x: np.sum(x[x > -0.5] ** 2),
        lambda x: math.floor(stop_gradient(x[0])) + x[1],
    ],
)
def test_the_loop_runs_such_functions_with_their_derivatives(f):
    assert np.allclose(vmap(f, fallback="loop")(ROWS), looped(f, ROWS))
    assert np.allclose(vmap(grad(f), fallback="loop")(ROWS), looped(grad(f), ROWS))
    total = grad(lambda x: np.sum(vmap(f, fallback="loop")(x)))(ROWS)
    assert np.allclose(total, looped(grad(f), ROWS))


def test_decisions_by_shape_and_by_unmapped_values_are_free():
    def f(x, flag):
        if x.shape == (3,) and flag:
            return x * 2
        return x

    assert np.array_equal(vmap(f, in_axes=(0, None))(ROWS, True), 2 * ROWS)
    assert np.array_equal(vmap(f, in_axes=(0, None))(ROWS, 0.0), ROWS)


@pytest.mark.parametrize("inside", [grad, lambda f: lambda x: jvp(f, (x,), (1.0,))[1]])
def test_a_decision_under_grad_under_vmap_raises(inside):
    with pytest.raises(TracerConversionError, match="fallback"):
        vmap(inside(lambda x: x if x > 0 else -x))(COLUMN)


@pytest.mark.parametrize(
    "f",
    [
        np.asarray,
        np.array,
        lambda x: np.zeros(3) + np.asarray(x),
        lambda x: np.ones(3).__setitem__(0, x[0]),
        lambda x: np.asarray(x[0], float),
    ],
)
def test_conversion_of_a_mapped_value_to_a_plain_one_raises(f):
    with pytest.raises(TracerConversionError):
        vmap(f)(ROWS)


# --- functions without rules ----------------------------------------------------------------------


@pytest.mark.parametrize("f", [np.frompyfunc(lambda x: x, 1, 1), lambda x: np.packbits(x > 0)])
def test_unregistered_function_raises(f):
    with pytest.raises(UnsupportedError):
        vmap(f)(ROWS)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_masked_arrays_and_matrices_do_not_mix_with_mapped_values():
    masked = np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])
    for other in (masked, np.matrix([[1.0, 2.0, 3.0]])):
        with pytest.raises(UnsupportedError):
            vmap(lambda x, other=other: x * other)(ROWS)


def declared(name, **rules):
    """Declare a primitive for one test; the registry is left as it was."""
    family = rules.pop("family", families.primitive)
    try:
        return family(name, **rules)
    finally:
        families.REGISTRY.pop(name, None)


def plain_cube(x):
    assert type(x) in (np.ndarray, np.float64)
    return x**3


def test_primitive_without_a_batch_rule_runs_example_by_example():
    cube = declared("test cube", fun=plain_cube, vjp=(lambda ct, x: ct * 3 * x**2,))
    assert np.allclose(vmap(cube)(ROWS), ROWS**3)
    assert np.allclose(vmap(cube, in_axes=1, out_axes=1)(ROWS), ROWS**3)
    assert np.allclose(vmap(grad(cube))(COLUMN), 3 * COLUMN**2)
    assert np.allclose(grad(lambda x: np.sum(vmap(cube)(x)))(ROWS), 3 * ROWS**2)
    assert np.allclose(vmap(vmap(cube))(ROWS), ROWS**3)
    assert np.allclose(vmap(lambda x: jvp(cube, (x,), (x,))[1])(ROWS), 3 * ROWS**3)
    assert vmap(cube)(np.zeros((0, 3))).shape == (0, 3)


def test_primitive_of_several_outputs_without_a_batch_rule():
    def parts(x):
        return x.sum(), x * 2

    split = declared(
        "test parts",
        fun=parts,
        vjp=(lambda cts, x_shape: np.broadcast_to(cts[0], x_shape) + 2 * cts[1],),
        multiple=True,
    )
    total, doubled = vmap(split)(ROWS)
    assert np.allclose(total, ROWS.sum(axis=1))
    assert np.allclose(doubled, 2 * ROWS)
    got = vmap(grad(lambda x: split(x)[0] ** 2 + np.sum(split(x)[1])))(ROWS)
    assert np.allclose(got, 2 * ROWS.sum(axis=1, keepdims=True) + 2)


def test_primitive_with_some_arguments_mapped_runs_example_by_example():
    scale = declared(
        "test scale",
        fun=lambda x, y, power: x * y**power,
        vjp=(lambda ct, y, power: ct * y**power, lambda ct, x, y, power: np.sum(ct * x) * power),
    )
    assert np.allclose(vmap(lambda x: scale(x, 2.0, power=3))(ROWS), 8 * ROWS)
    assert np.allclose(vmap(lambda y: scale(COLUMN, y, power=2))(COLUMN)[2], 4 * COLUMN)


# --- escapes ---------------------------------------------------------------------------------------


def test_mapped_value_that_escapes_raises_when_used():
    kept = []
    vmap(lambda x: kept.append(x) or x)(COLUMN)
    for use in (lambda x: x + 1, np.sin, lambda x: x[0], lambda x: x > 0, np.sum, float):
        with pytest.raises((LeakedTracerError, TracerConversionError, IndexError)):
            use(kept[0])


def test_mapped_value_of_another_vmap_raises_after_it_ended():
    kept = []
    vmap(lambda x: kept.append(x) or x)(COLUMN)
    with pytest.raises(LeakedTracerError):
        vmap(lambda x: x * kept[0])(COLUMN)


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3), st.integers(0, 3))
def test_any_number_of_examples(sizes, examples):
    x = np.arange(float(examples * int(np.prod(sizes)))).reshape(examples, *sizes)
    got = vmap(lambda x: (np.sum(x, axis=0), x.T, np.sin(x)))(x)
    assert got[0].shape == (examples, *sizes[1:])
    assert np.array_equal(got[1], x.transpose(0, *range(len(sizes), 0, -1)))
    assert np.allclose(got[0], x.sum(axis=1))
