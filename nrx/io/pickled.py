"""Trees in pickle files: `save_pickle` and `load_pickle`.

A file is a plain pickle, which `pickle.load` reads too, followed by the bytes `NRXSHA\\r\\n` and the SHA-256 of the
pickle. Loading builds nothing but data: of all that a pickle can name, only what rebuilds arrays, plain containers and
nrx's own named tuples.
"""

import hashlib
import os
import pickle
from collections.abc import Iterable
from typing import Any, BinaryIO

from nrx.core import dtypes
from nrx.core.array import ConcreteArray, put
from nrx.core.backend import Device, find_device
from nrx.core.errors import ArgumentTypeError, FileFormatError, NrxError
from nrx.core.pytree import tree_map
from nrx.io.atomic import StrPath, atomic_write

_MARK = b"NRXSHA\r\n"
_TRAILER_SIZE = len(_MARK) + hashlib.sha256().digest_size
_CHUNK = 1 << 20
_BUILTIN = (bool, bytearray, bytes, complex, dict, float, frozenset, int, list, range, set, slice, str, tuple)
#: module -> the names in it that only rebuild data. (NumPy 1 called its private package numpy.core.)
_SAFE = {
    "builtins": frozenset(kind.__name__ for kind in _BUILTIN),
    "collections": frozenset(("OrderedDict", "defaultdict", "deque")),
    "ml_dtypes": frozenset(dtype.name for dtype in dtypes.ALL),
    "nrx.core.array": frozenset(("_unpickle", "_unpickle_keys")),
    "numpy": frozenset(("dtype", "ndarray")),
    "numpy._core.multiarray": frozenset(("_reconstruct", "scalar")),
    "numpy._core.numeric": frozenset(("_frombuffer",)),
    "numpy.core.multiarray": frozenset(("_reconstruct", "scalar")),
    "numpy.core.numeric": frozenset(("_frombuffer",)),
}


def save_pickle(path: StrPath, tree: Any) -> None:
    """Pickle a tree into a file, atomically.

    Arrays are written as NumPy data, so that a file from a machine with a GPU opens on one without.

    Args:
        path: the file; one that exists is replaced when the new one is complete.
        tree: anything that can be pickled.

    Raises:
        ArgumentTypeError: the tree holds something that cannot be pickled, such as a lambda.
        TracerArrayError: it holds a traced array.
        OSError: the file cannot be written.

    >>> import nrx
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/params.pkl"
    >>> nrx.io.save_pickle(path, {"weights": nrx.numpy.ones(2)})
    >>> nrx.io.load_pickle(path)
    {'weights': Array([1., 1.], dtype=float32)}
    """
    with atomic_write(path) as file:
        try:
            pickle.dump(tree, file, protocol=5)
        except NrxError:
            raise
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ArgumentTypeError(
                f"save_pickle: {error}", fix="keep data in the tree, and functions in code"
            ) from error
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
        file.write(_MARK + digest)


def load_pickle(path: StrPath, device: Device | str | None = None, allow: Iterable[Any] = ()) -> Any:
    """Unpickle a tree that `save_pickle`, or `pickle.dump` (in protocol 3 or later), wrote.

    A pickle is a program, and `pickle.load` runs it, whoever wrote it. Here it may only build data: arrays, NumPy's
    arrays and scalars, the containers of Python, the named tuples of nrx (states of optimizers) and what you allow.
    That keeps honest files honest; from strangers, take only files of `nrx.io.save`.

    Args:
        path: the file.
        device: where to place the nrx arrays in the tree, for example "gpu:0"; by default they stay uncommitted on the
            default device. The tree is then rebuilt as a pytree.
        allow: classes (and functions) of yours that the pickle may call, for example dataclasses of parameters.

    Returns:
        The tree.

    Raises:
        FileFormatError: the file is damaged, truncated, no pickle, or asks for something that is not allowed.
        ArgumentTypeError: `allow` holds something other than classes and functions.
        DeviceError: there is no such device.
        OSError: the file cannot be read.

    >>> import nrx
    >>> import fractions, tempfile
    >>> path = tempfile.mkdtemp() + "/third.pkl"
    >>> nrx.io.save_pickle(path, {"lr": fractions.Fraction(1, 3)})
    >>> nrx.io.load_pickle(path, allow=[fractions.Fraction])
    {'lr': Fraction(1, 3)}
    """
    target = None if device is None else find_device(device)
    allowed = {_address(item): item for item in allow}
    with open(path, "rb") as file:
        try:
            _verify(file)
            tree = _Unpickler(file, allowed).load()
        except FileFormatError as error:
            raise FileFormatError(f"{os.fspath(path)}: {error.message}", fix=error.fix) from None
        except (OSError, MemoryError):
            raise
        except Exception as error:  # a damaged pickle can raise anything
            message = f"{os.fspath(path)}: not a pickle, or damaged ({type(error).__name__}: {error})"
            raise FileFormatError(message, fix="a file of nrx.io.save is read by nrx.io.load") from error
    if target is None:
        return tree
    return tree_map(lambda leaf: put(leaf, target) if isinstance(leaf, ConcreteArray) else leaf, tree)


class _Unpickler(pickle.Unpickler):
    """Finds only what is known to be data, and what the user allows."""

    def __init__(self, file: BinaryIO, allowed: dict[tuple[str, str], Any]):
        super().__init__(file)
        self.allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self.allowed:
            return self.allowed[module, name]
        if name in _SAFE.get(module, ()):
            return super().find_class(module, name)
        if module.startswith("nrx."):
            found = super().find_class(module, name)
            if isinstance(found, type) and issubclass(found, tuple) and hasattr(found, "_fields"):
                return found
        raise FileFormatError(
            f"it asks for {module}.{name}, which is not known to be mere data",
            fix=f"if you know that it is: load_pickle(path, allow=[{name}])",
        )

    def persistent_load(self, pid: Any) -> Any:
        raise FileFormatError("it refers to objects outside of the file")


def _verify(file: BinaryIO) -> None:
    """Compare the checksum, if the file ends with one; then go back to its beginning."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TRAILER_SIZE, 0))
    trailer = file.read()
    file.seek(0)
    if not trailer.startswith(_MARK):
        return
    digest, left = hashlib.sha256(), size - _TRAILER_SIZE
    while left:
        chunk = file.read(min(_CHUNK, left))
        digest.update(chunk)
        left -= len(chunk)
    if digest.digest() != trailer[len(_MARK) :]:
        raise FileFormatError("damaged: the checksum is wrong")
    file.seek(0)


def _address(item: Any) -> tuple[str, str]:
    if not hasattr(item, "__module__") or not hasattr(item, "__qualname__"):
        raise ArgumentTypeError(
            f"load_pickle: allow holds {item!r}, which is no class or function", fix="pass classes: allow=[Params]"
        )
    return item.__module__, item.__qualname__
