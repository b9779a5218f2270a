"""Gaussian-process regression: amplitude, length and noise by the marginal likelihood.

A Gaussian process is a prior over functions; its kernel says how far one value tells about another.
Given data the posterior is a formula (Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006, algorithm 2.1). The three numbers in the kernel are found by maximising the
likelihood of the data with all functions integrated out, through the Cholesky factor.

    python examples/gaussian_process.py --output gaussian_process.png
"""

import argparse
from typing import Any

import numpy as np

from funcgrad import nn, value_and_grad

Array = np.ndarray[Any, Any]
NOISE = 0.2


def truth(x: Array) -> Array:
    """Return the function that the data come from."""
    return np.sin(2 * x) + 0.5 * x


def kernel(log_params: Any, a: Array, b: Array) -> Any:
    """Return the covariances of f(a) and f(b), shape (len(a), len(b)): the squared exponential."""
    amplitude, length = np.exp(log_params["amplitude"]), np.exp(log_params["length"])
    return amplitude**2 * np.exp(-0.5 * ((a[:, None] - b) / length) ** 2)


def factor(log_params: Any, x: Array) -> Any:
    """Return the Cholesky factor of the covariance of noisy observations at x."""
    noise = np.exp(log_params["noise"])
    return np.linalg.cholesky(kernel(log_params, x, x) + noise**2 * np.eye(len(x)))


def negative_log_likelihood(log_params: Any, x: Array, y: Array) -> Any:
    """Return -log p(y | x, parameters), all functions integrated out."""
    lower = factor(log_params, x)
    white = np.linalg.solve(lower, y)
    return np.sum(np.log(np.diag(lower))) + 0.5 * white @ white + 0.5 * len(x) * np.log(2 * np.pi)


def posterior(log_params: Any, x: Array, y: Array, at: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of f(at), given the data."""
    lower = factor(log_params, x)
    half = np.linalg.solve(lower, kernel(log_params, x, at))
    mean = half.T @ np.linalg.solve(lower, y)
    variance = np.exp(log_params["amplitude"]) ** 2 - np.sum(half**2, axis=0)
    return mean, np.sqrt(variance)


def draw(path: str, x: Array, y: Array, curves: dict[str, Any], at: Array) -> None:
    """Draw data, truth and posterior, before and after."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (title, (mean, deviation)) in zip(figure.subplots(1, 2, sharey=True), curves.items()):
        axes.fill_between(at, mean - 2 * deviation, mean + 2 * deviation, alpha=0.25, lw=0)
        axes.plot(at, mean, label="posterior, ± 2 deviations")
        axes.plot(at, truth(at), "k:", label="truth")
        axes.plot(x, y, "k.", ms=4)
        axes.set(title=title)
    axes.legend()
    figure.savefig(path, dpi=75)


def main(quick: bool = False, output: str | None = None) -> float:
    """Fit, print and check the figures; return the noise that was found."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(-4, 4, 60 if quick else 120))
    y = truth(x) + NOISE * rng.normal(size=len(x))
    start = {"amplitude": 0.0, "length": -2.0, "noise": 0.0}

    fun = value_and_grad(lambda log_params: negative_log_likelihood(log_params, x, y))
    found, info = nn.LBFGS().minimize(fun, start, tol=1e-5)
    values = {name: float(np.exp(value)) for name, value in found.items()}
    print(f"-log likelihood {fun(start)[0]:.1f} -> {info['value']:.1f} in {info['steps']} steps")
    print("  ".join(f"{name} {value:.3f}" for name, value in values.items()), f"(noise: {NOISE})")

    at = np.linspace(-5, 5, 200)
    mean, deviation = posterior(found, x, y, at)
    inside = float(np.mean(np.abs(truth(at) - mean) < 2 * deviation))
    print(f"the truth lies within two deviations at {inside:.0%} of the points")
    assert info["converged"]
    assert abs(values["noise"] / NOISE - 1) < 0.3
    assert inside > 0.8
    if output:
        curves = {"before": posterior(start, x, y, at), "after": (mean, deviation)}
        draw(output, x, y, curves, at)
    return values["noise"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="half the data")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
