"""Parts of complex numbers. A cotangent g of complex z pairs with dz as Re(g dz)."""

from typing import Any

import numpy as np

from funcgrad.core import as_array, handle
from funcgrad.primitives.families import linear

_real = linear(
    "real",
    np.real,
    transpose=lambda ct: ct.astype(np.result_type(ct.dtype, np.complex64)),
    batch=np.real,
)
_imag = linear("imag", np.imag, transpose=lambda ct: ct * -1j, batch=np.imag)
_real.unview = lambda base, new, settings: new + np.imag(base) * 1j
_imag.unview = lambda base, new, settings: np.real(base) + new * 1j


@handle(np.real)
def real(val: Any) -> Any:
    """Return the real part."""
    val = as_array(val)
    return _real(val) if val.dtype.kind == "c" else val


@handle(np.imag)
def imag(val: Any) -> Any:
    """Return the imaginary part."""
    val = as_array(val)
    if val.dtype.kind != "c":
        return np.broadcast_to(np.zeros_like(val), val.shape)  # read-only
    return _imag(val)


@handle(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """Return the argument of a complex number."""
    z = as_array(z)
    result = np.arctan2(np.imag(z), np.real(z))
    return np.degrees(result) if deg else result
