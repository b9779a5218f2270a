"""Dtypes that were widened, and by what; results that broadcasting made large."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from funcgrad.inspection.findings import Evidence, Finding
from funcgrad.inspection.operations import Constant, Operation, Variable
from funcgrad.inspection.tables import size_of

BROADCAST = 1 << 20  # bytes of a result
STRETCH = 8  # and so many times the largest argument


def widenings(evidence: Evidence) -> Iterator[Finding]:
    """Name the constant, or the input, that made a result of a wider dtype than its arguments."""
    told: dict[tuple[str, str], int] = {}
    for operation in evidence.tape.operations:
        guilty = _widened_by(operation)
        key = operation.name, str(operation.where)
        if guilty is None or key in told:
            continue
        told[key] = 1
        narrow = _narrowest(operation)
        what = f"`{operation.name}` widens {narrow} to {operation.output.dtype}: "
        if guilty is operation:
            what += "its dtype says so."
            yield Finding("dtype", "note", what, operation, "leave the cast out to stay narrow.")
            continue
        kind = "the constant" if isinstance(guilty, Constant) else "the traced value"
        what += (
            f"{kind} {guilty} is {guilty.type}."
            if str(guilty) != guilty.type
            else f"{kind} is {guilty}."
        )
        fix = f"make it narrow where it is made: np.asarray(..., dtype=np.{narrow}), or .astype(x.dtype)."
        yield Finding("dtype", "warning", what, operation, fix)


def _bits(dtype: Any) -> int:
    return np.finfo(dtype).bits if dtype.kind in "fc" else 0


def _narrowest(operation: Operation) -> Any:
    dtypes = [x.dtype for x in operation.arguments if isinstance(x, Variable)]
    return min(dtypes, key=_bits)


def _widened_by(operation: Operation) -> Any:
    """Return the argument that widened the result, the operation if it is a cast, None if none did."""
    traced = [x for x in operation.arguments if isinstance(x, Variable)]
    out = operation.output.dtype
    if not traced or out.kind not in "fc" or not isinstance(operation.output, Variable):
        return None
    narrow = _narrowest(operation)
    if _bits(out) <= _bits(narrow) or operation.name == "put":
        return None
    for x in operation.arguments:
        if isinstance(x, Constant) and x.weak:
            continue
        if x.dtype.kind in "iufc" and _bits(np.result_type(x.dtype, narrow)) > _bits(narrow):
            return x
    return operation


def broadcasts(evidence: Evidence) -> Iterator[Finding]:
    """Name operations whose result is much larger than all of their arguments."""
    told: set[tuple[str, str]] = set()
    for operation in evidence.tape.operations:
        out = operation.output
        size = math.prod(out.shape)
        largest = max([math.prod(x.shape) for x in operation.arguments], default=size)
        key = operation.name, str(operation.where)
        small = size * out.dtype.itemsize < BROADCAST or size < STRETCH * max(largest, 1)
        if small or operation.name in ("matmul", "einsum", "constant") or key in told:
            continue
        told.add(key)
        shapes = " and ".join([str(x.shape) for x in operation.arguments])
        what = (
            f"`{operation.name}` broadcasts {shapes} to {out.shape}, "
            f"{size_of(size * out.dtype.itemsize)}."
        )
        fix = "if that was not meant, look at the shapes ((n, 1) with (n,) gives (n, n)); else use matmul or einsum."
        yield Finding("broadcast", "note", what, operation, fix)
