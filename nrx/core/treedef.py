"""What pytrees are made of: the table of node kinds, structures (`PyTreeDef`), and their differences in words.

Inside a `PyTreeDef` a leaf is None and a node the plain tuple `(kind, aux, children)`, so that hashing and comparing
structures run in C.
"""

# ruff: noqa: B905
# zip(strict=True) would cost a third of the time of rebuilding a dict; the lengths have been compared before.

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nrx.core.errors import ArgumentError, ArgumentTypeError, TreeError, UnhashableError

KeyPath = tuple[Any, ...]

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
    return f"expected {_describe(expected, False)} with the static data {short(aux)}, got {short(got[1])}"


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
    """The structures of the children of the root of `treedef`; [] for a leaf.

    >>> import nrx
    >>> nrx.tree_util.treedef_children(nrx.tree.structure([1, (2, 3)]))
    [PyTreeDef(*), PyTreeDef((*, *))]
    """
    return treedef.children()


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether `treedef` is a single node (a leaf, None or an empty container, as in JAX).

    >>> import nrx
    >>> nrx.tree_util.treedef_is_leaf(nrx.tree.structure(1)), nrx.tree_util.treedef_is_leaf(nrx.tree.structure([1]))
    (True, False)
    """
    return treedef._spec is None or not treedef._spec[2]


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple whose items have the structures `treedefs`.

    >>> import nrx
    >>> nrx.tree_util.treedef_tuple([nrx.tree.structure(1), nrx.tree.structure([2])])
    PyTreeDef((*, [*]))
    """
    items = list(treedefs)
    spec = (registered_kind(tuple), None, tuple([item._spec for item in items]))
    return PyTreeDef(spec, sum(item._num_leaves for item in items))
