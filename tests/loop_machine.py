"""Kernels of the loop IR as machine code, for tests.

run(kernel, arrays)                 in place; as `loop_interpreter.run`
check(build, arrays, 2, level)      compares a kernel with the interpreter, bit for bit
"""

import ctypes
import mmap
import sys
from collections.abc import Callable, Sequence
from typing import Any

import loop_interpreter
import numpy as np
from loop_interpreter import Interpreter

from nrx.compiler import llvm, targets
from nrx.compiler.check_loops import check_kernel
from nrx.compiler.emit import emit_kernel
from nrx.compiler.loader import Loaded
from nrx.core import dtypes, loops
from nrx.core.blocks import ALIGNMENT
from nrx.core.dtypes import from_short_name
from nrx.core.loops import INT_TYPES, Builder, Expr, Kernel

LEVELS = [level for level in ("x86-64", "x86-64-v3", "x86-64-v4", "aarch64") if level in targets.host_levels()]

Build = Callable[[Builder, list], None]
"""Writes a kernel, given its buffers and symbolic dimensions."""

_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


def run(
    kernel: Kernel,
    memory: Sequence[np.ndarray],
    dims: Sequence[int] = (),
    level: str | None = None,
    table: Sequence[int] = (),
) -> None:
    """Compile a kernel and run its tasks.

    Args:
        memory: contiguous arrays in the order of its buffers.
        dims: the values of its symbolic dimensions.
        level: the processor level; by default the highest.
        table: words of the runtime table.
    """
    target = targets.describe(level or LEVELS[-1])
    check_kernel(kernel)
    loaded = Loaded(llvm.assemble(emit_kernel(kernel, "kernel", target), target))
    runtime = np.array([*table, 0], np.uint64)
    words = np.array([runtime.ctypes.data, *[array.ctypes.data for array in memory], *dims], np.uint64)
    tasks = kernel.tasks
    if not isinstance(tasks, int):
        tasks = int(Interpreter({}, dict(zip(kernel.dims, dims, strict=True))).evaluate(tasks))
    _SIGNATURE(loaded.address("kernel"))(words.ctypes.data, 0, tasks, 0)


def fenced(array: np.ndarray, before: bool = False) -> np.ndarray:
    """A copy whose end is followed by memory that must not be touched, or whose start comes after such memory."""
    page = mmap.PAGESIZE
    size = -(-max(array.nbytes, 1) // page) * page
    memory = mmap.mmap(-1, size + page)
    if sys.platform == "linux":
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + (0 if before else size)
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start), ctypes.c_size_t(page), 0) == 0
    first = page if before else size - array.nbytes
    copy = np.frombuffer(memory, np.uint8, array.nbytes, first).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class FencedBlock(np.ndarray):
    """Memory as `core.blocks.allocate` gives it, followed by memory that must not be touched."""

    @property
    def address(self) -> int:
        return self.ctypes.data


def fenced_block(nbytes: int) -> FencedBlock:
    """As `core.blocks.allocate`."""
    return fenced(np.full(-(-nbytes // ALIGNMENT) * ALIGNMENT, 0xA5, np.uint8)).view(FencedBlock)


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
    buffers: list = [b.buffer(f"m{n}", loops.type_of(array.dtype), n < inputs) for n, array in enumerate(memory)]
    b.kernel.dims = [Expr("dim", "i64") for _ in dims]
    build(b, [*buffers, *b.kernel.dims])
    expected = [array.copy() for array in memory]
    loop_interpreter.run(b.kernel, expected, dims)
    actual = [fenced(array) for array in memory]
    run(b.kernel, actual, dims, level, **options)
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
