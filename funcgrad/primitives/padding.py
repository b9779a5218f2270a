"""Padding."""

from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, handle, plain_array
from funcgrad.primitives.axes import in_rows, laid_out, normalize_axis
from funcgrad.primitives.families import linear
from funcgrad.primitives.selection import take_along


def _pairs(x: Any, ndim: int) -> list[Any]:
    """Return (before, after) for each axis, from NumPy's short forms or traced numbers."""
    x = as_array(x)
    pairs = np.broadcast_to(x, (ndim, 2))
    return [(pairs[i, 0], pairs[i, 1]) for i in range(ndim)]


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        given = {normalize_axis(axis, ndim): width for axis, width in pad_width.items()}
        pad_width = [np.broadcast_to(given.get(i, 0), 2).tolist() for i in range(ndim)]
    widths = np.broadcast_to(plain_array(pad_width), (ndim, 2))
    if widths.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    if np.any(widths < 0):
        raise ValueError("index can't contain negative values")
    return [(int(a), int(b)) for a, b in widths]


def _constant_ends(x: Any, axis: int, before: int, after: int, values: Any) -> Any:
    ends = []
    for n, value in zip((before, after), values):
        shape = (*x.shape[:axis], n, *x.shape[axis + 1 :])
        ends.append(np.broadcast_to(as_array(value).astype(x.dtype), shape))
    return np.concatenate([ends[0], x, ends[1]], axis)


def _ramp(x: Any, axis: int, before: int, after: int, values: Any) -> Any:
    """Pad with straight lines from the edges to the values."""
    first, last = take_along(x, [0], axis), take_along(x, [-1], axis)
    ends = []
    for n, edge, value in ((before, first, values[0]), (after, last, values[1])):
        value = np.broadcast_to(as_array(value).astype(x.dtype), edge.shape)
        start, stop = [np.squeeze(y, axis) for y in (value, edge)]
        ends.append(np.linspace(start, stop, n, endpoint=False, dtype=x.dtype, axis=axis))
    return np.concatenate([ends[0], x, np.flip(ends[1], axis)], axis)


_STATISTICS: dict[str, Any] = {
    "maximum": np.max,
    "minimum": np.min,
    "mean": np.mean,
    "median": np.median,
}


def _statistic(x: Any, axis: int, before: int, after: int, mode: str, lengths: Any) -> Any:
    """Pad with a statistic of the entries next to the edge."""
    n, ends = x.shape[axis], []
    for places, length in zip((slice(None, None), slice(None, None, -1)), lengths):
        chosen = np.arange(n)[places][: n if length is None else int(length)]
        part = take_along(x, np.sort(chosen), axis)
        value = _STATISTICS[mode](part, axis=axis, keepdims=True)
        ends.append(np.round(value) if x.dtype.kind in "iu" else value)
    widths = [(*x.shape[:axis], k, *x.shape[axis + 1 :]) for k in (before, after)]
    filled = [np.broadcast_to(e, w).astype(x.dtype) for e, w in zip(ends, widths)]
    return np.concatenate([filled[0], x, filled[1]], axis)


def _odd(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    """Pad with the mirror image turned about the edge value, in steps of at most the array's length."""
    skip = int(mode == "reflect")
    if x.shape[axis] == 1:
        return _by_place(x, axis, before, after, "edge")
    while before or after:
        n = x.shape[axis]
        head, tail = min(before, n - skip), min(after, n - skip)
        left = 2 * take_along(x, [0], axis) - take_along(x, np.arange(head)[::-1] + skip, axis)
        right = 2 * take_along(x, [-1], axis) - take_along(x, n - 1 - skip - np.arange(tail), axis)
        x = np.concatenate([left, x, right], axis)
        before, after = before - head, after - tail
    return x


def _by_place(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    """Pad with entries of the array: which ones is a matter of places alone."""
    return take_along(x, np.pad(np.arange(x.shape[axis]), (before, after), mode), axis)  # type: ignore[call-overload]


def _inside(x_shape: Any, widths: Any) -> Any:
    return tuple([slice(before, before + n) for n, (before, _) in zip(x_shape, widths)])


def _with_zeros(x: Any, widths: Any) -> Any:
    out = np.zeros([a + n + b for n, (a, b) in zip(x.shape, widths)], x.dtype)
    out[_inside(x.shape, widths)] = x
    return out


_zero_pad: Primitive = linear(
    "pad",
    _with_zeros,
    transpose=lambda ct, x_shape, widths: ct[_inside(x_shape, widths)],
    batch=lambda x, widths: _zero_pad(x, widths=((0, 0), *widths)),
)

_OPTIONS: dict[str, dict[str, Any]] = {
    "constant": {"constant_values": 0},
    "linear_ramp": {"end_values": 0},
    "reflect": {"reflect_type": "even"},
    "symmetric": {"reflect_type": "even"},
    **{name: {"stat_length": None} for name in _STATISTICS},
    **{name: {} for name in ("edge", "wrap", "empty")},
}


@handle(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Pad by any of NumPy's modes, axis by axis."""
    array = as_array(array)
    return laid_out(in_rows(_pad(array, pad_width, mode, kwargs)), array, "A")


def _pad(array: Any, pad_width: Any, mode: Any, kwargs: dict[str, Any]) -> Any:
    if callable(mode):
        return _padded_by(array, _widths(pad_width, array.ndim), mode, kwargs)
    if mode not in _OPTIONS:
        raise ValueError(f"mode '{mode}' is not supported")
    unknown = set(kwargs) - set(_OPTIONS[mode])
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    options = {**_OPTIONS[mode], **kwargs}
    widths = _widths(pad_width, array.ndim)
    if mode == "constant" and isinstance(options["constant_values"], int | float):
        if options["constant_values"] == 0:
            return _zero_pad(array, widths=tuple(widths))
    for axis, (before, after) in enumerate(widths):
        if before or after:
            array = _padded(array, axis, before, after, mode, options)
    return array


def _padded_by(x: Any, widths: Any, fill: Any, kwargs: Any) -> Any:
    """Pad with zeros, which `fill` overwrites: it is given each row along each axis."""
    x = _zero_pad(x, widths=tuple(widths))
    for axis in range(x.ndim):
        rows = np.moveaxis(x, axis, -1)
        for i in np.ndindex(*rows.shape[:-1]):
            fill(rows[i], widths[axis], axis, kwargs)
    return x


def _padded(x: Any, axis: int, before: int, after: int, mode: str, options: Any) -> Any:
    if mode in ("constant", "empty"):
        values = _pairs(options.get("constant_values", 0), x.ndim)[axis]
        return _constant_ends(x, axis, before, after, values)
    if not x.shape[axis]:
        raise ValueError(
            f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'"
        )
    if mode == "linear_ramp":
        return _ramp(x, axis, before, after, _pairs(options["end_values"], x.ndim)[axis])
    if mode in _STATISTICS:
        lengths = options["stat_length"]
        lengths = (None, None) if lengths is None else _pairs(lengths, x.ndim)[axis]
        return _statistic(x, axis, before, after, mode, lengths)
    if options.get("reflect_type") == "odd":
        return _odd(x, axis, before, after, mode)
    return _by_place(x, axis, before, after, mode)
