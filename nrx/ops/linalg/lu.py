"""The LU decomposition with exchanges of rows. NumPy offers none.

LAPACK's is called where it is found. Many small matrices are eliminated together, column by column; so are all, in
panels of columns, where there is no LAPACK.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval, Zero
from nrx.core.errors import ShapeError
from nrx.core.primitive import Primitive
from nrx.core.shapes import show
from nrx.ops.arithmetic import add
from nrx.ops.common import INTEGERS, as_arrays, check_dtype
from nrx.ops.linalg import lapack
from nrx.ops.linalg.common import (
    check_matrix,
    corner_of,
    host_primitive,
    identity,
    lower_triangle,
    on_host,
    permutation_matrix,
    product,
    upper_triangle,
)
from nrx.ops.linalg.solve import back_substituted, triangular_solve
from nrx.ops.rules import discrete, nonlinear
from nrx.ops.slicing import concatenate, pad

lu_p = Primitive("lu", multiple_results=True)
lu_pivots_to_permutation_p = Primitive("lu_pivots_to_permutation")

_PANEL = 32
#: Up to this size many matrices are faster together than one by one.
_SMALL = 8

# Public functions


def lu(x: Any) -> tuple[Array, Array, Array]:
    """The factors of x with rows exchanged, packed into one matrix; the exchanges (int32); the permutation (int32).

    x[permutation] = L @ U, where U is the upper triangle of the packed matrix, and L the lower one with ones on the
    diagonal. Row i was exchanged with row pivots[i], one after another.

    The factors have the shape and dtype of x; both others are vectors of min(m, n) and of m elements.

    >>> import nrx
    >>> nrx.lax.linalg.lu(nrx.numpy.array([[1.0, 2.0], [4.0, 8.0]]))
    (Array([[4.  , 8.  ],
           [0.25, 0.  ]], dtype=float32), Array([1, 1], dtype=int32), Array([1, 0], dtype=int32))
    """
    return tuple(lu_p.bind(*as_arrays("lu", x)))


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Array:
    """The permutation of `permutation_size` rows that the exchanges of rows i and pivots[i] make together.

    Vectors of int32; axes before are those of a batch.

    >>> import nrx
    >>> nrx.lax.linalg.lu_pivots_to_permutation(nrx.numpy.array([1, 1]), 3)
    Array([1, 0, 2], dtype=int32)
    """
    (pivots,) = as_arrays("lu_pivots_to_permutation", pivots)
    return lu_pivots_to_permutation_p.bind(pivots, permutation_size=int(permutation_size))


# impl


def _lu_impl(xp: Any, x: Any) -> tuple[Any, ...]:
    rows, columns = x.shape[-2:]
    batch = x.shape[:-2]
    k, count = min(rows, columns), math.prod(batch)
    a = x.reshape(count, rows, columns)
    if xp is np and k and not k <= _SMALL < count:
        turned = np.array(a.swapaxes(1, 2), order="C")  # a copy
        places = lapack.getrf(turned)
        if places is not None:
            pivots = places.astype(np.int32).reshape(*batch, k)
            packed = turned.swapaxes(1, 2).reshape(x.shape)
            return packed, pivots, _permutation_impl(xp, pivots, permutation_size=rows)
    a = xp.array(a)  # a copy
    pivots = xp.zeros((count, k), np.int32)
    for start in range(0, k, _PANEL):
        end = min(start + _PANEL, k)
        for j in range(start, end):
            _eliminate(xp, a, pivots, j, end)
        if end < columns:
            _update(xp, a, start, end)
    pivots = pivots.reshape(*batch, k)
    return a.reshape(x.shape), pivots, _permutation_impl(xp, pivots, permutation_size=rows)


def _eliminate(xp: Any, a: Any, pivots: Any, j: int, end: int) -> None:
    """Bring the largest element of column j to the diagonal, and eliminate below it, up to column `end`."""
    column = a[:, j:, j]
    size = xp.abs(column.real) + xp.abs(column.imag) if a.dtype.kind == "c" else xp.abs(column)
    chosen = size.argmax(-1) + j
    pivots[:, j] = chosen
    number = xp.arange(len(a))
    row = a[number, chosen]  # a copy
    a[number, chosen] = a[:, j]
    a[:, j] = row
    pivot = row[:, j, None]
    a[:, j + 1 :, j] /= xp.where(pivot == 0, 1, pivot)
    a[:, j + 1 :, j + 1 : end] -= a[:, j + 1 :, j, None] * row[:, None, j + 1 : end]


def _update(xp: Any, a: Any, start: int, end: int) -> None:
    """Eliminate a panel of columns from the columns right of it."""
    corner = xp.tril(a[:, start:end, start:end], -1) + xp.eye(end - start, dtype=a.dtype)
    right = back_substituted(xp, corner[:, ::-1, ::-1], a[:, start:end, end:][:, ::-1])[:, ::-1]
    a[:, start:end, end:] = right
    a[:, end:, end:] -= a[:, end:, start:end] @ right


def _permutation_impl(xp: Any, pivots: Any, *, permutation_size: int) -> Any:
    flat = pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    if xp is np and len(flat) < flat.shape[-1]:
        orders = [_exchanged(permutation_size, exchanges.tolist()) for exchanges in flat]
        return np.array(orders, pivots.dtype).reshape(*pivots.shape[:-1], permutation_size)
    out = xp.tile(xp.arange(permutation_size, dtype=pivots.dtype), (len(flat), 1))
    number = xp.arange(len(flat))
    for i in range(flat.shape[-1]):
        kept = out[number, flat[:, i]]
        out[number, flat[:, i]] = out[:, i]
        out[:, i] = kept
    return out.reshape(*pivots.shape[:-1], permutation_size)


def _exchanged(count: int, exchanges: list[int]) -> list[int]:
    """The permutation that exchanges make together."""
    order = list(range(count))
    for i, place in enumerate(exchanges):
        order[i], order[place] = order[place], order[i]
    return order


# abstract


def _lu_abstract(x: Aval) -> Sequence[Aval]:
    check_matrix("lu", x)
    *batch, rows, columns = x.shape
    return [
        x.strong,
        Aval((*batch, min(rows, columns)), dtypes.int32),
        Aval((*batch, rows), dtypes.int32),
    ]


def _permutation_abstract(pivots: Aval, *, permutation_size: int) -> Aval:
    check_dtype("lu_pivots_to_permutation", pivots, INTEGERS)
    if not pivots.ndim or permutation_size < pivots.shape[-1]:
        raise ShapeError(
            f"lu_pivots_to_permutation: pivots of shape {show(pivots.shape)} for {permutation_size} rows",
            fix="there must be at least as many rows as pivots",
        )
    return Aval((*pivots.shape[:-1], permutation_size), pivots.dtype)


# jvp: with M = L^-1 P dA U^-1, dL = L tril(M, -1) and dU = triu(M) U; L and U are made square with an identity


def _lu_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    packed, pivots, permutation = lu_p.bind(*primals)
    (da,) = tangents
    rows, columns = packed.shape[-2:]
    k = min(rows, columns)
    lower = _squared(packed, rows, lower_triangle(corner_of(packed, rows, k), -1))
    upper = _squared(packed, columns, upper_triangle(corner_of(packed, k, columns)))
    lower = add(lower_triangle(lower, -1), identity(packed, rows))
    exchanged = product(permutation_matrix(permutation, packed.dtype), da)
    left = triangular_solve(lower, exchanged, left_side=True, lower=True, unit_diagonal=True)
    inner = triangular_solve(upper, left)
    tangent = add(product(lower, lower_triangle(inner, -1)), product(upper_triangle(inner), upper))
    integers = [Zero(x.aval.tangent) for x in (pivots, permutation)]
    return [packed, pivots, permutation], [tangent, *integers]


def _squared(like: Array, n: int, x: Array) -> Array:
    """A matrix with n rows or columns made n × n with an identity in the corner."""
    rows, columns = x.shape[-2:]
    if rows == columns:
        return x
    k, tall = min(rows, columns), rows > columns
    padding = [*[(0, 0, 0)] * (x.ndim - 2), (k * tall, 0, 0), (k * (not tall), 0, 0)]
    corner = pad(identity(like, n - k), np.zeros((), x.dtype), padding)
    return concatenate([x, corner], x.ndim - 1 if tall else x.ndim - 2)


# Registration

lu_p.define(impl=on_host(_lu_impl), abstract=_lu_abstract)
nonlinear(host_primitive(lu_p), _lu_jvp)
lu_pivots_to_permutation_p.define(impl=_permutation_impl, abstract=_permutation_abstract)
discrete(host_primitive(lu_pivots_to_permutation_p))
