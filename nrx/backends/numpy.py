"""The NumPy backend: the CPU, op by op. It is the reference for every other."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.backends.op_by_op import compile_op_by_op
from nrx.core.backend import Device, Executable, Raw, register_backend
from nrx.core.primitive import Primitive
from nrx.core.program import Program


class NumpyBackend:
    """Arrays are `numpy.ndarray`; there is one device, `cpu:0`."""

    platform = "cpu"
    xp = np

    def __init__(self) -> None:
        self._devices = (Device("cpu", 0, self),)

    def devices(self) -> Sequence[Device]:
        return self._devices

    def from_numpy(self, data: np.ndarray, device: Device) -> Raw:
        return data

    def to_numpy(self, raw: Raw) -> np.ndarray:
        return raw

    def transfer(self, raw: Raw, device: Device) -> Raw:
        return raw

    def active(self, device: Device) -> np.errstate:
        return np.errstate(all="ignore")  # inf and NaN are results here, as on any accelerator

    def call(self, prim: Primitive, raws: Sequence[Raw], params: dict, device: Device) -> Any:
        out = prim.impl(device.runner if prim.higher_order else np, *raws, **params)
        if type(out) is np.ndarray:
            return out
        if isinstance(out, list | tuple):
            return [np.asarray(raw) for raw in out]
        return np.asarray(out)  # NumPy makes scalars of 0-d results

    def compile(self, program: Program, device: Device, donated: tuple[bool, ...] = ()) -> Executable:
        return compile_op_by_op(program, device)


register_backend("cpu", NumpyBackend)
