"""Complex numbers: g of z pairs with dz as Re(g dz), so g = df/dx - i df/dy for a real f."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, hessian, jacfwd, jvp, vjp

Z = 1 + 2j


@pytest.mark.parametrize(
    ("fun", "expected"),
    [
        (lambda z: np.abs(z) ** 2, 2 - 4j),
        (lambda z: (z * z.conj()).real, 2 - 4j),
        (lambda z: z.real**2 + z.imag**2, 2 - 4j),
        (np.abs, (1 - 2j) / 5**0.5),
        (np.real, 1),
        (np.imag, -1j),
        (lambda z: np.conj(z).imag, 1j),
        (lambda z: (z**2).real, 2 * Z),
        (lambda z: np.exp(z).real, np.exp(Z)),
        (np.angle, -1j / Z),
        (lambda z: np.log(z).imag, -1j / Z),
        (lambda z: np.angle(z, deg=True), -1j / Z * 180 / np.pi),
    ],
)
def test_the_gradient_of_a_real_function_of_a_complex_number(fun, expected):
    np.testing.assert_allclose(grad(fun)(Z), expected, rtol=1e-14)


@pytest.mark.parametrize(
    "fun", [np.exp, np.sin, np.log, np.sqrt, np.arctan, np.tanh, lambda z: z**3]
)
def test_a_holomorphic_function_has_its_complex_derivative(fun):
    h = 1e-6
    expected = (fun(Z + h) - fun(Z - h)) / (2 * h)
    np.testing.assert_allclose(grad(fun, holomorphic=True)(Z), expected, rtol=1e-9)
    np.testing.assert_allclose(jvp(fun, (Z,), (1j,))[1], 1j * expected, rtol=1e-9)


def test_the_absolute_value_has_derivative_zero_at_zero():
    assert grad(np.abs)(0j) == 0
    assert jvp(np.abs, (0j,), (1 + 0j,))[1] == 0


def test_a_real_dtype_of_the_absolute_value_does_not_drop_the_imaginary_part():
    try:
        out, _ = vjp(lambda z: np.abs(z, dtype=np.float64), np.array([3 + 4j]))
    except TypeError:
        return
    assert out.tolist() == [5]


def test_the_phase_of_zero_has_derivative_zero():
    assert grad(np.angle)(0j) == 0


def test_the_sign_of_a_complex_number_turns_with_it():
    # sign(z) = z / |z|; at z = 1 only a turn changes it, by i dy
    for dz in (1.0 + 0j, 1j):
        with np.errstate(all="ignore"):
            t = jvp(np.sign, (1 + 0j,), (dz,))[1]
        np.testing.assert_allclose(t, 1j * dz.imag, atol=1e-15)


def test_the_sign_of_a_complex_number_is_differentiated_or_refused():
    try:
        g = grad(lambda z: np.sign(z).imag)(1 + 0j)
    except FuncgradError:
        return
    np.testing.assert_allclose(g, -1j)


def test_the_second_derivative_of_a_complex_absolute_value():
    # |z| at z = 1: d2/dx2 = 0, d2/dy2 = 1
    def along(t, dz):
        return np.abs(1 + t * dz)

    for dz, expected in ((1.0, 0.0), (1j, 1.0)):
        found = grad(grad(along))(0.0, dz)
        np.testing.assert_allclose(found, expected, atol=1e-14)


def test_a_real_argument_of_a_complex_function_has_a_real_gradient():
    x = np.array([0.5, 2.0])
    c = np.array([3 + 4j, 1j])
    for fun, expected in (
        (lambda x: np.sum(np.abs(x * c)), [5, 1]),
        (lambda x: np.sum((x * c).real), [3, 0]),
        (lambda x: np.sum((x * c).imag), [4, 1]),
        (lambda x: np.sum(np.abs(np.exp(1j * x)) ** 2), [0, 0]),
        (lambda x: (x @ c).imag, [4, 1]),
        (lambda x: np.sum(x.astype(complex).real), [1, 1]),
        (lambda x: np.sum(np.where(x > 1, x, c).imag), [0, 0]),
        (lambda x: np.concatenate([x, c]).real.sum(), [1, 1]),
    ):
        g = grad(fun)(x)
        assert g.dtype == np.float64
        np.testing.assert_allclose(g, expected, atol=1e-15)
        np.testing.assert_allclose(jacfwd(fun)(x), expected, atol=1e-15)


def test_the_parts_of_a_real_array_are_itself_and_zero():
    x = np.array([0.5, 2.0])
    assert grad(lambda x: np.sum(np.real(x) ** 2))(x).tolist() == [1, 4]
    assert grad(lambda x: np.sum(np.imag(x) * x))(x).tolist() == [0, 0]
    assert grad(lambda x: np.sum(np.conj(x) * x))(x).tolist() == [1, 4]
    assert grad(lambda x: np.sum(np.angle(x)))(x).tolist() == [0, 0]


def test_single_precision_stays():
    z = np.array([1 + 2j], np.complex64)
    for fun in (np.real, np.imag, np.abs, np.angle):
        out, pull = vjp(fun, z)
        assert out.dtype == np.float32
        assert pull(np.ones(1, np.float32))[0].dtype == np.complex64
    x = np.array([1.0], np.float32)
    assert grad(lambda x: np.sum(np.abs(x * (1 + 1j))))(x).dtype == np.float32


def test_the_variance_of_complex_numbers_is_real():
    z = np.array([1 + 1j, -1 - 1j])
    out, pull = vjp(np.var, z)
    assert out.dtype == np.float64
    # mean(|z - m|^2): the gradient is 2 conj(z - m) / n
    np.testing.assert_allclose(pull(1.0)[0], [1 - 1j, -1 + 1j])


def test_a_complex_loss_is_refused():
    with pytest.raises(TypeError, match="complex"):
        grad(lambda z: z * z)(Z)


def test_the_hessian_of_a_real_function_of_real_parts():
    def fun(x):
        z = x[0] + 1j * x[1]
        return (z**3).real  # x^3 - 3 x y^2

    found = hessian(fun)(np.array([1.0, 2.0]))
    np.testing.assert_allclose(found, [[6, -12], [-12, -6]], atol=1e-14)
