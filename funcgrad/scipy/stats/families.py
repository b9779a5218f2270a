"""How a distribution follows from the functions of its standard form: location, scale and support."""

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad.core import as_array
from funcgrad.custom import stop_gradient
from funcgrad.primitives.families import constant
from funcgrad.scipy.mirrors import fallback

INF, NAN = float("inf"), float("nan")

Function = Callable[..., Any]


class Freezable:
    """A distribution that can be called with its parameters, as SciPy's can.

    What has no rule (`rvs`, `mean`, `fit`, ...) is SciPy's own method, for plain arguments.
    """

    name: str

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "name":
            raise AttributeError(name)
        return self._original(name)

    def _original(self, kind: str) -> Any:
        """Return SciPy's own function, which takes plain arguments."""
        distribution = getattr(importlib.import_module("scipy.stats"), self.name)
        return fallback(distribution, f"scipy.stats.{self.name}")(kind)

    def __call__(self, *args: Any, **kwargs: Any) -> "Frozen":
        """Return the distribution with fixed parameters: `norm(0.5, 2.0).logpdf(x)`."""
        return Frozen(self, args, kwargs)


class Frozen:
    """A distribution with parameters; its functions take what is left, mostly `x`."""

    def __init__(self, distribution: Any, args: Any, kwargs: Any) -> None:
        self._distribution, self._args, self._kwargs = distribution, args, kwargs

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        function = getattr(self._distribution, name)
        return lambda *first, **options: function(*first, *self._args, **self._kwargs, **options)


class Distribution(Freezable):
    """A distribution of one variable; its functions take `(x, *shapes, loc, scale)`."""

    def __init__(self, name: str, shapes: tuple[str, ...]) -> None:
        self.name = name
        self.shapes = shapes

    def __repr__(self) -> str:
        return f"<distribution {self.name}>"

    def _parameters(self, args: Any, kwargs: Any, last: tuple[str, ...]) -> tuple[Any, list[Any]]:
        """Return the shape parameters and the last ones, which have the defaults 0 and 1."""
        names = (*self.shapes, *last)
        if len(args) > len(names) or set(kwargs) - set(names[len(args) :]):
            raise TypeError(f"{self.name} takes {', '.join(names)}; got {len(args)} and {kwargs}")
        given = {**dict(zip(names, args)), **kwargs}
        missing = [n for n in self.shapes if n not in given]
        if missing:
            raise TypeError(f"{self.name} needs {', '.join(missing)}")
        given = {"loc": 0.0, "scale": 1.0, **{n: _number_or_array(x) for n, x in given.items()}}
        return [given[n] for n in self.shapes], [given[n] for n in last]


def _number_or_array(x: Any) -> Any:
    return x if isinstance(x, (int, float)) else as_array(x)


def positive(x: Any) -> Any:
    """Return a parameter, and NaN in place of one that is not positive."""
    if isinstance(x, (int, float)):
        return x if x > 0 else NAN
    return np.where(x > 0, x, np.nan)


def log(x: Any) -> Any:
    """Return the logarithm of a positive number or array; -inf of 0, with derivative 0."""
    if isinstance(x, (int, float)):
        return math.log(x) if x > 0 else -INF if x == 0 else NAN
    zero = x == 0
    return np.where(zero, -np.inf, np.log(np.where(zero, 1, x)))


def _all_positive(*shapes: Any) -> Any:
    return functools.reduce(np.logical_and, [a > 0 for a in shapes], True)


def _checked(valid: Function, shapes: list[Any]) -> list[Any]:
    known = valid(*shapes)
    if isinstance(known, (bool, np.bool_)):
        return shapes if known else [NAN] * len(shapes)
    return [np.where(known, a, NAN) for a in shapes]


def _of_probability(fun: Function, q: Any, shapes: list[Any]) -> Any:
    """Return `fun(q, *shapes)`, and NaN where `q` is no probability."""
    q = as_array(q)
    known = (q >= 0) & (q <= 1)
    return np.where(known, fun(np.where(known, q, 0.5), *shapes), NAN)


class Continuous(Distribution):
    """A continuous distribution, from the functions of its standard form.

    `support` is a pair of numbers, or a function of the shapes that returns one; `open` says that
    the density at its lower end is that outside. `valid(*shapes)` tells which shapes have a
    distribution: the positive ones, if it is not given. A function that is not given is SciPy's.
    """

    def __init__(
        self,
        name: str,
        shapes: tuple[str, ...],
        *,
        logpdf: Function,
        cdf: Function | None = None,
        sf: Function | None = None,
        ppf: Function | None = None,
        isf: Function | None = None,
        logcdf: Function | None = None,
        logsf: Function | None = None,
        support: Any = (-INF, INF),
        open: bool = False,  # noqa: A002  # the field's word
        valid: Function | None = None,
    ) -> None:
        super().__init__(name, shapes)
        self._logpdf = logpdf
        self._cdf = cdf or self._missing("cdf")
        self._sf = sf or self._missing("sf")
        self._ppf = ppf or self._missing("ppf")
        self._isf = isf or (lambda q, *shapes: self._ppf(1 - q, *shapes))
        self._logcdf = logcdf or (lambda z, *shapes: log(self._cdf(z, *shapes)))
        self._logsf = logsf or (lambda z, *shapes: log(self._sf(z, *shapes)))
        self.support = support
        self._middle = None if callable(support) else float(_middle(*support))
        self._open = open
        self._unbounded = support == (-INF, INF) and not open
        self._valid = valid or _all_positive

    def _missing(self, kind: str) -> Function:
        def call(*args: Any) -> Any:  # importing scipy.stats takes a second: not before it is used
            return self._original(kind)(*args)

        return call

    def _given(self, args: Any, kwargs: Any) -> tuple[list[Any], Any, Any]:
        """Return the shape parameters, NaN where they have no distribution, the location and the scale."""
        shapes, (loc, scale) = self._parameters(args, kwargs, ("loc", "scale"))
        return _checked(self._valid, shapes), loc, positive(scale)

    def _standard(self, x: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        """Return (x - loc) / scale, the shape parameters and the scale."""
        shapes, loc, scale = self._given(args, kwargs)
        z = (as_array(x) - loc) / scale
        # a number takes the precision of the array, as in NumPy's own arithmetic
        return z, [z.dtype.type(a) if isinstance(a, (int, float)) else a for a in shapes], scale

    def _inside(self, fun: Function, z: Any, shapes: Any, below: float, above: float) -> Any:
        """Return `fun` on the support, constants outside of it; NaN for parameters that have none."""
        value = fun(z, *shapes) if self._unbounded else self._masked(fun, z, shapes, below, above)
        for shape in shapes:
            value = np.where(np.isnan(shape), NAN, value)
        return value

    def _masked(self, fun: Function, z: Any, shapes: Any, below: float, above: float) -> Any:
        low, high = self.support(*shapes) if callable(self.support) else self.support
        middle = _middle(low, high) if self._middle is None else self._middle
        under = ((z <= low) if self._open else (z < low)) | (z == -INF)
        over = (z > high) | (z == INF)
        value = fun(np.where(under | over, middle, z), *shapes)
        return np.where(under, below, np.where(over, above, value))

    def logpdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the density at `x`; -inf outside the support."""
        z, shapes, scale = self._standard(x, args, kwargs)
        return self._inside(self._logpdf, z, shapes, -INF, -INF) - log(scale)

    def pdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the density at `x`."""
        z, shapes, scale = self._standard(x, args, kwargs)
        return self._inside(lambda *a: np.exp(self._logpdf(*a)), z, shapes, 0, 0) / scale

    def cdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of at most `x`."""
        z, shapes, _ = self._standard(x, args, kwargs)
        return self._inside(self._cdf, z, shapes, 0, 1)

    def sf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of more than `x`."""
        z, shapes, _ = self._standard(x, args, kwargs)
        return self._inside(self._sf, z, shapes, 1, 0)

    def logcdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of `cdf`."""
        z, shapes, _ = self._standard(x, args, kwargs)
        return self._inside(self._logcdf, z, shapes, -INF, 0)

    def logsf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of `sf`."""
        z, shapes, _ = self._standard(x, args, kwargs)
        return self._inside(self._logsf, z, shapes, 0, -INF)

    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the quantile: where `cdf` is `q`."""
        shapes, loc, scale = self._given(args, kwargs)
        return _of_probability(self._ppf, q, shapes) * scale + loc

    def isf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Return where `sf` is `q`."""
        shapes, loc, scale = self._given(args, kwargs)
        return _of_probability(self._isf, q, shapes) * scale + loc


def _middle(low: Any, high: Any) -> Any:
    """Return a point of the support, where all functions are finite, as a constant."""
    low, high = (np.where(np.isfinite(x), x, NAN) for x in map(stop_gradient, (low, high)))
    middle = (low + high) / 2
    for point in (low + 1, high - 1, 0.0):
        middle = np.where(np.isnan(middle), point, middle)
    return middle


class Discrete(Distribution):
    """A distribution on the whole numbers from `low` up to `top(*shapes)`.

    `valid(*shapes)` tells which parameters have a distribution.
    """

    def __init__(
        self,
        name: str,
        shapes: tuple[str, ...],
        *,
        logpmf: Function,
        valid: Function,
        cdf: Function | None = None,
        sf: Function | None = None,
        top: Function = lambda *shapes: INF,
        low: int = 0,
    ) -> None:
        super().__init__(name, shapes)
        self._logpmf, self._cdf, self._sf, self._top = logpmf, cdf, sf, top
        self._valid, self._low = valid, low

    def _shifted(self, k: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        shapes, (loc,) = self._parameters(args, kwargs, ("loc",))
        return as_array(k) - loc, shapes

    def logpmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the probability of `k`; -inf off the support."""
        k, shapes = self._shifted(k, args, kwargs)
        possible = (k >= self._low) & (k <= self._top(*shapes)) & (np.floor(k) == k)
        value = self._logpmf(np.where(possible, k, self._low), *shapes)
        return np.where(self._valid(*shapes), np.where(possible, value, -INF), NAN)

    def pmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of `k`."""
        return np.exp(self.logpmf(k, *args, **kwargs))

    def cdf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of at most `k`."""
        return self._tail(self._cdf, "cdf", k, args, kwargs, (0, 1))

    def sf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of more than `k`."""
        return self._tail(self._sf, "sf", k, args, kwargs, (1, 0))

    def logcdf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of `cdf`."""
        return log(self.cdf(k, *args, **kwargs))

    def logsf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of `sf`."""
        return log(self.sf(k, *args, **kwargs))

    def _tail(self, fun: Any, name: str, k: Any, args: Any, kwargs: Any, ends: Any) -> Any:
        fun = fun or self._original(name)
        k, shapes = self._shifted(k, args, kwargs)
        k = np.floor(k)
        below, above = k < self._low, k >= self._top(*shapes)
        value = fun(np.where(below | above, self._low, k), *shapes)
        value = np.where(below, ends[0], np.where(above, ends[1], value))
        return np.where(self._valid(*shapes), value, NAN)

    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the least `k` of which `cdf` is at least `q`: piecewise constant."""
        shapes, (loc,) = self._parameters(args, kwargs, ("loc",))
        return self._quantile("ppf")(as_array(q), *shapes) + loc

    def isf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the least `k` of which `sf` is at most `q`: piecewise constant."""
        shapes, (loc,) = self._parameters(args, kwargs, ("loc",))
        return self._quantile("isf")(as_array(q), *shapes) + loc

    @functools.cache  # noqa: B019  # the distributions live as long as the module
    def _quantile(self, kind: str) -> Any:
        return constant(self._original(kind), name=f"{self.name}.{kind}")
