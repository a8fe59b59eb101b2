"""Making a thing once, however many threads ask for it at the same time."""

import os
from collections.abc import Hashable
from threading import RLock
from typing import Any

#: Seconds after which a thread makes the thing itself: whoever is at it may be waiting for what this thread holds.
_PATIENCE = 60.0
#: What is being made -> held by the thread that makes it.
_locks: dict[Hashable, Any] = {}


class making:  # noqa: N801 - a context manager, named as the verb it is
    """`with making(what):` lets one thread in at a time, and a thread that is in once more.

    Inside, look first whether the thing is there by now. What is made twice all the same must do no harm.
    """

    __slots__ = ("_held", "_lock", "_what")

    def __init__(self, what: Hashable):
        self._what = what

    def __enter__(self) -> None:
        self._lock = _locks.setdefault(self._what, RLock())
        self._held = self._lock.acquire(timeout=_PATIENCE)

    def __exit__(self, *exc: object) -> None:
        _locks.pop(self._what, None)
        if self._held:
            self._lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_locks.clear)  # the threads that hold them are not in the child
