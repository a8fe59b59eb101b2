"""Backends: where arrays live and Programs run. Importing this registers "cpu" (NumPy) and "gpu" (CuPy, lazily)."""

from nrx.backends import cupy, numpy
from nrx.backends.placement import default_device, device_put, devices

__all__ = ["cupy", "default_device", "device_put", "devices", "numpy"]
