"""Statistics of samples: means of several kinds, moments, scores, ranks, entropies and kernel densities."""

import importlib
import math
from typing import Any

import numpy as np

from funcgrad.core import Tracer, as_array, unsupported
from funcgrad.custom import stop_gradient
from funcgrad.primitives.axes import along, count, normalize_axes
from funcgrad.scipy.mirrors import any_traced, mirror
from funcgrad.scipy.special import logsumexp

st: Any = importlib.import_module("scipy.stats")
sc: Any = importlib.import_module("scipy.special")


def _sample(name: str, a: Any, axis: Any, nan_policy: str, dtype: Any = None) -> tuple[Any, Any]:
    """Return an array and the axes that the statistic goes over."""
    if nan_policy != "propagate":
        unsupported(f"scipy.stats.{name} with nan_policy={nan_policy!r}", 'use "propagate"')
    a = as_array(a)
    a = a if dtype is None else a.astype(dtype)
    a = a if a.dtype.kind in "fc" else a.astype(np.float64)
    return a, normalize_axes(axis, a.ndim)


# --- means ---------------------------------------------------------------------------------------


@mirror(st.gmean)
def gmean(
    a: Any, axis: Any = 0, dtype: Any = None, weights: Any = None, *,
    nan_policy: str = "propagate", keepdims: Any = False,
) -> Any:  # fmt: skip
    """Return the geometric mean."""
    a, axis = _sample("gmean", a, axis, nan_policy, dtype)
    return np.exp(np.average(np.log(a), axis=axis, weights=weights, keepdims=keepdims))


@mirror(st.hmean)
def hmean(
    a: Any, axis: Any = 0, dtype: Any = None, *, weights: Any = None,
    nan_policy: str = "propagate", keepdims: Any = False,
) -> Any:  # fmt: skip
    """Return the harmonic mean."""
    a, axis = _sample("hmean", a, axis, nan_policy, dtype)
    return 1.0 / np.average(1.0 / a, axis=axis, weights=weights, keepdims=keepdims)


@mirror(st.pmean)
def pmean(
    a: Any, p: Any, *, axis: Any = 0, dtype: Any = None, weights: Any = None,
    nan_policy: str = "propagate", keepdims: Any = False,
) -> Any:  # fmt: skip
    """Return the power mean, (mean of a^p)^(1/p); the geometric one for p = 0."""
    if not isinstance(p, Tracer) and p == 0:
        return gmean(a, axis, dtype, weights, nan_policy=nan_policy, keepdims=keepdims)
    a, axis = _sample("pmean", a, axis, nan_policy, dtype)
    return np.average(a**p, axis=axis, weights=weights, keepdims=keepdims) ** (1.0 / p)


# --- moments -------------------------------------------------------------------------------------


def _central(a: Any, order: int, axis: Any, keepdims: Any) -> Any:
    """Return the mean of the powers of the distance from the mean."""
    return np.mean(
        (a - np.mean(a, axis=axis, keepdims=True)) ** order, axis=axis, keepdims=keepdims
    )


@mirror(st.moment)
def moment(
    a: Any, order: Any = 1, axis: Any = 0, nan_policy: str = "propagate", *,
    center: Any = None, keepdims: Any = False,
) -> Any:  # fmt: skip
    """Return a moment about the mean, or about `center`."""
    a, axis = _sample("moment", a, axis, nan_policy)
    if np.ndim(order):
        unsupported("scipy.stats.moment of several orders", "call it for each")
    center = np.mean(a, axis=axis, keepdims=True) if center is None else center
    return np.mean((a - center) ** order, axis=axis, keepdims=keepdims)


@mirror(st.skew)
def skew(
    a: Any,
    axis: Any = 0,
    bias: bool = True,
    nan_policy: str = "propagate",
    *,
    keepdims: Any = False,
) -> Any:
    """Return the third standardised moment (of a normal distribution 0)."""
    a, axis = _sample("skew", a, axis, nan_policy)
    n = count(a.shape, axis)
    result = _central(a, 3, axis, keepdims) / _central(a, 2, axis, keepdims) ** 1.5
    if not bias and n > 2:
        result = result * math.sqrt((n - 1.0) * n) / (n - 2.0)
    return result


@mirror(st.kurtosis)
def kurtosis(
    a: Any, axis: Any = 0, fisher: bool = True, bias: bool = True, nan_policy: str = "propagate", *,
    keepdims: Any = False,
) -> Any:  # fmt: skip
    """Return the fourth standardised moment, less 3 if `fisher` (of a normal distribution 0)."""
    a, axis = _sample("kurtosis", a, axis, nan_policy)
    n = count(a.shape, axis)
    result = _central(a, 4, axis, keepdims) / _central(a, 2, axis, keepdims) ** 2
    if not bias and n > 3:
        result = ((n * n - 1.0) * result - 3 * (n - 1.0) ** 2) / (n - 2) / (n - 3) + 3.0
    return result - 3 if fisher else result


@mirror(st.sem)
def sem(
    a: Any, axis: Any = 0, ddof: Any = 1, nan_policy: str = "propagate", *, keepdims: Any = False
) -> Any:
    """Return the standard error of the mean."""
    a, axis = _sample("sem", a, axis, nan_policy)
    return np.std(a, axis=axis, ddof=ddof, keepdims=keepdims) / math.sqrt(count(a.shape, axis))


@mirror(st.variation)
def variation(
    a: Any, axis: Any = 0, nan_policy: str = "propagate", ddof: Any = 0, *, keepdims: Any = False
) -> Any:
    """Return the standard deviation over the mean."""
    a, axis = _sample("variation", a, axis, nan_policy)
    mean = np.mean(a, axis=axis, keepdims=keepdims)
    return np.std(a, axis=axis, ddof=ddof, keepdims=keepdims) / mean


@mirror(st.zscore)
def zscore(a: Any, axis: Any = 0, ddof: Any = 0, nan_policy: str = "propagate") -> Any:
    """Return the distances from the mean, in standard deviations."""
    a, axis = _sample("zscore", a, axis, nan_policy)
    distance = a - np.mean(a, axis=axis, keepdims=True)
    return distance / np.std(a, axis=axis, ddof=ddof, keepdims=True)


# --- entropy and ranks ---------------------------------------------------------------------------


@mirror(st.entropy)
def entropy(
    pk: Any, qk: Any = None, base: Any = None, axis: Any = 0, *,
    nan_policy: str = "propagate", keepdims: Any = False,
) -> Any:  # fmt: skip
    """Return the entropy of a distribution, or its relative entropy to another; both are normalised."""
    pk, axis = _sample("entropy", pk, axis, nan_policy)
    pk = pk / np.sum(pk, axis=axis, keepdims=True)
    if qk is None:
        terms = sc.entr(pk)
    else:
        qk, _ = _sample("entropy", qk, axis, nan_policy)
        terms = sc.rel_entr(pk, qk / np.sum(qk, axis=axis, keepdims=True))
    total = np.sum(terms, axis=axis, keepdims=keepdims)
    if base is None:
        return total
    return total / (math.log(base) if isinstance(base, (int, float)) else np.log(base))


@mirror(st.rankdata)
def rankdata(
    a: Any, method: str = "average", *, axis: Any = None, nan_policy: str = "propagate"
) -> Any:
    """Return ranks from 1 on, constants."""
    a, _ = _sample("rankdata", a, axis, nan_policy)
    a, axis = along(stop_gradient(a), axis)
    a = np.moveaxis(a, axis, -1)
    below = np.sum(a[..., None, :] < a[..., :, None], axis=-1)
    same = np.sum(a[..., None, :] == a[..., :, None], axis=-1)
    if method == "average":
        ranks = below + (same + 1) / 2
    elif method in ("min", "max"):
        ranks = below + (1 if method == "min" else same)
    elif method == "ordinal":
        order = np.argsort(a, axis=-1, kind="stable")
        ranks = np.argsort(order, axis=-1) + 1
    else:
        unsupported(f"scipy.stats.rankdata with method={method!r}", 'use "average", "min" or "max"')
    return np.moveaxis(ranks, -1, axis)


# --- kernel densities ----------------------------------------------------------------------------


class gaussian_kde:
    """Density estimate by normal kernels: SciPy's, with derivatives by the points, the data and the weights.

    Methods beyond `evaluate`, `pdf` and `logpdf` are SciPy's own, for plain data.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad import grad
    >>> from funcgrad.scipy import stats
    >>> density = stats.gaussian_kde(np.array([-1.0, 0.0, 1.0]))
    >>> bool(grad(lambda x: density(x)[0])(0.5) < 0)
    True
    """

    def __init__(self, dataset: Any, bw_method: Any = None, weights: Any = None) -> None:
        self.dataset = np.atleast_2d(as_array(dataset))
        self.d, self.n = self.dataset.shape
        if weights is None:
            weights = np.full(self.n, 1.0 / self.n)
        else:
            weights = as_array(weights)
            weights = weights / np.sum(weights)
        self.weights, self.neff = weights, 1.0 / np.sum(weights**2)
        self.factor = self._factor(bw_method)
        # the covariance of frequencies n w, without bias
        mean = self.dataset @ weights
        distance = self.dataset - mean[:, None]
        spread = (distance * weights) @ distance.T / (1 - np.sum(weights**2))
        self.covariance = spread * self.factor**2
        self.inv_cov = np.linalg.inv(self.covariance)

    def scotts_factor(self) -> Any:
        """Return Scott's bandwidth, in units of the spread of the data."""
        return self.neff ** (-1.0 / (self.d + 4))

    def silverman_factor(self) -> Any:
        """Return Silverman's bandwidth, in units of the spread of the data."""
        return (self.neff * (self.d + 2.0) / 4.0) ** (-1.0 / (self.d + 4))

    def _factor(self, bw_method: Any) -> Any:
        if bw_method is None or isinstance(bw_method, str):
            rules: Any = {None: self.scotts_factor, "scott": self.scotts_factor}
            rules["silverman"] = self.silverman_factor
            if bw_method not in rules:
                raise ValueError(f"`bw_method` should be 'scott' or 'silverman', got {bw_method!r}")
            return rules[bw_method]()
        return bw_method(self) if callable(bw_method) else bw_method

    def logpdf(self, x: Any) -> Any:
        """Return the logarithms of the density at the columns of `x`."""
        points = np.atleast_2d(as_array(x))
        if points.shape[0] != self.d:
            if points.shape[0] != 1 or points.shape[1] != self.d:
                raise ValueError(
                    f"points have dimension {points.shape[0]}, dataset has dimension {self.d}"
                )
            points = points.reshape(self.d, 1)
        distance = points[:, None, :] - self.dataset[:, :, None]
        energy = np.sum(distance * np.tensordot(self.inv_cov, distance, 1), axis=0) / 2
        norm = np.linalg.slogdet(self.covariance)[1] + self.d * np.log(2 * np.pi)
        return logsumexp(-energy - norm / 2, axis=0, b=self.weights[:, None])

    def evaluate(self, points: Any) -> Any:
        """Return the density at the columns of `points`."""
        return np.exp(self.logpdf(points))

    pdf = __call__ = evaluate

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "factor" not in self.__dict__:
            raise AttributeError(name)
        if any_traced(self.dataset, self.weights, self.factor):
            unsupported(f"scipy.stats.gaussian_kde.{name}", "use pdf or logpdf")
        return getattr(st.gaussian_kde(self.dataset, self.factor, self.weights), name)
