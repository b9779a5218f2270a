"""The array-API namespace of traced arrays, for libraries that ask an array for it (`__array_namespace__`).

SciPy does when the environment has SCIPY_ARRAY_API=1: many of its Python functions then run on traced
arrays as they stand. The namespace is NumPy's, but for functions that would convert.
"""

from typing import Any

import numpy as np

from funcgrad.core import CREATORS, HANDLERS, HOOKS, Tracer, as_array, is_traced

_CREATORS: dict[str, Any] = {
    "zeros": np.zeros,
    "ones": np.ones,
    "empty": np.empty,
    "full": np.full,
}


class Namespace:
    """NumPy as the array API has it, for arrays that go with the traced array `like`."""

    __name__ = "funcgrad.numpy"  # not NumPy's: SciPy calls compiled code for arrays of NumPy

    def __init__(self, like: Tracer) -> None:
        self.like = like

    def __eq__(self, other: object) -> bool:
        return type(other) is Namespace

    def __hash__(self) -> int:
        return hash(Namespace)

    def __getattr__(self, name: str) -> Any:
        if name in _CREATORS:
            return self._creator(_CREATORS[name])
        return getattr(np, name)

    def _creator(self, fun: Any) -> Any:
        def create(*args: Any, device: Any = None, **kwargs: Any) -> Any:
            return CREATORS[fun](self.like, *args, **kwargs)

        return create

    def asarray(
        self, obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None
    ) -> Any:
        """Return a traced array (or a list with one) as a traced array, anything else as a plain one."""
        if not is_traced(obj):
            return np.array(obj, dtype, copy=copy)
        x = as_array(obj)
        if dtype is not None and x.dtype != np.dtype(dtype):
            return x.astype(dtype)
        return HANDLERS[np.copy](x) if copy and x is obj else x


HOOKS["namespace"] = Namespace
