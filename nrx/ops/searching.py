"""Places in sorted vectors. NaN counts as the largest, complex numbers compare by real, then imaginary part."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.dims import capacity
from nrx.core.errors import ShapeError
from nrx.core.loops import Builder, Expr, Pointwise, Reader
from nrx.core.primitive import Primitive
from nrx.core.shapes import show
from nrx.ops.accumulation import parts_of
from nrx.ops.common import ANY, NOT_YET_LOWERED, as_arrays, check_dtype, check_same_dtype, widened
from nrx.ops.rules import discrete
from nrx.ops.sorting import ascending
from nrx.ops.structural import spread

searchsorted_p = Primitive("searchsorted")

# Public functions


def searchsorted(line: Any, values: Any, *, side: str, dtype: Any) -> Array:
    """How many elements of a sorted vector go before each value: those less than it, or on the "right" also equal ones.

    The first axes of `line`, all but its last, are batches, and are also the first of `values`.
    """
    line, values = as_arrays("searchsorted", line, values)
    return searchsorted_p.bind(line, values, side=side, dtype=np.dtype(dtype))


# impl


def _impl(xp: Any, line: Any, values: Any, *, side: str, dtype: np.dtype) -> Any:
    line, values = widened(line), widened(values)
    batch = line.shape[:-1]
    if not batch:
        return xp.asarray(xp.searchsorted(line, values, side)).astype(dtype)
    out = xp.empty(values.shape, dtype)
    for place in np.ndindex(batch):
        out[place] = xp.searchsorted(line[place], values[place], side)
    return out


# abstract


def _abstract(line: Aval, values: Aval, *, side: str, dtype: np.dtype) -> Aval:
    for x in (line, values):
        check_dtype("searchsorted", x, ANY)
    check_same_dtype("searchsorted", line, values)
    if not line.ndim or line.shape[:-1] != values.shape[: line.ndim - 1]:
        raise ShapeError(f"searchsorted: no vectors for values of shape {show(values.shape)}: {show(line.shape)}")
    return Aval(values.shape, dtype)


# batch


def _batch(axis: Any, args: Sequence[Array], dims: Sequence[int | None], **params: Any) -> tuple[Array, int]:
    (line, values), (of_line, of_values) = args, dims
    if of_line is None and line.ndim == 1:
        return searchsorted_p.bind(line, values, **params), of_values  # type: ignore[return-value]
    line, values = (spread(x, dim, axis.size) for x, dim in zip(args, dims, strict=True))
    return searchsorted_p.bind(line, values, **params), 0


# lower


def _at(b: Builder, index: tuple, line: Reader, values: Reader, *, side: str, dtype: np.dtype) -> Expr:
    """Bisection without branches, in lanes."""
    *batch, length = line.aval.shape
    row, found = index[: len(batch)], loops.const(0, "i64")
    value = parts_of(values(*index))

    def goes_before(place: Expr) -> Expr:
        other = parts_of(line(*row, place - 1))
        return ascending(other, value) if side == "left" else ~ascending(value, other)

    for power in reversed(range(_steps(length))):
        place = found + (1 << power)
        last = loops.apply("min", place, length)
        found = loops.select((place <= length) & goes_before(last), place, found)
    return loops.convert(found, dtypes.short_name(dtype))


def _steps(length: Any) -> int:
    return int(capacity(length)).bit_length()


def _lower(line: Aval, values: Aval, **params: Any) -> Pointwise | None:
    return Pointwise(_at, cost=6.0 * _steps(line.shape[-1])) if line.shape[-1] else None


# Registration

searchsorted_p.define(impl=_impl, abstract=_abstract, batch=_batch, lower=_lower)
searchsorted_p.compiled_from = (1, 1 << 15)
discrete(searchsorted_p).refuse(onnx=NOT_YET_LOWERED)
