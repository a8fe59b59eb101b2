"""Reductions and statistics that leave NaN out. Arrays of integers have none: there they are the plain functions."""

from collections.abc import Callable
from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.numpy import reductions, statistics
from nrx.numpy.logic import isnan, logical_and, where
from nrx.numpy.quantiles import as_shares, quantile_of
from nrx.numpy.reductions import reject_out
from nrx.ops.common import as_arrays
from nrx.ops.reductions import highest, lowest

_choose = where


def _filled(name: str, a: Any, value: Any) -> Array:
    """The array with `value` (a number, or a function of the dtype) in place of NaN."""
    (x,) = as_arrays(name, a)
    if not dtypes.is_inexact(x.dtype):
        return x
    return _choose(isnan(x), lax.full_like(x, value(x.dtype) if callable(value) else value), x)


def _held(name: str, a: Any, where: Any) -> Any:
    """Where elements count: where they are not NaN, and `where` holds."""
    (x,) = as_arrays(name, a)
    if not dtypes.is_inexact(x.dtype):
        return where
    held = lax.bitwise_not(isnan(x))
    return held if where is None else logical_and(held, where)


# Sums, products, extrema


def nansum(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
    where: Any = None,
) -> Array:  # fmt: skip
    """The sum over axes of the elements that are not NaN.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: as for sum.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        initial: a number to add.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        An array without the reduced axes.

    >>> jnp.nansum(jnp.array([1.0, jnp.nan, 2.0]))
    Array(3., dtype=float32)
    """
    return reductions.sum(_filled("nansum", a, 0), axis, dtype, out, keepdims, initial, where)


def nanprod(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
    where: Any = None,
) -> Array:  # fmt: skip
    """The product over axes of the elements that are not NaN.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: as for prod.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        initial: a number to multiply with.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        An array without the reduced axes.

    >>> jnp.nanprod(jnp.array([3.0, jnp.nan, 2.0]))
    Array(6., dtype=float32)
    """
    return reductions.prod(_filled("nanprod", a, 1), axis, dtype, out, keepdims, initial, where)


def nanmax(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """The largest element over axes that is not NaN.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        initial: the least the result can be.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        An array without the reduced axes, of the dtype of a; NaN where all elements are, and there is no `initial`.

    >>> jnp.nanmax(jnp.array([1.0, jnp.nan, 2.0]))
    Array(2., dtype=float32)
    """
    return _extremum("nanmax", reductions.max, lowest, a, axis, out, keepdims, initial, where)


def nanmin(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """The smallest element over axes that is not NaN.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        initial: the most the result can be.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        An array without the reduced axes, of the dtype of a; NaN where all elements are, and there is no `initial`.

    >>> jnp.nanmin(jnp.array([1.0, jnp.nan, 2.0]))
    Array(1., dtype=float32)
    """
    return _extremum("nanmin", reductions.min, highest, a, axis, out, keepdims, initial, where)


def _extremum(
    name: str, reduce: Callable, neutral: Callable, a: Any, axis: Any, out: Any, keepdims: bool, initial: Any,
    where: Any,
) -> Array:  # fmt: skip
    found = reduce(_filled(name, a, neutral), axis, out, keepdims, initial, where)
    if initial is not None or not dtypes.is_inexact(found.dtype):
        return found
    return _choose(reductions.all(isnan(a), axis, keepdims=keepdims), lax.full_like(found, float("nan")), found)


def nanargmax(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Where the largest element that is not NaN is: the first of equal ones.

    Args:
        a: an array.
        axis: an axis; None means the flat array.
        out: must be None.
        keepdims: whether the reduced axis stays, with length 1.

    Returns:
        An array of the default integer; -1 where all elements are NaN (NumPy raises).

    Raises:
        ShapeError: the axis is empty.

    >>> jnp.nanargmax(jnp.array([1.0, jnp.nan, 2.0]))
    Array(2, dtype=int32)
    """
    return _position("nanargmax", reductions.argmax, lowest, a, axis, out, keepdims)


def nanargmin(a: Any, axis: int | None = None, out: None = None, keepdims: bool = False) -> Array:
    """Where the smallest element that is not NaN is: the first of equal ones.

    Args:
        a: an array.
        axis: an axis; None means the flat array.
        out: must be None.
        keepdims: whether the reduced axis stays, with length 1.

    Returns:
        An array of the default integer; -1 where all elements are NaN (NumPy raises).

    Raises:
        ShapeError: the axis is empty.

    >>> jnp.nanargmin(jnp.array([jnp.nan, 5.0, 2.0]))
    Array(2, dtype=int32)
    """
    return _position("nanargmin", reductions.argmin, highest, a, axis, out, keepdims)


def _position(name: str, find: Callable, neutral: Callable, a: Any, axis: Any, out: Any, keepdims: bool) -> Array:
    found = find(_filled(name, a, neutral), axis, out, keepdims)
    return _choose(reductions.all(isnan(a), axis, keepdims=keepdims), lax.full_like(found, -1), found)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """The sums so far along an axis, where NaN counts as 0.

    Args:
        a: an array.
        axis: an axis; None flattens the array.
        dtype: as for cumsum.
        out: must be None.

    Returns:
        An array of the shape of a, or of one axis.

    >>> jnp.nancumsum(jnp.array([1.0, jnp.nan, 2.0]))
    Array([1., 1., 3.], dtype=float32)
    """
    return reductions.cumsum(_filled("nancumsum", a, 0), axis, dtype, out)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """The products so far along an axis, where NaN counts as 1.

    Args:
        a: an array.
        axis: an axis; None flattens the array.
        dtype: as for cumprod.
        out: must be None.

    Returns:
        An array of the shape of a, or of one axis.

    >>> jnp.nancumprod(jnp.array([3.0, jnp.nan, 2.0]))
    Array([3., 3., 6.], dtype=float32)
    """
    return reductions.cumprod(_filled("nancumprod", a, 1), axis, dtype, out)


# Statistics


def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, where: Any = None
) -> Array:
    """The mean over axes of the elements that are not NaN.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: as for mean.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        An array without the reduced axes; NaN where no element is left.

    >>> jnp.nanmean(jnp.array([1.0, jnp.nan, 2.0]))
    Array(1.5, dtype=float32)
    """
    return statistics.mean(a, axis, dtype, out, keepdims, where=_held("nanmean", a, where))


def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: bool = False,
    where: Any = None, mean: Any = None,
) -> Array:  # fmt: skip
    """The variance over axes of the elements that are not NaN.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: as for var.
        out: must be None.
        ddof: what is taken off the number of elements (1 for the unbiased estimate).
        keepdims: whether the reduced axes stay, with length 1.
        where: a condition that broadcasts with a; only elements where it holds count.
        mean: the mean, where it is known, with the reduced axes of length 1.

    Returns:
        A real array without the reduced axes; NaN where no more than `ddof` elements are left.

    >>> jnp.nanvar(jnp.array([1.0, jnp.nan, 3.0]))
    Array(1., dtype=float32)
    """
    return _spread("nanvar", statistics.var, a, axis, dtype, out, ddof, keepdims, where, mean)


def nanstd(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: bool = False,
    where: Any = None, mean: Any = None,
) -> Array:  # fmt: skip
    """The standard deviation over axes of the elements that are not NaN.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: as for std.
        out: must be None.
        ddof: what is taken off the number of elements (1 for the unbiased estimate).
        keepdims: whether the reduced axes stay, with length 1.
        where: a condition that broadcasts with a; only elements where it holds count.
        mean: the mean, where it is known, with the reduced axes of length 1.

    Returns:
        A real array without the reduced axes; NaN where no more than `ddof` elements are left.

    >>> jnp.nanstd(jnp.array([1.0, jnp.nan, 3.0]))
    Array(1., dtype=float32)
    """
    return _spread("nanstd", statistics.std, a, axis, dtype, out, ddof, keepdims, where, mean)


def _spread(
    name: str, compute: Callable, a: Any, axis: Any, dtype: Any, out: Any, ddof: Any, keepdims: bool, where: Any,
    mean: Any,
) -> Array:  # fmt: skip
    held = _held(name, a, where)
    found = compute(a, axis, dtype, out, ddof, keepdims, where=held, mean=mean)
    (x,) = as_arrays(name, a)
    if held is None or not dtypes.is_inexact(x.dtype):
        return found
    count = reductions.sum(_choose(held, lax.full_like(a, 1, int), 0), axis, keepdims=keepdims)
    return _choose(count > ddof, found, lax.full_like(found, float("nan")))


def nanmedian(
    a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False
) -> Array:
    """The median over axes of the elements that are not NaN.

    Args:
        a: a real array.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        overwrite_input: without effect.
        keepdims: whether the reduced axes stay, with length 1.

    Returns:
        An array without the reduced axes, of the dtype of a, integers as the default float; NaN where all elements
        are.

    Raises:
        ShapeError: an axis is empty.

    >>> jnp.nanmedian(jnp.array([7.0, jnp.nan, 1.0, 2.0]))
    Array(2., dtype=float32)
    """
    return nanquantile(a, 0.5, axis, out, overwrite_input, "midpoint", keepdims)


def nanpercentile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """What q per cent of the elements over axes that are not NaN lie below.

    Args:
        a: a real array.
        q: a scalar or vector of percentages, from 0 to 100.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        overwrite_input: without effect.
        method: as for quantile.
        keepdims: whether the reduced axes stay, with length 1.
        weights: as for quantile.

    Returns:
        An array of the axes of q, then those of a that were not reduced, of the dtype of a, integers as the default
        float.

    Raises:
        ShapeError: an axis is empty.

    >>> jnp.nanpercentile(jnp.array([0.0, jnp.nan, 20.0]), 25)
    Array(5., dtype=float32)
    """
    shares = as_shares("nanpercentile", a, q, 100)
    return nanquantile(a, shares, axis, out, overwrite_input, method, keepdims, weights=weights)


def nanquantile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """What a share q of the elements over axes that are not NaN lies below.

    Args:
        a: a real array.
        q: a scalar or vector of numbers from 0 to 1.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        overwrite_input: without effect.
        method: as for quantile.
        keepdims: whether the reduced axes stay, with length 1.
        weights: as for quantile.

    Returns:
        An array of the axes of q, then those of a that were not reduced, of the dtype of a, integers as the default
        float; NaN where all elements are.

    Raises:
        ShapeError: an axis is empty.

    >>> jnp.nanquantile(jnp.array([0.0, jnp.nan, 20.0]), jnp.array([0.25, 0.5]))
    Array([ 5., 10.], dtype=float32)
    """
    reject_out("nanquantile", out)
    return quantile_of("nanquantile", a, q, axis, method, keepdims, weights, skip_nan=True)
