"""Learn the disc: the experiment of the report "Autogradlib" (Alexandre Carlier), in plain NumPy.

1000 points in the unit square; those inside the disc of area 1/2 are one class. A network with
three hidden layers of 25 units learns it by full-batch gradient descent at a rate of 0.1 for 500
epochs, 20 times, each time from new points and new weights. Prints the report's two tables beside
the report's figures and saves the learning curves.

    python examples/disc.py
    python examples/disc.py --epochs 100 --repeats 3 --output /tmp/disc

What we had to choose: the report initialises "Xavier", and its library draws the biases from the
same normal distribution as the weights. With that reading alone the median train loss is about
0.028 (`--gain 1`), not 0.0228. With the gain sqrt(2) that is usual before a ReLU, the default here,
the figures are the report's, within the spread between runs.
"""

import argparse
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

# Before NumPy and PyTorch load. Matrices of 25 columns gain nothing from a second thread, and when
# the cores are busy with other programs the threads wait for each other: several times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from funcgrad import nn, tree, value_and_grad

WIDTHS = (2, 25, 25, 25, 2)
SAMPLES = 1000
RATE = 0.1
REPORT = {"train": ((0.0228, 0.0023), (0.986, 0.0034)), "test": ((0.0254, 0.0028), (0.983, 0.0055))}
REPORT_SECONDS = {"PyTorch": (0.804, 0.779), "Autogradlib": (1.961, 1.920)}

Array = np.ndarray[Any, Any]
Data = tuple[Array, Array]  # inputs (N, 2), one-hot targets (N, 2)


@dataclass
class Run:
    """One training: curves of shape (points, 2), loss and accuracy, and the time it took."""

    epochs: list[int]
    train: Array
    test: Array
    seconds: float
    torch_seconds: float | None = None


def draw_points(rng: np.random.Generator) -> Data:
    """Draw points of the unit square, and one-hot whether they are in the disc of area 1/2."""
    points = rng.uniform(size=(SAMPLES, 2))
    inside = ((points - 0.5) ** 2).sum(axis=1) < 1 / (2 * math.pi)
    return points, np.eye(2)[inside.astype(int)]


def draw_data(rng: np.random.Generator) -> tuple[Data, Data]:
    """Draw train and test data, standardised by the mean and deviation of the train data."""
    (x, t), (x_test, t_test) = draw_points(rng), draw_points(rng)
    mean, std = x.mean(axis=0), x.std(axis=0)
    return ((x - mean) / std, t), ((x_test - mean) / std, t_test)


def make_network(gain: float) -> nn.Sequential:
    """Build 2-25-25-25-2 with ReLU and softmax; biases are drawn like weights, as in the report."""
    layers: list[Any] = []
    for n_in, n_out in pairwise(WIDTHS):
        draw = nn.normal(gain * math.sqrt(2 / (n_in + n_out)))  # Xavier
        layers += [nn.Linear(n_in, n_out, weight_init=draw, bias_init=draw), nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Softmax(axis=1))


def measure(model: nn.Sequential, params: Any, data: Data) -> tuple[float, float]:
    """Return loss and accuracy."""
    x, t = data
    y = model.apply(params, x)
    accuracy = np.mean(y.argmax(axis=1) == t.argmax(axis=1))
    return float(nn.half_squared_error(y, t)), float(accuracy)


def train(model: nn.Sequential, params: Any, train_data: Data, test_data: Data, epochs: int) -> Run:
    """Train by full-batch gradient descent; the time is that of the steps alone."""
    x, t = train_data
    loss_and_grads = value_and_grad(lambda params: nn.half_squared_error(model.apply(params, x), t))
    measured, curves, seconds = [], [], 0.0
    for epoch in range(epochs + 1):
        if epoch % 5 == 0 or epoch == epochs:
            measured.append(epoch)
            curves.append([measure(model, params, data) for data in (train_data, test_data)])
        if epoch < epochs:
            start = time.perf_counter()
            _, grads = loss_and_grads(params)
            params = nn.sgd(params, grads, RATE)
            seconds += time.perf_counter() - start
    train_curve, test_curve = np.array(curves).transpose(1, 0, 2)
    return Run(measured, train_curve, test_curve, seconds)


def train_with_torch(params: Any, train_data: Data, epochs: int) -> tuple[float, float]:
    """Train the same network from the same weights in PyTorch; return final loss and seconds."""
    import torch

    layers: list[Any] = []
    arrays = tree.leaves(params)
    for w, b in zip(arrays[::2], arrays[1::2], strict=True):
        linear = torch.nn.Linear(*w.shape, dtype=torch.float64)
        linear.load_state_dict({"weight": torch.tensor(w.T), "bias": torch.tensor(b)})
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1], torch.nn.Softmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    x, t = (torch.tensor(array) for array in train_data)
    start = time.perf_counter()
    for _ in range(epochs):
        optimizer.zero_grad()
        ((model(x) - t) ** 2).sum().div(2 * len(x)).backward()
        optimizer.step()
    seconds = time.perf_counter() - start
    return ((model(x) - t) ** 2).sum().div(2 * len(x)).item(), seconds


def run_all(options: argparse.Namespace) -> list[Run]:
    """Train as often as asked, each time from new data and weights, and with PyTorch if we can."""
    model = make_network(options.gain)
    with_torch = options.torch and find_spec("torch") is not None
    runs = []
    for repeat in progress(options.repeats):
        rng = np.random.default_rng([options.seed, repeat])
        train_data, test_data = draw_data(rng)
        start = model.init(rng)
        run = train(model, start, train_data, test_data, options.epochs)
        if with_torch:
            loss, run.torch_seconds = train_with_torch(start, train_data, options.epochs)
            # The same arithmetic in another order: 500 steps magnify rounding errors, not more.
            if not math.isclose(loss, run.train[-1, 0], rel_tol=1e-3):
                raise SystemExit(
                    f"PyTorch ended at a loss of {loss}, funcgrad at {run.train[-1, 0]}"
                )
        runs.append(run)
    return runs


def progress(repeats: int) -> Iterator[int]:
    """Count the repeats, with a bar where tqdm is installed."""
    if find_spec("tqdm") is None:
        yield from range(repeats)
        return
    from tqdm import tqdm

    yield from tqdm(range(repeats), desc="training", unit="run")


def print_quality(runs: list[Run]) -> None:
    """Print the report's first table: medians and standard deviations after the last epoch."""
    print("\n                    Loss (median ± std.)   Accuracy (median ± std.)")
    for name in ("train", "test"):
        last = np.array([getattr(run, name)[-1] for run in runs])
        (loss, accuracy), (loss_std, accuracy_std) = np.median(last, axis=0), last.std(axis=0)
        ours = ((loss, loss_std), (accuracy, accuracy_std))
        for who, figures in (("funcgrad", ours), ("report", REPORT[name])):
            (loss, loss_std), (accuracy, accuracy_std) = figures
            print(
                f"{name.capitalize():6} {who:12} {loss:.4f} ± {loss_std:.4f}        "
                f"{accuracy:.3f} ± {accuracy_std:.4f}"
            )


def print_times(runs: list[Run]) -> None:
    """Print the report's second table: mean and median time of a training."""
    times = {"funcgrad": [run.seconds for run in runs]}
    torch = [run.torch_seconds for run in runs if run.torch_seconds is not None]
    if torch:
        times["PyTorch, here"] = torch
    print("\nTime of a training        Mean    Median")
    for who, seconds in times.items():
        print(f"{who:22} {np.mean(seconds):.3f} s   {np.median(seconds):.3f} s")
    for who, (mean, median) in REPORT_SECONDS.items():
        print(f"{who + ', report':22} {mean:.3f} s   {median:.3f} s")
    if torch:
        ratio = np.median(times["funcgrad"]) / np.median(torch)
        print(f"funcgrad takes {ratio:.2f} of PyTorch's time (float64, eager, one thread each).")


def save_figure(runs: list[Run], path: Path) -> None:
    """Draw the learning curves: the median of the runs, and from the lowest to the highest."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for column, (axes, title) in enumerate(zip(figure.subplots(1, 2), ("Loss", "Accuracy"))):
        for name in ("train", "test"):
            curves = np.array([getattr(run, name)[:, column] for run in runs])
            epochs = runs[0].epochs
            axes.plot(epochs, np.median(curves, axis=0), label=name)
            axes.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), alpha=0.2)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=90)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=positive, help="steps of descent (500, quick 50)")
    parser.add_argument("--repeats", type=positive, help="trainings (20, quick 2)")
    parser.add_argument("--seed", type=int, default=0, help="of data and weights (0)")
    parser.add_argument("--gain", type=float, default=2**0.5, help="of the Xavier weights (1.414)")
    parser.add_argument("--quick", action="store_true", help="a short run, for a first look")
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder (output)")
    parser.add_argument(
        "--no-torch", dest="torch", action="store_false", help="do not time PyTorch, if installed"
    )
    options = parser.parse_args(argv)
    if options.epochs is None:
        options.epochs = 50 if options.quick else 500
    if options.repeats is None:
        options.repeats = 2 if options.quick else 20
    return options


def positive(text: str) -> int:
    """Read a positive integer."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def main(argv: list[str] | None = None) -> list[Run]:
    """Run the experiment, print the tables, save the figure, and return the runs."""
    options = parse(argv)
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"Learning the disc: {options.repeats} x {options.epochs} epochs of")
    print(make_network(options.gain))
    missing = [name for name in ("tqdm", "matplotlib") if find_spec(name) is None]
    if missing:
        print(f"Not installed: {', '.join(missing)}. For the progress bar and the figure:")
        print('    pip install "funcgrad[examples]"')
    runs = run_all(options)
    print_quality(runs)
    print_times(runs)
    if "matplotlib" not in missing:
        path = options.output / "disc.png"
        save_figure(runs, path)
        print(f"\nLearning curves: {path}")
    return runs


if __name__ == "__main__":
    main()
