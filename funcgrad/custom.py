"""Functions whose derivative is told, not traced."""

from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.core import concrete


def stop_gradient(x: Any) -> Any:
    """Return the value of `x` as a constant.

    Parameters
    ----------
    x : pytree of arrays

    Returns
    -------
    pytree
        Plain arrays of the same values, copies where `x` is traced: derivatives do not pass.

    Examples
    --------
    >>> from funcgrad import grad, stop_gradient
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return tree.map(_constant, x)


def _constant(x: Any) -> Any:
    plain = concrete(x)
    return plain.copy() if plain is not x and isinstance(plain, np.ndarray) else plain
