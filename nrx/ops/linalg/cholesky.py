"""The Cholesky decomposition."""

from collections.abc import Sequence
from typing import Any

from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.primitive import Primitive
from nrx.ops.arithmetic import mul, sub
from nrx.ops.common import as_arrays
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

# Public functions


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Array:
    """The lower triangular L with L @ L^H = x, for hermitian positive definite matrices; NaN for others.

    With `symmetrize_input`, the mean of x and its conjugate transpose is decomposed; else the lower triangle of x.
    """
    (x,) = as_arrays("cholesky", x)
    check_square("cholesky", x.aval)
    return cholesky_p.bind(hermitian_part(x) if symmetrize_input else x)


# impl


def _cholesky_impl(xp: Any, x: Any) -> tuple[Any, ...]:
    return or_nan(xp, xp.linalg.cholesky, x)


# abstract


def _cholesky_abstract(x: Aval) -> Aval:
    check_square("cholesky", x)
    return x.strong


# jvp: dL = L phi(L^-1 dA L^-H), where phi halves the diagonal of the lower triangle


def _cholesky_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    (da,) = tangents
    factor = cholesky_p.bind(*primals)
    right = triangular_solve(factor, da, transpose_a=True, conjugate_a=True, lower=True)
    inner = triangular_solve(factor, right, left_side=True, lower=True)
    halved = sub(lower_triangle(inner), mul(diagonal_part(inner), 0.5))
    return factor, product(factor, halved)


# Registration

cholesky_p.define(impl=single(on_host(_cholesky_impl)), abstract=_cholesky_abstract)
nonlinear(host_primitive(cholesky_p), _cholesky_jvp)
