"""Spectra by segments: Welch's method and the short-time Fourier transform, with its inverse."""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import as_array
from funcgrad.primitives.axes import normalize_axis
from funcgrad.scipy.mirrors import mirror
from funcgrad.scipy.signal.waves import detrend as _detrend

ss: Any = importlib.import_module("scipy.signal")


def _window(window: Any, nperseg: Any, n: int | None) -> Any:
    """Return a window, which is as long as the segments; those are at most n long."""
    if not isinstance(window, (str, tuple)):
        window = as_array(window)
        if nperseg not in (None, window.shape[0]):
            raise ValueError("value specified for nperseg is different from length of window")
        return window
    nperseg = 256 if nperseg is None else int(nperseg)
    if nperseg < 1:
        raise ValueError("nperseg must be a positive integer")
    return ss.get_window(window, nperseg if n is None else min(nperseg, n))


def _steps(width: int, noverlap: Any, nfft: Any) -> tuple[int, int]:
    """Return how far the segments are apart and how long their transforms are."""
    noverlap = width // 2 if noverlap is None else int(noverlap)
    if noverlap >= width:
        raise ValueError("noverlap must be less than nperseg.")
    nfft = width if nfft is None else int(nfft)
    if nfft < width:
        raise ValueError("nfft must be greater than or equal to nperseg.")
    return width - noverlap, nfft


def _transforms(x: Any, win: Any, step: int, nfft: int, detrend: Any, onesided: bool) -> Any:
    """Return the Fourier transforms of the windowed segments of the last axis: shape (..., segment, frequency)."""
    width = win.shape[0]
    if x.shape[-1] < width:
        raise ValueError(f"the signal has {x.shape[-1]} samples, fewer than a segment: {width}")
    starts = np.arange(0, x.shape[-1] - width + 1, step)
    parts = x[..., starts[:, None] + np.arange(width)]
    if detrend:
        parts = detrend(parts) if callable(detrend) else _detrend(parts, type=detrend)
    return (np.fft.rfft if onesided else np.fft.fft)(parts * win, nfft)


def _scale(win: Any, fs: Any, scaling: str) -> Any:
    if scaling in ("density", "psd"):
        return 1.0 / (fs * np.sum(win * win))
    if scaling != "spectrum":
        raise ValueError(f"Unknown scaling: {scaling!r}")
    return 1.0 / np.sum(win) ** 2


def _frequencies(nfft: int, fs: Any, onesided: bool) -> Any:
    return (np.fft.rfftfreq if onesided else np.fft.fftfreq)(nfft, 1 / fs)


def _extended(x: Any, n: int) -> Any:
    """Return `x` with zeros at the end of its last axis, up to a length of n."""
    missing = n - x.shape[-1]
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)]) if missing > 0 else x


def _in_dtype(x: Any, *signals: Any) -> Any:
    """Return a spectrum in the dtype that the signals' single or double precision gives."""
    kind = np.result_type(*signals, np.complex64)
    return x.astype(kind if x.dtype.kind == "c" else np.zeros((), kind).real.dtype)


@mirror(ss.csd)
def csd(
    x: Any, y: Any, fs: Any = 1.0, window: Any = "hann", nperseg: Any = None, noverlap: Any = None,
    nfft: Any = None, detrend: Any = "constant", return_onesided: bool = True,
    scaling: str = "density", axis: int = -1, average: str = "mean",
) -> Any:  # fmt: skip
    """Return the frequencies and the cross power spectral density: averaged products of transforms."""
    x, y = [np.moveaxis(as_array(a), axis, -1) for a in (x, y)]
    onesided = return_onesided and x.dtype.kind != "c" and y.dtype.kind != "c"
    n = max(x.shape[-1], y.shape[-1])
    win = _window(window, nperseg, n)
    step, nfft = _steps(win.shape[0], noverlap, nfft)
    first, second = [
        _transforms(_extended(a, n), win, step, nfft, detrend, onesided) for a in (x, y)
    ]
    density = first.conj() * second * _scale(win, fs, scaling)
    if onesided:  # the others stand for two frequencies each
        weights = np.full(density.shape[-1], 2.0)
        weights[[0, -1] if nfft % 2 == 0 else 0] = 1.0
        density = density * weights
    if average == "median":
        bias = ss._spectral_py._median_bias(density.shape[-2])
        density = (np.median(density.real, -2) + 1j * np.median(density.imag, -2)) / bias
    elif average == "mean":
        density = density.mean(-2)
    else:
        raise ValueError(f"average must be 'median' or 'mean', got {average}")
    return _frequencies(nfft, fs, onesided), np.moveaxis(_in_dtype(density, x, y), -1, axis)


@mirror(ss.welch)
def welch(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: Any = None, noverlap: Any = None,
    nfft: Any = None, detrend: Any = "constant", return_onesided: bool = True,
    scaling: str = "density", axis: int = -1, average: str = "mean",
) -> Any:  # fmt: skip
    """Return the frequencies and the power spectral density, averaged over segments (Welch)."""
    frequencies, density = csd(
        x, x, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, average
    )
    return frequencies, density.real


@mirror(ss.periodogram)
def periodogram(
    x: Any, fs: Any = 1.0, window: Any = "boxcar", nfft: Any = None, detrend: Any = "constant",
    return_onesided: bool = True, scaling: str = "density", axis: int = -1,
) -> Any:  # fmt: skip
    """Return the frequencies and the power spectral density of the signal as one segment."""
    x = np.moveaxis(as_array(x), axis, -1)
    window = "boxcar" if window is None else window
    x = x if nfft is None else x[..., :nfft]  # as SciPy has it
    frequencies, density = welch(
        x, fs, window, x.shape[-1], 0, nfft, detrend, return_onesided, scaling
    )
    return frequencies, np.moveaxis(density, -1, axis)


_BOUNDARIES: dict[str, Any] = {
    "zeros": {"mode": "constant"},
    "even": {"mode": "reflect"},
    "odd": {"mode": "reflect", "reflect_type": "odd"},
    "constant": {"mode": "edge"},
}


@mirror(ss.stft)
def stft(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: Any = 256, noverlap: Any = None,
    nfft: Any = None, detrend: Any = False, return_onesided: bool = True, boundary: Any = "zeros",
    padded: bool = True, axis: int = -1, scaling: str = "spectrum",
) -> Any:  # fmt: skip
    """Return frequencies, times and the Fourier transforms of the windowed segments."""
    x = as_array(x)
    axis = normalize_axis(axis, x.ndim)
    signal = np.moveaxis(x, axis, -1)
    onesided = return_onesided and x.dtype.kind != "c"
    win = _window(window, nperseg, signal.shape[-1])
    width = win.shape[0]
    step, nfft = _steps(width, noverlap, nfft)
    if boundary is not None:
        ends = [(0, 0)] * (x.ndim - 1) + [(width // 2, width // 2)]
        signal = np.pad(signal, ends, **_BOUNDARIES[boundary])
    if padded:
        signal = _extended(signal, signal.shape[-1] + (width - signal.shape[-1]) % step % width)
    spectrum = _transforms(signal, win, step, nfft, detrend, onesided)
    spectrum = _in_dtype(spectrum * np.sqrt(_scale(win, fs, scaling)), x)
    times = (np.arange(spectrum.shape[-2]) * step + width / 2) / float(fs)
    times = times - (width / 2 / fs if boundary is not None else 0)
    spectrum = np.moveaxis(spectrum, -1, axis)  # the segments stay last
    return _frequencies(nfft, fs, onesided), times, spectrum


@mirror(ss.istft)
def istft(
    Zxx: Any, fs: Any = 1.0, window: Any = "hann", nperseg: Any = None, noverlap: Any = None,
    nfft: Any = None, input_onesided: bool = True, boundary: Any = True, time_axis: int = -1,
    freq_axis: int = -2, scaling: str = "spectrum",
) -> Any:  # fmt: skip
    """Return times and the signal of a short-time Fourier transform, by overlapping and adding."""
    spectrum = np.moveaxis(as_array(Zxx), (time_axis, freq_axis), (-2, -1))
    full = 2 * (spectrum.shape[-1] - 1) if input_onesided else spectrum.shape[-1]
    width = full if nperseg is None else int(nperseg)
    if nfft is None:
        nfft = full + 1 if input_onesided and width == full + 1 else full
    step, nfft = _steps(width, noverlap, nfft)
    win = _window(window, width, None)
    if win.shape[0] != width:
        raise ValueError(f"window must have length of {width}")
    parts = (np.fft.irfft if input_onesided else np.fft.ifft)(spectrum, nfft)[..., :width]
    parts = parts * win / np.sqrt(_scale(win, fs, scaling))
    count = parts.shape[-2]
    places = np.arange(count)[:, None] * step + np.arange(width)
    total = np.zeros((*parts.shape[:-2], width + (count - 1) * step), like=parts).astype(
        parts.dtype
    )
    norm = np.zeros(total.shape[-1])
    np.add.at(norm, places, np.broadcast_to(win * win, places.shape))
    for k in range(count):
        total[..., k * step : k * step + width] += parts[..., k, :]
    if boundary:
        inside = slice(width // 2, total.shape[-1] - width // 2)
        total, norm = total[..., inside], norm[inside]
    total = total / np.where(norm > 1e-10, norm, 1.0)
    if total.ndim > 1:
        total = np.moveaxis(total, -1, min(time_axis % spectrum.ndim, freq_axis % spectrum.ndim))
    return np.arange(total.shape[0]) / float(
        fs
    ), total  # SciPy counts along the first axis, whichever it is
