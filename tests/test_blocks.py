"""Memory for results, and what the operating system grants."""

import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrx.core import blocks, machine
from nrx.core.errors import OutOfMemoryError


@pytest.fixture(autouse=True)
def _fresh_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    gc.collect()
    monkeypatch.setattr(blocks._pool, "limit", 1 << 40)
    monkeypatch.setattr(blocks._pool, "limit_is_final", True)
    blocks.release_idle()
    yield
    blocks.release_idle()


# ---- blocks ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 1 << 50))
def test_size_classes(nbytes: int) -> None:
    size = blocks.size_class(nbytes)
    assert nbytes <= size <= max(64, nbytes + max(63, nbytes // 8))
    assert size % 64 == 0
    assert blocks.size_class(size) == size
    assert blocks.size_class(nbytes + 1) >= size


@pytest.mark.parametrize("nbytes", [0, 1, 64, 65, 1000, 5000, 1 << 20, (1 << 24) + 1])
def test_blocks_are_aligned_and_writable(nbytes: int) -> None:
    block = blocks.allocate(nbytes)
    view = np.ndarray(nbytes, np.uint8, block)
    assert block.address % blocks.ALIGNMENT == 0
    assert view.ctypes.data == block.address
    view[...] = 7
    assert view.flags.writeable
    assert isinstance(block, blocks.Block)


def test_memory_is_used_again() -> None:
    take = blocks.allocator(5000)
    first = take()
    address = first.address
    second = take()
    assert second.address != address
    del first
    assert blocks.idle_bytes() == blocks.size_class(5000)
    third = take()
    assert third.address == address
    assert blocks.idle_bytes() == 0


def test_views_keep_a_block() -> None:
    block = blocks.allocate(4096)
    address = block.address
    view = np.ndarray((8, 16), np.float32, block, 64)
    assert view.ctypes.data == address + 64
    part = view[2:].T
    del block, view
    assert blocks.idle_bytes() == 0
    part[...] = 1
    del part
    assert blocks.idle_bytes() == 4096


def test_making_a_view_read_only_does_not_outlast_the_block() -> None:
    view = np.ndarray(16, np.float32, blocks.allocate(64))
    view.flags.writeable = False
    del view
    assert np.ndarray(16, np.float32, blocks.allocate(64)).flags.writeable


def test_idle_memory_is_bounded() -> None:
    blocks.set_idle_limit(10 << 20)
    held = [blocks.allocate(1 << 20) for _ in range(40)]
    addresses = [block.address for block in held]
    while held:
        held.pop()
        assert blocks.idle_bytes() <= 10 << 20
    assert blocks.idle_bytes() > 0
    assert blocks.allocate(1 << 20).address in addresses
    blocks.set_idle_limit(0)
    assert blocks.idle_bytes() == 0
    block = blocks.allocate(100)
    del block
    assert blocks.idle_bytes() == 0


def test_default_limit_is_part_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks._pool, "limit", 1 << 20)
    monkeypatch.setattr(blocks._pool, "limit_is_final", False)
    monkeypatch.setattr(blocks, "memory_limit", lambda: 80 << 20)
    held = [blocks.allocate(1 << 20) for _ in range(15)]
    held.clear()
    assert blocks._pool.limit == 10 << 20
    assert blocks.idle_bytes() <= 10 << 20


@pytest.mark.parametrize("nbytes", [1 << 55, 1 << 62, 1 << 63, 1 << 80])
def test_too_much(nbytes: int) -> None:
    small = blocks.allocate(1 << 16)
    del small
    with pytest.raises(MemoryError, match=r"no memory for .* bytes of results") as raised:
        blocks.allocate(nbytes)
    assert isinstance(raised.value, OutOfMemoryError)
    assert blocks.allocate(1 << 16).address % 64 == 0


def test_blocks_in_threads() -> None:
    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        held: list[np.ndarray] = []
        for _ in range(3000):
            view = np.ndarray(16, np.int64, blocks.allocate(int(rng.integers(128, 3000))))
            view[...] = number
            held.append(view)
            if len(held) > 20:
                old = held.pop(int(rng.integers(20)))
                clean.append(bool((old == number).all()))

    clean: list[bool] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clean) == 4 * 2980
    assert all(clean)


# ---- the machine ----------------------------------------------------------------------------------------------------


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="ascii")
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": "max 100000"}, 64),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": "250000 100000"}, 3),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": "150000 100000"}, 2),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "10000 100000"}, 1),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "nonsense"}, 64),
        (
            {
                "proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/docker/c",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "400000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/c",
                "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us": "100000",
            },
            64,
        ),
    ],
)
def test_processor_limit(files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "processors", lambda: list(range(64)))
    assert machine.processor_limit(write(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "1048576"}, 1 << 20),
        ({"proc/self/cgroup": "9:memory:/a", "sys/fs/cgroup/memory/memory.limit_in_bytes": "2097152"}, 1 << 21),
    ],
)
def test_memory_limit(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert machine.memory_limit(write(tmp_path, files)) == expected


def test_memory_without_limit(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "max"})
    assert machine.memory_limit(tmp_path) == machine.memory_limit(tmp_path / "nothing") >= 1 << 28


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs an affinity to set")
def test_processors_follow_the_affinity() -> None:
    def restricted() -> None:
        os.sched_setaffinity(0, {before[0]})
        seen.append((machine.processors(), machine.processor_limit()))

    before, seen = machine.processors(), []
    thread = threading.Thread(target=restricted)  # affinities belong to threads
    thread.start()
    thread.join()
    assert seen == [([before[0]], 1)]
    assert machine.processors() == before
