"""jit: what is traced when, static arguments, closures, and functions that behave like the ones they wrap."""

import asyncio
import functools
import gc
import inspect
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fakes import cupy as fake
from oracles import assert_same

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.core import backend
from nrx.core.errors import LeakedTracerError, NestingError
from nrx.core.trace import current_trace, is_evaluating, new_trace
from nrx.transforms.staging import StagingTrace

X = jnp.asarray(np.linspace(0.3, 1.1, 4))


# What is traced when


def test_a_second_call_does_not_trace() -> None:
    calls = []
    f = nrx.jit(lambda x: (calls.append(1), jnp.sin(x) * 2)[1])
    for x in (X, 2 * X, X):
        assert_same(f(x), np.sin(x) * 2)
    assert (f.trace_count, len(calls)) == (1, 1)


@pytest.mark.parametrize(
    "other",
    [
        jnp.ones(3),
        jnp.ones((4, 1), "float64"),
        jnp.ones(4, "float32"),
        jnp.ones(4, "int32"),
        jnp.ones(4, "bool"),
        2.0,
        2,
        True,
        jnp.asarray(np.float32(2.0)),
    ],
)
def test_another_kind_of_argument_traces_again(other: Any) -> None:
    f = nrx.jit(lambda x: x + x)
    f(X)
    assert_same(f(other), np.asarray(other) + np.asarray(other))
    f(other)
    f(X)
    assert f.trace_count == 2


def test_weak_types_are_kinds_of_their_own() -> None:
    f = nrx.jit(lambda x: x * jnp.ones(1, "float16"))
    assert (f(2.0).dtype.name, f(jnp.asarray(np.float32(2.0))).dtype.name, f(3.0).dtype.name) == (
        "float16",
        "float32",
        "float16",
    )
    assert f.trace_count == 2


def test_another_structure_traces_again() -> None:
    f = nrx.jit(lambda t: nrx.tree.map(lambda x: x + 1, t))
    for tree in ({"a": X}, {"b": X}, [X], (X,), {"a": X, "b": None}, {"a": X}):
        assert nrx.tree.structure(f(tree)) == nrx.tree.structure(tree)
    assert f.trace_count == 5


def test_settings_that_change_what_is_traced() -> None:
    f = nrx.jit(lambda: jnp.zeros(2) + 1.5)
    assert f().dtype == np.float32
    with nrx.config.using(default_float="float64"):
        assert f().dtype == np.float64
    assert f().dtype == np.float32
    assert f.trace_count == 2


def test_the_default_device_is_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    fake.install(monkeypatch)
    monkeypatch.setattr(backend, "_loaded", {"cpu": backend.get_backend("cpu")})
    f = nrx.jit(lambda: jnp.zeros(2) + jnp.asarray(np.arange(2.0)))
    assert str(f().device) == "cpu:0"
    with nrx.default_device("gpu:1"):
        assert str(f().device) == "gpu:1"
    assert str(f().device) == "cpu:0"
    assert f.trace_count == 2


def test_clear_cache() -> None:
    f = nrx.jit(lambda x: x)
    f(X)
    f.clear_cache()
    f(X)
    assert f.trace_count == 2


def test_failed_traces_are_not_remembered() -> None:
    fail = [True]

    @nrx.jit
    def f(x: Any) -> Any:
        if fail[0]:
            raise RuntimeError("mine")
        return x + 1

    with pytest.raises(RuntimeError, match="mine"):
        f(X)
    assert is_evaluating()
    fail[0] = False
    assert_same(f(X), X + 1)


def test_the_program_can_be_had_without_a_run() -> None:
    f = nrx.jit(lambda x, n: jnp.sum(x) * n, static_argnums=1)
    program = f.trace(nrx.ShapeDtypeStruct((5,), "float64"), 3)
    assert [str(a) for a in (*program.in_avals, *program.out_avals)] == ["f64[5]", "f64[]"]


# Static arguments


def test_static_arguments_by_number_and_by_name() -> None:
    def f(x: Any, mode: str, power: int = 2, *, negate: bool = False) -> Any:
        y = x**power if mode == "power" else x
        return -y if negate else y

    by_number = nrx.jit(f, static_argnums=(1, -1))
    by_name = nrx.jit(f, static_argnames=("mode", "power", "negate"))
    for g in (by_number, by_name):
        assert_same(g(X, "power"), X**2)
        assert_same(g(X, "power", 3), X**3)
        assert_same(g(X, mode="power", power=3), X**3)
        assert_same(g(x=X, mode="none"), X)
    assert_same(by_name(X, "power", negate=True), -(X**2))


def test_every_static_value_traces_once() -> None:
    f = nrx.jit(lambda x, n: x * n, static_argnums=1)
    for n in (1, 2, 1, 2, 1.0, True, 1):
        f(X, n)
    assert f.trace_count == 4
    assert f(jnp.asarray(np.int32(3)), 2).dtype == np.int32
    assert f(jnp.asarray(np.int32(3)), 2.0).dtype == np.float32


def test_static_functions_and_nested_tuples() -> None:
    f = nrx.jit(lambda g, shape, x: g(x.reshape(shape)), static_argnums=(0, 1))
    assert_same(f(jnp.sin, (2, 2), X), np.sin(X).reshape(2, 2))
    assert_same(f(jnp.cos, (2, (2)), X), np.cos(X).reshape(2, 2))


def test_static_arguments_of_open_ended_signatures() -> None:
    f = nrx.jit(
        lambda *xs, **options: xs[0] * options["scale"] if xs[1] else xs[0], static_argnums=1, static_argnames="scale"
    )
    assert_same(f(X, True, scale=2), 2 * X)
    assert_same(f(X, False, scale=3), X)


def test_static_keywords_reach_functions_without_signature() -> None:
    f = nrx.jit(functools.partial(lambda x, n: x[:n], n=2))
    assert_same(f(X), X[:2])


# Functions that behave like the ones they wrap


def test_name_docstring_and_signature_are_kept() -> None:
    @nrx.jit
    def model(params: dict, x: Any, *, train: bool = False) -> Any:
        """A model."""
        return x

    assert (model.__name__, model.__doc__) == ("model", "A model.")
    assert list(inspect.signature(model).parameters) == ["params", "x", "train"]
    assert repr(model) == "<jit of model>"


def test_decorators() -> None:
    @nrx.jit
    def plain(x: Any) -> Any:
        return x + 1

    @nrx.jit(static_argnames="n")
    def called(x: Any, n: int = 2) -> Any:
        return x[:n]

    @functools.partial(nrx.jit, static_argnums=(0,))
    def partial(n: int, x: Any) -> Any:
        return x[:n]

    assert_same([plain(X), called(X), called(X, n=3), partial(1, X)], [X + 1, X[:2], X[:3], X[:1]])


def test_methods() -> None:
    class Model:
        def __init__(self, scale: float):
            self.scale = scale

        @functools.partial(nrx.jit, static_argnums=0)
        def scaled(self, x: Any) -> Any:
            return x * self.scale

    one, two = Model(1.0), Model(2.0)
    assert_same([one.scaled(X), two.scaled(X), Model.scaled(two, X)], [X, 2 * X, 2 * X])
    assert Model.scaled.trace_count == 2
    assert_same(nrx.grad(lambda x: jnp.sum(two.scaled(x)))(X), np.full(4, 2.0))


def test_methods_of_registered_classes_take_themselves_as_a_tree() -> None:
    @nrx.tree_util.register_pytree_node_class
    class Scale:
        def __init__(self, by: Any):
            self.by = by

        def tree_flatten(self) -> tuple:
            return (self.by,), None

        @classmethod
        def tree_unflatten(cls, _: None, children: tuple) -> "Scale":
            return cls(*children)

        @nrx.jit
        def __call__(self, x: Any) -> Any:
            return x * self.by

    assert_same([Scale(2.0)(X), Scale(3.0)(X)], [2 * X, 3 * X])
    assert Scale.__call__.trace_count == 1


def test_no_arguments_no_results() -> None:
    assert_same(nrx.jit(lambda: jnp.arange(3))(), np.arange(3))
    assert nrx.jit(lambda: None)() is None
    assert nrx.jit(lambda x: {"a": ()})(X) == {"a": ()}
    assert nrx.jit(lambda: 2)().weak_type


def test_arguments_returned_as_they_are_and_twice() -> None:
    a, b, c = nrx.jit(lambda x: (x, x, 1.5))(X)
    assert_same([a, b, c], [X, X, np.float32(1.5)])


def test_donated_arguments_give_the_same_result() -> None:
    f = nrx.jit(lambda x, y: x + y, donate_argnums=0)
    g = nrx.jit(lambda x, y: x + y, donate_argnames="y")
    assert_same([f(X.copy(), X), g(X, y=X.copy())], [2 * X, 2 * X])


# Closures


def test_closed_over_arrays_are_read_when_traced() -> None:
    box = [jnp.asarray(np.float64(2.0))]
    f = nrx.jit(lambda x: x * box[0])
    assert_same(f(X), 2 * X)
    box[0] = jnp.asarray(np.float64(5.0))
    assert_same(f(X), 2 * X)


def test_closures_over_large_arrays_are_arguments_of_the_program() -> None:
    big = jnp.asarray(np.arange(1000.0))
    f = nrx.jit(lambda x: jnp.sum(x * big))
    assert_same(f(2.0), 2 * np.sum(np.arange(1000.0)))
    assert not f.trace(2.0).consts


def test_closures_over_outer_tracers() -> None:
    def outer(x: Any) -> Any:
        inner = nrx.jit(lambda y: y * x + jnp.sin(x))
        return jnp.sum(inner(x) * inner(2 * x))

    np_x = np.asarray(X)
    expected = np.sum((np_x**2 + np.sin(np_x)) * (2 * np_x**2 + np.sin(np_x)))
    for call in (outer, nrx.jit(outer), lambda x: nrx.vmap(outer)(x[None])[0]):
        np.testing.assert_allclose(call(X), expected)
    slope = (2 * np_x + np.cos(np_x)) * (2 * np_x**2 + np.sin(np_x)) + (np_x**2 + np.sin(np_x)) * (
        4 * np_x + np.cos(np_x)
    )
    assert_same(nrx.grad(outer)(X), slope)
    assert_same(nrx.jit(nrx.grad(nrx.jit(outer)))(X), slope)


def test_a_trace_that_holds_an_outer_tracer_is_not_remembered() -> None:
    box: list[Any] = []
    inner = nrx.jit(lambda y: y * box[-1])

    def outer(x: Any) -> Any:
        box.append(x)
        return inner(x * x)

    assert [float(nrx.grad(outer)(x)) for x in (2.0, 3.0)] == [12.0, 27.0]
    assert_same(nrx.vmap(outer)(X), X**3)


def test_a_jitted_global_under_several_transformations() -> None:
    f = nrx.jit(lambda x: jnp.sin(x) * x)
    assert_same(f(X), np.sin(X) * X)
    assert_same(nrx.vmap(nrx.grad(f))(X), np.cos(X) * X + np.sin(X))
    assert_same(nrx.vmap(nrx.grad(nrx.grad(f)))(X), 2 * np.cos(X) - np.sin(X) * X)


def test_a_program_is_freed_with_its_function() -> None:
    def make() -> Any:
        big = jnp.asarray(np.arange(8.0))
        f = nrx.jit(lambda x: x + big)
        nrx.grad(lambda x: jnp.sum(f(x)))(big)
        return weakref.ref(big)

    dead = make()
    gc.collect()
    assert dead() is None


def test_control_flow_keeps_nothing_alive() -> None:
    def make() -> Any:
        big = jnp.asarray(np.arange(8.0))
        h = nrx.custom_jvp(lambda x: x * big)
        h.defjvp(lambda p, t: (h(*p), t[0] * big))
        nrx.grad(lambda x: jnp.sum(lax.scan(lambda c, _: (jnp.sin(h(c)), None), x, None, length=2)[0]))(big)
        return weakref.ref(big)

    dead = make()
    gc.collect()
    assert dead() is None


# Functions jitted within each other


def nested(depth: int) -> Any:
    f = lambda x: x
    for _ in range(depth):
        f = nrx.jit(lambda x, f=f: f(x) + 1)
    return f


def on_a_new_stack(function: Any, *args: Any, limit: int = 1000) -> Any:
    """The result of a call in a thread of its own, with Python's recursion limit."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(function, *args).result()
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="JAX's depths were measured where calls in C count too")
def test_as_many_as_in_jax() -> None:
    """JAX 0.10 takes 122, and 96 if they are differentiated."""
    assert float(on_a_new_stack(nested(118), 1.0)) == 119
    assert float(on_a_new_stack(nrx.grad(nested(94)), 1.0)) == 1


@pytest.mark.parametrize("transform", [lambda f: f, nrx.grad, nrx.vmap])
def test_too_many(transform: Any) -> None:
    f, x = transform(nested(400)), np.ones(3) if transform is nrx.vmap else 1.0
    with pytest.raises(NestingError, match=r"too deep for Python's recursion limit of 1000") as caught:
        on_a_new_stack(f, x)
    assert "sys.setrecursionlimit" in str(caught.value)
    assert len(np.unique(np.asarray(on_a_new_stack(f, x, limit=20_000)))) == 1


def test_endless_recursion_of_the_users_own_is_left_alone() -> None:
    def f(x: Any) -> Any:
        return f(x)

    with pytest.raises(RecursionError) as caught:
        on_a_new_stack(nrx.jit(f), 1.0)
    assert type(caught.value) is RecursionError


# Several threads, several tasks


def test_threads_do_not_see_each_other() -> None:
    """The factors are below 1, so that eager and compiled sines, which round differently, do not drift apart."""
    barrier = threading.Barrier(8)

    def work(k: int) -> list[float]:
        def f(x: Any) -> Any:
            barrier.wait(timeout=20)  # all are in the middle of tracing
            for _ in range(20):
                x = jnp.sin(x) * (k / 8)
            barrier.wait(timeout=20)
            return jnp.sum(x)

        value, slope = nrx.jit(nrx.value_and_grad(f))(X)
        assert is_evaluating()
        mapped = nrx.vmap(f)(X)
        return [float(value), *map(float, slope), *map(float, mapped)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(1, 9)))
    for k, got in enumerate(results, 1):

        def f(x: Any, k: int = k) -> Any:
            for _ in range(20):
                x = jnp.sin(x) * (k / 8)
            return jnp.sum(x)

        np.testing.assert_allclose(got, [f(X), *nrx.grad(f)(X), *nrx.vmap(f)(X)], rtol=1e-12)


def test_a_tracer_is_refused_in_another_thread() -> None:
    def f(x: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(jnp.sin, x).result()

    for transform in (nrx.jit, nrx.grad):
        with pytest.raises(LeakedTracerError, match="in another thread"):
            transform(f)(1.0)


def test_one_jitted_function_in_many_threads() -> None:
    f = nrx.jit(lambda x: jnp.sum(jnp.sin(x)))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: float(f(jnp.ones(n % 5 + 1, "float64"))), range(80)))
    np.testing.assert_allclose(results, [np.sin(1.0) * (n % 5 + 1) for n in range(80)])


@pytest.mark.parametrize("transform", [lambda f: f, lambda f: nrx.jit(nrx.grad(f)), lambda f: nrx.vmap(f)])
def test_threads_that_come_at_once_trace_and_compile_once(monkeypatch: pytest.MonkeyPatch, transform: Any) -> None:
    compiled, cpu = [], backend.get_backend("cpu")
    compile_one = cpu.compile
    monkeypatch.setattr(cpu, "compile", lambda *args: (compiled.append(args), compile_one(*args))[1], raising=False)
    barrier = threading.Barrier(6)
    inner = nrx.jit(lambda x: (time.sleep(0.05), jnp.sum(jnp.sin(x) * x))[1])
    f, x = transform(inner), np.ones(4)

    def work(_: int) -> np.ndarray:
        barrier.wait(timeout=20)
        return np.asarray(f(x if transform is not nrx.vmap else x[None]))

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(work, range(6)))
    assert all(np.array_equal(results[0], other) for other in results)
    assert (inner.trace_count, len(compiled)) == (1, 1)


def test_threads_trace_different_functions_at_once() -> None:
    """Each waits, in the middle of tracing, for the other."""
    barrier = threading.Barrier(2)
    functions = [nrx.jit(lambda x, k=k: (barrier.wait(timeout=20), x * k)[1]) for k in (2, 3)]
    with ThreadPoolExecutor(2) as pool:
        assert [float(x) for x in pool.map(lambda f: f(1.0), functions)] == [2, 3]


def test_a_failed_trace_is_tried_again() -> None:
    tries = iter([ValueError("the first"), None])

    @nrx.jit
    def f(x: Any) -> Any:
        if (error := next(tries)) is not None:
            raise error
        return x + 1

    with pytest.raises(ValueError, match="the first"):
        f(1.0)
    assert float(f(1.0)) == 2


def test_a_function_that_calls_itself() -> None:
    factorial = nrx.jit(lambda n, x: x if n == 0 else n * factorial(n - 1, x), static_argnums=0)
    assert float(factorial(5, 1.0)) == 120


FORK = """
import os, threading, nrx
tracing, go_on = threading.Event(), threading.Event()
f = nrx.jit(lambda x: (tracing.set(), go_on.wait(20), x + 1)[2])
thread = threading.Thread(target=f, args=(1.0,))
thread.start()
assert tracing.wait(20)
child = os.fork()
go_on.set()
if child == 0:
    os._exit(0 if float(f(1.0)) == 2 else 1)
thread.join()
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_a_process_whose_threads_are_tracing() -> None:
    """It does not wait for threads that it does not have."""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK], check=True, timeout=50)


def test_tasks_trace_while_others_wait() -> None:
    """Each task records its own program, with awaits between the operations."""

    async def record(length: int) -> int:
        trace = StagingTrace(current_trace(), f"task {length}")
        with new_trace(trace):
            x = trace.argument(X.aval)
            for _ in range(length):
                x = jnp.sin(x)
                await asyncio.sleep(0)
                assert current_trace() is trace
        await asyncio.sleep(0)
        assert is_evaluating()
        return len(trace.eqns)

    async def main() -> list[int]:
        return await asyncio.gather(*(record(n) for n in (3, 7, 1, 5)))

    assert asyncio.run(main()) == [3, 7, 1, 5]


def test_tasks_have_their_own_settings() -> None:
    async def work(dtype: str) -> set[str]:
        seen = set()
        with nrx.config.using(default_float=dtype):
            for _ in range(4):
                seen.add(jnp.zeros(1).dtype.name)
                await asyncio.sleep(0)
                seen.add(nrx.jit(lambda: jnp.zeros(1))().dtype.name)
        return seen

    async def main() -> list[set[str]]:
        return await asyncio.gather(*map(work, ("float64", "float32", "float16")))

    assert asyncio.run(main()) == [{"float64"}, {"float32"}, {"float16"}]


def test_threads_start_with_the_settings_of_the_process() -> None:
    with nrx.config.using(default_float="float64"):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: jnp.zeros(1).dtype.name).result() == "float32"
        assert jnp.zeros(1).dtype == np.float64
