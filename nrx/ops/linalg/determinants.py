"""Determinants, their logarithms, and adjugate matrices."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nrx.core import dtypes, loops
from nrx.core.array import Array
from nrx.core.aval import Aval, Linear, Zero
from nrx.core.loops import Builder, Pointwise, Reader
from nrx.core.primitive import Primitive
from nrx.ops.arithmetic import add, mul, real, sub
from nrx.ops.common import as_arrays, check_same_dtype, check_same_shape
from nrx.ops.linalg import lapack
from nrx.ops.linalg.common import (
    as_dtype_of,
    check_square,
    host_primitive,
    on_host,
    product,
    real_dtype,
    single,
    trace_of,
    transposed,
)
from nrx.ops.linalg.solve import solve
from nrx.ops.rules import nonlinear, sum_tangents
from nrx.ops.structural import broadcast_in_dim

det_p = Primitive("det")
slogdet_p = Primitive("slogdet", multiple_results=True)
adjugate_p = Primitive("adjugate")
adjugate_change_p = Primitive("adjugate_change")

#: Up to this size determinants are sums of products.
_EXPANDED = 3

# Public functions


def det(x: Any) -> Array:
    """The determinants of square matrices."""
    return det_p.bind(*as_arrays("det", x))


def slogdet(x: Any) -> tuple[Array, Array]:
    """The signs of the determinants (of complex matrices: on the unit circle), and the logarithms of their moduli."""
    return tuple(slogdet_p.bind(*as_arrays("slogdet", x)))


def adjugate(x: Any) -> Array:
    """The transposed matrices of cofactors: det(x) inv(x), and what that tends to where x is singular."""
    return adjugate_p.bind(*as_arrays("adjugate", x))


# impl


def _det_impl(xp: Any, x: Any) -> tuple[Any, ...]:
    if 0 < x.shape[-1] <= _EXPANDED:
        return (xp.array(_expansion(lambda i, j: x[..., i, j], x.shape[-1])),)
    if xp is np and lapack.is_single(x):
        diagonal, sign = _pivots(x)
        return (np.asarray((diagonal.prod(-1) * sign).astype(x.dtype)),)
    return (xp.asarray(xp.linalg.det(x)),)


def _pivots(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is divided by in the eliminations, in double precision, and the sign of the exchanges of rows."""
    turned = np.array(x.swapaxes(-1, -2), order="C").reshape(-1, *x.shape[-2:])
    places = lapack.getrf(turned)
    assert places is not None
    odd = (places != np.arange(x.shape[-1])).sum(-1) % 2
    wide = turned.diagonal(axis1=-2, axis2=-1).astype(np.result_type(x.dtype, np.float64))
    return wide.reshape(x.shape[:-1]), 1 - 2 * odd.reshape(x.shape[:-2])


def _slogdet_impl(xp: Any, x: Any) -> tuple[Any, ...]:
    if xp is np and lapack.is_single(x):
        diagonal, sign = _pivots(x)
        size = np.abs(diagonal)
        phase = np.where(np.isfinite(size) & (size != 0), diagonal / size, np.sign(diagonal)).prod(-1) * sign
        logarithm = np.log(size).sum(-1)
        return np.asarray(phase.astype(x.dtype)), np.asarray(logarithm.astype(x.real.dtype))
    return tuple(map(xp.asarray, xp.linalg.slogdet(x)))


def _adjugate_impl(xp: Any, x: Any) -> tuple[Any, ...]:
    determinant = xp.asarray(xp.linalg.det(x))
    if x.size and (determinant != 0).all():
        return (determinant[..., None, None] * xp.linalg.inv(x),)
    if not x.size or not xp.isfinite(x).all():
        return (xp.full(x.shape, np.nan, x.dtype),)
    u, s, vh = xp.linalg.svd(x)
    n = s.shape[-1]
    others = xp.where(xp.eye(n, dtype=bool), s.dtype.type(1), s[..., None, :]).prod(-1)
    return (_turned(xp, u, others[..., None, :] * xp.eye(n, dtype=s.dtype), vh).astype(x.dtype, copy=False),)


def _turned(xp: Any, u: Any, adjugates: Any, vh: Any) -> Any:
    """Adjugates of u @ y @ vh from those of y, for unitary u and vh: adj(x @ y) = adj(y) @ adj(x)."""
    phase = xp.linalg.det(u) * xp.linalg.det(vh)
    v, uh = vh.conj().swapaxes(-1, -2), u.conj().swapaxes(-1, -2)
    return phase[..., None, None] * (v @ adjugates @ uh)


def _adjugate_change_impl(xp: Any, x: Any, dx: Any) -> tuple[Any, ...]:
    """In the bases of the singular values s, where only products of all of them but two remain."""
    if not x.size or not xp.isfinite(x).all():
        return (xp.full(x.shape, np.nan, x.dtype),)
    u, s, vh = xp.linalg.svd(x)
    n = s.shape[-1]
    change = u.conj().swapaxes(-1, -2) @ dx @ vh.conj().swapaxes(-1, -2)
    same = xp.eye(n, dtype=bool)
    left_out = same[:, None, :] | same[None, :, :]
    others = xp.where(left_out, s.dtype.type(1), s[..., None, None, :]).prod(-1)
    others = xp.where(same, s.dtype.type(0), others)
    along = (others @ xp.diagonal(change, axis1=-2, axis2=-1)[..., None])[..., 0]
    turned = xp.where(same, along[..., None, :], -others * change)
    return (_turned(xp, u, turned, vh).astype(x.dtype, copy=False),)


# abstract


def _det_abstract(x: Aval) -> Aval:
    check_square("det", x)
    return Aval(x.shape[:-2], x.dtype)


def _slogdet_abstract(x: Aval) -> Sequence[Aval]:
    check_square("slogdet", x)
    return [Aval(x.shape[:-2], x.dtype), Aval(x.shape[:-2], real_dtype(x.dtype))]


def _adjugate_abstract(x: Aval) -> Aval:
    check_square("adjugate", x)
    return x.strong


def _adjugate_change_abstract(x: Aval, dx: Aval) -> Aval:
    check_square("adjugate_change", x)
    check_same_dtype("adjugate_change", x, dx)
    check_same_shape("adjugate_change", x, dx)
    return x.strong


def _expansion(element: Callable, n: int) -> Any:
    """The determinant of a small matrix, by its elements."""
    if n == 1:
        return element(0, 0)
    if n == 2:
        return element(0, 0) * element(1, 1) - element(0, 1) * element(1, 0)

    def minor(j: int, k: int) -> Any:
        return element(1, j) * element(2, k) - element(1, k) * element(2, j)

    return element(0, 0) * minor(1, 2) - element(0, 1) * minor(0, 2) + element(0, 2) * minor(0, 1)


# lower


def _det_at(b: Builder, index: tuple, x: Reader) -> Any:
    return _expansion(lambda i, j: loops.widen(x(*index, i, j)), x.aval.shape[-1])


_EXPANSION = Pointwise(_det_at, cost=10, reads=9)


def _det_lower(x: Aval) -> Pointwise | None:
    return _EXPANSION if 0 < x.shape[-1] <= _EXPANDED else None


# jvp


def _det_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    return det_p.bind(x), trace_of(product(adjugate(x), dx))


def _slogdet_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    sign, logarithm = slogdet_p.bind(x)
    trace = trace_of(solve(x, dx))
    if not dtypes.is_complex(x.dtype):
        return [sign, logarithm], [Zero(sign.aval.tangent), trace]
    size = real(trace)
    return [sign, logarithm], [mul(sign, sub(trace, as_dtype_of(size, trace))), size]


def _adjugate_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    return adjugate_p.bind(x), adjugate_change_p.bind(x, dx)


def _scaled(x: Array, factors: Array) -> Array:
    return mul(x, broadcast_in_dim(factors, x.shape, range(factors.ndim)))


def _adjugate_change_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Where x is invertible, the change is tr(y) adj(x) - y adj(x) with y = inv(x) dx; what that changes by."""
    (x, dx), (ex, edx) = primals, tangents
    out = adjugate_change_p.bind(x, dx)
    terms = [] if isinstance(edx, Zero) else [adjugate_change_p.bind(x, edx)]
    if not isinstance(ex, Zero):
        whole, moved, other = adjugate_p.bind(x), adjugate_change_p.bind(x, ex), solve(x, dx)
        turn = product(solve(x, ex), other)
        terms.append(sub(_scaled(moved, trace_of(other)), _scaled(whole, trace_of(turn))))
        terms.append(sub(product(turn, whole), product(other, moved)))
    return out, sum_tangents(terms, out.aval, add)


def _adjugate_change_transpose(ct: Array, x: Array, dx: Linear) -> list[Any]:
    """The trace of change(x, dx) @ y is symmetric in dx and y: it is the second derivative of the determinant."""
    return [None, transposed(adjugate_change_p.bind(x, transposed(ct)))]


# Registration

det_p.define(impl=single(on_host(_det_impl)), abstract=_det_abstract)
slogdet_p.define(impl=on_host(_slogdet_impl), abstract=_slogdet_abstract)
adjugate_p.define(impl=single(on_host(_adjugate_impl)), abstract=_adjugate_abstract)
adjugate_change_p.define(
    impl=single(on_host(_adjugate_change_impl)), abstract=_adjugate_change_abstract, jvp=_adjugate_change_jvp,
    transpose=_adjugate_change_transpose,
)  # fmt: skip
host_primitive(adjugate_change_p)
for _prim, _jvp in ((det_p, _det_jvp), (slogdet_p, _slogdet_jvp), (adjugate_p, _adjugate_jvp)):
    nonlinear(host_primitive(_prim), _jvp)
det_p.define(lower=_det_lower)
det_p.compiled_from = (0, 1 << 16)
