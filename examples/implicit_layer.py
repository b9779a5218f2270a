"""An implicit layer: its output is not computed by a formula, it is where an equation holds.

z = tanh(W z + U x + b) has one solution z for each input x when W is small enough: a network of
infinitely many layers with the same weights (Bai, Kolter and Koltun, Deep equilibrium models,
NeurIPS 2019). It is found by iteration; its gradient comes from the implicit function theorem, at
the solution alone, so that neither memory nor accuracy depend on how it was found.

    python examples/implicit_layer.py --output implicit_layer.png
"""

import argparse
from typing import Any

import numpy as np

from funcgrad import grad, implicit, nn, tree, value_and_grad, vmap

Array = np.ndarray[Any, Any]
WIDTH = 6


def cell(z: Any, params: Any, x: Any) -> Any:
    """Return the right side of the equation; the norm of W is kept below 0.9: a contraction."""
    w = params["w"] * (0.9 / np.maximum(np.sqrt(np.sum(params["w"] ** 2)), 0.9))
    return np.tanh(w @ z + params["u"] @ x + params["b"])


def iterate(g: Any, z: Array) -> Array:
    """Apply g until nothing changes; each time the distance falls by a tenth at least."""
    for _ in range(300):
        new = g(z)
        if np.abs(new - z).max() < 1e-10:
            return new
        z = new
    return z


equilibrium = implicit.fixed_point(cell, iterate)


def unrolled(z: Any, params: Any, x: Any) -> Any:
    """Return the same by 200 layers, each kept for the backward pass."""
    for _ in range(200):
        z = cell(z, params, x)
    return z


def logits(params: Any, x: Any, solve: Any = equilibrium) -> Any:
    """Return a score for each row of x (N, 2)."""
    z = vmap(lambda x: solve(np.zeros(WIDTH), params, x))(x)
    return z @ params["out"]


def loss(params: Any, x: Any, y: Any, solve: Any = equilibrium) -> Any:
    """Return the mean binary cross-entropy."""
    return nn.sigmoid_cross_entropy(logits(params, x, solve), y)


def init(rng: np.random.Generator) -> dict[str, Array]:
    """Draw the parameters."""
    return {
        "w": 0.3 * rng.normal(size=(WIDTH, WIDTH)),
        "u": 1.5 * rng.normal(size=(WIDTH, 2)),
        "b": 0.5 * rng.normal(size=WIDTH),
        "out": rng.normal(size=WIDTH),
    }


def draw_moons(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Draw two interleaved half circles."""
    y = np.arange(count) % 2
    angle = np.pi * rng.uniform(size=count) + np.pi * y
    x = np.stack([np.cos(angle) + y - 0.5, np.sin(angle) + 0.5 * y - 0.25], axis=1)
    return x + 0.12 * rng.normal(size=x.shape), y.astype(float)


def draw(path: str, params: Any, x: Array, y: Array, losses: list[float]) -> None:
    """Draw the boundary, and the loss."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    side = np.linspace(-2, 2, 40)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    scores = nn.sigmoid(logits(params, grid)).reshape(40, 40)
    left.contourf(side, side, scores, levels=np.linspace(0, 1, 9), cmap="RdBu", alpha=0.7)
    left.scatter(*x.T, c=y, cmap="RdBu", edgecolors="black", linewidths=0.4, s=12)
    right.semilogy(losses)
    right.set(title="loss", xlabel="step")
    figure.savefig(path, dpi=70)


def main(quick: bool = False, output: str | None = None) -> float:
    """Train, print and check the figures; return the test accuracy."""
    rng = np.random.default_rng(0)
    x, y = draw_moons(rng, 300)
    params = init(rng)
    by_theorem, by_layers = (grad(loss)(params, x[:5], y[:5], f) for f in (equilibrium, unrolled))
    difference = max(
        float(np.abs(a - b).max())
        for a, b in zip(tree.leaves(by_theorem), tree.leaves(by_layers), strict=True)
    )
    print(f"gradient by the theorem and through 200 layers differ by {difference:.1e}")

    optimizer = nn.Adam(0.05)
    state, step, losses = optimizer.init(params), value_and_grad(loss), []
    for _ in range(50 if quick else 400):
        batch = rng.integers(0, len(x), 32)
        value, grads = step(params, x[batch], y[batch])
        params, state = optimizer.update(grads, state, params)
        losses.append(float(value))

    x_test, y_test = draw_moons(rng, 100 if quick else 400)
    accuracy = float(np.mean((logits(params, x_test) > 0) == y_test))
    print(f"loss {losses[0]:.3f} -> {np.mean(losses[-20:]):.3f}, test accuracy {accuracy:.3f}")
    assert difference < 1e-7
    assert accuracy > (0.85 if quick else 0.97)
    if output:
        draw(output, params, x, y, losses)
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short training")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
