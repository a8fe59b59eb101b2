"""Memory that holds machine code: written once, then executable and no longer writable."""

import ctypes
import errno
import functools
import mmap
import os
import platform
import sys
from typing import Any, Protocol

from nrx.core.errors import BackendMissingError, OutOfMemoryError

_WORD = ctypes.c_size_t


class CodeMemory(Protocol):
    """What an operating system offers; memory begins on a page."""

    def reserve(self, nbytes: int) -> int:
        """The address of new memory, in this process alone.

        Raises:
            OutOfMemoryError: there is no room.
            BackendMissingError: the system does not let this process make code.
        """

    def fill(self, address: int, code: bytes) -> None:
        """Write into reserved memory, and make it executable."""

    def release(self, address: int, nbytes: int) -> None:
        """Give reserved memory back."""


class _Unix:
    _FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS if os.name == "posix" else 0
    _WRITABLE = mmap.PROT_READ | mmap.PROT_WRITE if os.name == "posix" else 0
    _EXECUTABLE = mmap.PROT_READ | mmap.PROT_EXEC if os.name == "posix" else 0

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._mmap = self._library.mmap
        self._mmap.restype = ctypes.c_void_p
        self._mmap.argtypes = (ctypes.c_void_p, _WORD, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
        self._munmap = self._library.munmap
        self._munmap.argtypes = (ctypes.c_void_p, _WORD)
        self._mprotect = self._library.mprotect
        self._mprotect.argtypes = (ctypes.c_void_p, _WORD, ctypes.c_int)

    def reserve(self, nbytes: int) -> int:
        address = self._mmap(None, nbytes, self._WRITABLE, self._FLAGS, -1, 0)
        if address in (None, _WORD(-1).value):
            raise _refused(nbytes, ctypes.get_errno())
        return address

    def fill(self, address: int, code: bytes) -> None:
        ctypes.memmove(address, code, len(code))
        # On ARM, Linux puts its instruction cache right when a page becomes executable.
        if self._mprotect(address, len(code), self._EXECUTABLE):
            raise _refused(len(code), ctypes.get_errno())

    def release(self, address: int, nbytes: int) -> None:
        self._munmap(address, nbytes)


class _MacOnArm(_Unix):
    """Pages are writable or executable by turns, as the thread at hand has it."""

    _FLAGS = _Unix._FLAGS | 0x800  # MAP_JIT
    _WRITABLE = _Unix._WRITABLE | _Unix._EXECUTABLE

    def fill(self, address: int, code: bytes) -> None:
        self._library.pthread_jit_write_protect_np(0)
        ctypes.memmove(address, code, len(code))
        self._library.pthread_jit_write_protect_np(1)
        self._library.sys_icache_invalidate(ctypes.c_void_p(address), _WORD(len(code)))


class _Windows:
    _COMMIT_AND_RESERVE, _RELEASE = 0x3000, 0x8000
    _WRITABLE, _EXECUTABLE = 0x04, 0x20

    def __init__(self) -> None:
        library: Any = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
        self._allocate, self._free = library.VirtualAlloc, library.VirtualFree
        self._allocate.restype = ctypes.c_void_p
        self._allocate.argtypes = (ctypes.c_void_p, _WORD, ctypes.c_uint32, ctypes.c_uint32)
        self._free.argtypes = (ctypes.c_void_p, _WORD, ctypes.c_uint32)
        self._protect = library.VirtualProtect
        self._protect.argtypes = (ctypes.c_void_p, _WORD, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32))

    def reserve(self, nbytes: int) -> int:
        address = self._allocate(None, nbytes, self._COMMIT_AND_RESERVE, self._WRITABLE)
        if not address:
            raise _refused(nbytes, errno.ENOMEM)
        return address

    def fill(self, address: int, code: bytes) -> None:
        ctypes.memmove(address, code, len(code))
        before = ctypes.c_uint32()
        if not self._protect(address, len(code), self._EXECUTABLE, ctypes.byref(before)):
            raise _refused(len(code), errno.EPERM)

    def release(self, address: int, nbytes: int) -> None:
        self._free(address, 0, self._RELEASE)


def _refused(nbytes: int, reason: int) -> Exception:
    if reason == errno.ENOMEM:
        return OutOfMemoryError(f"no memory for {nbytes:,} bytes of machine code")
    return BackendMissingError(
        f"the operating system does not let this process make machine code ({os.strerror(reason)})",
        fix="jit works without it, operation by operation; see the system's security settings",
    )


@functools.cache
def code_memory() -> CodeMemory:
    """The memory for code of this operating system."""
    if os.name == "nt":
        return _Windows()
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return _MacOnArm()
    return _Unix()
