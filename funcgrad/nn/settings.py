"""Checks of settings: numbers in a range, counts, switches, and what initial parameters are made by.

A traced setting, such as a learning rate that `vmap` sweeps, has no value to look at, and passes. Must
not know layers or optimizers. Read next: `protocol.py`.
"""

from operator import index
from typing import Any

import numpy as np

from funcgrad.errors import ArgumentError, fail

__all__ = [
    "check_axis",
    "check_number",
    "check_positive",
    "check_rate",
    "check_start",
    "check_switch",
]

_INITIALIZERS = ("weight_init", "recurrent_init", "bias_init")


def check_number(
    owner: object,
    name: str,
    value: Any,
    usual: float,
    *,
    least: float = -np.inf,
    above: float = -np.inf,
    below: float = np.inf,
) -> None:
    """Raise unless a setting is a finite real number within its bounds, or traced."""
    if _is_traced(value) or (_is_real(value) and value >= least and above < value < below):
        return
    bounds = [(">=", least), (">", above), ("<", below)]
    needs = [f"{name} {sign} {bound:g}" for sign, bound in bounds if np.isfinite(bound)]
    what = (
        f"{_name(owner)} needs {' and '.join(needs) or f'a number as {name}'}, but got {value!r}."
    )
    raise fail(ArgumentError, what, f"write for instance {name}={usual:g}.")


def check_rate(owner: object, name: str, value: Any) -> None:
    """Raise unless a setting is a learning rate: a number from 0 up, or a schedule."""
    if not callable(value) or isinstance(value, type):
        check_number(owner, name, value, 0.01, least=0)


def check_positive(owner: object, **numbers: Any) -> None:
    """Raise unless all numbers are positive integers."""
    for name, number in numbers.items():
        try:
            positive = index(number) > 0 and not isinstance(number, bool)
        except TypeError:
            positive = False
        if not positive:
            what = f"{name} of {_name(owner)} is a positive integer, but got {number!r}."
            raise fail(ArgumentError, what, f"for instance {name}=2.")


def check_switch(owner: object, *names: str) -> None:
    """Raise unless the named settings are True or False: any text would pass for True."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, (bool, np.bool_)):
            what = f"{name} of {_name(owner)} is True or False, but got {value!r}."
            raise fail(ArgumentError, what, f"for instance {name}=True.")


def check_axis(owner: object, axis: Any) -> None:
    """Raise unless an axis is an integer, or a tuple of integers."""
    try:
        _ = [index(i) for i in (axis if isinstance(axis, tuple) else (axis,))]
    except TypeError:
        what = f"axis of {_name(owner)} is an integer or a tuple of integers, but got {axis!r}."
        raise fail(ArgumentError, what, "-1 is the last axis.") from None


def check_start(layer: Any) -> None:
    """Raise unless a layer can draw its parameters: initializers, dtype, and whether it has a bias."""
    for name in _INITIALIZERS:
        init = getattr(layer, name, None)
        if hasattr(layer, name) and (not callable(init) or isinstance(init, type)):
            what = (
                f"{name} of {_name(layer)} is a function of rng, shape and dtype, but got {init!r}."
            )
            raise fail(ArgumentError, what, "for instance nn.zeros, or nn.normal(stddev=0.01).")
    if hasattr(layer, "bias"):
        check_switch(layer, "bias")
    try:
        kind = np.dtype(layer.dtype).kind
    except TypeError:
        kind = ""
    if kind not in ("f", "c"):
        what = f"dtype of {_name(layer)} is floating or complex, but got {layer.dtype!r}."
        raise fail(ArgumentError, what, "for instance dtype=np.float32.")


def _name(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__


def _is_traced(value: Any) -> bool:
    return hasattr(value, "dtype") and not isinstance(value, (np.ndarray, np.generic))


def _is_real(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
