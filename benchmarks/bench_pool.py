"""What it costs to share work among threads: to start and end a job, hot and cold, and what is gained at which size.

Hot: the workers are still looking around after the job before. Cold: they sleep and must be woken up.
"""

import ctypes
import time
from collections.abc import Callable

import numpy as np

from nrx.compiler import cache, runtime
from nrx.compiler.pool import set_num_threads
from nrx.compiler.targets import host
from nrx.core.threads import get_num_threads

REPEATS = 60
PAUSE = 0.002
CHUNKS = 16

#: `spin` counts for as many steps as each task is worth; `jobs` runs a job several times in a row.
TEXT = """
define void @spin(ptr %args, i64 %first, i64 %last, i64 %thread) nounwind {
start:
  %steps_at = getelementptr i64, ptr %args, i64 1
  %steps = load i64, ptr %steps_at
  %tasks = sub i64 %last, %first
  %count = mul i64 %tasks, %steps
  %sink = alloca i64, align 8
  br label %loop
loop:
  %i = phi i64 [ 0, %start ], [ %j, %more ]
  %going = icmp slt i64 %i, %count
  br i1 %going, label %more, label %done
more:
  %j = add i64 %i, 1
  store volatile i64 %j, ptr %sink
  br label %loop
done:
  ret void
}

define void @jobs(ptr %runtime, ptr %args, i64 %tasks, i64 %grain, i64 %times) nounwind {
start:
  %parfor = load ptr, ptr %runtime
  %pool_at = getelementptr i64, ptr %runtime, i64 1
  %pool = load ptr, ptr %pool_at
  br label %loop
loop:
  %i = phi i64 [ 0, %start ], [ %j, %loop ]
  %status = call i64 %parfor(ptr %pool, ptr @spin, ptr %args, i64 %tasks, i64 %grain)
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %times
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def job(steps: int, times: int) -> Callable[[], None]:
    """A function that runs `times` jobs of CHUNKS chunks, of so many steps in all."""
    table, code = runtime.RuntimeTable(), cache.load(TEXT, host())
    jobs = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3)(code.address("jobs"))
    args = (ctypes.c_int64 * 2)(table.address, steps // CHUNKS)

    def run(_keep: object = (table, code)) -> None:
        jobs(table.address, ctypes.addressof(args), CHUNKS, 1, times)

    return run


def microseconds(function: Callable[[], None], jobs: int, pause: float) -> tuple[float, float]:
    """The least time of a job and the first quartile."""
    function()
    times = []
    for _ in range(REPEATS):
        time.sleep(pause)
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) / jobs * 1e6)
    return min(times), float(np.quantile(times, 0.25))


def main() -> None:
    threads = get_num_threads()
    print(f"{threads} threads; microseconds a job, least and first quartile")
    print(f"{'steps':>8} {'alone':>17} {'hot':>17} {'cold':>17}")
    for steps in (0, 16_000, 64_000, 256_000, 1_024_000):
        set_num_threads(1)
        alone = microseconds(job(steps, 10), 10, PAUSE)
        set_num_threads(threads)
        hot, cold = microseconds(job(steps, 10), 10, PAUSE), microseconds(job(steps, 1), 1, PAUSE)
        print(f"{steps:8} " + " ".join(f"{least:8.2f} {quartile:8.2f}" for least, quartile in (alone, hot, cold)))


if __name__ == "__main__":
    main()
