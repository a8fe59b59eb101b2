"""Loops that move boxes of memory: what concatenate, pad, scatter and updates of slices compile to.

A `Box` is a part of an array, given by its extents and strides, and where its elements come from.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx.core import loops
from nrx.core.dims import Dim, capacity, identity
from nrx.core.loops import Builder, Operand, Value
from nrx.core.shapes import Shape, size

SMALL = 1 << 12
"""Up to so many elements, a view that every reader computes is better than a copy, whatever it costs."""

_TASK_ELEMENTS = 1 << 14
_COPIED_BYTES = 1 << 14  # of this many on, a call of memcpy costs nothing beside what it copies
_LEAST_SIDE = 16  # of a matrix that is transposed in tiles
_BLOCK = 256, 64
_MOST_JOINED = 8  # rows or columns that are joined to one, element by element
_JOINED, _LONG_SIDE = 1 << 12, 64


class Box(NamedTuple):
    """Elements to move.

    Args:
        extents: of the box.
        target: the array that gets them.
        start, strides: the position of the first one there, and the steps along each axis.
        source: the array that they come from, or one value for all.
        source_start, source_strides: where they are there.
        combine: makes the new element from the old one and that of the source; None: the latter takes its place.
    """

    extents: Shape
    target: Operand
    start: Any
    strides: Shape
    source: Operand | Value
    source_start: Any = 0
    source_strides: Shape = ()
    combine: Callable[[Value, Value], Value] | None = None

    @staticmethod
    def of(target: Operand, start: Sequence[Any], source: Operand) -> "Box":
        """All of `source`, to be moved to the part of `target` that begins at the index `start`."""
        shape = source.aval.shape
        return Box(
            shape, target, target.position(*start), row_major_strides(target.aval.shape), source,
            source.position(*(0,) * len(shape)), row_major_strides(shape),
        )  # fmt: skip


def row_major_strides(shape: Shape) -> Shape:
    """The distance of neighbours along each axis of an array in row-major order."""
    return tuple(size(shape[axis + 1 :]) for axis in range(len(shape)))


def move(b: Builder, boxes: Sequence[Box]) -> None:
    """Make the kernel one that moves these boxes, which do not overlap; each is cut into tasks."""
    alike: dict[Any, list[_Work]] = {}
    for work in [_work(b, box) for box in boxes if size(box.extents)]:
        alike.setdefault(identity(work.units), []).append(work)
    works = [_merged(group) for group in alike.values()]
    if not works:
        return
    task = b.parallel(sum(work.units for work in works))
    b.kernel.cost = float(max(work.elements for work in works))
    first = 0
    for work in works:
        run = functools.partial(work.unit, task - first)
        if len(works) == 1:
            run()
        else:
            b.if_((task >= first) & (task < first + work.units), run)
        first += work.units


def move_in_order(b: Builder, box: Box) -> None:
    """Move a box here and now, inside the loops of a kernel."""
    work = _work(b, box)
    if work.units == 1:
        work.unit(0)
    else:
        b.loop(work.units, [], work.unit)


class _Work(NamedTuple):
    """A box in units, each of which is a task.

    Fields:
        units: how many.
        elements: of one, about.
        unit: `unit(number)` moves one.
    """

    units: int
    elements: int
    unit: Callable[[Any], None]


def _merged(works: Sequence[_Work]) -> _Work:
    """Work of as many units as one: what lies side by side is best moved together."""

    def unit(number: Any) -> None:
        for work in works:
            work.unit(number)

    return _Work(works[0].units, sum(work.elements for work in works), unit)


class _Axis(NamedTuple):
    """An axis of a box: its extent, and the steps in the target and in the source."""

    extent: int
    step: int
    source_step: int


def _work(b: Builder, box: Box) -> _Work:
    """In which units a box is moved: rows, their pieces, or blocks of what is transposed."""
    *others, last = _axes(box)
    # Tasks are numbered with what is left open in front: to divide by it takes time.
    axes = [*sorted(others, key=lambda axis: not isinstance(axis.extent, Dim)), last]
    inner = [axis for axis in axes[:-1] if axis.source_step == 1] if isinstance(box.source, Operand) else []
    if not inner or axes[-1].step != 1 or box.combine is not None:
        return _rows(b, box, axes)
    (columns,), rows = inner, axes[-1]
    outer = [axis for axis in axes[:-1] if axis is not columns]
    if min(capacity(rows.extent), capacity(columns.extent)) >= _LEAST_SIDE:
        return _blocks(b, box, outer, rows, columns, _BLOCK)
    if identity(rows.extent) == columns.step <= _MOST_JOINED and capacity(columns.extent) >= _LONG_SIDE:
        return _blocks(b, box, outer, rows, columns, (rows.extent, _JOINED))
    if identity(columns.extent) == rows.source_step <= _MOST_JOINED and capacity(rows.extent) >= _LONG_SIDE:
        return _blocks(b, box, outer, rows, columns, (_JOINED, columns.extent))
    sides = sorted((rows, columns), key=lambda axis: capacity(axis.extent))
    return _rows(b, box, [*outer, *sides])  # vectors along the longer side


def _axes(box: Box) -> list[_Axis]:
    """The axes longer than 1; neighbours are one where that is possible."""
    axes: list[_Axis] = []
    for extent, step, source_step in zip(
        box.extents, box.strides, box.source_strides or (0,) * len(box.extents), strict=True
    ):
        if axes and list(map(identity, axes[-1][1:])) == [identity(extent * step), identity(extent * source_step)]:
            axes[-1] = _Axis(axes[-1].extent * extent, step, source_step)
        elif extent != 1:
            axes.append(_Axis(extent, step, source_step))
    return axes or [_Axis(1, 1, 1)]


def _positions(box: Box, axes: Sequence[_Axis], index: Sequence[Any]) -> tuple[Any, Any]:
    """The positions of an element in the target and in the source."""
    at, source_at = box.start, box.source_start
    for i, axis in zip(index, axes, strict=True):
        at, source_at = at + i * axis.step, source_at + i * axis.source_step
    return at, source_at


def _rows(b: Builder, box: Box, axes: Sequence[_Axis]) -> _Work:
    """Along the last of the axes."""
    *outer, row = axes
    extents = tuple(axis.extent for axis in outer)
    is_cut = capacity(row.extent) >= 2 * _TASK_ELEMENTS
    pieces = -(-row.extent // _TASK_ELEMENTS) if is_cut else 1

    def unit(number: Any) -> None:
        begin: Any = 0
        count: Any = row.extent
        if is_cut:
            begin = loops.mod(number, pieces) * _TASK_ELEMENTS
            count = loops.apply("min", row.extent - begin, _TASK_ELEMENTS)
        index = loops.unravel(loops.floordiv(number, pieces), extents)
        _move_row(b, box, row, *_positions(box, axes, (*index, begin)), count)

    return _Work(size(extents) * pieces, -(-int(row.extent) // int(pieces)), unit)


def _move_row(b: Builder, box: Box, row: _Axis, at: Any, source_at: Any, count: Any) -> None:
    target, source = box.target, box.source

    def new(i: Any) -> Value:
        value = source.at(source_at + i * row.source_step) if isinstance(source, Operand) else source
        return value if box.combine is None else box.combine(target.at(at + i * row.step), value)

    if isinstance(source, Operand) and box.combine is None and row.step == row.source_step == 1:
        _copy(b, target, at, source, source_at, count)
    else:
        _each(b, count, lambda i: target.put(at + i * row.step, new(i)), row.step == 1)


def _copy(b: Builder, target: Operand, at: Any, source: Operand, source_at: Any, count: Any) -> None:
    if not isinstance(count, int) or isinstance(count, Dim) or count * target.aval.dtype.itemsize >= _COPIED_BYTES:
        b.copy(target.buffer, at, source.buffer, source_at, count)
        return
    parts = 2 if target.type in ("c64", "c128") else 1
    at, source_at = at * parts, source_at * parts
    _each(b, count * parts, lambda i: b.store(target.buffer, at + i, b.load(source.buffer, source_at + i)))


def _each(b: Builder, count: Any, body: Callable[[Any], None], in_lanes: bool = True) -> None:
    """`body(i)` for each i below `count`; not in vector lanes where these would be scattered."""
    if isinstance(count, int) and count == 1:
        body(0)
    elif in_lanes:
        b.lanes(count, body)
    else:
        b.loop(count, [], body)


def _blocks(b: Builder, box: Box, outer: Sequence[_Axis], rows: _Axis, columns: _Axis, sides: tuple[int, int]) -> _Work:
    """Neighbours along `rows` lie side by side in the target, those along `columns` in the source."""
    target, source = box.target, box.source
    assert isinstance(source, Operand)
    counts = [_count(axis.extent, side) for axis, side in zip((rows, columns), sides, strict=True)]
    shape = (*(axis.extent for axis in outer), *counts)

    def part(axis: _Axis, side: int, count: int, number: Any) -> tuple[Any, Any]:
        """Where a block begins along an axis, and its extent; the last one takes the rest."""
        begin, rest = number * side, axis.extent - (count - 1) * side
        return begin, rest if identity(rest) == side or identity(count) == 1 else loops.select(
            number < count - 1, loops.const(side, "i64"), rest
        )

    def unit(number: Any) -> None:
        *index, i, j = loops.unravel(number, shape)
        (row, height), (column, width) = map(part, (rows, columns), sides, counts, (i, j))
        at, source_at = _positions(box, (*outer, rows, columns), (*index, row, column))
        b.transpose(target.buffer, at, columns.step, source.buffer, source_at, rows.source_step, height, width)

    elements = int(rows.extent * columns.extent) // int(counts[0] * counts[1])
    return _Work(size(shape), elements, unit)


def _count(extent: int, side: int) -> int:
    """How many blocks there are along an axis."""
    if capacity(extent) <= side:
        return 1
    return -(-extent // side) if isinstance(extent, Dim) else extent // side
