"""Piecewise constant functions, and those without a derivative by any argument; vmap maps them."""

from funcgrad.primitives.families import constant
from funcgrad.primitives.special.rules import find, outputs, refused, rule, sc

for _name in ("gammasgn", "round"):
    _fun = find(_name)
    if _fun is not None:
        constant(_fun)

# What a release of SciPy has that is not known here
UNKNOWN = [_name for _name in dir(sc) if not _name.startswith("_") and find(_name) is not None]
for _name in UNKNOWN:
    _fun = find(_name)
    if _fun is not None and _fun.nout == 1:
        rule(_name, *[refused] * _fun.nin)
    elif _fun is not None:
        outputs(_name, *[(refused,) * _fun.nin] * _fun.nout)
