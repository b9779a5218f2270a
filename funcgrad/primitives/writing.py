"""Writes into traced arrays: y[index] = v, out=y, np.copyto(y, v), y.fill(v). See funcgrad/handles.py for aliases."""

import sys
from typing import Any

import numpy as np

from funcgrad.backward import ACCUMULATES, is_basic
from funcgrad.broadcasting import unbroadcast
from funcgrad.core import HANDLERS, Primitive, Tracer, as_array, concrete, find_trace, is_number
from funcgrad.forward import ForwardTracer
from funcgrad.handles import has_views, write
from funcgrad.primitives.families import register
from funcgrad.primitives.indexing import batched_index, getitem, plain_index, splits_arrays
from funcgrad.reverse import Edge, TapeTracer

# --- the primitive: x with x[index] = v ----------------------------------------------------------


def _put(x: Any, v: Any, index: Any) -> Any:
    result = np.array(x)
    result[index] = v
    return result


def _last_writes(shape: Any, index: Any) -> Any:
    """Return which of the written entries stay: of repeated places the last, as NumPy has it."""
    if is_basic(index) or getattr(index, "dtype", None) == np.bool_:
        return True
    writers = np.zeros(shape, np.intp)
    order = np.arange(writers[index].size).reshape(writers[index].shape)
    writers[index] = order
    return writers[index] == order


def _put_vjp_x(ct: Any, index: Any) -> Any:
    return put(ct, np.zeros((), ct.dtype), index=index)


def _put_vjp_v(ct: Any, index: Any, x_shape: Any, v_shape: Any) -> Any:
    last = _last_writes(x_shape, index)
    g = getitem(ct, index=index)
    g = g if last is True else np.where(last, g, 0)
    return _unstretched(g, v_shape)


def _unstretched(g: Any, shape: Any) -> Any:
    """Undo the broadcasting of a written value, which may have extra axes of length one in front."""
    if g.shape == shape:
        return g
    extra = len(shape) - g.ndim
    if extra > 0:
        return _unstretched(g, shape[extra:]).reshape(shape)
    return unbroadcast(g, shape)


class _Put(Primitive):
    """Linear in x and v together: the jvp writes the tangent of v into that of x."""

    __slots__ = ()

    def push(self, i: int) -> Any:
        if i == 0:
            return lambda t, ans, args, settings: put(t, np.zeros((), t.dtype), **settings)
        return lambda t, ans, args, settings: put(np.zeros(ans.shape, ans.dtype), t, **settings)

    def push_all(self, tangents: list[Any], ans: Any, args: Any, settings: Any) -> Any:
        return put(*tangents, **settings)  # one copy in place of four


def _batch_put(args: Any, mapped: Any, settings: Any) -> Any:
    (x, v), index = args, settings["index"]
    n = len(args[mapped.index(True)])
    if not mapped[0]:
        x = np.broadcast_to(x, (n, *np.shape(x)))
    if splits_arrays(index):
        rows = [put(x[k], v[k] if mapped[1] else v, index=index) for k in range(n)]
        return np.stack(rows)
    if mapped[1]:
        shape = np.zeros(x.shape[1:], np.bool_)[index].shape
        v = np.broadcast_to(v.reshape((n, *_padded(v.shape[1:], len(shape)))), (n, *shape))
    return put(x, v, index=batched_index(index))


def _padded(shape: Any, ndim: int) -> Any:
    """Return a shape of `ndim` axes: ones are added, or dropped, in front."""
    return (1,) * (ndim - len(shape)) + tuple(shape[max(len(shape) - ndim, 0) :])


def _keep_x(ans: Any, args: Any, settings: Any) -> Any:
    return settings["index"]


def _keep_v(ans: Any, args: Any, settings: Any) -> Any:
    return settings["index"], ans.shape, np.shape(args[1])


for _keep in (_keep_x, _keep_v):
    _keep.args, _keep.settings = (), ("index",)  # type: ignore[attr-defined]

put = register(_Put("put", _put, ("x", "v")))
put.pulls = (_put_vjp_x, lambda ct, kept: _put_vjp_v(ct, *kept))
put.keeps = (_keep_x, _keep_v)
put.batch = _batch_put

# --- on a tape, into a buffer that nobody else sees: O(1) per write ------------------------------


class _Slot:
    __slots__ = ("value",)
    value: Any


def _references(holder: Any) -> int:
    return sys.getrefcount(holder.value)


def _references_of_one_holder() -> int:
    slot = _Slot()
    slot.value = np.zeros(1)
    return _references(slot)


_ONE_HOLDER = _references_of_one_holder()


def _pull_entries(ct: Any, kept: Any) -> Any:
    """Return the cotangent of the written value, in memory of its own."""
    index, shape = kept
    g = ct[index]
    return _unstretched(np.array(g), shape) if isinstance(g, np.ndarray) else g


def _pull_rest(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: Any) -> None:
    """Hand on the cotangent with zeros at the written entries, in place if the tape owns it."""
    index, node = kept
    if type(ct) is not np.ndarray:
        ct = put(ct, np.zeros((), ct.dtype), index=index)
    else:
        ct = ct if owned[node] else np.array(ct)
        ct[index] = 0
    total = cts[parent]
    cts[parent] = ct if total is None else total + ct
    owned[parent] = type(cts[parent]) is np.ndarray


def _write_in_place(y: Any, index: Any, v: Any) -> bool:
    """Write into the buffer of a traced array if it has no other reader; tell whether that was done."""
    if not isinstance(y, TapeTracer) or not is_basic(index) or y._view is not None or has_views(y):
        return False
    if type(y.value) is not np.ndarray or y.value.base is not None or _references(y) > _ONE_HOLDER:
        return False
    traced = isinstance(v, TapeTracer) and v._trace is y._trace
    value = v.value if traced else v
    if isinstance(value, Tracer) or value.dtype != y.dtype:
        return False
    y.value[index] = value
    tape = y._trace
    edges: list[Edge] = [(y.node, _pull_rest, (index, tape.nodes), ACCUMULATES)]
    if traced:
        edges.append((v.node, _pull_entries, (index, value.shape), None))
    y.node = tape.add(edges)
    return True


def _write_forward(y: Any, index: Any, v: Any) -> bool:
    """Write a value and its tangent in place, likewise."""
    if type(y) is not ForwardTracer or not is_basic(index) or y._view is not None or has_views(y):
        return False
    traced = type(v) is ForwardTracer and v._trace is y._trace
    value, tangent = (v.value, v.node) if traced else (v, None)
    if isinstance(value, Tracer) or isinstance(tangent, Tracer) or value.dtype != y.dtype:
        return False
    if not _is_owned(y.value) or sys.getrefcount(y.value) > _ONE_HOLDER:
        return False
    if y.node is None:
        y.node = None if tangent is None else np.zeros(y.shape, y.dtype)
    elif not _is_owned(y.node) or sys.getrefcount(y.node) > _ONE_HOLDER:
        return False
    y.value[index] = value
    if y.node is not None:
        y.node[index] = 0 if tangent is None else tangent
    return True


def _is_owned(x: Any) -> bool:
    return type(x) is np.ndarray and x.base is None


# --- what y[index] = v of a tracer calls ---------------------------------------------------------


def assign_entries(y: Any, index: Any, value: Any) -> None:
    """Write into a traced array as NumPy does: cast, broadcast, seen by all that share the memory."""
    y._trace.check_running(y)
    if is_number(y):
        raise TypeError(f"'{type(concrete(y)).__name__}' object does not support item assignment")
    index = plain_index(index)
    value = as_array(value)
    if value.dtype != y.dtype:
        if value.dtype.kind == "c" and y.dtype.kind != "c":
            raise TypeError("a complex value cannot be written into a real array; take value.real")
        value = value.astype(y.dtype)
    if find_trace(index if isinstance(index, tuple) else (index,)) is not None:
        _assign_mapped(y, index, value)
    elif not _write_in_place(y, index, value) and not _write_forward(y, index, value):
        write(y, put(y, value, index=index))


def _assign_mapped(y: Any, index: Any, value: Any) -> None:
    """Write where an index differs from example to example: by the places it reads."""
    places = np.arange(y.size).reshape(y.shape)
    mine = np.array(places, like=next(i for i in _as_tuple(index) if isinstance(i, Tracer)))[index]
    hit = np.arange(y.size)[:, None] == mine.reshape(-1)[None, :]
    values = np.broadcast_to(value, mine.shape).reshape(-1)
    last = hit.shape[1] - 1 - np.argmax(hit[:, ::-1], axis=1)
    chosen = np.take_along_axis(values, last, 0)
    write(y, np.where(np.any(hit, axis=1), chosen, y.reshape(-1)).reshape(y.shape))


def _as_tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


HANDLERS["setitem"] = assign_entries
getitem.unview = lambda base, new, settings: put(base, new, **settings)
HANDLERS["read"] = getitem
