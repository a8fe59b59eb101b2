"""The kernel of large products: tiles of sums in registers, of factors that are packed where memory is in the way.

A task computes a block of the result. It goes through the depth in parts; of each part it packs what it needs of x and
y, and `loops.Products` multiplies a tile of rows of x with a panel of a few vectors of y, which stays in the nearest
cache for all tiles. Sums wait for the next part in the result or in scratch memory (K. Goto and R. van de Geijn,
"Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008).

Packed elements have the type of the sums, lie where no two rows compete for the same place in the cache, and may come
from anywhere: any strides, any order of axes. For processors that multiply pairs of bf16, two neighbours in the depth
are packed as one element, the last with a zero if there is no other.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nrx.core import loops
from nrx.core.dims import Dim, capacity, identity, room
from nrx.core.loops import Builder, Expr, Matrix, Operand, Rows
from nrx.ops.accumulation import types_of
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

_WIDTH, _NARROW = 16, 8
"""Vectors across a block, at most, and at most if the sums are not those of the result."""
_HEIGHT_BYTES, _HEIGHTS = 576, 8
"""Of a column of x: so many rows, about, are packed at a time. A block has so many times as many at most."""
_LEAST_BYTES = 4
"""Of an element of that column: of narrower ones more would fit, but the sums of so many rows would not."""
_RIGHT_BYTES, _LEFT_BYTES = 256 << 10, 160 << 10
"""Of packed y and x."""
_LINE = 64
"""Bytes of the cache that go together."""
_MOST_PLACES, _SHORTEST_RUN = 8, 16
"""Rows of a tile that begin anywhere; elements of the depth that lie together there."""
_FEW_ROWS, _SHORT_ROW = 64, 512
"""So many rows do not make up for packing y; bytes of a row of y that need not be packed."""
_FEWEST_TASKS, _FEW_PANELS = 8, 4
"""Blocks that there should be, for threads; panels, if they are narrow because there are not."""


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
        type, lanes: of the sums, and how many fill a vector.
        factor, pair: the type of packed elements, and how many factors each is.
        outer_rows, inner_rows: the axes outside of a block, and those along which it lies.
        by_depth: x is packed row by row of y: rows lie together in memory, what is summed does not.
        height, tall, heights: rows of a tile, tiles whose rows are packed together, and how many such are a block.
        can_wait: sums may wait in the memory of the result.
        is_plain: they are the result.
        direct: those of whole tiles wait there, in `sums`.
        is_whole: the depth has one part only.
        panel, width: columns of a panel and of a block.
        outer, inner: the axes of the depth.
        run, runs: as much of the inner one, and as many such runs, are a part.
        length: of the inner axis, in packed elements.
        most: of them in a part.
        x_in_place, y_in_place: x, or y, is not packed.
        by_table: x is not packed either; its rows begin at places that are written down, as those of windows are.
    """

    def __init__(self, b: Builder, x: Operand, y: Operand, out: Operand, way: Contraction):
        self.b, self.x, self.y, self.out, self.way = b, x, y, out, way
        (self.type,) = types_of(way.dtype)
        self.nbytes = loops.BITS[self.type] // 8
        is_paired = b.registers.has_pairs and self.type == "f32" and x.type == y.type == "bf16"
        self.factor, self.pair = ("u32", 2) if is_paired else (self.type, 1)
        *self.outer, self.inner = way.depth or [NO_AXIS]
        self.length = -(-self.inner.extent // self.pair)
        rows = sorted(way.rows, key=lambda axis: -capacity(axis.x)) or [NO_AXIS]
        self.by_depth = self.inner.x != 1 and rows[-1].x == 1
        split = len(rows) - 1 if self.by_depth else 0
        self.outer_rows, self.inner_rows = rows[:split], rows[split:]
        self.columns, self.extent = count_of(way.columns), count_of(self.inner_rows)
        self._cut_rows()
        self._cut_columns()
        self.x_in_place, self.y_in_place = self._is_x_in_place(), self._is_y_in_place()
        self.by_table = not self.x_in_place and self._is_by_table()
        self._cut_depth()
        self._cut_blocks()
        height = self.tall * self.height
        self.pitch = self._pitch(height if self.by_depth else self.most)
        self.scratch = {} if self.y_in_place else {"right": (self.factor, self.most * self.width)}
        if self.by_table:
            self.scratch["rows"] = ("i64", height * self.heights)
        elif not self.x_in_place:
            self.scratch["left"] = (self.factor, self.pitch * (self.most if self.by_depth else height))
        if not (self.direct and self.is_even):
            tile = (self.height, self.panel) if self.is_whole else (self.height if self.direct else height, self.width)
            self.scratch["sums"] = (self.type, math.prod(tile))
        step, outside = self.tall * self.heights, [*way.around, *self.outer_rows]
        self.extents = [-(-self.row_tiles // step), *(a.extent for a in outside), -(-self.columns // self.width)]
        high, wide = min(step * self.height, int(self.extent)), min(int(self.columns), self.width)
        self.cost = cost_of(high * wide * int(count_of(way.depth)))

    def _cut_rows(self) -> None:
        """Choose tiles of rows."""
        b, extent = self.b, self.extent
        self.lanes = b.registers.bits // (8 * self.nbytes)
        columns = -(-room(self.columns) // self.lanes)
        vectors = min(max(1, math.isqrt(b.registers.number) - 1), columns)
        if room(extent) * self.nbytes <= _HEIGHT_BYTES and vectors > 2 and columns // vectors < _FEW_PANELS:
            vectors = 2
        self.panel = vectors * self.lanes
        most = max(1, (b.registers.number - vectors - 1) // vectors)
        if vectors > 1:  # enough to keep the processor busy, and few enough for a table of places
            most = min(most, _MOST_PLACES)
        self.height = min(most, room(extent))
        if not isinstance(extent, Dim):  # as few rows as possible are left over
            self.height = -(-extent // -(-extent // most))
        self.is_even = not isinstance(extent, Dim) and extent % self.height == 0
        self.row_tiles = -(-extent // self.height)
        self.most_tiles = -(-room(extent) // self.height)
        wide = max(self.nbytes, _LEAST_BYTES)
        self.tall = _even(self.most_tiles, max(1, _HEIGHT_BYTES // (wide * self.height)))

    def _cut_columns(self) -> None:
        """Choose how wide blocks are at most, and whether sums may be those of the result."""
        strides = [axis.out for axis in self.inner_rows]
        follow = [axis.out * axis.extent for axis in self.inner_rows[1:]]
        is_chain = list(map(identity, strides[:-1])) == list(map(identity, follow))
        is_whole = not isinstance(self.columns, Dim) and self.columns % self.lanes == 0
        self.can_wait = is_chain and is_whole and self.out.can_wait(self.type)
        self.is_plain = self.can_wait and isinstance(self.out, Operand)
        self.across = -(-room(self.columns) // self.panel)
        most = (_WIDTH if self.is_plain else _NARROW) * self.lanes
        self.width = _even(self.across, max(1, most // self.panel)) * self.panel

    def _cut_depth(self) -> None:
        """Choose parts of the depth."""
        height = self.tall * self.height
        row, column = (n * self.nbytes for n in (self.width, self._pitch(height) if self.by_depth else height))
        is_packed = not self.x_in_place and not self.by_table
        most = min(_RIGHT_BYTES // row, _LEFT_BYTES // column) if is_packed else _RIGHT_BYTES // row
        if self.x_in_place and self.y_in_place:
            most = max(most, room(self.length))
        self.run = min(room(self.length), most)
        self.is_parted = self.run < room(self.length)
        outer = count_of(self.outer)
        self.runs = 1 if self.is_parted else max(1, min(capacity(outer), most // self.run))
        last = self.outer[-1].extent if self.outer else 1
        if self.by_table and len(self.outer) > 1:  # the runs of a part are evenly apart
            self.runs = next(runs for runs in range(min(self.runs, last), 0, -1) if last % runs == 0)
        self.most = self.run * self.runs
        self.is_whole = not self.is_parted and not isinstance(outer, Dim) and outer <= self.runs
        self.direct = self.is_plain or (self.can_wait and not self.is_whole)
        self.sums: Any = self.out.waiting(self.type) if self.direct else None

    def _cut_blocks(self) -> None:
        """Choose blocks: large ones, to pack little, but enough for some threads."""
        packs, panels = -(-self.most_tiles // self.tall), self.width // self.panel
        outside = capacity(count_of([*self.way.around, *self.outer_rows]))
        pieces = -(-_FEWEST_TASKS // (outside * -(-self.across // panels)))
        is_high = self.direct or (self.is_whole and not isinstance(self.extent, Dim))  # lest code depend on the extent
        if self.x_in_place or self.by_table:  # y is packed again for each block of rows, x is not for those of columns
            pieces = 1
        self.heights = _even(packs, min(_HEIGHTS, -(-packs // pieces))) if is_high else 1

        def tasks() -> int:
            return outside * -(-self.across // panels) * -(-packs // self.heights)

        while panels > 1 and tasks() < _FEWEST_TASKS:
            panels = -(-panels // 2)
        while self.heights > 1 and tasks() < _FEWEST_TASKS:
            self.heights = -(-self.heights // 2)
        self.width = panels * self.panel

    def _pitch(self, count: int) -> int:
        """How far apart rows of so many packed elements begin."""
        lines = -(-count * self.nbytes // _LINE)
        return (lines + 1 - lines % 2) * _LINE // self.nbytes

    def _is_x_in_place(self) -> bool:
        """Whether x has one stride along the rows and one along the depth, so that it need not be packed."""
        depth, rows = self.way.depth, self.inner_rows
        strides = [axis.x for axis in (*depth, *rows)]
        if len(depth) != 1 or len(rows) != 1 or any(isinstance(s, Dim) for s in strides):
            return False
        is_alike = self._is_of_pairs(0) and self.inner.x == 1 if self.pair == 2 else self.x.type == self.type
        return is_alike and not isinstance(rows[0].extent, Dim) and 1 in strides

    def _is_by_table(self) -> bool:
        """Whether the depth or rows lie together in memory, and tiles have a register for the place of each row."""
        axes = [*self.way.depth, *self.inner_rows]
        if self.pair == 2 or self.x.type != self.type or self.height > _MOST_PLACES:
            return False
        is_open = any(isinstance(n, Dim) for axis in axes for n in (axis.extent, axis.x))
        return not is_open and (self.by_depth or self.inner.x == 1) and self.inner.extent >= _SHORTEST_RUN

    def _is_of_pairs(self, operand: int) -> bool:
        """Whether pairs along the inner axis begin at even positions, and the last one is whole."""
        way = self.way
        others = [axis[1 + operand] for axis in (*way.around, *way.rows, *way.columns, *self.outer)]
        numbers = [way.start[operand], self.inner.extent, *others]
        return not any(isinstance(n, Dim) or n % 2 for n in numbers)

    def _is_y_in_place(self) -> bool:
        """Whether packing y does not pay: for few rows, or since its own rows are few panels long."""
        columns, rows, strides = self.way.columns, self.most_tiles * self.height, [axis.y for axis in self.way.depth]
        if len(columns) > 1 or columns[0].y != 1 or self.y.type != self.type or isinstance(self.columns, Dim):
            return False
        follow = [axis.y * axis.extent for axis in self.way.depth[1:]]
        is_chain = list(map(identity, strides[:-1])) == list(map(identity, follow))
        is_short = not isinstance(self.inner.y, Dim) and self.inner.y * self.nbytes <= _SHORT_ROW
        return is_chain and self.columns % self.lanes == 0 and (rows <= _FEW_ROWS or is_short)

    @property
    def parts(self) -> Any:
        """How many parts the depth has."""
        if self.is_parted:
            return -(-self.length // self.run) * count_of(self.outer)
        return -(-count_of(self.outer) // self.runs)

    def part(self, number: Expr) -> _Part:
        if self.is_parted:
            first, piece = loops.unravel(number, (count_of(self.outer), -(-self.length // self.run)))
            start = piece * self.run
            return _Part(first, start, 1, rest(self.length, start, self.run))
        first = number * self.runs
        return _Part(first, loops.const(0, "i64"), rest(count_of(self.outer), first, self.runs), self.length)

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
            if not self.y_in_place:
                self.pack_columns(part, block)

            def one_height(h: Expr) -> None:
                rows = packed(h)
                if not self.x_in_place and not self.by_table:
                    self.pack_rows(part, block, rows)
                b.loop(panels, [], lambda p: self.add_panel(number, part, block, rows, p))

            b.loop(loops.floordiv(loops.const(0, "i64") + tiles + (self.tall - 1), self.tall), [], one_height)

        self.first_row = first * self.height
        if self.by_table:
            self.place_rows(tiles)
        b.loop(self.parts, [], one_part)

    def add_panel(self, number: Expr, part: _Part, block: _Block, rows: _Rows, p: Expr) -> None:
        """Add the products of all tiles of rows with a panel, of the part with that number."""
        b, row = self.b, self.inner_rows[-1]
        right = self.right_of(part, block, p)

        def add(first: Any, sums: Matrix, columns: int) -> None:
            left, depth = self.left_of(part, block, rows, first)
            b.products(sums, left, right, self.height, columns, depth, loops.eq(number, 0))

        def tile(t: Expr, columns: int) -> None:
            first = rows.first + t * self.height
            in_result = block.at[2] + first * row.out + block.column + p * self.panel

            width = self.panel if self.is_whole else self.width
            start: Any = 0 if self.is_whole else p * self.panel + (0 if self.direct else t * (self.height * width))

            def direct() -> None:
                add(first, Matrix(self.sums.buffer, in_result, row.out), columns)

            def aside() -> None:
                add(first, Matrix(self.memory["sums"].buffer, start, width), columns)
                if self.direct:
                    self.if_last(number, lambda: self.settle(block, first, p, start, width))

            if not self.direct:
                aside()
                self.if_last(number, lambda: self.finish(block, first, p, start, width))
                return
            if self.is_even:
                direct()
            else:
                b.if_(first + self.height < self.extent, direct, aside)
            if not self.is_plain:
                self.if_last(number, lambda: self.finish(block, first, p))

        def tiles(columns: int) -> None:
            b.loop(rows.tiles, [], lambda t: tile(t, columns))

        left_over = 0 if isinstance(self.columns, Dim) else -(-(self.columns % self.panel) // self.lanes) * self.lanes
        if left_over in (0, self.panel):
            tiles(self.panel)
        else:
            is_whole = block.column + (p + 1) * self.panel <= self.columns
            b.if_(is_whole, lambda: tiles(self.panel), lambda: tiles(left_over))

    def right_of(self, part: _Part, block: _Block, p: Expr) -> Matrix:
        """A panel of y."""
        if not self.y_in_place:
            return Matrix(self.memory["right"].buffer, p * (self.most * self.panel), self.panel)
        first = block.at[1] + positions(self.outer, index_of(part.first, self.outer))[1] + part.start * self.inner.y
        return Matrix(self.y.buffer, first + block.column + p * self.panel, self.inner.y)

    def left_of(self, part: _Part, block: _Block, rows: _Rows, first: Any) -> tuple[Matrix | Rows, Any]:
        """A tile of x, from a row on, and its depth, or that of a run."""
        if not self.by_table and not self.x_in_place:
            steps = (1, self.pitch) if self.by_depth else (self.pitch, 1)
            return Matrix(self.memory["left"].buffer, (first - rows.first) * steps[0], *steps), part.length * part.runs
        start = block.at[0] + part.start * (self.pair * self.inner.x)
        if self.by_table:
            start = start + positions(self.outer, index_of(part.first, self.outer))[0]
            apart, table = self.outer[-1].x if self.outer else 0, self.memory["rows"].buffer
            place = first - self.first_row
            return Rows(self.x.buffer, start, table, place, self.inner.x, apart, part.runs), part.length
        row = self.inner_rows[-1]
        steps = (row.x // 2, 1) if self.pair == 2 else (row.x, self.inner.x)
        return Matrix(self.x.buffer, start + self.first_read(first) * row.x, *steps), part.length

    def first_read(self, first: Any) -> Any:
        """Of a tile in place. If there are rows left over, the last one begins earlier, so that no more are read."""
        return first if self.is_even else loops.apply("min", first, self.extent - self.height)

    def if_last(self, number: Expr, then: Callable[[], None]) -> None:
        """Do something after the last part of the depth."""
        if self.is_whole:
            then()
        else:
            self.b.if_(loops.eq(number, self.parts - 1), then)

    def settle(self, block: _Block, first: Any, p: Expr, source: Any, width: int) -> None:
        """Copy the sums of a tile that are its own, `width` apart from row to row, to where those of others wait."""
        b, columns, waiting = self.b, self.columns_of(block, p), self.memory["sums"]

        def row(start: Any, column: Any, r: Expr) -> None:
            at = source + (self.skipped(first) + r) * width
            b.lanes(columns, lambda lane: self.sums.put(start + column + lane, waiting.at(at + lane)))

        self.rows_of(block, first, p, row)

    def finish(self, block: _Block, first: Any, p: Expr, source: Any = None, width: int = 0) -> None:
        """Finish the elements of a tile, from sums that are `width` apart from row to row, or those that wait."""
        b, columns = self.b, self.columns_of(block, p)

        def row(start: Any, column: Any, r: Expr) -> None:
            memory: Any = self.sums if source is None else self.memory["sums"]
            at = start + column if source is None else source + (self.skipped(first) + r) * width
            b.lanes(columns, lambda lane: self.out.finish(start, column + lane, memory.at(at + lane)))

        self.rows_of(block, first, p, row)

    def rows_of(self, block: _Block, first: Any, p: Expr, row: Callable[[Any, Any, Expr], None]) -> None:
        """Do something for each row of a tile: with the position of the whole row, the first column, the number."""
        rows, column = self.inner_rows, block.column + p * self.panel

        def each(r: Expr) -> None:
            row(block.at[2] + positions(rows, index_of(first + r, rows))[2], column, r)

        self.b.loop(rest(self.extent, first, self.height), [], each)

    def skipped(self, first: Any) -> Any:
        """How many rows of a tile are those of the one before."""
        return self.height - rest(self.extent, first, self.height) if self.x_in_place else 0

    def place_rows(self, tiles: Any) -> None:
        """Write down where the rows of a block begin in x; rows that a tile is short of are the last one."""
        rows, table = self.inner_rows, self.memory["rows"]

        def place(lane: Expr) -> None:
            row = self.first_row + lane
            row = row if self.is_even else loops.apply("min", row, self.extent - 1)
            table.put(lane, loops.const(0, "i64") + positions(rows, index_of(row, rows))[0])

        self.b.lanes(tiles * self.height, place)

    # Packing

    def factors(self, operand: Operand, first: Any, step: Any, number: Any) -> Expr:
        """An element to pack: of the depth along the inner axis, which begins at `first`, the one of that number."""
        if self.pair == 1:
            return computed(operand.at(first + number * step), self.way.dtype)
        extent = self.inner.extent
        low, high = (first + (number * 2 + i) * step for i in range(2))
        if not isinstance(extent, Dim) and extent % 2 == 0:
            return _pair(operand.at(low), operand.at(high))
        is_inside = number * 2 + 1 < extent
        last = operand.at(loops.select(is_inside, high, low))
        return _pair(operand.at(low), loops.select(is_inside, last, loops.const(0, last.type)))

    def pack_rows(self, part: _Part, block: _Block, packed: _Rows) -> None:
        """Pack what a part of the depth needs of x."""
        b, rows, left, step = self.b, self.inner_rows, self.memory["left"], self.inner.x

        def line(r: Expr, k: Expr) -> None:
            """All rows, of one product each."""
            target = (r * part.length + k) * self.pitch
            source = block.at[0] + positions(self.outer, index_of(part.first + r, self.outer))[0]

            def element(lane: Expr) -> None:
                place = source + positions(rows, index_of(packed.first + lane, rows))[0]
                left.put(target + lane, self.factors(self.x, place, step, part.start + k))

            b.lanes(packed.count, element)

        def row(number: Expr) -> None:
            """One row, of all products."""
            place = block.at[0] + positions(rows, index_of(packed.first + number, rows))[0]

            def run(r: Expr) -> None:
                source = place + positions(self.outer, index_of(part.first + r, self.outer))[0]
                target = number * self.pitch + r * part.length

                def element(lane: Expr) -> None:
                    left.put(target + lane, self.factors(self.x, source, step, part.start + lane))

                b.lanes(part.length, element)

            b.loop(part.runs, [], run)

        if self.by_depth:
            b.loop(part.runs, [], lambda r: b.loop(part.length, [], lambda k: line(r, k)))
        else:
            b.loop(packed.count, [], row)

    def pack_columns(self, part: _Part, block: _Block) -> None:
        """Pack what a part of the depth needs of y."""
        b, columns = self.b, self.way.columns
        if len(columns) > 1 or self.is_turned:
            b.loop(block.panels, [], lambda p: self.pack_panel(part, block, p))
            return

        def line(r: Expr, k: Expr) -> None:
            """A row of y, as it lies in memory."""
            outer = positions(self.outer, index_of(part.first + r, self.outer))[1]
            source = block.at[1] + outer + block.column * columns[0].y
            target = (r * part.length + k) * self.panel

            def panel(p: Expr) -> None:
                place, put = source + p * (self.panel * columns[0].y), target + p * (self.most * self.panel)
                self.pack_elements(put, place, self.columns_of(block, p), part.start + k)

            b.loop(block.panels, [], panel)

        b.loop(part.runs, [], lambda r: b.loop(part.length, [], lambda k: line(r, k)))

    @property
    def is_turned(self) -> bool:
        """Whether columns of y lie together in memory, of the type of what is packed, or whole pairs of it."""
        if self.way.columns[-1].y == 1 or self.inner.y != 1:
            return False
        return self._is_of_pairs(1) if self.pair == 2 else self.y.type == self.type

    def columns_of(self, block: _Block, p: Expr) -> Any:
        """How many columns a panel has."""
        if not isinstance(block.columns, Expr) and block.columns % self.panel == 0:
            return self.panel
        return loops.clamp(loops.const(0, "i64") + block.columns - p * self.panel, self.panel)

    def pack_panel(self, part: _Part, block: _Block, p: Expr) -> None:
        """Pack what a part of the depth needs of y for a panel: columns along several axes, or each in one piece."""
        b, (*others, innermost) = self.b, self.way.columns
        extent, first, count = innermost.extent, block.column + p * self.panel, self.columns_of(block, p)
        base = p * (self.most * self.panel)

        def one_run(r: Expr) -> None:
            origin = block.at[1] + positions(self.outer, index_of(part.first + r, self.outer))[1]
            target = base + r * part.length * self.panel
            if not others:
                self.pack_piece(target, origin + first * innermost.y, count, part)
                return
            begin, end = loops.floordiv(first, extent), first + count

            def piece(i: Expr) -> None:
                """Columns along the innermost axis: the others have the number `begin + i`."""
                start = loops.apply("max", (begin + i) * extent, first)
                stop = loops.apply("min", (begin + i + 1) * extent, end)
                place = positions(others, index_of(begin + i, others))[1]
                source = origin + place + (start - (begin + i) * extent) * innermost.y
                self.pack_piece(target + (start - first), source, stop - start, part)

            b.loop(loops.floordiv(end + (extent - 1), extent) - begin, [], piece)

        b.loop(part.runs, [], one_run)

    def pack_piece(self, target: Any, source: Any, columns: Any, part: _Part) -> None:
        b, stride, right = self.b, self.way.columns[-1].y, self.memory["right"]
        if self.is_turned:
            first, step = (source + part.start * self.pair, stride // self.pair)
            b.transpose(right.buffer, target, self.panel, self.y.buffer, first, step, columns, part.length)
            return

        def line(k: Expr) -> None:
            self.pack_elements(target + k * self.panel, source, columns, part.start + k)

        b.loop(part.length, [], line)

    def pack_elements(self, target: Any, source: Any, columns: Any, number: Any) -> None:
        """Pack some columns of a row of y."""
        stride, right, step = self.way.columns[-1].y, self.memory["right"], self.inner.y
        self.b.lanes(
            columns,
            lambda lane: right.put(target + lane, self.factors(self.y, source + lane * stride, step, number)),
        )


def _pair(low: Any, high: Any) -> Expr:
    """Two bf16 as one element."""
    low, high = (loops.convert(loops.bitcast(x, "u16"), "u32") for x in (low, high))
    return low | loops.apply("shl", high, 16)


def _even(count: int, most: int) -> int:
    """How large parts are, of at most so many, if they are about equal."""
    return -(-count // -(-count // most))
