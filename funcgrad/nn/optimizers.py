"""Gradient descent: pure functions from parameters and gradients to new parameters.

Nothing is changed in place, and every leaf keeps its dtype. Must not know layers or losses.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from funcgrad import tree
from funcgrad.errors import ArgumentError, ShapeError, fail

__all__ = ["SGD", "sgd"]

PyTree: TypeAlias = Any

_STATIC = {"static": True}


def sgd(params: PyTree, grads: PyTree, lr: float) -> PyTree:
    """Take one step of gradient descent: ``p - lr * g`` for each leaf.

    Parameters
    ----------
    params : pytree of arrays
    grads : pytree of the same structure and shapes
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
        If a parameter is not of a floating or complex dtype.

    Examples
    --------
    >>> sgd({"w": np.array([1.0, 2.0])}, {"w": np.array([1.0, -1.0])}, lr=0.5)
    {'w': array([0.5, 2.5])}
    """
    flat, treedef = tree.flatten(params)
    flat_grads = tree.flatten_like(treedef, grads, "grads")
    return tree.unflatten(treedef, [_descend(p, g, lr) for p, g in zip(flat, flat_grads)])


@dataclass(frozen=True)
class SGD:
    """Gradient descent with momentum.

    The velocity is ``v = momentum * v + g``, from v = 0, and the step ``p - lr * v``, as in
    PyTorch. (The form of the paper, ``v = momentum * v + lr * g``, differs when `lr` changes.)

    Parameters
    ----------
    lr : float
        The learning rate.
    momentum : float, default 0
        0 is plain gradient descent, which keeps no state.

    Raises
    ------
    ArgumentError
        If `lr` or `momentum` is negative.

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
    (array([0.71]), array([1.9]))
    """

    lr: float = field(metadata=_STATIC)
    momentum: float = field(default=0, metadata=_STATIC)

    def __post_init__(self) -> None:
        for name in ("lr", "momentum"):
            value = getattr(self, name)
            # A traced learning rate, as in a sweep by vmap, has no value to look at.
            if isinstance(value, (int, float, np.floating)) and not value >= 0:
                what = f"SGD needs {name} >= 0, but got {value!r}."
                raise fail(ArgumentError, what, "write nn.SGD(lr=0.1, momentum=0.9).")

    def init(self, params: PyTree) -> PyTree:
        """Return the state before the first step: zero velocities, or () without momentum."""
        return tree.map(np.zeros_like, params) if self.momentum else ()

    def update(self, grads: PyTree, state: PyTree, params: PyTree) -> tuple[PyTree, PyTree]:
        """Take one step; return the new parameters and the new state."""
        if not self.momentum:
            return sgd(params, grads, self.lr), state
        flat, treedef = tree.flatten(params)
        flat_grads = tree.flatten_like(treedef, grads, "grads")
        velocities = tree.flatten_like(treedef, state, "state")
        velocities = [_velocity(v, g, self.momentum) for v, g in zip(velocities, flat_grads)]
        flat = [_descend(p, v, self.lr) for p, v in zip(flat, velocities)]
        return tree.unflatten(treedef, flat), tree.unflatten(treedef, velocities)


def _descend(p: Any, step: Any, lr: Any) -> Any:
    _check_shapes(p, step)
    return _in_dtype_of(p, p - lr * step)


def _velocity(v: Any, g: Any, momentum: Any) -> Any:
    _check_shapes(v, g)
    return _in_dtype_of(v, momentum * v + g)


def _check_shapes(p: Any, g: Any) -> None:
    shape, grad_shape = getattr(p, "shape", ()), getattr(g, "shape", ())
    if shape != grad_shape:
        what = f"a parameter of shape {shape} has a gradient of shape {grad_shape}."
        raise fail(ShapeError, what, "pass the gradient with respect to these parameters.")


def _in_dtype_of(p: Any, new: Any) -> Any:
    """Undo the promotion by a float64 gradient or learning rate: a float32 network stays one."""
    dtype = getattr(p, "dtype", None)
    if dtype is None or new.dtype == dtype:
        return new
    if dtype.kind not in "fc":
        what = f"gradient descent needs floating-point parameters, but got {dtype}."
        raise fail(ArgumentError, what, "write params.astype(float).")
    return new.astype(dtype)
