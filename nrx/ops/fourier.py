"""Fourier transforms in native code: Stockham's algorithm with mixed radices, in vectors.

    out[k] = sum over j of x[j] * exp(-2 pi i j k / n)

A step transforms along one axis what fits into scratch memory: a row, or some columns side by side. A longer axis takes
several steps, of which the first leaves its columns as rows (D. H. Bailey, "FFTs in external or hierarchical memory",
J. Supercomputing 4, 1990). Real numbers are taken in pairs for complex ones, of half the length.

How the work is cut depends on shapes only, so that the number of threads changes no bit. docs/design/fft.md.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from nrx.core import dtypes, loops
from nrx.core.aval import Aval
from nrx.core.loops import Buffer, Builder, Complex, Expr, Native, Operand
from nrx.core.primitive import Primitive
from nrx.core.program import Atom, Program, Var
from nrx.core.shapes import Shape, size
from nrx.ops.common import equation
from nrx.ops.fourier_steps import Stage, Step, stages_along_rest, stages_of, steps_along, table_of, width_of

fft_step_p = Primitive("fft_step")

_LONGEST_LOOP = 256
"""Elements in one loop over lanes: more, and it would take several vectors at a time, for which registers are few."""


def fourier_program(
    x: Aval, out: Aval, kind: str, lengths: Shape, axes: tuple[int, ...], scale: float
) -> Program | None:
    """The Program of steps for a transform; None if it has a length that no step takes.

    Args:
        x, out: the operand and the result.
        kind, lengths, axes: as in `nrx.ops.fft.transform`.
        scale: the factor of the result.
    """
    scale = scale / 2 if kind == "rfft" else scale  # half the spectrum is computed twice as large
    if not size(x.shape) or not size(out.shape):
        return None
    pairs = list(zip(axes, map(int, lengths), strict=True))
    ordered = pairs if kind == "irfft" else pairs[::-1]
    shape, eqns, tables, start = list(x.shape), [], {}, Var(x)
    atom: Atom = start
    for axis, length in ordered:
        at_end = (axis, length) == ordered[-1]
        is_real = kind in ("rfft", "irfft") and axis == axes[-1]
        own = kind if is_real else "ifft" if kind in ("ifft", "irfft") else "fft"
        steps = steps_along(own, length, shape, axis, x.dtype, scale if at_end else 1.0)
        if steps is None:
            return None
        if is_real:
            shape[axis] = length // 2 + 1 if kind == "rfft" else length
        for number, step in enumerate(steps):
            is_last = number == len(steps) - 1
            dtype = out.dtype if is_last and at_end else dtypes.complex_dtype(dtypes.real_part_dtype(out.dtype))
            result = tuple(shape) if is_last else step.shape
            table = table_of(step, dtype)
            tables[var := Var(table.aval)] = table
            eqns.append(equation(fft_step_p, [atom, var], step=step, out=Aval(result, dtype)))
            atom = eqns[-1].outs[0]
    return Program([start], eqns, [atom], tuple(tables), tuple(tables.values()), name="fft")


# Kernels

Load = Callable[[Any, Any], Complex]
"""The element in a row and a column."""
Put = Callable[[Any, Any, Complex], None]
Place = Callable[[Any, Any], tuple[Any, Any]]
"""The same of an array of `inner` columns."""
_PAIRS = {"f32": "c64", "f64": "c128"}


class _Access:
    """Access to the operands and the result of a step.

    Args:
        b: builds the kernel.
        operands: what is transformed, and the table.
        out: the result.
        step: the step.
    """

    def __init__(self, b: Builder, operands: Sequence[Operand], out: Operand, step: Step):
        self.b, self.step, self.out = b, step, out
        self.x, self.table = operands
        self.dtype = dtypes.real_part_dtype(out.aval.dtype)
        self.type = loops.type_of(self.dtype)
        for operand, in_rows in ((self.x, step.from_rows), (out, step.to_rows)):
            if not in_rows:  # pairs of real numbers lie as complex ones do
                operand.buffer.type = _PAIRS[self.type]

    def factor(self, position: Any) -> Complex:
        """A number of the table."""
        return Complex(self.table.at(position), self.table.at(position + self.table.aval.shape[1]))

    def given(self, at: Place) -> Load:
        """Access to the operand."""
        step = self.step
        is_swapped = step.loads_swapped and not step.joins

        def load(row: Any, column: Any) -> Complex:
            places = _parts_at(*at(row, column), step.inner, step.from_rows)
            parts = [self.b.load(self.x.buffer, place) for place in places]
            return Complex(*parts[::-1]) if is_swapped else Complex(*parts)

        return load

    def wanted(self, at: Place) -> Put:
        """Access to the result."""
        step = self.step

        def put(row: Any, column: Any, value: Complex) -> None:
            parts = [value.real, value.imag]
            if step.scale != 1:
                parts = [part * step.scale for part in parts]
            places = _parts_at(*at(row, column), step.inner, step.to_rows)
            for place, part in zip(places, parts[::-1] if step.stores_swapped else parts, strict=True):
                self.b.store(self.out.buffer, place, part)

        return put

    def kept(self, buffer: Buffer, width: int, half: int) -> tuple[Load, Put]:
        """Access to a buffer of rows of that width, in which imaginary parts begin at `half`."""
        b = self.b

        def load(row: Any, column: Any) -> Complex:
            at = row * width + column
            return Complex(b.load(buffer, at), b.load(buffer, at + half))

        def put(row: Any, column: Any, value: Complex) -> None:
            at = row * width + column
            b.store(buffer, at, value.real)
            b.store(buffer, at + half, value.imag)

        return load, put


class _Transform(_Access):
    """Builds the kernel of a step that transforms.

    Fields:
        width: columns side by side; 1 for rows.
        stages: of the transform.
        buffers: from which the next stage goes, and to which: the real parts of all elements, then the imaginary ones.
        half: where the imaginary parts begin.
        more: where the table goes on behind what is for the stages.
    """

    def __init__(self, b: Builder, operands: Sequence[Operand], out: Operand, step: Step):
        super().__init__(b, operands, out, step)
        self.width = 1 if step.is_rows else width_of(step, self.dtype)
        self.stages = stages_of(step.length)
        self.more = self.stages[-1].end
        self.half = (step.length + step.joins) * self.width
        type, count = (_PAIRS[self.type], self.half) if step.is_first else (self.type, 2 * self.half)
        self.buffers = [b.scratch(type, count) for _ in range(2)]

    def build(self) -> None:
        step = self.step
        (self.rows if step.is_rows else self.first if step.is_first else self.columns)()
        self.b.kernel.cost = 0.5 * step.length * self.width * max(1, math.log2(step.length))

    def source(self) -> Load:
        """Access to what the next stage goes from."""
        return self.kept(self.buffers[0], self.width, self.half)[0]

    def target(self) -> Put:
        """Access to what it goes to."""
        return self.kept(self.buffers[1], self.width, self.half)[1]

    # The three ways

    def rows(self) -> None:
        """A row a task."""
        step, b = self.step, self.b
        number = b.parallel(step.outer)
        load = self.given(lambda row, column: (number * (step.length + step.joins) + row + column, 0))
        put = self.wanted(lambda row, column: (number * (step.length + step.halves) + row + column, 0))
        if step.joins:
            keep = self.target()
            b.lanes(step.length + 1, lambda k: keep(k, 0, load(k, 0)))
            self.buffers.reverse()
            load = self.source()
        split = stages_along_rest(self.stages)

        def transposed(before: int, rest: int) -> None:
            source, target = self.buffers
            for part in (0, self.half):
                b.transpose(target, part, before, source, part, rest, before, rest)
            self.buffers.reverse()

        def stage(number: int, stage: Stage, load: Load, put: Put) -> None:
            if number == split and number:
                transposed(stage.before, stage.rest * stage.radix)
                load, put = self.source(), put if stage.is_last and not step.halves else self.target()
            if number < split:
                self.along_rest(stage, load, put)
            else:
                self.along_done(stage, load, put, True)

        self.transform(load, put, stage)

    def columns(self) -> None:
        """Some columns of one transform a task."""
        step, b, width = self.step, self.b, self.width
        extents = (step.outer, step.rest, -(-step.inner // width))
        number, p, block = loops.unravel(b.parallel(size(extents)), extents)
        first, n = self.begin(block, step.inner), step.length
        load = self.given(lambda j, q: ((number * (n + step.joins) + j) * step.rest + p, first + q))
        plain = self.wanted(lambda k, q: ((number * step.rest + p) * (n + step.halves) + k, first + q))

        def put(row: Any, column: Any, value: Complex) -> None:
            plain(row, column, _product(value, self.factor(p * n + row + self.more)))

        self.blocks(load, put if step.rest > 1 else plain)

    def first(self) -> None:
        """Neighbouring transforms, of which each becomes a row of the result."""
        step, b, width = self.step, self.b, self.width
        blocks = -(-step.rest // width)
        number, block = loops.unravel(b.parallel(step.outer * blocks), (step.outer, blocks))
        first = self.begin(block, step.rest)
        load = self.given(lambda j, p: ((number * step.length + j) * step.rest + (first + p), 0))
        fine = self.more + blocks * step.length
        target = self.buffers[len(self.stages) % 2]

        def put(row: Any, column: Any, value: Complex) -> None:
            coarse = self.factor(block * step.length + row + self.more)
            value = _product(value, _product(self.factor(row * width + column + fine), coarse))
            for part, x in enumerate((value.real, value.imag)):
                b.store(target, (row * width + column) * 2 + part, x)

        self.blocks(load, put)
        known = block * width - first  # by the block before, with other bits: factors are rounded there in another way
        start = (number * step.rest + first + known) * step.length
        b.transpose(self.out.buffer, start, step.length, target, known, width, step.length, width - known)

    def begin(self, block: Expr, extent: int) -> Any:
        """The first column of a block; the last block begins earlier where columns are left over."""
        first = block * self.width
        return first if extent % self.width == 0 else loops.apply("min", first, extent - self.width)

    def blocks(self, load: Load, put: Put) -> None:
        """Transform columns side by side."""

        def stage(number: int, stage: Stage, load: Load, put: Put) -> None:
            is_inside = (number > 0 or self.step.joins) and (not stage.is_last or self.step.halves)
            self.along_done(stage, load, put, is_inside)

        self.transform(load, put, stage)

    def transform(self, load: Load, put: Put, stage_of: Callable) -> None:
        """All stages, and what comes before and after them where pairs of real numbers are transformed."""
        if self.step.joins:
            self.mirror(_Mirror(self, load, self.target(), self.more))
            self.buffers.reverse()
            load = self.source()
        for number, stage in enumerate(self.stages):
            is_kept = not stage.is_last or self.step.halves
            stage_of(number, stage, load, self.target() if is_kept else put)
            self.buffers.reverse()
            load = self.source()
        if self.step.halves:
            self.mirror(_Mirror(self, load, put, self.more))

    def mirror(self, mirror: "_Mirror") -> None:
        """Halve or join, at all places."""
        b, width, length = self.b, self.width, self.step.length
        if width == 1:
            mirror.ends(0)
            b.lanes(length - 1, lambda k: mirror.inside(k + 1, 0))
        else:
            b.lanes(width, mirror.ends)
            b.loop(length - 1, [], lambda k: b.lanes(width, lambda q: mirror.inside(k + 1, q)))

    # Stages

    def along_done(self, stage: Stage, load: Load, put: Put, is_even: bool) -> None:
        """A stage whose lanes are what has been transformed already, and columns.

        Args:
            stage: the stage.
            load, put: access to the elements before and after.
            is_even: rows follow each other like their columns, in both.
        """
        b, radix, rest, before = self.b, stage.radix, stage.rest, stage.before

        def group(p: Any) -> None:
            turns = [] if stage.is_last else [self.factor(p * (radix - 1) + k + stage.table) for k in range(radix - 1)]

            def point(i: Any, column: Any) -> None:
                values = transformed([load(i + (p + rest * j) * before, column) for j in range(radix)])
                for k, value in enumerate(values):
                    put(i + (p * radix + k) * before, column, _product(value, turns[k - 1]) if k and turns else value)

            if is_even:
                parts, width = _cut(before * self.width)
                b.loop(parts, [], lambda i: b.lanes(width, lambda q: point(0, i * width + q)))
            else:
                b.loop(before, [], lambda i: b.lanes(self.width, lambda q: point(i, q)))

        b.loop(rest, [], group)

    def along_rest(self, stage: Stage, load: Load, put: Put) -> None:
        """A stage of one row whose lanes are what is left to transform."""
        b, radix, rest, before = self.b, stage.radix, stage.rest, stage.before
        parts, width = _cut(rest)

        def point(q: Any, p: Any) -> None:
            values = transformed([load(q * (radix * rest) + p + rest * j, 0) for j in range(radix)])
            for k, value in enumerate(values):
                turned = _product(value, self.factor(p + (k - 1) * rest + stage.table)) if k else value
                put((q + before * k) * rest + p, 0, turned)

        def group(q: Any) -> None:
            b.loop(parts, [], lambda part: b.lanes(width, lambda lane: point(q, part * width + lane)))

        b.loop(before, [], group)


class _Mirror:
    """Between the transform of pairs of real numbers and half the spectrum of these.

    Args:
        access: to the table.
        load, put: access to the elements before and after.
        table: where the factors begin.
    """

    def __init__(self, access: _Access, load: Load, put: Put, table: int):
        self.access, self.load, self.put, self.table = access, load, put, table
        self.length, self.joins = access.step.length, access.step.joins

    def ends(self, q: Any) -> None:
        """The first element, and the last one of the spectrum, in a column."""
        first = self.load(0, q)
        if self.joins:
            last = self.load(self.length, q)
            self.put(0, q, Complex(first.real - last.real, first.real + last.real))
        else:
            zero = loops.const(0, first.real.type)
            self.put(0, q, Complex((first.real + first.imag) * 2.0, zero))
            self.put(self.length, q, Complex((first.real - first.imag) * 2.0, zero))

    def inside(self, k: Any, q: Any) -> None:
        """Another one."""
        self.put(k, q, self.element(self.load(k, q), self.load(self.length - k, q), k))

    def element(self, x: Complex, mirrored: Complex, k: Any) -> Complex:
        """Twice an element of the spectrum, or the other way, with parts in each other's places.

        Args:
            x, mirrored: the element of the operand there and the one opposite.
            k: its number.
        """
        turn = self.access.factor(k + self.table)
        turn = Complex(turn.real, -turn.imag) if self.joins else turn
        odd = _product(Complex(x.real - mirrored.real, x.imag + mirrored.imag), turn)
        if self.joins:
            return Complex(x.imag - mirrored.imag + odd.real, x.real + mirrored.real - odd.imag)
        return Complex(x.real + mirrored.real + odd.imag, x.imag - mirrored.imag - odd.real)


class _Halving(_Access):
    """Builds the kernel of a step that only halves or joins: some elements a task."""

    def build(self) -> None:
        step, b = self.step, self.b
        parts = -(-(step.length - 1) // _LONGEST_LOOP)
        extents = (step.outer, parts if step.inner == 1 else step.length)
        number, part = loops.unravel(b.parallel(size(extents)), extents)
        load = self.given(lambda k, q: (number * (step.length + step.joins) + k, q))
        put = self.wanted(lambda k, q: (number * (step.length + step.halves) + k, q))
        mirror = _Mirror(self, load, put, 0)
        if step.inner == 1:
            b.if_(loops.eq(part, 0), lambda: mirror.ends(0))
            self.some(mirror, part)
            b.kernel.cost = 8.0 * _LONGEST_LOOP
        else:
            b.if_(
                loops.eq(part, 0), lambda: b.lanes(step.inner, mirror.ends),
                lambda: b.lanes(step.inner, lambda q: mirror.inside(part, q)),
            )  # fmt: skip
            b.kernel.cost = 8.0 * step.inner

    def some(self, mirror: _Mirror, part: Expr) -> None:
        """Elements of a row that follow each other; those opposite are read from a copy, backwards."""
        b, length, count = self.b, self.step.length, min(_LONGEST_LOOP, self.step.length - 1)
        first = loops.apply("min", part * count, length - 1 - count) + 1
        load, keep = self.kept(b.scratch(self.type, 2 * count), 1, count)
        b.lanes(count, lambda i: keep(i, 0, mirror.load(length - first - (count - 1) + i, 0)))

        def one(i: Expr) -> None:
            k = first + i
            mirror.put(k, 0, mirror.element(mirror.load(k, 0), load(count - 1 - i, 0), k))

        b.lanes(count, one)


def _cut(count: int) -> tuple[int, int]:
    """Loops over lanes, and their lengths, that together are `count` long."""
    parts = next(d for d in range(-(-count // _LONGEST_LOOP), count + 1) if count % d == 0)
    return parts, count // parts


def _parts_at(row: Any, column: Any, inner: int, in_rows: bool) -> list[Any]:
    """Where the real and the imaginary part of an element lie."""
    if in_rows:
        return [(row * 2 + part) * inner + column for part in (0, 1)]
    return [(row * inner + column) * 2 + part for part in (0, 1)]


def _product(x: Complex, y: Complex) -> Complex:
    real = loops.apply("muladd", -x.imag, y.imag, x.real * y.real)
    return Complex(real, loops.apply("muladd", x.imag, y.real, x.real * y.imag))


# Transforms of a few elements


def transformed(x: list[Complex]) -> list[Complex]:
    """The transform of as many elements as a stage's radix."""
    count = len(x)
    if count == 1:
        return x
    if count == 2:
        return [x[0] + x[1], x[0] - x[1]]
    if count in (4, 8):
        even, odd = transformed(x[::2]), transformed(x[1::2])
        odd = [_turned(value, k * 8 // count) for k, value in enumerate(odd)]
        return [a + b for a, b in zip(even, odd, strict=True)] + [a - b for a, b in zip(even, odd, strict=True)]
    return _odd(x)


def _turned(x: Complex, eighths: int) -> Complex:
    """A number times exp(-2 pi i eighths / 8), for up to 3 eighths."""
    if eighths == 0:
        return x
    if eighths == 2:
        return Complex(x.imag, -x.real)
    root = math.sqrt(0.5)
    if eighths == 1:
        return Complex((x.real + x.imag) * root, (x.imag - x.real) * root)
    return Complex((x.imag - x.real) * root, (x.real + x.imag) * -root)


def _odd(x: list[Complex]) -> list[Complex]:
    """The transform of an odd number of elements: those at equal distances from the first one share products."""
    count, half = len(x), len(x) // 2 + 1
    sums = [x[j] + x[count - j] for j in range(1, half)]
    differences = [x[j] - x[count - j] for j in range(1, half)]
    total = functools.reduce(lambda a, b: a + b, sums, x[0])
    front, back = [total], []
    for k in range(1, half):
        angles = [2 * math.pi * (j * k % count) / count for j in range(1, half)]
        along = _weighted(x[0], sums, [math.cos(a) for a in angles])
        across = _weighted(None, differences, [math.sin(a) for a in angles])
        front.append(Complex(along.real + across.imag, along.imag - across.real))
        back.append(Complex(along.real - across.imag, along.imag + across.real))
    return front + back[::-1]


def _weighted(start: Complex | None, values: Sequence[Complex], weights: Sequence[float]) -> Complex:
    """The sum of values times weights."""
    parts = []
    for part in ("real", "imag"):
        total = None if start is None else getattr(start, part)
        for value, weight in zip(values, weights, strict=True):
            x = getattr(value, part)
            total = x * weight if total is None else loops.apply("muladd", x, weight, total)
        parts.append(total)
    return Complex(*parts)


# The primitive: only lower rules bind it


def _step_lower(x: Aval, table: Aval, *, step: Step, out: Aval) -> Native:
    return Native(_build)


def _build(b: Builder, operands: list[Operand], results: list[Operand], *, step: Step, out: Aval) -> None:
    (_Halving if step.is_bare else _Transform)(b, operands, results[0], step).build()


fft_step_p.define(abstract=lambda x, table, *, step, out: out, lower=_step_lower).refuse(
    **dict.fromkeys(("impl", "jvp", "transpose", "batch", "onnx"), "it is a part of fft in compiled code"),
)
