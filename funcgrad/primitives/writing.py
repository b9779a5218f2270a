"""Writes into traced arrays: y[index] = v, out=y, np.copyto(y, v), y.fill(v). See funcgrad/handles.py for aliases."""

import sys
from typing import Any

import numpy as np

from funcgrad.backward import ACCUMULATES, is_basic
from funcgrad.batch import BatchTracer
from funcgrad.broadcasting import unbroadcast
from funcgrad.core import HANDLERS, Primitive, Tracer, as_array, concrete, find_trace, is_number
from funcgrad.forward import ForwardTracer
from funcgrad.handles import has_views, snapshot, write
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


def _references_of_one_holder() -> int:
    slot = _Slot()
    slot.value = np.zeros(1)
    return sys.getrefcount(slot.value)


_ONE_HOLDER = _references_of_one_holder()


def _is_free(references: int, x: Any) -> bool:
    """Tell whether an array (or the handle of a traced one) has one holder and shares its memory with no view."""
    if references > _ONE_HOLDER:
        return False
    if isinstance(x, Tracer):
        return x._view is None and not has_views(x) and not is_number(x)
    return type(x) is np.ndarray and x.base is None


def _pull_entries(ct: Any, kept: Any) -> Any:
    """Return the cotangent of the written value, in memory of its own."""
    index, shape = kept
    g = ct[index]
    if isinstance(g, Tracer):  # put copies tangents too, which np.copy shares
        return _unstretched(put(np.zeros(g.shape, g.dtype), g, index=...), shape)
    return _unstretched(np.array(g), shape) if type(g) is np.ndarray else g


def _pull_rest(cts: list[Any], owned: bytearray, parent: int, ct: Any, kept: Any) -> None:
    """Hand on the cotangent with zeros at the written entries, in place if the tape owns it."""
    index, node = kept
    array = type(ct) is np.ndarray
    if array or (isinstance(ct, Tracer) and not is_number(ct)):
        if not owned[node]:
            ct = np.array(ct) if array else snapshot(ct)
        ct[index] = 0
        array = True
    else:
        ct = put(ct, np.zeros((), ct.dtype), index=index)
    total = cts[parent]
    cts[parent] = ct if total is None else total + ct
    owned[parent] = array


def _write_on_tape(y: Any, index: Any, v: Any) -> bool:
    """Write into the buffer of a traced array if it has no other reader; tell whether that was done.

    What y stands for may be traced in turn: then its handle writes, in place if it can.
    """
    if not isinstance(y, TapeTracer) or y._view is not None or has_views(y):
        return False
    traced = isinstance(v, TapeTracer) and v._trace is y._trace
    value = v.value if traced else v
    if not _takes(y.value, value) or not _is_free(sys.getrefcount(y.value), y.value):
        return False
    y.value[index] = value
    tape = y._trace
    edges: list[Edge] = [(y.node, _pull_rest, (index, tape.nodes), ACCUMULATES)]
    if traced:
        edges.append((v.node, _pull_entries, (index, value.shape), None))
    y.node = tape.add(edges)
    return True


def _takes(y: Any, v: Any) -> bool:
    """Tell whether entries of `y` can become those of `v` as they are."""
    return v.dtype == y.dtype and (isinstance(y, Tracer) or not isinstance(v, Tracer))


def _write_forward(y: Any, index: Any, v: Any) -> bool:
    """Write a value and its tangent in place, likewise."""
    if type(y) is not ForwardTracer or y._view is not None or has_views(y):
        return False
    traced = type(v) is ForwardTracer and v._trace is y._trace
    value, tangent = (v.value, v.node) if traced else (v, None)
    if not _takes(y.value, value) or not _is_free(sys.getrefcount(y.value), y.value):
        return False
    if y.node is None:
        if isinstance(tangent, Tracer):
            return False
        y.node = None if tangent is None else np.zeros(y.shape, y.dtype)
    else:
        free = _is_free(sys.getrefcount(y.node), y.node)
        if not free or (tangent is not None and not _takes(y.node, tangent)):
            return False
    y.value[index] = value
    if y.node is not None:
        y.node[index] = 0 if tangent is None else tangent
    return True


def _write_mapped(y: Any, index: Any, v: Any) -> bool:
    """Write into all examples of a batch in place, likewise."""
    if type(y) is not BatchTracer or y._view is not None or has_views(y) or is_number(y):
        return False
    mapped = type(v) is BatchTracer and v._trace is y._trace
    value, index = v.value if mapped else v, batched_index(index)
    if mapped:
        width = y.value[index].ndim - 1
        if value.ndim != width + 1:
            value = value.reshape((len(value), *_padded(value.shape[1:], width)))
    if not _takes(y.value, value) or not _is_free(sys.getrefcount(y.value), y.value):
        return False
    y.value[index] = value
    y.node = None  # what was known of the entries
    return True


def _written_in_place(y: Any, index: Any, v: Any) -> bool:
    return _write_on_tape(y, index, v) or _write_forward(y, index, v) or _write_mapped(y, index, v)


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
    elif not is_basic(index) or not _written_in_place(y, index, value):
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
