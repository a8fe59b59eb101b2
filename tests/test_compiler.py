"""The compiler's passes: what they make of Programs, and that a plan computes what the Program does."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import assert_as_eager
from plan_interpreter import run_program

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.compiler import cache, generalize
from nrx.compiler.inline import inline
from nrx.compiler.plan import Block, Control, Host, Run, Shared
from nrx.compiler.simplify import simplify
from nrx.core.primitive import Primitive, registry
from nrx.core.program import Program

X = np.random.default_rng(0).normal(size=(6, 8))


#: A primitive that the compiler knows nothing of.
on_the_host = Primitive("test_host").define(impl=lambda xp, x: x[::-1].copy(), abstract=lambda x: x)
registry.pop(on_the_host.name)


def program_of(function: Callable, *args: Any) -> Program:
    return nrx.jit(function).trace(*map(jnp.asarray, args))


def planned(function: Callable, *args: Any) -> Block:
    return Shared().block(program_of(function, *args))


def kernels(block: Block) -> list[str]:
    return [action.kernel.name for action in block.actions if isinstance(action, Run)]


def softmax(x: Any) -> Any:
    e = jnp.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def layernorm(x: Any) -> Any:
    mean = x.mean(1, keepdims=True)
    variance = ((x - mean) ** 2).mean(1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-5)


def logsumexp(x: Any) -> Any:
    top = x.max(1, keepdims=True)
    return jnp.log(jnp.exp(x - top).sum(1, keepdims=True)) + top


def carries_and_stacks(x: Any) -> Any:
    return lax.scan(lambda c, row: (c * 0.5 + row, (c - row, row.sum())), x[0], x, reverse=True)


def updates_in_place(x: Any) -> Any:
    return lax.fori_loop(0, 6, lambda i, c: c.at[i].add(c[(i + 1) % 6] * 0.5), x)


def counts_down(x: Any) -> Any:
    return lax.while_loop(lambda c: c[0] > 0, lambda c: (c[0] - 1, c[1] * 1.5), (4, x))


def branches(x: Any) -> Any:
    return lax.switch((x[0, 0] > 0).astype("int32") + 1, [lambda v: v, lambda v: v * 2, lambda v: v[::-1]], x)


def swaps(x: Any) -> Any:
    return lax.scan(lambda c, _: ((c[1], c[0] + 1), None), (x, x * 2), None, length=3)[0]


PROGRAMS = {
    "elementwise": lambda x: x * 2 + 1,
    "views": lambda x: (x.T[::-1] + 1) * x[0, :6],
    "reshaped results": lambda x: ((x * 3).reshape(-1), (x + 1).T.reshape(4, 12)),
    "one result twice": lambda x: (x + 1, x + 1, x),
    "softmax": softmax,
    "layernorm": layernorm,
    "logsumexp": logsumexp,
    "columns": lambda x: (x * x).sum(0) + x.max(0),
    "columns and what they scale": lambda x: x / x.sum(0),
    "everything": lambda x: (x.sum(), x.max(), ((x - x.mean()) ** 2).sum()),
    "gradient of softmax": nrx.grad(lambda x: (softmax(x)[:, 0] ** 2).sum()),
    "gradient of a choice in each row": nrx.grad(
        lambda x: -jnp.log(softmax(x))[jnp.arange(6), (x[:, 0] > 0).astype("int32")].mean()
    ),
    "products": lambda x: (x @ x.T + 1).sum(1),
    "sorted on the host or not": lambda x: jnp.sort(x * 2, axis=0)[0] + 1,
    "scan": carries_and_stacks,
    "updates": updates_in_place,
    "while": counts_down,
    "switch": branches,
    "swapped carries": swaps,
    "a host call in a loop": lambda x: lax.scan(lambda c, row: (on_the_host.bind(c) + row, c), x[0], x),
    "empty": lambda x: (x[:0].sum(0), x[:, :0] * 2, x[:0].sum()),
    "cumulative": lambda x: jnp.cumsum(x, 0) * 2,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_plan_computes_what_the_program_does(name: str) -> None:
    """The plan, run by an interpreter, and the machine code agree with eager evaluation."""
    function = PROGRAMS[name]
    program = program_of(function, X)
    expected = nrx.tree.leaves(function(jnp.asarray(X)))
    compiled = nrx.tree.leaves(nrx.jit(function)(jnp.asarray(X)))
    for got, native, want in zip(run_program(program, [X]), compiled, expected, strict=True):
        assert_as_eager(program, got, np.asarray(want))
        assert_as_eager(program, np.asarray(native), np.asarray(want))


# Fusion


@pytest.mark.parametrize("function", [softmax, layernorm, logsumexp, lambda x: jnp.tanh(x * 2 + 1) * x])
def test_a_pattern_is_one_kernel(function: Callable) -> None:
    assert len(planned(function, X).actions) == 1


def test_sums_with_a_common_operand_are_one_sweep() -> None:
    assert len(planned(lambda x: (x.sum(1), (x * x).sum(1), x.max(1)), X).actions) == 1


@pytest.mark.parametrize("rows", [64, 256, 1000, 4096])
def test_large_parts_are_claimed_of_large_jobs(rows: int) -> None:
    """Between 16 and 64 parts, except that none is tiny."""
    (run,) = planned(lambda x: (x * x).sum(1), np.zeros((rows, 1024), np.float32)).actions
    assert isinstance(run, Run)
    assert run.tasks == rows
    assert run.grain == 20 or 16 <= rows / run.grain <= 64


def test_small_jobs_run_in_the_calling_thread() -> None:
    block = planned(lambda x: (x * x).sum(1), np.zeros((4, 1024), np.float32))
    assert [action.grain for action in block.actions if isinstance(action, Run)] == [0]


def test_long_rows_are_split() -> None:
    block = planned(lambda x: x.sum(), np.zeros(1 << 20, np.float32))
    assert [name.split("_")[-1] for name in kernels(block)] == ["partial", "combined"]


def test_what_waits_for_a_host_call_is_not_fused_with_what_it_reads() -> None:
    """A kernel cannot both feed a host call and use its result."""

    def function(x: Any) -> Any:
        y = x * 2
        return y + on_the_host.bind(y)

    actions = planned(function, X).actions
    assert [type(action) for action in actions] == [Run, Host, Run]


def test_a_dear_value_is_not_computed_for_every_reader() -> None:
    """exp of a row that is broadcast over many is stored; its negation is not."""
    assert len(planned(lambda x: jnp.exp(x[0]) + jnp.tile(x, (100, 1)), X).actions) == 2
    assert len(planned(lambda x: -x[0] + x, X).actions) == 1


# Simplification


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x * 1.0, 0),
        (lambda x: jnp.negative(-x), 0),
        (lambda x: x - 0.0, 0),
        (lambda x: x + 0.0, 1),  # -0 + 0 is 0
        (lambda x: x.T.T, 0),
        (lambda x: (lax.sin(x), lax.sin(x)), 1),
        (lambda x: x + jnp.sqrt(4.0) * 3.0, 1),
    ],
)
def test_simplification(function: Callable, left: int) -> None:
    eqns = simplify(inline(program_of(function, X))).eqns
    assert len([eqn for eqn in eqns if eqn.prim.name not in ("broadcast_in_dim", "convert_element_type")]) == left


# Memory


def test_dead_memory_is_used_again() -> None:
    """A chain of sorts needs two buffers, not ten."""

    def function(x: Any) -> Any:
        for _ in range(10):
            x = jnp.cumsum(x, 0)
        return x

    x = np.zeros((64, 64))
    assert planned(function, x).temporary_bytes <= 2 * x.nbytes


def test_a_carried_array_is_updated_in_place() -> None:
    big = np.zeros((1000, 8))
    block = planned(lambda x: lax.fori_loop(0, 1000, lambda i, c: c.at[i].set(1.0), x), big)
    (loop,) = [action for action in block.actions if isinstance(action, Control)]
    assert loop.blocks[-1].overwrites[1] == 1


def test_donated_memory_is_used() -> None:
    step = nrx.jit(lambda x: x * 2 + 1, donate_argnums=0)
    x = jnp.asarray(np.arange(1e5))
    compiled = step.lower(x).compile()
    assert compiled.memory_analysis().alias_bytes == 8e5


def test_results_do_not_overwrite_what_others_still_read() -> None:
    """Two results of one kernel: the first may take over an operand that only the second reads."""

    def function(x: Any) -> Any:
        a, b = jnp.cumsum(x, 0), jnp.cumsum(x * 2, 0)
        first, second = jnp.sin(a), jnp.cos(a) * b
        return jnp.cumsum(first, 0) + jnp.cumsum(second, 0)

    expected = np.asarray(function(jnp.asarray(X)))
    np.testing.assert_allclose(nrx.jit(function)(X), expected, rtol=1e-12)
    np.testing.assert_allclose(run_program(program_of(function, X), [X])[0], expected, rtol=1e-12)


def test_results_do_not_overwrite_aliases_that_others_still_read() -> None:
    """As above, for an operand that is read through a view which lies in the same memory."""

    def function(x: Any) -> Any:
        a = jnp.abs(x).reshape(6, 8)
        return nrx.grad(lambda v: jnp.sum(lax.cumlogsumexp(jnp.abs(v), 1, reverse=True) * jnp.sin(v)))(a[::-1]).T

    expected = np.asarray(function(jnp.asarray(X)))
    np.testing.assert_allclose(nrx.jit(function)(X), expected, rtol=1e-9, atol=1e-12)


def test_functions_with_rules_of_their_own_are_compiled() -> None:
    """They were interpreted on the host."""
    by_jvp = nrx.custom_jvp(lambda x: jnp.sin(x) * 2)
    by_jvp.defjvp(lambda primals, tangents: (by_jvp(*primals), 5 * tangents[0]))
    by_vjp = nrx.custom_vjp(lambda x: jnp.cos(x) * 3)
    by_vjp.defvjp(lambda x: (by_vjp(x), None), lambda _, ct: (7 * ct,))

    def function(x: Any) -> Any:
        return lax.scan(lambda c, row: (c + by_jvp(row), by_vjp(c)), x[0], x)

    shared = Shared()
    shared.block(program_of(function, X))
    assert not shared.host_calls
    total, rows = np.array(X[0]), []
    for row in X:
        rows.append(np.cos(total) * 3)
        total = total + np.sin(row) * 2
    for got, want in zip(nrx.jit(function)(X), (total, np.array(rows)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    assert nrx.jit(nrx.grad(lambda x: by_jvp(x) + by_vjp(x)))(1.0) == 12


def test_functions_with_rules_of_their_own_may_close_over_arrays() -> None:
    factors = jnp.asarray(X[0])
    scaled = nrx.custom_jvp(lambda x: x * factors)
    scaled.defjvp(lambda primals, tangents: (scaled(*primals), tangents[0] * factors))
    for length in (2, 3):
        found = nrx.jit(lambda x, n=length: lax.scan(lambda c, _: (scaled(c), None), x, None, length=n)[0])(X[1])
        np.testing.assert_allclose(found, X[1] * X[0] ** length, rtol=1e-14)


# Many sizes


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are compiled, none of which is cached."""
    texts: list[str] = []
    assemble = cache.llvm.assemble
    monkeypatch.setattr(cache.llvm, "assemble", lambda text, target: texts.append(text) or assemble(text, target))
    monkeypatch.setenv("NRX_CACHE", "0")
    generalize.forget_references()
    return texts


def statistics(x: Any) -> Any:
    return jnp.tanh(x * 2 + 1).mean(), x.sum(0), (x - x.mean(1, keepdims=True)) * 3, x.reshape(-1)


def test_batch_sizes_share_code(compilations: list[str]) -> None:
    function = nrx.jit(statistics)
    rng = np.random.default_rng(1)
    for size in [*range(1, 30), 100, 101, 128, 500, 999, 1000]:
        x = rng.normal(size=(size, 16))
        want = np.tanh(x * 2 + 1).mean(), x.sum(0), (x - x.mean(1, keepdims=True)) * 3, x.reshape(-1)
        for got, expected in zip(function(x), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    assert len([text for text in compilations if "@entry" in text]) <= 8


def test_gradients_and_loops_of_many_sizes(compilations: list[str]) -> None:
    def loss(w: Any, x: Any) -> Any:
        hidden = lax.scan(lambda c, row: (jnp.tanh(c + row @ w), c.sum()), jnp.zeros(3, x.dtype), x)
        return hidden[0].sum() + hidden[1].mean()

    def oracle(w: np.ndarray, x: np.ndarray) -> float:
        carry, sums = np.zeros(3), []
        for row in x:
            sums.append(carry.sum())
            carry = np.tanh(carry + row @ w)
        return carry.sum() + np.mean(sums)

    step = nrx.jit(nrx.value_and_grad(loss))
    rng = np.random.default_rng(2)
    w = rng.normal(size=(4, 3))
    for size in range(2, 20):
        x = rng.normal(size=(size, 4))
        value, gradient = step(w, x)
        np.testing.assert_allclose(value, oracle(w, x), rtol=1e-5)
        bump = np.zeros_like(w)
        bump[1, 2] = 1e-5
        slope = (oracle(w + bump, x) - oracle(w - bump, x)) / 2e-5
        np.testing.assert_allclose(gradient[1, 2], slope, rtol=1e-4, atol=1e-6)
    assert len([text for text in compilations if "@entry" in text]) <= 8


def test_a_function_that_looks_at_the_size_stays_right(compilations: list[str]) -> None:
    @nrx.jit
    def function(x: Any) -> Any:
        return x * 2 if x.shape[0] % 3 else x + x.shape[0] ** 2

    for size in range(1, 20):
        x = np.arange(float(size))
        np.testing.assert_array_equal(function(x), x * 2 if size % 3 else x + size**2)


def test_column_sums_of_many_sizes(compilations: list[str]) -> None:
    total = nrx.jit(lambda x: x.sum(0))
    for size in (64, 32, 17, 18, 19, 20, 600, 700, 800, 900, 1000, 5000):
        x = np.random.default_rng(size).normal(size=(size, 128))
        np.testing.assert_allclose(total(x), x.sum(0), rtol=1e-10, atol=1e-10)
    assert len([text for text in compilations if "@entry" in text]) <= 6


# What reviewers found


@pytest.mark.parametrize(
    "function",
    [
        lambda a: (a, a + 1),
        lambda a: (a + 1, a),
        lambda a: (a * 1, a + 1),
        lambda a: (a.at[0].set(0), a),
        lambda a: (a.T.T, a + 1, a),
    ],
)
def test_a_donated_argument_may_be_a_result(function: Callable) -> None:
    expected = [np.asarray(x) for x in function(jnp.array([1, 2, 3]))]
    compiled = nrx.jit(function, donate_argnums=0)
    for _ in range(3):
        for got, want in zip(compiled(jnp.array([1, 2, 3])), expected, strict=True):
            np.testing.assert_array_equal(got, want)


def test_long_sums_are_exact_to_a_few_units() -> None:
    for size in (10**4, 10**6, 10**7):
        x = np.full(size, 0.1, np.float32)
        np.testing.assert_allclose(nrx.jit(jnp.sum)(x), x.astype(float).sum(), rtol=3e-6)


INTERRUPTED = """
import os, signal, threading, nrx
from nrx import lax

def inner(c):
    return lax.while_loop(lambda d: d[0] < 10**7, lambda d: (d[0] + 1, d[1] * 0.5 + 1), (0, c))[1]

loops = [
    lambda x: lax.while_loop(lambda c: c >= 0, inner, x),
    lambda x: lax.scan(lambda c, _: (inner(c), None), x, None, length=10**6)[0],
    lambda x: lax.while_loop(lambda c: c >= 0, lambda c: c * 0.5 + 1, x),
]
for loop in loops:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        nrx.jit(loop)(1.0)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_nested_loops_can_be_interrupted() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert found.stdout.split() == ["interrupted"] * 3


HUGE = 1 << 44


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.broadcast_to(x[0], (HUGE,)) + 1,
        lambda x: jnp.sort(jnp.broadcast_to(x[0], (HUGE,)) * 2)[:3],
        lambda x: lax.scan(lambda c, _: (c, jnp.broadcast_to(c[0], (HUGE,))), x, None, length=8)[1].sum(),
    ],
    ids=["a result", "in between", "in a loop"],
)
def test_out_of_memory(function: Callable) -> None:
    compiled = nrx.jit(function, donate_argnums=0)
    x = jnp.asarray(X[0])
    for _ in range(2):
        with pytest.raises(MemoryError, match="no memory for"):
            compiled(x)
    assert nrx.jit(lambda x: x * 2, donate_argnums=0)(x).tolist() == (X[0] * 2).tolist()


def test_complex_numbers_times_one_are_multiplied() -> None:
    """As NumPy does it, which makes NaNs of infinities."""
    x = np.array([complex(np.inf, 1), complex(-0.0, -0.0)], np.complex64)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(nrx.jit(lambda x: x * 1)(x), x * np.complex64(1))
