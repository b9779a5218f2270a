"""The picture on the page: funcgrad's time over that of the others, a row per workload.

Next file: page.py.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = {
    "by hand": "#222222",
    "autograd": "#e69f00",
    "mygrad": "#009e73",
    "torch": "#d55e00",
    "jax jit": "#0072b2",
}  # distinguishable without colour vision (Okabe and Ito 2008)


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the picture as SVG; the same figures give the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "funcgrad", "font.size": 8})
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.2 * len(rows)), layout="constrained")
    for name, colour in COLOURS.items():
        points = [(row["ratios"].get(name), i) for i, row in enumerate(rows)]
        shown = [(x, i) for x, i in points if x is not None]
        if shown:
            axes.plot(*zip(*shown, strict=True), "o", color=colour, markersize=4, label=name)
    axes.axvline(1, color="#888888", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.set_yticks(range(len(rows)), [row["workload"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="both", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("time of funcgrad / time of the other; left of 1 funcgrad is faster")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(COLOURS), frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(figure)
