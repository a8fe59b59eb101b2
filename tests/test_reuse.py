"""Kernels that steps share: the same text as if each had been made anew, from the first letter to the last."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from test_levels import COMMON, PROGRAMS, RandomProgram, Step, programs_of

import nrx
import nrx.numpy as jnp
from nrx.compiler import reuse
from nrx.compiler.compile import compile_program
from nrx.compiler.targets import describe
from nrx.core.array import asarray
from nrx.core.aval import Aval
from nrx.core.program import Program, evaluate
from nrx.transforms.staging import stage

TARGET = describe("x86-64-v3")


def twice(program: Program) -> Program:
    """A Program of what `program` computes, of its arguments and of others."""

    def both(*args: Any) -> list[Any]:
        half = len(args) // 2
        return [*evaluate(program, args[:half]), *evaluate(program, args[half:])]

    return stage(both, [*program.in_avals, *program.in_avals], "twice")


def made(program: Program, is_anew: bool = False) -> tuple[str, int]:
    """The text of a Program, and how many steps had their kernels made; if `is_anew`, all of them."""
    count = 0
    plain = reuse.Kernels.launches

    def counted(self: Any, step: Any, fused: Any, make: Callable) -> Any:
        def once() -> Any:
            nonlocal count
            count += 1
            return make()

        return once() if is_anew else plain(self, step, fused, once)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reuse.Kernels, "launches", counted)
        closed, _ = program.closed()
        return compile_program(closed, TARGET).text, count


CUMULATIVE = Step("cumulative", 2, 0, 3)
SLICES = Step("dynamic_slices", 0, 0, 0)


@settings(max_examples=60, **COMMON)
@given(PROGRAMS)
@example(RandomProgram((Step("abs", 0, 0, 0), SLICES, SLICES), ((), (3,)), 0))
def test_random_programs(program: RandomProgram) -> None:
    for staged, _ in programs_of(program):
        (shared, few), (anew, many) = made(twice(staged)), made(twice(staged), is_anew=True)
        assert shared == anew
        assert few <= many


def test_the_text_is_the_same_each_time() -> None:
    """Whatever the order of sets, which is by address."""
    steps = (Step("transpose", 1, 0, 1), CUMULATIVE, Step("abs", 0, 0, 0), CUMULATIVE)
    for staged, _ in programs_of(RandomProgram(steps, ((3, 1), (3, 1)), 0)):
        assert len({made(twice(staged), is_anew)[0] for is_anew in [False, True] * 5}) == 1


def layers(x: Any, weights: list) -> Any:
    for w, b in weights:
        x = nrx.nn.gelu(nrx.nn.softmax(x @ w + b)) + x
    return x


def test_layers_share_their_kernels() -> None:
    shapes = [(16, 32), *[(32, 32), (32,)] * 6]
    avals = [Aval(shape, np.dtype(np.float32)) for shape in shapes]

    def function(x: Any, *flat: Any) -> list[Any]:
        weights = list(zip(flat[::2], flat[1::2], strict=True))
        return [layers(x, weights)]

    program = stage(function, avals, "layers")
    (shared, few), (anew, many) = made(program), made(program, is_anew=True)
    assert shared == anew
    assert few < many // 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: (jnp.sin(x) + x, jnp.sin(y) + x),
        lambda x, y: (x * x, x * y, y * y),
        lambda x, y: (jnp.cumsum(x)[::-1], jnp.cumsum(y)),
        lambda x, y: (jnp.sort(x), jnp.sort(x[::-1]), jnp.sort(y)[1:]),
        lambda x, y: (x.reshape(4, 25) @ y.reshape(25, 4), y.reshape(4, 25) @ x.reshape(25, 4)),
        lambda x, y: (jnp.exp(x - x.max()) / 2, jnp.exp(y - y.max()) / 3, jnp.exp(y - x.max()) / 2),
    ],
)
def test_steps_that_are_almost_alike(function: Callable) -> None:
    """Their results are what NumPy would compute one by one."""
    rng = np.random.default_rng(0)
    x, y = (asarray(rng.normal(size=100)) for _ in range(2))
    for got, expected in zip(nrx.jit(function)(x, y), function(x, y), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
