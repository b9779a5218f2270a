"""Initial values of parameters: functions ``init(rng, shape, dtype=np.float64) -> array``.

The fans of a weight of shape (..., n_in, n_out) are ``fan_in = n_in * k`` and
``fan_out = n_out * k``, k being the product of the leading axes (1 for a matrix, the number of taps
of a convolution). All of these functions pickle. Must not know layers.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from funcgrad.errors import ArgumentError, ShapeError, fail

__all__ = [
    "Initializer",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "normal",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Shape: TypeAlias = tuple[int, ...]


class Initializer(Protocol):
    """What draws an initial value: any function of this signature."""

    def __call__(
        self, rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64
    ) -> Array:
        """Return a new array of this shape and dtype."""


def zeros(rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64) -> Array:
    """Return zeros: the usual start of biases.

    Parameters
    ----------
    rng : numpy.random.Generator
        Not used, and left as it is.
    shape : tuple of int
    dtype : dtype, default float64

    Returns
    -------
    ndarray

    Examples
    --------
    >>> zeros(np.random.default_rng(0), (3,), np.float32)
    array([0., 0., 0.], dtype=float32)
    """
    return np.zeros(shape, dtype)


def normal(stddev: float = 0.01) -> Initializer:
    """Make an initializer that draws from the normal distribution of mean 0.

    Parameters
    ----------
    stddev : float, default 0.01
        The standard deviation.

    Returns
    -------
    callable
        ``init(rng, shape, dtype=np.float64) -> ndarray``.

    Raises
    ------
    ArgumentError
        If `stddev` is negative or no number.

    Examples
    --------
    >>> normal(stddev=0.1)
    normal(stddev=0.1)
    >>> normal(stddev=0.1)(np.random.default_rng(0), (2, 3)).shape
    (2, 3)
    """
    return _Normal(stddev)


@dataclass(frozen=True)
class _Normal:
    """A class, not a closure, so that it pickles and compares."""

    stddev: float

    def __post_init__(self) -> None:
        stddev: Any = self.stddev
        if not isinstance(stddev, (int, float, np.floating)) or not stddev >= 0:
            what = f"the stddev of nn.normal is a number >= 0, but got {stddev!r}."
            raise fail(ArgumentError, what, "write nn.normal(stddev=0.01)(rng, shape) to draw.")

    def __call__(
        self, rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64
    ) -> Array:
        return (self.stddev * _generator(rng).standard_normal(shape)).astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"normal(stddev={self.stddev!r})"


def xavier_normal(
    rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64, gain: float = 1.0
) -> Array:
    """Draw from the normal distribution of variance 2 gain^2 / (fan_in + fan_out).

    The variances of activations and of gradients then stay about the same from layer to layer, for
    activations that are close to the identity near 0, such as tanh.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        ``(..., n_in, n_out)``.
    dtype : dtype, default float64
    gain : float, default 1.0
        Makes up for what the activation takes off: sqrt(2) for ReLU. To give it to a layer:
        ``functools.partial(nn.xavier_normal, gain=2**0.5)``.

    Returns
    -------
    ndarray

    Raises
    ------
    ShapeError
        If `shape` has fewer than two axes.

    References
    ----------
    X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural
    networks, AISTATS 2010, equation 12.

    Examples
    --------
    >>> weight = xavier_normal(np.random.default_rng(0), (300, 500))
    >>> round(float(weight.std()), 3), (2 / 800) ** 0.5
    (0.05, 0.05)
    """
    return _draw_normal(rng, shape, dtype, 2 * gain**2 / sum(_fans(shape)))


def xavier_uniform(
    rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64, gain: float = 1.0
) -> Array:
    """Draw uniformly from +-gain sqrt(6 / (fan_in + fan_out)).

    The variance is that of `xavier_normal`, 2 gain^2 / (fan_in + fan_out).

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        ``(..., n_in, n_out)``.
    dtype : dtype, default float64
    gain : float, default 1.0
        As for `xavier_normal`.

    Returns
    -------
    ndarray

    Raises
    ------
    ShapeError
        If `shape` has fewer than two axes.

    References
    ----------
    X. Glorot and Y. Bengio, AISTATS 2010, equation 16.

    Examples
    --------
    >>> weight = xavier_uniform(np.random.default_rng(0), (2, 4))
    >>> bool((abs(weight) <= 1.0).all())
    True
    """
    return _draw_uniform(rng, shape, dtype, 2 * gain**2 / sum(_fans(shape)))


def he_normal(rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64) -> Array:
    """Draw from the normal distribution of variance 2 / fan_in.

    For layers followed by a ReLU, which halves the mean square of what passes it.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        ``(..., n_in, n_out)``.
    dtype : dtype, default float64

    Returns
    -------
    ndarray

    Raises
    ------
    ShapeError
        If `shape` has fewer than two axes.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, Delving deep into rectifiers, ICCV 2015, equation 10.

    Examples
    --------
    >>> weight = he_normal(np.random.default_rng(0), (200, 300))
    >>> round(float(weight.std()), 2), (2 / 200) ** 0.5
    (0.1, 0.1)
    """
    return _draw_normal(rng, shape, dtype, 2 / _fans(shape)[0])


def he_uniform(rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64) -> Array:
    """Draw uniformly from +-sqrt(6 / fan_in).

    The variance is that of `he_normal`, 2 / fan_in.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        ``(..., n_in, n_out)``.
    dtype : dtype, default float64

    Returns
    -------
    ndarray

    Raises
    ------
    ShapeError
        If `shape` has fewer than two axes.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, ICCV 2015.

    Examples
    --------
    >>> weight = he_uniform(np.random.default_rng(0), (6, 4))
    >>> bool((abs(weight) <= 1.0).all())
    True
    """
    return _draw_uniform(rng, shape, dtype, 2 / _fans(shape)[0])


# The first author's family name and his first name are both in use.
glorot_normal = xavier_normal
glorot_uniform = xavier_uniform


def _draw_normal(rng: Any, shape: Shape, dtype: DTypeLike, variance: float) -> Array:
    draws = _generator(rng).standard_normal(shape)
    return (math.sqrt(variance) * draws).astype(dtype, copy=False)


def _draw_uniform(rng: Any, shape: Shape, dtype: DTypeLike, variance: float) -> Array:
    # The uniform distribution on +-limit has variance limit^2 / 3.
    limit = math.sqrt(3 * variance)
    return _generator(rng).uniform(-limit, limit, shape).astype(dtype, copy=False)


def _fans(shape: Shape) -> tuple[int, int]:
    if len(shape) < 2:
        what = f"the fans of a weight need a shape (n_in, n_out), but got {shape}."
        raise fail(ShapeError, what, "use nn.zeros or nn.normal(stddev) for a vector.")
    *leading, n_in, n_out = shape
    k = math.prod(leading)
    return k * n_in, k * n_out


def _generator(rng: Any) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        what = f"an initializer needs a numpy.random.Generator, but got {rng!r}."
        raise fail(ArgumentError, what, "pass np.random.default_rng(0).")
    return rng
