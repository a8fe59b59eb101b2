"""Scatter: windows of an array updated, at places that an array of indices gives.

Of the updates for one place `scatter` lets the last win, on every backend; the others take them one after the other.
"""

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache, partial, reduce
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import ShapeError
from nrx.core.loops import Builder, Complex, Native, Operand, Value
from nrx.core.primitive import Primitive
from nrx.core.shapes import Shape, show, size, without
from nrx.ops.accumulation import larger, smaller
from nrx.ops.addressing import Layout, layout_of, only_window, places_of, starts_of, window_axes, window_start
from nrx.ops.arithmetic import add, div, mul, sub
from nrx.ops.common import (
    ANY,
    MOVABLE,
    NOT_YET_LOWERED,
    NUMBERS,
    as_arrays,
    check_dtype,
    check_same_dtype,
    widened,
)
from nrx.ops.dimension_numbers import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    check_numbers,
    window_sizes,
)
from nrx.ops.gather import gather_p
from nrx.ops.logic import eq, select
from nrx.ops.moves import Box, move_in_order, row_major_strides
from nrx.ops.rules import sum_tangents, through_float32_lower
from nrx.ops.structural import full_like, instantiate, iota, reshape, spread, zeros_like

# Public functions


def scatter(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the windows that the indices name replaced by `updates`; of repeated ones the last wins.

    Args:
        operand: an array.
        scatter_indices: integers of shape (..., number of indexed axes): where each window begins.
        updates: the windows, of the dtype of `operand`.
        dimension_numbers: which axes of `operand` the indices count along, and which of `updates` belong to windows.
        indices_are_sorted: a promise that is not needed.
        unique_indices: the promise that no two windows overlap, which spares work.
        mode: what a window outside does: "drop" (the default), "clip" moves it inside, "promise_in_bounds".

    >>> import nrx
    >>> rows = nrx.lax.ScatterDimensionNumbers((), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
    >>> nrx.lax.scatter(nrx.numpy.zeros(3), nrx.numpy.array([[1], [1]]), nrx.numpy.array([2.0, 3.0]), rows)
    Array([0., 3., 0.], dtype=float32)
    """
    return _scatter(
        scatter_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def scatter_add(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with `updates` added to the windows that the indices name; 16-bit floats accumulate in float32.

    Arguments as of `scatter`.

    The result has the shape and dtype of `operand`.

    >>> import nrx
    >>> rows = nrx.lax.ScatterDimensionNumbers((), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
    >>> nrx.lax.scatter_add(nrx.numpy.zeros(3), nrx.numpy.array([[1], [1]]), nrx.numpy.array([2.0, 3.0]), rows)
    Array([0., 5., 0.], dtype=float32)
    """
    return _scatter(
        scatter_add_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def scatter_mul(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the windows that the indices name multiplied by `updates`.

    Arguments as of `scatter`.

    The result has the shape and dtype of `operand`.

    >>> import nrx
    >>> rows = nrx.lax.ScatterDimensionNumbers((), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
    >>> nrx.lax.scatter_mul(nrx.numpy.ones(3), nrx.numpy.array([[1], [1]]), nrx.numpy.array([2.0, 3.0]), rows)
    Array([1., 6., 1.], dtype=float32)
    """
    return _scatter(
        scatter_mul_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def scatter_min(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the smaller of itself and `updates` in the windows that the indices name; NaN wins.

    Arguments as of `scatter`.

    The result has the shape and dtype of `operand`.

    >>> import nrx
    >>> rows = nrx.lax.ScatterDimensionNumbers((), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
    >>> nrx.lax.scatter_min(nrx.numpy.ones(3), nrx.numpy.array([[1], [1]]), nrx.numpy.array([0.5, 3.0]), rows)
    Array([1. , 0.5, 1. ], dtype=float32)
    """
    return _scatter(
        scatter_min_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def scatter_max(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Array:
    """`operand` with the larger of itself and `updates` in the windows that the indices name; NaN wins.

    Arguments as of `scatter`.

    The result has the shape and dtype of `operand`.

    >>> import nrx
    >>> rows = nrx.lax.ScatterDimensionNumbers((), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
    >>> nrx.lax.scatter_max(nrx.numpy.ones(3), nrx.numpy.array([[1], [1]]), nrx.numpy.array([0.5, 3.0]), rows)
    Array([1., 3., 1.], dtype=float32)
    """
    return _scatter(
        scatter_max_p, operand, scatter_indices, updates, dimension_numbers, indices_are_sorted, unique_indices, mode
    )


def _scatter(
    prim: Primitive, operand: Any, indices: Any, updates: Any, numbers: Any, is_sorted: bool, unique: bool, mode: Any
) -> Array:
    return prim.bind(
        *as_arrays(prim.name, operand, indices, updates), dimension_numbers=numbers,
        indices_are_sorted=bool(is_sorted), unique_indices=bool(unique), mode=GatherScatterMode.from_any(mode),
    )  # fmt: skip


# impl


@lru_cache(maxsize=1024)
def _scatter_layout(
    dimension_numbers: ScatterDimensionNumbers, operand: Shape, indices: Shape, updates: Shape
) -> tuple[GatherDimensionNumbers, Shape, Layout]:
    """A scatter as the gather that addresses the same: its dimension numbers, slice sizes and layout."""
    numbers = dimension_numbers.for_gather()
    sizes = window_sizes(numbers, operand, updates)
    return numbers, sizes, layout_of(numbers, operand, indices, sizes)


def _scatter_impl(function: str | None) -> Callable:
    """The impl of a scatter that combines old and new by the ufunc of that name; None replaces."""

    def impl(
        xp: Any,
        operand: Any,
        indices: Any,
        updates: Any,
        *,
        dimension_numbers: ScatterDimensionNumbers,
        indices_are_sorted: bool,
        unique_indices: bool,
        mode: GatherScatterMode,
    ) -> Any:
        if operand.size == 0 or updates.size == 0:
            return operand
        numbers, sizes, layout = _scatter_layout(dimension_numbers, operand.shape, indices.shape, updates.shape)
        masked = mode is GatherScatterMode.FILL_OR_DROP
        combine = getattr(xp, function) if function else None
        old, new = (widened(operand), widened(updates)) if combine else (operand, updates)
        if size(layout.batch) == 1:
            window = only_window(indices, numbers, operand.shape, sizes, masked)
            if window is None:
                return operand
            out, new = old.copy(), new.reshape(sizes)
            out[window] = combine(out[window], new) if combine else new
        else:
            count = operand.size // layout.block
            table = xp.empty((count + 1, layout.block), old.dtype)  # the last row takes what is dropped
            table[:-1] = old.reshape(count, layout.block)
            starts, inside = starts_of(xp, indices, numbers, operand.shape, sizes, masked)
            rows = _rows(xp, layout, starts, inside, sizes, count)
            _update(xp, combine, table, rows, new.transpose(layout.order).reshape(-1, layout.block), unique_indices)
            out = table[:-1].reshape(operand.shape)
        return out.astype(operand.dtype, copy=False)

    return impl


def _rows(xp: Any, layout: Layout, starts: dict[int, Any], inside: Any, sizes: Shape, dropped: int) -> Any:
    """The block that each block of the updates goes to, or `dropped`; flat."""
    places = places_of(xp, layout, starts, sizes)
    strides = [layout.strides[d] for d in layout.moving]
    terms = [place if stride == 1 else place * stride for place, stride in zip(places, strides, strict=True)]
    windows = (*layout.batch, *(sizes[d] for d in layout.moving))
    rows = xp.broadcast_to(xp.asarray(reduce(operator.add, terms) if terms else 0), size(windows))[:, None]
    if layout.columns.size != 1:
        rows = rows + xp.asarray(layout.columns)
    if inside is not None:
        inside = xp.broadcast_to(inside.reshape(layout.batch + (1,) * len(layout.moving)), windows).reshape(-1, 1)
        rows = xp.where(inside, rows, dropped)
    return rows.reshape(-1)


def _update(xp: Any, combine: Any, table: Any, rows: Any, new: Any, unique: bool) -> None:
    """Combine `new` into rows of `table`, in place. NumPy takes repeated rows one after the other, CuPy does not."""
    if combine is not None and not unique and xp is np:
        block = table.shape[1]
        elements = rows if block == 1 else rows[:, None] * block + np.arange(block)
        dtype = np.dtype(table.dtype.type)  # `at` is slow for a dtype that is not NumPy's very own, as of a broadcast
        combine.at(table.reshape(-1).view(dtype), elements.reshape(-1), new.reshape(-1).view(dtype))
        return
    if not unique and xp is not np:
        rows, new = _without_repeats(xp, combine, rows, new)
    if table.shape[1] == 1:  # a flat index is several times as fast
        table, new = table.reshape(-1), new.reshape(-1)
    table[rows] = combine(table[rows], new) if combine else new


def _without_repeats(xp: Any, combine: Any, rows: Any, new: Any) -> tuple[Any, Any]:
    """Each row once, with its updates combined (or, without `combine`, its last) by a segmented scan of sorted rows."""
    order = xp.argsort(rows, kind="stable")
    rows, new = rows[order], new[order]
    reach = 1
    while combine is not None and reach < len(rows):
        same = rows[reach:] == rows[:-reach]
        if not same.any():
            break
        new[reach:] = xp.where(same[:, None], combine(new[:-reach], new[reach:]), new[reach:])
        reach *= 2
    last = xp.ones(len(rows), np.bool_)
    last[:-1] = rows[1:] != rows[:-1]
    return rows[last], new[last]


# abstract


def _scatter_abstract(name: str, accepts: frozenset) -> Callable:
    def abstract(
        operand: Aval,
        indices: Aval,
        updates: Aval,
        *,
        dimension_numbers: ScatterDimensionNumbers,
        indices_are_sorted: bool,
        unique_indices: bool,
        mode: GatherScatterMode,
    ) -> Aval:
        numbers = dimension_numbers.for_gather()
        check_dtype(name, operand, accepts)
        check_same_dtype(name, operand, updates)
        ndim = max(indices.ndim - 1, 0) + len(numbers.offset_dims)
        if updates.ndim != ndim or any(d >= ndim for d in numbers.offset_dims):
            raise ShapeError(
                f"{name}: updates of shape {show(updates.shape)} need {ndim} axes: those of the indices "
                f"{show(indices.shape)} less the last, and the window's {numbers.offset_dims}"
            )
        missing = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
        if len(missing) + len(numbers.offset_dims) != operand.ndim:
            raise ShapeError(f"{name}: {numbers} do not place all {operand.ndim} axes of operand {operand}")
        sizes = window_sizes(numbers, operand.shape, updates.shape)
        check_numbers(name, numbers, operand, indices, sizes)
        batch = without(updates.shape, numbers.offset_dims)
        if batch != indices.shape[:-1]:
            raise ShapeError(
                f"{name}: updates of shape {show(updates.shape)} have the batch shape {show(batch)}, indices of shape "
                f"{show(indices.shape)} need {show(indices.shape[:-1])}"
            )
        if any(s > n for d, (s, n) in enumerate(zip(sizes, operand.shape, strict=True)) if d not in missing):
            raise ShapeError(f"{name}: windows of size {show(sizes)} do not fit into operand {operand}")
        return operand if updates.weak_type else operand.strong

    return abstract


# jvp


def _scatter_jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    operand, indices, updates = primals
    out = scatter_p.bind(operand, indices, updates, **params)
    t_operand, _, t_updates = tangents
    if isinstance(t_operand, Zero) and isinstance(t_updates, Zero):
        return out, Zero(out.aval.tangent)
    return out, scatter_p.bind(instantiate(t_operand), indices, instantiate(t_updates), **params)


def _scatter_add_jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    operand, indices, updates = primals
    out = scatter_add_p.bind(operand, indices, updates, **params)
    t_operand, _, t_updates = tangents
    if isinstance(t_updates, Zero):
        return out, t_operand
    return out, scatter_add_p.bind(instantiate(t_operand), indices, t_updates, **params)


def _scatter_mul_jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    operand, indices, updates = primals
    out = scatter_mul_p.bind(operand, indices, updates, **params)
    terms = []
    if not isinstance(tangents[0], Zero):
        terms.append(mul(tangents[0], scatter_mul_p.bind(full_like(operand, 1), indices, updates, **params)))
    if not isinstance(tangents[2], Zero):
        factor = _take_back(operand, indices, updates.aval, **params)
        if not params["unique_indices"]:
            factor = mul(factor, _other_factors(operand, indices, updates, **params))
        terms.append(scatter_add_p.bind(zeros_like(operand), indices, mul(tangents[2], factor), **params))
    return out, sum_tangents(terms, out.aval, add)


def _other_factors(operand: Array, indices: Array, updates: Array, **params: Any) -> Array:
    """For each update the product of the others for the same place, with a right derivative also where some are 0.

    It is the product of the others that are not 0 times that of those that are: 1 if there is none; if there is one
    their sum, which is 0 but varies as it must; and if there are more 0, which does not vary to first order.
    """

    def total(prim: Primitive, start: int, values: Array) -> Array:
        combined = prim.bind(full_like(operand, start), indices, values, **params)
        return _take_back(combined, indices, updates.aval, **params)

    zero, one = zeros_like(updates), full_like(updates, 1)
    is_zero = eq(updates, zero)
    nonzero = select(is_zero, one, updates)
    zeros = select(is_zero, updates, zero)
    others = div(total(scatter_mul_p, 1, nonzero), nonzero)
    count = sub(total(scatter_add_p, 0, select(is_zero, one, zero)), select(is_zero, one, zero))
    product = select(eq(count, one), sub(total(scatter_add_p, 0, zeros), zeros), zero)
    return mul(others, select(eq(count, zero), one, product))


def _scatter_extremum_jvp(prim: Primitive) -> Callable:
    """Everything that ties with the extremum, old value or update, shares the derivative equally."""

    def jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        operand, indices, updates = primals
        out = prim.bind(operand, indices, updates, **params)
        t_operand, _, t_updates = tangents
        if isinstance(t_operand, Zero) and isinstance(t_updates, Zero):
            return out, Zero(out.aval.tangent)
        kept = _one_where(eq(operand, out), out)
        new = _one_where(eq(updates, _take_back(out, indices, updates.aval, **params)), updates)
        count = scatter_add_p.bind(kept, indices, new, **params)
        tangent = scatter_add_p.bind(
            mul(instantiate(t_operand), kept), indices, mul(instantiate(t_updates), new), **params
        )
        return out, div(tangent, count)

    return jvp


def _one_where(condition: Array, like: Array) -> Array:
    return select(condition, full_like(like, 1), zeros_like(like))


def _take_back(x: Array, indices: Array, updates: Aval, **params: Any) -> Array:
    """What stands in `x` at the places of a scatter's updates; 0 for those that were dropped."""
    numbers = params["dimension_numbers"].for_gather()
    fills = params["mode"] is GatherScatterMode.FILL_OR_DROP
    sizes = window_sizes(numbers, x.shape, updates.shape)
    return gather_p.bind(
        x, indices, slice_sizes=sizes, fill_value=0 if fills else None, **{**params, "dimension_numbers": numbers}
    )


# transpose


def _gather_transpose(
    ct: Array,
    operand: Any,
    indices: Array,
    *,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Shape,
    fill_value: Any,
    **params: Any,
) -> list[Any]:
    zeros = full_like(operand.aval, 0)
    return [scatter_add_p.bind(zeros, indices, ct, dimension_numbers=dimension_numbers.for_scatter(), **params), None]


def _scatter_add_transpose(ct: Array, operand: Any, indices: Array, updates: Any, **params: Any) -> list[Any]:
    back = _take_back(ct, indices, updates.aval, **params) if isinstance(updates, Linear) else None
    return [ct if isinstance(operand, Linear) else None, None, back]


def _scatter_transpose(ct: Array, operand: Any, indices: Array, updates: Any, **params: Any) -> list[Any]:
    kept = back = None
    if isinstance(operand, Linear):
        kept = scatter_p.bind(ct, indices, full_like(updates.aval, 0), **params)
    if isinstance(updates, Linear):
        back = _take_back(ct, indices, updates.aval, **params)
        if not params["unique_indices"]:
            back = select(_wins(operand.aval, indices, updates.aval, **params), back, zeros_like(back))
    return [kept, None, back]


def _wins(operand: Aval, indices: Array, updates: Aval, **params: Any) -> Array:
    """Which elements of a scatter's updates are in its result: their numbers are scattered, and looked up again."""
    numbers = reshape(add(iota(dtypes.int64, updates.size), 1), updates.shape)
    winners = scatter_p.bind(full_like(operand, 0, dtypes.int64), indices, numbers, **params)
    return eq(_take_back(winners, indices, updates, **params), numbers)


# batch


def _scatter_batch(prim: Primitive) -> Callable:
    def batch(
        axis: Any,
        args: Sequence[Array],
        dims: Sequence[int | None],
        *,
        dimension_numbers: ScatterDimensionNumbers,
        indices_are_sorted: bool,
        **params: Any,
    ) -> tuple[Any, int]:
        of_indices = dims[1] is not None
        operand, updates = (spread(args[i], dims[i], axis.size) for i in (0, 2))
        indices = spread(args[1], dims[1], axis.size) if of_indices else args[1]
        numbers = dimension_numbers.for_gather().batched(True, of_indices).for_scatter()
        out = prim.bind(
            operand, indices, updates, dimension_numbers=numbers,
            indices_are_sorted=indices_are_sorted and not of_indices, **params,
        )  # fmt: skip
        return out, 0

    return batch


# lower. Windows are taken in the order of their indices, so that the last update wins and sums are always the same. Run
# in parallel is what cannot meet: batching axes, and parts of an axis along which every window starts at 0. In the
# latter case every task runs through all indices, and must have enough to do with each.

_PARALLEL_SIZE = 1 << 15
_FEWEST_ELEMENTS = 64
_MOST_PARTS = 8


def _scatter_build(
    combine: Callable | None,
    b: Builder,
    operands: list[Operand],
    results: list[Operand],
    *,
    dimension_numbers: ScatterDimensionNumbers,
    mode: GatherScatterMode,
    **params: Any,
) -> None:
    (_, indices, updates), (out,) = operands, results
    shape, drops = out.aval.shape, mode is GatherScatterMode.FILL_OR_DROP
    if not out.aval.size or not updates.aval.size:
        return
    numbers, batch_shape = dimension_numbers.for_gather(), indices.aval.shape[:-1]
    sizes = window_sizes(numbers, shape, updates.aval.shape)
    shared = numbers.start_indices_batching_dims
    own = without(range(len(batch_shape)), shared)
    shared_counts, own_counts = (tuple(batch_shape[axis] for axis in axes) for axes in (shared, own))
    cut, parts = _parts(numbers, shape, sizes, updates.aval.size) if size(shared_counts) < _MOST_PARTS else (0, 1)
    task = b.parallel(size(shared_counts) * parts)
    b.kernel.cost = 2.0 * min(size(own_counts) * size(sizes) // parts, _PARALLEL_SIZE)
    shared_index, part = loops.unravel(loops.floordiv(task, parts), shared_counts), loops.mod(task, parts)
    axes, update_strides = window_axes(numbers, len(shape)), row_major_strides(updates.aval.shape)
    strides = tuple(update_strides[axes[d]] if d in axes else 0 for d in range(len(shape)))
    extents = tuple(n // parts if d == cut else n for d, n in enumerate(sizes))

    def update(number: Any) -> None:
        known = dict(zip((*shared, *own), (*shared_index, *loops.unravel(number, own_counts)), strict=True))
        batch = [known[axis] for axis in range(len(known))]
        start, conditions = window_start(indices, batch, numbers, shape, sizes, moved=not drops)
        batch_axes = iter(batch)
        first = [0 if axis in numbers.offset_dims else next(batch_axes) for axis in range(updates.aval.ndim)]
        if parts > 1:
            start[cut] = first[axes[cut]] = part * extents[cut]
        box = Box(
            extents, out, out.position(*start), row_major_strides(shape), updates, updates.position(*first), strides,
            combine,
        )  # fmt: skip
        if drops and conditions:
            b.if_(loops.all_of(conditions), lambda: move_in_order(b, box))
        else:
            move_in_order(b, box)

    b.loop(size(own_counts), [], update)


def _parts(numbers: GatherDimensionNumbers, shape: Shape, sizes: Shape, updates: int) -> tuple[int, int]:
    """The axis of the operand along which windows are cut, and into how many parts."""
    started = {d for d in numbers.start_index_map if sizes[d] != shape[d]}.union(numbers.operand_batching_dims)
    still = without(range(len(shape)), started)
    most = min(_MOST_PARTS, size(sizes) // _FEWEST_ELEMENTS)
    if not still or updates < _PARALLEL_SIZE or most < 2:
        return 0, 1
    axis = max(still, key=sizes.__getitem__)
    return axis, next(parts for parts in range(most, 0, -1) if sizes[axis] % parts == 0)


def _rounded(combine: Callable) -> Callable:
    """`combine` for narrow floats, too: in f32, rounded at once."""

    def combined(old: Value, new: Value) -> Value:
        value = combine(loops.widen(old), loops.widen(new))
        return value if isinstance(value, Complex) else loops.convert(value, old.type)

    return combined


# Registration


gather_p.define(transpose=_gather_transpose)


def _scattering(name: str, function: str | None, combine: Callable | None, accepts: frozenset) -> Primitive:
    prim = Primitive(name)
    rule = Native(partial(_scatter_build, combine), in_place=0)
    prim.define(
        impl=_scatter_impl(function), abstract=_scatter_abstract(name, accepts), batch=_scatter_batch(prim),
        lower=lambda *avals, **params: rule,
    )  # fmt: skip
    prim.compiled_from = (2, 1 << 18)
    return prim.refuse(transpose="it is not linear; linearize replaces it by its derivative", onnx=NOT_YET_LOWERED)


scatter_p = _scattering("scatter", None, None, MOVABLE).define(jvp=_scatter_jvp, transpose=_scatter_transpose)
scatter_add_p = _scattering("scatter_add", "add", operator.add, NUMBERS).define(
    jvp=_scatter_add_jvp, transpose=_scatter_add_transpose
)
scatter_mul_p = _scattering("scatter_mul", "multiply", operator.mul, NUMBERS).define(jvp=_scatter_mul_jvp)
for _prim in (scatter_add_p, scatter_mul_p):  # narrow floats are rounded just once, in the end
    _prim.define(lower=through_float32_lower(_prim, _prim.lower))
scatter_min_p = _scattering("scatter_min", "minimum", _rounded(smaller), ANY)
scatter_max_p = _scattering("scatter_max", "maximum", _rounded(larger), ANY)
for _prim in (scatter_min_p, scatter_max_p):
    _prim.define(jvp=_scatter_extremum_jvp(_prim))
