"""Linear algebra without promotion of dtypes and shapes, under the names of `jax.lax.linalg`.

Matrices lie in the last two axes, the axes before them are batches. Arrays are floating or complex. What fails (a
matrix that is singular or not positive definite) gives NaN.

>>> nrx.lax.linalg.cholesky(jnp.array([[4.0, 2.0], [2.0, 5.0]]))
Array([[2., 0.],
       [1., 2.]], dtype=float32)
"""

from typing import Any

from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import show
from nrx.ops import linalg
from nrx.ops.arithmetic import add, mul, real
from nrx.ops.common import as_arrays
from nrx.ops.elementary import rsqrt
from nrx.ops.linalg import (
    cholesky,
    hessenberg,
    householder_product,
    lu,
    lu_pivots_to_permutation,
    triangular_solve,
)  # fmt: skip
from nrx.ops.linalg.common import (
    columns_scaled,
    conjugated,
    dagger,
    identity,
    permutation_matrix,
    product,
    transposed,
)  # fmt: skip
from nrx.ops.slicing import pad, slice_in_dim
from nrx.ops.structural import convert_element_type, expand_dims, full, reduce_sum

__all__ = [
    "cholesky", "cholesky_update", "eig", "eigh", "hessenberg", "householder_product", "lu", "lu_pivots_to_permutation",
    "ormqr", "qr", "schur", "svd", "symmetric_product", "triangular_solve", "tridiagonal_solve",
]  # fmt: skip


def cholesky_update(r_matrix: Any, w_vector: Any) -> Array:
    """The upper triangular factor of R^T @ R + w w^T: that of one matrix, a vector added.

    Args:
        r_matrix: an upper triangular real matrix (n, n).
        w_vector: a vector (n,) of the same dtype.

    Returns:
        An upper triangular matrix with a positive diagonal.

    Raises:
        ShapeError: the shapes do not go together.

    >>> nrx.lax.linalg.cholesky_update(jnp.array([[3.0]]), jnp.array([4.0]))
    Array([[5.]], dtype=float32)
    """
    r, w = as_arrays("cholesky_update", r_matrix, w_vector)
    if w.ndim != 1 or r.shape != (w.shape[0],) * 2:
        raise ShapeError(f"cholesky_update: shapes {show(r.shape)} and {show(w.shape)}", fix="give (n, n) and (n,)")
    row = expand_dims(w, [0])
    return dagger(cholesky(add(product(transposed(r), r), product(transposed(row), row))))


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = True,
    implementation: Any = None,
    use_magma: Any = None,
) -> list[Array]:
    """The eigenvalues of square matrices, and as columns of length 1 their eigenvectors; all complex.

    Args:
        x: an array of shape (..., n, n).
        compute_left_eigenvectors: whether the eigenvectors of the conjugate transpose are given, too.
        compute_right_eigenvectors: whether the eigenvectors are given.
        enable_eigvec_derivs: without effect: eigenvectors have derivatives here.
        implementation: without effect.
        use_magma: without effect.

    Returns:
        A list: eigenvalues (..., n), left vectors, right vectors (..., n, n), as far as they are wanted. Left vectors
        are made of the right ones: they are NaN or inexact for matrices that have (nearly) too few.

    >>> nrx.lax.linalg.eig(jnp.array([[2.0]]), compute_left_eigenvectors=False)[0]
    Array([2.+0.j], dtype=complex64)
    """
    if not (compute_left_eigenvectors or compute_right_eigenvectors):
        return [linalg.eigvals(x)]
    values, right = linalg.eig(x)
    out = [values]
    if compute_left_eigenvectors:
        dual = dagger(linalg.solve(right, identity(right, right.shape[-1])))
        squares = reduce_sum(real(mul(dual, conjugated(dual))), (dual.ndim - 2,))
        out.append(columns_scaled(dual, convert_element_type(rsqrt(squares), dual.dtype)))
    return out + [right] * bool(compute_right_eigenvectors)


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: Any = None,
) -> tuple[Array, Array]:
    """The eigenvectors, as columns, and the ascending eigenvalues of hermitian matrices.

    Args:
        x: an array of shape (..., n, n).
        lower: which triangle is read, if not symmetrize_input.
        symmetrize_input: whether the mean of x and its conjugate transpose is taken.
        sort_eigenvalues: without effect: they are sorted.
        subset_by_index: (start, end): only these.
        implementation: without effect.

    Returns:
        Vectors (..., n, n) of the dtype of x and real values (..., n).

    >>> nrx.lax.linalg.eigh(jnp.array([[2.0, 1.0], [1.0, 2.0]]))[1]
    Array([1., 3.], dtype=float32)
    """
    vectors, values = linalg.eigh(x, lower=lower, symmetrize_input=symmetrize_input)
    if subset_by_index is None:
        return vectors, values
    return slice_in_dim(vectors, *subset_by_index, axis=-1), slice_in_dim(values, *subset_by_index, axis=-1)


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Array:
    """Q @ c or c @ Q, with the Q of reflections as `householder_product` takes them, square.

    Args:
        a: reflections (..., m, k).
        taus: their factors (..., k).
        c: matrices of a dimension m beside Q.
        left: whether Q stands on the left.
        transpose: whether Q is conjugated and transposed.

    Returns:
        An array of the shape and dtype of c.

    >>> nrx.lax.linalg.ormqr(jnp.zeros((2, 1)), jnp.zeros(1), jnp.eye(2))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    a, taus, c = as_arrays("ormqr", a, taus, c)
    rows, columns = a.shape[-2:]
    if rows > columns:
        widths = [(0, 0, 0)] * (a.ndim - 1) + [(0, rows - columns, 0)]
        a = pad(a, full((), 0, a.dtype), widths)
    q = householder_product(a, taus)
    q = dagger(q) if transpose else q
    return product(q, c) if left else product(c, q)


def qr(x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: Any = None) -> tuple[Array, ...]:
    """Q with orthonormal columns and upper triangular R with Q @ R = x.

    Args:
        x: an array of shape (..., m, n).
        pivoting: whether the columns of x are reordered so that the diagonal of R descends.
        full_matrices: whether Q is square.
        use_magma: without effect.

    Returns:
        Q and R; with pivoting also the order p of the columns, int32: Q @ R = x[:, p]. Q and R have the dtype of x.

    >>> nrx.lax.linalg.qr(jnp.array([[1.0, 0.0], [0.0, 2.0]]), pivoting=True)[2]
    Array([1, 0], dtype=int32)
    """
    if not pivoting:
        return linalg.qr(x, full_matrices=full_matrices)
    (x,) = as_arrays("qr", x)
    order = linalg.column_order(x)
    ordered = product(x, transposed(permutation_matrix(order, x.dtype)))
    return *linalg.qr(ordered, full_matrices=full_matrices), order


def schur(
    x: Any, *, compute_schur_vectors: bool = True, sort_eig_vals: bool = False, select_callable: Any = None
) -> tuple[Array, ...]:
    """(T, Q) with Q @ T @ Q^H = x and Q unitary; T is triangular, with blocks of 2 x 2 where x is real.

    Args:
        x: an array of shape (..., n, n).
        compute_schur_vectors: whether Q is wanted.
        sort_eig_vals: not supported.
        select_callable: not supported.

    Returns:
        T and Q, or T alone in a tuple. Both have the shape and dtype of x.

    Raises:
        ArgumentError: eigenvalues are to be sorted.

    >>> nrx.lax.linalg.schur(jnp.array([[1.0, 2.0], [0.0, 3.0]]))[0]
    Array([[1., 2.],
           [0., 3.]], dtype=float32)
    """
    if sort_eig_vals or select_callable is not None:
        raise ArgumentError("schur: the eigenvalues cannot be sorted here")
    t, q = linalg.schur(x)
    return (t, q) if compute_schur_vectors else (t,)


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: Any = None,
) -> Any:
    """(u, s, vh) with (u * s) @ vh = x and s descending; only s without `compute_uv`.

    Args:
        x: an array of shape (..., m, n).
        full_matrices: whether u and vh are square.
        compute_uv: whether u and vh are wanted.
        subset_by_index: (start, end): only these; needs full_matrices=False.
        algorithm: without effect.

    Returns:
        u, s and vh, or s. u and vh have the dtype of x, s is real.

    Raises:
        ArgumentError: subset_by_index with full_matrices.

    >>> nrx.lax.linalg.svd(jnp.array([[0.0, 2.0], [3.0, 0.0]]), compute_uv=False)
    Array([3., 2.], dtype=float32)
    """
    out = linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv)
    if subset_by_index is None:
        return out
    if not compute_uv:
        return slice_in_dim(out, *subset_by_index, axis=-1)
    if full_matrices:
        raise ArgumentError("svd: subset_by_index selects no columns of square matrices", fix="use full_matrices=False")
    return tuple(slice_in_dim(part, *subset_by_index, axis=i) for part, i in zip(out, (-1, -1, -2), strict=True))


def symmetric_product(
    a_matrix: Any, c_matrix: Any, *, alpha: float = 1.0, beta: float = 0.0, symmetrize_output: bool = False
) -> Array:
    """alpha * a @ a^T + beta * c, for symmetric c.

    Args:
        a_matrix: an array of shape (..., n, k).
        c_matrix: an array of shape (..., n, n).
        alpha: a number.
        beta: a number.
        symmetrize_output: without effect: both triangles are computed.

    Returns:
        An array of the shape and dtype of c_matrix.

    >>> nrx.lax.linalg.symmetric_product(jnp.array([[2.0]]), jnp.array([[1.0]]), beta=3.0)
    Array([[7.]], dtype=float32)
    """
    a, c = as_arrays("symmetric_product", a_matrix, c_matrix)
    return add(mul(product(a, transposed(a)), alpha), mul(c, beta))


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Array:
    """x such that T @ x = b, for the tridiagonal matrix with the diagonals dl (below), d and du (above).

    Args:
        dl: an array of shape (..., n): dl[i] stands left of d[i]; dl[0] is not used.
        d: an array of shape (..., n).
        du: an array of shape (..., n): du[i] stands right of d[i]; du[n - 1] is not used.
        b: an array of shape (..., n, k).
        perturb_singular: not supported.

    Returns:
        An array of the shape and dtype of b.

    Raises:
        ArgumentError: perturb_singular.

    >>> nrx.lax.linalg.tridiagonal_solve(jnp.zeros(2), jnp.array([1.0, 2.0]), jnp.zeros(2), jnp.ones((2, 1)))
    Array([[1. ],
           [0.5]], dtype=float32)
    """
    if perturb_singular:
        raise ArgumentError("tridiagonal_solve: singular matrices are not perturbed here")
    return linalg.tridiagonal_solve(dl, d, du, b)
