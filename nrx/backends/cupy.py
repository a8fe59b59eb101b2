"""The CuPy backend: NVIDIA GPUs, op by op, from the same `impl(xp)` bodies as NumPy.

CuPy is imported when a "gpu" device is first asked for, and not before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.backends.op_by_op import compile_op_by_op, interpret
from nrx.core.backend import Device, Executable, Raw, register_backend
from nrx.core.errors import BackendMissingError
from nrx.core.primitive import Primitive
from nrx.core.program import Program

_INSTALL = "pip install 'nrx[gpu]' (or the CuPy wheel for your CUDA: cupy-cuda12x, cupy-cuda13x)"


def _import_cupy() -> tuple[Any, int]:
    """CuPy and the number of GPUs it sees."""
    try:
        import cupy
    except ImportError as error:
        raise BackendMissingError(
            f"the gpu platform needs CuPy, which cannot be imported: {error}", fix=_INSTALL
        ) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        raise BackendMissingError(
            f"CuPy {cupy.__version__} is installed but finds no usable GPU ({error})",
            fix="check `nvidia-smi` and that the driver supports CuPy's CUDA version; or stay on nrx.devices('cpu')",
        ) from error
    if count == 0:
        raise BackendMissingError(f"CuPy {cupy.__version__} finds no GPU", fix="stay on nrx.devices('cpu')")
    return cupy, count


class CupyBackend:
    """Arrays are `cupy.ndarray`; one device a GPU, `gpu:0`, `gpu:1`, …"""

    platform = "gpu"

    def __init__(self) -> None:
        self.xp, count = _import_cupy()
        self._devices = tuple(Device("gpu", number, self) for number in range(count))

    def devices(self) -> Sequence[Device]:
        return self._devices

    def from_numpy(self, data: np.ndarray, device: Device) -> Raw:
        with self.xp.cuda.Device(device.id):
            return self.xp.asarray(data)

    def to_numpy(self, raw: Raw) -> np.ndarray:
        return self.xp.asnumpy(raw)

    def transfer(self, raw: Raw, device: Device) -> Raw:
        with self.xp.cuda.Device(device.id):
            return self.xp.asarray(raw)

    def active(self, device: Device) -> Any:
        return self.xp.cuda.Device(device.id)

    def call(self, prim: Primitive, raws: Sequence[Raw], params: dict, device: Device) -> Any:
        out = prim.impl(device.runner if prim.higher_order else self.xp, *raws, **params)
        if isinstance(out, list | tuple):
            return [self.xp.asarray(raw) for raw in out]
        return self.xp.asarray(out)

    def interpret(self, program: Program, device: Device) -> Callable[[Sequence[Raw]], list[Raw]]:
        return interpret(program, device)

    def compile(
        self, program: Program, device: Device, donated: tuple[bool, ...] = (), constants: int = 0
    ) -> Executable:
        return compile_op_by_op(program, device)


register_backend("gpu", CupyBackend)
