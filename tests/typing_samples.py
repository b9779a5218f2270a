"""Every public name, used as a caller would: `tests/test_typing.py` runs mypy --strict on it.

What can be known of a result is asserted; the gradient of a function is like its argument, which no annotation of
Python's can say, so it is Any.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from funcgrad import (
    FuncgradError,
    checkpoint,
    custom_jvp,
    custom_vjp,
    debug_nans,
    draw_graph,
    errors,
    explain,
    full_tracebacks,
    grad,
    hessian,
    hvp,
    implicit,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    make_tape,
    nn,
    primitives,
    profile,
    stop_gradient,
    testing,
    tree,
    value_and_grad,
    vjp,
    vmap,
)

Array = NDArray[np.float64]
X: Array = np.array([1.0, 2.0])


@dataclass
class Point:
    """A dataclass is a pytree."""

    x: Array


def loss(w: Array, scale: float = 1.0) -> np.float64:
    """Return a scalar."""
    value: np.float64 = np.sum(w * w) * scale
    return value


def transforms() -> None:
    """Derivatives and batches."""
    assert_type(grad(loss), Callable[..., Any])
    gradient: Array = grad(loss)(X, scale=2.0)
    both: tuple[Array, float] = grad(loss, argnums=(0, 1))(X, 2.0)
    named: Array = grad(loss, argnames="w")(w=gradient)
    value, slope = value_and_grad(loss, has_aux=False, holomorphic=False)(X)
    out, pullback = vjp(loss, X)
    (ct,) = pullback(1.0)
    out, pullback, aux = vjp(lambda w: (loss(w), w), X, has_aux=True)
    out, tangent = jvp(loss, (X,), (X,))
    out, _pushforward = linearize(loss, X)
    out, _pushforward, aux = linearize(lambda w: (loss(w), w), X, has_aux=True)
    assert_type(linearize(loss, X), tuple[Any, ...])
    rows: Array = jacrev(np.sin, chunk_size=10)(X)
    columns: Array = jacfwd(np.sin, argnums=0)(X)
    square: Array = jacobian(np.sin)(X)
    second: Array = hessian(loss)(X)
    product: Array = hvp(loss, (X,), (X,))
    mapped: Array = vmap(loss, in_axes=(0, None), out_axes=0, chunk_size=2)(rows, 1.0)
    nested: Array = vmap(grad(loss), in_axes={"w": 0})(columns)
    print(both, named, value, slope, ct, out, tangent, aux, square, second, product, mapped, nested)


@custom_vjp
def clipped(x: Array, limit: float) -> Array:
    """Return the argument."""
    return x


clipped.defvjp(lambda x, limit: (x, limit), lambda limit, ct: (np.clip(ct, -limit, limit), None))


@custom_jvp
def softplus(x: Array) -> Array:
    """Return log(1 + exp(x))."""
    return np.logaddexp(0.0, x)


@softplus.defjvp
def softplus_rule(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """Return value and tangent."""
    return softplus(primals[0]), tangents[0] / (1 + np.exp(-primals[0]))


@checkpoint
def block(x: Array, times: int = 2) -> Array:
    """Return a chain of sines."""
    for _ in range(times):
        x = np.sin(x)
    return x


def rules() -> None:
    """Functions with rules keep their types where they can."""
    assert_type(block(X, times=3), Array)
    assert_type(stop_gradient(X), Array)
    assert_type(stop_gradient({"w": 1.0}), dict[str, float])
    y: Array = clipped(softplus(X), 1.0)
    solve = implicit.root(lambda x, a: x * x - a, lambda g, x: x)
    settle = implicit.fixed_point(lambda x, a: np.cos(x) * a, lambda g, x: x)
    solution: float = solve(1.0, 4.0) + settle(1.0, 0.5)
    mish = primitives.elementwise(lambda x: x * np.tanh(x), lambda x: x, name="mish")
    total = primitives.primitive("total", np.sum, vjp=(lambda ct, x_shape: ct * np.ones(x_shape),))
    print(y, solution, mish(X), total(X))


def pytrees() -> None:
    """Pytrees."""
    leaves, structure = tree.flatten({"w": X, "b": Point(X)})
    assert_type(structure, tree.TreeDef)
    params: dict[str, Any] = tree.unflatten(structure, leaves)
    doubled: dict[str, Any] = tree.map(lambda x: 2 * x, params)
    assert_type(tree.leaves(doubled), list[Any])
    size: int = tree.reduce(lambda n, x: n + x.size, doubled, 0)
    flat, unravel = tree.ravel(doubled)
    print(tree.structure(params), size, unravel(flat))


def networks() -> None:
    """Layers, losses, optimisers."""
    model = nn.Sequential(nn.Linear(2, 25), nn.ReLU(), nn.Linear(25, 3), nn.Softmax(axis=-1))
    params = model.init(np.random.default_rng(0))

    def objective(p: Any) -> Any:
        return nn.softmax_cross_entropy(model.apply(p, X[None]), np.array([1]))

    optimizer = nn.SGD(0.1)
    state = optimizer.init(params)
    params, state = optimizer.update(grad(objective)(params), state, params)
    print(nn.sgd(params, grad(objective)(params), 0.1), state)


def trouble() -> None:
    """Errors, checks and what helps to find them."""
    testing.check_grads(loss, (X,), order=2, modes=("fwd", "rev"), eps=1e-6)
    try:
        with debug_nans(infinities=True), full_tracebacks():
            grad(loss)(X)
    except errors.NonFiniteError as error:
        assert_type(error, errors.NonFiniteError)
    except FuncgradError as error:
        print(error.args)


def inspections() -> None:
    """What looks inside a program."""
    tape = make_tape(loss, argnums=0)(X, scale=2.0)
    names: list[str] = [operation.name for operation in tape]
    kept: int = tape.kept
    source: str = draw_graph(loss, argnames="w", most=50)(w=X).source
    lines: list[str] = [str(finding.where) for finding in explain(loss)(X).findings]
    seconds: list[float] = [cost.seconds for cost in profile(loss, repeats=1)(X).by_line()]
    print(names, kept, source, lines, seconds)
