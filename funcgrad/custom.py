"""Rules by users, for functions of pytrees: custom_vjp, custom_jvp, and stop_gradient.

Read next: ``checkpoints.py``.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from funcgrad import tree
from funcgrad.arguments import Transform, describe, match, name_of
from funcgrad.batch import BatchTracer
from funcgrad.calls import JvpCall, Leaves, VjpCall, as_scalar, is_array
from funcgrad.core import Tracer
from funcgrad.errors import ArgumentError, ShapeError, StructureError, fail
from funcgrad.primitives.objects import joined
from funcgrad.tracebacks import boundary

T = TypeVar("T")


def stop_gradient(x: T) -> T:
    """Return the value of `x` as a constant.

    Parameters
    ----------
    x : pytree of arrays

    Returns
    -------
    pytree
        The same values, for which every derivative is zero; plain arrays (copies) under grad and
        jvp, mapped values under vmap.

    Examples
    --------
    >>> from funcgrad import grad, stop_gradient
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    value: T = tree.map(_constant, x)
    return value


def _constant(x: Any) -> Any:
    if isinstance(x, BatchTracer):
        return BatchTracer(_constant(x.value), x._trace)
    if isinstance(x, Tracer):
        x._trace.hear("stop_gradient", (x,), cuts=True)
        return _constant(x.value)
    return x.copy() if isinstance(x, np.ndarray) else x


class Custom(Transform):
    """A function with a rule to come; the base of `custom_vjp` and `custom_jvp`."""

    definer = "defvjp"

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Any) -> None:
        nondiff = nondiff_argnums if isinstance(nondiff_argnums, tuple) else (nondiff_argnums,)
        super().__init__(fun, **({"nondiff_argnums": nondiff} if nondiff else {}))
        if not all([isinstance(i, (int, np.integer)) for i in nondiff]):
            raise fail(
                ArgumentError,
                f"nondiff_argnums of {self!r} must be an int or a tuple of ints.",
                "count the arguments from 0: nondiff_argnums=(1,)",
            )
        self.nondiff = nondiff
        self.signature = _signature(fun)

    def _check_rules(self, how: str, *rules: Any) -> None:
        for rule in rules:
            if not callable(rule):
                raise fail(
                    ArgumentError,
                    f"{self.definer} of {self!r} takes {how}, but got {describe(rule)}.",
                    f"write {name_of(self.fun)}.{self.definer}({how})",
                )

    def _missing(self) -> Exception:
        return fail(
            ArgumentError,
            f"{self!r} has no derivative rule yet.",
            f"call {name_of(self.fun)}.{self.definer}(...) before using it",
        )


class _Arguments:
    """The arguments of a call of a custom function: leaves, and the structures in and out."""

    def __init__(self, custom: Custom, args: Any, kwargs: Any) -> None:
        args = _positional(custom, args, kwargs)
        nondiff = {i % len(args) for i in custom.nondiff if -len(args) <= i < len(args)}
        self.args = args
        self.keep = [i for i in range(len(args)) if i not in nondiff]
        self.nondiff = [args[i] for i in sorted(nondiff)]
        leaves, self.treedef = tree.flatten([args[i] for i in self.keep])
        self.leaves = [as_scalar(x) if is_array(x) else x for x in joined(leaves)]
        self.output: Any = None

    def build(self, leaves: Any) -> list[Any]:
        """Return the arguments with these leaves."""
        built = list(self.args)
        for i, x in zip(self.keep, tree.unflatten(self.treedef, leaves), strict=True):
            built[i] = x
        return built

    def open(self, out: Any) -> Leaves:
        """Return the leaves of an output and remember its structure."""
        leaves, self.output = tree.flatten(out)
        return [as_scalar(y) for y in joined(leaves)]

    def close(self, leaves: Any) -> Any:
        """Return an output with these leaves."""
        return tree.unflatten(self.output, leaves)


def _signature(fun: Any) -> inspect.Signature | None:
    if (getattr(fun, "__module__", None) or "numpy").startswith("numpy"):
        return None  # whose defaults (out=None, where=True) are no arguments of a rule
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        return None


def _positional(custom: Custom, args: Any, kwargs: Any) -> tuple[Any, ...]:
    """Return all arguments by position, with the defaults of those not given."""
    if custom.signature is None:
        return tuple(args)
    try:
        bound = custom.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise fail(
            ArgumentError,
            f"`{name_of(custom.fun)}`: {error}.",
            f"call it as {name_of(custom.fun)}{custom.signature}",
        ) from None
    if bound.kwargs:
        raise fail(
            ArgumentError,
            f"`{name_of(custom.fun)}` with a custom rule takes no keyword-only argument, "
            f"but {', '.join(bound.kwargs)} came.",
            "make the argument positional",
        )
    bound.apply_defaults()
    return bound.args


class CustomVjp(Custom):
    """See `custom_vjp`."""

    verb = "custom_vjp"

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Any) -> None:
        super().__init__(fun, nondiff_argnums)
        self.fwd: Any = None
        self.bwd: Any = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set the rule: ``fwd(*args) -> (output, residuals)``, ``bwd(residuals, ct) -> cotangents``."""
        self._check_rules("fwd, bwd", fwd, bwd)
        self.fwd, self.bwd = fwd, bwd

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fwd is None:
            raise self._missing()
        arguments = _Arguments(self, args, kwargs)

        def fun(*leaves: Any) -> Leaves:
            return arguments.open(self.fun(*arguments.build(leaves)))

        def fwd(*leaves: Any) -> Any:
            out, residuals = _pair(
                f"fwd of {self!r}", "(output, residuals)", self.fwd(*arguments.build(leaves))
            )
            return arguments.open(out), residuals

        def bwd(residuals: Any, cts: Leaves) -> Leaves:
            return self._cotangents(self.bwd(residuals, arguments.close(cts)), arguments)

        outputs = VjpCall(name_of(self.fun), fun, fwd, bwd)(*arguments.leaves)
        return arguments.close(outputs)

    def _cotangents(self, grads: Any, arguments: _Arguments) -> Leaves:
        """Check what bwd returned: a cotangent per argument, None for zero."""
        n = len(arguments.keep)
        if not isinstance(grads, (tuple, list)) or len(grads) != n:
            got = f"{len(grads)}" if isinstance(grads, (tuple, list)) else describe(grads)
            raise fail(
                StructureError,
                f"bwd of {self!r} must return a tuple of {n} cotangents, one per argument, "
                f"but it returned {got}.",
                "return (ct_x,) for one argument; None stands for zero",
            )
        flat: Leaves = []
        for g, argument in zip(
            grads, tree.unflatten(arguments.treedef, arguments.leaves), strict=True
        ):
            flat += tree.broadcast_prefix(g, argument, f"what bwd of {self!r} returned")
        return [self._cotangent(g, x) for g, x in zip(flat, arguments.leaves, strict=True)]

    def _cotangent(self, g: Any, x: Any) -> Any:
        if g is None or not is_array(x) or np.result_type(x).kind not in "fc":
            return None
        if isinstance(g, (np.ndarray, Tracer)) and g.shape != np.shape(x):
            raise fail(
                ShapeError,
                f"bwd of {self!r} returned a cotangent of shape {g.shape} for an argument of shape "
                f"{np.shape(x)}.",
                "sum over the axes that broadcasting added",
            )
        return match(g, x, f"a cotangent that bwd of {self!r} returned", "its argument")


def _is_number(x: Any) -> bool:
    return isinstance(x, int) or is_array(x)  # a count, too, has a tangent of zero


def _zeros(x: Any) -> Any:
    return np.zeros(np.shape(x), np.result_type(x))


def _pair(who: str, what: str, result: Any) -> Any:
    if isinstance(result, (tuple, list)) and len(result) == 2:
        return result
    raise fail(
        StructureError,
        f"{who} must return {what}, but it returned {describe(result)}.",
        f"write return {what.strip('()')}; None will do for residuals that bwd does not need",
    )


class CustomJvp(Custom):
    """See `custom_jvp`."""

    verb = "custom_jvp"
    definer = "defjvp"

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Any) -> None:
        super().__init__(fun, nondiff_argnums)
        self.rule: Any = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule: ``rule(primals, tangents) -> (output, tangent)``; non-differentiable arguments first."""
        self._check_rules("rule", rule)
        self.rule = rule
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.rule is None:
            raise self._missing()
        arguments = _Arguments(self, args, kwargs)

        def fun(*leaves: Any) -> Leaves:
            return arguments.open(self.fun(*arguments.build(leaves)))

        def push(primals: Leaves, tangents: Leaves) -> Any:
            filled = [
                t if t is not None else _zeros(x) if _is_number(x) else None
                for t, x in zip(tangents, primals, strict=True)
            ]
            pairs = (
                tree.unflatten(arguments.treedef, primals),
                tree.unflatten(arguments.treedef, filled),
            )
            result = self.rule(*arguments.nondiff, *map(tuple, pairs))
            out, tangent = _pair(f"the rule of {self!r}", "(output, tangent)", result)
            outputs = arguments.open(out)
            return outputs, self._tangents(tangent, outputs, arguments)

        outputs = JvpCall(name_of(self.fun), fun, push)(*arguments.leaves)
        return arguments.close(outputs)

    def _tangents(self, tangent: Any, outputs: Leaves, arguments: _Arguments) -> Leaves:
        what = f"the tangent that the rule of {self!r} returned"
        flat = tree.flatten_like(arguments.output, tangent, what)
        return [match(t, y, what, "the output") for t, y in zip(flat, outputs, strict=True)]


@boundary
def custom_vjp(fun: Callable[..., Any], nondiff_argnums: int | tuple[int, ...] = ()) -> CustomVjp:
    """Give a function its own reverse-mode rule.

    Parameters
    ----------
    fun : callable
        Computes the value; pytrees in and out.
    nondiff_argnums : int or tuple of int, optional
        Arguments that are no arrays or have no derivative; `bwd` returns nothing for them.

    Returns
    -------
    callable
        With a method ``defvjp(fwd, bwd)``: ``fwd(*args)`` returns ``(output, residuals)``;
        ``bwd(residuals, ct)`` returns a tuple with a cotangent (or None for zero) per
        differentiable argument, and is linear in `ct`. It works under every transform: the jvp is
        the transpose of `bwd`, and higher derivatives differentiate `fwd` and `bwd`.

    Raises
    ------
    StructureError, ShapeError
        When `fwd` or `bwd` returns something of the wrong structure or shape.
    ArgumentError
        When no rule has been given, or the function reads a traced value that is not an argument.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import custom_vjp, grad
    >>> @custom_vjp
    ... def clipped_gradient(x):
    ...     return x
    >>> clipped_gradient.defvjp(lambda x: (x, None), lambda res, ct: (np.clip(ct, -1, 1),))
    >>> grad(lambda x: 5 * clipped_gradient(x))(2.0)
    np.float64(1.0)
    """
    return CustomVjp(fun, nondiff_argnums)


@boundary
def custom_jvp(fun: Callable[..., Any], nondiff_argnums: int | tuple[int, ...] = ()) -> CustomJvp:
    """Give a function its own forward-mode rule; the vjp is its transpose.

    Parameters
    ----------
    fun : callable
        Computes the value; pytrees in and out.
    nondiff_argnums : int or tuple of int, optional
        Arguments that are no arrays or have no derivative.

    Returns
    -------
    callable
        With a method ``defjvp(rule)``: ``rule(primals, tangents)`` returns ``(output, tangent)``,
        linear in the tangents; non-differentiable arguments come before `primals`.

    Raises
    ------
    StructureError, ShapeError
        When the rule returns something of the wrong structure or shape, or is not linear.
    ArgumentError
        When no rule has been given, or the function reads a traced value that is not an argument.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import custom_jvp, grad
    >>> @custom_jvp
    ... def log1pexp(x):
    ...     return np.logaddexp(0, x)
    >>> @log1pexp.defjvp
    ... def rule(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return log1pexp(x), t / (1 + np.exp(-x))
    >>> grad(log1pexp)(0.0)
    np.float64(0.5)
    """
    return CustomJvp(fun, nondiff_argnums)
