"""Decompositions of matrices, for `nrx.numpy.linalg`. All have derivatives where these exist."""

from typing import Any, NamedTuple

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError
from nrx.numpy.manipulation import matrix_transpose
from nrx.numpy.promotion import as_inexact
from nrx.ops import linalg
from nrx.ops.arithmetic import abs as absolute
from nrx.ops.arithmetic import mul, sign
from nrx.ops.linalg.common import columns_scaled, dagger, inverse_or_zero, permutation_matrix, rows_scaled
from nrx.ops.sorting import sort_key_val
from nrx.ops.structural import broadcasted_iota, convert_element_type, rev


class EigResult(NamedTuple):
    """Eigenvalues and eigenvectors."""

    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    """Ascending eigenvalues and eigenvectors of hermitian matrices."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """Q and R."""

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """U, S and the conjugate transpose of V."""

    U: Array
    S: Array
    Vh: Array


def cholesky(a: Any, *, upper: bool = False, symmetrize_input: bool = True) -> Array:
    """The Cholesky factor L of hermitian positive definite matrices: L @ L^H = a.

    A matrix that is not positive definite gives NaN; NumPy raises an error.

    Args:
        a: an array of shape (..., n, n).
        upper: whether to return the upper triangular L^H.
        symmetrize_input: whether the mean of a and its conjugate transpose is taken; else only the lower (or upper)
            triangle is read.

    Returns:
        An array of the shape and dtype of a, integers as the default float, with zeros in the other triangle.

    Raises:
        ShapeError: the matrices are not square.

    >>> jnp.linalg.cholesky(jnp.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    x = as_inexact("cholesky", a)
    if upper and not symmetrize_input:
        x = dagger(x)
    out = linalg.cholesky(x, symmetrize_input=symmetrize_input)
    return dagger(out) if upper else out


def qr(a: Any, mode: str = "reduced") -> Any:
    """The QR decomposition: Q with orthonormal columns, upper triangular R, Q @ R = a.

    Args:
        a: an array of shape (..., m, n); k is the smaller of m and n.
        mode: "reduced", "complete", "r" (only R) or "raw" (as LAPACK packs it).

    Returns:
        Q of shape (..., m, k) and R of shape (..., k, n); "complete": (..., m, m) and (..., m, n). Both have the dtype
        of a, integers as the default float.

    Raises:
        ArgumentError: another mode.

    >>> q, r = jnp.linalg.qr(jnp.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> jnp.allclose(q @ r, jnp.array([[3.0, 1.0], [4.0, 2.0]]), atol=1e-5)
    Array(True, dtype=bool)
    """
    x = as_inexact("qr", a)
    if mode == "raw":
        packed, taus = linalg.geqrf(x)
        return QRResult(matrix_transpose(packed), taus)
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(f"qr: unknown mode {mode!r}", fix='use "reduced", "complete", "r" or "raw"')
    q, r = linalg.qr(x, full_matrices=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """The singular value decomposition: (U * S) @ Vh = a, S descending.

    Args:
        a: an array of shape (..., m, n); k is the smaller of m and n.
        full_matrices: whether U and Vh are square (no derivatives unless m = n).
        compute_uv: whether U and Vh are wanted.
        hermitian: whether the matrices are hermitian, which is quicker.
        subset_by_index: (start, end): only these singular values and their vectors; needs full_matrices=False.

    Returns:
        U (..., m, k or m), S (..., k) and Vh (..., k or n, n); only S without compute_uv. The signs of the vectors are
        free, and with them what their derivatives are: only what does not vary with them has a meaning. U and Vh have
        the dtype of a, integers as the default float, and S is real.

    Raises:
        ArgumentError: subset_by_index with full_matrices and vectors.

    >>> u, s, vh = jnp.linalg.svd(jnp.array([[0.0, 2.0], [3.0, 0.0]]))
    >>> s
    Array([3., 2.], dtype=float32)
    """
    x = as_inexact("svd", a)
    if subset_by_index is not None and full_matrices and compute_uv:
        raise ArgumentError("svd: subset_by_index selects no columns of square matrices", fix="use full_matrices=False")
    out = (
        _svd_of_hermitian(x, compute_uv)
        if hermitian
        else linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv)
    )
    chosen = slice(None) if subset_by_index is None else slice(*subset_by_index)
    if not compute_uv:
        return out[..., chosen]
    u, s, vh = out
    return (
        SVDResult(u, s, vh)
        if subset_by_index is None
        else SVDResult(u[..., chosen], s[..., chosen], vh[..., chosen, :])
    )


def _svd_of_hermitian(x: Array, compute_uv: bool) -> Any:
    if not compute_uv:
        sizes = absolute(linalg.eigvalsh(x))
        return rev(sort_key_val(sizes, sizes)[0], (sizes.ndim - 1,))
    vectors, values = linalg.eigh(x)
    sizes = absolute(values)
    places = broadcasted_iota("int32", values.shape, values.ndim - 1)
    _, order = sort_key_val(-sizes, places)
    chosen = permutation_matrix(order, vectors.dtype)
    v = vectors @ matrix_transpose(chosen)
    signed = (convert_element_type(chosen, values.dtype) @ values[..., None])[..., 0]
    signs = convert_element_type(sign(signed), v.dtype)
    return v, absolute(signed), rows_scaled(signs, dagger(v))


def svdvals(x: Any, /) -> Array:
    """The singular values, descending.

    Args:
        x: an array of shape (..., m, n).

    Returns:
        A real array of shape (..., min(m, n)), in the precision of a.

    >>> jnp.linalg.svdvals(jnp.array([[0.0, 2.0], [3.0, 0.0]]))
    Array([3., 2.], dtype=float32)
    """
    return linalg.svd(as_inexact("svdvals", x), compute_uv=False)


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:
    """The eigenvalues, ascending, and eigenvectors of hermitian matrices.

    Args:
        a: an array of shape (..., n, n).
        UPLO: "L" or "U": the triangle that is read, if not symmetrize_input.
        symmetrize_input: whether the mean of a and its conjugate transpose is taken.

    Returns:
        Real eigenvalues (..., n) and eigenvectors as columns (..., n, n) of the dtype of a, integers as the default
        float. Signs and phases of the vectors are free.

    Raises:
        ArgumentError: another UPLO.

    >>> jnp.linalg.eigh(jnp.array([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    Array([1., 3.], dtype=float32)
    """
    lower = _is_lower("eigh", UPLO)
    vectors, values = linalg.eigh(as_inexact("eigh", a), lower=lower, symmetrize_input=symmetrize_input)
    return EighResult(values, vectors)


def eigvalsh(a: Any, UPLO: str | None = "L", *, symmetrize_input: bool = True) -> Array:
    """The ascending eigenvalues of hermitian matrices; arguments as of `eigh`.

    Args:
        a: an array of shape (..., n, n).
        UPLO: "L" or "U": the triangle that is read, if not symmetrize_input.
        symmetrize_input: whether the mean of a and its conjugate transpose is taken.

    Returns:
        A real array of shape (..., n), in the precision of a.

    >>> jnp.linalg.eigvalsh(jnp.array([[2.0, 1.0], [1.0, 2.0]]))
    Array([1., 3.], dtype=float32)
    """
    lower = _is_lower("eigvalsh", UPLO)
    return linalg.eigvalsh(as_inexact("eigvalsh", a), lower=lower, symmetrize_input=symmetrize_input)


def _is_lower(name: str, UPLO: str | None) -> bool:
    if UPLO not in (None, "L", "U"):
        raise ArgumentError(f'{name}: UPLO must be "L" or "U", got {UPLO!r}')
    return UPLO != "U"


def eig(a: Any) -> EigResult:
    """The eigenvalues, in no particular order, and eigenvectors of square matrices.

    Args:
        a: an array of shape (..., n, n).

    Returns:
        Complex eigenvalues (..., n) and eigenvectors as columns of length 1 (..., n, n), in the precision of a, also
        for real matrices. The phases of the vectors are free; derivatives are those for which the length stays 1.
        Unlike NumPy's they are always complex.

    >>> jnp.linalg.eig(jnp.array([[0.0, -1.0], [1.0, 0.0]])).eigenvalues
    Array([0.+1.j, 0.-1.j], dtype=complex64)
    """
    return EigResult(*linalg.eig(as_inexact("eig", a)))


def eigvals(a: Any) -> Array:
    """The eigenvalues of square matrices, in no particular order.

    Args:
        a: an array of shape (..., n, n).

    Returns:
        A complex array of shape (..., n).

    >>> jnp.linalg.eigvals(jnp.array([[1.0, 2.0], [0.0, 3.0]]))
    Array([1.+0.j, 3.+0.j], dtype=complex64)
    """
    return linalg.eigvals(as_inexact("eigvals", a))


def pinv(a: Any, rtol: Any = None, hermitian: bool = False, *, rcond: Any = None) -> Array:
    """The pseudo-inverse of matrices, by their singular values.

    Args:
        a: an array of shape (..., m, n).
        rtol: singular values below rtol times the largest count as zero; an array goes with the axes before the last
            two. By default 10 max(m, n) eps, as in JAX.
        hermitian: whether the matrices are hermitian.
        rcond: another name of rtol.

    Returns:
        An array of shape (..., n, m), of the dtype of a, integers as the default float.

    >>> jnp.linalg.pinv(jnp.array([[2.0, 0.0], [0.0, 0.0]]))
    Array([[0.5, 0. ],
           [0. , 0. ]], dtype=float32)
    """
    x = as_inexact("pinv", a)
    rtol = rcond if rtol is None else rtol
    if not x.size:
        return matrix_transpose(x)
    u, s, vh = svd(x, full_matrices=False, hermitian=hermitian)
    if rtol is None:
        rtol = 10.0 * max(x.shape[-2:]) * float(dtypes.finfo(x.dtype).eps)
    cutoff = as_inexact("pinv", rtol).astype(s.dtype)[..., None] * s[..., :1]
    kept = s > cutoff
    inverses = inverse_or_zero(mul(s, convert_element_type(kept, s.dtype)))
    return dagger(columns_scaled(u, convert_element_type(inverses, u.dtype)) @ vh)
