"""SciPy's special functions: a partial derivative per argument, registered at the first use.

`core.find_ufunc` imports this module when a ufunc that is not NumPy's meets a tracer and
`scipy.special` is loaded; `import funcgrad` never loads SciPy. The arguments of a function are
called x, y, z, w in order; numbers in brackets are equations of the DLMF (https://dlmf.nist.gov).
A parameter without a closed-form derivative is `refused`: differentiating by it raises.
"""

import importlib
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from funcgrad.core import HANDLERS, Primitive, handle, unsupported, zero
from funcgrad.primitives.families import constant, elementwise, primitive

sc: Any
try:
    sc = importlib.import_module("scipy.special")
except ImportError:  # nothing to give rules to
    sc = None

PI = float(np.pi)
ROOT_PI = PI**0.5
ROOT_2PI = (2 * PI) ** 0.5
DEGREE = PI / 180
LOG2, LOG10 = float(np.log(2.0)), float(np.log(10.0))
NAMES = ("x", "y", "z", "w", "v")


def refused(ct: Any) -> NoReturn:
    """Stand for a partial derivative that has no closed form."""
    raise AssertionError("never called: keeping what it needs raises")


def find(name: str) -> Any:
    """Return a ufunc of `scipy.special`, a private one too, or None if this release has none."""
    for module in (sc, getattr(sc, "_ufuncs", None)):
        ufunc = getattr(module, name, None)
        if isinstance(ufunc, np.ufunc):
            return None if ufunc in HANDLERS else ufunc
    return None


def rule(names: str, *partials: Any) -> None:
    """Declare the functions of these names, which have the same partial derivatives."""
    for name in names.split():
        ufunc = find(name)
        if ufunc is not None:
            HANDLERS[ufunc] = _declare(name, ufunc, partials)


def outputs(name: str, *partials: Any) -> None:
    """Declare a function with several outputs; each has a tuple of partial derivatives."""
    ufunc = find(name)
    if ufunc is not None:
        each = [
            _declare(f"{name}[{i}]", _output(ufunc, i), rules) for i, rules in enumerate(partials)
        ]
        handle(ufunc)(lambda *args: tuple([output(*args) for output in each]))


def _output(ufunc: Any, i: int) -> Callable[..., Any]:
    return lambda *args: ufunc(*args)[i]


def _declare(name: str, fun: Any, partials: tuple[Any, ...]) -> Primitive:
    if len(partials) > 3:
        new = primitive(name, fun, vjp=partials, jvp=partials, parameters=NAMES)
        new.elementwise = True
    else:
        new = elementwise(fun, *partials, name=name)
    new.pulls = tuple([pull if pull in (None, zero) else _in_dtype(pull) for pull in new.pulls])
    for i, partial in enumerate(partials):
        if partial is refused:
            _refuse(new, i)
    if len(partials) > 2:
        new.slots = ()  # the quick recorders take one argument or two
    return new


def _in_dtype(pull: Any) -> Any:
    """Keep single precision, which some of SciPy's functions of an integer order widen."""

    def narrow(ct: Any, kept: Any) -> Any:
        g = pull(ct, kept)
        return g if g.dtype == ct.dtype or g.dtype.kind != ct.dtype.kind else g.astype(ct.dtype)

    narrow.elementwise = True  # type: ignore[attr-defined]
    return narrow


def _refuse(new: Primitive, i: int) -> None:
    """Let the recording of argument `i` raise."""

    def keep(ans: Any, args: Any, settings: Any) -> NoReturn:
        unsupported(
            f"scipy.special.{new.name} with respect to its argument {i}",
            "pass it as a constant: stop_gradient(x) or a plain number",
        )

    keep.args, keep.settings = (), ()  # type: ignore[attr-defined]
    new.keeps = (*new.keeps[:i], keep, *new.keeps[i + 1 :])
    new.jvps = (*new.jvps[:i], lambda t, *known: keep(*known), *new.jvps[i + 1 :])
    new.slots = ()  # the quick recorders do not ask `keeps`


def real_only(x: Any, name: str) -> Any:
    """Return `x`, which a rule takes to be real."""
    if np.result_type(x).kind == "c":
        unsupported(f"scipy.special.{name} of a complex argument", "split it into real functions")
    return x


# --- exponentials, logarithms, trigonometry ------------------------------------------------------

rule("exp2", lambda ans: ans * LOG2)
rule("exp10", lambda ans: ans * LOG10)
rule("expm1", lambda ans: ans + 1)
rule("log1p", lambda ct, x: ct / (1 + x))
rule("cbrt", lambda ct, ans: ct / (3 * ans * ans))
rule("cosm1", lambda x: -np.sin(x))
rule("sindg", lambda x: DEGREE * sc.cosdg(x))
rule("cosdg", lambda x: -DEGREE * sc.sindg(x))
rule("tandg", lambda ans: DEGREE * (1 + ans * ans))
rule("cotdg", lambda ans: -DEGREE * (1 + ans * ans))
rule("radian", DEGREE, DEGREE / 60, DEGREE / 3600)
# (e^x - 1) / x = 1F1(1, 2, x), so that nothing cancels near 0
rule("exprel", lambda x: sc.hyp1f1(2, 3, x) / 2)
rule("expit", lambda ans, x: ans * sc.expit(-x))
rule("logit", lambda ct, x: ct / (x * (1 - x)))
rule("log_expit", lambda x: sc.expit(-x))
rule("powm1", lambda x, y: y * x ** (y - 1), lambda ans, x: sc.xlogy(ans + 1, x))


def _ratio(x: Any, y: Any) -> Any:
    """Return x / y, and 0 where x = 0."""
    zero = x == 0
    return np.where(zero, 0, x / np.where(zero, 1, y))


rule("xlogy", lambda y: np.log(y), _ratio)
rule("xlog1py", lambda y: np.log1p(y), lambda x, y: _ratio(x, 1 + y))
rule("entr", lambda x: -np.log(x) - 1)
rule("rel_entr", lambda x, y: np.log(x / y) + 1, lambda x, y: -x / y)
rule("kl_div", lambda x, y: np.log(x / y), lambda x, y: 1 - x / y)

# With L = log x, boxcox is L exprel(lambda L), smooth at lambda = 0.
rule("boxcox", lambda x, y: x ** (y - 1), lambda x, y: _boxcox_dy(np.log(x), y))
rule("boxcox1p", lambda x, y: (1 + x) ** (y - 1), lambda x, y: _boxcox_dy(np.log1p(x), y))


def _boxcox_dy(log: Any, y: Any) -> Any:
    return log * log * sc.hyp1f1(2, 3, y * log) / 2


# The logarithm of the inverse is x 2F1(1, 1; 2; -lambda x).
rule("inv_boxcox", lambda ans, x, y: ans / (1 + x * y), lambda ans, x, y: _inv_boxcox_dy(ans, x, y))
rule(
    "inv_boxcox1p",
    lambda ans, x, y: (ans + 1) / (1 + x * y),
    lambda ans, x, y: _inv_boxcox_dy(ans + 1, x, y),
)


def _inv_boxcox_dy(power: Any, x: Any, y: Any) -> Any:
    return -power * x * x * sc.hyp2f1(2, 2, 3, -x * y) / 2


# --- losses --------------------------------------------------------------------------------------

# At |r| = delta both branches have the same derivatives.
rule(
    "huber",
    lambda x, y: np.where(np.abs(y) <= x, 0, np.abs(y) - x),
    lambda x, y: np.where(np.abs(y) <= x, y, x * np.sign(y)),
)
rule(
    "pseudo_huber",
    lambda ans, x, y: 2 * ans / x - y * y / (x * np.sqrt(1 + (y / x) ** 2)),
    lambda x, y: y / np.sqrt(1 + (y / x) ** 2),
)

# --- the error function and its kin (7.2, 7.10) --------------------------------------------------

rule("erf", lambda x: 2 / ROOT_PI * np.exp(-x * x))
rule("erfc", lambda x: -2 / ROOT_PI * np.exp(-x * x))
rule("erfi", lambda x: 2 / ROOT_PI * np.exp(x * x))
rule("erfcx", lambda ans, x: 2 * x * ans - 2 / ROOT_PI)
rule("dawsn", lambda ans, x: 1 - 2 * x * ans)
rule("wofz", lambda ans, x: 2j / ROOT_PI - 2 * x * ans)
rule("erfinv", lambda ans: ROOT_PI / 2 * np.exp(ans * ans))
rule("erfcinv", lambda ans: -ROOT_PI / 2 * np.exp(ans * ans))
rule("ndtr", lambda x: np.exp(-x * x / 2) / ROOT_2PI)
rule("ndtri", lambda ans: ROOT_2PI * np.exp(ans * ans / 2))
# The density over the distribution, finite far into the left tail.
rule("log_ndtr", lambda ct, x: ct * ((2 / PI) ** 0.5 / sc.erfcx(-x / 2**0.5)))
rule("ndtri_exp", lambda ans: (PI / 2) ** 0.5 * sc.erfcx(-ans / 2**0.5))
rule(
    "owens_t",
    lambda x, y: -np.exp(-x * x / 2) * sc.erf(x * y / 2**0.5) / (2 * ROOT_2PI),
    lambda x, y: np.exp(-x * x * (1 + y * y) / 2) / (2 * PI * (1 + y * y)),
)


def _voigt(x: Any, y: Any, z: Any) -> Any:
    """Return the argument of w and w' there, for the Voigt profile Re w / (y sqrt(2 pi))."""
    at = (x + 1j * z) / (y * 2**0.5)
    return at, 2j / ROOT_PI - 2 * at * sc.wofz(at)


rule(
    "voigt_profile",
    lambda x, y, z: np.real(_voigt(x, y, z)[1]) / (2 * ROOT_PI * y * y),
    lambda ans, x, y, z: -ans / y - np.real(np.multiply(*_voigt(x, y, z))) / (ROOT_2PI * y * y),
    lambda x, y, z: -np.imag(_voigt(x, y, z)[1]) / (2 * ROOT_PI * y * y),
)

# --- the gamma function (5.2, 5.15) --------------------------------------------------------------


def _trigamma(x: Any) -> Any:
    return sc.zeta(2, real_only(x, "psi, differentiated,"))


def _rgamma(ans: Any, x: Any) -> Any:
    """Return -psi / gamma; at the zeros 0, -1, ... of 1 / gamma its limit."""
    zero = (ans == 0) & (np.real(x) <= 0)
    limit = np.cos(PI * x) * sc.gamma(1 - np.where(zero, x, 0))
    return np.where(zero, limit, -ans * sc.psi(np.where(zero, 1, x)))


rule("gamma", lambda ans, x: ans * sc.psi(x))
rule("gammaln loggamma", lambda x: sc.psi(x))
rule("rgamma", lambda ans, x: _rgamma(ans, x))
rule("psi", lambda x: _trigamma(x))


def _zeta_slope(s: Any) -> Any:
    """Return zeta'(s): by the Euler-Maclaurin formula (25.2.9), below 0 by reflection (25.4.1)."""
    low = s < 0
    at = np.where(low, 1 - s, s)
    slope = _zeta_slope_right(at)
    zeta = sc.zetac(at) + 1
    power = np.exp(s * np.log(2 * PI)) / PI * sc.gamma(np.where(low, at, 1))
    sine, cosine = np.sin(PI * s / 2), np.cos(PI * s / 2)
    log = np.log(2 * PI) - sc.psi(np.where(low, at, 1))
    return np.where(low, power * ((sine * log + PI / 2 * cosine) * zeta - sine * slope), slope)


def _zeta_slope_right(s: Any, n: int = 14) -> Any:
    logs = np.log(np.arange(2.0, n))
    total = -np.sum(logs * np.exp(-np.expand_dims(s, -1) * logs), axis=-1)
    log = float(np.log(n))
    power = np.exp(-s * log)
    total = total - n * power * (log + 1 / (s - 1)) / (s - 1) - log * power / 2
    rising, slope = s, 1.0  # s (s + 1) ... (s + 2k - 2) and its derivative
    for k, bernoulli in enumerate(_BERNOULLI, 1):
        factor = bernoulli * power / n ** (2 * k - 1)
        total = total + factor * (slope - log * rising)
        for j in (2 * k - 1, 2 * k):
            rising, slope = rising * (s + j), slope * (s + j) + rising
    return total


# B(2k) / (2k)!
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000)
rule("_riemann_zeta zetac", lambda x: _zeta_slope(x))
# The Hurwitz zeta function (25.11.17)
rule("_zeta", refused, lambda x, y: -x * sc.zeta(x + 1, y))
rule(
    "beta",
    lambda ans, x, y: ans * (sc.psi(x) - sc.psi(x + y)),
    lambda ans, x, y: ans * (sc.psi(y) - sc.psi(x + y)),
)
rule(
    "betaln",
    lambda x, y: sc.psi(x) - sc.psi(x + y),
    lambda x, y: sc.psi(y) - sc.psi(x + y),
)
rule(
    "poch",
    lambda ans, x, y: ans * (sc.psi(x + y) - sc.psi(x)),
    lambda ans, x, y: ans * sc.psi(x + y),
)
rule(
    "binom",
    lambda ans, x, y: ans * (sc.psi(x + 1) - sc.psi(x - y + 1)),
    lambda ans, x, y: ans * (sc.psi(x - y + 1) - sc.psi(y + 1)),
)

# --- Bessel functions (10.6, 10.29): the order is a constant -------------------------------------

rule("j0", lambda x: -sc.j1(x))
rule("j1", lambda x: (sc.j0(x) - sc.jv(2, x)) / 2)
rule("jv", refused, lambda x, y: (sc.jv(x - 1, y) - sc.jv(x + 1, y)) / 2)
rule("y0", lambda x: -sc.y1(x))
rule("y1", lambda x: (sc.y0(x) - sc.yn(2, x)) / 2)
rule("yn", refused, lambda x, y: (sc.yn(x - 1, y) - sc.yn(x + 1, y)) / 2)
rule("yv", refused, lambda x, y: (sc.yv(x - 1, y) - sc.yv(x + 1, y)) / 2)
rule("i0", lambda x: sc.i1(x))
rule("i1", lambda x: (sc.i0(x) + sc.iv(2, x)) / 2)
rule("iv", refused, lambda x, y: (sc.iv(x - 1, y) + sc.iv(x + 1, y)) / 2)
rule("k0", lambda x: -sc.k1(x))
rule("k1", lambda x: -(sc.k0(x) + sc.kn(2, x)) / 2)
rule("kn", refused, lambda x, y: -(sc.kn(x - 1, y) + sc.kn(x + 1, y)) / 2)
rule("kv", refused, lambda x, y: -(sc.kv(x - 1, y) + sc.kv(x + 1, y)) / 2)
rule("hankel1", refused, lambda x, y: (sc.hankel1(x - 1, y) - sc.hankel1(x + 1, y)) / 2)
rule("hankel2", refused, lambda x, y: (sc.hankel2(x - 1, y) - sc.hankel2(x + 1, y)) / 2)

# Scaled by an exponential; one of |z| has no derivative in complex z.
rule("i0e", lambda ans, x: sc.i1e(x) - np.sign(x) * ans)
rule("i1e", lambda ans, x: (sc.i0e(x) + sc.ive(2, x)) / 2 - np.sign(x) * ans)
rule("ive", refused, lambda ans, x, y: _ive(ans, x, real_only(y, "ive")))
rule("jve", refused, lambda x, y: _jve(x, real_only(y, "jve")))
rule("yve", refused, lambda x, y: _yve(x, real_only(y, "yve")))
rule("k0e", lambda ans, x: ans - sc.k1e(x))
rule("k1e", lambda ans, x: ans - (sc.k0e(x) + sc.kve(2, x)) / 2)
rule("kve", refused, lambda ans, x, y: ans - (sc.kve(x - 1, y) + sc.kve(x + 1, y)) / 2)
rule("hankel1e", refused, lambda ans, x, y: _hankel(sc.hankel1e, x, y) - 1j * ans)
rule("hankel2e", refused, lambda ans, x, y: _hankel(sc.hankel2e, x, y) + 1j * ans)


def _ive(ans: Any, x: Any, y: Any) -> Any:
    return (sc.ive(x - 1, y) + sc.ive(x + 1, y)) / 2 - np.sign(y) * ans


def _jve(x: Any, y: Any) -> Any:
    return (sc.jve(x - 1, y) - sc.jve(x + 1, y)) / 2


def _yve(x: Any, y: Any) -> Any:
    return (sc.yve(x - 1, y) - sc.yve(x + 1, y)) / 2


def _hankel(fun: Any, x: Any, y: Any) -> Any:
    return (fun(x - 1, y) - fun(x + 1, y)) / 2


# Struve functions (11.4.27, 11.4.29)
rule("struve", refused, lambda ans, x, y: sc.struve(x - 1, y) - x * ans / y)
rule("modstruve", refused, lambda ans, x, y: sc.modstruve(x - 1, y) - x * ans / y)
# The integral over 0 < t < 1 of t^lambda J_nu(2 a t)
rule("besselpoly", lambda x, y, z: _besselpoly(x, y + 1, z), refused, refused)


def _besselpoly(a: Any, power: Any, order: Any) -> Any:
    return sc.besselpoly(a, power, order - 1) - sc.besselpoly(a, power, order + 1)


rule("itstruve0", lambda x: sc.struve(0, x))
rule("it2struve0", lambda x: -sc.struve(0, x) / x)
rule("itmodstruve0", lambda x: sc.modstruve(0, x))
outputs("itj0y0", (lambda x: sc.j0(x),), (lambda x: sc.y0(x),))
outputs("iti0k0", (lambda x: sc.i0(x),), (lambda x: sc.k0(x),))
outputs("it2j0y0", (lambda x: (1 - sc.j0(x)) / x,), (lambda x: -sc.y0(x) / x,))
outputs("it2i0k0", (lambda x: (sc.i0(x) - 1) / x,), (lambda x: -sc.k0(x) / x,))

# Kelvin functions (10.61.3): w = ber + i bei solves w'' = i w - w' / x, and so does ker + i kei.
rule("ber", lambda x: sc.berp(x))
rule("bei", lambda x: sc.beip(x))
rule("ker", lambda x: sc.kerp(x))
rule("kei", lambda x: sc.keip(x))
rule("berp", lambda ans, x: -sc.bei(x) - ans / x)
rule("beip", lambda ans, x: sc.ber(x) - ans / x)
rule("kerp", lambda ans, x: -sc.kei(x) - ans / x)
rule("keip", lambda ans, x: sc.ker(x) - ans / x)
outputs(
    "kelvin",
    (lambda x: sc.kelvin(x)[2],),
    (lambda x: sc.kelvin(x)[3],),
    (lambda ans, x: 1j * sc.kelvin(x)[0] - ans / x,),
    (lambda ans, x: 1j * sc.kelvin(x)[1] - ans / x,),
)

# Airy functions (9.2.1); the scaled ones for real arguments, the exponent being 0 left of 0.
outputs(
    "airy",
    (lambda x: sc.airy(x)[1],),
    (lambda x: x * sc.airy(x)[0],),
    (lambda x: sc.airy(x)[3],),
    (lambda x: x * sc.airy(x)[2],),
)


def _root(x: Any) -> Any:
    return np.sqrt(np.maximum(real_only(x, "airye"), 0))


outputs(
    "airye",
    (lambda ans, x: sc.airye(x)[1] + _root(x) * ans,),
    (lambda ans, x: x * sc.airye(x)[0] + _root(x) * ans,),
    (lambda ans, x: sc.airye(x)[3] - _root(x) * ans,),
    (lambda ans, x: x * sc.airye(x)[2] - _root(x) * ans,),
)
outputs(
    "itairy",
    (lambda x: sc.airy(x)[0],),
    (lambda x: sc.airy(x)[2],),
    (lambda x: sc.airy(-x)[0],),
    (lambda x: sc.airy(-x)[2],),
)

# Parabolic cylinder functions (12.2.2, 12.2.3, 12.14.1): values and derivatives
outputs(
    "pbdv",
    (refused, lambda x, y: sc.pbdv(x, y)[1]),
    (refused, lambda x, y: (y * y / 4 - x - 0.5) * sc.pbdv(x, y)[0]),
)
outputs(
    "pbvv",
    (refused, lambda x, y: sc.pbvv(x, y)[1]),
    (refused, lambda x, y: (y * y / 4 - x - 0.5) * sc.pbvv(x, y)[0]),
)
outputs(
    "pbwa",
    (refused, lambda x, y: sc.pbwa(x, y)[1]),
    (refused, lambda x, y: (x - y * y / 4) * sc.pbwa(x, y)[0]),
)

# Mathieu functions (28.2.1, 28.20.1); SciPy takes the angle in degrees
outputs(
    "mathieu_cem",
    (refused, refused, lambda x, y, z: DEGREE * sc.mathieu_cem(x, y, z)[1]),
    (refused, refused, lambda x, y, z: DEGREE * _mathieu(sc.mathieu_cem, sc.mathieu_a, x, y, z)),
)
outputs(
    "mathieu_sem",
    (refused, refused, lambda x, y, z: DEGREE * sc.mathieu_sem(x, y, z)[1]),
    (refused, refused, lambda x, y, z: DEGREE * _mathieu(sc.mathieu_sem, sc.mathieu_b, x, y, z)),
)


def _mathieu(fun: Any, characteristic: Any, x: Any, y: Any, z: Any) -> Any:
    return (2 * y * np.cos(2 * DEGREE * z) - characteristic(x, y)) * fun(x, y, z)[0]


def _modified_mathieu(fun: Any, characteristic: Any, x: Any, y: Any, z: Any) -> Any:
    return (characteristic(x, y) - 2 * y * np.cosh(2 * z)) * fun(x, y, z)[0]


outputs(
    "mathieu_modcem1",
    (refused, refused, lambda x, y, z: sc.mathieu_modcem1(x, y, z)[1]),
    (
        refused,
        refused,
        lambda x, y, z: _modified_mathieu(sc.mathieu_modcem1, sc.mathieu_a, x, y, z),
    ),
)
outputs(
    "mathieu_modcem2",
    (refused, refused, lambda x, y, z: sc.mathieu_modcem2(x, y, z)[1]),
    (
        refused,
        refused,
        lambda x, y, z: _modified_mathieu(sc.mathieu_modcem2, sc.mathieu_a, x, y, z),
    ),
)
outputs(
    "mathieu_modsem1",
    (refused, refused, lambda x, y, z: sc.mathieu_modsem1(x, y, z)[1]),
    (
        refused,
        refused,
        lambda x, y, z: _modified_mathieu(sc.mathieu_modsem1, sc.mathieu_b, x, y, z),
    ),
)
outputs(
    "mathieu_modsem2",
    (refused, refused, lambda x, y, z: sc.mathieu_modsem2(x, y, z)[1]),
    (
        refused,
        refused,
        lambda x, y, z: _modified_mathieu(sc.mathieu_modsem2, sc.mathieu_b, x, y, z),
    ),
)

# --- integrals of elementary functions (6.2, 7.2, 8.19, 25.12) -----------------------------------


def _over(numerator: Any, x: Any) -> Any:
    """Return numerator / x, and 1 at 0."""
    zero = x == 0
    return np.where(zero, 1, numerator / np.where(zero, 1, x))


outputs("sici", (lambda x: _over(np.sin(x), x),), (lambda x: np.cos(x) / x,))
outputs("shichi", (lambda x: _over(np.sinh(x), x),), (lambda x: np.cosh(x) / x,))
outputs(
    "fresnel",
    (lambda x: np.sin(PI / 2 * x * x),),
    (lambda x: np.cos(PI / 2 * x * x),),
)
outputs(
    "modfresnelp",
    (lambda x: -np.exp(1j * x * x),),
    (lambda ans, x: -complex(np.exp(-0.25j * PI)) / ROOT_PI - 2j * x * ans,),
)
outputs(
    "modfresnelm",
    (lambda x: -np.exp(-1j * x * x),),
    (lambda ans, x: -complex(np.exp(0.25j * PI)) / ROOT_PI + 2j * x * ans,),
)
rule("exp1", lambda x: -np.exp(-x) / x)
rule("expi", lambda x: np.exp(x) / x)
# E0 = e^-x / x has no E_-1 in SciPy
rule("expn", refused, lambda x, y: np.where(x == 0, -(1 + 1 / y) * np.exp(-y) / y, _expn(x, y)))


def _expn(x: Any, y: Any) -> Any:
    return -sc.expn(np.where(x == 0, 1, x) - 1, y)


# log(z) / (1 - z) = -2F1(1, 1; 2; 1 - z), smooth at 1
def _spence_dx(x: Any) -> Any:
    near = np.abs(x - 1) < 0.5
    far = np.where(near, 2, x)
    series = -sc.hyp2f1(1, 1, 2, 1 - np.where(near, x, 1))
    return np.where(near, series, np.log(far) / (1 - far))


rule("spence", _spence_dx)

# --- hypergeometric functions (13.3.15, 13.3.22, 15.5.1, 16.3.1) ---------------------------------

rule("hyp0f1", refused, lambda x, y: sc.hyp0f1(x + 1, y) / x)
rule("hyp1f1", refused, refused, lambda x, y, z: x / y * sc.hyp1f1(x + 1, y + 1, z))
rule("hyperu", refused, refused, lambda x, y, z: -x * sc.hyperu(x + 1, y + 1, z))
rule(
    "hyp2f1",
    refused,
    refused,
    refused,
    lambda ct, x, y, z, w: ct * (x * y / z * sc.hyp2f1(x + 1, y + 1, z + 1, w)),
)
rule("wright_bessel", refused, refused, lambda x, y, z: sc.wright_bessel(x, x + y, z))
rule(
    "log_wright_bessel",
    refused,
    refused,
    lambda ans, x, y, z: np.exp(sc.log_wright_bessel(x, x + y, z) - ans),
)

# --- elliptic integrals (19.4, 19.18) and functions (22.13) --------------------------------------

# K = pi / 2 2F1(1/2, 1/2; 1; m) and E = pi / 2 2F1(-1/2, 1/2; 1; m), smooth at m = 0
rule("ellipk", lambda x: PI / 8 * sc.hyp2f1(1.5, 1.5, 2, x))
rule("ellipkm1", lambda ans, x: _ellipkm1_dx(ans, x))
rule("ellipe", lambda x: -PI / 8 * sc.hyp2f1(0.5, 1.5, 2, x))


def _ellipkm1_dx(ans: Any, x: Any) -> Any:
    """Return -K'(1 - x), by Carlson's integral where 1 - x loses digits."""
    near = -(ans - sc.elliprd(0, x, 1) / 3) / (2 * x)
    return np.where(x < 0.5, near, -PI / 8 * sc.hyp2f1(1.5, 1.5, 2, 1 - x))


def _delta(x: Any, y: Any) -> Any:
    return np.sqrt(1 - y * np.sin(x) ** 2)


def _near_circle(x: Any, y: Any, formula: Any, sign: int) -> Any:
    """Return a derivative by m; at m = 0, where the formula is 0 / 0, its limit."""
    zero = y == 0
    limit = sign * (2 * x - np.sin(2 * x)) / 8
    return np.where(zero, limit, formula(x, np.where(zero, 0.5, y)))


def _ellipkinc_dm(x: Any, y: Any) -> Any:
    first, second = sc.ellipkinc(x, y), sc.ellipeinc(x, y)
    return (second / y - np.sin(2 * x) / (2 * _delta(x, y))) / (2 * (1 - y)) - first / (2 * y)


def _ellipeinc_dm(x: Any, y: Any) -> Any:
    return (sc.ellipeinc(x, y) - sc.ellipkinc(x, y)) / (2 * y)


rule(
    "ellipkinc",
    lambda x, y: 1 / _delta(x, y),
    lambda x, y: _near_circle(x, y, _ellipkinc_dm, 1),
)
rule(
    "ellipeinc",
    lambda x, y: _delta(x, y),
    lambda x, y: _near_circle(x, y, _ellipeinc_dm, -1),
)


def _amplitude_dm(x: Any, y: Any) -> Any:
    """Return the derivative by m of the amplitude, at which ellipkinc is x."""
    _, _, dn, amplitude = sc.ellipj(x, y)
    return -dn * _near_circle(amplitude, y, _ellipkinc_dm, 1)


def _dn_dm(ans: Any, x: Any, y: Any) -> Any:
    sn, cn, _, _ = sc.ellipj(x, y)
    return -(sn * sn / 2 + y * sn * cn * _amplitude_dm(x, y)) / ans


outputs(
    "ellipj",
    (
        lambda x, y: np.multiply(*sc.ellipj(x, y)[1:3]),
        lambda x, y: sc.ellipj(x, y)[1] * _amplitude_dm(x, y),
    ),
    (
        lambda x, y: -np.multiply(*sc.ellipj(x, y)[0:3:2]),
        lambda x, y: -sc.ellipj(x, y)[0] * _amplitude_dm(x, y),
    ),
    (
        lambda x, y: -y * np.multiply(*sc.ellipj(x, y)[0:2]),
        _dn_dm,
    ),
    (lambda x, y: sc.ellipj(x, y)[2], _amplitude_dm),
)

# Carlson's symmetric integrals (19.18.1, 19.20); infinite or undefined where two arguments of
# elliprd, or those of elliprc, are equal.


def _elliprd_dx(x: Any, y: Any, z: Any, ans: Any) -> Any:
    return (ans - sc.elliprd(y, z, x)) / (2 * (z - x))


def _elliprd_dz(x: Any, y: Any, z: Any, ans: Any) -> Any:
    """Return what remains by Euler's theorem: the degree is -3/2."""
    first = np.where(x == 0, 0, x * _elliprd_dx(x, y, z, ans))  # the slope is infinite at 0
    others = first + y * _elliprd_dx(y, x, z, ans)
    return -(1.5 * ans + others) / z


def _elliprc_dx(x: Any, y: Any, ans: Any) -> Any:
    return (ans - 1 / np.sqrt(x)) / (2 * (y - x))


rule(
    "elliprf",
    lambda x, y, z: -sc.elliprd(y, z, x) / 6,
    lambda x, y, z: -sc.elliprd(x, z, y) / 6,
    lambda x, y, z: -sc.elliprd(x, y, z) / 6,
)
rule(
    "elliprg",
    lambda x, y, z: sc.elliprf(x, y, z) / 4 - x * sc.elliprd(y, z, x) / 12,
    lambda x, y, z: sc.elliprf(x, y, z) / 4 - y * sc.elliprd(x, z, y) / 12,
    lambda x, y, z: sc.elliprf(x, y, z) / 4 - z * sc.elliprd(x, y, z) / 12,
)
rule(
    "elliprd",
    _elliprd_dx,
    lambda x, y, z, ans: _elliprd_dx(y, x, z, ans),
    _elliprd_dz,
)


def _elliprj_dx(x: Any, y: Any, z: Any, p: Any) -> Any:
    """Split 1 / ((t + p)(t + x)) under the integral."""
    return (sc.elliprd(y, z, x) - sc.elliprj(x, y, z, p)) / (2 * (x - p))


def _elliprj_dp(x: Any, y: Any, z: Any, p: Any) -> Any:
    """By Euler's theorem: the function is homogeneous of degree -3/2."""
    by_x, by_y = x * _elliprj_dx(x, y, z, p), y * _elliprj_dx(y, x, z, p)
    return -(1.5 * sc.elliprj(x, y, z, p) + by_x + by_y + z * _elliprj_dx(z, x, y, p)) / p


rule(
    "elliprj",
    lambda ct, x, y, z, w: ct * _elliprj_dx(x, y, z, w),
    lambda ct, x, y, z, w: ct * _elliprj_dx(y, x, z, w),
    lambda ct, x, y, z, w: ct * _elliprj_dx(z, x, y, w),
    lambda ct, x, y, z, w: ct * _elliprj_dp(x, y, z, w),
)
rule(
    "elliprc",
    _elliprc_dx,
    lambda x, y, ans: -(ans / 2 + x * _elliprc_dx(x, y, ans)) / y,
)
# agm(x, y) = pi / (2 RF(0, x^2, y^2))
rule("agm", lambda ans, x, y: _agm_dx(ans, x, y), lambda ans, x, y: _agm_dx(ans, y, x))


def _agm_dx(ans: Any, x: Any, y: Any) -> Any:
    return 2 / (3 * PI) * ans * ans * x * sc.elliprd(0, y * y, x * x)


# --- orthogonal polynomials (18.9): the degree and the parameters are constants ------------------


def _lower(n: Any) -> Any:
    """Return n - 1, and 0 for 0, where the factor n makes the derivative 0."""
    return np.where(n == 0, 0, n - 1)


def _chebyu_dx(n: Any, x: Any) -> Any:
    return np.where(n == 0, 0, 2 * sc.eval_gegenbauer(_lower(n), 2, x))


def _jacobi_dx(n: Any, a: Any, b: Any, x: Any) -> Any:
    slope = (n + a + b + 1) / 2 * sc.eval_jacobi(_lower(n), a + 1, b + 1, x)
    return np.where(n == 0, 0, slope)


def _genlaguerre_dx(n: Any, a: Any, x: Any) -> Any:
    return np.where(n == 0, 0, -sc.eval_genlaguerre(_lower(n), a + 1, x))


rule("eval_legendre", refused, lambda x, y: _jacobi_dx(x, 0, 0, y))
rule("eval_sh_legendre", refused, lambda x, y: 2 * _jacobi_dx(x, 0, 0, 2 * y - 1))
rule("eval_chebyt", refused, lambda x, y: x * sc.eval_chebyu(_lower(x), y))
rule("eval_sh_chebyt", refused, lambda x, y: 2 * x * sc.eval_chebyu(_lower(x), 2 * y - 1))
rule("eval_chebyc", refused, lambda x, y: x * sc.eval_chebyu(_lower(x), y / 2))
rule("eval_chebyu", refused, lambda x, y: _chebyu_dx(x, y))
rule("eval_sh_chebyu", refused, lambda x, y: 2 * _chebyu_dx(x, 2 * y - 1))
rule("eval_chebys", refused, lambda x, y: _chebyu_dx(x, y / 2) / 2)
rule("eval_laguerre", refused, lambda x, y: _genlaguerre_dx(x, 0, y))
rule("eval_hermite", refused, lambda x, y: 2 * x * sc.eval_hermite(_lower(x), y))
rule("eval_hermitenorm", refused, lambda x, y: x * sc.eval_hermitenorm(_lower(x), y))
rule("eval_genlaguerre", refused, refused, lambda x, y, z: _genlaguerre_dx(x, y, z))
rule(
    "eval_gegenbauer",
    refused,
    refused,
    lambda x, y, z: np.where(x == 0, 0, 2 * y * sc.eval_gegenbauer(_lower(x), y + 1, z)),
)
rule(
    "eval_jacobi",
    refused,
    refused,
    refused,
    lambda ct, x, y, z, w: ct * _jacobi_dx(x, y, z, w),
)
# The leading coefficient is 1, so the derivative is n times the next family's.
rule(
    "eval_sh_jacobi",
    refused,
    refused,
    refused,
    lambda ct, x, y, z, w: ct * (x * sc.eval_sh_jacobi(_lower(x), y + 2, z + 1, w)),
)
# Associated Legendre functions (14.10.5)
rule(
    "lpmv",
    refused,
    refused,
    lambda ans, x, y, z: (y * z * ans - (x + y) * sc.lpmv(x, y - 1, z)) / (z * z - 1),
)

# --- others --------------------------------------------------------------------------------------

# W e^W = z (4.13.1): the derivative is e^-W / (1 + W), also at 0
rule("_lambertw", lambda ct, ans: ct * (np.exp(-ans) / (1 + ans)), None, None)
rule("wrightomega", lambda ct, ans: ct * (ans / (1 + ans)))

for _name in ("gammasgn", "round"):
    _fun = find(_name)
    if _fun is not None:
        constant(_fun)
