"""Devices and placement: `nrx.devices`, `nrx.device_put`, `nrx.default_device`."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nrx.core import backend
from nrx.core.array import Array, ConcreteArray, asarray, put
from nrx.core.backend import Device
from nrx.core.config import config
from nrx.core.dtypes import key_dtype
from nrx.core.errors import BackendMissingError
from nrx.core.pytree import tree_map


def devices(platform: str | None = None) -> list[Device]:
    """The devices of a platform, or of every platform that is there.

    Args:
        platform: `"cpu"` or `"gpu"`; by default all that can be used on this machine, GPUs first.

    Returns:
        A list of `Device`.

    Raises:
        BackendMissingError: the platform was named and cannot be used; the message says what to install.

    >>> import nrx
    >>> nrx.devices("cpu")
    [Device(cpu:0)]
    """
    if platform is not None:
        return list(backend.get_backend(platform).devices())
    found: list[Device] = []
    for name in sorted(backend.platforms(), reverse=True):
        try:
            found += backend.get_backend(name).devices()
        except BackendMissingError:
            continue  # asking what is there is not asking for this one
    return found


def device_put(tree: Any, device: Device | str | None = None) -> Any:
    """Place the arrays of a pytree on a device and commit them to it.

    Args:
        tree: a pytree of arrays, NumPy arrays or Python scalars.
        device: a `Device` or its name (`"gpu"`, `"gpu:1"`); None makes Arrays of the leaves where they are.

    Returns:
        The same tree with `nrx.Array` leaves. Operations on committed arrays of different devices are errors.

    Under a transformation a traced leaf stays as it is: a traced computation runs where its arguments are.

    >>> import nrx
    >>> nrx.device_put({"w": 1.5}, "cpu")["w"].device
    Device(cpu:0)
    """
    target = None if device is None else backend.find_device(device)

    def place(leaf: Any) -> Any:
        array = asarray(leaf, "a leaf of device_put's tree")
        return put(array, target) if isinstance(array, ConcreteArray) else array

    return tree_map(place, tree)


@contextmanager
def default_device(device: Device | str | None) -> Iterator[None]:
    """A context manager: inside the block new arrays are made on `device` (in this thread or task only).

    >>> import nrx
    >>> with nrx.default_device("cpu"):
    ...     nrx.numpy.zeros(3).device
    Device(cpu:0)
    """
    with config.using(default_device=device):
        yield


def device_get(tree: Any) -> Any:
    """The values of a pytree's arrays as NumPy arrays, read-only; typed keys, and what is not an Array, stay.

    Args:
        tree: a pytree.

    Returns:
        The same tree with `numpy.ndarray` in place of `nrx.Array`.

    >>> import nrx
    >>> nrx.device_get({"w": nrx.numpy.ones(2), "name": "dense"})
    {'name': 'dense', 'w': array([1., 1.], dtype=float32)}
    """
    return tree_map(lambda leaf: leaf.numpy() if isinstance(leaf, Array) and leaf.dtype is not key_dtype else leaf, tree)


def block_until_ready(tree: Any) -> Any:
    """Wait until the arrays of a pytree are computed; returns the tree.

    Args:
        tree: a pytree.

    Returns:
        The tree itself.

    >>> import nrx
    >>> nrx.block_until_ready([nrx.numpy.ones(2)])
    [Array([1., 1.], dtype=float32)]
    """
    return tree_map(lambda leaf: leaf.block_until_ready() if isinstance(leaf, ConcreteArray) else leaf, tree)


def live_arrays(platform: str | None = None) -> list[Array]:
    """All arrays of nrx that somebody holds, and whose memory was not given away.

    Args:
        platform: only those on devices of this platform.

    Returns:
        A list of arrays, in no order. Constants that nrx keeps are among them.

    >>> import nrx
    >>> x = nrx.numpy.ones(3)
    >>> any(y is x for y in nrx.live_arrays())
    True
    """
    alive = [x for x in gc.get_objects() if type(x) is ConcreteArray and not x.is_deleted()]
    return [x for x in alive if platform is None or x.device.platform == platform]
