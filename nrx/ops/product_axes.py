"""Axes along which products of two arrays, or sums of them, go: what matrix products and convolutions have in common.

out[i, j, …] = sum over k, … of x[i, k, …] * y[k, j, …]
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.core import loops
from nrx.core.dims import Dim, identity
from nrx.core.loops import Complex, Expr, Value
from nrx.core.shapes import size
from nrx.ops.accumulation import types_of


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


NO_AXIS = Axis(1, 0, 0, 0)
ROW, COLUMN, DEPTH = (True, False, True), (False, True, True), (True, True, False)


class Contraction(NamedTuple):
    """How sums of products are computed.

    Fields:
        rows, columns, depth: the axes of a matrix product, from the outermost to the innermost.
        around: the other axes of the result.
        dtype: in which the sums are computed.
        start: where the first elements are in x, y and the result.
    """

    rows: list[Axis]
    columns: list[Axis]
    depth: list[Axis]
    around: list[Axis]
    dtype: np.dtype
    start: tuple[int, int, int] = (0, 0, 0)


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """The axes less those of length 1, with neighbours put together that all arrays walk through as one."""
    found = [axis for axis in axes if axis.extent != 1]
    for inner in found:
        for outer in found:
            if _same(outer[1:], [stride * inner.extent for stride in inner[1:]]):
                found[found.index(inner)] = Axis(outer.extent * inner.extent, *inner[1:])
                found.remove(outer)
                return merged(found)
    return found


def chain(axes: Sequence[Axis], inner: Axis) -> list[Axis]:
    """The axes of one kind that lie in the result like one axis that ends with `inner`."""
    chain = [inner]
    while True:
        stride = chain[0].out * chain[0].extent
        outer = next((a for a in axes if a.kind == inner.kind and _same([a.out], [stride])), None)
        if outer is None:
            return chain
        chain.insert(0, outer)


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


def shifted(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """Positions in the three arrays, seen from others."""
    return [a + b for a, b in zip(first, second, strict=True)]


def index_of(position: Any, axes: Sequence[Axis]) -> tuple:
    """The index along some axes of what is at that position in row-major order."""
    return loops.unravel(position, [axis.extent for axis in axes])


def count_of(axes: Sequence[Axis]) -> int:
    """How many indices some axes have."""
    return size(tuple(axis.extent for axis in axes))


def cost_of(products: Any) -> float:
    """Of a task; roughly, to be the same for sizes alike."""
    return 2.0 ** round(math.log2(products / 8))


def added(before: Sequence[Expr], x: Any, y: Any) -> list[Expr]:
    """The sum so far and a product."""
    if isinstance(x, Complex):
        real, imag = before
        return [
            multiply_add(-x.imag, y.imag, multiply_add(x.real, y.real, real)),
            multiply_add(x.imag, y.real, multiply_add(x.real, y.imag, imag)),
        ]
    return [multiply_add(x, y, before[0])]


def multiply_add(x: Expr, y: Expr, z: Expr) -> Expr:
    return loops.apply("muladd", x, y, z) if loops.is_float(x.type) else x * y + z


def rest(extent: Any, start: Any, length: int) -> Any:
    """How long the piece is that begins at `start`, of an int or an Expr cut into pieces of some length."""
    if not isinstance(extent, Dim | Expr) and extent % length == 0:
        return length
    return loops.clamp(extent - start, length)


def _same(strides: Sequence[int], others: Sequence[int]) -> bool:
    """Whether all are the same, and not by chance."""
    return list(map(identity, strides)) == list(map(identity, others))
