"""The state of each public function: what funcgrad does when it meets a traced array.

derivative    a rule of its own
composite     differentiated through the primitives that it is made of
constant      no derivative: a plain result, mapped under vmap
mirror        NumPy's dispatch does not reach it; `funcgrad.scipy.special` has it under the same name
raises        funcgrad's error, with the way out
no arrays     takes no array of numbers that could have a derivative

A function of the registry is run to find out; the others are named here, with the reason.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from funcgrad.backward import ACCUMULATES, grouped
from funcgrad.core import CREATORS, HANDLERS, Tracer
from funcgrad.reverse import Tape
from tests.primitives.test_rules import argument_sets, of_some, places
from tests.samples import SAMPLES, Sample

NAMESPACES = {
    "np": "numpy",
    "np.linalg": "numpy.linalg",
    "np.fft": "numpy.fft",
    "np.emath": "numpy.lib.scimath",
    "scipy.special": "scipy.special",
}

_CONVERTS = "converts its argument to a plain array"
_SCIPY = "converts its argument to a plain array; see docs/scipy.md"
_TABLE = "a table, which depends on whole numbers alone"

# name, or several: why it has no entry in the registry
RAISES = {
    "np.asarray_chkfinite": f"{_CONVERTS}: use np.asarray(x, like=x)",
    "np.asmatrix np.bmat": "makes a matrix, whose operators mean something else: use np.asarray",
    "np.array2string np.array_repr np.array_str": "text: use str(x) or repr(x)",
    "np.in1d": "an old name: use np.isin",
    "np.kaiser": f"{_CONVERTS}: write np.i0(beta * np.sqrt(1 - t * t)) / np.i0(beta)",
    "np.nested_iters": "iterates over plain arrays",
    "np.packbits np.unpackbits": "of bits: convert first, stop_gradient(x)",
    "np.ravel_multi_index np.unravel_index np.from_dlpack": _CONVERTS,
    "np.save np.savetxt np.savez np.savez_compressed": "writes to a file: save stop_gradient(x)",
    "np.may_share_memory np.shares_memory": "a traced array has no memory of its own",
    "np.is_busday np.busday_count np.busday_offset": "of dates",
}
CONSTANT = {
    "np.isscalar np.iterable np.isfortran": "asks for the kind of object",
    "np.can_cast np.isdtype np.issubdtype np.min_scalar_type np.mintypecode np.promote_types "
    "np.typename": "of dtypes",
    "np.broadcast_shapes np.einsum_path": "of shapes",
}
NO_ARRAYS = {
    "np.bartlett np.blackman np.hamming np.hanning": "windows of a whole length",
    "np.diag_indices np.indices np.mask_indices np.tril_indices np.triu_indices": _TABLE,
    "np.fft.fftfreq np.fft.rfftfreq": "frequencies of a whole length",
    "np.base_repr np.binary_repr np.format_float_positional np.format_float_scientific": "text",
    "np.datetime_as_string np.datetime_data": "dates",
    "np.frombuffer np.fromfile np.fromregex np.fromstring np.genfromtxt np.load np.loadtxt": "reads a file or buffer",
    "np.get_include np.get_printoptions np.getbufsize np.geterr np.geterrcall np.info np.printoptions "
    "np.set_printoptions np.setbufsize np.seterr np.seterrcall np.show_config np.show_runtime "
    "np.test": "settings and help",
    "scipy.special.geterr scipy.special.seterr": "settings",
}

# `scipy.special`: functions in Python, which convert their arguments.
_SPECIAL_TABLES = (
    "ai_zeros bei_zeros beip_zeros ber_zeros berp_zeros bernoulli bi_zeros erf_zeros euler fresnel_zeros "
    "fresnelc_zeros fresnels_zeros jn_zeros jnjnp_zeros jnp_zeros jnyn_zeros kei_zeros keip_zeros kelvin_zeros "
    "ker_zeros kerp_zeros y0_zeros y1_zeros y1p_zeros yn_zeros ynp_zeros stirling2 factorial2 factorialk"
)
_SPECIAL_RULES = (
    "c_roots cg_roots h_roots he_roots j_roots js_roots l_roots la_roots p_roots ps_roots roots_chebyc "
    "roots_chebys roots_chebyt roots_chebyu roots_gegenbauer roots_genlaguerre roots_hermite roots_hermitenorm "
    "roots_jacobi roots_laguerre roots_legendre roots_sh_chebyt roots_sh_chebyu roots_sh_jacobi roots_sh_legendre "
    "s_roots t_roots ts_roots u_roots us_roots"
)
_SPECIAL_POLYNOMIALS = (
    "chebyc chebys chebyt chebyu gegenbauer genlaguerre hermite hermitenorm jacobi laguerre legendre sh_chebyt "
    "sh_chebyu sh_jacobi sh_legendre"
)
_SPECIAL_SEQUENCES = (
    "assoc_laguerre assoc_legendre_p_all ellip_harm ellip_harm_2 ellip_normal legendre_p_all lmbda lqmn lqn "
    "mathieu_even_coef mathieu_odd_coef obl_cv_seq pbdn_seq pbdv_seq pbvv_seq pro_cv_seq riccati_jn riccati_yn "
    "sph_harm_y_all sph_legendre_p_all"
)


def _prefixed(names: str) -> str:
    return " ".join([f"scipy.special.{name}" for name in names.split()])


COMPOSITE = {
    "np.frompyfunc": "number by number",
    _prefixed("lambertw softplus zeta"): "through the ufunc inside",
    "np.row_stack": "an old name of np.vstack",
    "np.trapz": "an old name of np.trapezoid",
}
NO_ARRAYS[_prefixed(_SPECIAL_TABLES)] = _TABLE
NO_ARRAYS[_prefixed(_SPECIAL_POLYNOMIALS)] = (
    "makes a polynomial: scipy.special.eval_... takes arrays"
)
RAISES[_prefixed(_SPECIAL_RULES)] = "nodes and weights of a whole number of points"
RAISES[_prefixed(_SPECIAL_SEQUENCES)] = _SCIPY
RAISES[_prefixed("clpmn lpmn lpn")] = "an old name of a function that ends in _all"


def public(namespace: str) -> Iterator[tuple[str, Any]]:
    """Yield the name and the object of each public function."""
    module = importlib.import_module(NAMESPACES[namespace])
    for name in sorted(module.__all__):
        fun = getattr(module, name)
        if callable(fun) and not isinstance(fun, type) and not name.startswith("_"):
            yield f"{namespace}.{name}", fun


def named() -> dict[str, tuple[str, str]]:
    """Return the state and the reason of the functions that this file names."""
    found = {}
    tables = {
        "raises": RAISES,
        "constant": CONSTANT,
        "composite": COMPOSITE,
        "no arrays": NO_ARRAYS,
    }
    for state, table in tables.items():
        for names, reason in table.items():
            found.update(dict.fromkeys(names.split(), (state, reason)))
    return found


def _records(sample: Sample) -> str:
    """Return the state that the records of a call on a tape show."""
    args = argument_sets(sample)[-1 if sample.complex else 0]
    fun, xs = of_some(sample, args, places(args))
    tape = Tape()
    out = fun(*[tape.input(x) for x in xs])
    tape.close()
    records = grouped(tape.edges, tape.nodes)
    first, *rest = [i for i, record in enumerate(records) if record] or [None]
    if first is None:
        handed_on = isinstance(out, Tracer) and out.node < len(xs)
        return "composite" if handed_on else "constant"
    others = [records[i] for i in rest]  # a function with several outputs has one for each
    single = all([len(r) == 1 and r[0][0] == first and r[0][3] is ACCUMULATES for r in others])
    return "derivative" if single else "composite"


def _found(fun: Any, samples: list[Sample]) -> tuple[str, str]:
    """Return the state and a note of a function of the registry."""
    if samples and all([s.raises for s in samples]):
        return "raises", "no formula"
    smooth = [s for s in samples if not s.raises and not s.constant and places(s.args)]
    if not smooth:
        return "constant", ""
    if fun in CREATORS:
        return "composite", "with like="
    return _records(smooth[0]), "traced zeros and the like can be written to" if fun in LIKE else ""


LIKE = (np.zeros_like, np.ones_like, np.empty_like)


def states() -> dict[str, tuple[str, str]]:
    """Return the state of each public function, and a note; "unclassified" where nobody gave one."""
    samples: dict[Any, list[Sample]] = {}
    for sample in SAMPLES:
        samples.setdefault(sample.key, []).append(sample)
    given, found = named(), {}
    mirrors = vars(importlib.import_module("funcgrad.scipy.special"))
    for namespace in NAMESPACES:
        for name, fun in public(namespace):
            if fun in HANDLERS or fun in CREATORS:
                found[name] = _found(fun, samples.get(fun, []))
            elif namespace == "scipy.special" and name.rpartition(".")[2] in mirrors:
                found[name] = "mirror", ""
            else:
                found[name] = given.get(name, ("unclassified", ""))
    return found
