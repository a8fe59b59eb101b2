"""What the figures depend on besides the code: the machine, the versions, and who else was using it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("nrx", "llvmlite", "numpy", "jax", "jaxlib", "torch")
_STOLEN = 8


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
    names = [line.partition(":")[2].strip() for line in read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
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


def processor_seconds() -> tuple[float, float]:
    """Since the machine was started: seconds stolen by its host for other guests, and all seconds."""
    ticks = [int(word) for word in read("/proc/stat").split("\n")[0].split()[1:]]
    return (float(ticks[_STOLEN - 1]), float(sum(ticks[:_STOLEN]))) if len(ticks) >= _STOLEN else (0.0, 0.0)


def stolen(before: tuple[float, float], after: tuple[float, float]) -> float:
    """The part of the time in between that went to other guests of the host."""
    return (after[0] - before[0]) / (after[1] - before[1]) if after[1] > before[1] else 0.0


def load() -> float:
    """How many processes wanted to run in the last minute, on average."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
