"""The samples of `scipy.special`; `tests/samples.py` says what a row is and joins them to the others.

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
    special = importlib.import_module("funcgrad.primitives.scipy_special")  # registers the rules
    sc = special.special.sc
    return [
        row
        for table in (
            *(_one_argument, _complex, _two_arguments, _parameters, _several_outputs),
            *(_distributions, _spheroidal),
        )
        for row in table(sample, partial(spread, (3, 4)), sc)
        if row.key is not None
    ] + [
        sample(fun, _refused_arguments(spread, fun), raises=True)
        for name in special.UNKNOWN
        for fun in _named(sc, name)
    ]


def _refused_arguments(spread: Any, fun: Any) -> Any:
    """Return arguments for a function without derivatives; a count of events is whole."""
    positive = spread((3, 4), 0.42, 2.13)
    count = np.array([2, 1, 1, 3])
    if fun.__name__ in ("smirnov", "smirnovi"):
        return count, positive
    return (positive,) * fun.nin


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
                "cotdg entr gamma gammaln loggamma rgamma psi digamma y0 y1 k0 k1 k0e k1e"
                " it2struve0 ber bei ker kei berp beip kerp keip exp1 expi ellipkm1",
            )
            if fun is not sc.ellipkm1
        ],
        *[sample(fun, (between,)) for fun in _named(sc, "logit ndtri ellipk ellipe ellipkm1")],
        sample(sc.erfinv, (spread(-0.85, 0.83),)),
        sample(sc.erfcinv, (spread(0.2, 1.8),)),
        sample(sc.ndtri_exp, (spread(-2.5, -0.2),)),
        *[sample(fun, (anywhere,), constant=True) for fun in (sc.gammasgn, sc.round)],
    ]


def _complex(sample: Any, spread: Any, sc: Any) -> list[Any]:
    anywhere, right = spread(-1.93, 1.97), spread(0.42, 2.13)
    names = "expm1 erf erfc erfcx dawsn ndtr log_ndtr"
    return [
        *[sample(fun, (anywhere,), complex=True) for fun in _named(sc, names)],
        *[sample(fun, (right,), complex=True) for fun in _named(sc, "log1p wrightomega spence")],
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
        ("gdtrix", lambda x, y: sc.gdtrix(x, 2.5, y), (right, between)),
        ("gdtria", lambda x, y: sc.gdtria(x, 2.5, y), (between, right)),
        ("gdtr", lambda x, y: sc.gdtr(x, 2.5, y), (right, other)),
        ("gdtrc", lambda x, y: sc.gdtrc(x, 2.5, y), (right, other)),
        ("chndtr", lambda x, y: sc.chndtr(x, 3.5, y), (right, other)),
        *[(n, partial(_apply, sc, n, 2.5, 1.7), quantile) for n in ("betainc", "betaincc")],
        *[(n, partial(_apply, sc, n, 2.5, 1.7), quantile) for n in ("betaincinv", "betainccinv")],
        *[(n, partial(_apply, sc, n, 2.5, 3.7), value) for n in ("fdtr", "fdtrc")],
        ("fdtri", partial(_apply, sc, "fdtri", 2.5, 3.7), quantile),
        *[
            (n, partial(_apply, sc, n, 2.0, np.int64(5)), quantile)
            for n in ("bdtr", "bdtrc", "bdtri")
        ],
        *[(n, partial(_apply, sc, n, 2, 5), quantile) for n in ("nbdtr", "nbdtrc", "nbdtri")],
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
        ("_zeta", lambda x: sc.zeta(2.5, x), value),
    ]
    return [
        *[sample(fun, (order, right)) for fun in _named(sc, bessel) for order in (0.6, whole)],
        *[sample(fun, (whole, right)) for fun in (sc.yn, sc.kn, sc.expn)],
        *[sample(fun, (whole, inside)) for fun in _named(sc, polynomials)],
        sample(sc.hyp0f1, (1.4, inside)),
        sample(sc.tklmbda, (inside, 0.7)),
        *[sample(fun, (2.5, right)) for fun in _named(sc, "gammainc gammaincc chdtr chdtrc stdtr")],
        *[
            sample(fun, (2.5, between))
            for fun in _named(sc, "gammaincinv gammainccinv chdtri stdtrit")
        ],
        *[sample(fun, (2.0, right)) for fun in (sc.pdtr, sc.pdtrc)],
        sample(sc.pdtri, (2.0, between)),
        *[
            sample(fun, args, of=_named(sc, name)[0])
            for name, fun, args in three
            if _named(sc, name)
        ],
    ]


def _distributions(sample: Any, spread: Any, sc: Any) -> list[Any]:
    """Return distributions and their inverses by every argument that has a derivative."""
    shape, other, more = spread(1.1, 3.4), spread(0.7, 2.9, 20), spread(0.6, 2.1, 40)
    p, value, count = spread(0.15, 0.85), spread(0.3, 2.2, 30), spread(2.1, 5.4, 10)
    at, _many, nc = spread(0.1, 0.9, 50), spread(9.3, 14.7, 20), spread(0.4, 1.9, 15)
    one = partial(np.full, 1)  # where SciPy inverts to 10 digits or so, which it does to all here
    wide = np.float64(2.5)  # in single precision SciPy has few digits
    rows = [
        *[(name, (shape, value)) for name in ("gammainc", "gammaincc", "chdtr", "chdtrc", "stdtr")],
        *[(name, (shape, p)) for name in ("gammaincinv", "gammainccinv", "chdtri", "stdtrit")],
        *[(name, (shape, other, at)) for name in ("betainc", "betaincc")],
        *[(name, (shape, other, p)) for name in ("betaincinv", "betainccinv", "fdtri")],
        *[(name, (shape, other, value)) for name in ("fdtr", "fdtrc", "gdtr", "gdtrc")],
        *[(name, (p, other, more)) for name in ("gdtria",)],
        *[("gdtrix", (more, other, p)), ("gdtrib", (more, p, other))],
        *[("chdtriv", (p, value)), ("pdtrik", (p * 0.5 + 0.4, value + 1)), ("stdtridf", (at / 9 + 0.8, value + 1.1))],
        *[("btdtria", (p, other, at)), ("btdtrib", (other, p, at))],
        *[("fdtridfd", (shape, p / 4 + 0.5, value / 4 + 1.4))],
        *[("bdtrik", (one(0.4), one(26.6), one(0.37))), ("bdtrin", (count, p, at / 2 + 0.2))],
        *[("nbdtrik", (p, count, at / 2 + 0.2)), ("nbdtrin", (count, p, at / 2 + 0.3))],
        *[("kolmogorov", (value,)), ("kolmogi", (p,)), ("zetac", (value + 1.2,)), ("zetac", (-value * 3,))],
        *[("smirnov", (np.array([4, 3, 5, 9]), at)), ("smirnovi", (np.array([4, 3, 5, 9]), p))],
        *[("elliprj", (shape, other + 3, more + 6, p)), ("besselpoly", (shape, 0.5, 1.5))],
        *[("ncfdtr", (3.0, 5.0, nc, value)), ("ncfdtri", (3.0, 5.0, nc, p))],
        *[("nctdtr", (3.0, nc, value)), ("nctdtrit", (3.0, nc, p)), ("nctdtrinc", (3.0, one(0.6172), one(0.9971)))],
    ]  # fmt: skip
    noncentral = [
        ("chndtr", lambda x, y: sc.chndtr(x, wide, y), (value, nc)),
        ("chndtrix", lambda x, y: sc.chndtrix(x, wide, y), (p, nc)),
        ("chndtrinc", lambda x, y: sc.chndtrinc(x, wide, y), (value + 1, p / 3)),
    ]
    return [
        *[sample(fun, args) for name, args in rows for fun in _named(sc, name)],
        *[sample(fun, args, of=_named(sc, name)[0]) for name, fun, args in noncentral],
        *[sample(sc.zeta, (value + 1.3,), of=fun) for fun in _named(sc, "_riemann_zeta")],
    ]


def _spheroidal(sample: Any, spread: Any, sc: Any) -> list[Any]:
    """Return spheroidal functions of x, of the second kind where SciPy's have all digits."""
    c = np.float64(2.0)
    inside, beyond, far = spread(-0.8, 0.8), spread(1.3, 2.6), spread(2.1, 3.0)
    ranges = {"ang1": inside, "rad1": beyond, "rad2": far}
    return [
        row
        for shape in ("pro", "obl")
        for kind, x in ranges.items()
        for row in (
            sample(partial(_apply, sc, f"{shape}_{kind}", 0, 1, c), (x,), of=_named(sc, f"{shape}_{kind}")[0]),
            sample(
                partial(_apply, sc, f"{shape}_{kind}_cv", 0, 1, c, getattr(sc, f"{shape}_cv")(0, 1, c)),
                (x,),
                of=_named(sc, f"{shape}_{kind}_cv")[0],
            ),
        )
    ]  # fmt: skip


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
    ]
