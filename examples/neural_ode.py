"""A neural ordinary differential equation: the law behind a curve, learnt from its points.

A network gives the velocity dz/dt = f(z); a Runge-Kutta method follows it. The gradient of what comes
out needs none of the steps on the way: the adjoint a = dL/dz obeys da/dt = -a^T df/dz, solved
backward in time together with z itself (Pontryagin 1962; Chen et al., Neural ordinary differential
equations, NeurIPS 2018). As a `custom_vjp` that takes constant memory, however many the steps.

    python examples/neural_ode.py --output neural_ode.png
"""

import argparse
from typing import Any

import numpy as np

from funcgrad import custom_vjp, grad, nn, tree, value_and_grad, vjp

Array = np.ndarray[Any, Any]
MODEL = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
SUBSTEPS = 4  # of the solver between two times


def oscillator(z: Any) -> Any:
    """Return the law to be found: van der Pol's, of a current in a vacuum tube."""
    x, v = z
    return np.stack([v, (1 - x**2) * v - x])


def velocity(params: Any, z: Any) -> Any:
    """Return dz/dt as the network has it."""
    return MODEL.apply(params, z)


def integrate(f: Any, z: Any, seconds: float) -> Any:
    """Follow dz/dt = f(z), z a pytree, by the classical Runge-Kutta method."""
    h = seconds / SUBSTEPS

    def move(z: Any, size: float, slope: Any) -> Any:
        return tree.map(lambda z, s: z + size * s, z, slope)

    for _ in range(SUBSTEPS):
        k1 = f(z)
        k2 = f(move(z, h / 2, k1))
        k3 = f(move(z, h / 2, k2))
        k4 = f(move(z, h, k3))
        slope = tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
        z = move(z, h, slope)
    return z


def flow(params: Any, z: Any, seconds: float) -> Any:
    """Return where z is after some seconds."""
    return integrate(lambda z: velocity(params, z), z, seconds)


@custom_vjp
def adjoint_flow(params: Any, z: Any, seconds: float) -> Any:
    """Return the same; but its gradient is that of the adjoint equation."""
    return flow(params, z, seconds)


def adjoint_fwd(params: Any, z: Any, seconds: float) -> Any:
    """Keep the end alone."""
    end = adjoint_flow(params, z, seconds)
    return end, (params, end, seconds)


def adjoint_bwd(residuals: Any, ct: Any) -> Any:
    """Solve for z, its adjoint and the gradient of the parameters, backward in time."""
    params, end, seconds = residuals

    def backward(state: Any) -> Any:
        z, a, _ = state
        slope, pullback = vjp(velocity, params, z)
        params_ct, z_ct = pullback(a)
        return -slope, z_ct, params_ct

    _, a, params_ct = integrate(backward, (end, ct, tree.map(np.zeros_like, params)), seconds)
    return params_ct, a, None


adjoint_flow.defvjp(adjoint_fwd, adjoint_bwd)


def loss(params: Any, starts: Any, ends: Any, seconds: float, solve: Any = adjoint_flow) -> Any:
    """Return the mean squared distance from where the points should arrive."""
    return np.mean((solve(params, starts, seconds) - ends) ** 2)


def draw(path: str, seen: Array, learnt: Array, params: Any, losses: list[float]) -> None:
    """Draw the curves, the field that was learnt, and the loss."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    side = np.linspace(-3, 3, 16)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    arrows = velocity(params, grid)
    arrows /= np.linalg.norm(arrows, axis=-1, keepdims=True) + 1e-9
    left.quiver(*np.moveaxis(grid, -1, 0), *np.moveaxis(arrows, -1, 0), color="0.8")
    left.plot(*seen.T, "k.", ms=3, label="observed")
    left.plot(*learnt.T, label="learnt, from the first point on")
    left.legend(loc="lower right")
    right.semilogy(losses)
    right.set(title="loss", xlabel="step")
    figure.savefig(path, dpi=70)


def main(quick: bool = False, output: str | None = None) -> float:
    """Train, print and check the figures; return the mean distance from the curve."""
    rng = np.random.default_rng(0)
    count, ahead, steps = 200, 10, 300 if quick else 1500
    dt = 10 / count
    seen = [np.array([2.0, 0.0])]
    for _ in range(count - 1):
        seen.append(integrate(oscillator, seen[-1], dt))
    seen = np.array(seen) + 0.02 * rng.normal(size=(count, 2))

    params = MODEL.init(rng)
    by_adjoint = grad(loss)(params, seen[:8], seen[1:9], dt)
    through = grad(loss)(params, seen[:8], seen[1:9], dt, flow)
    for a, b in zip(tree.leaves(by_adjoint), tree.leaves(through), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)

    optimizer = nn.Adam(nn.CosineDecay(0.03, steps))
    state, step, losses = optimizer.init(params), value_and_grad(loss), []
    for _ in range(steps):
        at = rng.integers(0, count - ahead, 32)
        value, grads = step(params, seen[at], seen[at + ahead], ahead * dt)
        params, state = optimizer.update(grads, state, params)
        losses.append(float(value))

    learnt = [seen[0]]
    for _ in range(count - 1):
        learnt.append(flow(params, learnt[-1], dt))
    distance = float(np.mean(np.linalg.norm(np.array(learnt) - seen, axis=1)))
    print(f"loss {losses[0]:.3f} -> {np.mean(losses[-20:]):.5f}")
    print(f"mean distance from the curve, 10 s from the first point on: {distance:.3f}")
    assert distance < (0.2 if quick else 0.1)
    if output:
        draw(output, seen, np.array(learnt), params, losses)
    return distance


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
