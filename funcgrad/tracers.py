"""What a tracer is to NumPy and to the user: an array, as far as that can be.

NumPy's protocols, the operators, attributes and methods of an array; and what would cut the gradient
without a word, which raises. Read next: `backward.py`.
"""

import functools
import operator
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from funcgrad.core import (
    CREATORS,
    HANDLERS,
    HOOKS,
    METHOD_HANDLERS,
    Tracer,
    dotted_name,
    is_foreign,
    is_number,
    refuse_foreign,
    unsupported,
)
from funcgrad.errors import TracerConversionError, UnsupportedAttributeError, fail
from funcgrad.mirrors import mirror_in_use
from funcgrad.operators import (
    NOT_GIVEN,
    PLAIN,
    binary_operator,
    call_ufunc,
    defers,
    equality_operator,
    inplace_operator,
    into_out,
    is_of_polynomials,
    operand,
    reflected_operator,
    replace,
    unary_operator,
)


def _given(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a function without those that NumPy's own functions leave to the default."""
    for value in kwargs.values():
        if value is NOT_GIVEN:
            return {name: x for name, x in kwargs.items() if x is not NOT_GIVEN}
    return kwargs


def _without_objects(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of a function, arrays of objects as traced arrays."""
    for x in args:
        if type(x) is np.ndarray and x.dtype.hasobject:
            return tuple([operand(x) for x in args])
    return args


class ArrayTracer(Tracer):
    """A tracer with NumPy's operators, attributes and methods."""

    __slots__ = ()
    __array_priority__ = 1000.0
    __pandas_priority__ = 5000  # above a DataFrame's: `series * t` is left to us
    __hash__ = None  # type: ignore[assignment]  # == is elementwise, as for arrays

    # How NumPy reaches us.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__":
            return call_ufunc(ufunc, inputs, kwargs)
        if method == "at":
            return HANDLERS["at"](ufunc, *inputs)
        handler = METHOD_HANDLERS.get((ufunc, method))
        if handler is None:
            unsupported(f"{dotted_name(ufunc)}.{method}")
        out = kwargs.get("out", (None,))[0]
        if isinstance(out, Tracer):
            return into_out(out, handler, inputs, kwargs)
        return handler(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        handler = HANDLERS.get(func)
        if handler is None:
            creator = CREATORS.get(func)
            if creator is None:
                unsupported(dotted_name(func))
            return creator(self, *args, **kwargs)
        for kind in types:
            if kind is np.ndarray:
                args = _without_objects(args)
            elif kind is not type(self) and is_foreign(kind):
                refuse_foreign(kind)
        while args and args[-1] is NOT_GIVEN:
            args = args[:-1]
        if not kwargs:
            return handler(*args)
        kwargs = _given(kwargs)
        if isinstance(kwargs.get("out"), Tracer):
            return into_out(kwargs["out"], handler, args, kwargs)
        return handler(*args, **kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return HOOKS["namespace"](self)

    # What would cut the gradient without a word.

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        stand_in = HOOKS["stand in"](self, dtype, sys._getframe(1))
        if stand_in is not None:
            return stand_in
        # NumPy asks in the same way for an entry of a list and for the whole of np.asarray(t).
        caller = sys._getframe(1)
        module = str(caller.f_globals.get("__name__"))
        if module.startswith("numpy.testing"):
            return self._compared()
        if module.startswith("scipy.sparse") and caller.f_code.co_name == "_matmul_dispatch":
            return np.array(None)  # no array, says that: a sparse matrix leaves A @ t to us
        objects = dtype is None or np.dtype(dtype).hasobject
        if not objects and np.dtype(dtype).kind in "iu" and self.dtype.kind == "f":
            refuse_if_mirrored()
            self._refuse_integers()
        wanted = dtype is not None or _takes_objects(caller, self.ndim)
        if not objects or (self.shape and not wanted) or self.dtype.kind != "f":
            self._refuse_array()
        refuse_if_mirrored()
        if getattr(self._trace, "refused_index", None) == _instruction(caller):
            self._refuse_index()  # plain[t]: NumPy forgets what __index__ raised, and asks here
        return HOOKS["objects"](self, wanted)

    def _compared(self) -> Any:
        """Return the plain values for an assertion of np.testing: like any comparison it has no derivative."""
        self._trace.check_running(self)
        return self.value._compared() if isinstance(self.value, Tracer) else np.asarray(self.value)

    def _refuse_array(self) -> NoReturn:
        refuse_if_mirrored()
        raise fail(
            TracerConversionError,
            f"a traced array ({self.shape}, {self.dtype}) would become a plain one here, "
            "and its gradient would be lost.",
            "np.stack([...]) (or np.array([...], like=t) with a traced t) for a list of traced values, "
            "x or x.copy() in place of np.asarray(x) or np.array(x), np.zeros_like(x) in place of np.zeros, "
            "an np. function in place of one that converts; stop_gradient(x) if it is meant as a constant",
        )

    def _refuse_integers(self) -> NoReturn:
        raise fail(
            TracerConversionError,
            f"a traced array ({self.shape}, {self.dtype}) would become one of integers here.",
            "x.astype(int), or np.floor and the like, whose derivative is zero, in place of np.array(x, int)",
        )

    def __dlpack__(self, **_: Any) -> NoReturn:
        self._refuse_array()

    __dlpack_device__ = __dlpack__

    def __float__(self) -> NoReturn:
        _refuse_scalar("float", self)

    def __complex__(self) -> NoReturn:
        _refuse_scalar("complex", self)

    def __index__(self) -> int:
        self._trace.refused_index = _instruction(sys._getframe(1))
        return int(self._refuse_index())

    def _refuse_index(self) -> NoReturn:
        raise fail(
            TracerConversionError,
            f"a traced value of dtype {self.dtype} cannot be an index or a count.",
            "convert it: int(x) has derivative zero",
        )

    # What has no derivative: the plain result.

    def __bool__(self) -> bool:
        self._trace.check_running(self)
        return bool(self.value)

    def __int__(self) -> int:
        self._trace.check_running(self)
        return int(self.value)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return int(self.shape[0])

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    def __reduce__(self) -> NoReturn:
        raise fail(
            TracerConversionError,
            "a traced value cannot be pickled.",
            "return it from the differentiated function, or pickle stop_gradient(x)",
        )

    def __copy__(self) -> Any:
        return self.copy("K")

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy("K")

    def __iter__(self) -> Any:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))  # one by one: a write may come in between

    def __contains__(self, x: Any) -> bool:
        return bool(np.any(self == x))

    def __getitem__(self, index: Any) -> Any:
        return HANDLERS["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        HANDLERS["setitem"](self, index, value)

    # Operators.

    __add__ = binary_operator(np.add)
    __radd__ = reflected_operator(np.add)
    __sub__ = binary_operator(np.subtract)
    __rsub__ = reflected_operator(np.subtract)
    __mul__ = binary_operator(np.multiply)
    __rmul__ = reflected_operator(np.multiply)
    __truediv__ = binary_operator(np.divide)
    __rtruediv__ = reflected_operator(np.divide)
    __and__ = binary_operator(np.bitwise_and)
    __rand__ = reflected_operator(np.bitwise_and)
    __or__ = binary_operator(np.bitwise_or)
    __ror__ = reflected_operator(np.bitwise_or)
    __xor__ = binary_operator(np.bitwise_xor)
    __rxor__ = reflected_operator(np.bitwise_xor)
    __lshift__ = binary_operator(np.left_shift)
    __rlshift__ = reflected_operator(np.left_shift)
    __rshift__ = binary_operator(np.right_shift)
    __rrshift__ = reflected_operator(np.right_shift)
    __invert__ = unary_operator(np.invert)
    __matmul__ = binary_operator(np.matmul)
    __rmatmul__ = reflected_operator(np.matmul)
    __mod__ = binary_operator(np.remainder)
    __rmod__ = reflected_operator(np.remainder)
    __floordiv__ = binary_operator(np.floor_divide)
    __rfloordiv__ = reflected_operator(np.floor_divide)
    __divmod__ = binary_operator(np.divmod)
    __rdivmod__ = reflected_operator(np.divmod)
    __lt__ = binary_operator(np.less)
    __le__ = binary_operator(np.less_equal)
    __gt__ = binary_operator(np.greater)
    __ge__ = binary_operator(np.greater_equal)
    __eq__ = equality_operator(np.equal)
    __ne__ = equality_operator(np.not_equal)
    __neg__ = unary_operator(np.negative)
    __pos__ = unary_operator(np.positive)
    __abs__ = unary_operator(np.absolute)

    def __floor__(self) -> int:
        return int(np.floor(self))

    def __ceil__(self) -> int:
        return int(np.ceil(self))

    def __trunc__(self) -> int:
        return int(self)

    def __pow__(self, other: Any) -> Any:
        if type(other) not in PLAIN and defers(self, other):
            return NotImplemented
        return HANDLERS["pow"](
            self, operand(other)
        )  # squares and roots as NumPy's operator has them

    def __rpow__(self, other: Any) -> Any:
        if type(other) not in PLAIN and defers(self, other):
            return NotImplemented
        return HANDLERS["pow"](operand(other), self)

    def __round__(self, ndigits: int | None = None) -> Any:
        if ndigits is None and not self.shape:
            return int(np.rint(self))
        return HANDLERS[np.round](self, ndigits or 0)

    # In-place operators: an array changes for all its names, a scalar is rebound.

    __iadd__ = inplace_operator(np.add)
    __isub__ = inplace_operator(np.subtract)
    __imul__ = inplace_operator(np.multiply)
    __itruediv__ = inplace_operator(np.divide)
    __ipow__ = inplace_operator(np.power)
    __imatmul__ = inplace_operator(np.matmul)
    __imod__ = inplace_operator(np.remainder)
    __ifloordiv__ = inplace_operator(np.floor_divide)

    # Attributes of an array.

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return self.value.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        return self.value.size  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def T(self) -> Any:
        return HANDLERS[np.transpose](self)

    @property
    def mT(self) -> Any:
        return HANDLERS[np.matrix_transpose](self)

    @property
    def real(self) -> Any:
        return HANDLERS[np.real](self)

    @real.setter
    def real(self, values: Any) -> None:
        HANDLERS[np.real](self)[...] = values

    @property
    def imag(self) -> Any:
        return HANDLERS[np.imag](self)

    @imag.setter
    def imag(self, values: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        HANDLERS[np.imag](self)[...] = values

    @property
    def flat(self) -> Any:
        return Flat(self)

    @flat.setter
    def flat(self, values: Any) -> None:
        HOOKS["write_flat"](self, slice(None), values)

    # Methods of an array that are not just a function with the same arguments.

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> Any:
        shape = shape[0] if len(shape) == 1 else shape
        return HANDLERS[np.reshape](self, shape, order=order, copy=copy)

    def transpose(self, *axes: Any) -> Any:
        if not axes or axes == (None,):
            return HANDLERS[np.transpose](self)
        return HANDLERS[np.transpose](self, axes[0] if len(axes) == 1 else axes)

    def astype(
        self,
        dtype: Any,
        order: Any = "K",
        casting: Any = "unsafe",
        subok: Any = True,
        copy: Any = True,
    ) -> Any:
        if subok is not True:
            unsupported("ndarray.astype with subok=", "leave the option out")
        return HANDLERS["astype"](self, np.dtype(dtype), casting, order, copy)

    def item(self, *args: Any) -> Any:
        if len(args) == 1 and not isinstance(args[0], tuple):
            return self.reshape(-1)[operator.index(args[0])]
        if args:
            return self[args if len(args) > 1 else args[0]]
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.reshape(())

    def tolist(self) -> Any:
        return [x.tolist() for x in self] if self.shape else self

    def copy(self, order: str = "C") -> Any:
        if is_number(self):  # np.copy makes an array of a number; its method does not
            return HANDLERS[np.positive](self)
        return HANDLERS[np.copy](self, order)

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(
        self, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
    ) -> None:
        replace(self, HANDLERS[np.sort](self, axis, kind, order, stable=stable))

    def partition(
        self, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
    ) -> None:
        replace(self, HANDLERS[np.partition](self, kth, axis, kind, order))

    def view(self, dtype: Any = None, type: Any = None) -> Any:  # noqa: A002  # NumPy's name
        if type not in (None, np.ndarray) or dtype not in (None, np.ndarray, self.dtype):
            unsupported(
                "ndarray.view with another dtype or type", "convert the values: x.astype(dtype)"
            )
        return self[...]

    def getfield(self, dtype: Any, offset: int = 0) -> Any:
        if offset != 0 or dtype != self.dtype:
            unsupported(
                "ndarray.getfield of a part of the bits", "use x.real, x.imag or x.astype(dtype)"
            )
        return self[...]

    def resize(self, *shape: Any, refcheck: bool = True) -> NoReturn:
        unsupported(
            "ndarray.resize in place",
            "np.resize(x, shape) gives a new array; to make room, write into np.zeros(shape, like=x)",
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # a protocol that NumPy, copy or pickle looks for
            raise AttributeError(name)
        if hasattr(type(self), name):  # C code that goes on after an error makes Python miss it
            return object.__getattribute__(self, name)
        known = hasattr(np.ndarray, name)
        ufunc = None if self.shape else getattr(np, name, None)
        if isinstance(ufunc, np.ufunc):  # np.sin of an array of objects calls the sin of each
            return functools.partial(ufunc, self)
        raise fail(
            UnsupportedAttributeError,
            f"a traced array has no attribute {name!r}" + (" (an ndarray has)." if known else "."),
            f"use the function in place of the method: np.{name}(x)"
            if hasattr(np, name)
            else "use an np. function, or stop_gradient(x) for the plain array",
        )


def refuse_if_mirrored() -> None:
    """Raise if it is a function of SciPy's that converts, one that funcgrad.scipy has a mirror of."""
    mirror = mirror_in_use()
    if mirror is not None:
        raise fail(
            TracerConversionError,
            "a function of SciPy's would make a traced array a plain one, and its gradient would be lost.",
            f"call {mirror}, which takes the same arguments",
        )


def _takes_objects(frame: types.FrameType, ndim: int) -> bool:
    """Tell whether it is code of NumPy's that does the same with objects as with numbers."""
    if is_of_polynomials(frame):
        return ndim <= 1  # coefficients; with tables of them it asks `isinstance(x, np.ndarray)`
    name = frame.f_code.co_qualname
    module = str(frame.f_globals.get("__name__"))
    return module.startswith("numpy.lib") and name.startswith(("vectorize.", "ndenumerate."))


def _instruction(frame: types.FrameType) -> tuple[types.CodeType, int]:
    return frame.f_code, frame.f_lasti


def _refuse_scalar(kind: str, tracer: Tracer) -> NoReturn:
    tracer._trace.check_running(tracer)
    refuse_if_mirrored()
    raise fail(
        TracerConversionError,
        f"{kind}() of a traced value ({tracer.shape}, {tracer.dtype}) would lose its gradient.",
        "use np.sin in place of math.sin and the like, write into np.zeros_like(x) or use np.stack "
        "in place of plain[i] = t, f'{x:.3f}' in place of '%.3f' % x, or stop_gradient(x) if it is meant "
        "as a constant",
    )


class Flat:
    """What `t.flat` is: the entries in a row, to read and to write."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.index = 0  # of the next entry

    def __len__(self) -> int:
        return int(self.tracer.size)

    def __getitem__(self, index: Any) -> Any:
        entries = self.tracer.reshape(-1)[index]
        return HANDLERS[np.copy](entries) if entries.shape else entries  # no view, for NumPy too

    def __next__(self) -> Any:
        if self.index == self.tracer.size:
            raise StopIteration
        self.index += 1
        return self.tracer.reshape(-1)[self.index - 1]

    def __setitem__(self, index: Any, value: Any) -> None:
        HOOKS["write_flat"](self.tracer, index, value)

    def __iter__(self) -> "Flat":
        return self


def _method(name: str) -> Callable[..., Any]:
    """Make the ndarray method that calls the np. function of the same name."""
    fun = getattr(np, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        handler = HANDLERS.get(fun)
        if handler is None:
            unsupported(f"ndarray.{name}")
        if isinstance(kwargs.get("out"), Tracer):
            return into_out(kwargs["out"], handler, (self, *args), kwargs)
        return handler(self, *args, **kwargs)

    method.__name__ = name
    return method


for _name in [
    *["all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "clip"],
    *["cumprod", "cumsum", "diagonal", "dot", "max", "mean", "min"],
    *["nonzero", "prod", "put", "ravel", "repeat", "round", "searchsorted", "squeeze", "std"],
    *["sum", "swapaxes", "take", "trace", "var"],
]:
    setattr(ArrayTracer, _name, _method(_name))


def _compress(self: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
    return HANDLERS[np.compress](condition, self, axis, out)  # the method's array comes first


ArrayTracer.compress = _compress  # type: ignore[attr-defined]


def _conjugate(self: Any, out: Any = None) -> Any:
    if out is None and self.dtype.kind != "c":
        return self  # the array itself, which the function copies
    return call_ufunc(np.conjugate, (self,), {} if out is None else {"out": (out,)})


Tracer.conj = Tracer.conjugate = _conjugate  # type: ignore[attr-defined]


def _flatten(self: Any, order: str = "C") -> Any:
    return HANDLERS[np.copy](HANDLERS[np.ravel](self, order))


ArrayTracer.flatten = _flatten  # type: ignore[attr-defined]
