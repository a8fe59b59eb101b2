"""`custom_linear_solve` and `custom_root` against NumPy, SciPy and finite differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core.errors import ArgumentTypeError, DifferentiationError, DTypeError, ShapeError, TreeError
from nrx.testing import check_grads

RNG = np.random.default_rng(0)
A = RNG.normal(size=(4, 4)) + 5 * np.eye(4)
S = A @ A.T
B = RNG.normal(size=4)


def directly(matvec: Callable, b: Any) -> Any:
    """A solver that asks for the whole matrix."""
    return jnp.linalg.solve(nrx.jacfwd(matvec)(b), b)


def jacobi(matvec: Callable, b: Any) -> Any:
    """A solver that has no derivative in reverse mode: Richardson's iteration, as long as it changes something."""
    going = lambda state: (state[1] < 400) & (jnp.abs(matvec(state[0]) - b).max() > 1e-14)
    step = lambda state: (state[0] + 0.19 * (b - matvec(state[0])), state[1] + 1)
    return lax.while_loop(going, step, (jnp.zeros_like(b), 0))[0]


def solved(a: Any, b: Any, solve: Callable = directly) -> Any:
    return lax.custom_linear_solve(lambda x: a @ x, b, solve, solve)


@pytest.mark.parametrize("solve", [directly, jacobi])
@pytest.mark.parametrize("transform", [lambda f: f, nrx.jit])
def test_values_and_derivatives(solve: Callable, transform: Callable) -> None:
    f = transform(lambda a, b: solved(a, b, solve))
    np.testing.assert_allclose(f(A, B), np.linalg.solve(A, B), rtol=1e-10)
    check_grads(f, (A, B), order=2 if solve is directly else 1)


def test_symmetric() -> None:
    def f(a: Any, b: Any) -> Any:
        a = (a + a.T) / 2
        return lax.custom_linear_solve(lambda x: a @ x, b, directly, symmetric=True)

    np.testing.assert_allclose(f(S, B), np.linalg.solve(S, B), rtol=1e-12)
    check_grads(f, (S, B), order=2)


def test_derivatives_go_through_what_loops_and_branches_compute() -> None:
    """The function may hold scans, calls and branches of what it closes over."""

    def f(a: Any, b: Any) -> Any:
        @nrx.jit
        def matvec(x: Any) -> Any:
            x = lax.scan(lambda x, row: (x + row * jnp.sin(a).sum() * x.sum(), None), x, a)[0]
            return lax.cond(True, lambda x: a @ x, lambda x: x, x)

        return lax.custom_linear_solve(matvec, b, directly, directly)

    check_grads(f, (A, B), order=2)
    check_grads(nrx.jit(f), (A, B), order=1)


def test_complex() -> None:
    z, b = A + 1j * RNG.normal(size=(4, 4)), B + 1j * RNG.normal(size=4)
    f = lambda a, b: lax.custom_linear_solve(lambda x: a @ x, b, lambda _, b: jnp.linalg.solve(a, b),
                                             lambda _, b: jnp.linalg.solve(a.T, b))  # fmt: skip
    np.testing.assert_allclose(f(z, b), np.linalg.solve(z, b), rtol=1e-12)
    check_grads(f, (z, b), order=2)


def test_trees_with_aux() -> None:
    """Two unknowns of different shapes and dtypes, coupled; the solvers tell how they fared."""

    def f(a: Any, b: Any) -> Any:
        def matvec(x: Any) -> Any:
            return {"u": a @ x["u"] + x["v"].astype(a.dtype), "v": 3 * x["v"] - x["u"].sum().astype(x["v"].dtype)}

        def solve(matvec: Callable, b: Any) -> Any:
            flat = lambda t: jnp.concatenate([t["u"], t["v"][None].astype(t["u"].dtype)])
            tree = lambda x: {"u": x[:4], "v": x[4].astype(b["v"].dtype)}
            matrix = nrx.jacfwd(lambda x: flat(matvec(tree(x))))(flat(b))
            return tree(jnp.linalg.solve(matrix, flat(b))), {"count": 7, "norm": jnp.abs(b["u"]).sum()}

        return lax.custom_linear_solve(matvec, b, solve, solve, has_aux=True)

    b = {"u": B, "v": np.float64(0.7)}
    x, aux = f(A, b)
    whole = np.block([[A, np.ones((4, 1))], [-np.ones((1, 4)), np.full((1, 1), 3.0)]])
    expected = np.linalg.solve(whole, [*B, 0.7])
    np.testing.assert_allclose(x["u"], expected[:4], rtol=1e-12)
    np.testing.assert_allclose(x["v"], expected[4], rtol=1e-12)
    assert aux["count"] == 7
    np.testing.assert_allclose(aux["norm"], np.abs(B).sum())
    for g in (f, nrx.jit(f)):
        check_grads(lambda a, b, g=g: g(a, b)[0], (A, b), order=2)
        assert not nrx.grad(lambda b, g=g: g(A, b)[1]["norm"])(b)["u"].any()
        again, aux = nrx.vmap(g, in_axes=(None, 0))(A, {"u": np.stack([B, 2 * B]), "v": np.ones(2)})
        assert again["u"].shape == (2, 4)
        assert aux["count"].shape == (2,)
    mixed = {"u": B, "v": np.float32(0.7)}
    pulled = nrx.grad(lambda b: f(A, b)[0]["u"].sum())(mixed)
    assert (pulled["u"].dtype, pulled["v"].dtype) == (np.float64, np.float32)


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0), (2, 1)])
@pytest.mark.parametrize("solve", [directly, jacobi])
def test_vmap(axes: tuple, solve: Callable) -> None:
    rng = np.random.default_rng(1)
    matrices = A + rng.normal(size=(3, 4, 4)) * 0.1
    bs = rng.normal(size=(3, 4))
    args = [matrices[0] if axes[0] is None else np.moveaxis(matrices, 0, axes[0]),
            bs[0] if axes[1] is None else np.moveaxis(bs, 0, axes[1])]  # fmt: skip
    for transform in (lambda f: f, nrx.jit):
        f = transform(nrx.vmap(lambda a, b: solved(a, b, solve), in_axes=axes))
        pairs = [(matrices[0 if axes[0] is None else i], bs[0 if axes[1] is None else i]) for i in range(3)]
        np.testing.assert_allclose(f(*args), [np.linalg.solve(a, b) for a, b in pairs], rtol=1e-9)
        check_grads(f, args, order=1)
    per_example = nrx.vmap(nrx.grad(lambda b, a: solved(a, b, solve)[0]), in_axes=(0, None))(bs, matrices[0])
    np.testing.assert_allclose(per_example, np.tile(np.linalg.inv(matrices[0])[0], (3, 1)), rtol=1e-9)


def test_no_derivative_where_nothing_varies() -> None:
    """The start of an iteration is closed over by the solver alone."""

    def f(start: Any) -> Any:
        solve = lambda matvec, b: start + directly(matvec, b - matvec(start))
        return lax.custom_linear_solve(lambda x: A @ x, B, solve, solve)

    np.testing.assert_allclose(f(B), np.linalg.solve(A, B), rtol=1e-12)
    assert not np.any(nrx.jacrev(f)(B))
    assert not np.any(nrx.jacfwd(f)(B))


def test_programs_are_well_typed() -> None:
    """Every Program that a derivative or a batch makes of the four passes the type checker."""
    with nrx.config.using(debug_checks=True):
        for f in (solved, nrx.jit(solved)):
            loss = lambda a, b, f=f: jnp.sum(jnp.sin(f(a, b)))
            nrx.jacfwd(nrx.grad(loss, 1))(A, B)
            nrx.vmap(nrx.grad(loss, (0, 1)), in_axes=(None, 0))(A, np.stack([B, B]))
        weak = lambda c: lax.custom_linear_solve(lambda x: c * x, 3.0, lambda f, b: b / f(1.0), symmetric=True)
        nrx.grad(nrx.grad(weak))(2.0)
        nrx.grad(lambda a: root(a).sum())(np.float64(1.3))


def test_forward_mode_needs_no_transpose() -> None:
    f = lambda b: lax.custom_linear_solve(lambda x: A @ x, b, directly)
    np.testing.assert_allclose(nrx.jacfwd(f)(B), np.linalg.inv(A), rtol=1e-12)
    with pytest.raises(DifferentiationError, match="transpose_solve"):
        nrx.jacrev(f)(B)
    np.testing.assert_allclose(nrx.vmap(f)(np.stack([B, B]))[1], np.linalg.solve(A, B), rtol=1e-12)


def test_dtypes_and_shapes() -> None:
    halves = lambda matvec, b: b / 2
    for dtype in ("bfloat16", "float16", "float32", "complex64", "float64"):
        out = nrx.jit(lambda b: lax.custom_linear_solve(lambda x: x * 2, b, halves, symmetric=True))(jnp.ones(3, dtype))
        assert out.dtype == dtype
    assert lax.custom_linear_solve(lambda x: x, np.zeros((0, 3)), lambda _, b: b, symmetric=True).shape == (0, 3)
    assert lax.custom_linear_solve(lambda x: x, [], lambda _, b: b, symmetric=True) == []
    assert float(lax.custom_linear_solve(lambda x: 2 * x, 3.0, lambda f, b: b / f(1), symmetric=True)) == 1.5


def test_mistakes_of_linear_solve() -> None:
    same = lambda _, b: b
    with pytest.raises(ArgumentTypeError, match="matvec needs a function"):
        lax.custom_linear_solve(A, B, same)
    with pytest.raises(DTypeError, match="floating"):
        lax.custom_linear_solve(lambda x: x, {"n": 1}, same)
    with pytest.raises(ShapeError, match=r"matvec returns .*\[3\].*b.*\[4\]"):
        lax.custom_linear_solve(lambda x: x[1:], B, same)
    with pytest.raises(DTypeError, match="solve returns"):
        lax.custom_linear_solve(lambda x: x, B, lambda _, b: b.astype("float32"))
    with pytest.raises(TreeError, match="transpose_solve returns another structure"):
        lax.custom_linear_solve(lambda x: x, B, same, lambda _, b: (b,))
    with pytest.raises(TreeError, match="has_aux"):
        lax.custom_linear_solve(lambda x: x, B, same, has_aux=True)


# custom_root


def newton(f: Callable, x: Any) -> Any:
    step = lambda state: (state[0] - jnp.linalg.solve(nrx.jacfwd(f)(state[0]), f(state[0])), state[1] + 1)
    return lax.while_loop(lambda state: (state[1] < 30) & (jnp.abs(f(state[0])).max() > 1e-13), step, (x, 0))[0]


def curve(x: Any, a: Any, xp: Any) -> Any:
    return xp.stack([x[0] ** 2 + a * x[1] - 2, xp.exp(x[0]) * x[1] - a**2])


def root(a: Any, guess: Any = (1.0, 1.0)) -> Any:
    return lax.custom_root(lambda x: curve(x, a, jnp), np.array(guess), newton, directly)


def test_root() -> None:
    expected = scipy.optimize.root(lambda x: curve(x, 1.3, np), [1.0, 1.0], tol=1e-13).x
    for transform in (lambda f: f, nrx.jit):
        np.testing.assert_allclose(transform(root)(np.float64(1.3)), expected, rtol=1e-11)
        check_grads(transform(root), (np.float64(1.3),), order=2)
        batched = transform(nrx.vmap(root))(np.array([1.3, 0.9]))
        np.testing.assert_allclose(batched[0], expected, rtol=1e-11)
        check_grads(transform(nrx.vmap(root)), (np.array([1.3, 0.9]),), order=1)
    assert not np.any(nrx.jacrev(lambda guess: lax.custom_root(lambda x: curve(x, 1.3, jnp), guess, newton, directly))(
        np.ones(2)))  # fmt: skip


def test_scalar_root_of_bisection() -> None:
    """A solver without any derivative; the third one of the root is right all the same."""

    def bisect(f: Callable, _: Any) -> Any:
        halve = lambda i, ends: lax.cond(f(sum(ends) / 2) > 0, lambda a, b: (a, (a + b) / 2),
                                         lambda a, b: ((a + b) / 2, b), *ends)  # fmt: skip
        return lax.fori_loop(0, 60, halve, (np.float64(0), np.float64(100)))[0]

    cube_root = lambda a: lax.custom_root(lambda x: x**3 - a, np.float64(1), bisect, lambda g, y: y / g(1.0))
    f = cube_root
    for power, factor in ((1 / 3, 1), (-2 / 3, 1 / 3), (-5 / 3, -2 / 9), (-8 / 3, 10 / 27)):
        np.testing.assert_allclose(f(5.0 + np.float64(0)), factor * 5.0**power, rtol=1e-12)
        np.testing.assert_allclose(nrx.jit(f)(np.float64(5)), factor * 5.0**power, rtol=1e-12)
        f = nrx.grad(f)


def test_root_of_a_tree_with_aux() -> None:
    def f(a: Any) -> Any:
        equation = lambda x: {"u": x["u"] ** 2 - a, "v": x["v"] * x["u"].sum() - 1}
        solve = lambda _, guess: ({"u": jnp.sqrt(a), "v": 1 / jnp.sqrt(a).sum()}, {"steps": 3, "guess": guess["v"]})

        def tangent_solve(g: Callable, y: Any) -> Any:
            ones = {"u": jnp.ones_like(y["u"]), "v": jnp.zeros_like(y["v"])}
            u = y["u"] / g(ones)["u"]
            rest = y["v"] - g({"u": u, "v": jnp.zeros_like(y["v"])})["v"]
            return {"u": u, "v": rest / g({"u": jnp.zeros_like(u), "v": jnp.ones_like(y["v"])})["v"]}

        return lax.custom_root(equation, {"u": np.ones(2), "v": np.float64(1)}, solve, tangent_solve, has_aux=True)

    a = np.array([2.0, 3.0])
    x, aux = f(a)
    np.testing.assert_allclose(x["v"], 1 / np.sqrt(a).sum())
    assert aux["steps"] == 3
    check_grads(lambda a: f(a)[0], (a,), order=2)
    check_grads(nrx.jit(lambda a: f(a)[0]), (a,), order=1)
    assert not nrx.grad(lambda a: f(a)[1]["guess"])(a).any()


def test_the_tangent_solver_may_close_over_what_varies() -> None:
    def f(a: Any) -> Any:
        tangent_solve = lambda g, y: y / (2 * jnp.sqrt(a))
        return lax.custom_root(lambda x: x * x - a, np.float64(1), lambda f, x: jnp.sqrt(a), tangent_solve)

    check_grads(f, (np.float64(3),), order=2)
    check_grads(nrx.jit(f), (np.float64(3),), order=2)


def test_mistakes_of_root() -> None:
    same, divide = lambda f, x: x, lambda g, y: y / g(1.0)
    with pytest.raises(ArgumentTypeError, match="f needs a function"):
        lax.custom_root(1.0, 1.0, same, divide)
    with pytest.raises(TreeError, match="custom_root: f returns another structure"):
        lax.custom_root(lambda x: (x,), 1.0, same, divide)
    with pytest.raises(ShapeError, match="tangent_solve returns"):
        lax.custom_root(lambda x: x, 1.0, same, lambda g, y: jnp.ones(3))
    with pytest.raises(DTypeError, match="initial_guess must be floating"):
        lax.custom_root(lambda x: x, 1, same, divide)
