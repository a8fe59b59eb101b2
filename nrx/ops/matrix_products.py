"""Sums of products as matrix products of the platform's library: how to cut them, and what to copy first.

    out[i, j, …] = sum over k, … of x[i, k, …] * y[k, j, …]

The library takes matrices with rows, or columns, side by side in memory. So one axis, or several that lie like one, are
the rows, others the columns, others the depth; what is left are loops around. Where an operand has no such layout, as
the windows of a convolution, blocks of it are copied to scratch memory.

What a task computes depends on the axes only, so that the number of threads changes no bit.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from nrx.core import loops
from nrx.core.loops import Builder, Expr, Operand
from nrx.core.shapes import size

_FEWEST_PRODUCTS = 1 << 16
"""In a call of the library, which has its price."""
_FEWEST_ROWS = 4
_GOOD_EXTENT = 64
_PRICE_OF_COPYING = 0.7
_MOST_PRODUCTS = 1 << 23
"""In a task, if it can be less without losing speed."""
_ENOUGH_TASKS = 8
_WORTH_A_TASK = 1 << 20
_BLOCK_ROWS = 96
_BLOCK_BYTES = 96 << 10


class Axis(NamedTuple):
    """An axis along which products, or a sum of products, go: its length and its steps in the three arrays."""

    extent: int
    x: int
    y: int
    out: int

    @property
    def kind(self) -> tuple[bool, bool, bool]:
        """Which of the arrays have it."""
        return self.x != 0, self.y != 0, self.out != 0

    @property
    def swapped(self) -> "Axis":
        """The same with x and y in each other's places."""
        return Axis(self.extent, self.y, self.x, self.out)


ROW, COLUMN, DEPTH = (True, False, True), (False, True, True), (True, True, False)

Layout = tuple[int, bool]
"""The leading dimension of a matrix, and whether it is its columns that lie side by side."""


def steps_of(shape: Sequence[int]) -> list[int]:
    """The step of every axis of an array in row-major order."""
    return [size(tuple(shape[axis + 1 :])) for axis in range(len(shape))]


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """The axes less those of length 1, with neighbours put together that all arrays walk through as one."""
    found = [axis for axis in axes if axis.extent != 1]
    for inner in found:
        for outer in found:
            if outer[1:] == tuple(step * inner.extent for step in inner[1:]):
                found[found.index(inner)] = Axis(outer.extent * inner.extent, *inner[1:])
                found.remove(outer)
                return merged(found)
    return found


def positions(axes: Sequence[Axis], index: Sequence[Any]) -> list[Any]:
    """Where in the three arrays an index of some axes is."""
    at: list[Any] = [loops.const(0, "i64")] * 3
    for axis, i in zip(axes, index, strict=True):
        at = [position + i * step for position, step in zip(at, axis[1:], strict=True)]
    return at


class MatrixProduct(NamedTuple):
    """Matrix products in loops.

    Fields:
        rows, columns, depth: axes from the outermost to the innermost.
        x, y: the layouts of the operands; None: it is copied.
        around: the axes of the result that are left.
        sums: the summed ones.
        swapped: whether x and y are in each other's places.
    """

    rows: list[Axis]
    columns: list[Axis]
    depth: list[Axis]
    x: Layout | None
    y: Layout | None
    around: list[Axis]
    sums: list[Axis]
    swapped: bool

    @property
    def extents(self) -> tuple[int, int, int]:
        return _extent(self.rows), _extent(self.columns), _extent(self.depth)

    @property
    def fitness(self) -> tuple[float, int]:
        """How fast the library is likely to be, and how much one call does."""
        speed = math.prod(min(extent, _GOOD_EXTENT) for extent in self.extents)
        return speed * (_PRICE_OF_COPYING if None in (self.x, self.y) else 1), math.prod(self.extents)

    def build(self, b: Builder, x: Operand, y: Operand, out: Operand) -> None:
        """Build the kernel that stores all of the result."""
        if self.swapped:
            x, y = y, x
        if None in (self.x, self.y):
            _Copying(b, x, y, out, self).build()
        else:
            _build_directly(b, x, y, out, self)


def matrix_product(axes: Sequence[Axis]) -> MatrixProduct | None:
    """The best way to compute a sum of products by matrix products, if there is one that pays; `axes` are merged."""
    found = [*_ways(axes, False), *_ways([axis.swapped for axis in axes], True)]
    best = max(found, key=lambda way: way.fitness, default=None)
    if best is None or math.prod(best.extents) < _FEWEST_PRODUCTS or min(best.extents[:2]) < _FEWEST_ROWS:
        return None
    return best


def _ways(axes: Sequence[Axis], swapped: bool) -> Iterator[MatrixProduct]:
    """Every way, with columns that lie side by side in the result."""
    rows, columns, depths = ([a for a in axes if a.kind == kind] for kind in (ROW, COLUMN, DEPTH))
    for column in (a for a in columns if a.out == 1):
        for row in rows:
            for depth in depths:
                for copied in (None, "x", "y"):
                    way = _way(axes, row, column, depth, copied, swapped)
                    if way is not None:
                        yield way


def _way(
    axes: Sequence[Axis], row: Axis, column: Axis, depth: Axis, copied: str | None, swapped: bool
) -> MatrixProduct | None:
    """The way whose innermost axes these are, and which copies one of the operands."""
    rows, columns, deep = [row], [column], [depth]
    if copied == "x":
        rows, deep = _chain(axes, row, "out"), _chain(axes, depth, "y")
    elif copied == "y":
        columns, deep = _chain(axes, column, "out"), _chain(axes, depth, "x")
    height, width, length = _extent(rows), _extent(columns), _extent(deep)
    x = None if copied == "x" else _layout(row.x, height, depth.x, length)
    y = None if copied == "y" else _layout(depth.y, length, column.y, width)
    if (x is None and copied != "x") or (y is None and copied != "y") or row.out < width:
        return None
    rest = [a for a in axes if a not in (*rows, *columns, *deep)]
    around, sums = ([a for a in rest if (a.kind == DEPTH) is is_summed] for is_summed in (False, True))
    return MatrixProduct(rows, columns, deep, x, y, around, sums, swapped)


def _chain(axes: Sequence[Axis], inner: Axis, array: str) -> list[Axis]:
    """The axes of one kind that lie in one of the arrays like one axis that ends with `inner`."""
    chain = [inner]
    while True:
        step = getattr(chain[0], array) * chain[0].extent
        outer = next((a for a in axes if a.kind == inner.kind and getattr(a, array) == step), None)
        if outer is None:
            return chain
        chain.insert(0, outer)


def _layout(row_step: int, rows: int, column_step: int, columns: int) -> Layout | None:
    if column_step == 1 and row_step >= columns:
        return row_step, False
    if row_step == 1 and column_step >= rows:
        return column_step, True
    return None


def _extent(axes: Sequence[Axis]) -> int:
    return math.prod(axis.extent for axis in axes)


def _half(extent: int) -> int:
    """Half of an extent, rounded up to full vectors."""
    return -(-extent // 32) * 16


def _unravel(position: Any, axes: Sequence[Axis], *more: int) -> tuple:
    return loops.unravel(position, (*(axis.extent for axis in axes), *more))


# Without copies


def _build_directly(b: Builder, x: Operand, y: Operand, out: Operand, way: MatrixProduct) -> None:
    (row,), (column,), (depth,), sums, around = way.rows, way.columns, way.depth, _extent(way.sums), _extent(way.around)
    height, width = _tile(row.extent, column.extent, depth.extent * sums, around)
    tiles = (-(-row.extent // height), -(-column.extent // width))
    *outer, i, j = _unravel(b.parallel(around * size(tiles)), way.around, *tiles)
    i, j = i * height, j * width
    rows, columns = loops.clamp(row.extent - i, height), loops.clamp(column.extent - j, width)
    at = positions(way.around, outer)

    def multiply(number: Any, accumulate: bool) -> None:
        within = positions(way.sums, _unravel(number, way.sums))
        b.gemm(
            out.type, rows, columns, depth.extent,
            (x.buffer, at[0] + within[0] + i * row.x, *way.x), (y.buffer, at[1] + within[1] + j * column.y, *way.y),
            (out.buffer, at[2] + i * row.out + j, row.out, False), accumulate,
        )  # fmt: skip

    multiply(loops.const(0, "i64"), False)
    if sums > 1:
        b.loop(sums - 1, [], lambda number: multiply(number + 1, True))
    b.kernel.cost = float(height * width * depth.extent * sums) / 16


def _tile(rows: int, columns: int, depth: int, count: int) -> tuple[int, int]:
    """The height and the width of what one task computes."""
    height, width, tasks = rows, columns, count
    while True:
        products = height * width * depth
        is_enough = products <= _MOST_PRODUCTS and (tasks >= _ENOUGH_TASKS or products < 2 * _WORTH_A_TASK)
        if is_enough or max(height, width) < 2 * _GOOD_EXTENT:
            return height, width
        if height >= width:
            height = _half(height)
        else:
            width = _half(width)
        tasks = count * -(-rows // height) * -(-columns // width)


# With copies


class _Side:
    """The rows, columns or depth of what is copied: axes cut into blocks of whole runs that lie side by side.

    Args:
        axes: from the outermost to the innermost.
        step: of an axis in the array.
        most: the length of a block.
        in_runs: whether copying goes along the innermost axis; blocks then do not end inside it if they need not.
    """

    def __init__(self, axes: Sequence[Axis], step: Callable[[Axis], int], most: int, in_runs: bool):
        self.axes: list[tuple[int, int]] = []
        for axis in axes:
            if self.axes and self.axes[-1][1] == step(axis) * axis.extent:
                self.axes[-1] = (self.axes[-1][0] * axis.extent, step(axis))
            else:
                self.axes.append((axis.extent, step(axis)))
        self.total = _extent(axes)
        self.run, self.run_step = self.axes[-1] if in_runs else (1, 0)
        pieces = -(-self.run // most)
        self.block = -(-self.run // pieces) if pieces > 1 else min(most // self.run * self.run, self.total)
        self.pieces = pieces
        self.count = self.total // self.run * pieces if pieces > 1 else -(-self.total // self.block)

    def extent(self, number: Expr) -> tuple[Any, Any, Any, Any]:
        """Of a block: where it starts, its length, how many runs it has and how long they are."""
        if self.pieces == 1:
            start = number * self.block
            length = loops.clamp(self.total - start, self.block)
            return start, length, loops.floordiv(length, self.run), self.run
        inside = loops.mod(number, self.pieces) * self.block
        length = loops.clamp(self.run - inside, self.block)
        return loops.floordiv(number, self.pieces) * self.run + inside, length, 1, length

    def position(self, i: Any) -> Any:
        """Where in the array the element of a number is."""
        index = loops.unravel(i, [extent for extent, _ in self.axes])
        return sum((i * step for i, (_, step) in zip(index, self.axes, strict=True)), loops.const(0, "i64"))


class _Copying:
    """A matrix product of which one operand, `source`, is copied block by block; `other` is read where it lies."""

    def __init__(self, b: Builder, x: Operand, y: Operand, out: Operand, way: MatrixProduct):
        self.b, self.out, self.way = b, out, way
        self.is_x = way.x is None
        self.source, self.other = (x, y) if self.is_x else (y, x)
        free_axes, self.fixed = (way.rows, way.columns) if self.is_x else (way.columns, way.rows)
        step = (lambda axis: axis.x) if self.is_x else (lambda axis: axis.y)
        self.along_depth = step(way.depth[-1]) == 1 or step(free_axes[-1]) != 1
        longest = _BLOCK_BYTES // (_BLOCK_ROWS * loops.BITS[out.type] // 8)
        self.depth = _Side(way.depth, step, longest, self.along_depth)
        self.free = _Side(free_axes, step, _BLOCK_ROWS, not self.along_depth)
        self.block = b.scratch(out.type, self.free.block * self.depth.block)
        self.layout = (self.depth.block, not self.is_x) if self.along_depth else (self.free.block, self.is_x)

    def build(self) -> None:
        b, way, fixed = self.b, self.way, _extent(self.fixed)
        around, width = _extent(way.around) * self.free.count, fixed
        while around * -(-fixed // width) < _ENOUGH_TASKS and width >= 2 * _GOOD_EXTENT:
            width = _half(width)
        tiles = -(-fixed // width)
        *outer, number, tile = _unravel(b.parallel(around * tiles), way.around, self.free.count, tiles)
        free = self.free.extent(number)
        at = positions(way.around, outer)

        def chunk(k: Expr) -> None:
            *summed, piece = _unravel(k, way.sums, self.depth.count)
            deep = self.depth.extent(piece)
            within = [here + more for here, more in zip(at, positions(way.sums, summed), strict=True)]
            self.copy(within[0 if self.is_x else 1], free, deep)
            multiply = self.multiplier(within, free, deep, tile * width, loops.clamp(fixed - tile * width, width))
            b.if_(loops.eq(k, 0), lambda: multiply(False), lambda: multiply(True))

        b.loop(_extent(way.sums) * self.depth.count, [], chunk)
        b.kernel.cost = float(self.free.block * width * _extent(way.depth) * _extent(way.sums)) / 16

    def copy(self, origin: Any, free: tuple, deep: tuple) -> None:
        """Copy one block to scratch memory."""
        lanes, lines = (self.depth, self.free) if self.along_depth else (self.free, self.depth)
        (start, _, runs, length), (first, count, _, _) = (deep, free) if self.along_depth else (free, deep)

        def line(i: Expr) -> None:
            place = origin + lines.position(first + i)

            def run(r: Expr) -> None:
                begin = place + lanes.position(start + r * lanes.run)
                target = i * lanes.block + r * lanes.run
                self.b.lanes(
                    length,
                    lambda c: self.b.store(self.block, target + c, self.source.at(begin + c * lanes.run_step)),
                )  # fmt: skip

            self.b.loop(runs, [], run)

        self.b.loop(count, [], line)

    def multiplier(self, at: list, free: tuple, deep: tuple, start: Any, width: Any) -> Callable[[bool], None]:
        """Multiplies the block that was copied by `width` columns, or rows, of the other operand from `start` on."""
        way, (fixed,), depth = self.way, self.fixed, self.way.depth[-1]
        copied = (self.block, 0, *self.layout)
        if self.is_x:
            beside = (self.other.buffer, at[1] + start * fixed.y + deep[0] * depth.y, *way.y)
            extents, c = (free[1], width), at[2] + free[0] * way.rows[-1].out + start
            operands = (copied, beside)
        else:
            beside = (self.other.buffer, at[0] + start * fixed.x + deep[0] * depth.x, *way.x)
            extents, c = (width, free[1]), at[2] + start * fixed.out + free[0]
            operands = (beside, copied)
        target = (self.out.buffer, c, way.rows[-1].out, False)
        return lambda accumulate: self.b.gemm(self.out.type, *extents, deep[1], *operands, target, accumulate)
