"""The samples of what writes into its argument; `tests/samples.py` says what a row is and joins them."""

from typing import Any

import numpy as np

from funcgrad.primitives.methods import SMOOTH

MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])
PLACES = np.array([3, 1, 1])
ONE_ARGUMENT = (np.negative, np.square, np.sqrt, np.exp, np.log, np.reciprocal, np.abs)
AT = (*SMOOTH, *ONE_ARGUMENT)  # of all that have `at`
ROWS = np.array([[1], [0], [3]])


def written(write: Any) -> Any:
    """Return a function that copies its first argument, writes the others into the copy and returns it."""

    def fun(x: Any, *values: Any) -> Any:
        y = x + 0 * sum([np.sum(v) for v in values])  # traced if any of them is
        result = write(y, *values)
        return y if result is None else result

    return fun


def rows(sample: Any, reals: Any, positive: Any) -> list[Any]:
    """Return the rows; `sample` makes one, `reals` and `positive` their arguments."""
    table, row, three = reals(3, 4), reals(4, start=30), reals(3)
    tall, cube = reals(7, 3), reals(3, 3, 3)
    writes = [
        (np.copyto, np.copyto, (table, row)),
        (np.copyto, lambda y, v: np.copyto(y, v, where=MASK), (table, row)),
        (np.put, lambda y, v: np.put(y, [5, 0, 2], v), (table, three)),
        (np.put, lambda y, v: np.put(y, [5, 0, -2, 7, 7], v), (table, three)),
        (np.put, lambda y, v: np.put(y, [[50, -30]], v, mode="wrap"), (table, three)),
        (np.put, lambda y, v: np.put(y, [50, -30], v, mode="clip"), (table, three)),
        (np.putmask, lambda y, v: np.putmask(y, MASK, v), (table, three)),
        (np.place, lambda y, v: np.place(y, MASK, v), (table, three)),
        (np.put_along_axis, lambda y, v: np.put_along_axis(y, ROWS, v, 1), (table, reals(3, 1))),
        (np.put_along_axis, lambda y, v: np.put_along_axis(y, ROWS.T % 3, v, 0), (reals(3, 3), reals(1, 3))),
        (np.put_along_axis, lambda y, v: np.put_along_axis(y, PLACES, v, None), (table, three)),
        (np.fill_diagonal, np.fill_diagonal, (table, three)),
        (np.fill_diagonal, np.fill_diagonal, (tall, np.array(0.7))),
        (np.fill_diagonal, lambda y, v: np.fill_diagonal(y, v, wrap=True), (tall, three)),
        (np.fill_diagonal, np.fill_diagonal, (cube, three)),
    ]  # fmt: skip
    return [
        *[sample(written(write), args, of=fun) for fun, write, args in writes],
        *[
            sample(
                written(lambda y, *v, ufunc=ufunc: ufunc.at(y, PLACES, *v)),
                (positive(4) + 1, *[positive(3, start=9) + 0.3] * (ufunc.nin - 1)),
                of="at",
                exact=False,
            )
            for ufunc in AT
        ],
        sample(
            written(lambda y, v: np.multiply.at(y, (slice(None), [1, 1, 0]), v)),
            (table, three),
            of="at",
        ),
    ]
