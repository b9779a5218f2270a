"""Activation functions: plain NumPy, without overflow, with the derivatives of the field.

Must not know layers. Read next: `initializers.py`.
"""

import math
from typing import Any, TypeAlias

import numpy as np

from funcgrad.nn.fused import Fused, Needs
from funcgrad.nn.rows import largest, total

__all__ = [
    "elu",
    "gelu",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]

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
    return fused_relu(x)


def _relu_plain(x: Array) -> Array:
    # Not x * (x > 0), which is NaN at -inf; not x > 0 as the condition, which turns NaN into 0.
    return np.where(x <= 0, 0, x)


def _relu_forward(needs: Needs, x: Array) -> Any:
    if not x.shape:
        y = np.maximum(x, 0)
        return y, y
    y = np.zeros(x.shape, x.dtype, "F" if x.flags.fnc else "C")
    np.maximum(x, y, out=y)  # with the number 0 NumPy takes twice as long
    return y, y


def _relu_backward(ct: Array, y: Array) -> Any:
    dx = (y > 0).astype(ct.dtype)
    dx *= ct
    return (dx,)


fused_relu = Fused(_relu_plain, _relu_forward, _relu_backward)


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """Return x where it is positive, and slope * x elsewhere.

    The derivative at 0 is `slope`, as in PyTorch.

    Parameters
    ----------
    x : array
    slope : float, default 0.01

    Returns
    -------
    array
        Same shape and dtype.

    References
    ----------
    A. Maas, A. Hannun and A. Ng, Rectifier nonlinearities improve neural network acoustic models,
    ICML 2013.

    Examples
    --------
    >>> leaky_relu(np.array([-100.0, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    return np.where(x <= 0, slope * x, x)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Return x where it is positive, and alpha * (exp(x) - 1) elsewhere.

    The derivative at 0 is `alpha`.

    Parameters
    ----------
    x : array
    alpha : float, default 1.0

    Returns
    -------
    array
        Same shape and dtype.

    References
    ----------
    D.-A. Clevert, T. Unterthiner and S. Hochreiter, Fast and accurate deep network learning by
    exponential linear units, ICLR 2016.

    Examples
    --------
    >>> elu(np.array([-1000.0, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    positive = x > 0
    return np.where(positive, x, alpha * np.expm1(np.where(positive, 0, x)))


def gelu(x: Array) -> Array:
    """Return x times the probability that a standard normal variable is below x.

    The probability is approximated by ``(1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2``: JAX's
    default, PyTorch's ``approximate="tanh"``. It is off by less than 5e-4.

    Parameters
    ----------
    x : array

    Returns
    -------
    array
        Same shape and dtype.

    References
    ----------
    D. Hendrycks and K. Gimpel, Gaussian error linear units, arXiv:1606.08415, 2016.

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 1.0, 10.0]))
    array([-0.158808,  0.      ,  0.841192, 10.      ])
    """
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x)))


def silu(x: Array) -> Array:
    """Return x * sigmoid(x), also known as swish.

    Parameters
    ----------
    x : array

    Returns
    -------
    array
        Same shape and dtype.

    References
    ----------
    P. Ramachandran, B. Zoph and Q. Le, Searching for activation functions, arXiv:1710.05941, 2017.

    Examples
    --------
    >>> silu(np.array([-1000.0, 0.0, 1000.0]))
    array([  -0.,    0., 1000.])
    """
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x)), a smooth relu, without overflow.

    Parameters
    ----------
    x : array

    Returns
    -------
    array
        Same shape and dtype; positive.

    Examples
    --------
    >>> softplus(np.array([-1000.0, 0.0, 1000.0]))
    array([0.00000e+00, 6.93147e-01, 1.00000e+03])
    """
    return np.logaddexp(0, x)


def mish(x: Array) -> Array:
    """Return x * tanh(softplus(x)).

    Parameters
    ----------
    x : array

    Returns
    -------
    array
        Same shape and dtype.

    References
    ----------
    D. Misra, Mish: a self regularized non-monotonic activation function, BMVC 2020.

    Examples
    --------
    >>> mish(np.array([0.0, 1000.0]))
    array([   0., 1000.])
    """
    return x * np.tanh(softplus(x))


def hard_tanh(x: Array) -> Array:
    """Limit to the interval from -1 to 1; the derivative at its ends is 0, as in PyTorch.

    Parameters
    ----------
    x : array

    Returns
    -------
    array
        Same shape and dtype.

    Examples
    --------
    >>> hard_tanh(np.array([-3.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """
    return np.where(x <= -1, -1, np.where(x >= 1, 1, x))


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
    return fused_sigmoid(x)


def _sigmoid_plain(x: Array) -> Array:
    # exp only of what is negative: 1 / (1 + e^-x) for x >= 0, e^x / (1 + e^x) for x < 0. Not
    # exp(-abs(x)): abs has the derivative 0 at 0, and so would the sigmoid.
    negative = x < 0
    e = np.exp(np.where(negative, x, -x))
    return np.where(negative, e, 1) / (1 + e)


def _sigmoid_forward(needs: Needs, x: Array) -> Any:
    negative = x < 0
    e = np.exp(np.where(negative, x, -x))
    y = 1 / (1 + e)
    slope = e * y * y
    return np.where(negative, e * y, y), slope


def _sigmoid_backward(ct: Array, slope: Array) -> Any:
    return (ct * slope,)


fused_sigmoid = Fused(_sigmoid_plain, _sigmoid_forward, _sigmoid_backward)


def log_sigmoid(x: Array) -> Array:
    """Return log(sigmoid(x)), without overflow or log(0).

    Parameters
    ----------
    x : array

    Returns
    -------
    array
        Same shape and dtype; not positive.

    Examples
    --------
    >>> log_sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.00000e+03, -6.93147e-01, -0.00000e+00])
    """
    return -np.logaddexp(0, -x)


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
    return fused_tanh(x)


def _tanh_forward(needs: Needs, x: Array) -> Any:
    y = np.tanh(x)
    return y, y


def _tanh_backward(ct: Array, y: Array) -> Any:
    return (ct - ct * (y * y),)


fused_tanh = Fused(np.tanh, _tanh_forward, _tanh_backward)


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
    return fused_softmax(x, axis=axis)


def _softmax_plain(x: Array, *, axis: Axis) -> Array:
    e = np.exp(shifted(x, axis))
    return e / e.sum(axis=axis, keepdims=True)


def _softmax_forward(needs: Needs, x: Array, *, axis: Axis) -> Any:
    y = np.exp(_shifted_rows(x, axis))
    y /= total(y, axis)
    return y, (y, axis)


def _softmax_backward(ct: Array, residuals: Any) -> Any:
    y, axis = residuals
    dx = ct * y
    dx -= y * total(dx, axis)
    return (dx,)


fused_softmax = Fused(_softmax_plain, _softmax_forward, _softmax_backward)


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
    return fused_log_softmax(x, axis=axis)


def _log_softmax_plain(x: Array, *, axis: Axis) -> Array:
    x = shifted(x, axis)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def _log_softmax_forward(needs: Needs, x: Array, *, axis: Axis) -> Any:
    y = _shifted_rows(x, axis)
    y -= np.log(total(np.exp(y), axis))
    return y, (y, axis)


def _log_softmax_backward(ct: Array, residuals: Any) -> Any:
    y, axis = residuals
    return (ct - np.exp(y) * total(ct, axis),)


fused_log_softmax = Fused(_log_softmax_plain, _log_softmax_forward, _log_softmax_backward)


def shifted(x: Array, axis: Axis) -> Array:
    """Subtract a whole number within 1 of the largest entry: a constant for derivatives."""
    # floor has derivative zero, so its result is a plain array under grad. That is exact, since the
    # softmax does not depend on the shift. The maximum first: over short rows, a traced one is quicker.
    if not getattr(x, "size", 1):  # nothing to shift, and no largest entry
        return x
    return x - np.floor(np.max(x, axis=axis, keepdims=True))


def _shifted_rows(x: Array, axis: Axis) -> Array:
    """Do the same with a plain array, quicker for short rows."""
    return x - np.floor(largest(x, axis)) if x.size else x.copy()
