"""Ctrl-C during long kernels: which of them look for it, how often, and what is left when one has been stopped."""

import ctypes
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import loop_interpreter
import loop_machine
import numpy as np
import pytest
from loop_machine import LEVELS

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.compiler import interrupts, pool, runtime
from nrx.compiler.plan import Run, Shared
from nrx.compiler.python_ir import EXCEPTION
from nrx.core import loops
from nrx.core.loops import Builder, Expr, Kernel

RNG = np.random.default_rng(0)
LOOK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


class Looks:
    """Stands for the runtime's `look`: counts, and lets the one of number `last` stop the program."""

    def __init__(self) -> None:
        self.count, self.last = 0, math.inf
        self._function = LOOK(self._look)
        self.address = ctypes.cast(self._function, ctypes.c_void_p).value or 0

    def _look(self, pool: int, watch: int, thread: int) -> int:
        status = ctypes.c_int64.from_address(watch)
        self.count += 1
        if not thread and self.count >= self.last and not status.value:
            status.value = 1
            dictionary: dict = ctypes.cast(runtime._thread_dictionary()(), ctypes.py_object).value
            dictionary[EXCEPTION] = KeyboardInterrupt()
        return status.value


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Little counts as long, and is compiled anew."""
    monkeypatch.setattr(interrupts, "_LONG", 64)
    monkeypatch.setattr(interrupts, "_BLOCK", 16)
    checks = nrx.config.debug_checks
    nrx.config.update("debug_checks", True)
    yield
    nrx.config.update("debug_checks", checks)


@pytest.fixture
def looks(short: None, monkeypatch: pytest.MonkeyPatch) -> Looks:
    """What the looks of programs compiled from here on are answered by."""
    found, shared_words = Looks(), runtime._shared_words

    def words() -> list[int]:
        words = shared_words()
        words[7] = found.address
        return words

    monkeypatch.setattr(runtime, "_shared_words", words)
    return found


# --- Kernels ----------------------------------------------------------------------------------------------------------


def in_order(b: Builder, x: loops.Buffer, y: loops.Buffer) -> None:
    def step(i: Expr, total: Expr) -> list[Expr]:
        b.store(y, i, total + b.load(x, i))
        return [total + b.load(x, i)]

    b.loop(999, [b.const(0, "i64")], step)


def nested(b: Builder, x: loops.Buffer, y: loops.Buffer) -> None:
    def row(j: Expr) -> None:
        b.if_(j < 20, lambda: b.lanes(37, lambda i: b.store(y, i + j * 37, b.load(x, i + j * 37) * 3)))

    b.loop(27, [], row)


def lanes(b: Builder, x: loops.Buffer, y: loops.Buffer) -> None:
    (total,) = b.lanes(999, lambda i: [b.load(x, i)], [b.const(0, "i64")], lambda s, v: [s[0] + v[0]])
    b.lanes(999, lambda i: b.store(y, i, b.load(x, i) - total))


def columns(b: Builder, x: loops.Buffer, y: loops.Buffer) -> None:
    def column(i: Expr) -> None:
        (total,) = b.loop(110, [b.const(0, "i64")], lambda j, s: [s * 2 + b.load(x, i + j * 9)])
        b.store(y, i, total)

    b.lanes(9, column)


def endless(b: Builder, x: loops.Buffer, y: loops.Buffer) -> None:
    def step(i: Expr) -> list[Expr]:
        b.store(y, i, b.load(x, i) + 1)
        return [i + 1]

    b.while_([b.const(0, "i64")], lambda i: i < 999, step)
    b.kernel.cost = math.inf


def tasks(b: Builder, x: loops.Buffer, y: loops.Buffer) -> None:
    task = b.parallel(3)
    b.loop(333, [], lambda i: b.store(y, i + task * 333, b.load(x, i + task * 333) + task))


#: Kernels, and how often they look with blocks of 16 iterations; None where it depends on the lanes of a vector.
KERNELS = {in_order: 63, nested: 27, lanes: None, columns: None, endless: 62, tasks: 3 * 21}


def made(build: Callable) -> Kernel:
    b = Builder("test")
    build(b, b.buffer("x", "i64", True), b.buffer("y", "i64"))
    return b.kernel


def run(kernel: Kernel, looks: Looks, level: str | None = None) -> np.ndarray:
    x, y = np.arange(1000) ** 2, np.full(1000, -1)
    loop_machine.run(kernel, [x, y, np.zeros(2, np.int64)], table=[0] * 7 + [looks.address], level=level)
    return y


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("build", KERNELS)
def test_looking_changes_nothing(build: Callable, level: str) -> None:
    expected = np.full(1000, -1)
    loop_interpreter.run(made(build), [np.arange(1000) ** 2, expected])
    kernel, looks = made(build), Looks()
    assert interrupts.watch(kernel)
    np.testing.assert_array_equal(run(kernel, looks, level), expected)
    assert looks.count == KERNELS[build] if KERNELS[build] else looks.count > 1


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("build", "done"), [(in_order, 5 * 16), (endless, 5 * 16), (tasks, 5 * 16)])
def test_a_stopped_kernel_returns_after_its_block(build: Callable, done: int) -> None:
    kernel, looks = made(build), Looks()
    looks.last = 5
    assert interrupts.watch(kernel)
    y = run(kernel, looks)
    runtime._native_functions()
    with pytest.raises(KeyboardInterrupt):
        runtime.raise_pending()
    assert looks.count == 5
    assert (y[:done] != -1).all()
    np.testing.assert_array_equal(y[done:], -1)


def test_kernels_of_short_tasks_stay_as_they_are() -> None:
    for build in KERNELS:
        kernel = made(build)
        if build is not endless:
            assert not interrupts.watch(kernel)
            assert len(kernel.buffers) == 2


# --- Programs ---------------------------------------------------------------------------------------------------------


def ints(*shape: int, dtype: str = "i4") -> np.ndarray:
    return RNG.integers(-50, 50, shape).astype(dtype)


def added(x: np.ndarray, i: np.ndarray, u: np.ndarray) -> np.ndarray:
    out = x.copy()
    np.add.at(out, i, u)
    return out


def counted(n: int) -> Any:
    return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 3 + c[0]), (0, 1))[1]


def recurrence(n: int, start: int = 1) -> int:
    for i in range(n):
        start = (start * 3 + i) % (1 << 32)
    return start - (1 << 32 if start >> 31 else 0)


def powers(x: np.ndarray) -> np.ndarray:
    """c -> 3 c + x, element after element, modulo 2 ** 32."""
    out = [1]
    for v in x.tolist():
        out.append((out[-1] * 3 + v) % (1 << 32))
    return np.array(out[1:]).astype("u4").view("i4")


def softmax(x: Any) -> Any:
    e = jnp.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def exact_softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def largest(x: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(-x.astype("i8"), kind="stable")[..., :3]
    return [np.take_along_axis(x, order, -1), order]


PLACES = RNG.integers(0, 40, 500).astype("i4")

#: Kinds of long kernels: (function, oracle, arguments).
KINDS: dict[str, tuple[Callable, Callable, tuple]] = {
    "cumsum": (lambda x: lax.cumsum(x), lambda x: np.cumsum(x, dtype="i4"), (ints(5000),)),
    "cumsum of columns": (lambda x: lax.cumsum(x), lambda x: np.cumsum(x, 0, "i4"), (ints(400, 33),)),
    "cummax, reversed": (
        lambda x: lax.cummax(x, reverse=True), lambda x: np.maximum.accumulate(x[::-1])[::-1], (ints(5000),),
    ),
    "scatter_add": (lambda x, i, u: x.at[i].add(u), added, (ints(40), PLACES, ints(500))),
    "scatter_add of rows": (lambda x, i, u: x.at[i].add(u), added, (ints(40, 70), PLACES, ints(500, 70))),
    "sort of pairs": (
        lambda x: lax.sort((x, x + 1))[0], np.sort, (RNG.permuted(np.arange(2100).reshape(3, 700), axis=1),),
    ),
    "top_k": (lambda x: lax.top_k(x, 3), largest, (ints(3000),)),
    "product": (lambda x, y: x @ y, lambda x, y: x @ y, (ints(70, 90), ints(90, 80))),
    "deep product": (lambda x, y: x @ y, lambda x, y: x @ y, (ints(9, 5000), ints(5000, 8))),
    "vector times matrix": (lambda x, y: x @ y, lambda x, y: x @ y, (ints(2, 900), ints(900, 200))),
    "floats' product": (
        lambda x, y: x @ y, lambda x, y: (x.astype("f8") @ y).astype("f4"),
        (ints(70, 400, dtype="f4"), ints(400, 80, dtype="f4")),
    ),
    "convolution": (
        lambda x, w: lax.conv_general_dilated(x, w, (1,), "VALID"),
        lambda x, w: np.array([[np.correlate(x[0, 0], k[0], "valid") for k in w]]),
        (ints(1, 1, 2000), ints(3, 1, 900)),
    ),
    "softmax of a row": (softmax, exact_softmax, (RNG.normal(size=(1, 5000)),)),
    "sum": (lambda x: jnp.sum(x), lambda x: x.sum(dtype="i4"), (ints(10**5),)),
    "window": (
        lambda x: lax.reduce_window(x, 0, lax.add, (300,), (1,), "VALID"),
        lambda x: np.convolve(x, np.ones(300, "i4"), "valid"), (ints(2000),),
    ),
    "while": (lambda n: counted(n), lambda n: recurrence(int(n)), (np.int32(5000),)),
    "scan": (
        lambda x: lax.scan(lambda c, v: (c * 3 + v, c * 3 + v), 1, x)[1], powers, (ints(5000),)
    ),
    "loop in a loop": (
        lambda n: lax.fori_loop(0, 9, lambda i, c: jnp.maximum(counted(n), c), 0), lambda n: max(0, recurrence(int(n))),
        (np.int32(400),),
    ),
}  # fmt: skip


def agree(got: Any, want: Any) -> None:
    for x, y in zip(got, want, strict=True) if isinstance(got, tuple) else [(got, want)]:
        np.testing.assert_allclose(x, y, rtol=1e-14 if np.asarray(x).dtype.kind == "f" else 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_kinds_of_kernels_look_and_can_be_stopped(kind: str, threads: int, looks: Looks) -> None:
    function, oracle, args = KINDS[kind]
    before = nrx.get_num_threads()
    pool.set_num_threads(threads)
    try:
        compiled = nrx.jit(function)
        agree(compiled(*args), oracle(*args))
        assert looks.count > 2
        whole, looks.count, looks.last = looks.count, 0, 2
        with pytest.raises(KeyboardInterrupt):
            compiled(*args)
        assert looks.count < max(whole, 4)
        looks.last = math.inf
        agree(compiled(*args), oracle(*args))
    finally:
        pool.set_num_threads(before)


LARGE = {
    "cumsum": (lambda x: lax.cumsum(x), [(10**9,)]),
    "cumsum of columns": (lambda x: lax.cumsum(x), [(10**8, 16)]),
    "scatter_add": (lambda x, i, u: x.at[i].add(u), [(1000,), (10**9,), (10**9,)]),
    "top_k": (lambda x: lax.top_k(x, 3), [(10**9,)]),
    "deep product": (lambda x, y: x @ y, [(64, 10**7), (10**7, 64)]),
    "softmax of a row": (softmax, [(1, 10**9)]),
    "sum": (lambda x: jnp.sum(jnp.sin(x)), [(10**9,)]),
    "sum of few columns": (lambda x: jnp.sum(x, 0), [(10**9, 4)]),
    "sum of columns": (lambda x: jnp.sum(x, 0), [(10**7, 1000)]),
    "sort of pairs": (lambda x: lax.sort((x, x)), [(10**5, 1 << 14)]),
    "elementwise": (lambda x: jnp.tanh(x) + x, [(10**9,)]),
    "transpose": (lambda x: x.T, [(30000, 30000)]),
    "concatenate": (lambda *x: jnp.concatenate(x), [(10**8,)] * 10),
    "window": (lambda x: lax.reduce_window(x, 0.0, lax.add, (10**5,), (1,), "SAME"), [(10**6,)]),
}


def iterations_without_a_look(kernel: Kernel) -> float:
    """How long a task of a kernel goes on at most before it looks or ends, counted in iterations of its loops."""

    def longest(statements: list) -> float:
        total = 0.0
        for s in statements:
            if isinstance(s, loops.If):
                total += longest(s.then) + longest(s.otherwise)
            elif isinstance(s, loops.Loop | loops.Lanes):
                extent = s.var.attr.extent
                count = extent if isinstance(extent, int) else loops.bounds(extent)[1]
                total += max(1.0, longest(s.body)) * min(count, kernel.looks.get(s, math.inf))
        return total

    return longest(kernel.body)


@pytest.mark.parametrize("kind", LARGE)
def test_no_kernel_runs_long_without_a_look(kind: str) -> None:
    """Sizes that take a second or more are only planned."""
    function, shapes = LARGE[kind]
    dtypes = ["f4", "i4", "f4"] if kind == "scatter_add" else ["f4"] * len(shapes)
    args = [nrx.ShapeDtypeStruct(shape, np.dtype(dtype)) for shape, dtype in zip(shapes, dtypes, strict=True)]
    block = Shared().block(nrx.jit(function).trace(*args))
    runs = [action for action in block.actions if isinstance(action, Run)]
    assert runs
    for action in runs:
        if "sort" not in kind:  # merges have no bound but the row, which is short
            assert iterations_without_a_look(action.kernel) <= 1 << 23, action.kernel.name


# --- From the signal to the exception ---------------------------------------------------------------------------------

#: The time that counts is the processor's, which no other process takes part of.
LONG = """
import os, signal, threading, time, numpy as np, nrx, nrx.numpy as jnp
from nrx import lax

small, large = list(map(jnp.asarray, {small})), list(map(jnp.asarray, {large}))
function = nrx.jit({function})
expected = [np.asarray(x) for x in nrx.tree_util.tree_leaves(function(*small))]
function.lower(*large).compile()
sent = []

def send():
    sent.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)

threading.Timer(0.1, send).start()
try:
    function(*large)
    print("finished")
    time.sleep(1)
except KeyboardInterrupt:
    print("late" if time.process_time() - sent[0] > 0.4 else "interrupted")
again = [np.asarray(x) for x in nrx.tree_util.tree_leaves(function(*small))]
print(all(np.array_equal(x, y) for x, y in zip(expected, again, strict=True)))
"""

#: Arguments for `n`, and the n that takes a second or so.
ENDLESS = {
    "cumlogsumexp": ("lax.cumlogsumexp", "(np.ones({n}, np.float32),)", 10**8),
    "cumlogsumexp of columns": ("lax.cumlogsumexp", "(np.ones(({n}, 16), np.float32),)", 10**7),
    "scatter_add": (
        "lambda i: jnp.zeros(1 << 24).at[i * 7919 % (1 << 24)].add(1)", "(np.arange({n}, dtype='u4'),)", 10**8,
    ),
    "top_k": ("lambda x: lax.top_k(x, 40)", "(np.arange({n}, dtype='i4'),)", 10**8),
    "product": ("lambda x: x @ x", "(np.ones(({n}, {n})),)", 9000),
    "deep product": ("lambda x: x @ x.T", "(np.ones((64, {n}), np.complex64),)", 10**6),
    "window": ("lambda x: lax.reduce_window(x, 0.0, lax.add, (10**5,), (1,), 'SAME')", "(np.ones({n}),)", 10**6),
    "scan": ("lambda x: lax.scan(lambda c, v: (jnp.sin(c) + v, None), x[0], x)[0]", "(np.ones({n}, 'f4'),)", 10**8),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to another process")
@pytest.mark.parametrize("kind", ENDLESS)
def test_ctrl_c_during_a_long_kernel(kind: str) -> None:
    function, args, n = ENDLESS[kind]
    text = LONG.format(function=function, small=args.format(n=50), large=args.format(n=n))
    found = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert found.stdout.split() == ["interrupted", "True"], found.stderr
