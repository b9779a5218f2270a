"""The samples of NumPy's statistics, sequences, selections and ufunc methods: see `samples.py`."""

import numpy as np

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
        *[Sample(np.quantile, (R, np.array([0.21, 0.83])), axis, exact=False) for axis in EVERY_AXIS[:3]],
        Sample(np.quantile, (R, np.array(0.4)), {"axis": 0, "keepdims": True}, exact=False),
        Sample(np.quantile, (R, np.array([[0.21], [0.83]])), {"axis": (0, 1)}, exact=False),
        *[Sample(np.percentile, (R, np.array([21.0, 83.0])), axis, exact=False) for axis in EVERY_AXIS[:3]],
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
            lambda x, w: np.average(x, (2, 0), w), (CUBE, positive(4, 2)), of=np.average, exact=False
        ),
        *[Sample(np.cov, (R,), o, exact=False, complex=True) for o in ({}, {"rowvar": False})],
        *[Sample(np.cov, (R,), o, exact=False) for o in ({"bias": True}, {"ddof": 0})],
        Sample(np.cov, (VECTOR,), exact=False, complex=True),
        Sample(np.cov, (VECTOR, OTHER), exact=False, complex=True),
        Sample(np.cov, (R, S), {"fweights": np.array([1, 2, 1, 3])}, exact=False),
        Sample(lambda x, w: np.cov(x, aweights=w), (R, positive(4)), of=np.cov, exact=False),
        *[Sample(np.corrcoef, (R**2,), o, exact=False, complex=True) for o in ({}, {"rowvar": False})],
        Sample(np.corrcoef, (VECTOR**2, OTHER), exact=False),
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

def rows(Sample):  # the class, handed over since samples.py imports this module
    """Return the rows."""
    return [*statistics(Sample)]
