"""A pytree written to a file is read back as it was, or refused with what differs."""

import pickle
import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

from funcgrad import grad, nn, tree
from funcgrad.errors import (
    ArgumentError,
    NonDifferentiableError,
    StructureError,
    TracerConversionError,
)


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Block:
    w: Any
    inner: Any
    name: str = field(default="block", metadata={"static": True})


def everything(rng):
    return {
        "a": [rng.normal(size=(2, 3)), (rng.normal(size=2).astype(np.float32), None)],
        "complex": rng.normal(size=2) + 1j,
        "bool": np.array([True, False]),
        "int": np.arange(3, dtype=np.int8),
        "0-d": np.array(2.5),
        "scalar": np.float32(1.5),
        "empty": np.zeros((0, 4)),
        "fortran": np.asfortranarray(rng.normal(size=(3, 2))),
        "big-endian": np.arange(3, dtype=">f8"),
        "python": [True, 3, 0.5, 1j],
        "odd/../keys": {"": 1.0, "a b\n\0": 2.0, "ü'\"": 3.0, 7: 4.0, "7": 5.0, (1, "x"): 6.0},
        "nodes": Pair(Block(np.ones(2), Block(np.zeros(1), ())), {}),
    }


def test_what_is_saved_is_read_back(rng, tmp_path):
    pytree = everything(rng)
    path = tmp_path / "params.npz"
    nn.save(path, pytree)
    back = nn.load(str(path), like=everything(np.random.default_rng(1)))
    assert tree.structure(back) == tree.structure(pytree)
    for a, b in zip(tree.leaves(pytree), tree.leaves(back), strict=True):
        assert type(a) is type(b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)
    assert [file.name for file in tmp_path.iterdir()] == ["params.npz"]


@pytest.mark.parametrize("pytree", [np.arange(3.0), None, (), {"a": None}, 2.5])
def test_the_smallest_pytrees(pytree, tmp_path):
    nn.save(tmp_path / "x", pytree)
    np.testing.assert_equal(nn.load(tmp_path / "x", like=pytree), pytree)


def test_dicts_are_matched_by_key(tmp_path):
    nn.save(tmp_path / "x", {"a": 1.0, "b": 2.0})
    assert list(nn.load(tmp_path / "x", like={"b": 0.0, "a": 0.0}).items()) == [
        ("b", 2.0),
        ("a", 1.0),
    ]


def test_training_goes_on_where_it_was_saved(rng, tmp_path):
    model, opt = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), nn.Adam(0.1)
    params = model.init(rng)
    state = opt.init(params)
    params, state = opt.update(params, state, params)
    nn.save(tmp_path / "run.npz", (params, state))
    start = model.init(rng)
    loaded, loaded_state = nn.load(tmp_path / "run.npz", like=(start, opt.init(start)))
    np.testing.assert_equal(
        opt.update(params, loaded_state, loaded), opt.update(params, state, params)
    )


def test_the_message_names_all_that_differs(tmp_path):
    nn.save(tmp_path / "x.npz", [{"w": np.ones((2, 3)), "b": np.ones(3)}, np.ones(1), 1])
    like = [{"w": np.ones((3, 2), np.float32), "c": 1.0}, np.ones(1)]
    with pytest.raises(StructureError) as caught:
        nn.load(tmp_path / "x.npz", like)
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert "[0]['w']: shape (2, 3) in the file, (3, 2) expected" in lines
    assert "[0]['w']: float64 in the file, float32 expected" in lines
    assert "[0]['c']: missing in the file" in lines
    assert "[0]['b']: in the file only" in lines
    assert "[2]: in the file only" in lines
    assert "Fix: pass a pytree like the one that was saved" in str(caught.value)


def test_a_long_list_of_differences_is_cut(tmp_path):
    nn.save(tmp_path / "x", [1.0] * 50)
    with pytest.raises(StructureError, match="and 42 more"):
        nn.load(tmp_path / "x", [])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    nn.save(path, np.ones(3))

    def full(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        nn.save(path, np.zeros(3))
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(nn.load(path, np.zeros(3)), 1)


def test_what_is_no_number_is_refused(tmp_path):
    for leaf in ("text", object(), np.array([None]), np.datetime64("2020-01-01")):
        with pytest.raises(NonDifferentiableError, match=r"leaf at \['a'\]"):
            nn.save(tmp_path / "x", {"a": leaf})
    with pytest.raises(TracerConversionError):
        grad(lambda x: nn.save(tmp_path / "x", x))(1.0)
    assert list(tmp_path.iterdir()) == []


def test_keys_that_look_alike_are_refused(tmp_path):
    class Key:
        def __repr__(self):
            return "key"

    with pytest.raises(StructureError, match=r"both are at \[key\]"):
        nn.save(tmp_path / "x", {Key(): 1.0, Key(): 2.0})


def test_other_files_are_refused_and_pickles_never_run(tmp_path):
    path = tmp_path / "x"
    like = np.ones(3)
    path.write_bytes(pickle.dumps(like))
    with pytest.raises(ArgumentError, match=r"no file that nn.save wrote"):
        nn.load(path, like)
    with path.open("wb") as file:
        np.savez(file, places=np.array([{}], dtype=object))
    with pytest.raises(ArgumentError, match=r"no file that nn.save wrote"):
        nn.load(path, like)
    for content in (b"", b"PK\x03\x04 and no more"):
        path.write_bytes(content)
        with pytest.raises(ArgumentError, match=r"no file that nn.save wrote"):
            nn.load(path, like)
    with path.open("wb") as file:
        np.savez(file, w=like)
    with pytest.raises(ArgumentError, match=r"no file that nn.save wrote"):
        nn.load(path, like)
    nn.save(path, like)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArgumentError, match="is damaged"):
        nn.load(path, like)
    with path.open("wb") as file:
        np.save(file, like)
    with pytest.raises(ArgumentError, match=r"no file that nn.save wrote"):
        nn.load(path, like)


def test_a_wrong_byte_anywhere_is_noticed_or_harmless(tmp_path):
    params, path = {"w": np.arange(3.0)}, tmp_path / "params.npz"
    nn.save(path, params)
    whole = path.read_bytes()
    for place in range(len(whole)):
        wrong = bytearray(whole)
        wrong[place] ^= 0xFF
        path.write_bytes(wrong)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, of headers that it does not know
            try:
                loaded = nn.load(path, like=params)
            except (ArgumentError, StructureError):
                continue
        np.testing.assert_array_equal(loaded["w"], params["w"])
