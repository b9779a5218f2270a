"""Pytrees of arrays in a file: NumPy's own .npz format, without pickle.

The file holds the arrays, numbered, and the places of the leaves as JSON. Containers are not
stored: `load` fills a pytree that has them already. Must not know layers.
"""

import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from funcgrad import tree
from funcgrad.errors import ArgumentError, NonDifferentiableError, StructureError, fail
from funcgrad.nn.optimizers import PyTree

__all__ = ["load", "save"]

_NUMBERS = "biufc"
_MOST = 8  # differences that a message lists
# What NumPy and zipfile raise for wrong bytes: in the lengths, the methods, the offsets (OSError), ...
_DAMAGED = (ValueError, KeyError, TypeError, EOFError, RuntimeError, OSError, zipfile.BadZipFile)


def save(path: str | os.PathLike[str], pytree: PyTree) -> None:
    """Write a pytree of arrays to a file, all of it or nothing.

    The file is written under another name beside `path` and then renamed: whoever reads `path`
    sees the old file or the new one, also after a crash.

    Parameters
    ----------
    path : str or path
        Used as it is; ``.npz`` is the usual ending.
    pytree : pytree
        Of arrays and numbers: parameters, the state of an optimizer, or a tuple of both.

    Raises
    ------
    NonDifferentiableError
        If a leaf is no number, boolean, or array of those.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> params = {"w": np.ones((2, 2)), "b": None}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/params.npz", params)
    ...     load(f"{folder}/params.npz", like=params)
    {'w': array([[1., 1.],
           [1., 1.]]), 'b': None}
    """
    target = Path(path)
    flat, places = tree.leaves(pytree), tree.paths(pytree)
    arrays = {str(i): _array(leaf, places[i], "nn.save") for i, leaf in enumerate(flat)}
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        what = f"nn.save cannot tell two leaves apart: both are at {twice}."
        raise fail(StructureError, what, "give the keys different reprs.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            np.savez(file, places=np.array(json.dumps(places)), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise


def load(path: str | os.PathLike[str], like: PyTree) -> PyTree:
    """Read a pytree that `save` wrote.

    Parameters
    ----------
    path : str or path
    like : pytree
        Has the structure, the shapes and the dtypes that are expected, for instance
        ``model.init(rng)``. Its values do not matter and are not changed.

    Returns
    -------
    pytree
        The containers of `like`, with the numbers of the file. Leaves are matched by their place,
        such as ``[0]['w']``, whatever the order of dicts.

    Raises
    ------
    StructureError
        If places, shapes or dtypes differ; it lists them.
    ArgumentError
        If the file is none that `save` wrote.
    FileNotFoundError
        If there is no file.

    Examples
    --------
    See `save`.

    >>> load("no such file", like=np.zeros(3))
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file'
    """
    found = _read(path)
    flat, treedef = tree.flatten(like)
    places = tree.paths(treedef)
    expected = {place: _array(leaf, place, "nn.load") for place, leaf in zip(places, flat)}
    differences = _differences(found, expected)
    if differences:
        more = len(differences) - _MOST
        lines = differences[:_MOST] + ([f"and {more} more"] if more > 0 else [])
        what = f"{os.fspath(path)} does not match like=:\n    " + "\n    ".join(lines)
        fix = "pass a pytree like the one that was saved, such as init(rng) of the same model."
        raise fail(StructureError, what, fix)
    return tree.unflatten(treedef, [_as(leaf, found[place]) for place, leaf in zip(places, flat)])


def _array(leaf: Any, place: str, who: str) -> np.ndarray[Any, Any]:
    array = np.asarray(leaf, getattr(leaf, "dtype", None))  # a traced value refuses its dtype
    if array.dtype.kind not in _NUMBERS:
        what = f"{who} needs numbers, but the leaf at {place or 'the root'} is {leaf!r}."
        raise fail(NonDifferentiableError, what, "leave it out, or make it a static field.")
    return array


def _read(path: str | os.PathLike[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Read the arrays of a file by their places."""
    with Path(path).open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as entries:
                places = json.loads(str(entries["places"]))
                return {place: entries[str(i)] for i, place in enumerate(places)}
        except _DAMAGED as error:
            what = f"{os.fspath(path)} is no file that nn.save wrote, or is damaged: {error}"
            raise fail(ArgumentError, what, "write it with nn.save(path, params).") from None


def _differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """List what a message says of each place where two sets of arrays differ."""
    lines = []
    for place, array in expected.items():
        name = place or "the root"
        if place not in found:
            lines.append(f"{name}: missing in the file")
            continue
        got = found[place]
        if got.shape != array.shape:
            lines.append(f"{name}: shape {got.shape} in the file, {array.shape} expected")
        if got.dtype != array.dtype:
            lines.append(f"{name}: {got.dtype} in the file, {array.dtype} expected")
    return lines + [f"{place or 'the root'}: in the file only" for place in found.keys() - expected]


def _as(leaf: Any, array: np.ndarray[Any, Any]) -> Any:
    """Give a loaded array the type of the leaf whose place it takes."""
    if isinstance(leaf, np.generic):
        return array[()]
    if isinstance(leaf, (bool, int, float, complex)):
        return type(leaf)(array.item())
    return array
