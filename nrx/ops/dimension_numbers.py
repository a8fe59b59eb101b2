"""The dimension numbers and modes of gather and scatter, and what makes dimension numbers valid.

They are XLA's. The last axis of the indices holds one start for each axis named in `start_index_map`; its other axes
are batch axes. A scatter addresses its updates exactly as a gather addresses its result.
"""

import enum
from dataclasses import dataclass, fields

from nrx.core.aval import Aval
from nrx.core.errors import ArgumentError, AxisError, ShapeError
from nrx.core.shapes import Shape, show
from nrx.ops.common import INTEGERS, check_dtype


class GatherScatterMode(enum.Enum):
    """What becomes of windows that are not entirely in bounds."""

    #: They are moved to the nearest place in bounds.
    CLIP = enum.auto()
    #: A gather fills them with `fill_value`, a scatter leaves them out.
    FILL_OR_DROP = enum.auto()
    #: There are none. If there are, the result is unspecified, but nothing outside the array is touched.
    PROMISE_IN_BOUNDS = enum.auto()

    @staticmethod
    def from_any(mode: "str | GatherScatterMode | None") -> "GatherScatterMode":
        """The mode named "clip", "fill", "drop" or "promise_in_bounds"; None is FILL_OR_DROP."""
        if isinstance(mode, GatherScatterMode):
            return mode
        if mode not in _MODES:
            names = ", ".join(repr(name) for name in _MODES if name)
            raise ArgumentError(f"unknown gather or scatter mode {mode!r}", fix=f"use one of {names}")
        return _MODES[mode]


_MODES = {
    None: GatherScatterMode.FILL_OR_DROP,
    "fill": GatherScatterMode.FILL_OR_DROP,
    "drop": GatherScatterMode.FILL_OR_DROP,
    "clip": GatherScatterMode.CLIP,
    "promise_in_bounds": GatherScatterMode.PROMISE_IN_BOUNDS,
}


class _DimensionNumbers:
    """Makes the fields of its subclasses hashable: tuples of ints."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, tuple(map(int, getattr(self, field.name))))


@dataclass(frozen=True)
class GatherDimensionNumbers(_DimensionNumbers):
    """How operand, indices and result of a gather are laid out.

    Args:
        offset_dims: axes of the result that are axes of the window, ascending; the others are batch axes.
        collapsed_slice_dims: axes of the operand whose window has length 1 and is left out of the result, ascending.
        start_index_map: the axis of the operand that each entry of the indices' last axis starts.
        operand_batching_dims: axes of the operand that run along with batch axes of the indices, ascending.
        start_indices_batching_dims: those batch axes of the indices, in the same order.

    >>> import nrx
    >>> rows = nrx.lax.GatherDimensionNumbers((1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    >>> nrx.lax.gather(nrx.numpy.eye(3), nrx.numpy.array([[2], [0]]), rows, (1, 3))
    Array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()

    def for_scatter(self) -> "ScatterDimensionNumbers":
        """The numbers of the scatter that puts back what this gather takes."""
        return ScatterDimensionNumbers(
            self.offset_dims, self.collapsed_slice_dims, self.start_index_map, self.operand_batching_dims,
            self.start_indices_batching_dims,
        )  # fmt: skip

    def batched(self, operand: bool, indices: bool) -> "GatherDimensionNumbers":
        """The numbers when the operand, the indices or both have one more axis, their first; so has the result."""
        own, theirs = int(operand), int(indices)
        offset = tuple(d + 1 for d in self.offset_dims)
        batching = tuple(d + own for d in self.operand_batching_dims)
        indices_batching = tuple(d + theirs for d in self.start_indices_batching_dims)
        return GatherDimensionNumbers(
            offset if indices else (0, *offset),
            tuple(d + own for d in self.collapsed_slice_dims),
            tuple(d + own for d in self.start_index_map),
            (0, *batching) if operand and indices else batching,
            (0, *indices_batching) if operand and indices else indices_batching,
        )


@dataclass(frozen=True)
class ScatterDimensionNumbers(_DimensionNumbers):
    """How operand, indices and updates of a scatter are laid out.

    Args:
        update_window_dims: axes of the updates that are axes of the window, ascending; the others are batch axes.
        inserted_window_dims: axes of the operand whose window has length 1 and is left out of the updates, ascending.
        scatter_dims_to_operand_dims: the axis of the operand that each entry of the indices' last axis starts.
        operand_batching_dims: axes of the operand that run along with batch axes of the indices, ascending.
        scatter_indices_batching_dims: those batch axes of the indices, in the same order.

    >>> import nrx
    >>> rows = nrx.lax.ScatterDimensionNumbers((), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
    >>> nrx.lax.scatter(nrx.numpy.zeros(3), nrx.numpy.array([[1]]), nrx.numpy.array([5.0]), rows)
    Array([0., 5., 0.], dtype=float32)
    """

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()

    def for_gather(self) -> GatherDimensionNumbers:
        """The numbers of the gather that takes what this scatter puts."""
        return GatherDimensionNumbers(
            self.update_window_dims, self.inserted_window_dims, self.scatter_dims_to_operand_dims,
            self.operand_batching_dims, self.scatter_indices_batching_dims,
        )  # fmt: skip


def window_sizes(numbers: GatherDimensionNumbers, operand: Shape, updates: Shape) -> Shape:
    """The `slice_sizes` of the gather that would have given these updates."""
    lengths = iter([updates[d] for d in numbers.offset_dims])
    missing = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    return tuple(1 if d in missing else next(lengths) for d in range(len(operand)))


def check_numbers(name: str, numbers: GatherDimensionNumbers, operand: Aval, indices: Aval, sizes: Shape) -> None:
    """Raise unless the dimension numbers, in gather's vocabulary, fit the operand and the indices."""
    check_dtype(f"{name}: the array of indices", indices, INTEGERS, "convert it with .astype(int)")
    if not indices.ndim:
        raise ShapeError(f"{name}: the indices need a last axis, the index vector", fix="reshape them to (..., 1)")
    batch_ndim = indices.ndim - 1
    collapsed, batching = numbers.collapsed_slice_dims, numbers.operand_batching_dims
    left_out = (*collapsed, *batching)
    _check_axes(name, "collapsed or inserted axes", collapsed, operand.ndim, ascending=True)
    _check_axes(name, "batching axes of the operand", batching, operand.ndim, ascending=True)
    _check_axes(name, "batching axes of the indices", numbers.start_indices_batching_dims, batch_ndim)
    _check_axes(name, "axes that the index vector starts", (*numbers.start_index_map, *batching), operand.ndim)
    _check_axes(name, "axes without a window", left_out, operand.ndim)
    window_ndim = operand.ndim - len(left_out)
    _check_axes(name, "axes of the window", numbers.offset_dims, batch_ndim + window_ndim, ascending=True)
    if len(numbers.offset_dims) != window_ndim:
        raise ShapeError(
            f"{name}: the window has {window_ndim} axes ({operand.ndim} of the operand less {len(left_out)} left out), "
            f"dimension_numbers place {len(numbers.offset_dims)}: {numbers.offset_dims}"
        )
    if len(numbers.start_index_map) != indices.shape[-1]:
        raise ShapeError(
            f"{name}: index vectors of length {indices.shape[-1]} (indices have shape {show(indices.shape)}) cannot "
            f"start {len(numbers.start_index_map)} axes: {numbers.start_index_map}"
        )
    along = [operand.shape[d] for d in batching]
    theirs = [indices.shape[d] for d in numbers.start_indices_batching_dims]
    if along != theirs:
        raise ShapeError(
            f"{name}: batching axes {batching} of operand {operand} have lengths {along}, those of the indices "
            f"{indices} at {numbers.start_indices_batching_dims} have {theirs}"
        )
    if len(sizes) != operand.ndim or any(sizes[d] != 1 for d in collapsed):
        raise ShapeError(
            f"{name}: slice sizes {show(sizes)} must have an entry for each axis of {operand}, 1 at axes {collapsed}"
        )


def _check_axes(name: str, what: str, axes: tuple[int, ...], ndim: int, ascending: bool = False) -> None:
    distinct = len(set(axes)) == len(axes) and all(0 <= d < ndim for d in axes)
    if not distinct or (ascending and list(axes) != sorted(axes)):
        order = "ascending and " * ascending
        raise AxisError(f"{name}: the {what}, {axes}, must be {order}different axes from 0 to {ndim - 1}")
