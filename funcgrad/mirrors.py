"""The way out when SciPy converts a traced array: the function of `funcgrad.scipy` that takes its place.

Looks at the calls under way when an error is raised, so the hot path pays nothing.
"""

import importlib
import sys
from types import FrameType
from typing import Any

_INTERNAL = ("funcgrad", "numpy", "scipy")


def mirror_in_use() -> str | None:
    """Name the mirror of the SciPy function that the user called, or None if there is none.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.special
    >>> from funcgrad import grad
    >>> try:
    ...     grad(scipy.special.logsumexp)(np.ones(2))
    ... except TypeError as error:
    ...     "funcgrad.scipy.special.logsumexp" in str(error)
    True
    """
    frame: FrameType | None = sys._getframe(1)
    found = None
    while frame is not None:
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package not in _INTERNAL:
            break
        if package == "scipy":
            found = _mirror_of(frame) or found
        frame = frame.f_back
    return found


def _mirror_of(frame: FrameType) -> str | None:
    """Name the mirror of the function, or the method of a distribution, that a frame of SciPy's runs."""
    decorated = frame.f_locals.get("f")  # in a wrapper of SciPy's
    name = getattr(decorated, "__name__", frame.f_code.co_name)
    module = getattr(decorated, "__module__", None) or frame.f_globals["__name__"]
    owner = frame.f_locals.get("self")
    if owner is not None:
        distribution = getattr(owner, "name", None) or type(owner).__name__.removesuffix("_gen")
        name = f"{distribution}.{name}"
    path = ".".join(["funcgrad", *module.split(".")[:2], name])
    return path if not name.startswith("_") and _exists(path) else None


def _exists(path: str) -> bool:
    """Tell whether `funcgrad.scipy.group.name` or `funcgrad.scipy.group.name.method` exists."""
    parts = path.split(".")
    try:
        found: Any = importlib.import_module(".".join(parts[:3]))
    except ImportError:
        return False
    for part in parts[3:]:
        found = getattr(found, part, None)
    return found is not None
