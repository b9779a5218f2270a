"""A recurrent network that writes: the next character of a text, from those before it.

An LSTM (Hochreiter and Schmidhuber, 1997) in a few lines of NumPy reads this project's own
documentation, 64 characters at a time, and learns to say how probable each next character is. The
loss is in nats per character: log(number of characters) for a guess, 3 for one who knows their
frequencies. At the end it writes a few lines itself.

    python examples/characters.py --output characters.png
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from funcgrad import nn, value_and_grad

Array = np.ndarray[Any, Any]
DOCS = Path(__file__).resolve().parents[1] / "docs"
WINDOW, BATCH = 64, 32


def load(quick: bool) -> tuple[Array, list[str]]:
    """Return the text as integers (length,), and the characters they stand for."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md")))
    text = text[:1200] if quick else text
    characters = sorted(set(text))
    index = {character: i for i, character in enumerate(characters)}
    return np.array([index[character] for character in text]), characters


def init(rng: np.random.Generator, size: int, hidden: int) -> dict[str, Array]:
    """Draw the parameters; the gates that forget start open, so that nothing is forgotten."""
    draw = nn.xavier_normal
    bias = np.zeros(4 * hidden, np.float32)
    bias[hidden : 2 * hidden] = 1
    return {
        "input": draw(rng, (size, 4 * hidden), np.float32),
        "recurrent": draw(rng, (hidden, 4 * hidden), np.float32),
        "bias": bias,
        "output": draw(rng, (hidden, size), np.float32),
    }


def cell(params: Any, z: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """Take one step: z is what the input says (batch, 4 hidden), h the output, c the memory."""
    z = z + h @ params["recurrent"]
    hidden = h.shape[-1]
    gates = nn.sigmoid(z[:, : 3 * hidden])
    keep_in, forget, out = (gates[:, i * hidden : (i + 1) * hidden] for i in range(3))
    c = forget * c + keep_in * np.tanh(z[:, 3 * hidden :])
    return out * np.tanh(c), c


def logits(params: Any, characters: Array, h: Any, c: Any) -> tuple[Any, Any, Any]:
    """Return the scores of the next characters (time, batch, size), and h and c at the end."""
    inputs = params["input"][characters] + params["bias"]
    outputs = []
    for t in range(len(characters)):
        h, c = cell(params, inputs[t], h, c)
        outputs.append(h)
    return np.stack(outputs) @ params["output"], h, c


def loss(params: Any, window: Array, h: Any, c: Any) -> tuple[Any, Any]:
    """Return the mean surprise in nats, and the state to go on from."""
    scores, h, c = logits(params, window[:-1], h, c)
    return nn.softmax_cross_entropy(scores, window[1:]), (h, c)


def write(params: Any, rng: np.random.Generator, start: int, count: int) -> list[int]:
    """Let the network write."""
    hidden = params["recurrent"].shape[0]
    written, h, c = [start], np.zeros((1, hidden)), np.zeros((1, hidden))
    for _ in range(count):
        scores, h, c = logits(params, np.array([[written[-1]]]), h, c)
        chances = nn.softmax(scores[0, 0].astype(float))
        written.append(int(rng.choice(len(chances), p=chances)))
    return written


def draw(path: str, losses: list[float]) -> None:
    """Draw the loss."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(losses, lw=0.5, alpha=0.5)
    width = max(1, len(losses) // 40)
    axes.plot(np.convolve(losses, np.ones(width) / width, "valid"))
    axes.axhline(1.5, color="black", ls=":")
    axes.set(xlabel="step", ylabel="nats per character")
    figure.savefig(path, dpi=75)


def main(quick: bool = False, output: str | None = None) -> float:
    """Train, print and check the figures; return the loss."""
    text, characters = load(quick)
    rng = np.random.default_rng(0)
    hidden, epochs, batch = (64, 70, 4) if quick else (128, 25, BATCH)
    text, unseen = (text, text[:0]) if quick else np.split(text, [len(text) * 9 // 10])
    columns = text[: len(text) // batch * batch].reshape(batch, -1).T  # each reads its own part
    params = init(rng, len(characters), hidden)
    steps = epochs * ((len(columns) - 1) // WINDOW)
    optimizer = nn.chain(nn.ClipByGlobalNorm(1.0), nn.Adam(nn.CosineDecay(0.01, steps)))
    state, step, losses = optimizer.init(params), value_and_grad(loss, has_aux=True), []
    for _ in range(epochs):
        h = c = np.zeros((batch, hidden), np.float32)
        for start in range(0, len(columns) - WINDOW, WINDOW):
            # The state goes on from window to window, the gradient does not.
            (value, (h, c)), grads = step(params, columns[start : start + WINDOW + 1], h, c)
            params, state = optimizer.update(grads, state, params)
            losses.append(float(value))
    last = float(np.mean(losses[-steps // epochs :]))
    print("".join(characters[i] for i in write(params, rng, int(text[0]), 300)))
    print(f"\n{len(text)} characters; loss {losses[0]:.2f} -> {last:.3f} nats per character")
    if len(unseen):
        h = c = np.zeros((1, hidden))
        print(f"{loss(params, unseen[:, None], h, c)[0]:.3f} on {len(unseen)} characters not read")
    assert last < 1.5
    if output:
        draw(output, losses)
    return last


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short text, learnt by heart")
    parser.add_argument("--output", help="where to save the picture")
    main(**vars(parser.parse_args()))
