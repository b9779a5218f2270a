"""Special points of `scipy.special`; the general checks are in `test_rules.py`."""

import subprocess
import sys

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, jvp, vmap
from funcgrad.errors import UnsupportedError

sc = pytest.importorskip("scipy.special")


def test_the_rules_are_registered_at_the_first_use():
    program = """
import sys
import funcgrad
assert "scipy" not in sys.modules and "funcgrad.primitives.special" not in sys.modules
from scipy import special
assert abs(funcgrad.grad(special.erf)(0.0) - 1.1283791670955126) < 1e-15
assert "funcgrad.primitives.special" in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_a_ufunc_without_a_rule_raises():
    ufunc = np.frompyfunc(lambda x: x + 1, 1, 1)
    with pytest.raises(UnsupportedError, match="no derivative rule"):
        grad(ufunc)(1.0)


@pytest.mark.parametrize(
    ("fun", "args", "refused"),
    [
        (sc.jv, (1.5, 0.7), (0,)),
        (sc.hyp2f1, (1.5, 0.7, 0.3, 0.2), (0, 1, 2)),
        (sc.chndtr, (1.5, 3.5, 0.7), (1,)),
        (sc.ncfdtr, (2.5, 3.5, 0.7, 1.1), (0, 1)),
        (sc.pbdv, (0.5, 0.7), (0,)),
        (sc.zeta, (2.5, 0.7), (0,)),
    ],
)
def test_an_argument_without_a_derivative_is_refused_by_name(fun, args, refused):
    for i, x in enumerate(args):

        def of_one(x, i=i):
            out = fun(*args[:i], x, *args[i + 1 :])
            return out[0] if isinstance(out, tuple) else out

        if i in refused:
            with pytest.raises(FuncgradError, match=f"argument {i}"):
                grad(of_one)(x)
            with pytest.raises(FuncgradError, match=f"argument {i}"):
                jvp(of_one, (x,), (1.0,))
        else:
            np.testing.assert_allclose(grad(of_one)(x), jvp(of_one, (x,), (1.0,))[1], rtol=1e-14)


def test_a_refused_argument_can_be_mapped():
    orders = np.array([0.5, 1.5, 2.5])
    np.testing.assert_array_equal(vmap(lambda a: sc.jv(a, 0.7))(orders), sc.jv(orders, 0.7))
    derivative = vmap(lambda a: grad(lambda x: sc.jv(a, x))(0.7))(orders)
    expected = sc.jvp(orders, 0.7)
    np.testing.assert_allclose(derivative, expected, rtol=1e-13)


@pytest.mark.parametrize("name", ["mathieu_a", "pro_cv", "chndtridf"])
def test_a_function_without_derivatives_can_be_mapped(name):
    fun = getattr(sc, name)
    x = np.array([1.0, 2.0])
    call = {"mathieu_a": lambda x: fun(1, x), "pro_cv": lambda x: fun(0, 1, x)}.get(
        name, lambda x: fun(x, 0.3, 0.7)
    )
    np.testing.assert_array_equal(vmap(call)(x), call(x))
    with pytest.raises(FuncgradError, match=name):
        grad(call)(1.0)


# The value, and why: each is the limit of the derivative there.
@pytest.mark.parametrize(
    ("fun", "x", "expected"),
    [
        (sc.exprel, 0.0, 0.5),
        (lambda y: sc.boxcox(np.e**2, y), 0.0, 2.0),  # log(x)^2 / 2
        (lambda y: sc.boxcox1p(np.e**2 - 1, y), 0.0, 2.0),
        (lambda y: sc.inv_boxcox(0.5, y), 0.0, -np.exp(0.5) / 8),  # -e^y y^2 / 2
        (sc.rgamma, 0.0, 1.0),  # (-1)^n n! at -n
        (sc.rgamma, -3.0, -6.0),
        (sc.spence, 1.0, -1.0),
        (sc.ellipk, 0.0, np.pi / 8),
        (sc.ellipe, 0.0, -np.pi / 8),
        (lambda m: sc.ellipkinc(0.5, m), 0.0, (1 - np.sin(1)) / 8),
        (lambda x: sc.sici(x)[0], 0.0, 1.0),
        (lambda x: sc.xlogy(x, 3.0), 0.0, np.log(3)),
        (lambda y: sc.xlogy(0.0, y), 0.0, 0.0),  # constant in y
        (lambda r: sc.huber(1.0, r), 1.0, 1.0),
        (lambda x: sc.lambertw(x).real, 0.0, 1.0),
        (sc.j1, 0.0, 0.5),
        (sc.i1, 0.0, 0.5),
        (lambda x: sc.eval_legendre(0, x), 1.0, 0.0),
        (lambda x: sc.eval_legendre(5, x), 1.0, 15.0),  # n (n + 1) / 2
        (lambda x: sc.eval_chebyt(4, x), 1.0, 16.0),  # n^2
    ],
)
def test_limits(fun, x, expected):
    assert grad(fun)(x) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_the_left_tail_of_the_normal_distribution():
    # The ratio of density and distribution is -x - 1 / x + O(x^-3) there; NaN in a naive quotient.
    assert grad(sc.log_ndtr)(-1e4) == pytest.approx(1e4 + 1e-4, rel=1e-12)
    assert grad(sc.log_expit)(-800.0) == 1.0
    assert grad(sc.expit)(-800.0) == 0.0


def test_the_second_derivative_of_boxcox_at_zero():
    second = grad(grad(lambda y: sc.boxcox(np.e, y)))(0.0)
    assert second == pytest.approx(1 / 3, rel=1e-12)  # log(x)^3 / 3


def test_digamma_of_a_complex_argument_is_refused_and_gamma_is_not():
    z = np.array(1.5 + 0.5j)
    ones = np.array(1.0 + 0j)
    _, slope = jvp(sc.gamma, (z,), (ones,))
    np.testing.assert_allclose(slope, sc.gamma(z) * sc.psi(z), rtol=1e-14)
    with pytest.raises(FuncgradError, match="complex"):
        jvp(sc.psi, (z,), (ones,))


@pytest.mark.parametrize("fun", [sc.ive, sc.jve, sc.yve])
def test_a_scale_that_is_not_holomorphic_is_refused(fun):
    with pytest.raises(FuncgradError, match="complex"):
        jvp(lambda z: fun(1.0, z), (np.array(1.0 + 1j),), (np.array(1.0 + 0j),))


def test_float32_stays():
    x = np.float32(0.5)
    for fun in (sc.erf, sc.gammaln, sc.expit, sc.i0, lambda x: sc.jv(2, x)):
        assert grad(fun)(x).dtype == np.float32
