"""Convolution of any number of dimensions, with strides, dilations and groups.

As in the literature on neural networks, the kernel is not flipped. Both gradients of a convolution are convolutions
again, with strides and dilations in each other's places: Dumoulin and Visin, "A guide to convolution arithmetic for
deep learning", 2016.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nrx.core.array import Array
from nrx.core.aval import Aval, Linear
from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.loops import Native, Pointwise
from nrx.core.primitive import Primitive
from nrx.core.program import Literal, Program, Var
from nrx.core.shapes import Shape, inverse_permutation, show, size, without
from nrx.ops import accumulation
from nrx.ops.common import NOT_YET_LOWERED, as_arrays, equation, scalar_array
from nrx.ops.contraction import Axis, contraction
from nrx.ops.dot import (
    accumulated,
    bilinear_jvp,
    canonical_precision,
    canonical_preferred,
    computing_dtype,
    converted_first,
    product_dtype,
)
from nrx.ops.moves import row_major_strides
from nrx.ops.slicing import pad_p
from nrx.ops.sliding import (
    Padding,
    canonical_padding,
    canonical_steps,
    dilated,
    input_padding,
    memory_order,
    padded,
    window_count,
    windows_of,
)
from nrx.ops.structural import full, move_axis, reshape, rev, transpose_p

conv_general_dilated_p = Primitive("conv_general_dilated")


class ConvDimensionNumbers(NamedTuple):
    """Which axes of lhs, rhs and result are which.

    Args:
        lhs_spec: the axes of lhs: (batch, feature, *spatial).
        rhs_spec: the axes of rhs: (output feature, input feature, *spatial).
        out_spec: the axes of the result: (batch, feature, *spatial).
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


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
        precision: makes no difference.
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


def conv_dimension_numbers(lhs_shape: Shape, rhs_shape: Shape, dimension_numbers: Any) -> ConvDimensionNumbers:
    """Layouts given as None, as three strings or as ConvDimensionNumbers, in the last form.

    The strings name axes: N (batch) and C (feature) of lhs and result, O and I (output and input feature) of rhs; any
    other letters are spatial axes, in the order that rhs has them.

    Args:
        lhs_shape, rhs_shape: the shapes of the operands.
        dimension_numbers: the layouts.

    Raises:
        ShapeError: the shapes have not the same number of axes, at least 2, or the layouts are of another.
        ArgumentTypeError: the layouts are none.
        ArgumentError: a string does not name every axis once.

    Dtypes play no part.

    >>> import nrx
    >>> nrx.lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 16), ("NHWC", "HWIO", "NHWC"))
    ConvDimensionNumbers(lhs_spec=(0, 3, 1, 2), rhs_spec=(3, 2, 0, 1), out_spec=(0, 3, 1, 2))
    """
    ndim = len(lhs_shape)
    if ndim != len(rhs_shape) or ndim < 2:
        raise ShapeError(
            f"a convolution of lhs {show(lhs_shape)} and rhs {show(rhs_shape)} needs arrays of one rank, 2 or more",
            fix="lhs is (batch, features, …) and rhs (output features, input features, …); add axes with expand_dims",
        )
    if dimension_numbers is None:
        axes = tuple(range(ndim))
        return ConvDimensionNumbers(axes, axes, axes)
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return ConvDimensionNumbers(*(tuple(spec) for spec in dimension_numbers))
    if len(dimension_numbers) != 3 or not all(isinstance(spec, str) for spec in dimension_numbers):
        raise ArgumentTypeError(
            f"dimension_numbers must be None, three strings or ConvDimensionNumbers, got {dimension_numbers!r}",
            fix='for example ("NHWC", "HWIO", "NHWC")',
        )
    lhs, rhs, out = dimension_numbers
    space = rhs.replace("O", "").replace("I", "")
    specs = [
        _axes_of(spec, first + space, dimension_numbers) for spec, first in ((lhs, "NC"), (rhs, "OI"), (out, "NC"))
    ]
    if any(len(spec) != ndim for spec in specs):
        raise ShapeError(
            f"dimension_numbers {dimension_numbers} do not fit shapes {show(lhs_shape)} and {show(rhs_shape)}",
            fix=f"name {ndim} axes in each, one letter an axis",
        )
    return ConvDimensionNumbers(*specs)


# Arguments


def _axes_of(spec: str, letters: str, given: Any) -> tuple[int, ...]:
    if sorted(spec) != sorted(letters) or len(set(spec)) != len(spec):
        raise ArgumentError(
            f"dimension_numbers {tuple(given)}: the letters of {spec!r} are not those of {letters!r}",
            fix="name N and C once in the first and the last, O and I in the second, and the same spatial axes in all",
        )
    return tuple(spec.index(letter) for letter in letters)


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


class _Params(NamedTuple):
    """The params of the primitive."""

    window_strides: Shape
    padding: Padding
    lhs_dilation: Shape
    rhs_dilation: Shape
    dimension_numbers: ConvDimensionNumbers
    feature_group_count: int
    batch_group_count: int
    precision: Any
    preferred_element_type: np.dtype | None

    @property
    def groups(self) -> int:
        return self.feature_group_count * self.batch_group_count

    @property
    def is_padded(self) -> bool:
        return any(map(any, self.padding)) or any(d != 1 for d in self.lhs_dilation)

    def spatial(self, x: Any, kernel: Any) -> tuple[Shape, Shape]:
        """The spatial dimensions of both operands."""
        lhs, rhs, _ = self.dimension_numbers
        return tuple(x.shape[axis] for axis in lhs[2:]), tuple(kernel.shape[axis] for axis in rhs[2:])

    def counts(self, x: Any, kernel: Any) -> Shape:
        """The spatial dimensions of the result."""
        axes = zip(
            *self.spatial(x, kernel),
            self.window_strides,
            self.padding,
            self.lhs_dilation,
            self.rhs_dilation,
            strict=True,
        )
        return tuple(window_count(*axis) for axis in axes)


# impl: as a rule, the windows of lhs are copied into the rows of a matrix, which the kernels, as another one, multiply.
# Where that copies much for a small result, as in gradients of strided convolutions, every element of lhs is multiplied
# by all taps of the kernels instead, and the products are added up where they belong.
# Both go in blocks, so that the large matrix stays in the cache (on a GPU: fits into the memory).

BLOCK_BYTES_CPU = 4 << 20
BLOCK_BYTES_GPU = 256 << 20
SHORT_RUN = 16


def _conv_impl(xp: Any, x: Any, kernel: Any, **params: Any) -> Any:
    p = _Params(**params)
    (lhs_spec, rhs_spec, out_spec), counts = p.dimension_numbers, p.counts(x, kernel)
    dtype = p.preferred_element_type or x.dtype
    x, kernel = accumulated(dtype, x.transpose(lhs_spec), kernel.transpose(rhs_spec))
    batch, outputs = x.shape[0] // p.batch_group_count, kernel.shape[0]
    if any(step < 0 for step in kernel.strides):
        kernel = xp.ascontiguousarray(kernel)  # BLAS does not go backwards, and a flipped kernel is small
    kernel = kernel.reshape((p.groups, outputs // p.groups, *kernel.shape[1:]))
    if 0 in (batch, outputs, *counts):
        product = xp.zeros((p.groups, batch, *counts, outputs // p.groups), x.dtype)
    elif xp is np and p.is_padded and not np.isfinite(kernel).all():
        product = _skipping(_grouped(np, x, p), kernel, counts, p)
    elif xp is np and len(counts) == 1 == x.shape[1] == outputs == p.groups == p.window_strides[0] == p.rhs_dilation[0]:
        product = _correlated(x, kernel, p)
    elif _is_better_scattered(x.shape, kernel.shape, counts, p):
        product = _scattered(xp, _grouped(xp, x, p), kernel, counts, p)
    else:
        product = _gathered(xp, x, kernel, counts, p)
    result = xp.moveaxis(product, 0, -2).reshape((batch, *counts, outputs)).astype(dtype, copy=False)
    return result.transpose(inverse_permutation((out_spec[0], *out_spec[2:], out_spec[1])))


def _skipping(x: np.ndarray, kernel: np.ndarray, counts: Shape, p: _Params) -> np.ndarray:
    """Without products of padding, which would be NaN beside numbers of the kernel that are not finite."""
    dense = tuple((count - 1) * stride + 1 for count, stride in zip(counts, p.window_strides, strict=True))
    found = _scattered(np, x, kernel, dense, p)
    return found[(slice(None), slice(None), *(slice(None, None, s) for s in p.window_strides))]


def _correlated(x: np.ndarray, kernel: np.ndarray, p: _Params) -> np.ndarray:
    """Signals of one feature (batch, 1, size) with one window, which NumPy needs no copies for."""
    rows = padded(np, x, ((0, 0), (0, 0), *p.padding), (1, 1, *p.lhs_dilation), 0)[:, 0]
    window = kernel.reshape(-1).conj()  # NumPy conjugates it
    return np.stack([np.correlate(row, window, "valid") for row in rows])[None, ..., None]


def _is_better_scattered(x: Shape, kernel: Shape, counts: Shape, p: _Params) -> bool:
    outputs, inputs = kernel[1:3]
    return all(s == 1 for s in p.window_strides) and 3 * size(x[2:]) * outputs <= size(counts) * inputs


def _grouped(xp: Any, x: Any, p: _Params) -> Any:
    """(all batches, all features, …) as (groups, batch, inputs, …), a view."""
    batch, features, *rest = x.shape
    by_batch, by_features = p.batch_group_count, p.feature_group_count
    split = x.reshape((by_batch, batch // by_batch, by_features, features // by_features, *rest))
    return xp.moveaxis(split, 2, 1).reshape((p.groups, batch // by_batch, features // by_features, *rest))


def _gathered(xp: Any, x: Any, kernel: Any, counts: Shape, p: _Params) -> Any:
    """(batch, features, *sizes) with kernels (groups, outputs, inputs, *window): (groups, batch, *counts, outputs)."""
    groups, outputs, inputs, *window = kernel.shape
    x = _with_long_runs(xp, x, kernel, counts, p)
    x = padded(xp, x, ((0, 0), (0, 0), *p.padding), (1, 1, *p.lhs_dilation), 0)
    windows = windows_of(
        xp, x, (*x.shape[:2], *counts), (1, 1, *window), (1, 1, *p.window_strides), (1, 1, *p.rhs_dilation)
    )
    windows = _grouped(xp, windows.reshape((*x.shape[:2], *counts, *window)), p)
    windows = xp.moveaxis(windows, 2, 2 + len(counts))
    # Rows and columns in the order of memory make the copy fast, whatever the layout is.
    rank = 1 + len(counts)
    order = memory_order(windows)
    rows, taps = [a for a in order if 0 < a <= rank], [a for a in order if a > rank]
    matrix = kernel.transpose((0, *(a + 1 - rank for a in taps), 1)).reshape((groups, inputs * size(window), outputs))
    product = _in_blocks(xp, windows.transpose((0, *rows, *taps)), matrix, rank)
    return product.transpose((0, *(1 + a for a in inverse_permutation([a - 1 for a in rows])), 1 + rank))


def _with_long_runs(xp: Any, x: Any, kernel: Any, counts: Shape, p: _Params) -> Any:
    """`x` laid out in memory so that copying windows does not go by tiny steps: if need be, a longer axis last."""
    inputs, *window = kernel.shape[2:]
    together = inputs * window[-1] if window else inputs  # features are copied along with the last axis of the window
    runs = [x.shape[0] // p.batch_group_count, together, *map(max, counts, window)]
    longest = max((x.ndim - 1, 1, 0), key=runs.__getitem__)
    if runs[memory_order(x)[-1]] >= min(SHORT_RUN, runs[longest]):
        return x
    return xp.moveaxis(xp.ascontiguousarray(xp.moveaxis(x, longest, -1)), -1, longest)


def _in_blocks(xp: Any, windows: Any, matrix: Any, rank: int) -> Any:
    """Windows (groups, *rows, *taps), `rank` axes of rows, by (groups, taps, outputs): (groups, *rows, outputs)."""
    groups, *rows = windows.shape[: 1 + rank]
    limit = BLOCK_BYTES_CPU if xp is np else BLOCK_BYTES_GPU
    long = next((axis for axis, length in enumerate(rows, 1) if length > 1), None)
    if windows.nbytes > limit and long and not windows.flags.c_contiguous:
        step = max(windows.shape[long] * limit // windows.nbytes, 1)
        before = (slice(None),) * long
        parts = [windows[(*before, slice(i, i + step))] for i in range(0, windows.shape[long], step)]
        return xp.concatenate([_in_blocks(xp, part, matrix, rank) for part in parts], axis=long)
    if _inner_run(windows, range(1 + rank, windows.ndim)) < _inner_run(windows, range(1, 1 + rank)):
        columns = windows.reshape((groups, size(rows), matrix.shape[1]))
    else:
        taps_first = windows.transpose((0, *range(1 + rank, windows.ndim), *range(1, 1 + rank)))
        columns = taps_first.reshape((groups, matrix.shape[1], size(rows))).swapaxes(1, 2)
    return xp.matmul(columns, matrix).reshape((groups, *rows, matrix.shape[2]))


def _inner_run(x: Any, axes: Sequence[int]) -> tuple[float, int]:
    """The step and the negative length of the best run in memory along one of `axes`; small steps are all alike."""
    small = 4 * x.itemsize
    return min(
        ((max(abs(x.strides[a]), small), -x.shape[a]) for a in axes if x.shape[a] > 1), default=(float("inf"), 0)
    )


def _scattered(xp: Any, x: Any, kernel: Any, counts: Shape, p: _Params) -> Any:
    """lhs (groups, batch, inputs, *sizes) with kernels (groups, outputs, inputs, *window) for strides of 1."""
    (groups, batch, inputs, *sizes), (_, outputs, _, *window) = x.shape, kernel.shape
    limit = BLOCK_BYTES_CPU if xp is np else BLOCK_BYTES_GPU
    bytes_each = groups * outputs * size(window) * size(sizes) * x.dtype.itemsize
    step = max(limit // max(bytes_each, 1), 1)
    if step < batch:
        parts = [x[:, i : i + step] for i in range(0, batch, step)]
        return xp.concatenate([_scattered(xp, part, kernel, counts, p) for part in parts], axis=1)
    taps = xp.moveaxis(kernel, (1, 2), (-2, -1)).reshape((groups, size(window) * outputs, inputs))
    products = xp.matmul(taps, xp.moveaxis(x, 2, 1).reshape((groups, inputs, batch * size(sizes))))
    products = products.reshape((groups, *window, outputs, batch, *sizes))
    out = xp.zeros((groups, outputs, batch, *counts), x.dtype)
    for tap in np.ndindex(*window):
        offsets = [low - t * d for t, d, (low, _) in zip(tap, p.rhs_dilation, p.padding, strict=True)]
        pairs = list(map(_overlap, sizes, counts, p.lhs_dilation, offsets))
        sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
        out[(..., *targets)] += products[(slice(None), *tap, ..., *sources)]
    return xp.moveaxis(out, 1, -1)


def _overlap(length: int, count: int, dilation: int, offset: int) -> tuple[slice, slice]:
    """The i of `length` whose offset + i * dilation lies within `count`, and those places."""
    first = max(-(offset // dilation), 0)
    stop = max(min((count - 1 - offset) // dilation + 1, length), first)
    return slice(first, stop), slice(offset + first * dilation, offset + stop * dilation, dilation)


# abstract


def _conv_abstract(x: Aval, kernel: Aval, **params: Any) -> Aval:
    p = _Params(**params)
    lhs_spec, rhs_spec, out_spec = p.dimension_numbers
    _check_groups(x, kernel, p)
    logical = (x.shape[lhs_spec[0]] // p.batch_group_count, kernel.shape[rhs_spec[0]], *p.counts(x, kernel))
    dtype = product_dtype("conv_general_dilated", x, kernel, p.preferred_element_type)
    weak = x.weak_type and kernel.weak_type and p.preferred_element_type is None
    return Aval(tuple(logical[axis] for axis in inverse_permutation(out_spec)), dtype, weak)


def _check_groups(x: Aval, kernel: Aval, p: _Params) -> None:
    (lhs, rhs, _), feature_groups, batch_groups = p.dimension_numbers, p.feature_group_count, p.batch_group_count
    batch, features = x.shape[lhs[0]], x.shape[lhs[1]]
    outputs, inputs = kernel.shape[rhs[0]], kernel.shape[rhs[1]]
    shapes = f"conv_general_dilated of lhs {show(x.shape)} and rhs {show(kernel.shape)}"
    groups = f"feature_group_count={feature_groups}, batch_group_count={batch_groups}"
    if feature_groups < 1 or batch_groups < 1 or (feature_groups > 1 and batch_groups > 1):
        raise ArgumentError(f"{shapes}: {groups}", fix="both must be positive, and one of them 1")
    if features != inputs * feature_groups:
        raise ShapeError(
            f"{shapes}: lhs has {features} features (axis {lhs[1]}), but rhs takes {inputs} (axis {rhs[1]}) in each "
            f"of {feature_groups} groups",
            fix="the features of lhs must be the input features of rhs times feature_group_count; "
            'for channels last pass dimension_numbers=("NHWC", "HWIO", "NHWC")',
        )
    if outputs % (feature_groups * batch_groups) or batch % batch_groups:
        raise ShapeError(
            f"{shapes}: {groups}, but rhs has {outputs} output features (axis {rhs[0]}) and lhs a batch of {batch}",
            fix="the groups must divide the output features of rhs, and batch_group_count the batch of lhs",
        )


# transpose


def _conv_transpose(ct: Array, x: Any, kernel: Any, **params: Any) -> list[Any]:
    if isinstance(x, Linear):
        return [_lhs_cotangent(ct, x.aval, kernel, _Params(**params)), None]
    return [None, _rhs_cotangent(ct, x, kernel.aval, _Params(**params))]


def _lhs_cotangent(ct: Array, x: Aval, kernel: Array, p: _Params) -> Array:
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


def _rhs_cotangent(ct: Array, x: Array, kernel: Aval, p: _Params) -> Array:
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
    p = _Params(**params)
    out, dtype = _conv_abstract(x, kernel, **params), p.preferred_element_type or x.dtype
    if not size(out.shape) or not x.size or not kernel.size:
        return Pointwise(lambda b, index, *operands, **params: accumulation.zero(dtype), cost=0)
    wide = computing_dtype(dtype, x.dtype, kernel.dtype)
    if not x.dtype == kernel.dtype == dtype == wide:
        plain = {name: value for name, value in params.items() if name != "preferred_element_type"}
        return converted_first(conv_general_dilated_p, x, kernel, wide, dtype, **plain)
    if p.is_padded:
        return _of_padded(x, kernel, p)
    if _is_better_with_inputs_last(kernel, out, p):
        return _of_inputs_last(x, kernel, p)
    axes = _product_axes(x.shape, kernel.shape, out.shape, p)
    return Native(contraction(axes, dtype, dtype).build)


def _of_padded(x: Aval, kernel: Aval, p: _Params) -> Program:
    """The Program that pads lhs first."""
    config = [(0, 0, 0)] * len(x.shape)
    for axis, (low, high), dilation in zip(p.dimension_numbers.lhs_spec[2:], p.padding, p.lhs_dilation, strict=True):
        config[axis] = (low, high, dilation - 1)
    plain = p._replace(padding=((0, 0),) * len(p.padding), lhs_dilation=(1,) * len(p.padding))
    lhs, rhs, zero = Var(x), Var(kernel), Literal(scalar_array(0, x.dtype))
    spread = equation(pad_p, [lhs, zero], padding_config=tuple(config))
    result = equation(conv_general_dilated_p, [spread.outs[0], rhs], **plain._asdict())
    return Program([lhs, rhs], [spread, result], result.outs, name="padded_convolution")


def _is_better_with_inputs_last(kernel: Aval, out: Aval, p: _Params) -> bool:
    """Whether the kernels are read along their input features, which the windows have between them."""
    inputs, *window = p.dimension_numbers.rhs_spec[1:]
    is_channels_last = all(out.shape[axis] == 1 for axis in range(p.dimension_numbers.out_spec[1] + 1, len(out.shape)))
    taps = size(tuple(kernel.shape[axis] for axis in window))
    return not is_channels_last and taps > 1 and kernel.shape[inputs] >= 8 and inputs != len(kernel.shape) - 1


def _of_inputs_last(x: Aval, kernel: Aval, p: _Params) -> Program:
    """The Program that moves the input features of the kernels behind the axes of the window first."""
    outputs, inputs, *window = p.dimension_numbers.rhs_spec
    lhs, rhs = Var(x), Var(kernel)
    moved = equation(transpose_p, [rhs], permutation=(outputs, *window, inputs))
    last = len(kernel.shape) - 1
    numbers = p.dimension_numbers._replace(rhs_spec=(0, last, *range(1, last)))
    plain = p._replace(dimension_numbers=numbers)
    result = equation(conv_general_dilated_p, [lhs, moved.outs[0]], **plain._asdict())
    return Program([lhs, rhs], [moved, result], result.outs, name="convolution")


def _product_axes(x: Shape, kernel: Shape, out: Shape, p: _Params) -> list[Axis]:
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
    impl=_conv_impl, abstract=_conv_abstract, jvp=bilinear_jvp(conv_general_dilated_p), transpose=_conv_transpose,
    batch=_conv_batch, lower=_conv_lower,
).refuse(onnx=NOT_YET_LOWERED)  # fmt: skip
