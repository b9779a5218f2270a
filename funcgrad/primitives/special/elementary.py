"""Exponentials, logarithms, trigonometry and losses."""

from typing import Any

import numpy as np

from funcgrad.primitives.special.rules import DEGREE, rule, sc

LOG2, LOG10 = float(np.log(2.0)), float(np.log(10.0))


rule("exp2", lambda ans: ans * LOG2)
rule("exp10", lambda ans: ans * LOG10)
rule("expm1", lambda ans: ans + 1)
rule("log1p", lambda ct, x: ct / (1 + x))
rule("cbrt", lambda ct, ans: ct / (3 * ans * ans))
rule("cosm1", lambda x: -np.sin(x))
rule("sindg", lambda x: DEGREE * sc.cosdg(x))
rule("cosdg", lambda x: -DEGREE * sc.sindg(x))
rule("tandg", lambda ans: DEGREE * (1 + ans * ans))
rule("cotdg", lambda ans: -DEGREE * (1 + ans * ans))
rule("radian", DEGREE, DEGREE / 60, DEGREE / 3600)
# (e^x - 1) / x = 1F1(1, 2, x), so that nothing cancels near 0
rule("exprel", lambda x: sc.hyp1f1(2, 3, x) / 2)
rule("expit", lambda ans, x: ans * sc.expit(-x))
rule("logit", lambda ct, x: ct / (x * (1 - x)))
rule("log_expit", lambda x: sc.expit(-x))
rule("powm1", lambda x, y: y * x ** (y - 1), lambda ans, x: sc.xlogy(ans + 1, x))


def _ratio(x: Any, y: Any) -> Any:
    """Return x / y, and 0 where x = 0."""
    zero = x == 0
    return np.where(zero, 0, x / np.where(zero, 1, y))


rule("xlogy", lambda y: np.log(y), _ratio)
rule("xlog1py", lambda y: np.log1p(y), lambda x, y: _ratio(x, 1 + y))
rule("entr", lambda x: -np.log(x) - 1)
rule("rel_entr", lambda x, y: np.log(x / y) + 1, lambda x, y: -x / y)
rule("kl_div", lambda x, y: np.log(x / y), lambda x, y: 1 - x / y)

# With L = log x, boxcox is L exprel(lambda L), smooth at lambda = 0.
rule("boxcox", lambda x, y: x ** (y - 1), lambda x, y: boxcox_by_exponent(np.log(x), y))
rule("boxcox1p", lambda x, y: (1 + x) ** (y - 1), lambda x, y: boxcox_by_exponent(np.log1p(x), y))


def boxcox_by_exponent(log: Any, y: Any) -> Any:
    """Return the derivative of (x^y - 1) / y by y, from the logarithm of x."""
    return log * log * sc.hyp1f1(2, 3, y * log) / 2


# The logarithm of the inverse is x 2F1(1, 1; 2; -lambda x).
rule(
    "inv_boxcox",
    lambda ans, x, y: ans / (1 + x * y),
    lambda ans, x, y: _invboxcox_by_exponent(ans, x, y),
)
rule(
    "inv_boxcox1p",
    lambda ans, x, y: (ans + 1) / (1 + x * y),
    lambda ans, x, y: _invboxcox_by_exponent(ans + 1, x, y),
)


def _invboxcox_by_exponent(power: Any, x: Any, y: Any) -> Any:
    return -power * x * x * sc.hyp2f1(2, 2, 3, -x * y) / 2


# --- losses --------------------------------------------------------------------------------------

# At |r| = delta both branches have the same derivatives.
rule(
    "huber",
    lambda x, y: np.where(np.abs(y) <= x, 0, np.abs(y) - x),
    lambda x, y: np.where(np.abs(y) <= x, y, x * np.sign(y)),
)
rule(
    "pseudo_huber",
    lambda ans, x, y: 2 * ans / x - y * y / (x * np.sqrt(1 + (y / x) ** 2)),
    lambda x, y: y / np.sqrt(1 + (y / x) ** 2),
)
