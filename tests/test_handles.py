"""In-place writes into traced arrays: as in NumPy, aliases and views included, or refused."""

import copy
import gc
import re
import weakref

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, note

from funcgrad import (
    FuncgradError,
    checkpoint,
    custom_vjp,
    grad,
    hessian,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)
from funcgrad.errors import LeakedTracerError
from funcgrad.primitives import writing
from funcgrad.testing import check_grads

X = np.array([0.31, 0.72, 1.43])
M = np.array([[0.31, 0.72, -0.43], [1.14, -0.65, 0.96]])


def directions(x):
    return np.random.default_rng(1).uniform(-1, 1, (2, *x.shape))


def assert_follows_numpy(fun, x=X, maps=True):
    """Check a function, which may write into its argument, under every transform.

    A mask that differs from example to example is refused by vmap: `maps` is then false.
    """

    def loss(t):
        return np.sum(np.sin(fun(t)))

    def fresh(u=0.0, step=0.0):
        return x + step * u  # a new array each time: a plain call writes into it

    u, v = directions(x)
    out, pullback = vjp(fun, fresh())
    np.testing.assert_allclose(out, fun(fresh()), rtol=1e-12)
    assert out.dtype == fun(fresh()).dtype
    value, gradient = value_and_grad(loss)(fresh())
    np.testing.assert_allclose(value, loss(fresh()), rtol=1e-12)
    slope = (loss(fresh(u, 1e-6)) - loss(fresh(u, -1e-6))) / 2e-6
    scale = 1 + np.sum(np.abs(gradient))
    assert abs(np.sum(gradient * u) - slope) <= 1e-7 * scale
    np.testing.assert_allclose(pullback(np.cos(out))[0], gradient, rtol=1e-10, atol=1e-12)
    assert abs(jvp(loss, (fresh(),), (u,))[1] - np.sum(gradient * u)) <= 1e-12 * scale
    if (
        fun is write_the_argument
    ):  # it runs twice on the same arguments, so it may not write to them
        with pytest.raises(ValueError, match="read-only"):
            grad(checkpoint(loss))(fresh())
    else:
        np.testing.assert_allclose(grad(checkpoint(loss))(fresh()), gradient, rtol=1e-12)
    batch = np.stack([fresh(), fresh(u, 0.01)])
    if not maps:
        with pytest.raises(FuncgradError, match="mask"):
            vmap(loss)(batch)
        return
    np.testing.assert_allclose(vmap(loss)(batch.copy()), [loss(b.copy()) for b in batch])
    slopes = [grad(loss)(b.copy()) for b in batch]
    np.testing.assert_allclose(vmap(grad(loss))(batch), slopes, rtol=1e-10, atol=1e-12)
    of_all = grad(lambda rows: np.sum(vmap(loss)(rows)))(batch)
    np.testing.assert_allclose(of_all, slopes, rtol=1e-10, atol=1e-12)
    curved = hessian(loss)(fresh()).reshape(x.size, x.size)
    ahead, behind = grad(loss)(fresh(v, 1e-5)), grad(loss)(fresh(v, -1e-5))
    expected = (ahead - behind).ravel() / 2e-5
    atol = 1e-5 * (1 + np.abs(curved).max())
    np.testing.assert_allclose(curved @ v.ravel(), expected, atol=atol)
    np.testing.assert_allclose(curved, curved.T, atol=1e-10 * scale)


# --- where and what is written -------------------------------------------------------------------

INDICES = [
    0,
    -1,
    slice(None),
    slice(1, None),
    slice(None, None, -1),
    slice(0, 0),
    Ellipsis,
    None,
    (0, 1),
    (slice(None), 1),
    (Ellipsis, slice(None, None, 2)),
    (None, 0),
    [0, 1],
    [1],
    [],
    (slice(None), [2, 0]),
    ([0, 1], [2, 0]),
    np.array([[0], [1]]),
    np.ix_([0, 1], [2, 0]),
    M > 0.1,
    M > 99,
    [True, False],
    (slice(None), np.array([True, False, True])),
    np.int64(1),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
@pytest.mark.parametrize(
    "write",
    [
        lambda y, i, t: y.__setitem__(i, 0.25),
        lambda y, i, t: y.__setitem__(i, t[0, 1]),
        lambda y, i, t: y.__setitem__(i, t[i] * 2),
        lambda y, i, t: y.__setitem__(i, M[i]),
        lambda y, i, t: y.__setitem__(i, y[i] * y.sum()),
    ],
    ids=["number", "traced number", "traced", "plain", "itself"],
)
def test_entries_are_written_at_any_index(index, write):
    def fun(t):
        y = t * 1.5
        z = y * 1.0
        write(y, index, t)
        return y * z

    assert_follows_numpy(fun, M)


def test_of_repeated_indices_the_last_one_counts():
    def fun(t):
        y = t * 1.0
        y[[0, 0, 1]] = t * 2
        return y

    assert value_and_grad(lambda t: np.sum(fun(t)))(X)[0] == np.sum(fun(X))
    assert grad(lambda t: np.sum(fun(t) * [1.0, 10.0, 100.0]))(X).tolist() == [0, 2, 120]


def fill_zeros_like(t):
    y = np.zeros_like(t)
    for i in range(len(t)):
        y[i] = t[i] * t[0]
    return y


def fill_zeros_with_like(t):
    y = np.zeros((2, 3), like=t)
    y[0] = t
    y[1] = y[0] * t
    return y


def fill_empty(t):
    y = np.empty_like(t)
    y[:] = t[::-1]
    return y


def recurrence(t):
    y = np.zeros(6, like=t)
    y[0] = t[0]
    for i in range(5):
        y[i + 1] = np.sin(y[i] * t[1]) + t[2]
    return y


def swap(t):
    y = t * 1.0
    y[0], y[1] = y[1], y[0]
    return y


def shift_within(t):
    y = t * 2.0
    y[1:] = y[:-1]
    return y


def reverse_within(t):
    y = t * 2.0
    y[:] = y[::-1]
    return y


def clip_by_mask(t):
    y = t * 1.0
    y[y > 0.5] = 0.5
    y[y < 0.4] *= 2
    return y


def in_place_operators(t):
    y = t * 1.0
    y += t
    y -= 0.25
    y *= t[0]
    y /= t + 2
    y **= 2
    return y


def operators_on_parts(t):
    y = t * 1.0
    y[0] += t[1]
    y[1:] *= y[:-1]
    y[[0, 2]] -= t[:2]
    y[y > 0] /= 2.0
    return y


def fill_method(t):
    y = t * 1.0
    y[1:].fill(t[0])
    z = t * 1.0
    z.fill(2.0)
    return y * z


def flat_attribute(t):
    y = np.stack([t, t * 2])
    y.flat[1] = t[2]
    y.T.flat[0] = t[1] * 3
    return y


def ufunc_out(t):
    y = np.zeros_like(t)
    np.multiply(t, t, out=y)
    np.add(y, 1.0, out=y)
    return y


def write_the_argument(t):
    t[0] = t[1] * t[2]
    t *= 2
    return t


@pytest.mark.parametrize(
    "fun",
    [
        fill_zeros_like,
        fill_zeros_with_like,
        fill_empty,
        recurrence,
        swap,
        shift_within,
        reverse_within,
        clip_by_mask,
        in_place_operators,
        operators_on_parts,
        fill_method,
        flat_attribute,
        ufunc_out,
        write_the_argument,
    ],
    ids=lambda fun: fun.__name__,
)
def test_programs_that_write(fun):
    assert_follows_numpy(fun, maps=fun not in (clip_by_mask, operators_on_parts))


def test_the_callers_array_is_not_written():
    x = X.copy()
    for transform in (grad, value_and_grad, lambda f: lambda x: vjp(f, x)[1](1.0)):
        transform(lambda t: np.sum(write_the_argument(t)))(x)
        assert x.tolist() == X.tolist()
    jvp(write_the_argument, (x,), (X,))
    vmap(write_the_argument)(np.stack([x, x]))
    assert x.tolist() == X.tolist()


def test_an_array_that_is_not_traced_is_written_by_numpy_alone():
    seen = []

    def fun(t):
        y = np.zeros(3)
        y[0] = 1.0
        seen.append(type(y))
        return np.sum(t * y)

    assert grad(fun)(X).tolist() == [1, 0, 0]
    assert seen == [np.ndarray]


# --- aliases and views ---------------------------------------------------------------------------


def other_name(t):
    y = t * 1.0
    z = y
    y += 1
    z[0] = t[1]
    return y * z


def in_a_list(t):
    rows = [t * 1.0, t * 2.0]
    for row in rows:
        row += t[0]
        row[1] = 0.5
    return rows[0] * rows[1]


def in_a_callee(t):
    def add_one(into):
        into += 1
        into[0] *= t[1]

    y = t * 1.0
    add_one(y)
    return y * y


def in_a_closure(t):
    y = np.zeros_like(t)

    def put(i):
        y[i] = t[i] ** 2

    for i in range(3):
        put(i)
    return y


def in_an_object(t):
    class Box:
        pass

    box = Box()
    box.y = t * 1.0
    box.y[0] = 2.0
    box.y += t
    return box.y


def a_row(t):
    y = np.stack([t, t * 2])
    row = y[0]
    row += 1
    row[1] = t[2]
    y[0, 2] = t[0]
    return y * row


def a_view_of_a_view(t):
    y = np.stack([t, t * 2])
    corner = y.T[1:][:, 0]
    corner *= t[:2]
    y[0] += 1
    return y * y + corner.sum()


def transposed_reshaped_and_flipped(t):
    y = np.stack([t, t * 2])
    y.T[0] = t[:2]
    y.reshape(-1)[4] = t[0]
    y[:, ::-1][0, 0] += t[1]
    np.swapaxes(y, 0, 1)[1] *= 2
    return y


def a_view_made_before_the_write(t):
    y = t * 1.0
    head, back = y[:2], y[::-1]
    y += t[0]
    return head.sum() * back


def a_view_made_before_a_write_to_another(t):
    y = t * 1.0
    a, b = y[:2], y[1:]
    a *= 3
    b[0] = t[0] * b[1]
    return a * b * y.sum()


def copies_are_separate(t):
    y = t * 1.0
    copies = [y.copy(), np.array(y, like=y), y[[0, 1, 2]], +y, y.flatten(), y[X > 0], y * 1.0]
    y[:] = 0.0
    copies[0] += 1.0
    return sum(copies) + y


def reshape_that_copies(t):
    y = np.stack([t, t * 2])
    flat = y.T.reshape(-1)
    raveled = y[:, 0].ravel()
    y *= 2
    flat[0] = 5.0
    return y * flat[:3] * raveled.sum()


def the_value_before_the_write(t):
    y = np.exp(t)  # its rule keeps the result
    z = y * y
    total = y.sum()
    y[:] = 0.0
    return z + total + y


def the_argument_of_a_rule(t):
    y = t * 1.0
    z = np.sin(y) + y**3
    y[0] = 7.0
    return z * y


@pytest.mark.parametrize(
    "fun",
    [
        other_name,
        in_a_list,
        in_a_callee,
        in_a_closure,
        in_an_object,
        a_row,
        a_view_of_a_view,
        transposed_reshaped_and_flipped,
        a_view_made_before_the_write,
        a_view_made_before_a_write_to_another,
        copies_are_separate,
        reshape_that_copies,
        the_value_before_the_write,
        the_argument_of_a_rule,
    ],
    ids=lambda fun: fun.__name__,
)
def test_aliases_and_views_see_the_write_and_copies_do_not(fun):
    assert_follows_numpy(fun)


def test_a_scalar_entry_is_a_copy():
    def fun(t):
        y = t * 1.0
        first = y[0]
        y[0] = 9.0
        other = first
        first += 1
        return y * first * other

    assert_follows_numpy(fun)


def test_a_0d_array_is_written_in_place_and_a_number_is_not():
    def fun(t):
        other = t
        t += 1
        return t * other

    assert value_and_grad(fun)(2.0) == (6, 5)  # t (t + 1)
    assert fun(np.array(2.0)) == 9
    value, gradient = value_and_grad(fun)(np.array(2.0))
    assert (value, gradient) == (9, 6)  # (t + 1)^2


@pytest.mark.parametrize(
    "fun",
    [
        lambda t: np.take(t, [0, 2, 1], axis=1),
        lambda t: np.repeat(t, [1, 0, 2], axis=1),
        lambda t: np.compress([True, False, True], t, axis=1),
        lambda t: np.insert(t, 1, 0.5, axis=1),
        lambda t: np.delete(t, 1, axis=1),
        lambda t: np.maximum.accumulate(t, axis=1),
        lambda t: np.gradient(t, axis=1),
        lambda t: np.linalg.cholesky(t @ t.T + np.eye(2), upper=True),
        *[lambda t, mode=mode: np.pad(t, 1, mode=mode) for mode in ("edge", "wrap", "reflect")],
    ],
)
def test_results_lie_row_by_row_so_that_a_reshape_is_a_view(fun):
    """A write to the flattened result reaches it, and order="K" reads it, as in NumPy."""

    def written(t):
        y = fun(np.reshape(t, (2, 3)))
        flat = y.reshape(-1)
        flat *= np.arange(flat.size)
        return np.sum(y * y) + np.sum(np.ravel(fun(np.reshape(t, (2, 3))), order="K")[:3])

    t = np.array([0.3, -0.4, 1.2, 2.1, 0.7, -0.9])
    assert np.isclose(value_and_grad(written)(t)[0], written(t))
    check_grads(written, (t,), order=1)
    assert np.allclose(
        vmap(grad(written))(np.stack([t, t + 1])), [grad(written)(t), grad(written)(t + 1)]
    )


@pytest.mark.parametrize(
    "expand", [np.atleast_1d, lambda t: t[None], lambda t: t.reshape(1), np.ravel]
)
def test_a_number_has_no_views_in_vmap_either(expand):
    def fun(t):
        s = np.sum(t) * t[0]
        v = expand(s)
        v *= 2.0
        return s * v[0]

    rows = np.array([[1.0, 2.0], [3.0, -1.0]])
    assert np.array_equal(vmap(fun)(rows), [fun(row) for row in rows])
    assert np.array_equal(vmap(grad(fun))(rows), [grad(fun)(row) for row in rows])
    assert np.array_equal(grad(lambda t: np.sum(vmap(fun)(t)))(rows), [grad(fun)(r) for r in rows])


@pytest.mark.parametrize("view", [np.flip, np.transpose, lambda y: y[:, ::-1], lambda y: y[1:].T])
def test_a_write_leaves_the_layout_in_memory_as_it_is(view):
    """Whether ravel gives a view depends on the layout."""

    def fun(t):
        y = t * 1.0
        v = view(y)
        v *= 2.0
        flat = y.ravel()
        y += 1.0
        return np.sum(flat) * t[0, 0]

    assert_follows_numpy(lambda t: fun(np.reshape(np.concatenate([t, t[:1] * t[1:2]]), (2, 2))))


def test_the_method_copy_gives_rows_and_the_function_keeps_the_layout():
    def fun(t):
        y = np.outer(t, t).T
        rows, same = y.copy(), np.copy(y)
        flat_rows, flat_same = rows.ravel(), same.ravel()
        rows *= 2.0
        same *= 2.0
        return np.sum(flat_rows * t[0]) + np.sum(flat_same)

    assert_follows_numpy(fun)


C, F = "({a} * 1.0)", "np.copy({a}.T).T"  # arrays that lie row by row and column by column


@pytest.mark.parametrize("layout", [C, F])
@pytest.mark.parametrize(
    "make",
    [
        *["y.astype(float, copy=False)", "np.astype(y, float, copy=False)", "y.astype(float)"],
        *["y.astype(float, order='F', copy=False)", "y.conj()", "np.conj(y)", "y.conjugate()"],
        *["y.ravel('F')", "y.ravel('K')", "y.ravel('A')", "y.T.ravel('F')", "y.flatten('K')"],
        *["y[:, ::2].T.ravel('K')", "y[::-1].ravel('K')", "y.reshape(-1, order='A')"],
        *["y.reshape(-1, copy=True)", "y.reshape(-1, order='F', copy=True)"],
        *["np.asarray(y, copy=True, like=y)", "np.asarray(y, order='F', like=y)"],
        *["np.ascontiguousarray(y, like=y)", "np.asfortranarray(y, like=y)"],
        *["np.require(y, None, ['F'], like=y)", "np.array(y, order='F', copy=None, like=y)"],
        *["np.array([y[0], y[1]], like=y)", "y.copy('F')", "copy.copy(y)", "copy.deepcopy(y)"],
        *["np.zeros_like(y)", "np.zeros_like(y, order='F')", "np.full_like(y, y[0, 0])"],
        *["np.full((2, 3), y[0, 0], order='F', like=y)", "np.zeros((2, 3), order='F', like=y)"],
        *["np.einsum('ij->ji', y)", "np.einsum('ij', y)", "np.einsum('ii->i', y[:, :2])"],
        *[
            "np.einsum('iij->ji', y[:, :2, None])",
            "np.einsum('ij->j', y)",
            "y.flat[:]",
            "y.flat[1:3]",
        ],
        *["np.meshgrid(y[0], y[1])[0]", "np.meshgrid(y[0], y[1], sparse=True)[1]", "np.block(y)"],
        *["np.tile(y, 1)", "np.clip(y, None, None)", "y.clip()", "np.broadcast_arrays(y, 1.0)[0]"],
        *["np.sort(y)", "np.sort(y, axis=0)", "np.partition(y, 1)", "np.gradient(y, axis=1)"],
        *["np.pad(y, 1)", "np.pad(y, 1, mode='edge')", "np.insert(y, 1, 0.5, axis=0)"],
        *["np.delete(y, 1, axis=1)", "np.delete(y, [0, 2], axis=1)", "np.delete(y, [], axis=0)"],
        *["np.insert(y, [], 0.5, axis=0)", "np.minimum.accumulate(y, axis=1)"],
        *["np.hypot.accumulate(y, axis=1)", "np.select([y > 0.5], [y], 0.2)"],
        "np.piecewise(y, [y > 0.5], [lambda t: t * t, lambda t: -t])",
        *[
            "y[[0, 1, 1]]",
            "y[:, [0, 2, 1]]",
            "y[[[0, 1], [1, 1]]]",
            "y[[1, 0], 1:]",
            "y[:, [0, 2], None]",
        ],
    ],
)
def test_what_is_a_view_and_what_a_copy_and_how_they_lie_in_memory(make, layout):
    """Each is written to, before and after its base, and through a flat array where that is a view."""

    def fun(t):
        scope = {"np": np, "copy": copy, "y": eval(layout.format(a="t"), {"np": np, "t": t})}
        y, v = scope["y"], eval(make, scope)
        v[0] = t[1, 1] * 2.0
        y[1] *= 3.0
        flat = v.reshape(-1)
        flat[:1] = t[0, 1] + 1.0
        return np.concatenate([y.reshape(-1), v.reshape(-1), v.ravel("K") * 0.7])

    assert_follows_numpy(fun, M)


@pytest.mark.parametrize(
    "make",
    [
        *["np.diag(y)", "np.diagonal(y)", "np.broadcast_to(y, (2, 2, 3))", "y.imag"],
        "np.lib.stride_tricks.sliding_window_view(y, 2, axis=1)",
    ],
)
def test_read_only_views_see_writes_to_their_base_and_take_none(make):
    def fun(t):
        y = t * 1.0
        v = eval(make, {"np": np, "y": y})
        y[0] = t[1] * 2.0
        return v * 1.0

    def wrong(t):
        eval(make, {"np": np, "y": t * 1.0})[0] = 1.0
        return t

    assert_follows_numpy(fun, M)
    for run in (lambda: wrong(M), lambda: vjp(wrong, M), lambda: vmap(wrong)(M[None])):
        with pytest.raises(ValueError, match="read-only"):
            run()


def test_windows_to_write_into_are_refused():
    """An entry stands in several of them."""
    with pytest.raises(FuncgradError, match="writeable=True"):
        vjp(lambda t: np.lib.stride_tricks.sliding_window_view(t, 2, writeable=True), X)


def test_parts_of_a_complex_array_are_views():
    def fun(t):
        z = t + 1j * t[::-1]
        part = z.real
        part[0] = t[1] * 2.0
        z.imag *= 3.0
        z.imag[1, :2] += t[0, :2]
        np.real(z)[:, 2] -= t[:, 0]
        z[:1].real = 0.5
        return np.concatenate([z.real, z.imag, part])

    assert_follows_numpy(fun, M)
    with pytest.raises(TypeError, match="imaginary"):
        vjp(lambda t: setattr(t, "imag", 1.0), M)


def test_the_flat_array_is_set_and_iterated():
    def fun(t):
        y, z = t * 1.0, t * 1.0
        y.flat = t[0, :2]  # cycled
        entries = y.flat
        first = next(entries)
        y[0, 1] = 2.0
        z.flat = np.stack([*entries, first])
        return y * z * z.item(3) * y.item(1, 0) * z.item((0, 2)) * y.item(-1)

    assert_follows_numpy(fun, M)


def test_a_loop_over_the_entries_sees_what_it_writes():
    def fun(t):
        y = t * 1.0
        total = 0.0
        for i, x in enumerate(y):
            total += x
            y[i:] *= total
        return y * total

    assert_follows_numpy(fun)


def test_a_0d_view_or_array_is_no_number_under_vmap_either():
    def fun(t):
        y = t * 1.0
        v = y[0, ...]
        v[...] = t[1] * 2.0
        v.reshape(-1)[0] += t[2]
        w = y[1:2].reshape(())
        w *= v
        total = np.zeros((), like=t)
        other = total
        total += np.sum(y)
        held = np.array(t[0], like=t)
        same = held
        held += y[0, ...]
        return y * other + same + v

    assert_follows_numpy(fun)


# --- dtypes --------------------------------------------------------------------------------------


def test_what_is_written_takes_the_dtype_of_the_array():
    def fun(t):
        y = t.astype(np.float32)
        y[0] = t[1] * 2
        y += t
        return y

    out, pullback = vjp(fun, X)
    assert out.dtype == np.float32
    (gradient,) = pullback(np.ones(3, np.float32))
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, [1, 4, 2])


def test_real_numbers_may_be_written_into_a_complex_array():
    def fun(t):
        y = t * 1j
        y[0] = t[1]
        y *= 1 + 1j
        return np.sum(np.abs(y) ** 2)

    step = 1e-6 * np.eye(3)
    slopes = [(fun(X + e) - fun(X - e)) / 2e-6 for e in step]
    np.testing.assert_allclose(grad(fun)(X), slopes, rtol=1e-6)


def test_writing_into_an_integer_array_truncates_and_has_derivative_zero():
    def fun(t):
        y = np.zeros(3, int, like=t)
        y[0] = t[2]
        return np.sum(y * t)

    assert value_and_grad(fun)(X)[0] == fun(X)
    assert grad(fun)(X).tolist() == [1, 0, 0]


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda y, t: y.__setitem__(slice(0, 2), t),  # shapes
        lambda y, t: y.__setitem__(0, t),
        lambda y, t: y.__setitem__(7, t[0]),  # out of range
        lambda y, t: y.__setitem__("a", t[0]),
        lambda y, t: y.__setitem__((0, 0), t[0]),
        lambda y, t: y.__setitem__([0, 9], t[:2]),
        lambda y, t: y.__setitem__(0, t[0] * 1j),  # dtypes
        lambda y, t: y.__iadd__(t[:2]),
        lambda y, t: y.__iadd__(t * 1j),
        lambda y, t: y.__imul__(np.ones((2, 1)) * t),
        lambda y, t: np.add(t, t[None], out=y[:1]),
    ],
)
def test_what_numpy_refuses_raises_the_same_kind_of_error(write):
    def fun(t):
        y = t * 1.0
        write(y, t)
        return np.sum(y)

    with pytest.raises((ValueError, IndexError, TypeError, np.exceptions.ComplexWarning)) as plain:
        fun(X)
    kinds = (ValueError, IndexError, TypeError)
    expected = next((kind for kind in kinds if plain.errisinstance(kind)), TypeError)
    with pytest.raises(expected) as info:
        grad(fun)(X)
    assert "test_handles.py" in str(info.value) + str(getattr(info.value, "__notes__", ""))


def test_a_traced_value_cannot_be_written_into_a_plain_array():
    def fun(t):
        y = np.zeros(3)
        y[0] = t[0]
        return y.sum()

    with pytest.raises(TypeError, match="zeros_like"):
        grad(fun)(X)


def test_a_value_of_an_inner_transform_cannot_be_kept_in_an_outer_array():
    def fun(t):
        y = np.zeros_like(t)

        def inner(u):
            y[0] = u * t[0]
            return y.sum()

        return grad(inner)(2.0) + y[0]

    try:
        value = value_and_grad(fun)(X)
    except LeakedTracerError:
        return
    assert value[0] == X[0]


def test_a_value_of_an_outer_transform_may_be_written_inside_an_inner_one():
    def fun(t):
        y = np.zeros_like(t)

        def inner(u):
            y[0] = t[1]
            z = u * y
            z[1] += u * u
            return z.sum()

        return grad(inner)(2.0) * y.sum()  # (t1 + 4) t1

    value, gradient = value_and_grad(fun)(X)
    assert value == pytest.approx((X[1] + 4) * X[1])
    np.testing.assert_allclose(gradient, [0, 2 * X[1] + 4, 0])


def test_a_leaked_array_cannot_be_written():
    kept = []
    grad(lambda t: (kept.append(t * 1.0), t.sum())[1])(X)
    for write in (lambda y: y.__setitem__(0, 1.0), lambda y: y.__iadd__(1.0)):
        with pytest.raises(LeakedTracerError):
            write(kept[0])


def test_a_write_that_fails_changes_nothing():
    def fun(t):
        y = t * 1.0
        row = y[:2]
        for bad in (t, np.ones(7), "text"):
            with pytest.raises((ValueError, TypeError)):
                row[:] = bad
        return y * row.sum()

    assert_follows_numpy(fun)


# --- across transforms ---------------------------------------------------------------------------


def after_vjp(t):
    y = t * 1.0
    out, pullback = vjp(lambda u: u * u, y)
    y[:] = 0.0
    return pullback(t)[0] * out


def after_linearize(t):
    y = t * 1.0
    out, pushforward = linearize(lambda u: u * u, y)
    y[:] = 0.0
    return pushforward(t) * out


def after_an_inner_gradient(t):
    y = t * 1.0
    slope = grad(lambda u: np.sum(u**3) * y[0])(y)
    y[:] = 0.0
    return slope


def after_an_inner_vmap(t):
    y = t * 1.0
    rows = vmap(lambda a: a * y)(np.ones((2, 3)))
    y[:] = 0.0
    return rows


def after_a_custom_rule(t):
    @custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, ct: (2 * x * ct,))
    y = t * 1.0
    z = square(y)
    y[:] = 0.0
    return z


def after_checkpoint(t):
    y = t * 1.0
    z = checkpoint(lambda u: np.sin(u) * u)(y)
    y[:] = 0.0
    return z


def into_the_output_of_an_inner_vjp(t):
    y = t * 1.0
    out, _ = vjp(lambda u: u, y)
    out[:] = 0.0
    return y * y


def into_the_aux_of_an_inner_gradient(t):
    y = t * 1.0
    _, aux = grad(lambda u: (np.sum(u * u), u), has_aux=True)(y)
    aux[:] = 0.0
    return y * y


def into_the_output_of_an_inner_vmap(t):
    y = t * 1.0
    rows = vmap(lambda a: a)(y)
    rows[:] = 0.0
    return y * y


def into_the_outputs_of_an_inner_jvp(t):
    y, v = t * 1.0, t * 2.0
    out, pushed = jvp(lambda u: u, (y,), (v,))
    out[:] = 0.0
    pushed[:] = 0.0
    return y * v


def into_the_cotangent_given_to_a_pullback(t):
    ct = t * 1.0
    pulled = vjp(lambda u: u, X)[1](ct)[0]
    ct[:] = 0.0
    return pulled * t


def into_the_gradient_of_a_pullback(t):
    ct = t * 1.0
    pulled = vjp(lambda u: u, X)[1](ct)[0]
    pulled[:] = 0.0
    return ct * t


def into_the_argument_of_an_inner_function(t):
    def inner(u):
        u[0] = 5.0
        u *= t
        return np.sum(u * u)

    y = t * 1.0
    return y * grad(inner)(y)


def into_a_closure_of_an_inner_function(t):
    y = t * 1.0

    def inner(u):
        z = u * u * y
        y[:] = 0.0
        return z.sum()

    return grad(inner)(t) + y


def into_a_plain_copy(t):
    y = t * 1.0
    constant = stop_gradient(y)
    y[:] = 0.0
    return t * np.cos(1.0) + np.sum(constant) * 0.0


@pytest.mark.parametrize(
    "fun",
    [
        after_vjp,
        after_linearize,
        after_an_inner_gradient,
        after_an_inner_vmap,
        after_a_custom_rule,
        after_checkpoint,
        into_the_output_of_an_inner_vjp,
        into_the_aux_of_an_inner_gradient,
        into_the_output_of_an_inner_vmap,
        into_the_outputs_of_an_inner_jvp,
        into_the_cotangent_given_to_a_pullback,
        into_the_gradient_of_a_pullback,
        into_the_argument_of_an_inner_function,
        into_a_closure_of_an_inner_function,
        into_a_plain_copy,
    ],
    ids=lambda fun: fun.__name__,
)
def test_writes_do_not_reach_what_another_transform_holds(fun):
    assert_follows_numpy(fun)


# --- memory --------------------------------------------------------------------------------------


def test_forward_mode_writes_in_place_what_it_alone_holds(monkeypatch):
    copies = []
    fun = writing.put.fun
    monkeypatch.setattr(writing.put, "fun", lambda *xs, **k: copies.append(1) or fun(*xs, **k))

    def running(x):
        y = np.zeros_like(x)
        for i in range(1, len(x)):
            y[i] = np.sin(y[i - 1]) + x[i] ** 2
        y[0] = 7.0
        return y

    x, v = np.array([0.3, 0.5, -0.2, 0.9]), np.array([1.0, -1.0, 0.5, 2.0])
    value, tangent = jvp(running, (x,), (v,))
    np.testing.assert_array_equal(value, running(x))
    differences = (running(x + 1e-6 * v) - running(x - 1e-6 * v)) / 2e-6
    np.testing.assert_allclose(tangent, differences, rtol=1e-8, atol=1e-9)
    assert not copies


@pytest.mark.parametrize(
    "other",
    [
        lambda y: y + 0,
        lambda y: +y,
        lambda y: y.copy(),
        lambda y: np.where(y > -9, y, 0),
        lambda y: y.astype(np.float64),
        lambda y: np.real(y) * 1,
        stop_gradient,
        lambda y: np.stack([y, y])[1] * 1,
        lambda y: y.reshape(-1, 1).copy(),
    ],
)
def test_forward_mode_writes_nothing_that_others_hold(other):
    def fun(x):
        y = x * 2.0
        before = other(y)
        y[1] = x[0] ** 2
        y[2:] = -1.0
        return np.sum(np.reshape(before, -1) * y) + np.sum(before) * y[0]

    v = np.array([1.0, -0.5, 0.25])
    tangents, x = v.copy(), X.copy()
    jvp(lambda x: fun(x) + written(x), (x,), (tangents,))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(tangents, v)
    np.testing.assert_allclose(jvp(fun, (X,), (v,))[1], grad(fun)(X) @ v, rtol=1e-12)


def written(x):
    x[0] = 5.0
    return np.sum(x * x)


def test_views_that_nobody_holds_are_not_kept():
    held = []

    def fun(t):
        y = t * 1.0
        for i in range(200):
            row = y[i % 3 :]
            held.append(weakref.ref(row))
            row *= 1.0
        del row
        assert sum(ref() is not None for ref in held) <= 1
        return y.sum()

    grad(fun)(X)
    gc.collect()
    assert not any(ref() is not None for ref in held)


# --- random programs -----------------------------------------------------------------------------

VIEWS = [
    "{a}[0]",
    "{a}[1:]",
    "{a}[:]",
    "{a}[...]",
    "{a}[..., 0]",
    "{a}[..., ::2]",
    "{a}[::-1]",
    "{a}[None]",
    "{a}.T",
    "{a}.reshape(-1)",
    "{a}.reshape(3, 2)",
    "{a}.ravel()",
    "{a}.squeeze()",
    "{a}.swapaxes(0, -1)",
    "np.transpose({a})",
    "np.ravel({a})",
    "np.expand_dims({a}, 0)",
    "np.moveaxis({a}, 0, -1)",
    "np.flip({a})",
    "np.asarray({a}, like={a})",
    "np.array({a}, like={a})",
    "{a}.real",
    "{a}.flatten()",
    "{a}.copy()",
    "{a}[[0]]",
    "{a} * 1.0",
    "+{a}",
    "{a}[:, None]",
    "{a}[..., -1:]",
    "np.atleast_2d({a})",
    "np.broadcast_to({a}, (2, *{a}.shape)) * 1.0",
    "np.split({a}, 1)[0]",
    "{a}.diagonal()",
    "{a}.ravel('F')",
    "{a}.ravel('K')",
    "{a}.astype(float, copy=False)",
    "{a}.conj()",
    "np.einsum('...ij->...ji', {a})",
    "np.einsum('i...->i...', {a})",
    "np.asfortranarray({a}, like={a})",
    "np.sort({a}, axis=0)",
    "np.zeros_like({a})",
    "np.pad({a}, 1, mode='edge')",
    "np.broadcast_arrays({a}, 1.0)[0]",
    "{a}.reshape(-1, order='A')",
    "{a}[..., 0, ...]",
]
WRITES = [
    "{a} += {b}",
    "{a} -= {b} * 0.5",
    "{a} *= 1.25",
    "{a} /= 2.0",
    "{a} **= 2",
    "{a}[0] = {b}[0]",
    "{a}[0] = 0.45",
    "{a}[-1] += {b}[0]",
    "{a}[...] = {b}",
    "{a}[:] = {a}[::-1]",
    "{a}[1:] = {a}[:-1]",
    "{a}[:-1] += {a}[1:]",
    "{a}[..., 0] += 1.0",
    "{a}[..., [0]] *= 3.0",
    "{a}[{a} > 0.123] = 0.35",
    "{a}[0], {a}[1] = {a}[1], {a}[0]",
    "{a}.flat[1] = 0.7",
    "{a}.fill(0.3)",
    "{a}.T[0] = {b}.T[0]",
    "np.add({a}, 1.0, out={a})",
    "np.multiply({a}, {b}, out={a})",
    "{a}[..., ::-1] = {b}",
    "{a}[..., None][0] *= 2.0",
    "np.copyto({a}, {b})",
    "np.copyto({a}, {b}, where={a} > {b})",
    "np.copyto({a}, 0.4, where={b} > 0.352)",
    "np.put({a}, [0, -1, 0], {b})",
    "{a}.put([1, 7], [0.2, 0.3], mode='wrap')",
    "np.put({a}, 9, 0.6, mode='clip')",
    "np.putmask({a}, {a} > 0.352, {b} * 2.0)",
    "np.place({a}, {a} > 0.352, {b} * 1.0)",
    "np.fill_diagonal({a}, {b}.ravel()[:2])",
    "np.fill_diagonal({a}, 0.9, wrap=True)",
    "np.put_along_axis({a}, np.argsort({a}, -1)[..., :1], {b}[..., :1], -1)",
    "np.put_along_axis({a}, np.argsort({a}, 0)[:1], 0.8, 0)",
    "np.put_along_axis({a}, np.array([0, 1, 0]), np.array([0.1, 0.2, 0.3]), None)",
    "np.add.at({a}, [0, 0, -1], {b}[0])",
    "np.subtract.at({a}, ([0, 0], [1, 1]), {b}[0, 0])",
    "np.multiply.at({a}, [0, 0, 1], 1.5)",
    "np.maximum.at({a}, [0, 1, 0], {b}[0])",
    "np.add.at({a}, {a} > 0.352, 0.25)",
    "np.negative.at({a}, [0, 0, 1])",
    "np.divide.at({a}, slice(1, None), 2.0)",
    "{a}.sort()",
    "{a}.sort(axis=0)",
    "{a}.partition(1)",
    "np.clip({a} * 0.9, 0.29, 0.83, out={a})",
    "({a} * 0.8).clip(0.27, 0.81, out={a})",
    "np.sum({a}[None], 0, out={a})",
    "np.add.reduce({a}[None], 0, out={a})",
    "np.cumsum({a} * 0.9, axis=-1, out={a})",
    "{a}[None].mean(0, out={a})",
    "np.sin({b}, out={a}, where={b} > 0.4)",
    "np.nan_to_num({a}, copy=False)",
    "np.matmul(np.eye({a}.shape[0]), {a} * 0.9, out={a})",
    "{a}.flat[::2] = [0.15, 0.25]",
    "{a}.flat = {b}.ravel() * 0.9",
    "{a}.real[0] = 0.65",
]
STARTS = ["t * 1.0", "np.zeros_like(t)", "t", "np.full((2, 3), t[0, 0], like=t)", "np.sin(t[1])"]


def assemble(lines):
    """Return the function of t that runs the lines and adds up what v0, v1, ... then are."""
    count = len([line for line in lines if re.match(r"v\d+ = ", line)])
    total = " + ".join([f"np.sum(v{i}) * {0.7 + i / 10}" for i in range(count)])
    body = "\n    ".join(["t = t * 1.0", *lines, f"return {total}"])
    scope = {"np": np}
    exec(f"def program(t):\n    {body}\n", scope)
    return scope["program"]


def programs_of(start, steps):
    """Return lines that NumPy runs: each names a view or a copy, or writes."""
    lines, count = [f"v0 = {STARTS[start]}"], 1
    for is_write, which, i, j in steps:
        a, b = f"v{i % count}", f"v{j % count}"
        if is_write:
            line = WRITES[which % len(WRITES)].format(a=a, b=b)
        else:
            line = f"v{count} = " + VIEWS[which % len(VIEWS)].format(a=a)
        try:
            assemble([*lines, line])(M.copy())
        except (TypeError, ValueError, IndexError, AttributeError):
            continue  # shapes that do not fit: plain NumPy refuses the line
        lines.append(line)
        count += not is_write
    return lines


steps = st.lists(
    st.tuples(st.booleans(), st.integers(0, 99), st.integers(0, 9), st.integers(0, 9)), max_size=8
)


@given(st.integers(0, len(STARTS) - 1), steps)
def test_random_programs_of_views_and_writes_follow_numpy_or_raise(start, steps):
    lines = programs_of(start, steps)
    program = assemble(lines)
    plain = program(M.copy())
    try:
        value, gradient = value_and_grad(program)(M.copy())
    except (FuncgradError, TypeError):  # a scalar takes no writes
        return
    except ValueError as error:  # NumPy's ufunc.at writes into a read-only diagonal
        assert "read-only" in str(error)  # noqa: PT017
        return
    note("\n".join(lines))
    np.testing.assert_allclose(value, plain, rtol=1e-10, atol=1e-13)
    step, direction = 1e-6, np.array([[1.0, -0.5, 0.3], [0.2, 0.8, -1.0]])
    slope = (program(M + step * direction) - program(M - step * direction)) / (2 * step)
    scale = 1 + abs(slope) + np.sum(np.abs(gradient)) + abs(plain)
    assert abs(np.sum(gradient * direction) - slope) <= 1e-4 * scale
    pushed = jvp(program, (M.copy(),), (direction,))[1]
    assert abs(pushed - np.sum(gradient * direction)) <= 1e-10 * scale
    second = jvp(grad(program), (M.copy(),), (direction,))[1]
    other = grad(lambda t: jvp(program, (t,), (direction,))[1])(M.copy())
    assert np.all(np.abs(second - other) <= 1e-9 * (1 + np.abs(other)))
    try:
        rows = vmap(grad(program))(np.stack([M + 1, M]))
    except (FuncgradError, TypeError, ValueError):  # a mask that differs from example to example
        return
    assert np.all(np.abs(rows[1] - gradient) <= 1e-10 * scale)
