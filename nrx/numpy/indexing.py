"""NumPy's indexing: `x[index]`, updates of `x[index]`, and `take`.

Reading lowers integers and slices to slice, rev and reshape, and arrays to one gather; an update is one scatter. What
can be worked out before the values of arrays are known is in `index_plans`.

Negative indices count from the end. An index out of bounds raises IndexingError if its value is known, as in NumPy; one
known only when the program runs (a tracer) reads the nearest element, and updates nothing, unless
`config.debug_indices` has the program raise.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.aval import Aval
from nrx.core.config import config, rare
from nrx.core.errors import ArgumentError, DTypeError, IndexingError, ShapeError, user_source
from nrx.core.shapes import Shape, broadcast_shapes, canonical_axis, inserted, show, without
from nrx.core.trace import Tracer
from nrx.numpy.eager_indexing import read_at_once, updated_at_once
from nrx.numpy.index_plans import (
    index_vectors,
    out_of_bounds,
    plan_reading,
    plan_updating,
    recognised,
    signature,
)
from nrx.ops import arithmetic, slicing
from nrx.ops.dimension_numbers import GatherDimensionNumbers, GatherScatterMode
from nrx.ops.gather import gather
from nrx.ops.logic import bitwise_and, ge, lt, select
from nrx.ops.scatter import scatter, scatter_add, scatter_max, scatter_min, scatter_mul
from nrx.ops.structural import broadcast_in_dim, broadcast_to, convert_element_type, full_like, reshape, rev
from nrx.transforms.checks import Message, check_p
from nrx.transforms.contexts import ensure_compile_time_eval

# Positions


class _Bounds(NamedTuple):
    """What is done about positions out of bounds: whether known ones are checked, and negative ones wrapped around."""

    checked: bool
    wrap: bool = True


def _in_bounds(positions: Any, axis: int | None, shape: Shape, bounds: _Bounds) -> Any:
    """Positions counted from the front, checked if they are known. Those of a new axis (None) are."""
    if axis is None:
        return positions
    length, wrap = shape[axis], bounds.wrap
    if not length and positions.size:
        raise out_of_bounds(0, axis, shape)
    if isinstance(positions, Tracer):
        if rare and bounds.checked and config.debug_indices:
            _check_traced(positions, axis, shape, wrap)
    elif positions.size:
        values = np.asarray(positions)
        low, high = int(values.min()), int(values.max())
        least = -length if wrap else 0
        if bounds.checked and not (least <= low and high < length):
            raise out_of_bounds(low if low < least else high, axis, shape, wrap)
        if low >= 0:
            return positions
    if not wrap:
        return positions
    positions = _roomy(positions, length)
    if not isinstance(positions, Array):
        return np.where(positions < 0, positions + length, positions)
    return select(lt(positions, 0), arithmetic.add(positions, length), positions)


class _OutOfBounds(Message):
    """What a check of traced positions says."""

    def __init__(self, axis: int, shape: Shape, wrap: bool, dtype: np.dtype):
        super().__init__("", user_source(), [Aval((), dtype)])
        self.place = axis, shape, wrap

    def error(self, values: Sequence[Any]) -> IndexingError:
        return out_of_bounds(int(values[0]), *self.place, source=self.source)


def _check_traced(positions: Any, axis: int, shape: Shape, wrap: bool) -> None:
    """Have the program raise where one of these positions is out of bounds, when it gets there."""
    values = _roomy(positions, shape[axis])
    inside = bitwise_and(ge(values, -shape[axis] if wrap else 0), lt(values, shape[axis]))
    check_p.bind(inside, values, message=_OutOfBounds(axis, shape, wrap, values.dtype))


def _roomy(positions: Any, *lengths: int) -> Any:
    """Positions in int32, or in int64 if they or these lengths may need it."""
    narrow = positions.dtype.itemsize < 4 or positions.dtype == dtypes.int32
    dtype = dtypes.int32 if narrow and all(n <= np.iinfo(np.int32).max for n in lengths) else dtypes.int64
    if positions.dtype == dtypes.uint64:  # the highest are out of bounds, and no negative numbers
        highest = np.iinfo(np.int64).max
        if not isinstance(positions, Array):
            return np.minimum(positions, highest).astype(dtype)
        positions = arithmetic.min(positions, full_like(positions, highest))
    return convert_element_type(positions, dtype) if isinstance(positions, Array) else positions.astype(dtype)


def _reshaped(positions: Any, shape: Sequence[Any]) -> Any:
    return reshape(positions, shape) if isinstance(positions, Array) else positions.reshape(tuple(shape))


def _mode(mode: Any, positions: Sequence[Any], traced: GatherScatterMode) -> GatherScatterMode:
    """The mode asked for; if none is, that for traced positions if there are any, as known ones are checked."""
    if mode is not None:
        return GatherScatterMode.from_any(mode)
    return traced if any(isinstance(p, Tracer) for p in positions) else GatherScatterMode.PROMISE_IN_BOUNDS


def _index_vectors(columns: Sequence[Any], batch: Shape) -> Any:
    """Positions, of which some may be traced, broadcast to the shape `batch` and stacked along a new last axis."""
    if not any(isinstance(column, Array) for column in columns):
        return index_vectors(columns, batch)
    if len(columns) == 1:
        return reshape(broadcast_to(columns[0], batch), (*batch, 1))
    arrays = [asarray(_roomy(column)) for column in columns]
    dtype = dtypes.promote(*(a.dtype for a in arrays))
    parts = [broadcast_to(convert_element_type(a, dtype), batch) for a in arrays]
    return slicing.concatenate([reshape(part, (*batch, 1)) for part in parts], len(batch))


def _reject_sharding(out_sharding: Any) -> None:
    if out_sharding is not None:
        raise ArgumentError("out_sharding: arrays are on one device", fix="leave it out")


# Reading


def getitem(
    x: Array,
    index: Any,
    *,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    wrap_negative_indices: bool = True,
    out_sharding: None = None,
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
        wrap_negative_indices: whether negative indices count from the end, or are out of bounds.
        out_sharding: must be None.

    Returns:
        An array of the dtype of `x`.

    Raises:
        IndexingError: a known index out of bounds, a traced mask, or something that cannot be an index.

    >>> import nrx.numpy as jnp
    >>> jnp.arange(6).reshape(2, 3)[:, [2, 0]]
    Array([[2, 0],
           [5, 3]], dtype=int32)
    """
    _reject_sharding(out_sharding)
    bounds = _Bounds(mode is None, wrap_negative_indices)
    is_usual = bounds.checked and bounds.wrap
    if is_usual and (out := read_at_once(x, index)) is not None:
        return out
    items, positions = signature(index, not is_usual)
    shape = x.shape
    plan = plan_reading(items, shape)
    mode = _mode(mode, positions, GatherScatterMode.CLIP)
    if plan.bounds is not None:
        x = slicing.slice_p.bind(x, **plan.bounds)
    if plan.reversed_axes:
        x = rev(x, plan.reversed_axes)
    x = reshape(x, plan.shape)
    if not positions:
        return x
    positions = [_in_bounds(p, axis, shape, bounds) for p, axis in zip(positions, plan.axes, strict=True)]
    return gather(
        x, _index_vectors(positions, plan.block), plan.numbers, plan.sizes, indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices or plan.distinct, mode=mode, fill_value=fill_value,
    )  # fmt: skip


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
    wrap_negative_indices: bool = True,
    out_sharding: None = None,
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
        wrap_negative_indices: whether negative indices count from the end, or are out of bounds.
        out_sharding: must be None.

    Returns:
        An array of the shape and dtype of `x`.

    Raises:
        IndexingError: as for `getitem`.
        ShapeError: `value` does not broadcast to the shape of `x[index]`.
        DTypeError: `value` is complex and `x` is not, `value` is floating and `x` integer, or `value` is a number and
            `x` boolean.
    """
    _reject_sharding(out_sharding)
    value = converted(value, x)
    bounds = _Bounds(mode is None, wrap_negative_indices)
    is_usual = bounds.checked and bounds.wrap
    if is_usual and (out := updated_at_once(x, index, value, how)) is not None:
        return out
    mask = _only_mask(index)
    if mask is not None and mask.shape == x.shape[: mask.ndim] and value.ndim <= x.ndim - mask.ndim:
        return _updated_where(x, mask, value, how)
    items, positions = signature(index, not is_usual)
    plan = plan_updating(items, x.shape)
    value = reshape(_fitted(value, plan.target), plan.shape)
    positions = [_in_bounds(p, axis, x.shape, bounds) for p, axis in zip(positions, plan.axes, strict=True)]
    vectors = plan.vectors
    if vectors is None:
        given = (p for p, axis in zip(positions, plan.axes, strict=True) if axis is not None)
        aligned = (_reshaped(p, p.shape + (1,) * plan.behind) for p in given)
        vectors = _index_vectors([next(aligned) if c is None else c for c in plan.columns], plan.batch)
    return _SCATTERS[how](
        x, vectors, value, plan.numbers, indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices or plan.distinct, mode=_mode(mode, positions, GatherScatterMode.FILL_OR_DROP),
    )  # fmt: skip


def repeats(x: Array, index: Any, **options: Any) -> Array | None:
    """How often each element of `x` is meant by an index, or None if none can be meant twice."""
    items, positions = signature(index, False)
    if options.get("unique_indices") or plan_updating(items, x.shape).distinct:
        return None
    known = not any(isinstance(p, Tracer) for p in positions)
    with ensure_compile_time_eval() if known else nullcontext():
        return updated(full_like(x, 0, dtypes.int32), index, 1, "add", **options)


def converted(value: Any, x: Array) -> Array:
    """`value` as an array of the dtype of `x`, unless its kind of number (integer, floating, complex) is wider."""
    is_number = type(value) in _BREADTHS
    if not is_number:
        value = asarray(np.asarray(value) if isinstance(value, list | tuple) else value, "the value of an update")
    if (_BREADTHS[type(value)] if is_number else _breadth(value.dtype)) > _breadth(x.dtype):
        given = repr(value) if is_number else f"a value of {value.dtype}"
        raise DTypeError(
            f"{given} cannot update an array of {x.dtype}, which keeps its dtype",
            fix=f"convert the value, value.astype({x.dtype.name!r}), or the array before the update",
        )
    if is_number:  # at once in the dtype of x: the default dtypes may be narrower
        return full_like(x, value, shape=())
    if value.dtype == x.dtype and not x.weak_type:
        return value
    return convert_element_type(value, x.dtype, x.weak_type)


_BREADTHS: dict[type, int] = {bool: 0, int: 1, float: 2, complex: 3}


def _breadth(dtype: np.dtype) -> int:
    return 1 * dtypes.is_integer(dtype) + 2 * dtypes.is_floating(dtype) + 3 * dtypes.is_complex(dtype)


def _fitted(value: Array, target: Shape) -> Array:
    """`value` broadcast to the shape of what is updated; as in NumPy it may have more axes, of length 1."""
    extra = max(value.ndim - len(target), 0)
    inner = value.shape[extra:]
    fits = zip(inner, target[len(target) - len(inner) :], strict=True)
    if any(length != 1 for length in value.shape[:extra]) or any(have not in (1, need) for have, need in fits):
        raise ShapeError(
            f"a value of shape {show(value.shape)} cannot be broadcast to the shape {show(target)} of x[index]",
            fix="axes, counted from the last, must have the same length or 1",
        )
    return broadcast_to(reshape(value, inner), target)


def _only_mask(index: Any) -> Any:
    """The mask that is all of the index, or None."""
    if isinstance(index, tuple) and len(index) == 1:
        (index,) = index
    return index if isinstance(index, Array | np.ndarray) and dtypes.is_bool(index.dtype) else None


def _updated_where(x: Array, mask: Any, value: Array, how: str) -> Array:
    """The update of `x[mask]` with what is the same for all its elements, so that their number does not matter."""
    value = broadcast_to(_fitted(value, x.shape[mask.ndim :]), x.shape)
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
    arr: Any, indices: Any, axis: int | None = -1, mode: str | None = None, fill_value: Any = None, *,
    wrap_negative_indices: bool | None = None,
) -> Array:  # fmt: skip
    """The elements of `arr` at `indices` along one axis, each line with its own indices.

    Args:
        arr: an array.
        indices: integers, of as many axes as `arr`, which broadcast against each other except along `axis`.
        axis: the axis to index; None indexes the flat array with flat indices.
        mode: as for `take`; negative indices count from the end also with "clip".
        fill_value: as for `take`.
        wrap_negative_indices: whether negative indices count from the end, or are out of bounds; None is True.

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
    positions, how = _bounded(
        indices, axis, arr.shape, GatherScatterMode.CLIP if mode == "clip" else mode, wrap_negative_indices is not False
    )
    # Axes along which only the array varies are read whole, those along which it does not are left out.
    whole = [d for d in others if indices.shape[d] == 1 and arr.shape[d] != 1]
    own = [d for d in range(arr.ndim) if d == axis or arr.shape[d] != 1]
    batch = without(range(arr.ndim), whole)
    along = [d for d in own if d != axis and d not in whole]
    place = (own.index(axis),)
    numbers = GatherDimensionNumbers(
        tuple(whole), place, place, tuple(own.index(d) for d in along), tuple(batch.index(d) for d in along)
    )
    lengths = tuple(indices.shape[d] for d in batch)
    return gather(
        reshape(arr, [arr.shape[d] for d in own]), _index_vectors([_reshaped(positions, lengths)], lengths), numbers,
        [arr.shape[d] if d in whole else 1 for d in own], mode=how, fill_value=fill_value,
    )  # fmt: skip


def _integers(name: str, indices: Any) -> Any:
    """Indices as an array of integers, traced or known."""
    found = recognised(indices)
    if isinstance(found, int):
        return indices if isinstance(indices, Array) else np.asarray(found)
    if not isinstance(found, Array | np.ndarray) or dtypes.is_bool(found.dtype):
        raise IndexingError(f"{name}: the indices must be integers, got {indices!r}", fix="use jnp.nonzero of a mask")
    return found


def _bounded(positions: Any, axis: int, shape: Shape, mode: Any, wrap: bool = True) -> tuple[Any, Any]:
    """Positions to gather from an axis, and the mode to gather with, for a mode of `take`."""
    traced = isinstance(positions, Tracer)
    if mode == "raise" and traced:
        raise ArgumentError(
            'the mode "raise" needs indices that are known, and these are traced',
            fix='use "fill" or "clip", or leave the mode out',
        )
    if mode in (None, "raise"):
        known = GatherScatterMode.FILL_OR_DROP if traced else GatherScatterMode.PROMISE_IN_BOUNDS
        return _in_bounds(positions, axis, shape, _Bounds(True, wrap)), known
    if mode not in ("clip", "wrap"):
        return _in_bounds(positions, axis, shape, _Bounds(False, wrap)), mode
    if not shape[axis] and positions.size:
        raise out_of_bounds(0, axis, shape)
    if mode == "wrap":
        positions = asarray(_roomy(positions, shape[axis]))
        remainder = arithmetic.rem(positions, full_like(positions, shape[axis]))
        positions = select(lt(remainder, 0), arithmetic.add(remainder, shape[axis]), remainder)
    return positions, GatherScatterMode.CLIP
