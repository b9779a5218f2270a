"""Logistic regression by L-BFGS: what a penalty does to the weights.

569 tumours, 30 measurements each (scikit-learn's breast-cancer data): benign or malignant? The loss
is convex and smooth, so L-BFGS finds its minimum to many digits in a few dozen evaluations. Each
strength of the penalty gives a model; the one with the best validation loss is tested.

    python examples/logistic_regression.py --output logistic_regression.png
"""

import argparse
from typing import Any

import numpy as np

from funcgrad import nn, value_and_grad

Array = np.ndarray[Any, Any]


def load() -> tuple[Array, Array]:
    """Return the standardised measurements (569, 30) and the labels (569,)."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    x = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    return x, data.target.astype(float)


def negative_log_likelihood(params: Any, x: Array, y: Array) -> Any:
    """Return the mean over the samples of -log p(y | x)."""
    logits = x @ params["w"] + params["b"]
    return np.mean(np.logaddexp(0, logits) - y * logits)


def fit(x: Array, y: Array, penalty: float) -> tuple[Any, dict[str, Any]]:
    """Minimise the penalised loss from zero weights."""

    def loss(params: Any) -> Any:
        return negative_log_likelihood(params, x, y) + penalty * np.sum(params["w"] ** 2)

    start = {"w": np.zeros(x.shape[1]), "b": 0.0}
    return nn.LBFGS().minimize(value_and_grad(loss), start, steps=500, tol=1e-7)


def accuracy(params: Any, x: Array, y: Array) -> float:
    """Return the share of samples on the right side."""
    return float(np.mean((x @ params["w"] + params["b"] > 0) == y))


def draw(path: str, penalties: Array, weights: Array, losses: dict[str, list[float]]) -> None:
    """Draw the weights, and the losses, against the penalty."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.semilogx(penalties, weights, lw=1)
    left.set(title="weights", xlabel="penalty")
    for name, curve in losses.items():
        right.semilogx(penalties, curve, label=name)
    right.set(title="loss", xlabel="penalty")
    right.legend()
    figure.savefig(path, dpi=75)


def main(quick: bool = False, output: str | None = None) -> float:
    """Fit, print and check the figures; return the test accuracy."""
    x, y = load()
    train, validation, test = np.split(np.random.default_rng(0).permutation(len(y)), [300, 430])
    penalties = np.logspace(-5, 0, 4 if quick else 21)
    fits = [fit(x[train], y[train], penalty) for penalty in penalties]
    assert all(info["converged"] for _, info in fits)
    losses = {
        name: [negative_log_likelihood(params, x[part], y[part]) for params, _ in fits]
        for name, part in (("training", train), ("validation", validation))
    }
    best = int(np.argmin(losses["validation"]))
    params, info = fits[best]
    found = accuracy(params, x[test], y[test])
    print(f"best of {len(penalties)} penalties: {penalties[best]:.1e}, in {info['steps']} steps")
    print(f"accuracy: training {accuracy(params, x[train], y[train]):.3f}, test {found:.3f}")
    assert found >= 0.95
    if output:
        draw(output, penalties, np.array([params["w"] for params, _ in fits]), losses)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few penalties")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
