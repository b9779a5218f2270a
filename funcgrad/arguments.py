"""What the transforms share: choosing arguments, tracing pytrees, checking what comes in and goes out.

A transform is an object: it looks like the function it came from (name, doc, signature), prints as
it was written and pickles when the function does.
"""

import functools
import inspect
import operator
import sys
import types
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.constants import is_frozen
from funcgrad.core import Tracer, is_foreign
from funcgrad.errors import (
    ArgumentError,
    FuncgradError,
    NonDifferentiableError,
    NonScalarOutputError,
    ShapeError,
    UnsupportedError,
    fail,
    line_of_traceback,
)
from funcgrad.handles import snapshot
from funcgrad.mirrors import mirror_of_traceback
from funcgrad.primitives.objects import (
    OBJECTS_FIX,
    as_numbers,
    holds_tracers,
    is_about_objects,
    join,
    joined,
)
from funcgrad.tracebacks import boundary

Key = int | str


class Transform:
    """A function made from a function; `options` are the settings it prints."""

    verb = "transform"

    def __init_subclass__(cls) -> None:
        """Make every transform a boundary at which tracebacks lose this package's frames."""
        if "__call__" in vars(cls):
            cls.__call__ = boundary(vars(cls)["__call__"])  # type: ignore[method-assign]

    def __init__(self, fun: Callable[..., Any], **options: Any) -> None:
        check_callable(self.verb, fun, f"{self.verb}(f)(x)")
        functools.update_wrapper(self, fun, updated=())
        self.fun = fun
        self.options = options

    def __repr__(self) -> str:
        options = "".join([f", {name}={value!r}" for name, value in self.options.items()])
        return f"{self.verb}({name_of(self.fun)}{options})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle by name what is found under its name, as a decorated function is."""
        found: Any = sys.modules.get(self.__module__)
        qualified_name = self.__dict__.get("__qualname__", "")
        for name in qualified_name.split("."):
            found = getattr(found, name, None)
        return qualified_name if found is self else super().__reduce_ex__(protocol)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def check_callable(verb: str, fun: Any, how: str) -> None:
    """Raise unless `fun` is a function; `how` is the call as it should read."""
    if not callable(fun):
        raise fail(
            ArgumentError,
            f"{verb} takes a function, not {describe(fun)}.",
            f"write {how}, where f is the function and x its argument",
        )


def check_chunk_size(transform: Transform, chunk_size: Any) -> None:
    """Raise unless a number of examples (rows, columns) at a time is None or a positive int."""
    if chunk_size is None:
        return
    if (
        not isinstance(chunk_size, (int, np.integer))
        or isinstance(chunk_size, bool)
        or chunk_size < 1
    ):
        raise fail(
            ArgumentError,
            f"chunk_size of {transform!r} must be an int of at least 1, not {describe(chunk_size)}.",
            "leave it out to take all at once, or pass chunk_size=100, say",
        )


def check_tuples(verb: str, fun: Any, primals: Any, tangents: Any) -> None:
    """Raise unless primals and tangents are tuples of one length."""
    check_callable(verb, fun, f"{verb}(f, (x,), (v,))")
    for what, x in (("primals", primals), ("tangents", tangents)):
        if not isinstance(x, (tuple, list)):
            raise fail(
                ArgumentError,
                f"{verb} of `{name_of(fun)}` takes a tuple of {what}, one per argument, not {describe(x)}.",
                f"write {verb}(f, (x,), (v,))",
            )
    if len(primals) != len(tangents):
        raise fail(
            ArgumentError,
            f"{verb} of `{name_of(fun)}` got {len(primals)} primals and {len(tangents)} tangents.",
            "pass one tangent per primal",
        )


class Derivative(Transform):
    """A transform with respect to some arguments: chosen by position, by name, or both."""

    def __init__(
        self, fun: Callable[..., Any], argnums: Any, argnames: Any, **options: Any
    ) -> None:
        shown = {} if argnames is None else {"argnames": argnames}
        if argnums is not None or argnames is None:
            shown = {"argnums": 0 if argnums is None else argnums, **shown}
        shown.update({name: value for name, value in options.items() if value is not False})
        super().__init__(fun, **shown)
        self.argnums = self._check_argnums(0 if argnums is None and argnames is None else argnums)
        self.argnames = self._check_argnames(argnames)

    def _check_argnums(self, argnums: Any) -> Any:
        if argnums is None:
            return ()
        try:
            if isinstance(argnums, (tuple, list)):
                return tuple([operator.index(i) for i in argnums])
            return operator.index(argnums)
        except TypeError:
            raise fail(
                ArgumentError,
                f"argnums of {self!r} must be an int or a tuple of ints, not {describe(argnums)}.",
                'to choose by name write argnames="w"',
            ) from None

    def _check_argnames(self, argnames: Any) -> Any:
        if argnames is None or isinstance(argnames, str):
            return argnames
        if isinstance(argnames, (tuple, list)) and all(isinstance(name, str) for name in argnames):
            return tuple(argnames)
        raise fail(
            ArgumentError,
            f"argnames of {self!r} must be a str or a tuple of them, not {describe(argnames)}.",
            "to choose by position write argnums=0",
        )

    def choose(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Key], bool]:
        """Return where the chosen arguments stand, and whether there is just one, not in a tuple."""
        many = not isinstance(self.argnums, int)
        keys = [self._locate(i, args, kwargs) for i in (self.argnums if many else (self.argnums,))]
        if self.argnames is not None:
            names = (self.argnames,) if isinstance(self.argnames, str) else self.argnames
            keys += [self._locate_name(name, args, kwargs) for name in names]
        if len(keys) > 1 and len(set(keys)) != len(keys):
            raise fail(ArgumentError, f"{self!r} names an argument twice.", "name it once")
        if self.argnames is None:
            return keys, not many
        return keys, self.argnums == () and isinstance(self.argnames, str)

    def _locate(self, argnum: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        if 0 <= argnum < len(args):
            return argnum
        if -len(args) <= argnum < 0:
            return argnum + len(args)
        name = _parameter(self.fun, argnum)
        if name in kwargs:
            return name
        raise fail(
            ArgumentError,
            f"argnums={self.argnums!r} of {self!r} needs at least "
            f"{argnum + 1 if argnum >= 0 else -argnum} positional arguments, but {len(args)} came.",
            'pass the argument by position, or choose it by name: argnames="w"',
        )

    def _locate_name(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        if name in kwargs:
            return name
        position = _position(self.fun, name)
        if position is not None and position < len(args):
            return position
        names = parameters(self.fun)
        raise fail(
            ArgumentError,
            f"argnames={self.argnames!r} of {self!r}: no argument {name!r} came.",
            f"pass it, {name}=..., even where it has a default"
            if name in names
            else f"the function's parameters are {', '.join(names) or 'unknown'}",
        )


def parameters(fun: Any) -> list[str]:
    """Return the names of a function's parameters, or none if it does not tell."""
    try:
        return list(inspect.signature(fun).parameters)
    except (TypeError, ValueError):
        return []


def _parameter(fun: Any, i: int) -> str:
    names = parameters(fun)
    return names[i] if 0 <= i < len(names) else ""


def _position(fun: Any, name: str) -> int | None:
    names = parameters(fun)
    return names.index(name) if name in names else None


def name_of(fun: Any) -> str:
    """Return how to speak of a function."""
    if isinstance(fun, Transform):
        return repr(fun)
    if isinstance(fun, functools.partial):
        return f"partial({name_of(fun.func)})"
    name = getattr(fun, "__name__", None)
    return name or f"{type(fun).__name__}(...)"  # a repr may hold arrays


def describe(x: Any) -> str:
    """Return what a value is, with shape and dtype if it has them."""
    if isinstance(x, (np.ndarray, Tracer)):
        return f"an array of shape {x.shape}, {x.dtype}"
    if isinstance(x, np.generic):
        return f"a NumPy scalar, {x.dtype}"
    shown = repr(x)
    return f"{type(x).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"


# --- inputs --------------------------------------------------------------------------------------


def as_input(x: Any, verb: str, label: Callable[[], str]) -> Any:
    """Return a leaf as the array to trace: Python floats as np.float64; no integers, no objects."""
    kind = type(x)
    if kind is float:
        return np.float64(x)
    if kind is complex:
        return np.complex128(x)
    if holds_tracers(x):
        x = join(x)
    if isinstance(x, (np.ndarray, np.generic, Tracer)) and x.dtype.kind in "fc":
        if isinstance(x, Tracer):
            x._trace.check_running(x)
            return x
        if not is_foreign(kind):
            return np.asarray(x) if isinstance(x, np.ndarray) and kind is not np.ndarray else x
    raise fail(NonDifferentiableError, f"{verb} of {label()}, {describe(x)}.", _fix_input(x, verb))


def _fix_input(x: Any, verb: str) -> str:
    choose = "choose the arguments to differentiate with argnums="
    whole = verb in ("vjp", "jvp", "check_grads")  # which differentiate all that they get
    if whole:
        choose = f"if it is a setting, close over it: {verb}(lambda x: f(x, n), ...)"
    if isinstance(x, (bool, int, np.integer, np.bool_)):
        return f"pass a float: {float(x)}; {choose}"
    if is_foreign(type(x)) or (hasattr(x, "__array__") and not isinstance(x, _ARRAYS)):
        return f"pass a plain array: np.asarray(x); {choose}"
    if isinstance(x, np.ndarray) and x.dtype.kind in "biu":
        return f"convert it: x.astype(float); {choose}"
    if isinstance(x, Collection) and not isinstance(x, (str, bytes, *_ARRAYS)):
        return (
            f"make {type(x).__name__} a node: tree.register_node(cls, flatten, unflatten); {choose}"
        )
    if whole:
        return f"leaves must be floating-point or complex arrays; {choose}"
    return (
        "leaves must be floating-point or complex arrays; pass anything else in an argument that argnums "
        'does not choose, or in a dataclass field(metadata={"static": True})'
    )


def parameter_name(fun: Any, key: Key) -> str:
    """Name an argument as the function does."""
    return key if isinstance(key, str) else _parameter(fun, key) or f"argument {key}"


def label_of(fun: Any, key: Key, argument: Any, leaf: int) -> str:
    """Name a leaf of an argument as the user would: `params[0]['w']`."""
    return f"{parameter_name(fun, key)}{tree.paths(argument)[leaf]}"


class Inputs:
    """The chosen arguments of a call, flat, and the way back."""

    def __init__(self, fun: Any, verb: str, keys: list[Key], args: Any, kwargs: Any) -> None:
        self.keys, self.args, self.kwargs = keys, args, kwargs
        self.leaves: list[Any] = []
        self.treedefs: list[Any] = []
        self.values: list[Any] = []
        for key in keys:
            argument = args[key] if type(key) is int else kwargs[key]
            leaves, treedef = tree.flatten(argument)
            self.leaves += leaves
            self.treedefs.append(treedef)
            for i, x in enumerate(leaves):
                if (
                    type(x) is not np.ndarray or x.dtype.char not in "fd"
                ):  # 0.2 us; as_input takes 1
                    label = functools.partial(label_of, fun, key, argument, i)
                    x = as_input(x, verb, label)
                self.values.append(x)

    def call(self, fun: Any, leaves: list[Any]) -> Any:
        """Call `fun` with `leaves` in the places of the chosen ones."""
        args, kwargs = list(self.args), dict(self.kwargs)
        for key, argument in zip(self.keys, self.build(leaves), strict=True):
            (args if type(key) is int else kwargs)[key] = argument  # type: ignore[index]
        return call(fun, args, kwargs)

    def build(self, leaves: list[Any]) -> list[Any]:
        """Return a pytree per chosen argument."""
        if len(self.treedefs) == 1:
            return [tree.unflatten(self.treedefs[0], leaves)]
        rest = iter(leaves)
        return [
            tree.unflatten(treedef, [next(rest) for _ in range(treedef.num_leaves)])
            for treedef in self.treedefs
        ]

    def gradients(self, cts: list[Any], single: bool) -> Any:
        """Return cotangents as pytrees like the chosen arguments."""
        trees = self.build(finish(self.values, cts, self.leaves))
        return trees[0] if single else tuple(trees)


def finish(values: list[Any], cts: list[Any], leaves: list[Any]) -> list[Any]:
    """Give each cotangent its leaf's shape, dtype and kind, and memory of its own."""
    results: list[Any] = []
    for value, ct, leaf in zip(values, cts, leaves):
        if type(ct) is np.float64 and type(leaf) is float:  # the usual number
            results.append(ct)
            continue
        if type(ct) is not np.ndarray or ct.dtype is not value.dtype or not ct.shape:
            ct = _like_leaf(value, ct, leaf)
        if type(ct) is np.ndarray and ct.base is not None:
            ct = ct.copy()
        results.append(ct)
    if len(results) > 1 and len({id(ct) for ct in results}) < len(results):
        results = [ct.copy() if isinstance(ct, np.ndarray) else ct for ct in results]
    return results


def _like_leaf(value: Any, ct: Any, leaf: Any) -> Any:
    if ct is None:
        ct = np.zeros(value.shape, value.dtype)
    elif ct.dtype != value.dtype:
        ct = (ct.real if value.dtype.kind != "c" else ct).astype(value.dtype)
    if isinstance(ct, Tracer) or ct.shape:
        return ct
    return np.array(ct) if isinstance(leaf, np.ndarray) else ct[()]


def call(fun: Any, args: Any, kwargs: Any) -> Any:
    """Call the user's function; an error that came out of a traced operation names the user's line."""
    try:
        out = fun(*args, **kwargs)
        return out if isinstance(out, Tracer) else _joined(out)
    except FuncgradError:
        raise
    except Exception as error:
        wrapped = "setting an array element" in str(error) or isinstance(error, SystemError)
        if wrapped and isinstance(error.__cause__, FuncgradError):
            raise error.__cause__ from None  # NumPy, or C code of SciPy's, wraps what __float__ raises
        if is_about_objects(error):
            where = line_of_traceback(error.__traceback__)
            raise fail(UnsupportedError, f"{error}.", OBJECTS_FIX, where) from error
        where = line_of_traceback(error.__traceback__)
        note = f"  at {where}"
        if where and note not in getattr(error, "__notes__", ()):
            error.add_note(note)
            mirror = mirror_of_traceback(error.__traceback__)
            if mirror:  # SciPy made something of a traced value, it may be, and failed on that
                error.add_note(f"  Fix: if a value in it is traced, call {mirror}")
        raise


def _joined(out: Any) -> Any:
    """Return an output with one traced array for each array of objects that holds traced numbers."""
    leaves, treedef = tree.flatten(out)
    if not any([holds_tracers(x) for x in leaves]):
        return out
    return tree.unflatten(treedef, joined(leaves))


# --- outputs -------------------------------------------------------------------------------------


def value_of(tape: Any, x: Any) -> Any:
    """Return what a tracer of `tape` stands for, with memory of its own; anything else as it is."""
    return own(x.value) if isinstance(x, Tracer) and x._trace is tape else x


def values_of(tape: Any, x: Any) -> Any:
    """Return a pytree without tracers of `tape`."""
    return tree.map(functools.partial(value_of, tape), x)


def split_aux(verb: str, fun: Any, out: Any) -> Any:
    """Return the two parts of an output with has_aux=True."""
    if isinstance(out, (tuple, list)) and len(out) == 2:
        return out
    raise fail(
        ArgumentError,
        f"{verb} with has_aux=True: `{name_of(fun)}` must return a pair (output, aux), "
        f"but it returned {describe(out)}.",
        "return loss, extras",
    )


def check_scalar(verb: str, fun: Any, out: Any, holomorphic: bool) -> None:
    """Raise unless `out` is one real number (one complex number if `holomorphic`)."""
    if isinstance(out, Tracer):
        out._trace.check_running(out)
        if out.shape == () and out.dtype.kind == ("c" if holomorphic else "f"):
            return
    name = f"`{name_of(fun)}`"
    plain = isinstance(out, _ARRAYS) and np.result_type(out).kind in "biufc"
    if not plain and not isinstance(out, Tracer):
        raise fail(
            NonScalarOutputError,
            f"{verb} needs a scalar loss, but {name} returned {describe(out)}.",
            "return one number; for extra results use has_aux=True and return loss, extras",
        )
    shape, dtype = np.shape(out), np.result_type(out)
    if shape:
        raise fail(
            NonScalarOutputError,
            f"{verb} needs a scalar loss, but {name} returned an array of shape {shape}, {dtype}.",
            "reduce it, for instance with np.mean(...); for all the derivatives of an array, use jacrev or vjp",
        )
    if holomorphic and dtype.kind != "c":
        raise fail(
            NonDifferentiableError,
            f"{verb} with holomorphic=True needs a complex output, but {name} returned a real one, {dtype}.",
            "leave holomorphic=True out for a real function of complex arguments",
        )
    if dtype.kind == "c" and not holomorphic:
        raise fail(
            NonScalarOutputError,
            f"{verb} needs a real loss, but {name} returned a complex number, {dtype}.",
            "return its real part, or np.abs(...); for a holomorphic function write holomorphic=True",
        )


def own(x: Any) -> Any:
    """Return a copy of an array that someone else may write to, and anything else as it is."""
    if isinstance(x, Tracer):
        return snapshot(x)
    return x if not isinstance(x, np.ndarray) or is_frozen(x) else x.copy("K")


def check_arrays(verb: str, fun: Any, leaves: list[Any], trace: Any = None) -> None:
    """Raise unless every output is an array or a number, traced by `trace` or a running transform.

    Numbers in an array of objects become an array of numbers.
    """
    for i, x in enumerate(leaves):
        if isinstance(x, Tracer):
            if x._trace is not trace:
                x._trace.check_running(x)
            continue
        if isinstance(x, _ARRAYS) and np.result_type(x).kind in "biufc":
            continue
        if type(x) is np.ndarray and x.dtype.hasobject and as_numbers(x) is not None:
            leaves[i] = as_numbers(x)
            continue
        aux = "; for anything else use has_aux=True" if verb in _WITH_AUX else ""
        raise fail(
            NonDifferentiableError,
            f"{verb}: `{name_of(fun)}` returned {describe(x)}, not an array.",
            f"return arrays and numbers only (in tuples, lists, dicts, ...){aux}",
        )


_ARRAYS = (np.ndarray, np.generic, float, complex, int)
_WITH_AUX = ("vjp", "jvp", "jacrev", "jacfwd", "hessian")


def match(x: Any, like: Any, what: str | Callable[[], str], owner: str) -> Any:
    """Return `x` as an array of the shape and dtype of `like`, or raise and say `what` it is."""
    x = x if isinstance(x, (Tracer, np.ndarray, np.generic)) else _number(x, what, owner)
    x = join(x) if holds_tracers(x) else x
    if x.dtype.kind not in "biufc":
        raise fail(
            ShapeError,
            f"{_said(what)} is {describe(x)}, not an array of numbers.",
            f"pass numbers in the shape of {owner}",
        )
    shape, dtype = np.shape(like), np.result_type(like)
    if x.shape != shape:
        raise fail(
            ShapeError,
            f"{_said(what)} has shape {x.shape}, but {owner} has shape {shape}.",
            f"pass an array of shape {shape}, for instance np.ones({shape})",
        )
    if x.dtype == dtype:
        return x
    if dtype.kind not in "fc":
        return x
    if x.dtype.kind == "c" and dtype.kind != "c":
        raise fail(
            ShapeError,
            f"{_said(what)} is {x.dtype}, but {owner} is real, {dtype}.",
            "pass its real part",
        )
    return x.astype(dtype)


def _said(what: str | Callable[[], str]) -> str:
    return what if isinstance(what, str) else what()


def _number(x: Any, what: str | Callable[[], str], owner: str) -> Any:
    if isinstance(x, (bool, int, float, complex)):
        return np.asarray(x)[()]
    raise fail(
        ShapeError,
        f"{_said(what)} is {describe(x)}, not an array.",
        f"pass an array of the shape of {owner}",
    )


def check_complex(verb: str, values: list[Any]) -> None:
    """Raise unless every input is complex."""
    for x in values:
        if x.dtype.kind != "c":
            raise fail(
                NonDifferentiableError,
                f"{verb} with holomorphic=True needs complex inputs, but one is {describe(x)}.",
                "convert it: x.astype(complex)",
            )
