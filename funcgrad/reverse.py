"""Reverse mode: one flat tape per call, walked backwards once.

The nodes of a tape are numbers, one per value. Its edges tell how the cotangent of a node reaches the
nodes that the value came from; they stand in one flat list, five entries each, those of a node together:

    y = x * w          edges = [2, 0, pull_x, w, None,  2, 1, pull_w, x, None]

`node, parent, pull, kept, fix`: `pull(ct, kept)` is the vector-Jacobian product for that parent, `kept`
what the rule named, and `fix` the shape and dtype to restore when broadcasting or promotion changed them
(decided once, when recording). An input has no edge. The list is flat because Python's garbage collector
goes through every tuple that lives: with a tuple per edge, recording took three times as long.

The recorders below are the hot path of the library; clumsiness there is bought with measured time.
"""

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from funcgrad.backward import ACCUMULATES, accumulate, backward, is_basic
from funcgrad.constants import COPY_BYTES, checked, protect, verify
from funcgrad.core import HANDLERS, Primitive, Trace, Tracer, leaked, refuse_objects, zero
from funcgrad.handles import register_view
from funcgrad.operators import binary_operator, call_ufunc, equality_operator, reflected_operator
from funcgrad.tracers import ArrayTracer

ndarray, float64 = np.ndarray, np.float64

Edge = tuple[int | None, Any, Any, Any]  # parent, pull, kept, fix


class _Ended:
    """What the recorders of a tape that has ended add to."""

    __iadd__ = leaked


ENDED: Any = _Ended()


class Tape(Trace):
    """The record of one differentiated call.

    `nodes` counts the values, `edges` is the list, and `sink` what recorders add edges to: the list
    until the call ends, then something that raises, so that there is no flag to test on the hot path.
    """

    __slots__ = ("edges", "nodes", "sink")

    def __init__(self) -> None:
        super().__init__()
        self.nodes = 0
        self.edges: list[Any] = []
        self.sink = self.edges

    def input(self, value: Any) -> "TapeTracer":
        """Make a tracer for an input: a node without parents."""
        node = self.nodes
        self.nodes = node + 1
        return traced(value, self, node)

    def node(self, value: Any, edges: Iterable[Edge]) -> "TapeTracer":
        """Make a tracer for a value, whose cotangent goes along `edges`, the last one first."""
        return traced(value, self, self.add(edges))

    def add(self, edges: Iterable[Edge]) -> int:
        """Make a node; an edge without a parent comes back to it, for pulls that know their way."""
        node = self.nodes
        self.nodes = node + 1
        for parent, pull, kept, fix in edges:
            self.sink += (node, node if parent is None else parent, pull, kept, fix)
        return node

    @property
    def ended(self) -> bool:
        return self.sink is ENDED

    def constant(self, value: Any) -> "TapeTracer":
        self.check_running(None)
        return self.input(value)

    def backward_edges(self) -> list[Any]:
        """Return what the backward pass walks."""
        return self.edges

    def close(self) -> None:
        """Let every later use of a tracer of this tape raise."""
        self.sink = ENDED

    def process(  # noqa: C901  # the hot path of everything that has no recorder of its own
        self, primitive: Primitive, args: tuple[Any, ...], settings: dict[str, Any]
    ) -> Any:
        values, mine, nested = list(args), [], False
        for i, x in enumerate(args):  # loops, not comprehensions: 0.4 us per call
            if isinstance(x, Tracer):
                if x._trace is self:
                    mine.append(i)
                    values[i] = x = x.value
                    nested = nested or isinstance(x, Tracer)
                else:
                    nested = True
        ans = primitive(*values, **settings) if nested else primitive.fun(*values, **settings)
        if self.sink is ENDED or not primitive.pulls or not has_derivative(ans):
            return leaked() if self.sink is ENDED else ans
        node = self.nodes
        edges: list[Any] = []
        for i in mine:
            pull, keep = primitive.pull(i, args)
            if pull is zero:
                continue
            if keep.settings or (keep.args and len(args) > len(mine)):
                pull, values, settings = _protected(keep, pull, args, values, settings)
                if primitive.promotes:
                    values = promoted(args, values, ans)
            fix = ACCUMULATES if primitive.accumulates else _fix(primitive, values[i], ans)
            edges += (node, args[i].node, pull, keep(ans, values, settings), fix)
        if not edges:
            return ans
        self.nodes = node + 1
        self.sink += edges
        if primitive.multiple:
            return self._outputs(ans, node)
        result = traced(ans, self, node)
        if primitive.unview is not None and is_view(ans, values[0]):
            register_view(args[0], result, primitive, settings)
        return result

    def _outputs(self, ans: tuple[Any, ...], node: int) -> Any:
        outputs = self.split(ans, node)
        return type(ans)(*outputs) if hasattr(ans, "_fields") else tuple(outputs)

    def split(self, outputs: Any, node: int) -> list[Any]:
        """Return tracers for the outputs of `node`; each hands its cotangent to it."""
        like = [(getattr(x, "shape", ()), getattr(x, "dtype", object)) for x in outputs]
        return [
            self.node(x, [(node, _put_output, (i, like), ACCUMULATES)]) if has_derivative(x) else x
            for i, x in enumerate(outputs)
        ]


def promoted(args: Any, values: Any, ans: Any) -> list[Any]:
    """Return values with the constants as the numbers they are in the result: an unsigned -1 is no -1."""
    dtype = ans.dtype
    return [
        x.astype(dtype)
        if x is arg and isinstance(x, (ndarray, np.generic)) and x.dtype != dtype
        else x
        for arg, x in zip(args, values)
    ]


def is_view(ans: Any, x: Any) -> bool:
    """Tell whether a result shares the memory of the argument."""
    if isinstance(ans, Tracer):
        return ans._view is not None
    base = getattr(ans, "base", None)
    if base is None:
        return False
    return base is x or base is x.base or np.may_share_memory(ans, x)  # the last takes 0.5 us


def has_derivative(ans: Any) -> bool:
    """Tell whether a result is floating-point (or one of several is)."""
    kind = type(ans)
    if kind is float64 or (kind is ndarray and ans.dtype.char in "fd"):  # the usual cases
        return True
    if isinstance(ans, tuple):
        return any([has_derivative(x) for x in ans])
    try:
        kind = ans.dtype.kind
    except AttributeError:
        return False
    if kind == "O":
        refuse_objects()
    return bool(kind == "f" or kind == "c")


def _protected(keep: Any, pull: Any, args: Any, values: list[Any], settings: Any) -> Any:
    """Guard the constants that will be kept against later changes."""
    checks: list[Any] = []
    for j in keep.args:
        x = values[j]
        if x is args[j] and isinstance(x, (ndarray, Tracer)):  # not traced by this tape
            values[j] = protect(x, checks)
    for name in keep.settings:
        settings = {**settings, name: protect(settings[name], checks)}
    return (checked(pull, checks) if checks else pull), values, settings


def _fix(primitive: Primitive, x: Any, ans: Any) -> Any:
    """Return what the cotangent of `x` must be restored to, or None."""
    if primitive.multiple:
        return (x.shape, x.dtype)
    dtype = x.dtype
    same = dtype is ans.dtype or dtype == ans.dtype
    if primitive.elementwise:
        return None if same and x.shape == ans.shape else (x.shape, dtype)
    return None if same else (x.shape, dtype)


def _put_output(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: Any) -> None:
    """Put the cotangent of one output into the list of those of all outputs."""
    i, like = kept
    if cts[parent] is None:
        cts[parent] = [np.zeros(shape, dtype) for shape, dtype in like]
    cts[parent][i] = cts[parent][i] + ct


# --- functions that bring a forward and a backward pass ------------------------------------------


def _record_fused(tape: Tape, fused: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """Run a function's own forward pass as one node, if all arrays are plain; else trace it."""
    values: list[Any] = []
    nodes: list[int | None] = []
    checks: list[Any] = []
    for x in args:
        if not isinstance(x, Tracer):
            values.append(protect(x, checks))
            nodes.append(None)
        elif x._trace is not tape or isinstance(x.value, Tracer):
            return fused.plain(*args, **settings)
        else:
            values.append(x.value)
            nodes.append(x.node)
    ans, residuals = fused.forward([node is not None for node in nodes], *values, **settings)
    kept = (fused, residuals, values, nodes, settings, checks)
    return tape.node(ans, [(None, _pull_fused, kept, ACCUMULATES)])


def _pull_fused(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: Any) -> None:
    """Hand on what the function's own backward pass gives."""
    fused, residuals, values, nodes, _, checks = kept
    if isinstance(ct, Tracer):
        _pull_unfused(cts, owned, parent, ct, kept)
        return
    if checks:
        verify(checks)
    _hand_on(cts, owned, fused.pull(ct, residuals, len(nodes)), nodes, values)


def _pull_unfused(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: Any) -> None:
    """Hand on what the function's NumPy code gives, recorded now: for traced cotangents and for zeros."""
    fused, _, values, nodes, settings, checks = kept
    verify(checks)
    tape = Tape()
    xs = [x if node is None else tape.input(x) for x, node in zip(values, nodes)]
    ans = fused.plain(*xs, **settings)
    tape.close()
    rest = iter(backward(tape, [(ans.node, ct)], [x.node for x in xs if type(x) is TapeTracer]))
    grads = [None if node is None else next(rest) for node in nodes]
    _hand_on(cts, owned, grads, nodes, values)


def _hand_on(cts: list[Any], owned: bytearray, grads: Any, nodes: Any, values: Any) -> None:
    """Add the cotangents of the arguments to those of their nodes; None stands for no such node."""
    for g, node, x in zip(grads, nodes, values):
        if node is None or g is None:
            continue
        if g.dtype != x.dtype:
            g = g.astype(x.dtype)
        cts[node] = g if cts[node] is None else cts[node] + g
        owned[node] = 0


_pull_fused.careful = _pull_unfused  # type: ignore[attr-defined]


# --- the recorders -------------------------------------------------------------------------------


def traced(value: Any, tape: Tape, node: int) -> "TapeTracer":
    """Make a tracer; the recorders below write it out, since a call takes 50 ns, an `__init__` more."""
    tracer = TapeTracer()
    tracer.value = value
    tracer._trace = tape
    tracer.node = node
    tracer._view = tracer._views = None
    return tracer


def _operator(  # noqa: C901  # see below
    ufunc: np.ufunc, compute: Any, same: np.ufunc | None = None
) -> tuple[Any, Any]:
    """Make `t op other` and `other op t`, quick for tracers of one tape and for constants.

    `same` is the function of one argument that `t op t` is, if there is one with a cheaper rule.
    """
    general, reflected_general = binary_operator(ufunc), reflected_operator(ufunc)

    def method(self: "TapeTracer", other: Any) -> Any:
        tape, kind = self._trace, type(other)
        if kind is not TapeTracer or other._trace is not tape:
            if kind is float or kind is int or kind is float64:
                return _with_scalar(self, 0, HANDLERS[ufunc], compute(self.value, other), other)
            if kind is ndarray and other.nbytes <= COPY_BYTES and not other.dtype.hasobject:
                return _with_array(self, 0, HANDLERS[ufunc], compute(self.value, other), other)
            return general(self, other)
        if other is self and same is not None:
            return _unary(self, HANDLERS[same], compute(self.value, self.value))
        x, y = self.value, other.value
        ans = compute(x, y)
        primitive: Any = HANDLERS[ufunc]
        pull_x, pull_y = primitive.pulls
        keep_x, keep_y = primitive.slots
        fix_x = fix_y = None
        if type(ans) is not float64 or type(x) is not float64 or type(y) is not float64:
            dtype = ans.dtype
            if x.dtype is not dtype or y.dtype is not dtype or x.shape != y.shape:
                shape = ans.shape
                if x.shape != shape or x.dtype is not dtype:
                    fix_x = (x.shape, x.dtype)
                if y.shape != shape or y.dtype is not dtype:
                    fix_y = (y.shape, y.dtype)
        places = (None, ans, x, y)
        kept_x = places[keep_x] if type(keep_x) is int else tuple([places[i] for i in keep_x])
        kept_y = places[keep_y] if type(keep_y) is int else tuple([places[i] for i in keep_y])
        node = tape.nodes
        tape.nodes = node + 1
        sink = tape.sink
        sink += (node, self.node, pull_x, kept_x, fix_x, node, other.node, pull_y, kept_y, fix_y)
        result = TapeTracer()
        result.value = ans
        result._trace = tape
        result.node = node
        result._view = result._views = None
        return result

    def reflected(self: "TapeTracer", other: Any) -> Any:
        kind = type(other)
        if kind is float or kind is int or kind is float64:
            return _with_scalar(self, 1, HANDLERS[ufunc], compute(other, self.value), other)
        if kind is ndarray and other.nbytes <= COPY_BYTES and not other.dtype.hasobject:
            return _with_array(self, 1, HANDLERS[ufunc], compute(other, self.value), other)
        return reflected_general(self, other)

    return method, reflected


def _with_scalar(self: "TapeTracer", i: int, primitive: Any, ans: Any, other: Any) -> Any:
    """Record `self op other` (i = 0) or `other op self` (i = 1) for a scalar constant."""
    x = self.value
    places = (None, ans, other, x) if i else (None, ans, x, other)
    keep = primitive.slots[i]
    fix = None
    if type(ans) is not float64 or type(x) is not float64:
        if x.dtype is not ans.dtype:
            fix = (x.shape, x.dtype)
    kept = places[keep] if type(keep) is int else tuple([places[j] for j in keep])
    if primitive.condense is not None and type(x) is ndarray and x.size > 1000:
        kept = primitive.condense(x, other, kept)
    tape = self._trace
    node = tape.nodes
    tape.nodes = node + 1
    sink = tape.sink
    sink += (node, self.node, primitive.pulls[i], kept, fix)
    result = TapeTracer()
    result.value = ans
    result._trace = tape
    result.node = node
    result._view = result._views = None
    return result


def _with_array(self: "TapeTracer", i: int, primitive: Any, ans: Any, other: Any) -> Any:
    """Likewise for a small array, which is copied if the rule keeps it."""
    x = self.value
    keep = primitive.slots[i]
    if keep == 3 - i or type(keep) is tuple:
        other = other.copy() if other.dtype is ans.dtype else other.astype(ans.dtype)
    places = (None, ans, other, x) if i else (None, ans, x, other)
    fix = (x.shape, x.dtype) if x.shape != ans.shape or x.dtype is not ans.dtype else None
    kept = places[keep] if type(keep) is int else tuple([places[j] for j in keep])
    return _with_edge(self, ans, primitive.pulls[i], kept, fix)


def _unary(self: "TapeTracer", primitive: Any, ans: Any) -> "TapeTracer":
    """Record an elementwise function of one argument."""
    x, keep = self.value, primitive.slots[0]
    fix = None
    if type(ans) is not float64 and x.dtype is not ans.dtype:
        fix = (x.shape, x.dtype)
    places = (None, ans, x)
    kept = places[keep] if type(keep) is int else tuple([places[j] for j in keep])
    return _with_edge(self, ans, primitive.pulls[0], kept, fix)


def _with_edge(self: "TapeTracer", ans: Any, pull: Any, kept: Any, fix: Any) -> "TapeTracer":
    """Make the tracer of a result that comes from one traced value."""
    tape = self._trace
    node = tape.nodes
    tape.nodes = node + 1
    sink = tape.sink
    sink += (node, self.node, pull, kept, fix)
    return traced(ans, tape, node)


def _comparison(ufunc: np.ufunc, compare: Any) -> Any:
    """Make `t < other`: a plain result, without a node."""
    equality = ufunc is np.equal or ufunc is np.not_equal
    general = equality_operator(ufunc) if equality else binary_operator(ufunc)

    def method(self: "TapeTracer", other: Any) -> Any:
        tape, kind = self._trace, type(other)
        if (kind is not float and kind is not int and kind is not ndarray) or tape.sink is ENDED:
            return general(self, other)
        if equality and tape.has_entries:  # a coefficient of numpy.polynomial, perhaps
            return general(self, other)
        return compare(self.value, other)

    return method


def _matmul(self: "TapeTracer", other: Any) -> Any:
    """Multiply matrices of one tape, or one with a constant."""
    tape = self._trace
    matmul: Any = HANDLERS["matmul"]
    if type(other) is not TapeTracer or other._trace is not tape:
        if type(other) is ndarray and other.dtype is self.dtype and other.nbytes <= COPY_BYTES:
            kept = (other.copy(), self.value.shape)
            return _with_edge(self, self.value @ other, matmul.pulls[0], kept, None)
        return _general_matmul(self, other)
    x, y = self.value, other.value
    ans = x @ y
    pull_x, pull_y = matmul.pulls
    dtype = ans.dtype
    fix_x = None if x.dtype is dtype else (x.shape, x.dtype)
    fix_y = None if y.dtype is dtype else (y.shape, y.dtype)
    node = tape.nodes
    tape.nodes = node + 1
    sink = tape.sink
    sink += (node, self.node, pull_x, (y, x.shape), fix_x)
    sink += (node, other.node, pull_y, (x, y.shape), fix_y)
    return traced(ans, tape, node)


def _rmatmul(self: "TapeTracer", other: Any) -> Any:
    """Multiply a constant with a matrix of a tape."""
    if type(other) is ndarray and other.dtype is self.dtype and other.nbytes <= COPY_BYTES:
        matmul: Any = HANDLERS["matmul"]
        kept = (other.copy(), self.value.shape)
        return _with_edge(self, other @ self.value, matmul.pulls[1], kept, None)
    return _general_rmatmul(self, other)


_general_matmul, _general_rmatmul = binary_operator(np.matmul), reflected_operator(np.matmul)


def _reduction(fun: Any) -> Any:
    """Make `fun(t, axis, keepdims)`, quick for plain arrays over one axis or all; None for the rest.

    It takes 1.5 us less than the function over primitives, whose options cost more than a small sum.
    """
    extreme = fun is np.max or fun is np.min

    def reduced(self: "TapeTracer", axis: Any = None, keepdims: Any = False) -> Any:
        x = self.value
        if type(x) is not ndarray or x.dtype.char not in "fd" or type(keepdims) is not bool:
            return None
        if axis is None:
            axes = (0,) if x.ndim == 1 else tuple(range(x.ndim))
        elif type(axis) is int and -x.ndim <= axis < x.ndim:
            axes = (axis % x.ndim,)
        else:
            return None
        primitive: Any = HANDLERS[fun].primitive  # type: ignore[attr-defined]
        ans = primitive.fun(x, axes, keepdims)
        if extreme and 0 < len(axes) == x.ndim:
            index = _place(x, ans, keepdims)
            if index is not None:
                return _with_edge(self, ans, accumulate, (index, x.shape, x.dtype), ACCUMULATES)
        kept = primitive.keeps[0](ans, (x,), {"axes": axes, "keepdims": keepdims})
        return _with_edge(self, ans, primitive.pulls[0], kept, None)

    return reduced


def _place(x: Any, ans: Any, keepdims: bool) -> Any:
    """Return the index of the only entry that is the extreme, so that it is a mere read; None if there are more."""
    mask = x == ans
    if np.count_nonzero(mask) != 1:
        return None
    place = int(mask.argmax())
    if x.ndim == 1:  # np.unravel_index takes 1 us
        return slice(place, place + 1) if keepdims else place
    places = [int(i) for i in np.unravel_index(place, x.shape)]
    return tuple([slice(i, i + 1) if keepdims else i for i in places])


_total = _reduction(np.mean)


def _averaged(self: "TapeTracer", axis: Any = None, keepdims: Any = False) -> Any:
    """Record a sum and its division by the number of entries."""
    total = _total(self, axis, keepdims)
    return None if total is None else total / (self.size // max(total.size, 1))


_REDUCTIONS: dict[Any, Any] = {
    np.sum: _reduction(np.sum),
    np.max: _reduction(np.max),
    np.min: _reduction(np.min),
    np.mean: _averaged,
}
_REDUCTION_OPTIONS = {"axis", "keepdims"}
_array_function = ArrayTracer.__array_function__


class TapeTracer(ArrayTracer):
    """A value on a tape: `node` is its place there."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        primitive = HANDLERS.get(ufunc)
        if (
            kwargs
            or method != "__call__"
            or type(primitive) is not Primitive
            or not primitive.slots
        ):
            if ufunc is np.matmul and not kwargs and type(inputs[0]) is ndarray:
                return _rmatmul(self, inputs[0])
            if method == "__call__":
                return call_ufunc(ufunc, inputs, kwargs)
            return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)
        if len(inputs) == 2:
            x, y = inputs
            if ufunc not in _BINARY:
                _BINARY[ufunc] = _operator(ufunc, primitive.fun)
            forward, reflected = _BINARY[ufunc]
            return forward(x, y) if type(x) is TapeTracer else reflected(self, x)
        if len(inputs) != 1:
            return call_ufunc(ufunc, inputs, kwargs)
        return _unary(self, primitive, ufunc(self.value))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in _REDUCTIONS and len(args) == 1 and kwargs.keys() <= _REDUCTION_OPTIONS:
            result = _REDUCTIONS[func](self, **kwargs)
            if result is not None:
                return result
        return _array_function(self, func, types, args, kwargs)

    def __fused__(self, fused: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        """Take part in a function that brings its own passes: `funcgrad.nn.fused` tells which."""
        return _record_fused(self._trace, fused, args, settings)

    def __getitem__(self, index: Any) -> Any:
        kind = type(index)
        if kind is not int and kind is not slice and not (kind is tuple and is_basic(index)):
            return HANDLERS["getitem"](self, index)
        x = self.value
        ans = x[index]
        result = _with_edge(self, ans, accumulate, (index, x.shape, x.dtype), ACCUMULATES)
        if type(ans) is ndarray or (isinstance(ans, Tracer) and ans._view is not None):
            register_view(self, result, HANDLERS["read"], {"index": index})
        return result

    def __neg__(self) -> "TapeTracer":
        negative: Any = HANDLERS[np.negative]
        return _with_edge(self, -self.value, negative.pulls[0], None, None)

    __add__, __radd__ = _operator(np.add, operator.add)
    __sub__, __rsub__ = _operator(np.subtract, operator.sub)
    __mul__, __rmul__ = _operator(np.multiply, operator.mul, np.square)
    __truediv__, __rtruediv__ = _operator(np.divide, operator.truediv)
    __pow__, __rpow__ = _operator(np.power, operator.pow)
    __matmul__, __rmatmul__ = _matmul, _rmatmul
    __lt__ = _comparison(np.less, operator.lt)
    __le__ = _comparison(np.less_equal, operator.le)
    __gt__ = _comparison(np.greater, operator.gt)
    __ge__ = _comparison(np.greater_equal, operator.ge)
    __eq__ = _comparison(np.equal, operator.eq)
    __ne__ = _comparison(np.not_equal, operator.ne)
    __hash__ = None


_BINARY: dict[np.ufunc, tuple[Any, Any]] = {}  # the same for a ufunc called by name
