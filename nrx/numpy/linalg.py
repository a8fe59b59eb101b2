"""Linear algebra, under the names of `numpy.linalg`.

Matrices lie in the last two axes, the axes before them are batches. Where NumPy raises LinAlgError (a matrix is
singular or not positive definite) the results are NaN, as in JAX.
"""

from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import as_int, canonical_axes, show
from nrx.numpy.creation import full_like
from nrx.numpy.decompositions import (
    cholesky,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    pinv,
    qr,
    svd,
    svdvals,
)  # fmt: skip
from nrx.numpy.diagonals import diagonal as _diagonal
from nrx.numpy.diagonals import eye
from nrx.numpy.linear_systems import (
    det,
    inv,
    lstsq,
    matrix_rank,
    multi_dot,
    slogdet,
    solve,
    tensorinv,
    tensorsolve,
)  # fmt: skip
from nrx.numpy.logic import where
from nrx.numpy.manipulation import expand_dims, matrix_transpose, moveaxis
from nrx.numpy.products import cross as _cross
from nrx.numpy.products import matmul, outer, tensordot, vecdot
from nrx.numpy.products import trace as _trace
from nrx.numpy.promotion import as_inexact
from nrx.numpy.reductions import max as array_max
from nrx.numpy.reductions import min as array_min
from nrx.numpy.reductions import sum as array_sum

__all__ = [
    "cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr",
    "slogdet", "solve", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot", "vector_norm",
]  # fmt: skip


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    """The norm of a vector or matrix, or of those along axes.

    Args:
        x: an array.
        ord: the order; by default 2 of vectors and "fro" of matrices, which also have 1, -1, 2, -2, inf, -inf, "nuc".
        axis: an axis (norms of vectors), two axes (norms of matrices), or None: x itself.
        keepdims: whether these axes stay, with length 1.

    Returns:
        A real array without these axes, in the precision of x.

    Raises:
        ArgumentError: an order that there is not.
        ShapeError: more than two axes.

    >>> jnp.linalg.norm(jnp.array([3.0, 4.0]))
    Array(5., dtype=float32)
    """
    array = as_inexact("norm", x)
    if axis is None and (ord is None or array.ndim == 1):
        flat = lax.reshape(array, (array.size,))
        out = vector_norm(flat, ord=2 if ord is None else ord)
        return lax.reshape(out, (1,) * array.ndim) if keepdims else out
    axes = canonical_axes(axis, array.ndim)
    if len(axes) == 1:
        return vector_norm(array, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ShapeError(f"norm: a norm is taken over 1 or 2 axes, got {len(axes)} of shape {show(array.shape)}")
    return _norm_of_matrix(array, "fro" if ord is None else ord, axes, keepdims)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """The norm of vectors: of order 2 by default, of any order, inf or -inf.

    Args:
        x: an array.
        axis: an axis or a tuple of axes; None means all.
        keepdims: whether these axes stay, with length 1.
        ord: the order, a number, inf or -inf.

    Returns:
        A real array without these axes, in the precision of x.

    Raises:
        ArgumentError: the order is that of a norm of matrices.

    >>> jnp.linalg.vector_norm(jnp.array([[3.0, 4.0], [6.0, 8.0]]), axis=1)
    Array([ 5., 10.], dtype=float32)
    """
    array = as_inexact("vector_norm", x)
    axes = canonical_axes(axis, array.ndim)
    if ord == 2:
        square = lax.real(lax.mul(array, lax.conj(array))) if dtypes.is_complex(array.dtype) else lax.mul(array, array)
        return lax.sqrt(array_sum(square, axes, keepdims=keepdims))
    size = lax.abs(array)
    if ord in (np.inf, -np.inf):
        return (array_max if ord > 0 else array_min)(size, axes, keepdims=keepdims)
    if ord == 0:
        held = lax.convert_element_type(lax.ne(size, lax.full_like(size, 0)), size.dtype)
        return array_sum(held, axes, keepdims=keepdims)
    if ord == 1:
        return array_sum(size, axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise ArgumentError(f"vector_norm: {ord!r} is a norm of matrices")
    return lax.pow(array_sum(lax.pow(size, lax.full_like(size, ord)), axes, keepdims=keepdims), 1 / ord)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """The norm of matrices, in the last two axes.

    Args:
        x: an array of at least 2 axes.
        keepdims: whether the last two axes stay, with length 1.
        ord: "fro"; 1, -1, inf or -inf: of sums of moduli; 2, -2 or "nuc": of singular values.

    Returns:
        A real array without the last two axes, in the precision of x.

    Raises:
        ArgumentError: an order that there is not.

    >>> jnp.linalg.matrix_norm(jnp.array([[1.0, 2.0], [2.0, 4.0]]))
    Array(5., dtype=float32)
    """
    array = as_inexact("matrix_norm", x)
    if array.ndim < 2:
        raise ShapeError(f"matrix_norm needs an array of at least 2 axes, got shape {show(array.shape)}")
    return _norm_of_matrix(array, ord, (array.ndim - 2, array.ndim - 1), keepdims)


def _norm_of_matrix(x: Array, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Array:
    rows, columns = axes
    if ord == "fro":
        return vector_norm(x, axis=axes, keepdims=keepdims)
    if ord in (2, -2, "nuc"):
        values = svdvals(moveaxis(x, axes, (-2, -1)))
        out = array_sum(values, -1) if ord == "nuc" else values[..., 0 if ord > 0 else -1]
        return expand_dims(out, axes) if keepdims else out
    if ord not in (1, -1, np.inf, -np.inf):
        raise ArgumentError(f"norm: no matrix norm of order {ord!r}", fix='use "fro", "nuc", 1, -1, 2, -2, inf or -inf')
    summed, kept = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = array_sum(lax.abs(x), summed, keepdims=True)
    out = (array_max if ord > 0 else array_min)(sums, kept, keepdims=True)
    return out if keepdims else lax.squeeze(out, axes)


def matrix_power(a: Any, n: int) -> Array:
    """A square matrix multiplied n times with itself; its inverse for negative n.

    Args:
        a: an array of square matrices.
        n: an int.

    Returns:
        An array of the shape of a, and of its dtype (for negative n, integers as the default float).

    Raises:
        ShapeError: the matrices are not square.

    >>> jnp.linalg.matrix_power(jnp.array([[1, 1], [0, 1]]), 5)
    Array([[1, 5],
           [0, 1]], dtype=int32)
    """
    x = as_inexact("matrix_power", a) if not dtypes.is_integer(getattr(a, "dtype", np.dtype(float))) else a
    n = as_int(n, "matrix_power: n")
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"matrix_power needs square matrices, got shape {show(x.shape)}")
    if n < 0:
        x, n = inv(x), -n
    out = None
    while n:
        out = x if n & 1 and out is None else matmul(out, x) if n & 1 else out
        x, n = matmul(x, x) if n > 1 else x, n >> 1
    if out is not None:
        return out
    return where(eye(x.shape[-1], dtype=bool), full_like(x, 1), full_like(x, 0))


def cond(x: Any, p: Any = None) -> Array:
    """The condition numbers of matrices: the norm times the norm of the inverse.

    Args:
        x: an array of shape (..., m, n); square but for p = 2 and -2.
        p: the order of the norm, as of `norm`; None means 2.

    Returns:
        A real array of shape (...), in the precision of x.

    Raises:
        ShapeError: empty matrices.

    >>> jnp.linalg.cond(jnp.array([[4.0, 0.0], [0.0, 2.0]]))
    Array(2., dtype=float32)
    """
    array = as_inexact("cond", x)
    if array.ndim < 2 or 0 in array.shape[-2:]:
        raise ShapeError(f"cond needs matrices that are not empty, got shape {show(array.shape)}")
    if p in (None, 2, -2):
        values = svdvals(array)
        return values[..., -1] / values[..., 0] if p == -2 else values[..., 0] / values[..., -1]
    return matrix_norm(array, ord=p) * matrix_norm(inv(array), ord=p)


def diagonal(x: Any, /, *, offset: int = 0) -> Array:
    """The diagonals of matrices, in the last two axes.

    Args:
        x: an array of at least 2 axes.
        offset: which diagonal: above (positive) or below the main one.

    Returns:
        An array without the last axis but one, of the dtype of x.

    >>> jnp.linalg.diagonal(jnp.array([[1, 2], [3, 4]]))
    Array([1, 4], dtype=int32)
    """
    return _diagonal(x, offset, -2, -1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sums of the diagonals of matrices, in the last two axes.

    Args:
        x: an array of at least 2 axes.
        offset: which diagonal: above (positive) or below the main one.
        dtype: as for sum.

    Returns:
        An array without the last two axes.

    >>> jnp.linalg.trace(jnp.array([[1, 2], [3, 4]]))
    Array(5, dtype=int32)
    """
    return _trace(x, offset, -2, -1, dtype)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of 3 numbers along an axis.

    Args:
        x1: an array of vectors.
        x2: an array that broadcasts with x1.
        axis: the axis of the vectors.

    Returns:
        An array of their common shape and dtype.

    >>> jnp.linalg.cross(jnp.array([1, 0, 0]), jnp.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    return _cross(x1, x2, axis=axis)
