"""One step of each optimizer on the parameters of a 64-128-10 network, gradients given.

PyTorch's step is the one of its default implementation for a CPU, and of its fused one where it has
one. The updates must agree before anything is timed. Run `python -m benchmarks.optimizers --help`.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import timing
from funcgrad import nn

WIDTHS = (64, 128, 10)

OURS = {
    "SGD": nn.SGD(0.01),
    "SGD, momentum": nn.SGD(0.01, 0.9),
    "Adam": nn.Adam(0.001),
    "AdamW": nn.AdamW(0.001),
    "RMSprop": nn.RMSprop(0.001),
    "Adagrad": nn.Adagrad(0.001),
}
Step = Callable[[], Any]
Arrays = list[np.ndarray[Any, Any]]


def data(dtype: str) -> tuple[Arrays, Arrays]:
    """Return parameters and gradients."""
    rng = np.random.default_rng(0)
    shapes = [shape for a, b in pairwise(WIDTHS) for shape in ((a, b), (b,))]
    return tuple([rng.normal(size=shape).astype(dtype) for shape in shapes] for _ in range(2))  # type: ignore[return-value]


class Funcgrad:
    """Our step."""

    def __init__(self, name: str, params: Arrays, grads: Arrays) -> None:
        self.optimizer, self.params, self.grads = OURS[name], params, grads
        self.state = self.optimizer.init(params)

    def __call__(self) -> Arrays:
        self.params, self.state = self.optimizer.update(self.grads, self.state, self.params)
        return self.params


class Torch:
    """PyTorch's step."""

    def __init__(self, name: str, params: Arrays, grads: Arrays, **options: Any) -> None:
        import torch

        self.params = [torch.tensor(p, requires_grad=True) for p in params]
        for tensor, g in zip(self.params, grads, strict=True):
            tensor.grad = torch.tensor(g)
        cls = getattr(torch.optim, name.partition(",")[0])
        if "momentum" in name:
            options["momentum"] = 0.9
        self.optimizer = cls(self.params, lr=OURS[name].lr, **options)

    def __call__(self) -> Arrays:
        self.optimizer.step()
        return [p.detach().numpy() for p in self.params]


def _funcgrad() -> Callable[..., Step]:
    return Funcgrad


def _torch() -> Callable[..., Step]:
    import torch

    torch.set_num_threads(timing.threads())
    return Torch


def _torch_fused() -> Callable[..., Step]:
    import torch

    torch.set_num_threads(timing.threads())
    return lambda *args: Torch(*args, fused=True)


LIBRARIES = {"funcgrad": _funcgrad, "torch": _torch, "torch fused": _torch_fused}


def programs(libraries: dict[str, Any], name: str, dtype: str) -> dict[str, Step]:
    """Return the step of each library that has this optimizer, after checking that they agree."""
    steps: dict[str, Step] = {}
    for library, build in libraries.items():
        try:
            steps[library] = build(name, *data(dtype))
        except TypeError:  # no fused implementation
            continue
    if "funcgrad" in steps:
        expected = [np.array(p) for p in steps["funcgrad"]()]
        for library, step in steps.items():
            if library != "funcgrad":
                for p, other in zip(expected, step(), strict=True):
                    np.testing.assert_allclose(other, p, rtol=1e-4, atol=1e-6)
    return steps


def cells(times: dict[str, list[float]], libraries: Iterable[str]) -> list[str]:
    """Return the microseconds per library, and our share of PyTorch's."""
    found = [f"{1e6 * np.median(times[name]):.0f}" if name in times else "-" for name in libraries]
    for other in ("torch", "torch fused"):
        both = "funcgrad" in times and other in times
        found.append(f"{timing.ratio(times['funcgrad'], times[other]):.2f}" if both else "-")
    return found


def run(options: timing.Options) -> list[dict[str, Any]]:
    """Measure, print the table and return the rows."""
    libraries = timing.available(LIBRARIES, options.libraries)
    rows, record = [], []
    for dtype in options.dtypes[:1] if options.quick else options.dtypes:
        for name in ("Adam",) if options.quick else OURS:
            times = timing.interleaved(
                programs(libraries, name, dtype), options.rounds, options.seconds
            )
            rows.append([f"{name}, {dtype}", *cells(times, libraries)])
            record += [
                {"optimizer": name, "dtype": dtype, "library": library, "seconds": seconds}
                for library, seconds in times.items()
            ]
    header = ["us per step", *libraries, "ours / torch", "ours / fused"]
    timing.print_table(header, rows)
    return record


if __name__ == "__main__":
    timing.script("optimizers", __doc__, LIBRARIES, 15, run)
