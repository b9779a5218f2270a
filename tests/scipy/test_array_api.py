"""SciPy's own functions on traced arrays: by the array API if the environment asks, else the mirror is named."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from funcgrad import grad, jacfwd, vmap
from funcgrad.errors import TracerConversionError
from funcgrad.testing import check_grads

scipy = pytest.importorskip("scipy", "1.15")

X = np.array([0.5, 1.3, 2.1, 0.7])

# What runs on traced arrays with SCIPY_ARRAY_API=1.
PROGRAM = """
    import numpy as np
    import scipy.fft, scipy.integrate, scipy.optimize, scipy.special, scipy.stats
    from funcgrad import vmap
    from funcgrad.testing import check_grads

    X = np.array([0.5, 1.3, 2.1, 0.7])
    for fun in (
        scipy.special.logsumexp,
        lambda x: scipy.special.softmax(np.stack([x, x**2]), axis=1),
        scipy.special.log_softmax,
        scipy.stats.gmean,
        scipy.stats.skew,
        scipy.stats.zscore,
        scipy.integrate.trapezoid,
        scipy.integrate.cumulative_trapezoid,
        lambda x: np.abs(scipy.fft.rfft(x)),
        scipy.optimize.rosen,
    ):
        check_grads(fun, (X,), order=1)
    np.testing.assert_allclose(vmap(scipy.integrate.trapezoid)(X[None]), 4.0)
"""


def test_scipys_functions_run_on_traced_arrays_by_the_array_api():
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def mirrored():
    """Yield functions of SciPy's and the path of their mirrors."""
    from scipy import linalg, signal, special, stats

    yield special.logsumexp, "special.logsumexp"
    yield special.softmax, "special.softmax"
    yield (lambda x: special.polygamma(1, x)), "special.polygamma"
    yield (lambda x: special.multigammaln(x[0] + 3, 2)), "special.multigammaln"
    yield (lambda x: special.logsumexp([x[0], x[1]])), "special.logsumexp"
    yield stats.norm.logpdf, "stats.norm.logpdf"
    yield stats.multivariate_normal.logpdf, "stats.multivariate_normal.logpdf"
    yield (lambda x: linalg.expm(np.outer(x, x))), "linalg.expm"
    yield (lambda x: linalg.solve_triangular(np.eye(4), x)), "linalg.solve_triangular"
    yield (lambda x: signal.fftconvolve(x, x)), "signal.fftconvolve"


@pytest.mark.skipif("SCIPY_ARRAY_API" in os.environ, reason="SciPy would take traced arrays")
@pytest.mark.parametrize(("fun", "path"), [*mirrored()])
def test_a_function_of_scipys_names_its_mirror(fun, path):
    for run in (grad, jacfwd, lambda f: lambda x: vmap(f)(x[None])):
        with pytest.raises(TracerConversionError, match=rf"funcgrad\.scipy\.{path},"):
            run(lambda x: np.sum(fun(x)))(X)


def test_the_namespace_is_numpys_and_makes_traced_arrays():
    def fun(x):
        xp = x.__array_namespace__(api_version="2024.12")
        y = xp.zeros(3, dtype=x.dtype)
        y[:2] = xp.asarray([x[0] ** 2, 1.0])
        y[2] = xp.asarray(x, copy=True, dtype=x.dtype)[1]
        assert xp.asarray([1, 2], dtype=np.float32).dtype == np.float32
        assert xp == y.__array_namespace__()
        return xp.concat([y, xp.sin(x)])

    check_grads(fun, (X,))
