"""A stand-in for CuPy on machines without a GPU: NumPy behind CuPy's manners.

It has the names CuPy has (and no others), its arrays do not mix with NumPy's, do not convert to NumPy on their own, and
live on one of two pretended devices. What runs on it uses nothing that CuPy lacks; what CuPy computes it does not tell.
"""

import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

_modules, _methods = (
    frozenset(part.split()) for part in (Path(__file__).with_name("cupy_names.txt")).read_text().split("\n\n")
)
_BINARY = "add sub mul truediv floordiv mod pow and or xor lshift rshift matmul"  # with reflected forms
_PLAIN = "lt le gt ge eq ne neg pos abs invert"
_OPERATORS = [*_BINARY.split(), *(f"r{name}" for name in _BINARY.split()), *_PLAIN.split()]


_LINALG = "cholesky det eig eigh eigvals eigvalsh inv lstsq matrix_power norm pinv qr slogdet solve svd tensorsolve"
_FFT = "fft fft2 fftn hfft ifft ifft2 ifftn ihfft irfft irfft2 irfftn rfft rfft2 rfftn"


class ndarray:  # noqa: N801 - CuPy's name
    """An array on a pretended GPU."""

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, data: Any, device: int):
        self._host = np.asarray(data)
        self._device = device

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __getattr__(self, name: str) -> Any:
        if name not in _methods:
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}")
        found = getattr(self._host, name)
        return _wrapped(found) if callable(found) else _to_device(found)

    def __getitem__(self, index: Any) -> Any:
        return _to_device(self._host[_to_host(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[_to_host(index)] = _to_host(value)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    __index__ = __int__

    def __float__(self) -> float:
        return float(self._host)

    def __len__(self) -> int:
        return len(self._host)

    @property
    def real(self) -> Any:
        return _to_device(self._host.real)

    @real.setter
    def real(self, value: Any) -> None:
        self._host.real = _to_host(value)

    @property
    def imag(self) -> Any:
        return _to_device(self._host.imag)

    @imag.setter
    def imag(self, value: Any) -> None:
        self._host.imag = _to_host(value)

    def get(self) -> np.ndarray:
        return self._host.copy()


def _operator(name: str) -> Any:
    def operate(self: ndarray, *others: Any) -> Any:
        with np.errstate(all="ignore"):
            return _to_device(getattr(self._host, name)(*map(_to_host, others)))

    return operate


for _name in _OPERATORS:
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))


class Device:
    """The context manager that selects a device."""

    current: ClassVar[list[int]] = [0]

    def __init__(self, number: int):
        self.id = number

    def __enter__(self) -> "Device":
        self.current.append(self.id)
        return self

    def __exit__(self, *exc: object) -> None:
        self.current.pop()


def _to_host(value: Any) -> Any:
    if isinstance(value, ndarray):
        if value._device != Device.current[-1]:
            raise ValueError(f"array on device {value._device} used while device {Device.current[-1]} is current")
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, list | tuple):
        return type(value)(map(_to_host, value)) if not hasattr(value, "_fields") else value
    return value


def _to_device(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(value, Device.current[-1])
    if isinstance(value, list | tuple):
        return (list if type(value) is list else tuple)(map(_to_device, value))
    return value


def _wrapped(function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return _to_device(function(*map(_to_host, args), **{k: _to_host(v) for k, v in kwargs.items()}))

    for method in ("at", "reduce", "accumulate", "outer"):
        if isinstance(function, np.ufunc):
            setattr(call, method, _wrapped(getattr(function, method)))
    return call


def asnumpy(value: Any) -> np.ndarray:
    """The values of an array of any device."""
    return value.get() if isinstance(value, ndarray) else np.asarray(value)


def asarray(value: Any, dtype: Any = None) -> ndarray:
    """An array on the current device, copied from another or from NumPy."""
    host = value._host if isinstance(value, ndarray) else np.array(value)
    return ndarray(host if dtype is None else host.astype(dtype), Device.current[-1])


def array(value: Any, dtype: Any = None) -> ndarray:
    """A copy on the current device."""
    found = asarray(value, dtype)
    return ndarray(found._host.copy(), found._device)


def install(monkeypatch: Any, devices: int = 2) -> None:
    """Make `import cupy` find this stand-in for the length of a test."""
    module = types.ModuleType("cupy")

    def missing(name: str) -> Any:
        if name not in _modules or not hasattr(np, name):
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        found = getattr(np, name)
        return _wrapped(found) if callable(found) and not isinstance(found, type) else found

    module.__getattr__ = missing  # type: ignore[method-assign]
    strides = types.SimpleNamespace(as_strided=_wrapped(np.lib.stride_tricks.as_strided))
    linalg = types.SimpleNamespace(**{name: _wrapped(getattr(np.linalg, name)) for name in _LINALG.split()})
    fft = types.SimpleNamespace(**{name: _wrapped(getattr(np.fft, name)) for name in _FFT.split()})
    runtime = types.SimpleNamespace(getDeviceCount=lambda: devices)
    vars(module).update(
        __version__="0 (stand-in)", ndarray=ndarray, asnumpy=asnumpy, asarray=asarray, array=array, linalg=linalg,
        fft=fft, lib=types.SimpleNamespace(stride_tricks=strides),
        cuda=types.SimpleNamespace(Device=Device, runtime=runtime),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "cupy", module)
