"""Where the windows of gathers and scatters are: in the NumPy implementations, and in compiled loops.

A scatter addresses its updates exactly as a gather addresses its result, so one layout, in the vocabulary of gather,
serves both.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from nrx.core import loops
from nrx.core.loops import Expr, Reader
from nrx.core.shapes import Shape, inverse_permutation, size, without
from nrx.ops.dimension_numbers import GatherDimensionNumbers

# In NumPy. The operand's axes are either *moving* (an array of addresses says where the window starts) or *still* (the
# window starts at 0). A whole operand axis is still: only one start is in bounds.


class Layout(NamedTuple):
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
def layout_of(numbers: GatherDimensionNumbers, operand: Shape, indices: Shape, sizes: Shape) -> Layout:
    """Where the windows of size `sizes` are; `operand` and `indices` are shapes."""
    batch = indices[:-1]
    axes = range(len(operand))
    started = {d for d in numbers.start_index_map if sizes[d] != operand[d]}.union(numbers.operand_batching_dims)
    moving = tuple(d for d in axes if d in started)
    still = tuple(d for d in axes if d not in started)
    place = window_axes(numbers, len(operand))
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
    return Layout(shape, batch, moving, still, lengths, order, block, columns.reshape(-1), strides)


def starts_of(
    xp: Any, indices: Any, numbers: GatherDimensionNumbers, operand: Shape, sizes: Shape, masked: bool
) -> tuple[dict[int, Any], Any]:
    """The starts of each axis that has one, moved in bounds; and which windows were there already (or None for all)."""
    starts, inside = {}, None
    if indices.dtype == np.uint64:
        indices = xp.minimum(indices, np.uint64(np.iinfo(np.int64).max))
    for column, d in enumerate(numbers.start_index_map):
        start = indices[..., column].astype(np.int64, copy=False)
        last = operand[d] - sizes[d]
        if xp is np and start.size and start.min() >= 0 and start.max() <= last:  # as mostly: in two passes, not six
            starts[d] = start
            continue
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


def places_of(xp: Any, layout: Layout, starts: dict[int, Any], sizes: Shape) -> list[Any]:
    """The places of the windows' elements along each moving axis, flat over batch and moving axes."""
    full = (*layout.batch, *(sizes[d] for d in layout.moving))
    places = []
    for position, d in enumerate(layout.moving, len(layout.batch)):
        start = starts[d].reshape(starts[d].shape + (1,) * len(layout.moving))
        place = start + _along(xp, sizes[d], position, len(full)) if sizes[d] != 1 else start
        places.append((place if place.shape == full else xp.broadcast_to(place, full)).reshape(-1))
    return places


def only_window(
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


# In loops


def as_position(x: Any) -> Expr:
    """An integer of any dtype as an i64; what does not fit is the greatest one."""
    return loops.convert(loops.apply("min", x, np.iinfo(np.int64).max) if x.type == "u64" else x, "i64")


def window_start(
    indices: Reader,
    batch: Sequence[Any],
    numbers: GatherDimensionNumbers,
    operand: Shape,
    sizes: Shape,
    moved: bool = True,
) -> tuple[list[Any], list[Expr]]:
    """Where the window of a batch index starts, `moved` in bounds; and the conditions for it to be there unmoved."""
    start: list[Any] = [0] * len(operand)
    conditions = []
    for column, d in enumerate(numbers.start_index_map):
        position, last = as_position(indices(*batch, column)), max(operand[d] - sizes[d], 0)
        conditions += loops.inside(position, last)
        start[d] = loops.clamp(position, last) if moved or not last else position
    for d, b in zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True):
        start[d] = batch[b]
    return start, conditions


def window_axes(numbers: GatherDimensionNumbers, ndim: int) -> dict[int, int]:
    """For each of the operand's `ndim` axes that is an axis of the window, which it is of the result or the updates."""
    kept = without(range(ndim), (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims))
    return dict(zip(kept, numbers.offset_dims, strict=True))
