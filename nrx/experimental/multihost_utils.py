"""What processes tell each other: there is one."""

from typing import Any

import numpy as np

from nrx.backends.placement import device_get
from nrx.core.pytree import tree_map

__all__ = ["assert_equal", "broadcast_one_to_all", "process_allgather", "sync_global_devices"]


def sync_global_devices(name: str) -> None:
    """Wait for the other processes, of which there are none."""


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """A tree is the same in all processes."""


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """The tree of the first process as NumPy arrays.

    >>> import nrx
    >>> from nrx.experimental import multihost_utils
    >>> multihost_utils.broadcast_one_to_all({"w": nrx.numpy.ones(2)})
    {'w': array([1., 1.], dtype=float32)}
    """
    return device_get(in_tree)


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The trees of all processes as NumPy arrays, along a new first axis, or one after the other if `tiled`.

    >>> import nrx
    >>> from nrx.experimental import multihost_utils
    >>> multihost_utils.process_allgather(nrx.numpy.ones(2)).shape
    (1, 2)
    """
    return tree_map(lambda leaf: leaf if tiled else np.asarray(leaf)[None], device_get(in_tree))
