"""The samples of `np.linalg` and its relatives; `tests/samples.py` says what a row is.

Functions that read one triangle of a Hermitian matrix are called on a Hermitian part. The phase of
complex eigenvectors and singular vectors is arbitrary: rows for complex arguments do not depend on it.
"""

from typing import Any

import numpy as np

from funcgrad.primitives import REGISTRY

GOLDEN = (5**0.5 - 1) / 2
SEPARATE = np.diag([1.0, 2.5, 4.5])
TURNED = np.array([[1.0, 2.0, 0.1], [-1.5, 1.2, 0.3], [0.2, -0.4, 3.0]])  # two complex eigenvalues


def reals(*shape: int, start: int = 1) -> np.ndarray:
    n = int(np.prod(shape))
    return -1.93 + 3.9 * (np.arange(start, start + n) * GOLDEN % 1).reshape(shape)


def factors(*shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(reals(*shape, start=1 + 30 * i) for i, shape in enumerate(shapes))


def regular(*shape: int) -> np.ndarray:
    """Return square matrices far from singular ones."""
    return reals(*shape) / 2 + 2 * np.eye(shape[-1])


def hermitian(a: Any) -> Any:
    return (a + a.mT.conj()) / 2


def function_of(w: Any, v: Any) -> Any:
    """Return V f(w) V^H, which the phases of the vectors do not change."""
    return (v * np.exp(w)[..., None, :]) @ v.mT.conj()


CUBE = np.sinh(reals(2, 3, 4))  # no two sums of its columns or rows are equal
TALL, WIDE, TALLS = reals(4, 3), reals(2, 4), reals(2, 4, 3) + 2 * np.eye(4, 3)
TALLER_BY_ONE, WIDER_BY_ONE = reals(3, 2), reals(2, 3)
TWIN = np.array([[1.0, 2.0], [2.0, 4.0], [0.5, 1.0]])  # of rank 1


def rows(Sample: Any) -> list[Any]:
    return [
        *_systems(Sample),
        *_determinants(Sample),
        *_factorisations(Sample),
        *_spectra(Sample),
        *_norms(Sample),
        *_products(Sample),
        *_diagonals(Sample),
    ]


def _systems(Sample: Any) -> list[Any]:
    return [
        *[
            Sample(np.linalg.inv, (regular(*shape),), complex=True, exact=False)
            for shape in ((3, 3), (2, 3, 3), (1, 1), (0, 2, 2))
        ],
        *[
            Sample(np.linalg.solve, (regular(*a), *factors(b)), complex=True, exact=False)
            for a, b in (
                ((3, 3), (3,)),
                ((3, 3), (3, 2)),
                ((2, 3, 3), (2, 3, 2)),
                ((2, 3, 3), (3, 2)),
                ((2, 3, 3), (3,)),
                ((3, 3), (2, 3, 2)),
                ((2, 1, 3, 3), (2, 3, 1)),
            )
        ],
        Sample(np.linalg.tensorinv, (regular(6, 6).reshape(2, 3, 6),), exact=False),
        Sample(np.linalg.tensorinv, (regular(6, 6).reshape(6, 3, 2),), {"ind": 1}, exact=False),
        *[
            Sample(np.linalg.tensorsolve, (a, reals(2, 3)), options, complex=True, exact=False)
            for a, options in (
                (regular(6, 6).reshape(2, 3, 6), {}),
                (np.moveaxis(regular(6, 6).reshape(2, 3, 6), 2, 0), {"axes": (0,)}),
            )
        ],
        *[
            Sample(np.linalg.pinv, (a,), options, complex=True, exact=False)
            for a in (TALL, WIDE, TALLS, regular(2, 2))
            for options in ({}, {"rcond": 1e-4})
        ],
        Sample(np.linalg.pinv, (TALL,), {"rtol": 1e-5}, exact=False),
        Sample(np.linalg.pinv, (TALL,), {"rtol": None}, exact=False),
        Sample(np.linalg.pinv, (TALLS,), {"rcond": np.array([1e-5, 1e-6])}, exact=False),
        Sample(
            lambda a: np.linalg.pinv(hermitian(a), hermitian=True),
            (regular(2, 3, 3),),
            of=np.linalg.pinv,
            complex=True,
            exact=False,
        ),
        # On a curve of matrices of rank 1.
        Sample(
            lambda x, y: np.linalg.pinv(x[:, None] * y, rcond=1e-4),
            factors((4,), (3,)),
            of=np.linalg.pinv,
            complex=True,
            exact=False,
        ),
        *[
            Sample(
                lambda a, b: tuple([np.linalg.lstsq(a, b)[i] for i in (0, 1, 3)]),
                (a, b),
                of=np.linalg.lstsq,
                complex=True,
                exact=False,
            )
            for a, b in (
                (TALL, reals(4, start=40)),
                (TALL, reals(4, 2, start=40)),
                (WIDE, reals(2, start=40)),
                (regular(3, 3), reals(3, 2, start=40)),
            )
        ],
        Sample(
            lambda a: np.linalg.lstsq(a, np.ones(4))[2], (TALL,), of=np.linalg.lstsq, constant=True
        ),
        *[
            Sample(np.linalg.matrix_rank, (a,), options, constant=True)
            for a, options in (
                (TALL, {}),
                (TALLS, {"tol": 0.1}),
                (TALLS, {"tol": np.array([0.1, 10.0])}),
                (TALLS, {"rtol": 1e-3}),
                (TWIN, {}),
                (regular(3, 3) + regular(3, 3).T, {"hermitian": True}),
                (reals(3), {}),
            )
        ],
    ]


def _determinants(Sample: Any) -> list[Any]:
    singular = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.5, -1.0]])
    return [
        *[
            Sample(np.linalg.det, (a,), complex=True, exact=False)
            for a in (
                regular(3, 3),
                regular(2, 3, 3),
                regular(1, 1),
                regular(0, 2, 2),
                regular(2, 2),
            )
        ],
        Sample(np.linalg.det, (singular,), exact=False),
        Sample(np.linalg.det, (np.zeros((2, 2)),), exact=False),
        *[
            Sample(
                lambda a: tuple(np.linalg.slogdet(a)),
                (a,),
                of=np.linalg.slogdet,
                complex=True,
                exact=False,
            )
            for a in (regular(3, 3), regular(2, 3, 3), -regular(3, 3))
        ],
        Sample(REGISTRY["cofactor"], (regular(3, 3),), of="cofactor", complex=True, exact=False),
        Sample(REGISTRY["cofactor"], (regular(2, 4, 4),), of="cofactor", exact=False),
        Sample(REGISTRY["over_gap"], (reals(3), regular(3, 3)), of="over_gap", complex=True),
    ]


def _factorisations(Sample: Any) -> list[Any]:
    return [
        *[
            Sample(
                lambda a, upper=upper: np.linalg.cholesky(hermitian(a), upper=upper),
                (regular(*shape),),
                of=np.linalg.cholesky,
                complex=True,
                exact=False,
            )
            for shape in ((3, 3), (2, 3, 3), (1, 1))
            for upper in (False, True)
        ],
        *[
            Sample(
                lambda a, mode=mode: tuple(np.linalg.qr(a, mode)),
                (a,),
                of=np.linalg.qr,
                complex=True,
                exact=False,
            )
            for a, mode in (
                (TALL, "reduced"),
                (TALLS, "reduced"),
                (WIDE, "reduced"),
                (regular(3, 3), "reduced"),
                (regular(3, 3), "complete"),
                (WIDE, "complete"),
            )
        ],
        Sample(np.linalg.qr, (TALL,), {"mode": "r"}, complex=True, exact=False),
        Sample(np.linalg.qr, (WIDE,), {"mode": "r"}, complex=True, exact=False),
    ]


def _projected(u: Any, s: Any, vh: Any) -> Any:
    """Return results that a common phase of a pair of singular vectors leaves alone."""
    k = s.shape[-1]
    ends = (u[..., :k] * np.exp(s)[..., None, :]) @ vh[..., :k, :]
    return s, ends, u[..., k:] @ u[..., k:].mT.conj(), vh[..., k:, :].mT.conj() @ vh[..., k:, :]


def _spectra(Sample: Any) -> list[Any]:
    return [
        *[
            Sample(
                lambda a, UPLO=UPLO: tuple(np.linalg.eigh(hermitian(a), UPLO)),
                (regular(*shape),),
                of=np.linalg.eigh,
                exact=False,
            )
            for shape in ((3, 3), (2, 3, 3), (1, 1))
            for UPLO in "LU"
        ],
        Sample(
            lambda a: function_of(*np.linalg.eigh(hermitian(a))),
            (regular(2, 3, 3),),
            of=np.linalg.eigh,
            complex=True,
            exact=False,
        ),
        *[
            Sample(
                lambda a, UPLO=UPLO: np.linalg.eigvalsh(hermitian(a), UPLO=UPLO),
                (regular(2, 3, 3),),
                of=np.linalg.eigvalsh,
                complex=True,
                exact=False,
            )
            for UPLO in "LU"
        ],
        *[
            Sample(
                lambda a: tuple(np.linalg.eig(a)),
                (a,),
                of=np.linalg.eig,
                complex=True,
                exact=False,
            )
            for a in (SEPARATE + regular(3, 3) / 4, SEPARATE + regular(2, 3, 3) / 4)
        ],
        Sample(
            lambda a: tuple(np.linalg.eig(a)), (TURNED,), of=np.linalg.eig, exact=False, vmap=False
        ),
        Sample(np.linalg.eigvals, (SEPARATE + regular(2, 3, 3) / 4,), complex=True, exact=False),
        Sample(np.linalg.eigvals, (TURNED,), exact=False, vmap=False),
        *[
            Sample(
                lambda a, full=full: tuple(np.linalg.svd(a, full_matrices=full)),
                (a,),
                of=np.linalg.svd,
                exact=False,
            )
            for a, full in (
                (TALL, False),
                (TALLS, False),
                (WIDE, False),
                (regular(3, 3), True),
                (TALLER_BY_ONE, True),
                (WIDER_BY_ONE, True),
            )
        ],
        *[
            Sample(
                lambda a, full=full: _projected(*np.linalg.svd(a, full)),
                (a,),
                of=np.linalg.svd,
                complex=True,
                exact=False,
            )
            for full in (False, True)
            for a in (TALL, WIDE, regular(3, 3), TALLS)
        ],
        *[
            Sample(fun, (a,), options, complex=True, exact=False)
            for a in (TALL, WIDE, TALLS)
            for fun, options in ((np.linalg.svdvals, {}), (np.linalg.svd, {"compute_uv": False}))
        ],
        *[
            Sample(
                lambda a: tuple(np.linalg.svd(hermitian(a), hermitian=True)),
                (a,),
                of=np.linalg.svd,
                exact=False,
            )
            for a in (regular(2, 3, 3), regular(3, 3) - 2.3 * np.eye(3))
        ],
        Sample(
            lambda a: np.linalg.svd(hermitian(a), compute_uv=False, hermitian=True),
            (regular(3, 3) - 2.3 * np.eye(3),),
            of=np.linalg.svd,
            complex=True,
            exact=False,
        ),
    ]


VECTOR_ORDERS = (None, 1, 2, 3, 2.5, 0.5, -1, -2, np.inf, -np.inf)
MATRIX_ORDERS = (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)


def _norms(Sample: Any) -> list[Any]:
    return [
        *[
            Sample(np.linalg.norm, (x,), options, complex=True, exact=False)
            for x, options in (
                (CUBE, {}),
                (CUBE, {"keepdims": True}),
                (reals(4), {}),
                (np.array(0.7), {}),
            )
        ],
        *[
            Sample(np.linalg.norm, (CUBE, order, 1, keep), complex=True, exact=False)
            for order in VECTOR_ORDERS
            for keep in (False, True)
        ],
        *[
            Sample(np.linalg.norm, (CUBE, order, axes, keep), complex=True, exact=False)
            for order in MATRIX_ORDERS
            for axes, keep in (((0, 2), True), ((2, 1), False))
        ],
        *[
            Sample(np.linalg.norm, (x,), {"ord": order}, exact=False)
            for x, order in ((reals(4), 3), (CUBE[0], "nuc"), (CUBE[0], -np.inf))
        ],
        Sample(np.linalg.norm, (reals(3, 4), 0, 0), constant=True),
        *[
            Sample(np.linalg.matrix_norm, (CUBE,), options, complex=True, exact=False)
            for options in ({}, {"ord": "nuc"}, {"ord": 2, "keepdims": True}, {"ord": 1})
        ],
        *[
            Sample(np.linalg.vector_norm, (CUBE,), options, complex=True, exact=False)
            for options in (
                {},
                {"ord": 3},
                {"axis": 1, "ord": np.inf},
                {"axis": (0, -1), "keepdims": True},
                {"keepdims": True, "ord": 1},
                {"axis": (2, 0), "ord": -2},
            )
        ],
        *[
            Sample(
                np.linalg.cond, (x, p), complex=True, exact=False, since=(2, 3)
            )  # real since then
            for x in (regular(3, 3), regular(2, 3, 3))
            for p in MATRIX_ORDERS
        ],
        Sample(np.linalg.cond, (TALL,), exact=False),
        *[
            Sample(np.linalg.vector_norm, (np.zeros((0, 3)),), {"axis": 1, "ord": order})
            for order in (1, 2, 3, np.inf)
        ],
        *[
            Sample(
                np.linalg.norm, (np.zeros((3, 0)), order), {"axis": axis}, exact=False, since=(2, 3)
            )
            for order, axis in ((2, 1), (np.inf, 1), (2, None), ("nuc", None), (1, None))
        ],
    ]


def _products(Sample: Any) -> list[Any]:
    return [
        *[
            Sample(np.linalg.matrix_power, (regular(2, 3, 3), n), complex=True, exact=False)
            for n in (0, 1, 2, 3, 6, -1, -2)
        ],
        *[
            Sample(
                lambda *xs: np.linalg.multi_dot(xs),
                factors(*shapes),
                of=np.linalg.multi_dot,
                exact=False,
            )
            for shapes in (
                ((3, 4), (4, 2)),
                ((3, 4), (4, 2), (2, 5)),
                ((4,), (4, 2), (2, 3)),
                ((3, 4), (4, 2), (2,)),
                ((4,), (4, 2), (2,)),
                ((3, 4), (4, 2), (2, 5), (5, 1)),
            )
        ],
        *[
            Sample(np.kron, factors(*shapes), complex=True, exact=False)
            for shapes in (((2, 3), (3, 2)), ((3,), (2,)), ((2,), (2, 3)), ((), (3,)), ((), ()))
        ],
        Sample(np.kron, factors((2, 1, 2), (3, 2)), exact=False),
        *[
            Sample(np.cross, factors(*shapes), options, complex=True, exact=False)
            for *shapes, options in (
                ((3,), (3,), {}),
                ((2, 3), (3,), {}),
                ((3, 2), (2, 3), {"axisa": 0, "axisc": 0}),
                ((3, 2), (3, 1), {"axis": 0}),
            )
        ],
        Sample(np.linalg.cross, factors((2, 3), (2, 3)), complex=True, exact=False),
        Sample(np.linalg.cross, factors((3, 2), (3, 2)), {"axis": 0}, exact=False),
    ]


def _diagonals(Sample: Any) -> list[Any]:
    return [
        *[
            Sample(fun, (CUBE,), options, complex=True, exact=False)
            for fun in (np.diagonal, np.trace)
            for options in (
                {},
                {"offset": 1},
                {"offset": -1, "axis1": 2, "axis2": 0},
                {"offset": 7},
            )
        ],
        *[
            Sample(fun, (CUBE,), options, complex=True, exact=False)
            for fun in (np.linalg.diagonal, np.linalg.trace)
            for options in ({}, {"offset": 2}, {"offset": -1})
        ],
        *[
            Sample(fun, (CUBE,), {"dtype": np.complex128}, exact=False)
            for fun in (np.trace, np.linalg.trace)
        ],
        Sample(lambda x: x.diagonal(1, 1, 2), (CUBE,), of=np.diagonal),
        Sample(lambda x: x.trace(1), (CUBE,), of=np.trace, exact=False),
    ]
