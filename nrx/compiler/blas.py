"""Matrix products of the OpenBLAS that NumPy brings along, as addresses for native code to call.

They take 64-bit integers ("ILP64"). A NumPy that is built on another library (Accelerate, MKL) has none of them.

OpenBLAS has threads of its own, which get in the way of ours. A program that calls it does so from our threads, and
`single_threaded` keeps OpenBLAS from starting more: for the whole process, NumPy's own products included.
"""

import ctypes
import functools
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

#: What the builds of OpenBLAS add to the names, before and after: newer and older wheels of NumPy, and distributions.
_DECORATIONS = (("scipy_", "64_"), ("", "64_"), ("", "_64"))


def gemm(type: str) -> int | None:
    """The address of cblas_sgemm or cblas_dgemm for "f32" or "f64"; None where there is none."""
    return _address({"f32": "cblas_sgemm", "f64": "cblas_dgemm"}[type])


def threads() -> int | None:
    """How many threads OpenBLAS uses; None where it is not there."""
    address = _address("openblas_get_num_threads")
    return None if address is None else ctypes.CFUNCTYPE(ctypes.c_int)(address)()


@functools.cache
def single_threaded() -> None:
    """Have OpenBLAS compute in the thread that calls it. Only the first call does anything."""
    if (address := _address("openblas_set_num_threads")) is not None:
        ctypes.CFUNCTYPE(None, ctypes.c_int)(address)(1)


@functools.cache
def _address(name: str) -> int | None:
    for library in _libraries():
        for before, after in _DECORATIONS:
            try:
                function = library[before + name + after]
            except AttributeError:
                continue
            return ctypes.cast(function, ctypes.c_void_p).value
    return None


def _libraries() -> Iterator[Any]:
    """Where the functions may be: behind the library of NumPy's core, or beside it where that does not show them."""
    yield ctypes.CDLL(importlib.import_module("numpy._core._multiarray_umath").__file__)
    if os.name == "nt":
        for path in sorted(Path(np.__file__).parent.parent.glob("numpy.libs/*openblas*.dll")):
            yield ctypes.CDLL(str(path))
