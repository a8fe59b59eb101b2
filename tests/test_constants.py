"""What follows from constants is computed once: the same numbers as where it follows from arguments, in each call."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from test_levels import COMMON, PROGRAMS, RandomProgram, programs_of
from test_programs import forget, passes  # noqa: F401

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.backends import llvm_cpu
from nrx.compiler.constants import split_off
from nrx.compiler.plan import Shared
from nrx.compiler.programs import CompiledProgram
from nrx.core.program import Program, evaluate

pytest.importorskip("llvmlite")

RNG = np.random.default_rng(0)
KERNELS = [jnp.asarray(RNG.normal(size=(16, 16, 3, 3)).astype("f") / 12) for _ in range(3)]
HEAD = jnp.asarray(RNG.normal(size=(16, 24)).astype("f"))


def network(x: Any, kernels: Any, head: Any) -> Any:
    for kernel in kernels:
        x = x + nrx.nn.relu(lax.conv_general_dilated(x, kernel, (1, 1), "SAME"))
    return x.mean((2, 3)) @ head, head.T


def images(count: int) -> Any:
    return jnp.asarray(RNG.normal(size=(count, 16, 8, 8)).astype("f"))


def split(function: Callable, constants: tuple, *arguments: Any) -> tuple[list[tuple], Program | None]:
    """Shapes and dtypes of what is prepared, and the Program of the rest."""
    program = nrx.jit(function).trace(*constants, *arguments)
    found = split_off(Shared().simplified(program), len(constants))
    return ([], None) if found is None else ([(a.shape, a.dtype.name) for a in found[0].out_avals], found[1])


def test_kernels_are_transposed_once() -> None:
    prepared, rest = split(lambda a, b, c, w, x: network(x, [a, b, c], w), (*KERNELS, HEAD), images(2))
    assert prepared == [((3, 3, 16, 16), "float32")] * 3 + [((24, 16), "float32")]
    shapes = [(eqn.prim.name, eqn.outs[0].aval.shape) for eqn in rest.eqns]
    assert ("transpose", (3, 3, 16, 16)) not in shapes


def test_closed_over_is_as_passed() -> None:
    """With several batch sizes, which share what is prepared."""
    function, passing = nrx.jit(lambda x: network(x, KERNELS, HEAD)), nrx.jit(network)
    before = len(llvm_cpu._prepared)
    for count in (2, 3, 5, 2, 3, 5):
        x = images(count)
        for got, expected in zip(function(x), passing(x, KERNELS, HEAD), strict=True):
            np.testing.assert_array_equal(got, expected)
    assert len(llvm_cpu._prepared) == before + 1
    results = weakref.ref(next(reversed(list(llvm_cpu._prepared.values()))))
    del function
    gc.collect()
    assert results() is None


def test_found_on_disk(passes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    x = images(2)
    expected = nrx.jit(lambda x: network(x, KERNELS, HEAD))(x)
    made = len(passes)
    forget()
    again = nrx.jit(lambda x: network(x, KERNELS, HEAD))
    for _ in range(3):
        for got, want in zip(again(x), expected, strict=True):
            np.testing.assert_array_equal(got, want)
    assert len(passes) == made == 2


def test_no_more_memory_is_taken() -> None:
    """Numbers of eight bits keep being small, and what is repeated is repeated in each call."""
    small, bias = jnp.ones((64, 64), "int8"), jnp.ones(512)
    x = jnp.ones((8, 64))
    assert split(lambda w, x: x @ (w.astype("float32") * 0.5), (small,), x)[0] == []
    assert split(lambda b, x: jnp.broadcast_to(b, (8, 512)) + x.sum(), (bias,), x)[0] == []
    assert split(lambda w, x: x.astype("bfloat16") @ w.astype("bfloat16"), (jnp.ones((64, 64)),), x)[0] == [
        ((64, 64), "bfloat16")
    ]


def test_reshaped_constants_are_themselves() -> None:
    assert split(lambda w, x: x @ w.reshape(64, 64), (jnp.ones(4096),), jnp.ones((2, 64)))[0] == []


def test_results_that_are_prepared_and_donated_arguments() -> None:
    weights = jnp.asarray(RNG.normal(size=(32, 32)))

    def function(x: Any, y: Any) -> Any:
        return weights.T.copy(), x + weights[::-1], y * 2, weights

    step = nrx.jit(function, donate_argnums=(0, 1))
    for _ in range(3):
        x, y = RNG.normal(size=(2, 32, 32))
        got = step(jnp.asarray(x), jnp.asarray(y))
        expected = (np.asarray(weights).T, x + np.asarray(weights)[::-1], y * 2, weights)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_effects_happen_in_each_call() -> None:
    seen = []
    weights = jnp.ones((32, 32))

    @nrx.jit
    def function(x: Any) -> Any:
        nrx.debug.callback(lambda w: seen.append(float(w)), weights.sum())
        return x @ jnp.sin(weights)

    for _ in range(3):
        np.testing.assert_allclose(function(jnp.ones((2, 32))), 32 * np.sin(1), rtol=1e-6)
    nrx.effects_barrier()
    assert seen == [1024.0] * 3


def test_derivatives_and_batches_of_closures() -> None:
    def loss(x: Any, kernels: Any = KERNELS) -> Any:
        return network(x, kernels, HEAD)[0].sum()

    x = images(2)
    for transform in (nrx.grad, lambda f: nrx.vmap(nrx.grad(lambda x: f(x[None])))):
        outer, inner = nrx.jit(transform(loss)), nrx.jit(transform(nrx.jit(loss)))
        for _ in range(3):
            np.testing.assert_array_equal(outer(x), inner(x))
            np.testing.assert_allclose(outer(x), transform(loss)(x), rtol=1e-4, atol=1e-5)


@settings(max_examples=40, **COMMON)
@given(PROGRAMS)
def test_random_programs(program: RandomProgram) -> None:
    """Whatever is prepared, and however small: the same bits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CompiledProgram, "_name", lambda self: None)  # nothing is found again
        for staged, arrays in programs_of(program):
            for count in {1, len(arrays)}:
                patch.setattr("nrx.compiler.constants._LEAST", 1 << 40)
                expected = closing(staged, arrays, count)(*arrays[count:])
                patch.setattr("nrx.compiler.constants._LEAST", 0)
                function = closing(staged, arrays, count)
                for _ in range(3):
                    for got, want in zip(function(*arrays[count:]), expected, strict=True):
                        np.testing.assert_array_equal(got, want)


def closing(program: Program, arrays: list[np.ndarray], count: int) -> Callable:
    """A function of the other arguments."""
    consts = list(map(jnp.asarray, arrays[:count]))
    return nrx.jit(lambda *xs: evaluate(program, [*consts, *xs]))
