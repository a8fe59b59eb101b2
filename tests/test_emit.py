"""Kernels of the loop IR as machine code, against an interpreter in NumPy's scalars, bit for bit."""

from collections.abc import Sequence

import loop_machine
import numpy as np
import pytest
from loop_machine import LEVELS, check, samples

from nrx.compiler import targets
from nrx.compiler.code import Code
from nrx.compiler.emit import MAX_SCRATCH, emit_kernel
from nrx.compiler.scopes import Scopes, Value
from nrx.core import loops
from nrx.core.dtypes import from_short_name
from nrx.core.loops import Builder, Expr

pytest.importorskip("llvmlite")

levels = pytest.mark.parametrize("level", LEVELS)

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
@pytest.mark.parametrize("symbolic", [False, True])
def test_every_extent_of_long_bodies(level: str, symbolic: bool) -> None:
    """Several vectors at a time, then single ones for what is left."""
    for extent in (0, 1, 7, 16, 17, 33, 511, 512, 513, 528, 575, 577):
        memory = [samples("f32", extent, 1), samples("i32", extent, 2), np.zeros(extent, "f4"), np.zeros(1, "i4")]

        def build(b: Builder, buffers: list, extent: int = extent) -> None:
            x, y, out, total, *dims = buffers

            def body(i: Expr) -> list[Expr]:
                v, n = b.load(x, i), b.load(y, i)
                for k in range(20):
                    v, n = v * 0.75 + (k - 3.0), n * 5 + k
                b.store(out, i, v)
                return [n]

            extent_or_dim = dims[0] if dims else extent
            (result,) = b.lanes(extent_or_dim, body, [b.const(0, "i32")], lambda a, v: [a[0] + v[0]])
            b.store(total, 0, result)

        check(build, memory, 2, level, [extent] if symbolic else [])


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
@pytest.mark.parametrize("type", ["f64", "bf16", "bool"])
@pytest.mark.parametrize("stride", [2, 3, 4, 5])
def test_nothing_is_read_behind_the_end(stride: int, type: str, level: str) -> None:
    """Every so many elements up to the last one that there is."""
    for extent in (64, 67):
        data = samples(type, stride * (extent - 1) + 1)

        def build(b: Builder, buffers: list, extent: int = extent) -> None:
            b.lanes(extent, lambda i: b.store(buffers[1], i, b.load(buffers[0], i * stride)))

        check(build, [data, np.zeros(extent, data.dtype)], 1, level)


@levels
@pytest.mark.parametrize("extent", [1, 2, 17, 33, 49, 65, 129, 200])
def test_nothing_is_written_behind_the_end(extent: int, level: str) -> None:
    """Narrowing stores of a constant number of lanes, at the end of memory: LLVM has written too much there."""

    def build(b: Builder, buffers: list) -> None:
        x, *out = buffers

        def body(i: Expr) -> None:
            for buffer in out:
                b.store(buffer, i, loops.convert(b.load(x, i), buffer.type))

        b.lanes(extent, body)
        b.lanes(extent, lambda i: b.store(out[0], i, b.load(out[0], i) + 1))

        def last(i: Expr) -> None:
            value = loops.convert(b.load(x, i) + 1, "i8")
            b.if_(i >= extent - 1, lambda: b.store(out[0], i, value), lambda: None)

        b.lanes(extent, last)

    check(build, [samples("i32", extent), *[np.zeros(extent, t) for t in ("i1", "i2", bool)]], 3, level)


@levels
@pytest.mark.parametrize("type", ["f32", "i64", "u8", "bool"])
def test_positions_moved_between_limits(type: str, level: str) -> None:
    """Padding and joining: elements beside each other, and those at the edges."""
    data = samples(type, 25, 1)

    def build(b: Builder, buffers: list) -> None:
        x, y = buffers

        def body(i: Expr) -> None:
            b.store(y, i, b.load(x, loops.clamp(i - 7, 24)))
            b.store(y, i + 75, b.load(x, loops.clamp(i - 60, 14) + 10))
            b.store(y, i + 150, b.load(x, loops.clamp(loops.clamp(i, 30) - 11, 19)))
            inside = loops.all_of(loops.inside(i - 30, 9))
            padded = loops.select(inside, b.load(x, loops.clamp(i - 30, 9) + 15), b.const(1, type))
            b.store(y, i + 225, padded)

        b.lanes(75, body)

    check(build, [data, np.zeros(300, data.dtype)], 1, level)


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
                (total,) = b.loop(6, [v], lambda k, s: [s * 0.5 + b.load(y, loops.mod(k, 3))])
                return [loops.apply("sqrt", total)]

            (root,) = b.if_(v > 0.0, positive, lambda: [v])
            b.store(roots, i, root)
            return [count]

        (total,) = b.lanes(extent, collatz, [b.const(0, "i32")], lambda a, v: [a[0] + v[0]])
        b.store(totals, 0, total)

    check(build, memory, 4, level)


@levels
@pytest.mark.parametrize("extent", [2, 19])
def test_extents_that_differ_from_lane_to_lane(extent: int, level: str) -> None:
    """Loops inside lanes, of as many iterations as memory says, with loads and stores inside; lanes inside lanes."""
    memory = [
        np.random.default_rng(5).integers(0, 7, extent).astype("i4"), samples("f64", 60), np.zeros(7 * extent),
        np.zeros(extent),
    ]  # fmt: skip

    def build(b: Builder, buffers: list) -> None:
        counts, x, places, sums = buffers

        def body(i: Expr) -> None:
            count = loops.convert(b.load(counts, i), "i64")

            def step(k: Expr, total: Expr) -> list[Expr]:
                b.store(places, i * 7 + k, total)
                return [total * 0.5 + b.load(x, i + k) + b.load(x, k)]

            (total,) = b.loop(count, [b.const(0.0, "f64")], step)
            (least,) = b.lanes(
                5, lambda k: [b.load(x, k + i)], [b.const(np.inf, "f64")], lambda a, v: [loops.apply("min", a[0], v[0])]
            )
            b.store(sums, i, loops.select(total < least, total, least))

        b.lanes(extent, body)

    check(build, memory, 2, level)


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


# --- The math library -------------------------------------------------------------------------------------------------


@levels
def test_rare_cases_and_tables(level: str) -> None:
    """`rarely` in lanes, in branches and for uniform values; tables at uniform and at varying positions."""
    data, index = samples("f32", 50), np.arange(50, dtype="u4") % 7
    numbers = (1.5, -2.0, 3.25, 1e30, 0.0, 7.0, -0.5)

    def build(b: Builder, buffers: list) -> None:
        x, k, y, z = buffers

        def careful(v: Expr) -> Expr:
            return loops.rarely(v > 100.0, loops.apply("sqrt", v) + v, v * 0.5)

        def body(i: Expr) -> None:
            v = careful(b.load(x, i)) + careful(b.load(x, 3) * 1e30)
            (w,) = b.if_(v < 1.0, lambda: [careful(v * v)], lambda: [v])
            b.store(y, i, loops.rarely(loops.ne(w, w), careful(w - 1.0), careful(w * 200.0)))
            entry = loops.table(b.load(k, i), numbers, "f32")
            b.store(z, i, entry + loops.table(b.load(k, 2), numbers, "f32"))

        b.lanes(50, body)
        b.loop(9, [], lambda i: b.store(z, i, careful(b.load(x, i)) + careful(b.load(x, 5))))

    check(build, [data, index, np.zeros(50, "f4"), np.zeros(50, "f4")], 2, level)


@levels
def test_functions_used_many_times(level: str) -> None:
    """What is used more often becomes a function; the results are those of NumPy within two units."""
    data = np.random.default_rng(0).uniform(-3, 3, 61)
    b = Builder("many")
    x, y = b.buffer("x", "f64", True), b.buffer("y", "f64")

    def body(i: Expr) -> None:
        for k in range(10):
            b.store(y, i + 61 * k, loops.apply("exp", b.load(x, i) * (k + 1.0)))

    b.lanes(61, body)
    out = np.zeros((10, 61))
    loop_machine.run(b.kernel, [data, out], level=level)
    np.testing.assert_array_max_ulp(out, np.exp(data * np.arange(1, 11)[:, None]), 3)
    text = emit_kernel(b.kernel, "kernel", targets.describe(level))
    assert "call" in text
    assert "@shared.exp." in text


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


def chain_text(operations: int, extent: int = 4096, step: int = 1, source: str = "argument") -> str:
    """A loop over lanes that applies so many operations to each element."""
    b = Builder("chain")
    x, y = b.buffer("x", "f32", True), b.buffer("y", "f32")
    memory = x if source == "argument" else b.scratch("f32", extent)

    def body(i: Expr) -> None:
        v = b.load(memory, i * step if step > 0 else (extent - 1) - i)
        for k in range(operations):
            v = v + float(k + 1)
        b.store(y, i, v)

    b.lanes(extent, body)
    return emit_kernel(b.kernel, "kernel", targets.describe("x86-64-v4", "linux"))


@pytest.mark.parametrize(
    ("operations", "extent", "lanes"),
    [(2, 4096, 64), (8, 4096, 32), (30, 4096, 64), (30, 511, 16), (30, 17, 16), (200, 4096, 64), (900, 4096, 16)],
)
def test_vectors_at_a_time(operations: int, extent: int, lanes: int) -> None:
    """Four of 16 lanes, two of middling bodies, one where more would cost more compile time than they save."""
    text = chain_text(operations, extent)
    assert f"fadd <{lanes} x float>" in text
    assert f"fadd <{2 * lanes} x float>" not in text


def test_long_bodies_ask_for_what_they_load_later() -> None:
    """One request for a cache line: a vector of 64 f32 takes four. Nothing is left over that could ask again."""
    assert chain_text(30).count("call void @llvm.prefetch") == 4
    assert chain_text(30, 4096 + 16).count("call void @llvm.prefetch") == 4


def test_what_asks_for_nothing() -> None:
    """Short bodies, for which the processor sees ahead; walks backwards or in steps; scratch memory."""
    for text in (chain_text(4), chain_text(30, step=-1), chain_text(30, step=2), chain_text(30, source="scratch")):
        assert "prefetch" not in text


def test_scratch_memory_is_limited() -> None:
    b = Builder("large")
    scratch = b.scratch("f32", MAX_SCRATCH // 4 + 1)
    b.store(scratch, 0, b.const(0.0, "f32"))
    with pytest.raises(ValueError, match="scratch"):
        emit_kernel(b.kernel, "kernel", targets.describe("x86-64-v4", "linux"))


def test_a_value_is_spread_where_it_is_defined_though_it_was_spread_further_in() -> None:
    scopes = Scopes(Code(targets.host()))
    outer, inner = scopes.open(False), scopes.open(False)
    scopes.lanes = 4
    value = Value("%v0", 0)
    names = [scopes.spread(v, "i32") for v in (value.at(1), value, value)]
    defined = [[line.split()[0] for line in scope.lines if "shufflevector" in line] for scope in (outer, inner)]
    assert defined == [names[1:2], names[:1]]
    assert names[1] == names[2]
    scopes.close()
    assert scopes.spread(value, "i32") == names[1]
    scopes.close()
