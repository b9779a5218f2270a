"""The samples of `np.fft`; `tests/samples.py` says what a row is and joins them to the others."""

from typing import Any

import numpy as np

# One dimension: every option, lengths that crop and pad, even and odd ones.
ONE_AXIS: list[dict[str, Any]] = [
    {},
    {"axis": 0},
    {"axis": -2, "norm": "ortho"},
    {"norm": "forward"},
    {"norm": "backward", "n": 4},
    {"n": 3},
    {"n": 2, "axis": 1},
    {"n": 6, "norm": "ortho"},
    {"n": 7, "axis": 0, "norm": "forward"},
    {"n": 1},
]

SEVERAL_AXES: list[dict[str, Any]] = [
    {},
    {"axes": (0, 1)},
    {"axes": (-1, 0), "norm": "ortho"},
    {"s": (2, 6), "axes": (0, 2), "norm": "forward"},
    {"s": (5, 3), "axes": (1, 2)},
    {"s": (-1, 4), "axes": (0, 1)},
]

THREE_AXES: list[dict[str, Any]] = [
    {},
    {"axes": (1,)},
    {"axes": (2, 0, 1)},
    {"s": (3, 2, 5), "axes": (0, 1, 2), "norm": "forward"},
    {"norm": "ortho"},
]

FROM_COMPLEX = (np.fft.fft, np.fft.ifft, np.fft.irfft, np.fft.hfft)
FROM_REAL = (np.fft.rfft, np.fft.ihfft)
FROM_COMPLEX_ND = (np.fft.fftn, np.fft.ifftn, np.fft.irfftn)
FROM_COMPLEX_2D = (np.fft.fft2, np.fft.ifft2, np.fft.irfft2)


def rows(sample: Any, reals: Any) -> list[Any]:
    """Return the rows; `sample` makes one, `reals` its arguments."""
    table, cube = reals(3, 4), reals(2, 3, 4)
    return [
        *[sample(f, (table,), o, complex=True) for f in FROM_COMPLEX for o in ONE_AXIS],
        *[sample(f, (table,), options) for f in FROM_REAL for options in ONE_AXIS],
        *[sample(f, (cube,), o, complex=True) for f in FROM_COMPLEX_2D for o in SEVERAL_AXES],
        *[sample(f, (cube,), o, complex=True) for f in FROM_COMPLEX_ND for o in THREE_AXES],
        *[sample(f, (cube,), o, complex=True) for f in FROM_COMPLEX_ND for o in SEVERAL_AXES[1:]],
        *[sample(np.fft.rfft2, (cube,), options) for options in SEVERAL_AXES],
        *[sample(np.fft.rfftn, (cube,), options) for options in THREE_AXES],
        sample(np.fft.fft, (reals(5),), complex=True),
        sample(np.fft.rfft, (reals(5),)),
        sample(np.fft.fft, (reals(0, 3),), complex=True),
        *[
            sample(fun, (cube,), options, complex=True)
            for fun in (np.fft.fftshift, np.fft.ifftshift)
            for options in ({}, {"axes": 1}, {"axes": (0, -1)})
        ],
    ]
