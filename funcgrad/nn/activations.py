"""Activation functions: plain NumPy, without overflow, with the derivatives of the field.

Must not know layers. Read next: `layers.py`, which makes layers of these.
"""

from typing import Any, TypeAlias

import numpy as np

__all__ = ["log_softmax", "relu", "sigmoid", "softmax", "tanh"]

Array: TypeAlias = Any  # an ndarray, or a traced one
Axis: TypeAlias = int | tuple[int, ...]


def relu(x: Array) -> Array:
    """Return the positive part, max(x, 0).

    The derivative is 1 for x > 0 and 0 elsewhere, at 0 too, as in PyTorch and JAX.
    ``np.maximum(x, 0)`` has the same value, but shares the tie at 0 and has the derivative 1/2.

    Parameters
    ----------
    x : array

    Returns
    -------
    array
        Same shape and dtype. NaN stays NaN.

    Examples
    --------
    >>> relu(np.array([-np.inf, -1.0, 0.0, 2.0, np.inf]))
    array([ 0.,  0.,  0.,  2., inf])
    """
    # Not x * (x > 0), which is NaN at -inf; not x > 0 as the condition, which turns NaN into 0.
    return np.where(x <= 0, 0, x)


def sigmoid(x: Array) -> Array:
    """Return the logistic function, 1 / (1 + exp(-x)).

    Value and derivative keep their relative precision in both tails, and nothing overflows.

    Parameters
    ----------
    x : array

    Returns
    -------
    array
        Same shape; between 0 and 1.

    See Also
    --------
    sigmoid_cross_entropy : the loss, from the values before the sigmoid.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, -40.0, 0.0, 1000.0]))
    array([0.00000000e+00, 4.24835426e-18, 5.00000000e-01, 1.00000000e+00])
    """
    # exp only of what is negative: 1 / (1 + e^-x) for x >= 0, e^x / (1 + e^x) for x < 0. Not
    # exp(-abs(x)): abs has the derivative 0 at 0, and so would the sigmoid.
    negative = x < 0
    e = np.exp(np.where(negative, x, -x))
    return np.where(negative, e, 1) / (1 + e)


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent.

    Parameters
    ----------
    x : array

    Returns
    -------
    array
        Same shape; between -1 and 1.

    Examples
    --------
    >>> tanh(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """
    return np.tanh(x)


def softmax(x: Array, axis: Axis = -1) -> Array:
    """Return exp(x) divided by its sum along an axis.

    Parameters
    ----------
    x : array of shape (..., K)
        Of any size: a row is shifted by its largest entry, which changes nothing and prevents
        overflow. An entry of -inf has probability 0; a row that holds +inf, or -inf alone, has no
        softmax and gives NaN.
    axis : int or tuple of int, default -1
        The axis that sums to one.

    Returns
    -------
    array
        Same shape; positive.

    See Also
    --------
    softmax_cross_entropy : the loss, from the values before the softmax.

    Examples
    --------
    >>> softmax(np.array([[0.0, np.log(3.0)], [1e4, 1e4]]))
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """
    e = np.exp(shifted(x, axis))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x: Array, axis: Axis = -1) -> Array:
    """Return the logarithm of the softmax, x - log(sum(exp(x))), without overflow or log(0).

    Parameters
    ----------
    x : array of shape (..., K)
        As for `softmax`.
    axis : int or tuple of int, default -1

    Returns
    -------
    array
        Same shape; not positive.

    Examples
    --------
    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    x = shifted(x, axis)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def shifted(x: Array, axis: Axis) -> Array:
    """Subtract a whole number within 1 of the largest entry: a constant for derivatives."""
    # floor has derivative zero, so its result is a plain array under grad. That is exact, since the
    # softmax does not depend on the shift. The maximum first: over short rows, a traced one is quicker.
    return x - np.floor(np.max(x, axis=axis, keepdims=True))
