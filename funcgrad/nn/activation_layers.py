"""The activation functions as layers without parameters. Read next: `convolution.py`."""

from dataclasses import dataclass, field

from funcgrad.nn import activations
from funcgrad.nn.activations import Array, Axis
from funcgrad.nn.fused import Step
from funcgrad.nn.layers import Stateless, step_without_params
from funcgrad.nn.protocol import STATIC, Params
from funcgrad.nn.settings import check_axis, check_number

__all__ = [
    "ELU",
    "GELU",
    "HardTanh",
    "LeakyReLU",
    "LogSoftmax",
    "Mish",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


@dataclass(frozen=True)
class ReLU(Stateless):
    """The positive part, max(x, 0), with derivative 0 at 0. See `funcgrad.nn.relu`.

    Examples
    --------
    >>> import numpy as np
    >>> ReLU().apply((), np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def function(self, x: Array) -> Array:
        return activations.relu(x)

    def as_step(self, params: Params) -> Step:
        return step_without_params(self, params, activations.fused_relu)


@dataclass(frozen=True)
class Sigmoid(Stateless):
    """The logistic function. See `funcgrad.nn.sigmoid`.

    Examples
    --------
    >>> import numpy as np
    >>> Sigmoid().apply((), np.zeros(2))
    array([0.5, 0.5])
    """

    def function(self, x: Array) -> Array:
        return activations.sigmoid(x)

    def as_step(self, params: Params) -> Step:
        return step_without_params(self, params, activations.fused_sigmoid)


@dataclass(frozen=True)
class Tanh(Stateless):
    """The hyperbolic tangent. See `funcgrad.nn.tanh`.

    Examples
    --------
    >>> import numpy as np
    >>> Tanh().apply((), np.zeros(2))
    array([0., 0.])
    """

    def function(self, x: Array) -> Array:
        return activations.tanh(x)

    def as_step(self, params: Params) -> Step:
        return step_without_params(self, params, activations.fused_tanh)


@dataclass(frozen=True)
class Softmax(Stateless):
    """Probabilities along an axis. See `funcgrad.nn.softmax`.

    For training with a cross-entropy loss, leave it out and use `softmax_cross_entropy`, which is
    more precise.

    Parameters
    ----------
    axis : int or tuple of int, default -1
        The axis that sums to one.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax()
    Softmax(axis=-1)
    >>> Softmax().apply((), np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    axis: Axis = field(default=-1, metadata=STATIC)

    def __post_init__(self) -> None:
        check_axis(self, self.axis)

    def function(self, x: Array) -> Array:
        return activations.softmax(x, self.axis)

    def as_step(self, params: Params) -> Step:
        return step_without_params(self, params, activations.fused_softmax, axis=self.axis)


@dataclass(frozen=True)
class LeakyReLU(Stateless):
    """x where it is positive, slope * x elsewhere. See `funcgrad.nn.leaky_relu`.

    Parameters
    ----------
    slope : float, default 0.01

    Examples
    --------
    >>> import numpy as np
    >>> LeakyReLU().apply((), np.array([-100.0, 2.0]))
    array([-1.,  2.])
    """

    slope: float = field(default=0.01, metadata=STATIC)

    def __post_init__(self) -> None:
        check_number(self, "slope", self.slope, 0.01)

    def function(self, x: Array) -> Array:
        return activations.leaky_relu(x, self.slope)


@dataclass(frozen=True)
class ELU(Stateless):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere. See `funcgrad.nn.elu`.

    Parameters
    ----------
    alpha : float, default 1.0

    Examples
    --------
    >>> import numpy as np
    >>> ELU().apply((), np.array([-100.0, 2.0]))
    array([-1.,  2.])
    """

    alpha: float = field(default=1.0, metadata=STATIC)

    def __post_init__(self) -> None:
        check_number(self, "alpha", self.alpha, 1.0)

    def function(self, x: Array) -> Array:
        return activations.elu(x, self.alpha)


@dataclass(frozen=True)
class GELU(Stateless):
    """x times the normal distribution function, by tanh. See `funcgrad.nn.gelu`.

    Examples
    --------
    >>> import numpy as np
    >>> GELU().apply((), np.array([-10.0, 10.0]))
    array([-0., 10.])
    """

    def function(self, x: Array) -> Array:
        return activations.gelu(x)


@dataclass(frozen=True)
class SiLU(Stateless):
    """x * sigmoid(x). See `funcgrad.nn.silu`.

    Examples
    --------
    >>> import numpy as np
    >>> SiLU().apply((), np.zeros(2))
    array([0., 0.])
    """

    def function(self, x: Array) -> Array:
        return activations.silu(x)


@dataclass(frozen=True)
class Mish(Stateless):
    """x * tanh(softplus(x)). See `funcgrad.nn.mish`.

    Examples
    --------
    >>> import numpy as np
    >>> Mish().apply((), np.zeros(2))
    array([0., 0.])
    """

    def function(self, x: Array) -> Array:
        return activations.mish(x)


@dataclass(frozen=True)
class Softplus(Stateless):
    """log(1 + exp(x)). See `funcgrad.nn.softplus`.

    Examples
    --------
    >>> import numpy as np
    >>> Softplus().apply((), np.zeros(2))
    array([0.693147, 0.693147])
    """

    def function(self, x: Array) -> Array:
        return activations.softplus(x)


@dataclass(frozen=True)
class HardTanh(Stateless):
    """The identity from -1 to 1, constant outside. See `funcgrad.nn.hard_tanh`.

    Examples
    --------
    >>> import numpy as np
    >>> HardTanh().apply((), np.array([-3.0, 0.5]))
    array([-1. ,  0.5])
    """

    def function(self, x: Array) -> Array:
        return activations.hard_tanh(x)


@dataclass(frozen=True)
class LogSoftmax(Stateless):
    """Logarithms of probabilities along an axis. See `funcgrad.nn.log_softmax`.

    Parameters
    ----------
    axis : int or tuple of int, default -1

    Examples
    --------
    >>> import numpy as np
    >>> LogSoftmax().apply((), np.zeros((1, 2)))
    array([[-0.693147, -0.693147]])
    """

    axis: Axis = field(default=-1, metadata=STATIC)

    def __post_init__(self) -> None:
        check_axis(self, self.axis)

    def function(self, x: Array) -> Array:
        return activations.log_softmax(x, self.axis)

    def as_step(self, params: Params) -> Step:
        return step_without_params(self, params, activations.fused_log_softmax, axis=self.axis)
