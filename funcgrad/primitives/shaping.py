"""Shapes: reshaping, moving and repeating axes, joining and splitting."""

import functools
import itertools
import math
import operator
from typing import Any

import numpy as np

from funcgrad.broadcasting import unbroadcast
from funcgrad.core import (
    HANDLERS,
    Primitive,
    as_array,
    existing,
    handle,
    is_traced,
    plain_array,
    unsupported,
)
from funcgrad.primitives.axes import (
    along,
    example,
    in_rows,
    joined_rows,
    listed_axes,
    normalize_axes,
    normalize_axis,
    outside,
    read_only,
    reduced_axes,
)
from funcgrad.primitives.families import linear, register

# --- the primitives ------------------------------------------------------------------------------

_reshape = linear(
    "reshape",
    lambda x, shape: x.reshape(shape),
    transpose=lambda ct, x_shape: ct.reshape(x_shape),
    batch=lambda x, shape: x.reshape((len(x), *shape)),
)


def _inverse(axes: Any) -> Any:
    inverse = [0] * len(axes)
    for i, axis in enumerate(axes):
        inverse[axis] = i
    return tuple(inverse)


_transpose = linear(
    "transpose",
    lambda x, axes: x.transpose(axes),
    transpose=lambda ct, axes: ct.transpose(_inverse(axes)),
    batch=lambda x, axes: x.transpose((0, *[i + 1 for i in axes])),
)


def _batch_broadcast(x: Any, shape: Any) -> Any:
    missing = len(shape) - x.ndim + 1
    x = x.reshape((len(x),) + (1,) * missing + x.shape[1:])
    return np.broadcast_to(x, (len(x), *shape))


_reshape.unview = lambda base, new, settings: new.reshape(base.shape)
_transpose.unview = lambda base, new, settings: new.transpose(_inverse(settings["axes"]))

_broadcast_to = linear(
    "broadcast_to",
    np.broadcast_to,
    transpose=lambda ct, x_shape: unbroadcast(ct, x_shape),
    batch=_batch_broadcast,
)
_flip = linear(
    "flip",
    np.flip,
    transpose=lambda ct, axis: np.flip(ct, axis),
    batch=lambda x, axis: np.flip(x, outside(axis)),
)
_flip.unview = lambda base, new, settings: np.flip(new, settings["axis"])
_broadcast_to.unview = lambda base, new, settings: read_only()


def _batch_roll(x: Any, shift: Any, axis: Any) -> Any:
    if axis is None:
        return np.roll(x.reshape((len(x), math.prod(x.shape[1:]))), shift, 1).reshape(x.shape)
    return np.roll(x, shift, outside(axis))


def _rolled_back(ct: Any, shift: Any, axis: Any) -> Any:
    return np.roll(ct, -shift if axis is None else tuple([-s for s in shift]), axis)


_roll = linear("roll", np.roll, transpose=_rolled_back, batch=_batch_roll)


def _repeats_summed(ct: Any, x_shape: Any, times: int, axis: int) -> Any:
    return ct.reshape((*x_shape[: axis + 1], times, *x_shape[axis + 1 :])).sum(axis + 1)


_repeat = linear(
    "repeat",
    lambda x, times, axis: np.repeat(x, times, axis),
    transpose=_repeats_summed,
    batch=lambda x, times, axis: np.repeat(x, times, axis + 1),
)


def _tiles_summed(ct: Any, x_shape: Any, reps: Any) -> Any:
    ndim = len(reps)
    lengths = (1,) * (ndim - len(x_shape)) + x_shape
    pairs = [n for pair in zip(reps, lengths, strict=True) for n in pair]
    return ct.reshape(pairs).sum(tuple(range(0, 2 * ndim, 2))).reshape(x_shape)


def _batch_tile(x: Any, reps: Any) -> Any:
    x = x.reshape((len(x),) + (1,) * (len(reps) + 1 - x.ndim) + x.shape[1:])
    return np.tile(x, (1, *reps))


_tile = linear("tile", np.tile, transpose=_tiles_summed, batch=_batch_tile)


class _Join(Primitive):
    """Concatenate: linear in any number of arrays; each takes back its slice of the cotangent."""

    __slots__ = ()

    def pull(self, i: int, args: tuple[Any, ...]) -> tuple[Any, Any]:
        return _take_slice, _keep_slice(i)

    def push(self, i: int) -> Any:
        def push(t: Any, ans: Any, args: tuple[Any, ...], settings: Any) -> Any:
            parts = [t if j == i else np.zeros(x.shape, t.dtype) for j, x in enumerate(args)]
            return self(*parts, **settings)

        return push

    def push_all(self, tangents: list[Any], ans: Any, args: Any, settings: Any) -> Any:
        """Join the tangents of all arguments: one by one they would cost the square of their number."""
        parts = [
            np.zeros(x.shape, ans.dtype) if t is None else t
            for t, x in zip(tangents, args, strict=True)
        ]
        return self(*parts, **settings)


@functools.cache
def _keep_slice(i: int) -> Any:
    """Return what tells where argument `i` stands along the axis."""

    def keep(ans: Any, args: Any, settings: Any) -> Any:
        axis, ends = settings["axis"], settings["ends"]
        start = ends[i - 1] if i else 0
        return (slice(None),) * axis + (slice(start, ends[i]),)

    keep.args, keep.settings = (), ()  # type: ignore[attr-defined]
    return keep


def _take_slice(ct: Any, index: Any) -> Any:
    return ct[index]


_concatenate = register(
    _Join("concatenate", lambda *xs, axis, ends: np.concatenate(xs, axis), ("*xs",))
)


def _batch_concatenate(args: Any, mapped: Any, settings: Any) -> Any:
    n = len(args[mapped.index(True)])
    xs = [x if m else np.broadcast_to(x, (n, *x.shape)) for x, m in zip(args, mapped, strict=True)]
    return np.concatenate(xs, settings["axis"] + 1)


class _Stack(_Join):
    """Stack: the same along a new axis."""

    __slots__ = ()

    def pull(self, i: int, args: tuple[Any, ...]) -> tuple[Any, Any]:
        return _take_slice, _keep_place(i)


@functools.cache
def _keep_place(i: int) -> Any:
    """Return what tells where argument `i` stands along the new axis."""

    def keep(ans: Any, args: Any, settings: Any) -> Any:
        return (*(slice(None),) * settings["axis"], i)

    keep.args, keep.settings = (), ()  # type: ignore[attr-defined]
    return keep


class _Chain(_Join):
    """Concatenate the flat arrays."""

    __slots__ = ()

    def pull(self, i: int, args: tuple[Any, ...]) -> tuple[Any, Any]:
        return _take_part, _keep_part(i)


@functools.cache
def _keep_part(i: int) -> Any:
    """Return what tells where the entries of argument `i` stand."""

    def keep(ans: Any, args: Any, settings: Any) -> Any:
        ends = settings["ends"]
        return slice(ends[i - 1] if i else 0, ends[i]), args[i].shape

    keep.args, keep.settings = (), ()  # type: ignore[attr-defined]
    return keep


def _take_part(ct: Any, kept: Any) -> Any:
    places, shape = kept
    return ct[places].reshape(shape)


_chain = register(_Chain("chain", lambda *xs, ends: np.concatenate(xs, None), ("*xs",)))
_chain.pulls = (_take_part,)
_stack = register(_Stack("stack", lambda *xs, axis: np.stack(xs, axis), ("*xs",)))


def _batch_stack(args: Any, mapped: Any, settings: Any) -> Any:
    n = len(args[mapped.index(True)])
    xs = [
        x if m else np.broadcast_to(x, (n, *np.shape(x))) for x, m in zip(args, mapped, strict=True)
    ]
    return np.stack(xs, settings["axis"] + 1)


def _batch_chain(args: Any, mapped: Any, settings: Any) -> Any:
    return joined_rows(args, mapped)


_chain.batch = _batch_chain
_stack.pulls = (_take_slice,)
_stack.batch = _batch_stack
_concatenate.pulls = (_take_slice,)
_concatenate.batch = _batch_concatenate

# --- one array -----------------------------------------------------------------------------------


@handle(np.reshape)
def reshape(a: Any, /, shape: Any, order: Any = "C", *, copy: Any = None) -> Any:
    """Give an array a new shape."""
    a = as_array(a)
    shape = _full_shape(a, shape)
    if order == "C" and copy is None:  # the usual case
        return _reshape(a, shape=shape)
    if order == "A":
        order = memory_order(a)
    if order not in ("C", "F"):
        raise ValueError(f"order must be one of 'C', 'F' or 'A' (got {order!r})")
    plain = example(a)
    if copy is False and plain.shape == a.shape:  # which it is not under vmap of no examples
        plain.reshape(shape, order=order, copy=False)  # raises where NumPy cannot do without
    if copy:
        a = HANDLERS[np.copy](a, order)
    if order == "F":
        return a.T.reshape(shape[::-1]).T
    return _reshape(a, shape=shape)


def memory_order(a: Any) -> str:
    """Return the order in which NumPy reads the array for order="A"."""
    flags = example(a).flags
    return "F" if flags.f_contiguous and not flags.c_contiguous else "C"


def _by_strides(a: Any) -> Any:
    """Return the array with its axes in the order of memory, the slowest first."""
    strides = example(a).strides
    return np.transpose(a, sorted(range(a.ndim), key=lambda i: -abs(strides[i])))


def _full_shape(a: Any, shape: Any) -> Any:
    """Return `shape` with -1 worked out, so that it can be applied under vmap."""
    if type(shape) is int:
        return (a.size if shape == -1 else shape,)
    if type(shape) is tuple:
        for n in shape:  # a loop, not all(): half the time
            if type(n) is not int or n < 0:
                break
        else:
            return shape
    many = isinstance(shape, (tuple, list)) or np.ndim(shape) == 1
    shape = tuple([operator.index(n) for n in shape]) if many else (operator.index(shape),)
    if -1 not in shape:
        return shape
    known = 1
    for n in shape:
        known *= n if n != -1 else 1
    if shape.count(-1) > 1 or not known or a.size % known:
        return np.empty(a.shape, np.bool_).reshape(shape).shape  # NumPy's own answer or error
    return tuple([a.size // known if n == -1 else n for n in shape])


@handle(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """Return a flat array."""
    a = as_array(a)
    flags = example(a).flags
    if order == "C" and flags.c_contiguous:
        return _reshape(a, shape=(a.size,))
    if order == "K" and not (flags.c_contiguous or flags.f_contiguous):
        return np.copy(_by_strides(a).reshape(-1))
    order = memory_order(a) if order in ("A", "K") else order
    flat = a.reshape(-1, order=order)
    contiguous = flags.f_contiguous if order == "F" else flags.c_contiguous
    return flat if contiguous else np.copy(flat)  # a copy, for NumPy too


@handle(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Any:
    """Permute the axes."""
    a = as_array(a)
    if axes is None:
        return _transpose(a, axes=tuple(range(a.ndim - 1, -1, -1)))
    axes = normalize_axes(tuple(axes), a.ndim)
    if len(axes) != a.ndim:
        raise ValueError("axes don't match array")
    return _transpose(a, axes=axes)


@handle(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """Swap the last two axes."""
    if x.ndim < 2:
        raise ValueError(f"matrix transpose with ndim < 2 is undefined, but x.ndim is {x.ndim}")
    return swapaxes(x, -1, -2)


@handle(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Swap two axes."""
    a = as_array(a)
    i, j = normalize_axis(axis1, a.ndim), normalize_axis(axis2, a.ndim)
    axes = list(range(a.ndim))
    axes[i], axes[j] = j, i
    return _transpose(a, axes=tuple(axes))


@handle(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Move axes to other positions; the rest keeps its order."""
    a = as_array(a)
    sources, destinations = [listed_axes(x, a.ndim) for x in (source, destination)]
    if len(sources) != len(destinations):
        raise ValueError(
            "`source` and `destination` arguments must have the same number of elements"
        )
    axes = [i for i in range(a.ndim) if i not in sources]
    for place, axis in sorted(zip(destinations, sources, strict=True)):
        axes.insert(place, axis)
    return _transpose(a, axes=tuple(axes))


@handle(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """Roll an axis back to lie before `start`."""
    i = normalize_axis(axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    return moveaxis(a, i, start - 1 if i < start else start)


@handle(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """Insert axes of length one."""
    a = as_array(a)
    new = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = a.ndim + len(new)
    axes = normalize_axes(tuple(new), ndim)
    rest = iter(a.shape)
    return _reshape(a, shape=tuple([1 if i in axes else next(rest) for i in range(ndim)]))


@handle(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """Remove axes of length one."""
    a = as_array(a)
    if axis is None:
        return _reshape(a, shape=tuple([n for n in a.shape if n != 1]))
    axes = reduced_axes(axis, a.ndim)
    if any(a.shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return _reshape(a, shape=tuple([n for i, n in enumerate(a.shape) if i not in axes]))


def _at_least(ndim: int, place: Any) -> Any:
    def at_least(*arys: Any) -> Any:
        results = [x if x.ndim >= ndim else x.reshape(place(x.shape)) for x in map(as_array, arys)]
        return results[0] if len(results) == 1 else tuple(results)

    return at_least


handle(np.atleast_1d)(_at_least(1, lambda shape: (1,)))
handle(np.atleast_2d)(_at_least(2, lambda shape: (1, *(shape or (1,)))))
handle(np.atleast_3d)(
    _at_least(3, lambda shape: (1, *(shape or (1,)), 1) if len(shape) < 2 else (*shape, 1))
)

# --- repeating -----------------------------------------------------------------------------------


@handle(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """Repeat along new axes and axes of length one."""
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (int(shape),)
    return _broadcast_to(as_array(array), shape=shape)


@handle(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    """Broadcast arrays against each other."""
    arrays = [as_array(x) for x in args]
    shape = np.broadcast_shapes(*[x.shape for x in arrays])
    return tuple([x if x.shape == shape else broadcast_to(x, shape) for x in arrays])


@handle(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Repeat each entry along an axis."""
    a, axis = along(as_array(a), axis)
    counts = plain_array(repeats)
    if counts.size != 1:
        return in_rows(a[(*(slice(None),) * axis, np.repeat(np.arange(a.shape[axis]), counts))])
    return _repeat(a, times=int(counts.reshape(())), axis=axis)


@handle(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """Repeat an array as a whole along its axes."""
    a = as_array(A)
    reps = tuple(reps) if isinstance(reps, (tuple, list, np.ndarray)) else (reps,)
    return _tile(a, reps=(1,) * (a.ndim - len(reps)) + tuple([int(r) for r in reps]))


@handle(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """Reverse the order along axes."""
    m = as_array(m)
    return _flip(m, axis=listed_axes(axis, m.ndim))


handle(np.flipud)(lambda m: flip(m, 0))
handle(np.fliplr)(lambda m: flip(m, 1))


@handle(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Shift along axes, what leaves at one end comes in at the other."""
    a = as_array(a)
    if axis is None and np.ndim(shift) == 0:
        return _roll(a, shift=operator.index(shift), axis=None)
    if axis is None:
        return roll(a.reshape(-1), shift, 0).reshape(a.shape)
    if isinstance(shift, int) and isinstance(axis, int):  # broadcasting them takes 10 us
        return _roll(a, shift=(shift,), axis=(normalize_axis(axis, a.ndim),))
    shifts, axes = np.broadcast_arrays(shift, axis)
    return _roll(
        a,
        shift=tuple(np.ravel(shifts).tolist()),
        axis=tuple([normalize_axis(i, a.ndim) for i in np.ravel(axes).tolist()]),
    )


# --- joining -------------------------------------------------------------------------------------


def _listed(arrays: Any) -> list[Any]:
    return [as_array(x) for x in arrays]


def _join(join: Any, arrays: list[Any], where: Any, out: Any, dtype: Any, casting: Any) -> Any:
    if out is not None:
        unsupported(f"np.{join.name} with out=", "use the returned value")
    joined = join(*arrays, **where)
    if dtype is None:
        return joined
    for x in arrays:
        if not np.can_cast(x.dtype, dtype, casting):
            raise TypeError(
                f"Cannot cast array data from {x.dtype!r} to {np.dtype(dtype)!r} according to the rule "
                f"{casting!r}"
            )
    return joined.astype(dtype)


@handle(np.concatenate, np.concat)
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Join along an axis."""
    arrays = _listed(arrays)
    if axis is None:
        return _join(_chain, arrays, {"ends": _ends([x.size for x in arrays])}, out, dtype, casting)
    if not all([x.ndim for x in arrays]):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = normalize_axis(axis, arrays[0].ndim)
    where = {"axis": axis, "ends": _ends([x.shape[axis] for x in arrays])}
    return _join(_concatenate, arrays, where, out, dtype, casting)


def _ends(lengths: list[int]) -> tuple[int, ...]:
    """Return where each part ends: found once, and not for each part from the first on."""
    return tuple(itertools.accumulate(lengths))


@handle(np.stack)
def stack(
    arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Join along a new axis."""
    arrays = _listed(arrays)
    if len({x.shape for x in arrays}) != 1:
        raise ValueError("all input arrays must have the same shape")
    axis = normalize_axis(axis, arrays[0].ndim + 1)
    return _join(_stack, arrays, {"axis": axis}, out, dtype, casting)


@handle(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Join rows."""
    return concatenate([np.atleast_2d(x) for x in _listed(tup)], 0, dtype=dtype, casting=casting)


@handle(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Join along the second axis, or the only one."""
    arrays = [np.atleast_1d(x) for x in _listed(tup)]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1, dtype=dtype, casting=casting)


@handle(np.dstack)
def dstack(tup: Any) -> Any:
    """Join along the third axis."""
    arrays = _listed(tup)
    if arrays[0].ndim == 2 and len({x.shape for x in arrays}) == 1:
        return _stack(*arrays, axis=2)
    return concatenate([np.atleast_3d(x) for x in arrays], 2)


@handle(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Join 1-d arrays as columns."""
    return concatenate([x.reshape(-1, 1) if x.ndim < 2 else x for x in _listed(tup)], 1)


@handle(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """Join values at the end."""
    return concatenate([as_array(arr), as_array(values)], axis)


# --- splitting -----------------------------------------------------------------------------------


@handle(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Split into parts that need not be equal."""
    n = ary.shape[axis]
    axis = normalize_axis(axis, ary.ndim)
    if np.ndim(indices_or_sections):
        bounds = [0, *plain_array(indices_or_sections).tolist(), n]
    else:
        sections = int(indices_or_sections)
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        size, extra = divmod(n, sections)
        bounds = [i * size + (i if i < extra else extra) for i in range(sections + 1)]
    lead = (slice(None),) * axis
    return [ary[(*lead, slice(i, j))] for i, j in itertools.pairwise(bounds)]


@handle(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Split into equal parts, or at the given indices."""
    if not np.ndim(indices_or_sections) and ary.shape[axis] % int(indices_or_sections):
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


handle(np.vsplit)(lambda ary, indices_or_sections: split(ary, indices_or_sections, 0))
handle(np.hsplit)(
    lambda ary, indices_or_sections: split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0)
)
handle(np.dsplit)(lambda ary, indices_or_sections: split(ary, indices_or_sections, 2))


@handle(*existing("unstack"))
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    """Return the slices along an axis."""
    return tuple(moveaxis(x, axis, 0))


# --- shapes --------------------------------------------------------------------------------------

handle(np.shape)(lambda a: as_array(a).shape)
handle(np.ndim)(lambda a: as_array(a).ndim)


@handle(np.size)
def size(a: Any, axis: Any = None) -> int:
    """Count the entries."""
    a = as_array(a)
    n = 1
    for i in normalize_axes(axis, a.ndim):
        n *= a.shape[i]
    return n


handle(np.iscomplexobj)(lambda x: x.dtype.kind == "c")
handle(np.isrealobj)(lambda x: x.dtype.kind != "c")
handle(np.result_type)(
    lambda *args: np.result_type(*[x.dtype if is_traced(x) else x for x in args])
)
