"""Arguments that must be plain: counts, places, and no out=."""

from typing import Any

from funcgrad.batch import BatchTracer
from funcgrad.core import Tracer, plain_array, unsupported


def no_out(name: str, out: Any) -> None:
    """Refuse an array to write the result into."""
    if out is not None:
        unsupported(f"{name} with out=", "use the returned value")


def settled(x: Any) -> Any:
    """Return the plain array under a tracer, from which a shape may be computed; raise under vmap."""
    while isinstance(x, Tracer) and not isinstance(x, BatchTracer):
        x._trace.check_running(x)
        x = x.value
    return plain_array(x)


def is_mapped(x: Any) -> bool:
    """Tell whether `x` differs from example to example under some vmap."""
    while isinstance(x, Tracer):
        if isinstance(x, BatchTracer):
            return True
        x = x.value
    return False
