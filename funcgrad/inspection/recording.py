"""Running a user's function on a recorder; what the four inspections have in common.

Read next: `program.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.arguments import (
    Derivative,
    Inputs,
    Key,
    check_arrays,
    label_of,
    name_of,
    value_of,
)
from funcgrad.backward import backward
from funcgrad.constants import ARGUMENT_COPY_BYTES, protect, verify
from funcgrad.core import Tracer
from funcgrad.errors import ArgumentError, fail
from funcgrad.inspection.recorder import Recorder, Watch
from funcgrad.reverse import Tape, TapeTracer


class Recording:
    """A function that ran once on a recorder.

    Attributes
    ----------
    tape : Recorder
    inputs : Inputs
    names : list of str
        Of the input leaves.
    outputs : list
        The leaves of what the function returned, tracers among them.
    paths : list of str
        Where in the returned pytree they stand.
    """

    def __init__(
        self, transform: "Inspection", args: Any, kwargs: Any, watch: Watch | None
    ) -> None:
        fun = transform.fun
        keys, _ = transform.choose(args, kwargs)
        self.fun = fun
        self.tape = Recorder(watch)
        self.inputs = Inputs(fun, transform.verb, keys, args, kwargs)
        self.names = [
            label_of(fun, key, _get(args, kwargs, key), i)
            for key, treedef in zip(keys, self.inputs.treedefs)
            for i in range(treedef.num_leaves)
        ]
        self._name_constants(args, kwargs)
        checks: list[Any] = []
        values = [protect(x, checks, ARGUMENT_COPY_BYTES) for x in self.inputs.values]
        if watch is not None:
            watch.start(values)
        tracers = [self.tape.named_input(x, name) for x, name in zip(values, self.names)]
        try:
            self.tape.calls.begin()
            out = self.inputs.call(fun, tracers)
        except Exception as error:
            self._explain(error)
            raise
        finally:
            self.tape.close()
        verify(checks)
        self.outputs, self.treedef = tree.flatten(out)
        self.paths = tree.paths(self.treedef)
        check_arrays(transform.verb, fun, self.outputs, self.tape)

    def _name_constants(self, args: Any, kwargs: Any) -> None:
        """Let arrays of the other arguments be known by their names."""
        for key, argument in [*enumerate(args), *kwargs.items()]:
            if key not in self.inputs.keys:
                for i, leaf in enumerate(tree.leaves(argument)):
                    if isinstance(leaf, np.ndarray):
                        self.tape.labels[id(leaf)] = label_of(self.fun, key, argument, i)

    def _explain(self, error: Exception) -> None:
        """Say in an exception of the user's function how far the program came."""
        operations = self.tape.operations
        note = f"  operations of `{name_of(self.fun)}` that were recorded before: {len(operations)}"
        if operations:
            last = operations[-1]
            note += f"; the last: {last}  {last.output.type}  {last.where or ''}".rstrip()
        error.add_note(note)

    def reached(self) -> list[tuple[int, Any]]:
        """Return the place and the tracer of each output that depends on an input."""
        return [
            (i, x)
            for i, x in enumerate(self.outputs)
            if isinstance(x, Tracer) and x._trace is self.tape
        ]

    def values(self) -> list[Any]:
        """Return the outputs as plain values."""
        return [value_of(self.tape, x) for x in self.outputs]


def _get(args: Any, kwargs: Any, key: Key) -> Any:
    return args[key] if isinstance(key, int) else kwargs[key]


def run_plainly(transform: "Inspection", args: Any, kwargs: Any) -> None:
    """Run a function and its backward pass as `grad` does, on a tape that keeps no log."""
    keys, _ = transform.choose(args, kwargs)
    inputs = Inputs(transform.fun, transform.verb, keys, args, kwargs)
    checks: list[Any] = []
    values = [protect(x, checks, ARGUMENT_COPY_BYTES) for x in inputs.values]
    tape = Tape()
    try:
        out = inputs.call(transform.fun, [tape.input(x) for x in values])
    finally:
        tape.close()
    verify(checks)
    seeds = [
        (x.node, np.ones(x.shape, x.dtype)[()])
        for x in tree.leaves(out)
        if isinstance(x, TapeTracer) and x._trace is tape
    ]
    backward(tape, seeds, list(range(len(values))))


class Inspection(Derivative):
    """A function that runs another one on a recorder; the base of the four that look inside."""

    def __init__(self, fun: Callable[..., Any], argnums: Any, argnames: Any) -> None:
        super().__init__(fun, argnums, argnames)
        self.everything = argnums is None and argnames is None
        if self.everything:
            self.options = {}

    def choose(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Key], bool]:
        """Choose, where nothing is said, every argument that can be differentiated."""
        if not self.everything:
            return super().choose(args, kwargs)
        keys: list[Key] = [i for i, x in enumerate(args) if _is_differentiable(x)]
        keys += [name for name, x in kwargs.items() if _is_differentiable(x)]
        if not keys:
            raise fail(
                ArgumentError,
                f"{self!r} got no argument of floating-point numbers, so there is nothing to record.",
                "pass floats: 2.0 in place of 2, x.astype(float) in place of x",
            )
        return keys, False

    def record(self, args: Any, kwargs: Any, watch: Watch | None = None) -> Recording:
        """Run the function once."""
        return Recording(self, args, kwargs, watch)


def _is_differentiable(argument: Any) -> bool:
    """Tell whether an argument has leaves, all of them floating-point or complex."""
    leaves = tree.leaves(argument)
    return len(leaves) > 0 and all(
        [
            type(x) in (float, complex)
            or (isinstance(x, (np.ndarray, np.generic, Tracer)) and x.dtype.kind in "fc")
            for x in leaves
        ]
    )
