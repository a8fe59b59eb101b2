"""Few sums of many products, cut along the depth: so several tasks share a sum, and each reads its part once.

The parts of the sums are a result with one more axis, along which they are added up. How many parts there are depends
on the shapes only, so that the number of threads changes no bit.
"""

from collections.abc import Sequence

import numpy as np

from nrx.core.aval import Aval
from nrx.core.dims import Dim, capacity
from nrx.core.loops import Native
from nrx.core.primitive import Primitive
from nrx.core.program import Program, Var
from nrx.core.shapes import Shape, size
from nrx.ops.common import equation
from nrx.ops.contraction import contraction
from nrx.ops.product_axes import COLUMN, DEPTH, ROW, Axis, count_of
from nrx.ops.structural import reduce_sum_p

split_products_p = Primitive("split_products")

_ENOUGH_TASKS, _MOST_PARTS = 8, 8
_HIGH, _WIDE = 144, 64
"""Of a block of sums that is one task, about."""
_FEWEST_PRODUCTS = 1 << 21
_FEWEST_EACH = 256
"""Products of a sum in a part."""


def sums_of_products(x: Aval, y: Aval, shape: Shape, axes: Sequence[Axis], dtype: np.dtype) -> Native | Program:
    """The kernel of sums of products, as `contraction`, or the Program that computes them in parts.

    Args:
        x, y: the operands.
        shape: of the result, whose dtype is `dtype`, in which the sums are computed.
        axes: of the products.
    """
    parts = _in_parts(axes, size(shape))
    if parts is None:
        return contraction(axes, dtype)
    invars = [Var(x), Var(y)]
    split = equation(split_products_p, invars, axes=tuple(parts), out=Aval((parts[-1].extent, *shape), dtype))
    total = equation(reduce_sum_p, split.outs, axes=(0,))
    return Program(invars, [split, total], total.outs, name="split_products")


def _in_parts(axes: Sequence[Axis], count: int) -> list[Axis] | None:
    """The axes, the last of which counts parts of the depth, for a result of `count` elements; None: no parts."""
    lengths = [capacity(count_of([axis for axis in axes if axis.kind == kind])) for kind in (ROW, COLUMN, DEPTH)]
    around = [axis for axis in axes if axis.kind not in (ROW, COLUMN, DEPTH)]
    lanes = next((axis for axis in around if axis.out == 1), None)
    tasks = capacity(count_of([axis for axis in around if axis is not lanes]))
    tasks *= -(-lengths[0] // _HIGH) * -(-lengths[1] // _WIDE)
    tasks *= 1 if lanes is None else -(-capacity(lanes.extent) // _WIDE)
    if tasks >= _ENOUGH_TASKS or capacity(count) * lengths[2] < _FEWEST_PRODUCTS or isinstance(count, Dim):
        return None
    most = min(_MOST_PARTS, -(-_ENOUGH_TASKS // tasks), lengths[2] // _FEWEST_EACH)
    depth = [axis for axis in axes if axis.kind == DEPTH and _divisor(axis.extent, most) > 1]
    if not depth:
        return None
    axis = max(depth, key=lambda axis: (_divisor(axis.extent, most), capacity(axis.x)))
    number = _divisor(axis.extent, most)
    length = axis.extent // number
    rest = [other for other in axes if other is not axis]
    return [*rest, axis._replace(extent=length), Axis(number, axis.x * length, axis.y * length, count)]


def _divisor(extent: int, most: int) -> int:
    """The largest number of equal parts of an axis, of at most so many."""
    if isinstance(extent, Dim):
        return 1
    return next((parts for parts in range(most, 1, -1) if extent % parts == 0), 1)


def _split_lower(x: Aval, y: Aval, *, axes: tuple[Axis, ...], out: Aval) -> Native:
    return contraction(axes, out.dtype)


split_products_p.define(abstract=lambda x, y, *, axes, out: out, lower=_split_lower).refuse(
    **dict.fromkeys(("impl", "jvp", "transpose", "batch", "onnx"), "it is a part of sums of products in compiled code"),
)
