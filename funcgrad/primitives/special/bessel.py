"""Bessel functions (https://dlmf.nist.gov: 10.6, 10.29): the order is a constant."""

from typing import Any

import numpy as np

from funcgrad.primitives.special.rules import real, refused, rule, sc

rule("j0", lambda x: -sc.j1(x))
rule("j1", lambda x: (sc.j0(x) - sc.jv(2, x)) / 2)
rule("jv", refused, lambda x, y: (sc.jv(x - 1, y) - sc.jv(x + 1, y)) / 2)
rule("y0", lambda x: -sc.y1(x))
rule("y1", lambda x: (sc.y0(x) - sc.yn(2, x)) / 2)
# SciPy takes the order of yn and kn to be its whole part.
rule("yn", refused, lambda x, y: (sc.yn(np.trunc(x) - 1, y) - sc.yn(np.trunc(x) + 1, y)) / 2)
rule("yv", refused, lambda x, y: (sc.yv(x - 1, y) - sc.yv(x + 1, y)) / 2)
rule("i0", lambda x: sc.i1(x))
rule("i1", lambda x: (sc.i0(x) + sc.iv(2, x)) / 2)
rule("iv", refused, lambda x, y: (sc.iv(x - 1, y) + sc.iv(x + 1, y)) / 2)
rule("k0", lambda x: -sc.k1(x))
rule("k1", lambda x: -(sc.k0(x) + sc.kn(2, x)) / 2)
rule("kn", refused, lambda x, y: -(sc.kn(np.trunc(x) - 1, y) + sc.kn(np.trunc(x) + 1, y)) / 2)
rule("kv", refused, lambda x, y: -(sc.kv(x - 1, y) + sc.kv(x + 1, y)) / 2)
rule("hankel1", refused, lambda x, y: (sc.hankel1(x - 1, y) - sc.hankel1(x + 1, y)) / 2)
rule("hankel2", refused, lambda x, y: (sc.hankel2(x - 1, y) - sc.hankel2(x + 1, y)) / 2)

# Scaled by an exponential; one of |z| has no derivative in complex z.
rule("i0e", lambda ans, x: sc.i1e(x) - np.sign(x) * ans)
rule("i1e", lambda ans, x: (sc.i0e(x) + sc.ive(2, x)) / 2 - np.sign(x) * ans)
rule("ive", refused, lambda ans, x, y: _ive(ans, x, real(y, "ive")))
rule("jve", refused, lambda x, y: _jve(x, real(y, "jve")))
rule("yve", refused, lambda x, y: _yve(x, real(y, "yve")))
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


def _besselpoly_dx(x: Any, y: Any, z: Any) -> Any:
    """Raise the power of t in int_0^1 t^y J_z(2 x t) dt; infinite at 0 for an order between 0 and 1."""
    slope = sc.besselpoly(x, y + 1, z - 1) - sc.besselpoly(x, y + 1, z + 1)
    return np.where((x == 0) & (z > 0) & (z < 1), np.inf, slope)


rule("besselpoly", _besselpoly_dx, refused, refused)
