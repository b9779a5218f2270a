"""Hypothesis profiles, and the fixtures that all tests share."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Times say nothing on a busy machine, so no deadline and no complaint about slow data.
_UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("dev", max_examples=50, **_UNTIMED)
settings.register_profile("ci", max_examples=100, derandomize=True, print_blob=True, **_UNTIMED)
settings.register_profile("deep", max_examples=2000, **_UNTIMED)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if "CI" in os.environ else "dev")
)


@pytest.fixture
def rng():
    """Return a random generator that starts anew, from the same seed, in every test."""
    return np.random.default_rng(0)
