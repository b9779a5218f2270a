"""Losses of pairs of vectors: cosine, contrastive, triplet.

The last axis of the vectors counts their entries, all axes before it the samples. Must not know
layers. Read next: `optimizers.py`.
"""

import numpy as np

from funcgrad.nn.activations import Array
from funcgrad.nn.settings import check_number
from funcgrad.nn.targets import as_array, check_binary, check_same_shape, in_dtype_of, reduced

__all__ = ["contrastive", "cosine_distance", "triplet"]


def cosine_distance(x: Array, y: Array, *, eps: float = 1e-8, reduction: str = "mean") -> Array:
    """Return 1 - x y / (|x| |y|), the mean over the samples.

    Parameters
    ----------
    x, y : arrays of shape (..., K)
    eps : float, default 1e-8
        A shorter vector counts as one of this length, which makes its distance from all others 1.
    reduction : {"mean", "sum", "none"}
        Over the samples.

    Returns
    -------
    scalar, or array of shape (...)

    Raises
    ------
    ArgumentError
        If `reduction` is none of the three.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> x, y = np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[3.0, 0.0], [0.0, 1.0]])
    >>> cosine_distance(x, y, reduction="none")
    array([0., 1.])
    """
    check_number("cosine_distance", "eps", eps, 1e-8, above=0)
    x, y = as_array(x), as_array(y)
    check_same_shape("cosine_distance", x, y)
    y = in_dtype_of(x, y)
    # The square root of at least eps^2, so that a vector of zeros has a finite derivative.
    squares = [np.maximum((v * v).sum(axis=-1), eps * eps) for v in (x, y)]
    cosine = (x * y).sum(axis=-1) / np.sqrt(squares[0]) / np.sqrt(squares[1])
    return reduced(1 - cosine, reduction)


def contrastive(
    x: Array, y: Array, same: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> Array:
    """Return the contrastive loss of pairs: alike ones are drawn together, others pushed apart.

    For the distance d = |x - y| it is d^2 / 2 for a pair of one kind, and max(0, margin - d)^2 / 2
    otherwise. Two equal vectors of different kinds do not move: no direction leads away.

    Parameters
    ----------
    x, y : arrays of shape (..., K)
    same : array of shape (...)
        1 or True where both are of one kind, else 0.
    margin : float, default 1.0
    reduction : {"mean", "sum", "none"}
        Over the pairs.

    Returns
    -------
    scalar, or array of shape (...)

    Raises
    ------
    ArgumentError
        If `same` has entries other than 0 and 1.
    ShapeError
        If the shapes do not fit.

    References
    ----------
    R. Hadsell, S. Chopra and Y. LeCun, Dimensionality reduction by learning an invariant mapping,
    CVPR 2006, equation 4.

    Examples
    --------
    >>> contrastive(
    ...     np.zeros((2, 2)), np.array([[0.3, 0.4], [0.3, 0.4]]), np.array([1, 0]), reduction="none"
    ... )
    array([0.125, 0.125])
    """
    check_number("contrastive", "margin", margin, 1.0)
    x, y, same = as_array(x), as_array(y), as_array(same)
    check_same_shape("contrastive", x, y)
    check_same_shape("contrastive", x[..., 0], same)
    check_binary("contrastive", same)
    apart = x - in_dtype_of(x, y)
    gap = margin - np.linalg.norm(apart, axis=-1)
    squares = (apart * apart).sum(axis=-1), np.where(gap > 0, gap * gap, 0)
    return reduced(np.where(same == 1, *squares) / 2, reduction)


def triplet(
    anchor: Array, positive: Array, negative: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> Array:
    """Return the triplet loss: an anchor is to be closer to its kind than to another, by a margin.

    It is max(0, |anchor - positive| - |anchor - negative| + margin); its derivative at the corner, and
    that of a distance 0, is 0.

    Parameters
    ----------
    anchor, positive, negative : arrays of shape (..., K)
    margin : float, default 1.0
    reduction : {"mean", "sum", "none"}
        Over the triplets.

    Returns
    -------
    scalar, or array of shape (...)

    Raises
    ------
    ArgumentError
        If `reduction` is none of the three.
    ShapeError
        If the shapes differ.

    References
    ----------
    F. Schroff, D. Kalenichenko and J. Philbin, FaceNet: a unified embedding for face recognition and
    clustering, CVPR 2015; with distances in the place of their squares, as in PyTorch.

    Examples
    --------
    >>> a, p, n = np.zeros((1, 2)), np.array([[0.0, 2.0]]), np.array([[0.0, 2.5]])
    >>> float(triplet(a, p, n))
    0.5
    """
    check_number("triplet", "margin", margin, 1.0)
    anchor, positive, negative = as_array(anchor), as_array(positive), as_array(negative)
    distances = []
    for other in (positive, negative):
        check_same_shape("triplet", anchor, other)
        distances.append(np.linalg.norm(anchor - in_dtype_of(anchor, other), axis=-1))
    violated = distances[0] - distances[1] + margin
    return reduced(np.where(violated > 0, violated, 0), reduction)
