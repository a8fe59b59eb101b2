"""The QR decomposition, and products of Householder reflections."""

from collections.abc import Sequence
from typing import Any

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.errors import ShapeError
from nrx.core.primitive import Primitive
from nrx.core.shapes import show
from nrx.ops.arithmetic import add, sub
from nrx.ops.common import INEXACT, as_arrays, check_dtype, check_same_dtype
from nrx.ops.linalg.common import (
    check_matrix,
    corner_of,
    dagger,
    diagonal_part,
    hermitian_part,
    host_primitive,
    identity,
    lower_triangle,
    on_host,
    product,
    single,
)
from nrx.ops.linalg.solve import solve, triangular_solve
from nrx.ops.rules import nonlinear
from nrx.ops.slicing import concatenate, slice_in_dim
from nrx.ops.structural import full_like

qr_p = Primitive("qr", multiple_results=True)
geqrf_p = Primitive("geqrf", multiple_results=True)
householder_product_p = Primitive("householder_product")

# Public functions


def qr(x: Any, *, full_matrices: bool = True) -> tuple[Array, Array]:
    """Q with orthonormal columns and upper triangular R with Q @ R = x; Q is square with `full_matrices`.

    The derivatives of the further columns of Q are those of LAPACK's way to choose them.
    """
    (x,) = as_arrays("qr", x)
    check_matrix("qr", x.aval)
    full = bool(full_matrices) and x.shape[-2] > x.shape[-1]  # else both are the same
    return tuple(qr_p.bind(x, full_matrices=full))


def geqrf(x: Any) -> tuple[Array, Array]:
    """The QR decomposition as LAPACK packs it: R above, the Householder vectors below the diagonal; their factors."""
    return tuple(geqrf_p.bind(*as_arrays("geqrf", x)))


def householder_product(a: Any, taus: Any) -> Array:
    """The first columns of the product of the reflections 1 - tau v v^H, whose v are below the diagonal of `a`.

    Args:
        a: an array of shape (..., m, n), n no larger than m, as `hessenberg` or LAPACK's QR packs it.
        taus: the factors of the reflections, (..., k), k no larger than n.

    The result has the shape and dtype of `a`.

    >>> import nrx
    >>> nrx.lax.linalg.householder_product(nrx.numpy.array([[0.0, 0.0], [1.0, 0.0]]), nrx.numpy.array([1.0]))
    Array([[ 0., -1.],
           [-1.,  0.]], dtype=float32)
    """
    return householder_product_p.bind(*as_arrays("householder_product", a, taus))


# impl


def _qr_impl(xp: Any, x: Any, *, full_matrices: bool) -> tuple[Any, ...]:
    return tuple(xp.linalg.qr(x, "complete" if full_matrices else "reduced"))


def _geqrf_impl(xp: Any, x: Any) -> tuple[Any, ...]:
    packed, taus = xp.linalg.qr(x, "raw")
    return packed.swapaxes(-1, -2).astype(x.dtype), taus.astype(x.dtype)


def _product_impl(xp: Any, a: Any, taus: Any) -> tuple[Any, ...]:
    columns = a.shape[-1]
    out = xp.zeros(a.shape, a.dtype)
    diagonal = xp.arange(columns)
    out[..., diagonal, diagonal] = 1
    for j in reversed(range(taus.shape[-1])):
        v = xp.array(a[..., j:, j : j + 1])
        v[..., 0, :] = 1
        scaled = taus[..., j, None, None] * (v.conj().swapaxes(-1, -2) @ out[..., j:, j:])
        out[..., j:, j:] -= v * scaled
    return (out,)


# abstract


def _qr_abstract(x: Aval, *, full_matrices: bool) -> Sequence[Aval]:
    check_matrix("qr", x)
    *batch, rows, columns = x.shape
    k = rows if full_matrices else min(rows, columns)
    return [Aval((*batch, rows, k), x.dtype), Aval((*batch, k, columns), x.dtype)]


def _geqrf_abstract(x: Aval) -> Sequence[Aval]:
    check_matrix("geqrf", x)
    return [x.strong, Aval((*x.shape[:-2], min(x.shape[-2:])), x.dtype)]


def _product_abstract(a: Aval, taus: Aval) -> Aval:
    check_matrix("householder_product", a)
    check_dtype("householder_product", taus, INEXACT)
    check_same_dtype("householder_product", a, taus)
    fits = taus.ndim == a.ndim - 1 and taus.shape[:-1] == a.shape[:-2]
    if not fits or not taus.shape[-1] <= a.shape[-1] <= a.shape[-2]:
        raise ShapeError(
            f"householder_product: reflections of shape {show(a.shape)} with factors of shape {show(taus.shape)}",
            fix="there must be no more factors than columns, and no more columns than rows",
        )
    return a.strong


# jvp


def _qr_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, full_matrices: bool) -> tuple[Any, Any]:
    (dx,) = tangents
    q, r = qr_p.bind(*primals, full_matrices=full_matrices)
    if not full_matrices:
        return [q, r], list(_thin_tangents(q, r, dx))
    m, n = dx.shape[-2:]
    first = corner_of(q, m, n)
    dfirst, dr = _thin_tangents(first, corner_of(r, n, n), dx)
    others = slice_in_dim(q, n, m, axis=-1)
    dq = concatenate([dfirst, _tangent_of_others(first, others, dfirst)], q.ndim - 1)
    return [q, r], [dq, concatenate([dr, full_like(r, 0, shape=(*r.shape[:-2], m - n, n))], r.ndim - 2)]


def _thin_tangents(q: Array, r: Array, dx: Array) -> tuple[Array, Array]:
    k = r.shape[-2]
    left = triangular_solve(corner_of(r, k, k), corner_of(dx, dx.shape[-2], k))  # dx inv(r), of the first columns
    inner = product(dagger(q), left)
    below = lower_triangle(inner, -1)
    turn = sub(below, dagger(below))  # antihermitian: how Q turns in its own space
    if dtypes.is_complex(inner.dtype):
        turn = add(turn, diagonal_part(sub(inner, hermitian_part(inner))))
    dq = add(product(q, sub(turn, inner)), left)
    return dq, sub(product(dagger(q), dx), product(turn, r))


def _tangent_of_others(first: Array, others: Array, dfirst: Array) -> Array:
    """How the columns of Q beyond those of the matrix move with the first ones.

    Q is a product of n reflections, so Q - 1 has rank n; as it is normal, the row space of Q - 1 is that of its first n
    columns, conjugated. These are [T - 1; B], so that [others] = [0; 1] + [T - 1; B] Z^H with Z = B inv(T - 1).
    """
    m, n = first.shape[-2:]
    top, dtop = corner_of(first, n, n), corner_of(dfirst, n, n)
    bottom, dbottom = slice_in_dim(first, n, m, axis=-2), slice_in_dim(dfirst, n, m, axis=-2)
    z = dagger(solve(dagger(sub(top, identity(top, n))), dagger(bottom)))
    turned = product(add(first, product(others, z)), dagger(sub(dbottom, product(z, dtop))))
    return sub(product(dfirst, dagger(z)), turned)


# Registration

qr_p.define(impl=on_host(_qr_impl, shared=True), abstract=_qr_abstract)
geqrf_p.define(impl=on_host(_geqrf_impl, shared=True), abstract=_geqrf_abstract)
householder_product_p.define(impl=single(on_host(_product_impl)), abstract=_product_abstract)
nonlinear(host_primitive(qr_p), _qr_jvp)
for _prim in (geqrf_p, householder_product_p):
    host_primitive(_prim).refuse(
        jvp="no derivative of packed reflections is written: use qr",
        transpose="it is not linear",
    )
