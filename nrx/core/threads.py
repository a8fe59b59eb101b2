"""How many threads compute, and host functions called in parts, by as many."""

import contextvars
import os
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nrx.core.errors import ConfigError
from nrx.core.machine import processor_limit

MAX_THREADS = 1024
_chosen: int | None = None


def choose(count: int) -> None:
    """Choose how many threads compute; ConfigError where `count` is not a number from 1 to 1024."""
    global _chosen
    _chosen = _checked(count, "set_num_threads")


def get_num_threads() -> int:
    """How many threads compute: compiled programs, and decompositions of many matrices.

    Raises:
        ConfigError: the environment's NRX_NUM_THREADS is not a number from 1 to 1024.

    >>> import nrx
    >>> nrx.get_num_threads() >= 1
    True
    """
    if _chosen is not None:
        return _chosen
    named = os.environ.get("NRX_NUM_THREADS", "")
    return _checked(int(named) if named.isdecimal() else named, "NRX_NUM_THREADS") if named else processor_limit()


def _checked(count: object, name: str) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_THREADS:
        raise ConfigError(f"{name}: got {count!r}", fix=f"a number of threads from 1 to {MAX_THREADS}")
    return count


def in_parts(
    function: Callable[..., Sequence[np.ndarray]], arrays: Sequence[np.ndarray], grain: int
) -> Sequence[np.ndarray]:
    """`function(*arrays)`, which treats the items of their first axis alike, called for parts of them at once.

    `grain` elements of the first array are worth a thread of their own; it pays where the function releases the
    interpreter's lock. The results do not depend on the number of threads.
    """
    count = len(arrays[0])
    parts = min(count, arrays[0].size // grain)
    if parts < 2 or (parts := min(parts, get_num_threads())) < 2:
        return function(*arrays)
    ends = [count * i // parts for i in range(parts + 1)]
    calls = [_Call(function, [x[i:j] for x in arrays]) for i, j in pairwise(ends)]
    for call in calls[1:]:
        call.start()
    results = [call.result() for call in calls]
    return [np.concatenate(found) for found in zip(*results, strict=True)]


class _Call:
    """A call that a thread of its own makes once `start` was called, and else who asks for the result."""

    def __init__(self, function: Callable, arrays: Sequence[np.ndarray]):
        self._function, self._arrays = function, arrays
        self._thread: threading.Thread | None = None
        self._outcome: Any = None
        self._failure: BaseException | None = None

    def start(self) -> None:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads
            return
        self._thread = thread

    def result(self) -> Sequence[np.ndarray]:
        if self._thread is None:
            self._run()
        else:
            self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self._function(*self._arrays)
        except BaseException as failure:  # for who asks for the result
            self._failure = failure
