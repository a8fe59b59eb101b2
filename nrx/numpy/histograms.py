"""Counting: occurrences, bins and histograms."""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, ConcreteArray
from nrx.core.errors import ArgumentError, DTypeError, ShapeError
from nrx.core.shapes import as_int, show
from nrx.numpy.arithmetic import clip
from nrx.numpy.creation import linspace
from nrx.numpy.data import beside, cast, from_data
from nrx.numpy.differences import diff
from nrx.numpy.joining import stack
from nrx.numpy.known import known
from nrx.numpy.logic import logical_and, where
from nrx.numpy.promotion import as_inexact, convert, promote_dtypes
from nrx.numpy.searching import searchsorted
from nrx.ops.common import as_arrays


def bincount(
    x: Any, weights: Any = None, minlength: int = 0, *, length: int | None = None, out_sharding: Any = None
) -> Array:
    """How often each of the numbers 0, 1, 2, … occurs.

    Args:
        x: a vector of integers that are not negative.
        weights: what each element counts; by default 1.
        minlength: the least number of counts.
        length: the number of counts; larger elements are left out, and negative ones count as 0. Needed where x is
            traced.

    Returns:
        A vector of the default integer, or of the dtype of the weights.

    Raises:
        ArgumentError: a negative number (where there is no length).
        ArgumentTypeError: x is traced, and there is no length.

    >>> jnp.bincount(jnp.array([1, 3, 1]))
    Array([0, 2, 0, 1], dtype=int32)
    """
    (x,) = as_arrays("bincount", x)
    if dtypes.is_inexact(x.dtype):
        raise DTypeError(f"bincount counts integers, got {x.aval}", fix="convert them with x.astype(int)")
    if x.ndim != 1:
        raise ShapeError(f"bincount takes a vector, got shape {show(x.shape)}")
    x = x.astype(int) if dtypes.is_bool(x.dtype) else x
    if length is None:
        values = known("bincount", x, "pass length=n, the number of counts")
        if values.size and values.min() < 0:
            raise ArgumentError("bincount: the numbers must not be negative")
        length = int(values.max()) + 1 if values.size else 0
    length = max(index(length), index(minlength))
    weights = lax.full(x.shape, 1, int) if weights is None else as_arrays("bincount", weights)[0]
    if weights.shape != x.shape:
        raise ShapeError(f"bincount: weights of shape {show(weights.shape)} for an array of shape {show(x.shape)}")
    return lax.full((length,), 0, weights.dtype).at[clip(x, 0, None)].add(weights, mode="drop")


def digitize(x: Any, bins: Any, right: bool = False, *, method: str | None = None) -> Array:
    """Which bin each element falls into: i where bins[i-1] <= x < bins[i].

    Args:
        x: a real array.
        bins: the edges, a vector in ascending or descending order.
        right: whether bins are closed on the right: bins[i-1] < x <= bins[i].
        method: without effect.

    Returns:
        An array of the default integer, of the shape of x.

    Raises:
        ShapeError: the edges are not a vector.

    >>> jnp.digitize(jnp.array([0.5, 2.0, 7.0]), jnp.array([0.0, 1.0, 2.0]))
    Array([1, 3, 3], dtype=int32)
    """
    x, edges = promote_dtypes("digitize", x, bins)
    if edges.ndim != 1:
        raise ShapeError(f"digitize: the edges are a vector, got shape {show(edges.shape)}")
    if not edges.size:
        return lax.full(x.shape, 0, int)
    up = searchsorted(edges, x, "left" if right else "right")
    down = edges.size - searchsorted(lax.rev(edges, [0]), x, "left" if right else "right")
    return where(edges[-1] >= edges[0], up, down)


_BINS_FIX = "pass the number of bins, or their edges"


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Array:
    """The edges of the bins of a histogram.

    Args:
        a: a real array.
        bins: the number of bins of equal width, or their edges, or the name of a rule of NumPy ("auto", …), for which
            the array must be known.
        range: the lowest and highest edge; by default the least and largest element.
        weights: without effect.

    Returns:
        A vector of a floating dtype.

    Raises:
        ArgumentTypeError: a named rule for a traced array.
        ArgumentError: bins that are neither a positive number nor a vector.

    >>> jnp.histogram_bin_edges(jnp.array([0.0, 1.0, 4.0]), bins=2)
    Array([0., 2., 4.], dtype=float32)
    """
    x = as_inexact("histogram_bin_edges", a)
    if isinstance(bins, str):
        given = None if range is None else (float(range[0]), float(range[1]))
        (numbers,) = as_arrays("histogram_bin_edges", a)  # of integers the bins are at least 1 wide
        return cast(np.histogram_bin_edges(known("histogram_bin_edges", numbers, _BINS_FIX), bins, given), x.dtype)
    edges = bins if isinstance(bins, int | np.integer) else from_data(beside(bins, x), None)
    if isinstance(edges, Array) and edges.ndim == 1:
        if isinstance(edges, ConcreteArray) and np.any(np.diff(np.asarray(edges)) < 0):
            raise ArgumentError(f"histogram: the edges of the bins do not ascend: {edges}", fix="sort them")
        return promote_dtypes("histogram_bin_edges", edges, x)[0]
    count = as_int(edges, "histogram: the number of bins")
    if count < 1:
        raise ArgumentError(f"histogram: the number of bins must be positive, got {count}")
    if range is None:
        low, high = (x.min(), x.max()) if x.size else (lax.full_like(x, 0, shape=()), lax.full_like(x, 1, shape=()))
    else:
        low, high = (convert("histogram: range", v, x.dtype) for v in range)
        if (
            isinstance(low, ConcreteArray)
            and isinstance(high, ConcreteArray)
            and not np.asarray(low) <= np.asarray(high)
        ):
            raise ArgumentError(f"histogram: the range {range} does not ascend", fix="write (lowest, highest)")
    flat = low == high
    return linspace(where(flat, low - 0.5, low), where(flat, high + 0.5, high), count + 1, dtype=x.dtype)


def histogram(a: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None) -> Any:
    """How many elements fall into each bin; bins are half open, the last one closed.

    Args:
        a: a real array, taken flat.
        bins: as for histogram_bin_edges.
        range: as for histogram_bin_edges.
        weights: what each element counts, an array of the shape of a.
        density: whether to divide, so that the integral over the bins is 1.

    Returns:
        The counts, a vector of a floating dtype (NumPy: integers), and the edges, one more.

    Raises:
        ArgumentTypeError: a named rule for a traced array.
        ArgumentError: a named rule with weights.
        ShapeError: the weights are not of the shape of a.

    >>> jnp.histogram(jnp.array([0.0, 1.0, 4.0]), bins=2)
    (Array([2., 1.], dtype=float32), Array([0., 2., 4.], dtype=float32))
    """
    x = as_inexact("histogram", a)
    if isinstance(bins, str) and weights is not None:
        raise ArgumentError(f"histogram: bins={bins!r} with weights", fix="the rules take no weights: give a number")
    edges = histogram_bin_edges(a, bins, range)
    counts = _counted([x.reshape(-1)], [edges], _flat_weights("histogram", weights, x))
    if density:
        counts = counts / (counts.sum() * diff(edges))
    return counts, edges


def _flat_weights(name: str, weights: Any, x: Array) -> Array:
    """The weights as a vector; 1 if there are none."""
    if weights is None:
        return lax.full((x.size,), 1, x.dtype)
    (w,) = as_arrays(name, weights)
    if w.shape != x.shape:
        raise ShapeError(f"{name}: weights of shape {show(w.shape)} for an array of shape {show(x.shape)}")
    w = w.reshape(-1)
    return w if dtypes.is_inexact(w.dtype) else w.astype(x.dtype)


def _counted(columns: Sequence[Array], edges: Sequence[Array], weights: Array) -> Array:
    """The sum of the weights in each cell of a grid."""
    shape = tuple(e.size - 1 for e in edges)
    inside, places = lax.full(weights.shape, True), []
    for x, e in zip(columns, edges, strict=True):
        x, e = promote_dtypes("histogram", x, e)
        inside = logical_and(inside, logical_and(x >= e[0], x <= e[-1]))
        places.append(clip(searchsorted(e, x, "right") - 1, 0, e.size - 2))
    flat = places[0]
    for place, n in zip(places[1:], shape[1:], strict=True):
        flat = flat * n + place
    total = int(np.prod(shape))
    counts = lax.full((total,), 0, weights.dtype).at[where(inside, flat, total)].add(weights, mode="drop")
    return counts.reshape(shape)


def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None
) -> Any:
    """How many points of the plane fall into each cell of a grid.

    Args:
        x: the first coordinates, a vector.
        y: the second coordinates.
        bins: a number of bins, a vector of edges, or a pair of such.
        range: the ends of both axes, ((low, high), (low, high)).
        weights: what each point counts, a vector.
        density: whether to divide, so that the integral is 1.

    Returns:
        The counts, a matrix, and the edges of both axes. All are floats.

    Raises:
        ShapeError: the coordinates are not vectors of one length.

    >>> jnp.histogram2d(jnp.array([0.0, 1.0]), jnp.array([0.0, 1.0]), bins=2)[0]
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    a, b = promote_dtypes("histogram2d", x, y, inexact=True)
    if a.ndim != 1 or a.shape != b.shape:
        raise ShapeError(f"histogram2d: coordinates of shapes {show(a.shape)} and {show(b.shape)}")
    several = hasattr(bins, "__len__") and len(bins) not in (1, 2)
    counts, edges = histogramdd(stack([a, b], 1), [bins, bins] if several else bins, range, weights, density)
    return counts, edges[0], edges[1]


def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, weights: Any = None, density: bool | None = None
) -> tuple[Array, list[Array]]:
    """How many points of a space fall into each cell of a grid.

    Args:
        sample: an array of N points of D coordinates, of shape (N, D), or a sequence of D vectors.
        bins: a number of bins, or for each coordinate such a number or a vector of edges.
        range: for each coordinate the lowest and highest edge, or None.
        weights: what each point counts, a vector.
        density: whether to divide, so that the integral is 1.

    Returns:
        The counts, an array of D axes, and a list of D vectors of edges. All are floats.

    Raises:
        ShapeError: the sample is not a matrix.
        ArgumentError: not as many bins or ranges as coordinates.

    >>> counts, edges = jnp.histogramdd(jnp.array([[0.0, 0.0], [1.0, 1.0]]), bins=2)
    >>> counts
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    if isinstance(sample, list | tuple):
        sample = stack(promote_dtypes("histogramdd", *sample), 1)
    points = as_inexact("histogramdd", sample)
    if points.ndim != 2:
        raise ShapeError(f"histogramdd: the sample has shape (points, coordinates), got {show(points.shape)}")
    d = points.shape[1]
    each = [bins] * d if isinstance(bins, int | np.integer) else list(bins)
    ranges = [None] * d if range is None else list(range)
    if len(each) != d or len(ranges) != d:
        raise ArgumentError(f"histogramdd: {len(each)} bins and {len(ranges)} ranges for {d} coordinates")
    columns = [points[:, i] for i in np.arange(d)]
    edges = [histogram_bin_edges(x, b, r) for x, b, r in zip(columns, each, ranges, strict=True)]
    counts = _counted(columns, edges, _flat_weights("histogramdd", weights, points[:, 0]))
    if density:
        counts = counts / counts.sum()
        for i, e in enumerate(edges):
            counts = counts / diff(e).reshape(tuple(-1 if j == i else 1 for j in np.arange(d)))
    return counts, edges
