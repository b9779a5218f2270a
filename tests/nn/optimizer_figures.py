"""The same problem for our optimizers and for those of PyTorch and Optax.

The stored figures come from the peers:

    python -m tests.nn.optimizer_figures torch optax > tests/nn/optimizer_figures.json
"""

import json
import sys

import numpy as np

START = {"w": [[0.5, -1.0, 2.0], [0.0, 0.25, -0.75]], "b": [1.5, -0.1]}
STEPS = 12


def gradient(name, p):
    """Return the gradient of sum(c p^2 / 2 + sin(3 p)), which has hills; c from 0.5 to 4."""
    c = np.linspace(0.5, 4, p.size).reshape(p.shape) * (1 if name == "w" else -0.3)
    return c * p + 3 * np.cos(3 * p)


def run(update):
    """Return the parameters after some steps of ``update(grads, params) -> params``."""
    params = {name: np.array(value) for name, value in START.items()}
    for _ in range(STEPS):
        params = update({name: gradient(name, p) for name, p in params.items()}, params)
    return {name: p.tolist() for name, p in params.items()}


def run_torch(make):
    import torch

    tensors = {
        n: torch.tensor(v, dtype=torch.float64, requires_grad=True) for n, v in START.items()
    }
    optimizer = make(list(tensors.values()))

    def update(grads, params):
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[name])
        optimizer.step()
        return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}

    return run(update)


def run_optax(optimizer):
    import jax
    import optax  # noqa: PLC0415

    with jax.enable_x64(True):
        state = optimizer.init({name: np.array(value) for name, value in START.items()})

        def update(grads, params):
            nonlocal state
            updates, state = optimizer.update(grads, state, params)
            new = optax.apply_updates(params, updates)
            return {name: np.array(p) for name, p in new.items()}

        return run(update)


def torch_figures():
    import torch

    optim = torch.optim
    makers = {
        "sgd": lambda p: optim.SGD(p, lr=0.05),
        "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1),
        "nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
        "adam": lambda p: optim.Adam(p, lr=0.05, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1),
        "adamw": lambda p: optim.AdamW(p, lr=0.05, weight_decay=0.1),
        "rmsprop": lambda p: optim.RMSprop(p, lr=0.05, alpha=0.9, weight_decay=0.1),
        "rmsprop, all": lambda p: optim.RMSprop(p, 0.01, 0.9, momentum=0.5, centered=True),
        "adagrad": lambda p: optim.Adagrad(p, lr=0.5, weight_decay=0.1),
    }
    return {name: run_torch(make) for name, make in makers.items()}


def optax_figures():
    import jax
    import optax  # noqa: PLC0415

    matrices = lambda params: {name: np.ndim(p) > 1 for name, p in params.items()}  # noqa: E731
    schedules = {
        "constant": optax.constant_schedule(0.1),
        "step": optax.exponential_decay(0.1, 4, 0.5, staircase=True),
        "exponential": optax.exponential_decay(0.1, 4, 0.5),
        "cosine": optax.cosine_decay_schedule(0.1, 8, alpha=0.1),
        "warm-up": optax.warmup_cosine_decay_schedule(0.01, 0.1, 3, 10),
        "one cycle": optax.cosine_onecycle_schedule(10, 0.1),
        "joined": optax.join_schedules(
            [optax.constant_schedule(0.1), optax.exponential_decay(0.2, 4, 0.5)], [5]
        ),
    }
    with jax.enable_x64(True):
        rates = {n: [float(f(step)) for step in range(STEPS)] for n, f in schedules.items()}
        makers = {
            "lion": optax.lion(0.05, weight_decay=0.1),
            "adamw, masked": optax.adamw(0.05, weight_decay=0.3, mask=matrices),
            "adam, cosine": optax.adam(optax.cosine_decay_schedule(0.1, 8)),
            "clipped by norm": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
            "clipped by value": optax.chain(optax.clip(0.5), optax.sgd(0.1, 0.9, nesterov=True)),
        }
        return {"rates": rates, **{name: run_optax(make) for name, make in makers.items()}}


FIGURES = {"torch": torch_figures, "optax": optax_figures}

if __name__ == "__main__":
    json.dump({peer: FIGURES[peer]() for peer in sys.argv[1:]}, sys.stdout, indent=1)
    print()
