"""cond, switch, while_loop, fori_loop, scan and map, against Python's own control flow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import assert_same, gradient, looped

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core.errors import MissingRuleError
from nrx.transforms.linearize import linearize_flat

X = jnp.asarray(np.linspace(0.3, 1.1, 4))
Y = jnp.asarray(np.linspace(-1.2, 0.9, 4))
COUNTS = jnp.asarray(np.array([3, 0, 5, 1]))


def python_scan(f: Callable, carry: Any, xs: Any, length: int, reverse: bool = False) -> tuple[Any, Any]:
    """`lax.scan` as a Python loop."""
    ys = []
    for i in reversed(range(length)) if reverse else range(length):
        carry, y = f(carry, nrx.tree.map(lambda x, i=i: x[i], xs))
        ys.append(y)
    if reverse:
        ys.reverse()
    return carry, nrx.tree.map(lambda *rows: jnp.stack(rows), *ys)


# cond and switch


@pytest.mark.parametrize("pred", [True, False, jnp.asarray(1), 0.0, np.bool_(True), jnp.asarray(-0.5)])
def test_cond_takes_anything_with_a_truth_value(pred: Any) -> None:
    for call in (lax.cond, nrx.jit(lax.cond, static_argnums=(1, 2))):
        assert float(call(pred, lambda x: x + 1, lambda x: x - 1, 5.0)) == (6.0 if bool(pred) else 4.0)


def test_cond_runs_one_branch_only() -> None:
    endless = lambda x: lax.while_loop(lambda v: v == v, lambda v: v, x)
    for call in (lax.cond, nrx.jit(lax.cond, static_argnums=(1, 2))):
        assert float(call(True, lambda x: x, endless, 1.0)) == 1.0


def test_cond_takes_trees_and_the_old_operand() -> None:
    out = lax.cond(True, lambda t, n: {"y": t["a"] * n}, lambda t, n: {"y": t["a"]}, {"a": X, "none": None}, 3)
    assert_same(out, {"y": 3 * X})
    assert float(lax.cond(False, lambda _: 1.0, lambda _: 2.0, operand=None)) == 2.0
    assert float(lax.cond(True, lambda x: x, lambda x: -x, operand=4.0)) == 4.0
    assert lax.cond(True, lambda: None, lambda: None) is None


def test_weak_results_take_the_type_of_the_other_branch() -> None:
    out = lax.cond(True, lambda: 1, lambda: jnp.zeros((), "float64"))
    assert (out.dtype, float(out), out.weak_type) == (np.float64, 1.0, False)
    assert lax.cond(False, lambda: 1, lambda: 2.5).dtype == np.float32
    assert lax.switch(2, [lambda: 1, lambda: 2.5, lambda: 1j]).dtype == np.complex64


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 9])
def test_switch_clamps_its_index(index: int) -> None:
    branches = [lambda x: x, lambda x: x * 10, lambda x: x * 100]
    expected = 2 * 10 ** min(max(index, 0), 2)
    assert int(lax.switch(index, branches, 2)) == expected
    assert int(lax.switch(jnp.asarray(index, "int8"), branches, 2)) == expected
    assert int(nrx.jit(lambda i: lax.switch(i, branches, 2))(index)) == expected


def test_switch_takes_a_single_operand_by_keyword() -> None:
    branches = [lambda x: x + 1, lambda x: x * 10]
    assert [int(nrx.lax.switch(i, branches, operand=3)) for i in (0, 1)] == [4, 30]
    assert int(nrx.lax.switch(0, [lambda x: 5], operand=None)) == 5


def test_switch_with_indices_of_other_dtypes_and_many_branches() -> None:
    assert int(lax.switch(5, [lambda x: x + 1], 1)) == 2
    assert int(lax.switch(jnp.asarray(np.uint32(2**32 - 1)), [lambda: 0, lambda: 1])) == 1
    assert int(lax.switch(jnp.asarray(np.int64(2**40)), [lambda: 0, lambda: 1])) == 1
    assert int(lax.switch(jnp.asarray(np.int64(-(2**40))), [lambda: 0, lambda: 1])) == 0
    assert int(lax.switch(jnp.asarray(5, "int8"), [lambda k=k: k for k in range(200)])) == 5


def test_derivatives_of_branches() -> None:
    f = lambda x: lax.cond(x[0] > 0, lambda x: jnp.sum(jnp.sin(x) * x), lambda x: x[1] ** 2, x)
    for x in (X, Y):
        assert_same(nrx.grad(f)(x), gradient(f, x), rtol=1e-8, atol=1e-9)
        assert_same(nrx.jit(nrx.jacfwd(f))(x), gradient(f, x), rtol=1e-8, atol=1e-9)
    assert_same(nrx.hessian(f)(Y)[1], np.array([0.0, 2.0, 0.0, 0.0]))


def test_branches_may_use_different_closures() -> None:
    def f(x: Any, y: Any) -> Any:
        return lax.switch(1, [lambda: x * 2, lambda: x * y * Y, lambda: y, lambda: X])

    assert_same(nrx.grad(lambda *a: jnp.sum(f(*a)), (0, 1))(X, X), (X * Y, X * Y))
    assert_same(nrx.vmap(f)(jnp.stack([X, Y]), jnp.stack([Y, Y])), np.stack([X * Y * Y, Y * Y * Y]))


def test_batched_predicates_choose_lane_by_lane() -> None:
    f = lambda p, x, y: lax.cond(p > 0, lambda x, y: (x * 2, y), lambda x, y: (y, x * y), x, y)
    assert_same(nrx.vmap(f)(Y, X, Y), looped(f, Y, X, Y))
    assert_same(nrx.vmap(f, (0, None, None))(Y, X, Y), looped(lambda p: f(p, X, Y), Y))
    assert_same(nrx.vmap(f, (None, 0, None), out_axes=-1)(1.0, X, 2.0), [2 * X, np.full(4, 2.0)])


def test_a_gradient_does_not_see_the_other_branch() -> None:
    f = lambda x: lax.cond(x > 0, lambda x: jnp.sqrt(x), lambda x: 0.0 * x, x)
    assert float(nrx.grad(f)(0.0)) == 0.0
    assert_same(nrx.vmap(nrx.grad(f))(jnp.asarray([0.0, 4.0])), np.array([0.0, 0.25], "float32"))


def test_loops_in_branches_that_not_every_lane_takes() -> None:
    """The loop ends for n = 1 and n = 5 only; lanes that do not choose it must not run it."""

    def to_five(x: Any, n: Any) -> Any:
        body = lambda s: (s[0] + s[2], s[1] * x, s[2])
        return lax.while_loop(lambda s: s[0] != 5, body, (0, x, n))[1]

    f = lambda x, n: lax.cond(n == 1, to_five, lambda x, n: jnp.sin(x) * n, x, n)
    g = lambda x, n: lax.switch(n, [lambda x, n: x, to_five, lambda x, n: x * n, lambda x, n: -x], x, n)
    h = lambda x, n: lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, f(s[1], n)), (0, x))[1]
    for call in (f, g, h):
        for counts in (COUNTS, 0 * COUNTS):
            assert_same(nrx.vmap(call)(X, counts), looped(call, X, counts))
            got = nrx.jit(nrx.vmap(lambda x, n, call=call: nrx.jvp(lambda x: call(x, n), (x,), (1.0,))))(X, counts)
            assert_same(got, looped(lambda x, n, call=call: nrx.jvp(lambda x: call(x, n), (x,), (1.0,)), X, counts))
    assert nrx.vmap(f)(X[:0], COUNTS[:0]).shape == (0,)


# while_loop


def test_while_loop_is_a_while_loop() -> None:
    def collatz(n: Any) -> Any:
        step = lambda s: (jnp.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1)
        return lax.while_loop(lambda s: s[0] != 1, step, (n, 0))[1]

    def python(n: int) -> int:
        steps = 0
        while n != 1:
            n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
        return steps

    numbers = jnp.arange(1, 30)
    expected = [python(n) for n in range(1, 30)]
    assert [int(collatz(n)) for n in range(1, 30)] == expected
    assert nrx.vmap(collatz)(numbers).tolist() == expected
    assert nrx.jit(nrx.vmap(nrx.vmap(collatz)))(numbers[:28].reshape(4, 7)).ravel().tolist() == expected[:28]


def test_a_loop_that_never_runs() -> None:
    assert_same(lax.while_loop(lambda v: False, lambda v: v * 2, X), X)
    assert_same(nrx.jvp(lambda x: lax.while_loop(lambda v: v[0] < 0, lambda v: v * 2, x), (X,), (Y,)), (X, Y))


def test_while_carries_trees_and_closes_over_tracers() -> None:
    def f(x: Any, limit: Any) -> Any:
        body = lambda s: {"n": s["n"] + 1, "v": jnp.sin(s["v"]) * x + limit, "none": None}
        return lax.while_loop(lambda s: s["n"] < limit, body, {"n": 0.0, "v": x, "none": None})["v"]

    def unrolled(x: Any, limit: float) -> Any:
        v, n = x, 0.0
        while n < limit:
            v, n = jnp.sin(v) * x + limit, n + 1
        return v

    for limit in (0.0, 1.0, 3.0):
        for transform in (
            lambda f: f,
            nrx.jacfwd,
            lambda f: nrx.jacfwd(nrx.jacfwd(f)),
            lambda f: nrx.vmap(f, (0, None)),
        ):
            assert_same(transform(f)(X, limit), transform(unrolled)(X, limit))
        assert_same(nrx.jvp(f, (X, limit), (Y, 1.0)), nrx.jvp(unrolled, (X, limit), (Y, 1.0)), rtol=1e-6)


def test_lanes_stop_at_different_times() -> None:
    f = lambda x, n: lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * x + 1.0), (0, x))[1]
    assert_same(nrx.vmap(f)(X, COUNTS), looped(f, X, COUNTS))
    assert_same(nrx.vmap(f, (0, None))(X, 3), looped(lambda x: f(x, 3), X))
    assert_same(nrx.vmap(f, (None, 0))(0.5, COUNTS), looped(lambda n: f(0.5, n), COUNTS))
    pushed = lambda x, n: nrx.jvp(lambda x: f(x, n), (x,), (1.0,))
    assert_same(nrx.vmap(pushed)(X, COUNTS), looped(pushed, X, COUNTS))


def test_nested_loops_end_for_every_lane() -> None:
    """The inner loop ends only if it starts at or below 4: it must not run for lanes that have finished above."""

    def f(start: Any, end: Any) -> Any:
        inner = lambda k: lax.while_loop(lambda s: s[0] != 4, lambda s: (s[0] + 1, s[1] + s[0]), (k, 0))[1]
        outer = lambda s: (s[0] + 1, s[1] + inner(s[0]))
        return lax.while_loop(lambda s: s[0] < end, outer, (start, 0))

    starts, ends = jnp.asarray(np.array([0, 5, 2, 7])), jnp.asarray(np.array([4, 5, 5, 0]))
    assert_same(nrx.vmap(f)(starts, ends), looped(f, starts, ends))
    assert_same(nrx.vmap(f, (0, None))(starts, 5), looped(lambda start: f(start, 5), starts))
    in_twos = nrx.jit(nrx.vmap(nrx.vmap(f)))(starts.reshape(2, 2), ends.reshape(2, 2))
    assert_same(in_twos[1].ravel(), looped(f, starts, ends)[1])
    assert nrx.vmap(f)(starts[:0], ends[:0])[0].shape == (0,)


def test_weak_carries_take_the_type_of_the_body() -> None:
    doubled = lambda v: v * jnp.asarray(np.float64(2.0))
    assert lax.while_loop(lambda v: v < 5, doubled, 1).dtype == np.float64
    assert lax.fori_loop(0, 3, lambda i, v: doubled(v), 1.0).dtype == np.float64
    carry, ys = lax.scan(lambda c, x: (c + x, c), 0, X)
    assert (carry.dtype, ys.dtype) == (np.float64, np.float64)
    assert lax.scan(lambda c, _: ((c[1], c[1] * 1.5), None), (0, 1), None, length=3)[0][0].dtype == np.float32


def test_carries_that_change_their_type_forever_are_refused() -> None:
    with pytest.raises(nrx.errors.DTypeError, match="carry was"):
        lax.scan(lambda c, _: (1 if c.dtype == np.float32 else 1.5, None), 0, None, length=3)


def test_reverse_mode_through_while_is_refused() -> None:
    f = lambda x: lax.while_loop(lambda v: v < 10.0, lambda v: v * 2, x)
    g = lambda x: lax.fori_loop(0, x.astype(int), lambda i, v: v * 2, x)
    for call in (nrx.grad(f), nrx.jit(nrx.grad(f)), nrx.grad(nrx.jit(f)), nrx.jit(nrx.grad(g)), nrx.jacrev(f)):
        with pytest.raises(MissingRuleError, match="while_loop"):
            call(3.0)
    assert float(nrx.grad(g)(3.0)) == 8.0  # the bound is known where only the gradient is traced
    assert float(nrx.jacfwd(f)(3.0)) == 4.0


def test_loops_of_integers_do_not_disturb_gradients() -> None:
    def f(x: Any) -> Any:
        count = lax.while_loop(lambda n: n < 5, lambda n: n + 2, 0)
        return x * count

    assert float(nrx.grad(f)(2.0)) == 6.0
    assert float(nrx.grad(nrx.jit(f))(2.0)) == 6.0


# fori_loop


@pytest.mark.parametrize(("low", "high"), [(0, 4), (2, 5), (-2, 1), (3, 3), (5, 2)])
def test_fori_loop_is_a_range(low: int, high: int) -> None:
    expected = 1
    for i in range(low, high):
        expected = expected * 2 + i
    f = lambda low, high: lax.fori_loop(low, high, lambda i, v: v * 2 + i, 1)
    assert (
        int(f(low, high)) == int(nrx.jit(f)(low, high)) == int(f(jnp.asarray(low, "int8"), np.int64(high))) == expected
    )
    assert int(nrx.vmap(f, (0, None))(jnp.asarray([low]), high)[0]) == expected


def test_fori_loop_of_fixed_length_has_gradients() -> None:
    f = lambda x: jnp.sum(lax.fori_loop(0, 4, lambda i, v: jnp.sin(v) * x + i, x))
    assert_same(nrx.grad(f)(X), gradient(f, X), rtol=1e-8, atol=1e-8)
    assert_same(nrx.jit(nrx.grad(f))(X), nrx.grad(f)(X))


# scan

STEPS: dict[str, tuple[Callable, Any, Any, int]] = {
    "plain": (lambda c, x: (c * x + 1.0, c), jnp.asarray(np.float64(0.5)), X, 4),
    "tree": (
        lambda c, x: ({"a": c["a"] * x["u"], "b": (c["a"] + x["v"], None)}, [c["b"][0], {"y": x["u"]}]),
        {"a": X, "b": (Y, None)},
        {"u": X, "v": jnp.outer(X, Y)},
        4,
    ),
    "no xs": (lambda c, _: (jnp.sin(c), jnp.cos(c)), X, None, 3),
    "no carry": (lambda c, x: ((), jnp.sin(x)), (), X, 4),
    "no ys": (lambda c, x: (c * x, None), X, jnp.outer(X, Y), 4),
    "carry is x": (lambda c, x: (x, c), X, jnp.outer(X, Y), 4),
    "constant y": (lambda c, x: (c, Y), X, X, 4),
    "closure": (lambda c, x: (c + x @ Y * Y, x * Y), X, jnp.outer(X, Y), 4),
    "swapped": (lambda c, x: ((c[1], c[0] * x), c[0]), (X, Y), X, 4),
    "integers": (
        lambda c, x: ((c[0] + 1, c[1] * x[0] + c[0], c[2] ^ (x[1] > 1)), (c[0] * x[1], c[2])),
        (jnp.asarray(0), X, jnp.asarray(False)),
        (X, jnp.arange(4)),
        4,
    ),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_scan_is_a_loop(name: str, reverse: bool) -> None:
    f, init, xs, length = STEPS[name]
    expected = python_scan(f, init, xs, length, reverse)
    for call in (lax.scan, nrx.jit(lax.scan, static_argnums=0, static_argnames=("length", "reverse"))):
        got = call(f, init, xs, length=length, reverse=reverse)
        assert nrx.tree.structure(got) == nrx.tree.structure(expected)
        assert_same(got, expected)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_derivatives_of_scan_are_those_of_a_loop(name: str, reverse: bool) -> None:
    f, init, xs, length = STEPS[name]

    def loss(loop: Callable) -> Callable:
        def run(init: Any, xs: Any, scale: Any) -> Any:
            scaled = lambda tree: nrx.tree.map(
                lambda x: x * scale if jnp.issubdtype(x.dtype, jnp.floating) else x, tree
            )
            out = loop(lambda c, x: f(c, scaled(x)), scaled(init), xs, length, reverse)
            return sum(
                jnp.sum(jnp.sin(leaf)) for leaf in nrx.tree.leaves(out) if jnp.issubdtype(leaf.dtype, jnp.floating)
            )

        return run

    rolled, unrolled = (loss(loop) for loop in (lax.scan, python_scan))
    scale = jnp.asarray(np.float64(1.5))
    transforms = [
        lambda f: nrx.grad(f, (0, 1, 2), allow_int=True),
        lambda f: nrx.jit(nrx.grad(f, 2)),
        lambda f: nrx.jacfwd(nrx.grad(f, 2), 2),
        lambda f: nrx.grad(nrx.grad(f, 2), 2),
    ]
    for transform in transforms:
        assert_same(transform(rolled)(init, xs, scale), transform(unrolled)(init, xs, scale), atol=1e-10)
    for_each = lambda f: nrx.vmap(nrx.grad(f, 2), (None, None, 0))
    assert_same(for_each(rolled)(init, xs, X), for_each(unrolled)(init, xs, X), atol=1e-10)


@pytest.mark.parametrize("in_axes", [(0, None), (None, 0), (0, 0), (1, 2), (-1, -2)])
def test_batched_scans(in_axes: tuple) -> None:
    rng = np.random.default_rng(0)
    f = lambda init, xs: lax.scan(lambda c, x: (jnp.sin(c) * x, (c, x * 2.0)), init, xs)
    shapes = [(2,), (4, 2)]
    full = [
        rng.standard_normal(s if a is None else np.insert(s, a % (len(s) + 1), 3))
        for s, a in zip(shapes, in_axes, strict=True)
    ]
    expected = []
    for i in range(3):
        args = [x if a is None else np.take(x, i, a) for x, a in zip(full, in_axes, strict=True)]
        expected.append(nrx.tree.leaves(f(*map(jnp.asarray, args))))
    stacked = [np.stack(column) for column in zip(*expected, strict=True)]
    assert_same(nrx.vmap(f, in_axes)(*map(jnp.asarray, full)), stacked)


def test_a_carry_that_becomes_batched_on_the_way() -> None:
    f = lambda x: lax.scan(lambda c, _: ((c[1], c[2], c[2] * x), None), (0.0, 1.0, 2.0), None, length=3)[0]
    assert_same(nrx.vmap(f)(X), looped(f, X))


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_of_no_steps(reverse: bool) -> None:
    empty = jnp.zeros((0, 3), "float64")
    f = lambda c, x: (c * jnp.sum(x), {"y": x * 2, "n": 1})
    carry, ys = lax.scan(f, X, empty, reverse=reverse)
    assert_same(carry, X)
    assert (ys["y"].shape, ys["n"].shape, ys["y"].dtype) == ((0, 3), (0,), np.float64)
    assert_same(nrx.grad(lambda c: jnp.sum(lax.scan(f, c, empty)[0]))(X), np.ones(4))
    assert nrx.grad(lambda e: jnp.sum(lax.scan(f, X, e)[0]))(empty).shape == (0, 3)
    assert lax.scan(lambda c, _: (c, c), 1.0, None, length=0)[1].shape == (0,)
    assert lax.map(jnp.sin, empty).shape == (0, 3)


def test_scan_traces_its_body_once_per_call() -> None:
    traced = []
    lax.scan(lambda c, x: (traced.append(1), (c + x, c))[1], jnp.asarray(np.float64(0)), X)
    assert len(traced) == 1


def test_bodies_may_close_over_tracers_of_several_transformations() -> None:
    def f(x: Any) -> Any:
        def g(y: Any) -> Any:
            step = lambda c, t: (jnp.sin(c * x) * y + t, c * t)
            c, ys = lax.scan(step, y, X)
            return c + jnp.sum(ys)

        def unrolled(y: Any) -> Any:
            c, ys = python_scan(lambda c, t: (jnp.sin(c * x) * y + t, c * t), y, X, 4)
            return c + jnp.sum(ys)

        return jnp.stack([nrx.grad(h)(x * x) for h in (g, unrolled)])

    for transform in (lambda f: f, nrx.jacfwd, nrx.jit, lambda f: nrx.jit(nrx.jacrev(f))):
        rolled, unrolled = transform(f)(jnp.asarray(np.float64(0.7)))
        assert_same(rolled, unrolled)
    rolled, unrolled = nrx.vmap(nrx.jacfwd(f), out_axes=1)(X)
    assert_same(rolled, unrolled)


def test_what_is_the_same_in_every_step_is_kept_once() -> None:
    w = jnp.asarray(np.cos(np.arange(100.0)).reshape(10, 10))
    f = lambda w, xs: jnp.sum(lax.scan(lambda c, x: (jnp.tanh(w @ c) + x, None), xs[0], xs)[0])
    _, linear = linearize_flat(lambda *args: [f(*args)], [w, jnp.ones((20, 10), "float64")])
    kept = [const.shape for const in linear.program.consts]
    assert kept.count((10, 10)) == 1
    assert all(shape in ((10, 10), (20, 10)) for shape in kept)


def test_unroll_changes_nothing() -> None:
    f = lambda **options: lax.scan(lambda c, x: (c * x, c), 2.0, X, **options)
    assert_same(f(unroll=3), f())
    assert_same(f(unroll=True), f())


# map


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 4, 9])
def test_map(batch_size: int | None) -> None:
    f = lambda t: {"s": jnp.sin(t["x"]), "m": t["x"] * t["row"]}
    xs = {"x": X, "row": jnp.outer(X, Y)}
    got = lax.map(f, xs, batch_size=batch_size)
    assert_same(got, {"s": np.sin(X), "m": np.asarray(X)[:, None] * np.outer(X, Y)})
    loss = lambda x: jnp.sum(lax.map(lambda v: v**3, x, batch_size=batch_size))
    assert_same(nrx.grad(loss)(X), 3 * X**2)


@pytest.mark.parametrize("size", [3, 17, 20, 32, 40])
def test_sums_of_sums_in_a_loop_over_a_short_vector(size: int) -> None:
    """What is first needed inside of one sum is used outside of it as well."""
    matrix = np.random.default_rng(0).normal(size=(size, size)) / size

    def step(x: Any, xp: Any) -> Any:
        norm = xp.vdot(x, x)
        return xp.vdot(x, matrix @ (x / norm)) * x + xp.cos(norm)

    x = expected = np.linspace(0.1, 0.3, size)
    for _ in range(2):
        expected = step(expected, np)
    looped = nrx.jit(lambda x: lax.while_loop(lambda s: s[1] < 2, lambda s: (step(s[0], jnp), s[1] + 1), (x, 0))[0])
    np.testing.assert_allclose(looped(x), expected, rtol=1e-12)


def test_registers_are_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A carried vector times a matrix reads its registers by number: no chain of selects for each element."""
    pytest.importorskip("llvmlite")
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(20, 20)) / 8, rng.normal(size=20)
    monkeypatch.setenv("NRX_DUMP", str(tmp_path))
    out = nrx.jit(lambda a, x: lax.fori_loop(0, 30, lambda _, c: c @ a + x, x))(a, x)
    expected = x
    for _ in range(30):
        expected = expected @ a + x
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    (kernel,) = tmp_path.glob("*/*-kernel*.txt")
    assert "select" not in kernel.read_text()
