"""How the elements of a reduction are put together, for the lower rules: sums, products, extremes and their places.

The elements may come in any order: what equal elements leave open, their positions decide.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.dims import Dim, capacity
from nrx.core.loops import Builder, Complex, Expr, Operand, Pointwise, Reader, Reduction, Value

Parts = Sequence[Expr]
"""What is known of an accumulated value: the value (its parts, if complex), perhaps its position."""


class Accumulator:
    """Puts values together.

    Args:
        inits: neutral parts, as (number, type).
        combine: from two lists of parts to one; associative, and commutative.
        finish: from the parts to the result.
    """

    def __init__(self, inits: Iterable[tuple[Any, str]], combine: Callable, finish: Callable):
        self.inits, self.combine, self.finish = tuple(inits), combine, finish

    def over_axes(self, axes: tuple[int, ...], positions: str | None = None) -> Reduction:
        """The reduction over axes of the first operand; `positions` is the type of those in `first_of`."""

        def element(b: Builder, kept: tuple, reduced: tuple, x: Reader, **params: Any) -> Parts:
            parts = parts_of(x(*_merged(kept, reduced, axes)))
            extents = [x.aval.shape[axis] for axis in axes]
            return parts if positions is None else [*parts, position(loops.row_major(reduced, extents), positions)]

        return Reduction(element, self.inits, self.combine, self.finish, axes=axes)

    def over(self, extents: tuple[int, ...], parts: Callable) -> Reduction:
        """The reduction of `parts(b, index of the result, index within extents, *operands, **params)`."""
        return Reduction(parts, self.inits, self.combine, self.finish, extents=extents)

    def inside(self, extents: tuple[int, ...], parts: Callable) -> Pointwise:
        """The same, every element of the result in a loop of its own: good where there are many and `extents` short."""
        count = math.prod(extents)
        inits = [loops.const(value, type) for value, type in self.inits]

        def at(b: Builder, index: tuple, *operands: Reader, **params: Any) -> Value:
            def some(position: Any) -> Parts:
                return parts(b, index, loops.unravel(position, extents), *operands, **params)

            total: Parts = inits
            if isinstance(count, Dim) or count > b.most_unrolled:
                total = b.loop(count, inits, lambda i, *known: self.combine(known, some(i)))
            else:
                for position in range(count):
                    total = self.combine(total, some(loops.const(position, "i64"))) if position else some(position)
            return self.finish(total)

        most = max(capacity(count), 1)
        return Pointwise(at, cost=most, reads=most)


def _merged(kept: tuple, reduced: tuple, axes: tuple[int, ...]) -> tuple:
    """The index of an operand from that of the axes kept and that of the axes reduced."""
    inside, outside = dict(zip(axes, reduced, strict=True)), iter(kept)
    return tuple(inside[axis] if axis in inside else next(outside) for axis in range(len(kept) + len(reduced)))


# Types and parts


def types_of(dtype: np.dtype) -> tuple[str, ...]:
    """The types of the parts in which elements are computed: two if complex, "f32" if narrow."""
    real = np.dtype(np.float32) if dtypes.is_narrow(dtype) else dtypes.real_part_dtype(dtype)
    return (loops.type_of(real),) * (2 if dtypes.is_complex(dtype) else 1)


def parts_of(value: Value) -> list[Expr]:
    """An element as its parts, a narrow one as f32."""
    return [value.real, value.imag] if isinstance(value, Complex) else [loops.widen(value)]


def whole(parts: Parts) -> Value:
    """The inverse of `parts_of`."""
    return Complex(*parts) if len(parts) == 2 else parts[0]


def zero(dtype: np.dtype) -> Value:
    """0 as it is computed."""
    return whole([loops.const(0, type) for type in types_of(dtype)])


def store(target: Operand, position: Any, value: Value) -> None:
    """Store a computed value, rounded if the array is narrow."""
    target.put(position, value if isinstance(value, Complex) else loops.convert(value, target.type))


def position(i: Any, type: str) -> Expr:
    """An index, or a sum of some, as a value of an integer type."""
    return loops.convert(loops.const(0, "i64") + i, type)


def position_type(count: int) -> str:
    """The type that counts so many positions."""
    return "i32" if count < 1 << 31 else "i64"


# Accumulators


def by(function: Callable[[Any, Any], Any], neutral: Any, dtype: np.dtype) -> Accumulator:
    """Values put together by a function of two elements, as `operator.add`; `neutral` is a number."""
    numbers = (neutral, 0) if not isinstance(neutral, complex) else (neutral.real, neutral.imag)
    return Accumulator(
        zip(numbers, types_of(dtype), strict=False),
        lambda first, second: parts_of(function(whole(first), whole(second))), whole,
    )  # fmt: skip


def first_of(beats: Callable[[Any, Any], Expr], neutral: Any, dtype: np.dtype, index: str) -> Accumulator:
    """The value that no other beats, of several the one of the least position. Its parts end with the position.

    Args:
        beats: whether one value goes before another: a strict weak order.
        neutral: a number that beats nothing.
        dtype: of the values.
        index: the type of positions.
    """
    inits = by(beats, neutral, dtype).inits
    last = (1 << loops.BITS[index] - 1) - 1

    def combine(first: Parts, second: Parts) -> list[Expr]:
        x, y = whole(first[:-1]), whole(second[:-1])
        chosen = beats(y, x) | (~beats(x, y) & (second[-1] < first[-1]))
        return [loops.select(chosen, new, old) for old, new in zip(first, second, strict=True)]

    return Accumulator((*inits, (last, index)), combine, lambda parts: whole(parts[:-1]))


def larger(x: Any, y: Any) -> Any:
    """max(x, y); NaN if either is, the first of two complex ones."""
    if isinstance(x, Complex):
        return loops.select(greater(y, x), y, x)
    return x | y if x.type == "bool" else loops.apply("max", x, y)


def smaller(x: Any, y: Any) -> Any:
    """min(x, y); NaN if either is, the first of two complex ones."""
    if isinstance(x, Complex):
        return loops.select(less(y, x), y, x)
    return x & y if x.type == "bool" else loops.apply("min", x, y)


def greater(x: Any, y: Any) -> Expr:
    """Whether x > y, where NaN is greater than all numbers and equal to itself; complex numbers by real, then imag."""
    if isinstance(x, Complex):
        by_parts = (x.real > y.real) | (loops.eq(x.real, y.real) & (x.imag > y.imag))
        return (by_parts | ~_is_number(x)) & _is_number(y)
    return ~(x <= y) & loops.eq(y, y) if loops.is_float(x.type) else x > y


def less(x: Any, y: Any) -> Expr:
    """Whether x < y, where NaN is less than all numbers and equal to itself; complex numbers by real, then imag."""
    if isinstance(x, Complex):
        by_parts = (x.real < y.real) | (loops.eq(x.real, y.real) & (x.imag < y.imag))
        return (by_parts | ~_is_number(x)) & _is_number(y)
    return ~(x >= y) & loops.eq(y, y) if loops.is_float(x.type) else x < y


def _is_number(z: Complex) -> Expr:
    return loops.eq(z.real, z.real) & loops.eq(z.imag, z.imag)
