"""Products with SciPy's sparse matrices: the values of dense ones, and their derivatives."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, hessian, jacrev, vjp, vmap
from funcgrad.testing import check_grads

sparse = pytest.importorskip("scipy.sparse")

DENSE = np.array([[0.0, 2.0, 0.0, -1.0], [1.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.3, 4.0]])
X, Y = np.array([0.3, -1.2, 0.7, 2.0]), np.array([1.1, 0.4, -0.6])

FORMATS = ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
KINDS = [f"{name}_{kind}" for name in FORMATS for kind in ("matrix", "array")]

PRODUCTS = {
    "matrix times vector": (lambda a, x: a @ x, X),
    "vector times matrix": (lambda a, x: x @ a, Y),
    "matrix times columns": (lambda a, x: a @ x, np.outer(X, [1.0, -2.0])),
    "rows times matrix": (lambda a, x: x @ a, np.outer([1.0, -2.0], Y)),
    "transposed": (lambda a, x: a.T @ x, Y),
    "scaled": (lambda a, x: (2 * a) @ x * x[0], X),
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("kind", KINDS)
def test_products_have_the_derivatives_of_dense_ones(kind, name):
    product, x = PRODUCTS[name]
    matrix = getattr(sparse, kind)(DENSE)
    value, _ = vjp(lambda x: product(matrix, x), x)
    assert type(value) is np.ndarray
    np.testing.assert_allclose(value, product(DENSE, x), rtol=1e-14)
    check_grads(lambda x: product(matrix, x), (x,))
    batch = np.stack([x, -x])
    for transform in (vmap, lambda f: vmap(jacrev(f))):
        np.testing.assert_allclose(
            transform(lambda x: product(matrix, x))(batch),
            transform(lambda x: product(DENSE, x))(batch),
            rtol=1e-14,
        )


def test_the_star_and_the_method_dot_of_a_matrix_are_products():
    matrix = sparse.csr_matrix(DENSE)
    for product in (lambda x: matrix * x, matrix.dot):
        assert jacrev(product)(X).tolist() == DENSE.tolist()


def test_complex_matrices_and_vectors():
    matrix = sparse.csr_array(DENSE * (1 + 2j))
    check_grads(lambda x: matrix @ x, (X,))
    check_grads(lambda x: matrix @ x, (X * (1 - 1j),))


def test_a_quadratic_form_has_its_hessian():
    square = sparse.csr_array(DENSE.T @ DENSE)
    np.testing.assert_allclose(hessian(lambda x: x @ (square @ x))(X), 2 * DENSE.T @ DENSE)


def test_a_matrix_that_changes_after_its_use_does_not_change_the_gradient():
    def fun(x):
        matrix = sparse.csr_array(DENSE)
        y = matrix @ x
        matrix.data[:] = 0.0
        return np.sum(y**2)

    np.testing.assert_allclose(grad(fun)(X), 2 * DENSE.T @ (DENSE @ X), rtol=1e-14)


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_a_matrix_whose_indices_are_sorted_after_its_use_does_not_change_the_gradient(kind):
    unsorted = sparse.csr_array(([1.0, 2.0, 3.0], [3, 0, 2], [0, 2, 2, 3]), shape=(3, 4))
    matrix = unsorted if kind == "csr" else unsorted.T
    dense = matrix.toarray()

    def total(x):
        y = matrix @ x
        matrix.sort_indices()
        return y @ y

    x = np.arange(1.0, 1.0 + dense.shape[1])
    np.testing.assert_allclose(grad(total)(x), 2 * dense.T @ dense @ x)


def test_other_operations_are_refused_with_the_way_out():
    matrix = sparse.csr_matrix(DENSE)
    for fun in (lambda x: matrix * x[0], lambda x: x[0] * matrix, lambda x: x[:3, None] + matrix):
        with pytest.raises(FuncgradError, match=r"t \* \(A @ x\)"):
            grad(fun)(X)
    with pytest.raises(ValueError, match="matmul"):
        grad(lambda x: matrix @ x[:2])(X)
