"""Complex numbers: JAX's convention under every transform.

Of a real function f of z = x + iy the gradient is df/dx - i df/dy; a cotangent g and a tangent t
pair as Re(g t). Of a holomorphic function the derivative is the complex one.
"""

import numpy as np
import pytest

from funcgrad import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)
from funcgrad.errors import FuncgradError, NonDifferentiableError, NonScalarOutputError, ShapeError

Z = np.array([1 + 2j, -0.5j, 0.7 - 0.3j])
W = np.array([0.5 - 1j, 2.0 + 0j, 1j])
X = np.array([0.5, 1.0, 2.0])


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax


def by_parts(f, z, h=1e-6):
    """Return df/dx - i df/dy of a real function, entry by entry, by central differences."""
    z = np.asarray(z, complex)
    got = np.zeros(z.shape, complex)
    for index in np.ndindex(z.shape):
        e = np.zeros(z.shape, complex)
        e[index] = h
        dx = (f(z + e) - f(z - e)) / (2 * h)
        dy = (f(z + 1j * e) - f(z - 1j * e)) / (2 * h)
        got[index] = dx - 1j * dy
    return got


REAL = {
    "abs squared": lambda np_, z: np_.sum(np_.abs(z) ** 2),
    "abs": lambda np_, z: np_.sum(np_.abs(z)),
    "real of a product": lambda np_, z: np_.real(np_.sum(z * z * z[0])),
    "imag": lambda np_, z: np_.imag(np_.sum(z**3)),
    "angle": lambda np_, z: np_.sum(np_.angle(z)),
    "conj": lambda np_, z: np_.real(np_.sum(np_.conj(z) ** 2 * z)),
    "exp and log": lambda np_, z: np_.real(np_.sum(np_.exp(z) * np_.log(z + 3))),
    "vdot": lambda np_, z: np_.real(np_.vdot(z, np_.sin(z) * (1 + 1j))),
    "matmul": lambda np_, z: np_.abs(z @ np_.outer(z, z) @ z) ** 2,
    "divide": lambda np_, z: np_.real(np_.sum(1 / z + z / np_.conj(z[0] + 2))),
    "sqrt": lambda np_, z: np_.imag(np_.sum(np_.sqrt(z))),
    "real and imaginary parts": lambda np_, z: np_.sum(z.real**2 * z.imag),
    "where": lambda np_, z: np_.sum(np_.abs(np_.where(z.real > 0.1, z**2, np_.conj(z)))),
    "a real value within": lambda np_, z: np_.imag(np_.sum(np_.abs(z) * (1 + 5j) * z)),
    "indexing": lambda np_, z: np_.real(z[0] * z[1] + np_.sum(z[::-1] * z)),
}
each_real = pytest.mark.parametrize("f", REAL.values(), ids=REAL)

HOLOMORPHIC = {
    "polynomial": (lambda z: z**3 - 2 * z, lambda z: 3 * z**2 - 2, lambda z: 6 * z),
    "exp": (np.exp, np.exp, np.exp),
    "sin": (np.sin, np.cos, lambda z: -np.sin(z)),
    "log": (np.log, lambda z: 1 / z, lambda z: -1 / z**2),
    "reciprocal": (lambda z: 1 / z, lambda z: -1 / z**2, lambda z: 2 / z**3),
    "rotation": (lambda z: 1j * z, lambda z: 1j + 0 * z, lambda z: 0 * z),
}
each_holomorphic = pytest.mark.parametrize(
    ("f", "df", "d2f"), HOLOMORPHIC.values(), ids=list(HOLOMORPHIC)
)


# --- real functions of complex arguments -----------------------------------------------------------


@each_real
def test_gradient_is_df_dx_minus_i_df_dy(f):
    got = grad(lambda z: f(np, z))(Z)
    assert got.dtype == np.complex128
    assert np.allclose(got, by_parts(lambda z: f(np, z), Z), rtol=1e-6, atol=1e-7)


@each_real
def test_gradient_is_that_of_jax(jax, f):
    expected = jax.grad(lambda z: f(jax.numpy, z))(Z)
    assert np.allclose(grad(lambda z: f(np, z))(Z), expected, rtol=1e-12)


@each_real
@pytest.mark.parametrize("t", [np.ones(3) + 0j, 1j * np.ones(3), W])
def test_tangent_is_the_real_part_of_gradient_times_direction(f, t):
    def loss(z):
        return f(np, z)

    expected = np.real(np.sum(grad(loss)(Z) * t))
    for tangent in (jvp(loss, (Z,), (t,))[1], linearize(loss, Z)[1](t)):
        assert tangent.dtype == np.float64
        assert np.isclose(tangent, expected)


@each_real
def test_pullback_scales_the_gradient(f):
    _, pullback = vjp(lambda z: f(np, z), Z)
    assert np.allclose(pullback(-2.0)[0], -2 * grad(lambda z: f(np, z))(Z))


@each_real
def test_per_example_gradients_are_those_of_a_loop(f):
    rows = np.stack([Z, Z + W, 2 * Z])

    def loss(z):
        return f(np, z)

    assert np.allclose(vmap(grad(loss))(rows), [grad(loss)(z) for z in rows])
    total = grad(lambda zs: np.sum(vmap(loss)(zs)))(rows)
    assert np.allclose(total, [grad(loss)(z) for z in rows])


@each_real
def test_jacrev_of_a_real_function_is_its_gradient(f):
    assert np.allclose(jacrev(lambda z: f(np, z))(Z), grad(lambda z: f(np, z))(Z))


@each_real
def test_checkpoint_changes_nothing(f):
    def loss(z):
        return f(np, z)

    assert np.allclose(grad(checkpoint(loss))(Z), grad(loss)(Z))
    assert np.allclose(vmap(grad(checkpoint(loss)))(Z[None]), grad(loss)(Z))


def test_python_complex_number_is_an_argument():
    value, g = value_and_grad(lambda z: np.abs(z) ** 2)(3 + 4j)
    assert np.isclose(value, 25)
    assert np.isclose(g, 2 * (3 - 4j))
    assert isinstance(g, np.complex128)


def test_step_down_is_along_the_conjugate_of_the_gradient():
    def loss(z):
        return np.sum(np.abs(z - W) ** 2)

    z = Z
    for _ in range(100):
        z = z - 0.1 * np.conj(grad(loss)(z))
    assert np.allclose(z, W)


def test_abs_at_zero_has_gradient_zero():
    assert grad(lambda z: np.sum(np.abs(z)))(np.zeros(2, complex)).tolist() == [0, 0]
    assert jvp(np.abs, (0j,), (1 + 1j,))[1] == 0


# --- dtypes ----------------------------------------------------------------------------------------


def test_complex64_stays_complex64():
    z = Z.astype(np.complex64)
    assert grad(lambda z: np.sum(np.abs(z * 2.0) ** 2))(z).dtype == np.complex64
    out, tangent = jvp(lambda z: np.sin(z) * 1j, (z,), (z,))
    assert out.dtype == tangent.dtype == np.complex64
    _, tangent = jvp(np.abs, (z,), (z,))
    assert tangent.dtype == np.float32
    assert vmap(grad(np.abs))(z).dtype == np.complex64
    assert jacrev(lambda z: z**2, holomorphic=True)(z).dtype == np.complex64


def test_real_argument_of_a_complex_computation_has_a_real_gradient():
    def loss(x):
        return np.sum(np.abs(np.exp(1j * x) * x + 1) ** 2)

    got = grad(loss)(X)
    assert got.dtype == np.float64
    # |x e^(ix) + 1|**2 = x**2 + 2 x cos x + 1.
    assert np.allclose(got, 2 * X + 2 * np.cos(X) - 2 * X * np.sin(X))
    assert grad(loss)(X.astype(np.float32)).dtype == np.float32


def test_real_and_complex_arguments_side_by_side():
    gx, gz = grad(lambda x, z: np.real(np.sum(x * z**2)), (0, 1))(X, Z)
    assert gx.dtype == np.float64
    assert np.allclose(gx, np.real(Z**2))
    assert np.allclose(gz, 2 * X * Z)


def test_real_cotangent_of_a_complex_output_and_the_other_way_round():
    _, pullback = vjp(lambda z: z**2, Z)
    assert np.allclose(pullback(np.ones(3))[0], 2 * Z)
    assert np.allclose(pullback(1j * np.ones(3))[0], 2j * Z)
    _, pullback = vjp(np.abs, Z)
    with pytest.raises(ShapeError, match="real"):
        pullback(1j * np.ones(3))


def test_real_tangent_of_a_complex_argument():
    assert np.allclose(jvp(lambda z: z**2, (Z,), (np.ones(3),))[1], 2 * Z)


def test_casts_between_real_and_complex():
    assert np.allclose(grad(lambda x: np.sum(np.abs(x.astype(complex)) ** 2))(X), 2 * X)
    z = (X + 0j) * np.exp(0.3j)
    got = grad(lambda x, z: np.real(np.vdot(x, z)), 0)(X, z)
    assert np.allclose(got, np.real(z))
    assert got.dtype == np.float64


# --- holomorphic functions -------------------------------------------------------------------------


@each_holomorphic
def test_complex_derivative_in_both_modes(f, df, d2f):
    for z in (1 + 2j, 0.7 - 0.3j):
        assert np.isclose(grad(f, holomorphic=True)(z), df(z))
        assert np.isclose(jvp(f, (z,), (1 + 0j,))[1], df(z))
        assert np.isclose(jvp(f, (z,), (2 - 1j,))[1], df(z) * (2 - 1j))
        assert np.isclose(linearize(f, z)[1](1j), 1j * df(z))
        assert np.isclose(vjp(f, z)[1](2 - 1j)[0], df(z) * (2 - 1j))


@each_holomorphic
def test_complex_second_derivative_in_every_order_of_modes(f, df, d2f):
    z = 1 + 2j
    reverse = grad(f, holomorphic=True)
    forward = lambda z: jvp(f, (z,), (1 + 0j,))[1]  # noqa: E731
    for inner in (reverse, forward):
        assert np.isclose(grad(inner, holomorphic=True)(z), d2f(z))
        assert np.isclose(jvp(inner, (z,), (1 + 0j,))[1], d2f(z))
        assert np.isclose(linearize(inner, z)[1](1 + 0j), d2f(z))
        assert np.allclose(vmap(grad(inner, holomorphic=True))(Z), d2f(Z))


@each_holomorphic
def test_jacobians_of_holomorphic_functions(f, df, d2f):
    for jac in (jacrev, jacfwd):
        assert np.allclose(jac(f, holomorphic=True)(Z), np.diag(df(Z)))
        assert np.allclose(
            jac(lambda z: np.sum(f(z)) * z, holomorphic=True)(Z),
            np.outer(Z, df(Z)) + np.sum(f(Z)) * np.eye(3),
        )


@each_holomorphic
def test_hessian_of_a_holomorphic_function(f, df, d2f):
    for outer in (jacrev, jacfwd):
        inner = grad(lambda z: np.sum(f(z)), holomorphic=True)
        assert np.allclose(outer(inner, holomorphic=True)(Z), np.diag(d2f(Z)))
    assert np.allclose(hessian(lambda z: np.sum(f(z)), holomorphic=True)(Z), np.diag(d2f(Z)))


@each_holomorphic
def test_custom_rules_and_checkpoint_of_holomorphic_functions(f, df, d2f):
    told = custom_vjp(f)
    told.defvjp(lambda z: (f(z), z), lambda z, ct: (ct * df(z),))
    pushed = custom_jvp(f)
    pushed.defjvp(lambda p, t: (f(p[0]), df(p[0]) * t[0]))
    z = 1 + 2j
    for g in (told, pushed, checkpoint(f)):
        assert np.isclose(grad(g, holomorphic=True)(z), df(z))
        assert np.isclose(jvp(g, (z,), (1j,))[1], 1j * df(z))
        assert np.isclose(grad(grad(g, holomorphic=True), holomorphic=True)(z), d2f(z))
        assert np.allclose(vmap(grad(g, holomorphic=True))(Z), df(Z))


def test_order_five_of_the_complex_exponential():
    f = np.exp
    for k in range(5):
        d = grad(f, holomorphic=True) if k % 2 else lambda z, f=f: jvp(f, (z,), (1 + 0j,))[1]
        f = d
    assert np.isclose(f(0.3 + 1j), np.exp(0.3 + 1j))


def test_stop_gradient_of_a_complex_value():
    assert grad(lambda z: np.real(z * stop_gradient(np.conj(z))))(1 + 2j) == 1 - 2j


# --- second order of real functions ----------------------------------------------------------------


def test_forward_over_reverse_agrees_with_differences():
    def loss(z):
        return np.sum(np.abs(z) ** 4) + np.real(z[0] * z[1] ** 2)

    h = 1e-6
    _, got = jvp(grad(loss), (Z,), (W,))
    expected = (grad(loss)(Z + h * W) - grad(loss)(Z - h * W)) / (2 * h)
    assert np.allclose(got, expected, rtol=1e-6)
    assert np.allclose(hvp(loss, (Z,), (W,)), got)


def test_reverse_over_forward_agrees_with_forward_over_reverse():
    def loss(z):
        return np.sum(np.abs(z) ** 4) + np.real(z[0] * z[1] ** 2)

    got = grad(lambda z: jvp(loss, (z,), (W,))[1])(Z)
    assert np.allclose(got, hvp(loss, (Z,), (W,)))


def test_gradient_of_the_norm_of_a_complex_gradient():
    # f = |z|**2 has gradient 2 conj(z), of norm squared 4 |z|**2.
    got = grad(lambda z: np.abs(grad(lambda z: np.abs(z) ** 2)(z)) ** 2)(1 + 2j)
    assert np.isclose(got, 8 * (1 - 2j))


# --- custom rules of real functions ----------------------------------------------------------------


def test_custom_rules_follow_the_convention():
    def energy(z):
        return np.real(z * np.conj(z))

    told = custom_vjp(energy)
    told.defvjp(lambda z: (energy(z), z), lambda z, ct: (2 * ct * np.conj(z),))
    pushed = custom_jvp(energy)
    pushed.defjvp(lambda p, t: (energy(p[0]), 2 * np.real(np.conj(p[0]) * t[0])))
    for f in (energy, told, pushed):
        assert np.isclose(grad(f)(1 + 2j), 2 - 4j)
        assert np.isclose(jvp(f, (1 + 2j,), (1j,))[1], 4)
        assert np.isclose(linearize(f, 1 + 2j)[1](1 + 1j), 6)
        assert np.allclose(vmap(grad(f))(Z), 2 * np.conj(Z))
        assert np.allclose(jacrev(f)(Z), np.diag(2 * np.conj(Z)))


# --- what does not fit -----------------------------------------------------------------------------


def test_complex_loss_points_to_holomorphic():
    for x in (1 + 2j, 2.0):
        with pytest.raises(NonScalarOutputError, match="holomorphic=True"):
            grad(lambda x: x * 1j)(x)


@pytest.mark.parametrize("transform", [grad, value_and_grad, jacrev, jacfwd])
def test_holomorphic_needs_a_complex_argument_and_a_complex_result(transform):
    with pytest.raises(NonDifferentiableError, match="complex"):
        transform(lambda x: x * 1j, holomorphic=True)(2.0)
    with pytest.raises(FuncgradError, match="complex"):
        transform(np.abs, holomorphic=True)(1 + 2j)


# --- against JAX -----------------------------------------------------------------------------------

PROGRAMS = {
    "complex to complex": lambda np_, x, z: np_.exp(1j * x) * z**2 + np_.conj(z),
    "complex to real": lambda np_, x, z: np_.abs(z) * x + np_.imag(z * x),
    "real to complex": lambda np_, x, z: x * (1 + 2j) + x**2 * 1j,
    "to pairs": lambda np_, x, z: (np_.real(z) * x, z @ np_.outer(x, z)),
}
each_program = pytest.mark.parametrize("f", PROGRAMS.values(), ids=PROGRAMS)


def assert_close(got, expected):
    for a, b in zip(as_tuple(got), as_tuple(expected), strict=True):
        assert np.shape(a) == np.shape(b)
        assert np.allclose(a, b, rtol=1e-12)


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


@each_program
def test_jvp_and_linearize_are_those_of_jax(jax, f):
    primals, tangents = (X, Z), (X[::-1].copy(), W)
    expected = jax.jvp(lambda x, z: f(jax.numpy, x, z), primals, tangents)
    out, tangent = jvp(lambda x, z: f(np, x, z), primals, tangents)
    assert_close(out, expected[0])
    assert_close(tangent, expected[1])
    assert_close(linearize(lambda x, z: f(np, x, z), *primals)[1](*tangents), expected[1])


@each_program
def test_vjp_is_that_of_jax(jax, f):
    out, pullback = vjp(lambda x, z: f(np, x, z), X, Z)
    _, theirs = jax.vjp(lambda x, z: f(jax.numpy, x, z), X, Z)
    cts = tuple(
        (W * (1 + k) if np.iscomplexobj(y) else X * (1 + k)) for k, y in enumerate(as_tuple(out))
    )
    ct = cts if isinstance(out, tuple) else cts[0]
    got, expected = pullback(ct), theirs(ct)
    assert_close(got, expected)
    for g, e in zip(got, expected, strict=True):
        assert g.dtype == e.dtype


@each_program
def test_vmap_is_that_of_jax(jax, f):
    x, z = np.stack([X, 2 * X]), np.stack([Z, W])
    assert_close(
        vmap(lambda x, z: f(np, x, z))(x, z), jax.vmap(lambda x, z: f(jax.numpy, x, z))(x, z)
    )


def test_hessian_vector_products_are_those_of_jax(jax):
    def loss(np_, z):
        return np_.sum(np_.abs(z) ** 4) + np_.real(z[0] * np_.exp(z[1]))

    _, expected = jax.jvp(jax.grad(lambda z: loss(jax.numpy, z)), (Z,), (W,))
    assert np.allclose(hvp(lambda z: loss(np, z), (Z,), (W,)), expected)
