"""Iterative solvers of linear equations, under the names of `scipy.sparse.linalg`, as in `jax.scipy.sparse.linalg`.

>>> from nrx.scipy.sparse.linalg import cg
>>> x, info = cg(lambda x: 2 * x, jnp.array([2.0, 4.0]))
>>> x, int(info)
(Array([1., 2.], dtype=float32), 0)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import nrx.numpy as jnp
from nrx import lax
from nrx.control.bodies import check_same_tree
from nrx.core import dtypes
from nrx.core.array import Array, asarray
from nrx.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nrx.core.pytree import tree_leaves, tree_map, tree_unflatten
from nrx.core.shapes import show
from nrx.flatten_util import ravel_pytree
from nrx.numpy.promotion import promote_dtypes
from nrx.scipy.linalg import solve_triangular
from nrx.transforms.flatten import flatten_arrays, leaf_paths

__all__ = ["bicgstab", "cg", "gmres"]


def cg(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, maxiter: int | None = None, M: Any = None
) -> tuple[Any, Array]:
    """x such that A x = b for a hermitian, positive definite A, by conjugate gradients.

    Args:
        A: a function from pytrees like b to pytrees like b, or a square matrix for a vector b.
        b: a pytree of arrays.
        x0: where to begin, a pytree like b; zeros by default.
        tol, atol: stop where norm(b - A x) <= max(tol * norm(b), atol).
        maxiter: stop after so many iterations; by default after 10 times the number of unknowns.
        M: an approximate inverse of A, given like A; it makes the iterations fewer.

    Returns:
        `(x, info)`: info is 0, or where the tolerance was not reached the number of iterations. (JAX gives None.)
        Derivatives of any order exist in b and in A, or what it closes over: each is the solution of another equation
        by the same method, as good as its tolerance. x has the shapes of b, and its dtypes, integers as the default
        float.

    Raises:
        TreeError, ShapeError, DTypeError: x0, or what A gives, is not like b.
        ArgumentTypeError: A or M is neither a function nor a matrix.

    >>> A = jnp.array([[4.0, 1.0], [1.0, 3.0]])
    >>> x, info = nrx.scipy.sparse.linalg.cg(A, jnp.array([1.0, 2.0]))
    >>> (A @ x).round(4)
    Array([1., 2.], dtype=float32)
    """
    problem = _Problem("cg", A, b, x0, tol, atol, maxiter, M)
    is_real = not any(dtypes.is_complex(x.dtype) for x in tree_leaves(problem.b))
    return problem.solution(_cg, symmetric=is_real)


def bicgstab(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, maxiter: int | None = None, M: Any = None
) -> tuple[Any, Array]:
    """x such that A x = b for any regular A, by stabilized biconjugate gradients.

    Args:
        A, b, x0, tol, atol, maxiter, M: as for `cg`; A need not be symmetric.

    Returns:
        `(x, info)`, as `cg`; info is -10 or -11 where the iteration broke down. x has the shapes of b, and its dtypes,
        integers as the default float.

    Raises:
        TreeError, ShapeError, DTypeError, ArgumentTypeError: as `cg`.

    >>> A = jnp.array([[4.0, 1.0], [0.0, 3.0]])
    >>> x, info = nrx.scipy.sparse.linalg.bicgstab(A, jnp.array([1.0, 2.0]))
    >>> (A @ x).round(4)
    Array([1., 2.], dtype=float32)
    """
    return _Problem("bicgstab", A, b, x0, tol, atol, maxiter, M).solution(_bicgstab)


def gmres(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, restart: int = 20,
    maxiter: int | None = None, M: Any = None, solve_method: str = "batched",
) -> tuple[Any, Array]:  # fmt: skip
    """x such that A x = b for any regular A, by generalized minimal residuals.

    Args:
        A, b, x0, tol, atol, M: as for `cg`; A need not be symmetric. The tolerance is of b - A x, with M or without.
        restart: how many vectors to build up before beginning anew from what has been reached.
        maxiter: how often to begin anew; by default 10 times the number of unknowns.
        solve_method: "batched" or "incremental", for JAX's sake: the decomposition always grows with the vectors.

    Returns:
        `(x, info)`, as `cg`; info counts the beginnings. x has the shapes of b, and its dtypes, integers as the
        default float.

    Raises:
        ArgumentError: another solve_method, or restart is not positive.
        TreeError, ShapeError, DTypeError, ArgumentTypeError: as `cg`.

    >>> A = jnp.array([[4.0, 1.0], [0.0, 3.0]])
    >>> x, info = nrx.scipy.sparse.linalg.gmres(A, jnp.array([1.0, 2.0]))
    >>> (A @ x).round(4)
    Array([1., 2.], dtype=float32)
    """
    if solve_method not in ("batched", "incremental"):
        raise ArgumentError(f"gmres: unknown solve_method {solve_method!r}", fix='use "batched" or "incremental"')
    if restart < 1:
        raise ArgumentError(f"gmres: restart must be positive, got {restart}")
    return _Problem("gmres", A, b, x0, tol, atol, maxiter, M).solution(_gmres, restart=restart)


class _Task(NamedTuple):
    """An equation between vectors.

    Fields:
        matvec, precondition: functions of a vector, A and M.
        b, x0: vectors of the same dtype.
        limit: the norm that the residual must not exceed.
        maxiter: how many iterations there may be.
    """

    matvec: Callable
    precondition: Callable
    b: Array
    x0: Array
    limit: Array
    maxiter: Any

    def residual(self, x: Array) -> Array:
        return self.b - self.matvec(x)

    def info(self, residual: Array, iterations: Array) -> Array:
        norm = _norm(residual)
        return jnp.where((norm <= self.limit) & jnp.isfinite(norm), 0, jnp.maximum(iterations, 1))


class _Problem:
    """The arguments of a solver."""

    def __init__(self, name: str, A: Any, b: Any, x0: Any, tol: Any, atol: Any, maxiter: Any, M: Any):
        self.name, self.tol, self.atol = name, tol, atol
        self.b, self.x0 = _vectors(name, A, b, x0)
        size = sum(x.size for x in tree_leaves(self.b))
        self.maxiter = 10 * size if maxiter is None else maxiter
        self.matvec = _operator(name, "A", A)
        self.inverse = _operator(name, "M", M)
        self.transposed_inverse = self.inverse if M is None or callable(M) else _operator(name, "M", M.T)

    def solution(self, method: Callable, symmetric: bool = False, **settings: Any) -> tuple[Any, Array]:
        """What a method for vectors finds, with its derivatives."""
        zeros = tree_map(jnp.zeros_like, self.b)

        def solver(x0: Any, inverse: Callable) -> Callable:
            def solve(matvec: Callable, b: Any) -> tuple[Any, Array]:
                task, scale, unravel = self._task(matvec, inverse, b, x0)
                x, info = method(task, **settings)
                return unravel(x * scale), info

            return solve

        there, back = solver(self.x0, self.inverse), solver(zeros, self.transposed_inverse)
        return lax.custom_linear_solve(self.matvec, self.b, there, back, symmetric=symmetric, has_aux=True)

    def _task(self, matvec: Callable, inverse: Callable, b: Any, x0: Any) -> tuple[_Task, Array, Callable]:
        """The equation divided by a scale, so that squares neither overflow nor vanish; x is to be multiplied by it."""
        right, unravel = ravel_pytree(b)
        start = ravel_pytree(x0)[0].astype(right.dtype)
        start = jnp.where((right == 0).all(), 0, start)
        scale = _power_of_two(jnp.abs(jnp.concatenate([right, start])).max(initial=0))
        right, start = right / scale, start / scale
        limit = jnp.maximum(self.tol * _norm(right), self.atol / scale)

        def flat(function: Callable) -> Callable:
            return lambda v: ravel_pytree(function(unravel(v)))[0].astype(right.dtype)

        return _Task(flat(matvec), flat(inverse), right, start, limit, self.maxiter), scale, unravel


def _vectors(name: str, A: Any, b: Any, x0: Any) -> tuple[Any, Any]:
    """b and x0 as trees of the same floating or complex dtypes, which a matrix A has a part in."""
    leaves, tree = flatten_arrays(b, f"{name}: b")
    starts = leaves
    if x0 is not None:
        starts, start_tree = flatten_arrays(x0, f"{name}: x0")
        check_same_tree(tree, start_tree, f"{name}: x0 has another structure than b")
    for path, x, start in zip(leaf_paths(tree), leaves, starts, strict=True):
        if x.shape != start.shape:
            raise ShapeError(f"{name}: x0{path} has shape {show(start.shape)}, b{path} has {show(x.shape)}")
    extra = [] if callable(A) or not hasattr(A, "dtype") else [jnp.zeros((), A.dtype)]
    pairs = [promote_dtypes(name, x, s, *extra, inexact=True)[:2] for x, s in zip(leaves, starts, strict=True)]
    starts = [jnp.zeros_like(x) if x0 is None else start for x, start in pairs]
    return tree_unflatten(tree, [x for x, _ in pairs]), tree_unflatten(tree, starts)


def _operator(name: str, letter: str, given: Any) -> Callable:
    """A linear operator as a function."""
    if given is None:
        return lambda x: x
    if callable(given):
        return given
    if not isinstance(given, Array | np.ndarray) and not hasattr(given, "__matmul__"):
        raise ArgumentTypeError(f"{name}: {letter} must be a function or a square matrix, got {type(given).__name__}")
    matrix = asarray(given) if isinstance(given, np.ndarray) else given
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"{name}: {letter} must be a square matrix, got shape {show(matrix.shape)}")
    return lambda x: matrix @ x


def _power_of_two(x: Array) -> Array:
    """One next to `x`, a number not less than 0; 1 for 0 and for what is not finite."""
    half, info = x / 2, jnp.finfo(x.dtype)
    is_regular = (half >= info.tiny) & (half < np.inf)
    return jnp.where(is_regular, lax.reduce_precision(half, info.nexp, 0), 1)


def _norm(x: Array) -> Array:
    return jnp.linalg.norm(x)


def _quotient(a: Array, b: Array) -> Array:
    """a / b, or 0 where b is 0."""
    return jnp.where(b == 0, 0, a / jnp.where(b == 0, 1, b))


def _cg(task: _Task) -> tuple[Array, Array]:
    def step(state: tuple) -> tuple:
        x, r, gamma, p, k = state
        q = task.matvec(p)
        alpha = (gamma / jnp.vdot(p, q)).real.astype(p.dtype)
        x, r = x + alpha * p, r - alpha * q
        z = task.precondition(r)
        again = jnp.vdot(r, z)
        return x, r, again, z + (again / gamma).real.astype(p.dtype) * p, k + 1

    r = task.residual(task.x0)
    z = task.precondition(r)
    start = task.x0, r, jnp.vdot(r, z), z, jnp.asarray(0)
    x, r, _, _, k = lax.while_loop(lambda s: (_norm(s[1]) > task.limit) & (s[4] < task.maxiter), step, start)
    return x, task.info(r, k)


def _bicgstab(task: _Task) -> tuple[Array, Array]:
    shadow = task.residual(task.x0)

    def step(state: tuple) -> tuple:
        x, r, p, v, (alpha, omega, rho), k, _ = state
        again = jnp.vdot(shadow, r)
        p = r + _quotient(again * alpha, rho * omega) * (p - omega * v)
        towards = task.precondition(p)
        v = task.matvec(towards)
        alpha = _quotient(again, jnp.vdot(shadow, v))
        s = r - alpha * v
        further = task.precondition(s)
        t = task.matvec(further)
        omega = _quotient(jnp.vdot(t, s), jnp.vdot(t, t))
        broken = jnp.select([again == 0, (alpha == 0) | (omega == 0)], [jnp.asarray(-10), jnp.asarray(-11)], 0)
        return x + alpha * towards + omega * further, s - omega * t, p, v, (alpha, omega, again), k + 1, broken

    def going(state: tuple) -> Array:
        _, r, *_, k, broken = state
        return (_norm(r) > task.limit) & (k < task.maxiter) & (broken == 0)

    one, none = jnp.ones((), shadow.dtype), jnp.zeros_like(shadow)
    start = task.x0, shadow, none, none, (one, one, one), jnp.asarray(0), jnp.asarray(0)
    x, r, *_, k, broken = lax.while_loop(going, step, start)
    reached = task.info(r, k)
    return x, jnp.where((reached == 0) | (broken == 0), reached, broken)


class _Krylov(NamedTuple):
    """The state of an Arnoldi process.

    Fields:
        basis: orthonormal vectors, the rows; zeros where there are none yet.
        unitary: a unitary matrix that makes the Hessenberg matrix upper triangular.
        columns: the columns of that triangle, as rows; those of the identity where there are none yet.
        size: how many of them there are.
        norm: the norm of the residual.
        broken: the last column would have been zero.
    """

    basis: Array
    unitary: Array
    columns: Array
    size: Array
    norm: Array
    broken: Array


def _gmres(task: _Task, restart: int) -> tuple[Array, Array]:
    most = min(restart, max(task.b.size, 1))

    def begin_anew(state: tuple) -> tuple:
        x, r, k, _ = state
        norm = _norm(r)
        krylov = _arnoldi(task, r, norm, most)
        known = jnp.arange(most) < krylov.size
        right = jnp.where(known, norm.astype(r.dtype) * krylov.unitary[:most, 0], 0)
        y = solve_triangular(krylov.columns[:, :most].T, right)
        x_new = x + task.precondition(y @ krylov.basis[:most])
        r_new = task.residual(x_new)
        is_better = _norm(r_new) < norm
        return jnp.where(is_better, x_new, x), jnp.where(is_better, r_new, r), k + 1, ~is_better

    def going(state: tuple) -> Array:
        _, r, k, is_stuck = state
        return (_norm(r) > task.limit) & (k < task.maxiter) & ~is_stuck

    start = task.x0, task.residual(task.x0), jnp.asarray(0), jnp.asarray(False)
    x, r, k, _ = lax.while_loop(going, begin_anew, start)
    return x, task.info(r, k)


def _arnoldi(task: _Task, r: Array, norm: Array, most: int) -> _Krylov:
    """An orthonormal basis of r, A M r, (A M)^2 r, …, until the residual is small enough (Saad, section 6.5)."""

    def step(state: _Krylov) -> _Krylov:
        basis, unitary, columns, j, _, _ = state
        w = task.matvec(task.precondition(basis[j]))
        before = _norm(w)
        h = basis.conj() @ w
        w = w - h @ basis
        more = basis.conj() @ w  # what rounding left over
        w = w - more @ basis
        length = _norm(w)
        length = jnp.where(length > jnp.finfo(w.dtype).eps * before, length, 0)
        h = unitary @ (h + more).at[j + 1].set(length.astype(w.dtype))
        diagonal = jnp.sqrt(jnp.abs(h[j]) ** 2 + length**2)
        cos, sin = _quotient(h[j], diagonal.astype(w.dtype)), _quotient(length, diagonal).astype(w.dtype)
        row, below = unitary[j], unitary[j + 1]
        turned = unitary.at[j].set(cos.conj() * row + sin * below).at[j + 1].set(cos * below - sin * row)
        broken = diagonal == 0
        column = jnp.where(broken, columns[j], h.at[j].set(diagonal.astype(w.dtype)).at[j + 1].set(0))
        return _Krylov(
            basis.at[j + 1].set(_quotient(w, length.astype(w.dtype))), jnp.where(broken, unitary, turned),
            columns.at[j].set(column), j + jnp.where(broken, 0, 1),
            jnp.where(broken, state.norm, norm * jnp.abs(turned[j + 1, 0])), broken,
        )  # fmt: skip

    dtype = r.dtype
    basis = jnp.zeros((most + 1, r.size), dtype).at[0].set(_quotient(r, norm.astype(dtype)))
    start = _Krylov(basis, jnp.eye(most + 1, dtype=dtype), jnp.eye(most, most + 1, dtype=dtype), jnp.asarray(0), norm,
                    jnp.asarray(False))  # fmt: skip
    return lax.while_loop(lambda s: (s.size < most) & (s.norm > task.limit) & ~s.broken, step, start)
