"""The Schur and Hessenberg forms of square matrices, and what is solved by them: Sylvester equations, square roots."""

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
from nrx.ops.common import as_arrays, check_same_dtype
from nrx.ops.linalg.common import as_dtype_of, check_square, host_primitive, on_host, product, single, transposed
from nrx.ops.rules import nonlinear, sum_tangents

hessenberg_p = Primitive("hessenberg", multiple_results=True)
schur_p = Primitive("schur", multiple_results=True)
sylvester_p = Primitive("sylvester")
sqrtm_p = Primitive("sqrtm")

# Public functions


def hessenberg(a: Any) -> tuple[Array, Array]:
    """The Hessenberg form of matrices `a` as LAPACK packs it, the vectors of the reflections below it; their factors.

    Arrays of shape (..., n, n) and (..., n - 1), of the dtype of `a`.

    >>> import nrx
    >>> packed, taus = nrx.lax.linalg.hessenberg(nrx.numpy.eye(3))
    >>> packed.shape, taus.shape
    ((3, 3), (2,))
    """
    return tuple(hessenberg_p.bind(*as_arrays("hessenberg", a)))


def schur(x: Any) -> tuple[Array, Array]:
    """(T, Q) with Q @ T @ Q^H = x, Q unitary and T triangular; for real x T has blocks of 2 x 2 of complex pairs."""
    return tuple(schur_p.bind(*as_arrays("schur", x)))


def sylvester(a: Any, b: Any, c: Any) -> Array:
    """x such that a @ x + x @ b = c."""
    return sylvester_p.bind(*as_arrays("sylvester", a, b, c))


def sqrtm(x: Any) -> Array:
    """The principal square roots of square matrices, complex; NaN where there is none."""
    return sqrtm_p.bind(*as_arrays("sqrtm", x))


# impl


def _dagger(x: Any) -> Any:
    return x.conj().swapaxes(-1, -2)


def _hessenberg_impl(xp: Any, a: Any) -> tuple[Any, ...]:
    a, n = xp.array(a), a.shape[-1]
    taus = xp.zeros((*a.shape[:-2], max(n - 1, 0)), a.dtype)
    for j in range(n - 1):
        v, tau, beta = _reflection(xp, a[..., j + 1 :, j])
        taus[..., j] = tau
        column, tau = v[..., None], tau[..., None, None]
        a[..., j + 1 :, j + 1 :] -= tau.conj() * column * (_dagger(column) @ a[..., j + 1 :, j + 1 :])
        a[..., j + 1 :] -= tau * (a[..., j + 1 :] @ column) * _dagger(column)
        a[..., j + 1, j], a[..., j + 2 :, j] = beta, v[..., 1:]
    return a, taus


def _reflection(xp: Any, x: Any) -> tuple[Any, Any, Any]:
    """v with v[0] = 1, tau and beta: (1 - tau v v^H)^H x is beta times the first unit vector."""
    head = x[..., 0]
    size = xp.sqrt((xp.abs(x) ** 2).sum(-1))
    still = (xp.abs(x[..., 1:]) ** 2).sum(-1) + head.imag**2 == 0
    beta = xp.where(still, head.real, -xp.copysign(size, head.real))
    tau = xp.where(still, 0, (beta - head) / xp.where(still, 1, beta))
    v = x / xp.where(still, 1, head - beta)[..., None]
    v[..., 0] = 1
    v[..., 1:] *= ~still[..., None]
    return v, tau, beta


def _schur_impl(xp: Any, x: Any) -> tuple[Any, ...]:
    n = x.shape[-1]
    outs = xp.zeros(x.shape, x.dtype), xp.zeros(x.shape, x.dtype)
    for place in np.ndindex(x.shape[:-2]):
        values = _schur(xp, x[place]) if bool(xp.isfinite(x[place]).all()) else (xp.full((n, n), xp.nan),) * 2
        for out, value in zip(outs, values, strict=True):
            out[place] = value
    return outs


def _schur(xp: Any, x: Any) -> tuple[Any, Any]:
    """The form of one matrix: of all eigenvectors at once, or where these are nearly dependent one after another."""
    n = x.shape[-1]
    t, q = xp.array(x), xp.eye(n, dtype=x.dtype)
    allowed = 64 * n * float(xp.finfo(x.dtype).eps) * float(xp.linalg.norm(x))
    at = 0
    while at < n:
        basis, widths = _invariant(xp, t[at:, at:])
        turn = xp.linalg.qr(basis, "complete")[0]
        tried = _dagger(turn) @ t[at:, at:] @ turn
        if float(xp.abs(_cleared(xp, tried, widths)).max()) > allowed:
            basis, widths = basis[:, : widths[0]], widths[:1]
            turn = xp.linalg.qr(basis, "complete")[0]
            tried = _dagger(turn) @ t[at:, at:] @ turn
        t[:at, at:] = t[:at, at:] @ turn
        t[at:, at:] = tried - _cleared(xp, tried, widths)
        q[:, at:] = q[:, at:] @ turn
        for width in widths:
            if width == 2:
                _standardize(xp, t, q, at)
            at += width
    return t, q


def _invariant(xp: Any, x: Any) -> tuple[Any, list[int]]:
    """The eigenvectors as columns, of pairs of complex ones of a real matrix both parts; the columns of each."""
    values, vectors = xp.linalg.eig(x)
    if x.dtype.kind == "c" or values.dtype.kind != "c":
        return vectors.astype(x.dtype), [1] * len(values)
    paired = [v != 0 for v in values.imag.tolist()]
    second = np.zeros(len(paired), bool)
    for i, pair in enumerate(paired):
        second[i] = pair and i > 0 and not second[i - 1] and paired[i - 1]
    basis = xp.where(xp.asarray(second), vectors.imag, vectors.real).astype(x.dtype)
    return basis, [2 if pair else 1 for pair, follows in zip(paired, second, strict=True) if not follows]


def _cleared(xp: Any, t: Any, widths: list[int]) -> Any:
    """What of `t` stands below its diagonal blocks, in the columns of these."""
    out = xp.tril(t, -1)
    at = 0
    for width in widths:
        out[at : at + width, at : at + width] = 0
        at += width
    out[:, at:] = 0
    return out


def _standardize(xp: Any, t: Any, q: Any, at: int) -> None:
    """Turn a block of 2 x 2 so that both diagonal elements are the same."""
    (a, b), (c, d) = t[at : at + 2, at : at + 2].tolist()
    length = np.hypot(b + c, a - d)
    if not length:
        return
    cosine = np.sqrt((1 + abs(b + c) / length) / 2)
    sine = -(a - d) / 2 / (length * cosine) * (1 if b + c >= 0 else -1)
    turn = xp.asarray([[cosine, -sine], [sine, cosine]], t.dtype)
    pair = slice(at, at + 2)
    t[pair, at:] = turn.T @ t[pair, at:]
    t[: at + 2, pair] = t[: at + 2, pair] @ turn
    q[:, pair] = q[:, pair] @ turn
    t[at, at] = t[at + 1, at + 1] = (t[at, at] + t[at + 1, at + 1]) / 2


def _as_complex(xp: Any, x: Any) -> Any:
    return x.astype(xp.result_type(x.dtype, np.complex64))


def _sylvester_impl(xp: Any, a: Any, b: Any, c: Any) -> tuple[Any, ...]:
    left, u = _schur_impl(xp, _as_complex(xp, a))
    right, v = _schur_impl(xp, _as_complex(xp, b))
    c = _dagger(u) @ c @ v
    n = left.shape[-1]
    out = xp.zeros_like(c)
    unit = xp.eye(n, dtype=left.dtype)
    for j in range(right.shape[-1]):
        known = c[..., j, None] - out[..., :j] @ right[..., :j, j, None]
        try:
            out[..., j, None] = xp.linalg.solve(left + right[..., j, j, None, None] * unit, known)
        except np.linalg.LinAlgError:
            out[..., j] = xp.nan
    out = u @ out @ _dagger(v)
    return (out if a.dtype.kind == "c" else out.real.astype(a.dtype),)


def _sqrtm_impl(xp: Any, x: Any) -> tuple[Any, ...]:
    t, q = _schur_impl(xp, _as_complex(xp, x))
    n = t.shape[-1]
    out = xp.zeros_like(t)
    for j in range(n):
        out[..., j, j] = xp.sqrt(t[..., j, j])
        for i in reversed(range(j)):
            known = t[..., i, j] - (out[..., i, i + 1 : j] * out[..., i + 1 : j, j]).sum(-1)
            divisor = out[..., i, i] + out[..., j, j]
            out[..., i, j] = xp.where(known == 0, 0, known / divisor)
    return (q @ out @ _dagger(q),)


# abstract


def _hessenberg_abstract(x: Aval) -> Sequence[Aval]:
    check_square("hessenberg", x)
    return [x.strong, Aval((*x.shape[:-2], max(x.shape[-1] - 1, 0)), x.dtype)]


def _schur_abstract(x: Aval) -> Sequence[Aval]:
    check_square("schur", x)
    return [x.strong, x.strong]


def _sylvester_abstract(a: Aval, b: Aval, c: Aval) -> Aval:
    check_square("sylvester", a)
    check_square("sylvester", b)
    check_same_dtype("sylvester", a, b, c)
    if c.shape != (*a.shape[:-1], b.shape[-1]) or a.shape[:-2] != b.shape[:-2]:
        raise ShapeError(
            f"sylvester: matrices of shapes {show(a.shape)} and {show(b.shape)} do not go with {show(c.shape)}"
        )
    return c.strong


def _sqrtm_abstract(x: Aval) -> Aval:
    check_square("sqrtm", x)
    return Aval(x.shape, x.dtype if dtypes.is_complex(x.dtype) else dtypes.complex_dtype(x.dtype))


# jvp and transpose


def _sylvester_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    (a, b, c), (da, db, dc) = primals, tangents
    x = sylvester_p.bind(a, b, c)
    terms = [
        dc,
        da if isinstance(da, Zero) else neg(product(da, x)),
        db if isinstance(db, Zero) else neg(product(x, db)),
    ]
    right = sum_tangents(terms, x.aval, add)
    return x, right if isinstance(right, Zero) else sylvester_p.bind(a, b, right)


def _sylvester_transpose(ct: Array, a: Array, b: Array, c: Linear) -> list[Any]:
    return [None, None, sylvester_p.bind(transposed(a), transposed(b), ct)]


def _sqrtm_jvp(primals: Sequence[Array], tangents: Sequence[Any]) -> tuple[Any, Any]:
    root = sqrtm_p.bind(*primals)
    return root, sylvester_p.bind(root, root, as_dtype_of(tangents[0], root))


# Registration

hessenberg_p.define(impl=on_host(_hessenberg_impl, shared=True), abstract=_hessenberg_abstract)
schur_p.define(impl=on_host(_schur_impl, shared=True), abstract=_schur_abstract)
for _prim in (hessenberg_p, schur_p):
    host_primitive(_prim).refuse(jvp="no derivative is known here", transpose="it is not linear")
sylvester_p.define(impl=single(on_host(_sylvester_impl)), abstract=_sylvester_abstract)
host_primitive(sylvester_p).define(jvp=_sylvester_jvp, transpose=_sylvester_transpose)
sqrtm_p.define(impl=single(on_host(_sqrtm_impl)), abstract=_sqrtm_abstract)
nonlinear(host_primitive(sqrtm_p), _sqrtm_jvp)
