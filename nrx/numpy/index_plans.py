"""Plans for NumPy's indices: what an index reads or updates, worked out once for each signature and shape.

The signature of an index is all of it but the values of its arrays. Its entries are one for each axis read or made.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import index as as_int
from typing import Any, NamedTuple

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray, asarray, unmasked
from nrx.core.aval import Aval
from nrx.core.backend import cpu
from nrx.core.errors import IndexingError, ShapeError, Source
from nrx.core.shapes import Shape, broadcast_shapes, show, without
from nrx.core.trace import Tracer
from nrx.ops.dimension_numbers import GatherDimensionNumbers, ScatterDimensionNumbers

_KINDS = "integers, slices, ..., None, and arrays or lists of integers or booleans"
_MOST_PLANS = 4096

# The signature of an index: None, ..., integers, and these


class _Cut(NamedTuple):
    """A slice (which is not hashable)."""

    start: int | None
    stop: int | None
    step: int | None


class _Array(NamedTuple):
    """An array of integers, or one that was found with a mask of shape `mask`."""

    shape: Shape
    mask: Shape | None


def signature(index: Any, arrays: bool) -> tuple[tuple, list[Any]]:
    """The signature of an index, and its arrays of positions; integers are among these if `arrays`."""
    items, positions = [], []
    for item in index if type(index) is tuple else (index,):
        found = recognised(item)
        if arrays and type(found) is int:
            found = np.asarray(found)
        if isinstance(found, Array | np.ndarray | np.generic):
            if dtypes.is_bool(found.dtype):
                hits = hits_of(found)
                positions += hits
                found = _Array(hits[0].shape, found.shape)
            else:
                positions.append(found)
                found = _Array(found.shape, None)
        items.append(found)
    return tuple(items), positions


def recognised(item: Any) -> Any:
    """An item of an index as None, ..., an int, a _Cut, or an array of integers or booleans."""
    if type(item) is int or item is None or item is ...:
        return item
    if isinstance(item, slice):
        return _cut(item)
    if isinstance(item, bool | np.bool_):
        return np.asarray(item)
    if isinstance(item, list | tuple | range):
        return _listed(item)
    if not isinstance(item, Array | np.ndarray | np.generic) and hasattr(item, "__nrx_array__"):
        item = asarray(item)
    if isinstance(item, Array | np.ndarray | np.generic):
        unmasked(item, "an index")
        if not (dtypes.is_bool(item.dtype) or item.dtype.kind in "iu"):
            raise IndexingError(
                f"an array of {item.dtype} cannot be an index", fix=f"use {_KINDS}; convert with x.astype(int)"
            )
        is_known_integer = not item.ndim and item.dtype.kind in "iu" and not isinstance(item, Tracer)
        return as_int(item) if is_known_integer else item  # type: ignore[arg-type]
    if hasattr(item, "__index__"):
        return as_int(item)
    raise IndexingError(f"{item!r} of type {type(item).__name__} cannot be an index", fix=f"use {_KINDS}")


def _cut(item: slice) -> _Cut:
    bounds = []
    for bound in (item.start, item.stop, item.step):
        if isinstance(bound, Tracer):
            raise IndexingError(
                "a slice with traced bounds has no known length",
                fix="use nrx.lax.dynamic_slice(x, starts, sizes), or make the bounds static (static_argnums)",
            )
        if not (bound is None or hasattr(bound, "__index__")):
            raise IndexingError(f"{item} cannot be an index: {bound!r} is not an integer", fix="use integers")
        bounds.append(bound if bound is None else as_int(bound))
    if bounds[2] == 0:
        raise IndexingError(f"{item} cannot be an index: its step is 0", fix="use 1, or -1 to go backwards")
    return _Cut(*bounds)


def _listed(items: Sequence[Any]) -> np.ndarray:
    if any(isinstance(item, Tracer) for item in items):
        raise IndexingError("a list with a traced array cannot be an index", fix="make an array: x[jnp.stack([...])]")
    try:
        array = np.asarray([np.asarray(item) if isinstance(item, Array) else item for item in items])
    except ValueError:
        raise IndexingError(f"{items!r} cannot be an index: its rows differ in length") from None
    return recognised(array if array.size else array.astype(np.int64))


def hits_of(mask: Any) -> list[Any]:
    """Where a mask is True, as positions along each of its axes; along a new axis of length 1 if it has none."""
    if isinstance(mask, Tracer):
        raise IndexingError(
            f"a traced boolean array, {mask.aval}, cannot be an index: the number of elements is not known",
            fix="use nrx.numpy.where(mask, x, 0), or the indices nrx.numpy.nonzero(mask, size=n)",
        )
    return list(np.asarray(mask).nonzero()) if mask.ndim else [np.zeros(int(bool(mask)), np.int64)]


# The entries of an index, one for each axis it reads or makes


class _New(NamedTuple):
    """A new axis of length 1."""


class _Span(NamedTuple):
    """A slice of an axis."""

    axis: int
    start: int
    step: int
    length: int


class _At(NamedTuple):
    """One known position of an axis, which goes."""

    axis: int
    position: int


class _Picks(NamedTuple):
    """Positions of an axis in an array, whose axes replace it; `axis` None is a new axis of length 1."""

    axis: int | None
    shape: Shape
    distinct: bool


_Entry = _New | _Span | _At | _Picks


def _entries(items: Sequence[Any], shape: Shape) -> tuple[list[_Entry], bool]:
    """The entries of an index of an array of that shape, and whether its arrays and integers stand side by side."""
    used = sum(map(_axes_used, items))
    dots = [i for i, item in enumerate(items) if item is ...]
    if len(dots) > 1:
        raise IndexingError("an index can have only one ellipsis (...)")
    if used > len(shape):
        raise IndexingError(
            f"too many indices: {used} for an array of {len(shape)} axes, of shape {show(shape)}",
            fix="leave some out, or add axes with None (newaxis)",
        )
    advanced = [i for i, item in enumerate(items) if isinstance(item, int | _Array)]
    adjacent = not advanced or advanced[-1] - advanced[0] < len(advanced)
    split = dots[0] if dots else len(items)
    whole = [_Cut(None, None, None)] * (len(shape) - used)
    entries: list[_Entry] = []
    axis = 0
    for item in (*items[:split], *whole, *items[split + 1 :]):
        entries += _made_of(item, axis, shape)
        axis += _axes_used(item)
    return entries, adjacent


def _axes_used(item: Any) -> int:
    """How many axes of the array an item reads."""
    if item is None or item is ...:
        return 0
    return len(item.mask) if isinstance(item, _Array) and item.mask is not None else 1


def _made_of(item: Any, axis: int, shape: Shape) -> Iterator[_Entry]:
    """The entries of one item, which begins at `axis`."""
    if item is None:
        yield _New()
    elif isinstance(item, int):
        if not -shape[axis] <= item < shape[axis]:
            raise out_of_bounds(item, axis, shape)
        yield _At(axis, item % shape[axis])
    elif isinstance(item, _Cut):
        start, stop, step = slice(*item).indices(shape[axis])
        yield _Span(axis, start, step, len(range(start, stop, step)))
    elif not item.mask:
        yield _Picks(axis if item.mask is None else None, item.shape, item.mask is not None)
    else:
        ndim = len(item.mask)
        lengths = shape[axis : axis + ndim]
        # As in NumPy an empty axis of a mask fits any axis: it selects nothing.
        if len(lengths) < ndim or any(m not in (0, n) for m, n in zip(item.mask, lengths, strict=True)):
            raise IndexingError(
                f"a boolean index of shape {show(item.mask)} does not fit axes {axis} to {axis + ndim - 1} "
                f"of shape {show(shape)}",
                fix="a mask must have the lengths of the axes it selects from",
            )
        yield from (_Picks(axis + i, item.shape, True) for i in range(ndim))


def out_of_bounds(
    position: int, axis: int, shape: Shape, wrap: bool = True, source: Source | None = None
) -> IndexingError:
    """The error for a position, which from the end counts as negative if `wrap`."""
    length = shape[axis]
    return IndexingError(
        f"index {position} is out of bounds for axis {axis} of shape {show(shape)}",
        fix=f"use an index from {-length if wrap else 0} to {length - 1}" if length else "the axis is empty",
        source=source,
    )


def _block(entries: Sequence[_Entry], adjacent: bool) -> tuple[int, Shape]:
    """Where the axes of the index arrays go in the result, and their lengths.

    They replace the arrays and integers of the index if those stand side by side, and come first otherwise.
    """
    picks = [entry.shape for entry in entries if isinstance(entry, _Picks)]
    try:
        shape = broadcast_shapes(*picks)
    except ShapeError as error:
        raise IndexingError(f"index arrays: {error.message}", fix="their shapes must broadcast") from None
    advanced = [i for i, entry in enumerate(entries) if isinstance(entry, _Picks | _At)]
    return (advanced[0] if picks and adjacent else 0), shape


def _are_distinct(picks: Sequence[_Picks]) -> bool:
    """Whether no element can be meant twice: single positions, and those of masks."""
    return all(pick.distinct or not pick.shape for pick in picks)


# Plans


class Reading(NamedTuple):
    """How to read an index: slice, reverse, reshape, then gather what the arrays say.

    Args:
        bounds: the params of the slice, or None.
        reversed_axes: what to reverse then.
        shape: what to reshape to then; it has the axes that the arrays pick from, and no others that go.
        axes: for each array, the axis of the original that it indexes; None for a new one.
        block: the shape that the arrays broadcast to.
        numbers, sizes: of the gather.
        distinct: whether no element can be read twice.
    """

    bounds: dict[str, Any] | None
    reversed_axes: tuple[int, ...]
    shape: Shape
    axes: tuple[int | None, ...]
    block: Shape
    numbers: GatherDimensionNumbers
    sizes: Shape
    distinct: bool


@lru_cache(_MOST_PLANS)
def plan_reading(items: tuple, shape: Shape) -> Reading:
    """The plan to read an index of this signature from an array of this shape."""
    entries, adjacent = _entries(items, shape)
    place, block = _block(entries, adjacent)
    starts, limits, steps, reversed_axes = [0] * len(shape), list(shape), [1] * len(shape), []
    kept, picks, picked_axes = [], [], []
    for entry in entries:
        if isinstance(entry, _At):
            starts[entry.axis], limits[entry.axis] = entry.position, entry.position + 1
        elif isinstance(entry, _Span):
            axis, first, step, length = entry
            last = first + (length - 1) * step
            if step < 0:
                reversed_axes.append(axis)
                first, last, step = last, first, -step
            starts[axis], limits[axis], steps[axis] = (first, last + 1, step) if length else (0, 0, 1)
            kept.append(length)
        else:
            if isinstance(entry, _Picks):
                picked_axes.append(len(kept))
                picks.append(entry)
            kept.append(1 if isinstance(entry, _New) or entry.axis is None else shape[entry.axis])
    bounds = {"start_indices": tuple(starts), "limit_indices": tuple(limits), "strides": tuple(steps)}
    is_whole = tuple(limits) == shape and not any(starts) and set(steps) <= {1}
    ndim = len(kept) - len(picks) + len(block)
    numbers = GatherDimensionNumbers(
        without(range(ndim), range(place, place + len(block))), tuple(picked_axes), tuple(picked_axes)
    )
    sizes = tuple(1 if i in picked_axes else length for i, length in enumerate(kept))
    axes = tuple(pick.axis for pick in picks)
    return Reading(
        None if is_whole else bounds, tuple(reversed_axes), tuple(kept), axes, block, numbers, sizes,
        _are_distinct(picks),
    )  # fmt: skip


class Updating(NamedTuple):
    """How to update an index: broadcast the value to `target`, reshape it to `shape`, scatter it.

    Args:
        target: the shape of what is updated.
        shape: the same without new axes.
        axes: for each array, the axis that it indexes; None for a new one, which needs no position.
        numbers: of the scatter.
        columns: the entries of its index vectors, None where the next array goes.
        batch: the shape of its indices but for the last axis, the index vectors.
        behind: the number of batch axes behind those of the arrays.
        vectors: the index vectors, if there are no arrays.
        distinct: whether no element can be meant twice.
    """

    target: Shape
    shape: Shape
    axes: tuple[int | None, ...]
    numbers: ScatterDimensionNumbers
    columns: tuple[np.ndarray | None, ...]
    batch: Shape
    behind: int
    vectors: Array | None
    distinct: bool


@lru_cache(_MOST_PLANS)
def plan_updating(items: tuple, shape: Shape) -> Updating:
    """The plan to update an index of this signature in an array of this shape."""
    entries, adjacent = _entries(items, shape)
    place, block = _block(entries, adjacent)
    picks = [entry for entry in entries if isinstance(entry, _Picks)]
    spans = [entry for entry in entries if isinstance(entry, _New | _Span)]
    result = [*spans[:place], *block, *spans[place:]]  # an entry an axis, a length for those of the arrays
    axes = [entry for entry in result if not isinstance(entry, _New)]
    batch = [entry for entry in axes if not _is_window(entry)]
    behind = len([entry for entry in spans[place:] if isinstance(entry, _Span) and not _is_window(entry)])
    columns = _columns(entries, shape, batch)
    windows = [entry.axis for entry in entries if isinstance(entry, _Span) and _is_window(entry)]
    numbers = ScatterDimensionNumbers(
        tuple(i for i, entry in enumerate(axes) if _is_window(entry)),
        without(range(len(shape)), windows),
        tuple(columns),
    )
    batch_shape = tuple(map(_length, batch))
    vectors = None
    known = [column for column in columns.values() if column is not None]
    if len(known) == len(columns):
        data = index_vectors(known, batch_shape)
        vectors = ConcreteArray(data, Aval(data.shape, data.dtype), cpu())
    return Updating(
        tuple(map(_length, result)), tuple(map(_length, axes)), tuple(pick.axis for pick in picks), numbers,
        tuple(columns.values()), batch_shape, behind, vectors, _are_distinct(picks),
    )  # fmt: skip


def _length(entry: Any) -> Any:
    if isinstance(entry, _Span):
        return entry.length
    return 1 if isinstance(entry, _New) else entry


def _is_window(entry: Any) -> bool:
    """Whether the elements of a slice are side by side, and can be updated as a window."""
    return isinstance(entry, _Span) and (entry.step == 1 or entry.length <= 1)


def _columns(entries: Sequence[_Entry], shape: Shape, batch: Sequence[Any]) -> dict[int, np.ndarray | None]:
    """The starts of each axis that has some, as arrays that broadcast to the batch shape; None where an array goes."""
    columns: dict[int, np.ndarray | None] = {}
    for entry in entries:
        if isinstance(entry, _At):
            columns[entry.axis] = np.asarray(entry.position)
        elif isinstance(entry, _Picks) and entry.axis is not None:
            columns[entry.axis] = None
        elif isinstance(entry, _Span) and not _is_window(entry):
            after = len(batch) - 1 - batch.index(entry)
            positions = entry.start + entry.step * np.arange(entry.length)
            columns[entry.axis] = positions.reshape((entry.length,) + (1,) * after)
        elif isinstance(entry, _Span) and entry.length != shape[entry.axis]:
            columns[entry.axis] = np.asarray(entry.start)
    return columns


def index_vectors(columns: Sequence[np.ndarray], batch: Shape) -> np.ndarray:
    """Positions broadcast to the shape `batch` and stacked along a new last axis."""
    vectors = np.empty((*batch, len(columns)), np.int64)
    for i, column in enumerate(columns):
        vectors[..., i] = column
    return vectors
