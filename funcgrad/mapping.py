"""vmap: from a function of one example to a function of a batch."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.arguments import (
    Transform,
    call,
    check_arrays,
    check_chunk_size,
    describe,
    label_of,
    name_of,
    parameter_name,
    parameters,
)
from funcgrad.batch import BatchTracer, repeated
from funcgrad.core import Tracer, concrete
from funcgrad.errors import ArgumentError, ShapeError, StructureError, fail
from funcgrad.handles import snapshot
from funcgrad.primitives.objects import joined
from funcgrad.tracebacks import boundary
from funcgrad.watched import new_batch

Label = Callable[[], str]  # what an error calls a leaf, made up only then
_Size = tuple[Label, int, int]  # a mapped leaf, its axis, and the size of that axis


class Vmap(Transform):
    """See `vmap`."""

    verb = "vmap"

    def __init__(
        self,
        fun: Callable[..., Any],
        in_axes: Any,
        out_axes: Any,
        chunk_size: int | None,
        fallback: str | None,
    ) -> None:
        options = {"in_axes": in_axes, "out_axes": out_axes}
        if chunk_size is not None:
            options["chunk_size"] = chunk_size
        if fallback is not None:
            options["fallback"] = fallback
        super().__init__(fun, **options)
        self.in_axes, self.out_axes = in_axes, out_axes
        self.chunk_size, self.fallback = chunk_size, fallback
        self._check_options()

    def _check_options(self) -> None:
        if not _is_int(self.in_axes) and not isinstance(
            self.in_axes, (tuple, list, dict, type(None))
        ):
            raise fail(
                ArgumentError,
                f"in_axes of {self!r} must be an int, None, a tuple with an entry per argument, or a dict by "
                f"argument name, not {describe(self.in_axes)}.",
                "write in_axes=(0, None) to map the first argument and share the second",
            )
        check_chunk_size(self, self.chunk_size)
        if self.fallback not in (None, "loop"):
            raise fail(
                ArgumentError,
                f'fallback of {self!r} must be None or "loop".',
                'write fallback="loop" to run the examples one by one',
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arguments: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        flat = _Flat(self, arguments)
        size = flat.size
        if self.fallback == "loop":
            return self._loop(flat, size)
        if self.chunk_size is None or size <= self.chunk_size:
            leaves, treedef = self._evaluate(flat, flat.batched, size)
            return self._place(leaves, treedef, size)
        parts = []
        for start in range(0, size, self.chunk_size):
            stop = min(start + self.chunk_size, size)
            chunk = [
                x if a is None else x[start:stop]
                for x, a in zip(flat.batched, flat.axes, strict=True)
            ]
            leaves, treedef = self._evaluate(flat, chunk, stop - start)
            parts.append(leaves)
        joined = [
            (np.concatenate([x for x, _ in pairs]), True) if pairs[0][1] else pairs[0]
            for pairs in zip(*parts, strict=True)
        ]
        return self._place(joined, treedef, size)

    def _evaluate(self, flat: "_Flat", values: list[Any], size: int) -> Any:
        """Run the function once; return output leaves with whether they are mapped, and the structure."""
        trace = new_batch(size)
        try:
            traced = [
                x if a is None else BatchTracer(_own_handle(x), trace)
                for x, a in zip(values, flat.axes, strict=True)
            ]
            out = flat.call(traced)
        finally:
            trace.close()
        leaves, treedef = tree.flatten(out)
        check_arrays("vmap", self.fun, leaves, trace)
        mapped = [isinstance(x, Tracer) and x._trace is trace for x in leaves]
        seen = {id(x) for x in values}
        results = []
        for x, m in zip(leaves, mapped, strict=True):
            y = x.value if m else x
            if isinstance(y, Tracer):
                y = snapshot(y)
            elif m and (y.base is not None or id(y) in seen):  # shares memory with an argument, say
                y = y.copy()
            seen.add(id(y))
            results.append((y, m))
        return results, treedef

    def _loop(self, flat: "_Flat", size: int) -> Any:
        if not size:
            raise fail(
                ShapeError, f"{self!r} needs at least one example.", "test the size before the call"
            )
        rows = []
        for k in range(size):
            row = [x if a is None else x[k] for x, a in zip(flat.batched, flat.axes, strict=True)]
            leaves, treedef = tree.flatten(flat.call(row))
            check_arrays("vmap", self.fun, leaves)
            rows.append(leaves)
        axes = self._out_axes(treedef)
        joined = [
            (xs[0], False) if axis is None and _all_equal(xs) else (np.stack(xs), True)
            for xs, axis in zip(zip(*rows, strict=True), axes, strict=True)
        ]
        return self._place(joined, treedef, size)

    def _out_axes(self, treedef: Any) -> list[Any]:
        if type(self.out_axes) is int:
            return [self.out_axes] * treedef.num_leaves
        return tree.broadcast_prefix(self.out_axes, treedef, f"out_axes of {self!r}")

    def _place(self, leaves: Any, treedef: Any, size: int) -> Any:
        """Move each mapped output's batch axis to where `out_axes` wants it."""
        axes = self._out_axes(treedef)
        placed = []
        for i, ((x, mapped), axis) in enumerate(zip(leaves, axes, strict=True)):
            if axis is not None and not _is_int(axis):
                raise fail(
                    ArgumentError,
                    f"out_axes of {self!r} must hold ints and None, not {describe(axis)}.",
                    "write out_axes=0, or a pytree of axes like the output",
                )
            if axis is None:
                if mapped:
                    raise fail(
                        ArgumentError,
                        f"out_axes of {self!r} is None for the output{tree.paths(treedef)[i]}, but "
                        "that output depends on a mapped argument.",
                        "give it an axis, or reduce over the batch outside vmap",
                    )
                placed.append(x)
            else:
                x = x if mapped else repeated(x, size)
                placed.append(_move(x, 0, axis, lambda: f"out_axes of {self!r}"))
        return tree.unflatten(treedef, placed)


def _own_handle(x: Any) -> Any:
    return snapshot(x) if isinstance(x, Tracer) else x


def _is_int(x: Any) -> bool:
    return isinstance(x, (int, np.integer)) and not isinstance(x, bool)


def _all_equal(xs: Any) -> bool:
    return all([np.array_equal(concrete(x), concrete(xs[0])) for x in xs[1:]])


def _move(x: Any, source: int, destination: int, what: Label) -> Any:
    ndim = x.ndim
    if not (-ndim <= source < ndim and -ndim <= destination < ndim):
        axis = destination if source == 0 else source
        raise fail(
            ShapeError,
            f"{what()} is {axis}, but the array has shape {x.shape}.",
            f"choose an axis from {-ndim} to {ndim - 1}",
        )
    return x if source % ndim == destination % ndim else np.moveaxis(x, source, destination)


class _Flat:
    """The arguments of a call as leaves, each with the axis to map over, the batch axis in front."""

    def __init__(self, vmapped: Vmap, arguments: dict[Any, Any]) -> None:
        self.fun = vmapped.fun
        self.treedefs: dict[Any, Any] = {}
        self.axes: list[Any] = []
        self.batched: list[Any] = []
        sizes: list[_Size] = []
        per_argument = _axes_of(vmapped, arguments)
        for key, argument in arguments.items():
            leaves, treedef = tree.flatten(argument)
            leaves = joined(leaves)
            self.treedefs[key] = treedef
            prefix = per_argument[key]
            if prefix is None or type(prefix) is int:
                axes = [prefix] * len(leaves)
            else:
                name = parameter_name(self.fun, key)
                axes = tree.broadcast_prefix(prefix, treedef, f"in_axes of {vmapped!r} for {name}")
            for i, (x, axis) in enumerate(zip(leaves, axes, strict=True)):
                label = functools.partial(label_of, self.fun, key, argument, i)
                self._add(x, axis, label, sizes)
        self.size = _common_size(vmapped, sizes)

    def _add(self, x: Any, axis: Any, label: Label, sizes: list["_Size"]) -> None:
        self.axes.append(axis)
        if axis is None:
            self.batched.append(x)
            return
        if not isinstance(axis, int) or isinstance(axis, bool):
            raise fail(
                ArgumentError,
                f"in_axes for {label()} must be an int or None, not {describe(axis)}.",
                "give the axis that counts the examples; None for an argument that all share",
            )
        if not isinstance(x, (np.ndarray, Tracer)) or not x.ndim:
            raise fail(
                ShapeError,
                f"{label()} is mapped over axis {axis}, but it is {describe(x)} and has no axis.",
                "give it in_axes None to pass it to every example as it is",
            )
        self.batched.append(_move(x, axis, 0, lambda: f"in_axes for {label()}"))
        sizes.append((label, axis, x.shape[axis]))

    def call(self, leaves: list[Any]) -> Any:
        """Call the function with these leaves."""
        rest = iter(leaves)
        built = {
            key: tree.unflatten(treedef, [next(rest) for _ in range(treedef.num_leaves)])
            for key, treedef in self.treedefs.items()
        }
        args = [x for key, x in built.items() if isinstance(key, int)]
        return call(self.fun, args, {key: x for key, x in built.items() if isinstance(key, str)})


def _axes_of(vmapped: Vmap, arguments: dict[Any, Any]) -> dict[Any, Any]:
    """Return the entry of in_axes for each argument; keyword arguments are mapped over axis 0 by default."""
    axes = vmapped.in_axes
    if isinstance(axes, dict):
        names = {key: parameter_name(vmapped.fun, key) for key in arguments}
        known = {*names.values(), *parameters(vmapped.fun)}
        unknown = [name for name in axes if name not in known]
        if unknown:
            raise fail(
                ArgumentError,
                f"in_axes of {vmapped!r} names {unknown[0]!r}, but the arguments are {', '.join(names.values())}.",
                "name the function's own parameters",
            )
        return {key: axes.get(name, 0) for key, name in names.items()}
    positional = [key for key in arguments if isinstance(key, int)]
    if isinstance(axes, (tuple, list)):
        if len(axes) != len(positional):
            raise fail(
                StructureError,
                f"in_axes of {vmapped!r} has {len(axes)} entries, but {len(positional)} positional arguments came.",
                "give one entry per positional argument (None: not mapped), or a dict by name",
            )
        return {key: axes[key] if isinstance(key, int) else 0 for key in arguments}
    return {key: axes if isinstance(key, int) else 0 for key in arguments}


def _common_size(vmapped: Vmap, sizes: list[_Size]) -> int:
    if not sizes:
        raise fail(
            ArgumentError,
            f"{vmapped!r} has no mapped argument.",
            "give at least one argument an axis in in_axes",
        )
    if len({size for _, _, size in sizes}) > 1:
        listed = "; ".join(
            [f"{label()} has size {size} along axis {axis}" for label, axis, size in sizes]
        )
        raise fail(
            ShapeError,
            f"the mapped arguments of `{name_of(vmapped.fun)}` differ in size: {listed}.",
            "make the sizes equal, or give an argument in_axes None to use it whole in each example",
        )
    return sizes[0][2]


@boundary
def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    chunk_size: int | None = None,
    fallback: str | None = None,
) -> Callable[..., Any]:
    """Return a function that applies `fun` to each example of a batch at once.

    Parameters
    ----------
    fun : callable
        Written for one example, in plain NumPy.
    in_axes : int, None, tuple, list or dict, optional
        The axis of each positional argument that counts the examples, None for an argument that all
        examples share. An entry may be a pytree that matches the argument or the upper part of it.
        Keyword arguments are mapped over axis 0. A dict gives axes by argument name, positional and
        keyword alike; who is not named has axis 0.
    out_axes : int, None or pytree, optional
        Where the outputs have the axis of the examples. None for an output that does not depend on
        the example.
    chunk_size : int, optional
        The most examples to process at a time: bounds the memory.
    fallback : {None, "loop"}, optional
        ``"loop"`` calls `fun` example by example and stacks the results: for functions that decide
        by values (`if`, boolean masks).

    Returns
    -------
    callable

    Raises
    ------
    ShapeError
        If the sizes of the mapped axes differ, or an argument lacks the axis. A `ValueError`.
    StructureError
        If `in_axes` or `out_axes` does not match. A `ValueError` and a `TypeError`.
    TracerConversionError
        If `fun` decides by the value of a mapped argument. A `TypeError`.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import vmap
    >>> vmap(np.dot, in_axes=(0, None))(np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    return Vmap(fun, in_axes, out_axes, chunk_size, fallback)
