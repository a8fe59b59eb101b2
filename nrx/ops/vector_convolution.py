"""Convolution of vectors, of one feature and along one axis, without products of the padding.

So a NaN or an infinity in the kernel gets only into the sums that it belongs to, and no time goes to zeros. A tile of
places is computed at a time, in vector lanes. Taps that cover padding in no lane are multiplied with lhs as it lies;
those that do in some read a copy of the end of lhs, beside which it is written what is padding.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.core import loops
from nrx.core.dims import capacity, room
from nrx.core.loops import Buffer, Builder, Expr, Operand
from nrx.core.shapes import size
from nrx.ops.accumulation import parts_of, store, types_of, whole
from nrx.ops.product_axes import Axis, added, computed, cost_of, positions, rest

_ROWS, _WIDTH = 8, 64
"""Output features, and places, of a tile."""
_LONG = 256
"""Taps, of which every other is added to a sum of its own, where there is one output feature."""


class VectorConvolution(NamedTuple):
    """A convolution of padded vectors.

    Fields:
        around: the axes of groups and batch.
        features: the axis of output features.
        place, tap: the axes of the result and of the window; in lhs and the result their elements are neighbours.
        size: the length of lhs.
        low: the padding before it, where a negative one crops.
        dtype: of the operands and the result.
    """

    around: Sequence[Axis]
    features: Axis
    place: Axis
    tap: Axis
    size: int
    low: int
    dtype: np.dtype

    def build(self, b: Builder, operands: Sequence[Operand], results: Sequence[Operand], **params: Any) -> None:
        """Build the kernel; see `loops.Native`."""
        x, y = operands
        _Tile(b, x, y, results[0], self).build()


class _End(NamedTuple):
    """A copy of an end of lhs, with the padding: element i of lhs is at i - start.

    Fields:
        parts: its elements, or their real and imaginary parts.
        is_inside: whether they are elements of lhs, as numbers of the same type.
        start: the index of the first one.
    """

    parts: Sequence[Buffer]
    is_inside: Buffer
    start: Any


class _Tile:
    """Builds the kernel that computes a tile a task.

    Fields:
        at: where in the three arrays its vector begins.
        rows: the positions, behind those, of its output features; if too few are left, the last one is repeated.
        first, lanes: its first place, and how many there are.
        shift: the element of lhs under tap t at place `first + lane` is t + lane - shift.
    """

    def __init__(self, b: Builder, x: Operand, y: Operand, out: Operand, way: VectorConvolution):
        self.b, self.x, self.y, self.out, self.way = b, x, y, out, way
        count, features = way.place.extent, way.features.extent
        self.width, height = min(room(count), _WIDTH), min(capacity(features), _ROWS)
        extents = [*(axis.extent for axis in way.around), -(-features // height), -(-count // self.width)]
        *index, block, tile = loops.unravel(b.parallel(size(tuple(extents))), extents)
        self.at, self.first = positions(way.around, index), tile * self.width
        numbers = [loops.clamp(block * height + r, features - 1) for r in range(height)]
        self.rows = [positions([way.features], [number]) for number in numbers]
        self.lanes = rest(count, self.first, self.width)
        self.shift = loops.const(way.low, "i64") - self.first

    def build(self) -> None:
        b, way, last = self.b, self.way, self.lanes - 1
        end = self.shift + way.size
        start = _clipped(self.shift - last, 0, way.tap.extent)
        stop = _clipped(end, start, way.tap.extent)
        inner = _clipped(self.shift, start, stop)
        inner_stop = _clipped(end - last, inner, stop)
        head = self.copied(loops.const(-self.width, "i64"), start < inner)
        tail = self.copied(loops.const(way.size - self.width, "i64"), inner_stop < stop)

        def compute(lane: Expr) -> None:
            totals = [loops.const(0, type) for type in types_of(way.dtype)] * len(self.rows)
            totals = self.summed(totals, lane, start, inner, head)
            totals = self.summed(totals, lane, inner, inner_stop, None)
            totals = self.summed(totals, lane, inner_stop, stop, tail)
            count = len(totals) // len(self.rows)
            for r, row in enumerate(self.rows):
                position = self.at[2] + row[2] + self.first + lane
                store(self.out, position, whole(totals[r * count : (r + 1) * count]))

        b.lanes(self.lanes, compute)
        b.kernel.cost = cost_of(len(self.rows) * int(self.width) * int(min(way.tap.extent, way.size)))

    def copied(self, start: Any, is_needed: Expr) -> _End:
        """The copy of what is near an end, made if it is needed."""
        b, types = self.b, types_of(self.way.dtype)
        end = _End([b.scratch(type, 2 * self.width) for type in types], b.scratch(types[0], 2 * self.width), start)

        def element(lane: Expr) -> None:
            i = start + lane
            is_inside = loops.all_of([i >= 0, i < self.way.size])
            value = computed(self.x.at(self.at[0] + loops.clamp(i, self.way.size - 1)), self.way.dtype)
            for buffer, part in zip(end.parts, parts_of(value), strict=True):
                b.store(buffer, lane, part)
            b.store(end.is_inside, lane, loops.convert(is_inside, types[0]))

        b.if_(is_needed, lambda: b.lanes(2 * self.width, element) and None)
        return end

    def summed(self, totals: Sequence[Expr], lane: Expr, start: Any, stop: Any, end: _End | None) -> list[Expr]:
        """The sums and the products of taps from `start` to `stop`, in a copy of what is near an end if need be."""
        b, way = self.b, self.way

        def step(k: Expr, *known: Expr) -> list[Expr]:
            tap = start + k
            i = lane + tap - self.shift
            if end is None:
                left = computed(self.x.at(self.at[0] + i), way.dtype)
            else:
                left = whole([b.load(buffer, i - end.start) for buffer in end.parts])
            found: list[Expr] = []
            for r, row in enumerate(self.rows):
                right = computed(self.y.at(self.at[1] + row[1] + tap * way.tap.y), way.dtype)
                count = len(known) // len(self.rows)
                found += added(known[r * count : (r + 1) * count], left, right)
            if end is None:
                return found
            is_inside = loops.ne(b.load(end.is_inside, i - end.start), 0)
            return [loops.select(is_inside, new, old) for new, old in zip(found, known, strict=True)]

        if end is not None or len(self.rows) > 1 or capacity(way.tap.extent) < _LONG:
            return b.loop(stop - start, totals, step)
        pairs, n = loops.floordiv(stop - start, 2), len(totals)
        inits = [*totals, *(loops.const(0, x.type) for x in totals)]
        both = b.loop(pairs, inits, lambda k, *known: step(k * 2, *known[:n]) + step(k * 2 + 1, *known[n:]))
        totals, start = [x + y for x, y in zip(both[:n], both[n:], strict=True)], start + pairs * 2
        return b.loop(stop - start, totals, step)


def _clipped(x: Expr, low: Any, high: Any) -> Expr:
    return loops.apply("min", loops.apply("max", x, low), high)
