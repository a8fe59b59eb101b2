"""Places of the elements of rows, put in order digit by digit: what sorts of long rows compile to.

Keys are bits in the order of the elements, 8 of which are a digit. From the last digit to the first, the elements with
each digit are counted, in chunks of a row, which tells where each chunk puts its own; then they are put there, in the
order in which they came, so that equal elements stay in theirs (H. H. Seward, "Information sorting in the application
of electronic digital computers to business operations", MIT, 1954; D. Knuth, "The Art of Computer Programming", volume
3, section 5.2.5). How rows are cut depends on shapes only.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.aval import Aval
from nrx.core.dims import capacity
from nrx.core.loops import Builder, Complex, Expr, Native, Operand, Pointwise, Reader, Value
from nrx.core.primitive import Primitive
from nrx.core.program import Eqn, Program, Var
from nrx.core.shapes import inverse_permutation, size
from nrx.ops.arithmetic import sub_p
from nrx.ops.common import equation
from nrx.ops.cumulative import cumsum_p
from nrx.ops.structural import reshape_p, transpose_p

digit_counts_p = Primitive("digit_counts")
place_by_digit_p = Primitive("place_by_digit", multiple_results=True)
take_in_row_p = Primitive("take_in_row")

_BITS, _DIGITS = 8, 256
_CHUNK, _MOST_CHUNKS = 1 << 15, 32
_ENOUGH_ROWS = 8
_PLACE = np.dtype(np.int32)


class Digit(NamedTuple):
    """Which digit of which key.

    Fields:
        shift: in bits.
        is_raw: the first operand holds elements, not keys that were made of them.
        part: of complex elements: 0 real, 1 imaginary.
        is_last: of its key.
    """

    shift: int
    is_raw: bool
    part: int
    is_last: bool


def radix_sort_program(xs: Sequence[Aval], dimension: int, num_keys: int) -> Program:
    """The Program that sorts arrays along a dimension by the first of them; one of less than 2^31 elements."""
    order = (*(axis for axis in range(xs[0].ndim) if axis != dimension), dimension)
    invars, eqns = [Var(x) for x in xs], []
    rows = list(invars)
    if dimension != xs[0].ndim - 1:
        eqns = [equation(transpose_p, [var], permutation=order) for var in invars]
        rows = [eqn.outs[0] for eqn in eqns]
    places: Var | None = None
    for row in reversed(rows[:num_keys]):
        for part in (1, 0) if dtypes.is_complex(row.aval.dtype) else (0,):
            places = _by_key(eqns, row, places, part)
    assert places is not None
    eqns += (taken := [equation(take_in_row_p, [row, places]) for row in rows])
    if rows != invars:
        eqns += (taken := [equation(transpose_p, e.outs, permutation=inverse_permutation(order)) for e in taken])
    return Program(invars, eqns, [eqn.outs[0] for eqn in taken], name="radix_sort")


def _by_key(eqns: list[Eqn], row: Var, places: Var | None, part: int) -> Var:
    """Append the equations that put places in order of one key, which so far have that of the less important ones."""
    *outer, length = row.aval.shape
    chunks = _chunks(size(tuple(outer)), length)
    source, bits = row, min(64, max(8, _key_bits(row.aval.dtype)))
    for shift in range(0, bits, _BITS):
        digit = Digit(shift, source is row, part, shift + _BITS >= bits)
        operands = [source] if places is None else [source, places]
        counts = equation(digit_counts_p, operands, digit=digit, chunks=chunks)
        flat = equation(reshape_p, counts.outs, shape=(*outer, _DIGITS * chunks))
        sums = equation(cumsum_p, flat.outs, dimension=len(outer), reverse=False)
        starts = equation(sub_p, [*sums.outs, *flat.outs])
        made = place_by_digit_p.abstract(*(var.aval for var in (*operands, *starts.outs)), digit=digit, chunks=chunks)
        outs = [Var(aval) for aval in made]
        placed = Eqn(place_by_digit_p, [*operands, *starts.outs], outs, {"digit": digit, "chunks": chunks})
        eqns += [counts, flat, sums, starts, placed]
        places, source = outs[0], outs[-1]
    assert places is not None
    return places


def _chunks(rows: Any, length: int) -> int:
    """How many tasks share a row."""
    return 1 if capacity(rows) >= _ENOUGH_ROWS else max(1, min(_MOST_CHUNKS, int(length) // _CHUNK))


def _key_bits(dtype: np.dtype) -> int:
    """Of the keys of elements, or of their parts; narrow floats are converted to float32."""
    if dtypes.is_complex(dtype):
        return dtype.itemsize * 4
    return dtype.itemsize * 8 if dtypes.is_integer(dtype) or dtype == np.bool_ else max(32, dtype.itemsize * 8)


def key_of(value: Value, part: int = 0) -> Expr:
    """An element as bits in the order of the elements: NaN last, both zeros the same."""
    x = (value.real, value.imag)[part] if isinstance(value, Complex) else loops.widen(value)
    if x.type == "bool":
        return loops.convert(x, "u32")
    bits = max(32, loops.BITS[x.type])
    unsigned, top = f"u{bits}", 1 << (bits - 1)
    if loops.is_float(x.type):
        x = loops.select(loops.eq(x, 0), loops.const(0, x.type), x)
        raw = loops.bitcast(x, unsigned)
        flipped = raw ^ loops.select(raw >= top, loops.const(2 * top - 1, unsigned), loops.const(top, unsigned))
        return loops.select(loops.ne(x, x), loops.const(2 * top - 1, unsigned), flipped)
    if x.type.startswith("i"):
        least = loops.const(1 << (loops.BITS[x.type] - 1), unsigned)
        return loops.bitcast(loops.convert(x, f"i{bits}"), unsigned) + least
    return loops.convert(x, unsigned)


# Kernels


class _Chunk:
    """A chunk of a row, which a task goes through.

    Fields:
        number, count: its number in the row, and how many there are.
        row: the number of the row.
        start, length: where in the row it begins, and how long it is.
    """

    def __init__(self, b: Builder, source: Operand, places: Operand | None, digit: Digit, count: int):
        self.b, self.source, self.places, self.digit, self.count = b, source, places, digit, count
        *outer, self.row_length = source.aval.shape
        self.row, self.number = loops.unravel(b.parallel(size(tuple(outer)) * count), (size(tuple(outer)), count))
        step = -(-self.row_length // count)
        self.start = self.number * step
        self.length = step if self.row_length % step == 0 else loops.clamp(self.row_length - self.start, step)
        b.kernel.cost = 4.0 * step

    def place(self, i: Expr) -> Any:
        """The place of the element that is number `i` of the chunk, so far."""
        at = self.start + i
        return loops.convert(at, "i32") if self.places is None else self.places.at(self.row * self.row_length + at)

    def key(self, i: Expr, place: Expr) -> Any:
        """Its key."""
        first = self.row * self.row_length
        if not self.digit.is_raw:
            return self.source.at(first + self.start + i)
        return key_of(self.source.at(first + loops.convert(place, "i64")), self.digit.part)

    def digit_of(self, key: Expr) -> Any:
        """As a position."""
        return loops.convert((key >> self.digit.shift) & (_DIGITS - 1), "i64")

    def count_at(self, digit: Any) -> Any:
        """Where among the counts that of a digit is."""
        return (self.row * _DIGITS + digit) * self.count + self.number


def _counts_build(b: Builder, operands: list[Operand], results: list[Operand], *, digit: Digit, chunks: int) -> None:
    source, *places = operands
    chunk = _Chunk(b, source, places[0] if places else None, digit, chunks)
    counts = b.scratch("i32", _DIGITS)
    b.lanes(_DIGITS, lambda lane: b.store(counts, lane, loops.const(0, "i32")))

    def count(i: Expr) -> None:
        at = chunk.digit_of(chunk.key(i, chunk.place(i)))
        number: Any = b.load(counts, at) + 1
        b.store(counts, at, number)

    b.loop(chunk.length, [], count)
    b.lanes(_DIGITS, lambda lane: results[0].put(chunk.count_at(lane), b.load(counts, lane)))


def _place_build(b: Builder, operands: list[Operand], results: list[Operand], *, digit: Digit, chunks: int) -> None:
    source, *places, starts = operands
    chunk = _Chunk(b, source, places[0] if places else None, digit, chunks)
    ends = b.scratch("i32", _DIGITS)

    def begin(lane: Expr) -> None:
        start: Any = starts.at(chunk.count_at(lane))
        b.store(ends, lane, start)

    def put(i: Expr) -> None:
        place = chunk.place(i)
        key = chunk.key(i, place)
        at = chunk.digit_of(key)
        end: Any = b.load(ends, at)
        b.store(ends, at, end + 1)
        target = chunk.row * chunk.row_length + loops.convert(end, "i64")
        results[0].put(target, place)
        if not digit.is_last:
            results[1].put(target, key)

    b.lanes(_DIGITS, begin)
    b.loop(chunk.length, [], put)


def _counts_abstract(x: Aval, *places: Aval, digit: Digit, chunks: int) -> Aval:
    return Aval((*x.shape[:-1], _DIGITS, chunks), _PLACE)


def _place_abstract(x: Aval, *others: Aval, digit: Digit, chunks: int) -> list[Aval]:
    keys = np.dtype(np.uint64 if (_key_bits(x.dtype) if digit.is_raw else x.dtype.itemsize * 8) > 32 else np.uint32)
    return [Aval(x.shape, _PLACE), *([] if digit.is_last else [Aval(x.shape, keys)])]


def _take_at(b: Builder, index: tuple, x: Reader, places: Reader) -> Value:
    return x(*index[:-1], loops.convert(places(*index), "i64"))


# Registration

_PART = dict.fromkeys(("impl", "jvp", "transpose", "batch", "onnx"), "it is a part of sort in compiled code")

digit_counts_p.define(abstract=_counts_abstract, lower=lambda *avals, **params: Native(_counts_build)).refuse(**_PART)
place_by_digit_p.define(abstract=_place_abstract, lower=lambda *avals, **params: Native(_place_build)).refuse(**_PART)
take_in_row_p.define(
    abstract=lambda x, places: x.update(weak_type=x.weak_type), lower=lambda *avals: Pointwise(_take_at, cost=2)
).refuse(**_PART)
