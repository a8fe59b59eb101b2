"""`nrx.scipy.sparse.linalg` beside SciPy and dense solutions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg as reference

import nrx
import nrx.numpy as jnp
from nrx.core.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, TreeError
from nrx.scipy.sparse.linalg import bicgstab, cg, gmres
from nrx.testing import check_grads

METHODS = [cg, bicgstab, gmres]
RNG = np.random.default_rng(0)
GENERAL = RNG.normal(size=(12, 12)) + 8 * np.eye(12)
POSITIVE = GENERAL @ GENERAL.T / 8
B = RNG.normal(size=12)
TIGHT = {"tol": 1e-13, "maxiter": 200}


def matrix_for(method: Callable, is_complex: bool = False) -> np.ndarray:
    matrix = POSITIVE if method is cg else GENERAL
    if not is_complex:
        return matrix
    other = RNG.normal(size=(12, 12))
    return matrix + (0.2j * (other - other.T) if method is cg else 1j * other)


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_as_scipy(method: Callable, is_complex: bool) -> None:
    a = matrix_for(method, is_complex)
    b = B + 1j * B[::-1] if is_complex else B
    theirs = getattr(reference, method.__name__)
    for options in ({}, {"x0": b / 8, "M": np.diag(1 / np.diag(a)), "atol": 1e-3}):
        x, info = nrx.jit(lambda a, b, options=options: method(a, b, tol=1e-8, **options))(a, b)
        expected, code = theirs(a, b, rtol=1e-8, **{"atol": 0.0, **options})
        assert info == code == 0
        limit = max(1e-8 * np.linalg.norm(b), options.get("atol", 0))
        assert np.linalg.norm(a @ np.asarray(x) - b) <= limit * 1.0001
        np.testing.assert_allclose(x, expected, atol=1e-3 if options else 1e-7)
        assert x.dtype == b.dtype


@pytest.mark.parametrize("method", [cg, bicgstab])
def test_takes_the_steps_that_scipy_takes(method: Callable) -> None:
    a = matrix_for(method)
    theirs = getattr(reference, method.__name__)
    for steps in (1, 2, 4):
        x, info = method(a, B, tol=0.0, maxiter=steps)
        expected, _ = theirs(a, B, rtol=0.0, maxiter=steps)
        np.testing.assert_allclose(x, expected, rtol=1e-9)
        assert info == steps


@pytest.mark.parametrize("restart", [3, 20])
def test_restarts_of_gmres(restart: int) -> None:
    for turns in (1, 2):
        x, _ = gmres(GENERAL, B, tol=1e-14, restart=restart, maxiter=turns)
        expected, _ = reference.gmres(GENERAL, B, rtol=1e-14, restart=min(restart, 12), maxiter=turns)
        np.testing.assert_allclose(x, expected, rtol=1e-7, atol=1e-11)
    x, info = gmres(GENERAL, B, tol=1e-10, restart=restart, solve_method="incremental")
    np.testing.assert_allclose(x, np.linalg.solve(GENERAL, B), rtol=1e-8)
    assert info == 0


@pytest.mark.parametrize("method", METHODS)
def test_derivatives(method: Callable) -> None:
    a = matrix_for(method)[:3, :3]
    symmetric = lambda a: (a + a.T) / 2 if method is cg else a
    f = lambda a, b: method(symmetric(a), b, **TIGHT)[0]
    check_grads(f, (a, B[:3]), order=2 if method is cg else 1, atol=1e-5, rtol=1e-5)
    z = matrix_for(method, True)[:3, :3]  # of cg's a change would not be hermitian
    f = lambda b, a=z: method(a, b, **TIGHT)[0]
    check_grads(nrx.jit(f), (B[:3] * 1j, z)[: 1 + (method is not cg)], order=1, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_second_derivatives_of_compiled_code(method: Callable) -> None:
    a = matrix_for(method)[:3, :3]
    symmetric = lambda a: (a + a.T) / 2 if method is cg else a
    f = nrx.jit(lambda a, b: method(symmetric(a), b, **TIGHT)[0])
    check_grads(f, (a, B[:3]), order=2, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_functions_of_trees(method: Callable) -> None:
    """An operator that is not a matrix: -u'' + u beside an unknown of its own."""

    def operator(scale: Any, x: Any) -> Any:
        u = jnp.pad(x["u"], 1)
        return {
            "u": scale * (2.5 * x["u"] - u[2:] - u[:-2]),
            "v": [3 * x["v"][0] + 0.1 * x["u"].sum() * (method is not cg)],
        }

    b = {"u": B, "v": [np.float64(2.0)]}
    flat = lambda x: np.append(x["u"], x["v"][0])
    whole = nrx.jacfwd(lambda v: jnp.concatenate(nrx.tree.leaves(nrx.tree.map(
        jnp.atleast_1d, operator(1.5, {"u": v[:-1], "v": [v[-1]]})))))(np.zeros(13))  # fmt: skip
    x, info = method(lambda x: operator(1.5, x), b, tol=1e-11, M=lambda x: nrx.tree.map(lambda x: x / 4, x))
    assert info == 0
    np.testing.assert_allclose(flat(x), np.linalg.solve(whole, flat(b)), rtol=1e-8)
    if method is not gmres:
        f = lambda s, b: method(lambda x: operator(s, x), b, **TIGHT)[0]
        check_grads(f, (np.float64(1.5), b), order=1, modes="rev", atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_many_at_once(method: Callable) -> None:
    matrices = matrix_for(method) + np.eye(12) * np.arange(3)[:, None, None]
    bs = RNG.normal(size=(3, 12)) * np.array([[1], [0], [10]])
    x, info = nrx.jit(nrx.vmap(lambda a, b: method(a, b, tol=1e-11)))(matrices, bs)
    np.testing.assert_allclose(x, np.linalg.solve(matrices, bs[..., None])[..., 0], rtol=1e-8)
    assert not info.any()


@pytest.mark.parametrize("method", METHODS)
def test_corner_cases(method: Callable) -> None:
    x, info = method(matrix_for(method), np.zeros(12))
    assert not x.any()
    assert info == 0
    x, info = method(np.zeros((0, 0)), np.zeros(0))
    assert x.shape == (0,)
    assert info == 0
    x, info = method(lambda x: x * jnp.nan, B, maxiter=5)
    assert info != 0
    x, info = method(2 * np.eye(3), np.array([1, 2, 3]))  # integers; found in one step
    np.testing.assert_allclose(x, [0.5, 1, 1.5])
    assert info == 0
    assert method(jnp.eye(3), jnp.ones(3))[0].dtype == jnp.float32
    assert method(jnp.eye(3, dtype="bfloat16"), jnp.ones(3, "bfloat16"))[0].dtype == jnp.bfloat16
    assert method(2 * np.eye(3), jnp.ones(3))[0].dtype == np.float64
    x, info = method(lambda x: 2 * x, 3.0)
    assert float(x) == 1.5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "power"), [("float32", -30), ("float32", 30), ("float64", -180), ("float64", 180)])
def test_squares_neither_overflow_nor_vanish(method: Callable, dtype: str, power: int) -> None:
    scale = 10.0**power
    a, b = np.array([[4.0, 1.0], [1.0, 3.0]], dtype), np.array([1.0, 2.0])
    x, info = method(jnp.asarray(a), jnp.asarray((b * scale).astype(dtype)))
    assert info == 0
    np.testing.assert_allclose(x, np.linalg.solve(a, b) * scale, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_zero_is_the_solution_for_zero(method: Callable) -> None:
    x, info = method(jnp.array([[4.0, 1.0], [1.0, 3.0]]), jnp.zeros(2), jnp.ones(2))
    assert (x.tolist(), int(info)) == ([0, 0], 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_right_sides_that_are_not_finite_have_no_solution(method: Callable, value: float) -> None:
    assert method(jnp.eye(2), jnp.array([value, 1.0]))[1] != 0


def test_singular_matrices_end() -> None:
    for method in METHODS:
        x, info = method(np.zeros((3, 3)), np.ones(3))
        assert info != 0
    x, info = gmres(np.diag([1.0, 2.0, 0.0]), np.array([1.0, 1.0, 0.0]))  # that has a solution
    np.testing.assert_allclose(x, [1, 0.5, 0], atol=1e-6)
    assert info == 0
    x, info = gmres(np.roll(np.eye(6), 1, 0), np.eye(6)[0], restart=3)  # that needs all six vectors
    assert info != 0
    assert np.isfinite(x).all()


def test_mistakes() -> None:
    for method in METHODS:
        with pytest.raises(ShapeError, match="A must be a square matrix"):
            method(np.ones((3, 4)), B)
        with pytest.raises(ArgumentTypeError, match="M must be a function"):
            method(GENERAL, B, M=3.0)
        with pytest.raises(TreeError, match="x0 has another structure"):
            method(GENERAL, B, x0=(B,))
        with pytest.raises(ShapeError, match="x0 has shape"):
            method(GENERAL, B, x0=B[1:])
        with pytest.raises(ShapeError, match="matvec returns"):
            method(lambda x: x[1:], B)
        with pytest.raises(DTypeError, match="matvec returns"):
            method(lambda x: x * 1j, B)
    with pytest.raises(ArgumentError, match="solve_method"):
        gmres(GENERAL, B, solve_method="best")
    with pytest.raises(ArgumentError, match="restart"):
        gmres(GENERAL, B, restart=0)
