"""One row per layer: the layer, and the shape of an input without kinks near by."""

import dataclasses

import numpy as np

from funcgrad import nn

SMOOTH = {
    "linear": (nn.Linear(3, 4), (5, 3)),
    "linear without bias": (nn.Linear(3, 4, bias=False), (5, 3)),
    "linear of a sequence": (nn.Linear(3, 4), (2, 5, 3)),
    "flatten": (nn.Flatten(), (3, 2, 2)),
    "lambda": (nn.Lambda(np.sin), (3, 2)),
    "dropout": (nn.Dropout(0.4), (4, 5)),
    "residual": (nn.Residual(nn.Sequential(nn.Linear(3, 3), nn.Tanh())), (4, 3)),
    "projected residual": (nn.Residual(nn.Linear(3, 4), nn.Linear(3, 4)), (4, 3)),
    "conv1d": (nn.Conv1d(2, 3, 3), (2, 7, 2)),
    "conv1d same": (nn.Conv1d(2, 3, 4, stride=2, padding="same"), (2, 7, 2)),
    "conv2d": (nn.Conv2d(2, 3, 3), (2, 5, 4, 2)),
    "conv2d with all settings": (
        nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=((1, 2), (0, 1)), dilation=(1, 2), groups=2),
        (2, 6, 5, 4),
    ),
    "depthwise conv2d": (nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False), (2, 4, 4, 3)),
    "conv1d transposed": (nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1), (2, 4, 2)),
    "conv2d transposed": (
        nn.ConvTranspose2d(4, 2, 3, 2, 1, 2, 2, output_padding=1),
        (2, 3, 4, 4),
    ),
    "max pool 1d": (nn.MaxPool1d(2), (2, 6, 3)),
    "max pool 2d": (nn.MaxPool2d(3, stride=2, padding=1), (2, 5, 6, 2)),
    "avg pool 1d": (nn.AvgPool1d(3, 1, "same"), (2, 6, 3)),
    "avg pool 2d": (nn.AvgPool2d((2, 3), padding=1), (2, 5, 6, 2)),
    "adaptive pool 1d": (nn.AdaptiveAvgPool1d(3), (2, 7, 2)),
    "adaptive pool 2d": (nn.AdaptiveAvgPool2d((2, 3)), (2, 5, 7, 2)),
    "global pool": (nn.GlobalAvgPool(), (2, 3, 4, 2)),
    "layer norm": (nn.LayerNorm(5), (3, 5)),
    "rms norm": (nn.RMSNorm(5), (3, 5)),
    "group norm": (nn.GroupNorm(2, 4), (2, 3, 4)),
    "batch norm": (nn.BatchNorm(3), (6, 3)),
    "rnn": (nn.RNN(3, 4), (2, 5, 3)),
    "gru": (nn.GRU(3, 4), (2, 5, 3)),
    "lstm": (nn.LSTM(3, 4), (2, 5, 3)),
    "last of rnn": (nn.RNN(3, 4, return_sequence=False), (2, 3, 3)),
    "last of gru": (nn.GRU(3, 4, return_sequence=False), (2, 3, 3)),
    "last of lstm": (nn.LSTM(3, 4, return_sequence=False), (2, 3, 3)),
    "attention": (nn.MultiHeadAttention(4, 2), (2, 3, 4)),
    "causal attention": (nn.MultiHeadAttention(4, 1, causal=True), (2, 3, 4)),
    "network": (
        nn.Sequential(
            nn.Conv2d(1, 2, 3, padding="same"),
            nn.BatchNorm(2),
            nn.GELU(),
            nn.AvgPool2d(2),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(8, 3),
        ),
        (3, 4, 4, 1),
    ),
    **{
        type(layer).__name__: (layer, (3, 4))
        for layer in (
            nn.ELU(0.7),
            nn.GELU(),
            nn.HardTanh(),
            nn.LeakyReLU(0.1),
            nn.LogSoftmax(),
            nn.Mish(),
            nn.ReLU(),
            nn.SiLU(),
            nn.Sigmoid(),
            nn.Softmax(),
            nn.Softplus(),
            nn.Tanh(),
        )
    },
}


def with_dtype(layer, dtype):
    """Return the layer with parameters of this dtype, those inside it too."""
    if isinstance(layer, nn.Sequential):
        return nn.Sequential(*[with_dtype(child, dtype) for child in layer.layers])
    if isinstance(layer, nn.Residual):
        ways = [way and with_dtype(way, dtype) for way in (layer.layer, layer.shortcut)]
        return nn.Residual(*ways)
    if hasattr(layer, "dtype"):
        return dataclasses.replace(layer, dtype=dtype)
    return layer


def trained(layer, state):
    """Return f(params, x): the layer while training, always with the same draws."""

    def f(params, x):
        rng = np.random.default_rng(7)
        return nn.apply_layer(layer, params, x, state=state, train=True, rng=rng)[0]

    return f


def drawn(name, dtype=np.float64):
    """Return f, parameters and an input for a row."""
    layer, shape = SMOOTH[name]
    layer = with_dtype(layer, dtype)
    rng = np.random.default_rng(0)
    f = trained(layer, nn.init_state(layer))
    return f, layer.init(rng), rng.normal(size=shape).astype(dtype)
