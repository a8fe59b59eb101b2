"""What processes tell each other: there is one."""

from typing import Any

import numpy as np

from nrx.backends.placement import device_get
from nrx.core.pytree import tree_map

__all__ = ["assert_equal", "broadcast_one_to_all", "process_allgather", "sync_global_devices"]


def sync_global_devices(name: str) -> None:
    """Wait for the other processes, of which there are none; `name` says where.

    >>> import nrx
    >>> from nrx.experimental import multihost_utils
    >>> multihost_utils.sync_global_devices("start")
    """


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """Check that `in_tree` is the same in all processes, or fail with `fail_message`: there is one.

    >>> import nrx
    >>> from nrx.experimental import multihost_utils
    >>> multihost_utils.assert_equal({"w": 1.0}, "the parameters differ")
    """


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """The tree `in_tree` of the first process as NumPy arrays, whatever `is_source` says.

    >>> import nrx
    >>> from nrx.experimental import multihost_utils
    >>> multihost_utils.broadcast_one_to_all({"w": nrx.numpy.ones(2)})
    {'w': array([1., 1.], dtype=float32)}
    """
    return device_get(in_tree)


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The trees `in_tree` of all processes as NumPy arrays, along a new first axis, or end to end if `tiled`.

    >>> import nrx
    >>> from nrx.experimental import multihost_utils
    >>> multihost_utils.process_allgather(nrx.numpy.ones(2)).shape
    (1, 2)
    """
    return tree_map(lambda leaf: leaf if tiled else np.asarray(leaf)[None], device_get(in_tree))
