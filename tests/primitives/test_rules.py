"""Every function with a rule, with every transform: the rows are in `tests/samples.py`.

Derivatives are compared with central differences along random directions. A cotangent `ct` and a
tangent `t` pair as Re(sum(ct * t)), without conjugation, for complex arrays too.
"""

from itertools import chain, combinations, cycle

import numpy as np
import pytest

from funcgrad import FuncgradError, jvp, vjp, vmap
from funcgrad.core import CREATORS, HANDLERS, METHOD_HANDLERS, Primitive, Tracer
from funcgrad.primitives import REGISTRY
from tests.samples import SAMPLES, name_of

STEP = 2e-4
PRECISE, ROUNDING, SINGLE = 2e-8, 1e-11, 2e-4

SMOOTH = [s for s in SAMPLES if not s.constant and not s.raises]
CONSTANT = [s for s in SAMPLES if s.constant]
REFUSED = [s for s in SAMPLES if s.raises]
MAPPED = [s for s in SAMPLES if s.vmap and not s.raises]
ELEMENTWISE = [
    s for s in SMOOTH if isinstance(s.key, np.ufunc) and s.key.signature is None and not s.once
]

# Pairs of shapes that broadcast, 0-d and empty ones among them.
SHAPES = [
    ((3, 1), (4,)),
    ((4,), (3, 1)),
    ((), (4,)),
    ((2, 3), ()),
    ((), ()),
    ((0,), (1,)),
    ((3,), (0, 3)),
]


def each(samples):
    return pytest.mark.parametrize("sample", samples, ids=[s.name for s in samples])


# --- arguments -----------------------------------------------------------------------------------


def is_differentiable(x):
    return isinstance(x, np.ndarray) and x.dtype.kind in "fc"


def places(args, wanted=is_differentiable):
    return [i for i, x in enumerate(args) if wanted(x)]


def subsets(items):
    """Return every non-empty subset."""
    return list(chain.from_iterable(combinations(items, n + 1) for n in range(len(items))))


def in_dtype(x, dtype):
    """Return a float array in another dtype; complex ones get a phase between 0.3 and 0.6."""
    if not is_differentiable(x) or np.dtype(dtype).kind == "f":
        return x.astype(dtype) if is_differentiable(x) else x
    phase = 0.3 + 0.05 * (np.arange(x.size) % 7).reshape(x.shape)
    return (x * np.exp(1j * phase)).astype(dtype)


def arguments(sample, dtype=np.float64):
    return tuple([in_dtype(x, dtype) for x in sample.args])


def of_some(fun, args, chosen):
    """Return `fun` as a function of the chosen arguments, the others fixed."""

    def some(*xs):
        full = list(args)
        for i, x in zip(chosen, xs, strict=True):
            full[i] = x
        return fun(*full)

    return some, [args[i] for i in chosen]


def argument_sets(sample):
    """Return the arguments in double precision: real, complex, and some real, some complex."""
    real = sample.args
    if not sample.complex:
        return [real]
    full = arguments(sample, np.complex128)
    mixed = [(*real[:i], full[i], *real[i + 1 :]) for i in places(real) if len(places(real)) > 1]
    return [real, full, *mixed]


# --- results -------------------------------------------------------------------------------------


def parts(out):
    """Return an output as a list of arrays."""
    return list(out) if isinstance(out, (tuple, list)) else [out]


def like(out, new):
    """Return a list of arrays in the container that `out` is."""
    return type(out)(new) if isinstance(out, (tuple, list)) else new[0]


def random_like(out, seed):
    """Return random arrays of the shapes and dtypes of an output; zeros for whole numbers."""
    rng = np.random.default_rng(seed)
    return like(out, [_random(rng, np.asarray(x)) for x in parts(out)])


def _random(rng, x):
    if x.dtype.kind not in "fc":
        return np.zeros(x.shape)
    values = rng.uniform(-1, 1, x.shape)
    if x.dtype.kind == "c":
        values = values + 1j * rng.uniform(-1, 1, x.shape)
    return np.asarray(values).astype(x.dtype)


def central_difference(fun, xs, vs):
    """Return the derivative along `vs`, to fourth order in the step."""

    def moved(t):
        return parts(fun(*[x + t * v for x, v in zip(xs, vs, strict=True)]))

    samples = [moved(t * STEP) for t in (1, -1, 2, -2)]
    return [
        (8 * (a - b) - (c - d)) / (12 * STEP)
        if np.result_type(a).kind in "fc"
        else np.zeros(np.shape(a))
        for a, b, c, d in zip(*samples, strict=True)
    ]


def pairing(cts, ts):
    """Return Re(sum(ct * t)) and the size of its terms."""
    terms = [np.asarray(ct * t).real for ct, t in zip(parts(cts), parts(ts), strict=True)]
    return sum(np.sum(x) for x in terms), 1 + sum(np.sum(np.abs(x)) for x in terms)


def assert_equal_pairings(first, second, tolerance):
    (a, size), (b, size_b) = first, second
    assert abs(a - b) <= tolerance * max(size, size_b), f"{a} != {b}"


def assert_close(actual, expected, tolerance):
    assert len(parts(actual)) == len(parts(expected))
    for a, b in zip(parts(actual), parts(expected), strict=True):
        assert np.shape(a) == np.shape(b)
        size = 1 + np.max(np.abs(b), initial=0)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * size)


def assert_same(actual, expected, exact):
    """Check values, shapes and dtypes."""
    assert isinstance(actual, (tuple, list)) == isinstance(expected, (tuple, list))
    assert len(parts(actual)) == len(parts(expected))
    for a, b in zip(parts(actual), parts(expected), strict=True):
        assert not isinstance(a, Tracer)
        assert np.shape(a) == np.shape(b)
        assert np.result_type(a) == np.result_type(b)
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            single = np.result_type(b) in (np.float32, np.complex64)
            assert_close(a, b, 2e-6 if single else 1e-13)


def assert_fits(gradients, xs):
    """Check that each gradient is a plain array of its argument's shape and dtype."""
    for g, x in zip(gradients, xs, strict=True):
        assert type(g) in (np.ndarray, type(x[()]))
        assert (g.shape, g.dtype) == (x.shape, x.dtype)


def assert_apart(results, others):
    """Check that each result has memory of its own."""
    for i, x in enumerate(results):
        for y in (*results[:i], *others):
            assert not np.may_share_memory(x, y)


# --- the registry --------------------------------------------------------------------------------


def test_every_function_with_a_rule_has_a_sample():
    sampled = {sample.key for sample in SAMPLES}
    missing = [key for key in (*HANDLERS, *METHOD_HANDLERS, *CREATORS) if key not in sampled]
    assert not missing, f"add rows to tests/samples.py for {sorted(map(name_of, missing))}"


def test_every_primitive_is_reached_by_a_sample(monkeypatch):
    reached = {
        primitive.name for primitive in HANDLERS.values() if isinstance(primitive, Primitive)
    }
    evaluate = Primitive.__call__

    def record(self, *args, **settings):
        reached.add(self.name)
        return evaluate(self, *args, **settings)

    monkeypatch.setattr(Primitive, "__call__", record)
    for sample in SMOOTH + CONSTANT:
        for args in argument_sets(sample):
            trace(*of_some(sample, args, places(args)))
    missing = sorted(REGISTRY.keys() - reached)
    assert not missing, f"add rows to tests/samples.py that use {missing}"


def trace(fun, xs):
    """Call a function with traced arguments, and return what it returned inside."""
    results = []

    def run(*ts):
        results.append(fun(*ts))
        return sum([np.sum(t) for t in ts], 0.0)

    vjp(run, *xs)
    return results[0]


class ReachedError(Exception):
    pass


class Reached:
    """Stands for an entry of the registry, and tells that it was used."""

    def __getattr__(self, name):
        raise ReachedError

    def __call__(self, *args, **settings):
        raise ReachedError


@each([s for s in SMOOTH + CONSTANT if places(s.args) and not isinstance(s.key, str)])
def test_a_sample_reaches_the_function_it_names(sample, monkeypatch):
    for table in (HANDLERS, METHOD_HANDLERS, CREATORS):
        if sample.key in table:
            monkeypatch.setitem(table, sample.key, Reached())
    with pytest.raises(ReachedError):
        trace(*of_some(sample, sample.args, places(sample.args)))


# --- values --------------------------------------------------------------------------------------


@each(SMOOTH)
def test_the_value_is_numpys(sample):
    singles = [np.float32, np.complex64][: 1 + sample.complex]
    for args in (*argument_sets(sample), *[arguments(sample, dtype) for dtype in singles]):
        check_value(sample, args, sample.exact)


def check_value(sample, args, exact=True):
    expected = sample(*args)
    for chosen in subsets(places(args)):
        fun, xs = of_some(sample, args, chosen)
        assert_same(vjp(fun, *xs)[0], expected, exact)
        assert_same(jvp(fun, tuple(xs), tuple(xs))[0], expected, exact)


@each(CONSTANT)
def test_a_constant_is_plain(sample):
    expected = sample(*sample.args)
    for chosen in subsets(places(sample.args)):
        result = trace(*of_some(sample, sample.args, chosen))
        assert type(result) is type(expected)
        assert_same(result, expected, exact=True)


@each(REFUSED)
def test_a_write_into_a_plain_array_is_refused(sample):
    for chosen in subsets(places(sample.args)):
        with pytest.raises(FuncgradError):
            trace(*of_some(sample, sample.args, chosen))


# --- derivatives ---------------------------------------------------------------------------------


@each(SMOOTH)
def test_first_derivatives(sample):
    for args in argument_sets(sample):
        check_first_derivatives(sample, args)


def check_first_derivatives(sample, args):
    """Check each subset of the arguments."""
    before = [np.copy(x) for x in args]
    cts = random_like(sample(*args), seed=1)
    for chosen in subsets(places(args)):
        fun, xs = of_some(sample, args, chosen)
        check_both_modes(fun, xs, cts)
    for x, old in zip(args, before, strict=True):
        np.testing.assert_array_equal(x, old)


def check_both_modes(fun, xs, cts):
    """Compare both modes with central differences, and with one another to rounding."""
    vs = random_like(tuple(xs), seed=2)
    expected = central_difference(fun, xs, vs)
    gradients = check_pullback(fun, xs, cts)
    tangents = jvp(fun, tuple(xs), vs)[1]
    assert_close(tangents, expected, PRECISE)
    assert_equal_pairings(pairing(gradients, vs), pairing(cts, expected), PRECISE)
    assert_equal_pairings(pairing(gradients, vs), pairing(cts, tangents), ROUNDING)


def check_pullback(fun, xs, cts):
    """Return the gradients; a second call of the pullback gives them again."""
    _, pull = vjp(fun, *xs)
    before = [np.copy(ct) for ct in parts(cts)]
    gradients, again = pull(cts), pull(cts)
    assert_fits(gradients, xs)
    for g, h in zip(gradients, again, strict=True):
        np.testing.assert_array_equal(g, h)
    for ct, old in zip(parts(cts), before, strict=True):
        np.testing.assert_array_equal(ct, old)
    assert_apart(gradients, [*xs, *parts(cts), *again])
    return gradients


@each([s for s in SMOOTH if not s.once])
def test_second_derivatives(sample):
    for args in argument_sets(sample):
        check_second_derivatives(sample, args)


def check_second_derivatives(sample, args):
    """Differentiate the pullback and the pushforward, also by the cotangent and the tangent."""
    fun, xs = of_some(sample, args, places(args))
    out = sample(*args)
    cts = parts(random_like(out, seed=3))
    vs = random_like(tuple(xs), seed=4)

    def pulled(*both):
        _, pull = vjp(fun, *both[: len(xs)])
        return pull(like(out, list(both[len(xs) :])))

    def pushed(*both):
        return jvp(fun, both[: len(xs)], both[len(xs) :])[1]

    check_both_modes(pulled, [*xs, *cts], random_like(tuple(xs), seed=5))
    check_both_modes(pushed, [*xs, *vs], random_like(out, seed=6))


@each(SMOOTH)
def test_single_precision_stays(sample):
    singles = {np.float32: np.float64, np.complex64: np.complex128}
    for dtype in list(singles)[: 1 + sample.complex]:
        args = arguments(sample, dtype)
        wide = tuple([x.astype(singles[dtype]) if is_differentiable(x) else x for x in args])
        check_against_wider(sample, args, wide)


def check_against_wider(sample, args, wide):
    cts = random_like(sample(*args), seed=1)
    for chosen in subsets(places(args)):
        fun, xs = of_some(sample, args, chosen)
        gradients = vjp(fun, *xs)[1](cts)
        tangents = jvp(fun, tuple(xs), random_like(tuple(xs), seed=2))[1]
        assert_fits(gradients, xs)
        for t, ct in zip(parts(tangents), parts(cts), strict=True):
            assert ct.dtype.kind not in "fc" or t.dtype == ct.dtype or not t.any()
        fun, xs = of_some(sample, wide, chosen)
        wide_cts = [
            np.asarray(ct, np.result_type(x))
            for ct, x in zip(parts(cts), parts(sample(*wide)), strict=True)
        ]
        assert_close(gradients, vjp(fun, *xs)[1](like(sample(*wide), wide_cts)), SINGLE)


# --- shapes and layouts --------------------------------------------------------------------------


def strided(x):
    return np.repeat(x, 2, -1)[..., ::2]


def transposed(x):
    return x.T.copy().T


def reversed_in_memory(x):
    return np.flip(np.flip(x).copy())


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@each(SMOOTH)
def test_the_layout_in_memory_does_not_matter(sample):
    value = sample(*sample.args)
    cts = random_like(value, seed=1)
    fun, xs = of_some(sample, sample.args, places(sample.args))
    expected = vjp(fun, *xs)[1](cts)
    for layout in (strided, transposed, reversed_in_memory, read_only):
        moved, moved_cts = [[layout(x) if x.ndim else x for x in ys] for ys in (xs, parts(cts))]
        gradients = check_pullback(fun, moved, like(cts, moved_cts))
        assert_same(vjp(fun, *moved)[0], value, exact=False)
        assert_close(gradients, expected, ROUNDING)


@each(ELEMENTWISE)
def test_broadcasting(sample):
    for shapes in SHAPES:
        args = [
            np.resize(x, shape) if isinstance(x, np.ndarray) else x
            for x, shape in zip(sample.args, cycle(shapes), strict=False)
        ]
        check_value(sample, args)
        check_first_derivatives(sample, args)
        check_second_derivatives(sample, args)
        check_vmap(sample, args)


# --- vmap ----------------------------------------------------------------------------------------


def is_mappable(x):
    return isinstance(x, np.ndarray)


def mapped_subsets(sample, args):
    """Return which arrays to map together; a mapped index of a plain array does not reach us."""
    found = subsets(places(args, is_mappable))
    return [chosen for chosen in found if 0 in chosen or sample.key not in ("getitem", np.take)]


def batch(x):
    """Return three examples: in the same order if they are numbers, rolled if they are indices."""
    if x.dtype.kind in "fc":
        return np.stack([x, x * 0.97, x * 1.02])
    if not x.ndim:
        return x - np.arange(3)
    return np.stack([x, np.roll(x, 1), np.roll(x, 2)])


def looped(fun, xs):
    """Apply `fun` to one example after the other and stack the results."""
    results = [fun(*row) for row in zip(*xs, strict=True)]
    stacked = [np.stack(column) for column in zip(*map(parts, results), strict=True)]
    return like(results[0], stacked)


@each(MAPPED)
def test_vmap_is_a_loop(sample):
    for args in argument_sets(sample):
        check_vmap(sample, args)


def check_vmap(sample, args):
    for chosen in mapped_subsets(sample, args):
        fun, xs = of_some(sample, args, chosen)
        xs = [batch(x) for x in xs]
        assert_same(vmap(fun)(*xs), looped(fun, xs), exact=False)


@each([s for s in MAPPED if places(s.args, is_mappable)])
def test_vmap_of_no_examples_is_empty(sample):
    expected = sample(*sample.args)
    fun, xs = of_some(sample, sample.args, places(sample.args, is_mappable))
    out = vmap(fun)(*[batch(x)[:0] for x in xs])
    for x, y in zip(parts(out), parts(expected), strict=True):
        assert (np.shape(x), np.result_type(x)) == ((0, *np.shape(y)), np.result_type(y))


@each([s for s in MAPPED if not s.constant])
def test_vmap_of_derivatives_is_a_loop(sample):
    chosen = places(sample.args)
    cts = random_like(sample(*sample.args), seed=1)
    vs = random_like(tuple([sample.args[i] for i in chosen]), seed=2)

    def pulled(*args):
        fun, xs = of_some(sample, args, chosen)
        return vjp(fun, *xs)[1](cts)

    def pushed(*args):
        fun, xs = of_some(sample, args, chosen)
        return jvp(fun, tuple(xs), vs)[1]

    for derivative in (pulled, pushed):
        for mapped in mapped_subsets(sample, sample.args):
            fun, xs = of_some(derivative, sample.args, mapped)
            xs = [batch(x) for x in xs]
            assert_close(vmap(fun)(*xs), looped(fun, xs), ROUNDING)


@each([s for s in MAPPED if not s.constant])
def test_derivatives_of_vmap_are_loops(sample):
    for chosen in subsets(places(sample.args)):
        fun, xs = of_some(sample, sample.args, chosen)
        xs = [batch(x) for x in xs]
        vs = random_like(tuple(xs), seed=1)
        out, pull = vjp(vmap(fun), *xs)
        cts = random_like(out, seed=2)
        assert_close(pull(cts), looped_pullback(fun, xs, cts), ROUNDING)
        tangents = jvp(vmap(fun), tuple(xs), vs)[1]
        assert_close(tangents, looped_pushforward(fun, xs, vs), ROUNDING)


def looped_pullback(fun, xs, cts):
    rows = list(zip(*parts(cts), strict=True))
    pullbacks = [vjp(fun, *x)[1] for x in zip(*xs, strict=True)]
    results = [pull(like(cts, list(ct))) for pull, ct in zip(pullbacks, rows, strict=True)]
    return tuple([np.stack(column) for column in zip(*results, strict=True)])


def looped_pushforward(fun, xs, vs):
    rows = zip(zip(*xs, strict=True), zip(*vs, strict=True), strict=True)
    results = [jvp(fun, x, v)[1] for x, v in rows]
    stacked = [np.stack(column) for column in zip(*map(parts, results), strict=True)]
    return like(results[0], stacked)
