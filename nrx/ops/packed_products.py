"""The kernel of large products: tiles of sums in registers, of factors that are packed where memory is in the way.

A task computes a block of the result. It goes through the depth in parts; of each part it packs what it needs of x and
y, and `loops.Products` multiplies a tile of rows of x with a panel of a few vectors of y, which stays in the nearest
cache for all tiles. The sums of a block wait in scratch memory, from where the last part takes them to the result
(K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008).

Packed elements have the type of the sums, lie where no two rows compete for the same place in the cache, and may come
from anywhere: any strides, any order of axes.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from nrx.core import loops
from nrx.core.dims import Dim, capacity, identity, room
from nrx.core.loops import Builder, Expr, Matrix, Operand
from nrx.ops.accumulation import store, types_of
from nrx.ops.product_axes import (
    NO_AXIS,
    Contraction,
    computed,
    cost_of,
    count_of,
    index_of,
    positions,
    rest,
    shifted,
)

_PANEL = 2
"""Vectors of a panel."""
_WIDTH, _NARROW = 16, 8
"""Vectors across a block, at most, and at most if the sums wait in scratch memory."""
_HEIGHT_BYTES, _HEIGHTS = 576, 8
"""Of a column of x: so many rows, about, are packed at a time. A block has so many times as many at most."""
_RIGHT_BYTES, _LEFT_BYTES = 256 << 10, 160 << 10
"""Of packed y and x."""
_PAGE, _LINE = 4096, 64
"""Addresses that many bytes apart compete for places in the cache, each of which is a line."""
_FEWEST_PLACES = 4
"""For the rows of a tile that are read in place."""
_FEWEST_TASKS = 8


class _Part(NamedTuple):
    """A part of the depth: the number of its first run, where its runs start, how many they are and how long."""

    first: Any
    start: Any
    runs: Any
    length: Any


class _Block(NamedTuple):
    """A block of the result.

    Fields:
        at: where it is in the three arrays.
        column, columns, panels: its first column, how many there are, and panels of them.
    """

    at: list[Any]
    column: Any
    columns: Any
    panels: Any


class _Rows(NamedTuple):
    """Rows of a block that are packed together: the first along the inner axes, how many, and tiles of them."""

    first: Any
    count: Any
    tiles: Any


class Packed:
    """Builds the kernel.

    Fields:
        type: of the sums.
        outer_rows, inner_rows: the axes outside of a block, and those along which it lies.
        by_depth: x is packed row by row of y: rows lie together in memory, what is summed does not.
        height, tall, heights: rows of a tile, tiles whose rows are packed together, and how many such are a block.
        direct: whole tiles are added up in the result.
        panel, width: columns of a panel and of a block.
        outer, inner: the axes of the depth.
        run, runs: as much of the inner one, and as many such runs, are a part.
        most: of the depth in a part.
        in_place: x is not packed.
    """

    def __init__(self, b: Builder, x: Operand, y: Operand, out: Operand, way: Contraction):
        self.b, self.x, self.y, self.out, self.way = b, x, y, out, way
        (self.type,) = types_of(way.dtype)
        self.nbytes = loops.BITS[self.type] // 8
        *self.outer, self.inner = way.depth or [NO_AXIS]
        rows = sorted(way.rows, key=lambda axis: -capacity(axis.x)) or [NO_AXIS]
        self.by_depth = self.inner.x != 1 and rows[-1].x == 1
        split = len(rows) - 1 if self.by_depth else 0
        self.outer_rows, self.inner_rows = rows[:split], rows[split:]
        self.columns, self.extent = count_of(way.columns), count_of(self.inner_rows)
        self._cut_rows()
        self._cut_columns()
        self.in_place = self._is_good_in_place()
        self._cut_depth()
        self.pitch = self._pitch()
        height = self.tall * self.height
        self.scratch = {"right": self.most * self.width}
        if not self.in_place:
            self.scratch["left"] = self.pitch * (self.most if self.by_depth else height)
        if not (self.direct and self.is_even):
            self.scratch["sums"] = (self.height if self.direct else height) * self.width
        step, outside = self.tall * self.heights, [*way.around, *self.outer_rows]
        self.extents = [-(-self.row_tiles // step), *(a.extent for a in outside), -(-self.columns // self.width)]
        high, wide = min(step * self.height, int(self.extent)), min(int(self.columns), self.width)
        self.cost = cost_of(high * wide * int(count_of(way.depth)))

    def _cut_rows(self) -> None:
        """Choose tiles of rows."""
        b, extent = self.b, self.extent
        lanes = b.registers.bits // (8 * self.nbytes)
        vectors = min(_PANEL, -(-room(self.columns) // lanes))
        self.panel = vectors * lanes
        most = max(1, (b.registers.number - vectors - 1) // vectors)
        self.height = min(most, capacity(extent))
        if not isinstance(extent, Dim):  # as few rows as possible are left over
            self.height = -(-extent // -(-extent // most))
        self.is_even = not isinstance(extent, Dim) and extent % self.height == 0
        self.row_tiles = -(-extent // self.height)
        self.most_tiles = -(-room(extent) // self.height)
        self.tall = _even(self.most_tiles, max(1, _HEIGHT_BYTES // (self.nbytes * self.height)))

    def _cut_columns(self) -> None:
        """Choose blocks: large ones, to pack little, but enough for some threads."""
        strides = [axis.out for axis in self.inner_rows]
        follow = [axis.out * axis.extent for axis in self.inner_rows[1:]]
        is_chain = list(map(identity, strides[:-1])) == list(map(identity, follow))
        is_whole = not isinstance(self.columns, Dim) and self.columns % self.panel == 0
        self.direct = is_chain and is_whole and self.out.type == self.type
        across, packs = -(-room(self.columns) // self.panel), -(-self.most_tiles // self.tall)
        outside = capacity(count_of([*self.way.around, *self.outer_rows]))
        panels = _even(across, (_WIDTH if self.direct else _NARROW) // _PANEL)
        pieces = -(-_FEWEST_TASKS // (outside * -(-across // panels)))
        self.heights = _even(packs, min(_HEIGHTS, -(-packs // pieces))) if self.direct else 1
        while panels > 2 and outside * -(-across // panels) * -(-packs // self.heights) < _FEWEST_TASKS:
            panels = -(-panels // 2)
        self.width = panels * self.panel

    def _cut_depth(self) -> None:
        """Choose parts of the depth."""
        row, column = self.width * self.nbytes, self.tall * self.height * self.nbytes
        most = _RIGHT_BYTES // row if self.in_place else min(_RIGHT_BYTES // row, _LEFT_BYTES // column)
        self.run = min(room(self.inner.extent), most)
        self.is_parted = self.run < room(self.inner.extent)
        self.runs = 1 if self.is_parted else max(1, min(capacity(count_of(self.outer)), most // self.run))
        self.most = self.run * self.runs

    def _pitch(self) -> int:
        """Elements from one row of packed x to the next, or from one product to the next."""
        count = self.tall * self.height if self.by_depth else self.most
        lines = -(-count * self.nbytes // _LINE)
        return (lines + 1 - lines % 2) * _LINE // self.nbytes

    def _is_good_in_place(self) -> bool:
        """Whether x has one stride along the rows of a tile and one along the depth, and they suit the cache."""
        depth, rows = self.way.depth, self.inner_rows
        strides = [axis.x for axis in (*depth, *rows)]
        if len(depth) != 1 or len(rows) != 1 or any(isinstance(s, Dim) for s in strides) or self.x.type != self.type:
            return False
        if isinstance(rows[0].extent, Dim):
            return False
        along, across = (axis.x * self.nbytes for axis in (depth[0], rows[0]))
        if depth[0].x == 1:
            places = {row * across % _PAGE // _LINE for row in range(self.height)}
            return len(places) >= min(_FEWEST_PLACES, self.height)
        return rows[0].x == 1 and _PAGE // math.gcd(along, _PAGE) >= _FEWEST_PLACES * 8

    @property
    def parts(self) -> Any:
        """How many parts the depth has."""
        if self.is_parted:
            return -(-self.inner.extent // self.run) * count_of(self.outer)
        return -(-count_of(self.outer) // self.runs)

    def part(self, number: Expr) -> _Part:
        if self.is_parted:
            first, piece = loops.unravel(number, (count_of(self.outer), -(-self.inner.extent // self.run)))
            start = piece * self.run
            return _Part(first, start, 1, rest(self.inner.extent, start, self.run))
        first = number * self.runs
        return _Part(first, loops.const(0, "i64"), rest(count_of(self.outer), first, self.runs), self.inner.extent)

    def task(self, index: Sequence[Any], memory: dict[str, Operand]) -> None:
        """Compute a block."""
        b, step, (i, *index, j) = self.b, self.tall * self.heights, index
        self.memory = memory
        first, column = i * step, j * self.width
        tiles, columns = rest(self.row_tiles, first, step), rest(self.columns, column, self.width)
        panels = loops.floordiv(loops.const(0, "i64") + columns + (self.panel - 1), self.panel)
        at = shifted(self.way.start, positions([*self.way.around, *self.outer_rows], index))
        block = _Block(at, column, columns, panels)

        def packed(h: Any) -> _Rows:
            start = (first + h * self.tall) * self.height
            count = rest(self.extent, start, self.tall * self.height)
            return _Rows(start, count, rest(tiles, h * self.tall, self.tall))

        def one_part(number: Expr) -> None:
            part = self.part(number)
            start = shifted(block.at, [part.start * stride for stride in self.inner[1:]])
            self.pack_columns(start[1], part, block)

            def one_height(h: Expr) -> None:
                rows = packed(h)
                if not self.in_place:
                    self.pack_rows(start[0], part, rows)
                fresh = loops.eq(number, 0)
                b.loop(panels, [], lambda p: self.add_panel(start[0], part, block, rows, p, fresh))

            b.loop(loops.floordiv(loops.const(0, "i64") + tiles + (self.tall - 1), self.tall), [], one_height)

        b.loop(self.parts, [], one_part)
        if not self.direct:
            self.finish(block, packed(0))
        elif not self.is_even:
            b.if_(first + tiles >= self.row_tiles, lambda: self.finish_tile(block, self.row_tiles - 1, 0))

    def add_panel(self, at: Any, part: _Part, block: _Block, rows: _Rows, p: Expr, fresh: Expr) -> None:
        """Add the products of all tiles of rows with a panel."""
        b, right = self.b, Matrix(self.memory["right"].buffer, p * (self.most * self.panel), self.panel)
        row = self.inner_rows[-1]

        def add(first: Any, sums: Matrix) -> None:
            if self.in_place:
                left = Matrix(self.x.buffer, at + self.first_read(first) * row.x, row.x, self.inner.x)
                depth = part.length
            else:
                steps = (1, self.pitch) if self.by_depth else (self.pitch, 1)
                left = Matrix(self.memory["left"].buffer, (first - rows.first) * steps[0], *steps)
                depth = part.length * part.runs
            b.products(sums, left, right, self.height, self.panel, depth, fresh)

        def tile(t: Expr) -> None:
            first = rows.first + t * self.height
            in_result = block.at[2] + first * row.out + block.column + p * self.panel

            def direct() -> None:
                add(first, Matrix(self.out.buffer, in_result, row.out))

            def aside() -> None:
                start = 0 if self.direct else (t * self.height) * self.width
                add(first, Matrix(self.memory["sums"].buffer, start + p * self.panel, self.width))

            if self.direct and self.is_even:
                direct()
            elif self.direct:
                b.if_(first + self.height < self.extent, direct, aside)
            else:
                aside()

        b.loop(rows.tiles, [], tile)

    def first_read(self, first: Any) -> Any:
        """Of a tile in place. If there are rows left over, the last one begins earlier, so that no more are read."""
        return first if self.is_even else loops.apply("min", first, self.extent - self.height)

    def finish(self, block: _Block, rows: _Rows) -> None:
        """Store sums of a block."""
        tile = loops.floordiv(rows.first, self.height)
        self.b.loop(rows.tiles, [], lambda t: self.finish_tile(block, tile + t, (t * self.height) * self.width))

    def finish_tile(self, block: _Block, tile: Any, source: Any) -> None:
        """Store sums of a tile that are at `source`."""
        b, rows = self.b, self.inner_rows
        first = loops.const(0, "i64") + tile * self.height
        count = rest(self.extent, first, self.height)
        skipped = self.height - count if self.in_place else 0

        def row(r: Expr) -> None:
            place = block.at[2] + positions(rows, index_of(first + r, rows))[2] + block.column
            start = source + (skipped + r) * self.width
            b.lanes(block.columns, lambda lane: store(self.out, place + lane, self.memory["sums"].at(start + lane)))

        b.loop(count, [], row)

    # Packing

    def read(self, operand: Operand, position: Any) -> Any:
        return computed(operand.at(position), self.way.dtype)

    def pack_rows(self, at: Any, part: _Part, packed: _Rows) -> None:
        """Pack what a part of the depth needs of x."""
        b, rows = self.b, self.inner_rows

        def line(r: Expr, k: Expr) -> None:
            """All rows, of one product each."""
            target = (r * part.length + k) * self.pitch
            source = at + positions(self.outer, index_of(part.first + r, self.outer))[0] + k * self.inner.x

            def element(lane: Expr) -> None:
                place = source + positions(rows, index_of(packed.first + lane, rows))[0]
                self.memory["left"].put(target + lane, self.read(self.x, place))

            b.lanes(packed.count, element)

        def row(number: Expr) -> None:
            """One row, of all products."""
            place = at + positions(rows, index_of(packed.first + number, rows))[0]

            def run(r: Expr) -> None:
                source = place + positions(self.outer, index_of(part.first + r, self.outer))[0]
                target = number * self.pitch + r * part.length

                def element(lane: Expr) -> None:
                    self.memory["left"].put(target + lane, self.read(self.x, source + lane * self.inner.x))

                b.lanes(part.length, element)

            b.loop(part.runs, [], run)

        if self.by_depth:
            b.loop(part.runs, [], lambda r: b.loop(part.length, [], lambda k: line(r, k)))
        else:
            b.loop(packed.count, [], row)

    def pack_columns(self, at: Any, part: _Part, block: _Block) -> None:
        """Pack what a part of the depth needs of y."""
        b, columns = self.b, self.way.columns
        if len(columns) > 1 or self.is_turned:
            b.loop(block.panels, [], lambda p: self.pack_panel(at, part, block, p))
            return

        def line(r: Expr, k: Expr) -> None:
            """A row of y, as it lies in memory."""
            outer = positions(self.outer, index_of(part.first + r, self.outer))[1]
            source = at + outer + block.column * columns[0].y + k * self.inner.y
            target = (r * part.length + k) * self.panel

            def panel(p: Expr) -> None:
                place, put = source + p * (self.panel * columns[0].y), target + p * (self.most * self.panel)
                self.pack_elements(put, place, self.columns_of(block, p))

            b.loop(block.panels, [], panel)

        b.loop(part.runs, [], lambda r: b.loop(part.length, [], lambda k: line(r, k)))

    @property
    def is_turned(self) -> bool:
        """Whether columns of y lie together in memory, of the type of the sums."""
        return self.way.columns[-1].y != 1 and self.inner.y == 1 and self.y.type == self.type

    def columns_of(self, block: _Block, p: Expr) -> Any:
        """How many columns a panel has."""
        if not isinstance(block.columns, Expr) and block.columns % self.panel == 0:
            return self.panel
        return loops.clamp(loops.const(0, "i64") + block.columns - p * self.panel, self.panel)

    def pack_panel(self, at: Any, part: _Part, block: _Block, p: Expr) -> None:
        """Pack what a part of the depth needs of y for a panel: columns along several axes, or each in one piece."""
        b, (*others, innermost) = self.b, self.way.columns
        extent, first, count = innermost.extent, block.column + p * self.panel, self.columns_of(block, p)
        base = p * (self.most * self.panel)

        def one_run(r: Expr) -> None:
            origin = at + positions(self.outer, index_of(part.first + r, self.outer))[1]
            target = base + r * part.length * self.panel
            if not others:
                self.pack_piece(target, origin + first * innermost.y, count, part.length)
                return
            begin, end = loops.floordiv(first, extent), first + count

            def piece(i: Expr) -> None:
                """Columns along the innermost axis: the others have the number `begin + i`."""
                start = loops.apply("max", (begin + i) * extent, first)
                stop = loops.apply("min", (begin + i + 1) * extent, end)
                place = positions(others, index_of(begin + i, others))[1]
                source = origin + place + (start - (begin + i) * extent) * innermost.y
                self.pack_piece(target + (start - first), source, stop - start, part.length)

            b.loop(loops.floordiv(end + (extent - 1), extent) - begin, [], piece)

        b.loop(part.runs, [], one_run)

    def pack_piece(self, target: Any, source: Any, columns: Any, length: Any) -> None:
        b, stride = self.b, self.way.columns[-1].y
        if self.is_turned:
            b.transpose(self.memory["right"].buffer, target, self.panel, self.y.buffer, source, stride, columns, length)
        else:
            step = self.inner.y
            b.loop(length, [], lambda k: self.pack_elements(target + k * self.panel, source + k * step, columns))

    def pack_elements(self, target: Any, source: Any, columns: Any) -> None:
        """Pack some columns of a row of y."""
        stride, right = self.way.columns[-1].y, self.memory["right"]
        self.b.lanes(columns, lambda lane: right.put(target + lane, self.read(self.y, source + lane * stride)))


def _even(count: int, most: int) -> int:
    """How large parts are, of at most so many, if they are about equal."""
    return -(-count // -(-count // most))
