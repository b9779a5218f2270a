"""Arrays of objects that hold traced numbers: what NumPy itself makes of `np.array([x[0], 1.0])`.

NumPy asks each entry of a list for an array (`__array__`). A traced number answers with an array of
no dimensions that holds the number itself, so the list becomes an array of objects. NumPy runs
arithmetic on it entry by entry, through our operators and methods. Where it meets a traced array, or
leaves the function, it becomes one traced array (`join`). A traced array of any shape answers so where
objects are asked for, as `np.vectorize` does, or are as good as numbers, as in `np.polynomial`.
"""

import types
import warnings
from typing import Any, NoReturn

import numpy as np

from funcgrad.core import HOOKS, Tracer, as_array, is_number, refuse_objects, unsupported
from funcgrad.errors import (
    PerformanceWarning,
    TracerConversionError,
    UnsupportedError,
    fail,
    user_frame,
)
from funcgrad.handles import hold

_FASTER = (
    "traced numbers became an array of objects, which NumPy handles entry by entry; np.stack([...]) or "
    "np.array([...], like=x) of a list with a traced x, or t * np.ones(n) in place of np.full(n, t), makes "
    "one traced array and is faster"
)
OBJECTS_FIX = (
    "np.array([...]) of traced numbers is an array of objects, with which NumPy cannot do everything; if "
    "that is so here, write np.stack([...]), or np.array([...], like=x) with a traced x"
)

_REAL = (int, float, np.bool_, np.integer, np.floating)


def as_objects(x: Tracer, deliberate: bool) -> Any:
    """Return an array of objects, of the same shape, that holds the numbers of a traced array.

    Unless the program asked for objects, a `PerformanceWarning` names its line (by default Python shows it
    once per line).
    """
    x._trace.check_running(x)
    x._trace.has_entries = True
    if not deliberate:
        _warn()
    if not x.shape and not is_number(x):
        hold(x)
    objects = np.empty(x.shape, object)
    for index in np.ndindex(x.shape):
        objects[index] = x[index] if index else x
    return objects


def of_objects(ufunc: np.ufunc, *args: Any) -> Any:
    """Call a ufunc of objects, such as np.frompyfunc makes, number by number."""
    result = ufunc(*[np.asarray(x, object) if isinstance(x, Tracer) else x for x in args])
    return tuple(joined(list(result))) if isinstance(result, tuple) else joined([result])[0]


def check_complex(x: Tracer) -> None:
    """Raise if a traced number that meets a complex one may be in an array of objects, whose `imag` is zero."""
    if not x.shape and x.dtype.kind == "f" and x._trace.has_entries:
        raise fail(
            UnsupportedError,
            "a complex number meets a traced number that may be an entry of an array of objects: NumPy takes "
            "all of its entries to be real.",
            "make that array with np.stack([...]), or np.array([...], like=x) with a traced x",
        )


def _warn() -> None:
    frame = user_frame()
    if frame is None:
        warnings.warn(_FASTER, PerformanceWarning, stacklevel=1)
        return
    warnings.warn_explicit(
        _FASTER,
        PerformanceWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )


class _StandIn(np.ndarray):
    """Stands for a traced array while np.r_ and np.c_ arrange what they join: its entries are places in it."""

    tracer: Any = None

    def __array_finalize__(self, other: Any) -> None:
        self.tracer = getattr(other, "tracer", None)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func is not np.concatenate:
            unsupported("np.r_ of traced arrays here", "use np.concatenate or np.column_stack")
        arrays, *rest = args
        return np.concatenate([_stood_for(x) for x in arrays], *rest, **kwargs)

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> NoReturn:
        unsupported("np.r_ of traced arrays here", "use np.concatenate or np.column_stack")


class _Itself(np.ndarray):
    """Stands for a traced array where NumPy makes sure that it has an array before it calculates."""

    tracer: Any = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        traced = [x.tracer if isinstance(x, _Itself) else x for x in inputs]
        return getattr(ufunc, method)(*traced, **kwargs)


def _itself(x: Tracer) -> Any:
    entries = np.empty(x.shape, object).view(_Itself)  # of None, no number to any arithmetic
    entries.tracer = x
    return entries


def _stood_for(x: Any) -> Any:
    """Return the traced array that a stand-in stands for, arranged like it; others as they are."""
    if isinstance(x, _StandIn):
        places = np.asarray(x).real.astype(np.intp)
        entries = x.tracer.reshape(-1)[places]
        return entries if x.dtype.hasobject else entries.astype(x.dtype)
    if x.dtype.hasobject and not holds_tracers(x):
        return np.array(x.tolist())
    return x


def stand_in(x: Tracer, dtype: Any, frame: types.FrameType) -> Any:
    """Return what stands for `x` if np.r_, np.c_ or a polynomial's domain asks for an array, or None."""
    module = frame.f_globals.get("__name__")
    if module == "numpy.polynomial.polyutils" and frame.f_code.co_name == "mapdomain":
        return _itself(x)
    if module != "numpy.lib._index_tricks_impl":
        return None
    if x is not frame.f_locals.get("item") and x is not frame.f_locals.get("obj"):
        return None  # an entry of a list
    x._trace.check_running(x)
    places = np.arange(x.size).reshape(x.shape)
    entries = places.astype(x.dtype).view(_StandIn)
    if not np.array_equal(np.asarray(entries).real, places):
        return None  # float16 has too few digits
    entries.tracer = x
    return entries if dtype is None else entries.astype(dtype)


def holds_tracers(x: Any) -> bool:
    """Tell whether `x` is an array of objects with a traced value in it."""
    return (
        isinstance(x, np.ndarray)
        and x.dtype.hasobject
        and any([isinstance(y, Tracer) or holds_tracers(y) for y in x.ravel()])
    )


def join(objects: Any) -> Any:
    """Return an array of objects, traced numbers and others, as one traced array.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import vmap
    >>> vmap(lambda x: join(np.array([x[1], 1.0], object)))(np.eye(2))
    array([[0., 1.],
           [1., 1.]])
    """
    if not holds_tracers(objects):
        numbers = as_numbers(objects)
        if numbers is None:
            refuse_objects()
        return numbers
    entries = [as_array(x) for x in objects.ravel()]
    if any([x.shape for x in entries]):
        raise fail(
            TracerConversionError,
            f"an array of objects, of shape {objects.shape}, holds traced arrays.",
            "join them into one array: np.stack([...]) or np.concatenate([...])",
        )
    return np.stack(entries).reshape(objects.shape)


def as_numbers(objects: Any) -> Any:
    """Return an array of objects that are all numbers as NumPy makes one of their list; else None.

    Which entries are traced may depend on values: `np.maximum(np.array([t, s]), 0.0)` has none if both
    are negative.

    Examples
    --------
    >>> import numpy as np
    >>> as_numbers(np.array([0.0, np.float64(2.0)], object))
    array([0., 2.])
    """
    if not all([isinstance(x, _REAL) for x in objects.ravel()]):
        return None
    numbers = np.array(objects.tolist())
    return None if numbers.dtype.hasobject else numbers  # an int may be too large


def joined(leaves: list[Any]) -> list[Any]:
    """Return the leaves of a pytree, with one traced array for each that is an array of objects with tracers."""
    return [join(x) if holds_tracers(x) else x for x in leaves]


def is_about_objects(error: Exception) -> bool:
    """Tell whether NumPy says that it cannot do something with an array of objects.

    Examples
    --------
    >>> import numpy as np
    >>> try:
    ...     np.sin(np.array([1.0], object))
    ... except TypeError as error:
    ...     is_about_objects(error)
    True
    """
    if isinstance(error, AttributeError):  # np.hypot of objects calls the hypot of a float
        number = isinstance(error.obj, (int, float, np.generic))
        return number and isinstance(getattr(np, error.name or "", None), np.ufunc)
    words = (
        "has no callable",
        "dtype('O')",
        "not supported for the input types",
        "of dtype object",
    )
    return isinstance(error, TypeError) and any([w in str(error) for w in words])


HOOKS["stand in"] = stand_in
HOOKS["objects"] = as_objects
HOOKS["of objects"] = of_objects
HOOKS["join"] = join
HOOKS["complex"] = check_complex
