"""What the figures depend on besides the code: the machine, the versions, and who else was using it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("nrx", "llvmlite", "numpy", "jax", "jaxlib", "torch")
# The columns of /proc/stat: user, nice, system, idle, waiting, interrupts (two), stolen.
_IDLE, _COLUMNS = (3, 4), 8


class Usage(NamedTuple):
    """Processor seconds, of all processors together.

    Fields:
        all: since the machine was started.
        stolen: of these, what its host gave to other guests.
        busy: of these, what processes used.
        own: of these, what this process used, and those that it started and that have ended.
    """

    all: float
    stolen: float
    busy: float
    own: float

    def since(self, before: "Usage") -> "Usage":
        return Usage(*(now - then for now, then in zip(self, before, strict=True)))


def processors() -> int:
    """How many this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read(path: str) -> str:
    """A file of the system, empty where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def processor_name() -> str:
    names = [
        line.partition(":")[2].strip() for line in read("/proc/cpuinfo").splitlines() if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or platform.machine()


def vector_extension() -> str:
    flags = read("/proc/cpuinfo").split()
    return next((title for flag, title in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")


def versions() -> dict[str, str]:
    """Of Python, and of each package that is installed."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def usage() -> Usage | None:
    """None where the system does not tell."""
    ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in read("/proc/stat").split("\n")[0].split()[1:]]
    if len(ticks) < _COLUMNS:
        return None
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    stolen = ticks[_COLUMNS - 1]
    return Usage(sum(ticks[:_COLUMNS]), stolen, sum(ticks[:_COLUMNS]) - stolen - sum(ticks[i] for i in _IDLE), own)


def disturbance(before: Usage | None, after: Usage | None) -> str:
    """What part of the machine was not ours."""
    if before is None or after is None:
        return "not known"
    spent = after.since(before)
    if not spent.all:
        return "not known"
    others = max(0.0, spent.busy - spent.own)
    return (
        f"{others / spent.all:.1%} of the processors used by others, {spent.stolen / spent.all:.1%} stolen by the host"
    )
