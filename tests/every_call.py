"""Calls of every NumPy function, ndarray method and ufunc method, in every form that they have."""

import inspect
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from funcgrad.core import METHOD_HANDLERS
from tests.primitives.test_rules import is_differentiable
from tests.samples import SAMPLES, name_of, positive, reals
from tests.samples_updates import AT

R, S, P, X, Y = reals(3, 4), reals(3, 4, start=40), positive(3, 4), reals(4), reals(4, start=30)
MASK = np.array([True, False, True, True])

# What to try for an option of this name, wherever a function has one.
OPTIONS: dict[str, list[Any]] = {
    "axis": [0, -1, None, (0, 1), (1, 0)],
    "axes": [(0, 1), (1, 0), 1],
    "axis1": [1],
    "axis2": [0],
    "keepdims": [True, False],
    "dtype": [np.float64, np.float32, np.complex128, np.int64],
    "where": [MASK, True],
    "initial": [0.5],
    "order": ["F", "K"],
    "casting": ["unsafe", "same_kind"],
    "subok": [True, False],
    "copy": [True, False],
    "ddof": [1],
    "correction": [1],
    "mean": [np.full((1, 1), 0.3)],
    "method": ["nearest", "weibull", "lower"],
    "weights": [P, P[0]],
    "overwrite_input": [True],
    "mode": ["clip", "wrap", "same", "valid", "full", "edge", "reduced", "r", "raw"],
    "kind": ["stable", "heapsort"],
    "stable": [True],
    "side": ["right"],
    "right": [True, 0.3],
    "left": [0.3],
    "include_initial": [True],
    "returned": [True],
    "retstep": [True],
    "return_index": [True],
    "return_inverse": [True],
    "return_counts": [True],
    "return_indices": [True],
    "assume_unique": [True],
    "equal_nan": [True, False],
    "invert": [True],
    "UPLO": ["U"],
    "upper": [True],
    "full_matrices": [False],
    "compute_uv": [False],
    "hermitian": [True],
    "rcond": [1e-9],
    "rtol": [1e-9],
    "ord": [1, 2, -1, -2, np.inf, -np.inf, 3, 0, "fro", "nuc"],
    "p": [1, -1, np.inf, "fro"],
    "norm": ["ortho", "forward"],
    "n": [2, 5],
    "s": [(2, 3)],
    "k": [1],
    "offset": [1],
    "decimals": [1],
    "period": [3.0],
    "edge_order": [2],
    "dx": [0.5],
    "bias": [True],
    "rowvar": [False],
    "aweights": [np.array([1.0, 2.0, 0.5, 1.5])],
    "density": [True],
    "range": [(-2.0, 2.0)],
    "bins": [3, [-2.0, 0.1, 2.0], "auto"],
    "trim": ["f"],
    "num": [3],
    "endpoint": [False],
    "base": [2.0],
    "indexing": ["ij"],
    "sparse": [True],
    "deg": [True],
    "discont": [4.0],
    "nan": [1.5],
    "posinf": [9.0],
    "shape": [(2, 5), 3],
    "increasing": [True],
    "full": [True],
    "cov": [True, "unscaled"],
    "w": [np.array([1.0, 2.0, 0.5, 1.5, 1.0, 0.7, 2.0])],
    "optimize": [True, "greedy"],
    "prepend": [0.5],
    "append": [0.5],
    "to_begin": [0.5],
    "to_end": [[0.5, 1.0]],
    "default": [2.5],
    "device": ["cpu"],
    "wrap": [True],
    "reflect_type": ["odd"],
    "constant_values": [1.5],
    "end_values": [1.5],
    "stat_length": [2],
}


@dataclass(frozen=True, eq=False)
class Call:
    """A call with its float arrays apart, which are traced."""

    name: str
    fun: Any  # of the arrays
    arrays: tuple[Any, ...]
    result: list[Any]


def _eigen(out):
    """Return the eigenvalues alone: the sign of the vectors is arbitrary."""
    return (out[0] if isinstance(out, tuple) else out,)


def _into(fun, x, *args, **options):
    y = x * 1.0
    fun(y, *args, **options)
    return y


NAN = [getattr(np, n) for n in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanmedian", "nanvar",
       "nanstd", "nanargmax", "nanargmin", "nancumsum", "nancumprod")]  # fmt: skip

# Functions of sequences, of functions, and those that the samples reach through others.
SPECIAL_CALLS = {
    **{f: lambda f, x, y, **o: f([x, y], **o) for f in (np.concatenate, np.stack, np.vstack, np.hstack, np.dstack,
       np.column_stack, np.block)},
    np.where: lambda f, x, y, **o: f(MASK, x, y, **o),
    np.select: lambda f, x, y, **o: f([MASK, ~MASK], [x, y], **o),
    np.choose: lambda f, x, y, **o: f(np.array([0, 1, 1, 0]), [x, y], **o),
    np.piecewise: lambda f, x, y, **o: f(x, [x > 0, x < -1], [lambda t: t * t, 3.0, lambda t: -t], **o) * y,
    np.apply_along_axis: lambda f, x, y, **o: f(lambda row: row * row[0], 0, x, **o) * y,
    np.apply_over_axes: lambda f, x, y, **o: f(np.sum, x, [0], **o) * y,
    np.bincount: lambda f, x, y, **o: f(np.array([[0, 2, 1]] * 3 + [[1, 1, 0]]).T.ravel(), x.ravel(), **o) * y[0, 0],
    np.copyto: _into,
    np.putmask: lambda f, x, y, **o: _into(f, x, MASK | (S > 0), y, **o),
    np.place: lambda f, x, y, **o: _into(f, x, MASK | (S > 0), y, **o),
    np.put: lambda f, x, y, **o: _into(f, x, [0, 3, 3], y, **o),
    np.put_along_axis: lambda f, x, y, **o: _into(f, x, np.argsort(S, 1), y, 1, **o),
    np.fill_diagonal: lambda f, x, y, **o: _into(f, x, y[0], **o),
    np.lexsort: lambda f, x, y, **o: f((x, y), **o),
    np.ix_: lambda f, x, y, **o: f([0, 2], np.array([1, 3]), **o)[0] * x[0, 0] * y[0, 0],
    **{f: lambda f, x, y, **o: f(np.where(y > 1.7, np.nan, x), **o) for f in NAN},
    np.nanpercentile: lambda f, x, y, **o: f(np.where(y > 1.7, np.nan, x), 30, **o),
    np.nanquantile: lambda f, x, y, **o: f(np.where(y > 1.7, np.nan, x), 0.3, **o),
    np.histogramdd: lambda f, x, y, **o: f(np.stack([x[0], y[0]], 1), bins=2, weights=x[1], **o),
    np.histogram2d: lambda f, x, y, **o: f(x[0], y[0], bins=2, weights=x[1], **o),
    np.empty_like: lambda f, x, y, **o: x * y * f(x, **o).ndim,
    np.linalg.lstsq: lambda f, x, y, **o: f(x.T, y[0], **o)[0],
    np.linalg.slogdet: lambda f, x, y, **o: (*tuple(f(x[:, :3] + 3 * np.eye(3), **o)), y),
    np.linalg.cholesky: lambda f, x, y, **o: f(x @ x.T + np.eye(3), **o) * y[:, :3],
    **{f: lambda f, x, y, **o: (*_eigen(f(x @ x.T + np.diag([1.0, 2, 4]), **o)), y)
       for f in (np.linalg.eigh, np.linalg.eigvalsh, np.linalg.eig)},
    np.compress: lambda f, x, y, **o: f([True, False, True], x * y, **o),
    np.extract: lambda f, x, y, **o: f(S > 0, x * y, **o),
    np.delete: lambda f, x, y, **o: f(x * y, [1], **o),
    np.insert: lambda f, x, y, **o: f(x, [1], y[0, 0], **o),
    np.trim_zeros: lambda f, x, y, **o: f(np.where(S > 1.4, 0, x)[0], **o) * y[0, 0],
    **{f: lambda f, x, y, **o: f(x, y, **o)
       for f in (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.common_type)},
    **{f: lambda f, x, y, **o: f(x * y, **o) for f in (np.unique_all, np.unique_counts, np.unique_inverse)},
    np.linalg.multi_dot: lambda f, x, y, **o: f([x, y.T, x], **o),
}  # fmt: skip


def numpys(fun):
    """Tell whether a key of the registry is a NumPy function that a user calls by its name."""
    if isinstance(fun, np.ufunc):
        return getattr(np, fun.__name__, None) is fun
    return callable(fun) and (getattr(fun, "__module__", None) or "").startswith("numpy")


def base_calls():
    """Yield a call of each function: the function, what calls it, its arguments and options."""
    for fun, call in SPECIAL_CALLS.items():
        yield fun, partial(call, fun), [R, S], {}
    done = set(SPECIAL_CALLS)
    for with_options in (False, True):
        for sample in SAMPLES:
            fun = sample.key
            direct = sample.fun is fun and not sample.raises and numpys(fun)
            if direct and fun not in done and bool(sample.settings) is with_options:
                done.add(fun)
                yield fun, fun, list(sample.args), sample.settings


def method_calls():
    """Yield a call of each method of an array."""
    for name, args in METHODS.items():
        yield name, partial(_method, name), [P, *args], {}
    for ufunc, name in [*METHOD_HANDLERS, *[(ufunc, "at") for ufunc in AT]]:
        more = {"reduceat": [[0, 2, 1]], "outer": [Y], "at": [[0, 2, 2]]}.get(name, [])
        more = [*more, S[:3]] if name == "at" and ufunc.nin == 2 else more
        call = _into if name == "at" else None
        fun = getattr(ufunc, name)
        yield (ufunc, name), partial(call, fun) if call else fun, [P + P**2, *more], {}


def _method(name, x, *args, **options):
    return getattr(x * 1.0, name)(*args, **options)


PLAIN_METHODS = (
    *(
        "all",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "byteswap",
        "conj",
        "conjugate",
        "copy",
        "cumprod",
    ),
    *(
        "cumsum",
        "diagonal",
        "dump",
        "dumps",
        "flatten",
        "item",
        "max",
        "mean",
        "min",
        "nonzero",
        "prod",
    ),
    *(
        "ravel",
        "round",
        "setflags",
        "squeeze",
        "std",
        "sum",
        "to_device",
        "tobytes",
        "tofile",
        "tolist",
    ),
    *("trace", "transpose", "var", "view"),
)
METHODS: dict[str, list[Any]] = {
    **{name: [] for name in PLAIN_METHODS},
    "argpartition": [1],
    "astype": [np.float32],
    "choose": [[1.0, 2.0, 3.0]],
    "clip": [0.5, 1.5],
    "compress": [[True, False, True], 0],
    "dot": [Y],
    "getfield": [np.float64],
    "repeat": [2],
    "reshape": [4, 3],
    "resize": [4, 3],
    "searchsorted": [0.3],
    "setfield": [1.0, np.float64],
    "swapaxes": [0, 1],
    "take": [[0, 2]],
}
IN_PLACE = ("fill", "partition", "put", "sort")  # in tests/primitives/test_updates.py
METHOD_OPTIONS = ("axis", "dtype", "keepdims", "where", "initial", "order", "mode", "kind", "out")


def bind(call, args, options):
    """Return a call as a function of its float arrays."""
    keys: list[Any] = [i for i, x in enumerate(args) if is_differentiable(x)]
    keys += [name for name, x in options.items() if is_differentiable(x) and name != "out"]
    both = {**dict(enumerate(args)), **options}

    def fun(*arrays):
        copies = [x.copy() if type(x) is np.ndarray else x for x in arrays]  # some calls write
        given = {**both, **dict(zip(keys, copies, strict=True))}
        return call(*[given.pop(i) for i in range(len(args))], **given)

    return fun, tuple([both[key] for key in keys])


def names_of(fun):
    """Return the parameters of a NumPy function."""
    if isinstance(fun, np.ufunc):
        names = ["out", "where", "dtype", "casting", "order", "subok"]
        return {n: inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY) for n in names}
    try:
        return dict(inspect.signature(fun).parameters)
    except ValueError:
        return {}


def forms():
    """Yield every call: as it stands, by name, and with each option."""
    for fun, call, args, settings in (*base_calls(), *method_calls()):
        name = name_of(fun)
        parameters = {} if isinstance(fun, (str, tuple)) else names_of(fun)
        yield name, call, args, settings
        positional = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        if call is fun and not isinstance(fun, np.ufunc) and 0 < len(args) <= len(positional):
            named = {p.name: x for p, x in zip(positional, args, strict=False)}
            yield f"{name} by name", call, [], {**named, **settings}
        used = {p.name for p in positional[: len(args)]} if call is fun else set()
        for option in parameters or METHOD_OPTIONS:
            for value in ["out"] if option == "out" else OPTIONS.get(option, []):
                if option not in used:
                    shown = f"{name}({option}={str(value)[:20]})"
                    yield shown, call, args, {**settings, option: value}


def calls():
    """Yield the calls that NumPy accepts, each with its result."""
    for name, call, args, options in forms():
        try:
            if isinstance(options.get("out"), str):
                others = {n: x for n, x in options.items() if n != "out"}
                options = {**others, "out": np.zeros_like(call(*args, **others))}
            fun, arrays = bind(call, args, options)
            result = flat(fun(*arrays))
        except Exception:  # NumPy's own refusal
            continue
        yield Call(name, fun, arrays, result)


def flat(out):
    """Return all parts of a nested result."""
    if isinstance(out, (tuple, list)):
        return [x for part in out for x in flat(part)]
    return [out]
