"""Lists and arrays of objects that hold traced numbers: what NumPy converts itself is right, or raises."""

import warnings

import numpy as np
import pytest

from funcgrad import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    tree,
    vjp,
    vmap,
)
from funcgrad.core import Tracer
from funcgrad.errors import AliasedUpdateError, FuncgradError, PerformanceWarning, UnsupportedError
from funcgrad.testing import check_grads

X = np.array([0.5, 1.3, 2.1])
C = np.array([0.3, -1.0, 2.0])

quiet = pytest.mark.filterwarnings("ignore::funcgrad.errors.PerformanceWarning")


def objects_of(*entries):
    result = np.empty(len(entries), object)
    for i, x in enumerate(entries):
        result[i] = x
    return result


# --- what NumPy makes of numbers of a list -------------------------------------------------------

OF_NUMBERS = {
    "array": lambda t: np.array([t[0] * t[1], np.sin(t[2])]),
    "mixed with Python and NumPy numbers": lambda t: np.array([t[0] ** 2, 1.0, 2, np.float64(3)]),
    "matrix": lambda t: np.asarray([[t[0], 1.0], [t[1], t[2] ** 2]]),
    "full": lambda t: np.full(3, t[0] ** 2),
    "full_without_axes": lambda t: np.full((), t[0] ** 2),
    "r_": lambda t: np.r_[t[0] ** 2, 1.0],
    "sum": lambda t: np.sum([t[0], t[1] ** 2]),
    "prod": lambda t: np.prod([t[0], t[1], 3.0]),
    "cumsum": lambda t: np.cumsum([t[0], t[1] ** 2]),
    "dot": lambda t: np.dot([t[0], t[1] ** 2, 1.0], C),
    "norm": lambda t: np.linalg.norm([t[0], t[1]]),
    "outer": lambda t: np.outer([t[0], t[1]], t),
    "cross": lambda t: np.cross([t[0] ** 2, t[1], t[2]], C),
    "diff": lambda t: np.diff([t[0] ** 2, t[1], t[2]]),
    "convolve": lambda t: np.convolve([t[0] ** 2, t[1]], C),
    "polyval": lambda t: np.polyval([t[0], t[1], 1.0], t[2]),
    "append": lambda t: np.append([t[0] ** 2], [t[1]]),
    "alone": lambda t: np.asarray(t[0]) ** 2,
    "rows": lambda t: np.array([np.array([t[0] ** 2, t[1]]), np.array([1.0, t[2]])]),
    "times an array": lambda t: np.array([t[0], 2.0, t[1]]) * C,
    "power": lambda t: np.array([t[0], t[1]]) ** 3,
    "two of them": lambda t: np.array([t[0], t[1]]) * np.array([2.0, t[2]]),
    "product of two of them": lambda t: np.array([t[0], t[1]]) @ np.array([2.0, t[2]]),
    "sin": lambda t: np.sin(np.array([t[0], t[1]])),
    "sqrt": lambda t: np.sqrt(np.array([t[0], t[1]])),
    "arctan2": lambda t: np.arctan2(np.array([t[0], t[1]]), 2.0),
    "absolute": lambda t: abs(np.array([t[0], -t[1]])),
    "negative": lambda t: -np.array([t[0] ** 2, -t[1]]),
    "transpose": lambda t: np.array([[t[0], t[1] ** 2]]).T,
    "slice": lambda t: np.array([t[0], t[1], t[2] ** 2])[1:],
    "empty and then filled": lambda t: objects_of(t[0] ** 2, 1.0),
    "objects on demand": lambda t: np.asarray(np.outer(t, t), dtype=object)[1] * 2.0,
    "vectorize": lambda t: np.vectorize(lambda a, b: a * np.sin(b))(t, C),
    "vectorize a number": lambda t: np.vectorize(lambda a: a**2)(t[0]),
    "vectorize rows": lambda t: np.vectorize(np.dot, signature="(n),(n)->()")(np.outer(C, t), t),
    "frompyfunc": lambda t: np.frompyfunc(lambda a, b: a * b**2, 2, 1)(np.outer(t, t), t),
    "frompyfunc with two results": lambda t: np.frompyfunc(lambda a: (a**2, 3 * a), 1, 2)(t)[0],
    "ndenumerate": lambda t: sum([(i + 2 * j) * y for (i, j), y in np.ndenumerate(np.outer(t, t))]),
    "polynomial": lambda t: np.polynomial.Polynomial(t)(np.outer(C, C)),
    "polynomial there": lambda t: np.polynomial.Polynomial(C, domain=[0, 3])(np.outer(t, t)),
    "polynomial of both": lambda t: np.polynomial.Chebyshev(t, domain=[0, 3])(t),
    "slope of a polynomial": lambda t: np.polynomial.Legendre(t).deriv()(C),
    "legval": lambda t: np.polynomial.legendre.legval(C, t),
    "polyvander": lambda t: np.polynomial.polynomial.polyvander(t, 3),
}
WITH_A_TRACED_ARRAY = {
    "times": lambda t: np.array([t[0], 2.0, t[1]]) * t,
    "times from the left": lambda t: t * np.array([t[0], 2.0, t[1]]),
    "matmul": lambda t: np.array([[t[0], 2.0, t[1]]] * 2) @ t,
    "matmul from the left": lambda t: t @ np.array([t[0], 2.0, t[1]]),
    "power": lambda t: t ** np.array([t[0], 2.0, t[1]]),
    "ufunc": lambda t: np.hypot(np.array([t[0], 2.0, t[1]]), t),
    "dot": lambda t: np.dot(np.array([t[0], 2.0, t[1]]), t),
    "where": lambda t: np.where(C > 0, np.array([t[0], 2.0, t[1]]), t),
    "concatenate": lambda t: np.concatenate([np.array([t[0] ** 2, 2.0]), t]),
    "einsum": lambda t: np.einsum("i,i", np.array([t[0], 2.0, t[1]]), t),
    "solve": lambda t: np.linalg.solve(np.array([[t[0], 1.0], [0.0, 2.0]]), t[:2]),
    "entry": lambda t: np.array([t[0], t[1]])[0] * t,
    "write": lambda t: written(np.zeros_like(t), np.array([t[1] ** 2, 1.0])),
}


def written(y, v):
    y[:2] = v
    return y


@quiet
@pytest.mark.parametrize("name", [*OF_NUMBERS, *WITH_A_TRACED_ARRAY])
def test_lists_of_traced_numbers_are_differentiated(name):
    fun = {**OF_NUMBERS, **WITH_A_TRACED_ARRAY}[name]

    def vector(x):
        out = fun(x)
        return np.reshape(out.astype(float) if type(out) is np.ndarray else out, -1)

    step = 1e-6
    slopes = [(vector(X + step * e) - vector(X - step * e)) / (2 * step) for e in np.eye(3)]
    jacobian = np.transpose(slopes)
    shape = (*np.shape(fun(X)), 3)
    reverse = jacrev(fun)(X)
    assert reverse.shape == shape
    np.testing.assert_allclose(reverse.reshape(-1, 3), jacobian, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(jacfwd(fun)(X), reverse, rtol=1e-12)
    batch = np.stack([X, X + 1])
    values = np.stack([fun(x) for x in batch]).astype(float)
    np.testing.assert_allclose(vmap(fun)(batch), values, rtol=1e-12)
    np.testing.assert_allclose(vmap(jacrev(fun))(batch)[0], reverse, rtol=1e-12)
    of_batch = jacrev(vmap(fun))(batch)
    np.testing.assert_allclose(of_batch[(0, ..., 0, slice(None))], reverse, rtol=1e-12)
    np.testing.assert_allclose(
        hessian(fun)(X), jacfwd(jacfwd(fun))(X).reshape(*shape, 3), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize(
    "fun",
    [
        lambda t: np.stack([t[0], t[1], 1.0]),
        lambda t: np.array([t[0], 1.0, t[1] * t[2]], like=t),
        lambda t: t * [t[1], 2.0, t[0]],
        lambda t: np.where(X > 1, [t[1], 2.0, t[0]], t),
    ],
)
def test_what_makes_one_traced_array_at_once_does_not_warn(fun):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_grads(fun, (X,))


# --- outputs, inputs, nesting --------------------------------------------------------------------


R_AND_C = {
    "r_ of arrays": lambda t: np.r_[t, 1, 2.0, t[0], t[:2]],
    "r_ of one": lambda t: np.r_[t],
    "r_ of a range": lambda t: np.r_[1:4, t],
    "r_ of a traced range": lambda t: np.r_[0 : t[0] : 4j, t],
    "r_ of a list": lambda t: np.r_[[t[0], 2.0], 3.0, np.arange(3), t],
    "r_ along an axis": lambda t: np.r_["1", np.outer(t, t), np.outer(C, t)],
    "r_ as rows": lambda t: np.r_["0,2", t, C, t[::-1]],
    "r_ as columns": lambda t: np.r_["1,2,0", t, C],
    "r_ of other dtypes": lambda t: np.r_[t, [1, 2], C.astype(np.float32)],
    "r_ with complex numbers": lambda t: np.abs(np.r_[t, 1j]),
    "c_ of arrays": lambda t: np.c_[t, C, t**2],
    "c_ of a matrix": lambda t: np.c_[np.outer(t, t), np.ones(3)],
    "c_ of numbers": lambda t: np.c_[t[0], t[1], 1.0],
    "c_ of lists": lambda t: np.c_[[1, 2, 3], t],
}


@pytest.mark.parametrize("name", R_AND_C)
@quiet
def test_arrays_joined_by_an_index(name):
    fun = R_AND_C[name]
    out, _ = vjp(fun, X)
    assert out.dtype == fun(X).dtype
    np.testing.assert_array_equal(out, fun(X))
    check_grads(fun, (X,), order=2)
    rows = np.stack([X, X[::-1]])
    np.testing.assert_allclose(vmap(fun)(rows), [fun(row) for row in rows])
    np.testing.assert_allclose(vmap(jacrev(fun))(rows), [jacrev(fun)(row) for row in rows])


def test_joining_by_an_index_keeps_float32():
    t = X.astype(np.float32)
    assert vjp(lambda t: np.r_[t, 1.0], t)[0].dtype == np.float32
    assert grad(lambda t: np.sum(np.c_[t, t] ** 2))(t).dtype == np.float32


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_matrix_made_by_an_index_is_refused():
    with pytest.raises(FuncgradError, match="plain one"):
        grad(lambda t: np.r_["c", t].sum())(X)


@quiet
def test_no_result_holds_a_traced_value():
    def pair(t):
        return {"objects": np.array([t[0], 2.0 * t[1]]), "sum": np.sum(t)}

    for result in (
        pair(X),
        vjp(pair, X)[0],
        jvp(pair, (X,), (X,))[0],
        grad(lambda t: (t.sum(), pair(t)), has_aux=True)(X)[1],
        tree.map(lambda x: x[0], vmap(pair)(X[None])),
        checkpoint(pair)(X),
    ):
        assert result["objects"].dtype == np.float64
        assert result["objects"].tolist() == [0.5, 2.6]


@quiet
def test_an_array_of_objects_may_be_the_argument_of_an_inner_transform():
    def loss(t):
        inner = np.array([t[0], t[1] * t[2]])
        return np.sum(grad(lambda y: np.sum(y**3))(inner)) + np.sum(vmap(np.square)(inner))

    # 3 a ** 2 + a ** 2, summed over a = x0 and a = x1 x2
    product = 8 * X[1] * X[2]
    np.testing.assert_allclose(grad(loss)(X), [8 * X[0], product * X[2], product * X[1]])


@quiet
def test_custom_rules_take_and_give_arrays_of_objects():
    @custom_vjp
    def double(x):
        return 2 * x

    double.defvjp(lambda x: (2 * x, None), lambda _, ct: (np.array([2 * c for c in ct]),))

    @custom_jvp
    def triple(x):
        return 3 * x

    triple.defjvp(
        lambda primals, tangents: (3 * primals[0], np.array([3 * t for t in tangents[0]]))
    )
    for fun, factor in ((double, 2), (triple, 3), (checkpoint(lambda x: 5 * x), 5)):
        of_objects = lambda t, fun=fun: fun(np.array([t[0], t[1]])) @ C[:2]  # noqa: E731
        expected = [factor * C[0], factor * C[1], 0]
        np.testing.assert_allclose(grad(of_objects)(X), expected)
        np.testing.assert_allclose(jacfwd(of_objects)(X), expected)
        np.testing.assert_allclose(vmap(grad(of_objects))(X[None])[0], expected)


@quiet
def test_an_array_of_objects_is_a_leaf_of_a_pytree_that_is_ravelled():
    def loss(t):
        flat, _ = tree.ravel({"a": np.array([t[0], 1.0]), "b": t[1]})
        return np.sum(flat**2)

    assert grad(loss)(X).tolist() == [1.0, 2.6, 0.0]


@quiet
def test_values_of_several_transforms_share_an_array_of_objects():
    def outer(a):
        return grad(lambda b: np.prod(np.array([a, b, b])))(a)  # 2 a b at b = a

    np.testing.assert_allclose(grad(outer)(3.0), 12.0)
    np.testing.assert_allclose(jvp(outer, (3.0,), (1.0,))[1], 12.0)


@quiet
def test_an_entry_that_changes_later_raises():
    """The array of objects holds the traced array itself, where NumPy makes a copy."""

    def fun(t, copy):
        y = np.zeros_like(t)
        number = y[:1].reshape(())
        number = number.copy() if copy else number
        entries = np.array([number, number])
        y += t
        return np.sum(entries) + y[0]

    assert grad(fun)(X, True).tolist() == [1, 0, 0]
    with pytest.raises(AliasedUpdateError, match=r"y\.copy\(\)"):
        grad(fun)(X, False)


@quiet
def test_numbers_that_are_rebound_do_not_raise():
    def fun(t):
        number = t[0]
        entries = np.array([number, 1.0])
        number += t[1]
        return np.sum(entries) * number

    # t0 (t0 + t1) + t0 + t1
    assert grad(fun)(X).tolist() == [2 * X[0] + X[1] + 1, X[0] + 1, 0]


# --- what raises ---------------------------------------------------------------------------------


@quiet
@pytest.mark.parametrize(
    "fun",
    [
        lambda t: np.mean([t[0], t[1]]),
        lambda t: np.exp(np.array([t[0], 1.0])),
        lambda t: np.hypot(np.array([1.0, t[0]]), np.array([2.0, 3.0])),
        lambda t: np.isnan(np.array([t[0], 1.0])),
        lambda t: np.linalg.inv(np.array([[t[0], 1.0], [0.0, 1.0]])),
        lambda t: np.linalg.det([[t[0], 1.0], [0.0, 1.0]]),
        lambda t: np.fft.fft([t[0], t[1]]),
        lambda t: np.array([t[0], t[1]], float),
        lambda t: np.array([t[0], t[1]]).astype(float),
        lambda t: np.zeros(2) + 0 * np.add(np.zeros(2), np.array([t[0], 1.0]), out=np.zeros(2)),
        lambda t: written(np.zeros(2), np.array([t[0], 1.0])),
        np.asarray,
        lambda t: np.array([t, t]),
        lambda t: t * objects_of(t, t),
        lambda t: objects_of(t, t),
        lambda t: t * np.array([None, 1.0]),
        lambda t: np.asarray(t[0], float),
        lambda t: float(np.array([t[0]])[0]),
    ],
)
def test_what_objects_cannot_do_raises_with_the_way_out(fun):
    for run in (lambda: jacrev(fun)(X), lambda: jacfwd(fun)(X), lambda: vmap(fun)(X[None])):
        with pytest.raises(FuncgradError, match=r"test_objects\.py(.|\n)*Fix: "):
            run()


@quiet
@pytest.mark.parametrize(
    "fun",
    [
        lambda t: (np.array([t[0], t[1]]) * 1j).imag,
        lambda t: np.exp(np.complex64(1j) * np.array([t[0], t[1]])).imag,
        lambda t: np.array([t[0] * 1j, 1.0]).imag,
    ],
)
def test_complex_numbers_and_objects_do_not_mix(fun):
    """The imaginary part of an array of objects is zero, whatever the objects are."""
    for run in (lambda: jacrev(fun)(X), lambda: jacfwd(fun)(X), lambda: vmap(fun)(X[None])):
        with pytest.raises(FuncgradError, match=r"np\.stack"):
            run()


@quiet
def test_an_entry_of_a_transform_that_has_ended_raises():
    kept = []
    grad(lambda t: kept.append(np.array([t[0], t[1]])) or t.sum())(X)
    with pytest.raises(FuncgradError, match="ended"):
        kept[0] * 2.0
    assert isinstance(kept[0][0], Tracer)


# --- the warning ---------------------------------------------------------------------------------


def test_a_warning_names_the_line_and_the_faster_spelling_once():
    def loss(t):
        total = 0.0
        for _ in range(3):
            total = total + np.sum(np.array([t[0], t[1], 1.0]))
        return total

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        grad(loss)(X)
    (warning,) = caught
    assert warning.category is PerformanceWarning
    assert "np.stack([...])" in str(warning.message)
    assert "like=x" in str(warning.message)
    assert warning.filename == __file__
    assert warning.lineno == loss.__code__.co_firstlineno + 3


def test_an_array_of_objects_on_purpose_does_not_warn():
    assert grad(lambda t: np.sum(np.array([t[0], t[1]], object)))(X).tolist() == [1, 1, 0]


def test_an_array_of_objects_that_are_no_numbers_is_refused():
    for odd in (None, "2.0", [3.0], 1j, 2**70):
        objects = np.empty(3, object)
        objects[:] = [1.0, 2.0, odd]
        with pytest.raises(UnsupportedError, match="numeric dtype"):
            grad(lambda t, objects=objects: np.sum(t * objects))(X)


def test_a_ufunc_of_objects_without_traced_results_gives_objects():
    kinds = np.frompyfunc(lambda a: "up" if a > 1 else "down", 1, 1)
    assert grad(lambda t: np.sum(t[kinds(t) == "up"]))(X).tolist() == [0, 1, 1]


def test_polynomials_are_multiplied_and_divided():
    p, q = np.array([0.5, 1.3, 2.1]), np.array([2.0, -0.7])

    def values(p, q):
        p, q = np.polynomial.Chebyshev(p), np.polynomial.Chebyshev(q)
        return (p * q + 1 - p**2).integ()(C), (p - q).convert(kind=np.polynomial.Polynomial)(C)

    check_grads(values, (p, q), order=2)


def test_a_table_of_coefficients_is_refused():
    with pytest.raises(FuncgradError, match="plain one"):
        grad(lambda t: np.sum(np.polynomial.polynomial.polyval(C, np.outer(t, t))))(X)


@quiet
@pytest.mark.parametrize("transform", [grad, lambda f: lambda x: jvp(f, (x,), (x,))])
@pytest.mark.parametrize(
    "fun",
    [
        lambda t: np.polynomial.Polynomial(t) * np.polynomial.Polynomial([1.0, 2.0]),
        lambda t: np.polynomial.Polynomial([1.0, 2.0]) - np.polynomial.Polynomial(t),
        lambda t: np.polynomial.polynomial.polymul([t[0], t[1], t[2]], [1.0, 2.0]),
        lambda t: np.polynomial.legendre.legmulx(t[2:]),
    ],
)
def test_a_traced_coefficient_that_numpy_would_cut_off_is_refused(fun, transform):
    """The value does not change if a leading zero is cut off, but the derivative does.

    An operator of a Polynomial turns every error into "unsupported operand".
    """
    with pytest.raises(TypeError, match=r"zero|Polynomial"):
        transform(lambda t: np.sum(getattr(fun(t), "coef", fun(t))))(np.array([1.0, 2.0, 0.0]))


# --- which entries are traced depends on values ----------------------------------------------------


@quiet
@pytest.mark.parametrize("x", [[1.0, 2.0], [1.0, -2.0], [-1.0, -2.0]])
def test_entries_that_turned_constant_are_constants(x):
    def rectified(t):
        return np.maximum(np.array([t[0], t[1]]), 0.0)

    x = np.array(x)
    slope = np.where(x > 0, 1.0, 0.0)
    assert jacrev(rectified)(x).tolist() == np.diag(slope).tolist()
    assert jacfwd(rectified)(x).tolist() == np.diag(slope).tolist()
    assert vmap(rectified, fallback="loop")(x[None]).tolist() == [np.maximum(x, 0.0).tolist()]
    # sum_i max(t_i, 0) t_i has the slope 2 max(t_i, 0)
    assert grad(lambda t: np.sum(rectified(t) * t))(x).tolist() == (2 * slope * x).tolist()
    assert grad(lambda t: rectified(t) @ t)(x).tolist() == (2 * slope * x).tolist()
    assert grad(lambda t: np.sum(np.where(x < 9, rectified(t), t)))(x).tolist() == slope.tolist()
