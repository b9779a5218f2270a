"""Optimizers that scale each entry of the gradient by what they have seen of it.

Owns the rules of Adam, AdamW, RMSprop and Adagrad. A rule builds new arrays and then works in
place on those alone. Must not know pytrees: `Optimizer` pairs the leaves. Read next: `lion.py`.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from funcgrad.nn.optimizers import STATIC, Kept, LearningRate, Optimizer, Rule, is_zero
from funcgrad.nn.settings import check_switch

__all__ = ["Adagrad", "Adam", "AdamW", "RMSprop"]


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps of the mean gradient over the root of the mean squared gradient.

    With the running means ``m = b1 * m + (1 - b1) * g`` and ``v = b2 * v + (1 - b2) * g^2``, both
    from 0, after t steps the change is ``lr * m' / (sqrt(v') + eps)`` where ``m' = m / (1 - b1^t)``
    and ``v' = v / (1 - b2^t)``. For complex parameters g^2 stands for the squared modulus.

    Parameters
    ----------
    lr : float, or callable, default 0.001
        The learning rate, or a function of the number of steps taken, such as `CosineDecay`.
    b1, b2 : float, default 0.9 and 0.999
        The memory of the means, at least 0 and below 1.
    eps : float, default 1e-8
    weight_decay : float, default 0
        ``weight_decay * p`` is added to the gradient; `AdamW` is the usual choice in its place.
    mask : pytree of bool, or callable, optional
        Which parameters decay: a prefix of the parameters, or a function that makes it of them.

    Raises
    ------
    ArgumentError
        If a setting is out of its range.

    References
    ----------
    D. Kingma and J. Ba, Adam: a method for stochastic optimization, ICLR 2015.

    Examples
    --------
    >>> opt = Adam(lr=0.1)
    >>> params = {"w": np.array([1.0, 2.0])}
    >>> params, state = opt.update({"w": np.array([3.0, -0.5])}, opt.init(params), params)
    >>> params  # the first step has the size lr, whatever the gradient
    {'w': array([0.9, 2.1])}
    """

    lr: LearningRate = field(default=1e-3, metadata=STATIC)
    b1: float = field(default=0.9, metadata=STATIC)
    b2: float = field(default=0.999, metadata=STATIC)
    eps: float = field(default=1e-8, metadata=STATIC)
    weight_decay: float = field(default=0, kw_only=True, metadata=STATIC)
    mask: Any = field(default=None, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        self._check(b1=1, b2=1, eps=np.inf)

    def _kept(self) -> Kept:
        return {"mean": np.zeros_like, "square": _real_zeros}

    def _rule(self, lr: Any, step: Any) -> Rule:
        b1, b2 = self.b1, self.b2
        # lr * m' / (sqrt(v') + eps), the corrections of both means taken out of the arrays
        root = (1 - b2**step) ** 0.5
        size, eps = lr * root / (1 - b1**step), self.eps * root

        def rule(g: Any, m: Any, v: Any) -> tuple[Any, Any, Any]:
            m, v = running_mean(b1, m, g), _mean_square(b2, v, g)
            change = _over_root(m, v, eps)
            change *= size
            return change, m, v

        return rule


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: ``lr * weight_decay * p`` is taken off the parameter.

    Parameters
    ----------
    lr, b1, b2, eps, mask
        As in `Adam`.
    weight_decay : float, default 0.01

    Raises
    ------
    ArgumentError
        If a setting is out of its range.

    References
    ----------
    I. Loshchilov and F. Hutter, Decoupled weight decay regularization, ICLR 2019.

    Examples
    --------
    Matrices decay, biases do not:

    >>> from funcgrad import tree
    >>> opt = AdamW(
    ...     0.1, weight_decay=0.5, mask=lambda params: tree.map(lambda p: p.ndim > 1, params)
    ... )
    >>> params = {"w": np.ones((1, 2)), "b": np.ones(2)}
    >>> grads = {"w": np.zeros((1, 2)), "b": np.zeros(2)}
    >>> opt.update(grads, opt.init(params), params)[0]
    {'w': array([[0.95, 0.95]]), 'b': array([1., 1.])}
    """

    weight_decay: float = field(default=0.01, kw_only=True, metadata=STATIC)
    decoupled: ClassVar[bool] = True


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps of the gradient over the root of its mean square.

    ``v = decay * v + (1 - decay) * g^2`` from 0, and the change is ``lr * g / (sqrt(v) + eps)``,
    as in PyTorch (Optax has eps inside the root). Centred, the squared mean gradient is taken off
    v under the root. With momentum, ``u = momentum * u + g / (sqrt(v) + eps)`` and the change is
    ``lr * u``.

    Parameters
    ----------
    lr : float, or callable, default 0.01
        The learning rate, or a function of the number of steps taken, such as `CosineDecay`.
    decay : float, default 0.99
        The memory of the mean square, at least 0 and below 1.
    eps : float, default 1e-8
    momentum : float, default 0
        Below 1.
    centered : bool, default False
    weight_decay, mask
        As in `Adam`.

    Raises
    ------
    ArgumentError
        If a setting is out of its range.

    References
    ----------
    T. Tieleman and G. Hinton, Lecture 6.5, Neural networks for machine learning, 2012; centred:
    A. Graves, Generating sequences with recurrent neural networks, 2013.

    Examples
    --------
    >>> opt = RMSprop(lr=0.1, decay=0.75)
    >>> params = np.array([1.0, 2.0])
    >>> params, _ = opt.update(np.array([3.0, -0.5]), opt.init(params), params)
    >>> np.round(params, 6)  # the first step has the size lr / sqrt(1 - decay)
    array([0.8, 2.2])
    """

    lr: LearningRate = field(default=1e-2, metadata=STATIC)
    decay: float = field(default=0.99, metadata=STATIC)
    eps: float = field(default=1e-8, metadata=STATIC)
    momentum: float = field(default=0, metadata=STATIC)
    centered: bool = field(default=False, kw_only=True, metadata=STATIC)
    weight_decay: float = field(default=0, kw_only=True, metadata=STATIC)
    mask: Any = field(default=None, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        self._check(decay=1, eps=np.inf, momentum=1)
        check_switch(self, "centered")

    def _kept(self) -> Kept:
        kept: Kept = {"square": _real_zeros}
        if self.centered:
            kept["mean"] = np.zeros_like
        if not is_zero(self.momentum):
            kept["velocity"] = np.zeros_like
        return kept

    def _rule(self, lr: Any, step: Any) -> Rule:
        decay, eps, momentum, centered = self.decay, self.eps, self.momentum, self.centered

        def rule(g: Any, v: Any, *others: Any) -> tuple[Any, ...]:
            v = _mean_square(decay, v, g)
            kept, variance = [v], v
            if centered:
                mean, others = others[0], others[1:]
                kept.append(running_mean(decay, mean, g))
                # Rounding may leave the variance of a constant gradient below zero.
                variance = np.maximum(v - _squared(kept[-1]), 0)
            change = _over_root(g, variance, eps)
            if others:
                change += momentum * others[0]
                kept.append(change)
                change = lr * change
            else:
                change *= lr
            return change, *kept

        return rule


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps of the gradient over the root of the sum of all its squares.

    ``v = v + g^2`` from 0, and the change is ``lr * g / (sqrt(v) + eps)``, as in PyTorch (Optax
    starts from v = 0.1, and has eps inside the root).

    Parameters
    ----------
    lr : float, or callable, default 0.01
        The learning rate, or a function of the number of steps taken, such as `CosineDecay`.
    eps : float, default 1e-10
    weight_decay, mask
        As in `Adam`.

    Raises
    ------
    ArgumentError
        If a setting is negative.

    References
    ----------
    J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods for online learning and
    stochastic optimization, JMLR 12, 2011.

    Examples
    --------
    >>> opt = Adagrad(lr=0.5)
    >>> params = np.array([1.0])
    >>> state = opt.init(params)
    >>> for g in (3.0, 4.0):
    ...     params, state = opt.update(np.array([g]), state, params)
    >>> params, state["square"]  # 1 - 0.5 * 3/3 - 0.5 * 4/5
    (array([0.1]), array([25.]))
    """

    lr: LearningRate = field(default=1e-2, metadata=STATIC)
    eps: float = field(default=1e-10, metadata=STATIC)
    weight_decay: float = field(default=0, kw_only=True, metadata=STATIC)
    mask: Any = field(default=None, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        self._check(eps=np.inf)

    def _kept(self) -> Kept:
        return {"square": _real_zeros}

    def _rule(self, lr: Any, step: Any) -> Rule:
        eps = self.eps

        def rule(g: Any, v: Any) -> tuple[Any, Any]:
            square = _squared(g)
            square += v
            change = _over_root(g, square, eps)
            change *= lr
            return change, square

        return rule


def _real_zeros(p: Any) -> Any:
    return np.zeros_like(np.real(p))


def running_mean(memory: Any, old: Any, new: Any) -> Any:
    """Return memory * old + (1 - memory) * new, in new memory."""
    mean = new - old  # old + (1 - memory) * (new - old) takes one array less
    mean *= 1 - memory
    mean += old
    return mean


def _mean_square(memory: Any, old: Any, g: Any) -> Any:
    square = _squared(g)
    square -= old
    square *= 1 - memory
    square += old
    return square


def _squared(g: Any) -> Any:
    """Return g^2, or the squared modulus of a complex g: it stays real."""
    dtype = getattr(g, "dtype", None)
    if dtype is not None and dtype.kind == "c":
        return np.square(g.real) + np.square(g.imag)
    return np.square(g)


def _over_root(g: Any, square: Any, eps: Any) -> Any:
    root = np.sqrt(square)
    root += eps
    return g / root
