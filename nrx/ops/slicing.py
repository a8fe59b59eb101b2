"""Static slicing: slice, pad, concatenate, split. The positions are Python integers; see `dynamic` for computed ones.

`slice` and `pad` are each other's transposes, and so are `concatenate` and `split`.
"""

from builtins import slice as python_slice
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import index
from typing import Any

from nrx.core import loops
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.dims import capacity
from nrx.core.errors import ArgumentError, IndexingError, ShapeError
from nrx.core.loops import Builder, Native, Operand, Pointwise, Reader, Value
from nrx.core.primitive import Primitive
from nrx.core.shapes import Shape, canonical_axis, canonical_shape, inserted, show, size, without
from nrx.ops.common import NOT_YET_LOWERED, as_arrays, check_same_dtype, filled, scalar_array, view_lower
from nrx.ops.logic import select
from nrx.ops.moves import SMALL, Box, move, row_major_strides
from nrx.ops.rules import as_peer
from nrx.ops.structural import broadcast_in_dim, full, instantiate, linear_jvp, reduce_sum, reshape, spread

slice_p = Primitive("slice")
pad_p = Primitive("pad")
concatenate_p = Primitive("concatenate")
split_p = Primitive("split", multiple_results=True)

PaddingConfig = tuple[tuple[int, int, int], ...]

# Public functions


def slice(
    operand: Any, start_indices: Sequence[int], limit_indices: Sequence[int], strides: Sequence[int] | None = None
) -> Array:
    """The elements of `operand` from `start_indices` to before `limit_indices`, every `strides`-th along each axis.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.slice(nrx.numpy.array([[1, 2, 3], [4, 5, 6]]), (0, 1), (2, 3))
    Array([[2, 3],
           [5, 6]], dtype=int32)
    """
    (operand,) = as_arrays("slice", operand)
    starts, limits = _integers("start_indices", start_indices), _integers("limit_indices", limit_indices)
    steps = filled(operand.shape, 1) if strides is None else _integers("strides", strides)
    if (starts, limits, steps) == (filled(operand.shape, 0), operand.shape, filled(operand.shape, 1)):
        return operand
    return slice_p.bind(operand, start_indices=starts, limit_indices=limits, strides=steps)


def slice_in_dim(
    operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0
) -> Array:
    """`slice` along one axis; negative indices count from its end, None means its beginning or its end.

    Args:
        operand: an array.
        start_index, limit_index: where the slice begins, and the first index that it lacks.
        stride: the distance of its elements.
        axis: the axis.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.slice_in_dim(nrx.numpy.arange(10), 2, -2, 3)
    Array([2, 5], dtype=int32)
    """
    (operand,) = as_arrays("slice_in_dim", operand)
    axis = canonical_axis(axis, operand.ndim)
    length = operand.shape[axis]
    start = 0 if start_index is None else index(start_index)
    limit = length if limit_index is None else index(limit_index)
    starts, limits, strides = list(filled(operand.shape, 0)), list(operand.shape), list(filled(operand.shape, 1))
    starts[axis] = start + length if start < 0 else start
    limits[axis] = limit + length if limit < 0 else limit
    strides[axis] = stride
    return slice(operand, starts, limits, strides)


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Array:
    """The element of `operand` at `index` along one axis, which stays with length 1 if `keepdims`; -1 is the last.

    Raises:
        IndexingError: the index is out of bounds.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.index_in_dim(nrx.numpy.array([[1, 2], [3, 4]]), -1, keepdims=False)
    Array([3, 4], dtype=int32)
    """
    (operand,) = as_arrays("index_in_dim", operand)
    axis = canonical_axis(axis, operand.ndim)
    (position,) = _integers("index", (index,))
    length = operand.shape[axis]
    if not -length <= position < length:
        raise IndexingError(
            f"index {position} is out of bounds for axis {axis} of shape {show(operand.shape)}",
            fix=f"use an index from {-length} to {length - 1}" if length else "the axis is empty",
        )
    position %= length
    part = slice_in_dim(operand, position, position + 1, axis=axis)
    return part if keepdims else reshape(part, without(part.shape, [axis]))


def pad(operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Array:
    """`operand` with (low, high, interior) padding along each axis, as `padding_config` says; negative ones cut off.

    `padding_value` is a scalar of the operand's dtype.

    Raises:
        ShapeError: the value is not a scalar, or there is not one entry for each axis.
        ArgumentError: an entry is no such triple, or its interior padding is negative.

    >>> import nrx
    >>> nrx.lax.pad(nrx.numpy.array([1, 2, 3]), 0, [(2, -1, 1)])
    Array([0, 0, 1, 0, 2, 0], dtype=int32)
    """
    (operand,) = as_arrays("pad", operand)
    (value,) = as_arrays("pad", padding_value)
    value = as_peer(padding_value, value, operand.aval.update(shape=()))
    if any(len(entry) != 3 for entry in padding_config):
        raise ArgumentError(f"pad: the padding of an axis is (low, high, interior), got {padding_config!r}")
    config = tuple(_integers("padding_config", entry) for entry in padding_config)
    return pad_p.bind(operand, value, padding_config=config)


def concatenate(operands: Any, dimension: int) -> Array:
    """The `operands` one after the other along the axis `dimension`; an Array stands for the sequence of its rows.

    Raises:
        ArgumentError: there is no operand.

    They have one dtype, which the result has, and one shape but for that axis.

    >>> import nrx
    >>> nrx.lax.concatenate([nrx.numpy.array([1, 2]), nrx.numpy.array([3])], 0)
    Array([1, 2, 3], dtype=int32)
    """
    if isinstance(operands, Array):
        operands = [index_in_dim(operands, i, keepdims=False) for i in range(len(operands))]
    arrays = as_arrays("concatenate", *operands)
    if not arrays:
        raise ArgumentError("concatenate needs at least one array")
    dimension = canonical_axis(dimension, arrays[0].ndim, "dimension")
    return arrays[0] if len(arrays) == 1 else concatenate_p.bind(*arrays, dimension=dimension)


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Array]:
    """The consecutive parts of `operand` along an axis that have the lengths `sizes`.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.split(nrx.numpy.array([1, 2, 3]), (1, 2))
    [Array([1], dtype=int32), Array([2, 3], dtype=int32)]
    """
    (operand,) = as_arrays("split", operand)
    sizes = canonical_shape(sizes)
    axis = canonical_axis(axis, operand.ndim)
    return [operand] if sizes == (operand.shape[axis],) else split_p.bind(operand, sizes=sizes, dimension=axis)


def _integers(name: str, values: Sequence[Any]) -> tuple[int, ...]:
    try:
        return tuple(index(value) for value in values)
    except TypeError as error:
        if hasattr(error, "fix"):
            raise
        raise ArgumentError(f"{name} must be integers, got {values!r}") from None


# impl


def _slice_impl(xp: Any, x: Any, *, start_indices: Shape, limit_indices: Shape, strides: Shape) -> Any:
    return x[tuple(map(python_slice, start_indices, limit_indices, strides))]


def _pad_impl(xp: Any, x: Any, value: Any, *, padding_config: PaddingConfig) -> Any:
    out = xp.broadcast_to(value, _padded_shape(x.shape, padding_config)).copy()
    sources, targets = [], []
    for have, length, (low, high, interior) in zip(x.shape, out.shape, padding_config, strict=True):
        first, last = _kept(have, length, (low, high, interior))
        if first >= last:
            return out
        step = interior + 1
        sources.append(python_slice(first, last))
        targets.append(python_slice(low + first * step, low + (last - 1) * step + 1, step))
    out[tuple(targets)] = x[tuple(sources)]
    return out


def _kept(have: int, length: int, padding: tuple[int, int, int]) -> tuple[int, int]:
    """The first element along an axis that padding keeps, and the one after the last; k goes to low + k * step."""
    low, step = padding[0], padding[2] + 1
    return max(0, -(low // step)), min(have, (length - 1 - low) // step + 1)


def _split_impl(xp: Any, x: Any, *, sizes: Shape, dimension: int) -> list[Any]:
    parts, start = [], 0
    for length in sizes:
        parts.append(x[(python_slice(None),) * dimension + (python_slice(start, start + length),)])
        start += length
    return parts


# abstract


def _slice_abstract(x: Aval, *, start_indices: Shape, limit_indices: Shape, strides: Shape) -> Aval:
    if not len(start_indices) == len(limit_indices) == len(strides) == x.ndim:
        raise ShapeError(
            f"slice: shape {show(x.shape)} needs {x.ndim} start indices, limit indices and strides, "
            f"got {start_indices}, {limit_indices} and {strides}"
        )
    if any(step < 1 for step in strides):
        raise ArgumentError(f"slice: strides must be positive, got {strides}", fix="reverse with nrx.lax.rev")
    if any(not 0 <= a <= b <= n for a, b, n in zip(start_indices, limit_indices, x.shape, strict=True)):
        raise IndexingError(
            f"slice: {start_indices} to {limit_indices} is not inside shape {show(x.shape)}",
            fix="0 <= start <= limit <= length must hold on every axis",
        )
    bounds = zip(start_indices, limit_indices, strides, strict=True)
    return x.update(shape=tuple(-((a - b) // step) for a, b, step in bounds))


def _padded_shape(shape: Shape, config: PaddingConfig) -> Shape:
    return tuple(
        low + high + (n + (n - 1) * interior if n != 0 else 0)
        for n, (low, high, interior) in zip(shape, config, strict=True)
    )


def _pad_abstract(x: Aval, value: Aval, *, padding_config: PaddingConfig) -> Aval:
    check_same_dtype("pad", x, value)
    if value.shape:
        raise ShapeError(f"pad: the padding value must be a scalar, got shape {show(value.shape)}")
    if len(padding_config) != x.ndim:
        raise ShapeError(f"pad: shape {show(x.shape)} needs padding for {x.ndim} axes, got {padding_config}")
    if any(interior < 0 for _, _, interior in padding_config):
        raise ArgumentError(f"pad: interior padding must not be negative, got {padding_config}")
    shape = _padded_shape(x.shape, padding_config)
    if any(length < 0 for length in shape):
        raise ShapeError(
            f"pad: {padding_config} cuts more off shape {show(x.shape)} than there is",
            fix="negative padding must leave a length of at least 0",
        )
    return x.update(shape=shape, weak_type=x.weak_type and value.weak_type)


def _concatenate_abstract(*xs: Aval, dimension: int) -> Aval:
    check_same_dtype("concatenate", *xs)
    rest = without(xs[0].shape, [dimension])
    if any(x.ndim != xs[0].ndim or without(x.shape, [dimension]) != rest for x in xs):
        raise ShapeError(
            f"concatenate along axis {dimension}: the other axes differ in {', '.join(show(x.shape) for x in xs)}",
            fix="shapes must be equal except along the axis of concatenation",
        )
    shape = inserted(rest, dimension, sum(x.shape[dimension] for x in xs))
    return xs[0].update(shape=shape, weak_type=all(x.weak_type for x in xs))


def _split_abstract(x: Aval, *, sizes: Shape, dimension: int) -> list[Aval]:
    if sum(sizes) != x.shape[dimension]:
        raise ShapeError(
            f"split: the sizes {sizes} add up to {sum(sizes)}, axis {dimension} of shape {show(x.shape)} "
            f"has length {x.shape[dimension]}"
        )
    rest = without(x.shape, [dimension])
    return [x.update(shape=inserted(rest, dimension, size)) for size in sizes]


# jvp


def _all_linear_jvp(prim: Primitive) -> Any:
    """The jvp rule of a primitive that is linear in its operands taken together."""

    def jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        return prim.bind(*primals, **params), prim.bind(*map(instantiate, tangents), **params)

    return jvp


# transpose


def _slice_transpose(ct: Array, x: Linear, *, start_indices: Shape, limit_indices: Shape, strides: Shape) -> list[Any]:
    config = []
    for length, kept, start, step in zip(x.aval.shape, ct.shape, start_indices, strides, strict=True):
        reached = start + (kept - 1) * step + 1 if kept != 0 else start
        config.append((start, length - reached, step - 1))
    return [pad(ct, 0, config)]


def _covered(x: Aval, config: PaddingConfig) -> Array:
    """Where the padded array has elements of `x`, and not padding."""
    return pad(full(x.shape, True), False, config)


def _pad_transpose(ct: Array, x: Any, value: Any, *, padding_config: PaddingConfig) -> list[Any]:
    ct_x = ct_value = None
    if isinstance(x, Linear):
        uncut = pad(ct, 0, [(-low, -high, 0) for low, high, _ in padding_config])
        ct_x = slice(uncut, filled(uncut.shape, 0), uncut.shape, [interior + 1 for _, _, interior in padding_config])
    if isinstance(value, Linear):
        padding = select(_covered(x.aval, padding_config), instantiate(Zero(ct.aval)), ct)
        ct_value = reduce_sum(padding, range(ct.ndim))
    return [ct_x, ct_value]


def _concatenate_transpose(ct: Array, *xs: Any, dimension: int) -> list[Any]:
    parts = split(ct, [x.aval.shape[dimension] for x in xs], dimension)
    return [part if isinstance(x, Linear) else None for part, x in zip(parts, xs, strict=True)]


def _split_transpose(cts: Sequence[Any], x: Linear, *, sizes: Shape, dimension: int) -> list[Any]:
    return [concatenate([instantiate(ct) for ct in cts], dimension)]


# batch


def _slice_batch(
    axis: Any, args: Any, dims: Any, *, start_indices: Shape, limit_indices: Shape, strides: Shape
) -> tuple[Any, int]:
    (x,), (dim,) = args, dims
    starts, limits = inserted(start_indices, dim, 0), inserted(limit_indices, dim, axis.size)
    return slice(x, starts, limits, inserted(strides, dim, 1)), dim


def _pad_batch(axis: Any, args: Any, dims: Any, *, padding_config: PaddingConfig) -> tuple[Any, int]:
    (x, value), (dim, value_dim) = args, dims
    if value_dim is None:
        return pad(x, value, inserted(padding_config, dim, (0, 0, 0))), dim
    x = spread(x, dim, axis.size)
    config = ((0, 0, 0), *padding_config)
    padded = pad(x, scalar_array(0, x.dtype), config)
    return select(_covered(x.aval, config), padded, broadcast_in_dim(value, padded.shape, (0,))), 0


def _concatenate_batch(axis: Any, args: Any, dims: Any, *, dimension: int) -> tuple[Any, int]:
    moved = [spread(x, dim, axis.size) for x, dim in zip(args, dims, strict=True)]
    return concatenate(moved, dimension + 1), 0


def _split_batch(axis: Any, args: Any, dims: Any, *, sizes: Shape, dimension: int) -> tuple[Any, list[int]]:
    (x,), (dim,) = args, dims
    return split(x, sizes, dimension + (dimension >= dim)), [dim] * len(sizes)


# lower. Where elements come from one of several places, a view computes them all and selects. If there are many, or if
# it takes divisions, copies in memory are faster, though they are one pass more.

_FEW_OPERANDS = 4


def _slice_at(
    b: Builder, index: tuple, x: Reader, *, start_indices: Shape, limit_indices: Shape, strides: Shape
) -> Value:
    return x(*(start + i * step for i, start, step in zip(index, start_indices, strides, strict=True)))


def _pad_lower(x: Aval, value: Aval, *, padding_config: PaddingConfig) -> Any:
    shape = _padded_shape(x.shape, padding_config)
    lanes = max((axis for axis, length in enumerate(shape) if length != 1), default=-1)
    is_dilated = lanes >= 0 and padding_config[lanes][2] > 0
    return _PAD_NATIVE if is_dilated and capacity(size(shape)) > SMALL else _PAD_VIEW


def _pad_at(b: Builder, index: tuple, x: Reader, value: Reader, *, padding_config: PaddingConfig) -> Value:
    if not x.aval.size:
        return value()
    conditions, source = [], []
    for i, length, (low, _, interior) in zip(index, x.aval.shape, padding_config, strict=True):
        step = interior + 1
        reach = (length - 1) * step
        conditions += loops.inside(i - low, reach)
        offset = loops.clamp(i - low, reach)
        if step > 1:
            conditions.append(loops.eq(loops.mod(offset, step), 0))
        source.append(loops.floordiv(offset, step))
    return loops.select(loops.all_of(conditions), x(*source), value())


def _pad_build(b: Builder, operands: list[Operand], results: list[Operand], *, padding_config: PaddingConfig) -> None:
    """Axis by axis, what is before, between and after the elements of `x` is filled; in the end they are copied."""
    (x, value), (out,) = operands, results
    strides, source_strides = row_major_strides(out.aval.shape), row_major_strides(x.aval.shape)
    fill = value()
    start, source_start, extents, steps = 0, 0, list(out.aval.shape), list(strides)
    boxes = []

    def fill_along(axis: int, start: int, *nest: tuple[int, int]) -> None:
        """Fill what loops of these lengths and steps reach in place of the axis."""
        lengths, strides = zip(*nest, strict=True)
        box = (*extents[:axis], *lengths, *extents[axis + 1 :]), (*steps[:axis], *strides, *steps[axis + 1 :])
        boxes.append(Box(box[0], out, start, box[1], fill))

    for axis, (low, _, interior) in enumerate(padding_config):
        first, last = _kept(x.aval.shape[axis], extents[axis], padding_config[axis])
        stride, step, count = strides[axis], interior + 1, last - first
        if count <= 0:
            boxes.append(Box(tuple(extents), out, start, tuple(steps), fill))
            break
        begin, end = low + first * step, low + (last - 1) * step + 1
        fill_along(axis, start, (begin, stride))
        fill_along(axis, start + end * stride, (extents[axis] - end, stride))
        start += begin * stride
        if interior:
            fill_along(axis, start + stride, (count - 1, step * stride), (interior, stride))
        extents[axis], steps[axis] = count, step * stride
        source_start += first * source_strides[axis]
    else:
        boxes.append(Box(tuple(extents), out, start, tuple(steps), x, source_start, source_strides))
    move(b, boxes)


_PAD_VIEW, _PAD_NATIVE = Pointwise(_pad_at, cost=0), Native(_pad_build)


def _concatenate_lower(*xs: Aval, dimension: int) -> Any:
    elements = sum(x.size for x in xs)
    is_view = len(xs) <= _FEW_OPERANDS or capacity(elements) * len(xs) <= SMALL
    return _CONCATENATE_VIEW if is_view else _CONCATENATE_NATIVE


def _concatenate_at(b: Builder, index: tuple, *xs: Reader, dimension: int) -> Value:
    i, end = index[dimension], sum(x.aval.shape[dimension] for x in xs)
    low, high = loops.bounds(i)
    value: Any = None
    for x in reversed(xs):  # an index that is not below any end is in the last operand
        length = x.aval.shape[dimension]
        start = end - length
        if start <= high and low < end and length:
            element = x(*inserted(without(index, [dimension]), dimension, loops.clamp(i - start, length - 1)))
            value = element if value is None else loops.select(i < end, element, value)
        end = start
    return xs[0](*index) if value is None else value  # None: there are no elements at all


def _concatenate_build(b: Builder, operands: list[Operand], results: list[Operand], *, dimension: int) -> None:
    (out,), at, boxes = results, 0, []
    for x in operands:
        boxes.append(Box.of(out, inserted(filled(out.aval.shape[1:], 0), dimension, at), x))
        at += x.aval.shape[dimension]
    move(b, boxes)


_CONCATENATE_VIEW, _CONCATENATE_NATIVE = Pointwise(_concatenate_at, cost=0), Native(_concatenate_build)


def _split_lower(x: Aval, *, sizes: Shape, dimension: int) -> Any:
    def part(start: int) -> Callable:
        def at(b: Builder, index: tuple, x: Reader, **params: Any) -> Value:
            return x(*(i + start if axis == dimension else i for axis, i in enumerate(index)))

        return at

    return Pointwise(tuple(map(part, accumulate(sizes[:-1], initial=0))), cost=0)


# Registration

slice_p.define(
    impl=_slice_impl, abstract=_slice_abstract, jvp=linear_jvp(slice_p), transpose=_slice_transpose, batch=_slice_batch,
    lower=view_lower(_slice_at),
)  # fmt: skip
pad_p.define(
    impl=_pad_impl, abstract=_pad_abstract, jvp=_all_linear_jvp(pad_p), transpose=_pad_transpose, batch=_pad_batch,
    lower=_pad_lower,
)  # fmt: skip
concatenate_p.define(
    impl=lambda xp, *xs, dimension: xp.concatenate(xs, dimension), abstract=_concatenate_abstract,
    jvp=_all_linear_jvp(concatenate_p), transpose=_concatenate_transpose, batch=_concatenate_batch,
    lower=_concatenate_lower,
)  # fmt: skip
split_p.define(
    impl=_split_impl, abstract=_split_abstract, jvp=linear_jvp(split_p), transpose=_split_transpose, batch=_split_batch,
    lower=_split_lower,
)  # fmt: skip
for _prim in (slice_p, pad_p, concatenate_p, split_p):
    _prim.refuse(onnx=NOT_YET_LOWERED)
