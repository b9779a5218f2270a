"""SciPy's special functions: a partial derivative per argument, registered at the first use.

`core.find_ufunc` imports this package when a ufunc that is not NumPy's meets a tracer and
`scipy.special` is loaded; `import funcgrad` never loads SciPy. `rules` says how one is declared, a
module per group of functions holds them. Numbers in brackets are equations of the DLMF
(https://dlmf.nist.gov). A parameter without a known derivative is `refused`: differentiating by it
raises.
"""

from funcgrad.primitives.special import (
    bessel,
    elementary,
    elliptic,
    error,
    gamma,
    hypergeometric,
    incomplete,
    integrals,
    mathieu,
    noncentral,
    polynomials,
    smirnov,
    spheroidal,
    waves,
    zeta,
)
from funcgrad.primitives.special.remaining import UNKNOWN

__all__ = [
    "UNKNOWN",
    "bessel",
    "elementary",
    "elliptic",
    "error",
    "gamma",
    "hypergeometric",
    "incomplete",
    "integrals",
    "mathieu",
    "noncentral",
    "polynomials",
    "smirnov",
    "spheroidal",
    "waves",
    "zeta",
]
