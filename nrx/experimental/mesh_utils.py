"""Grids of devices: of one."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core.backend import Device, default_device
from nrx.core.errors import ArgumentError


def create_device_mesh(mesh_shape: Sequence[int], devices: Sequence[Device] | None = None, **_: Any) -> np.ndarray:
    """An array of devices for `nrx.sharding.Mesh`.

    Args:
        mesh_shape: its shape; all lengths must be 1.
        devices: the device; by default the one where new arrays are made.

    Returns:
        An array of objects.

    Raises:
        ArgumentError: more than one device is asked for.

    >>> from nrx.experimental import mesh_utils
    >>> mesh_utils.create_device_mesh((1,))
    array([Device(cpu:0)], dtype=object)
    """
    if math.prod(mesh_shape) != 1:
        raise ArgumentError(f"a mesh of shape {tuple(mesh_shape)}: nrx computes on one device", fix="make all axes 1")
    grid = np.empty(tuple(mesh_shape), object)
    grid[...] = default_device() if devices is None else devices[0]
    return grid
