"""Hypergeometric functions (13.3.15, 13.3.22, 15.5.1, 16.3.1), whose parameters are constants; Lambert W."""

import numpy as np

from funcgrad.primitives.special.rules import refused, rule, sc

rule("hyp0f1", refused, lambda x, y: sc.hyp0f1(x + 1, y) / x)
rule("hyp1f1", refused, refused, lambda x, y, z: x / y * sc.hyp1f1(x + 1, y + 1, z))
rule("hyperu", refused, refused, lambda x, y, z: -x * sc.hyperu(x + 1, y + 1, z))
rule(
    "hyp2f1",
    refused,
    refused,
    refused,
    lambda ct, x, y, z, w: ct * (x * y / z * sc.hyp2f1(x + 1, y + 1, z + 1, w)),
)
rule("wright_bessel", refused, refused, lambda x, y, z: sc.wright_bessel(x, x + y, z))
rule(
    "log_wright_bessel",
    refused,
    refused,
    lambda ans, x, y, z: np.exp(sc.log_wright_bessel(x, x + y, z) - ans),
)

# W e^W = z (4.13.1): the derivative is e^-W / (1 + W), also at 0
rule("_lambertw", lambda ct, ans: ct * (np.exp(-ans) / (1 + ans)), None, None)
rule("wrightomega", lambda ct, ans: ct * (ans / (1 + ans)))
