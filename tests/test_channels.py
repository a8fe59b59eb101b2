"""Channels last around convolutions: the same numbers, and transposes at the edges of a network only."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nrx
import nrx.numpy as jnp
from nrx import lax
from nrx.compiler.compile import simplified
from nrx.core.program import Program

quick = settings(max_examples=100, deadline=None)


def numbers(*shape: int) -> np.ndarray:
    """Small integers, whose sums and products are exact in any order."""
    return np.random.default_rng(sum(shape)).integers(-2, 3, shape).astype(np.float64)


def conv(x: Any, kernel: Any, step: int = 1) -> Any:
    pads = [(k // 2, k // 2) for k in kernel.shape[2:]]
    return lax.conv_general_dilated(x, kernel, (step,) * (x.ndim - 2), pads)


def program_of(function: Callable, *args: Any) -> Program:
    return simplified(nrx.jit(function).trace(*nrx.tree.map(jnp.asarray, args)))


def moved(program: Program) -> list[tuple]:
    """The shapes of what is transposed and has more than one long axis."""
    found = [eqn.inputs[0].aval.shape for eqn in program.eqns if eqn.prim.name == "transpose"]
    return [shape for shape in found if sum(n > 1 for n in shape) > 1]


def layouts(program: Program) -> set[bool]:
    """Whether images are channels first, of all convolutions."""
    numbers = [e.params["dimension_numbers"] for e in program.eqns if e.prim.name == "conv_general_dilated"]
    return {n.lhs_spec[-1] == len(n.lhs_spec) - 1 for n in numbers}


def block(x: Any, first: Any, second: Any, scale: Any) -> Any:
    """Of a residual network: convolutions, normalized, with what they were made of added."""
    y = conv(x, first)
    y = (y - y.mean((0, 2, 3), keepdims=True)) * scale[:, None, None]
    return jnp.maximum(conv(jnp.maximum(y, 0), second) + x, 0)


def network(x: Any, stem: Any, first: Any, second: Any, scale: Any) -> Any:
    x = jnp.maximum(conv(x, stem), 0)
    return block(block(x, first, second, scale), second, first, scale).mean((2, 3))


NETWORK = [numbers(2, 3, 6, 5), numbers(8, 3, 3, 3), numbers(8, 8, 3, 3), numbers(8, 8, 3, 3) + 1, numbers(8)]


def test_a_network_transposes_its_arguments_only() -> None:
    program = program_of(network, *NETWORK)
    assert layouts(program) == {False}
    assert sorted(moved(program)) == [(2, 3, 6, 5), (8, 3, 3, 3), (8, 8, 3, 3), (8, 8, 3, 3)]


def test_gradients_transpose_those_of_kernels_only() -> None:
    program = program_of(nrx.grad(lambda p, x: network(x, *p).sum()), NETWORK[1:], NETWORK[0])
    assert layouts(program) == {False}
    images = [shape for shape in moved(program) if shape[0] == 2]
    assert images == [(2, 3, 6, 5)]


def test_values_of_a_network_and_its_gradient() -> None:
    args = [jnp.asarray(x, dtype=np.float64) for x in NETWORK]
    loss = lambda *args: (network(*args) ** 2).sum()
    for function in (network, nrx.grad(loss, (0, 1, 2, 3, 4))):
        got, expected = nrx.jit(function)(*args), function(*args)
        for a, b in zip(nrx.tree.leaves(got), nrx.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-9 * np.abs(np.asarray(b)).max())


@pytest.mark.parametrize("shape", [(2, 4, 9), (2, 4, 5, 6), (2, 4, 3, 4, 5)], ids=["1d", "2d", "3d"])
def test_every_number_of_axes(shape: tuple) -> None:
    x, kernel = numbers(*shape), numbers(8, 4, *(3 for _ in shape[2:]))
    function = lambda x, kernel: conv(jnp.maximum(conv(x, kernel), 0)[:, 2:6] + 1, kernel)
    assert len(moved(program_of(function, x, kernel))) == 3  # both arguments, and the result
    np.testing.assert_array_equal(nrx.jit(function)(x, kernel), function(jnp.asarray(x), jnp.asarray(kernel)))


def test_vectors_keep_their_kernel() -> None:
    program = program_of(
        lambda x, y: lax.conv_general_dilated(x, y, (1,), [(1, 1)]), numbers(2, 1, 9), numbers(1, 1, 3)
    )
    assert layouts(program) == {True}


def test_mixed_layouts() -> None:
    x, kernel = numbers(2, 4, 5, 6), numbers(3, 3, 4, 8)
    for spec in (
        ("NCHW", "HWIO", "NCHW"),
        ("NCHW", "HWIO", "NHWC"),
        ("NCHW", "HWIO", "CNHW"),
        ("NCHW", "HWIO", "HNCW"),
    ):
        function = lambda x, kernel, spec=spec: lax.conv_general_dilated(x, kernel, (1, 1), "SAME", None, None, spec)
        np.testing.assert_array_equal(nrx.jit(function)(x, kernel), function(x, kernel), err_msg=str(spec))


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "relu": lambda x, y: jnp.maximum(x, 0),
    "scale": lambda x, y: x * y[:1, 0, 0, 0],
    "residual": lambda x, y: x + x[::-1],
    "select": lambda x, y: jnp.where(x > 0, x, y[0, 0, 0, 0]),
    "pad": lambda x, y: lax.pad(x, 1.0, [(0, 0, 0), (1, -1, 0), (0, 2, 1), (-1, 0, 0)]),
    "crop": lambda x, y: x[:, :, ::2, :-1],
    "beside": lambda x, y: jnp.concatenate([x, jnp.maximum(x, 1)], 1),
    "pool": lambda x, y: lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 1), (1, 1, 2, 1), "SAME"),
    "sums": lambda x, y: lax.reduce_window(x, 0.0, lax.add, (1, 2, 1, 2), (1, 1, 1, 1), "SAME"),
    "turned": lambda x, y: jnp.flip(x, (2, 3)),
    "mean": lambda x, y: x - x.max((0, 2), keepdims=True),
    "moved": lambda x, y: jnp.swapaxes(x, 2, 3),
    "conv": lambda x, y: conv(x, jnp.ones((4, x.shape[1], 2, 2), x.dtype)),
    "whole": lambda x, y: x.reshape(-1).reshape(x.shape),
}


@quick
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6))
def test_chains(steps: list[str]) -> None:
    """What follows a convolution, before another one."""
    x, y = numbers(2, 3, 6, 8), numbers(4, 3, 3, 3)

    def function(x: Any, y: Any) -> Any:
        x = conv(x, y)
        for step in steps:
            x = STEPS[step](x, y)
        return conv(x, jnp.ones((2, x.shape[1], 3, 3), x.dtype))

    np.testing.assert_array_equal(nrx.jit(function)(x, y), function(jnp.asarray(x), jnp.asarray(y)))
