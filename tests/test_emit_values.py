"""Every operation and conversion of the loop IR as machine code, against NumPy's, bit for bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_machine import LEVELS, check, samples

from nrx.core import dtypes, loops
from nrx.core.dtypes import from_short_name
from nrx.core.loops import FLOAT_TYPES, INT_TYPES, Builder, Expr

pytest.importorskip("llvmlite")

ALL_TYPES = ("bool", *INT_TYPES, *FLOAT_TYPES)
FP8_TYPES = tuple(dtypes.short_name(d) for d in dtypes.FP8)
COMPARED = ["eq", "ne", "lt", "le", "gt", "ge"]
ROUNDED = ["sqrt", "floor", "ceil", "rint", "trunc"]
FLOAT_OPS = ["add", "sub", "mul", "div", "neg", "abs", "min", "max", "fma", "copysign", *ROUNDED, *COMPARED]
BIT_OPS = ["and", "or", "xor", "not", "shl", "lshr", "ashr", "popcount", "clz"]
INT_OPS = ["add", "sub", "mul", "div", "rem", "neg", "abs", "min", "max", *BIT_OPS, *COMPARED]
BOOL_OPS = ["add", "mul", "min", "max", "and", "or", "xor", "not", "eq", "ne"]
ARITY = {**dict.fromkeys(["neg", "abs", "not", "popcount", "clz", *ROUNDED], 1), "fma": 3}

levels = pytest.mark.parametrize("level", LEVELS)


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
