"""What the losses share: checks of targets, their dtype, the reduction.

Must not know any loss. Read next: `losses.py`.
"""

import math
from typing import Any

import numpy as np

from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.nn.activations import Array

REDUCTIONS = ("mean", "sum", "none")


def reduced(losses: Array, reduction: str) -> Array:
    """Return the mean or the sum of losses, or the losses."""
    if not losses.shape and reduction in REDUCTIONS:  # of one sample
        return losses
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    check_reduction(reduction)
    return losses


def check_reduction(reduction: str) -> None:
    """Raise unless it is one of three."""
    if reduction not in REDUCTIONS:
        what = f"reduction is one of {', '.join(map(repr, REDUCTIONS))}, but got {reduction!r}."
        raise fail(ArgumentError, what, 'leave it out for the mean, or write reduction="none".')


def difference(name: str, predictions: Array, targets: Array) -> Array:
    """Return predictions - targets in the dtype of the predictions."""
    predictions, targets = paired(name, predictions, targets)
    return predictions - targets


def paired(name: str, predictions: Array, targets: Array) -> tuple[Array, Array]:
    """Return both as arrays of one shape, plain targets in the dtype of the predictions."""
    predictions, targets = as_array(predictions), as_array(targets)
    check_same_shape(name, predictions, targets)
    return predictions, in_dtype_of(predictions, targets)


def as_array(x: Any) -> Array:
    """Return an array; a traced one as it is."""
    return x if hasattr(x, "shape") else np.asarray(x)


def is_plain(x: Any) -> bool:
    """Tell whether values can be looked at: those of a traced or batched array cannot."""
    return isinstance(x, (np.ndarray, np.generic))


def in_dtype_of(x: Array, targets: Array) -> Array:
    """Cast targets to the floating dtype of `x`: float64 data must not widen float32."""
    if targets.dtype == x.dtype:
        return targets
    return targets.astype(x.dtype) if x.dtype.kind == "f" and targets.dtype.kind != "c" else targets


def entry_per_row(rows: Array, labels: Array) -> Array:
    """Pick rows[..., label] for each label: shape (..., K) and (...) to (...)."""
    rows, labels = with_index(rows, labels, rows.shape[-1])
    if rows.ndim == 1:
        return rows[labels]
    if rows.ndim == 2:
        return rows[np.arange(len(rows)), labels]
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    return flat[np.arange(len(flat)), labels.reshape(-1)].reshape(labels.shape)


def with_index(array: Array, classes: Array, count: int) -> tuple[Array, Array]:
    """Return an array and classes to index it with, which under vmap can be mapped.

    A plain array does not know a mapped index. And nobody can look at mapped classes: a negative one,
    which would count from the end, is sent to `count`, where indexing raises.
    """
    if is_plain(classes):
        return array, classes
    if is_plain(array):
        array = np.array(array, like=classes)
    return array, np.where(classes < 0, count, classes)


def check_same_shape(name: str, predictions: Array, targets: Array) -> None:
    """Raise if shapes differ: they are never broadcast."""
    if predictions.shape != targets.shape:
        what = (
            f"{name} needs predictions and targets of one shape, "
            f"but got {predictions.shape} and {targets.shape}."
        )
        raise fail(ShapeError, what, "reshape the targets, for instance targets[:, None].")


def check_labels(name: str, logits: Any, labels: Any) -> tuple[Array, Array]:
    """Return logits (..., K) and labels, classes (...) or rows (..., K), as arrays."""
    logits, labels = as_array(logits), as_array(labels)
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
    if not is_plain(labels) or not labels.size:
        return
    low, high = np.minimum.reduce(labels, axis=None), np.maximum.reduce(labels, axis=None)
    if low < 0 or high >= count:
        what = f"{name} needs labels from 0 to {count - 1}, but got {low} to {high}."
        raise fail(ArgumentError, what, "count the classes from 0, one logit for each.")


def check_binary(name: str, labels: Array) -> None:
    """Raise unless plain labels are 0 or 1."""
    if is_plain(labels) and not np.all((labels == 0) | (labels == 1)):
        what = f"{name} needs rows of 0 and 1, but got {labels.min()} to {labels.max()}."
        raise fail(ArgumentError, what, "1 marks the classes of a sample, 0 the others.")


def check_one_hot(name: str, labels: Array) -> None:
    """Raise unless plain rows hold one 1 and else 0."""
    if not is_plain(labels):
        return
    if not np.all((labels == 0) | (labels == 1)) or not np.all(labels.sum(axis=-1) == 1):
        what = f"{name} needs one-hot rows, but got a row with other entries than one 1."
        raise fail(ArgumentError, what, "pass the classes: labels.argmax(axis=-1).")
