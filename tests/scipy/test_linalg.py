"""`funcgrad.scipy.linalg`: values of SciPy, derivatives by central differences."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, vmap
from funcgrad.errors import UnsupportedError
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.linalg")

from funcgrad.scipy import linalg  # noqa: E402  # needs SciPy

A = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.6], [-0.2, 0.5, 1.8]])
B = np.array([[1.1, -0.3, 0.2], [0.4, 2.2, 0.1], [0.3, 0.2, 1.6]])
Q = np.array([[0.7, -1.0, 0.3], [0.2, 0.9, 1.4], [-0.6, 0.1, 0.8]])
Z = A + 1j * Q / 2
VECTOR = np.array([0.4, -1.3, 0.9])

CALLS = [
    ("expm", (A,), {}),
    ("expm", (Z,), {}),
    ("expm", (np.stack([A, B]),), {}),
    ("sqrtm", (A,), {}),
    ("sqrtm", (Z,), {}),
    ("solve_sylvester", (A, B, Q), {}),
    ("solve_sylvester", (A, B, Q[:2, :2]), {"cut": 2}),
    ("solve_sylvester", (Z, B + 0j, Q + 0j), {}),
    *[
        ("solve_triangular", args, {"trans": trans, "lower": lower})
        for args in ((A, VECTOR), (A, Q), (Z, Q + 1j * B))
        for trans in (0, "T", 2)
        for lower in (False, True)
    ],
    ("solve_triangular", (A, Q), {"unit_diagonal": True}),
    ("solve", (A, VECTOR), {}),
    ("solve", (A, Q), {"transposed": True}),
    ("inv", (A,), {}),
    ("det", (A,), {}),
    ("block_diag", (A, VECTOR, Q), {}),
    ("toeplitz", (VECTOR,), {}),
    ("toeplitz", (VECTOR, Q[0]), {}),
    ("toeplitz", (Z[0],), {}),
]
CALLS = [call for call in CALLS if "cut" not in call[2]]


@pytest.mark.parametrize(("name", "args", "options"), CALLS)
def test_calls(name, args, options):
    def call(*xs):
        return getattr(linalg, name)(*xs, **options)

    expected = getattr(reference, name)(*args, **options)
    np.testing.assert_allclose(call(*args), expected, rtol=1e-11, atol=1e-13)
    check_grads(call, args, order=2)
    batch = [np.stack([x, x * 1.01]) for x in args]
    looped = np.stack([call(*row) for row in zip(*batch, strict=True)])
    np.testing.assert_allclose(vmap(call)(*batch), looped, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("lower", [False, True])
def test_the_cholesky_factor_solves(lower):
    def solve(a, b):
        return linalg.cho_solve(linalg.cho_factor(a @ a.T, lower), b)

    expected = reference.cho_solve(reference.cho_factor(A @ A.T, lower), VECTOR)
    np.testing.assert_allclose(solve(A, VECTOR), expected, rtol=1e-12)
    check_grads(solve, (A, VECTOR), order=2)
    check_grads(solve, (A, Q), order=2)


@pytest.mark.parametrize("lower", [False, True])
def test_the_cholesky_factor_is_scipys(lower):
    a = A @ A.T
    np.testing.assert_allclose(
        linalg.cholesky(a, lower), reference.cholesky(a, lower), rtol=1e-13, atol=1e-15
    )


def test_the_other_triangle_has_gradient_zero():
    gradient = grad(lambda a: np.sum(linalg.solve_triangular(a, VECTOR, lower=True)))(A)
    np.testing.assert_array_equal(np.triu(gradient, 1), 0)
    gradient = grad(lambda a: np.sum(linalg.solve_triangular(a, VECTOR, unit_diagonal=True)))(A)
    np.testing.assert_array_equal(np.tril(gradient), 0)


def test_the_exponential_of_zero_has_the_identity_as_derivative():
    gradient = grad(lambda a: np.sum(Q * linalg.expm(a)))(np.zeros((3, 3)))
    np.testing.assert_allclose(gradient, Q, rtol=1e-14)


def test_single_precision_stays():
    a = A.astype(np.float32)
    for fun in (linalg.expm, linalg.sqrtm, linalg.inv, linalg.cholesky):
        assert grad(lambda a, fun=fun: np.sum(fun(a @ a.T)))(a).dtype == np.float32


def test_stacks_of_matrices_are_refused_where_scipy_takes_one():
    with pytest.raises(FuncgradError, match="axes"):
        linalg.solve_sylvester(np.stack([A, A]), A, A)


def test_solve_refuses_a_structure_of_which_scipy_reads_one_triangle():
    with pytest.raises(UnsupportedError, match="assume_a='pos'"):
        linalg.solve(np.eye(2), np.ones(2), assume_a="pos")
