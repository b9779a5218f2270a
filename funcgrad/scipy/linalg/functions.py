"""Functions of a matrix.

Where f is analytic, f [[A, E], [0, A]] = [[f(A), L], [0, f(A)]], and L is the derivative of f at A along E
(Higham, Functions of Matrices, 2008, theorem 3.6); in the pairing its transpose is the derivative at A^T.
"""

import importlib
from typing import Any

import numpy as np

from funcgrad.core import Primitive, as_array, unsupported
from funcgrad.primitives.families import primitive
from funcgrad.scipy.linalg.sylvester import solve_sylvester
from funcgrad.scipy.mirrors import mirror

sl: Any = importlib.import_module("scipy.linalg")


def _blocks(fun: Any, a: Any, e: Any) -> tuple[Any, Any]:
    """Return f(A) and its derivative along E."""
    n = a.shape[-1]
    upper = np.concatenate([a, e], -1)
    lower = np.concatenate([np.zeros_like(a), a], -1)
    both = fun(np.concatenate([upper, lower], -2))
    return both[..., :n, :n], both[..., :n, n:]


def _analytic(name: str, fun: Any) -> Primitive:
    """Declare a function of a matrix that SciPy evaluates, batched."""
    new: Primitive = primitive(
        name,
        fun,
        vjp=(lambda ct, a: _blocks(new, a.mT, ct)[1],),
        jvp=(lambda t, a: _blocks(new, a, t)[1],),
        parameters=("a",),
        batch=lambda args, mapped, settings: new(*args),
    )
    return new


_expm = _analytic("expm", sl.expm)
_logm = _analytic("logm", sl.logm)


@mirror(sl.expm)
def expm(A: Any) -> Any:
    """Return the exponential of matrices."""
    return _expm(as_array(A))


@mirror(sl.expm_frechet)
def expm_frechet(
    A: Any, E: Any, method: Any = None, compute_expm: bool = True, check_finite: bool = True
) -> Any:
    """Return the exponential of matrices and its derivative along `E`, or the derivative alone."""
    value, derivative = _blocks(_expm, *np.broadcast_arrays(as_array(A), as_array(E)))
    return (value, derivative) if compute_expm else derivative


@mirror(sl.logm)
def logm(A: Any, disp: bool = True) -> Any:
    """Return the principal logarithm of matrices without an eigenvalue on (-inf, 0]."""
    if disp is False:
        unsupported("scipy.linalg.logm with disp=False", "leave disp out")
    return _logm(as_array(A))


# X X = A: X dX + dX X = dA
_sqrtm: Primitive = primitive(
    "sqrtm",
    sl.sqrtm,
    vjp=(lambda ct, ans: solve_sylvester(ans.mT, ans.mT, ct),),
    jvp=(lambda t, ans: solve_sylvester(ans, ans, t),),
    parameters=("a",),
    batch=lambda args, mapped, settings: _sqrtm(*args),
)


@mirror(sl.sqrtm)
def sqrtm(A: Any, disp: bool = True, blocksize: Any = None) -> Any:
    """Return the principal square root of non-singular matrices."""
    if disp is False:
        unsupported("scipy.linalg.sqrtm with disp=False", "leave disp out")
    return _sqrtm(as_array(A))


def _power_pull(ct: Any, a: Any, t: Any) -> Any:
    return _blocks(lambda m: _power(m, t), a.mT, ct)[1]


# d A^t / dt = A^t log A
_power: Primitive = primitive(
    "fractional_matrix_power",
    sl.fractional_matrix_power,
    vjp=(_power_pull, lambda ct, ans, a: np.sum(ct * (ans @ logm(a)))),
    jvp=(
        lambda s, a, t: _blocks(lambda m: _power(m, t), a, s)[1],
        lambda s, ans, a: s * (ans @ logm(a)),
    ),
    parameters=("a", "t"),
)


@mirror(sl.fractional_matrix_power)
def fractional_matrix_power(A: Any, t: Any) -> Any:
    """Return the principal power, to a real number, of non-singular matrices."""
    t = as_array(t)
    if t.shape:
        unsupported("scipy.linalg.fractional_matrix_power to several powers", "use vmap")
    return _power(as_array(A), t)


# --- trigonometric functions, by the exponential -------------------------------------------------


def _circle(A: Any) -> tuple[Any, Any]:
    """Return the cosine and the sine of matrices."""
    A = as_array(A)
    forth = _expm(1j * A)
    if A.dtype.kind != "c":
        return np.real(forth), np.imag(forth)
    back = _expm(-1j * A)
    return (forth + back) / 2, (forth - back) / 2j


@mirror(sl.cosm)
def cosm(A: Any) -> Any:
    """Return the cosine of matrices."""
    return _circle(A)[0]


@mirror(sl.sinm)
def sinm(A: Any) -> Any:
    """Return the sine of matrices."""
    return _circle(A)[1]


@mirror(sl.tanm)
def tanm(A: Any) -> Any:
    """Return the tangent of matrices."""
    return np.linalg.solve(*_circle(A))


def _hyperbola(A: Any) -> tuple[Any, Any]:
    """Return the hyperbolic cosine and sine of matrices."""
    A = as_array(A)
    forth, back = _expm(A), _expm(-A)
    return (forth + back) / 2, (forth - back) / 2


@mirror(sl.coshm)
def coshm(A: Any) -> Any:
    """Return the hyperbolic cosine of matrices."""
    return _hyperbola(A)[0]


@mirror(sl.sinhm)
def sinhm(A: Any) -> Any:
    """Return the hyperbolic sine of matrices."""
    return _hyperbola(A)[1]


@mirror(sl.tanhm)
def tanhm(A: Any) -> Any:
    """Return the hyperbolic tangent of matrices."""
    return np.linalg.solve(*_hyperbola(A))
