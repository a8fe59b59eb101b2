"""Trees one level at a time, and other functions that few programs need."""

from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any

from nrx.core.errors import TreeError
from nrx.core.pytree import tree_leaves
from nrx.core.treedef import KINDS, NodeKind

_NOT_GIVEN: Any = object()


def _kind_of(tree: Any) -> NodeKind:
    kind = KINDS[type(tree)]
    if kind is None:
        raise TreeError(f"a {type(tree).__name__} is a leaf, it has no children", fix="pass a container")
    return kind


def flatten_one_level(tree: Any) -> tuple[Iterable[Any], Any]:
    """The children of a node and its static data.

    Args:
        tree: a container, or an instance of a registered class.

    Returns:
        `(children, static data)`.

    Raises:
        TreeError: it is a leaf.

    >>> import nrx
    >>> nrx.tree_util.flatten_one_level({"a": [1, 2], "b": 3})
    ([[1, 2], 3], ('a', 'b'))
    """
    return _kind_of(tree).flatten(tree)


def flatten_one_level_with_keys(tree: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """The children of a node with their keys, and its static data; arguments and errors as of `flatten_one_level`.

    >>> import nrx
    >>> nrx.tree_util.flatten_one_level_with_keys([7])
    ([(SequenceKey(idx=0), 7)], None)
    """
    children, static = _kind_of(tree).flatten(tree)
    return list(zip(_kind_of(tree).keys(tree), children, strict=True)), static


def is_tree_node(typ: type) -> bool:
    """Whether instances of a class `typ` are nodes.

    >>> import nrx
    >>> nrx.tree_util.is_tree_node(dict), nrx.tree_util.is_tree_node(float)
    (True, False)
    """
    return KINDS[typ] is not None


def tree_reduce_associative(
    operation: Callable[[Any, Any], Any],
    tree: Any,
    *,
    identity: Any = _NOT_GIVEN,
    is_leaf: Callable[..., bool] | None = None,
) -> Any:
    """Combine the leaves of a tree pairwise, by an operation that may be bracketed in any way.

    Args:
        operation: called with two values.
        tree: the tree.
        identity: the result of a tree without leaves.
        is_leaf: as in `tree_flatten`.

    Returns:
        The combined value.

    Raises:
        TreeError: there are no leaves and no identity.

    >>> import nrx
    >>> nrx.tree.reduce_associative(lambda a, b: a + b, ["a", ("b", "c")])
    'abc'
    """
    values = tree_leaves(tree, is_leaf)
    if not values:
        if identity is _NOT_GIVEN:
            raise TreeError("tree_reduce_associative: the tree has no leaves", fix="pass identity")
        return identity
    while len(values) > 1:
        pairs = [operation(*values[i : i + 2]) for i in range(0, len(values) - 1, 2)]
        values = pairs + values[2 * len(pairs) :]
    return values[0]


def static(**options: Any) -> Any:
    """A field of a dataclass that is static data of the node: `dataclasses.field` with that mark.

    Args:
        options: what `dataclasses.field` takes.

    Returns:
        A field.

    >>> import dataclasses
    >>> import nrx
    >>> @nrx.tree_util.register_dataclass
    ... @dataclasses.dataclass
    ... class Layer:
    ...     weight: float
    ...     name: str = nrx.tree.static(default="dense")
    >>> nrx.tree.leaves(Layer(1.5))
    [1.5]
    """
    return field(metadata={**options.pop("metadata", {}), "static": True}, **options)
