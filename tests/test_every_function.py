"""Every public NumPy function, ndarray method and ufunc method, called on traced arrays in every form it has.

Each call of a table is repeated with all arguments by name and with each option that the function has. What
NumPy accepts must give a right derivative, a plain result that the arguments change stepwise only, or
funcgrad's own error; under vmap what a loop gives, or the error. Nothing else: no array of objects, no
gradient lost without a word.
"""

import math
import warnings

import numpy as np
import pytest

from funcgrad import FuncgradError, vjp, vmap
from funcgrad.core import HANDLERS, METHOD_HANDLERS, Tracer
from tests.every_call import IN_PLACE, METHODS, P, X, calls, flat, numpys
from tests.primitives.test_rules import (
    assert_close,
    assert_equal_pairings,
    batch,
    central_difference,
    looped,
    pairing,
    random_like,
    trace,
)
from tests.samples import name_of

# --- what is accepted ----------------------------------------------------------------------------


def is_number(x):
    return isinstance(x, (np.ndarray, np.generic, bool, int, float, complex))


def check_value(actual, expected):
    """Check shape, dtype and value; what is no number may be anything but a tracer."""
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        a = a.value if isinstance(a, Tracer) else a
        assert not isinstance(a, Tracer)
        if is_number(b) and np.asarray(b).dtype.kind in "fciub":
            assert np.shape(a) == np.shape(b)
            assert np.result_type(a) == np.result_type(b)
            narrow = np.result_type(b) in (np.float32, np.complex64)
            assert_close(np.asarray(a), np.asarray(b), 2e-6 if narrow else 1e-10)


def check_derivative(call):
    """Return True for a right derivative, or a plain result that needs none; raise otherwise."""
    traced = []

    def run(*xs):
        results = flat(call.fun(*xs))
        traced.append(results)
        return [x for x in results if isinstance(x, Tracer)]

    out, pull = vjp(run, *call.arrays)
    check_value(traced[0], call.result)
    if any([np.result_type(x) in (np.float32, np.complex64) for x in out]):
        return  # too few digits for differences
    vs = random_like(call.arrays, seed=2)
    expected = central_difference(
        lambda *xs: [np.asarray(x) for x in flat(call.fun(*xs))], call.arrays, vs
    )
    if not all([np.all(np.isfinite(d)) for d in expected]):
        return
    slopes = [d for x, d in zip(traced[0], expected, strict=True) if isinstance(x, Tracer)]
    for x, d in zip(traced[0], expected, strict=True):
        assert isinstance(x, Tracer) or not np.any(np.abs(d) > 1e-6), "the gradient is lost"
    cts = random_like(out, seed=1)
    assert_equal_pairings(pairing(pull(cts), vs), pairing(cts, slopes), 1e-6)


def check_vmap(call):
    """Check that vmap gives what a loop gives."""
    xs = [batch(x) for x in call.arrays]

    def run(*row):
        return [x for x in flat(call.fun(*row)) if is_number(x) or isinstance(x, Tracer)]

    mapped = vmap(run)(*xs)
    try:
        expected = looped(run, xs)
    except ValueError:
        return  # results of different shapes
    assert len(mapped) == len(expected)
    for a, b in zip(mapped, expected, strict=True):
        assert_close(a, b, 1e-5 if np.result_type(b) in (np.float32, np.complex64) else 1e-9)


CHECKS = {"grad": check_derivative, "vmap": check_vmap}


def failure(check, call):
    """Return why a call is not accepted, or an empty string."""
    try:
        check(call)
    except FuncgradError:
        return ""
    except Exception as error:
        return f"{call.name}: {type(error).__name__}: {str(error).strip()[:120]}"
    return ""


@pytest.fixture(scope="module")
def all_calls():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return list(calls())


@pytest.mark.parametrize("check", CHECKS)
def test_every_call_is_right_plain_or_refused(check, all_calls):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        failures = [failure(CHECKS[check], call) for call in all_calls if call.arrays]
    assert not [text for text in failures if text]


def test_the_table_calls_every_function(all_calls):
    called = {call.name for call in all_calls}
    missing = [name_of(fun) for fun in HANDLERS if numpys(fun) and name_of(fun) not in called]
    assert not missing
    assert len(all_calls) > 2000


def test_the_table_calls_every_method_of_an_array():
    methods = {
        name
        for name in dir(np.ndarray)
        if not name.startswith("_") and callable(getattr(np.ndarray, name))
    }
    gone = {"tostring"}  # an old name of tobytes, which NumPy 2.0 still had
    assert not methods - METHODS.keys() - set(IN_PLACE) - gone


UFUNCS = [getattr(np, n) for n in dir(np) if isinstance(getattr(np, n), np.ufunc)]


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_at_of_any_ufunc_is_numpys_or_refused(ufunc):
    def fun(x):
        y = x * 1.0
        with np.errstate(invalid="ignore"):
            ufunc.at(y, [0, 2, 2], *[X[:3]] * (ufunc.nin - 1))
        return y

    x = np.array([0.3, 0.5, 0.9, 0.7])
    try:
        value = vjp(fun, x)[0]
    except (FuncgradError, ValueError, TypeError, RuntimeError):
        return
    np.testing.assert_allclose(value, fun(x), rtol=1e-14)


@pytest.mark.parametrize("name", ["reduce", "accumulate", "reduceat", "outer"])
def test_a_method_of_any_ufunc_is_known_or_refused(name):
    more = {"reduceat": [[0, 1]], "outer": [X]}.get(name, [])
    for ufunc in UFUNCS:
        if (ufunc, name) not in METHOD_HANDLERS:
            with pytest.raises((FuncgradError, ValueError, TypeError, RuntimeError)):
                trace(lambda x, ufunc=ufunc: getattr(ufunc, name)(x, *more), [P])


# What NumPy would turn into plain arrays, or arrays of objects, on its way.
CONVERSIONS = {
    "np.asarray": np.asarray,
    "np.asarray(dtype=)": lambda x: np.asarray(x, float),
    "np.array": np.array,
    "np.array of scalars": lambda x: np.array([x[0], x[1]]),
    "np.asanyarray": np.asanyarray,
    "np.ascontiguousarray": np.ascontiguousarray,
    "np.asarray_chkfinite": np.asarray_chkfinite,
    "np.require": np.require,
    "np.asmatrix": np.asmatrix,
    "np.bmat": lambda x: np.bmat([[x]]),
    "np.full": lambda x: np.full(4, x),
    "np.fromiter": lambda x: np.fromiter(x, float),
    "np.r_": lambda x: np.r_[x, 1.0],
    "np.c_": lambda x: np.c_[x, x],
    "np.kaiser": lambda x: np.kaiser(5, x[0]),
    "np.vectorize": np.vectorize(lambda t: t * t),
    "np.frompyfunc": np.frompyfunc(lambda t: t * t, 1, 1),
    "np.poly1d": lambda x: np.poly1d(x)(2.0),
    "np.polynomial": lambda x: np.polynomial.Polynomial(x)(2.0),
    "np.sum of scalars": lambda x: np.sum([x[0], x[1]]),
    "np.array2string": np.array2string,
    "np.packbits": np.packbits,
    "np.unravel_index": lambda x: np.unravel_index(x, (2, 2)),
    "np.ravel_multi_index": lambda x: np.ravel_multi_index((x,), (4,)),
    "np.may_share_memory": lambda x: np.may_share_memory(x, x),
    "np.shares_memory": lambda x: np.shares_memory(x, x),
    "np.from_dlpack": np.from_dlpack,
    "np.nested_iters": lambda x: np.nested_iters([x[None]], [[0], [1]]),
    "np.nditer": lambda x: [float(t) for t in np.nditer(x)],
    "np.ndenumerate": lambda x: sum([t for _, t in np.ndenumerate(x)]),
    "np.is_busday": np.is_busday,
    "np.busday_count": lambda x: np.busday_count(x, x),
    "np.busday_offset": lambda x: np.busday_offset(x, 1),
    "np.random": lambda x: np.random.default_rng(0).normal(x),
    "np.ma": np.ma.masked_invalid,
    "np.save": lambda x: np.save("nothing", x),
    "np.float64": lambda x: np.float64(x[0]),
    "math.sin": lambda x: math.sin(x[0]),
    "memoryview": memoryview,
    "plain[i] = x": lambda x: np.zeros(4).__setitem__(0, x[0]),
    "plain.dot": lambda x: np.ones(4).dot(x),
    "plain.choose": lambda x: np.array([0, 1]).choose([x[0], x[1]]),
    "plain.put": lambda x: np.zeros(4).put([0], x[0]),
    "plain.fill": lambda x: np.zeros(4).fill(x[0]),
}


NOT_ARRAYS = ("np.nested_iters", "np.nditer", "memoryview")  # take nothing but arrays, and say so


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.parametrize("transform", ["grad", "vmap"])
def test_a_conversion_is_refused_or_right(name, transform):
    convert = CONVERSIONS[name]

    def f(x):
        return np.sum(convert(x))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if transform == "vmap":
                result = vmap(f)(np.stack([X, 2 * X]))
                expected = [f(X), f(2 * X)]
            else:
                result, pull = vjp(f, X)
                assert result.dtype != object
                result, expected = pull(np.ones(()))[0], central_gradient(f, X)
        except FuncgradError:
            return
        except TypeError:
            assert name in NOT_ARRAYS
            return
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def central_gradient(f, x):
    """Return the gradient by central differences."""
    step = 1e-5
    return [(f(x + step * e) - f(x - step * e)) / (2 * step) for e in np.eye(len(x))]
