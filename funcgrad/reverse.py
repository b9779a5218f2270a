"""Reverse mode: one flat tape per call, walked backwards once.

Node `i` of a tape is a value; `records[i]` tells how its cotangent reaches the nodes it came from:
a tuple of edges `(parent, pull, kept, fix)`, or `None` for an input. `pull(ct, kept)` is the
vector-Jacobian product for that parent, `kept` what the rule named, and `fix` the shape and dtype
to restore when broadcasting or promotion changed them (decided once, when recording).

    y = x * w          records[2] = ((0, pull_x, w, None), (1, pull_w, x, None))

The recorders below are the hot path of the library; clumsiness there is bought with measured time.
"""

import operator
from types import EllipsisType
from typing import Any

import numpy as np

from funcgrad.broadcasting import restore
from funcgrad.constants import COPY_BYTES, checked, protect, verify
from funcgrad.core import (
    HANDLERS,
    Primitive,
    Trace,
    Tracer,
    binary_operator,
    call_ufunc,
    concrete,
    equality_operator,
    leaked,
    reflected_operator,
    refuse_objects,
    zero,
)
from funcgrad.floating import hush, unhush
from funcgrad.handles import register_view

ndarray, float64 = np.ndarray, np.float64

# Marks, in the place of `fix`, an edge whose pull adds to the parent's cotangent itself.
ACCUMULATES = (None, None)

Edge = tuple[int, Any, Any, Any]
Record = tuple[Edge, ...] | None


class Tape(Trace):
    """The record of one differentiated call."""

    __slots__ = ("append", "records")

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.append = self.records.append

    def input(self, value: Any) -> "TapeTracer":
        """Make a tracer for an input: a node without parents."""
        index = len(self.records)
        self.append(None)
        return TapeTracer(value, self, index)

    @property
    def ended(self) -> bool:
        return self.append is leaked

    def constant(self, value: Any) -> "TapeTracer":
        return self.input(value)

    def edges(self) -> list[Record]:
        """Return what the backward pass walks: one entry per record."""
        return self.records

    def close(self) -> None:
        """Let every later use of a tracer of this tape raise."""
        self.append = leaked  # no flag to test on the hot path

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
        if self.append is leaked or not primitive.pulls or not has_derivative(ans):
            return leaked() if self.append is leaked else ans
        edges = []
        for i in mine:
            pull, keep = primitive.pull(i, args)
            if pull is zero:
                continue
            if keep.settings or (keep.args and len(args) > len(mine)):
                pull, values, settings = _protected(keep, pull, args, values, settings)
                if primitive.promotes:
                    values = promoted(args, values, ans)
            fix = ACCUMULATES if primitive.accumulates else _fix(primitive, values[i], ans)
            edges.append((args[i].node, pull, keep(ans, values, settings), fix))
        if not edges:
            return ans
        index = len(self.records)
        self.append(tuple(edges))
        if primitive.multiple:
            return self._outputs(ans, index)
        result = TapeTracer(ans, self, index)
        if primitive.unview is not None and is_view(ans, values[0]):
            register_view(args[0], result, primitive, settings)
        return result

    def _outputs(self, ans: tuple[Any, ...], index: int) -> Any:
        nodes = self.split(ans, index)
        return type(ans)(*nodes) if hasattr(ans, "_fields") else tuple(nodes)

    def split(self, outputs: Any, index: int) -> list[Any]:
        """Make a node per output of record `index`; each hands its cotangent to it."""
        like = [(getattr(x, "shape", ()), getattr(x, "dtype", object)) for x in outputs]
        nodes = []
        for i, x in enumerate(outputs):
            if has_derivative(x):
                nodes.append(TapeTracer(x, self, len(self.records)))
                self.append(((index, _put_output, (i, like), ACCUMULATES),))
            else:
                nodes.append(x)
        return nodes


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
    return type(ans) is ndarray and ans.base is not None and np.may_share_memory(ans, x)


def has_derivative(ans: Any) -> bool:
    """Tell whether a result is floating-point (or one of several is)."""
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


# --- the backward pass ---------------------------------------------------------------------------


def backward(tape: Tape, seeds: list[tuple[int, Any]], inputs: list[int]) -> list[Any]:
    """Return the cotangent of each input node, `None` for zero.

    A NaN may come from a product of an exact zero with something infinite or undefined (the dead
    branch of np.where, the root of a sum of squares at 0). Only then is the tape walked again, with
    zeros kept zero: finding out costs one dot product per input, where looking at each step would
    cost more.
    """
    quiet = hush()
    records = tape.edges()
    try:
        cts = walk(records, seeds, inputs, zero_stays_zero=False)
        if any([has_nan(ct) for ct in cts]):
            cts = walk(records, seeds, inputs, zero_stays_zero=True)
    finally:
        unhush(quiet)
    return cts


def walk(  # noqa: C901  # one loop, a branch per kind of edge
    records: Any, seeds: Any, inputs: list[int], zero_stays_zero: bool
) -> list[Any]:
    """Walk records backwards, from the seeds to the inputs."""
    cts: list[Any] = [None] * len(records)
    owned = bytearray(len(records))  # 1 where the cotangent is a buffer that nobody else can see
    for index, ct in seeds:
        cts[index] = ct if cts[index] is None else cts[index] + ct
    for index in range(len(records) - 1, -1, -1):
        ct = cts[index]
        if ct is None:
            continue
        record = records[index]
        if record is None:
            continue
        cts[index] = None  # the memory of a cotangent is free as soon as it has been handed on
        for parent, pull, kept, fix in record:
            if fix is ACCUMULATES:
                if zero_stays_zero and pull is _pull_fused:
                    pull = _pull_unfused
                pull(cts, owned, parent, ct, kept)
                continue
            g = ct if pull is None else pull(ct, kept)
            if zero_stays_zero and pull is not None:
                g = keep_zero(pull, kept, ct, g)
            if fix is not None:
                g = restore(g, *fix)
            total = cts[parent]
            if total is None:
                cts[parent] = g
            elif owned[parent] and type(g) is ndarray:
                np.add(total, g, out=total)
            else:
                cts[parent] = total = total + g
                owned[parent] = type(total) is ndarray
    return [_own(cts[i], owned[i]) for i in inputs]


def _own(ct: Any, owned: int) -> Any:
    """Return a cotangent that shares no memory with anything the tape or the caller keeps."""
    if type(ct) is ndarray and not owned and (ct.base is not None or not ct.flags.writeable):
        return ct.copy()
    return ct


def has_nan(ct: Any) -> bool:
    """Tell whether an entry is NaN (or so large that its square overflows, which does no harm)."""
    if ct is None:
        return False
    ct = concrete(ct)
    if not isinstance(ct, ndarray):
        return bool(ct != ct)
    flat = ct.reshape(-1)
    norm = flat.dot(flat)  # NaN if an entry is
    return bool(norm != norm)


def keep_zero(pull: Any, kept: Any, ct: Any, g: Any) -> Any:
    """Let a product with an exact zero be zero, whatever the other factor is.

    Elementwise, `g` is `ct` times a partial derivative: both may be the zero. Of other pullbacks we
    see only the cotangent.
    """
    zero: Any
    if getattr(pull, "elementwise", False):
        zero = (ct == 0) | (pull(np.ones_like(ct), kept) == 0)
    else:
        zero = True
        for part in ct if isinstance(ct, list) else [ct]:
            zero = zero & np.all(part == 0)
    # Elsewhere the product is as it should be, and so is its derivative, which the constant 0 would cut.
    return np.where(zero & np.isnan(g), 0, g)


# --- functions that bring a forward and a backward pass ------------------------------------------


def _record_fused(tape: Tape, fused: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """Run a function's own forward pass as one record, if all arrays are plain; else trace it."""
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
    index = len(tape.records)
    kept = (fused, residuals, values, nodes, settings, checks)
    tape.append(((index, _pull_fused, kept, ACCUMULATES),))
    return TapeTracer(ans, tape, index)


def _pull_fused(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: Any) -> None:
    """Hand on what the function's own backward pass gives."""
    fused, residuals, values, nodes, _, checks = kept
    if isinstance(ct, Tracer):
        _pull_unfused(cts, owned, parent, ct, kept)
        return
    if checks:
        verify(checks)
    _add_cotangents(cts, owned, zip(fused.backward(ct, residuals), values, nodes))


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
    _add_cotangents(cts, owned, zip(grads, values, nodes))


def _add_cotangents(cts: list[Any], owned: bytearray, grads: Any) -> None:
    for g, x, node in grads:
        if node is None or g is None:
            continue
        if g.dtype != x.dtype:
            g = g.astype(x.dtype)
        cts[node] = g if cts[node] is None else cts[node] + g
        owned[node] = 0


# --- reads -----------------------------------------------------------------------------------------


def is_basic(index: Any) -> bool:
    """Tell whether indexing with it gives a view: each entry of the result comes from its own place."""
    kind = type(index)
    if kind is int or kind is slice:
        return True
    for i in index if kind is tuple else (index,):
        if not isinstance(i, (int, slice, EllipsisType, type(None), np.integer)) or isinstance(
            i, bool
        ):
            return False
    return True


def add_at(buffer: Any, index: Any, values: Any) -> None:
    """Add to the entries at `index`, to repeated ones repeatedly."""
    if is_basic(index) or getattr(index, "dtype", None) == np.bool_:
        buffer[index] += values
    else:
        np.add.at(buffer, index, values)


def accumulate(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: Any) -> None:
    """Add the cotangent of `x[index]` to that of `x`.

    A plain buffer is written in place, so that n reads of x[i] cost O(n) in all and not O(n^2).
    """
    index, shape, dtype, *arrays = kept
    buffer = cts[parent]
    if arrays or isinstance(ct, Tracer) or isinstance(buffer, Tracer):
        ct = HANDLERS["scatter"](ct, *arrays, index=index, shape=shape)
        cts[parent] = ct if buffer is None else buffer + ct
        owned[parent] = 0
        return
    if not owned[parent]:
        cts[parent] = buffer = np.zeros(shape, dtype) if buffer is None else np.array(buffer)
        owned[parent] = 1
    add_at(buffer, index, ct)


# --- the recorders -------------------------------------------------------------------------------


def _operator(ufunc: np.ufunc, compute: Any) -> tuple[Any, Any]:  # noqa: C901  # see below
    """Make `t op other` and `other op t`, quick for tracers of one tape and for constants."""
    general, reflected_general = binary_operator(ufunc), reflected_operator(ufunc)

    def method(self: "TapeTracer", other: Any) -> Any:
        kind = type(other)
        if kind is not TapeTracer or other._trace is not self._trace:
            if kind is float or kind is int or kind is float64:
                return _with_scalar(self, 0, HANDLERS[ufunc], compute(self.value, other), other)
            if kind is ndarray and other.nbytes <= COPY_BYTES and not other.dtype.hasobject:
                return _with_array(self, 0, HANDLERS[ufunc], compute(self.value, other), other)
            return general(self, other)
        tape = self._trace
        x, y = self.value, other.value
        ans = compute(x, y)
        primitive: Any = HANDLERS[ufunc]
        pull_x, pull_y = primitive.pulls
        keep_x, keep_y = primitive.slots
        places = (None, ans, x, y)
        fix_x = fix_y = None
        if type(ans) is not float64 or type(x) is not float64 or type(y) is not float64:
            shape, dtype = ans.shape, ans.dtype
            if x.shape != shape or x.dtype is not dtype:
                fix_x = (x.shape, x.dtype)
            if y.shape != shape or y.dtype is not dtype:
                fix_y = (y.shape, y.dtype)
        kept_x = places[keep_x] if type(keep_x) is int else tuple([places[i] for i in keep_x])
        kept_y = places[keep_y] if type(keep_y) is int else tuple([places[i] for i in keep_y])
        index = len(tape.records)
        tape.append(((self.node, pull_x, kept_x, fix_x), (other.node, pull_y, kept_y, fix_y)))
        return TapeTracer(ans, tape, index)

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
    tape = self._trace
    index = len(tape.records)
    kept = places[keep] if type(keep) is int else tuple([places[j] for j in keep])
    if primitive.condense is not None and type(x) is ndarray and x.size > 1000:
        kept = primitive.condense(x, other, kept)
    tape.append(((self.node, primitive.pulls[i], kept, fix),))
    return TapeTracer(ans, tape, index)


def _with_array(self: "TapeTracer", i: int, primitive: Any, ans: Any, other: Any) -> Any:
    """Likewise for a small array, which is copied if the rule keeps it."""
    x = self.value
    keep = primitive.slots[i]
    if keep == 3 - i or type(keep) is tuple:
        other = other.copy() if other.dtype is ans.dtype else other.astype(ans.dtype)
    places = (None, ans, other, x) if i else (None, ans, x, other)
    fix = (x.shape, x.dtype) if x.shape != ans.shape or x.dtype is not ans.dtype else None
    tape = self._trace
    index = len(tape.records)
    kept = places[keep] if type(keep) is int else tuple([places[j] for j in keep])
    tape.append(((self.node, primitive.pulls[i], kept, fix),))
    return TapeTracer(ans, tape, index)


def _comparison(ufunc: np.ufunc, compare: Any) -> Any:
    """Make `t < other`: a plain result, without a record."""
    equality = ufunc is np.equal or ufunc is np.not_equal
    general = equality_operator(ufunc) if equality else binary_operator(ufunc)

    def method(self: "TapeTracer", other: Any) -> Any:
        kind = type(other)
        if (kind is float or kind is int or kind is ndarray) and self._trace.append is not leaked:
            return compare(self.value, other)
        return general(self, other)

    return method


def _matmul(self: "TapeTracer", other: Any) -> Any:
    """Multiply matrices of one tape, or one with a constant."""
    tape = self._trace
    if type(other) is not TapeTracer or other._trace is not tape:
        if type(other) is ndarray and other.dtype is self.dtype and other.nbytes <= COPY_BYTES:
            kept = (other.copy(), self.value.shape)
            return _with_constant(self, self.value @ other, 0, kept)
        return _general_matmul(self, other)
    x, y = self.value, other.value
    ans = x @ y
    matmul: Any = HANDLERS["matmul"]
    pull_x, pull_y = matmul.pulls
    dtype = ans.dtype
    fix_x = None if x.dtype is dtype else (x.shape, x.dtype)
    fix_y = None if y.dtype is dtype else (y.shape, y.dtype)
    index = len(tape.records)
    tape.append(
        ((self.node, pull_x, (y, x.shape), fix_x), (other.node, pull_y, (x, y.shape), fix_y))
    )
    return TapeTracer(ans, tape, index)


def _rmatmul(self: "TapeTracer", other: Any) -> Any:
    """Multiply a constant with a matrix of a tape."""
    if type(other) is ndarray and other.dtype is self.dtype and other.nbytes <= COPY_BYTES:
        return _with_constant(self, other @ self.value, 1, (other.copy(), self.value.shape))
    return _general_rmatmul(self, other)


def _with_constant(self: "TapeTracer", ans: Any, i: int, kept: Any) -> Any:
    tape = self._trace
    matmul: Any = HANDLERS["matmul"]
    index = len(tape.records)
    tape.append(((self.node, matmul.pulls[i], kept, None),))
    return TapeTracer(ans, tape, index)


_general_matmul, _general_rmatmul = binary_operator(np.matmul), reflected_operator(np.matmul)


class TapeTracer(Tracer):
    """A value on a tape: `node` is its place there."""

    __slots__ = ()

    def __init__(self, value: Any, trace: Tape, node: int) -> None:
        self.value = value
        self._trace = trace
        self.node = node

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
                _BINARY[ufunc] = _operator(ufunc, ufunc)
            forward, reflected = _BINARY[ufunc]
            return forward(x, y) if type(x) is TapeTracer else reflected(self, x)
        if len(inputs) != 1:
            return call_ufunc(ufunc, inputs, kwargs)
        x = self.value
        ans = ufunc(x)
        keep = primitive.slots[0]
        fix = None
        if type(ans) is not float64 and x.dtype is not ans.dtype:
            fix = (x.shape, x.dtype)
        kept = (
            (None, ans, x)[keep] if type(keep) is int else tuple([(None, ans, x)[i] for i in keep])
        )
        tape = self._trace
        index = len(tape.records)
        tape.append(((self.node, primitive.pulls[0], kept, fix),))
        return TapeTracer(ans, tape, index)

    def __fused__(self, fused: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        """Take part in a function that brings its own passes: `funcgrad.nn.fused` tells which."""
        return _record_fused(self._trace, fused, args, settings)

    def __getitem__(self, index: Any) -> Any:
        kind = type(index)
        if kind is not int and kind is not slice and not (kind is tuple and is_basic(index)):
            return HANDLERS["getitem"](self, index)
        x = self.value
        tape = self._trace
        node = len(tape.records)
        ans = x[index]
        tape.append(((self.node, accumulate, (index, x.shape, x.dtype), ACCUMULATES),))
        result = TapeTracer(ans, tape, node)
        if type(ans) is ndarray or (isinstance(ans, Tracer) and ans._view is not None):
            register_view(self, result, HANDLERS["read"], {"index": index})
        return result

    def __neg__(self) -> "TapeTracer":
        tape = self._trace
        index = len(tape.records)
        ans = -self.value
        negative: Any = HANDLERS[np.negative]
        tape.append(((self.node, negative.pulls[0], None, None),))
        return TapeTracer(ans, tape, index)

    __add__, __radd__ = _operator(np.add, operator.add)
    __sub__, __rsub__ = _operator(np.subtract, operator.sub)
    __mul__, __rmul__ = _operator(np.multiply, operator.mul)
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
