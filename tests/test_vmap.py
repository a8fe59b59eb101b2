"""vmap: where axes come from and go to, names of axes, collectives."""

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from oracles import assert_same, looped

import nrx
import nrx.numpy as jnp
from nrx import lax

M = jnp.asarray(np.sin(np.arange(12.0)).reshape(4, 3))
CUBE = jnp.asarray(np.cos(np.arange(24.0)).reshape(2, 3, 4))
V = jnp.asarray(np.linspace(-1, 1, 3))

Point = namedtuple("Point", "x y")


# in_axes


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("out_axis", [0, 1, -1])
def test_every_axis(axis: int, out_axis: int) -> None:
    f = lambda x: jnp.sin(x) @ jnp.arange(x.shape[1] * 1.0).astype("float64")
    rows = [np.asarray(f(x)) for x in np.moveaxis(np.asarray(CUBE), axis, 0).copy() for x in [jnp.asarray(x)]]
    assert_same(nrx.vmap(f, axis, out_axis)(CUBE), np.stack(rows, out_axis))


def test_arguments_of_different_axes() -> None:
    f = lambda a, b, c: a * b + c
    expected = np.stack([np.asarray(M)[:, i] * np.asarray(CUBE)[0, i] + 2.0 for i in range(3)])
    assert_same(nrx.vmap(f, (1, 0, None))(M, CUBE[0], 2.0), expected)
    assert_same(nrx.vmap(f, [-1, -2, None])(M, CUBE[0], 2.0), expected)


def test_in_axes_are_a_prefix_of_the_arguments() -> None:
    tree = {"a": M, "b": [V, (M.T, 5.0)], "none": None}
    axes = ({"a": 1, "b": [0, (0, None)], "none": None},)
    f = lambda t: t["a"] * t["b"][0] + t["b"][1][0] * t["b"][1][1]
    expected = np.stack([np.asarray(M)[:, i] * V[i] + np.asarray(M)[:, i] * 5.0 for i in range(3)])
    assert_same(nrx.vmap(f, axes)(tree), expected)
    assert_same(nrx.vmap(lambda p, q: p.x * p.y + q[0], (Point(1, None), 0))(Point(M, 2.0), (V,)), (2.0 * M + V).T)


def test_keyword_arguments_are_mapped_over_the_first_axis() -> None:
    f = lambda x, *, scale, shift: x * scale + shift["by"]
    assert_same(nrx.vmap(f)(V, scale=V, shift={"by": V}), V * V + V)
    assert_same(nrx.vmap(lambda *, x: jnp.sum(x))(x=M), np.sum(M, axis=1))


def test_keywords_with_no_positional_argument_mapped() -> None:
    assert_same(nrx.vmap(lambda a, *, b: a + b, in_axes=None)(1.0, b=V), V + 1)


def test_axis_size_without_mapped_arguments() -> None:
    assert_same(nrx.vmap(lambda x: x * 2, in_axes=None, axis_size=3)(M), np.stack([2 * M] * 3))
    assert_same(nrx.vmap(lambda: jnp.ones(2), axis_size=3)(), np.ones((3, 2)))
    assert nrx.vmap(lambda: 1.0, out_axes=None, axis_size=3)().shape == ()


# out_axes


def test_out_axes_are_a_prefix_of_the_results() -> None:
    f = lambda x: {"a": x, "b": (x * 2, jnp.sum(x)), "c": jnp.ones(2)}
    out = nrx.vmap(f, out_axes={"a": 1, "b": (-1, 0), "c": None})(M)
    assert_same([out["a"], *out["b"], out["c"]], [M.T, 2 * M.T, np.sum(M, axis=1), np.ones(2)])


def test_results_that_do_not_depend_on_the_argument_are_repeated() -> None:
    constant, python, dependent = nrx.vmap(lambda x: (V, 2, x))(M)
    assert_same([constant, dependent], [np.stack([V] * 4), M])
    assert (python.shape, python.dtype) == ((4,), np.int32)


def test_a_tracer_reports_the_shape_of_one_slice() -> None:
    shapes = []
    nrx.vmap(nrx.vmap(lambda x, y: (shapes.append((x.shape, y.ndim, len(x), x.size)), jnp.sum(x) * y)[1]), (0, None))(
        CUBE, V
    )
    assert shapes == [((4,), 0, 4, 4)]


# Nesting


def test_nested_vmaps_are_outer_products() -> None:
    a, b, c = (jnp.asarray(np.arange(1.0, n)) for n in (3, 4, 5))
    f = lambda a, b, c: a * 100 + b * 10 + c
    outer = nrx.vmap(nrx.vmap(nrx.vmap(f, (None, None, 0)), (None, 0, None)), (0, None, None))
    assert_same(outer(a, b, c), f(*np.meshgrid(a, b, c, indexing="ij")))


def test_vmap_gives_what_a_loop_gives() -> None:
    functions = [
        lambda x: jnp.sort(x)[::-1] * jnp.argmax(x),
        lambda x: jnp.where(x > 0, x, x**2).at[1].set(jnp.sum(x)),
        lambda x: x[jnp.argsort(x)][None, :] @ jnp.outer(x, x),
        lambda x: lax.scan(lambda c, t: (c * t, c + t), x[0], x),
        lambda x: lax.dynamic_slice(x, [jnp.argmin(x)], (2,)),
        lambda x: jnp.concatenate([x, jnp.zeros(2)]).reshape(5, 1).T,
        lambda x: nrx.jit(nrx.grad(lambda y: jnp.prod(y)))(x),
    ]
    for f in functions:
        assert_same(nrx.vmap(f)(M), looped(f, M))
        assert_same(nrx.jit(nrx.vmap(f))(M), looped(f, M))


def test_mapping_over_no_elements() -> None:
    out = nrx.vmap(lambda x: (jnp.sin(x), jnp.sum(x), x[0] > 0))(jnp.zeros((0, 3)))
    assert [(o.shape, o.dtype.name) for o in out] == [((0, 3), "float32"), ((0,), "float32"), ((0,), "bool")]


def test_per_example_gradients() -> None:
    loss = lambda w, x, y: (jnp.tanh(x @ w) - y) ** 2
    y = jnp.asarray(np.arange(4.0))
    got = nrx.vmap(nrx.grad(loss), (None, 0, 0))(V, M, y)
    assert_same(got, np.stack([nrx.grad(loss)(V, M[i], y[i]) for i in range(4)]))


# Named axes


def by_hand(f: Any, xs: Any) -> Any:
    """`vmap(f, axis_name="i")` where `f(x, everything, i)` is told what collectives tell."""
    return np.stack([np.asarray(f(xs[i], np.asarray(xs), i)) for i in range(len(xs))])


def test_collectives() -> None:
    m = np.asarray(M)
    cases = [
        (lambda x: lax.psum(x, "i") * x, lambda x, a, i: a.sum(0) * x),
        (lambda x: lax.pmean(x, "i") - x, lambda x, a, i: a.mean(0) - x),
        (lambda x: lax.pmax(x, "i") + x, lambda x, a, i: a.max(0) + x),
        (lambda x: lax.pmin(x, "i") + x, lambda x, a, i: a.min(0) + x),
        (lambda x: lax.all_gather(x, "i") * x, lambda x, a, i: a * x),
        (lambda x: lax.all_gather(x, "i", axis=1), lambda x, a, i: a.T),
        (lambda x: lax.all_gather(x, "i", axis=-1), lambda x, a, i: a.T),
        (lambda x: lax.all_gather(x, "i", tiled=True), lambda x, a, i: a.reshape(-1)),
        (lambda x: x * lax.axis_index("i"), lambda x, a, i: x * i),
        (lambda x: x * lax.axis_size("i"), lambda x, a, i: x * 4),
        (lambda x: x * lax.psum(1, "i"), lambda x, a, i: x * 4),
        (lambda x: lax.psum({"x": x, "y": 2.0}, "i")["y"] + x, lambda x, a, i: 8.0 + x),
        (lambda x: lax.psum(V, "i") + x, lambda x, a, i: 4 * np.asarray(V) + x),
        (lambda x: lax.pmean(V, "i") + x, lambda x, a, i: np.asarray(V) + x),
    ]
    for collective, loop in cases:
        expected = by_hand(loop, m)
        assert_same(nrx.vmap(collective, axis_name="i")(M), expected)
        assert_same(nrx.jit(nrx.vmap(nrx.jit(collective), axis_name="i"))(M), expected)
        assert_same(nrx.vmap(collective, in_axes=1, out_axes=-1, axis_name="i")(M.T), np.moveaxis(expected, 0, -1))


def test_pmean_of_integers_is_a_float() -> None:
    out = nrx.vmap(lambda n: lax.pmean(n, "i"), axis_name="i")(jnp.arange(4))
    assert out.dtype == np.float32
    assert_same(out, np.full(4, 1.5))


def test_collectives_over_two_axes() -> None:
    m = np.asarray(M)

    def f(x: Any) -> Any:
        both, rows, columns = lax.psum(x, ("r", "c")), lax.psum(x, "r"), lax.psum(x, "c")
        return both, rows, columns, lax.axis_index("r") * 10 + lax.axis_index("c"), lax.all_gather(x, "r")

    both, rows, columns, index, gathered = nrx.vmap(nrx.vmap(f, axis_name="c"), axis_name="r")(M)
    assert_same(both, np.full((4, 3), m.sum()))
    assert_same([rows, columns], [np.broadcast_to(m.sum(0), (4, 3)), np.broadcast_to(m.sum(1)[:, None], (4, 3))])
    assert_same(index, np.arange(4)[:, None] * 10 + np.arange(3))
    assert_same(gathered, np.broadcast_to(m.T[None], (4, 3, 4)))


def test_the_innermost_axis_of_a_name_is_meant() -> None:
    out = nrx.vmap(nrx.vmap(lambda x: lax.psum(x, "i"), axis_name="i"), axis_name="i")(M)
    assert_same(out, np.broadcast_to(np.asarray(M).sum(1)[:, None], (4, 3)))


def test_names_may_be_any_hashable() -> None:
    assert_same(nrx.vmap(lambda x: lax.psum(x, 7), axis_name=7)(V), np.full(3, np.sum(V)))


def test_unmapped_calls_may_still_use_the_name() -> None:
    def f(x: Any) -> Any:
        index = nrx.jit(lambda: lax.axis_index("i"))()
        counted = lax.fori_loop(0, 2, lambda k, c: c + lax.axis_index("i"), 0)
        chosen = lax.cond(True, lambda: lax.axis_index("i"), lambda: 0)
        kept = nrx.checkpoint(lambda: lax.psum(1.0, "i") * lax.axis_index("i"))()
        return x + index + counted + chosen + kept

    assert_same(nrx.vmap(f, axis_name="i")(V), np.asarray(V) + 8 * np.arange(3) - np.arange(3))


def test_jit_is_traced_again_where_other_axes_are_in_scope() -> None:
    f = nrx.jit(lambda x: x * lax.axis_size("i"))
    assert_same(nrx.vmap(f, axis_name="i")(V), 3 * V)
    assert_same(nrx.vmap(f, axis_name="i")(M[:, 0]), 4 * M[:, 0])
    assert_same(nrx.vmap(f, axis_name="i")(V), 3 * V)
    assert f.trace_count == 2


def test_gradients_through_collectives() -> None:
    m = np.asarray(M)
    weights = jnp.asarray(np.cos(np.arange(12.0)).reshape(4, 3))
    loss = lambda f: lambda m: jnp.sum(weights * nrx.vmap(f, axis_name="i")(m))
    w = np.asarray(weights)
    assert_same(nrx.grad(loss(lambda x: lax.psum(x, "i")))(M), np.broadcast_to(w.sum(0), (4, 3)))
    assert_same(nrx.grad(loss(lambda x: lax.pmean(x, "i")))(M), np.broadcast_to(w.mean(0), (4, 3)))
    chosen = np.zeros((4, 3))
    chosen[m.argmax(0), range(3)] = w.sum(0)
    assert_same(nrx.grad(loss(lambda x: lax.pmax(x, "i")))(M), chosen)
    chosen = np.zeros((4, 3))
    chosen[m.argmin(0), range(3)] = w.sum(0)
    assert_same(nrx.jit(nrx.grad(loss(lambda x: lax.pmin(x, "i"))))(M), chosen)
    gathered = lambda x: jnp.sum(lax.all_gather(x, "i") ** 2, axis=0)
    assert_same(nrx.grad(loss(gathered))(M), 2 * m * w.sum(0))
    indexed = lambda x: x * lax.axis_index("i")
    assert_same(nrx.grad(loss(indexed))(M), w * np.arange(4)[:, None])


def test_gradients_inside_a_named_axis() -> None:
    """A lane's gradient is that of the sum of all lanes' losses, as a lane's value goes into all of them."""
    x, k = np.asarray(V), 1.0 + np.arange(3)
    weight = lambda: 1.0 + lax.axis_index("i")
    chosen = lambda at: np.where(np.arange(3) == at, k.sum(), 0.0)
    cases = [
        (lambda x: weight() * lax.psum(x**2, "i"), 2 * x * k.sum()),
        (lambda x: weight() * lax.pmean(x**2, "i"), 2 * x * k.mean()),
        (lambda x: weight() * lax.pmax(x, "i"), chosen(x.argmax())),
        (lambda x: weight() * lax.pmin(x, "i"), chosen(x.argmin())),
        (lambda x: weight() * jnp.sum(lax.all_gather(x, "i") ** 2), 2 * x * k.sum()),
        (lambda x: weight() * jnp.sum(lax.all_gather(x[None], "i", tiled=True) ** 2), 2 * x * k.sum()),
        (lambda x: weight() * lax.all_gather(x, "i")[0], np.array([k.sum(), 0.0, 0.0])),
    ]
    for loss, expected in cases:
        assert_same(nrx.vmap(nrx.grad(loss), axis_name="i")(V), expected)
        assert_same(nrx.jit(nrx.vmap(nrx.jit(nrx.grad(loss)), axis_name="i"))(V), expected)
        assert_same(nrx.vmap(nrx.grad(nrx.checkpoint(loss)), axis_name="i")(V), expected)


def test_ties_share_the_gradient_of_pmax() -> None:
    tied = jnp.asarray(np.array([1.0, 3.0, 3.0]))
    largest = nrx.vmap(lambda x: lax.pmax(x, "i"), axis_name="i")
    assert_same(nrx.grad(lambda x: largest(x)[0])(tied), np.array([0.0, 0.5, 0.5]))
    assert_same(nrx.vmap(nrx.grad(lambda x: lax.pmax(x, "i")), axis_name="i")(tied), np.array([0.0, 1.5, 1.5]))


def test_second_derivatives_through_collectives() -> None:
    f = lambda x: jnp.sum(nrx.vmap(lambda x: lax.psum(x * x, "i") * x, axis_name="i")(x))
    x = np.asarray(V)
    expected = 2 * np.eye(3) * x.sum() + 2 * x[:, None] + 2 * x
    assert_same(nrx.hessian(f)(V), expected)


# Python in mapped functions


def test_closures_are_not_mapped() -> None:
    assert_same(nrx.vmap(lambda x: x * M)(V), np.asarray(V)[:, None, None] * np.asarray(M))


def test_closures_over_tracers_of_outer_maps() -> None:
    out = nrx.vmap(lambda a: nrx.vmap(lambda b: a * b + jnp.sum(a * V))(V))(V)
    v = np.asarray(V)
    assert_same(out, v[:, None] * v + (v * v.sum())[:, None])


def test_decorator_and_reuse() -> None:
    @nrx.vmap
    def double(x: Any) -> Any:
        """Twice."""
        return 2 * x

    assert_same([double(V), double(M)], [2 * V, 2 * M])
    assert double.__doc__ == "Twice."
