"""A Bayesian neural network by Hamiltonian Monte Carlo: many networks in place of one.

The posterior over the weights of a small network is sampled by moving through it like a ball with
friction-free momentum, steered by the gradient (Neal, MCMC using Hamiltonian dynamics, 2011). Where
there are data the networks agree; between and beyond they part, and the band says so.

    python examples/bayesian_network.py --output bayesian_network.png
"""

import argparse
from typing import Any

import numpy as np

from funcgrad import nn, tree, value_and_grad, vmap

Array = np.ndarray[Any, Any]
MODEL = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
NOISE = 0.1


def truth(x: Array) -> Array:
    """Return the function that the data come from."""
    return np.sin(3 * x) + 0.3 * x


def draw_data(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw 40 noisy points, with a gap in the middle."""
    x = np.concatenate([rng.uniform(-2, -0.5, 20), rng.uniform(0.7, 2, 20)])[:, None]
    return x, truth(x) + NOISE * rng.normal(size=x.shape)


def energy(params: Any, x: Array, y: Array) -> Any:
    """Return -log p(weights | data), up to a constant: a normal prior and normal noise."""
    prior = sum(np.sum(p**2) for p in tree.leaves(params)) / (2 * 2.0**2)
    return prior + np.sum((MODEL.apply(params, x) - y) ** 2) / (2 * NOISE**2)


def leapfrog(force: Any, q: Array, p: Array, steps: int, size: float) -> tuple[Array, Array, Any]:
    """Follow Hamilton's equations; return place, momentum, and the energy there."""
    value, grad = force(q)
    for _ in range(steps):
        p = p - size / 2 * grad
        q = q + size * p
        value, grad = force(q)
        p = p - size / 2 * grad
    return q, p, value


def sample(
    fun: Any, q: Array, rng: np.random.Generator, warm_up: int, count: int
) -> tuple[Array, float]:
    """Draw `count` samples after `warm_up` steps that adapt the step size; and the acceptance."""
    force = value_and_grad(fun)
    size, accepted, samples = 0.005, 0.0, []
    for i in range(warm_up + count):
        p = rng.normal(size=q.shape)
        before = fun(q) + p @ p / 2
        # A random length: a fixed one may be a whole period of an oscillation.
        q_new, p_new, value = leapfrog(force, q, p, int(rng.integers(10, 40)), size)
        chance = np.exp(min(0.0, before - value - p_new @ p_new / 2))
        if rng.uniform() < chance:
            q = q_new
        if i < warm_up:
            size *= np.exp(0.1 * (chance - 0.8))
        else:
            accepted += chance / count
            samples.append(q)
    return np.array(samples), accepted


def draw(path: str, data: tuple[Array, Array], grid: Array, curves: Array) -> None:
    """Draw some of the networks, and their mean and spread."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    mean, deviation = curves.mean(axis=0), curves.std(axis=0)
    left.plot(grid, curves[:: max(1, len(curves) // 25)].T, "C0", lw=0.6, alpha=0.6)
    left.set(title="some of the networks")
    right.fill_between(grid[:, 0], mean - 2 * deviation, mean + 2 * deviation, alpha=0.25, lw=0)
    right.plot(grid, mean, label="mean, ± 2 deviations")
    right.plot(grid, truth(grid), "k:", label="truth")
    for axes in (left, right):
        axes.plot(*data, "k.", ms=4)
    right.legend()
    figure.savefig(path, dpi=75)


def main(quick: bool = False, output: str | None = None) -> float:
    """Sample, print and check the figures; return the acceptance."""
    rng = np.random.default_rng(0)
    x, y = draw_data(rng)
    q, unravel = tree.ravel(MODEL.init(rng))
    warm_up, count = (120, 80) if quick else (1000, 1000)
    samples, accepted = sample(lambda q: energy(unravel(q), x, y), q, rng, warm_up, count)

    grid = np.linspace(-3, 3, 121)[:, None]
    curves = vmap(lambda q: MODEL.apply(unravel(q), grid))(samples)[:, :, 0]
    mean, deviation = curves.mean(axis=0), curves.std(axis=0)
    seen = (np.abs(grid[:, 0]) > 0.7) & (np.abs(grid[:, 0]) < 2)
    unseen = np.abs(grid[:, 0]) > 2.5
    error = np.sqrt(np.mean((mean - truth(grid)[:, 0])[seen] ** 2))
    print(f"{count} samples, acceptance {accepted:.2f}")
    print(f"error where there are data {error:.3f} (noise {NOISE})")
    print(
        f"spread {deviation[seen].mean():.3f} among the data, {deviation[unseen].mean():.3f} beyond"
    )
    assert 0.5 < accepted < 0.99
    assert error < 2 * NOISE
    assert deviation[unseen].mean() > 3 * deviation[seen].mean()
    if output:
        draw(output, (x, y), grid, curves)
    return accepted


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few samples")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
