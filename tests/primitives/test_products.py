"""Products: empty sums, the errors of NumPy, dtypes, and factors that the program changes."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, hessian, make_tape, vjp, vmap
from funcgrad.constants import COPY_BYTES
from funcgrad.errors import MutatedConstantError

A, B = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)


def test_the_gradient_of_a_product_with_an_empty_inner_axis_is_empty():
    x, y = np.zeros((2, 0)), np.zeros((0, 3))
    out, pull = vjp(np.matmul, x, y)
    assert out.tolist() == [[0] * 3] * 2
    assert [g.shape for g in pull(np.ones((2, 3)))] == [(2, 0), (0, 3)]


def test_the_hessian_of_a_quadratic_form_is_its_symmetric_matrix():
    form = np.array([[1.0, 2.0], [5.0, 3.0]])
    assert hessian(lambda x: x @ form @ x)(np.ones(2)).tolist() == [[2, 7], [7, 6]]
    assert hessian(lambda x: np.einsum("i,ij,j", x, form, x))(np.ones(2)).tolist() == [
        [2, 7],
        [7, 6],
    ]


def test_an_array_times_itself_gets_both_cotangents():
    x = np.array([1.0, 2.0])
    for fun in (lambda x: x @ x, lambda x: np.dot(x, x), lambda x: np.einsum("i,i", x, x)):
        assert grad(fun)(x).tolist() == [2, 4]


@pytest.mark.parametrize("fun", [np.matmul, np.dot, lambda x, y: x @ y])
def test_a_plain_factor_may_stand_on_either_side(fun):
    assert grad(lambda x: np.sum(fun(x, B)))(A).tolist() == [B.sum(1).tolist()] * 2
    assert grad(lambda y: np.sum(fun(A, y)))(B).tolist() == [[n] * 4 for n in A.sum(0)]


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: x @ np.ones((4, 2)),
        lambda x: np.ones(2) @ x.T,
        lambda x: x @ 2.0,
        lambda x: np.inner(x, np.ones(2)),
        lambda x: np.tensordot(x, np.ones((4, 2)), 1),
        lambda x: np.tensordot(x, x, ([0, 1], [0])),
        lambda x: np.einsum("ij,jk", x, np.ones((4, 2))),
        lambda x: np.einsum("ijk->i", x),
        lambda x: np.einsum("ij,jk", x),
        lambda x: np.einsum("ii", x),
        lambda x: np.einsum("ij->ik", x),
        lambda x: np.linalg.outer(x, x),
        lambda x: np.vdot(x, np.ones(5)),
        lambda x: np.vecdot(x, np.ones(2)),
    ],
)
def test_a_wrong_shape_is_a_value_error_as_in_numpy(fun):
    with pytest.raises(ValueError):  # noqa: PT011  # NumPy's text differs between its versions
        fun(A)
    with pytest.raises(ValueError):  # noqa: PT011
        vjp(fun, A)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: np.dot(x, B, out=np.zeros((2, 4))),
        lambda x: np.matmul(x, B, out=np.zeros((2, 4))),
        lambda x: np.outer(x, x, out=np.zeros((6, 6))),
        lambda x: np.einsum("ij,jk", x, B, out=np.zeros((2, 4))),
        lambda x: np.einsum("ij,jk", x, B, dtype=np.float32),
        lambda x: np.matmul(x, B, axes=[(0, 1), (0, 1), (0, 1)]),
        lambda x: np.matmul(x, x, axis=0),
    ],
)
def test_an_option_without_a_rule_is_refused(fun):
    with pytest.raises((FuncgradError, TypeError)):
        vjp(fun, A)


def test_different_precisions_keep_that_of_each_gradient():
    for fun in (np.matmul, np.dot, np.inner, lambda x, y: np.einsum("ij,kj", x, y)):
        x, y = np.ones((2, 4), np.float32), B.T if fun in (np.matmul, np.dot) else B
        out, pull = vjp(fun, x, y)
        assert out.dtype == np.float64
        assert [g.dtype for g in pull(np.ones(out.shape))] == [np.float32, np.float64]


def test_a_factor_changed_after_its_use_counts_as_it_was():
    def loss(x):
        weights, others = np.ones((3, 2)), np.ones((2, 3))
        y = np.sum(x @ weights) + np.einsum("ij,ij", x, others)
        weights[:], others[:] = 0, 0
        return y

    assert grad(loss)(A).tolist() == [[3] * 3] * 2


def test_a_large_factor_changed_after_its_use_raises_and_names_the_line():
    def loss(x):
        weights = np.ones((100, COPY_BYTES // 100))
        y = x @ weights
        weights[0, 0] = 0
        return np.sum(y)

    with pytest.raises(MutatedConstantError, match=r"x @ weights"):
        grad(loss)(np.ones(100))


def test_the_first_factor_of_vdot_is_conjugated():
    z, w = np.array([1 + 2j, 3j]), np.array([2 - 1j, 1 + 1j])
    # Re(ct conj(dz) w) = Re(conj(ct w) dz)
    _, pull = vjp(np.vdot, z, w)
    to_z, to_w = pull(np.complex128(2 + 1j))
    np.testing.assert_allclose(to_z, np.conj((2 + 1j) * w))
    np.testing.assert_allclose(to_w, (2 + 1j) * z.conj())


def test_a_scalar_is_no_factor_of_a_matrix_product():
    with pytest.raises(ValueError, match=r"matmul|dimension"):
        grad(lambda x: np.sum(x @ np.ones(3)))(2.0)


MANY_OPERANDS = {
    "ij,jk,kl->il": [(3, 4), (4, 5), (5, 2)],
    "ij,jk,ki": [(3, 4), (4, 5), (5, 3)],
    "ij,jk,kl,lm,mn->in": [(3, 4), (4, 5), (5, 2), (2, 6), (6, 3)],
    "i,i,i->i": [(4,), (4,), (4,)],
    "i,j,k->ijk": [(2,), (3,), (4,)],
    "i,j,k,l->": [(2,), (3,), (4,), (5,)],
    "ij,ik,il->jkl": [(2, 3), (2, 4), (2, 5)],
    "a,ab,abc->c": [(3,), (3, 4), (3, 4, 2)],
    "...i,ij,...j": [(2, 3), (3, 4), (2, 4)],
    "ij,ij,ij,ij->": [(3, 4)] * 4,
    "ii,ij,j->i": [(3, 3), (3, 4), (4,)],
    "ij,j,i->": [(0, 3), (3,), (0,)],
    "ij,jk,kl,lm->im": [(30, 40), (40, 50), (50, 30), (30, 20)],  # products of matrices
}


@pytest.mark.parametrize("subscripts", MANY_OPERANDS)
def test_many_operands_of_einsum_are_multiplied_pair_by_pair(subscripts, rng):
    arrays = [rng.normal(size=shape) for shape in MANY_OPERANDS[subscripts]]

    def product(*arrays):
        return np.einsum(subscripts, *arrays)

    value, pullback = vjp(product, *arrays)
    np.testing.assert_allclose(value, product(*arrays), rtol=1e-11, atol=1e-13)
    ct = rng.normal(size=np.shape(value))
    for i, g in enumerate(pullback(ct)):  # linear in each: the value at a direction is its jvp
        along = [rng.normal(size=x.shape) if j == i else x for j, x in enumerate(arrays)]
        assert np.sum(g * along[i]) == pytest.approx(np.sum(ct * product(*along)), rel=1e-10)
    operations = [operation.name for operation in make_tape(product, argnums=0)(*arrays)]
    assert operations.count("einsum") <= len(arrays) - 1


def test_a_product_of_the_first_of_many_operands_does_not_touch_the_others(rng):
    a, b, c = rng.normal(size=(5, 300)), rng.normal(size=(300, 300)), rng.normal(size=(300, 2))
    tape = make_tape(lambda a: np.einsum("ij,jk,kl->il", a, b, c))(a)
    assert [operation.output.shape for operation in tape] == [(5, 2)]  # b @ c is plain


def test_operands_of_einsum_are_multiplied_in_their_common_dtype():
    """Pair by pair, int8 would overflow, bool would take "and" for a product, and float32 be too narrow."""
    t, small = np.array([1.5, 2.0]), np.array([100, 100], np.int8)
    yes, large = np.ones((2, 9), bool), np.float32([1e30, 1])
    for subscripts, arrays in (
        ("i,i,i->i", [t, small, small]),
        ("i,i,i,i->i", [small, t, small, small]),
        ("ij,jk,k->i", [yes, yes.T, t]),
        ("k,ij,jk->i", [t, yes, yes.T]),
        ("i,i,i->i", [t, large, large]),
    ):
        place = next(i for i, x in enumerate(arrays) if x is t)

        def product(x, subscripts=subscripts, arrays=arrays, place=place):
            return np.einsum(subscripts, *arrays[:place], x, *arrays[place + 1 :])

        value, pullback = vjp(product, t)
        np.testing.assert_allclose(value, product(t))
        np.testing.assert_allclose(np.sum(pullback(np.ones(2))[0] * t), np.sum(product(t)))
        batch = np.stack([t, 2 * t])
        np.testing.assert_allclose(vmap(product)(batch), [product(t), product(2 * t)])
