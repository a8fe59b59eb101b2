"""Solutions of linear equations, determinants and what is made of decompositions, for `nrx.numpy.linalg`."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from nrx.core import dtypes
from nrx.core.array import Array
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import broadcast_shapes, show
from nrx.numpy.decompositions import svd
from nrx.numpy.products import matmul
from nrx.numpy.promotion import as_inexact, promote_dtypes
from nrx.ops import linalg
from nrx.ops.linalg.common import check_square, columns_scaled, dagger, identity, inverse_or_zero
from nrx.ops.structural import broadcast_to, convert_element_type


class SlogdetResult(NamedTuple):
    """The sign of a determinant, and the logarithm of its modulus."""

    sign: Array
    logabsdet: Array


def solve(a: Any, b: Any) -> Array:
    """x such that a @ x = b.

    A singular matrix gives NaN; NumPy raises an error.

    Args:
        a: an array of shape (..., n, n).
        b: a vector of shape (n,), or an array of shape (..., n, k); the axes before broadcast.

    Returns:
        An array of the shape of b, broadcast, in the dtype in which both meet, integers as the default float.

    Raises:
        ShapeError: the matrices are not square, or b does not go with them.

    >>> jnp.linalg.solve(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.array([1.0, 2.0]))
    Array([0.5, 0.5], dtype=float32)
    """
    x, y = promote_dtypes("solve", a, b, inexact=True)
    return solved("solve", linalg.solve, x, y)


def solved(name: str, function: Any, x: Array, y: Array) -> Array:
    """`function(x, y)` with the axes before the last two broadcast; a vector y counts as a column."""
    check_square(name, x.aval)
    if not y.ndim or y.shape[-1 if y.ndim == 1 else -2] != x.shape[-1]:
        raise ShapeError(
            f"{name}: matrices of shape {show(x.shape)} do not go with a right side of shape {show(y.shape)}",
            fix="the right side must be a vector or matrices with as many rows",
        )
    column = y[:, None] if y.ndim == 1 else y
    batch = broadcast_shapes(x.shape[:-2], column.shape[:-2])
    out = function(broadcast_to(x, (*batch, *x.shape[-2:])), broadcast_to(column, (*batch, *column.shape[-2:])))
    return out[..., 0] if y.ndim == 1 else out


def inv(a: Any) -> Array:
    """The inverses of square matrices. A singular matrix gives NaN; NumPy raises an error.

    Args:
        a: an array of shape (..., n, n).

    Returns:
        An array of the shape and dtype of a, integers as the default float.

    Raises:
        ShapeError: the matrices are not square.

    >>> jnp.linalg.inv(jnp.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    x = as_inexact("inv", a)
    check_square("inv", x.aval)
    return linalg.solve(x, identity(x, x.shape[-1]))


def det(a: Any) -> Array:
    """The determinants of square matrices.

    Args:
        a: an array of shape (..., n, n).

    Returns:
        An array of shape (...), of the dtype of a, integers as the default float. The first derivatives are right for
        singular matrices too.

    >>> jnp.linalg.det(jnp.array([[1.0, 2.0], [3.0, 5.0]]))
    Array(-1., dtype=float32)
    """
    return linalg.det(as_inexact("det", a))


def slogdet(a: Any, *, method: str | None = None) -> SlogdetResult:
    """The signs of determinants, and the logarithms of their moduli: neither over- nor underflows.

    Args:
        a: an array of shape (..., n, n).
        method: "lu", "qr" or None, for JAX's sake: LAPACK's LU decomposition is used always.

    Returns:
        The signs (0 of singular matrices; on the unit circle of complex ones) and the real logarithms.

    Raises:
        ArgumentError: another method.

    >>> jnp.linalg.slogdet(jnp.array([[-1.0, 0.0], [0.0, 1.0]])).sign
    Array(-1., dtype=float32)
    """
    if method not in (None, "lu", "qr"):
        raise ArgumentError(f"slogdet: unknown method {method!r}", fix='use None, "lu" or "qr"')
    return SlogdetResult(*linalg.slogdet(as_inexact("slogdet", a)))


def lstsq(
    a: Any, b: Any, rcond: float | None = None, *, numpy_resid: bool = False
) -> tuple[Array, Array, Array, Array]:
    """x for which the length of a @ x - b is least; of several the shortest.

    Args:
        a: a matrix (m, n).
        b: a vector (m,) or a matrix (m, k).
        rcond: singular values below rcond times the largest count as zero; by default eps max(m, n).
        numpy_resid: whether the residuals are empty, as NumPy's, unless a has full rank and m > n.

    Returns:
        x; the sums of squares of a @ x - b, one a column; the rank of a; its singular values. Floats all but the rank,
        an integer.

    Raises:
        ShapeError: a is no matrix, or b does not go with it.

    >>> jnp.linalg.lstsq(jnp.array([[1.0], [1.0]]), jnp.array([1.0, 3.0]))[0].round(3)
    Array([2.], dtype=float32)
    """
    x, y = promote_dtypes("lstsq", a, b, inexact=True)
    if x.ndim != 2 or y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise ShapeError(f"lstsq: a of shape {show(x.shape)} does not go with b of shape {show(y.shape)}")
    column = y[:, None] if y.ndim == 1 else y
    u, s, vh = svd(x, full_matrices=False)
    eps = float(dtypes.finfo(x.dtype).eps)
    rcond = eps * max(x.shape) if rcond is None else eps if rcond < 0 else rcond
    kept = s > rcond * s[:1] if s.size else s > 0
    inverses = inverse_or_zero(s * convert_element_type(kept, s.dtype))
    out = columns_scaled(dagger(vh), convert_element_type(inverses, x.dtype)) @ (dagger(u) @ column)
    rank = kept.sum().astype(int)
    difference = abs(column - x @ out)
    residuals = (difference * difference).sum(0)
    if numpy_resid and (int(rank) < x.shape[1] or x.shape[0] <= x.shape[1]):
        residuals = residuals[:0]
    return (out[:, 0] if y.ndim == 1 else out), residuals, rank, s


def matrix_rank(M: Any, rtol: Any = None, *, hermitian: bool = False, tol: Any = None) -> Array:
    """How many singular values are not near zero.

    Args:
        M: an array of shape (..., m, n); vectors have rank 0 or 1.
        rtol: what counts as zero, relative to the largest; by default max(m, n) eps.
        hermitian: whether the matrices are hermitian.
        tol: what counts as zero, absolutely (as in NumPy; JAX takes it for another name of rtol).

    Returns:
        An array of integers of shape (...).

    >>> jnp.linalg.matrix_rank(jnp.array([[1.0, 2.0], [2.0, 4.0]]))
    Array(1, dtype=int32)
    """
    x = as_inexact("matrix_rank", M)
    if x.ndim < 2:
        return (x != 0).any().astype(int)
    s = svd(x, compute_uv=False, hermitian=hermitian)
    if not s.size:
        return s.sum(-1).astype(int)
    if tol is not None:
        limit = as_inexact("matrix_rank", tol)[..., None]
    else:
        rtol = max(x.shape[-2:]) * float(dtypes.finfo(x.dtype).eps) if rtol is None else rtol
        limit = s[..., :1] * as_inexact("matrix_rank", rtol).astype(s.dtype)[..., None]
    return (s > limit).sum(-1).astype(int)


def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Array:
    """x such that tensordot(a, x, x.ndim) = b.

    Args:
        a: an array; the product of its first b.ndim lengths is that of the others.
        b: an array of the shape of these first axes of a.
        axes: axes of a that are moved to the end first.

    Returns:
        An array of the shape of the other axes of a, in the dtype in which both meet, integers as the default float.

    Raises:
        ShapeError: a is not square in this sense.

    >>> jnp.linalg.tensorsolve(2 * jnp.eye(4).reshape(2, 2, 2, 2), jnp.ones((2, 2)))
    Array([[0.5, 0.5],
           [0.5, 0.5]], dtype=float32)
    """
    x, y = promote_dtypes("tensorsolve", a, b, inexact=True)
    if axes is not None:
        moved = [axis % x.ndim for axis in axes]
        x = x.transpose([axis for axis in range(x.ndim) if axis not in moved] + moved)
    shape = x.shape[y.ndim :]
    if math.prod(shape) != y.size or x.size != y.size**2:
        raise ShapeError(f"tensorsolve: a of shape {show(x.shape)} is not square for b of shape {show(y.shape)}")
    return solve(x.reshape(y.size, y.size), y.reshape(-1)).reshape(shape)


def tensorinv(a: Any, ind: int = 2) -> Array:
    """The inverse for tensordot(…, …, ind): the first `ind` axes of a are the rows, the others the columns.

    Args:
        a: an array.
        ind: how many axes, at least 1.

    Returns:
        An array with both groups of axes exchanged, of the dtype of a, integers as the default float.

    Raises:
        ArgumentError: ind is not positive.
        ShapeError: a is not square in this sense.

    >>> jnp.linalg.tensorinv(2 * jnp.eye(4).reshape(2, 2, 4), ind=2).shape
    (4, 2, 2)
    """
    x = as_inexact("tensorinv", a)
    if ind <= 0:
        raise ArgumentError(f"tensorinv: ind must be positive, got {ind}")
    rows, columns = x.shape[:ind], x.shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise ShapeError(f"tensorinv: shape {show(x.shape)} is not square with ind={ind}")
    n = math.prod(rows)
    return inv(x.reshape(n, n)).reshape(*columns, *rows)


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Array:
    """The product of several matrices, in the order of fewest multiplications; the first and last may be vectors.

    Args:
        arrays: at least two arrays.
        precision: as of matmul.

    Returns:
        The product, in the dtype in which they meet.

    Raises:
        ArgumentError: fewer than two arrays.
        ShapeError: one of them is no matrix, or they do not fit.

    >>> jnp.linalg.multi_dot([jnp.ones((2, 3)), jnp.ones((3, 4)), jnp.ones(4)])
    Array([12., 12.], dtype=float32)
    """
    xs = promote_dtypes("multi_dot", *arrays)
    if len(xs) < 2:
        raise ArgumentError(f"multi_dot needs at least two arrays, got {len(xs)}")
    row, column = xs[0].ndim == 1, xs[-1].ndim == 1
    xs = [xs[0][None] if row else xs[0], *xs[1:-1], xs[-1][:, None] if column else xs[-1]]
    if any(x.ndim != 2 for x in xs) or any(x.shape[1] != y.shape[0] for x, y in pairwise(xs)):
        raise ShapeError(f"multi_dot: shapes {', '.join(show(x.shape) for x in xs)} do not go together")
    out = _multiplied(xs, _best_splits([x.shape[0] for x in xs] + [xs[-1].shape[1]]), 0, len(xs) - 1, precision)
    out = out[0] if row else out
    return out[..., 0] if column else out


def _best_splits(lengths: list[int]) -> dict[tuple[int, int], int]:
    """Behind which matrix to cut the products of matrices i to j."""
    count = len(lengths) - 1
    cost = {(i, i): 0 for i in range(count)}
    best = {}
    for width in range(1, count):
        for i in range(count - width):
            j = i + width
            steps = {k: cost[i, k] + cost[k + 1, j] + lengths[i] * lengths[k + 1] * lengths[j + 1] for k in range(i, j)}
            best[i, j] = min(steps, key=steps.__getitem__)
            cost[i, j] = steps[best[i, j]]
    return best


def _multiplied(xs: list[Array], best: dict[tuple[int, int], int], i: int, j: int, precision: Any) -> Array:
    if i == j:
        return xs[i]
    k = best[i, j]
    left, right = _multiplied(xs, best, i, k, precision), _multiplied(xs, best, k + 1, j, precision)
    return matmul(left, right, precision=precision)
