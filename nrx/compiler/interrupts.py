"""Interrupts: kernels of long tasks look from time to time whether the program has been asked to stop.

Such a kernel gets one more argument, where the caller and its workers share what they know of signals. Its long loops
run in blocks, and after each of them it looks there; if the program is to stop, it returns. What is in its results then
nobody sees. Other kernels stay as they are: the driver and the pool look between their tasks.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from nrx.core import loops
from nrx.core.dims import capacity
from nrx.core.loops import Buffer, If, Kernel, Lanes, Loop, While

_LONG = 1 << 22  # operations of a task, or iterations, that take a tenth of a second at worst
_BLOCK = 1 << 16  # iterations that take microseconds at least: a look at the clock is nothing beside them
_FEW_OPERATIONS = 16  # of an iteration
_UNKNOWN = 64  # iterations of a loop of any length, when the block of one around it is chosen


def watch(kernel: Kernel) -> bool:
    """Make a kernel one that can be interrupted if its tasks are long; whether it is."""
    if kernel.watch is not None:
        return True
    is_bounded = math.isfinite(kernel.cost)
    iterations = _iterations(kernel.body, math.inf, is_bounded)
    operations = kernel.cost if math.isinf(iterations) else max(iterations, kernel.cost)
    if not iterations or operations <= _LONG:
        return False
    each = operations / iterations if is_bounded else 1.0
    block = _BLOCK / max(1.0, each / _FEW_OPERATIONS)
    kernel.looks = dict(_looks(kernel.body, _LONG / max(1.0, each), block, is_bounded))
    kernel.watch = Buffer("watch", "i64")
    kernel.buffers.append(kernel.watch)
    return True


def _looks(statements: Iterable[Any], long: float, block: float, is_bounded: bool) -> Iterator[tuple[Any, int]]:
    """The loops of more than `long` iterations, and how many of theirs make a block of about so many."""
    for s in statements:
        if isinstance(s, If):
            yield from _looks([*s.then, *s.otherwise], long, block, is_bounded)
        elif isinstance(s, Loop | Lanes | While):
            if _iterations([s], math.inf, is_bounded) > long:
                each = max(1.0, _iterations(_body(s), _UNKNOWN, is_bounded))
                yield s, 1 << max(0, int(math.log2(block / each)))
            yield from _looks(_body(s), long, block, is_bounded)


def _iterations(statements: Iterable[Any], unknown: float, is_bounded: bool) -> float:
    """How many iterations of innermost loops there are at most.

    Args:
        unknown: those of a loop of unknown length.
        is_bounded: the kernel's cost is known, so that a while loop is but a part of the iteration around it.
    """
    total = 0.0
    for s in statements:
        if isinstance(s, If):
            total += _iterations([*s.then, *s.otherwise], unknown, is_bounded)
        elif isinstance(s, Loop | Lanes | While):
            count = _extent(s.var, unknown) if not isinstance(s, While) else 1.0 if is_bounded else unknown
            total += count and count * max(1.0, _iterations(_body(s), unknown, is_bounded))
    return total


def _extent(var: Any, unknown: float) -> float:
    extent = var.attr.extent
    most = capacity(extent) if isinstance(extent, int) else loops.bounds(extent)[1]
    return max(0.0, most) if math.isfinite(most) else unknown


def _body(s: Any) -> list[Any]:
    return [*s.head, *s.body] if isinstance(s, While) else s.body
