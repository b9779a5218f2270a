"""The derivative rules: `families` says how one is declared, a module per group of NumPy functions holds them."""

from funcgrad.primitives import (
    complex_parts,
    creation,
    emath,
    fft,
    indexing,
    linalg,
    methods,
    namespace,
    objects,
    polynomials,
    products,
    reductions,
    selection,
    sequences,
    shaping,
    statistics,
    ufuncs,
    updates,
    writing,
)
from funcgrad.primitives.families import (
    REGISTRY,
    bilinear,
    composite,
    constant,
    elementwise,
    linear,
    primitive,
    seal,
)

__all__ = ["REGISTRY", "bilinear", "composite", "constant", "elementwise", "linear", "primitive"]

seal()
