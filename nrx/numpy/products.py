"""Products of vectors, matrices and arrays of matrices."""

from collections.abc import Sequence
from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import Shape, broadcast_shapes, canonical_axes, canonical_axis, show, without
from nrx.numpy.diagonals import diagonal
from nrx.numpy.manipulation import moveaxis
from nrx.numpy.planning import Planned
from nrx.numpy.promotion import broadcast, promote_dtypes
from nrx.numpy.reductions import reject_out
from nrx.numpy.reductions import sum as array_sum
from nrx.numpy.universal import universal
from nrx.ops.common import as_arrays


def contract(x: Array, y: Array, axes: Any, batch: Any, precision: Any = None, preferred: Any = None) -> Array:
    """`lax.dot_general` of arrays of one dtype; booleans multiply as and, and add as or."""
    if not dtypes.is_bool(x.dtype):
        return lax.dot_general(x, y, (axes, batch), precision, preferred)
    x, y = (lax.convert_element_type(v, dtypes.int32) for v in (x, y))
    counts = lax.dot_general(x, y, (axes, batch))
    return lax.convert_element_type(counts, dtypes.bool_ if preferred is None else preferred)


def times(x: Array, y: Array) -> Array:
    """The elementwise product of arrays of one shape and dtype; of booleans and."""
    return lax.bitwise_and(x, y) if dtypes.is_bool(x.dtype) else lax.mul(x, y)


def dot(
    a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out_sharding: Any = None
) -> Array:
    """The product of the last axis of `a` with the last but one (of a vector, the only) axis of `b`.

    Args:
        a: an array.
        b: an array.
        precision: how exactly an accelerator multiplies float32: None, "default", "high" or "highest".
        preferred_element_type: the dtype of the result; by default the common one.

    Returns:
        An array of the other axes of a, then those of b.

    Raises:
        ShapeError: the shapes do not fit.

    >>> jnp.dot(jnp.array([[1, 2], [3, 4]]), jnp.array([1, 10]))
    Array([21, 43], dtype=int32)
    """
    return _dot(a, b, precision=precision, preferred=preferred_element_type)


@Planned
def _dot(a: Any, b: Any, *, precision: Any, preferred: Any) -> Array:
    x, y = promote_dtypes("dot", a, b)
    if not x.ndim or not y.ndim:
        return times(*broadcast([x, y]))
    at = max(y.ndim - 2, 0)
    _check_lengths("dot", x, y, x.ndim - 1, at)
    return contract(x, y, ((x.ndim - 1,), (at,)), ((), ()), precision, preferred)


def _check_lengths(name: str, x: Array, y: Array, i: int, j: int) -> None:
    if x.shape[i] != y.shape[j]:
        raise ShapeError(
            f"{name}: shapes {show(x.shape)} and {show(y.shape)} do not fit: "
            f"axis {i} of the first has length {x.shape[i]}, axis {j} of the second {y.shape[j]}",
            fix="make the two axes equal, perhaps by transposing one of them (x.T)",
        )


@universal
def matmul(
    a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out_sharding: Any = None
) -> Array:
    """The matrix product of the last two axes; the axes before them broadcast. Vectors count as row or column.

    Args:
        a: an array of at least 1 axis.
        b: an array of at least 1 axis.
        precision: how exactly an accelerator multiplies float32: None, "default", "high" or "highest".
        preferred_element_type: the dtype of the result; by default the common one.

    Returns:
        An array.

    Raises:
        ShapeError: the shapes do not fit.

    >>> jnp.matmul(jnp.ones((5, 2, 3)), jnp.ones((3, 4))).shape
    (5, 2, 4)
    """
    return _matmul(a, b, precision=precision, preferred=preferred_element_type)


@Planned
def _matmul(a: Any, b: Any, *, precision: Any, preferred: Any) -> Array:
    x, y = promote_dtypes("matmul", a, b)
    if not x.ndim or not y.ndim:
        raise ShapeError(f"matmul takes no scalars, got shapes {show(x.shape)} and {show(y.shape)}", fix="use *")
    rows = max(y.ndim - 2, 0)
    _check_lengths("matmul", x, y, x.ndim - 1, rows)
    if y.ndim <= 2:  # all matrices of x share one factor
        return contract(x, y, ((x.ndim - 1,), (rows,)), ((), ()), precision, preferred)
    batch = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x, y = (_batched(v, batch) for v in (x, y))
    axes = tuple(range(len(batch)))
    return contract(x, y, ((x.ndim - 1,), (y.ndim - 2,)), (axes, axes), precision, preferred)


def _batched(x: Array, batch: Shape) -> Array:
    """A vector, a matrix or matrices with the axes `batch` before the last one or two."""
    own = x.shape[-2:]
    return lax.broadcast_in_dim(x, (*batch, *own), range(len(batch) + len(own) - x.ndim, len(batch) + len(own)))


@universal
def matvec(x1: Any, x2: Any, /) -> Array:
    """The products of matrices (last two axes of x1) with vectors (last axis of x2).

    Args:
        x1: an array of at least 2 axes.
        x2: an array of at least 1 axis.

    Returns:
        An array of shape (..., m) for matrices (..., m, n), in the dtype in which both meet.

    >>> jnp.matvec(jnp.array([[1, 2], [3, 4]]), jnp.array([1, 10]))
    Array([21, 43], dtype=int32)
    """
    (x2,) = as_arrays("matvec", x2)
    return lax.squeeze(matmul(x1, lax.expand_dims(x2, [x2.ndim])), [-1])


@universal
def vecmat(x1: Any, x2: Any, /) -> Array:
    """The products of conjugated vectors (last axis of x1) with matrices (last two axes of x2).

    Args:
        x1: an array of at least 1 axis.
        x2: an array of at least 2 axes.

    Returns:
        An array of shape (..., n) for matrices (..., m, n), in the dtype in which both meet.

    >>> jnp.vecmat(jnp.array([1, 10]), jnp.array([[1, 2], [3, 4]]))
    Array([31, 42], dtype=int32)
    """
    (x1,) = as_arrays("vecmat", x1)
    x1 = lax.conj(x1) if dtypes.is_complex(x1.dtype) else x1
    return lax.squeeze(matmul(lax.expand_dims(x1, [x1.ndim - 1]), x2), [-2])


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The products of the last axes of `a` and `b`, for each combination of their other axes.

    Args:
        a: an array.
        b: an array.
        precision: how exactly an accelerator multiplies float32: None, "default", "high" or "highest".
        preferred_element_type: the dtype of the result; by default the common one.

    Returns:
        An array of the other axes of a, then those of b.

    >>> jnp.inner(jnp.array([1, 2]), jnp.array([[3, 4], [5, 6]]))
    Array([11, 17], dtype=int32)
    """
    x, y = promote_dtypes("inner", a, b)
    if not x.ndim or not y.ndim:
        return times(*broadcast([x, y]))
    _check_lengths("inner", x, y, x.ndim - 1, y.ndim - 1)
    return contract(x, y, ((x.ndim - 1,), (y.ndim - 1,)), ((), ()), precision, preferred_element_type)


def outer(a: Any, b: Any, out: None = None) -> Array:
    """The products of each element of `a` with each of `b`, both flattened.

    Args:
        a: an array.
        b: an array.
        out: must be None.

    Returns:
        A matrix of shape `(a.size, b.size)`, in the dtype in which both meet.

    >>> jnp.outer(jnp.array([1, 2]), jnp.array([10, 20]))
    Array([[10, 20],
           [20, 40]], dtype=int32)
    """
    reject_out("outer", out)
    x, y = promote_dtypes("outer", a, b)
    shape = (x.size, y.size)
    x = lax.broadcast_in_dim(lax.reshape(x, (x.size,)), shape, (0,))
    y = lax.broadcast_in_dim(lax.reshape(y, (y.size,)), shape, (1,))
    return times(x, y)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The product of two arrays as vectors; the first is conjugated.

    Args:
        a: an array.
        b: an array of as many elements.
        precision: how exactly an accelerator multiplies float32: None, "default", "high" or "highest".
        preferred_element_type: the dtype of the result; by default the common one.

    Returns:
        A scalar.

    >>> jnp.vdot(jnp.array([1j, 2]), jnp.array([1j, 2]))
    Array(5.+0.j, dtype=complex64)
    """
    x, y = as_arrays("vdot", a, b)
    x = lax.conj(x) if dtypes.is_complex(x.dtype) else x
    x, y = lax.reshape(x, (x.size,)), lax.reshape(y, (y.size,))
    return dot(x, y, precision=precision, preferred_element_type=preferred_element_type)


@universal
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The products of vectors along an axis, the other axes broadcast; the first is conjugated.

    Args:
        x1: an array.
        x2: an array that broadcasts with x1 but for the axis.
        axis: the axis of the vectors.
        precision: how exactly an accelerator multiplies float32: None, "default", "high" or "highest".
        preferred_element_type: the dtype of the result; by default the common one.

    Returns:
        An array without the axis.

    Raises:
        ShapeError: a scalar, or vectors of different lengths.

    >>> jnp.vecdot(jnp.array([[1, 2], [3, 4]]), jnp.array([1, 10]))
    Array([21, 43], dtype=int32)
    """
    x, y = promote_dtypes("vecdot", x1, x2)
    if not x.ndim or not y.ndim:
        raise ShapeError(f"vecdot takes no scalars, got shapes {show(x.shape)} and {show(y.shape)}")
    x = lax.conj(x) if dtypes.is_complex(x.dtype) else x
    x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    _check_lengths("vecdot", x, y, x.ndim - 1, y.ndim - 1)
    x, y = broadcast([x, y])
    batch = tuple(range(x.ndim - 1))
    return contract(x, y, ((x.ndim - 1,), (x.ndim - 1,)), (batch, batch), precision, preferred_element_type)


def tensordot(
    a: Any,
    b: Any,
    axes: Any = 2,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The product over several axes: the last `axes` of `a` with the first of `b`, or a pair of lists of axes.

    Args:
        a: an array.
        b: an array.
        axes: the number of axes to sum over, or two sequences of axes.
        precision: how exactly an accelerator multiplies float32: None, "default", "high" or "highest".
        preferred_element_type: the dtype of the result; by default the common one.

    Returns:
        An array of the other axes of a, then those of b.

    Raises:
        ShapeError: the shapes do not fit.

    >>> jnp.tensordot(jnp.ones((2, 3, 4)), jnp.ones((4, 3, 5)), axes=((1, 2), (1, 0))).shape
    (2, 5)
    """
    x, y = promote_dtypes("tensordot", a, b)
    if isinstance(axes, Sequence):
        left, right = axes
        pairs = canonical_axes(left, x.ndim), canonical_axes(right, y.ndim)
    elif axes > min(x.ndim, y.ndim):
        raise ShapeError(f"tensordot: shapes {show(x.shape)} and {show(y.shape)} do not have {axes} axes each")
    else:
        pairs = tuple(range(x.ndim - axes, x.ndim)), tuple(range(axes))
    if len(pairs[0]) != len(pairs[1]):
        raise ArgumentError(f"tensordot: {len(pairs[0])} axes of the first array, {len(pairs[1])} of the second")
    for i, j in zip(*pairs, strict=True):
        _check_lengths("tensordot", x, y, i, j)
    return contract(x, y, pairs, ((), ()), precision, preferred_element_type)


def kron(a: Any, b: Any) -> Array:
    """The Kronecker product: blocks of `b`, each multiplied by an element of `a`.

    Args:
        a: an array.
        b: an array.

    Returns:
        An array in the dtype in which both meet, whose axes have the products of their lengths.

    >>> jnp.kron(jnp.array([1, 10]), jnp.array([1, 2, 3]))
    Array([ 1,  2,  3, 10, 20, 30], dtype=int32)
    """
    x, y = promote_dtypes("kron", a, b)
    ndim = max(x.ndim, y.ndim)
    first, second = (1,) * (ndim - x.ndim) + x.shape, (1,) * (ndim - y.ndim) + y.shape
    shape = tuple(n for pair in zip(first, second, strict=True) for n in pair)
    x = lax.broadcast_in_dim(lax.reshape(x, first), shape, range(0, 2 * ndim, 2))
    y = lax.broadcast_in_dim(lax.reshape(y, second), shape, range(1, 2 * ndim, 2))
    return lax.reshape(times(x, y), tuple(m * n for m, n in zip(first, second, strict=True)))


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Array:
    """The sum of the elements on a diagonal of two axes.

    Args:
        a: an array of at least 2 axes.
        offset: which diagonal: above (positive) or below the main one.
        axis1: the axis of the rows.
        axis2: the axis of the columns.
        dtype: as for sum.
        out: must be None.

    Returns:
        An array without the two axes.

    >>> jnp.trace(jnp.array([[1, 2], [3, 4]]))
    Array(5, dtype=int32)
    """
    return array_sum(diagonal(a, offset, axis1, axis2), -1, dtype, out)


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """The cross product of vectors of 3 (or 2) numbers, the other axes broadcast.

    Args:
        a: an array of vectors.
        b: an array of vectors, which broadcasts with a but for their axes.
        axisa: the axis of the vectors in a.
        axisb: the axis of the vectors in b.
        axisc: the axis of the vectors in the result.
        axis: all three at once.

    Returns:
        An array in the dtype in which both meet; of vectors of 2 numbers only the third component, without the axis.

    Raises:
        ShapeError: vectors of other lengths.

    >>> jnp.cross(jnp.array([1, 0, 0]), jnp.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = promote_dtypes("cross", a, b)
    x, y = moveaxis(x, axisa, -1), moveaxis(y, axisb, -1)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ShapeError(f"cross takes vectors of 2 or 3 numbers, got shapes {show(x.shape)} and {show(y.shape)}")
    planar = x.shape[-1] == y.shape[-1] == 2
    batch = broadcast_shapes(x.shape[:-1], y.shape[:-1])
    (x1, x2, x3), (y1, y2, y3) = _components(x, batch), _components(y, batch)

    def minor(a: Array, b: Array, c: Array, d: Array) -> Array:
        return lax.sub(lax.mul(a, d), lax.mul(b, c))

    if planar:
        return minor(x1, x2, y1, y2)
    parts = minor(x2, x3, y2, y3), minor(x3, x1, y3, y1), minor(x1, x2, y1, y2)
    out = lax.concatenate([lax.expand_dims(part, [len(batch)]) for part in parts], len(batch))
    return moveaxis(out, -1, canonical_axis(axisc, out.ndim))


def _components(x: Array, batch: tuple) -> list[Array]:
    """The three components of vectors along the last axis, each of shape `batch`; the third of two is 0."""
    count, rest = x.shape[-1], without(x.shape, [x.ndim - 1])
    parts = [lax.reshape(part, rest) for part in lax.split(x, (1,) * count, -1)]
    parts = [lax.broadcast_in_dim(part, batch, range(len(batch) - len(rest), len(batch))) for part in parts]
    return parts if count == 3 else [*parts, lax.full_like(parts[0], 0)]
