"""The NumPy backend: the CPU, op by op. It is the reference for every other."""

import functools
import importlib
import math
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
        return _one_equation(prim, avals, params)

    return subprograms(params)[0].remember((prim, avals, tuple(params.items())), make)


def _one_equation(prim: Primitive, avals: tuple[Aval, ...], params: dict) -> Program:
    found = prim.infer(avals, params)
    invars, outs = [Var(aval) for aval in avals], [Var(aval) for aval in (found if prim.multiple_results else (found,))]
    return Program(invars, [Eqn(prim, invars, outs, params)], outs, name=prim.name)


#: Elements that compiled loops take at a time: one size, so that each function is compiled once.
_CHUNK = 1 << 15
_LOOPS = 256
#: By how much operands must exceed `compiled_from` for a loop that may be run just once.
_MUCH_LARGER = 8


class _Loop:
    """A Program of one equation, and whether it was asked for before."""

    __slots__ = ("is_known", "program")

    def __init__(self, program: Program):
        self.program = program
        self.is_known = False


@functools.lru_cache(_LOOPS)
def _loop(prim: Primitive, avals: tuple[Aval, ...], params: tuple) -> _Loop | None:
    """The loop for operands of these avals; None if none is written for it."""
    if prim.lower(*avals, **dict(params)) is None:
        return None
    return _Loop(_one_equation(prim, avals, dict(params)))


def _by_loop(prim: Primitive, raws: Sequence[Raw], params: dict, device: Device) -> Any:
    """The results of a primitive with large operands by its compiled loop; None where that is missing or does not pay.

    A loop for other shapes takes milliseconds, even if its code exists already. So those of moderate size are made when
    their shapes come the second time: where all differ, as in batches of texts, each call takes NumPy's time.
    """
    avals = tuple(Aval((_CHUNK,) if prim.elementwise else raw.shape, raw.dtype) for raw in raws)
    loop = _loop(prim, avals, tuple(params.items()))
    if loop is None:
        return None
    operand, least = prim.compiled_from or (0, 0)
    if not (loop.is_known or prim.elementwise or raws[operand].size >= _MUCH_LARGER * least):
        loop.is_known = True
        return None
    if device.runner.executable(loop.program).native is None:
        return None
    results = _in_chunks(loop.program, raws, device) if prim.elementwise else device.runner.run(loop.program, raws)
    return results if prim.multiple_results else results[0]


def _in_chunks(program: Program, raws: Sequence[Raw], device: Device) -> list[Raw]:
    """The results of an elementwise Program on `_CHUNK` elements for operands that broadcast."""
    shape = np.broadcast_shapes(*(raw.shape for raw in raws))
    raws = [np.broadcast_to(raw, shape) for raw in raws]
    flat = [np.full(_CHUNK, raw.flat[0]) if not any(raw.strides) else raw.reshape(-1) for raw in raws]
    size = math.prod(shape)
    results = [np.empty(size, out.aval.dtype) for out in program.outs]
    for start in range(0, size, _CHUNK):
        part = slice(min(start, size - _CHUNK), None)
        operands = [x if x.size == _CHUNK else x[part][:_CHUNK] for x in flat]
        for result, values in zip(results, device.runner.run(program, operands), strict=True):
            result[part][:_CHUNK] = values
    return [result.reshape(shape) for result in results]


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
        if prim.compiled_from is not None:
            operand, least = prim.compiled_from
            if raws[operand].size >= least and (out := _by_loop(prim, raws, params, device)) is not None:
                return out
        out = prim.impl(device.runner if prim.higher_order else np, *raws, **params)
        if type(out) is np.ndarray:
            return out
        if isinstance(out, list | tuple):
            return [np.asarray(raw) for raw in out]
        return np.asarray(out)  # NumPy makes scalars of 0-d results

    def interpret(self, program: Program, device: Device) -> Callable[[Sequence[Raw]], list[Raw]]:
        return interpret(program, device)

    def compile(
        self, program: Program, device: Device, donated: tuple[bool, ...] = (), constants: int = 0
    ) -> Executable:
        # Imported when the first Program is compiled: the compiler would make up half of the time of `import nrx`.
        return importlib.import_module("nrx.backends.llvm_cpu").compile_native(program, device, donated, constants)


register_backend("cpu", NumpyBackend)
