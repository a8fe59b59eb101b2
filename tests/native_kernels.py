"""Kernels in LLVM IR and their Python side, for tests of the thread pool and its processes."""

import ctypes
from typing import Any

import numpy as np

from nrx.compiler import cache, runtime
from nrx.compiler.targets import host


def _storing(name: str, value: str, type: str, before: str = "") -> str:
    """A kernel whose tasks store a value and burn time."""
    return f"""
define void @{name}(ptr %args, i64 %first, i64 %last, i64 %thread) nounwind {{
start:
  %out_at = getelementptr i64, ptr %args, i64 1
  %out = load ptr, ptr %out_at
  {before}
  br label %loop
loop:
  %i = phi i64 [ %first, %start ], [ %next, %body ]
  %more = icmp slt i64 %i, %last
  br i1 %more, label %body, label %done
body:
  %at = getelementptr {type}, ptr %out, i64 %i
  store {type} {value}, ptr %at
  call void @burn()
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}}
"""


#: The thread that a task runs in.
WHICH = _storing("which", "%thread", "i64")
#: The square of the f64 whose bits are in place of `rounds`.
SQUARE = _storing(
    "square",
    "%product",
    "double",
    """%factor_at = getelementptr i64, ptr %args, i64 2
  %factor = load double, ptr %factor_at
  %product = fmul double %factor, %factor""",
)
#: args: runtime table, output, rounds. A task t stores t multiplied `rounds` times by a constant, modulo 2 ** 64.
TEXT = (
    """
define void @multiply(ptr %args, i64 %first, i64 %last, i64 %thread) nounwind {
start:
  %out_at = getelementptr i64, ptr %args, i64 1
  %out = load ptr, ptr %out_at
  %rounds_at = getelementptr i64, ptr %args, i64 2
  %rounds = load i64, ptr %rounds_at
  br label %outer
outer:
  %i = phi i64 [ %first, %start ], [ %next, %store ]
  %more = icmp slt i64 %i, %last
  br i1 %more, label %inner, label %done
inner:
  %j = phi i64 [ 0, %outer ], [ %k, %inner ]
  %x = phi i64 [ %i, %outer ], [ %y, %inner ]
  %y = mul i64 %x, 6364136223846793005
  %k = add i64 %j, 1
  %again = icmp slt i64 %k, %rounds
  br i1 %again, label %inner, label %store
store:
  %at = getelementptr i64, ptr %out, i64 %i
  store i64 %y, ptr %at
  %next = add i64 %i, 1
  br label %outer
done:
  ret void
}

define internal void @burn() nounwind {
start:
  br label %loop
loop:
  %i = phi i64 [ 0, %start ], [ %next, %loop ]
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, 30000
  br i1 %more, label %loop, label %done
done:
  ret void
}

; A task runs `multiply` for ten tasks in a parfor of its own.
define void @nested(ptr %args, i64 %first, i64 %last, i64 %thread) nounwind {
start:
  %runtime = load ptr, ptr %args
  %parfor = load ptr, ptr %runtime
  %pool_at = getelementptr i64, ptr %runtime, i64 1
  %pool = load ptr, ptr %pool_at
  %out_at = getelementptr i64, ptr %args, i64 1
  %out = load ptr, ptr %out_at
  %rounds_at = getelementptr i64, ptr %args, i64 2
  %rounds = load i64, ptr %rounds_at
  %inner = alloca [3 x i64], align 8
  %watch = alloca [2 x i64], align 8
  store [2 x i64] zeroinitializer, ptr %watch
  %inner_out = getelementptr i64, ptr %inner, i64 1
  %inner_rounds = getelementptr i64, ptr %inner, i64 2
  store ptr %runtime, ptr %inner
  store i64 %rounds, ptr %inner_rounds
  br label %loop
loop:
  %i = phi i64 [ %first, %start ], [ %next, %body ]
  %more = icmp slt i64 %i, %last
  br i1 %more, label %body, label %done
body:
  %offset = mul i64 %i, 10
  %here = getelementptr i64, ptr %out, i64 %offset
  store ptr %here, ptr %inner_out
  %status = call i64 %parfor(ptr %pool, ptr @multiply, ptr %inner, i64 10, i64 1, ptr %watch)
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}
"""
    + WHICH
    + SQUARE
)

_WORD, _POINTER = ctypes.c_int64, ctypes.c_void_p


class Kernels:
    """The kernels above, run by the pool."""

    def __init__(self) -> None:
        self.table = runtime.RuntimeTable()
        self.code = cache.load(TEXT, host())
        words = (_WORD * 16).from_address(self.table.address)
        self._parfor = ctypes.CFUNCTYPE(_WORD, _POINTER, _POINTER, _POINTER, _WORD, _WORD, _POINTER)(words[0])
        self._pool = words[1]

    def run(self, name: str, tasks: int, grain: int, rounds: int = 10, size: int | None = None) -> Any:
        """The output of a kernel; raises what Python raised meanwhile."""
        out = np.full(tasks if size is None else size, -1, np.int64)
        args = (_WORD * 3)(self.table.address, out.ctypes.data, rounds)
        watch = (_WORD * 2)()
        if self._parfor(
            self._pool, self.code.address(name), ctypes.addressof(args), tasks, grain, ctypes.addressof(watch)
        ):
            runtime.raise_pending()
        return out


def multiplied(tasks: int, rounds: int = 10) -> Any:
    """What `multiply` must give."""
    factor = pow(6364136223846793005, rounds, 1 << 64)
    return (np.arange(tasks, dtype=np.uint64) * np.uint64(factor)).view(np.int64)
