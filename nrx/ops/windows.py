"""Windowed reductions: the sum, the largest or the smallest element of every window that slides over an array.

Windows are boxes, so they are reduced along one axis after the other. What pads is the identity: 0 in sums, elsewhere a
number against which no element loses, and which gets no derivative.
"""

import builtins
import functools
import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array, ConcreteArray
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.loops import Builder, Expr, Pointwise, Reader, Reduction
from nrx.core.primitive import Primitive
from nrx.core.shapes import Shape, inserted, show, size
from nrx.ops import accumulation, arithmetic
from nrx.ops.accumulation import Accumulator
from nrx.ops.common import NOT_YET_LOWERED, NUMBERS, REAL, as_arrays, check_dtype, check_same_dtype, widened
from nrx.ops.dimension_numbers import GatherDimensionNumbers
from nrx.ops.gather import gather
from nrx.ops.logic import lt, select
from nrx.ops.reductions import highest, lowest
from nrx.ops.rules import as_peer, discrete, nonlinear
from nrx.ops.sliding import (
    Padding,
    canonical_padding,
    canonical_steps,
    covered,
    dilated,
    input_padding,
    padded,
    window_count,
    windows_of,
)
from nrx.ops.structural import broadcast_in_dim, broadcasted_iota, linear_jvp, move_axis, reshape

reduce_window_sum_p = Primitive("reduce_window_sum")
reduce_window_max_p = Primitive("reduce_window_max")
reduce_window_min_p = Primitive("reduce_window_min")
reduce_window_argmax_p = Primitive("reduce_window_argmax")
reduce_window_argmin_p = Primitive("reduce_window_argmin")

_OF_A_WINDOW = ("window_dimensions", "window_strides", "window_dilation")

# Public functions


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None,
    padding: str | Sequence[tuple[int, int]],
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Array:
    """`init_value` and the elements of each window put together by `computation`: `add`, `max` or `min`.

    The lengths, strides and dilations are one number an axis; the padding is 'SAME', 'VALID' or (low, high) pairs.
    Padding, and the gaps that `base_dilation` makes, do not count.
    """
    if computation not in COMPUTATIONS:
        raise ArgumentError(
            f"reduce_window cannot reduce with {getattr(computation, '__name__', computation)!r}",
            fix="pass nrx.lax.add, nrx.lax.max or nrx.lax.min",
        )
    prim, combine, identity = COMPUTATIONS[computation]
    (x,) = as_arrays("reduce_window: operand", operand)
    (init,) = as_arrays("reduce_window: init_value", init_value)
    init = as_peer(init_value, init, x.aval.update(shape=()))
    check_same_dtype("reduce_window", x.aval, init.aval)
    if init.ndim:
        raise ShapeError(f"reduce_window: init_value must be a scalar, got shape {show(init.shape)}")
    geometry = _geometry("reduce_window", x, window_dimensions, window_strides, padding, base_dilation, window_dilation)
    out = prim.bind(x, **geometry)
    if isinstance(init, ConcreteArray) and init.numpy() == identity(x.dtype):
        return out
    return combine(out, broadcast_in_dim(init, out.shape, ()))


def _window_function(prim: Primitive, what: str, example: str) -> Callable[..., Array]:
    def function(
        operand: Any,
        window_dimensions: Sequence[int],
        window_strides: Sequence[int] | None = None,
        padding: str | Sequence[tuple[int, int]] = "VALID",
        base_dilation: Sequence[int] | None = None,
        window_dilation: Sequence[int] | None = None,
    ) -> Array:
        (x,) = as_arrays(prim.name, operand)
        return prim.bind(
            x, **_geometry(prim.name, x, window_dimensions, window_strides, padding, base_dilation, window_dilation)
        )

    function.__name__ = function.__qualname__ = prim.name
    function.__doc__ = f"""{what} of `operand` in every window.

    Args:
        operand: an array.
        window_dimensions, window_strides: the lengths of the windows and their distances (None: 1), one number an axis.
        padding: 'SAME', 'VALID' or a (low, high) pair an axis; it does not count.
        base_dilation, window_dilation: the distances of the elements, and of those in a window (None: 1).

    Returns:
        An array with an element a window, of the dtype of `operand`.

    >>> import nrx
    >>> nrx.lax.{prim.name}(nrx.numpy.array([1, 5, 2, 3]), (2,), (2,))
    {example}
    """
    return function


reduce_window_sum = _window_function(reduce_window_sum_p, "The sum of the elements", "Array([6, 5], dtype=int32)")
reduce_window_max = _window_function(
    reduce_window_max_p, "The largest element, or NaN if there is one,", "Array([5, 3], dtype=int32)"
)
reduce_window_min = _window_function(
    reduce_window_min_p, "The smallest element, or NaN if there is one,", "Array([1, 2], dtype=int32)"
)


def _geometry(
    name: str, x: Array, window: Any, strides: Any, padding: Any, base_dilation: Any, window_dilation: Any
) -> dict[str, Any]:
    """The params of the primitives, checked."""
    window = canonical_steps(f"{name}: window_dimensions", window, x.ndim)
    strides = canonical_steps(f"{name}: window_strides", strides, x.ndim)
    window_dilation = canonical_steps(f"{name}: window_dilation", window_dilation, x.ndim)
    extents = tuple(map(dilated, window, window_dilation))
    return {
        "window_dimensions": window,
        "window_strides": strides,
        "padding": canonical_padding(name, padding, x.shape, extents, strides),
        "base_dilation": canonical_steps(f"{name}: base_dilation", base_dilation, x.ndim),
        "window_dilation": window_dilation,
    }


def _counts(
    shape: Shape,
    window_dimensions: Shape,
    window_strides: Shape,
    padding: Padding,
    base_dilation: Shape,
    window_dilation: Shape,
) -> Shape:
    return tuple(map(window_count, shape, window_dimensions, window_strides, padding, base_dilation, window_dilation))


# impl


def _reduce_impl(combine: str, reduce: str, identity: Callable) -> Callable:
    def impl(xp: Any, x: Any, *, padding: Padding, base_dilation: Shape, **windows: Shape) -> Any:
        dtype, counts = x.dtype, _counts(x.shape, padding=padding, base_dilation=base_dilation, **windows)
        if 0 in counts:
            return xp.empty(counts, dtype)
        x = padded(xp, widened(x), padding, base_dilation, identity(dtype))
        for axis, count in enumerate(counts):
            length, stride, dilation = (windows[name][axis] for name in _OF_A_WINDOW)
            if length <= max(count, 2):  # few taps, each for all windows at once
                x = functools.reduce(getattr(xp, combine), _taps(x, axis, count, length, stride, dilation))
            else:  # few windows, each at once
                sizes = (*x.shape[:axis], count, *x.shape[axis + 1 :])
                view = windows_of(xp, x, sizes, *(_only(x.ndim, axis, n) for n in (length, stride, dilation)))
                x = getattr(xp, reduce)(view, axis=tuple(range(x.ndim, 2 * x.ndim))).astype(x.dtype, copy=False)
        return x.astype(dtype, copy=False)

    return impl


def _arg_impl(combine: str, identity: Callable) -> Callable:
    """The flat index of the first extreme element, or of the first NaN; -1 where all of a window is padding."""

    def impl(xp: Any, x: Any, *, padding: Padding, base_dilation: Shape, **windows: Shape) -> Any:
        counts = _counts(x.shape, padding=padding, base_dilation=base_dilation, **windows)
        if 0 in counts:
            return xp.empty(counts, np.int64)
        # Padding is at the largest number there is, so that the smallest place of an extreme element is the first.
        unsigned, signed = (np.uint32, np.int32) if x.size < 1 << 31 else (np.uint64, np.int64)
        places = xp.arange(x.size, dtype=unsigned).reshape(x.shape)
        places = padded(xp, places, padding, base_dilation, np.iinfo(unsigned).max)
        values = padded(xp, widened(x), padding, base_dilation, identity(x.dtype))
        for axis, count in enumerate(counts):
            along = (axis, count, *(windows[name][axis] for name in _OF_A_WINDOW))
            value_taps, place_taps = list(_taps(values, *along)), list(_taps(places, *along))
            values, places = value_taps[0], place_taps[0]
            if len(value_taps) > 1:
                values = functools.reduce(getattr(xp, combine), value_taps)
                hits = ((tap == values) | (tap != tap) for tap in value_taps)
                missed = (hit.astype(unsigned) - unsigned(1) for hit in hits)  # all bits set unless hit
                places = functools.reduce(xp.minimum, map(xp.bitwise_or, place_taps, missed))
        return places.view(signed).astype(np.int64)

    return impl


def _taps(x: Any, axis: int, count: int, length: int, stride: int, dilation: int) -> Iterator[Any]:
    """The first elements of all windows along an axis, the second elements, and so on."""
    before = (slice(None),) * axis
    for start in range(0, length * dilation, dilation):
        yield x[(*before, slice(start, start + (count - 1) * stride + 1, stride))]


def _only(ndim: int, axis: int, value: int) -> tuple[int, ...]:
    return tuple(value if other == axis else 1 for other in range(ndim))


# abstract


def _abstract(name: str, accepted: Collection[np.dtype], result: np.dtype | None = None) -> Callable:
    def abstract(x: Aval, **geometry: Any) -> Aval:
        check_dtype(name, x, accepted)
        return Aval(_counts(x.shape, **geometry), result or x.dtype)

    return abstract


# jvp


def _extremum_jvp(prim: Primitive, arg: Primitive) -> Callable:
    """The tangent of the element that was chosen, 0 for windows of nothing but padding."""

    def jvp(primals: Sequence[Array], tangents: Sequence[Any], **geometry: Any) -> tuple[Array, Any]:
        (x,), (t,) = primals, tangents
        out = prim.bind(x, **geometry)
        if not x.size:
            return out, Zero(out.aval.tangent)
        places = arg.bind(x, **geometry)
        numbers = GatherDimensionNumbers(offset_dims=(), collapsed_slice_dims=(0,), start_index_map=(0,))
        rows = reshape(places, (*places.shape, 1))
        return out, gather(reshape(t, (x.size,)), rows, numbers, (1,), mode="fill", fill_value=0)

    return jvp


# transpose


def _sum_transpose(
    ct: Array, x: Linear, *, padding: Padding, base_dilation: Shape, window_strides: Shape, **windows: Shape
) -> list[Any]:
    length, dilation = windows["window_dimensions"], windows["window_dilation"]
    pads = input_padding(x.aval.shape, length, ct.shape, padding, base_dilation, dilation, window_strides)
    return [
        reduce_window_sum_p.bind(
            ct, window_strides=base_dilation, padding=pads, base_dilation=window_strides, **windows
        )
    ]


# batch


def _batched(geometry: dict[str, Any], dim: int) -> dict[str, Any]:
    """The same windows, one element long along one more axis."""
    return {name: inserted(steps, dim, (0, 0) if name == "padding" else 1) for name, steps in geometry.items()}


def _batch(prim: Primitive) -> Callable:
    def batch(axis: Any, args: Sequence[Array], dims: Sequence[int], **geometry: Any) -> tuple[Array, int]:
        return prim.bind(*args, **_batched(geometry, dims[0])), dims[0]

    return batch


def _arg_batch(prim: Primitive) -> Callable:
    def batch(axis: Any, args: Sequence[Array], dims: Sequence[int], **geometry: Any) -> tuple[Array, int]:
        x = move_axis(args[0], dims[0], 0)
        places = prim.bind(x, **_batched(geometry, 0))
        first = arithmetic.mul(broadcasted_iota(places.dtype, places.shape, 0), size(x.shape[1:]))
        return select(lt(places, 0), places, arithmetic.sub(places, first)), 0

    return batch


# lower


def _lower(function: Callable, identity: Callable) -> Callable:
    def lower(x: Aval, *, window_dimensions: Shape, **geometry: Any) -> Any:
        together = accumulation.by(function, identity(x.dtype), x.dtype)
        return _over_windows(together, x, window_dimensions, geometry, None)

    return lower


def _arg_lower(beats: Callable, identity: Callable) -> Callable:
    def lower(x: Aval, *, window_dimensions: Shape, **geometry: Any) -> Any:
        positions = accumulation.position_type(x.size)
        first = accumulation.first_of(beats, identity(x.dtype), x.dtype, positions)
        none = first.inits[-1][0]
        place = Accumulator(first.inits, first.combine, lambda parts: loops.select(parts[1] < none, parts[1], -1))
        return _over_windows(place, x, window_dimensions, geometry, positions)

    return lower


def _over_windows(
    together: Accumulator, x: Aval, window: Shape, geometry: dict[str, Any], positions: str | None
) -> Reduction | Pointwise:
    """The elements of every window put together, with their positions of that type if there is one."""
    neutral = [loops.const(value, type) for value, type in together.inits]

    def parts(b: Builder, places: tuple, taps: tuple, x: Reader, **params: Any) -> list[Expr]:
        if not size(x.aval.shape):
            return neutral
        index, covers = covered(places, taps, x.aval.shape, **geometry)
        found = accumulation.parts_of(x(*index))
        if positions is not None:
            found.append(accumulation.position(loops.row_major(index, x.aval.shape), positions))
        if covers is None:
            return found
        return [loops.select(covers, part, other) for part, other in zip(found, neutral, strict=True)]

    counts = _counts(x.shape, window_dimensions=window, **geometry)
    last = next((axis for axis in reversed(range(x.ndim)) if (counts[axis], window[axis]) != (1, 1)), None)
    if last is None or counts[last] >= window[last]:
        return together.inside(window, parts)
    return together.over(window, parts)


# Registration

reduce_window_sum_p.define(
    impl=_reduce_impl("add", "sum", lambda dtype: 0), abstract=_abstract("reduce_window_sum", NUMBERS),
    jvp=linear_jvp(reduce_window_sum_p), transpose=_sum_transpose, batch=_batch(reduce_window_sum_p),
    lower=_lower(operator.add, lambda dtype: 0),
)  # fmt: skip
reduce_window_max_p.define(
    impl=_reduce_impl("maximum", "max", lowest), abstract=_abstract("reduce_window_max", REAL),
    batch=_batch(reduce_window_max_p), lower=_lower(accumulation.larger, lowest),
)  # fmt: skip
reduce_window_min_p.define(
    impl=_reduce_impl("minimum", "min", highest), abstract=_abstract("reduce_window_min", REAL),
    batch=_batch(reduce_window_min_p), lower=_lower(accumulation.smaller, highest),
)  # fmt: skip
reduce_window_argmax_p.define(
    impl=_arg_impl("maximum", lowest), abstract=_abstract("reduce_window_argmax", REAL, dtypes.int64),
    batch=_arg_batch(reduce_window_argmax_p), lower=_arg_lower(accumulation.greater, lowest),
)  # fmt: skip
reduce_window_argmin_p.define(
    impl=_arg_impl("minimum", highest), abstract=_abstract("reduce_window_argmin", REAL, dtypes.int64),
    batch=_arg_batch(reduce_window_argmin_p), lower=_arg_lower(accumulation.less, highest),
)  # fmt: skip
nonlinear(reduce_window_max_p, _extremum_jvp(reduce_window_max_p, reduce_window_argmax_p))
nonlinear(reduce_window_min_p, _extremum_jvp(reduce_window_min_p, reduce_window_argmin_p))
discrete(reduce_window_argmax_p)
discrete(reduce_window_argmin_p)
for _prim in (
    reduce_window_sum_p, reduce_window_max_p, reduce_window_min_p, reduce_window_argmax_p, reduce_window_argmin_p,
):  # fmt: skip
    _prim.refuse(onnx=NOT_YET_LOWERED)

_SUM = (reduce_window_sum_p, arithmetic.add, lambda dtype: 0)
_MAX = (reduce_window_max_p, arithmetic.max, lowest)
_MIN = (reduce_window_min_p, arithmetic.min, highest)
#: The computations of `reduce_window` that have primitives.
COMPUTATIONS: dict[Any, tuple[Primitive, Callable, Callable]] = {
    arithmetic.add: _SUM, operator.add: _SUM, np.add: _SUM,
    arithmetic.max: _MAX, builtins.max: _MAX, np.maximum: _MAX,
    arithmetic.min: _MIN, builtins.min: _MIN, np.minimum: _MIN,
}  # fmt: skip
