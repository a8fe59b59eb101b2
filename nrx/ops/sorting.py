"""Sorting along an axis: sort with several keys and payloads, top_k.

NaN sorts last and counts as the largest, -0.0 and 0.0 are equal, complex numbers compare by real, then imaginary part.
"""

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Zero
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.primitive import Primitive
from nrx.core.shapes import canonical_axis, inserted, show, without
from nrx.ops.common import NOT_YET_LOWERED, REAL, as_arrays, check_dtype, check_same_shape, filled, widened
from nrx.ops.indexing import GatherDimensionNumbers, gather
from nrx.ops.rules import nonlinear
from nrx.ops.structural import broadcasted_iota, expand_dims, spread

sort_p = Primitive("sort", multiple_results=True)
top_k_p = Primitive("top_k", multiple_results=True)

# Public functions


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """`operand` in ascending order along an axis; a sequence of arrays is sorted by the first `num_keys` of them."""
    several = isinstance(operand, Sequence)
    arrays = as_arrays("sort", *(operand if several else [operand]))
    if not arrays:
        raise ArgumentError("sort needs at least one operand")
    if not 1 <= num_keys <= len(arrays):
        raise ArgumentError(f"sort: num_keys must be from 1 to the number of operands, {len(arrays)}, got {num_keys}")
    dimension = canonical_axis(dimension, arrays[0].ndim, "dimension")
    out = sort_p.bind(*arrays, dimension=dimension, is_stable=bool(is_stable), num_keys=num_keys)
    return tuple(out) if several else out[0]


def sort_key_val(keys: Any, values: Any, dimension: int = -1, is_stable: bool = True) -> tuple[Array, Array]:
    """`keys` sorted along an axis, and `values` moved along with them."""
    return sort((keys, values), dimension, is_stable)


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Array, Array]:
    """The `k` largest elements along an axis, largest first, and their int32 indices; of equal ones the first first."""
    (x,) = as_arrays("top_k", operand)
    return tuple(top_k_p.bind(x, k=index(k), dimension=canonical_axis(axis, x.ndim)))


# impl


def _sort_impl(xp: Any, *xs: Any, dimension: int, is_stable: bool, num_keys: int) -> list[Any]:
    if len(xs) == 1 and xs[0].dtype.kind != "c":
        # Only the signs of zeros tell equal elements apart; NumPy's default is much faster than its stable sort.
        (x,) = xs
        kind = "stable" if is_stable and x.dtype.kind not in "iub" else None
        return [xp.sort(widened(x), axis=dimension, kind=kind).astype(x.dtype, copy=False)]
    keys = [part for x in xs[:num_keys] for part in ((x.real, x.imag) if x.dtype.kind == "c" else (widened(x),))]
    order = xp.argsort(keys[-1], axis=dimension, kind="stable")
    for key in keys[-2::-1]:
        key = xp.take_along_axis(key, order, axis=dimension)
        order = xp.take_along_axis(order, xp.argsort(key, axis=dimension, kind="stable"), axis=dimension)
    return [xp.take_along_axis(x, order, axis=dimension) for x in xs]


def _top_k_impl(xp: Any, x: Any, *, k: int, dimension: int) -> list[Any]:
    # Sorted backwards and reversed: descending, and of equal elements the first one first.
    last = x.shape[dimension] - 1
    order = xp.argsort(xp.flip(widened(x), dimension), axis=dimension, kind="stable")
    first = (slice(None),) * dimension + (slice(None, k),)
    indices = last - xp.flip(order, dimension)[first]
    return [xp.take_along_axis(x, indices, axis=dimension), indices.astype(np.int32)]


# abstract


def _sort_abstract(*xs: Aval, dimension: int, is_stable: bool, num_keys: int) -> Sequence[Aval]:
    check_same_shape("sort", *xs)
    return xs


def _top_k_abstract(x: Aval, *, k: int, dimension: int) -> Sequence[Aval]:
    check_dtype("top_k", x, REAL, fix="compare the real parts or the moduli")
    length = x.shape[dimension]
    if not 0 <= k <= length:
        raise ShapeError(
            f"top_k: k = {k} elements of axis {dimension} of shape {show(x.shape)}",
            fix=f"k must be from 0 to the length of the axis, {length}",
        )
    shape = inserted(without(x.shape, [dimension]), dimension, k)
    return [x.update(shape=shape), Aval(shape, dtypes.int32)]


# jvp: tangents go the way of the elements


def _take_along(x: Array, indices: Array, dim: int) -> Array:
    """The elements of `x` at `indices`, all different, along one axis."""
    if x.shape[dim] == 0:
        return x
    others = without(range(x.ndim), [dim])
    numbers = GatherDimensionNumbers((), (dim,), (dim,), others, others)
    starts = expand_dims(indices, [x.ndim])
    return gather(x, starts, numbers, filled(x.shape, 1), unique_indices=True, mode="promise_in_bounds")


def _sort_jvp(
    primals: Sequence[Array], tangents: Sequence[Any], *, dimension: int, is_stable: bool, num_keys: int
) -> tuple[Any, Any]:
    places = broadcasted_iota(dtypes.int64, primals[0].shape, dimension)
    *outs, order = sort_p.bind(*primals, places, dimension=dimension, is_stable=is_stable, num_keys=num_keys)
    return outs, [t if isinstance(t, Zero) else _take_along(t, order, dimension) for t in tangents]


def _top_k_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, k: int, dimension: int) -> tuple[Any, Any]:
    values, indices = top_k_p.bind(*primals, k=k, dimension=dimension)
    return [values, indices], [_take_along(tangents[0], indices, dimension), Zero(indices.aval.tangent)]


# batch


def _sort_batch(axis: Any, args: Any, dims: Any, *, dimension: int, **params: Any) -> tuple[Any, list[int]]:
    moved = [spread(x, dim, axis.size) for x, dim in zip(args, dims, strict=True)]
    return sort_p.bind(*moved, dimension=dimension + 1, **params), [0] * len(moved)


def _top_k_batch(axis: Any, args: Any, dims: Any, *, k: int, dimension: int) -> tuple[Any, list[int]]:
    (dim,) = dims
    return top_k_p.bind(*args, k=k, dimension=dimension + (dimension >= dim)), [dim, dim]


# Registration

sort_p.define(impl=_sort_impl, abstract=_sort_abstract, batch=_sort_batch)
top_k_p.define(impl=_top_k_impl, abstract=_top_k_abstract, batch=_top_k_batch)
for _prim, _jvp in ((sort_p, _sort_jvp), (top_k_p, _top_k_jvp)):
    nonlinear(_prim, _jvp).refuse(lower=NOT_YET_LOWERED, onnx=NOT_YET_LOWERED)
