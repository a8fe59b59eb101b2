"""Programs as native code for the CPU. Where llvmlite is missing they run op by op."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from nrx.backends.numpy import NumpyBackend
from nrx.backends.op_by_op import compile_op_by_op
from nrx.compiler import llvm, runtime
from nrx.compiler.layout import Layout
from nrx.compiler.loader import Loaded
from nrx.compiler.programs import CompiledProgram
from nrx.compiler.targets import host
from nrx.core.array import view_of
from nrx.core.aval import Aval
from nrx.core.backend import Device, Donated, Executable, MemoryAnalysis, NativeEntry, Passed, Raw, Stored
from nrx.core.blocks import allocate
from nrx.core.cost import program_cost
from nrx.core.dtypes import from_short_name, storage
from nrx.core.errors import BackendMissingError
from nrx.core.program import Eqn, Program

_BRIEF_COST = 20_000.0
_WORD = ctypes.c_uint64


def compile_native(program: Program, device: Device, donated: tuple[bool, ...] = (), constants: int = 0) -> Executable:
    """The Program as native code, or op by op where there is no compiler: llvmlite is missing, the CPU unknown."""
    if not llvm.is_available():
        return compile_op_by_op(program, device)
    closed, consts = program.closed()
    try:
        return NativeExecutable(closed, [const.numpy() for const in consts], donated, constants)
    except BackendMissingError:
        return compile_op_by_op(program, device)


class _Prepared:
    """What follows from constants, and what its key is made of."""

    def __init__(self, values: list[Raw], keep: tuple):
        self.values, self.keep = values, keep


#: By the code and the constants: one for all batch sizes of a function.
_prepared: WeakValueDictionary[tuple, _Prepared] = WeakValueDictionary()


class NativeExecutable:
    """A Program as native code.

    Args:
        program: the Program.
        consts: its first arguments; () if they are passed in each call.
        donated, constants: see `Backend.compile`.
    """

    def __init__(self, program: Program, consts: Sequence[np.ndarray], donated: tuple[bool, ...], constants: int):
        self._program, self._target = program, host()
        self._constants = len(consts) or constants
        self._compiled = CompiledProgram(program, self._target, donated if not consts else (), self._constants)
        self._code = _Code(self._compiled.layout, self._compiled.code)
        self._preparation = None if self._compiled.preparation is None else _Code(*self._compiled.preparation)
        self._latest: _Prepared | None = None
        self._consts = [*consts, *self.prepared(consts)] if consts else []
        self.native = None if consts else self._code.entry()

    def __call__(self, raws: Sequence[Raw]) -> list[Raw]:
        given = raws[: self._constants]
        first = self._consts or [*given, *self.prepared(given)]
        rest = raws if self._consts else raws[self._constants :]
        return self._code([*first, *rest], self._program.out_avals)

    def prepared(self, constants: Sequence[Raw]) -> list[Raw]:
        """What the native code takes after its constants, which follows from them."""
        if self._preparation is None:
            return []
        code = self._preparation.code
        key = id(code), tuple(map(id, constants))
        found = _prepared.get(key)
        if found is None:
            avals = [Aval(shape, from_short_name(name)) for name, shape in self._compiled.layout.prepared]
            found = _prepared[key] = _Prepared(self._preparation(constants, avals), (code, list(constants)))
        self._latest = found
        return found.values

    def as_text(self) -> str:
        """The assembly language of the native code."""
        return llvm.assembly(self._compiled.text(), self._target)

    def cost_analysis(self) -> dict[str, float]:
        """Work of one call, counted from the Program."""
        return program_cost(self._compiled.simplified())

    def memory_analysis(self) -> MemoryAnalysis:
        """Memory of one call."""
        layout, program = self._compiled.layout, self._program
        sizes = [out.aval.size * out.aval.dtype.itemsize for out in program.outs]
        donated = [isinstance(output, Donated) for output in layout.outputs]
        return MemoryAnalysis(
            argument_bytes=sum(a.size * a.dtype.itemsize for a in program.in_avals),
            output_bytes=sum(sizes),
            temporary_bytes=layout.arena_bytes,
            alias_bytes=sum(n for n, is_donated in zip(sizes, donated, strict=True) if is_donated),
            code_bytes=self._compiled.code.size,
        )


class _Code:
    """Machine code, to be called with arrays."""

    def __init__(self, layout: Layout, code: Loaded):
        self._layout, self.code = layout, code
        self._table = _table(layout)
        self._function: Any = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(code.address("entry"))

    def entry(self) -> NativeEntry:
        layout, code = self._layout, self.code
        return NativeEntry(
            address=code.address("entry"),
            runtime_address=self._table.address,
            out_blocks=layout.out_blocks,
            arena_bytes=layout.arena_bytes,
            outputs=layout.outputs,
            raise_pending=runtime.raise_pending,
            keep_alive=(code, self._table),
            brief=layout.cost < _BRIEF_COST and not layout.host_calls,
        )

    def __call__(self, raws: Sequence[Raw], avals: Sequence[Aval]) -> list[Raw]:
        inputs = [np.require(raw, requirements=("C", "A")) for raw in raws]
        layout = self._layout
        for output in layout.outputs:  # donated memory is not this caller's to give: the results get their own
            if isinstance(output, Donated):
                inputs[output.input] = inputs[output.input].copy()
        blocks = [allocate(size) if size else None for size in layout.out_blocks]
        arena = allocate(layout.arena_bytes) if layout.arena_bytes else None
        addresses = [block.address if block is not None else 0 for block in blocks] or [0]
        words = [
            self._table.address, addresses[0], arena.address if arena is not None else 0,
            *(x.__array_interface__["data"][0] for x in inputs), *addresses[1:],
        ]  # fmt: skip
        if self._function((_WORD * len(words))(*words)):
            runtime.raise_pending()
        outs = []
        for output, aval in zip(layout.outputs, avals, strict=True):
            if isinstance(output, Stored):
                block = blocks[output.block]
                address = 0 if block is None else block.address
                outs.append(view_of((address + output.offset, block), aval))
            elif isinstance(output, Passed | Donated):
                outs.append(inputs[output.input])
            else:
                outs.append(output.array.numpy())
        return outs


def _table(layout: Layout) -> runtime.RuntimeTable:
    """What the native code of a Program finds outside itself."""
    constants = [np.require(array.numpy(), requirements=("C", "A")) for array in layout.constants]
    addresses = [x.__array_interface__["data"][0] for x in constants]
    calls = [_HostCall(eqn) for eqn in layout.host_calls]
    return runtime.RuntimeTable(addresses, calls, layout.symbols, keep=constants)


class _HostCall:
    """Runs an equation by its NumPy implementation, from memory to memory."""

    def __init__(self, eqn: Eqn):
        self._eqn = eqn
        self._device = NumpyBackend().devices()[0]
        places = [_place(atom.aval) for atom in (*eqn.inputs, *eqn.outs)]
        self._words: Any = _WORD * (len(places) + 1)
        self._operands, self._results = places[: len(eqn.inputs)], places[len(eqn.inputs) :]

    def __call__(self, words: int) -> None:
        eqn, device = self._eqn, self._device
        _, *addresses = self._words.from_address(words)
        operands = [place(address) for place, address in zip(self._operands, addresses, strict=False)]
        with device.backend.active(device):
            out = device.backend.call(eqn.prim, operands, eqn.params, device)
        outs = out if eqn.prim.multiple_results else (out,)
        for place, address, value in zip(self._results, addresses[len(operands) :], outs, strict=True):
            place(address)[...] = value


def _place(aval: Any) -> Callable[[int], np.ndarray]:
    """A function from an address to the array of this aval that is there."""
    shape, dtype = aval.shape, storage(aval.dtype)
    memory: Any = ctypes.c_char * (aval.size * dtype.itemsize)
    return lambda address: np.ndarray(shape, dtype, memory.from_address(address))
