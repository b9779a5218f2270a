"""The derivative rules: `families` says how one is declared, a module per group of NumPy functions holds them."""

from funcgrad.primitives import (
    accumulations,
    arranging,
    complex_parts,
    convolutions,
    creation,
    decompositions,
    emath,
    fft,
    functions,
    histograms,
    indexing,
    interpolation,
    linalg,
    matrices,
    matrix_products,
    methods,
    namespace,
    nan_reductions,
    norms,
    objects,
    padding,
    plain,
    polynomials,
    products,
    quantiles,
    reductions,
    selection,
    sequences,
    sets,
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
