"""What the machine can do at most, found in the same run: `python -m benchmarks.cpu.roofline THREADS`.

FLOP/s: tiles of products whose factors and sums stay in the nearest cache, on each thread. Bytes/s: the sum of two
arrays larger than any cache, which reads two and writes one. A workload cannot be faster than its products, or its
bytes, at those rates (S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance model for
multicore architectures", CACM 52, 2009).
"""

import ctypes
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.cpu.results import Peak
from nrx.compiler import llvm, targets
from nrx.compiler.emit import emit_kernel
from nrx.compiler.loader import Loaded
from nrx.core import loops
from nrx.core.loops import Builder, Matrix

ROWS, DEPTH, CALLS = 6, 128, 400
ELEMENTS = 1 << 24
ROUNDS = 200


def kernel(dtype: str, target: targets.Target) -> tuple[loops.Kernel, float]:
    """Tiles of products in the nearest cache, and the operations of a call."""
    kind, factor = {"float32": ("f32", "f32"), "float64": ("f64", "f64"), "bfloat16": ("f32", "u32")}[dtype]
    columns = (4 if target.registers == 32 else 2) * target.vector_bits // loops.BITS[kind]
    b = Builder("peak")
    left, right, sums = b.buffer("left", factor, True), b.buffer("right", factor, True), b.buffer("sums", kind)

    def tile(_: loops.Expr) -> None:
        b.products(
            Matrix(sums, 0, columns), Matrix(left, 0, DEPTH), Matrix(right, 0, columns), ROWS, columns, DEPTH,
            loops.const(True, "bool"),
        )  # fmt: skip

    b.loop(CALLS, [], tile)
    pairs = 2 if dtype == "bfloat16" else 1
    return b.kernel, 2.0 * ROWS * columns * DEPTH * CALLS * pairs


def products_per_second(dtype: str, pool: ThreadPoolExecutor, threads: int) -> float:
    target = targets.host()
    made, operations = kernel(dtype, target)
    loaded = Loaded(llvm.assemble(emit_kernel(made, "kernel", target), target))
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(
        loaded.address("kernel")
    )
    memory = [[np.zeros(1 << 15, np.float64) for _ in range(3)] for _ in range(threads)]
    words = [np.array([0, *(array.ctypes.data for array in own)], np.uint64) for own in memory]
    return threads * operations / fastest(pool, [lambda w=w: run(w.ctypes.data, 0, 1, 0) for w in words])


def bytes_per_second(pool: ThreadPoolExecutor, threads: int) -> float:
    x, y, out = (np.ones(ELEMENTS, np.float32) for _ in range(3))
    cuts = np.array_split(np.arange(ELEMENTS), threads)
    parts = [slice(int(cut[0]), int(cut[-1]) + 1) for cut in cuts]
    return 3 * x.nbytes / fastest(pool, [lambda p=p: np.add(x[p], y[p], out=out[p]) for p in parts])


def fastest(pool: ThreadPoolExecutor, jobs: list[Callable]) -> float:
    """The least seconds until all jobs are done, each on a thread."""
    best = np.inf
    for _ in range(ROUNDS):
        start = time.perf_counter()
        list(pool.map(lambda job: job(), jobs))
        best = min(best, time.perf_counter() - start)
    return float(best)


def measured(threads: int) -> Peak:
    """What `threads` threads do together."""
    with ThreadPoolExecutor(threads) as pool:
        dtypes = ["float32", "float64", *(["bfloat16"] if targets.host().has_bf16_pairs else [])]
        flops = {dtype: products_per_second(dtype, pool, threads) for dtype in dtypes}
        return Peak(flops, bytes_per_second(pool, threads))


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]))))
