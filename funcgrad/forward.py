"""Forward mode: a tangent travels with each value.

The jvp of a primitive is the sum over its arguments of what each tangent does. Families give the
rule; where a primitive has none, its vjp is linear in the cotangent, and the transpose of that map
is the jvp: one small tape, walked backwards.
"""

import operator
from typing import Any

import numpy as np

from funcgrad.backward import backward, keep_zero
from funcgrad.core import HANDLERS, Primitive, Trace, Tracer, concrete, leaked, zero
from funcgrad.errors import StructureError, fail
from funcgrad.floating import hush, unhush
from funcgrad.handles import register_view
from funcgrad.operators import binary_operator, call_ufunc, reflected_operator
from funcgrad.reverse import Tape, TapeTracer, has_derivative, is_view, promoted
from funcgrad.tracers import ArrayTracer

ndarray, float64 = np.ndarray, np.float64


class Forward(Trace):
    """One call in forward mode; with `zero_stays_zero`, tangents that are zero stay zero at singularities."""

    __slots__ = ("_closed", "careful", "zero_stays_zero")

    def __init__(self, zero_stays_zero: bool = False) -> None:
        super().__init__()
        self._closed = False
        self.zero_stays_zero = zero_stays_zero
        self.careful = zero_stays_zero  # no quick operators: one flag to test in each

    @property
    def ended(self) -> bool:
        return self._closed

    def constant(self, value: Any) -> "ForwardTracer":
        return ForwardTracer(value, self, None)

    def close(self) -> None:
        """Let every later use of a tracer of this trace raise."""
        self._closed = self.careful = True

    def process(self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        if self._closed:
            leaked()
        primals, moving = list(args), []
        for i, x in enumerate(args):  # loops, not comprehensions: 0.4 us per call
            if isinstance(x, Tracer) and x._trace is self:
                primals[i] = x.value
                if x.node is not None:
                    moving.append(i)
        ans = primitive(*primals, **settings)
        if not primitive.pulls or not has_derivative(ans):
            return ans
        tangent = None
        if moving:
            values = promoted(args, primals, ans) if primitive.promotes else primals
            tangent = self._tangent(primitive, args, moving, ans, values, settings)
        if primitive.multiple:
            return self._outputs(ans, tangent)
        result = ForwardTracer(ans, self, tangent)
        if primitive.unview is not None and is_view(ans, primals[0]):
            register_view(args[0], result, primitive, settings)
        return result

    def _tangent(
        self,
        primitive: Primitive,
        args: tuple[Any, ...],
        moving: list[int],
        ans: Any,
        primals: Any,
        settings: dict[str, Any],
    ) -> Any:
        """Return the sum of what the tangents of the arguments `moving` do to the result."""
        tangent = None
        quiet = hush()
        try:
            if primitive.push_all is not None and len(moving) > 1:
                tangents = [None] * len(args)
                for i in moving:
                    tangents[i] = args[i].node
                return fit(primitive.push_all(tangents, ans, primals, settings), ans)
            for i in moving:
                t = self._push(primitive, i, args[i].node, ans, primals, settings)
                tangent = t if tangent is None else _add(tangent, t)
        finally:
            unhush(quiet)
        return tangent

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
    traced = isinstance(g, TapeTracer) and g._trace is tape
    seeds = [(g.node, t)] if traced else []
    pushed = backward(tape, seeds, list(range(len(cts))))
    check_linear(
        f"the vjp of {primitive.name} by its argument {i} is not linear in the cotangent, "
        "so there is no jvp.",
        "return sums of partial derivative times cotangent, the latter as it came, or give jvp=",
        [(ct.value, p) for ct, p in zip(cts, pushed, strict=True)],
        [(g.value if traced else g, t)],
    )
    pushed = [
        np.zeros(x.shape, x.dtype) if p is None else p for p, x in zip(pushed, outputs, strict=True)
    ]
    return tuple(pushed) if primitive.multiple else pushed[0]


def check_linear(what: str, fix: str, pushed: list[Any], pulled: list[Any]) -> None:
    """Raise unless two pairings of a map and its transpose agree, as they do if the map is linear."""
    with np.errstate(all="ignore"):  # infinite terms say nothing
        left, left_size = _paired(pushed)
        right, right_size = _paired(pulled)
        gap, scale, size = abs(left - right), abs(left) + abs(right), left_size + right_size
        if np.ndim(scale) > 1:  # mapped twice: the terms cannot be matched here
            return
        # A pairing of terms that cancel is nothing but rounding, which is no sign of anything.
        rounding = np.sqrt(np.finfo(np.result_type(size)).eps) * size
        wrong = np.isfinite(scale) & (gap > 1e-2 * scale) & (gap > rounding)
    if np.any(wrong):
        raise fail(StructureError, what, fix)


def _paired(pairs: list[Any]) -> tuple[Any, Any]:
    """Return the sum of the concrete values of Re(a b), and that of their sizes; under vmap one per example."""
    total = size = np.float64(0)
    for a, b in pairs:
        if a is not None and b is not None:
            terms = np.real(a * b)
            total = total + concrete(np.sum(terms))
            size = size + concrete(np.sum(np.abs(terms)))
    return total, size


def nonzero(like: Any) -> Any:
    """Return numbers of the shape and dtype of `like`, none zero and no two alike.

    A linear map is recorded at these, so that zeros in it are zeros of the map itself.
    """
    shape, dtype = np.shape(like), np.result_type(like)
    size = int(np.prod(shape, dtype=int))
    return (1 + np.cos(np.arange(1, size + 1))).reshape(shape).astype(dtype)[()]


def _operator(  # noqa: C901  # the hot path of forward mode
    ufunc: np.ufunc, compute: Any, same: np.ufunc | None = None
) -> tuple[Any, Any]:
    """Make `t op other` and `other op t`, quick for plain arrays of one shape and dtype, and scalars.

    `same` is the function of one argument that `t op t` is, if there is one with a cheaper rule.
    """
    general, reflected_general = binary_operator(ufunc), reflected_operator(ufunc)

    def method(self: "ForwardTracer", other: Any) -> Any:
        trace, x, t, y, u = self._trace, self.value, self.node, other, None
        if type(other) is ForwardTracer and other._trace is trace:
            y, u = other.value, other.node
        if trace.careful or (t is None and u is None) or not _alike(x, y):
            return general(self, other)
        ans = compute(x, y)
        if other is self and same is not None:
            return _pushed(HANDLERS[same], 0, (None, ans, x), trace, t)
        # Elementwise, the vjp is the jvp.
        primitive: Any = HANDLERS[ufunc]
        push_x, push_y = primitive.pulls
        keep_x, keep_y = primitive.slots
        places = (None, ans, x, y)
        total = t
        quiet = hush()
        try:
            if t is not None and push_x is not None:
                total = push_x(t, _kept(places, keep_x))
            if u is not None:
                pushed = u if push_y is None else push_y(u, _kept(places, keep_y))
                if total is None:
                    total = pushed
                elif total is not t and type(total) is ndarray:
                    total += pushed  # nobody else has seen this array
                else:
                    total = total + pushed
        finally:
            unhush(quiet)
        return ForwardTracer(ans, trace, total if total.dtype is ans.dtype else fit(total, ans))

    def reflected(self: "ForwardTracer", other: Any) -> Any:
        trace, y, u = self._trace, self.value, self.node
        if trace.careful or u is None or not _alike(y, other):
            return reflected_general(self, other)
        return _pushed(HANDLERS[ufunc], 1, (None, compute(other, y), other, y), trace, u)

    return method, reflected


def _alike(x: Any, y: Any) -> bool:
    """Tell whether two values are plain, of one dtype, and need no broadcasting of a tangent."""
    kind, other = type(x), type(y)
    if kind is ndarray:
        if other is ndarray:
            return y.dtype is x.dtype and y.shape == x.shape
        return other is float or other is int
    return kind is float64 and (other is float64 or other is float or other is int)


def _kept(places: Any, keep: Any) -> Any:
    return places[keep] if type(keep) is int else tuple([places[j] for j in keep])


def _pushed(primitive: Any, i: int, places: Any, trace: "Forward", t: Any) -> Any:
    """Pair a result with what the rule of argument `i` makes of its tangent."""
    pull, ans = primitive.pulls[i], places[1]
    if pull is not None:
        quiet = hush()
        try:
            t = pull(t, _kept(places, primitive.slots[i]))
        finally:
            unhush(quiet)
    return ForwardTracer(ans, trace, t if t.dtype is ans.dtype else fit(t, ans))


def _matmul(self: "ForwardTracer", other: Any) -> Any:
    """Multiply matrices, by the product rule."""
    trace, x, t, y, u = self._trace, self.value, self.node, other, None
    if type(other) is ForwardTracer and other._trace is trace:
        y, u = other.value, other.node
    if trace.careful or (t is None and u is None) or not _multiply_plainly(x, y):
        return _general_matmul(self, other)
    ans = x @ y
    quiet = hush()
    try:
        total = None if t is None else t @ y
        if u is not None:
            total = x @ u if total is None else total + x @ u
    finally:
        unhush(quiet)
    return ForwardTracer(ans, trace, total)


def _rmatmul(self: "ForwardTracer", other: Any) -> Any:
    """Multiply a constant with a matrix."""
    trace, y, u = self._trace, self.value, self.node
    if trace.careful or u is None or not _multiply_plainly(other, y):
        return _general_rmatmul(self, other)
    ans = other @ y
    quiet = hush()
    try:
        total = other @ u
    finally:
        unhush(quiet)
    return ForwardTracer(ans, trace, total)


def _multiply_plainly(x: Any, y: Any) -> bool:
    return type(x) is ndarray and type(y) is ndarray and x.dtype is y.dtype


_general_matmul, _general_rmatmul = binary_operator(np.matmul), reflected_operator(np.matmul)


class ForwardTracer(ArrayTracer):
    """A value with its tangent; `None` is the tangent zero."""

    __slots__ = ()

    def __init__(self, value: Any, trace: Forward, tangent: Any) -> None:
        self.value = value
        self._trace = trace
        self.node = tangent
        self._view = self._views = None

    @property
    def tangent(self) -> Any:
        return self.node

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        primitive: Any = HANDLERS.get(ufunc)
        if method != "__call__":
            return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)
        if ufunc is np.matmul and not kwargs and type(inputs[0]) is ndarray:
            return _rmatmul(self, inputs[0])
        if kwargs or type(primitive) is not Primitive or not primitive.slots:
            return call_ufunc(ufunc, inputs, kwargs)
        if len(inputs) == 2:
            if ufunc not in _BINARY:
                _BINARY[ufunc] = _operator(ufunc, primitive.fun)
            forward, reflected = _BINARY[ufunc]
            x, y = inputs
            return forward(x, y) if type(x) is ForwardTracer else reflected(y, x)
        trace, x, t = self._trace, self.value, self.node
        if len(inputs) != 1 or trace.careful or t is None or not _alike(x, x):
            return call_ufunc(ufunc, inputs, kwargs)
        ans = ufunc(x)
        if ans.dtype is not x.dtype:
            return call_ufunc(ufunc, inputs, kwargs)
        return _pushed(primitive, 0, (None, ans, x), trace, t)

    def __neg__(self) -> Any:
        trace, t = self._trace, self.node
        if trace.careful or t is None:
            return HANDLERS[np.negative](self)
        return ForwardTracer(-self.value, trace, -t)

    __add__, __radd__ = _operator(np.add, operator.add)
    __sub__, __rsub__ = _operator(np.subtract, operator.sub)
    __mul__, __rmul__ = _operator(np.multiply, operator.mul, np.square)
    __truediv__, __rtruediv__ = _operator(np.divide, operator.truediv)
    __pow__, __rpow__ = _operator(np.power, operator.pow)
    __matmul__, __rmatmul__ = _matmul, _rmatmul


_BINARY: dict[np.ufunc, tuple[Any, Any]] = {}  # the same for a ufunc called by name
