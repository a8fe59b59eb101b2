"""Static slicing: slice, pad, concatenate, split. The positions are Python integers; see `dynamic` for computed ones.

`slice` and `pad` are each other's transposes, and so are `concatenate` and `split`.
"""

from builtins import slice as python_slice
from collections.abc import Sequence
from operator import index
from typing import Any

from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import ArgumentError, IndexingError, ShapeError
from nrx.core.primitive import Primitive
from nrx.core.shapes import Shape, canonical_axis, canonical_shape, inserted, show, without
from nrx.ops.common import NOT_YET_LOWERED, as_arrays, check_same_dtype, filled, scalar_array
from nrx.ops.logic import select
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
    """The elements from `start_indices` up to, not including, `limit_indices`, every `strides`-th along each axis."""
    (operand,) = as_arrays("slice", operand)
    starts, limits = _integers("start_indices", start_indices), _integers("limit_indices", limit_indices)
    steps = filled(operand.shape, 1) if strides is None else _integers("strides", strides)
    if (starts, limits, steps) == (filled(operand.shape, 0), operand.shape, filled(operand.shape, 1)):
        return operand
    return slice_p.bind(operand, start_indices=starts, limit_indices=limits, strides=steps)


def slice_in_dim(
    operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0
) -> Array:
    """`slice` along one axis; negative indices count from its end, None means its beginning or its end."""
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
    """The element at `index` along one axis, which stays with length 1 if `keepdims`; -1 is the last."""
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
    """`operand` with (low, high, interior) padding along each axis; negative low and high cut elements off."""
    (operand,) = as_arrays("pad", operand)
    (value,) = as_arrays("pad", padding_value)
    value = as_peer(padding_value, value, operand.aval.update(shape=()))
    if any(len(entry) != 3 for entry in padding_config):
        raise ArgumentError(f"pad: the padding of an axis is (low, high, interior), got {padding_config!r}")
    config = tuple(_integers("padding_config", entry) for entry in padding_config)
    return pad_p.bind(operand, value, padding_config=config)


def concatenate(operands: Any, dimension: int) -> Array:
    """The operands one after the other along an axis; an Array stands for the sequence of its rows."""
    if isinstance(operands, Array):
        operands = [index_in_dim(operands, i, keepdims=False) for i in range(len(operands))]
    arrays = as_arrays("concatenate", *operands)
    if not arrays:
        raise ArgumentError("concatenate needs at least one array")
    dimension = canonical_axis(dimension, arrays[0].ndim, "dimension")
    return arrays[0] if len(arrays) == 1 else concatenate_p.bind(*arrays, dimension=dimension)


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Array]:
    """The consecutive parts of `operand` along an axis that have the lengths `sizes`."""
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
    for have, length, (low, _, interior) in zip(x.shape, out.shape, padding_config, strict=True):
        step = interior + 1  # element k goes to low + k * step
        first = max(0, -(low // step))
        last = min(have, (length - 1 - low) // step + 1)
        if first >= last:
            return out
        sources.append(python_slice(first, last))
        targets.append(python_slice(low + first * step, low + (last - 1) * step + 1, step))
    out[tuple(targets)] = x[tuple(sources)]
    return out


def _split_impl(xp: Any, x: Any, *, sizes: Shape, dimension: int) -> list[Any]:
    parts, start = [], 0
    for size in sizes:
        parts.append(x[(python_slice(None),) * dimension + (python_slice(start, start + size),)])
        start += size
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


# Registration

slice_p.define(
    impl=_slice_impl, abstract=_slice_abstract, jvp=linear_jvp(slice_p), transpose=_slice_transpose, batch=_slice_batch
)
pad_p.define(
    impl=_pad_impl, abstract=_pad_abstract, jvp=_all_linear_jvp(pad_p), transpose=_pad_transpose, batch=_pad_batch
)
concatenate_p.define(
    impl=lambda xp, *xs, dimension: xp.concatenate(xs, dimension), abstract=_concatenate_abstract,
    jvp=_all_linear_jvp(concatenate_p), transpose=_concatenate_transpose, batch=_concatenate_batch,
)  # fmt: skip
split_p.define(
    impl=_split_impl, abstract=_split_abstract, jvp=linear_jvp(split_p), transpose=_split_transpose, batch=_split_batch
)
for _prim in (slice_p, pad_p, concatenate_p, split_p):
    _prim.refuse(lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED)
