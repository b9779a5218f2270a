"""`funcgrad.scipy.spatial.distance`: values of SciPy, derivatives by central differences."""

import numpy as np
import pytest

from funcgrad import grad, jacrev, vmap
from funcgrad.errors import TracerConversionError, UnsupportedError
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.spatial.distance")

from funcgrad.scipy import spatial  # noqa: E402  # needs SciPy
from funcgrad.scipy.spatial import distance  # noqa: E402
from tests.scipy.claims import check_mirror, signatures_differ  # noqa: E402

A = 1.5 + np.cos(np.arange(12.0) ** 1.3).reshape(4, 3)
B = 1.4 + np.sin(np.arange(15.0) ** 1.7).reshape(5, 3)
W = np.array([0.5, 1.3, 2.0])
V = np.array([0.7, 1.1, 0.4])
VI = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, -0.2], [0.1, -0.2, 1.0]])
WEIGHTED = ["braycurtis", "canberra", "chebyshev", "cityblock", "correlation", "cosine"]
WEIGHTED += ["euclidean", "minkowski", "sqeuclidean"]
SETTINGS = [
    *[(name, {}) for name in (*WEIGHTED, "jensenshannon", "seuclidean", "mahalanobis")],
    *[(name, {"w": W}) for name in WEIGHTED],
    ("minkowski", {"p": 3.0, "w": W}),
    ("minkowski", {"p": 1.0}),
    ("seuclidean", {"V": V}),
    ("mahalanobis", {"VI": VI}),
]


@pytest.mark.parametrize(("metric", "settings"), SETTINGS)
def test_distances_of_rows(metric, settings):
    options = {"metric": metric, **settings}
    check_mirror(distance.cdist, reference.cdist, (A, B), options)
    check_mirror(distance.pdist, reference.pdist, (B,), options)


@pytest.mark.parametrize("name", WEIGHTED)
def test_distances_of_two_points(name):
    fun, original = getattr(distance, name), getattr(reference, name)
    check_mirror(fun, original, (A[0], B[0]))
    check_mirror(fun, original, (A[0], B[0]), {"w": W})
    check_grads(lambda w: fun(A[0], B[0], w=w), (W,), order=2)


def test_distances_with_settings():
    check_mirror(distance.seuclidean, reference.seuclidean, (A[0], B[0], V))
    check_mirror(distance.mahalanobis, reference.mahalanobis, (A[0], B[0], VI))
    check_mirror(distance.minkowski, reference.minkowski, (A[0], B[0]), {"p": np.inf})
    for options in ({}, {"base": 2.0}, {"axis": 1, "keepdims": True}):
        check_mirror(distance.jensenshannon, reference.jensenshannon, (A, A[::-1] ** 2), options)


def test_the_greatest_distance_counts_where_there_is_a_weight():
    options = {"p": np.inf, "w": np.array([0.5, 2.0, 0.0][: A.shape[1]])}
    check_mirror(distance.minkowski, reference.minkowski, (A[0], B[0]), options)
    check_mirror(distance.cdist, reference.cdist, (A, B, "minkowski"), options)


@pytest.mark.parametrize(
    "call",
    [
        lambda d, x: d.cdist(x, B[:, :1]),  # never broadcast
        lambda d, x: d.cdist(x, B[0]),
        lambda d, x: d.cdist(x[0], B),
        lambda d, x: d.pdist(x[0]),
        lambda d, x: d.pdist(x[None]),
        lambda d, x: d.pdist(x[:2], "mahalanobis"),  # too few for a covariance
        lambda d, x: d.euclidean(x, B),
        lambda d, x: d.cosine(x[0], B[0, :1]),
        lambda d, x: d.minkowski(x[0], B[0], 0),
        lambda d, x: d.cityblock(x[0], B[0], w=-np.ones(len(B[0]))),
        lambda d, x: d.euclidean(x[0], B[0], w=-np.ones(len(B[0]))),
        lambda d, x: d.chebyshev(x[0], B[0], w=-np.ones(len(B[0]))),
    ],
)
def test_what_scipy_refuses_is_refused(call):
    with pytest.raises(ValueError, match=r"."):
        call(reference, A)
    with pytest.raises(ValueError, match=r"."):
        grad(lambda x: np.sum(call(distance, x)))(A)


def test_a_vector_of_distances_becomes_a_table_and_back():
    vector = distance.pdist(A)
    check_mirror(distance.squareform, reference.squareform, (vector,))
    check_mirror(lambda v: distance.squareform(distance.squareform(v)), lambda v: v, (vector,))
    check_mirror(distance.squareform, reference.squareform, (np.zeros(0),))
    for wrong in (np.ones(4), np.arange(4.0).reshape(2, 2), np.eye(2), np.ones((2, 3))):
        with pytest.raises(ValueError, match=r"symmetric|zero|square|vector size"):
            grad(lambda x: np.sum(distance.squareform(x)))(wrong)


def test_equal_points_have_the_derivative_zero():
    for metric in ("euclidean", "minkowski", "cityblock", "sqeuclidean", "chebyshev", "canberra"):
        gradient = grad(lambda x, metric=metric: np.sum(distance.cdist(x, x[:1], metric)))
        assert not gradient(np.ones((2, 3))).any()
    # the diagonal of a kernel adds nothing
    kernel = jacrev(lambda x: np.exp(-distance.cdist(x, x)))(A)
    assert np.all(np.isfinite(kernel))
    assert not kernel[range(4), range(4)].any()


def test_what_has_no_rule_is_refused():
    for metric in ("hamming", lambda u, v: abs(u - v).sum()):
        with pytest.raises(UnsupportedError, match="metric"):
            grad(lambda x, metric=metric: np.sum(distance.pdist(x, metric)))(A)
    with pytest.raises(UnsupportedError, match="directed_hausdorff"):
        grad(lambda x: distance.directed_hausdorff(x, B)[0])(A)
    assert distance.cdist(A, B, "hamming").shape == (4, 5)
    assert spatial.KDTree is not None


def test_scipys_own_function_names_the_mirror():
    with pytest.raises(TracerConversionError, match=r"funcgrad\.scipy\.spatial\.distance\.cdist"):
        grad(lambda x: np.sum(reference.cdist(x, B)))(A)


def test_a_function_of_scipys_may_name_the_metric():
    assert np.allclose(
        vmap(lambda x: distance.pdist(x, reference.cityblock))(A[None])[0],
        distance.pdist(A, "cityblock"),
    )


def test_signatures_are_scipys():
    assert signatures_differ(distance, reference) == []
