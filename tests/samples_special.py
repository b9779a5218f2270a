"""The samples of `scipy.special` and of sparse matrices; `tests/samples.py` says what a row is and joins them.

There are none without SciPy. Orders and parameters without a derivative are numbers or whole.
"""

import importlib
import importlib.util
from functools import partial
from typing import Any

import numpy as np


def rows(sample: Any, spread: Any) -> list[Any]:
    """Return the rows; `sample` makes one, `spread(shape, low, high)` its arguments."""
    if importlib.util.find_spec("scipy") is None:
        return []
    special = importlib.import_module("funcgrad.primitives.special")  # registers the rules
    sc = special.rules.sc
    return [
        row
        for table in (
            _one_argument,
            _complex,
            _two_arguments,
            _parameters,
            _distributions,
            _several_outputs,
        )
        for row in table(sample, partial(spread, (3, 4)), sc)
        if row.key is not None
    ] + [
        *[
            sample(fun, _refused_arguments(spread, fun), raises=True)
            for name in special.UNKNOWN
            for fun in _named(sc, name)
        ],
        *_sparse(sample, spread),
        *_logsumexp(sample, spread),
    ]


def _logsumexp(sample: Any, spread: Any) -> list[Any]:
    mirrors = importlib.import_module("funcgrad.scipy.special")
    options: list[tuple[str, dict[str, Any]]] = [
        *[("logsumexp", {"keepdims": keepdims}) for keepdims in (False, True)],
        *[(name, {}) for name in ("softmax", "log_softmax")],
    ]
    return [
        sample(
            partial(getattr(mirrors, name), axis=axis, **settings),
            (spread((3, 4), -1.93, 1.97),),
            of=name,
        )
        for axis in (None, 0, (0, 1))
        for name, settings in options
    ]


def _sparse(sample: Any, spread: Any) -> list[Any]:
    importlib.import_module("funcgrad.primitives.sparse")  # registers its rule
    table = importlib.import_module("scipy.sparse").csr_array(np.eye(5, 3) + np.eye(5, 3, -2))
    return [sample(lambda x: table @ x, (spread((3, 4), -1.93, 1.97),), of="sparse_product")]


def _refused_arguments(spread: Any, fun: Any) -> Any:
    """Return arguments for a function without derivatives."""
    return (spread((3, 4), 0.42, 2.13),) * fun.nin


def _named(sc: Any, names: str) -> list[Any]:
    """Return the ufuncs of these names that the installed release has."""
    found = [getattr(m, n, None) for n in names.split() for m in (sc, sc._ufuncs)]
    return list(dict.fromkeys([fun for fun in found if isinstance(fun, np.ufunc)]))


def _one_argument(sample: Any, spread: Any, sc: Any) -> list[Any]:
    anywhere, right, between = spread(-1.93, 1.97), spread(0.42, 2.13), spread(0.11, 0.88)
    return [
        *[
            sample(fun, (anywhere,))
            for fun in _named(
                sc,
                "exp2 exp10 cbrt cosm1 sindg cosdg tandg exprel expit log_expit ndtri_exp"
                " erfi itstruve0 itmodstruve0 j0 j1 i0 i1 i0e i1e",
            )
            if fun is not sc.ndtri_exp
        ],
        *[
            sample(fun, (right,))
            for fun in _named(
                sc,
                "cotdg entr gammaln y0 y1 k0 k1 k0e k1e"
                " it2struve0 ber bei ker kei berp beip kerp keip expi ellipkm1",
            )
            if fun is not sc.ellipkm1
        ],
        *[sample(fun, (between,)) for fun in _named(sc, "logit ndtri ellipk ellipe ellipkm1")],
        sample(sc.erfinv, (spread(-0.85, 0.83),)),
        sample(sc.kolmogorov, (right,)),
        sample(sc.kolmogi, (between,)),
        sample(sc.smirnov, (np.array([5, 2, 7, 4]), between)),
        sample(sc.smirnovi, (np.array([5, 2, 7, 4]), between)),
        sample(sc.erfcinv, (spread(0.2, 1.8),)),
        sample(sc.ndtri_exp, (spread(-2.5, -0.2),)),
        *[sample(fun, (anywhere,), constant=True) for fun in (sc.gammasgn, sc.round)],
    ]


def _complex(sample: Any, spread: Any, sc: Any) -> list[Any]:
    anywhere, right = spread(-1.93, 1.97), spread(0.42, 2.13)
    names = "expm1 erf erfc erfcx dawsn ndtr log_ndtr"
    return [
        *[sample(fun, (anywhere,), complex=True) for fun in _named(sc, names)],
        *[
            sample(fun, (right,), complex=True)
            for fun in _named(sc, "log1p wrightomega spence gamma loggamma rgamma psi digamma exp1")
        ],
        sample(sc.wofz, (anywhere,), complex=True),
        sample(sc.lambertw, (right,), of=sc._ufuncs._lambertw, complex=True),
        sample(lambda x: sc.lambertw(x, -1), (-right / 8,), of=sc._ufuncs._lambertw),
    ]


def _two_arguments(sample: Any, spread: Any, sc: Any) -> list[Any]:
    anywhere, right, between = spread(-1.93, 1.97), spread(0.42, 2.13), spread(0.11, 0.88)
    other, more = spread(0.35, 1.9, 20), spread(-1.3, 1.7, 30)
    names = "beta betaln poch rel_entr kl_div xlogy agm powm1"
    return [
        *[sample(fun, (right, other)) for fun in _named(sc, names)],
        sample(sc.xlog1py, (anywhere, other)),
        sample(sc.zeta, (right + 1, other), of=sc._ufuncs._zeta),
        sample(sc.zeta, (right + 1,), of=sc._ufuncs._riemann_zeta),
        sample(sc.zetac, (right + 1,)),
        sample(sc.owens_t, (anywhere, other)),
        sample(sc.binom, (right + 3, other)),
        *[sample(fun, (right, more)) for fun in (sc.boxcox, sc.boxcox1p)],
        sample(sc.inv_boxcox, (spread(-0.3, 0.4), more)),
        sample(sc.inv_boxcox1p, (spread(-0.3, 0.4), more)),
        sample(sc.huber, (other, more * 1.7)),
        sample(sc.pseudo_huber, (other, anywhere)),
        *[sample(fun, (anywhere, between)) for fun in (sc.ellipkinc, sc.ellipeinc)],
        *[sample(fun, (right, other + 2)) for fun in (sc.elliprc,)],
        sample(lambda x, y: sc.elliprf(x, y, 1.3), (right, other + 2), of=sc.elliprf),
        sample(lambda x, y: sc.elliprg(x, y, 1.3), (right / 2, other + 2), of=sc.elliprg),
        sample(lambda x, y: sc.elliprg(0.2, x, y), (right, other + 2), of=sc.elliprg),
        sample(lambda x, y: sc.elliprd(x, 2.7, y), (right, other + 2), of=sc.elliprd),
        sample(lambda x, y: sc.elliprd(0.2, x, y), (right, other + 2), of=sc.elliprd),
        sample(lambda x, y: sc.elliprj(x, y, 1.3, 0.7), (right, other), of=sc.elliprj),
        sample(lambda x, y: sc.elliprj(1.3, 0.7, x, y), (right, other), of=sc.elliprj),
        sample(lambda x, y: sc.radian(x, 30.0, y), (anywhere, more), of=sc.radian),
        sample(lambda x, y: sc.radian(2.0, x, y), (anywhere, more), of=sc.radian),
        sample(lambda x, y: sc.voigt_profile(x, y, 0.7), (anywhere, other), of=sc.voigt_profile),
        sample(lambda x, y: sc.voigt_profile(x, 1.2, y), (anywhere, other), of=sc.voigt_profile),
        sample(lambda x, y: sc.nrdtrimn(x, y, 0.3), (between, right), of=sc.nrdtrimn),
        sample(lambda x, y: sc.nrdtrimn(0.3, x, y), (right, other), of=sc.nrdtrimn),
        sample(lambda x, y: sc.nrdtrisd(x, y, 9.3), (right, between / 3 + 0.6), of=sc.nrdtrisd),
        sample(lambda x, y: sc.nrdtrisd(x, 0.8, y), (right, other + 3), of=sc.nrdtrisd),
    ]


def _parameters(sample: Any, spread: Any, sc: Any) -> list[Any]:
    """Return functions with parameters that have no derivative."""
    anywhere, right, between = spread(-1.93, 1.97), spread(0.42, 2.13), spread(0.11, 0.88)
    other, inside = spread(0.35, 1.9, 20), spread(-0.85, 0.83)
    whole = np.array([2, 0, 1, 3])
    bessel = "jv yv kv iv ive jve yve kve hankel1 hankel2 hankel1e hankel2e struve modstruve"
    polynomials = (
        "eval_legendre eval_chebyt eval_chebyu eval_chebyc eval_chebys eval_laguerre"
        " eval_sh_legendre eval_sh_chebyt eval_sh_chebyu eval_hermite eval_hermitenorm"
    )
    quantile, value = (between,), (right,)
    three = [
        *[
            (n, partial(_apply, sc, n, 2.0, np.int64(5)), quantile)
            for n in ("bdtr", "bdtrc", "bdtri")
        ],
        *[(n, partial(_apply, sc, n, 2, 5), quantile) for n in ("nbdtr", "nbdtrc", "nbdtri")],
        *_noncentral(sc, right, between),
        ("nctdtr", partial(_apply, sc, "nctdtr", 2.5), (right, other)),
        ("nctdtr", lambda x: sc.nctdtr(x, 1.2, 1.4), (other,)),
        ("nctdtr", lambda x: sc.nctdtr(x, -1.2, 1.4), (other,)),
        (
            "nctdtrinc",
            partial(_apply, sc, "nctdtrinc", 3.0),
            (np.full(1, 0.6172), np.full(1, 0.9971)),
        ),
        ("nctdtrit", partial(_apply, sc, "nctdtrit", 2.5), (right, between)),
        ("besselpoly", lambda x: sc.besselpoly(x, 0.7, 0.6), value),
        *[(n, partial(_apply, sc, n, 1.3, 2.4), (anywhere,)) for n in ("hyp1f1",)],
        ("hyperu", partial(_apply, sc, "hyperu", 1.3, 2.4), value),
        ("wright_bessel", partial(_apply, sc, "wright_bessel", 0.6, 1.4), value),
        ("log_wright_bessel", partial(_apply, sc, "log_wright_bessel", 0.6, 1.4), value),
        ("eval_genlaguerre", partial(_apply, sc, "eval_genlaguerre", 3, 0.7), (anywhere,)),
        ("eval_gegenbauer", partial(_apply, sc, "eval_gegenbauer", 3, 0.7), (anywhere,)),
        ("lpmv", partial(_apply, sc, "lpmv", 1, 3), (inside,)),
        ("hyp2f1", partial(_apply, sc, "hyp2f1", 0.7, 1.2, 2.3), (inside,)),
        ("eval_jacobi", partial(_apply, sc, "eval_jacobi", 3, 0.7, 1.1), (inside,)),
        ("eval_sh_jacobi", partial(_apply, sc, "eval_sh_jacobi", 3, 1.7, 1.1), (between,)),
    ]
    return [
        *[sample(fun, (order, right)) for fun in _named(sc, bessel) for order in (0.6, whole)],
        *[sample(fun, (whole, right)) for fun in (sc.yn, sc.kn, sc.expn)],
        *[sample(fun, (whole, inside)) for fun in _named(sc, polynomials)],
        sample(sc.hyp0f1, (1.4, inside)),
        *[sample(fun, (2.0, right)) for fun in (sc.pdtr, sc.pdtrc)],
        sample(sc.pdtri, (2.0, between)),
        *[
            sample(fun, args, of=_named(sc, name)[0])
            for name, fun, args in three
            if _named(sc, name)
        ],
    ]


def _distributions(sample: Any, spread: Any, sc: Any) -> list[Any]:
    """Return distribution functions by all their arguments, two at a time, and what inverts them."""
    right, between = spread(0.42, 2.13), spread(0.11, 0.88)
    other, whole = spread(0.35, 1.9, 20) + 1, np.array([1, 2, 1, 3])
    pairs = [
        *[(n, (other, right)) for n in ("gammainc", "gammaincc", "chdtr", "chdtrc", "stdtr")],
        *[(n, (other, between)) for n in ("gammaincinv", "gammainccinv", "chdtri", "stdtrit")],
        ("chdtriv", (between, right)),
        ("pdtrik", (0.8 + between / 8, right)),
        ("stdtridf", (0.7 + between / 40, 0.6 + right / 20)),
        ("tklmbda", (spread(-0.85, 0.83), between)),
    ]
    triples = [
        *[(n, (1.2, other, right)) for n in ("gdtr", "gdtrc", "fdtr", "fdtrc")],
        *[(n, (1.7, other, between)) for n in ("betainc", "betaincc", "betaincinv", "betainccinv")],
        *[(n, (1.7, other, between)) for n in ("gdtrix", "fdtri")],
        *[(n, (0.4, other, between)) for n in ("btdtria", "gdtria")],
        *[(n, (1.7, between, 0.3 + between / 3)) for n in ("btdtrib", "gdtrib")],
        ("fdtridfd", (1.7, sc.fdtr(1.7, 1 + right, other), other)),
        ("bdtrik", (0.4, other + 5, between)),
        ("bdtrin", (2.0, between, 0.2 + between / 3)),
        ("nbdtrik", (0.9, other, between / 2)),
        ("nbdtrin", (2.0, 0.2 + between / 2, 0.2 + between / 3)),
        ("chndtr", (2.2, other, right)),
        ("chndtrix", (0.4, other, right)),
        ("chndtridf", (4.2, 0.3 + between / 3, right)),
        ("chndtrinc", (9.2, right, 0.3 + between / 3)),
    ]
    # found by a search that stops early: SciPy's values are too rough for differences of them
    rough = [
        ("ncfdtrinc", (2.3, 3.7, 0.3, whole)),
        ("ncfdtridfd", (2.3, 0.3, 1.2, whole)),
        ("ncfdtridfn", (0.3, 3.7, 1.2, whole)),
        ("nctdtridf", (0.4, whole, 1.4)),
    ]
    return [
        *[sample(getattr(sc, n), args) for n, args in pairs],
        *[sample(getattr(sc, n), args, once=True) for n, args in rough],
        *[row for n, args in triples for row in _of_two(sample, getattr(sc, n), *args)],
    ]


def _of_two(sample: Any, fun: Any, first: float, second: Any, third: Any) -> list[Any]:
    """Return rows of the last two arguments, and of the first one."""
    a, b = second.flat[0], third.flat[0]
    return [
        sample(lambda x, y: fun(first, x, y), (second, third), of=fun),
        sample(lambda x: fun(x, a, b), (first + third / 9,), of=fun),
    ]


def _noncentral(sc: Any, right: Any, between: Any) -> list[Any]:
    """Return the noncentral F and what inverts it, by the arguments in which SciPy's is smooth."""
    return [
        ("ncfdtr", lambda x, y: sc.ncfdtr(2.3, 3.7, x, y), (right, right + 1)),
        ("ncfdtr", lambda x, y: sc.ncfdtr(x, y, 1.2, 1.4), (right, right + 1)),
        ("ncfdtri", lambda x, y: sc.ncfdtri(2.3, 3.7, x, y), (right, between)),
    ]


def _apply(sc: Any, name: str, *args: Any) -> Any:
    return getattr(sc, name)(*args)


def _several_outputs(sample: Any, spread: Any, sc: Any) -> list[Any]:
    anywhere, right, between = spread(-1.93, 1.97), spread(0.42, 2.13), spread(0.11, 0.88)
    names = "itj0y0 iti0k0 it2j0y0 it2i0k0 airye"
    modified = "mathieu_modcem1 mathieu_modcem2 mathieu_modsem1 mathieu_modsem2"
    mathieu = np.float64(2), np.float64(1.3)  # in single precision SciPy returns NaN
    return [
        *[sample(fun, (right,)) for fun in _named(sc, names)],
        sample(sc.itairy, (right + 10,)),  # closer to 0 SciPy's has 8 digits
        *[sample(fun, (right,)) for fun in _named(sc, "kelvin modfresnelp modfresnelm")],
        *[sample(fun, (right,), complex=True) for fun in _named(sc, "sici shichi airy fresnel")],
        *[sample(fun, (0.6, right)) for fun in _named(sc, "pbdv pbvv pbwa")],
        *[
            sample(partial(fun, *mathieu), (20 * right,), of=fun)
            for fun in _named(sc, "mathieu_cem mathieu_sem")
        ],
        *[sample(partial(fun, *mathieu), (right,), of=fun) for fun in _named(sc, modified)],
        sample(sc.ellipj, (anywhere, between)),
        *_spheroidal(sample, spread, sc),
        *[
            sample(partial(fun, np.float64(2)), (right,), of=fun, once=True)
            for fun in (sc.mathieu_a, sc.mathieu_b)
        ],
    ]


def _spheroidal(sample: Any, spread: Any, sc: Any) -> list[Any]:
    """Return the spheroidal wave functions, where SciPy's values are precise."""
    inside, outside, right = spread(-0.85, 0.83), spread(2.1, 3.4), spread(0.42, 2.13)
    order = np.float64(1), np.float64(2), np.float64(1.3)
    ranges = [
        ("pro_ang1", inside),
        ("pro_rad1", outside),
        ("pro_rad2", outside),
        ("obl_ang1", inside),
        ("obl_rad1", right),
        ("obl_rad2", outside),
    ]
    rows = []
    for name, x in ranges:
        value = getattr(sc, f"{name[:3]}_cv")
        plain, known = getattr(sc, name), getattr(sc, f"{name}_cv")
        rows += [
            sample(partial(plain, *order), (x,), of=plain),
            sample(partial(known, *order, value(*order)), (x,), of=known),
        ]
    return [
        *rows,
        *[
            sample(partial(fun, *order[:2]), (right,), of=fun, once=True)
            for fun in (sc.pro_cv, sc.obl_cv)
        ],
    ]
