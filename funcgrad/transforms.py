"""grad, value_and_grad, vjp, jvp and linearize: pytrees and checks around the tape and forward mode."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.arguments import (
    Derivative,
    Inputs,
    check_arrays,
    check_callable,
    check_complex,
    check_scalar,
    check_tuples,
    label_of,
    match,
    name_of,
    own,
    split_aux,
    value_of,
    values_of,
)
from funcgrad.backward import TEMPORARY, backward, has_nan, is_free
from funcgrad.constants import ARGUMENT_COPY_BYTES, protect, verify
from funcgrad.errors import ArgumentError, fail
from funcgrad.forward import ForwardTracer, nonzero, paired
from funcgrad.origins import name_forward_line
from funcgrad.reverse import Tape, TapeTracer
from funcgrad.tracebacks import boundary
from funcgrad.watched import new_forward, new_tape

# --- grad ----------------------------------------------------------------------------------------


class ValueAndGrad(Derivative):
    """See `value_and_grad`."""

    verb = "value_and_grad"

    def __init__(
        self, fun: Callable[..., Any], argnums: Any, has_aux: bool, holomorphic: bool, argnames: Any
    ) -> None:
        super().__init__(fun, argnums, argnames, has_aux=has_aux, holomorphic=holomorphic)
        self.has_aux = has_aux
        self.holomorphic = holomorphic

    def evaluate(self, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        """Return the value, the gradients and aux."""
        keys, single = self.choose(args, kwargs)
        inputs = Inputs(self.fun, self.verb, keys, args, kwargs)
        if self.holomorphic:
            check_complex(self.verb, inputs.values)
        checks: list[Any] = []  # the function may reach its arguments under other names, and write
        values = [protect(x, checks, ARGUMENT_COPY_BYTES) for x in inputs.values]
        tape = new_tape()
        try:
            out = inputs.call(self.fun, [tape.input(x) for x in values])
            out, aux = split_aux(self.verb, self.fun, out) if self.has_aux else (out, None)
            check_scalar(self.verb, self.fun, out, self.holomorphic)
        finally:
            tape.close()
        verify(checks)
        cts: list[Any] = [None] * len(inputs.values)
        if isinstance(out, TapeTracer) and out._trace is tape:
            seed = out.dtype.type(1)
            try:
                cts = backward(tape, [(out.node, seed)], list(range(len(cts))))
            except Exception as error:
                run = functools.partial(inputs.call, self.fun)
                name_forward_line(error, tape, inputs.values, run)
                raise
        aux = values_of(tape, aux) if self.has_aux else None
        return value_of(tape, out), inputs.gradients(cts, single), aux

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value, grads, aux = self.evaluate(args, kwargs)
        return ((value, aux) if self.has_aux else value), grads


class Grad(ValueAndGrad):
    """See `grad`."""

    verb = "grad"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _, grads, aux = self.evaluate(args, kwargs)
        return (grads, aux) if self.has_aux else grads


@boundary
def grad(
    fun: Callable[..., Any],
    argnums: int | tuple[int, ...] | None = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: str | tuple[str, ...] | None = None,
) -> Callable[..., Any]:
    """Return a function that gives the gradient of a scalar function.

    Parameters
    ----------
    fun : callable
        Written in plain NumPy; returns a real scalar. Its arguments may be arrays, Python floats
        and pytrees (tuples, lists, dicts, dataclasses, ...) of them.
    argnums : int or tuple of int, optional
        The positional arguments to differentiate; the first by default.
    has_aux : bool, optional
        If true, `fun` returns ``(loss, aux)``, and the result is ``(gradient, aux)``.
    holomorphic : bool, optional
        If true, inputs and output are complex and `fun` is holomorphic; the result is its complex
        derivative.
    argnames : str or tuple of str, optional
        The arguments to differentiate, by name; alone or in addition to `argnums`.

    Returns
    -------
    callable
        Takes the arguments of `fun`; returns a pytree like the chosen argument (a tuple of them for
        a tuple), each leaf with its argument's shape and dtype. Where `fun` does not depend on an
        argument, the gradient is zero.

    Raises
    ------
    NonScalarOutputError
        If `fun` does not return a real scalar. A `TypeError`.
    NonDifferentiableError
        If a chosen argument has a leaf that is not floating-point. A `TypeError`.
    ArgumentError
        If `argnums` or `argnames` do not fit the call. A `ValueError` and a `TypeError`.

    Notes
    -----
    For complex arguments of a real function the convention is JAX's: the gradient g of z = x + iy
    is df/dx - i df/dy, so that a step down is ``z - lr * g.conj()``.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad
    >>> def loss(w, x):
    ...     return np.sum(np.tanh(x @ w) ** 2)
    >>> grad(loss)(np.zeros(2), np.ones((3, 2)))
    array([0., 0.])
    >>> grad(grad(np.sin))(0.5) == -np.sin(0.5)
    np.True_
    """
    return Grad(fun, argnums, has_aux, holomorphic, argnames)


@boundary
def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | tuple[int, ...] | None = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: str | tuple[str, ...] | None = None,
) -> Callable[..., Any]:
    """Return a function that gives the value and the gradient of a scalar function in one pass.

    Parameters and errors are those of `grad`.

    Returns
    -------
    callable
        Returns ``(value, gradient)``, or ``((value, aux), gradient)`` with `has_aux`.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import value_and_grad
    >>> value_and_grad(lambda x: x**3)(2.0)
    (np.float64(8.0), np.float64(12.0))
    """
    return ValueAndGrad(fun, argnums, has_aux, holomorphic, argnames)


# --- vjp -----------------------------------------------------------------------------------------


class Pullback:
    """The linear map from cotangents of an output to cotangents of the primals; see `vjp`."""

    def __init__(
        self, fun: Any, tape: Tape, inputs: Inputs, outputs: list[Any], treedef: Any
    ) -> None:
        self.fun, self.tape, self.inputs = fun, tape, inputs
        self.outputs, self.treedef = outputs, treedef

    def __repr__(self) -> str:
        return f"<pullback of {name_of(self.fun)}>"

    @boundary
    def __call__(self, *cotangents: Any) -> Any:
        if len(cotangents) != 1:
            raise fail(
                ArgumentError,
                f"{self!r} takes one cotangent, a pytree like the output, but {len(cotangents)} came.",
                "pass a tuple if the output is one: pullback((ct_a, ct_b))",
            )
        (ct,) = cotangents
        cts = tree.flatten_like(self.treedef, ct, f"the cotangent of `{name_of(self.fun)}`")
        paths = tree.paths(self.treedef)
        seeds = []
        for x, out, path in zip(cts, self.outputs, paths, strict=True):
            where = f" at {path}" if path else ""
            x = own(match(x, out, f"the cotangent of `{name_of(self.fun)}`{where}", "the output"))
            if isinstance(out, TapeTracer) and out._trace is self.tape:
                seeds.append((out.node, x))
        try:
            grads = backward(self.tape, seeds, list(range(len(self.inputs.values))))
        except Exception as error:
            run = functools.partial(self.inputs.call, self.fun)
            name_forward_line(error, self.tape, self.inputs.values, run)
            raise
        return self.inputs.gradients(grads, single=False)


@boundary
def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the output of a function and its vector-Jacobian product.

    Parameters
    ----------
    fun : callable
        Returns a pytree of arrays.
    *primals : pytree
        The arguments of `fun`; all are differentiated.
    has_aux : bool, optional
        If true, `fun` returns ``(output, aux)``.

    Returns
    -------
    out : pytree
    pullback : callable
        ``pullback(ct)`` takes a pytree like `out`, each leaf of the shape of its output, and
        returns a tuple with a pytree per primal. May be called any number of times.
    aux : pytree
        Only with `has_aux`.

    Raises
    ------
    NonDifferentiableError
        If a primal has a leaf that is not floating-point.
    StructureError, ShapeError
        From the pullback, if the cotangent does not match the output.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import vjp
    >>> out, pullback = vjp(np.multiply, np.array([1.0, 2.0]), 3.0)
    >>> pullback(np.ones(2))
    (array([3., 3.]), np.float64(3.0))
    """
    check_callable("vjp", fun, "vjp(f, x)")
    inputs = Inputs(fun, "vjp", list(range(len(primals))), primals, {})
    inputs.values = [own(x) for x in inputs.values]
    tape = new_tape()
    try:
        out = inputs.call(fun, [tape.input(x) for x in inputs.values])
    finally:
        tape.close()
    out, aux = split_aux("vjp", fun, out) if has_aux else (out, None)
    outputs, treedef = tree.flatten(out)
    check_arrays("vjp", fun, outputs, tape)
    pullback = Pullback(fun, tape, inputs, outputs, treedef)
    values = tree.unflatten(treedef, [value_of(tape, x) for x in outputs])
    if not has_aux:
        return values, pullback
    return values, pullback, values_of(tape, aux)


# --- jvp -----------------------------------------------------------------------------------------


@boundary
def jvp(
    fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False
) -> tuple[Any, ...]:
    """Return the output of a function and its Jacobian-vector product, in one forward pass.

    Parameters
    ----------
    fun : callable
        Returns a pytree of arrays.
    primals : tuple or list of pytrees
        The arguments of `fun`; all are differentiated.
    tangents : tuple or list of pytrees
        The direction: like `primals`, leaf by leaf of the same shape and dtype.
    has_aux : bool, optional
        If true, `fun` returns ``(output, aux)``.

    Returns
    -------
    out : pytree
    tangent_out : pytree
        Like `out`; zero for outputs that are not floating-point.
    aux : pytree
        Only with `has_aux`.

    Raises
    ------
    ArgumentError
        If primals or tangents are not tuples of the same length.
    NonDifferentiableError, StructureError, ShapeError
        If a primal is not floating-point, or the tangents do not match the primals.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import jvp
    >>> jvp(np.multiply, (2.0, 3.0), (1.0, 0.0))
    (np.float64(6.0), np.float64(3.0))
    """
    inputs, flat = _paired(fun, primals, tangents)
    out, pushed, aux = push_forward(fun, inputs, flat, has_aux, zero_stays_zero=False)
    if any([has_nan(t) for t in tree.leaves(pushed)]):
        out, pushed, aux = push_forward(fun, inputs, flat, has_aux, zero_stays_zero=True)
    return (out, pushed, aux) if has_aux else (out, pushed)


def _paired(fun: Any, primals: Any, tangents: Any) -> tuple[Inputs, list[Any]]:
    check_tuples("jvp", fun, primals, tangents)
    inputs = Inputs(fun, "jvp", list(range(len(primals))), tuple(primals), {})
    return inputs, directions(fun, "tangent", inputs, tangents)


def directions(fun: Any, what: str, inputs: Inputs, tangents: Any) -> list[Any]:
    """Return the leaves of tangents, each matched with the leaf of its primal."""
    flat = []
    values = iter(inputs.values)
    for key, treedef, tangent in zip(inputs.keys, inputs.treedefs, tangents, strict=True):
        leaves = tree.flatten_like(treedef, tangent, f"the {what} of `{name_of(fun)}`")
        for i, t in enumerate(leaves):
            # Named only in an error: 5 us of 15 that a jvp takes.
            name = functools.partial(_name_direction, what, fun, key, inputs.args[key], i)
            flat.append(match(t, next(values), name, "its primal"))
    return flat


def _name_direction(what: str, *leaf: Any) -> str:
    return f"the {what} of {label_of(*leaf)}"


def push_forward(
    fun: Any, inputs: Inputs, flat: list[Any], has_aux: bool, zero_stays_zero: bool
) -> Any:
    """Run `fun` in forward mode; return outputs, tangents and aux."""
    trace = new_forward(zero_stays_zero)
    try:
        tracers = [paired(own(x), trace, own(t)) for x, t in zip(inputs.values, flat, strict=True)]
        out = inputs.call(fun, tracers)
        out, aux = split_aux("jvp", fun, out) if has_aux else (out, None)
    finally:
        trace.close()
    leaves, treedef = tree.flatten(out)
    check_arrays("jvp", fun, leaves, trace)
    aux = values_of(trace, aux)
    mine = [isinstance(x, ForwardTracer) and x._trace is trace for x in leaves]
    values = [_unshared(x.value) if is_mine else x for x, is_mine in zip(leaves, mine, strict=True)]
    tangents = [
        np.zeros(np.shape(x), np.result_type(x))[()]
        if not is_mine or x.tangent is None
        else _as_number(_unshared(x.tangent))
        for x, is_mine in zip(leaves, mine, strict=True)
    ]
    return tree.unflatten(treedef, values), tree.unflatten(treedef, tangents), aux


def _unshared(x: Any) -> Any:
    """Return an array to which only its tracer refers as it is, and of any other a copy."""
    if type(x) is np.ndarray and is_free(x, TEMPORARY + 1):  # the tracer
        return x
    return own(x)


def _as_number(t: Any) -> Any:
    return t[()] if isinstance(t, np.ndarray) and not t.shape else t


# --- linearize -----------------------------------------------------------------------------------


class Pushforward:
    """The linear map from tangents of the primals to tangents of an output; see `linearize`.

    It is the transpose of the pullback: a second tape, recorded while the pullback ran once, that
    each call walks backwards. The function itself runs just once.
    """

    def __init__(self, pullback: "Pullback") -> None:
        self.fun, self.inputs, self.treedef = pullback.fun, pullback.inputs, pullback.treedef
        self.outputs = [value_of(pullback.tape, x) for x in pullback.outputs]
        self.tape = new_tape()
        cts = [self.tape.input(nonzero(x)) for x in self.outputs]
        seeds = [
            (x.node, ct)
            for x, ct in zip(pullback.outputs, cts, strict=True)
            if isinstance(x, TapeTracer) and x._trace is pullback.tape
        ]
        self.grads = backward(pullback.tape, seeds, list(range(len(self.inputs.values))))
        self.tape.close()

    def __repr__(self) -> str:
        return f"<pushforward of {name_of(self.fun)}>"

    @boundary
    def __call__(self, *tangents: Any) -> Any:
        if len(tangents) != len(self.inputs.keys):
            raise fail(
                ArgumentError,
                f"{self!r} takes {len(self.inputs.keys)} tangents, but {len(tangents)} came.",
                "pass one tangent per primal",
            )
        flat = directions(self.fun, "tangent", self.inputs, tangents)
        seeds = [
            (g.node, t)
            for g, t in zip(self.grads, flat, strict=True)
            if isinstance(g, TapeTracer) and g._trace is self.tape
        ]
        pushed = backward(self.tape, seeds, list(range(len(self.outputs))))
        return tree.unflatten(
            self.treedef,
            [
                np.zeros(np.shape(x), np.result_type(x))[()] if t is None else _as_number(own(t))
                for t, x in zip(pushed, self.outputs, strict=True)
            ],
        )


@boundary
def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the output of a function and its Jacobian-vector product as a function of the tangents.

    Parameters
    ----------
    fun : callable
        Returns a pytree of arrays. It runs once.
    *primals : pytree
        The arguments of `fun`; all are differentiated.
    has_aux : bool, optional
        If true, `fun` returns ``(output, aux)``.

    Returns
    -------
    out : pytree
    pushforward : callable
        ``pushforward(*tangents)`` takes a pytree like each primal and returns one like `out`. May
        be called any number of times, each at about the cost of a backward pass.
    aux : pytree
        Only with `has_aux`.

    Raises
    ------
    NonDifferentiableError
        If a primal has a leaf that is not floating-point.
    StructureError, ShapeError
        From the pushforward, if the tangents do not match the primals.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import linearize
    >>> out, pushforward = linearize(np.sin, 0.0)
    >>> pushforward(2.0)
    np.float64(2.0)
    """
    check_callable("linearize", fun, "linearize(f, x)")
    out, pullback, *aux = vjp(fun, *primals, has_aux=has_aux)
    return out, Pushforward(pullback), *aux
