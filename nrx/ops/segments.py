"""Reductions of the parts of an array that an array of numbers names, under the names of `jax.ops`."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, DTypeError, ShapeError
from nrx.core.shapes import show
from nrx.core.trace import Tracer
from nrx.ops.dimension_numbers import GatherScatterMode, ScatterDimensionNumbers
from nrx.ops.reductions import reduce_max
from nrx.ops.scatter import scatter_add, scatter_max, scatter_min, scatter_mul
from nrx.ops.structural import expand_dims, full

Mode = str | GatherScatterMode | None


def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Mode = None,
    out_sharding: Any = None,
) -> Array:
    """Sums of the entries of an array that belong together.

    Args:
        data: an array of shape (n, ...).
        segment_ids: integers of shape (n,): which segment each entry belongs to. More axes go with as many of `data`.
        num_segments: how many there are; by default as many as the largest number needs, which under `jit` is not
            known.
        indices_are_sorted, unique_indices: promises about `segment_ids`.
        bucket_size: accepted for JAX's sake; the result is as exact without.
        mode: what becomes of numbers out of range; "drop" by default.

    Returns:
        An array of shape (num_segments, ...) with the dtype of `data`; 0 for segments without entries.

    Raises:
        ShapeError: `segment_ids` do not fit `data`.
        DTypeError: `segment_ids` are no integers.
        ArgumentError: `num_segments` is negative, or left out while `segment_ids` are traced.

    >>> import nrx
    >>> nrx.ops.segment_sum(nrx.numpy.arange(5.0), nrx.numpy.array([0, 0, 2, 2, 2]))
    Array([1., 0., 9.], dtype=float32)
    """
    return _reduced(
        "segment_sum", scatter_add, lambda _: 0, data, segment_ids, num_segments, indices_are_sorted, unique_indices,
        bucket_size, mode,
    )  # fmt: skip


def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Mode = None,
    out_sharding: Any = None,
) -> Array:
    """Products of the entries of an array that belong together; 1 for segments without entries.

    Arguments, result and errors as of `segment_sum`.

    The result has shape `(num_segments, *data.shape[1:])` and the dtype of `data`.

    >>> import nrx
    >>> nrx.ops.segment_prod(nrx.numpy.arange(5.0), nrx.numpy.array([0, 0, 2, 2, 2]))
    Array([ 0.,  1., 24.], dtype=float32)
    """
    return _reduced(
        "segment_prod", scatter_mul, lambda _: 1, data, segment_ids, num_segments, indices_are_sorted, unique_indices,
        bucket_size, mode,
    )  # fmt: skip


def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Mode = None,
    out_sharding: Any = None,
) -> Array:
    """The largest of the entries of an array that belong together; the smallest number for segments without entries.

    Arguments, result and errors as of `segment_sum`.

    The result has shape `(num_segments, *data.shape[1:])` and the dtype of `data`.

    >>> import nrx
    >>> nrx.ops.segment_max(nrx.numpy.arange(5.0), nrx.numpy.array([0, 0, 2, 2, 2]))
    Array([  1., -inf,   4.], dtype=float32)
    """
    return _reduced(
        "segment_max", scatter_max, lambda dtype: _limits(dtype)[0], data, segment_ids, num_segments,
        indices_are_sorted, unique_indices, bucket_size, mode,
    )  # fmt: skip


def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Mode = None,
    out_sharding: Any = None,
) -> Array:
    """The smallest of the entries of an array that belong together; the largest number for segments without entries.

    Arguments, result and errors as of `segment_sum`.

    The result has shape `(num_segments, *data.shape[1:])` and the dtype of `data`.

    >>> import nrx
    >>> nrx.ops.segment_min(nrx.numpy.arange(5.0), nrx.numpy.array([0, 0, 2, 2, 2]))
    Array([ 0., inf,  2.], dtype=float32)
    """
    return _reduced(
        "segment_min", scatter_min, lambda dtype: _limits(dtype)[1], data, segment_ids, num_segments,
        indices_are_sorted, unique_indices, bucket_size, mode,
    )  # fmt: skip


def _limits(dtype: np.dtype) -> tuple[Any, Any]:
    """The least and the greatest value."""
    if dtypes.is_bool(dtype):
        return False, True
    if dtypes.is_integer(dtype):
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    return -np.inf, np.inf


def _reduced(
    name: str, scatter: Callable[..., Array], initial: Callable[[np.dtype], Any], data: Any, segment_ids: Any,
    num_segments: int | None, indices_are_sorted: bool, unique_indices: bool, bucket_size: int | None, mode: Mode,
) -> Array:  # fmt: skip
    data, ids = asarray(data, f"{name}: data"), asarray(segment_ids, f"{name}: segment_ids")
    if not dtypes.is_integer(ids.dtype):
        raise DTypeError(f"{name}: segment_ids must be integers, got {ids.aval}", fix="convert them: x.astype(int)")
    if ids.shape != data.shape[: ids.ndim]:
        raise ShapeError(
            f"{name}: segment_ids of shape {show(ids.shape)} do not fit data of shape {show(data.shape)}",
            fix="give a number for each entry of the leading axis",
        )
    if bucket_size is not None and bucket_size <= 0:
        raise ArgumentError(f"{name}: bucket_size must be positive, got {bucket_size}", fix="leave it out")
    count = _most(name, ids) if num_segments is None else operator.index(num_segments)
    if count < 0:
        raise ArgumentError(f"{name}: num_segments must not be negative, got {count}", fix="pass how many there are")
    empty = full((count, *data.shape[ids.ndim :]), initial(data.dtype), data.dtype)
    window = range(ids.ndim, data.ndim)
    numbers = ScatterDimensionNumbers(tuple(window), (0,), (0,))
    return scatter(
        empty, expand_dims(ids, (ids.ndim,)), data, numbers, indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices, mode=GatherScatterMode.FILL_OR_DROP if mode is None else mode,
    )  # fmt: skip


def _most(name: str, ids: Array) -> int:
    """How many segments the numbers need."""
    if isinstance(ids, Tracer):
        raise ArgumentError(
            f"{name}: num_segments is needed, since segment_ids are traced and their values not known",
            fix=f"{name}(data, segment_ids, num_segments=n)",
        )
    return max(int(reduce_max(ids, range(ids.ndim))) + 1, 0) if ids.size else 0
