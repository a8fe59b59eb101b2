"""Reductions: sums, products, extrema and truth over axes, and sums and products so far along an axis.

Integers narrower than the default integer, and booleans, are summed and multiplied in the default integer (unsigned
ones in the unsigned integer of that width), floats of 16 bits and less in float32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import Shape, canonical_axes, canonical_axis, show
from nrx.numpy.arithmetic import maximum, minimum
from nrx.numpy.logic import as_condition
from nrx.numpy.logic import where as choose
from nrx.numpy.planning import Planned
from nrx.ops.common import as_arrays
from nrx.ops.reductions import highest, lowest

# What reductions share


def reject_out(name: str, out: Any) -> None:
    """Refuse NumPy's `out` argument."""
    if out is not None:
        raise ArgumentError(f"{name}: arrays are immutable, there is no `out`", fix="use the result")


def masked(x: Array, where: Any, neutral: Any) -> Array:
    """The array with `neutral` where `where` does not hold."""
    return x if where is None else choose(asarray(where, "the condition where="), x, lax.full_like(x, neutral))


def finished(out: Array, shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Array:
    """A result whose reduced axes, if `keepdims`, stay with length 1; it is strongly typed."""
    if keepdims:
        out = lax.reshape(out, tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return lax.convert_element_type(out, out.dtype)


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
    """The sum over axes.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: the dtype of the result; by default that of a, or, for booleans and narrower integers, the default
            integer.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        initial: a number to add.
        where: a condition that broadcasts with a; only elements where it holds count.
        promote_integers: whether narrow integers are widened where dtype is None.

    Returns:
        An array without the reduced axes. Integers wrap on overflow.

    >>> x = jnp.arange(6).reshape(2, 3)
    >>> jnp.sum(x), jnp.sum(x, axis=1)
    (Array(15, dtype=int32), Array([ 3, 12], dtype=int32))
    """
    reject_out("sum", out)
    return _sum(a, initial, where, axis=axis, dtype=dtype, keepdims=keepdims, widen=promote_integers)


def prod(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
    where: Any = None, promote_integers: bool = True,
) -> Array:  # fmt: skip
    """The product over axes.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: the dtype of the result; by default that of a, or, for booleans and narrower integers, the default
            integer.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        initial: a number to multiply with.
        where: a condition that broadcasts with a; only elements where it holds count.
        promote_integers: whether narrow integers are widened where dtype is None.

    Returns:
        An array without the reduced axes. Integers wrap on overflow.

    >>> jnp.prod(jnp.array([[1, 2], [3, 4]]), axis=0)
    Array([3, 8], dtype=int32)
    """
    reject_out("prod", out)
    return _prod(a, initial, where, axis=axis, dtype=dtype, keepdims=keepdims, widen=promote_integers)


def _accumulation(name: str, reduce: Callable, boolean: Callable, join: Callable, neutral: int) -> Planned:
    def accumulate(a: Any, initial: Any, where: Any, *, axis: Any, dtype: Any, keepdims: bool, widen: bool) -> Array:
        (x,) = as_arrays(name, a)
        axes = canonical_axes(axis, x.ndim)
        default = summed_dtype(x.dtype) if widen else x.dtype
        target = default if dtype is None else canonical_dtype(dtype, x.dtype)
        x = masked(lax.convert_element_type(x, target), where, neutral)
        total = (boolean if dtypes.is_bool(target) else reduce)(x, axes)
        if initial is not None:
            total = join(total, lax.broadcast_in_dim(lax.convert_element_type(initial, target), total.shape, ()))
        return finished(total, x.shape, axes, keepdims)

    return Planned(accumulate)


_sum = _accumulation("sum", lax.reduce_sum, lax.reduce_or, lax.add, 0)
_prod = _accumulation("prod", lax.reduce_prod, lax.reduce_and, lax.mul, 1)


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """The sums of the elements so far along an axis.

    Args:
        a: an array.
        axis: an axis; None flattens the array.
        dtype: the dtype of the result; by default that of a, or the default integer for booleans.
        out: must be None.

    Returns:
        An array of the shape of a, or of one axis.

    >>> jnp.cumsum(jnp.array([1, 2, 3]))
    Array([1, 3, 6], dtype=int32)
    """
    return _cumulated("cumsum", lax.cumsum, a, axis, dtype, out)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """The products of the elements so far along an axis.

    Args:
        a: an array.
        axis: an axis; None flattens the array.
        dtype: the dtype of the result; by default that of a, or the default integer for booleans.
        out: must be None.

    Returns:
        An array of the shape of a, or of one axis.

    >>> jnp.cumprod(jnp.array([1, 2, 3, 4]))
    Array([ 1,  2,  6, 24], dtype=int32)
    """
    return _cumulated("cumprod", lax.cumprod, a, axis, dtype, out)


def _cumulated(name: str, cumulate: Callable, a: Any, axis: int | None, dtype: Any, out: Any) -> Array:
    reject_out(name, out)
    (x,) = as_arrays(name, a)
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    target = x.dtype if dtype is None else canonical_dtype(dtype, x.dtype)
    target = dtypes.scalar_dtype(int) if dtypes.is_bool(target) else target
    return cumulate(lax.convert_element_type(x, target), canonical_axis(axis, x.ndim))


# Extrema


def max(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """The largest element over axes; NaN if there is one.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        initial: a number to take part; needed where an axis is empty, and with where.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        An array without the reduced axes, of the dtype of a. Equal largest elements share the gradient.

    Raises:
        ShapeError: an axis is empty, and there is no initial.

    >>> jnp.max(jnp.array([[1, 5], [7, 2]]), axis=0)
    Array([7, 5], dtype=int32)
    """
    reject_out("max", out)
    return _max(a, initial, where, axis=axis, keepdims=keepdims)


def min(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """The smallest element over axes; NaN if there is one.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        initial: a number to take part; needed where an axis is empty, and with where.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        An array without the reduced axes, of the dtype of a. Equal smallest elements share the gradient.

    Raises:
        ShapeError: an axis is empty, and there is no initial.

    >>> jnp.min(jnp.array([[1, 5], [7, 2]]), axis=0)
    Array([1, 2], dtype=int32)
    """
    reject_out("min", out)
    return _min(a, initial, where, axis=axis, keepdims=keepdims)


amax, amin = max, min


def _extremum(name: str, reduce: Callable, join: Callable, neutral: Callable) -> Planned:
    def extremum(a: Any, initial: Any, where: Any, *, axis: Any, keepdims: bool) -> Array:
        (x,) = as_arrays(name, a)
        axes = canonical_axes(axis, x.ndim)
        if where is not None and initial is None:
            raise ArgumentError(f"{name} with `where` needs `initial`, the result where no element is left")
        if initial is None and 0 in [x.shape[i] for i in axes]:
            raise ShapeError(
                f"{name} over an empty axis, of shape {show(x.shape)}, has no value", fix=f"pass {name}(x, initial=...)"
            )
        found = reduce(masked(x, where, neutral(x.dtype)), axes)
        if initial is not None:
            found = join(found, lax.convert_element_type(initial, x.dtype))
        return finished(found, x.shape, axes, keepdims)

    return Planned(extremum)


_max = _extremum("max", lax.reduce_max, maximum, lowest)
_min = _extremum("min", lax.reduce_min, minimum, highest)


def ptp(a: Any, axis: Any = None, out: None = None, keepdims: bool = False) -> Array:
    """The largest minus the smallest element over axes.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.

    Returns:
        An array without the reduced axes, of the dtype of a.

    >>> jnp.ptp(jnp.array([3, -1, 5]))
    Array(6, dtype=int32)
    """
    reject_out("ptp", out)
    return lax.sub(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


def argmax(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Where the largest element is: the first of equal ones, or the first NaN.

    Args:
        a: an array.
        axis: an axis; None means the flat array.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.

    Returns:
        An array of the default integer, without the axis.

    Raises:
        ShapeError: the axis is empty.

    >>> jnp.argmax(jnp.array([[1, 5], [7, 2]]), axis=1)
    Array([1, 0], dtype=int32)
    """
    reject_out("argmax", out)
    return _argmax(a, axis=axis, keepdims=keepdims)


def argmin(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Where the smallest element is: the first of equal ones, or the first NaN.

    Args:
        a: an array.
        axis: an axis; None means the flat array.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.

    Returns:
        An array of the default integer, without the axis.

    Raises:
        ShapeError: the axis is empty.

    >>> jnp.argmin(jnp.array([[1, 5], [7, 2]]), axis=1)
    Array([0, 1], dtype=int32)
    """
    reject_out("argmin", out)
    return _argmin(a, axis=axis, keepdims=keepdims)


def _position(name: str, find: Callable) -> Planned:
    def position(a: Any, *, axis: int | None, keepdims: bool) -> Array:
        (x,) = as_arrays(name, a)
        line = lax.reshape(x, (x.size,)) if axis is None else x
        at = canonical_axis(0 if axis is None else axis, line.ndim)
        if not line.shape[at]:
            raise ShapeError(f"{name} over an empty axis, of shape {show(x.shape)}, has no value")
        axes = tuple(range(x.ndim)) if axis is None else (at,)
        return finished(find(line, at, dtypes.scalar_dtype(int)), x.shape, axes, keepdims)

    return Planned(position)


_argmax, _argmin = _position("argmax", lax.argmax), _position("argmin", lax.argmin)


# Truth


def all(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Array:
    """Whether all elements over axes are true (not 0).

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        A boolean array without the reduced axes.

    >>> jnp.all(jnp.array([[1, 0], [2, 3]]), axis=1)
    Array([False,  True], dtype=bool)
    """
    reject_out("all", out)
    return _all(a, where, axis=axis, keepdims=keepdims)


def any(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Array:
    """Whether any element over axes is true (not 0).

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        A boolean array without the reduced axes.

    >>> jnp.any(jnp.array([[1, 0], [0, 0]]), axis=1)
    Array([ True, False], dtype=bool)
    """
    reject_out("any", out)
    return _any(a, where, axis=axis, keepdims=keepdims)


def _truth(name: str, reduce: Callable, neutral: bool) -> Planned:
    def truth(a: Any, where: Any, *, axis: Any, keepdims: bool) -> Array:
        x = masked(as_condition(name, a), where, neutral)
        axes = canonical_axes(axis, x.ndim)
        return finished(reduce(x, axes), x.shape, axes, keepdims)

    return Planned(truth)


_all, _any = _truth("all", lax.reduce_and, True), _truth("any", lax.reduce_or, False)


def count_nonzero(a: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """The number of elements over axes that are not 0.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        keepdims: whether the reduced axes stay, with length 1.

    Returns:
        An array of the default integer, without the reduced axes.

    >>> jnp.count_nonzero(jnp.array([[1, 0], [2, 3]]), axis=0)
    Array([2, 1], dtype=int32)
    """
    return sum(as_condition("count_nonzero", a), axis, keepdims=keepdims)
