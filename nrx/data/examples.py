"""Data sets as trees of arrays: their length, choosing examples, shuffling and splitting them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.pytree import keystr, tree_flatten_with_path, tree_map
from nrx.random import permutation


def shuffle(tree: Any, key: Any) -> Any:
    """The examples of a data set in random order.

    Args:
        tree: a tree of arrays (nrx's or NumPy's) that agree in the length n of their first axis.
        key: a key of `nrx.random`; the same key gives the same order.

    Returns:
        A tree of the same structure; all arrays are permuted in the same way.

    Raises:
        ArgumentTypeError, ShapeError: a leaf is no array, or the lengths differ.

    >>> import nrx
    >>> x = nrx.numpy.arange(4)
    >>> nrx.data.shuffle({"x": x, "y": 10 * x}, nrx.random.PRNGKey(0))
    {'x': Array([0, 1, 3, 2], dtype=int32), 'y': Array([ 0, 10, 30, 20], dtype=int32)}
    """
    return take(tree, random_order(key, count_examples("shuffle", tree)))


def split(tree: Any, sizes: float | int | Sequence[float] | Sequence[int], key: Any = None) -> tuple[Any, ...]:
    """Divide a data set into parts.

    Args:
        tree: a tree of arrays (nrx's or NumPy's) that agree in the length n of their first axis.
        sizes: how large the parts are: counts of examples (ints that sum to n) or fractions (floats that sum to 1). A
            single int or float is the size of the first of two parts.
        key: a key of `nrx.random` to draw the parts at random; by default they are cut in the given order.

    Returns:
        The parts, each a tree of the same structure.

    Raises:
        ArgumentError: the sizes do not fit.
        ArgumentTypeError, ShapeError: a leaf is no array, or the lengths differ.

    >>> import nrx
    >>> train, test = nrx.data.split(nrx.numpy.arange(5), 0.8)
    >>> train, test
    (Array([0, 1, 2, 3], dtype=int32), Array([4], dtype=int32))
    """
    total = count_examples("split", tree)
    bounds = _bounds(sizes, total)
    if key is not None:
        tree = take(tree, random_order(key, total))
    return tuple(take(tree, slice(start, stop)) for start, stop in pairwise(bounds))


def _bounds(sizes: Any, total: int) -> list[int]:
    """Where the parts begin, and where the last one ends."""
    if isinstance(sizes, int | float):
        sizes = (sizes, (total if isinstance(sizes, int) else 1.0) - sizes)
    if all(isinstance(size, int) for size in sizes):
        ends = np.cumsum(sizes)
    else:
        ends = np.round(np.cumsum(sizes) * total, 6).round().astype(int)
    if min(sizes, default=-1) < 0 or ends[-1] != total:
        raise ArgumentError(
            f"split: the sizes {tuple(sizes)} do not divide {total} examples",
            fix=f"give counts that sum to {total}, or fractions that sum to 1.0",
        )
    return [0, *ends.tolist()]


def count_examples(name: str, tree: Any) -> int:
    """The length of the first axis of all arrays of a data set."""
    leaves = tree_flatten_with_path(tree)[0]
    if not leaves:
        raise ArgumentError(f"{name}: the tree holds no arrays")
    for path, leaf in leaves:
        if not isinstance(leaf, Array | np.ndarray):
            raise ArgumentTypeError(
                f"{name}: tree{keystr(path)} must be an array, got {type(leaf).__name__}",
                fix="convert it with nrx.numpy.array(...)",
            )
        if leaf.ndim == 0 or len(leaf) != len(leaves[0][1]):
            shapes = ", ".join(f"tree{keystr(path)}: {leaf.shape}" for path, leaf in leaves)
            raise ShapeError(f"{name}: the arrays must agree in the length of their first axis, got {shapes}")
    return len(leaves[0][1])


def random_order(key: Any, count: int) -> np.ndarray:
    """The numbers from 0 to `count` - 1 in the order of the key."""
    return np.asarray(permutation(key, count))


def take(tree: Any, which: slice | np.ndarray) -> Any:
    """The examples at `which`."""
    return tree_map(lambda leaf: leaf[which], tree)
