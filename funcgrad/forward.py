"""Forward mode: a tangent travels with each value.

The jvp of a primitive is the sum over its arguments of what each tangent does. Families give the
rule; where a primitive has none, its vjp is linear in the cotangent, and the transpose of that map
is the jvp: one small tape, walked backwards.
"""

from typing import Any

import numpy as np

from funcgrad.core import Primitive, Trace, Tracer, leaked, zero
from funcgrad.handles import register_view
from funcgrad.reverse import (
    Tape,
    TapeTracer,
    backward,
    has_derivative,
    is_view,
    keep_zero,
    promoted,
)


class Forward(Trace):
    """One call in forward mode; with `zero_stays_zero`, tangents that are zero stay zero at singularities."""

    __slots__ = ("_closed", "zero_stays_zero")

    def __init__(self, zero_stays_zero: bool = False) -> None:
        super().__init__()
        self._closed = False
        self.zero_stays_zero = zero_stays_zero

    @property
    def ended(self) -> bool:
        return self._closed

    def constant(self, value: Any) -> "ForwardTracer":
        return ForwardTracer(value, self, None)

    def close(self) -> None:
        """Let every later use of a tracer of this trace raise."""
        self._closed = True

    def process(self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        if self._closed:
            leaked()
        mine = [isinstance(x, Tracer) and x._trace is self for x in args]
        primals = tuple([x.value if own else x for x, own in zip(args, mine, strict=True)])
        ans = primitive(*primals, **settings)
        if not primitive.pulls or not has_derivative(ans):
            return ans
        if primitive.promotes:
            primals = tuple(promoted(args, primals, ans))
        tangent = None
        for i, x in enumerate(args):
            if mine[i] and x.tangent is not None:
                with np.errstate(all="ignore"):
                    t = self._push(primitive, i, x.tangent, ans, primals, settings)
                    tangent = t if tangent is None else _add(tangent, t)
        if primitive.multiple:
            return self._outputs(ans, tangent)
        result = ForwardTracer(ans, self, tangent)
        if primitive.unview is not None and is_view(ans, primals[0]):
            register_view(args[0], result, primitive, settings)
        return result

    def _push(
        self, primitive: Primitive, i: int, t: Any, ans: Any, primals: Any, settings: Any
    ) -> Any:
        pull, _ = primitive.pull(i, primals)
        if pull is zero:
            return None
        push = primitive.push(i)
        if push is None:
            return transpose(primitive, i, t, ans, primals, settings)
        pushed = push(t, ans, primals, settings)
        if primitive.multiple:
            return pushed
        if self.zero_stays_zero and pull is not None:
            pull, keep = primitive.pull(i, primals)
            pushed = keep_zero(pull, keep(ans, primals, settings), t, pushed)
        return fit(pushed, ans)

    def _outputs(self, ans: Any, tangents: Any) -> Any:
        tangents = (None,) * len(ans) if tangents is None else tangents
        pairs = [
            ForwardTracer(x, self, t) if has_derivative(x) else x
            for x, t in zip(ans, tangents, strict=True)
        ]
        return type(ans)(*pairs) if hasattr(ans, "_fields") else tuple(pairs)


def fit(t: Any, ans: Any) -> Any:
    """Give a tangent the shape and dtype of its value."""
    if t.shape != ans.shape:
        t = np.broadcast_to(t, ans.shape)
    if t.dtype != ans.dtype:
        t = (t.real if ans.dtype.kind != "c" else t).astype(ans.dtype)
    return t


def _add(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return tuple(map(_add, a, b)) if isinstance(a, tuple) else a + b


def transpose(primitive: Primitive, i: int, t: Any, ans: Any, primals: Any, settings: Any) -> Any:
    """Apply the transpose of the pullback of argument `i` to a tangent."""
    pull, keep = primitive.pull(i, primals)
    kept = keep(ans, primals, settings)
    tape = Tape()
    outputs = ans if primitive.multiple else (ans,)
    cts = [tape.input(nonzero(x)) for x in outputs]
    g = pull(cts if primitive.multiple else cts[0], kept)
    tape.close()
    seeds = [(g.node, t)] if isinstance(g, TapeTracer) and g._trace is tape else []
    pushed = backward(tape, seeds, list(range(len(cts))))
    pushed = [
        np.zeros(x.shape, x.dtype) if p is None else p for p, x in zip(pushed, outputs, strict=True)
    ]
    return tuple(pushed) if primitive.multiple else pushed[0]


def nonzero(like: Any) -> Any:
    """Return numbers of the shape and dtype of `like`, none zero and no two alike.

    A linear map is recorded at these, so that zeros in it are zeros of the map itself.
    """
    shape, dtype = np.shape(like), np.result_type(like)
    size = int(np.prod(shape, dtype=int))
    return (1 + np.cos(np.arange(1, size + 1))).reshape(shape).astype(dtype)[()]


class ForwardTracer(Tracer):
    """A value with its tangent; `None` is the tangent zero."""

    __slots__ = ()

    def __init__(self, value: Any, trace: Forward, tangent: Any) -> None:
        self.value = value
        self._trace = trace
        self.node = tangent

    @property
    def tangent(self) -> Any:
        return self.node
