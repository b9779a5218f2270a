"""Writes into traced arrays: a tracer is a handle whose value can be replaced, and views follow.

    y = np.zeros_like(x); row = y[0]; y[0, 1] = x[2]          row sees the write, as in NumPy

What a transform records is never changed: a write makes a new value, and the handle takes it over. A handle made as
a view (a slice, a transpose, a reshape without a copy) remembers its base and how it was made. A write to a view
writes its base; a write to a base makes its views anew.
"""

import weakref
from typing import Any

import numpy as np

from funcgrad.errors import AliasedUpdateError, fail

_PRUNE = 64  # views of one base that may be dead before the list is cleaned


def register_view(base: Any, view: Any, primitive: Any, settings: Any) -> None:
    """Note that `view` shares the memory of `base`."""
    view._view = (base, primitive, settings)
    views = base._views
    if views is None:
        base._views = [weakref.ref(view)]
        return
    if len(views) >= _PRUNE and not len(views) & (len(views) - 1):
        views[:] = [ref for ref in views if ref() is not None]
    views.append(weakref.ref(view))


def base_of(handle: Any) -> Any:
    """Return the handle whose memory a handle shares, which is no view."""
    while getattr(handle, "_view", None) is not None:
        handle = handle._view[0]
    return handle


def write(handle: Any, new: Any) -> None:
    """Replace the value of a handle, and of all that share its memory."""
    if handle._view is None:
        old, value = handle.value, new.value
        plain = type(old) is type(value) is np.ndarray
        if not (plain and old.strides == value.strides):
            new = _laid_out_like(handle, new)
        assign(handle, new)
        refresh(handle)
        return
    base, primitive, settings = handle._view
    write(base, primitive.unview(base, new, settings))


def _laid_out_like(handle: Any, new: Any) -> Any:
    """Return `new` with its axes in memory in the order of the handle's: it decides which reshapes are views."""
    ndim = handle.ndim
    if not ndim:
        return new
    old, strides = [_plain(x).strides[-ndim:] for x in (handle, new)]
    if old == strides:
        return new
    axes = sorted(range(ndim), key=lambda i: -old[i])  # the slowest first
    back = sorted(range(ndim), key=lambda i: axes[i])
    return np.transpose(np.copy(np.transpose(new, axes), order="C"), back)


def _plain(x: Any) -> Any:
    while hasattr(x, "_trace"):
        x = x.value
    return x


def refresh(handle: Any) -> None:
    """Make the views of a handle anew."""
    for ref in handle._views or ():
        view = ref()
        if view is not None:
            _, primitive, settings = view._view
            assign(view, primitive(handle, **settings))
            refresh(view)


def assign(handle: Any, new: Any) -> None:
    """Let a handle stand for what another one stands for; its views and its base stay."""
    handle.__class__ = new.__class__
    handle._trace, handle.value, handle.node = new._trace, new.value, new.node


class _Held:
    """Stands among the views of a handle that an array of objects holds, as if it were a reference to one."""

    def __call__(self) -> "_Held":
        return self

    @property
    def _view(self) -> Any:
        raise fail(
            AliasedUpdateError,
            "a traced array of no dimensions was written into after an array of objects had taken it as an "
            "entry; in NumPy the entry is a copy.",
            "put a copy into the list: np.array([y.copy(), ...]), or use np.stack([...])",
        )


def hold(handle: Any) -> None:
    """Let later writes to a handle raise: an array of objects holds the handle itself."""
    handle._views = [*(handle._views or ()), _Held()]


def has_views(handle: Any) -> bool:
    """Tell whether a view of the handle is alive."""
    return any([ref() is not None for ref in handle._views or ()])


def snapshot(handle: Any) -> Any:
    """Return a handle of its own on the present value: later writes to `handle` do not reach it."""
    copy = object.__new__(type(handle))
    copy._trace, copy.value, copy.node = handle._trace, handle.value, handle.node
    copy._view = copy._views = None
    return copy
