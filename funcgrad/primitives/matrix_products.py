"""Products of matrices beyond matmul, and diagonals."""

import operator
import warnings
from typing import Any

import numpy as np

from funcgrad.broadcasting import unbroadcast
from funcgrad.core import HANDLERS, Primitive, as_array, handle, unsupported
from funcgrad.primitives.axes import as_number, normalize_axis, outside, read_only
from funcgrad.primitives.families import bilinear, linear
from funcgrad.primitives.indexing import scatter
from funcgrad.primitives.linalg import aligned_matrices
from funcgrad.primitives.matrices import identity

# --- products ------------------------------------------------------------------------------------


@handle(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Any:
    """Return a whole power of square matrices, by repeated squaring."""
    a = as_array(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    try:
        n = operator.index(n)
    except TypeError as error:
        raise TypeError("exponent must be an integer") from error
    if n == 0:
        return np.zeros_like(a) + identity(a.shape[-1])
    power = np.linalg.inv(a) if n < 0 else a
    n, result = abs(n), None
    while n:
        n, bit = divmod(n, 2)
        if bit:
            result = power if result is None else result @ power
        power = power @ power if n else power
    return result


def _cheapest_order(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Return where to split each chain of matrices so that it costs the fewest products."""
    n = len(sizes) - 1
    if n == 3:  # the usual case
        k, m, p, q = sizes
        last = k * m * p + k * p * q < m * p * q + k * m * q
        return {(0, 2): int(last), (0, 1): 0, (1, 2): 1}
    cost, split = {(i, i): 0 for i in range(n)}, {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            costs = [
                cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            ]
            cost[i, j] = min(costs)
            split[i, j] = i + costs.index(cost[i, j])
    return split


@handle(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """Return the product of two or more matrices, in the cheapest order."""
    if out is not None:
        unsupported("np.linalg.multi_dot with out=", "use the returned value")
    xs = [as_array(x) for x in arrays]
    if len(xs) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(xs) == 2:
        return HANDLERS[np.dot](xs[0], xs[1])
    row, column = xs[0].ndim == 1, xs[-1].ndim == 1
    xs[0] = xs[0][None, :] if row else xs[0]
    xs[-1] = xs[-1][:, None] if column else xs[-1]
    if any([x.ndim != 2 for x in xs]):
        raise np.linalg.LinAlgError("multi_dot takes matrices, and vectors at the ends")
    split = _cheapest_order([xs[0].shape[0], *[x.shape[1] for x in xs]])

    def product(i: int, j: int) -> Any:
        return xs[i] if i == j else product(i, split[i, j]) @ product(split[i, j] + 1, j)

    result = product(0, len(xs) - 1)
    result = result[0] if row else result
    return as_number(result[..., 0]) if column else result


def _between(shape: Any, ndim: int, first: bool) -> Any:
    """Return a shape of twice `ndim` axes: ones stand after (`first`) or before each length."""
    full = (1,) * (ndim - len(shape)) + tuple(shape)
    return tuple([n for m in full for n in ((m, 1) if first else (1, m))])


def _kron_value(x: Any, y: Any) -> Any:
    ndim = max(x.ndim, y.ndim)
    wide = x.reshape(_between(x.shape, ndim, True)) * y.reshape(_between(y.shape, ndim, False))
    return wide.reshape(
        tuple([m * n for m, n in zip(wide.shape[::2], wide.shape[1::2], strict=True)])
    )


def _kron_pull(ct: Any, other: Any, shape: Any, first: bool) -> Any:
    ndim = max(other.ndim, len(shape))
    mine, others = _between(shape, ndim, first), _between(other.shape, ndim, not first)
    pairs = tuple([m * n for m, n in zip(mine, others, strict=True)])
    axes = tuple(range(1, 2 * ndim, 2) if first else range(0, 2 * ndim, 2))
    return (ct.reshape(pairs) * other.reshape(others)).sum(axes).reshape(shape)


def _batch_kron(args: Any, mapped: Any, settings: Any) -> Any:
    ndim = max([x.ndim - m for x, m in zip(args, mapped, strict=True)])
    shapes = [x.shape[m:] for x, m in zip(args, mapped, strict=True)]
    wide = [
        x.reshape(x.shape[:m] + _between(shape, ndim, i == 0))
        for i, (x, m, shape) in enumerate(zip(args, mapped, shapes, strict=True))
    ]
    product = wide[0] * wide[1]
    pairs = zip(product.shape[1::2], product.shape[2::2], strict=True)
    return product.reshape((len(product), *[m * n for m, n in pairs]))


_kron: Primitive = bilinear(
    "kron",
    _kron_value,
    vjp=(
        lambda ct, y, x_shape: _kron_pull(ct, y, x_shape, True),
        lambda ct, x, y_shape: _kron_pull(ct, x, y_shape, False),
    ),
    batch=_batch_kron,
)


@handle(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Return the Kronecker product."""
    return _kron(as_array(a), as_array(b))


# ct . (x x y) = x . (y x ct) = y . (ct x x)
_cross: Primitive = bilinear(
    "cross",
    np.cross,
    vjp=(
        lambda ct, y, x_shape: unbroadcast(_cross(y, ct), x_shape),
        lambda ct, x, y_shape: unbroadcast(_cross(ct, x), y_shape),
    ),
    batch=lambda args, mapped, settings: _cross(*aligned_matrices(args, mapped)),
)


def _with_third(x: Any) -> Any:
    return x if x.shape[-1] == 3 else np.concatenate([x, np.zeros_like(x[..., :1])], -1)


_CROSS_NEEDS_THREE = np.lib.NumpyVersion(np.__version__) >= "2.5.0"


@handle(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Return the cross product of vectors; before NumPy 2.5 a missing third component is 0."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_array(a), as_array(b)
    if a.ndim < 1 or b.ndim < 1:
        raise ValueError("At least one array has zero dimension")
    a = a if axisa == -1 else np.moveaxis(a, axisa, -1)
    b = b if axisb == -1 else np.moveaxis(b, axisb, -1)
    sizes = (a.shape[-1], b.shape[-1])
    if sizes != (3, 3) and _CROSS_NEEDS_THREE:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, "
            f"but they are {sizes[0]} and {sizes[1]} dimensional instead."
        )
    if not {*sizes} <= {2, 3}:
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    if 2 in sizes:
        warnings.warn(
            "Arrays of 2-dimensional vectors are deprecated. Use arrays of 3-dimensional vectors instead.",
            DeprecationWarning,
            stacklevel=2,
        )
    result = _cross(_with_third(a), _with_third(b))
    if sizes == (2, 2):
        return result[..., 2]
    return result if axisc == -1 else np.moveaxis(result, -1, axisc)


@handle(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: int | None = -1) -> Any:
    """Return the cross product of vectors with three components."""
    x1, x2 = as_array(x1), as_array(x2)
    axis = -1 if axis is None else axis  # from NumPy 2.5 on
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, "
            f"but they are {x1.shape[axis]} and {x2.shape[axis]} dimensional instead."
        )
    return cross(x1, x2, axis=axis)


# --- diagonals -----------------------------------------------------------------------------------


def _places(shape: Any, offset: int) -> Any:
    """Return the index of a diagonal of matrices."""
    n = max(min(shape[-2] + min(offset, 0), shape[-1] - max(offset, 0)), 0)
    along = np.arange(n)
    return (..., along + max(-offset, 0), along + max(offset, 0))


def _without(shape: Any, axes: Any) -> Any:
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def _from_last(x: Any, axes: Any) -> Any:
    """Return `x` with its last two axes moved to `axes`."""
    return x if axes == (x.ndim - 2, x.ndim - 1) else np.moveaxis(x, (-2, -1), axes)


def _diagonal_back(ct: Any, x_shape: Any, offset: int, axes: Any) -> Any:
    shape = (*_without(x_shape, axes), *[x_shape[i] for i in axes])
    return _from_last(scatter(ct, index=_places(shape, offset), shape=shape), axes)


def _trace_back(ct: Any, x_shape: Any, offset: int, axes: Any) -> Any:
    n = len(_places([x_shape[i] for i in axes], offset)[1])
    return _diagonal_back(np.broadcast_to(ct[..., None], (*ct.shape, n)), x_shape, offset, axes)


_diagonal: Primitive = linear(
    "diagonal",
    lambda x, offset, axes: x.diagonal(offset, *axes),
    transpose=_diagonal_back,
    batch=lambda x, offset, axes: _diagonal(x, offset=offset, axes=outside(axes)),
)
_trace: Primitive = linear(
    "trace",
    lambda x, offset, axes: x.trace(offset, *axes),
    transpose=_trace_back,
    batch=lambda x, offset, axes: _trace(x, offset=offset, axes=outside(axes)),
)
_diagonal.unview = lambda base, new, settings: read_only()


@handle(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the diagonal over two axes, a read-only view."""
    a = as_array(a)
    return _diagonal(a, offset=operator.index(offset), axes=_two_axes(a.ndim, axis1, axis2))


def _two_axes(ndim: int, axis1: int, axis2: int) -> tuple[int, int]:
    if ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    axes = normalize_axis(axis1, ndim), normalize_axis(axis2, ndim)
    if axes[0] == axes[1]:
        raise ValueError("axis1 and axis2 cannot be the same")
    return axes


@handle(np.trace)
def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    """Sum the diagonal over two axes."""
    if out is not None:
        unsupported("np.trace with out=", "use the returned value")
    if dtype is not None:
        return diagonal(a, offset, axis1, axis2).sum(-1, dtype=dtype)
    a = as_array(a)
    return _trace(a, offset=operator.index(offset), axes=_two_axes(a.ndim, axis1, axis2))


@handle(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Return the diagonal of matrices."""
    return diagonal(x, offset, -2, -1)


@handle(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Return the trace of matrices."""
    return trace(x, offset, -2, -1, dtype)
