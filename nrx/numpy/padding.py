"""`pad`: elements added around an array."""

import builtins
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from nrx import lax
from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import canonical_axis, show
from nrx.numpy.arithmetic import add, divide, multiply, subtract
from nrx.numpy.indexing import take
from nrx.numpy.joining import concatenate
from nrx.numpy.logic import where
from nrx.numpy.manipulation import broadcast_to
from nrx.numpy.mapping import apply_along_axis
from nrx.numpy.reductions import max, min
from nrx.numpy.statistics import mean, median
from nrx.ops.common import as_arrays


def pad(array: Any, pad_width: Any, mode: str | Callable = "constant", **options: Any) -> Array:
    """The array with elements added before and after along each axis, one axis after the other.

    Args:
        array: an array.
        pad_width: an int, (before, after), or that for each axis.
        mode: "constant"; "edge" repeats the outermost element; "linear_ramp" goes from it to another value; "maximum",
            "minimum", "mean" and "median" are those of the elements along the axis; "reflect" mirrors the array without
            its outermost element, "symmetric" with it; "wrap" starts again at the other end; "empty" is "constant". Or
            a function of a padded vector, its (before, after), the axis and the options as a dictionary, which returns
            the vector (NumPy's changes it in place).
        options: `constant_values` of the mode "constant" and `end_values` of "linear_ramp", by default 0: a number,
            (before, after), or that for each axis; `stat_length` in the same form, how many elements next to the edge
            "maximum" and its like look at, by default all; `reflect_type` of "reflect" and "symmetric", "even" or
            "odd", which takes what is mirrored from twice the outermost element.

    Returns:
        An array of the dtype of `array`.

    Raises:
        ArgumentError: an unknown mode or option, or one that makes no sense.
        ShapeError: an empty axis, in all modes but "constant" and "empty".

    >>> jnp.pad(jnp.arange(3), (1, 2))
    Array([0, 0, 1, 2, 0, 0], dtype=int32)
    >>> jnp.pad(jnp.arange(3), 2, mode="reflect")
    Array([2, 1, 0, 1, 2, 1, 0], dtype=int32)
    >>> jnp.pad(jnp.array([4.0, 6.0]), (1, 2), mode="linear_ramp")
    Array([0., 4., 6., 3., 0.], dtype=float32)
    """
    (x,) = as_arrays("pad", array)
    widths = _widths(pad_width, x.ndim)
    if mode == "constant":
        constants = _pairs(options.pop("constant_values", 0), x.ndim)
        _reject_options(mode, options)
        return _constant_padded(x, widths, constants)
    if callable(mode):
        x = _constant_padded(x, widths, [(0, 0)] * x.ndim)
        for axis, pair in enumerate(widths):
            x = apply_along_axis(mode, axis, x, pair, axis, options)
        return x
    if mode == "empty":
        _reject_options(mode, options)
        return _constant_padded(x, widths, [(0, 0)] * x.ndim)
    if mode not in _SIDES:
        known = ", ".join(("constant", "empty", *_SIDES))
        raise ArgumentError(f"pad: unknown mode {mode!r}", fix=f"use one of {known}")
    sides, (option, default) = _SIDES[mode]
    value = options.pop(option, default) if option else None
    _reject_options(mode, options)
    each: Any = [value] * x.ndim if option == "reflect_type" else _pairs(value, x.ndim)
    for axis, pair in enumerate(widths):
        if not any(pair):
            continue
        if not x.shape[axis]:
            raise ShapeError(f"pad: the empty axis {axis} of shape {show(x.shape)} cannot be padded in mode {mode!r}")
        before, after = sides(x, axis, pair, each[axis])
        x = concatenate([before, x, after], axis)
    return x


def _reject_options(mode: str, options: dict[str, Any]) -> None:
    if options:
        raise ArgumentError(f"pad: mode {mode!r} takes no {', '.join(options)}")


def _pairs(values: Any, ndim: int) -> list[tuple[Any, Any]]:
    """(before, after) for each axis, from one value, one pair, or a pair for each axis."""
    if not isinstance(values, Sequence | np.ndarray):
        return [(values, values)] * ndim
    rows = list(values)
    if rows and not isinstance(rows[0], Sequence | np.ndarray):
        rows = [rows] * ndim
    elif len(rows) == 1:
        rows = rows * ndim
    if len(rows) != ndim or any(len(row) not in (1, 2) for row in rows):
        raise ArgumentError(f"pad: {values!r} does not give (before, after) for each of {ndim} axes")
    return [(row[0], row[-1]) for row in rows]


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        rows: list[Any] = [(0, 0)] * ndim
        for axis, width in pad_width.items():
            rows[canonical_axis(axis, ndim)] = width if isinstance(width, Sequence) else (width, width)
        pad_width = rows
    widths = [(index(before), index(after)) for before, after in _pairs(pad_width, ndim)]
    if any(w < 0 for pair in widths for w in pair):
        raise ArgumentError(f"pad: widths must not be negative, got {pad_width}", fix="use nrx.lax.pad, or slice")
    return widths


def _constant_padded(x: Array, widths: list[tuple[int, int]], values: list[tuple[Any, Any]]) -> Array:
    converted = [[lax.convert_element_type(v, x.dtype, x.weak_type) for v in pair] for pair in values]
    first = converted[0][0] if converted else None
    if all(v is values[0][0] or (type(v) in (int, float) and v == values[0][0]) for pair in values for v in pair):
        return x if first is None else lax.pad(x, first, [(*pair, 0) for pair in widths])
    for axis, ((before, after), (low, high)) in enumerate(zip(widths, converted, strict=True)):
        none = [(0, 0, 0)] * x.ndim
        x = lax.pad(x, low, [*none[:axis], (before, 0, 0), *none[axis + 1 :]])
        x = lax.pad(x, high, [*none[:axis], (0, after, 0), *none[axis + 1 :]])
    return x


# What comes before and after along an axis


def _at(positions: Callable[[np.ndarray, int], np.ndarray]) -> Callable:
    """Sides that hold elements of the array: those at the positions for places outside of it."""

    def sides(x: Array, axis: int, pair: tuple[int, int], values: Any) -> list[Array]:
        length = x.shape[axis]
        return [take(x, positions(places, length), axis) for places in _places(pair, length)]

    return sides


def _places(pair: tuple[int, int], length: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(-pair[0], 0), np.arange(length, length + pair[1])


def _mirrored(with_edge: bool) -> Callable:
    """Sides that mirror the array, again and again, at its outermost elements or beyond them.

    Of the type "odd", each block of the array is the mirror image of the one before, seen from its last element.
    """

    def sides(x: Array, axis: int, pair: tuple[int, int], kind: Any) -> list[Array]:
        if kind not in ("even", "odd"):
            raise ArgumentError(f'pad: reflect_type is "even" or "odd", got {kind!r}')
        last = x.shape[axis] - 1
        found = []
        for places in _places(pair, last + 1):
            blocks, rests = np.divmod(places, last + with_edge) if last or with_edge else (0 * places, 0 * places)
            turned = blocks % 2 == 1
            side = take(x, np.where(turned, last - rests, rests), axis)
            if kind == "odd" and last:
                side = _seen_from(x, side, axis, blocks, turned)
            found.append(side)
        return found

    return sides


def _seen_from(x: Array, side: Array, axis: int, blocks: np.ndarray, turned: np.ndarray) -> Array:
    """Mirrored elements of the type "odd" from those of the type "even", in their blocks."""
    shape = tuple(-1 if i == axis else 1 for i in range(x.ndim))
    low, high = take(x, [0], axis), take(x, [-1], axis)
    rises = multiply((blocks - turned).reshape(shape).astype(x.dtype), subtract(high, low))
    return add(rises, where(turned.reshape(shape), subtract(add(high, high), side), side))


def _ramps(x: Array, axis: int, pair: tuple[int, int], values: tuple[Any, Any]) -> list[Array]:
    """Sides that go from a value to the outermost element in even steps."""
    found = []
    for position, count, value in zip((0, -1), pair, values, strict=True):
        edge = take(x, [position], axis)
        if not dtypes.is_inexact(x.dtype):
            edge = lax.convert_element_type(edge, np.float64)
        start = lax.convert_element_type(lax.convert_element_type(value, x.dtype), edge.dtype)
        numbers = np.arange(count).reshape([-1 if i == axis else 1 for i in range(x.ndim)]).astype(edge.dtype)
        ramp = add(start, multiply(numbers, divide(subtract(edge, start), builtins.max(count, 1))))
        if not dtypes.is_inexact(x.dtype):
            ramp = lax.floor(ramp)
        found.append(lax.convert_element_type(lax.rev(ramp, [axis]) if position else ramp, x.dtype))
    return found


def _summaries(function: Callable) -> Callable:
    """Sides that repeat what a reduction gives for the elements next to the edge."""

    def sides(x: Array, axis: int, pair: tuple[int, int], lengths: tuple[Any, Any]) -> list[Array]:
        length, found = x.shape[axis], []
        for is_after, (count, of) in enumerate(zip(pair, lengths, strict=True)):
            of = length if of is None else builtins.min(index(of), length)
            if of < 1:
                raise ArgumentError(f"pad: stat_length must be positive, got {lengths}")
            near = lax.slice_in_dim(x, length - of if is_after else 0, length if is_after else of, axis=axis)
            value = function(near, axis, keepdims=True)
            if dtypes.is_integer(x.dtype) and dtypes.is_inexact(value.dtype):
                value = lax.round(value, lax.RoundingMethod.TO_NEAREST_EVEN)
            shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
            found.append(broadcast_to(lax.convert_element_type(value, x.dtype), shape))
        return found

    return sides


def _average(function: Callable) -> Callable:
    """A mean or median that is exact for integers of up to 53 bits."""

    def average(x: Array, axis: int, keepdims: bool) -> Array:
        exact = x if dtypes.is_inexact(x.dtype) else lax.convert_element_type(x, np.float64)
        return function(exact, axis, keepdims=keepdims)

    return average


#: mode -> what gives the sides, and its option with the default.
_SIDES: dict[Any, tuple[Callable, tuple[str, Any]]] = {
    "edge": (_at(lambda places, length: np.clip(places, 0, length - 1)), ("", None)),
    "wrap": (_at(lambda places, length: places % length), ("", None)),
    "reflect": (_mirrored(False), ("reflect_type", "even")),
    "symmetric": (_mirrored(True), ("reflect_type", "even")),
    "linear_ramp": (_ramps, ("end_values", 0)),
    "maximum": (_summaries(max), ("stat_length", None)),
    "minimum": (_summaries(min), ("stat_length", None)),
    "mean": (_summaries(_average(mean)), ("stat_length", None)),
    "median": (_summaries(_average(median)), ("stat_length", None)),
}
