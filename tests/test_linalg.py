"""nrx.numpy.linalg, nrx.lax.linalg and nrx.scipy.linalg against NumPy and SciPy, and their derivatives.

The primitives under them are in the case table (`tests/cases/linalg.py`).
"""

import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import nrx
import nrx.numpy as jnp
import nrx.scipy.linalg
from nrx.core.errors import ArgumentError, ArgumentTypeError, DifferentiationError, DTypeError, ShapeError
from nrx.testing import check_grads

RNG = np.random.default_rng(5)
A = RNG.normal(size=(4, 4)) + 3 * np.diag([1.0, 2.0, 3.0, 4.0])
Z = A + 1j * RNG.normal(size=(4, 4)) / 2
S = (A + A.T) / 2
H = (Z + Z.conj().T) / 2
P = A @ A.T + np.eye(4)
T = RNG.normal(size=(5, 3))
W = T.T.copy()
B = RNG.normal(size=(2, 3, 3)) + 2 * np.eye(3)
V = RNG.normal(size=4)
R = RNG.normal(size=(4, 2))
NAMES = {"A": A, "Z": Z, "S": S, "H": H, "P": P, "T": T, "W": W, "B": B, "V": V, "R": R}
NAMES["empty"] = np.zeros((0, 0))
NAMES["low"] = np.outer(V, V)  # of rank 1
NAMES["six"] = RNG.normal(size=(6, 2, 3)) + 2 * np.eye(6).reshape(6, 2, 3)


def leaves(out: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in (out if isinstance(out, tuple | list) else [out])]


def evaluate(expression: str, xp: Any, la: Any, convert: Any = lambda x: x) -> list[np.ndarray]:
    return leaves(eval(expression, {"xp": xp, "la": la, "np": np, **{k: convert(v) for k, v in NAMES.items()}}))


NUMPY = (
    "xp.linalg.cholesky(P)", "xp.linalg.cholesky(P, upper=True)", "xp.linalg.solve(A, V)", "xp.linalg.solve(B, T.T)",
    "xp.linalg.solve(A, R)", "xp.linalg.solve(Z, A)", "xp.linalg.inv(B)", "xp.linalg.inv(Z)", "xp.linalg.inv(empty)",
    "xp.linalg.det(B)", "xp.linalg.det(Z)", "xp.linalg.det(empty)", "xp.linalg.slogdet(B)", "xp.linalg.slogdet(Z)",
    "xp.linalg.qr(T)", "xp.linalg.qr(T, 'complete')", "xp.linalg.qr(W, 'r')", "xp.linalg.qr(T, 'raw')",
    "xp.linalg.svd(T)[1]", "xp.linalg.svd(B, compute_uv=False)", "xp.linalg.svdvals(Z)",
    "xp.linalg.svd(S, compute_uv=False, hermitian=True)", "xp.linalg.eigh(S)[0]", "xp.linalg.eigvalsh(H)",
    "xp.linalg.eigvalsh(H, 'U')", "np.sort(xp.linalg.eigvals(A).real)", "np.sort(xp.linalg.eig(Z)[0].real)",
    "xp.linalg.pinv(T)", "xp.linalg.pinv(B)", "xp.linalg.pinv(low, 1e-9)", "xp.linalg.pinv(S, hermitian=True)",
    "xp.linalg.lstsq(T, np.ones(5))[0]", "xp.linalg.lstsq(T, np.eye(5))[1]", "xp.linalg.lstsq(W, np.ones(3))[0]",
    "xp.linalg.lstsq(low, V)[2:]", "xp.linalg.matrix_rank(low)", "xp.linalg.matrix_rank(B)",
    "xp.linalg.matrix_rank(V)", "xp.linalg.matrix_rank(A, tol=5.0)", "xp.linalg.matrix_rank(S, hermitian=True)",
    "xp.linalg.matrix_power(A, -3)", "xp.linalg.matrix_power(B, -1)", "xp.linalg.norm(A, 2)",
    "xp.linalg.norm(Z, 'nuc')", "xp.linalg.norm(B, -2, axis=(0, 2))", "xp.linalg.norm(B, 2, (1, 2), True)",
    "xp.linalg.cond(A)", "xp.linalg.cond(B, -2)", "xp.linalg.cond(A, 1)", "xp.linalg.cond(A, 'fro')",
    "xp.linalg.tensorsolve(six, np.ones(6))", "xp.linalg.tensorinv(six, 1)", "xp.linalg.multi_dot([V, A, R])",
    "xp.linalg.multi_dot([W, T, W, T])", "xp.linalg.multi_dot([R.T, A, A, V])",
)  # fmt: skip


@pytest.mark.parametrize("expression", NUMPY)
def test_as_numpy(expression: str) -> None:
    for got, expected in zip(evaluate(expression, jnp, None, jnp.asarray), evaluate(expression, np, None), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


SCIPY = (
    "la.solve(A, V)", "la.solve(P, R, assume_a='pos')", "la.solve(P, R, lower=True, assume_a='pos')",
    "la.solve_triangular(A, V)", "la.solve_triangular(Z, R, trans=2, lower=True)",
    "la.solve_triangular(A, R, trans='T', unit_diagonal=True)", "la.cholesky(P)", "la.cholesky(P, lower=True)",
    "la.cho_solve(la.cho_factor(P), V)", "la.cho_solve(la.cho_factor(P, lower=True), R)", "la.lu(A)", "la.lu(T)",
    "la.lu(W)", "la.lu(Z, permute_l=True)", "la.lu_factor(A)", "la.lu_solve(la.lu_factor(A), V)",
    "la.lu_solve(la.lu_factor(Z), R, 1)", "la.lu_solve(la.lu_factor(Z), R, 2)", "la.qr(T)", "la.qr(T, mode='economic')",
    "la.qr(W, pivoting=True)", "la.qr(Z, pivoting=True)", "la.svd(T, compute_uv=False)", "la.eigh(S)[0]",
    "la.eigh(S, P, eigvals_only=True)", "la.eigh(S, P, type=2, eigvals_only=True)", "la.eigh(H, lower=False)[0]",
    "la.hessenberg(A)", "la.hessenberg(Z, calc_q=True)", "abs(la.schur(A)[0])", "abs(la.schur(Z)[0])",
    "abs(la.schur(A, 'complex')[0].diagonal())", "la.polar(T)", "la.polar(W)", "la.polar(A, 'left')", "la.expm(A)",
    "la.expm(Z)", "la.expm(np.zeros((0, 0)))", "la.expm(B)", "la.expm_frechet(A, S)", "la.sqrtm(A) + 0j",
    "la.sqrtm(Z)", "la.sqrtm(-S) + 0j", "la.funm(A, xp.sin) + 0j", "la.solve_sylvester(A, B[0], R @ np.ones((2, 3)))",
    "la.solve_sylvester(Z, A, Z)", "la.block_diag(A, V, np.eye(2))", "la.toeplitz(V)",
    "la.toeplitz(Z[0])", "la.toeplitz(V, T[:, 0])", "la.hankel(V)", "la.hankel(V, T[:, 0])", "la.circulant(V)",
    "la.companion(V)", "la.fiedler(V)", "la.leslie(V, T[:3, 0])", "la.eigh_tridiagonal(V, T[:3, 0])[0]",
    "la.eigh_tridiagonal(V, T[:3, 0], select='i', select_range=(1, 2), eigvals_only=True)", "la.det(A)", "la.inv(A)",
    *(f"la.convolution_matrix(V, {n}, {mode!r})" for n in (1, 3, 6) for mode in ("full", "same", "valid")),
    *(f"la.fiedler_companion(T[:{n}, 0])" for n in (2, 3, 4, 5)), "la.fiedler_companion(np.arange(1.0, 8.0))",
    "la.qr_multiply(T, T.T)", "la.qr_multiply(T, T[:, 0], 'right')", "la.qr_multiply(W, T.T @ T, 'left')",
    "la.qr_multiply(Z, V, 'left', conjugate=True)", "la.qr_multiply(Z, R.T, conjugate=True)",
    "la.qr_multiply(W, np.ones(3), pivoting=True)", "la.qr_multiply(T, V[:3], 'left')",
)  # fmt: skip


@pytest.mark.parametrize("expression", SCIPY)
def test_as_scipy(expression: str) -> None:
    got = evaluate(expression, jnp, nrx.scipy.linalg, jnp.asarray)
    for x, expected in zip(got, evaluate(expression, np, scipy.linalg), strict=True):
        np.testing.assert_allclose(x, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8])
def test_real_schur_forms_become_triangular(n: int) -> None:
    x = np.random.default_rng(n).normal(size=(2, n, n))
    for convert in (nrx.scipy.linalg.rsf2csf, nrx.jit(nrx.scipy.linalg.rsf2csf)):
        form, vectors = map(np.asarray, convert(*nrx.scipy.linalg.schur(jnp.asarray(x))))
        np.testing.assert_array_equal(form, np.triu(form))
        np.testing.assert_allclose(vectors @ form @ np.conj(vectors.swapaxes(1, 2)), x, atol=1e-12)
        np.testing.assert_allclose(vectors @ np.conj(vectors.swapaxes(1, 2)), [np.eye(n)] * 2, atol=1e-12)


def test_matrices_that_cannot_be_made() -> None:
    la = nrx.scipy.linalg
    for error, call in (
        (ArgumentError, lambda: la.convolution_matrix(jnp.ones(2), 0)),
        (ArgumentError, lambda: la.convolution_matrix(jnp.ones(2), 2, "some")),
        (ShapeError, lambda: la.convolution_matrix(jnp.ones(0), 2)),
        (ShapeError, lambda: la.fiedler_companion(jnp.ones(0))),
        (ArgumentError, lambda: la.helmert(0)),
        (ArgumentError, lambda: la.invpascal(2, "some")),
        (ArgumentError, lambda: la.qr_multiply(jnp.ones((3, 2)), jnp.ones(3), "some")),
        (ShapeError, lambda: la.qr_multiply(jnp.ones((3, 2)), jnp.ones(2))),
        (ShapeError, lambda: la.rsf2csf(jnp.ones((2, 2)), jnp.ones((3, 3)))),
    ):
        with pytest.raises(error):
            call()


@pytest.mark.parametrize(
    "expression", ["la.dft(5)", "la.dft(4, 'sqrtn')", "la.hadamard(8)", "la.hilbert(4)", "la.pascal(4)",
                   "la.pascal(4, 'lower')", "la.pascal(3, 'upper')", "la.hadamard(1)", "la.invhilbert(6)",
                   "la.helmert(5)", "la.helmert(5, full=True)", "la.helmert(1)", "la.invpascal(5)",
                   "la.invpascal(4, 'lower')", "la.invpascal(4, 'upper')"],
)  # fmt: skip
def test_special_matrices(expression: str) -> None:
    (got,), (expected,) = evaluate(expression, jnp, nrx.scipy.linalg), evaluate(expression, np, scipy.linalg)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_hessenberg_forms_of_complex_matrices(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(2, n, n)) + 1j * rng.normal(size=(2, n, n))
    form, q = map(np.asarray, nrx.scipy.linalg.hessenberg(jnp.asarray(x), calc_q=True))
    np.testing.assert_array_equal(np.tril(form, -2), 0)
    np.testing.assert_allclose(q @ form @ np.conj(q.swapaxes(1, 2)), x, atol=1e-12)
    np.testing.assert_allclose(q @ np.conj(q.swapaxes(1, 2)), [np.eye(n)] * 2, atol=1e-12)


def test_special_matrices_of_numbers() -> None:
    for name in ("toeplitz", "circulant", "fiedler"):
        ours, theirs = getattr(nrx.scipy.linalg, name)(2.5), getattr(scipy.linalg, name)(2.5)
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(nrx.scipy.linalg.hankel(2.5), [[2.5]])
    np.testing.assert_array_equal(nrx.scipy.linalg.toeplitz(jnp.arange(3), 5), scipy.linalg.toeplitz(np.arange(3), 5))


@pytest.mark.parametrize("name", ["dft", "hadamard", "hilbert", "invhilbert", "helmert", "pascal", "invpascal"])
def test_sizes_of_special_matrices(name: str) -> None:
    function = getattr(nrx.scipy.linalg, name)
    assert function(np.int64(4)).shape == function(4).shape
    with pytest.raises(ArgumentError, match=f"{name}: n must not be negative, got -1"):
        function(-1)
    with pytest.raises(ArgumentTypeError, match=f"{name}: n must be an integer, got 2.5"):
        function(2.5)


def test_special_matrices_that_overflow() -> None:
    assert np.isinf(nrx.scipy.linalg.pascal(1100)[-1, -1])
    assert nrx.scipy.linalg.invhilbert(206)[-1, -2:].tolist() == [-np.inf, np.inf]
    np.testing.assert_array_equal(nrx.scipy.linalg.pascal(20), scipy.linalg.pascal(20).astype("float32"))


def test_mistakes_of_scipy_functions() -> None:
    la, x = nrx.scipy.linalg, jnp.arange(4.0)
    for wrong in (None, 3, (2, 1), (-3, 2), (1, 4), (0.5, 2)):
        with pytest.raises(ArgumentError, match="select_range must be two ints from 0 to 3"):
            la.eigh_tridiagonal(x, x[1:], select="i", select_range=wrong)
    for pivots in (np.zeros(2, int), np.zeros((4, 4), int)):
        with pytest.raises(ShapeError, match="lu_solve: pivots"):
            la.lu_solve((jnp.eye(4), pivots), x)
    with pytest.raises(ArgumentTypeError, match="funm needs a function"):
        la.funm(jnp.eye(4), 3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="funm: func must keep the shape"):
        la.funm(jnp.eye(4), lambda x: 1.0)


DIFFERENTIABLE = {
    "inv": (jnp.linalg.inv, A), "pinv": (jnp.linalg.pinv, T),
    "lstsq": (lambda x: jnp.linalg.lstsq(x, np.ones(5))[0], T),
    "norm-2": (lambda x: jnp.linalg.norm(x, 2), A), "norm-nuc": (lambda x: jnp.linalg.norm(x, "nuc"), A),
    "cond": (jnp.linalg.cond, A), "power": (lambda x: jnp.linalg.matrix_power(x, -2), A),
    "expm": (nrx.scipy.linalg.expm, A / 4), "sqrtm": (lambda x: nrx.scipy.linalg.sqrtm(x).real, P),
    "funm": (lambda x: nrx.scipy.linalg.funm(x, jnp.exp).real, A / 4), "polar": (nrx.scipy.linalg.polar, A),
    "lu_solve": (lambda x: nrx.scipy.linalg.lu_solve(nrx.scipy.linalg.lu_factor(x), jnp.asarray(V)), A),
    "cho_solve": (lambda x: nrx.scipy.linalg.cho_solve(nrx.scipy.linalg.cho_factor(x), jnp.asarray(V)), P),
    "eigh-two": (lambda x: nrx.scipy.linalg.eigh(x, jnp.asarray(P), eigvals_only=True), S),
    "svd-hermitian": (lambda x: jnp.linalg.svd((x + x.T) / 2, compute_uv=False, hermitian=True), A),
    "qr-pivoting": (lambda x: nrx.scipy.linalg.qr(x, mode="economic", pivoting=True)[:2], T),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives(name: str) -> None:
    function, x = DIFFERENTIABLE[name]
    check_grads(function, [x], 2, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        *[np.asarray(leaves(f(jnp.asarray(x)))[0]) for f in (function, nrx.jit(function))], rtol=1e-9, atol=1e-9
    )


def test_gradient_of_singular_determinants() -> None:
    """The cofactors, of which some remain where the rank is one less."""
    x = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 5.0]])
    cofactors = np.array([
        [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) for j in range(3)] for i in range(3)
    ])  # fmt: skip
    np.testing.assert_allclose(nrx.grad(jnp.linalg.det)(jnp.asarray(x)), cofactors, atol=1e-12)
    assert not np.any(nrx.grad(jnp.linalg.det)(jnp.zeros((3, 3))))


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(("n", "rank"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 1), (4, 2), (4, 3), (4, 4)])
def test_second_derivatives_of_determinants_of_any_rank(n: int, rank: int, is_complex: bool) -> None:
    """The cofactors of two rows and two columns."""
    rng = np.random.default_rng(n)
    factors = rng.normal(size=(2, 2, n, rank))
    left, right = factors[0] + 1j * factors[1] if is_complex else factors[0]
    x = left @ right.T
    expected = np.zeros((n,) * 4, x.dtype)
    for i, j, k, m in itertools.product(range(n), repeat=4):
        if i != k and j != m:
            minor = np.delete(np.delete(x, [i, k], 0), [j, m], 1)
            expected[i, j, k, m] = (-1) ** (i + j + k - (k > i) + m - (m > j)) * np.linalg.det(minor)
    forward, reverse = (partial(f, holomorphic=is_complex) for f in (nrx.jacfwd, nrx.jacrev))
    for function in (forward(reverse(jnp.linalg.det)), nrx.jit(reverse(forward(jnp.linalg.det)))):
        np.testing.assert_allclose(function(jnp.asarray(x)), expected, atol=1e-12)


def test_what_fails_is_nan() -> None:
    """For those matrices of a batch alone, eagerly and under jit."""
    pair = jnp.asarray(np.stack([np.eye(2), np.ones((2, 2))]))
    for function in (jnp.linalg.inv, lambda x: jnp.linalg.cholesky(x * jnp.array([[1.0, 2.0], [2.0, 1.0]]))):
        for f in (function, nrx.jit(function)):
            out = np.asarray(f(pair))
            assert np.isnan(out[1]).any()
    assert np.isfinite(np.asarray(jnp.linalg.inv(pair))[0]).all()
    broken = jnp.asarray(np.stack([np.eye(2), np.full((2, 2), np.nan)]))
    for function in (jnp.linalg.svdvals, jnp.linalg.eigvalsh, jnp.linalg.eigvals):
        out = np.asarray(function(broken))
        assert np.isnan(out[1]).all(), function
        np.testing.assert_allclose(out[0], 1)


def test_large_systems() -> None:
    """Those solved in blocks."""
    n = 200
    a = RNG.normal(size=(n, n)) + n * np.eye(n)
    b = RNG.normal(size=(n, 3))
    packed, pivots, order = (np.asarray(x) for x in nrx.lax.linalg.lu(jnp.asarray(a[::-1])))
    np.testing.assert_allclose(packed, scipy.linalg.lu_factor(a[::-1])[0], rtol=1e-8, atol=1e-8)
    assert sorted(order.tolist()) == list(range(n))
    assert len(pivots) == n
    for lower in (True, False):
        x = nrx.lax.linalg.triangular_solve(jnp.asarray(a), jnp.asarray(b), left_side=True, lower=lower)
        np.testing.assert_allclose(x, scipy.linalg.solve_triangular(a, b, lower=lower), rtol=1e-9, atol=1e-9)


def test_defective_matrices() -> None:
    """Schur forms exist where eigenvectors are too few."""
    turn = np.linalg.qr(A)[0]
    for block in (np.diag(np.ones(3), 1), 2 * np.eye(4) + np.diag(np.ones(3), 1), np.ones((4, 4)), np.zeros((4, 4))):
        for dtype in (float, complex):
            x = (turn @ block @ turn.T).astype(dtype)
            t, q = (np.asarray(part) for part in nrx.lax.linalg.schur(jnp.asarray(x)))
            np.testing.assert_allclose(q @ t @ q.conj().T, x, atol=1e-13)
            np.testing.assert_allclose(q @ q.conj().T, np.eye(4), atol=1e-13)
            assert not np.tril(t, -1 if dtype is complex else -2).any()


def test_lax() -> None:
    la = nrx.lax.linalg
    values, left, right = (np.asarray(x) for x in la.eig(jnp.asarray(A)))
    np.testing.assert_allclose(A @ right, right * values, atol=1e-12)
    np.testing.assert_allclose(left.conj().T @ A, values[:, None] * left.conj().T, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(left, axis=0), 1)
    r = np.linalg.cholesky(P).T
    updated = np.asarray(la.cholesky_update(jnp.asarray(r), jnp.asarray(V)))
    np.testing.assert_allclose(updated.T @ updated, P + np.outer(V, V))
    np.testing.assert_allclose(
        la.symmetric_product(jnp.asarray(R), jnp.asarray(S), alpha=2.0, beta=3.0), 2 * R @ R.T + 3 * S
    )
    (packed, taus), _ = scipy.linalg.qr(T, mode="raw")
    whole = scipy.linalg.qr(T)[0]
    c = RNG.normal(size=(5, 5))
    for left_side in (True, False):
        for transpose in (True, False):
            q = whole.T if transpose else whole
            out = la.ormqr(jnp.asarray(packed), jnp.asarray(taus), jnp.asarray(c), left=left_side, transpose=transpose)
            np.testing.assert_allclose(out, q @ c if left_side else c @ q, atol=1e-12)
    vectors, values = la.eigh(jnp.asarray(S), subset_by_index=(1, 3))
    np.testing.assert_allclose(S @ np.asarray(vectors), np.asarray(vectors) * np.asarray(values), atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 2, 2), (0, 3), (3, 0), (2, 0, 3), (2, 3, 0)])
def test_empty_matrices(shape: tuple) -> None:
    """Shapes are NumPy's; where NumPy has no such function, the factors multiply to a matrix of the shape."""
    x = np.zeros(shape)
    ours = jnp.asarray(x)
    for name in ("qr", "svd", "pinv", "svdvals", "matrix_rank"):
        got, expected = (leaves(getattr(xp.linalg, name)(data)) for xp, data in ((jnp, ours), (np, x)))
        assert [a.shape for a in got] == [a.shape for a in expected], name
    p, lower, upper = (np.asarray(part) for part in nrx.scipy.linalg.lu(ours))
    assert (p @ lower @ upper).shape == shape
    assert nrx.scipy.linalg.qr(ours, pivoting=True)[2].shape == shape[:-2] + shape[-1:]
    if shape[-1] == shape[-2]:
        for name in ("inv", "det", "slogdet", "cholesky", "eigh", "eig", "eigvals", "eigvalsh"):
            got, expected = (leaves(getattr(xp.linalg, name)(data)) for xp, data in ((jnp, ours), (np, x)))
            assert [a.shape for a in got] == [a.shape for a in expected], name
        t, q = nrx.lax.linalg.schur(ours)
        assert t.shape == q.shape == nrx.scipy.linalg.sqrtm(ours).shape == nrx.scipy.linalg.expm(ours).shape == shape


def test_errors() -> None:
    la = nrx.scipy.linalg
    square = jnp.ones((3, 3))
    for function in (jnp.linalg.inv, jnp.linalg.cholesky, jnp.linalg.det, jnp.linalg.eigh, jnp.linalg.eig, la.expm):
        with pytest.raises(ShapeError, match=r"\(2, 3\)"):
            function(jnp.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        jnp.linalg.solve(square, jnp.ones(2))
    with pytest.raises(DTypeError, match="int32"):
        nrx.lax.linalg.lu(jnp.ones((2, 2), "int32"))
    for call in (
        lambda: jnp.linalg.qr(square, "full"), lambda: jnp.linalg.eigh(square, "X"), lambda: la.schur(square, "x"),
        lambda: la.solve(square, square, assume_a="x"), lambda: la.solve_triangular(square, square, trans=3),
        lambda: jnp.linalg.norm(square, 3), lambda: la.polar(square, "up"), lambda: la.hadamard(3),
        lambda: jnp.linalg.multi_dot([square]), lambda: jnp.linalg.svd(square, subset_by_index=(0, 1)),
    ):  # fmt: skip
        with pytest.raises(ArgumentError):
            call()
    with pytest.raises(DifferentiationError, match="full_matrices=False"):
        nrx.grad(lambda x: jnp.linalg.svd(x)[0].sum())(jnp.ones((3, 2)))
