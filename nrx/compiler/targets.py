"""The processors that native code is made for.

    host()                         the best level of the processor at hand, or the one that NRX_CPU names
    describe("x86-64-v3")          a level on this system
    describe("aarch64", "macos")   and on another

A level is a set of instructions that a whole generation of processors has, not one model: which one a host belongs to
is known without LLVM, and machine code from one host runs on any other of the level.

Objects are ELF on every system, since this package's own loader reads nothing else; what belongs to a system (which
registers a call leaves alone, where its arguments are) comes with its name in the triple.
"""

import functools
import importlib
import os
import platform
import sys
from dataclasses import dataclass

from nrx.core.errors import BackendMissingError, ConfigError

_FEATURES: dict[str, bool] = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
_X86_LAYOUT = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"
_ARM_LAYOUT = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i8:8:32-i16:16:32-i64:64-i128:128-n32:64-S128-Fn32"


@dataclass(frozen=True, slots=True)
class Target:
    """A processor under an operating system.

    Fields:
        name: of the level.
        system: "linux", "macos" or "windows".
        triple, cpu, features, data_layout: what LLVM calls them.
        vector_bits: the width of a vector register.
        registers: how many vector registers there are.
        has_fma: multiply and add with one rounding is an instruction; elsewhere `fma` is a function of the C library.
        has_f16c: conversions between f16 and f32 are instructions.
        has_bf16_pairs: so are sums in f32 of products of pairs of bf16.
        masked_is_cheap: masked loads and stores cost no more than plain ones.
        gather_is_cheap: gathering costs less than scalar loads.
    """

    name: str
    system: str
    triple: str
    cpu: str
    features: str
    data_layout: str
    vector_bits: int
    registers: int
    has_fma: bool
    has_f16c: bool
    has_bf16_pairs: bool
    masked_is_cheap: bool
    gather_is_cheap: bool

    @property
    def is_x86(self) -> bool:
        return self.triple.startswith("x86_64")

    @property
    def is_host(self) -> bool:
        """Whether code for it runs in this process."""
        return self.system == _system() and self.name in host_levels()


@dataclass(frozen=True, slots=True)
class _Level:
    """See `Target`; `needs` are NumPy's names of what the processor must have."""

    architecture: str
    cpu: str
    needs: tuple[str, ...]
    vector_bits: int
    registers: int
    has_fma: bool = True
    has_f16c: bool = True
    has_bf16_pairs: bool = False
    masked_is_cheap: bool = False
    gather_is_cheap: bool = False
    features: str = ""


_V2 = ("SSE3", "SSSE3", "SSE41", "SSE42", "POPCNT")
_V3 = (*_V2, "AVX", "AVX2", "FMA3", "F16C", "BMI", "BMI2", "LZCNT", "MOVBE")
_V4 = (*_V3, "AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL")

_BF16 = "AVX512BF16"

_LEVELS = {
    "x86-64": _Level("x86_64", "x86-64", (), 128, 16, has_fma=False, has_f16c=False),
    "x86-64-v2": _Level("x86_64", "x86-64-v2", _V2, 128, 16, has_fma=False, has_f16c=False),
    "x86-64-v3": _Level("x86_64", "x86-64-v3", _V3, 256, 16),
    "x86-64-v4": _Level("x86_64", "x86-64-v4", _V4, 512, 32, masked_is_cheap=True, gather_is_cheap=True),
    "x86-64-v4-bf16": _Level(
        "x86_64",
        "x86-64-v4",
        (*_V4, _BF16),
        512,
        32,
        has_bf16_pairs=True,
        masked_is_cheap=True,
        gather_is_cheap=True,
        features="+avx512bf16",
    ),
    "aarch64": _Level("aarch64", "generic", (), 128, 32),
}
"""Of each architecture in ascending order."""

_TRIPLES = {
    ("x86_64", "linux"): "x86_64-unknown-linux-gnu",
    ("x86_64", "macos"): "x86_64-apple-macosx11.0.0-elf",
    ("x86_64", "windows"): "x86_64-pc-windows-msvc-elf",
    ("aarch64", "linux"): "aarch64-unknown-linux-gnu",
    ("aarch64", "macos"): "arm64-apple-macosx11.0.0-elf",
}


@functools.cache
def describe(level: str, system: str | None = None) -> Target:
    """The Target of a level under an operating system, by default this one.

    Raises:
        ConfigError: there is no such level.
        BackendMissingError: this package has no code for the level under that system.
    """
    if level not in _LEVELS:
        raise ConfigError(f"no processor level named {level!r}", fix=f"the levels are {', '.join(_LEVELS)}")
    chosen, system = _LEVELS[level], system or _system()
    triple = _TRIPLES.get((chosen.architecture, system))
    if triple is None:
        raise _unsupported(chosen.architecture, system)
    return Target(
        name=level,
        system=system,
        triple=triple,
        cpu="apple-m1" if (level, system) == ("aarch64", "macos") else chosen.cpu,
        features=chosen.features,
        data_layout=_X86_LAYOUT if chosen.architecture == "x86_64" else _ARM_LAYOUT,
        vector_bits=chosen.vector_bits,
        registers=chosen.registers,
        has_fma=chosen.has_fma,
        has_f16c=chosen.has_f16c,
        has_bf16_pairs=chosen.has_bf16_pairs,
        masked_is_cheap=chosen.masked_is_cheap,
        gather_is_cheap=chosen.gather_is_cheap,
    )


def host() -> Target:
    """The Target of this process: the environment's NRX_CPU, or the highest level that the processor has.

    Raises:
        ConfigError: NRX_CPU names a level that does not exist or that this processor has not.
        BackendMissingError: this package has no code for the processor or the operating system.
    """
    return _host(os.environ.get("NRX_CPU", ""))


@functools.cache
def _host(wanted: str) -> Target:
    levels = host_levels()
    if not levels:
        raise _unsupported(_architecture(), _system())
    if wanted in ("", "native"):
        return describe(levels[-1])
    if wanted not in levels:
        here = f"this processor has {', '.join(levels)}"
        raise ConfigError(f"NRX_CPU={wanted} is not a level of this processor", fix=f"{here}; or say native")
    return describe(wanted)


@functools.cache
def host_levels() -> tuple[str, ...]:
    """The levels that this processor has, in ascending order; none where there is no code for it at all."""
    if (_architecture(), _system()) not in _TRIPLES:
        return ()
    return tuple(
        name for name, level in _LEVELS.items() if level.architecture == _architecture() and all(map(_has, level.needs))
    )


def _has(feature: str) -> bool:
    """Whether this processor has what NumPy calls so."""
    if feature == _BF16 and feature not in _FEATURES:
        return _system() == "linux" and b"avx512_bf16" in _flags()
    return _FEATURES.get(feature, True)  # one that this NumPy does not look for comes with the others, everywhere


def _flags() -> list[bytes]:
    """What Linux says that its first processor has."""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            lines = file.read(1 << 14).splitlines()
    except OSError:
        return []
    return next((line.split() for line in lines if line.startswith(b"flags")), [])


def _architecture() -> str:
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def _system() -> str:
    return {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)


def _unsupported(architecture: str, system: str) -> BackendMissingError:
    return BackendMissingError(
        f"there is no compiler for {architecture} processors under {system}",
        fix="nothing: jit evaluates operation by operation there",
    )
