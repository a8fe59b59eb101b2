"""Arrays of data: of NumPy and other libraries, of numbers, of nested lists. All data are copied."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray, move, scalar_aval, wrap
from nrx.core.array import asarray as as_operand
from nrx.core.aval import Aval
from nrx.core.backend import Device, find_device
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ArgumentTypeError, ConversionError, DTypeError, ShapeError
from nrx.core.shapes import show
from nrx.core.trace import Tracer

DeviceLike = Device | str | None

def array(
    object: Any, dtype: Any = None, copy: bool | None = True, order: str | None = "K", ndmin: int = 0,
    *, device: DeviceLike = None,
) -> Array:  # fmt: skip
    """An array of data; later changes of NumPy data never show in it."""
    if copy is False and not isinstance(object, Array):
        raise ConversionError("array(copy=False) needs an nrx array: other data is copied", fix="pass copy=None")
    if order not in (None, "K", "C", "A"):
        raise ArgumentError(f"array: order {order!r} is not supported; elements are in row-major order", fix='use "C"')
    out = from_data(object, None if dtype is None else canonical_dtype(dtype))
    if out.ndim < ndmin:
        out = lax.reshape(out, (1,) * (ndmin - out.ndim) + out.shape)
    return placed(out, device)


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None, device: DeviceLike = None
) -> Array:
    """An array of data; an Array of the right dtype is returned as it is."""
    return array(a, dtype, copy, order, device=device)


def from_dlpack(x: Any, *, device: DeviceLike = None, copy: bool | None = None) -> Array:
    """An array with the data of another library's array, by the DLPack protocol."""
    if isinstance(x, Array):
        return placed(x, device)
    platform, number = x.__dlpack_device__()
    if int(platform) == 1:
        return placed(wrap(np.array(np.from_dlpack(x), order="C")), device)
    if int(platform) not in (2, 13):
        raise ArgumentError(
            f"from_dlpack: no support for DLPack device type {platform}", fix="copy it to the CPU first"
        )
    source = find_device(f"gpu:{number}")
    with source.backend.active(source):
        data = source.backend.xp.from_dlpack(x).copy()
    return placed(ConcreteArray(data, Aval(data.shape, canonical_dtype(data.dtype)), source), device)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Array:
    """A 1-d array of the bytes of a buffer."""
    return wrap(np.frombuffer(buffer, canonical_dtype(dtype), count, offset).copy())


def from_data(value: Any, dtype: np.dtype | None) -> Array:
    if isinstance(value, Array):
        return (
            value
            if dtype is None or (dtype == value.dtype and not value.weak_type)
            else lax.convert_element_type(value, dtype)
        )
    if isinstance(value, np.ndarray | np.generic):
        return wrap(np.array(value, canonical_dtype(value.dtype), order="C")) if dtype is None else cast(value, dtype)
    if scalar_aval(value) is not None:
        return as_operand(value) if dtype is None else cast(np.asarray(value), dtype)
    if isinstance(value, list | tuple | range):
        return _from_nested(value, dtype)
    if hasattr(value, "__nrx_array__"):
        return from_data(value.__nrx_array__(), dtype)
    return _from_foreign(value, dtype)


def cast(data: Any, dtype: np.dtype) -> Array:
    """NumPy data converted by nrx's rules, which differ from NumPy's for what does not fit."""
    data = np.asarray(data)
    if data.dtype == dtype:
        return wrap(np.array(data, order="C"))
    source = canonical_dtype(data.dtype)
    if dtypes.is_integer(dtype) and dtypes.is_floating(source):
        return lax.convert_element_type(wrap(np.array(data, source, order="C")), dtype)
    with np.errstate(all="ignore"):
        real = (
            data.real if dtypes.is_complex(source) and not (dtypes.is_complex(dtype) or dtypes.is_bool(dtype)) else data
        )
        return wrap(np.array(real.astype(dtype), order="C"))


def _leaves(nested: Any) -> list[Any]:
    leaves = [nested]
    while any(isinstance(leaf, list | tuple | range) for leaf in leaves):
        leaves = [x for leaf in leaves for x in (leaf if isinstance(leaf, list | tuple | range) else (leaf,))]
    return leaves


def _from_nested(nested: Sequence, dtype: np.dtype | None) -> Array:
    """An array of nested lists of scalars and arrays."""
    leaves = _leaves(nested)
    kinds = set(map(type, leaves))
    if kinds <= {bool, int, float, complex}:
        return _from_scalars(nested, leaves, kinds, dtype)
    for leaf in leaves:
        if not isinstance(leaf, Array | np.ndarray | np.generic | bool | int | float | complex):
            return _from_nested(_converted_leaves(nested), dtype)
    if dtype is None:
        typed = {(x.dtype, False) if hasattr(x, "dtype") else scalar_type(x) for x in leaves}
        dtype = dtypes.promote_types(*((canonical_dtype(d), w) for d, w in typed))[0]
    arrays = [x for x in leaves if isinstance(x, Array)]
    if all(isinstance(x, ConcreteArray) and not x.committed and x.device.platform == "cpu" for x in arrays):
        return cast(_numpy_of(_mapped(nested, lambda x: x.numpy() if isinstance(x, Array) else x), dtype), dtype)
    return _stacked(nested, dtype)


def scalar_type(value: Any) -> tuple[np.dtype, bool]:
    aval = scalar_aval(value)
    assert aval is not None
    return aval.dtype, aval.weak_type


def _mapped(nested: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(nested, list | tuple | range):
        return [_mapped(x, function) for x in nested]
    return function(nested)


def _converted_leaves(nested: Sequence) -> list:
    """The same with Arrays for leaves of other libraries."""
    return _mapped(nested, lambda x: x if isinstance(x, Array) or scalar_aval(x) is not None else from_data(x, None))


def _numpy_of(nested: Any, dtype: np.dtype | None = None) -> np.ndarray:
    try:
        return np.array(nested, dtype)
    except ValueError as error:
        raise ShapeError(
            f"array: nested lists of different lengths ({error})", fix="pad the rows to one length"
        ) from None


def _from_scalars(nested: Sequence, leaves: list, kinds: set[type], dtype: np.dtype | None) -> Array:
    data = _numpy_of(nested)
    if data.dtype == object:
        raise DTypeError("array: an integer does not fit into 64 bits", fix="use floats")
    if dtype is not None:
        return cast(data, dtype)
    if not leaves:
        return wrap(data.astype(dtypes.scalar_dtype(float)))
    kind = max(kinds, key=(bool, int, float, complex).index)
    target = dtypes.scalar_dtype(kind)
    if kind is int:
        target = max((scalar_type(x)[0] for x in (min(leaves), max(leaves))), key=lambda d: (d.itemsize, d.kind))
    return cast(data, target)


def _stacked(nested: Any, dtype: np.dtype) -> Array:
    if not isinstance(nested, list | tuple | range):
        return from_data(nested, dtype)
    parts = [_stacked(x, dtype) for x in nested]
    if any(part.shape != parts[0].shape for part in parts):
        raise ShapeError(
            f"array: elements of different shapes, {', '.join(sorted({show(p.shape) for p in parts}))}",
            fix="pad them to one shape",
        )
    return lax.concatenate([lax.expand_dims(part, [0]) for part in parts], 0)


def _from_foreign(value: Any, dtype: np.dtype | None) -> Array:
    """An array of another library's data, through DLPack if it is on a GPU, else through NumPy."""
    if hasattr(value, "__dlpack_device__") and int(value.__dlpack_device__()[0]) != 1:
        return from_data(from_dlpack(value), dtype)
    if value is None or isinstance(value, str | bytes | dict | set):
        raise ArgumentTypeError(
            f"array: a {type(value).__name__} is not an array",
            fix="use frombuffer for bytes" if isinstance(value, bytes) else None,
        )
    if not (hasattr(value, "__array__") or hasattr(value, "__array_interface__") or _is_buffer(value)):
        raise ArgumentTypeError(
            f"array: {type(value).__name__} is neither a number, a list nor an array",
            fix="make a list of it first: array(list(x))",
        )
    return from_data(np.asarray(value), dtype)


def _is_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def placed(x: Array, device: DeviceLike) -> Array:
    if device is None or isinstance(x, Tracer):
        return x
    assert isinstance(x, ConcreteArray)
    target = find_device(device)
    return ConcreteArray(move(x, target), x.aval, target, committed=True)


