"""Memory for the results of compiled programs: aligned, and used again when the arrays on it are gone.

    take = allocator(nbytes)                                 # once: finds the size class
    block = take()                                           # each time
    view = np.ndarray(shape, dtype, block, offset)           # keeps the block alive

Fresh memory costs a page fault every 4 KiB, often more than computing what goes there; memory that was used before is
also still in the cache. When the last reference to a block goes, its memory joins the idle memory of its size class.

There are no locks, so that a block may die anywhere (in a finalizer, in another thread, around a fork): lists are
changed by single atomic operations, and the count of idle bytes is put right whenever it matters.
"""

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from nrx.core.errors import OutOfMemoryError
from nrx.core.machine import memory_limit

ALIGNMENT = 64
"""Of every block: a cache line, and the widest vector."""

_CLASSES_PER_DOUBLING = 8
_FIRST_LIMIT = 64 << 20  # idle bytes below which nobody needs to know how much memory there is


class Block:
    """Memory of a size class, a writable buffer of bytes.

    Fields:
        address: of its first byte.
    """

    __slots__ = ()
    address: int
    _memory: tuple[int, np.ndarray]
    _size: int
    _idle: list[tuple[int, np.ndarray]]
    _pool: Any

    def __del__(self) -> None:
        try:
            self._idle.append(self._memory)
        except AttributeError:  # an interrupt came before it had any
            return
        pool = self._pool
        pool.idle += self._size
        if pool.idle > pool.limit:
            pool.trim()


class _Pool:
    """All size classes, and how much idle memory they may keep."""

    def __init__(self) -> None:
        self.classes: dict[int, list[tuple[int, np.ndarray]]] = {}
        self.takers: dict[int, Callable[[], Any]] = {}
        self.idle = 0
        self.limit = _FIRST_LIMIT
        self.limit_is_final = False

    def count(self) -> int:
        """Count the idle bytes."""
        self.idle = sum(size * len(idle) for size, idle in list(self.classes.items()))
        return self.idle

    def trim(self) -> None:
        """Give back the older half of each class's idle memory until the limit is kept."""
        if not self.limit_is_final:
            self.limit, self.limit_is_final = memory_limit() // 8, True
        while self.count() > self.limit:
            for idle in list(self.classes.values()):
                del idle[: (len(idle) + 1) // 2]


_pool = _Pool()


def size_class(nbytes: int) -> int:
    """The bytes that a request for `nbytes` takes: at most an eighth more, or up to 64."""
    step = max(ALIGNMENT, 1 << max(0, (nbytes - 1).bit_length() - _CLASSES_PER_DOUBLING.bit_length()))
    return max(step, -(-nbytes // step) * step)


def allocator(nbytes: int) -> Callable[[], Any]:
    """A function that takes a `Block` of at least `nbytes` bytes, whose contents are arbitrary; the quick way.

    Raises:
        OutOfMemoryError: (the function it returns, too) the system has not as much, even with the idle blocks.
    """
    size = size_class(nbytes)
    take = _pool.takers.get(size)
    return _pool.takers.setdefault(size, _new_class(size)) if take is None else take


def allocate(nbytes: int) -> Any:
    """A `Block` of at least `nbytes` bytes; see `allocator`."""
    return allocator(nbytes)()


def _new_class(size: int) -> Callable[[], Any]:
    if size > sys.maxsize // 2:
        raise _too_much(size)
    idle = _pool.classes.setdefault(size, [])
    fields = {"__slots__": ("_memory", "address"), "_idle": idle, "_size": size, "_pool": _pool}
    kind: Any = type("Block", (Block, ctypes.c_char * size), fields)
    at, pop, pool = kind.from_address, idle.pop, _pool

    def take() -> Any:
        try:
            memory = pop()
            pool.idle -= size
        except IndexError:
            memory = _fresh(size)
        block = at(memory[0])
        block._memory = memory
        block.address = memory[0]
        return block

    return take


def _fresh(size: int) -> tuple[int, np.ndarray]:
    """Memory from the system: the address, and what owns it."""
    for attempt in range(2):
        try:
            owner = np.empty(size + ALIGNMENT - 1, np.uint8)
        except MemoryError:
            if attempt == 0:
                release_idle()
        else:
            return -(-owner.ctypes.data // ALIGNMENT) * ALIGNMENT, owner
    raise _too_much(size)


def _too_much(size: int) -> OutOfMemoryError:
    fix = "use smaller arrays or batches, or drop arrays that are no longer needed"
    return OutOfMemoryError(f"no memory for {size:,} bytes of results", fix=fix)


def release_idle() -> None:
    """Give all idle memory back to the system."""
    for idle in list(_pool.classes.values()):
        idle.clear()
    _pool.count()


def idle_bytes() -> int:
    """The bytes of memory that are kept for reuse."""
    return _pool.count()


def set_idle_limit(nbytes: int) -> None:
    """Change how many bytes may be kept for reuse; by default an eighth of the memory this process may use."""
    _pool.limit, _pool.limit_is_final = max(0, nbytes), True
    _pool.trim()
