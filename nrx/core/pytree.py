"""Pytrees: the nested containers that transformations take apart into leaves and put together again.

A *node* is a dict, OrderedDict, defaultdict, list, tuple, namedtuple, None (a node without leaves) or an instance of a
registered class; everything else is a *leaf*. One table, type -> `NodeKind`, says how each kind of node is taken apart
and rebuilt; the built-in containers are entries of it like any registered class.

The structure without the leaves is a `PyTreeDef`.

>>> import nrx
>>> leaves, treedef = nrx.tree.flatten({"b": (1, 2), "a": 3})
>>> leaves, treedef
([3, 1, 2], PyTreeDef({'a': *, 'b': (*, *)}))
"""

# ruff: noqa: B905
# zip(strict=True) would cost a third of the time of rebuilding a dict; the lengths have been compared before.

import functools
import operator
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn, TypeVar

from nrx.core.errors import ArgumentError, ArgumentTypeError, TreeError
from nrx.core.treedef import (
    KINDS,
    LEAF,
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    KeyPath,
    NodeKind,
    PyTreeDef,
    SequenceKey,
    Spec,
    at,
    keystr,
    register_kind,
    short,
    show_custom,
    structure_difference,
    treedef_children,
    treedef_is_leaf,
    treedef_tuple,
)

__all__ = [
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "all_leaves",
    "broadcast_prefix",
    "keystr",
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "structure_difference",
    "tree_all",
    "tree_broadcast",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_with_path",
    "tree_reduce",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
]

IsLeaf = Callable[..., bool] | None
Class = TypeVar("Class", bound=type)
_NOT_GIVEN: Any = object()

# ---- flatten, unflatten, map ----------------------------------------------------------------------------------------


def _flatten(kind: NodeKind, tree: Any, leaves: list[Any], is_leaf: IsLeaf) -> Spec:
    children, aux = kind.flatten(tree)
    specs: list[Spec] = []
    for child in children:
        child_kind = KINDS[type(child)] if is_leaf is None or not is_leaf(child) else None
        if child_kind is None:
            leaves.append(child)
            specs.append(None)
        else:
            specs.append(_flatten(child_kind, child, leaves, is_leaf))
    return kind, aux, tuple(specs)


def _reraise_recursion(tree: Any, error: RecursionError) -> NoReturn:
    """Blame the tree if it contains itself or is very deep; else the error is that of a user's function."""
    limit = sys.getrecursionlimit()
    deepest = 0
    stack: list[tuple[KeyPath, Any, tuple[Any, ...]]] = [((), tree, ())]
    while stack and deepest < limit:
        path, node, above = stack.pop()
        kind = KINDS[type(node)]
        if kind is None:
            continue
        if any(node is ancestor for ancestor in above):
            around = f"the {type(node).__name__} {at(path[: [n is node for n in above].index(True)])}"
            message = f"{at(path)}: the tree contains itself: {around} again"
            raise TreeError(message, fix="pytrees cannot have reference cycles; break the cycle") from None
        deepest = max(deepest, len(path))
        children = kind.flatten(node)[0]
        stack.extend(((*path, key), child, (*above, node)) for key, child in zip(kind.keys(node), children))
    if deepest < limit // 4:
        raise error
    message = f"the tree is nested more than {deepest} deep, which is too deep for Python's recursion limit of {limit}"
    raise TreeError(message, fix="keep a long chain in a list, or raise sys.setrecursionlimit") from None


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], PyTreeDef]:
    """Take a tree apart.

    Args:
        tree: any nesting of containers and leaves.
        is_leaf: called with each node and leaf; where it returns True, that node is taken as a leaf.

    Returns:
        The list of leaves, and the structure.

    Raises:
        TreeError: dict keys cannot be sorted, or the tree contains itself.

    >>> import nrx
    >>> nrx.tree.flatten({"b": (1, 2), "a": 3})
    ([3, 1, 2], PyTreeDef({'a': *, 'b': (*, *)}))
    """
    kind = KINDS[type(tree)] if is_leaf is None or not is_leaf(tree) else None
    if kind is None:
        return [tree], LEAF
    leaves: list[Any] = []
    try:
        spec = _flatten(kind, tree, leaves, is_leaf)
    except RecursionError as error:
        _reraise_recursion(tree, error)
    return leaves, PyTreeDef(spec, len(leaves))


def tree_unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """Put a tree together: the inverse of `tree_flatten`.

    Args:
        treedef: the structure.
        leaves: one value for each of its leaves.

    Returns:
        The tree.

    Raises:
        TreeError: the number of leaves does not fit.

    >>> import nrx
    >>> leaves, treedef = nrx.tree.flatten({"a": 1, "b": [2]})
    >>> nrx.tree.unflatten(treedef, [10, 20])
    {'a': 10, 'b': [20]}
    """
    if not isinstance(treedef, PyTreeDef):
        fix = "the structure comes first: unflatten(treedef, leaves)"
        raise ArgumentTypeError(f"unflatten: expected a PyTreeDef, got {type(treedef).__name__}", fix=fix)
    return treedef.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of a tree; arguments and errors as of `tree_flatten`.

    >>> import nrx
    >>> nrx.tree.leaves({"b": (1, None), "a": 3})
    [3, 1]
    """
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> PyTreeDef:
    """The structure of a tree; arguments and errors as of `tree_flatten`.

    >>> import nrx
    >>> nrx.tree.structure([1, (2, None)])
    PyTreeDef([*, (*, None)])
    """
    return tree_flatten(tree, is_leaf)[1]


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None) -> Any:
    """Apply a function to every leaf.

    Args:
        f: called with a leaf of `tree` and what each tree of `rest` has in its place.
        tree: the tree that gives the structure.
        rest: trees with the structure of `tree`; they may have subtrees where `tree` has leaves.
        is_leaf: as in `tree_flatten`, for `tree`.

    Returns:
        A tree of the structure of `tree` with the results.

    Raises:
        TreeError: a tree of `rest` has another structure; the message gives the path.

    >>> import nrx
    >>> nrx.tree.map(lambda x, y: x + y, {"a": 1, "b": (2, 3)}, {"a": 10, "b": (20, 30)})
    {'a': 11, 'b': (22, 33)}
    """
    leaves, treedef = tree_flatten(tree, is_leaf)
    if not rest:
        return treedef.unflatten([f(leaf) for leaf in leaves])
    return treedef.unflatten([f(*row) for row in zip(leaves, *_fit_all("tree_map", treedef, rest))])


def _fit_all(name: str, treedef: PyTreeDef, rest: Sequence[Any]) -> list[list[Any]]:
    return [treedef.flatten_up_to(t, f"{name}: tree {i} does not fit tree 1") for i, t in enumerate(rest, 2)]


def tree_all(tree: Any, *, is_leaf: IsLeaf = None) -> bool:
    """Whether every leaf of a `tree` is true; `is_leaf` is as of `tree_flatten`.

    >>> import nrx
    >>> nrx.tree.all({"a": True, "b": [1, 0]})
    False
    """
    return all(tree_leaves(tree, is_leaf))


def tree_reduce(
    function: Callable[[Any, Any], Any], tree: Any, initializer: Any = _NOT_GIVEN, is_leaf: IsLeaf = None
) -> Any:
    """Combine the leaves from left to right.

    Args:
        function: called with what has been combined so far and the next leaf.
        tree: the tree.
        initializer: where to start; the first leaf by default.
        is_leaf: as in `tree_flatten`.

    Returns:
        The combined value.

    Raises:
        TreeError: there are no leaves and no initializer.

    >>> import nrx
    >>> nrx.tree.reduce(lambda total, leaf: total + leaf, {"a": 1, "b": (2, 3)})
    6
    """
    leaves = tree_leaves(tree, is_leaf)
    if initializer is not _NOT_GIVEN:
        return functools.reduce(function, leaves, initializer)
    if not leaves:
        raise TreeError("tree_reduce: the tree has no leaves to reduce", fix="pass an initializer")
    return functools.reduce(function, leaves)


def tree_transpose(outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any) -> Any:
    """Turn a tree of trees inside out.

    Args:
        outer_treedef: the structure of the outer tree.
        inner_treedef: the structure that each of its leaves has; by default that of the first.
        pytree_to_transpose: a tree of structure `outer_treedef.compose(inner_treedef)`.

    Returns:
        The tree of structure `inner_treedef.compose(outer_treedef)`.

    Raises:
        TreeError: the tree does not have the two structures; the message gives the path.

    >>> import nrx
    >>> nrx.tree.transpose(nrx.tree.structure([0, 0]), nrx.tree.structure({"a": 0}), [{"a": 1}, {"a": 2}])
    {'a': [1, 2]}
    """
    subtrees = outer_treedef.flatten_up_to(pytree_to_transpose, "tree_transpose: the tree does not fit the structures")
    if inner_treedef is None:
        if not subtrees:
            raise TreeError("tree_transpose: the outer structure has no leaves", fix="pass the inner structure")
        inner_treedef = tree_structure(subtrees[0])
    whole = outer_treedef.compose(inner_treedef)
    flat = whole.flatten_up_to(pytree_to_transpose, "tree_transpose: the tree does not fit the structures")
    size = inner_treedef.num_leaves
    return inner_treedef.unflatten([outer_treedef.unflatten(flat[i::size]) for i in range(size)])


def broadcast_prefix(
    prefix_tree: Any,
    full_tree: Any,
    is_leaf: IsLeaf = None,
    what: str = "broadcast_prefix: the full tree does not fit the prefix",
) -> list[Any]:
    """The leaves of a prefix of a tree, each repeated for all the leaves of the subtree it stands for.

    Args:
        prefix_tree: a tree like `full_tree` with leaves in the place of whole subtrees, such as `in_axes` of `vmap`.
        full_tree: the tree that gives the structure.
        is_leaf: as in `tree_flatten`, for the prefix; `lambda x: x is None` makes None a leaf of it.
        what: how an error message begins.

    Returns:
        As many values as `full_tree` has leaves.

    Raises:
        TreeError: the prefix is not one of `full_tree`; the message gives the path.

    >>> from nrx.core.pytree import broadcast_prefix
    >>> broadcast_prefix((0, None), ({"w": 1.0, "b": 2.0}, 3.0), is_leaf=lambda x: x is None)
    [0, 0, None]
    """
    leaves, treedef = tree_flatten(prefix_tree, is_leaf)
    subtrees = treedef.flatten_up_to(full_tree, what)
    result: list[Any] = []
    for leaf, subtree in zip(leaves, subtrees):
        result += [leaf] * len(tree_leaves(subtree))
    return result


def tree_broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> Any:
    """A tree of the structure of `full_tree` with the leaves of `prefix_tree`; `is_leaf` is as of `broadcast_prefix`.

    >>> import nrx
    >>> nrx.tree.broadcast((0, 1), ({"w": 1.0, "b": 2.0}, 3.0))
    ({'b': 0, 'w': 0}, 1)
    """
    return tree_structure(full_tree).unflatten(broadcast_prefix(prefix_tree, full_tree, is_leaf))


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf = None) -> bool:
    """Whether every item of `iterable` is a leaf rather than a node; `is_leaf` is as of `tree_flatten`.

    >>> import nrx
    >>> nrx.tree_util.all_leaves([1, "a"]), nrx.tree_util.all_leaves([1, (2,)])
    (True, False)
    """
    return all(KINDS[type(item)] is None or (is_leaf is not None and is_leaf(item)) for item in iterable)


# ---- with paths -----------------------------------------------------------------------------------------------------


def _flatten_with_path(tree: Any, path: KeyPath, is_leaf: IsLeaf, out: list[tuple[KeyPath, Any]]) -> Spec:
    kind = KINDS[type(tree)] if is_leaf is None or not is_leaf(path, tree) else None
    if kind is None:
        out.append((path, tree))
        return None
    children, aux = kind.flatten(tree)
    keys = kind.keys(tree)
    if len(keys) != len(children):
        name = kind.type.__name__
        raise TreeError(f"flatten_with_keys of {name} gives {len(keys)} keys for {len(children)} children")
    specs = []
    for key, child in zip(keys, children):
        specs.append(_flatten_with_path(child, (*path, key), is_leaf, out))
    return kind, aux, tuple(specs)


def tree_flatten_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """Take a tree apart, with the path to each leaf.

    Args:
        tree: the tree.
        is_leaf: as in `tree_flatten`.
        is_leaf_takes_path: call `is_leaf(path, node)` instead of `is_leaf(node)`.

    Returns:
        The list of pairs (path, leaf), and the structure. A path is a tuple of `DictKey`, `SequenceKey`, `GetAttrKey`,
        `FlattenedIndexKey` or the keys of a registered class; `keystr` makes it text.

    Raises:
        TreeError: as `tree_flatten`.

    >>> import nrx
    >>> nrx.tree.flatten_with_path({"a": [7]})
    ([((DictKey(key='a'), SequenceKey(idx=0)), 7)], PyTreeDef({'a': [*]}))
    """
    out: list[tuple[KeyPath, Any]] = []
    takes_path = is_leaf if is_leaf is None or is_leaf_takes_path else lambda _, node: is_leaf(node)
    try:
        spec = _flatten_with_path(tree, (), takes_path, out)
    except RecursionError as error:
        _reraise_recursion(tree, error)
    return out, PyTreeDef(spec, len(out))


def tree_leaves_with_path(
    tree: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """The pairs (path, leaf) of a tree; arguments as of `tree_flatten_with_path`.

    >>> import nrx
    >>> [(nrx.tree_util.keystr(path), leaf) for path, leaf in nrx.tree.leaves_with_path({"a": [7, 8]})]
    [("['a'][0]", 7), ("['a'][1]", 8)]
    """
    return tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def tree_map_with_path(
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf = None, is_leaf_takes_path: bool = False
) -> Any:
    """Apply `f(path, leaf, ...)` to every leaf; else as `tree_map` and `tree_flatten_with_path`.

    >>> import nrx
    >>> nrx.tree.map_with_path(lambda path, x: f"{nrx.tree_util.keystr(path)} is {x}", {"a": [7]})
    {'a': ["['a'][0] is 7"]}
    """
    pairs, treedef = tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    columns = _fit_all("tree_map_with_path", treedef, rest)
    return treedef.unflatten([f(path, leaf, *row) for (path, leaf), *row in zip(pairs, *columns)])


# ---- registering classes --------------------------------------------------------------------------------------------


def register_pytree_node(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_with_keys_func: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]] | None = None,
) -> None:
    """Make the instances of a class nodes.

    Args:
        nodetype: the class; its subclasses are not affected.
        flatten_func: takes an instance to (children, static data); the static data must have `==` and a hash.
        unflatten_func: takes (static data, children) to an instance; the children may be any objects.
        flatten_with_keys_func: like `flatten_func`, with (key, child) pairs for children.

    Raises:
        ArgumentError: the class is registered already.
        ArgumentTypeError: `nodetype` is not a class.

    >>> import nrx
    >>> class Point:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> nrx.tree_util.register_pytree_node(Point, lambda p: ((p.x, p.y), None), lambda _, xy: Point(*xy))
    >>> nrx.tree.map(lambda x: 2 * x, Point(1, 2)).y
    4
    """

    def pair(function: Callable[[Any], Any], tree: Any) -> tuple[list[Any], Any]:
        result = function(tree)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            name = nodetype.__name__
            raise TreeError(f"flattening a {name} must give (children, static data), got {short(result)}")
        return list(result[0]), result[1]

    def keys(tree: Any) -> list[Any]:
        if flatten_with_keys_func is None:
            return [FlattenedIndexKey(i) for i in range(len(pair(flatten_func, tree)[0]))]
        return [key for key, _ in pair(flatten_with_keys_func, tree)[0]]

    def flatten(tree: Any) -> tuple[list[Any], Any]:
        return pair(flatten_func, tree)

    def unflatten(aux: Any, children: list[Any]) -> Any:
        return unflatten_func(aux, tuple(children))

    register_kind(NodeKind(nodetype, flatten, unflatten, keys, show_custom(nodetype)))


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]] | None = None,
) -> None:
    """Make the instances of a class nodes, with keys for their children.

    Args:
        nodetype: the class; its subclasses are not affected.
        flatten_with_keys: takes an instance to (pairs of key and child, static data).
        unflatten_func: takes (static data, children) to an instance; the children may be any objects.
        flatten_func: a faster way to (children, static data), in the same order.

    Raises:
        ArgumentError: the class is registered already.
        ArgumentTypeError: `nodetype` is not a class.

    >>> import nrx
    >>> class Scaled:
    ...     def __init__(self, value):
    ...         self.value = value
    >>> nrx.tree_util.register_pytree_with_keys(
    ...     Scaled,
    ...     lambda s: ([(nrx.tree_util.GetAttrKey("value"), s.value)], None),
    ...     lambda _, children: Scaled(*children),
    ... )
    >>> nrx.tree.map_with_path(lambda path, x: nrx.tree_util.keystr(path), [Scaled(7)])[0].value
    '[0].value'
    """

    def flatten(tree: Any) -> tuple[list[Any], Any]:
        pairs, aux = flatten_with_keys(tree)
        return [child for _, child in pairs], aux

    register_pytree_node(nodetype, flatten_func or flatten, unflatten_func, flatten_with_keys)


def register_pytree_node_class(cls: Class) -> Class:
    """Make the instances of `cls` nodes by their methods `tree_flatten()` and `tree_unflatten(aux, children)`.

    >>> import nrx
    >>> @nrx.tree_util.register_pytree_node_class
    ... class Box:
    ...     def __init__(self, content):
    ...         self.content = content
    ...
    ...     def tree_flatten(self):
    ...         return (self.content,), None
    ...
    ...     @classmethod
    ...     def tree_unflatten(cls, aux, children):
    ...         return cls(*children)
    >>> nrx.tree.leaves([Box(1), Box((2, 3))])
    [1, 2, 3]
    """
    unflatten = cls.tree_unflatten  # type: ignore[attr-defined]
    register_pytree_node(cls, operator.methodcaller("tree_flatten"), unflatten)
    return cls


def register_pytree_with_keys_class(cls: Class) -> Class:
    """Like `register_pytree_node_class`, with a method `tree_flatten_with_keys()` whose children are (key, child).

    >>> import nrx
    >>> @nrx.tree_util.register_pytree_with_keys_class
    ... class Box:
    ...     def __init__(self, content):
    ...         self.content = content
    ...
    ...     def tree_flatten_with_keys(self):
    ...         return ((nrx.tree_util.GetAttrKey("content"), self.content),), None
    ...
    ...     @classmethod
    ...     def tree_unflatten(cls, aux, children):
    ...         return cls(*children)
    >>> [(nrx.tree_util.keystr(path), leaf) for path, leaf in nrx.tree.leaves_with_path(Box(1))]
    [('.content', 1)]
    """
    flatten = operator.methodcaller("tree_flatten") if hasattr(cls, "tree_flatten") else None
    unflatten = cls.tree_unflatten  # type: ignore[attr-defined]
    register_pytree_with_keys(cls, operator.methodcaller("tree_flatten_with_keys"), unflatten, flatten)
    return cls


def register_static(cls: Class) -> Class:
    """Make the instances of `cls` nodes without leaves; they must have `==` and a hash.

    >>> import nrx
    >>> @nrx.tree_util.register_static
    ... class Name(str): ...
    >>> nrx.tree.leaves([1, Name("w")])
    [1]
    """
    register_pytree_node(cls, lambda node: ((), node), lambda node, _: node)
    return cls


def register_dataclass(
    nodetype: Class,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> Class:
    """Make the instances of a dataclass nodes; usable as a decorator above `@dataclass`.

    Args:
        nodetype: the class (not a dataclass only if both kinds of fields are given).
        data_fields: the names of the children; by default all fields not declared static.
        meta_fields: the names of the static data; by default the fields with `metadata={"static": True}`.
        drop_fields: the names of fields that are left out, and so get their defaults when a tree is rebuilt.

    Returns:
        The class itself.

    Raises:
        ArgumentError: the names are not exactly the fields of `__init__`, or the class is registered already.
        ArgumentTypeError: only one kind of fields is given, or none for a class that is not a dataclass.

    >>> import nrx
    >>> from dataclasses import dataclass, field
    >>> @nrx.tree_util.register_dataclass
    ... @dataclass
    ... class Layer:
    ...     weight: float
    ...     name: str = field(metadata={"static": True})
    >>> nrx.tree.map(lambda x: 2 * x, Layer(1.5, "first"))
    Layer(weight=3.0, name='first')
    """
    data, meta = _dataclass_fields(nodetype, data_fields, meta_fields, set(drop_fields))
    names = (*data, *meta)

    def flatten(node: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(node, name) for name in data], tuple([getattr(node, name) for name in meta])

    def unflatten(aux: tuple[Any, ...], children: list[Any]) -> Any:
        return nodetype(**dict(zip(names, (*children, *aux))))

    def keys(node: Any) -> list[Any]:
        return [GetAttrKey(name) for name in data]

    register_kind(NodeKind(nodetype, flatten, unflatten, keys, show_custom(nodetype)))
    return nodetype


def _dataclass_fields(
    cls: Any, data: Sequence[str] | None, meta: Sequence[str] | None, dropped: set[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    name = getattr(cls, "__name__", repr(cls))
    if data is None or meta is None:
        if data is not meta:
            raise ArgumentTypeError(f"register_dataclass({name}): give both data_fields and meta_fields, or neither")
        if not is_dataclass(cls):
            fix = "put @dataclass below @register_dataclass, or give data_fields and meta_fields"
            raise ArgumentTypeError(f"register_dataclass: {name} is not a dataclass", fix=fix)
        kept = [field for field in fields(cls) if field.name not in dropped]
        data = [field.name for field in kept if not field.metadata.get("static", False)]
        meta = [field.name for field in kept if field.metadata.get("static", False)]
    if both := set(data) & set(meta):
        raise ArgumentError(f"register_dataclass({name}): {sorted(both)} are both data and meta fields")
    if is_dataclass(cls):
        wanted = {field.name for field in fields(cls) if field.init} - dropped
        if missing := wanted - {*data, *meta}:
            fix = "name them in data_fields or meta_fields, or in drop_fields to leave them out"
            raise ArgumentError(f"register_dataclass({name}): the fields {sorted(missing)} are not named", fix=fix)
        if extra := {*data, *meta} - wanted:
            fix = "name in drop_fields what __post_init__ computes"
            raise ArgumentError(f"register_dataclass({name}): {sorted(extra)} are not fields of __init__", fix=fix)
    return tuple(data), tuple(meta)


class Partial(functools.partial[Any]):
    """`functools.partial` as a node: the bound arguments are its children, the function is static.

    >>> import nrx
    >>> double = nrx.tree_util.Partial(lambda x, y: x * y, 2)
    >>> double(5), nrx.tree.leaves(double)
    (10, [2])
    """

    def __new__(cls, func: Callable[..., Any], /, *args: Any, **keywords: Any) -> "Partial":
        # functools.partial would merge the arguments of a partial it wraps, and they would become children too.
        inner = func.__call__ if isinstance(func, functools.partial) else func
        return super().__new__(cls, inner, *args, **keywords)


register_pytree_node(
    Partial,
    lambda node: ((node.args, node.keywords), node.func),
    lambda func, bound: Partial(func, *bound[0], **bound[1]),
)
