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
from nrx.numpy.logic import as_condition
from nrx.numpy.logic import where as select_where
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
