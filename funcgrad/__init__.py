"""JAX-style function transforms for plain NumPy code."""

import importlib
from typing import TYPE_CHECKING, Any

from funcgrad import errors, implicit, primitives, testing, tree
from funcgrad.checkpoints import checkpoint
from funcgrad.custom import custom_jvp, custom_vjp, stop_gradient
from funcgrad.errors import FuncgradError
from funcgrad.jacobians import hessian, hvp, jacfwd, jacobian, jacrev
from funcgrad.mapping import vmap
from funcgrad.memory import keep_freed_memory
from funcgrad.nans import debug_nans
from funcgrad.tracebacks import full_tracebacks
from funcgrad.transforms import grad, jvp, linearize, value_and_grad, vjp

if TYPE_CHECKING:
    from funcgrad.inspection import draw_graph, explain, make_tape, profile

__version__ = "0.1.0"

keep_freed_memory()

__all__ = [
    "FuncgradError",
    "checkpoint",
    "custom_jvp",
    "custom_vjp",
    "debug_nans",
    "draw_graph",
    "errors",
    "explain",
    "full_tracebacks",
    "grad",
    "hessian",
    "hvp",
    "implicit",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "linearize",
    "make_tape",
    "primitives",
    "profile",
    "stop_gradient",
    "testing",
    "tree",
    "value_and_grad",
    "vjp",
    "vmap",
]

_LOOKING_INSIDE = ("draw_graph", "explain", "make_tape", "profile")


def __getattr__(name: str) -> Any:
    """Load what looks inside programs when it is first asked for: few runs need it."""
    if name in _LOOKING_INSIDE:
        return getattr(importlib.import_module("funcgrad.inspection"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LOOKING_INSIDE})
