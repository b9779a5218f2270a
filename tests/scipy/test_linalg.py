"""`funcgrad.scipy.linalg`: values of SciPy, derivatives by central differences."""

import numpy as np
import pytest

from funcgrad import grad, jacrev, jvp, vjp, vmap
from funcgrad.errors import UnsupportedError
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.linalg")

from funcgrad.scipy import linalg  # noqa: E402  # needs SciPy
from tests.scipy.claims import check_mirror, signatures_differ  # noqa: E402

A = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.6], [-0.2, 0.5, 1.8]])
B = np.array([[1.1, -0.3, 0.2], [0.4, 2.2, 0.1], [0.3, 0.2, 1.6]])
Q = np.array([[0.7, -1.0, 0.3], [0.2, 0.9, 1.4], [-0.6, 0.1, 0.8]])
Z = A + 1j * Q / 2
VECTOR = np.array([0.4, -1.3, 0.9])
TALL = np.concatenate([A, Q[:2]])
WIDE = np.concatenate([B, Q], 1)
STACK = np.stack([A, B])
BAND = np.array(
    [[0.0, 0.2, 0.3, -0.1], [2.0, 2.5, 1.8, 2.2], [0.4, -0.3, 0.5, 0.0], [0.1, 0.2, 0, 0]]
)
RIGHT = np.array([0.3, 1.2, -0.7, 0.5])

ALL = [
    ("expm", (A,), {}),
    ("expm", (Z,), {}),
    ("expm", (STACK,), {}),
    ("expm_frechet", (A, Q), {}),
    ("expm_frechet", (A, Q), {"compute_expm": False}),
    ("logm", (A,), {}),
    ("logm", (Z,), {}),
    ("logm", (STACK,), {}),
    ("sqrtm", (A,), {}),
    ("sqrtm", (Z,), {}),
    ("sqrtm", (STACK,), {}),
    ("fractional_matrix_power", (A, np.float64(0.3)), {}),
    ("fractional_matrix_power", (Z, np.float64(-1.7)), {}),
    *[
        (name, (a / 3,), {})
        for name in ("sinm", "cosm", "tanm", "sinhm", "coshm", "tanhm")
        for a in (A, Z)
    ],
    ("solve_sylvester", (A, B, Q), {}),
    ("solve_sylvester", (A, B[:2, :2], Q[:, :2]), {}),
    ("solve_sylvester", (Z, B + 0j, Q + 0j), {}),
    ("solve_sylvester", (STACK, B, Q), {}),
    ("solve_continuous_lyapunov", (A, Q), {}),
    ("solve_continuous_lyapunov", (Z, Q + 1j * B), {}),
    ("solve_discrete_lyapunov", (A / 3, Q), {}),
    ("solve_discrete_lyapunov", (Z / 3, Q + 1j * B), {"method": "bilinear"}),
    *[
        ("solve_triangular", args, {"trans": trans, "lower": lower})
        for args in ((A, VECTOR), (Z, Q + 1j * B))
        for trans in (0, "T", 2)
        for lower in (False, True)
    ],
    ("solve_triangular", (A, Q), {"unit_diagonal": True}),
    ("solve_triangular", (STACK, Q), {}),
    ("solve_banded", ((2, 1), BAND, RIGHT), {}),
    (
        "solve_banded",
        ((1, 2), BAND[::-1] + 1j * BAND[::-1, ::-1], np.stack([RIGHT, RIGHT**2], 1)),
        {},
    ),
    ("solveh_banded", (BAND[:2], RIGHT), {}),
    ("solveh_banded", (BAND[1:3] + 0.1j * BAND[2:], RIGHT + 0j), {"lower": True}),
    ("solve_toeplitz", (A[0], VECTOR**2), {}),
    ("solve_toeplitz", ((A[0], A[0, [0, 2, 1]]), Q), {}),
    ("solve", (A, VECTOR), {}),
    ("solve", (A, Q), {"transposed": True}),
    ("solve", (STACK, Q), {}),
    ("solve", (A, Q), {"assume_a": "upper triangular"}),
    ("solve", (A, Q), {"assume_a": "lower triangular", "transposed": True}),
    ("solve", (A, Q), {"assume_a": "diagonal"}),
    ("solve", (A, Q), {"assume_a": "tridiagonal"}),
    ("solve", (A, Q), {"assume_a": "gen"}),
    ("inv", (A,), {}),
    ("inv", (Z,), {"assume_a": "upper triangular"}),
    ("det", (A,), {}),
    ("pinv", (TALL,), {}),
    ("pinv", (WIDE,), {"return_rank": True}),
    ("lstsq", (TALL, np.arange(5.0)), {}),
    ("lstsq", (TALL, TALL[:, :2] ** 2), {}),
    ("lstsq", (WIDE, VECTOR), {}),
    ("lu", (A[::-1],), {}),
    ("lu", (Z[::-1],), {}),
    ("lu", (TALL[::-1],), {"permute_l": True}),
    ("lu", (WIDE[::-1],), {"p_indices": True}),
    ("lu", (STACK[:, ::-1],), {}),
    ("lu_factor", (A[::-1],), {}),
    ("qr", (A,), {}),
    ("qr", (TALL,), {"mode": "economic"}),
    ("qr", (TALL,), {"mode": "r"}),
    ("qr", (WIDE,), {}),
    ("svd", (TALL,), {"full_matrices": False}),
    ("svd", (WIDE,), {"compute_uv": False}),
    ("svdvals", (WIDE,), {}),
    ("polar", (A,), {}),
    ("polar", (Z,), {"side": "left"}),
    ("polar", (TALL,), {}),
    ("polar", (WIDE,), {"side": "left"}),
    ("orthogonal_procrustes", (TALL, TALL[::-1]), {}),
    ("eigvals", (A,), {}),
    ("eig", (Z,), {}),
    ("eigh_tridiagonal", (VECTOR, Q[0, :2]), {"eigvals_only": True}),
    ("eigvalsh_tridiagonal", (RIGHT, VECTOR), {"select": "i", "select_range": (1, 2)}),
    ("leslie", (VECTOR, Q[0, :2]), {}),
    ("fiedler", (RIGHT,), {}),
    ("block_diag", (A, VECTOR, Q), {}),
    ("block_diag", (STACK, VECTOR), {}),
    ("toeplitz", (VECTOR,), {}),
    ("toeplitz", (VECTOR, Q[0, :2]), {}),
    ("toeplitz", (Z[0],), {}),
    ("hankel", (VECTOR,), {}),
    ("hankel", (VECTOR, Q[0, :2]), {}),
    ("circulant", (VECTOR,), {}),
    ("companion", (VECTOR,), {}),
    *[
        ("convolution_matrix", (VECTOR, n), {"mode": m})
        for n in (2, 6)
        for m in ("full", "same", "valid")
    ],
    ("khatri_rao", (A, TALL), {}),
    ("norm", (A,), {}),
    ("norm", (A, 2), {}),
    ("norm", (A,), {"ord": 1, "axis": 0, "keepdims": True}),
]


@pytest.mark.parametrize(("name", "args", "options"), ALL)
def test_values_and_derivatives(name, args, options):
    check_mirror(getattr(linalg, name), getattr(reference, name), args, options)


# Of a symmetric matrix one triangle is read; the derivative is that of the symmetric part.
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("assume_a", ["sym", "her", "pos"])
@pytest.mark.parametrize("a", [A, Z])
def test_systems_with_a_symmetric_matrix(a, assume_a, lower):
    def symmetric(a):
        return a @ (a.mT if assume_a == "sym" else a.mT.conj())

    def call(a, b):
        return linalg.solve(symmetric(a), b, lower=lower, assume_a=assume_a)

    right = Q.astype(a.dtype)
    expected = reference.solve(symmetric(a), right, lower=lower, assume_a=assume_a)
    np.testing.assert_allclose(vjp(call, a, right)[0], expected, rtol=1e-11, atol=1e-13)
    check_grads(call, (a, right), order=2)


def test_one_triangle_alone_is_read():
    spoilt = A @ A.T + np.triu(np.full((3, 3), np.nan), 1)
    value, pullback = vjp(lambda a: linalg.solve(a, VECTOR, lower=True, assume_a="pos"), spoilt)
    np.testing.assert_allclose(value, np.linalg.solve(A @ A.T, VECTOR), rtol=1e-12)
    gradient = pullback(VECTOR)[0]
    np.testing.assert_allclose(gradient, gradient.T, rtol=1e-13)


@pytest.mark.parametrize("a", [A, Z, STACK])
@pytest.mark.parametrize("pair", [False, True])
def test_eigenvalues_of_hermitian_matrices_and_of_pairs(a, pair):
    def call(a, b):
        a, b = a + a.mT.conj(), b @ b.mT.conj()
        w, v = linalg.eigh(a, b if pair else None)
        squares = (v * v.conj()).real  # the same for every sign and phase, and smooth at 0
        return w, squares, linalg.eigvalsh(a, b if pair else None, subset_by_index=(1, 2))

    hermitian, b = a + a.mT.conj(), B @ B.T
    value = vjp(lambda a: linalg.eigh(a, b if pair else None), hermitian)[0]
    for got, expected in zip(value, reference.eigh(hermitian, b if pair else None), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)
    check_grads(call, (a, B), order=2)


def test_pinvh():
    check_grads(lambda a: linalg.pinvh(a[:, :2] @ a[:, :2].T), (A,), order=2, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("a", [A, Z, STACK])
def test_the_cholesky_factor_solves(a, lower):
    def solve(a, b):
        return linalg.cho_solve(linalg.cho_factor(a @ a.mT.conj(), lower), b)

    for b in (VECTOR, Q) if a.ndim == 2 else (Q,):
        np.testing.assert_allclose(
            vjp(solve, a, b)[0], np.linalg.solve(a @ a.mT.conj(), b), rtol=1e-11
        )
        check_grads(solve, (a, b), order=2)


@pytest.mark.parametrize("lower", [False, True])
def test_the_cholesky_factor_is_scipys(lower):
    def factor(a):
        return linalg.cholesky(a @ a.mT.conj(), lower)

    for a in (A, Z, STACK):
        expected = reference.cholesky(a @ a.mT.conj(), lower)
        np.testing.assert_allclose(vjp(factor, a)[0], expected, rtol=1e-13, atol=1e-15)
        check_grads(factor, (a,), order=2)


def test_what_scipy_factored_solves_traced_systems():
    for lower in (False, True):
        factor = reference.cho_factor(A @ A.T, lower)
        check_grads(lambda b, factor=factor: linalg.cho_solve(factor, b), (VECTOR,), order=2)
    packed = reference.lu_factor(A[::-1])
    for trans in (0, 1, 2):
        expected = reference.lu_solve(packed, VECTOR, trans)
        got, _ = jvp(lambda b, t=trans: linalg.lu_solve(packed, b, t), (VECTOR,), (VECTOR,))
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("trans", [0, 1, 2])
def test_the_lu_factor_solves(trans):
    def solve(a, b):
        return linalg.lu_solve(linalg.lu_factor(a), b, trans)

    for a in (A[::-1], Z[::-1]):
        check_grads(solve, (a, VECTOR), order=2)
        check_grads(solve, (a, Q), order=2)
    batch = np.stack([A[::-1], B, Q])  # with different exchanges of rows
    expected = [reference.lu_solve(reference.lu_factor(a), VECTOR, trans) for a in batch]
    np.testing.assert_allclose(vmap(solve, (0, None))(batch, VECTOR), expected, rtol=1e-11)


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
    for name in ("expm", "sqrtm", "inv", "cholesky", "svdvals", "eigvalsh", "polar", "lu"):
        fun = getattr(linalg, name)
        value, pullback = vjp(lambda a, fun=fun: fun(a @ a.T), a)
        for x in value if isinstance(value, tuple) else (value,):
            assert x.dtype == np.float32, name
        assert pullback(value)[0].dtype == np.float32, name


def test_plain_arguments_go_to_scipy():
    _, lower = linalg.cho_factor(A @ A.T)
    assert not lower
    assert linalg.hadamard is not None
    np.testing.assert_array_equal(linalg.hadamard(2), [[1, 1], [1, -1]])
    np.testing.assert_array_equal(linalg.null_space(np.ones((1, 1))), np.zeros((1, 0)))


def test_signatures_are_scipys():
    assert signatures_differ(linalg, reference) == []


REFUSED = {
    "schur": (linalg.schur, "scipy.linalg.schur"),
    "pivoting": (lambda a: linalg.qr(a, pivoting=True), "pivoting=True"),
    "subset": (lambda a: linalg.eigh(a, subset_by_value=(0, 1)), "subset_by_value"),
    "type": (lambda a: linalg.eigh(a, a, type=2), "type=2"),
    "left": (lambda a: linalg.eig(a, left=True), "left=True"),
    "singular": (lambda a: linalg.polar(a[:2]), "other side"),
    "driver": (lambda a: linalg.svd(a, lapack_driver="gesvd"), "lapack_driver='gesvd'"),
    "atol": (lambda a: linalg.pinv(a, atol=1e-3), "atol"),
    "stack": (lambda a: linalg.lstsq(a[None], VECTOR), "vmap"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_options_are_named(call, message):
    with pytest.raises(UnsupportedError, match=message):
        grad(lambda a: np.sum(call(a)[0]))(A)


def test_wrong_arguments_are_refused_as_scipy_does():
    with pytest.raises(ValueError, match="not a recognized"):
        grad(lambda a: np.sum(linalg.solve(a, VECTOR, assume_a="odd")))(A)
    with pytest.raises(ValueError, match="diagonals"):
        grad(lambda ab: np.sum(linalg.solve_banded((1, 1), ab, RIGHT)))(BAND)


@pytest.mark.filterwarnings("ignore::funcgrad.errors.PerformanceWarning")
def test_a_matrix_written_as_a_list_of_traced_numbers():
    # the inverse of [[a, 1], [0, b]] times (1, 1): ((b - 1) / (a b), 1 / b)
    solve = lambda k: linalg.solve(np.array([[k[0], 1.0], [0.0, k[1]]]), np.ones(2))  # noqa: E731
    a, b = 2.0, 0.5
    slopes = [[(1 - b) / (a**2 * b), 1 / (a * b**2)], [0, -1 / b**2]]
    np.testing.assert_allclose(jacrev(solve)(np.array([a, b])), slopes)
