"""Sums of products over axes with steps, in any dtype: what dot_general and convolution come to in their lower rules.

What pays goes to the platform's matrix product; the rest is computed in registers: some rows at a time, with columns in
vector lanes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.loops import Builder, Complex, Expr, Operand, Value
from nrx.core.shapes import size
from nrx.ops.accumulation import parts_of, store, types_of, whole
from nrx.ops.matrix_products import COLUMN, DEPTH, ROW, Axis, MatrixProduct, matrix_product, merged, positions

_ROWS = 8
_ROW_TILE = 64
_COLUMN_TILE = 128
_NONE = Axis(1, 0, 0, 0)


class Contraction(NamedTuple):
    """Sums of products as a kernel.

    Fields:
        axes: along which they go.
        product: the matrix product that they are, if they go to the platform's library.
        dtype: in which they are computed.
    """

    axes: list[Axis]
    product: MatrixProduct | None
    dtype: np.dtype

    def build(self, b: Builder, operands: Sequence[Operand], results: Sequence[Operand], **params: Any) -> None:
        """Build the kernel; see `loops.Native`."""
        if self.product is not None:
            self.product.build(b, *operands, *results)
        else:
            _in_registers(b, *operands, *results, self.axes, self.dtype)


def contraction(axes: Sequence[Axis], x: np.dtype, y: np.dtype, out: np.dtype, dtype: np.dtype) -> Contraction:
    """The way to compute sums of products of arrays of these dtypes in `dtype`; no axis may be empty."""
    axes = merged(axes)
    is_plain = x == y == out and out in (dtypes.float32, dtypes.float64)
    return Contraction(axes, matrix_product(axes) if is_plain else None, dtype)


def _in_registers(b: Builder, x: Operand, y: Operand, out: Operand, axes: list[Axis], dtype: np.dtype) -> None:
    column = max((a for a in axes if a.kind in (ROW, COLUMN)), key=_fitness_for_lanes, default=_NONE)
    if column.kind == ROW:
        x, y, column, axes = y, x, column.swapped, [axis.swapped for axis in axes]
    row = max((a for a in axes if a.kind == ROW), key=lambda a: a.extent, default=_NONE)
    sums = [a for a in axes if a.kind == DEPTH]
    outer = [a for a in axes if a not in (row, column) and a.kind != DEPTH]
    count = -(-row.extent // _ROWS)
    block = -(-row.extent // count)
    height, width = block * min(count, _ROW_TILE // _ROWS), min(column.extent, _COLUMN_TILE)
    extents = (*(a.extent for a in outer), -(-row.extent // height), -(-column.extent // width))
    *index, i, j = loops.unravel(b.parallel(size(extents)), extents)
    at = positions(outer, index)
    depth = size(tuple(a.extent for a in sums))

    def some_rows(number: Expr) -> None:
        rows = [loops.clamp(i * height + number * block + r, row.extent - 1) for r in range(block)]

        def one_column(c: Expr) -> None:
            c = j * width + c

            def step(k: Expr, *known: Expr) -> list[Expr]:
                within = positions(sums, loops.unravel(k, [a.extent for a in sums]))
                right = computed(y.at(at[1] + within[1] + c * column.y), dtype)
                parts: list[Expr] = []
                for r, place in enumerate(rows):
                    left = computed(x.at(at[0] + within[0] + place * row.x), dtype)
                    before = whole(known[r * len(types) : (r + 1) * len(types)])
                    parts += parts_of(before + left * right)
                return parts

            totals = b.loop(depth, [loops.const(0, type) for type in types] * block, step)
            for r, place in enumerate(rows):
                value = whole(totals[r * len(types) : (r + 1) * len(types)])
                store(out, at[2] + place * row.out + c * column.out, value)

        b.lanes(loops.clamp(column.extent - j * width, width), one_column)

    types = types_of(dtype)
    b.loop(loops.floordiv(loops.clamp(row.extent - i * height, height) + (block - 1), block), [], some_rows)
    b.kernel.cost = float(height * width * depth)


def _fitness_for_lanes(axis: Axis) -> tuple[int, int]:
    is_contiguous = (axis.x or axis.y) == 1
    return min(axis.extent, 16) * (4 if is_contiguous else 1), axis.out == 1


def computed(value: Value, dtype: np.dtype) -> Any:
    """An element in the type in which products of dtype `dtype` are computed."""
    type = types_of(dtype)[0]
    if isinstance(value, Complex):
        return Complex(loops.convert(value.real, type), loops.convert(value.imag, type))
    return loops.convert(loops.widen(value), type)
