"""A variational autoencoder: digits from two numbers.

The encoder says where in the plane an image may come from (a normal distribution), the decoder what
image a point of the plane gives. Both are trained together on a bound of log p(image), the evidence
lower bound, with one random point per image (Kingma and Welling, Auto-encoding variational Bayes,
ICLR 2014). The noise is drawn outside, so that the gradient goes through where it is put.

    python examples/autoencoder.py --output autoencoder.png
"""

import argparse
from typing import Any

import numpy as np

from funcgrad import nn, value_and_grad

Array = np.ndarray[Any, Any]
LATENT, HIDDEN = 2, 128
ENCODER = nn.Sequential(
    nn.Linear(64, HIDDEN, nn.he_normal), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)
)
DECODER = nn.Sequential(nn.Linear(LATENT, HIDDEN, nn.he_normal), nn.ReLU(), nn.Linear(HIDDEN, 64))


def load() -> tuple[Array, Array]:
    """Return scikit-learn's 1797 images of 8 x 8 pixels from 0 to 1, shape (1797, 64), and digits."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    return images / 16, digits


def encode(params: Any, images: Any) -> tuple[Any, Any]:
    """Return mean and log standard deviation of the latent points, both (N, LATENT)."""
    out = ENCODER.apply(params["encoder"], images)
    return out[:, :LATENT], out[:, LATENT:]


def negative_bound(params: Any, images: Any, noise: Array) -> Any:
    """Return the mean over the images of -log p(image), or a little more, in nats."""
    mean, log_deviation = encode(params, images)
    points = mean + np.exp(log_deviation) * noise
    logits = DECODER.apply(params["decoder"], points)
    # Pixels between 0 and 1 are taken for probabilities of being black.
    reconstruction = np.sum(np.logaddexp(0, logits) - images * logits, axis=1)
    # The Kullback-Leibler divergence from the prior, a standard normal distribution.
    variance = np.exp(2 * log_deviation)
    divergence = 0.5 * np.sum(mean**2 + variance - 1 - 2 * log_deviation, axis=1)
    return np.mean(reconstruction + divergence)


def draw(path: str, params: Any, images: Array, digits: Array) -> None:
    """Draw where the images lie in the plane, and what lies in each place of it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    dots = left.scatter(*encode(params, images[::4])[0].T, c=digits[::4], cmap="tab10", s=6)
    figure.colorbar(dots, ax=left, ticks=range(10))
    left.set(title="images in the plane", xlim=(-3, 3), ylim=(-3, 3))
    side = np.linspace(-2.2, 2.2, 9)
    grid = np.stack(np.meshgrid(side, side[::-1]), axis=-1).reshape(-1, LATENT)
    drawn = nn.sigmoid(DECODER.apply(params["decoder"], grid)).reshape(9, 9, 8, 8)
    right.imshow(drawn.transpose(0, 2, 1, 3).reshape(72, 72), cmap="gray_r")
    right.set(title="the plane in images", xticks=[], yticks=[])
    figure.savefig(path, dpi=64)


def main(quick: bool = False, output: str | None = None) -> float:
    """Train, print and check the figures; return the bound on test images."""
    images, digits = load()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(images))
    train, test = images[order[:1500]], images[order[1500:]]
    params = {"encoder": ENCODER.init(rng), "decoder": DECODER.init(rng)}
    epochs, batch = (12, 50) if quick else (200, 50)
    optimizer = nn.Adam(nn.CosineDecay(0.004, epochs * len(train) // batch))
    state, step = optimizer.init(params), value_and_grad(negative_bound)
    for _ in range(epochs):
        for chosen in rng.permutation(len(train)).reshape(-1, batch):
            noise = rng.normal(size=(batch, LATENT))
            _, grads = step(params, train[chosen], noise)
            params, state = optimizer.update(grads, state, params)

    rate = train.mean(axis=0).clip(1e-3, 1 - 1e-3)
    mean_image = -np.mean(np.sum(test * np.log(rate) + (1 - test) * np.log1p(-rate), axis=1))
    bound = float(negative_bound(params, test, rng.normal(size=(len(test), LATENT))))
    print(f"nats per test image: {bound:.2f}; by the mean image {mean_image:.2f}")
    assert bound < (26.2 if quick else 24.6)
    if output:
        draw(output, params, images, digits)
    return bound


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short training")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
