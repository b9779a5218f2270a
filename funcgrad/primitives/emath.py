"""np.emath: functions that go over to complex numbers where the real ones have no value.

Which they are depends on the data, as the dtype of the result does: under vmap on all examples together, whose
results have one dtype.
"""

from typing import Any

import numpy as np

from funcgrad.core import HANDLERS, as_array, concrete, handle
from funcgrad.primitives.families import elementwise


def _complex(x: Any) -> Any:
    return x.astype(np.result_type(x.dtype, np.complex64))


def _negative(x: Any) -> bool:
    return x.dtype.kind != "c" and bool(np.any(concrete(x) < 0))


def _beyond_one(x: Any) -> bool:
    return x.dtype.kind != "c" and bool(np.any(np.abs(concrete(x)) > 1))


def _extended(fun: Any, plain: Any, outside: Any) -> None:
    """Declare a function of one argument, complex where some entry is `outside`."""

    @handle(fun)
    def extended(x: Any) -> Any:
        x = as_array(x)
        return plain(_complex(x) if outside(x) else x)


for _name in ("sqrt", "log", "log2", "log10"):
    _extended(getattr(np.emath, _name), getattr(np, _name), _negative)
# Beyond one lie the branch cuts, on which sqrt(1 - x x) may be of the other branch; cos(ans) is not.
_arcsin = elementwise(np.arcsin.__call__, lambda ct, ans: ct / np.cos(ans), name="emath_arcsin")
_arccos = elementwise(np.arccos.__call__, lambda ct, ans: -ct / np.sin(ans), name="emath_arccos")
_extended(np.emath.arcsin, _arcsin, _beyond_one)
_extended(np.emath.arccos, _arccos, _beyond_one)
_extended(np.emath.arctanh, np.arctanh, _beyond_one)


@handle(np.emath.logn)
def logn(n: Any, x: Any) -> Any:
    """Return the logarithm to base n."""
    log = HANDLERS[np.emath.log]
    return log(x) / log(n)


@handle(np.emath.power)
def power(x: Any, p: Any) -> Any:
    """Return x to the power p, complex where x is negative."""
    x, p = as_array(x), as_array(p)
    x = _complex(x) if _negative(x) else x
    if p.dtype.kind in "iu" and np.any(p < 0):
        p = p.astype(float)
    return np.power(x, p)
