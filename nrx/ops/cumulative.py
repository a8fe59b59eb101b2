"""Cumulative sum, product, maximum, minimum and logsumexp along an axis.

The derivative of each but the sum is a linear recurrence u_i = a_i u_(i-1) + b_i t_i in the tangents t. Solving it
never divides by an element: it is right where factors are zero, and the weights of logsumexp are at most 1.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core import loops
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear
from nrx.core.dims import Dim
from nrx.core.loops import Builder, Expr, Native, Operand
from nrx.core.primitive import Primitive
from nrx.core.shapes import canonical_axis, size
from nrx.ops.accumulation import larger, parts_of, smaller, store, whole
from nrx.ops.arithmetic import abs, add, div, max, mul, sub
from nrx.ops.common import FLOATING, NOT_YET_LOWERED, NUMBERS, as_arrays, check_dtype, widened
from nrx.ops.elementary import exp
from nrx.ops.logic import bitwise_and, eq, gt, select
from nrx.ops.rules import nonlinear
from nrx.ops.slicing import concatenate, pad, slice_in_dim
from nrx.ops.structural import convert_element_type, full_like, linear_jvp, rev

cumsum_p = Primitive("cumsum")
cumprod_p = Primitive("cumprod")
cummax_p = Primitive("cummax")
cummin_p = Primitive("cummin")
cumlogsumexp_p = Primitive("cumlogsumexp")

# Public functions


def cumsum(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """The sums of the elements of `operand` so far along an axis (from its end if `reverse`); integers wrap.

    >>> import nrx
    >>> nrx.lax.cumsum(nrx.numpy.array([1, 2, 3]))
    Array([1, 3, 6], dtype=int32)
    """
    return _cumulate(cumsum_p, operand, axis, reverse)


def cumprod(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """The products of the elements of `operand` so far along an axis (from its end if `reverse`); integers wrap.

    >>> import nrx
    >>> nrx.lax.cumprod(nrx.numpy.array([1, 2, 3]), reverse=True)
    Array([6, 6, 3], dtype=int32)
    """
    return _cumulate(cumprod_p, operand, axis, reverse)


def cummax(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """The largest of the elements of `operand` so far along an axis (from its end if `reverse`); NaN after a NaN.

    Shape and dtype stay.

    >>> import nrx
    >>> nrx.lax.cummax(nrx.numpy.array([1, 5, 3]))
    Array([1, 5, 5], dtype=int32)
    """
    return _cumulate(cummax_p, operand, axis, reverse)


def cummin(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """The smallest of the elements of `operand` so far along an axis (from its end if `reverse`); NaN after a NaN.

    Shape and dtype stay.

    >>> import nrx
    >>> nrx.lax.cummin(nrx.numpy.array([4, 5, 3]))
    Array([4, 4, 3], dtype=int32)
    """
    return _cumulate(cummin_p, operand, axis, reverse)


def cumlogsumexp(operand: Any, axis: int = 0, reverse: bool = False) -> Array:
    """log(cumsum(exp(operand))) along an axis (from its end if `reverse`), without overflow.

    Shape and dtype stay.

    >>> import nrx
    >>> nrx.lax.cumlogsumexp(nrx.numpy.array([0.0, 0.0, 1000.0])).round(3)
    Array([0.00e+00, 6.93e-01, 1.00e+03], dtype=float32)
    """
    return _cumulate(cumlogsumexp_p, operand, axis, reverse)


def _cumulate(prim: Primitive, operand: Any, axis: int, reverse: bool) -> Array:
    (x,) = as_arrays(prim.name, operand)
    return prim.bind(x, dimension=canonical_axis(axis, x.ndim), reverse=bool(reverse))


# impl


def _along_first(function: Callable) -> Callable:
    """An impl for `function(xp, rows)`, which cumulates along the first axis; narrow floats in float32."""

    def impl(xp: Any, x: Any, *, dimension: int, reverse: bool) -> Any:
        rows = xp.moveaxis(widened(x), dimension, 0)
        out = function(xp, rows[::-1])[::-1] if reverse else function(xp, rows)
        return xp.moveaxis(out, 0, dimension).astype(x.dtype, copy=False)

    return impl


def _scan(function: str) -> Callable:
    """Cumulation with any associative ufunc. (The ufuncs' own `accumulate` is missing in CuPy.)"""

    def scan(xp: Any, rows: Any) -> Any:
        if rows.shape[0] < 2:
            return rows
        combine = getattr(xp, function)
        out = xp.empty_like(rows)
        out[:1] = rows[:1]
        out[1::2] = odd = scan(xp, combine(rows[:-1:2], rows[1::2]))
        out[2::2] = combine(odd[: (len(rows) - 1) // 2], rows[2::2])
        return out

    return scan


# abstract


def _abstract(name: str, accepts: frozenset) -> Callable:
    def abstract(x: Aval, *, dimension: int, reverse: bool) -> Aval:
        check_dtype(name, x, accepts)
        return x

    return abstract


# jvp


def _before(values: Array, fill: float, dim: int, reverse: bool) -> Array:
    """At each place the value of the place before, in the order of cumulation; `fill` at the first."""
    config = [(0, 0, 0)] * values.ndim
    config[dim] = (-1, 1, 0) if reverse else (1, -1, 0)
    return pad(values, fill, config)


def _recur(decay: Array, drive: Array, dim: int, reverse: bool = False) -> Array:
    """u with u_i = decay_i u_(i-1) + drive_i, in log(n) rounds: pairs of neighbours first, then the rest from them."""
    if reverse:
        return rev(_recur(rev(decay, [dim]), rev(drive, [dim]), dim), [dim])
    length = drive.shape[dim]
    if length < 2:
        return drive
    pairs = length // 2
    first_decay, first_drive = (slice_in_dim(v, 0, 2 * pairs, 2, dim) for v in (decay, drive))
    second_decay, second_drive = (slice_in_dim(v, 1, None, 2, dim) for v in (decay, drive))
    odd = _recur(mul(first_decay, second_decay), add(mul(first_drive, second_decay), second_drive), dim)
    later_decay, later_drive = (slice_in_dim(v, 2, None, 2, dim) for v in (decay, drive))
    previous = slice_in_dim(odd, 0, later_drive.shape[dim], 1, dim)
    even = concatenate([slice_in_dim(drive, 0, 1, 1, dim), add(mul(previous, later_decay), later_drive)], dim)
    return add(_spaced(even, 0, length, dim), _spaced(odd, 1, length, dim))


def _spaced(values: Array, start: int, length: int, dim: int) -> Array:
    """`values` at every other place of `length` places, from `start` on, with zeros between."""
    config = [(0, 0, 0)] * values.ndim
    config[dim] = (start, length - start - 2 * values.shape[dim] + 1, 1)
    return pad(values, 0, config)


def _cumprod_tangent(x: Array, out: Array, t: Array, dim: int, reverse: bool) -> Array:
    return _recur(x, mul(t, _before(out, 1, dim, reverse)), dim, reverse)


def _extremum_tangent(x: Array, out: Array, t: Array, dim: int, reverse: bool) -> Array:
    """The tangents of the elements so far that equal the extreme one, in equal shares."""
    old, new = (convert_element_type(eq(v, out), x.dtype) for v in (_before(out, np.nan, dim, reverse), x))
    ties = _recur(old, new, dim, reverse)  # 0 where the result is NaN
    return mul(_recur(old, mul(t, new), dim, reverse), div(1, max(ties, 1)))


def _cumlogsumexp_tangent(x: Array, out: Array, t: Array, dim: int, reverse: bool) -> Array:
    before = _before(out, -np.inf, dim, reverse)
    return _recur(_share(before, out), mul(t, _share(x, out)), dim, reverse)


def _share(part: Array, total: Array) -> Array:
    """exp(part - total), with exp(inf - inf) = 1 and exp(-inf - -inf) = 0."""
    is_all = bitwise_and(eq(part, total), gt(total, 0))
    at_infinity = select(is_all, full_like(part, 0), full_like(part, -np.inf))
    return exp(select(eq(abs(total), np.inf), at_infinity, sub(part, total)))


def _jvp(prim: Primitive, tangent_of: Callable) -> Callable:
    def jvp(primals: Sequence[Array], tangents: Sequence[Any], *, dimension: int, reverse: bool) -> tuple[Any, Any]:
        (x,), (t,) = primals, tangents
        out = prim.bind(x, dimension=dimension, reverse=reverse)
        return out, tangent_of(x, out, t, dimension, reverse)

    return jvp


# transpose


def _cumsum_transpose(ct: Array, x: Linear, *, dimension: int, reverse: bool) -> list[Any]:
    return [cumsum(ct, dimension, not reverse)]


# batch


def _batch(prim: Primitive) -> Callable:
    def batch(axis: Any, args: Any, dims: Any, *, dimension: int, reverse: bool) -> tuple[Any, int]:
        (dim,) = dims
        return prim.bind(*args, dimension=dimension + (dimension >= dim), reverse=reverse), dim

    return batch


# lower: one element after the other, as the impl goes; several rows at once

_COLUMNS = 256
_FEWEST_COLUMNS = 8
_ROWS = 8
_TILE_ROWS, _TILE_COLUMNS = 16, 64
"""Of what is transposed, so that a row is in every lane."""
_FEWEST_TILED = 128


def _lower(function: Callable, cost: float = 1) -> Callable:
    """The lower rule that cumulates with a function of two elements."""

    def build(b: Builder, operands: list[Operand], results: list[Operand], *, dimension: int, reverse: bool) -> None:
        (x,), (out,), shape = operands, results, operands[0].aval.shape
        outer, length, inner = size(shape[:dimension]), shape[dimension], size(shape[dimension + 1 :])
        if not x.aval.size:
            return
        if inner == 1 and _is_tiled(x, outer, length):
            _Tiles(b, x, out, function, reverse).build(cost)
            return
        first, step = ((length - 1) * inner, -inner) if reverse else (0, inner)

        def cumulate(*starts: Any) -> None:
            """Go along the rows whose elements of index 0 lie at these positions, in one loop."""
            starts = tuple(start + first for start in starts)
            known = [x.at(start) for start in starts]
            for start, value in zip(starts, known, strict=True):
                out.put(start, value)
            size_each = len(parts_of(known[0]))

            def body(i: Expr, *carried: Expr) -> list[Expr]:
                parts: list[Expr] = []
                for number, start in enumerate(starts):
                    before = whole(carried[number * size_each : (number + 1) * size_each])
                    at = start + (i + 1) * step
                    value = function(before, whole(parts_of(x.at(at))))
                    store(out, at, value)
                    parts += parts_of(value)
                return parts

            b.loop(length - 1, [part for value in known for part in parts_of(value)], body)

        if inner >= _FEWEST_COLUMNS:  # a row in every lane
            blocks = -(-inner // _COLUMNS)
            task = b.parallel(outer * blocks)
            column, start = loops.mod(task, blocks) * _COLUMNS, loops.floordiv(task, blocks) * (length * inner)
            b.lanes(loops.clamp(inner - column, _COLUMNS), lambda i: cumulate(start + column + i))
            b.kernel.cost = cost * length * min(inner, _COLUMNS)
        else:  # rows side by side, so that one need not wait for the other
            rows = min(outer * inner, _ROWS)
            task = b.parallel(-(-outer * inner // rows))
            numbers = [loops.clamp(task * rows + i, outer * inner - 1) for i in range(rows)]
            cumulate(*(loops.floordiv(n, inner) * (length * inner) + loops.mod(n, inner) for n in numbers))
            b.kernel.cost = cost * length * rows

    rule = Native(build)
    return lambda x, **params: rule


def _is_tiled(x: Operand, outer: Any, length: Any) -> bool:
    """Whether rows that lie in memory one after the other are cut into tiles."""
    is_open = isinstance(outer, Dim) or isinstance(length, Dim)
    return not is_open and outer >= _TILE_ROWS and length >= _FEWEST_TILED and loops.BITS.get(x.type, 0) >= 32


class _Tiles:
    """Cumulates along rows: a task takes tiles of some of them, transposed, so that a row is in every lane."""

    def __init__(self, b: Builder, x: Operand, out: Operand, function: Callable, reverse: bool):
        self.b, self.x, self.out, self.function, self.reverse = b, x, out, function, reverse
        *_, self.length = x.aval.shape
        self.rows = x.aval.size // self.length
        self.tile, self.known = (
            Operand(b, b.scratch(x.type, size), x.aval) for size in (_TILE_ROWS * _TILE_COLUMNS, _TILE_ROWS)
        )

    def build(self, cost: float) -> None:
        b, length = self.b, self.length
        task = b.parallel(-(-self.rows // _TILE_ROWS))
        start = loops.apply("min", task * _TILE_ROWS, self.rows - _TILE_ROWS) * length
        b.loop(-(-length // _TILE_COLUMNS), [], lambda number: self.one_tile(start, number))
        b.kernel.cost = cost * length * _TILE_ROWS

    def one_tile(self, start: Expr, number: Expr) -> None:
        b, length, first = self.b, self.length, number * _TILE_COLUMNS
        width = loops.apply("min", length - first, _TILE_COLUMNS)
        place = start + (length - first - width if self.reverse else first)
        b.transpose(self.tile.buffer, 0, _TILE_ROWS, self.x.buffer, place, length, _TILE_ROWS, width)

        def row(lane: Expr) -> None:
            def at(i: Any) -> Expr:
                return (width - 1 - i if self.reverse else i) * _TILE_ROWS + lane

            new = self.tile.at(at(0))
            known = loops.select(loops.eq(number, 0), new, self.function(self.known.at(lane), new))
            self.tile.put(at(0), known)

            def body(i: Expr, known: Expr) -> list[Expr]:
                value = self.function(known, self.tile.at(at(i + 1)))
                self.tile.put(at(i + 1), value)
                return [value]

            self.known.put(lane, *b.loop(width - 1, [known], body))

        b.lanes(_TILE_ROWS, row)
        b.transpose(self.out.buffer, place, length, self.tile.buffer, 0, _TILE_ROWS, width, _TILE_ROWS)


def _logaddexp(x: Expr, y: Expr) -> Expr:
    """log(exp(x) + exp(y)), without overflow."""
    top = larger(x, y)
    both = top + loops.apply("log1p", loops.apply("exp", -loops.apply("abs", x - y)))
    return loops.select(loops.eq(loops.apply("abs", top), np.inf), top, both)


# Registration

for _prim, _accepts, _function, _rule in (
    (cumsum_p, NUMBERS, lambda xp, rows: xp.cumsum(rows, axis=0, dtype=rows.dtype), _lower(operator.add)),
    (cumprod_p, NUMBERS, lambda xp, rows: xp.cumprod(rows, axis=0, dtype=rows.dtype), _lower(operator.mul)),
    (cummax_p, NUMBERS, _scan("maximum"), _lower(larger)),
    (cummin_p, NUMBERS, _scan("minimum"), _lower(smaller)),
    (cumlogsumexp_p, FLOATING, _scan("logaddexp"), _lower(_logaddexp, cost=20)),
):
    _prim.define(impl=_along_first(_function), abstract=_abstract(_prim.name, _accepts), batch=_batch(_prim))
    _prim.define(lower=_rule).refuse(onnx=NOT_YET_LOWERED)
cumsum_p.define(jvp=linear_jvp(cumsum_p), transpose=_cumsum_transpose)
nonlinear(cumprod_p, _jvp(cumprod_p, _cumprod_tangent))
nonlinear(cummax_p, _jvp(cummax_p, _extremum_tangent))
nonlinear(cummin_p, _jvp(cummin_p, _extremum_tangent))
nonlinear(cumlogsumexp_p, _jvp(cumlogsumexp_p, _cumlogsumexp_tangent))
