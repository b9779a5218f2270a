"""Benchmarks: one process, one thread, every library on the same program.

The numerical libraries read their thread counts when they load, so this file, which Python runs
before any module of the package, sets them. A count that is set already stays:
`OMP_NUM_THREADS=2 python -m benchmarks.overhead`.
"""

import os
import sys

NUMPY_CAME_FIRST = "numpy" in sys.modules

_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

for _name in _COUNTS:
    os.environ.setdefault(_name, os.environ.get("OMP_NUM_THREADS", "1"))
if os.environ["OMP_NUM_THREADS"] == "1":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
