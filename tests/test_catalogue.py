"""The catalogue of mistakes: what can be passed wrongly, and that the message says what, where and how to fix it."""

import ast
import re
import traceback
from pathlib import Path

import numpy as np
import pytest

import funcgrad
from funcgrad import (
    checkpoint,
    custom_jvp,
    custom_vjp,
    grad,
    hessian,
    hvp,
    implicit,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    nn,
    tree,
    vjp,
    vmap,
)
from funcgrad.errors import (
    ArgumentError,
    CheckError,
    NonDifferentiableError,
    NonScalarOutputError,
    ShapeError,
    StructureError,
    TracerConversionError,
)
from funcgrad.testing import check_grads

X = np.array([1.0, 2.0, 3.0])
M = np.eye(3) + 1.0
PACKAGE = str(Path(funcgrad.__file__).parent)


def f(x):
    return np.sum(x * x)


def two(x, y):
    return np.sum(x * y)


def by_vjp(fwd, bwd):
    """Return the square with this rule."""
    fun = custom_vjp(lambda x: x * x)
    fun.defvjp(fwd, bwd)
    return fun


def by_jvp(rule):
    """Return the square with this rule."""
    fun = custom_jvp(lambda x: x * x)
    fun.defjvp(rule)
    return fun


def fwd(x):
    return x * x, x


def bwd(x, ct):
    return (2 * x * ct,)


def root(solver, residual=lambda x: x):
    return implicit.root(residual, solver)


MISTAKES = {
    ArgumentError: [
        (lambda: grad(3), "grad takes a function, not int 3"),
        (lambda: grad(f)(*()), "needs at least 1 positional arguments, but 0 came"),
        (lambda: grad(two, argnums=1)(X), "needs at least 2 positional arguments, but 1 came"),
        (lambda: grad(f, argnums="x"), "must be an int or a tuple of ints"),
        (lambda: grad(f, argnames=1), "must be a str or a tuple"),
        (lambda: grad(f, argnames="y")(X), "no argument 'y' came"),
        (lambda: grad(f, has_aux=True)(X), "must return a pair"),
        (lambda: vjp(3, X), "vjp takes a function, not int 3"),
        (lambda: vjp(f, X)[1](*()), "takes one cotangent, a pytree like the output, but 0 came"),
        (lambda: vjp(f, X)[1](1.0, 2.0), "but 2 came"),
        (lambda: jvp(3, (X,), (X,)), "jvp takes a function"),
        (lambda: jvp(f, X, X), "takes a tuple of primals, one per argument, not an array"),
        (lambda: jvp(f, {"x": X}, {"x": X}), "a tuple of primals, one per argument, not dict"),
        (lambda: jvp(f, (X,), ()), "got 1 primals and 0 tangents"),
        (lambda: linearize("f", X), "linearize takes a function, not str 'f'"),
        (lambda: linearize(f, X)[1](X, X), "takes 1 tangents, but 2 came"),
        (lambda: hvp(3, (X,), (X,)), "hvp takes a function"),
        (lambda: hvp(f, X, X), "hvp of `f` takes a tuple of primals"),
        (lambda: hvp(f, (X,), ()), "hvp of `f` got 1 primals and 0 tangents"),
        (lambda: jacrev(f, chunk_size=0), "chunk_size of jacrev(f, argnums=0, chunk_size=0)"),
        (lambda: jacfwd(f, chunk_size=1.5), "an int of at least 1, not float 1.5"),
        (lambda: hessian(f, chunk_size="all"), "chunk_size of hessian"),
        (lambda: vmap(f, chunk_size=True), "chunk_size of vmap"),
        (lambda: vmap(f, in_axes="x"), "must be an int, None, a tuple"),
        (lambda: vmap(f, in_axes=1.0), "must be an int, None, a tuple"),
        (lambda: vmap(f, in_axes=("x",))(M), "in_axes for x must be an int or None, not str"),
        (lambda: vmap(f, in_axes=None)(M), "has no mapped argument"),
        (lambda: vmap(f, in_axes={"z": 0})(M), "names 'z', but the arguments are x"),
        (lambda: vmap(f, out_axes="x")(M), "must hold ints and None, not str 'x'"),
        (lambda: vmap(f, out_axes=None)(M), "depends on a mapped argument"),
        (lambda: vmap(f, fallback="row"), 'must be None or "loop"'),
        (lambda: vmap(f)(*()), "has no mapped argument"),
        (lambda: custom_vjp(3), "custom_vjp takes a function"),
        (lambda: custom_vjp(f, "x"), "must be an int or a tuple of ints"),
        (lambda: custom_jvp(f, 1.5), "must be an int or a tuple of ints"),
        (lambda: grad(custom_vjp(f))(X), "has no derivative rule yet"),
        (lambda: by_vjp(3, 4), "defvjp of custom_vjp(<lambda>) takes fwd, bwd, but got int 3"),
        (lambda: by_vjp(fwd, None), "but got NoneType None"),
        (lambda: by_jvp(3), "defjvp of custom_jvp(<lambda>) takes rule, but got int 3"),
        (lambda: grad(lambda x: by_vjp(fwd, bwd)(x, x))(1.0), "too many positional arguments"),
        (lambda: grad(lambda x: by_vjp(fwd, bwd)(y=x))(1.0), "missing a required argument: 'x'"),
        (lambda: checkpoint(3), "checkpoint takes a function"),
        (lambda: implicit.root(3, 4), "root takes a function, not int 3"),
        (lambda: root(4), "the solver of root(<lambda>) takes a function, not int 4"),
        (lambda: root(lambda g, x: x)("a"), "has a leaf that is no number: str 'a'"),
        (lambda: root(lambda g, x: x)(X, b=1.0), "got an unexpected keyword argument 'b'"),
        (lambda: check_grads(3, (X,)), "check_grads takes a function"),
        (lambda: check_grads(f, X), "takes a tuple of arguments, not an array"),
        (lambda: check_grads(f, (X,), order=0), "order must be an int of at least 1, not 0"),
        (lambda: check_grads(f, (X,), order="two"), "order must be an int of at least 1"),
        (lambda: check_grads(f, (X,), modes="up"), "modes must be among 'fwd' and 'rev'"),
        (lambda: check_grads(f, (X,), modes=3), "modes must be among 'fwd' and 'rev'"),
        (lambda: check_grads(f, (X,), eps="a"), "eps must be a positive number, not str 'a'"),
        (lambda: check_grads(f, (X,), atol=-1.0), "atol must be a positive number"),
        (lambda: check_grads(f, (X,), eps=0), "eps must not be 0"),
        (lambda: tree.unflatten(3, [1.0]), "needs a TreeDef, but got 3"),
        (lambda: tree.register_node(3, None, None), "needs a class, but got 3"),
        (lambda: nn.Linear(-1, 3), "in_dim of Linear is a positive integer, but got -1"),
        (lambda: nn.Linear(2, 3).init(0), "needs a numpy.random.Generator, but got 0"),
        (lambda: nn.Sequential(3), "has no init and apply"),
    ],
    StructureError: [
        (lambda: vjp(f, X)[1](None), "the cotangent of `f` does not match at the root"),
        (lambda: jvp(f, (X,), (None,)), "the tangent of `f` does not match at the root"),
        (lambda: vmap(f, in_axes=(0, 0))(M), "has 2 entries, but 1 positional arguments came"),
        (lambda: vmap(f, in_axes=({"a": 0},))(M), "does not match at the root"),
        (lambda: vmap(f, out_axes=(0, 0))(M), "does not match at the root"),
        (lambda: grad(by_vjp(lambda x: x, bwd))(1.0), "must return (output, residuals)"),
        (lambda: grad(by_vjp(fwd, lambda x, ct: ct))(1.0), "must return a tuple of 1 cotangents"),
        (lambda: grad(by_vjp(fwd, lambda x, ct: (ct, ct)))(1.0), "but it returned 2"),
        (lambda: grad(by_vjp(fwd, lambda x, ct: ({"a": ct},)))(1.0), "does not match at the root"),
        (lambda: jvp(by_vjp(fwd, lambda x, ct: (ct**2,)), (1.0,), (1.0,)), "is not linear"),
        (lambda: grad(by_jvp(lambda p, t: p[0]))(1.0), "must return (output, tangent)"),
        (lambda: grad(by_jvp(lambda p, t: (p[0], None)))(1.0), "does not match at the root"),
        (lambda: grad(by_jvp(lambda p, t: (p[0], t[0] ** 2)))(1.0), "is not linear"),
        (lambda: root(lambda g, x: None)(X), "what the solver of root(<lambda>) returned"),
        (lambda: tree.unflatten(tree.structure([1.0]), [1.0, 2.0]), "got 2 leaves for"),
        (lambda: tree.map(np.add, [1.0], {"a": 1.0}), "does not match at the root"),
    ],
    ShapeError: [
        (lambda: vjp(f, X)[1](X), "has shape (3,), but the output has shape ()"),
        (lambda: jvp(f, (X,), (1.0,)), "has shape (), but its primal has shape (3,)"),
        (lambda: linearize(f, X)[1]("a"), "is str 'a', not an array"),
        (lambda: vmap(f)(1.0), "it is float 1.0 and has no axis"),
        (lambda: vmap(f)(["a"]), "x[0] is mapped over axis 0, but it is str 'a'"),
        (lambda: vmap(f, in_axes=5)(M), "in_axes for x is 5, but the array has shape (3, 3)"),
        (lambda: vmap(f, out_axes=3)(M), "is 3, but the array has shape (3,)"),
        (lambda: vmap(two)(M, M[:2]), "x has size 3 along axis 0; y has size 2 along axis 0"),
        (lambda: vmap(f, fallback="loop")(M[:0]), "needs at least one example"),
        (lambda: grad(by_vjp(fwd, lambda x, ct: (X,)))(1.0), "of shape (3,) for an argument"),
        (lambda: grad(by_vjp(fwd, lambda x, ct: ("a",)))(1.0), "is str 'a', not an array"),
        (lambda: grad(by_vjp(fwd, lambda x, ct: (1j * ct,)))(1.0), "is complex128, but its"),
        (lambda: grad(by_jvp(lambda p, t: (p[0], X)))(1.0), "has shape (3,), but the output"),
        (lambda: root(lambda g, x: x[:2])(X), "returned an array of shape (2,) for a start"),
        (lambda: nn.Linear(3, 2).apply((M, X), X), "needs w and b of shapes (3, 2) and (2,)"),
    ],
    NonDifferentiableError: [
        (lambda: grad(f)(2), "grad of x, int 2"),
        (lambda: grad(f)(f), "grad of x, function"),
        (lambda: jacfwd(f)("a"), "jacfwd of x, str 'a'"),
        (lambda: grad(f, holomorphic=True)(X), "needs complex inputs"),
        (lambda: vjp(lambda x: "a", X), "returned str 'a', not an array"),
        (lambda: jacrev(lambda x: "a")(X), "returned str 'a', not an array"),
        (lambda: hessian(lambda x: x * 1j)(X), "returned a complex output"),
        (lambda: vmap(lambda x: "a")(M), "returned str 'a', not an array"),
        (lambda: check_grads(f, (1,)), "check_grads of an argument, int 1"),
        (lambda: check_grads(lambda x: "a", (X,)), "returned str 'a', not an array"),
    ],
    NonScalarOutputError: [
        (lambda: grad(lambda x: x)(X), "returned an array of shape (3,), float64"),
        (lambda: grad(lambda x: None)(X), "returned NoneType None"),
        (lambda: grad(f)(X * 1j), "returned a complex number"),
        (lambda: hvp(lambda x: x, (X,), (X,)), "returned an array of shape (3,), float64"),
    ],
    TracerConversionError: [
        (lambda: vmap(lambda x: x if x > 0 else -x)(X), "the truth value of a mapped value"),
        (lambda: vmap(lambda x: x[: int(x[0])])(M), "int() of a mapped value"),
        (lambda: vmap(lambda x: x[x > 1.0])(M), "selecting entries by a mapped mask"),
        (lambda: jvp(by_vjp(fwd, lambda x, ct: (float(ct),)), (1.0,), (1.0,)), "float()"),
    ],
    CheckError: [
        (lambda: check_grads(by_vjp(fwd, lambda x, ct: (ct * x,)), (2.0,)), "is wrong at entry"),
    ],
}
CASES = [(cls, call, what) for cls, cases in MISTAKES.items() for call, what in cases]


def test_every_error_in_the_source_says_how_to_fix_it():
    for file in sorted(Path(funcgrad.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "fail":
                given = len(node.args) >= 3 or "fix" in [word.arg for word in node.keywords]
                assert given, f"{file.name}:{node.lineno}: fail(...) without a fix"


@pytest.mark.parametrize(("cls", "call", "what"), CASES, ids=[what for *_, what in CASES])
def test_a_mistake_is_explained(cls, call, what):
    state = np.geterr()
    with pytest.raises(cls) as info:
        call()
    first, *rest = str(info.value).splitlines()
    assert what in first
    places = [line for line in rest if line.startswith("  at ")]
    assert len(places) == 1
    assert re.match(r"  at test_catalogue\.py:\d+ in \S+: \S", places[0])
    assert len([line for line in rest if line.startswith("  Fix: ")]) == 1
    assert np.geterr() == state
    assert grad(grad(lambda x: x**3))(2.0) == 12


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: grad(two)(X), "two() missing 1 required positional argument: 'y'"),
        (lambda: grad(f)(X, X), "f() takes 1 positional argument but 2 were given"),
        (lambda: vjp(f), "f() missing 1 required positional argument: 'x'"),
        (lambda: grad(by_vjp(bwd, fwd))(1.0), "bwd() missing 1 required positional argument"),
        (lambda: grad(by_vjp(fwd, fwd))(1.0), "fwd() takes 1 positional argument but 2 were"),
    ],
)
def test_a_function_that_cannot_be_called_so_is_pythons_error_and_names_the_function(call, what):
    with pytest.raises(TypeError, match=re.escape(what)) as info:
        call()
    frames = traceback.extract_tb(info.value.__traceback__)
    assert not [frame for frame in frames if frame.filename.startswith(PACKAGE)]
