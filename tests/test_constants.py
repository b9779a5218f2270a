"""Constants that the program changes after use: the gradient is right, or an error names the line."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given

from funcgrad import grad, jvp, value_and_grad, vjp
from funcgrad.constants import COPY_BYTES, checksum, protect
from funcgrad.errors import FuncgradError, MutatedConstantError

X = np.array([1.0, 2.0, 3.0])
LARGE = COPY_BYTES // 8 + 100  # float64 entries of an array that is not copied


class Sub(np.ndarray):
    """An array that NumPy treats as one."""


def changing(use, make, change):
    """Return a function of x that uses a constant before changing it, and one that does not change it."""

    def changed(x):
        constant = make()
        y = use(x, constant)
        change(constant)
        return np.sum(y)

    def unchanged(x):
        return np.sum(use(x, make()))

    return changed, unchanged


def zero_out(constant):
    constant[...] = 0


USES = {
    "x * c": lambda x, c: x * c,
    "c * x": lambda x, c: c * x,
    "np.multiply": np.multiply,
    "multiply by keyword": lambda x, c: np.multiply(x, c, dtype=float),
    "x / c": lambda x, c: x / c,
    "c / x": lambda x, c: c / x,
    "x ** c": lambda x, c: x**c,
    "c ** x": lambda x, c: c**x,
    "maximum": np.maximum,
    "c first in minimum": lambda x, c: np.minimum(c, x),
    "arctan2": np.arctan2,
    "hypot": lambda x, c: np.hypot(c, x),
    "x % c": lambda x, c: x % c,
    "logaddexp": np.logaddexp,
    "where": lambda x, c: np.where(c > 1.5, x * c, x),
    "where of the mask": lambda x, c: np.where(c, x, 0.0),
    "clip": lambda x, c: np.clip(x, c - 1, c) * c,
    "x @ c": lambda x, c: x @ c,
    "c @ x": lambda x, c: c @ x,
    "np.dot": lambda x, c: np.dot(c, x),
    "np.outer": lambda x, c: np.outer(c, x),
    "np.inner": np.inner,
    "np.tensordot": lambda x, c: np.tensordot(c, x, 1),
    "np.einsum": lambda x, c: np.einsum("i,i->", c, x),
    "sum of a mask": lambda x, c: np.sum(x, where=c > 1.5),
    "a view": lambda x, c: c[::-1] * x,
    "a row": lambda x, c: c[None] * x[:, None],
    "a broadcast": lambda x, c: np.broadcast_to(c, (4, 3)) * x,
    "a broadcast in a product": lambda x, c: np.broadcast_to(c, (4, 3)) @ x,
    "a transpose": lambda x, c: c.reshape(3, 1).T @ x,
    "a list of it": lambda x, c: np.stack([x, c]) * np.stack([c, x]),
    "an operand twice": lambda x, c: c * x * c,
    "a composite": lambda x, c: np.var(x * c) * np.mean(c),
    "a read-only view": lambda x, c: read_only(c) * x,
    "a read-only view in a product": lambda x, c: read_only(c) @ x,
    "a subclass view": lambda x, c: c.view(Sub) * x,
    "a nested gradient": lambda x, c: grad(lambda u: np.sum(u * u * c))(x),
}


def read_only(c):
    view = c[:]
    view.flags.writeable = False
    return view


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_constant_that_changes_after_use_does_not_change_the_gradient(use):
    changed, unchanged = changing(use, lambda: np.array([1.0, 2.0, 3.0]), zero_out)
    expected_value, expected = value_and_grad(unchanged)(X + 0.25)
    value, gradient = value_and_grad(changed)(X + 0.25)
    assert value == expected_value
    np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nor_does_it_change_the_second_derivative(use):
    changed, unchanged = changing(use, lambda: np.array([1.0, 2.0, 3.0]), zero_out)
    expected = grad(lambda x: np.sum(grad(unchanged)(x) ** 2))(X + 0.25)
    np.testing.assert_array_equal(grad(lambda x: np.sum(grad(changed)(x) ** 2))(X + 0.25), expected)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nor_the_forward_derivative(use):
    changed, unchanged = changing(use, lambda: np.array([1.0, 2.0, 3.0]), zero_out)
    expected = jvp(unchanged, (X + 0.25,), (X,))
    np.testing.assert_array_equal(jvp(changed, (X + 0.25,), (X,)), expected)


LARGE_USES = {
    "x * c": lambda x, c: x * c,
    "c / x": lambda x, c: c / x,
    "x ** c": lambda x, c: x**c,
    "maximum": np.maximum,
    "x @ c": lambda x, c: (x * np.ones(c.shape)) @ c,
    "where": lambda x, c: np.where(c, x, 0.0),
    "a view": lambda x, c: c[::-1] * x,
    "a broadcast": lambda x, c: np.broadcast_to(c, (2, *c.shape)) * x,
    "a read-only view": lambda x, c: read_only(c) * x,
    "a subclass view": lambda x, c: c.view(Sub) * x,
    "einsum": lambda x, c: np.einsum("i,i->", c, x * np.ones(c.shape)),
}


@pytest.mark.parametrize("use", LARGE_USES.values(), ids=LARGE_USES)
@pytest.mark.parametrize(
    "change",
    [
        zero_out,
        lambda c: c.__setitem__(0, 7.0),
        lambda c: c.__setitem__(-1, 7.0),
        lambda c: c.__setitem__(LARGE // 2, -c[LARGE // 2]),
        lambda c: c.__setitem__(slice(0, 2), c[1::-1].copy()),
        lambda c: c.sort(),
        lambda c: np.negative(c, out=c),
    ],
)
def test_a_large_constant_that_changes_after_use_raises_or_does_no_harm(use, change):
    def make():
        return np.linspace(3.0, 1.0, LARGE)

    changed, unchanged = changing(use, make, change)
    expected = grad(unchanged)(1.5)
    try:
        gradient = grad(changed)(1.5)
    except MutatedConstantError as error:
        said = str(error)
    else:
        said = "at test_constants.py: right  Fix: none"
        assert gradient == expected
    assert "at test_constants.py" in said
    assert "  Fix: " in said


def test_a_large_constant_that_a_rule_keeps_and_that_changes_raises():
    for change in (zero_out, lambda c: c.__setitem__(17, 5.0)):
        changed, _ = changing(LARGE_USES["x * c"], lambda: np.ones(LARGE), change)
        with pytest.raises(MutatedConstantError):
            grad(changed)(2.0)


def test_a_large_constant_that_no_rule_keeps_may_change():
    changed, _ = changing(lambda x, c: x + c, lambda: np.ones(LARGE), zero_out)
    assert grad(changed)(2.0) == LARGE
    kept_only_for_the_other = changing(lambda x, c: c - x, lambda: np.ones(LARGE), zero_out)[0]
    assert grad(kept_only_for_the_other)(2.0) == -LARGE


def test_a_large_constant_may_change_after_the_backward_pass_and_change_back_before():
    c = np.ones(LARGE)
    assert grad(lambda x: np.sum(x * c))(2.0) == LARGE
    c[:] = 3.0
    assert grad(lambda x: np.sum(x * c))(2.0) == 3 * LARGE

    def there_and_back(x):
        y = np.sum(x * c)
        c[0] = 0.0
        c[0] = 3.0
        return y

    assert grad(there_and_back)(2.0) == 3 * LARGE


def test_a_pullback_checks_on_each_call():
    c = np.ones(LARGE)
    _, pullback = vjp(lambda x: np.sum(x * c), 2.0)
    assert pullback(1.0) == (LARGE,)
    c[5] = 0.0
    with pytest.raises(MutatedConstantError):
        pullback(1.0)
    c[5] = 1.0
    assert pullback(1.0) == (LARGE,)


def test_a_workspace_that_a_loop_reuses():
    def loss(x):
        buffer, total = np.empty(3), 0.0
        for k in range(1, 4):
            buffer[:] = k
            total = total + np.sum(x * buffer)
        return total

    assert grad(loss)(X).tolist() == [6, 6, 6]


def test_a_large_workspace_that_a_loop_reuses_raises():
    def loss(x):
        buffer, total = np.empty(LARGE), 0.0
        for k in range(1, 4):
            buffer[:] = k
            total = total + np.sum(x * buffer)
        return total

    with pytest.raises(MutatedConstantError):
        grad(loss)(1.0)


def test_plain_arrays_that_are_updated_in_place_between_uses():
    def loss(x):
        weights = np.ones(3)
        y = np.sum(x * weights)
        weights += 1.0
        y = y + np.sum(x * weights)
        weights *= 10.0
        return y + np.sum(x * weights)

    assert grad(loss)(X).tolist() == [23, 23, 23]


@pytest.mark.parametrize(
    ("make", "use", "change", "expected"),
    [
        (lambda: np.array([0, 1]), lambda x, i: x[i], zero_out, [1, 1, 0]),
        (lambda: [0, 1], lambda x, i: x[i], lambda i: i.__setitem__(0, 2), [1, 1, 0]),
        (lambda: np.array([0, 1]), lambda x, i: x[i, None], zero_out, [1, 1, 0]),
        (lambda: np.array([0, 0, 1]), lambda x, i: x[i], zero_out, [2, 1, 0]),
        (lambda: X > 1, lambda x, m: x[m], zero_out, [0, 1, 1]),
        (lambda: X > 1, lambda x, m: np.where(m, x, 0), zero_out, [0, 1, 1]),
        (lambda: X > 1, lambda x, m: np.where(m, 0, x), zero_out, [1, 0, 0]),
        (lambda: X > 1, lambda x, m: np.sum(x, where=m), zero_out, [0, 1, 1]),
        (lambda: np.array([0, 1]), np.take, zero_out, [1, 1, 0]),
        (lambda: np.array([1, 2, 3]), np.repeat, zero_out, [1, 2, 3]),
        (lambda: [1.0, 2.0, 3.0], lambda x, c: x * c, lambda c: c.clear(), [1, 2, 3]),
        (lambda: [[1.0, 2.0, 3.0]], lambda x, c: c @ x, lambda c: c[0].clear(), [1, 2, 3]),
    ],
)
def test_indices_masks_counts_and_lists_that_change_after_use(make, use, change, expected):
    changed, _ = changing(use, make, change)
    assert grad(changed)(X).tolist() == expected
    assert vjp(changed, X)[1](1.0)[0].tolist() == expected


def test_an_input_of_an_inner_transform_is_protected_too():
    def loss(t):
        point = np.array([1.0, 2.0])
        slope = grad(lambda u: np.sum(u * u * t))(point)  # 2 t point
        point[:] = 0.0
        return np.sum(slope)

    assert grad(loss)(3.0) == 6


def test_memory_mapped_arrays_are_protected(tmp_path):
    mapped = np.memmap(tmp_path / "data", dtype=float, mode="w+", shape=(3,))
    mapped[:] = 1.0

    def loss(x):
        y = x * mapped
        mapped[:] = 0.0
        return np.sum(y)

    assert grad(loss)(2.0) == 3


def test_object_arrays_and_structured_arrays_are_refused_or_right():
    class Number:
        def __mul__(self, other):
            return NotImplemented

    for constant in (np.array([Number()], object), np.zeros(2, [("a", float)])):
        with pytest.raises((FuncgradError, TypeError)):
            grad(lambda x: np.sum(x * constant))(2.0)  # noqa: B023


# --- the parts -----------------------------------------------------------------------------------


def test_small_arrays_are_copied_and_large_ones_checked():
    small, large, checks = np.ones(3), np.ones(LARGE), []
    kept = protect(small, checks)
    assert kept is not small
    assert not np.shares_memory(kept, small)
    assert checks == []
    assert protect(large, checks) is large
    assert len(checks) == 1


def test_arrays_that_nobody_can_write_are_kept_as_they_are():
    for size in (3, LARGE):
        array, checks = np.ones(size), []
        array.flags.writeable = False
        assert protect(array, checks) is array
        assert checks == []


def test_a_read_only_view_of_an_array_that_can_be_written_is_not_trusted():
    for array in (np.ones(3), np.ones(LARGE)):
        checks = []
        kept = protect(read_only(array), checks)
        assert checks or not np.shares_memory(kept, array)


def test_tuples_and_lists_are_protected_inside():
    index, checks = np.array([0, 1]), []
    kept = protect((index, slice(None), None, 2), checks)
    assert kept[1:] == (slice(None), None, 2)
    assert not np.shares_memory(kept[0], index)


@given(
    st.integers(1, 40_000),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["f8", "f4", "i1", "?", "c16"]),
)
def test_the_checksum_tells_any_changed_entry(size, seed, dtype):
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 2, size).astype(dtype)
    before = checksum(array)
    assert checksum(array.copy()) == before
    place = rng.integers(size)
    array[place] = 1 - array[place]
    assert checksum(array) != before
    array[place] = 1 - array[place]
    assert checksum(array) == before


@given(st.integers(2, 40_000), st.integers(0, 2**32 - 1))
def test_the_checksum_tells_exchanged_entries(size, seed):
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(size)
    i, j = rng.choice(size, 2, replace=False)
    assume((i - j) % 1021)  # as its docstring says
    before = checksum(array)
    array[[i, j]] = array[[j, i]]
    assert checksum(array) != before


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((40, 1021), "f8"), ((40, 2042), "f4"), ((20, 1021, 3), "f8"), ((9, 1021 * 1019), "f4")],
)
def test_the_checksum_tells_exchanged_rows_of_any_length(shape, dtype):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    assert checksum(array) != checksum(array[::-1].copy())
    assert checksum(array.T) != checksum(array[::-1].T.copy("K"))


@pytest.mark.parametrize("view", [lambda a: a.T, lambda a: a[:, ::2], lambda a: a[::-1], np.array])
def test_the_checksum_reads_arrays_in_any_layout(view):
    array = np.arange(40_000.0).reshape(200, 200)
    assert checksum(view(array)) == checksum(view(array.copy()))
    before = checksum(view(array))
    array[10, 20] += 1
    assert checksum(view(array)) != before


def test_the_checksum_takes_empty_and_zero_dimensional_arrays():
    assert checksum(np.zeros(0)) == checksum(np.zeros((0, 3)))
    assert checksum(np.array(1.0)) != checksum(np.array(2.0))


def test_the_checksum_tells_minus_zero_and_nans_apart_by_their_bytes():
    assert checksum(np.array([0.0])) != checksum(np.array([-0.0]))
    assert checksum(np.full(3, np.nan)) == checksum(np.full(3, np.nan))


def test_an_argument_of_up_to_a_megabyte_counts_as_it_was():
    x = np.full(LARGE, 2.0)

    def loss(y):
        z = y * y
        x[:] = 0
        return np.sum(z)

    np.testing.assert_array_equal(grad(loss)(x), 4.0)
    x = np.full(200_000, 2.0)
    with pytest.raises(MutatedConstantError):
        grad(loss)(x)
