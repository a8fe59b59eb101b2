"""Routines of BLAS and LAPACK that NumPy does not offer, out of the library that it brings.

They are found by the names that NumPy's own packages give them (64-bit integers, no other library's). Where they have
others, `routine` gives None, and what needs one has another way.
"""

import ctypes
import functools
import importlib
import math
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

_NAMES = ("scipy_{}_64_", "{}_64_")
_LETTERS = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(importlib.import_module("numpy.linalg._umath_linalg").__file__)
    except (ImportError, OSError):
        return None


@functools.cache
def routine(name: str, dtype: np.dtype) -> Callable[..., Any] | None:
    """A routine for a dtype, `dgetrf` for ("getrf", float64); takes pointers as Fortran does. None: it is not there."""
    letter, library = _LETTERS.get(dtype.name), _library()
    for form in _NAMES:
        found = getattr(library, form.format(f"{letter}{name}"), None)
        if found is not None:
            found.restype = None
            return found
    return None


# Threads of the library's own: on small matrices they gain nothing, and where other threads keep the processors busy,
# waiting for each other they take up to a thousand times as long (the SVD of 50×50 matrices: 120 ms in place of 0.3).

#: Up to this size, matrices are one thread's work.
_ALONE = 256
#: From this size on NumPy's float64 in place of float32 costs more than calling a routine ourselves.
_SINGLE_FROM = 32


class _Library:
    """The number of the library's threads: one for small matrices, as many as it had for large ones.

    It is one number for the whole process, and bits depend on it: small and large ones wait for each other.
    """

    def __init__(self, get: Callable[[], int], set_: Callable[[int], None]):
        self._get, self._set = get, set_
        self._turn = threading.Condition()
        self._inside, self._are_small, self._waiting, self._usual = 0, False, 0, get()
        self.small, self.large = _Use(self, True), _Use(self, False)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def enter(self, is_small: bool) -> None:
        with self._turn:
            if self._inside and (self._are_small != is_small or self._waiting):
                self._wait(is_small)
            if not self._inside:
                self._are_small, self._usual = is_small, self._get()
                if is_small:
                    self._set(1)
            self._inside += 1

    def _wait(self, is_small: bool) -> None:
        """Until those of the other kind are done; who comes later queues up, so that nobody waits for ever."""
        self._waiting += 1
        try:
            self._turn.wait_for(lambda: not self._inside or self._are_small == is_small)
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        with self._turn:
            self._inside -= 1
            if not self._inside:
                if self._are_small:
                    self._set(self._usual)
                self._turn.notify_all()

    def _after_fork(self) -> None:
        if self._inside and self._are_small:
            self._set(self._usual)
        self._turn, self._inside, self._waiting = threading.Condition(), 0, 0


class _Use:
    """The context of a decomposition."""

    def __init__(self, library: _Library, is_small: bool):
        self._library, self._is_small = library, is_small

    def __enter__(self) -> None:
        self._library.enter(self._is_small)

    def __exit__(self, *exc: object) -> None:
        self._library.leave()


@functools.cache
def _threads() -> _Library | None:
    for prefix in ("scipy_", ""):
        get, set_ = (getattr(_library(), f"{prefix}openblas_{verb}_num_threads64_", None) for verb in ("get", "set"))
        if get is not None and set_ is not None:
            return _Library(get, set_)
    return None


def is_one_threads_work(matrices: Any) -> bool:
    """Whether a decomposition of one of these matrices gains nothing from several threads."""
    return max(matrices.shape[-2:], default=0) <= _ALONE


def threads_for(matrices: Any) -> AbstractContextManager:
    """The context in which to decompose matrices."""
    threads = _threads()
    if threads is None:
        return nullcontext()
    return threads.small if is_one_threads_work(matrices) else threads.large


# Routines


def getrf(a: np.ndarray) -> np.ndarray | None:
    """Decompose matrices in place, given as (count, columns, rows): the pivots (count, k); None without the routine."""
    function = routine("getrf", a.dtype)
    if function is None:
        return None
    count, columns, rows = a.shape
    pivots = np.ones((count, min(rows, columns)), np.int64)
    m, n, lead, info = _integers(rows, columns, max(rows, 1), 0)
    for matrix, places in zip(a, pivots, strict=True):
        function(m, n, _address(matrix), lead, _address(places), info)
    # Of a column of NaN any row may be said to be the largest, even none.
    return np.clip(pivots - 1, np.arange(pivots.shape[1]), rows - 1)


def is_single(matrices: np.ndarray) -> bool:
    """Whether `gesv` is there and pays: NumPy computes in float64 for float32 too."""
    name, n = matrices.dtype.name, matrices.shape[-1]
    return name in ("float32", "complex64") and n >= _SINGLE_FROM and routine("gesv", matrices.dtype) is not None


def potrf(a: np.ndarray) -> None:
    """Put the factors in place of lower triangles (count, n, n) of hermitian matrices; NaN where there are none."""
    function, n = routine("potrf", a.dtype), a.shape[-1]
    assert function is not None
    size, lead = _integers(n, n)
    for matrix in a:
        info = ctypes.c_int64(0)
        function(b"U", size, _address(matrix), lead, ctypes.byref(info), *_LENGTHS[:1])  # in its order of columns
        if info.value or np.isnan(matrix[-1, -1]):  # of NaN some libraries make no failure
            matrix[...] = np.nan


def gesv(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x such that a @ x = b, for matrices (..., n, n) and (..., n, k); NaN where a is singular."""
    function, (n, k), count = routine("gesv", a.dtype), b.shape[-2:], math.prod(b.shape[:-2])
    assert function is not None
    turned, out = (np.array(x.swapaxes(-1, -2), order="C") for x in (a, b))
    places = np.empty(n, np.int64)
    size, rights, lead = _integers(n, k, n)
    for matrix, right in zip(turned.reshape(count, n, n), out.reshape(count, k, n), strict=True):
        info = ctypes.c_int64(0)
        function(size, rights, _address(matrix), lead, _address(places), _address(right), lead, ctypes.byref(info))
        if info.value:
            right[...] = np.nan
    return out.swapaxes(-1, -2)


def trsm(a: np.ndarray, b: np.ndarray, *, lower: bool, unit_diagonal: bool) -> bool:
    """Solve a @ x = b for triangular matrices (count, n, n), b (count, n, k) in row-major order becoming x.

    False, and nothing done, without the routine.
    """
    function = routine("trsm", a.dtype)
    if function is None:
        return False
    _, n, k = b.shape
    # What is row-major here is transposed there: x^T a^T = b^T.
    is_turned = a.strides[-1] != a.itemsize and a.strides[-2] == a.itemsize
    a = np.ascontiguousarray(a.swapaxes(-1, -2) if is_turned else a)
    rows, order, lead_a, lead_b = _integers(k, n, max(n, 1), max(k, 1))
    options = [b"R", b"L" if is_turned == lower else b"U", b"T" if is_turned else b"N", b"U" if unit_diagonal else b"N"]
    one = np.ones(1, a.dtype)
    for matrix, right in zip(a, b, strict=True):
        function(*options, rows, order, _address(one), _address(matrix), lead_a, _address(right), lead_b, *_LENGTHS)
    return True


_LENGTHS = [ctypes.c_size_t(1)] * 4  # of the options, which some compilers of Fortran expect at the end


def _integers(*values: int) -> list[Any]:
    return [ctypes.byref(ctypes.c_int64(value)) for value in values]


def _address(x: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.ctypes.data)
