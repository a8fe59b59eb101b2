"""Functions of `jax.lax` that are made of others: of elements, of indices, and of control."""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

from nrx.control import while_loop
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.backend import default_device
from nrx.core.errors import ArgumentError, DTypeError, ShapeError
from nrx.core.pytree import tree_map
from nrx.core.shapes import Shape, canonical_axes, show
from nrx.ops.arithmetic import add, div, mul, neg, rem, sub
from nrx.ops.common import INTEGERS, as_arrays, check_dtype
from nrx.ops.dimension_numbers import GatherDimensionNumbers, ScatterDimensionNumbers
from nrx.ops.gather import gather
from nrx.ops.logic import (
    bitwise_and,
    bitwise_or,
    ge,
    gt,
    lt,
    ne,
    select,
    shift_left,
    shift_right_arithmetic,
    shift_right_logical,
)  # fmt: skip
from nrx.ops.reductions import reduce_max
from nrx.ops.rules import lift_same
from nrx.ops.scatter import scatter_add
from nrx.ops.slicing import concatenate
from nrx.ops.sorting import top_k
from nrx.ops.structural import (
    bitcast_convert_type,
    broadcast_in_dim,
    convert_element_type,
    expand_dims,
    full,
    full_like,
    reshape,
)
from nrx.transforms import custom_jvp, vmap


class RoundingMethod(IntEnum):
    """Where `round` takes halves: to the even number, or away from zero."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def broadcast_like(arr: Any, like_arr: Any) -> Array:
    """`arr` broadcast to the shape of `like_arr`.

    Args:
        arr: an array.
        like_arr: an array whose last axes `arr` broadcasts to.

    Returns:
        An array of the dtype of `arr`.

    Raises:
        ShapeError: the shapes do not go together.

    >>> import nrx
    >>> nrx.lax.broadcast_like(nrx.numpy.ones(2), nrx.numpy.ones((1, 2)))
    Array([[1., 1.]], dtype=float32)
    """
    x, like = as_arrays("broadcast_like", arr, like_arr)
    if x.ndim > like.ndim:
        raise ShapeError(f"broadcast_like: shape {show(x.shape)} does not broadcast to {show(like.shape)}")
    return broadcast_in_dim(x, like.shape, tuple(range(like.ndim - x.ndim, like.ndim)))


def reciprocal(x: Any) -> Array:
    """1 / x, elementwise.

    Of numbers, whose shape and dtype the result has.

    >>> import nrx
    >>> nrx.lax.reciprocal(nrx.numpy.array([2.0, -4.0]))
    Array([ 0.5 , -0.25], dtype=float32)
    """
    (x,) = as_arrays("reciprocal", x)
    return div(full_like(x, 1), x)


def mulhi(x: Any, y: Any) -> Array:
    """The upper half of the bits of the products of integers, elementwise.

    >>> import nrx
    >>> nrx.lax.mulhi(nrx.numpy.uint32(2**31), nrx.numpy.uint32(6))
    Array(3, dtype=uint32)
    """
    x, y = lift_same("mulhi", x, y)
    check_dtype("mulhi", x.aval, INTEGERS)
    signed, bits = not dtypes.is_unsigned(x.dtype), dtypes.iinfo(x.dtype).bits
    if bits < 64:
        wide = dtypes.int64 if signed else dtypes.uint64
        product = mul(convert_element_type(x, wide), convert_element_type(y, wide))
        shift = shift_right_arithmetic if signed else shift_right_logical
        return convert_element_type(shift(product, full_like(product, bits)), x.dtype)
    high = _mulhi_64(*(bitcast_convert_type(v, dtypes.uint64) for v in (x, y)))
    if not signed:
        return high
    high = bitcast_convert_type(high, dtypes.int64)
    for first, second in ((x, y), (y, x)):
        high = sub(high, select(lt(first, full_like(first, 0)), second, full_like(second, 0)))
    return high


def _mulhi_64(x: Array, y: Array) -> Array:
    """The upper 64 bits of products of uint64, from products of their halves."""
    half, low = full_like(x, 32), full_like(x, 0xFFFFFFFF)
    (x1, x0), (y1, y0) = ((shift_right_logical(v, half), bitwise_and(v, low)) for v in (x, y))
    middle = add(mul(x1, y0), shift_right_logical(mul(x0, y0), half))
    carried = add(mul(x0, y1), bitwise_and(middle, low))
    return add(add(mul(x1, y1), shift_right_logical(middle, half)), shift_right_logical(carried, half))


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Array:
    """Numbers rounded to what a float of so many bits of exponent and mantissa holds, elementwise.

    Halves go to the even number, what is too large to inf, and what is below the least normal number to 0. The
    derivative is that of the identity.

    Args:
        operand: an array of floats of any shape.
        exponent_bits: at least 1.
        mantissa_bits: at least 0.

    Returns:
        An array of the same shape and dtype.

    Raises:
        ArgumentError: a number of bits is too small.
        DTypeError: the operand is not floating.

    >>> import nrx
    >>> nrx.lax.reduce_precision(nrx.numpy.float32(1.2345), 8, 7)
    Array(1.234375, dtype=float32)
    """
    (x,) = as_arrays("reduce_precision", operand)
    if not dtypes.is_floating(x.dtype):
        raise DTypeError(f"reduce_precision does not take {x.dtype}", fix="convert it with x.astype(...)")
    if exponent_bits < 1 or mantissa_bits < 0:
        raise ArgumentError(
            f"reduce_precision: exponent_bits must be positive and mantissa_bits not negative, got {exponent_bits} "
            f"and {mantissa_bits}"
        )
    return _reduced(int(exponent_bits), int(mantissa_bits), x)


def _rounded_bits(exponent_bits: int, mantissa_bits: int, x: Array) -> Array:
    info = dtypes.finfo(x.dtype)
    unsigned = {8: dtypes.uint8, 16: dtypes.uint16, 32: dtypes.uint32, 64: dtypes.uint64}[info.bits]
    bits = bitcast_convert_type(x, unsigned)
    one, drop = full_like(bits, 1), info.nmant - mantissa_bits
    if drop > 0:
        odd = bitwise_and(shift_right_logical(bits, full_like(bits, drop)), one)
        bits = add(bits, add(odd, full_like(bits, (1 << (drop - 1)) - 1)))
        bits = shift_left(shift_right_logical(bits, full_like(bits, drop)), full_like(bits, drop))
    sign = bitwise_and(bits, full_like(bits, 1 << (info.bits - 1)))
    exponents = info.bits - 1 - info.nmant
    if exponent_bits < exponents:
        size = bitwise_and(bits, full_like(bits, (1 << (info.bits - 1)) - 1))
        bias, most = (1 << (exponents - 1)) - 1, (1 << (exponent_bits - 1)) - 1
        too_large = ge(size, full_like(bits, (bias + most + 1) << info.nmant))
        too_small = lt(size, full_like(bits, (bias - most + 1) << info.nmant))
        infinity = bitwise_or(sign, full_like(bits, ((1 << exponents) - 1) << info.nmant))
        bits = select(too_large, infinity, select(too_small, sign, bits))
    return select(ne(x, x), x, bitcast_convert_type(bits, x.dtype))


_reduced = custom_jvp(_rounded_bits, nondiff_argnums=(0, 1))


@_reduced.defjvp
def _reduced_jvp(exponent_bits: int, mantissa_bits: int, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return _reduced(exponent_bits, mantissa_bits, *primals), tangents[0]


# Indices


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Array:
    """`operand` with `updates` subtracted from the windows that the indices name.

    Arguments as of `scatter`.

    The result has the shape and dtype of `operand`.

    >>> import nrx
    >>> rows = nrx.lax.ScatterDimensionNumbers((), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
    >>> nrx.lax.scatter_sub(nrx.numpy.zeros(3), nrx.numpy.array([[1], [1]]), nrx.numpy.ones(2), rows)
    Array([ 0., -2.,  0.], dtype=float32)
    """
    return scatter_add(
        operand, scatter_indices, neg(updates), dimension_numbers,
        indices_are_sorted=indices_are_sorted, unique_indices=unique_indices, mode=mode,
    )  # fmt: skip


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Array], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Shape = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Array:
    """`operand` with `func` applied to the elements that the indices name, as often as they name them.

    Args:
        operand: an array.
        scatter_indices, dimension_numbers, indices_are_sorted, mode: as of `scatter`.
        func: a function of a scalar that gives one.
        update_shape: the shape that updates would have.
        unique_indices: says that no element is named twice; then there are derivatives in reverse mode, too.

    Raises:
        DTypeError: `func` gives another dtype.

    The result has the shape and dtype of `operand`.

    >>> import nrx
    >>> rows = nrx.lax.ScatterDimensionNumbers((), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
    >>> x, at = nrx.numpy.array([1.0, 2.0, 3.0]), nrx.numpy.array([[1], [1], [2]])
    >>> nrx.lax.scatter_apply(x, at, lambda v: 10 * v, rows, update_shape=(3,))
    Array([  1., 200.,  30.], dtype=float32)
    """
    (x,) = as_arrays("scatter_apply", operand)
    counts = scatter_add(
        full(x.shape, 0, "int32"), scatter_indices, full(update_shape, 1, "int32"), dimension_numbers,
        indices_are_sorted=indices_are_sorted, unique_indices=unique_indices, mode=mode,
    )  # fmt: skip

    def applied(values: Array) -> Array:
        changed = reshape(vmap(func)(reshape(values, (values.size,))), values.shape)
        if changed.dtype != values.dtype:
            raise DTypeError(f"scatter_apply: func makes {changed.dtype} of {values.dtype}", fix="convert its result")
        return changed

    def again(step: tuple[Array, Array]) -> tuple[Array, Array]:
        left, values = step
        return sub(left, 1), select(gt(left, 0), applied(values), values)

    if unique_indices or not x.size:
        return again((counts, x))[1]
    return while_loop(lambda step: reduce_max(step[0], range(x.ndim)) > 0, again, (counts, x))[1]


def index_take(src: Any, idxs: Sequence[Any], axes: Sequence[int]) -> Array:
    """The parts of `src` at indices along some axes: vectors of one length, one an axis; they count modulo the size.

    `idxs` are the vectors.

    Raises:
        ShapeError: the vectors differ in length, or there is not one for each axis.

    The result has the dtype of `src`; its first axis runs along the vectors, those left over follow.

    >>> import nrx
    >>> nrx.lax.index_take(nrx.numpy.array([[1, 2], [3, 4]]), [nrx.numpy.array([0, -1])], [1])
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    (x,), indices = as_arrays("index_take: src", src), as_arrays("index_take: idxs", *idxs)
    axes = canonical_axes(axes, x.ndim, "axes")
    if len(axes) != len(indices) or any(i.ndim != 1 or i.shape != indices[0].shape for i in indices):
        raise ShapeError(
            f"index_take: {len(axes)} axes and indices of shapes {', '.join(show(i.shape) for i in indices) or 'none'}",
            fix="pass a vector for each axis, all of one length",
        )
    columns = [_modulo(i, x.shape[axis]) for i, axis in zip(indices, axes, strict=True)]
    numbers = GatherDimensionNumbers(
        offset_dims=tuple(range(1, x.ndim - len(axes) + 1)), collapsed_slice_dims=tuple(sorted(axes)),
        start_index_map=axes,
    )  # fmt: skip
    sizes = [1 if axis in axes else n for axis, n in enumerate(x.shape)]
    return gather(x, concatenate([expand_dims(c, (1,)) for c in columns], 1), numbers, sizes)


def _modulo(index: Array, size: int) -> Array:
    """Indices modulo a size, not negative."""
    length = full_like(index, size)
    rest = rem(index, length)
    return select(lt(rest, full_like(rest, 0)), add(rest, length), rest)


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Array, Array]:
    """The `k` largest elements along an axis and their indices: here exactly those of `top_k`.

    What tunes the approximation of other libraries is accepted and changes nothing.

    Args:
        operand: an array of real numbers.
        k: how many.
        reduction_dimension: the axis.
        recall_target, reduction_input_size_override, aggregate_to_topk: without effect.

    They have the dtype of the operand, and are int32 indices.

    >>> import nrx
    >>> nrx.lax.approx_max_k(nrx.numpy.array([3.0, 9.0, 5.0]), 2)
    (Array([9., 5.], dtype=float32), Array([1, 2], dtype=int32))
    """
    return top_k(operand, k, axis=reduction_dimension)


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Array, Array]:
    """The `k` smallest elements along an axis and their indices; see `approx_max_k`.

    They have the dtype of the operand, and are int32 indices.

    >>> import nrx
    >>> nrx.lax.approx_min_k(nrx.numpy.array([3.0, 9.0, 5.0]), 2)
    (Array([3., 5.], dtype=float32), Array([0, 2], dtype=int32))
    """
    values, indices = top_k(neg(operand), k, axis=reduction_dimension)
    return neg(values), indices


# Control


def optimization_barrier(operand: Any) -> Any:
    """The arrays of a tree `operand` as they are: the compiler never changes results, so nothing is to keep apart.

    Of any shapes and dtypes.

    >>> import nrx
    >>> nrx.lax.optimization_barrier((1.0, 2.0))
    (Array(1., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    return tree_map(asarray, operand)


def create_token(_: Any = None) -> Array:
    """A value that stands for a point in time; effects are in order here without it.

    Args:
        _: accepted for JAX's sake.

    It is an empty boolean array, of shape (0,).

    >>> import nrx
    >>> token = nrx.lax.create_token()
    """
    return full((0,), False, dtypes.bool_)


def after_all(*operands: Any) -> Array:
    """A token that comes after `operands`, which are tokens.

    It is an empty boolean array, of shape (0,).

    >>> import nrx
    >>> token = nrx.lax.after_all(nrx.lax.create_token())
    """
    return create_token()


def dce_sink(val: Any, *, prevent_mlir_dce: bool = False) -> None:
    """Nothing: it keeps no value `val` alive, whatever `prevent_mlir_dce` is.

    Of any shape and dtype.

    >>> import nrx
    >>> nrx.lax.dce_sink(1.0)
    """


def platform_dependent(*args: Any, default: Callable | None = None, **per_platform: Callable) -> Any:
    """What the function for the platform of new arrays gives for `args`, `cpu` or `cuda`; others are never called.

    Raises:
        ArgumentError: there is no function for it and no `default`.

    The functions `per_platform` and the `default` take the same arguments.

    All of them must return arrays of the same shapes and dtypes.

    >>> import nrx
    >>> nrx.lax.platform_dependent(2.0, cpu=lambda x: x + 1, default=lambda x: x)
    3.0
    """
    platform = {"gpu": "cuda"}.get(default_device().platform, default_device().platform)
    chosen = per_platform.get(platform, default)
    if chosen is None:
        raise ArgumentError(f"platform_dependent: nothing for {platform!r}, and no default", fix="pass default=...")
    return chosen(*args)


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """`x`: it lies on one device, however it should be spread.

    Args:
        x: a tree of arrays.
        shardings: what JAX takes.

    Returns:
        `x`.

    Shapes and dtypes stay.

    >>> import nrx
    >>> nrx.lax.with_sharding_constraint(nrx.numpy.ones(2), nrx.P("batch"))
    Array([1., 1.], dtype=float32)
    """
    return x
