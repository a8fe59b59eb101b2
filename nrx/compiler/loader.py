"""Machine code into memory: a loader of the object files that `compiler.llvm` makes.

It places the sections of an ELF file one behind the other, with a table for the functions of the C library at the end,
and fills in the addresses that the relocations ask for. LLVM's own loaders do the same and more; but they end the
process over a missing symbol, take longer, and need LLVM, which a program out of the cache does not.

Whatever is in a file is checked before it is used: whatever the bytes, the answer is code or a CompilerError.
"""

import ctypes
import functools
import os
import platform
import struct
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from nrx.compiler.code_memory import code_memory
from nrx.core.errors import CompilerError

_MAX_BYTES = 1 << 27  # so that every distance fits into the bits that an instruction has for it, on ARM as well

X86_64, AARCH64 = 62, 183  # e_machine
_HEADER = struct.Struct("<4sBB10xHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = np.dtype("<u4, u1, u1, <u2, <u8, <u8")
_RELOCATION = np.dtype("<u8, <u4, <u4, <i8")
_SYMBOLS, _RELOCATIONS, _NO_BITS = 2, 4, 8  # types of sections
_WRITABLE, _ALLOCATED = 1, 2  # flags of sections

#: A jump to the address in the eight bytes that follow.
_JUMP = {X86_64: bytes.fromhex("ff25 0200 0000 9090"), AARCH64: bytes.fromhex("5000 0058 0002 1fd6")}


class _Field(NamedTuple):
    """What a type of relocation fills in.

    Fields:
        what: "address" of the symbol, "distance" from here, "pages" from here, or "low" bits of the address.
        nbytes: of the word that it is in.
        first, bits: the bits of the word.
        shift: bits that are left out at the low end.
        through_table: means the entry of the symbol in the table, and not the symbol.
    """

    what: str
    nbytes: int = 4
    first: int = 0
    bits: int = 32
    shift: int = 0
    through_table: bool = False


_FIELDS = {
    X86_64: {
        1: _Field("address", 8, bits=64),
        2: _Field("distance"),
        4: _Field("distance"),
        9: _Field("distance", through_table=True),
        24: _Field("distance", 8, bits=64),
        41: _Field("distance", through_table=True),
        42: _Field("distance", through_table=True),
    },
    AARCH64: {
        257: _Field("address", 8, bits=64),
        260: _Field("distance", 8, bits=64),
        261: _Field("distance"),
        275: _Field("pages", bits=21),
        277: _Field("low", first=10, bits=12),
        278: _Field("low", first=10, bits=12),
        282: _Field("distance", bits=26, shift=2),
        283: _Field("distance", bits=26, shift=2),
        284: _Field("low", first=10, bits=12, shift=1),
        285: _Field("low", first=10, bits=12, shift=2),
        286: _Field("low", first=10, bits=12, shift=3),
        299: _Field("low", first=10, bits=12, shift=4),
        311: _Field("pages", bits=21, through_table=True),
        312: _Field("low", first=10, bits=12, shift=3, through_table=True),
    },
}
"""By machine and type of relocation; the names are R_X86_64_* and R_AARCH64_* of the processors' ELF supplements."""


class Loaded:
    """Machine code in memory, as long as this object lives.

    Args:
        object_file: what `llvm.assemble` gave for this processor.
        symbols: addresses of functions, besides those of the C library.
    Fields:
        size: of the memory in bytes.
    Raises:
        CompilerError: the file is damaged, or for another processor, or needs a function that is not there.
        OutOfMemoryError: there is no room.
        BackendMissingError: the operating system forbids it.
    """

    def __init__(self, object_file: bytes, symbols: Mapping[str, int] | None = None):
        self._address = 0
        image = Image(object_file)
        if image.machine != _host_machine():
            raise CompilerError("an object file for another processor")
        known = {**c_library(), **(symbols or {})}
        self.size = image.size
        self._memory = code_memory()
        self._address = self._memory.reserve(self.size)
        self._memory.fill(self._address, image.relocated(self._address, known))
        self._functions = image.functions

    def address(self, name: str) -> int:
        """The address of a function.

        Raises:
            CompilerError: the file has no such function, or keeps it to itself.
        """
        if name not in self._functions:
            raise CompilerError(f"an object file without a function {name}")
        return self._address + self._functions[name]

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if self._address and not is_finalizing():  # then daemon threads may still be running it
            self._memory.release(self._address, self.size)


class Image:
    """An object file as it will lie in memory, at an address that is not known yet.

    Fields:
        machine: X86_64 or AARCH64.
        size: of everything in bytes.
        functions: name -> offset of every function that can be called from outside.
    Raises:
        CompilerError: the file is damaged, or has what this loader does not load.
    """

    def __init__(self, object_file: bytes):
        self._file = object_file
        self.functions: dict[str, int] = {}
        try:
            self._read_sections()
            self._place_sections()
            self._read_symbols()
            self._read_relocations()
        except (struct.error, ValueError, IndexError, OverflowError) as error:
            raise _damaged(str(error)) from None
        self.size = self._table + 16 * len(self._entries)

    def relocated(self, address: int, symbols: Mapping[str, int]) -> bytes:
        """The bytes for an address, which is a multiple of 4096.

        Raises:
            CompilerError: the code calls a function that is not in `symbols`.
        """
        if missing := sorted(set(self._outside.values()) - symbols.keys()):
            raise CompilerError(f"machine code that calls what is not there: {', '.join(missing)}")
        addresses = self._offsets + address
        for number, name in self._outside.items():
            addresses[number] = symbols[name]
        image = np.zeros(self.size, np.uint8)
        for place, start, nbytes in self._placed.values():
            image[place : place + nbytes] = np.frombuffer(self._file, np.uint8, nbytes, start)
        for number, entry in self._entries.items():
            jump = _JUMP[self.machine] + struct.pack("<q", addresses[number])
            image[entry - 8 : entry + 8] = np.frombuffer(jump, np.uint8)
        for field, at, numbers, addends in self._relocations:
            if field.through_table:
                values = np.array([self._entries[number] for number in numbers.tolist()], np.int64)
            else:
                values = (addresses if field.what == "address" else self._offsets)[numbers]
            _fill_in(image, field, at, values + addends)
        return image.tobytes()

    def _read_sections(self) -> None:
        header = _HEADER.unpack_from(self._file)
        magic, bits, order, kind, self.machine, _, _, _, start, _, _, _, _, size, count, names = header
        if (magic, bits, order, kind, size) != (b"\x7fELF", 2, 1, 1, _SECTION.size) or self.machine not in _FIELDS:
            raise _damaged("its header is not that of an object file of a 64-bit processor")
        self._sections = [_SECTION.unpack_from(self._file, start + number * size) for number in range(count)]
        for _, kind, _, _, offset, nbytes, *_ in self._sections:
            if kind != _NO_BITS and offset + nbytes > len(self._file):
                raise _damaged("a section lies outside")
        self._names = self._contents(names)

    def _contents(self, number: int) -> bytes:
        _, _, _, _, offset, nbytes, *_ = self._sections[number]
        return self._file[offset : offset + nbytes]

    def _place_sections(self) -> None:
        """Where each section comes to lie: number -> offset, position in the file, bytes."""
        self._placed: dict[int, tuple[int, int, int]] = {}
        end = 0
        for number, (name, kind, flags, _, offset, nbytes, _, _, alignment, _) in enumerate(self._sections):
            if not flags & _ALLOCATED or not nbytes or _text(self._names, name) == ".eh_frame":
                continue  # exceptions do not pass through native code
            if flags & _WRITABLE or kind == _NO_BITS or alignment > 4096:
                raise CompilerError(f"an object file with a section {_text(self._names, name)}")
            end = _aligned(end, max(alignment, 1))
            self._placed[number] = end, offset, nbytes
            end += nbytes
            if end > _MAX_BYTES:
                raise CompilerError("an object file of too much code")
        self._table = _aligned(end, 16)

    def _read_symbols(self) -> None:
        """The offset of each symbol in the image; the names of those outside it, by their numbers."""
        tables = [number for number, section in enumerate(self._sections) if section[1] == _SYMBOLS]
        if len(tables) != 1:
            raise _damaged("it has not one table of symbols")
        table = np.frombuffer(self._contents(tables[0]), _SYMBOL)
        names = self._contents(self._sections[tables[0]][6])
        self._offsets = np.zeros(len(table), np.int64)
        self._known = np.zeros(len(table), bool)
        self._outside: dict[int, str] = {}
        sections = table["f3"]
        for number, (place, _, nbytes) in self._placed.items():
            here = sections == number
            if (table["f4"][here] > nbytes).any():
                raise _damaged("a symbol lies outside its section")
            self._offsets[here] = place + table["f4"][here].astype(np.int64)
            self._known |= here
        for number in np.flatnonzero(table["f1"] >> 4).tolist():  # those that are not local
            if sections[number] == 0:
                self._outside[number] = _text(names, int(table["f0"][number]))
                self._known[number] = True
            elif self._known[number]:
                self.functions[_text(names, int(table["f0"][number]))] = int(self._offsets[number])

    def _read_relocations(self) -> None:
        """What to fill in where, and which symbols need the table: number -> offset of the address in its entry."""
        self._relocations: list[tuple[_Field, np.ndarray, np.ndarray, np.ndarray]] = []
        self._entries: dict[int, int] = {}
        for number, (_, kind, _, _, _, _, _, section, _, _) in enumerate(self._sections):
            if kind != _RELOCATIONS or section not in self._placed:
                continue
            place, _, nbytes = self._placed[section]
            table = np.frombuffer(self._contents(number), _RELOCATION)
            for type in sorted(set(table["f1"].tolist())):
                if type not in _FIELDS[self.machine]:
                    raise CompilerError(f"an object file with a relocation of type {type}")
                field, part = _FIELDS[self.machine][type], table[table["f1"] == type]
                if (part["f0"] > nbytes - field.nbytes).any() or not self._known[part["f2"]].all():
                    raise _damaged("a relocation of what is not there")
                for symbol in sorted(set(part["f2"].tolist())):
                    if field.through_table or symbol in self._outside:
                        self._entries.setdefault(symbol, self._table + 16 * len(self._entries) + 8)
                self._relocations.append((field, place + part["f0"].astype(np.int64), part["f2"], part["f3"]))
        for symbol in self._outside.keys() & self._entries.keys():
            self._offsets[symbol] = self._entries[symbol] - 8  # too far away itself: its jump


def _fill_in(image: np.ndarray, field: _Field, at: np.ndarray, values: np.ndarray) -> None:
    """Change the words at `at` for symbols whose offsets (addresses) are `values`."""
    if field.what == "distance":
        values = values - at
    elif field.what == "pages":
        values = (values >> 12) - (at >> 12)
    elif field.what == "low":
        values = values & 0xFFF
    fits = (values & ((1 << field.shift) - 1)) == 0
    if field.what in ("distance", "pages") and field.bits < 64:
        limit = 1 << (field.bits + field.shift - 1)
        fits &= (values >= -limit) & (values < limit)
    if not fits.all():
        raise _damaged("a relocation does not fit")
    bits = (values >> field.shift).astype(np.uint64) & np.uint64((1 << field.bits) - 1)
    mask = ((1 << field.bits) - 1) << field.first
    bits <<= np.uint64(field.first)
    if field.what == "pages":  # of the 21 bits of this instruction, the two low ones stand before the others
        bits, mask = (bits & np.uint64(3)) << np.uint64(29) | (bits >> np.uint64(2)) << np.uint64(5), 0x60FFFFE0
    places = at[:, None] + np.arange(field.nbytes)
    words = image[places].view(f"<u{field.nbytes}")[:, 0].astype(np.uint64)
    words = words & ~np.uint64(mask) | bits
    image[places] = words.astype(f"<u{field.nbytes}").view(np.uint8).reshape(places.shape)


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _text(names: bytes, start: int) -> str:
    return names[start : names.index(b"\0", start)].decode("ascii", "replace")


def _damaged(how: str) -> CompilerError:
    return CompilerError(f"a damaged object file: {how}", fix="remove it from the cache")


def _host_machine() -> int:
    return AARCH64 if platform.machine().lower() in ("aarch64", "arm64") else X86_64


@functools.cache
def c_library() -> dict[str, int]:
    """The addresses of what LLVM calls by itself."""
    names = ["memcpy", "memmove", "memset", "fma", "fmaf"]
    if os.name == "nt":
        library, more = ctypes.CDLL("ucrtbase"), {"__chkstk": ctypes.CDLL("ntdll")}
    else:
        library, more = ctypes.CDLL(None), {}
        names += ["bzero"]
    functions = {name: library[name] for name in names} | {name: where[name] for name, where in more.items()}
    return {name: ctypes.cast(function, ctypes.c_void_p).value or 0 for name, function in functions.items()}
