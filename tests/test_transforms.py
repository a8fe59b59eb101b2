"""The derivatives: jvp, linearize, linear_transpose, vjp, grad, value_and_grad, jacfwd, jacrev, hessian."""

import dataclasses
import functools
import warnings
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from oracles import assert_same, gradient

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core.dtypes import float0

X = jnp.asarray(np.linspace(0.3, 1.1, 4))
Y = jnp.asarray(np.linspace(-1.2, 0.9, 4))
M = jnp.asarray(np.sin(np.arange(12.0)).reshape(4, 3))
N = jnp.asarray(np.arange(4))

Point = namedtuple("Point", "x y")


@nrx.tree_util.register_pytree_node_class
class Pair:
    """A registered class with one static field."""

    def __init__(self, a: Any, b: Any, name: str):
        self.a, self.b, self.name = a, b, name

    def tree_flatten(self) -> tuple:
        return (self.a, self.b), self.name

    @classmethod
    def tree_unflatten(cls, name: str, children: tuple) -> "Pair":
        return cls(*children, name)


def is_float0(x: Any, shape: tuple) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == float0 and x.shape == shape


# jvp


def test_jvp_is_the_directional_derivative() -> None:
    value, tangent = nrx.jvp(lambda x, y: jnp.sin(x) * y, (X, Y), (Y, X))
    assert_same([value, tangent], [np.sin(X) * Y, np.cos(X) * Y * Y + np.sin(X) * X])


def test_jvp_of_trees_with_none_and_no_elements() -> None:
    tree = {"a": X, "none": None, "empty": jnp.zeros((0, 2), "float64"), "pair": Pair(Y, [X], "p")}
    tangent = {"a": Y, "none": None, "empty": jnp.zeros((0, 2), "float64"), "pair": Pair(X, [Y], "p")}
    value, out = nrx.jvp(
        lambda t: Pair(t["a"] * t["pair"].a, {"e": t["empty"], "n": t["none"]}, "q"), (tree,), (tangent,)
    )
    assert isinstance(out, Pair)
    assert out.name == "q"
    assert out.b["n"] is None
    assert_same(out.a, Y * Y + X * X)
    assert out.b["e"].shape == value.b["e"].shape == (0, 2)


def test_jvp_of_integers_takes_and_gives_float0() -> None:
    zeros = np.zeros(4, float0)
    value, (float_tangent, integer_tangent, bool_tangent) = nrx.jvp(
        lambda x, n: (x * n, n * 2, x > 0.5), (X, N), (Y, zeros)
    )
    assert_same(float_tangent, Y * np.arange(4))
    assert is_float0(integer_tangent, (4,))
    assert is_float0(bool_tangent, (4,))
    assert value[1].dtype == N.dtype


def test_jvp_of_a_constant_gives_zeros() -> None:
    value, tangent = nrx.jvp(lambda x: (3.0, jnp.zeros_like(x)), (X,), (Y,))
    assert (float(value[0]), float(tangent[0])) == (3.0, 0.0)
    assert_same(tangent[1], np.zeros(4))


def test_jvp_runs_the_function_once() -> None:
    calls = []
    nrx.jvp(lambda x: (calls.append(1), x * x)[1], (X,), (Y,))
    assert calls == [1]


def test_jvp_converts_weak_tangents() -> None:
    _, tangent = nrx.jvp(lambda x: x * x, (jnp.asarray(np.float64(3.0)),), (1.0,))
    assert tangent.dtype == np.float64
    assert float(tangent) == 6.0


def test_jvp_with_aux() -> None:
    value, tangent, aux = nrx.jvp(lambda x: (x * x, {"x": x, "text": "kept", "none": None}), (X,), (Y,), has_aux=True)
    assert_same([value, tangent, aux["x"]], [X * X, 2 * X * Y, X])
    assert (aux["text"], aux["none"]) == ("kept", None)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "complex64", "complex128"])
def test_derivatives_keep_the_dtype(dtype: str) -> None:
    x = jnp.asarray([1.0, 2.0]).astype(dtype)
    assert nrx.jvp(lambda x: x * x, (x,), (x,))[1].dtype == x.dtype
    assert nrx.vjp(lambda x: x * x, x)[1](x)[0].dtype == x.dtype
    assert nrx.grad(lambda x: jnp.sum(jnp.abs(x * x)).astype("float32"))(x).dtype == x.dtype


# linearize


def test_linearize_runs_the_function_once() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return jnp.sin(x) * x

    value, f_jvp = nrx.linearize(f, X)
    assert_same(value, np.sin(X) * X)
    for tangent in (Y, X, jnp.zeros_like(X)):
        assert_same(f_jvp(tangent), (np.cos(X) * X + np.sin(X)) * tangent)
    assert calls == [1]


def test_linearize_of_trees_and_integers() -> None:
    value, f_jvp, aux = nrx.linearize(
        lambda t, n: ({"out": t.x * t.y * n, "n": n}, "aux"), Point(X, Y), N, has_aux=True
    )
    out = f_jvp(Point(Y, X), np.zeros(4, float0))
    assert_same(out["out"], (Y * Y + X * X) * np.arange(4))
    assert is_float0(out["n"], (4,))
    assert aux == "aux"
    assert value["n"] is N


def test_the_linear_function_works_under_transformations() -> None:
    _, f_jvp = nrx.linearize(lambda x: jnp.sin(x) * x, X)
    slope = np.cos(X) * X + np.sin(X)
    assert_same(nrx.jit(f_jvp)(Y), slope * Y)
    assert_same(nrx.vmap(f_jvp)(jnp.stack([X, Y])), [slope * np.stack([X, Y])])
    assert_same(nrx.grad(lambda t: jnp.sum(f_jvp(t) ** 2))(Y), 2 * slope**2 * Y)


def test_what_linear_transpose_returns_is_a_pytree() -> None:
    transposed = nrx.jit(lambda a: nrx.linear_transpose(lambda x: {"y": a * x}, X))(Y)
    assert_same(transposed({"y": X}), (X * Y,))
    assert_same(nrx.jit(lambda f, ct: f(ct))(transposed, {"y": X}), (X * Y,))


def test_what_linearize_returns_is_a_pytree() -> None:
    value, f_jvp = nrx.jit(lambda x: nrx.linearize(lambda x: {"y": jnp.sin(x) * x}, x))(X)
    assert_same(value["y"], np.sin(X) * X)
    assert_same(f_jvp(Y)["y"], (np.cos(X) * X + np.sin(X)) * Y)
    assert_same(nrx.jit(lambda f, t: f(t)["y"])(f_jvp, Y), f_jvp(Y)["y"])
    assert all(isinstance(leaf, nrx.Array) for leaf in nrx.tree.leaves(f_jvp))
    batched = nrx.vmap(lambda x: nrx.linearize(lambda x: x**3, x)[1])(X)
    assert_same(nrx.vmap(lambda f, t: f(t))(batched, Y), 3 * X**2 * Y)


# linear_transpose


def test_linear_transpose_is_the_adjoint() -> None:
    rng = np.random.default_rng(0)

    def f(t: Any) -> Any:
        return M.T @ t["v"] + jnp.cumsum(t["w"])[::-1], jnp.sum(t["v"]) * jnp.ones(2, "float64")

    shapes = {"v": nrx.ShapeDtypeStruct(4, "float64"), "w": nrx.ShapeDtypeStruct(3, "float64")}
    transposed = nrx.linear_transpose(f, shapes)
    t = {"v": jnp.asarray(rng.standard_normal(4)), "w": jnp.asarray(rng.standard_normal(3))}
    u = tuple(jnp.asarray(rng.standard_normal(n)) for n in (3, 2))
    (pulled,) = transposed(u)
    left = sum(np.sum(a * b) for a, b in zip(u, f(t), strict=True))
    right = sum(np.sum(pulled[k] * t[k]) for k in t)
    np.testing.assert_allclose(left, right, rtol=1e-13)


def test_linear_transpose_of_several_arguments() -> None:
    transposed = nrx.linear_transpose(lambda x, y: 2 * x - 3 * y, X, X)
    assert_same(transposed(Y), (2 * Y, -3 * Y))


def test_linear_transpose_with_an_unused_argument() -> None:
    assert_same(nrx.linear_transpose(lambda x, y: x, X, Y)(Y), (Y, np.zeros(4)))


# vjp


def test_vjp_pulls_cotangents_back_many_times() -> None:
    value, pull = nrx.vjp(lambda x, y: (x * y, jnp.sum(x)), X, Y)
    assert_same(value, (X * Y, np.sum(X)))
    for ct in (X, Y):
        assert_same(pull((ct, jnp.asarray(np.float64(2.0)))), (ct * Y + 2, ct * X))


def test_vjp_of_trees_integers_and_aux() -> None:
    def f(pair: Any, n: Any) -> Any:
        return {"out": pair.a * n, "n": n}, {"b": pair.b, "s": "text"}

    value, pull, aux = nrx.vjp(f, Pair(X, None, "name"), N, has_aux=True)
    assert aux == {"b": None, "s": "text"}
    ct_pair, ct_n = pull({"out": Y, "n": np.zeros(4, float0)})
    assert isinstance(ct_pair, Pair)
    assert ct_pair.b is None
    assert_same(ct_pair.a, Y * np.arange(4))
    assert is_float0(ct_n, (4,))
    assert value["n"].dtype == N.dtype


def test_vjp_of_complex_conjugation_pairs_without_conjugating() -> None:
    z = jnp.asarray(np.array([1 + 2j, -1 + 0.5j]))
    ct = jnp.asarray(np.array([0.5 - 1j, 2j]))
    assert_same(nrx.vjp(jnp.conj, z)[1](ct), [np.conj(ct)])
    assert_same(nrx.vjp(lambda z: z * z, z)[1](ct), [2 * np.asarray(z) * np.asarray(ct)])


def test_an_argument_used_nowhere_has_a_zero_cotangent() -> None:
    assert_same(nrx.vjp(lambda x, y: x, X, M)[1](Y), (Y, np.zeros((4, 3))))


# grad and value_and_grad


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.sum(jnp.sin(x) * x**2),
        lambda x: jnp.prod(jnp.tanh(x)) + jnp.max(x),
        lambda x: jnp.sum(jnp.where(x > 0.5, x**2, jnp.exp(x))),
        lambda x: jnp.dot(x, x[::-1]) / jnp.sum(x),
        lambda x: jnp.mean(jnp.cumsum(x) ** 3),
        lambda x: lax.fori_loop(0, 5, lambda i, v: jnp.sin(v) * x[0], jnp.sum(x)),
        lambda x: jnp.sqrt(jnp.sum(jnp.concatenate([x, x * x]) ** 2)),
    ],
)
def test_grad_agrees_with_differences(f: Any) -> None:
    np.testing.assert_allclose(nrx.grad(f)(X), gradient(f, X), rtol=1e-8, atol=1e-9)
    second = gradient(lambda x: jnp.sum(nrx.grad(f)(x) * Y), X)
    np.testing.assert_allclose(nrx.jvp(nrx.grad(f), (X,), (Y,))[1], second, rtol=1e-7, atol=1e-8)


def test_argnums() -> None:
    f = lambda x, y, z: jnp.sum(x * y**2) + z
    assert_same(nrx.grad(f)(X, Y, 1.0), Y**2)
    assert_same(nrx.grad(f, 1)(X, Y, 1.0), 2 * X * Y)
    assert_same(nrx.grad(f, -2)(X, Y, 1.0), 2 * X * Y)
    pair = nrx.grad(f, (1, 0))(X, Y, 1.0)
    assert isinstance(pair, tuple)
    assert_same(pair, (2 * X * Y, Y**2))
    (single,) = nrx.grad(f, [-1])(X, Y, 1.0)
    assert float(single) == 1.0
    assert nrx.grad(f, ())(X, Y, 1.0) == ()
    assert_same(nrx.grad(f, np.int64(1))(X, Y, 1.0), 2 * X * Y)


def test_arguments_that_are_not_differentiated_pass_as_they_are() -> None:
    seen = []

    def f(x: Any, mode: str, *, scale: float, names: list[str]) -> Any:
        seen.append((mode, scale, names))
        return jnp.sum(x) * scale

    names = ["a"]
    assert_same(nrx.grad(f)(X, "train", scale=2.0, names=names), np.full(4, 2.0))
    assert seen == [("train", 2.0, names)]
    assert seen[0][2] is names


def test_aux_keeps_every_kind_of_leaf() -> None:
    marker = object()

    def f(x: Any) -> Any:
        aux = {
            "traced": x * 2,
            "concrete": X,
            "numpy": np.arange(2),
            "int": 3,
            "text": "t",
            "object": marker,
            "none": None,
        }
        return jnp.sum(x), aux

    (value, aux), slope = nrx.value_and_grad(f, has_aux=True)(X)
    assert_same([value, slope, aux["traced"], aux["concrete"]], [np.sum(X), np.ones(4), 2 * X, X])
    assert isinstance(aux["numpy"], np.ndarray)
    assert (aux["int"], aux["text"], aux["object"], aux["none"]) == (3, "t", marker, None)
    slope, aux = nrx.grad(f, has_aux=True)(X)
    assert aux["object"] is marker


def test_gradients_of_integer_leaves_are_float0() -> None:
    slope = nrx.grad(lambda t: jnp.sum(t["x"] * t["n"]), allow_int=True)({"x": X, "n": N})
    assert_same(slope["x"], np.arange(4.0))
    assert is_float0(slope["n"], (4,))


def test_gradients_of_weak_scalars_are_weak() -> None:
    slope = nrx.grad(lambda x: x * x)(3.0)
    assert (float(slope), slope.weak_type) == (6.0, True)


def test_the_gradient_of_a_constant_is_zero() -> None:
    assert_same(nrx.grad(lambda x: 1.0)(X), np.zeros(4))
    assert_same(nrx.grad(lambda x: jnp.sum(X))(Y), np.zeros(4))


def test_holomorphic_gradients() -> None:
    z = jnp.asarray(1.5 + 0.5j)
    np.testing.assert_allclose(
        nrx.grad(lambda z: jnp.sin(z) * z, holomorphic=True)(z), np.cos(z) * z + np.sin(z), rtol=1e-6
    )


def test_the_gradient_of_a_real_loss_of_complex_numbers() -> None:
    z = np.array([1 + 2j, -0.5 + 1j])
    slope = np.asarray(nrx.grad(lambda z: jnp.sum(jnp.abs(z) ** 2))(jnp.asarray(z)))
    np.testing.assert_allclose(slope, 2 * np.conj(z), rtol=1e-12)


@dataclasses.dataclass
class Settings:
    scale: float

    def loss(self, x: Any) -> Any:
        """Doc."""
        return self.scale * jnp.sum(x)


def test_methods_partials_and_callables() -> None:
    assert_same(nrx.grad(Settings(3.0).loss)(X), np.full(4, 3.0))
    assert_same(nrx.grad(functools.partial(lambda a, x: a * jnp.sum(x), 2.0))(X), np.full(4, 2.0))
    assert_same(nrx.grad(np.sum)(X), np.ones(4))


def test_transformed_functions_keep_name_and_docstring() -> None:
    def loss(x: Any, *, scale: float = 1.0) -> Any:
        """The loss."""
        return jnp.sum(x) * scale

    for transform in (
        nrx.grad,
        nrx.value_and_grad,
        nrx.vmap,
        nrx.jit,
        nrx.checkpoint,
        nrx.jacfwd,
        nrx.jacrev,
        nrx.hessian,
    ):
        changed = transform(loss)
        assert (changed.__name__, changed.__doc__) == ("loss", "The loss.")


def test_keywords_are_not_differentiated() -> None:
    slope = nrx.grad(lambda x, *, y: jnp.sum(x * y))(X, y=Y)
    assert_same(slope, Y)
    assert_same(nrx.jacrev(lambda x, *, y: x * y)(X, y=Y), np.diag(Y))


# Jacobians


def test_jacobians_of_trees_nest_as_results_of_arguments() -> None:
    f = lambda t: [t["a"] * t["b"], {"s": jnp.sum(t["a"])}]
    t = {"a": X, "b": Y}
    for jacobian in (nrx.jacfwd, nrx.jacrev):
        rows = jacobian(f)(t)
        assert_same(rows[0]["a"], np.diag(Y))
        assert_same(rows[0]["b"], np.diag(X))
        assert_same(rows[1]["s"]["a"], np.ones(4))
        assert_same(rows[1]["s"]["b"], np.zeros(4))


def test_jacobian_shapes_are_result_then_argument() -> None:
    f = lambda m, x: m.T * jnp.sum(x)
    for jacobian in (nrx.jacfwd, nrx.jacrev):
        by_m, by_x = jacobian(f, argnums=(0, 1))(M, X)
        assert (by_m.shape, by_x.shape) == ((3, 4, 4, 3), (3, 4, 4))
        assert_same(by_x, np.broadcast_to(np.asarray(M).T[:, :, None], (3, 4, 4)))


def test_jacobian_with_integer_arguments_results_and_aux() -> None:
    by_x, by_n = nrx.jacrev(lambda x, n: x * n, argnums=(0, 1), allow_int=True)(X, N)
    assert_same(by_x, np.diag(np.arange(4.0)))
    assert is_float0(by_n, (4, 4))
    for jacobian in (nrx.jacfwd, nrx.jacrev, nrx.hessian):
        _, aux = jacobian(lambda x: (jnp.sum(x), {"n": N, "s": "text"}), has_aux=True)(X)
        assert (aux["n"].dtype, aux["s"]) == (N.dtype, "text")


def test_hessian_of_a_tree_is_a_tree_of_trees() -> None:
    f = lambda t: jnp.sum(t["a"] ** 2 * t["b"])
    h = nrx.hessian(f)({"a": X, "b": Y})
    assert_same(h["a"]["a"], np.diag(2 * Y))
    assert_same(h["a"]["b"], np.diag(2 * X))
    assert_same(h["b"]["a"], np.diag(2 * X))
    assert_same(h["b"]["b"], np.zeros((4, 4)))


def test_hessian_of_a_quadratic_form() -> None:
    a = jnp.asarray(np.arange(16.0).reshape(4, 4))
    assert_same(nrx.hessian(lambda x: x @ a @ x)(X), a + a.T)


def test_jacobian_of_complex_results_of_real_arguments() -> None:
    jacobian = nrx.jacfwd(lambda x: jnp.exp(1j * x))(X)
    assert_same(jacobian, np.diag(1j * np.exp(1j * np.asarray(X))))


def test_derivatives_of_every_order_of_a_polynomial() -> None:
    f = lambda x: x**5
    for order, expected in enumerate((32.0, 80.0, 160.0, 240.0, 240.0, 120.0, 0.0)):
        assert float(f(2.0)) == expected, order
        f = nrx.grad(f)


def test_no_warnings_at_singular_points() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(nrx.grad(jnp.sqrt)(0.0))
        assert np.isnan(nrx.jit(nrx.grad(lambda x: jnp.log(x) * 0))(0.0))


# Long programs


def test_long_chains_need_no_recursion() -> None:
    def f(x: Any) -> Any:
        for _ in range(3000):
            x = jnp.sin(x)
        return x

    assert abs(float(nrx.grad(f)(1.0))) < 1
    assert abs(float(nrx.jit(nrx.grad(f))(1.0))) < 1


def test_many_uses_of_one_value_accumulate() -> None:
    assert float(nrx.grad(lambda x: sum(x * k for k in range(100)))(1.0)) == sum(range(100))
