"""Sorting and searching."""

from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array, wrap
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from nrx.core.shapes import canonical_axis, show
from nrx.core.trace import Tracer
from nrx.numpy.indexing import take
from nrx.numpy.promotion import promote_dtypes
from nrx.ops import searching
from nrx.ops.common import as_arrays


def sort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
) -> Array:
    """The elements in ascending order along an axis (of the flat array if None); NaN last.

    Args:
        a: an array.
        axis: an axis; None flattens the array.
        kind: must be None.
        order: must be None.
        stable: whether equal elements (0.0 and -0.0) keep their order.
        descending: whether the largest comes first.

    Returns:
        An array of the shape and dtype of a (flat if axis is None).

    >>> jnp.sort(jnp.array([3, 1, 2]))
    Array([1, 2, 3], dtype=int32)
    """
    x, at = _along("sort", a, axis, kind, order)
    out = lax.sort(x, at, stable)
    return lax.rev(out, [at]) if descending else out


def argsort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: None = None,
    order: None = None,
    stable: bool = True,
    descending: bool = False,
    dtype: Any = None,
) -> Array:
    """The positions along an axis that sort the elements.

    Args:
        a: an array.
        axis: an axis; None flattens the array.
        kind: must be None.
        order: must be None.
        stable: whether equal elements keep their order.
        descending: whether the largest comes first.
        dtype: the dtype of the positions; by default the default integer.

    Returns:
        An array of integers.

    Raises:
        DTypeError: the dtype is not one of integers.

    >>> jnp.argsort(jnp.array([3.0, 1.0, 2.0]))
    Array([1, 2, 0], dtype=int32)
    """
    x, at = _along("argsort", a, axis, kind, order)
    target = dtypes.canonical_dtype(int if dtype is None else dtype)
    if not dtypes.is_integer(target):
        raise DTypeError(f"argsort: positions are integers, got dtype={target}", fix="convert them afterwards")
    positions = lax.broadcasted_iota(target, x.shape, at)
    if not descending:
        return lax.sort_key_val(x, positions, at, stable)[1]
    # Reversed before and after, so that equal elements keep their order.
    found = lax.sort_key_val(lax.rev(x, [at]), lax.rev(positions, [at]), at, stable)[1]
    return lax.rev(found, [at])


def _along(name: str, a: Any, axis: int | None, kind: Any, order: Any) -> tuple[Array, int]:
    if kind is not None or order is not None:
        raise ArgumentError(f"{name} takes neither `kind` nor `order`", fix="use stable=False where order may vary")
    (x,) = as_arrays(name, a)
    if axis is None or not x.ndim:
        return lax.reshape(x, (x.size,)), 0
    return x, canonical_axis(axis, x.ndim)


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple[Array, ...]:
    """The positions of the elements that are not 0, one array of indices an axis.

    Args:
        a: an array.
        size: the number of positions to give: the result is cut, or filled up. Needed where `a` is traced.
        fill_value: what it is filled with, a number or one an axis; by default 0.

    Returns:
        A tuple of arrays of shape (n,), of the default integer (NumPy: int64).

    Raises:
        ArgumentTypeError: `a` is traced, and there is no size.

    >>> jnp.nonzero(jnp.array([0, 5, 0, 7]))
    (Array([1, 3], dtype=int32),)
    >>> jnp.nonzero(jnp.array([0, 5, 0, 7]), size=3, fill_value=-1)
    (Array([ 1,  3, -1], dtype=int32),)
    """
    (x,) = as_arrays("nonzero", a)
    if not x.ndim:
        raise ShapeError("nonzero needs an array of at least 1 axis", fix="use atleast_1d(x)")
    integer = dtypes.scalar_dtype(int)
    if size is None:
        if isinstance(x, Tracer):
            raise ArgumentTypeError(
                f"nonzero of {x.aval}: the number of results is not known while tracing",
                fix="pass size=n (the result is cut, or filled with fill_value), or use where(condition, x, y)",
            )
        return tuple(wrap(i.astype(integer)) for i in np.nonzero(np.asarray(x)))
    flat = lax.ne(lax.reshape(x, (x.size,)), lax.full((x.size,), 0, x.dtype))
    fills = fill_value if isinstance(fill_value, tuple) else (0 if fill_value is None else fill_value,) * x.ndim
    found, count = _first_true(flat, size)
    # The position along each axis of a position in the flat array.
    strides = [int(np.prod(x.shape[i + 1 :])) for i in range(x.ndim)]
    valid = lax.lt(lax.iota(dtypes.int32, size), lax.broadcast_in_dim(count, (size,), ()))
    return tuple(
        lax.select(valid, lax.rem(lax.div(found, max(stride, 1)), max(length, 1)), lax.full((size,), fill, integer))
        for stride, length, fill in zip(strides, x.shape, fills, strict=True)
    )


def _first_true(flat: Array, size: int) -> tuple[Array, Array]:
    """The positions of the first `size` true elements, and how many there are."""
    integer = dtypes.scalar_dtype(int)
    rank = lax.cumsum(lax.convert_element_type(flat, dtypes.int32), 0)
    count = lax.reduce_sum(lax.convert_element_type(flat, dtypes.int32), [0])
    place = lax.select(flat, lax.sub(rank, 1), lax.full_like(rank, size))
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    positions = lax.iota(integer, flat.size)
    found = lax.scatter(
        lax.full((size,), 0, integer), lax.reshape(place, (flat.size, 1)), positions, numbers, mode="drop"
    )  # fmt: skip
    return found, count


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The positions in the flat array of the elements that are not 0.

    Args:
        a: an array.
        size: as for nonzero.
        fill_value: as for nonzero.

    Returns:
        A vector, of shape (size,) if that is given, of the default integer.

    >>> jnp.flatnonzero(jnp.array([[0, 5], [6, 0]]))
    Array([1, 2], dtype=int32)
    """
    (x,) = as_arrays("flatnonzero", a)
    return nonzero(lax.reshape(x, (x.size,)), size=size, fill_value=fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Array:
    """The positions of the elements that are not 0, one row of indices an element.

    Args:
        a: an array.
        size: as for nonzero.
        fill_value: as for nonzero.

    Returns:
        A matrix of the default integer.

    >>> jnp.argwhere(jnp.array([[0, 5], [6, 0]]))
    Array([[0, 1],
           [1, 0]], dtype=int32)
    """
    (x,) = as_arrays("argwhere", a)
    if not x.ndim:
        count = nonzero(lax.reshape(x, (1,)), size=size, fill_value=fill_value)[0].size
        return lax.full((count, 0), 0, dtypes.scalar_dtype(int))
    found = nonzero(x, size=size, fill_value=fill_value)
    return lax.concatenate([lax.reshape(i, (i.size, 1)) for i in found], 1)


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan") -> Array:
    """Where values would have to be inserted into a sorted vector to keep it sorted.

    Args:
        a: a sorted vector.
        v: an array of values.
        side: whether "left" or "right" of equal elements.
        sorter: integers that sort `a`, which then need not be sorted: `argsort(a)`.
        method: without effect.

    Returns:
        An array of the default integer, of the shape of v.

    Raises:
        ArgumentError: another `side`.
        ShapeError: `a` is not a vector.

    >>> jnp.searchsorted(jnp.array([1.0, 2.0, 4.0]), jnp.array([2.0, 3.0]))
    Array([1, 2], dtype=int32)
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side is 'left' or 'right', got {side!r}")
    line, values = promote_dtypes("searchsorted", a, v)
    if line.ndim != 1:
        raise ShapeError(f"searchsorted needs a sorted vector, got shape {show(line.shape)}")
    if sorter is not None:
        line = take(line, sorter, 0)
    return searching.searchsorted(line, values, side=side, dtype=dtypes.scalar_dtype(int))
