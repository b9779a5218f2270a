"""`funcgrad.scipy.ndimage`: values of SciPy, derivatives by central differences."""

import numpy as np
import pytest

from funcgrad import grad, vjp, vmap
from funcgrad.errors import UnsupportedError
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.ndimage")

from funcgrad.scipy import ndimage  # noqa: E402  # needs SciPy
from tests.scipy.claims import check_mirror, signatures_differ  # noqa: E402

IMAGE = np.cos(np.arange(30.0) ** 1.3).reshape(5, 6)
LINE = np.cos(np.arange(8.0) ** 1.3)
WEIGHTS = np.sin(1 + np.arange(6.0)).reshape(2, 3)
MODES = ["reflect", "mirror", "nearest", "wrap", "constant", "grid-mirror", "grid-wrap"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["correlate", "convolve"])
def test_correlations(name, mode):
    fun, original = getattr(ndimage, name), getattr(reference, name)
    options = {"mode": mode, "cval": 1.5}
    check_mirror(fun, original, (IMAGE, WEIGHTS), options)
    check_mirror(fun, original, (IMAGE, WEIGHTS[:, :2]), {**options, "origin": (-1, 0)}, order=1)
    one, one_original = getattr(ndimage, name + "1d"), getattr(reference, name + "1d")
    check_mirror(one, one_original, (IMAGE, WEIGHTS[0], 0), options)
    check_mirror(one, one_original, (LINE, WEIGHTS[1, :2]), {"origin": -1, **options}, order=1)


def test_correlations_along_some_axes():
    cube = np.stack([IMAGE, IMAGE**2, -IMAGE])
    for axes in ((0, 2), (2, 0)):
        check_mirror(ndimage.correlate, reference.correlate, (cube, WEIGHTS), {"axes": axes})


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_blurs(order):
    args = (IMAGE, np.float64(0.8))
    check_mirror(
        ndimage.gaussian_filter1d, reference.gaussian_filter1d, args, {"order": order, "radius": 3}
    )
    options = {"order": order, "mode": ["nearest", "mirror"]}
    check_mirror(ndimage.gaussian_filter, reference.gaussian_filter, (IMAGE, (0.8, 1.1)), options)


def test_the_width_of_a_blur_has_a_derivative():
    check_grads(lambda s: ndimage.gaussian_filter(IMAGE, s), (np.float64(0.83),), order=2)
    with pytest.raises(UnsupportedError, match="radius"):
        vmap(lambda s: ndimage.gaussian_filter1d(LINE, s))(np.array([0.5, 1.0]))


def test_means_and_differences():
    check_mirror(ndimage.uniform_filter, reference.uniform_filter, (IMAGE,), {"size": (2, 3)})
    check_mirror(ndimage.uniform_filter1d, reference.uniform_filter1d, (IMAGE, 4, 0))
    for name in ("sobel", "prewitt", "laplace"):
        options = {"mode": "constant", "cval": 0.7}
        check_mirror(getattr(ndimage, name), getattr(reference, name), (IMAGE,), options)


# Places inside and outside, away from where the slope jumps.
PLACES = np.array([[0.3, 1.7, 3.9, -0.7, 4.6, 7.3, -6.2], [0.2, 4.3, 2.1, 1.3, 5.7, -3.4, 0.9]])


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(
    "mode",
    ["constant", "grid-constant", "nearest", "mirror", "reflect", "grid-mirror", "grid-wrap"],
)
def test_images_between_pixels(mode, order):
    options = {"order": order, "mode": mode, "cval": 0.4}
    args = (IMAGE, PLACES)
    check_mirror(ndimage.map_coordinates, reference.map_coordinates, args, options)


@pytest.mark.parametrize("order", [0, 1])
def test_images_are_moved(order):
    options = {"order": order, "mode": "nearest"}
    check_mirror(ndimage.shift, reference.shift, (IMAGE, np.array([0.3, -1.2])), options)
    check_mirror(ndimage.shift, reference.shift, (IMAGE, np.float64(0.7)), options)
    matrix, offset = np.array([[0.9, 0.21], [-0.17, 1.1]]), np.array([0.13, 0.43])
    args = (IMAGE, matrix, offset)
    check_mirror(ndimage.affine_transform, reference.affine_transform, args, options)
    whole = np.concatenate([matrix, offset[:, None]], 1)
    options = {"output_shape": (3, 4), **options}
    check_mirror(ndimage.affine_transform, reference.affine_transform, (IMAGE, whole), options)
    args = (IMAGE, np.array([0.53, 1.21]), np.float64(0.11))
    check_mirror(ndimage.affine_transform, reference.affine_transform, args, options)


def test_single_precision_stays():
    image = IMAGE.astype(np.float32)
    calls = [
        lambda x: ndimage.gaussian_filter(x, 1.0),
        lambda x: ndimage.correlate(x, WEIGHTS),
        lambda x: ndimage.map_coordinates(x, PLACES, order=1),
    ]
    for call in calls:
        value, pullback = vjp(call, image)
        np.testing.assert_allclose(value, call(IMAGE), atol=1e-6)
        assert value.dtype == np.float32
        assert pullback(value)[0].dtype == np.float32


REFUSED = {
    "order": (lambda x: ndimage.map_coordinates(x, PLACES), "order=3"),
    "wrap": (lambda x: ndimage.map_coordinates(x, PLACES, order=1, mode="wrap"), "mode='wrap'"),
    "output": (lambda x: ndimage.sobel(x, output=np.float32), "output"),
    "complex": (lambda x: ndimage.sobel(x * 1j), "complex128"),
    "weights": (lambda x: ndimage.correlate(x, WEIGHTS * 1j), "complex weights"),
    "name": (lambda x: ndimage.median_filter(x, 3), "median_filter"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_options_are_named(call, message):
    with pytest.raises(UnsupportedError, match=message):
        grad(lambda x: np.sum(call(x)))(IMAGE)


def test_wrong_arguments_are_refused_as_scipy_does():
    calls = [
        lambda x: ndimage.correlate(x, WEIGHTS[0]),
        lambda x: ndimage.sobel(x, mode="odd"),
        lambda x: ndimage.map_coordinates(x, PLACES[:1], order=1),
        lambda x: ndimage.map_coordinates(x, PLACES, order=1, mode="odd"),
        lambda x: ndimage.gaussian_filter(x, (1, 2, 3)),
    ]
    for call in calls:
        with pytest.raises(RuntimeError):
            grad(lambda x, call=call: np.sum(call(x)))(IMAGE)
    with pytest.raises(ValueError, match="origin"):
        grad(lambda x: np.sum(ndimage.correlate(x, WEIGHTS, origin=4)))(IMAGE)


def test_the_names_and_signatures_are_scipys():
    assert signatures_differ(ndimage, reference) == []
    assert ndimage.label(np.array([1, 0, 1]))[1] == 2
