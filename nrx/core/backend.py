"""Devices, and the protocol that a backend fulfils.

A backend owns devices of one platform ("cpu", "gpu"), moves raw arrays between them and NumPy, runs single primitives
and compiles Programs. Backends register a loader; nothing of theirs is imported before somebody asks for the platform.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from nrx.core.config import config
from nrx.core.errors import DeviceError

Raw = Any
"""An array of the backend's own array module."""


class Device:
    """One device of a backend; compare with `==` or `is`. Printed as `cpu:0`."""

    __slots__ = ("backend", "id", "platform", "runner")

    def __init__(self, platform: str, id: int, backend: "Backend"):
        self.platform = platform
        self.id = id
        self.backend = backend
        self.runner = Runner(self)

    def __repr__(self) -> str:
        return f"Device({self})"

    def __str__(self) -> str:
        return f"{self.platform}:{self.id}"

    def __reduce__(self):
        return find_device, (str(self),)


class Backend(Protocol):
    """What a platform provides. `Raw` is an array of `xp`."""

    @property
    def platform(self) -> str: ...

    @property
    def xp(self) -> Any:
        """The array module."""

    def devices(self) -> Sequence[Device]:
        """The devices of this platform, in the order of their ids; never empty."""

    def from_numpy(self, data: np.ndarray, device: Device) -> Raw:
        """A raw array on `device` with `data`'s values; may share memory with `data`."""

    def to_numpy(self, raw: Raw) -> np.ndarray:
        """The values as a NumPy array; may share memory."""

    def transfer(self, raw: Raw, device: Device) -> Raw:
        """A raw array of this backend copied to another of its devices."""

    def active(self, device: Device) -> AbstractContextManager:
        """The context in which `call` runs: the device selected, floating-point warnings silenced."""

    def call(self, prim: Any, raws: Sequence[Raw], params: dict, device: Device) -> Any:
        """Run one primitive inside `active(device)`: one raw array, or a list of them with multiple results."""

    def compile(self, program: Any, device: Device) -> Callable[[Sequence[Raw]], list[Raw]]:
        """A function from the raw inputs of `program` to its raw outputs, to be called inside `active(device)`."""


class Runner:
    """What the impl of a higher-order primitive gets in place of `xp`: the array module, and a way to run Programs."""

    __slots__ = ("device", "xp")

    def __init__(self, device: Device):
        self.device = device
        self.xp = device.backend.xp

    def run(self, program: Any, raws: Sequence[Raw]) -> list[Raw]:
        """The raw outputs of a Program, which is compiled for the device on first use."""
        key = ("executable", self.device)
        return program.remember(key, lambda: self.device.backend.compile(program, self.device))(raws)


_loaders: dict[str, Callable[[], Backend]] = {}
_loaded: dict[str, Backend] = {}


def register_backend(platform: str, load: Callable[[], Backend]) -> None:
    """Declare a platform; `load` is called when it is first asked for and raises BackendMissingError if it cannot."""
    _loaders[platform] = load


def get_backend(platform: str) -> Backend:
    """The backend of a platform, loaded on first use."""
    if platform not in _loaded:
        if platform not in _loaders:
            raise DeviceError(f"no platform named {platform!r}", fix=f"the platforms are {sorted(_loaders)}")
        _loaded[platform] = _loaders[platform]()
    return _loaded[platform]


def platforms() -> tuple[str, ...]:
    """The names of all registered platforms."""
    return tuple(_loaders)


def find_device(name: "str | Device") -> Device:
    """The device called `"cpu"`, `"gpu:1"`, …; a Device is returned as it is."""
    if isinstance(name, Device):
        return name
    if not isinstance(name, str):
        raise DeviceError(
            f"{name!r} is not a device", fix="pass a Device from nrx.devices(), or a name such as 'gpu:0'"
        )
    platform, _, number = name.partition(":")
    found = get_backend(platform).devices()
    if not (number or "0").isdecimal() or int(number or 0) >= len(found):
        raise DeviceError(f"there is no device {name!r}", fix=f"the devices are {', '.join(map(str, found))}")
    return found[int(number or 0)]


def cpu() -> Device:
    """The first CPU device: where NumPy data lives."""
    return get_backend("cpu").devices()[0]


def default_device() -> Device:
    """Where new arrays are made."""
    chosen = config.default_device
    return cpu() if chosen is None else chosen


config.define(
    "default_device", None, lambda v: None if v is None else find_device(v), "where new arrays are made", tracing=True
)
