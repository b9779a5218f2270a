"""`funcgrad.scipy.special`: values of SciPy, derivatives by central differences."""

from functools import partial

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, hessian, jacfwd, jacrev, vmap
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.special")

from funcgrad.scipy import special  # noqa: E402  # needs SciPy

A = np.array([[0.3, -1.2, 2.0], [1.1, 0.7, -0.4]])
WEIGHTS = np.array([[1.0, 2.0, 0.5], [0.3, 0.0, 1.5]])

CALLS = [
    ("logsumexp", (A,), {}),
    ("logsumexp", (A,), {"axis": 0}),
    ("logsumexp", (A,), {"axis": (0, 1), "keepdims": True}),
    ("logsumexp", (A, -1, WEIGHTS), {}),
    ("logsumexp", (A, 1, 1 - WEIGHTS), {"return_sign": True}),
    ("softmax", (A,), {}),
    ("softmax", (A,), {"axis": -1}),
    ("log_softmax", (A,), {}),
    ("log_softmax", (A,), {"axis": 0}),
    ("polygamma", (0, 1 + A**2), {}),
    ("polygamma", (1, 1 + A**2), {}),
    ("polygamma", (np.array([0, 1, 3]), 1 + A**2), {}),
    ("multigammaln", (2 + A**2, 3), {}),
    ("factorial", (A**2,), {}),
    ("comb", (5 + A, WEIGHTS), {}),
    ("comb", (5 + A, WEIGHTS), {"repetition": True}),
    ("perm", (5 + A, WEIGHTS), {}),
    *[(name, (1.5, 1 + A**2, n), {}) for name in ("jvp", "yvp", "ivp", "kvp") for n in (0, 1, 3)],
    *[(f"spherical_{x}n", (2, 0.4 + A**2), {}) for x in "jyik"],
    *[(f"spherical_{x}n", (0, 0.4 + A**2), {"derivative": True}) for x in "jyik"],
    ("spherical_jn", (np.array([0, 1, 4]), 0.4 + A**2), {}),
    ("diric", (3 * A, 5), {}),
    ("diric", (3 * A, np.array([1, 2, 7])), {}),
]


def is_smooth(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f" and x is not WEIGHTS


@pytest.mark.parametrize(("name", "args", "options"), CALLS)
def test_calls(name, args, options):
    def call(*smooth):
        rest = iter(smooth)
        full = [next(rest) if is_smooth(x) else x for x in args]
        out = getattr(special, name)(*full, **options)
        return out[0] if isinstance(out, tuple) else out

    xs = tuple([x for x in args if is_smooth(x)])
    expected = getattr(reference, name)(*args, **options)
    expected = expected[0] if isinstance(expected, tuple) else expected
    np.testing.assert_allclose(call(*xs), expected, rtol=1e-12, atol=1e-14)
    assert np.shape(call(*xs)) == np.shape(expected)
    check_grads(call, xs, order=2)
    batch = [np.stack([x, x * 1.01]) for x in xs]
    looped = np.stack([call(*row) for row in zip(*batch, strict=True)])
    np.testing.assert_allclose(vmap(call)(*batch), looped, rtol=1e-12, atol=1e-14)


LEGENDRE = [
    ("legendre_p", (4, A / 3), {}),
    ("assoc_legendre_p", (4, 1, A / 3), {}),
    ("assoc_legendre_p", (np.array([1, 3, 4]), 1, A / 3), {"norm": True}),
    ("sph_legendre_p", (4, 2, 1 + A / 3), {}),
    ("sph_harm_y", (4, -2, 1 + A / 3, A), {}),
]


@pytest.mark.parametrize(("name", "args", "options"), LEGENDRE)
def test_legendre_functions(name, args, options):
    fun = getattr(special, name)
    np.testing.assert_allclose(
        fun(*args, **options), getattr(reference, name)(*args, **options), rtol=1e-13
    )
    smooth = tuple([x for x in args if is_smooth(x)])
    orders = args[: len(args) - len(smooth)]
    for part in (np.real, np.imag):
        check_grads(lambda *x, part=part: part(fun(*orders, *x, **options) + 0j), smooth, order=3)
    mapped = vmap(lambda *x: fun(*orders, *x, **options))(*smooth)
    by_row = [fun(*orders, *row, **options) for row in zip(*smooth, strict=True)]
    np.testing.assert_allclose(mapped, np.stack(by_row), rtol=1e-13)


def test_derivatives_of_a_legendre_polynomial_are_stacked():
    out = special.legendre_p(3, A, diff_n=2)
    np.testing.assert_array_equal(out, reference.legendre_p(3, A, diff_n=2))
    slopes = jacrev(lambda z: special.legendre_p(3, z, diff_n=1))(0.4)
    np.testing.assert_allclose(slopes, [(15 * 0.4**2 - 3) / 2, 15 * 0.4], rtol=1e-14)
    third = grad(lambda z: special.legendre_p(3, z, diff_n=2)[2])
    assert third(0.4) == pytest.approx(15.0, rel=1e-12)
    assert grad(third)(0.4) == pytest.approx(0.0, abs=1e-11)
    with pytest.raises(ValueError, match="0, 1 or 2"):
        special.legendre_p(3, A, diff_n=3)


def test_the_dirichlet_kernel_is_flat_at_its_peaks():
    assert grad(lambda x: special.diric(x, 5))(0.0) == 0
    second = grad(grad(lambda x: special.diric(x, 5)))(0.0)
    np.testing.assert_allclose(second, -2.0, rtol=1e-12)  # (1 - n^2) / 12


def test_exact_numbers_of_plain_arguments_are_scipys():
    assert special.comb(60, 30, exact=True) == reference.comb(60, 30, exact=True)
    assert special.perm(30, 7, exact=True) == reference.perm(30, 7, exact=True)
    assert special.factorial(25, exact=True) == reference.factorial(25, exact=True)


def test_every_public_ufunc_is_importable():
    for name in reference.__all__:
        assert getattr(special, name) is not None
    assert set(reference.__all__) <= set(dir(special))


def test_the_gradient_of_logsumexp_is_the_softmax():
    np.testing.assert_allclose(grad(special.logsumexp)(A), reference.softmax(A), rtol=1e-14)
    far = 1000 * A
    np.testing.assert_allclose(grad(special.logsumexp)(far), reference.softmax(far), rtol=1e-14)


def test_logsumexp_of_nothing_but_minus_infinity_has_gradient_zero():
    x = np.full(3, -np.inf)
    assert special.logsumexp(x) == -np.inf
    np.testing.assert_array_equal(grad(special.logsumexp)(x), 0)


def test_an_entry_of_minus_infinity_has_gradient_zero():
    x = np.array([0.0, -np.inf, 0.0])
    np.testing.assert_array_equal(grad(special.logsumexp)(x), [0.5, 0, 0.5])
    np.testing.assert_array_equal(jacrev(special.softmax)(x)[1], 0)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_the_softmax_has_the_derivatives_of_its_steps(axis):
    def spelled_out(x):
        e = np.exp(x)
        return e / np.sum(e, axis=axis, keepdims=True)

    weights = np.cos(np.arange(A.size)).reshape(A.shape)
    for fun, steps in (
        (special.softmax, spelled_out),
        (special.log_softmax, lambda x: np.log(spelled_out(x))),
    ):
        for transform in (grad, jacfwd, hessian):
            found, expected = [
                transform(lambda x, f=f: np.sum(f(x) * weights) ** 2)(A)
                for f in (partial(fun, axis=axis), steps)
            ]
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_single_precision_stays():
    x = A.astype(np.float32)
    for fun in (special.logsumexp, special.softmax, special.log_softmax):
        assert fun(x).dtype == np.float32
        assert grad(lambda x, fun=fun: np.sum(fun(x) ** 2))(x).dtype == np.float32


def test_other_names_are_scipys():
    assert special.erf is reference.erf
    with pytest.raises(AttributeError):
        _ = special.no_such_function


def test_exact_numbers_have_no_derivative():
    with pytest.raises(FuncgradError):
        grad(lambda x: special.factorial(x, exact=True))(2.5)


def test_multigammaln_checks_its_domain():
    with pytest.raises(ValueError, match="not met"):
        special.multigammaln(0.5, 3)
