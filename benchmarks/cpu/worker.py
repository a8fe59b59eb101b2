"""The process of one library: `python -m benchmarks.cpu.worker PEER CASE SEED THREADS`.

It makes the task of a workload, checks its result, and says so in a line of JSON. Then it answers every line that has a
number of seconds by the samples of a burst of that length. Between bursts it does nothing, and says how true that was.
"""

import ctypes
import gc
import importlib
import json
import os
import sys
import time
import traceback
from itertools import repeat
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.cpu.case import Case, Task, error
from benchmarks.cpu.catalogue import all_cases
from benchmarks.cpu.machine import read
from benchmarks.cpu.peers import PEERS

#: The clock's own error is small beside this, and it is short beside a time slice.
SAMPLE_SECONDS = 1e-3
#: The part of a burst that wakes threads and fills caches, and does not count.
WARM_UP = 0.15


class Timed:
    """A task, with what is known of its speed."""

    def __init__(self, task: Task, seconds: float):
        """`seconds` is how long a first call took."""
        self._task = task
        self._calls = task.calls or 1
        if task.calls is None and seconds < 1:
            task.reset()
            while (seconds := self._sample()) * self._calls < SAMPLE_SECONDS and self._calls < 1 << 20:
                self._calls = max(2 * self._calls, min(int(SAMPLE_SECONDS / seconds), 10 * self._calls))
        self._seconds = seconds * self._calls
        gc.collect()
        gc.disable()
        self._rested = time.perf_counter(), time.process_time()

    def burst(self, seconds: float) -> dict[str, Any]:
        """Seconds per call over and over, and for the time since the last burst its length and processor time."""
        pause = time.perf_counter() - self._rested[0], time.process_time() - self._rested[1]
        self._task.reset()
        if self._seconds < seconds:
            self._samples(WARM_UP * seconds)
        samples = self._samples(seconds)
        self._rested = time.perf_counter(), time.process_time()
        return {"samples": [sample * self._task.scale for sample in samples], "pause": pause}

    def _samples(self, seconds: float) -> list[float]:
        end = time.perf_counter() + seconds
        samples = [self._sample()]
        while time.perf_counter() < end:
            samples.append(self._sample())
        return samples

    def _sample(self) -> float:
        run = self._task.run
        start = time.perf_counter()
        for _ in repeat(None, self._calls):
            run()
        self._task.finish()
        return (time.perf_counter() - start) / self._calls


def resident(field: str) -> int | None:
    """Bytes that this process has in memory, or had at most ("VmHWM"), of its own ("RssAnon") or of files ("RssFile").

    None where the system is silent.
    """
    lines = [line for line in read("/proc/self/status").splitlines() if line.startswith(field)]
    return int(lines[0].split()[1]) * 1024 if lines else None


def memory_of(task: Task, before: int | None) -> int | None:
    """Bytes beyond `before` that one more call has at most; None where the system does not tell.

    Pages of files, which are those of libraries, do not count: processes share them. A call hardly needs new ones.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was free all along is not the call's
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget how much it had been
    except (AttributeError, OSError):
        return None
    task.reset()
    task.run()
    task.finish()
    most, files = resident("VmHWM"), resident("RssFile")
    return None if most is None or files is None or before is None else most - files - before


def prepared(case: Case, peer: str, seed: int) -> tuple[Timed, int | None]:
    """The task, if its result is right, and the memory that a call has, if that is asked for."""
    importlib.import_module(PEERS[peer].package)
    before = resident("RssAnon")
    data = case.inputs(np.random.default_rng(seed))
    task = case.tasks[peer](*data)
    start = time.perf_counter()
    result = (task.result or task.run)()
    seconds = time.perf_counter() - start
    if not (far := error(result, case.reference(*data))) <= case.tolerance:
        raise ArithmeticError(f"wrong by {far:.2g} of the largest element, {case.tolerance:g} is allowed")
    memory = memory_of(task, before) if case.is_training else None
    return Timed(task, seconds), memory


def answer(replies: IO[str], reply: dict[str, Any]) -> None:
    print(json.dumps(reply), file=replies, flush=True)


def main() -> None:
    peer, name, seed, threads = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    try:
        timed, memory = prepared(all_cases()[name], peer, int(seed))
        answer(replies, {"memory": memory})
        for line in sys.stdin:
            answer(replies, timed.burst(json.loads(line)))
    except Exception as failure:
        traceback.print_exc()
        answer(replies, {"failure": f"{type(failure).__name__}: {failure}".splitlines()[0]})


if __name__ == "__main__":
    main()
