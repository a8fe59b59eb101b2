"""Names of `jax.sharding`, for programs that also run on one device: everything lies on it, whole.

>>> import nrx
>>> mesh = nrx.make_mesh((1,), ("batch",))
>>> sharding = nrx.sharding.NamedSharding(mesh, nrx.sharding.PartitionSpec("batch"))
>>> nrx.device_put(nrx.numpy.ones(2), sharding).device
Device(cpu:0)
"""

import enum
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from nrx.core.backend import Device, Sharding, SingleDeviceSharding, default_device, find_device
from nrx.core.errors import ArgumentError, ArgumentTypeError

__all__ = [
    "AxisType", "Mesh", "NamedSharding", "PartitionSpec", "Sharding", "SingleDeviceSharding", "make_mesh", "set_mesh",
    "use_mesh",
]  # fmt: skip


class AxisType(enum.Enum):
    """What JAX's compiler may do with an axis of a mesh; here it makes no difference."""

    Auto = enum.auto()
    Explicit = enum.auto()
    Manual = enum.auto()


class PartitionSpec(tuple):
    """Which axis of a mesh each axis of an array is spread over: names, tuples of names, or None."""

    __slots__ = ()

    def __new__(cls, *partitions: Any) -> "PartitionSpec":
        return super().__new__(cls, partitions)

    def __repr__(self) -> str:
        return f"PartitionSpec{tuple(self)!r}"

    def __reduce__(self) -> Any:
        return PartitionSpec, tuple(self)


P = PartitionSpec


class Mesh:
    """Devices in a grid with named axes: one device, in a grid of length 1.

    Args:
        devices: an array of devices, or nested lists.
        axis_names: a name, or one for each axis.
        axis_types: makes no difference.

    Raises:
        ArgumentError: there is more than one device, or not a name for each axis.
    """

    def __init__(self, devices: Any, axis_names: str | Sequence[str], axis_types: Any = None):
        self.devices = np.asarray(devices, dtype=object)
        self.axis_names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names)
        if self.devices.size != 1:
            raise ArgumentError(f"a mesh of {self.devices.size} devices: nrx computes on one", fix="use one device")
        if self.devices.ndim != len(self.axis_names):
            raise ArgumentError(f"{self.devices.ndim} axes, but the names {self.axis_names}", fix="name each axis once")

    @property
    def shape(self) -> dict[str, int]:
        """The length of each axis."""
        return dict(zip(self.axis_names, self.devices.shape, strict=True))

    axis_sizes = property(lambda self: self.devices.shape)
    size = 1
    empty = False

    def __enter__(self) -> "Mesh":
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mesh) and (self.axis_names, self.devices.item()) == (
            other.axis_names,
            other.devices.item(),
        )

    def __hash__(self) -> int:
        return hash((self.axis_names, self.devices.item()))

    def __repr__(self) -> str:
        return f"Mesh({', '.join(f'{name!r}: {size}' for name, size in self.shape.items())})"


class NamedSharding(Sharding):
    """An array spread over a mesh.

    Args:
        mesh: the mesh, of one device.
        spec: which axis goes over which.
        memory_kind: makes no difference.

    Raises:
        ArgumentError: the mesh has no axis of that name.
    """

    def __init__(self, mesh: Mesh, spec: PartitionSpec, *, memory_kind: str | None = None):
        super().__init__(find_device(mesh.devices.item()))
        self.mesh, self.spec, self.memory_kind = mesh, spec, memory_kind
        names = [name for part in spec for name in (part if isinstance(part, tuple) else (part,)) if name is not None]
        if unknown := [name for name in names if name not in mesh.axis_names]:
            raise ArgumentError(f"the mesh has no axis {unknown[0]!r}", fix=f"its axes are {mesh.axis_names}")

    def __repr__(self) -> str:
        return f"NamedSharding(mesh={self.mesh!r}, spec={self.spec!r})"


def make_mesh(
    axis_shapes: Sequence[int],
    axis_names: Sequence[str],
    axis_types: Any = None,
    *,
    devices: Sequence[Device] | None = None,
) -> Mesh:
    """A mesh of one device.

    Args:
        axis_shapes: the length of each axis: 1.
        axis_names: their names.
        axis_types: makes no difference.
        devices: the device; by default the one where new arrays are made.

    Returns:
        A `Mesh`.

    Raises:
        ArgumentError: more than one device is asked for.

    >>> import nrx
    >>> nrx.make_mesh((1, 1), ("x", "y"))
    Mesh('x': 1, 'y': 1)
    """
    if not isinstance(axis_shapes, Sequence):
        raise ArgumentTypeError(f"make_mesh: axis_shapes must be a tuple, got {axis_shapes!r}", fix="write (1,)")
    wanted = math.prod(axis_shapes)
    if wanted != 1:
        raise ArgumentError(f"make_mesh: {wanted} devices are asked for, nrx computes on one", fix="make all axes 1")
    grid = np.empty(tuple(axis_shapes), object)
    grid[...] = default_device() if devices is None else devices[0]
    return Mesh(grid, axis_names, axis_types)


@contextmanager
def set_mesh(mesh: Mesh) -> Iterator[Mesh]:
    """A context manager that changes nothing, whatever the `mesh`: computations run where their arguments are.

    >>> import nrx
    >>> with nrx.set_mesh(nrx.make_mesh((1,), ("x",))):
    ...     nrx.numpy.ones(2)
    Array([1., 1.], dtype=float32)
    """
    yield mesh


use_mesh = set_mesh
