"""What a derivative keeps in memory, how its cost grows, and how deep and how parallel it may go."""

import gc
import math
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

from funcgrad import grad, hvp, jvp, linearize, value_and_grad, vjp, vmap
from funcgrad.backward import each_edge
from funcgrad.core import HANDLERS
from funcgrad.primitives import writing

N = 20_000  # entries of an array: 160 kB, far above the size of a node
ARRAY = 8 * N


def arrays_in(x, found=None):
    """Return the distinct arrays inside nested tuples and lists."""
    found = {} if found is None else found
    if isinstance(x, np.ndarray):
        found[id(x)] = x
    elif isinstance(x, (tuple, list)):
        for y in x:
            arrays_in(y, found)
    return found


def kept(fun, *args):
    """Return the arrays that the tape of a call keeps."""
    _, pullback = vjp(fun, *args)
    return list(arrays_in(pullback.tape.edges).values())


def peak(call):
    """Return the most bytes that a call had allocated at a time, and the bytes it left."""
    gc.collect()
    tracemalloc.start()
    try:
        result = call()
        left, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most, left, result


def repeat(step, k):
    """Return a function that applies a step k times."""

    def chain(x):
        y = x
        for _ in range(k):
            y = step(y, x)
        return y

    return chain


# --- what the tape keeps -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        lambda y, x: y + x,
        lambda y, x: y + 1.0,
        lambda y, x: 1.0 - y,
        lambda y, x: y - x,
        lambda y, x: -y,
        lambda y, x: y + np.ones(N),
        lambda y, x: 2.0 * y,
        lambda y, x: y / 2.0,
        np.add,
        lambda y, x: y[::-1],
        lambda y, x: y.reshape(2, -1).T.reshape(-1),
        lambda y, x: y.sum() + x,
        lambda y, x: np.concatenate([y[:10], x[10:]]),
        lambda y, x: np.mean(y) + y,
    ],
)
def test_a_chain_of_linear_steps_keeps_no_array(step):
    assert kept(repeat(step, 20), np.ones(N)) == []


@pytest.mark.parametrize("step", [np.tanh, np.expm1, np.sqrt, np.reciprocal, lambda y: np.exp(-y)])
def test_a_chain_of_functions_that_know_their_slope_keeps_one_array_per_step(step):
    arrays = kept(repeat(lambda y, x: step(y), 20), np.full(N, 1e-3))
    assert len(arrays) == 20
    assert all(a.nbytes == ARRAY for a in arrays)


@pytest.mark.parametrize("step", [np.sin, np.cos, np.square, np.abs, lambda y: y**2])
def test_a_chain_of_functions_that_need_their_argument_keeps_one_array_per_step(step):
    assert len(kept(repeat(lambda y, x: step(y), 20), np.ones(N) / 2)) == 20


def test_a_product_keeps_its_factors_and_not_itself():
    x, w = np.ones(N), np.full(N, 2.0)
    assert len(kept(lambda a, b: a * b, x, w)) == 2
    assert len(kept(lambda a: a * w, x)) == 1
    assert len(kept(lambda a: 3.0 * (a * w), x)) == 1


def test_only_what_is_differentiated_is_recorded():
    x, w = np.ones((30, 20)), np.ones((20, 10))
    _, pullback = vjp(lambda w: x @ w, w)
    ((_, parent, *_),) = each_edge(pullback.tape.edges)
    assert parent == 0  # an edge to w, none to x
    assert [a.shape for a in kept(lambda w: x @ w, w)] == [(30, 20)]


def test_comparisons_and_counts_are_not_recorded():
    def fun(t):
        np.argmax(t), np.floor(t), t > 0, np.isnan(t), t.astype(int), np.sign(t), t.shape, len(t)
        return t

    assert vjp(fun, np.ones(3))[1].tape.nodes == 1


@pytest.mark.parametrize("k", [10, 40])
def test_the_memory_of_a_chain_of_additions_does_not_grow(k):
    x = np.ones(N)
    most, left, result = peak(lambda: grad(lambda t: repeat(lambda y, x: y + x, k)(t).sum())(x))
    assert result[0] == k + 1
    assert most < 6 * ARRAY
    assert left < 2 * ARRAY


@pytest.mark.parametrize("k", [10, 40])
def test_the_memory_of_a_chain_of_tanh_is_one_array_per_step(k):
    x = np.ones(N)
    most, left, _ = peak(lambda: grad(lambda t: repeat(lambda y, x: np.tanh(y), k)(t).sum())(x))
    assert k * ARRAY < most < (k + 8) * ARRAY
    assert left < 2 * ARRAY


def test_a_pullback_keeps_the_tape_and_frees_it_when_it_goes():
    x = np.ones(N)
    _, left, (_, pullback) = peak(lambda: vjp(repeat(lambda y, x: np.tanh(y), 20), x))
    assert 20 * ARRAY < left < 25 * ARRAY
    record = weakref.ref(arrays_in(pullback.tape.edges).popitem()[1])
    gc.disable()  # the memory must go without the help of the cycle collector
    try:
        del pullback, _
        assert record() is None
    finally:
        gc.enable()


def test_a_gradient_leaves_no_garbage_for_the_cycle_collector():
    held = []

    def loss(t):
        weights = np.ones(100)
        held.append(weakref.ref(weights))
        return np.sum(np.tanh(weights * t) @ weights)

    gc.collect()
    gc.disable()
    try:
        for transform in (grad, value_and_grad, lambda f: grad(grad(f)), lambda f: grad(f, (0,))):
            transform(loss)(2.0)
            assert held[-1]() is None
    finally:
        gc.enable()


def test_many_gradients_leave_no_objects():
    gradient = grad(lambda t: np.sum(np.tanh(t) ** 2 + t[0] * t[::-1]))
    x = np.ones(5)
    gradient(x)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        gradient(x)
    gc.collect()
    assert len(gc.get_objects()) <= before + 5


def test_a_loss_in_training_does_not_keep_the_tape():
    held = []

    def loss(t):
        y = np.tanh(t)
        held.append(weakref.ref(y.value))  # the array behind the traced value
        return y.sum()

    losses = [value_and_grad(loss)(np.ones(1000))[0] for _ in range(3)]
    gc.collect()
    assert losses[0] == pytest.approx(1000 * math.tanh(1.0))
    assert [ref() for ref in held] == [None] * 3


# --- how the cost grows --------------------------------------------------------------------------


class Counter:
    """Counts the entries that NumPy's makers of arrays are asked for."""

    def __init__(self, monkeypatch):
        self.entries = 0
        for name in ("zeros", "empty", "full", "array", "zeros_like", "empty_like", "broadcast_to"):
            monkeypatch.setattr(np, name, self.counting(getattr(np, name)))
        monkeypatch.setattr(np, "add", Add(self))

    def counting(self, fun):
        def counted(*args, **kwargs):
            result = fun(*args, **kwargs)
            self.entries += result.size
            return result

        return counted


class Add:
    """np.add, which counts the entries that it writes into an array of its own or a given one."""

    def __init__(self, counter):
        self.counter, self.add = counter, np.add

    def __call__(self, *args, **kwargs):
        result = self.add(*args, **kwargs)
        self.counter.entries += result.size
        return result

    def __getattr__(self, name):
        return getattr(self.add, name)


def reads(t):
    total = 0.0
    for i in range(len(t)):
        total = total + t[i] * t[i]
    return total


def iterates(t):
    return sum(a * a for a in t)


def reads_pairs(t):
    total = 0.0
    for i in range(len(t) - 1):
        total = total + np.sum(t[i : i + 2])
    return total


def reads_by_array(t):
    total = 0.0
    for i in range(len(t)):
        total = total + np.sum(t[np.array([i])])
    return total


@pytest.mark.parametrize(
    ("fun", "n"), [(reads, 2000), (iterates, 500), (reads_pairs, 500), (reads_by_array, 500)]
)
def test_a_loop_that_reads_entries_writes_each_of_them_a_few_times(fun, n, monkeypatch):
    written = []
    for size in (n, 10 * n):
        pullback = vjp(fun, np.ones(size))[1]
        with monkeypatch.context() as patch:
            counter = Counter(patch)
            pullback(1.0)
        written.append(counter.entries)
    assert written[0] <= 20 * n  # and not n ** 2
    assert written[1] <= 11 * written[0]


@pytest.mark.parametrize("fun", [reads, iterates])
def test_the_memory_of_a_loop_that_reads_entries_grows_with_their_number(fun):
    x = np.ones(3000)
    fewer, _, _ = peak(lambda: grad(fun)(x[:300]))
    more, _, result = peak(lambda: grad(fun)(x))
    assert more < 15 * fewer
    assert np.array_equal(result, 2 * x)


def writes_rows(x):
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = np.sin(x[i])
    return y


def writes_rows_it_reads(x):
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = y[i - 1] * 0.5 + x[i] * x[0]
    return y


def writes_numbers(x):
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i, 1] = x[i, 0] ** 2
        y[i, 0] += y[i, 1]
    return y


def energy(fun):
    return lambda x: np.sum(fun(x) ** 2)


AT_ONCE = {
    "jvp": lambda f, x, v: jvp(f, (x,), (v,))[1],
    "hvp": lambda f, x, v: hvp(energy(f), (x,), (v,)),
    "vmap": lambda f, x, v: vmap(f)(np.stack([x, v]))[0],
    "vmap of grad": lambda f, x, v: vmap(grad(energy(f)))(np.stack([x, v]))[0],
    "vmap of jvp": lambda f, x, v: vmap(lambda x, v: jvp(f, (x,), (v,))[1])(
        np.stack([x, v]), np.stack([v, x])
    )[0],
    "vmap of hvp": lambda f, x, v: vmap(lambda v: hvp(energy(f), (x,), (v,)))(np.stack([v, x]))[0],
    "pushforward": lambda f, x, v: linearize(f, x)[1](v),
    "vmap of vmap": lambda f, x, v: vmap(vmap(f))(np.stack([x, v])[:, None])[0, 0],
    "third order": lambda f, x, v: jvp(lambda x: hvp(energy(f), (x,), (v,)), (x,), (v,))[1],
}
PLAIN = {  # the same by grad, vjp and central differences
    "jvp": lambda f, x, v: (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6,
    "hvp": lambda f, x, v: slope(grad(energy(f)), x, v),
    "vmap": lambda f, x, v: f(x),
    "vmap of grad": lambda f, x, v: grad(energy(f))(x),
}
PLAIN |= {"pushforward": PLAIN["jvp"], "vmap of jvp": PLAIN["jvp"], "vmap of hvp": PLAIN["hvp"]}
PLAIN |= {"vmap of vmap": PLAIN["vmap"]}


def slope(g, x, v):
    return (g(x + 1e-6 * v) - g(x - 1e-6 * v)) / 2e-6


@pytest.mark.parametrize("fun", [writes_rows, writes_rows_it_reads, writes_numbers])
@pytest.mark.parametrize("transform", AT_ONCE)
def test_a_loop_that_writes_rows_copies_the_array_a_few_times(transform, fun, monkeypatch, rng):
    x, v = rng.uniform(0.1, 0.9, (2, 24, 2))
    expected = PLAIN.get(transform)
    large = []

    def counted(primitive):
        def compute(x, *args, _fun=primitive.fun, **settings):
            result = _fun(x, *args, **settings)
            large.append(result.size >= 48)
            return result

        return compute

    for primitive in (writing.put, HANDLERS["scatter"]):
        monkeypatch.setattr(primitive, "fun", counted(primitive))
    got = AT_ONCE[transform](fun, x, v)
    if expected is not None:
        assert np.allclose(got, expected(fun, x, v), rtol=1e-5, atol=1e-6)
    assert sum(large) <= 24  # and not for each of the 24 rows, several times


def test_the_number_of_nodes_is_the_number_of_operations():
    for k in (10, 100):
        _, pullback = vjp(repeat(lambda y, x: y * 1.5, k), 1.0)
        assert pullback.tape.nodes == k + 1
        assert len(list(each_edge(pullback.tape.edges))) == k


# --- depth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (lambda y, x: y + 1e-5 * x, 1.5),
        (lambda y, x: y * 1.00001, math.exp(50_000 * math.log(1.00001))),
        (lambda y, x: np.sin(y), None),
    ],
)
def test_a_chain_of_50_000_operations_differentiates(step, expected):
    gradient = grad(repeat(step, 50_000))(1.0)
    if expected is None:
        expected, y = 1.0, 1.0
        for _ in range(50_000):
            expected, y = expected * math.cos(y), math.sin(y)
    assert gradient == pytest.approx(expected, rel=1e-9)


def test_a_chain_of_5_000_operations_differentiates_twice():
    second = grad(grad(repeat(lambda y, x: y * 1.0001 + 1e-4 * x * x, 5_000)))(1.0)
    expected = sum(2e-4 * 1.0001**k for k in range(5_000))
    assert second == pytest.approx(expected, rel=1e-9)


def test_the_pullback_of_a_long_chain_is_freed_without_recursion():
    _, pullback = vjp(repeat(lambda y, x: y * 1.0 + x, 50_000), 1.0)
    assert pullback(1.0) == (50_001,)
    del pullback
    gc.collect()


# --- threads -------------------------------------------------------------------------------------


def run_at_once(work, count=8):
    """Run work(k) in threads that start together; return the results."""
    results, failures = [None] * count, []
    barrier = threading.Barrier(count)

    def run(k):
        barrier.wait()
        try:
            results[k] = work(k)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return results


def test_eight_threads_differentiate_at_once():
    def work(k):
        def loss(t):
            return np.sum(t**3) * k + grad(lambda u: k * u * u * t[0])(1.0)

        return [grad(loss)(np.arange(1.0, 5.0)) for _ in range(30)]

    for k, found in enumerate(run_at_once(work)):
        expected = 3 * k * np.arange(1.0, 5.0) ** 2 + np.array([2.0 * k, 0, 0, 0])
        for gradient in found:
            np.testing.assert_allclose(gradient, expected)


def test_eight_threads_share_one_pullback_and_one_transform():
    x = np.arange(1.0, 9.0)
    _, pullback = vjp(lambda t: t**2 + t[0], x)
    gradient = grad(lambda t, k: np.sum(t**2) * t[k])

    def work(k):
        return [(pullback(np.eye(8)[k])[0], gradient(x, k)) for _ in range(30)]

    for k, found in enumerate(run_at_once(work)):
        unit = np.eye(8)[k]
        for pulled, slope in found:
            np.testing.assert_allclose(pulled, 2 * x * unit + np.eye(8)[0])
            np.testing.assert_allclose(slope, 2 * x * x[k] + np.sum(x**2) * unit)


def test_an_error_in_one_thread_does_not_reach_the_others():
    def work(k):
        for _ in range(30):
            if k % 2:
                with pytest.raises(TypeError):
                    grad(float)(1.0)
            else:
                assert grad(lambda t: t * t)(1.0 + k) == 2 + 2 * k
        return k

    assert run_at_once(work) == list(range(8))


def test_a_function_may_differentiate_in_threads_of_its_own():
    def loss(t):
        results = run_at_once(lambda k: grad(lambda u: u * u * t * k)(t), count=4)
        return sum(results)  # 2 k t^2 each

    assert grad(loss)(3.0) == 4 * 3.0 * (0 + 1 + 2 + 3)


# --- high orders ---------------------------------------------------------------------------------


def tanh_4(x):
    t = np.tanh(x)
    return 8 * t * (1 - t**2) * (2 - 3 * t**2)


def cube_times_sine_4(x):
    return (x**3 - 36 * x) * np.sin(x) + (24 - 12 * x**2) * np.cos(x)


def softplus_4(x):
    s = 1 / (1 + np.exp(-x))
    return s * (1 - s) * (1 - 6 * s + 6 * s**2)


@pytest.mark.parametrize("x", [-1.7, -0.3, 0.0, 0.4, 2.5])
@pytest.mark.parametrize(
    ("fun", "fourth"),
    [
        (np.tanh, tanh_4),
        (lambda x: x**3 * np.sin(x), cube_times_sine_4),
        (lambda x: np.log(1 + np.exp(x)), softplus_4),
    ],
)
def test_fourth_derivatives_agree_with_the_closed_forms(fun, fourth, x):
    assert grad(grad(grad(grad(fun))))(x) == pytest.approx(fourth(x), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize(
    ("fun", "fourth"),
    [
        (np.tanh, tanh_4),
        (lambda x: x**3 * np.sin(x), cube_times_sine_4),
        (lambda x: np.log(1 + np.exp(x)), softplus_4),
    ],
)
def test_fourth_derivatives_of_arrays_agree_entry_by_entry(fun, fourth):
    derivative = fun
    for _ in range(4):
        derivative = grad(lambda t, f=derivative: np.sum(f(t)))
    x = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(derivative(x), fourth(x), rtol=1e-11, atol=1e-12)
