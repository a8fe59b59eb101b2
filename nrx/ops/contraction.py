"""Sums of products over axes with strides, in any dtype: what dot_general and convolution compile to.

    out[i, j, …] = sum over k, … of x[i, k, …] * y[k, j, …]

Some rows of a tile are computed at a time, in registers, with columns in vector lanes. What a task reads of `y` again
and again is first copied to scratch memory, in the order in which it is read, where that pays: K. Goto and R. van de
Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008.

How the work is cut depends on the axes only, so that the number of threads changes no bit.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.dims import Dim, capacity, identity, room
from nrx.core.loops import Builder, Complex, Expr, Operand, Value
from nrx.core.shapes import size
from nrx.ops.accumulation import store, types_of, whole

_ROWS = 8
"""Rows that are computed together: as many vectors of sums stay in registers."""
_HEIGHT, _WIDTH = 128, 64
"""Of the tile that a task computes."""
_SHORT = 16
"""Too few products for a loop, if there is a longer one."""
_MOST_STREAMED, _STREAM_WIDTH = 8, 512
"""Rows, and columns of a task, where y is read once."""
_NEAR = 256
"""Elements between rows of y that are read as well in place as from a copy."""
_COPIED_BYTES = 96 << 10


class Axis(NamedTuple):
    """An axis along which products, or a sum of products, go: its length and its strides in the three arrays.

    A stride is 0 where the array has no such axis.
    """

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


_NONE = Axis(1, 0, 0, 0)
ROW, COLUMN, DEPTH = (True, False, True), (False, True, True), (True, True, False)


class Contraction(NamedTuple):
    """How sums of products are computed.

    Fields:
        rows, columns, depth: the axes of a matrix product, from the outermost to the innermost.
        around: the other axes of the result.
        is_swapped: whether x and y are in each other's places.
        is_copied: whether y is copied to scratch memory.
        dtype: in which the sums are computed.
    """

    rows: list[Axis]
    columns: list[Axis]
    depth: list[Axis]
    around: list[Axis]
    is_swapped: bool
    is_copied: bool
    dtype: np.dtype

    def build(self, b: Builder, operands: Sequence[Operand], results: Sequence[Operand], **params: Any) -> None:
        """Build the kernel; see `loops.Native`."""
        x, y = reversed(operands) if self.is_swapped else operands
        kernel = _Streaming if self.is_streamed else _Tiled
        kernel(b, x, y, results[0], self).build()

    @property
    def fewest_rows(self) -> int:
        """So many rows must there be for copying to pay."""
        if self.columns[-1].y != 1:
            return _ROWS
        if all(axis.y <= _NEAR for axis in self.depth):
            return _HEIGHT // 2 + 1
        return _MOST_STREAMED + 1

    @property
    def is_streamed(self) -> bool:
        """Whether y is read once, in the order of memory, and there are few sums: a vector times a matrix."""
        rows = _extent(self.rows)
        column = self.columns[-1]
        is_wide = column.kind == COLUMN and column.y == 1 and capacity(column.extent) >= _WIDTH
        is_small = capacity(rows) <= _MOST_STREAMED
        return is_wide and is_small and not self.is_copied and not dtypes.is_complex(self.dtype)


def contraction(axes: Sequence[Axis], result: np.dtype, dtype: np.dtype) -> Contraction:
    """The way to compute sums of products in `dtype`, for a result of dtype `result`; no axis may be empty."""
    axes = _merged(axes)
    inner = next((a for a in axes if a.out == 1 and a.kind in (ROW, COLUMN)), None)
    if inner is not None and result == dtype and not dtypes.is_complex(dtype):
        copying = _arranged(axes, inner, True, dtype)
        if capacity(_extent(copying.rows)) >= copying.fewest_rows:
            return copying
    column = max((a for a in axes if a.out), key=_fitness_for_lanes, default=_NONE)
    return _arranged(axes, column, False, dtype)


def _arranged(axes: Sequence[Axis], column: Axis, is_copied: bool, dtype: np.dtype) -> Contraction:
    """The contraction with its columns along an axis, or, if y is copied, along several that end with it."""
    is_swapped = column.kind == ROW
    if is_swapped:
        axes, column = [axis.swapped for axis in axes], column.swapped
    columns = _chain(axes, column) if is_copied else [column]
    rows, depth = ([a for a in axes if a.kind == kind] for kind in (ROW, DEPTH))
    around = [a for a in axes if a not in (*rows, *columns, *depth)]
    depth.sort(key=lambda axis: (-capacity(axis.x), -capacity(axis.y)))
    longest = max(depth, key=lambda axis: capacity(axis.extent), default=_NONE)
    if depth and capacity(depth[-1].extent) < min(_SHORT, capacity(longest.extent) // 2):
        depth.append(depth.pop(depth.index(longest)))
    return Contraction(rows, columns, depth, around, is_swapped, is_copied, dtype)


def _merged(axes: Sequence[Axis]) -> list[Axis]:
    """The axes less those of length 1, with neighbours put together that all arrays walk through as one."""
    found = [axis for axis in axes if axis.extent != 1]
    for inner in found:
        for outer in found:
            if _same(outer[1:], [stride * inner.extent for stride in inner[1:]]):
                found[found.index(inner)] = Axis(outer.extent * inner.extent, *inner[1:])
                found.remove(outer)
                return _merged(found)
    return found


def _chain(axes: Sequence[Axis], inner: Axis) -> list[Axis]:
    """The axes of one kind that lie in the result like one axis that ends with `inner`."""
    chain = [inner]
    while True:
        stride = chain[0].out * chain[0].extent
        outer = next((a for a in axes if a.kind == inner.kind and _same([a.out], [stride])), None)
        if outer is None:
            return chain
        chain.insert(0, outer)


def _fitness_for_lanes(axis: Axis) -> tuple[int, int]:
    is_contiguous = {axis.x, axis.y} <= {0, 1}
    return min(capacity(axis.extent), 16) * (4 if is_contiguous else 1), axis.out == 1


def computed(value: Value, dtype: np.dtype) -> Any:
    """An element in the type in which products of dtype `dtype` are computed."""
    type = types_of(dtype)[0]
    if isinstance(value, Complex):
        return Complex(loops.convert(value.real, type), loops.convert(value.imag, type))
    return loops.convert(loops.widen(value), type)


def positions(axes: Sequence[Axis], index: Sequence[Any]) -> list[Any]:
    """Where in the three arrays an index of some axes is."""
    at: list[Any] = [loops.const(0, "i64")] * 3
    for axis, i in zip(axes, index, strict=True):
        at = [position + i * stride for position, stride in zip(at, axis[1:], strict=True)]
    return at


def _sum(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    return [a + b for a, b in zip(first, second, strict=True)]


def _unravel(position: Any, axes: Sequence[Axis]) -> tuple:
    return loops.unravel(position, [axis.extent for axis in axes])


def _extent(axes: Sequence[Axis]) -> int:
    return size(tuple(axis.extent for axis in axes))


class _Part(NamedTuple):
    """A part of the depth: the number of its first run, where its runs start, how many they are and how long."""

    number: Expr
    first: Any
    start: Any
    runs: Any
    length: Any


class _Tiled:
    """Builds the kernel that computes tiles, a tile a task.

    Fields:
        rows, columns: how many there are.
        block: rows that are computed together.
        height, width, tall: of a tile, and how many of them are one above the other.
        outer, inner: the axes that are summed.
        run: the length of the innermost one, or of the part of it that fits into scratch memory.
        runs: how many of them are copied at once.
        scratch: where y is copied to.
    """

    def __init__(self, b: Builder, x: Operand, y: Operand, out: Operand, way: Contraction):
        self.b, self.x, self.y, self.out, self.way = b, x, y, out, way
        self.rows, self.columns = _extent(way.rows), _extent(way.columns)
        self.block = min(capacity(self.rows), _ROWS)
        self.width = min(room(self.columns), _WIDTH)
        self.height = min(_HEIGHT // _ROWS * self.block, room(self.rows))
        self.tall = -(-self.rows // self.height)
        *self.outer, self.inner = way.depth or [_NONE]
        self.run, self.runs, self.scratch = self.inner.extent, _extent(self.outer), None
        if way.is_copied:
            (type,) = types_of(way.dtype)
            most = _COPIED_BYTES // (self.width * loops.BITS[type] // 8)
            self.run = min(room(self.inner.extent), most)
            self.runs = 1 if self.is_parted else min(capacity(self.runs), most // self.run)
            self.scratch = Operand(b, b.scratch(type, self.runs * self.run * self.width), out.aval)

    def build(self) -> None:
        b, around = self.b, self.way.around
        extents = [self.tall, *(axis.extent for axis in around), -(-self.columns // self.width)]
        i, *index, j = loops.unravel(b.parallel(size(tuple(extents))), extents)
        at, row, column = positions(around, index), i * self.height, j * self.width
        width, height = rest(self.columns, column, self.width), rest(self.rows, row, self.height)
        groups = loops.floordiv(height + (self.block - 1), self.block)

        def sums(part: _Part) -> None:
            here = _sum(at, [part.start * stride for stride in self.inner[1:]])
            if self.scratch is not None:
                self.copy(self.scratch, here[1], part, column, width)

            def group(number: Expr) -> None:
                rows = [loops.clamp(row + number * self.block + r, self.rows - 1) for r in range(self.block)]
                places = [_sum(here, positions(self.way.rows, _unravel(r, self.way.rows))) for r in rows]
                b.lanes(width, lambda lane: self.compute(places, part, column, lane))

            b.loop(groups, [], group)

        if self.scratch is None:
            zero = loops.const(0, "i64")
            sums(_Part(zero, zero, zero, _extent(self.outer), self.inner.extent))
        else:
            b.loop(self.parts, [], lambda number: sums(self.part(number)))
        tile = min(int(self.rows), self.height) * min(int(self.columns), self.width)
        b.kernel.cost = cost_of(tile * int(_extent(self.way.depth)))

    @property
    def is_parted(self) -> bool:
        """Whether the innermost axis is copied in parts."""
        return self.run < room(self.inner.extent)

    @property
    def parts(self) -> int:
        """How many parts the depth is copied in."""
        if self.is_parted:
            return -(-self.inner.extent // self.run) * _extent(self.outer)
        return -(-_extent(self.outer) // self.runs)

    def part(self, number: Expr) -> _Part:
        if self.is_parted:
            first, piece = loops.unravel(number, (_extent(self.outer), -(-self.inner.extent // self.run)))
            start = piece * self.run
            return _Part(number, first, start, 1, rest(self.inner.extent, start, self.run))
        first = number * self.runs
        runs = rest(_extent(self.outer), first, self.runs)
        return _Part(number, first, loops.const(0, "i64"), runs, self.inner.extent)

    def compute(self, places: Sequence[list], part: _Part, column: Any, lane: Expr) -> None:
        """The sums of one column, in a vector lane, and of rows that begin at some places."""
        b, count = self.b, len(types_of(self.way.dtype))
        of_column = positions(self.way.columns, _unravel(column + lane, self.way.columns))
        targets = [place[2] + of_column[2] for place in places]
        inits = [loops.const(0, type) for type in types_of(self.way.dtype)] * self.block
        if self.scratch is not None:  # then they are real, and of the result's type
            inits = [loops.select(loops.eq(part.number, 0), 0, self.out.at(target)) for target in targets]

        def one_run(r: Any, *known: Expr) -> list[Expr]:
            outer = positions(self.outer, _unravel(part.first + r, self.outer))

            def step(k: Expr, *known: Expr) -> list[Expr]:
                if self.scratch is not None:
                    right = self.scratch.at((r * self.run + k) * self.width + lane)
                else:
                    right = self.read(self.y, places[0][1] + outer[1] + of_column[1] + k * self.inner.y)
                parts: list[Expr] = []
                for i, place in enumerate(places):
                    left = self.read(self.x, place[0] + outer[0] + of_column[0] + k * self.inner.x)
                    parts += added(known[i * count : (i + 1) * count], left, right)
                return parts

            return b.loop(part.length, known, step)

        is_one = isinstance(part.runs, int) and identity(part.runs) == 1
        totals = one_run(loops.const(0, "i64"), *inits) if is_one else b.loop(part.runs, inits, one_run)
        for i, target in enumerate(targets):
            store(self.out, target, whole(totals[i * count : (i + 1) * count]))

    def read(self, operand: Operand, position: Any) -> Any:
        return computed(operand.at(position), self.way.dtype)

    def copy(self, scratch: Operand, here: Any, part: _Part, column: Any, width: Any) -> None:
        """Copy a part of y so that what is read together lies together: rows of `self.width` columns."""
        b, (*others, innermost) = self.b, self.way.columns
        extent = innermost.extent

        def one_run(r: Expr) -> None:
            origin = here + positions(self.outer, _unravel(part.first + r, self.outer))[1]
            target = r * (self.run * self.width)
            if not others:
                self.copy_piece(scratch, target, origin + column * innermost.y, width, part.length)
                return
            begin, end = loops.floordiv(column, extent), column + width

            def piece(i: Expr) -> None:
                """Columns along the innermost axis: the others have the number `begin + i`."""
                start = loops.apply("max", (begin + i) * extent, column)
                stop = loops.apply("min", (begin + i + 1) * extent, end)
                place = positions(others, _unravel(begin + i, others))[1]
                source = origin + place + (start - (begin + i) * extent) * innermost.y
                self.copy_piece(scratch, target + (start - column), source, stop - start, part.length)

            b.loop(loops.floordiv(end + (extent - 1), extent) - begin, [], piece)

        b.loop(part.runs, [], one_run)

    def copy_piece(self, scratch: Operand, target: Any, source: Any, columns: Any, length: Any) -> None:
        b, stride = self.b, self.way.columns[-1].y
        if stride != 1 and self.inner.y == 1 and self.y.type == scratch.type:
            b.transpose(scratch.buffer, target, self.width, self.y.buffer, source, stride, columns, length)
            return

        def line(k: Expr) -> None:
            def element(lane: Expr) -> None:
                value = self.read(self.y, source + k * self.inner.y + lane * stride)
                scratch.put(target + k * self.width + lane, value)

            b.lanes(columns, element)

        b.loop(length, [], line)


class _Streaming:
    """Builds the kernel that reads y once, some rows at a time, while sums for wide columns wait in scratch memory."""

    def __init__(self, b: Builder, x: Operand, y: Operand, out: Operand, way: Contraction):
        self.b, self.x, self.y, self.out, self.way = b, x, y, out, way
        *self.outer, self.inner = way.depth or [_NONE]
        (self.column,), (self.type,) = way.columns, types_of(way.dtype)
        self.width = min(room(self.column.extent), _STREAM_WIDTH)
        self.rows = range(capacity(_extent(way.rows)))
        self.scratch = b.scratch(self.type, len(self.rows) * self.width)

    def build(self) -> None:
        b, around = self.b, self.way.around
        wide = -(-self.column.extent // self.width)
        *index, j = loops.unravel(b.parallel(_extent(around) * wide), (*(axis.extent for axis in around), wide))
        first = j * self.width
        at = _sum(positions(around, index), [first * stride for stride in self.column[1:]])
        last = loops.const(_extent(self.way.rows) - 1, "i64")  # there may be fewer: it is then computed repeatedly
        rows = [loops.apply("min", last, row) if isinstance(_extent(self.way.rows), Dim) else row for row in self.rows]
        places = [_sum(at, positions(self.way.rows, _unravel(row, self.way.rows))) for row in rows]
        width, depth = rest(self.column.extent, first, self.width), loops.const(self.inner.extent, "i64")
        blocks = loops.floordiv(depth, _ROWS)

        def start(lane: Expr) -> None:
            for row in self.rows:
                b.store(self.scratch, row * self.width + lane, loops.const(0, self.type))

        def one_run(number: Expr) -> None:
            here = [_sum(place, positions(self.outer, _unravel(number, self.outer))) for place in places]
            b.loop(blocks, [], lambda k: self.add(here, width, k * _ROWS, _ROWS))
            b.loop(loops.mod(depth, _ROWS), [], lambda k: self.add(here, width, blocks * _ROWS + k, 1))

        def finish(lane: Expr) -> None:
            for row, place in zip(self.rows, places, strict=True):
                total = b.load(self.scratch, row * self.width + lane)
                store(self.out, place[2] + lane * self.column.out, total)

        b.lanes(width, start)
        b.loop(_extent(self.outer), [], one_run)
        b.lanes(width, finish)
        columns = min(int(self.column.extent), self.width)
        b.kernel.cost = cost_of(len(self.rows) * columns * int(_extent(self.way.depth)))

    def add(self, places: Sequence[list], width: Any, first: Any, count: int) -> None:
        """Add the products with `count` rows of y, from the one numbered `first` on."""
        b, numbers = self.b, [first + i for i in range(count)]

        def column(lane: Expr) -> None:
            rights = [computed(self.y.at(places[0][1] + k * self.inner.y + lane), self.way.dtype) for k in numbers]
            for row, place in zip(self.rows, places, strict=True):
                total = b.load(self.scratch, row * self.width + lane)
                for k, right in zip(numbers, rights, strict=True):
                    total = _multiply_add(
                        computed(self.x.at(place[0] + k * self.inner.x), self.way.dtype), right, total
                    )
                b.store(self.scratch, row * self.width + lane, total)

        b.lanes(width, column)


def cost_of(products: Any) -> float:
    """Of a task; roughly, to be the same for sizes alike."""
    return 2.0 ** round(math.log2(products / 8))


def added(before: Sequence[Expr], x: Any, y: Any) -> list[Expr]:
    """The sum so far and a product."""
    if isinstance(x, Complex):
        real, imag = before
        return [
            _multiply_add(-x.imag, y.imag, _multiply_add(x.real, y.real, real)),
            _multiply_add(x.imag, y.real, _multiply_add(x.real, y.imag, imag)),
        ]
    return [_multiply_add(x, y, before[0])]


def _multiply_add(x: Expr, y: Expr, z: Expr) -> Expr:
    return loops.apply("muladd", x, y, z) if loops.is_float(x.type) else x * y + z


def rest(extent: int, start: Any, length: int) -> Any:
    """How long the piece is that begins at `start`."""
    if not isinstance(extent, Dim) and extent % length == 0:
        return length
    return loops.clamp(extent - start, length)


def _same(strides: Sequence[int], others: Sequence[int]) -> bool:
    """Whether all are the same, and not by chance."""
    return list(map(identity, strides)) == list(map(identity, others))
