"""Shapes and layouts: broadcasting, stacking, tiling, and the shapes that windows and convolutions give."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import Shape, canonical_axis, canonical_shape, show, size
from nrx.ops.common import as_arrays
from nrx.ops.convolution import conv_general_dilated, conv_transpose
from nrx.ops.convolution_geometry import ConvDimensionNumbers, conv_dimension_numbers
from nrx.ops.dot import dot_general
from nrx.ops.slicing import concatenate, index_in_dim
from nrx.ops.sliding import canonical_padding, canonical_steps, dilated, window_count
from nrx.ops.structural import broadcast_in_dim, expand_dims, full, reshape, transpose
from nrx.transforms import ShapeDtypeStruct, eval_shape

#: The layouts of lhs, rhs and result, as `conv_dimension_numbers` takes them.
ConvGeneralDilatedDimensionNumbers = tuple[str, str, str] | ConvDimensionNumbers | None


def broadcast(operand: Any, sizes: Sequence[int], *, out_sharding: Any = None) -> Array:
    """`operand` repeated along new leading axes of the lengths `sizes`.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.broadcast(nrx.numpy.array([1, 2]), (3,))
    Array([[1, 2],
           [1, 2],
           [1, 2]], dtype=int32)
    """
    (x,) = as_arrays("broadcast", operand)
    sizes = canonical_shape(sizes)
    return broadcast_in_dim(x, (*sizes, *x.shape), range(len(sizes), len(sizes) + x.ndim))


def broadcast_to_rank(x: Any, rank: int) -> Array:
    """`x` with leading axes of size 1, so that it has `rank` axes in all.

    Raises:
        ShapeError: it has more already.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.broadcast_to_rank(nrx.numpy.ones(3), 3).shape
    (1, 1, 3)
    """
    (x,) = as_arrays("broadcast_to_rank", x)
    if rank < x.ndim:
        raise ShapeError(f"broadcast_to_rank: an array of shape {show(x.shape)} has more than {rank} axes")
    return reshape(x, ((1,) * (rank - x.ndim) + x.shape))


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Array:
    """`operand` with the axes from `start_dimension` up to, not including, `stop_dimension` made one.

    Raises:
        ArgumentError: the axes end before they start.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.collapse(nrx.numpy.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    (x,) = as_arrays("collapse", operand)
    start, stop, _ = slice(start_dimension, stop_dimension).indices(x.ndim)
    if stop < start:
        raise ArgumentError(f"collapse: axes from {start_dimension} to {stop_dimension} are none", fix="swap them")
    return reshape(x, (*x.shape[:start], size(x.shape[start:stop]), *x.shape[stop:]))


def stack(operands: Sequence[Any], axis: int = 0) -> Array:
    """`operands`, arrays of one shape and dtype, along a new axis.

    Raises:
        ArgumentError: there is no array.

    >>> import nrx
    >>> nrx.lax.stack([nrx.numpy.array([1, 2]), nrx.numpy.array([3, 4])], axis=1)
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    parts = as_arrays("stack", *operands)
    if not parts:
        raise ArgumentError("stack needs an array", fix="pass at least one")
    at = canonical_axis(axis, parts[0].ndim + 1)
    return concatenate([expand_dims(x, (at,)) for x in parts], at)


def unstack(x: Any, axis: int = 0) -> tuple[Array, ...]:
    """The slices of `x` along an axis, without it.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.unstack(nrx.numpy.array([[1, 2], [3, 4]]))
    (Array([1, 2], dtype=int32), Array([3, 4], dtype=int32))
    """
    (x,) = as_arrays("unstack", x)
    at = canonical_axis(axis, x.ndim)
    return tuple(index_in_dim(x, i, at, keepdims=False) for i in range(x.shape[at]))


def tile(operand: Any, reps: Sequence[int]) -> Array:
    """`operand` repeated as often as `reps` says for each axis.

    Raises:
        ShapeError: `reps` has not one number for each axis.

    The dtype stays.

    >>> import nrx
    >>> nrx.lax.tile(nrx.numpy.array([1, 2]), (2,))
    Array([1, 2, 1, 2], dtype=int32)
    """
    (x,) = as_arrays("tile", operand)
    times = canonical_shape(reps)
    if len(times) != x.ndim:
        raise ShapeError(f"tile: {len(times)} repetitions {times} for an array of shape {show(x.shape)}")
    pairs = [n for pair in zip(times, x.shape, strict=True) for n in pair]
    spread = broadcast_in_dim(x, pairs, range(1, 2 * x.ndim, 2))
    return reshape(spread, tuple(n * t for n, t in zip(x.shape, times, strict=True)))


def empty(shape: Any, dtype: Any, *, out_sharding: Any = None) -> Array:
    """An array of that shape and dtype; its elements are zeros, as everything here is deterministic.

    >>> import nrx
    >>> nrx.lax.empty((2,), "float32")
    Array([0., 0.], dtype=float32)
    """
    return full(canonical_shape(shape), 0, dtype)


def dtype(x: Any) -> np.dtype:
    """The dtype of an array `x`, or the one that a number or NumPy array would get.

    >>> import nrx
    >>> nrx.lax.dtype(1.5)
    dtype('float32')
    """
    return asarray(x, "dtype: argument").dtype


# Shapes of windows and convolutions


def padtype_to_pads(
    in_shape: Sequence[int], window_shape: Sequence[int], window_strides: Sequence[int], padding: str
) -> list[tuple[int, int]]:
    """The (low, high) padding of each axis that 'SAME', 'SAME_LOWER' or 'VALID' stands for.

    Args:
        in_shape: the lengths of the axes.
        window_shape, window_strides: the length and stride of the windows along each.
        padding: one of the names.

    Pairs of ints, whatever the dtype.

    >>> import nrx
    >>> nrx.lax.padtype_to_pads((10, 10), (3, 3), (1, 2), "SAME")
    [(1, 1), (0, 1)]
    """
    in_shape, window = canonical_shape(in_shape), canonical_shape(window_shape)
    return list(canonical_padding("padtype_to_pads", padding, in_shape, window, tuple(window_strides)))


def reduce_window_shape_tuple(
    operand_shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Any,
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Shape:
    """The shape that `reduce_window` gives.

    `operand_shape` is the shape of the operand, the other arguments are as of `reduce_window`.

    A tuple of ints, whatever the dtype.

    >>> import nrx
    >>> nrx.lax.reduce_window_shape_tuple((8, 8), (3, 3), (2, 2), "VALID")
    (3, 3)
    """
    shape = canonical_shape(operand_shape)
    window, strides, base, dilation = (
        canonical_steps("reduce_window", steps, len(shape))
        for steps in (window_dimensions, window_strides, base_dilation, window_dilation)
    )
    pads = canonical_padding("reduce_window", padding, shape, tuple(map(dilated, window, dilation)), strides)
    return tuple(map(window_count, shape, window, strides, pads, base, dilation))


def conv_shape_tuple(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], strides: Sequence[int], pads: Any, batch_group_count: int = 1
) -> Shape:
    """The shape of a convolution of (batch, features, space) with (output features, input features, space).

    Args:
        lhs_shape, rhs_shape: the shapes of the operands.
        strides: one an axis of space.
        pads: 'SAME', 'SAME_LOWER', 'VALID', or (low, high) pairs.
        batch_group_count: as of `conv_general_dilated`.

    A tuple of ints, whatever the dtypes.

    >>> import nrx
    >>> nrx.lax.conv_shape_tuple((1, 3, 8, 8), (16, 3, 3, 3), (2, 2), "VALID")
    (1, 16, 3, 3)
    """
    lhs, rhs = canonical_shape(lhs_shape), canonical_shape(rhs_shape)
    return (lhs[0] // batch_group_count, rhs[0], *reduce_window_shape_tuple(lhs[2:], rhs[2:], strides, pads))


def conv_general_shape_tuple(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], window_strides: Sequence[int], padding: Any,
    dimension_numbers: Any,
) -> Shape:  # fmt: skip
    """The shape of a convolution in any layout.

    Arguments as of `conv_shape_tuple`; `window_strides` are the strides, `padding`
    the pads, `dimension_numbers` the layouts.

    A tuple of ints, whatever the dtypes.

    >>> import nrx
    >>> nrx.lax.conv_general_shape_tuple((1, 8, 8, 3), (3, 3, 3, 16), (1, 1), "SAME", ("NHWC", "HWIO", "NHWC"))
    (1, 8, 8, 16)
    """
    lhs, rhs = canonical_shape(lhs_shape), canonical_shape(rhs_shape)
    numbers = conv_dimension_numbers(lhs, rhs, dimension_numbers)
    plain = conv_shape_tuple([lhs[i] for i in numbers.lhs_spec], [rhs[i] for i in numbers.rhs_spec],
                             window_strides, padding)  # fmt: skip
    return tuple(plain[i] for i in np.argsort(numbers.out_spec))


def conv_transpose_shape_tuple(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], window_strides: Sequence[int], padding: Any,
    dimension_numbers: Any,
) -> Shape:  # fmt: skip
    """The shape of a transposed convolution, as of `conv_transpose`, in any layout.

    Args:
        lhs_shape, rhs_shape: the shapes of the operands.
        window_strides: how far apart the elements of lhs are spread, one an axis of space.
        padding: 'SAME', 'VALID', or (low, high) pairs.
        dimension_numbers: the layouts, as of `conv_dimension_numbers`.

    A tuple of ints, whatever the dtypes.

    >>> import nrx
    >>> nrx.lax.conv_transpose_shape_tuple((1, 4, 4, 3), (3, 3, 3, 16), (2, 2), "SAME", ("NHWC", "HWIO", "NHWC"))
    (1, 8, 8, 16)
    """
    lhs, rhs = (ShapeDtypeStruct(canonical_shape(shape), "float32") for shape in (lhs_shape, rhs_shape))
    function = functools.partial(
        conv_transpose, strides=window_strides, padding=padding, dimension_numbers=dimension_numbers
    )
    return eval_shape(function, lhs, rhs).shape


# Windows as an axis


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The windows that a convolution sees: a feature for every input feature and place in the window, in that order.

    Arguments as of `conv_general_dilated`, with `filter_shape`, the shape of the window, in place of the kernel.

    The dtype is that of `lhs`, unless `preferred_element_type` names another.

    >>> import nrx
    >>> nrx.lax.conv_general_dilated_patches(nrx.numpy.arange(4.0).reshape(1, 1, 4), (2,), (1,), "VALID")
    Array([[[0., 1., 2.],
            [1., 2., 3.]]], dtype=float32)
    """
    (x,) = as_arrays("conv_general_dilated_patches", lhs)
    window = canonical_shape(filter_shape)
    numbers = conv_dimension_numbers(x.shape, (1,) * x.ndim, dimension_numbers)
    places, features = size(window), x.shape[numbers.lhs_spec[1]]
    one_hot = np.tile(np.eye(places).reshape(places, 1, *window), (features, *(1,) * (x.ndim - 1)))
    kernel = one_hot.transpose(np.argsort(numbers.rhs_spec)).astype(x.dtype)
    return conv_general_dilated(
        x, kernel, window_strides, padding, lhs_dilation, rhs_dilation, numbers, features,
        precision=precision, preferred_element_type=preferred_element_type,
    )  # fmt: skip


def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
) -> Array:
    """A convolution with a kernel of its own for every place of the result.

    `rhs` is (output features, input features * places in the window, space of the result), in the layout that
    `dimension_numbers` gives; `filter_shape` is the shape of the window, the other arguments are as of
    `conv_general_dilated`.

    The dtype is that of the operands.

    >>> import nrx
    >>> kernels = nrx.numpy.array([[[1.0, 10.0], [1.0, 10.0]]])  # the kernel at place i stands in column i
    >>> nrx.lax.conv_general_dilated_local(nrx.numpy.array([[[1.0, 2.0, 3.0]]]), kernels, (1,), "VALID", (2,))
    Array([[[ 3., 50.]]], dtype=float32)
    """
    x, kernels = as_arrays("conv_general_dilated_local", lhs, rhs)
    _, rhs_spec, out_spec = numbers = conv_dimension_numbers(x.shape, kernels.shape, dimension_numbers)
    patches = conv_general_dilated_patches(
        x, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation, numbers, precision
    )
    contracting = ((rhs_spec[1],), (out_spec[1],))
    products = dot_general(kernels, patches, (contracting, (rhs_spec[2:], out_spec[2:])), precision)
    space = range(products.ndim - 2)
    plain = transpose(products, (products.ndim - 1, products.ndim - 2, *space))
    return transpose(plain, np.argsort(out_spec).tolist())
