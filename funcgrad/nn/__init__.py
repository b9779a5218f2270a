"""Neural networks in plain NumPy: layers, activations, initializers, losses and optimizers.

Everything is a pure function over pytrees of arrays, so every transform of funcgrad applies. This
package needs NumPy, `funcgrad.tree` and the error classes only; it knows nothing of tracers. Read
`protocol.py` first.

`fit` needs a transform and lives above, in `funcgrad.training`; ``nn.fit`` is a door to it.
"""

from importlib import import_module
from typing import Any

from funcgrad.nn.activation_layers import (
    ELU,
    GELU,
    HardTanh,
    LeakyReLU,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from funcgrad.nn.activations import (
    elu,
    gelu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from funcgrad.nn.adaptive import Adagrad, Adam, AdamW, RMSprop
from funcgrad.nn.attention import MultiHeadAttention, attention
from funcgrad.nn.classification import (
    multiclass_hinge,
    multilabel_hinge,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from funcgrad.nn.clipping import (
    ClipByGlobalNorm,
    ClipByValue,
    chain,
    clip_by_global_norm,
    clip_by_value,
    global_norm,
)
from funcgrad.nn.containers import Residual, Sequential
from funcgrad.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from funcgrad.nn.fused import Fused
from funcgrad.nn.initializers import (
    constant,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    orthogonal,
    truncated_normal,
    uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from funcgrad.nn.layers import Dropout, Embedding, Flatten, Lambda, Linear
from funcgrad.nn.lbfgs import LBFGS
from funcgrad.nn.lion import Lion
from funcgrad.nn.losses import (
    half_squared_error,
    huber,
    kl_divergence,
    mean_absolute_error,
    mean_squared_error,
)
from funcgrad.nn.normalization import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from funcgrad.nn.optimizers import SGD, sgd
from funcgrad.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool,
    MaxPool1d,
    MaxPool2d,
)
from funcgrad.nn.protocol import apply_layer, init_state
from funcgrad.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
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
from funcgrad.nn.similarity import contrastive, cosine_distance, triplet
from funcgrad.nn.summary import summary

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LBFGS",
    "LSTM",
    "RNN",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm",
    "ClipByGlobalNorm",
    "ClipByValue",
    "ConstantRate",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CosineDecay",
    "Dropout",
    "Embedding",
    "ExponentialDecay",
    "Flatten",
    "Fused",
    "GRUCell",
    "GlobalAvgPool",
    "GroupNorm",
    "HardTanh",
    "JoinedSchedules",
    "LSTMCell",
    "Lambda",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "Lion",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "MultiHeadAttention",
    "OneCycle",
    "RMSNorm",
    "RMSprop",
    "RNNCell",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "StepDecay",
    "Tanh",
    "WarmUp",
    "apply_layer",
    "attention",
    "chain",
    "clip_by_global_norm",
    "clip_by_value",
    "constant",
    "contrastive",
    "cosine_distance",
    "elu",
    "fit",
    "gelu",
    "global_norm",
    "glorot_normal",
    "glorot_uniform",
    "half_squared_error",
    "hard_tanh",
    "he_normal",
    "he_uniform",
    "huber",
    "init_state",
    "kl_divergence",
    "leaky_relu",
    "lecun_normal",
    "lecun_uniform",
    "load",
    "log_sigmoid",
    "log_softmax",
    "mean_absolute_error",
    "mean_squared_error",
    "mish",
    "multiclass_hinge",
    "multilabel_hinge",
    "normal",
    "ones",
    "orthogonal",
    "relu",
    "save",
    "sgd",
    "sigmoid",
    "sigmoid_cross_entropy",
    "silu",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "summary",
    "tanh",
    "triplet",
    "truncated_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that this package itself stays on NumPy and pytrees.
    if name == "fit":
        return import_module("funcgrad.training").fit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
