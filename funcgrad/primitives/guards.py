"""What is checked in each call of a primitive that a user declared: what its function and rules return.

The library's own are checked by its tests, and pay nothing.
"""

from typing import Any

import numpy as np

from funcgrad.constants import COPY_BYTES, checksum
from funcgrad.core import Primitive, Tracer, zero
from funcgrad.errors import ArgumentError, ShapeError, fail
from funcgrad.primitives.objects import join


def guard(primitive: Primitive) -> None:
    """Let the function and the rules of a primitive be checked when they run."""
    if not primitive.pulls:  # piecewise constant
        return
    primitive.fun = _checked_function(primitive, primitive.fun)
    if primitive.elementwise:  # a rule multiplies the cotangent, so it has its shape
        primitive.pulls = tuple([_joined(pull) for pull in primitive.pulls])
        primitive.jvps = tuple([_joined(push) for push in primitive.jvps])
        return
    pulls, keeps = primitive.pulls, primitive.keeps
    primitive.pulls = tuple([_checked_pull(primitive, i, pull) for i, pull in enumerate(pulls)])
    primitive.keeps = tuple([_with_shape(i, keep) for i, keep in enumerate(keeps)])
    primitive.jvps = tuple([push and _checked_push(primitive, push) for push in primitive.jvps])
    if primitive.batch is not None:
        primitive.batch = _checked_batch(primitive, primitive.batch)


def _joined(rule: Any) -> Any:
    """Let a rule return one traced array in place of an array of objects."""
    if rule is zero or rule is None:
        return rule

    def joined(*args: Any) -> Any:
        g = rule(*args)
        return join(g) if type(g) is np.ndarray and g.dtype.hasobject else g

    joined.__dict__.update(rule.__dict__)
    return joined


def _checked_function(primitive: Primitive, fun: Any) -> Any:
    def checked(*args: Any, **settings: Any) -> Any:
        if len(args) > len(primitive.pulls):
            raise fail(
                ArgumentError,
                f"the primitive {primitive.name!r} got {len(args)} arguments, but has rules for "
                f"{len(primitive.pulls)}.",
                "give a rule per array argument (None: no derivative); pass settings by keyword",
            )
        for name, x in settings.items():
            if isinstance(x, Tracer):
                raise fail(
                    ArgumentError,
                    f"the primitive {primitive.name!r} got a traced value as its setting {name}.",
                    "pass it by position, with a rule of its own, or stop_gradient of it",
                )
        before = [_fingerprint(x) for x in args]
        ans = fun(*args, **settings)
        for i, (x, was) in enumerate(zip(args, before, strict=True)):
            if was is not None and _fingerprint(x) != was:
                raise fail(
                    ArgumentError,
                    f"the function of the primitive {primitive.name!r} wrote into its argument {i}, which its "
                    "derivative needs as it was.",
                    "let it work on a copy, or leave options such as overwrite_a= out",
                )
        if primitive.multiple and isinstance(ans, tuple):
            return ans if hasattr(ans, "_fields") else tuple([_array(primitive, y) for y in ans])
        return _array(primitive, ans)

    return checked


def _fingerprint(x: Any) -> Any:
    """Return what tells whether an array was written to; None for what cannot be, or is traced."""
    if type(x) is not np.ndarray or not x.flags.writeable or x.dtype.hasobject:
        return None
    return x.tobytes() if x.nbytes <= COPY_BYTES else checksum(x)


def _array(primitive: Primitive, y: Any) -> Any:
    """Return a result as an array: a Python float would pass for a constant."""
    if isinstance(y, (np.ndarray, np.generic, Tracer)):
        return join(y) if y.dtype.hasobject else y
    if isinstance(y, (bool, int, float, complex)):
        return np.asarray(y)[()]
    raise fail(
        ArgumentError,
        f"the function of the primitive {primitive.name!r} returned a {type(y).__name__}, not an array.",
        "return an array; for several write multiple=True and return a tuple",
    )


def _with_shape(i: int, keep: Any) -> Any:
    """Keep the shape of argument `i` beside what the rule names."""

    def kept(ans: Any, args: Any, settings: Any) -> Any:
        return keep(ans, args, settings), np.shape(args[i])

    kept.args, kept.settings = keep.args, keep.settings  # type: ignore[attr-defined]
    return kept


def _checked_pull(primitive: Primitive, i: int, pull: Any) -> Any:
    if pull is zero or pull is None:
        return pull
    argument = primitive.parameters[i]

    def checked(ct: Any, kept: Any) -> Any:
        inner, shape = kept
        g = pull(ct, inner)
        return _of_shape(primitive, f"the vjp rule for {argument}", g, shape, f"{argument} has")

    checked.__dict__.update(pull.__dict__)
    return checked


def _checked_push(primitive: Primitive, push: Any) -> Any:
    def checked(t: Any, ans: Any, args: Any, settings: Any) -> Any:
        pushed = push(t, ans, args, settings)
        if primitive.multiple:
            return pushed
        return _of_shape(primitive, "a jvp rule", pushed, np.shape(ans), "the output has")

    return checked


def _of_shape(primitive: Primitive, what: str, g: Any, shape: Any, owner: str) -> Any:
    """Return what a rule computed as an array, if it has the shape that it must have."""
    g = np.asarray(g)[()] if isinstance(g, (bool, int, float, complex)) else g
    if isinstance(g, (np.ndarray, np.generic, Tracer)) and g.shape == shape:
        return (
            join(g) if g.dtype.hasobject else g
        )  # of traced numbers, which would pass for constants
    got = f"shape {g.shape}" if hasattr(g, "shape") else f"type {type(g).__name__}"
    raise fail(
        ShapeError,
        f"{what} of the primitive {primitive.name!r} returned something of {got}, but {owner} shape {shape}.",
        "sum over, or broadcast to, the axes in which they differ; a rule of None says that there is no derivative",
    )


def _checked_batch(primitive: Primitive, batch: Any) -> Any:
    def checked(args: Any, mapped: Any, settings: Any) -> Any:
        out = batch(args, mapped, settings)
        size = next(x.shape[0] for x, m in zip(args, mapped, strict=True) if m)
        for y in out if primitive.multiple else (out,):
            if np.shape(y)[:1] != (size,):
                raise fail(
                    ShapeError,
                    f"the batch rule of the primitive {primitive.name!r} returned shape {np.shape(y)} for "
                    f"a batch of {size}.",
                    "the axis of the examples comes first in each result; leave batch= out to loop",
                )
        return out

    return checked
