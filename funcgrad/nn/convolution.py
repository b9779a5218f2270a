"""Layers of convolutions, and of their transposes.

Channels are the last axis everywhere, as features are: images are (N, height, width, channels), and
a weight is (*kernel, in, out). A window is then a row. Read next: `pooling.py`.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.nn.activations import Array
from funcgrad.nn.convolving import convolve, flipped, spread
from funcgrad.nn.initializers import Initializer, xavier_normal, zeros
from funcgrad.nn.protocol import STATIC, Params, check_params, shape_of
from funcgrad.nn.settings import check_positive, check_start
from funcgrad.nn.windows import Padding, Windows, check_padding, per_axis

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]


@dataclass(frozen=True)
class _Convolution:
    """What convolutions share: settings, parameters, leading axes."""

    in_channels: int = field(metadata=STATIC)
    out_channels: int = field(metadata=STATIC)
    kernel_size: int | tuple[int, ...] = field(metadata=STATIC)
    stride: int | tuple[int, ...] = field(default=1, metadata=STATIC)
    padding: Padding = field(default=0, metadata=STATIC)
    dilation: int | tuple[int, ...] = field(default=1, metadata=STATIC)
    groups: int = field(default=1, metadata=STATIC)
    weight_init: Initializer = field(
        default=xavier_normal, kw_only=True, repr=False, metadata=STATIC
    )
    bias_init: Initializer = field(default=zeros, kw_only=True, repr=False, metadata=STATIC)
    bias: bool = field(default=True, kw_only=True, repr=False, metadata=STATIC)
    dtype: DTypeLike = field(default=np.float64, kw_only=True, repr=False, metadata=STATIC)

    AXES: ClassVar[int]

    def __post_init__(self) -> None:
        check_positive(
            self,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            groups=self.groups,
        )
        _ = self.windows
        check_padding(self, self.padding, self.AXES)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            what = (
                f"{type(self).__name__} splits channels into {self.groups} groups, but "
                f"{self.in_channels} and {self.out_channels} channels do not divide so."
            )
            raise fail(ArgumentError, what, "groups must divide in_channels and out_channels.")
        check_start(self)

    @functools.cached_property
    def windows(self) -> Windows:
        """The windows over the spatial axes."""
        kernel, stride, dilation = [
            per_axis(self, name, getattr(self, name), self.AXES)
            for name in ("kernel_size", "stride", "dilation")
        ]
        return Windows(kernel, stride, dilation)

    def _weight_shape(self) -> tuple[int, ...]:
        return (*self.windows.kernel, self.in_channels // self.groups, self.out_channels)

    def init(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Draw ``(w, b)`` of shapes (*kernel, in_channels / groups, out_channels) and (out_channels,)."""
        w = self.weight_init(rng, self._weight_shape(), self.dtype)
        return (w, self.bias_init(rng, (self.out_channels,), self.dtype)) if self.bias else (w,)

    def apply(self, params: Params, x: Array) -> Array:
        """Map x of shape (..., *spatial, in_channels) to (..., *spatial', out_channels)."""
        shapes = {"w": self._weight_shape()}
        if self.bias:
            shapes["b"] = (self.out_channels,)
        w, *bias = check_params(self, params, **shapes)
        b = bias[0] if bias else np.zeros(self.out_channels, w.dtype)
        x, lead = join_leading(self, x, self.AXES, self.in_channels)
        y = self._convolve(x, w, b)
        return y if len(lead) == 1 else y.reshape(*lead, *y.shape[1:])

    def _convolve(self, x: Array, w: Array, b: Array) -> Array:
        lengths = x.shape[1:-1]
        sides = self.windows.widths(self.padding, lengths)
        padded = tuple([n + before + after for n, (before, after) in zip(lengths, sides)])
        self.windows.check_fit(self, lengths, padded)
        result: Array = convolve(x, w, b, windows=self.windows, sides=sides, groups=self.groups)
        return result

    def __repr__(self) -> str:
        shown = [str(self.in_channels), str(self.out_channels), f"kernel_size={self.kernel_size}"]
        for name, default in _SHOWN.items():
            value = getattr(self, name, default)
            if value != default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


_SHOWN = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1, "bias": True}


def join_leading(layer: object, x: Array, axes: int, channels: int | None) -> Any:
    """Return x with its leading axes as one, (N, *spatial, C), and the shape of those axes."""
    shape = shape_of(layer, x)
    if len(shape) < axes + 1 or (channels is not None and shape[-1] != channels):
        names = ", ".join(("height", "width")[-axes:] if axes > 1 else ("length",))
        last = "channels" if channels is None else channels
        what = f"{layer} needs x of shape (N, {names}, {last}), but got x of shape {shape}."
        fix = "the channels are the last axis: x[..., None] adds one to grey images."
        if len(shape) > axes + 1 and shape[-axes - 1] == channels:
            fix = f"the channels are the last axis here: np.moveaxis(x, {-axes - 1}, -1)."
        raise fail(ShapeError, what, fix)
    lead = shape[: len(shape) - axes - 1]
    if len(lead) == 1:
        return x, lead
    return x.reshape(math.prod(lead), *shape[len(lead) :]), lead


@dataclass(frozen=True, repr=False)
class Conv1d(_Convolution):
    """Convolution over sequences: x of shape (N, length, in_channels).

    Each output is ``b`` plus the sum over a window of ``x @ w`` (a correlation: the kernel is not
    flipped, as in all such libraries). The output has the shape (N, length', out_channels).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int
        The entries of a window, the distance of windows, and that of entries; the latter are 1 by
        default.
    padding : int, "same", "valid" or a pair, default 0
        Zeros added at both ends. "same" gives ceil(length / stride) outputs; a pair ``((a, b),)``
        says how many come before and after.
    groups : int, default 1
        Channels are split into so many groups, which do not mix.
    weight_init, bias_init : callable, default `xavier_normal` and `zeros`
    bias : bool, default True
    dtype : dtype, default float64

    Raises
    ------
    ArgumentError
        If a setting is out of range; if `groups` does not divide the channels.
    ShapeError
        By `apply`, if `x` has other channels, or is shorter than a window.

    Examples
    --------
    >>> layer = Conv1d(3, 8, kernel_size=5, padding="same")
    >>> params = layer.init(np.random.default_rng(0))
    >>> layer.apply(params, np.zeros((10, 20, 3))).shape
    (10, 20, 8)
    """

    AXES: ClassVar[int] = 1


@dataclass(frozen=True, repr=False)
class Conv2d(_Convolution):
    """Convolution over images: x of shape (N, height, width, in_channels).

    Each output is ``b`` plus the sum over a window of ``x @ w`` (a correlation: the kernel is not
    flipped, as in all such libraries). The output has the shape (N, height', width', out_channels).

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or tuple of two
        The entries of a window, the distance of windows, and that of entries; the latter are 1 by
        default.
    padding : int, "same", "valid" or a tuple, default 0
        Zeros added on all sides. "same" gives ceil(n / stride) outputs along an axis; a tuple has a
        number, or a pair (before, after), for height and width.
    groups : int, default 1
        Channels are split into so many groups, which do not mix; ``groups=in_channels`` makes a
        depthwise convolution.
    weight_init, bias_init : callable, default `xavier_normal` and `zeros`
    bias : bool, default True
    dtype : dtype, default float64

    Raises
    ------
    ArgumentError
        If a setting is out of range; if `groups` does not divide the channels.
    ShapeError
        By `apply`, if `x` has other channels, or is smaller than a window.

    References
    ----------
    V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning,
    arXiv:1603.07285, 2016.

    Examples
    --------
    >>> layer = Conv2d(1, 8, kernel_size=3, padding="same")
    >>> layer
    Conv2d(1, 8, kernel_size=3, padding='same')
    >>> w, b = layer.init(np.random.default_rng(0))
    >>> w.shape, b.shape
    ((3, 3, 1, 8), (8,))
    >>> layer.apply((w, b), np.zeros((10, 28, 28, 1))).shape
    (10, 28, 28, 8)
    """

    AXES: ClassVar[int] = 2


@dataclass(frozen=True, repr=False)
class _Transposed(_Convolution):
    output_padding: int | tuple[int, ...] = field(default=0, kw_only=True, metadata=STATIC)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding in ("same", "valid"):
            what = f"{type(self).__name__} takes its padding as numbers, but got {self.padding!r}."
            raise fail(ArgumentError, what, "padding=p takes p entries off each side.")
        per_axis(self, "output_padding", self.output_padding, self.AXES, 0)

    def _convolve(self, x: Array, w: Array, b: Array) -> Array:
        # The transpose of a convolution with the stride: zeros between the entries, then a
        # convolution with the flipped kernel, whose windows start before the first entry.
        windows = Windows(self.windows.kernel, (1,) * self.AXES, self.windows.dilation)
        taken = self.windows.widths(self.padding, x.shape[1:-1])
        extra = per_axis(self, "output_padding", self.output_padding, self.AXES, 0)
        sides = [
            (m - 1 - before, m - 1 - after + more)
            for m, (before, after), more in zip(windows.spans(), taken, extra)
        ]
        x = spread(x, self.windows.stride)
        lengths = x.shape[1:-1]
        padded = tuple([n + before + after for n, (before, after) in zip(lengths, sides)])
        windows.check_fit(self, lengths, padded)
        x = x[
            (slice(None), *[slice(max(-a, 0), n - max(-z, 0)) for n, (a, z) in zip(lengths, sides)])
        ]
        sides = [(max(before, 0), max(after, 0)) for before, after in sides]
        result: Array = convolve(
            x, flipped(w, self.AXES), b, windows=windows, sides=sides, groups=self.groups
        )
        return result


@dataclass(frozen=True, repr=False)
class ConvTranspose1d(_Transposed):
    """The transpose of a `Conv1d`: from (N, length, in_channels) to a longer sequence.

    The length becomes ``(length - 1) * stride - 2 * padding + dilation * (kernel_size - 1) +
    output_padding + 1``.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int
        Of the convolution that it transposes.
    padding : int or a pair, default 0
        Entries taken off both ends.
    groups : int, default 1
    output_padding : int, default 0
        Entries added behind.
    weight_init, bias_init : callable, default `xavier_normal` and `zeros`
    bias : bool, default True
    dtype : dtype, default float64

    Raises
    ------
    ArgumentError
        If a setting is out of range.
    ShapeError
        By `apply`, if `x` has other channels.

    Examples
    --------
    >>> layer = ConvTranspose1d(8, 3, kernel_size=2, stride=2)
    >>> params = layer.init(np.random.default_rng(0))
    >>> layer.apply(params, np.zeros((10, 7, 8))).shape
    (10, 14, 3)
    """

    AXES: ClassVar[int] = 1


@dataclass(frozen=True, repr=False)
class ConvTranspose2d(_Transposed):
    """The transpose of a `Conv2d`: from (N, height, width, in_channels) to a larger image.

    An axis of length n becomes ``(n - 1) * stride - 2 * padding + dilation * (kernel_size - 1) +
    output_padding + 1`` long.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or tuple of two
        Of the convolution that it transposes.
    padding : int or a tuple, default 0
        Entries taken off all sides.
    groups : int, default 1
    output_padding : int or tuple of two, default 0
        Entries added behind.
    weight_init, bias_init : callable, default `xavier_normal` and `zeros`
    bias : bool, default True
    dtype : dtype, default float64

    Raises
    ------
    ArgumentError
        If a setting is out of range.
    ShapeError
        By `apply`, if `x` has other channels.

    References
    ----------
    V. Dumoulin and F. Visin, arXiv:1603.07285, 2016, chapter 4.

    Examples
    --------
    >>> layer = ConvTranspose2d(8, 3, kernel_size=2, stride=2)
    >>> params = layer.init(np.random.default_rng(0))
    >>> layer.apply(params, np.zeros((10, 7, 7, 8))).shape
    (10, 14, 14, 3)
    """

    AXES: ClassVar[int] = 2
