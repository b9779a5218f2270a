"""`make_tape`: the recorded program as text, and as a sequence of operations.

Read next: `graph.py`.
"""

from collections.abc import Callable, Iterator
from typing import Any, overload

from funcgrad.arguments import name_of
from funcgrad.inspection.operations import Constant, Operation, Variable
from funcgrad.inspection.recording import Inspection, Recording
from funcgrad.inspection.tables import abridged, columns, preformatted, size_of
from funcgrad.tracebacks import boundary

_MOST = 100  # lines that print() shows
_LARGEST = 3


class Program:
    """The operations that a tape holds, in order; see `make_tape`.

    A sequence: iterate over it, take its length, index it.

    Attributes
    ----------
    name : str
        Of the function.
    inputs : tuple of Variable
        The leaves that are differentiated, named by argument and path: ``params[0].w``.
    operations : tuple of Operation
    outputs : tuple of (str, Variable or Constant)
        Where in the result a leaf stands (empty for a single array), and what it is.
    """

    def __init__(self, recording: Recording) -> None:
        tape = recording.tape
        self.name = name_of(recording.fun)
        self.inputs: tuple[Variable, ...] = tuple(tape.variables[: len(recording.names)])
        self.operations: tuple[Operation, ...] = tuple(tape.operations)
        self.outputs: tuple[tuple[str, Variable | Constant], ...] = tuple(
            [(path, tape.argument(x)) for path, x in zip(recording.paths, recording.outputs)]
        )

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    @overload
    def __getitem__(self, index: int) -> Operation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Operation, ...]: ...
    def __getitem__(self, index: int | slice) -> Operation | tuple[Operation, ...]:
        return self.operations[index]

    @property
    def kept(self) -> int:
        """The bytes that the tape keeps for the backward pass; a shared array counts once."""
        return sum([operation.kept for operation in self.operations])

    @property
    def summary(self) -> str:
        """One line: how many operations, the bytes kept, and where most of them."""
        n = len(self)
        text = f"tape of {self.name}: {n:,} operation{'s' * (n != 1)}, {size_of(self.kept)} kept"
        by_line: dict[str, int] = {}
        for operation in self.operations:
            where = f" at {operation.where}" if operation.where else ""
            by_line[operation.name + where] = (
                by_line.get(operation.name + where, 0) + operation.kept
            )
        largest = sorted(by_line.items(), key=lambda item: -item[1])[:_LARGEST]
        parts = [f"{name}: {size_of(kept)}" for name, kept in largest if kept]
        return text + (f" (most by {', '.join(parts)})" if parts else "")

    def text(self, most: int | None = None) -> str:
        """Return the program, a line per operation, of at most `most` lines (all by default)."""
        rows = [
            (str(operation), _types(operation), _remarks(operation), str(operation.where or ""))
            for operation in (self.operations if most is None else self._shown(most))
        ]
        if most is not None and len(self) > most:
            rows.insert(most - most // 4, (f"... {len(self) - most:,} more", "", "", ""))
        lines = [self.summary]
        lines += columns(abridged([("input", x.name, x.type) for x in self.inputs], most))
        lines += columns(rows)
        lines += columns([("output", *_output(path, x)) for path, x in self.outputs])
        return "\n".join(lines)

    def _shown(self, most: int) -> tuple[Operation, ...]:
        """Return the operations that an abridged text shows."""
        if len(self) <= most:
            return self.operations
        tail = most // 4
        return self.operations[: most - tail] + self.operations[len(self) - tail :]

    def __repr__(self) -> str:
        return self.text(_MOST)

    def _repr_html_(self) -> str:
        return preformatted(self.text(_MOST))


def _types(operation: Operation) -> str:
    return ", ".join([x.type for x in operation.outputs])


def _remarks(operation: Operation) -> str:
    """Say what an operation keeps, and whether it shares or writes memory."""
    remarks = [f"keeps {size_of(operation.kept)}"] if operation.kept else []
    if operation.view:
        remarks.append("view")
    if operation.in_place:
        remarks.append("in place")
    return ", ".join(remarks)


def _output(path: str, x: Variable | Constant) -> tuple[str, str]:
    shown = str(x) if isinstance(x, Variable) else f"{x} (constant)"
    return (f"{path} = {shown}" if path else shown), x.type


class MakeTape(Inspection):
    """See `make_tape`."""

    verb = "make_tape"

    def __call__(self, *args: Any, **kwargs: Any) -> Program:
        return Program(self.record(args, kwargs))


@boundary
def make_tape(
    fun: Callable[..., Any],
    argnums: int | tuple[int, ...] | None = None,
    *,
    argnames: str | tuple[str, ...] | None = None,
) -> Callable[..., Program]:
    """Return a function that gives the program that reverse mode records of `fun`.

    Parameters
    ----------
    fun : callable
        Pytrees of arrays in and out.
    argnums : int or tuple of int, optional
        The positional arguments to differentiate; by default all whose leaves are floating-point.
    argnames : str or tuple of str, optional
        The arguments to differentiate, by name; alone or in addition to `argnums`.

    Returns
    -------
    callable
        Takes the arguments of `fun`; returns a `Program`. Printed, it has a line per operation: what
        was done to which values, the dtype and shape of the result, the bytes that the tape
        keeps for it, and the line of your code. Inner transforms show as what they do: the gradient
        of a gradient has the operations of the inner backward pass. Operations on plain values only
        are not in it.

    Raises
    ------
    ArgumentError
        If no argument can be differentiated, or `argnums` or `argnames` do not fit the call.

    Notes
    -----
    An exception in `fun` comes through, with a note that says how far the program came.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import make_tape
    >>> def loss(w, x):
    ...     return np.sum(np.tanh(x @ w) ** 2)
    >>> tape = make_tape(loss, argnums=0)(np.zeros(2), np.ones((3, 2)))
    >>> [str(operation) for operation in tape]
    ['%1 = matmul(x, w)', '%2 = tanh(%1)', '%3 = pow(%2, 2)', '%4 = sum(%3, axes=(0,), keepdims=False)']
    >>> tape[1].output.type, tape[1].kept
    ('float64[3]', 24)
    """
    return MakeTape(fun, argnums, argnames)
