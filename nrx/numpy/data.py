"""Arrays of data: of NumPy and other libraries, of numbers, of nested lists. All data are copied."""

from collections.abc import Callable, Iterable, Sequence
from copy import copy as duplicate
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray, put, scalar_aval, unmasked, wrap
from nrx.core.array import asarray as as_operand
from nrx.core.aval import Aval
from nrx.core.backend import Device, find_device
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ArgumentTypeError, ConversionError, DTypeError, ShapeError
from nrx.core.shapes import show

DeviceLike = Device | str | None
_SCALARS = frozenset((bool, int, float, complex))


def array(
    object: Any, dtype: Any = None, copy: bool | None = True, order: str | None = "K", ndmin: int = 0,
    *, device: DeviceLike = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """An array of data; later changes of NumPy data never show in it.

    Args:
        object: an array of any library, a number, or nested lists of arrays and numbers.
        dtype: the dtype; by default that of the data, and for Python numbers the default dtypes.
        copy: False refuses data that would be copied.
        order: without effect: elements are in row-major order.
        ndmin: the least number of axes; new ones come first.
        device: where to put it.

    Returns:
        An array. A lone Python number becomes a weakly typed scalar. Python numbers are float32 and int32 by default,
        which NumPy makes float64 and int64; objects and strings are refused.

    Raises:
        ShapeError: lists of different lengths.
        ArgumentTypeError: what is not an array.

    >>> jnp.array([[1, 2], [3, 4]])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    >>> jnp.array([1.5, jnp.ones(())])
    Array([1.5, 1. ], dtype=float32)
    """
    if copy is False and not isinstance(object, Array):
        raise ConversionError("array(copy=False) needs an nrx array: other data is copied", fix="pass copy=None")
    if order not in (None, "K", "C", "A"):
        raise ArgumentError(f"array: order {order!r} is not supported; elements are in row-major order", fix='use "C"')
    out = from_data(object, asked_dtype(object, dtype))
    if out.ndim < ndmin:
        out = lax.reshape(out, (1,) * (ndmin - out.ndim) + out.shape)
    if copy and out is object:
        out = duplicate(out)
    return placed(out, device)


def asarray(
    a: Any,
    dtype: Any = None,
    order: str | None = None,
    *,
    copy: bool | None = None,
    device: DeviceLike = None,
    out_sharding: Any = None,
) -> Array:
    """An array of data; an Array of the right dtype is returned as it is.

    Args:
        a: as for array.
        dtype: as for array.
        order: without effect.
        copy: False refuses data that would be copied.
        device: where to put it.

    Returns:
        An array of the shape of the data; Python numbers become float32 and int32 by default (NumPy: float64 and
        int64).

    >>> jnp.asarray((1, 2.5))
    Array([1. , 2.5], dtype=float32)
    """
    return array(a, dtype, copy, order, device=device)


def from_dlpack(x: Any, *, device: DeviceLike = None, copy: bool | None = None) -> Array:
    """An array with the data of another library's array, by the DLPack protocol.

    Args:
        x: an array of a library that speaks DLPack (NumPy, PyTorch, CuPy, JAX, …).
        device: where to put it; by default where it is.
        copy: without effect: the data are copied, since others may change them.

    Returns:
        An array of the shape and dtype of x.

    Raises:
        ArgumentError: the data lie on a device that is neither a CPU nor an NVIDIA GPU.

    >>> import numpy
    >>> jnp.from_dlpack(numpy.arange(3.0))
    Array([0., 1., 2.], dtype=float64)
    """
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
    """A vector of the bytes of a buffer.

    Args:
        buffer: bytes, or an object with a buffer.
        dtype: the dtype of the elements; by default the default float.
        count: how many to read; -1 means all.
        offset: the byte to begin at.

    Returns:
        A vector of shape (count,), of that dtype.

    >>> jnp.frombuffer(b"abc", dtype="uint8")
    Array([97, 98, 99], dtype=uint8)
    """
    return wrap(np.frombuffer(buffer, canonical_dtype(dtype), count, offset).copy())


# How each kind of data becomes an Array; `dtype` None keeps its dtype, and gives Python numbers the default ones.


def from_data(value: Any, dtype: np.dtype | None) -> Array:
    """An array of data of any kind."""
    if isinstance(value, Array):
        return value if dtype is None else lax.convert_element_type(value, dtype)
    if isinstance(value, np.ndarray | np.generic):
        return cast(value, canonical_dtype(value.dtype) if dtype is None else dtype)
    if type(value) in _SCALARS:
        return as_operand(value) if dtype is None else cast(np.asarray(value), dtype)
    if _is_nest(value):
        return _from_nest(value, dtype)
    if hasattr(value, "__nrx_array__"):
        return from_data(value.__nrx_array__(), dtype)
    return _from_foreign(value, dtype)


def cast(data: np.ndarray | np.generic, dtype: np.dtype) -> Array:
    """A copy of NumPy data, converted as `nrx.numpy.astype` does."""
    source = canonical_dtype(data.dtype)
    same_kind = source.kind == dtype.kind != "V"  # where NumPy wraps and rounds as we do
    has_common = dtype not in dtypes.FP8 and source not in dtypes.FP8
    if same_kind or source == dtype or (has_common and dtypes.promote(source, dtype) == dtype):
        with np.errstate(all="ignore"):
            return wrap(np.array(unmasked(data), dtype, order="C"))
    return lax.convert_element_type(wrap(np.array(unmasked(data), source, order="C")), dtype)


def placed(x: Array, device: DeviceLike) -> Array:
    """The array on `device`, committed to it; None and traced arrays stay where they are."""
    return put(x, device) if isinstance(x, ConcreteArray) else x


def asked_dtype(value: Any, dtype: Any) -> np.dtype | None:
    """What `dtype` means for data: Python's `float` keeps the width of arrays, also of those in lists."""
    if dtype not in (float, int, complex):
        return None if dtype is None else canonical_dtype(dtype)
    held = {x.dtype for x in _leaves(value) if isinstance(getattr(x, "dtype", None), np.dtype)}
    return canonical_dtype(dtype, dtypes.promote(*map(canonical_dtype, held)) if held else None)


def beside(value: Any, *others: Any) -> Any:
    """Nested lists of Python numbers as an array that meets `others` as these numbers would; all else as it is."""
    if not _is_nest(value) or not all(type(x) in _SCALARS for x in _leaves(value)):
        return value
    out = from_data(value, None)
    if dtypes.is_bool(out.dtype):
        return out
    dtype, weak = dtypes.promote_types((out.dtype, True), *(typed(x) for x in others if not _is_nest(x)))
    if not dtypes.is_inexact(out.dtype):
        dtype, weak = out.dtype, True
    return wrap(np.asarray(from_data(value, dtype)), weak)  # known while tracing, too


def typed(value: Any) -> tuple[np.dtype, bool]:
    """The (dtype, weak type) of an array or Python number."""
    aval = value.aval if isinstance(value, Array) else scalar_aval(value)
    return (canonical_dtype(value.dtype), False) if aval is None else (aval.dtype, aval.weak_type)


def _is_nest(value: Any) -> bool:
    return isinstance(value, list | tuple | range)


def _from_nest(nest: Sequence, dtype: np.dtype | None) -> Array:
    """An array of nested lists."""
    leaves = _leaves(nest)
    kinds = set(map(type, leaves))
    if kinds <= _SCALARS:
        return _from_numbers(nest, leaves, kinds, dtype)
    known = Array, np.ndarray, np.generic
    if not all(isinstance(x, known) or type(x) in _SCALARS for x in leaves):
        return _from_nest(_mapped(nest, lambda x: x if type(x) in _SCALARS else from_data(x, None)), dtype)
    if dtype is None:
        dtype = dtypes.promote_types(*set(map(typed, leaves)))[0]
    arrays = [x for x in leaves if isinstance(x, Array)]
    is_plain = all(isinstance(x, ConcreteArray) and not x.committed and x.device.platform == "cpu" for x in arrays)
    if is_plain and dtype is not dtypes.key_dtype:
        plain = _mapped(nest, lambda x: x.numpy() if isinstance(x, Array) else unmasked(x))
        return cast(_numpy_of(plain, dtype), dtype)
    return _stacked(nest, dtype)


def _leaves(nest: Any) -> list[Any]:
    leaves = [nest]
    while any(map(_is_nest, leaves)):
        leaves = [x for leaf in leaves for x in (leaf if _is_nest(leaf) else (leaf,))]
    return leaves


def _mapped(nest: Any, function: Callable[[Any], Any]) -> Any:
    return [_mapped(x, function) for x in nest] if _is_nest(nest) else function(nest)


def _numpy_of(nest: Any, dtype: np.dtype | None = None) -> np.ndarray:
    try:
        return np.array(nest, dtype)
    except ValueError as error:
        raise ShapeError(f"array: lists of different lengths ({error})", fix="pad the rows to one length") from None


def _from_numbers(nest: Sequence, leaves: list, kinds: set[type], dtype: np.dtype | None) -> Array:
    """An array of nested lists of Python numbers."""
    data = _numpy_of(nest)
    if data.dtype == object:
        raise DTypeError("array: an integer does not fit into 64 bits", fix="use floats")
    if dtype is None:
        kind = max(kinds, key=(bool, int, float, complex).index) if leaves else float
        dtype = dtypes.scalar_dtype(kind)
        if kind is int and data.dtype != dtype:  # a wider one, where an integer needs it
            dtype = dtypes.promote(dtype, *(typed(x)[0] for x in (data.min().item(), data.max().item())))
    return cast(data, dtype) if leaves else wrap(data.astype(dtype))


def _stacked(nest: Any, dtype: np.dtype) -> Array:
    """An array of nested lists of arrays that NumPy cannot read: traced ones, and those on a GPU."""
    if not _is_nest(nest):
        return from_data(nest, dtype)
    parts = [_stacked(x, dtype) for x in nest]
    shapes = {show(part.shape) for part in parts}
    if len(shapes) > 1:
        raise ShapeError(f"array: elements of shapes {' and '.join(sorted(shapes))}", fix="pad them to one shape")
    return lax.concatenate([lax.expand_dims(part, [0]) for part in parts], 0)


def _from_foreign(value: Any, dtype: np.dtype | None) -> Array:
    """An array of another library's data, through DLPack if it is on a GPU, else through NumPy."""
    if hasattr(value, "__dlpack_device__") and int(value.__dlpack_device__()[0]) != 1:
        return from_data(from_dlpack(value), dtype)
    if not (hasattr(value, "__array__") or hasattr(value, "__array_interface__") or _is_buffer(value)):
        raise ArgumentTypeError(
            f"array: {type(value).__name__} is neither a number, a list nor an array",
            fix="make a list of it first: array(list(x))" if isinstance(value, Iterable) else None,
        )
    return from_data(np.asarray(value), dtype)


def _is_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return not isinstance(value, bytes)
