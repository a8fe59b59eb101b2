"""What the operating system grants this process: processors and memory, control groups of Linux included."""

import math
import os
from collections.abc import Iterator

_UNKNOWN_MEMORY = 8 << 30


def processors() -> list[int]:
    """The numbers of the processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def processor_limit(root: str | os.PathLike[str] = "/") -> int:
    """How many threads can run at once: allowed processors, or the quota of the control group, rounded up."""
    quotas = [_quota(folder) for folder in _control_groups(root, "cpu")]
    return max(1, math.ceil(min([len(processors()), *quotas])))


def memory_limit(root: str | os.PathLike[str] = "/") -> int:
    """Bytes of memory this process may use: the machine's, or what the control group allows."""
    try:
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not a Unix
        limit = _UNKNOWN_MEMORY
    for folder in _control_groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (text := _read(folder, name)).isdecimal():
                limit = min(limit, int(text))
    return limit


def _control_groups(root: str | os.PathLike[str], controller: str) -> Iterator[str]:
    """The folders of this process's control group and of those around it, of both versions of the interface."""
    mounts = os.path.join(root, "sys/fs/cgroup")
    for line in _read(root, "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount = mounts
        elif controller in controllers.split(","):
            mount = os.path.join(mounts, controllers)
        else:
            continue
        folder = os.path.join(mount, path.strip("/")).rstrip("/")
        while folder.startswith(mount):
            yield folder
            folder = os.path.dirname(folder)


def _quota(folder: str) -> float:
    """Processors that a control group allows on average; inf without a limit."""
    words = _read(folder, "cpu.max").split() or [
        _read(folder, "cpu.cfs_quota_us"),
        _read(folder, "cpu.cfs_period_us"),
    ]
    if len(words) == 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]):
        return int(words[0]) / int(words[1])
    return math.inf


def _read(folder: str | os.PathLike[str], name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
