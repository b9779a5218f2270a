"""Neural networks in plain NumPy: layers, activations, initializers, losses and optimizers.

Everything is a pure function over pytrees of arrays, so every transform of funcgrad applies. This
package needs NumPy, `funcgrad.tree` and the error classes only; it knows nothing of tracers. Read
`layers.py` first.
"""

from funcgrad.nn.activations import log_softmax, relu, sigmoid, softmax, tanh
from funcgrad.nn.initializers import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    normal,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from funcgrad.nn.layers import Linear, ReLU, Sequential, Sigmoid, Softmax, Tanh
from funcgrad.nn.losses import (
    half_squared_error,
    mean_squared_error,
    multiclass_hinge,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from funcgrad.nn.optimizers import SGD, sgd

__all__ = [
    "SGD",
    "Linear",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "glorot_normal",
    "glorot_uniform",
    "half_squared_error",
    "he_normal",
    "he_uniform",
    "log_softmax",
    "mean_squared_error",
    "multiclass_hinge",
    "normal",
    "relu",
    "sgd",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "tanh",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
