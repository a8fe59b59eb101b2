"""Instructions of LLVM's language, one at a time: types, constants, names, calls of intrinsics.

A loop IR type is written as a scalar or as a vector of that many lanes. Integers have no sign in LLVM; a bool is one
bit, in memory one byte; floats narrower than f32 are kept as their bits.
"""

import struct
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from nrx.compiler.targets import Target
from nrx.core import dtypes
from nrx.core.loops import BITS, FLOAT_TYPES, INT_TYPES, is_float

FP8_TYPES = tuple(dtypes.short_name(dtype) for dtype in dtypes.FP8)
MEMORY_BITS = {**BITS, **dict.fromkeys(FP8_TYPES, 8)}
"""Bits of an element in memory."""

_DTYPES = {dtypes.short_name(dtype): dtype for dtype in (dtypes.bool_, *dtypes.INTEGERS, *dtypes.FLOATS, *dtypes.FP8)}
_SCALARS = {
    "bool": "i1",
    **{t: f"i{MEMORY_BITS[t]}" for t in (*INT_TYPES, *FLOAT_TYPES, *FP8_TYPES)},
    "f32": "float",
    "f64": "double",
}
_SUFFIXES = {**_SCALARS, "f32": "f32", "f64": "f64"}


def bits_type(type: str) -> str:
    """The unsigned integer type of the same width."""
    return f"u{MEMORY_BITS[type]}"


@cache
def llvm_types(lanes: int) -> dict[str, str]:
    """LLVM's names of the types, for values of that many lanes."""
    return {t: s if lanes == 1 else f"<{lanes} x {s}>" for t, s in _SCALARS.items()}


@cache
def memory_types(lanes: int) -> dict[str, str]:
    """As `llvm_types`, of values in memory."""
    return {**llvm_types(lanes), "bool": llvm_types(lanes)["u8"]}


@cache
def suffixes(lanes: int) -> dict[str, str]:
    """How the types are called in the names of intrinsics."""
    return {t: s if lanes == 1 else f"v{lanes}{s}" for t, s in _SUFFIXES.items()}


def constant(value: Any, type: str) -> str:
    """A number in LLVM's notation, rounded to the type."""
    if type == "bool":
        return "true" if value else "false"
    if type in ("f32", "f64"):
        wide = float(np.float32(value)) if type == "f32" else float(value)
        return f"0x{struct.unpack('<Q', struct.pack('<d', wide))[0]:016X}"
    bits = MEMORY_BITS[type]
    if is_float(type):
        value = int(np.array(value).astype(_DTYPES[type]).view(f"u{bits // 8}"))
    value = int(value) & ((1 << bits) - 1)
    return str(value - (1 << bits) if value >> (bits - 1) else value)


class Code:
    """Writes instructions into `lines`, for values of `lanes` lanes; remembers which intrinsics they call.

    Args:
        target: what they are for.
    """

    __slots__ = ("_count", "declared", "lanes", "lines", "suffixes", "target", "types")

    def __init__(self, target: Target):
        self.target = target
        self.declared: dict[str, str] = {}
        self.lines: list[str] = []
        self._count = 0
        self.shape(1)

    def shape(self, lanes: int) -> None:
        """From here on, values have that many lanes."""
        self.lanes, self.types, self.suffixes = lanes, llvm_types(lanes), suffixes(lanes)

    def name(self) -> str:
        """A new name."""
        self._count += 1
        return f"%v{self._count}"

    def label(self) -> str:
        """The name of a new basic block, without the %."""
        self._count += 1
        return f"b{self._count}"

    def new(self, text: str) -> str:
        """An instruction; the name of its result."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"{name} = {text}")
        return name

    def constant(self, value: Any, type: str) -> str:
        """A number, the same in every lane."""
        text = constant(value, type)
        return text if self.lanes == 1 else f"splat ({_SCALARS[type]} {text})"

    def binary(self, instruction: str, type: str, x: str, y: str) -> str:
        return self.new(f"{instruction} {self.types[type]} {x}, {y}")

    def cast(self, instruction: str, x: str, source: str, target: str) -> str:
        """One of LLVM's conversions; nothing where both types are the same to it."""
        before, after = self.types[source], self.types[target]
        return x if before == after else self.new(f"{instruction} {before} {x} to {after}")

    def select(self, condition: str, type: str, x: str, y: str) -> str:
        t = self.types[type]
        return self.new(f"select {self.types['bool']} {condition}, {t} {x}, {t} {y}")

    def call(self, function: str, result: str, *operands: tuple[str, str]) -> str:
        """A call of an intrinsic with a result; operands are (LLVM type, text)."""
        return self.new(self._call(function, result, operands))

    def do(self, function: str, *operands: tuple[str, str]) -> None:
        """A call of an intrinsic without a result."""
        self.lines.append(self._call(function, "void", operands))

    def _call(self, function: str, result: str, operands: Iterable[tuple[str, str]]) -> str:
        if function not in self.declared:
            types = ", ".join(t.split(" align ")[0] for t, _ in operands)
            self.declared[function] = f"declare {result} @{function}({types})"
        return f"call {result} @{function}({', '.join([f'{t} {x}' for t, x in operands])})"

    def intrinsic(self, name: str, type: str, *operands: str) -> str:
        """A call of llvm.`name` on operands of one type, which is also that of the result."""
        t = self.types[type]
        return self.call(f"llvm.{name}.{self.suffixes[type]}", t, *[(t, x) for x in operands])
