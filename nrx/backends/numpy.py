"""The NumPy backend: the CPU, op by op. It is the reference for every other."""

import functools
import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any

import numpy as np

from nrx.backends.op_by_op import interpret
from nrx.core.aval import Aval
from nrx.core.backend import Device, Executable, Raw, register_backend
from nrx.core.primitive import Primitive
from nrx.core.program import Eqn, Program, Var, subprograms


def _ignoring() -> tuple[ContextVar, Any] | None:
    """The context variable behind `np.errstate` and its value while all is ignored; None if it is not a single one."""
    outside = copy_context()
    with np.errstate(all="ignore"):
        inside = copy_context().items()
    changed = [(variable, value) for variable, value in inside if outside.get(variable) is not value]
    return changed[0] if len(changed) == 1 else None


def _silence() -> Callable[[], AbstractContextManager]:
    """`np.errstate(all="ignore")` in a third of its time, which is more than a small operation takes."""
    found = _ignoring()
    if found is None:
        return partial(np.errstate, all="ignore")
    ignored, enter, leave = found[1], found[0].set, found[0].reset

    class Silence:
        __slots__ = ("token",)

        def __enter__(self) -> None:
            self.token = enter(ignored)

        def __exit__(self, *exc: object) -> None:
            leave(self.token)

    return Silence


def _program_of(prim: Primitive, raws: Sequence[Raw], params: dict) -> Program:
    """Control flow as a Program of one equation, which is compiled as a whole; remembered with the first one inside."""
    avals = tuple(Aval(raw.shape, raw.dtype) for raw in raws)

    def make() -> Program:
        invars = [Var(aval) for aval in avals]
        outs = [Var(aval) for aval in prim.infer(avals, params)]
        return Program(invars, [Eqn(prim, invars, outs, params)], outs, name=prim.name)

    return subprograms(params)[0].remember((prim, avals, tuple(params.items())), make)


#: Elements that compiled loops take at a time: one size, so that each function is compiled once.
_CHUNK = 1 << 16


@functools.cache
def _chunk_program(prim: Primitive, kinds: tuple[np.dtype, ...]) -> Program:
    """An elementwise primitive on operands of `_CHUNK` elements."""
    avals = tuple(Aval((_CHUNK,), dtype) for dtype in kinds)
    found = prim.infer(avals, {})
    invars, outs = [Var(aval) for aval in avals], [Var(aval) for aval in (found if prim.multiple_results else (found,))]
    return Program(invars, [Eqn(prim, invars, outs, {})], outs, name=prim.name)


def _in_chunks(prim: Primitive, raws: Sequence[Raw], device: Device) -> Any:
    """The results of an elementwise primitive by its compiled loop."""
    program = _chunk_program(prim, tuple(raw.dtype for raw in raws))
    flat = [np.full(_CHUNK, raw.flat[0]) if not any(raw.strides) else raw.reshape(-1) for raw in raws]
    size = raws[0].size
    results = [np.empty(size, var.aval.dtype) for var in program.outs]
    for start in range(0, size, _CHUNK):
        count = min(_CHUNK, size - start)
        parts = [x if x.size == _CHUNK else x[start : start + count] for x in flat]
        if count < _CHUNK:  # the last one is filled up with what it begins with
            parts = [np.resize(x[:count], _CHUNK) for x in parts]
        for result, part in zip(results, device.runner.run(program, parts), strict=True):
            result[start : start + count] = part[:count]
    shaped = [result.reshape(raws[0].shape) for result in results]
    return shaped if prim.multiple_results else shaped[0]


class NumpyBackend:
    """Arrays are `numpy.ndarray`; there is one device, `cpu:0`."""

    platform = "cpu"
    xp = np

    def __init__(self) -> None:
        self._devices = (Device("cpu", 0, self),)
        self._silence = _silence()

    def devices(self) -> Sequence[Device]:
        return self._devices

    def from_numpy(self, data: np.ndarray, device: Device) -> Raw:
        return data

    def to_numpy(self, raw: Raw) -> np.ndarray:
        return raw

    def transfer(self, raw: Raw, device: Device) -> Raw:
        return raw

    def active(self, device: Device) -> AbstractContextManager:
        return self._silence()  # inf and NaN are results here, as on any accelerator

    def call(self, prim: Primitive, raws: Sequence[Raw], params: dict, device: Device) -> Any:
        if prim.higher_order and prim.has("lower"):
            return device.runner.run(_program_of(prim, raws, params), raws)
        if prim.compiled_at_length and raws[0].size > _CHUNK:
            return _in_chunks(prim, raws, device)
        out = prim.impl(device.runner if prim.higher_order else np, *raws, **params)
        if type(out) is np.ndarray:
            return out
        if isinstance(out, list | tuple):
            return [np.asarray(raw) for raw in out]
        return np.asarray(out)  # NumPy makes scalars of 0-d results

    def interpret(self, program: Program, device: Device) -> Callable[[Sequence[Raw]], list[Raw]]:
        return interpret(program, device)

    def compile(self, program: Program, device: Device, donated: tuple[bool, ...] = ()) -> Executable:
        # Imported when the first Program is compiled: the compiler would make up half of the time of `import nrx`.
        return importlib.import_module("nrx.backends.llvm_cpu").compile_native(program, device, donated)


register_backend("cpu", NumpyBackend)
