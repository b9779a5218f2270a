"""Jacobians and Hessians: one vectorised pass over a basis of directions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.arguments import (
    Derivative,
    Inputs,
    check_arrays,
    check_chunk_size,
    check_complex,
    check_tuples,
    describe,
    name_of,
    split_aux,
)
from funcgrad.errors import NonDifferentiableError, fail
from funcgrad.mapping import vmap
from funcgrad.tracebacks import boundary
from funcgrad.transforms import grad, jvp, vjp


class Jacobian(Derivative):
    """See `jacrev`."""

    verb = "jacrev"

    def __init__(
        self,
        fun: Callable[..., Any],
        argnums: Any,
        has_aux: bool,
        holomorphic: bool,
        argnames: Any,
        chunk_size: int | None,
    ) -> None:
        shown = {} if chunk_size is None else {"chunk_size": chunk_size}
        super().__init__(fun, argnums, argnames, has_aux=has_aux, holomorphic=holomorphic, **shown)
        check_chunk_size(self, chunk_size)
        self.has_aux, self.holomorphic, self.chunk_size = has_aux, holomorphic, chunk_size

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        keys, single = self.choose(args, kwargs)
        inputs = Inputs(self.fun, self.verb, keys, args, kwargs)
        if self.holomorphic:
            check_complex(self.verb, inputs.values)
        outputs: list[Any] = []

        def flat_fun(*leaves: Any) -> Any:
            out = inputs.call(self.fun, list(leaves))
            out, extra = split_aux(self.verb, self.fun, out) if self.has_aux else (out, None)
            flat, treedef = tree.flatten(out)
            self._check_outputs(flat)
            outputs[:] = [treedef]
            return flat, extra

        blocks, extra = self.blocks(flat_fun, inputs.values)
        jacobian = tree.unflatten(
            outputs[0],
            [self._arrange(inputs, row, single) for row in blocks],
        )
        return (jacobian, extra) if self.has_aux else jacobian

    def _arrange(self, inputs: Inputs, row: list[Any], single: bool) -> Any:
        trees = inputs.build(row)
        return trees[0] if single else tuple(trees)

    def _check_outputs(self, flat: list[Any]) -> None:
        check_arrays(self.verb, self.fun, flat)
        for x in flat:
            kind = np.result_type(x).kind
            if self.holomorphic and kind != "c":
                raise fail(
                    NonDifferentiableError,
                    f"{self.verb} with holomorphic=True needs complex outputs, but `{name_of(self.fun)}` "
                    f"returned {describe(x)}.",
                    "leave holomorphic=True out for real functions of complex arguments",
                )
            if kind == "c" and not self.holomorphic and self.verb == "jacrev":
                raise fail(
                    NonDifferentiableError,
                    f"jacrev: `{name_of(self.fun)}` returned a complex output, {describe(x)}.",
                    "write holomorphic=True for a holomorphic function, or return real and imaginary parts",
                )

    def blocks(self, fun: Any, values: list[Any]) -> Any:
        """Return, per output, the list of its Jacobians by each input; and aux."""
        out, pullback, aux = vjp(fun, *values, has_aux=True)
        rows = []
        for i, y in enumerate(out):
            basis = _basis(y)
            zeros = [np.zeros(np.shape(z), np.result_type(z)) for z in out]
            row = vmap(
                lambda ct, i=i, zeros=zeros: pullback(
                    [ct if j == i else z for j, z in enumerate(zeros)]
                ),
                chunk_size=self.chunk_size,
            )(basis)
            rows.append(
                [_block(g, np.shape(y) + np.shape(x)) for g, x in zip(row, values, strict=True)]
            )
        return rows, aux


class ForwardJacobian(Jacobian):
    """See `jacfwd`."""

    verb = "jacfwd"

    def blocks(self, fun: Any, values: list[Any]) -> Any:
        if not self.holomorphic:
            for x in values:
                if x.dtype.kind == "c":
                    raise fail(
                        NonDifferentiableError,
                        f"jacfwd of a complex input, {describe(x)}.",
                        "write holomorphic=True for a holomorphic function, or use jacrev",
                    )
        columns = []
        aux: Any = None
        for i, x in enumerate(values):

            def push(t: Any, i: int = i) -> Any:
                nonlocal aux
                tangents = [
                    t if j == i else np.zeros(np.shape(z), z.dtype) for j, z in enumerate(values)
                ]
                _, pushed, aux = jvp(fun, values, tangents, has_aux=True)
                return [_inexact(p) for p in pushed]

            column = vmap(push, out_axes=-1, chunk_size=self.chunk_size)(_basis(x))
            columns.append([_block(t, t.shape[:-1] + np.shape(x)) for t in column])
        if not columns:
            out, aux = fun()
            return [[] for _ in out], aux
        return [list(row) for row in zip(*columns, strict=True)], aux


def _inexact(t: Any) -> Any:
    return t if t.dtype.kind in "fc" else t.astype(np.float64)


def _block(x: Any, shape: tuple[int, ...]) -> Any:
    x = x.reshape(shape)
    return x[()] if isinstance(x, np.ndarray) and not shape else x


def _basis(x: Any) -> Any:
    """Return the unit arrays of the shape and dtype of `x`, along a leading axis."""
    dtype = np.result_type(x)
    dtype = dtype if dtype.kind in "fc" else np.dtype(np.float64)
    size = int(np.prod(np.shape(x), dtype=int))
    return np.eye(size, dtype=dtype).reshape((size, *np.shape(x)))


@boundary
def jacrev(
    fun: Callable[..., Any],
    argnums: int | tuple[int, ...] | None = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: str | tuple[str, ...] | None = None,
    chunk_size: int | None = None,
) -> Any:
    """Return a function that gives the Jacobian, row by row in reverse mode (vectorised).

    The quicker way where there are fewer outputs than inputs.

    Parameters
    ----------
    fun : callable
        Returns a pytree of arrays.
    argnums : int or tuple of int, optional
        The positional arguments to differentiate; the first by default.
    has_aux : bool, optional
        If true, `fun` returns ``(output, aux)``, and the result is ``(jacobian, aux)``.
    holomorphic : bool, optional
        If true, inputs and outputs are complex and `fun` is holomorphic.
    argnames : str or tuple of str, optional
        The arguments to differentiate, by name.
    chunk_size : int, optional
        The most rows to compute at a time: bounds the memory.

    Returns
    -------
    callable
        Returns a pytree like the output; in the place of each leaf y a pytree like the argument (a
        tuple of them for a tuple), with a block of shape ``y.shape + x.shape`` in the place of each
        leaf x.

    Raises
    ------
    NonDifferentiableError
        If a chosen argument has a leaf that is not floating-point, or an output is no array.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import jacrev
    >>> jacrev(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """
    return Jacobian(fun, argnums, has_aux, holomorphic, argnames, chunk_size)


@boundary
def jacfwd(
    fun: Callable[..., Any],
    argnums: int | tuple[int, ...] | None = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: str | tuple[str, ...] | None = None,
    chunk_size: int | None = None,
) -> Any:
    """Return a function that gives the Jacobian, column by column in forward mode (vectorised).

    The quicker way where there are no more inputs than outputs. Parameters, result and errors are
    those of `jacrev`.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import jacfwd
    >>> jacfwd(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """
    return ForwardJacobian(fun, argnums, has_aux, holomorphic, argnames, chunk_size)


jacobian = jacrev


class Hessian(Derivative):
    """See `hessian`."""

    verb = "hessian"

    def __init__(
        self,
        fun: Callable[..., Any],
        argnums: Any,
        has_aux: bool,
        holomorphic: bool,
        argnames: Any,
        chunk_size: int | None,
    ) -> None:
        shown = {} if chunk_size is None else {"chunk_size": chunk_size}
        super().__init__(fun, argnums, argnames, has_aux=has_aux, holomorphic=holomorphic, **shown)
        check_chunk_size(self, chunk_size)
        self.has_aux = has_aux
        inner = jacrev(fun, argnums, has_aux, holomorphic, argnames=argnames)
        self.outer = jacfwd(
            inner, argnums, has_aux, holomorphic, argnames=argnames, chunk_size=chunk_size
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.outer(*args, **kwargs)


@boundary
def hessian(
    fun: Callable[..., Any],
    argnums: int | tuple[int, ...] | None = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: str | tuple[str, ...] | None = None,
    chunk_size: int | None = None,
) -> Any:
    """Return a function that gives the matrix of second derivatives: forward over reverse, vectorised.

    Parameters are those of `jacrev`.

    Returns
    -------
    callable
        For a scalar function of an array x the result has shape ``x.shape + x.shape``; for pytrees,
        a pytree of blocks as JAX arranges them: output, first argument, second argument.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import hessian
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([2.0, 3.0]))
    array([[6., 4.],
           [4., 0.]])
    """
    return Hessian(fun, argnums, has_aux, holomorphic, argnames, chunk_size)


@boundary
def hvp(fun: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """Return the product of the Hessian of a scalar function with a vector: forward over reverse.

    Parameters
    ----------
    fun : callable
        Returns a real scalar.
    primals : tuple or list of pytrees
        The arguments of `fun`; all are differentiated.
    tangents : tuple or list of pytrees
        The vector, like `primals`.

    Returns
    -------
    pytree
        Like the argument for one primal, a tuple for several.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import hvp
    >>> hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([6., 0.])
    """
    check_tuples("hvp", fun, primals, tangents)
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    _, product = jvp(grad(fun, argnums), primals, tangents)
    return product
