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
from funcgrad.nn.settings import check_number

__all__ = [
    "Initializer",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
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


def ones(rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64) -> Array:
    """Return ones: the usual start of scales.

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
    >>> ones(np.random.default_rng(0), (3,), np.float32)
    array([1., 1., 1.], dtype=float32)
    """
    return np.ones(shape, dtype)


def constant(value: float) -> Initializer:
    """Make an initializer that fills with one number.

    Parameters
    ----------
    value : float

    Returns
    -------
    callable
        ``init(rng, shape, dtype=np.float64) -> ndarray``.

    Raises
    ------
    ArgumentError
        If `value` is no number.

    Examples
    --------
    >>> constant(0.5)
    constant(value=0.5)
    >>> constant(0.5)(np.random.default_rng(0), (2,))
    array([0.5, 0.5])
    """
    return _Constant(value)


@dataclass(frozen=True)
class _Constant:
    """A class, not a closure, so that it pickles and compares; likewise those below."""

    value: float

    def __post_init__(self) -> None:
        check_number("nn.constant", "value", self.value, 0.01)

    def __call__(
        self, rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64
    ) -> Array:
        return np.full(shape, self.value, dtype)

    def __repr__(self) -> str:
        return f"constant(value={self.value!r})"


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
    stddev: float

    def __post_init__(self) -> None:
        check_number("nn.normal", "stddev", self.stddev, 0.01, least=0)

    def __call__(
        self, rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64
    ) -> Array:
        return (self.stddev * _generator(rng).standard_normal(shape)).astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"normal(stddev={self.stddev!r})"


def truncated_normal(stddev: float = 0.01) -> Initializer:
    """Make an initializer that draws from the normal distribution within two standard deviations.

    Parameters
    ----------
    stddev : float, default 0.01
        The standard deviation before what lies beyond +-2 stddev is drawn again; after it, it is
        0.8796 stddev.

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
    >>> draws = truncated_normal(stddev=0.1)(np.random.default_rng(0), (1000,))
    >>> bool((abs(draws) <= 0.2).all())
    True
    """
    return _TruncatedNormal(stddev)


@dataclass(frozen=True)
class _TruncatedNormal:
    stddev: float

    def __post_init__(self) -> None:
        check_number("nn.truncated_normal", "stddev", self.stddev, 0.01, least=0)

    def __call__(
        self, rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64
    ) -> Array:
        draws = np.asarray(_generator(rng).standard_normal(shape))
        beyond = np.abs(draws) > 2
        while beyond.any():  # one in 22 is drawn again
            draws[beyond] = rng.standard_normal(int(beyond.sum()))
            beyond = np.abs(draws) > 2
        return (self.stddev * draws).astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"truncated_normal(stddev={self.stddev!r})"


def uniform(low: float = -0.05, high: float = 0.05) -> Initializer:
    """Make an initializer that draws uniformly from an interval.

    Parameters
    ----------
    low, high : float, default -0.05 and 0.05

    Returns
    -------
    callable
        ``init(rng, shape, dtype=np.float64) -> ndarray``.

    Raises
    ------
    ArgumentError
        If a bound is no number, or `high` is less than `low`.

    Examples
    --------
    >>> uniform(0.0, 1.0)
    uniform(low=0.0, high=1.0)
    """
    return _Uniform(low, high)


@dataclass(frozen=True)
class _Uniform:
    low: float
    high: float

    def __post_init__(self) -> None:
        check_number("nn.uniform", "low", self.low, -0.01)
        check_number("nn.uniform", "high", self.high, 0.01, least=self.low)

    def __call__(
        self, rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64
    ) -> Array:
        return _generator(rng).uniform(self.low, self.high, shape).astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"uniform(low={self.low!r}, high={self.high!r})"


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


def lecun_normal(rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64) -> Array:
    """Draw from the normal distribution of variance 1 / fan_in.

    A unit's input has then the variance of the entries of x. For tanh, and for SELU networks.

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
    Y. LeCun, L. Bottou, G. Orr and K.-R. Mueller, Efficient backprop, in Neural Networks: Tricks of
    the Trade, 1998, section 4.6.

    Examples
    --------
    >>> weight = lecun_normal(np.random.default_rng(0), (100, 300))
    >>> round(float(weight.std()), 2), (1 / 100) ** 0.5
    (0.1, 0.1)
    """
    return _draw_normal(rng, shape, dtype, 1 / _fans(shape)[0])


def lecun_uniform(rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64) -> Array:
    """Draw uniformly from +-sqrt(3 / fan_in).

    The variance is that of `lecun_normal`, 1 / fan_in.

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
    Y. LeCun, L. Bottou, G. Orr and K.-R. Mueller, Efficient backprop, 1998.

    Examples
    --------
    >>> weight = lecun_uniform(np.random.default_rng(0), (3, 4))
    >>> bool((abs(weight) <= 1.0).all())
    True
    """
    return _draw_uniform(rng, shape, dtype, 1 / _fans(shape)[0])


def orthogonal(
    rng: np.random.Generator, shape: Shape, dtype: DTypeLike = np.float64, gain: float = 1.0
) -> Array:
    """Draw a matrix with orthonormal columns (or rows, where it is wider than high), times `gain`.

    The distribution is uniform over such matrices. A weight with more axes is taken as the matrix of
    shape (fan_in, n_out).

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        ``(..., n_in, n_out)``.
    dtype : dtype, default float64
    gain : float, default 1.0

    Returns
    -------
    ndarray

    Raises
    ------
    ShapeError
        If `shape` has fewer than two axes.

    References
    ----------
    A. Saxe, J. McClelland and S. Ganguli, Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks, ICLR 2014. The signs: F. Mezzadri, How to generate random matrices
    from the classical compact groups, Notices of the AMS 54, 2007.

    Examples
    --------
    >>> w = orthogonal(np.random.default_rng(0), (5, 3))
    >>> bool(np.allclose(w.T @ w, np.eye(3)))
    True
    """
    rows, columns = _fans(shape)[0], shape[-1]
    tall = (max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(_generator(rng).standard_normal(tall))
    q = q * np.where(np.diagonal(r) < 0, -1, 1)  # without it, QR's own choice of signs would show
    return (gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype, copy=False)


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
