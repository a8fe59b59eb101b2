"""Kernels of the loop IR as machine code, for tests.

run(kernel, arrays)     in place; as `loop_interpreter.run`
"""

import ctypes
from collections.abc import Sequence

import numpy as np
from loop_interpreter import Interpreter

from nrx.compiler import llvm, targets
from nrx.compiler.check_loops import check_kernel
from nrx.compiler.emit import emit_kernel
from nrx.compiler.loader import Loaded
from nrx.core.loops import Kernel

LEVELS = [level for level in ("x86-64", "x86-64-v3", "x86-64-v4", "aarch64") if level in targets.host_levels()]

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
