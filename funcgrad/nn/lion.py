"""Lion: the sign of a mean gradient, and nothing else of it.

Must not know pytrees: `Optimizer` pairs the leaves. Read next: `clipping.py`.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from funcgrad.nn.adaptive import running_mean
from funcgrad.nn.optimizers import STATIC, Kept, LearningRate, Optimizer, Rule

__all__ = ["Lion"]


@dataclass(frozen=True)
class Lion(Optimizer):
    """Steps of one size, in the direction of the sign of a mean gradient.

    The change is ``lr * (sign(b1 * m + (1 - b1) * g) + weight_decay * p)``, and then
    ``m = b2 * m + (1 - b2) * g``, from 0.

    Parameters
    ----------
    lr : float, or callable, default 0.0001
        The learning rate, or a function of the number of steps taken, such as `CosineDecay`;
        three to ten times smaller than Adam's.
    b1, b2 : float, default 0.9 and 0.99
    weight_decay : float, default 0
        Decoupled, as in `AdamW`.
    mask
        As in `Adam`.

    Raises
    ------
    ArgumentError
        If a setting is out of its range.

    References
    ----------
    X. Chen et al., Symbolic discovery of optimization algorithms, NeurIPS 2023.

    Examples
    --------
    >>> opt = Lion(lr=0.1)
    >>> params = np.array([1.0, 2.0])
    >>> opt.update(np.array([3.0, -0.5]), opt.init(params), params)[0]
    array([0.9, 2.1])
    """

    lr: LearningRate = field(default=1e-4, metadata=STATIC)
    b1: float = field(default=0.9, metadata=STATIC)
    b2: float = field(default=0.99, metadata=STATIC)
    weight_decay: float = field(default=0, kw_only=True, metadata=STATIC)
    mask: Any = field(default=None, kw_only=True, repr=False, metadata=STATIC)
    decoupled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._check(b1=1, b2=1)

    def _kept(self) -> Kept:
        return {"mean": np.zeros_like}

    def _rule(self, lr: Any, step: Any) -> Rule:
        b1, b2 = self.b1, self.b2
        return lambda g, m: (lr * np.sign(running_mean(b1, m, g)), running_mean(b2, m, g))
