"""What broadcasting and promotion did to an array, undone in its cotangent."""

from typing import Any

import numpy as np


def restore(g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Undo broadcasting to `shape` and promotion from `dtype` in a cotangent."""
    if g.shape != shape:
        g = unbroadcast(g, shape)
    if g.dtype != dtype:
        if g.dtype.kind == "c" and dtype.kind != "c":
            g = g.real
        g = g.astype(dtype)
    return g


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` over the axes that broadcasting from `shape` added or stretched."""
    extra = g.ndim - len(shape)
    if extra == 1 and g.ndim == 2 and type(g) is np.ndarray and g.shape[1:] == shape and len(g):
        return _ones(len(g), g.dtype) @ g  # 5.7 us against 30 us by sum(axis=0) for 1000 x 25
    axes = [*range(extra)]
    for i, n in enumerate(shape, extra):
        if n == 1 and g.shape[i] != 1:
            axes.append(i)
    return g.sum(tuple(axes)).reshape(shape)


def _ones(n: int, dtype: Any, cache: dict[Any, Any] = {}) -> Any:  # noqa: B006  # a cache of one
    key = (n, dtype)
    if key not in cache:
        cache.clear()
        cache[key] = np.ones(n, dtype)
    return cache[key]
