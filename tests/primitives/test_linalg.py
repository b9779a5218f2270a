"""Linear algebra: singular matrices, equal eigenvalues, norms at 0, result types and refusals."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from tests.samples import NUMPY

ONE = np.eye(3)
SINGULAR = np.diag([1.0, 2.0, 0.0])
MATRIX = np.array([[2.0, 0.3, -0.4], [0.1, 3.0, 0.5], [0.2, -0.6, 4.5]])


# --- determinants --------------------------------------------------------------------------------


def test_the_gradient_of_a_singular_determinant_is_the_cofactor_matrix():
    np.testing.assert_allclose(grad(np.linalg.det)(SINGULAR), np.diag([0, 0, 2.0]), atol=1e-15)
    assert not grad(np.linalg.det)(np.zeros((3, 3))).any()


def test_the_hessian_of_a_determinant_exists_at_zero():
    # det = ad - bc
    expected = np.zeros((2, 2, 2, 2))
    expected[0, 0, 1, 1] = expected[1, 1, 0, 0] = 1
    expected[0, 1, 1, 0] = expected[1, 0, 0, 1] = -1
    np.testing.assert_allclose(hessian(np.linalg.det)(np.zeros((2, 2))), expected, atol=1e-15)


def test_the_third_derivative_of_a_determinant_along_a_line():
    # det(t A) = t^3 det(A)
    def along(t):
        return np.linalg.det(t * MATRIX)

    third = grad(grad(grad(along)))(1.3)
    np.testing.assert_allclose(third, 6 * np.linalg.det(MATRIX), rtol=1e-12)


@pytest.mark.parametrize(
    "a",
    [
        ONE,
        SINGULAR,
        MATRIX,
        np.outer([1.0, 2, 3], [1, 1, 2]),
        np.diag([1.0, 1, 0]),
        np.zeros((3, 3)),
    ],
)
def test_the_third_derivative_of_a_determinant_whatever_its_singular_values(a):
    # d3 det / da_ij da_kl da_mn of 3 x 3 is eps_ikm eps_jln
    eps = np.zeros((3, 3, 3))
    eps[[0, 1, 2], [1, 2, 0], [2, 0, 1]], eps[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = 1, -1
    expected = np.einsum("ikm,jln->ijklmn", eps, eps)
    for third in (jacfwd(hessian(np.linalg.det)), jacrev(jacrev(jacrev(np.linalg.det)))):
        np.testing.assert_allclose(third(a), expected, atol=1e-12)


def test_slogdet_of_a_singular_matrix_raises_when_differentiated():
    with pytest.raises(np.linalg.LinAlgError):
        grad(lambda a: np.linalg.slogdet(a)[1])(SINGULAR)


# --- equal eigenvalues and singular values -------------------------------------------------------


@pytest.mark.parametrize(
    "values", [np.linalg.svdvals, np.linalg.eigvalsh, lambda a: np.linalg.svd(a)[1]]
)
def test_the_gradient_of_equal_values_is_finite(values):
    np.testing.assert_allclose(grad(lambda a: np.sum(values(a) ** 2))(ONE), 2 * ONE, atol=1e-14)
    _, change = jvp(values, (ONE,), (np.diag([1.0, 2.0, 3.0]),))
    assert np.sum(change) == pytest.approx(6)


def test_the_gradient_of_equal_eigenvalues_of_a_general_matrix_is_finite():
    gradient = grad(lambda a: np.sum(np.linalg.eigvals(a)).real)(ONE)
    np.testing.assert_allclose(gradient, ONE)


def test_the_vectors_of_equal_eigenvalues_have_no_finite_derivative():
    for part in (lambda a: np.linalg.eigh(a)[1][0, 1], lambda a: np.linalg.svd(a)[0][0, 1]):
        assert not np.isfinite(grad(part)(ONE)).all()


def test_a_function_of_a_matrix_at_equal_eigenvalues_is_never_silently_wrong():
    def same(a):
        w, v = np.linalg.eigh(a)
        return ((v * w) @ v.T)[0, 1]

    assert np.isnan(grad(same)(ONE)).any()


def test_eigenvectors_that_are_dependent_have_no_finite_derivative():
    defective = np.array([[1.0, 1.0], [0.0, 1.0]])
    assert not np.isfinite(grad(lambda a: np.linalg.eig(a)[1][1, 1].real)(defective)).all()


def test_complex_eigenvalues_of_real_matrices_may_differ_by_example():
    stack = np.array([[[0.0, 1], [-1, 0]], [[1, 0], [0, 2]]])
    assert vmap(np.linalg.eigvals)(stack).tolist() == [[1j, -1j], [1, 2]]


# --- symmetrised derivatives ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "fun",
    [
        np.linalg.cholesky,
        lambda a: np.linalg.cholesky(a, upper=True),
        np.linalg.eigvalsh,
        lambda a: np.linalg.eigh(a, "U")[1],
        lambda a: np.linalg.pinv(a, hermitian=True),
        lambda a: np.linalg.svd(a, hermitian=True)[0],
    ],
)
def test_gradients_of_functions_of_one_triangle_are_symmetric(fun):
    a = MATRIX + MATRIX.T
    g = grad(lambda a: np.sum(fun(a) * np.cos(np.arange(3.0))))(a)
    np.testing.assert_allclose(g, g.T, atol=1e-14)


# --- norms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [None, 1, 2, 3, 2.5, 0.5, -1, -2, np.inf, -np.inf, 0])
def test_the_gradient_of_a_vector_norm_at_zero_is_zero(order):
    with np.errstate(divide="ignore"):  # NumPy warns of negative orders
        assert grad(lambda x: np.linalg.norm(x, order))(np.zeros(3)).tolist() == [0, 0, 0]
    assert grad(np.linalg.vector_norm)(np.zeros(3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_the_gradient_of_a_matrix_norm_at_zero_is_zero(order):
    assert not grad(lambda x: np.linalg.norm(x, order, (0, 1)))(np.zeros((2, 3))).any()


def test_an_entry_of_zero_has_derivative_zero_in_a_norm():
    g = grad(lambda x: np.linalg.norm(x, 0.5))(np.array([0.0, 1.0, 4.0]))
    np.testing.assert_allclose(g, [0, 3, 1.5])  # (sqrt(1) + sqrt(4)) / sqrt(x)


def test_the_nuclear_norm_of_equal_singular_values_has_the_gradient_of_the_trace():
    np.testing.assert_allclose(grad(lambda x: np.linalg.norm(x, "nuc"))(ONE), ONE, atol=1e-15)


def test_the_condition_number_of_a_singular_matrix_is_infinite():
    assert vjp(np.linalg.cond, SINGULAR)[0] == np.inf
    assert vjp(np.linalg.cond, np.zeros((2, 2)))[0] == np.inf
    for p in (1, -1, np.inf, "fro"):
        assert vjp(lambda x, p=p: np.linalg.cond(x, p), SINGULAR)[0] == np.linalg.cond(SINGULAR, p)
        assert not np.any(grad(lambda x, p=p: np.linalg.cond(x, p))(SINGULAR))


# --- diagonals -----------------------------------------------------------------------------------


def test_a_diagonal_sees_writes_to_its_matrix():
    def fun(x):
        y = x * 1.0
        d = np.diagonal(y)
        y[0, 0] = 5 * x[0, 1]
        return np.sum(d)

    assert grad(fun)(ONE).tolist() == [[0, 5, 0], [0, 1, 0], [0, 0, 1]]


def test_writing_into_a_diagonal_is_refused_as_in_numpy():
    def fun(x):
        x.diagonal()[0] = 1.0
        return np.sum(x)

    with pytest.raises(ValueError, match="read-only"):
        grad(fun)(ONE)


# --- results and refusals ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["eigh", "eig", "svd", "qr", "slogdet"])
def test_results_are_numpys_named_tuples(name):
    fun = getattr(np.linalg, name)
    kinds = []

    def record(a):
        kinds.append(type(fun(a)))
        return np.sum(a)

    grad(record)(ONE)
    vmap(record)(np.stack([ONE, ONE]))
    jvp(record, (ONE,), (ONE,))
    assert kinds == [type(fun(ONE))] * 3


def test_lstsq_returns_what_numpy_returns():
    for a in (np.ones((3, 2)), np.eye(3, 2), np.eye(2, 3), np.zeros((0, 2))):
        b = np.ones(len(a))
        results = []
        grad(lambda a, b=b, out=results: out.extend(np.linalg.lstsq(a, b)) or np.sum(a))(a)
        for x, y in zip(results, np.linalg.lstsq(a, b), strict=True):
            assert np.shape(x) == np.shape(y)
            assert np.result_type(x) == np.result_type(y)


@pytest.mark.parametrize(
    "fun",
    [
        lambda a: np.linalg.qr(a, "raw"),
        lambda a: np.linalg.qr(a[:, :2], "complete"),
        lambda a: np.linalg.multi_dot([a, a], out=np.zeros((3, 3))),
        lambda a: np.trace(a, out=np.zeros(())),
    ],
)
def test_what_has_no_derivative_is_refused(fun):
    with pytest.raises(FuncgradError):
        grad(lambda a: np.sum(fun(a)[0]))(ONE)


@pytest.mark.parametrize(
    "fun",
    [
        lambda a: np.linalg.inv(a[:2]),
        lambda a: np.linalg.inv(0 * a),
        lambda a: np.linalg.cholesky(-a),
        lambda a: np.linalg.det(a[0]),
        lambda a: np.linalg.eigh(a, UPLO="X"),
        lambda a: np.linalg.matrix_power(a[:2], 2),
        lambda a: np.linalg.multi_dot([a]),
        lambda a: np.linalg.tensorinv(a, 0),
        lambda a: np.linalg.tensorsolve(a[:2], np.ones(2)),
        lambda a: np.linalg.lstsq(a, np.ones(2)),
        lambda a: np.linalg.cond(a[:0]),
        lambda a: np.linalg.norm(a, "bad"),
        lambda a: np.linalg.norm(a[0], "fro", 0),
        lambda a: np.linalg.norm(a, 3),
        lambda a: np.linalg.norm(np.stack([a, a]), 2),
        lambda a: np.linalg.pinv(a, 0.1, rtol=0.1),
        lambda a: np.linalg.matrix_rank(a, 0.1, rtol=0.1),
        lambda a: np.linalg.cross(a[:, :2], a),
        lambda a: np.cross(a[:, :1], a),
        lambda a: np.diagonal(a[0]),
        lambda a: np.diagonal(a, 0, 1, 1),
    ],
)
def test_an_invalid_call_raises_as_in_numpy(fun):
    with pytest.raises((ValueError, np.linalg.LinAlgError)):
        fun(ONE)
    with pytest.raises((ValueError, np.linalg.LinAlgError)):
        grad(lambda a: np.sum(fun(a)))(ONE)


def test_a_power_that_is_no_whole_number_is_a_type_error():
    with pytest.raises(TypeError):
        grad(lambda a: np.sum(np.linalg.matrix_power(a, 0.5)))(ONE)


@pytest.mark.skipif(NUMPY >= (2, 5), reason="NumPy 2.5 refuses them")
def test_two_dimensional_cross_products_warn_as_in_numpy():
    with pytest.warns(DeprecationWarning, match="2-dimensional"):
        g = grad(lambda x: np.cross(x, np.array([1.0, 2.0])))(np.ones(2))
    assert g.tolist() == [2, -1]
    for x, y in ((ONE[:, :2], ONE), (ONE, ONE[:, :2])):
        with pytest.warns(DeprecationWarning, match="2-dimensional"):
            expected = np.cross(x, y)
        with pytest.warns(DeprecationWarning, match="2-dimensional"):
            assert vjp(np.cross, x, y)[0].tolist() == expected.tolist()


def test_lstsq_of_orthonormal_columns_has_second_derivatives():
    a, b = np.eye(4)[:, :3], np.array([0.3, -1.2, 0.7, 0.4])
    found = hessian(lambda a: np.sum(np.linalg.lstsq(a, b)[0] ** 2))(a)
    expected = hessian(lambda a: np.sum((np.linalg.pinv(a) @ b) ** 2))(a)
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_lstsq_of_low_rank_takes_the_least_solution():
    a, b = np.outer([1.0, 2.0, 3.0, -1.0], [1.0, 0.5]), np.array([0.3, -1.2, 0.7, 0.4])
    found = jacrev(lambda b: np.linalg.lstsq(a, b, 1e-9)[0])(b)
    np.testing.assert_allclose(found, np.linalg.pinv(a, 1e-9), atol=1e-14)


@pytest.mark.skipif(NUMPY < (2, 5), reason="NumPy takes them until 2.5")
def test_two_dimensional_cross_products_are_refused_as_in_numpy():
    for x, y in ((np.ones(2), np.ones(2)), (ONE[:, :2], ONE), (ONE, ONE[:, :2])):
        with pytest.raises(ValueError, match="3-dimensional") as refused:
            np.cross(x, y)
        with pytest.raises(ValueError, match="3-dimensional") as ours:
            vjp(np.cross, x, y)
        assert str(refused.value) in str(ours.value)
