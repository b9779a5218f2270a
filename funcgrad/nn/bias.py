"""A bias along the last axis, and its cotangent: what affine maps and convolutions share.

Must not know layers. Read next: `convolving.py`.
"""

import math

import numpy as np

from funcgrad.nn.activations import Array

__all__ = ["add_bias", "bias_cotangent"]


def add_bias(y: Array, b: Array) -> Array:
    """Return y + b for y of shape (..., O), a result of ours: in its memory if the dtype allows."""
    if y.dtype != b.dtype:
        return y + b
    if b.size >= 128 or y.size < 8192:
        return np.add(y, b, out=y)
    # NumPy starts anew for each row, which costs as much as 50 entries: several rows at a time.
    rows = np.empty((math.gcd(y.size // b.size, 256), b.size), b.dtype)
    rows[:] = b
    lines = y.reshape(-1, rows.size)
    np.add(lines, rows.reshape(-1), out=lines)
    return y


def bias_cotangent(ct: Array) -> Array:
    """Return the sum over the rows of a table: a product, which BLAS does quicker than NumPy sums."""
    few = len(ct) <= 32  # rows, which NumPy sums sooner than it makes the ones
    cotangent: Array = np.add.reduce(ct) if few else np.ones(len(ct), ct.dtype) @ ct
    return cotangent
