"""What a small operation costs when it is evaluated at once, beside NumPy's own and JAX's.

All run in short bursts by turns, and each counts with its fastest burst, so that a busy machine slows them alike.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

import nrx
import nrx.numpy
from benchmarks.bursts import fastest

jax: Any = None
with suppress(ImportError):
    import jax
    import jax.numpy

#: name -> the operation, of an array of 4 numbers, a 4 × 4 matrix and the functions of a NumPy-like module.
OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "x + x": lambda x, m, xp: x + x,
    "x * 2.0": lambda x, m, xp: x * 2.0,
    "-x": lambda x, m, xp: -x,
    "x > 0": lambda x, m, xp: x > 0,
    "x ** 2": lambda x, m, xp: x**2,
    "m + x": lambda x, m, xp: m + x,
    "exp(x)": lambda x, m, xp: xp.exp(x),
    "maximum(x, 0)": lambda x, m, xp: xp.maximum(x, 0),
    "where(x > 0, x, 0)": lambda x, m, xp: xp.where(x > 0, x, 0),
    "x.sum()": lambda x, m, xp: x.sum(),
    "m.max(1)": lambda x, m, xp: m.max(1),
    "m.mean(0)": lambda x, m, xp: m.mean(0),
    "m.var()": lambda x, m, xp: m.var(),
    "m @ m": lambda x, m, xp: m @ m,
    "m @ x": lambda x, m, xp: m @ x,
    "x.reshape(2, 2)": lambda x, m, xp: x.reshape(2, 2),
    "m.T": lambda x, m, xp: m.T,
    "x[0]": lambda x, m, xp: x[0],
    "m[:, 1]": lambda x, m, xp: m[:, 1],
    "concatenate([x, x])": lambda x, m, xp: xp.concatenate([x, x]),
    "zeros(4)": lambda x, m, xp: xp.zeros(4),
    "asarray(2.0)": lambda x, m, xp: xp.asarray(2.0),
}


def main() -> None:
    modules = [np, nrx.numpy] + ([jax.numpy] if jax else [])
    vector, matrix = np.linspace(-1, 2, 4, dtype=np.float32), np.ones((4, 4), np.float32)
    operands = [(xp.asarray(vector), xp.asarray(matrix), xp) for xp in modules]
    print(f"{'operation':22} {'numpy':>9} {'nrx':>9} {'over numpy':>11}" + f" {'jax':>9}" * bool(jax))
    for name, operation in OPERATIONS.items():
        times = fastest(*(lambda op=operation, args=args: op(*args) for args in operands), bursts=100, seconds=0.001)
        numpy_time, nrx_time, *rest = (time * 1e6 for time in times)
        line = f"{name:22} {numpy_time:6.2f} µs {nrx_time:6.2f} µs {nrx_time - numpy_time:+8.2f} µs"
        print(line + "".join(f" {time:6.2f} µs" for time in rest))


if __name__ == "__main__":
    main()
