"""Making arrays: filled with a value, counting, spaced evenly."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray, move, scalar_aval
from nrx.core.aval import Aval
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.shapes import as_int, canonical_axis, canonical_shape
from nrx.core.trace import Tracer
from nrx.numpy.data import DeviceLike, array, asarray, asked_dtype, beside, cast, from_data, placed, typed
from nrx.numpy.promotion import broadcast, promote_dtypes

# Filled with a value


def full(
    shape: Any, fill_value: Any, dtype: Any = None, *, device: DeviceLike = None, out_sharding: Any = None
) -> Array:
    """An array filled with a value, which may be an array that broadcasts to `shape`.

    Args:
        shape: an int or a tuple of ints.
        fill_value: a number, or an array that broadcasts to the shape.
        dtype: the dtype; by default that of the value.
        device: where to put it.

    Returns:
        An array.

    >>> jnp.full((2, 2), 7)[0]
    Array([7, 7], dtype=int32, weak_type=True)
    """
    shape = canonical_shape(shape)
    value = _filling(fill_value, asked_dtype(fill_value, dtype))
    return placed(lax.broadcast_in_dim(value, shape, range(len(shape) - value.ndim, len(shape))), device)


def _filling(value: Any, dtype: np.dtype | None) -> Array:
    """What an array of a dtype is filled with; a number is each word of a key."""
    if dtype is dtypes.key_dtype and isinstance(value, int):
        return lax.bitcast_convert_type(lax.full((2,), value, dtypes.uint32), dtype)
    return from_data(value, dtype)


def zeros(shape: Any, dtype: Any = None, *, device: DeviceLike = None, out_sharding: Any = None) -> Array:
    """An array of zeros.

    Args:
        shape: an int or a tuple of ints.
        dtype: the dtype; by default the default float.
        device: where to put it; by default on the default device.

    Returns:
        An array.

    >>> jnp.zeros((2, 3))
    Array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    return full(shape, 0, float if dtype is None else dtype, device=device)


def ones(shape: Any, dtype: Any = None, *, device: DeviceLike = None, out_sharding: Any = None) -> Array:
    """An array of ones.

    Args:
        shape: an int or a tuple of ints.
        dtype: the dtype; by default the default float.
        device: where to put it; by default on the default device.

    Returns:
        An array.

    >>> jnp.ones(3, dtype=jnp.int32)
    Array([1, 1, 1], dtype=int32)
    """
    return full(shape, 1, float if dtype is None else dtype, device=device)


def empty(shape: Any, dtype: Any = None, *, device: DeviceLike = None, out_sharding: Any = None) -> Array:
    """An array of zeros: there is no uninitialised memory here.

    Args:
        shape: an int or a tuple of ints.
        dtype: the dtype; by default the default float.
        device: where to put it; by default on the default device.

    Returns:
        An array.

    >>> jnp.empty(2)
    Array([0., 0.], dtype=float32)
    """
    return zeros(shape, dtype, device=device)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    shape: Any = None,
    *,
    device: DeviceLike = None,
    out_sharding: Any = None,
) -> Array:
    """An array like another filled with a value.

    Args:
        a: an array, or something with a shape and a dtype.
        fill_value: a number, or an array that broadcasts to the shape.
        dtype: another dtype.
        shape: another shape.
        device: where to put it; by default where `a` is.

    Returns:
        An array.

    >>> jnp.full_like(jnp.arange(3), 7)
    Array([7, 7, 7], dtype=int32)
    """
    like = _aval_of(a)
    weak = dtype is None and like.weak_type
    dtype = like.dtype if dtype is None else canonical_dtype(dtype, like.dtype)
    value = lax.convert_element_type(_filling(fill_value, dtype), dtype, weak)
    if isinstance(a, ConcreteArray) and isinstance(value, ConcreteArray):
        value = ConcreteArray(move(value, a._device), value.aval, a._device, a._committed)
    shape = like.shape if shape is None else canonical_shape(shape)
    return placed(lax.broadcast_in_dim(value, shape, range(len(shape) - value.ndim, len(shape))), device)


def _aval_of(value: Any) -> Aval:
    """The aval of data, or of what only describes an array by its shape and dtype."""
    if hasattr(value, "aval"):
        return value.aval
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return Aval(tuple(value.shape), canonical_dtype(value.dtype))
    return from_data(value, None).aval


def zeros_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: DeviceLike = None, out_sharding: Any = None
) -> Array:
    """Zeros of another array's shape and dtype.

    Args:
        a: an array, or something with a shape and a dtype.
        dtype: another dtype.
        shape: another shape.
        device: where to put it; by default where `a` is.

    Returns:
        An array.

    >>> jnp.zeros_like(jnp.arange(3))
    Array([0, 0, 0], dtype=int32)
    """
    return full_like(a, 0, dtype, shape, device=device)


def ones_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: DeviceLike = None, out_sharding: Any = None
) -> Array:
    """Ones of another array's shape and dtype.

    Args:
        a: an array, or something with a shape and a dtype.
        dtype: another dtype.
        shape: another shape.
        device: where to put it; by default where `a` is.

    Returns:
        An array.

    >>> jnp.ones_like(jnp.arange(3.0))
    Array([1., 1., 1.], dtype=float32)
    """
    return full_like(a, 1, dtype, shape, device=device)


def empty_like(prototype: Any, dtype: Any = None, shape: Any = None, *, device: DeviceLike = None) -> Array:
    """Zeros of another array's shape and dtype: there is no uninitialised memory here.

    Args:
        prototype: an array, or something with a shape and a dtype.
        dtype: another dtype.
        shape: another shape.
        device: where to put it; by default where `prototype` is.

    Returns:
        An array.

    >>> jnp.empty_like(jnp.arange(3.0))
    Array([0., 0., 0.], dtype=float32)
    """
    return full_like(prototype, 0, dtype, shape, device=device)


def copy(a: Any, order: str | None = None) -> Array:
    """An array of the same values, which stays when `a` is donated or deleted.

    Args:
        a: as for array.
        order: without effect.

    Returns:
        An array of the shape and dtype of a; arrays never change, so the data are shared as long as nobody overwrites
        them.

    >>> jnp.copy(jnp.arange(3))
    Array([0, 1, 2], dtype=int32)
    """
    return array(a)


# Counting


def arange(
    start: Any,
    stop: Any = None,
    step: Any = None,
    dtype: Any = None,
    *,
    device: DeviceLike = None,
    out_sharding: Any = None,
) -> Array:
    """Numbers from `start` up to, not including, `stop`, in steps of `step`; `arange(stop)` counts from 0.

    Args:
        start: the first number, or, alone, the end.
        stop: the end, which is left out.
        step: the distance of the numbers.
        dtype: the dtype; by default that of the arguments.
        device: where to put it.

    Returns:
        A vector.

    Raises:
        ArgumentTypeError: a traced argument: the length would not be known.

    >>> jnp.arange(5)
    Array([0, 1, 2, 3, 4], dtype=int32)
    >>> jnp.arange(1, 2, 0.25)
    Array([1.  , 1.25, 1.5 , 1.75], dtype=float32)
    """
    if stop is None:
        start, stop = 0, start
    bounds = start, stop, 1 if step is None else step
    first, last, by = (_known("arange", x) for x in bounds)
    if not by:
        raise ArgumentError("arange: the step is 0", fix="use 1, or -1 to go backwards")
    common = dtypes.promote_types(*map(typed, bounds))[0]
    dtype = common if dtype is None else canonical_dtype(dtype, common)
    if isinstance(first + last + by, float) or not dtypes.is_integer(dtype):
        count = max(0, math.ceil((last - first) / by))
        return placed(cast(first + by * np.arange(count, dtype=np.float64), dtype), device)
    numbers = lax.iota(dtype, len(range(first, last, by)))
    numbers = numbers if by == 1 else lax.mul(numbers, by)
    return placed(numbers if first == 0 else lax.add(numbers, first), device)


def _known(name: str, value: Any) -> Any:
    """A number that is not traced, as a Python int or float."""
    if isinstance(value, Tracer):
        raise ArgumentTypeError(
            f"{name} needs numbers that are known: the length of the result depends on them",
            fix="make the argument static (static_argnums), or use x.shape",
        )
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, int | float):
        raise ArgumentTypeError(f"{name} takes real numbers, got {value!r}")
    return value


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: DeviceLike = None,
) -> Any:  # fmt: skip
    """`num` evenly spaced numbers from `start` to `stop`.

    Args:
        start: a number or an array.
        stop: a number or an array that broadcasts with start.
        num: how many.
        endpoint: whether `stop` is the last of them.
        retstep: whether to return the distance, too.
        dtype: the dtype; by default that of the arguments, in floating point.
        axis: where the new axis stands.
        device: where to put it.

    Returns:
        An array, or a pair of arrays.

    >>> jnp.linspace(0, 1, 5)
    Array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    low, high = _ends("linspace", start, stop, num)
    target = low.dtype if dtype is None else canonical_dtype(dtype, low.dtype)
    out = placed(_spaced(np.linspace, _between, (start, stop), (low, high), num, endpoint, target, axis), device)
    if not retstep:
        return out
    steps = num - 1 if endpoint else num
    return out, lax.div(lax.sub(high, low), lax.full_like(low, steps if steps else math.nan))


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Array:
    """`num` numbers from base**start to base**stop whose exponents are evenly spaced.

    Args:
        start: the first exponent, a number or an array.
        stop: the last exponent.
        num: how many.
        endpoint: whether `stop` is the last of them.
        base: the base.
        dtype: the dtype; by default that of the arguments, in floating point.
        axis: where the new axis stands.

    Returns:
        An array.

    >>> jnp.logspace(0, 2, 3).round(3)
    Array([  1.,  10., 100.], dtype=float32)
    """
    low, high = _ends("logspace", start, stop, num)
    target = low.dtype if dtype is None else canonical_dtype(dtype, low.dtype)

    def powers(low: Array, high: Array, num: int, endpoint: bool) -> Array:
        return lax.pow(*broadcast(promote_dtypes("logspace", base, _between(low, high, num, endpoint), inexact=True)))

    known = partial(np.logspace, base=base)
    return _spaced(known, powers, (start, stop, base), (low, high), num, endpoint, target, axis)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Array:
    """`num` numbers in geometric progression from `start` to `stop`, which have the same sign.

    Args:
        start: the first number, or an array; not 0.
        stop: the last number.
        num: how many.
        endpoint: whether `stop` is the last of them.
        dtype: the dtype; by default that of the arguments, in floating point.
        axis: where the new axis stands.

    Returns:
        An array.

    >>> jnp.geomspace(1, 100, 3).round(3)
    Array([  1.,  10., 100.], dtype=float32)
    """
    low, high = _ends("geomspace", start, stop, num)
    target = low.dtype if dtype is None else canonical_dtype(dtype, low.dtype)

    def progression(low: Array, high: Array, num: int, endpoint: bool) -> Array:
        sign = lax.sign(low)
        exponents = _between(lax.log(lax.mul(low, sign)), lax.log(lax.mul(high, sign)), num, endpoint)
        return lax.mul(*broadcast([lax.exp(exponents), sign]))

    return _spaced(np.geomspace, progression, (start, stop), (low, high), num, endpoint, target, axis)


def _ends(name: str, start: Any, stop: Any, num: int) -> list[Array]:
    """The ends of a progression as arrays of one floating dtype and shape."""
    if as_int(num, f"{name}: num") < 0:
        raise ArgumentError(f"{name}: num must not be negative, got {num}")
    ends = [x if scalar_aval(x) is not None else from_data(beside(x, start, stop), None) for x in (start, stop)]
    return broadcast(promote_dtypes(name, *ends, inexact=True))


def _spaced(
    known: Callable, traced: Callable, given: tuple, ends: tuple[Array, Array], num: int, endpoint: bool,
    dtype: np.dtype, axis: int,
) -> Array:  # fmt: skip
    """A progression, computed by NumPy in float64 if what was given are plain numbers, and by `traced` otherwise."""
    if all(scalar_aval(x) is not None for x in given):
        with np.errstate(all="ignore"):
            values = np.asarray(known(given[0], given[1], num=num, endpoint=endpoint))
            return cast(np.floor(values) if dtypes.is_integer(dtype) else values, dtype)
    points = traced(*ends, index(num), endpoint)
    points = lax.floor(points) if dtypes.is_integer(dtype) else points
    at = canonical_axis(axis, points.ndim)
    return lax.convert_element_type(lax.transpose(points, [*range(1, at + 1), 0, *range(at + 1, points.ndim)]), dtype)


def _between(low: Array, high: Array, num: int, endpoint: bool) -> Array:
    """Evenly spaced numbers from `low` to `high` along a new first axis."""
    share = np.arange(num) / max(num - 1 if endpoint else num, 1)
    shape = (num, *low.shape)
    parts = [lax.broadcast_in_dim(cast(part, low.dtype), shape, (0,)) for part in (1 - share, share)]
    ends = [lax.broadcast_in_dim(end, shape, range(1, len(shape))) for end in (low, high)]
    return lax.add(*map(lax.mul, ends, parts))


def indices(dimensions: Sequence[int], dtype: Any = None, sparse: bool = False) -> Any:
    """For each axis of a grid, the position along it.

    Args:
        dimensions: the shape of the grid.
        dtype: the dtype; by default the default integer.
        sparse: whether to return a tuple of arrays that broadcast to the shape of the grid.

    Returns:
        An array of one axis more than the grid, or a tuple.

    >>> rows, columns = jnp.indices((2, 2))
    >>> rows
    Array([[0, 0],
           [1, 1]], dtype=int32)
    """
    shape = canonical_shape(dimensions)
    dtype = dtypes.scalar_dtype(int) if dtype is None else canonical_dtype(dtype)
    if sparse:
        return tuple(
            lax.reshape(lax.iota(dtype, n), tuple(n if i == j else 1 for j in range(len(shape))))
            for i, n in enumerate(shape)
        )
    if not shape:
        return zeros((0,), dtype)
    grids = [lax.broadcasted_iota(dtype, shape, i) for i in range(len(shape))]
    return lax.concatenate([lax.expand_dims(grid, [0]) for grid in grids], 0)


def fromfunction(function: Callable, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """`function` of the positions in a grid, one array an axis.

    Args:
        function: called with one array of the shape for each axis.
        shape: the shape of the grid.
        dtype: the dtype of the positions.
        kwargs: passed on.

    Returns:
        What the function returns.

    >>> jnp.fromfunction(lambda i, j: 10 * i + j, (2, 3), dtype=jnp.int32)
    Array([[ 0,  1,  2],
           [10, 11, 12]], dtype=int32)
    """
    shape = canonical_shape(shape)
    return function(*(lax.broadcasted_iota(canonical_dtype(dtype), shape, i) for i in range(len(shape))), **kwargs)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list[Array]:
    """Coordinates of a grid from coordinates along its axes.

    Args:
        xi: vectors.
        copy: without effect.
        sparse: whether the arrays only broadcast to the shape of the grid.
        indexing: "xy": the first vector runs along axis 1, the second along axis 0; "ij": each along its own.

    Returns:
        A list of arrays, one a vector, each of its dtype.

    Raises:
        ArgumentError: another `indexing`.
        ShapeError: an array of more than one axis.

    >>> jnp.meshgrid(jnp.arange(3), jnp.arange(2))
    [Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32), Array([[0, 0, 0],
           [1, 1, 1]], dtype=int32)]
    """
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
