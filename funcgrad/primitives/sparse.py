"""Products of traced arrays with SciPy's sparse matrices, which are constants: `A @ x` and `x @ A`.

Loaded when the first one comes (see `call_ufunc` in `core.py`), so importing funcgrad needs no SciPy.
"""

import math
from typing import Any

import numpy as np

from funcgrad.core import Primitive, Tracer, dotted_name, unsupported
from funcgrad.primitives.families import primitive


def _filled(matrix: Any, data: Any) -> Any:
    """Return the matrix with these entries: the ones at the time of the product, if it was changed since."""
    if data is matrix.data:
        return matrix
    return type(matrix)((data, matrix.indices, matrix.indptr), shape=matrix.shape)


# d(A x) = A dx, with the transpose A^T ct. The entries are an argument, for constants are guarded against changes.
def _adjoint(ct: Any, data: Any, matrix: Any) -> Any:
    transposed = _filled(matrix, data).T
    return _product(ct, transposed.data, matrix=transposed)


def _batch(args: Any, mapped: Any, settings: Any) -> Any:
    x, data = args
    columns = np.moveaxis(x, 0, -1)
    n, *rest = columns.shape
    product = _product(columns.reshape(n, math.prod(rest)), data, **settings)
    return np.moveaxis(product.reshape(len(product), *rest), -1, 0)


_product: Primitive = primitive(
    "sparse_product",
    lambda x, data, matrix: _filled(matrix, data) @ x,
    vjp=(_adjoint, None),
    jvp=(lambda t, data, matrix: _product(t, data, matrix=matrix), None),
    batch=_batch,
    parameters=("x", "data"),
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
    return _product(x, matrix.data, matrix=matrix)
