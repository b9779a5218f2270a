"""Functions whose derivative is told, not traced: custom_vjp, custom_jvp, checkpoint, stop_gradient.

All but the last are one mechanism, a `Call`: a function of flat lists of arrays that each transform
asks for what it needs. A tape runs `fwd` and later `bwd`; forward mode runs `push`; of the two one
follows from the other by transposing; vmap makes a call of vectorised functions. What a rule
computes is plain NumPy, so the next transform out traces it like any other code.
"""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from funcgrad import tree
from funcgrad.arguments import Transform, describe, match, name_of, value_of
from funcgrad.backward import ACCUMULATES, backward
from funcgrad.batch import Batch, BatchTracer, repeated
from funcgrad.constants import protect, verify
from funcgrad.core import Tracer, concrete, find_trace
from funcgrad.errors import ArgumentError, LeakedTracerError, ShapeError, StructureError, fail
from funcgrad.forward import Forward, check_linear, nonzero, paired
from funcgrad.handles import snapshot
from funcgrad.nans import check_made
from funcgrad.origins import name_forward_line
from funcgrad.primitives.objects import joined
from funcgrad.reverse import Tape, TapeTracer, has_derivative
from funcgrad.tracebacks import boundary
from funcgrad.watched import new_batch, new_tape

_ENTRIES = 128  # of a checkpoint's output: what two runs are compared by

Leaves = list[Any]
P = ParamSpec("P")
T = TypeVar("T")


def stop_gradient(x: T) -> T:
    """Return the value of `x` as a constant.

    Parameters
    ----------
    x : pytree of arrays

    Returns
    -------
    pytree
        The same values, for which every derivative is zero; plain arrays (copies) under grad and
        jvp, mapped values under vmap.

    Examples
    --------
    >>> from funcgrad import grad, stop_gradient
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    value: T = tree.map(_constant, x)
    return value


def _constant(x: Any) -> Any:
    if isinstance(x, BatchTracer):
        return BatchTracer(_constant(x.value), x._trace)
    if isinstance(x, Tracer):
        x._trace.hear("stop_gradient", (x,), cuts=True)
        return _constant(x.value)
    return x.copy() if isinstance(x, np.ndarray) else x


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
        if outputs is None or _traced_by(tape, [*outputs, *tree.leaves(residuals)]):
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
        if _traced_by(trace, [*outputs, *pushed]):
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
        if _traced_by(trace, outputs):
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


def _traced_by(trace: Any, values: Any) -> bool:
    """Tell whether a value is traced by this transform, or by one entered after it."""
    return any([isinstance(x, Tracer) and x._trace.level >= trace.level for x in values])


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, Tracer, float, complex))


def _is_number(x: Any) -> bool:
    return isinstance(x, int) or _is_array(x)  # a count, too, has a tangent of zero


def _as_array(x: Any) -> Any:
    return (
        np.asarray(x)[()]
        if isinstance(x, (int, float, complex)) and not isinstance(x, np.generic)
        else x
    )


def _zeros(x: Any) -> Any:
    return np.zeros(np.shape(x), np.result_type(x))


def _vectorised(size: int, fun: Any, mapped: Any, values: Any) -> Leaves:
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
            out.append(repeated(y, size) if _is_array(y) else y)
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
            return _vectorised(size, self.fun, mapped, values)

        def both(*leaves: Any) -> Leaves:
            outputs, residuals = self.fwd(*leaves)
            flat, treedef = tree.flatten(residuals)
            shape[:] = [len(outputs), treedef, [_is_array(r) for r in flat]]
            return [*outputs, *flat]

        def fwd(*values: Any) -> Any:
            results = _vectorised(size, both, mapped, values)
            return results[: shape[0]], results[shape[0] :]

        def back(*leaves: Any) -> Leaves:
            _, treedef, arrays = shape
            return self.bwd(
                tree.unflatten(treedef, leaves[: len(arrays)]), list(leaves[len(arrays) :])
            )

        def bwd(residuals: Leaves, cts: Leaves) -> Leaves:
            flags = [*shape[2], *[True] * len(cts)]
            grads = _vectorised(size, back, flags, [*residuals, *cts])
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
        differentiable = [_is_array(x) and np.result_type(x).kind in "fc" for x in leaves]
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
            return _vectorised(size, self.fun, mapped, values)

        def push(primals: Leaves, tangents: Leaves) -> tuple[Leaves, Leaves]:
            present = [t is not None for t in tangents]

            def both(*leaves: Any) -> Leaves:
                rest = iter(leaves[len(primals) :])
                outputs, pushed = self.push(
                    list(leaves[: len(primals)]), [next(rest) if p else None for p in present]
                )
                return [*outputs, *pushed]

            flags = [*mapped, *[m for m, p in zip(mapped, present, strict=True) if p]]
            results = _vectorised(
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


# --- from functions of pytrees to calls ----------------------------------------------------------


class Custom(Transform):
    """A function with a rule to come; the base of `custom_vjp` and `custom_jvp`."""

    definer = "defvjp"

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Any) -> None:
        nondiff = nondiff_argnums if isinstance(nondiff_argnums, tuple) else (nondiff_argnums,)
        super().__init__(fun, **({"nondiff_argnums": nondiff} if nondiff else {}))
        if not all([isinstance(i, (int, np.integer)) for i in nondiff]):
            raise fail(
                ArgumentError,
                f"nondiff_argnums of {self!r} must be an int or a tuple of ints.",
                "count the arguments from 0: nondiff_argnums=(1,)",
            )
        self.nondiff = nondiff
        self.signature = _signature(fun)

    def _check_rules(self, how: str, *rules: Any) -> None:
        for rule in rules:
            if not callable(rule):
                raise fail(
                    ArgumentError,
                    f"{self.definer} of {self!r} takes {how}, but got {describe(rule)}.",
                    f"write {name_of(self.fun)}.{self.definer}({how})",
                )

    def _missing(self) -> Exception:
        return fail(
            ArgumentError,
            f"{self!r} has no derivative rule yet.",
            f"call {name_of(self.fun)}.{self.definer}(...) before using it",
        )


class _Arguments:
    """The arguments of a call of a custom function: leaves, and the structures in and out."""

    def __init__(self, custom: Custom, args: Any, kwargs: Any) -> None:
        args = _positional(custom, args, kwargs)
        nondiff = {i % len(args) for i in custom.nondiff if -len(args) <= i < len(args)}
        self.args = args
        self.keep = [i for i in range(len(args)) if i not in nondiff]
        self.nondiff = [args[i] for i in sorted(nondiff)]
        leaves, self.treedef = tree.flatten([args[i] for i in self.keep])
        self.leaves = [_as_array(x) if _is_array(x) else x for x in joined(leaves)]
        self.output: Any = None

    def build(self, leaves: Any) -> list[Any]:
        """Return the arguments with these leaves."""
        built = list(self.args)
        for i, x in zip(self.keep, tree.unflatten(self.treedef, leaves), strict=True):
            built[i] = x
        return built

    def open(self, out: Any) -> Leaves:
        """Return the leaves of an output and remember its structure."""
        leaves, self.output = tree.flatten(out)
        return [_as_array(y) for y in joined(leaves)]

    def close(self, leaves: Any) -> Any:
        """Return an output with these leaves."""
        return tree.unflatten(self.output, leaves)


def _signature(fun: Any) -> inspect.Signature | None:
    if (getattr(fun, "__module__", None) or "numpy").startswith("numpy"):
        return None  # whose defaults (out=None, where=True) are no arguments of a rule
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        return None


def _positional(custom: Custom, args: Any, kwargs: Any) -> tuple[Any, ...]:
    """Return all arguments by position, with the defaults of those not given."""
    if custom.signature is None:
        return tuple(args)
    try:
        bound = custom.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise fail(
            ArgumentError,
            f"`{name_of(custom.fun)}`: {error}.",
            f"call it as {name_of(custom.fun)}{custom.signature}",
        ) from None
    if bound.kwargs:
        raise fail(
            ArgumentError,
            f"`{name_of(custom.fun)}` with a custom rule takes no keyword-only argument, "
            f"but {', '.join(bound.kwargs)} came.",
            "make the argument positional",
        )
    bound.apply_defaults()
    return bound.args


class CustomVjp(Custom):
    """See `custom_vjp`."""

    verb = "custom_vjp"

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Any) -> None:
        super().__init__(fun, nondiff_argnums)
        self.fwd: Any = None
        self.bwd: Any = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set the rule: ``fwd(*args) -> (output, residuals)``, ``bwd(residuals, ct) -> cotangents``."""
        self._check_rules("fwd, bwd", fwd, bwd)
        self.fwd, self.bwd = fwd, bwd

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fwd is None:
            raise self._missing()
        arguments = _Arguments(self, args, kwargs)

        def fun(*leaves: Any) -> Leaves:
            return arguments.open(self.fun(*arguments.build(leaves)))

        def fwd(*leaves: Any) -> Any:
            out, residuals = _pair(
                f"fwd of {self!r}", "(output, residuals)", self.fwd(*arguments.build(leaves))
            )
            return arguments.open(out), residuals

        def bwd(residuals: Any, cts: Leaves) -> Leaves:
            return self._cotangents(self.bwd(residuals, arguments.close(cts)), arguments)

        outputs = VjpCall(name_of(self.fun), fun, fwd, bwd)(*arguments.leaves)
        return arguments.close(outputs)

    def _cotangents(self, grads: Any, arguments: _Arguments) -> Leaves:
        """Check what bwd returned: a cotangent per argument, None for zero."""
        n = len(arguments.keep)
        if not isinstance(grads, (tuple, list)) or len(grads) != n:
            got = f"{len(grads)}" if isinstance(grads, (tuple, list)) else describe(grads)
            raise fail(
                StructureError,
                f"bwd of {self!r} must return a tuple of {n} cotangents, one per argument, "
                f"but it returned {got}.",
                "return (ct_x,) for one argument; None stands for zero",
            )
        flat: Leaves = []
        for g, argument in zip(
            grads, tree.unflatten(arguments.treedef, arguments.leaves), strict=True
        ):
            flat += tree.broadcast_prefix(g, argument, f"what bwd of {self!r} returned")
        return [self._cotangent(g, x) for g, x in zip(flat, arguments.leaves, strict=True)]

    def _cotangent(self, g: Any, x: Any) -> Any:
        if g is None or not _is_array(x) or np.result_type(x).kind not in "fc":
            return None
        if isinstance(g, (np.ndarray, Tracer)) and g.shape != np.shape(x):
            raise fail(
                ShapeError,
                f"bwd of {self!r} returned a cotangent of shape {g.shape} for an argument of shape "
                f"{np.shape(x)}.",
                "sum over the axes that broadcasting added",
            )
        return match(g, x, f"a cotangent that bwd of {self!r} returned", "its argument")


def _pair(who: str, what: str, result: Any) -> Any:
    if isinstance(result, (tuple, list)) and len(result) == 2:
        return result
    raise fail(
        StructureError,
        f"{who} must return {what}, but it returned {describe(result)}.",
        f"write return {what.strip('()')}; None will do for residuals that bwd does not need",
    )


class CustomJvp(Custom):
    """See `custom_jvp`."""

    verb = "custom_jvp"
    definer = "defjvp"

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Any) -> None:
        super().__init__(fun, nondiff_argnums)
        self.rule: Any = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule: ``rule(primals, tangents) -> (output, tangent)``; non-differentiable arguments first."""
        self._check_rules("rule", rule)
        self.rule = rule
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.rule is None:
            raise self._missing()
        arguments = _Arguments(self, args, kwargs)

        def fun(*leaves: Any) -> Leaves:
            return arguments.open(self.fun(*arguments.build(leaves)))

        def push(primals: Leaves, tangents: Leaves) -> Any:
            filled = [
                t if t is not None else _zeros(x) if _is_number(x) else None
                for t, x in zip(tangents, primals, strict=True)
            ]
            pairs = (
                tree.unflatten(arguments.treedef, primals),
                tree.unflatten(arguments.treedef, filled),
            )
            result = self.rule(*arguments.nondiff, *map(tuple, pairs))
            out, tangent = _pair(f"the rule of {self!r}", "(output, tangent)", result)
            outputs = arguments.open(out)
            return outputs, self._tangents(tangent, outputs, arguments)

        outputs = JvpCall(name_of(self.fun), fun, push)(*arguments.leaves)
        return arguments.close(outputs)

    def _tangents(self, tangent: Any, outputs: Leaves, arguments: _Arguments) -> Leaves:
        what = f"the tangent that the rule of {self!r} returned"
        flat = tree.flatten_like(arguments.output, tangent, what)
        return [match(t, y, what, "the output") for t, y in zip(flat, outputs, strict=True)]


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
    return [_as_array(y) for y in joined(ys)], [treedef]


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
        chosen = [_is_array(x) and np.result_type(x).kind in "fc" for x in residuals]
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
        return _vectorised(size, self.fun, mapped, values)

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
def custom_vjp(fun: Callable[..., Any], nondiff_argnums: int | tuple[int, ...] = ()) -> CustomVjp:
    """Give a function its own reverse-mode rule.

    Parameters
    ----------
    fun : callable
        Computes the value; pytrees in and out.
    nondiff_argnums : int or tuple of int, optional
        Arguments that are no arrays or have no derivative; `bwd` returns nothing for them.

    Returns
    -------
    callable
        With a method ``defvjp(fwd, bwd)``: ``fwd(*args)`` returns ``(output, residuals)``;
        ``bwd(residuals, ct)`` returns a tuple with a cotangent (or None for zero) per
        differentiable argument, and is linear in `ct`. It works under every transform: the jvp is
        the transpose of `bwd`, and higher derivatives differentiate `fwd` and `bwd`.

    Raises
    ------
    StructureError, ShapeError
        When `fwd` or `bwd` returns something of the wrong structure or shape.
    ArgumentError
        When no rule has been given, or the function reads a traced value that is not an argument.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import custom_vjp, grad
    >>> @custom_vjp
    ... def clipped_gradient(x):
    ...     return x
    >>> clipped_gradient.defvjp(lambda x: (x, None), lambda res, ct: (np.clip(ct, -1, 1),))
    >>> grad(lambda x: 5 * clipped_gradient(x))(2.0)
    np.float64(1.0)
    """
    return CustomVjp(fun, nondiff_argnums)


@boundary
def custom_jvp(fun: Callable[..., Any], nondiff_argnums: int | tuple[int, ...] = ()) -> CustomJvp:
    """Give a function its own forward-mode rule; the vjp is its transpose.

    Parameters
    ----------
    fun : callable
        Computes the value; pytrees in and out.
    nondiff_argnums : int or tuple of int, optional
        Arguments that are no arrays or have no derivative.

    Returns
    -------
    callable
        With a method ``defjvp(rule)``: ``rule(primals, tangents)`` returns ``(output, tangent)``,
        linear in the tangents; non-differentiable arguments come before `primals`.

    Raises
    ------
    StructureError, ShapeError
        When the rule returns something of the wrong structure or shape, or is not linear.
    ArgumentError
        When no rule has been given, or the function reads a traced value that is not an argument.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import custom_jvp, grad
    >>> @custom_jvp
    ... def log1pexp(x):
    ...     return np.logaddexp(0, x)
    >>> @log1pexp.defjvp
    ... def rule(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return log1pexp(x), t / (1 + np.exp(-x))
    >>> grad(log1pexp)(0.0)
    np.float64(0.5)
    """
    return CustomJvp(fun, nondiff_argnums)


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
