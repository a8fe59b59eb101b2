"""Systems of linear equations, with general and with triangular matrices."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.errors import ShapeError
from nrx.core.primitive import Primitive
from nrx.core.shapes import show
from nrx.ops.arithmetic import add, neg
from nrx.ops.common import INEXACT, as_arrays, check_dtype, check_same_dtype
from nrx.ops.linalg import lapack
from nrx.ops.linalg.common import (
    check_square,
    conjugated,
    host_primitive,
    lower_triangle,
    on_host,
    or_nan,
    product,
    single,
    transposed,
    upper_triangle,
)
from nrx.ops.rules import sum_tangents

solve_p = Primitive("solve")
triangular_solve_p = Primitive("triangular_solve")

#: Up to this size LAPACK solves a triangular system as a general one, whose factors are found without a sum.
_BLOCK = 64
#: Up to this size many triangular systems are faster together than one by one.
_SMALL = 8

# Public functions


def solve(a: Any, b: Any) -> Array:
    """x such that a @ x = b, for square matrices `a` and matrices `b` with the same axes before the last two."""
    return solve_p.bind(*as_arrays("solve", a, b))


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Array:
    """x such that op(a) @ x = b (`left_side`) or x @ op(a) = b, for triangular matrices `a`.

    op transposes with `transpose_a` and conjugates with `conjugate_a`; only the `lower` or upper triangle of `a` is
    read, and not its diagonal if that is ones (`unit_diagonal`).

    Raises:
        ShapeError: the shapes do not fit.

    The result has the shape and dtype of `b`.

    >>> import nrx
    >>> b = nrx.numpy.array([[2.0], [9.0]])
    >>> nrx.lax.linalg.triangular_solve(nrx.numpy.array([[2.0, 0.0], [1.0, 4.0]]), b, left_side=True, lower=True)
    Array([[1.],
           [2.]], dtype=float32)
    """
    a, b = as_arrays("triangular_solve", a, b)
    check_square("triangular_solve", a.aval)
    if conjugate_a:
        a = conjugated(a)
    if transpose_a == left_side:  # x @ a = b is a^T @ x^T = b^T
        a, lower = transposed(a), not lower
    if left_side:
        return triangular_solve_p.bind(a, b, lower=bool(lower), unit_diagonal=bool(unit_diagonal))
    if b.ndim < 2:
        raise ShapeError(f"triangular_solve: b must have at least 2 axes, got shape {show(b.shape)}")
    out = triangular_solve_p.bind(a, transposed(b), lower=bool(lower), unit_diagonal=bool(unit_diagonal))
    return transposed(out)


# impl


def _solve_impl(xp: Any, a: Any, b: Any) -> tuple[Any, ...]:
    if xp is np and lapack.is_single(a):
        return (lapack.gesv(a, b),)
    return or_nan(xp, xp.linalg.solve, a, b)


def _triangular_impl(xp: Any, a: Any, b: Any, *, lower: bool, unit_diagonal: bool) -> tuple[Any, ...]:
    if xp is np and b.size:
        n, k = b.shape[-2:]
        matrices, out = a.reshape(-1, n, n), np.array(b, order="C")
        right, options = out.reshape(-1, n, k), {"lower": lower, "unit_diagonal": unit_diagonal}
        if n <= _SMALL < len(right):
            _substitute(matrices, right, **options)
        if n <= _SMALL < len(right) or lapack.trsm(matrices, right, **options):
            if not unit_diagonal:
                right[(matrices.diagonal(axis1=1, axis2=2) == 0).any(-1)] = np.nan
            return (out,)
    if lower:  # backwards it is an upper triangle, for which LAPACK exchanges no rows
        a, b = a[..., ::-1, ::-1], b[..., ::-1, :]
    a = xp.triu(a)
    if unit_diagonal:
        diagonal = xp.arange(a.shape[-1])
        a[..., diagonal, diagonal] = 1
    out = back_substituted(xp, a, b)
    return (out[..., ::-1, :] if lower else out,)


def _substitute(a: np.ndarray, b: np.ndarray, *, lower: bool, unit_diagonal: bool) -> None:
    """Solve a @ x = b for many triangular matrices together, row by row; b becomes x."""
    n = a.shape[-1]
    for i in range(n) if lower else reversed(range(n)):
        for j in range(i) if lower else range(i + 1, n):
            b[:, i] -= a[:, i, j, None] * b[:, j]
        if not unit_diagonal:
            b[:, i] /= a[:, i, i, None]


def back_substituted(xp: Any, a: Any, b: Any) -> Any:
    """x such that a @ x = b, for matrices with zeros below the diagonal."""
    n = a.shape[-1]
    if n <= _BLOCK:
        return or_nan(xp, xp.linalg.solve, a, b)[0]
    half = n // 2
    below = back_substituted(xp, a[..., half:, half:], b[..., half:, :])
    above = b[..., :half, :] - a[..., :half, half:] @ below
    return xp.concatenate([back_substituted(xp, a[..., :half, :half], above), below], -2)


# abstract


def _abstract(name: str) -> Any:
    def abstract(a: Aval, b: Aval, **params: Any) -> Aval:
        check_square(name, a)
        check_dtype(name, b, INEXACT)
        check_same_dtype(name, a, b)
        if b.shape[:-1] != a.shape[:-1]:
            raise ShapeError(
                f"{name}: matrices of shape {show(a.shape)} do not go with right sides of shape {show(b.shape)}",
                fix="all axes but the last must be the same",
            )
        return Aval(b.shape, b.dtype)

    return abstract


# jvp and transpose


def _part(a: Any, lower: bool | None = None, unit_diagonal: bool = False) -> Any:
    """What of a matrix matters."""
    if lower is None:
        return a
    return lower_triangle(a, -unit_diagonal) if lower else upper_triangle(a, unit_diagonal)


def _jvp(prim: Primitive) -> Any:
    def jvp(primals: Sequence[Array], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        (a, b), (da, db) = primals, tangents
        x = prim.bind(a, b, **params)
        terms = [] if isinstance(db, Zero) else [db]
        if not isinstance(da, Zero):
            terms.append(neg(product(_part(da, **params), x)))
        right = sum_tangents(terms, x.aval, add)
        return x, right if isinstance(right, Zero) else prim.bind(a, right, **params)

    return jvp


def _solve_transpose(ct: Array, a: Array, b: Linear) -> list[Any]:
    return [None, solve_p.bind(transposed(a), ct)]


def _triangular_transpose(ct: Array, a: Array, b: Linear, *, lower: bool, unit_diagonal: bool) -> list[Any]:
    return [None, triangular_solve_p.bind(transposed(a), ct, lower=not lower, unit_diagonal=unit_diagonal)]


# Registration

solve_p.define(impl=single(on_host(_solve_impl)), transpose=_solve_transpose)
triangular_solve_p.define(impl=single(on_host(_triangular_impl)), transpose=_triangular_transpose)
for _prim in (solve_p, triangular_solve_p):
    host_primitive(_prim).define(abstract=_abstract(_prim.name), jvp=_jvp(_prim))
