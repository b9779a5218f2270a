"""`funcgrad.scipy.signal`: values of SciPy, derivatives by central differences."""

import numpy as np
import pytest

from funcgrad import grad, vjp
from funcgrad.errors import UnsupportedError
from funcgrad.testing import check_grads

reference = pytest.importorskip("scipy.signal")

from funcgrad.scipy import signal  # noqa: E402  # needs SciPy
from funcgrad.scipy.signal import convolution  # noqa: E402
from tests.scipy.claims import check_mirror, signatures_differ  # noqa: E402

X, Y = np.cos(np.arange(6.0)), np.sin(1 + np.arange(3.0))
TABLE, KERNEL = np.cos(np.arange(20.0)).reshape(4, 5), np.sin(1 + np.arange(6.0)).reshape(2, 3)
PAIRS = [(X, Y), (Y, X), (X[:5], Y[:2]), (TABLE, KERNEL), (TABLE + 1j * TABLE[::-1], KERNEL * 1j)]
B, A = np.array([0.3, 0.5, -0.2, 0.1]), np.array([1.6, -0.9, 0.4])
WAVE = np.cos(np.arange(17.0) ** 1.5)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("name", ["convolve", "correlate", "fftconvolve"])
@pytest.mark.parametrize("pair", PAIRS)
def test_convolutions(name, pair, mode):
    check_mirror(getattr(signal, name), getattr(reference, name), (*pair, mode))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("axes", [0, 1, (-1,), (1, 0)])
def test_convolutions_along_some_axes(axes, mode):
    other = KERNEL if np.ndim(axes) and len(axes) == 2 else TABLE[:, :3] if axes != 0 else TABLE[:2]
    for x in (TABLE, TABLE * (1 + 1j)):
        check_mirror(signal.fftconvolve, reference.fftconvolve, (x, other, mode, axes))
    check_mirror(signal.oaconvolve, reference.oaconvolve, (TABLE, other, mode, axes))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
def test_convolutions_with_a_boundary(name, boundary, mode):
    options = {"mode": mode, "boundary": boundary}
    for kernel in (KERNEL, TABLE[:3, :2] * 1j):
        args = (TABLE, kernel)
        check_mirror(getattr(signal, name), getattr(reference, name), args, options, order=1)


def test_a_boundary_is_filled_with_a_value():
    options = {"mode": "same", "fillvalue": 2.5}
    check_mirror(signal.convolve2d, reference.convolve2d, (TABLE, KERNEL), options)


def test_the_method_changes_nothing():
    direct, fft = [
        vjp(lambda x, m=m: signal.convolve(x, KERNEL, "same", m), TABLE)[0]
        for m in ("direct", "fft")
    ]
    np.testing.assert_allclose(direct, fft, atol=1e-14)


@pytest.mark.parametrize(("b", "a"), [(B, A), (B, A[:1]), (B[:1], A), (B[:2], A * (1 + 0.2j))])
def test_recursive_filters(b, a):
    check_mirror(signal.lfilter, reference.lfilter, (b, a, WAVE))
    check_mirror(signal.lfilter, reference.lfilter, (b, a, TABLE, 0))


@pytest.mark.parametrize(("b", "a"), [(B, A), (B[:2], A)])
@pytest.mark.parametrize("x", [WAVE, WAVE[:1], TABLE])
def test_recursive_filters_with_a_state(b, a, x):
    zi = np.sin(np.arange(1.0, max(len(b), len(a)))) * np.ones((*x.shape[:-1], 1))
    check_mirror(signal.lfilter, reference.lfilter, (b, a, x, -1, zi))


def test_the_pulse_response_of_a_first_order_filter():
    # y_n = a^n, so dy_n/da = n a^(n - 1)
    pulse, n = np.eye(1, 8)[0], np.arange(8.0)

    def response(a):
        return np.sum(signal.lfilter([1.0], np.stack([1.0, -a]), pulse))

    assert np.isclose(grad(response)(0.7), np.sum(n * 0.7 ** (n - 1)), rtol=1e-14)
    assert np.isclose(grad(grad(response))(0.7), np.sum(n * (n - 1) * 0.7 ** (n - 2)), rtol=1e-14)


def test_the_steady_state():
    check_mirror(signal.lfilter_zi, reference.lfilter_zi, (B, A))
    check_mirror(signal.lfilter_zi, reference.lfilter_zi, (B[:2], A))


@pytest.mark.parametrize("padtype", ["odd", "even", "constant", None])
def test_filters_without_a_shift_of_phase(padtype):
    check_mirror(signal.filtfilt, reference.filtfilt, (B, A, WAVE), {"padtype": padtype})


def test_filters_without_a_shift_of_phase_along_an_axis():
    args = (B[:2], A, np.stack([WAVE, WAVE**2], 1))
    check_mirror(signal.filtfilt, reference.filtfilt, args, {"axis": 0, "padlen": 4})


def test_second_order_sections():
    sos = np.array([[0.3, 0.5, -0.2, 1.0, -0.4, 0.1], [1.0, 0.2, 0.3, 1.0, 0.3, -0.2]])

    def call(middle, x, zi=None):  # SciPy wants each fourth number to be 1
        sections = np.concatenate([middle[:, :3], np.ones((2, 1)), middle[:, 3:]], 1)
        return signal.sosfilt(sections, x, zi=zi)

    middle, zi = np.delete(sos, 3, 1), np.cos(np.arange(4.0)).reshape(2, 2)
    np.testing.assert_allclose(vjp(call, middle, WAVE)[0], reference.sosfilt(sos, WAVE), rtol=1e-12)
    check_grads(call, (middle, WAVE), order=2)
    got, state = vjp(call, middle, WAVE, zi)[0]
    expected = reference.sosfilt(sos, WAVE, zi=zi)
    np.testing.assert_allclose(got, expected[0], rtol=1e-12)
    np.testing.assert_allclose(state, expected[1], rtol=1e-12)
    check_grads(call, (middle, WAVE, zi), order=2)


@pytest.mark.parametrize("options", [{}, {"type": "constant"}, {"bp": [5, 9]}])
def test_trends(options):
    check_mirror(signal.detrend, reference.detrend, (WAVE,), options)
    check_mirror(signal.detrend, reference.detrend, (np.stack([WAVE, WAVE**2], 1), 0), options)


@pytest.mark.parametrize("n", [None, 6, 9, 1])
def test_analytic_signals(n):
    check_mirror(signal.hilbert, reference.hilbert, (X, n))
    check_mirror(signal.hilbert, reference.hilbert, (TABLE, n, 0))


@pytest.mark.parametrize("num", [3, 4, 5, 6, 7, 10, 11])
@pytest.mark.parametrize("n", [5, 6])
def test_resampling(num, n):
    for x in (X[:n], X[:n] * (1 + 1j) ** np.arange(n)):
        check_mirror(signal.resample, reference.resample, (x, num), order=1)
    check_mirror(signal.resample, reference.resample, (TABLE, num), {"axis": 1}, order=1)


def test_single_precision_stays():
    b, a, wave = B.astype(np.float32), A.astype(np.float32), WAVE.astype(np.float32)
    calls = [
        lambda x: signal.lfilter(b, a, x),
        lambda x: signal.convolve(x, b),
        lambda x: signal.fftconvolve(x, b, axes=0),
        signal.detrend,
    ]
    for call in calls:
        value, pullback = vjp(call, wave)
        assert value.dtype == np.float32
        assert pullback(value)[0].dtype == np.float32


def test_the_names_and_signatures_are_scipys():
    assert signatures_differ(signal, reference) == []
    np.testing.assert_array_equal(signal.firwin(3, 0.5), reference.firwin(3, 0.5))


def test_wrong_arguments_are_refused():
    def differentiate(fun, x=X):
        grad(lambda x: np.sum(fun(x)))(x)

    with pytest.raises(ValueError, match="mode"):
        differentiate(lambda x: signal.convolve(x, Y, "other"))
    with pytest.raises(ValueError, match="dimensionality"):
        differentiate(lambda x: signal.convolve(x, KERNEL))
    with pytest.raises(ValueError, match="at least as large"):
        differentiate(lambda x: signal.convolve(x, np.ones((5, 2)), "valid"), TABLE)
    with pytest.raises(ValueError, match="boundary"):
        differentiate(lambda x: signal.convolve2d(x, KERNEL, boundary="odd"), TABLE)
    with pytest.raises(ValueError, match="length of zi"):
        differentiate(lambda x: signal.lfilter(B, A, x, zi=[1.0])[0])
    with pytest.raises(UnsupportedError, match=r"scipy\.signal\..*spectrogram"):
        differentiate(lambda x: signal.spectrogram(x)[2])
    with pytest.raises(UnsupportedError, match="window='hann'"):
        differentiate(lambda x: signal.resample(x, 4, window="hann"))
    with pytest.raises(UnsupportedError, match="method='gust'"):
        differentiate(lambda x: signal.filtfilt(B, A, x, method="gust"))


# --- spectra -------------------------------------------------------------------------------------

SIGNALS = np.random.default_rng(0).normal(size=(2, 2, 23))
SEGMENTS = [
    {},
    {"nperseg": 7, "noverlap": 3, "nfft": 12, "fs": 2.5},
    {"nperseg": 8, "detrend": False, "return_onesided": False},
    {"window": ("kaiser", 4.0), "nperseg": 9, "detrend": "linear"},
    {"window": np.hanning(8)},
]


@pytest.mark.filterwarnings("ignore:nperseg:UserWarning")
@pytest.mark.filterwarnings("ignore:Input data is complex:UserWarning")
@pytest.mark.parametrize(
    "options", [*SEGMENTS, {"nperseg": 8, "average": "median", "scaling": "spectrum"}]
)
def test_spectral_densities(options):
    x, y = SIGNALS
    check_mirror(signal.welch, reference.welch, (x,), options)
    check_mirror(signal.csd, reference.csd, (x, y[:, :20]), options)
    check_mirror(signal.welch, reference.welch, (x.T,), {**options, "axis": 0}, order=1)
    check_mirror(signal.welch, reference.welch, (x + 1j * y,), options, order=1)


@pytest.mark.parametrize(
    "options", [{}, {"nfft": 16}, {"nfft": 30, "window": "hann"}, {"window": None}]
)
def test_periodograms(options):
    check_mirror(signal.periodogram, reference.periodogram, (SIGNALS[0],), options)


@pytest.mark.filterwarnings("ignore:nperseg:UserWarning")
@pytest.mark.filterwarnings("ignore:Input data is complex:UserWarning")
@pytest.mark.parametrize(
    "options",
    [
        *SEGMENTS[:-1],
        {"nperseg": 8, "window": np.hanning(8)},
        {"nperseg": 8, "boundary": None, "padded": False},
        *[{"nperseg": 8, "boundary": b, "scaling": "psd"} for b in ("even", "odd", "constant")],
    ],
)
def test_short_time_fourier_transforms(options):
    x, y = SIGNALS
    check_mirror(signal.stft, reference.stft, (x,), options)
    check_mirror(signal.stft, reference.stft, (x.T,), {**options, "axis": 0}, order=1)
    check_mirror(signal.stft, reference.stft, (x[0] + 1j * y[0],), options, order=1)


@pytest.mark.filterwarnings("ignore:NOLA:UserWarning")
@pytest.mark.parametrize(
    ("nperseg", "options"),
    [
        (8, {}),
        (8, {"boundary": False, "fs": 2.0}),
        (8, {"noverlap": 6, "scaling": "psd"}),
        (7, {"nperseg": 7}),
        (8, {"time_axis": 0, "freq_axis": 2}),
    ],
)
def test_inverses_of_short_time_fourier_transforms(nperseg, options):
    transform = reference.stft(SIGNALS[0], nperseg=nperseg)[-1]
    transform = (
        np.moveaxis(transform, 2, 0).swapaxes(1, 2).copy() if "time_axis" in options else transform
    )
    check_mirror(signal.istft, reference.istft, (transform,), options, order=1)


def test_a_signal_is_what_its_transform_came_from():
    _, back = signal.istft(vjp(lambda x: signal.stft(x, nperseg=8)[-1], SIGNALS[0])[0])
    np.testing.assert_allclose(back[:, :23], SIGNALS[0], atol=1e-14)


# --- large arrays and small ones -------------------------------------------------------------------


def test_the_derivative_by_a_kernel_takes_no_more_products_than_the_convolution(monkeypatch, rng):
    image, kernel = rng.normal(size=(40, 40)), rng.normal(size=(3, 3))
    products = []
    for primitive in (convolution._convolve, convolution._correlate):

        def counted(x, y, method, fun=primitive.fun, full=primitive is convolution._convolve):
            out = fun(x, y, method)
            products.append((x.size if full else out.size) * y.size)
            return out

        monkeypatch.setattr(primitive, "fun", counted)
    gradient = grad(lambda k: np.sum(signal.convolve2d(image, k, "same") ** 2))(kernel)
    assert gradient.shape == (3, 3)
    assert max(products) <= 2 * image.size * kernel.size


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("shapes", [((9, 8, 9), (2, 3, 2)), ((2, 3, 2), (9, 8, 9))])
def test_convolving_large_arrays_of_three_axes(mode, shapes, rng):
    x, y = [rng.normal(size=shape) for shape in shapes]

    def fun(x, y):
        return signal.convolve(x, y, mode, "direct")

    np.testing.assert_allclose(
        vjp(fun, x, y)[0], reference.convolve(x, y, mode, "direct"), rtol=1e-12, atol=1e-14
    )
    check_grads(fun, (x, y))
