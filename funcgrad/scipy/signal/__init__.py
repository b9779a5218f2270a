"""`scipy.signal`: convolution and correlation, recursive filters, trends, resampling, spectra."""

import importlib

from funcgrad.scipy.mirrors import fallback
from funcgrad.scipy.signal.convolution import (
    convolve,
    convolve2d,
    correlate,
    correlate2d,
    fftconvolve,
    oaconvolve,
)
from funcgrad.scipy.signal.filters import filtfilt, lfilter, lfilter_zi, sosfilt
from funcgrad.scipy.signal.spectra import csd, istft, periodogram, stft, welch
from funcgrad.scipy.signal.waves import detrend, hilbert, resample

__getattr__ = fallback(importlib.import_module("scipy.signal"))

__all__ = [
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "csd",
    "detrend",
    "fftconvolve",
    "filtfilt",
    "hilbert",
    "istft",
    "lfilter",
    "lfilter_zi",
    "oaconvolve",
    "periodogram",
    "resample",
    "sosfilt",
    "stft",
    "welch",
]
