"""Matrices with a diagonal, triangles, and the diagonals of arrays."""

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import AxisError, ShapeError
from nrx.core.shapes import canonical_axis, show, without
from nrx.numpy.data import DeviceLike, asarray, cast, placed
from nrx.numpy.promotion import as_arrays

def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None, *, device: DeviceLike = None) -> Array:
    """A matrix with ones on a diagonal, zeros elsewhere."""
    mask = _compare_positions(lax.eq, (index(N), index(N if M is None else M)), k)
    return placed(lax.convert_element_type(mask, float if dtype is None else dtype), device)


def identity(n: int, dtype: Any = None) -> Array:
    """The n × n identity matrix."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Array:
    """A matrix with ones on and below a diagonal, zeros above."""
    mask = _compare_positions(lax.ge, (index(N), index(N if M is None else M)), k)
    return lax.convert_element_type(mask, float if dtype is None else dtype)


def tril(m: Any, k: int = 0) -> Array:
    """The lower triangle of the last two axes: elements above the k-th diagonal are zero."""
    return _triangle("tril", m, k, below=True)


def triu(m: Any, k: int = 0) -> Array:
    """The upper triangle of the last two axes: elements below the k-th diagonal are zero."""
    return _triangle("triu", m, k, below=False)


def _compare_positions(compare: Callable, shape: tuple[int, ...], k: int) -> Array:
    """`compare(row + k, column)` for the last two axes of `shape`."""
    rows = lax.broadcasted_iota(dtypes.int32, shape, len(shape) - 2)
    columns = lax.broadcasted_iota(dtypes.int32, shape, len(shape) - 1)
    return compare(lax.add(rows, index(k)), columns)


def _triangle(name: str, m: Any, k: int, below: bool) -> Array:
    x = asarray(m)
    if x.ndim < 2:
        raise ShapeError(f"{name} needs an array of at least 2 axes, got shape {show(x.shape)}")
    mask = _compare_positions(lax.ge, x.shape, k if below else k - 1)
    zero = lax.full_like(x, 0)
    return lax.select(mask, x, zero) if below else lax.select(mask, zero, x)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The row and column indices of the lower triangle of an n × m matrix."""
    rows, columns = np.tril_indices(n, k, m)
    return _scalar(rows, dtypes.scalar_dtype(int)), _scalar(columns, dtypes.scalar_dtype(int))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The row and column indices of the upper triangle of an n × m matrix."""
    rows, columns = np.triu_indices(n, k, m)
    return _scalar(rows, dtypes.scalar_dtype(int)), _scalar(columns, dtypes.scalar_dtype(int))


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The indices of the diagonal of an array of `ndim` axes of length n."""
    return (lax.iota(dtypes.scalar_dtype(int), n),) * ndim


def diag(v: Any, k: int = 0) -> Array:
    """The k-th diagonal of a matrix, or the matrix with a vector on it."""
    x = asarray(v)
    if x.ndim == 1:
        return diagflat(x, k)
    if x.ndim != 2:
        raise ShapeError(f"diag takes a vector or a matrix, got shape {show(x.shape)}", fix="use diagonal")
    return diagonal(x, k)


def diagflat(v: Any, k: int = 0) -> Array:
    """The matrix with the flattened elements on its k-th diagonal."""
    x = asarray(v)
    x, n = lax.reshape(x, (x.size,)), x.size + abs(k)
    before, after = (0, k) if k >= 0 else (-k, 0)
    columns = lax.pad(x, 0, [(after, before, 0)])
    rows = lax.broadcast_in_dim(columns, (n, n), (1,))
    return lax.select(_compare_positions(lax.eq, (n, n), k), rows, lax.full_like(rows, 0))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The elements on a diagonal of two axes, as a last axis in their place."""
    x = asarray(a)
    if x.ndim < 2:
        raise ShapeError(f"diagonal needs an array of at least 2 axes, got shape {show(x.shape)}")
    axis1, axis2 = (axis1 % x.ndim, axis2 % x.ndim)
    if axis1 == axis2:
        raise ShapeError("diagonal: axis1 and axis2 are the same axis")
    x = lax.transpose(x, [*(i for i in range(x.ndim) if i not in (axis1, axis2)), axis1, axis2])
    *batch, rows, columns = x.shape
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    # In the flattened matrix the diagonal stands at every (columns + 1)-th place.
    first = offset if offset >= 0 else -offset * columns
    flat = lax.reshape(x, (*batch, rows * columns))
    if not length:
        return lax.slice_in_dim(flat, 0, 0, axis=-1)
    return lax.slice_in_dim(flat, first, first + (length - 1) * (columns + 1) + 1, columns + 1, axis=-1)
