"""Machine code kept in memory and on disk: shared, found again, bounded, and never trusted when damaged."""

import ctypes
import errno
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrx.compiler import cache, llvm
from nrx.compiler.cache import DiskCache
from nrx.compiler.loader import Loaded
from nrx.compiler.targets import describe, host, host_levels
from nrx.core.config import config
from nrx.core.errors import CompilerError, ConfigError

pytest.importorskip("llvmlite")

IS_POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions of Unix")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DiskCache]:
    """The cache on disk in an empty folder, and nothing in memory."""
    monkeypatch.setenv("NRX_CACHE_DIR", str(tmp_path / "objects"))
    monkeypatch.delenv("NRX_CACHE", raising=False)
    forget(monkeypatch)
    yield cache.disk_cache()
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin as a new process does."""
    cache._disk_cache.cache_clear()
    monkeypatch.setattr(cache, "_loaded", weakref.WeakValueDictionary())
    monkeypatch.setattr(cache, "_kept", type(cache._kept)())


def text(number: int) -> str:
    return f"define i64 @f() nounwind {{ ret i64 {number} }}"


def result(code: Loaded) -> int:
    return ctypes.CFUNCTYPE(ctypes.c_int64)(code.address("f"))()


def files(disk: DiskCache) -> list[Path]:
    assert disk.status.folder is not None
    return sorted(path for path in disk.status.folder.rglob("*") if path.is_file())


# ---- in memory ------------------------------------------------------------------------------------------------------


def test_equal_texts_share_code(disk: DiskCache) -> None:
    code = cache.load(text(1), host())
    assert cache.load(text(1), host()) is code
    assert result(cache.load(text(2), host())) == 2
    assert disk.status.misses == 2


def test_code_that_nobody_uses_is_freed(disk: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_KEPT", 3)
    held = cache.load(text(0), host())
    others = [weakref.ref(cache.load(text(number), host())) for number in range(1, 8)]
    gc.collect()
    assert [other() is not None for other in others] == [False] * 4 + [True] * 3
    assert cache.load(text(0), host()) is held


def test_threads_share_code(disk: DiskCache) -> None:
    def load() -> None:
        barrier.wait(timeout=60)
        found.append(cache.load(text(3), host()))

    barrier, found = threading.Barrier(6), []
    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(map(id, found))) == 1
    assert disk.status.misses == 1


# ---- on disk --------------------------------------------------------------------------------------------------------


def test_code_is_found_again(disk: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert result(cache.load(text(4), host())) == 4
    assert (disk.status.hits, disk.status.misses, disk.status.written) == (0, 1, 1)
    forget(monkeypatch)
    monkeypatch.setattr(llvm, "assemble", None)
    assert result(cache.load(text(4), host())) == 4
    assert cache.status().hits == 1
    assert cache.status().folder == disk.status.folder


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {cache.key(text(1), describe(level)) for level in host_levels()} | {cache.key(text(2), host())}
    monkeypatch.setattr(llvm, "version", lambda: "other")
    keys.add(cache.key(text(1), host()))
    assert len(keys) == len(host_levels()) + 2


def test_another_process_finds_it_and_needs_no_llvm(disk: DiskCache) -> None:
    script = f"""
import sys
from nrx.compiler import cache
from nrx.compiler.runtime import RuntimeTable
from nrx.compiler.targets import host
table = RuntimeTable()
code = cache.load({text(5)!r}, host())
print(cache.status().hits, cache.status().misses, "llvmlite" in sys.modules)
"""
    outputs = [subprocess.check_output([sys.executable, "-c", script], text=True, timeout=120) for _ in range(2)]
    assert outputs == ["0 2 True\n", "2 0 False\n"]


def test_processes_at_the_same_time(disk: DiskCache) -> None:
    script = """
import ctypes
from nrx.compiler import cache
from nrx.compiler.targets import host
for number in range(30):
    code = cache.load("define i64 @f() { ret i64 %d }" % number, host())
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(code.address("f"))() == number
    if number % 5 == 0:
        cache.disk_cache().sweep()
assert cache.status().damaged == 0 and not cache.status().reason, cache.status()
"""
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    assert len(files(disk)) == 30


@settings(deadline=None)
@given(st.binary(max_size=99), st.sampled_from(["replaced", "appended", "flipped", "truncated"]), st.integers(0, 10**6))
def test_damaged_entries_are_made_again(tmp_path_factory: Any, noise: bytes, how: str, at: int) -> None:
    disk = DiskCache(tmp_path_factory.mktemp("damaged"))
    disk.put("ab12", b"machine code" * 10)
    (path,) = files(disk)
    data = path.read_bytes()
    at %= len(data)
    changed = {
        "replaced": noise,
        "appended": data + noise,
        "flipped": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
        "truncated": data[:at],
    }[how]
    path.write_bytes(changed)
    if changed == data:
        return
    assert disk.get("ab12") is None
    assert (disk.status.damaged, disk.status.misses, files(disk)) == (1, 1, [])
    disk.put("ab12", b"again")
    assert disk.get("ab12") == b"again"


def test_entry_that_is_no_object(disk: DiskCache) -> None:
    disk.put(cache.key(text(6), host()), b"sound, but not code")
    assert result(cache.load(text(6), host())) == 6
    assert disk.status.damaged == 1
    found = disk.get(cache.key(text(6), host()))
    assert found is not None
    assert found[:4] == b"\x7fELF"


def test_rejected_text_is_not_kept(disk: DiskCache) -> None:
    for _ in range(2):
        with pytest.raises(CompilerError):
            cache.load("nonsense", host())
    assert files(disk) == []


def test_size_is_bounded(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path)
    with config.using(cache_bytes=10_000):
        for number in range(70):
            disk.put(f"{number:04}", bytes(1000))
            path = disk._path(f"{number:04}")
            assert path is not None
            os.utime(path, (number, number))
        assert disk.get("0000") is None  # swept in passing
        disk.sweep()
        assert sum(path.stat().st_size for path in files(disk)) <= 10_000
        assert [disk.get(f"{number:04}") is not None for number in (0, 40, 60, 69)] == [False, False, False, True]
    with config.using(cache_bytes=0):
        disk.sweep()
    assert files(disk) == []


def test_entries_in_use_stay(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path)
    for number in range(10):
        disk.put(f"{number:04}", bytes(1000))
        path = disk._path(f"{number:04}")
        assert path is not None
        os.utime(path, (number, number))
    assert disk.get("0002") is not None  # and so it is used now
    with config.using(cache_bytes=3500):
        disk.sweep()
    assert [disk.get(f"{number:04}") is not None for number in range(10)] == [n in (2, 8, 9) for n in range(10)]


def test_what_killed_processes_leave_is_removed(tmp_path: Path) -> None:
    disk = DiskCache(tmp_path)
    disk.put("ab12", b"code")
    old, young = tmp_path / "ab" / "1.tmp", tmp_path / "ab" / "2.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    disk.sweep()
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize("value", [-1, 1.5, True, "1"])
def test_impossible_sizes(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"config\.cache_bytes: got"), config.using(cache_bytes=value):
        pass


# ---- where there is none --------------------------------------------------------------------------------------------


def test_turned_off(disk: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRX_CACHE", "0")
    assert result(cache.load(text(7), host())) == 7
    assert cache.status().folder is None
    assert cache.status().reason == "turned off by NRX_CACHE=0"
    assert files(disk) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_cannot_be_written_to(disk: DiskCache, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    assert result(cache.load(text(8), host())) == 8
    monkeypatch.setattr(os, "replace", fail)
    assert result(cache.load(text(9), host())) == 9
    assert os.strerror(code) in disk.status.reason
    assert len(files(disk)) == 1  # nothing half written is left
    assert result(cache.load(text(10), host())) == 10
    monkeypatch.setattr(cache, "_loaded", {})
    assert result(cache.load(text(8), host())) == 8
    assert disk.status.hits == 1  # reading goes on


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    disk = DiskCache(tmp_path / "file")
    disk.put("ab12", b"code")
    assert disk.get("ab12") is None
    assert "cannot be written to" in disk.status.reason


@IS_POSIX
def test_folders_of_others_are_not_used(disk: DiskCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "objects"
    folder.mkdir()
    folder.chmod(0o777)
    cache._disk_cache.cache_clear()
    assert cache.status().reason == f"{folder} can be written to by everybody"
    folder.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    cache._disk_cache.cache_clear()
    if folder.stat().st_uid != 0:  # what root has put there is fine
        assert cache.status().reason == f"{folder} belongs to another user"
    assert result(cache.load(text(11), host())) == 11


@IS_POSIX
def test_new_folders_are_private(disk: DiskCache) -> None:
    before = os.umask(0)
    try:
        cache.load(text(12), host())
    finally:
        os.umask(before)
    assert disk.status.folder is not None
    assert disk.status.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/nrx"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/me/.cache/nrx"),
        ("darwin", {}, "/home/me/Library/Caches/nrx"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/nrx/Cache"),
    ],
)
def test_folder_of_the_user(
    platform: str, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache._user_folder() == Path(expected)


def test_nobody_is_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache, "_user_folder", homeless)
    assert cache._disk_cache.__wrapped__("", "").status == cache.Status(None, "Could not determine home directory.")


def test_an_entry_with_the_content_of_another_is_damaged(tmp_path: Path) -> None:
    """Both are sound; but one in the other's place would be run as it."""
    disk = cache.DiskCache(tmp_path)
    disk.put("a" * 64, b"first")
    disk.put("b" * 64, b"second")
    paths = sorted(tmp_path.glob("*/*"))
    paths[0].write_bytes(paths[1].read_bytes())
    assert disk.get("a" * 64) is None
    assert disk.get("b" * 64) == b"second"
    assert disk.status.damaged == 1
