"""Decompositions with the arguments of SciPy. `overwrite_*`, `check_finite` and `lwork` are without effect."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nrx.core.array import Array
from nrx.core.dtypes import complex_dtype, finfo, is_complex, real_part_dtype
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import show
from nrx.lax import dynamic_slice_in_dim, dynamic_update_slice_in_dim, fori_loop
from nrx.lax import linalg as lax_linalg
from nrx.numpy import linalg as np_linalg
from nrx.numpy.diagonals import diag, tril, triu
from nrx.numpy.elementary import sqrt
from nrx.numpy.joining import stack
from nrx.numpy.logic import where
from nrx.numpy.promotion import as_inexact, promote_dtypes
from nrx.ops import linalg
from nrx.ops.linalg.common import check_square, corner_of, dagger, identity, permutation_matrix
from nrx.scipy.linalg.systems import solve_triangular


def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The Cholesky factor: a = U^H @ U, or with `lower` L @ L^H.

    Args:
        a: hermitian positive definite matrices (..., n, n); others give NaN.
        lower: whether L is wanted.
        overwrite_a: without effect, as check_finite.

    Returns:
        An array of the shape and dtype of a, integers as the default float.

    >>> nrx.scipy.linalg.cholesky(jnp.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 1.],
           [0., 2.]], dtype=float32)
    """
    return np_linalg.cholesky(a, upper=not lower)


def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, bool]:
    """The Cholesky factor for `cho_solve`, and whether it is the lower one; arguments as of `cholesky`.

    The other triangle is zero; in SciPy it holds anything.

    It has the shape and dtype of a, integers as the default float.

    >>> nrx.scipy.linalg.cho_factor(jnp.array([[4.0]]))
    (Array([[2.]], dtype=float32), False)
    """
    return cholesky(a, lower), lower


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, Array]:
    """The LU decomposition for `lu_solve`.

    Args:
        a: an array of shape (..., m, n).
        overwrite_a: without effect, as check_finite.

    Returns:
        Both factors packed into one array, and the int32 exchanges of rows: row i with row pivots[i]. The factors have
        the shape and dtype of a, integers as the default float.

    >>> nrx.scipy.linalg.lu_factor(jnp.array([[0.0, 2.0], [1.0, 0.0]]))[1]
    Array([1, 1], dtype=int32)
    """
    packed, pivots, _ = linalg.lu(as_inexact("lu_factor", a))
    return packed, pivots


def lu(a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, ...]:
    """The LU decomposition: a = P @ L @ U.

    Args:
        a: an array of shape (..., m, n).
        permute_l: whether P @ L is given in place of both.
        overwrite_a: without effect, as check_finite.

    Returns:
        P (..., m, m), which is real, L (..., m, k) and U (..., k, n), or P @ L and U. L and U have the dtype of a,
        integers as the default float.

    >>> nrx.scipy.linalg.lu(jnp.array([[0.0, 2.0], [1.0, 0.0]]))[2]
    Array([[1., 0.],
           [0., 2.]], dtype=float32)
    """
    packed, _, order = linalg.lu(as_inexact("lu", a))
    rows, columns = packed.shape[-2:]
    k = min(rows, columns)
    p = permutation_matrix(order, real_part_dtype(packed.dtype)).mT
    lower = tril(corner_of(packed, rows, k), -1) + identity(packed, rows)[..., :k]
    upper = triu(corner_of(packed, k, columns))
    return (p.astype(lower.dtype) @ lower, upper) if permute_l else (p, lower, upper)


def qr(
    a: Any, overwrite_a: bool = False, lwork: Any = None, mode: str = "full", pivoting: bool = False,
    check_finite: bool = True,
) -> tuple[Array, ...]:  # fmt: skip
    """The QR decomposition.

    Args:
        a: an array of shape (..., m, n).
        overwrite_a: without effect, as lwork and check_finite.
        mode: "full" (Q is square), "economic" or "r" (only R, in a tuple).
        pivoting: whether the columns are reordered so that the diagonal of R descends.

    Returns:
        Q and R, of the dtype of a, integers as the default float; with pivoting also the int32 order of the columns.

    Raises:
        ArgumentError: another mode.

    >>> nrx.scipy.linalg.qr(jnp.array([[1.0, 0.0], [0.0, 2.0]]), pivoting=True)[2]
    Array([1, 0], dtype=int32)
    """
    if mode not in ("full", "economic", "r"):
        raise ArgumentError(f"qr: unknown mode {mode!r}", fix='use "full", "economic" or "r"')
    out = lax_linalg.qr(as_inexact("qr", a), pivoting=pivoting, full_matrices=mode == "full")
    return out[1:] if mode == "r" else out


def qr_multiply(
    a: Any, c: Any, mode: str = "right", pivoting: bool = False, conjugate: bool = False, overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
    """The product of the Q of a QR decomposition with an array, and R.

    Args:
        a: an array of shape (..., m, n); k is the less of m and n.
        c: "right": an array of shape (..., p, m); "left": (..., k, p). A vector is a row, or a column.
        mode: "right" (`c @ Q`) or "left" (`Q @ c`).
        pivoting: as of `qr`.
        conjugate: whether the conjugate of Q is taken instead.
        overwrite_a: without effect, as overwrite_c.

    Returns:
        The product, of shape (..., p, k) or (..., m, p), or a vector; R of shape (..., k, n); with pivoting also the
        int32 order of the columns. All but the order have the dtype in which a and c meet, integers as the default
        float.

    Raises:
        ArgumentError: another mode.
        ShapeError: `c` does not go with Q.

    >>> product, r = nrx.scipy.linalg.qr_multiply(jnp.array([[0.0], [2.0]]), jnp.array([1.0, 3.0]))
    >>> (product * r[0]).round(3)
    Array([6.], dtype=float32)
    """
    if mode not in ("right", "left"):
        raise ArgumentError(f"qr_multiply: unknown mode {mode!r}", fix='use "right" or "left"')
    x, other = promote_dtypes("qr_multiply", a, c, inexact=True)
    q, *rest = lax_linalg.qr(x, pivoting=pivoting, full_matrices=False)
    axis, length = (-1, q.shape[-2]) if mode == "right" else (-min(other.ndim, 2), q.shape[-1])
    if other.ndim == 0 or other.shape[axis] != length:
        raise ShapeError(f"qr_multiply: c has shape {show(other.shape)}, and Q of {show(x.shape)} needs {length} there")
    q = q.conj() if conjugate else q
    return (other @ q if mode == "right" else q @ other, *rest)


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False, check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:  # fmt: skip
    """The singular value decomposition of `a`, as `nrx.numpy.linalg.svd`.

    `overwrite_a`, `check_finite` and `lapack_driver` are without effect.

    Shapes and dtypes are those of `nrx.numpy.linalg.svd`.

    >>> nrx.scipy.linalg.svd(jnp.array([[2.0]]), compute_uv=False)
    Array([2.], dtype=float32)
    """
    return linalg.svd(as_inexact("svd", a), full_matrices=full_matrices, compute_uv=compute_uv)


def eigh(
    a: Any, b: Any = None, lower: bool = True, eigvals_only: bool = False, overwrite_a: bool = False,
    overwrite_b: bool = False, turbo: bool = True, eigvals: None = None, type: int = 1, check_finite: bool = True,
) -> Any:  # fmt: skip
    """The eigenvalues, ascending, and eigenvectors of hermitian matrices: a @ v = w v, or of two: a @ v = w b @ v.

    Args:
        a: an array of shape (..., n, n).
        b: positive definite matrices of the same shape, or None.
        lower: which triangle is read.
        eigvals_only: whether only the values are wanted.
        overwrite_a: without effect, as overwrite_b, turbo and check_finite.
        eigvals: not supported.
        type: with b: 1: a @ v = w b @ v; 2: a @ b @ v = w v; 3: b @ a @ v = w v.

    Returns:
        Values (..., n) and vectors (..., n, n), of length 1 by b (type 1 and 2) or its inverse. Values are real,
        vectors of the dtype of a; integers count as the default float.

    Raises:
        ArgumentError: another type, or eigvals is given.

    >>> a, b = jnp.array([[2.0, 0.0], [0.0, 9.0]]), jnp.array([[1.0, 0.0], [0.0, 4.0]])
    >>> nrx.scipy.linalg.eigh(a, eigvals_only=True)
    Array([2., 9.], dtype=float32)
    >>> nrx.scipy.linalg.eigh(a, b, eigvals_only=True)
    Array([2.  , 2.25], dtype=float32)
    """
    if eigvals is not None:
        raise ArgumentError("eigh: eigvals is not supported", fix="slice the results")
    if type not in (1, 2, 3):
        raise ArgumentError(f"eigh: unknown type {type!r}", fix="use 1, 2 or 3")
    if b is None:
        return _eigh(as_inexact("eigh", a), lower, eigvals_only)
    x, y = promote_dtypes("eigh", a, b, inexact=True)
    x = tril(x) + dagger(tril(x, -1)) if lower else triu(x) + dagger(triu(x, 1))
    factor = np_linalg.cholesky(y) if lower else dagger(np_linalg.cholesky(y, upper=True, symmetrize_input=False))
    if type == 1:
        half = solve_triangular(factor, x, lower=True)
        reduced = dagger(solve_triangular(factor, dagger(half), lower=True))
    else:
        reduced = dagger(factor) @ x @ factor
    out = _eigh(reduced, True, eigvals_only)
    if eigvals_only:
        return out
    values, vectors = out
    if type == 3:
        return values, factor @ vectors
    return values, solve_triangular(factor, vectors, trans=2, lower=True)


def _eigh(x: Array, lower: bool, eigvals_only: bool) -> Any:
    uplo = "L" if lower else "U"
    if eigvals_only:
        return np_linalg.eigvalsh(x, uplo, symmetrize_input=False)
    return tuple(np_linalg.eigh(x, uplo, symmetrize_input=False))


def eigh_tridiagonal(
    d: Any, e: Any, *, eigvals_only: bool = False, select: str = "a", select_range: Any = None, tol: Any = None,
    key: Any = None,
) -> Any:  # fmt: skip
    """The eigenvalues, ascending, and eigenvectors of a symmetric tridiagonal matrix.

    Args:
        d: its diagonal (n,), real.
        e: the elements beside it (n - 1,).
        eigvals_only: whether only the values are wanted.
        select: "a": all of them; "i": those from select_range[0] to select_range[1], both included.
        select_range: a pair of ints, for "i".
        tol: without effect, as key.

    Returns:
        The values (n,) and, as columns, the vectors (n, n); or the values. All have the dtype of d, integers as the
        default float.

    Raises:
        ArgumentError: another select, or select_range is not such a pair.
        ShapeError: the lengths do not go together.

    >>> nrx.scipy.linalg.eigh_tridiagonal(jnp.array([2.0, 2.0]), jnp.array([1.0]), eigvals_only=True)
    Array([1., 3.], dtype=float32)
    """
    if select not in ("a", "i"):
        raise ArgumentError(f"eigh_tridiagonal: unknown select {select!r}", fix='use "a" or "i"')
    diagonal, beside = promote_dtypes("eigh_tridiagonal", d, e, inexact=True)
    if diagonal.ndim != 1 or beside.shape != (max(diagonal.shape[0] - 1, 0),):
        raise ShapeError(f"eigh_tridiagonal: shapes {show(diagonal.shape)} and {show(beside.shape)} do not go together")
    if select == "i" and not _is_range(select_range, diagonal.shape[0]):
        raise ArgumentError(f"eigh_tridiagonal: select_range must be two ints from 0 to {diagonal.shape[0] - 1}, the "
                            f"second not less than the first, got {select_range!r}")  # fmt: skip
    matrix = diag(diagonal) + diag(beside, -1) + diag(beside, 1)
    chosen = slice(None) if select == "a" else slice(select_range[0], select_range[1] + 1)
    if eigvals_only:
        return np_linalg.eigvalsh(matrix)[chosen]
    values, vectors = np_linalg.eigh(matrix)
    return values[chosen], vectors[:, chosen]


def _is_range(given: Any, size: int) -> bool:
    is_pair = isinstance(given, Sequence | np.ndarray) and len(given) == 2
    return is_pair and all(hasattr(i, "__index__") for i in given) and 0 <= given[0] <= given[1] < size


def schur(a: Any, output: str = "real") -> tuple[Array, Array]:
    """The Schur form: a = Z @ T @ Z^H, Z unitary and T triangular.

    Args:
        a: an array of shape (..., n, n).
        output: "real": for real a, T has blocks of 2 x 2 for pairs of complex eigenvalues; "complex".

    Returns:
        T and Z. They have no derivatives.

    Raises:
        ArgumentError: another output.

    >>> nrx.scipy.linalg.schur(jnp.array([[1.0, 2.0], [0.0, 3.0]]))[0]
    Array([[1., 2.],
           [0., 3.]], dtype=float32)
    """
    if output not in ("real", "complex"):
        raise ArgumentError(f"schur: unknown output {output!r}", fix='use "real" or "complex"')
    x = as_inexact("schur", a)
    if output == "complex" and not is_complex(x.dtype):
        x = x.astype(complex_dtype(x.dtype))
    return linalg.schur(x)


def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """The complex Schur form of a real one: blocks of 2 x 2 on the diagonal are made triangular by rotations.

    Args:
        T: an array of shape (..., n, n), as the first result of `schur`.
        Z: an array of shape (..., n, n), as the second.
        check_finite: without effect.

    Returns:
        Complex T and Z, with the same product Z @ T @ Z^H.

    Raises:
        ShapeError: they are not square, or not of the same size.

    >>> T, Z = nrx.scipy.linalg.schur(jnp.array([[0.0, 1.0], [-1.0, 0.0]]))
    >>> abs(nrx.scipy.linalg.rsf2csf(T, Z)[0]).round(3)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    form, vectors = promote_dtypes("rsf2csf", T, Z, inexact=True)
    for x in (form, vectors):
        check_square("rsf2csf", x.aval)
    n = form.shape[-1]
    if vectors.shape != form.shape:
        raise ShapeError(f"rsf2csf: T has shape {show(form.shape)}, Z {show(vectors.shape)}", fix="give equal shapes")
    if not is_complex(form.dtype):
        form, vectors = (x.astype(complex_dtype(x.dtype)) for x in (form, vectors))
    if n < 2:
        return form, vectors
    return fori_loop(1, n, lambda i, pair: _triangular_at(n - i, *pair), (form, vectors))


def _triangular_at(m: Any, form: Array, vectors: Array) -> tuple[Array, Array]:
    """A Schur form and its vectors, turned so that the element left of the diagonal's element `m` is zero."""
    rows = dynamic_slice_in_dim(form, m - 1, 2, form.ndim - 2)
    block = dynamic_slice_in_dim(rows, m - 1, 2, form.ndim - 1)
    a, b, below, d = block[..., 0, 0], block[..., 0, 1], block[..., 1, 0], block[..., 1, 1]
    found = abs(below) > finfo(form.dtype).eps * (abs(a) + abs(d))
    half, below = (a - d) / 2, where(found, below, 0)
    first = where(found, half + sqrt(where(found, half * half + b * below, 1)), 1)
    size = sqrt((first * first.conj() + below * below.conj()).real)
    cosine, sine = first / size, below / size
    turn = stack([stack([cosine.conj(), sine.conj()], -1), stack([-sine, cosine], -1)], -2)
    form = dynamic_update_slice_in_dim(form, turn @ rows, m - 1, form.ndim - 2)
    columns = (dynamic_slice_in_dim(x, m - 1, 2, x.ndim - 1) @ dagger(turn) for x in (form, vectors))
    form, vectors = (
        dynamic_update_slice_in_dim(x, two, m - 1, x.ndim - 1) for x, two in zip((form, vectors), columns, strict=True)
    )
    return form.at[..., m, m - 1].set(0), vectors


def hessenberg(a: Any, *, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The Hessenberg form: a = Q @ H @ Q^H, with zeros in H below the first diagonal below.

    Args:
        a: an array of shape (..., n, n).
        calc_q: whether Q is wanted.
        overwrite_a: without effect, as check_finite.

    Returns:
        H, or H and Q, of the shape and dtype of a, integers as the default float. They have no derivatives.

    >>> nrx.scipy.linalg.hessenberg(jnp.array([[1.0, 2.0], [4.0, 3.0]]))
    Array([[1., 2.],
           [4., 3.]], dtype=float32)
    """
    packed, taus = linalg.hessenberg(as_inexact("hessenberg", a))
    form = triu(packed, -1)
    if not calc_q:
        return form
    n = packed.shape[-1]
    q = identity(packed, n)
    if n > 1:
        inner = linalg.householder_product(packed[..., 1:, :-1], taus)
        q = q.at[..., 1:, 1:].set(inner)
    return form, q


def polar(
    a: Any, side: str = "right", *, method: str = "qdwh", eps: float | None = None, max_iterations: int | None = None
) -> tuple[Array, Array]:
    """The polar decomposition: a = U @ P ("right") or P @ U ("left"), P hermitian and not negative.

    Args:
        a: an array of shape (..., m, n).
        side: on which side of U P stands.
        method: "svd" or "qdwh", for JAX's sake: singular values are used always.
        eps: without effect, as max_iterations.

    Returns:
        U (..., m, n) with orthonormal columns (or rows), and P, of the dtype of a, integers as the default float.

    Raises:
        ArgumentError: another side or method.

    >>> nrx.scipy.linalg.polar(jnp.array([[-2.0]]))[1]
    Array([[2.]], dtype=float32)
    """
    if side not in ("left", "right") or method not in ("svd", "qdwh"):
        raise ArgumentError(f'polar: side must be "left" or "right", method "svd" or "qdwh", got {side!r}, {method!r}')
    u, s, vh = linalg.svd(as_inexact("polar", a), full_matrices=False)
    p = (dagger(vh) * s[..., None, :]) @ vh if side == "right" else (u * s[..., None, :]) @ dagger(u)
    return u @ vh, p
