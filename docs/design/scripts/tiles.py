"""Measures tiles of `loops.Products`: how much rows and vectors, and the distance between rows, matter.

    python docs/design/scripts/tiles.py

Prints Gflop/s of one core for a panel in the cache and rows so many elements apart; takes about five seconds.
"""

import ctypes
import time

import numpy as np

from nrx.compiler import llvm, targets
from nrx.compiler.emit import emit_kernel
from nrx.compiler.loader import Loaded
from nrx.core import loops
from nrx.core.loops import Builder, Matrix

ROWS, DEPTH = 126, 512
TILES = {32: ((14, 1), (8, 2), (14, 2), (8, 3), (6, 4)), 16: ((6, 1), (4, 2), (6, 2), (4, 3))}
"""For so many registers: rows and vectors."""
APART = (512, 784, 1024, 1040, 2048)


def kernel(height: int, columns: int, apart: int) -> loops.Kernel:
    """Rows times one panel."""
    b = Builder("tiles")
    left, right, sums = b.buffer("left", "f32", True), b.buffer("right", "f32", True), b.buffer("sums", "f32")

    def tile(t: loops.Expr) -> None:
        b.products(
            Matrix(sums, t * (height * columns), columns), Matrix(left, t * (height * apart), apart),
            Matrix(right, 0, columns), height, columns, DEPTH, loops.const(True, "bool"),
        )  # fmt: skip

    b.loop(ROWS // height, [], tile)
    return b.kernel


def speed(height: int, vectors: int, apart: int) -> float:
    target = targets.host()
    columns = vectors * target.vector_bits // 32
    rng = np.random.default_rng(0)
    memory = [rng.normal(size=n).astype(np.float32) for n in (ROWS * apart + DEPTH, DEPTH * columns, ROWS * columns)]
    words = np.array([0, *(array.ctypes.data for array in memory)], np.uint64)
    loaded = Loaded(llvm.assemble(emit_kernel(kernel(height, columns, apart), "kernel", target), target))
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    run, best = signature(loaded.address("kernel")), np.inf
    for _ in range(100):
        start = time.perf_counter()
        run(words.ctypes.data, 0, 1, 0)
        best = min(best, time.perf_counter() - start)
    return 2 * (ROWS // height) * height * columns * DEPTH / best / 1e9


def main() -> None:
    tiles = TILES[targets.host().registers]
    print("rows apart    " + "".join(f"{height:4} × {vectors} vectors" for height, vectors in tiles))
    for apart in APART:
        print(f"{apart:10}    " + "".join(f"{speed(*tile, apart):16.0f}" for tile in tiles))


if __name__ == "__main__":
    main()
