"""Timing of functions in one process."""

import timeit
from collections.abc import Callable
from typing import Any


def fastest(*functions: Callable[[], Any], bursts: int, seconds: float) -> list[float]:
    """Seconds per call of each function: the minimum over bursts of about so many seconds, by turns."""
    timers = [timeit.Timer(function) for function in functions]
    counts = [calls_in(seconds, timer) for timer in timers]
    best = [float("inf")] * len(functions)
    for _ in range(bursts):
        for i, (timer, count) in enumerate(zip(timers, counts, strict=True)):
            best[i] = min(best[i], timer.timeit(count) / count)
    return best


def calls_in(seconds: float, timer: timeit.Timer) -> int:
    """How many calls take so long, at least one, the first two left out: they may have to compile."""
    timer.timeit(2)
    count = 1
    while (taken := timer.timeit(count)) < seconds / 4:
        count *= 4
    return max(1, round(seconds * count / taken))
