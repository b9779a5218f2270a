"""What a row must pass: each mode against central differences, and vmap against a loop."""

from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import jvp, vjp, vmap
from tests.primitives import test_rules as rules
from tests.samples import Sample

MODES = ("reverse", "forward", "second order", "vmap")


def _parts(sample: Sample) -> tuple[Any, list[Any]]:
    return rules.of_some(sample, _args(sample), rules.places(sample.args))


def _args(sample: Sample) -> Any:
    return rules.argument_sets(sample)[0]


def _differences(sample: Sample) -> tuple[Any, Any]:
    fun, xs = _parts(sample)
    vs = rules.random_like(tuple(xs), seed=2)
    return vs, rules.central_difference(fun, xs, vs)


def reverse(sample: Sample) -> None:
    """Compare the pullback with central differences."""
    fun, xs = _parts(sample)
    vs, expected = _differences(sample)
    cts = rules.random_like(sample(*_args(sample)), seed=1)
    gradients = rules.check_pullback(fun, xs, cts)
    rules.assert_equal_pairings(
        rules.pairing(gradients, vs), rules.pairing(cts, expected), rules.PRECISE
    )


def forward(sample: Sample) -> None:
    """Compare the pushforward with central differences."""
    fun, xs = _parts(sample)
    vs, expected = _differences(sample)
    rules.assert_close(jvp(fun, tuple(xs), vs)[1], expected, rules.PRECISE)


def second_order(sample: Sample) -> None:
    """Compare the derivatives of pullback and pushforward with central differences."""
    rules.check_second_derivatives(sample, _args(sample))


def mapped(sample: Sample) -> None:
    """Compare vmap with a loop; where the shape of the result depends on the data, its loop is the way."""
    args = _args(sample)
    fun, xs = rules.of_some(sample, args, rules.places(args, rules.is_mappable))
    xs = [rules.batch(x) for x in xs]
    mapping = vmap(fun) if sample.vmap else vmap(fun, fallback="loop")
    rules.assert_same(mapping(*xs), rules.looped(fun, xs), exact=False)


def zero(sample: Sample) -> None:
    """Check that the result is plain and the gradient zero."""
    fun, xs = _parts(sample)
    plain = rules.trace(fun, xs)
    np.testing.assert_array_equal(plain, fun(*xs))
    assert not isinstance(plain, rules.Tracer)
    out, pull = vjp(fun, *xs)
    assert not any(np.any(g) for g in pull(np.zeros_like(out)))


def check(sample: Sample | None) -> dict[str, str]:
    """Return, for each mode that fails, the reason in one line."""
    if sample is None:
        return dict.fromkeys(MODES, "no rule")
    if not sample.constant and not rules.places(sample.args):
        return dict.fromkeys(MODES[:-1], "no argument of the sample is differentiated by")
    smooth: tuple[Callable[[Sample], None], ...] = (reverse, forward, second_order, mapped)
    checks = (zero, zero, zero, mapped) if sample.constant else smooth
    failed = {}
    for mode, run in zip(MODES, checks, strict=True):
        try:
            run(sample)
        except Exception as error:  # whatever it is, it is why the row fails
            failed[mode] = str(error).strip().partition("\n")[0] or type(error).__name__
    return failed
