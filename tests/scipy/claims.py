"""What every mirror of a SciPy function must fulfil."""

import inspect

import numpy as np

from funcgrad import jvp, tree, vjp, vmap
from funcgrad.testing import check_grads

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def check_mirror(fun, original, args, options=(), order=2, close=CLOSE, **tolerances):
    """Check values, traced and plain, derivatives in both modes, and vmap against a loop."""
    options = dict(options)
    places = [i for i, x in enumerate(args) if is_float(x)]
    chosen = [args[i] for i in places]

    def call(*xs):
        full = list(args)
        for i, x in zip(places, xs, strict=True):
            full[i] = x
        return fun(*full, **options)

    expected = original(*args, **options)
    for value in (vjp(call, *chosen)[0], jvp(call, chosen, chosen)[0], call(*chosen)):
        assert_same(value, expected, close)
    check_grads(floats(call), chosen, order=order, **tolerances)
    batch = [tree.map(lambda x: np.stack([x, x * 1.01]), x) for x in chosen]
    rows = [call(*[tree.map(lambda x, k=k: x[k], x) for x in batch]) for k in range(2)]
    looped = tree.map(lambda *ys: np.stack(ys), *rows)
    assert_same(vmap(call)(*batch), looped, close)


def is_float(x):
    arrays = [isinstance(leaf, (np.ndarray, np.generic)) for leaf in tree.leaves(x)]
    return bool(arrays) and all(arrays) and np.result_type(*tree.leaves(x)).kind in "fc"


def floats(call):
    """Return a function with the floating-point outputs of `call` alone."""
    return lambda *xs: [y for y in tree.leaves(call(*xs)) if np.result_type(y).kind in "fc"]


def assert_same(got, expected, close=CLOSE):
    got, expected = tree.leaves(got), tree.leaves(expected)
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        assert np.shape(g) == np.shape(e)
        assert np.result_type(g) == np.result_type(e) or np.result_type(e).kind in "iu"
        np.testing.assert_allclose(g, e, **close)


def signatures_differ(mirrors, reference):
    """Return the names of mirrors that do not take what SciPy's function takes, in its order.

    They may also take what another release of SciPy has.
    """
    names = [name for name, fun in vars(mirrors).items() if is_mirror(fun, mirrors, reference)]
    assert names
    return [
        name
        for name in names
        if not _takes(parameters(getattr(mirrors, name)), parameters(getattr(reference, name)))
    ]


OF_SOME_RELEASES = {"assume_a", "blocksize", "disp", "lower", "overwrite_b"}


def _takes(own, wanted):
    return [x for x in own if x in wanted or x not in OF_SOME_RELEASES] == wanted


def is_mirror(fun, mirrors, reference):
    own = getattr(fun, "__module__", "").startswith(mirrors.__name__)
    return inspect.isfunction(fun) and own and hasattr(reference, fun.__name__)


def parameters(fun):
    return list(inspect.signature(fun).parameters)
