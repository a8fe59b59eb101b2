"""Pytrees: the nested containers that transformations take apart into leaves and put together again.

A *node* is a dict, OrderedDict, defaultdict, list, tuple, namedtuple, None (a node without leaves) or an instance of a
registered class; everything else is a *leaf*. One table, type -> `NodeKind`, says how each kind of node is taken apart
and rebuilt; the built-in containers are entries of it like any registered class.

The structure without the leaves is a `PyTreeDef`. Inside it a leaf is None and a node the plain tuple
`(kind, aux, children)`, so that hashing and comparing structures run in C.

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
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NoReturn, TypeVar

from nrx.core.errors import ArgumentError, ArgumentTypeError, TreeError, UnhashableError

KeyPath = tuple[Any, ...]
IsLeaf = Callable[..., bool] | None
Class = TypeVar("Class", bound=type)

_NOT_GIVEN: Any = object()
_PLACEHOLDER = object()


@dataclass(frozen=True, slots=True)
class DictKey:
    """The step of a key path into a mapping: `tree[key]`."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """The step of a key path into a list or tuple: `tree[idx]`."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx}]"


@dataclass(frozen=True, slots=True)
class GetAttrKey:
    """The step of a key path into an attribute: `tree.name`."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclass(frozen=True, slots=True)
class FlattenedIndexKey:
    """The step of a key path into a registered class that names no keys: its child number `key`."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """A key path as text.

    Args:
        keys: a path as given by `nrx.tree.flatten_with_path`.
        simple: write only the key, index or name of each step, without brackets and dots.
        separator: what to put between the steps.

    Returns:
        The text.

    >>> import nrx
    >>> [(path, leaf)] = nrx.tree.leaves_with_path({"params": [7]})
    >>> nrx.tree_util.keystr(path), nrx.tree_util.keystr(path, simple=True, separator="/")
    ("['params'][0]", 'params/0')
    """
    return separator.join(map(_simple_key if simple else str, keys))


def _simple_key(entry: Any) -> str:
    match entry:
        case DictKey(key=key) | SequenceKey(idx=key) | GetAttrKey(name=key) | FlattenedIndexKey(key=key):
            return str(key)
    return str(entry)


# ---- the table of node kinds ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class NodeKind:
    """How the nodes of one type are taken apart and rebuilt.

    `flatten(tree)` gives (children, aux), `unflatten(aux, children)` the tree, `keys(tree)` the path step to each
    child, `show(aux, children as text)` the text in the repr of a PyTreeDef.
    """

    type: type
    flatten: Callable[[Any], tuple[Sequence[Any], Any]]
    unflatten: Callable[[Any, list[Any]], Any]
    keys: Callable[[Any], Sequence[Any]]
    show: Callable[[Any, list[str]], str]

    def __reduce__(self) -> tuple[Any, ...]:
        return registered_kind, (self.type,)


Node = tuple[NodeKind, Any, Sequence[Any]]
Spec = tuple[NodeKind, Any, tuple["Spec", ...]] | None


class _Kinds(dict[type, NodeKind | None]):
    """type -> its kind, or None for a leaf; a type is classified when it is first seen."""

    def __missing__(self, cls: type) -> NodeKind | None:
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            return self.setdefault(cls, _namedtuple_kind(cls))
        # A class made inside a function may be one of many: remembering it would keep each of them alive.
        return None if "<locals>" in cls.__qualname__ else self.setdefault(cls, None)


KINDS = _Kinds()
_REGISTERING = threading.Lock()


def registered_kind(cls: type) -> NodeKind:
    kind = KINDS[cls]
    if kind is None:
        raise TreeError(f"{cls.__name__} is not a registered pytree node", fix="register it before unpickling")
    return kind


def register_kind(kind: NodeKind) -> None:
    if not isinstance(kind.type, type):
        raise ArgumentTypeError(f"expected a class to register as a pytree node, got {kind.type!r}")
    with _REGISTERING:
        known = KINDS.get(kind.type)
        if known is not None and known.flatten is not _flatten_namedtuple:
            raise ArgumentError(f"{kind.type.__name__} is already a pytree node", fix="register each class once")
        KINDS[kind.type] = kind


def _sorted_keys(mapping: dict[Any, Any]) -> tuple[Any, ...]:
    try:
        return tuple(sorted(mapping))
    except Exception as error:
        raise TreeError(
            f"the keys of a {type(mapping).__name__} cannot be sorted: {short(list(mapping))} ({error})",
            fix="use keys of one type, or an OrderedDict, which keeps the order of insertion",
        ) from error


def _flatten_dict(tree: dict[Any, Any]) -> tuple[list[Any], Any]:
    keys = _sorted_keys(tree)
    return [tree[key] for key in keys], keys


def _flatten_defaultdict(tree: defaultdict[Any, Any]) -> tuple[list[Any], Any]:
    keys = _sorted_keys(tree)
    return [tree[key] for key in keys], (tree.default_factory, keys)


def _flatten_sequence(tree: Sequence[Any]) -> tuple[Sequence[Any], None]:
    return tree, None


def _flatten_namedtuple(tree: tuple[Any, ...]) -> tuple[tuple[Any, ...], None]:
    return tree, None


def _sequence_keys(tree: Sequence[Any]) -> list[SequenceKey]:
    return [SequenceKey(i) for i in range(len(tree))]


def show_custom(cls: type) -> Callable[[Any, list[str]], str]:
    return lambda aux, parts: f"CustomNode({cls.__name__}[{aux}], [{', '.join(parts)}])"


def _namedtuple_kind(cls: Any) -> NodeKind:
    return NodeKind(
        cls,
        _flatten_namedtuple,
        lambda _, children: cls(*children),
        lambda tree: [GetAttrKey(name) for name in cls._fields],
        lambda _, parts: f"CustomNode(namedtuple[{cls.__name__}], [{', '.join(parts)}])",
    )


for _kind in (
    NodeKind(type(None), lambda _: ((), None), lambda *_: None, lambda _: (), lambda *_: "None"),
    NodeKind(
        list, _flatten_sequence, lambda _, children: children, _sequence_keys, lambda _, parts: f"[{', '.join(parts)}]"
    ),
    NodeKind(
        tuple,
        _flatten_sequence,
        lambda _, children: tuple(children),
        _sequence_keys,
        lambda _, parts: f"({', '.join(parts)}{',' * (len(parts) == 1)})",
    ),
    NodeKind(
        dict,
        _flatten_dict,
        lambda keys, children: dict(zip(keys, children)),
        lambda tree: [DictKey(key) for key in _sorted_keys(tree)],
        lambda keys, parts: f"{{{', '.join(f'{key!r}: {part}' for key, part in zip(keys, parts))}}}",
    ),
    NodeKind(
        OrderedDict,
        lambda tree: (tuple(tree.values()), tuple(tree)),
        lambda keys, children: OrderedDict(zip(keys, children)),
        lambda tree: [DictKey(key) for key in tree],
        show_custom(OrderedDict),
    ),
    NodeKind(
        defaultdict,
        _flatten_defaultdict,
        lambda aux, children: defaultdict(aux[0], zip(aux[1], children)),
        lambda tree: [DictKey(key) for key in _sorted_keys(tree)],
        show_custom(defaultdict),
    ),
):
    register_kind(_kind)


# ---- differences between structures, in words -----------------------------------------------------------------------


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else text[:160] + "..."


def at(path: KeyPath) -> str:
    return f"at {keystr(path)}" if path else "at the root"


def _keys(node: Node) -> list[Any]:
    """The keys of a node whose values are not at hand: read off a rebuilt node, if its class can be rebuilt."""
    kind, aux, children = node
    try:
        keys = list(kind.keys(kind.unflatten(aux, [_PLACEHOLDER] * len(children))))
    except Exception:
        keys = []
    return keys if len(keys) == len(children) else [FlattenedIndexKey(i) for i in range(len(children))]


def _walk(spec: Spec, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Spec]]:
    yield path, spec
    if spec is not None:
        for key, child in zip(_keys(spec), spec[2]):
            yield from _walk(child, (*path, key))


def _equal(aux: Any, other: Any, kind: NodeKind) -> bool:
    try:
        return bool(aux == other)
    except Exception as error:
        raise TreeError(
            f"the static data of {kind.type.__name__} cannot be compared with ==: {short(aux)}",
            fix="make arrays leaves of the node (data), not static data",
        ) from error


def _describe(node: Node, qualified: bool) -> str:
    cls = node[0].type
    if cls is type(None):
        return "None"
    name = f"{cls.__module__}.{cls.__qualname__}" if qualified else cls.__name__
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    return f"{article} {name}" + (f" of length {len(node[2])}" if cls in (list, tuple, dict) else "")


def _node_difference(expected: Node, got: Node | None, leaf: str) -> str:
    """What differs between two nodes themselves, or '' where only their children may differ."""
    if got is None:
        return f"expected {_describe(expected, False)}, got {leaf}"
    kind, aux, children = expected
    if kind is not got[0]:
        same_name = kind.type.__name__ == got[0].type.__name__
        return f"expected {_describe(expected, same_name)}, got {_describe(got, same_name)}"
    if len(children) == len(got[2]) and _equal(aux, got[1], kind):
        return ""
    if kind.type in (list, tuple):
        return f"expected {_describe(expected, False)}, got {_describe(got, False)}"
    keys, got_keys = (dict.fromkeys(map(str, _keys(each))) for each in (expected, got))
    name = kind.type.__name__
    missing, extra = [key for key in keys if key not in got_keys], [key for key in got_keys if key not in keys]
    if missing or extra:
        parts = [f"{word} {', '.join(some[:10])}" for word, some in (("missing", missing), ("extra", extra)) if some]
        return f"the keys of the {name} differ: {'; '.join(parts)}"
    if list(keys) != list(got_keys):
        return f"expected the keys of the {name} in the order {', '.join(keys)}, got {', '.join(got_keys)}"
    return f"expected a {name} with the static data {short(aux)}, got {short(got[1])}"


Opened = tuple[Node | None, str]


def _open_spec(spec: Spec) -> Opened:
    return spec, "a leaf"


def _open_tree(tree: Any) -> Opened:
    kind = KINDS[type(tree)]
    if kind is None:
        return None, f"a leaf of type {type(tree).__name__}"
    children, aux = kind.flatten(tree)
    return (kind, aux, children), ""


def _difference(spec: Spec, got: Any, open_: Callable[[Any], Opened], prefix: bool, path: KeyPath = ()) -> str:
    """The first difference between a structure and a tree or structure that `open_` takes apart."""
    node, leaf = open_(got)
    if spec is None:
        return "" if node is None or prefix else f"{at(path)}: expected a leaf, got {_describe(node, False)}"
    if difference := _node_difference(spec, node, leaf):
        return f"{at(path)}: {difference}"
    assert node is not None
    for key, child, got_child in zip(_keys(spec), spec[2], node[2]):
        if difference := _difference(child, got_child, open_, prefix, (*path, key)):
            return difference
    return ""


def _misfit(context: str, spec: Spec, tree: Any) -> TreeError:
    difference = _difference(spec, tree, _open_tree, prefix=True) or "the structures differ"
    fix = "give both the same structure; only a leaf of the first may face a whole subtree"
    if "expected None" in difference or "got None" in difference:
        fix = "None is a node without leaves; is_leaf=lambda x: x is None makes it a leaf"
    return TreeError(f"{context}: {difference}", fix=fix)


def structure_difference(a: "PyTreeDef", b: "PyTreeDef") -> str:
    """The first difference between two structures, as a sentence for an error message.

    Args:
        a: the structure that is expected.
        b: the structure that came instead.

    Returns:
        The path and the difference, or '' where the structures are equal.

    >>> import nrx
    >>> from nrx.core.pytree import structure_difference
    >>> structure_difference(nrx.tree.structure({"w": (1, 2)}), nrx.tree.structure({"w": (1, 2, 3)}))
    "at ['w']: expected a tuple of length 2, got a tuple of length 3"
    """
    if a == b:
        return ""
    return _difference(a._spec, b._spec, _open_spec, prefix=False) or f"expected {a}, got {b}"


# ---- structures -----------------------------------------------------------------------------------------------------


def _unflatten(spec: Any, leaves: Iterator[Any]) -> Any:
    kind, aux, children = spec
    values = []
    for child in children:
        values.append(next(leaves) if child is None else _unflatten(child, leaves))
    return kind.unflatten(aux, values)


def _flatten_up_to(spec: Any, tree: Any, out: list[Any]) -> bool:
    """Append the subtrees of `tree` at the leaves of `spec`; False where the two do not fit."""
    kind, aux, specs = spec
    if type(tree) is not kind.type:
        return False
    children, tree_aux = kind.flatten(tree)
    if len(children) != len(specs) or not (tree_aux is aux or _equal(aux, tree_aux, kind)):
        return False
    for child_spec, child in zip(specs, children):
        if child_spec is None:
            out.append(child)
        elif not _flatten_up_to(child_spec, child, out):
            return False
    return True


def _compose(spec: Spec, inner: Spec) -> Spec:
    return inner if spec is None else (spec[0], spec[1], tuple([_compose(child, inner) for child in spec[2]]))


def _count_leaves(spec: Spec) -> int:
    return 1 if spec is None else sum(map(_count_leaves, spec[2]))


def _count_nodes(spec: Spec) -> int:
    return 1 if spec is None else 1 + sum(map(_count_nodes, spec[2]))


def _show(spec: Spec) -> str:
    return "*" if spec is None else spec[0].show(spec[1], [_show(child) for child in spec[2]])


class PyTreeDef:
    """The structure of a tree: what is left when its leaves are taken out. Immutable and hashable.

    Made by `nrx.tree.structure` and `nrx.tree.flatten`. Picklable when the types of its nodes are.

    >>> import nrx
    >>> treedef = nrx.tree.structure({"a": 1, "b": (2, None)})
    >>> treedef, treedef.num_leaves, treedef.unflatten("xy")
    (PyTreeDef({'a': *, 'b': (*, None)}), 2, {'a': 'x', 'b': ('y', None)})
    """

    __slots__ = ("_hash", "_num_leaves", "_spec")

    def __init__(self, spec: Spec, num_leaves: int) -> None:
        self._spec = spec
        self._num_leaves = num_leaves
        self._hash: int | None = None

    def __repr__(self) -> str:
        return f"PyTreeDef({_show(self._spec)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PyTreeDef):
            return NotImplemented
        try:
            return self is other or self._spec == other._spec
        except Exception as error:
            raise TreeError(
                f"two tree structures hold static data that cannot be compared with ==: {short(self)}",
                fix="make arrays leaves of their node (data), not static data",
            ) from error

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = self._compute_hash()
        return self._hash

    def _compute_hash(self) -> int:
        try:
            return hash(self._spec)
        except TypeError as error:
            for path, spec in _walk(self._spec):
                if spec is not None and not _is_hashable(spec[1]):
                    raise UnhashableError(
                        f"{at(path)}: the static data of {spec[0].type.__name__} has no hash: {short(spec[1])}",
                        fix="make it hashable (a tuple for a list), or make it data: leaves of the node",
                    ) from error
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        return PyTreeDef, (self._spec, self._num_leaves)

    @property
    def num_leaves(self) -> int:
        """The number of leaves."""
        return self._num_leaves

    @property
    def num_nodes(self) -> int:
        """The number of nodes, leaves included."""
        return _count_nodes(self._spec)

    def node_data(self) -> tuple[type, Any] | None:
        """The type and static data of the root, or None for a leaf."""
        return None if self._spec is None else (self._spec[0].type, self._spec[1])

    def children(self) -> "list[PyTreeDef]":
        """The structures of the root's children."""
        return [] if self._spec is None else [PyTreeDef(spec, _count_leaves(spec)) for spec in self._spec[2]]

    def compose(self, inner: "PyTreeDef") -> "PyTreeDef":
        """This structure with `inner` in the place of every leaf."""
        return PyTreeDef(_compose(self._spec, inner._spec), self._num_leaves * inner._num_leaves)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this structure with the given leaves; TreeError unless there are `num_leaves` of them."""
        values = list(leaves)
        if len(values) != self._num_leaves:
            raise self._wrong_number_of_leaves(len(values))
        return values[0] if self._spec is None else _unflatten(self._spec, iter(values))

    def _wrong_number_of_leaves(self, got: int) -> TreeError:
        expected = f"unflatten: expected {self._num_leaves} leaves for {short(self)}, got {got}"
        paths = [path for path, spec in _walk(self._spec) if spec is None]
        where = f"; the first without a value is {at(paths[got])}" if got < len(paths) else ""
        return TreeError(expected + where, fix="pass one value for each leaf, in the order of flatten")

    def flatten_up_to(
        self, tree: Any, context: str = "flatten_up_to: the tree does not fit the structure"
    ) -> list[Any]:
        """The subtrees of `tree` at the leaves of this structure.

        Where `tree` does not begin with this structure, a TreeError says `context` and the first difference.
        """
        if self._spec is None:
            return [tree]
        out: list[Any] = []
        if not _flatten_up_to(self._spec, tree, out):
            raise _misfit(context, self._spec, tree)
        return out


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


LEAF = PyTreeDef(None, 1)


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the root's children; [] for a leaf."""
    return treedef.children()


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether the structure is a single node (a leaf, None or an empty container, as in JAX)."""
    return treedef._spec is None or not treedef._spec[2]


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple whose items have the given structures.

    >>> import nrx
    >>> nrx.tree_util.treedef_tuple([nrx.tree.structure(1), nrx.tree.structure([2])])
    PyTreeDef((*, [*]))
    """
    items = list(treedefs)
    spec = (registered_kind(tuple), None, tuple([item._spec for item in items]))
    return PyTreeDef(spec, sum(item._num_leaves for item in items))


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
    """Whether every leaf is true.

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


def broadcast_prefix(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves of a prefix of a tree, each repeated for all the leaves of the subtree it stands for.

    Args:
        prefix_tree: a tree like `full_tree` with leaves in the place of whole subtrees, such as `in_axes` of `vmap`.
        full_tree: the tree that gives the structure.
        is_leaf: as in `tree_flatten`, for the prefix; `lambda x: x is None` makes None a leaf of it.

    Returns:
        As many values as `full_tree` has leaves.

    Raises:
        TreeError: the prefix is not one of `full_tree`; the message gives the path.

    >>> from nrx.core.pytree import broadcast_prefix
    >>> broadcast_prefix((0, None), ({"w": 1.0, "b": 2.0}, 3.0), is_leaf=lambda x: x is None)
    [0, 0, None]
    """
    leaves, treedef = tree_flatten(prefix_tree, is_leaf)
    subtrees = treedef.flatten_up_to(full_tree, "broadcast_prefix: the full tree does not fit the prefix")
    result: list[Any] = []
    for leaf, subtree in zip(leaves, subtrees):
        result += [leaf] * len(tree_leaves(subtree))
    return result


def tree_broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf = None) -> Any:
    """A tree of the structure of `full_tree` with the leaves of a prefix; arguments as of `broadcast_prefix`.

    >>> import nrx
    >>> nrx.tree.broadcast((0, 1), ({"w": 1.0, "b": 2.0}, 3.0))
    ({'b': 0, 'w': 0}, 1)
    """
    return tree_structure(full_tree).unflatten(broadcast_prefix(prefix_tree, full_tree, is_leaf))


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf = None) -> bool:
    """Whether every item is a leaf rather than a node.

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
    """`register_pytree_node` for a class whose children have keys; `flatten_func` is only a faster way without them."""

    def flatten(tree: Any) -> tuple[list[Any], Any]:
        pairs, aux = flatten_with_keys(tree)
        return [child for _, child in pairs], aux

    register_pytree_node(nodetype, flatten_func or flatten, unflatten_func, flatten_with_keys)


def register_pytree_node_class(cls: Class) -> Class:
    """Class decorator: make the instances nodes by their methods `tree_flatten()` and `tree_unflatten(aux, children)`.

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
    """Like `register_pytree_node_class`, with a method `tree_flatten_with_keys()` whose children are (key, child)."""
    flatten = operator.methodcaller("tree_flatten") if hasattr(cls, "tree_flatten") else None
    unflatten = cls.tree_unflatten  # type: ignore[attr-defined]
    register_pytree_with_keys(cls, operator.methodcaller("tree_flatten_with_keys"), unflatten, flatten)
    return cls


def register_static(cls: Class) -> Class:
    """Class decorator: make the instances nodes without leaves; they must have `==` and a hash.

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
