"""Read handwritten digits: scikit-learn's 1797 images, in plain NumPy.

A network with one hidden layer learns them by mini-batch gradient descent with momentum, once with
the softmax cross-entropy and once with the multi-class hinge loss. Prints the test accuracies and
saves the learning curves.

    python examples/digits.py
    python examples/digits.py --epochs 5 --repeats 1 --output /tmp/digits
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Before NumPy loads. Matrices this small gain nothing from a second thread, and when the cores are
# busy with other programs the threads wait for each other: several times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from funcgrad import nn, value_and_grad

HIDDEN = 64
BATCH = 32
TEST_SHARE = 0.2
OPTIMIZER = nn.SGD(lr=0.05, momentum=0.9)
LOSSES = {"cross-entropy": nn.softmax_cross_entropy, "hinge": nn.multiclass_hinge}
INSTALL = '    pip install "funcgrad[examples]"'

Array = np.ndarray[Any, Any]
Data = tuple[Array, Array]  # images (N, 64) from 0 to 1, digits (N,)
Loss = Callable[[Any, Array], Any]


@dataclass
class Run:
    """One training: per epoch the mean loss of its batches, and the accuracies after it."""

    loss: list[float]
    train: list[float]
    test: list[float]


def load_data() -> Data:
    """Return the images and digits that come with scikit-learn: nothing is downloaded."""
    if find_spec("sklearn") is None:
        raise SystemExit(f"The digits come with scikit-learn, which is not installed:\n{INSTALL}")
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    return images / 16, digits


def split(data: Data, rng: np.random.Generator) -> tuple[Data, Data]:
    """Split at random into train and test data."""
    images, digits = data
    order = rng.permutation(len(digits))
    test, train = np.split(order, [round(TEST_SHARE * len(digits))])
    return (images[train], digits[train]), (images[test], digits[test])


def make_network() -> nn.Sequential:
    """Build a network from 64 pixels to 10 scores, one per digit."""
    return nn.Sequential(
        nn.Linear(64, HIDDEN, weight_init=nn.he_normal),
        nn.ReLU(),
        nn.Linear(HIDDEN, 10),
    )


def batches(data: Data, rng: np.random.Generator) -> Iterator[Data]:
    """Go through the data once, in random order; the last batch may be smaller."""
    images, digits = data
    order = rng.permutation(len(digits))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        yield images[batch], digits[batch]


def accuracy(model: nn.Sequential, params: Any, data: Data) -> float:
    """Return the share of images whose highest score is that of their digit."""
    images, digits = data
    return float(np.mean(model.apply(params, images).argmax(axis=1) == digits))


def train(loss: Loss, train_data: Data, test_data: Data, epochs: int, rng: Any) -> Run:
    """Train a new network."""
    model = make_network()
    params = model.init(rng)
    state = OPTIMIZER.init(params)
    step = value_and_grad(lambda params, x, y: loss(model.apply(params, x), y))
    run = Run([], [], [])
    for _ in range(epochs):
        losses = []
        for x, y in batches(train_data, rng):
            value, grads = step(params, x, y)
            params, state = OPTIMIZER.update(grads, state, params)
            losses.append(float(value))
        run.loss.append(float(np.mean(losses)))
        run.train.append(accuracy(model, params, train_data))
        run.test.append(accuracy(model, params, test_data))
    return run


def run_all(data: Data, options: argparse.Namespace) -> dict[str, list[Run]]:
    """Train with each loss, as often as asked; the same splits serve every loss."""
    runs: dict[str, list[Run]] = {name: [] for name in LOSSES}
    for name, repeat in progress([(name, i) for name in LOSSES for i in range(options.repeats)]):
        rng = np.random.default_rng([options.seed, repeat])
        train_data, test_data = split(data, rng)
        runs[name].append(train(LOSSES[name], train_data, test_data, options.epochs, rng))
    return runs


def progress(tasks: list[Any]) -> Iterator[Any]:
    """Go through the tasks, with a bar where tqdm is installed."""
    if find_spec("tqdm") is None:
        yield from tasks
        return
    from tqdm import tqdm

    yield from tqdm(tasks, desc="training", unit="run")


def print_accuracies(runs: dict[str, list[Run]]) -> None:
    """Print the accuracies after the last epoch."""
    print("\nLoss            Train accuracy     Test accuracy (median ± std.)")
    for name, of_loss in runs.items():
        train = [run.train[-1] for run in of_loss]
        test = [run.test[-1] for run in of_loss]
        print(
            f"{name:15} {np.median(train):.4f} ± {np.std(train):.4f}    "
            f"{np.median(test):.4f} ± {np.std(test):.4f}"
        )


def save_figure(runs: dict[str, list[Run]], path: Path) -> None:
    """Draw the learning curves: the median of the runs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, of_loss in runs.items():
        epochs = range(1, len(of_loss[0].loss) + 1)
        median = {
            curve: np.median([getattr(run, curve) for run in of_loss], axis=0)
            for curve in ("loss", "train", "test")
        }
        (line,) = left.plot(epochs, median["loss"], label=name)
        right.plot(epochs, median["test"], color=line.get_color(), label=f"{name}, test")
        right.plot(epochs, median["train"], ":", color=line.get_color(), label=f"{name}, train")
    left.set(title="Loss", xlabel="epoch", yscale="log")
    right.set(title="Accuracy", xlabel="epoch", ylim=(0.9, 1.002))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=90)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=positive, help="passes over the images (30, quick 3)")
    parser.add_argument("--repeats", type=positive, help="trainings per loss (5, quick 1)")
    parser.add_argument("--seed", type=int, default=0, help="of splits and weights (0)")
    parser.add_argument("--quick", action="store_true", help="a short run, for a first look")
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder (output)")
    options = parser.parse_args(argv)
    if options.epochs is None:
        options.epochs = 3 if options.quick else 30
    if options.repeats is None:
        options.repeats = 1 if options.quick else 5
    return options


def positive(text: str) -> int:
    """Read a positive integer."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def main(argv: list[str] | None = None) -> dict[str, list[Run]]:
    """Train with both losses, print the accuracies, save the figure, and return the runs."""
    options = parse(argv)
    data = load_data()
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"Reading digits: {options.repeats} x {options.epochs} epochs per loss of")
    print(make_network())
    missing = [name for name in ("tqdm", "matplotlib") if find_spec(name) is None]
    if missing:
        print(
            f"Not installed: {', '.join(missing)}. For the progress bar and the figure:\n{INSTALL}"
        )
    runs = run_all(data, options)
    print_accuracies(runs)
    if "matplotlib" not in missing:
        path = options.output / "digits.png"
        save_figure(runs, path)
        print(f"\nLearning curves: {path}")
    return runs


if __name__ == "__main__":
    main()
