"""Interpolation between points."""

from typing import Any

import numpy as np

from funcgrad.core import HANDLERS, Primitive, as_array, handle, is_traced
from funcgrad.primitives.axes import in_dtype
from funcgrad.primitives.families import constant, primitive
from funcgrad.primitives.indexing import _by_example
from funcgrad.primitives.plain import is_mapped, settled


def _batch_places(new: Any) -> Any:
    def batch(args: Any, mapped: Any, settings: Any) -> Any:
        if not mapped[0]:  # a table for all examples: each value is looked up by itself
            return new(*args, **settings)
        return _by_example(new, args, mapped, settings)

    return batch


_searchsorted: Primitive = constant(
    np.searchsorted, batch=lambda *batch: _batch_places(_searchsorted)(*batch)
)


@handle(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Return the places where the values belong among sorted ones, constants."""
    a = as_array(a)
    a = a if sorter is None else a[as_array(sorter)]
    return _searchsorted(a, as_array(v), side=side)


_digitize: Primitive = constant(
    lambda bins, x, right: np.digitize(x, bins, right),
    name="digitize",
    batch=lambda *batch: _batch_places(_digitize)(*batch),
)


@handle(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Return the bin of each value, a constant."""
    return _digitize(as_array(bins), as_array(x), right=right)


def _periodic(x: Any, xp: Any, fp: Any, period: Any) -> Any:
    """Return the points in one period, in order, with one more at either end."""
    if settled(period) == 0:
        raise ValueError("period must be a non-zero value")
    period = abs(period)
    x, xp = x % period, xp % period
    order = np.argsort(xp)
    xp, fp = [HANDLERS["getitem"](table, order) for table in (xp, fp)]
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, np.concatenate([fp[-1:], fp, fp[:1]])


def _intervals(x: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Return the interval of each x, the weight of its upper end, and whether x is in the table at all."""
    j = np.clip(np.searchsorted(xp, x, "right") - 1, 0, len(xp) - 2)
    low, high = xp[j], xp[j + 1]
    run = np.where(high == low, 1, high - low)  # of two points at one place the latter counts
    return j, (x - low) / run, (x >= xp[0]) & (x <= xp[-1])


def _interp_slope(x: Any, xp: Any, fp: Any) -> Any:
    """Return the slope of the interval that x is in, 0 outside of the table."""
    j, _, inside = _intervals(x, xp)
    run = xp[j + 1] - xp[j]
    return np.where(inside, (fp[j + 1] - fp[j]) / np.where(run == 0, 1, run), 0)


def _to_both_ends(lower: Any, upper: Any, j: Any, n: int) -> Any:
    """Add what belongs to either end of the intervals up over the table."""
    values = np.concatenate([lower.reshape(-1), upper.reshape(-1)])
    places = np.concatenate([j.reshape(-1), j.reshape(-1) + 1])
    return HANDLERS["scatter"](values, index=(places,), shape=(n,))


def _interp_vjp_xp(ct: Any, x: Any, xp: Any, fp: Any) -> Any:
    j, weight, _ = _intervals(x, xp)
    ct = -ct * _interp_slope(x, xp, fp)
    return _to_both_ends(ct * (1 - weight), ct * weight, j, len(xp))


def _interp_jvp_xp(t: Any, x: Any, xp: Any, fp: Any) -> Any:
    j, weight, _ = _intervals(x, xp)
    return -_interp_slope(x, xp, fp) * (t[j] * (1 - weight) + t[j + 1] * weight)


def _interp_weights(x: Any, xp: Any, left: Any, right: Any) -> tuple[Any, Any, Any]:
    """Return the interval of each x and the derivatives by the values at both ends."""
    j, weight, _ = _intervals(x, xp)
    low, high = x < xp[0], x > xp[-1]
    below = np.where(low, left is None, np.where(high, 0, 1 - weight))
    return j, below, np.where(high, right is None, np.where(low, 0, weight))


def _interp_vjp_fp(ct: Any, x: Any, xp: Any, left: Any, right: Any) -> Any:
    j, below, above = _interp_weights(x, xp, left, right)
    return _to_both_ends(ct * below, ct * above, j, len(xp))


def _interp_jvp_fp(t: Any, x: Any, xp: Any, left: Any, right: Any) -> Any:
    j, below, above = _interp_weights(x, xp, left, right)
    return t[j] * below + t[j + 1] * above


_interp: Primitive = primitive(
    "interp",
    lambda x, xp, fp, left, right: np.interp(x, xp, fp, left, right),
    vjp=(lambda ct, x, xp, fp: ct * _interp_slope(x, xp, fp), _interp_vjp_xp, _interp_vjp_fp),
    jvp=(lambda t, x, xp, fp: t * _interp_slope(x, xp, fp), _interp_jvp_xp, _interp_jvp_fp),
    parameters=("x", "xp", "fp"),
)


@handle(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Interpolate linearly; at a point of the table the slope is that of the interval above it."""
    double = np.dtype(np.float64)
    x, xp, fp = in_dtype(as_array(x), double), in_dtype(as_array(xp), double), as_array(fp)
    fp = in_dtype(fp, np.dtype(np.complex128) if fp.dtype.kind == "c" else double)
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences")
    if len(xp) != len(fp):
        raise ValueError("fp and xp are not of the same length.")
    if not len(xp):
        raise ValueError("array of sample points is empty")
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, period)
        left = right = None
    if len(xp) > 1 and not any([is_mapped(a) for a in (x, xp, fp)] + [is_traced((left, right))]):
        return _interp(x, xp, fp, left=left, right=right)
    return _interpolated(
        x, xp, fp, fp[0] if left is None else left, fp[-1] if right is None else right
    )


def _interpolated(x: Any, xp: Any, fp: Any, left: Any, right: Any) -> Any:
    if len(xp) == 1:
        inside = np.broadcast_to(fp[0], x.shape)
    else:
        j = np.clip(np.searchsorted(xp, x, "right") - 1, 0, len(xp) - 2)
        rise, run = fp[1:] - fp[:-1], xp[1:] - xp[:-1]
        slope = rise / np.where(run == 0, 1, run)  # of two points at one place the latter counts
        slope, below, value = [HANDLERS["getitem"](table, j) for table in (slope, xp, fp)]
        inside = slope * (x - below) + value
        inside = np.where(np.isnan(x), x, inside)
    return np.where(x < xp[0], left, np.where(x > xp[-1], right, inside))
