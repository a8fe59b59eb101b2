"""Sums of products over axes with strides, in any dtype: what dot_general and convolution compile to.

There are three kernels. Where enough rows meet the same columns, both are packed for tiles of sums in registers
(`packed_products`). Where y is read once, it is read as it lies in memory. All others compute some rows at a time,
with columns in vector lanes.

How the work is cut depends on the axes only, so that the number of threads changes no bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.dims import Dim, capacity, identity, room
from nrx.core.loops import Builder, Expr, Native, Operand
from nrx.core.shapes import size
from nrx.ops.accumulation import store, types_of, whole
from nrx.ops.packed_products import Packed
from nrx.ops.product_axes import (
    COLUMN,
    DEPTH,
    NO_AXIS,
    ROW,
    Axis,
    Contraction,
    added,
    chain,
    computed,
    cost_of,
    count_of,
    index_of,
    merged,
    multiply_add,
    positions,
    rest,
    shifted,
)

_ROWS, _MOST_ROWS = 8, 12
"""Rows that are computed together, and if there are no more: as many vectors of sums stay in registers."""
_HEIGHT, _WIDTH = 128, 64
"""Of the tile that a task computes."""
_SHORT = 16
"""Too few products for a loop, if there is a longer one."""
_MOST_STREAMED, _STREAM_WIDTH = 8, 512
"""Rows, and columns of a task, where y is read once."""
_FEWEST_PRODUCTS = 1 << 13
"""In tiles in registers."""


def contraction(axes: Sequence[Axis], dtype: np.dtype) -> Native:
    """The kernel of sums of products.

    Args:
        axes: those of the result are not empty.
        dtype: in which the sums are computed; they are rounded to that of the result.
    """
    return contractions([(axes, (0, 0, 0))], dtype)


def contractions(parts: Sequence[tuple[Sequence[Axis], Sequence[int]]], dtype: np.dtype) -> Native:
    """The same for parts of a result, each with its axes and where it starts in x, y and the result."""
    ways = [_way(axes, start, dtype) for axes, start in parts]

    def build(b: Builder, operands: Sequence[Operand], results: Sequence[Operand], **params: Any) -> None:
        kernels = [
            kernel(b, *(reversed(operands) if is_swapped else operands), results[0], way)
            for kernel, way, is_swapped in ways
        ]
        memory: dict[str, Operand] = {}
        for name in dict.fromkeys(name for kernel in kernels for name in kernel.scratch):
            kinds = [kernel.scratch[name] for kernel in kernels if name in kernel.scratch]
            most = max(size for _, size in kinds)
            memory[name] = Operand(b, b.scratch(kinds[0][0], most), results[0].aval)
        counts = [size(tuple(kernel.extents)) for kernel in kernels]
        number = b.parallel(sum(counts))

        def run(position: int, first: Any) -> None:
            kernel = kernels[position]

            def task() -> None:
                kernel.task(loops.unravel(number - first, kernel.extents), memory)

            if position + 1 == len(kernels):
                task()
            else:
                after = first + counts[position]
                b.if_(number < after, task, lambda: run(position + 1, after))

        run(0, 0)
        b.kernel.cost = max(kernel.cost for kernel in kernels)

    widths = {identity(count_of(way.columns)) if kernel is Packed else None for kernel, way, _ in ways}
    return Native(build, width=count_of(ways[0][1].columns) if len(widths) == 1 and None not in widths else None)


def is_packed(axes: Sequence[Axis], dtype: np.dtype) -> bool:
    """Whether the kernel packs its operands, and converts them then."""
    return _way(axes, (0, 0, 0), dtype)[0] is Packed


def _way(axes: Sequence[Axis], start: Sequence[int], dtype: np.dtype) -> tuple[Any, Contraction, bool]:
    """The kernel for a part, how it goes, and whether x and y are in each other's places."""
    axes = merged(axes)
    is_empty = any(axis.extent == 0 for axis in axes)
    inner = None if is_empty else next((a for a in axes if a.out == 1 and a.kind in (ROW, COLUMN)), None)
    if inner is not None and not dtypes.is_complex(dtype):
        way = _arranged(axes, start, inner, True, dtype)
        if _is_packable(way):
            return Packed, way, inner.kind == ROW
    column = max((a for a in axes if a.out), key=_fitness_for_lanes, default=NO_AXIS)
    way = _arranged(axes, start, column, False, dtype)
    return _Streaming if _is_streamed(way) and not is_empty else _Tiled, way, column.kind == ROW


def _arranged(
    axes: Sequence[Axis], start: Sequence[int], column: Axis, is_packed: bool, dtype: np.dtype
) -> Contraction:
    """The contraction with its columns along an axis, or, if y is packed, along several that end with it."""
    x, y, out = start
    if column.kind == ROW:
        axes, column = [axis.swapped for axis in axes], column.swapped
        x, y = y, x
    columns = chain(axes, column) if is_packed else [column]
    rows, depth = ([a for a in axes if a.kind == kind] for kind in (ROW, DEPTH))
    around = [a for a in axes if a not in (*rows, *columns, *depth)]
    depth.sort(key=lambda axis: (-capacity(axis.x), -capacity(axis.y)))
    longest = max(depth, key=lambda axis: capacity(axis.extent), default=NO_AXIS)
    if depth and capacity(depth[-1].extent) < min(_SHORT, capacity(longest.extent) // 2):
        depth.append(depth.pop(depth.index(longest)))
    return Contraction(rows, columns, depth, around, dtype, (x, y, out))


def _is_packable(way: Contraction) -> bool:
    """Whether there are rows and products enough for a kernel with tiles in registers, which takes time to compile."""
    rows, columns, depth = (room(count_of(axes)) for axes in (way.rows, way.columns, way.depth))
    return capacity(count_of(way.rows)) > _MOST_STREAMED and rows * columns * depth >= _FEWEST_PRODUCTS


def _is_streamed(way: Contraction) -> bool:
    """Whether y is read once, in the order of memory, and there are few sums: a vector times a matrix."""
    column = way.columns[-1]
    is_wide = column.kind == COLUMN and column.y == 1 and capacity(column.extent) >= _WIDTH
    return is_wide and capacity(count_of(way.rows)) <= _MOST_STREAMED and not dtypes.is_complex(way.dtype)


def _fitness_for_lanes(axis: Axis) -> tuple[int, int]:
    is_contiguous = {axis.x, axis.y} <= {0, 1}
    return min(capacity(axis.extent), 16) * (4 if is_contiguous else 1), axis.out == 1


class _Tiled:
    """Builds the kernel that computes tiles, a tile a task, of arrays as they lie in memory.

    Fields:
        rows, columns: how many there are.
        block: rows that are computed together.
        height, width, tall: of a tile, and how many of them are one above the other.
        outer, inner: the axes that are summed.
    """

    def __init__(self, b: Builder, x: Operand, y: Operand, out: Operand, way: Contraction):
        self.b, self.x, self.y, self.out, self.way = b, x, y, out, way
        self.rows, self.columns = count_of(way.rows), count_of(way.columns)
        rows = capacity(self.rows)
        self.block = rows if rows * len(types_of(way.dtype)) <= _MOST_ROWS else min(rows, _ROWS)
        self.width = min(room(self.columns), _WIDTH)
        self.height = min(max(1, _HEIGHT // self.block) * self.block, room(self.rows))
        self.tall = -(-self.rows // self.height)
        *self.outer, self.inner = way.depth or [NO_AXIS]
        self.extents = [self.tall, *(axis.extent for axis in way.around), -(-self.columns // self.width)]
        self.scratch: dict[str, tuple[str, int]] = {}
        tile = min(int(self.rows), self.height) * min(int(self.columns), self.width)
        self.cost = cost_of(tile * max(1, int(count_of(way.depth))))

    def task(self, index: Sequence[Any], memory: dict[str, Operand]) -> None:
        """Compute a tile."""
        b, (i, *index, j) = self.b, index
        here = shifted(self.way.start, positions(self.way.around, index))
        row, column = i * self.height, j * self.width
        width, height = rest(self.columns, column, self.width), rest(self.rows, row, self.height)

        def group(number: Expr) -> None:
            rows = [loops.clamp(row + number * self.block + r, self.rows - 1) for r in range(self.block)]
            places = [shifted(here, positions(self.way.rows, index_of(r, self.way.rows))) for r in rows]
            b.lanes(width, lambda lane: self.compute(places, column + lane))

        b.loop(loops.floordiv(loops.const(0, "i64") + height + (self.block - 1), self.block), [], group)

    def compute(self, places: Sequence[list], column: Expr) -> None:
        """The sums of one column, in a vector lane, and of rows that begin at some places."""
        b, way, types = self.b, self.way, types_of(self.way.dtype)
        count = len(types)
        of_column = positions(way.columns, index_of(column, way.columns))

        def one_run(r: Any, *known: Expr) -> list[Expr]:
            outer = positions(self.outer, index_of(r, self.outer))

            def step(k: Expr, *known: Expr) -> list[Expr]:
                right = self.read(self.y, places[0][1] + outer[1] + of_column[1] + k * self.inner.y)
                parts: list[Expr] = []
                for i, place in enumerate(places):
                    left = self.read(self.x, place[0] + outer[0] + of_column[0] + k * self.inner.x)
                    parts += added(known[i * count : (i + 1) * count], left, right)
                return parts

            return b.loop(self.inner.extent, known, step)

        zeros = [loops.const(0, type) for type in types] * self.block
        totals = b.loop(count_of(self.outer), zeros, one_run) if self.outer else one_run(loops.const(0, "i64"), *zeros)
        for i, place in enumerate(places):
            store(self.out, place[2] + of_column[2], whole(totals[i * count : (i + 1) * count]))

    def read(self, operand: Operand, position: Any) -> Any:
        return computed(operand.at(position), self.way.dtype)


class _Streaming:
    """Builds the kernel that reads y once, some rows at a time, while sums for wide columns wait in scratch memory."""

    def __init__(self, b: Builder, x: Operand, y: Operand, out: Operand, way: Contraction):
        self.b, self.x, self.y, self.out, self.way = b, x, y, out, way
        *self.outer, self.inner = way.depth or [NO_AXIS]
        (self.column,), (self.type,) = way.columns, types_of(way.dtype)
        self.width = min(room(self.column.extent), _STREAM_WIDTH)
        self.rows = range(capacity(count_of(way.rows)))
        self.scratch = {"sums": (self.type, len(self.rows) * self.width)}
        self.extents = [*(axis.extent for axis in way.around), -(-self.column.extent // self.width)]
        columns = min(int(self.column.extent), self.width)
        self.cost = cost_of(len(self.rows) * columns * int(count_of(way.depth)))

    def task(self, index: Sequence[Any], memory: dict[str, Operand]) -> None:
        """Compute some columns."""
        b, (*index, j) = self.b, index
        self.sums = memory["sums"].buffer
        first = j * self.width
        at = shifted(self.way.start, positions(self.way.around, index))
        at = shifted(at, [first * stride for stride in self.column[1:]])
        last = loops.const(count_of(self.way.rows) - 1, "i64")  # there may be fewer: it is then computed repeatedly
        rows = [loops.apply("min", last, row) if isinstance(count_of(self.way.rows), Dim) else row for row in self.rows]
        places = [shifted(at, positions(self.way.rows, index_of(row, self.way.rows))) for row in rows]
        width, depth = rest(self.column.extent, first, self.width), loops.const(self.inner.extent, "i64")
        blocks = loops.floordiv(depth, _ROWS)

        def start(lane: Expr) -> None:
            for row in self.rows:
                b.store(self.sums, row * self.width + lane, loops.const(0, self.type))

        def one_run(number: Expr) -> None:
            here = [shifted(place, positions(self.outer, index_of(number, self.outer))) for place in places]
            b.loop(blocks, [], lambda k: self.add(here, width, k * _ROWS, _ROWS))
            b.loop(loops.mod(depth, _ROWS), [], lambda k: self.add(here, width, blocks * _ROWS + k, 1))

        def finish(lane: Expr) -> None:
            for row, place in zip(self.rows, places, strict=True):
                total = b.load(self.sums, row * self.width + lane)
                store(self.out, place[2] + lane * self.column.out, total)

        b.lanes(width, start)
        b.loop(count_of(self.outer), [], one_run)
        b.lanes(width, finish)

    def add(self, places: Sequence[list], width: Any, first: Any, count: int) -> None:
        """Add the products with `count` rows of y, from the one numbered `first` on."""
        b, numbers = self.b, [first + i for i in range(count)]

        def column(lane: Expr) -> None:
            rights = [computed(self.y.at(places[0][1] + k * self.inner.y + lane), self.way.dtype) for k in numbers]
            for row, place in zip(self.rows, places, strict=True):
                total = b.load(self.sums, row * self.width + lane)
                for k, right in zip(numbers, rights, strict=True):
                    total = multiply_add(computed(self.x.at(place[0] + k * self.inner.x), self.way.dtype), right, total)
                b.store(self.sums, row * self.width + lane, total)

        b.lanes(width, column)
