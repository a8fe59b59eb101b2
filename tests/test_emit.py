"""Kernels of the loop IR as machine code, against an interpreter in NumPy's scalars, bit for bit."""

import ctypes
import mmap
import sys
from collections.abc import Callable, Sequence
from typing import Any

import loop_interpreter
import loop_machine
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_machine import LEVELS

from nrx.compiler import targets
from nrx.compiler.emit import MAX_SCRATCH, emit_kernel
from nrx.core import dtypes, loops
from nrx.core.dtypes import from_short_name
from nrx.core.loops import FLOAT_TYPES, INT_TYPES, Builder, Expr

pytest.importorskip("llvmlite")

ALL_TYPES = ("bool", *INT_TYPES, *FLOAT_TYPES)
FP8_TYPES = tuple(dtypes.short_name(d) for d in dtypes.FP8)
FLOAT_OPS = "add sub mul div neg abs min max fma sqrt floor ceil rint trunc copysign eq ne lt le gt ge".split()
INT_OPS = (
    "add sub mul div rem neg abs min max and or xor not shl lshr ashr popcount clz eq ne lt le gt ge".split()
)
BOOL_OPS = "add mul min max and or xor not eq ne".split()
ARITY = {**dict.fromkeys("neg abs sqrt floor ceil rint trunc not popcount clz".split(), 1), "fma": 3}

levels = pytest.mark.parametrize("level", LEVELS)

Build = Callable[[Builder, list], None]


def fenced(array: np.ndarray) -> np.ndarray:
    """A copy whose end is followed by memory that must not be touched."""
    page = mmap.PAGESIZE
    size = -(-max(array.nbytes, 1) // page) * page
    memory = mmap.mmap(-1, size + page)
    if sys.platform == "linux":
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + size), ctypes.c_size_t(page), 0) == 0
    copy = np.frombuffer(memory, np.uint8, array.nbytes, size - array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def bits(array: np.ndarray) -> np.ndarray:
    """The elements' bits; those of all NaNs are equal."""
    array = loop_interpreter.flat(array)
    if array.dtype.kind not in "biu":
        with np.errstate(all="ignore"):
            wide = array.astype(np.float64)
        array = np.where(np.isnan(wide), np.array(np.nan, array.dtype), array)
    return np.ascontiguousarray(array).view(f"u{array.itemsize}")


def check(
    build: Build, memory: Sequence[np.ndarray], outputs: int, level: str, dims: Sequence[int] = (), **options: Any
) -> None:
    """Compare a kernel with the interpreter.

    Args:
        build: writes it, given the buffers.
        memory: what they hold; the last `outputs` are written.
        dims: values of symbolic dimensions, which come after the buffers.
    """
    b = Builder("test")
    inputs = len(memory) - outputs
    buffers: list = [
        b.buffer(f"m{n}", loops.type_of(array.dtype), n < inputs) for n, array in enumerate(memory)
    ]
    b.kernel.dims = [Expr("dim", "i64") for _ in dims]
    build(b, [*buffers, *b.kernel.dims])
    expected = [array.copy() for array in memory]
    loop_interpreter.run(b.kernel, expected, dims)
    actual = [fenced(array) for array in memory]
    loop_machine.run(b.kernel, actual, dims, level, **options)
    for number, (want, got) in enumerate(zip(expected, actual, strict=True)):
        np.testing.assert_array_equal(bits(got), bits(want), f"buffer {number}")


def samples(type: str, count: int, seed: int = 0) -> np.ndarray:
    """Numbers of a type, the special ones first."""
    rng = np.random.default_rng(seed)
    dtype = from_short_name(type)
    random = rng.integers(0, 256, (count, dtype.itemsize), np.uint8).view(dtype)[:, 0]
    if type == "bool":
        return rng.integers(0, 2, count).astype(bool)
    if type in INT_TYPES:
        limits = dtypes.iinfo(dtype)
        special = np.array([0, 1, limits.max, limits.min, limits.max - 1, 2, 3], dtype)
        small = rng.integers(0 if type[0] == "u" else -9, 9, count).astype(dtype)
        random = np.where(rng.integers(0, 2, count).astype(bool), random, small)
        if type[0] == "i":
            special = np.append(special, np.array([-1, -2], dtype))
    else:
        with np.errstate(all="ignore"):
            special = np.array(
                [0.0, -0.0, 1, -1, np.nan, np.inf, -np.inf, 0.5, 1.5, 2.5, -2.5, 1e-40, -1e-42, 3e38, 1 + 2**-11,
                 1 + 3 * 2**-11, 65504, 65519.9, 65520, 2**-24, 2**-25, 1.0000001 * 2**-25, 448, 464, 464.1]
            ).astype(dtype)  # fmt: skip
            near = (rng.standard_normal(count) * 4).astype(dtype)
        random = np.where(rng.integers(0, 2, count).astype(bool), random, near)
    out = np.concatenate([special, random])[:count]
    return rng.permutation(out) if seed else out


# --- Operations -------------------------------------------------------------------------------------------------------


def ops_of(type: str) -> list[str]:
    return BOOL_OPS if type == "bool" else INT_OPS if type in INT_TYPES else FLOAT_OPS


@levels
@pytest.mark.parametrize("type", ALL_TYPES)
def test_operations(type: str, level: str) -> None:
    ops, count = ops_of(type), 61
    inputs = [samples(type, count, seed) for seed in range(3)]
    outputs = [np.zeros(count, bool if op in loops.COMPARISONS else from_short_name(type)) for op in ops]

    def build(b: Builder, buffers: list) -> None:
        def body(i: Expr) -> None:
            operands = [b.load(buffer, i) for buffer in buffers[:3]]
            for op, buffer in zip(ops, buffers[3:], strict=True):
                args = operands[: ARITY.get(op, 2)]
                result = "bool" if op in loops.COMPARISONS else type
                b.store(buffer, i, Expr(op, result, tuple(args)))

        b.lanes(count, body)

    check(build, [*inputs, *outputs], len(ops), level)


@levels
@pytest.mark.parametrize("type", INT_TYPES)
def test_division_by_constants(type: str, level: str) -> None:
    divisors = [0, 1, 2, 7, *([-1, -2, -7] if type[0] == "i" else [])]
    count = 37

    def build(b: Builder, buffers: list) -> None:
        def body(i: Expr) -> None:
            x = b.load(buffers[0], i)
            for number, divisor in enumerate(divisors):
                y = b.const(divisor, type)
                b.store(buffers[1], i + number * count, Expr("div", type, (x, y)))
                b.store(buffers[2], i + number * count, Expr("rem", type, (x, y)))

        b.lanes(count, body)

    out = np.zeros(len(divisors) * count, from_short_name(type))
    check(build, [samples(type, count), out, out], 2, level)


@levels
@pytest.mark.parametrize("source", [*ALL_TYPES, *FP8_TYPES])
def test_conversions(source: str, level: str) -> None:
    targets_ = [*ALL_TYPES, *FP8_TYPES]
    data = samples(source, 400, 1)
    if from_short_name(source).itemsize == 1 and source != "bool":
        data = np.arange(256, dtype=np.uint8).view(from_short_name(source))
    elif from_short_name(source).itemsize == 2:
        data = np.arange(0, 65536, 97, dtype=np.uint16).view(from_short_name(source))
    elif source in ("f32", "f64"):
        codes = np.arange(256, dtype=np.uint8)
        values = np.concatenate([codes.view(from_short_name(t)).astype(np.float64) for t in FP8_TYPES])
        values = np.unique(values[np.isfinite(values)])
        between = (values[1:] + values[:-1]) / 2
        limits = np.array([s * 2.0**k + d for k in (7, 8, 15, 16, 31, 32, 63, 64) for s in (1, -1) for d in (-1, 0, 1)])
        with np.errstate(all="ignore"):
            data = np.concatenate(
                [data, values, between, between * (1 + 2**-20), between * (1 - 2**-20), limits, limits * (1 - 2**-24)]
            ).astype(data.dtype)

    def build(b: Builder, buffers: list) -> None:
        def body(i: Expr) -> None:
            for type, buffer in zip(targets_, buffers[1:], strict=True):
                b.store(buffer, i, loops.convert(b.load(buffers[0], i), type))

        b.lanes(len(data), body)

    check(build, [data, *[np.zeros(len(data), from_short_name(t)) for t in targets_]], len(targets_), level)


@levels
def test_bitcasts(level: str) -> None:
    def build(b: Builder, buffers: list) -> None:
        def body(i: Expr) -> None:
            b.store(buffers[2], i, loops.bitcast(b.load(buffers[0], i), "u32"))
            b.store(buffers[3], i, loops.bitcast(loops.bitcast(b.load(buffers[1], i), "i16") ^ 3, "bf16"))

        b.lanes(40, body)

    check(build, [samples("f32", 40), samples("bf16", 40), np.zeros(40, "u4"), np.zeros(40, dtypes.bfloat16)], 2, level)


# --- Loops over lanes -------------------------------------------------------------------------------------------------


@levels
@pytest.mark.parametrize("symbolic", [False, True])
def test_every_extent(level: str, symbolic: bool) -> None:
    """Mixed widths, three accumulators, extents around the numbers of lanes."""
    for extent in range(71):
        if not symbolic and extent % 5 and extent not in (1, 2, 3, 4, 8, 16, 32, 64):
            continue
        memory = [
            samples("f32", extent, 1), samples("i32", extent, 2), samples("bool", extent, 3), np.zeros(extent, "f4"),
            np.zeros(extent, bool), np.zeros(3, "i4"),
        ]  # fmt: skip

        def build(b: Builder, buffers: list, extent: int = extent) -> None:
            x, y, z, out, flags, totals, *dims = buffers

            def body(i: Expr) -> list[Expr]:
                a, n = b.load(x, i), b.load(y, i)
                b.store(out, i, loops.select(b.load(z, i), a * 2.0, loops.convert(n, "f32")))
                b.store(flags, i, a < 1.0)
                return [n, n, loops.convert(i, "i32")]

            def combine(left: Sequence[Expr], right: Sequence[Expr]) -> list[Expr]:
                first = (right[1] > left[1]) | (loops.eq(right[1], left[1]) & (right[2] < left[2]))
                return [left[0] + right[0], *[loops.select(first, right[k], left[k]) for k in (1, 2)]]

            inits = [b.const(0, "i32"), b.const(-(2**31), "i32"), b.const(2**31 - 1, "i32")]
            for number, total in enumerate(b.lanes(dims[0] if dims else extent, body, inits, combine)):
                b.store(totals, number, total)

        check(build, memory, 3, level, [extent] if symbolic else [])


@levels
def test_sum_is_near_and_the_same_every_time(level: str) -> None:
    data = np.random.default_rng(0).standard_normal(1003).astype("f4")
    b = Builder("sum")
    x, y = b.buffer("x", "f32", True), b.buffer("y", "f32")
    (total,) = b.lanes(1003, lambda i: [b.load(x, i)], [b.const(0.0, "f32")], lambda a, v: [a[0] + v[0]])
    b.store(y, 0, total)
    outs = [np.zeros(1, "f4") for _ in range(2)]
    for out in outs:
        loop_machine.run(b.kernel, [data, out], level=level)
    assert outs[0] == outs[1]
    np.testing.assert_allclose(outs[0], data.astype("f8").sum(), rtol=1e-5)


@levels
@pytest.mark.parametrize("type", ["f32", "f64", "i8", "bool", "bf16"])
@pytest.mark.parametrize("extent", [5, 16, 43])
def test_strides(type: str, extent: int, level: str) -> None:
    """Positions lane * stride, backwards, constant, computed and loaded."""
    data = samples(type, 4 * extent, 1)
    index = np.random.default_rng(1).integers(0, 4 * extent, extent).astype("i4")
    outs = [np.zeros(4 * extent, data.dtype) for _ in range(5)]

    def build(b: Builder, buffers: list) -> None:
        x, where, *out = buffers

        def body(i: Expr) -> None:
            b.store(out[0], i, b.load(x, i * 3 + 1))
            b.store(out[0], i + extent, b.load(x, i * -1 + extent))
            b.store(out[0], i + 2 * extent, b.load(x, 2))
            b.store(out[0], i + 3 * extent, b.load(x, loops.mod(i, 3) * extent + loops.floordiv(i, 3)))
            b.store(out[1], i * 2 + 1, b.load(x, loops.convert(b.load(where, i), "i64")))
            b.store(out[2], i * -1 + (extent - 1), b.load(x, i))
            b.store(out[3], loops.mod(i, 5) * 10 + loops.floordiv(i, 5), b.load(x, i * 2))
            b.store(out[4], i * 2, b.load(x, i * 2 + 1))
            b.store(out[4], i * 2 + 1, b.load(x, i * 2))

        b.lanes(extent, body)

    if extent > 40:
        outs[3] = np.zeros(100, data.dtype)
    outs[3] = np.zeros(60, data.dtype)
    check(build, [data, index, *outs], 5, level)


@levels
def test_complex_numbers(level: str) -> None:
    data = np.stack([samples("f32", 90, 1), samples("f32", 90, 2)], 1).view(np.complex64)[:, 0]

    def build(b: Builder, buffers: list) -> None:
        x, y = buffers

        def body(i: Expr) -> None:
            z = loops.Complex(b.load(x, i * 2), b.load(x, i * 2 + 1))
            w = z * z + z
            b.store(y, i * 2, w.real)
            b.store(y, i * 2 + 1, -w.imag)

        b.lanes(90, body)

    check(build, [data, np.zeros(90, np.complex64)], 1, level)


@levels
def test_last_of_stores_to_one_place(level: str) -> None:
    """The interpreter runs lanes backwards, here the last one is the first of its."""

    def build(b: Builder, buffers: list) -> None:
        b.lanes(1, lambda i: b.store(buffers[1], i * 0, b.load(buffers[0], i)))
        b.lanes(9, lambda i: b.store(buffers[1], 1, b.load(buffers[0], 3)))

    check(build, [samples("f32", 9), np.zeros(2, "f4")], 1, level)


# --- Other statements -------------------------------------------------------------------------------------------------


@levels
@pytest.mark.parametrize("counts", [(0, 0), (1, 3), (3, 1), (4, 7), (9, 33)])
@pytest.mark.parametrize("symbolic", [False, True])
def test_nested_loops(counts: tuple[int, int], symbolic: bool, level: str) -> None:
    """Horner's rule in lanes, matrix products in order, of constant and symbolic extents."""
    rows, columns = counts
    memory = [samples("f64", rows * columns, 1), samples("f64", columns, 2), np.zeros(columns), np.zeros(rows)]
    memory = [np.nan_to_num(m, posinf=1, neginf=2) % 10 for m in memory]

    def build(b: Builder, buffers: list) -> None:
        a, x, powers, product, *dims = buffers
        m, n = dims or counts

        def power(i: Expr) -> None:
            b.store(powers, i, b.loop(m, [b.load(x, i)], lambda k, acc: [acc * b.load(x, i) + b.load(a, n * k + i)])[0])

        b.lanes(n, power)

        def row(i: Expr) -> list:
            zero = b.const(0.0, "f64")
            (total,) = b.loop(n, [zero], lambda k, acc: [acc + b.load(a, n * i + k) * b.load(x, k)])
            b.store(product, i, total)
            return []

        b.loop(m, [], row)

    check(build, memory, 2, level, counts if symbolic else ())


@levels
@pytest.mark.parametrize("extent", [3, 21])
def test_lanes_that_part(extent: int, level: str) -> None:
    """Conditionals and while loops whose conditions differ from lane to lane."""
    memory = [
        np.random.default_rng(3).integers(1, 60, extent).astype("i8"), samples("f32", extent), np.zeros(extent, "i4"),
        np.zeros(extent, "f4"), np.full(extent, 7, "f4"), np.zeros(2, "i4"),
    ]  # fmt: skip

    def build(b: Builder, buffers: list) -> None:
        x, y, steps, roots, some, totals = buffers

        def collatz(i: Expr) -> list[Expr]:
            n = loops.convert(b.load(x, i), "i32")

            def next(n: Expr, count: Expr) -> list[Expr]:
                odd = loops.eq(n & 1, 1)
                return [loops.select(odd, n * 3 + 1, Expr("ashr", "i32", (n, b.const(1, "i32")))), count + 1]

            _, count = b.while_([n, b.const(0, "i32")], lambda n, _: n > 1, next)
            b.store(steps, i, count)
            v = b.load(y, i)

            def positive() -> list[Expr]:
                b.store(some, i, v * 2.0)
                (total,) = b.loop(6, [v], lambda k, s: [s * 0.5 + b.load(y, k % 3 if isinstance(k, int) else loops.mod(k, 3))])
                return [loops.apply("sqrt", total)]

            (root,) = b.if_(v > 0.0, positive, lambda: [v])
            b.store(roots, i, root)
            return [count]

        (total,) = b.lanes(extent, collatz, [b.const(0, "i32")], lambda a, v: [a[0] + v[0]])
        b.store(totals, 0, total)

    check(build, memory, 4, level)


@levels
@pytest.mark.parametrize("flag", [False, True])
def test_conditionals(flag: bool, level: str) -> None:
    memory = [np.array([flag]), samples("f32", 40), np.zeros(40, "f4"), np.zeros(40, "f4")]

    def build(b: Builder, buffers: list) -> None:
        flag, x, y, z = buffers
        condition = b.load(flag, 0)

        def body(i: Expr) -> None:
            (v,) = b.if_(condition, lambda: [b.load(x, i) * 3.0], lambda: [b.const(1.5, "f32")])
            b.store(y, i, v)

        b.lanes(40, body)

        def then() -> list[Expr]:
            (n,) = b.while_([b.const(0, "i32")], lambda n: n < 10, lambda n: [n + 3])
            b.lanes(40, lambda i: b.store(z, i, b.load(x, i) + loops.convert(n, "f32")))
            return [n]

        (n,) = b.if_(condition, then, lambda: [b.const(-1, "i32")])
        b.store(z, 0, loops.convert(n, "f32"))
        b.if_(~condition, lambda: b.store(z, 1, b.const(5.0, "f32")))

    check(build, memory, 2, level)


@levels
def test_nothing_is_read_where_nothing_runs(level: str) -> None:
    """Readonly loads float out of loops, but not past what decides whether they run: here all pointers are null."""
    b = Builder("null")
    x, y = b.buffer("x", "f32", True), b.buffer("y", "f32")
    n = Expr("dim", "i64")
    b.kernel.dims.append(n)

    def body(i: Expr) -> list:
        b.lanes(n, lambda j: b.store(y, j, b.load(x, i) + b.load(x, 0) + b.load(x, j)))
        b.if_(n > 3, lambda: b.store(y, 0, b.load(x, 7)))
        b.while_([i], lambda k: k < n, lambda k: [k + loops.convert(b.load(x, 5), "i64")])
        return []

    b.loop(n, [], body)
    b.loop(4, [], body)
    loop_machine.run(b.kernel, [np.lib.stride_tricks.as_strided(np.zeros(0, "f4"), (0,))] * 2, [0], level)
    words = b.kernel  # the same with pointers that are null for certain

    class Null:
        class ctypes:  # noqa: N801
            data = 0

    loop_machine.run(words, [Null, Null], [0], level)  # type: ignore[list-item]


@levels
def test_writable_memory_is_read_at_its_place(level: str) -> None:
    def build(b: Builder, buffers: list) -> None:
        x, y = buffers

        def body(i: Expr) -> list:
            before = b.load(y, 0)
            b.store(y, 0, before + b.load(x, i))
            after = b.load(y, 0)
            b.store(y, i + 1, after * 2.0 + before)
            return []

        b.loop(9, [], body)
        b.loop(3, [], body)

    check(build, [np.arange(9, dtype="f4"), np.arange(10, dtype="f4")], 1, level)


@levels
def test_tasks(level: str) -> None:
    memory = [samples("f32", 77, 1), np.zeros(77, "f4")]

    def build(b: Builder, buffers: list) -> None:
        task = b.parallel(11)
        scratch = b.scratch("f32", 7)
        b.lanes(7, lambda i: b.store(scratch, i, b.load(buffers[0], task * 7 + i)))
        b.lanes(7, lambda i: b.store(buffers[1], task * 7 + i, b.load(scratch, 6 - i)))

    check(build, memory, 1, level)


@levels
@pytest.mark.parametrize("type", ["u8", "f32", "c128"])
def test_copies(type: str, level: str) -> None:
    dtype = from_short_name(type)

    def build(b: Builder, buffers: list) -> None:
        task = b.parallel(3)
        b.copy(buffers[1], task * 5, buffers[0], task * 5 + 1, 4)

    check(build, [np.arange(20).astype(dtype), np.zeros(20, dtype)], 1, level)


@pytest.mark.parametrize("type", ["f32", "f64"])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True)])
def test_products(type: str, accumulate: bool, transposed: tuple, level: str = LEVELS[-1]) -> None:
    dtype = from_short_name(type)
    real = {"f32": ctypes.c_float, "f64": ctypes.c_double}[type]
    i32, i64, ptr = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p

    @ctypes.CFUNCTYPE(None, i32, i32, i32, i64, i64, i64, real, ptr, i64, ptr, i64, real, ptr, i64)
    def gemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):  # type: ignore[no-untyped-def]
        def matrix(at: int, rows: int, columns: int, leading: int) -> np.ndarray:
            flat = np.ctypeslib.as_array(ctypes.cast(at, ctypes.POINTER(real)), (rows * leading,))
            return flat.reshape(rows, leading)[:, :columns]

        assert (order, alpha, beta) == (101, 1, int(accumulate))
        x = matrix(a, k, m, lda).T if ta == 112 else matrix(a, m, k, lda)
        y = matrix(b, n, k, ldb).T if tb == 112 else matrix(b, k, n, ldb)
        out = matrix(c, m, n, ldc)
        out[...] = x @ y + beta * out

    address = ctypes.cast(gemm, ptr).value
    assert address is not None

    def build(b: Builder, buffers: list) -> None:
        n = buffers[3]
        a = (buffers[0], 0, 3 if transposed[0] else 4, transposed[0])
        other = (buffers[1], 0, 4 if transposed[1] else n, transposed[1])
        b.gemm(type, 3, n, 4, a, other, (buffers[2], 0, n, False), accumulate)

    rng = np.random.default_rng(0)
    memory = [rng.integers(-9, 9, size).astype(dtype) for size in (12, 20, 15)]
    check(build, memory, 1, level, [5], table=[0, 0, *([address, 0] if type == "f32" else [0, address])])


# --- Random expressions -----------------------------------------------------------------------------------------------


@st.composite
def expressions(draw: Any) -> Callable[[list[Expr]], list[Expr]]:
    """A function from loaded values (of every type) to expressions of them."""
    count = draw(st.integers(1, 25))
    choices = [(draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6)))
               for _ in range(count)]  # fmt: skip

    def build(leaves: list[Expr]) -> list[Expr]:
        values = list(leaves)
        for what, first, second in choices:
            x = values[-1 - first % len(values)]
            peers = [v for v in values if v.type == x.type]
            y = peers[second % len(peers)]
            kind = what % 4
            if kind == 0:
                values.append(loops.convert(x, ALL_TYPES[second % len(ALL_TYPES)]))
            elif kind == 1:
                bools = [v for v in values if v.type == "bool"]
                values.append(loops.select(bools[what // 4 % len(bools)], x, y))
            else:
                ops = ops_of(x.type)
                op = ops[what // 4 % len(ops)]
                args = (x, y, peers[0])[: ARITY.get(op, 2)]
                values.append(Expr(op, "bool" if op in loops.COMPARISONS else x.type, args))
        return values[len(leaves) :]

    return build


@settings(max_examples=40, deadline=None)
@given(expressions(), st.integers(1, 40), st.integers(0, 9), st.sampled_from(LEVELS))
def test_random_expressions(expression: Callable, extent: int, seed: int, level: str) -> None:
    inputs = [samples(type, extent, seed + 1) for type in ALL_TYPES]
    trial = expression([Expr("x", type) for type in ALL_TYPES])

    def build(b: Builder, buffers: list) -> None:
        def body(i: Expr) -> None:
            leaves = [b.load(buffer, i if n % 4 else 0) for n, buffer in enumerate(buffers[: len(ALL_TYPES)])]
            for value, buffer in zip(expression(leaves), buffers[len(ALL_TYPES) :], strict=True):
                b.store(buffer, i, value)

        b.lanes(extent, body)

    outputs = [np.zeros(extent, from_short_name(value.type)) for value in trial]
    check(build, [*inputs, *outputs], len(outputs), level)


class RandomKernel:
    """Nested loops, conditionals and lanes over f32 and i32 values, drawn at random.

    What lanes store goes to places of their own, so that their order does not matter.
    """

    ROOM = 40

    def __init__(self, draw: Callable[[int], int], stores: int = 12):
        self.draw, self.stores = draw, stores

    def __call__(self, b: Builder, buffers: list) -> None:
        self.b, (self.x, self.k, self.y, *self.dims) = b, buffers
        self.lane: Expr | None = None
        self.block([b.load(self.x, 0), b.load(self.k, 1)], [], 0)

    def position(self, vars: list[Expr]) -> Any:
        """Somewhere in x or k."""
        position: Any = self.draw(self.ROOM)
        for var in vars[-2:]:
            position = position + var * (1, 1, 2, 3, -1)[self.draw(5)]
        return loops.clamp(position, self.ROOM - 1)

    def expression(self, values: list[Expr], vars: list[Expr]) -> Expr:
        kind = self.draw(6)
        x = values[self.draw(len(values))]
        peers = [v for v in values if v.type == x.type]
        y = peers[self.draw(len(peers))]
        if kind == 0:
            return self.b.load((self.x, self.k)[self.draw(2)], self.position(vars))
        if kind == 1 and vars:
            return loops.convert(vars[-1] + self.draw(9), ("f32", "i32")[self.draw(2)])
        if kind == 2:
            return loops.select(self.condition(values), x, y)
        if kind == 3:
            index = loops.clamp(loops.convert([v for v in values if v.type == "i32"][0], "i64"), self.ROOM - 1)
            return self.b.load(self.x, index)
        return (x + y, x * y, x - y)[self.draw(3)]

    def condition(self, values: list[Expr]) -> Expr:
        x = values[self.draw(len(values))]
        peers = [v for v in values if v.type == x.type]
        return x < peers[self.draw(len(peers))]

    def block(self, values: list[Expr], vars: list[Expr], depth: int) -> list[Expr]:
        """Statements; the last f32 and the last i32 value."""
        values = list(values)
        for _ in range(1 + self.draw(3)):
            values.append(self.expression(values, vars))
            if depth < 3:
                values += self.statement(values, vars, depth + 1)
        self.store(values[-1])
        return [[v for v in values if v.type == t][-1] for t in ("f32", "i32")]

    def store(self, value: Expr) -> None:
        if self.stores:
            self.stores -= 1
            at = self.stores * self.ROOM
            self.b.store(self.y, at if self.lane is None else self.lane + at, loops.convert(value, "f32"))

    def extent(self) -> Any:
        return self.dims[0] if self.draw(3) == 0 else (0, 1, 3, 5, 20, 37)[self.draw(4 if self.lane is not None else 6)]

    def statement(self, values: list[Expr], vars: list[Expr], depth: int) -> list[Expr]:
        b, kind = self.b, self.draw(6)
        inits = [[v for v in values if v.type == t][-1] for t in ("f32", "i32")]
        if kind == 0:
            return b.loop(self.extent(), inits, lambda i, *c: self.block([*values, *c], [*vars, i], depth))
        if kind == 1:
            then, other = [lambda: self.block(values, vars, depth)] * 2
            return b.if_(self.condition(values), then, other if self.draw(2) else lambda: inits)
        if kind == 2:
            limit = loops.convert(values[self.draw(len(values))], "i32") & 7
            start = b.const(0, "i32")
            return b.while_(
                [start, *inits], lambda n, *c: n < limit,
                lambda n, *c: [n + 1, *self.block([*values, *c], vars, depth)],
            )[1:]  # fmt: skip
        if kind == 3:
            extent = loops.mod(loops.convert(loops.convert(inits[1], "u8"), "i64"), 4)
            return b.loop(extent, inits, lambda i, *c: self.block([*values, *c], [*vars, i], depth))
        if kind in (4, 5) and self.lane is None:

            def body(i: Expr) -> list[Expr]:
                self.lane = i
                out = self.block(values, [*vars, i], depth)
                self.lane = None
                return [out[1], out[1]]

            def combine(x: Sequence[Expr], y: Sequence[Expr]) -> list[Expr]:
                return [x[0] + y[0], loops.apply("max", x[1], y[1])]

            return b.lanes(self.extent(), body, [b.const(0, "i32"), b.const(-(2**31), "i32")], combine)
        if kind == 4:
            stores, self.stores = self.stores, 0
            inner = b.lanes(
                self.extent(), lambda i: [self.block(values, [*vars, i], depth)[1]], [b.const(0, "i32")],
                lambda x, y: [x[0] ^ y[0]],
            )  # fmt: skip
            self.stores = stores
            return inner
        return []


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 40), st.sampled_from(LEVELS))
def test_random_kernels(random: Any, extent: int, level: str) -> None:
    rng = np.random.default_rng(extent)
    memory = [
        rng.integers(-5, 5, 40).astype("f4") / 2, rng.integers(-9, 50, 40).astype("i4"), np.zeros(12 * 40, "f4")
    ]  # fmt: skip
    check(RandomKernel(random.randrange), memory, 1, level, [extent])


# --- The text ---------------------------------------------------------------------------------------------------------


def test_deep_expressions() -> None:
    """Chains deeper than Python's stack."""

    def build(b: Builder, buffers: list) -> None:
        def body(i: Expr) -> None:
            x = b.load(buffers[0], i)
            for _ in range(2000):
                x = x * 0.5 + 1.0
            b.store(buffers[1], i, x)

        b.lanes(5, body)

    b = Builder("deep")
    build(b, [b.buffer("x", "f32", True), b.buffer("y", "f32")])
    data, out = samples("f32", 5), np.zeros(5, "f4")
    loop_machine.run(b.kernel, [data, out])
    want = data.copy()
    for _ in range(2000):
        want = want * np.float32(0.5) + np.float32(1)
    np.testing.assert_array_equal(out, want)


def test_text_depends_on_the_kernel_only() -> None:
    def text() -> str:
        b = Builder("same")
        x, y = b.buffer("x", "f32", True), b.buffer("y", "f32")
        b.lanes(100, lambda i: b.store(y, i, loops.apply("sqrt", b.load(x, i)) + 1.0))
        return emit_kernel(b.kernel, "kernel", targets.describe("x86-64-v4", "linux"))

    assert text() == text()


def test_scratch_memory_is_limited() -> None:
    b = Builder("large")
    scratch = b.scratch("f32", MAX_SCRATCH // 4 + 1)
    b.store(scratch, 0, b.const(0.0, "f32"))
    with pytest.raises(ValueError, match="scratch"):
        emit_kernel(b.kernel, "kernel", targets.describe("x86-64-v4", "linux"))
