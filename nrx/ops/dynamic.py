"""Slices at computed positions: dynamic_slice and dynamic_update_slice.

A slice has a fixed size; where it starts is data. A negative start counts from the end of its axis, unless told not to;
then it moves to the nearest place where the slice is inside the array, as in XLA.
"""

import operator
from builtins import slice as python_slice
from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import DTypeError, ShapeError
from nrx.core.loops import Builder, Native, Operand, Reader, Value
from nrx.core.primitive import Primitive
from nrx.core.shapes import Shape, canonical_axis, canonical_shape, inserted, show, without
from nrx.ops.addressing import as_position
from nrx.ops.arithmetic import add
from nrx.ops.common import NOT_YET_LOWERED, as_arrays, check_same_dtype, filled, scalar_array, view_lower
from nrx.ops.dimension_numbers import GatherDimensionNumbers
from nrx.ops.gather import gather
from nrx.ops.logic import lt, select
from nrx.ops.moves import Box, move
from nrx.ops.scatter import scatter
from nrx.ops.slicing import concatenate, index_in_dim
from nrx.ops.structural import (
    convert_element_type,
    expand_dims,
    instantiate,
    reshape,
    spread,
)

dynamic_slice_p = Primitive("dynamic_slice")
dynamic_update_slice_p = Primitive("dynamic_update_slice")

# Public functions


def dynamic_slice(
    operand: Any,
    start_indices: Any,
    slice_sizes: Sequence[int],
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Array:
    """The part of `operand` of shape `slice_sizes` that begins at `start_indices`, one integer scalar an axis.

    Args:
        operand: an array.
        start_indices: they may be traced. Where the part would reach over the end, it begins earlier.
        slice_sizes: fixed lengths.
        allow_negative_indices: whether negative indices count from the end; one answer, or one for each axis.

    >>> import nrx
    >>> nrx.lax.dynamic_slice(nrx.numpy.arange(10), (3,), (4,)), nrx.lax.dynamic_slice(nrx.numpy.arange(10), (8,), (4,))
    (Array([3, 4, 5, 6], dtype=int32), Array([6, 7, 8, 9], dtype=int32))
    """
    (operand,) = as_arrays("dynamic_slice", operand)
    starts = _starts("dynamic_slice", operand.aval, start_indices, allow_negative_indices)
    return dynamic_slice_p.bind(operand, *starts, slice_sizes=canonical_shape(slice_sizes))


def dynamic_update_slice(
    operand: Any, update: Any, start_indices: Any, *, allow_negative_indices: bool | Sequence[bool] = True
) -> Array:
    """`operand` with `update` in place of the part of its shape that begins at `start_indices`.

    The other arguments are as of `dynamic_slice`.

    Both have one dtype; the result has it, and the shape of `operand`.

    >>> import nrx
    >>> nrx.lax.dynamic_update_slice(nrx.numpy.zeros(5), nrx.numpy.ones(2), (1,))
    Array([0., 1., 1., 0., 0.], dtype=float32)
    """
    operand, update = as_arrays("dynamic_update_slice", operand, update)
    starts = _starts("dynamic_update_slice", operand.aval, start_indices, allow_negative_indices)
    return dynamic_update_slice_p.bind(operand, update, *starts)


def dynamic_slice_in_dim(
    operand: Any, start_index: Any, slice_size: int, axis: int = 0, *, allow_negative_indices: bool = True
) -> Array:
    """`dynamic_slice` along one axis, with all of the others.

    Arguments as of `dynamic_slice`, for the one axis: `start_index` and `slice_size`.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.dynamic_slice_in_dim(nrx.numpy.array([[1, 2, 3], [4, 5, 6]]), 1, 2, axis=1)
    Array([[2, 3],
           [5, 6]], dtype=int32)
    """
    (operand,) = as_arrays("dynamic_slice_in_dim", operand)
    axis = canonical_axis(axis, operand.ndim)
    starts, sizes = list(filled(operand.shape, 0)), list(operand.shape)
    starts[axis], sizes[axis] = start_index, slice_size
    return dynamic_slice(operand, starts, sizes, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(
    operand: Any, index: Any, axis: int = 0, keepdims: bool = True, *, allow_negative_indices: bool = True
) -> Array:
    """The element at `index` along one axis, which stays with length 1 if `keepdims`.

    The other arguments are as of `dynamic_slice`.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.dynamic_index_in_dim(nrx.numpy.array([[1, 2, 3], [4, 5, 6]]), 1, keepdims=False)
    Array([4, 5, 6], dtype=int32)
    """
    part = dynamic_slice_in_dim(operand, index, 1, axis, allow_negative_indices=allow_negative_indices)
    return part if keepdims else reshape(part, without(part.shape, [canonical_axis(axis, part.ndim)]))


def dynamic_update_slice_in_dim(
    operand: Any, update: Any, start_index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Array:
    """`dynamic_update_slice` along one axis, at `start_index`; other arguments as of `dynamic_slice`.

    Both have one dtype; the result has it, and the shape of `operand`.

    >>> import nrx
    >>> nrx.lax.dynamic_update_slice_in_dim(nrx.numpy.zeros((2, 3)), nrx.numpy.ones((2, 1)), 2, axis=1)
    Array([[0., 0., 1.],
           [0., 0., 1.]], dtype=float32)
    """
    (operand,) = as_arrays("dynamic_update_slice_in_dim", operand)
    starts = list(filled(operand.shape, 0))
    starts[canonical_axis(axis, operand.ndim)] = start_index
    return dynamic_update_slice(operand, update, starts, allow_negative_indices=allow_negative_indices)


def dynamic_update_index_in_dim(
    operand: Any, update: Any, index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Array:
    """`operand` with `update` in place of its element at `index` along one axis, which `update` may lack.

    The other arguments are as of `dynamic_slice`.

    Both have one dtype; the result has it, and the shape of `operand`.

    >>> import nrx
    >>> nrx.lax.dynamic_update_index_in_dim(nrx.numpy.zeros((2, 3)), nrx.numpy.ones(3), 0, axis=0)
    Array([[1., 1., 1.],
           [0., 0., 0.]], dtype=float32)
    """
    operand, update = as_arrays("dynamic_update_index_in_dim", operand, update)
    axis = canonical_axis(axis, operand.ndim)
    if update.ndim != operand.ndim:
        update = expand_dims(update, [axis])
    return dynamic_update_slice_in_dim(operand, update, index, axis, allow_negative_indices=allow_negative_indices)


def _starts(name: str, operand: Aval, indices: Any, allow_negative: bool | Sequence[bool]) -> list[Array]:
    """The start along each axis as a scalar Array, counted from the front."""
    if isinstance(indices, Array | np.ndarray):
        (indices,) = as_arrays(name, indices)
        if indices.ndim != 1:
            raise ShapeError(f"{name}: the start indices must be 1-d or a sequence, got shape {show(indices.shape)}")
        indices = [index_in_dim(indices, i, keepdims=False) for i in range(len(indices))]
    if len(indices) != operand.ndim:
        raise ShapeError(f"{name}: shape {show(operand.shape)} needs {operand.ndim} start indices, got {len(indices)}")
    wraps = (allow_negative,) * operand.ndim if isinstance(allow_negative, bool) else tuple(allow_negative)
    return [_start(name, *each) for each in zip(indices, operand.shape, wraps, strict=True)]


def _start(name: str, value: Any, length: Any, wraps: bool) -> Array:
    value = int(value) if isinstance(value, np.integer) else value
    is_constant = type(value) is int
    (start,) = as_arrays(name, value + length if is_constant and wraps and value < 0 else value)
    if start.shape or not dtypes.is_integer(start.dtype):
        raise (ShapeError if start.shape else DTypeError)(
            f"{name}: a start index must be an integer scalar, got {start.aval}",
            fix="index it, or convert it with x.astype(int)",
        )
    if is_constant or not wraps or dtypes.is_unsigned(start.dtype):
        return start
    if start.dtype.itemsize < 4:  # it may not hold the length
        start = convert_element_type(start, dtypes.int32)
    return select(lt(start, 0), add(start, length), start)


# impl


def _window(starts: Sequence[Any], shape: Shape, sizes: Shape) -> tuple[Any, ...]:
    at = [max(0, min(int(start), n - length)) for start, n, length in zip(starts, shape, sizes, strict=True)]
    return tuple(python_slice(start, start + length) for start, length in zip(at, sizes, strict=True))


def _slice_impl(xp: Any, x: Any, *starts: Any, slice_sizes: Shape) -> Any:
    return x[_window(starts, x.shape, slice_sizes)]


def _update_impl(xp: Any, x: Any, update: Any, *starts: Any) -> Any:
    out = x.copy()
    out[_window(starts, x.shape, update.shape)] = update
    return out


# abstract


def _check_fits(name: str, x: Aval, sizes: Shape) -> None:
    if len(sizes) != x.ndim or any(length > n for length, n in zip(sizes, x.shape, strict=True)):
        raise ShapeError(
            f"{name}: a slice of shape {show(sizes)} does not fit into shape {show(x.shape)}",
            fix="give a length for every axis, none longer than the axis",
        )


def _slice_abstract(x: Aval, *starts: Aval, slice_sizes: Shape) -> Aval:
    _check_fits("dynamic_slice", x, slice_sizes)
    return x.update(shape=slice_sizes)


def _update_abstract(x: Aval, update: Aval, *starts: Aval) -> Aval:
    check_same_dtype("dynamic_update_slice", x, update)
    _check_fits("dynamic_update_slice", x, update.shape)
    return x.update(weak_type=x.weak_type and update.weak_type)


# jvp


def _slice_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, slice_sizes: Shape) -> tuple[Any, Any]:
    x, *starts = primals
    out = dynamic_slice_p.bind(x, *starts, slice_sizes=slice_sizes)
    return out, dynamic_slice_p.bind(tangents[0], *starts, slice_sizes=slice_sizes)


def _update_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    x, update, *starts = primals
    t_x, t_update = map(instantiate, tangents[:2])
    return dynamic_update_slice_p.bind(x, update, *starts), dynamic_update_slice_p.bind(t_x, t_update, *starts)


# transpose


def _slice_transpose(ct: Array, x: Linear, *starts: Array, slice_sizes: Shape) -> list[Any]:
    zeros = instantiate(Zero(x.aval))
    return [dynamic_update_slice_p.bind(zeros, ct, *starts), *filled(starts, None)]


def _update_transpose(ct: Array, x: Any, update: Any, *starts: Array) -> list[Any]:
    ct_x = ct_update = None
    if isinstance(x, Linear):
        ct_x = dynamic_update_slice_p.bind(ct, instantiate(Zero(update.aval)), *starts)
    if isinstance(update, Linear):
        ct_update = dynamic_slice_p.bind(ct, *starts, slice_sizes=update.aval.shape)
    return [ct_x, ct_update, *filled(starts, None)]


# batch: with one start for all, one more axis that is not moved along; else a gather or scatter


def _slice_batch(axis: Any, args: Any, dims: Any, *, slice_sizes: Shape) -> tuple[Any, int]:
    (x, *starts), (dim, *start_dims) = args, dims
    if all(d is None for d in start_dims):
        starts = inserted(starts, dim, scalar_array(0, dtypes.int32))
        return dynamic_slice_p.bind(x, *starts, slice_sizes=inserted(slice_sizes, dim, axis.size)), dim
    indices = _stacked(starts, start_dims, axis.size)
    if dim is None:
        numbers = GatherDimensionNumbers(tuple(range(1, x.ndim + 1)), (), tuple(range(x.ndim)))
        return gather(x, indices, numbers, slice_sizes, mode="clip"), 0
    numbers = _batching_numbers(len(starts))
    x = spread(x, dim, axis.size)
    return gather(x, indices, numbers, (1, *slice_sizes), unique_indices=True, mode="clip"), 0


def _update_batch(axis: Any, args: Any, dims: Any) -> tuple[Any, int]:
    (x, update, *starts), (x_dim, update_dim, *start_dims) = args, dims
    x, update = spread(x, x_dim, axis.size), spread(update, update_dim, axis.size)
    if all(d is None for d in start_dims):
        return dynamic_update_slice_p.bind(x, update, scalar_array(0, dtypes.int32), *starts), 0
    indices, numbers = _stacked(starts, start_dims, axis.size), _batching_numbers(len(starts)).for_scatter()
    return scatter(x, indices, update, numbers, unique_indices=True, mode="clip"), 0


def _batching_numbers(ndim: int) -> GatherDimensionNumbers:
    """Of a window of `ndim` axes in each element of a batch: axis 0 of operand, indices and result."""
    window = tuple(range(1, ndim + 1))
    return GatherDimensionNumbers(window, (), window, (0,), (0,))


def _stacked(starts: Sequence[Array], dims: Sequence[int | None], batch: Any) -> Array:
    """The starts as the indices of a gather, of shape (batch, len(starts))."""
    found = {start.dtype for start in starts}
    dtype = found.pop() if len(found) == 1 else dtypes.int64
    columns = [spread(convert_element_type(x, dtype), d, batch) for x, d in zip(starts, dims, strict=True)]
    return concatenate([expand_dims(column, [1]) for column in columns], 1)


# lower


def _positions(starts: Sequence[Reader], shape: Shape, sizes: Shape) -> list[Any]:
    return [
        loops.clamp(as_position(start()), length - kept)
        for start, length, kept in zip(starts, shape, sizes, strict=True)
    ]


def _slice_at(b: Builder, index: tuple, x: Reader, *starts: Reader, slice_sizes: Shape) -> Value:
    return x(*map(operator.add, _positions(starts, x.aval.shape, slice_sizes), index))


def _update_build(b: Builder, operands: list[Operand], results: list[Operand]) -> None:
    (_, update, *starts), (out,) = operands, results
    move(b, [Box.of(out, _positions(starts, out.aval.shape, update.aval.shape), update)])


_UPDATE = Native(_update_build, in_place=0)


# Registration

dynamic_slice_p.define(
    impl=_slice_impl, abstract=_slice_abstract, jvp=_slice_jvp, transpose=_slice_transpose, batch=_slice_batch,
    lower=view_lower(_slice_at),
)  # fmt: skip
dynamic_update_slice_p.define(
    impl=_update_impl, abstract=_update_abstract, jvp=_update_jvp, transpose=_update_transpose, batch=_update_batch,
    lower=lambda *avals: _UPDATE,
)  # fmt: skip
for _prim in (dynamic_slice_p, dynamic_update_slice_p):
    _prim.refuse(onnx=NOT_YET_LOWERED)
