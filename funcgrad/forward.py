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
        return paired(value, self, None)

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
        result = paired(ans, self, tangent)
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
            paired(x, self, t) if has_derivative(x) else x
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


# --- the quick operators -------------------------------------------------------------------------

# Bounds of the factor that a tangent may owe, so near 1 that a tangent which overflows without it does with it too.
LEAST, MOST = 1e-3, 1e3
_SCALED = "fdFD"  # the dtypes of which a Python float can be the factor without loss


def paired(value: Any, trace: Forward, tangent: Any, scale: float = 1.0) -> "ForwardTracer":
    """Make a tracer for a value whose tangent is `scale * tangent`."""
    tracer = ForwardTracer()  # without an __init__: 0.1 us
    tracer.value = value
    tracer._trace = trace
    tracer._raw = tangent
    tracer._scale = scale
    tracer._view = tracer._views = None
    return tracer


def _operator(  # noqa: C901  # the hot path of forward mode
    ufunc: np.ufunc, compute: Any, both: Any = None, rescale: Any = None
) -> tuple[Any, Any]:
    """Make `t op other` and `other op t`, quick for plain arrays and scalars of one dtype, and numbers.

    `both(ans, x, y, t, a, u, b)` returns the tangent (an array and its scale) for tangents a t of x and
    b u of y; without it the rules are asked. `rescale(a, c)` is the scale of the tangent of `x op c`.
    """
    general, reflected_general = binary_operator(ufunc), reflected_operator(ufunc)
    commutes = both is _of_sum or both is _of_product

    def method(self: "ForwardTracer", other: Any) -> Any:
        # A tangent and its scale are read together: another thread may ask for `node`.
        trace, x, t, a, kind = self._trace, self.value, self._raw, self._scale, type(other)
        if trace.careful or t is None:
            return general(self, other)
        if (kind is float or kind is int) and rescale is not None and x.dtype.char in _SCALED:
            scale = rescale(a, other)
            if LEAST < scale < MOST or LEAST < -scale < MOST:
                return paired(compute(x, other), trace, t, scale)  # no pass over the tangent
        if kind is ForwardTracer:
            y, u, b = other.value, other._raw, other._scale
            if other._trace is not trace or u is None or not _alike(x, y):
                return general(self, other)
            ans = compute(x, y)
            quiet = hush()
            try:
                if both is not None:
                    t, a = both(ans, x, y, t, a, u, b)
                else:
                    t, a = _by_rules(HANDLERS[ufunc], (None, ans, x, y), self.node, other.node)
            finally:
                unhush(quiet)
            return paired(ans, trace, t if t.dtype is ans.dtype else fit(t, ans), a)
        if not _alike(x, other):
            return general(self, other)
        return _pushed(HANDLERS[ufunc], 0, (None, compute(x, other), x, other), trace, t, a)

    def reflected(self: "ForwardTracer", other: Any) -> Any:
        trace, y, u, b, kind = self._trace, self.value, self._raw, self._scale, type(other)
        if commutes and (kind is float or kind is int):
            return method(self, other)
        if trace.careful or u is None or not _alike(y, other):
            return reflected_general(self, other)
        ans = compute(other, y)
        if both is _of_difference:
            return paired(ans, trace, fit(u, ans), -b)
        return _pushed(HANDLERS[ufunc], 1, (None, ans, other, y), trace, u, b)

    return method, reflected


def _alike(x: Any, y: Any) -> bool:
    """Tell whether two values are plain and of one dtype, so that tangents broadcast and promote as they do."""
    kind, other = type(x), type(y)
    if kind is ndarray:
        if other is ndarray:
            return y.dtype is x.dtype
        return other is float or other is int or (other is float64 and x.dtype is _DOUBLE)
    if kind is float64:
        return (
            other is float64
            or other is float
            or other is int
            or (other is ndarray and y.dtype is _DOUBLE)
        )
    return False


_DOUBLE = np.dtype(float)


def _of_sum(ans: Any, x: Any, y: Any, t: Any, a: float, u: Any, b: float) -> Any:
    if a == b:
        return t + u, a
    if b == 1:
        t, u, a, b = u, t, b, a
    return _add_into(u * b, t if a == 1 else t * a, ans), 1.0


def _add_into(total: Any, t: Any, ans: Any) -> Any:
    """Add to an array that nobody else has seen, in place if it is as large as the result."""
    if type(total) is ndarray and total.shape == ans.shape and not isinstance(t, Tracer):
        return np.add(total, t, total)
    return total + t


def _of_difference(ans: Any, x: Any, y: Any, t: Any, a: float, u: Any, b: float) -> Any:
    return (t - u, a) if a == b else _of_sum(ans, x, y, t, a, u, -b)


def _of_product(ans: Any, x: Any, y: Any, t: Any, a: float, u: Any, b: float) -> Any:
    if x is y and t is u and a == b:
        return (t * x, 2 * a) if abs(a) < MOST / 2 else (t * x * (2 * a), 1.0)
    t, u = t * y, x * u
    return (_add_into(t, u, ans), a) if a == b else _of_sum(ans, x, y, t, a, u, b)


def _of_quotient(ans: Any, x: Any, y: Any, t: Any, a: float, u: Any, b: float) -> Any:
    t, a = _of_difference(ans, x, y, t, a, ans * u, b)  # (t - ans u) / y
    return (np.divide(t, y, t) if type(t) is ndarray else t / y), a


def _over(scale: float, c: float) -> float:
    return scale / c if c else 0.0  # 0 is out of bounds: the tangent itself is divided


def _unchanged(scale: float, c: float) -> float:
    return scale


def _by_rules(primitive: Any, places: Any, t: Any, u: Any) -> Any:
    """Return the sum of what the rules of two arguments make of their tangents: elementwise, the vjp is the jvp."""
    (push_x, push_y), (keep_x, keep_y) = primitive.pulls, primitive.slots
    pushed = u if push_y is None else push_y(u, _kept(places, keep_y))
    return (t if push_x is None else push_x(t, _kept(places, keep_x))) + pushed, 1.0


def _kept(places: Any, keep: Any) -> Any:
    return places[keep] if type(keep) is int else tuple([places[j] for j in keep])


def _pushed(primitive: Any, i: int, places: Any, trace: "Forward", t: Any, scale: float) -> Any:
    """Pair a result with what the rule of argument `i` makes of its tangent."""
    pull, ans = primitive.pulls[i], places[1]
    if pull is not None:
        quiet = hush()
        try:
            t = pull(t, _kept(places, primitive.slots[i]))
        finally:
            unhush(quiet)
    return paired(ans, trace, fit(t, ans), scale)


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
    return paired(ans, trace, total)


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
    return paired(ans, trace, total)


def _multiply_plainly(x: Any, y: Any) -> bool:
    return type(x) is ndarray and type(y) is ndarray and x.dtype is y.dtype


_general_matmul, _general_rmatmul = binary_operator(np.matmul), reflected_operator(np.matmul)


class ForwardTracer(ArrayTracer):
    """A value with its tangent; `None` is the tangent zero.

    The tangent is `_scale * _raw`, so that a product with a number needs no pass over it; `node` is the
    product itself.
    """

    __slots__ = ()

    _raw: Any = vars(Tracer)["node"]  # the slot

    @property
    def node(self) -> Any:
        tangent, scale = self._raw, self._scale
        if scale != 1:
            quiet = hush()
            try:
                tangent = tangent * scale
            finally:
                unhush(quiet)
            self._raw, self._scale = tangent, 1.0
        return tangent

    @node.setter
    def node(self, tangent: Any) -> None:
        self._raw, self._scale = tangent, 1.0

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
        trace, x, t, a = self._trace, self.value, self._raw, self._scale
        if len(inputs) != 1 or trace.careful or t is None or not _alike(x, x):
            return call_ufunc(ufunc, inputs, kwargs)
        ans = ufunc(x)
        if ans.dtype is not x.dtype:
            return call_ufunc(ufunc, inputs, kwargs)
        return _pushed(primitive, 0, (None, ans, x), trace, t, a)

    def __neg__(self) -> Any:
        trace, x, t, a = self._trace, self.value, self._raw, self._scale
        if trace.careful or t is None or not _alike(x, 1):
            return HANDLERS[np.negative](self)
        return paired(-x, trace, t, -a)

    __add__, __radd__ = _operator(np.add, operator.add, _of_sum, _unchanged)
    __sub__, __rsub__ = _operator(np.subtract, operator.sub, _of_difference, _unchanged)
    __mul__, __rmul__ = _operator(np.multiply, operator.mul, _of_product, operator.mul)
    __truediv__, __rtruediv__ = _operator(np.divide, operator.truediv, _of_quotient, _over)
    __pow__, __rpow__ = _operator(np.power, operator.pow)
    __matmul__, __rmatmul__ = _matmul, _rmatmul


_BINARY: dict[np.ufunc, tuple[Any, Any]] = {  # the same for a ufunc called by name
    np.add: (ForwardTracer.__add__, ForwardTracer.__radd__),
    np.subtract: (ForwardTracer.__sub__, ForwardTracer.__rsub__),
    np.multiply: (ForwardTracer.__mul__, ForwardTracer.__rmul__),
    np.divide: (ForwardTracer.__truediv__, ForwardTracer.__rtruediv__),
}
