"""Sets: distinct elements, unions, intersections and differences of arrays.

How many elements come out depends on the values, so an array traced by `jit` or `vmap` needs `size`: the result is cut,
or filled up. A distinct element passes its derivative to the first place where it occurs.
"""

from collections.abc import Callable
from operator import index
from typing import Any, NamedTuple

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, wrap
from nrx.core.errors import ArgumentError
from nrx.core.shapes import canonical_axis
from nrx.core.shapes import size as count_of
from nrx.core.trace import Tracer
from nrx.numpy import reductions
from nrx.numpy.arithmetic import minimum
from nrx.numpy.indexing import take
from nrx.numpy.joining import concatenate
from nrx.numpy.known import constant
from nrx.numpy.logic import isnan, logical_and, logical_not, logical_or, where
from nrx.numpy.manipulation import moveaxis
from nrx.numpy.promotion import promote_dtypes
from nrx.numpy.searching import nonzero, searchsorted
from nrx.ops.common import as_arrays

_SIZE_FIX = "pass size=n (the result is cut, or filled with fill_value), or call it outside of jit"


def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True, size: int | None = None, fill_value: Any = None,
    sorted: bool = True,
) -> Any:  # fmt: skip
    """The sorted distinct elements.

    Args:
        ar: an array.
        return_index: whether to return where each first occurs.
        return_inverse: whether to return where each element is among the distinct ones.
        return_counts: whether to return how often each occurs.
        axis: the axis whose slices are compared; None means elements.
        equal_nan: whether NaN equals NaN.
        size: how many to give: the result is cut, or filled up. Needed where `ar` is traced.
        fill_value: what it is filled with; by default the smallest element. Its count is 0.
        sorted: without effect: they are sorted.

    Returns:
        An array of the dtype of ar, a vector unless there is an axis; or a tuple of it and what else was asked for:
        vectors of integers, the inverse in the shape of ar.

    Raises:
        ArgumentTypeError: the array is traced, and there is no size.

    >>> jnp.unique(jnp.array([3, 1, 3]), return_counts=True)
    (Array([1, 3], dtype=int32), Array([1, 2], dtype=int32))
    >>> jnp.unique(jnp.array([3, 1, 3]), size=3, fill_value=0)
    Array([1, 3, 0], dtype=int32)
    """
    (x,) = as_arrays("unique", ar)
    options = (return_index, return_inverse, return_counts)
    if size is None:
        return _unique(x, *options, axis, equal_nan)
    flat = x.reshape(-1) if axis is None else moveaxis(x, axis, 0)
    distinct, first, inverse, counts = _sized(flat, index(size), fill_value, equal_nan)
    if axis is None:
        inverse = inverse.reshape(x.shape)
    else:
        distinct = moveaxis(distinct, 0, canonical_axis(axis, x.ndim))
    chosen = [part for part, asked in zip((first, inverse, counts), options, strict=True) if asked]
    return (distinct, *chosen) if chosen else distinct


def _unique(x: Array, index: bool, inverse: bool, counts: bool, axis: int | None, equal_nan: bool) -> Any:
    """`unique` of known values, by NumPy."""
    traced = isinstance(x, Tracer)
    values = _comparable(constant("unique", x, _SIZE_FIX))
    asked = (index or traced, inverse, counts)
    found: Any = np.unique(values, *asked, axis, equal_nan=equal_nan)  # type: ignore[call-overload]
    distinct, *others = found if isinstance(found, tuple) else (found,)
    distinct = take(x, others[0], axis) if traced else wrap(distinct.astype(x.dtype))
    if traced and not index:
        del others[0]
    return (distinct, *map(_positions, others)) if others else distinct


def _comparable(values: np.ndarray) -> np.ndarray:
    """Values in a dtype whose NaN NumPy sorts."""
    return values.astype(np.float32) if dtypes.is_narrow(values.dtype) else values


def _positions(found: np.ndarray) -> Array:
    return wrap(found.astype(dtypes.scalar_dtype(int)))


def _elements(x: Array, distinct: np.ndarray) -> Array:
    """Those elements of `x` that NumPy found to be distinct; the first of equal ones, where they have derivatives."""
    if not isinstance(x, Tracer):
        return wrap(distinct)
    values = _comparable(np.asarray(lax.stop_gradient(x))).reshape(-1)
    order = np.argsort(values, kind="stable")
    return take(x, order[np.searchsorted(values, distinct, sorter=order)])


def _sized(x: Array, size: int, fill_value: Any, equal_nan: bool) -> tuple[Array, Array, Array, Array]:
    """`size` distinct slices along axis 0, where each first occurs, the inverse, and the counts."""
    integer = dtypes.scalar_dtype(int)
    n = x.shape[0]
    rows = x.reshape(n, count_of(x.shape[1:]))
    order = lax.iota(integer, n)
    for column in range(rows.shape[1] - 1, -1, -1):
        order = lax.sort_key_val(take(rows[:, column], order, mode="clip"), order, 0)[1]
    ordered = take(rows, order, 0, mode="clip")
    same = ordered[1:] == ordered[:-1]
    if equal_nan:
        same = logical_or(same, logical_and(isnan(ordered[1:]), isnan(ordered[:-1])))
    starts = concatenate([lax.full((min(n, 1),), True), logical_not(reductions.all(same, 1))])
    rank = reductions.cumsum(starts) - 1
    inverse = lax.full((n,), 0, integer).at[order].set(rank.astype(integer))
    places = nonzero(starts, size=size, fill_value=n)[0]
    counts = lax.full((size,), 0, integer).at[inverse].add(1, mode="drop")
    valid = places < n
    first = take(order, minimum(places, max(n - 1, 0)), mode="clip") if n else places
    if n:
        values = take(ordered, minimum(places, n - 1), 0, mode="clip")
        filling = ordered[0] if fill_value is None else lax.full_like(ordered[0], 0) + _as(fill_value, x)
    else:
        values = lax.full_like(rows, 0, shape=(size, rows.shape[1]))
        filling = values[0] * 0 + _as(0 if fill_value is None else fill_value, x) if size else rows.sum(0)
    values = where(valid[:, None], values, filling)
    fill_at = first[0] if size and n else 0
    return values.reshape(size, *x.shape[1:]), where(valid, first, fill_at), minimum(inverse, max(size - 1, 0)), counts


def _as(value: Any, x: Array) -> Array:
    return as_arrays("fill_value", value)[0].astype(x.dtype)


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Array
    inverse_indices: Array


def unique_all(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueAll:
    """The sorted distinct elements, where each first occurs, the inverse, and the counts; each NaN is of its own.

    Args:
        x: an array.
        size: as for unique.
        fill_value: as for unique.

    Returns:
        A named tuple: values, indices, inverse_indices, counts. The values have the dtype of x, the inverse its shape;
        what counts is integers.

    Raises:
        ArgumentTypeError: the array is traced, and there is no size.

    >>> jnp.unique_all(jnp.array([3, 1, 3])).indices
    Array([1, 0], dtype=int32)
    """
    return UniqueAll(*unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value))


def unique_counts(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueCounts:
    """The sorted distinct elements, and how often each occurs; each NaN is of its own.

    Args:
        x: an array.
        size: as for unique.
        fill_value: as for unique.

    Returns:
        A named tuple: values, counts; vectors, of the dtype of x and of integers.

    Raises:
        ArgumentTypeError: the array is traced, and there is no size.

    >>> jnp.unique_counts(jnp.array([3, 1, 3])).counts
    Array([1, 2], dtype=int32)
    """
    return UniqueCounts(*unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_inverse(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueInverse:
    """The sorted distinct elements, and where each element is among them; each NaN is of its own.

    Args:
        x: an array.
        size: as for unique.
        fill_value: as for unique.

    Returns:
        A named tuple: values, inverse_indices; a vector of the dtype of x, and integers in the shape of x.

    Raises:
        ArgumentTypeError: the array is traced, and there is no size.

    >>> jnp.unique_inverse(jnp.array([3, 1, 3])).inverse_indices
    Array([1, 0, 1], dtype=int32)
    """
    return UniqueInverse(*unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_values(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The sorted distinct elements; each NaN is of its own.

    Args:
        x: an array.
        size: as for unique.
        fill_value: as for unique.

    Returns:
        A vector of the dtype of x.

    Raises:
        ArgumentTypeError: the array is traced, and there is no size.

    >>> jnp.unique_values(jnp.array([3, 1, 3]))
    Array([1, 3], dtype=int32)
    """
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, method: str = "auto"
) -> Array:
    """Whether each element is among others.

    Args:
        element: an array.
        test_elements: an array.
        assume_unique: without effect.
        invert: whether to ask if it is not.
        method: without effect.

    Returns:
        A boolean array of the shape of element.

    >>> jnp.isin(jnp.array([1, 2, 3]), jnp.array([3, 1]))
    Array([ True, False,  True], dtype=bool)
    """
    x, others = promote_dtypes("isin", element, test_elements)
    line = lax.sort(others.reshape(-1))
    if not line.size:
        return lax.full(x.shape, bool(invert))
    found = take(line, minimum(searchsorted(line, x), line.size - 1), mode="clip") == x
    return logical_not(found) if invert else found


def union1d(ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The sorted distinct elements of two arrays.

    Args:
        ar1: an array.
        ar2: an array.
        size: as for unique.
        fill_value: as for unique.

    Returns:
        A vector of the dtype in which both meet.

    Raises:
        ArgumentTypeError: an array is traced, and there is no size.

    >>> jnp.union1d(jnp.array([3, 1]), jnp.array([2, 3]))
    Array([1, 2, 3], dtype=int32)
    """
    x, y = promote_dtypes("union1d", ar1, ar2)
    return unique(concatenate([x.reshape(-1), y.reshape(-1)]), size=size, fill_value=fill_value)


def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False, *, size: int | None = None,
    fill_value: Any = None,
) -> Any:  # fmt: skip
    """The sorted distinct elements that two arrays have in common.

    Args:
        ar1: an array.
        ar2: an array.
        assume_unique: whether neither array has an element twice; the result is the same.
        return_indices: whether to return where each first occurs in both arrays; not with a size.
        size: as for unique.
        fill_value: as for unique.

    Returns:
        A vector of the dtype in which both meet, or a tuple of three: it and two vectors of integers.

    Raises:
        ArgumentTypeError: an array is traced, and there is no size.
        ArgumentError: indices are asked for, and a size is given.

    >>> jnp.intersect1d(jnp.array([3, 1, 2]), jnp.array([2, 3, 5]))
    Array([2, 3], dtype=int32)
    """
    if size is None:
        arrays = promote_dtypes("intersect1d", ar1, ar2)
        x, y = (constant("intersect1d", v, _SIZE_FIX) for v in arrays)
        found: Any = np.intersect1d(x, y, assume_unique, return_indices)  # type: ignore[call-overload]
        if not return_indices:
            return _elements(arrays[0], found)
        return (_elements(arrays[0], found[0]), *map(_positions, found[1:]))
    if return_indices:
        raise ArgumentError("intersect1d gives no indices with a size", fix="leave one of them out")
    return _chosen("intersect1d", ar1, ar2, lambda x, y: isin(x, y), size, fill_value)


def setdiff1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Array:
    """The distinct elements of an array that another does not have.

    Args:
        ar1: an array.
        ar2: an array.
        assume_unique: whether neither array has an element twice; the result then keeps the order of ar1.
        size: as for unique.
        fill_value: as for unique.

    Returns:
        A vector of the dtype in which both meet.

    Raises:
        ArgumentTypeError: an array is traced, and there is no size.

    >>> jnp.setdiff1d(jnp.array([3, 1, 2]), jnp.array([2, 5]))
    Array([1, 3], dtype=int32)
    """
    if size is None:
        arrays = promote_dtypes("setdiff1d", ar1, ar2)
        x, y = (constant("setdiff1d", v, _SIZE_FIX) for v in arrays)
        return _elements(arrays[0], np.setdiff1d(x, y, assume_unique))
    return _chosen("setdiff1d", ar1, ar2, lambda x, y: isin(x, y, invert=True), size, fill_value)


def setxor1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Array:
    """The sorted distinct elements that just one of two arrays has.

    Args:
        ar1: an array.
        ar2: an array.
        assume_unique: without effect.
        size: as for unique.
        fill_value: as for unique.

    Returns:
        A vector of the dtype in which both meet.

    Raises:
        ArgumentTypeError: an array is traced, and there is no size.

    >>> jnp.setxor1d(jnp.array([3, 1, 2]), jnp.array([2, 5]))
    Array([1, 3, 5], dtype=int32)
    """
    if size is None:
        arrays = promote_dtypes("setxor1d", ar1, ar2)
        x, y = (constant("setxor1d", v, _SIZE_FIX) for v in arrays)
        return _elements(concatenate([v.reshape(-1) for v in arrays]), np.setxor1d(x, y))

    def either(both: Array, y: Array) -> Array:
        x = both[: both.size - y.size]
        return where(isin(both, x), logical_not(isin(both, y)), True)

    x, y = (v.reshape(-1) for v in promote_dtypes("setxor1d", ar1, ar2))
    return _chosen("setxor1d", concatenate([x, y]), y, either, size, fill_value)


def _chosen(name: str, ar1: Any, ar2: Any, choose: Callable, size: int, fill_value: Any) -> Array:
    """`size` of the sorted distinct elements of an array for which `choose(elements, other array)` holds."""
    x, y = (v.reshape(-1) for v in promote_dtypes(name, ar1, ar2))
    held = choose(x, y)
    order = lax.sort_key_val(x, lax.iota(dtypes.int32, x.size), 0)[1]
    ordered, held = take(x, order, mode="clip"), take(held, order, mode="clip")
    starts = concatenate([lax.full((min(x.size, 1),), True), ordered[1:] != ordered[:-1]])
    places = nonzero(logical_and(starts, held), size=index(size), fill_value=x.size)[0]
    if not x.size:
        return lax.full((size,), 0, x.dtype) + _as(0 if fill_value is None else fill_value, x)
    filling = take(ordered, minimum(places, x.size - 1)[:1], mode="clip") if fill_value is None else _as(fill_value, x)
    return where(places < x.size, take(ordered, minimum(places, x.size - 1), mode="clip"), filling)
