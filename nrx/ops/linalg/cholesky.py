"""The Cholesky decomposition."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.primitive import Primitive
from nrx.ops.arithmetic import mul, sub
from nrx.ops.common import as_arrays
from nrx.ops.linalg import lapack
from nrx.ops.linalg.common import (
    check_square,
    diagonal_part,
    hermitian_part,
    host_primitive,
    lower_triangle,
    on_host,
    or_nan,
    product,
    single,
)
from nrx.ops.linalg.solve import triangular_solve
from nrx.ops.rules import nonlinear

cholesky_p = Primitive("cholesky")

#: Up to this size many matrices are faster together than one by one.
_SMALL = 4
_TOGETHER = 2048
#: From this size on calling LAPACK costs less than what NumPy does around it.
_ALONE_FROM, _BLOCK = 200, 128

# Public functions


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Array:
    """The lower triangular L with L @ L^H = x, for hermitian positive definite matrices; NaN for others.

    With `symmetrize_input`, the mean of x and its conjugate transpose is decomposed; else the lower triangle of x.

    An array of shape (..., n, n), floating or complex, whose dtype the result has.

    >>> import nrx
    >>> nrx.lax.linalg.cholesky(nrx.numpy.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    (x,) = as_arrays("cholesky", x)
    check_square("cholesky", x.aval)
    return cholesky_p.bind(x, symmetrize_input=bool(symmetrize_input))


# impl


def _cholesky_impl(xp: Any, x: Any, *, symmetrize_input: bool) -> tuple[Any, ...]:
    n, count = x.shape[-1], math.prod(x.shape[:-2])
    if 0 < n <= _SMALL < count:
        return (_of_small(xp, x.reshape(count, n, n), symmetrize_input).reshape(x.shape),)
    if xp is np and n >= _ALONE_FROM and lapack.routine("potrf", x.dtype):
        out = _lower_triangle(x, symmetrize_input)
        lapack.potrf(out.reshape(count, n, n))
        return (out,)
    if symmetrize_input:
        x = (x + x.swapaxes(-1, -2).conj()) * x.dtype.type(0.5)
    (out,) = or_nan(xp, xp.linalg.cholesky, x)
    if n:  # of NaN LAPACK makes no failure
        out[xp.isnan(out[..., n - 1, n - 1])] = np.nan
    return (out,)


def _lower_triangle(x: np.ndarray, symmetrize_input: bool) -> np.ndarray:
    """The lower triangle and zeros, of the mean of x and its conjugate transpose; by blocks that the caches hold."""
    out, n = np.zeros_like(x, order="C"), x.shape[-1]
    for start in range(0, n, _BLOCK):
        end = min(start + _BLOCK, n)
        rows, place = x[..., start:end, :end], out[..., start:end, :end]
        if symmetrize_input:
            np.add(rows, x[..., :end, start:end].swapaxes(-1, -2).conj(), out=place)
            place *= x.dtype.type(0.5)
        else:
            place[...] = rows
        place[..., start:] = np.tril(place[..., start:])
    return out


def _of_small(xp: Any, x: Any, symmetrize_input: bool) -> Any:
    """The factors of many small matrices: element by element, for as many at once as the caches hold."""
    out = xp.empty_like(x)
    for start in range(0, len(x), _TOGETHER):
        a = xp.moveaxis(x[start : start + _TOGETHER], 0, 2).copy()
        _factorize(xp, a, symmetrize_input)
        out[start : start + _TOGETHER] = xp.moveaxis(a, 2, 0)
    return out


def _factorize(xp: Any, a: Any, symmetrize_input: bool) -> None:
    """The factors of matrices (n, n, count), in place."""
    n = len(a)
    for j in range(n):
        if symmetrize_input:
            a[j + 1 :, j] = (a[j + 1 :, j] + a[j, j + 1 :].conj()) * a.dtype.type(0.5)
        pivot = a[j, j].real
        for k in range(j):
            pivot = pivot - (a[j, k] * a[j, k].conj()).real
        a[j, j] = root = xp.sqrt(xp.where(pivot > 0, pivot, np.nan))
        a[j, j + 1 :] = 0
        for i in range(j + 1, n):
            for k in range(j):
                a[i, j] -= a[i, k] * a[j, k].conj()
            a[i, j] /= root
    a[:, :, xp.isnan(root)] = np.nan  # where there is no root, the last one is NaN too


# abstract


def _cholesky_abstract(x: Aval, *, symmetrize_input: bool) -> Aval:
    check_square("cholesky", x)
    return x.strong


# jvp: dL = L phi(L^-1 dA L^-H), where phi halves the diagonal of the lower triangle


def _cholesky_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, symmetrize_input: bool) -> tuple[Any, Any]:
    (da,) = tangents
    if symmetrize_input:
        da = hermitian_part(da)
    factor = cholesky_p.bind(*primals, symmetrize_input=symmetrize_input)
    right = triangular_solve(factor, da, transpose_a=True, conjugate_a=True, lower=True)
    inner = triangular_solve(factor, right, left_side=True, lower=True)
    halved = sub(lower_triangle(inner), mul(diagonal_part(inner), 0.5))
    return factor, product(factor, halved)


# Registration

cholesky_p.define(impl=single(on_host(_cholesky_impl)), abstract=_cholesky_abstract)
nonlinear(host_primitive(cholesky_p), _cholesky_jvp)
