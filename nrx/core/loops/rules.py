"""What a primitive's `lower` rule gives: how its results come from its operands.

Besides the classes below, a rule may give a Program of other primitives to run instead, or None: the host computes it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from nrx.core.aval import Aval
from nrx.core.loops.builder import Buffer, Builder
from nrx.core.loops.expressions import REAL_TYPE, Complex, Expr, Value, const, convert, floordiv, is_narrow, lifted, mod


class Reader(Protocol):
    """Reads an operand: `x(i, j)` is its element at that index, a Value. `x.aval` tells shape and dtype."""

    aval: Aval

    def __call__(self, *index: Any) -> Any: ...


class Pointwise:
    """Results whose elements are independent of each other.

    Args:
        at: `at(b, index, *operands, **params)` is the element of the result at `index` (a tuple of i64 Exprs); operands
            are Readers. A list of elements with multiple results, or, where these differ in shape, a tuple of such
            functions, one for each result.
        cost: elementary operations an element takes; 0 for those that only move data.
        reads: elements of an operand that an element takes.
    """

    __slots__ = ("at", "cost", "reads")

    def __init__(self, at: Callable | tuple[Callable, ...], cost: float = 1, reads: int = 1):
        self.at = at
        self.cost = cost
        self.reads = reads


class Elementwise(Pointwise):
    """Pointwise, from the operands' elements at the same index: `function(*elements, **params)`.

    Args:
        function: builds the element of the result (or a list of them) from Exprs or Complexes.
        cost: elementary operations of one element.
        narrow: False: float16, bfloat16 and fp8 operands are converted to f32, and an f32 result to the result's dtype;
            True: `function` takes them as they are.
    """

    __slots__ = ("function", "narrow")

    def __init__(self, function: Callable, cost: float = 1, narrow: bool = False):
        super().__init__(self._at, cost)
        self.function = function
        self.narrow = narrow

    def _at(self, b: Builder, index: tuple, *operands: Reader, **params: Any) -> Any:
        elements = [x(*index) for x in operands]
        if not self.narrow:
            elements = [widen(x) for x in elements]
        return self.function(*elements, **params)


def widen(x: Any) -> Any:
    """A narrow float as f32; anything else as it is."""
    return convert(x, "f32") if is_narrow(x.type) else x


class Reduction:
    """A result whose every element combines many.

    Args:
        axes: those of the first operand that are reduced, or, with `extents`, none: the result's axes are all kept.
        element: `element(b, index, reduced, *operands, **params)`: the list of values to accumulate, at an index of the
            result and an index of what is reduced.
        inits: neutral values, as (number, type).
        combine: as for `Lanes`.
        finish: from the accumulated values to the element of the result.
        extents: the extents of what is reduced, where it is not axes of the first operand.
    """

    __slots__ = ("axes", "combine", "element", "extents", "finish", "inits")

    def __init__(
        self,
        element: Callable,
        inits: Sequence[tuple[Any, str]],
        combine: Callable,
        finish: Callable = lambda values: values[0],
        axes: tuple[int, ...] | None = None,
        extents: tuple[Any, ...] | None = None,
    ):
        self.element, self.inits, self.combine, self.finish = element, inits, combine, finish
        self.axes, self.extents = axes, extents


class Native:
    """A kernel written out in loops; its operands and results are whole arrays in row-major order.

    Args:
        build: `build(b, operands, results, **params)` with lists of `Operand`s (memory and Aval); calls `b.parallel` if
            it can, then stores every element of the results.
        in_place: the operand whose memory the first result takes over, where the compiler finds that it is free, or is
            given a copy of: `build` finds that operand's elements in the result.
        width: of a rule with one result that `finish`es its elements, each once, when it knows them, instead of storing
            them: how many there are along its last axes, those that `column` runs through. `start` is the position of
            the first of these. The compiler has other elements computed there and then. None: it stores them.
    """

    __slots__ = ("build", "in_place", "width")

    def __init__(self, build: Callable, in_place: int | None = None, width: int | None = None):
        self.build = build
        self.in_place = in_place
        self.width = width


class Operand:
    """An array in memory, in row-major order, for `Native` rules; `x(i, j)` loads an element.

    Fields:
        buffer: the memory.
        aval: shape and dtype.
    """

    __slots__ = ("_builder", "aval", "buffer")

    def __init__(self, builder: Builder, buffer: Buffer, aval: Aval):
        self._builder, self.buffer, self.aval = builder, buffer, aval

    @property
    def type(self) -> str:
        return self.buffer.type

    def position(self, *index: Any) -> Any:
        """Where the element at `index` lies."""
        return row_major(index, self.aval.shape)

    def __call__(self, *index: Any) -> Value:
        return self.at(self.position(*index))

    def at(self, position: Any) -> Value:
        """The element at a position."""
        load = self._builder.load
        if self.buffer.type in REAL_TYPE:
            return Complex(load(self.buffer, position * 2), load(self.buffer, position * 2 + 1))
        return load(self.buffer, position)

    def can_wait(self, type: str) -> bool:
        """Whether there is memory where elements may wait while they are sums of that type."""
        return type == self.type

    def waiting(self, type: str) -> "Operand":
        """That memory."""
        return self

    def finish(self, start: Any, column: Any, value: Expr) -> None:
        """Take an element as it has been computed; see `Native.width`."""
        self.put(start + column, convert(value, self.type))

    def put(self, position: Any, value: Value) -> None:
        """Store an element at a position."""
        store = self._builder.store
        if isinstance(value, Complex):
            store(self.buffer, position * 2, value.real)
            store(self.buffer, position * 2 + 1, value.imag)
        else:
            store(self.buffer, position, value)


def row_major(index: Sequence[Any], shape: Sequence[Any]) -> Any:
    """The position of the element at `index` of an array of that shape."""
    position: Any = const(0, "i64")
    stride: Any = 1
    for i, extent in zip(reversed(index), reversed(shape), strict=True):
        position = position + lifted(i, position) * stride
        stride = stride * extent
    return position


def unravel(position: Any, shape: Sequence[Any]) -> tuple:
    """The index at which an array of that shape has the element of that position."""
    index = []
    for extent in reversed(shape[1:]):
        divisor = extent or 1  # an array without elements is never asked for one
        index.append(mod(position, divisor))
        position = floordiv(position, divisor)
    return (position, *reversed(index)) if shape else ()


def reshaped(index: Sequence[Any], shape: Sequence[int], target: Sequence[int]) -> tuple:
    """The index in an array of shape `target` of the element at `index` of one of `shape`, as reshaping moves it."""
    result: list[Any] = [0] * len(target)
    if math.prod(shape) == 0:
        return tuple(result)
    for axes, target_axes in _equal_parts(shape, target):
        position = index[axes[0]] if len(axes) == 1 else row_major([index[a] for a in axes], [shape[a] for a in axes])
        for axis, i in zip(target_axes, unravel(position, [target[a] for a in target_axes]), strict=True):
            result[axis] = i
    return tuple(result)


def _equal_parts(shape: Sequence[int], other: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """The shortest runs of axes of both shapes that have as many elements; axes of length 1 are in none."""
    axes = iter([axis for axis, extent in enumerate(shape) if extent != 1])
    others = iter([axis for axis, extent in enumerate(other) if extent != 1])
    for axis in axes:
        run, other_run = [axis], [next(others)]
        count, other_count = shape[axis], other[other_run[0]]
        while count != other_count:
            if count < other_count:
                run.append(next(axes))
                count *= shape[run[-1]]
            else:
                other_run.append(next(others))
                other_count *= other[other_run[-1]]
        yield run, other_run


class Scan:
    """A loop over slices: `body` takes constants, carried values and slices, gives carried values and slices.

    Args:
        body: the Program of one step.
        length: the number of steps.
        reverse: whether the steps run from the last slice to the first.
        consts, carry: how many operands are constants and how many are carried; the others are sliced.
    """

    __slots__ = ("body", "carry", "consts", "length", "reverse")

    def __init__(self, body: Any, length: Any, reverse: bool, consts: int, carry: int):
        self.body, self.length, self.reverse, self.consts, self.carry = body, length, reverse, consts, carry


class ScanSizes(NamedTuple):
    """How the operands of a scan are grouped: constants, carry, and the rest, which is sliced.

    `tangents` says that the carry is made of tangents: a first value that is not `Linear` is then zero.
    """

    consts: int
    carry: int
    tangents: bool = False

    def split(self, items: Sequence[Any]) -> tuple[list, list, list]:
        """The three groups of the operands."""
        end = self.consts + self.carry
        return list(items[: self.consts]), list(items[self.consts : end]), list(items[end:])


class Repeat:
    """A loop while a condition holds.

    Args:
        cond: a Program from its constants and the carried values to a bool.
        body: a Program from its constants and the carried values to the next ones.
        cond_consts, body_consts: how many of the operands come first for each; the others are carried.
    """

    __slots__ = ("body", "body_consts", "cond", "cond_consts")

    def __init__(self, cond: Any, body: Any, cond_consts: int, body_consts: int):
        self.cond, self.body, self.cond_consts, self.body_consts = cond, body, cond_consts, body_consts


class Switch:
    """One of several Programs, by an int32 operand that is clamped to their number; all take the other operands."""

    __slots__ = ("branches",)

    def __init__(self, branches: tuple):
        self.branches = branches
