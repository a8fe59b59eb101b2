"""Making arrays: filled with a value, counting, spaced evenly."""

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, scalar_aval
from nrx.core.aval import Aval
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.shapes import canonical_shape, show
from nrx.core.trace import Tracer
from nrx.numpy.data import DeviceLike, asarray, cast, from_data, placed, scalar_type
from nrx.numpy.promotion import broadcast, promote_dtypes

# Filled with a value


def full(shape: Any, fill_value: Any, dtype: Any = None, *, device: DeviceLike = None) -> Array:
    """An array filled with a value, which may be an array that broadcasts to `shape`."""
    shape = canonical_shape(shape)
    value = from_data(fill_value, None if dtype is None else canonical_dtype(dtype))
    return placed(lax.broadcast_in_dim(value, shape, range(len(shape) - value.ndim, len(shape))), device)


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
    value = lax.convert_element_type(from_data(fill_value, dtype), dtype, weak)
    shape = like.shape if shape is None else canonical_shape(shape)
    return placed(lax.broadcast_in_dim(value, shape, range(len(shape) - value.ndim, len(shape))), device)


def _aval_of(value: Any) -> Aval:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return Aval(tuple(value.shape), canonical_dtype(value.dtype))
    return from_data(value, None).aval


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
        (x.dtype, getattr(x, "weak_type", False)) if hasattr(x, "dtype") else scalar_type(x)
        for x in (start, stop, step)
    ]
    dtype = dtypes.promote_types(*typed)[0] if dtype is None else canonical_dtype(dtype)
    first, last, by = numbers
    count = (
        max(0, math.ceil((last - first) / by)) if any(isinstance(x, float) for x in numbers) else len(range(*numbers))
    )
    if not all(isinstance(x, int) for x in numbers) or not dtypes.is_integer(dtype):
        return placed(cast(first + by * np.arange(count, dtype=np.float64), dtype), device)
    out = lax.iota(dtype, count)
    out = out if by == 1 else lax.mul(out, by)
    return placed(out if first == 0 else lax.add(out, first), device)


def _scalar(value: Any, dtype: np.dtype) -> Array:
    return cast(np.asarray(value), dtype)


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
    out = placed(lax.convert_element_type(lax.transpose(points, order), target), device)
    if not retstep:
        return out
    step = lax.div(lax.sub(high, low), lax.full_like(low, steps if steps else math.nan))
    return out, step


def _arrayed(value: Any) -> Any:
    return value if isinstance(value, Array) or scalar_aval(value) is not None else from_data(value, None)


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
