"""Losses of predictions against targets, and of probabilities.

Each returns a scalar, by default the mean; ``reduction="sum"`` gives the sum and ``"none"`` the losses
one by one. Must not know layers. Read next: `classification.py`.
"""

from typing import Any

import numpy as np

from funcgrad.errors import ArgumentError, fail
from funcgrad.nn.activations import Array
from funcgrad.nn.fused import Fused, Needs
from funcgrad.nn.settings import check_number
from funcgrad.nn.targets import (
    as_array,
    check_same_shape,
    difference,
    in_dtype_of,
    is_plain,
    paired,
    reduced,
)

__all__ = [
    "half_squared_error",
    "huber",
    "kl_divergence",
    "mean_absolute_error",
    "mean_squared_error",
]


def mean_squared_error(predictions: Array, targets: Array, *, reduction: str = "mean") -> Array:
    """Return the mean of (y - t)^2 over all entries.

    Parameters
    ----------
    predictions : array of any shape
    targets : array of the same shape
        Never broadcast: (N,) against (N, 1) would compare each sample with every other one.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    scalar, or array of the same shape

    Raises
    ------
    ArgumentError
        If `reduction` is none of the three.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> float(mean_squared_error(np.array([1.0, 4.0]), np.array([1.0, 2.0])))
    2.0
    """
    predictions, targets = paired("mean_squared_error", predictions, targets)
    if reduction == "mean" and predictions.size:
        result: Array = squares(predictions, targets, count=predictions.size)
        return result
    return reduced(np.square(predictions - targets), reduction)


def _squares_plain(predictions: Array, targets: Array, *, count: int) -> Array:
    squares = np.square(predictions - targets)
    mean = squares.mean()  # not the sum, nor a division by the count: float16 may hold neither
    return mean if count == squares.size else mean * (squares.size / count)


def _squares_forward(needs: Needs, predictions: Array, targets: Array, *, count: int) -> Any:
    error = predictions - targets
    flat = error.reshape(-1)
    if error.dtype == np.float16:  # whose squares add up to more than it can hold
        flat = flat.astype(np.float32)
    return error.dtype.type(flat.dot(flat) / count), (needs, error, count)


def _squares_backward(ct: Array, residuals: Any) -> Any:
    needs, error, count = residuals
    slope = error * (2 / count * ct)
    return slope if needs[0] else None, -slope if needs[1] else None


# sum((y - t)^2) / count
squares = Fused(_squares_plain, _squares_forward, _squares_backward)


def half_squared_error(predictions: Array, targets: Array, *, reduction: str = "mean") -> Array:
    """Return sum((y - t)^2) / 2N, N being the number of samples, the length of the first axis.

    Parameters
    ----------
    predictions : array of shape (N, ...)
    targets : array of the same shape
    reduction : {"mean", "sum", "none"}
        Over the samples.

    Returns
    -------
    scalar, or array of shape (N,)

    Raises
    ------
    ArgumentError
        If `reduction` is none of the three.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> float(half_squared_error(np.array([[1.0, 0.0], [0.0, 3.0]]), np.eye(2)))
    1.0
    """
    predictions, targets = paired("half_squared_error", predictions, targets)
    if reduction == "mean" and predictions.size:
        samples = predictions.shape[0] if predictions.shape else 1
        result: Array = squares(predictions, targets, count=2 * samples)
        return result
    each = np.square(predictions - targets)
    return reduced(each.sum(axis=tuple(range(1, each.ndim))) / 2, reduction)


def mean_absolute_error(predictions: Array, targets: Array, *, reduction: str = "mean") -> Array:
    """Return the mean of abs(y - t) over all entries; the derivative at y = t is 0.

    Parameters
    ----------
    predictions : array of any shape
    targets : array of the same shape
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    scalar, or array of the same shape

    Raises
    ------
    ArgumentError
        If `reduction` is none of the three.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> float(mean_absolute_error(np.array([1.0, 4.0]), np.array([1.0, 2.0])))
    1.0
    """
    return reduced(np.abs(difference("mean_absolute_error", predictions, targets)), reduction)


def huber(
    predictions: Array, targets: Array, *, delta: float = 1.0, reduction: str = "mean"
) -> Array:
    """Return the mean of half the squared error, which beyond `delta` grows in a straight line.

    For an error e it is e^2 / 2 up to delta, and delta (abs(e) - delta / 2) beyond.

    Parameters
    ----------
    predictions : array of any shape
    targets : array of the same shape
    delta : float, default 1.0
        Positive.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    scalar, or array of the same shape

    Raises
    ------
    ArgumentError
        If `delta` is not positive, or `reduction` none of the three.
    ShapeError
        If the shapes differ.

    References
    ----------
    P. Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> huber(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    check_number("huber", "delta", delta, 1.0, above=0)
    error = difference("huber", predictions, targets)
    size = np.abs(error)
    return reduced(
        np.where(size <= delta, 0.5 * error * error, delta * (size - 0.5 * delta)), reduction
    )


def kl_divergence(log_predictions: Array, targets: Array, *, reduction: str = "mean") -> Array:
    """Return the sum of t (log t - log y) over the last axis, the mean over the samples.

    The Kullback-Leibler divergence from predicted to true probabilities; 0 log 0 is 0, also where the
    prediction is 0.

    Parameters
    ----------
    log_predictions : array of shape (..., K)
        Logarithms of probabilities: `log_softmax` of logits.
    targets : array of shape (..., K)
        Probabilities.
    reduction : {"mean", "sum", "none"}
        Over the samples.

    Returns
    -------
    scalar, or array of shape (...)

    Raises
    ------
    ArgumentError
        If a target is negative, or `reduction` none of the three.
    ShapeError
        If the shapes differ.

    References
    ----------
    S. Kullback and R. Leibler, On information and sufficiency, Annals of Mathematical Statistics 22,
    1951.

    Examples
    --------
    >>> float(kl_divergence(np.log([0.5, 0.5]), np.array([1.0, 0.0])))  # log 2
    0.693147
    """
    log_y, t = as_array(log_predictions), as_array(targets)
    check_same_shape("kl_divergence", log_y, t)
    t = in_dtype_of(log_y, t)
    if is_plain(t) and np.any(t < 0):
        what = f"kl_divergence needs probabilities as targets, but got {t.min()}."
        raise fail(ArgumentError, what, "pass softmax(logits), not logits or their logarithms.")
    there = t > 0
    entropy = t * np.log(np.where(there, t, 1))
    return reduced((entropy - t * np.where(there, log_y, 0)).sum(axis=-1), reduction)
