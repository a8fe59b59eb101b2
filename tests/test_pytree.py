"""Pytrees: the laws of flatten, unflatten and map on random trees, agreement with JAX, and the error messages."""

import functools
import gc
import operator
import pickle
import sys
import threading
import weakref
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrx import tree, tree_util
from nrx.core.errors import ArgumentError, ArgumentTypeError, TreeError, UnhashableError
from nrx.core.pytree import broadcast_prefix, structure_difference
from nrx.tree_util import DictKey, FlattenedIndexKey, GetAttrKey, Partial, SequenceKey, keystr

quick = settings(max_examples=60, deadline=None)

Pair = namedtuple("Pair", ["left", "right"])


class Point:
    """Registered without keys; `unit` is static."""

    def __init__(self, x: Any, y: Any, unit: str = "m"):
        self.x, self.y, self.unit = x, y, unit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and vars(self) == vars(other)

    __hash__ = None

    def tree_flatten(self) -> tuple[Any, str]:
        return iter((self.x, self.y)), self.unit  # any iterable will do

    @classmethod
    def tree_unflatten(cls, unit: str, children: Any) -> "Point":
        return cls(*children, unit)


@dataclass
class Keyed:
    """Registered with keys."""

    weight: Any
    table: Any

    def tree_flatten_with_keys(self) -> tuple[Any, None]:
        return ((GetAttrKey("weight"), self.weight), (DictKey("table"), self.table)), None

    @classmethod
    def tree_unflatten(cls, _: None, children: Any) -> "Keyed":
        return cls(*children)


@dataclass(frozen=True)
class Layer:
    weight: Any
    bias: Any = 0
    name: str = field(default="layer", metadata={"static": True})


@dataclass(frozen=True)
class Name:
    text: str


class UnregisteredDict(dict):
    pass


class Plain:
    pass


tree_util.register_pytree_node_class(Point)
tree_util.register_pytree_with_keys_class(Keyed)
tree_util.register_dataclass(Layer)
tree_util.register_static(Name)


@functools.cache
def jax_tree_util() -> ModuleType:
    """JAX's pytrees, with the classes of this file registered in the same way."""
    jax = pytest.importorskip("jax.tree_util")

    def flatten_keyed(node: Keyed) -> tuple[Any, None]:
        return ((jax.GetAttrKey("weight"), node.weight), (jax.DictKey("table"), node.table)), None

    jax.register_pytree_node_class(Point)
    jax.register_pytree_with_keys(Keyed, flatten_keyed, Keyed.tree_unflatten)
    jax.register_dataclass(Layer)
    jax.register_static(Name)
    return jax


# --- Random trees -----------------------------------------------------------------------------------------------------

KEYS = st.sampled_from("abc")


def containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    small = st.dictionaries(KEYS, children, max_size=3)
    return st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        small,
        st.dictionaries(st.integers(0, 3), children, max_size=2),
        small.map(OrderedDict),
        st.builds(defaultdict, st.sampled_from([int, list]), small),
        st.builds(Pair, children, children),
        st.builds(Point, children, children, st.sampled_from(["m", "s"])),
        st.builds(Keyed, children, children),
        st.builds(Layer, children, children, st.sampled_from(["first", "second"])),
    )


ATOMS = st.one_of(st.integers(0, 9), st.none(), st.builds(Name, KEYS), st.builds(UnregisteredDict, a=st.integers(0, 9)))
trees = st.recursive(ATOMS, containers, max_leaves=12)
# So small that two of them are often equal, or one a prefix of the other.
small_trees = st.recursive(st.sampled_from([0, None]), containers, max_leaves=3)


def prune(draw: st.DrawFn, full: Any) -> Any:
    """A prefix of a tree: some of its subtrees, chosen at random, become leaves."""
    return tree.map(lambda _: draw(st.integers(0, 99)), full, is_leaf=lambda _: draw(st.integers(0, 3)) == 0)


@st.composite
def prefixes(draw: st.DrawFn) -> tuple[Any, Any]:
    full = draw(trees)
    return prune(draw, full), full


def follow(node: Any, path: tuple[Any, ...]) -> Any:
    """The subtree at a path, by plain Python."""
    for key in path:
        if isinstance(node, Point):
            node = (node.x, node.y)[key.key]
        elif isinstance(key, DictKey) and not isinstance(node, Keyed):
            node = node[key.key]
        elif isinstance(key, SequenceKey):
            node = node[key.idx]
        else:
            node = getattr(node, key.name if isinstance(key, GetAttrKey) else key.key)
    return node


# --- Laws -------------------------------------------------------------------------------------------------------------


@quick
@given(trees)
def test_unflatten_is_the_inverse_of_flatten(t: Any) -> None:
    leaves, treedef = tree.flatten(t)
    again = tree.unflatten(treedef, leaves)
    assert again == t
    assert type(again) is type(t)
    assert tree.structure(again) == treedef
    assert treedef.num_leaves == len(leaves) == len(tree.leaves(t))
    assert tree_util.all_leaves(leaves)


@quick
@given(trees)
def test_map_keeps_identity_and_composition(t: Any) -> None:
    assert tree.map(lambda x: x, t) == t
    assert tree.map(lambda x: str(repr(x)), t) == tree.map(str, tree.map(repr, t))
    assert tree.leaves(tree.map(repr, t)) == [repr(x) for x in tree.leaves(t)]
    assert tree.map(lambda x, y: x is y, t, t) == tree.map(lambda _: True, t)
    # A leaf of the first tree may face a subtree of the second.
    assert tree.map(lambda x, y: y == ("f", x), t, tree.map(lambda x: ("f", x), t)) == tree.map(lambda _: True, t)


@quick
@given(trees)
def test_paths_lead_to_their_leaves(t: Any) -> None:
    pairs, treedef = tree.flatten_with_path(t)
    assert treedef == tree.structure(t)
    assert [leaf for _, leaf in pairs] == tree.leaves(t)
    assert all(follow(t, path) is leaf for path, leaf in pairs)
    assert len({path for path, _ in pairs}) == len(pairs)
    assert tree.leaves(tree.map_with_path(lambda path, x, y: (path, x) in pairs and x is y, t, t)) == [True] * len(
        pairs
    )


@quick
@given(trees)
def test_structures_are_values(t: Any) -> None:
    treedef = tree.structure(t)
    again = pickle.loads(pickle.dumps(treedef))
    for other in (again, tree.structure(tree.map(str, t)), tree.structure(t)):
        assert other == treedef
        assert hash(other) == hash(treedef)
        assert repr(other) == repr(treedef)
        assert structure_difference(treedef, other) == ""
    assert again.unflatten(tree.leaves(t)) == t
    assert treedef != t


@quick
@given(trees, small_trees)
def test_compose_and_children(outer: Any, inner: Any) -> None:
    outer_def, inner_def = tree.structure(outer), tree.structure(inner)
    both = outer_def.compose(inner_def)
    assert both == tree.structure(tree.map(lambda _: inner, outer))
    assert both.num_leaves == outer_def.num_leaves * inner_def.num_leaves
    assert outer_def.num_nodes == 1 + sum(child.num_nodes for child in outer_def.children())
    assert tree_util.treedef_tuple([outer_def, inner_def]) == tree.structure((outer, inner))
    assert tree_util.treedef_children(tree.structure([outer, inner])) == [outer_def, inner_def]


@quick
@given(small_trees, small_trees)
def test_difference_is_empty_only_for_equal_structures(a: Any, b: Any) -> None:
    first, second = tree.structure(a), tree.structure(b)
    assert (structure_difference(first, second) == "") == (first == second)
    assert structure_difference(first, second).startswith("at ") or first == second


# --- Agreement with JAX -----------------------------------------------------------------------------------------------


@quick
@given(trees)
def test_flatten_is_that_of_jax(t: Any) -> None:
    jax = jax_tree_util()
    leaves, treedef = tree.flatten(t)
    jax_leaves, jax_treedef = jax.tree_flatten(t)
    assert leaves == jax_leaves
    assert str(treedef) == str(jax_treedef)
    assert (treedef.num_leaves, treedef.num_nodes) == (jax_treedef.num_leaves, jax_treedef.num_nodes)
    assert tree_util.treedef_is_leaf(treedef) == jax.treedef_is_leaf(jax_treedef)
    assert [str(child) for child in treedef.children()] == [str(child) for child in jax_treedef.children()]
    assert repr(tree.map(str, t)) == repr(jax.tree_map(str, t)) or "Point" in repr(t)


@quick
@given(trees)
def test_paths_are_those_of_jax(t: Any) -> None:
    jax = jax_tree_util()
    paths = [path for path, _ in tree.leaves_with_path(t)]
    jax_paths = [path for path, _ in jax.tree_leaves_with_path(t)]
    assert repr(paths) == repr(jax_paths)
    assert [keystr(path) for path in paths] == [jax.keystr(path) for path in jax_paths]
    for path, jax_path in zip(paths, jax_paths, strict=True):
        assert keystr(path, simple=True, separator="/") == jax.keystr(jax_path, simple=True, separator="/")


@quick
@given(trees, st.sampled_from([list, dict, type(None), Pair, int, Layer]))
def test_is_leaf_is_that_of_jax(t: Any, stop: type) -> None:
    jax = jax_tree_util()
    leaves, treedef = tree.flatten(t, is_leaf=lambda x: isinstance(x, stop))
    jax_leaves, jax_treedef = jax.tree_flatten(t, is_leaf=lambda x: isinstance(x, stop))
    assert leaves == jax_leaves
    assert str(treedef) == str(jax_treedef)
    ours = tree.leaves_with_path(t, lambda path, x: len(path) == 1 or isinstance(x, stop), is_leaf_takes_path=True)
    theirs = jax.tree_leaves_with_path(
        t, lambda path, x: len(path) == 1 or isinstance(x, stop), is_leaf_takes_path=True
    )
    assert repr(ours) == repr(theirs) or "Point" in repr(t)


@quick
@given(small_trees, small_trees)
def test_equality_and_prefixes_are_those_of_jax(a: Any, b: Any) -> None:
    jax = jax_tree_util()
    assert (tree.structure(a) == tree.structure(b)) == (jax.tree_structure(a) == jax.tree_structure(b))
    try:
        expected = jax.tree_structure(a).flatten_up_to(b)
    except ValueError:
        with pytest.raises(TreeError, match="at "):
            tree.structure(a).flatten_up_to(b)
    else:
        assert tree.structure(a).flatten_up_to(b) == expected


@quick
@given(prefixes())
def test_broadcast_is_that_of_jax(pair: tuple[Any, Any]) -> None:
    jax = jax_tree_util()
    prefix, full = pair
    expected = jax.tree_broadcast(prefix, full)
    assert tree.broadcast(prefix, full) == expected
    assert broadcast_prefix(prefix, full) == jax.tree_leaves(expected)


@quick
@given(small_trees, small_trees)
def test_transpose_is_that_of_jax(outer: Any, inner: Any) -> None:
    jax = jax_tree_util()
    outer_def, inner_def = tree.structure(outer), tree.structure(inner)
    both = outer_def.compose(inner_def)
    t = both.unflatten(range(both.num_leaves))
    turned = tree.transpose(outer_def, inner_def, t)
    assert tree.structure(turned) == inner_def.compose(outer_def)
    if outer_def.num_leaves:  # JAX fails where there are none
        assert turned == jax.tree_transpose(jax.tree_structure(outer), jax.tree_structure(inner), t)
        assert turned == tree.transpose(outer_def, None, t)


# --- Nodes and leaves -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaf", [1, "text", {1, 2}, UnregisteredDict(a=1), np.arange(3), (x for x in ()), object()])
def test_leaves(leaf: Any) -> None:
    assert tree.leaves(leaf)[0] is leaf
    assert tree.structure(leaf) == tree.structure(0)
    assert tree.unflatten(tree.structure(0), [leaf]) is leaf


def test_unregistered_classes_are_leaves() -> None:
    @dataclass
    class Unregistered:
        x: int

    class Tuple(tuple):
        __slots__ = ()

    for leaf in (Tuple((1, 2)), Unregistered(1)):
        assert tree.leaves([leaf, leaf])[1] is leaf
    alive = weakref.ref(Unregistered)
    del Unregistered, leaf
    gc.collect()
    assert alive() is None


def test_dicts_sort_their_keys_and_ordered_dicts_do_not() -> None:
    assert tree.leaves({"b": 1, "a": 2}) == [2, 1]
    assert tree.leaves(OrderedDict(b=1, a=2)) == [1, 2]
    assert tree.leaves({1.5: "x", 1: "y"}) == ["y", "x"]
    mapped = tree.map(abs, defaultdict(list, b=-1))
    assert mapped == {"b": 1}
    assert mapped["new"] == []


def test_a_namedtuple_may_be_registered_with_other_children() -> None:
    special = namedtuple("special", ["data", "static"])
    assert tree.leaves(special(1, 2)) == [1, 2]
    tree_util.register_pytree_node(special, lambda t: ((t.data,), t.static), lambda aux, data: special(*data, aux))
    assert tree.leaves(special(1, 2)) == [1]
    assert tree.map(str, special(1, 2)) == special("1", 2)


def test_a_class_may_be_registered_after_it_was_seen_as_a_leaf() -> None:
    late = type("Late", (), {})
    assert len(tree.leaves([late(), late()])) == 2
    tree_util.register_pytree_node(late, lambda _: ((), None), lambda *_: late())
    assert tree.leaves([late(), 1]) == [1]


def test_key_entries() -> None:
    path = (DictKey("a"), SequenceKey(1), GetAttrKey("w"), FlattenedIndexKey(2))
    assert keystr(path) == "['a'][1].w[<flat index 2>]"
    assert keystr(path, simple=True, separator=".") == "a.1.w.2"
    assert repr(path[0]) == "DictKey(key='a')"
    assert {path: 1}[(DictKey("a"), SequenceKey(1), GetAttrKey("w"), FlattenedIndexKey(2))] == 1
    assert DictKey(1) != FlattenedIndexKey(1)


def test_partial() -> None:
    inner = functools.partial(operator.add, 1)
    outer = Partial(inner, 2)
    assert outer() == inner(2) == 3
    assert tree.leaves(outer) == [2]
    assert tree.leaves(Partial(Partial(operator.add, 1), 2)) == [2]
    assert tree.structure(Partial(inner, 5)) == tree.structure(outer)
    assert tree.map(lambda x: 10 * x, Partial(operator.add, 1))(3) == 13
    assert tree.map(lambda x: 10 * x, Partial(dict, a=1))(b=2) == {"a": 10, "b": 2}
    assert hash(tree.structure(Partial(inner, 5))) == hash(tree.structure(outer))
    treedef = tree.structure(Partial(operator.add, 1))
    assert pickle.loads(pickle.dumps(treedef)) == treedef


def test_all_and_reduce() -> None:
    assert tree.all({"a": [1, True], "b": None})
    assert not tree.all((1, 0))
    assert tree.all([None], is_leaf=lambda x: x is None) is False
    assert tree.reduce(operator.sub, {"b": 1, "a": 10}) == 9
    assert tree.reduce(operator.add, [1, 2], 10) == 13
    assert tree.reduce(operator.add, (), None) is None
    with pytest.raises(TreeError, match="no leaves"):
        tree.reduce(operator.add, [None])


def test_none_in_a_prefix_can_be_a_leaf() -> None:
    full = ({"w": 1, "b": 2}, (3, None))
    assert broadcast_prefix((None, 0), full, is_leaf=lambda x: x is None) == [None, None, 0]
    assert broadcast_prefix(7, full) == [7, 7, 7]
    assert broadcast_prefix(0, ()) == []


def test_map_lets_every_exception_through() -> None:
    def stop(_: Any) -> None:
        raise StopIteration("mine")

    with pytest.raises(StopIteration, match="mine"):
        tree.map(stop, [1, 2])


def test_structures_do_not_change() -> None:
    treedef = tree.structure([1, {"a": 2}])
    with pytest.raises(AttributeError):
        treedef.num_leaves = 3
    with pytest.raises(AttributeError):
        treedef.other = 3
    assert treedef.node_data() == (list, None)
    assert tree.structure(1).node_data() is None
    assert tree.structure({"b": 1, "a": 2}).node_data() == (dict, ("a", "b"))


def test_deep_trees() -> None:
    depth = sys.getrecursionlimit() // 4
    t: Any = 1
    for _ in range(depth):
        t = (t,)
    treedef = tree.structure(t)
    assert treedef.num_nodes == depth + 1
    assert hash(treedef) == hash(tree.structure(tree.map(str, t)))


# --- Registering ------------------------------------------------------------------------------------------------------


def test_register_dataclass_with_named_fields() -> None:
    @functools.partial(tree_util.register_dataclass, data_fields=["w"], meta_fields=["name"], drop_fields=["cache"])
    @dataclass
    class Model:
        w: Any
        name: str
        cache: int = 0

    assert tree.map(str, Model(1, "a", cache=5)) == Model("1", "a", cache=0)
    assert [keystr(path) for path, _ in tree.leaves_with_path([Model(1, "a")])] == ["[0].w"]


def test_register_dataclass_drops_what_is_computed() -> None:
    @dataclass
    class Square:
        side: int
        area: int = field(init=False)

        def __post_init__(self) -> None:
            self.area = self.side * self.side if isinstance(self.side, int) else 0

    with pytest.raises(ArgumentError, match=r"\['area'\] are not fields of __init__"):
        tree_util.register_dataclass(Square)
    tree_util.register_dataclass(Square, drop_fields=["area"])
    assert tree.map(lambda x: x + 1, Square(2)).area == 9


def test_register_dataclass_refuses_wrong_fields() -> None:
    @dataclass
    class Two:
        a: int
        b: int

    with pytest.raises(ArgumentTypeError, match="both data_fields and meta_fields"):
        tree_util.register_dataclass(Two, data_fields=["a", "b"])
    with pytest.raises(ArgumentTypeError, match="Plain is not a dataclass"):
        tree_util.register_dataclass(Plain)
    with pytest.raises(ArgumentError, match=r"\['b'\] are not named"):
        tree_util.register_dataclass(Two, ["a"], [])
    with pytest.raises(ArgumentError, match=r"\['b'\] are both"):
        tree_util.register_dataclass(Two, ["a", "b"], ["b"])
    with pytest.raises(ArgumentError, match=r"\['c'\] are not fields"):
        tree_util.register_dataclass(Two, ["a", "b", "c"], [])
    assert len(tree.leaves(Two(1, 2))) == 1


@pytest.mark.parametrize("cls", [Point, Keyed, Layer, Name, dict, type(None), OrderedDict])
def test_registering_twice_is_an_error(cls: type) -> None:
    with pytest.raises(ArgumentError, match=f"{cls.__name__} is already a pytree node"):
        tree_util.register_pytree_node(cls, lambda _: ((), None), lambda *_: None)


def test_registering_needs_a_class() -> None:
    with pytest.raises(ArgumentTypeError, match="expected a class"):
        tree_util.register_pytree_node(Point(1, 2), lambda _: ((), None), lambda *_: None)


def test_broken_registrations_are_named() -> None:
    class NoPair:
        pass

    class WrongKeys:
        pass

    tree_util.register_pytree_node(NoPair, lambda _: (1, 2, 3), lambda *_: NoPair())
    with pytest.raises(TreeError, match=r"flattening a NoPair must give \(children, static data\), got \(1, 2, 3\)"):
        tree.leaves([NoPair()])
    one_key = (((GetAttrKey("a"), 1),), None)
    tree_util.register_pytree_with_keys(WrongKeys, lambda _: one_key, lambda *_: WrongKeys(), lambda _: ((1, 2), None))
    with pytest.raises(TreeError, match="WrongKeys gives 1 keys for 2 children"):
        tree.leaves_with_path([WrongKeys()])


def test_threads_register_and_flatten() -> None:
    contested = type("Contested", (), {})
    own = [type(f"Own{i}", (), {}) for i in range(8)]
    start, won, wrong = threading.Barrier(len(own)), [], []

    def work(mine: type) -> None:
        start.wait()
        if len(tree.leaves([mine(), contested(), 1])) not in (2, 3):
            wrong.append(mine)
        tree_util.register_pytree_node(mine, lambda _: ((), None), lambda *_: mine())
        try:
            tree_util.register_pytree_node(contested, lambda _: ((), None), lambda *_: contested())
            won.append(mine)
        except ArgumentError:
            pass
        if tree.leaves([mine(), contested(), 1]) != [1]:
            wrong.append(mine)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in own]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert not wrong


# --- Error messages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "got", "message"),
    [
        ((1, 2), (1, 2, 3), "at the root: expected a tuple of length 2, got a tuple of length 3"),
        (
            {"params": [0, Keyed((1, 2), 0)]},
            {"params": [0, Keyed((1, 2, 3), 0)]},
            "at ['params'][1].weight: expected a tuple of length 2, got a tuple of length 3",
        ),
        ([(1, 2)], [[1, 2]], "at [0]: expected a tuple of length 2, got a list of length 2"),
        ({"a": 1, "b": 2}, {"a": 1, "c": 2}, "at the root: the keys of the dict differ: missing ['b']; extra ['c']"),
        ([{"a": 1}], [{"a": 1, "b": 2}], "at [0]: the keys of the dict differ: extra ['b']"),
        ([{"a": 1, "b": 2}], [{"a": 1}], "at [0]: the keys of the dict differ: missing ['b']"),
        (
            OrderedDict(a=1, b=2),
            OrderedDict(b=2, a=1),
            "at the root: expected the keys of the OrderedDict in the order ['a'], ['b'], got ['b'], ['a']",
        ),
        ({"a": 1}, OrderedDict(a=1), "at the root: expected a dict of length 1, got an OrderedDict"),
        ([None], [(1,)], "at [0]: expected None, got a tuple of length 1"),
        ([(1,)], [None], "at [0]: expected a tuple of length 1, got None"),
        (
            Pair(Point(1, 2), 3),
            Pair(Point(1, 2, "s"), 3),
            "at .left: expected a Point with the static data 'm', got 's'",
        ),
        (
            Point(0, (1,)),
            Point(0, (1, 2)),
            "at [<flat index 1>]: expected a tuple of length 1, got a tuple of length 2",
        ),
        ([Layer(1, (2,))], [Layer(1, [2])], "at [0].bias: expected a tuple of length 1, got a list of length 1"),
    ],
)
def test_differences_name_path_and_reason(expected: Any, got: Any, message: str) -> None:
    assert structure_difference(tree.structure(expected), tree.structure(got)) == message
    with pytest.raises(TreeError) as caught:
        tree.map(lambda *_: None, expected, expected, got)
    assert caught.value.message == f"tree_map: tree 3 does not fit tree 1: {message}"
    assert caught.value.fix
    with pytest.raises(TreeError) as caught:
        broadcast_prefix(expected, got)
    assert caught.value.message == f"broadcast_prefix: the full tree does not fit the prefix: {message}"


def test_differences_at_leaves() -> None:
    assert structure_difference(tree.structure([1]), tree.structure([(2, 3)])) == (
        "at [0]: expected a leaf, got a tuple of length 2"
    )
    assert structure_difference(tree.structure([(2,)]), tree.structure([1])) == (
        "at [0]: expected a tuple of length 1, got a leaf"
    )
    with pytest.raises(TreeError, match=r"at \[0\]: expected a dict of length 1, got a leaf of type ndarray"):
        tree.structure([{"a": 1}]).flatten_up_to([np.zeros(2)])


def test_differences_tell_classes_of_one_name_apart() -> None:
    first, second = namedtuple("Twin", "a"), namedtuple("Twin", "a")
    second.__module__ = "elsewhere"
    message = structure_difference(tree.structure(first(1)), tree.structure(second(1)))
    assert message == f"at the root: expected a {__name__}.Twin, got an elsewhere.Twin"


def test_a_difference_is_found_in_a_class_that_cannot_be_rebuilt_from_placeholders() -> None:
    @tree_util.register_dataclass
    @dataclass
    class Strict:
        size: Any

        def __post_init__(self) -> None:
            assert isinstance(self.size, int | tuple)

    with pytest.raises(TreeError, match=r"at \[<flat index 0>\]: expected a tuple of length 1, got a leaf of type int"):
        tree.map(lambda *_: None, Strict((1,)), Strict(1))


def test_none_comes_with_advice() -> None:
    with pytest.raises(TreeError, match="expected None, got a leaf of type int") as caught:
        tree.map(lambda x, y: x, [None], [1])
    assert "is_leaf=lambda x: x is None" in str(caught.value)


def test_the_user_is_shown_the_line() -> None:
    with pytest.raises(TreeError) as caught:
        tree.map(lambda x, y: x, [1], (1,))
    assert caught.value.source is not None
    assert caught.value.source.file == __file__
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)


def test_wrong_numbers_of_leaves() -> None:
    treedef = tree.structure({"a": 1, "b": Keyed((2, 3), 4)})
    with pytest.raises(TreeError, match=r"expected 4 leaves for .*, got 2; the first without a value is at \['b'\]"):
        treedef.unflatten([1, 2])
    with pytest.raises(TreeError, match=r"expected 4 leaves for .*, got 5"):
        tree.unflatten(treedef, range(5))
    with pytest.raises(TreeError, match=r"expected 1 leaves for PyTreeDef\(\*\), got 0; .* at the root"):
        tree.unflatten(tree.structure(0), [])
    with pytest.raises(ArgumentTypeError, match="the structure comes first"):
        tree.unflatten([1, 2], treedef)


def test_wrong_transposes() -> None:
    outer, inner = tree.structure([0, 0]), tree.structure((0, 0))
    with pytest.raises(TreeError, match=r"tree_transpose: .* at \[1\]: expected a tuple of length 2, got a list"):
        tree.transpose(outer, inner, [(1, 2), [3, 4]])
    with pytest.raises(TreeError, match="the outer structure has no leaves"):
        tree.transpose(tree.structure(()), None, ())


def test_keys_that_cannot_be_sorted() -> None:
    for t in ({1: 1, "a": 2}, defaultdict(int, {1: 1, "a": 2})):
        with pytest.raises(TreeError, match=rf"keys of a {type(t).__name__} cannot be sorted: \[1, 'a'\]"):
            tree.leaves([t])
    assert tree.leaves(OrderedDict({1: 1, "a": 2})) == [1, 2]


@pytest.mark.parametrize("flatten", [tree.flatten, tree.flatten_with_path])
def test_cycles(flatten: Any) -> None:
    cyclic: dict[str, Any] = {"a": [1, 2]}
    cyclic["a"].append(cyclic)
    with pytest.raises(TreeError, match=r"at \['x'\]\['a'\]\[2\]: the tree contains itself: the dict at \['x'\] again"):
        flatten({"x": cyclic, "y": 3})


def test_trees_that_are_too_deep() -> None:
    t: Any = 1
    for _ in range(2 * sys.getrecursionlimit()):
        t = [t]
    with pytest.raises(TreeError, match="too deep for Python's recursion limit"):
        tree.leaves(t)


def test_recursion_in_a_users_function_stays_what_it_is() -> None:
    def endless(x: Any) -> bool:
        return endless(x)

    with pytest.raises(RecursionError):
        tree.leaves([1], is_leaf=endless)


def test_static_data_without_a_hash() -> None:
    treedef = tree.structure({"net": [Layer(1, 2, name=["not", "hashable"])]})
    with pytest.raises(UnhashableError, match=r"at \['net'\]\[0\]: the static data of Layer has no hash"):
        hash(treedef)


def test_static_data_that_cannot_be_compared() -> None:
    one, two = Layer(1, 2, name=np.arange(2)), Layer(1, 2, name=np.arange(2))
    with pytest.raises(TreeError, match="cannot be compared with =="):
        assert tree.structure(one) == tree.structure(two)
    with pytest.raises(TreeError, match="static data of Layer cannot be compared with =="):
        tree.map(lambda *_: None, one, two)


def test_pickles_of_classes_that_are_not_registered_are_refused() -> None:
    pickled = pickle.dumps(tree.structure(Layer(1, 2)))
    with pytest.raises(TreeError, match="Plain is not a registered pytree node"):
        pickle.loads(pickled.replace(b"Layer", b"Plain"))
