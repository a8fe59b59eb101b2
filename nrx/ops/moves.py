"""Loops that move boxes of memory: what concatenate, pad, scatter and updates of slices compile to.

A `Box` is a part of an array, given by its extents and strides, and where its elements come from.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx.core import loops
from nrx.core.loops import Builder, Expr, Operand, Value
from nrx.core.shapes import Shape, size

_TASK_ELEMENTS = 1 << 14
_COPIED_BYTES = 256  # of this many on, a call of memcpy costs less than vector loads and stores in line


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
    boxes = [_simplified(box) for box in boxes if size(box.extents)]
    counts = [_tasks_of(box) for box in boxes]
    if not boxes:
        return
    task = b.parallel(sum(counts))
    b.kernel.cost = sum(size(box.extents) for box in boxes) / sum(counts)
    first = 0
    for box, count in zip(boxes, counts, strict=True):
        part = functools.partial(_move_part, b, box, task - first)
        if len(boxes) == 1:
            part()
        else:
            b.if_((task >= first) & (task < first + count), part)
        first += count


def _simplified(box: Box) -> Box:
    """The box with axes of length 1 left out and neighbouring axes made one where that is possible."""
    axes: list[tuple[int, int, int]] = []
    source_strides = box.source_strides or (0,) * len(box.extents)
    for extent, *strides in zip(box.extents, box.strides, source_strides, strict=True):
        if axes and all(outer == extent * inner for outer, inner in zip(axes[-1][1:], strides, strict=True)):
            axes[-1] = (axes[-1][0] * extent, *strides)
        elif extent != 1:
            axes.append((extent, *strides))
    extents, steps, source_steps = zip(*axes, strict=True) if axes else ((1,), (1,), (1,))
    return box._replace(extents=extents, strides=steps, source_strides=source_steps)


def _rows_and_pieces(box: Box) -> tuple[int, int]:
    """How many rows a task moves, and into how many pieces a long row is cut."""
    row = box.extents[-1]
    return max(1, _TASK_ELEMENTS // row), -(-row // _TASK_ELEMENTS) if row >= 2 * _TASK_ELEMENTS else 1


def _tasks_of(box: Box) -> int:
    rows, pieces = _rows_and_pieces(box)
    return -(-size(box.extents[:-1]) // rows) * pieces


def _move_part(b: Builder, box: Box, task: Expr) -> None:
    """One task."""
    rows, pieces = _rows_and_pieces(box)
    total = size(box.extents[:-1])
    if pieces > 1:
        begin = loops.mod(task, pieces) * _TASK_ELEMENTS
        count = loops.apply("min", box.extents[-1] - begin, _TASK_ELEMENTS)
        _move_row(b, box, loops.floordiv(task, pieces), begin, count)
    elif rows == 1 or total == 1:
        _move_row(b, box, task)
    else:
        left: Any = rows if total % rows == 0 else loops.apply("min", total - task * rows, rows)
        b.loop(left, [], lambda i: _move_row(b, box, task * rows + i))


def move_in_order(b: Builder, box: Box) -> None:
    """Move a box here and now, inside the loops of a kernel."""
    box = _simplified(box)
    rows = size(box.extents[:-1])
    if rows == 1:
        _move_row(b, box, 0)
    else:
        b.loop(rows, [], lambda i: _move_row(b, box, i))


def _move_row(b: Builder, box: Box, number: Any, begin: Any = 0, count: Any = None) -> None:
    """`count` elements (None: all) along the last axis of the box, in one of its rows."""
    count = box.extents[-1] if count is None else count
    at, source_at = box.start, box.source_start
    index = (*loops.unravel(number, box.extents[:-1]), begin)
    for i, stride, source_stride in zip(index, box.strides, box.source_strides, strict=True):
        at, source_at = at + i * stride, source_at + i * source_stride
    target, source, stride, source_stride = box.target, box.source, box.strides[-1], box.source_strides[-1]

    def new(i: Any) -> Value:
        value = source.at(source_at + i * source_stride) if isinstance(source, Operand) else source
        return value if box.combine is None else box.combine(target.at(at + i * stride), value)

    if isinstance(source, Operand) and box.combine is None and stride == source_stride == 1:
        _copy_row(b, target, at, source, source_at, count)
    else:
        _each(b, count, lambda i: target.put(at + i * stride, new(i)))


def _copy_row(b: Builder, target: Operand, at: Any, source: Operand, source_at: Any, count: Any) -> None:
    if not isinstance(count, int) or count * target.aval.dtype.itemsize >= _COPIED_BYTES:
        b.copy(target.buffer, at, source.buffer, source_at, count)
        return
    parts = 2 if target.type in ("c64", "c128") else 1
    at, source_at = at * parts, source_at * parts
    _each(b, count * parts, lambda i: b.store(target.buffer, at + i, b.load(source.buffer, source_at + i)))


def _each(b: Builder, count: Any, body: Callable[[Any], None]) -> None:
    """`body(i)` for each i below `count`, in vector lanes."""
    if isinstance(count, int) and count == 1:
        body(0)
    else:
        b.lanes(count, body)
