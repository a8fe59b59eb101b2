"""Structural primitives: they move or convert elements, and sum them where a move's transpose must.

`broadcast_in_dim` and `reduce_sum` are each other's transposes and so live together.
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array, ConcreteArray, asarray
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.dims import Dim, capacity
from nrx.core.errors import AxisError, DTypeError, ShapeError
from nrx.core.loops import Builder, Complex, Native, Operand, Pointwise, Reader, Reduction, Value
from nrx.core.primitive import Primitive
from nrx.core.shapes import (
    Shape,
    canonical_axes,
    canonical_axis,
    canonical_shape,
    inserted,
    inverse_permutation,
    show,
    size,
    without,
)
from nrx.core.trace import bind_now
from nrx.ops import accumulation
from nrx.ops.common import (
    NOT_YET_LOWERED,
    NUMBERS,
    as_arrays,
    check_dtype,
    elementwise_lower,
    scalar_array,
    view_lower,
    widened,
)
from nrx.ops.moves import SMALL, Box, move, row_major_strides

convert_element_type_p = Primitive("convert_element_type", elementwise=True)
bitcast_convert_type_p = Primitive("bitcast_convert_type")
broadcast_in_dim_p = Primitive("broadcast_in_dim")
reduce_sum_p = Primitive("reduce_sum")
reshape_p = Primitive("reshape")
transpose_p = Primitive("transpose")
rev_p = Primitive("rev")
copy_p = Primitive("copy", elementwise=True)
iota_p = Primitive("iota")


# Public functions


def convert_element_type(operand: Any, new_dtype: Any, weak_type: bool = False) -> Array:
    """`operand` with its elements converted to `new_dtype`.

    Complex to real takes the real part; float to integer truncates, NaN becomes 0 and what is out of range the nearest
    integer there is; integers wrap; anything but zero becomes True.

    With `weak_type` the result adapts to what it meets, as Python numbers do.

    The shape stays.

    >>> import nrx
    >>> nrx.lax.convert_element_type(nrx.numpy.array([1.7, -1.7, nrx.numpy.nan]), "int8")
    Array([ 1, -1,  0], dtype=int8)
    """
    x, dtype = operand, dtypes.canonical_dtype(new_dtype, getattr(operand, "dtype", None))
    if type(x) in (float, complex) and dtypes.is_inexact(dtype):  # rounded once: an Array of it would be float32
        return scalar_array(x if dtypes.is_complex(dtype) else x.real, dtype, weak_type)
    (x,) = as_arrays("convert_element_type", x)
    if x.aval.dtype == dtype and x.aval.weak_type == weak_type:
        return x
    if isinstance(x, ConcreteArray) and not x.aval.shape:  # a constant is converted now, not in every run
        return bind_now(convert_element_type_p, x, dtype=dtype, weak_type=weak_type)
    return convert_element_type_p.bind(x, dtype=dtype, weak_type=weak_type)


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Array:
    """The bits of `operand` read as `new_dtype`; a narrower dtype adds a last axis, a wider one consumes it.

    >>> import nrx
    >>> nrx.lax.bitcast_convert_type(nrx.numpy.float32(1.0), "uint32") == 0x3F800000
    Array(True, dtype=bool)
    """
    (x,) = as_arrays("bitcast_convert_type", operand)
    return bitcast_convert_type_p.bind(x, dtype=dtypes.canonical_dtype(new_dtype))


def broadcast_in_dim(
    operand: Any, shape: Any, broadcast_dimensions: Sequence[int], *, out_sharding: Any = None
) -> Array:
    """`operand` stretched to `shape`: axis i of `operand`, of that length or 1, becomes axis `broadcast_dimensions[i]`.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.broadcast_in_dim(nrx.numpy.array([1, 2]), (2, 3), (0,))
    Array([[1, 1, 1],
           [2, 2, 2]], dtype=int32)
    """
    (operand,) = as_arrays("broadcast_in_dim", operand)
    shape, placement = canonical_shape(shape), tuple(broadcast_dimensions)
    if operand.aval.shape == shape and placement == tuple(range(len(shape))):
        return operand
    return broadcast_in_dim_p.bind(operand, shape=shape, placement=placement)


def broadcast_to(x: Array, shape: Shape) -> Array:
    """`x` broadcast to `shape` by NumPy's rule (axes aligned at the end)."""
    if x.ndim > len(shape):
        raise ShapeError(f"cannot broadcast shape {show(x.shape)} to {show(shape)}, which has fewer axes")
    return broadcast_in_dim(x, shape, range(len(shape) - x.ndim, len(shape)))


def reduce_sum(operand: Any, axes: Sequence[int], *, out_sharding: Any = None) -> Array:
    """The sum of `operand` over `axes`; integers wrap, 16-bit floats accumulate in float32.

    >>> import nrx
    >>> nrx.lax.reduce_sum(nrx.numpy.array([[1, 9], [7, 2]]), (0, 1))
    Array(19, dtype=int32)
    """
    (operand,) = as_arrays("reduce_sum", operand)
    axes = canonical_axes(axes, operand.ndim)
    return reduce_sum_p.bind(operand, axes=tuple(sorted(axes))) if axes else operand


def reshape(
    operand: Any, new_sizes: Any, dimensions: Sequence[int] | None = None, *, out_sharding: Any = None
) -> Array:
    """The elements of `operand` in row-major order as an array of shape `new_sizes`; `dimensions` transposes first.

    The dtype stays.

    >>> import nrx
    >>> x = nrx.numpy.array([[1, 2], [3, 4]])
    >>> nrx.lax.reshape(x, (4,)), nrx.lax.reshape(x, (4,), (1, 0))
    (Array([1, 2, 3, 4], dtype=int32), Array([1, 3, 2, 4], dtype=int32))
    """
    (operand,) = as_arrays("reshape", operand)
    if dimensions is not None:
        operand = transpose(operand, dimensions)
    shape = canonical_shape(new_sizes)
    return operand if operand.aval.shape == shape else reshape_p.bind(operand, shape=shape)


def transpose(operand: Any, permutation: Sequence[int]) -> Array:
    """The axes of `operand` permuted: axis i of the result is axis `permutation[i]` of `operand`.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.transpose(nrx.numpy.ones((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    (operand,) = as_arrays("transpose", operand)
    permutation = canonical_axes(tuple(permutation), operand.ndim, "permutation")
    return operand if permutation == tuple(range(operand.ndim)) else transpose_p.bind(operand, permutation=permutation)


def rev(operand: Any, dimensions: Sequence[int]) -> Array:
    """`operand` reversed along `dimensions`.

    Shape and dtype stay.

    >>> import nrx
    >>> nrx.lax.rev(nrx.numpy.array([[1, 2], [3, 4]]), (1,))
    Array([[2, 1],
           [4, 3]], dtype=int32)
    """
    (operand,) = as_arrays("rev", operand)
    axes = canonical_axes(tuple(dimensions), operand.ndim, "dimensions")
    return rev_p.bind(operand, dimensions=tuple(sorted(axes))) if axes else operand


def copy(x: Any) -> Array:
    """A copy of `x` (values are immutable: useful to keep an input from being donated)."""
    return copy_p.bind(*as_arrays("copy", x))


def iota(dtype: Any, size: int) -> Array:
    """0, 1, …, size - 1 as an array of an integer or floating `dtype`.

    Its shape is (size,).

    >>> import nrx
    >>> nrx.lax.iota("float32", 4)
    Array([0., 1., 2., 3.], dtype=float32)
    """
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(dtype: Any, shape: Any, dimension: int, *, out_sharding: Any = None) -> Array:
    """An array of a `shape` and an integer or floating `dtype` whose elements count along `dimension`.

    >>> import nrx
    >>> nrx.lax.broadcasted_iota("int32", (2, 3), 1)
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    shape = canonical_shape(shape)
    dimension = canonical_axis(dimension, len(shape), "dimension")
    return iota_p.bind(dtype=dtypes.canonical_dtype(dtype), shape=shape, dimension=dimension)


def full(shape: Any, fill_value: Any, dtype: Any = None, *, sharding: Any = None) -> Array:
    """An array of `shape` filled with a scalar `fill_value`, of its dtype or of `dtype`.

    Raises:
        ShapeError: the value is not a scalar.

    >>> import nrx
    >>> nrx.lax.full((2, 2), 7)
    Array([[7, 7],
           [7, 7]], dtype=int32, weak_type=True)
    """
    value = asarray(fill_value, "full: fill_value")
    if value.ndim:
        raise ShapeError(f"full needs a scalar fill_value, got shape {show(value.shape)}", fix="use broadcast_to")
    if dtype is not None:
        value = convert_element_type(value if isinstance(fill_value, Array) else fill_value, dtype)
    return broadcast_in_dim(value, shape, ())


def full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None, sharding: Any = None) -> Array:
    """An array like `x` (its shape and dtype, unless given) filled with a scalar `fill_value`; `x` may be an Aval.

    >>> import nrx
    >>> nrx.lax.full_like(nrx.numpy.array([1.5, 2.5]), 7)
    Array([7., 7.], dtype=float32)
    """
    aval = x if isinstance(x, Aval) else getattr(x, "aval", None) or asarray(x).aval
    weak_type = dtype is None and aval.weak_type
    dtype = aval.dtype if dtype is None else dtypes.canonical_dtype(dtype, aval.dtype)
    shape = aval.shape if shape is None else canonical_shape(shape)
    if isinstance(fill_value, Array):
        return full(shape, convert_element_type(fill_value, dtype, weak_type))
    return broadcast_in_dim(scalar_array(fill_value, dtype, weak_type), shape, ())


def zeros_like(x: Any) -> Array:
    """Zeros of `x`'s shape and dtype."""
    return full_like(x, 0)


def instantiate(tangent: Any) -> Array:
    """A tangent or cotangent as an array: a symbolic `Zero` becomes zeros."""
    return full_like(tangent.aval, 0) if isinstance(tangent, Zero) else tangent


def squeeze(array: Any, dimensions: Sequence[int]) -> Array:
    """`array` without the axes `dimensions`, which must have length 1.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.squeeze(nrx.numpy.ones((1, 3, 1)), (0,)).shape
    (3, 1)
    """
    (array,) = as_arrays("squeeze", array)
    axes = canonical_axes(tuple(dimensions), array.ndim, "dimensions")
    if any(array.shape[a] != 1 for a in axes):
        raise ShapeError(f"cannot squeeze axes {axes} of shape {show(array.shape)}", fix="only axes of length 1 can go")
    return reshape(array, without(array.shape, axes))


def expand_dims(array: Any, dimensions: Sequence[int]) -> Array:
    """`array` with axes of length 1 inserted so that they stand at `dimensions` of the result.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.expand_dims(nrx.numpy.ones(3), (0, 2)).shape
    (1, 3, 1)
    """
    (array,) = as_arrays("expand_dims", array)
    dimensions = tuple(dimensions)
    axes = canonical_axes(dimensions, array.ndim + len(dimensions), "expand_dims: axis", "a result")
    shape = list(array.shape)
    for axis in sorted(axes):
        shape.insert(axis, 1)
    return reshape(array, tuple(shape))


def move_axis(x: Array, source: int, destination: int) -> Array:
    """`x` with one axis moved."""
    rest = [i for i in range(x.ndim) if i != source]
    return transpose(x, inserted(rest, destination, source))


def spread(x: Array, dim: int | None, size: Any, at: int = 0) -> Array:
    """A batched value with its batch axis at `at`; an unbatched one (`dim` None) is broadcast to have it."""
    if dim is not None:
        return x if dim == at else move_axis(x, dim, at)
    shape = inserted(x.shape, at, size)
    return broadcast_in_dim(x, shape, without(range(len(shape)), [at]))


# impl


def _convert_impl(xp: Any, x: Any, *, dtype: np.dtype, weak_type: bool) -> Any:
    if x.dtype.kind == "c" and dtype.kind not in "cb":
        x = x.real
    x = widened(x)  # not every narrow type casts to every other one
    if not (dtypes.is_integer(dtype) and dtypes.is_floating(x.dtype)):
        return x.astype(dtype, copy=False)
    # What does not fit, NumPy casts as the machine likes.
    low, high = dtypes.iinfo(dtype).min, dtypes.iinfo(dtype).max
    nearest = xp.where(x > 0, dtype.type(high), xp.where(x < 0, dtype.type(low), dtype.type(0)))
    return xp.where((x >= low) & (x < float(high + 1)), x.astype(dtype), nearest)


def _bitcast_impl(xp: Any, x: Any, *, dtype: np.dtype) -> Any:
    dtype = dtypes.storage(dtype)
    if x.dtype.itemsize == dtype.itemsize:
        return xp.ascontiguousarray(x).view(dtype).reshape(x.shape)
    if x.dtype.itemsize > dtype.itemsize:
        ratio = x.dtype.itemsize // dtype.itemsize
        return xp.ascontiguousarray(x).reshape(*x.shape, 1).view(dtype).reshape(*x.shape, ratio)
    return xp.ascontiguousarray(x).view(dtype).reshape(x.shape[:-1])


def _broadcast_impl(xp: Any, x: Any, *, shape: Shape, placement: tuple[int, ...]) -> Any:
    aligned = [1] * len(shape)
    for axis, dim in enumerate(placement):
        aligned[dim] = x.shape[axis]
    order = sorted(range(x.ndim), key=placement.__getitem__)
    return xp.broadcast_to(x.transpose(order).reshape(aligned), shape)


def _reshape_impl(xp: Any, x: Any, *, shape: Shape) -> Any:
    if x.ndim > 1 and x.shape[-1] > 1 and x.strides[-1] == 0:  # repeated elements, of which `reshape` copies each
        x = xp.repeat(x[..., 0], x.shape[-1], axis=-1)
    return x.reshape(shape)


def _reduce_sum_impl(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    wide = widened(x)
    return xp.add.reduce(wide, axis=axes, dtype=wide.dtype).astype(x.dtype, copy=False)


def _rev_impl(xp: Any, x: Any, *, dimensions: tuple[int, ...]) -> Any:
    return xp.flip(x, dimensions)


def _iota_impl(xp: Any, *, dtype: np.dtype, shape: Shape, dimension: int) -> Any:
    counts = xp.arange(shape[dimension]).astype(dtype)
    aligned = [1] * len(shape)
    aligned[dimension] = shape[dimension]
    return xp.broadcast_to(counts.reshape(aligned), shape)


# abstract


def _convert_abstract(x: Aval, *, dtype: np.dtype, weak_type: bool) -> Aval:
    if x.dtype != dtype and dtypes.key_dtype in (x.dtype, dtype):
        raise DTypeError(
            f"{x.dtype} cannot be converted to {dtype}",
            fix="nrx.random.key_data gives the words of keys, nrx.random.wrap_key_data makes keys of words",
        )
    return Aval(x.shape, dtype, weak_type)


def _bitcast_abstract(x: Aval, *, dtype: np.dtype) -> Aval:
    if x.dtype != dtype and any(d == dtypes.bool_ or dtypes.is_complex(d) for d in (x.dtype, dtype)):
        raise DTypeError(f"bitcast between {x.dtype} and {dtype} is not defined", fix="use x.astype(...)")
    old, new = x.dtype.itemsize, dtype.itemsize
    if old == new:
        return Aval(x.shape, dtype)
    if old > new:
        return Aval((*x.shape, old // new), dtype)
    if not x.shape or x.shape[-1] != new // old:
        raise ShapeError(f"bitcast from {x} to {dtype} needs a last axis of length {new // old}")
    return Aval(x.shape[:-1], dtype)


def _broadcast_abstract(x: Aval, *, shape: Shape, placement: tuple[int, ...]) -> Aval:
    distinct = {d for d in placement if 0 <= d < len(shape)}
    if not len(distinct) == len(placement) == x.ndim:
        raise AxisError(
            f"broadcast_in_dim: dimensions {placement} do not place the {x.ndim} axes of {x} in shape {show(shape)}"
        )
    if any(have not in (1, shape[dim]) for have, dim in zip(x.shape, placement, strict=True)):
        raise ShapeError(
            f"cannot broadcast shape {show(x.shape)} to {show(shape)} at axes {placement}",
            fix="an axis must have the length of the axis it goes to, or 1",
        )
    return x.update(shape=shape)


def _reduce_sum_abstract(x: Aval, *, axes: tuple[int, ...]) -> Aval:
    check_dtype("reduce_sum", x, NUMBERS)
    return x.update(shape=without(x.shape, axes))


def _reshape_abstract(x: Aval, *, shape: Shape) -> Aval:
    if size(shape) != x.size:
        raise ShapeError(
            f"cannot reshape shape {show(x.shape)} ({x.size} elements) to {show(shape)} ({size(shape)} elements)",
            fix="the numbers of elements must be equal; one dimension may be -1 in nrx.numpy.reshape",
        )
    return x.update(shape=shape)


def _transpose_abstract(x: Aval, *, permutation: tuple[int, ...]) -> Aval:
    if sorted(permutation) != list(range(x.ndim)):
        raise AxisError(f"{permutation} is not a permutation of the {x.ndim} axes of shape {show(x.shape)}")
    return x.update(shape=tuple(x.shape[i] for i in permutation))


def _same_abstract(x: Aval, **params: Any) -> Aval:
    return x


def _iota_abstract(*, dtype: np.dtype, shape: Shape, dimension: int) -> Aval:
    check_dtype("iota", Aval(shape, dtype), NUMBERS)
    return Aval(shape, dtype)


# jvp: all are linear, so the tangent goes the same way as the value


def linear_jvp(prim: Primitive) -> Any:
    """The jvp rule of a primitive of one operand that is linear in it."""

    def jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        return prim.bind(*primals, **params), prim.bind(*tangents, **params)

    return jvp


def _convert_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, dtype: np.dtype, weak_type: bool) -> Any:
    out = convert_element_type_p.bind(*primals, dtype=dtype, weak_type=weak_type)
    if not dtypes.is_inexact(dtype):
        return out, Zero(out.aval.tangent)
    return out, convert_element_type_p.bind(*tangents, dtype=dtype, weak_type=weak_type)


def constant_jvp(prim: Primitive) -> Any:
    """The jvp rule of a primitive whose results are piecewise constant, or not numbers that vary."""

    def jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = prim.bind(*primals, **params)
        if prim.multiple_results:
            return out, [Zero(x.aval.tangent) for x in out]
        return out, Zero(out.aval.tangent)

    return jvp


# transpose


def _convert_transpose(ct: Array, x: Linear, *, dtype: np.dtype, weak_type: bool) -> list[Any]:
    return [convert_element_type(ct, x.aval.dtype, x.aval.weak_type)]


def _broadcast_transpose(ct: Array, x: Linear, *, shape: Shape, placement: tuple[int, ...]) -> list[Any]:
    stretched = [d for have, d in zip(x.aval.shape, placement, strict=True) if have == 1 and shape[d] != 1]
    summed = reduce_sum(ct, [*without(range(len(shape)), placement), *stretched])
    kept = [d for d in placement if d not in stretched]
    ordered = transpose(summed, [sorted(kept).index(d) for d in kept])
    return [reshape(ordered, x.aval.shape)]


def _reduce_sum_transpose(ct: Array, x: Linear, *, axes: tuple[int, ...]) -> list[Any]:
    return [broadcast_in_dim(ct, x.aval.shape, without(range(x.aval.ndim), axes))]


def _reshape_transpose(ct: Array, x: Linear, *, shape: Shape) -> list[Any]:
    return [reshape(ct, x.aval.shape)]


def _transpose_transpose(ct: Array, x: Linear, *, permutation: tuple[int, ...]) -> list[Any]:
    return [transpose(ct, inverse_permutation(permutation))]


def _rev_transpose(ct: Array, x: Linear, *, dimensions: tuple[int, ...]) -> list[Any]:
    return [rev(ct, dimensions)]


def _copy_transpose(ct: Array, x: Linear) -> list[Any]:
    return [ct]


# batch: (axis, args, dims, **params) -> (result, dim)


def _unary_batch(prim: Primitive) -> Any:
    def batch(axis: Any, args: Sequence[Array], dims: Sequence[int], **params: Any) -> tuple[Any, int]:
        return prim.bind(*args, **params), dims[0]

    return batch


def _bitcast_batch(axis: Any, args: Sequence[Array], dims: Sequence[int], *, dtype: np.dtype) -> tuple[Any, int]:
    return bitcast_convert_type_p.bind(spread(args[0], dims[0], axis.size), dtype=dtype), 0


def _broadcast_batch(axis: Any, args: Any, dims: Any, *, shape: Shape, placement: tuple[int, ...]) -> tuple[Any, int]:
    x = spread(args[0], dims[0], axis.size)
    return broadcast_in_dim(x, (axis.size, *shape), (0, *(d + 1 for d in placement))), 0


def _shifted(axes: tuple[int, ...], dim: int) -> tuple[int, ...]:
    """Axes of the unbatched array as axes of one with a batch axis at `dim`."""
    return tuple(a + (a >= dim) for a in axes)


def _reduce_sum_batch(axis: Any, args: Any, dims: Any, *, axes: tuple[int, ...]) -> tuple[Any, int]:
    moved = _shifted(axes, dims[0])
    return reduce_sum_p.bind(args[0], axes=moved), dims[0] - sum(a < dims[0] for a in moved)


def _reshape_batch(axis: Any, args: Any, dims: Any, *, shape: Shape) -> tuple[Any, int]:
    return reshape(spread(args[0], dims[0], axis.size), (axis.size, *shape)), 0


def _transpose_batch(axis: Any, args: Any, dims: Any, *, permutation: tuple[int, ...]) -> tuple[Any, int]:
    return transpose(args[0], (dims[0], *_shifted(permutation, dims[0]))), 0


def _rev_batch(axis: Any, args: Any, dims: Any, *, dimensions: tuple[int, ...]) -> tuple[Any, int]:
    return rev(args[0], _shifted(dimensions, dims[0])), dims[0]


# lower


def _convert_element(x: Any, *, dtype: np.dtype, weak_type: bool) -> Any:
    type = loops.type_of(dtypes.real_part_dtype(dtype))
    if dtypes.is_complex(dtype):
        parts = (x.real, x.imag) if isinstance(x, Complex) else (x, loops.const(0, type))
        return Complex(*(loops.convert(part, type) for part in parts))
    if not isinstance(x, Complex):
        return loops.convert(x, type)
    return loops.ne(x.real, 0) | loops.ne(x.imag, 0) if type == "bool" else loops.convert(x.real, type)


def _bitcast_at(b: Builder, index: tuple, x: Reader, *, dtype: np.dtype) -> Value:
    old, target = x.aval.dtype, loops.type_of(dtype)
    if old.itemsize == dtype.itemsize:
        return x(*index) if old == dtype else loops.bitcast(x(*index), target)
    width = 8 * min(old.itemsize, dtype.itemsize)
    part, whole = f"u{width}", f"u{8 * max(old.itemsize, dtype.itemsize)}"
    # The lowest bits come first, as in the memory of every processor that is compiled for.
    if old.itemsize > dtype.itemsize:
        distance = loops.convert(loops.const(0, "i64") + index[-1] * width, whole)
        return loops.bitcast(loops.convert(loops.bitcast(x(*index[:-1]), whole) >> distance, part), target)
    bits = loops.const(0, whole)
    for number in range(dtype.itemsize // old.itemsize):
        bits = bits | loops.convert(loops.bitcast(x(*index, number), part), whole) << number * width
    return loops.bitcast(bits, target)


def _broadcast_at(b: Builder, index: tuple, x: Reader, *, shape: Shape, placement: tuple[int, ...]) -> Value:
    return x(*(0 if have == 1 else index[d] for have, d in zip(x.aval.shape, placement, strict=True)))


def _reshape_at(b: Builder, index: tuple, x: Reader, *, shape: Shape) -> Value:
    return x(*loops.reshaped(index, shape, x.aval.shape))


def _transpose_at(b: Builder, index: tuple, x: Reader, *, permutation: tuple[int, ...]) -> Value:
    return x(*(index[i] for i in inverse_permutation(permutation)))


def _transpose_build(
    b: Builder, operands: list[Operand], results: list[Operand], *, permutation: tuple[int, ...]
) -> None:
    (x,), (out,) = operands, results
    strides = row_major_strides(x.aval.shape)
    source_strides = tuple(strides[i] for i in permutation)
    move(b, [Box(out.aval.shape, out, 0, row_major_strides(out.aval.shape), x, 0, source_strides)])


_TRANSPOSE_VIEW, _TRANSPOSE_NATIVE = Pointwise(_transpose_at, cost=0), Native(_transpose_build)


def _transpose_lower(x: Aval, *, permutation: tuple[int, ...]) -> Any:
    """A view if neighbours stay neighbours or the array is small; else it is moved in memory, in tiles.

    So it is if a length that is left open goes behind another one: every reader would have to divide by it.
    """
    last = max((axis for axis, length in enumerate(x.shape) if length != 1), default=-1)
    stays = last == next((axis for axis in reversed(permutation) if x.shape[axis] != 1), -1)
    divides = any(isinstance(x.shape[axis], Dim) for axis in permutation[1:])
    return _TRANSPOSE_VIEW if capacity(x.size) <= SMALL or (stays and not divides) else _TRANSPOSE_NATIVE


def _rev_at(b: Builder, index: tuple, x: Reader, *, dimensions: tuple[int, ...]) -> Value:
    ends = {d: x.aval.shape[d] - 1 for d in dimensions}
    return x(*(ends[d] - i if d in ends else i for d, i in enumerate(index)))


def _reduce_sum_lower(x: Aval, *, axes: tuple[int, ...]) -> Reduction:
    return accumulation.by(operator.add, 0, x.dtype).over_axes(axes)


def _iota_at(b: Builder, index: tuple, *, dtype: np.dtype, shape: Shape, dimension: int) -> Value:
    count = index[dimension] if shape[dimension] != 1 else loops.const(0, "i64")
    part = loops.convert(count, "f32" if dtypes.is_narrow(dtype) else loops.type_of(dtypes.real_part_dtype(dtype)))
    return Complex(part, loops.const(0, part.type)) if dtypes.is_complex(dtype) else part


# Registration

convert_element_type_p.define(
    impl=_convert_impl, abstract=_convert_abstract, jvp=_convert_jvp, transpose=_convert_transpose,
    batch=_unary_batch(convert_element_type_p), lower=elementwise_lower(_convert_element, narrow=True),
)  # fmt: skip
bitcast_convert_type_p.define(
    impl=_bitcast_impl, abstract=_bitcast_abstract, jvp=constant_jvp(bitcast_convert_type_p), batch=_bitcast_batch,
    lower=view_lower(_bitcast_at),
).refuse(transpose="the bits of a number are not a linear function of it")  # fmt: skip
broadcast_in_dim_p.define(
    impl=_broadcast_impl, abstract=_broadcast_abstract, jvp=linear_jvp(broadcast_in_dim_p),
    transpose=_broadcast_transpose, batch=_broadcast_batch, lower=view_lower(_broadcast_at),
)  # fmt: skip
reduce_sum_p.define(
    impl=_reduce_sum_impl, abstract=_reduce_sum_abstract, jvp=linear_jvp(reduce_sum_p),
    transpose=_reduce_sum_transpose, batch=_reduce_sum_batch, lower=_reduce_sum_lower,
)  # fmt: skip
reshape_p.define(
    impl=_reshape_impl, abstract=_reshape_abstract, jvp=linear_jvp(reshape_p), transpose=_reshape_transpose,
    batch=_reshape_batch, lower=view_lower(_reshape_at),
)  # fmt: skip
transpose_p.define(
    impl=lambda xp, x, *, permutation: x.transpose(permutation), abstract=_transpose_abstract,
    jvp=linear_jvp(transpose_p), transpose=_transpose_transpose, batch=_transpose_batch,
    lower=_transpose_lower,
)  # fmt: skip
rev_p.define(
    impl=_rev_impl, abstract=_same_abstract, jvp=linear_jvp(rev_p), transpose=_rev_transpose, batch=_rev_batch,
    lower=view_lower(_rev_at),
)  # fmt: skip
copy_p.define(
    impl=lambda xp, x: x.copy(), abstract=_same_abstract, jvp=linear_jvp(copy_p), transpose=_copy_transpose,
    batch=_unary_batch(copy_p), lower=elementwise_lower(lambda x: x, cost=0, narrow=True),
)  # fmt: skip
iota_p.define(impl=_iota_impl, abstract=_iota_abstract, lower=view_lower(_iota_at)).refuse(
    jvp="it has no operand to vary", transpose="it has no operand", batch="it has no operand to batch"
)
for _prim in (
    convert_element_type_p, bitcast_convert_type_p, broadcast_in_dim_p, reduce_sum_p, reshape_p, transpose_p, rev_p,
    copy_p, iota_p,
):  # fmt: skip
    _prim.refuse(onnx=NOT_YET_LOWERED)
