"""The singular value decomposition."""

from collections.abc import Sequence
from typing import Any

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.errors import DifferentiationError
from nrx.core.primitive import Primitive
from nrx.ops.arithmetic import add, mul, real, sub
from nrx.ops.common import as_arrays
from nrx.ops.linalg.common import (
    as_dtype_of,
    check_matrix,
    columns_scaled,
    dagger,
    diagonal_of,
    diagonal_part,
    gap_inverses,
    hermitian_part,
    host_primitive,
    inverse_or_zero,
    on_host,
    or_nan,
    product,
    real_dtype,
    rows_scaled,
)
from nrx.ops.rules import nonlinear

svd_p = Primitive("svd", multiple_results=True)

# Public functions


def svd(x: Any, *, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """(u, s, vh) with (u * s) @ vh = x and s descending; only s without `compute_uv`.

    With `full_matrices` u and vh are square.
    """
    (x,) = as_arrays("svd", x)
    check_matrix("svd", x.aval)
    full = bool(full_matrices and compute_uv) and x.shape[-1] != x.shape[-2]  # else both are the same
    out = svd_p.bind(x, full_matrices=full, compute_uv=bool(compute_uv))
    return tuple(out) if compute_uv else out[0]


# impl


def _svd_impl(xp: Any, x: Any, *, full_matrices: bool, compute_uv: bool) -> tuple[Any, ...]:
    return or_nan(xp, lambda a: xp.linalg.svd(a, full_matrices, compute_uv), x)


# abstract


def _svd_abstract(x: Aval, *, full_matrices: bool, compute_uv: bool) -> Sequence[Aval]:
    check_matrix("svd", x)
    *batch, rows, columns = x.shape
    k = min(rows, columns)
    values = Aval((*batch, k), real_dtype(x.dtype))
    if not compute_uv:
        return [values]
    left, right = (rows, columns) if full_matrices else (k, k)
    return [Aval((*batch, rows, left), x.dtype), values, Aval((*batch, right, columns), x.dtype)]


# jvp


def _svd_jvp(
    primals: Sequence[Array], tangents: Sequence[Any], *, full_matrices: bool, compute_uv: bool
) -> tuple[Any, Any]:
    if full_matrices:
        raise DifferentiationError(
            "svd: the vectors beyond the singular values have no derivative, they can be chosen freely",
            fix="use full_matrices=False",
        )
    (dx,) = tangents
    u, s, vh = svd_p.bind(*primals, full_matrices=False, compute_uv=True)
    inner = product(dagger(u), dx, dagger(vh))
    ds = diagonal_of(inner)
    ds = real(ds) if dtypes.is_complex(ds.dtype) else ds
    if not compute_uv:
        return [s], [ds]
    scale = as_dtype_of(s, u)
    gaps = as_dtype_of(gap_inverses(mul(s, s)), u)
    inverses = as_dtype_of(inverse_or_zero(s), u)
    turn = mul(gaps, _twice_hermitian(columns_scaled(inner, scale)))
    if dtypes.is_complex(u.dtype):  # the phase, of which U takes the whole
        turn = add(turn, columns_scaled(diagonal_part(sub(inner, hermitian_part(inner))), inverses))
    du, dv = product(u, turn), product(dagger(vh), mul(gaps, _twice_hermitian(rows_scaled(scale, inner))))
    if u.shape[-2] > s.shape[-1]:
        du = add(du, columns_scaled(_beyond(u, product(dx, dagger(vh))), inverses))
    if vh.shape[-1] > s.shape[-1]:
        dv = add(dv, columns_scaled(_beyond(dagger(vh), product(dagger(dx), u)), inverses))
    return [u, s, vh], [du, ds, dagger(dv)]


def _twice_hermitian(x: Array) -> Array:
    return add(x, dagger(x))


def _beyond(q: Array, x: Array) -> Array:
    """The part of the columns of `x` outside the space of the orthonormal columns of `q`."""
    return sub(x, product(q, product(dagger(q), x)))


# Registration

svd_p.define(impl=on_host(_svd_impl, shared=True), abstract=_svd_abstract)
nonlinear(host_primitive(svd_p), _svd_jvp)
