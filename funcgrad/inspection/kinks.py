"""Where functions have no derivative, or an infinite one: how far their arguments are from there.

A *gap* is a function of the arguments that is zero exactly at the points in question. Of a kink and
of a step it has another sign on the other side; of a singular point it may just be a distance. The
values that funcgrad takes at such points stand in `docs/kinks.md`. Read next: `forward.py`.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from funcgrad.core import concrete
from funcgrad.primitives.axes import kept_shape


class Spot(NamedTuple):
    """The gap of a function, and the argument that must be differentiated for it to matter."""

    gap: Callable[..., Any]
    argument: int | None = None


def _itself(x: Any) -> Any:
    return x


def _difference(x: Any, y: Any) -> Any:
    return np.subtract(x, y)


def _to_one(x: Any) -> Any:
    return 1 - np.abs(x)


def _to_whole(x: Any) -> Any:
    return x - np.rint(x)


def _base(x: Any, y: Any) -> Any:
    """Return the base of a power, and a one where the exponent is a whole number that is not negative."""
    y = np.asarray(y)
    smooth = (y == np.rint(y.real)) & (y.real >= 0)
    return np.where(smooth, 1.0, x)


# One-sided derivatives differ there.
KINKS: dict[str, Spot] = {
    **dict.fromkeys(("absolute", "fabs", "root"), Spot(_itself)),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), Spot(_difference)),
    **dict.fromkeys(("hypot", "arctan2"), Spot(np.hypot)),
}

# The result jumps there; a comparison chooses another branch.
STEPS: dict[str, Spot] = {
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal"), Spot(_difference)),
    **dict.fromkeys(("floor", "ceil", "trunc"), Spot(_to_whole)),
    "sign": Spot(_itself),
    "heaviside": Spot(lambda x, y: x, 0),
}

# The function or its derivative is infinite or undefined there.
SINGULARITIES: dict[str, Spot] = {
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "cbrt", "reciprocal"), Spot(_itself)),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), Spot(_to_one)),
    **dict.fromkeys(("power", "pow", "float_power"), Spot(_base, 0)),
    "divide": Spot(lambda x, y: y, 1),
    "log1p": Spot(lambda x: 1 + x),
    "arccosh": Spot(lambda x: x - 1),
    "tan": Spot(np.cos),
}

# What happens where the gap is zero, for messages.
MEANINGS: dict[str, str] = {
    **dict.fromkeys(("absolute", "fabs"), "the argument is 0"),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), "the two arguments are equal"),
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal"), "the two sides are equal"),
    **dict.fromkeys(("max", "min"), "several entries are the extreme one"),
    **dict.fromkeys(("hypot", "arctan2"), "both arguments are 0"),
    **dict.fromkeys(("floor", "ceil", "trunc"), "the argument is a whole number"),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), "the argument is 1 or -1"),
    **dict.fromkeys(("power", "pow", "float_power"), "the base is 0"),
    "divide": "the denominator is 0",
    "log1p": "the argument is -1",
    "arccosh": "the argument is 1",
    "tan": "the cosine is 0",
}


def meaning(name: str) -> str:
    """Say what is so at the point in question."""
    return MEANINGS.get(name, "the argument is 0")


TABLES = {"kink": KINKS, "step": STEPS, "singularity": SINGULARITIES}


def gaps_of(name: str, args: Any, is_mine: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """Return what an operation is near to, "kink", "step" or "singularity", with the gap as a plain array.

    `is_mine` tells whether an argument is differentiated.
    """
    for kind, table in TABLES.items():
        spot = table.get(name)
        if spot is None or (spot.argument is not None and not is_mine(args[spot.argument])):
            continue
        with np.errstate(all="ignore"):
            yield kind, np.asarray(spot.gap(*[concrete(x) for x in args]))


def ties(name: str, args: Any, settings: Any, result: Any) -> int:
    """Return how many entries share an extreme with another one, for `max` and `min`."""
    if name not in ("max", "min"):
        return 0
    x, extreme = np.asarray(concrete(args[0])), np.asarray(concrete(result))
    if x.ndim != args[0].ndim:  # mapped: the axes are those of an example
        return 0
    shared = x == extreme.reshape(kept_shape(x.shape, settings["axes"]))
    return int(np.count_nonzero(shared)) - extreme.size
