"""Prefetch: the next items of an iterator are made in the background, while the program works on the current one."""

import threading
import weakref
from collections.abc import Iterable, Iterator
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from nrx.core.errors import ArgumentError

Item = TypeVar("Item")


def prefetch(iterator: Iterable[Item], size: int = 2) -> "Prefetch[Item]":
    """Make the items of an iterator ahead of their use, in a background thread.

    The thread ends with the iterator, when the result is closed or no longer referred to, and with the program.

    Args:
        iterator: what to iterate over; only the thread uses it from now on.
        size: how many items to keep ready, at least 1.

    Returns:
        An iterator over the same items in the same order. An exception of the source is raised at its place, with its
        traceback. If the source has a `state`, as `batches` has, the result has it too: that of the items given out,
        whatever has been made ahead. `close()`, or leaving a `with` block, stops the thread and waits for it.

    Raises:
        ArgumentError: the size is less than 1.

    >>> import nrx
    >>> [int(batch.sum()) for batch in nrx.data.prefetch(nrx.data.batches(nrx.numpy.arange(6), 2))]
    [1, 5, 9]
    """
    return Prefetch(iterator, size)


class Prefetch(Generic[Item]):
    """What `prefetch` returns: an iterator whose items a background thread makes."""

    def __init__(self, iterator: Iterable[Item], size: int):
        if size < 1:
            raise ArgumentError(f"prefetch: size must be at least 1, got {size}")
        source = iter(iterator)
        line = _Line(size)
        self._line = line
        self._state = getattr(source, "state", None)
        self._ended = False
        # The thread must not refer to `self`, which could never be abandoned then. The context carries nrx's settings.
        self._thread = threading.Thread(
            target=copy_context().run, args=(_fill, source, line), name="nrx-prefetch", daemon=True
        )
        self._stop = weakref.finalize(self, line.stop)
        self._thread.start()

    @property
    def state(self) -> Any:
        """The position of the source after the last item given out; None if it has no `state`."""
        return self._state

    def __iter__(self) -> "Prefetch[Item]":
        return self

    def __next__(self) -> Item:
        if self._ended:
            raise StopIteration
        item, state, error = self._line.take()
        if error is not None:
            self._ended = True
            raise error
        self._state = state
        return item

    def close(self) -> None:
        """Stop, and wait for the thread to finish the item that it is making; afterwards the iterator is at its end."""
        self._ended = True
        self._stop()
        self._thread.join()

    def __enter__(self) -> "Prefetch[Item]":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Line:
    """The items between the thread and the program, at most `size` of them.

    `SimpleQueue` is the one means of waiting that may be used from a finalizer, whenever that runs.
    """

    def __init__(self, size: int):
        self._ready: SimpleQueue[tuple[Any, Any, BaseException | None]] = SimpleQueue()
        self._free: SimpleQueue[None] = SimpleQueue()
        self._stopped = False
        for _ in range(size):
            self._free.put(None)

    def wait_for_space(self) -> bool:
        """Whether there is an item to make; False if nobody wants any more."""
        self._free.get()
        return not self._stopped

    def put(self, item: Any = None, state: Any = None, error: BaseException | None = None) -> None:
        self._ready.put((item, state, error))

    def take(self) -> tuple[Any, Any, BaseException | None]:
        entry = self._ready.get()
        self._free.put(None)
        return entry

    def stop(self) -> None:
        self._stopped = True
        self._free.put(None)


def _fill(source: Iterator[Any], line: _Line) -> None:
    try:
        while line.wait_for_space():
            item = next(source)
            line.put(item, getattr(source, "state", None))
    except BaseException as error:  # the end of the source, too, is for the program to see
        line.put(error=error)
