"""Quantiles: where they lie among the sorted elements, and what is taken between two of them.

R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician 50, 1996.
"""

from typing import Any

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import canonical_axes, show, size, without
from nrx.numpy.arithmetic import maximum, minimum
from nrx.numpy.indexing import take_along_axis
from nrx.numpy.logic import isnan, logical_and, logical_or
from nrx.numpy.logic import where as choose
from nrx.numpy.promotion import as_inexact, promote_dtypes
from nrx.ops.common import as_arrays

# (alpha, beta): the quantile of the share q of n elements lies at q (n + 1 - alpha - beta) + alpha - 1.
METHODS = {
    "linear": (1, 1), "lower": (1, 1), "higher": (1, 1), "nearest": (1, 1), "midpoint": (1, 1), "inverted_cdf": (0, 1),
    "averaged_inverted_cdf": (0, 1), "closest_observation": (-0.5, 1.5), "interpolated_inverted_cdf": (0, 1),
    "hazen": (0.5, 0.5), "weibull": (0, 0), "median_unbiased": (1 / 3, 1 / 3), "normal_unbiased": (3 / 8, 3 / 8),
}  # fmt: skip


def quantile_of(
    name: str, a: Any, q: Any, axis: Any, method: str, keepdims: bool, weights: Any, skip_nan: bool = False
) -> Array:
    """`jnp.quantile` or, without NaN, `jnp.nanquantile`, for errors called `name`."""
    if method not in METHODS:
        raise ArgumentError(f"{name}: unknown method {method!r}", fix=f"use one of {', '.join(METHODS)}")
    if weights is None:
        x = as_inexact(name, a)
    elif method == "inverted_cdf":
        x, weights = promote_dtypes(name, a, asarray(weights, f"{name}: weights"), inexact=True)
        weights = as_weights(name, weights, x, axis)
    else:
        raise ArgumentError(f"{name}: weights with method {method!r}", fix='use method="inverted_cdf"')
    q = as_shares(name, x, q)
    if q.ndim > 1:
        raise ShapeError(f"{name}: q must be a scalar or a vector, got shape {show(q.shape)}")
    axes = canonical_axes(axis, x.ndim)
    rest = without(range(x.ndim), axes)
    count = size(tuple(x.shape[i] for i in axes))
    if not count and not size(tuple(x.shape[i] for i in rest)):
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
        return lax.full((*q.shape, *kept), 0, x.dtype)
    if not count:
        raise ShapeError(f"{name} over an empty axis, of shape {show(x.shape)}, has no value")

    def lines(x: Array) -> Array:
        """The reduced axes as one, last."""
        return lax.reshape(lax.transpose(x, (*rest, *axes)), (*(x.shape[i] for i in rest), count))

    shares = lax.reshape(q, (q.size,))
    if weights is None:
        values = _between(lax.sort(lines(x)), shares, method, skip_nan)
    else:
        ordered, weights = lax.sort((lines(x), lines(weights)), num_keys=1)
        values = _weighted(ordered, weights, shares, skip_nan)
    values = lax.transpose(values, (len(rest), *range(len(rest)))) if q.ndim else lax.squeeze(values, [-1])
    if keepdims:
        values = lax.reshape(values, (*q.shape, *(1 if i in axes else n for i, n in enumerate(x.shape))))
    return lax.convert_element_type(values, x.dtype)


def as_shares(name: str, a: Any, q: Any, whole: int = 1) -> Array:
    """q parts of a whole as shares, in the dtype in which quantiles of `a` are computed."""
    (x,) = as_arrays(name, a)
    if not isinstance(q, int | float):
        q = asarray(q, f"{name}: q")
    shares = lax.convert_element_type(q, dtypes.float32 if dtypes.is_narrow(x.dtype) else dtypes.inexact_dtype(x.dtype))
    return shares if whole == 1 else lax.div(shares, lax.full_like(shares, whole))


def as_weights(name: str, w: Array, x: Array, axis: Any) -> Array:
    """Weights of the shape of x, from those of x or of the axes that are reduced."""
    if w.shape == x.shape:
        return w
    axes = canonical_axes(axis, x.ndim)
    if axis is None or w.shape != tuple(x.shape[i] for i in axes):
        raise ShapeError(
            f"{name}: weights of shape {show(w.shape)} for an array of shape {show(x.shape)} over axis {axis}",
            fix="weights have the shape of the array, or that of the axes averaged over",
        )
    order = sorted(range(w.ndim), key=axes.__getitem__)
    return lax.broadcast_in_dim(lax.transpose(w, order), x.shape, sorted(axes))


def _between(lines: Array, q: Array, method: str, skip_nan: bool) -> Array:
    """The quantiles of sorted lines along their last axis, at whose end the NaN are."""
    count = lines.shape[-1]
    if skip_nan:
        held = lax.bitwise_not(isnan(lines)).astype(q.dtype)
        low, high, part = _neighbours(method, q, maximum(held.sum(-1, keepdims=True) - 1, 0))
        below, above = (take_along_axis(lines, p.astype(int), -1, mode="clip").astype(q.dtype) for p in (low, high))
        return _mixed(below, above, part, low == high)
    low, high, part = _neighbours(method, q, count - 1)
    below, above = (lax.convert_element_type(_elements(lines, p), q.dtype) for p in (low, high))
    values = _mixed(below, above, part, lax.eq(low, high))
    last = lax.slice_in_dim(lines, count - 1, count, axis=-1).astype(q.dtype)
    return choose(isnan(last), last, values)


def _mixed(below: Array, above: Array, part: Any, are_one: Array) -> Array:
    """`part` of the way from one element to the next; where their difference is infinite, in shares of both."""
    difference = above - below
    shares = below * (1 - part) + above * part
    return choose(are_one, below, choose(lax.is_finite(difference), below + difference * part, shares))


def _neighbours(method: str, q: Array, last: Any) -> tuple[Array, Array, Any]:
    """The places of two sorted elements, from 0 to last, and the part of the way from the first to the second."""
    alpha, beta = METHODS[method]
    place = q * (last + (2 - alpha - beta)) + (alpha - 1)
    low, high = lax.floor(place), lax.ceil(place)
    part = 0.5 if method == "midpoint" else place - low
    if method == "nearest":
        low = high = lax.round(place, 1)
    elif method == "lower":
        high = low
    elif method in ("higher", "inverted_cdf"):
        low = high
    elif method == "closest_observation":
        low = high = choose(logical_and(place == low, low % 2 == 1), low, low + 1)
    elif method == "averaged_inverted_cdf":
        low, high, part = choose(place == low, low, low + 1), low + 1, 0.5
    return minimum(maximum(low, 0), last), minimum(maximum(high, 0), last), part


def _elements(lines: Array, places: Array) -> Array:
    """The elements of lines along their last axis at places."""
    batch = lines.ndim - 1
    numbers = lax.GatherDimensionNumbers(tuple(range(batch)), (batch,), (batch,))
    indices = lax.reshape(lax.convert_element_type(places, dtypes.int32), (*places.shape, 1))
    return lax.gather(lines, indices, numbers, (*lines.shape[:-1], 1), mode="clip")


def _weighted(lines: Array, weights: Array, q: Array, skip_nan: bool) -> Array:
    """The first of the sorted elements up to which the share q of the weight lies."""
    missing = isnan(lines)
    weights = choose(missing, 0, weights.astype(q.dtype)) if skip_nan else weights.astype(q.dtype)
    sums = weights.cumsum(-1)
    total = sums[..., -1:]
    share = (sums / total)[..., None, :]
    before = logical_or(share < q[:, None], share <= 0).astype(int).sum(-1)
    values = take_along_axis(lines, before, -1, mode="clip").astype(q.dtype)
    fits = logical_and((weights >= 0).all(-1, keepdims=True), logical_and(total > 0, total < float("inf")))
    defined = fits if skip_nan else logical_and(fits, lax.bitwise_not(missing[..., -1:]))
    return choose(defined, values, float("nan"))
