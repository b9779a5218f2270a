"""What a workload is: one program over a namespace, its derivative by hand, its data and its sizes.

Next file: elementwise.py, the shortest workloads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Arrays = tuple[Any, ...]


@dataclass(frozen=True)
class Workload:
    """A program that every library differentiates.

    Parameters
    ----------
    name : str
        What tables and `--only` call it.
    program : function
        `program(xp, *args)`, written in the functions of a namespace such as NumPy.
    by_hand : function
        `by_hand(*args)`: the same with derivatives derived by pen and paper, in plain NumPy.
    data : function
        `data(rng, size)`: the float64 arguments, the differentiated ones first.
    sizes, quick
        What is measured, and the one size of a smoke run.
    differentiated : int
        How many arguments, from the first, are differentiated.
    kind : {"gradient", "newton", "jacobian"}
        What is computed, in this order: value and gradients; gradient and Hessian-vector product along the
        second argument; the Jacobians of a program that maps the rows of its arguments.
    written : mapping
        The program as one writes it in a library that has something of its own for it.
    lacking : mapping
        Why a library has no figure.
    """

    name: str
    program: Callable[..., Any]
    by_hand: Callable[..., Any]
    data: Callable[[np.random.Generator, int], Arrays]
    sizes: tuple[int, ...]
    quick: int
    differentiated: int = 1
    kind: str = "gradient"
    written: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)

    def arguments(self, size: int, dtype: str) -> Arrays:
        """Return the arguments of one size, always the same ones; integers stay integers."""
        args = self.data(np.random.default_rng(0), size)
        return tuple(arg.astype(dtype) if arg.dtype.kind == "f" else arg for arg in args)

    def label(self, size: int) -> str:
        """Return the name with the size, if there are several."""
        return f"{self.name}, {size:,}" if len(self.sizes) > 1 else self.name
