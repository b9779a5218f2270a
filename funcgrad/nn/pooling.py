"""Pooling: the largest entry or the mean of each window, channel by channel.

Arrays are (..., *spatial, channels), as for convolutions. Read next: `normalization.py`.
"""

import functools
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from funcgrad.errors import ArgumentError, fail
from funcgrad.nn.activations import Array
from funcgrad.nn.convolution import join_leading
from funcgrad.nn.fused import Fused, Needs
from funcgrad.nn.layers import Stateless
from funcgrad.nn.protocol import STATIC
from funcgrad.nn.windows import Padding, Windows, check_padding, per_axis

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "GlobalAvgPool",
    "MaxPool1d",
    "MaxPool2d",
]


def _entries(x: Array, windows: Windows) -> list[Array]:
    """Return for each entry of a window that entry of all windows."""
    return [x[place] for place in windows.slices(x.shape[1:-1])]


def _largest_plain(x: Array, *, windows: Windows) -> Array:
    return np.stack(_entries(x, windows)).max(axis=0)


def _largest_forward(needs: Needs, x: Array, *, windows: Windows) -> Any:
    entries = _entries(x, windows)
    by_tap = np.empty((windows.taps, *entries[0].shape), x.dtype)
    for t, entry in enumerate(entries):  # one copy, and what follows has no gaps
        by_tap[t] = entry
    y = np.maximum.reduce(by_tap, axis=0)
    return y, (by_tap == y, x.shape, windows)


def _largest_backward(ct: Array, residuals: Any) -> Any:
    hits, shape, windows = residuals
    count = np.add.reduce(hits.view(np.uint8), axis=0, dtype=np.min_scalar_type(windows.taps))
    share = ct / count.astype(ct.dtype)  # entries that tie share the cotangent
    dx = np.zeros(shape, ct.dtype)
    for place, hit in zip(windows.slices(shape[1:-1]), hits):
        if windows.apart:
            np.multiply(share, hit, out=dx[place])
        else:
            dx[place] += share * hit
    return (dx,)


_largest = Fused(_largest_plain, _largest_forward, _largest_backward)


@dataclass(frozen=True)
class _Pool(Stateless):
    window: int | tuple[int, ...] = field(metadata=STATIC)
    stride: int | tuple[int, ...] | None = field(default=None, metadata=STATIC)
    padding: Padding = field(default=0, metadata=STATIC)

    AXES: ClassVar[int]

    def __post_init__(self) -> None:
        _ = self._windows
        check_padding(self, self.padding, self.AXES)
        sides = self._windows.widths(self.padding, (1,) * self.AXES)
        if any([max(side) >= m for side, m in zip(sides, self._windows.kernel)]):
            what = f"{self} has windows that hold nothing but padding."
            raise fail(ArgumentError, what, "padding is less than the window.")

    @functools.cached_property
    def _windows(self) -> Windows:
        stride = self.window if self.stride is None else self.stride
        kernel = per_axis(self, "window", self.window, self.AXES)
        return Windows(kernel, per_axis(self, "stride", stride, self.AXES), (1,) * self.AXES)

    def function(self, x: Array) -> Array:
        """Pool x of shape (..., *spatial, C): (..., *spatial', C)."""
        x, lead = join_leading(self, x, self.AXES, None)
        lengths = x.shape[1:-1]
        sides = self._windows.widths(self.padding, lengths)
        padded = tuple([n + before + after for n, (before, after) in zip(lengths, sides)])
        self._windows.check_fit(self, lengths, padded)
        if padded != lengths:
            x = np.pad(x, [(0, 0), *sides, (0, 0)], constant_values=self._fill(x.dtype))
        y = self._reduce(x)
        return y if len(lead) == 1 else y.reshape(*lead, *y.shape[1:])

    def _fill(self, dtype: Any) -> Any:
        return 0

    def _reduce(self, x: Array) -> Array:
        raise NotImplementedError


class _MaxPool(_Pool):
    def _fill(self, dtype: Any) -> Any:
        return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min

    def _reduce(self, x: Array) -> Array:
        result: Array = _largest(x, windows=self._windows)
        return result


class _AvgPool(_Pool):
    def _reduce(self, x: Array) -> Array:
        first, *others = _entries(x, self._windows)
        for entry in others:
            first = first + entry
        return first / self._windows.taps


@dataclass(frozen=True)
class MaxPool1d(_MaxPool):
    """The largest entry of each window over sequences (..., length, C).

    Entries that tie for the largest share its derivative, as in `numpy.max` under funcgrad.

    Parameters
    ----------
    window : int
    stride : int, optional
        The distance of windows; by default they touch.
    padding : int, "same", "valid" or a pair, default 0
        As for `Conv1d`; the added entries are never the largest.

    Raises
    ------
    ArgumentError
        If a setting is out of range, or the padding as long as the window.
    ShapeError
        By `apply`, if `x` is shorter than a window.

    Examples
    --------
    >>> MaxPool1d(2).apply((), np.array([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
    array([3., 2.])
    """

    AXES: ClassVar[int] = 1


@dataclass(frozen=True)
class MaxPool2d(_MaxPool):
    """The largest entry of each window over images (..., height, width, C).

    Entries that tie for the largest share its derivative, as in `numpy.max` under funcgrad.

    Parameters
    ----------
    window : int or tuple of two
    stride : int or tuple of two, optional
        The distance of windows; by default they touch.
    padding : int, "same", "valid" or a tuple, default 0
        As for `Conv2d`; the added entries are never the largest.

    Raises
    ------
    ArgumentError
        If a setting is out of range, or the padding as long as the window.
    ShapeError
        By `apply`, if `x` is smaller than a window.

    Examples
    --------
    >>> MaxPool2d(2)
    MaxPool2d(window=2, stride=None, padding=0)
    >>> MaxPool2d(2).apply((), np.zeros((10, 28, 28, 8))).shape
    (10, 14, 14, 8)
    """

    AXES: ClassVar[int] = 2


@dataclass(frozen=True)
class AvgPool1d(_AvgPool):
    """The mean of each window over sequences (..., length, C).

    Parameters
    ----------
    window : int
    stride : int, optional
        The distance of windows; by default they touch.
    padding : int, "same", "valid" or a pair, default 0
        As for `Conv1d`; the added zeros count in the mean.

    Raises
    ------
    ArgumentError
        If a setting is out of range, or the padding as long as the window.
    ShapeError
        By `apply`, if `x` is shorter than a window.

    Examples
    --------
    >>> AvgPool1d(2).apply((), np.array([[[1.0], [3.0], [2.0], [0.0]]]))[0, :, 0]
    array([2., 1.])
    """

    AXES: ClassVar[int] = 1


@dataclass(frozen=True)
class AvgPool2d(_AvgPool):
    """The mean of each window over images (..., height, width, C).

    Parameters
    ----------
    window : int or tuple of two
    stride : int or tuple of two, optional
        The distance of windows; by default they touch.
    padding : int, "same", "valid" or a tuple, default 0
        As for `Conv2d`; the added zeros count in the mean.

    Raises
    ------
    ArgumentError
        If a setting is out of range, or the padding as long as the window.
    ShapeError
        By `apply`, if `x` is smaller than a window.

    Examples
    --------
    >>> AvgPool2d(2).apply((), np.zeros((10, 28, 28, 8))).shape
    (10, 14, 14, 8)
    """

    AXES: ClassVar[int] = 2


@dataclass(frozen=True)
class _AdaptiveAvgPool(Stateless):
    out_size: int | tuple[int, ...] = field(metadata=STATIC)

    AXES: ClassVar[int]

    def __post_init__(self) -> None:
        per_axis(self, "out_size", self.out_size, self.AXES)

    def function(self, x: Array) -> Array:
        """Average x of shape (..., *spatial, C) to (..., *out_size, C)."""
        join_leading(self, x, self.AXES, None)
        sizes = per_axis(self, "out_size", self.out_size, self.AXES)
        for axis, size in zip(range(-self.AXES - 1, -1), sizes):
            means = _bins(x.shape[axis], size)
            means = means.astype(x.dtype) if x.dtype.kind in "fc" else means
            x = np.moveaxis(np.moveaxis(x, axis, -1) @ means, -1, axis)
        return x


def _bins(length: int, size: int) -> Array:
    """Return a matrix (length, size) whose column i averages from floor(i n / m) to ceil((i + 1) n / m)."""
    places, i = np.arange(length)[:, None], np.arange(size)
    start, end = i * length // size, -(-(i + 1) * length // size)
    inside = (places >= start) & (places < end)
    return inside / np.maximum(end - start, 1)


@dataclass(frozen=True)
class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means over parts of a sequence (..., length, C), so many that the length becomes `out_size`.

    Part i goes from floor(i n / m) to ceil((i + 1) n / m), as in PyTorch.

    Parameters
    ----------
    out_size : int

    Examples
    --------
    >>> AdaptiveAvgPool1d(2).apply((), np.arange(4.0).reshape(1, 4, 1))[0, :, 0]
    array([0.5, 2.5])
    """

    AXES: ClassVar[int] = 1


@dataclass(frozen=True)
class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over parts of an image (..., height, width, C), so many that it becomes `out_size`.

    Part i of an axis goes from floor(i n / m) to ceil((i + 1) n / m), as in PyTorch.

    Parameters
    ----------
    out_size : int or tuple of two

    Examples
    --------
    >>> AdaptiveAvgPool2d((2, 3)).apply((), np.zeros((10, 28, 28, 8))).shape
    (10, 2, 3, 8)
    """

    AXES: ClassVar[int] = 2


@dataclass(frozen=True)
class GlobalAvgPool(Stateless):
    """The mean over all axes between the first and the last: (N, ..., C) to (N, C).

    Examples
    --------
    >>> GlobalAvgPool().apply((), np.zeros((10, 7, 7, 8))).shape
    (10, 8)
    """

    def function(self, x: Array) -> Array:
        join_leading(self, x, 1, None)
        return x.mean(axis=tuple(range(1, x.ndim - 1)))
