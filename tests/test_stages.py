"""Ahead of time: lower, compile, what the stages say of themselves, and what a compiled function takes."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import native
from oracles import assert_same

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.backends.op_by_op import compile_op_by_op
from nrx.core import backend
from nrx.core.cost import program_cost
from nrx.core.errors import ArgumentTypeError, DeletedArrayError, DeviceError, TreeError

S = nrx.ShapeDtypeStruct
X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(params=["op by op", "native"])
def compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "native":
        native.install(monkeypatch)
    else:
        cpu = backend.get_backend("cpu")
        monkeypatch.setattr(cpu, "compile", lambda p, d, *more: compile_op_by_op(p, d), raising=False)
    return request.param


# The stages


def test_lower_and_compile(compiler: str) -> None:
    big = jnp.asarray(np.float32([1, 2, 3]))

    def model(params: Any, x: Any, *, scale: Any) -> Any:
        return {"y": params["w"] * x + big, "s": scale}

    f = nrx.jit(model)
    lowered = f.lower({"w": S((2, 3), "float32")}, S(3, "float32"), scale=2.0)
    assert f.trace_count == 1
    assert "mul" in lowered.as_text()
    assert lowered.as_text() == str(lowered.program)
    compiled = lowered.compile()
    for stage in (lowered, compiled):
        assert stage.in_tree == nrx.tree.structure((({"w": 0}, 0), {"scale": 0}))
        assert stage.out_tree == nrx.tree.structure({"s": 0, "y": 0})
        assert stage.in_avals == (({"w": S((2, 3), "float32")}, S(3, "float32")), {"scale": S((), "float32", True)})
        assert stage.out_avals == {"s": S((), "float32", True), "y": S((2, 3), "float32")}
        assert "model" in repr(stage)
    for _ in range(4):
        for params in ({"w": X}, {"w": jnp.asarray(X)}):
            assert_same(compiled(params, X[0], scale=3.0), {"s": 3.0, "y": X * X[0] + [1, 2, 3]})
    assert f.trace_count == 1
    assert_same(f({"w": X}, X[0], scale=3.0), compiled({"w": X}, X[0], scale=3.0))
    assert f.trace_count == 1


def test_compiled_text(compiler: str) -> None:
    text = nrx.jit(lambda x: jnp.sin(x) + 1).lower(X).compile("cpu").as_text()
    assert "sin" in text


def test_static_arguments_are_left_out(compiler: str) -> None:
    f = nrx.jit(lambda n, x, *, mode, y: x[:n] * y if mode == "a" else y, static_argnums=0, static_argnames="mode")
    compiled = f.lower(1, X, mode="a", y=2.0).compile()
    for _ in range(3):
        assert_same(compiled(X, y=2.0), X[:1] * 2)
    with pytest.raises(TreeError, match=r"without the static arguments"):
        compiled(1, X, mode="a", y=2.0)
    with pytest.raises(ArgumentTypeError, match=r"argument x is f32\[3\], and should be f32\[2,3\]"):
        compiled(X[0], y=2.0)


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        (({"w": X}, X[:, :1], 1.0), ArgumentTypeError, r"compiled model: argument x is f32\[2,1\].* be f32\[2,3\]"),
        (({"w": X.astype("f8")}, X, 1.0), ArgumentTypeError, r"argument p\['w'\] is f64\[2,3\]"),
        (({"w": X}, X, 1), ArgumentTypeError, r"argument s is i32\[\], and should be f32\[\]"),
        (({"w": X, "b": X}, X, 1.0), TreeError, r"\['b'\]|keys"),
        (([X], X, 1.0), TreeError, "expected a dict"),
        (({"w": X}, X), TreeError, "length 3"),
        (({"w": X}, X, "text"), ArgumentTypeError, "argument s of model"),
    ],
)
def test_wrong_arguments(args: tuple, error: type[Exception], words: str, compiler: str) -> None:
    def model(p: Any, x: Any, s: Any) -> Any:
        return p["w"] * x * s

    compiled = nrx.jit(model).lower({"w": X}, X, 1.0).compile()
    for _ in range(3):
        with pytest.raises(error, match=words):
            compiled(*args)
        assert_same(compiled({"w": X}, X, 2.0), X * X * 2)
    assert_same(compiled({"w": X}, X, np.float32(2)), X * X * 2)  # the weak type is not what it is about


def test_transformations_of_compiled_functions(compiler: str) -> None:
    compiled = nrx.jit(lambda x: jnp.sum(x * x)).lower(X).compile()
    assert_same(nrx.grad(compiled)(jnp.asarray(X)), 2 * X)
    assert_same(nrx.jit(lambda x: compiled(x) + 1)(X), np.sum(X * X) + 1)
    assert_same(nrx.vmap(compiled)(jnp.stack([X, X])), np.full(2, np.sum(X * X)))


def test_donation(compiler: str) -> None:
    compiled = nrx.jit(lambda x, y: x + y, donate_argnums=0).lower(X, X).compile()
    for _ in range(4):
        x = jnp.asarray(X)
        assert_same(compiled(x, X), X + X)
        assert x.is_deleted() == (compiler == "native")
        if compiler == "native":
            with pytest.raises(DeletedArrayError):
                compiled(x, X)


def test_devices_of_compiled_functions() -> None:
    with pytest.raises(DeviceError):
        nrx.jit(lambda x: x).lower(1.0).compile("cpu:7")


def test_lowering_while_tracing_keeps_to_the_outer_trace(compiler: str) -> None:
    def outer(x: Any) -> Any:
        return nrx.jit(lambda y: y * x).lower(S((), "float32")).compile()(jnp.float32(3))

    assert_same(nrx.grad(outer)(2.0), 3.0)


# Work and memory

COUNTED: list[tuple[Callable, tuple, float, float]] = [
    (lambda x: x + x * 2, (X,), 12, 0),
    (lambda x: jnp.sin(x) + jnp.exp(x), (X,), 6, 12),
    (lambda x: x.astype("float64"), (X,), 0, 0),
    (lambda x: jnp.sum(x), (X,), 5, 0),
    (lambda x: jnp.max(x, axis=1), (X,), 4, 0),
    (lambda x: jnp.sum(x), (np.zeros((0, 3)),), 0, 0),
    (lambda x, y: x @ y, (X, X.T), 2 * 2 * 2 * 3, 0),
    (lambda x, y: jnp.einsum("bij,bjk->bik", x, y), (np.ones((5, 2, 3)), np.ones((5, 3, 4))), 2 * 5 * 2 * 3 * 4, 0),
    (
        lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "VALID"), (np.ones((2, 3, 8, 8)), np.ones((4, 3, 3, 3))),
        2 * (2 * 4 * 6 * 6) * 27, 0,
    ),
    (lambda x: lax.scan(lambda c, a: (c + jnp.tanh(a), c * a), 0.0, x), (np.ones(10, np.float32),), 20, 10),
    (lambda x: lax.cond(x > 0, lambda v: v + 1, lambda v: jnp.exp(v) * v * v, x), (1.0,), 3, 1),
    (lambda x: lax.while_loop(lambda c: c < 9, lambda c: c + jnp.exp(c), x), (1.0,), 2, 1),
    (lambda x: nrx.jit(lambda y: y + 1)(x) * 2, (X,), 12, 0),
    (lambda x: jnp.cumsum(x), (np.ones(9),), 9, 0),
    (lambda x: x.at[np.array([0, 1])].add(1.0), (np.ones(9),), 2, 0),
    (lambda x: jnp.sort(x), (np.ones(9),), 9 * 4, 0),
    (lambda x: lax.reduce_window(x, 0.0, lax.add, (3,), (1,), "VALID"), (np.ones(9),), 7 * 2, 0),
]  # fmt: skip


@pytest.mark.parametrize(("function", "args", "flops", "transcendentals"), COUNTED)
def test_work_counted_by_hand(function: Callable, args: tuple, flops: float, transcendentals: float) -> None:
    cost = program_cost(nrx.make_jaxpr(function)(*args))
    assert (cost["flops"], cost["transcendentals"]) == (flops, transcendentals)


def test_work_of_a_network_as_jax_counts_it() -> None:
    jax = pytest.importorskip("jax")

    def network(np_: Any, w: Any, v: Any, x: Any) -> Any:
        return np_.sum(np_.tanh(x @ w) @ v)

    shapes = ((784, 128), (128, 10), (32, 784))
    theirs = jax.jit(lambda *a: network(jax.numpy, *a)).lower(*(jax.ShapeDtypeStruct(s, "float32") for s in shapes))
    ours = nrx.jit(lambda *a: network(jnp, *a)).lower(*(S(s, "float32") for s in shapes))
    expected, got = theirs.compile().cost_analysis(), program_cost(ours.program)
    assert got["transcendentals"] == expected["transcendentals"] == 32 * 128
    np.testing.assert_allclose(got["flops"], expected["flops"], rtol=1e-3)


def test_the_cost_of_what_is_lowered() -> None:
    """2 k x 10 operations of each product, and 10 of the addition and each sum; tanh counts by itself."""
    inner = nrx.jit(lambda w, x: jnp.tanh(x @ w))
    lowered = nrx.jit(lambda w, x: jnp.sum(inner(w, x) + 1)).lower(S((20, 10), "float32"), S((1, 20), "float32"))
    cost = lowered.cost_analysis()
    assert (cost["flops"], cost["transcendentals"]) == (2 * 20 * 10 + 10 + 9, 10)
    read = 4 * (200 + 20) + 4 * 10 + 4 * (10 + 1) + 4 * 10
    written = 4 * 10 + 4 * 10 + 4 * 10 + 4
    assert cost["bytes accessed"] == pytest.approx(read + written, rel=0.1)  # scalars may be broadcast first
    assert set(cost) == set(lowered.compile().cost_analysis())


def test_analyses(compiler: str) -> None:
    f = nrx.jit(lambda x, y: jnp.sum((x * y) @ (x + y).T, axis=0))
    compiled = f.lower(S((20, 30), "float32"), S((20, 30), "float32")).compile()
    assert compiled.cost_analysis()["flops"] == 600 + 600 + 2 * 20 * 20 * 30 + 19 * 20
    memory = compiled.memory_analysis()
    assert (memory.argument_bytes, memory.output_bytes, memory.alias_bytes) == (2 * 2400, 80, 0)
    assert memory.temporary_bytes >= 3 * 2400  # x * y, x + y, its transpose and the product, as far as together
    assert memory.temporary_bytes <= 3 * 2400 + 1600


def test_temporaries_die_early(compiler: str) -> None:
    def chain(x: Any) -> Any:
        for _ in range(50):
            x = jnp.sin(x)
        return x

    memory = nrx.jit(chain).lower(S(1000, "float32")).compile().memory_analysis()
    assert memory.temporary_bytes == 8000
    assert memory.output_bytes == 4000


def doubled(x: Any) -> Any:
    return x * 2


def test_pickling_after_calls() -> None:
    """What a call generates and loads does not pickle, and is left behind."""
    jitted = nrx.jit(doubled)
    for function in (jitted, jitted.lower(X).compile()):
        expected = function(X).tolist()
        assert pickle.loads(pickle.dumps(function))(X).tolist() == expected
