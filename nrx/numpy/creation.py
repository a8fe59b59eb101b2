"""Making arrays: from data, filled with a value, counting, with a diagonal."""

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray, move, scalar_aval, wrap
from nrx.core.array import asarray as core_asarray
from nrx.core.aval import Aval
from nrx.core.backend import Device, find_device
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ArgumentTypeError, ConversionError, DTypeError, ShapeError
from nrx.core.shapes import canonical_shape, show
from nrx.core.trace import Tracer
from nrx.numpy.promotion import broadcast, promote_dtypes

DeviceLike = Device | str | None

# From data


def array(
    object: Any, dtype: Any = None, copy: bool | None = True, order: str | None = "K", ndmin: int = 0,
    *, device: DeviceLike = None,
) -> Array:  # fmt: skip
    """An array of data; later changes of NumPy data never show in it."""
    if copy is False and not isinstance(object, Array):
        raise ConversionError("array(copy=False) needs an nrx array: other data is copied", fix="pass copy=None")
    if order not in (None, "K", "C", "A"):
        raise ArgumentError(f"array: order {order!r} is not supported; elements are in row-major order", fix='use "C"')
    out = _from_data(object, None if dtype is None else canonical_dtype(dtype))
    if out.ndim < ndmin:
        out = lax.reshape(out, (1,) * (ndmin - out.ndim) + out.shape)
    return _placed(out, device)


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None, device: DeviceLike = None
) -> Array:
    """An array of data; an Array of the right dtype is returned as it is."""
    return array(a, dtype, copy, order, device=device)


def from_dlpack(x: Any, *, device: DeviceLike = None, copy: bool | None = None) -> Array:
    """An array with the data of another library's array, by the DLPack protocol."""
    if isinstance(x, Array):
        return _placed(x, device)
    platform, number = x.__dlpack_device__()
    if int(platform) == 1:
        return _placed(wrap(np.array(np.from_dlpack(x), order="C")), device)
    if int(platform) not in (2, 13):
        raise ArgumentError(
            f"from_dlpack: no support for DLPack device type {platform}", fix="copy it to the CPU first"
        )
    source = find_device(f"gpu:{number}")
    with source.backend.active(source):
        data = source.backend.xp.from_dlpack(x).copy()
    return _placed(ConcreteArray(data, Aval(data.shape, canonical_dtype(data.dtype)), source), device)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Array:
    """A 1-d array of the bytes of a buffer."""
    return wrap(np.frombuffer(buffer, canonical_dtype(dtype), count, offset).copy())


def _from_data(value: Any, dtype: np.dtype | None) -> Array:
    if isinstance(value, Array):
        return (
            value
            if dtype is None or (dtype == value.dtype and not value.weak_type)
            else lax.convert_element_type(value, dtype)
        )
    if isinstance(value, np.ndarray | np.generic):
        return wrap(np.array(value, canonical_dtype(value.dtype), order="C")) if dtype is None else _cast(value, dtype)
    if scalar_aval(value) is not None:
        return core_asarray(value) if dtype is None else _cast(np.asarray(value), dtype)
    if isinstance(value, list | tuple | range):
        return _from_nested(value, dtype)
    if hasattr(value, "__nrx_array__"):
        return _from_data(value.__nrx_array__(), dtype)
    return _from_foreign(value, dtype)


def _cast(data: Any, dtype: np.dtype) -> Array:
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
        typed = {(x.dtype, False) if hasattr(x, "dtype") else _scalar_type(x) for x in leaves}
        dtype = dtypes.promote_types(*((canonical_dtype(d), w) for d, w in typed))[0]
    arrays = [x for x in leaves if isinstance(x, Array)]
    if all(isinstance(x, ConcreteArray) and not x.committed and x.device.platform == "cpu" for x in arrays):
        return _cast(_numpy_of(_mapped(nested, lambda x: x.numpy() if isinstance(x, Array) else x), dtype), dtype)
    return _stacked(nested, dtype)


def _scalar_type(value: Any) -> tuple[np.dtype, bool]:
    aval = scalar_aval(value)
    assert aval is not None
    return aval.dtype, aval.weak_type


def _mapped(nested: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(nested, list | tuple | range):
        return [_mapped(x, function) for x in nested]
    return function(nested)


def _converted_leaves(nested: Sequence) -> list:
    """The same with Arrays for leaves of other libraries."""
    return _mapped(nested, lambda x: x if isinstance(x, Array) or scalar_aval(x) is not None else _from_data(x, None))


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
        return _cast(data, dtype)
    if not leaves:
        return wrap(data.astype(dtypes.scalar_dtype(float)))
    kind = max(kinds, key=(bool, int, float, complex).index)
    target = dtypes.scalar_dtype(kind)
    if kind is int:
        target = max((_scalar_type(x)[0] for x in (min(leaves), max(leaves))), key=lambda d: (d.itemsize, d.kind))
    return _cast(data, target)


def _stacked(nested: Any, dtype: np.dtype) -> Array:
    if not isinstance(nested, list | tuple | range):
        return _from_data(nested, dtype)
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
        return _from_data(from_dlpack(value), dtype)
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
    return _from_data(np.asarray(value), dtype)


def _is_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def _placed(x: Array, device: DeviceLike) -> Array:
    if device is None or isinstance(x, Tracer):
        return x
    assert isinstance(x, ConcreteArray)
    target = find_device(device)
    return ConcreteArray(move(x, target), x.aval, target, committed=True)


# Filled with a value


def full(shape: Any, fill_value: Any, dtype: Any = None, *, device: DeviceLike = None) -> Array:
    """An array filled with a value, which may be an array that broadcasts to `shape`."""
    shape = canonical_shape(shape)
    value = _from_data(fill_value, None if dtype is None else canonical_dtype(dtype))
    return _placed(lax.broadcast_in_dim(value, shape, range(len(shape) - value.ndim, len(shape))), device)


def zeros(shape: Any, dtype: Any = None, *, device: DeviceLike = None) -> Array:
    """An array of zeros."""
    return full(shape, 0, float if dtype is None else dtype, device=device)


def ones(shape: Any, dtype: Any = None, *, device: DeviceLike = None) -> Array:
    """An array of ones."""
    return full(shape, 1, float if dtype is None else dtype, device=device)


def empty(shape: Any, dtype: Any = None, *, device: DeviceLike = None) -> Array:
    """An array of zeros: there is no uninitialised memory here."""
    return zeros(shape, dtype, device=device)


def full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None, *, device: DeviceLike = None) -> Array:
    """An array like another filled with a value."""
    like = a.aval if isinstance(a, Array) else getattr(a, "aval", None) or _aval_of(a)
    weak = dtype is None and like.weak_type
    dtype = like.dtype if dtype is None else canonical_dtype(dtype)
    value = lax.convert_element_type(_from_data(fill_value, dtype), dtype, weak)
    shape = like.shape if shape is None else canonical_shape(shape)
    return _placed(lax.broadcast_in_dim(value, shape, range(len(shape) - value.ndim, len(shape))), device)


def _aval_of(value: Any) -> Aval:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return Aval(tuple(value.shape), canonical_dtype(value.dtype))
    return _from_data(value, None).aval


def zeros_like(a: Any, dtype: Any = None, shape: Any = None, *, device: DeviceLike = None) -> Array:
    """Zeros of another array's shape and dtype."""
    return full_like(a, 0, dtype, shape, device=device)


def ones_like(a: Any, dtype: Any = None, shape: Any = None, *, device: DeviceLike = None) -> Array:
    """Ones of another array's shape and dtype."""
    return full_like(a, 1, dtype, shape, device=device)


def empty_like(a: Any, dtype: Any = None, shape: Any = None, *, device: DeviceLike = None) -> Array:
    """Zeros of another array's shape and dtype: there is no uninitialised memory here."""
    return full_like(a, 0, dtype, shape, device=device)


def copy(a: Any, order: str | None = None) -> Array:
    """The array itself: arrays never change, so there is nothing to protect by a copy."""
    return asarray(a)


# Counting


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None, *, device: DeviceLike = None) -> Array:
    """Numbers from `start` up to, not including, `stop`, in steps of `step`; `arange(stop)` counts from 0."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    numbers = [_concrete("arange", x) for x in (start, stop, step)]
    if not numbers[2]:
        raise ArgumentError("arange: the step is 0")
    typed = [
        (x.dtype, getattr(x, "weak_type", False)) if hasattr(x, "dtype") else _scalar_type(x)
        for x in (start, stop, step)
    ]
    dtype = dtypes.promote_types(*typed)[0] if dtype is None else canonical_dtype(dtype)
    first, last, by = numbers
    count = (
        max(0, math.ceil((last - first) / by)) if any(isinstance(x, float) for x in numbers) else len(range(*numbers))
    )
    if not all(isinstance(x, int) for x in numbers) or not dtypes.is_integer(dtype):
        return _placed(_cast(first + by * np.arange(count, dtype=np.float64), dtype), device)
    out = lax.iota(dtype, count)
    out = out if by == 1 else lax.mul(out, by)
    return _placed(out if first == 0 else lax.add(out, first), device)


def _scalar(value: Any, dtype: np.dtype) -> Array:
    return _cast(np.asarray(value), dtype)


def _concrete(name: str, value: Any) -> Any:
    """A number known now, as a Python int or float."""
    if isinstance(value, Tracer):
        raise ArgumentTypeError(
            f"{name} needs numbers that are known: the length of the result depends on them",
            fix="make the argument static (static_argnums), or use x.shape",
        )
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, int | float) else float(value)


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: DeviceLike = None,
) -> Any:  # fmt: skip
    """`num` evenly spaced numbers from `start` to `stop`."""
    num = index(num)
    if num < 0:
        raise ArgumentError(f"linspace: num must not be negative, got {num}")
    low, high = broadcast(promote_dtypes("linspace", _arrayed(start), _arrayed(stop), inexact=True))
    steps = num - 1 if endpoint else num
    shape = (num, *low.shape)
    fraction = np.arange(num) / max(steps, 1)
    t = lax.broadcast_in_dim(_scalar(fraction, low.dtype), shape, (0,))
    rest = lax.broadcast_in_dim(_scalar(1 - fraction, low.dtype), shape, (0,))
    ahead = range(1, len(shape))
    points = lax.add(
        lax.mul(lax.broadcast_in_dim(low, shape, ahead), rest), lax.mul(lax.broadcast_in_dim(high, shape, ahead), t)
    )
    target = points.dtype if dtype is None else canonical_dtype(dtype)
    points = lax.floor(points) if dtypes.is_integer(target) else points
    axis = axis % len(shape)
    order = [*range(1, axis + 1), 0, *range(axis + 1, len(shape))]
    out = _placed(lax.convert_element_type(lax.transpose(points, order), target), device)
    if not retstep:
        return out
    step = lax.div(lax.sub(high, low), lax.full_like(low, steps if steps else math.nan))
    return out, step


def _arrayed(value: Any) -> Any:
    return value if isinstance(value, Array) or scalar_aval(value) is not None else _from_data(value, None)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Array:
    """`num` numbers evenly spaced on a logarithmic scale, from base**start to base**stop."""
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    out = lax.pow(*broadcast(promote_dtypes("logspace", base, exponents, inexact=True)))
    return out if dtype is None else lax.convert_element_type(out, dtype)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Array:
    """`num` numbers in geometric progression from `start` to `stop`, of one sign."""
    low, high = broadcast(promote_dtypes("geomspace", _arrayed(start), _arrayed(stop), inexact=True))
    sign = lax.sign(low)
    out = logspace(lax.log(lax.mul(low, sign)), lax.log(lax.mul(high, sign)), num, endpoint, math.e, axis=axis)
    out = lax.mul(*broadcast([out, lax.expand_dims(sign, [axis % out.ndim])]))
    return out if dtype is None else lax.convert_element_type(out, dtype)


def indices(dimensions: Sequence[int], dtype: Any = None, sparse: bool = False) -> Any:
    """For each axis of a grid, the position along it."""
    shape = canonical_shape(dimensions)
    dtype = dtypes.scalar_dtype(int) if dtype is None else canonical_dtype(dtype)
    if sparse:
        ones_elsewhere = [tuple(n if i == j else 1 for j in range(len(shape))) for i, n in enumerate(shape)]
        return tuple(lax.broadcasted_iota(dtype, s, i) for i, s in enumerate(ones_elsewhere))
    if not shape:
        return zeros((0,), dtype)
    grids = [lax.broadcasted_iota(dtype, shape, i) for i in range(len(shape))]
    return lax.concatenate([lax.expand_dims(grid, [0]) for grid in grids], 0)


def fromfunction(function: Callable, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """`function` of the positions in a grid, one array an axis."""
    shape = canonical_shape(shape)
    return function(*(lax.broadcasted_iota(canonical_dtype(dtype), shape, i) for i in range(len(shape))), **kwargs)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list[Array]:
    """Coordinates of a grid from coordinates along its axes."""
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing is 'xy' or 'ij', got {indexing!r}")
    arrays = [asarray(x) for x in xi]
    if any(x.ndim > 1 for x in arrays):
        raise ShapeError("meshgrid takes scalars and 1-d arrays", fix="ravel them")
    ndim = len(arrays)
    places = [1, 0, *range(2, ndim)] if indexing == "xy" and ndim > 1 else list(range(ndim))
    lengths = [0] * ndim
    for x, place in zip(arrays, places, strict=True):
        lengths[place] = x.size
    if sparse:
        targets = [tuple(x.size if i == p else 1 for i in range(ndim)) for x, p in zip(arrays, places, strict=True)]
        return [lax.reshape(x, shape) for x, shape in zip(arrays, targets, strict=True)]
    return [
        lax.broadcast_in_dim(lax.reshape(x, (x.size,)), tuple(lengths), (p,))
        for x, p in zip(arrays, places, strict=True)
    ]


# With a diagonal


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None, *, device: DeviceLike = None) -> Array:
    """A matrix with ones on a diagonal, zeros elsewhere."""
    mask = _compare_positions(lax.eq, (index(N), index(N if M is None else M)), k)
    return _placed(lax.convert_element_type(mask, float if dtype is None else dtype), device)


def identity(n: int, dtype: Any = None) -> Array:
    """The n × n identity matrix."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Array:
    """A matrix with ones on and below a diagonal, zeros above."""
    mask = _compare_positions(lax.ge, (index(N), index(N if M is None else M)), k)
    return lax.convert_element_type(mask, float if dtype is None else dtype)


def tril(m: Any, k: int = 0) -> Array:
    """The lower triangle of the last two axes: elements above the k-th diagonal are zero."""
    return _triangle("tril", m, k, below=True)


def triu(m: Any, k: int = 0) -> Array:
    """The upper triangle of the last two axes: elements below the k-th diagonal are zero."""
    return _triangle("triu", m, k, below=False)


def _compare_positions(compare: Callable, shape: tuple[int, ...], k: int) -> Array:
    """`compare(row + k, column)` for the last two axes of `shape`."""
    rows = lax.broadcasted_iota(dtypes.int32, shape, len(shape) - 2)
    columns = lax.broadcasted_iota(dtypes.int32, shape, len(shape) - 1)
    return compare(lax.add(rows, index(k)), columns)


def _triangle(name: str, m: Any, k: int, below: bool) -> Array:
    x = asarray(m)
    if x.ndim < 2:
        raise ShapeError(f"{name} needs an array of at least 2 axes, got shape {show(x.shape)}")
    mask = _compare_positions(lax.ge, x.shape, k if below else k - 1)
    zero = lax.full_like(x, 0)
    return lax.select(mask, x, zero) if below else lax.select(mask, zero, x)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The row and column indices of the lower triangle of an n × m matrix."""
    rows, columns = np.tril_indices(n, k, m)
    return _scalar(rows, dtypes.scalar_dtype(int)), _scalar(columns, dtypes.scalar_dtype(int))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """The row and column indices of the upper triangle of an n × m matrix."""
    rows, columns = np.triu_indices(n, k, m)
    return _scalar(rows, dtypes.scalar_dtype(int)), _scalar(columns, dtypes.scalar_dtype(int))


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The indices of the diagonal of an array of `ndim` axes of length n."""
    return (lax.iota(dtypes.scalar_dtype(int), n),) * ndim


def diag(v: Any, k: int = 0) -> Array:
    """The k-th diagonal of a matrix, or the matrix with a vector on it."""
    x = asarray(v)
    if x.ndim == 1:
        return diagflat(x, k)
    if x.ndim != 2:
        raise ShapeError(f"diag takes a vector or a matrix, got shape {show(x.shape)}", fix="use diagonal")
    return diagonal(x, k)


def diagflat(v: Any, k: int = 0) -> Array:
    """The matrix with the flattened elements on its k-th diagonal."""
    x = asarray(v)
    x, n = lax.reshape(x, (x.size,)), x.size + abs(k)
    before, after = (0, k) if k >= 0 else (-k, 0)
    columns = lax.pad(x, 0, [(after, before, 0)])
    rows = lax.broadcast_in_dim(columns, (n, n), (1,))
    return lax.select(_compare_positions(lax.eq, (n, n), k), rows, lax.full_like(rows, 0))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The elements on a diagonal of two axes, as a last axis in their place."""
    x = asarray(a)
    if x.ndim < 2:
        raise ShapeError(f"diagonal needs an array of at least 2 axes, got shape {show(x.shape)}")
    axis1, axis2 = (axis1 % x.ndim, axis2 % x.ndim)
    if axis1 == axis2:
        raise ShapeError("diagonal: axis1 and axis2 are the same axis")
    x = lax.transpose(x, [*(i for i in range(x.ndim) if i not in (axis1, axis2)), axis1, axis2])
    *batch, rows, columns = x.shape
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    # In the flattened matrix the diagonal stands at every (columns + 1)-th place.
    first = offset if offset >= 0 else -offset * columns
    flat = lax.reshape(x, (*batch, rows * columns))
    if not length:
        return lax.slice_in_dim(flat, 0, 0, axis=-1)
    return lax.slice_in_dim(flat, first, first + (length - 1) * (columns + 1) + 1, columns + 1, axis=-1)
