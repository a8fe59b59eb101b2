"""Reductions over axes: the largest, the smallest, the product, bitwise and/or/xor, and where the extremes are.

`reduce_sum` is in `structural`, as the transpose of broadcasting.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Zero
from nrx.core.errors import DTypeError, ShapeError
from nrx.core.loops import Reduction
from nrx.core.primitive import Primitive
from nrx.core.shapes import canonical_axes, canonical_axis, show, size, without
from nrx.ops import accumulation
from nrx.ops.arithmetic import add, div, mul
from nrx.ops.common import ANY, BITS, NOT_YET_LOWERED, NUMBERS, REAL, as_arrays, check_dtype, widened
from nrx.ops.logic import eq
from nrx.ops.rules import discrete, nonlinear
from nrx.ops.slicing import concatenate, split
from nrx.ops.structural import broadcast_in_dim, convert_element_type, reduce_sum, reshape, transpose

reduce_max_p = Primitive("reduce_max")
reduce_min_p = Primitive("reduce_min")
reduce_prod_p = Primitive("reduce_prod")
reduce_and_p = Primitive("reduce_and")
reduce_or_p = Primitive("reduce_or")
reduce_xor_p = Primitive("reduce_xor")
argmax_p = Primitive("argmax")
argmin_p = Primitive("argmin")

# Public functions


def reduce_max(operand: Any, axes: Sequence[int]) -> Array:
    """The largest element of `operand` over `axes`; NaN if there is one; -inf, or the lowest number, if there is none.

    The result lacks the axes and has the dtype of `operand`.

    >>> import nrx
    >>> nrx.lax.reduce_max(nrx.numpy.array([[1, 9], [7, 2]]), (0,))
    Array([7, 9], dtype=int32)
    """
    return _reduce(reduce_max_p, operand, axes)


def reduce_min(operand: Any, axes: Sequence[int]) -> Array:
    """The smallest element of `operand` over `axes`; NaN if there is one; inf, or the highest number, if there is none.

    The result lacks the axes and has the dtype of `operand`.

    >>> import nrx
    >>> nrx.lax.reduce_min(nrx.numpy.array([[1, 9], [7, 2]]), (0,))
    Array([1, 2], dtype=int32)
    """
    return _reduce(reduce_min_p, operand, axes)


def reduce_prod(operand: Any, axes: Sequence[int]) -> Array:
    """The product of `operand` over `axes`; integers wrap, 16-bit floats multiply in float32.

    >>> import nrx
    >>> nrx.lax.reduce_prod(nrx.numpy.array([[1, 9], [7, 2]]), (0, 1))
    Array(126, dtype=int32)
    """
    return _reduce(reduce_prod_p, operand, axes)


def reduce_and(operand: Any, axes: Sequence[int]) -> Array:
    """Bitwise and of `operand` over `axes`: for booleans whether all are true; all bits set over an empty axis.

    >>> import nrx
    >>> nrx.lax.reduce_and(nrx.numpy.array([[True, True], [True, False]]), (1,))
    Array([ True, False], dtype=bool)
    """
    return _reduce(reduce_and_p, operand, axes)


def reduce_or(operand: Any, axes: Sequence[int]) -> Array:
    """Bitwise or of `operand` over `axes`: for booleans whether any is true; 0 over an empty axis.

    >>> import nrx
    >>> nrx.lax.reduce_or(nrx.numpy.array([[False, True], [False, False]]), (1,))
    Array([ True, False], dtype=bool)
    """
    return _reduce(reduce_or_p, operand, axes)


def reduce_xor(operand: Any, axes: Sequence[int]) -> Array:
    """Bitwise exclusive or of `operand` over `axes`: for booleans whether an odd number is true; 0 over an empty axis.

    >>> import nrx
    >>> nrx.lax.reduce_xor(nrx.numpy.array([[True, True], [True, False]]), (1,))
    Array([False,  True], dtype=bool)
    """
    return _reduce(reduce_xor_p, operand, axes)


def argmax(operand: Any, axis: int, index_dtype: Any) -> Array:
    """Where along `axis` the largest element is: the first of equal ones, or the first NaN.

    Args:
        operand: an array of real numbers.
        axis: the axis, which may not be empty.
        index_dtype: an integer dtype.

    >>> import nrx
    >>> nrx.lax.argmax(nrx.numpy.array([[1, 9], [7, 2]]), 1, "int32")
    Array([1, 0], dtype=int32)
    """
    return _arg_reduce(argmax_p, operand, axis, index_dtype)


def argmin(operand: Any, axis: int, index_dtype: Any) -> Array:
    """Where along `axis` the smallest element is: the first of equal ones, or the first NaN.

    Arguments as of `argmax`.

    The result lacks the axis and has `index_dtype`.

    >>> import nrx
    >>> nrx.lax.argmin(nrx.numpy.array([[1, 9], [7, 2]]), 1, "int32")
    Array([0, 1], dtype=int32)
    """
    return _arg_reduce(argmin_p, operand, axis, index_dtype)


def _reduce(prim: Primitive, operand: Any, axes: Sequence[int]) -> Array:
    (x,) = as_arrays(prim.name, operand)
    axes = canonical_axes(axes, x.ndim)
    return prim.bind(x, axes=tuple(sorted(axes))) if axes else x


def _arg_reduce(prim: Primitive, operand: Any, axis: int, index_dtype: Any) -> Array:
    (x,) = as_arrays(prim.name, operand)
    return prim.bind(x, dimension=canonical_axis(axis, x.ndim), index_dtype=dtypes.canonical_dtype(index_dtype))


def lowest(dtype: np.dtype) -> Any:
    """The identity of max: -inf, or the lowest number of a dtype without infinities (False of bool)."""
    return _limit(dtype, -np.inf, "min")


def highest(dtype: np.dtype) -> Any:
    """The identity of min: inf, or the highest number of a dtype without infinities (True of bool)."""
    return _limit(dtype, np.inf, "max")


def _limit(dtype: np.dtype, infinity: float, side: str) -> Any:
    if dtypes.is_bool(dtype):
        return infinity > 0
    if dtypes.is_integer(dtype):
        return getattr(dtypes.iinfo(dtype), side)
    infinite = bool(np.isinf(np.asarray(infinity).astype(dtype)))
    return infinity if infinite else getattr(dtypes.finfo(dtype), side)


# impl


def _extremum_impl(function: str, identity: Callable) -> Callable:
    def impl(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
        if any(x.shape[axis] == 0 for axis in axes):
            return xp.full(without(x.shape, axes), identity(x.dtype), x.dtype)
        return getattr(xp, function)(widened(x), axis=axes).astype(x.dtype, copy=False)

    return impl


def _prod_impl(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    wide = widened(x)
    return xp.prod(wide, axis=axes, dtype=wide.dtype).astype(x.dtype, copy=False)


def _bitwise_impl(function: str, identity: int) -> Callable:
    def impl(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
        kept = without(range(x.ndim), axes)
        shape = without(x.shape, axes)
        rows = x.transpose(*axes, *kept).reshape(size(tuple(x.shape[axis] for axis in axes)), *shape)
        if rows.shape[0] == 0:
            return xp.full(shape, identity, np.int64).astype(x.dtype)
        while (count := rows.shape[0]) > 1:  # the ufuncs' own `reduce` is missing in CuPy
            half = count // 2
            folded = getattr(xp, function)(rows[:half], rows[half : 2 * half])
            rows = xp.concatenate([folded, rows[2 * half :]]) if count % 2 else folded
        return rows[0]

    return impl


def _arg_impl(function: str) -> Callable:
    def impl(xp: Any, x: Any, *, dimension: int, index_dtype: np.dtype) -> Any:
        return getattr(xp, function)(widened(x), axis=dimension).astype(index_dtype)

    return impl


# abstract


def _reduce_abstract(name: str, accepts: frozenset) -> Callable:
    def abstract(x: Aval, *, axes: tuple[int, ...]) -> Aval:
        check_dtype(name, x, accepts)
        return x.update(shape=without(x.shape, axes))

    return abstract


def _arg_abstract(name: str) -> Callable:
    def abstract(x: Aval, *, dimension: int, index_dtype: np.dtype) -> Aval:
        check_dtype(name, x, REAL, fix="compare the real parts or the moduli")
        if not dtypes.is_integer(index_dtype):
            raise DTypeError(f"{name}: the index dtype must be an integer one, got {index_dtype}", fix="use int32")
        length = x.shape[dimension]
        if length == 0:
            raise ShapeError(
                f"{name} over axis {dimension} of shape {show(x.shape)}: it is empty, there is no element to point at"
            )
        if isinstance(length, int) and length - 1 > dtypes.iinfo(index_dtype).max:
            raise DTypeError(f"{name}: {index_dtype} cannot count the {length} elements of axis {dimension}")
        return Aval(without(x.shape, [dimension]), index_dtype)

    return abstract


# jvp


def _extremum_jvp(prim: Primitive) -> Callable:
    def jvp(primals: Sequence[Array], tangents: Sequence[Any], *, axes: tuple[int, ...]) -> tuple[Any, Any]:
        (x,), (t,) = primals, tangents
        out = prim.bind(x, axes=axes)
        kept = without(range(x.ndim), axes)
        chosen = convert_element_type(eq(x, broadcast_in_dim(out, x.shape, kept)), x.dtype)
        ties = broadcast_in_dim(reduce_sum(chosen, axes), x.shape, kept)
        return out, reduce_sum(mul(t, div(chosen, ties)), axes)

    return jvp


def _prod_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """By multiplying halves, with the product rule: right where elements are zero, which rules out dividing by them."""
    (x,), (t,) = primals, tangents
    out = reduce_prod_p.bind(x, axes=axes)
    if x.size == 0:
        return out, Zero(out.aval.tangent)
    order = (*axes, *without(range(x.ndim), axes))
    rows = (size(tuple(x.shape[axis] for axis in axes)), *out.shape)
    x, t = reshape(transpose(x, order), rows), reshape(transpose(t, order), rows)
    while (count := x.shape[0]) > 1:
        sizes = [count // 2, count // 2, *[1] * (count % 2)]
        (x0, x1, *odd_x), (t0, t1, *odd_t) = split(x, sizes), split(t, sizes)
        x = concatenate([mul(x0, x1), *odd_x], 0)
        t = concatenate([add(mul(t0, x1), mul(t1, x0)), *odd_t], 0)
    return out, reshape(t, out.shape)


# batch


def _reduce_batch(prim: Primitive) -> Callable:
    def batch(axis: Any, args: Any, dims: Any, *, axes: tuple[int, ...]) -> tuple[Any, int]:
        (dim,) = dims
        moved = tuple(a + (a >= dim) for a in axes)
        return prim.bind(*args, axes=moved), dim - sum(a < dim for a in moved)

    return batch


def _arg_batch(prim: Primitive) -> Callable:
    def batch(axis: Any, args: Any, dims: Any, *, dimension: int, index_dtype: np.dtype) -> tuple[Any, int]:
        (dim,) = dims
        out = prim.bind(*args, dimension=dimension + (dimension >= dim), index_dtype=index_dtype)
        return out, dim - (dimension < dim)

    return batch


# lower


def _reduce_lower(function: Callable, neutral: Callable[[np.dtype], Any]) -> Callable:
    def lower(x: Aval, *, axes: tuple[int, ...]) -> Reduction:
        return accumulation.by(function, neutral(x.dtype), x.dtype).over_axes(axes)

    return lower


def _extremum_lower(function: Callable, beats: Callable, identity: Callable[[np.dtype], Any]) -> Callable:
    reals = _reduce_lower(function, identity)

    def lower(x: Aval, *, axes: tuple[int, ...]) -> Reduction:
        count = size(tuple(x.shape[axis] for axis in axes))
        if not dtypes.is_complex(x.dtype):
            return reals(x, axes=axes)
        # Which of several elements with a NaN is the result depends on their order.
        positions, least = accumulation.position_type(count), identity(x.dtype)
        neutral = complex(least, least if count else 0)
        return accumulation.first_of(beats, neutral, x.dtype, positions).over_axes(axes, positions)

    return lower


def _arg_lower(beats: Callable, identity: Callable[[np.dtype], Any]) -> Callable:
    def lower(x: Aval, *, dimension: int, index_dtype: np.dtype) -> Reduction:
        positions = accumulation.position_type(x.shape[dimension])
        found = accumulation.first_of(beats, identity(x.dtype), x.dtype, positions)
        return accumulation.Accumulator(found.inits, found.combine, operator.itemgetter(-1)).over_axes(
            (dimension,), positions
        )

    return lower


def _all_bits(dtype: np.dtype) -> Any:
    return highest(dtype) if dtypes.is_unsigned(dtype) or dtypes.is_bool(dtype) else -1


# Registration

for _prim, _accepts, _impl, _lower in (
    (
        reduce_max_p,
        ANY,
        _extremum_impl("max", lowest),
        _extremum_lower(accumulation.larger, accumulation.greater, lowest),
    ),
    (
        reduce_min_p,
        ANY,
        _extremum_impl("min", highest),
        _extremum_lower(accumulation.smaller, accumulation.less, highest),
    ),
    (reduce_prod_p, NUMBERS, _prod_impl, _reduce_lower(operator.mul, lambda dtype: 1)),
    (reduce_and_p, BITS, _bitwise_impl("bitwise_and", -1), _reduce_lower(operator.and_, _all_bits)),
    (reduce_or_p, BITS, _bitwise_impl("bitwise_or", 0), _reduce_lower(operator.or_, lambda dtype: 0)),
    (reduce_xor_p, BITS, _bitwise_impl("bitwise_xor", 0), _reduce_lower(operator.xor, lambda dtype: 0)),
):
    _prim.define(impl=_impl, abstract=_reduce_abstract(_prim.name, _accepts), batch=_reduce_batch(_prim), lower=_lower)
    _prim.refuse(onnx=NOT_YET_LOWERED)
nonlinear(reduce_max_p, _extremum_jvp(reduce_max_p))
nonlinear(reduce_min_p, _extremum_jvp(reduce_min_p))
nonlinear(reduce_prod_p, _prod_jvp)
for _prim in (reduce_and_p, reduce_or_p, reduce_xor_p):
    discrete(_prim)
for _prim, _lower in (
    (argmax_p, _arg_lower(accumulation.greater, lowest)),
    (argmin_p, _arg_lower(accumulation.less, highest)),
):
    _prim.define(impl=_arg_impl(_prim.name), abstract=_arg_abstract(_prim.name), batch=_arg_batch(_prim), lower=_lower)
    discrete(_prim).refuse(onnx=NOT_YET_LOWERED)
