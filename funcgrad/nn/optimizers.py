"""Gradient descent: pure functions from parameters and gradients to new parameters.

Owns what all first-order optimizers share (`Optimizer`) and the plainest of them; the rules that
scale each entry are in `adaptive.py`. Nothing that is passed in is changed, and every leaf keeps
its dtype. Must not know layers or losses. Read next: `adaptive.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np

from funcgrad import tree
from funcgrad.errors import ArgumentError, ShapeError, StructureError, fail
from funcgrad.nn.settings import check_number, check_rate, check_switch

__all__ = ["SGD", "Optimizer", "sgd"]

PyTree: TypeAlias = Any
LearningRate: TypeAlias = Any  # a number, or a function of the number of steps taken
Rule: TypeAlias = Callable[..., tuple[Any, ...]]
Kept: TypeAlias = dict[str, Callable[[Any], Any]]

STATIC = {"static": True}  # a setting: no leaf when an optimizer is an argument of a transform


def sgd(params: PyTree, grads: PyTree, lr: float) -> PyTree:
    """Take one step of gradient descent: ``p - lr * g`` for each leaf.

    Parameters
    ----------
    params : pytree of arrays
    grads : pytree of the same structure and shapes
        What `funcgrad.grad` returns. Of a complex parameter the conjugate is subtracted: that is
        the way down (see `docs/complex.md`).
    lr : float
        The learning rate.

    Returns
    -------
    pytree
        New parameters, of the same dtypes.

    Raises
    ------
    StructureError
        If the pytrees do not match.
    ShapeError
        If a gradient has not the shape of its parameter.
    ArgumentError
        If a parameter is not of a floating or complex dtype, or `lr` is negative.

    Examples
    --------
    >>> sgd({"w": np.array([1.0, 2.0])}, {"w": np.array([1.0, -1.0])}, lr=0.5)
    {'w': array([0.5, 2.5])}
    """
    check_number("sgd", "lr", lr, 0.01, least=0)
    flat, treedef = tree.flatten(params)
    flat_grads = tree.flatten_like(treedef, grads, "grads")
    lr = weak(lr)
    new = [_descend(p, lr * _ascent(p, g)) for p, g in zip(flat, flat_grads)]
    return tree.unflatten(treedef, new)


class Optimizer:
    """What the first-order optimizers share: pairing of leaves, weight decay, the step count.

    A subclass is a frozen dataclass of settings with ``lr``, ``weight_decay`` and ``mask``. It
    names the arrays that it keeps for each parameter, and gives the rule of one step:
    ``rule(g, *kept) -> (change, *kept)``, in new memory, where ``p - change`` is the new parameter.
    """

    lr: LearningRate
    weight_decay: float
    mask: Any
    decoupled: ClassVar[bool] = False  # True: decay shrinks the parameter, not via its gradient

    def init(self, params: PyTree) -> dict[str, PyTree]:
        """Return the state before the first step: the step count, and zeros for what is kept."""
        kept = {name: tree.map(zeros, params) for name, zeros in self._kept().items()}
        return {"step": 0, **kept}

    def update(self, grads: PyTree, state: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """Take one step; return the new parameters and the new state."""
        names = tuple(self._kept())
        self._check_state(state, names)
        flat, treedef = tree.flatten(params)
        flat_grads = tree.flatten_like(treedef, grads, "grads")
        kept = [tree.flatten_like(treedef, state[name], f"state[{name!r}]") for name in names]
        lr, step = rate_at(self.lr, state["step"]), state["step"] + 1
        rule = self._rule(lr, step)
        new, new_kept = [], []
        for p, g, decay, *old in zip(flat, flat_grads, self._decay(params), *kept):
            g = _ascent(p, g)
            if decay is not None and not self.decoupled:
                g = g + decay * p
            change, *arrays = rule(g, *old)
            if decay is not None and self.decoupled:
                change += lr * decay * p
            new.append(_descend(p, change))
            new_kept.append([in_dtype_of(a, b) for a, b in zip(old, arrays)])
        new_state = {"step": step}
        for name, column in zip(names, zip(*new_kept) if flat else [()] * len(names)):
            new_state[name] = tree.unflatten(treedef, column)
        return tree.unflatten(treedef, new), new_state

    def _kept(self) -> Kept:
        """Name what is kept for each parameter, and what makes its zeros."""
        return {}

    def _rule(self, lr: Any, step: Any) -> Rule:
        raise NotImplementedError

    def _decay(self, params: PyTree) -> list[Any]:
        """Return the rate of decay of each leaf; None stands for no decay."""
        rate = self.weight_decay
        if is_zero(rate):
            return [None] * len(tree.leaves(params))
        if self.mask is None:
            return [rate] * len(tree.leaves(params))
        mask = self.mask(params) if callable(self.mask) else self.mask
        switches = tree.broadcast_prefix(mask, params, "mask")
        for on in switches:
            if np.ndim(on) or np.asarray(on).dtype != np.bool_:
                what = (
                    f"the mask of {type(self).__name__} is made of True and False, but has {on!r}."
                )
                raise fail(ArgumentError, what, "one of them for each parameter, or for a subtree.")
        return [rate if on else None for on in switches]

    def _check_state(self, state: PyTree, names: tuple[str, ...]) -> None:
        expected = {"step", *names}
        if not isinstance(state, dict) or state.keys() != expected:
            got = f"the keys {list(state)}" if isinstance(state, dict) else type(state).__name__
            name = type(self).__name__
            what = (
                f"state does not match: {name} keeps a dict of {sorted(expected)}, but got {got}."
            )
            raise fail(StructureError, what, "start from init(params) of the same optimizer.")

    def _check(self, **bounds: float) -> None:
        """Check `lr`, and that the named settings are not negative, and below their bound."""
        check_rate(self, "lr", self.lr)
        for name, bound in {"weight_decay": np.inf, **bounds}.items():
            usual = getattr(type(self), name)
            check_number(self, name, getattr(self, name), usual, least=0, below=bound)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent with momentum.

    The velocity is ``v = momentum * v + g``, from v = 0, and the step ``p - lr * v``, as in
    PyTorch. (The form of the paper, ``v = momentum * v + lr * g``, differs when `lr` changes.)
    Nesterov's step is ``p - lr * (g + momentum * v)``.

    Parameters
    ----------
    lr : float, or callable
        The learning rate, or a function of the number of steps taken, such as `CosineDecay`.
    momentum : float, default 0
        Below 1; 0 is plain gradient descent, which keeps no velocity.
    nesterov : bool, default False
    weight_decay : float, default 0
        ``weight_decay * p`` is added to the gradient.
    mask : pytree of bool, or callable, optional
        Which parameters decay: a prefix of the parameters, or a function that makes it of them.

    Raises
    ------
    ArgumentError
        If a setting is out of its range, or `nesterov` has no momentum.

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl and G. Hinton, On the importance of initialization and
    momentum in deep learning, ICML 2013; the form is that of ``torch.optim.SGD``.

    Examples
    --------
    >>> opt = SGD(lr=0.1, momentum=0.9)
    >>> params = np.array([1.0])
    >>> state = opt.init(params)
    >>> for _ in range(2):
    ...     params, state = opt.update(np.array([1.0]), state, params)
    >>> params, state  # 1 - 0.1 - 0.19
    (array([0.71]), {'step': 2, 'velocity': array([1.9])})
    """

    lr: LearningRate = field(metadata=STATIC)
    momentum: float = field(default=0, metadata=STATIC)
    nesterov: bool = field(default=False, kw_only=True, metadata=STATIC)
    weight_decay: float = field(default=0, kw_only=True, metadata=STATIC)
    mask: Any = field(default=None, kw_only=True, repr=False, metadata=STATIC)

    def __post_init__(self) -> None:
        self._check(momentum=1)
        check_switch(self, "nesterov")
        if self.nesterov and is_zero(self.momentum):
            what = "SGD got nesterov=True without momentum."
            raise fail(ArgumentError, what, "write nn.SGD(lr=0.1, momentum=0.9, nesterov=True).")

    def _kept(self) -> Kept:
        return {} if is_zero(self.momentum) else {"velocity": np.zeros_like}

    def _rule(self, lr: Any, step: Any) -> Rule:
        momentum, nesterov = self.momentum, self.nesterov

        def plain(g: Any) -> tuple[Any]:
            return (lr * g,)

        def with_momentum(g: Any, v: Any) -> tuple[Any, Any]:
            v = momentum * v
            v += g
            if not nesterov:
                return lr * v, v
            change = momentum * v
            change += g
            change *= lr
            return change, v

        return plain if is_zero(self.momentum) else with_momentum


def rate_at(lr: LearningRate, step: Any) -> Any:
    """Return the learning rate after a number of steps."""
    return weak(lr(step) if callable(lr) else lr)


def is_zero(setting: Any) -> bool:
    """Say whether a setting is the number 0; a traced one is never taken for it."""
    return isinstance(setting, (int, float)) and setting == 0


def weak(number: Any) -> Any:
    """Turn NumPy's numbers into Python's, which do not widen float32."""
    if isinstance(number, np.floating) or (type(number) is np.ndarray and number.ndim == 0):
        return float(number)
    return number


def _ascent(p: Any, g: Any) -> Any:
    """Return the direction of steepest ascent, in the dtype of the parameter."""
    if type(p) is type(g) is np.ndarray and p.dtype is g.dtype and p.shape == g.shape:
        if p.dtype.char in "fd":  # the usual case
            return g
    shape, grad_shape = getattr(p, "shape", ()), getattr(g, "shape", ())
    if shape != grad_shape:
        what = f"a parameter of shape {shape} has a gradient of shape {grad_shape}."
        raise fail(ShapeError, what, "pass the gradient with respect to these parameters.")
    dtype = getattr(p, "dtype", None)
    if dtype is None:
        return g
    if dtype.kind not in "fc":
        what = f"gradient descent needs floating-point parameters, but got {dtype}."
        raise fail(ArgumentError, what, "write params.astype(float).")
    g = in_dtype_of(p, g)
    return g.conj() if dtype.kind == "c" else g


def _descend(p: Any, change: Any) -> Any:
    # The change is ours alone: its memory takes the result.
    if type(change) is type(p) is np.ndarray and change.dtype == p.dtype:
        return np.subtract(p, change, out=change)
    return in_dtype_of(p, p - change)


def in_dtype_of(p: Any, new: Any) -> Any:
    """Undo the promotion by a float64 gradient or a traced setting: float32 stays float32."""
    dtype = getattr(p, "dtype", None)
    if dtype is None or not hasattr(new, "dtype") or new.dtype == dtype:
        return new
    return new.astype(dtype)
