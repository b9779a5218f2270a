"""The way out when SciPy converts a traced array: the function of `funcgrad.scipy` that takes its place.

Looks at the calls under way when an error is raised, so the hot path pays nothing.
"""

import importlib
import sys
from types import FrameType, TracebackType
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


def mirror_of_traceback(traceback: TracebackType | None) -> str | None:
    """Name the mirror of the SciPy function out of which an exception came, or None."""
    found = None
    while traceback is not None:
        frame = traceback.tb_frame
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package not in _INTERNAL:
            found = None  # the user's own function, which SciPy called
        elif package == "scipy" and found is None:
            found = _mirror_of(frame)
        traceback = traceback.tb_next
    return found


def _mirror_of(frame: FrameType) -> str | None:
    """Name the mirror of the function, or the method of a distribution, that a frame of SciPy's runs."""
    decorated = frame.f_locals.get("f")  # in a wrapper of SciPy's; in a solver it is the user's
    owner = frame.f_locals.get("self")
    for name, module in (
        (getattr(decorated, "__name__", "_"), str(getattr(decorated, "__module__", None))),
        (frame.f_code.co_name, frame.f_globals["__name__"]),
    ):
        if owner is not None and name == "__init__":
            full = type(owner).__name__
        elif owner is not None:
            kind = type(owner).__name__.removesuffix("_gen")
            full = f"{getattr(owner, 'name', None) or kind}.{name}"
        else:
            full = name
        for depth in (2, 3):  # scipy.special, scipy.spatial.distance
            path = ".".join(["funcgrad", *module.split(".")[:depth], full])
            if not full.startswith("_") and _exists(path):
                return path
    return None


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
