"""JAX-style function transforms for plain NumPy code."""

from funcgrad import errors, implicit, primitives, testing, tree
from funcgrad.custom import checkpoint, custom_jvp, custom_vjp, stop_gradient
from funcgrad.errors import FuncgradError
from funcgrad.jacobians import hessian, hvp, jacfwd, jacobian, jacrev
from funcgrad.mapping import vmap
from funcgrad.memory import keep_freed_memory
from funcgrad.nans import debug_nans
from funcgrad.tracebacks import full_tracebacks
from funcgrad.transforms import grad, jvp, linearize, value_and_grad, vjp

__version__ = "0.1.0"

keep_freed_memory()

__all__ = [
    "FuncgradError",
    "checkpoint",
    "custom_jvp",
    "custom_vjp",
    "debug_nans",
    "errors",
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
    "primitives",
    "stop_gradient",
    "testing",
    "tree",
    "value_and_grad",
    "vjp",
    "vmap",
]
