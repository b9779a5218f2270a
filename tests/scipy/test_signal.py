"""`funcgrad.scipy.signal`: values of SciPy, derivatives by central differences."""

import numpy as np
import pytest

from funcgrad import FuncgradError, vmap
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.signal")

from funcgrad.scipy import signal  # noqa: E402  # needs SciPy

X, Y = np.cos(np.arange(6.0)), np.sin(1 + np.arange(3.0))
TABLE, KERNEL = np.cos(np.arange(20.0)).reshape(4, 5), np.sin(1 + np.arange(6.0)).reshape(2, 3)
PAIRS = [(X, Y), (Y, X), (X[:5], Y[:2]), (TABLE, KERNEL), (TABLE + 1j * TABLE[::-1], KERNEL * 1j)]


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("name", ["convolve", "correlate", "fftconvolve"])
@pytest.mark.parametrize("pair", PAIRS)
def test_calls(name, pair, mode):
    def call(x, y):
        return getattr(signal, name)(x, y, mode)

    expected = getattr(reference, name)(*pair, mode)
    np.testing.assert_allclose(call(*pair), expected, rtol=1e-12, atol=1e-13)
    check_grads(call, pair, order=2)
    batch = [np.stack([x, x * 1.01]) for x in pair]
    looped = np.stack([call(*row) for row in zip(*batch, strict=True)])
    np.testing.assert_allclose(vmap(call)(*batch), looped, rtol=1e-12, atol=1e-13)


def test_the_method_changes_nothing():
    direct, fft = [signal.convolve(TABLE, KERNEL, "same", method) for method in ("direct", "fft")]
    np.testing.assert_allclose(direct, fft, atol=1e-14)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="mode"):
        signal.convolve(X, Y, "other")
    with pytest.raises(ValueError, match="dimensionality"):
        signal.convolve(X, KERNEL)
    with pytest.raises(ValueError, match="at least as large"):
        signal.convolve(TABLE, TABLE[:2].T @ KERNEL @ np.ones((3, 2)), "valid")
    with pytest.raises(FuncgradError, match="axes"):
        signal.fftconvolve(TABLE, KERNEL, axes=0)
