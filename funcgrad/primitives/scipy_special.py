"""All rules for `scipy.special`, and a refusal for what has none: loaded when one of its ufuncs meets a tracer."""

from funcgrad.primitives import distributions, special, spheroidal

__all__ = ["UNKNOWN", "distributions", "special", "spheroidal"]

sc = special.sc

# The rest has derivatives by no argument; vmap maps it.
UNKNOWN = [name for name in dir(sc) if not name.startswith("_") and special.find(name) is not None]
for _name in UNKNOWN:
    _fun = special.find(_name)
    if _fun is not None and _fun.nout == 1:
        special.rule(_name, *[special.refused] * _fun.nin)
    elif _fun is not None:
        special.outputs(_name, *[(special.refused,) * _fun.nin] * _fun.nout)
