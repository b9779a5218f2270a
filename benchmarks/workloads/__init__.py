"""The programs that the suite times, by subject.

Next file: workload.py.
"""

from benchmarks.workloads import (
    derivatives,
    elementwise,
    matrices,
    networks,
    particles,
    probability,
    scalars,
)
from benchmarks.workloads.workload import Workload

_MODULES = (elementwise, matrices, probability, networks, scalars, particles, derivatives)

WORKLOADS: tuple[Workload, ...] = tuple(
    [workload for module in _MODULES for workload in module.WORKLOADS]
)
