"""The immutable array.

`Array` is the public type: `ConcreteArray` holds data, a `Tracer` (in `core.trace`) stands for data to come. Operators
and methods are installed on `Array` by `nrx.numpy`, above; here is only what concerns data, conversion and identity.

Compiled code reads and writes memory. An array knows its memory as the pair (address, owner), where the owner, a NumPy
array or a `blocks.Block`, keeps it alive. The results of compiled code begin as that pair alone.
"""

import ctypes
import sys
from dataclasses import is_dataclass
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from nrx.core import dtypes
from nrx.core.aval import Aval
from nrx.core.backend import Device, SingleDeviceSharding, cpu, default_device, find_device
from nrx.core.blocks import Block, allocate
from nrx.core.errors import (
    AmbiguousTruthError,
    ArgumentTypeError,
    ConversionError,
    DeletedArrayError,
    DTypeError,
    ImmutableError,
    UnhashableError,
)
from nrx.core.shapes import Shape, show

_UPDATE_FIX = "arrays are immutable: `y = x.at[index].set(value)` makes a changed copy"


class Array:
    """An immutable n-dimensional array, concrete or traced. Make one with `nrx.numpy.array`."""

    __slots__ = ("__weakref__",)
    __array_priority__ = 100
    aval: Aval

    if TYPE_CHECKING:  # for type checkers: what nrx.numpy.methods installs
        _installed: Any = None
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _installed
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = __pow__ = __rpow__ = _installed
        __matmul__ = __rmatmul__ = __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _installed
        __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = __neg__ = __pos__ = __abs__ = __invert__ = _installed
        __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _installed
        __round__ = __iter__ = __contains__ = __getitem__ = _installed

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls) -> None:
        cls.__name__ = "Array"  # in Python's own messages; concrete or traced makes no difference there

    @property
    def shape(self) -> Shape:
        """The length of each axis."""
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the elements."""
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.aval.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.aval.size

    @property
    def weak_type(self) -> bool:
        """True for an array made of Python scalars only: it takes the dtype of what it meets."""
        return self.aval.weak_type

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.aval.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.aval.size * self.aval.dtype.itemsize

    def __len__(self) -> int:
        if not self.aval.shape:
            raise ConversionError("a 0-d array has no length", fix="x.size counts the elements, x[None] has an axis")
        return self.aval.shape[0]

    def __hash__(self) -> int:
        raise UnhashableError(
            "arrays cannot be hashed: neither dictionary keys nor static arguments",
            fix="hash a Python value (x.item(), x.tolist()), or id(x) for identity",
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        raise ImmutableError("item assignment on an array", fix=_UPDATE_FIX)

    def __delitem__(self, index: Any) -> None:
        raise ImmutableError("item deletion on an array", fix="select what stays: x[keep], or nrx.numpy.concatenate")

    def __copy__(self) -> "Array":
        return self

    def __deepcopy__(self, memo: dict) -> "Array":
        return self


class ConcreteArray(Array):
    """An array with data: a raw array of its device's backend, never changed and never shared with the user."""

    __slots__ = ("_committed", "_deleted_by", "_device", "_memory", "_raw", "aval")
    aval: Aval
    #: The data as an array of the backend; None if they are known as memory alone, or deleted.
    _raw: Any
    #: Where the data are, row-major and aligned, and what keeps them there; None if nobody asked yet, or deleted.
    _memory: "Memory | None"
    _deleted_by: str

    def __init__(self, data: Any, aval: Aval, device: Device, committed: bool = False):
        self._raw = data
        self._memory = None
        self.aval = aval
        self._device = device
        self._committed = committed

    @property
    def _data(self) -> Any:
        """The raw array."""
        raw = self._raw
        return self._view() if raw is None else raw

    def _view(self) -> np.ndarray:
        memory = self._memory
        if memory is None:
            raise DeletedArrayError(
                f"an array {self.aval} is used after its memory was given away by {self._deleted_by}",
                fix="go on with the result of that call, hand it a copy (x.copy()), or do not donate the argument",
            )
        self._raw = raw = view_of(memory, self.aval)
        return raw

    def __copy__(self) -> "ConcreteArray":
        # The data are shared: nobody changes them, and memory that two arrays see is not reused when one is donated.
        copy = ConcreteArray(self._raw, self.aval, self._device, self._committed)
        copy._memory = self._memory
        if copy.is_deleted():
            copy._deleted_by = self._deleted_by
        return copy

    def __deepcopy__(self, memo: dict) -> "ConcreteArray":
        return self.__copy__()

    def delete(self) -> None:
        """Give the memory back now; afterwards the array cannot be used, but for its shape and dtype."""
        if not self.is_deleted():
            self._forget("x.delete()")

    def is_deleted(self) -> bool:
        """Whether the memory was given away: by `delete`, or to a jitted function that was to reuse it."""
        return self._raw is None and self._memory is None

    def _forget(self, by: str) -> None:
        self._deleted_by = by
        self._raw = self._memory = None

    @property
    def device(self) -> Device:
        """Where the data lives."""
        return self._device

    @property
    def committed(self) -> bool:
        """True if the array was placed with `device_put`; others follow the arrays they meet."""
        return self._committed

    def devices(self) -> set[Device]:
        """The devices holding the array: one."""
        return {self._device}

    @property
    def sharding(self) -> SingleDeviceSharding:
        """How the array is spread over devices: it is on one."""
        return SingleDeviceSharding(self._device)

    is_fully_addressable = is_fully_replicated = True

    def block_until_ready(self) -> "ConcreteArray":
        """Wait for the data to be computed; returns the array itself."""
        if self._memory is None:
            self._device.backend.to_numpy(self._data[:0] if self.ndim else self._data)
        return self

    def numpy(self) -> np.ndarray:
        """The values as a read-only NumPy array; on the CPU a view without a copy."""
        data = self._device.backend.to_numpy(self._data)
        owner: Any = data
        while isinstance(owner, np.ndarray):  # the owner too, so that the view cannot be made writeable again
            owner.flags.writeable = False
            owner = owner.base
        return data.view()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self._refuse_keys("numpy.asarray(keys)")
        view = self.numpy()
        if copy or (dtype is not None and np.dtype(dtype) != view.dtype):
            if copy is False:
                raise ConversionError(f"{self.dtype} cannot become {dtype} without a copy", fix="pass copy=None")
            return view.astype(dtype or view.dtype)
        return view

    def _refuse_keys(self, call: str) -> None:
        if self.aval.dtype is dtypes.key_dtype:
            raise ConversionError(f"{call}: keys are no numbers", fix="nrx.random.key_data(keys) gives their words")

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        """Export to another library; a consumer that cannot promise to leave the data alone gets a copy."""
        self._refuse_keys("keys.__dlpack__()")
        readonly_known = max_version is not None and tuple(max_version) >= (1, 0)
        if self._device.platform != "cpu":
            return self._data.__dlpack__(stream=stream)
        data = self.numpy() if readonly_known and not copy else self.numpy().copy()
        try:
            return data.__dlpack__(max_version=max_version) if readonly_known else data.__dlpack__()
        except BufferError as error:
            raise DTypeError(
                f"dtype {self.dtype} has no DLPack form ({error})", fix="convert with .astype first"
            ) from None

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._data.__dlpack_device__()

    def _scalar(self, convert: Any, kind: str) -> Any:
        self._refuse_keys(f"a key cannot become {kind}")
        if self.aval.size != 1:
            raise ConversionError(
                f"only an array of one element can become {kind}, got shape {show(self.shape)}",
                fix="index one element, reduce (x.sum()), or use x.tolist()",
            )
        return convert(self.numpy().reshape(()).item() if self.dtype.kind != "V" else self.numpy().reshape(())[()])

    def __bool__(self) -> bool:
        if self.aval.size != 1:
            raise AmbiguousTruthError(
                f"the truth value of an array of shape {show(self.shape)} is ambiguous",
                fix="use x.any(), x.all(), or nrx.numpy.where(x, a, b)",
            )
        return self._scalar(bool, "a bool")

    def __int__(self) -> int:
        return self._scalar(int, "an int")

    def __float__(self) -> float:
        if dtypes.is_complex(self.dtype):
            raise ConversionError("a complex array cannot become a float", fix="take x.real or abs(x)")
        return self._scalar(float, "a float")

    def __complex__(self) -> complex:
        return self._scalar(complex, "a complex")

    def __index__(self) -> int:
        if self.shape or not dtypes.is_integer(self.dtype):
            raise ConversionError(
                f"only a 0-d integer array can be used as an index, got {self.aval}", fix="convert it: int(x)"
            )
        return self._scalar(int, "an index")

    def item(self, *index: int) -> Any:
        """The only element, or the one at `index`, as a Python scalar."""
        if index:
            return self.numpy().item(*index)
        return self._scalar(lambda value: getattr(value, "item", lambda: value)(), "a Python scalar")

    def tolist(self) -> Any:
        """The elements as nested lists of Python scalars."""
        self._refuse_keys("keys.tolist()")
        return self.numpy().tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        """The elements as bytes in C order."""
        return self.numpy().tobytes(order)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else format(str(self), spec)

    def __str__(self) -> str:
        return repr(self) if self.dtype is dtypes.key_dtype else str(self.numpy())

    def __repr__(self) -> str:
        if self.is_deleted():
            return f"<deleted array {self.aval}>"
        data = self.numpy()
        prefix = "Array("
        if self.dtype is dtypes.key_dtype:
            return f"Array({show(self.shape)}, dtype={self.dtype}) of\n{data[..., None].view(np.uint32)}"
        suffix = f", dtype={self.dtype.name}" + ", weak_type=True" * self.weak_type
        suffix += f", device={self._device}" * (self._device.platform != "cpu") + ")"
        if data.size == 0:
            return f"{prefix}[], shape={show(self.shape)}{suffix}"
        return prefix + np.array2string(data, separator=", ", prefix=prefix, suffix=suffix) + suffix

    def __reduce__(self):
        # Always NumPy data: a pickle written on a GPU opens on a machine without one.
        data = np.array(self.numpy())
        return (_unpickle_keys, (data,)) if self.dtype is dtypes.key_dtype else (_unpickle, (data, self.weak_type))


Memory = tuple[int, Any]
"""An address, and the object that keeps what is there alive."""


def memory_of(array: ConcreteArray) -> Memory:
    """The memory of a CPU array; data that are not row-major and aligned are copied, once.

    Raises:
        DeletedArrayError: it has none any more.
    """
    memory = array._memory
    if memory is None:
        array._memory = memory = located(data := array._data)
        if memory[1] is not data:
            array._raw = memory[1]
    return memory


def located(data: np.ndarray) -> Memory:
    """Where NumPy data are: those of the array itself if they are row-major and aligned, else of a copy."""
    flags = data.flags
    if not (flags.c_contiguous and flags.aligned):
        data = np.array(data, order="C")
    elif flags.writeable:
        buffer: Any = data
        try:
            return ctypes.addressof(ctypes.c_char.from_buffer(buffer)), data
        except ValueError:  # no elements, or a dtype that buffers do not know, such as bfloat16
            pass
    return data.ctypes.data, data  # four times as slow


def view_of(memory: Memory, aval: Aval) -> np.ndarray:
    """A block's memory as an array that nobody can make writeable: a read-only memoryview is in between."""
    address, block = memory
    if not aval.size * aval.dtype.itemsize:
        return np.empty(aval.shape, dtypes.storage(aval.dtype))
    view = memoryview(block).toreadonly()
    return np.frombuffer(view, dtypes.storage(aval.dtype), aval.size, address - block.address).reshape(aval.shape)


def take_memory(array: ConcreteArray, by: str) -> Memory:
    """The memory of a donated array, to be overwritten; `by` says, for messages, who took it.

    It is the memory of the array itself if no other array, view or running call can see it, else that of a copy. The
    array is deleted.
    """
    held = [array._memory or memory_of(array)]
    array._forget(by)
    if _holders(held) == _ALONE and isinstance(held[0][1], Block):
        return held[0]
    block = allocate(array.nbytes)
    ctypes.memmove(block.address, held[0][0], array.nbytes)
    return block.address, block


def _holders(held: list[Memory]) -> int:
    """How many references there are to the only item of a list and to the owner of that memory, together."""
    memory = held[0]
    return getrefcount(memory) + getrefcount(memory[1])


def _holders_of_a_list() -> int:
    """What `_holders` says if nobody but the list holds the memory; what it never says, if one cannot be sure."""
    return _holders([(0, object())]) if getattr(sys, "_is_gil_enabled", lambda: True)() else 0


_ALONE = _holders_of_a_list()


def _unpickle(data: np.ndarray, weak_type: bool) -> ConcreteArray:
    return ConcreteArray(data, Aval(data.shape, data.dtype, weak_type), cpu())


def _unpickle_keys(data: np.ndarray) -> ConcreteArray:
    return stored_keys(data)


def stored_keys(data: np.ndarray) -> ConcreteArray:
    """Keys out of what is held in memory for them."""
    held = np.array(data, dtypes.storage(dtypes.key_dtype), order="C")
    return ConcreteArray(held, Aval(held.shape, dtypes.key_dtype), cpu())


def wrap(data: np.ndarray, weak_type: bool = False, device: Device | None = None) -> ConcreteArray:
    """An Array on `data`, which the caller hands over and never changes again."""
    aval = Aval(data.shape, data.dtype, weak_type)
    target = device or default_device()
    return ConcreteArray(target.backend.from_numpy(data, target), aval, target, committed=device is not None)


def _integer_dtype(value: int) -> np.dtype:
    for dtype in (dtypes.scalar_dtype(int), dtypes.int64, dtypes.uint64):
        limits = np.iinfo(dtype)
        if limits.min <= value <= limits.max:
            return dtype
    raise DTypeError(f"the integer {value} does not fit into 64 bits", fix="make it a float: float(n)")


_SCALARS = (bool, int, float, complex)


def scalar_aval(value: Any) -> Aval | None:
    """The weakly typed aval of a Python scalar, or None for anything else."""
    kind = type(value)
    if kind is int:
        return Aval((), _integer_dtype(value), True)
    return Aval((), dtypes.scalar_dtype(kind), kind is not bool) if kind in _SCALARS else None


def asarray(value: Any, what: str = "an argument") -> Array:
    """`value` as an Array: arrays as they are, NumPy data copied, Python scalars weakly typed.

    Raises:
        ArgumentTypeError: for anything else, and for masked arrays; `what` names the argument in the message.
        DTypeError: for NumPy data of a dtype nrx does not have (strings, objects, dates).
    """
    if isinstance(value, Array):
        return value
    aval = scalar_aval(value)
    if aval is not None:
        device = default_device()
        with np.errstate(over="ignore"):  # a Python number beyond the default float is inf
            data = np.asarray(value, aval.dtype)
        return ConcreteArray(device.backend.from_numpy(data, device), aval, device)
    if isinstance(value, np.ndarray | np.generic):
        return wrap(np.array(unmasked(value, what), dtypes.canonical_dtype(value.dtype), order="C"))
    for kind in _SCALARS:  # an enumeration of integers, a float with a unit
        if isinstance(value, kind):
            return asarray(kind(value), what)  # type: ignore[arg-type]
    if hasattr(value, "__nrx_array__"):
        return asarray(value.__nrx_array__(), what)
    fix = "pass an array or a number"
    if isinstance(value, list | tuple):
        fix = "pass nrx.numpy.asarray(...) of it"
    elif is_dataclass(value):
        fix = f"make it a pytree: nrx.tree_util.register_dataclass({type(value).__name__})"
    raise ArgumentTypeError(
        f"{what} must be an array or a number, got {type(value).__name__}: {_excerpt(value)}", fix=fix
    )


def unmasked(value: Any, what: str = "an argument") -> Any:
    """`value`, if it is not one of NumPy's masked arrays, whose mask would be lost."""
    is_subclass = isinstance(value, np.ndarray) and type(value) is not np.ndarray  # else numpy.ma is not imported
    if is_subclass and isinstance(value, np.ma.MaskedArray):
        raise ArgumentTypeError(
            f"{what} is a masked array of NumPy's, and its mask would be lost",
            fix="put numbers in the place of what is masked, x.filled(0), or pass data and mask as two arrays",
        )
    return value


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def put(value: Array, device: "Device | str | None") -> "ConcreteArray":
    """A concrete array on `device`, committed to it (None: leave it where it is)."""
    if not isinstance(value, ConcreteArray):
        raise ArgumentTypeError(f"expected a concrete array, got {type(value).__name__}")
    if device is None:
        return value
    return ConcreteArray(move(value, target := find_device(device)), value.aval, target, committed=True)


def move(value: ConcreteArray, device: Device) -> Any:
    """The raw data of `value` on `device`."""
    if value._device is device:
        return value._data
    if value._device.backend is device.backend:
        return device.backend.transfer(value._data, device)
    return device.backend.from_numpy(value._device.backend.to_numpy(value._data), device)
