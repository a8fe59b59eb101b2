"""Devices and placement: `nrx.devices`, `nrx.device_put`, `nrx.default_device`."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nrx.core import backend as platforms
from nrx.core.array import Array, ConcreteArray, asarray, put
from nrx.core.backend import Device, Sharding
from nrx.core.config import config
from nrx.core.dtypes import key_dtype
from nrx.core.errors import ArgumentError, BackendMissingError
from nrx.core.pytree import broadcast_prefix, tree_flatten, tree_map


def devices(backend: str | None = None) -> list[Device]:
    """The devices of a platform, or of every platform that is there.

    Args:
        backend: `"cpu"` or `"gpu"`; by default all that can be used on this machine, GPUs first.

    Returns:
        A list of `Device`.

    Raises:
        BackendMissingError: the platform was named and cannot be used; the message says what to install.

    >>> import nrx
    >>> nrx.devices("cpu")
    [Device(cpu:0)]
    """
    if backend is not None:
        return list(platforms.get_backend(backend).devices())
    found: list[Device] = []
    for name in sorted(platforms.platforms(), reverse=True):
        try:
            found += platforms.get_backend(name).devices()
        except BackendMissingError:
            continue  # asking what is there is not asking for this one
    return found


def device_put(
    x: Any, device: Any = None, *, src: Any = None, donate: bool = False, may_alias: bool | None = None
) -> Any:
    """Place the arrays of a pytree on a device and commit them to it.

    Args:
        x: a pytree of arrays, NumPy arrays or Python scalars.
        device: a `Device`, its name (`"gpu"`, `"gpu:1"`) or a sharding, or a tree of them that `x` begins with; None
            makes Arrays of the leaves where they are.
        src, donate, may_alias: accepted for JAX's sake.

    Returns:
        The same tree with `nrx.Array` leaves. Operations on committed arrays of different devices are errors.

    Under a transformation a traced leaf stays as it is: a traced computation runs where its arguments are.

    >>> import nrx
    >>> nrx.device_put({"w": 1.5}, "cpu")["w"].device
    Device(cpu:0)
    """

    def place(leaf: Any, target: Device | None) -> Any:
        array = asarray(leaf, "a leaf of device_put's tree")
        return put(array, target) if isinstance(array, ConcreteArray) else array

    if device is None or isinstance(device, str | Device | Sharding):
        target = None if device is None else platforms.find_device(device)
        return tree_map(lambda leaf: place(leaf, target), x)
    what = "device_put: the tree does not fit the tree of devices"
    leaves, treedef = tree_flatten(x)
    targets = broadcast_prefix(device, x, lambda x: x is None, what)
    pairs = zip(leaves, targets, strict=True)
    return treedef.unflatten([place(leaf, None if t is None else platforms.find_device(t)) for leaf, t in pairs])


def default_backend() -> str:
    """The platform where new arrays are made: "cpu" or "gpu".

    >>> import nrx
    >>> nrx.default_backend()
    'cpu'
    """
    return platforms.default_device().platform


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Device]:
    """`devices`: those of the one process there is.

    Args:
        process_index, host_id: 0 or None.
        backend: the platform; by default the one where new arrays are made.

    Returns:
        A list of `Device`.

    Raises:
        ArgumentError: there is no such process.

    >>> import nrx
    >>> nrx.local_devices()
    [Device(cpu:0)]
    """
    for number in (process_index, host_id):
        if number:
            raise ArgumentError(f"there is no process {number}", fix="there is one, number 0")
    return devices(backend or default_backend())


def device_count(backend: str | None = None) -> int:
    """How many devices a platform has; `backend` names it, by default the one where new arrays are made.

    >>> import nrx
    >>> nrx.device_count()
    1
    """
    return len(devices(backend or default_backend()))


def process_index(backend: str | None = None) -> int:
    """The number of this process: 0, as there is one, whatever the `backend`.

    >>> import nrx
    >>> nrx.process_index(), nrx.process_count(), nrx.process_indices()
    (0, 1, [0])
    """
    return 0


def process_count(backend: str | None = None) -> int:
    """How many processes compute together: one, whatever the `backend`.

    >>> import nrx
    >>> nrx.process_count()
    1
    """
    return 1


def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of the processes that compute together, whatever the `backend`.

    >>> import nrx
    >>> nrx.process_indices()
    [0]
    """
    return [0]


def effects_barrier() -> None:
    """Wait for the effects of all computations; they have taken place when a call returns, so nothing is left to do.

    >>> import nrx
    >>> nrx.effects_barrier()
    """


local_device_count = device_count
host_id, host_count, host_ids = process_index, process_count, process_indices


@contextmanager
def default_device(new_val: Device | str | None) -> Iterator[None]:
    """A context manager: inside the block new arrays are made on `new_val` (in this thread or task only).

    >>> import nrx
    >>> with nrx.default_device("cpu"):
    ...     nrx.numpy.zeros(3).device
    Device(cpu:0)
    """
    with config.using(default_device=new_val):
        yield


def device_get(x: Any) -> Any:
    """The values of a pytree's arrays as NumPy arrays, read-only; typed keys, and what is not an Array, stay.

    Args:
        x: a pytree.

    Returns:
        The same tree with `numpy.ndarray` in place of `nrx.Array`.

    >>> import nrx
    >>> nrx.device_get({"w": nrx.numpy.ones(2), "name": "dense"})
    {'name': 'dense', 'w': array([1., 1.], dtype=float32)}
    """
    return tree_map(lambda leaf: leaf.numpy() if isinstance(leaf, Array) and leaf.dtype is not key_dtype else leaf, x)


def block_until_ready(x: Any) -> Any:
    """Wait until the arrays of a pytree are computed; returns the tree.

    Args:
        x: a pytree.

    Returns:
        The tree itself.

    >>> import nrx
    >>> nrx.block_until_ready([nrx.numpy.ones(2)])
    [Array([1., 1.], dtype=float32)]
    """
    return tree_map(lambda leaf: leaf.block_until_ready() if isinstance(leaf, ConcreteArray) else leaf, x)


def live_arrays(platform: str | None = None) -> list[Array]:
    """All arrays of nrx that somebody holds, and whose memory was not given away.

    Args:
        platform: only those on devices of this platform.

    Returns:
        A list of arrays, in no order. Constants that nrx keeps are among them. Of all shapes and dtypes.

    >>> import nrx
    >>> x = nrx.numpy.ones(3)
    >>> any(y is x for y in nrx.live_arrays())
    True
    """
    alive = [x for x in gc.get_objects() if type(x) is ConcreteArray and not x.is_deleted()]
    return [x for x in alive if platform is None or x.device.platform == platform]
