"""debug_nans raises at the first NaN that a transform makes, with the operation and the line."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from funcgrad import (
    FuncgradError,
    checkpoint,
    custom_jvp,
    custom_vjp,
    debug_nans,
    grad,
    hessian,
    implicit,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    nn,
    stop_gradient,
    tree,
    value_and_grad,
    vjp,
    vmap,
)
from funcgrad.errors import NonFiniteError
from funcgrad.reverse import Tape, TapeTracer
from tests.samples import SAMPLES

X = np.array([1.0, -1.0, 2.0])
BATCH = np.stack([X, X])


def loss(x):
    y = x * 2.0
    y = np.log(y)
    return np.sum(y)


def caught(call, infinities=False):
    with pytest.raises(NonFiniteError) as info, debug_nans(infinities):
        call()
    return info.value


def assert_names(error, operation, source):
    """Check what the message names; the line comes from this file."""
    first, where, fix = str(error).splitlines()
    assert operation in first
    assert where.startswith("  at test_nans.py:")
    assert source in where
    assert fix.startswith("  Fix: ")


FORWARD = {
    "grad": lambda: grad(loss)(X),
    "value_and_grad": lambda: value_and_grad(loss)(X),
    "vjp": lambda: vjp(loss, X),
    "jvp": lambda: jvp(loss, (X,), (X,)),
    "linearize": lambda: linearize(loss, X),
    "vmap": lambda: vmap(loss)(BATCH),
    "vmap in chunks": lambda: vmap(loss, chunk_size=1)(BATCH),
    "jacrev": lambda: jacrev(loss)(X),
    "jacfwd": lambda: jacfwd(loss)(X),
    "hessian": lambda: hessian(loss)(X),
    "grad of grad": lambda: grad(lambda x: np.sum(grad(loss)(x)))(X),
    "vmap of grad": lambda: vmap(grad(loss))(BATCH),
    "grad of vmap": lambda: grad(lambda x: np.sum(vmap(loss)(x)))(BATCH),
    "jvp of grad": lambda: jvp(grad(loss), (X,), (X,)),
}


@pytest.mark.parametrize("call", FORWARD.values(), ids=FORWARD)
def test_a_nan_of_the_forward_computation_raises_at_its_line(call):
    assert_names(caught(call), "`log` made a NaN, in entry [", "in loss: y = np.log(y)")


def test_the_error_is_one_of_ours_and_a_floating_point_error():
    error = caught(lambda: grad(loss)(X))
    assert isinstance(error, FuncgradError)
    assert isinstance(error, FloatingPointError)
    assert "entry [1] of its result of shape (3,)" in str(error)


OPERATIONS = {
    "divide": lambda x: (x - x) / (x - x),
    "subtract": lambda x: x / 0.0 - x / 0.0,
    "multiply": lambda x: (x / 0.0) * 0.0,
    "matmul": lambda x: (x / 0.0) @ np.zeros((3, 3)),
    "sqrt": lambda x: np.sqrt(-(x**2)),
    "power": lambda x: (-(x**2)) ** 0.5,
    "arccos": lambda x: np.arccos(x + 10.0),
    "sum": lambda x: np.sum(np.array([1.0, -1.0, 1.0]) * x**2 / 0.0),
    "einsum": lambda x: np.einsum("i,i->", x**2 / 0.0, np.zeros(3)),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_of_every_kind_are_looked_at(operation):
    fun = OPERATIONS[operation]
    for call in (lambda: vjp(fun, X), lambda: jvp(fun, (X,), (X,)), lambda: vmap(fun)(BATCH)):
        assert f"`{operation}` made" in str(caught(call)) or operation in ("power", "matmul")


# --- the backward pass and tangents --------------------------------------------------------------


def cancel(x):
    a = np.sqrt(x)  # its derivative is infinite at 0
    b = np.sqrt(x * 1.0)
    return np.sum(a - b)


BACKWARD = {
    "grad": lambda: grad(cancel)(np.zeros(2)),
    "a pullback": lambda: vjp(cancel, np.zeros(2))[1](1.0),
    "jacrev": lambda: jacrev(cancel)(np.zeros(2)),
    "vmap of grad": lambda: vmap(grad(cancel))(np.zeros((3, 2))),
    "grad of grad": lambda: grad(lambda x: np.sum(grad(cancel)(x)))(np.zeros(2)),
    "hessian": lambda: hessian(cancel)(np.zeros(2)),
}


@pytest.mark.parametrize("call", BACKWARD.values(), ids=BACKWARD)
def test_a_nan_of_the_backward_pass_names_the_line_of_the_forward_pass(call):
    assert np.isfinite(cancel(np.zeros(2)))
    error = caught(call)
    assert_names(error, "made a NaN", "in cancel: ")
    assert "np.sqrt(x" in str(error) or "np.sum(a - b)" in str(error)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_an_operation_without_a_record_lends_its_name_to_none():
    def fun(x):
        steps = np.floor(x)
        return np.sum(rooted(x) + steps)

    error = caught(lambda: grad(fun)(np.ones(3)))
    assert "floor" not in str(error).splitlines()[0]
    assert "rooted(x)" in str(error)


def test_a_tangent_that_is_nan_names_its_line():
    error = caught(lambda: jvp(cancel, (np.zeros(2),), (np.ones(2),)))
    assert "in cancel: np.sum(a - b)" in str(error).replace("return ", "")
    error = caught(lambda: jacfwd(cancel)(np.zeros(2)))
    assert "in cancel:" in str(error)


def test_a_pushforward_is_looked_at():
    error = caught(lambda: linearize(cancel, np.zeros(2))[1](np.ones(2)))
    assert "made a NaN" in str(error)


def test_what_the_repair_of_zeros_removes_does_not_raise():
    norm = lambda x: np.sqrt(np.sum(x**2))  # noqa: E731  # infinity times zero inside the rule
    with debug_nans():
        assert grad(norm)(np.zeros(2)).tolist() == [0, 0]
        assert jvp(norm, (np.zeros(2),), (np.ones(2),))[1] == 0
        assert grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)))(np.zeros(2)).tolist() == [
            0,
            0,
        ]
        assert jacrev(norm)(np.zeros(2)).tolist() == [0, 0]
        assert vmap(grad(norm))(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]
        assert grad(grad(lambda y: y**3))(0.0) == 0


def test_a_nan_that_was_there_before_does_not_raise():
    x = np.array([1.0, np.nan])
    with debug_nans():
        assert np.isnan(grad(lambda t: np.sum(t * t))(x)).tolist() == [False, True]
        assert np.isnan(vmap(np.sin)(x)).tolist() == [False, True]
        assert np.isnan(jvp(np.sin, (x,), (x,))[1]).tolist() == [False, True]
        assert np.isnan(grad(lambda t: np.sum(t * x))(np.ones(2))).tolist() == [False, True]
        assert np.isnan(vjp(np.sin, np.ones(2))[1](x)[0]).tolist() == [False, True]


def test_a_dead_branch_is_computed_and_raises():
    error = caught(lambda: grad(lambda x: np.sum(np.where(x > 0, np.log(x), 0.0)))(X))
    assert "`log`" in str(error)


# --- functions with rules of their own -----------------------------------------------------------


@custom_vjp
def rooted(x):
    return np.sqrt(x)


rooted.defvjp(lambda x: (np.sqrt(x), x), lambda x, ct: (ct * (x - 1.0) / (x - 1.0),))


@custom_jvp
def pushed(x):
    return np.sqrt(x)


pushed.defjvp(lambda xs, ts: (np.sqrt(xs[0]), ts[0] * (xs[0] - 1.0) / (xs[0] - 1.0)))


@pytest.mark.filterwarnings("ignore:invalid value")
def test_functions_with_rules_of_their_own_are_looked_at():
    def of(fun):
        def use(x):
            y = fun(x)
            return np.sum(y)

        return use

    for fun, name in ((rooted, "rooted"), (pushed, "pushed")):
        assert_names(caught(lambda f=fun: grad(of(f))(X)), f"`{name}` made", "y = fun(x)")
        assert "made a NaN" in str(caught(lambda f=fun: vmap(of(f))(BATCH)))
    assert_names(caught(lambda: grad(of(rooted))(np.ones(3))), "rule of its own", "y = fun(x)")
    error = caught(lambda: jvp(of(pushed), (np.ones(3),), (X,)))
    assert_names(error, "the derivative of `pushed`", "y = fun(x)")


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_checkpoint_is_looked_at_as_one_operation():
    error = caught(lambda: grad(lambda x: checkpoint(loss)(x) * 2.0)(X))
    assert_names(error, "`loss` made a NaN", "checkpoint(loss)(x)")


def test_inside_a_checkpoint_the_backward_pass_names_the_line_inside():
    error = caught(lambda: grad(lambda x: checkpoint(cancel)(x))(np.zeros(2)))  # noqa: PLW0108
    assert "in cancel: " in str(error)


# --- infinities ----------------------------------------------------------------------------------


def test_infinities_raise_if_asked_for():
    def inverse(x):
        return np.sum(1.0 / x)

    zero = np.zeros(2)
    with debug_nans(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert grad(inverse)(zero).tolist() == [-np.inf, -np.inf]
    assert_names(
        caught(lambda: grad(inverse)(zero), infinities=True), "`divide` made an infinity", "1.0 / x"
    )
    error = caught(lambda: grad(lambda x: np.sum(np.sqrt(x)))(zero), infinities=True)
    assert "the backward pass of `sqrt` made an infinity" in str(error)
    error = caught(lambda: grad(np.exp)(1000.0), infinities=True)
    assert "`exp` made an infinity" in str(error)
    with debug_nans(infinities=True):
        assert grad(lambda x: x * x)(np.inf) == np.inf  # was there before
        assert jvp(lambda x: np.sum(x**2), (zero,), (zero,)) == (0, 0)


# --- the block -----------------------------------------------------------------------------------


def test_blocks_nest_and_the_innermost_holds():
    inverse = lambda x: 1.0 / x  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with debug_nans(infinities=True):
            with debug_nans():
                assert grad(inverse)(0.0) == -np.inf
            with pytest.raises(NonFiniteError):
                grad(inverse)(0.0)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_an_exception_ends_the_block():
    caught(lambda: grad(loss)(X))
    assert np.isnan(loss(X))
    assert grad(loss)(X).tolist() == [1, -1, 0.5]
    with pytest.raises(ZeroDivisionError), debug_nans():
        grad(lambda x: 1 / 0)(1.0)
    assert grad(loss)(X).tolist() == [1, -1, 0.5]


@pytest.mark.filterwarnings("ignore:invalid value")
def test_plain_numpy_and_calls_outside_of_the_block_are_left_alone():
    with debug_nans():
        assert np.isnan(loss(X))
        _, pullback = vjp(cancel, np.zeros(2))
    assert np.isnan(pullback(1.0)[0]).all()  # called outside


def test_without_the_block_the_tape_is_the_plain_one():
    seen = []
    grad(lambda x: (seen.append(x), x * x)[1])(1.0)
    assert type(seen[0]) is TapeTracer
    assert type(seen[0]._trace) is Tape


def test_results_are_those_without_the_block(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    params = model.init(rng)
    x, labels = rng.standard_normal((5, 3)), np.array([0, 1, 1, 0, 1])

    def objective(p):
        out = model.apply(p, x)
        table = np.zeros_like(out)
        for i in range(len(labels)):
            table[i] += out[i] * 2.0
        return nn.softmax_cross_entropy(table, labels) + np.linalg.norm(table)

    plain = grad(objective)(params)
    with debug_nans(infinities=True):
        watched = grad(objective)(params)
    # to rounding: in the block, layers take their NumPy code in the place of their passes by hand
    np.testing.assert_allclose(
        np.concatenate(flat(plain)), np.concatenate(flat(watched)), rtol=1e-13
    )


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if not s.constant and not s.raises], ids=lambda s: s.name
)
def test_derivatives_of_every_function_are_those_without_the_block(sample):
    chosen = [
        i for i, x in enumerate(sample.args) if isinstance(x, np.ndarray) and x.dtype.kind == "f"
    ]

    def fun(*xs):
        args = list(sample.args)
        for i, x in zip(chosen, xs, strict=True):
            args[i] = x
        return sample(*args)

    def derivatives():
        xs = [sample.args[i] for i in chosen]
        out, pullback = vjp(fun, *xs)
        cts = tree.map(np.ones_like, out)
        return pullback(cts), jvp(fun, xs, [np.cos(x) for x in xs])

    plain = derivatives()
    with debug_nans():
        watched = derivatives()
    for a, b in zip(tree.leaves(plain), tree.leaves(watched), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9)


def flat(params):
    return [np.ravel(leaf) for layer in params for leaf in (layer or ())]


def test_results_are_plain_and_stop_gradient_and_solvers_work(rng):
    def newton(g, x):
        for _ in range(20):
            x = x - g(x) / jacfwd(g)(x)
        return x

    solve = implicit.root(lambda x, a: x * x - a, newton)
    with debug_nans():
        assert type(grad(lambda x: np.sum(x * stop_gradient(x)))(X)) is np.ndarray
        assert np.isclose(grad(solve, argnums=1)(1.0, 4.0), 0.25)


# --- threads -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_block_holds_in_its_own_thread_alone():
    results = []
    with debug_nans():
        thread = threading.Thread(target=lambda: results.append(grad(loss)(X)))
        thread.start()
        thread.join()
    assert results[0].tolist() == [1, -1, 0.5]


def test_threads_differentiate_at_once_with_the_block_in_some():
    start = threading.Barrier(6)

    def work(k):
        rng = np.random.default_rng(k)
        start.wait()
        for _ in range(15):
            x = rng.standard_normal(4)
            expected = -np.sin(x) * x + 2 * np.cos(x)
            fun = lambda t: np.sum(np.sin(t) * t)  # noqa: E731
            if k % 2:
                with debug_nans():
                    got = np.diag(hessian(fun)(x))
                    with pytest.raises(NonFiniteError):
                        grad(lambda t: np.sum(np.log(-(t**2))))(x)
            else:
                with np.errstate(invalid="ignore"):
                    got = np.diag(hessian(fun)(x))
                    assert np.allclose(grad(lambda t: np.sum(np.log(-(t**2))))(x), 2 / x)
            assert np.allclose(got, expected)
            assert np.allclose(vmap(grad(np.sin))(x), np.cos(x))
            with pytest.raises(TypeError):
                grad(lambda t: t)(x)
        return k

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == list(range(6))
