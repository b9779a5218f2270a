"""Special points of `np.fft`; the general checks are in `test_rules.py`."""

import numpy as np
import pytest

from funcgrad import FuncgradError, grad, vjp


def test_the_energy_of_a_spectrum_is_that_of_the_signal():
    x = np.array([0.3, -1.2, 0.5, 2.0, 0.1])
    energy = grad(lambda x: np.sum(np.abs(np.fft.fft(x, norm="ortho")) ** 2))
    np.testing.assert_allclose(energy(x), 2 * x, rtol=1e-14)


@pytest.mark.parametrize("n", [4, 5])
def test_the_half_spectrum_pulls_back_as_the_full_one_does(n):
    x = np.cos(np.arange(n) + 0.3)
    k = np.arange(n // 2 + 1)
    half = grad(lambda x: np.sum(k * np.abs(np.fft.rfft(x)) ** 2))
    full = grad(lambda x: np.sum(k * np.abs(np.fft.fft(x)[: n // 2 + 1]) ** 2))
    np.testing.assert_allclose(half(x), full(x), rtol=1e-13)


def test_what_the_inverse_real_transform_ignores_has_gradient_zero():
    z = np.array([1 + 2j, 3 - 1j, 0.5 + 4j])  # the first and, for n = 4, the last are taken as real
    weights = np.array([1.0, -2.0, 0.5, 3.0])
    gradient = grad(lambda z: weights @ np.fft.irfft(z))(z)
    np.testing.assert_array_equal(gradient[[0, 2]].imag, 0)


def test_the_transforms_are_each_others_inverses():
    x = np.arange(24.0).reshape(2, 3, 4) % 5
    _, pull = vjp(lambda x: np.fft.irfftn(np.fft.rfftn(x)), x)
    np.testing.assert_allclose(pull(x)[0], x, atol=1e-14)


def test_half_precision_keeps_to_numpys_dtypes():
    x = np.ones(4, np.float16)
    expected = np.fft.rfft(x)
    out, pull = vjp(np.fft.rfft, x)
    assert out.dtype == expected.dtype
    assert pull(out)[0].dtype == np.float16


def test_frequencies_are_plain():
    np.testing.assert_array_equal(np.fft.fftfreq(4), [0, 0.25, -0.5, -0.25])


@pytest.mark.parametrize("fun", [np.fft.fft, np.fft.irfft, np.fft.rfft2, np.fft.ihfft])
def test_an_output_array_is_refused(fun):
    x = np.ones((3, 4))
    out = np.zeros_like(fun(x))
    with pytest.raises(FuncgradError, match="out="):
        grad(lambda x: np.sum(np.abs(fun(x, out=out))))(x)


def test_wrong_settings_raise_what_numpy_raises():
    x = np.ones(4)
    with pytest.raises(ValueError, match="norm"):
        vjp(lambda x: np.fft.fft(x, norm="other"), x)
    with pytest.raises(ValueError, match="norm"):
        vjp(lambda x: np.fft.hfft(x, norm="other"), x)
    with pytest.raises(ValueError, match="data points"):
        vjp(lambda x: np.fft.rfft(x, n=0), x)
    with pytest.raises(np.exceptions.AxisError):
        vjp(lambda x: np.fft.fft(x, axis=1), x)
    with pytest.raises(ValueError, match="different lengths"):
        vjp(lambda x: np.fft.fft2(x, s=(2,), axes=(0, 1)), np.ones((3, 3)))
