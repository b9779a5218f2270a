"""Losses: a scalar from predictions and targets, the mean over the samples.

The last axis of logits counts the classes, all axes before it the samples. Must not know layers.
Read next: `optimizers.py`.
"""

import math
from typing import Any

import numpy as np

from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.nn.activations import Array, shifted

__all__ = [
    "half_squared_error",
    "mean_squared_error",
    "multiclass_hinge",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]


def mean_squared_error(predictions: Array, targets: Array) -> Array:
    """Return the mean of (y - t)^2 over all entries.

    Parameters
    ----------
    predictions : array of any shape
    targets : array of the same shape
        Never broadcast: (N,) against (N, 1) would compare each sample with every other one.

    Returns
    -------
    scalar

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> float(mean_squared_error(np.array([1.0, 4.0]), np.array([1.0, 2.0])))
    2.0
    """
    return np.square(_difference("mean_squared_error", predictions, targets)).mean()


def half_squared_error(predictions: Array, targets: Array) -> Array:
    """Return sum((y - t)^2) / 2N, N being the number of samples, the length of the first axis.

    Parameters
    ----------
    predictions : array of shape (N, ...)
    targets : array of the same shape

    Returns
    -------
    scalar

    Raises
    ------
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> float(half_squared_error(np.array([[1.0, 0.0], [0.0, 3.0]]), np.eye(2)))
    1.0
    """
    difference = _difference("half_squared_error", predictions, targets)
    samples = difference.shape[0] if difference.shape else 1
    return np.square(difference).sum() / (2 * samples)


def softmax_cross_entropy(logits: Array, labels: Array) -> Array:
    """Return the cross-entropy between labels and softmax(logits), the mean over the samples.

    For the label y of a sample with logits z it is log(sum(exp(z))) - z[y]. The sum is computed
    after a shift by the largest logit, so that nothing overflows; the gradient is
    (softmax(z) - target) / N.

    Parameters
    ----------
    logits : array of shape (..., K)
        Before the softmax. With logits of -inf, use integer labels: 0 times -inf is NaN.
    labels : integer array of shape (...), or array of shape (..., K)
        The classes, from 0 to K - 1; or probabilities, one-hot for instance.

    Returns
    -------
    scalar

    Raises
    ------
    ArgumentError
        If a class is no integer, or out of range.
    ShapeError
        If the shape of the labels fits neither form.

    Examples
    --------
    >>> logits = np.log([[1.0, 3.0], [2.0, 2.0]])
    >>> float(softmax_cross_entropy(logits, np.array([1, 0])))  # -(log 0.75 + log 0.5) / 2
    0.490415
    >>> float(softmax_cross_entropy(logits, np.eye(2)[[1, 0]]))
    0.490415
    """
    logits, labels = _check_labels("softmax_cross_entropy", logits, labels)
    z = shifted(logits, -1)
    log_total = np.log(np.exp(z).sum(axis=-1))
    if labels.ndim < z.ndim:
        return (log_total - _entry_per_row(z, labels)).mean()
    labels = _in_dtype_of(z, labels)
    return (log_total * labels.sum(axis=-1) - (labels * z).sum(axis=-1)).mean()


def multiclass_hinge(logits: Array, labels: Array) -> Array:
    """Return the multi-class hinge loss, the mean over the samples.

    For the label y of a sample with scores z it is the sum over the other classes j of
    max(0, 1 + z[j] - z[y]). The derivative at the corner is 0.

    Parameters
    ----------
    logits : array of shape (..., K)
        Scores.
    labels : integer array of shape (...), or array of shape (..., K)
        The classes, from 0 to K - 1; or one-hot rows.

    Returns
    -------
    scalar

    Raises
    ------
    ArgumentError
        If a class is no integer, or out of range; if a row is not one-hot.
    ShapeError
        If the shape of the labels fits neither form.

    References
    ----------
    J. Weston and C. Watkins, Support vector machines for multi-class pattern recognition, ESANN
    1999.

    Examples
    --------
    >>> float(multiclass_hinge(np.array([[2.0, 1.5, 0.0]]), np.array([0])))
    0.5
    """
    logits, labels = _check_labels("multiclass_hinge", logits, labels)
    if labels.ndim == logits.ndim:
        _check_one_hot(labels)
        labels = labels.argmax(axis=-1)
    margins = 1 + logits - _entry_per_row(logits, labels)[..., None]
    right = np.arange(logits.shape[-1]) == labels[..., None]
    return np.where(np.logical_or(right, margins <= 0), 0, margins).sum(axis=-1).mean()


def sigmoid_cross_entropy(logits: Array, labels: Array) -> Array:
    """Return the binary cross-entropy of labels and sigmoid(logits), the mean over all entries.

    For a logit z and its label t it is log(1 + exp(z)) - t z, computed without overflow; the
    gradient is (sigmoid(z) - t) / N.

    Parameters
    ----------
    logits : array of any shape
        Before the sigmoid.
    labels : array of the same shape
        0 or 1, booleans, or probabilities.

    Returns
    -------
    scalar

    Raises
    ------
    ArgumentError
        If a label is not between 0 and 1.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> float(sigmoid_cross_entropy(np.array([0.0, 1e4]), np.array([1, 1])))  # log(2) / 2
    0.346574
    """
    logits, labels = _as_array(logits), _as_array(labels)
    _check_same_shape("sigmoid_cross_entropy", logits, labels)
    if _is_plain(labels) and not np.all((labels >= 0) & (labels <= 1)):
        low, high = labels.min(), labels.max()
        what = f"sigmoid_cross_entropy needs labels from 0 to 1, but got {low} to {high}."
        raise fail(ArgumentError, what, "map labels -1 and 1 by (labels + 1) / 2.")
    return (np.logaddexp(0, logits) - logits * _in_dtype_of(logits, labels)).mean()


def _difference(name: str, predictions: Array, targets: Array) -> Array:
    predictions, targets = _as_array(predictions), _as_array(targets)
    _check_same_shape(name, predictions, targets)
    return predictions - _in_dtype_of(predictions, targets)


def _entry_per_row(rows: Array, labels: Array) -> Array:
    """Pick rows[..., label] for each label: shape (..., K) and (...) to (...)."""
    if rows.ndim == 2:
        return rows[np.arange(len(rows)), labels]
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    return flat[np.arange(len(flat)), labels.reshape(-1)].reshape(labels.shape)


def _as_array(x: Any) -> Array:
    return x if hasattr(x, "shape") else np.asarray(x)


def _is_plain(x: Any) -> bool:
    """Tell whether values can be looked at: those of a traced or batched array cannot."""
    return isinstance(x, (np.ndarray, np.generic))


def _in_dtype_of(x: Array, targets: Array) -> Array:
    """Cast plain targets to the floating dtype of `x`: float64 data must not widen float32."""
    if not _is_plain(targets) or targets.dtype == x.dtype:
        return targets
    return targets.astype(x.dtype) if x.dtype.kind == "f" and targets.dtype.kind != "c" else targets


def _check_same_shape(name: str, predictions: Array, targets: Array) -> None:
    if predictions.shape != targets.shape:
        what = (
            f"{name} needs predictions and targets of one shape, "
            f"but got {predictions.shape} and {targets.shape}."
        )
        raise fail(ShapeError, what, "reshape the targets, for instance targets[:, None].")


def _check_labels(name: str, logits: Any, labels: Any) -> tuple[Array, Array]:
    """Return logits (..., K) and labels, classes (...) or rows (..., K), as arrays."""
    logits, labels = _as_array(logits), _as_array(labels)
    if not logits.shape or not logits.shape[-1]:
        what = f"{name} needs logits of shape (..., K), K > 0, but got {logits.shape}."
        raise fail(ShapeError, what, "the last axis counts the classes.")
    if labels.shape == logits.shape:
        return logits, labels
    if labels.shape != logits.shape[:-1]:
        what = (
            f"{name} needs labels of shape {logits.shape[:-1]} (classes) or {logits.shape} "
            f"(one-hot) for logits of shape {logits.shape}, but got {labels.shape}."
        )
        raise fail(ShapeError, what, "give each row of the logits one label.")
    _check_classes(name, logits.shape[-1], labels)
    return logits, labels


def _check_classes(name: str, count: int, labels: Array) -> None:
    if labels.dtype.kind not in "iu":
        what = f"{name} needs classes of an integer dtype, but got {labels.dtype}."
        raise fail(ArgumentError, what, "write labels.astype(int).")
    if not _is_plain(labels) or not labels.size:
        return
    low, high = labels.min(), labels.max()
    if low < 0 or high >= count:
        what = f"{name} needs labels from 0 to {count - 1}, but got {low} to {high}."
        raise fail(ArgumentError, what, "count the classes from 0, one logit for each.")


def _check_one_hot(labels: Array) -> None:
    if not _is_plain(labels):
        return
    if not np.all((labels == 0) | (labels == 1)) or not np.all(labels.sum(axis=-1) == 1):
        what = "multiclass_hinge needs one-hot rows, but got a row with other entries than one 1."
        raise fail(ArgumentError, what, "pass the classes: labels.argmax(axis=-1).")
