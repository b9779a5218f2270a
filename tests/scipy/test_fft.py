"""`funcgrad.scipy.fft`: values of SciPy, derivatives by central differences."""

import pickle

import numpy as np
import pytest

from funcgrad import grad, vjp
from funcgrad.errors import UnsupportedError

reference = pytest.importorskip("scipy.fft")

from funcgrad.scipy import fft  # noqa: E402  # needs SciPy
from tests.scipy.claims import check_mirror, signatures_differ  # noqa: E402

REAL = np.cos(np.arange(20.0) ** 2).reshape(4, 5)
COMPLEX = REAL + 1j * REAL[::-1]
NORMS = [None, "ortho", "forward"]


@pytest.mark.parametrize(
    "name", ["fft", "ifft", "irfft", "hfft", "fftn", "ifft2", "irfftn", "fft2"]
)
def test_fourier_transforms(name):
    check_mirror(getattr(fft, name), getattr(reference, name), (COMPLEX,), {"norm": "ortho"})


@pytest.mark.parametrize(
    "name", ["rfft", "ihfft", "rfft2", "rfftn", "fftn", "fftshift", "ifftshift"]
)
def test_fourier_transforms_of_real_arrays(name):
    check_mirror(getattr(fft, name), getattr(reference, name), (REAL,))


def test_lengths_and_axes():
    check_mirror(fft.rfft, reference.rfft, (REAL,), {"n": 6, "axis": 0})
    check_mirror(fft.fftn, reference.fftn, (REAL,), {"s": (3, 7)})
    check_mirror(fft.irfft2, reference.irfft2, (COMPLEX,), {"s": (3, 7), "axes": (1, 0)})


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["dct", "idct", "dst", "idst", "dctn", "idstn"])
def test_cosine_and_sine_transforms(name, norm, kind):
    for orthogonalize in (None, norm is None):
        options = {"type": kind, "norm": norm, "orthogonalize": orthogonalize}
        check_mirror(getattr(fft, name), getattr(reference, name), (REAL,), options, order=1)


def test_cosine_and_sine_transforms_have_lengths_and_axes():
    check_mirror(fft.dct, reference.dct, (REAL,), {"n": 3, "axis": 0})
    check_mirror(fft.idst, reference.idst, (COMPLEX,), {"n": 9})
    check_mirror(fft.dctn, reference.dctn, (REAL,), {"s": (3, 7), "axes": (1, 0)})
    check_mirror(fft.idctn, reference.idctn, (REAL,), {"s": 3})


def test_single_precision_stays():
    for name in ("fft", "rfft", "dct", "idst"):
        value, pullback = vjp(getattr(fft, name), REAL.astype(np.float32))
        assert value.real.dtype == np.float32
        assert pullback(value)[0].dtype == np.float32


def test_the_names_and_signatures_are_scipys():
    assert signatures_differ(fft, reference) == []
    assert fft.next_fast_len(7) == reference.next_fast_len(7)
    assert pickle.loads(pickle.dumps(fft.dct)) is fft.dct


def test_what_has_no_rule_is_refused_by_name():
    with pytest.raises(UnsupportedError, match=r"scipy.fft.*hfft2"):
        grad(lambda x: np.sum(fft.hfft2(x)))(REAL)
    with pytest.raises(ValueError, match="Invalid type"):
        grad(lambda x: np.sum(fft.dct(x, 5)))(REAL)
    with pytest.raises(ValueError, match="Invalid norm"):
        grad(lambda x: np.sum(fft.dst(x, norm="unit")))(REAL)
