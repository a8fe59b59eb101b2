"""Devices, and the protocol that a backend fulfils.

A backend owns devices of one platform ("cpu", "gpu"), moves raw arrays between them and NumPy, runs single primitives
and compiles Programs. Backends register a loader; nothing of theirs is imported before somebody asks for the platform.

What `compile` gives is an `Executable`. One whose Program became native code shows it in `native`, so that `jit` can
call that code from the data of its arguments to the Arrays of its results, with nothing in between.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np

from nrx.core.config import config, rare
from nrx.core.errors import DeviceError
from nrx.core.log import log

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

    @property
    def device_kind(self) -> str:
        """The platform, once more."""
        return self.platform

    @property
    def process_index(self) -> int:
        """0: there is one process."""
        return 0

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

    def interpret(self, program: Any, device: Device) -> Callable[[Sequence[Raw]], list[Raw]]:
        """A function from raw inputs to raw outputs that is at once at hand, to be called inside `active(device)`."""

    def compile(self, program: Any, device: Device, donated: tuple[bool, ...] = (), constants: int = 0) -> "Executable":
        """`program` made ready to run.

        Args:
            program: what to run.
            device: where.
            donated: whose memory may be reused: of each input, () for none.
            constants: how many of the inputs, the first ones, are the same whenever the native code is called.
        """


class Executable(Protocol):
    """A Program compiled for a device."""

    @property
    def native(self) -> "NativeEntry | None":
        """How to call the native code without going through `__call__`, if that is all there is to a call."""

    def __call__(self, raws: Sequence[Raw]) -> list[Raw]:
        """The raw outputs; to be called inside `active(device)`. No input is ever written to, donated or not."""

    def prepared(self, constants: Sequence[Raw]) -> Sequence[Raw]:
        """What the native code takes after its constants, which follows from them."""

    def as_text(self) -> str:
        """What will run, for people to read."""

    def cost_analysis(self) -> dict[str, float]:
        """Work of one call: "flops", "transcendentals" and "bytes accessed"."""

    def memory_analysis(self) -> "MemoryAnalysis":
        """Memory of one call."""


class MemoryAnalysis(NamedTuple):
    """Bytes that one call of a compiled function needs.

    Fields:
        argument_bytes: of all arguments.
        output_bytes: of all results.
        temporary_bytes: of the values in between, as far as they are in memory at the same time.
        alias_bytes: of the results that are in the memory of donated arguments.
        code_bytes: of the machine code; 0 where there is none of its own.
    """

    argument_bytes: int
    output_bytes: int
    temporary_bytes: int
    alias_bytes: int
    code_bytes: int


class Stored(NamedTuple):
    """A result that the native code writes into an output block, `offset` bytes from its beginning."""

    block: int
    offset: int


class Passed(NamedTuple):
    """A result that is an input as it came."""

    input: int


class Donated(NamedTuple):
    """A result that the native code writes into the memory of a donated input, of as many bytes as itself."""

    input: int


class Constant(NamedTuple):
    """A result that is the same Array in every call."""

    array: Any


class NativeEntry(NamedTuple):
    """Native code for a whole Program: `i64 entry(ptr words)`, with 64-bit words

        runtime, output block 0, arena, an address for each input, output blocks 1, 2, …

    Inputs are row-major and aligned to their dtype; blocks and arena begin on 64 bytes. The address of what is not
    there (no output block, no arena) is 0. The code may run in several threads at once, and keeps no address.

    Fields:
        address: of the entry.
        runtime_address: of the runtime table.
        out_blocks: the size in bytes of each output block; see `place_outputs`.
        arena_bytes: the size of the arena.
        outputs: where each result is.
        raise_pending: raises the exception of this thread's last call; called when the entry returned non-zero.
        keep_alive: whatever must not be freed as long as the entry may be called.
        brief: it takes microseconds, calls nothing of Python's, and may run with the interpreter locked.
    """

    address: int
    runtime_address: int
    out_blocks: tuple[int, ...]
    arena_bytes: int
    outputs: tuple[Stored | Passed | Donated | Constant, ...]
    raise_pending: Callable[[], NoReturn]
    keep_alive: Any = None
    brief: bool = False


_ALIGNMENT = 64
_SMALL = 256
_SHARED_BLOCK = 4096


def place_outputs(sizes: Sequence[int]) -> tuple[tuple[int, ...], tuple[Stored, ...]]:
    """Output blocks for results of these sizes in bytes: `NativeEntry.out_blocks`, and where each result is.

    Small results share blocks of a page, since a block costs as much as they do; the others have one each. So no
    result that is kept (a loss of every step) keeps much more memory than its own.
    """
    blocks: list[int] = []
    places = []
    shared = -1
    for size in sizes:
        padded = -(-size // _ALIGNMENT) * _ALIGNMENT
        if size > _SMALL or shared < 0 or blocks[shared] + padded > _SHARED_BLOCK:
            blocks.append(0)
            if size <= _SMALL:
                shared = len(blocks) - 1
        block = shared if size <= _SMALL else len(blocks) - 1
        places.append(Stored(block, blocks[block]))
        blocks[block] += padded
    return tuple(blocks), tuple(places)


class Runner:
    """What the impl of a higher-order primitive gets in place of `xp`: the array module, and a way to run Programs."""

    __slots__ = ("device", "xp")

    def __init__(self, device: Device):
        self.device = device
        self.xp = device.backend.xp

    def executable(self, program: Any, donated: tuple[bool, ...] = (), constants: int = 0) -> Executable:
        """A Program compiled for the device, on first use."""
        key = ("executable", self.device, donated, constants)
        return program.remember(key, self._compile, program, donated, constants)

    def _compile(self, program: Any, donated: tuple[bool, ...], constants: int) -> Executable:
        start = time.perf_counter()
        made = self.device.backend.compile(program, self.device, donated, constants)
        if rare and config.log_compiles:
            took = 1e3 * (time.perf_counter() - start)
            log(f"compiled {program.name} for {self.device} in {took:.1f} ms")
        return made

    def interpret(self, program: Any, raws: Sequence[Raw]) -> list[Raw]:
        """The raw outputs of a Program that is not worth compiling."""
        device = self.device
        return program.remember(("interpreter", device), lambda: device.backend.interpret(program, device))(raws)

    def run(self, program: Any, raws: Sequence[Raw], donated: tuple[bool, ...] = (), constants: int = 0) -> list[Raw]:
        """The raw outputs of a Program."""
        return self.executable(program, donated, constants)(raws)


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


class Sharding:
    """Where an array lies: nrx keeps each array on one device, whole.

    Args:
        device: the device.
    """

    def __init__(self, device: "Device | str"):
        self._device = find_device(device)

    @property
    def device_set(self) -> set[Device]:
        """The devices: one."""
        return {self._device}

    is_fully_replicated = is_fully_addressable = True
    num_devices = 1

    def shard_shape(self, global_shape: tuple) -> tuple:
        """The shape of the part on each device: the whole."""
        return tuple(global_shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sharding) and self.device_set == other.device_set

    def __hash__(self) -> int:
        return hash(self._device)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(device={self._device!r})"


class SingleDeviceSharding(Sharding):
    """An array on one device, as all are."""


def find_device(name: "str | Device | Sharding") -> Device:
    """The device called `"cpu"`, `"gpu:1"`, … or of a sharding; a Device is returned as it is."""
    if isinstance(name, Device):
        return name
    if isinstance(name, Sharding):
        return name._device
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
