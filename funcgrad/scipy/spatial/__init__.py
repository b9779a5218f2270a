"""`scipy.spatial`: its module `distance`."""

import importlib

from funcgrad.scipy.mirrors import fallback
from funcgrad.scipy.spatial import distance

__getattr__ = fallback(importlib.import_module("scipy.spatial"))

__all__ = ["distance"]
