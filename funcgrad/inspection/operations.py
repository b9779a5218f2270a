"""What a recorded program is made of: variables, constants and operations, small and frozen.

Knows how they read as text, and nothing of how they are recorded. Read next: `recorder.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from funcgrad.core import Tracer
from funcgrad.inspection.calls import Call, Position


@dataclass(frozen=True)
class Variable:
    """A value on the tape: an input, named as the user would (``params[0].w``), or a result (``%3``)."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def type(self) -> str:
        """Dtype and shape in one word: ``float64[2,25]``."""
        return type_of(self.shape, self.dtype)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Constant:
    """A value that is not differentiated.

    `text` is a number, an argument's name, or the type; `weak` says whether it is a Python number,
    which takes the dtype of what it meets.
    """

    text: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak: bool = False

    @property
    def type(self) -> str:
        """Dtype and shape in one word: ``float64[2,25]``."""
        return type_of(self.shape, self.dtype)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


@dataclass(frozen=True)
class Operation:
    """One operation of a recorded program.

    Attributes
    ----------
    name : str
        Of the primitive: ``matmul``, ``sum``, ``getitem``, ``custom_vjp(f)``.
    arguments : tuple of Variable and Constant
    settings : mapping
        Its options by name; an array among them as its type alone.
    outputs : tuple of Variable and Constant
        One, but for functions that return several arrays; constants are those without a derivative.
    kept : int
        The bytes that the tape keeps for the backward pass and that no earlier operation kept.
    view : bool
        Whether the result shares the memory of the first argument.
    in_place : bool
        Whether it is (part of) a write into an array: ``y[0] = v``, ``y += v``, ``out=y``.
    call : Call or None
        The call of a function, or of a layer, that it stands in.
    where : Position or None
        The line of the user's code.
    """

    name: str
    arguments: tuple[Variable | Constant, ...]
    settings: Mapping[str, Any]
    outputs: tuple[Variable | Constant, ...]
    kept: int
    view: bool
    in_place: bool
    call: Call | None = field(repr=False, compare=False)
    where: Position | None

    @property
    def output(self) -> Variable | Constant:
        """The (first) output."""
        return self.outputs[0]

    def expression(self) -> str:
        """Return ``matmul(x, %1)``."""
        inside = [str(x) for x in self.arguments]
        inside += [f"{name}={show_setting(name, x)}" for name, x in self.settings.items()]
        return f"{self.name}({', '.join(inside)})"

    def __str__(self) -> str:
        return f"{', '.join([str(x) for x in self.outputs])} = {self.expression()}"


def type_of(shape: tuple[int, ...], dtype: Any) -> str:
    """Return dtype and shape in one word, as ``float64[2,25]``."""
    return f"{dtype}[{','.join(map(str, shape))}]" if shape else str(dtype)


def show_setting(name: str, x: Any) -> str:
    """Return a setting as a user writes it."""
    if name == "index":
        parts = x if isinstance(x, tuple) else (x,)
        return f"[{', '.join([_show_index(i) for i in parts])}]"
    return str(x) if isinstance(x, (np.dtype, type)) else repr(x)


def _show_index(i: Any) -> str:
    if i is Ellipsis:
        return "..."
    if not isinstance(i, slice):
        return repr(i)
    ends = ["" if end is None else str(end) for end in (i.start, i.stop)]
    return ":".join(ends if i.step is None else [*ends, str(i.step)])


def simplified(x: Any) -> Any:
    """Return what to keep of a setting: arrays only by their type."""
    if isinstance(x, (np.ndarray, Tracer)):
        return Constant(type_of(x.shape, x.dtype), x.shape, x.dtype)
    if isinstance(x, (tuple, list)):
        return type(x)([simplified(y) for y in x]) if type(x) in (tuple, list) else repr(x)
    return x
