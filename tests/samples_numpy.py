"""The samples of NumPy's statistics, sequences, selections and ufunc methods: see `samples.py`."""

import numpy as np

from funcgrad.core import METHOD_HANDLERS, existing
from funcgrad.primitives.methods import SMOOTH, STEPWISE

GOLDEN = (5**0.5 - 1) / 2


def spread(shape, low, high, start=1):
    """Return distinct numbers, evenly spread over an interval in no particular order."""
    n = int(np.prod(shape))
    return low + (high - low) * (np.arange(start, start + n) * GOLDEN % 1).reshape(shape)


def reals(*shape, start=1):
    return spread(shape, -1.93, 1.97, start)


def positive(*shape, start=1):
    return spread(shape, 0.42, 2.13, start)


R, S, P = reals(3, 4), reals(3, 4, start=40), positive(3, 4)
VECTOR, OTHER, LONG = reals(4), reals(4, start=30), reals(7)
CUBE = reals(2, 3, 4)
SCALAR = np.array(0.7)
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
COLUMN_MASK = np.array([False, True, True, False])
EVERY_AXIS = [
    {},
    {"axis": 0},
    {"axis": -1},
    {"axis": (0, 2)},
    {"axis": (-1, 0), "keepdims": True},
]
NAN = np.where(np.arange(24).reshape(2, 3, 4) % 5 == 1, np.nan, CUBE)
GAPS = np.where(np.arange(7) == 3, np.nan, LONG)


def skipping(fun):
    """Return `fun` of an array some of whose entries are NaN."""
    return lambda x, **options: fun(np.where(np.isnan(NAN), np.nan, x), **options)


# --- statistics ----------------------------------------------------------------------------------

METHODS = (
    *["inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf"],
    *["hazen", "weibull", "linear", "median_unbiased", "normal_unbiased"],
    *["lower", "higher", "midpoint", "nearest"],
)
WIDE = np.float64(1)  # NumPy adds float32 weights in float32
EDGES = np.array([-1.0, 0.0, 0.5, 1.5])
COUNTED = np.array([0, 3, 1, 3, 4, 1, 1])


def statistics(Sample):
    return [
        *[
            Sample(skipping(fun), (CUBE,), axis, of=fun, exact=False)
            for fun in (np.nansum, np.nanprod, np.nanmean, np.nanmax, np.nanmin)
            for axis in EVERY_AXIS
        ],
        *[
            Sample(skipping(fun), (CUBE,), axis, of=fun, exact=False)
            for fun in (np.nanvar, np.nanstd)
            for axis in [{}, {"axis": 1}, {"axis": (0, 2), "keepdims": True, "ddof": 1}]
        ],
        *[
            Sample(skipping(fun), (CUBE,), options, of=fun, constant=True)
            for fun in (np.nanargmax, np.nanargmin)
            for options in ({}, {"axis": 1})
        ],
        *[Sample(fun, (R,), {"initial": 0.5}) for fun in (np.nanmax, np.nanmin)],
        Sample(np.nansum, (R,), {"where": MASK, "initial": 2.0}, exact=False, complex=True),
        Sample(np.nanmean, (R,), {"where": MASK}, exact=False),
        *[Sample(np.ptp, (CUBE,), axis) for axis in EVERY_AXIS],
        *[
            Sample(np.median, (x,), axis, exact=False)
            for x in (CUBE, reals(3, 5, 1))
            for axis in EVERY_AXIS
        ],
        *[
            Sample(skipping(np.nanmedian), (CUBE,), axis, of=np.nanmedian, exact=False)
            for axis in EVERY_AXIS
        ],
        *[
            Sample(np.quantile, (LONG, 0.37), {"method": method}, exact=False, since=(2, 0))
            for method in METHODS
        ],
        *[
            Sample(np.quantile, (R, np.array([0.21, 0.83])), axis, exact=False)
            for axis in EVERY_AXIS[:3]
        ],
        Sample(np.quantile, (R, np.array(0.4)), {"axis": 0, "keepdims": True}, exact=False),
        Sample(np.quantile, (R, np.array([[0.21], [0.83]])), {"axis": (0, 1)}, exact=False),
        *[
            Sample(np.percentile, (R, np.array([21.0, 83.0])), axis, exact=False)
            for axis in EVERY_AXIS[:3]
        ],
        Sample(np.percentile, (R, 30), {"axis": -1}, exact=False),
        *[
            Sample(skipping(fun), (CUBE,), {"q": q, **axis}, of=fun, exact=False)
            for fun, q in ((np.nanquantile, 0.3), (np.nanpercentile, [20, 70]))
            for axis in ({}, {"axis": 1}, {"axis": (0, 2), "keepdims": True})
        ],
        *[
            Sample(np.average, (R,), options, exact=False, complex=True)
            for options in ({}, {"axis": 0}, {"axis": 1, "keepdims": True}, {"returned": True})
        ],
        Sample(lambda x, w: np.average(x, weights=w), (R, P), of=np.average, exact=False),
        Sample(
            lambda x, w: np.average(x, 1, w, returned=True),
            (R, positive(4)),
            of=np.average,
            exact=False,
            complex=True,
        ),
        Sample(
            lambda x, w: np.average(x, (2, 0), w),
            (CUBE, positive(4, 2)),
            of=np.average,
            exact=False,
        ),
        *[Sample(np.cov, (R,), o, exact=False, complex=True) for o in ({}, {"rowvar": False})],
        *[Sample(np.cov, (R,), o, exact=False) for o in ({"bias": True}, {"ddof": 0})],
        Sample(np.cov, (VECTOR,), exact=False, complex=True),
        Sample(np.cov, (VECTOR, OTHER), exact=False, complex=True),
        Sample(np.cov, (R, S), {"fweights": np.array([1, 2, 1, 3])}, exact=False),
        Sample(lambda x, w: np.cov(x, aweights=w), (R, positive(4)), of=np.cov, exact=False),
        *[
            Sample(np.corrcoef, (R**2,), o, exact=False, complex=True)
            for o in ({}, {"rowvar": False})
        ],
        Sample(np.corrcoef, (VECTOR**2, OTHER), exact=False),
        # Ties that stay ties.
        *[
            Sample(lambda x, f=f: f(np.concatenate([x, x, x[:2]])), (LONG,), of=f, exact=False)
            for f in (np.median, np.nanmedian)
        ],
        Sample(
            lambda x: np.quantile(np.concatenate([x, x]), [0.2, 0.7], axis=0),
            (R,),
            of=np.quantile,
            exact=False,
        ),
        *[
            Sample(
                lambda x, w, fun=fun, q=q, axis=axis: fun(
                    x, q, axis, weights=w, method="inverted_cdf"
                ),
                args,
                of=fun,
                exact=False,
                since=(2, 4) if axis == (0, 2) else (2, 0),  # NumPy mixed up the weights before
            )
            for fun, q in ((np.quantile, [0.31, 0.83]), (np.percentile, 47), (np.nanquantile, 0.4))
            for axis, args in ((None, (R, P)), (1, (R, positive(4))), ((0, 2), (CUBE, CUBE**2)))
            if axis != 1 or fun is not np.nanquantile  # NumPy 2.4 fails there
        ],
        # Counts are constants; weights are not.
        Sample(lambda x: np.histogram(x)[0], (LONG,), of=np.histogram, constant=True, vmap=False),
        Sample(
            lambda x: np.histogram(x, [-1.0, 0.0, 0.5, 1.0])[0],
            (LONG,),
            of=np.histogram,
            constant=True,
            vmap=False,
        ),
        Sample(np.histogram, (LONG,), {"bins": 3}, vmap=False, exact=False),
        *[
            Sample(
                lambda w, density=density: np.histogram(LONG, EDGES, None, density, w * WIDE)[0],
                (positive(7),),
                of=np.histogram,
                exact=False,
                complex=not density,
            )
            for density in (False, True)
        ],
        Sample(np.histogram_bin_edges, (LONG,), {"bins": 4}, vmap=False, exact=False),
        Sample(np.histogram_bin_edges, (LONG,), {"bins": "auto"}, vmap=False, exact=False),
        Sample(
            lambda w: np.histogram2d(LONG, LONG[::-1], 3, weights=w)[0],
            (positive(7),),
            of=np.histogram2d,
            exact=False,
        ),
        Sample(
            lambda x, y: np.histogram2d(x, y, [2, 3])[0],
            (LONG, reals(7, start=20)),
            of=np.histogram2d,
            constant=True,
            vmap=False,
        ),
        *[
            Sample(
                lambda w, density=density: np.histogramdd(R.T, 2, None, density, w)[0],
                (positive(4),),
                of=np.histogramdd,
                exact=False,
            )
            for density in (False, True)
        ],
        Sample(np.bincount, (COUNTED,), {"minlength": 6}, constant=True, vmap=False),
        Sample(lambda w: np.bincount(COUNTED, w), (LONG,), of=np.bincount, exact=False),
    ]


# --- sequences -----------------------------------------------------------------------------------

STEPS = np.array([0.0, 0.5, 0.7, 1.9])
XP, FP = np.array([-1.5, -0.4, 0.3, 1.1]), reals(4, start=9)
INSIDE = np.array([-1.2, 0.1, -0.6, 0.9, 0.2])
OUTSIDE = np.array([-1.9, 0.1, 0.6, 1.7])
LENGTHS = ((5, 3), (3, 5), (4, 2), (2, 4), (3, 3), (1, 4), (4, 1))
NEAR_ZERO = np.array([-2.3, -0.7, 0.0, 1e-3, 0.4, 1.6])


def sequences(Sample):
    return [
        *[
            Sample(fun, (CUBE,), axis, exact=False, complex=True)
            for fun in (np.cumsum, np.cumprod)
            for axis in ({}, {"axis": 0}, {"axis": -1})
        ],
        Sample(np.cumsum, (R,), {"dtype": np.float64}),
        Sample(lambda x: x.cumsum(1), (R,), of=np.cumsum),
        Sample(lambda x: x.cumprod(), (VECTOR,), of=np.cumprod),
        *[
            Sample(skipping(fun), (CUBE,), axis, of=fun, exact=False)
            for fun in (np.nancumsum, np.nancumprod)
            for axis in ({}, {"axis": 1})
        ],
        *[
            Sample(getattr(np, name, None), (R,), {"axis": 1, **options}, exact=False)
            for name in ("cumulative_sum", "cumulative_prod")
            for options in ({}, {"include_initial": True})
        ],
        *[
            Sample(np.diff, (CUBE,), options, complex=True)
            for options in ({}, {"n": 2}, {"axis": 0}, {"n": 0}, {"prepend": 1.5, "axis": 1})
        ],
        Sample(lambda x, y: np.diff(x, prepend=y, append=y), (R, reals(3, 1)), of=np.diff),
        Sample(np.ediff1d, (R,), complex=True),
        Sample(np.ediff1d, (VECTOR, OTHER, SCALAR)),
        *[
            Sample(np.gradient, (R,), options, complex=True, exact=False)
            for options in ({}, {"axis": 0}, {"edge_order": 2}, {"axis": (1, 0)})
        ],
        Sample(np.gradient, (R, 0.3, STEPS), exact=False),
        Sample(np.gradient, (VECTOR, STEPS), exact=False),
        Sample(np.gradient, (VECTOR, STEPS), {"edge_order": 2}, exact=False),
        Sample(np.gradient, (VECTOR, SCALAR), {"edge_order": 2}, exact=False),
        *[Sample(np.trapezoid, (CUBE,), o, complex=True) for o in ({}, {"axis": 0}, {"dx": 0.3})],
        Sample(np.trapezoid, (CUBE, positive(4)), exact=False),
        Sample(np.trapezoid, (CUBE, positive(3)), {"axis": 1}, exact=False),
        Sample(np.trapezoid, (CUBE, positive(2, 3, 4)), {"axis": 1}, exact=False),
        Sample(lambda x: np.trapezoid(x, dx=x[0, 0]), (R,), of=np.trapezoid, exact=False),
        *[Sample(np.unwrap, (3 * CUBE,), o, exact=False) for o in ({}, {"axis": 0}, {"period": 2})],
        *[
            Sample(fun, (reals(n), reals(m, start=20)), {"mode": mode}, exact=False, complex=True)
            for fun in (np.convolve, np.correlate)
            for mode in ("full", "same", "valid")
            for n, m in LENGTHS
        ],
        *[
            Sample(np.interp, (x, XP, FP), options, exact=False)
            for x in (INSIDE, OUTSIDE, SCALAR, np.array([[0.1, 0.2], [0.4, 2.0]]))
            for options in ({}, {"left": 2.5, "right": -1.0}, {"period": 3.3})
        ],
        Sample(
            lambda x, xp, fp: np.interp(x, xp, fp + 0.5j * fp[::-1]),
            (INSIDE, XP, FP),
            of=np.interp,
            exact=False,
        ),
        Sample(
            lambda x: np.interp(x, XP, FP, left=x[0], right=x[3] * 2),
            (OUTSIDE,),
            of=np.interp,
            exact=False,
        ),
        Sample(np.sinc, (NEAR_ZERO,)),
        Sample(np.sinc, (R,)),
        Sample(np.i0, (R,)),
        Sample(lambda x: np.nan_to_num(x * np.where(MASK, 1, np.nan)), (R,), of=np.nan_to_num),
        Sample(np.nan_to_num, (R,), complex=True),
        Sample(np.real_if_close, (R,)),
        *[
            Sample(lambda x, z=z: np.real_if_close(x + z), (R,), of=np.real_if_close, vmap=False)
            for z in (1e-18j, 1j)
        ],
        Sample(np.sort_complex, (R,), complex=True),
        *[Sample(np.partition, (R, 1), o) for o in ({}, {"axis": 0}, {"axis": None})],
        *[
            Sample(np.argpartition, (R, 1), o, constant=True)
            for o in ({}, {"axis": 0}, {"axis": None})
        ],
        Sample(lambda x: x.argpartition(2), (R,), of=np.argpartition, constant=True),
        *[
            Sample(np.searchsorted, (XP, x), {"side": side}, constant=True)
            for x in (INSIDE, SCALAR)
            for side in ("left", "right")
        ],
        Sample(
            np.searchsorted,
            (XP[::-1].copy(), INSIDE),
            {"sorter": np.array([3, 2, 1, 0])},
            constant=True,
        ),
        Sample(lambda x: x.searchsorted(0.1), (XP,), of=np.searchsorted, constant=True),
        *[
            Sample(np.digitize, (R, x), {"right": right}, constant=True)
            for x in (XP, XP[::-1].copy())
            for right in (False, True)
        ],
        # Polynomials.
        Sample(np.polyval, (VECTOR, R), exact=False, complex=True),
        Sample(np.polyval, (VECTOR, 0.5), exact=False),
        *[
            Sample(fun, (reals(n), reals(m, start=20)), complex=True, exact=False)
            for fun in (np.polyadd, np.polysub, np.polymul)
            for n, m in ((4, 2), (2, 4))
        ],
        Sample(np.polydiv, (np.array([1.0, -3.5, 2.25, 0.75]), np.array([2.0, 1.0])), vmap=False),
        Sample(np.polydiv, (reals(2), positive(3)), vmap=False, exact=False),
        *[Sample(np.polyder, (LONG,), o, complex=True) for o in ({}, {"m": 2}, {"m": 0})],
        *[
            Sample(np.polyint, (VECTOR,), o, complex=True)
            for o in ({}, {"m": 2, "k": 3.0}, {"m": 0})
        ],
        Sample(lambda x: np.polyint(x, 2, x[:2]), (VECTOR,), of=np.polyint),
        Sample(np.poly, (VECTOR,), exact=False),
        Sample(lambda x: np.poly(x + 1j * OTHER), (VECTOR,), of=np.poly, exact=False, vmap=False),
        Sample(np.roots, (np.array([1.0, -2.1, -1.3, 0.8]),), exact=False, vmap=False),
        Sample(np.roots, (np.array([0.9, 0.6, 1.7, 1.2]),), exact=False, vmap=False),
        *[
            Sample(np.vander, (VECTOR,), o, complex=True, exact=False)
            for o in ({}, {"N": 3, "increasing": True}, {"N": 0}, {"N": 1})
        ],
        Sample(np.polyfit, (LONG, reals(7, start=11)), {"deg": 2}, exact=False),
        Sample(np.polyfit, (LONG, reals(7, 2, start=11)), {"deg": 1}, exact=False),
        Sample(
            lambda x, y, w: np.polyfit(x, y, 2, w=w),
            (LONG, reals(7, start=11), positive(7)),
            of=np.polyfit,
            exact=False,
        ),
        *[
            Sample(np.polyfit, (LONG, y), {"deg": 2, **options}, exact=False)
            for y in (reals(7, start=11), reals(7, 2, start=11))
            for options in ({"full": True}, {"cov": True}, {"cov": "unscaled"})
        ],
        # Ranges.
        *[
            Sample(np.linspace, (R, S), {"num": 4, **o}, complex=True, exact=False)
            for o in ({}, {"endpoint": False}, {"axis": -1}, {"retstep": True})
        ],
        *[Sample(np.linspace, (SCALAR, 3.0), {"num": n}) for n in (5, 1)],
        Sample(np.linspace, (0, SCALAR, 3)),
        *[
            Sample(np.logspace, (R, S), {"num": 4, **o}, complex=True, exact=False)
            for o in ({}, {"endpoint": False}, {"axis": -1}, {"base": 2.5})
        ],
        Sample(
            lambda x, y, b: np.logspace(x, y, 4, base=b),
            (SCALAR, SCALAR + 1, positive(3)),
            of=np.logspace,
            exact=False,
        ),
        *[
            Sample(np.geomspace, (P, 2 * P), {"num": 4, **o}, complex=True, exact=False)
            for o in ({}, {"endpoint": False}, {"axis": -1})
        ],
        Sample(np.geomspace, (-SCALAR, -3.0, 4), exact=False),
    ]


# --- the methods of ufuncs, and np.emath ---------------------------------------------------------

U = R / 3
BEYOND = np.array([1.5, -0.4, 0.3, -1.7])
WRONG_IN_NUMPY = (np.power, np.arctan2)  # their reductions, on some machines
BY_POSITION = (np.remainder, np.fmod, np.power, np.float_power)


def methods(Sample):
    smooth = [key for key in METHOD_HANDLERS if key[0] in SMOOTH]
    return [
        *[
            Sample(lambda x, y, f=f: f[0].outer(x, y), (P[:2, :2], positive(3, start=20)), of=f)
            for f in smooth
            if f[1] == "outer"
        ],
        *[
            Sample(lambda x, y, f=f: f.outer(x, y), (P, VECTOR), of=(f, "outer"), constant=True)
            for f in STEPWISE
        ],
        *[
            Sample(lambda x, f=f, a=a: f[0].accumulate(x, a), (P + P**2,), of=f, exact=False)
            for f in smooth
            for a in ((0, 1) if f[0] not in BY_POSITION else (0,))
            if f[1] == "accumulate"
        ],
        *[
            Sample(
                lambda x, f=f: f[0].reduceat(x, [0, 2, 1, 1], 1),
                (P + P**2,),
                of=f,
                exact=False,
                raises=f[0] in WRONG_IN_NUMPY,
            )
            for f in smooth
            if f[1] == "reduceat"
        ],
        *[
            Sample(
                lambda x, f=f, a=a: f.reduceat(x, [1, 2], a),
                (P + P**2,),
                of=(f, "reduceat"),
                complex=f is np.add,
            )
            for f in (np.add, np.maximum, np.minimum)
            for a in (0, 1)
        ],
        *[
            Sample(
                lambda x, f=f: f[0].reduce(x, 1),
                (P + P**2,),
                of=f,
                exact=False,
                raises=f[0] in WRONG_IN_NUMPY,
            )
            for f in smooth
            if f[1] == "reduce"
        ],
        *[
            Sample(
                lambda x, options=options, f=f: f.reduce(x, **options),
                (CUBE,),
                of=(f, "reduce"),
                exact=False,
            )
            for f in (np.logaddexp, np.hypot)
            for options in (
                {"axis": 0, "initial": 0.5, "keepdims": True},
                {"axis": None},
                {"axis": (2, 0), "keepdims": True},
                {"axis": (0, 1), "where": MASK},
            )
        ],
        Sample(
            lambda x: np.subtract.reduce(x, axis=1, initial=0.5, where=MASK),
            (R,),
            of=(np.subtract, "reduce"),
            exact=False,
        ),
        *[
            Sample(getattr(np.emath, name), (x,), complex=True, vmap=x is P, exact=False)
            for name in ("sqrt", "log", "log2", "log10")
            for x in (P, R)
        ],
        *[
            Sample(getattr(np.emath, name), (x,), complex=True, vmap=x is U, exact=False)
            for name in ("arccos", "arcsin", "arctanh")
            for x in (U, BEYOND)
        ],
        Sample(np.emath.logn, (P, 2 + P), complex=True, exact=False),
        *[
            Sample(np.emath.power, (x, y), complex=True, vmap=x is P, exact=False)
            for x, y in ((P, R), (R, P))
        ],
    ]


# --- selection -----------------------------------------------------------------------------------

CHOICE = np.array([[0, 1, 1, 0], [2, 0, 1, 2], [1, 1, 2, 0]])
GAP = np.array([False, True, True, False])
TIED = np.array([0.5, -1.0, 0.5, 2.0, -1.0])
ZEROS = np.array([0.0, 0.0, 1.0, 0.0, -2.0, 0.0])
STATISTIC_MODES = ("maximum", "minimum", "mean", "median")
PLACE_MODES = ("edge", "reflect", "symmetric", "wrap")


def edges_squared(row, width, axis, options):
    """Fill the padding of a row, as np.pad lets a function do it."""
    row[: width[0]] = row[width[0]] ** 2 + options["by"]
    row[len(row) - width[1] :] = row[width[0]] * axis


def selection(Sample):
    def unmapped(fun, *args, of=None, constant=False, **settings):
        return Sample(fun, args, settings, of=of, constant=constant, vmap=False)

    return [
        *[
            Sample(
                lambda a, x, y, m=mode, k=k: np.choose(a + k, (x, y, 1.5), mode=m),
                (CHOICE, R, S),
                of=np.choose,
            )
            for mode, k in (("raise", 0), ("wrap", 2), ("clip", 1))
        ],
        Sample(lambda x: np.compress(GAP, x, 1), (R,), of=np.compress, complex=True),
        Sample(lambda x: np.compress([1, 0, 1], x), (R,), of=np.compress),
        Sample(lambda x: x.compress([1, 0, 1], axis=0), (R,), of=np.compress),
        Sample(lambda x: np.extract(MASK, x), (R,), of=np.extract, complex=True),
        unmapped(lambda x: np.extract(x > 0.1, x), R, of=np.extract),
        Sample(
            lambda x, y: np.select([x > 1, x > 0], [x * y, y], 2.5),
            (R, S),
            of=np.select,
            exact=False,
        ),
        Sample(lambda x: np.select([MASK], [x]), (R,), of=np.select),
        Sample(
            lambda x: np.piecewise(x, [x < 0, x > 1], [np.exp, lambda v: v * v, 0.5]),
            (R,),
            of=np.piecewise,
            exact=False,
        ),
        Sample(lambda x: np.piecewise(x, [x > 0], [np.sin]), (R,), of=np.piecewise, exact=False),
        Sample(
            lambda x: np.piecewise(x, x > 0, [np.sin, 0.5]), (SCALAR,), of=np.piecewise, exact=False
        ),
        *[
            Sample(lambda x, o=o, a=a: np.delete(x, o, a), (R,), of=np.delete, complex=True)
            for o, a in ((1, 0), ([0, -1], 1), (slice(1, None, 2), 1), (5, None), (GAP, 1))
        ],
        *[
            Sample(lambda x, v, o=o, a=a: np.insert(x, o, v, a), (R, v), of=np.insert)
            for o, v, a in (
                (1, VECTOR, 0),
                (-1, SCALAR, 1),
                ([0, 3], reals(3, 2, start=7), 1),
                ([2], reals(3, 1, start=7), 1),
                (5, VECTOR, None),
                (slice(0, 2), SCALAR, 0),
            )
        ],
        *[Sample(np.resize, (R, shape), complex=True) for shape in ((2, 3), (4, 5), 7, (0,))],
        *[
            unmapped(lambda x, t=t: np.trim_zeros(x * ZEROS, t), reals(6), of=np.trim_zeros)
            for t in ("fb", "f", "b")
        ],
        # Padding.
        *[Sample(np.pad, (R, w), complex=True) for w in (2, ((1, 0), (0, 2)), (1, 2))],
        Sample(lambda x: np.pad(x, 1, constant_values=x[:2, :2]), (R,), of=np.pad),
        Sample(np.pad, (R, 1), {"constant_values": 2.5}),
        Sample(lambda x: np.pad(x, (1, 2), edges_squared, by=0.3), (R,), of=np.pad, exact=False),
        *[
            Sample(np.pad, (R, w), {"mode": m}, complex=True)
            for m in PLACE_MODES
            for w in (2, ((0, 7), (9, 1)))
        ],
        *[
            Sample(np.pad, (R, w), {"mode": m, "reflect_type": "odd"}, exact=False)
            for m in ("reflect", "symmetric")
            for w in (1, ((0, 7), (9, 1)))
        ],
        *[
            Sample(np.pad, (R, ((1, 2), (0, 3))), {"mode": m, **o}, exact=False)
            for m in STATISTIC_MODES
            for o in ({}, {"stat_length": 2})
        ],
        *[
            Sample(np.pad, (R, ((1, 2), (0, 3))), {"mode": "linear_ramp", **o}, exact=False)
            for o in ({}, {"end_values": 1.5})
        ],
        # Triangles, diagonals, blocks.
        *[Sample(np.rot90, (CUBE,), {"k": k}, complex=True) for k in range(4)],
        Sample(np.rot90, (CUBE,), {"axes": (2, 1)}),
        *[
            Sample(fun, (x,), {"k": k}, complex=True)
            for fun in (np.tril, np.triu)
            for x, k in ((R, 0), (CUBE, 1), (VECTOR, -1))
        ],
        *[Sample(np.diag, (x,), {"k": k}, complex=True) for x in (R, VECTOR) for k in (0, 2, -1)],
        *[
            Sample(np.diagflat, (x,), {"k": k}, complex=True)
            for x in (R[:2, :2], SCALAR)
            for k in (0, 1)
        ],
        Sample(
            lambda x, y: np.block([[x, np.ones((3, 1))], [y, 2.0]]),
            (R, VECTOR),
            of=np.block,
            complex=True,
        ),
        Sample(lambda x, y: np.block([x, y]), (VECTOR, OTHER), of=np.block),
        *[
            Sample(np.meshgrid, (VECTOR, reals(3), reals(2)), o, complex=True)
            for o in ({}, {"indexing": "ij"}, {"sparse": True})
        ],
        Sample(np.meshgrid, (VECTOR,)),
        *[
            Sample(
                lambda x, f=f, a=a: np.apply_along_axis(f, a, x),
                (CUBE,),
                of=np.apply_along_axis,
                exact=False,
            )
            for f, a in ((np.sum, 1), (np.cumsum, 0), (lambda v: np.outer(v, v[:2]), -1))
        ],
        *[
            Sample(
                lambda x, a=a: np.apply_over_axes(np.sum, x, a),
                (CUBE,),
                of=np.apply_over_axes,
                exact=False,
            )
            for a in ([0, 2], 1)
        ],
        *[
            Sample(np.lib.stride_tricks.sliding_window_view, (R, w), {"axis": a}, complex=True)
            for w, a in ((2, 1), ((2, 3), None), ((2, 2), (1, 1)))
        ],
        # Sets.
        *[unmapped(np.unique, x) for x in (R, SCALAR)],
        unmapped(lambda x: np.unique(np.concatenate([x, x[::2]])), VECTOR, of=np.unique),
        unmapped(np.unique, R, return_index=True, return_counts=True, return_inverse=True),
        unmapped(np.unique, R, axis=0),
        *[
            unmapped(lambda x, f=f: tuple(f(x)), R, of=f)
            for f in existing("unique_counts", "unique_inverse", "unique_all")
        ],
        *[
            unmapped(lambda x, y, f=f: f(x, np.concatenate([x[:2], y])), VECTOR, OTHER, of=f)
            for f in (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d)
        ],
        unmapped(
            lambda x: np.intersect1d(x, x[1:], assume_unique=True, return_indices=True),
            VECTOR,
            of=np.intersect1d,
        ),
        *[unmapped(f, R) for f in existing("unique_values")],
        # Comparisons.
        *[Sample(f, (R, S), constant=True) for f in (np.isclose, np.allclose)],
        *[Sample(f, (R, R.copy()), constant=True) for f in (np.isclose, np.allclose)],
        Sample(np.isclose, (R, S), {"atol": 0.5, "rtol": 0.1}, constant=True),
        Sample(np.isclose, (NAN, NAN.copy()), {"equal_nan": True}, constant=True),
        *[
            Sample(f, (R, x), constant=True)
            for f in (np.array_equal, np.array_equiv)
            for x in (S, R.copy())
        ],
        Sample(np.array_equiv, (R, VECTOR), constant=True),
        Sample(np.array_equal, (NAN, NAN.copy()), {"equal_nan": True}, constant=True),
        *[Sample(np.isin, (R, R[1]), {"invert": i}, constant=True) for i in (False, True)],
        unmapped(np.flatnonzero, R, constant=True),
        unmapped(np.argwhere, R, constant=True),
        *[Sample(f, (R,), constant=True) for f in (np.fix, np.isposinf, np.isneginf)],
        *[Sample(f, (R,), constant=True) for f in (np.isreal, np.iscomplex)],
        *[unmapped(f, R, constant=True) for f in (np.tril_indices_from, np.triu_indices_from)],
        unmapped(np.diag_indices_from, R[:, :3], constant=True),
        unmapped(lambda x: np.zeros(2, np.common_type(x)), R, of=np.common_type, constant=True),
        Sample(np.ix_, (COUNTED, COUNTED[:3]), constant=True),
        Sample(
            lambda x, y: np.lexsort((x, np.floor(y))),
            (LONG, LONG[::-1].copy()),
            of=np.lexsort,
            constant=True,
        ),
    ]


def rows(Sample):  # the class, handed over since samples.py imports this module
    """Return the rows."""
    return [*statistics(Sample), *sequences(Sample), *methods(Sample), *selection(Sample)]
