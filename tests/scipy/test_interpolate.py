"""`funcgrad.scipy.interpolate`: values of SciPy, derivatives by central differences."""

import numpy as np
import pytest

from funcgrad import grad, jacrev, jvp, vjp, vmap
from funcgrad.errors import UnsupportedError
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.interpolate")

from funcgrad.scipy import interpolate  # noqa: E402  # needs SciPy
from tests.scipy.claims import check_mirror, signatures_differ  # noqa: E402

X = np.array([0.0, 0.7, 1.1, 2.0, 2.6, 3.1])
Y = np.array([0.3, 1.2, -0.4, 0.9, 1.4, 1.6])
TABLE = np.stack([Y, Y**2 - X], 1)
AT = np.array([[-0.3, 0.33, 0.71], [1.9, 3.0, 3.4]])

SPLINES = {
    "not-a-knot": ("CubicSpline", {}),
    "natural": ("CubicSpline", {"bc_type": "natural"}),
    "clamped": ("CubicSpline", {"bc_type": "clamped"}),
    "mixed": ("CubicSpline", {"bc_type": ("not-a-knot", (2, [0.3, -1.0]))}),
    "slopes": ("CubicSpline", {"bc_type": ((1, [0.3, 0.1]), "natural")}),
    "inside": ("CubicSpline", {"extrapolate": False}),
    "pchip": ("PchipInterpolator", {}),
    "one axis": ("PchipInterpolator", {"axis": 1}),
    "other axis": ("CubicSpline", {"axis": 1}),
}


def evaluate(module, name, options):
    def call(x, y, at):
        y = y.T if options.get("axis") else y
        return getattr(module, name)(x, y, **options)(at)

    return call


@pytest.mark.parametrize(("name", "options"), SPLINES.values(), ids=SPLINES)
def test_splines_by_places_values_and_points(name, options):
    at = AT[:, 1:2] if "extrapolate" in options else AT
    check_mirror(
        evaluate(interpolate, name, options), evaluate(reference, name, options), (X, TABLE, at)
    )


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("bc", ["not-a-knot", "natural", "clamped"])
def test_few_points(n, bc):
    calls = [evaluate(m, "CubicSpline", {"bc_type": bc}) for m in (interpolate, reference)]
    check_mirror(*calls, (X[:n], Y[:n], AT))
    calls = [evaluate(m, "PchipInterpolator", {}) for m in (interpolate, reference)]
    check_mirror(*calls, (X[:n], Y[:n], AT))


@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_periodic_splines(n):
    def call(module, x, y, at):
        closed = np.concatenate([y[:-1], y[:1]])
        return module.CubicSpline(x, closed, bc_type="periodic")(at)

    calls = [lambda *args, m=m: call(m, *args) for m in (interpolate, reference)]
    check_mirror(*calls, (X[:n], Y[:n], AT + 0.05))


def test_values_and_slopes():
    def call(module):
        return lambda x, y, s, at: module.CubicHermiteSpline(x, y, s)(at)

    check_mirror(call(interpolate), call(reference), (X, TABLE, TABLE[::-1], AT))


def test_derivatives_and_integrals_of_splines():
    def call(module):
        def parts(x, y):
            spline = module.CubicSpline(x, y)
            slope, area = spline.derivative(), spline.antiderivative(2)
            return [spline(AT, 1), spline(AT, 2), slope(AT), area(AT), spline.integrate(0.2, 2.9)]

        return parts

    check_mirror(call(interpolate), call(reference), (X, TABLE))


def test_a_spline_of_plain_data_is_scipys_and_takes_traced_points():
    spline = interpolate.CubicSpline(X, Y)
    assert isinstance(spline, reference.CubicSpline)
    np.testing.assert_array_equal(spline(AT), reference.CubicSpline(X, Y)(AT))
    assert np.isclose(grad(spline)(0.5), spline(0.5, 1), rtol=1e-13)
    assert np.isclose(grad(grad(spline))(0.5), spline(0.5, 2), rtol=1e-13)
    assert np.isclose(grad(spline.derivative())(0.5), spline(0.5, 2), rtol=1e-13)
    assert np.isclose(grad(lambda b: spline.integrate(0.0, b))(0.5), spline(0.5), rtol=1e-13)
    np.testing.assert_allclose(vmap(grad(spline))(AT[1]), spline(AT[1], 1), rtol=1e-12)


def test_a_spline_is_linear_in_its_values():
    matrix = jacrev(lambda y: interpolate.CubicSpline(X, y)(AT[1]))(Y)
    np.testing.assert_allclose(matrix @ (3 * Y), 3 * reference.CubicSpline(X, Y)(AT[1]), rtol=1e-12)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-12)


def test_piecewise_polynomials():
    c = np.stack([TABLE[:5], TABLE[1:], TABLE[:5] ** 2])

    def call(module):
        return lambda c, x: module.PPoly(c, x)(AT)

    check_mirror(call(interpolate), call(reference), (c, X))
    plain = interpolate.PPoly(c, X)
    np.testing.assert_allclose(jvp(plain, (AT,), (AT,))[0], plain(AT), rtol=1e-12)


KINDS = ["linear", "cubic", "nearest", "nearest-up", "previous", "next", "zero"]


@pytest.mark.parametrize("kind", KINDS)
def test_lines(kind):
    at = np.array([0.1, 0.37, 0.71, 1.9, 3.0])

    def call(module, **options):
        return lambda x, y, at: module.interp1d(x, y, kind=kind, axis=0, **options)(at)

    check_mirror(call(interpolate), call(reference), (X[::-1], TABLE, at), close={"rtol": 1e-9})
    outside = {"bounds_error": False, "fill_value": (-7.0, 9.0)}
    check_mirror(
        call(interpolate, **outside),
        call(reference, **outside),
        (X, TABLE, AT),
        close={"rtol": 1e-9},
    )
    over = interpolate.interp1d(X, Y, kind=kind, fill_value="extrapolate")
    np.testing.assert_allclose(jvp(over, (AT,), (AT,))[0], over(AT), rtol=1e-9)


GRID = (X, X[:4] ** 2, np.array([0.0, 1.0]))
VALUES = np.cos(np.arange(6 * 4 * 2 * 2.0)).reshape(6, 4, 2, 2)
POINTS = np.array([[[0.2, 0.1, 0.3], [2.7, 3.3, 0.9]], [[1.1, 1.0, 0.0], [3.1, 4.0, 1.0]]])


@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_grids(method):
    def call(module):
        return lambda a, b, values, at: module.RegularGridInterpolator(
            (a, b, GRID[2]), values, method
        )(at)

    inner = POINTS[:1] + 0.013
    check_mirror(call(interpolate), call(reference), (*GRID[:2], VALUES, inner))
    value, _ = vjp(call(interpolate), *GRID[:2], VALUES, POINTS)
    np.testing.assert_allclose(value, call(reference)(*GRID[:2], VALUES, POINTS), rtol=1e-12)


def test_points_outside_of_a_grid():
    far = POINTS + 0.513
    for fill in (None, -3.0):
        options = {"bounds_error": False, "fill_value": fill}

        def call(module, o=options):
            return lambda values, at: module.interpn(GRID, values, at, **o)

        check_mirror(call(interpolate), call(reference), (VALUES, far))
    plain = interpolate.RegularGridInterpolator(GRID, VALUES)
    np.testing.assert_allclose(jvp(plain, (POINTS,), (POINTS,))[0], plain(POINTS), rtol=1e-12)
    with pytest.raises(ValueError, match="out of bounds in dimension 0"):
        jvp(plain, (far,), (far,))


def test_wrong_data_are_refused():
    def differentiate(call):
        grad(lambda y: np.sum(call(y)))(Y)

    with pytest.raises(ValueError, match="strictly increasing"):
        differentiate(lambda y: interpolate.CubicSpline(X[::-1], y)(1.0))
    with pytest.raises(ValueError, match="at least 2"):
        differentiate(lambda y: interpolate.CubicSpline(X[:4], y)(1.0))
    with pytest.raises(ValueError, match="not allowed"):
        differentiate(lambda y: interpolate.CubicSpline(X, y, bc_type="odd")(1.0))
    with pytest.raises(ValueError, match="identical"):
        differentiate(lambda y: interpolate.CubicSpline(X, y, bc_type="periodic")(1.0))
    with pytest.raises(ValueError, match="outside the interpolation range"):
        differentiate(lambda y: interpolate.interp1d(X, y)(9.0))
    with pytest.raises(UnsupportedError, match="kind='quadratic'"):
        differentiate(lambda y: interpolate.interp1d(X, y, kind="quadratic")(1.0))
    with pytest.raises(UnsupportedError, match="method='cubic'"):
        differentiate(lambda y: interpolate.interpn((X,), y, [1.0], method="cubic"))
    with pytest.raises(UnsupportedError, match="make_interp_spline"):
        differentiate(lambda y: interpolate.make_interp_spline(X, y)(1.0))


def test_the_signatures_are_scipys():
    assert signatures_differ(interpolate, reference) == []
    check_grads(lambda y: interpolate.CubicSpline(X.astype(np.float32), y)(0.5), (Y,))
