"""Eigenvalues and eigenvectors, of hermitian and of general matrices."""

from collections.abc import Sequence
from typing import Any

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.aval import Aval
from nrx.core.primitive import Primitive
from nrx.ops.arithmetic import mul, real, sub
from nrx.ops.common import as_arrays
from nrx.ops.linalg.common import (
    as_dtype_of,
    check_square,
    columns_scaled,
    conjugated,
    dagger,
    diagonal_of,
    gap_inverses,
    hermitian_part,
    host_primitive,
    on_host,
    or_nan,
    product,
    real_dtype,
)
from nrx.ops.linalg.solve import solve
from nrx.ops.rules import nonlinear
from nrx.ops.structural import reduce_sum

eigh_p = Primitive("eigh", multiple_results=True)
eig_p = Primitive("eig", multiple_results=True)

# Public functions


def eigh(x: Any, *, lower: bool = True, symmetrize_input: bool = True) -> tuple[Array, Array]:
    """The eigenvectors (as columns) and the ascending eigenvalues of hermitian matrices.

    With `symmetrize_input` of the mean of x and its conjugate transpose, else of the `lower` or upper triangle of x.
    """
    values, vectors = _eigh("eigh", x, lower, symmetrize_input, True)
    return vectors, values


def eigvalsh(x: Any, *, lower: bool = True, symmetrize_input: bool = True) -> Array:
    """The ascending eigenvalues of hermitian matrices; arguments as of `eigh`."""
    return _eigh("eigvalsh", x, lower, symmetrize_input, False)[0]


def _eigh(name: str, x: Any, lower: bool, symmetrize_input: bool, compute_vectors: bool) -> Sequence[Array]:
    (x,) = as_arrays(name, x)
    check_square(name, x.aval)
    x = hermitian_part(x) if symmetrize_input else x
    return eigh_p.bind(x, lower=bool(lower), compute_vectors=compute_vectors)


def eig(x: Any) -> tuple[Array, Array]:
    """The eigenvalues, in no order, and the eigenvectors (as columns, of length 1) of square matrices; complex."""
    return tuple(eig_p.bind(*as_arrays("eig", x), compute_vectors=True))


def eigvals(x: Any) -> Array:
    """The eigenvalues of square matrices, in no order; complex."""
    return eig_p.bind(*as_arrays("eigvals", x), compute_vectors=False)[0]


# impl


def _eigh_impl(xp: Any, x: Any, *, lower: bool, compute_vectors: bool) -> tuple[Any, ...]:
    function = xp.linalg.eigh if compute_vectors else xp.linalg.eigvalsh
    return or_nan(xp, lambda a: function(a, "L" if lower else "U"), x)


def _eig_impl(xp: Any, x: Any, *, compute_vectors: bool) -> tuple[Any, ...]:
    function = xp.linalg.eig if compute_vectors else xp.linalg.eigvals
    wide = dtypes.complex_dtype(x.dtype) if x.dtype.kind != "c" else x.dtype
    finite = xp.isfinite(x).all((-1, -2))
    masked = xp.where(finite[..., None, None], x, x.dtype.type(0))  # LAPACK refuses them all for one NaN
    outs = [xp.array(out, wide) for out in or_nan(xp, function, masked)]
    for out in outs:
        out[~finite] = xp.nan
    return tuple(outs)


# abstract


def _eigh_abstract(x: Aval, *, lower: bool, compute_vectors: bool) -> Sequence[Aval]:
    check_square("eigh", x)
    return [Aval(x.shape[:-1], real_dtype(x.dtype)), x.strong][: 1 + compute_vectors]


def _eig_abstract(x: Aval, *, compute_vectors: bool) -> Sequence[Aval]:
    check_square("eig", x)
    dtype = x.dtype if dtypes.is_complex(x.dtype) else dtypes.complex_dtype(x.dtype)
    return [Aval(x.shape[:-1], dtype), Aval(x.shape, dtype)][: 1 + compute_vectors]


# jvp


def _eigh_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, lower: bool, compute_vectors: bool) -> Any:
    values, vectors = eigh_p.bind(*primals, lower=lower, compute_vectors=True)
    inner = product(dagger(vectors), tangents[0], vectors)
    change = diagonal_of(inner)
    change = real(change) if dtypes.is_complex(change.dtype) else change
    if not compute_vectors:
        return [values], [change]
    gaps = as_dtype_of(gap_inverses(values), vectors)
    return [values, vectors], [change, product(vectors, mul(gaps, inner))]


def _eig_jvp(primals: Sequence[Array], tangents: Sequence[Any], *, compute_vectors: bool) -> tuple[Any, Any]:
    values, vectors = eig_p.bind(*primals, compute_vectors=True)
    inner = solve(vectors, product(as_dtype_of(tangents[0], vectors), vectors))
    change = diagonal_of(inner)
    if not compute_vectors:
        return [values], [change]
    turned = product(vectors, mul(gap_inverses(values), inner))
    along = real(reduce_sum(mul(conjugated(vectors), turned), (vectors.ndim - 2,)))  # their length stays 1
    return [values, vectors], [change, sub(turned, columns_scaled(vectors, as_dtype_of(along, vectors)))]


# Registration

eigh_p.define(impl=on_host(_eigh_impl, shared=True), abstract=_eigh_abstract)
eig_p.define(impl=on_host(_eig_impl, shared=True), abstract=_eig_abstract)
nonlinear(host_primitive(eigh_p), _eigh_jvp)
nonlinear(host_primitive(eig_p), _eig_jvp)
