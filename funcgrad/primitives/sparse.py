"""Products of traced arrays with SciPy's sparse matrices, which are constants: `A @ x` and `x @ A`.

Loaded when the first one comes (see `call_ufunc` in `operators.py`), so importing funcgrad needs no SciPy.
"""

import math
from typing import Any

import numpy as np

from funcgrad.core import Primitive, Tracer, dotted_name, unsupported
from funcgrad.primitives.families import primitive


def _matrix(matrix: Any, data: Any, indices: Any, indptr: Any) -> Any:
    """Return the matrix of these arrays: its own, or those at the time of the product if it was changed since."""
    if data is matrix.data and indices is matrix.indices and indptr is matrix.indptr:
        return matrix
    return type(matrix)((data, indices, indptr), shape=matrix.shape)


def _product(x: Any, matrix: Any) -> Any:
    return _multiply(x, matrix.data, matrix.indices, matrix.indptr, matrix=matrix)


def _batch(args: Any, mapped: Any, settings: Any) -> Any:
    x, *arrays = args
    columns = np.moveaxis(x, 0, -1)
    n, *rest = columns.shape
    product = _multiply(columns.reshape(n, math.prod(rest)), *arrays, **settings)
    return np.moveaxis(product.reshape(len(product), *rest), -1, 0)


# d(A x) = A dx, with the transpose A^T ct. The arrays of A are arguments, for constants are guarded against
# changes; SciPy itself sorts the indices of a matrix in place.
_multiply: Primitive = primitive(
    "sparse_product",
    lambda x, data, indices, indptr, matrix: _matrix(matrix, data, indices, indptr) @ x,
    vjp=(
        lambda ct, data, indices, indptr, matrix: _product(
            ct, _matrix(matrix, data, indices, indptr).T
        ),
        *(None, None, None),
    ),
    jvp=(
        lambda t, data, indices, indptr, matrix: _product(
            t, _matrix(matrix, data, indices, indptr)
        ),
        *(None, None, None),
    ),
    batch=_batch,
    parameters=("x", "data", "indices", "indptr"),
)


def times_sparse(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    """Return the product of a traced array and a sparse matrix; refuse every other operation."""
    matrix, x = inputs if isinstance(inputs[-1], Tracer) else inputs[::-1]
    star = ufunc is np.multiply and x.ndim and type(matrix).__name__.endswith("_matrix")
    if ufunc is not np.matmul and not star:
        unsupported(
            f"{dotted_name(ufunc)} of a sparse matrix and a traced array",
            "write A @ x or x @ A, with factors and terms outside: t * (A @ x); or A.toarray()",
        )
    if not 1 <= x.ndim <= 2:
        raise ValueError(f"matmul: a sparse matrix and an array of {x.ndim} dimensions")
    if x is inputs[0]:
        return _times(matrix.T, x.T).T
    return _times(matrix, x)


def _times(matrix: Any, x: Any) -> Any:
    if x.shape[0] != matrix.shape[1]:
        raise ValueError(f"matmul: dimension mismatch of shapes {matrix.shape} and {x.shape}")
    matrix = matrix if matrix.format in ("csr", "csc") else matrix.tocsr()
    return _product(x, matrix)
