"""Read handwritten digits with a convolutional network: scikit-learn's 1797 images, in plain NumPy.

Two convolutions with batch normalisation, pooling, dropout, and training images that are moved by up
to a pixel; gradient descent with momentum and a learning rate that falls along a cosine. Prints the
test accuracy, and saves the learning curve, the first kernels and the digits that were misread.

    python examples/conv_digits.py
    python examples/conv_digits.py --quick --output /tmp/digits
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Before NumPy loads. Matrices this small gain nothing from a second thread, and when the cores are
# busy with other programs the threads wait for each other: several times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from funcgrad import nn, value_and_grad

BATCH = 64
RATE = 0.1
TEST_SHARE = 0.2
QUICK_GOAL = 0.95  # the test accuracy that a quick run must reach; a whole one reaches 0.985
INSTALL = '    pip install "funcgrad[examples]"'

Array = np.ndarray[Any, Any]
Data = tuple[Array, Array]  # images (N, 8, 8, 1) from 0 to 1, digits (N,)


@dataclass
class Run:
    """One training: per epoch the loss and the test accuracy; the network at its end."""

    params: Any
    state: Any
    loss: list[float] = field(default_factory=list)
    test: list[float] = field(default_factory=list)
    seconds: float = 0.0


def load_data() -> Data:
    """Return the images and digits that come with scikit-learn: nothing is downloaded."""
    if find_spec("sklearn") is None:
        raise SystemExit(f"The digits come with scikit-learn, which is not installed:\n{INSTALL}")
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32).reshape(-1, 8, 8, 1), digits


def split(data: Data, rng: np.random.Generator) -> tuple[Data, Data]:
    """Split at random into train and test data."""
    images, digits = data
    order = rng.permutation(len(digits))
    test, train = np.split(order, [round(TEST_SHARE * len(digits))])
    return (images[train], digits[train]), (images[test], digits[test])


def make_network() -> nn.Sequential:
    """Build a network from images to 10 scores, one per digit."""
    options: Any = {"weight_init": nn.he_normal, "dtype": np.float32}
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding="same", bias=False, **options),
        nn.BatchNorm(16, dtype=np.float32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding="same", bias=False, **options),
        nn.BatchNorm(32, dtype=np.float32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(128, 10, dtype=np.float32),
    )


def moved(images: Array, rng: np.random.Generator) -> Array:
    """Move each image by up to a pixel in both directions: more digits than there are."""
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = rng.integers(3, size=(2, len(images), 1, 1))
    each = np.arange(len(images))[:, None, None]
    return wide[each, rows + np.arange(8)[:, None], columns + np.arange(8)]


def batches(data: Data, rng: np.random.Generator) -> Iterator[Data]:
    """Go through the data once, in random order, in whole batches."""
    images, digits = data
    order = rng.permutation(len(digits))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        batch = order[start : start + BATCH]
        yield moved(images[batch], rng), digits[batch]


def scores(model: nn.Sequential, run: Run, images: Array) -> Array:
    """Return the scores of the trained network: no batch statistics, no dropout."""
    y, _ = model.apply(run.params, images, state=run.state)
    return np.asarray(y)


def train(train_data: Data, test_data: Data, epochs: int, rng: np.random.Generator) -> Run:
    """Train a new network."""
    model = make_network()

    def loss(params: Any, state: Any, x: Array, y: Array) -> tuple[Any, Any]:
        logits, state = model.apply(params, x, state=state, train=True, rng=rng)
        return nn.softmax_cross_entropy(logits, y, label_smoothing=0.05), state

    step = value_and_grad(loss, has_aux=True)
    run = Run(model.init(rng), nn.init_state(model))
    velocity = nn.SGD(RATE, momentum=0.9).init(run.params)
    start = time.perf_counter()
    for epoch in progress(range(epochs)):
        rate = RATE * (1 + np.cos(np.pi * epoch / epochs)) / 2
        opt = nn.SGD(float(rate), momentum=0.9)
        losses = []
        for x, y in batches(train_data, rng):
            (value, run.state), grads = step(run.params, run.state, x, y)
            run.params, velocity = opt.update(grads, velocity, run.params)
            losses.append(float(value))
        images, digits = test_data
        run.loss.append(float(np.mean(losses)))
        run.test.append(float(np.mean(scores(model, run, images).argmax(axis=1) == digits)))
    run.seconds = time.perf_counter() - start
    return run


def progress(epochs: range) -> Any:
    """Go through the epochs, with a bar where tqdm is installed."""
    if find_spec("tqdm") is None:
        return epochs
    from tqdm import tqdm

    return tqdm(epochs, desc="training", unit="epoch")


def save_figure(run: Run, test_data: Data, path: Path) -> None:
    """Draw the learning curve, the first kernels, and the misread digits."""
    from matplotlib.figure import Figure

    images, digits = test_data
    read = scores(make_network(), run, images).argmax(axis=1)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=[1.4, 1, 1])
    axes = left.subplots()
    epochs = range(1, len(run.loss) + 1)
    axes.plot(epochs, [1 - test for test in run.test], color="tab:red")
    axes.set(title="Share of misread test digits", xlabel="epoch", yscale="log")
    axes.grid(alpha=0.3)
    middle.suptitle("Kernels of the first layer")
    _draw(middle, [(kernel, "") for kernel in run.params[0][0][:, :, 0].transpose(2, 0, 1)])
    wrong = np.flatnonzero(read != digits)[:16]
    right.suptitle("Misread: digit, read as")
    _draw(right, [(images[i, ..., 0], f"{digits[i]}, {read[i]}") for i in wrong])
    figure.savefig(path, dpi=150)


def _draw(figure: Any, pictures: list[tuple[Array, str]]) -> None:
    grid = figure.subplots(4, 4)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (picture, title) in zip(grid.flat, pictures, strict=False):
        axes.imshow(picture, cmap="gray")
        axes.set_title(title, fontsize=7)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=positive, help="passes over the images (150, quick 8)")
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and draws (0)")
    parser.add_argument("--quick", action="store_true", help="a short run, for a first look")
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder (output)")
    options = parser.parse_args(argv)
    if options.epochs is None:
        options.epochs = 8 if options.quick else 150
    return options


def positive(text: str) -> int:
    """Read a positive integer."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def main(argv: list[str] | None = None) -> Run:
    """Train, print the accuracy, save the figure, and return the run."""
    options = parse(argv)
    data = load_data()
    options.output.mkdir(parents=True, exist_ok=True)
    print(nn.summary(make_network(), (1, 8, 8, 1), dtype=np.float32))
    missing = [name for name in ("tqdm", "matplotlib") if find_spec(name) is None]
    if missing:
        print(
            f"Not installed: {', '.join(missing)}. For the progress bar and the figure:\n{INSTALL}"
        )
    rng = np.random.default_rng(options.seed)
    train_data, test_data = split(data, rng)
    run = train(train_data, test_data, options.epochs, rng)
    print(f"\nTest accuracy after {options.epochs} epochs: {run.test[-1]:.4f}")
    print(f"Time: {run.seconds:.1f} s")
    if "matplotlib" not in missing:
        path = options.output / "conv_digits.png"
        save_figure(run, test_data, path)
        print(f"Learning curve, kernels and misread digits: {path}")
    if options.quick:
        assert run.test[-1] >= QUICK_GOAL, f"the test accuracy should reach {QUICK_GOAL}"
    return run


if __name__ == "__main__":
    main()
