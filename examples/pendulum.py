"""Physics: the parameters of a pendulum, from a noisy film of its swing.

A damped pendulum obeys theta'' = -k sin(theta) - c theta'. Given its angle in each picture, which k,
which c, which start? The simulation is plain NumPy; its derivative by the parameters comes from the
same code, in forward mode, for there are four parameters and hundreds of outputs. The fit is
Gauss and Newton's; the Jacobian at the end gives the standard errors too.

    python examples/pendulum.py --output pendulum.png
"""

import argparse
from functools import partial
from typing import Any

import numpy as np

from funcgrad import jacfwd

Array = np.ndarray[Any, Any]
TRUE = np.array([9.81, 0.25, 2.5, 0.0])  # k = g / L, damping c, angle and speed at the start
NAMES = ("k", "c", "angle", "speed")
NOISE = 0.05


def acceleration(theta: Any, speed: Any, k: Any, c: Any) -> Any:
    """Return theta''."""
    return -k * np.sin(theta) - c * speed


def simulate(params: Any, steps: int, dt: float) -> Any:
    """Return the angles after 0, 1, 2, ... steps of the classical Runge-Kutta method."""
    k, c, theta, speed = params[0], params[1], params[2], params[3]
    angles = [theta]
    for _ in range(steps):
        a1 = acceleration(theta, speed, k, c)
        s2 = speed + dt / 2 * a1
        a2 = acceleration(theta + dt / 2 * speed, s2, k, c)
        s3 = speed + dt / 2 * a2
        a3 = acceleration(theta + dt / 2 * s2, s3, k, c)
        s4 = speed + dt * a3
        a4 = acceleration(theta + dt * s3, s4, k, c)
        theta = theta + dt / 6 * (speed + 2 * s2 + 2 * s3 + s4)
        speed = speed + dt / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        angles.append(theta)
    return np.stack(angles)


def gauss_newton(residuals: Any, params: Array, steps: int) -> tuple[Array, Array, list[float]]:
    """Minimise the sum of squares; halve a step that does not help."""
    costs = [float(np.sum(residuals(params) ** 2))]
    jacobian = jacfwd(residuals)
    for _ in range(steps):
        step = np.linalg.lstsq(jacobian(params), -residuals(params))[0]
        while np.sum(residuals(params + step) ** 2) > costs[-1] and np.abs(step).max() > 1e-10:
            step = step / 2
        params = params + step
        costs.append(float(np.sum(residuals(params) ** 2)))
        if np.abs(step).max() < 1e-6:
            break
    return params, jacobian(params), costs


def draw(
    path: str, times: Array, seen: Array, curves: dict[str, Array], costs: list[float]
) -> None:
    """Draw the film, the simulations, and how the cost fell."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    left.plot(times, seen, "k.", ms=3, label="observed")
    for name, angles in curves.items():
        left.plot(times, angles, label=name)
    left.set(xlabel="time (s)", ylabel="angle (rad)")
    left.legend()
    right.semilogy(costs, "o-")
    right.set(title="sum of squares", xlabel="step")
    figure.savefig(path, dpi=75)


def main(quick: bool = False, output: str | None = None) -> Array:
    """Fit, print and check the figures; return the parameters."""
    steps, dt = (100, 0.04) if quick else (250, 0.03)
    rng = np.random.default_rng(0)
    seen = simulate(TRUE, steps, dt) + NOISE * rng.normal(size=steps + 1)
    start = np.array([8.5, 0.1, seen[0], 0.0])

    def residuals(params: Any, count: int) -> Any:
        return simulate(params, count, dt) - seen[: count + 1]

    # A quarter of the film first: all of it at once has local minima, a swing off.
    params, _, costs = gauss_newton(partial(residuals, count=steps // 4), start, 10)
    params, jacobian, more = gauss_newton(partial(residuals, count=steps), params, 10)
    # The covariance of least squares: sigma^2 (J^T J)^-1.
    errors = NOISE * np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
    for name, value, error, true in zip(NAMES, params, errors, TRUE, strict=True):
        print(f"{name:6} {value:8.4f} ± {error:.4f}   (true {true:g})")
    assert np.all(np.abs(params - TRUE) < 4 * errors)
    assert abs(params[0] / TRUE[0] - 1) < 0.01
    if output:
        curves = {"first guess": simulate(start, steps, dt), "fit": simulate(params, steps, dt)}
        draw(output, dt * np.arange(steps + 1), seen, curves, costs + more)
    return params


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a shorter film")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
