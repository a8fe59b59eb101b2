"""Many processes, under the names of `jax.distributed`: there is one."""

from typing import Any

from nrx.core.errors import ArgumentError

__all__ = ["initialize", "is_initialized", "shutdown"]


def initialize(
    coordinator_address: str | None = None, num_processes: int | None = None, process_id: int | None = None, **_: Any
) -> None:
    """Nothing to do for one process.

    Args:
        coordinator_address: makes no difference.
        num_processes: 1 or None.
        process_id: 0 or None.

    Raises:
        ArgumentError: more processes are asked for.

    >>> import nrx
    >>> nrx.distributed.initialize(num_processes=1)
    """
    if (num_processes or 1) != 1 or process_id:
        raise ArgumentError("nrx computes in one process", fix="leave jax.distributed.initialize out")


def is_initialized() -> bool:
    """False: processes do not find each other.

    >>> import nrx
    >>> nrx.distributed.is_initialized()
    False
    """
    return False


def shutdown() -> None:
    """Nothing to do.

    >>> import nrx
    >>> nrx.distributed.shutdown()
    """
