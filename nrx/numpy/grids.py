"""Grids and indices: `mgrid`, `r_`, `ix_`, indices of triangles, flat and multi-dimensional positions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ArgumentTypeError, IndexingError, ShapeError
from nrx.core.shapes import canonical_shape, show, size
from nrx.core.trace import Tracer
from nrx.numpy.arithmetic import clip, remainder
from nrx.numpy.creation import arange, linspace, meshgrid, ones
from nrx.numpy.data import from_data
from nrx.numpy.diagonals import diag_indices, tril_indices, triu_indices
from nrx.numpy.indexing import take_along_axis
from nrx.numpy.joining import concatenate, stack
from nrx.numpy.logic import logical_and, where
from nrx.numpy.manipulation import moveaxis
from nrx.numpy.promotion import broadcast, promote_dtypes
from nrx.numpy.searching import nonzero
from nrx.ops.common import as_arrays


def _range(s: slice) -> Array:
    """The numbers of a slice; an imaginary step is how many there are, the end included."""
    if s.stop is None:
        raise ArgumentError("a slice of a grid needs an end", fix="write start:stop or start:stop:step")
    start = 0 if s.start is None else s.start
    if isinstance(s.step, complex):
        return linspace(start, s.stop, int(abs(s.step)))
    return arange(start, s.stop, 1 if s.step is None else s.step)


class _Grid:
    """What `mgrid` and `ogrid` are."""

    def __init__(self, sparse: bool, doc: str):
        self._sparse = sparse
        self.__doc__ = doc

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return _range(key)
        axes = promote_dtypes("mgrid", *map(_range, key))
        grids = meshgrid(*axes, sparse=self._sparse, indexing="ij")
        return grids if self._sparse else stack(grids)


mgrid = _Grid(
    False,
    """A dense grid by slices: `mgrid[0:2, 0:3]`.

    An imaginary step is the number of points, the end included: `mgrid[0:1:5j]`.

    >>> jnp.mgrid[0:2, 0:3][1]
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """,
)
ogrid = _Grid(
    True,
    """A grid by slices whose arrays only broadcast to its shape: `ogrid[0:2, 0:3]`.

    >>> [x.shape for x in jnp.ogrid[0:2, 0:3]]
    [(2, 1), (1, 3)]
    """,
)


class _Joiner:
    """What `r_` and `c_` are: they join arrays, numbers and slices."""

    def __init__(self, axis: int, ndim: int, place: int, doc: str):
        self._axis, self._ndim, self._place = axis, ndim, place
        self.__doc__ = doc

    def __getitem__(self, key: Any) -> Array:
        items = list(key) if isinstance(key, tuple) else [key]
        axis, ndim, place = self._axis, self._ndim, self._place
        if isinstance(items[0], str):
            axis, ndim, place = self._directive(items.pop(0))
        parts = promote_dtypes("r_", *(_range(x) if isinstance(x, slice) else from_data(x, None) for x in items))
        return concatenate([_raised(x, ndim, place) for x in parts], axis)

    def _directive(self, text: str) -> tuple[int, int, int]:
        """The axis, the least number of axes, and where the old ones go, of "axis,ndim,place"."""
        try:
            numbers = [int(n) for n in text.split(",")]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= 3:
            raise ArgumentError(f"r_: {text!r} is not of the form 'axis,ndim,place'")
        defaults = [self._axis, self._ndim, self._place]
        axis, ndim, place = numbers + defaults[len(numbers) :]
        return axis, ndim, place


def _raised(x: Array, ndim: int, place: int) -> Array:
    """An array with new axes up to `ndim`; its own axes begin at `place`, or end with the last one."""
    new = max(ndim - x.ndim, 0)
    before = new if place < 0 else min(place, new)
    return x.reshape((1,) * before + x.shape + (1,) * (new - before))


r_ = _Joiner(
    0,
    1,
    -1,
    """Arrays, numbers and slices joined along the first axis: `r_[x, 0, 3:5]`.

    A first string "axis,ndim,place" gives the axis, the least number of axes, and where the old ones begin.

    >>> jnp.r_[jnp.array([1, 2]), 0, 3:5]
    Array([1, 2, 0, 3, 4], dtype=int32)
    """,
)
c_ = _Joiner(
    -1,
    2,
    0,
    """Arrays, numbers and slices as columns: `c_[x, y]`.

    >>> jnp.c_[jnp.array([1, 2]), jnp.array([3, 4])]
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """,
)
s_, index_exp = np.s_, np.index_exp


def ix_(*args: Any) -> tuple[Array, ...]:
    """Vectors as indices of the grid that they span: `x[ix_(rows, columns)]`.

    Args:
        args: vectors of integers, or of booleans (the positions of the true ones).

    Returns:
        A tuple of arrays that broadcast together, one a vector: of shape (1, …, n, …, 1).

    Raises:
        ShapeError: an argument is not a vector.

    >>> [i.shape for i in jnp.ix_(jnp.array([0, 2]), jnp.array([1, 3, 4]))]
    [(2, 1), (1, 3)]
    """
    out = []
    for i, x in enumerate(as_arrays("ix_", *args)):
        if x.ndim != 1:
            raise ShapeError(f"ix_ takes vectors, got shape {show(x.shape)}")
        x = nonzero(x)[0] if dtypes.is_bool(x.dtype) else x
        x = x if x.size else x.astype(int)
        out.append(x.reshape((1,) * i + (x.size,) + (1,) * (len(args) - i - 1)))
    return tuple(out)


def diag_indices_from(arr: Any) -> tuple[Array, ...]:
    """The indices of the diagonal of an array.

    Args:
        arr: an array of at least 2 axes, all of one length.

    Returns:
        A tuple of vectors of the default integer, one an axis.

    Raises:
        ShapeError: axes of different lengths, or fewer than 2.

    >>> jnp.diag_indices_from(jnp.ones((2, 2)))
    (Array([0, 1], dtype=int32), Array([0, 1], dtype=int32))
    """
    shape = as_arrays("diag_indices_from", arr)[0].shape
    if len(shape) < 2 or any(n != shape[0] for n in shape):
        raise ShapeError(f"diag_indices_from takes an array of at least 2 equal axes, got shape {show(shape)}")
    return diag_indices(shape[0], len(shape))


def _matrix(name: str, arr: Any) -> tuple[int, int]:
    shape = as_arrays(name, arr)[0].shape
    if len(shape) != 2:
        raise ShapeError(f"{name} takes a matrix, got shape {show(shape)}")
    return shape


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """The row and column indices of the lower triangle of a matrix.

    Args:
        arr: a matrix.
        k: the last diagonal of the triangle.

    Returns:
        Two vectors of the default integer.

    Raises:
        ShapeError: not a matrix.

    >>> jnp.tril_indices_from(jnp.ones((2, 2)))
    (Array([0, 1, 1], dtype=int32), Array([0, 0, 1], dtype=int32))
    """
    n, m = _matrix("tril_indices_from", arr)
    return tril_indices(n, k, m)


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Array, Array]:
    """The row and column indices of the upper triangle of a matrix.

    Args:
        arr: a matrix.
        k: the first diagonal of the triangle.

    Returns:
        Two vectors of the default integer.

    Raises:
        ShapeError: not a matrix.

    >>> jnp.triu_indices_from(jnp.ones((2, 2)))
    (Array([0, 0, 1], dtype=int32), Array([0, 1, 1], dtype=int32))
    """
    n, m = _matrix("triu_indices_from", arr)
    return triu_indices(n, k, m)


def mask_indices(n: int, mask_func: Callable, k: Any = 0, *, size: int | None = None) -> tuple[Array, ...]:
    """The indices of an n × n matrix that a function such as `triu` keeps.

    Args:
        n: the number of rows and columns.
        mask_func: called with a matrix of ones and k.
        k: passed on.
        size: as for nonzero.

    Returns:
        Two vectors of the default integer.

    >>> jnp.mask_indices(2, jnp.triu)
    (Array([0, 0, 1], dtype=int32), Array([0, 1, 1], dtype=int32))
    """
    return nonzero(mask_func(ones((n, n), int), k), size=size)


def unravel_index(indices: Any, shape: Any) -> tuple[Array, ...]:
    """The positions along each axis of positions in the flat array.

    Args:
        indices: an array of integers; negative ones count from the end. Those out of bounds go to the nearest end.
        shape: the shape of the array.

    Returns:
        A tuple of arrays of the shape of indices, one an axis.

    Raises:
        IndexingError: the indices are not integers.

    >>> jnp.unravel_index(jnp.array([1, 5]), (2, 3))
    (Array([0, 1], dtype=int32), Array([1, 2], dtype=int32))
    """
    (flat,) = as_arrays("unravel_index", indices)
    if not dtypes.is_integer(flat.dtype):
        raise IndexingError(f"unravel_index: the indices must be integers, got {flat.aval}")
    shape = canonical_shape(shape)
    total = size(shape)
    flat = clip(where(flat < 0, flat + total, flat), 0, max(total - 1, 0)).astype(flat.dtype)
    out = []
    for n in reversed(shape):
        out.append(lax.rem(flat, max(n, 1)))
        flat = lax.div(flat, max(n, 1))
    return tuple(reversed(out))


def ravel_multi_index(
    multi_index: Sequence[Any], dims: Any, mode: Any = "raise", order: str = "C", *, dtype: Any = None
) -> Array:
    """The positions in the flat array of positions along each axis.

    Args:
        multi_index: integer arrays that broadcast together, one an axis.
        dims: the shape of the array.
        mode: what happens out of bounds: "raise", "wrap", "clip" or "ignore"; or one an axis. "raise" needs known
            indices.
        order: "C": the last axis runs fastest; "F": the first.
        dtype: the dtype of the result, in which positions are counted; by default that of the indices.

    Returns:
        An integer array.

    Raises:
        IndexingError: an index out of bounds, with mode "raise".
        ArgumentTypeError: traced indices with mode "raise".
        ArgumentError: another mode or order, or not as many arrays as axes.

    >>> jnp.ravel_multi_index((jnp.array([0, 1]), jnp.array([1, 2])), (2, 3))
    Array([1, 5], dtype=int32)
    """
    shape = canonical_shape(dims)
    modes = (mode,) * len(shape) if isinstance(mode, str) else tuple(mode)
    if order not in ("C", "F"):
        raise ArgumentError(f"ravel_multi_index: order is 'C' or 'F', got {order!r}")
    if len(multi_index) != len(shape) or len(modes) != len(shape):
        raise ArgumentError(f"ravel_multi_index: {len(multi_index)} indices, {len(modes)} modes, {len(shape)} axes")
    places = broadcast(promote_dtypes("ravel_multi_index", *multi_index))
    if not dtypes.is_integer(places[0].dtype):
        raise IndexingError(f"ravel_multi_index: the indices must be integers, got {places[0].aval}")
    if dtype is None and size(shape) > np.iinfo(places[0].dtype).max:
        dtype = dtypes.promote_types((places[0].dtype, False), (dtypes.scalar_dtype(int), False))[0]
    if dtype is not None:
        places = [place.astype(dtype) for place in places]
    bounded = [_bounded(p, n, m) for p, n, m in zip(places, shape, modes, strict=True)]
    pairs = list(zip(bounded, shape, strict=True))
    flat, _ = (pairs := pairs if order == "C" else pairs[::-1])[0]
    for place, n in pairs[1:]:
        flat = flat * n + place
    return flat


def _bounded(place: Array, n: int, mode: str) -> Array:
    """Positions along an axis of length n, brought within it."""
    if mode == "clip":
        return clip(place, 0, n - 1)
    if mode == "wrap":
        return remainder(place, n)
    if mode == "ignore":
        return place
    if mode != "raise":
        raise ArgumentError(f"ravel_multi_index: mode is 'raise', 'wrap', 'clip' or 'ignore', got {mode!r}")
    if isinstance(place, Tracer):
        raise ArgumentTypeError(
            'ravel_multi_index: mode "raise" needs indices that are known, and these are traced',
            fix='use mode="wrap" or mode="clip"',
        )
    if not bool(logical_and(place >= 0, place < n).all()):
        raise IndexingError(f"ravel_multi_index: an index is out of bounds for an axis of length {n}")
    return place


def lexsort(keys: Any, axis: int = -1) -> Array:
    """The positions along an axis that sort by several keys, the last of which counts most.

    Args:
        keys: a sequence of arrays of one shape, or an array of keys along axis 0.
        axis: an axis of the keys.

    Returns:
        An array of the default integer, of the shape of a key.

    Raises:
        ArgumentError: there are no keys.
        ShapeError: keys of different shapes.

    >>> jnp.lexsort((jnp.array([2, 1, 3]), jnp.array([1, 1, 0])))
    Array([2, 1, 0], dtype=int32)
    """
    arrays = as_arrays("lexsort", *keys)
    if not arrays:
        raise ArgumentError("lexsort needs at least one key")
    if any(x.shape != arrays[0].shape for x in arrays):
        raise ShapeError(f"lexsort: keys of shapes {', '.join(show(x.shape) for x in arrays)}")
    if not arrays[0].ndim:
        return lax.full((), 0, int)
    lines = [moveaxis(x, axis, -1) for x in arrays]
    order = lax.broadcasted_iota(dtypes.scalar_dtype(int), lines[0].shape, lines[0].ndim - 1)
    for line in lines:
        ordered = take_along_axis(line, order, -1, mode="clip")
        order = lax.sort_key_val(ordered, order, line.ndim - 1)[1]
    return moveaxis(order, -1, axis)
