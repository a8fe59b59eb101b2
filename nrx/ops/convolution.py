"""Convolution of any number of dimensions, with strides, dilations and groups.

As in the literature on neural networks, the kernel is not flipped. Both gradients of a convolution are convolutions
again, with strides and dilations in each other's places: Dumoulin and Visin, "A guide to convolution arithmetic for
deep learning", 2016.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.core.array import Array
from nrx.core.aval import Aval, Linear
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.loops import Native, Pointwise
from nrx.core.primitive import Primitive
from nrx.core.program import Literal, Program, Var
from nrx.core.shapes import Shape, inverse_permutation, show, size, without
from nrx.ops import accumulation
from nrx.ops.common import NOT_YET_LOWERED, as_arrays, equation, scalar_array
from nrx.ops.contraction import contractions
from nrx.ops.convolution_eager import convolved
from nrx.ops.convolution_geometry import ConvDimensionNumbers, ConvParams, conv_dimension_numbers
from nrx.ops.dot import (
    bilinear_jvp,
    canonical_precision,
    canonical_preferred,
    computing_dtype,
    converted_first,
    product_dtype,
)
from nrx.ops.moves import row_major_strides
from nrx.ops.product_axes import Axis
from nrx.ops.slicing import pad_p
from nrx.ops.sliding import canonical_padding, canonical_steps, dilated, input_padding
from nrx.ops.split_products import sums_of_products
from nrx.ops.structural import full, move_axis, reshape, rev, transpose_p
from nrx.ops.vector_convolution import VectorConvolution
from nrx.ops.winograd import winograd

conv_general_dilated_p = Primitive("conv_general_dilated")

_MOST_RESIDUES = 64
"""Parts of a convolution between whose elements are zeros; with more, the zeros are multiplied."""

# Public functions


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Array:
    """The convolution of `lhs` (batch, features, space) with kernels `rhs` (output features, input features, space).

    Args:
        lhs, rhs: arrays of one rank and dtype.
        window_strides: the distances of the windows, one number an axis of space.
        padding: 'SAME', 'SAME_LOWER', 'VALID', or a (low, high) pair an axis of space, where negative ones crop.
        lhs_dilation, rhs_dilation: the distances of the elements of an operand; by default 1.
        dimension_numbers: the layouts of lhs, rhs and result as strings such as ("NHWC", "HWIO", "NHWC"), by default
            NC…, OI…, NC….
        feature_group_count, batch_group_count: how many convolutions stand side by side, which share out the features
            or the batch; one of the two is 1.
        precision: "high" and "highest" keep compiled code from computing float32 kernels of 3 × 3 by fewer products,
            whose rounding errors are of the same size relative to the largest numbers near by.
        preferred_element_type: the dtype of the result.

    Raises:
        ArgumentError: not one stride or dilation for each axis, unknown padding or layouts, groups of unequal sizes.
        ShapeError: the shapes do not fit.

    >>> import nrx
    >>> image, kernel = nrx.numpy.ones((1, 8, 8, 3)), nrx.numpy.ones((3, 3, 3, 16))
    >>> layouts = ("NHWC", "HWIO", "NHWC")
    >>> nrx.lax.conv_general_dilated(image, kernel, (2, 2), "SAME", dimension_numbers=layouts).shape
    (1, 4, 4, 16)
    """
    lhs, rhs = as_arrays("conv_general_dilated", lhs, rhs)
    numbers = conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    ndim = lhs.ndim - 2
    if ndim == 0 and np.size(window_strides):
        raise ShapeError(
            f"conv_general_dilated: strides {window_strides} for an operand of shape {show(lhs.shape)}, without axes "
            "of space",
            fix="pass 3 axes or more, the first two a batch and channels: x[None, None]",
        )
    window_strides = canonical_steps("window_strides", window_strides, ndim)
    lhs_dilation = canonical_steps("lhs_dilation", lhs_dilation, ndim)
    rhs_dilation = canonical_steps("rhs_dilation", rhs_dilation, ndim)
    if isinstance(padding, str) and any(d != 1 for d in lhs_dilation):
        raise ArgumentError(
            f"conv_general_dilated: padding {padding!r} means nothing for lhs_dilation {lhs_dilation}",
            fix="give (low, high) pairs, or use conv_transpose",
        )
    sizes = tuple(lhs.shape[axis] for axis in numbers.lhs_spec[2:])
    extents = tuple(dilated(rhs.shape[axis], d) for axis, d in zip(numbers.rhs_spec[2:], rhs_dilation, strict=True))
    return conv_general_dilated_p.bind(
        lhs,
        rhs,
        window_strides=window_strides,
        padding=canonical_padding("conv_general_dilated", padding, sizes, extents, window_strides),
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=numbers,
        feature_group_count=int(feature_group_count),
        batch_group_count=int(batch_group_count),
        precision=canonical_precision(precision),
        preferred_element_type=canonical_preferred(lhs.aval, rhs.aval, preferred_element_type),
    )


def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The convolution of `lhs` (N, C, …) with `rhs` (O, I, …) without dilation; `padding` is a name.

    `window_strides`, `precision` and `preferred_element_type` are as of `conv_general_dilated`.

    Shape and dtype of the result are those of `conv_general_dilated`.

    >>> import nrx
    >>> nrx.lax.conv(nrx.numpy.ones((1, 3, 8, 8)), nrx.numpy.ones((16, 3, 3, 3)), (1, 1), "SAME").shape
    (1, 16, 8, 8)
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, precision=precision, preferred_element_type=preferred_element_type
    )


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """The convolution of `lhs` (N, C, …) with `rhs` (O, I, …) without groups.

    The other arguments are as of `conv_general_dilated`.

    Shape and dtype of the result are those of `conv_general_dilated`.

    >>> import nrx
    >>> image, kernel = nrx.numpy.ones((1, 3, 8, 8)), nrx.numpy.ones((16, 3, 3, 3))
    >>> nrx.lax.conv_with_general_padding(image, kernel, (1, 1), [(0, 0), (1, 1)], None, (2, 2)).shape
    (1, 16, 4, 6)
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation,
        precision=precision, preferred_element_type=preferred_element_type,
    )  # fmt: skip


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Array:
    """The convolution with `strides` between the elements of `lhs`: it enlarges where a convolution would shrink.

    `padding` 'SAME' gives size * stride, 'VALID' all that the kernel reaches; pairs pad the spread lhs, or, with
    `use_consistent_padding`, are those of the convolution that is transposed. `transpose_kernel` flips the kernel and
    swaps its features, which gives that convolution's gradient. Layouts are by default ("NHWC", "HWIO", "NHWC") and so
    on for other ranks.

    `rhs_dilation`, `dimension_numbers`, `precision` and `preferred_element_type` are as of `conv_general_dilated`.

    Shape and dtype of the result are those of `conv_general_dilated`.

    >>> import nrx
    >>> nrx.lax.conv_transpose(nrx.numpy.ones((1, 4, 4, 3)), nrx.numpy.ones((3, 3, 3, 16)), (2, 2), "SAME").shape
    (1, 8, 8, 16)
    """
    lhs, rhs = as_arrays("conv_transpose", lhs, rhs)
    if dimension_numbers is None:
        space = _channels_last(lhs.ndim)
        dimension_numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    numbers = conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    strides = canonical_steps("strides", strides, lhs.ndim - 2)
    rhs_dilation = canonical_steps("rhs_dilation", rhs_dilation, lhs.ndim - 2)
    out, into, *spatial = numbers.rhs_spec
    extents = tuple(dilated(rhs.shape[axis], d) for axis, d in zip(spatial, rhs_dilation, strict=True))
    if isinstance(padding, str):
        pairs = tuple(_transposed_padding(k, s, padding) for k, s in zip(extents, strides, strict=True))
    else:
        pairs = canonical_padding("conv_transpose", padding, extents, extents, strides)
        if use_consistent_padding:
            pairs = tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(extents, pairs, strict=True))
    if transpose_kernel:
        rhs = rev(rhs, spatial)
        numbers = numbers._replace(rhs_spec=(into, out, *spatial))
    return conv_general_dilated(
        lhs, rhs, (1,) * len(spatial), pairs, strides, rhs_dilation, numbers,
        precision=precision, preferred_element_type=preferred_element_type,
    )  # fmt: skip


# Arguments


def _channels_last(ndim: int) -> str:
    if not 2 <= ndim <= 5:
        raise ArgumentError(f"conv_transpose has no default layout for {ndim} dimensions", fix="pass dimension_numbers")
    return {2: "", 3: "H", 4: "HW", 5: "HWD"}[ndim]


def _transposed_padding(kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """The padding of spread elements with which a convolution of stride 1 transposes one with `padding`."""
    if padding.upper() == "SAME":
        total = kernel + stride - 2
        low = kernel - 1 if stride > kernel - 1 else -(-total // 2)
    elif padding.upper() == "VALID":
        total = kernel + stride - 2 + max(kernel - stride, 0)
        low = kernel - 1
    else:
        raise ArgumentError(f"conv_transpose: unknown padding {padding!r}", fix="use 'SAME', 'VALID' or pairs")
    return low, total - low


# abstract


def _conv_abstract(x: Aval, kernel: Aval, **params: Any) -> Aval:
    p = ConvParams(**params)
    lhs_spec, rhs_spec, out_spec = p.dimension_numbers
    _check_groups(x, kernel, p)
    logical = (x.shape[lhs_spec[0]] // p.batch_group_count, kernel.shape[rhs_spec[0]], *p.counts(x, kernel))
    dtype = product_dtype("conv_general_dilated", x, kernel, p.preferred_element_type)
    weak = x.weak_type and kernel.weak_type and p.preferred_element_type is None
    return Aval(tuple(logical[axis] for axis in inverse_permutation(out_spec)), dtype, weak)


def _check_groups(x: Aval, kernel: Aval, p: ConvParams) -> None:
    (lhs, rhs, _), feature_groups, batch_groups = p.dimension_numbers, p.feature_group_count, p.batch_group_count
    batch, features = x.shape[lhs[0]], x.shape[lhs[1]]
    outputs, inputs = kernel.shape[rhs[0]], kernel.shape[rhs[1]]
    shapes = f"a convolution of lhs {show(x.shape)} and rhs {show(kernel.shape)}"
    is_last = lhs[1] == x.ndim - 1
    groups = f"feature_group_count={feature_groups}, batch_group_count={batch_groups}"
    if feature_groups < 1 or batch_groups < 1 or (feature_groups > 1 and batch_groups > 1):
        raise ArgumentError(f"{shapes}: {groups}", fix="both must be positive, and one of them 1")
    if features != inputs * feature_groups:
        raise ShapeError(
            f"{shapes}: lhs has {features} features (axis {lhs[1]}), but rhs takes {inputs} (axis {rhs[1]}) in each "
            f"of {feature_groups} groups",
            fix="the features of lhs must be the input features of rhs times feature_group_count: "
            + (
                f"here rhs should take {features // feature_groups}"
                if not features % feature_groups
                else f"{feature_groups} groups do not divide {features} features"
            )
            + ("" if is_last else '; for channels last pass dimension_numbers=("NHWC", "HWIO", "NHWC")'),
        )
    if outputs % (feature_groups * batch_groups) or batch % batch_groups:
        raise ShapeError(
            f"{shapes}: {groups}, but rhs has {outputs} output features (axis {rhs[0]}) and lhs a batch of {batch}",
            fix="the groups must divide the output features of rhs, and batch_group_count the batch of lhs",
        )


# transpose


def _conv_transpose(ct: Array, x: Any, kernel: Any, **params: Any) -> list[Any]:
    if isinstance(x, Linear):
        return [_lhs_cotangent(ct, x.aval, kernel, ConvParams(**params)), None]
    return [None, _rhs_cotangent(ct, x, kernel.aval, ConvParams(**params))]


def _lhs_cotangent(ct: Array, x: Aval, kernel: Array, p: ConvParams) -> Array:
    """The flipped kernel, its inputs now outputs, over the cotangent; strides and lhs_dilation change places."""
    lhs_spec, (out, into, *spatial), out_spec = p.dimension_numbers
    flipped = _move_groups(rev(kernel, spatial), out, into, p.groups)
    sizes, window = p.spatial(x, kernel)
    pads = input_padding(
        sizes, window, p.counts(x, kernel), p.padding, p.lhs_dilation, p.rhs_dilation, p.window_strides
    )
    result = conv_general_dilated(
        ct, flipped, p.lhs_dilation, pads, p.window_strides, p.rhs_dilation,
        ConvDimensionNumbers(out_spec, (into, out, *spatial), lhs_spec), p.groups, 1, p.precision, x.dtype,
    )  # fmt: skip
    return _move_groups(result, lhs_spec[1], lhs_spec[0], p.batch_group_count)


def _rhs_cotangent(ct: Array, x: Array, kernel: Aval, p: ConvParams) -> Array:
    """The cotangent as a kernel over lhs, batch and features exchanged; strides and rhs_dilation change places."""
    lhs_spec, rhs_spec, out_spec = (((second, first, *rest)) for first, second, *rest in p.dimension_numbers)
    sizes, window = p.spatial(x, kernel)
    axes = zip(
        sizes, window, p.counts(x, kernel), p.padding, p.lhs_dilation, p.rhs_dilation, p.window_strides, strict=True
    )
    pads = [(low, dilated(o, s) + dilated(k, b) - 1 - dilated(n, a) - low) for n, k, o, (low, _), a, b, s in axes]
    return conv_general_dilated(
        x, ct, p.rhs_dilation, pads, p.lhs_dilation, p.window_strides,
        ConvDimensionNumbers(lhs_spec, out_spec, rhs_spec), p.batch_group_count, p.feature_group_count,
        p.precision, kernel.dtype,
    )  # fmt: skip


def _move_groups(x: Array, source: int, target: int, groups: int) -> Array:
    """`x` with the leading factor `groups` of one axis made the leading factor of another."""
    if groups == 1:
        return x
    split = reshape(x, (*x.shape[:source], groups, x.shape[source] // groups, *x.shape[source + 1 :]))
    moved = move_axis(split, source, target)
    shape = list(x.shape)
    shape[source] //= groups
    shape[target] *= groups
    return reshape(moved, tuple(shape))


# batch


def _conv_batch(axis: Any, args: Sequence[Array], dims: Sequence[Any], **params: Any) -> tuple[Array, int]:
    """A batched lhs has a larger batch, a batched rhs more output features; two batched operands make more groups."""
    (x, kernel), (x_dim, kernel_dim) = args, dims
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    by_features, by_batch = params["feature_group_count"], params["batch_group_count"]
    if kernel_dim is None:
        x = _fold(x, x_dim, lhs_spec[0], by_batch)
        return _unfold(conv_general_dilated_p.bind(x, kernel, **params), out_spec[0], axis.size, 1)
    if x_dim is None:
        groups = max(by_features, by_batch)
        kernel = _fold(kernel, kernel_dim, rhs_spec[0], groups)
        return _unfold(conv_general_dilated_p.bind(x, kernel, **params), out_spec[1], axis.size, groups)
    if not axis.size:  # there are no convolutions of zero groups
        shapes = (without(v.shape, [d]) for v, d in zip(args, dims, strict=True))
        one = conv_general_dilated_p.infer(tuple(Aval(s, v.dtype) for s, v in zip(shapes, args, strict=True)), params)
        return full((0, *one.shape), 0, one.dtype), 0
    name, source = ("batch_group_count", lhs_spec[0]) if by_batch > 1 else ("feature_group_count", lhs_spec[1])
    grouped = {**params, name: params[name] * axis.size}
    out = conv_general_dilated_p.bind(_fold(x, x_dim, source, 1), _fold(kernel, kernel_dim, rhs_spec[0], 1), **grouped)
    return _unfold(out, out_spec[1], axis.size, 1)


def _fold(x: Array, dim: int, target: int, groups: int) -> Array:
    """The batch axis `dim` made a factor of axis `target` of the unbatched array, after the leading factor `groups`."""
    x = move_axis(x, dim, 0)
    batch, *shape = x.shape
    split = reshape(x, (batch, *shape[:target], groups, shape[target] // groups, *shape[target + 1 :]))
    shape[target] *= batch
    return reshape(move_axis(split, 0, target + 1), tuple(shape))


def _unfold(x: Array, source: int, batch: int, groups: int) -> tuple[Array, int]:
    """The inverse of `_fold`: the batch axis before axis `source`, and where it is."""
    length = x.shape[source] // batch
    split = reshape(x, (*x.shape[:source], groups, batch, length // groups, *x.shape[source + 1 :]))
    moved = move_axis(split, source + 1, source)
    return reshape(moved, (*x.shape[:source], batch, length, *x.shape[source + 1 :])), source


# lower: once lhs is spread and padded, a convolution is a sum of products over axes, of which those of the windows take
# steps along the same axes of lhs as those of the result


def _conv_lower(x: Aval, kernel: Aval, **params: Any) -> Program | Native | Pointwise:
    p = ConvParams(**params)
    out, dtype = _conv_abstract(x, kernel, **params), p.preferred_element_type or x.dtype
    if not size(out.shape) or not x.size or not kernel.size:
        return Pointwise(lambda b, index, *operands, **params: accumulation.zero(dtype), cost=0)
    wide = computing_dtype(dtype, x.dtype, kernel.dtype)
    if not x.dtype == kernel.dtype == dtype == wide:
        plain = {name: value for name, value in params.items() if name != "preferred_element_type"}
        return converted_first(conv_general_dilated_p, x, kernel, wide, dtype, **plain)
    if p.is_padded and p.is_of_vectors(kernel):
        groups, batch, features, place, tap, _ = _product_axes(x.shape, kernel.shape, out.shape, p)
        return Native(
            VectorConvolution([groups, batch], features, place, tap, x.shape[2], p.padding[0][0], dtype).build
        )
    if (fewer := winograd(x, kernel, out, p)) is not None:
        return fewer
    if p.is_spread and size(p.lhs_dilation) <= _MOST_RESIDUES:
        return _in_parts(x, kernel, out, p)
    if p.is_padded:
        return _of_padded(x, kernel, p)
    if _is_better_with_inputs_last(kernel, out, p):
        return _of_inputs_last(x, kernel, p)
    axes = _product_axes(x.shape, kernel.shape, out.shape, p)
    return sums_of_products(x, kernel, out.shape, axes, dtype)


def _of_padded(x: Aval, kernel: Aval, p: ConvParams) -> Program:
    """The Program that pads lhs first."""
    plain = p._replace(padding=((0, 0),) * len(p.padding), lhs_dilation=(1,) * len(p.padding))
    return _padded_first(x, kernel, p.padding, p.lhs_dilation, plain)


def _padded_first(x: Aval, kernel: Aval, padding: Any, dilation: Sequence[int], p: ConvParams) -> Program:
    """The Program that pads lhs, perhaps between its elements, for a convolution with params `p`."""
    config = [(0, 0, 0)] * len(x.shape)
    for axis, (low, high), step in zip(p.dimension_numbers.lhs_spec[2:], padding, dilation, strict=True):
        config[axis] = (low, high, step - 1)
    lhs, rhs, zero = Var(x), Var(kernel), Literal(scalar_array(0, x.dtype))
    spread = equation(pad_p, [lhs, zero], padding_config=tuple(config))
    result = equation(conv_general_dilated_p, [spread.outs[0], rhs], **p._asdict())
    return Program([lhs, rhs], [spread, result], result.outs, name="padded_convolution")


class _Residue(NamedTuple):
    """The elements of the result along an axis whose places leave the same residue when divided by a dilation of lhs.

    Fields:
        residue, length: the residue, how many they are.
        tap, taps: the first element of the kernel that meets elements of lhs there, how many do.
        place: where in lhs the first of them meets the first.
    """

    residue: int
    length: int
    tap: int
    taps: int
    place: int


def _residues(length: int, window: int, low: int, dilation: int) -> list[_Residue]:
    """For a result and a window of some lengths, and so many zeros in front of lhs."""
    found = []
    for residue in range(min(dilation, int(length))):
        tap = (low - residue) % dilation
        count, taps = -(-(length - residue) // dilation), max(0, -(-(window - tap) // dilation))
        found.append(_Residue(residue, count, tap, taps, (residue + tap - low) // dilation))
    return found


def _in_parts(x: Aval, kernel: Aval, out: Aval, p: ConvParams) -> Program | Native:
    """The sums for each residue along each axis, of an lhs that is padded at its ends first, if need be."""
    lhs, rhs, result = p.dimension_numbers
    spatial = list(zip(lhs[2:], rhs[2:], result[2:], p.padding, p.lhs_dilation, strict=True))
    residues = [_residues(out.shape[o], kernel.shape[k], low, d) for _, k, o, (low, _), d in spatial]
    padding = []
    for (axis, *_), each in zip(spatial, residues, strict=True):
        ends = [(r.place, r.place + r.length + r.taps - 1) for r in each if r.taps]
        low, high = min((first for first, _ in ends), default=0), max((last for _, last in ends), default=0)
        padding.append((max(0, -low), max(0, high - x.shape[axis])))
    if any(map(any, padding)):
        rest = [(low - d * a, high - d * b) for (*_, (low, high), d), (a, b) in zip(spatial, padding, strict=True)]
        plain = p._replace(padding=tuple(rest))
        return _padded_first(x, kernel, padding, (1,) * len(padding), plain)
    whole = _product_axes(x.shape, kernel.shape, out.shape, p)
    fixed, steps = [*whole[:3], whole[-1]], whole[3:-1]
    parts = []
    for chosen in itertools.product(*residues):
        axes, start = list(fixed), [0, 0, 0]
        for r, row, tap, d in zip(chosen, steps[::2], steps[1::2], p.lhs_dilation, strict=True):
            axes += [Axis(r.length, row.x, 0, row.out * d), Axis(r.taps, tap.x, tap.y * d, 0)]
            start = [a + b for a, b in zip(start, (r.place * tap.x, r.tap * tap.y, r.residue * row.out), strict=True)]
        parts.append((axes, start))
    return contractions(parts, out.dtype)


def _is_better_with_inputs_last(kernel: Aval, out: Aval, p: ConvParams) -> bool:
    """Whether the kernels are read along their input features, which the windows have between them."""
    inputs, *window = p.dimension_numbers.rhs_spec[1:]
    is_channels_last = all(out.shape[axis] == 1 for axis in range(p.dimension_numbers.out_spec[1] + 1, len(out.shape)))
    taps = size(tuple(kernel.shape[axis] for axis in window))
    return not is_channels_last and taps > 1 and kernel.shape[inputs] >= 8 and inputs != len(kernel.shape) - 1


def _of_inputs_last(x: Aval, kernel: Aval, p: ConvParams) -> Program:
    """The Program that moves the input features of the kernels behind the axes of the window first."""
    outputs, inputs, *window = p.dimension_numbers.rhs_spec
    lhs, rhs = Var(x), Var(kernel)
    moved = equation(transpose_p, [rhs], permutation=(outputs, *window, inputs))
    last = len(kernel.shape) - 1
    numbers = p.dimension_numbers._replace(rhs_spec=(0, last, *range(1, last)))
    plain = p._replace(dimension_numbers=numbers)
    result = equation(conv_general_dilated_p, [lhs, moved.outs[0]], **plain._asdict())
    return Program([lhs, rhs], [moved, result], result.outs, name="convolution")


def _product_axes(x: Shape, kernel: Shape, out: Shape, p: ConvParams) -> list[Axis]:
    """The axes of a convolution without padding: of the groups, the result and the window."""
    lhs, rhs, result = p.dimension_numbers
    x_steps, kernel_steps, out_steps = row_major_strides(x), row_major_strides(kernel), row_major_strides(out)
    by_batch, inputs, outputs = p.batch_group_count, kernel[rhs[1]], kernel[rhs[0]]
    batch, of_each = x[lhs[0]] // by_batch, outputs // p.groups
    group_step = x_steps[lhs[0]] * batch if by_batch > 1 else x_steps[lhs[1]] * inputs
    axes = [
        Axis(p.groups, group_step, kernel_steps[rhs[0]] * of_each, out_steps[result[1]] * of_each),
        Axis(batch, x_steps[lhs[0]], 0, out_steps[result[0]]),
        Axis(of_each, 0, kernel_steps[rhs[0]], out_steps[result[1]]),
    ]
    spatial = zip(lhs[2:], rhs[2:], result[2:], p.window_strides, p.rhs_dilation, strict=True)
    for x_axis, kernel_axis, out_axis, stride, dilation in spatial:
        axes.append(Axis(out[out_axis], x_steps[x_axis] * stride, 0, out_steps[out_axis]))
        axes.append(Axis(kernel[kernel_axis], x_steps[x_axis] * dilation, kernel_steps[kernel_axis], 0))
    return [*axes, Axis(inputs, x_steps[lhs[1]], kernel_steps[rhs[1]], 0)]


# Registration

conv_general_dilated_p.define(
    impl=convolved, abstract=_conv_abstract, jvp=bilinear_jvp(conv_general_dilated_p), transpose=_conv_transpose,
    batch=_conv_batch, lower=_conv_lower,
).refuse(onnx=NOT_YET_LOWERED)  # fmt: skip
