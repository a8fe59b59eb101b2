"""`custom_vmap`, `sequential_vmap`, `custom_gradient`, `fwd_and_bwd`, and pullbacks as pytrees."""

from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx.custom_batching import custom_vmap, sequential_vmap
from nrx.errors import ArgumentError, TreeError

XS = jnp.array([1.0, 2.0, 3.0])


def marked() -> tuple[Any, list]:
    """x · y, whose rule notes how it was asked."""
    asked: list = []

    @custom_vmap
    def f(x, y):
        return {"product": x * y, "x": x}

    @f.def_vmap
    def rule(axis_size, in_batched, x, y):
        asked.append((axis_size, in_batched))
        return {"product": x * y, "x": x}, {"product": any(in_batched), "x": in_batched[0]}

    return f, asked


def test_the_rule_is_asked() -> None:
    f, asked = marked()
    np.testing.assert_array_equal(f(2.0, 3.0)["product"], 6.0)
    assert asked == []
    out = nrx.vmap(f, (0, None))(XS, 2.0)
    np.testing.assert_array_equal(out["product"], XS * 2)
    np.testing.assert_array_equal(nrx.vmap(f, (None, 0))(2.0, XS)["x"], [2, 2, 2])
    assert asked == [(3, [True, False]), (3, [False, True])]


@pytest.mark.parametrize(
    "run",
    [
        lambda f: nrx.jit(nrx.vmap(f, (0, None)))(XS, 2.0),
        lambda f: nrx.vmap(nrx.jit(f), (0, None))(XS, 2.0),
        lambda f: nrx.vmap(f, (1, None), 0)(jnp.stack([XS, XS]), 2.0),
        lambda f: nrx.lax.scan(lambda c, x: (c, nrx.vmap(f, (0, None))(x, 2.0)), 0, XS[None])[1],
        lambda f: nrx.grad(lambda x: nrx.vmap(f, (0, None))(x, 2.0)["product"].sum())(XS),
        lambda f: nrx.jvp(lambda x: nrx.vmap(f, (0, None))(x, 2.0), (XS,), (XS,))[1],
        lambda f: nrx.vmap(nrx.vmap(f, (0, None)), (0, None))(jnp.stack([XS, XS]), 2.0),
    ],
)
def test_under_other_transformations(run: Any) -> None:
    f, asked = marked()
    plain = lambda x, y: {"product": x * y, "x": x}
    for got, expected in zip(nrx.tree.leaves(run(f)), nrx.tree.leaves(run(plain)), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert asked


def test_a_derivative_inside_is_that_of_the_function() -> None:
    f, _ = marked()
    g = nrx.vmap(nrx.grad(lambda x: f(x, x)["product"]))
    np.testing.assert_array_equal(g(XS), 2 * XS)
    np.testing.assert_array_equal(nrx.jit(g)(XS), 2 * XS)
    np.testing.assert_allclose(nrx.hessian(lambda x: f(x, x)["product"])(3.0), 2.0)


def test_mistakes_in_rules() -> None:
    unfinished = custom_vmap(lambda x: x)
    with pytest.raises(ArgumentError, match="def_vmap"):
        unfinished(1.0)
    unfinished.def_vmap(lambda size, batched, x: x)
    with pytest.raises(TreeError, match="pair"):
        nrx.vmap(unfinished)(XS)
    unfinished.def_vmap(lambda size, batched, x: ((x, x), (True, True)))
    with pytest.raises(TreeError, match="structure"):
        nrx.vmap(unfinished)(XS)

    def closing(x):
        f = custom_vmap(lambda y: x * y)
        f.def_vmap(lambda size, batched, y: (y, True))
        return f(1.0)

    with pytest.raises(ArgumentError, match="closes over"):
        nrx.vmap(closing)(XS)


def test_one_after_the_other() -> None:
    seen: list = []

    @sequential_vmap
    def f(x, y):
        nrx.debug.callback(lambda x: seen.append(float(x)), x)
        return x * y

    np.testing.assert_array_equal(nrx.vmap(f, (0, None))(XS, 2.0), XS * 2)
    assert seen == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(nrx.jit(nrx.vmap(f))(XS, XS), XS**2)


@nrx.custom_gradient
def tripled(x):
    """sin, with three times its derivative."""
    cosine = jnp.cos(x)
    return jnp.sin(x), lambda ct: (3 * ct * cosine,)


@pytest.mark.parametrize("jitted", [False, True])
def test_custom_gradient(jitted: bool) -> None:
    wrap = nrx.jit if jitted else (lambda f: f)
    x = np.linspace(0.1, 1.0, 4)
    np.testing.assert_allclose(wrap(tripled)(x), np.sin(x), rtol=1e-14)
    np.testing.assert_allclose(wrap(nrx.vmap(nrx.grad(tripled)))(x), 3 * np.cos(x), rtol=1e-14)
    np.testing.assert_allclose(wrap(nrx.grad(lambda x: nrx.vmap(tripled)(x).sum()))(x), 3 * np.cos(x), rtol=1e-14)
    np.testing.assert_allclose(wrap(nrx.vmap(nrx.grad(nrx.grad(tripled))))(x), -3 * np.sin(x), rtol=1e-14)
    scanned = lambda x: nrx.lax.scan(lambda c, _: (tripled(c), None), x, None, length=2)[0]
    expected = [9 * np.cos(np.sin(each)) * np.cos(each) for each in x]
    np.testing.assert_allclose(wrap(nrx.vmap(nrx.grad(scanned)))(x), expected, rtol=1e-14)


def test_custom_gradient_of_several_arguments() -> None:
    @nrx.custom_gradient
    def f(x, tree):
        return {"out": x * tree["a"]}, lambda ct: (ct["out"] * tree["a"], {"a": 10 * ct["out"] * x})

    got = nrx.grad(lambda x, t: f(x, t)["out"], (0, 1))(2.0, {"a": 5.0})
    np.testing.assert_array_equal((got[0], got[1]["a"]), (5.0, 20.0))
    single = nrx.custom_gradient(lambda x: (x * 2, lambda ct: ct * 7))
    np.testing.assert_array_equal(nrx.grad(single)(1.0), 7.0)


@pytest.mark.parametrize("jitted", [False, True])
def test_forward_and_backward(jitted: bool) -> None:
    def f(x, w):
        return jnp.sum(jnp.sin(x @ w["w"])), {"aux": x}

    x, w = jnp.ones((2, 3)), {"w": jnp.full((3, 2), 0.1)}
    fwd, bwd = nrx.fwd_and_bwd(f, (0, 1), has_aux=True, jitted=jitted)
    value, residuals, aux = fwd(x, w)
    got = bwd(residuals, 2.0)
    expected = nrx.grad(lambda x, w: 2 * f(x, w)[0], (0, 1))(x, w)
    np.testing.assert_allclose(value, f(x, w)[0], rtol=1e-6)
    np.testing.assert_array_equal(aux["aux"], x)
    for a, b in zip(nrx.tree.leaves(got), nrx.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    fwd, bwd = nrx.fwd_and_bwd(lambda x, w: f(x, w)[0], 1, jitted=jitted)
    np.testing.assert_allclose(bwd(fwd(x, w)[1], 2.0)["w"], expected[1]["w"], rtol=1e-6)


def test_pullbacks_are_pytrees() -> None:
    forward = nrx.jit(lambda x: nrx.vjp(lambda x: jnp.sin(x) * x, x))
    _, pullback = forward(XS)
    expected = np.cos(XS) * XS + np.sin(XS)
    np.testing.assert_allclose(nrx.jit(lambda f, ct: f(ct))(pullback, jnp.ones(3))[0], expected, rtol=1e-6)
    _, mapped = nrx.vmap(lambda x: nrx.vjp(lambda x: jnp.sin(x) * x, x))(XS)
    np.testing.assert_allclose(nrx.vmap(lambda f, ct: f(ct))(mapped, jnp.ones(3))[0], expected, rtol=1e-6)
    assert all(isinstance(leaf, nrx.Array) for leaf in nrx.tree.leaves(pullback))
