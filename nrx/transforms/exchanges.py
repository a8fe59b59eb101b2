"""Collectives by which the positions of a named axis exchange values: `ppermute`, `all_to_all`, those made of them.

As in `collectives`, the batch rules do the work: over the axis they name, both only move elements.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array, asarray
from nrx.core.aval import Aval
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.primitive import Primitive
from nrx.core.pytree import tree_map
from nrx.core.shapes import canonical_axis, inserted, show, without
from nrx.core.trace import axis_size
from nrx.ops.common import NOT_YET_LOWERED
from nrx.ops.dimension_numbers import GatherDimensionNumbers
from nrx.ops.gather import gather
from nrx.ops.slicing import index_in_dim
from nrx.ops.structural import linear_jvp, reduce_sum, reshape, spread, transpose
from nrx.transforms.batching import Axis
from nrx.transforms.collectives import all_gather, check_no_groups

ppermute_p = Primitive("ppermute")
all_to_all_p = Primitive("all_to_all")

# Public functions


def ppermute(x: Any, axis_name: Any, perm: Iterable[tuple[int, int]]) -> Any:
    """Every leaf of `x` sent from position to position of a named axis.

    Args:
        x: a pytree of arrays.
        axis_name: the `axis_name` of an enclosing `vmap`.
        perm: pairs (from, to), no position twice on either side; positions that nothing is sent to get zeros.

    Returns:
        The tree of what arrived.

    Raises:
        ArgumentError: a position is out of range or occurs twice.
        AxisNameError: no axis of that name is in scope.

    Shapes and dtypes stay.

    >>> import nrx
    >>> nrx.vmap(lambda x: nrx.lax.ppermute(x, "i", [(0, 1), (1, 2)]), axis_name="i")(nrx.numpy.array([5, 6, 7]))
    Array([0, 5, 6], dtype=int32)
    """
    pairs, size = tuple((int(source), int(target)) for source, target in perm), axis_size(axis_name)
    for what, places in (("sources", [s for s, _ in pairs]), ("targets", [t for _, t in pairs])):
        if len(set(places)) < len(places) or not all(0 <= place < size for place in places):
            raise ArgumentError(
                f"ppermute: the {what} {places} must be different positions of axis {axis_name!r} of size {size}",
                fix="give pairs (from, to) with each position at most once on either side",
            )
    return tree_map(lambda leaf: ppermute_p.bind(asarray(leaf), axis_name=(axis_name,), size=size, perm=pairs), x)


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """`ppermute` in which position i gets the value of position perm[i].

    The other arguments are as of `ppermute`.

    Shapes and dtypes stay.

    >>> import nrx
    >>> nrx.vmap(lambda x: nrx.lax.pshuffle(x, "i", [2, 0, 1]), axis_name="i")(nrx.numpy.array([2.0, 4.0, 6.0]))
    Array([6., 2., 4.], dtype=float32)
    """
    return ppermute(x, axis_name, list(zip(perm, range(len(perm)), strict=True)))


def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """The values at position `source` of a named axis, for all its positions; other arguments as of `ppermute`.

    Shapes and dtypes stay.

    >>> import nrx
    >>> nrx.vmap(lambda x: nrx.lax.pbroadcast(x, "i", 1), axis_name="i")(nrx.numpy.array([2.0, 4.0, 6.0]))
    Array([4., 4., 4.], dtype=float32)
    """
    place = canonical_axis(source, axis_size(axis_name), "source")
    return tree_map(lambda leaf: index_in_dim(leaf, place, keepdims=False), all_gather(x, axis_name))


def all_to_all(
    x: Any, axis_name: Any, split_axis: int, concat_axis: int, *, tiled: bool = False, axis_index_groups: None = None
) -> Any:
    """A named axis changed for an axis of every leaf: each position keeps its part of that axis, of all positions.

    Args:
        x: a pytree of arrays.
        axis_name: the `axis_name` of an enclosing `vmap`.
        split_axis: the axis that is split, of the size of the named one (or, `tiled`, a multiple of it).
        concat_axis: where the parts from all positions stand in the result.
        tiled: keep `split_axis` with what is left of it, and concatenate along `concat_axis`.
        axis_index_groups: must be None.

    Returns:
        The tree of the results.

    Raises:
        ShapeError: `split_axis` has another size.
        ArgumentError: `axis_index_groups` is given.
        AxisNameError: no axis of that name is in scope.

    Dtypes stay.

    >>> import nrx
    >>> x = nrx.numpy.array([[0, 1], [2, 3]])
    >>> nrx.vmap(lambda row: nrx.lax.all_to_all(row, "i", 0, 0), axis_name="i")(x)
    Array([[0, 2],
           [1, 3]], dtype=int32)
    """
    check_no_groups("all_to_all", axis_index_groups)

    def one(leaf: Any) -> Array:
        leaf, size = asarray(leaf), axis_size(axis_name)
        split = canonical_axis(split_axis, leaf.ndim, "split_axis")
        concat = canonical_axis(concat_axis, leaf.ndim, "concat_axis")
        leaf = _with_parts("all_to_all", leaf, axis_name, split, tiled)
        out = all_to_all_p.bind(leaf, axis_name=(axis_name,), size=size, split=split, concat=concat)
        if not tiled:
            return out
        merged = out.shape[concat] * out.shape[concat + 1]
        return reshape(out, (*out.shape[:concat], merged, *out.shape[concat + 2 :]))

    return tree_map(one, x)


def pswapaxes(x: Any, axis_name: Any, axis: int, *, axis_index_groups: None = None) -> Any:
    """A named axis swapped with an axis of every leaf, of the same size.

    Args:
        x: a tree of arrays.
        axis_name: the named axis.
        axis: the axis of every array that is swapped with it.
        axis_index_groups: must be None.

    Dtypes stay, and shapes but for the sizes of the two axes.

    >>> import nrx
    >>> nrx.vmap(lambda x: nrx.lax.pswapaxes(x, "i", 0), axis_name="i")(nrx.numpy.array([[1, 2], [3, 4]]))
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    check_no_groups("pswapaxes", axis_index_groups)
    return all_to_all(x, axis_name, axis, axis)


def psum_scatter(
    x: Any, axis_name: Any, *, scatter_dimension: int = 0, tiled: bool = False, axis_index_groups: None = None
) -> Any:
    """The sum over a named axis, of which each position keeps its part.

    Args:
        x: a pytree of arrays.
        axis_name: the `axis_name` of an enclosing `vmap`.
        scatter_dimension: the axis that is split, of the size of the named one (or, `tiled`, a multiple of it).
        tiled: keep that axis, with what is left of it.
        axis_index_groups: must be None.

    Returns:
        The tree of the sums.

    Raises:
        ShapeError: `scatter_dimension` has another size.
        ArgumentError: `axis_index_groups` is given.
        AxisNameError: no axis of that name is in scope.

    Dtypes stay.

    >>> import nrx
    >>> x = nrx.numpy.array([[0, 1], [2, 3]])
    >>> nrx.vmap(lambda row: nrx.lax.psum_scatter(row, "i"), axis_name="i")(x)
    Array([2, 4], dtype=int32)
    """
    check_no_groups("psum_scatter", axis_index_groups)

    def one(leaf: Any) -> Array:
        leaf, size = asarray(leaf), axis_size(axis_name)
        split = canonical_axis(scatter_dimension, leaf.ndim, "scatter_dimension")
        leaf = _with_parts("psum_scatter", leaf, axis_name, split, tiled)
        return reduce_sum(all_to_all_p.bind(leaf, axis_name=(axis_name,), size=size, split=split, concat=0), [0])

    return tree_map(one, x)


def _with_parts(name: str, x: Array, axis_name: Any, split: int, tiled: bool) -> Array:
    """`x` with an axis of the parts at `split`."""
    size, length = axis_size(axis_name), x.shape[split]
    if length % size if tiled else length != size:
        raise ShapeError(
            f"{name}: axis {split} of an array of shape {show(x.shape)} does not split into the {size} positions of "
            f"axis {axis_name!r}",
            fix=f"give it a size that is {'a multiple of' if tiled else ''} {size}".replace("  ", " "),
        )
    return reshape(x, (*x.shape[:split], size, length // size, *x.shape[split + 1 :])) if tiled else x


# abstract


def _ppermute_abstract(x: Aval, *, axis_name: tuple, size: int, perm: tuple) -> Aval:
    return x


def _all_to_all_abstract(x: Aval, *, axis_name: tuple, size: int, split: int, concat: int) -> Aval:
    return x.update(shape=inserted(without(x.shape, (split,)), concat, size))


# transpose


def _ppermute_transpose(ct: Array, x: Any, *, axis_name: tuple, size: int, perm: tuple) -> list[Array]:
    back = tuple((target, source) for source, target in perm)
    return [ppermute_p.bind(ct, axis_name=axis_name, size=size, perm=back)]


def _all_to_all_transpose(ct: Array, x: Any, *, split: int, concat: int, **params: Any) -> list[Array]:
    return [all_to_all_p.bind(ct, split=concat, concat=split, **params)]


# batch


def _ppermute_batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, axis_name: tuple, size: int, perm: tuple
) -> tuple[Array, int | None]:
    (x,), (dim,) = args, dims
    if axis.name not in axis_name:
        return ppermute_p.bind(x, axis_name=axis_name, size=size, perm=perm), dim
    x = spread(x, dim, axis.size)
    sources = np.full((size, 1), size, np.int32)  # out of bounds: filled with zeros
    for source, target in perm:
        sources[target] = source
    numbers = GatherDimensionNumbers(
        offset_dims=tuple(range(1, x.ndim)), collapsed_slice_dims=(0,), start_index_map=(0,)
    )
    return gather(x, sources, numbers, (1, *x.shape[1:]), mode="fill", fill_value=0), 0


def _all_to_all_batch(
    axis: Axis, args: Sequence[Array], dims: Sequence[int | None], *, axis_name: tuple, size: int, split: int,
    concat: int,
) -> tuple[Array, int]:  # fmt: skip
    (x,), (dim,) = args, dims
    x = spread(x, dim, axis.size)
    if axis.name not in axis_name:
        return all_to_all_p.bind(x, axis_name=axis_name, size=size, split=split + 1, concat=concat + 1), 0
    kept = without(range(1, x.ndim), (split,))
    return transpose(x, (split + 1, *inserted(kept, concat, 0))), 0


# Registration


def _exchange(prim: Primitive, abstract: Callable, transpose_rule: Callable, batch: Callable) -> None:
    prim.define(abstract=abstract, jvp=linear_jvp(prim), transpose=transpose_rule, batch=batch)
    prim.refuse(
        impl="it has no meaning outside the vmap that names its axis", lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED
    )


_exchange(ppermute_p, _ppermute_abstract, _ppermute_transpose, _ppermute_batch)
_exchange(all_to_all_p, _all_to_all_abstract, _all_to_all_transpose, _all_to_all_batch)
