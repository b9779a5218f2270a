"""Functions whose derivative is told, not traced: the mechanism under custom rules, checkpoints and solvers.

A `Call` is a function of flat lists of arrays that each transform asks for what it needs. A tape runs `fwd`
and later `bwd`; forward mode runs `push`; of the two one follows from the other by transposing; vmap makes a
call of vectorised functions. What a rule computes is plain NumPy, so the next transform out traces it like
any other code. Read next: ``custom.py``.
"""

from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.arguments import value_of
from funcgrad.backward import ACCUMULATES, backward
from funcgrad.batch import Batch, BatchTracer, repeated
from funcgrad.constants import protect, verify
from funcgrad.core import Tracer, find_trace
from funcgrad.errors import ArgumentError, fail
from funcgrad.forward import Forward, check_linear, nonzero, paired
from funcgrad.handles import snapshot
from funcgrad.nans import check_made
from funcgrad.reverse import Tape, TapeTracer, has_derivative
from funcgrad.watched import new_batch

Leaves = list[Any]


class Call:
    """A function of leaves with a rule. Subclasses say what a tape and forward mode do."""

    kind = "call"

    def __init__(self, name: str, fun: Any) -> None:
        self.name, self.fun = name, fun

    def __call__(self, *leaves: Any) -> Leaves:
        trace: Any = find_trace(leaves)
        if trace is None:
            outputs = self.fun(*leaves)
            traced = any([isinstance(y, Tracer) for y in outputs])
            return self.closed_over(leaves, outputs) if traced else outputs
        mine = [isinstance(x, Tracer) and x._trace is trace for x in leaves]
        values = [_read_only(x.value if own else x) for x, own in zip(leaves, mine, strict=True)]
        run: Any = self.on_batch if isinstance(trace, Batch) else self.on_tape
        run = self.on_forward if isinstance(trace, Forward) else run
        outputs = run(trace, leaves, mine, values)
        if outputs is None:
            return self.closed_over(leaves)
        check_made(f"`{self.name}`", leaves, outputs)
        return outputs  # type: ignore[no-any-return]

    def closed_over(self, leaves: Any, outputs: Any = None) -> Leaves:
        """Say what happens when the function reads a traced value that is not an argument.

        `outputs` are what it returned for these leaves, if that is not traced by an argument's trace.
        """
        raise fail(
            ArgumentError,
            f"`{self.name}` depends on a traced value that is not among its arguments.",
            "pass every value that derivatives are taken of, or that vmap maps, as an argument",
        )

    def on_tape(self, tape: Any, leaves: Any, mine: list[bool], values: Leaves) -> Leaves | None:
        """Record one node whose pull runs `bwd` once for all arguments; None if `fwd` read a closure."""
        tape.hear(f"{self.kind}({self.name})", leaves)
        outputs, residuals = self.first_run(tape, values)
        if outputs is None or traced_by(tape, [*outputs, *tree.leaves(residuals)]):
            return None
        checks: list[Any] = []
        residuals = tree.map(lambda x: protect(x, checks), residuals)
        parents = [(x.node, x.dtype) if own else None for x, own in zip(leaves, mine, strict=True)]
        kept = (self.bwd, residuals, parents, checks)
        node = tape.add([(None, pull_call, kept, ACCUMULATES)])
        return tape.split(outputs, node)  # type: ignore[no-any-return]

    def on_forward(
        self, trace: Any, leaves: Any, mine: list[bool], values: Leaves
    ) -> Leaves | None:
        """Pair the outputs with what the rule makes of the tangents."""
        tangents = [x.tangent if own else None for x, own in zip(leaves, mine, strict=True)]
        outputs, pushed = self.push(values, tangents)
        if traced_by(trace, [*outputs, *pushed]):
            return None
        check_made(f"the derivative of `{self.name}`", (values, tangents), pushed)
        return [
            paired(y, trace, t) if has_derivative(y) else y
            for y, t in zip(outputs, pushed, strict=True)
        ]

    def on_batch(
        self, trace: Any, leaves: Any, mapped: list[bool], values: Leaves
    ) -> Leaves | None:
        """Call a vectorised version of this call on the batch."""
        outputs = self.batched(trace.size, mapped)(*values)
        if traced_by(trace, outputs):
            return None
        return [BatchTracer(y, trace) for y in outputs]

    def first_run(self, tape: Any, values: Leaves) -> tuple[Leaves | None, Any]:
        """Return what `fwd` returns; None if it read a value of the tape that it must not read."""
        return self.fwd(*values)

    def fwd(self, *leaves: Any) -> tuple[Leaves, Any]:
        """Return the outputs and what `bwd` needs."""
        raise NotImplementedError

    def bwd(self, residuals: Any, cts: Leaves) -> Leaves:
        """Return a cotangent per leaf, None for zero."""
        raise NotImplementedError

    def push(self, primals: Leaves, tangents: Leaves) -> tuple[Leaves, Leaves]:
        """Return the outputs and their tangents."""
        raise NotImplementedError

    def batched(self, size: int, mapped: list[bool]) -> "Call":
        """Return the call that does for a batch what this one does for an example."""
        raise NotImplementedError


def pull_call(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: Any) -> None:
    """Run `bwd` once and hand each argument its cotangent."""
    bwd, residuals, parents, checks = kept
    verify(checks)
    grads = bwd(residuals, ct)
    check_made("the backward pass of a function with a rule of its own", (ct, residuals), grads)
    for g, place in zip(grads, parents, strict=True):
        if g is None or place is None:
            continue
        index, dtype = place
        if g.dtype != dtype:
            g = (g.real if dtype.kind != "c" else g).astype(dtype)
        total = g if cts[index] is None else cts[index] + g
        check_made("the sum of cotangents", (g, cts[index]), total)
        cts[index] = total
        owned[index] = 0


def _read_only(x: Any) -> Any:
    """Return what a function may read but not write: its writes would not be seen, or seen too late."""
    if isinstance(x, Tracer):
        return snapshot(x)
    if isinstance(x, np.ndarray):
        x = x.view()
        x.flags.writeable = False
    return x


def traced_by(trace: Any, values: Any) -> bool:
    """Tell whether a value is traced by this transform, or by one entered after it."""
    return any([isinstance(x, Tracer) and x._trace.level >= trace.level for x in values])


def is_array(x: Any) -> bool:
    """Tell whether a leaf is one that may have a derivative."""
    return isinstance(x, (np.ndarray, np.generic, Tracer, float, complex))


def as_scalar(x: Any) -> Any:
    """Return a Python number as NumPy's, and anything else as it is."""
    return (
        np.asarray(x)[()]
        if isinstance(x, (int, float, complex)) and not isinstance(x, np.generic)
        else x
    )


def vectorised(size: int, fun: Any, mapped: Any, values: Any) -> Leaves:
    """Call `fun` on values of which some have a leading batch axis; all array results get one."""
    trace = new_batch(size)
    try:
        results = fun(
            *[BatchTracer(x, trace) if m else x for x, m in zip(values, mapped, strict=True)]
        )
    finally:
        trace.close()
    out = []
    for y in results:
        if isinstance(y, Tracer) and y._trace is trace:
            out.append(y.value)
        else:
            out.append(repeated(y, size) if is_array(y) else y)
    return out


class VjpCall(Call):
    """A call with fwd and bwd; bwd is linear in the cotangents, and its transpose is the jvp."""

    kind = "custom_vjp"

    def __init__(self, name: str, fun: Any, fwd: Any, bwd: Any) -> None:
        super().__init__(name, fun)
        self.fwd, self.bwd = fwd, bwd  # type: ignore[method-assign]

    def push(self, primals: Leaves, tangents: Leaves) -> tuple[Leaves, Leaves]:
        outputs, residuals = self.fwd(*primals)
        tape = Tape()
        cts = [tape.input(nonzero(y)) for y in outputs]
        grads = self.bwd(residuals, cts)
        tape.close()
        seeds = [
            (g.node, t)
            for g, t in zip(grads, tangents, strict=True)
            if t is not None and isinstance(g, TapeTracer) and g._trace is tape
        ]
        pushed = backward(tape, seeds, list(range(len(cts))))
        check_linear(
            f"bwd of custom_vjp({self.name}) is not linear in the cotangent, so there is no jvp.",
            "return sums of partial derivative times cotangent, or use reverse mode alone",
            [(nonzero(y), p) for y, p in zip(outputs, pushed, strict=True)],
            [(value_of(tape, g), t) for g, t in zip(grads, tangents, strict=True)],
        )
        return outputs, pushed

    def batched(self, size: int, mapped: list[bool]) -> "VjpCall":
        shape: list[Any] = [
            0,
            None,
            [],
        ]  # number of outputs; structure of the residuals, which are arrays

        def fun(*values: Any) -> Leaves:
            return vectorised(size, self.fun, mapped, values)

        def both(*leaves: Any) -> Leaves:
            outputs, residuals = self.fwd(*leaves)
            flat, treedef = tree.flatten(residuals)
            shape[:] = [len(outputs), treedef, [is_array(r) for r in flat]]
            return [*outputs, *flat]

        def fwd(*values: Any) -> Any:
            results = vectorised(size, both, mapped, values)
            return results[: shape[0]], results[shape[0] :]

        def back(*leaves: Any) -> Leaves:
            _, treedef, arrays = shape
            return self.bwd(
                tree.unflatten(treedef, leaves[: len(arrays)]), list(leaves[len(arrays) :])
            )

        def bwd(residuals: Leaves, cts: Leaves) -> Leaves:
            flags = [*shape[2], *[True] * len(cts)]
            grads = vectorised(size, back, flags, [*residuals, *cts])
            return [
                g if g is None or m else np.sum(g, axis=0)
                for g, m in zip(grads, mapped, strict=True)
            ]

        return VjpCall(self.name, fun, fwd, bwd)


class JvpCall(Call):
    """A call with a rule for tangents; it is linear in them, and its transpose is the vjp."""

    kind = "custom_jvp"

    def __init__(self, name: str, fun: Any, push: Any) -> None:
        super().__init__(name, fun)
        self.push = push  # type: ignore[method-assign]

    def fwd(self, *leaves: Any) -> tuple[Leaves, Any]:
        tape = Tape()
        differentiable = [is_array(x) and np.result_type(x).kind in "fc" for x in leaves]
        tangents = [
            tape.input(nonzero(x)) if d else None
            for x, d in zip(leaves, differentiable, strict=True)
        ]
        outputs, pushed = self.push(list(leaves), tangents)
        tape.close()
        linear = _Linear(tape, differentiable, pushed)
        linear.check(self.name, [t for t in tangents if t is not None])
        return outputs, linear

    def bwd(self, residuals: Any, cts: Leaves) -> Leaves:
        return residuals.pull(cts)  # type: ignore[no-any-return]

    def batched(self, size: int, mapped: list[bool]) -> "JvpCall":
        def fun(*values: Any) -> Leaves:
            return vectorised(size, self.fun, mapped, values)

        def push(primals: Leaves, tangents: Leaves) -> tuple[Leaves, Leaves]:
            present = [t is not None for t in tangents]

            def both(*leaves: Any) -> Leaves:
                rest = iter(leaves[len(primals) :])
                outputs, pushed = self.push(
                    list(leaves[: len(primals)]), [next(rest) if p else None for p in present]
                )
                return [*outputs, *pushed]

            flags = [*mapped, *[m for m, p in zip(mapped, present, strict=True) if p]]
            results = vectorised(
                size, both, flags, [*primals, *[t for t in tangents if t is not None]]
            )
            return results[: len(results) // 2], results[len(results) // 2 :]

        return JvpCall(self.name, fun, push)


class _Linear:
    """A rule for tangents, recorded, to be walked backwards."""

    def __init__(self, tape: Tape, differentiable: list[bool], pushed: Leaves) -> None:
        self.tape, self.differentiable, self.pushed = tape, differentiable, pushed

    def check(self, name: str, tangents: Leaves) -> None:
        """Raise if the rule was not linear: <ct, L t> = <L^T ct, t> fails where L is none."""
        cts = [nonzero(t) for t in self.pushed]
        grads = [g for g in self.pull(cts) if g is not None]
        check_linear(
            f"the rule of custom_jvp({name}) is not linear in the tangents.",
            "return a tangent that is a sum of partial derivative times tangent",
            [(ct, value_of(self.tape, t)) for ct, t in zip(cts, self.pushed, strict=True)],
            [(g, t.value) for g, t in zip(grads, tangents, strict=False)],
        )

    def pull(self, cts: Leaves) -> Leaves:
        seeds = [
            (t.node, ct)
            for t, ct in zip(self.pushed, cts, strict=True)
            if isinstance(t, TapeTracer) and t._trace is self.tape
        ]
        grads = iter(backward(self.tape, seeds, list(range(sum(self.differentiable)))))
        return [next(grads) if d else None for d in self.differentiable]
