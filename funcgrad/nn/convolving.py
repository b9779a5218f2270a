"""The convolution as a function: one matrix product over the windows of x (N, *spatial, C).

A weight w is (*kernel, C / groups, O). The gradient of the input adds the rows of the product back, one
slice per entry of the window. Must not know layers. Read next: `convolution.py`.
"""

import math
from typing import Any

import numpy as np

from funcgrad.nn.activations import Array
from funcgrad.nn.bias import add_bias, bias_cotangent
from funcgrad.nn.fused import Fused, Needs
from funcgrad.nn.windows import Windows

__all__ = ["convolve", "flipped", "spread"]

Sides = list[tuple[int, int]]


def _rows_by_group(rows: Array, groups: int) -> Array:
    """Split the channels of rows (M, taps, C) into groups: (groups, M, taps * C / groups)."""
    count, taps, channels = rows.shape
    split = rows.reshape(count, taps, groups, channels // groups)
    return split.transpose(2, 0, 1, 3).reshape(groups, count, taps * channels // groups)


def _weights_by_group(w: Array, groups: int) -> Array:
    """Arrange a weight (*kernel, C / groups, O) as (groups, taps * C / groups, O / groups)."""
    return _columns_by_group(_matrix(w), groups)


def _columns_by_group(table: Array, groups: int) -> Array:
    """Split the columns of a table (M, O) into groups: (groups, M, O / groups)."""
    rows, columns = table.shape
    return table.reshape(rows, groups, columns // groups).transpose(1, 0, 2)


def _matrix(a: Array, axes: int = 1) -> Array:
    """Join the last `axes` axes, and all before them: a table (-1 would fail for empty batches)."""
    return a.reshape(math.prod(a.shape[:-axes]), math.prod(a.shape[-axes:]))


def _rows(view: Array, taps: int, channels: int) -> Array:
    """Copy the windows (N, *counts, *kernel, C) into rows (M, taps, C)."""
    axes = (view.ndim - 2) // 2
    count = math.prod(view.shape[: axes + 1])
    if channels > 1:
        return view.reshape(count, taps, channels)
    # Of grey images a line of a window is short, a line of the image longer: 0.4 x the time.
    by_tap = view.transpose(*range(axes + 1, 2 * axes + 2), *range(axes + 1))
    return by_tap.reshape(taps, 1, count).transpose(2, 0, 1)


def _product(rows: Array, w: Array, groups: int) -> Array:
    """Multiply rows (M, taps, C) by a weight: (M, O)."""
    if groups == 1:
        return _matrix(rows, 2) @ _matrix(w)
    y = _rows_by_group(rows, groups) @ _weights_by_group(w, groups)
    return y.transpose(1, 0, 2).reshape(rows.shape[0], w.shape[-1])


def _convolve_plain(
    x: Array, w: Array, b: Array, *, windows: Windows, sides: Sides, groups: int
) -> Array:
    x = np.pad(x, [(0, 0), *sides, (0, 0)])
    n, *lengths, channels = x.shape
    counts = windows.counts(tuple(lengths))
    rows = np.stack([x[place] for place in windows.slices(tuple(lengths))], axis=-2)
    rows = rows.reshape(n * math.prod(counts), windows.taps, channels)
    y = _product(rows, w, groups)
    return y.reshape(n, *counts, w.shape[-1]) + b


def _pad(x: Array, sides: Sides) -> Array:
    """Pad spatial axes with zeros; np.pad takes 20 us to find out what to do."""
    if not any([before or after for before, after in sides]):
        return x
    n, *lengths, channels = x.shape
    longer = [before + length + after for length, (before, after) in zip(lengths, sides)]
    padded = np.zeros((n, *longer, channels), x.dtype)
    padded[_inside(lengths, sides)] = x
    return padded


def _inside(lengths: Any, sides: Sides) -> Any:
    return (slice(None), *[slice(before, before + n) for n, (before, _) in zip(lengths, sides)])


def _convolve_forward(
    needs: Needs, x: Array, w: Array, b: Array, *, windows: Windows, sides: Sides, groups: int
) -> Any:
    padded = _pad(x, sides)
    view = windows.view(padded)
    counts = view.shape[1 : x.ndim - 1]
    rows = _rows(view, windows.taps, x.shape[-1])
    y = add_bias(_product(rows, w, groups), b)
    kept = (needs, rows if needs[1] else None, w, windows, sides, groups, padded.shape, x.shape)
    return y.reshape(len(x), *counts, w.shape[-1]), kept


def _convolve_backward(ct: Array, kept: Any) -> Any:
    needs, rows, w, windows, sides, groups, padded, shape = kept
    ct = _matrix(ct)
    dx = dw = db = None
    if needs[0]:
        dx = _add_rows(_row_cotangents(ct, w, groups), windows, padded)[_inside(shape[1:-1], sides)]
    if needs[1]:
        dw = _weight_cotangents(ct, rows, groups).reshape(w.shape)
    if needs[2]:
        db = bias_cotangent(ct)
    return dx, dw, db


def _row_cotangents(ct: Array, w: Array, groups: int) -> Array:
    """Return the cotangents of the rows (M, taps * C), in the order of x's channels."""
    if groups == 1:
        return ct @ _matrix(w).T
    *kernel, channels, _ = w.shape
    rows = _columns_by_group(ct, groups) @ _weights_by_group(w, groups).mT
    split = rows.reshape(groups, len(ct), math.prod(kernel), channels)
    return _matrix(split.transpose(1, 2, 0, 3), 3)


def _weight_cotangents(ct: Array, rows: Array, groups: int) -> Array:
    if groups == 1:
        return _matrix(rows, 2).T @ ct
    dw = _rows_by_group(rows, groups).mT @ _columns_by_group(ct, groups)
    return dw.transpose(1, 0, 2)


def _add_rows(rows: Array, windows: Windows, shape: Any) -> Array:
    """Add rows of windows back to an array of this shape: the transpose of taking the windows."""
    n, *lengths, channels = shape
    counts = windows.counts(tuple(lengths))
    x = np.zeros(shape, rows.dtype)
    rows = rows.reshape(n, *counts, *windows.kernel, channels)
    if n * math.prod(counts[:-1]) >= LINES:
        _add_runs(x, rows, windows)
    else:
        _add_entries(x, rows, windows)
    return x


LINES = 32  # so many at once make up for a call of NumPy's per window of a line


def _add_runs(x: Array, rows: Array, windows: Windows) -> None:
    """Add, for each window along the last spatial axis, a line of its entries: k * C side by side."""
    (*_, k), (*_, s), (*_, d) = windows.kernel, windows.stride, windows.dilation
    outer = Windows(windows.kernel[:-1], windows.stride[:-1], windows.dilation[:-1])
    axes = len(outer.kernel)
    for tap, place in zip(np.ndindex(outer.kernel), outer.slices(x.shape[1:-2])):
        lines = x[place]
        parts = rows[(slice(None),) * (axes + 2) + tap]
        for j in range(parts.shape[-3]):
            lines[..., j * s : j * s + d * (k - 1) + 1 : d, :] += parts[..., j, :, :]


def _add_entries(x: Array, rows: Array, windows: Windows) -> None:
    """Add, for each entry of a window, that entry of all windows."""
    axes = len(windows.kernel)
    for tap, place in zip(np.ndindex(windows.kernel), windows.slices(x.shape[1:-1])):
        x[place] += rows[(slice(None),) * (axes + 1) + tap]


convolve = Fused(_convolve_plain, _convolve_forward, _convolve_backward)


def spread(x: Array, stride: Any) -> Array:
    """Put stride - 1 zeros between neighbours along each spatial axis."""
    for axis, s in enumerate(stride, 1):
        if s > 1:
            n = x.shape[axis]
            shape = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
            sides = [(0, 0)] * len(shape)
            sides[axis + 1] = (0, s - 1)
            wide = np.pad(x.reshape(shape), sides)
            wide = wide.reshape((*x.shape[:axis], n * s, *x.shape[axis + 1 :]))
            x = wide[(slice(None),) * axis + (slice(n * s - s + 1),)]
    return x


def flipped(w: Array, axes: int) -> Array:
    """Return a weight with its kernel from back to front."""
    return w[(slice(None, None, -1),) * axes]
