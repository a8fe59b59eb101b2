"""Fusion has limits: of what is computed again, of views on top of each other; and no operand is overwritten early."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.compiler.compile import compile_program
from nrx.compiler.targets import describe

pytest.importorskip("llvmlite")


def pairs(x: Any) -> Any:
    while x.shape[0] > 1:
        x = x[::2] + x[1::2]
    return x


def halves(x: Any) -> Any:
    while x.shape[0] > 1:
        x = x[: x.shape[0] // 2] + x[x.shape[0] // 2 :]
    return x


def shuffled(x: Any) -> Any:
    for _ in range(16):
        x = jnp.concatenate([x[1::2], x[::2]])
    return x


def times(count: int, view: Callable) -> Callable:
    def chain(x: Any) -> Any:
        for _ in range(count):
            x = view(x)
        return x

    return chain


CHAINS = {
    "pairs": pairs,
    "halves": halves,
    "shuffled": shuffled,
    "rolled": times(200, lambda x: jnp.roll(x, 1)),
    "transposed": times(200, lambda x: x.reshape(64, 64)[::-1].T.reshape(-1)),
    "padded": times(200, lambda x: jnp.pad(x, 1)[1:-1]),
    "cut": times(300, lambda x: x[1:]),
    "stacked": times(28, lambda x: jnp.stack([x[::2], x[1::2]]).reshape(-1)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_long_chains_stay_short(name: str) -> None:
    """The code grows with the program, and not with the ways through it."""
    function = CHAINS[name]
    x = np.random.default_rng(0).integers(-8, 9, 4096).astype(np.float32)
    program = nrx.jit(function).trace(x)
    text = compile_program(program, describe("x86-64-v3")).text
    assert len(text) < 20_000 + 3_000 * len(program.eqns)
    with nrx.disable_jit():
        expected = function(jnp.asarray(x))
    np.testing.assert_array_equal(nrx.jit(function)(x), expected)


def test_a_search_in_many_numbers_compiles_at_once() -> None:
    """The bounds of each of its steps are those of the step before: found once, not once for each way there."""
    numbers = jnp.arange(1 << 20, dtype="float32")
    wanted = np.array([0, 0.5, 7, (1 << 20) - 1, 1 << 20, -3], np.float32)
    start = time.process_time()
    compiled = nrx.jit(jnp.searchsorted).lower(numbers, wanted).compile()
    assert time.process_time() - start < 5  # it was 43 seconds
    np.testing.assert_array_equal(compiled(numbers, wanted), np.searchsorted(np.asarray(numbers), wanted))


def overlapping(x: Any) -> Any:
    """A row-major view and a transpose of one operand, which dies there."""
    row = x.reshape(-1)
    return (row * 2).reshape(x.shape) + x.T, jnp.sort(row)


@pytest.mark.parametrize("n", [4, 16, 33, 64, 200])
def test_an_operand_is_not_overwritten_while_a_view_of_it_is_read(n: int) -> None:
    x = np.random.default_rng(n).normal(size=(n, n))
    expected = x * 2 + x.T
    np.testing.assert_array_equal(nrx.jit(overlapping, donate_argnums=0)(jnp.asarray(x))[0], expected)

    def inside(x: Any) -> Any:
        out, ordered = overlapping(x @ jnp.eye(n))
        return out @ jnp.eye(n), ordered

    np.testing.assert_allclose(nrx.jit(inside)(x)[0], expected, rtol=1e-12)


def test_carried_values_are_not_overwritten_while_a_view_of_them_is_read() -> None:
    x = np.random.default_rng(0).normal(size=(16, 16))

    def body(x: Any, _: Any) -> Any:
        out, ordered = overlapping(x)
        return out * 0.25, ordered[0]

    got, least = lax.scan(body, jnp.asarray(x), None, length=3)
    for number in range(3):
        assert least[number] == x.min()
        x = (x * 2 + x.T) * 0.25
    np.testing.assert_allclose(got, x, rtol=1e-12)
