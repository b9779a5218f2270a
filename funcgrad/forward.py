"""Forward mode: a tangent travels with each value.

The jvp of a primitive is the sum over its arguments of what each tangent does. Families give the
rule; where a primitive has none, its vjp is linear in the cotangent, and the transpose of that map
is the jvp: one small tape, walked backwards.
"""

import operator
from typing import Any

import numpy as np

from funcgrad.core import (
    HANDLERS,
    Primitive,
    Trace,
    Tracer,
    binary_operator,
    call_ufunc,
    leaked,
    reflected_operator,
    zero,
)
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

ndarray = np.ndarray


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


def _operator(ufunc: np.ufunc, compute: Any) -> tuple[Any, Any]:
    """Make `t op other` and `other op t`, quick for plain arrays of one dtype and scalars."""
    general, reflected_general = binary_operator(ufunc), reflected_operator(ufunc)

    def method(self: "ForwardTracer", other: Any) -> Any:
        quick = _quick(self, other)
        return general(self, other) if quick is None else _apply(ufunc, compute, self, other, self)

    def reflected(self: "ForwardTracer", other: Any) -> Any:
        quick = _quick(self, other)
        if quick is None:
            return reflected_general(self, other)
        return _apply(ufunc, compute, other, self, self)

    return method, reflected


def _quick(x: "ForwardTracer", other: Any) -> Any:
    """Tell whether values are plain, of one dtype, and need no broadcasting of a tangent."""
    value = x.value
    if x.node is None or type(value) is not ndarray or x._trace.zero_stays_zero:
        return None
    kind = type(other)
    if kind is float or kind is int:
        return True
    other = other.value if kind is ForwardTracer and other._trace is x._trace else other
    if type(other) is ndarray and other.dtype is value.dtype and other.shape == value.shape:
        return True
    return None


def _apply(ufunc: Any, compute: Any, x: Any, y: Any, owner: "ForwardTracer") -> Any:
    """Compute value and tangent: the sum of what the rule makes of each tangent."""
    trace = owner._trace
    if trace.ended:
        leaked()
    primitive: Any = HANDLERS[ufunc]
    t = u = None
    if type(x) is ForwardTracer:
        x, t = x.value, x.node
    if type(y) is ForwardTracer:
        y, u = y.value, y.node
    ans = compute(x, y)
    places = (None, ans, x, y)
    with np.errstate(all="ignore"):
        if t is not None:
            t = _pushed(primitive, 0, places, t)
        if u is not None:
            u = _pushed(primitive, 1, places, u)
            t = u if t is None else t + u
    return ForwardTracer(ans, trace, t)


def _pushed(primitive: Any, i: int, places: Any, t: Any) -> Any:
    """Apply the rule of argument `i`: elementwise, the vjp is the jvp."""
    pull, keep = primitive.pulls[i], primitive.slots[i]
    if pull is None:
        return t
    return pull(t, places[keep] if type(keep) is int else tuple([places[j] for j in keep]))


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

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        primitive: Any = HANDLERS.get(ufunc)
        if (
            len(inputs) != 1
            or kwargs
            or method != "__call__"
            or type(primitive) is not Primitive
            or not primitive.slots
            or type(self.value) is not ndarray
            or self.node is None
            or self._trace.zero_stays_zero
        ):
            if method == "__call__":
                return call_ufunc(ufunc, inputs, kwargs)
            return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)
        if self._trace.ended:
            leaked()
        x = self.value
        ans = ufunc(x)
        if ans.dtype is not x.dtype:
            return call_ufunc(ufunc, inputs, kwargs)
        with np.errstate(all="ignore"):
            t = _pushed(primitive, 0, (None, ans, x), self.node)
        return ForwardTracer(ans, self._trace, t)

    __add__, __radd__ = _operator(np.add, operator.add)
    __sub__, __rsub__ = _operator(np.subtract, operator.sub)
    __mul__, __rmul__ = _operator(np.multiply, operator.mul)
    __truediv__, __rtruediv__ = _operator(np.divide, operator.truediv)
