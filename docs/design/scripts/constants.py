"""What it gives to prepare constant kernels once: `python docs/design/scripts/constants.py`, half a minute.

Convolutions (`NCHW`, `OIHW`, 3 × 3) whose kernel is an argument, and whose kernel is closed over, so that its transpose
is computed once; and products of which the right side lies as it came, and in panels of 64 columns.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import nrx
import nrx.numpy as jnp
from nrx import lax

IMAGES = [(1, 64, 56), (8, 128, 28), (1, 256, 14), (8, 256, 14), (1, 512, 7), (8, 512, 7)]
PRODUCTS = [(8, 1024, 1024), (32, 784, 128), (128, 784, 512), (512, 1024, 1024), (128, 1024, 4096)]
SECONDS = 2.0


def fastest(*functions: Callable[[], Any]) -> list[float]:
    """Seconds of each, the least of calls in turn."""
    best = [float("inf")] * len(functions)
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for number, function in enumerate(functions):
            for _ in range(3):
                start = time.perf_counter()
                function()
                best[number] = min(best[number], time.perf_counter() - start)
    return best


def main() -> None:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return jnp.asarray(rng.normal(size=shape).astype(np.float32))

    print("images     channels  size  argument  constant  ratio")
    for count, channels, size in IMAGES:
        x, kernel = normal(count, channels, size, size), normal(channels, channels, 3, 3)
        passed = nrx.jit(lambda x, k: lax.conv(x, k, (1, 1), "SAME"))
        closed = nrx.jit(lambda x, kernel=kernel: lax.conv(x, kernel, (1, 1), "SAME"))
        a, b = fastest(lambda f=passed, x=x, k=kernel: f(x, k), lambda f=closed, x=x: f(x))
        print(f"{count:6} {channels:12} {size:5} {1e3 * a:6.2f} ms {1e3 * b:6.2f} ms {a / b:6.2f}")
    print("rows  depth  columns  as it came  in panels  ratio")
    plain = nrx.jit(jnp.matmul)
    panels = nrx.jit(lambda x, y: lax.dot_general(x, y, (((1,), (1,)), ((), ()))).reshape(x.shape[0], -1))
    for rows, depth, columns in PRODUCTS:
        x, y = normal(rows, depth), normal(depth, columns)
        packed = y.reshape(depth, columns // 64, 64).transpose(1, 0, 2)
        a, b = fastest(lambda x=x, y=y: plain(x, y), lambda x=x, y=packed: panels(x, y))
        print(f"{rows:4} {depth:6} {columns:8} {1e3 * a:8.3f} ms {1e3 * b:7.3f} ms {a / b:6.2f}")


if __name__ == "__main__":
    main()
