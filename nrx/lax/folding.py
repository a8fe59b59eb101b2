"""Reductions and scans by any associative function, on trees of arrays."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, DTypeError, ShapeError, TreeError
from nrx.core.pytree import tree_flatten, tree_map, tree_unflatten
from nrx.core.shapes import canonical_axes, canonical_axis, show, size, without
from nrx.ops import windows
from nrx.ops.common import as_arrays
from nrx.ops.rules import as_peer
from nrx.ops.slicing import concatenate, pad, slice, slice_in_dim
from nrx.ops.sliding import canonical_padding, canonical_steps, dilated, window_count
from nrx.ops.structural import broadcast_in_dim, reshape, rev, transpose
from nrx.transforms import vmap

Leaves = list[Array]


def associative_scan(fn: Callable, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """The elements so far along an axis put together by an associative function, in parallel: log(n) rounds.

    Args:
        fn: `fn(x, y)` of two trees like `elems`, with any length along the axis; it combines element by element.
        elems: a pytree of arrays of one length along the axis.
        reverse: begin at the end of the axis.
        axis: the axis.

    Returns:
        The tree of the results, of the shapes of `elems`. Dtypes stay.

    Raises:
        ShapeError: the lengths differ, or there is no array with an axis.
        TreeError: `fn` returns another tree.

    >>> import nrx
    >>> nrx.lax.associative_scan(nrx.lax.mul, nrx.numpy.array([1, 2, 3, 4]))
    Array([ 1,  2,  6, 24], dtype=int32)
    """
    leaves, tree = tree_flatten(elems)
    arrays = [asarray(leaf, "associative_scan: elems") for leaf in leaves]
    axes = [canonical_axis(axis, x.ndim) for x in arrays]
    lengths = {x.shape[at] for x, at in zip(arrays, axes, strict=True)}
    if len(lengths) != 1:
        raise ShapeError(
            f"associative_scan: elems need one length along axis {axis}, got {sorted(lengths) or 'no arrays'}",
            fix="pass arrays of one length along it",
        )

    def combine(first: Leaves, second: Leaves) -> Leaves:
        return _like(tree, fn(tree_unflatten(tree, first), tree_unflatten(tree, second)), "associative_scan: fn")

    if reverse:
        arrays = [rev(x, [at]) for x, at in zip(arrays, axes, strict=True)]
    arrays = _scanned(combine, arrays, axes)
    if reverse:
        arrays = [rev(x, [at]) for x, at in zip(arrays, axes, strict=True)]
    return tree_unflatten(tree, arrays)


def _like(tree: Any, result: Any, what: str) -> Leaves:
    leaves, found = tree_flatten(result)
    if found != tree:
        raise TreeError(
            f"{what} returned {found}, not a tree like its arguments, {tree}", fix="return a tree like them"
        )
    return [asarray(leaf, what) for leaf in leaves]


def _scanned(combine: Callable, arrays: Leaves, axes: Sequence[int]) -> Leaves:
    """Neighbours are combined first; the scan of these pairs is every other result, and the rest follow from them."""
    length = arrays[0].shape[axes[0]]
    if length < 2:
        return arrays

    def part(xs: Leaves, start: int, stop: int, step: int = 1) -> Leaves:
        return [slice_in_dim(x, start, stop, step, at) for x, at in zip(xs, axes, strict=True)]

    pairs = length // 2
    odd = _scanned(combine, combine(part(arrays, 0, 2 * pairs, 2), part(arrays, 1, 2 * pairs, 2)), axes)
    even = part(arrays, 0, 1)
    later = (length - 1) // 2
    if later:
        rest = combine(part(odd, 0, later), part(arrays, 2, length, 2))
        even = [concatenate([x, y], at) for x, y, at in zip(even, rest, axes, strict=True)]
    return [_interleaved(x, y, at) for x, y, at in zip(even, odd, axes, strict=True)]


def _interleaved(even: Array, odd: Array, at: int) -> Array:
    """x0 y0 x1 y1 … along an axis."""
    count = odd.shape[at]
    pairs = [
        reshape(slice_in_dim(x, 0, count, 1, at), (*x.shape[:at], count, 1, *x.shape[at + 1 :])) for x in (even, odd)
    ]
    both = concatenate(pairs, at + 1)
    both = reshape(both, (*even.shape[:at], 2 * count, *even.shape[at + 1 :]))
    return concatenate([both, slice_in_dim(even, count, None, 1, at)], at)


def reduce(
    operands: Any, init_values: Any, computation: Callable, dimensions: Sequence[int], out_sharding: Any = None
) -> Any:
    """Axes reduced by any associative function of scalars.

    Args:
        operands: a pytree of arrays of one shape.
        init_values: a tree like it of scalars: neutral elements of the computation, which may enter more than once.
        computation: `computation(x, y)` of two trees of scalars like `init_values`, associative and commutative.
        dimensions: the axes.

    Returns:
        The tree of arrays without those axes. Dtypes stay.

    Raises:
        ShapeError: the shapes differ, or an initial value is no scalar.
        TreeError: the trees differ.

    >>> import nrx
    >>> nrx.lax.reduce(nrx.numpy.array([[1, 2], [3, 4]]), 1, lambda x, y: x * y, [0])
    Array([3, 8], dtype=int32)
    """
    arrays, inits, tree = _operands("reduce", operands, init_values)
    shape = arrays[0].shape
    axes = canonical_axes(dimensions, len(shape), "dimensions")
    kept = without(range(len(shape)), axes)
    count, out_shape = size(tuple(shape[at] for at in axes)), tuple(shape[at] for at in kept)
    combine = _elementwise(computation, tree, "reduce")
    rows = [reshape(transpose(x, (*axes, *kept)), (count, *out_shape)) for x in arrays]
    while count > 1:
        half = count // 2
        merged = combine(*([slice_in_dim(x, at, at + half) for x in rows] for at in (0, half)))
        if count % 2:
            merged = [
                concatenate([x, slice_in_dim(row, count - 1, count)], 0) for x, row in zip(merged, rows, strict=True)
            ]
        rows, count = merged, half + count % 2
    results = [broadcast_in_dim(init, out_shape, ()) for init in inits]
    if count:
        results = combine(results, [reshape(x, out_shape) for x in rows])
    return tree_unflatten(tree, results)


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Every window that slides over the arrays reduced by any associative function of scalars.

    Args:
        operand: a pytree of arrays of one shape.
        init_value: a tree like it of scalars: neutral elements of the computation, which may enter more than once.
        computation: `computation(x, y)` of two trees of scalars; `add`, `max` and `min` are the fast ones.
        window_dimensions, window_strides, base_dilation, window_dilation: one number an axis.
        padding: 'SAME', 'VALID' or (low, high) pairs; what pads does not count.

    Returns:
        The tree of arrays with an element for every window. Dtypes stay.

    Raises:
        ShapeError, ArgumentError: the window does not fit the arrays.

    >>> import nrx
    >>> nrx.lax.reduce_window(nrx.numpy.array([1, 2, 3, 4]), 1, nrx.lax.mul, (2,), None, "VALID")
    Array([ 2,  6, 12], dtype=int32)
    """
    geometry = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    if computation in windows.COMPUTATIONS and not isinstance(operand, list | tuple | dict):
        return windows.reduce_window(operand, init_value, computation, *geometry)
    arrays, inits, tree = _operands("reduce_window", operand, init_value)
    shape = arrays[0].shape
    window, strides, base, dilation = (
        canonical_steps(f"reduce_window: {name}", given, len(shape))
        for name, given in (
            ("window_dimensions", window_dimensions), ("window_strides", window_strides),
            ("base_dilation", base_dilation), ("window_dilation", window_dilation),
        )
    )  # fmt: skip
    pads = canonical_padding("reduce_window", padding, shape, tuple(map(dilated, window, dilation)), strides)
    counts = tuple(map(window_count, shape, window, strides, pads, base, dilation))
    combine = _elementwise(computation, tree, "reduce_window")
    results = [broadcast_in_dim(init, counts, ()) for init in inits]
    if not size(counts):
        return tree_unflatten(tree, results)
    config = [(low, high, spread - 1) for (low, high), spread in zip(pads, base, strict=True)]
    arrays = [pad(x, init, config) for x, init in zip(arrays, inits, strict=True)]
    for tap in product(*map(range, window)):
        starts = [i * step for i, step in zip(tap, dilation, strict=True)]
        limits = [first + (count - 1) * step + 1 for first, count, step in zip(starts, counts, strides, strict=True)]
        results = combine(results, [slice(x, starts, limits, strides) for x in arrays])
    return tree_unflatten(tree, results)


def _operands(name: str, operands: Any, inits: Any) -> tuple[Leaves, Leaves, Any]:
    """The leaves of both trees, checked, and the tree."""
    leaves, tree = tree_flatten(operands)
    starts, start_tree = tree_flatten(inits)
    if tree != start_tree:
        raise TreeError(f"{name}: the initial values are {start_tree}, the operands {tree}", fix="make the trees equal")
    if not leaves:
        raise ArgumentError(f"{name} needs an array", fix="pass at least one")
    arrays, values = as_arrays(name, *leaves), []
    for x, start in zip(arrays, starts, strict=True):
        init = as_peer(start, asarray(start, f"{name}: initial value"), x.aval.update(shape=()))
        if x.shape != arrays[0].shape or init.shape:
            raise ShapeError(
                f"{name} needs arrays of one shape and scalars to begin with, got {show(x.shape)} beside "
                f"{show(arrays[0].shape)} and {show(init.shape)}"
            )
        if init.dtype != x.dtype:
            raise DTypeError(f"{name}: the initial value is {init.dtype}, the array {x.dtype}", fix="make them equal")
        values.append(init)
    return arrays, values, tree


def _elementwise(computation: Callable, tree: Any, name: str) -> Callable[[Leaves, Leaves], Leaves]:
    """The computation of scalars, on arrays of one shape."""

    def of_scalars(first: Leaves, second: Leaves) -> Leaves:
        result = computation(tree_unflatten(tree, first), tree_unflatten(tree, second))
        return _like(tree, result, f"{name}: computation")

    def combine(first: Leaves, second: Leaves) -> Leaves:
        shape = first[0].shape
        if not size(shape):
            return first
        flat = [[reshape(x, (size(shape),)) for x in leaves] for leaves in (first, second)]
        return tree_map(lambda x: reshape(x, shape), vmap(of_scalars)(*flat))

    return combine
