"""Windows over the spatial axes of an array (..., *spatial, channels): what convolutions and pools share.

A window has `kernel` entries along each spatial axis, `dilation` apart; neighbouring windows are
`stride` apart. Entry t of all windows is one strided slice of the array, so a sum over windows and
its transpose are a few slices each. Must not know layers. Read next: `convolving.py`.
"""

import itertools
import math
from dataclasses import dataclass
from operator import index
from typing import Any, TypeAlias

import numpy as np

from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.nn.activations import Array

__all__ = ["Padding", "Windows", "check_padding", "per_axis"]

Sizes: TypeAlias = tuple[int, ...]
Padding: TypeAlias = str | int | tuple[int, ...] | tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Windows:
    """The places of windows: sizes along each spatial axis."""

    kernel: Sizes
    stride: Sizes
    dilation: Sizes

    @property
    def taps(self) -> int:
        """The number of entries of a window."""
        return math.prod(self.kernel)

    @property
    def apart(self) -> bool:
        """Whether no entry of an array is in two windows."""
        return all([s >= m for s, m in zip(self.stride, self.spans())])

    def spans(self) -> Sizes:
        """Return how far a window reaches."""
        return tuple([d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation)])

    def counts(self, lengths: Sizes) -> Sizes:
        """Return the number of windows along axes of these lengths."""
        return tuple([(n - m) // s + 1 for n, m, s in zip(lengths, self.spans(), self.stride)])

    def slices(self, lengths: Sizes) -> list[Any]:
        """Return for each entry of a window the index of that entry in all windows."""
        counts = self.counts(lengths)
        slices = []
        for tap in itertools.product(*[range(k) for k in self.kernel]):
            places = [
                slice(i * d, i * d + (n - 1) * s + 1, s)
                for i, d, n, s in zip(tap, self.dilation, counts, self.stride)
            ]
            slices.append((slice(None), *places))
        return slices

    def view(self, x: Array) -> Array:
        """Return the windows of a plain array as a view of shape (N, *counts, *kernel, C)."""
        n, *lengths, channels = x.shape
        first, *steps, last = x.strides
        strides = [
            first,
            *[step * s for step, s in zip(steps, self.stride)],
            *[step * d for step, d in zip(steps, self.dilation)],
            last,
        ]
        shape = (n, *self.counts(tuple(lengths)), *self.kernel, channels)
        return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)

    def widths(self, padding: Padding, lengths: Sizes) -> list[tuple[int, int]]:
        """Return what to add before and after each axis.

        "same" gives ceil(n / stride) windows; an odd number of added entries has the longer half
        behind, as in PyTorch and JAX.
        """
        if padding == "valid":
            return [(0, 0)] * len(lengths)
        if padding == "same":
            total = [
                max((-(-n // s) - 1) * s + m - n, 0)
                for n, m, s in zip(lengths, self.spans(), self.stride)
            ]
            return [(t // 2, t - t // 2) for t in total]
        sides: Any = padding if isinstance(padding, (tuple, list)) else (padding,) * len(lengths)
        return [tuple(p) if isinstance(p, (tuple, list)) else (p, p) for p in sides]

    def check_fit(self, layer: object, lengths: Sizes, padded: Sizes) -> None:
        """Raise if a window is longer than an axis."""
        if any([n < m for n, m in zip(padded, self.spans())]):
            what = (
                f"{layer} has windows that reach over {self.spans()} entries, but the axes of x are "
                f"{lengths} long, {padded} with padding."
            )
            raise fail(ShapeError, what, 'take a smaller kernel, or padding="same".')


def per_axis(layer: object, name: str, value: Any, axes: int, least: int = 1) -> Sizes:
    """Return a setting as a tuple with an integer per spatial axis."""
    values = value if isinstance(value, (tuple, list)) else (value,) * axes
    try:
        sizes = tuple([index(v) for v in values])
    except TypeError:
        sizes = ()
    if len(sizes) != axes or any([v < least for v in sizes]):
        form = "an integer" if axes == 1 else f"an integer or a tuple of {axes}"
        what = f"{name} of {type(layer).__name__} is {form}, from {least} up, but got {value!r}."
        raise fail(ArgumentError, what, f"for instance {name}={max(least, 1)}.")
    return sizes


def check_padding(layer: object, padding: Any, axes: int) -> None:
    """Raise unless the padding is one of the forms that `Windows.widths` takes."""
    if padding in ("same", "valid"):
        return
    sides = padding if isinstance(padding, (tuple, list)) else (padding,) * axes
    pairs = [p if isinstance(p, (tuple, list)) else (p, p) for p in sides]
    try:
        enough = all([index(p) >= 0 for pair in pairs for p in pair])
    except TypeError:
        enough = False
    if enough and len(sides) == axes and all([len(pair) == 2 for pair in pairs]):
        return
    what = (
        f"padding of {type(layer).__name__} is 'same', 'valid', an integer or a tuple with an integer "
        f"or a pair per axis ({axes}), but got {padding!r}."
    )
    raise fail(ArgumentError, what, 'for instance padding="same".')
