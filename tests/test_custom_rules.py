"""custom_jvp, custom_vjp, stop_gradient and checkpoint.

Rules in these tests are wrong on purpose, by a factor: only then can it be seen that they are used.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import assert_same

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core.dtypes import float0
from nrx.core.errors import LeakedTracerError
from nrx.core.program import Program, subprograms
from nrx.transforms.linearize import linearize_flat

X = jnp.asarray(np.linspace(0.3, 1.1, 4))
Y = jnp.asarray(np.linspace(-1.2, 0.9, 4))
N = jnp.asarray(np.arange(4))
ROWS = jnp.stack([X, Y])


def doubled_jvp() -> Any:
    """sin, with twice its derivative."""

    @nrx.custom_jvp
    def f(x: Any) -> Any:
        return jnp.sin(x)

    @f.defjvp
    def rule(primals: tuple, tangents: tuple) -> tuple:
        return f(primals[0]), 2 * jnp.cos(primals[0]) * tangents[0]

    return f


def tripled_vjp() -> Any:
    """sin, with three times its derivative."""
    f = nrx.custom_vjp(lambda x: jnp.sin(x))
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (3 * jnp.cos(x) * ct,))
    return f


COS = jnp.cos(X)
SIN = jnp.sin(X)


# Both kinds of rules, under every transformation


@pytest.mark.parametrize(("make", "factor"), [(doubled_jvp, 2), (tripled_vjp, 3)])
def test_the_rule_is_used_everywhere(make: Any, factor: int) -> None:
    f = make()
    total = lambda g: lambda x: jnp.sum(g(x))
    slope = factor * COS
    assert_same([f(X), nrx.jit(f)(X), nrx.vmap(f)(X)], [SIN] * 3)
    calls = {
        "grad": nrx.grad(total(f)),
        "jit outside": nrx.jit(nrx.grad(total(f))),
        "jit inside": nrx.grad(total(nrx.jit(f))),
        "twice": nrx.grad(total(nrx.jit(nrx.jit(f)))),
        "vmap outside": nrx.vmap(nrx.grad(f)),
        "vmap inside": nrx.grad(total(nrx.vmap(f))),
        "vmap between": nrx.jit(nrx.grad(total(nrx.jit(nrx.vmap(nrx.jit(f)))))),
        "checkpoint": nrx.grad(total(nrx.checkpoint(f))),
        "cond": nrx.grad(total(lambda x: lax.cond(x[0] > 0, f, jnp.tanh, x))),
        "switch": nrx.vmap(nrx.grad(lambda x: lax.switch(1, [jnp.tanh, f], x))),
        "map": nrx.grad(total(lambda x: lax.map(f, x))),
        "scan": nrx.grad(total(lambda x: lax.scan(lambda c, t: (c, f(t)), 0.0, x)[1])),
        "carry": nrx.grad(total(lambda x: lax.fori_loop(0, 1, lambda i, v: f(v), x))),
        "linearize": lambda x: nrx.vjp(f, x)[1](jnp.ones_like(x))[0],
        "jacobian": lambda x: jnp.diagonal(nrx.jacrev(f)(x)),
    }
    for name, call in calls.items():
        np.testing.assert_allclose(call(X), slope, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize(("make", "factor"), [(doubled_jvp, 2), (tripled_vjp, 3)])
def test_second_derivatives_are_those_of_the_rule(make: Any, factor: int) -> None:
    f = make()
    total = lambda x: jnp.sum(f(x))
    curvature = np.diag(-factor * SIN)
    assert_same(nrx.hessian(total)(X), curvature)
    assert_same(nrx.jacrev(nrx.jacrev(total))(X), curvature)
    assert_same(nrx.jit(nrx.hessian(nrx.jit(total)))(X), curvature)
    assert_same(nrx.vmap(nrx.hessian(total))(ROWS)[0], curvature)
    assert_same(nrx.hessian(lambda x: jnp.sum(nrx.vmap(f)(x)))(X), curvature)
    assert float(nrx.grad(nrx.grad(nrx.grad(f)))(0.5)) == pytest.approx(-factor * np.cos(0.5), rel=1e-6)


def test_rules_may_be_jitted_functions() -> None:
    f = nrx.custom_jvp(lambda x: jnp.sin(x))
    f.defjvp(nrx.jit(lambda primals, tangents: (jnp.sin(primals[0]), 2 * jnp.cos(primals[0]) * tangents[0])))
    g = nrx.custom_vjp(lambda x: jnp.sin(x))
    g.defvjp(nrx.jit(lambda x: (jnp.sin(x), x)), nrx.jit(lambda x, ct: (2 * jnp.cos(x) * ct,)))
    for h in (f, g):
        total = lambda x, h=h: jnp.sum(h(x))
        assert_same(nrx.value_and_grad(total)(X), (np.sum(SIN), 2 * COS))
        assert_same(nrx.jit(nrx.hessian(total))(X), np.diag(-2 * SIN))
        assert_same(nrx.vmap(nrx.value_and_grad(h))(X), (SIN, 2 * COS))
    assert_same(nrx.jvp(f, (X,), (Y,)), (SIN, 2 * COS * Y))
    program = nrx.make_jaxpr(nrx.grad(lambda x: jnp.sum(f(x))))(X)
    assert (count(program, "sin"), count(program, "cos")) == (1, 1)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_rules_may_take_values_and_tangents_through_one_loop_or_branch(batch_size: int | None) -> None:
    both = lambda x, t: (jnp.sin(x), 2 * jnp.cos(x) * t)
    f = nrx.custom_jvp(lambda x: jnp.sin(x))
    rules = [
        lambda p, t: lax.map(lambda xt: both(*xt), (p[0], t[0]), batch_size=batch_size),
        lambda p, t: lax.cond(p[0][0] > 0, both, lambda x, t: (x, t), p[0], t[0]),
        lambda p, t: nrx.vmap(both)(p[0], t[0]),
    ]
    for rule in rules:
        f.defjvp(rule)
        assert_same(nrx.jvp(f, (X,), (Y,)), (SIN, 2 * COS * Y))
        for total in (lambda x: jnp.sum(f(x)), nrx.jit(lambda x: jnp.sum(f(x)))):
            assert_same(nrx.value_and_grad(total)(X), (np.sum(SIN), 2 * COS))
            assert_same(nrx.jacfwd(nrx.grad(total))(X), np.diag(-2 * SIN))


def test_forward_mode_uses_a_jvp_rule() -> None:
    f = doubled_jvp()
    for g in (
        f,
        nrx.jit(f),
        nrx.vmap(f),
        nrx.checkpoint(f),
        lambda x: lax.while_loop(lambda s: s[0] < 1, lambda s: (s[0] + 1, f(s[1])), (0, x))[1],
    ):
        assert_same(nrx.jvp(g, (X,), (Y,)), (SIN, 2 * COS * Y))
    assert_same(nrx.jacfwd(f)(X), np.diag(2 * COS))


def test_a_loop_gives_what_its_unrolled_form_gives() -> None:
    f = doubled_jvp()

    def unrolled(x: Any) -> Any:
        c, ys = x[0], 0.0
        for i in range(4):
            ys, c = ys + c, f(c * x[i])
        return ys

    rolled = lambda x: jnp.sum(lax.scan(lambda c, t: (f(c * t), c), x[0], x)[1])
    assert_same(rolled(X), unrolled(X))
    for transform in (
        nrx.grad,
        nrx.hessian,
        lambda f: nrx.jacfwd(nrx.grad(f)),
        lambda f: nrx.jit(nrx.jacrev(nrx.grad(f))),
    ):
        assert_same(transform(rolled)(X), transform(unrolled)(X))


def test_the_function_itself_runs_where_nothing_is_differentiated() -> None:
    ran = []
    f = nrx.custom_vjp(lambda x: (ran.append("call"), x * 1)[1])
    f.defvjp(lambda x: (ran.append("fwd"), (x * 1, None))[1], lambda _, ct: (ran.append("bwd"), (ct,))[1])
    f(X)
    nrx.vmap(f)(X)
    nrx.grad(lambda x: jnp.sum(x * f(Y)))(X)
    assert set(ran) == {"call"}
    ran.clear()
    nrx.grad(lambda x: jnp.sum(f(x)))(X)
    assert ran == ["fwd", "bwd"]


# Arguments


def test_nondiff_arguments_of_a_jvp_rule() -> None:
    @functools.partial(nrx.custom_jvp, nondiff_argnums=(0, 2))
    def apply(g: Any, x: Any, power: int) -> Any:
        return g(x) ** power

    @apply.defjvp
    def rule(g: Any, power: int, primals: tuple, tangents: tuple) -> tuple:
        assert isinstance(power, int)
        return apply(g, *primals, power), 10 * tangents[0]

    for f in (lambda x: apply(jnp.sin, x, 2), lambda x: apply(jnp.sin, power=2, x=x)):
        assert_same(f(X), SIN**2)
        assert_same(nrx.jit(nrx.vmap(nrx.grad(f)))(X), np.full(4, 10.0))


def test_nondiff_arguments_of_a_vjp_rule() -> None:
    @functools.partial(nrx.custom_vjp, nondiff_argnums=(1, 2))
    def f(x: Any, low: float = -1.0, high: float = 1.0) -> Any:
        return x

    f.defvjp(lambda x, low, high: (x, None), lambda low, high, _, ct: (jnp.clip(ct, low, high),))
    assert_same(nrx.grad(lambda x: jnp.sum(5 * f(x)))(X), np.ones(4))
    assert_same(nrx.grad(lambda x: jnp.sum(5 * f(x, high=2.0)))(X), np.full(4, 2.0))
    assert_same(nrx.jit(nrx.grad(lambda x: jnp.sum(-5 * f(x, -3.0, 1.0))))(X), np.full(4, -3.0))


def test_trees_in_arguments_results_and_residuals() -> None:
    @nrx.custom_vjp
    def f(params: dict, x: Any) -> dict:
        return {"y": params["w"] * x, "n": params["n"]}

    def fwd(params: dict, x: Any) -> tuple:
        return f(params, x), {"params": params, "x": [x], "static": "text", "count": 3}

    def bwd(kept: dict, ct: dict) -> tuple:
        assert (kept["static"], kept["count"]) == ("text", 3)
        assert ct["n"].dtype == float0
        return {"w": 7 * ct["y"], "n": None, "none": None}, ct["y"] * kept["params"]["w"]

    f.defvjp(fwd, bwd)
    loss = lambda p, x: jnp.sum(f(p, x)["y"])
    params = {"w": X, "n": N, "none": None}
    for transform in (lambda f: f, nrx.jit):
        by_params, by_x = transform(nrx.grad(loss, (0, 1), allow_int=True))(params, Y)
        assert_same([by_params["w"], by_x], [np.full(4, 7.0), X])
        assert by_params["n"].dtype == float0


def test_trees_in_a_jvp_rule() -> None:
    @nrx.custom_jvp
    def f(t: dict) -> tuple:
        return t["a"] * t["n"], [t["n"]]

    @f.defjvp
    def rule(primals: tuple, tangents: tuple) -> tuple:
        (t,), (dt,) = primals, tangents
        assert dt["n"].dtype == float0
        return f(t), (5 * dt["a"], [dt["n"]])

    tree, tangent = {"a": X, "n": N}, {"a": Y, "n": np.zeros(4, float0)}
    (value, _), (out, (integer,)) = nrx.jvp(f, (tree,), (tangent,))
    assert_same([value, out], [X * np.arange(4), 5 * Y])
    assert integer.dtype == float0
    loss = lambda a, n: jnp.sum(f({"a": a, "n": n})[0])
    assert_same(nrx.grad(loss)(X, N), np.full(4, 5.0))
    assert_same(nrx.jit(nrx.vmap(nrx.grad(loss)))(X, N), np.full(4, 5.0))
    assert_same(
        nrx.grad(lambda a: jnp.sum(lax.scan(lambda c, n: (c, f({"a": c, "n": n})[0]), a, N)[1]))(2.0), np.float32(20.0)
    )


def test_none_is_a_zero_cotangent() -> None:
    f = nrx.custom_vjp(lambda x, t, n: x * t["a"] * n)
    f.defvjp(lambda x, t, n: (f(x, t, n), None), lambda _, ct: (ct, None, None))
    args = X, {"a": Y, "b": X}, N
    by_x, by_t = nrx.grad(lambda *a: jnp.sum(f(*a)), (0, 1))(*args)
    assert_same([by_x, by_t["a"], by_t["b"]], [np.ones(4), np.zeros(4), np.zeros(4)])
    by_x, by_t = nrx.jit(nrx.vmap(nrx.grad(f, (0, 1))))(*args)
    assert_same([by_x, by_t["a"]], [np.ones(4), np.zeros(4)])


def test_an_argument_shared_by_the_batch_gets_the_sum() -> None:
    f = nrx.custom_vjp(lambda x, w: x * w)
    f.defvjp(lambda x, w: (x * w, (x, w)), lambda r, ct: (ct * r[1], 100 * jnp.sum(ct * r[0])))
    loss = lambda w: jnp.sum(nrx.vmap(f, (0, None))(X, w))
    assert float(nrx.grad(loss)(jnp.asarray(np.float64(2.0)))) == pytest.approx(100 * float(jnp.sum(X)))
    both = nrx.grad(lambda x, w: jnp.sum(nrx.vmap(f, (1, 0), out_axes=1)(x, w)), (0, 1))(ROWS, X)
    assert_same(both, (np.broadcast_to(X, (2, 4)), 100 * np.asarray(ROWS).sum(0)))


@pytest.mark.parametrize("kind", [nrx.custom_jvp, nrx.custom_vjp])
def test_arguments_that_are_not_differentiated_by_name(kind: Any) -> None:
    f = kind(fun=lambda x, mode, y: x * y if mode == "times" else x, nondiff_argnames=["mode"])
    if kind is nrx.custom_jvp:
        f.defjvp(lambda mode, p, t: (f(p[0], mode, p[1]), 5 * t[0]))
    else:
        f.defvjp(lambda x, mode, y: (f(x, mode, y), None), lambda mode, _, ct: (5 * ct, None))
    assert_same(nrx.grad(lambda x: f(x, "times", y=3.0))(2.0), 5.0)
    assert_same(nrx.jit(lambda x: f(x, mode="times", y=3.0))(2.0), 6.0)
    with pytest.raises(nrx.errors.StaticArgumentError, match="no parameter 'z'"):
        kind(lambda x: x, nondiff_argnames="z")


def test_static_arguments_of_checkpoint_by_name() -> None:
    f = nrx.checkpoint(lambda x, mode, y=1.0: x * x * y if mode == "times" else x, static_argnames="mode")
    for slope in (
        nrx.grad(f)(3.0, "times"),
        nrx.grad(f)(3.0, mode="times"),
        nrx.jit(nrx.grad(lambda x: f(x, "times", y=1)))(3.0),
    ):
        assert_same(slope, 6.0)


def test_defjvps() -> None:
    f = nrx.custom_jvp(lambda x, y, n: x * y * n)
    f.defjvps(lambda t, out, x, y, n: 2 * t * y, lambda t, out, x, y, n: 3 * t * out, None)
    assert_same(nrx.jvp(f, (X, Y, 2.0), (X, Y, 1.0))[1], 2 * X * Y + 3 * Y * (X * Y * 2))


def test_methods_with_rules() -> None:
    class Model:
        @nrx.custom_vjp
        def sin(self, x: Any) -> Any:
            return jnp.sin(x)

    with pytest.raises(nrx.errors.DifferentiationError, match="before its derivative was defined"):
        Model().sin(X)


# Closures


def test_a_rule_may_close_over_arrays() -> None:
    f = nrx.custom_vjp(lambda x: x * Y)
    f.defvjp(lambda x: (x * Y, None), lambda _, ct: (ct * Y * 5,))
    for call in (lambda x: jnp.sum(f(x)), nrx.jit(lambda x: jnp.sum(f(x)))):
        assert_same(nrx.grad(call)(X), 5 * Y)


def scaled(kind: str, w: Any) -> Any:
    """sin(x) * w, with the slope 2 * w in x."""
    if kind == "jvp":
        f = nrx.custom_jvp(lambda x: jnp.sin(x) * w)
        f.defjvp(lambda p, t: (f(p[0]), 2 * w * t[0]))
        return f
    g = nrx.custom_vjp(lambda x: jnp.sin(x) * w)
    g.defvjp(lambda x: (g(x), None), lambda _, ct: (2 * w * ct,))
    return g


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_a_rule_may_close_over_values_that_are_staged(kind: str) -> None:
    """Derivatives are taken before the call is staged."""
    call, slope = (lambda w, x: scaled(kind, w)(x)), (lambda w, x: nrx.grad(scaled(kind, w))(x))
    for mapped in (lambda f: nrx.jit(nrx.vmap(f)), lambda f: nrx.vmap(nrx.jit(f))):
        assert_same(mapped(call)(X, Y), np.sin(Y) * X)
        assert_same(mapped(slope)(X, Y), 2 * X)
    assert_same(nrx.jit(nrx.vmap(slope, (None, 0)))(np.float64(3.0), Y), np.full(4, 6.0))
    total = lambda w, x: nrx.grad(lambda x: nrx.vmap(scaled(kind, w))(x).sum())(x)
    assert_same(nrx.jit(total)(np.float64(3.0), Y), np.full(4, 6.0))
    steps = lax.scan(lambda c, x: (c + call(c, x), slope(c, x)), np.float64(1.0), Y)
    c, slopes = 1.0, []
    for y in Y:
        slopes.append(2 * c)
        c += np.sin(y) * c
    assert_same(steps, (c, np.array(slopes)))
    assert_same(
        nrx.jit(lambda w, x: lax.cond(x > 0, lambda x: call(w, x), lambda x: x, x))(X[0], X[0]), X[0] * np.sin(X[0])
    )


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_a_rule_may_close_over_values_that_are_mapped(kind: str) -> None:
    """Under derivatives of the vmap and under further ones."""
    call = lambda w, x: scaled(kind, w)(x)
    total = lambda x: nrx.vmap(call, (0, None))(X, x).sum()
    inner = lambda x: nrx.vmap(lambda w: nrx.vmap(lambda y: scaled(kind, w * y)(x))(Y))(X).sum()
    both = 2 * np.sum(X) * np.sum(Y)
    for mode in (lambda f: f, nrx.jit):
        assert_same(mode(nrx.grad(total))(np.float64(2.0)), 2 * X.sum())
        assert_same(mode(nrx.grad(lambda x: nrx.vmap(call)(X, x).sum()))(Y), 2 * X)
        assert_same(mode(nrx.vmap(nrx.vmap(call, (None, 0)), (0, None)))(X, Y), np.outer(X, np.sin(Y)))
        assert_same(mode(nrx.grad(inner))(np.float64(2.0)), both)
        assert_same(
            mode(nrx.grad(lambda x: nrx.vmap(lambda w: call(w, x) ** 2)(X).sum()))(np.float64(1.5)),
            4 * np.sin(1.5) * X @ X,
        )
        assert_same(mode(nrx.vmap(lambda w: nrx.grad(lambda x: total(x) * w)(np.float64(2.0))))(Y), 2 * X.sum() * Y)
    curved = nrx.grad(nrx.grad(lambda x: nrx.vmap(lambda w: call(w, x) ** 2)(X).sum()))
    assert_same(curved(np.float64(1.5)), 8 * X @ X)


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_what_no_mapped_value_reaches_stays_unmapped(kind: str) -> None:
    f = lambda y: nrx.vmap(lambda w: (w, scaled(kind, 2.0)(y)), out_axes=(0, None))(X)[1]
    assert_same(f(np.float64(1.5)), 2 * np.sin(1.5))
    assert_same(nrx.jit(f)(np.float64(1.5)), 2 * np.sin(1.5))
    assert_same(nrx.grad(f)(np.float64(1.5)), 4.0)
    assert_same(nrx.grad(nrx.jit(f))(np.float64(1.5)), 4.0)


def test_a_rule_that_alone_closes_over_a_mapped_value_is_refused() -> None:
    def f(w: Any, x: Any) -> Any:
        g = nrx.custom_vjp(lambda x: 3 * x)
        g.defvjp(lambda x: (3 * x, None), lambda _, ct: (w * ct,))
        return g(x)

    with pytest.raises(nrx.errors.DifferentiationError, match="closes over a value that a vmap maps"):
        nrx.grad(lambda x: nrx.vmap(f, (0, None))(X, x).sum())(np.float64(2.0))


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
@pytest.mark.parametrize(
    "loss",
    [
        lambda f: nrx.grad(f),  # of what the function closes over
        lambda f: nrx.grad(lambda w: nrx.jit(f)(w)),
        lambda f: nrx.grad(lambda w: lax.cond(w > 0, f, lambda w: w, w)),
        lambda f: nrx.grad(lambda w: nrx.vmap(f)(w * X).sum()),
        lambda f: nrx.jit(nrx.grad(nrx.checkpoint(f))),
    ],
)
def test_a_rule_must_not_close_over_what_is_differentiated(kind: str, loss: Any) -> None:
    with pytest.raises((LeakedTracerError, nrx.errors.DifferentiationError), match=r"closes over|ended|does not see"):
        loss(lambda w: scaled(kind, w)(2.0 * w))(2.0)


# stop_gradient


def test_stop_gradient() -> None:
    f = lambda x: jnp.sum(x * lax.stop_gradient({"a": jnp.sin(x), "n": 3})["a"])
    assert_same(nrx.grad(f)(X), SIN)
    assert_same(nrx.jit(nrx.hessian(f))(X), np.zeros((4, 4)))
    assert_same(nrx.jvp(lax.stop_gradient, (X,), (Y,)), (X, np.zeros(4)))
    assert lax.stop_gradient(N).dtype == N.dtype


def test_stop_gradient_makes_a_while_loop_a_constant() -> None:
    def f(x: Any) -> Any:
        steps = lax.while_loop(lambda v: v < 10.0, lambda v: v * 2, lax.stop_gradient(x))
        return x * steps

    assert float(nrx.grad(f)(3.0)) == 12.0


# checkpoint


def residuals(function: Any, *args: Any) -> int:
    """How many elements the backward pass keeps."""
    _, linear = linearize_flat(lambda *xs: [function(*xs)], args)
    return sum(const.size for const in linear.program.consts)


def count(program: Program, name: str) -> int:
    return sum(
        (eqn.prim.name == name) + sum(count(inner, name) for inner in subprograms(eqn.params)) for eqn in program.eqns
    )


def test_checkpoint_keeps_inputs_only() -> None:
    def block(x: Any) -> Any:
        for _ in range(10):
            x = jnp.sin(x) * jnp.cos(x)
        return x

    assert residuals(block, X) > 20 * X.size
    assert residuals(nrx.checkpoint(block), X) == X.size
    chain = lambda b: lambda x: b(b(b(x)))
    assert residuals(chain(nrx.checkpoint(block)), X) == 3 * X.size
    assert residuals(nrx.checkpoint(chain(block)), X) == X.size
    assert residuals(nrx.jit(nrx.checkpoint(block)), X) == X.size


def test_checkpoint_in_a_scan_keeps_the_carries_only() -> None:
    def loss(step: Any) -> Any:
        return lambda x: jnp.sum(lax.scan(lambda c, _: (step(c), None), x, None, length=5)[0])

    block = lambda x: jnp.sin(jnp.cos(jnp.sin(jnp.cos(x))))
    assert residuals(loss(block), X) == 4 * 5 * X.size
    assert residuals(loss(nrx.checkpoint(block)), X) == 5 * X.size


def test_checkpoint_computes_again_in_the_backward_pass() -> None:
    f = lambda x: jnp.sin(jnp.sin(jnp.sin(x)))
    plain, again = (nrx.make_jaxpr(nrx.grad(lambda x, g=g: jnp.sum(g(x))))(X) for g in (f, nrx.checkpoint(f)))
    assert (count(plain, "sin"), count(again, "sin")) == (3, 5)  # all three, and what the two outer cosines are of


def test_checkpoint_changes_no_value() -> None:
    f = lambda t, n: {"y": jnp.sin(t["x"]) * n, "k": n}
    g = nrx.checkpoint(f)
    args = {"x": X, "none": None}, N
    assert_same(g(*args), f(*args))
    total = lambda f: lambda x: jnp.sum(f({"x": x, "none": None}, N)["y"] ** 3)
    for transform in (nrx.grad, nrx.hessian, lambda f: nrx.jit(nrx.grad(f)), lambda f: nrx.jacfwd(nrx.grad(f))):
        assert_same(transform(total(g))(X), transform(total(f))(X))


def test_checkpoint_closes_over_tracers() -> None:
    f = lambda x: jnp.sum(nrx.checkpoint(lambda y: jnp.sin(x * y))(x * x))
    g = lambda x: jnp.sum(jnp.sin(x * x * x))
    for transform in (nrx.grad, nrx.hessian, lambda f: nrx.jit(nrx.jacfwd(nrx.grad(f)))):
        assert_same(transform(f)(X), transform(g)(X))


def test_checkpoint_with_static_arguments() -> None:
    f = nrx.checkpoint(lambda n, x, mode, *, scale: x**n * scale if mode == "power" else x, static_argnums=(0, 2))
    assert_same(nrx.grad(lambda x: jnp.sum(f(3, x, "power", scale=2.0)))(X), 6 * X**2)
    assert_same(f(3, X, "none", scale=2.0), X)


def test_remat_is_another_name() -> None:
    assert nrx.remat is nrx.checkpoint


@pytest.mark.parametrize("transform", [
    nrx.grad, nrx.jacfwd, lambda f: nrx.jit(nrx.grad(f)), lambda f: nrx.grad(nrx.jit(f)),
    lambda f: nrx.grad(nrx.grad(f)), lambda f: nrx.grad(nrx.checkpoint(f)),
    lambda f: lambda x: nrx.linearize(f, x)[1](1.0),
])  # fmt: skip
@pytest.mark.parametrize("loop", [
    lambda f: lambda x: lax.scan(lambda carry, _: (f(carry), None), x, None, length=2)[0],
    lambda f: lambda x: lax.fori_loop(0, 2, lambda i, carry: f(carry), x),
    lambda f: lambda x: lax.cond(x > 0, lambda x: f(f(x)), lambda x: x, x),
])  # fmt: skip
def test_the_effects_of_a_function_with_a_rule_show_once(transform: Callable, loop: Callable) -> None:
    """The rule calls the function, so that its effect belongs to the derivative as well."""
    seen: list[float] = []

    @nrx.custom_jvp
    def f(x: Any) -> Any:
        nrx.debug.callback(lambda value: seen.append(float(value)), x)
        return jnp.sin(x)

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0] * jnp.cos(*primals)))
    transform(loop(f))(0.5)
    np.testing.assert_allclose(seen, [0.5, np.sin(0.5)], rtol=1e-6)
