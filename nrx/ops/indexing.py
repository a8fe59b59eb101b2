"""Gather and scatter: windows of an array, read or updated at places that an array of indices gives.

A scatter addresses its updates exactly as a gather addresses its result, so one layout, in the vocabulary of gather,
serves both. Of the updates for one place `scatter` lets the last win, on every backend.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.primitive import Primitive
from nrx.core.shapes import Shape, canonical_shape, inverse_permutation, show, size, without
from nrx.ops.arithmetic import add, div, mul, sub
from nrx.ops.common import (
    ANY,
    NOT_YET_LOWERED,
    NUMBERS,
    as_arrays,
    check_dtype,
    check_same_dtype,
    widened,
)
from nrx.ops.dimension_numbers import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    check_numbers,
    window_sizes,
)
from nrx.ops.logic import eq, select
from nrx.ops.rules import sum_tangents
from nrx.ops.structural import full_like, instantiate, iota, reshape, spread, zeros_like

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
    """
    operand, start_indices = as_arrays("gather", operand, start_indices)
    mode = GatherScatterMode.from_any(mode)
    return gather_p.bind(
        operand, start_indices, dimension_numbers=dimension_numbers, slice_sizes=canonical_shape(slice_sizes),
        indices_are_sorted=bool(indices_are_sorted), unique_indices=bool(unique_indices), mode=mode,
        fill_value=_python_scalar(fill_value) if mode is GatherScatterMode.FILL_OR_DROP else None,
    )  # fmt: skip


def scatter(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the windows that the indices name replaced by `updates`; of repeated ones the last wins."""
    return _scatter(
        scatter_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def scatter_add(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with `updates` added to the windows that the indices name; 16-bit floats accumulate in float32."""
    return _scatter(
        scatter_add_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def scatter_mul(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the windows that the indices name multiplied by `updates`."""
    return _scatter(
        scatter_mul_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def scatter_min(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the smaller of itself and `updates` in the windows that the indices name; NaN wins."""
    return _scatter(
        scatter_min_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def scatter_max(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the larger of itself and `updates` in the windows that the indices name; NaN wins."""
    return _scatter(
        scatter_max_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def _scatter(
    prim: Primitive, operand: Any, indices: Any, updates: Any, numbers: Any, is_sorted: bool, unique: bool, mode: Any
) -> Array:
    return prim.bind(
        *as_arrays(prim.name, operand, indices, updates), dimension_numbers=numbers,
        indices_are_sorted=bool(is_sorted), unique_indices=bool(unique), mode=GatherScatterMode.from_any(mode),
    )  # fmt: skip


def _python_scalar(value: Any) -> Any:
    """A fill value as the hashable Python scalar that params need."""
    if hasattr(value, "item"):
        value = value.item()
    if value is not None and not isinstance(value, bool | int | float | complex):
        raise ArgumentError(f"fill_value must be a scalar, got {value!r}", fix="use a Python number")
    return value


# impl. The operand's axes are either *moving* (an array of addresses says where the window starts) or *still* (the
# window starts at 0). A whole operand axis is still: only one start is in bounds.


class _Layout(NamedTuple):
    """Where windows are in the operand, and in the result of a gather or the updates of a scatter.

    Args:
        shape: of the result or the updates.
        batch: its batch axes: those of the indices but the last.
        moving, still: the axes of the operand.
        kept: the shape (batch, moving, still) of the windows, less the axes left out.
        order: the axes of the result or the updates in the order of `kept`.
        block: the number of elements in the trailing whole axes, which are contiguous in the operand.
        columns: where the window's still elements are, in blocks.
        strides: those of the operand's other axes, in blocks.
    """

    shape: Shape
    batch: Shape
    moving: tuple[int, ...]
    still: tuple[int, ...]
    kept: Shape
    order: tuple[int, ...]
    block: int
    columns: np.ndarray
    strides: dict[int, int]


@lru_cache(maxsize=1024)
def _layout(numbers: GatherDimensionNumbers, operand: Shape, indices: Shape, sizes: Shape) -> _Layout:
    batch = indices[:-1]
    axes = range(len(operand))
    started = {d for d in numbers.start_index_map if sizes[d] != operand[d]}.union(numbers.operand_batching_dims)
    moving = tuple(d for d in axes if d in started)
    still = tuple(d for d in axes if d not in started)
    windowed = without(axes, (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims))
    place = dict(zip(windowed, numbers.offset_dims, strict=True))
    kept = [d for d in (*moving, *still) if d in place]
    batch_places = without(range(len(batch) + len(place)), numbers.offset_dims)
    whole = len(operand)
    while whole and whole - 1 in still and sizes[whole - 1] == operand[whole - 1]:
        whole -= 1
    block = size(operand[whole:])
    strides = {d: size(operand[d + 1 : whole]) for d in range(whole)}
    columns = np.zeros((), np.int64)
    for d in still:
        if d < whole:
            columns = columns[..., None] + np.arange(sizes[d]) * strides[d]
    lengths, order = (*batch, *(sizes[d] for d in kept)), (*batch_places, *(place[d] for d in kept))
    shape = tuple(lengths[i] for i in inverse_permutation(order))
    return _Layout(shape, batch, moving, still, lengths, order, block, columns.reshape(-1), strides)


@lru_cache(maxsize=1024)
def _scatter_layout(
    dimension_numbers: ScatterDimensionNumbers, operand: Shape, indices: Shape, updates: Shape
) -> tuple[GatherDimensionNumbers, Shape, _Layout]:
    """A scatter as the gather that addresses the same: its dimension numbers, slice sizes and layout."""
    numbers = dimension_numbers.for_gather()
    sizes = window_sizes(numbers, operand, updates)
    return numbers, sizes, _layout(numbers, operand, indices, sizes)


def _starts(
    xp: Any, indices: Any, numbers: GatherDimensionNumbers, operand: Shape, sizes: Shape, masked: bool
) -> tuple[dict[int, Any], Any]:
    """The starts of each axis that has one, moved in bounds; and which windows were there already (or None for all)."""
    starts, inside = {}, None
    if indices.dtype == np.uint64:
        indices = xp.minimum(indices, np.uint64(np.iinfo(np.int64).max))
    for column, d in enumerate(numbers.start_index_map):
        start = indices[..., column].astype(np.int64)
        last = operand[d] - sizes[d]
        if masked or last < 0:
            fits = (start >= 0) & (start <= last)
            inside = fits if inside is None else inside & fits
        starts[d] = xp.minimum(xp.maximum(start, 0), max(last, 0))
    for d, b in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True):
        starts[d] = _along(xp, operand[d], b, indices.ndim - 1)
    return starts, inside


def _along(xp: Any, count: int, position: int, ndim: int) -> Any:
    """0, 1, …, count - 1 along one of `ndim` axes."""
    shape = [1] * ndim
    shape[position] = count
    return xp.arange(count, dtype=np.int64).reshape(shape)


def _places(xp: Any, layout: _Layout, starts: dict[int, Any], sizes: Shape) -> list[Any]:
    """The places of the windows' elements along each moving axis, flat over batch and moving axes."""
    full = (*layout.batch, *(sizes[d] for d in layout.moving))
    places = []
    for position, d in enumerate(layout.moving, len(layout.batch)):
        start = starts[d].reshape(starts[d].shape + (1,) * len(layout.moving))
        place = start + _along(xp, sizes[d], position, len(full)) if sizes[d] != 1 else start
        places.append((place if place.shape == full else xp.broadcast_to(place, full)).reshape(-1))
    return places


def _only_window(
    indices: Any, numbers: GatherDimensionNumbers, operand: Shape, sizes: Shape, masked: bool
) -> tuple | None:
    """The one window of a batch of one, as slices of the operand; None if it is left out."""
    starts = [0] * len(sizes)
    for d, start in zip(numbers.start_index_map, indices.reshape(-1).tolist(), strict=True):
        last = operand[d] - sizes[d]
        starts[d] = min(max(start, 0), last)
        if last < 0 or (masked and starts[d] != start):
            return None
    return (*(slice(start, start + n) for start, n in zip(starts, sizes, strict=True)), ...)


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
    layout = _layout(dimension_numbers, operand.shape, indices.shape, slice_sizes)
    masked = mode is GatherScatterMode.FILL_OR_DROP
    if size(layout.batch) == 1:
        window = _only_window(indices, dimension_numbers, operand.shape, slice_sizes, masked)
        if window is None:
            return xp.full(layout.shape, xp.asarray(_fill(operand.dtype, fill_value)))
        return operand[window].reshape(layout.shape)
    starts, inside = _starts(xp, indices, dimension_numbers, operand.shape, slice_sizes, masked)
    still = [slice(slice_sizes[d]) if d in layout.still else slice(None) for d in range(operand.ndim)]
    view = operand[tuple(still)].transpose(layout.moving + layout.still)
    places = _places(xp, layout, starts, slice_sizes)
    picked = view[tuple(places)] if places else xp.broadcast_to(view, (*layout.batch, *view.shape))
    picked = picked.reshape(layout.kept)
    if inside is not None:
        inside = inside.reshape(layout.batch + (1,) * (len(layout.kept) - len(layout.batch)))
        picked = xp.where(inside, picked, xp.asarray(_fill(operand.dtype, fill_value)))
    return picked.transpose(inverse_permutation(layout.order))


def _fill(dtype: np.dtype, value: Any) -> np.ndarray:
    if value is None:
        if dtypes.is_inexact(dtype):
            value = np.nan
        elif dtypes.is_bool(dtype):
            value = True
        else:
            limits = np.iinfo(dtype)
            value = limits.max if dtypes.is_unsigned(dtype) else limits.min
    return np.asarray(value).astype(dtype)


def _scatter_impl(function: str | None) -> Callable:
    """The impl of a scatter that combines old and new by the ufunc of that name; None replaces."""

    def impl(
        xp: Any,
        operand: Any,
        indices: Any,
        updates: Any,
        *,
        dimension_numbers: ScatterDimensionNumbers,
        indices_are_sorted: bool,
        unique_indices: bool,
        mode: GatherScatterMode,
    ) -> Any:
        if operand.size == 0 or updates.size == 0:
            return operand
        numbers, sizes, layout = _scatter_layout(dimension_numbers, operand.shape, indices.shape, updates.shape)
        masked = mode is GatherScatterMode.FILL_OR_DROP
        combine = getattr(xp, function) if function else None
        old, new = (widened(operand), widened(updates)) if combine else (operand, updates)
        if size(layout.batch) == 1:
            window = _only_window(indices, numbers, operand.shape, sizes, masked)
            if window is None:
                return operand
            out, new = old.copy(), new.reshape(sizes)
            out[window] = combine(out[window], new) if combine else new
        else:
            count = operand.size // layout.block
            table = xp.empty((count + 1, layout.block), old.dtype)  # the last row takes what is dropped
            table[:-1] = old.reshape(count, layout.block)
            starts, inside = _starts(xp, indices, numbers, operand.shape, sizes, masked)
            rows = _rows(xp, layout, starts, inside, sizes, count)
            _update(xp, combine, table, rows, new.transpose(layout.order).reshape(-1, layout.block), unique_indices)
            out = table[:-1].reshape(operand.shape)
        return out.astype(operand.dtype, copy=False)

    return impl


def _rows(xp: Any, layout: _Layout, starts: dict[int, Any], inside: Any, sizes: Shape, dropped: int) -> Any:
    """The block that each block of the updates goes to, or `dropped`; flat."""
    places = _places(xp, layout, starts, sizes)
    rows = sum(place * layout.strides[d] for d, place in zip(layout.moving, places, strict=True))
    windows = (*layout.batch, *(sizes[d] for d in layout.moving))
    rows = xp.broadcast_to(xp.asarray(rows), size(windows))[:, None] + xp.asarray(layout.columns)
    if inside is not None:
        inside = xp.broadcast_to(inside.reshape(layout.batch + (1,) * len(layout.moving)), windows).reshape(-1, 1)
        rows = xp.where(inside, rows, dropped)
    return rows.reshape(-1)


def _update(xp: Any, combine: Any, table: Any, rows: Any, new: Any, unique: bool) -> None:
    """Combine `new` into rows of `table`, in place. NumPy takes repeated rows one after the other, CuPy does not."""
    if combine is not None and not unique and xp is np:
        block = table.shape[1]
        elements = rows[:, None] * block + np.arange(block)
        combine.at(table.reshape(-1), elements.reshape(-1), new.reshape(-1))
        return
    if not unique and xp is not np:
        rows, new = _without_repeats(xp, combine, rows, new)
    table[rows] = combine(table[rows], new) if combine else new


def _without_repeats(xp: Any, combine: Any, rows: Any, new: Any) -> tuple[Any, Any]:
    """Each row once, with its updates combined (or, without `combine`, its last) by a segmented scan of sorted rows."""
    order = xp.argsort(rows, kind="stable")
    rows, new = rows[order], new[order]
    reach = 1
    while combine is not None and reach < len(rows):
        same = rows[reach:] == rows[:-reach]
        if not same.any():
            break
        new[reach:] = xp.where(same[:, None], combine(new[:-reach], new[reach:]), new[reach:])
        reach *= 2
    last = xp.ones(len(rows), np.bool_)
    last[:-1] = rows[1:] != rows[:-1]
    return rows[last], new[last]


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


def _scatter_abstract(name: str, accepts: frozenset) -> Callable:
    def abstract(
        operand: Aval,
        indices: Aval,
        updates: Aval,
        *,
        dimension_numbers: ScatterDimensionNumbers,
        indices_are_sorted: bool,
        unique_indices: bool,
        mode: GatherScatterMode,
    ) -> Aval:
        numbers = dimension_numbers.for_gather()
        check_dtype(name, operand, accepts)
        check_same_dtype(name, operand, updates)
        ndim = max(indices.ndim - 1, 0) + len(numbers.offset_dims)
        if updates.ndim != ndim or any(d >= ndim for d in numbers.offset_dims):
            raise ShapeError(
                f"{name}: updates of shape {show(updates.shape)} need {ndim} axes: those of the indices "
                f"{show(indices.shape)} less the last, and the window's {numbers.offset_dims}"
            )
        missing = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
        if len(missing) + len(numbers.offset_dims) != operand.ndim:
            raise ShapeError(f"{name}: {numbers} do not place all {operand.ndim} axes of operand {operand}")
        sizes = window_sizes(numbers, operand.shape, updates.shape)
        check_numbers(name, numbers, operand, indices, sizes)
        batch = without(updates.shape, numbers.offset_dims)
        if batch != indices.shape[:-1]:
            raise ShapeError(
                f"{name}: updates of shape {show(updates.shape)} have the batch shape {show(batch)}, indices of shape "
                f"{show(indices.shape)} need {show(indices.shape[:-1])}"
            )
        if any(s > n for d, (s, n) in enumerate(zip(sizes, operand.shape, strict=True)) if d not in missing):
            raise ShapeError(f"{name}: windows of size {show(sizes)} do not fit into operand {operand}")
        return operand if updates.weak_type else operand.strong

    return abstract


# jvp


def _gather_jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    operand, indices = primals
    out = gather_p.bind(operand, indices, **params)
    if isinstance(tangents[0], Zero):
        return out, Zero(out.aval.tangent)
    return out, gather_p.bind(tangents[0], indices, **{**params, "fill_value": 0})


def _scatter_jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    operand, indices, updates = primals
    out = scatter_p.bind(operand, indices, updates, **params)
    t_operand, _, t_updates = tangents
    if isinstance(t_operand, Zero) and isinstance(t_updates, Zero):
        return out, Zero(out.aval.tangent)
    return out, scatter_p.bind(instantiate(t_operand), indices, instantiate(t_updates), **params)


def _scatter_add_jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    operand, indices, updates = primals
    out = scatter_add_p.bind(operand, indices, updates, **params)
    t_operand, _, t_updates = tangents
    if isinstance(t_updates, Zero):
        return out, t_operand
    return out, scatter_add_p.bind(instantiate(t_operand), indices, t_updates, **params)


def _scatter_mul_jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    operand, indices, updates = primals
    out = scatter_mul_p.bind(operand, indices, updates, **params)
    terms = []
    if not isinstance(tangents[0], Zero):
        terms.append(mul(tangents[0], scatter_mul_p.bind(full_like(operand, 1), indices, updates, **params)))
    if not isinstance(tangents[2], Zero):
        factor = _take_back(operand, indices, updates.aval, **params)
        if not params["unique_indices"]:
            factor = mul(factor, _other_factors(operand, indices, updates, **params))
        terms.append(scatter_add_p.bind(zeros_like(operand), indices, mul(tangents[2], factor), **params))
    return out, sum_tangents(terms, out.aval, add)


def _other_factors(operand: Array, indices: Array, updates: Array, **params: Any) -> Array:
    """For each update the product of the others for the same place, with a right derivative also where some are 0.

    It is the product of the others that are not 0 times that of those that are: 1 if there is none; if there is one
    their sum, which is 0 but varies as it must; and if there are more 0, which does not vary to first order.
    """

    def total(prim: Primitive, start: int, values: Array) -> Array:
        combined = prim.bind(full_like(operand, start), indices, values, **params)
        return _take_back(combined, indices, updates.aval, **params)

    zero, one = zeros_like(updates), full_like(updates, 1)
    is_zero = eq(updates, zero)
    nonzero = select(is_zero, one, updates)
    zeros = select(is_zero, updates, zero)
    others = div(total(scatter_mul_p, 1, nonzero), nonzero)
    count = sub(total(scatter_add_p, 0, select(is_zero, one, zero)), select(is_zero, one, zero))
    product = select(eq(count, one), sub(total(scatter_add_p, 0, zeros), zeros), zero)
    return mul(others, select(eq(count, zero), one, product))


def _scatter_extremum_jvp(prim: Primitive) -> Callable:
    """Everything that ties with the extremum, old value or update, shares the derivative equally."""

    def jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        operand, indices, updates = primals
        out = prim.bind(operand, indices, updates, **params)
        t_operand, _, t_updates = tangents
        if isinstance(t_operand, Zero) and isinstance(t_updates, Zero):
            return out, Zero(out.aval.tangent)
        kept = _one_where(eq(operand, out), out)
        new = _one_where(eq(updates, _take_back(out, indices, updates.aval, **params)), updates)
        count = scatter_add_p.bind(kept, indices, new, **params)
        tangent = scatter_add_p.bind(
            mul(instantiate(t_operand), kept), indices, mul(instantiate(t_updates), new), **params
        )
        return out, div(tangent, count)

    return jvp


def _one_where(condition: Array, like: Array) -> Array:
    return select(condition, full_like(like, 1), zeros_like(like))


def _take_back(x: Array, indices: Array, updates: Aval, **params: Any) -> Array:
    """What stands in `x` at the places of a scatter's updates; 0 for those that were dropped."""
    numbers = params["dimension_numbers"].for_gather()
    fills = params["mode"] is GatherScatterMode.FILL_OR_DROP
    sizes = window_sizes(numbers, x.shape, updates.shape)
    return gather_p.bind(
        x, indices, slice_sizes=sizes, fill_value=0 if fills else None, **{**params, "dimension_numbers": numbers}
    )


# transpose


def _gather_transpose(
    ct: Array,
    operand: Any,
    indices: Array,
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    fill_value: Any,
    **params: Any,
) -> list[Any]:
    zeros = full_like(operand.aval, 0)
    return [scatter_add_p.bind(zeros, indices, ct, dimension_numbers=dimension_numbers.for_scatter(), **params), None]


def _scatter_add_transpose(ct: Array, operand: Any, indices: Array, updates: Any, **params: Any) -> list[Any]:
    back = _take_back(ct, indices, updates.aval, **params) if isinstance(updates, Linear) else None
    return [ct if isinstance(operand, Linear) else None, None, back]


def _scatter_transpose(ct: Array, operand: Any, indices: Array, updates: Any, **params: Any) -> list[Any]:
    kept = back = None
    if isinstance(operand, Linear):
        kept = scatter_p.bind(ct, indices, full_like(updates.aval, 0), **params)
    if isinstance(updates, Linear):
        back = _take_back(ct, indices, updates.aval, **params)
        if not params["unique_indices"]:
            back = select(_wins(operand.aval, indices, updates.aval, **params), back, zeros_like(back))
    return [kept, None, back]


def _wins(operand: Aval, indices: Array, updates: Aval, **params: Any) -> Array:
    """Which elements of a scatter's updates are in its result: their numbers are scattered, and looked up again."""
    numbers = reshape(add(iota(dtypes.int64, updates.size), 1), updates.shape)
    winners = scatter_p.bind(full_like(operand, 0, dtypes.int64), indices, numbers, **params)
    return eq(_take_back(winners, indices, updates, **params), numbers)


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


def _scatter_batch(prim: Primitive) -> Callable:
    def batch(
        axis: Any,
        args: Sequence[Array],
        dims: Sequence[int | None],
        *,
        dimension_numbers: ScatterDimensionNumbers,
        indices_are_sorted: bool,
        **params: Any,
    ) -> tuple[Any, int]:
        of_indices = dims[1] is not None
        operand, updates = (spread(args[i], dims[i], axis.size) for i in (0, 2))
        indices = spread(args[1], dims[1], axis.size) if of_indices else args[1]
        numbers = dimension_numbers.for_gather().batched(True, of_indices).for_scatter()
        out = prim.bind(
            operand, indices, updates, dimension_numbers=numbers,
            indices_are_sorted=indices_are_sorted and not of_indices, **params,
        )  # fmt: skip
        return out, 0

    return batch


# Registration

gather_p = Primitive("gather")
gather_p.define(
    impl=_gather_impl, abstract=_gather_abstract, jvp=_gather_jvp, transpose=_gather_transpose, batch=_gather_batch
).refuse(lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED)


def _scattering(name: str, function: str | None, accepts: frozenset) -> Primitive:
    prim = Primitive(name)
    prim.define(impl=_scatter_impl(function), abstract=_scatter_abstract(name, accepts), batch=_scatter_batch(prim))
    return prim.refuse(
        transpose="it is not linear; linearize replaces it by its derivative", lower=NOT_YET_LOWERED,
        onnx=NOT_YET_LOWERED,
    )  # fmt: skip


scatter_p = _scattering("scatter", None, ANY).define(jvp=_scatter_jvp, transpose=_scatter_transpose)
scatter_add_p = _scattering("scatter_add", "add", NUMBERS).define(
    jvp=_scatter_add_jvp, transpose=_scatter_add_transpose
)
scatter_mul_p = _scattering("scatter_mul", "multiply", NUMBERS).define(jvp=_scatter_mul_jvp)
scatter_min_p = _scattering("scatter_min", "minimum", ANY)
scatter_max_p = _scattering("scatter_max", "maximum", ANY)
for _prim in (scatter_min_p, scatter_max_p):
    _prim.define(jvp=_scatter_extremum_jvp(_prim))
