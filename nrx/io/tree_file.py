"""Trees of arrays in one file: `save` and `load`.

    magic      8 bytes   89 4E 52 58 0D 0A 1A 0A
    version    u32       1
    size       u64       of the tree, in bytes
    checksum   32 bytes  SHA-256 of the tree
    tree       msgpack   extension type 1, empty, as the first item of a list: it is a tuple
                         extension type 2: an array, as the msgpack of [name of the dtype, shape]
    arrays               for each array of the tree, in its order: the elements in C order and their SHA-256

All numbers are little-endian. Nothing in a file names a class or a function, so that loading runs no code.
"""

import hashlib
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import msgpack
import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, wrap
from nrx.core.backend import Device, find_device
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, FileFormatError, TreeError
from nrx.core.pytree import keystr
from nrx.core.shapes import show, size
from nrx.core.treedef import KINDS, DictKey, FlattenedIndexKey, GetAttrKey, KeyPath, SequenceKey
from nrx.io.atomic import StrPath, atomic_write
from nrx.ops.structural import bitcast_convert_type

_MAGIC = b"\x89NRX\r\n\x1a\n"
_VERSION = 1
_PREFIX = struct.Struct("<8sIQ32s")
_DIGEST_SIZE = 32
_TUPLE, _ARRAY = 1, 2
_TUPLE_MARK = msgpack.ExtType(_TUPLE, b"")
_SCALARS = (type(None), bool, int, float, str, bytes)
_DEEPEST = 250
#: How files begin that people take for ours, and what to do with them.
_FOREIGN = {
    b"\x80": "a pickle is read by nrx.io.load_pickle",
    b"PK": "an .npz file is read by numpy.load",
    b"\x93NUMPY": "an .npy file is read by numpy.load",
}


def save(path: StrPath, tree: Any) -> None:
    """Write a tree of arrays into a file, atomically.

    Dicts, lists, tuples and None come back as what they are. Other nodes (named tuples, registered classes, ordered
    dicts) are written as dicts from the names of their children, and `load` restores them where it is given a tree
    `like` them. Weak types are dropped, and so is the device.

    Args:
        path: the file; one that exists is replaced when the new one is complete.
        tree: a tree whose leaves are arrays of any dtype and shape (NumPy's too, which come back as nrx arrays), or
            of type str, int (of 64 bits), float, bool or bytes. Keys of dicts may be of these types, None, or tuples.

    Raises:
        ArgumentTypeError: a leaf or a key of another type; the message gives its path.
        ArgumentError: an integer too large, or a tree nested more than 250 deep.
        DTypeError: a NumPy array of a dtype that nrx does not have.
        OSError: the file cannot be written.

    >>> import nrx
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/model.nrx"
    >>> nrx.io.save(path, {"weights": nrx.numpy.ones((2, 2)), "step": 7})
    >>> nrx.io.load(path)["step"]
    7
    """
    arrays: list[Any] = []
    encoded = _encode(tree, (), arrays)
    try:
        header = msgpack.packb(encoded)
    except (ValueError, OverflowError) as error:
        raise ArgumentError(f"the tree cannot be saved: {error}") from None
    with atomic_write(path) as file:
        file.write(_PREFIX.pack(_MAGIC, _VERSION, len(header), hashlib.sha256(header).digest()))
        file.write(header)
        for array in arrays:
            raw = _raw_bytes(np.ascontiguousarray(array, array.dtype.newbyteorder("<")))
            file.write(raw)
            file.write(hashlib.sha256(raw).digest())


def load(path: StrPath, device: Device | str | None = None, like: Any = None) -> Any:
    """Read a tree that `save` wrote.

    Args:
        path: the file.
        device: where to place the arrays, for example "gpu:0"; by default they stay uncommitted on the default device.
        like: a tree of the structure that was saved; the result has its containers. Where it has arrays (or
            `ShapeDtypeStruct`s), the file must have arrays of the same shapes and dtypes.

    Returns:
        The tree. Without `like` it consists of dicts, lists, tuples and None.

    Raises:
        FileFormatError: the file is damaged, truncated or of another format.
        TreeError: the file does not hold a tree like `like`; the message gives the path.
        DeviceError: there is no such device.
        OSError: the file cannot be read.

    >>> import nrx
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/state.nrx"
    >>> optimizer = nrx.optim.adam(1e-3)
    >>> state = optimizer.init({"w": nrx.numpy.zeros(3)})
    >>> nrx.io.save(path, state)
    >>> type(nrx.io.load(path, like=state)[0]).__name__
    'ScaleByAdamState'
    """
    target = None if device is None else find_device(device)
    with open(path, "rb") as file, _naming(path):
        tree = _Reader(file, target).read_tree()
    return tree if like is None else _fit(like, tree, (), os.fspath(path))


# ---- writing --------------------------------------------------------------------------------------------------------


def _encode(node: Any, path: KeyPath, arrays: list[Any]) -> Any:
    """`node` in the terms of msgpack; its arrays are appended to `arrays`."""
    if type(node) in _SCALARS:
        return node
    if isinstance(node, Array | np.ndarray | np.generic):
        is_key = node.dtype is dtypes.key_dtype
        if not is_key and node.dtype.newbyteorder("=") not in dtypes.ALL:
            raise DTypeError(f"save: tree{keystr(path)} has dtype {node.dtype}, which nrx does not have")
        arrays.append(bitcast_convert_type(node, dtypes.uint64) if is_key else node)
        return msgpack.ExtType(_ARRAY, msgpack.packb([node.dtype.name, list(node.shape)]))
    kind = KINDS[type(node)]
    if kind is None:
        raise ArgumentTypeError(
            f"save: tree{keystr(path)} is of type {type(node).__name__}, which a file cannot hold",
            fix="make it an array or a number; register a container with nrx.tree_util; or use nrx.io.save_pickle",
        )
    if len(path) == _DEEPEST:
        raise ArgumentError(f"save: the tree is nested more than {_DEEPEST} deep, or contains itself")
    if type(node) is dict:
        return {_encode_key(key, path): _encode(node[key], (*path, DictKey(key)), arrays) for key in node}
    steps = kind.keys(node)
    children = [_encode(child, (*path, step), arrays) for step, child in zip(steps, kind.flatten(node)[0], strict=True)]
    if type(node) is list:
        return children
    if type(node) is tuple:
        return [_TUPLE_MARK, *children]
    return {_encode_key(_name(step), path): child for step, child in zip(steps, children, strict=True)}


def _encode_key(key: Any, path: KeyPath) -> Any:
    if type(key) is tuple:
        return (_TUPLE_MARK, *(_encode_key(part, path) for part in key))
    if type(key) not in _SCALARS:
        raise ArgumentTypeError(
            f"save: a key of tree{keystr(path)} is of type {type(key).__name__}, which a file cannot hold: {key!r}",
            fix="use keys of type str, int, float, bool, bytes or tuple",
        )
    return key


def _name(step: Any) -> Any:
    """The key, index or name of a step of a key path."""
    match step:
        case DictKey(key=name) | SequenceKey(idx=name) | GetAttrKey(name=name) | FlattenedIndexKey(key=name):
            return name
    return str(step)


def _raw_bytes(data: np.ndarray) -> memoryview:
    """The memory of a C-contiguous array of any dtype, bfloat16 included."""
    return data.reshape(-1).view(np.uint8).data


# ---- reading --------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads a tree from an open file, in one pass: arrays go from the file to where they stay."""

    def __init__(self, file: BinaryIO, device: Device | None):
        self.file = file
        self.device = device
        self.unread = os.fstat(file.fileno()).st_size
        self.arrays = 0
        self.marks = 0  # of tuples, not yet found in their place

    def read_tree(self) -> Any:
        start = self._read(min(_PREFIX.size, self.unread))
        if not start.startswith(_MAGIC) and not (start and _MAGIC.startswith(start)):
            known = [fix for magic, fix in _FOREIGN.items() if start.startswith(magic)]
            raise FileFormatError(
                f"not a file of nrx.io.save: it begins with {start[:8]!r}", fix=next(iter(known), None)
            )
        if len(start) < _PREFIX.size:
            raise FileFormatError(f"truncated: {len(start)} bytes are not even the {_PREFIX.size} of the head")
        _, version, length, checksum = _PREFIX.unpack(start)
        if version != _VERSION:
            raise FileFormatError(
                f"written in version {version} of the format", fix="update nrx, which reads version 1"
            )
        header = self._read(length)
        if hashlib.sha256(header).digest() != checksum:
            raise FileFormatError("damaged: the checksum of the tree is wrong")
        tree = self._unpack(header)
        if self.marks or self.unread:
            raise FileFormatError("damaged: something stands where nothing should")
        return tree

    def _read(self, count: int) -> bytes:
        self._take(count)
        return self.file.read(count)

    def _take(self, count: int) -> None:
        if count > self.unread:
            raise FileFormatError(f"truncated: {count - self.unread} bytes or more are missing")
        self.unread -= count

    def _unpack(self, packed: bytes) -> Any:
        try:
            return msgpack.unpackb(
                packed, ext_hook=self._extension, list_hook=self._list_or_tuple, strict_map_key=False
            )
        except FileFormatError:
            raise
        except (ValueError, TypeError) as error:
            raise FileFormatError(f"damaged: the tree is no valid msgpack ({error})") from None

    def _extension(self, code: int, packed: bytes) -> Any:
        if code == _TUPLE and not packed:
            self.marks += 1
            return _TUPLE_MARK
        if code == _ARRAY:
            return self._read_array(*msgpack.unpackb(packed))
        raise FileFormatError(f"damaged: the extension type {code} is unknown")

    def _list_or_tuple(self, items: list[Any]) -> Any:
        if not items or items[0] is not _TUPLE_MARK:
            return items
        self.marks -= 1
        return tuple(items[1:])

    def _read_array(self, dtype_name: str, shape: list[int]) -> Array:
        self.arrays += 1
        try:
            dtype = dtypes.canonical_dtype(dtype_name)
        except DTypeError as error:
            raise FileFormatError(f"array {self.arrays}: {error.message}") from None
        held = dtypes.storage(dtype)
        self._take(size(tuple(shape)) * held.itemsize + _DIGEST_SIZE)
        data = np.empty(shape, held if sys.byteorder == "little" else held.newbyteorder("<"))
        raw = _raw_bytes(data)
        self.file.readinto(raw)  # type: ignore[attr-defined]
        if self.file.read(_DIGEST_SIZE) != hashlib.sha256(raw).digest():
            raise FileFormatError(
                f"damaged: the checksum of array {self.arrays}, {dtype.name}{show(tuple(shape))}, is wrong"
            )
        array = wrap(data.astype(held, copy=False), device=self.device)
        return array if held is dtype else bitcast_convert_type(array, dtype)


@contextmanager
def _naming(path: StrPath) -> Iterator[None]:
    """Put the name of the file before the messages of FileFormatErrors."""
    try:
        yield
    except FileFormatError as error:
        raise FileFormatError(f"{os.fspath(path)}: {error.message}", fix=error.fix) from None


# ---- like -----------------------------------------------------------------------------------------------------------


def _fit(like: Any, stored: Any, path: KeyPath, file: str) -> Any:
    """What was stored, in the containers of `like`."""

    def mismatch(found: str, wanted: str) -> TreeError:
        return TreeError(f"{file}: tree{keystr(path)} is {found}, where `like` has {wanted}")

    kind = KINDS[type(like)]
    if kind is None:
        wanted, found = _describe(like), _describe(stored)
        if KINDS[type(stored)] is not None or (hasattr(like, "dtype") and wanted != found):
            raise mismatch(found, wanted)
        return stored
    plain = type(like) if type(like) in (dict, list, tuple, type(None)) else dict
    if type(stored) is not plain:
        raise mismatch(_describe(stored), _describe(like))
    children, aux = kind.flatten(like)
    steps = kind.keys(like)
    names = [_name(step) for step in steps]
    present = set(stored) if plain is dict else set(range(len(stored or ())))
    if present != set(names):
        lost, extra = sorted(set(names) - present, key=repr), sorted(present - set(names), key=repr)
        raise TreeError(f"{file}: tree{keystr(path)} lacks {lost} and has {extra} besides, compared with `like`")
    fitted = [
        _fit(child, stored[name], (*path, step), file) for child, name, step in zip(children, names, steps, strict=True)
    ]
    return kind.unflatten(aux, fitted)


def _describe(node: Any) -> str:
    """What `node` is, in a message: an array by its dtype and shape, anything else by its type."""
    if hasattr(node, "dtype") and hasattr(node, "shape"):
        return f"an array {np.dtype(node.dtype).name}{show(node.shape)}"
    return "None" if node is None else f"of type {type(node).__name__}"
