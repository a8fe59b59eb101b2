"""Systems of linear equations with tridiagonal matrices, and the order of columns for QR with pivoting."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import ShapeError
from nrx.core.primitive import Primitive
from nrx.core.shapes import show
from nrx.ops.arithmetic import add, neg
from nrx.ops.common import INEXACT, as_arrays, check_dtype, check_same_dtype, check_same_shape
from nrx.ops.linalg.common import check_matrix, host_primitive, on_host, rows_scaled, single
from nrx.ops.rules import discrete, sum_tangents
from nrx.ops.slicing import concatenate, slice_in_dim
from nrx.ops.structural import full

tridiagonal_solve_p = Primitive("tridiagonal_solve")
column_order_p = Primitive("column_order")

# Public functions


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any) -> Array:
    """x such that T @ x = b, for the matrix with the diagonal d, dl[1:] below and du[:-1] above it."""
    return tridiagonal_solve_p.bind(*as_arrays("tridiagonal_solve", dl, d, du, b))


def column_order(x: Any) -> Array:
    """The order (int32) in which QR takes columns: always the one that is farthest from those taken before."""
    return column_order_p.bind(*as_arrays("column_order", x))


# impl


def _tridiagonal_impl(xp: Any, dl: Any, d: Any, du: Any, b: Any) -> tuple[Any, ...]:
    """Elimination with exchanges of neighbouring rows, which fill a second diagonal above."""
    dl, d, du, b = (xp.array(x) for x in (dl, d, du, b))
    n = d.shape[-1]
    second = xp.zeros_like(d)
    for i in range(n - 1):
        here = xp.stack([d[..., i], du[..., i], xp.zeros_like(d[..., i])], -1)
        after = xp.stack([dl[..., i + 1], d[..., i + 1], du[..., i + 1] if i + 2 < n else 0 * d[..., i]], -1)
        exchanged = xp.abs(after[..., :1]) > xp.abs(here[..., :1])
        top, low = xp.where(exchanged, after, here), xp.where(exchanged, here, after)
        right = xp.where(exchanged, b[..., i + 1, :], b[..., i, :])
        left = xp.where(exchanged, b[..., i, :], b[..., i + 1, :])
        factor = low[..., :1] / top[..., :1]
        low = low - factor * top
        d[..., i], du[..., i], second[..., i] = top[..., 0], top[..., 1], top[..., 2]
        d[..., i + 1], du[..., i + 1] = low[..., 1], low[..., 2]
        b[..., i, :], b[..., i + 1, :] = right, left - factor * right
    for i in reversed(range(n)):
        if i + 1 < n:
            b[..., i, :] -= du[..., i, None] * b[..., i + 1, :]
        if i + 2 < n:
            b[..., i, :] -= second[..., i, None] * b[..., i + 2, :]
        b[..., i, :] /= d[..., i, None]
    return (b,)


def _column_order_impl(xp: Any, x: Any) -> tuple[Any, ...]:
    rows, columns = x.shape[-2:]
    rest = xp.array(x.reshape(math.prod(x.shape[:-2]), rows, columns))
    number, order = xp.arange(len(rest)), xp.zeros((len(rest), columns), np.int32)
    order[:] = xp.arange(columns)
    for j in range(min(rows, columns)):
        sizes = (xp.abs(rest[..., j:]) ** 2).sum(-2)
        chosen = sizes.argmax(-1) + j
        for values in (order, rest.swapaxes(-1, -2)):
            kept = xp.array(values[number, chosen])
            values[number, chosen] = values[:, j]
            values[:, j] = kept
        unit = rest[..., j, None]
        unit = unit / xp.sqrt(xp.maximum((xp.abs(unit) ** 2).sum(-2, keepdims=True), np.finfo(x.dtype).tiny))
        for _ in range(2):  # once more, against rounding
            rest[..., j + 1 :] -= unit @ (unit.conj().swapaxes(-1, -2) @ rest[..., j + 1 :])
    return (order.reshape(*x.shape[:-2], columns),)


# abstract


def _tridiagonal_abstract(dl: Aval, d: Aval, du: Aval, b: Aval) -> Aval:
    check_dtype("tridiagonal_solve", d, INEXACT)
    check_same_dtype("tridiagonal_solve", dl, d, du, b)
    check_same_shape("tridiagonal_solve", dl, d, du)
    if not d.ndim or b.shape[:-1] != d.shape:
        raise ShapeError(
            f"tridiagonal_solve: diagonals of shape {show(d.shape)} do not go with b of shape {show(b.shape)}",
            fix="b has one axis more than the diagonals",
        )
    return b.strong


def _column_order_abstract(x: Aval) -> Aval:
    check_matrix("column_order", x)
    return Aval((*x.shape[:-2], x.shape[-1]), dtypes.int32)


# jvp and transpose


def _shifted(x: Array, by: int, dim: int) -> Array:
    """Elements moved one place up (1) or down (-1) along an axis, zeros brought in."""
    n = x.shape[dim]
    nothing = full((*x.shape[:dim], min(n, 1), *x.shape[dim + 1 :]), 0, x.dtype)
    if by > 0:
        return concatenate([nothing, slice_in_dim(x, 0, max(n - 1, 0), axis=dim)], dim)
    return concatenate([slice_in_dim(x, min(n, 1), n, axis=dim), nothing], dim)


def _tridiagonal_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    *diagonals, b = primals
    x = tridiagonal_solve_p.bind(*diagonals, b)
    rows = x.ndim - 2
    terms = [tangents[3]]
    for tangent, by in zip(tangents, (1, 0, -1), strict=False):
        if not isinstance(tangent, Zero):
            terms.append(neg(rows_scaled(tangent, _shifted(x, by, rows) if by else x)))
    right = sum_tangents(terms, x.aval, add)
    return x, right if isinstance(right, Zero) else tridiagonal_solve_p.bind(*diagonals, right)


def _tridiagonal_transpose(ct: Array, dl: Array, d: Array, du: Array, b: Linear) -> list[Any]:
    last = d.ndim - 1
    return [None, None, None, tridiagonal_solve_p.bind(_shifted(du, 1, last), d, _shifted(dl, -1, last), ct)]


# Registration

tridiagonal_solve_p.define(impl=single(on_host(_tridiagonal_impl)), abstract=_tridiagonal_abstract)
host_primitive(tridiagonal_solve_p).define(jvp=_tridiagonal_jvp, transpose=_tridiagonal_transpose)
column_order_p.define(impl=single(on_host(_column_order_impl)), abstract=_column_order_abstract)
discrete(host_primitive(column_order_p))
