"""Numerical checks of derivatives."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.arguments import as_input, check_arrays, check_callable, describe, name_of
from funcgrad.errors import ArgumentError, CheckError, KinkWarning, fail
from funcgrad.tracebacks import boundary
from funcgrad.transforms import jvp, vjp

# Central differences of step h err by h^2 f''' + eps f / h, least for h near the cube root of eps.
_STEPS = {"e": 1e-1, "f": 5e-3, "d": 6e-6, "g": 6e-6}
_FIX = "check the rule; if the point is near a kink or the function steep, move it or pass eps="
_TOLERANCES = {"e": 1e-1, "f": 2e-2, "d": 1e-5, "g": 1e-5}


@boundary
def check_grads(
    f: Callable[..., Any],
    args: Any,
    order: int = 2,
    modes: Any = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Check the derivatives of a function against central differences, in random directions.

    Parameters
    ----------
    f : callable
        Pytrees of arrays in and out; smooth at `args`.
    args : tuple
        The arguments; every leaf is differentiated.
    order : int, optional
        Derivatives up to this order are checked, in all orders of the modes.
    modes : sequence of {"fwd", "rev"}, optional
        Forward mode, reverse mode, or both.
    atol, rtol : float, optional
        Tolerances; by default 1e-5 for float64 and 2e-2 for float32.
    eps : float, optional
        The step; by default 6e-6 for float64 and 5e-3 for float32.

    Raises
    ------
    CheckError
        If a derivative is off; tells which, and the worst entry. An `AssertionError`.
    ArgumentError
        If `modes` or `order` are not as above.

    Warns
    -----
    KinkWarning
        If the check passes, but at a kink (both may be right by chance there), or with a step that
        is too large for the distance to a singular point. Names the operation and its line.

    Notes
    -----
    The directions are drawn with a fixed seed, so that a failure repeats. An error says whether a
    kink, a comparison or a singular point is in the way.

    Examples
    --------
    >>> import numpy as np
    >>> from funcgrad.testing import check_grads
    >>> check_grads(lambda x: np.tanh(x) ** 2, (np.array([0.1, 0.7]),))
    """
    modes = (modes,) if isinstance(modes, str) else modes
    _check_settings(f, args, order, modes, {"atol": atol, "rtol": rtol, "eps": eps})
    args = tree.map(lambda x: as_input(x, "check_grads", lambda: "an argument"), tuple(args))
    code = _code(tree.leaves(args))
    check = _Check(
        _STEPS[code] if eps is None else eps,
        _TOLERANCES[code] if atol is None else atol,
        _TOLERANCES[code] if rtol is None else rtol,
    )
    try:
        check.run(f, args, order, modes, name_of(f))
    except CheckError as error:
        for trouble in _troubles(f, args, check):
            error.add_note(f"  {trouble}")
        raise
    for trouble in _troubles(f, args, check):
        if trouble.certain:
            what = f"check_grads of `{name_of(f)}` proves little here: {trouble}"
            warnings.warn(what, KinkWarning, stacklevel=3)


def _troubles(f: Any, args: Any, check: "_Check") -> Any:
    """Return what stands in the way of central differences; recording programs is loaded for it."""
    direction = _Check(check.eps, check.atol, check.rtol).like(args)  # the first one that was drawn
    steps = importlib.import_module("funcgrad.inspection.steps")
    return steps.troubles(f, args, direction, check.eps, check.rtol)


def _check_settings(f: Any, args: Any, order: Any, modes: Any, numbers: dict[str, Any]) -> None:
    check_callable("check_grads", f, "check_grads(f, (x,))")
    if not isinstance(args, (tuple, list)):
        raise fail(
            ArgumentError,
            f"check_grads of `{name_of(f)}` takes a tuple of arguments, not {describe(args)}.",
            "write check_grads(f, (x,))",
        )
    if not isinstance(modes, (tuple, list, set)) or not modes or set(modes) - {"fwd", "rev"}:
        raise fail(
            ArgumentError,
            f"check_grads: modes must be among 'fwd' and 'rev', not {modes!r}.",
            'write modes="rev", or leave it out for both',
        )
    if not isinstance(order, (int, np.integer)) or order < 1:
        raise fail(
            ArgumentError,
            f"check_grads: order must be an int of at least 1, not {order!r}.",
            "write order=2 for first and second derivatives",
        )
    for name, x in numbers.items():
        if x is not None and not (isinstance(x, (int, float, np.number)) and x >= 0):
            raise fail(
                ArgumentError,
                f"check_grads: {name} must be a positive number, not {describe(x)}.",
                "leave it out for the default of the dtype",
            )
    if numbers["eps"] == 0:
        raise fail(ArgumentError, "check_grads: eps must not be 0.", "leave it out, or pass 1e-6")


def _code(leaves: list[Any]) -> str:
    """Return the type code of the coarsest floating-point type among the leaves."""
    codes = [np.finfo(x.dtype).dtype.char for x in leaves]
    return next((c for c in "efdg" if c in codes), "d")


class _Check:
    """The settings of one check, and its source of directions."""

    def __init__(self, eps: float, atol: float, rtol: float) -> None:
        self.eps, self.atol, self.rtol = eps, atol, rtol
        self.rng = np.random.default_rng(0)

    def run(self, f: Any, args: Any, order: int, modes: Any, name: str) -> None:
        check_arrays("check_grads", f, tree.leaves(f(*args)))
        direction = self.like(args)
        difference = self.difference(f, args, direction)
        if "fwd" in modes:
            _, tangent = jvp(f, args, direction)
            self.compare(tangent, difference, f"the jvp of {name}")
            if order > 1:
                self.run(
                    lambda *xs: jvp(f, xs, direction)[1],
                    args,
                    order - 1,
                    modes,
                    f"the jvp of {name}",
                )
        if "rev" in modes:
            out, pullback = vjp(f, *args)
            ct = self.like(out)
            self.check_pullback(f, args, pullback(ct), ct, direction, difference, name)
            if order > 1:
                self.run(
                    lambda *xs: vjp(f, *xs)[1](ct), args, order - 1, modes, f"the vjp of {name}"
                )

    def like(self, x: Any) -> Any:
        """Return random numbers in the shape of a pytree; zeros where a leaf is not floating-point."""
        return tree.map(self._random, x)

    def _random(self, x: Any) -> Any:
        dtype = np.result_type(x)
        if dtype.kind not in "fc":
            return np.zeros(np.shape(x), dtype)
        draw = self.rng.standard_normal(np.shape(x))
        if dtype.kind == "c":
            draw = draw + 1j * self.rng.standard_normal(np.shape(x))
        out = np.empty_like(x, dtype=dtype)  # in the memory order of x, which order="K" depends on
        out[...] = draw
        return out

    def difference(self, f: Any, args: Any, direction: Any) -> Any:
        """Return the central difference of `f` along a direction."""
        moved = [
            f(*tree.map(lambda x, v, s=s: (x + s * self.eps * v).astype(x.dtype), args, direction))
            for s in (1, -1)
        ]
        return tree.map(lambda a, b: np.subtract(a, b, dtype=_wide(a)) / (2 * self.eps), *moved)

    def compare(self, got: Any, expected: Any, what: str) -> None:
        """Raise if an entry of `got` is off, with the worst one."""
        paths = tree.paths(got)
        for path, g, e in zip(paths, tree.leaves(got), tree.leaves(expected), strict=True):
            error = np.abs(np.asarray(g) - e)
            excess = np.where(np.isnan(error), np.inf, error - self.rtol * np.abs(e))
            if not error.size or np.max(excess) <= self.atol:
                continue
            worst = np.unravel_index(int(np.argmax(excess)), np.shape(excess))
            where = f"{path}[{', '.join(str(int(i)) for i in worst)}]" if worst else path
            raise fail(
                CheckError,
                f"{what} is wrong at entry {where or 'of the only output'}: "
                f"{np.asarray(g)[worst]}, but central differences give {np.asarray(e)[worst]}.",
                _FIX,
            )

    def check_pullback(
        self, f: Any, args: Any, grads: Any, ct: Any, direction: Any, difference: Any, name: str
    ) -> None:
        """Compare <ct, J v>, by differences, with <J^T ct, v>; on failure look for the worst entry."""
        expected, scale = _pair(ct, difference)
        got, _ = _pair(grads, direction)
        if abs(got - expected) <= self.atol + self.rtol * scale:
            return
        numeric = tree.map(np.zeros_like, args)
        flat = tree.leaves(numeric)
        for i, leaf in enumerate(flat):
            for index in np.ndindex(np.shape(leaf)):
                flat[i][index] = self._entry(f, args, ct, i, index)
        self.compare(
            grads,
            numeric,
            f"the vjp of {name}, that is the gradient by each entry of the arguments,",
        )
        raise fail(
            CheckError,
            f"the vjp of {name} is wrong: <ct, J v> = {expected} by central differences, <J^T ct, v> = {got}.",
            _FIX,
        )

    def _entry(self, f: Any, args: Any, ct: Any, leaf: int, index: Any) -> Any:
        """Return d <ct, f> by one entry of the arguments, by differences."""
        units = tree.map(np.zeros_like, args)
        flat = [np.array(x) for x in tree.leaves(units)]
        flat[leaf][index] = 1
        real, _ = _pair(ct, self.difference(f, args, tree.unflatten(tree.structure(args), flat)))
        if flat[leaf].dtype.kind != "c":
            return real
        flat[leaf][index] = 1j
        imaginary, _ = _pair(
            ct, self.difference(f, args, tree.unflatten(tree.structure(args), flat))
        )
        return real - 1j * imaginary  # the pairing is Re(g dz)


def _wide(x: Any) -> Any:
    return np.result_type(x, np.float64)


def _pair(a: Any, b: Any) -> tuple[float, float]:
    """Return the sum of Re(a b) over all leaves, and of its absolute terms."""
    products = [
        np.real(np.asarray(x) * y) for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True)
    ]
    return sum([float(np.sum(p)) for p in products]), sum(
        [float(np.sum(np.abs(p))) for p in products]
    )
