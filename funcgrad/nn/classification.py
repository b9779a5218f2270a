"""Losses of scores against classes: cross-entropies and hinges.

The last axis of logits counts the classes, all axes before it the samples. Must not know layers.
Read next: `similarity.py`.
"""

from typing import Any

import numpy as np

from funcgrad.errors import ArgumentError, fail
from funcgrad.nn.activations import Array, shifted
from funcgrad.nn.fused import Fused, Needs
from funcgrad.nn.rows import largest, total
from funcgrad.nn.settings import check_number
from funcgrad.nn.targets import (
    as_array,
    check_binary,
    check_labels,
    check_one_hot,
    check_reduction,
    check_same_shape,
    entry_per_row,
    in_dtype_of,
    is_plain,
    reduced,
)

__all__ = [
    "multiclass_hinge",
    "multilabel_hinge",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]


def softmax_cross_entropy(
    logits: Array, labels: Array, *, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Array:
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
    label_smoothing : float, default 0.0
        The share s of each target that is spread over all classes: (1 - s) t + s / K.
    reduction : {"mean", "sum", "none"}
        Over the samples.

    Returns
    -------
    scalar, or array of shape (...)

    Raises
    ------
    ArgumentError
        If a class is no integer, or out of range; if the smoothing or the reduction is.
    ShapeError
        If the shape of the labels fits neither form.

    References
    ----------
    Label smoothing: C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, Rethinking the
    Inception architecture for computer vision, CVPR 2016, section 7.

    Examples
    --------
    >>> logits = np.log([[1.0, 3.0], [2.0, 2.0]])
    >>> float(softmax_cross_entropy(logits, np.array([1, 0])))  # -(log 0.75 + log 0.5) / 2
    0.490415
    >>> float(softmax_cross_entropy(logits, np.eye(2)[[1, 0]]))
    0.490415
    """
    logits, labels = check_labels("softmax_cross_entropy", logits, labels)
    check_number("softmax_cross_entropy", "label_smoothing", label_smoothing, 0.1, least=0, below=1)
    check_reduction(reduction)
    if labels.ndim < logits.ndim:
        result: Array = _cross_entropy(
            logits, labels, smoothing=label_smoothing, reduction=reduction
        )
        return result
    labels = in_dtype_of(logits, labels)
    if label_smoothing:
        labels = (1 - label_smoothing) * labels + label_smoothing / logits.shape[-1]
    z = shifted(logits, -1)
    log_total = np.log(np.exp(z).sum(axis=-1))
    return reduced(log_total * labels.sum(axis=-1) - (labels * z).sum(axis=-1), reduction)


def _cross_entropy_plain(
    logits: Array, labels: Array, *, smoothing: float, reduction: str
) -> Array:
    z = shifted(logits, -1)
    of_label = entry_per_row(z, labels)
    if smoothing:
        of_label = (1 - smoothing) * of_label + smoothing * z.mean(axis=-1)
    return reduced(np.log(np.exp(z).sum(axis=-1)) - of_label, reduction)


def _cross_entropy_forward(
    needs: Needs, logits: Array, labels: Array, *, smoothing: float, reduction: str
) -> Any:
    classes = logits.shape[-1]
    rows = logits if logits.ndim == 2 else logits.reshape(labels.size, classes)
    z = rows - largest(rows, -1)
    p = np.exp(z)
    totals = total(p, -1)
    places = (np.arange(labels.size), labels.reshape(-1))
    losses = np.log(totals)[:, 0] - z[places]
    if smoothing:
        losses += smoothing * (z[places] - z.mean(axis=1))
    p /= totals
    count = losses.size if reduction == "mean" else 1
    value = np.add.reduce(losses) / count
    if reduction == "none":
        value = losses.reshape(labels.shape)[()]
    return value, (p, places, logits.shape, smoothing, count)


def _cross_entropy_backward(ct: Array, residuals: Any) -> Any:
    p, places, shape, smoothing, count = residuals
    scale = ct / count  # one number, or one per sample
    weight = scale.reshape(-1, 1) if scale.ndim else scale
    dz = p * weight
    dz[places] -= scale.reshape(-1) * (1 - smoothing) if scale.ndim else scale * (1 - smoothing)
    if smoothing:
        dz -= smoothing / shape[-1] * weight
    return dz.reshape(shape), None


_cross_entropy = Fused(_cross_entropy_plain, _cross_entropy_forward, _cross_entropy_backward)


def sigmoid_cross_entropy(
    logits: Array, labels: Array, *, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Array:
    """Return the binary cross-entropy of labels and sigmoid(logits), the mean over all entries.

    For a logit z and its label t it is log(1 + exp(z)) - t z, computed without overflow; the
    gradient is (sigmoid(z) - t) / N.

    Parameters
    ----------
    logits : array of any shape
        Before the sigmoid.
    labels : array of the same shape
        0 or 1, booleans, or probabilities.
    label_smoothing : float, default 0.0
        The share s of each label that is spread over both outcomes: (1 - s) t + s / 2.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    scalar, or array of the same shape

    Raises
    ------
    ArgumentError
        If a label is not between 0 and 1; if the smoothing or the reduction is out of range.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> float(sigmoid_cross_entropy(np.array([0.0, 1e4]), np.array([1, 1])))  # log(2) / 2
    0.346574
    """
    logits, labels = as_array(logits), as_array(labels)
    check_same_shape("sigmoid_cross_entropy", logits, labels)
    check_number("sigmoid_cross_entropy", "label_smoothing", label_smoothing, 0.1, least=0, below=1)
    if is_plain(labels) and not np.all((labels >= 0) & (labels <= 1)):
        low, high = labels.min(), labels.max()
        what = f"sigmoid_cross_entropy needs labels from 0 to 1, but got {low} to {high}."
        raise fail(ArgumentError, what, "map labels -1 and 1 by (labels + 1) / 2.")
    labels = in_dtype_of(logits, labels)
    if label_smoothing:
        labels = (1 - label_smoothing) * labels + label_smoothing / 2
    return reduced(np.logaddexp(0, logits) - logits * labels, reduction)


def multiclass_hinge(logits: Array, labels: Array, *, reduction: str = "mean") -> Array:
    """Return the multi-class hinge loss, the mean over the samples.

    For the label y of a sample with scores z it is the sum over the other classes j of
    max(0, 1 + z[j] - z[y]). The derivative at the corner is 0.

    Parameters
    ----------
    logits : array of shape (..., K)
        Scores.
    labels : integer array of shape (...), or array of shape (..., K)
        The classes, from 0 to K - 1; or one-hot rows.
    reduction : {"mean", "sum", "none"}
        Over the samples.

    Returns
    -------
    scalar, or array of shape (...)

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
    logits, labels = check_labels("multiclass_hinge", logits, labels)
    if labels.ndim == logits.ndim:
        check_one_hot("multiclass_hinge", labels)
        labels = labels.argmax(axis=-1)
    margins = 1 + logits - entry_per_row(logits, labels)[..., None]
    right = np.arange(logits.shape[-1]) == labels[..., None]
    losses = np.where(np.logical_or(right, margins <= 0), 0, margins).sum(axis=-1)
    return reduced(losses, reduction)


def multilabel_hinge(logits: Array, labels: Array, *, reduction: str = "mean") -> Array:
    """Return the hinge loss for samples of several classes each, the mean over the samples.

    It is the sum over the classes y of a sample, and over the other classes j, of
    max(0, 1 + z[j] - z[y]), divided by the number K of all classes. The derivative at the corner is 0.

    Parameters
    ----------
    logits : array of shape (..., K)
        Scores.
    labels : array of shape (..., K)
        1 or True for the classes of a sample, else 0.
    reduction : {"mean", "sum", "none"}
        Over the samples.

    Returns
    -------
    scalar, or array of shape (...)

    Raises
    ------
    ArgumentError
        If a label is neither 0 nor 1.
    ShapeError
        If the shapes differ.

    References
    ----------
    The form is that of ``torch.nn.MultiLabelMarginLoss``.

    Examples
    --------
    >>> float(multilabel_hinge(np.array([[2.0, 1.5, 0.0]]), np.array([[1, 0, 0]])))  # 0.5 / 3
    0.166667
    """
    logits, labels = as_array(logits), as_array(labels)
    check_same_shape("multilabel_hinge", logits, labels)
    check_binary("multilabel_hinge", labels)
    mine = labels == 1
    margins = 1 + logits[..., None, :] - logits[..., :, None]
    pairs = np.logical_and(mine[..., :, None], np.logical_not(mine)[..., None, :])
    counted = np.logical_and(pairs, margins > 0)
    losses = np.where(counted, margins, 0).sum(axis=(-2, -1)) / logits.shape[-1]
    return reduced(losses, reduction)
