"""Growth of a population: a fit, its uncertainty from the Hessian, and a check of that.

N(t) = K / (1 + (K / N0 - 1) exp(-r t)) is Verhulst's law of growth towards the capacity K. Counts
scatter by a tenth of their size. The Hessian of the negative log likelihood at its minimum, inverted,
is the covariance of the estimates (the observed Fisher information); the gradient of a forecast
carries it over to the forecast (the delta method). Fits to simulated data show that it is right.

    python examples/logistic_growth.py --output logistic_growth.png
"""

import argparse
from typing import Any

import numpy as np

from funcgrad import grad, hessian, jacfwd, nn, value_and_grad

Array = np.ndarray[Any, Any]
TRUE = np.log([5.0, 500.0, 0.4])  # of N0, K, r: as logarithms they have no bounds
NAMES = ("N0", "K", "r")
SCATTER = 0.1  # relative


def population(log_params: Any, t: Any) -> Any:
    """Return N(t)."""
    n0, k, r = np.exp(log_params)
    return k / (1 + (k / n0 - 1) * np.exp(-r * t))


def negative_log_likelihood(log_params: Any, t: Array, counts: Array) -> Any:
    """Return -log p(counts), up to a constant: log-normal scatter."""
    return np.sum((np.log(counts) - np.log(population(log_params, t))) ** 2) / (2 * SCATTER**2)


def fit(t: Array, counts: Array) -> tuple[Array, Array]:
    """Return the estimates and their covariance."""

    def loss(log_params: Any) -> Any:
        return negative_log_likelihood(log_params, t, counts)

    start = np.log([counts[0], counts[-1], 0.2])
    found, info = nn.LBFGS().minimize(value_and_grad(loss), start, tol=1e-5)
    assert info["converged"]
    assert np.abs(grad(loss)(found)).max() <= 1e-5
    return found, np.linalg.inv(hessian(loss)(found))


def forecast(found: Array, covariance: Array, t: Array) -> tuple[Array, Array]:
    """Return log N(t) and its standard deviation: the square root of J C J^T."""

    def log_population(log_params: Any) -> Any:
        return np.log(population(log_params, t))

    jacobian = jacfwd(log_population)(found)
    return log_population(found), np.sqrt(np.sum(jacobian @ covariance * jacobian, axis=1))


def draw(path: str, t: Array, counts: Array, found: Array, covariance: Array, fits: Array) -> None:
    """Draw the forecast from the first half of the data, and the spread of repeated fits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    at = np.linspace(0, 30, 150)
    middle, deviation = forecast(found, covariance, at)
    left.fill_between(
        at, np.exp(middle - 2 * deviation), np.exp(middle + 2 * deviation), alpha=0.25, lw=0
    )
    left.plot(at, np.exp(middle), label="fit, ± 2 deviations")
    left.plot(at, population(TRUE, at), "k:", label="truth")
    left.plot(t, counts, "k.", label="counts")
    left.set(xlabel="time", ylabel="population")
    left.legend()
    right.plot(*np.exp(fits[:, 1:]).T, ".", ms=4, label="fits to simulated counts")
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    ellipse = found[1:, None] + 2 * np.linalg.cholesky(covariance[1:, 1:]) @ circle
    right.plot(*np.exp(ellipse), label="Hessian, 2 deviations")
    right.set(xlabel="K", ylabel="r")
    right.legend()
    figure.savefig(path, dpi=75)


def main(quick: bool = False, output: str | None = None) -> Array:
    """Fit, print and check the figures; return the estimates."""
    rng = np.random.default_rng(2)
    t = np.linspace(0, 15, 31)

    def observe(log_params: Array) -> Array:
        return population(log_params, t) * np.exp(SCATTER * rng.normal(size=len(t)))

    counts = observe(TRUE)
    found, covariance = fit(t, counts)
    errors = np.sqrt(np.diag(covariance))
    fits = np.array([fit(t, observe(found))[0] for _ in range(40 if quick else 300)])
    print("       estimate  relative error: by the Hessian, of repeated fits")
    for i, name in enumerate(NAMES):
        print(f"{name:3} {np.exp(found[i]):11.3f} {errors[i]:24.4f} {fits[:, i].std():19.4f}")
    assert np.all(np.abs(found - TRUE) < 3 * errors)
    np.testing.assert_allclose(fits.std(axis=0), errors, rtol=0.35 if quick else 0.15)
    if output:
        draw(output, t, counts, found, covariance, fits)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeated fits")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
