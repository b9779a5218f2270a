"""Pytrees: what is a node, that nothing is lost on the way, and that nothing is paired wrongly."""

import copy
import pickle
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from funcgrad import tree
from funcgrad.errors import (
    ArgumentError,
    FuncgradError,
    NonDifferentiableError,
    ShapeError,
    StructureError,
)
from tests.strategies import Layer, Pair, Point, arrays, floats, prefixes, pytrees

DTYPES = [np.float32, np.float64, np.complex128, np.int32, np.bool_]


class Interval:
    """Not a dataclass: a node only once it is registered."""

    def __init__(self, low, high, closed=True):
        self.low, self.high, self.closed = low, high, closed


@pytest.fixture
def interval():
    """Register Interval for the time of one test."""
    tree.register_node(
        Interval, lambda i: ((i.low, i.high), i.closed), lambda closed, c: Interval(*c, closed)
    )
    yield Interval
    tree.unregister_node(Interval)


@dataclass
class Strict:
    """Refuses whatever is no array, as a user's class may."""

    w: Any

    def __post_init__(self):
        if not isinstance(self.w, np.ndarray):
            raise TypeError("w must be an array")


class Place:
    """Where a leaf was: a leaf itself."""

    def __init__(self, i, j):
        self.i, self.j = i, j


@dataclass
class WithArraySetting:
    w: Any
    mask: Any = field(metadata={"static": True})


def numbers(dtype):
    shape = st.sampled_from([(), (2,), (0, 3), (2, 1, 2)])
    if np.dtype(dtype).kind in "fc":
        return arrays(shape, dtype)
    return shape.map(lambda s: np.arange(np.prod(s, dtype=int)).reshape(s).astype(dtype))


def number_leaves(of):
    """Put 0, 1, 2 ... in the place of the leaves."""
    flat, treedef = tree.flatten(of)
    return tree.unflatten(treedef, range(len(flat)))


def reverse_dicts(of):
    """Turn the key order of every dict in a pytree of numbers, at all levels."""
    if isinstance(of, dict):
        items = [(key, reverse_dicts(value)) for key, value in of.items()]
        factory = [of.default_factory] if isinstance(of, defaultdict) else []
        return type(of)(*factory, items[::-1])
    children, treedef = tree.flatten(of, is_leaf=lambda node: node is not of)
    if treedef == tree.structure(0):
        return of
    return tree.unflatten(treedef, [reverse_dicts(child) for child in children])


def nested(depth):
    deep = 1.0
    for level in range(depth):
        deep = [deep] if level % 2 else {"a": deep}
    return deep


@given(pytrees())
def test_unflatten_undoes_flatten(of):
    flat, treedef = tree.flatten(of)
    again, treedef_again = tree.flatten(tree.unflatten(treedef, flat))
    assert treedef_again == treedef
    assert len(again) == len(flat) == treedef.num_leaves
    assert all(a is b for a, b in zip(again, flat))


@given(pytrees(st.integers()))
def test_rebuilding_gives_an_equal_object_of_the_same_types(of):
    rebuilt = tree.unflatten(tree.structure(of), tree.leaves(of))
    assert rebuilt == of
    assert repr(rebuilt) == repr(of)


@given(pytrees(st.integers()))
def test_rebuilding_leaves_the_original_alone(of):
    before = copy.deepcopy(of)
    tree.map(lambda leaf: leaf + 1, of)
    assert of == before


@pytest.mark.parametrize(
    "leaf",
    [
        1,
        1.0,
        1j,
        True,
        "text",
        b"bytes",
        np.ones(2),
        np.float32(1),
        object(),
        int,
        {1, 2},
        range(3),
    ],
)
def test_whatever_is_no_container_is_a_leaf(leaf):
    flat, treedef = tree.flatten(leaf)
    assert flat[0] is leaf
    assert treedef == tree.structure(0)
    assert tree.unflatten(treedef, flat) is leaf


@pytest.mark.parametrize("base", [list, dict, OrderedDict, tuple, defaultdict])
def test_an_unregistered_subclass_of_a_container_is_a_leaf(base):
    own = type("Own", (base,), {})()
    assert tree.leaves([own])[0] is own


@pytest.mark.parametrize("empty", [None, (), [], {}, OrderedDict(), defaultdict(int)])
def test_an_empty_node_has_no_leaves_and_comes_back(empty):
    flat, treedef = tree.flatten(empty)
    assert flat == []
    back = tree.unflatten(treedef, [])
    assert back == empty
    assert type(back) is type(empty)


def test_none_is_not_a_leaf_unless_asked():
    assert tree.leaves([None, 1]) == [1]
    assert tree.leaves([None, 1], is_leaf=lambda node: node is None) == [None, 1]


def test_is_leaf_stops_the_descent():
    flat, treedef = tree.flatten({"a": (1, 2), "b": [3]}, is_leaf=lambda n: isinstance(n, tuple))
    assert flat == [(1, 2), 3]
    assert tree.unflatten(treedef, flat) == {"a": (1, 2), "b": [3]}


def test_a_defaultdict_keeps_its_factory():
    back = tree.map(lambda x: x, defaultdict(list, a=1))
    assert back.default_factory is list


def test_a_namedtuple_made_by_the_function_is_a_node_too():
    made = namedtuple("made", "u v")
    assert tree.map(lambda x: -x, made(1, 2)) == made(-1, -2)


def test_a_pytree_500_levels_deep_makes_the_round_trip():
    deep = nested(500)
    flat, treedef = tree.flatten(deep)
    assert flat == [1.0]
    assert tree.paths(treedef)[0].count("['a']") == 250
    assert tree.unflatten(treedef, flat) == deep
    assert tree.map(lambda x, y: x + y, deep, deep) == tree.map(lambda x: 2 * x, deep)
    assert treedef == tree.structure(deep)
    assert hash(treedef) == hash(tree.structure(deep))
    assert repr(treedef).count("[") == 250
    assert tree.broadcast_prefix(deep, deep) == [1.0]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_unflatten_refuses_a_wrong_number_of_leaves(number):
    with pytest.raises(StructureError, match=rf"got {number} leaves for TreeDef\(\[\*, \*\]"):
        tree.unflatten(tree.structure([1, 2]), [0] * number)


def test_unflatten_takes_any_iterable():
    assert tree.unflatten(tree.structure((1, 2)), iter("ab")) == ("a", "b")


def test_the_leaves_given_to_unflatten_are_not_kept_as_a_node():
    flat = [1, 2]
    rebuilt = tree.unflatten(tree.structure([0, 0]), flat)
    rebuilt.append(3)
    assert flat == [1, 2]


def test_a_frozen_slotted_dataclass_is_rebuilt_and_stays_frozen():
    layer = tree.map(lambda x: x + 1, Layer(1.0, 2.0, "tanh"))
    assert layer == Layer(2.0, 3.0, "tanh")
    with pytest.raises(FrozenInstanceError):
        layer.w = 0


def test_a_dataclass_is_rebuilt_without_calling_its_init():
    assert tree.map(lambda w: "no array", Strict(np.ones(2))).w == "no array"


def test_a_field_that_init_does_not_take_is_a_child():
    @dataclass
    class Squared:
        x: float
        square: float = field(init=False)

        def __post_init__(self):
            self.square = self.x**2

    back = tree.map(lambda leaf: leaf + 1, Squared(3.0))
    assert (back.x, back.square) == (4.0, 10.0)


def test_static_fields_are_settings_not_leaves():
    assert tree.leaves(Layer(1.0, 2.0, "tanh")) == [1.0, 2.0]
    assert tree.structure(Layer(0, 0, "tanh")) != tree.structure(Layer(0, 0, "relu"))


def test_static_arrays_are_compared_by_value():
    def treedef(mask):
        return tree.structure(WithArraySetting(0.0, mask))

    assert treedef(np.array([1, 0])) == treedef(np.array([1, 0]))
    assert treedef(np.array([1, 0])) != treedef(np.array([1, 1]))
    assert treedef(np.array([1, 0])) != treedef(np.array([1, 0, 0]))
    assert treedef((1, np.ones(2))) == treedef((1, np.ones(2)))
    assert treedef(np.ones(2)) != treedef("relu")
    with pytest.raises(TypeError, match="unhashable"):
        hash(treedef(np.ones(2)))


def test_a_dataclass_itself_is_a_leaf():
    assert tree.leaves([Pair]) == [Pair]


@given(pytrees(st.integers(), 3), pytrees(st.integers(), 3))
def test_structures_are_equal_exactly_when_one_matches_the_other(one, other):
    treedef = tree.structure(one)
    try:
        tree.flatten_like(treedef, other)
    except StructureError:
        assert treedef != tree.structure(other)
    else:
        assert treedef == tree.structure(other)


@given(pytrees())
def test_a_treedef_equals_its_pickled_copy_and_hashes_alike(of):
    treedef = tree.structure(of)
    for copied in (pickle.loads(pickle.dumps(treedef)), copy.deepcopy(treedef)):
        assert copied == treedef
        assert hash(copied) == hash(treedef)
        assert repr(copied) == repr(treedef)
        assert copied.num_leaves == treedef.num_leaves


@given(pytrees(st.integers()))
def test_the_order_of_keys_changes_neither_equality_nor_hash(of):
    turned = tree.structure(reverse_dicts(of))
    assert turned == tree.structure(of)
    assert hash(turned) == hash(tree.structure(of))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], (1,)),
        ([1], [1, 2]),
        ([1], 1),
        (1, None),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1}, OrderedDict(a=1)),
        (defaultdict(int, a=1), defaultdict(list, a=1)),
        (Point(1, 2), (1, 2)),
        (Pair(1, 2), Point(1, 2)),
        ({"a": 1, "b": [2]}, {"b": 1, "a": [2]}),
    ],
)
def test_different_structures_are_unequal(one, other):
    assert tree.structure(one) != tree.structure(other)
    assert tree.structure(other) != tree.structure(one)


def test_a_treedef_is_unequal_to_other_objects():
    assert tree.structure(1) != "TreeDef(*, 1 leaf)"


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (1.0, "TreeDef(*, 1 leaf)"),
        ([1, (2, None)], "TreeDef([*, (*, None)], 2 leaves)"),
        ((1,), "TreeDef((*,), 1 leaf)"),
        ({"a": (), 0: 1}, "TreeDef({'a': (), 0: *}, 1 leaf)"),
        (OrderedDict(a=1), "TreeDef(OrderedDict({'a': *}), 1 leaf)"),
        (defaultdict(list, a=1), "TreeDef(defaultdict(list, {'a': *}), 1 leaf)"),
        (Point(1, [2]), "TreeDef(Point(x=*, y=[*]), 2 leaves)"),
        (Layer(1, 2), "TreeDef(Layer(w=*, b=*, act='relu'), 2 leaves)"),
    ],
)
def test_a_treedef_prints_as_its_containers(of, text):
    assert repr(tree.structure(of)) == text


@given(pytrees(floats()))
def test_map_of_several_pytrees_pairs_by_key(of):
    of = number_leaves(of)
    pairs = tree.map(lambda one, other: (one, other), of, reverse_dicts(of))
    numbers = tree.leaves(of)
    assert tree.leaves(pairs) == [n for number in numbers for n in (number, number)]


def test_map_keeps_the_key_order_of_the_first():
    mapped = tree.map(lambda a, b: a + b, {"w": 1, "b": 2}, {"b": 20, "w": 10})
    assert list(mapped.items()) == [("w", 11), ("b", 22)]


def test_map_pairs_keys_that_cannot_be_sorted():
    assert tree.map(lambda a, b: a - b, {0: 1, "a": 2, None: 3}, {None: 3, "a": 2, 0: 1}) == {
        0: 0,
        "a": 0,
        None: 0,
    }


def test_map_hands_over_the_subtrees_below_the_leaves_of_the_first():
    assert tree.map(lambda p, state: (p, state), [1, 2], [(3, 4), None]) == [(1, (3, 4)), (2, None)]


def test_reduce_goes_from_left_to_right():
    assert tree.reduce(lambda so_far, leaf: so_far + leaf, ["a", {"x": "b"}, ("c",)]) == "abc"
    assert tree.reduce(lambda so_far, leaf: so_far + leaf, [], "start") == "start"
    assert tree.reduce(lambda so_far, leaf: leaf, [1], initializer=None) == 1


def test_reduce_of_nothing_needs_an_initializer():
    with pytest.raises(ArgumentError, match="initializer"):
        tree.reduce(max, [None, ()])


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (
            {"w": [0, (1, 2)]},
            {"w": [0, [1, 2, 3]]},
            "at ['w'][1]: tuple of length 2 against list of length 3.",
        ),
        ([1, 2], [1], "at the root: list of length 2 against list of length 1."),
        (
            [{"a": 1, "b": 2}],
            [{"b": 1, "c": 2, 3: 4}],
            "at [0]: dict of length 2 against dict of length 3 (missing 'a'; extra 'c', 3).",
        ),
        (
            (Point(1, (2,)),),
            (Point(1, 2),),
            "at [0].y: tuple of length 1 against a leaf of type int",
        ),
        ([None], [np.ones(3)], "at [0]: None against an array of shape (3,), float64."),
        (Pair([0], 0), Pair(None, 0), "at .left: list of length 1 against None."),
        (
            Layer(0, 0, "relu"),
            Layer(0, 0, "tanh"),
            "at the root: the settings of Layer, (('act', 'relu'),) against (('act', 'tanh'),).",
        ),
    ],
)
def test_a_mismatch_names_the_place_and_both_kinds(one, other, told):
    with pytest.raises(StructureError) as caught:
        tree.map(lambda a, b: a, one, other)
    assert f"pytree 2 of tree.map does not match {told}" in str(caught.value)


def test_a_mismatch_names_the_line_of_the_user_and_the_fix():
    def step():
        return tree.map(lambda a, b: a, [1], (1,))

    with pytest.raises(StructureError) as caught:
        step()
    where, fix = str(caught.value).split("\n")[1:]
    assert where.startswith("  at test_tree.py:")
    assert where.endswith("in step: return tree.map(lambda a, b: a, [1], (1,))")
    assert fix == "  Fix: give both the same containers."


def test_a_mismatch_is_caught_as_what_a_caller_expects():
    for expected in (FuncgradError, ValueError, TypeError):
        with pytest.raises(expected):
            tree.map(max, [1], (1,))


@given(pytrees(st.integers()))
def test_flatten_like_gives_the_order_of_the_structure(of):
    of = number_leaves(of)
    treedef = tree.structure(of)
    assert tree.flatten_like(treedef, reverse_dicts(of)) == list(range(treedef.num_leaves))


@pytest.mark.parametrize("of", [[1, (2, 3)], [1, None], [1, Pair(1, 2)]])
def test_flatten_like_refuses_a_container_for_a_leaf(of):
    with pytest.raises(StructureError, match=r"the cotangent does not match at \[1\]: a leaf"):
        tree.flatten_like(tree.structure([0, 0]), of, "the cotangent")


def test_flatten_up_to_goes_as_far_as_the_structure():
    treedef = tree.structure({"a": 0, "b": (0, None)})
    assert tree.flatten_up_to(treedef, {"b": ([1], None), "a": {"c": 2}}) == [{"c": 2}, [1]]
    assert tree.flatten_up_to(tree.structure(0), [1, 2]) == [[1, 2]]


@given(st.data(), pytrees())
def test_a_prefix_spreads_to_one_entry_per_leaf(data, of):
    prefix = data.draw(prefixes(of))
    spread = tree.broadcast_prefix(prefix, of)
    assert len(spread) == tree.structure(of).num_leaves
    assert set(map(type, spread)) <= {type(None), int}


@given(pytrees(st.integers()))
def test_the_whole_pytree_is_a_prefix_of_itself_whatever_its_key_order(of):
    of = number_leaves(of)
    treedef = tree.structure(of)
    assert tree.broadcast_prefix(reverse_dicts(of), treedef) == list(range(treedef.num_leaves))


def test_none_in_a_prefix_stands_for_its_whole_subtree():
    args = ([1, 2], {"w": 3, "b": (4, None)})
    assert tree.broadcast_prefix(None, args) == [None] * 4
    assert tree.broadcast_prefix((None, 0), args) == [None, None, 0, 0]
    assert tree.broadcast_prefix((1, {"b": (None, None), "w": -1}), args) == [1, 1, -1, None]


@pytest.mark.parametrize(
    ("prefix", "told"),
    [
        ((0,), "at the root: tuple of length 2 against tuple of length 1"),
        ((0, {"w": 0}), "at [1]: dict of length 2 against dict of length 1 (missing 'b')"),
        ((0, {"w": (0, 1), "b": 0}), "at [1]['w']: a leaf against tuple of length 2"),
        ([0, 0], "at the root: tuple of length 2 against list of length 2"),
    ],
)
def test_a_prefix_that_does_not_match_names_the_place(prefix, told):
    with pytest.raises(StructureError) as caught:
        tree.broadcast_prefix(prefix, ([1, 2], {"w": 3, "b": 4}), "in_axes")
    assert f"in_axes does not match {told}" in str(caught.value)


@given(pytrees(max_leaves=4), pytrees(max_leaves=4))
def test_transpose_turns_leaf_j_of_entry_i_into_leaf_i_of_entry_j(outer, inner):
    outer, inner = tree.structure(outer), tree.structure(inner)
    rows = [[Place(i, j) for j in range(inner.num_leaves)] for i in range(outer.num_leaves)]
    of = tree.unflatten(outer, [tree.unflatten(inner, row) for row in rows])
    turned = tree.transpose(outer, inner, of)
    for j, subtree in enumerate(tree.flatten_up_to(inner, turned)):
        places = tree.flatten_like(outer, subtree)
        assert [(place.i, place.j) for place in places] == [(i, j) for i in range(len(rows))]


def test_paths_read_as_the_user_would_write_them():
    of = [{"w": 1, ("a", 0): 2}, Point(3, [4]), Layer(5, None)]
    assert tree.paths(of) == ["[0]['w']", "[0][('a', 0)]", "[1].x", "[1].y[0]", "[2].w"]
    assert tree.paths(7) == [""]
    assert tree.paths(None) == []


@given(pytrees(st.integers()))
def test_evaluating_a_path_gives_the_leaf(of):
    of = number_leaves(of)
    assert [eval(f"of{path}", {"of": of}) for path in tree.paths(of)] == tree.leaves(of)


def test_a_registered_class_is_a_node(interval):
    mapped = tree.map(lambda a, b: a + b, interval(1, 2, False), interval(10, 20, False))
    assert (mapped.low, mapped.high, mapped.closed) == (11, 22, False)
    assert tree.paths([interval(1, 2)]) == ["[0][0]", "[0][1]"]
    assert repr(tree.structure(interval(1, [2]))) == "TreeDef(Interval[True](*, [*]), 2 leaves)"


def test_a_treedef_of_a_registered_class_pickles(interval):
    treedef = tree.structure([interval(1, 2)])
    assert pickle.loads(pickle.dumps(treedef)) == treedef


def test_the_aux_of_a_registered_class_is_compared(interval):
    assert tree.structure(interval(1, 2, True)) != tree.structure(interval(1, 2, False))
    with pytest.raises(StructureError, match="the settings of Interval, True against False"):
        tree.map(max, interval(1, 2, True), interval(1, 2, False))


def test_an_unregistered_class_is_a_leaf_again():
    tree.register_node(Interval, lambda i: ((), None), lambda aux, children: None)
    pickled = pickle.dumps(tree.structure(Interval(1, 2)))
    tree.unregister_node(Interval)
    assert tree.structure(Interval(1, 2)) == tree.structure(0)
    with pytest.raises(StructureError, match="Interval, which is no registered node here"):
        pickle.loads(pickled)


def test_registering_a_dataclass_overrules_its_fields():
    tree.register_node(Pair, lambda p: ((p.left,), p.right), lambda right, c: Pair(*c, right))
    try:
        assert tree.leaves(Pair(1, 2)) == [1]
    finally:
        tree.unregister_node(Pair)
    assert tree.leaves(Pair(1, 2)) == [1, 2]


def test_a_class_is_registered_once(interval):
    for taken in (interval, list, dict, type(None)):
        with pytest.raises(ArgumentError, match="already"):
            tree.register_node(taken, list, tuple)
    with pytest.raises(ArgumentError, match="needs a class"):
        tree.register_node("Interval", list, tuple)


@pytest.mark.parametrize("cls", [list, Pair, Interval, int])
def test_what_was_not_registered_cannot_be_unregistered(cls):
    with pytest.raises(ArgumentError, match="no class that"):
        tree.unregister_node(cls)


@given(pytrees(st.sampled_from(DTYPES).flatmap(numbers)))
def test_unravel_undoes_ravel_in_value_shape_and_dtype(of):
    flat, unravel = tree.ravel(of)
    back = tree.flatten_like(tree.structure(of), unravel(flat))
    for leaf, again in zip(tree.leaves(of), back):
        np.testing.assert_array_equal(again, leaf, strict=True)


def test_ravel_promotes_and_unravel_restores():
    flat, unravel = tree.ravel([np.float32([1, 2]), np.int64(3), 1j])
    assert flat.dtype == np.complex128
    assert flat.tolist() == [1, 2, 3, 1j]
    assert [leaf.dtype for leaf in unravel(flat)] == [np.float32, np.int64, np.complex128]


def test_ravel_keeps_float32():
    assert tree.ravel([np.ones(2, np.float32), np.float32(1)])[0].dtype == np.float32


def test_numbers_come_back_from_unravel_as_numpy_scalars():
    back = tree.map(type, tree.ravel([1.0, 2, True, np.float32(3), np.array(4.0)])[1](np.arange(5)))
    assert back == [np.float64, np.int64, np.bool_, np.float32, np.ndarray]


def test_ravel_of_nothing_is_an_empty_vector():
    flat, unravel = tree.ravel({"a": None, "b": ()})
    assert flat.shape == (0,)
    assert flat.dtype == np.float64
    assert unravel(flat) == {"a": None, "b": ()}


def test_ravel_and_unravel_never_give_views():
    x = np.arange(4.0)
    flat, unravel = tree.ravel([x])
    assert not np.shares_memory(flat, x)
    assert not np.shares_memory(unravel(flat)[0], flat)


def test_unravel_pickles():
    flat, unravel = tree.ravel(Layer(np.ones((2, 2)), 0.5))
    back = pickle.loads(pickle.dumps(unravel))(flat)
    np.testing.assert_array_equal(back.w, np.ones((2, 2)))


def test_unravel_takes_a_list():
    assert tree.ravel((1.0, 2.0))[1]([3, 4]) == (3.0, 4.0)


@pytest.mark.parametrize("leaf", ["text", np.array(["a"]), object(), np.datetime64("2020-01-01")])
def test_ravel_refuses_what_is_no_number_and_names_the_place(leaf):
    with pytest.raises(NonDifferentiableError, match=r"the leaf at \['name'\] is"):
        tree.ravel({"w": 1.0, "name": leaf})


@pytest.mark.parametrize("shape", [(), (2,), (4,), (3, 1)])
def test_unravel_refuses_another_shape(shape):
    with pytest.raises(ShapeError, match=r"of shape \(3,\), but got shape"):
        tree.ravel(np.ones(3))[1](np.ones(shape))


def test_unravel_refuses_to_drop_an_imaginary_part():
    with pytest.raises(ShapeError, match="complex128 vector for leaves that are all real"):
        tree.ravel(np.ones(1))[1](np.array([1j]))
