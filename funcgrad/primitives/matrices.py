"""What the rules of linear algebra share: matrices in stacks."""

from typing import Any

import numpy as np

from funcgrad.core import Primitive
from funcgrad.primitives.families import elementwise


def adjoint(x: Any) -> Any:
    """Return the conjugate transpose."""
    return x.mT.conj() if x.dtype.kind == "c" else x.mT


def identity(n: int) -> Any:
    """Return the identity as a mask: a product with it keeps single precision."""
    return np.eye(n, dtype=bool)


def diagonal_matrix(x: Any) -> Any:
    """Return matrices with the entries of vectors on the diagonal."""
    return x[..., None] * identity(x.shape[-1])


def diagonal_of(x: Any) -> Any:
    """Return the diagonals of matrices."""
    return (x * identity(x.shape[-1])).sum(-1)


def hermitian_part(x: Any) -> Any:
    """Return the Hermitian part, which is its own transpose in the pairing too."""
    return (x + adjoint(x)) / 2


def _over(x: Any, gap: Any) -> Any:
    """Return x / gap, and 0 wherever x = 0."""
    zero = x == 0
    return np.where(zero, 0, x / np.where(zero, 1, gap))


# What is zero stays zero over a gap of zero: values without vectors differentiate at equal values.
over_gap: Primitive = elementwise(
    _over,
    lambda ct, y: over_gap(ct, y),
    lambda ct, ans, y: -over_gap(ct * ans, y),
    name="over_gap",
)


def over_gaps(x: Any, values: Any) -> Any:
    """Return x_ij / (v_j - v_i), and 0 on the diagonal."""
    same = identity(values.shape[-1])
    return over_gap(x * ~same, values[..., None, :] - values[..., :, None] + same)


def batched(primitive: Primitive) -> Any:
    """Return the batching of a function of one array whose leading axes are batch axes already."""
    return lambda args, mapped, settings: primitive(*args, **settings)


def squares(x: Any) -> Any:
    """Return |x|^2."""
    if x.dtype.kind == "c":
        return np.square(np.real(x)) + np.square(np.imag(x))
    return np.square(x)
