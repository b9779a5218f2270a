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
    with pytest.raises(UnsupportedError, match="no derivative rule"):
        grad(np.strings.isalpha)(1.0)


@pytest.mark.parametrize(
    ("fun", "args", "refused"),
    [
        (sc.jv, (1.5, 0.7), (0,)),
        (sc.hyp2f1, (1.5, 0.7, 0.3, 0.2), (0, 1, 2)),
        (sc.hyp1f1, (1.5, 0.7, 0.3), (0, 1)),
        (sc.besselpoly, (0.5, 0.7, 0.4), (1, 2)),
        (sc.eval_jacobi, (3.0, 0.5, 0.7, 0.2), (0, 1, 2)),
        (sc.pbdv, (0.5, 0.7), (0,)),
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
    np.testing.assert_array_equal(
        vmap(lambda a: sc.gammainc(a, 0.7))(orders), sc.gammainc(orders, 0.7)
    )
    derivative = vmap(lambda a: grad(lambda x: sc.gammainc(a, x))(0.7))(orders)
    expected = 0.7 ** (orders - 1) * np.exp(-0.7) / sc.gamma(orders)
    np.testing.assert_allclose(derivative, expected, rtol=1e-13)


def test_zeta_by_its_order():
    # zeta'(0) = -log(2 pi) / 2, zeta'(-1) = 1 / 12 - log(A) with Glaisher's constant
    assert grad(sc.zeta)(0.0) == pytest.approx(-np.log(2 * np.pi) / 2, rel=1e-13)
    assert grad(sc.zeta)(-1.0) == pytest.approx(-0.16542114370045092921, rel=1e-12)
    # zeta'(2) = pi^2 / 6 (euler_gamma + log(2 pi) - 12 log(A))
    assert grad(sc.zeta)(2.0) == pytest.approx(-0.93754825431584375370, rel=1e-13)
    assert grad(sc.zeta)(40.0) == pytest.approx(-np.log(2) * 2.0**-40, rel=1e-6)
    assert grad(sc.zeta)(-2.0) == pytest.approx(-sc.zeta(3) / (4 * np.pi**2), rel=1e-12)


SINE_TO_THE_FOURTH = (
    12 * 0.5 - 8 * np.sin(1) + np.sin(2)
) / 32  # its integral over (0, 1 / 2): 12 x - 8 sin 2x + sin 4x
# of the density 2 / (pi sqrt(3)) at t = 0 for 3 degrees of freedom
T_DENSITY_BY_DF = (sc.psi(2) - sc.psi(1.5) - 1 / 3) / 2 * 2 / (np.pi * 3**0.5)


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
        (grad(lambda m: sc.ellipkinc(0.5, m)), 0.0, 3 / 4 * SINE_TO_THE_FOURTH),
        (grad(lambda m: sc.ellipeinc(0.5, m)), 0.0, -1 / 4 * SINE_TO_THE_FOURTH),
        (lambda x: sc.sici(x)[0], 0.0, 1.0),
        (grad(grad(lambda x: sc.sici(x)[0])), 0.0, -1 / 3),
        (lambda x: sc.it2j0y0(x)[0], 0.0, 0.0),
        (grad(lambda x: sc.it2j0y0(x)[0]), 0.0, 1 / 4),
        (lambda x: sc.struve(0, x), 0.0, 2 / np.pi),
        (sc.beip, 0.0, 0.5),
        (sc.berp, 0.0, 0.0),
        (lambda x: sc.besselpoly(x, 0.5, 1.0), 0.0, 1 / 2.5),
        (lambda x: sc.smirnov(2, x), 0.0, -1.0),
        (sc.kolmogorov, np.inf, 0.0),
        (sc.kolmogorov, 0.01, 0.0),
        (lambda a: sc.gammainc(a, 0.0), 2.0, 0.0),
        (lambda x: sc.gammainc(2.0, x), np.inf, 0.0),
        (lambda x: sc.fdtr(2.0, 3.0, x), 0.0, 1.0),
        (lambda df: sc.stdtr(df, 0.0), 3.0, 0.0),
        (lambda t: grad(lambda df: sc.stdtr(df, t))(3.0), 0.0, T_DENSITY_BY_DF),
        (lambda y: sc.tklmbda(3.0, y), 0.5, 0.0),  # outside the support
        (lambda p: sc.pdtrik(p, 2.5), 0.05, 0.0),  # less probable than 0
        (lambda x: sc.elliprg(x, 1.0, 1.0), 0.0, np.pi / 8),  # a quarter of R_F
        (lambda x: sc.elliprd(x, 1.0, 1.0), 1.0, -3 / 10),
        (lambda x: sc.elliprj(x, 1.0, 1.0, 1.0), 1.0, -3 / 10),
        (lambda x: sc.elliprj(1.0, 1.0, 1.0, x), 1.0, -3 / 5),
        (lambda x: sc.elliprc(x, 1.0), 1.0, -1 / 6),
        (lambda y: sc.elliprc(1.0, y), 1.0, -1 / 3),
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


def test_nothing_cancels_far_out():
    # -1 / (sqrt(pi) x^2) and -1 / (2 x^2), to first order in 1 / x^2
    x = 1e7
    assert grad(sc.erfcx)(x) == pytest.approx(-1 / (np.sqrt(np.pi) * x * x), rel=1e-13)
    assert grad(sc.dawsn)(-x) == pytest.approx(-1 / (2 * x * x), rel=1e-13)
    assert grad(sc.erfcx)(np.inf) == 0


def test_derivatives_of_an_inverse_by_a_rough_search():
    # SciPy's values have about five digits, so they are no base for differences: the derivatives
    # of F(.., ans, ..) = p by the other arguments are what the inverse function theorem says.
    nc = 1.3
    p = sc.ncfdtr(2.3, 3.7, nc, 1.4)
    found = sc.ncfdtrinc(2.3, 3.7, p, 1.4)
    assert found == pytest.approx(nc, rel=1e-3)
    slope = grad(lambda nc: sc.ncfdtr(2.3, 3.7, nc, 1.4))(found)
    assert grad(lambda p: sc.ncfdtrinc(2.3, 3.7, p, 1.4))(p) == pytest.approx(1 / slope, rel=1e-12)
    by_x = grad(lambda x: sc.ncfdtr(2.3, 3.7, found, x))(1.4)
    by_rule = grad(lambda x: sc.ncfdtrinc(2.3, 3.7, p, x))(1.4)
    assert by_rule == pytest.approx(-by_x / slope, rel=1e-12)


def test_the_second_derivative_of_boxcox_at_zero():
    second = grad(grad(lambda y: sc.boxcox(np.e, y)))(0.0)
    assert second == pytest.approx(1 / 3, rel=1e-12)  # log(x)^3 / 3


def test_digamma_of_a_complex_argument():
    z = np.array([1.5 + 0.5j, -3.5 + 0.1j, 20.0 - 4.0j])
    ones = np.ones(3, complex)
    _, slope = jvp(sc.psi, (z,), (ones,))
    # psi'(z) + psi'(1 - z) = (pi / sin(pi z))^2, and psi'(z) = psi'(z + 1) + 1 / z^2
    _, mirrored = jvp(sc.psi, (1 - z,), (ones,))
    np.testing.assert_allclose(
        slope + mirrored, (np.pi / np.sin(np.pi * z)) ** 2, rtol=1e-12, atol=1e-14
    )
    _, following = jvp(sc.psi, (z + 1,), (ones,))
    np.testing.assert_allclose(slope, following + z**-2, rtol=1e-12)
    real = jvp(sc.psi, (z.real + 0j,), (ones,))[1]
    np.testing.assert_allclose(real, sc.polygamma(1, z.real), rtol=1e-12)


@pytest.mark.parametrize("fun", [sc.ive, sc.jve, sc.yve])
def test_a_scale_that_is_not_holomorphic_is_refused(fun):
    with pytest.raises(FuncgradError, match="complex"):
        jvp(lambda z: fun(1.0, z), (np.array(1.0 + 1j),), (np.array(1.0 + 0j),))


def test_float32_stays():
    x = np.float32(0.5)
    for fun in (sc.erf, sc.gammaln, sc.expit, sc.i0, lambda x: sc.jv(2, x)):
        assert grad(fun)(x).dtype == np.float32


@pytest.mark.filterwarnings("ignore:floating point number truncated:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:non-integer arg n:DeprecationWarning")
@pytest.mark.parametrize(
    "fun",
    [
        *[lambda x, f=f: f(1.6, x) for f in (sc.yn, sc.kn, sc.expn)],
        lambda x: sc.expn(0.5, x),
        *[lambda p, f=f: f(1.5, 3.7, p) for f in (sc.bdtr, sc.bdtrc, sc.bdtri)],
        *[lambda p, f=f: f(1.5, 2.7, p) for f in (sc.nbdtr, sc.nbdtrc, sc.nbdtri)],
    ],
)
def test_an_order_or_count_is_its_whole_part_in_the_derivative_too(fun):
    slope = (fun(0.4 + 1e-6) - fun(0.4 - 1e-6)) / 2e-6
    assert grad(fun)(0.4) == pytest.approx(slope, rel=1e-6)
    curve = (grad(fun)(0.4 + 1e-6) - grad(fun)(0.4 - 1e-6)) / 2e-6
    assert grad(grad(fun))(0.4) == pytest.approx(curve, rel=1e-5)
