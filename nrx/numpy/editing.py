"""Changed copies: elements inserted, deleted, replaced, chosen; blocks joined; sizes changed."""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ImmutableError, IndexingError, ShapeError
from nrx.core.shapes import canonical_axes, canonical_axis, canonical_shape, show
from nrx.core.shapes import size as size_of
from nrx.numpy.arithmetic import clip, remainder
from nrx.numpy.data import from_data
from nrx.numpy.indexing import take
from nrx.numpy.joining import concatenate, tile
from nrx.numpy.known import constant, known
from nrx.numpy.manipulation import broadcast_arrays, broadcast_to, moveaxis
from nrx.numpy.promotion import promote_dtypes
from nrx.numpy.searching import nonzero
from nrx.ops.common import as_arrays


def _flat_or(x: Array, axis: int | None) -> tuple[Array, int]:
    return (x.reshape(-1), 0) if axis is None else (x, canonical_axis(axis, x.ndim))


def _refuse_in_place(name: str, inplace: bool) -> None:
    if inplace:
        raise ImmutableError(f"{name} would change the array in place", fix="pass inplace=False and use the result")


def _values(name: str, values: Any, x: Array) -> Array:
    """Values to put into an array, in its dtype; Python numbers at once, as the default dtypes may be narrower."""
    if not isinstance(values, bool | int | float | complex):
        values = asarray(values, f"{name}: values")
    return lax.convert_element_type(values, x.dtype)


# Inserting and deleting


def delete(arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False) -> Array:
    """An array without some of its elements or slices.

    Args:
        arr: an array.
        obj: the positions to leave out: an integer, a slice, a vector of integers or a boolean mask; known, but for one
            integer or with assume_unique_indices.
        axis: an axis; None deletes from the flat array.
        assume_unique_indices: whether no position of a traced vector occurs twice.

    Returns:
        An array of the dtype of arr.

    Raises:
        ArgumentTypeError: the positions are traced.
        IndexingError: a position out of bounds.

    >>> jnp.delete(jnp.array([1, 2, 3, 4]), 1)
    Array([1, 3, 4], dtype=int32)
    """
    (x,) = as_arrays("delete", arr)
    x, at = _flat_or(x, axis)
    n = x.shape[at]
    if isinstance(obj, slice):
        return take(x, np.delete(np.arange(n), obj), at)
    places = from_data(obj, None)
    if not dtypes.is_bool(places.dtype) and (not places.ndim or assume_unique_indices):
        gone = lax.sort(remainder(places.reshape(-1), max(n, 1))) if places.size else places.reshape(-1).astype(int)
        if not isinstance(obj, Array) or hasattr(obj, "_data"):
            _checked("delete", known("delete", places), n)
        # Each position moves on by the deleted ones before it.
        kept = lax.iota(dtypes.scalar_dtype(int), n - gone.size)
        shifted = gone - lax.iota(gone.dtype, gone.size)
        moved = (kept[:, None] >= shifted).sum(1)
        return take(x, kept + moved, at, mode="clip")
    values = known("delete", places, "pass assume_unique_indices=True, or call it outside of jit")
    if values.dtype == bool and values.shape != (n,):
        raise ShapeError(f"delete: a mask of shape {show(values.shape)} for an axis of length {n}")
    return take(x, np.delete(np.arange(n), values if values.dtype == bool else _checked("delete", values, n)), at)


def _checked(name: str, places: np.ndarray, n: int) -> np.ndarray:
    """Known positions along an axis of length n, which must be within it."""
    if places.size and places.dtype.kind not in "iu":
        raise IndexingError(f"{name}: positions must be integers, got {places.dtype}")
    if places.size and (places.min() < -n or places.max() >= n):
        raise IndexingError(f"{name}: a position is out of bounds for an axis of length {n}")
    return places.astype(np.intp)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Array:
    """An array with values inserted before positions.

    Args:
        arr: an array.
        obj: the positions: an integer, a slice or a vector of integers, known.
        values: what to insert, in the dtype of arr; broadcasts.
        axis: an axis; None inserts into the flat array.

    Returns:
        An array of the dtype of arr.

    Raises:
        ArgumentTypeError: the positions are traced.
        IndexingError: a position out of bounds.

    >>> jnp.insert(jnp.array([1, 2, 3]), 1, 9)
    Array([1, 9, 2, 3], dtype=int32)
    """
    (x,) = as_arrays("insert", arr)
    new = _values("insert", values, x)
    x, at = _flat_or(x, axis)
    n = x.shape[at]
    if isinstance(obj, slice):
        places, scalar = np.arange(*obj.indices(n)), False
    else:
        places = known("insert", obj)
        places, scalar = (np.flatnonzero(places), False) if places.dtype == bool else (places, places.ndim == 0)
    places = _checked("insert", np.atleast_1d(places), n + 1 if places.size and np.max(places) == n else n)
    places = np.where(places < 0, places + n, places)
    if scalar and new.ndim:
        new = moveaxis(new if new.ndim >= x.ndim else new.reshape((1,) * (x.ndim - new.ndim) + new.shape), 0, at)
    new = new if new.ndim <= x.ndim else new.reshape(new.shape[-x.ndim :])
    count = new.shape[at] if places.size == 1 and new.ndim == x.ndim else places.size
    places = np.repeat(places, count) if places.size == 1 else places
    new = broadcast_to(new, (*x.shape[:at], count, *x.shape[at + 1 :]))
    # Where each slice of the result comes from: the array, or behind it the new ones.
    order = np.argsort(places, kind="stable")
    source = np.insert(np.arange(n), places[order], n + order)
    return take(concatenate([x, new], at), source, at)


def resize(a: Any, new_shape: Any) -> Array:
    """An array of another size: the elements in order, cut, or repeated from the start.

    Args:
        a: an array.
        new_shape: an int or a tuple of ints.

    Returns:
        An array of that shape, of the dtype of a; zeros, if a is empty.

    >>> jnp.resize(jnp.array([1, 2, 3]), (2, 2))
    Array([[1, 2],
           [3, 1]], dtype=int32)
    """
    (x,) = as_arrays("resize", a)
    shape = canonical_shape(new_shape)
    if not x.size:
        return lax.full(shape, 0, x.dtype)
    return tile(x.reshape(-1), -(-size_of(shape) // x.size))[: size_of(shape)].reshape(shape)


def trim_zeros(filt: Any, trim: str = "fb", axis: int | Sequence[int] | None = None) -> Array:
    """An array without the slices at its ends that are all zeros.

    Args:
        filt: an array, known.
        trim: "f" for the front, "b" for the back, "fb" for both.
        axis: the axis or axes that are made shorter; None means all.

    Returns:
        An array of the dtype of filt.

    Raises:
        ArgumentTypeError: the array is traced.
        AxisError: there is no such axis.

    >>> jnp.trim_zeros(jnp.array([0, 1, 0, 2, 0]))
    Array([1, 0, 2], dtype=int32)
    """
    (x,) = as_arrays("trim_zeros", filt)
    axes, nonzero_at = canonical_axes(axis, x.ndim), np.nonzero(np.atleast_1d(constant("trim_zeros", x)))
    ends = [slice(None)] * x.ndim
    for i in axes if "f" in trim.lower() or "b" in trim.lower() else ():
        held = nonzero_at[i]
        start, stop = (int(held.min()), int(held.max()) + 1) if held.size else (0, 0)
        ends[i] = slice(start if "f" in trim.lower() else 0, stop if "b" in trim.lower() or not stop else None)
    return x[tuple(ends)]


# Choosing


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Array:
    """For each element the choice that it numbers.

    Args:
        a: an array of integers.
        choices: a sequence of arrays that broadcast with a, or an array of choices along axis 0.
        out: must be None.
        mode: what happens with other numbers: "raise" (known numbers only), "wrap" or "clip".

    Returns:
        An array of the common dtype of the choices.

    Raises:
        ArgumentError: another mode, or `out`.
        ArgumentTypeError: traced numbers with mode "raise".
        IndexingError: a number without a choice, with mode "raise".

    >>> jnp.choose(jnp.array([1, 0]), [jnp.array([1, 2]), jnp.array([10, 20])])
    Array([10,  2], dtype=int32)
    """
    if out is not None:
        raise ArgumentError("choose: arrays are immutable, there is no `out`", fix="use the result")
    (which,) = as_arrays("choose", a)
    which, *options = broadcast_arrays(which, *promote_dtypes("choose", *choices))
    if mode == "raise":
        values = known("choose", which, 'use mode="wrap" or mode="clip"')
        if values.size and not (values.min() >= 0 and values.max() < len(options)):
            raise IndexingError(f"choose: a number is out of range for {len(options)} choices")
    elif mode not in ("wrap", "clip"):
        raise ArgumentError(f"choose: mode is 'raise', 'wrap' or 'clip', got {mode!r}")
    which = remainder(which, len(options)) if mode == "wrap" else clip(which, 0, len(options) - 1)
    return lax.select_n(which.astype(dtypes.int32), *options)


def compress(
    condition: Any, a: Any, axis: int | None = None, *, size: int | None = None, fill_value: Any = 0,
    out: None = None,
) -> Array:  # fmt: skip
    """The slices along an axis where a condition holds.

    Args:
        condition: a vector of booleans, no longer than the axis.
        a: an array.
        axis: an axis; None takes elements of the flat array.
        size: the number of slices to give: the result is cut, or filled up. Needed where the condition is traced.
        fill_value: what it is filled with.
        out: must be None.

    Returns:
        An array of the dtype of a.

    Raises:
        ArgumentTypeError: the condition is traced, and there is no size.
        ShapeError: the condition is not a vector that fits.

    >>> jnp.compress(jnp.array([True, False, True]), jnp.array([1, 2, 3]))
    Array([1, 3], dtype=int32)
    """
    if out is not None:
        raise ArgumentError("compress: arrays are immutable, there is no `out`", fix="use the result")
    held, x = as_arrays("compress", condition, a)
    x, at = _flat_or(x, axis)
    if held.ndim != 1 or held.size > x.shape[at]:
        raise ShapeError(f"compress: a condition of shape {show(held.shape)} for an axis of length {x.shape[at]}")
    if size is None:
        return take(x, nonzero(held)[0], at)
    places = nonzero(held, size=size, fill_value=x.shape[at])[0]
    return take(x, places, at, mode="fill", fill_value=fill_value)


def extract(condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0) -> Array:
    """The elements of the flat array where a condition holds.

    Args:
        condition: an array of as many elements.
        arr: an array.
        size: as for compress.
        fill_value: as for compress.

    Returns:
        A vector, as long as the condition holds, of the dtype of arr.

    Raises:
        ArgumentTypeError: the condition is traced, and there is no size.

    >>> jnp.extract(jnp.array([True, False, True]), jnp.array([1, 2, 3]))
    Array([1, 3], dtype=int32)
    """
    (held,) = as_arrays("extract", condition)
    return compress(held.reshape(-1), arr, size=size, fill_value=fill_value)


# Replacing


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Array:
    """A copy with values, in turn, in the places of a mask.

    Args:
        arr: an array.
        mask: an array of booleans of as many elements.
        vals: a vector of values, taken in turn, and again from the start.
        inplace: must be False: arrays are immutable.

    Returns:
        An array of the shape and dtype of arr. NumPy changes arr itself and returns None.

    Raises:
        ImmutableError: inplace is not False.
        ShapeError: a mask of another size, or no values.

    >>> jnp.place(jnp.array([1, 2, 3]), jnp.array([True, False, True]), jnp.array([8, 9]), inplace=False)
    Array([8, 2, 9], dtype=int32)
    """
    _refuse_in_place("place", inplace)
    x, held = as_arrays("place", arr, mask)
    new = _values("place", vals, x)
    if held.size != x.size or (not new.size and x.size):
        raise ShapeError(f"place: a mask of {held.size} and {new.size} values for {x.size} elements")
    if not x.size:
        return x
    held = held.reshape(-1).astype(bool)
    rank = lax.rem(lax.cumsum(held.astype(dtypes.int32), 0) - 1 + new.size, new.size)
    chosen = take(new.reshape(-1), rank, mode="clip")
    return lax.select(held, chosen, x.reshape(-1)).reshape(x.shape)


def put(a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = True) -> Array:
    """A copy with values at positions of the flat array.

    Args:
        a: an array.
        ind: an array of integers.
        v: values, taken in turn, and again from the start.
        mode: "clip" or "wrap": what happens out of bounds; by default an error where the positions are known, and
            nothing where they are traced.
        inplace: must be False: arrays are immutable.

    Returns:
        An array of the shape and dtype of a. NumPy changes a itself and returns None.

    Raises:
        ImmutableError: inplace is not False.
        IndexingError: a known position out of bounds.

    >>> jnp.put(jnp.array([1, 2, 3]), jnp.array([0, 2]), jnp.array([8, 9]), inplace=False)
    Array([8, 2, 9], dtype=int32)
    """
    _refuse_in_place("put", inplace)
    x, places = as_arrays("put", a, ind)
    new = _values("put", v, x)
    places = places.reshape(-1)
    if not places.size or not new.size:
        return x
    if mode not in (None, "clip", "wrap"):
        raise ArgumentError(f"put: mode is None, 'clip' or 'wrap', got {mode!r}")
    if mode is not None:
        places = remainder(places, x.size) if mode == "wrap" else clip(places, 0, x.size - 1)
    return x.reshape(-1).at[places].set(resize(new, places.size)).reshape(x.shape)


def put_along_axis(
    arr: Any, indices: Any, values: Any, axis: int | None, inplace: bool = True, *, mode: str | None = None
) -> Array:
    """A copy with values at indices along one axis, each line with its own indices.

    Args:
        arr: an array.
        indices: integers, of as many axes as arr, which broadcast against it except along `axis`.
        values: what to put there; broadcasts with the indices.
        axis: the axis to index; None indexes the flat array.
        inplace: must be False: arrays are immutable.
        mode: as for `x.at[...]`.

    Returns:
        An array of the shape and dtype of arr. NumPy changes arr itself and returns None.

    Raises:
        ImmutableError: inplace is not False.
        ShapeError: shapes that do not fit.

    >>> jnp.put_along_axis(jnp.array([[1, 2], [3, 4]]), jnp.array([[1], [0]]), 9, 1, inplace=False)
    Array([[1, 9],
           [9, 4]], dtype=int32)
    """
    _refuse_in_place("put_along_axis", inplace)
    x, places = as_arrays("put_along_axis", arr, indices)
    new = _values("put_along_axis", values, x)
    flat, at = _flat_or(x, axis)
    if places.ndim != flat.ndim:
        raise ShapeError(f"put_along_axis: indices of shape {show(places.shape)} for an array of {flat.ndim} axes")
    shape = tuple(n if i == at else m for i, (n, m) in enumerate(zip(places.shape, flat.shape, strict=True)))
    grid = [lax.broadcasted_iota(dtypes.int32, shape, i) for i in range(flat.ndim)]
    grid[at] = broadcast_to(places, shape)
    changed = flat.at[tuple(grid)].set(broadcast_to(new, shape), mode=mode)
    return changed.reshape(x.shape)


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Array:
    """A copy with values on the main diagonal.

    Args:
        a: an array of at least 2 axes; of one length, if there are more than 2.
        val: a value, or a vector of them, taken in turn.
        wrap: must be False.
        inplace: must be False: arrays are immutable.

    Returns:
        An array of the shape and dtype of a. NumPy changes a itself and returns None.

    Raises:
        ImmutableError: inplace is not False.
        ArgumentError: wrap.
        ShapeError: axes that have no diagonal.

    >>> jnp.fill_diagonal(jnp.zeros((2, 2)), 5, inplace=False)
    Array([[5., 0.],
           [0., 5.]], dtype=float32)
    """
    _refuse_in_place("fill_diagonal", inplace)
    if wrap:
        raise ArgumentError("fill_diagonal does not wrap tall matrices", fix="leave wrap=False")
    (x,) = as_arrays("fill_diagonal", a)
    new = _values("fill_diagonal", val, x)
    if x.ndim < 2 or (x.ndim > 2 and len(set(x.shape)) > 1):
        raise ShapeError(f"fill_diagonal takes a matrix or an array of equal axes, got shape {show(x.shape)}")
    n = min(x.shape)
    places = (lax.iota(dtypes.int32, n),) * x.ndim
    return x.at[places].set(resize(new, n) if new.ndim else broadcast_to(new, (n,)))


# Blocks


def block(arrays: Any) -> Array:
    """Arrays joined as nested lists lay them out: the innermost along the last axis.

    Args:
        arrays: an array, or nested lists of arrays and numbers, all equally deep.

    Returns:
        An array of the dtype in which all meet.

    Raises:
        ArgumentError: an empty list, or lists of different depths.

    >>> jnp.block([[jnp.eye(2), jnp.zeros((2, 1))], [jnp.ones((1, 3))]])
    Array([[1., 0., 0.],
           [0., 1., 0.],
           [1., 1., 1.]], dtype=float32)
    """
    depth = _depth(arrays)
    leaves = promote_dtypes("block", *_leaves(arrays))
    ndim = max(depth, *(x.ndim for x in leaves))

    left = iter(leaves)

    def joined(nest: Any, level: int) -> Array:
        if level == depth:
            x = next(left)
            return x.reshape((1,) * (ndim - x.ndim) + x.shape)
        return concatenate([joined(part, level + 1) for part in nest], ndim - depth + level)

    return joined(arrays, 0)


def _depth(nest: Any) -> int:
    if not isinstance(nest, list):
        return 0
    depths = {_depth(part) for part in nest}
    if len(depths) != 1:
        raise ArgumentError("block: lists must not be empty, and all equally deep")
    return 1 + depths.pop()


def _leaves(nest: Any) -> Sequence[Any]:
    return [leaf for part in nest for leaf in _leaves(part)] if isinstance(nest, list) else [nest]


# Partial order


def partition(a: Any, kth: int, axis: int = -1) -> Array:
    """The elements along an axis such that the k-th is in its sorted place, smaller ones before, larger behind.

    Args:
        a: an array.
        kth: the position that must be right.
        axis: an axis.

    Returns:
        An array of the shape and dtype of a; here it is wholly sorted, where NumPy leaves both sides unsorted.

    Raises:
        IndexingError: kth is out of bounds.

    >>> jnp.partition(jnp.array([3, 1, 2]), 1)
    Array([1, 2, 3], dtype=int32)
    """
    x, at = _partitioned("partition", a, kth, axis)
    return lax.sort(x, at)


def argpartition(a: Any, kth: int, axis: int = -1) -> Array:
    """The positions along an axis that partition the elements.

    Args:
        a: an array.
        kth: the position that must be right.
        axis: an axis.

    Returns:
        An array of the shape of a, of the default integer (NumPy: int64); here the elements are wholly sorted.

    Raises:
        IndexingError: kth is out of bounds.

    >>> jnp.argpartition(jnp.array([3, 1, 2]), 1)
    Array([1, 2, 0], dtype=int32)
    """
    x, at = _partitioned("argpartition", a, kth, axis)
    return lax.sort_key_val(x, lax.broadcasted_iota(dtypes.scalar_dtype(int), x.shape, at), at)[1]


def _partitioned(name: str, a: Any, kth: int, axis: int) -> tuple[Array, int]:
    (x,) = as_arrays(name, a)
    at = canonical_axis(axis, x.ndim)
    if not -x.shape[at] <= index(kth) < x.shape[at]:
        raise IndexingError(f"{name}: kth {kth} is out of bounds for an axis of length {x.shape[at]}")
    return x, at


def sort_complex(a: Any) -> Array:
    """The elements of a vector sorted by real, then imaginary part, as complex numbers.

    Args:
        a: an array, sorted along the last axis.

    Returns:
        A complex array.

    >>> jnp.sort_complex(jnp.array([2, 1]))
    Array([1.+0.j, 2.+0.j], dtype=complex64)
    """
    (x,) = as_arrays("sort_complex", a)
    ordered = lax.sort(x, x.ndim - 1) if x.ndim else x
    return ordered.astype(dtypes.complex_dtype(dtypes.inexact_dtype(x.dtype)))
