"""What the families of linear algebra share: small operations on matrices, checks, and rules made alike."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.errors import ShapeError
from nrx.core.primitive import Primitive
from nrx.core.shapes import show
from nrx.core.threads import in_parts
from nrx.ops.arithmetic import add, conj, div, mul, sub
from nrx.ops.common import INEXACT, NOT_YET_LOWERED, check_dtype, widened
from nrx.ops.dot import batch_matmul
from nrx.ops.linalg import lapack
from nrx.ops.logic import eq, ge, gt, select
from nrx.ops.slicing import slice_in_dim
from nrx.ops.structural import (
    broadcast_in_dim,
    broadcasted_iota,
    convert_element_type,
    expand_dims,
    full,
    full_like,
    reduce_sum,
    spread,
    transpose,
)
from nrx.ops.structural import broadcast_to as _broadcast_to

#: As many elements are worth a thread of their own.
_GRAIN = 1 << 14

# Matrices


def transposed(x: Array) -> Array:
    """The last two axes exchanged."""
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def dagger(x: Array) -> Array:
    """The conjugate transpose."""
    return transposed(conjugated(x))


def conjugated(x: Array) -> Array:
    """The conjugate; real arrays as they are."""
    return conj(x) if dtypes.is_complex(x.dtype) else x


def product(*xs: Array) -> Array:
    """The matrix product of all, from the left."""
    out = xs[0]
    for x in xs[1:]:
        out = batch_matmul(out, x)
    return out


def hermitian_part(x: Array) -> Array:
    """(x + its conjugate transpose) / 2."""
    return mul(add(x, dagger(x)), 0.5)


def _compared(x: Array, compare: Callable, offset: int) -> Array:
    """A comparison of row + offset with column."""
    rows = broadcasted_iota(dtypes.int32, x.shape, x.ndim - 2)
    columns = broadcasted_iota(dtypes.int32, x.shape, x.ndim - 1)
    return compare(add(rows, offset), columns)


def lower_triangle(x: Array, offset: int = 0) -> Array:
    """Zeros above the `offset`-th diagonal."""
    return select(_compared(x, ge, offset), x, _zeros(x))


def upper_triangle(x: Array, offset: int = 0) -> Array:
    """Zeros below the `offset`-th diagonal."""
    return select(_compared(x, gt, offset), _zeros(x), x)


def diagonal_part(x: Array) -> Array:
    """Zeros beside the diagonal."""
    return select(_compared(x, eq, 0), x, _zeros(x))


def diagonal_of(x: Array) -> Array:
    """The main diagonals."""
    k = min(x.shape[-2:])
    return reduce_sum(diagonal_part(corner_of(x, k, k)), (x.ndim - 1,))


def corner_of(x: Array, rows: int, columns: int) -> Array:
    """The first rows and columns."""
    return slice_in_dim(slice_in_dim(x, 0, rows, axis=-2), 0, columns, axis=-1)


def permutation_matrix(permutation: Array, dtype: np.dtype) -> Array:
    """The matrix that puts rows in the order of a permutation."""
    shape = (*permutation.shape, permutation.shape[-1])
    columns = broadcasted_iota(permutation.dtype, shape, len(shape) - 1)
    chosen = eq(_broadcast_to(expand_dims(permutation, [permutation.ndim]), shape), columns)
    return convert_element_type(chosen, dtype)


def identity(like: Any, n: int, dtype: Any = None) -> Array:
    """Identity matrices, one for each matrix of `like`, an Array or Aval."""
    ones = full((*like.shape[:-2], n, n), 1, dtype or like.dtype)
    return diagonal_part(ones)


def trace_of(x: Array) -> Array:
    """The sums of the main diagonals."""
    return reduce_sum(diagonal_part(x), (x.ndim - 2, x.ndim - 1))


def columns_scaled(x: Array, scale: Array) -> Array:
    """Each column times an element of `scale`."""
    return mul(x, _broadcast_to(expand_dims(scale, [scale.ndim - 1]), x.shape))


def rows_scaled(scale: Array, x: Array) -> Array:
    """Each row times an element of `scale`."""
    return mul(x, _broadcast_to(expand_dims(scale, [scale.ndim]), x.shape))


def inverse_or_zero(x: Array) -> Array:
    """1 / x, elementwise, and 0 where x is 0."""
    nothing = eq(x, 0)
    return select(nothing, _zeros(x), div(full_like(x, 1), select(nothing, full_like(x, 1), x)))


def gap_inverses(values: Array) -> Array:
    """1 / (values[j] - values[i]) for all i and j, and 0 where both are equal."""
    n = values.shape[-1]
    shape = (*values.shape, n)
    columns = broadcast_in_dim(values, shape, (*range(values.ndim - 1), values.ndim))
    rows = broadcast_in_dim(values, shape, range(values.ndim))
    return inverse_or_zero(sub(columns, rows))


def as_dtype_of(x: Array, other: Array) -> Array:
    """`x` in the dtype of `other`: real numbers that meet complex ones."""
    return x if x.dtype == other.dtype else convert_element_type(x, other.dtype)


def _zeros(x: Array) -> Array:
    return full(x.shape, 0, x.dtype)


# abstract


def check_matrix(name: str, x: Aval) -> None:
    """Raise unless `x` holds matrices of floating or complex numbers."""
    check_dtype(name, x, INEXACT)
    if x.ndim < 2:
        raise ShapeError(f"{name} needs an array of at least 2 axes, got shape {show(x.shape)}")


def check_square(name: str, x: Aval) -> None:
    """Raise unless `x` holds square matrices of floating or complex numbers."""
    check_matrix(name, x)
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{name} needs square matrices, got shape {show(x.shape)}")


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of moduli of such numbers."""
    return dtypes.real_part_dtype(dtype) if dtypes.is_complex(dtype) else dtype


# batch


def leading_batch(prim: Primitive) -> Callable:
    """The batch rule of what treats all axes but the last ones alike: the batch axis comes first."""

    def batch(axis: Any, args: Sequence[Array], dims: Sequence[int | None], **params: Any) -> tuple[Any, Any]:
        out = prim.bind(*[spread(x, dim, axis.size) for x, dim in zip(args, dims, strict=True)], **params)
        return out, [0] * len(out) if prim.multiple_results else 0

    return batch


# impl


def or_nan(xp: Any, function: Callable, *xs: Any) -> tuple[Any, ...]:
    """The results of `function(*xs)` as a tuple; NaN for those matrices of the first operand for which it fails."""
    try:
        return _as_tuple(function(*xs))
    except np.linalg.LinAlgError:
        pass
    first = xs[0]
    harmless = xp.broadcast_to(xp.eye(*first.shape[-2:], dtype=first.dtype), first.shape)
    outs = [xp.array(out) for out in _as_tuple(function(harmless, *xs[1:]))]
    for place in np.ndindex(first.shape[:-2]):
        try:
            values: Sequence[Any] = _as_tuple(function(*[x[place] for x in xs]))
        except np.linalg.LinAlgError:
            values = [np.nan] * len(outs)
        for out, value in zip(outs, values, strict=True):
            out[place] = value
    return tuple(outs)


def _as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple) else (result,)


def on_host(function: Callable, *, shared: bool = False) -> Callable:
    """An impl for `function(xp, *xs, **params)` that gives a tuple; narrow floats are computed in float32.

    With `shared`, several threads compute for many matrices: where one takes more than the library's locks.
    """

    def impl(xp: Any, *xs: Any, **params: Any) -> Any:
        narrow = dtypes.is_narrow(xs[0].dtype)
        with lapack.threads_for(xs[0]):
            call, operands = partial(function, xp, **params), [widened(x) for x in xs]
            outs = _in_parts(call, operands) if shared and xp is np else call(*operands)
        return [out.astype(xs[0].dtype) if narrow and out.dtype.kind == "f" else out for out in outs]

    return impl


def _in_parts(function: Callable, xs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """`function(*xs)`, many matrices that are one thread's work each shared by several."""
    batch = xs[0].shape[:-2]
    if not batch or not xs[0].size or not lapack.is_one_threads_work(xs[0]):
        return function(*xs)
    flat = [x.reshape(-1, *x.shape[len(batch) :]) for x in xs]
    return [out.reshape(*batch, *out.shape[1:]) for out in in_parts(function, flat, _GRAIN)]


def single(impl: Callable) -> Callable:
    """The impl of a primitive with one result from one that gives a list."""
    return lambda xp, *xs, **params: impl(xp, *xs, **params)[0]


# Registration


def host_primitive(prim: Primitive) -> Primitive:
    """Complete a primitive that no loops are written for."""
    prim.define(batch=leading_batch(prim))
    return prim.refuse(lower="LAPACK on the host is faster than loops of our own", onnx=NOT_YET_LOWERED)
