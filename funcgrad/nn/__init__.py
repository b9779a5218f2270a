"""Neural networks in plain NumPy: layers, activations, initializers, losses and optimizers.

Everything is a pure function over pytrees of arrays, so every transform of funcgrad applies. This
package needs NumPy, `funcgrad.tree` and the error classes only; it knows nothing of tracers. Read
`layers.py` first.

`fit` needs a transform and lives above, in `funcgrad.training`; ``nn.fit`` is a door to it.
"""

from importlib import import_module
from typing import Any

from funcgrad.nn.activations import log_softmax, relu, sigmoid, softmax, tanh
from funcgrad.nn.adaptive import Adagrad, Adam, AdamW, Lion, RMSprop
from funcgrad.nn.clipping import (
    ClipByGlobalNorm,
    ClipByValue,
    chain,
    clip_by_global_norm,
    clip_by_value,
    global_norm,
)
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
from funcgrad.nn.lbfgs import LBFGS
from funcgrad.nn.losses import (
    half_squared_error,
    mean_squared_error,
    multiclass_hinge,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from funcgrad.nn.optimizers import SGD, sgd
from funcgrad.nn.saving import load, save
from funcgrad.nn.schedules import (
    ConstantRate,
    CosineDecay,
    ExponentialDecay,
    JoinedSchedules,
    OneCycle,
    StepDecay,
    WarmUp,
)

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "ClipByGlobalNorm",
    "ClipByValue",
    "ConstantRate",
    "CosineDecay",
    "ExponentialDecay",
    "JoinedSchedules",
    "Linear",
    "Lion",
    "OneCycle",
    "RMSprop",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "StepDecay",
    "Tanh",
    "WarmUp",
    "chain",
    "clip_by_global_norm",
    "clip_by_value",
    "fit",
    "global_norm",
    "glorot_normal",
    "glorot_uniform",
    "half_squared_error",
    "he_normal",
    "he_uniform",
    "load",
    "log_softmax",
    "mean_squared_error",
    "multiclass_hinge",
    "normal",
    "relu",
    "save",
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


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that this package itself stays on NumPy and pytrees.
    if name == "fit":
        return import_module("funcgrad.training").fit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
