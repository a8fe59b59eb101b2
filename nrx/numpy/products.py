"""Products of vectors, matrices and arrays of matrices. `precision` and `preferred_element_type` are as in `nrx.lax`."""

from collections.abc import Sequence
from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import broadcast_shapes, canonical_axes, canonical_axis, show, without
from nrx.numpy.creation import diagonal
from nrx.numpy.manipulation import moveaxis
from nrx.numpy.promotion import as_arrays, broadcast, promote_dtypes
from nrx.numpy.reductions import sum as array_sum


def contract(x: Array, y: Array, axes: Any, batch: Any, precision: Any = None, preferred: Any = None) -> Array:
    """`lax.dot_general` of arrays of one dtype; booleans multiply as and, and add as or."""
    if not dtypes.is_bool(x.dtype):
        return lax.dot_general(x, y, (axes, batch), precision, preferred)
    counts = lax.dot_general(*(lax.convert_element_type(v, dtypes.int32) for v in (x, y)), (axes, batch))
    return (
        lax.ne(counts, lax.full_like(counts, 0)) if preferred is None else lax.convert_element_type(counts, preferred)
    )


def _strong(x: Array) -> Array:
    return lax.convert_element_type(x, x.dtype)


def dot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The product of the last axis of `a` with the last but one (of a vector, the only) axis of `b`."""
    x, y = promote_dtypes("dot", a, b)
    if not x.ndim or not y.ndim:
        return _strong(lax.mul(*broadcast([x, y])))
    at = max(y.ndim - 2, 0)
    _check_lengths("dot", x, y, x.ndim - 1, at)
    return _strong(contract(x, y, ((x.ndim - 1,), (at,)), ((), ()), precision, preferred_element_type))


def _check_lengths(name: str, x: Array, y: Array, i: int, j: int) -> None:
    if x.shape[i] != y.shape[j]:
        raise ShapeError(
            f"{name}: shapes {show(x.shape)} and {show(y.shape)} do not fit: axis {i} has length {x.shape[i]}, axis {j} of "
            f"the other {y.shape[j]}",
            fix="transpose one of them",
        )


def matmul(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The matrix product of the last two axes; the axes before them broadcast. Vectors count as row or column."""
    x, y = promote_dtypes("matmul", a, b)
    if not x.ndim or not y.ndim:
        raise ShapeError(
            f"matmul takes no scalars, got shapes {show(x.shape)} and {show(y.shape)}", fix="multiply with *"
        )
    _check_lengths("matmul", x, y, x.ndim - 1, max(y.ndim - 2, 0))
    out = _matrix_product(x, y, precision, preferred_element_type)
    return _strong(out)


def _matrix_product(x: Array, y: Array, precision: Any, preferred: Any) -> Array:
    if x.ndim <= 2 and y.ndim <= 2:
        return contract(x, y, ((x.ndim - 1,), (max(y.ndim - 2, 0),)), ((), ()), precision, preferred)
    if y.ndim <= 2:  # all matrices of x share one factor
        return contract(x, y, ((x.ndim - 1,), (max(y.ndim - 2, 0),)), ((), ()), precision, preferred)
    leading, others = x.shape[:-2] if x.ndim > 2 else (), y.shape[:-2]
    batch = broadcast_shapes(leading, others)
    if x.ndim > 1:
        x = lax.broadcast_in_dim(x, (*batch, *x.shape[-2:]), range(len(batch) - len(leading), len(batch) + 2))
    else:
        x = lax.broadcast_in_dim(x, (*batch, *x.shape), (len(batch),))
    y = lax.broadcast_in_dim(y, (*batch, *y.shape[-2:]), range(len(batch) - len(others), len(batch) + 2))
    axes = tuple(range(len(batch)))
    return contract(x, y, ((x.ndim - 1,), (y.ndim - 2,)), (axes, axes), precision, preferred)


def matvec(x1: Any, x2: Any, /) -> Array:
    """The products of matrices (last two axes of x1) with vectors (last axis of x2)."""
    (x2,) = as_arrays("matvec", x2)
    return lax.squeeze(matmul(x1, lax.expand_dims(x2, [x2.ndim])), [-1])


def vecmat(x1: Any, x2: Any, /) -> Array:
    """The products of conjugated vectors (last axis of x1) with matrices (last two axes of x2)."""
    (x1,) = as_arrays("vecmat", x1)
    x1 = lax.conj(x1) if dtypes.is_complex(x1.dtype) else x1
    return lax.squeeze(matmul(lax.expand_dims(x1, [x1.ndim - 1]), x2), [-2])


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The products of the last axes of `a` and `b`, for each combination of their other axes."""
    x, y = promote_dtypes("inner", a, b)
    if not x.ndim or not y.ndim:
        return _strong(lax.mul(*broadcast([x, y])))
    _check_lengths("inner", x, y, x.ndim - 1, y.ndim - 1)
    return _strong(contract(x, y, ((x.ndim - 1,), (y.ndim - 1,)), ((), ()), precision, preferred_element_type))


def outer(a: Any, b: Any, out: None = None) -> Array:
    """The products of each element of `a` with each of `b`, both flattened."""
    if out is not None:
        raise ArgumentError("outer: arrays are immutable, there is no `out`", fix="use the result")
    x, y = promote_dtypes("outer", a, b)
    shape = (x.size, y.size)
    x = lax.broadcast_in_dim(lax.reshape(x, (x.size,)), shape, (0,))
    y = lax.broadcast_in_dim(lax.reshape(y, (y.size,)), shape, (1,))
    return lax.bitwise_and(x, y) if dtypes.is_bool(x.dtype) else lax.mul(x, y)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The product of two arrays as vectors; the first is conjugated."""
    x, y = as_arrays("vdot", a, b)
    x = lax.conj(x) if dtypes.is_complex(x.dtype) else x
    x, y = lax.reshape(x, (x.size,)), lax.reshape(y, (y.size,))
    return dot(x, y, precision=precision, preferred_element_type=preferred_element_type)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The products of vectors along an axis, the other axes broadcast; the first is conjugated."""
    x, y = promote_dtypes("vecdot", x1, x2)
    if not x.ndim or not y.ndim:
        raise ShapeError(f"vecdot takes no scalars, got shapes {show(x.shape)} and {show(y.shape)}")
    x = lax.conj(x) if dtypes.is_complex(x.dtype) else x
    x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    _check_lengths("vecdot", x, y, x.ndim - 1, y.ndim - 1)
    x, y = broadcast([x, y])
    batch = tuple(range(x.ndim - 1))
    return _strong(contract(x, y, ((x.ndim - 1,), (x.ndim - 1,)), (batch, batch), precision, preferred_element_type))


def tensordot(a: Any, b: Any, axes: Any = 2, *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The product over several axes: the last `axes` of `a` with the first of `b`, or a pair of lists of axes."""
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
    return _strong(contract(x, y, pairs, ((), ()), precision, preferred_element_type))


def kron(a: Any, b: Any) -> Array:
    """The Kronecker product: blocks of `b`, each multiplied by an element of `a`."""
    x, y = promote_dtypes("kron", a, b)
    ndim = max(x.ndim, y.ndim)
    first, second = (1,) * (ndim - x.ndim) + x.shape, (1,) * (ndim - y.ndim) + y.shape
    shape = tuple(n for pair in zip(first, second, strict=True) for n in pair)
    x = lax.broadcast_in_dim(lax.reshape(x, first), shape, range(0, 2 * ndim, 2))
    y = lax.broadcast_in_dim(lax.reshape(y, second), shape, range(1, 2 * ndim, 2))
    product = lax.bitwise_and(x, y) if dtypes.is_bool(x.dtype) else lax.mul(x, y)
    return lax.reshape(product, tuple(m * n for m, n in zip(first, second, strict=True)))


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Array:
    """The sum of the elements on a diagonal of two axes."""
    return array_sum(diagonal(a, offset, axis1, axis2), -1, dtype, out)


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """The cross product of vectors of 3 (or 2) numbers, the other axes broadcast."""
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
