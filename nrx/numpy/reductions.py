"""Reductions: sums, products, extrema and truth over axes, and their cumulative forms.

Integers narrower than the default integer, and booleans, are summed and multiplied in the default integer (unsigned ones in
the unsigned one of its width), floats of 16 bits and less in float32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import canonical_axes, canonical_axis, show, size, without
from nrx.numpy.arithmetic import maximum, minimum
from nrx.numpy.logic import as_condition, where as select_where
from nrx.numpy.promotion import as_arrays, promote_dtypes
from nrx.ops.reductions import highest, lowest

# What reductions share


def operand(name: str, a: Any, where: Any, neutral: Any) -> Array:
    """The array to reduce, with `neutral` where `where` does not hold."""
    (x,) = as_arrays(name, a)
    if where is None:
        return x
    chosen = select_where(where, x, lax.full_like(x, neutral))
    return chosen


def kept(out: Array, shape: tuple, axes: tuple[int, ...], keepdims: bool) -> Array:
    """A result without the reduced axes, which stay with length 1 if `keepdims`; it is strongly typed."""
    if keepdims:
        out = lax.reshape(out, tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return lax.convert_element_type(out, out.dtype) if out.weak_type else out


def reject_out(name: str, out: Any) -> None:
    """Refuse NumPy's `out` argument."""
    if out is not None:
        raise ArgumentError(f"{name}: arrays are immutable, there is no `out`", fix="use the result")


def summed_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which elements of `dtype` are summed."""
    default = dtypes.scalar_dtype(int)
    if dtypes.is_bool(dtype):
        return default
    if not dtypes.is_integer(dtype) or dtype.itemsize >= default.itemsize:
        return dtype
    return np.dtype(f"uint{default.itemsize * 8}") if dtypes.is_unsigned(dtype) else default


# Sums and products


def sum(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
    where: Any = None, promote_integers: bool = True,
) -> Array:  # fmt: skip
    """The sum over axes."""
    return _accumulated("sum", lax.reduce_sum, lax.add, 0, a, axis, dtype, out, keepdims, initial, where)


def prod(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
    where: Any = None, promote_integers: bool = True,
) -> Array:  # fmt: skip
    """The product over axes."""
    return _accumulated("prod", lax.reduce_prod, lax.mul, 1, a, axis, dtype, out, keepdims, initial, where)


def _accumulated(
    name: str, reduce: Callable, join: Callable, neutral: int, a: Any, axis: Any, dtype: Any, out: Any,
    keepdims: bool, initial: Any, where: Any,
) -> Array:  # fmt: skip
    reject_out(name, out)
    (x,) = as_arrays(name, a)
    axes = canonical_axes(axis, x.ndim)
    target = summed_dtype(x.dtype) if dtype is None else canonical_dtype(dtype)
    x = operand(name, lax.convert_element_type(x, target), where, neutral)
    if dtypes.is_bool(target):
        total = (lax.reduce_or if neutral == 0 else lax.reduce_and)(x, axes)
    else:
        total = reduce(x, axes)
    if initial is not None:
        total = join(total, lax.broadcast_in_dim(lax.convert_element_type(initial, target), total.shape, ()))
    return kept(total, x.shape, axes, keepdims)


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """The sums of the elements so far along an axis; of the flat array if `axis` is None."""
    return _cumulated("cumsum", lax.cumsum, a, axis, dtype, out)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """The products of the elements so far along an axis; of the flat array if `axis` is None."""
    return _cumulated("cumprod", lax.cumprod, a, axis, dtype, out)


def _cumulated(name: str, cumulate: Callable, a: Any, axis: int | None, dtype: Any, out: Any) -> Array:
    reject_out(name, out)
    (x,) = as_arrays(name, a)
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    target = x.dtype if dtype is None else canonical_dtype(dtype)
    target = dtypes.scalar_dtype(int) if dtypes.is_bool(target) else target
    return cumulate(lax.convert_element_type(x, target), canonical_axis(axis, x.ndim))


# Extrema


def max(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """The largest element over axes; NaN if there is one."""
    return _extremum("max", lax.reduce_max, maximum, lowest, a, axis, out, keepdims, initial, where)


def min(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """The smallest element over axes; NaN if there is one."""
    return _extremum("min", lax.reduce_min, minimum, highest, a, axis, out, keepdims, initial, where)


amax, amin = max, min


def _extremum(
    name: str, reduce: Callable, join: Callable, neutral: Callable, a: Any, axis: Any, out: Any, keepdims: bool,
    initial: Any, where: Any,
) -> Array:  # fmt: skip
    reject_out(name, out)
    (x,) = as_arrays(name, a)
    axes = canonical_axes(axis, x.ndim)
    if where is not None and initial is None:
        raise ArgumentError(f"{name} with `where` needs `initial`, the result where nothing is left")
    if initial is None and 0 in [x.shape[i] for i in axes]:
        raise ShapeError(
            f"{name} over an empty axis, of shape {show(x.shape)}, has no value", fix=f"pass {name}(x, initial=...)"
        )
    found = reduce(operand(name, x, where, neutral(x.dtype)), axes)
    if initial is not None:
        found = join(found, initial)
    return kept(found, x.shape, axes, keepdims)


def ptp(a: Any, axis: Any = None, out: None = None, keepdims: bool = False) -> Array:
    """The largest minus the smallest element over axes."""
    reject_out("ptp", out)
    return lax.sub(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


def argmax(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Where the largest element is along an axis, or in the flat array: the first of equal ones, or the first NaN."""
    return _position("argmax", lax.argmax, a, axis, out, keepdims)


def argmin(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Where the smallest element is along an axis, or in the flat array: the first of equal ones, or the first NaN."""
    return _position("argmin", lax.argmin, a, axis, out, keepdims)


def _position(name: str, find: Callable, a: Any, axis: int | None, out: Any, keepdims: bool) -> Array:
    reject_out(name, out)
    (x,) = as_arrays(name, a)
    flat = lax.reshape(x, (x.size,)) if axis is None else x
    at = canonical_axis(0 if axis is None else axis, flat.ndim)
    if not flat.shape[at]:
        raise ShapeError(f"{name} over an empty axis, of shape {show(x.shape)}, has no value")
    axes = tuple(range(x.ndim)) if axis is None else (at,)
    return kept(find(flat, at, dtypes.scalar_dtype(int)), x.shape, axes, keepdims)


# Truth


def all(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Array:
    """Whether all elements over axes are true (not 0)."""
    return _truth("all", lax.reduce_and, True, a, axis, out, keepdims, where)


def any(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Array:
    """Whether any element over axes is true (not 0)."""
    return _truth("any", lax.reduce_or, False, a, axis, out, keepdims, where)


def _truth(
    name: str, reduce: Callable, neutral: bool, a: Any, axis: Any, out: Any, keepdims: bool, where: Any
) -> Array:
    reject_out(name, out)
    x = operand(name, as_condition(name, a), where, neutral)
    axes = canonical_axes(axis, x.ndim)
    return kept(reduce(x, axes), x.shape, axes, keepdims)


def count_nonzero(a: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """The number of elements over axes that are not 0."""
    return sum(as_condition("count_nonzero", a), axis, keepdims=keepdims)


# Statistics


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Array:
    """The mean over axes; integers are averaged in the default float, narrow floats in float32."""
    reject_out("mean", out)
    (x,) = as_arrays("mean", a)
    axes = canonical_axes(axis, x.ndim)
    target = dtypes.inexact_dtype(x.dtype) if dtype is None else canonical_dtype(dtype)
    total = sum(lax.convert_element_type(x, _computed(target)), axes, keepdims=keepdims, where=where)
    return lax.convert_element_type(lax.div(total, _count(x, axes, where, keepdims, total.aval)), target)


def _computed(dtype: np.dtype) -> np.dtype:
    """The dtype to compute a statistic of `dtype` in."""
    return dtypes.float32 if dtypes.is_narrow(dtype) else dtypes.inexact_dtype(dtype)


def _count(x: Array, axes: tuple[int, ...], where: Any, keepdims: bool, like: Any) -> Array:
    """The number of elements that are reduced, as an array like `like`."""
    if where is None:
        return lax.full_like(like, size(tuple(x.shape[i] for i in axes)))
    held = select_where(where, lax.full_like(x, 1, like.dtype), lax.full_like(x, 0, like.dtype))
    return sum(held, axes, keepdims=keepdims)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The weighted mean over axes."""
    if weights is None:
        (x,) = as_arrays("average", a)
        out = mean(x, axis, keepdims=keepdims)
        total = lax.full_like(out, size(tuple(x.shape[i] for i in canonical_axes(axis, x.ndim))))
        return (out, total) if returned else out
    x, w = promote_dtypes("average", a, weights, inexact=True)
    axes = canonical_axes(axis, x.ndim)
    if w.shape != x.shape:
        if axis is None or w.shape != tuple(x.shape[i] for i in axes):
            raise ShapeError(
                f"average: weights of shape {show(w.shape)} for an array of shape {show(x.shape)} over axis {axis}",
                fix="weights have the shape of the array, or that of the axes averaged over",
            )
        w = lax.broadcast_in_dim(w, x.shape, axes)
    total = sum(w, axes, keepdims=keepdims)
    out = lax.div(sum(lax.mul(x, w), axes, keepdims=keepdims), total)
    return (out, total) if returned else out


def var(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = None, correction: Any = None,
) -> Array:  # fmt: skip
    """The variance over axes: the mean square distance from the mean, the number of elements lowered by `ddof`."""
    reject_out("var", out)
    ddof = ddof if correction is None else correction
    (x,) = as_arrays("var", a)
    axes = canonical_axes(axis, x.ndim)
    target = dtypes.inexact_dtype(x.dtype) if dtype is None else canonical_dtype(dtype)
    target = dtypes.real_part_dtype(target)
    computed = _computed(dtypes.complex_dtype(target) if dtypes.is_complex(x.dtype) else target)
    x = lax.convert_element_type(x, computed)
    centre = mean(x, axes, keepdims=True, where=where)
    gap = lax.sub(x, lax.broadcast_in_dim(centre, x.shape, range(x.ndim)))
    square = lax.real(lax.mul(gap, lax.conj(gap))) if dtypes.is_complex(gap.dtype) else lax.mul(gap, gap)
    total = sum(square, axes, keepdims=keepdims, where=where)
    count = lax.sub(_count(square, axes, where, keepdims, total.aval), lax.full_like(total, ddof))
    return lax.convert_element_type(lax.div(total, count), target)


def std(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = None, correction: Any = None,
) -> Array:  # fmt: skip
    """The standard deviation over axes: the root of the variance."""
    (x,) = as_arrays("std", a)
    target = dtypes.real_part_dtype(dtypes.inexact_dtype(x.dtype) if dtype is None else canonical_dtype(dtype))
    variance = var(x, axis, _computed(target), out, ddof, keepdims, where=where, correction=correction)
    return lax.convert_element_type(lax.sqrt(variance), target)


def median(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Array:
    """The middle of the sorted elements over axes, or the mean of the two in the middle; NaN if there is one."""
    return quantile(a, 0.5, axis, out, overwrite_input, "midpoint", keepdims)


def percentile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False,
) -> Array:  # fmt: skip
    """The q-th percentiles over axes: `quantile(a, q / 100)`."""
    (q,) = promote_dtypes("percentile", q, inexact=True)
    return quantile(a, lax.div(q, 100), axis, out, overwrite_input, method, keepdims)


_METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


def quantile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False,
) -> Array:  # fmt: skip
    """The q-th quantiles over axes; NaN if an element is."""
    reject_out("quantile", out)
    if method not in _METHODS:
        raise ArgumentError(f"quantile: unknown method {method!r}", fix=f"use one of {', '.join(_METHODS)}")
    (x,) = promote_dtypes("quantile", a, inexact=True)
    (q,) = as_arrays("quantile", q)
    if q.ndim > 1:
        raise ShapeError(f"quantile: q must be a scalar or a vector, got shape {show(q.shape)}")
    q = lax.convert_element_type(q, _computed(x.dtype))
    axes = canonical_axes(axis, x.ndim)
    rest = without(range(x.ndim), axes)
    # The reduced axes as one, sorted, last.
    lines = lax.reshape(
        lax.transpose(x, (*rest, *axes)), (*(x.shape[i] for i in rest), size(tuple(x.shape[i] for i in axes)))
    )
    if not lines.shape[-1]:
        raise ShapeError(f"quantile over an empty axis, of shape {show(x.shape)}, has no value")
    values = _interpolated(lax.sort(lines), q, method)
    values = lax.transpose(values, (values.ndim - 1, *range(values.ndim - 1))) if q.ndim else lax.squeeze(values, [-1])
    if keepdims:
        values = lax.reshape(values, (*q.shape, *(1 if i in axes else n for i, n in enumerate(x.shape))))
    return lax.convert_element_type(values, x.dtype)


def _interpolated(lines: Array, q: Array, method: str) -> Array:
    """The quantiles of sorted lines along their last axis, which they replace."""
    count = lines.shape[-1]
    place = lax.mul(lax.reshape(q, (q.size,)), count - 1)
    low, high = lax.floor(place), lax.ceil(place)
    if method == "nearest":
        low = high = lax.round(place, 1)
    elif method in ("lower", "higher"):
        low = high = low if method == "lower" else high
    below, above = (_elements(lines, lax.convert_element_type(p, dtypes.int32)) for p in (low, high))
    below, above = (lax.convert_element_type(v, q.dtype) for v in (below, above))
    part = lax.full_like(place, 0.5) if method == "midpoint" else lax.sub(place, low)
    part = lax.broadcast_in_dim(part, below.shape, (below.ndim - 1,))
    exact = lax.broadcast_in_dim(lax.eq(low, high), below.shape, (below.ndim - 1,))
    between = lax.add(below, lax.mul(lax.sub(above, below), part))
    values = lax.select(exact, below, between)
    last = lax.broadcast_in_dim(lax.slice_in_dim(lines, count - 1, count, axis=-1), values.shape, range(values.ndim))
    last = lax.convert_element_type(last, values.dtype)
    return lax.select(lax.ne(last, last), last, values)  # NaN sorts last


def _elements(lines: Array, positions: Array) -> Array:
    """The elements of lines along their last axis at positions."""
    batch = lines.ndim - 1
    numbers = lax.GatherDimensionNumbers(tuple(range(batch)), (batch,), (batch,))
    indices = lax.reshape(positions, (*positions.shape, 1))
    return lax.gather(lines, indices, numbers, (*lines.shape[:-1], 1), mode="clip")
