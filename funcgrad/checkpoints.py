"""checkpoint: a function that is run again in the backward pass, in place of being stored.

Read next: ``implicit.py``.
"""

import copy
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from funcgrad import tree
from funcgrad.arguments import Transform, name_of
from funcgrad.backward import backward
from funcgrad.calls import Call, Leaves, as_scalar, is_array, vectorised
from funcgrad.core import concrete
from funcgrad.errors import ArgumentError, LeakedTracerError, fail
from funcgrad.origins import name_forward_line
from funcgrad.primitives.objects import joined
from funcgrad.reverse import TapeTracer
from funcgrad.tracebacks import boundary
from funcgrad.watched import new_tape

_ENTRIES = 128  # of a checkpoint's output: what two runs are compared by

P = ParamSpec("P")
T = TypeVar("T")


class Checkpoint(Transform):
    """See `checkpoint`."""

    verb = "checkpoint"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, treedef = tree.flatten((args, kwargs))
        leaves = joined(leaves)
        structure: list[Any] = []

        def fun(*flat: Any) -> Leaves:
            inner_args, inner_kwargs = tree.unflatten(treedef, flat)
            ys, structure[:] = _opened(self.fun(*inner_args, **inner_kwargs))
            return ys

        outputs = CheckpointCall(name_of(self.fun), fun)(*leaves)
        return tree.unflatten(structure[0], outputs)


def _opened(out: Any) -> tuple[Leaves, list[Any]]:
    ys, treedef = tree.flatten(out)
    return [as_scalar(y) for y in joined(ys)], [treedef]


class CheckpointCall(Call):
    """A call that keeps its arguments alone, and runs again when its cotangents come."""

    kind = "checkpoint"

    def first_run(self, tape: Any, values: Leaves) -> tuple[Leaves | None, Any]:
        """Run on a tape that seems to have ended, as it will have when the second run reads its values."""
        before = [_again(x) for x in values]
        sink = tape.sink
        tape.close()
        try:
            return self.fwd(*values)
        except LeakedTracerError:
            for x, first in zip(values, before, strict=True):
                _rewind(x, first)
            return None, None
        finally:
            tape.sink = sink

    def fwd(self, *leaves: Any) -> tuple[Leaves, Any]:
        kept = [_again(x) for x in leaves]
        outputs = self.fun(*leaves)
        return outputs, (kept, [_excerpt(y) for y in outputs])

    def bwd(self, residuals: Any, cts: Leaves) -> Leaves:
        residuals, excerpts = residuals
        tape = new_tape()
        chosen = [is_array(x) and np.result_type(x).kind in "fc" for x in residuals]
        values = [x for x, c in zip(residuals, chosen) if c]

        def run(tracers: Any) -> Leaves:
            rest = iter(tracers)
            return self.fun(*[next(rest) if c else _again(x) for x, c in zip(residuals, chosen)])  # type: ignore[no-any-return]

        try:
            outputs = run([tape.input(x) for x in values])
        finally:
            tape.close()
        self.compare(outputs, excerpts)
        seeds = [
            (y.node, ct)
            for y, ct in zip(outputs, cts, strict=True)
            if isinstance(y, TapeTracer) and y._trace is tape
        ]
        try:
            grads = iter(backward(tape, seeds, list(range(len(values)))))
        except Exception as error:
            name_forward_line(error, tape, values, run)
            raise
        return [next(grads) if c else None for c in chosen]

    def compare(self, outputs: Leaves, before: list[Any]) -> None:
        """Raise if the second run gave another result: its derivative is that of another function."""
        now = [_excerpt(y) for y in outputs]
        if len(now) != len(before) or not all(map(_alike, now, before)):
            raise fail(
                ArgumentError,
                f"`{self.name}` gave another result when checkpoint ran it again for its derivative.",
                "pass what changes as an argument: arrays that are written to later, and the "
                "numpy.random.Generator that it draws from",
            )

    def on_forward(
        self, trace: Any, leaves: Any, mine: list[bool], values: Leaves
    ) -> Leaves | None:
        return self.fun(*leaves)  # type: ignore[no-any-return]  # forward mode stores nothing anyway

    def on_batch(
        self, trace: Any, leaves: Any, mapped: list[bool], values: Leaves
    ) -> Leaves | None:
        """Run as if the batch had ended: it will have when the second run reads its values."""
        before = trace._closed, trace.careful
        trace.close()
        try:
            return super().on_batch(trace, leaves, mapped, values)
        except LeakedTracerError:
            return None
        finally:
            trace._closed, trace.careful = before

    def batched(self, size: int, mapped: list[bool]) -> Call:
        return CheckpointCall(self.name, functools.partial(self._fun_of_batch, size, mapped))

    def _fun_of_batch(self, size: int, mapped: list[bool], *values: Any) -> Leaves:
        return vectorised(size, self.fun, mapped, values)

    def closed_over(self, leaves: Any, outputs: Any = None) -> Leaves:
        # right, but the tape keeps what it computes
        return self.fun(*leaves) if outputs is None else outputs  # type: ignore[no-any-return]


def _again(x: Any) -> Any:
    """Return a leaf that a second run may use as the first did: a generator draws the same numbers."""
    random = (np.random.Generator, np.random.RandomState)
    return copy.deepcopy(x) if isinstance(x, random) else x


def _rewind(x: Any, before: Any) -> None:
    """Let a generator draw again what it drew since it was copied."""
    if isinstance(x, np.random.Generator):
        x.bit_generator.state = before.bit_generator.state
    elif isinstance(x, np.random.RandomState):
        x.set_state(before.get_state())


def _excerpt(y: Any) -> Any:
    """Return the mean of an output and some of its entries, to know it by; None for other outputs."""
    y = concrete(y)
    if not isinstance(y, (np.ndarray, np.generic)) or y.dtype.kind not in "fc" or not y.size:
        return None
    with np.errstate(all="ignore"):
        flat: Any = y.reshape(-1)
        return np.append(flat[:: max(1, flat.size // _ENTRIES)], np.mean(flat))


def _alike(a: Any, b: Any) -> bool:
    """Compare two excerpts; a BLAS may round differently the second time."""
    if a is None or b is None:
        return a is b
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    scale = np.max(np.abs(b), where=np.isfinite(b), initial=0)
    return np.allclose(a, b, rtol=0, atol=scale * np.finfo(b.dtype).eps ** 0.5, equal_nan=True)


@boundary
def checkpoint(fun: Callable[P, T]) -> Callable[P, T]:
    """Recompute a function in the backward pass in place of storing what its derivative needs.

    The tape keeps the arguments of each call and nothing of what happens inside; the function runs
    a second time when its cotangent comes. Splitting a chain of n steps into sqrt(n) segments
    brings the memory from O(n) to O(sqrt(n)) at the price of one more forward pass (Griewank &
    Walther, Evaluating Derivatives, 2008, ch. 12).

    Parameters
    ----------
    fun : callable
        A pure function; pytrees in and out. It may not write into its arguments. A traced value that
        it reads without taking it as an argument is differentiated too, but then nothing is saved.
        A `numpy.random.Generator` among the arguments draws the same numbers in both runs.

    Returns
    -------
    callable
        With the same values and derivatives as `fun`.

    Raises
    ------
    ArgumentError
        From the backward pass, when the second run gives another result than the first.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import checkpoint, grad
    >>> grad(lambda x: checkpoint(np.sin)(x) ** 2)(0.0)
    np.float64(0.0)
    """
    return Checkpoint(fun)
