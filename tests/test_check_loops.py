"""The check of loop IR kernels finds what is wrong, and their text says what they do."""

from collections.abc import Callable

import pytest

from nrx.compiler.check_loops import check_kernel
from nrx.compiler.loop_text import kernel_text
from nrx.core import loops
from nrx.core.errors import CompilerError
from nrx.core.loops import Builder, Expr


def kernel_with(build: Callable) -> loops.Kernel:
    b = Builder("test")
    build(b, b.buffer("x", "f32", True), b.buffer("y", "f32"))
    return b.kernel


def leaking(b: Builder, x: loops.Buffer, y: loops.Buffer) -> None:
    values: list[Expr] = []
    b.loop(3, [], lambda i: values.append(b.load(x, i)))
    b.store(y, 0, values[0])


WRONG = {
    "the operands of": lambda b, x, y: b.store(y, 0, Expr("add", "f32", (b.load(x, 0), b.const(1, "i32")))),
    "has not the type": lambda b, x, y: b.store(y, 0, Expr("add", "f32", (b.const(1, "i32"), b.const(1, "i32")))),
    "has 1 operands": lambda b, x, y: b.store(y, 0, Expr("add", "f32", (b.load(x, 0),))),
    "is for floats": lambda b, x, y: b.store(y, 0, loops.convert(loops.apply("sqrt", b.const(1, "i32")), "f32")),
    "is not for floats": lambda b, x, y: b.store(y, 0, b.load(x, 0) & b.load(x, 1)),
    "is not for bools": lambda b, x, y: b.store(y, 0, loops.convert(-b.const(True, "bool"), "f32")),
    "computes in fp8": lambda b, x, y: b.store(y, 0, loops.convert(-b.const(1, "f8_e4m3"), "f32")),
    "is stored as": lambda b, x, y: b.store(y, 0, b.const(1, "i32")),
    "readonly": lambda b, x, y: b.store(x, 0, b.const(1, "f32")),
    "is not an argument": lambda b, x, y: b.store(loops.Buffer("z", "f32"), 0, b.const(1, "f32")),
    "is not an i64": lambda b, x, y: b.store(y, loops.convert(b.load(x, 0), "i32"), b.const(1, "f32")),
    "is not well formed": lambda b, x, y: b.store(y, 0, loops.bitcast(b.const(1, "f64"), "f32")),
    "has no value here": leaking,
    "goes from": lambda b, x, y: b.loop(3, [b.load(x, 0)], lambda i, c: [b.const(1, "i32")]),
    "accumulates": lambda b, x, y: b.lanes(3, lambda i: [i], [b.load(x, 0)], lambda a, v: [a[0]]),
    "changes types": lambda b, x, y: b.lanes(3, lambda i: [i], [b.const(0, "i64")], lambda a, v: [a[0] < v[0]]),
    "is not a bool": lambda b, x, y: b.if_(b.load(x, 0), lambda: None),
    "branches of": lambda b, x, y: b.if_(b.load(x, 0) < 1.0, lambda: [b.load(x, 0)], lambda: [b.const(1, "i32")]),
    "a copy from": lambda b, x, y: b.copy(y, 0, b.scratch("i32", 4), 0, 4),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_mistakes_are_found(message: str) -> None:
    with pytest.raises(CompilerError, match=message):
        check_kernel(kernel_with(WRONG[message]))


def everything(b: Builder, x: loops.Buffer, y: loops.Buffer) -> None:
    task = b.parallel(4)
    scratch = b.scratch("f32", 8)
    b.copy(scratch, 0, x, task * 8, 8)
    (total,) = b.lanes(8, lambda i: [b.load(scratch, i)], [b.const(0.0, "f32")], lambda a, v: [a[0] + v[0]])

    def step(k: Expr, c: Expr) -> list[Expr]:
        b.store(y, task * 8 + k, c)
        square = c * c
        return [loops.select(c < 1.0, square + square, -c)]

    (last,) = b.loop(3, [total], step)
    (last,) = b.while_([last], lambda c: c < 100.0, lambda c: [c * 2.0 + 1.0])
    (last,) = b.if_(task < 3, lambda: [last], lambda: [last + 1.0])
    b.store(y, task * 8, last)


def test_good_kernels_pass() -> None:
    check_kernel(kernel_with(everything))


def test_text() -> None:
    assert kernel_text(kernel_with(everything)).splitlines() == [
        "kernel test(readonly x: f32, y: f32): 4 tasks, cost 1",
        "  copy 8 of x[(8 * task)] to scratch8[0]",
        "  lanes i0 < 8, s0 = 0.0",
        "    v0: f32 = scratch8[i0]",
        "    s0 = (s0 + v0)",
        "  loop i1 < 3, s1 = s0",
        "    y[(8 * task + i1)] = s1",
        "    v1: f32 = (s1 * s1)",
        "    s1 = select((s1 < 1.0), (v1 + v1), neg(s1))",
        "  while, s2 = s1",
        "    break unless (s2 < 100.0)",
        "    s2 = ((s2 * 2.0) + 1.0)",
        "  if (task < 3)",
        "    s3 = s2",
        "  else",
        "    s3 = (s2 + 1.0)",
        "  y[(8 * task)] = s3",
    ]
