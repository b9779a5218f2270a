"""Meta-learning: weights from which one gradient step learns a new task.

Each task is a sine wave of another amplitude and phase, known at ten points. Model-agnostic
meta-learning (Finn, Abbeel and Levine, ICML 2017) looks for initial weights whose loss is small
*after* a step of gradient descent on a task: the outer gradient goes through the inner one. Both are
plain calls of `grad`, and `vmap` runs all the tasks of a batch at once.

    python examples/maml.py --output maml.png
"""

import argparse
from typing import Any

import numpy as np

from funcgrad import grad, nn, value_and_grad, vmap

Array = np.ndarray[Any, Any]
MODEL = nn.Sequential(
    nn.Linear(1, 40, nn.he_normal),
    nn.ReLU(),
    nn.Linear(40, 40, nn.he_normal),
    nn.ReLU(),
    nn.Linear(40, 1),
)
INNER_RATE = 0.01
POINTS = 10


def draw_tasks(rng: np.random.Generator, count: int) -> tuple[Array, Array, Array, Array]:
    """Draw points to learn from and points to be judged by, each of shape (count, POINTS, 1)."""
    amplitude = rng.uniform(0.5, 5, (count, 1, 1))
    phase = rng.uniform(0, np.pi, (count, 1, 1))
    x = rng.uniform(-5, 5, (2, count, POINTS, 1))
    y = amplitude * np.sin(x + phase)
    return x[0], y[0], x[1], y[1]


def loss(params: Any, x: Any, y: Any) -> Any:
    """Return the mean squared error of the network."""
    return nn.mean_squared_error(MODEL.apply(params, x), y)


def adapt(params: Any, x: Any, y: Any, steps: int = 1) -> Any:
    """Learn a task: a few steps of gradient descent."""
    for _ in range(steps):
        params = nn.sgd(params, grad(loss)(params, x, y), INNER_RATE)
    return params


def meta_loss(params: Any, tasks: Any) -> Any:
    """Return the mean loss on fresh points of each task, after learning it."""

    def after(x: Any, y: Any, x_new: Any, y_new: Any) -> Any:
        return loss(adapt(params, x, y), x_new, y_new)

    return np.mean(vmap(after)(*tasks))


def mean_loss(params: Any, tasks: Any) -> Any:
    """Return the mean loss without learning: what an average wave leaves."""
    return np.mean(vmap(lambda x, y, x_new, y_new: loss(params, x_new, y_new))(*tasks))


def train(objective: Any, steps: int, rate: float) -> Any:
    """Minimise an objective over batches of 25 tasks."""
    rng = np.random.default_rng(0)
    params, optimizer = MODEL.init(rng), nn.Adam(rate)
    state, step = optimizer.init(params), value_and_grad(objective)
    for _ in range(steps):
        _, grads = step(params, draw_tasks(rng, 25))
        params, state = optimizer.update(grads, state, params)
    return params


def test_curve(params: Any, most: int) -> list[float]:
    """Return the loss on new tasks after 0, 1, ... steps of learning."""
    x, y, x_new, y_new = draw_tasks(np.random.default_rng(1), 200)

    def after(x: Any, y: Any, x_new: Any, y_new: Any, steps: int) -> Any:
        return loss(adapt(params, x, y, steps), x_new, y_new)

    return [
        float(np.mean(vmap(after, in_axes=(0, 0, 0, 0, None))(x, y, x_new, y_new, steps)))
        for steps in range(most + 1)
    ]


def draw(path: str, start: Any, curves: dict[str, list[float]]) -> None:
    """Draw one task and what is learnt of it, and the test losses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    grid = np.linspace(-5, 5, 100)[:, None]
    x = np.random.default_rng(4).uniform(-5, 5, (POINTS, 1))
    left.plot(grid, 3 * np.sin(grid + 1), "k:", label="task")
    left.plot(x, 3 * np.sin(x + 1), "k^")
    for steps in (0, 1, 5):
        params = adapt(start, x, 3 * np.sin(x + 1), steps)
        left.plot(grid, MODEL.apply(params, grid), label=f"after {steps} steps")
    left.legend()
    for name, curve in curves.items():
        right.plot(curve, "o-", label=name)
    right.set(title="loss on new tasks", xlabel="steps of learning", ylim=(0, 8))
    right.legend()
    figure.savefig(path, dpi=75)


def main(quick: bool = False, output: str | None = None) -> dict[str, list[float]]:
    """Train, print and check the figures; return the test curves."""
    steps, rate = (300, 0.01) if quick else (6000, 0.002)
    start = train(meta_loss, steps, rate)
    curves = {
        "MAML": test_curve(start, 5),
        "trained on all tasks": test_curve(train(mean_loss, steps, rate), 5),
    }
    print("loss on new tasks after 0 to 5 steps of learning")
    for name, curve in curves.items():
        print(f"{name:21}", *(f"{value:6.3f}" for value in curve))
    assert curves["MAML"][1] < (0.9 if quick else 0.3) * curves["MAML"][0]
    assert curves["MAML"][1] < (0.9 if quick else 0.3) * min(curves["trained on all tasks"])
    if output:
        draw(output, start, curves)
    return curves


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short training")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
