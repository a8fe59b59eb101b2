"""Means, variances and quantiles.

Integers are converted to the default float; floats of 16 bits and less are averaged in float32.
"""

from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.aval import Aval
from nrx.core.dtypes import canonical_dtype
from nrx.core.errors import ShapeError
from nrx.core.shapes import canonical_axes, show, size
from nrx.numpy.logic import where as choose
from nrx.numpy.planning import Planned
from nrx.numpy.promotion import promote_dtypes, reject_complex
from nrx.numpy.quantiles import as_shares, as_weights, quantile_of
from nrx.numpy.reductions import reject_out
from nrx.numpy.reductions import sum as total_of
from nrx.ops.common import as_arrays

# Means


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Array:
    """The mean over axes.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: the dtype of the result; by default that of a, or the default float for integers.
        out: must be None.
        keepdims: whether the reduced axes stay, with length 1.
        where: a condition that broadcasts with a; only elements where it holds count.

    Returns:
        An array without the reduced axes; NaN where no element is left.

    >>> jnp.mean(jnp.array([[1, 2], [3, 5]]), axis=1)
    Array([1.5, 4. ], dtype=float32)
    """
    reject_out("mean", out)
    return _mean(a, where, axis=axis, dtype=dtype, keepdims=keepdims)


@Planned
def _mean(a: Any, where: Any, *, axis: Any, dtype: Any, keepdims: bool) -> Array:
    (x,) = as_arrays("mean", a)
    axes = canonical_axes(axis, x.ndim)
    target = dtypes.inexact_dtype(x.dtype) if dtype is None else canonical_dtype(dtype, x.dtype)
    total = total_of(lax.convert_element_type(x, _computed(target)), axes, keepdims=keepdims, where=where)
    return lax.convert_element_type(lax.div(total, _count(x, axes, where, keepdims, total.aval)), target)


def _computed(dtype: np.dtype) -> np.dtype:
    """The dtype to compute a statistic of `dtype` in."""
    return dtypes.float32 if dtypes.is_narrow(dtype) else dtypes.inexact_dtype(dtype)


def _count(x: Array, axes: tuple[int, ...], where: Any, keepdims: bool, like: Aval) -> Array:
    """The number of elements that are reduced, as an array like `like`."""
    if where is None:
        return lax.full_like(like, size(tuple(x.shape[i] for i in axes)))
    held = choose(where, lax.full_like(x, 1, like.dtype), lax.full_like(x, 0, like.dtype))
    return total_of(held, axes, keepdims=keepdims)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The weighted mean over axes.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        weights: of the shape of a, or of its axes averaged over.
        returned: whether to return the sum of the weights, too.
        keepdims: whether the reduced axes stay, with length 1.

    Returns:
        An array without the reduced axes, in the dtype in which a and the weights meet, integers as the default float;
        or a pair of them.

    Raises:
        ShapeError: the weights do not fit.

    >>> jnp.average(jnp.array([1.0, 2.0, 4.0]), weights=jnp.array([1, 1, 2]))
    Array(2.75, dtype=float32)
    """
    if weights is None:
        (x,) = as_arrays("average", a)
        out = mean(x, axis, keepdims=keepdims)
        total = lax.full_like(out, size(tuple(x.shape[i] for i in canonical_axes(axis, x.ndim))))
        return (out, total) if returned else out
    x, w = promote_dtypes("average", a, asarray(weights, "average: weights"), inexact=True)
    axes = canonical_axes(axis, x.ndim)
    w = as_weights("average", w, x, axis)
    total = total_of(w, axes, keepdims=keepdims)
    out = lax.div(total_of(lax.mul(x, w), axes, keepdims=keepdims), total)
    return (out, total) if returned else out


# Variances


def var(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Array:  # fmt: skip
    """The variance over axes: the mean square distance from the mean.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: the dtype of the result; by default that of a, or the default float for integers.
        out: must be None.
        ddof: what is taken off the number of elements (1 for the unbiased estimate).
        keepdims: whether the reduced axes stay, with length 1.
        where: a condition that broadcasts with a; only elements where it holds count.
        mean: the mean, where it is known, with the reduced axes of length 1.
        correction: another name of ddof.

    Returns:
        A real array without the reduced axes.

    Raises:
        ShapeError: the mean does not fit.

    >>> jnp.var(jnp.array([1.0, 3.0])), jnp.var(jnp.array([1.0, 3.0]), ddof=1)
    (Array(1., dtype=float32), Array(2., dtype=float32))
    """
    reject_out("var", out)
    ddof = ddof if correction is None else correction
    return _var(a, where, mean, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, root=False)


def std(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Array:  # fmt: skip
    """The standard deviation over axes: the square root of the variance.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        dtype: the dtype of the result; by default that of a, or the default float for integers.
        out: must be None.
        ddof: what is taken off the number of elements (1 for the unbiased estimate).
        keepdims: whether the reduced axes stay, with length 1.
        where: a condition that broadcasts with a; only elements where it holds count.
        mean: the mean, where it is known, with the reduced axes of length 1.
        correction: another name of ddof.

    Returns:
        A real array without the reduced axes.

    Raises:
        ShapeError: the mean does not fit.

    >>> jnp.std(jnp.array([[1.0, 3.0], [2.0, 6.0]]), axis=1)
    Array([1., 2.], dtype=float32)
    """
    reject_out("std", out)
    ddof = ddof if correction is None else correction
    return _var(a, where, mean, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, root=True)


@Planned
def _var(
    a: Any, where: Any, known: Any, *, axis: Any, dtype: Any, ddof: Any, keepdims: bool, root: bool
) -> Array:  # fmt: skip
    (x,) = as_arrays("var", a)
    axes = canonical_axes(axis, x.ndim)
    target = dtypes.inexact_dtype(x.dtype) if dtype is None else canonical_dtype(dtype, x.dtype)
    target = dtypes.real_part_dtype(target)
    x = lax.convert_element_type(x, dtypes.complex_dtype(target) if dtypes.is_complex(x.dtype) else _computed(target))
    centre = mean(x, axes, keepdims=True, where=where) if known is None else _as_mean(known, x)
    gap = lax.sub(x, lax.broadcast_in_dim(centre, x.shape, range(x.ndim)))
    square = lax.real(lax.mul(gap, lax.conj(gap))) if dtypes.is_complex(gap.dtype) else lax.mul(gap, gap)
    total = total_of(square, axes, keepdims=keepdims, where=where)
    count = lax.sub(_count(square, axes, where, keepdims, total.aval), lax.full_like(total, ddof))
    variance = lax.div(total, lax.max(count, lax.full_like(count, 0)))
    return lax.convert_element_type(lax.sqrt(variance) if root else variance, target)


def _as_mean(known: Any, x: Array) -> Array:
    """A mean that the caller knows, as one of `x` with as many axes."""
    centre = asarray(known, "var: mean")
    reject_complex("var: mean", *([] if dtypes.is_complex(x.dtype) else [centre]))
    shape = (1,) * (x.ndim - centre.ndim) + centre.shape
    if len(shape) > x.ndim or any(n not in (1, whole) for n, whole in zip(shape, x.shape, strict=True)):
        raise ShapeError(
            f"var: a mean of shape {show(centre.shape)} for an array of shape {show(x.shape)}",
            fix="take the mean with keepdims=True",
        )
    return lax.convert_element_type(lax.reshape(centre, shape), x.dtype)


# Quantiles


def median(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Array:
    """The middle of the sorted elements over axes, or the mean of the two in the middle; NaN if there is one.

    Args:
        a: an array.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        overwrite_input: without effect.
        keepdims: whether the reduced axes stay, with length 1.

    Returns:
        An array without the reduced axes, of the dtype of a, integers as the default float.

    Raises:
        ShapeError: an axis is empty.

    >>> jnp.median(jnp.array([7.0, 1.0, 2.0, 4.0]))
    Array(3., dtype=float32)
    """
    return quantile(a, 0.5, axis, out, overwrite_input, "midpoint", keepdims)


def percentile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None, out_sharding: Any = None,
) -> Array:  # fmt: skip
    """What q per cent of the elements over axes lie below: `quantile(a, q / 100)`.

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

    >>> jnp.percentile(jnp.array([0.0, 10.0, 20.0]), 25)
    Array(5., dtype=float32)
    """
    shares = as_shares("percentile", a, q, 100)
    return quantile(a, shares, axis, out, overwrite_input, method, keepdims, weights=weights)


def quantile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """What a share q of the elements over axes lies below; NaN if an element is.

    Args:
        a: a real array.
        q: a scalar or vector of numbers from 0 to 1.
        axis: an axis or a tuple of axes; None means all.
        out: must be None.
        overwrite_input: without effect.
        method: what is taken between two elements: "linear" interpolation, the "lower", the "higher", the "nearest", or
            their "midpoint"; or one of NumPy's estimates of the quantiles of a distribution: "inverted_cdf",
            "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
            "median_unbiased", "normal_unbiased".
        keepdims: whether the reduced axes stay, with length 1.
        weights: how much each element counts, of the shape of a or of its axes reduced; for method="inverted_cdf".
            Where one is negative or not finite, or all are zero, the result is NaN (NumPy raises).

    Returns:
        An array of the axes of q, then those of a that were not reduced, of the dtype of a, integers as the default
        float.

    Raises:
        ShapeError: an axis is empty, or the weights do not fit.
        ArgumentError: an unknown method, or weights with another method than "inverted_cdf".

    >>> jnp.quantile(jnp.array([0.0, 10.0, 20.0]), jnp.array([0.25, 0.5]))
    Array([ 5., 10.], dtype=float32)
    """
    reject_out("quantile", out)
    return quantile_of("quantile", a, q, axis, method, keepdims, weights)
