"""Joining, splitting and repeating arrays."""

from collections.abc import Sequence
from itertools import pairwise
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.array import asarray as core_asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.shapes import as_int, canonical_axis, show, without
from nrx.core.trace import Tracer
from nrx.numpy.indexing import take
from nrx.numpy.manipulation import atleast_1d, atleast_2d, atleast_3d, broadcast_to, ravel, reshape
from nrx.numpy.promotion import promote_dtypes
from nrx.ops.common import as_arrays

# Joining


def _sequence(name: str, arrays: Any) -> list[Array]:
    """The arrays to join, in their common dtype."""
    if isinstance(arrays, Array):
        return list(unstack(arrays))
    if isinstance(arrays, np.ndarray | Sequence) and len(arrays):
        return promote_dtypes(name, *arrays)
    raise ArgumentError(f"{name} needs a sequence of at least one array, got {arrays!r}")


def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Array:
    """Arrays one after the other along an axis; flattened first if `axis` is None.

    Args:
        arrays: a sequence of arrays whose shapes are equal but along the axis.
        axis: an axis; None flattens the arrays.
        dtype: the dtype of the result; by default the common one.

    Returns:
        An array.

    Raises:
        ShapeError: the shapes do not fit.

    >>> jnp.concatenate([jnp.zeros((2, 1)), jnp.ones((2, 2))], axis=1)
    Array([[0., 1., 1.],
           [0., 1., 1.]], dtype=float32)
    """
    joined = _sequence("concatenate", arrays)
    if axis is None:
        joined, axis = [ravel(x) for x in joined], 0
    if not joined[0].ndim:
        raise ShapeError("concatenate: arrays without axes cannot be joined", fix="use stack")
    out = lax.concatenate(joined, canonical_axis(axis, joined[0].ndim))
    return out if dtype is None else lax.convert_element_type(out, dtype)


concat = concatenate


def stack(arrays: Any, axis: int = 0, out: None = None, dtype: Any = None) -> Array:
    """Arrays of one shape side by side along a new axis.

    Args:
        arrays: a sequence of arrays of one shape.
        axis: where the new axis stands in the result.
        out: must be None.
        dtype: the dtype of the result; by default the common one.

    Returns:
        An array with one axis more.

    Raises:
        ShapeError: the shapes differ.

    >>> jnp.stack([jnp.arange(3), jnp.arange(3)], axis=1)
    Array([[0, 0],
           [1, 1],
           [2, 2]], dtype=int32)
    """
    parts = _sequence("stack", arrays)
    shapes = sorted({x.shape for x in parts})
    if len(shapes) > 1:
        raise ShapeError(
            f"stack needs arrays of one shape, got {' and '.join(map(show, shapes))}",
            fix="broadcast or pad them first, or use concatenate",
        )
    at = canonical_axis(axis, parts[0].ndim + 1, "stack: axis", "a result")
    return concatenate([lax.expand_dims(x, [at]) for x in parts], at, dtype)


def vstack(tup: Any, dtype: Any = None) -> Array:
    """Arrays one below the other: along axis 0, vectors as rows.

    Args:
        tup: a sequence of arrays.
        dtype: the dtype of the result; by default the common one.

    Returns:
        An array of at least 2 axes.

    >>> jnp.vstack([jnp.arange(3), jnp.ones((2, 3))])
    Array([[0., 1., 2.],
           [1., 1., 1.],
           [1., 1., 1.]], dtype=float32)
    """
    return concatenate([atleast_2d(x) for x in _sequence("vstack", tup)], 0, dtype)


def hstack(tup: Any, dtype: Any = None) -> Array:
    """Arrays side by side: along axis 1, vectors along axis 0.

    Args:
        tup: a sequence of arrays.
        dtype: the dtype of the result; by default the common one.

    Returns:
        An array.

    >>> jnp.hstack([jnp.arange(3), jnp.ones(2)])
    Array([0., 1., 2., 1., 1.], dtype=float32)
    """
    parts = [atleast_1d(x) for x in _sequence("hstack", tup)]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1, dtype)


def dstack(tup: Any, dtype: Any = None) -> Array:
    """Arrays one behind the other: along axis 2, after giving all of them 3 axes.

    Args:
        tup: a sequence of arrays.
        dtype: the dtype of the result; by default the common one.

    Returns:
        An array of at least 3 axes.

    >>> jnp.dstack([jnp.ones((2, 3)), jnp.ones((2, 3))]).shape
    (2, 3, 2)
    """
    return concatenate([atleast_3d(x) for x in _sequence("dstack", tup)], 2, dtype)


def column_stack(tup: Any) -> Array:
    """Arrays side by side along axis 1, vectors as columns.

    Args:
        tup: a sequence of vectors and matrices.

    Returns:
        A matrix of the dtype in which they meet, with a row for each of their rows.

    >>> jnp.column_stack([jnp.arange(3), jnp.arange(3)])
    Array([[0, 0],
           [1, 1],
           [2, 2]], dtype=int32)
    """
    parts = _sequence("column_stack", tup)
    return concatenate([x if x.ndim >= 2 else reshape(x, (-1, 1)) for x in parts], 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Array:
    """Values after the end of an array along an axis; both flattened if `axis` is None.

    Args:
        arr: an array.
        values: an array.
        axis: an axis; None flattens both.

    Returns:
        An array of the dtype in which both meet.

    >>> jnp.append(jnp.arange(3), 7)
    Array([0, 1, 2, 7], dtype=int32)
    """
    return concatenate([arr, values], axis)


# Splitting


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Equal parts along an axis, or the parts between given positions.

    Args:
        ary: an array.
        indices_or_sections: the number of parts, or the positions to cut at.
        axis: an axis.

    Returns:
        A list of arrays of the dtype of ary; they differ in their length along the axis only.

    Raises:
        ShapeError: the axis has no such number of equal parts.

    >>> jnp.split(jnp.arange(6), 3)
    [Array([0, 1], dtype=int32), Array([2, 3], dtype=int32), Array([4, 5], dtype=int32)]
    >>> jnp.split(jnp.arange(6), [1, 4])
    [Array([0], dtype=int32), Array([1, 2, 3], dtype=int32), Array([4, 5], dtype=int32)]
    """
    (x,) = as_arrays("split", ary)
    length = x.shape[canonical_axis(axis, x.ndim)]
    if not isinstance(indices_or_sections, Sequence | np.ndarray | Array) and length % index(indices_or_sections):
        raise ShapeError(
            f"split: axis {axis} of shape {show(x.shape)} has no {indices_or_sections} equal parts",
            fix="use array_split",
        )
    return array_split(x, indices_or_sections, axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Nearly equal parts along an axis, the longer ones first, or the parts between given positions.

    Args:
        ary: an array.
        indices_or_sections: the number of parts, or the positions to cut at.
        axis: an axis.

    Returns:
        A list of arrays of the dtype of ary; they differ in their length along the axis only.

    Raises:
        ArgumentError: the number of parts is not positive.
        ArgumentTypeError: the positions are traced.

    >>> jnp.array_split(jnp.arange(5), 2)
    [Array([0, 1, 2], dtype=int32), Array([3, 4], dtype=int32)]
    """
    (x,) = as_arrays("array_split", ary)
    axis = canonical_axis(axis, x.ndim)
    length = x.shape[axis]
    sections = indices_or_sections
    if isinstance(sections, Tracer):
        raise ArgumentTypeError("split: the positions must be known", fix="make them static (static_argnums)")
    if isinstance(sections, Sequence | np.ndarray | Array) and np.ndim(sections):
        ends = [index(i) for i in np.asarray(sections)]
        cuts = [0, *(min(max(end + length if end < 0 else end, 0), length) for end in ends), length]
        return [lax.slice_in_dim(x, i, max(i, j), axis=axis) for i, j in pairwise(cuts)]
    count = as_int(sections, "the number of sections")
    if count <= 0:
        raise ArgumentError(f"split: the number of parts must be positive, got {count}")
    return lax.split(x, [length // count + (i < length % count) for i in range(count)], axis)


def _along(name: str, ary: Any, sections: Any, axis: int, least: int) -> list[Array]:
    (x,) = as_arrays(name, ary)
    if x.ndim < least:
        raise ShapeError(f"{name} needs an array of at least {least} axes, got shape {show(x.shape)}")
    return split(x, sections, axis)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """`split` along axis 0.

    Args:
        ary: an array of at least 2 axes.
        indices_or_sections: the number of parts, or the positions to cut at.

    Returns:
        A list of arrays of the dtype of ary.

    >>> [x.shape for x in jnp.vsplit(jnp.ones((4, 2)), 2)]
    [(2, 2), (2, 2)]
    """
    return _along("vsplit", ary, indices_or_sections, 0, 2)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """`split` along axis 1, of vectors along axis 0.

    Args:
        ary: an array of at least 1 axis.
        indices_or_sections: the number of parts, or the positions to cut at.

    Returns:
        A list of arrays of the dtype of ary.

    >>> [x.shape for x in jnp.hsplit(jnp.ones((4, 2)), 2)]
    [(4, 1), (4, 1)]
    """
    return _along("hsplit", ary, indices_or_sections, min(1, core_asarray(ary).ndim - 1), 1)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """`split` along axis 2.

    Args:
        ary: an array of at least 3 axes.
        indices_or_sections: the number of parts, or the positions to cut at.

    Returns:
        A list of arrays of the dtype of ary.

    >>> [x.shape for x in jnp.dsplit(jnp.ones((1, 2, 4)), 2)]
    [(1, 2, 2), (1, 2, 2)]
    """
    return _along("dsplit", ary, indices_or_sections, 2, 3)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices along an axis, without that axis.

    Args:
        x: an array of at least 1 axis.
        axis: an axis.

    Returns:
        A tuple of arrays, of one axis less and of the dtype of x.

    Raises:
        ShapeError: x has no axes.

    >>> jnp.unstack(jnp.array([[1, 2], [3, 4]]))
    (Array([1, 2], dtype=int32), Array([3, 4], dtype=int32))
    """
    (array,) = as_arrays("unstack", x)
    if not array.ndim:
        raise ShapeError("unstack: an array without axes has no slices")
    at = canonical_axis(axis, array.ndim)
    rest = without(array.shape, [at])
    if not array.shape[at]:
        return ()
    return tuple(lax.reshape(part, rest) for part in lax.split(array, (1,) * array.shape[at], at))


# Repeating


def tile(A: Any, reps: Any) -> Array:
    """The array repeated as a whole, `reps[i]` times along axis i (aligned at the last).

    Args:
        A: an array.
        reps: how often, an int or a tuple of ints.

    Returns:
        An array of the dtype of A, of shape `reps[i] * A.shape[i]`, missing ones of either taken as 1.

    Raises:
        ArgumentError: a negative number of repetitions.

    >>> jnp.tile(jnp.arange(2), (2, 2))
    Array([[0, 1, 0, 1],
           [0, 1, 0, 1]], dtype=int32)
    """
    (x,) = as_arrays("tile", A)
    several = reps if isinstance(reps, tuple | list | np.ndarray) else (reps,)
    counts = tuple(as_int(n, "tile: a number of repetitions") for n in several)
    if any(n < 0 for n in counts):
        raise ArgumentError(f"tile: repetitions must not be negative, got {reps}")
    ndim = max(x.ndim, len(counts))
    shape = (1,) * (ndim - x.ndim) + x.shape
    counts = (1,) * (ndim - len(counts)) + counts
    twice = [v for pair in zip(counts, shape, strict=True) for v in pair]
    x = lax.broadcast_in_dim(lax.reshape(x, shape), twice, range(1, 2 * ndim, 2))
    return lax.reshape(x, [n * c for n, c in zip(shape, counts, strict=True)])


def repeat(
    a: Any, repeats: Any, axis: int | None = None, *, total_repeat_length: int | None = None, out_sharding: Any = None
) -> Array:
    """Each element along an axis (of the flat array if None) repeated.

    Args:
        a: an array.
        repeats: how often, an int or one for each element along the axis.
        axis: an axis; None flattens the array.
        total_repeat_length: the length of the result, which is cut or filled with the last element; needed where
            `repeats` is traced.

    Returns:
        An array of the dtype of a, as long along the axis as the repeats are together.

    Raises:
        ArgumentTypeError: `repeats` is traced, and the length is not given.

    >>> jnp.repeat(jnp.array([7, 8]), jnp.array([1, 3]))
    Array([7, 8, 8, 8], dtype=int32)
    """
    (x,) = as_arrays("repeat", a)
    if axis is None:
        x, axis = ravel(x), 0
    axis = canonical_axis(axis, x.ndim)
    if isinstance(repeats, Tracer):
        if total_repeat_length is None:
            raise ArgumentTypeError(
                "repeat: the length of the result depends on `repeats`, which is traced",
                fix="pass total_repeat_length, or make repeats static",
            )
        return _repeated_by(x, repeats, axis, total_repeat_length)
    counts = np.asarray(repeats)
    if counts.size == 1 and total_repeat_length is None:
        count = index(counts.reshape(()).item())
        if count < 0:
            raise ArgumentError(f"repeat: repeats must not be negative, got {count}", fix="0 leaves all elements out")
        shape = (*x.shape[: axis + 1], count, *x.shape[axis + 1 :])
        x = lax.broadcast_in_dim(x, shape, without(range(x.ndim + 1), [axis + 1]))
        return lax.reshape(x, (*shape[:axis], shape[axis] * count, *shape[axis + 2 :]))
    positions = np.repeat(np.arange(x.shape[axis]), counts)
    if total_repeat_length is not None:
        fill = positions[-1] if positions.size else 0
        positions = np.concatenate([positions, np.full(total_repeat_length, fill)])[:total_repeat_length]
    return take(x, positions, axis)


def _repeated_by(x: Array, repeats: Array, axis: int, length: int) -> Array:
    """Repetition by traced counts: position i holds the element after whose predecessors' copies i comes."""
    counts = broadcast_to(repeats, (x.shape[axis],))
    ends = lax.cumsum(counts, 0)
    grid = (length, x.shape[axis])
    places = lax.broadcasted_iota(ends.dtype, grid, 0)
    passed = lax.ge(places, lax.broadcast_in_dim(ends, grid, (1,)))
    return take(x, lax.reduce_sum(lax.convert_element_type(passed, dtypes.int32), [1]), axis, mode="clip")
