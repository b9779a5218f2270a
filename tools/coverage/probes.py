"""What is run for each row: a sample of the test suite, or a probe of this file.

A row named after a function is run by that function's first sample in `tests/samples*.py`. The others
stand here, spelled as NumPy's users spell them; where that spelling cannot reach funcgrad (NumPy would
convert the traced value by itself), the probe uses the one that works, and `SPELLED` names it.
"""

import csv
import importlib
import operator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.samples import SAMPLES, Sample, positive, reals, spread
from tests.samples_linalg import hermitian, regular
from tests.samples_updates import MASK, PLACES, written

ROWS = Path(__file__).with_name("rows.csv")

R, S, P, CUBE = reals(3, 4), reals(3, 4, start=40), positive(3, 4), reals(2, 3, 4)
X, Y, SHORT, SCALAR = reals(4), reals(4, start=30), reals(3), np.array(0.7)
SQUARE = regular(3, 3)
STACK = regular(2, 3, 3)
COLUMNS, WHERE = np.array([3, 1, 1]), np.array([False, True, True, False])
GRID = np.linspace(-1, 1, 7)
POINTS, XP, FP = np.array([-1.2, 0.1, -0.6, 0.9]), np.array([-1.5, -0.4, 0.3, 1.1]), Y


def _set_item(index: Any) -> Any:
    return written(lambda y, v: operator.setitem(y, index, v))


def _method(name: str, *args: Any, **settings: Any) -> Any:
    return lambda x: getattr(x, name)(*args, **settings)


def _through_alias(y: Any, v: Any) -> Any:
    other = y
    other *= v
    return y + other


def _through_view(y: Any, v: Any) -> None:
    y[1:][:, ::2][0] = v[:2]


def _through_reshape(y: Any, v: Any) -> None:
    y.reshape(-1)[2:6] = v


def _slice_add(y: Any, v: Any) -> None:
    y[1:, 1] += v[:2] * v[1:3]


def _filled_like(x: Any) -> Any:
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = x[i] * x[0]
    return y


def _filled(x: Any) -> Any:
    y = np.zeros(4, like=x)
    for i in range(len(x)):
        y[i] = x[i] * x[0]
    return y


WRITING = {
    "ndarray.sort (in-place)": Sample(written(lambda y: y.sort(0)), (R,)),
    "ndarray.partition (in-place)": Sample(written(lambda y: y.partition(1)), (R,)),
    "ndarray.put (in-place)": Sample(written(lambda y, v: y.put([5, 0, 2], v)), (R, SHORT)),
    **{
        f"np.{ufunc.__name__}.at": Sample(
            written(lambda y, v, ufunc=ufunc: ufunc.at(y, PLACES, v)), (X, SHORT)
        )
        for ufunc in (np.add, np.subtract, np.multiply, np.maximum)
    },
    "ndarray.fill (in-place)": Sample(written(lambda y, v: y.fill(v)), (R, SCALAR)),
    "ndarray.resize (in-place)": Sample(written(lambda y: y.resize((2, 4))), (R,)),
    "ndarray.__iadd__": Sample(written(operator.iadd), (R, S)),
    "ndarray.__isub__": Sample(written(operator.isub), (R, S)),
    "ndarray.__imul__": Sample(written(operator.imul), (R, S)),
    "ndarray.__itruediv__": Sample(written(operator.itruediv), (R, P)),
    "ndarray.__ipow__": Sample(written(operator.ipow), (P, S)),
    "ndarray.__imatmul__": Sample(written(operator.imatmul), (R, reals(4, 4))),
    "ndarray.__imul__ seen through alias": Sample(written(_through_alias), (R, S)),
    "ndarray.__setitem__ int": Sample(_set_item(1), (R, X)),
    "ndarray.__setitem__ slice": Sample(_set_item(slice(0, 2)), (R, X)),
    "ndarray.__setitem__ bool mask": Sample(_set_item(MASK), (R, SCALAR)),
    "ndarray.__setitem__ int array (dups)": Sample(_set_item((0, COLUMNS)), (R, SHORT)),
    "ndarray.__setitem__ through view": Sample(written(_through_view), (R, X)),
    "ndarray.__setitem__ slice +=": Sample(written(_slice_add), (R, X)),
    "ndarray.__setitem__ through reshape view": Sample(written(_through_reshape), (R, X)),
    "ndarray.zeros_like + __setitem__": Sample(_filled_like, (X,)),
    "ndarray.zeros(n) + __setitem__": Sample(_filled, (X,)),
    "ndarray.out= kwarg": Sample(written(lambda y, v: np.multiply(v, v, out=y)), (R, S)),
    "ndarray.where= kwarg": Sample(
        written(lambda y, v: np.multiply(v, v, out=y, where=MASK)), (R, S)
    ),
}

OPERATORS = {
    "ndarray.__add__": Sample(operator.add, (R, S)),
    "ndarray.__radd__": Sample(lambda x: 2.0 + x, (R,)),
    "ndarray.__sub__": Sample(operator.sub, (R, S)),
    "ndarray.__rsub__": Sample(lambda x: S - x, (R,)),
    "ndarray.__mul__": Sample(operator.mul, (R, S)),
    "ndarray.__rmul__": Sample(lambda x: S * x, (R,)),
    "ndarray.__truediv__": Sample(operator.truediv, (R, P)),
    "ndarray.__rtruediv__": Sample(lambda x: S / x, (P,)),
    "ndarray.__pow__": Sample(operator.pow, (P, S)),
    "ndarray.__rpow__": Sample(lambda x: P**x, (R,)),
    "ndarray.__mod__": Sample(operator.mod, (R, P)),
    "ndarray.__rmod__": Sample(lambda x: S % x, (P,)),
    "ndarray.__floordiv__": Sample(operator.floordiv, (R, P), constant=True),
    "ndarray.__divmod__": Sample(divmod, (R, P)),
    "ndarray.__matmul__": Sample(operator.matmul, (R, reals(4, 2)), exact=False),
    "ndarray.__rmatmul__": Sample(lambda x: S.T @ x, (R,), exact=False),
    "ndarray.__neg__": Sample(operator.neg, (R,)),
    "ndarray.__pos__": Sample(operator.pos, (R,)),
    "ndarray.__abs__": Sample(abs, (R,)),
    "ndarray.__round__": Sample(lambda x: x.round(1), (R,), constant=True),
    "ndarray.__float__ via np.float64()": Sample(lambda x: x.astype(np.float64), (SCALAR,)),
    "ndarray.__iter__": Sample(lambda x: [row * row[0] for row in x], (R,)),
    "ndarray.__len__": Sample(lambda x: x * len(x), (R,)),
    "ndarray.__getitem__ int": Sample(lambda x: x[1], (R,)),
    "ndarray.__getitem__ slice": Sample(lambda x: x[1:, ::2], (R,)),
    "ndarray.__getitem__ newaxis/ellipsis": Sample(lambda x: x[..., None, 0], (R,)),
    "ndarray.__getitem__ int array": Sample(lambda x: x[[0, 2, 2]], (R,)),
    "ndarray.__getitem__ bool mask": Sample(lambda x: x[MASK], (R,)),
    "ndarray.__getitem__ mixed adv": Sample(lambda x: x[1:, [3, 0, 0]], (R,)),
    "ndarray.__getitem__ ix_": Sample(lambda x: x[np.ix_([2, 0], [1, 1])], (R,)),
    "ndarray.sum(where=)": Sample(lambda x: x.sum(where=MASK), (R,), exact=False),
    "ndarray.sum(initial=)": Sample(lambda x: x.sum(initial=2.0), (R,), exact=False),
    "ndarray.keepdims=": Sample(lambda x: x.sum(0, keepdims=True), (R,), exact=False),
    "ndarray.np.f(a=x) keyword arg": Sample(lambda x: np.sum(a=x), (R,), exact=False),
}

METHODS = {
    "ndarray.T": Sample(lambda x: x.T, (R,)),
    "ndarray.mT": Sample(lambda x: x.mT, (CUBE,)),
    "ndarray.real": Sample(lambda x: x.real, (R,)),
    "ndarray.imag": Sample(lambda x: x.imag, (R,), complex=True),
    "ndarray.flat[i]": Sample(lambda x: x.flat[[1, 5, 5]], (R,)),
    "ndarray.astype": Sample(_method("astype", np.float64), (R,)),
    "ndarray.clip": Sample(_method("clip", -0.5, 0.6), (R,)),
    "ndarray.compress": Sample(_method("compress", [True, False, True], 0), (R,)),
    "ndarray.dot": Sample(lambda x, y: x.dot(y), (R, X), exact=False),
    "ndarray.repeat": Sample(_method("repeat", 2, 1), (R,)),
    "ndarray.reshape(tuple)": Sample(_method("reshape", (2, 6)), (R,)),
    "ndarray.reshape(*ints)": Sample(_method("reshape", 2, -1), (R,)),
    "ndarray.round": Sample(_method("round", 1), (R,), constant=True),
    "ndarray.squeeze": Sample(_method("squeeze"), (reals(3, 1),)),
    "ndarray.swapaxes": Sample(_method("swapaxes", 0, 1), (R,)),
    "ndarray.take": Sample(_method("take", [2, 0, 0], 0), (R,)),
    "ndarray.transpose()": Sample(_method("transpose"), (R,)),
    "ndarray.transpose(*axes)": Sample(_method("transpose", 1, 0), (R,)),
    "ndarray.item": Sample(_method("item", 1, 2), (R,)),
    "ndarray.tolist": Sample(_method("tolist"), (X,)),
    "ndarray.view": Sample(_method("view"), (R,)),
    "ndarray.getfield": Sample(_method("getfield", np.float64), (R,)),
    "ndarray.choose(choices)": Sample(lambda x, y: np.choose([0, 1, 1, 0], [x, y]), (X, Y)),
    **{
        f"ndarray.{name}": Sample(_method(name), (R,), exact=False)
        for name in (
            *("conj", "conjugate", "copy", "cumprod", "cumsum", "diagonal", "flatten", "ravel"),
            *("max", "min", "mean", "prod", "std", "sum", "trace", "var"),
        )
    },
}

CREATION = {
    "np.array([x0,x1])": Sample(lambda x: np.array([x[0], 2 * x[1]]), (X,)),
    "np.array([[..],[..]])": Sample(lambda x: np.array([[x[0], x[1]], [1.0, x[0] * x[1]]]), (X,)),
    "np.asarray([x0,x1])": Sample(lambda x: np.asarray([x[0], 2 * x[1]]), (X,)),
    "np.mean([x0,x1])": Sample(lambda x, y: np.mean(np.stack([x, y])), (SCALAR, SCALAR)),
    "np.sum([x0,x1])": Sample(lambda x, y: np.sum([x, y]), (SCALAR, SCALAR)),
    "np.max([x0,x1])": Sample(lambda x, y: np.max(np.stack([x, y])), (SCALAR, 2 * SCALAR)),
    "np.dot([..],w)": Sample(
        lambda x, y: np.dot([x, y], np.array([2.0, 3.0])), (SCALAR, SCALAR), exact=False
    ),
    "np.r_": Sample(lambda x, y: np.r_[x, y, 1.0], (X, SHORT)),
    "np.c_": Sample(lambda x, y: np.c_[x, y], (X, Y)),
    "np.full(fill_value)": Sample(lambda x: np.full((2, 4), x, like=x), (X,)),
    "np.full_like(a=x)": Sample(lambda x: np.full_like(x, 2.5) * x, (R,)),
    "np.full_like(fill_value)": Sample(lambda x: np.full_like(x, x[0]), (R,)),
    "np.empty_like": Sample(
        written(lambda y: operator.setitem(y, ..., np.empty_like(y) * 0)), (R,)
    ),
    "np.asarray_chkfinite": Sample(lambda x: np.asarray(x, like=x), (R,)),
    "np.arange(start)": Sample(
        lambda x: np.arange(x[0], 3.0, 0.5, like=x), (np.array([0.2, 1.0]),), vmap=False
    ),
    "np.kaiser(beta)": Sample(
        lambda beta: np.i0(beta * np.sqrt(1 - GRID**2)) / np.i0(beta), (np.array(3.7),), exact=False
    ),
    "np.poly1d": Sample(np.polyval, (X, R), exact=False),
    "np.vectorize": Sample(np.vectorize(lambda y: y * y), (X,)),
    "np.frompyfunc": Sample(lambda x: np.frompyfunc(np.square, 1, 1)(x).astype(float), (X,)),
}

FUNCTIONS = {
    "np.quantile(q)": Sample(np.quantile, (reals(7), np.array([0.21, 0.83])), exact=False),
    "np.interp(fp)": Sample(lambda fp: np.interp(POINTS, XP, fp), (FP,), exact=False),
    "np.interp(xp)": Sample(lambda xp: np.interp(POINTS, xp, FP), (XP,), exact=False),
    "np.einsum(diag ii)": Sample(lambda x: np.einsum("ii->i", x), (SQUARE,), exact=False),
    "np.diagonal(offset)": Sample(lambda x: np.diagonal(x, 1), (R,)),
    "np.sort(1-D)": Sample(np.sort, (X,)),
    "np.broadcast_to(same ndim)": Sample(lambda x: np.broadcast_to(x, (3, 4)), (reals(1, 4),)),
    "np.pad(reflect)": Sample(lambda x: np.pad(x, 2, "reflect"), (R,)),
    "np.clip(bounds)": Sample(np.clip, (R, X - 1, reals(3, 1) + 1)),
    "np.histogram(weights)": Sample(
        lambda w: np.histogram(X, [-2.0, 0.0, 2.0], weights=w)[0], (Y,), exact=False
    ),
    "np.histogramdd(weights)": Sample(
        lambda w: np.histogramdd(R.T, 2, weights=w)[0], (Y,), exact=False
    ),
    "np.histogram2d(weights)": Sample(
        lambda w: np.histogram2d(X, Y, 2, weights=w)[0], (Y,), exact=False
    ),
    "np.bincount(weights)": Sample(lambda w: np.bincount([0, 3, 1, 3], w), (Y,), exact=False),
    "np.linalg.eig(w)": Sample(lambda a: np.linalg.eig(a).eigenvalues, (SQUARE,), exact=False),
    "np.linalg.eig(v)": Sample(
        lambda a: np.abs(np.linalg.eig(a).eigenvectors), (SQUARE,), exact=False
    ),
    "np.linalg.norm(nuc)": Sample(lambda a: np.linalg.norm(a, "nuc"), (R,), exact=False),
    "np.linalg.norm(ord=2 matrix)": Sample(lambda a: np.linalg.norm(a, 2), (R,), exact=False),
    "np.linalg.svd(full)": Sample(
        lambda a: tuple(np.linalg.svd(a, full_matrices=True)), (reals(3, 2),), exact=False
    ),
    "np.linalg.inv(batched)": Sample(np.linalg.inv, (STACK,), exact=False),
    "np.linalg.det(batched)": Sample(np.linalg.det, (STACK,), exact=False),
    "np.linalg.slogdet(batched)": Sample(
        lambda a: tuple(np.linalg.slogdet(a)), (STACK,), exact=False
    ),
    "np.linalg.pinv(batched)": Sample(np.linalg.pinv, (CUBE,), exact=False),
    "np.linalg.qr(batched)": Sample(lambda a: tuple(np.linalg.qr(a)), (STACK,), exact=False),
    "np.linalg.svd(batched)": Sample(
        lambda a: tuple(np.linalg.svd(a, full_matrices=False)), (CUBE,), exact=False
    ),
    "np.linalg.solve(batched)": Sample(np.linalg.solve, (STACK, reals(2, 3, 2)), exact=False),
    "np.linalg.eigh(batched)": Sample(
        lambda a: tuple(np.linalg.eigh(hermitian(a))), (STACK,), exact=False
    ),
    "np.linalg.cholesky(batched)": Sample(
        lambda a: np.linalg.cholesky(a @ a.mT), (STACK,), exact=False
    ),
}


ORDERS = np.array([0, 2, 1, 3])
SPHERICAL = ("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn")


def _nth(derivative: Any, x: Any) -> Any:
    return derivative(1.5, x, 2)


def _special() -> dict[str, Sample]:
    """Return probes of what is no ufunc in `scipy.special`: the mirrors of `funcgrad.scipy`."""
    sc = importlib.import_module("funcgrad.scipy.special")
    inside = spread((3, 4), -0.85, 0.83)
    probes = {
        **{n: Sample(getattr(sc, n), (R,)) for n in ("logsumexp", "softmax", "log_softmax")},
        **{n: Sample(partial(getattr(sc, n), ORDERS), (P,)) for n in ("polygamma", *SPHERICAL)},
        **{n: Sample(partial(_nth, getattr(sc, n)), (P,)) for n in ("jvp", "yvp", "ivp", "kvp")},
        **{n: Sample(getattr(sc, n), (P + 4, 2.3)) for n in ("comb", "perm")},
        **{n: Sample(getattr(sc, n), (P,)) for n in ("factorial", "softplus", "sinc", "lambertw")},
        "multigammaln": Sample(lambda x: sc.multigammaln(x, 3), (P + 1,)),
        "zeta": Sample(partial(sc.zeta, 2.5), (P,)),
        "diric": Sample(lambda x: sc.diric(x, 5), (R,)),
        "sph_harm_y": Sample(partial(sc.sph_harm_y, 3, 1), (P, R)),
        "legendre_p": Sample(partial(sc.legendre_p, 3), (inside,)),
        "assoc_legendre_p": Sample(partial(sc.assoc_legendre_p, 3, 1), (inside,)),
        "sph_legendre_p": Sample(partial(sc.sph_legendre_p, 3, 1), (P,)),
        "ellip_harm": Sample(partial(sc.ellip_harm, 2.0, 1.0, 3, 2), (P + 3,)),
    }
    return {f"scipy.special.{name}": sample for name, sample in probes.items()}


# Rows that work in another spelling than NumPy's plainest, because that one does not reach funcgrad.
_STACK, _LIKE = "np.stack([x0, x1])", "the argument like=x"
SPELLED = {
    **dict.fromkeys(("np.mean([x0,x1])", "np.max([x0,x1])"), _STACK),
    **dict.fromkeys(("np.full(fill_value)", "np.arange(start)", "np.require"), _LIKE),
    **dict.fromkeys(("np.fromfunction", "np.fromiter", "ndarray.zeros(n) + __setitem__"), _LIKE),
    "np.full_like(fill_value)": "a traced first argument",
    "np.asarray_chkfinite": "np.asarray(x, like=x)",
    "np.kaiser(beta)": "np.i0(beta * np.sqrt(1 - t * t)) / np.i0(beta)",
    "np.poly1d": "np.polyval",
    "ndarray.choose(choices)": "np.choose",
    "ndarray.__float__ via np.float64()": "x.astype(np.float64)",
}

# Why the rows that fail do.
_ROUGH = "SciPy inverts to 4 to 7 digits, too few to check a derivative against"
_EIGENVALUE = "an eigenvalue, whose second derivative needs the eigenfunctions' by the parameter"
REASONS = {
    **dict.fromkeys(
        [f"scipy.special.{n}" for n in ("ncfdtridfd", "ncfdtridfn", "ncfdtrinc", "nctdtridf")],
        _ROUGH,
    ),
    **dict.fromkeys([f"scipy.special.{n}" for n in ("mathieu_a", "mathieu_b")], _EIGENVALUE),
    **dict.fromkeys([f"scipy.special.{n}" for n in ("obl_cv", "pro_cv")], _EIGENVALUE),
    "scipy.special.ellip_harm": "no formula for the slope without the eigenvalue, which SciPy keeps to itself",
    "ndarray.resize (in-place)": "a traced array has no memory to resize: np.resize, np.pad",
}

PROBES = {**WRITING, **OPERATORS, **METHODS, **CREATION, **FUNCTIONS}


def rows() -> list[tuple[str, bool]]:
    """Return the rows: what is called, and whether its derivative is more than zero."""
    with ROWS.open(newline="", encoding="utf-8") as file:
        return [(row["name"], row["derivative"] != "zero") for row in csv.DictReader(file)]


def resolve(name: str) -> Any:
    """Return the key in the registry of a function named as users write it: np.linalg.inv."""
    top, *path = name.split(".")
    found: Any = importlib.import_module({"np": "numpy"}.get(top, "scipy.special"))
    for part in path[1:] if top == "scipy" else path:
        owner, found = found, getattr(found, part, None)
    return (owner, path[-1]) if isinstance(owner, np.ufunc) else found


def samples() -> dict[str, Sample | None]:
    """Return the sample of each row that the installed NumPy and SciPy have."""
    first: dict[Any, Sample] = {}
    for sample in SAMPLES:
        known = first.get(sample.key)
        if known is None or known.raises or (sample.vmap and not known.vmap):
            first[sample.key] = sample
    probes = {**PROBES, **_special()}
    found: dict[str, Sample | None] = {}
    for name, _ in rows():
        key = None if name in probes else resolve(name)
        if name in probes or key is not None:
            found[name] = probes[name] if name in probes else first.get(key)
    return found
