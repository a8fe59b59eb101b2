"""Machine code that has been made before: in this process, or on disk by any process.

An entry on disk is a file named by a hash of everything that determines its contents, in the folder that the
environment's NRX_CACHE_DIR names, or the user's folder for such things. It is written under another name and renamed,
so that no process sees half of it, and begins with a checksum: what is damaged is removed and made again. Entries that
were not used for longest give way when there are more bytes than `config.cache_bytes`.

Nothing depends on the cache: where it cannot be read or written, everything works without, and `status` says why.
NRX_CACHE=0 in the environment turns it off.
"""

import contextlib
import functools
import hashlib
import os
import stat
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

from nrx.compiler import llvm
from nrx.compiler.loader import Loaded
from nrx.compiler.targets import Target
from nrx.core.config import config
from nrx.core.errors import CompilerError, ConfigError

_MAGIC = b"nrx-obj1"
_KEPT = 64  # objects that stay loaded although no program uses them at the moment
_SUFFIX = ".o"
_TEMPORARY = ".tmp"
_HOUR = 3600
_WRITES_BETWEEN_SWEEPS = 64


@dataclass(frozen=True, slots=True)
class Status:
    """What the cache on disk has done in this process.

    Fields:
        folder: where it is; None where it is off.
        reason: why it is off or no longer written to; "" where nothing is wrong.
        hits, misses: how often an entry was found, and not found.
        written: how many entries this process has written.
        damaged: how many damaged ones it has removed.
    """

    folder: Path | None
    reason: str = ""
    hits: int = 0
    misses: int = 0
    written: int = 0
    damaged: int = 0


class DiskCache:
    """Bytes by keys, in a folder. Errors of the file system turn it off; see `status`.

    Args:
        folder: where; it is made when something is written. None for a cache that is off.
        reason: why it is off.
    """

    def __init__(self, folder: Path | None, reason: str = ""):
        self.status = Status(folder, reason)

    def get(self, key: str) -> bytes | None:
        """The bytes kept under a key; None if there are none, or if they are not what was written."""
        path = self._path(key)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            self._count(misses=1)
            return None
        content = data[len(_MAGIC) + 32 :]
        if data[: len(_MAGIC) + 32] != _MAGIC + _digest(key, content):
            self.discard(key)
            return None
        self._count(hits=1)
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _HOUR:  # so that it counts as used
                os.utime(path)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep bytes under a key."""
        path = self._path(key)
        if path is None or self.status.reason:
            return
        temporary = path.with_name(os.urandom(8).hex() + _TEMPORARY)
        try:
            for folder in (path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(_MAGIC + _digest(key, content) + content)
            os.replace(temporary, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            self._count(reason=f"cannot be written to: {error}")
            return
        if self._count(written=1).written % _WRITES_BETWEEN_SWEEPS == 1:
            self.sweep()

    def discard(self, key: str) -> None:
        """Remove what is kept under a key, because it is damaged."""
        self._count(damaged=1, misses=1)
        path = self._path(key)
        with contextlib.suppress(OSError):
            if path is not None:
                path.unlink()

    def sweep(self) -> None:
        """Remove the entries used least recently until the rest has room, and what killed processes have left."""
        entries = sorted(self._files(_SUFFIX))
        excess = sum(size for _, size, _ in entries) - config.cache_bytes
        for _, size, path in entries:
            if excess <= 0:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            excess -= size
        for used, _, path in self._files(_TEMPORARY):
            if time.time() - used > _HOUR:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _files(self, suffix: str) -> list[tuple[float, int, str]]:
        """Time of the last use, size and path of each file; other processes may remove some meanwhile."""
        found = []
        for folder, _, names in os.walk(self.status.folder or ""):
            for name in names:
                if name.endswith(suffix):
                    with contextlib.suppress(OSError):
                        information = os.stat(path := os.path.join(folder, name))
                        found.append((information.st_mtime, information.st_size, path))
        return found

    def _path(self, key: str) -> Path | None:
        folder = self.status.folder
        return None if folder is None else folder / key[:2] / (key[2:] + _SUFFIX)

    def _count(self, reason: str = "", **more: int) -> Status:
        counts = {name: getattr(self.status, name) + count for name, count in more.items()}
        self.status = replace(self.status, reason=reason or self.status.reason, **counts)
        return self.status


_loaded: WeakValueDictionary[str, Loaded] = WeakValueDictionary()
_kept: OrderedDict[str, Loaded] = OrderedDict()


def load(text: str, target: Target, symbols: Mapping[str, int] | None = None) -> Loaded:
    """The machine code of LLVM IR, compiled if it is not in the cache; equal texts share it.

    Args:
        text: see `llvm.assemble`.
        target: of this process.
        symbols: see `Loaded`; the same for equal texts.
    Raises:
        CompilerError: LLVM does not accept the text.
        BackendMissingError: llvmlite is missing.
    """
    name = key(text, target)
    with llvm.lock:
        code = find(name, symbols)
        if code is None:
            made = llvm.assemble(text, target)
            disk_cache().put(name, made)
            code = _keep(name, Loaded(made, symbols))
    return code


def find(name: str, symbols: Mapping[str, int] | None = None) -> Loaded | None:
    """The machine code that `key` gave a name, from memory or disk; None if there is none."""
    with llvm.lock:
        code = _loaded.get(name)
        stored = disk_cache().get(name) if code is None else None
        if stored is not None:
            try:
                code = Loaded(stored, symbols)
            except CompilerError:  # written by another version of this package, or by somebody else
                disk_cache().discard(name)
        return None if code is None else _keep(name, code)


def _keep(name: str, code: Loaded) -> Loaded:
    """Keep code that is used now as long as little else is used."""
    _loaded[name] = _kept[name] = code
    _kept.move_to_end(name)
    if len(_kept) > _KEPT:
        _kept.popitem(last=False)
    return code


def _digest(key: str, content: bytes) -> bytes:
    """What tells content from damaged content, and from that of another key."""
    return hashlib.sha256(key.encode() + content).digest()


def key(text: str, target: Target) -> str:
    """The name of the machine code of a text: a hash of all that determines it."""
    return hashlib.sha256("\0".join([llvm.version(), repr(target), text]).encode()).hexdigest()


def status() -> Status:
    """What the cache on disk has done in this process, and where it is."""
    return disk_cache().status


def disk_cache() -> DiskCache:
    """The cache on disk that the environment asks for."""
    return _disk_cache(os.environ.get("NRX_CACHE", ""), os.environ.get("NRX_CACHE_DIR", ""))


@functools.cache
def _disk_cache(wanted: str, named: str) -> DiskCache:
    if wanted == "0":
        return DiskCache(None, "turned off by NRX_CACHE=0")
    try:
        folder = Path(named).absolute() if named else _user_folder()
        if folder.exists() and (why := _unsafe(folder)):
            return DiskCache(None, why)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home
        return DiskCache(None, str(error))
    return DiskCache(folder)


def _user_folder() -> Path:
    """Where programs keep what they can make again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nrx" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nrx"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nrx"


def _unsafe(folder: Path) -> str:
    """Why code from a folder must not be run: other users could have put it there."""
    if not hasattr(os, "geteuid"):
        return ""
    information = folder.stat()
    if information.st_uid not in (0, os.geteuid()):
        return f"{folder} belongs to another user"
    if information.st_mode & stat.S_IWOTH:
        return f"{folder} can be written to by everybody"
    return ""


def _number_of_bytes(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"got {value!r}", fix="use a number of bytes")
    return value


config.define("cache_bytes", 1 << 30, _number_of_bytes, "bytes of compiled programs that are kept on disk")
