"""The layers of everyday: Linear, Embedding, Dropout, and those without parameters of their own.

Layers are frozen dataclasses of settings, with two pure methods: ``init(rng) -> params`` draws a
pytree of arrays, ``apply(params, x) -> y`` is plain NumPy. A layer holds no arrays and never changes;
`protocol.py` tells what else `apply` may take. Must not know losses or optimizers. Read next:
`containers.py`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.nn.activations import Array
from funcgrad.nn.bias import add_bias, bias_cotangent
from funcgrad.nn.fused import Fused, Needs, Step
from funcgrad.nn.initializers import Initializer, normal, xavier_normal, zeros
from funcgrad.nn.protocol import (
    SAME_LAYER,
    STATIC,
    Params,
    check_last_axis,
    check_params,
    describe,
    shape_of,
)
from funcgrad.nn.settings import check_number, check_positive, check_start
from funcgrad.nn.targets import with_index

__all__ = ["Dropout", "Embedding", "Flatten", "Lambda", "Linear", "Stateless"]


@dataclass(frozen=True)
class Linear:
    """The affine map ``y = x @ w + b``.

    Parameters
    ----------
    in_dim, out_dim : int
        The widths of input and output.
    weight_init, bias_init : callable, default `xavier_normal` and `zeros`
        ``init(rng, shape, dtype) -> array``.
    bias : bool, default True
        Whether there is a bias; without it the parameters are ``(w,)``.
    dtype : dtype, default float64
        Of the parameters.

    Raises
    ------
    ArgumentError
        If a width is no positive integer, or another setting of the wrong kind.

    Examples
    --------
    >>> layer = Linear(2, 3)
    >>> layer
    Linear(in_dim=2, out_dim=3)
    >>> w, b = layer.init(np.random.default_rng(0))
    >>> w.shape, b.shape
    ((2, 3), (3,))
    >>> layer.apply((w, b), np.ones((10, 2))).shape
    (10, 3)
    """

    in_dim: int = field(metadata=STATIC)
    out_dim: int = field(metadata=STATIC)
    weight_init: Initializer = field(default=xavier_normal, repr=False, metadata=STATIC)
    bias_init: Initializer = field(default=zeros, repr=False, metadata=STATIC)
    bias: bool = field(default=True, kw_only=True, repr=False, metadata=STATIC)
    dtype: DTypeLike = field(default=np.float64, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        check_positive(self, in_dim=self.in_dim, out_dim=self.out_dim)
        check_start(self)

    def init(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """Draw ``(w, b)`` of shapes (in_dim, out_dim) and (out_dim,)."""
        w = self.weight_init(rng, (self.in_dim, self.out_dim), self.dtype)
        return (w, self.bias_init(rng, (self.out_dim,), self.dtype)) if self.bias else (w,)

    def apply(self, params: Params, x: Array) -> Array:
        """Map x of shape (..., in_dim) to (..., out_dim)."""
        arrays = self._arrays(params)
        if getattr(x, "shape", ())[-1:] != (self.in_dim,):
            check_last_axis(self, x, self.in_dim)  # to find what to say takes longer than to look
        result: Array = affine(x, *arrays)
        return result

    def as_step(self, params: Params) -> Step:
        """Say the same as a function with passes of its own."""
        return affine, self._arrays(params), {}

    def _arrays(self, params: Params) -> tuple[Array, ...]:
        shape = (self.in_dim, self.out_dim)
        if self.bias and type(params) is tuple and len(params) == 2:  # the usual case
            w, b = params
            if getattr(w, "shape", 0) == shape and getattr(b, "shape", 0) == shape[1:]:
                return params
        shapes = {"w": shape, "b": shape[1:]} if self.bias else {"w": shape}
        return check_params(self, params, **shapes)


def _affine(x: Array, w: Array, b: Array | None = None) -> Array:
    return x @ w if b is None else x @ w + b


def _affine_forward(needs: Needs, x: Array, w: Array, b: Array | None = None) -> Any:
    return x @ w if b is None else add_bias(x @ w, b), (needs, x, w)


def _affine_backward(ct: Array, residuals: Any) -> Any:
    needs, x, w = residuals
    dx = ct @ w.T if needs[0] else None
    if ct.ndim != 2:  # all axes but the last are samples
        count = math.prod(ct.shape[:-1])
        ct, x = ct.reshape(count, w.shape[1]), x.reshape(count, w.shape[0])
    dw = x.T @ ct if needs[1] else None
    if len(needs) == 2:  # without a bias
        return dx, dw
    return dx, dw, bias_cotangent(ct) if needs[2] else None


affine = Fused(_affine, _affine_forward, _affine_backward)  # y = x @ w + b


@dataclass(frozen=True)
class Embedding:
    """A vector for each of `count` classes: ``y = table[x]``.

    Parameters
    ----------
    count : int
        The number of classes; `x` holds integers from 0 to count - 1.
    out_dim : int
        The width of a vector.
    weight_init : callable, default ``normal(stddev=1.0)``
        ``init(rng, shape, dtype) -> array``.
    dtype : dtype, default float64
        Of the table.

    Raises
    ------
    ArgumentError
        If a width is no positive integer; by `apply` if `x` is not of an integer dtype, or holds a
        class that is out of range.
    IndexError
        By `apply`, if one of the classes that vmap maps over is out of range.

    Examples
    --------
    >>> layer = Embedding(27, 8)
    >>> (table,) = layer.init(np.random.default_rng(0))
    >>> layer.apply((table,), np.array([[0, 1], [2, 26]])).shape
    (2, 2, 8)
    """

    count: int = field(metadata=STATIC)
    out_dim: int = field(metadata=STATIC)
    weight_init: Initializer = field(default=normal(1.0), repr=False, metadata=STATIC)
    dtype: DTypeLike = field(default=np.float64, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        check_positive(self, count=self.count, out_dim=self.out_dim)
        check_start(self)

    def init(self, rng: np.random.Generator) -> tuple[Array]:
        """Draw ``(table,)`` of shape (count, out_dim)."""
        return (self.weight_init(rng, (self.count, self.out_dim), self.dtype),)

    def apply(self, params: Params, x: Array) -> Array:
        """Look up x of shape (...): (..., out_dim)."""
        (table,) = check_params(self, params, table=(self.count, self.out_dim))
        shape_of(self, x)
        if x.dtype.kind not in "iu":
            what = f"{self} needs classes of an integer dtype, but got {x.dtype}."
            raise fail(ArgumentError, what, "write x.astype(int).")
        if isinstance(x, np.ndarray) and x.size and (x.min() < 0 or x.max() >= self.count):
            what = (
                f"{self} needs classes from 0 to {self.count - 1}, but got {x.min()} to {x.max()}."
            )
            raise fail(ArgumentError, what, "count the classes from 0.")
        return _look_up(table, x)


def _look_up_plain(table: Array, x: Array) -> Array:
    table, x = with_index(table, x, len(table))
    return table[x]


def _look_up_forward(needs: Needs, table: Array, x: Array) -> Any:
    return table[x], (table.shape, x)


def _look_up_backward(ct: Array, residuals: Any) -> Any:
    """Add up the rows of each class: sorted, a class is one run, and reduceat beats np.add.at by far."""
    shape, x = residuals
    dtable, classes = np.zeros(shape, ct.dtype), x.reshape(-1)
    if classes.size:
        order = classes.argsort(kind="stable")
        classes = classes[order]
        starts = np.flatnonzero(np.concatenate([[True], classes[1:] != classes[:-1]]))
        dtable[classes[starts]] = np.add.reduceat(ct.reshape(-1, shape[1])[order], starts)
    return dtable, None


_look_up = Fused(_look_up_plain, _look_up_forward, _look_up_backward)


class Stateless:
    """A layer without parameters; a subclass says what function it applies."""

    def init(self, rng: np.random.Generator) -> tuple[()]:
        """Return the empty tuple: there is nothing to learn."""
        return ()

    def apply(self, params: Params, x: Array) -> Array:
        """Apply the function to `x`; `params` is the empty tuple."""
        check_no_params(self, params)
        return self.function(x)

    def function(self, x: Array) -> Array:
        """Compute the output."""
        raise NotImplementedError


def check_no_params(layer: object, params: Params) -> None:
    """Raise unless the parameters are an empty tuple."""
    if not isinstance(params, (tuple, list)) or params:
        raise fail(
            ArgumentError, f"{layer} has no parameters, but got {describe(params)}.", SAME_LAYER
        )


def step_without_params(layer: object, params: Params, function: Fused, **settings: Any) -> Step:
    """Say what a layer without parameters does as a function with passes of its own."""
    check_no_params(layer, params)
    return function, (), settings


@dataclass(frozen=True)
class Dropout:
    """Set entries to zero at random while training, and scale the others to keep the mean.

    An entry is dropped with probability `rate` and else divided by 1 - rate. Without ``train=True``
    it is the identity.

    Parameters
    ----------
    rate : float, default 0.5
        The probability of dropping, from 0 to less than 1.

    Raises
    ------
    ArgumentError
        If `rate` is out of range; by `apply` when training without an `rng`, or on integers.

    Notes
    -----
    Under vmap one mask serves all examples: apply the layer to the whole batch for a mask each.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, Dropout: a simple way
    to prevent neural networks from overfitting, JMLR 15, 2014.

    Examples
    --------
    >>> layer = Dropout(0.5)
    >>> layer.apply((), np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    >>> layer.apply((), np.ones(6), train=True, rng=np.random.default_rng(0))
    array([2., 2., 2., 0., 0., 0.])
    """

    rate: float = field(default=0.5, metadata=STATIC)

    def __post_init__(self) -> None:
        check_number(self, "rate", self.rate, 0.5, least=0, below=1)

    def init(self, rng: np.random.Generator) -> tuple[()]:
        """Return the empty tuple: there is nothing to learn."""
        return ()

    def apply(
        self,
        params: Params,
        x: Array,
        *,
        train: bool = False,
        rng: np.random.Generator | None = None,
    ) -> Array:
        """Drop entries of `x` if `train`; any shape."""
        check_no_params(self, params)
        if not train or not self.rate:
            return x
        if not isinstance(rng, np.random.Generator):
            what = f"{self} draws at random while training, but rng is {rng!r}."
            fix = "write model.apply(params, x, train=True, rng=rng) with rng = np.random.default_rng(0)."
            raise fail(ArgumentError, what, fix)
        shape = shape_of(self, x)
        if x.dtype.kind not in "fc":
            what = f"{self} needs x of a floating or complex dtype, but got {x.dtype}."
            raise fail(ArgumentError, what, "write x.astype(float).")
        draws = rng.random(shape, np.float32)  # whatever the dtype of x, so that the mask is one
        mask: Array = np.greater_equal(draws, self.rate).astype(x.dtype)
        mask /= 1 - self.rate
        mask.flags.writeable = False  # so a tape need not copy it
        return x * mask


@dataclass(frozen=True)
class Flatten(Stateless):
    """Join all axes but the first: (N, ...) to (N, K).

    Examples
    --------
    >>> Flatten().apply((), np.zeros((10, 4, 4, 2))).shape
    (10, 32)
    """

    def function(self, x: Array) -> Array:
        if not shape_of(self, x):
            what = "Flatten() needs x of shape (N, ...), but got ()."
            raise fail(
                ShapeError, what, "a single number has no axis for samples: x.reshape(1, 1)."
            )
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


@dataclass(frozen=True)
class Lambda(Stateless):
    """Any function of an array as a layer without parameters.

    Parameters
    ----------
    function : callable
        ``function(x) -> y``. The layer pickles if the function does.

    Examples
    --------
    >>> Lambda(np.sin)
    Lambda(sin)
    >>> Lambda(np.sin).apply((), np.zeros(2))
    array([0., 0.])
    """

    function: Callable[[Array], Array] = field(metadata=STATIC)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if not callable(self.function):
            what = f"Lambda needs a function, but got {self.function!r}."
            raise fail(ArgumentError, what, "for instance nn.Lambda(np.sin).")

    def __repr__(self) -> str:
        return f"Lambda({getattr(self.function, '__name__', repr(self.function))})"
