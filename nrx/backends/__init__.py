"""Backends: where arrays live and Programs run. Importing this registers "cpu" (NumPy) and "gpu" (CuPy, lazily)."""

from nrx.backends import cupy, numpy
from nrx.backends.placement import block_until_ready, default_device, device_get, device_put, devices

__all__ = ["block_until_ready", "cupy", "default_device", "device_get", "device_put", "devices", "numpy"]
