"""Optimal control: swing a pendulum up, by a motor too weak to lift it.

The state is simulated for four seconds under a torque per time step; the cost is what remains
between the last state and standing upright, and the energy spent. Its gradient with respect to all
torques goes backward through the whole rollout, and L-BFGS does the rest. What comes out swings to
and fro to gather speed, as a child on a swing does; nobody told it to.

    python examples/optimal_control.py --output optimal_control.png
"""

import argparse
from typing import Any

import numpy as np

from funcgrad import nn, value_and_grad

Array = np.ndarray[Any, Any]
GRAVITY = 9.81
LIMIT = 4.0  # of the torque; to hold the pendulum level takes 9.81
SECONDS = 4.0


def rollout(controls: Any) -> tuple[Any, Any, Any]:
    """Return the torques within the limit, and the angles and speeds; at 0 it hangs down."""
    torques = LIMIT * np.tanh(controls)
    dt = SECONDS / len(controls)
    angle, speed = 0.0, 0.0
    angles, speeds = [], []
    for torque in torques:
        # The symplectic Euler method: the new speed moves the angle.
        speed = speed + dt * (torque - GRAVITY * np.sin(angle))
        angle = angle + dt * speed
        angles.append(angle)
        speeds.append(speed)
    return torques, np.stack(angles), np.stack(speeds)


def cost(controls: Any) -> Any:
    """Return the distance from standing upright at rest, and a little for energy."""
    torques, angles, speeds = rollout(controls)
    upright = 10 * (1 + np.cos(angles[-1])) + speeds[-1] ** 2
    return upright + 0.01 * SECONDS * np.mean(torques**2)


def draw(path: str, controls: Array, start: Array) -> None:
    """Draw angle and torque against time, and the path of the weight."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    torques, angles, _ = rollout(controls)
    time = SECONDS * np.arange(1, len(controls) + 1) / len(controls)
    left.plot(time, np.degrees(rollout(start)[1]), ":", label="at random")
    left.plot(time, np.degrees(angles), label="optimal")
    left.axhline(180 * np.sign(angles[-1]), color="black", lw=0.5)
    left.set(title="angle (degrees)", xlabel="time (s)")
    left.legend()
    middle.plot(time, torques)
    middle.set(title="torque", xlabel="time (s)", ylim=(-1.1 * LIMIT, 1.1 * LIMIT))
    right.scatter(np.sin(angles), -np.cos(angles), c=time, s=8)
    right.set(title="path", aspect="equal", xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
    figure.savefig(path, dpi=75)


def main(quick: bool = False, output: str | None = None) -> float:
    """Optimise, print and check the figures; return the last angle, in degrees off upright."""
    steps = 60 if quick else 200
    start = 0.1 * np.random.default_rng(0).normal(size=steps)
    controls, info = nn.LBFGS().minimize(value_and_grad(cost), start, steps=100 if quick else 200)
    torques, angles, speeds = rollout(controls)
    off = float(np.degrees(np.arccos(-np.cos(angles[-1]))))
    swings = int(np.sum(np.diff(np.sign(torques)) != 0))
    print(f"cost {cost(start):.2f} -> {info['value']:.3f} in {info['steps']} steps of L-BFGS")
    print(
        f"{off:.2f} degrees off upright at speed {speeds[-1]:.3f}; the torque changes sign {swings} x"
    )
    assert off < 3
    assert abs(speeds[-1]) < 0.1
    assert np.abs(torques).max() <= LIMIT
    if output:
        draw(output, controls, start)
    return off


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="longer time steps")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
