"""Solutions of linear equations, by a decomposition or at once, and determinants."""

from typing import Any

from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ShapeError
from nrx.core.shapes import show
from nrx.numpy import linalg as np_linalg
from nrx.numpy.linear_systems import solved
from nrx.numpy.promotion import promote_dtypes
from nrx.ops import linalg
from nrx.ops.linalg.common import permutation_matrix


def solve(
    a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False, debug: bool = False,
    check_finite: bool = True, assume_a: str = "gen",
) -> Array:  # fmt: skip
    """x such that a @ x = b.

    Args:
        a: an array of shape (..., n, n).
        b: a vector (n,) or an array of shape (..., n, k).
        lower: with assume_a="pos": whether the lower triangle is read.
        overwrite_a: without effect, as overwrite_b, debug and check_finite.
        assume_a: "gen", "sym", "her" (all the same here) or "pos": hermitian positive definite, which is quicker.

    Returns:
        An array of the shape of b. Singular matrices give NaN. It has the dtype in which both meet, integers as the
        default float.

    Raises:
        ArgumentError: another assume_a.

    >>> nrx.scipy.linalg.solve(jnp.array([[4.0, 0.0], [0.0, 16.0]]), jnp.array([2.0, 4.0]), assume_a="pos")
    Array([0.5 , 0.25], dtype=float32)
    """
    if assume_a not in ("gen", "sym", "her", "pos"):
        raise ArgumentError(f"solve: unknown assume_a {assume_a!r}", fix='use "gen", "sym", "her" or "pos"')
    if assume_a != "pos":
        return np_linalg.solve(a, b)
    x, y = promote_dtypes("solve", a, b, inexact=True)
    return cho_solve((np_linalg.cholesky(x, upper=not lower, symmetrize_input=False), lower), y)


def solve_triangular(
    a: Any, b: Any, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
    debug: Any = None, check_finite: bool = True,
) -> Array:  # fmt: skip
    """x such that op(a) @ x = b, for triangular matrices.

    Args:
        a: an array of shape (..., n, n), of which one triangle is read.
        b: a vector (n,) or an array of shape (..., n, k).
        trans: 0 or "N": op is nothing; 1 or "T": it transposes; 2 or "C": it conjugates, too.
        lower: whether the lower triangle is read.
        unit_diagonal: whether the diagonal is taken for ones.
        overwrite_b: without effect, as debug and check_finite.

    Returns:
        An array of the shape of b. It has the dtype in which both meet, integers as the default float.

    Raises:
        ArgumentError: another trans.

    >>> nrx.scipy.linalg.solve_triangular(jnp.array([[2.0, 0.0], [1.0, 1.0]]), jnp.array([2.0, 3.0]), lower=True)
    Array([1., 2.], dtype=float32)
    """
    x, y = promote_dtypes("solve_triangular", a, b, inexact=True)
    transpose, conjugate = _operation("solve_triangular", trans)

    def function(m: Array, right: Array) -> Array:
        return linalg.triangular_solve(
            m, right, left_side=True, lower=lower, transpose_a=transpose, conjugate_a=conjugate,
            unit_diagonal=unit_diagonal,
        )  # fmt: skip

    return solved("solve_triangular", function, x, y)


def _operation(name: str, trans: int | str) -> tuple[bool, bool]:
    """Whether to transpose, and whether to conjugate."""
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ArgumentError(f"{name}: unknown trans {trans!r}", fix='use 0 or "N", 1 or "T", 2 or "C"')
    return trans not in (0, "N"), trans in (2, "C")


def cho_solve(c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Array:
    """x such that a @ x = b, from the Cholesky factor of a.

    Args:
        c_and_lower: what `cho_factor` returns: the factor, and whether it is the lower one.
        b: a vector (n,) or an array of shape (..., n, k).
        overwrite_b: without effect, as check_finite.

    Returns:
        An array of the shape of b. It has the dtype in which they meet, integers as the default float.

    >>> nrx.scipy.linalg.cho_solve((jnp.array([[2.0]]), True), jnp.array([8.0]))
    Array([2.], dtype=float32)
    """
    c, lower = c_and_lower
    half = solve_triangular(c, b, trans=0 if lower else 2, lower=lower)
    return solve_triangular(c, half, trans=2 if lower else 0, lower=lower)


def lu_solve(
    lu_and_piv: tuple[Any, Any], b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Array:
    """x such that op(a) @ x = b, from the LU decomposition of a.

    Args:
        lu_and_piv: what `lu_factor` returns.
        b: a vector (n,) or an array of shape (..., n, k).
        trans: 0: op is nothing; 1: it transposes; 2: it conjugates, too.
        overwrite_b: without effect, as check_finite.

    Returns:
        An array of the shape of b. It has the dtype in which they meet, integers as the default float.

    Raises:
        ArgumentError: another trans.
        ShapeError: the pivots do not go with the factors.

    >>> factors = nrx.scipy.linalg.lu_factor(jnp.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> nrx.scipy.linalg.lu_solve(factors, jnp.array([4.0, 3.0]))
    Array([3., 2.], dtype=float32)
    """
    packed, pivots = lu_and_piv[0], asarray(lu_and_piv[1], "lu_solve: pivots")
    packed, y = promote_dtypes("lu_solve", packed, b, inexact=True)
    if pivots.shape != packed.shape[:-1]:
        raise ShapeError(f"lu_solve: pivots of shape {show(pivots.shape)} for factors of shape {show(packed.shape)}",
                         fix="pass what lu_factor returns")  # fmt: skip
    transpose, _ = _operation("lu_solve", trans)
    order = permutation_matrix(linalg.lu_pivots_to_permutation(pivots, packed.shape[-1]), packed.dtype)
    if not transpose:
        half = solve_triangular(packed, order @ y, lower=True, unit_diagonal=True)
        return solve_triangular(packed, half)
    half = solve_triangular(packed, y, trans)
    return order.mT @ solve_triangular(packed, half, trans, lower=True, unit_diagonal=True)


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The inverses of square matrices `a`, as `nrx.numpy.linalg.inv`.

    `overwrite_a` and `check_finite` are without effect.

    Integers become the default float, other dtypes stay.

    >>> nrx.scipy.linalg.inv(jnp.array([[2.0]]))
    Array([[0.5]], dtype=float32)
    """
    return np_linalg.inv(a)


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """The determinants of square matrices `a`, as `nrx.numpy.linalg.det`.

    `overwrite_a` and `check_finite` are without effect.

    They have the dtype of a, integers as the default float.

    >>> nrx.scipy.linalg.det(jnp.array([[2.0]]))
    Array(2., dtype=float32)
    """
    return np_linalg.det(a)


def solve_sylvester(A: Any, B: Any, C: Any, *, method: str = "schur", tol: float = 1e-8) -> Array:
    """X such that A @ X + X @ B = C.

    Args:
        A: an array of shape (..., m, m).
        B: an array of shape (..., n, n).
        C: an array of shape (..., m, n).
        method: "schur" or "eigen", for JAX's sake: Schur forms are used always.
        tol: without effect.

    Returns:
        An array of the shape of C; NaN where A and -B have a common eigenvalue. It has the dtype in which they meet,
        integers as the default float.

    Raises:
        ArgumentError: another method.

    >>> nrx.scipy.linalg.solve_sylvester(jnp.array([[1.0]]), jnp.array([[2.0]]), jnp.array([[6.0]]))
    Array([[2.]], dtype=float32)
    """
    if method not in ("schur", "eigen"):
        raise ArgumentError(f"solve_sylvester: unknown method {method!r}", fix='use "schur" or "eigen"')
    return linalg.sylvester(*promote_dtypes("solve_sylvester", A, B, C, inexact=True))
