"""A stand-in for a compiler: every Program becomes "native code" that is a callback into NumPy.

It has the calling convention of native code, and nothing but words to go by, so that what calls it is tested in full.
"""

import ctypes
import threading
import weakref
from typing import Any, NoReturn

import numpy as np

from nrx.backends.op_by_op import OpByOp, compile_op_by_op
from nrx.core import backend
from nrx.core.aval import Aval
from nrx.core.backend import Constant, Device, Donated, NativeEntry, Passed, Stored, place_outputs
from nrx.core.cost import nbytes
from nrx.core.program import Literal, Program

RUNTIME = 0x5EED
_ARENA = 100


class Executable(OpByOp):
    """Runs op by op, on raw arrays or on memory.

    Attributes:
        calls: how often the native entry was called.
        words: those of the last call.
    """

    def __init__(self, program: Program, device: Device, donated: tuple[bool, ...], brief: bool):
        self._op_by_op = compile_op_by_op(program, device)
        super().__init__(program, self._op_by_op._run)
        self._device = device
        self._pending = threading.local()
        self.calls = 0
        self.words: tuple[int, ...] = ()
        outputs, blocks = _outputs(program, donated)
        prototype = (ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE)(ctypes.c_int64, ctypes.c_void_p)
        enter = weakref.WeakMethod(self._enter)  # a callback is not seen by the garbage collector
        self._callback = prototype(lambda words: enter()(words))  # type: ignore[misc]
        address = ctypes.cast(self._callback, ctypes.c_void_p).value
        assert address is not None
        self._entry = NativeEntry(
            address=address, runtime_address=RUNTIME, out_blocks=blocks, arena_bytes=_ARENA, outputs=outputs,
            raise_pending=self._raise, keep_alive=self._callback, brief=brief,
        )  # fmt: skip

    @property
    def native(self) -> NativeEntry:  # type: ignore[override]
        return self._entry

    def _raise(self) -> NoReturn:
        raise self._pending.error

    def _enter(self, address: int) -> int:
        try:
            self._run_on_memory(address)
        except BaseException as error:
            self._pending.error = error
            return 1
        return 0

    def _run_on_memory(self, address: int) -> None:
        count, blocks = len(self._program.invars), len(self._entry.out_blocks)
        words = (ctypes.c_uint64 * (3 + count + max(blocks - 1, 0))).from_address(address)[:]
        self.calls += 1
        self.words = tuple(words)
        assert words[0] == RUNTIME
        assert words[2] % 64 == 0
        inputs = words[3 : 3 + count]
        starts = [*words[1:2], *words[3 + count :]]
        raws = [array_at(a, aval) for a, aval in zip(inputs, self._program.in_avals, strict=True)]
        with self._device.backend.active(self._device):
            results = [np.array(raw) for raw in self._op_by_op(raws)]
        ctypes.memset(words[2], 0xFF, _ARENA)
        for place, result in zip(self._entry.outputs, results, strict=True):
            if isinstance(place, Stored):
                assert starts[place.block] % 64 == 0
                _store(starts[place.block] + place.offset, result)
            elif isinstance(place, Donated):
                _store(inputs[place.input], result)


def _outputs(program: Program, donated: tuple[bool, ...]) -> tuple[tuple, tuple[int, ...]]:
    """Where the results are: passed through, in donated memory of the same size as far as there is, or stored."""
    free = [i for i, flag in enumerate(donated) if flag]
    places: list[Any] = []
    seen = set()
    for atom in program.outs:
        size = nbytes(atom.aval)
        fitting = [i for i in free if nbytes(program.invars[i].aval) == size]
        if isinstance(atom, Literal):
            places.append(Constant(atom.array))
        elif atom in program.invars:
            places.append(Passed(program.invars.index(atom)))
        elif fitting and atom not in seen:
            free.remove(fitting[0])
            places.append(Donated(fitting[0]))
        else:
            places.append(size)
        seen.add(atom)
    blocks, stored = place_outputs([place for place in places if isinstance(place, int)])
    left = iter(stored)
    return tuple(next(left) if isinstance(place, int) else place for place in places), blocks


def array_at(address: int, aval: Aval) -> np.ndarray:
    """The data at an address, copied."""
    return np.frombuffer(ctypes.string_at(address, nbytes(aval)), np.uint8).copy().view(aval.dtype).reshape(aval.shape)


def _store(address: int, data: np.ndarray) -> None:
    ctypes.memmove(address, np.ascontiguousarray(data).tobytes(), data.nbytes)


def install(monkeypatch: Any, brief: bool = False) -> list[Executable]:
    """Compile with the stand-in for the length of a test; the list grows by what is compiled."""
    made: list[Executable] = []

    def compile_natively(
        program: Program, device: Device, donated: tuple[bool, ...] = (), constants: int = 0
    ) -> Executable:
        made.append(Executable(program, device, donated, brief))
        return made[-1]

    monkeypatch.setattr(backend.get_backend("cpu"), "compile", compile_natively, raising=False)
    return made
