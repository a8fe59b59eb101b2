"""Matrices with a diagonal, triangles, and the diagonals of arrays."""

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, AxisError, ShapeError
from nrx.core.shapes import canonical_axis, show, without
from nrx.numpy.data import DeviceLike, cast, placed
from nrx.ops.common import as_arrays


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None, *, device: DeviceLike = None) -> Array:
    """A matrix with ones on a diagonal, zeros elsewhere.

    Args:
        N: the number of rows.
        M: the number of columns; by default as many.
        k: which diagonal: above (positive) or below the main one.
        dtype: the dtype; by default the default float.
        device: where to put it; by default on the default device.

    Returns:
        A matrix.

    >>> jnp.eye(2, 3, k=1)
    Array([[0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    mask = _compare_positions(lax.eq, _sizes("eye", N, M), k)
    return placed(lax.convert_element_type(mask, float if dtype is None else dtype), device)


def _sizes(name: str, rows: int, columns: int | None) -> tuple[int, int]:
    sizes = index(rows), index(rows if columns is None else columns)
    for argument, size in zip("NM", sizes, strict=True):
        if size < 0:
            raise ArgumentError(f"{name}: {argument} must not be negative, got {size}", fix="pass 0 or more")
    return sizes


def identity(n: int, dtype: Any = None) -> Array:
    """The n × n identity matrix.

    Args:
        n: the number of rows and columns.
        dtype: the dtype; by default the default float.

    Returns:
        A matrix.

    >>> jnp.identity(2)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Array:
    """A matrix with ones on and below a diagonal, zeros above.

    Args:
        N: the number of rows.
        M: the number of columns; by default as many.
        k: the last diagonal of ones.
        dtype: the dtype; by default the default float.

    Returns:
        A matrix.

    >>> jnp.tri(3, dtype=jnp.int32)
    Array([[1, 0, 0],
           [1, 1, 0],
           [1, 1, 1]], dtype=int32)
    """
    mask = _compare_positions(lax.ge, _sizes("tri", N, M), k)
    return lax.convert_element_type(mask, float if dtype is None else dtype)


def tril(m: Any, k: int = 0) -> Array:
    """The lower triangle of the last two axes: elements above the k-th diagonal are zero.

    Args:
        m: an array of at least 2 axes.
        k: the last diagonal to keep.

    Returns:
        An array of the shape and dtype of m.

    >>> jnp.tril(jnp.array([[1, 2], [3, 4]]))
    Array([[1, 0],
           [3, 4]], dtype=int32)
    """
    return _triangle("tril", m, k, below=True)


def triu(m: Any, k: int = 0) -> Array:
    """The upper triangle of the last two axes: elements below the k-th diagonal are zero.

    Args:
        m: an array of at least 2 axes.
        k: the first diagonal to keep.

    Returns:
        An array of the shape and dtype of m.

    >>> jnp.triu(jnp.array([[1, 2], [3, 4]]))
    Array([[1, 2],
           [0, 4]], dtype=int32)
    """
    return _triangle("triu", m, k, below=False)


def _compare_positions(compare: Callable, shape: tuple[int, ...], k: int) -> Array:
    """`compare(row + k, column)` for the last two axes of `shape`."""
    rows = lax.broadcasted_iota(dtypes.int32, shape, len(shape) - 2)
    columns = lax.broadcasted_iota(dtypes.int32, shape, len(shape) - 1)
    diagonal = max(-shape[-2], min(index(k), shape[-1]))  # all diagonals beyond the corners are the same
    return compare(lax.add(rows, diagonal), columns)


def _triangle(name: str, m: Any, k: int, below: bool) -> Array:
    (x,) = as_arrays(name, m)
    if x.ndim < 2:
        raise ShapeError(f"{name} needs an array of at least 2 axes, got shape {show(x.shape)}")
    mask = _compare_positions(lax.ge, x.shape, k if below else k - 1)
    zero = lax.full_like(x, 0)
    return lax.select(mask, x, zero) if below else lax.select(mask, zero, x)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The row and column indices of the lower triangle of an n × m matrix.

    Args:
        n: the number of rows.
        k: the last diagonal of the triangle.
        m: the number of columns; by default as many.

    Returns:
        Two vectors of the default integer.

    >>> jnp.tril_indices(2)
    (Array([0, 1, 1], dtype=int32), Array([0, 0, 1], dtype=int32))
    """
    rows, columns = (cast(i, dtypes.scalar_dtype(int)) for i in np.tril_indices(n, k, m))
    return rows, columns


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The row and column indices of the upper triangle of an n × m matrix.

    Args:
        n: the number of rows.
        k: the first diagonal of the triangle.
        m: the number of columns; by default as many.

    Returns:
        Two vectors of the default integer.

    >>> jnp.triu_indices(2)
    (Array([0, 0, 1], dtype=int32), Array([0, 1, 1], dtype=int32))
    """
    rows, columns = (cast(i, dtypes.scalar_dtype(int)) for i in np.triu_indices(n, k, m))
    return rows, columns


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The indices of the diagonal of an array of `ndim` axes of length n.

    Args:
        n: the length of the axes.
        ndim: the number of axes.

    Returns:
        A tuple of vectors of the default integer, one an axis.

    >>> jnp.diag_indices(2)
    (Array([0, 1], dtype=int32), Array([0, 1], dtype=int32))
    """
    return (lax.iota(dtypes.scalar_dtype(int), n),) * ndim


def diag(v: Any, k: int = 0) -> Array:
    """The k-th diagonal of a matrix, or the matrix with a vector on it.

    Args:
        v: a vector or a matrix.
        k: which diagonal: above (positive) or below the main one.

    Returns:
        A matrix or a vector, of the dtype of v.

    Raises:
        ShapeError: v is neither a vector nor a matrix.

    >>> jnp.diag(jnp.array([1, 2]))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    (x,) = as_arrays("diag", v)
    if x.ndim == 1:
        return diagflat(x, k)
    if x.ndim != 2:
        raise ShapeError(f"diag takes a vector or a matrix, got shape {show(x.shape)}", fix="use diagonal")
    return diagonal(x, k)


def diagflat(v: Any, k: int = 0) -> Array:
    """The matrix with the flattened elements on its k-th diagonal.

    Args:
        v: an array.
        k: which diagonal: above (positive) or below the main one.

    Returns:
        A matrix of the dtype of v.

    >>> jnp.diagflat(jnp.array([[1, 2]]))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    (x,) = as_arrays("diagflat", v)
    x, n = lax.reshape(x, (x.size,)), x.size + abs(k)
    before, after = (0, k) if k >= 0 else (-k, 0)
    columns = lax.pad(x, lax.full_like(x, 0, shape=()), [(after, before, 0)])
    rows = lax.broadcast_in_dim(columns, (n, n), (1,))
    return lax.select(_compare_positions(lax.eq, (n, n), k), rows, lax.full_like(rows, 0))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The elements on a diagonal of two axes, as a last axis in their place.

    Args:
        a: an array of at least 2 axes.
        offset: which diagonal: above (positive) or below the main one.
        axis1: the axis of the rows.
        axis2: the axis of the columns.

    Returns:
        An array with the diagonals along a last axis in place of the two, of the dtype of a.

    Raises:
        ShapeError: a has less than 2 axes.
        AxisError: the two axes are the same, or a does not have them.

    >>> jnp.diagonal(jnp.array([[1, 2], [3, 4]]))
    Array([1, 4], dtype=int32)
    """
    (x,) = as_arrays("diagonal", a)
    if x.ndim < 2:
        raise ShapeError(f"diagonal needs an array of at least 2 axes, got shape {show(x.shape)}")
    first, second = canonical_axis(axis1, x.ndim), canonical_axis(axis2, x.ndim)
    if first == second:
        raise AxisError(f"diagonal: axis1 and axis2 are the same axis, {first}")
    x = lax.transpose(x, (*without(range(x.ndim), [first, second]), first, second))
    *batch, rows, columns = x.shape
    length = min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns)
    # In the flattened matrix the diagonal stands at every (columns + 1)-th place.
    flat = lax.reshape(x, (*batch, rows * columns))
    if length <= 0:
        return lax.slice_in_dim(flat, 0, 0, axis=-1)
    start = offset if offset >= 0 else -offset * columns
    return lax.slice_in_dim(flat, start, start + (length - 1) * (columns + 1) + 1, columns + 1, axis=-1)
