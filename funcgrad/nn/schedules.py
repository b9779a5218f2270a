"""Learning rates that change: functions of the number of steps taken, wherever `lr` is accepted.

A schedule is any callable ``schedule(step) -> lr``, step = 0, 1, 2, ...; a lambda will do. Those
here are frozen dataclasses, so that an optimizer with one in it prints, compares and pickles. They
take arrays of steps too, for a picture. Must not know the optimizers. Read next: `lbfgs.py`.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from funcgrad.errors import ArgumentError, fail
from funcgrad.nn.optimizers import STATIC, rate_at
from funcgrad.nn.settings import check_number, check_positive, check_rate

__all__ = [
    "ConstantRate",
    "CosineDecay",
    "ExponentialDecay",
    "JoinedSchedules",
    "OneCycle",
    "StepDecay",
    "WarmUp",
]


@dataclass(frozen=True)
class ConstantRate:
    """The same rate at every step: a part for `JoinedSchedules`.

    Parameters
    ----------
    lr : float

    Examples
    --------
    >>> ConstantRate(0.1)(7)
    0.1
    """

    lr: float = field(metadata=STATIC)

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, step: Any) -> Any:
        return self.lr + 0 * step


@dataclass(frozen=True)
class StepDecay:
    """The rate falls by a factor after every so many steps: ``lr * factor ** (step // every)``.

    Parameters
    ----------
    lr : float
        At the start.
    every : int
        The length of a tread, in steps.
    factor : float, default 0.1

    Raises
    ------
    ArgumentError
        If `every` is less than 1, or another setting out of its range.

    Examples
    --------
    >>> StepDecay(1.0, every=10, factor=0.5)(np.array([0, 9, 10, 20]))
    array([1.  , 1.  , 0.5 , 0.25])
    """

    lr: float = field(metadata=STATIC)
    every: int = field(metadata=STATIC)
    factor: float = field(default=0.1, metadata=STATIC)

    def __post_init__(self) -> None:
        _check(self, factor=0.1)

    def __call__(self, step: Any) -> Any:
        return self.lr * self.factor ** (step // self.every)


@dataclass(frozen=True)
class ExponentialDecay:
    """The rate falls steadily: ``lr * factor ** (step / steps)``.

    Parameters
    ----------
    lr : float
        At the start.
    steps : int
        After so many steps the rate has fallen by `factor`, and it goes on falling.
    factor : float, default 0.1

    Raises
    ------
    ArgumentError
        If `steps` is less than 1, or another setting out of its range.

    Examples
    --------
    >>> ExponentialDecay(1.0, steps=10, factor=0.25)(np.array([0, 5, 10]))
    array([1.  , 0.5 , 0.25])
    """

    lr: float = field(metadata=STATIC)
    steps: int = field(metadata=STATIC)
    factor: float = field(default=0.1, metadata=STATIC)

    def __post_init__(self) -> None:
        _check(self, factor=0.1)

    def __call__(self, step: Any) -> Any:
        return self.lr * self.factor ** (step / self.steps)


@dataclass(frozen=True)
class CosineDecay:
    """The rate falls along half a wave of the cosine, from `lr` to `end`, and stays there.

    Parameters
    ----------
    lr : float
        At the start.
    steps : int
        The length of the fall.
    end : float, default 0

    Raises
    ------
    ArgumentError
        If `steps` is less than 1, or another setting out of its range.

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017.

    Examples
    --------
    >>> CosineDecay(1.0, steps=10, end=0.2)(np.array([0, 5, 10, 99]))
    array([1. , 0.6, 0.2, 0.2])
    """

    lr: float = field(metadata=STATIC)
    steps: int = field(metadata=STATIC)
    end: float = field(default=0.0, metadata=STATIC)

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, step: Any) -> Any:
        return _cosine(self.lr, self.end, step / self.steps)


@dataclass(frozen=True)
class WarmUp:
    """The rate climbs in a straight line, from `start` to that of the next schedule, which follows.

    Parameters
    ----------
    then : float or schedule
        What follows. A schedule counts its own steps from 0.
    steps : int
        The length of the climb.
    start : float, default 0

    Raises
    ------
    ArgumentError
        If `steps` is less than 1, or another setting out of its range.

    Examples
    --------
    >>> WarmUp(CosineDecay(1.0, steps=10), steps=4)(np.array([0, 2, 4, 9, 14]))
    array([0. , 0.5, 1. , 0.5, 0. ])
    """

    then: Any = field(metadata=STATIC)
    steps: int = field(metadata=STATIC)
    start: float = field(default=0.0, metadata=STATIC)

    def __post_init__(self) -> None:
        _check(self)
        check_rate(self, "then", self.then)

    def __call__(self, step: Any) -> Any:
        share = np.minimum(step / self.steps, 1)
        climb = self.start + share * (rate_at(self.then, 0) - self.start)
        after = np.maximum(step - self.steps, 0)
        return np.where(step < self.steps, climb, rate_at(self.then, after))[()]


@dataclass(frozen=True)
class OneCycle:
    """The rate climbs to its peak and falls far below its start, both along a cosine.

    It starts from ``peak / start_factor`` and ends at ``peak / (start_factor * end_factor)``.

    Parameters
    ----------
    peak : float
    steps : int
        The length of the cycle; the rate stays at its end.
    climb : float, default 0.3
        The share of the steps in which the rate climbs, above 0 and below 1.
    start_factor, end_factor : float, default 25 and 10000

    Raises
    ------
    ArgumentError
        If a setting is out of its range.

    References
    ----------
    L. Smith and N. Topin, Super-convergence: very fast training of neural networks using large
    learning rates, 2018. Parameters as in ``optax.cosine_onecycle_schedule``.

    Examples
    --------
    >>> OneCycle(1.0, steps=100, end_factor=10)(np.array([0, 30, 100]))
    array([0.04 , 1.   , 0.004])
    """

    peak: float = field(metadata=STATIC)
    steps: int = field(metadata=STATIC)
    climb: float = field(default=0.3, metadata=STATIC)
    start_factor: float = field(default=25.0, metadata=STATIC)
    end_factor: float = field(default=1e4, metadata=STATIC)

    def __post_init__(self) -> None:
        _check(self, start_factor=25, end_factor=1e4)
        check_number(self, "climb", self.climb, 0.3, above=0, below=1)

    def __call__(self, step: Any) -> Any:
        start = self.peak / self.start_factor
        top = self.climb * self.steps
        up = _cosine(start, self.peak, step / top)
        down = _cosine(self.peak, start / self.end_factor, (step - top) / (self.steps - top))
        return np.where(step < top, up, down)[()]


@dataclass(frozen=True)
class JoinedSchedules:
    """One schedule after the other, each counting its own steps from 0.

    Parameters
    ----------
    schedules : sequence of float or schedule
    boundaries : sequence of int
        The steps at which the second, third, ... takes over: one fewer, increasing.

    Raises
    ------
    ArgumentError
        If the numbers do not fit, or the boundaries do not increase.

    Examples
    --------
    >>> JoinedSchedules((0.5, ExponentialDecay(1.0, 10, 0.25)), (3,))(np.array([2, 3, 8]))
    array([0.5, 1. , 0.5])
    """

    schedules: tuple[Any, ...] = field(metadata=STATIC)
    boundaries: tuple[int, ...] = field(metadata=STATIC)

    def __post_init__(self) -> None:
        for name in ("schedules", "boundaries"):
            object.__setattr__(self, name, _as_tuple(getattr(self, name)))
        for rate in self.schedules:
            check_rate(self, "schedules", rate)
        check_positive(self, **{f"boundaries[{i}]": b for i, b in enumerate(self.boundaries)})
        increasing = all([a < b for a, b in pairwise((0, *self.boundaries))])
        if not increasing or len(self.boundaries) != len(self.schedules) - 1:
            what = (
                f"JoinedSchedules needs increasing boundaries, one fewer than the "
                f"{len(self.schedules)} schedules, but got {self.boundaries}."
            )
            raise fail(ArgumentError, what, "write nn.JoinedSchedules((0.1, 0.01), (1000,)).")

    def __call__(self, step: Any) -> Any:
        rate = rate_at(self.schedules[0], step)
        for start, schedule in zip(self.boundaries, self.schedules[1:]):
            after = rate_at(schedule, np.maximum(step - start, 0))
            rate = np.where(step < start, rate, after)[()]
        return rate


def _as_tuple(sequence: Any) -> tuple[Any, ...]:
    return tuple(sequence) if isinstance(sequence, (list, tuple)) else (sequence,)


def _cosine(start: Any, end: Any, share: Any) -> Any:
    """Go from start to end along half a wave, and no further."""
    share = np.minimum(np.maximum(share, 0), 1)
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2


def _check(schedule: Any, **factors: float) -> None:
    """Check the numbers of a schedule: a length of at least 1, rates from 0 up, and the named factors."""
    for name in ("every", "steps"):
        if hasattr(schedule, name):
            check_number(schedule, name, getattr(schedule, name), 1000, least=1)
    for name in ("lr", "start", "peak", "end"):
        if hasattr(schedule, name):
            check_number(schedule, name, getattr(schedule, name), 0.1, least=0)
    for name, usual in factors.items():
        check_number(schedule, name, getattr(schedule, name), usual, above=0)
