"""The equations of Sylvester, Lyapunov and Stein, linear in a matrix."""

import importlib
from typing import Any

from funcgrad.broadcasting import unbroadcast
from funcgrad.core import Primitive, as_array
from funcgrad.primitives.families import primitive
from funcgrad.primitives.matrices import adjoint
from funcgrad.scipy.mirrors import mirror

sl: Any = importlib.import_module("scipy.linalg")


def _sylvester_adjoint(ct: Any, a: Any, b: Any) -> Any:
    return _sylvester(a.mT, b.mT, ct)


# A X + X B = Q: A dX + dX B = dQ - dA X - X dB
_sylvester: Primitive = primitive(
    "solve_sylvester",
    sl.solve_sylvester,
    vjp=(
        lambda ct, ans, a, b: unbroadcast(-(_sylvester_adjoint(ct, a, b) @ ans.mT), a.shape),
        lambda ct, ans, a, b: unbroadcast(-(ans.mT @ _sylvester_adjoint(ct, a, b)), b.shape),
        lambda ct, a, b, q_shape: unbroadcast(_sylvester_adjoint(ct, a, b), q_shape),
    ),
    jvp=(
        lambda t, ans, a, b: -_sylvester(a, b, t @ ans),
        lambda t, ans, a, b: -_sylvester(a, b, ans @ t),
        lambda t, a, b: _sylvester(a, b, t),
    ),
    parameters=("a", "b", "q"),
)


@mirror(sl.solve_sylvester)
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """Solve a x + x b = q for the matrix x."""
    return _sylvester(as_array(a), as_array(b), as_array(q))


@mirror(sl.solve_continuous_lyapunov)
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """Solve a x + x a^H = q for the matrix x."""
    a = as_array(a)
    return _sylvester(a, adjoint(a), as_array(q))


def _stein_pull(ct: Any, ans: Any, a: Any, method: Any) -> Any:
    g = _stein(a.mT, ct, method=method)
    return unbroadcast(g @ (ans @ adjoint(a)).mT + (g.mT @ a @ ans).conj(), a.shape)


def _stein_push(t: Any, ans: Any, a: Any, method: Any) -> Any:
    half = t @ ans @ adjoint(a)
    return _stein(a, half + a @ ans @ adjoint(t), method=method)


# X = A X A^H + Q: dX = A dX A^H + dQ + dA X A^H + A X dA^H
_stein: Primitive = primitive(
    "solve_discrete_lyapunov",
    sl.solve_discrete_lyapunov,
    vjp=(
        _stein_pull,
        lambda ct, a, q_shape, method: unbroadcast(_stein(a.mT, ct, method=method), q_shape),
    ),
    jvp=(_stein_push, lambda t, a, method: _stein(a, t, method=method)),
    parameters=("a", "q"),
)


@mirror(sl.solve_discrete_lyapunov)
def solve_discrete_lyapunov(a: Any, q: Any, method: str | None = None) -> Any:
    """Solve x = a x a^H + q for the matrix x."""
    return _stein(as_array(a), as_array(q), method=method)
