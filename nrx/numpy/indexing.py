"""NumPy's indexing: `x[index]`, updates of `x[index]`, and `take`.

An index becomes a list of entries, one for each axis it reads or makes. Reading lowers the static ones (integers and
slices) to slice, rev and reshape, the arrays to one gather. An update is one scatter.

Negative indices count from the end. An index out of bounds raises IndexingError if its value is known, as in NumPy; one
known only when the program runs (a tracer) reads the nearest element, and updates nothing.
"""

from collections.abc import Callable, Sequence
from operator import index as as_int
from typing import Any, NamedTuple

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, DTypeError, IndexingError, ShapeError
from nrx.core.shapes import Shape, broadcast_shapes, canonical_axis, inserted, show, without
from nrx.core.trace import Tracer
from nrx.ops import arithmetic, slicing
from nrx.ops.dimension_numbers import GatherDimensionNumbers, GatherScatterMode, ScatterDimensionNumbers
from nrx.ops.indexing import gather, scatter, scatter_add, scatter_max, scatter_min, scatter_mul
from nrx.ops.logic import lt, select
from nrx.ops.structural import broadcast_in_dim, broadcast_to, convert_element_type, full_like, reshape, rev

_KINDS = "integers, slices, ..., None, and arrays or lists of integers or booleans"

# The entries of an index


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
    positions: Any
    distinct: bool


_Entry = _New | _Span | _At | _Picks


def _entries(index: Any, shape: Shape, mode: Any) -> tuple[list[_Entry], bool]:
    """The entries of an index of an array of that shape, and whether its arrays and integers stand side by side.

    Without a mode, known positions are checked.
    """
    checked = mode is None
    GatherScatterMode.from_any(mode)
    items = [_recognised(item) for item in (index if isinstance(index, tuple) else (index,))]
    used = [_axes_used(item) for item in items]
    dots = [i for i, item in enumerate(items) if item is ...]
    if len(dots) > 1:
        raise IndexingError("an index can have only one ellipsis (...)")
    if sum(used) > len(shape):
        raise IndexingError(
            f"too many indices: {sum(used)} for an array of {len(shape)} axes, of shape {show(shape)}",
            fix="leave some out, or add axes with None (newaxis)",
        )
    advanced = [i for i, item in enumerate(items) if not (item is None or item is ... or isinstance(item, slice))]
    adjacent = not advanced or advanced[-1] - advanced[0] < len(advanced)
    split = dots[0] if dots else len(items)
    items[split : split + len(dots)] = [slice(None)] * (len(shape) - sum(used))
    entries: list[_Entry] = []
    axis = 0
    for item in items:
        if item is None:
            entries.append(_New())
        elif isinstance(item, slice):
            entries.append(_span(item, axis, shape[axis]))
        elif isinstance(item, int):
            entries.append(_at(item, axis, shape, checked))
        elif dtypes.is_bool(item.dtype):
            entries += _hits(item, axis, shape)
        else:
            entries.append(_Picks(axis, _in_bounds(item, axis, shape, checked), False))
        axis += _axes_used(item)
    return entries, adjacent


def _recognised(item: Any) -> Any:
    """An item of an index as None, ..., a slice, an int, or an array of integers or booleans."""
    if item is None or item is ... or isinstance(item, slice) or type(item) is int:
        return item
    if isinstance(item, bool | np.bool_):
        return np.asarray(item)
    if isinstance(item, list | tuple | range):
        return _listed(item)
    if not isinstance(item, Array | np.ndarray | np.generic) and hasattr(item, "__nrx_array__"):
        item = asarray(item)
    if isinstance(item, Array | np.ndarray | np.generic):
        if not (dtypes.is_bool(item.dtype) or item.dtype.kind in "iu"):
            raise IndexingError(
                f"an array of {item.dtype} cannot be an index", fix=f"use {_KINDS}; convert with x.astype(int)"
            )
        known_integer = not item.ndim and item.dtype.kind in "iu" and not isinstance(item, Tracer)
        return int(item) if known_integer else item
    if hasattr(item, "__index__"):
        return as_int(item)
    raise IndexingError(f"{item!r} of type {type(item).__name__} cannot be an index", fix=f"use {_KINDS}")


def _listed(items: Sequence[Any]) -> np.ndarray:
    if any(isinstance(item, Tracer) for item in items):
        raise IndexingError("a list with a traced array cannot be an index", fix="make an array: x[jnp.stack([...])]")
    try:
        array = np.asarray([item.numpy() if isinstance(item, Array) else item for item in items])
    except ValueError:
        raise IndexingError(f"{items!r} cannot be an index: its rows differ in length") from None
    return _recognised(array if array.size else array.astype(np.int64))


def _axes_used(item: Any) -> int:
    """How many axes of the array an item reads."""
    if item is None or item is ...:
        return 0
    return item.ndim if not isinstance(item, int | slice) and dtypes.is_bool(item.dtype) else 1


def _span(item: slice, axis: int, length: int) -> _Span:
    if any(isinstance(bound, Tracer) for bound in (item.start, item.stop, item.step)):
        raise IndexingError(
            "a slice with traced bounds has no known length",
            fix="use nrx.lax.dynamic_slice(x, starts, sizes), or make the bounds static (static_argnums)",
        )
    try:
        start, stop, step = item.indices(length)
    except (TypeError, ValueError) as error:
        raise IndexingError(
            f"{item} cannot be an index: {error}", fix="use integers, and a step that is not 0"
        ) from None
    return _Span(axis, start, step, len(range(start, stop, step)))


def _at(position: int, axis: int, shape: Shape, checked: bool) -> _Entry:
    length = shape[axis]
    if -length <= position < length:
        return _At(axis, position % length)
    if checked:
        raise _out_of_bounds(position, axis, shape)
    return _Picks(axis, np.asarray(position + length if position < 0 else position), False)


def _out_of_bounds(position: int, axis: int, shape: Shape) -> IndexingError:
    length = shape[axis]
    return IndexingError(
        f"index {position} is out of bounds for axis {axis} of shape {show(shape)}",
        fix=f"use an index from {-length} to {length - 1}" if length else "the axis is empty",
    )


def _hits(mask: Any, axis: int, shape: Shape) -> list[_Picks]:
    """Where a mask is True, as positions along each of its axes."""
    if isinstance(mask, Tracer):
        raise IndexingError(
            f"a traced boolean array, {mask.aval}, cannot be an index: the number of elements is not known",
            fix="use nrx.numpy.where(mask, x, 0), or the indices nrx.numpy.nonzero(mask, size=n)",
        )
    if not mask.ndim:
        return [_Picks(None, np.zeros(int(bool(mask)), np.int64), True)]
    if mask.shape != shape[axis : axis + mask.ndim]:
        raise IndexingError(
            f"a boolean index of shape {show(mask.shape)} does not fit axes {axis} to {axis + mask.ndim - 1} "
            f"of shape {show(shape)}",
            fix="a mask must have the lengths of the axes it selects from",
        )
    return [_Picks(axis + i, positions, True) for i, positions in enumerate(np.asarray(mask).nonzero())]


def _in_bounds(positions: Any, axis: int, shape: Shape, checked: bool) -> Any:
    """Positions counted from the front: known ones are checked if `checked`."""
    length = shape[axis]
    if not length and positions.size:
        raise _out_of_bounds(0, axis, shape)
    if not isinstance(positions, Tracer) and positions.size:
        values = np.asarray(positions)
        low, high = int(values.min()), int(values.max())
        if checked and not (-length <= low and high < length):
            raise _out_of_bounds(low if low < -length else high, axis, shape)
        if low >= 0:
            return positions
    positions = _roomy(positions, length)
    if not isinstance(positions, Array):
        return np.where(positions < 0, positions + length, positions)
    return select(lt(positions, 0), arithmetic.add(positions, length), positions)


def _roomy(positions: Any, *lengths: int) -> Any:
    """Positions in int32, or in int64 if they or these lengths may need it."""
    narrow = positions.dtype.itemsize < 4 or positions.dtype == dtypes.int32
    dtype = dtypes.int32 if narrow and all(n <= np.iinfo(np.int32).max for n in lengths) else dtypes.int64
    return convert_element_type(positions, dtype) if isinstance(positions, Array) else positions.astype(dtype)


def _reshaped(positions: Any, shape: Sequence[Any]) -> Any:
    return reshape(positions, shape) if isinstance(positions, Array) else positions.reshape(tuple(shape))


def _block(entries: Sequence[_Entry], adjacent: bool) -> tuple[int, Shape]:
    """Where the axes of the index arrays go in the result, and their lengths.

    They replace the arrays and integers of the index if those stand side by side, and come first otherwise.
    """
    picks = [entry.positions.shape for entry in entries if isinstance(entry, _Picks)]
    try:
        shape = broadcast_shapes(*picks)
    except ShapeError as error:
        raise IndexingError(f"index arrays: {error.message}", fix="their shapes must broadcast") from None
    advanced = [i for i, entry in enumerate(entries) if isinstance(entry, _Picks | _At)]
    return (advanced[0] if picks and adjacent else 0), shape


def _mode(mode: Any, entries: Sequence[_Entry], traced: GatherScatterMode) -> GatherScatterMode:
    """The mode asked for; if none is, that for traced positions if there are any, as known ones have been checked."""
    if mode is not None:
        return GatherScatterMode.from_any(mode)
    unknown = any(isinstance(entry, _Picks) and isinstance(entry.positions, Tracer) for entry in entries)
    return traced if unknown else GatherScatterMode.PROMISE_IN_BOUNDS


def _index_vectors(columns: Sequence[Any], batch: Shape) -> Any:
    """Arrays of positions, broadcast to the shape `batch` and stacked along a new last axis."""
    if not any(isinstance(column, Array) for column in columns):
        vectors = np.empty((*batch, len(columns)), np.int64)
        for i, column in enumerate(columns):
            vectors[..., i] = column
        return vectors
    arrays = [asarray(_roomy(column)) for column in columns]
    dtype = dtypes.promote(*(a.dtype for a in arrays))
    vectors = [broadcast_to(convert_element_type(a, dtype), batch) for a in arrays]
    return slicing.concatenate([reshape(v, (*batch, 1)) for v in vectors], len(batch))


# Reading


def getitem(
    x: Array,
    index: Any,
    *,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
) -> Array:
    """`x[index]`, by NumPy's rules.

    Args:
        x: an array.
        index: integers, slices, `...`, None, arrays or lists of integers or booleans, traced integers; or a tuple of
            those.
        mode: what is read where an index is out of bounds: None raises if the index is known and reads the nearest
            element otherwise; "clip", "fill" (with `fill_value`) and "promise_in_bounds" hold for both.
        fill_value: what "fill" reads; by default NaN, the lowest signed or highest unsigned integer, or True.
        indices_are_sorted: a promise that the positions in index arrays ascend.
        unique_indices: a promise that no element is read twice; the gradient is faster for it.

    Returns:
        An array of the dtype of `x`.

    Raises:
        IndexingError: a known index out of bounds, a traced mask, or something that cannot be an index.

    >>> import nrx.numpy as jnp
    >>> jnp.arange(6).reshape(2, 3)[:, [2, 0]]
    Array([[2, 0],
           [5, 3]], dtype=int32)
    """
    entries, adjacent = _entries(index, x.shape, mode)
    picks = [entry for entry in entries if isinstance(entry, _Picks)]
    x = _static_part(x, entries)
    if not picks:
        return x
    place, block = _block(entries, adjacent)
    axes = [i for i, e in enumerate(e for e in entries if not isinstance(e, _At)) if isinstance(e, _Picks)]
    ndim = x.ndim - len(axes) + len(block)
    numbers = GatherDimensionNumbers(without(range(ndim), range(place, place + len(block))), axes, axes)
    return gather(
        x, _index_vectors([p.positions for p in picks], block), numbers,
        [1 if i in axes else length for i, length in enumerate(x.shape)], indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices or _are_distinct(picks), mode=_mode(mode, picks, GatherScatterMode.CLIP),
        fill_value=fill_value,
    )  # fmt: skip


def _static_part(x: Array, entries: Sequence[_Entry]) -> Array:
    """`x` indexed with the integers, slices and new axes; axes with arrays stay as they are."""
    starts, limits, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    reversed_axes, shape = [], []
    for entry in entries:
        if isinstance(entry, _At):
            starts[entry.axis], limits[entry.axis] = entry.position, entry.position + 1
            continue
        if isinstance(entry, _Span):
            axis, start, step, length = entry
            last = start + (length - 1) * step
            if step < 0:
                reversed_axes.append(axis)
                start, last, step = last, start, -step
            starts[axis], limits[axis], steps[axis] = (start, last + 1, step) if length else (0, 0, 1)
            shape.append(length)
        else:
            shape.append(1 if isinstance(entry, _New) or entry.axis is None else x.shape[entry.axis])
    return reshape(rev(slicing.slice(x, starts, limits, steps), reversed_axes), shape)


def _are_distinct(picks: Sequence[_Picks]) -> bool:
    """Whether no element can be meant twice: single positions, and those of masks."""
    return all(pick.distinct or not pick.positions.ndim for pick in picks)


# Updating

_SCATTERS: dict[str, Callable] = {
    "set": scatter,
    "add": scatter_add,
    "mul": scatter_mul,
    "min": scatter_min,
    "max": scatter_max,
}
_ELEMENTWISE: dict[str, Callable] = {
    "set": lambda old, new: new,
    "add": arithmetic.add,
    "mul": arithmetic.mul,
    "min": arithmetic.min,
    "max": arithmetic.max,
}


def updated(
    x: Array,
    index: Any,
    value: Any,
    how: str,
    *,
    mode: str | GatherScatterMode | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
) -> Array:
    """A copy of `x` in which `x[index]` is updated with `value`.

    Args:
        x: an array.
        index: as for `getitem`.
        value: an array or number, broadcast to the shape of `x[index]` and converted to the dtype of `x`.
        how: "set", "add", "mul", "min" or "max". Where an element is meant several times, each update counts; of "set"
            the last.
        mode: where an index is out of bounds: None raises if the index is known and drops the update otherwise; "drop",
            "clip" and "promise_in_bounds" hold for both.
        indices_are_sorted: a promise that the positions in index arrays ascend.
        unique_indices: a promise that no element is meant twice.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        IndexingError: as for `getitem`.
        ShapeError: `value` does not broadcast to the shape of `x[index]`.
        DTypeError: `value` is complex and `x` is not, `value` is floating and `x` integer, or `value` is a number and
            `x` boolean.
    """
    value = converted(value, x)
    if _is_traced_mask(index):
        return _updated_where(x, index, value, how)
    entries, adjacent = _entries(index, x.shape, mode)
    picks = [entry for entry in entries if isinstance(entry, _Picks)]
    place, block = _block(entries, adjacent)
    spans = [entry for entry in entries if isinstance(entry, _New | _Span)]
    result = [*spans[:place], *block, *spans[place:]]
    value = _fitted(value, [_length(entry) for entry in result])
    axes = [entry for entry in result if not isinstance(entry, _New)]
    if not value.size:
        return x
    batch = [entry for entry in axes if not _is_window(entry)]
    behind = sum(1 for entry in spans[place:] if not isinstance(entry, _New) and not _is_window(entry))
    columns = _columns(entries, x.shape, batch, behind)
    numbers = ScatterDimensionNumbers(
        [i for i, entry in enumerate(axes) if _is_window(entry)],
        [entry.axis for entry in entries if not _is_window(entry) and getattr(entry, "axis", None) is not None],
        list(columns),
    )
    vectors = _index_vectors(list(columns.values()), tuple(map(_length, batch)))
    return _SCATTERS[how](
        x, vectors, reshape(value, map(_length, axes)), numbers, indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices or _are_distinct(picks),
        mode=_mode(mode, picks, GatherScatterMode.FILL_OR_DROP),
    )  # fmt: skip


def _length(entry: Any) -> Any:
    """The length of an axis of the result, which is an entry or, for the axes of index arrays, the length itself."""
    if isinstance(entry, _Span):
        return entry.length
    return 1 if isinstance(entry, _New) else entry


def _is_window(entry: Any) -> bool:
    """Whether the elements of a slice are side by side, and can be updated as a window."""
    return isinstance(entry, _Span) and (entry.step == 1 or entry.length <= 1)


def _columns(entries: Sequence[_Entry], shape: Shape, batch: Sequence[Any], behind: int) -> dict[int, Any]:
    """The starts of each axis that has some, as arrays that broadcast to the batch shape.

    `behind` is the number of batch axes behind those of the index arrays.
    """
    columns: dict[int, Any] = {}
    for entry in entries:
        if isinstance(entry, _At):
            columns[entry.axis] = np.asarray(entry.position)
        elif isinstance(entry, _Picks) and entry.axis is not None:
            columns[entry.axis] = _reshaped(entry.positions, entry.positions.shape + (1,) * behind)
        elif isinstance(entry, _Span) and _is_window(entry):
            if entry.length != shape[entry.axis]:
                columns[entry.axis] = np.asarray(entry.start)
        elif isinstance(entry, _Span):
            after = len(batch) - 1 - batch.index(entry)
            positions = entry.start + entry.step * np.arange(entry.length)
            columns[entry.axis] = positions.reshape((entry.length,) + (1,) * after)
    return columns


def converted(value: Any, x: Array) -> Array:
    """`value` as an array of the dtype of `x`, unless its kind of number (integer, floating, complex) is wider."""
    value = asarray(np.asarray(value) if isinstance(value, list | tuple) else value, "the value of an update")
    if _breadth(value.dtype) > _breadth(x.dtype):
        raise DTypeError(
            f"a value of {value.dtype} cannot update an array of {x.dtype}, which keeps its dtype",
            fix=f"convert the value, value.astype({x.dtype.name!r}), or the array before the update",
        )
    return convert_element_type(value, x.dtype, x.weak_type)


def _breadth(dtype: np.dtype) -> int:
    kinds = (dtypes.is_bool, dtypes.is_integer, dtypes.is_floating, dtypes.is_complex)
    return [is_kind(dtype) for is_kind in kinds].index(True)


def _fitted(value: Array, shape: Sequence[Any]) -> Array:
    """`value` broadcast to the shape of what is updated; as in NumPy it may have more axes, of length 1."""
    target = tuple(shape)
    extra = max(value.ndim - len(target), 0)
    inner = value.shape[extra:]
    fits = zip(inner, target[len(target) - len(inner) :], strict=True)
    if any(length != 1 for length in value.shape[:extra]) or any(have not in (1, need) for have, need in fits):
        raise ShapeError(
            f"a value of shape {show(value.shape)} cannot be broadcast to the shape {show(target)} of x[index]",
            fix="axes, counted from the last, must have the same length or 1",
        )
    return broadcast_to(reshape(value, inner), target)


def _is_traced_mask(index: Any) -> bool:
    if isinstance(index, tuple) and len(index) == 1:
        (index,) = index
    return isinstance(index, Tracer) and dtypes.is_bool(index.dtype)


def _updated_where(x: Array, index: Any, value: Array, how: str) -> Array:
    """The update of `x[mask]` for a traced mask, which is possible where the value is the same for all elements."""
    mask = index[0] if isinstance(index, tuple) else index
    inner = x.shape[mask.ndim :]
    if mask.shape != x.shape[: mask.ndim] or value.ndim > len(inner):
        _hits(mask, 0, x.shape)
    value = broadcast_to(_fitted(value, inner), x.shape)
    return select(broadcast_in_dim(mask, x.shape, range(mask.ndim)), _ELEMENTWISE[how](x, value), x)


# take


def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Array:
    """The elements, or slices along `axis`, of `a` at `indices`.

    Args:
        a: an array.
        indices: integers of any shape.
        axis: the axis to index, which the axes of `indices` replace; None indexes the flat array.
        out: not supported.
        mode: where an index is out of bounds: None raises if the indices are known and is "fill" otherwise; "raise"
            raises and needs known indices; "fill" reads `fill_value`; "clip" reads the nearest element, for negative
            indices the first; "wrap" counts around. But for "clip" and "wrap", negative indices count from the end.
        unique_indices: a promise that no index is repeated.
        indices_are_sorted: a promise that the indices ascend.
        fill_value: what "fill" reads; by default NaN, the lowest signed or highest unsigned integer, or True.

    Returns:
        An array of the dtype of `a`, of shape `a.shape[:axis] + indices.shape + a.shape[axis + 1:]`.

    Raises:
        IndexingError: an index out of bounds, or not an integer.

    >>> import nrx.numpy as jnp
    >>> jnp.take(jnp.array([1.0, 2.0, 3.0]), jnp.array([2, 0, -1]))
    Array([3., 1., 3.], dtype=float32)
    """
    if out is not None:
        raise ArgumentError("take: arrays are immutable, there is no `out`", fix="use the result")
    a = asarray(a, "take: the array")
    a, axis = (reshape(a, (a.size,)), 0) if axis is None else (a, canonical_axis(axis, a.ndim))
    positions, mode = _bounded(_integers("take", indices), axis, a.shape, mode)
    ndim = a.ndim - 1 + positions.ndim
    numbers = GatherDimensionNumbers(without(range(ndim), range(axis, axis + positions.ndim)), (axis,), (axis,))
    return gather(
        a, _index_vectors([positions], positions.shape), numbers, inserted(without(a.shape, [axis]), axis, 1),
        unique_indices=unique_indices, indices_are_sorted=indices_are_sorted, mode=mode, fill_value=fill_value,
    )  # fmt: skip


def take_along_axis(
    arr: Any, indices: Any, axis: int | None = -1, mode: str | None = None, fill_value: Any = None
) -> Array:
    """The elements of `arr` at `indices` along one axis, each line with its own indices.

    Args:
        arr: an array.
        indices: integers, of as many axes as `arr`, which broadcast against each other except along `axis`.
        axis: the axis to index; None indexes the flat array with flat indices.
        mode: as for `take`; negative indices count from the end also with "clip".
        fill_value: as for `take`.

    Returns:
        An array of the dtype of `arr`.

    Raises:
        IndexingError: an index out of bounds, or not an integer.
        ShapeError: shapes that do not broadcast.

    >>> import nrx.numpy as jnp
    >>> x = jnp.array([[3, 1, 2], [6, 5, 4]])
    >>> jnp.take_along_axis(x, jnp.array([[1], [2]]), axis=1)
    Array([[1],
           [4]], dtype=int32)
    """
    arr, indices = asarray(arr, "take_along_axis: the array"), _integers("take_along_axis", indices)
    if axis is None:
        arr, axis = reshape(arr, (arr.size,)), 0
    axis = canonical_axis(axis, arr.ndim)
    if arr.ndim != indices.ndim:
        raise ShapeError(
            f"take_along_axis: the array of shape {show(arr.shape)} and the indices of shape {show(indices.shape)} "
            "must have as many axes",
            fix="insert axes of length 1 with indices[:, None]",
        )
    others = without(range(arr.ndim), [axis])
    broadcast_shapes(*(without(shape, [axis]) for shape in (arr.shape, indices.shape)))
    if mode == "clip":
        mode = GatherScatterMode.CLIP
    positions, mode = _bounded(indices, axis, arr.shape, mode)
    # Axes along which only the array varies are read whole, those along which it does not are left out.
    whole = [d for d in others if indices.shape[d] == 1 and arr.shape[d] != 1]
    own = [d for d in range(arr.ndim) if d == axis or arr.shape[d] != 1]
    batch = without(range(arr.ndim), whole)
    along = [d for d in own if d != axis and d not in whole]
    numbers = GatherDimensionNumbers(
        whole, [own.index(axis)], [own.index(axis)], [own.index(d) for d in along], [batch.index(d) for d in along]
    )
    lengths = tuple(indices.shape[d] for d in batch)
    return gather(
        reshape(arr, [arr.shape[d] for d in own]), _index_vectors([_reshaped(positions, lengths)], lengths), numbers,
        [arr.shape[d] if d in whole else 1 for d in own], mode=mode, fill_value=fill_value,
    )  # fmt: skip


def _integers(name: str, indices: Any) -> Any:
    """Indices as an array of integers, traced or known."""
    found = _recognised(indices)
    if isinstance(found, int):
        return indices if isinstance(indices, Array) else np.asarray(found)
    if not isinstance(found, Array | np.ndarray) or dtypes.is_bool(found.dtype):
        raise IndexingError(f"{name}: the indices must be integers, got {indices!r}", fix="use jnp.nonzero of a mask")
    return found


def _bounded(positions: Any, axis: int, shape: Shape, mode: Any) -> tuple[Any, Any]:
    """Positions to gather from an axis, and the mode to gather with, for a mode of `take`."""
    traced = isinstance(positions, Tracer)
    if mode == "raise" and traced:
        raise ArgumentError(
            'the mode "raise" needs indices that are known, and these are traced',
            fix='use "fill" or "clip", or leave the mode out',
        )
    if mode in (None, "raise"):
        known = GatherScatterMode.FILL_OR_DROP if traced else GatherScatterMode.PROMISE_IN_BOUNDS
        return _in_bounds(positions, axis, shape, True), known
    if mode not in ("clip", "wrap"):
        return _in_bounds(positions, axis, shape, False), mode
    if not shape[axis] and positions.size:
        raise _out_of_bounds(0, axis, shape)
    if mode == "wrap":
        positions = asarray(_roomy(positions, shape[axis]))
        remainder = arithmetic.rem(positions, full_like(positions, shape[axis]))
        positions = select(lt(remainder, 0), arithmetic.add(remainder, shape[axis]), remainder)
    return positions, GatherScatterMode.CLIP
