"""Gather: windows of an array, at places that an array of indices gives."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.aval import Aval, Zero
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.loops import Builder, Pointwise, Reader, Value
from nrx.core.primitive import Primitive
from nrx.core.shapes import Shape, canonical_shape, inverse_permutation, show, size, without
from nrx.ops.addressing import layout_of, only_window, places_of, starts_of, window_axes, window_start
from nrx.ops.common import NOT_YET_LOWERED, as_arrays
from nrx.ops.dimension_numbers import GatherDimensionNumbers, GatherScatterMode, check_numbers
from nrx.ops.structural import spread

gather_p = Primitive("gather")

# Public functions


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
) -> Array:
    """Windows of `operand` of size `slice_sizes`, one for each index in `start_indices`.

    Filling windows (mode "fill", the default) without a `fill_value` takes NaN, the lowest signed or highest unsigned
    integer, or True.

    Args:
        operand: an array.
        start_indices: integers of shape (..., number of indexed axes): where each window begins.
        dimension_numbers: which axes of `operand` the indices count along, and which of the result belong to windows.
        slice_sizes: one length an axis of `operand`.
        unique_indices, indices_are_sorted: promises, which are not needed.
        mode: what an index outside gives: "fill", "clip" or "promise_in_bounds".
        fill_value: the elements of windows that are filled.

    >>> import nrx
    >>> columns = nrx.lax.GatherDimensionNumbers((0,), collapsed_slice_dims=(1,), start_index_map=(1,))
    >>> nrx.lax.gather(nrx.numpy.array([[1, 2, 3], [4, 5, 6]]), nrx.numpy.array([[2], [0]]), columns, (2, 1))
    Array([[3, 1],
           [6, 4]], dtype=int32)
    """
    operand, start_indices = as_arrays("gather", operand, start_indices)
    mode = GatherScatterMode.from_any(mode)
    return gather_p.bind(
        operand, start_indices, dimension_numbers=dimension_numbers, slice_sizes=canonical_shape(slice_sizes),
        indices_are_sorted=bool(indices_are_sorted), unique_indices=bool(unique_indices), mode=mode,
        fill_value=_python_scalar(fill_value) if mode is GatherScatterMode.FILL_OR_DROP else None,
    )  # fmt: skip


def _python_scalar(value: Any) -> Any:
    """A fill value as the hashable Python scalar that params need."""
    if hasattr(value, "item"):
        value = value.item()
    if value is not None and not isinstance(value, bool | int | float | complex):
        raise ArgumentError(f"fill_value must be a scalar, got {value!r}", fix="use a Python number")
    return value


# impl


def _gather_impl(
    xp: Any,
    operand: Any,
    indices: Any,
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    indices_are_sorted: bool,
    unique_indices: bool,
    mode: GatherScatterMode,
    fill_value: Any,
) -> Any:
    layout = layout_of(dimension_numbers, operand.shape, indices.shape, slice_sizes)
    masked = mode is GatherScatterMode.FILL_OR_DROP
    if size(layout.batch) == 1:
        window = only_window(indices, dimension_numbers, operand.shape, slice_sizes, masked)
        if window is None:
            return xp.full(layout.shape, xp.asarray(_fill(operand.dtype, fill_value)))
        return operand[window].reshape(layout.shape)
    starts, inside = starts_of(xp, indices, dimension_numbers, operand.shape, slice_sizes, masked)
    still = [slice(slice_sizes[d]) if d in layout.still else slice(None) for d in range(operand.ndim)]
    view = operand[tuple(still)].transpose(layout.moving + layout.still)
    places = places_of(xp, layout, starts, slice_sizes)
    picked = view[tuple(places)] if places else xp.broadcast_to(view, (*layout.batch, *view.shape))
    picked = picked.reshape(layout.kept)
    if inside is not None:
        inside = inside.reshape(layout.batch + (1,) * (len(layout.kept) - len(layout.batch)))
        picked = xp.where(inside, picked, xp.asarray(_fill(operand.dtype, fill_value)))
    return picked.transpose(inverse_permutation(layout.order))


def _fill(dtype: np.dtype, value: Any) -> np.ndarray:
    dtype = dtypes.storage(dtype)
    if value is None:
        if dtypes.is_inexact(dtype):
            value = np.nan
        elif dtypes.is_bool(dtype):
            value = True
        else:
            limits = np.iinfo(dtype)
            value = limits.max if dtypes.is_unsigned(dtype) else limits.min
    return np.asarray(value).astype(dtype)


# abstract


def _gather_abstract(
    operand: Aval,
    indices: Aval,
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    indices_are_sorted: bool,
    unique_indices: bool,
    mode: GatherScatterMode,
    fill_value: Any,
) -> Aval:
    numbers = dimension_numbers
    check_numbers("gather", numbers, operand, indices, slice_sizes)
    batching = numbers.operand_batching_dims
    limits = [1 if d in batching else length for d, length in enumerate(operand.shape)]
    fits = all(length <= limit for length, limit in zip(slice_sizes, limits, strict=True))
    if not fits and 0 not in indices.shape[:-1]:  # no windows fit everywhere
        raise ShapeError(
            f"gather: slice sizes {show(slice_sizes)} do not fit into shape {show(operand.shape)}"
            + f", with 1 at the batching axes {batching}" * bool(batching),
            fix="an axis of length 0 has no elements to take" if 0 in operand.shape else None,
        )
    window = [slice_sizes[d] for d in range(operand.ndim) if d not in (*numbers.collapsed_slice_dims, *batching)]
    shape: list[Any] = [None] * (indices.ndim - 1 + len(window))
    for position, length in zip(numbers.offset_dims, window, strict=True):
        shape[position] = length
    batch = iter(indices.shape)
    return operand.update(shape=tuple(next(batch) if length is None else length for length in shape))


# jvp; transpose is the business of scatter_add, see there


def _gather_jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    operand, indices = primals
    out = gather_p.bind(operand, indices, **params)
    if isinstance(tangents[0], Zero):
        return out, Zero(out.aval.tangent)
    return out, gather_p.bind(tangents[0], indices, **{**params, "fill_value": 0})


# batch


def _gather_batch(
    axis: Any,
    args: Sequence[Array],
    dims: Sequence[int | None],
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    indices_are_sorted: bool,
    unique_indices: bool,
    **params: Any,
) -> tuple[Any, int]:
    operand, indices = (x if d is None else spread(x, d, axis.size) for x, d in zip(args, dims, strict=True))
    of_operand, of_indices = (d is not None for d in dims)
    if of_operand:
        slice_sizes = (1 if of_indices else axis.size, *slice_sizes)
    # Where all share one operand, indices that are unique or sorted for each are not so for all together.
    out = gather_p.bind(
        operand, indices, dimension_numbers=dimension_numbers.batched(of_operand, of_indices), slice_sizes=slice_sizes,
        indices_are_sorted=indices_are_sorted and not of_indices, unique_indices=unique_indices and of_operand,
        **params,
    )  # fmt: skip
    return out, 0


# lower


def _gather_at(
    b: Builder,
    index: tuple,
    operand: Reader,
    indices: Reader,
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    indices_are_sorted: bool,
    unique_indices: bool,
    mode: GatherScatterMode,
    fill_value: Any,
) -> Value:
    numbers, shape = dimension_numbers, operand.aval.shape
    at, conditions = window_start(indices, without(index, numbers.offset_dims), numbers, shape, slice_sizes)
    for d, axis in window_axes(numbers, len(shape)).items():
        at[d] = at[d] + index[axis]
    value = operand(*at)
    if mode is not GatherScatterMode.FILL_OR_DROP:
        return value
    return loops.select(loops.all_of(conditions), value, loops.literal(_fill(operand.aval.dtype, fill_value)))


_GATHER = Pointwise(_gather_at, cost=2)


# Registration

gather_p.define(
    impl=_gather_impl, abstract=_gather_abstract, jvp=_gather_jvp, batch=_gather_batch,
    lower=lambda *avals, **params: _GATHER,
).refuse(onnx=NOT_YET_LOWERED)  # fmt: skip
