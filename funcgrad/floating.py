"""Run rules without NumPy's floating-point warnings: those tell of the user's code, not of ours.

`quiet = hush()` ... `unhush(quiet)`, in a try with finally, is `np.errstate(all="ignore")` for 0.2 in
place of 0.9 us, which every small gradient and every tangent would pay.
"""

from typing import Any

import numpy as np

try:
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    _IGNORE: Any = _make_extobj(all="ignore")

    def hush() -> Any:
        """Ignore floating-point errors in this thread until `unhush` of what is returned."""
        return _extobj_contextvar.set(_IGNORE)

    def unhush(state: Any) -> None:
        """Restore what `hush` changed."""
        _extobj_contextvar.reset(state)

except ImportError:  # private names, which a later NumPy may move

    def hush() -> Any:
        """Ignore floating-point errors in this thread until `unhush` of what is returned."""
        return np.seterr(all="ignore")

    def unhush(state: Any) -> None:
        """Restore what `hush` changed."""
        np.seterr(**state)
